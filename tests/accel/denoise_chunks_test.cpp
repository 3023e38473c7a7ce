// Block-causal sampling over a small random transformer: against one joint call, through pauses, reuse and a
// bounded memory of keys.

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <c10/core/InferenceMode.h>

#include <doctest/doctest.h>

#include "accel/pipelines/denoise_chunks.h"
#include "accel/runtime/cancelled.h"
#include "tests/accel/small_dit.h"

using namespace canopy;
using namespace canopy::accel;
using namespace canopy::test;

namespace {

constexpr int kBlock = 2; // latent frames

/// Four blocks; `lag` steps between them.
ChunkSampling samplingFor(int blocks, int steps, int lag, Sampler sampler) {
    ChunkSampling sampling;
    sampling.sampler = sampler;
    sampling.schedule =
        sampler == Sampler::Euler ? plainSchedule(steps, 5) : uniPcSchedule(steps, 5, TimeGrid::Diffusers);
    sampling.chunkFrames = kBlock;
    const int frames = blocks * kBlock;
    sampling.plan = forcingChunkPlan({frames, frames, lag, 0, kBlock}, sampling.schedule.timesteps);
    sampling.remembersFirstResult = true;
    return sampling;
}

at::Tensor noiseOf(const SmallModel& model, int blocks) {
    return at::randn({model.config.inChannels, blocks * kBlock, 4, 6}, at::detail::createCPUGenerator(11),
                     at::TensorOptions(at::kFloat));
}

struct Ran {
    at::Tensor latents;
    ChunkRecord record;
    std::uint64_t keyBytes = 0;
};

Ran run(const SmallModel& model, ChunkSampling sampling, RowPolicy* policy = nullptr) {
    const std::int64_t tokens = kBlock * model.dit->grid(model.latents).tokensPerFrame();
    sampling.compression.frameTokens = tokens / kBlock;
    sampling.compression.chunkTokens = tokens;
    auto state = startChunks(*model.dit, sampling, true, noiseOf(model, sampling.plan.chunks));
    Ran ran;
    ChunkEvents events;
    events.record = [&](ChunkRecord part) { append(ran.record, std::move(part)); };
    denoiseChunks(*model.dit, model.conditioning, sampling, state, policy, nullptr, events, {});
    ran.latents = state.latents;
    ran.keyBytes = state.keys->bytes();
    return ran;
}

double relative(const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).norm() / b.norm()).item<double>();
}

/// Reuses every second step after the first.
FixedMask everySecond(int blocks, int steps) {
    std::vector<bool> steps01;
    for (int k = 0; k < steps; ++k)
        steps01.push_back(k % 2 == 1);
    return FixedMask(std::vector<std::vector<bool>>(static_cast<std::size_t>(blocks), steps01));
}

} // namespace

TEST_CASE("block after block from a memory of keys equals one joint block-causal call") {
    const c10::InferenceMode inference;
    const SmallModel model;
    for (const auto sampler : {Sampler::Euler, Sampler::UniPc}) {
        for (const int lag : {0, 2, 6}) {
            CAPTURE(lag);
            const auto sampling = samplingFor(3, 6, lag, sampler);
            const auto plan =
                forcingPlan(sampler, sampling.schedule, {3 * kBlock, 3 * kBlock, lag, 0, kBlock}, true);
            auto joint = startState(plan, noiseOf(model, 3));
            denoise(*model.dit, model.conditioning, plan, joint, {}, {}, {});
            const auto ran = run(model, sampling);
            CHECK(relative(ran.latents, joint.latents) < 1e-5);
            // Finished blocks and blocks that have not begun never run: 6 steps each.
            std::size_t steps = 0;
            for (const auto& row : ran.record.rows)
                steps += row.chunks.size();
            CHECK(steps == 18);
        }
    }
}

TEST_CASE("keys left as the last step wrote them give another clip than clean ones") {
    const c10::InferenceMode inference;
    const SmallModel model;
    auto sampling = samplingFor(3, 6, 6, Sampler::Euler);
    const auto clean = run(model, sampling);
    sampling.finalize = FinalizeKv::None;
    const auto stale = run(model, sampling);
    CHECK(clean.latents.narrow(1, 0, kBlock).equal(stale.latents.narrow(1, 0, kBlock)));
    CHECK(relative(stale.latents, clean.latents) > 1e-5);
}

TEST_CASE("stopping after every layer and going on gives the uninterrupted bits") {
    const c10::InferenceMode inference;
    const SmallModel model;
    for (const auto quantity :
         {ReusedQuantity::Velocity, ReusedQuantity::Increment, ReusedQuantity::Residual}) {
        auto sampling = samplingFor(6, 4, 2, Sampler::UniPc);
        sampling.quantity = quantity;
        sampling.capacityChunks = 3;
        const std::int64_t tokens = kBlock * model.dit->grid(model.latents).tokensPerFrame();
        sampling.compression.frameTokens = tokens / kBlock;
        sampling.compression.chunkTokens = tokens;
        auto mask = everySecond(6, 4);
        const auto whole = run(model, sampling, &mask);
        CHECK_FALSE(whole.record.compressions.empty());

        auto state = startChunks(*model.dit, sampling, true, noiseOf(model, 6));
        int pauses = 0;
        for (int after = 1;;) {
            std::stop_source stop;
            int layers = 0;
            ChunkEvents events;
            events.steps.pace = [&] {
                if (++layers == after)
                    stop.request_stop();
            };
            const int row = state.row;
            try {
                denoiseChunks(*model.dit, model.conditioning, sampling, state, &mask, nullptr, events,
                              stop.get_token());
                break;
            } catch (const Cancelled&) {
                ++pauses;
                after = state.row == row ? after + 1 : 1;
            }
        }
        CHECK(pauses > 40);
        CHECK(state.latents.equal(whole.latents));
    }
}

TEST_CASE("reuse repeats what it says, and a mask without reuse changes nothing") {
    const c10::InferenceMode inference;
    const SmallModel model;
    for (const auto quantity :
         {ReusedQuantity::Velocity, ReusedQuantity::Increment, ReusedQuantity::Residual}) {
        auto sampling = samplingFor(3, 6, 3, Sampler::Euler);
        sampling.quantity = quantity;
        const auto all = run(model, sampling);
        FixedMask none({});
        CHECK(run(model, sampling, &none).latents.equal(all.latents));
        auto mask = everySecond(3, 6);
        const auto reused = run(model, sampling, &mask);
        CHECK(relative(reused.latents, all.latents) > 1e-6);
        for (const auto& done : reused.record.done) {
            CHECK(done.computed == 3);
            CHECK(done.reused == 3);
        }
        for (const auto& row : reused.record.rows)
            for (const auto& step : row.chunks) {
                CHECK((step.decision == ChunkDecision::Reuse) == (step.step % 2 == 1));
                CHECK((step.decision == ChunkDecision::New) == (step.step == 0));
                CHECK((step.contextTokens == 0) == (step.decision == ChunkDecision::Reuse));
            }
    }
}

TEST_CASE("a clip of twenty blocks stays within a memory of five") {
    const c10::InferenceMode inference;
    const SmallModel model;
    auto sampling = samplingFor(20, 4, 1, Sampler::Euler); // four in flight
    sampling.capacityChunks = 5;
    CHECK(chunksInFlight(sampling.plan) == 4);
    const auto tokens = static_cast<int>(kBlock * model.dit->grid(model.latents).tokensPerFrame());
    for (const bool window : {false, true}) {
        sampling.kvWindow = window;
        const auto ran = run(model, sampling);
        CHECK(ran.record.compressions.size() == 15);
        for (const auto& row : ran.record.rows) {
            CHECK(row.kv.capacityRows == 5 * tokens);
            CHECK(row.kv.usedRows <= 5 * tokens);
            CHECK(row.kv.bytes == ran.keyBytes);
        }
        for (const auto& squeezed : ran.record.compressions) {
            CHECK(squeezed.rowsBefore == 2 * tokens);
            CHECK(squeezed.rowsAfter == tokens);
            double kept = 0;
            for (const auto& frame : squeezed.frames)
                kept += frame.kept * tokens / kBlock;
            CHECK(kept == doctest::Approx(tokens));
        }
        CHECK(ran.latents.isfinite().all().item<bool>());
    }
    sampling.capacityChunks = 4;
    CHECK_THROWS_AS(run(model, sampling), std::length_error);
}

TEST_CASE("a second clip of another size does not see the first") {
    const c10::InferenceMode inference;
    const SmallModel model;
    const auto first = run(model, samplingFor(4, 4, 2, Sampler::UniPc));
    (void)run(model, samplingFor(2, 5, 0, Sampler::UniPc));
    CHECK(run(model, samplingFor(4, 4, 2, Sampler::UniPc)).latents.equal(first.latents));
}

TEST_CASE("given blocks and held frames keep their bits and are seen by what follows") {
    const c10::InferenceMode inference;
    const SmallModel model;
    auto sampling = samplingFor(3, 4, 4, Sampler::Euler);
    sampling.plan =
        forcingChunkPlan({3 * kBlock, 3 * kBlock, 4, kBlock, kBlock}, sampling.schedule.timesteps);
    sampling.heldFrames = 1;
    const auto ran = run(model, sampling);
    const auto noise = noiseOf(model, 3);
    CHECK(ran.latents.narrow(1, 0, kBlock + 1).equal(noise.narrow(1, 0, kBlock + 1)));
    CHECK_FALSE(ran.latents.narrow(1, kBlock + 1, 1).equal(noise.narrow(1, kBlock + 1, 1)));
    sampling.heldFrames = 0;
    CHECK_FALSE(
        run(model, sampling).latents.narrow(1, 2 * kBlock, 1).equal(ran.latents.narrow(1, 2 * kBlock, 1)));
}

TEST_CASE("over a constant velocity, repeating it is exact and repeating the increment lags as predicted") {
    const c10::InferenceMode inference;
    const SmallModel model(true);
    // MAGI-1's times and the patterns of flow-cache.md 9, one block.
    const auto times = magiTimes(64);
    const std::string patterns[] = {"CCCCC......C...C..C..C.C.C.C.C.CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC",
                                    "CCCCC........C....C...C..C..C.C.C.C.C.CCCCCCCCCCCCCCCCCCCCCCCCCC"};
    const double reached[] = {0.992, 0.986};
    for (int i = 0; i < 2; ++i) {
        ChunkSampling sampling;
        sampling.sampler = Sampler::Euler;
        for (const double t : times)
            sampling.schedule.sigmas.push_back(static_cast<float>(1 - t));
        for (int k = 0; k < 64; ++k)
            sampling.schedule.timesteps.push_back(1000 * (1 - times[static_cast<std::size_t>(k)]));
        sampling.chunkFrames = kBlock;
        sampling.plan = sequentialChunkPlan(1, sampling.schedule.timesteps);
        std::vector<bool> reuse;
        for (const char c : patterns[i])
            reuse.push_back(c == '.');
        FixedMask mask({reuse});
        const auto noise = noiseOf(model, 1);
        const auto all = run(model, sampling).latents - noise; // the whole way
        CHECK(relative(run(model, sampling, &mask).latents - noise, all) < 1e-5);
        sampling.quantity = ReusedQuantity::Increment;
        const auto lagging = run(model, sampling, &mask).latents - noise;
        CHECK((lagging * all).sum().item<double>() / (all * all).sum().item<double>() ==
              doctest::Approx(reached[i]).epsilon(0.001));
    }
}
