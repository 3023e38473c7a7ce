#pragma once

#include <QImage>

#include "ui/cache/cache_view.h"

namespace canopy::ui {

/// Which keys of each finished chunk are still in memory: a small map for each latent frame, coloured by the
/// kept share (cividis), one row a chunk. Where places inside a frame were not recorded a frame is one cell.
class KeptKeysView : public CacheView {
    Q_OBJECT
public:
    explicit KeptKeysView(CacheSelection* selection, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    struct Place {
        int chunk = -1, latent = -1, row = -1, column = -1;
    };
    int latents() const; ///< most of a chunk
    QRectF cell(int chunk, int latent) const;
    Place placeAt(const QPointF& point) const;
    QString wordsOf(const Place& place) const;
    void paintFrame(QPainter& painter, const QRectF& cell, const KeptKeys& kept, int latent);
};

} // namespace canopy::ui
