// Whole rows of FlowCache's SkyReels-V2 port: decisions, sums and latents after every row, through the
// product's own loop. What the port does inside attention (squeezing, window) is done there too.

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "accel/nn/attention.h"
#include "accel/pipelines/denoise_chunks.h"
#include "accel/policies/cache/rescale_polynomials.h"
#include "accel/policies/cache/static_timestep_l1.h"
#include "tests/accel/parity/models.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

using namespace canopy::accel;

namespace {

/// How the port bounds the keys of finished groups: in the call that would see more of them than it may. A
/// group is finished for those behind it as soon as it has made its last step.
class BoundedKeys : public AttentionPolicy {
public:
    BoundedKeys(const ChunkPlan& plan, int groups, bool squeezes, std::int64_t groupTokens)
        : m_plan(plan)
        , m_groups(groups)
        , m_squeezes(squeezes)
        , m_tokens(groupTokens) {
        m_settings.chunkTokens = groupTokens;
    }

    at::Tensor attend(const AttentionCall& call) override {
        const auto group = static_cast<int>(call.k.size(1) / m_tokens) - 1;
        const int clean = finishedBefore(call.step, group);
        if (clean <= m_groups)
            return denseAttention(call);
        const std::int64_t rows = clean * m_tokens;
        const std::int64_t budget = m_groups * m_tokens;
        AttentionCall bounded = call;
        if (!m_squeezes) {
            bounded.k = call.k.narrow(1, rows - budget, call.k.size(1) - rows + budget);
            bounded.v = call.v.narrow(1, rows - budget, call.v.size(1) - rows + budget);
            return denseAttention(bounded);
        }
        auto& kept = m_kept[{call.branch, call.layer, clean}];
        if (!kept.defined())
            kept =
                keptKeys(keyScores(call.q[0], call.k[0].narrow(0, 0, rows), m_settings), budget, m_settings)
                    .t()
                    .unsqueeze(-1); // [budget, H, 1]
        for (auto* tensor : {&bounded.k, &bounded.v}) {
            const auto all = (*tensor)[0];
            const auto index = kept.expand({budget, all.size(1), all.size(2)});
            const auto chosen = at::gather(all.narrow(0, 0, rows), 0, index);
            *tensor = at::cat({chosen, all.narrow(0, rows, all.size(0) - rows)}).unsqueeze(0);
        }
        return denseAttention(bounded);
    }

private:
    int finishedBefore(int row, int group) const {
        std::vector<int> made(static_cast<std::size_t>(m_plan.chunks), 0);
        for (int r = 0; r <= row; ++r)
            for (const auto& call : m_plan.rows[static_cast<std::size_t>(r)])
                made[static_cast<std::size_t>(call.chunk)] += call.update && (r < row || call.chunk < group);
        int finished = m_plan.prefixChunks;
        while (finished < group && made[static_cast<std::size_t>(finished)] == m_plan.steps)
            ++finished;
        return finished;
    }

    const ChunkPlan& m_plan;
    const int m_groups;
    const bool m_squeezes;
    const std::int64_t m_tokens;
    KvCompressionSettings m_settings;
    std::map<std::tuple<Branch, int, int>, at::Tensor> m_kept;
};

/// The port's map over a group's steps: the time projection in any case, only the polynomial is chosen.
StaticMap mapOf(const WanDit& dit, const FlowSchedule& schedule, const Value& run) {
    const bool ret = run["ret"].asBool();
    std::vector<at::Tensor> features;
    for (const double time : schedule.timesteps)
        features.push_back(dit.timeModulation(at::tensor(std::vector<float>{static_cast<float>(time)}),
                                              static_cast<int>(run["fps_index"].asInt())));
    const auto checkpoint =
        run["size"].asString() == "14B" ? RescaledCheckpoint::Forcing14B : RescaledCheckpoint::Forcing1_3B;
    const auto rescale =
        publishedPolynomial(checkpoint, ret ? TimeFeature::Projection : TimeFeature::Embedding);
    const bool never = run["reuse"].isBool() && !run["reuse"].asBool();
    return staticMap(timestepChanges(features, rescale), never ? 0 : run["eps"].asDouble(), {ret ? 5 : 1, 1});
}

void checkRun(const ParityCase& reference, const WanDit& dit, const Value& run) {
    const std::string name = run["name"].asString();
    CAPTURE(name);
    const auto& params = reference.json()["params"];
    const auto block = static_cast<int>(params["cb"].asInt());
    const auto steps = static_cast<int>(run["steps"].asInt());
    const bool prefix = run["prefix"].asBool();
    auto latents = reference.tensor("in.latents").clone();
    const auto frames = static_cast<int>(latents.size(1));

    ChunkSampling sampling;
    sampling.schedule = uniPcSchedule(steps, run["shift"].asDouble(), TimeGrid::Original);
    sampling.chunkFrames = block;
    sampling.plan =
        forcingChunkPlan({frames, frames, static_cast<int>(run["ar"].asInt()), prefix ? block : 0, block},
                         sampling.schedule.timesteps);
    sampling.remembersFirstResult = true;
    sampling.quantity = ReusedQuantity::Residual;
    sampling.finalize = FinalizeKv::None;
    at::Tensor givenNoise;
    if (prefix) {
        sampling.givenTime = run["addnoise"].asDouble();
        latents.narrow(1, 0, block).copy_(reference.tensor("in.prefix"));
        givenNoise = at::zeros_like(latents);
        givenNoise.narrow(1, 0, block).copy_(reference.tensor("in.prefix_noise"));
    }
    const Conditioning conditioning{dit.embedText(reference.tensor("in.context")[0]),
                                    dit.embedText(reference.tensor("in.negative_context")[0]),
                                    run["guidance"].asDouble(), static_cast<int>(run["fps_index"].asInt())};
    const auto map = mapOf(dit, sampling.schedule, run);
    StaticTimestepL1 policy(map);
    const std::int64_t tokens = block * dit.grid(latents).tokensPerFrame();
    std::optional<BoundedKeys> bounded;
    if (run["budget_block"].isInt())
        bounded.emplace(sampling.plan, static_cast<int>(run["budget_block"].asInt()), true, tokens);
    else if (run["kvrange"].isInt())
        bounded.emplace(sampling.plan, static_cast<int>(run["kvrange"].asInt()), false, tokens);

    const auto wantedLatents = reference.tensor(name + ".latents");
    const auto decided = reference.tensor(name + ".decision");
    const auto sums = reference.tensor(name + ".accumulated_after");
    const auto rows = static_cast<std::int64_t>(sampling.plan.rows.size());
    REQUIRE(decided.size(0) == rows);
    auto decision = at::full({rows, 2, sampling.plan.chunks}, -1, at::kInt);
    auto accumulated = at::full(decision.sizes(), 0, at::kFloat);
    if (prefix) // it runs once, before the first row
        decision[0].narrow(1, 0, 1).fill_(0);

    auto state = startChunks(dit, sampling, true, latents, givenNoise);
    ChunkEvents events;
    events.record = [&](const ChunkRecord& part) {
        for (const auto& row : part.rows)
            for (const auto& step : row.chunks) {
                decision[row.row].select(1, step.chunk).fill_(step.decision == ChunkDecision::Reuse ? 1 : 0);
                accumulated[row.row]
                    .select(1, step.chunk)
                    .fill_(map.accumulated[static_cast<std::size_t>(step.step)]);
            }
    };
    events.rowEnded = [&] {
        expectClose(state.latents, wantedLatents[state.row], reference.tolerance(),
                    name + " after row " + std::to_string(state.row - 1));
    };
    denoiseChunks(dit, conditioning, sampling, state, &policy, bounded ? &*bounded : nullptr, events, {});
    expectEqual(decision, decided, name + " decisions");
    expectClose(accumulated, sums, 1e-4, name + " sums");
}

} // namespace

void checkFlowCacheSkyReels(const ParityCase& reference) {
    const auto dit = loadDit(originalDitConfig(reference), reference.weightFiles().front());
    for (const auto& run : reference.json()["runs"].asArray())
        checkRun(reference, *dit, run);
}

} // namespace canopy::test
