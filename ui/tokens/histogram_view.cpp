#include "ui/tokens/histogram_view.h"

#include <algorithm>
#include <bit>

#include <QMouseEvent>
#include <QPainter>

namespace canopy::ui {
namespace {

QString classLabel(int sizeClass) {
    if (sizeClass < 2)
        return QString::number(1 << sizeClass);
    return QStringLiteral("%1-%2").arg((1 << (sizeClass - 1)) + 1).arg(1 << sizeClass);
}

} // namespace

ForestHistogram forestHistogram(const TokenScene& scene) {
    ForestHistogram result;
    const auto count = [](std::vector<int>& into, std::size_t at) {
        if (into.size() <= at)
            into.resize(at + 1, 0);
        ++into[at];
    };
    for (const auto& tree : scene.trees()) {
        count(result.byDepth, std::size_t(tree.depth));
        count(result.bySize, std::size_t(std::bit_width(tree.nodes.size() - 1)));
    }
    return result;
}

HistogramView::HistogramView(TokenLayer* layer, QWidget* parent)
    : RunView(layer, tr("Histograms of tree depth and tree size"), "histogramView", parent) {}

QSize HistogramView::sizeHint() const {
    return {m_theme.px(600), m_theme.px(124)};
}

QRectF HistogramView::half(bool right) const {
    const double gap = m_theme.px(24), w = (width() - gap) / 2.0;
    return {right ? w + gap : 0.0, double(m_theme.px(16)), w, double(height() - m_theme.px(32))};
}

std::vector<HistogramView::Bar> HistogramView::bars(const QRectF& area, const std::vector<int>& counts,
                                                    bool sizes) const {
    std::vector<Bar> result;
    if (counts.empty())
        return result;
    const int greatest = std::max(1, *std::max_element(counts.begin(), counts.end()));
    const double step = area.width() / double(counts.size());
    const double w = std::min(step * 0.8, double(m_theme.px(40)));
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double h = area.height() * counts[i] / greatest;
        result.push_back({QRectF(area.left() + step * double(i), area.bottom() - h, w, h),
                          sizes ? classLabel(int(i)) : QString::number(i), counts[i]});
    }
    return result;
}

void HistogramView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    const auto histogram = forestHistogram(scene());
    for (const bool right : {false, true}) {
        const QRectF area = half(right);
        painter.setFont(m_theme.font(TextStyle::Caption));
        painter.setPen(m_theme.colour(Role::Text2));
        painter.drawText(QRectF(area.left(), 0, area.width(), m_theme.px(14)), Qt::AlignLeft,
                         right ? tr("Trees by number of nodes") : tr("Trees by depth"));
        painter.setFont(m_theme.monoFont(TextStyle::Caption));
        const auto drawn = bars(area, right ? histogram.bySize : histogram.byDepth, right);
        const double room = drawn.empty() ? 1 : area.width() / double(drawn.size());
        int every = 1;
        while (every * room <
               painter.fontMetrics().horizontalAdvance(QStringLiteral("128-256 ")) * (right ? 1 : 0.4))
            ++every;
        for (std::size_t i = 0; i < drawn.size(); ++i) {
            const auto& bar = drawn[i];
            painter.fillRect(bar.rect, m_theme.colour(Role::Text));
            painter.fillRect(QRectF(bar.rect.left(), area.bottom(), bar.rect.width(), 1),
                             m_theme.colour(Role::Outline));
            if (int(i) % every != 0)
                continue;
            painter.setPen(m_theme.colour(Role::Text2));
            painter.drawText(QPointF(bar.rect.left(), height() - m_theme.px(3)), bar.label);
        }
    }
    focusRing(painter);
}

void HistogramView::mouseMoveEvent(QMouseEvent* event) {
    const auto histogram = forestHistogram(scene());
    for (const bool right : {false, true}) {
        const QRectF area = half(right);
        for (const auto& bar : bars(area, right ? histogram.bySize : histogram.byDepth, right))
            if (event->position().x() >= bar.rect.left() && event->position().x() <= bar.rect.right())
                return Q_EMIT hovered(right ? tr("%1 trees of %2 nodes").arg(bar.count).arg(bar.label)
                                            : tr("%1 trees of depth %2").arg(bar.count).arg(bar.label));
    }
    Q_EMIT hovered({});
}

} // namespace canopy::ui
