#include "tests/bench/canopy_bench/attention_cases.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>

#include <ATen/ops/nonzero.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>

#include "accel/cuda/block_attention.h"

namespace canopy::bench {

namespace {

std::int64_t blocksOf(std::int64_t tokens, std::int64_t rows) {
    return (tokens + rows - 1) / rows;
}

/// Tokens of each block; the last may be ragged.
at::Tensor blockSizes(std::int64_t tokens, std::int64_t rows) {
    at::Tensor sizes = at::full({blocksOf(tokens, rows)}, static_cast<double>(rows), at::kDouble);
    sizes[-1] = static_cast<double>(tokens - rows * (blocksOf(tokens, rows) - 1));
    return sizes;
}

} // namespace

AttentionProblem makeProblem(const AttentionCase& what, const at::Device& device, std::uint64_t seed) {
    at::manual_seed(seed);
    const auto onCard = at::TensorOptions(at::kFloat).device(device);
    const std::vector<std::int64_t> shape{1, what.tokens, what.heads, what.depth};
    AttentionProblem problem;
    problem.q = (at::randn(shape, onCard) * what.spread).to(at::kBFloat16);
    problem.k = (at::randn(shape, onCard) * what.spread).to(at::kBFloat16);
    problem.v = at::randn(shape, onCard).to(at::kBFloat16);
    const std::int64_t tiles = blocksOf(what.tokens, accel::cuda::kQueryTile);
    if (what.density >= 1.0) {
        problem.metadataBytes =
            static_cast<double>(accel::cuda::blockAttentionWorkspaceBytes(1, what.heads, tiles));
        problem.pairs = static_cast<double>(what.heads) * static_cast<double>(what.tokens) *
                        static_cast<double>(what.tokens);
        return problem;
    }

    const std::int64_t keyBlocks = blocksOf(what.tokens, what.blockRows);
    const at::Tensor density = what.unequalHeads
                                   ? at::linspace(0.05, 0.55, what.heads, at::kFloat).view({what.heads, 1, 1})
                                   : at::full({what.heads, 1, 1}, what.density, at::kFloat);
    at::Tensor chosen = at::rand({what.heads, tiles, keyBlocks}, at::kFloat) < density;
    if (what.emptyShare > 0)
        chosen &= at::rand({what.heads, tiles, 1}, at::kFloat) >= what.emptyShare;
    else // nothing is empty by chance
        chosen.select(2, 0).logical_or_(chosen.any(2).logical_not());
    chooseBlocks(problem, what, chosen);
    return problem;
}

void chooseBlocks(AttentionProblem& problem, const AttentionCase& what, const at::Tensor& chosen) {
    const at::Device device = problem.q.device();
    const std::int64_t tiles = blocksOf(what.tokens, accel::cuda::kQueryTile);
    problem.chosen = chosen;
    problem.metadataBytes =
        static_cast<double>(accel::cuda::blockAttentionWorkspaceBytes(1, what.heads, tiles));
    const at::Tensor counts = problem.chosen.sum(2, false, at::kInt).flatten().to(at::kInt);
    const at::Tensor starts = (counts.cumsum(0) - counts).to(at::kInt);
    const at::Tensor ids = problem.chosen.nonzero().select(1, 2).to(at::kUInt16).contiguous();
    problem.options.cardLists =
        accel::ops::CardKeyLists{what.blockRows, starts.to(device), counts.to(device), ids.to(device)};
    problem.metadataBytes += static_cast<double>(starts.nbytes() + counts.nbytes() + ids.nbytes());
    problem.pairs = problem.chosen.to(at::kDouble)
                        .matmul(blockSizes(what.tokens, what.blockRows))
                        .matmul(blockSizes(what.tokens, accel::cuda::kQueryTile))
                        .sum()
                        .item<double>();
}

double selectedFlop(const AttentionCase& what, const AttentionProblem& problem) {
    return 4.0 * static_cast<double>(what.depth) * problem.pairs;
}

std::vector<AttentionCase> checkCases() {
    std::vector<AttentionCase> cases;
    for (const std::int64_t depth : {128, 64}) {
        const std::string d = "D" + std::to_string(depth) + " ";
        cases.push_back({d + "one token", 1, 1, depth});
        cases.push_back({d + "dense, 129 tokens", 2, 129, depth});
        cases.push_back({d + "dense, 2,160 tokens", 4, 2160, depth});
        cases.push_back({d + "blocks of 128", 4, 4100, depth, 0.3});
        cases.push_back({d + "blocks of 64", 4, 4100, depth, 0.3, 64});
        cases.push_back({d + "empty rows", 4, 4100, depth, 0.2, 128, false, 0.4});
        cases.push_back({d + "one block a row", 4, 4100, depth, 1e-9});
        cases.push_back({d + "unequal heads", 6, 9000, depth, 0.3, 128, true});
        cases.push_back({d + "outliers", 4, 4096, depth, 0.3, 128, false, 0.0, 12.0});
    }
    for (const std::int64_t tokens : {32'760, 75'600}) {
        const std::string n = ", " + std::to_string(tokens) + " tokens";
        cases.push_back({"dense" + n, 2, tokens});
        cases.push_back({"blocks of 128" + n, 2, tokens, 128, 0.3});
        cases.push_back({"blocks of 64" + n, 2, tokens, 128, 0.1, 64});
    }
    return cases;
}

std::vector<AttentionCase> timedCases(bool quick) {
    std::vector<AttentionCase> cases{
        {"dense", 12, 32'760},
        {"d 0.5", 12, 32'760, 128, 0.5},
        {"d 0.3", 12, 32'760, 128, 0.3},
        {"d 0.3, unequal heads", 12, 32'760, 128, 0.3, 128, true},
        {"d 0.3, blocks of 64", 12, 32'760, 128, 0.3, 64},
        {"d 0.2", 12, 32'760, 128, 0.2},
        {"d 0.1", 12, 32'760, 128, 0.1},
    };
    if (!quick) {
        cases.push_back({"dense", 12, 75'600});
        cases.push_back({"d 0.3", 12, 75'600, 128, 0.3});
        cases.push_back({"d 0.3", 40, 75'600, 128, 0.3});
        cases.push_back({"dense", 16, 32'768, 64});
        cases.push_back({"d 0.3", 16, 32'768, 64, 0.3});
    }
    return cases;
}

} // namespace canopy::bench
