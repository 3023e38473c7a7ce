#pragma once

#include "ui/tokens/token_painter.h"

namespace canopy::ui {

/// Links of the selected tree over all frames with a numbered dot for each sampled frame it touches; in
/// TokenLook::Links also the link of each kept cell of the shown sample to its parent. Width = similarity
/// with the parent, dashed where roots were linked.
void paintLinks(QPainter& painter, const QRectF& picture, const TokenScene& scene, const TokenPaint& what,
                const Theme& theme);

/// Pixels at scale 1 of a link with this similarity: 1.5 at 0.5 and below, 4 at 1.
double linkWidth(float similarity);

} // namespace canopy::ui
