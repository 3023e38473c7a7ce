#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace canopy::accel::reference {

/// Tokens per block of queries and of keys.
constexpr std::int64_t kScoreBlock = 128;

/// Antidiagonal estimate of attention's mass per block of keys (XAttention, arXiv 2503.16428), float32. With
/// cells of `stride` = S tokens, R[m, n] = sum_i q[m S + S - 1 - i] . k[n S + i], P = softmax_n(scale R / S)
/// and A[I, J] the sum of P over the cells of query block I and key block J. A last cell that is not full
/// counts its missing tokens as 0. q and k [B, L, H, D], any floating dtype. Returns A [B, H, blocks,
/// blocks]; row I sums to its number of cells.
at::Tensor blockWeights(const at::Tensor& q, const at::Tensor& k, double scale, std::int64_t stride);

} // namespace canopy::accel::reference
