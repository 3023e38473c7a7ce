#include "ui/tokens/probe_painter.h"

#include <algorithm>
#include <cmath>

#include <QPainter>

namespace canopy::ui {
namespace {

constexpr float kHeatOpacity = 0.72F; ///< the picture stays recognisable below

} // namespace

int spatialWindow(double spatialThreshold, int cells) {
    if (cells < 2)
        return 0;
    return int(std::floor((1 - spatialThreshold) * (cells - 1) + 1e-6));
}

void paintProbe(QPainter& painter, const QRectF& picture, const TokenScene& scene, const TokenPaint& what,
                const Theme& theme) {
    const auto& run = scene.run();
    const auto& cosine = *what.cosine;
    if (cosine.size() != std::size_t(run.cells()))
        return;
    const int first = what.sample * scene.cellsPerSample();
    const auto value = [&](int row, int column) {
        return double(cosine[std::size_t(first + row * run.columns + column)]);
    };
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing, false);
    for (int row = 0; row < run.rows; ++row)
        for (int column = 0; column < run.columns; ++column) {
            QColor heat = theme.maps().continuous(value(row, column));
            heat.setAlphaF(kHeatOpacity);
            painter.fillRect(cellRect(run, picture, row, column), heat);
        }
    const double u = theme.scale();
    const auto line = [&](const QPointF& a, const QPointF& b) {
        painter.setPen(QPen(theme.maps().treeCasing, 4 * u));
        painter.drawLine(a, b);
        painter.setPen(QPen(theme.maps().plateText, 2 * u));
        painter.drawLine(a, b);
    };
    const double threshold = run.settings.semanticThreshold;
    const auto reaches = [&](int row, int column) {
        return row >= 0 && column >= 0 && row < run.rows && column < run.columns &&
               value(row, column) >= threshold;
    };
    for (int row = 0; row < run.rows; ++row)
        for (int column = 0; column < run.columns; ++column) {
            if (!reaches(row, column))
                continue;
            const QRectF cell = cellRect(run, picture, row, column);
            if (!reaches(row - 1, column))
                line(cell.topLeft(), cell.topRight());
            if (!reaches(row + 1, column))
                line(cell.bottomLeft(), cell.bottomRight());
            if (!reaches(row, column - 1))
                line(cell.topLeft(), cell.bottomLeft());
            if (!reaches(row, column + 1))
                line(cell.topRight(), cell.bottomRight());
        }
    if (what.probe >= 0) {
        const CellPlace at = scene.place(what.probe);
        const int dy = spatialWindow(run.settings.spatialThreshold, run.rows);
        const int dx = spatialWindow(run.settings.spatialThreshold, run.columns);
        const QRectF window = cellRect(run, picture, std::max(0, at.row - dy), std::max(0, at.column - dx))
                                  .united(cellRect(run, picture, std::min(run.rows - 1, at.row + dy),
                                                   std::min(run.columns - 1, at.column + dx)));
        QPen dashed(theme.maps().plateText, 2 * u);
        painter.setPen(QPen(theme.maps().treeCasing, 4 * u));
        painter.drawRect(window);
        dashed.setDashPattern({4, 3});
        painter.setPen(dashed);
        painter.drawRect(window);
        if (at.sample == what.sample) {
            painter.setBrush(theme.maps().plateText);
            painter.setPen(QPen(theme.maps().treeCasing, u));
            painter.drawEllipse(cellRect(run, picture, at.row, at.column).center(), 4 * u, 4 * u);
        }
    }
    painter.restore();
}

} // namespace canopy::ui
