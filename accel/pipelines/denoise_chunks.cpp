#include "accel/pipelines/denoise_chunks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "accel/pipelines/kv_record.h"
#include "accel/pipelines/numeric_error.h"
#include "accel/pipelines/query_recorder.h"
#include "accel/policies/cache/change_rule.h"
#include "accel/runtime/cancelled.h"
#include "core/base/clock.h"

namespace canopy::accel {

namespace {

/// One call of denoiseChunks(): what all its rows share.
class SegmentRun {
public:
    SegmentRun(const WanDit& dit, const Conditioning& conditioning, const ChunkSampling& sampling,
               ChunkedState& state, RowPolicy* policy, AttentionPolicy* attention, const ChunkEvents& events,
               const std::stop_token& stop)
        : m_dit(dit)
        , m_conditioning(conditioning)
        , m_sampling(sampling)
        , m_state(state)
        , m_policy(policy)
        , m_attention(attention)
        , m_events(events)
        , m_stop(stop)
        , m_tokens(sampling.chunkFrames * dit.grid(state.latents).tokensPerFrame())
        , m_branches(conditioning.negative.defined() ? 2 : 1)
        , m_start(steadySeconds()) {}

    void run() {
        const int rows = static_cast<int>(m_sampling.plan.rows.size());
        while (m_state.row < rows) {
            m_part = {};
            m_rowStart = steadySeconds();
            prepareRow();
            runRow();
        }
    }

private:
    using Velocities = std::array<at::Tensor, kBranches>;

    ChunkProgress& chunk(int index) { return m_state.chunks[static_cast<std::size_t>(index)]; }
    at::Tensor latentsOf(int index) const {
        return m_state.latents.narrow(1, index * std::int64_t{m_sampling.chunkFrames},
                                      m_sampling.chunkFrames);
    }
    const ChunkRow& row() const { return m_sampling.plan.rows[static_cast<std::size_t>(m_state.row)]; }
    int heldOf(int index) const { return index == m_sampling.plan.prefixChunks ? m_sampling.heldFrames : 0; }

    /// Between rows: clean passes of chunks that have finished, room for those that enter.
    void prepareRow() {
        m_done = 0;
        int passes = 0;
        std::vector<int> waiting; // for their last pass, ascending
        for (int c = 0; c < m_sampling.plan.chunks; ++c) {
            const bool given = c < m_sampling.plan.prefixChunks;
            const bool finished = given || chunk(c).solver.step == m_sampling.plan.steps;
            if (finished && !chunk(c).keysFinal) {
                waiting.push_back(c);
                passes += hasLastPass(c, given) ? 1 : 0;
            }
        }
        m_blocks = passes * m_branches * m_dit.config().layers;
        for (const int c : waiting) {
            const bool given = c < m_sampling.plan.prefixChunks;
            if (given || chunk(c).keysLost)
                enter(c);
            if (hasLastPass(c, given))
                lastPass(c, given);
            chunk(c).keysFinal = true;
            chunk(c).keysLost = false;
        }
        for (const auto& call : row()) {
            if (call.update)
                enter(call.chunk);
        }
    }

    bool hasLastPass(int index, bool given) {
        return given || chunk(index).keysLost || m_sampling.finalize == FinalizeKv::Clean;
    }

    /// Rows in the pool for a chunk, once.
    void enter(int index) {
        auto& pool = *m_state.keys;
        if (pool.holds(index))
            return;
        const std::int64_t lacking = pool.usedRows() + m_tokens - pool.capacityRows();
        if (lacking > 0)
            makeRoom(lacking);
        pool.registerChunk(index, m_tokens);
    }

    void makeRoom(std::int64_t lacking) {
        auto& pool = *m_state.keys;
        int lastClean = -1;
        std::int64_t clean = 0;
        std::vector<int> chunks;
        for (const auto& range : pool.ranges()) {
            if (chunk(range.chunk).keysFinal) {
                lastClean = range.chunk;
                clean = range.first + range.rows;
                chunks.push_back(range.chunk);
            }
        }
        if (lacking > clean - m_tokens)
            throw std::length_error("KV pool: " + std::to_string(lacking) + " rows are lacking and " +
                                    std::to_string(clean) + " belong to finished chunks");
        const double start = steadySeconds();
        const int oldest = pool.origin(Branch::Prompt, 0).min().item<int>() / static_cast<int>(m_tokens);
        if (m_sampling.kvWindow) {
            const auto kept = static_cast<int>((clean - lacking) / m_tokens);
            keepWindow(pool, lastClean, kept);
        } else {
            compressClean(pool, lastClean, clean - lacking, m_dit.config().layers, m_state.queries,
                          m_sampling.compression);
        }
        if (!m_events.record)
            return;
        KvCompressionRecord squeezed;
        squeezed.row = m_state.row - 1;
        squeezed.chunks = chunks;
        squeezed.rowsBefore = static_cast<int>(clean);
        squeezed.rowsAfter = static_cast<int>(clean - lacking);
        squeezed.milliseconds = (steadySeconds() - start) * 1000;
        squeezed.frames =
            keptFrames(pool, m_dit.config().layers, m_branches, oldest, lastClean, m_sampling.chunkFrames,
                       static_cast<int>(m_tokens / m_sampling.chunkFrames));
        // At once: a cancelled row is run again, the squeezing is not.
        ChunkRecord part;
        part.compressions.push_back(std::move(squeezed));
        m_events.record(std::move(part));
    }

    /// Writes a finished or given chunk's keys as later chunks are to see them.
    void lastPass(int index, bool given) {
        auto x = latentsOf(index);
        double time = 0;
        if (given && m_sampling.givenTime > 0) {
            time = m_sampling.givenTime;
            x = noised(x, index);
        }
        std::optional<QueryRecorder> recorder;
        auto* attention = m_attention;
        if (!given && chunk(index).keysLost && limited())
            attention = observed(recorder);
        for (int b = 0; b < m_branches; ++b)
            pass(index, x, at::full({1}, time, m_state.latents.options()), static_cast<Branch>(b), attention);
        chunk(index).keysRow = m_state.row;
    }

    at::Tensor noised(const at::Tensor& x, int index) const {
        const double share = m_sampling.givenTime / 1000;
        const auto noise = m_state.given.narrow(1, index * std::int64_t{m_sampling.chunkFrames}, x.size(1));
        return x * (1 - share) + noise * share;
    }

    ForwardContext contextFor(int index, Branch branch, AttentionPolicy* attention) {
        ForwardContext context;
        context.step = m_state.row;
        context.branch = branch;
        context.grid = m_dit.grid(latentsOf(index), index * m_sampling.chunkFrames);
        context.chunks = {{index, 0, m_sampling.chunkFrames}};
        context.kv = m_state.keys.get();
        context.stop = m_stop;
        context.attention = attention;
        context.blockDone = [this](int layer) { blockDone(layer); };
        return context;
    }

    void blockDone(int layer) {
        const auto& steps = m_events.steps;
        ++m_done;
        if (steps.pace)
            steps.pace();
        if (m_timed) {
            const double now = steadySeconds();
            steps.blockSeconds(layer, now - m_lastBlock);
            m_lastBlock = now;
        }
        if (steps.block)
            steps.block(m_done, std::max(m_blocks, m_done));
    }

    const at::Tensor& textOf(Branch branch) const {
        return branch == Branch::Prompt ? m_conditioning.prompt : m_conditioning.negative;
    }

    /// Velocity of one chunk in one branch; its keys are written on the way. `residual` is set where it is
    /// wanted.
    at::Tensor pass(int index, const at::Tensor& x, const at::Tensor& times, Branch branch,
                    AttentionPolicy* attention, at::Tensor* residual = nullptr) {
        const auto context = contextFor(index, branch, attention);
        auto state = m_dit.embed(x, times, textOf(branch), m_conditioning.fpsIndex, context);
        const auto before = residual ? state.hidden.clone() : at::Tensor();
        m_dit.layers(0, m_dit.config().layers, state, context);
        if (residual)
            *residual = state.hidden - before;
        return m_dit.head(state, context);
    }

    /// The same from what the layers added at the last computed step: embedding and head only.
    at::Tensor passWithResidual(int index, const at::Tensor& x, const at::Tensor& times, Branch branch) {
        const auto context = contextFor(index, branch, nullptr);
        auto state = m_dit.embed(x, times, textOf(branch), m_conditioning.fpsIndex, context);
        state.hidden = state.hidden + chunk(index).residual[static_cast<std::size_t>(branch)];
        return m_dit.head(state, context);
    }

    at::Tensor guided(const Velocities& v) const {
        return m_branches == 1 ? v[0] : v[1] + (v[0] - v[1]) * m_conditioning.guidance;
    }

    /// [1] or, where frames are held at another time, [chunkFrames].
    at::Tensor timesOf(int index, double time) const {
        const auto options = m_state.latents.options();
        auto times = at::full({heldOf(index) > 0 ? m_sampling.chunkFrames : 1}, time, options);
        if (heldOf(index) > 0)
            times.narrow(0, 0, heldOf(index)).fill_(m_sampling.givenTime);
        return times;
    }

    at::Tensor inputOf(int index) const {
        const auto x = latentsOf(index);
        if (heldOf(index) == 0 || m_sampling.givenTime <= 0)
            return x;
        auto input = x.clone();
        input.narrow(1, 0, heldOf(index)).copy_(noised(x.narrow(1, 0, heldOf(index)), index));
        return input;
    }

    struct Made {
        at::Tensor velocity; ///< defined unless an increment is repeated
        std::array<at::Tensor, kBranches> residual;
        bool computed = false;
        double seconds = 0;
        int context = 0;
    };

    Made make(const ChunkStep& step, bool compute) {
        Made made;
        const double start = steadySeconds();
        const int c = step.chunk;
        made.computed = compute;
        if (compute) {
            std::optional<QueryRecorder> recorder;
            auto* attention = m_attention;
            if (limited())
                attention = observed(recorder);
            Velocities v;
            for (int b = 0; b < m_branches; ++b)
                v[static_cast<std::size_t>(b)] =
                    pass(c, inputOf(c), timesOf(c, step.timestep), static_cast<Branch>(b), attention,
                         m_sampling.quantity == ReusedQuantity::Residual
                             ? &made.residual[static_cast<std::size_t>(b)]
                             : nullptr);
            made.velocity = guided(v);
            const auto range = m_state.keys->range(c);
            made.context = static_cast<int>(range.first + range.rows);
        } else if (m_sampling.quantity == ReusedQuantity::Residual) {
            Velocities v;
            for (int b = 0; b < m_branches; ++b)
                v[static_cast<std::size_t>(b)] =
                    passWithResidual(c, inputOf(c), timesOf(c, step.timestep), static_cast<Branch>(b));
            made.velocity = guided(v);
        } else if (m_sampling.quantity == ReusedQuantity::Velocity) {
            made.velocity = chunk(c).update;
        }
        made.seconds = steadySeconds() - start;
        return made;
    }

    AttentionPolicy* observed(std::optional<QueryRecorder>& recorder) {
        return &recorder.emplace(m_attention, m_dit.config().layers, m_sampling.compression, m_state.queries);
    }

    bool limited() const {
        return !m_sampling.kvWindow && m_state.keys->capacityRows() < m_sampling.plan.chunks * m_tokens;
    }

    static bool canReuse(const ChunkProgress& progress, ReusedQuantity quantity) {
        return quantity == ReusedQuantity::Residual ? progress.residual[0].defined()
                                                    : progress.update.defined();
    }

    void runRow() {
        RowInfo info{m_state.row, {}};
        for (const auto& call : row()) {
            if (call.update)
                info.chunks.push_back({call.chunk, chunk(call.chunk).solver.step, call.time});
        }
        auto decisions = m_policy ? m_policy->decide(info)
                                  : std::vector<RowDecision>(info.chunks.size(), RowDecision::Compute);
        if (decisions.size() != info.chunks.size())
            throw std::logic_error("a row policy must decide for every chunk of the row");
        int computed = 0;
        for (std::size_t i = 0; i < decisions.size(); ++i) {
            if (!canReuse(chunk(info.chunks[i].chunk), m_sampling.quantity))
                decisions[i] = RowDecision::Compute;
            computed += decisions[i] == RowDecision::Compute ? 1 : 0;
        }
        m_blocks += computed * m_branches * m_dit.config().layers;
        const auto& steps = m_events.steps;
        m_timed = steps.blockSeconds && (!steps.wantsBlockSeconds || steps.wantsBlockSeconds());
        m_lastBlock = steadySeconds();

        std::vector<Made> made;
        std::vector<at::Tensor> finite;
        for (std::size_t i = 0; i < info.chunks.size(); ++i) {
            made.push_back(make(info.chunks[i], decisions[i] == RowDecision::Compute));
            if (made.back().velocity.defined())
                finite.push_back(at::isfinite(made.back().velocity).all());
        }
        if (!finite.empty() && !at::stack(finite).all().item<bool>())
            throw NumericError("numbers overflowed in the velocity", m_state.row);
        throwIfStopped(m_stop);

        // The row has ended: from here on nothing throws Cancelled, and state changes as a whole.
        const bool wantsClean = steps.clean && (!steps.wantsClean || steps.wantsClean());
        auto clean = wantsClean ? m_state.latents.clone() : at::Tensor();
        if (m_events.record) {
            m_part.rows.push_back(recordOf(info, decisions, made));
            if (!m_policy)
                recordVelocityChanges(info, made);
        }
        for (std::size_t i = 0; i < info.chunks.size(); ++i)
            integrate(info.chunks[i].chunk, made[i], clean);
        if (m_policy)
            m_policy->commit(info, decisions);
        const int finished = m_state.row++;
        if (m_events.record) {
            auto& record = m_part.rows.back();
            record.milliseconds = (steadySeconds() - m_rowStart) * 1000;
            m_events.record(std::move(m_part));
        }
        if (wantsClean)
            steps.clean(finished, clean);
        if (steps.rowDone)
            steps.rowDone(finished, static_cast<int>(m_sampling.plan.rows.size()),
                          steadySeconds() - m_rowStart);
        if (m_events.rowEnded)
            m_events.rowEnded();
    }

    void integrate(int index, Made& made, const at::Tensor& clean) {
        auto& progress = chunk(index);
        const auto x = latentsOf(index).clone();
        at::Tensor next;
        if (made.velocity.defined()) {
            if (clean.defined())
                clean.narrow(1, index * std::int64_t{m_sampling.chunkFrames}, m_sampling.chunkFrames)
                    .copy_(predictedClean(m_sampling.schedule, progress.solver.step, made.velocity, x));
            next = solverStep(m_sampling.sampler, m_sampling.schedule, progress.solver, made.velocity.clone(),
                              x.clone());
            if (m_sampling.remembersFirstResult)
                rememberFirstResult(progress.solver, next);
        } else {
            next = x + progress.update;
            ++progress.solver.step;
        }
        if (heldOf(index) > 0)
            next.narrow(1, 0, heldOf(index)).copy_(x.narrow(1, 0, heldOf(index)));
        latentsOf(index).copy_(next);
        (made.computed ? progress.computed : progress.reused) += 1;
        if (made.computed) {
            progress.keysRow = m_state.row;
            progress.residual = made.residual;
            if (m_sampling.quantity == ReusedQuantity::Velocity)
                progress.update = made.velocity;
            else if (m_sampling.quantity == ReusedQuantity::Increment)
                progress.update = next - x;
        }
        if (progress.solver.step < m_sampling.plan.steps)
            return;
        // Nothing of a finished chunk is read again but its latents and keys.
        progress.update = at::Tensor();
        progress.residual = {};
        const int step = progress.solver.step;
        progress.solver = {};
        progress.solver.step = step;
        const bool last = m_state.row + 1 == static_cast<int>(m_sampling.plan.rows.size());
        if (last || !isReadAfter(index))
            progress.keysFinal = true;
        if (m_events.record)
            m_part.done.push_back(
                {index, m_state.row, 0, progress.computed, progress.reused, steadySeconds() - m_start});
    }

    /// A later row advances a chunk behind this one.
    bool isReadAfter(int index) const {
        const auto& rows = m_sampling.plan.rows;
        return std::any_of(rows.begin() + m_state.row + 1, rows.end(), [&](const ChunkRow& r) {
            return std::any_of(r.begin(), r.end(),
                               [&](const ChunkCall& call) { return call.update && call.chunk > index; });
        });
    }

    ChunkRowRecord recordOf(const RowInfo& info, const std::vector<RowDecision>& decisions,
                            const std::vector<Made>& made) {
        ChunkRowRecord record;
        record.row = m_state.row;
        const auto reasons =
            m_policy ? m_policy->reasons(info) : std::vector<DecisionReason>(info.chunks.size());
        for (std::size_t i = 0; i < info.chunks.size(); ++i) {
            const auto& progress = chunk(info.chunks[i].chunk);
            const auto& reason = reasons[i];
            ChunkStepRecord one;
            one.chunk = info.chunks[i].chunk;
            one.step = info.chunks[i].localStep;
            one.time = info.chunks[i].timestep;
            const bool computed = decisions[i] == RowDecision::Compute;
            one.decision = !computed                                     ? ChunkDecision::Reuse
                           : !canReuse(progress, m_sampling.quantity)    ? ChunkDecision::New
                           : reason.rule == DecisionReason::Rule::Forced ? ChunkDecision::Forced
                           : reason.rule == DecisionReason::Rule::WarmUp ? ChunkDecision::WarmUp
                                                                         : ChunkDecision::Compute;
            one.change = reason.change;
            one.sumBefore = reason.sumBefore;
            one.sumAfter = computed ? 0 : reason.sumAfter;
            one.tokens = static_cast<int>(m_tokens);
            one.contextTokens = made[i].context;
            one.keyAgeRows = computed ? 0 : m_state.row - progress.keysRow;
            one.milliseconds = made[i].seconds * 1000;
            record.chunks.push_back(one);
        }
        record.kv = kvUse(*m_state.keys, m_state.latents.is_cuda());
        return record;
    }

    /// Before integrate(), which takes the new velocities over.
    void recordVelocityChanges(const RowInfo& info, const std::vector<Made>& made) {
        if (m_sampling.quantity != ReusedQuantity::Velocity)
            return;
        std::vector<std::size_t> which;
        std::vector<std::pair<at::Tensor, at::Tensor>> nowAndBefore;
        for (std::size_t i = 0; i < made.size(); ++i) {
            const auto& before = chunk(info.chunks[i].chunk).update;
            if (!before.defined())
                continue;
            which.push_back(i);
            nowAndBefore.emplace_back(made[i].velocity, before);
        }
        const auto changes = relativeChanges(nowAndBefore);
        for (std::size_t i = 0; i < which.size(); ++i)
            m_part.rows.back().chunks[which[i]].change = changes[i];
    }

    const WanDit& m_dit;
    const Conditioning& m_conditioning;
    const ChunkSampling& m_sampling;
    ChunkedState& m_state;
    RowPolicy* m_policy;
    AttentionPolicy* m_attention;
    const ChunkEvents& m_events;
    const std::stop_token& m_stop;
    const std::int64_t m_tokens; ///< of a chunk
    const int m_branches;
    const double m_start;

    // Of the row under way.
    ChunkRecord m_part;
    double m_rowStart = 0;
    int m_done = 0;
    int m_blocks = 0;
    bool m_timed = false;
    double m_lastBlock = 0;
};

} // namespace

int chunksInFlight(const ChunkPlan& plan) {
    int most = 0;
    for (const auto& row : plan.rows)
        most = std::max(most, static_cast<int>(std::count_if(row.begin(), row.end(),
                                                             [](const ChunkCall& c) { return c.update; })));
    return most;
}

ChunkedState startChunks(const WanDit& dit, const ChunkSampling& sampling, bool guided, at::Tensor latents,
                         at::Tensor givenNoise) {
    const int chunks = sampling.plan.chunks;
    if (latents.size(1) != std::int64_t{chunks} * sampling.chunkFrames)
        throw std::invalid_argument(std::to_string(latents.size(1)) + " latent frames are not " +
                                    std::to_string(chunks) + " chunks of " +
                                    std::to_string(sampling.chunkFrames));
    if (sampling.givenTime > 0 && !givenNoise.defined())
        throw std::invalid_argument("given frames that are noised need noise");
    ChunkedState state;
    const int capacity = sampling.capacityChunks > 0 ? std::min(sampling.capacityChunks, chunks) : chunks;
    const auto& config = dit.config();
    const std::int64_t tokens = sampling.chunkFrames * dit.grid(latents).tokensPerFrame();
    state.keys = std::make_unique<KvPool>(config.layers, capacity * tokens, config.heads, config.headDim,
                                          latents.options().dtype(dit.dtype()), guided ? 2 : 1);
    state.latents = std::move(latents);
    state.given = std::move(givenNoise);
    state.chunks.resize(static_cast<std::size_t>(chunks));
    return state;
}

void denoiseChunks(const WanDit& dit, const Conditioning& conditioning, const ChunkSampling& sampling,
                   ChunkedState& state, RowPolicy* policy, AttentionPolicy* attention,
                   const ChunkEvents& events, const std::stop_token& stop) {
    SegmentRun(dit, conditioning, sampling, state, policy, attention, events, stop).run();
}

} // namespace canopy::accel
