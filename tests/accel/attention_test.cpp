// Attention kernels against the plain reference, on every kernel set that this machine has.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "accel/ops/attention.h"
#include "accel/ops/parallel.h"
#include "accel/reference/attention.h"

using namespace canopy::accel;
using kernels::kAttentionBlock;
using kernels::KernelSet;

namespace {

std::vector<KernelSet> availableSets() {
    std::vector<KernelSet> sets;
    for (const KernelSet set :
         {KernelSet::Portable, KernelSet::Avx2, KernelSet::Avx512, KernelSet::Avx512Bf16, KernelSet::Amx})
        if (kernels::isSupported(set))
            sets.push_back(set);
    return sets;
}

/// LibTorch then fills every at::empty with NaN (0xff for bytes): outputs and scratch come poisoned.
struct PoisonedMemory {
    PoisonedMemory() { at::globalContext().setDeterministicAlgorithms(true, false); }
    ~PoisonedMemory() { at::globalContext().setDeterministicAlgorithms(false, false); }
};

struct Shape {
    std::int64_t batch, heads, queries, keys, depth;
};

struct Inputs {
    at::Tensor q, k, v;
};

Inputs randomInputs(const Shape& s, at::ScalarType dtype) {
    return {at::randn({s.batch, s.queries, s.heads, s.depth}).to(dtype),
            at::randn({s.batch, s.keys, s.heads, s.depth}).to(dtype),
            at::randn({s.batch, s.keys, s.heads, s.depth}).to(dtype)};
}

double norm(const at::Tensor& x) {
    return x.to(at::kDouble).norm().item<double>();
}

/// |out - expected| / |expected|; float32 sums differ in order, bfloat16 rounds probabilities and the output.
void checkClose(const at::Tensor& out, const at::Tensor& expected, at::ScalarType dtype) {
    REQUIRE((out.sizes() == expected.sizes()));
    REQUIRE(at::isfinite(out).all().item<bool>());
    const at::Tensor difference = out.to(at::kFloat) - expected;
    const double tolerance = dtype == at::kFloat ? 1e-5 : 1e-2;
    CHECK(norm(difference) <= tolerance * norm(expected) + 1e-12);
    // One wrong element must not hide in the norm of many right ones.
    const double largest = difference.abs().max().item<double>();
    CHECK(largest <= 2 * tolerance * expected.abs().max().item<double>() + 1e-12);
}

void checkSums(const at::Tensor& sums, const at::Tensor& expected, at::ScalarType dtype) {
    REQUIRE((sums.sizes() == expected.sizes()));
    const at::Tensor empty = expected.isneginf();
    CHECK(at::equal(sums.isneginf(), empty));
    const at::Tensor difference = (sums - expected).masked_fill(empty, 0.0).abs();
    const at::Tensor allowed =
        expected.abs().masked_fill(empty, 0.0) * 1e-6 + (dtype == at::kFloat ? 2e-5 : 1e-3);
    CHECK((difference <= allowed).all().item<bool>());
}

/// Blocks of a query block by head: lists[head][queryBlock], head = b * H + h.
using Lists = std::vector<std::vector<std::vector<std::int32_t>>>;

std::int64_t blocksOf(std::int64_t tokens) {
    return (tokens + kAttentionBlock - 1) / kAttentionBlock;
}

void setLists(ops::AttentionOptions& options, const Lists& lists) {
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> ids;
    for (const auto& head : lists)
        for (const auto& entry : head) {
            ids.insert(ids.end(), entry.begin(), entry.end());
            offsets.push_back(static_cast<std::int64_t>(ids.size()));
        }
    options.keyBlockOffsets = at::tensor(offsets, at::kLong);
    options.keyBlockIds = at::tensor(ids, at::kInt);
}

Lists randomLists(const Shape& s, double density, unsigned seed) {
    std::mt19937 random(seed);
    std::bernoulli_distribution keeps(density);
    Lists lists(static_cast<std::size_t>(s.batch * s.heads));
    for (auto& head : lists)
        for (std::int64_t block = 0; block < blocksOf(s.queries); ++block) {
            auto& entry = head.emplace_back();
            for (std::int32_t id = 0; id < blocksOf(s.keys); ++id)
                if (keeps(random))
                    entry.push_back(id);
        }
    return lists;
}

/// The full mask [B, H, Lq, Lk], built token by token and independently of the code under test.
at::Tensor maskOf(const Shape& s, const Lists& lists) {
    at::Tensor mask = at::zeros({s.batch, s.heads, s.queries, s.keys}, at::kBool);
    auto* bit = mask.mutable_data_ptr<bool>();
    for (std::int64_t head = 0; head < s.batch * s.heads; ++head)
        for (std::int64_t i = 0; i < s.queries; ++i)
            for (const std::int32_t id :
                 lists[static_cast<std::size_t>(head)][static_cast<std::size_t>(i / 128)])
                for (std::int64_t j = id * 128; j < std::min<std::int64_t>((id + 1) * 128, s.keys); ++j)
                    bit[(head * s.queries + i) * s.keys + j] = true;
    return mask;
}

reference::AttentionResult expectedUnder(const Inputs& in, double scale, const at::Tensor& mask) {
    return reference::attention(in.q, in.k, in.v, scale, [mask](std::int64_t begin, std::int64_t end) {
        return mask.slice(2, begin, end);
    });
}

double defaultScale(const Shape& s) {
    return 1.0 / std::sqrt(static_cast<double>(s.depth));
}

std::string describe(KernelSet set, at::ScalarType dtype, const Shape& s) {
    return std::string(kernels::kernelSetName(set)) + (dtype == at::kFloat ? " fp32 " : " bf16 ") + "B" +
           std::to_string(s.batch) + " H" + std::to_string(s.heads) + " Lq" + std::to_string(s.queries) +
           " Lk" + std::to_string(s.keys) + " D" + std::to_string(s.depth);
}

/// Calls test(set, dtype) for everything this machine runs.
template <class Test>
void onEverySet(const Test& test) {
    const PoisonedMemory poisoned;
    for (const KernelSet set : availableSets())
        for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
            at::manual_seed(11);
            test(set, dtype);
        }
}

} // namespace

TEST_CASE("the reference agrees with a softmax written out in double") {
    const Shape s{1, 2, 3, 5, 8};
    const Inputs in = randomInputs(s, at::kFloat);
    const reference::AttentionResult result = reference::attention(in.q, in.k, in.v, 0.3);
    for (std::int64_t h = 0; h < 2; ++h)
        for (std::int64_t i = 0; i < 3; ++i) {
            std::vector<double> weights(5);
            double sum = 0;
            for (std::int64_t j = 0; j < 5; ++j) {
                double score = 0;
                for (std::int64_t d = 0; d < 8; ++d)
                    score += in.q[0][i][h][d].item<double>() * in.k[0][j][h][d].item<double>();
                sum += weights[static_cast<std::size_t>(j)] = std::exp(0.3 * score);
            }
            CHECK(result.logSumExp[0][h][i].item<double>() == doctest::Approx(std::log(sum)).epsilon(1e-5));
            for (std::int64_t d = 0; d < 8; ++d) {
                double value = 0;
                for (std::int64_t j = 0; j < 5; ++j)
                    value += weights[static_cast<std::size_t>(j)] / sum * in.v[0][j][h][d].item<double>();
                CHECK(result.out[0][i][h][d].item<double>() == doctest::Approx(value).epsilon(1e-5));
            }
        }
}

TEST_CASE("dense attention equals the reference over shapes, with ragged ends and cross attention") {
    const std::vector<Shape> shapes{
        {1, 1, 1, 1, 64},     {2, 3, 37, 53, 64},   {1, 2, 128, 128, 64}, {1, 2, 129, 255, 64},
        {1, 2, 300, 64, 64},  {1, 1, 5, 700, 64},   {1, 2, 257, 1, 64},   {2, 2, 130, 131, 128},
        {1, 3, 70, 402, 128}, {2, 2, 65, 90, 40},   {1, 1, 33, 129, 8},   {1, 1, 40, 300, 256},
        {1, 1, 17, 20, 384},  {1, 1, 20, 140, 512}, {3, 1, 31, 17, 72},   {1, 2, 700, 1030, 64},
    };
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        for (const Shape& s : shapes) {
            INFO(describe(set, dtype, s));
            const Inputs in = randomInputs(s, dtype);
            ops::AttentionOptions options;
            options.kernelSet = set;
            const ops::AttentionOutput out = ops::attentionWithLogSumExp(in.q, in.k, in.v, options);
            const auto expected = reference::attention(in.q, in.k, in.v, defaultScale(s));
            CHECK((out.out.scalar_type() == dtype));
            CHECK(out.out.is_contiguous());
            checkClose(out.out, expected.out, dtype);
            checkSums(out.logSumExp, expected.logSumExp, dtype);
            CHECK(at::equal(ops::attention(in.q, in.k, in.v, options), out.out));
        }
    });
}

TEST_CASE("strided inputs are read through their strides") {
    const Shape s{2, 3, 150, 150, 64};
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, s));
        ops::AttentionOptions options;
        options.kernelSet = set;
        // One projection for q, k and v: [B, L, 3, H, D].
        const at::Tensor joined = at::randn({2, 150, 3, 3, 64}).to(dtype);
        const Inputs views{joined.select(2, 0), joined.select(2, 1), joined.select(2, 2)};
        const at::Tensor fromViews = ops::attention(views.q, views.k, views.v, options);
        checkClose(fromViews, reference::attention(views.q, views.k, views.v, defaultScale(s)).out, dtype);
        CHECK(at::equal(fromViews, ops::attention(views.q.contiguous(), views.k.contiguous(),
                                                  views.v.contiguous(), options)));
        // Head-major memory, and a last dimension that is not contiguous (copied first).
        const at::Tensor headMajor = views.q.transpose(1, 2).contiguous().transpose(1, 2);
        const at::Tensor scattered = views.k.transpose(1, 3).contiguous().transpose(1, 3);
        REQUIRE(scattered.stride(3) != 1);
        CHECK(at::equal(fromViews, ops::attention(headMajor, scattered, views.v, options)));
    });
}

TEST_CASE("the kernel writes its output through strides and nothing beside it") {
    const std::int64_t heads = 2, tokens = 77, depth = 40, guard = 64;
    for (const KernelSet set : availableSets()) {
        CAPTURE(kernels::kernelSetName(set));
        at::manual_seed(3);
        const Inputs in = randomInputs({1, heads, tokens, tokens, depth}, at::kFloat);
        const at::Tensor memory = at::full({2 * guard + heads * tokens * depth}, 12345.0F);
        kernels::BlockAttentionParams p;
        p.q = in.q.const_data_ptr();
        p.k = in.k.const_data_ptr();
        p.v = in.v.const_data_ptr();
        p.out = memory.mutable_data_ptr<float>() + guard;
        p.qStrides = p.kStrides = p.vStrides = {0, heads * depth, depth};
        p.outStrides = {0, depth, tokens * depth}; // head-major
        p.batch = 1;
        p.heads = p.kvHeads = heads;
        p.queryTokens = p.keyTokens = tokens;
        p.headDim = depth;
        p.scale = 0.2F;
        p.kernelSet = set;
        // Workers one after another are as good as threads, and scratch needs no alignment.
        const kernels::ParallelWorkers inTurn{3, [](const std::function<void(int)>& body) {
                                                  for (int worker = 2; worker >= 0; --worker)
                                                      body(worker);
                                              }};
        const std::size_t bytes = kernels::blockAttentionScratchBytes(p, 3);
        std::vector<unsigned char> scratch(bytes + 2, 0xff);
        kernels::blockAttention(p, inTurn, scratch.data() + 1);
        CHECK(scratch.front() == 0xff);
        CHECK(scratch.back() == 0xff);
        const at::Tensor out =
            memory.slice(0, guard, guard + heads * tokens * depth).view({1, heads, tokens, depth});
        checkClose(out.transpose(1, 2), reference::attention(in.q, in.k, in.v, 0.2).out, at::kFloat);
        CHECK((memory.slice(0, 0, guard) == 12345.0).all().item<bool>());
        CHECK((memory.slice(0, guard + heads * tokens * depth) == 12345.0).all().item<bool>());
    }
}

TEST_CASE("block lists: only listed blocks are seen, empty lists give zero and -inf") {
    const std::vector<Shape> shapes{{2, 2, 300, 520, 64}, {1, 2, 256, 257, 128}, {1, 1, 129, 1000, 40}};
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        for (const Shape& s : shapes) {
            INFO(describe(set, dtype, s));
            const Inputs in = randomInputs(s, dtype);
            Lists lists = randomLists(s, 0.4, 5);
            lists.front().front().clear();
            lists.back().back() = {static_cast<std::int32_t>(blocksOf(s.keys) - 1)}; // the ragged block alone
            ops::AttentionOptions options;
            options.kernelSet = set;
            setLists(options, lists);
            const ops::AttentionOutput out = ops::attentionWithLogSumExp(in.q, in.k, in.v, options);
            const auto expected = expectedUnder(in, defaultScale(s), maskOf(s, lists));
            checkClose(out.out, expected.out, dtype);
            checkSums(out.logSumExp, expected.logSumExp, dtype);
            const at::Tensor blind = out.out[0].slice(0, 0, 128).select(1, 0); // first query block of head 0
            CHECK((blind == 0).all().item<bool>());
            CHECK(out.logSumExp[0][0].slice(0, 0, 128).isneginf().all().item<bool>());
        }
    });
}

TEST_CASE("full block lists give the bits of dense attention") {
    const Shape s{1, 2, 300, 333, 64};
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, s));
        const Inputs in = randomInputs(s, dtype);
        ops::AttentionOptions options;
        options.kernelSet = set;
        const at::Tensor dense = ops::attention(in.q, in.k, in.v, options);
        setLists(options, randomLists(s, 1.0, 1));
        CHECK(at::equal(ops::attention(in.q, in.k, in.v, options), dense));
    });
}

TEST_CASE("one altered key block changes the query blocks that list it and no other") {
    const Shape s{1, 2, 400, 600, 64};
    const std::int32_t altered = 2;
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, s));
        const Inputs in = randomInputs(s, dtype);
        const Lists lists = randomLists(s, 0.5, 9);
        ops::AttentionOptions options;
        options.kernelSet = set;
        setLists(options, lists);
        const at::Tensor before = ops::attention(in.q, in.k, in.v, options);
        for (const at::Tensor& changed : {in.k, in.v}) {
            const at::Tensor block = changed.slice(1, altered * 128, (altered + 1) * 128);
            const at::Tensor original = block.clone();
            block.copy_(at::randn(block.sizes()).to(dtype));
            const at::Tensor after = ops::attention(in.q, in.k, in.v, options);
            block.copy_(original);
            int touched = 0;
            for (std::int64_t head = 0; head < s.heads; ++head)
                for (std::int64_t b = 0; b < blocksOf(s.queries); ++b) {
                    const auto& entry = lists[static_cast<std::size_t>(head)][static_cast<std::size_t>(b)];
                    const bool listed = std::find(entry.begin(), entry.end(), altered) != entry.end();
                    const auto rows = [&](const at::Tensor& x) {
                        return x[0].select(1, head).slice(0, b * 128,
                                                          std::min<std::int64_t>((b + 1) * 128, s.queries));
                    };
                    CHECK(at::equal(rows(before), rows(after)) == !listed);
                    touched += listed ? 1 : 0;
                }
            CHECK(touched > 0);
            CHECK(touched < s.heads * blocksOf(s.queries));
        }
    });
}

TEST_CASE("ranges: block-causal chunks and windows at any token, odd ones too") {
    const Shape s{2, 2, 331, 405, 64};
    const std::vector<std::vector<ops::VisibleKeys>> cases{
        {{0, 100, {{0, 100}}}, {100, 200, {{0, 200}}}, {200, 331, {{0, 405}}}},
        {{0, 33, {{5, 6}}},
         {33, 161, {{0, 7}, {127, 300}}},
         {161, 161, {}},
         {161, 331, {{1, 2}, {3, 128}, {129, 401}}}},
        {{0, 130, {}}, {130, 331, {{255, 257}, {257, 258}, {403, 405}}}},
    };
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        for (const auto& ranges : cases) {
            INFO(describe(set, dtype, s));
            const Inputs in = randomInputs(s, dtype);
            at::Tensor mask = at::zeros({1, 1, s.queries, s.keys}, at::kBool);
            for (const ops::VisibleKeys& range : ranges)
                for (const kernels::KeyRun& run : range.keys)
                    mask.slice(2, range.queryBegin, range.queryEnd).slice(3, run.begin, run.end).fill_(true);
            ops::AttentionOptions options;
            options.kernelSet = set;
            options.ranges = ranges;
            const ops::AttentionOutput out = ops::attentionWithLogSumExp(in.q, in.k, in.v, options);
            const auto expected = expectedUnder(in, defaultScale(s), mask);
            checkClose(out.out, expected.out, dtype);
            checkSums(out.logSumExp, expected.logSumExp, dtype);
        }
    });
}

TEST_CASE("causal attention, with as many keys as queries and with more") {
    struct CausalShape {
        Shape shape;
        std::int64_t kvHeads;
    };
    const std::vector<CausalShape> shapes{
        {{1, 2, 1, 1, 64}, 2},     {{1, 3, 37, 37, 64}, 3},   {{2, 4, 128, 128, 64}, 2},
        {{1, 5, 300, 300, 64}, 1}, {{1, 6, 131, 402, 40}, 2}, {{1, 2, 257, 259, 128}, 1},
        {{1, 4, 1, 77, 16}, 2},    {{3, 4, 65, 193, 72}, 2},
    };
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        for (const auto& [s, kvHeads] : shapes) {
            INFO(describe(set, dtype, s), " kvHeads ", kvHeads);
            const at::Tensor q = at::randn({s.batch, s.queries, s.heads, s.depth}).to(dtype);
            const at::Tensor k = at::randn({s.batch, s.keys, kvHeads, s.depth}).to(dtype);
            const at::Tensor v = at::randn({s.batch, s.keys, kvHeads, s.depth}).to(dtype);
            ops::AttentionOptions options;
            options.kernelSet = set;
            options.causal = true;
            const ops::AttentionOutput out = ops::attentionWithLogSumExp(q, k, v, options);

            // Head by head, the mask written out.
            at::Tensor mask = at::zeros({1, 1, s.queries, s.keys}, at::kBool);
            auto* bit = mask.mutable_data_ptr<bool>();
            for (std::int64_t i = 0; i < s.queries; ++i)
                for (std::int64_t j = 0; j <= s.keys - s.queries + i; ++j)
                    bit[i * s.keys + j] = true;
            for (std::int64_t h = 0; h < s.heads; ++h) {
                const std::int64_t shared = h / (s.heads / kvHeads);
                const Inputs one{q.slice(2, h, h + 1), k.slice(2, shared, shared + 1),
                                 v.slice(2, shared, shared + 1)};
                const auto expected = expectedUnder(one, defaultScale(s), mask);
                checkClose(out.out.slice(2, h, h + 1), expected.out, dtype);
                checkSums(out.logSumExp.slice(1, h, h + 1), expected.logSumExp, dtype);
            }
        }
    });
}

TEST_CASE("a later key, however large its score, changes nothing before it") {
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, {1, 2, 200, 200, 64}));
        ops::AttentionOptions options;
        options.kernelSet = set;
        options.causal = true;
        const Inputs in = randomInputs({1, 2, 200, 200, 64}, dtype);
        const at::Tensor before = ops::attention(in.q, in.k, in.v, options);
        in.k.select(1, 150).copy_(in.q.select(1, 140) * 100); // a score far beyond those of earlier keys
        in.v.select(1, 150).fill_(1000);
        const at::Tensor after = ops::attention(in.q, in.k, in.v, options);
        CHECK(at::equal(after.slice(1, 0, 150), before.slice(1, 0, 150)));
        CHECK(!at::equal(after.slice(1, 150), before.slice(1, 150)));
    });
}

TEST_CASE("causal scores that overflow a softmax without row maximum stay right") {
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        const Shape s{1, 1, 160, 160, 64};
        INFO(describe(set, dtype, s));
        ops::AttentionOptions options;
        options.kernelSet = set;
        options.causal = true;
        options.scale = 1;
        Inputs in = randomInputs(s, dtype);
        in.q.mul_(16); // scores of several hundred, e^x far beyond float32
        const at::Tensor mask = at::ones({1, 1, 160, 160}, at::kBool).tril();
        const at::Tensor out = ops::attention(in.q, in.k, in.v, options).to(at::kFloat);
        REQUIRE(at::isfinite(out).all().item<bool>());
        const at::Tensor difference = out - expectedUnder(in, 1, mask).out;
        CHECK(difference.abs().max().item<double>() < 0.05); // scores differ in their last bits
    });
}

TEST_CASE("query heads share key heads as if those were repeated") {
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, {2, 6, 150, 170, 32}));
        ops::AttentionOptions options;
        options.kernelSet = set;
        const at::Tensor q = at::randn({2, 150, 6, 32}).to(dtype);
        const at::Tensor k = at::randn({2, 170, 2, 32}).to(dtype);
        const at::Tensor v = at::randn({2, 170, 2, 32}).to(dtype);
        CHECK(at::equal(ops::attention(q, k, v, options),
                        ops::attention(q, k.repeat_interleave(3, 2), v.repeat_interleave(3, 2), options)));
    });
}

TEST_CASE("scores that overflow a softmax without row maximum stay right") {
    const Shape s{1, 2, 140, 260, 64};
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, s));
        const Inputs in = randomInputs(s, dtype);
        in.q.select(1, 3).mul_(200); // scores of +-2000
        in.q.select(1, 100).mul_(200);
        in.k.select(1, 200).copy_(in.q.select(1, 3) / 4); // one key takes everything, in a late block
        in.k.slice(1, 0, 128).add_(3);                    // a first block far from the second
        ops::AttentionOptions options;
        options.kernelSet = set;
        const ops::AttentionOutput out = ops::attentionWithLogSumExp(in.q, in.k, in.v, options);
        const auto expected = reference::attention(in.q, in.k, in.v, defaultScale(s));
        REQUIRE(expected.logSumExp.max().item<float>() > 1000);
        // Rounding of a score of 1e4 moves its exponential by 1e-3 in either implementation.
        const double tolerance = 1e-2;
        CHECK(at::isfinite(out.out).all().item<bool>());
        CHECK(norm(out.out.to(at::kFloat) - expected.out) <= tolerance * norm(expected.out));
        const at::Tensor taken = (out.out[0][3].to(at::kFloat) - in.v[0][200].to(at::kFloat)).abs();
        CHECK(taken.max().item<double>() < 1e-2);
        checkSums(out.logSumExp, expected.logSumExp, dtype);
    });
}

TEST_CASE("keys beside a range or behind the last token do not enter the row maximum") {
    // All scores far below zero: a padding score of 0, or a neighbour's large one, taken as the maximum would
    // make every exponential vanish.
    const Shape s{1, 1, 40, 259, 64};
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, s));
        const Inputs in = randomInputs(s, dtype);
        const at::Tensor direction = at::randn({64}).sign().to(dtype);
        in.q.copy_(direction + in.q / 8);
        in.k.copy_(-20 * direction + in.k);
        in.k.select(1, 4).copy_(20 * direction);
        in.k.select(1, 130).copy_(20 * direction);
        ops::AttentionOptions options;
        options.kernelSet = set;
        options.ranges = {{0, 20, {{5, 130}}}, {20, 40, {{131, 259}}}};
        at::Tensor mask = at::zeros({1, 1, s.queries, s.keys}, at::kBool);
        mask.slice(2, 0, 20).slice(3, 5, 130).fill_(true);
        mask.slice(2, 20, 40).slice(3, 131, 259).fill_(true);
        const ops::AttentionOutput out = ops::attentionWithLogSumExp(in.q, in.k, in.v, options);
        const auto expected = expectedUnder(in, defaultScale(s), mask);
        REQUIRE(expected.logSumExp.max().item<float>() < -100);
        // Products of 1280 round by 1e-4, which the exponential passes on: the coarse tolerance for both.
        checkClose(out.out, expected.out, at::kBFloat16);
        checkSums(out.logSumExp, expected.logSumExp, at::kBFloat16);
    });
}

TEST_CASE("a NaN in q, k or v reaches every query that sees it and no other") {
    const Shape s{1, 1, 200, 300, 64};
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, s));
        const Inputs in = randomInputs(s, dtype);
        ops::AttentionOptions options;
        options.kernelSet = set;
        setLists(options, {{{0, 1}, {0, 2}}});
        in.k[0][130][0][5].fill_(std::numeric_limits<float>::quiet_NaN());
        in.q[0][150][0][0].fill_(std::numeric_limits<float>::quiet_NaN());
        in.v[0][299][0][7].fill_(std::numeric_limits<float>::quiet_NaN());
        const at::Tensor nan =
            at::isnan(ops::attention(in.q, in.k, in.v, options))[0].select(1, 0); // [Lq, D]
        CHECK(nan.slice(0, 0, 128).all().item<bool>());
        CHECK(nan[150].all().item<bool>());
        CHECK(nan.slice(0, 128).select(1, 7).all().item<bool>());
        CHECK(nan.slice(0, 128).sum().item<std::int64_t>() == 72 + 63);
    });
}

TEST_CASE("scale may be zero or negative") {
    const Shape s{1, 2, 50, 200, 64};
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, s));
        const Inputs in = randomInputs(s, dtype);
        for (const double scale : {-0.7, 0.0, 2.0}) {
            ops::AttentionOptions options;
            options.kernelSet = set;
            options.scale = scale;
            const ops::AttentionOutput out = ops::attentionWithLogSumExp(in.q, in.k, in.v, options);
            const auto expected = reference::attention(in.q, in.k, in.v, scale);
            checkClose(out.out, expected.out, dtype);
            checkSums(out.logSumExp, expected.logSumExp, dtype);
        }
    });
}

TEST_CASE("partial results over disjoint keys merge by their log-sum-exp") {
    const Shape s{1, 2, 60, 300, 64};
    const Inputs in = randomInputs(s, at::kFloat);
    const auto part = [&](std::int64_t begin, std::int64_t end) {
        return ops::attentionWithLogSumExp(in.q, in.k.slice(1, begin, end), in.v.slice(1, begin, end));
    };
    const ops::AttentionOutput a = part(0, 111);
    const ops::AttentionOutput b = part(111, 300);
    const at::Tensor sum = at::logaddexp(a.logSumExp, b.logSumExp);
    const auto weight = [&](const ops::AttentionOutput& x) {
        return at::exp(x.logSumExp - sum).transpose(1, 2).unsqueeze(-1); // [B, Lq, H, 1]
    };
    checkClose(a.out * weight(a) + b.out * weight(b),
               reference::attention(in.q, in.k, in.v, defaultScale(s)).out, at::kFloat);
}

TEST_CASE("the bits do not depend on the number of threads") {
    const Shape s{2, 3, 700, 900, 64};
    const int threads = at::get_num_threads();
    onEverySet([&](KernelSet set, at::ScalarType dtype) {
        INFO(describe(set, dtype, s));
        const Inputs in = randomInputs(s, dtype);
        ops::AttentionOptions options;
        options.kernelSet = set;
        ops::AttentionOptions sparse = options;
        setLists(sparse, randomLists(s, 0.5, 2));
        at::set_num_threads(1);
        const at::Tensor dense = ops::attention(in.q, in.k, in.v, options);
        const at::Tensor chosen = ops::attention(in.q, in.k, in.v, sparse);
        for (const int count : {2, 3}) {
            at::set_num_threads(count);
            CHECK(at::equal(ops::attention(in.q, in.k, in.v, options), dense));
            CHECK(at::equal(ops::attention(in.q, in.k, in.v, sparse), chosen));
        }
    });
    at::set_num_threads(threads);
}

TEST_CASE("more heads than the packing budget holds") {
    // 2 x 5000 x 128 x 8 bytes = 10 MB packed per head in float32: groups of two heads.
    const Shape s{1, 5, 130, 5000, 256};
    at::manual_seed(4);
    const Inputs in = randomInputs(s, at::kFloat);
    checkClose(ops::attention(in.q, in.k, in.v), reference::attention(in.q, in.k, in.v, defaultScale(s)).out,
               at::kFloat);
}

TEST_CASE("intra-op workers are threads of their own") {
    const int threads = at::get_num_threads();
    at::set_num_threads(2);
    const kernels::ParallelWorkers parallel = ops::intraOpWorkers();
    REQUIRE(parallel.workers == 2);
    std::mutex mutex;
    std::condition_variable arrived;
    int waiting = 0;
    int met = 0;
    parallel.run([&](int) { // both wait for each other: impossible one after another
        std::unique_lock lock(mutex);
        ++waiting;
        arrived.notify_all();
        met += arrived.wait_for(lock, std::chrono::seconds(30), [&] { return waiting == 2; }) ? 1 : 0;
    });
    CHECK(met == 2);
    at::set_num_threads(threads);
}

TEST_CASE("shapes and dtypes without a kernel run by the reference and keep their dtype") {
    for (const at::ScalarType dtype : {at::kDouble, at::kHalf, at::kFloat}) {
        const Shape s{1, 2, 30, 40, 20};
        const Inputs in = randomInputs(s, dtype);
        ops::AttentionOptions options;
        options.ranges = {{0, 10, {{0, 20}}}, {10, 30, {{3, 40}}}};
        const at::Tensor out = ops::attention(in.q, in.k, in.v, options);
        CHECK((out.scalar_type() == dtype));
        at::Tensor mask = at::zeros({1, 1, 30, 40}, at::kBool);
        mask.slice(2, 0, 10).slice(3, 0, 20).fill_(true);
        mask.slice(2, 10, 30).slice(3, 3, 40).fill_(true);
        checkClose(out, expectedUnder(in, defaultScale(s), mask).out, at::kBFloat16);
    }
    // Block lists through the reference's expanded mask, over a chunk boundary of 512 queries.
    const Shape s{1, 1, 900, 300, 12};
    const Inputs in = randomInputs(s, at::kFloat);
    const Lists lists = randomLists(s, 0.6, 3);
    ops::AttentionOptions options;
    setLists(options, lists);
    checkClose(ops::attention(in.q, in.k, in.v, options),
               expectedUnder(in, defaultScale(s), maskOf(s, lists)).out, at::kFloat);
}

TEST_CASE("arguments that do not fit are refused with a sentence") {
    const Shape s{1, 1, 200, 300, 64};
    const Inputs in = randomInputs(s, at::kFloat);
    const auto refusal = [&](const ops::AttentionOptions& options) {
        try {
            ops::attention(in.q, in.k, in.v, options);
        } catch (const c10::Error& error) {
            return std::string(error.what_without_backtrace());
        }
        return std::string("accepted");
    };
    const auto contains = [](const std::string& text, const char* part) {
        return text.find(part) != std::string::npos;
    };
    ops::AttentionOptions options;
    setLists(options, {{{0, 1}, {0, 3}}});
    CHECK(contains(refusal(options), "lists key block 3; expected ascending numbers below 3"));
    setLists(options, {{{1, 0}, {2}}});
    CHECK(contains(refusal(options), "lists key block 0"));
    setLists(options, {{{0}}});
    CHECK(contains(refusal(options), "expected 3 for 1 x 1 heads and 2 query blocks"));
    setLists(options, {{{0}, {1}}});
    options.keyBlockIds = options.keyBlockIds.to(at::kLong);
    CHECK(contains(refusal(options), "int32 ids"));
    options = {};
    options.ranges = {{0, 100, {{0, 300}}}, {101, 200, {{0, 300}}}};
    CHECK(contains(refusal(options), "follows token 100"));
    options.ranges = {{0, 199, {{0, 300}}}};
    CHECK(contains(refusal(options), "end at 199; expected 200"));
    options.ranges = {{0, 200, {{0, 301}}}};
    CHECK(contains(refusal(options), "beyond 300 keys"));
    options.ranges = {{0, 200, {{10, 20}, {19, 30}}}};
    CHECK(contains(refusal(options), "out of order"));
    CHECK_THROWS_AS(ops::attention(in.q, in.k.slice(3, 0, 32), in.v), c10::Error);
    CHECK_THROWS_AS(ops::attention(in.q, in.k, in.v.to(at::kBFloat16)), c10::Error);
    CHECK_THROWS_AS(ops::attention(in.q[0], in.k[0], in.v[0]), c10::Error);
}

TEST_CASE("kernel sets have names and the portable one is always there") {
    CHECK(kernels::isSupported(KernelSet::Portable));
    CHECK(kernels::isSupported(kernels::bestKernelSet()));
    CHECK(std::string(kernels::kernelSetName(KernelSet::Avx512Bf16)) == "avx512bf16");
    CHECK(std::string(kernels::kernelSetName(KernelSet::Portable)) == "portable");
    MESSAGE((std::string("tested up to ") + kernels::kernelSetName(kernels::bestKernelSet())));
}
