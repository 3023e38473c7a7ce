#pragma once

#include <vector>

#include "ui/tokens/run_view.h"

namespace canopy::ui {

/// A node of the forest view.
struct ForestDot {
    int node = 0;
    QPointF at;
};

/// One tree's row: `tree` of the scene, top of the row, its nodes by sampled frame.
struct ForestRow {
    int tree = 0;
    double top = 0;
    std::vector<ForestDot> dots;
};

/// Rows of all trees at least `minimumDepth` deep, the selected one first. Nodes of one frame stand side by
/// side around the frame's centre. Pure.
std::vector<ForestRow> layoutForest(const TokenScene& scene, const SampleAxis& axis, double rowHeight,
                                    double dotStep, int selectedTree, int minimumDepth);

/// x = sampled frame, y = tree: kept nodes filled, pruned ones hollow, roots square; drawn from the run
/// alone.
class ForestView : public RunView {
    Q_OBJECT
public:
    explicit ForestView(TokenLayer* layer, QWidget* parent = nullptr);

    void setMinimumDepth(int depth);
    int minimumDepth() const { return m_minimumDepth; }
    int shownTrees() const { return int(m_rows.size()); }
    const std::vector<ForestRow>& rows() const { return m_rows; }
    QSize sizeHint() const override;
    void setTheme(const Theme& theme) override;

Q_SIGNALS:
    void rowsChanged();

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

private:
    void relayout();
    void paintRow(QPainter& painter, const ForestRow& row);
    int rowAt(double y) const;
    const ForestDot* dotAt(const QPointF& point) const;
    void scrollBy(double pixels);

    std::vector<ForestRow> m_rows;
    int m_minimumDepth = 0;
    double m_scroll = 0;
};

} // namespace canopy::ui
