#include "ui/theme/dresser.h"

#include <QAbstractButton>
#include <QAction>
#include <QLabel>
#include <QLayout>
#include <QVariant>
#include <QWidget>

#include "ui/theme/icons.h"

namespace canopy::ui::dresser {
namespace {

constexpr char kMargins[] = "_canopyMargins";
constexpr char kHeight[] = "_canopyHeight";
constexpr char kWidth[] = "_canopyWidth";
constexpr char kMinWidth[] = "_canopyMinWidth";
constexpr char kMinHeight[] = "_canopyMinHeight";
constexpr char kIcon[] = "_canopyIcon";
constexpr char kIconRole[] = "_canopyIconRole";
constexpr char kReserved[] = "_canopyReserved";

void dressLayout(QLayout* layout, const Theme& theme) {
    const auto v = layout->property(kMargins).toList();
    if (v.size() == 5) {
        layout->setContentsMargins(theme.px(v[0].toInt()), theme.px(v[1].toInt()), theme.px(v[2].toInt()),
                                   theme.px(v[3].toInt()));
        layout->setSpacing(theme.px(v[4].toInt()));
    }
    for (int i = 0; i < layout->count(); ++i)
        if (auto* child = layout->itemAt(i)->layout())
            dressLayout(child, theme);
}

void dressWidget(QWidget* widget, const Theme& theme) {
    if (widget->layout())
        dressLayout(widget->layout(), theme);
    if (const auto v = widget->property(kHeight); v.isValid())
        widget->setFixedHeight(theme.px(v.toInt()));
    if (const auto v = widget->property(kWidth); v.isValid())
        widget->setFixedWidth(theme.px(v.toInt()));
    if (const auto v = widget->property(kMinWidth); v.isValid())
        widget->setMinimumWidth(theme.px(v.toInt()));
    if (const auto v = widget->property(kMinHeight); v.isValid())
        widget->setMinimumHeight(theme.px(v.toInt()));
    if (const auto v = widget->property(kReserved); v.isValid()) {
        widget->ensurePolished();
        widget->setMinimumWidth(widget->fontMetrics().horizontalAdvance(v.toString()) + theme.px(2));
    }
    if (const auto v = widget->property(kIcon); v.isValid()) {
        const Role role = Role(widget->property(kIconRole).toInt());
        const int size = theme.metric(QStringLiteral("size.icon"));
        if (auto* button = qobject_cast<QAbstractButton*>(widget)) {
            button->setIcon(tintedIcon(v.toString(), theme, role));
            button->setIconSize({size, size});
        } else if (auto* label = qobject_cast<QLabel*>(widget)) {
            label->setPixmap(
                tintedPixmap(v.toString(), theme.colour(role), size, label->devicePixelRatioF()));
        }
    }
    for (auto* action : widget->actions())
        if (const auto v = action->property(kIcon); v.isValid())
            action->setIcon(tintedIcon(v.toString(), theme));
    if (auto* dressed = dynamic_cast<Dressed*>(widget))
        dressed->setTheme(theme);
}

} // namespace

void setMargins(QLayout* layout, int left, int top, int right, int bottom, int spacing) {
    layout->setProperty(kMargins, QVariantList{left, top, right, bottom, spacing});
    layout->setContentsMargins(left, top, right, bottom);
    layout->setSpacing(spacing);
}

void setFixedHeight(QWidget* widget, int height) {
    widget->setProperty(kHeight, height);
}

void setFixedWidth(QWidget* widget, int width) {
    widget->setProperty(kWidth, width);
}

void setMinimumWidth(QWidget* widget, int width) {
    widget->setProperty(kMinWidth, width);
}

void setMinimumHeight(QWidget* widget, int height) {
    widget->setProperty(kMinHeight, height);
}

void setIcon(QAbstractButton* button, const QString& icon, Role role) {
    button->setProperty(kIcon, icon);
    button->setProperty(kIconRole, int(role));
}

void setIcon(QAction* action, const QString& icon) {
    action->setProperty(kIcon, icon);
}

void setIcon(QLabel* label, const QString& icon, Role role) {
    label->setProperty(kIcon, icon);
    label->setProperty(kIconRole, int(role));
}

void setReservedText(QWidget* widget, const QString& sample) {
    widget->setProperty(kReserved, sample);
}

void dress(QWidget* root, const Theme& theme) {
    dressWidget(root, theme);
    for (auto* child : root->findChildren<QWidget*>())
        dressWidget(child, theme);
}

} // namespace canopy::ui::dresser
