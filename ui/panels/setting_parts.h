#pragma once

#include <QString>

class QWidget;

namespace canopy::ui {

/// Help of a setting as the settings table says it; empty for keys it does not know.
QString settingHelp(const char* key);
/// A field below its label; an empty help leaves the field's tooltip.
QWidget* labelledField(const QString& label, QWidget* field, const QString& help);
/// The same with the setting's help.
QWidget* labelledSetting(const QString& label, QWidget* field, const char* key);

} // namespace canopy::ui
