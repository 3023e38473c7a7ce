#pragma once

#include "ui/tokens/token_painter.h"

namespace canopy::ui {

/// Half width in cells of the window in which a forest of these settings looks for a match along `cells`
/// cells: coordinates 0..1, distance at most 1 - tau_sp (token-forest.md 2.3).
int spatialWindow(double spatialThreshold, int cells);

/// Heat map of `what.cosine` on the shown sample: cividis over -0 .. 1, the window around the probed cell
/// outlined, and a contour around the cells that reach tau_s.
void paintProbe(QPainter& painter, const QRectF& picture, const TokenScene& scene, const TokenPaint& what,
                const Theme& theme);

} // namespace canopy::ui
