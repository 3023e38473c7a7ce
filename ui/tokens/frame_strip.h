#pragma once

#include <map>

#include <QImage>

#include "ui/tokens/run_view.h"

namespace canopy::ui {

/// The sampled frames in a row, each with its kept cells. Where there is no room for all, one stands for its
/// neighbours: the shown one where it is among them.
class FrameStrip : public RunView {
    Q_OBJECT
public:
    explicit FrameStrip(TokenLayer* layer, QWidget* parent = nullptr);
    /// Pictures by sample; what is missing is drawn as an empty frame.
    void setPictures(std::map<int, QImage> pictures);
    const std::map<int, QImage>& pictures() const { return m_pictures; }
    QSize sizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;

private:
    std::map<int, QImage> m_pictures;
};

} // namespace canopy::ui
