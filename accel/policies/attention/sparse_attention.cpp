#include "accel/policies/attention/sparse_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <string>
#include <utility>

#include "accel/nn/attention.h"
#include "accel/runtime/job_error.h"
#include "core/base/clock.h"

namespace canopy::accel {

namespace {

void checkCall(const AttentionCall& call) {
    if (call.causalBlockFrames > 0 || call.k.size(1) != call.q.size(1)) {
        throw JobError(ErrorCode::Unsupported,
                       "Sparse attention needs the whole clip in one pass; these settings run it in chunks. "
                       "Choose dense attention or the whole clip.");
    }
}

GuidanceBranch branchOf(const AttentionCall& call) {
    return call.branch == Branch::Prompt ? GuidanceBranch::Prompt : GuidanceBranch::Negative;
}

JobError notFinite(int step, int layer) {
    return {ErrorCode::NumericOverflow,
            "Queries or keys of layer " + std::to_string(layer + 1) + " are not finite numbers at step " +
                std::to_string(step + 1) +
                ". Try fp32 precision, fewer steps of shift, or another checkpoint."};
}

/// The heads' rows of `now` into `anchor`.
void moveAnchor(at::Tensor& anchor, const at::Tensor& now, const std::vector<std::int64_t>& heads) {
    if (!anchor.defined() || static_cast<std::int64_t>(heads.size()) == now.size(0)) {
        anchor = now;
        return;
    }
    const at::Tensor rows = at::tensor(heads, at::kLong).to(now.device());
    anchor = anchor.index_copy(0, rows, now.index_select(0, rows));
}

} // namespace

SparseAttention::SparseAttention(std::unique_ptr<SparseHost> host, AttentionSettings settings,
                                 AttentionTelemetry telemetry)
    : m_host(std::move(host))
    , m_settings(settings)
    , m_telemetry(std::move(telemetry)) {}

bool SparseAttention::isWatched() const {
    return m_telemetry.take && (!m_telemetry.wanted || m_telemetry.wanted());
}

double SparseAttention::clock(bool watched) const {
    if (!watched)
        return 0;
    if (m_telemetry.synchronize)
        m_telemetry.synchronize();
    return steadySeconds();
}

/// A mean over all tokens is finite only where every token is, short of an overflow that would spoil
/// attention as well.
void SparseAttention::checkFinite(const AttentionCall& call, const PooledMeans& means, bool mayWait) {
    if (mayWait)
        m_unsettled.push_back({call.step, call.layer, means});
    else if (!(at::isfinite(means.q).all() & at::isfinite(means.k).all()).item<bool>())
        throw notFinite(call.step, call.layer);
}

void SparseAttention::settleFinite(const AttentionCall& call) {
    if (m_unsettled.empty() || m_unsettled.front().step == call.step)
        return;
    const std::vector<Unsettled> earlier = std::exchange(m_unsettled, {});
    if (call.step < earlier.front().step)
        return; // another clip, or a row that is run again
    std::vector<at::Tensor> means;
    for (const Unsettled& e : earlier) {
        means.push_back(e.means.q.flatten());
        means.push_back(e.means.k.flatten());
    }
    const at::Tensor finite = at::isfinite(at::stack(means)).all(1).cpu(); // two of a call
    for (std::size_t i = 0; i < earlier.size(); ++i)
        if (!finite.const_data_ptr<bool>()[2 * i] || !finite.const_data_ptr<bool>()[2 * i + 1])
            throw notFinite(earlier[i].step, earlier[i].layer);
}

void SparseAttention::chooseBeside(const AttentionCall& call, const PooledMeans& means,
                                   LayerState& state) const {
    if (!state.anchor.chosenAt.defined())
        state.anchor.chosenAt =
            at::tensor(state.chosenAt, at::kInt).to(means.q.device(), /*non_blocking=*/true);
    state.chosenAt.clear();
    m_host->chooseWhere(call, ops::refreshWhere(refreshRule(m_settings), call.step, means, state.anchor),
                        *state.mask);
}

SparseAttention::Decision SparseAttention::chooseOnHost(const AttentionCall& call, const PooledMeans& means,
                                                        LayerState& state) const {
    const auto headCount = static_cast<std::size_t>(call.q.size(2));
    if (state.anchor.chosenAt.defined()) { // the last step decided beside the numbers
        const at::Tensor steps = std::exchange(state.anchor.chosenAt, {}).cpu();
        state.chosenAt.assign(steps.const_data_ptr<int>(), steps.const_data_ptr<int>() + headCount);
    }
    Decision decision;
    decision.reasons.assign(headCount, RefreshReason::First);
    if (!state.chosenAt.empty()) {
        std::vector<int> ages;
        for (const int step : state.chosenAt)
            ages.push_back(call.step - step);
        if (m_settings.reuse == MaskReuse::Tmr)
            decision.drift = driftOf(state.anchor.means, means);
        decision.reasons = decideRefresh(m_settings, ages, decision.drift);
    }
    state.chosenAt.resize(headCount, call.step);
    std::vector<std::int64_t> anew;
    for (std::size_t h = 0; h < headCount; ++h) {
        if (decision.reasons[h] == RefreshReason::Reused)
            continue;
        anew.push_back(static_cast<std::int64_t>(h));
        state.chosenAt[h] = call.step;
    }
    if (anew.empty())
        return decision;
    m_host->choose(call, anew, state.mask);
    if (m_settings.reuse == MaskReuse::Tmr) {
        moveAnchor(state.anchor.means.q, means.q, anew);
        moveAnchor(state.anchor.means.k, means.k, anew);
    }
    return decision;
}

at::Tensor SparseAttention::warmUp(const AttentionCall& call, LayerState& state) {
    const bool watched = isWatched();
    const double start = clock(watched);
    if (m_host->usesWarmUp()) {
        checkFinite(call, poolMeans(call), false);
        m_host->warmUp(call, m_settings.warmup, state.mask);
    }
    const double middle = clock(watched);
    at::Tensor out = denseAttention(call);
    if (watched) {
        AttentionRecord record{call.step, call.layer, branchOf(call), AttentionRecord::Mode::Warmup, {},
                               0,         0};
        record.estimateSeconds = middle - start;
        record.attentionSeconds = clock(watched) - middle;
        record.headCount = static_cast<int>(call.q.size(2));
        m_telemetry.take(std::move(record));
    }
    return out;
}

void SparseAttention::tellMasks(const AttentionCall& call, const SparseMask& mask) const {
    if (!m_telemetry.takeMasks || !m_telemetry.wantsMasks || !m_telemetry.wantsMasks(call.layer))
        return;
    auto bitmaps = m_host->bitmaps(mask);
    for (std::size_t h = 0; h < bitmaps.size(); ++h) {
        bitmaps[h].step = call.step;
        bitmaps[h].layer = call.layer;
        bitmaps[h].head = static_cast<int>(h);
        bitmaps[h].branch = branchOf(call);
    }
    if (!bitmaps.empty())
        m_telemetry.takeMasks(std::move(bitmaps));
}

at::Tensor SparseAttention::attend(const AttentionCall& call) {
    checkCall(call);
    settleFinite(call);
    LayerState& state = m_layers[{call.branch, call.layer}];
    if (call.step < state.lastStep || state.shape != call.q.sizes())
        state = {};
    state.lastStep = call.step;
    state.shape = call.q.sizes().vec();
    if (call.step < m_settings.warmup) {
        state.chosenAt.clear();
        state.anchor = {};
        return warmUp(call, state);
    }

    const bool watched = isWatched();
    const bool staysBeside = !watched && m_host->choosesWithoutHost(call);
    const double start = clock(watched);
    const PooledMeans means = poolMeans(call);
    checkFinite(call, means, staysBeside);
    Decision decision;
    if (staysBeside && m_settings.reuse == MaskReuse::Tmr &&
        (!state.chosenAt.empty() || state.anchor.chosenAt.defined()))
        chooseBeside(call, means, state);
    else
        decision = chooseOnHost(call, means, state);
    const double middle = clock(watched);
    at::Tensor out = m_host->attend(call, *state.mask);

    if (watched) {
        AttentionRecord record{call.step, call.layer, branchOf(call), AttentionRecord::Mode::Sparse, {},
                               0,         0};
        record.attentionSeconds = clock(watched) - middle;
        record.headCount = static_cast<int>(call.q.size(2));
        record.estimateSeconds = middle - start;
        const std::vector<double> kept = m_host->keptShare(*state.mask);
        for (std::size_t h = 0; h < kept.size(); ++h) {
            const HeadDrift moved = decision.drift.empty() ? HeadDrift{} : decision.drift[h];
            record.heads.push_back(
                {kept[h], decision.reasons[h], moved.absolute, moved.relative, state.chosenAt[h]});
        }
        m_telemetry.take(std::move(record));
    }
    tellMasks(call, *state.mask);
    if (m_settings.reuse == MaskReuse::Off)
        state.mask->forgetChoice();
    return out;
}

} // namespace canopy::accel
