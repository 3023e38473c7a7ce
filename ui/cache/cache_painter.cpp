#include "ui/cache/cache_painter.h"

#include <cmath>

#include <QPainter>

namespace canopy::ui {
namespace {

constexpr double kDotStep = 6; ///< pixels at scale 1
constexpr double kHatchStep = 4;
constexpr double kLineStep = 3;

} // namespace

void paintKeptShare(QPainter& painter, const QRectF& bar, const CacheScene& scene, int chunk,
                    const Theme& theme) {
    const auto& kept = scene.kept;
    const bool inMemory = std::size_t(chunk) < kept.size() && kept[std::size_t(chunk)].has_value();
    if (inMemory) {
        const double share = kept[std::size_t(chunk)]->share;
        const QRectF part(bar.left(), bar.top(), bar.width() * share, bar.height());
        if (share < 1 - 1e-9)
            paintCompressed(painter, part, theme);
        else
            painter.fillRect(part, theme.colour(Role::Computed));
    }
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(theme.colour(inMemory ? Role::Outline : Role::Line), 1));
    painter.drawRect(bar.adjusted(0, 0, -1, -1));
}

void paintHatch(QPainter& painter, const QRectF& area, Role role, const Theme& theme) {
    painter.save();
    painter.setClipRect(area, Qt::IntersectClip);
    painter.setRenderHint(QPainter::Antialiasing, true);
    const double step = kHatchStep * theme.scale();
    painter.setPen(QPen(theme.colour(role), (theme.isHighContrast() ? 2.0 : 1.6) * theme.scale()));
    // Lines start at multiples of the step, so that cells next to each other share one hatch.
    const double first = std::floor((area.left() + area.top()) / step) * step;
    for (double d = first; d < area.right() + area.bottom() + step; d += step)
        painter.drawLine(QPointF(d - area.top(), area.top()), QPointF(d - area.bottom(), area.bottom()));
    painter.restore();
}

void paintCompressed(QPainter& painter, const QRectF& area, const Theme& theme) {
    const double step = kLineStep * theme.scale(), w = std::max(1.0, std::floor(step / 2));
    for (double y = area.top(); y < area.bottom(); y += step)
        painter.fillRect(QRectF(area.left(), y, area.width(), std::min(w, area.bottom() - y)),
                         theme.colour(Role::Compressed));
}

void paintCacheState(QPainter& painter, const QRectF& cell, CacheState state, const Theme& theme) {
    switch (state) {
    case CacheState::Computed:
        painter.fillRect(cell, theme.colour(Role::Computed));
        return;
    case CacheState::Reused:
        painter.fillRect(QRectF(cell.left(), std::floor(cell.center().y()), cell.width(), 1),
                         theme.colour(Role::Reused));
        return;
    case CacheState::Forced:
        paintHatch(painter, cell, Role::Forced, theme);
        return;
    case CacheState::NotRun: {
        const double step = kDotStep * theme.scale(), y = std::floor(cell.center().y());
        for (double x = std::ceil(cell.left() / step) * step; x < cell.right(); x += step)
            painter.fillRect(QRectF(x, y, 1, 1), theme.colour(Role::Outline));
    }
    }
}

void paintPlayheadAt(QPainter& painter, double x, double top, double bottom, const Theme& theme) {
    const double u = theme.scale(), w = 5 * u;
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(QRectF(x - 1, top, 3, bottom - top), theme.colour(Role::Casing));
    painter.fillRect(QRectF(x, top, 1, bottom - top), theme.colour(Role::Playhead));
    painter.setRenderHint(QPainter::Antialiasing, true);
    painter.setPen(QPen(theme.colour(Role::Casing), 1));
    painter.setBrush(theme.colour(Role::Playhead));
    painter.drawPolygon(QPolygonF({{x - w, top - 10 * u},
                                   {x + w + 1, top - 10 * u},
                                   {x + w + 1, top - 4 * u},
                                   {x + 0.5, top + 1 * u},
                                   {x - w, top - 4 * u}}));
    painter.setRenderHint(QPainter::Antialiasing, false);
}

void paintCellCursor(QPainter& painter, const QRectF& cell, const Theme& theme) {
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(theme.colour(Role::Casing), 4, Qt::SolidLine, Qt::SquareCap, Qt::MiterJoin));
    painter.drawRect(cell.adjusted(-1, -1, 1, 1));
    painter.setPen(QPen(theme.colour(Role::Playhead), 2, Qt::SolidLine, Qt::SquareCap, Qt::MiterJoin));
    painter.drawRect(cell.adjusted(-1, -1, 1, 1));
    painter.restore();
}

} // namespace canopy::ui
