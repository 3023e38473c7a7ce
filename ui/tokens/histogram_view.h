#pragma once

#include "ui/tokens/run_view.h"

namespace canopy::ui {

/// Number of trees by depth and by size at the cut. Sizes stand in doubling classes: 1, 2, 3-4, 5-8, ...
struct ForestHistogram {
    std::vector<int> byDepth; ///< [depth]
    std::vector<int> bySize;  ///< class 0 = one node, class c = up to 2^c
};
ForestHistogram forestHistogram(const TokenScene& scene);

class HistogramView : public RunView {
    Q_OBJECT
public:
    explicit HistogramView(TokenLayer* layer, QWidget* parent = nullptr);
    QSize sizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;

private:
    struct Bar {
        QRectF rect;
        QString label;
        int count;
    };
    std::vector<Bar> bars(const QRectF& area, const std::vector<int>& counts, bool sizes) const;
    QRectF half(bool right) const;
};

} // namespace canopy::ui
