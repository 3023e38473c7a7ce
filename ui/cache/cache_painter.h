#pragma once

#include <QRectF>

#include "ui/cache/cache_scene.h"
#include "ui/theme/theme.h"

class QPainter;

/// Map states by form first and colour second (tokens.json, states.cache).
namespace canopy::ui {

/// One step of a map: solid, a thin line, hatched, or dots.
void paintCacheState(QPainter& painter, const QRectF& cell, CacheState state, const Theme& theme);
/// Horizontal lines: keys that were squeezed.
void paintCompressed(QPainter& painter, const QRectF& area, const Theme& theme);
/// How much of a chunk's keys is in memory: a full bar, a squeezed part of it, or an empty frame.
void paintKeptShare(QPainter& painter, const QRectF& bar, const CacheScene& scene, int chunk,
                    const Theme& theme);
/// Diagonal hatch in a role's colour.
void paintHatch(QPainter& painter, const QRectF& area, Role role, const Theme& theme);
/// The frame that is shown: a line from its grip at `top` to `bottom`.
void paintPlayheadAt(QPainter& painter, double x, double top, double bottom, const Theme& theme);
/// The chosen cell: 2 px with an opposite casing around it.
void paintCellCursor(QPainter& painter, const QRectF& cell, const Theme& theme);

} // namespace canopy::ui
