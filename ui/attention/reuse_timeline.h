#pragma once

#include <optional>

#include "ui/attention/attention_view.h"

namespace canopy::ui {

/// Heads of the chosen layer down, steps across: where a mask was reused and why one was chosen anew. Arrows
/// move head and step.
class ReuseTimeline : public AttentionView {
    Q_OBJECT
public:
    explicit ReuseTimeline(AttentionSelection* selection, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    QRectF area() const;
    QRectF boxOf(int head, int step) const;
    void paintCell(QPainter& painter, const QRectF& box, const AttentionCell& cell) const;
    std::optional<AttentionCell> cellAt(const QPointF& point) const;
};

} // namespace canopy::ui
