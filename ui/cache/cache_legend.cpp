#include "ui/cache/cache_legend.h"

#include <array>
#include <cmath>

#include <QPainter>

#include "ui/cache/cache_painter.h"
#include "ui/cache/cache_selection.h"

namespace canopy::ui {
namespace {

constexpr int kLegendMark = 14; ///< pixels at scale 1
constexpr std::array<CacheState, 4> kLegend = {CacheState::Computed, CacheState::Reused, CacheState::Forced,
                                               CacheState::NotRun};

QString legendWord(int item) {
    return item < 4 ? stateWord(kLegend[std::size_t(item)]) : CacheLegend::tr("compressed keys");
}

} // namespace

CacheLegend::CacheLegend(QWidget* parent)
    : QWidget(parent) {
    setObjectName(QStringLiteral("cacheLegend"));
    QStringList words;
    for (int i = 0; i < 5; ++i)
        words << legendWord(i);
    setAccessibleName(tr("Legend: %1").arg(words.join(QStringLiteral(", "))));
    setToolTip(tr("Computed: full row. Reused: thin line. Forced, warm-up too: hatched. Not run: dots. "
                  "Horizontal lines in the KV row: keys of a finished chunk, squeezed."));
    setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed);
}

void CacheLegend::setTheme(const Theme& theme) {
    m_theme = theme;
    m_hasTheme = true;
    updateGeometry();
    update();
}

QSize CacheLegend::sizeHint() const {
    const QFontMetrics metrics(m_theme.font(TextStyle::Caption));
    int width = 0;
    for (int i = 0; i < 5; ++i)
        width += m_theme.px(kLegendMark + 6 + 16) + metrics.horizontalAdvance(legendWord(i));
    return {width, m_theme.px(20)};
}

QSize CacheLegend::minimumSizeHint() const {
    return {0, m_theme.px(20)};
}

void CacheLegend::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    painter.setFont(m_theme.font(TextStyle::Caption));
    double x = 0;
    for (int i = 0; i < 5; ++i) {
        const double text = painter.fontMetrics().horizontalAdvance(legendWord(i));
        const double mark = m_theme.px(kLegendMark), h = m_theme.px(10);
        if (x + mark + m_theme.px(6) + text > width())
            return; // the tooltip says the rest
        const QRectF box(x, std::round((height() - h) / 2), mark, h);
        if (i < 4)
            paintCacheState(painter, box, kLegend[std::size_t(i)], m_theme);
        else
            paintCompressed(painter, box, m_theme);
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(QRectF(x + mark + m_theme.px(6), 0, text + 2, height()), Qt::AlignVCenter,
                         legendWord(i));
        x += mark + m_theme.px(6 + 16) + text;
    }
}

} // namespace canopy::ui
