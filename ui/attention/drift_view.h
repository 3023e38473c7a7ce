#pragma once

#include "ui/attention/attention_view.h"

namespace canopy::ui {

/// Drift of the chosen head over the steps, from one choice to the next, with the line at delta. Left and
/// right move the step.
class DriftView : public AttentionView {
    Q_OBJECT
public:
    explicit DriftView(AttentionSelection* selection, QWidget* parent = nullptr);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void describe() override;

private:
    QRectF area() const;
    double xOf(double step) const;
    int stepAt(double x) const;
    double greatest() const; ///< of the vertical axis
    double delta() const;    ///< 0 where drift decides nothing
    QString wordsAt(int step) const;
    void paintAxes(QPainter& painter, const QRectF& all, double top) const;
    void paintCurve(QPainter& painter, const QRectF& all, double top) const;
};

} // namespace canopy::ui
