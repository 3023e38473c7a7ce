#pragma once

#include <QIcon>
#include <QString>

#include "ui/theme/theme.h"

namespace canopy::ui {

/// A shipped SVG in one colour of the theme. `name` is the file's name without ending; size in logical pixels
/// at scale 1. Rendered for the given device pixel ratio.
QPixmap tintedPixmap(const QString& name, const QColor& colour, int logicalSize, double devicePixelRatio);

/// The icon in the theme's text colour (disabled: text3), sharp on every screen.
QIcon tintedIcon(const QString& name, const Theme& theme, Role role = Role::Text);

} // namespace canopy::ui
