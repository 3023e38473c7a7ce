#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace canopy::accel {

class KvPool;

/// Which queries of the last computed chunk say what is important: its last 50 tokens, its last frame, or
/// all.
enum class ObservedQueries { Tokens, Frame, Chunk };
/// What is kept or dropped as one.
enum class KeptUnit { Token, Frame, Chunk };
/// Weight of a key by its place among the clean ones, oldest first.
enum class PositionWeighting { None, HardCode, Exponential, Polynomial, UpperConvex, Gaussian };

struct KvCompressionSettings {
    double lambda = 0.07; ///< share of importance; the rest is redundancy
    int poolKernel = 7;   ///< odd; importance spreads to neighbours
    ObservedQueries queries = ObservedQueries::Chunk;
    KeptUnit unit = KeptUnit::Token;
    PositionWeighting weighting = PositionWeighting::None; ///< of single tokens only
    std::int64_t frameTokens = 0;
    std::int64_t chunkTokens = 0;
};

// L = keys of clean chunks, Lq = queries, H = heads of keys, Hq = heads of queries (a multiple of H), D =
// head dim. Keys and queries after norm and RoPE. Equations: flow-cache.md 4.1. Results are float32.

/// Queries [n, Hq, D] that are looked at, of a chunk's [Lq, Hq, D].
at::Tensor observedQueries(const at::Tensor& queries, const KvCompressionSettings& settings);
/// Mean attention that each key [L, H, D] receives: [H, L]. Logits take the maximum over the query heads of a
/// key head; tiles of queries keep the memory at O(L).
at::Tensor keyImportance(const at::Tensor& queries, const at::Tensor& keys);
/// Mean cosine to the other keys, diagonal zero: [H, L] in O(L D).
at::Tensor meanCosine(const at::Tensor& keys);
/// lambda * pooled importance - (1 - lambda) * softmax(mean cosine): [H, L].
at::Tensor keyScores(const at::Tensor& queries, const at::Tensor& keys,
                     const KvCompressionSettings& settings);
/// The best `budget` keys per head, ascending: int64 [H, budget]. Throws std::invalid_argument for a budget
/// beyond L, or one that is no whole number of units.
at::Tensor keptKeys(const at::Tensor& scores, std::int64_t budget, const KvCompressionSettings& settings);

/// Squeezes chunks up to and including `lastClean` into `budget` rows, per branch, layer and head; their rows
/// then count as chunk `lastClean`. `queries`: [Lq, Hq, D] of the last computed chunk per branch x layer
/// (index branch * layers + layer); an undefined one (a branch that does not run) keeps what the first branch
/// keeps. Between rows of the sampling loop only.
void compressClean(KvPool& pool, int lastClean, std::int64_t budget, int layers,
                   const std::vector<at::Tensor>& queries, const KvCompressionSettings& settings);
/// The plain alternative: forgets all chunks before the newest `chunks` of those up to `lastClean`.
void keepWindow(KvPool& pool, int lastClean, int chunks);

} // namespace canopy::accel
