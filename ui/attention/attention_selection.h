#pragma once

#include <memory>

#include <QObject>

#include "core/studio/run_telemetry.h"

namespace canopy::ui {

inline constexpr int kBlockTokens = 128; ///< tokens in a block of queries or keys

/// Tokens of a clip in the order of attention: frame, row, column.
struct TokenGrid {
    int frames = 0; ///< latent frames
    int rows = 0;
    int columns = 0;
    int frameTokens() const { return rows * columns; }
    int tokens() const { return frames * frameTokens(); }
};

struct AttentionCell {
    int step = 0;
    int layer = 0;
    int head = 0;
    GuidanceBranch branch = GuidanceBranch::Prompt;
    bool operator==(const AttentionCell&) const = default;
};

enum class HeadState { NotRun, NotRecorded, Dense, Refreshed, Reused };

/// Which call of a run the attention views look at, shared by all of them. Follows the newest step while the
/// run goes on, until the person chooses an earlier one. GUI thread.
class AttentionSelection : public QObject {
    Q_OBJECT
public:
    explicit AttentionSelection(QObject* parent = nullptr);

    using RunPtr = std::shared_ptr<const RunTelemetry>;
    void setRun(RunPtr run); ///< of the same job: the cell stays
    const RunPtr& runPtr() const { return m_run; }
    const RunTelemetry& run() const;
    bool isEmpty() const { return !m_run || m_run->isEmpty(); }
    int layers() const { return m_layers; }
    int heads() const { return m_heads; }
    int steps() const { return run().stepCount(); }
    int newestStep() const { return isEmpty() ? 0 : run().steps.back()->step; }
    bool hasNegative() const { return m_hasNegative; }
    TokenGrid grid() const;

    const AttentionCell& cell() const { return m_cell; }
    bool follows() const { return m_follows; }
    void setCell(AttentionCell cell); ///< clamped
    void setStep(int step);
    void setHead(int layer, int head);
    void setBranch(GuidanceBranch branch);
    /// Back to the newest step and on with it.
    void follow();

    int queryBlock() const { return m_query; } ///< of the mask; -1 = none
    void setQueryBlock(int block);

    HeadState stateOf(const AttentionCell& cell) const;
    /// Null in dense and missing calls.
    const AttentionRecord::Head* headOf(const AttentionCell& cell) const;
    double keptShare(const AttentionCell& cell) const; ///< 1 where dense, 0 where nothing was recorded
    const BlockBitmap* mask() const { return maskOf(m_cell); }
    const BlockBitmap* maskOf(const AttentionCell& cell) const;
    const BlockBitmap* maskBefore() const;
    /// "layer 12, head 3, step 16: 17.7 % of pairs kept, mask reused, 4 steps old"
    QString words(const AttentionCell& cell) const;

Q_SIGNALS:
    void runChanged();
    void cellChanged();
    void queryChanged();

private:
    RunPtr m_run;
    int m_layers = 0;
    int m_heads = 0;
    bool m_hasNegative = false;
    AttentionCell m_cell;
    bool m_follows = true;
    int m_query = -1;
};

/// Words for people: "drift", "layer gate", "max. age", ...
QString reasonWords(RefreshReason reason);
/// The letter on maps: d, g, m, c; "1" for a first choice, "s" for the schedule; empty for reuse.
QString reasonLetter(RefreshReason reason);
QString stepCount(int steps);  ///< "1 step", "4 steps"
QString percent(double share); ///< "17.7 %"

} // namespace canopy::ui
