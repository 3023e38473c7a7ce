#pragma once

#include "ui/cache/cache_view.h"

namespace canopy::ui {

/// Accumulated change of the chosen chunk over its steps, against the threshold; the change of each step as a
/// bar. Where the line reaches the threshold the step is computed and the line starts again at zero.
class ChangeView : public CacheView {
    Q_OBJECT
public:
    explicit ChangeView(CacheSelection* selection, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;

private:
    QRectF area() const;
    double top() const; ///< value at the upper edge
    int stepAt(double x) const;
    void paintAxes(QPainter& painter, const QRectF& area, double top);
    void paintBars(QPainter& painter, const QRectF& area, double top);
    void paintLine(QPainter& painter, const QRectF& area, double top);
};

} // namespace canopy::ui
