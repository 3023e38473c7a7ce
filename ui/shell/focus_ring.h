#pragma once

#include <QPointer>
#include <QWidget>

#include "ui/theme/dresser.h"

namespace canopy::ui {

/// The 2 px ring outside the control that has keyboard focus. Fields draw their own border, lists their own
/// cursor; this serves buttons and boxes. One per window, above everything, never in the way of the mouse.
class FocusRing : public QWidget, public dresser::Dressed {
    Q_OBJECT
public:
    explicit FocusRing(QWidget* window);
    void setTheme(const Theme& theme) override;

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;

private:
    void follow(QWidget* target);
    void place();

    Theme m_theme;
    QPointer<QWidget> m_target;
};

} // namespace canopy::ui
