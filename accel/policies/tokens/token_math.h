#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace canopy::accel {

// Tensor steps that several rivals share. All float32, on the tensors' device, without waiting for it, and
// with equal results in every run: ties go to the lower index, sums are products with 0/1 matrices.

/// x / |x| along the last dimension; zero rows stay zero.
at::Tensor unitRows(const at::Tensor& x);

/// a b^T for rows [m, D] and [n, D]: float32 [m, n].
at::Tensor rowProducts(const at::Tensor& a, const at::Tensor& b);

/// Index of the largest entry along the last dimension, the lowest of equal ones: int64.
at::Tensor firstArgmax(const at::Tensor& x);

/// The `count` largest entries along the last dimension: int64 indices, ascending; equal ones: lower index.
at::Tensor largest(const at::Tensor& x, std::int64_t count);

/// Indices 0..n-1 that `chosen` int64 [..., m] (ascending) does not hold: int64 [..., n - m], ascending.
at::Tensor others(const at::Tensor& chosen, std::int64_t n);

/// Members of each of m groups. `group` int64 [S] names one for each row of `rows` [S, D].
struct GroupMeans {
    at::Tensor means; ///< [m, D]; zero for an empty group
    at::Tensor count; ///< float32 [m, 1]
};
GroupMeans groupMeans(const at::Tensor& rows, const at::Tensor& group, std::int64_t groups);

/// Density peaks (Du, Ding, Jia 2016; as FastVID and HoliTom use them, token-forest.md 3.2, 3.3) of n points
/// in each batch entry.
struct DensityPeaks {
    at::Tensor distance; ///< [..., n, n], Euclidean / sqrt(D)
    /// [..., n]: exp(-mean of the squared distances to the nearest `neighbours` points, itself included)
    /// times the distance to the nearest denser point, or the largest distance where none is denser.
    at::Tensor score;
};
DensityPeaks densityPeaks(const at::Tensor& points, std::int64_t neighbours);

} // namespace canopy::accel
