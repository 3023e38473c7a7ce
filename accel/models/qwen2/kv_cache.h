#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "accel/nn/rotary.h"

namespace canopy::accel {

/// Keys (after the rotary embedding) and values of one sequence. Each layer has a length of its own: methods
/// that shorten the sequence inside the model leave more tokens in the layers that ran before. Memory is
/// taken once per layer, for the prompt and the answer that may follow. State of one job; copies share it.
class KvCache {
public:
    /// Products over a layer's keys may run over a multiple of so many: oneDNN prepares a product for each
    /// new size, which takes longer than the product of a single token.
    static constexpr std::int64_t kPadding = 64;

    struct Layer {
        at::Tensor keys;   ///< [kvHeads, capacity, D], capacity a multiple of kPadding; zeros behind `length`
        at::Tensor values; ///< [kvHeads, capacity, D]
        std::int64_t length = 0;
        std::int64_t room = 0; ///< tokens that may be there

        at::Tensor seenKeys() const { return keys.narrow(1, 0, length); }
        at::Tensor seenValues() const { return values.narrow(1, 0, length); }
        std::int64_t paddedLength() const { return (length + kPadding - 1) / kPadding * kPadding; }
    };

    /// `answerTokens`: how many tokens may be appended after the prompt.
    KvCache(int layers, std::int64_t answerTokens)
        : m_layers(static_cast<std::size_t>(layers))
        , m_answerTokens(answerTokens) {}

    /// The prompt's keys and values of a layer, [n, kvHeads, D] each.
    void fill(int layer, const at::Tensor& keys, const at::Tensor& values);
    /// One token's, [1, kvHeads, D].
    void append(int layer, const at::Tensor& keys, const at::Tensor& values);

    const Layer& layer(int index) const { return m_layers[static_cast<std::size_t>(index)]; }
    std::int64_t answerTokens() const { return m_answerTokens; }
    /// Bytes of the keys and values that are filled, over all layers.
    std::uint64_t filledBytes() const;
    std::vector<int> lengths() const;

    /// Rotary angles of the answer's tokens, row by row; set by the prefill.
    RotaryTable answerAngles;
    std::int64_t answered = 0; ///< tokens appended since the prompt

private:
    std::vector<Layer> m_layers;
    std::int64_t m_answerTokens;
};

} // namespace canopy::accel
