#include "ui/cache/kv_memory_view.h"

#include <algorithm>
#include <cmath>

#include <QLocale>
#include <QMouseEvent>
#include <QPainter>

#include "ui/cache/cache_painter.h"

namespace canopy::ui {
namespace {

constexpr int kRight = 88; ///< pixels at scale 1

} // namespace

QString bytesText(std::uint64_t bytes) {
    const double gb = double(bytes) / 1e9, mb = double(bytes) / 1e6;
    if (gb >= 1)
        return KvMemoryView::tr("%1 GB").arg(QLocale().toString(gb, 'f', 1));
    return KvMemoryView::tr("%1 MB").arg(QLocale().toString(mb, 'f', mb < 100 ? 1 : 0));
}

KvMemoryView::KvMemoryView(CacheSelection* selection, QWidget* parent)
    : CacheView(selection, tr("Memory of keys and values over the rows of the schedule"), "kvMemoryView",
                parent) {
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

QSize KvMemoryView::sizeHint() const {
    return {m_theme.px(460), m_theme.px(104)};
}

QSize KvMemoryView::minimumSizeHint() const {
    return {m_theme.px(240), m_theme.px(104)};
}

QRectF KvMemoryView::area() const {
    return {0, double(m_theme.px(8)), std::max(1.0, double(width() - m_theme.px(kRight))),
            double(height() - m_theme.px(8 + 20))};
}

int KvMemoryView::rows() const {
    const int seen = scene().memory.empty() ? 0 : scene().memory.back().row + 1;
    return std::max({1, scene().rows, seen});
}

int KvMemoryView::rowAt(double x) const {
    const QRectF a = area();
    const int row = int(std::floor((x - a.left()) / a.width() * rows()));
    return x >= a.left() && row < rows() ? row : -1;
}

QString KvMemoryView::wordsOf(const KvRow& row) const {
    const double share = scene().capacityRows
                             ? double(row.finishedRows + row.activeRows) / double(scene().capacityRows) * 100
                             : 0;
    return tr("row %1: %2, %3 % of the room; keys of %4 tokens of finished chunks, %5 in flight")
        .arg(row.row)
        .arg(bytesText(row.bytes), QLocale().toString(share, 'f', 0),
             QLocale().toString(qlonglong(row.finishedRows)), QLocale().toString(qlonglong(row.activeRows)));
}

void KvMemoryView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (scene().memory.empty()) {
        paintSentence(painter, rect(), scene().isEmpty() ? QString() : tr("No row has run yet."));
        return focusRing(painter);
    }
    const QRectF a = area();
    const double slot = a.width() / rows();
    const double most = double(std::max<std::int64_t>(1, scene().capacityRows)) * 1.08;
    const auto height = [&](std::int64_t tokens) { return std::round(a.height() * double(tokens) / most); };
    for (const auto& row : scene().memory) {
        const double left = std::round(a.left() + slot * row.row),
                     right = std::round(a.left() + slot * (row.row + 1));
        const double finished = height(row.finishedRows), active = height(row.activeRows);
        const QRectF low(left, a.bottom() - finished, right - left, finished);
        painter.fillRect(QRectF(left, low.top() - active, right - left, active),
                         m_theme.colour(Role::Computed));
        paintCompressed(painter, low, m_theme);
    }
    for (const auto& squeeze : scene().squeezes) {
        const double x = std::round(a.left() + slot * (squeeze.row + 1));
        painter.fillRect(QRectF(x, a.top(), 1, a.height()), m_theme.colour(Role::Text3));
    }
    painter.fillRect(QRectF(a.left(), a.bottom(), a.width(), 1), m_theme.colour(Role::Outline));
    painter.setPen(QPen(m_theme.colour(Role::Forced), 1, Qt::DashLine));
    const double room = a.bottom() - height(scene().capacityRows);
    painter.drawLine(QPointF(a.left(), room), QPointF(a.right(), room));
    painter.setFont(m_theme.monoFont(TextStyle::Caption));
    const double h = painter.fontMetrics().height();
    painter.setPen(m_theme.colour(Role::Text2));
    painter.drawText(QRectF(a.right() + m_theme.px(8), room - h / 2, m_theme.px(kRight), h), Qt::AlignLeft,
                     tr("room %1").arg(bytesText(scene().capacityBytes)));
    const auto& newest = scene().memory.back();
    const double used = a.bottom() - height(newest.finishedRows + newest.activeRows) - h / 2;
    painter.setPen(m_theme.colour(Role::Text));
    painter.drawText(QRectF(a.right() + m_theme.px(8), std::clamp(used, room + h / 2, a.bottom() - h),
                            m_theme.px(kRight), h),
                     Qt::AlignLeft, bytesText(newest.bytes));
    painter.setPen(m_theme.colour(Role::Text2));
    painter.drawText(QRectF(a.left(), a.bottom() + m_theme.px(4), a.width(), h), Qt::AlignLeft, tr("row 0"));
    painter.drawText(QRectF(a.left(), a.bottom() + m_theme.px(4), a.width(), h), Qt::AlignRight,
                     QString::number(rows() - 1));
    if (const CacheCell* cell = m_selection->cell(); cell && cell->row >= 0) {
        const double x = std::round(a.left() + slot * (cell->row + 0.5));
        painter.fillRect(QRectF(x - 1, a.top(), 3, a.height()), m_theme.colour(Role::Casing));
        painter.fillRect(QRectF(x, a.top(), 1, a.height()), m_theme.colour(Role::Playhead));
    }
    focusRing(painter);
}

void KvMemoryView::mousePressEvent(QMouseEvent* event) {
    const int row = rowAt(event->position().x());
    for (int c = scene().chunkCount() - 1; row >= 0 && c >= 0; --c)
        for (int s = 0; s < scene().steps; ++s)
            if (scene().cell(c, s).row == row)
                return m_selection->select(c, s);
}

void KvMemoryView::mouseMoveEvent(QMouseEvent* event) {
    const int row = rowAt(event->position().x());
    const auto& memory = scene().memory;
    const auto found =
        std::find_if(memory.begin(), memory.end(), [row](const KvRow& r) { return r.row == row; });
    Q_EMIT m_selection->hovered(found != memory.end() ? wordsOf(*found) : QString());
}

} // namespace canopy::ui
