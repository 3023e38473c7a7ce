#include "ui/tokens/token_scene.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace canopy::ui {
namespace {

/// A timestamp and the frame it belongs to came by different ways of rounding.
constexpr double kSameMoment = 1e-4;

} // namespace

TokenScene::TokenScene(std::shared_ptr<const TokenRun> run)
    : m_run(std::move(run)) {
    if (isEmpty())
        return;
    const auto cells = std::size_t(m_run->cells());
    m_nodeOfCell.assign(cells, -1);
    for (std::size_t n = 0; n < m_run->nodeCell.size(); ++n)
        m_nodeOfCell[std::size_t(m_run->nodeCell[n])] = std::int32_t(n);
    m_candidatesIn.assign(std::size_t(m_run->frames), 0);
    for (std::size_t c = 0; c < cells; ++c)
        m_candidatesIn[c / std::size_t(cellsPerSample())] += m_run->candidate[c] != 0;
    m_keep = m_run->settings.mode == TokenMode::All ? 1 : m_run->settings.keep;
    m_cut = cutAt(*m_run, m_run->budget);
    index();
}

bool TokenScene::setKeep(double keep) {
    if (isEmpty())
        return false;
    const bool own = std::abs(keep - m_run->settings.keep) < 1e-9;
    if (keep >= 1) {
        m_cut = cutAt(*m_run, isNested() ? tokenBudget(*m_run, 1) : m_run->budget);
        std::fill(m_cut.keptCell.begin(), m_cut.keptCell.end(), std::uint8_t{1});
        std::fill(m_cut.keptPerFrame.begin(), m_cut.keptPerFrame.end(), cellsPerSample());
    } else if (isNested()) {
        m_cut = cutAt(*m_run, own ? m_run->budget : tokenBudget(*m_run, keep));
    } else if (own) {
        m_cut = cutAt(*m_run, m_run->budget);
    } else {
        return false;
    }
    m_keep = std::min(keep, 1.0);
    index();
    return true;
}

void TokenScene::index() {
    m_kept = std::accumulate(m_cut.keptPerFrame.begin(), m_cut.keptPerFrame.end(), 0);
    m_trees.clear();
    std::int32_t greatest = -1;
    for (const auto tree : m_cut.tree)
        greatest = std::max(greatest, tree);
    std::vector<int> rows(std::size_t(greatest + 1), -1);
    for (std::size_t n = 0; n < m_cut.tree.size(); ++n) {
        const auto tree = std::size_t(m_cut.tree[n]);
        if (rows[tree] < 0) {
            rows[tree] = int(m_trees.size());
            m_trees.push_back({int(tree), int(n), {}, 0, 0});
        }
        auto& row = m_trees[std::size_t(rows[tree])];
        if (m_cut.parent[n] < 0)
            row.root = int(n);
        row.nodes.push_back(int(n));
        row.depth = std::max(row.depth, int(m_cut.depth[n]));
        row.kept += m_cut.keptCell[std::size_t(m_run->nodeCell[n])] != 0;
    }
    std::sort(m_trees.begin(), m_trees.end(), [](const TreeRow& a, const TreeRow& b) {
        if (a.depth != b.depth)
            return a.depth > b.depth;
        return a.nodes.size() != b.nodes.size() ? a.nodes.size() > b.nodes.size() : a.tree < b.tree;
    });
    m_rowOfNodeTree.assign(rows.size(), -1);
    for (std::size_t i = 0; i < m_trees.size(); ++i)
        m_rowOfNodeTree[std::size_t(m_trees[i].tree)] = int(i);
}

int TokenScene::sampleAt(double seconds) const {
    if (isEmpty())
        return -1;
    const auto& times = m_run->frameSeconds;
    const auto after = std::upper_bound(times.begin(), times.end(), seconds + kSameMoment);
    return std::max(0, int(after - times.begin()) - 1);
}

CellPlace TokenScene::place(int cell) const {
    const int perSample = cellsPerSample();
    return {cell / perSample, cell % perSample / m_run->columns, cell % m_run->columns};
}

int TokenScene::cell(const CellPlace& place) const {
    return (place.sample * m_run->rows + place.row) * m_run->columns + place.column;
}

CellState TokenScene::state(int cell) const {
    if (m_cut.keptCell[std::size_t(cell)])
        return CellState::Kept;
    return m_run->candidate[std::size_t(cell)] ? CellState::Pruned : CellState::NonCandidate;
}

int TokenScene::node(int cell) const {
    return m_nodeOfCell[std::size_t(cell)];
}

int TokenScene::tree(int cell) const {
    const int n = node(cell);
    return n < 0 ? -1 : m_cut.tree[std::size_t(n)];
}

int TokenScene::keptIn(int sample) const {
    return m_cut.keptPerFrame[std::size_t(sample)];
}

int TokenScene::candidatesIn(int sample) const {
    return m_candidatesIn[std::size_t(sample)];
}

const TreeRow* TokenScene::treeRow(int tree) const {
    if (tree < 0 || std::size_t(tree) >= m_rowOfNodeTree.size() || m_rowOfNodeTree[std::size_t(tree)] < 0)
        return nullptr;
    return &m_trees[std::size_t(m_rowOfNodeTree[std::size_t(tree)])];
}

QString TokenScene::words(int cell) const {
    if (isEmpty() || cell < 0 || cell >= m_run->cells())
        return {};
    const CellPlace at = place(cell);
    const QString where = tr("frame %1, row %2, column %3")
                              .arg(m_run->frameIndex[std::size_t(at.sample)])
                              .arg(at.row)
                              .arg(at.column);
    QString state;
    switch (this->state(cell)) {
    case CellState::Kept:
        state = tr("kept");
        break;
    case CellState::Pruned:
        state = tr("pruned");
        break;
    case CellState::NonCandidate:
        state = tr("not a candidate");
        break;
    }
    if (!m_run->mergedInto.empty() && m_run->mergedInto[std::size_t(cell)] >= 0 &&
        this->state(cell) != CellState::Kept) {
        const CellPlace into = place(m_run->mergedInto[std::size_t(cell)]);
        state = tr("merged into frame %1, row %2, column %3")
                    .arg(m_run->frameIndex[std::size_t(into.sample)])
                    .arg(into.row)
                    .arg(into.column);
    }
    const int n = node(cell);
    if (n < 0)
        return where + QStringLiteral(": ") + state;
    const TreeRow* row = treeRow(m_cut.tree[std::size_t(n)]);
    QString role;
    int depth = m_cut.depth[std::size_t(n)];
    switch (m_cut.role[std::size_t(n)]) {
    case NodeRole::Root:
        role = tr("root of tree %1");
        depth = row ? row->depth : depth; // how deep the tree below it goes
        break;
    case NodeRole::Trunk:
        role = tr("trunk of tree %1");
        break;
    case NodeRole::Leaf:
        role = tr("leaf of tree %1");
        break;
    }
    return tr("%1: %2, depth %3, %4").arg(where, role.arg(m_cut.tree[std::size_t(n)])).arg(depth).arg(state);
}

QString TokenScene::sampleWords(int sample) const {
    if (isEmpty() || sample < 0)
        return {};
    return tr("%1 kept, %2 candidates, %3 cells")
        .arg(keptIn(sample))
        .arg(candidatesIn(sample))
        .arg(cellsPerSample());
}

} // namespace canopy::ui
