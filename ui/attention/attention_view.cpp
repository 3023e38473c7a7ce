#include "ui/attention/attention_view.h"

#include <algorithm>

#include <QFocusEvent>
#include <QPainter>

namespace canopy::ui {

AttentionView::AttentionView(AttentionSelection* selection, const QString& name, const char* objectName,
                             QWidget* parent)
    : QWidget(parent)
    , m_selection(selection) {
    setObjectName(QLatin1String(objectName));
    setAccessibleName(name);
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    const auto changed = [this] {
        describe();
        update();
    };
    connect(selection, &AttentionSelection::runChanged, this, changed);
    connect(selection, &AttentionSelection::cellChanged, this, changed);
}

void AttentionView::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

void AttentionView::describe() {
    setAccessibleDescription(m_selection->isEmpty() ? QString() : m_selection->words(m_selection->cell()));
}

void AttentionView::paintHead(QPainter& painter, const QRectF& box, const AttentionCell& cell) const {
    const HeadState state = m_selection->stateOf(cell);
    painter.setRenderHint(QPainter::Antialiasing, false);
    if (state == HeadState::NotRun || state == HeadState::NotRecorded) {
        painter.fillRect(box, m_theme.colour(Role::Raised));
        if (state == HeadState::NotRecorded)
            paintHatch(painter, box, m_theme.colour(Role::Text3));
        return;
    }
    const double kept = m_selection->keptShare(cell);
    painter.fillRect(box, m_theme.maps().continuous(kept));
    if (state == HeadState::Reused)
        return;
    const QColor ink = kept < 0.55 ? QColor(Qt::white) : QColor(Qt::black);
    const double side = std::min(box.width(), box.height());
    painter.setRenderHint(QPainter::Antialiasing);
    const double dot = std::clamp(side * 0.14, 1.2, 3.0 * m_theme.scale());
    if (state == HeadState::Dense) {
        const double half = std::clamp(side * 0.28, 2.5, 7.0 * m_theme.scale());
        painter.setRenderHint(QPainter::Antialiasing, false);
        painter.setPen(QPen(ink, std::max(1.0, m_theme.scale())));
        painter.setBrush(Qt::NoBrush);
        painter.drawRect(QRectF(box.center().x() - half, box.center().y() - half, 2 * half, 2 * half));
        painter.setRenderHint(QPainter::Antialiasing);
    }
    painter.setPen(Qt::NoPen);
    painter.setBrush(ink);
    painter.drawEllipse(box.center(), dot, dot);
}

void AttentionView::paintCursor(QPainter& painter, const QRectF& box) const {
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(
        QPen(m_theme.colour(Role::Casing), 4 * m_theme.scale(), Qt::SolidLine, Qt::SquareCap, Qt::MiterJoin));
    painter.drawRect(box);
    painter.setPen(QPen(m_theme.colour(Role::Playhead), 2 * m_theme.scale(), Qt::SolidLine, Qt::SquareCap,
                        Qt::MiterJoin));
    painter.drawRect(box);
}

void AttentionView::paintHatch(QPainter& painter, const QRectF& box, const QColor& colour) const {
    painter.save();
    painter.setClipRect(box);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(colour, m_theme.isHighContrast() ? 2 : m_theme.scale()));
    const double gap = 4 * m_theme.scale();
    for (double d = 0; d < box.width() + box.height(); d += gap)
        painter.drawLine(QPointF(box.left() + d, box.top()),
                         QPointF(box.left() + d - box.height(), box.bottom()));
    painter.restore();
}

void AttentionView::paintHint(QPainter& painter, const QString& text) const {
    painter.setFont(m_theme.font(TextStyle::Label));
    painter.setPen(m_theme.colour(Role::Text3));
    painter.drawText(QRectF(rect()).adjusted(m_theme.px(8), 0, -m_theme.px(8), 0),
                     Qt::AlignCenter | Qt::TextWordWrap, text);
}

void AttentionView::focusRing(QPainter& painter) const {
    if (!m_keyboardFocus)
        return;
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(m_theme.colour(Role::Focus), 2));
    painter.drawRect(rect().adjusted(1, 1, -1, -1));
}

void AttentionView::focusInEvent(QFocusEvent* event) {
    m_keyboardFocus =
        event->reason() != Qt::MouseFocusReason && event->reason() != Qt::ActiveWindowFocusReason;
    update();
}

void AttentionView::focusOutEvent(QFocusEvent*) {
    m_keyboardFocus = false;
    update();
}

void AttentionView::leaveEvent(QEvent*) {
    Q_EMIT hovered({});
}

} // namespace canopy::ui
