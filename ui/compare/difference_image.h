#pragma once

#include <QImage>

#include "ui/theme/map_tokens.h"

namespace canopy::ui {

/// Where two pictures of one size differ: per pixel the largest of the differences of R, G and B, times
/// `gain`, on the continuous colour scale from 0 to 255. Null when the sizes differ.
QImage differenceImage(const QImage& a, const QImage& b, int gain, const MapTokens& maps);

} // namespace canopy::ui
