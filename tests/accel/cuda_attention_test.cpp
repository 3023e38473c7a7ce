// The card's attention kernels behind ops::attention, both forms, against the CPU's in float32. Without a
// card, or in a build without the CUDA module, each case says so and claims nothing.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "accel/ops/attention.h"
#include "accel/ops/attention_card.h"
#include "tests/support/cuda_card.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

struct Shape {
    std::int64_t batch, heads, keyHeads, queries, keys, depth;
};

/// On the CPU, bfloat16.
struct Inputs {
    at::Tensor q, k, v;
};

Inputs makeInputs(const Shape& s, double spread = 1.0) {
    const auto options = at::TensorOptions(at::kFloat);
    return {(at::randn({s.batch, s.queries, s.heads, s.depth}, options) * spread).to(at::kBFloat16),
            (at::randn({s.batch, s.keys, s.keyHeads, s.depth}, options) * spread).to(at::kBFloat16),
            at::randn({s.batch, s.keys, s.keyHeads, s.depth}, options).to(at::kBFloat16)};
}

/// Chosen blocks per (batch, head, query block).
using Lists = std::vector<std::vector<std::int32_t>>;

Lists randomLists(const Shape& s, std::int64_t blockRows, double density, double emptyShare, unsigned seed) {
    std::mt19937 generator(seed);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    const std::int64_t queryBlocks = (s.queries + 127) / 128,
                       keyBlocks = (s.keys + blockRows - 1) / blockRows;
    Lists lists(static_cast<std::size_t>(s.batch * s.heads * queryBlocks));
    for (auto& list : lists) {
        if (uniform(generator) < emptyShare)
            continue;
        for (std::int32_t block = 0; block < keyBlocks; ++block)
            if (uniform(generator) < density)
                list.push_back(block);
    }
    return lists;
}

ops::AttentionOptions hostLists(const Lists& lists) {
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> ids;
    for (const auto& list : lists) {
        ids.insert(ids.end(), list.begin(), list.end());
        offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
    ops::AttentionOptions options;
    options.keyBlockOffsets = at::tensor(offsets, at::kLong);
    options.keyBlockIds = at::tensor(ids, at::kInt);
    return options;
}

ops::AttentionOptions cardLists(const Lists& lists, std::int64_t blockRows, const at::Device& device) {
    const ops::AttentionOptions host = hostLists(lists);
    const at::Tensor starts = host.keyBlockOffsets.slice(0, 0, -1);
    ops::AttentionOptions options;
    options.cardLists = ops::CardKeyLists{blockRows, starts.to(at::kInt).to(device),
                                          (host.keyBlockOffsets.slice(0, 1) - starts).to(at::kInt).to(device),
                                          host.keyBlockIds.to(at::kUInt16).to(device)};
    return options;
}

/// Lists of blocks of 64 as what the CPU knows: a range per query block, for one batch row and head.
ops::AttentionOptions rangesOf(const Lists& lists, const Shape& s) {
    ops::AttentionOptions options;
    for (std::size_t block = 0; block < lists.size(); ++block) {
        ops::VisibleKeys range;
        range.queryBegin = static_cast<std::int64_t>(block) * 128;
        range.queryEnd = std::min(range.queryBegin + 128, s.queries);
        for (const std::int64_t id : lists[block])
            range.keys.push_back({id * 64, std::min(id * 64 + 64, s.keys)});
        options.ranges.push_back(range);
    }
    return options;
}

ops::AttentionOutput onCpu(const Inputs& in, const ops::AttentionOptions& options) {
    return ops::attentionWithLogSumExp(in.q.to(at::kFloat), in.k.to(at::kFloat), in.v.to(at::kFloat),
                                       options);
}

ops::AttentionOutput onCard(const Inputs& in, const ops::AttentionOptions& options) {
    const at::Device device = card()->torchDevice();
    const at::Tensor q = in.q.to(device), k = in.k.to(device), v = in.v.to(device);
    REQUIRE(ops::hasCardKernel(q, k, 1.0));
    ops::AttentionOutput result = ops::attentionWithLogSumExp(q, k, v, options);
    return {result.out.cpu(), result.logSumExp.cpu()};
}

void compare(const ops::AttentionOutput& got, const ops::AttentionOutput& expected) {
    const at::Tensor out = got.out.to(at::kFloat);
    REQUIRE(at::isfinite(out).all().item<bool>());
    const double size = expected.out.norm().item<double>();
    const double error = (out - expected.out).norm().item<double>();
    CHECK(error <= 1e-2 * size);
    // -inf where a query sees nothing, on both sides.
    const at::Tensor seen = at::isfinite(expected.logSumExp);
    REQUIRE(at::equal(at::isfinite(got.logSumExp), seen));
    const double worst =
        seen.any().item<bool>()
            ? (got.logSumExp - expected.logSumExp).masked_select(seen).abs().max().item<double>()
            : 0.0;
    CHECK(worst <= 1e-3);
}

/// By the form for this card and by the one for cards other than Hopper's.
void compareForms(const Inputs& in, const ops::AttentionOptions& options,
                  const ops::AttentionOutput& expected) {
    compare(onCard(in, options), expected);
    const at::Device device = card()->torchDevice();
    const double scale = 1.0 / std::sqrt(static_cast<double>(in.q.size(3)));
    const ops::AttentionOutput mma = ops::attendOnCard(in.q.to(device), in.k.to(device), in.v.to(device),
                                                       scale, options, true, ops::CardForm::Mma);
    compare({mma.out.cpu(), mma.logSumExp.cpu()}, expected);
}

} // namespace

TEST_CASE("dense, causal and ragged shapes equal the CPU's") {
    if (!card())
        return;
    const PoisonedMemory poisoned;
    const std::vector<Shape> shapes{{1, 2, 2, 128, 128, 128},  {2, 3, 3, 300, 517, 128}, {1, 2, 2, 7, 5, 64},
                                    {1, 6, 2, 257, 1000, 128}, {2, 4, 1, 511, 640, 64},  {1, 1, 1, 1, 1, 128},
                                    {1, 8, 8, 2160, 2160, 64}};
    for (const Shape& s : shapes) {
        CAPTURE(s.queries);
        CAPTURE(s.keys);
        const Inputs in = makeInputs(s);
        compareForms(in, {}, onCpu(in, {}));
        if (s.queries <= s.keys) {
            ops::AttentionOptions causal;
            causal.causal = true;
            compareForms(in, causal, onCpu(in, causal));
        }
    }
}

TEST_CASE("block lists equal the CPU's: sparse, empty rows, one block, ragged ends") {
    if (!card())
        return;
    const PoisonedMemory poisoned;
    for (const std::int64_t depth : {64, 128}) {
        CAPTURE(depth);
        const Shape s{2, 3, 3, 1000, 1100, depth};
        const Inputs in = makeInputs(s);
        const std::vector<Lists> cases{randomLists(s, 128, 0.3, 0.0, 1), randomLists(s, 128, 0.5, 0.4, 2),
                                       Lists(48), Lists(48, {8}), Lists(48, {0, 1, 2, 3, 4, 5, 6, 7, 8})};
        for (const Lists& lists : cases) {
            const auto expected = onCpu(in, hostLists(lists));
            compareForms(in, hostLists(lists), expected);
            compareForms(in, cardLists(lists, 128, card()->torchDevice()), expected);
        }
    }
}

TEST_CASE("blocks of 64 keys equal the same keys as ranges") {
    if (!card())
        return;
    const PoisonedMemory poisoned;
    for (const std::int64_t keys : {1000, 1088, 1100}) {
        CAPTURE(keys);
        const Shape s{1, 1, 1, 900, keys, 128};
        const Inputs in = makeInputs(s);
        const Lists lists = randomLists(s, 64, 0.4, 0.2, 3);
        compareForms(in, cardLists(lists, 64, card()->torchDevice()), onCpu(in, rangesOf(lists, s)));
    }
}

TEST_CASE("ranges of any start and length equal the CPU's") {
    if (!card())
        return;
    const PoisonedMemory poisoned;
    const Shape s{2, 3, 3, 700, 900, 128};
    const Inputs in = makeInputs(s);
    ops::AttentionOptions options;
    options.ranges = {{0, 100, {{0, 1}, {5, 300}, {301, 302}}},
                      {100, 101, {{3, 77}}},
                      {101, 300, {}},
                      {300, 650, {{100, 228}, {229, 485}, {890, 900}}},
                      {650, 700, {{0, 900}}}};
    compareForms(in, options, onCpu(in, options));
}

TEST_CASE("scores that overflow without a row maximum stay finite and right") {
    if (!card())
        return;
    const Shape s{1, 2, 2, 512, 2048, 128};
    const Inputs in = makeInputs(s, 12.0);
    compareForms(in, {}, onCpu(in, {}));
}

TEST_CASE("views with gaps between tokens and heads are read in place") {
    if (!card())
        return;
    const Shape s{1, 4, 4, 300, 300, 64};
    const Inputs in = makeInputs(s);
    const at::Device device = card()->torchDevice();
    // One fused projection: [L, 3 H, D], q, k and v its thirds.
    const at::Tensor fused = at::cat({in.q, in.k, in.v}, 2).to(device);
    const at::Tensor out = ops::attention(fused.slice(2, 0, 4), fused.slice(2, 4, 8), fused.slice(2, 8, 12));
    CHECK(at::equal(out.cpu(), onCard(in, {}).out));
}

TEST_CASE("all-full lists give the bits of dense, and so does a second call") {
    if (!card())
        return;
    const Shape s{1, 4, 4, 1000, 1100, 128};
    const Inputs in = makeInputs(s);
    const auto dense = onCard(in, {});
    const auto full = onCard(in, hostLists(Lists(32, {0, 1, 2, 3, 4, 5, 6, 7, 8})));
    CHECK(at::equal(dense.out, full.out));
    CHECK(at::equal(dense.logSumExp, full.logSumExp));
    CHECK(at::equal(dense.out, onCard(in, {}).out));
}

TEST_CASE("one altered block changes its own 128 queries of its head and nothing else") {
    if (!card())
        return;
    const Shape s{2, 3, 3, 1000, 1100, 128};
    const Inputs in = makeInputs(s);
    const Lists lists = randomLists(s, 128, 0.5, 0.0, 5);
    const at::Tensor before = onCard(in, hostLists(lists)).out;
    // Entry of batch row 1, head 2, query block 3; its last block goes.
    Lists altered = lists;
    auto& list = altered[(1 * 3 + 2) * 8 + 3];
    REQUIRE(list.size() > 1);
    list.pop_back();
    const at::Tensor after = onCard(in, hostLists(altered)).out;
    const at::Tensor changed = (before != after).any(3); // [B, Lq, H]
    const at::Tensor expected = at::zeros_like(changed);
    expected.select(0, 1).select(1, 2).slice(0, 384, 512).fill_(true);
    CHECK(at::equal(changed, expected));
}

TEST_CASE("keys and values outside a list never enter") {
    if (!card())
        return;
    const Shape s{1, 2, 2, 256, 1024, 128};
    Inputs in = makeInputs(s);
    const Lists lists(4, {0, 2, 5});
    const at::Tensor clean = onCard(in, hostLists(lists)).out;
    for (const std::int64_t block : {1, 3, 4, 6, 7}) {
        in.k.slice(1, block * 128, block * 128 + 128).fill_(std::numeric_limits<float>::quiet_NaN());
        in.v.slice(1, block * 128, block * 128 + 128).fill_(std::numeric_limits<float>::quiet_NaN());
    }
    CHECK(at::equal(clean, onCard(in, hostLists(lists)).out));
}
