#include "accel/policies/attention/threshold_profile.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "accel/kernels/cpu/block_attention.h"
#include "accel/ops/block_score.h"

namespace canopy::accel {

namespace {

using kernels::kAttentionBlock;

/// True attention mass of each block of keys for each block of queries, [blocks, blocks] float32 on the CPU.
/// One block of queries at a time: all scores of a long clip would fill gigabytes.
at::Tensor trueMass(const at::Tensor& q, const at::Tensor& k) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(1)));
    const at::Tensor keys = k.to(at::kFloat).t();
    const std::int64_t missing = (kAttentionBlock - k.size(0) % kAttentionBlock) % kAttentionBlock;
    std::vector<at::Tensor> rows;
    for (std::int64_t first = 0; first < q.size(0); first += kAttentionBlock) {
        const at::Tensor part = q.slice(0, first, std::min(first + kAttentionBlock, q.size(0)));
        const at::Tensor shares = at::softmax(part.to(at::kFloat).matmul(keys) * scale, 1).sum(0);
        rows.push_back(at::constant_pad_nd(shares, {0, missing}).view({1, -1, kAttentionBlock}).sum(2));
    }
    return at::cat(rows).cpu().contiguous();
}

} // namespace

double profiledThreshold(const AttentionCall& call, std::int64_t head, int stride, double share) {
    ops::BlockScoreOptions options;
    options.stride = stride;
    options.tau = at::tensor(std::vector<float>{1}, at::kFloat).to(call.q.device());
    options.wantsWeights = true;
    const at::Tensor estimate =
        ops::chooseBlocks(call.q.narrow(2, head, 1), call.k.narrow(2, head, 1), options)
            .weights[0][0]
            .cpu()
            .contiguous();
    const at::Tensor mass = trueMass(call.q[0].select(1, head), call.k[0].select(1, head));
    const auto blocks = static_cast<std::size_t>(mass.size(0));
    std::vector<std::size_t> order(blocks);
    double sum = 0;
    for (std::size_t row = 0; row < blocks; ++row) {
        const float* held = mass.const_data_ptr<float>() + row * blocks;
        const float* estimated = estimate.const_data_ptr<float>() + row * blocks;
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [held](std::size_t a, std::size_t b) { return held[a] > held[b]; });
        const double needed = share * std::accumulate(held, held + blocks, 0.0);
        double before = 0;
        float lowest = std::numeric_limits<float>::infinity();
        for (std::size_t rank = 0; rank < blocks && before < needed; ++rank) {
            before += held[order[rank]];
            lowest = std::min(lowest, estimated[order[rank]]);
        }
        double above = 0, all = 0;
        for (std::size_t j = 0; j < blocks; ++j) {
            all += estimated[j];
            above += estimated[j] >= lowest ? estimated[j] : 0;
        }
        sum += above / all;
    }
    return std::min(1.0, sum / static_cast<double>(blocks));
}

} // namespace canopy::accel
