// Sparse attention on a card: what is decided there is what the host decides from the same numbers.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "accel/nn/attention.h"
#include "accel/ops/block_score.h"
#include "accel/ops/mask_drift.h"
#include "accel/policies/attention_policies.h"
#include "tests/support/cuda_card.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

constexpr std::int64_t kTokens = 4000, kHeads = 6, kDepth = 128;

at::Tensor smoothTokens(std::uint64_t seed) {
    const auto generator = at::detail::createCPUGenerator(seed);
    const auto options = at::TensorOptions(at::kFloat);
    const at::Tensor coarse = at::randn({1, kTokens / 64 + 1, kHeads, kDepth}, generator, options) * 1.5;
    return coarse.repeat_interleave(64, 1).slice(1, 0, kTokens) +
           at::randn({1, kTokens, kHeads, kDepth}, generator, options) * 0.5;
}

/// Heads drift at different speeds.
AttentionCall callOf(int step) {
    AttentionCall call;
    call.step = step;
    call.grid = {1, 1, static_cast<int>(kTokens), 0};
    const at::Device device = card()->torchDevice();
    const at::Tensor drift = at::arange(kHeads, at::kFloat).view({1, 1, kHeads, 1}) * (0.02 * step);
    call.q = (smoothTokens(1) + drift).to(at::kBFloat16).to(device);
    call.k = smoothTokens(2).to(at::kBFloat16).to(device);
    call.v = smoothTokens(3).to(at::kBFloat16).to(device);
    return call;
}

} // namespace

TEST_CASE("with telemetry the host decides, without it the card does: the same bits") {
    if (!hopperCard())
        return;
    for (const AttentionMethod method : {AttentionMethod::XAttention, AttentionMethod::TopK}) {
        for (const double delta : {0.0, 3.0, 1e9}) {
            CAPTURE(attentionMethodName(method));
            CAPTURE(delta);
            AttentionSettings s;
            s.method = method;
            s.stride = 8;
            s.tau = 0.6;
            s.keep = 0.3;
            s.warmup = 1;
            s.reuse = MaskReuse::Tmr;
            s.delta = delta;
            s.gateLow = 0.2;
            s.maxAge = 4;
            s = withAttentionDefaults(s, kTokens, 8);
            int refreshed = 0, reused = 0;
            AttentionTelemetry telemetry;
            telemetry.take = [&](AttentionRecord record) {
                for (const auto& head : record.heads)
                    ++(head.reason == RefreshReason::Reused ? reused : refreshed);
            };
            telemetry.synchronize = [] { card()->synchronize(); };
            const auto told = makeAttentionPolicy(s, telemetry);
            int step = 0;
            telemetry.wanted = [&step] { return step % 3 == 2; };
            const auto now = makeAttentionPolicy(s, telemetry); // watched now and then
            const auto quiet = makeAttentionPolicy(s);
            for (; step < 8; ++step) {
                const AttentionCall call = callOf(step);
                const at::Tensor expected = told->attend(call);
                CHECK(now->attend(call).equal(expected));
                CHECK(quiet->attend(call).equal(expected));
                CHECK(quiet->attend(call).equal(expected)); // the row again
            }
            CHECK(refreshed > 0);
            CHECK((reused > 0) == (delta > 0));
        }
    }
}

TEST_CASE("the card's drift decides as operators do, and moves the same anchors") {
    if (!card())
        return;
    const PoisonedMemory poisoned;
    const at::Device device = card()->torchDevice();
    for (const std::int64_t heads : {1, 6, 40, 100}) {
        for (int round = 0; round < 40; ++round) {
            CAPTURE(heads);
            CAPTURE(round);
            // Whole numbers, so that sums are exact in any order and equality happens.
            const auto drawn = [&] { return at::randint(0, 3, {heads, 16}, at::kFloat); };
            const ops::PooledMeans now{drawn(), drawn()};
            ops::DriftAnchor here{{drawn(), drawn()}, at::randint(0, 9, {heads}, at::kInt)};
            ops::DriftAnchor there{{here.means.q.to(device), here.means.k.to(device)},
                                   here.chosenAt.to(device)};
            const ops::PooledMeans far{now.q.to(device), now.k.to(device)};
            const ops::RefreshRule rule{10.0 + round % 5, (round % 4) * 0.3, 0.5 + (round % 6) * 0.1,
                                        round % 2 == 0, round % 3};
            CHECK(ops::meanDrift(there.means, far).cpu().equal(ops::meanDrift(here.means, now)));
            const at::Tensor expected = ops::refreshWhere(rule, 9, now, here);
            CHECK(ops::refreshWhere(rule, 9, far, there).cpu().equal(expected));
            CHECK(there.chosenAt.cpu().equal(here.chosenAt));
            CHECK(there.means.q.cpu().equal(here.means.q));
            CHECK(there.means.k.cpu().equal(here.means.k));
        }
    }
}

TEST_CASE("the fixed share ranked on the card keeps what the CPU keeps of the same weights") {
    if (!hopperCard())
        return;
    AttentionSettings s;
    s.method = AttentionMethod::TopK;
    s.keep = 0.25;
    s.warmup = 0;
    s = withAttentionDefaults(s, kTokens, 8);
    const AttentionCall call = callOf(0);
    ops::BlockScoreOptions options;
    options.stride = s.stride;
    options.tau = at::ones({kHeads}, call.q.options().dtype(at::kFloat));
    options.wantsWeights = true;
    const at::Tensor weights = ops::chooseBlocks(call.q, call.k, options).weights.cpu();
    const std::int64_t blocks = weights.size(3), kept = std::llround(0.25 * static_cast<double>(blocks));
    const at::Tensor best = std::get<0>(std::get<1>(weights.sort(true, 3, true)).slice(3, 0, kept).sort(3));
    ops::AttentionOptions lists;
    lists.keyBlockOffsets = at::arange(kHeads * blocks + 1, at::kLong) * kept;
    lists.keyBlockIds = best.flatten().to(at::kInt).contiguous();
    CHECK(makeAttentionPolicy(s)->attend(call).equal(ops::attention(call.q, call.k, call.v, lists)));
}
