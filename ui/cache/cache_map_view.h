#pragma once

#include "ui/cache/cache_view.h"

namespace canopy::ui {

/// Where things of the map lie. Columns are chunks, as wide as their frames; rows are each chunk's own steps.
/// Pure.
struct CacheMapLayout {
    QRectF map;    ///< all cells
    QRectF ruler;  ///< frame numbers above it
    QRectF memory; ///< the row of keys and values below it
    QRectF words;  ///< one line a chunk
    double rowHeight = 0;
    double frameWidth = 0;
    double gap = 0; ///< between chunks
    int chunks = 0, steps = 0;

    QRectF column(const CacheScene& scene, int chunk) const; ///< of the map
    QRectF cell(const CacheScene& scene, int chunk, int step) const;
    double frameX(int frame) const; ///< left edge
};
CacheMapLayout layoutCacheMap(const CacheScene& scene, const QSizeF& size, const Theme& theme);

/// Chunk x step: what was computed, reused and forced, aligned with the clip's frames, with the memory of
/// keys and what each chunk saved below.
class CacheMapView : public CacheView {
    Q_OBJECT
public:
    explicit CacheMapView(CacheSelection* selection, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;

private:
    struct Hit {
        int chunk = -1, step = -1, frame = -1;
    };
    CacheMapLayout layoutNow() const;
    Hit hitAt(const QPointF& point) const;
    void paintRuler(QPainter& painter, const CacheMapLayout& at);
    void paintColumn(QPainter& painter, const CacheMapLayout& at, int chunk);
    void paintBelow(QPainter& painter, const CacheMapLayout& at, int chunk);
    void paintWords(QPainter& painter, const QRectF& line, int chunk);
    void paintPlayhead(QPainter& painter, const CacheMapLayout& at);
};

} // namespace canopy::ui
