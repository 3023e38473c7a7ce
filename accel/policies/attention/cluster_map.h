#pragma once

#include <ATen/core/Tensor.h>

namespace canopy::accel {

/// Mass that each key cluster would hold for a query cluster if its keys all equalled their centre:
/// P[i, j] = s_j exp(c_q[i] . c_k[j] / sqrt(D)) / sum_l s_l exp(c_q[i] . c_k[l] / sqrt(D)), s the sizes; 0
/// for empty clusters, which do not enter the softmax's maximum either. Centres [C_q, D] and [C_k, D]
/// float32, sizes [C_k]. Returns float32 [C_q, C_k]. sparse-attention.md 3.3.
at::Tensor clusterProbabilities(const at::Tensor& queryCentres, const at::Tensor& keyCentres,
                                const at::Tensor& keySizes);

/// Key clusters that every query cluster keeps: those before which (by falling mass, then by number) the mass
/// is at most `p`, and in any case the best floor(minimumShare C_k). p of 1 or more keeps all. Returns uint8
/// [C_q, C_k] on the CPU.
at::Tensor clusterMap(const at::Tensor& probabilities, double p, double minimumShare);

} // namespace canopy::accel
