#pragma once

#include <optional>

#include "ui/attention/attention_view.h"

namespace canopy::ui {

/// Layers down, heads across, one step: colour = kept share, a mark where a head was dense or chose anew.
/// Arrows move the cell, Page up and down the step.
class HeadGrid : public AttentionView {
    Q_OBJECT
public:
    explicit HeadGrid(AttentionSelection* selection, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    QRectF area() const;
    QRectF boxOf(int layer, int head) const;
    std::optional<AttentionCell> cellAt(const QPointF& point) const;
};

} // namespace canopy::ui
