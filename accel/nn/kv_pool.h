#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "accel/nn/forward_context.h"

namespace canopy::accel {

/// Keys (after norm and RoPE) and values of the chunks of one job, per guidance branch and layer. Owned by
/// the job, allocated once from its memory plan; attention gets views. Rows are grouped by chunk in ascending
/// order; all layers and branches share the row bookkeeping, since every one keeps equally many rows. Home
/// thread: the inference thread. Policies compact between rows of the sampling loop only.
class KvPool {
public:
    /// capacityRows tokens for each of branches x layers, [rows, H, D] of `options`. One branch: that of the
    /// prompt.
    KvPool(int layers, std::int64_t capacityRows, int heads, int headDim, at::TensorOptions options,
           int branches = kBranches);

    struct Range {
        int chunk = 0;
        std::int64_t first = 0; ///< row
        std::int64_t rows = 0;
    };

    /// Reserves rows for a chunk behind those registered before. Throws std::length_error beyond the
    /// capacity.
    void registerChunk(int chunk, std::int64_t rows);
    bool holds(int chunk) const;
    Range range(int chunk) const;
    const std::vector<Range>& ranges() const { return m_ranges; }
    std::int64_t usedRows() const;
    std::int64_t capacityRows() const { return m_capacity; }
    std::uint64_t bytes() const;
    int branches() const { return static_cast<int>(m_keys.size() / m_layers); }

    /// All that is held, per branch x layer: keys and values [usedRows, H, D] (views), origins.
    struct Content {
        std::vector<Range> ranges;
        std::vector<at::Tensor> keys, values, origins;
    };
    Content content() const;
    /// Holds a copy of exactly that. Throws std::invalid_argument where it is of another pool's shape.
    void restore(const Content& content);
    void clear(); ///< forgets all chunks

    /// Overwrites the rows of a chunk: k, v [rows, H, D].
    void write(Branch branch, int layer, int chunk, const at::Tensor& k, const at::Tensor& v);
    /// Views of all rows up to and including `chunk`: [rows, H, D] each.
    std::pair<at::Tensor, at::Tensor> upTo(Branch branch, int layer, int chunk) const;

    /// Token (chunk * tokens of a chunk + offset) that a row came from: int32 [usedRows], one table for all
    /// heads until a compaction keeps different tokens per head; then [H, usedRows].
    const at::Tensor& origin(Branch branch, int layer) const;

    /// Keeps `kept` rows of a chunk: int64 [n] (the same for all heads) or [H, n], relative to the chunk, in
    /// order, one tensor per branch x layer (index branch * layers + layer). Later chunks move up; n must be
    /// equal in all.
    void compact(int chunk, const std::vector<at::Tensor>& kept);
    /// All rows up to and including `chunk` become one range under its number; origins stay.
    void joinUpTo(int chunk);
    /// Forgets a chunk; later ones move up.
    void drop(int chunk);

private:
    std::size_t slot(Branch branch, int layer) const {
        return static_cast<std::size_t>(branch) * m_layers + layer;
    }

    std::size_t m_layers;
    std::int64_t m_capacity;
    std::vector<at::Tensor> m_keys; ///< per branch x layer [capacity, H, D]
    std::vector<at::Tensor> m_values;
    std::vector<at::Tensor> m_origins; ///< per branch x layer, CPU int32
    std::vector<Range> m_ranges;
};

} // namespace canopy::accel
