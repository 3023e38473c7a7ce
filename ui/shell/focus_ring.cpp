#include "ui/shell/focus_ring.h"

#include <QAbstractButton>
#include <QApplication>
#include <QFocusEvent>
#include <QPainter>

namespace canopy::ui {

FocusRing::FocusRing(QWidget* window)
    : QWidget(window) {
    setObjectName(QStringLiteral("focusRing"));
    setAttribute(Qt::WA_TransparentForMouseEvents);
    setFocusPolicy(Qt::NoFocus);
    hide();
    qApp->installEventFilter(this);
}

void FocusRing::setTheme(const Theme& theme) {
    m_theme = theme;
    place();
}

bool FocusRing::eventFilter(QObject* watched, QEvent* event) {
    switch (event->type()) {
    case QEvent::FocusIn: {
        auto* widget = qobject_cast<QAbstractButton*>(watched);
        const auto reason = static_cast<QFocusEvent*>(event)->reason();
        const bool byKeys = reason == Qt::TabFocusReason || reason == Qt::BacktabFocusReason ||
                            reason == Qt::ShortcutFocusReason || reason == Qt::OtherFocusReason;
        if (widget && widget->window() == window())
            follow(byKeys ? widget : nullptr);
        else if (qobject_cast<QWidget*>(watched))
            follow(nullptr);
        break;
    }
    case QEvent::Move:
    case QEvent::Resize:
    case QEvent::Hide:
        if (watched == m_target)
            place();
        break;
    case QEvent::FocusOut:
        if (watched == m_target)
            follow(nullptr);
        break;
    default:
        break;
    }
    return false;
}

void FocusRing::follow(QWidget* target) {
    m_target = target;
    place();
}

void FocusRing::place() {
    if (!m_target || !m_target->isVisible()) {
        hide();
        return;
    }
    const int gap = 4;
    const QPoint corner = m_target->mapTo(window(), QPoint(0, 0));
    setGeometry(QRect(corner, m_target->size()).adjusted(-gap, -gap, gap, gap));
    raise();
    show();
    update();
}

void FocusRing::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const QString kind = m_target ? m_target->property("kind").toString() : QString();
    const bool onAccent = kind.startsWith(QLatin1String("primary")) && kind != QLatin1String("primaryMenu");
    painter.setPen(QPen(m_theme.colour(onAccent ? Role::FocusOnAccent : Role::Focus), 2));
    const double radius = m_theme.px(7);
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), radius, radius);
}

} // namespace canopy::ui
