#pragma once

#include <QString>

#include "ui/theme/theme.h"

class QAbstractButton;
class QAction;
class QLabel;
class QLayout;
class QWidget;

/// Lengths, fonts and icons as widgets were drawn at scale 1, remembered on the widgets so that one pass over
/// a window applies another theme or scale while it runs.
namespace canopy::ui::dresser {

void setMargins(QLayout* layout, int left, int top, int right, int bottom, int spacing);
void setFixedHeight(QWidget* widget, int height);
void setFixedWidth(QWidget* widget, int width);
void setMinimumWidth(QWidget* widget, int width);
void setMinimumHeight(QWidget* widget, int height);
void setIcon(QAbstractButton* button, const QString& icon, Role role = Role::Text);
void setIcon(QAction* action, const QString& icon);
/// Shows an icon in a label.
void setIcon(QLabel* label, const QString& icon, Role role);
/// Width of `sample` in the widget's font plus its padding, so that changing figures never move their
/// neighbours.
void setReservedText(QWidget* widget, const QString& sample);

/// Widgets that paint themselves take the theme here.
class Dressed {
public:
    virtual ~Dressed() = default;
    virtual void setTheme(const Theme& theme) = 0;
};

/// Applies the theme to `root` and everything below it.
void dress(QWidget* root, const Theme& theme);

} // namespace canopy::ui::dresser
