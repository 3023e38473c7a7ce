// The four tests that prove the hooks before any method exists: a recording policy, a windowed attention, the
// replay of a fixed skip map, and layers l..L from a saved residual. Beside them: keys and values in a pool.

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include <doctest/doctest.h>

#include "accel/nn/attention.h"
#include "accel/nn/kv_pool.h"
#include "accel/pipelines/denoise.h"
#include "accel/policies/window_attention.h"
#include "accel/reference/attention.h"
#include "accel/runtime/cancelled.h"
#include "core/formats/safetensors.h"
#include "tests/accel/small_dit.h"
#include "tests/support/parity_case.h"

using namespace canopy;
using namespace canopy::accel;
using namespace canopy::test;

namespace {

struct Recorder : AttentionPolicy {
    at::Tensor attend(const AttentionCall& call) override {
        calls.push_back(call);
        return denseAttention(call);
    }
    std::vector<AttentionCall> calls;
};

double worst(const at::Tensor& a, const at::Tensor& b) {
    return (a - b).abs().max().item<double>();
}

} // namespace

TEST_CASE("a recording policy sees every attention call and changes no bit") {
    const c10::InferenceMode inference;
    const SmallModel model;
    auto plan = synchronousPlan(Sampler::Euler, eulerSchedule(3, 5), 6);
    auto plain = startState(plan, model.latents.clone());
    denoise(*model.dit, model.conditioning, plan, plain, {}, {}, {});
    Recorder recorder;
    auto recorded = startState(plan, model.latents.clone());
    DenoiseHooks hooks;
    hooks.attention = &recorder;
    denoise(*model.dit, model.conditioning, plan, recorded, hooks, {}, {});
    CHECK(recorded.latents.equal(plain.latents));
    // 3 steps x 2 branches x layers, in order.
    REQUIRE(recorder.calls.size() == 3u * 2u * static_cast<std::size_t>(model.config.layers));
    std::size_t i = 0;
    for (int step = 0; step < 3; ++step) {
        for (const auto branch : {Branch::Prompt, Branch::Negative}) {
            for (int layer = 0; layer < model.config.layers; ++layer, ++i) {
                CHECK(recorder.calls[i].step == step);
                CHECK(recorder.calls[i].branch == branch);
                CHECK(recorder.calls[i].layer == layer);
                CHECK(recorder.calls[i].grid.tokens() == recorder.calls[i].q.size(1));
            }
        }
    }
}

TEST_CASE("a windowed attention equals masked dense attention and, wide enough, dense attention") {
    const c10::InferenceMode inference;
    const SmallModel model;
    auto context = model.context();
    const auto dense = model.velocity(context);
    WindowAttention wide(6);
    context.attention = &wide;
    CHECK(worst(model.velocity(context), dense) < 1e-5);
    WindowAttention narrow(1);
    context.attention = &narrow;
    const auto windowed = model.velocity(context);
    CHECK(worst(windowed, dense) > 1e-4);

    // Against plain softmax over the frames in reach, written out.
    struct Plain : AttentionPolicy {
        at::Tensor attend(const AttentionCall& call) override {
            const auto perFrame = call.grid.tokensPerFrame();
            const auto q = call.q[0].permute({1, 0, 2}), k = call.k[0].permute({1, 0, 2}),
                       v = call.v[0].permute({1, 0, 2});
            auto logits = q.matmul(k.transpose(1, 2)) / std::sqrt(static_cast<double>(q.size(2)));
            for (int f = 0; f < call.grid.frames; ++f) {
                for (int g = 0; g < call.grid.frames; ++g) {
                    if (std::abs(f - g) > 1)
                        logits.narrow(1, f * perFrame, perFrame)
                            .narrow(2, g * perFrame, perFrame)
                            .fill_(-1e30);
                }
            }
            return logits.softmax(-1).matmul(v).permute({1, 0, 2}).unsqueeze(0);
        }
    } plain;
    context.attention = &plain;
    CHECK(worst(model.velocity(context), windowed) < 1e-5);
}

TEST_CASE("a fixed skip map is replayed: reused steps run no transformer and integrate the last velocity") {
    const c10::InferenceMode inference;
    const SmallModel model;
    const auto plan = synchronousPlan(Sampler::Euler, eulerSchedule(4, 5), 6);
    FixedMask mask(
        {{true, false, true, false}}); // the first has nothing to reuse and is computed all the same
    Recorder recorder;
    DenoiseHooks hooks;
    hooks.attention = &recorder;
    hooks.rows = &mask;
    auto state = startState(plan, model.latents.clone());
    std::vector<at::Tensor> path;
    DenoiseEvents events;
    events.rowDone = [&](int, int, double) { path.push_back(state.latents.clone()); };
    denoise(*model.dit, model.conditioning, plan, state, hooks, events, {});
    std::vector<int> computed;
    for (const auto& call : recorder.calls) {
        if (call.layer == 0 && call.branch == Branch::Prompt)
            computed.push_back(call.step);
    }
    CHECK(computed == std::vector<int>{0, 1, 3});
    // Row 2 took row 1's velocity with its own step in sigma.
    const auto& s = plan.schedule.sigmas;
    const auto velocity = (path[1] - path[0]) / static_cast<double>(s[2] - s[1]);
    CHECK(worst(path[2], path[1] + velocity * static_cast<double>(s[3] - s[2])) < 1e-4);

    FixedMask none({{false, false, false, false}});
    hooks.rows = &none;
    auto full = startState(plan, model.latents.clone());
    denoise(*model.dit, model.conditioning, plan, full, hooks, {}, {});
    auto bare = startState(plan, model.latents.clone());
    denoise(*model.dit, model.conditioning, plan, bare, {}, {}, {});
    CHECK(full.latents.equal(bare.latents));
}

TEST_CASE("layers l..L from a saved residual equal the full run") {
    const c10::InferenceMode inference;
    const SmallModel model;
    struct Saver : LayerBoundary {
        void passed(int layer, Branch, at::Tensor& hidden) override { saved[layer] = hidden.clone(); }
        std::map<int, at::Tensor> saved;
    } saver;
    auto context = model.context();
    context.boundary = &saver;
    const auto full = model.velocity(context);
    REQUIRE(saver.saved.size() == static_cast<std::size_t>(model.config.layers) + 1);
    context.boundary = nullptr;
    for (int layer = 0; layer <= model.config.layers; ++layer) {
        auto state =
            model.dit->embed(model.latents, at::tensor(std::vector<float>{500}), model.text, 0, context);
        state.hidden = saver.saved.at(layer - 1).clone();
        model.dit->layers(layer, model.config.layers, state, context);
        CHECK(model.dit->head(state, context).equal(full));
    }
}

TEST_CASE("chunk after chunk over a KV pool equals one joint block-causal call") {
    const c10::InferenceMode inference;
    const SmallModel model;
    auto joint = model.context();
    joint.causalBlockFrames = 2;
    const std::vector<float> times = {0, 0, 300, 300, 900, 900};
    const auto expected = model.dit->velocity(model.latents, at::tensor(times), model.text, 0, joint);

    const auto perFrame = joint.grid.tokensPerFrame();
    KvPool pool(model.config.layers, 6 * perFrame, model.config.heads, model.config.headDim,
                at::TensorOptions(at::kFloat));
    std::vector<at::Tensor> parts;
    for (int chunk = 0; chunk < 3; ++chunk) {
        const auto latents = model.latents.narrow(1, 2 * chunk, 2);
        pool.registerChunk(chunk, 2 * perFrame);
        ForwardContext context;
        context.grid = model.dit->grid(latents, 2 * chunk);
        context.chunks = {{chunk, 0, 2}};
        context.kv = &pool;
        const auto own =
            at::tensor(std::vector<float>(times.begin() + 2 * chunk, times.begin() + 2 * chunk + 2));
        parts.push_back(model.dit->velocity(latents, own, model.text, 0, context));
    }
    CHECK(worst(at::cat(parts, 1), expected) < 1e-5 * expected.abs().max().item<double>());
    CHECK_THROWS_AS(pool.registerChunk(3, 1), std::length_error);
}

TEST_CASE("a pool keeps the chosen rows, bit for bit, with their origin") {
    const c10::InferenceMode inference;
    const auto options = at::TensorOptions(at::kFloat);
    KvPool pool(1, 12, 2, 3, options);
    const auto k = at::arange(72, options).view({12, 2, 3});
    for (int chunk = 0; chunk < 3; ++chunk) {
        pool.registerChunk(chunk, 4);
        for (const auto branch : {Branch::Prompt, Branch::Negative})
            pool.write(branch, 0, chunk, k.narrow(0, 4 * chunk, 4), -k.narrow(0, 4 * chunk, 4));
    }
    const auto perHead =
        at::tensor(std::vector<std::int64_t>{0, 2, 1, 3}).view({2, 2}); // head 0: 0, 2; head 1: 1, 3
    pool.compact(1, {perHead, perHead});
    CHECK(pool.usedRows() == 10);
    CHECK(pool.range(1).rows == 2);
    CHECK(pool.range(2).first == 6);
    const auto [keys, values] = pool.upTo(Branch::Negative, 0, 2);
    CHECK(keys.narrow(0, 0, 4).equal(k.narrow(0, 0, 4)));
    CHECK(keys[4][0].equal(k[4][0]));
    CHECK(keys[4][1].equal(k[5][1]));
    CHECK(keys[5][0].equal(k[6][0]));
    CHECK(keys[5][1].equal(k[7][1]));
    CHECK(keys.narrow(0, 6, 4).equal(k.narrow(0, 8, 4)));
    CHECK(values.equal(-keys));
    const auto origin = pool.origin(Branch::Prompt, 0); // [heads, rows]
    CHECK(origin[1][5].item<int>() == 7);
    CHECK(origin[0][6].item<int>() == 8);
}

TEST_CASE("a row is a transaction: cancelled at any block and run again, the bits are the same") {
    const c10::InferenceMode inference;
    const SmallModel model;
    const auto plan = synchronousPlan(Sampler::UniPc, uniPcSchedule(3, 5, TimeGrid::Diffusers), 6);
    auto plain = startState(plan, model.latents.clone());
    denoise(*model.dit, model.conditioning, plan, plain, {}, {}, {});
    const int blocks = 3 * 2 * model.config.layers;
    for (int stopAt = 1; stopAt <= blocks; ++stopAt) {
        auto state = startState(plan, model.latents.clone());
        std::stop_source source;
        DenoiseEvents events;
        int seen = 0;
        events.block = [&](int, int) {
            if (++seen == stopAt)
                source.request_stop();
        };
        bool cancelled = false;
        try {
            denoise(*model.dit, model.conditioning, plan, state, {}, events, source.get_token());
        } catch (const Cancelled&) {
            cancelled = true;
        }
        CHECK((cancelled || stopAt == blocks));
        denoise(*model.dit, model.conditioning, plan, state, {}, {}, {});
        CHECK(state.latents.equal(plain.latents));
    }
}
