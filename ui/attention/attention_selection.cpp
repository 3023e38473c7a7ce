#include "ui/attention/attention_selection.h"

#include <algorithm>

#include <QLocale>

namespace canopy::ui {

AttentionSelection::AttentionSelection(QObject* parent)
    : QObject(parent) {}

const RunTelemetry& AttentionSelection::run() const {
    static const RunTelemetry kNone;
    return m_run ? *m_run : kNone;
}

void AttentionSelection::setRun(RunPtr run) {
    if (run == m_run)
        return;
    const bool another = !m_run || !run || run->job != m_run->job;
    m_run = std::move(run);
    if (another) {
        m_layers = m_heads = 0;
        m_hasNegative = false;
        m_follows = true;
        m_query = -1;
        m_cell = {};
    }
    if (!isEmpty())
        for (const AttentionRecord& call : this->run().steps.back()->calls) {
            m_layers = std::max(m_layers, call.layer + 1);
            m_heads = std::max({m_heads, call.headCount, int(call.heads.size())});
            m_hasNegative |= call.branch == GuidanceBranch::Negative;
        }
    const AttentionCell before = m_cell;
    if (m_follows)
        m_cell.step = newestStep();
    Q_EMIT runChanged();
    if (another || m_cell != before)
        Q_EMIT cellChanged();
}

TokenGrid AttentionSelection::grid() const {
    if (!run().request)
        return {};
    const auto& r = *run().request;
    return {latentFrames(r.frames), r.height / 16, r.width / 16};
}

void AttentionSelection::setCell(AttentionCell cell) {
    cell.layer = std::clamp(cell.layer, 0, std::max(0, m_layers - 1));
    cell.head = std::clamp(cell.head, 0, std::max(0, m_heads - 1));
    cell.step = std::clamp(cell.step, 0, newestStep());
    if (!m_hasNegative)
        cell.branch = GuidanceBranch::Prompt;
    m_follows = cell.step == newestStep();
    if (cell == m_cell)
        return;
    m_cell = cell;
    Q_EMIT cellChanged();
}

void AttentionSelection::setStep(int step) {
    AttentionCell cell = m_cell;
    cell.step = step;
    setCell(cell);
}

void AttentionSelection::setHead(int layer, int head) {
    AttentionCell cell = m_cell;
    cell.layer = layer;
    cell.head = head;
    setCell(cell);
}

void AttentionSelection::setBranch(GuidanceBranch branch) {
    AttentionCell cell = m_cell;
    cell.branch = branch;
    setCell(cell);
}

void AttentionSelection::follow() {
    setStep(newestStep());
}

void AttentionSelection::setQueryBlock(int block) {
    if (block == m_query)
        return;
    m_query = block;
    Q_EMIT queryChanged();
}

HeadState AttentionSelection::stateOf(const AttentionCell& cell) const {
    if (cell.step > newestStep() || isEmpty())
        return HeadState::NotRun;
    const AttentionRecord* call = run().call(cell.step, cell.layer, cell.branch);
    if (!call)
        return HeadState::NotRecorded;
    if (call->mode == AttentionRecord::Mode::Warmup)
        return HeadState::Dense;
    if (std::size_t(cell.head) >= call->heads.size())
        return HeadState::NotRecorded;
    return call->heads[std::size_t(cell.head)].reason == RefreshReason::Reused ? HeadState::Reused
                                                                               : HeadState::Refreshed;
}

const AttentionRecord::Head* AttentionSelection::headOf(const AttentionCell& cell) const {
    const AttentionRecord* call = run().call(cell.step, cell.layer, cell.branch);
    return call && std::size_t(cell.head) < call->heads.size() ? &call->heads[std::size_t(cell.head)]
                                                               : nullptr;
}

double AttentionSelection::keptShare(const AttentionCell& cell) const {
    if (const auto* head = headOf(cell))
        return head->keptShare;
    return stateOf(cell) == HeadState::Dense ? 1 : 0;
}

const BlockBitmap* AttentionSelection::maskOf(const AttentionCell& cell) const {
    return run().mask(cell.step, cell.layer, cell.head, cell.branch);
}

const BlockBitmap* AttentionSelection::maskBefore() const {
    return run().maskBefore(m_cell.step, m_cell.layer, m_cell.head, m_cell.branch);
}

QString AttentionSelection::words(const AttentionCell& cell) const {
    const QString place = tr("layer %1, head %2, step %3").arg(cell.layer).arg(cell.head).arg(cell.step);
    switch (stateOf(cell)) {
    case HeadState::NotRun:
        return tr("%1: not run yet").arg(place);
    case HeadState::NotRecorded:
        return tr("%1: not recorded").arg(place);
    case HeadState::Dense:
        return tr("%1: dense, warm-up").arg(place);
    case HeadState::Refreshed:
    case HeadState::Reused:
        break;
    }
    const auto& head = *headOf(cell);
    if (head.reason == RefreshReason::Reused)
        return tr("%1: %2 of pairs kept, mask reused, %3 old")
            .arg(place, percent(head.keptShare), stepCount(cell.step - head.chosenAt));
    return tr("%1: %2 of pairs kept, mask chosen anew (%3)")
        .arg(place, percent(head.keptShare), reasonWords(head.reason));
}

QString reasonWords(RefreshReason reason) {
    switch (reason) {
    case RefreshReason::Reused:
        return AttentionSelection::tr("reused");
    case RefreshReason::First:
        return AttentionSelection::tr("first");
    case RefreshReason::Drift:
        return AttentionSelection::tr("drift");
    case RefreshReason::Gate:
        return AttentionSelection::tr("layer gate");
    case RefreshReason::Age:
        return AttentionSelection::tr("max. age");
    case RefreshReason::Cap:
        return AttentionSelection::tr("hard cap");
    case RefreshReason::Schedule:
        return AttentionSelection::tr("schedule");
    }
    return {};
}

QString reasonLetter(RefreshReason reason) {
    static const char* const letters[] = {"", "1", "d", "g", "m", "c", "s"};
    return QLatin1String(letters[std::size_t(reason)]);
}

QString stepCount(int steps) {
    return steps == 1 ? AttentionSelection::tr("1 step") : AttentionSelection::tr("%1 steps").arg(steps);
}

QString percent(double share) {
    return AttentionSelection::tr("%1 %").arg(QLocale().toString(share * 100, 'f', 1));
}

} // namespace canopy::ui
