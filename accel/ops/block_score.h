#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "accel/ops/attention.h"

namespace canopy::accel::ops {

struct BlockScoreOptions {
    std::optional<double> scale; ///< 1 / sqrt(D) when absent
    std::int64_t stride = 8;     ///< S of the estimate, 8 or 16
    at::Tensor tau;              ///< float32 [H] on q's device; 1 or more keeps every block of a head
    /// Instead of tau: every row keeps that many best blocks, 1 or more, all where there are fewer.
    std::optional<std::int64_t> keptBlocks;
    bool keepsFirst = true;     ///< key block 0 is always chosen
    bool keepsDiagonal = false; ///< and the query block's own
    bool wantsWeights = false;
    /// With both, on a card with the kernel: heads whose `wanted` is false keep their lists of `previous`,
    /// which this function made; its tensors are written over. The host learns nothing of the flags.
    at::Tensor wanted; ///< bool [B * H] on q's device
    std::optional<CardKeyLists> previous;
    /// CPU kernels only; the best one when absent.
    std::optional<kernels::KernelSet> kernelSet;
};

struct BlockChoice {
    /// Lists alone, for attention(): on the card where the kernel made them, else on the CPU.
    AttentionOptions lists;
    at::Tensor weights; ///< float32 [B, H, blocks, blocks] of reference::blockWeights, where asked for
};

/// Whether chooseBlocks() leaves everything on the card for q.
bool choosesOnCard(const at::Tensor& q);

/// Chooses blocks of 128 keys for every block of 128 queries by the antidiagonal estimate of
/// reference/block_score.h: the shortest prefix by falling weight, ties by number, that reaches tau of the
/// row's sum, or a fixed number of them. q and k [B, L, H, D]. At least one block a row.
///
/// CUDA: our kernels on a Hopper card for bfloat16 with D 64 or 128 and at most 1,024 blocks; nothing comes
/// back to the host. CPU: our kernels for float32 and bfloat16 with D a multiple of 8. Otherwise the
/// reference. Throws c10::Error on arguments that do not fit together.
BlockChoice chooseBlocks(const at::Tensor& q, const at::Tensor& k, const BlockScoreOptions& options);

} // namespace canopy::accel::ops
