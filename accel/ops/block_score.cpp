#include "accel/ops/block_score.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "accel/cuda/block_score.h"
#include "accel/kernels/cpu/block_score.h"
#include "accel/ops/card_tensor.h"
#include "accel/ops/parallel.h"
#include "accel/reference/block_score.h"
#include "accel/runtime/kernel_table.h"

namespace canopy::accel::ops {

namespace {

using reference::kScoreBlock;

std::int64_t blocksOf(std::int64_t tokens) {
    return (tokens + kScoreBlock - 1) / kScoreBlock;
}

void check(const at::Tensor& q, const at::Tensor& k, const BlockScoreOptions& options) {
    TORCH_CHECK(q.dim() == 4 && q.sizes() == k.sizes() && q.scalar_type() == k.scalar_type() &&
                    q.device() == k.device() && q.is_floating_point() && q.size(1) > 0,
                "chooseBlocks got q ", q.sizes(), " ", q.scalar_type(), " and k ", k.sizes(), " ",
                k.scalar_type(),
                "; expected two equal shapes [B, L, H, D] of one floating dtype and device, L above 0");
    TORCH_CHECK(options.stride == 8 || options.stride == 16, "chooseBlocks got a stride of ", options.stride,
                "; expected 8 or 16");
    TORCH_CHECK(!options.keptBlocks || (*options.keptBlocks > 0 && !options.tau.defined()),
                "chooseBlocks was asked to keep ", options.keptBlocks.value_or(0), " blocks",
                options.tau.defined() ? " and got a tau" : "", "; expected 1 or more, and no tau");
    TORCH_CHECK(options.keptBlocks || (options.tau.defined() && options.tau.scalar_type() == at::kFloat &&
                                       options.tau.device() == q.device() && options.tau.is_contiguous() &&
                                       options.tau.sizes() == at::IntArrayRef({q.size(2)})),
                "chooseBlocks got no tau of ", q.size(2), " contiguous float32 on ", q.device());
    TORCH_CHECK(options.wanted.defined() == options.previous.has_value(),
                "chooseBlocks got only one of wanted heads and earlier lists; give both");
    TORCH_CHECK(
        !options.wanted.defined() ||
            (options.wanted.scalar_type() == at::kBool && options.wanted.is_contiguous() &&
             options.wanted.device() == q.device() && options.wanted.numel() == q.size(0) * q.size(2)),
        "chooseBlocks got flags that are not ", q.size(0) * q.size(2), " contiguous bool on ", q.device());
}

bool hasScoreKernel(const at::Tensor& q, double scale) {
    const KernelTable* kernels = cardKernels();
    return q.is_cuda() && q.scalar_type() == at::kBFloat16 && (q.size(3) == 64 || q.size(3) == 128) &&
           blocksOf(q.size(1)) <= cuda::kMostScoreBlocks && scale > 0 && kernels && kernels->blockScore;
}

/// Whole cells: the kernel knows no shorter last one.
at::Tensor wholeCells(const at::Tensor& x, std::int64_t stride) {
    const std::int64_t missing = (stride - x.size(1) % stride) % stride;
    return missing == 0 ? alignedForCard(x) : at::constant_pad_nd(x, {0, 0, 0, 0, 0, missing}).contiguous();
}

BlockChoice onCard(const at::Tensor& qAny, const at::Tensor& kAny, double scale,
                   const BlockScoreOptions& options) {
    const c10::DeviceGuard guard(qAny.device());
    const at::Tensor q = wholeCells(qAny, options.stride), k = wholeCells(kAny, options.stride);
    const std::int64_t blocks = blocksOf(q.size(1)), entries = q.size(0) * q.size(2) * blocks;
    const std::int64_t kept = std::min(options.keptBlocks.value_or(0), blocks);
    const std::int64_t room =
        entries * cuda::listRoom(blocks, options.keepsFirst, options.keepsDiagonal, kept);
    const auto place = q.options();
    CardKeyLists lists = options.previous
                             ? *options.previous
                             : CardKeyLists{kScoreBlock, at::empty({entries}, place.dtype(at::kInt)),
                                            at::empty({entries}, place.dtype(at::kInt)),
                                            at::empty({room}, place.dtype(at::kUInt16))};
    TORCH_CHECK(lists.starts.numel() == entries && lists.ids.numel() == room,
                "chooseBlocks got earlier lists of ", lists.starts.numel(), " query blocks with room for ",
                lists.ids.numel(), " numbers; expected ", entries, " and ", room);
    BlockChoice choice;
    if (options.wantsWeights)
        choice.weights = at::empty({q.size(0), q.size(2), blocks, blocks}, place.dtype(at::kFloat));
    const auto bytes = cuda::blockScoreWorkspaceBytes(q.size(0), q.size(2), q.size(1), options.stride);
    const at::Tensor workspace = at::empty({static_cast<std::int64_t>(bytes)}, place.dtype(at::kByte));

    cuda::BlockScoreParams params;
    params.q = q.const_data_ptr();
    params.k = k.const_data_ptr();
    params.qStrides = cardStrides(q);
    params.kStrides = cardStrides(k);
    params.batch = narrowedForCard(q.size(0), "batch rows");
    params.heads = narrowedForCard(q.size(2), "heads");
    params.tokens = narrowedForCard(q.size(1), "tokens");
    params.headDim = narrowedForCard(q.size(3), "channels");
    params.stride = static_cast<std::int32_t>(options.stride);
    params.scale = static_cast<float>(scale);
    params.tau = options.tau.defined() ? options.tau.const_data_ptr<float>() : nullptr;
    params.keptBlocks = static_cast<std::int32_t>(kept);
    params.keepsFirst = options.keepsFirst;
    params.keepsDiagonal = options.keepsDiagonal;
    params.wanted = options.wanted.defined()
                        ? static_cast<const std::uint8_t*>(options.wanted.const_data_ptr())
                        : nullptr;
    params.workspace = workspace.mutable_data_ptr();
    params.weights = options.wantsWeights ? choice.weights.mutable_data_ptr<float>() : nullptr;
    params.starts = static_cast<std::uint32_t*>(lists.starts.mutable_data_ptr());
    params.counts = lists.counts.mutable_data_ptr<std::int32_t>();
    params.ids = static_cast<std::uint16_t*>(lists.ids.mutable_data_ptr());
    checkQueued(cardKernels()->blockScore(params, cardStream(q)), "the choice of blocks", q);
    choice.lists.cardLists = std::move(lists);
    return choice;
}

/// Blocks of one row by rising number.
std::vector<std::int32_t> chooseRow(const float* weights, std::int64_t blocks, float tau, std::int64_t own,
                                    const BlockScoreOptions& options) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(blocks));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [weights](std::int32_t a, std::int32_t b) { return weights[a] > weights[b]; });
    const float all = std::accumulate(weights, weights + blocks, 0.0F);
    std::vector<std::int32_t> chosen;
    float before = 0.0F;
    std::int64_t rank = 0;
    for (const std::int32_t block : order) {
        const bool isAmongBest =
            options.keptBlocks ? rank < *options.keptBlocks : before < tau * all || tau >= 1.0F;
        if (isAmongBest || (options.keepsFirst && block == 0) || (options.keepsDiagonal && block == own))
            chosen.push_back(block);
        before += weights[block];
        ++rank;
    }
    std::sort(chosen.begin(), chosen.end());
    return chosen;
}

bool hasCpuScoreKernel(const at::Tensor& q, double scale) {
    const std::int64_t depth = q.size(3);
    return q.is_cpu() && (q.scalar_type() == at::kFloat || q.scalar_type() == at::kBFloat16) && depth > 0 &&
           depth % 8 == 0 && depth <= kernels::kMaxAttentionHeadDim && scale > 0;
}

at::Tensor weightsByCpuKernel(const at::Tensor& qAny, const at::Tensor& kAny, double scale,
                              const BlockScoreOptions& options) {
    const at::Tensor q = qAny.stride(3) == 1 ? qAny : qAny.contiguous();
    const at::Tensor k = kAny.stride(3) == 1 ? kAny : kAny.contiguous();
    const std::int64_t blocks = blocksOf(q.size(1));
    at::Tensor weights = at::empty({q.size(0), q.size(2), blocks, blocks}, q.options().dtype(at::kFloat));
    kernels::BlockScoreParams params;
    params.q = q.const_data_ptr();
    params.k = k.const_data_ptr();
    params.weights = weights.mutable_data_ptr<float>();
    params.qStrides = {q.stride(0), q.stride(1), q.stride(2)};
    params.kStrides = {k.stride(0), k.stride(1), k.stride(2)};
    params.dtype =
        q.scalar_type() == at::kFloat ? kernels::StorageDtype::Float32 : kernels::StorageDtype::BFloat16;
    params.batch = q.size(0);
    params.heads = q.size(2);
    params.tokens = q.size(1);
    params.headDim = q.size(3);
    params.stride = options.stride;
    params.scale = static_cast<float>(scale);
    params.kernelSet = options.kernelSet.value_or(kernels::bestKernelSet());
    TORCH_CHECK(kernels::isSupported(params.kernelSet), "chooseBlocks was asked for the kernel set '",
                kernels::kernelSetName(params.kernelSet),
                "', which this processor lacks; the best one here is '",
                kernels::kernelSetName(kernels::bestKernelSet()), "'");
    const kernels::ParallelWorkers parallel = intraOpWorkers();
    const auto bytes = static_cast<std::int64_t>(kernels::blockScoreScratchBytes(params, parallel.workers));
    const at::Tensor scratch = at::empty({bytes}, q.options().dtype(at::kByte));
    kernels::blockScore(params, parallel, scratch.mutable_data_ptr());
    return weights;
}

/// Lists on the CPU; heads side by side.
AttentionOptions chooseOnHost(const at::Tensor& weights, const at::Tensor& tauAny,
                              const BlockScoreOptions& options) {
    const at::Tensor host = weights.cpu().contiguous(), tau = tauAny.defined() ? tauAny.cpu() : tauAny;
    const std::int64_t blocks = weights.size(3), heads = weights.size(0) * weights.size(1);
    std::vector<std::vector<std::int32_t>> rows(static_cast<std::size_t>(heads * blocks));
    forEachItem(heads, [&](std::int64_t head) {
        for (std::int64_t block = 0; block < blocks; ++block) {
            const std::int64_t row = head * blocks + block;
            rows[static_cast<std::size_t>(row)] = chooseRow(
                host.const_data_ptr<float>() + row * blocks, blocks,
                tau.defined() ? tau.const_data_ptr<float>()[head % tau.numel()] : 1.0F, block, options);
        }
    });
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> ids;
    for (const auto& row : rows) {
        ids.insert(ids.end(), row.begin(), row.end());
        offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
    AttentionOptions lists;
    lists.keyBlockOffsets = at::tensor(offsets, at::kLong);
    lists.keyBlockIds = at::tensor(ids, at::kInt);
    return lists;
}

BlockChoice onHost(const at::Tensor& q, const at::Tensor& k, double scale, const BlockScoreOptions& options) {
    const at::Tensor weights = hasCpuScoreKernel(q, scale)
                                   ? weightsByCpuKernel(q, k, scale, options)
                                   : reference::blockWeights(q, k, scale, options.stride);
    BlockChoice choice;
    choice.lists = chooseOnHost(weights, options.tau, options);
    if (options.wantsWeights)
        choice.weights = weights;
    return choice;
}

} // namespace

bool choosesOnCard(const at::Tensor& q) {
    return hasScoreKernel(q, 1.0);
}

BlockChoice chooseBlocks(const at::Tensor& q, const at::Tensor& k, const BlockScoreOptions& options) {
    check(q, k, options);
    const double scale = options.scale.value_or(1.0 / std::sqrt(static_cast<double>(q.size(3))));
    TORCH_CHECK(!options.wanted.defined() || hasScoreKernel(q, scale),
                "chooseBlocks got flags of wanted heads for q ", q.scalar_type(), " ", q.sizes(), " on ",
                q.device(), "; expected bfloat16 with 64 or 128 channels on a card with the kernel");
    return hasScoreKernel(q, scale) ? onCard(q, k, scale, options) : onHost(q, k, scale, options);
}

} // namespace canopy::accel::ops
