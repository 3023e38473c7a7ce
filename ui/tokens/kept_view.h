#pragma once

#include "ui/tokens/run_view.h"

namespace canopy::ui {

/// Kept cells of each sampled frame: kept in candidates in all, by the one bar grammar, with the number where
/// there is room.
class KeptView : public RunView {
    Q_OBJECT
public:
    explicit KeptView(TokenLayer* layer, QWidget* parent = nullptr);
    QSize sizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
};

/// Kept in candidates in all, shares of 0..1: white, grey, dark.
void paintShareBar(QPainter& painter, const QRectF& bar, double kept, double candidates, const Theme& theme);

} // namespace canopy::ui
