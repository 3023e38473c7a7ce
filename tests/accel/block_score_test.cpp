// The choice of key blocks: the reference against the definition written as loops, the prefix rule, and,
// where there is a Hopper card, the kernels against the reference.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "accel/ops/block_score.h"
#include "accel/reference/block_score.h"
#include "tests/support/cuda_card.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

/// Neighbouring tokens alike, as a video's are, so that some blocks matter much more than others.
at::Tensor smoothTokens(std::int64_t tokens, std::int64_t heads, std::int64_t depth) {
    const at::Tensor coarse = at::randn({1, tokens / 64 + 1, heads, depth}) * 1.5;
    return (coarse.repeat_interleave(64, 1).slice(1, 0, tokens) + at::randn({1, tokens, heads, depth}) * 0.5)
        .to(at::kBFloat16);
}

struct Lists {
    std::vector<std::vector<std::int32_t>> rows;
};

Lists listsOf(const ops::BlockChoice& choice) {
    Lists lists;
    if (const auto& made = choice.lists.cardLists) {
        const at::Tensor starts = made->starts.cpu(), counts = made->counts.cpu(),
                         ids = made->ids.cpu().to(at::kInt);
        for (std::int64_t row = 0; row < starts.numel(); ++row) {
            const auto* first =
                ids.const_data_ptr<std::int32_t>() + starts.const_data_ptr<std::int32_t>()[row];
            lists.rows.emplace_back(first, first + counts.const_data_ptr<std::int32_t>()[row]);
        }
        return lists;
    }
    const auto* offset = choice.lists.keyBlockOffsets.const_data_ptr<std::int64_t>();
    const auto* id = choice.lists.keyBlockIds.const_data_ptr<std::int32_t>();
    for (std::int64_t row = 0; row + 1 < choice.lists.keyBlockOffsets.numel(); ++row)
        lists.rows.emplace_back(id + offset[row], id + offset[row + 1]);
    return lists;
}

/// Every list is rising, holds what must be kept, and is the shortest prefix that reaches tau: with `slack`
/// of the row's sum to either side, since sums are rounded.
void checkPrefix(const Lists& lists, const at::Tensor& weightsAny, const std::vector<float>& tau,
                 const ops::BlockScoreOptions& options, double slack) {
    const at::Tensor weights = weightsAny.cpu().contiguous();
    const std::int64_t blocks = weights.size(3), heads = weights.size(1);
    REQUIRE(static_cast<std::int64_t>(lists.rows.size()) == weights.numel() / blocks);
    for (std::size_t row = 0; row < lists.rows.size(); ++row) {
        const auto& list = lists.rows[row];
        const float* weight = weights.const_data_ptr<float>() + static_cast<std::int64_t>(row) * blocks;
        const auto own = static_cast<std::int32_t>(static_cast<std::int64_t>(row) % blocks);
        const double wanted = tau[row / static_cast<std::size_t>(blocks) % static_cast<std::size_t>(heads)];
        CAPTURE(row);
        REQUIRE(!list.empty());
        CHECK(std::adjacent_find(list.begin(), list.end(), std::greater_equal<>()) == list.end());
        CHECK(list.back() < blocks);
        if (wanted >= 1.0) {
            CHECK(static_cast<std::int64_t>(list.size()) == blocks);
            continue;
        }
        const auto forced = [&](std::int32_t block) {
            return (options.keepsFirst && block == 0) || (options.keepsDiagonal && block == own);
        };
        const double all = std::accumulate(weight, weight + blocks, 0.0);
        double reached = 0, least = all;
        for (const std::int32_t block : list) {
            if (forced(block))
                continue;
            reached += weight[block];
            least = std::min<double>(least, weight[block]);
        }
        for (std::int32_t block = 0; block < blocks; ++block) {
            const bool chosen = std::binary_search(list.begin(), list.end(), block);
            if (forced(block))
                CHECK(chosen);
            else if (!chosen)
                CHECK(weight[block] <= least);
        }
        // What was forced counts where it lies among the chosen ones by its weight.
        double before = 0;
        for (std::int32_t block = 0; block < blocks; ++block)
            before += forced(block) && weight[block] > least ? weight[block] : 0;
        if (reached > 0) {
            CHECK(before + reached - least < (wanted + slack) * all);
            double rest = 0;
            for (std::int32_t block = 0; block < blocks; ++block)
                rest += forced(block) && weight[block] <= least ? weight[block] : 0;
            CHECK(before + reached + rest > (wanted - slack) * all);
        }
    }
}

/// Every list is rising and holds the `kept` best, ties by number.
void checkBest(const Lists& lists, const at::Tensor& weights, std::int64_t kept) {
    const std::int64_t blocks = weights.size(3), most = std::min(kept, blocks);
    REQUIRE(static_cast<std::int64_t>(lists.rows.size()) == weights.numel() / blocks);
    const at::Tensor best =
        std::get<0>(std::get<1>(weights.view({-1, blocks}).sort(true, 1, true)).slice(1, 0, most).sort(1));
    for (std::size_t row = 0; row < lists.rows.size(); ++row)
        CHECK(at::tensor(lists.rows[row], at::kLong).equal(best[static_cast<std::int64_t>(row)]));
}

ops::BlockScoreOptions optionsOf(const std::vector<float>& tau, const at::Device& device) {
    ops::BlockScoreOptions options;
    options.tau = at::tensor(tau, at::kFloat).to(device);
    options.wantsWeights = true;
    return options;
}

} // namespace

TEST_CASE("the reference equals the definition written as loops") {
    for (const std::int64_t stride : {8, 16}) {
        for (const std::int64_t tokens : {256, 301}) {
            CAPTURE(stride);
            CAPTURE(tokens);
            constexpr std::int64_t kDepth = 4;
            const at::Tensor q = at::randn({1, tokens, 1, kDepth}), k = at::randn({1, tokens, 1, kDepth});
            const auto dot = [&](std::int64_t i, std::int64_t j) {
                if (i >= tokens || j >= tokens)
                    return 0.0;
                double sum = 0;
                for (std::int64_t d = 0; d < kDepth; ++d)
                    sum += double{q.const_data_ptr<float>()[i * kDepth + d]} *
                           double{k.const_data_ptr<float>()[j * kDepth + d]};
                return sum;
            };
            const std::int64_t cells = (tokens + stride - 1) / stride, blocks = (tokens + 127) / 128;
            std::vector<double> expected(static_cast<std::size_t>(blocks * blocks), 0.0);
            for (std::int64_t m = 0; m < cells; ++m) {
                std::vector<double> row(static_cast<std::size_t>(cells), 0.0);
                double sum = 0;
                for (std::int64_t n = 0; n < cells; ++n) {
                    for (std::int64_t i = 0; i < stride; ++i)
                        row[static_cast<std::size_t>(n)] += dot(m * stride + stride - 1 - i, n * stride + i);
                    row[static_cast<std::size_t>(n)] =
                        std::exp(row[static_cast<std::size_t>(n)] * 0.5 / static_cast<double>(stride));
                    sum += row[static_cast<std::size_t>(n)];
                }
                for (std::int64_t n = 0; n < cells; ++n)
                    expected[static_cast<std::size_t>(m * stride / 128 * blocks + n * stride / 128)] +=
                        row[static_cast<std::size_t>(n)] / sum;
            }
            const at::Tensor got = reference::blockWeights(q, k, 0.5, stride);
            REQUIRE(got.sizes() == at::IntArrayRef({1, 1, blocks, blocks}));
            for (std::size_t i = 0; i < expected.size(); ++i)
                CHECK(got.const_data_ptr<float>()[i] == doctest::Approx(expected[i]).epsilon(1e-4));
        }
    }
}

TEST_CASE("every kernel set of this processor estimates what the reference does, on poisoned memory") {
    using kernels::KernelSet;
    const PoisonedMemory poisoned;
    int sets = 0;
    for (const KernelSet set :
         {KernelSet::Portable, KernelSet::Avx2, KernelSet::Avx512, KernelSet::Avx512Bf16, KernelSet::Amx}) {
        if (!kernels::isSupported(set))
            continue;
        ++sets;
        for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
            for (const std::int64_t depth : {8, 64, 128}) {
                for (const std::int64_t stride : {8, 16}) {
                    for (const std::int64_t tokens : {5, 128, 777, 1400}) {
                        CAPTURE(kernels::kernelSetName(set));
                        CAPTURE(toString(dtype));
                        CAPTURE(depth);
                        CAPTURE(stride);
                        CAPTURE(tokens);
                        // Heads of a wider tensor: neither tokens nor heads lie side by side.
                        const at::Tensor both = smoothTokens(tokens, 5, 2 * depth).to(dtype);
                        const at::Tensor q = both.slice(2, 0, 3).slice(3, 0, depth);
                        const at::Tensor k = both.slice(2, 2, 5).slice(3, depth);
                        ops::BlockScoreOptions options = optionsOf({1.0F, 1.0F, 1.0F}, at::kCPU);
                        options.stride = stride;
                        options.kernelSet = set;
                        options.scale = 1 / std::sqrt(static_cast<double>(depth));
                        const at::Tensor got = ops::chooseBlocks(q, k, options).weights;
                        const at::Tensor expected = reference::blockWeights(q, k, *options.scale, stride);
                        REQUIRE(got.sizes() == expected.sizes());
                        // Exponentials of the kernels for bfloat16 are exact to 7.5e-5.
                        const double most = (got - expected).abs().max().item<double>();
                        CHECK(most < (dtype == at::kFloat ? 1e-4 : 2e-3));
                    }
                }
            }
        }
    }
    CHECK(sets > 0);
}

TEST_CASE("the estimate has the same bits for any number of threads") {
    const at::Tensor q = smoothTokens(1400, 3, 64), k = smoothTokens(1400, 3, 64);
    ops::BlockScoreOptions options = optionsOf({0.7F, 0.7F, 0.7F}, at::kCPU);
    const int before = at::get_num_threads();
    at::set_num_threads(1);
    const auto one = ops::chooseBlocks(q, k, options);
    at::set_num_threads(3);
    const auto three = ops::chooseBlocks(q, k, options);
    at::set_num_threads(before);
    CHECK(one.weights.equal(three.weights));
    CHECK(one.lists.keyBlockIds.equal(three.lists.keyBlockIds));
}

TEST_CASE("chosen blocks are the shortest prefix that reaches tau") {
    const at::Tensor q = smoothTokens(1400, 3, 16), k = smoothTokens(1400, 3, 16);
    const std::vector<float> tau{0.5F, 0.9F, 1.0F};
    for (const bool diagonal : {false, true}) {
        ops::BlockScoreOptions options = optionsOf(tau, at::kCPU);
        options.keepsDiagonal = diagonal;
        options.keepsFirst = !diagonal;
        const auto choice = ops::chooseBlocks(q, k, options);
        checkPrefix(listsOf(choice), choice.weights, tau, options, 1e-5);
    }
}

TEST_CASE("equal weights are taken by number") {
    const at::Tensor zeros = at::zeros({1, 1280, 1, 16});
    ops::BlockScoreOptions options = optionsOf({0.35F}, at::kCPU);
    options.keepsFirst = false;
    for (const auto& row : listsOf(ops::chooseBlocks(zeros, zeros, options)).rows)
        CHECK(row == std::vector<std::int32_t>{0, 1, 2, 3});
}

TEST_CASE("a fixed number of the best blocks, ties by number") {
    const at::Tensor q = smoothTokens(900, 2, 64), k = smoothTokens(900, 2, 64);
    for (const std::int64_t kept : {1, 3, 8, 20}) {
        ops::BlockScoreOptions options;
        options.keepsFirst = false;
        options.wantsWeights = true;
        options.keptBlocks = kept;
        const auto choice = ops::chooseBlocks(q, k, options);
        checkBest(listsOf(choice), choice.weights, kept);
    }
    ops::BlockScoreOptions equal;
    equal.keepsFirst = false;
    equal.keptBlocks = 2;
    const at::Tensor same = at::zeros({1, 512, 1, 64});
    for (const auto& row : listsOf(ops::chooseBlocks(same, same, equal)).rows)
        CHECK(row == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("arguments that do not fit are refused") {
    const at::Tensor q = at::zeros({1, 256, 2, 16});
    ops::BlockScoreOptions options = optionsOf({0.5F, 0.5F}, at::kCPU);
    options.stride = 4;
    CHECK_THROWS_AS(ops::chooseBlocks(q, q, options), c10::Error);
    CHECK_THROWS_AS(ops::chooseBlocks(q, q, optionsOf({0.5F}, at::kCPU)), c10::Error);
    CHECK_THROWS_AS(ops::chooseBlocks(q, q.slice(1, 0, 128), optionsOf({0.5F, 0.5F}, at::kCPU)), c10::Error);
}

TEST_CASE("the card's weights and lists are the reference's") {
    if (!hopperCard())
        return;
    const at::Device device = card()->torchDevice();
    const PoisonedMemory poisoned;
    const std::vector<float> tau{0.5F, 0.8F, 0.95F, 1.0F};
    for (const std::int64_t stride : {8, 16}) {
        for (const std::int64_t depth : {64, 128}) {
            // One tile and less, a ragged block, a cell that is not full, two tiles of keys, more than 256
            // blocks.
            for (const std::int64_t tokens : {120, 1400, 1405, 4096, 34000}) {
                if (tokens > 30000 && depth == 64)
                    continue;
                CAPTURE(stride);
                CAPTURE(depth);
                CAPTURE(tokens);
                const at::Tensor q = smoothTokens(tokens, 4, depth), k = smoothTokens(tokens, 4, depth);
                ops::BlockScoreOptions options = optionsOf(tau, device);
                options.stride = stride;
                options.keepsDiagonal = tokens == 1400;
                const auto choice = ops::chooseBlocks(q.to(device), k.to(device), options);
                REQUIRE(choice.lists.cardLists.has_value());
                const double scale = 1.0 / std::sqrt(static_cast<double>(depth));
                const at::Tensor expected =
                    reference::blockWeights(q.to(device), k.to(device), scale, stride).cpu();
                const at::Tensor got = choice.weights.cpu();
                const double error = (got - expected).norm().item<double>() / expected.norm().item<double>();
                CHECK(error < 1e-3);
                checkPrefix(listsOf(choice), got, tau, options, 1e-5);
            }
        }
    }
}

TEST_CASE("the card keeps a fixed number of the best, and heads that are not wanted keep their lists") {
    if (!hopperCard())
        return;
    const at::Device device = card()->torchDevice();
    const PoisonedMemory poisoned;
    for (const std::int64_t tokens : {1400, 34000}) {
        CAPTURE(tokens);
        const at::Tensor q = smoothTokens(tokens, 4, 128).to(device),
                         k = smoothTokens(tokens, 4, 128).to(device),
                         q2 = smoothTokens(tokens, 4, 128).to(device);
        for (const std::int64_t kept : {1, 7, 300}) {
            ops::BlockScoreOptions options;
            options.stride = 8;
            options.keepsFirst = false;
            options.wantsWeights = true;
            options.keptBlocks = kept;
            const auto choice = ops::chooseBlocks(q, k, options);
            checkBest(listsOf(choice), choice.weights.cpu(), kept);
        }
        const auto options = optionsOf({0.5F, 0.6F, 0.7F, 0.8F}, device);
        const auto first = listsOf(ops::chooseBlocks(q, k, options)),
                   second = listsOf(ops::chooseBlocks(q2, k, options));
        auto partly = options;
        partly.previous = ops::chooseBlocks(q, k, options).lists.cardLists;
        partly.wanted = at::tensor(std::vector<std::uint8_t>{0, 1, 0, 1}, at::kByte).to(at::kBool).to(device);
        const auto mixed = listsOf(ops::chooseBlocks(q2, k, partly));
        const std::size_t blocks = mixed.rows.size() / 4;
        CHECK(first.rows != second.rows);
        for (std::size_t row = 0; row < mixed.rows.size(); ++row)
            CHECK(mixed.rows[row] == (row / blocks % 2 == 1 ? second : first).rows[row]);
    }
}

TEST_CASE("the card chooses the same blocks on every call, and attention takes its lists") {
    if (!hopperCard())
        return;
    const at::Device device = card()->torchDevice();
    const at::Tensor q = smoothTokens(4000, 4, 128).to(device), k = smoothTokens(4000, 4, 128).to(device),
                     v = at::randn({1, 4000, 4, 128}).to(at::kBFloat16).to(device);
    const ops::BlockScoreOptions options = optionsOf({0.6F, 0.7F, 0.8F, 0.9F}, device);
    const auto first = ops::chooseBlocks(q, k, options), second = ops::chooseBlocks(q, k, options);
    CHECK(listsOf(first).rows == listsOf(second).rows);
    CHECK(at::equal(first.weights, second.weights));
    CHECK(at::equal(ops::attention(q, k, v, first.lists), ops::attention(q, k, v, second.lists)));
}
