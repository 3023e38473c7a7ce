#include "ui/attention/head_grid.h"

#include <algorithm>
#include <cmath>

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {
namespace {

constexpr int kLeft = 28, kTop = 20; ///< room of the numbers, pixels at scale 1
constexpr double kLargestWidth = 44, kLargestHeight = 32;

/// Every first, second, fifth, ... number, so that they stand `room` apart.
int labelStep(double cell, double room) {
    for (const int step : {1, 2, 3, 5, 10, 20})
        if (step * cell >= room)
            return step;
    return 50;
}

} // namespace

HeadGrid::HeadGrid(AttentionSelection* selection, QWidget* parent)
    : AttentionView(selection, tr("Kept share, layers by heads"), "headGrid", parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    // What follows stands right below the last layer.
    connect(selection, &AttentionSelection::runChanged, this, [this] {
        const int layers = m_selection->layers();
        setMaximumHeight(layers > 0 ? m_theme.px(kTop + layers * kLargestHeight) : QWIDGETSIZE_MAX);
    });
}

QSize HeadGrid::sizeHint() const {
    return {m_theme.px(320), m_theme.px(420)};
}

QSize HeadGrid::minimumSizeHint() const {
    return {m_theme.px(200), m_theme.px(140)};
}

QRectF HeadGrid::area() const {
    const int layers = std::max(1, m_selection->layers()), heads = std::max(1, m_selection->heads());
    const double left = m_theme.px(kLeft), top = m_theme.px(kTop);
    const double width = std::min(this->width() - left, heads * kLargestWidth * m_theme.scale());
    const double height = std::min(this->height() - top, layers * kLargestHeight * m_theme.scale());
    return {left, top, width, height};
}

QRectF HeadGrid::boxOf(int layer, int head) const {
    const QRectF all = area();
    const double w = all.width() / std::max(1, m_selection->heads());
    const double h = all.height() / std::max(1, m_selection->layers());
    const double x0 = std::round(all.left() + head * w), x1 = std::round(all.left() + (head + 1) * w);
    const double y0 = std::round(all.top() + layer * h), y1 = std::round(all.top() + (layer + 1) * h);
    return {x0, y0, x1 - x0 - 1, y1 - y0 - 1};
}

void HeadGrid::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (m_selection->isEmpty())
        return paintHint(painter, tr("Layers and heads appear here with the first step of a clip made with "
                                     "sparse attention."));
    const AttentionCell now = m_selection->cell();
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    const QRectF all = area();
    const int heads = m_selection->heads(), layers = m_selection->layers();
    const int everyHead = labelStep(all.width() / heads, m_theme.px(20));
    const int everyLayer = labelStep(all.height() / layers, m_theme.px(16));
    for (int h = 0; h < heads; ++h) {
        if (h % everyHead != 0 && h != now.head)
            continue;
        painter.setPen(m_theme.colour(h == now.head ? Role::Text : Role::Text3));
        const QRectF box = boxOf(0, h);
        painter.drawText(QRectF(box.center().x() - m_theme.px(20), 0, m_theme.px(40), m_theme.px(kTop - 4)),
                         Qt::AlignHCenter | Qt::AlignBottom, QString::number(h));
    }
    for (int l = 0; l < layers; ++l) {
        const QRectF first = boxOf(l, 0);
        // The chosen layer's number pushes its neighbours' away.
        const bool crowded = l != now.layer && std::abs(l - now.layer) < everyLayer;
        if (l == now.layer || (l % everyLayer == 0 && !crowded)) {
            painter.setPen(m_theme.colour(l == now.layer ? Role::Text : Role::Text3));
            painter.drawText(QRectF(0, first.top(), m_theme.px(kLeft - 8), first.height()),
                             Qt::AlignRight | Qt::AlignVCenter, QString::number(l));
        }
        for (int h = 0; h < heads; ++h)
            paintHead(painter, boxOf(l, h), {now.step, l, h, now.branch});
    }
    paintCursor(painter, boxOf(now.layer, now.head));
    focusRing(painter);
}

std::optional<AttentionCell> HeadGrid::cellAt(const QPointF& point) const {
    const QRectF all = area();
    if (m_selection->isEmpty() || !all.contains(point))
        return std::nullopt;
    AttentionCell cell = m_selection->cell();
    cell.layer = int((point.y() - all.top()) / all.height() * m_selection->layers());
    cell.head = int((point.x() - all.left()) / all.width() * m_selection->heads());
    return cell;
}

void HeadGrid::mousePressEvent(QMouseEvent* event) {
    if (const auto cell = cellAt(event->position()))
        m_selection->setHead(cell->layer, cell->head);
}

void HeadGrid::mouseMoveEvent(QMouseEvent* event) {
    const auto cell = cellAt(event->position());
    Q_EMIT hovered(cell ? m_selection->words(*cell) : QString());
}

void HeadGrid::keyPressEvent(QKeyEvent* event) {
    const AttentionCell cell = m_selection->cell();
    switch (event->key()) {
    case Qt::Key_Left:
        return m_selection->setHead(cell.layer, cell.head - 1);
    case Qt::Key_Right:
        return m_selection->setHead(cell.layer, cell.head + 1);
    case Qt::Key_Up:
        return m_selection->setHead(cell.layer - 1, cell.head);
    case Qt::Key_Down:
        return m_selection->setHead(cell.layer + 1, cell.head);
    case Qt::Key_Home:
        return m_selection->setHead(0, 0);
    case Qt::Key_End:
        return m_selection->setHead(m_selection->layers() - 1, m_selection->heads() - 1);
    case Qt::Key_PageUp:
        return m_selection->setStep(cell.step - 1);
    case Qt::Key_PageDown:
        return m_selection->setStep(cell.step + 1);
    default:
        QWidget::keyPressEvent(event);
    }
}

} // namespace canopy::ui
