#include "accel/policies/attention/sparse_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

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

/// A sum over all tokens is finite only where every token is, short of an overflow that would spoil
/// attention as well.
at::Tensor areFinite(const PooledMeans& means) {
    return at::isfinite(means.q).all() & at::isfinite(means.k).all();
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

bool SparseAttention::staysOnCard(const AttentionCall& call) const {
    return !m_telemetry.take && m_host->choosesWithoutHost(call);
}

void SparseAttention::checkFinite(const AttentionCall& call, const PooledMeans& means) {
    const at::Tensor flag = areFinite(means);
    if (staysOnCard(call))
        m_unsettled.push_back({call.step, call.layer, flag});
    else if (!flag.item<bool>())
        throw notFinite(call.step, call.layer);
}

void SparseAttention::settleFinite(const AttentionCall& call) {
    if (m_unsettled.empty() || m_unsettled.front().step == call.step)
        return;
    const std::vector<Finite> earlier = std::exchange(m_unsettled, {});
    if (call.step < earlier.front().step)
        return; // another clip, or a row that is run again
    std::vector<at::Tensor> flags;
    for (const Finite& finite : earlier)
        flags.push_back(finite.flag);
    const at::Tensor host = at::stack(flags).cpu();
    for (std::size_t i = 0; i < earlier.size(); ++i)
        if (!host.const_data_ptr<bool>()[i])
            throw notFinite(earlier[i].step, earlier[i].layer);
}

/// decideRefresh() and the choice for heads that have one, by operators on the card.
void SparseAttention::chooseOnCard(const AttentionCall& call, const PooledMeans& means,
                                   LayerState& state) const {
    const at::Tensor drift = absoluteDrift(state.anchor, means);
    if (!state.chosenStep.defined())
        state.chosenStep =
            at::full({call.q.size(2)}, state.chosenAt.front(), drift.options().dtype(at::kLong));
    const at::Tensor anew = decideRefreshBeside(m_settings, call.step - state.chosenStep, drift) != 0;
    m_host->chooseWhere(call, anew, *state.mask);
    state.chosenStep = state.chosenStep.masked_fill(anew, call.step);
    state.anchor.q = at::where(anew.unsqueeze(1), means.q, state.anchor.q);
    state.anchor.k = at::where(anew.unsqueeze(1), means.k, state.anchor.k);
}

at::Tensor SparseAttention::warmUp(const AttentionCall& call, LayerState& state) {
    const bool watched = isWatched();
    const double start = clock(watched);
    if (m_host->usesWarmUp()) {
        checkFinite(call, poolMeans(call));
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
        state.chosenStep = at::Tensor();
        return warmUp(call, state);
    }

    const bool watched = isWatched();
    const double start = clock(watched);
    const auto headCount = static_cast<std::size_t>(call.q.size(2));
    const PooledMeans means = poolMeans(call);
    checkFinite(call, means);
    if (m_settings.reuse == MaskReuse::Tmr && !state.chosenAt.empty() && staysOnCard(call)) {
        chooseOnCard(call, means, state);
        return m_host->attend(call, *state.mask);
    }
    std::vector<RefreshReason> reasons(headCount, RefreshReason::First);
    std::vector<HeadDrift> drift;
    if (!state.chosenAt.empty()) {
        std::vector<int> ages;
        for (const int step : state.chosenAt)
            ages.push_back(call.step - step);
        if (m_settings.reuse == MaskReuse::Tmr)
            drift = driftOf(state.anchor, means);
        reasons = decideRefresh(m_settings, ages, drift);
    }
    state.chosenAt.resize(headCount, call.step);
    std::vector<std::int64_t> anew;
    for (std::size_t h = 0; h < headCount; ++h) {
        if (reasons[h] == RefreshReason::Reused)
            continue;
        anew.push_back(static_cast<std::int64_t>(h));
        state.chosenAt[h] = call.step;
    }
    if (!anew.empty()) {
        m_host->choose(call, anew, state.mask);
        if (m_settings.reuse == MaskReuse::Tmr) {
            moveAnchor(state.anchor.q, means.q, anew);
            moveAnchor(state.anchor.k, means.k, anew);
        }
    }
    const double middle = clock(watched);
    at::Tensor out = m_host->attend(call, *state.mask);

    if (watched) {
        AttentionRecord record{call.step, call.layer, branchOf(call), AttentionRecord::Mode::Sparse, {},
                               0,         0};
        record.attentionSeconds = clock(watched) - middle;
        record.headCount = static_cast<int>(call.q.size(2));
        record.estimateSeconds = middle - start;
        const std::vector<double> kept = m_host->keptShare(*state.mask);
        for (std::size_t h = 0; h < headCount; ++h) {
            const HeadDrift moved = drift.empty() ? HeadDrift{} : drift[h];
            record.heads.push_back({kept[h], reasons[h], moved.absolute, moved.relative, state.chosenAt[h]});
        }
        m_telemetry.take(std::move(record));
    }
    tellMasks(call, *state.mask);
    if (m_settings.reuse == MaskReuse::Off)
        state.mask->forgetChoice();
    return out;
}

} // namespace canopy::accel
