#include "accel/nn/kv_pool.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace canopy::accel {

KvPool::KvPool(int layers, std::int64_t capacityRows, int heads, int headDim, at::TensorOptions options,
               int branches)
    : m_layers(static_cast<std::size_t>(layers))
    , m_capacity(capacityRows) {
    for (std::size_t i = 0; i < m_layers * static_cast<std::size_t>(branches); ++i) {
        m_keys.push_back(at::empty({capacityRows, heads, headDim}, options));
        m_values.push_back(at::empty({capacityRows, heads, headDim}, options));
        m_origins.push_back(at::empty({0}, at::TensorOptions(at::kInt)));
    }
}

std::int64_t KvPool::usedRows() const {
    return m_ranges.empty() ? 0 : m_ranges.back().first + m_ranges.back().rows;
}

std::uint64_t KvPool::bytes() const {
    std::uint64_t sum = 0;
    for (const auto& tensor : m_keys)
        sum += 2 * tensor.nbytes();
    return sum;
}

void KvPool::registerChunk(int chunk, std::int64_t rows) {
    const std::int64_t first = usedRows();
    if (first + rows > m_capacity) {
        throw std::length_error("KV pool: chunk " + std::to_string(chunk) + " needs " + std::to_string(rows) +
                                " rows, " + std::to_string(m_capacity - first) + " of " +
                                std::to_string(m_capacity) + " are free");
    }
    m_ranges.push_back({chunk, first, rows});
    const auto fresh = at::arange(chunk * rows, (chunk + 1) * rows, at::TensorOptions(at::kInt));
    for (auto& origin : m_origins) {
        const auto part = origin.dim() == 2 ? fresh.unsqueeze(0).expand({origin.size(0), rows}) : fresh;
        origin = at::cat({origin, part}, -1);
    }
}

KvPool::Content KvPool::content() const {
    Content content{m_ranges, {}, {}, m_origins};
    for (std::size_t i = 0; i < m_keys.size(); ++i) {
        content.keys.push_back(m_keys[i].narrow(0, 0, usedRows()));
        content.values.push_back(m_values[i].narrow(0, 0, usedRows()));
    }
    return content;
}

void KvPool::restore(const Content& content) {
    const std::size_t slots = m_keys.size();
    std::int64_t rows = 0;
    for (const auto& range : content.ranges) {
        if (range.first != rows || range.rows < 0)
            throw std::invalid_argument("KV pool: ranges with holes");
        rows += range.rows;
    }
    if (rows > m_capacity || content.keys.size() != slots || content.values.size() != slots ||
        content.origins.size() != slots)
        throw std::invalid_argument("KV pool: content of another pool");
    for (std::size_t i = 0; i < slots; ++i) {
        auto shape = m_keys[i].sizes().vec();
        shape.front() = rows;
        for (const auto& saved : {content.keys[i], content.values[i]})
            if (saved.sizes() != at::IntArrayRef(shape) || saved.scalar_type() != m_keys[i].scalar_type())
                throw std::invalid_argument("KV pool: keys of another shape");
        const auto& origin = content.origins[i];
        if (origin.dim() < 1 || origin.dim() > 2 || origin.size(-1) != rows ||
            (origin.dim() == 2 && origin.size(0) != shape[1]) || origin.scalar_type() != at::kInt)
            throw std::invalid_argument("KV pool: origins of another shape");
    }
    m_ranges = content.ranges;
    for (std::size_t i = 0; i < slots; ++i) {
        m_keys[i].narrow(0, 0, rows).copy_(content.keys[i]);
        m_values[i].narrow(0, 0, rows).copy_(content.values[i]);
        m_origins[i] = content.origins[i].cpu().clone();
    }
}

void KvPool::clear() {
    m_ranges.clear();
    for (auto& origin : m_origins)
        origin = at::empty({0}, at::TensorOptions(at::kInt));
}

bool KvPool::holds(int chunk) const {
    return std::any_of(m_ranges.begin(), m_ranges.end(), [&](const Range& r) { return r.chunk == chunk; });
}

KvPool::Range KvPool::range(int chunk) const {
    for (const auto& r : m_ranges) {
        if (r.chunk == chunk)
            return r;
    }
    throw std::out_of_range("KV pool: chunk " + std::to_string(chunk) + " is not registered");
}

void KvPool::write(Branch branch, int layer, int chunk, const at::Tensor& k, const at::Tensor& v) {
    const auto r = range(chunk);
    m_keys[slot(branch, layer)].narrow(0, r.first, r.rows).copy_(k);
    m_values[slot(branch, layer)].narrow(0, r.first, r.rows).copy_(v);
}

std::pair<at::Tensor, at::Tensor> KvPool::upTo(Branch branch, int layer, int chunk) const {
    const auto r = range(chunk);
    const std::int64_t end = r.first + r.rows;
    return {m_keys[slot(branch, layer)].narrow(0, 0, end), m_values[slot(branch, layer)].narrow(0, 0, end)};
}

const at::Tensor& KvPool::origin(Branch branch, int layer) const {
    return m_origins[slot(branch, layer)];
}

void KvPool::compact(int chunk, const std::vector<at::Tensor>& kept) {
    if (kept.size() != m_keys.size())
        throw std::invalid_argument("KV pool: compaction needs one row list per branch and layer");
    const auto r = range(chunk);
    const std::int64_t keptRows = kept.front().size(-1);
    const std::int64_t behind = usedRows() - (r.first + r.rows);
    for (std::size_t i = 0; i < kept.size(); ++i) {
        if (kept[i].size(-1) != keptRows)
            throw std::invalid_argument("KV pool: every branch and layer must keep equally many rows");
        const bool perHead = kept[i].dim() == 2;
        for (auto* pool : {&m_keys[i], &m_values[i]}) {
            const auto rows = pool->narrow(0, r.first, r.rows);
            at::Tensor chosen;
            if (perHead) {
                const auto index = kept[i].to(pool->device()).t().unsqueeze(-1); // [n, H, 1]
                chosen = at::gather(rows, 0, index.expand({keptRows, rows.size(1), rows.size(2)}));
            } else {
                chosen = at::index_select(rows, 0, kept[i].to(pool->device()));
            }
            // The moved part may overlap its target: copy it out first.
            const auto tail = pool->narrow(0, r.first + r.rows, behind).clone();
            pool->narrow(0, r.first, keptRows).copy_(chosen);
            pool->narrow(0, r.first + keptRows, behind).copy_(tail);
        }
        auto origin = m_origins[i];
        if (perHead && origin.dim() == 1)
            origin = origin.unsqueeze(0).expand({kept[i].size(0), origin.size(0)}).contiguous();
        const auto own = origin.narrow(-1, r.first, r.rows);
        const auto index = kept[i].cpu();
        const auto chosen =
            origin.dim() == 2
                ? at::gather(own, 1, perHead ? index : index.unsqueeze(0).expand({own.size(0), keptRows}))
                : at::index_select(own, 0, index);
        m_origins[i] =
            at::cat({origin.narrow(-1, 0, r.first), chosen, origin.narrow(-1, r.first + r.rows, behind)}, -1);
    }
    for (auto& other : m_ranges) {
        if (other.chunk == chunk)
            other.rows = keptRows;
        else if (other.first > r.first)
            other.first -= r.rows - keptRows;
    }
}

void KvPool::joinUpTo(int chunk) {
    const auto r = range(chunk);
    std::erase_if(m_ranges, [&](const Range& other) { return other.first < r.first; });
    m_ranges.front() = {chunk, 0, r.first + r.rows};
}

void KvPool::drop(int chunk) {
    const auto none = at::empty({0}, at::TensorOptions(at::kLong));
    compact(chunk, std::vector<at::Tensor>(m_keys.size(), none));
    std::erase_if(m_ranges, [&](const Range& other) { return other.chunk == chunk; });
}

} // namespace canopy::accel
