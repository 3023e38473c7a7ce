#include "ui/tokens/forest_view.h"

#include <algorithm>

#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QWheelEvent>

namespace canopy::ui {
namespace {

constexpr double kRowHeight = 9; ///< pixels at scale 1
constexpr double kDotStep = 8;

} // namespace

std::vector<ForestRow> layoutForest(const TokenScene& scene, const SampleAxis& axis, double rowHeight,
                                    double dotStep, int selectedTree, int minimumDepth) {
    std::vector<ForestRow> rows;
    if (!scene.hasForest())
        return rows;
    const auto add = [&](const TreeRow& tree) {
        ForestRow row{tree.tree, rowHeight * double(rows.size()), {}};
        std::vector<int> inSample(std::size_t(axis.samples), 0), placed(std::size_t(axis.samples), 0);
        const auto sampleOf = [&](int node) {
            return std::size_t(scene.place(scene.run().nodeCell[std::size_t(node)]).sample);
        };
        for (const int node : tree.nodes)
            ++inSample[sampleOf(node)];
        for (const int node : tree.nodes) {
            const std::size_t s = sampleOf(node);
            // Many nodes of one frame close up so that they stay in its slot.
            const double step = std::min(dotStep, axis.slot() * 0.9 / std::max(1, inSample[s]));
            const double x = axis.centre(int(s)) + step * (placed[s]++ - (inSample[s] - 1) / 2.0);
            row.dots.push_back({node, QPointF(x, row.top + rowHeight / 2)});
        }
        rows.push_back(std::move(row));
    };
    if (const TreeRow* chosen = scene.treeRow(selectedTree))
        add(*chosen);
    for (const auto& tree : scene.trees())
        if (tree.depth >= minimumDepth && tree.tree != selectedTree)
            add(tree);
    return rows;
}

ForestView::ForestView(TokenLayer* layer, QWidget* parent)
    : RunView(layer, tr("Forest: trees over the sampled frames"), "forestView", parent) {
    connect(layer, &TokenLayer::sceneChanged, this, &ForestView::relayout);
    connect(layer, &TokenLayer::treeSelected, this, [this] {
        m_scroll = 0; // the chosen tree stands on top
        relayout();
    });
}

void ForestView::setTheme(const Theme& theme) {
    RunView::setTheme(theme);
    relayout();
}

void ForestView::setMinimumDepth(int depth) {
    if (depth == m_minimumDepth)
        return;
    m_minimumDepth = depth;
    m_scroll = 0;
    relayout();
}

QSize ForestView::sizeHint() const {
    return {m_theme.px(600), m_theme.px(124)};
}

void ForestView::relayout() {
    m_rows = layoutForest(scene(), axis(), m_theme.px(kRowHeight), m_theme.px(kDotStep),
                          m_layer->selectedTree(), m_minimumDepth);
    scrollBy(0);
    update();
    Q_EMIT rowsChanged();
}

void ForestView::scrollBy(double pixels) {
    const double all = double(m_rows.size()) * m_theme.px(kRowHeight);
    m_scroll = std::clamp(m_scroll + pixels, 0.0, std::max(0.0, all - height()));
    update();
}

void ForestView::resizeEvent(QResizeEvent*) {
    relayout();
}

void ForestView::paintEvent(QPaintEvent*) {
    if (!m_hasTheme)
        return;
    QPainter painter(this);
    if (!scene().hasForest()) {
        painter.setFont(m_theme.font(TextStyle::Label));
        painter.setPen(m_theme.colour(Role::Text3));
        QString text;
        if (!scene().isEmpty())
            text = scene().run().settings.mode == TokenMode::All
                       ? tr("Nothing was pruned, so no forest was grown. Keep less than 100 % by a token "
                            "forest.")
                       : tr("This way of choosing tokens grows no forest. Choose a token forest to see one.");
        painter.drawText(rect(), Qt::AlignLeft | Qt::AlignVCenter, text);
        return focusRing(painter);
    }
    const double rowHeight = m_theme.px(kRowHeight);
    const auto first = std::size_t(m_scroll / rowHeight);
    const auto last = std::min(m_rows.size(), std::size_t((m_scroll + height()) / rowHeight) + 1);
    for (auto i = first; i < last; ++i) {
        if (m_rows[i].tree == m_layer->selectedTree())
            painter.fillRect(QRectF(0, m_rows[i].top - m_scroll, width(), rowHeight),
                             m_theme.colour(Role::AccentFill));
    }
    paintCursor(painter, 0, height()); // below the nodes, which say more
    painter.translate(0, -m_scroll);
    for (auto i = first; i < last; ++i)
        paintRow(painter, m_rows[i]);
    painter.resetTransform();
    if (double(m_rows.size()) * rowHeight > height()) { // how much of it is in sight
        const double all = double(m_rows.size()) * rowHeight;
        painter.fillRect(QRectF(width() - m_theme.px(3), m_scroll / all * height(), m_theme.px(3),
                                double(height()) * height() / all),
                         m_theme.colour(Role::Outline));
    }
    focusRing(painter);
}

void ForestView::paintRow(QPainter& painter, const ForestRow& row) {
    const auto& cut = scene().cut();
    const bool chosen = row.tree == m_layer->selectedTree();
    const QColor colour = m_theme.maps().tree(row.tree);
    const double u = m_theme.scale();
    // The spine from dot to dot of following frames; a linked root hangs on a dashed piece.
    painter.setRenderHint(QPainter::Antialiasing, false);
    for (std::size_t i = 1; i < row.dots.size(); ++i) {
        const bool dashed = cut.edge[std::size_t(row.dots[i].node)] == EdgeKind::RootLink;
        QPen pen(m_theme.colour(chosen ? Role::Text : Role::Outline), chosen ? 2 * u : 1);
        if (dashed)
            pen.setDashPattern({2, 2});
        painter.setPen(pen);
        painter.drawLine(row.dots[i - 1].at, row.dots[i].at);
    }
    painter.setRenderHint(QPainter::Antialiasing, true);
    for (const auto& dot : row.dots) {
        const bool kept = cut.keptCell[std::size_t(scene().run().nodeCell[std::size_t(dot.node)])] != 0;
        const bool root = cut.role[std::size_t(dot.node)] == NodeRole::Root;
        painter.setPen(QPen(kept || root ? colour : m_theme.colour(Role::Outline), u));
        painter.setBrush(kept ? colour : m_theme.colour(Role::Panel));
        const double r = (root ? 3 : 2.5) * u;
        if (root)
            painter.drawRect(QRectF(dot.at.x() - r, dot.at.y() - r, 2 * r, 2 * r));
        else
            painter.drawEllipse(dot.at, r, r);
    }
}

int ForestView::rowAt(double y) const {
    const int row = int((y + m_scroll) / m_theme.px(kRowHeight));
    return row >= 0 && std::size_t(row) < m_rows.size() ? row : -1;
}

const ForestDot* ForestView::dotAt(const QPointF& point) const {
    const int row = rowAt(point.y());
    if (row < 0)
        return nullptr;
    const ForestDot* best = nullptr;
    double distance = m_theme.px(8);
    for (const auto& dot : m_rows[std::size_t(row)].dots)
        if (const double d = std::abs(dot.at.x() - point.x()); d < distance) {
            distance = d;
            best = &dot;
        }
    return best;
}

void ForestView::mousePressEvent(QMouseEvent* event) {
    const int row = rowAt(event->position().y());
    const ForestDot* dot = dotAt(event->position());
    if (row < 0)
        return;
    const int tree = m_rows[std::size_t(row)].tree;
    if (dot)
        seekTo(scene().place(scene().run().nodeCell[std::size_t(dot->node)]).sample);
    m_layer->selectTree(tree);
}

void ForestView::mouseMoveEvent(QMouseEvent* event) {
    if (const ForestDot* dot = dotAt(event->position()))
        return Q_EMIT hovered(scene().words(scene().run().nodeCell[std::size_t(dot->node)]));
    const int row = rowAt(event->position().y());
    const TreeRow* tree = row < 0 ? nullptr : scene().treeRow(m_rows[std::size_t(row)].tree);
    Q_EMIT hovered(tree ? tr("tree %1: %2 nodes, %3 kept, depth %4")
                              .arg(tree->tree)
                              .arg(tree->nodes.size())
                              .arg(tree->kept)
                              .arg(tree->depth)
                        : QString());
}

void ForestView::wheelEvent(QWheelEvent* event) {
    scrollBy(-event->angleDelta().y() / 8.0 * 2);
    event->accept();
}

void ForestView::keyPressEvent(QKeyEvent* event) {
    if ((event->key() != Qt::Key_Up && event->key() != Qt::Key_Down) ||
        event->modifiers() & Qt::ControlModifier || scene().trees().empty())
        return RunView::keyPressEvent(event);
    // Up and down walk the trees in the order of the scene, not of the rows: the chosen one moves to the top.
    std::vector<int> order;
    for (const auto& tree : scene().trees())
        if (tree.depth >= m_minimumDepth)
            order.push_back(tree.tree);
    if (order.empty())
        return;
    const auto at = std::find(order.begin(), order.end(), m_layer->selectedTree());
    std::ptrdiff_t next = 0;
    if (at != order.end())
        next = std::clamp<std::ptrdiff_t>(at - order.begin() + (event->key() == Qt::Key_Down ? 1 : -1), 0,
                                          std::ptrdiff_t(order.size()) - 1);
    m_layer->selectTree(order[std::size_t(next)]);
    if (const TreeRow* tree = scene().treeRow(m_layer->selectedTree()))
        Q_EMIT hovered(tr("tree %1: %2 nodes, %3 kept, depth %4")
                           .arg(tree->tree)
                           .arg(tree->nodes.size())
                           .arg(tree->kept)
                           .arg(tree->depth));
}

} // namespace canopy::ui
