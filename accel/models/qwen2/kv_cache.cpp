#include "accel/models/qwen2/kv_cache.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <utility>

namespace canopy::accel {

void KvCache::fill(int layer, const at::Tensor& keys, const at::Tensor& values) {
    auto& l = m_layers[static_cast<std::size_t>(layer)];
    const std::int64_t n = keys.size(0);
    l.length = n + m_answerTokens;
    const std::int64_t capacity = l.paddedLength();
    l.room = std::exchange(l.length, n);
    for (auto* tensor : {&l.keys, &l.values}) {
        *tensor = at::empty({keys.size(1), capacity, keys.size(2)}, keys.options());
        tensor->narrow(1, n, capacity - n).zero_();
    }
    l.seenKeys().copy_(keys.transpose(0, 1));
    l.seenValues().copy_(values.transpose(0, 1));
}

void KvCache::append(int layer, const at::Tensor& keys, const at::Tensor& values) {
    auto& l = m_layers[static_cast<std::size_t>(layer)];
    TORCH_CHECK(l.length < l.room, "the key-value cache of layer ", layer, " is full at ", l.length,
                " tokens; expected room for ", m_answerTokens, " answer tokens");
    l.keys.select(1, l.length).copy_(keys[0]);
    l.values.select(1, l.length).copy_(values[0]);
    ++l.length;
}

std::uint64_t KvCache::filledBytes() const {
    std::uint64_t bytes = 0;
    for (const auto& l : m_layers) {
        if (l.keys.defined())
            bytes += l.seenKeys().nbytes() + l.seenValues().nbytes();
    }
    return bytes;
}

std::vector<int> KvCache::lengths() const {
    std::vector<int> result;
    for (const auto& l : m_layers)
        result.push_back(static_cast<int>(l.length));
    return result;
}

} // namespace canopy::accel
