#pragma once

#include <memory>
#include <vector>

#include <QCoreApplication>
#include <QString>

#include "core/job/token_run.h"

namespace canopy::ui {

enum class CellState { Kept, Pruned, NonCandidate };

struct CellPlace {
    int sample = 0; ///< position among the sampled frames
    int row = 0;
    int column = 0;
    bool operator==(const CellPlace&) const = default;
};

/// One tree of the forest as it stands at the cut.
struct TreeRow {
    int tree = 0;
    int root = -1;          ///< node; the earliest member where the root is not among them
    std::vector<int> nodes; ///< in cell order
    int depth = 0;          ///< greatest of its nodes
    int kept = 0;           ///< of its nodes
};

/// A run at one cut, indexed for drawing and for words. A value; GUI thread. Knows nothing that is not in the
/// run: every picture of the Ask workspace is a function of it.
class TokenScene {
    Q_DECLARE_TR_FUNCTIONS(canopy::ui::TokenScene)
public:
    TokenScene() = default;
    explicit TokenScene(std::shared_ptr<const TokenRun> run);

    bool isEmpty() const { return !m_run || m_run->cells() == 0; }
    const std::shared_ptr<const TokenRun>& shared() const { return m_run; }
    const TokenRun& run() const { return *m_run; }
    const ForestCut& cut() const { return m_cut; }
    bool isNested() const { return !isEmpty() && !m_run->priority.empty(); }
    bool hasForest() const { return !isEmpty() && !m_run->nodeCell.empty(); }

    /// Another *Tokens kept*. False when this run cannot say (not nested, and not the value it was made
    /// with). At 1 nothing is pruned, whatever the mode.
    bool setKeep(double keep);
    double keep() const { return m_keep; }
    int keptCells() const { return m_kept; }

    /// The newest sampled frame that starts at or before this time; the first before it.
    int sampleAt(double seconds) const;
    int cellsPerSample() const { return isEmpty() ? 0 : m_run->rows * m_run->columns; }
    CellPlace place(int cell) const;
    int cell(const CellPlace& place) const;
    CellState state(int cell) const;
    int node(int cell) const; ///< -1 = not in a forest
    int tree(int cell) const; ///< -1 = not in a forest
    int keptIn(int sample) const;
    int candidatesIn(int sample) const;

    /// Trees at the cut: deepest first, then larger, then smaller id.
    const std::vector<TreeRow>& trees() const { return m_trees; }
    const TreeRow* treeRow(int tree) const;

    /// "frame 36, row 2, column 1: root of tree 14, depth 4, kept"
    QString words(int cell) const;
    /// "20 kept, 98 candidates, 196 cells"
    QString sampleWords(int sample) const;

private:
    void index();

    std::shared_ptr<const TokenRun> m_run;
    ForestCut m_cut;
    double m_keep = 1;
    int m_kept = 0;
    std::vector<std::int32_t> m_nodeOfCell;
    std::vector<int> m_candidatesIn;
    std::vector<TreeRow> m_trees;
    std::vector<int> m_rowOfNodeTree; ///< by tree id, position in m_trees; -1 = none
};

} // namespace canopy::ui
