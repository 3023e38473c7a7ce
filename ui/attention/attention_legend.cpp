#include "ui/attention/attention_legend.h"

#include <QPainter>

#include "ui/attention/attention_selection.h"

namespace canopy::ui {
namespace {

constexpr int kRow = 18; ///< pixels at scale 1

struct Entry {
    QString mark; ///< a letter, or "-", "/", "." for reused, warm-up, not run
    QString words;
};

std::vector<Entry> reuseEntries() {
    return {{QStringLiteral("-"), AttentionLegend::tr("reused")},
            {QStringLiteral("d"), reasonWords(RefreshReason::Drift)},
            {QStringLiteral("g"), reasonWords(RefreshReason::Gate)},
            {QStringLiteral("m"), reasonWords(RefreshReason::Age)},
            {QStringLiteral("c"), reasonWords(RefreshReason::Cap)},
            {QStringLiteral("1"), AttentionLegend::tr("first")},
            {QStringLiteral("s"), AttentionLegend::tr("schedule")},
            {QStringLiteral("/"), AttentionLegend::tr("warm-up")},
            {QStringLiteral("."), AttentionLegend::tr("not run")}};
}

} // namespace

AttentionLegend::AttentionLegend(Map map, QWidget* parent)
    : QWidget(parent)
    , m_map(map) {
    setObjectName(map == Map::Heads ? QStringLiteral("headLegend") : QStringLiteral("reuseLegend"));
    setAccessibleName(
        map == Map::Heads
            ? tr("Legend: dark is few kept, bright is all; square with dot dense, dot mask chosen anew, no "
                 "mark mask reused")
            : tr("Legend: line reused; letters say why a mask was chosen anew: d drift, g layer gate, m "
                 "maximum age, c hard cap, 1 first, s schedule; hatch warm-up, dots not run"));
    setToolTip(accessibleName());
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void AttentionLegend::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize AttentionLegend::sizeHint() const {
    return {m_theme.px(320), m_theme.px(m_map == Map::Heads ? 3 * kRow : 2 * kRow)};
}

QSize AttentionLegend::minimumSizeHint() const {
    return {m_theme.px(120), sizeHint().height()};
}

void AttentionLegend::paintHeads(QPainter& painter) const {
    const double row = m_theme.px(kRow), barWidth = m_theme.px(116), barHeight = m_theme.px(12);
    const double top = (row - barHeight) / 2;
    for (int x = 0; x < int(barWidth); ++x)
        painter.fillRect(QRectF(x, top, 1, barHeight), m_theme.maps().continuous(x / (barWidth - 1)));
    painter.setFont(m_theme.font(TextStyle::Caption));
    painter.setPen(m_theme.colour(Role::Text2));
    const QRectF below(0, row, barWidth, row);
    painter.drawText(below, Qt::AlignLeft | Qt::AlignVCenter, QStringLiteral("0"));
    painter.drawText(below, Qt::AlignHCenter | Qt::AlignVCenter, tr("pairs kept"));
    painter.drawText(below, Qt::AlignRight | Qt::AlignVCenter, QStringLiteral("1"));

    const double x = m_theme.px(140), w = m_theme.px(22), h = m_theme.px(13);
    const auto entry = [&](int index, double kept, const QString& words) {
        const QRectF box(x, index * row + (row - h) / 2, w, h);
        painter.setRenderHint(QPainter::Antialiasing, false);
        painter.fillRect(box, m_theme.maps().continuous(kept));
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(QRectF(x + w + m_theme.px(8), index * row, width(), row),
                         Qt::AlignLeft | Qt::AlignVCenter, words);
        return box;
    };
    const QRectF dense = entry(0, 1, tr("dense, warm-up"));
    painter.setPen(QPen(Qt::black, m_theme.scale()));
    painter.setBrush(Qt::NoBrush);
    const double half = 3.5 * m_theme.scale();
    painter.drawRect(QRectF(dense.center().x() - half, dense.center().y() - half, 2 * half, 2 * half));
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(Qt::NoPen);
    painter.setBrush(Qt::black);
    painter.drawEllipse(dense.center(), 1.5 * m_theme.scale(), 1.5 * m_theme.scale());
    const QRectF anew = entry(1, 0.25, tr("mask chosen anew"));
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(Qt::NoPen);
    painter.setBrush(Qt::white);
    painter.drawEllipse(anew.center(), 2 * m_theme.scale(), 2 * m_theme.scale());
    entry(2, 0.25, tr("mask reused"));
}

void AttentionLegend::paintReuse(QPainter& painter) const {
    painter.setFont(m_theme.font(TextStyle::Caption));
    const double row = m_theme.px(kRow), w = m_theme.px(13);
    double x = 0, y = 0;
    for (const Entry& entry : reuseEntries()) {
        const double words = painter.fontMetrics().horizontalAdvance(entry.words);
        const double all = w + m_theme.px(6) + words + m_theme.px(14);
        if (x + all > width() && x > 0) {
            x = 0;
            y += row;
        }
        const QRectF box(x, y + (row - w) / 2, w, w);
        painter.setRenderHint(QPainter::Antialiasing, false);
        if (entry.mark == u"-") {
            const double h = 3 * m_theme.scale();
            painter.fillRect(QRectF(box.left(), box.center().y() - h / 2, w, h),
                             m_theme.colour(Role::Reused));
        } else if (entry.mark == u"/") {
            painter.save();
            painter.setClipRect(box);
            painter.setRenderHint(QPainter::Antialiasing);
            painter.setPen(QPen(m_theme.colour(Role::Forced), m_theme.scale()));
            for (double d = 0; d < 2 * w; d += 4 * m_theme.scale())
                painter.drawLine(QPointF(box.left() + d, box.top()),
                                 QPointF(box.left() + d - w, box.bottom()));
            painter.restore();
        } else if (entry.mark == u".") {
            painter.setRenderHint(QPainter::Antialiasing);
            painter.setPen(Qt::NoPen);
            painter.setBrush(m_theme.colour(Role::Outline));
            painter.drawEllipse(box.center(), m_theme.scale(), m_theme.scale());
        } else {
            painter.fillRect(box, m_theme.colour(Role::Computed));
            painter.setPen(m_theme.isDark() ? Qt::black : Qt::white);
            painter.setFont(m_theme.monoFont(TextStyle::Caption));
            painter.drawText(box, Qt::AlignCenter, entry.mark);
            painter.setFont(m_theme.font(TextStyle::Caption));
        }
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(QRectF(x + w + m_theme.px(6), y, words + 2, row), Qt::AlignLeft | Qt::AlignVCenter,
                         entry.words);
        x += all;
    }
}

void AttentionLegend::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (m_map == Map::Heads)
        paintHeads(painter);
    else
        paintReuse(painter);
}

} // namespace canopy::ui
