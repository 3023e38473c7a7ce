#include "ui/attention/reuse_timeline.h"

#include <algorithm>
#include <cmath>

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {
namespace {

constexpr int kLeft = 28, kTop = 18; ///< room of the numbers, pixels at scale 1
constexpr double kLargestWidth = 22, kRow = 15;

} // namespace

ReuseTimeline::ReuseTimeline(AttentionSelection* selection, QWidget* parent)
    : AttentionView(selection, tr("Reuse of masks, heads by steps"), "reuseTimeline", parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    connect(selection, &AttentionSelection::runChanged, this, &QWidget::updateGeometry);
}

QSize ReuseTimeline::sizeHint() const {
    const int heads = std::clamp(m_selection->heads(), 4, 40);
    return {m_theme.px(380), m_theme.px(kTop + heads * kRow)};
}

QSize ReuseTimeline::minimumSizeHint() const {
    const int heads = std::clamp(m_selection->heads(), 4, 12);
    return {m_theme.px(200), m_theme.px(kTop + heads * 12)};
}

QRectF ReuseTimeline::area() const {
    const double left = m_theme.px(kLeft), top = m_theme.px(kTop);
    const double width =
        std::min(this->width() - left, std::max(1, m_selection->steps()) * kLargestWidth * m_theme.scale());
    const double height =
        std::min(this->height() - top, std::max(1, m_selection->heads()) * (kRow + 5) * m_theme.scale());
    return {left, top, width, height};
}

QRectF ReuseTimeline::boxOf(int head, int step) const {
    const QRectF all = area();
    const double w = all.width() / std::max(1, m_selection->steps());
    const double h = all.height() / std::max(1, m_selection->heads());
    const double x0 = std::round(all.left() + step * w), x1 = std::round(all.left() + (step + 1) * w);
    const double y0 = std::round(all.top() + head * h), y1 = std::round(all.top() + (head + 1) * h);
    return {x0, y0, x1 - x0 - 1, y1 - y0 - 1};
}

void ReuseTimeline::paintCell(QPainter& painter, const QRectF& box, const AttentionCell& cell) const {
    painter.setRenderHint(QPainter::Antialiasing, false);
    switch (m_selection->stateOf(cell)) {
    case HeadState::NotRun: {
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(Qt::NoPen);
        painter.setBrush(m_theme.colour(Role::Outline));
        painter.drawEllipse(box.center(), 0.8 * m_theme.scale(), 0.8 * m_theme.scale());
        return;
    }
    case HeadState::NotRecorded:
        return paintHatch(painter, box, m_theme.colour(Role::Outline));
    case HeadState::Dense:
        painter.fillRect(box, m_theme.colour(Role::Raised));
        return paintHatch(painter, box, m_theme.colour(Role::Forced));
    case HeadState::Reused: {
        const double h = std::max(2.0, 3 * m_theme.scale());
        return painter.fillRect(QRectF(box.left(), std::round(box.center().y() - h / 2), box.width(), h),
                                m_theme.colour(Role::Reused));
    }
    case HeadState::Refreshed:
        break;
    }
    painter.fillRect(box, m_theme.colour(Role::Computed));
    if (box.width() < m_theme.px(8) || box.height() < m_theme.px(10))
        return;
    painter.setPen(m_theme.isDark() ? QColor(Qt::black) : QColor(Qt::white));
    painter.drawText(box, Qt::AlignCenter, reasonLetter(m_selection->headOf(cell)->reason));
}

void ReuseTimeline::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (m_selection->isEmpty())
        return paintHint(painter, tr("One row a head: where its mask was reused, and why it was not."));
    const AttentionCell now = m_selection->cell();
    const int steps = m_selection->steps(), heads = m_selection->heads();
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text3));
    const double cell = area().width() / std::max(1, steps);
    int every = 5;
    while (every * cell < m_theme.px(26))
        every *= 2;
    for (int s = 0; s < steps; ++s)
        if (s % every == 0 || (s == steps - 1 && s % every >= every / 2)) {
            const QRectF box = boxOf(0, s);
            painter.drawText(
                QRectF(box.center().x() - m_theme.px(20), 0, m_theme.px(40), m_theme.px(kTop - 3)),
                Qt::AlignHCenter | Qt::AlignBottom, QString::number(s));
        }
    const int everyHead = area().height() / std::max(1, heads) >= m_theme.px(12) ? 1 : 3;
    for (int h = 0; h < heads; ++h) {
        const QRectF first = boxOf(h, 0);
        if (h % everyHead == 0 || h == now.head) {
            painter.setPen(m_theme.colour(h == now.head ? Role::Text : Role::Text3));
            painter.setFont(m_theme.monoFont(TextStyle::Caption));
            painter.drawText(QRectF(0, first.top(), m_theme.px(kLeft - 8), first.height()),
                             Qt::AlignRight | Qt::AlignVCenter, QString::number(h));
        }
        for (int s = 0; s < steps; ++s)
            paintCell(painter, boxOf(h, s), {s, now.layer, h, now.branch});
    }
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(m_theme.colour(Role::Accent), std::max(1.0, m_theme.scale())));
    painter.drawRect(boxOf(now.head, 0).united(boxOf(now.head, steps - 1)).adjusted(-1, -1, 1, 1));
    paintCursor(painter, boxOf(now.head, now.step));
    focusRing(painter);
}

std::optional<AttentionCell> ReuseTimeline::cellAt(const QPointF& point) const {
    const QRectF all = area();
    if (m_selection->isEmpty() || !all.contains(point))
        return std::nullopt;
    AttentionCell cell = m_selection->cell();
    cell.head = int((point.y() - all.top()) / all.height() * m_selection->heads());
    cell.step = int((point.x() - all.left()) / all.width() * m_selection->steps());
    return cell;
}

void ReuseTimeline::mousePressEvent(QMouseEvent* event) {
    if (const auto cell = cellAt(event->position()))
        m_selection->setCell(*cell);
}

void ReuseTimeline::mouseMoveEvent(QMouseEvent* event) {
    const auto cell = cellAt(event->position());
    Q_EMIT hovered(cell ? m_selection->words(*cell) : QString());
}

void ReuseTimeline::keyPressEvent(QKeyEvent* event) {
    AttentionCell cell = m_selection->cell();
    switch (event->key()) {
    case Qt::Key_Left:
        --cell.step;
        break;
    case Qt::Key_Right:
        ++cell.step;
        break;
    case Qt::Key_Up:
        --cell.head;
        break;
    case Qt::Key_Down:
        ++cell.head;
        break;
    case Qt::Key_Home:
        cell.step = 0;
        break;
    case Qt::Key_End:
        cell.step = m_selection->newestStep();
        break;
    default:
        return QWidget::keyPressEvent(event);
    }
    m_selection->setCell(cell);
}

} // namespace canopy::ui
