#include "ui/panels/setting_parts.h"

#include <QLabel>
#include <QVBoxLayout>

#include "core/job/settings_schema.h"
#include "ui/panels/pane_parts.h"
#include "ui/theme/dresser.h"

namespace canopy::ui {

QString settingHelp(const char* key) {
    const auto* info = findSetting(key);
    return info ? QString::fromUtf8(info->help.data(), qsizetype(info->help.size())) : QString();
}

QWidget* labelledField(const QString& label, QWidget* field, const QString& help) {
    auto* box = new QWidget;
    auto* layout = new QVBoxLayout(box);
    dresser::setMargins(layout, 0, 0, 0, 0, 4);
    auto* caption = textLabel(label, "label");
    caption->setBuddy(field);
    layout->addWidget(caption);
    layout->addWidget(field);
    field->setAccessibleName(label);
    if (!help.isEmpty())
        field->setToolTip(help);
    return box;
}

QWidget* labelledSetting(const QString& label, QWidget* field, const char* key) {
    return labelledField(label, field, settingHelp(key));
}

} // namespace canopy::ui
