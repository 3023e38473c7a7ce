#include "ui/tokens/token_painter.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <QPainter>
#include <QPainterPath>

#include "ui/tokens/link_painter.h"
#include "ui/tokens/probe_painter.h"

namespace canopy::ui {
namespace {

struct Pen {
    const Theme& theme;
    QPainter& painter;
    double unit; ///< one logical pixel at scale 1

    void frame(const QRectF& rect, double width, const QColor& colour) {
        // Inside the cell, so that neighbours of different trees do not hide each other.
        const double h = width / 2;
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(colour, width, Qt::SolidLine, Qt::SquareCap, Qt::MiterJoin));
        painter.drawRect(rect.adjusted(h, h, -h, -h));
    }
};

/// Four corner marks: the sign of a leaf.
void corners(QPainter& painter, const QRectF& rect, double width, const QColor& colour) {
    const double lx = rect.width() * 0.28, ly = rect.height() * 0.32, h = width / 2;
    const QRectF r = rect.adjusted(h, h, -h, -h);
    QPainterPath path;
    const auto corner = [&](QPointF at, double sx, double sy) {
        path.moveTo(at + QPointF(sx * lx, 0));
        path.lineTo(at);
        path.lineTo(at + QPointF(0, sy * ly));
    };
    corner(r.topLeft(), 1, 1);
    corner(r.topRight(), -1, 1);
    corner(r.bottomLeft(), 1, -1);
    corner(r.bottomRight(), -1, -1);
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(colour, width, Qt::SolidLine, Qt::SquareCap, Qt::MiterJoin));
    painter.drawPath(path);
}

void hatch(QPainter& painter, const QRectF& rect, const QRectF& picture, const Theme& theme) {
    // One set of lines over the whole picture: neighbouring cells join without a seam.
    const auto& maps = theme.maps();
    const double spacing = std::max(3.0, maps.hatchSpacing * theme.scale());
    const double step = spacing * std::sqrt(2.0);
    painter.save();
    painter.setClipRect(rect, Qt::IntersectClip);
    painter.setPen(QPen(maps.hatch, theme.isHighContrast() ? 2.0 : maps.hatchWidth * theme.scale()));
    const double left = rect.left() - picture.left(), top = rect.top() - picture.top();
    const double from = left + top, to = from + rect.width() + rect.height();
    for (double d = std::ceil(from / step) * step; d < to; d += step)
        painter.drawLine(
            QPointF(picture.left() + d - top, picture.top() + top),
            QPointF(picture.left() + d - top - rect.height(), picture.top() + top + rect.height()));
    painter.restore();
}

void kept(Pen& pen, const QRectF& rect, const TokenScene& scene, int cell, bool small) {
    const int node = scene.node(cell);
    const auto& maps = pen.theme.maps();
    const QColor colour = node < 0 ? maps.plateText : maps.tree(scene.tree(cell));
    if (small)
        return pen.frame(rect, 1, colour);
    const double u = pen.unit;
    // A dark edge outside the colour keeps it apart from any picture.
    const QRectF inner = rect.adjusted(u, u, -u, -u);
    const auto frame = [&](double width) {
        pen.frame(rect, width + 2 * u, maps.treeCasing);
        pen.frame(inner, width, colour);
    };
    if (node < 0)
        return frame(2 * u);
    switch (scene.cut().role[std::size_t(node)]) {
    case NodeRole::Root: {
        frame(3 * u);
        const double side = std::min({10 * u, rect.width() / 2, rect.height() / 2});
        pen.painter.fillRect(QRectF(inner.topLeft(), QSizeF(side, side)), colour);
        return;
    }
    case NodeRole::Trunk:
        return frame(2 * u);
    case NodeRole::Leaf:
        corners(pen.painter, rect, 4 * u, maps.treeCasing);
        return corners(pen.painter, inner, 2 * u, colour);
    }
}

/// Kept by one of two runs only: a filled wedge, left for this run, right for the other.
void wedge(Pen& pen, const QRectF& rect, bool mine) {
    const double side = std::min(rect.width(), rect.height()) * 0.45;
    QPainterPath path;
    const QPointF corner = mine ? rect.bottomLeft() : rect.bottomRight();
    path.moveTo(corner);
    path.lineTo(corner + QPointF(mine ? side : -side, 0));
    path.lineTo(corner + QPointF(0, -side));
    path.closeSubpath();
    pen.painter.setPen(QPen(pen.theme.maps().treeCasing, pen.unit));
    pen.painter.setBrush(mine ? pen.theme.maps().plateText : pen.theme.maps().treeCasing);
    pen.painter.drawPath(path);
    pen.painter.setBrush(Qt::NoBrush);
    if (!mine)
        pen.frame(rect, pen.unit, pen.theme.maps().plateText);
}

void cursorFrame(Pen& pen, const QRectF& rect) {
    pen.frame(rect, 4 * pen.unit, pen.theme.colour(Role::Casing));
    pen.frame(rect.adjusted(pen.unit, pen.unit, -pen.unit, -pen.unit), 2 * pen.unit,
              pen.theme.colour(Role::Playhead));
}

} // namespace

QRectF cellRect(const TokenRun& run, const QRectF& picture, int row, int column) {
    // Edges on whole pixels: cells of unequal width by one are better than blurred lines.
    const auto edge = [](double from, double length, int i, int n) {
        return std::round(from + length * i / n);
    };
    const double x0 = edge(picture.left(), picture.width(), column, run.columns);
    const double x1 = edge(picture.left(), picture.width(), column + 1, run.columns);
    const double y0 = edge(picture.top(), picture.height(), row, run.rows);
    const double y1 = edge(picture.top(), picture.height(), row + 1, run.rows);
    return {x0, y0, x1 - x0, y1 - y0};
}

int cellAt(const TokenRun& run, const QRectF& picture, int sample, const QPointF& point) {
    if (!picture.contains(point) || picture.width() <= 0 || picture.height() <= 0 || sample < 0)
        return -1;
    const int column =
        std::min(run.columns - 1, int((point.x() - picture.left()) / picture.width() * run.columns));
    const int row = std::min(run.rows - 1, int((point.y() - picture.top()) / picture.height() * run.rows));
    return (sample * run.rows + row) * run.columns + column;
}

void paintTokens(QPainter& painter, const QRectF& picture, const TokenScene& scene, const TokenPaint& what,
                 const Theme& theme) {
    if (scene.isEmpty() || what.sample < 0 || what.look == TokenLook::Picture)
        return;
    const TokenRun& run = scene.run();
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing, !what.small);
    // Borders become thinner with the cells, so that these stay in sight.
    const double side = std::min(picture.width() / run.columns, picture.height() / run.rows);
    Pen pen{theme, painter, std::min(theme.scale(), std::max(0.5, side / 14))};
    const int first = what.sample * scene.cellsPerSample();
    if (what.cosine) {
        paintProbe(painter, picture, scene, what, theme);
    } else {
        for (int i = 0; i < scene.cellsPerSample(); ++i) {
            const QRectF rect = cellRect(run, picture, i / run.columns, i % run.columns);
            const auto state = scene.state(first + i);
            if (state == CellState::Pruned)
                painter.fillRect(rect, theme.maps().prunedVeil);
            if (state == CellState::NonCandidate) {
                painter.fillRect(rect, theme.maps().nonCandidateVeil);
                if (!what.small)
                    hatch(painter, rect, picture, theme);
            }
        }
        // Where nothing was pruned and no forest grew, borders would say nothing.
        const bool bordered = scene.hasForest() || scene.keptCells() < run.cells();
        for (int i = 0; i < scene.cellsPerSample() && bordered; ++i) {
            const int cell = first + i;
            if (scene.state(cell) != CellState::Kept || (scene.keep() >= 1 && scene.node(cell) < 0))
                continue;
            kept(pen, cellRect(run, picture, i / run.columns, i % run.columns), scene, cell, what.small);
        }
        for (int i = 0; i < scene.cellsPerSample() && what.other; ++i) {
            const bool mine = scene.state(first + i) == CellState::Kept;
            if (mine != ((*what.other)[std::size_t(first + i)] != 0))
                wedge(pen, cellRect(run, picture, i / run.columns, i % run.columns), mine);
        }
    }
    if (!what.small) {
        paintLinks(painter, picture, scene, what, theme);
        if (what.cursor >= 0) {
            const CellPlace at = scene.place(what.cursor);
            cursorFrame(pen, cellRect(run, picture, at.row, at.column));
        }
    }
    painter.restore();
}

} // namespace canopy::ui
