#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string_view>
#include <vector>

#include "accel/models/qwen2/qwen2.h"
#include "core/formats/byte_bpe.h"
#include "core/job/answer.h"

namespace canopy::accel {

/// Probabilities that the first token's logits (float32 [V]) say: top ten over the whole vocabulary, and
/// those of `letters` (ids, one per option) among themselves. Written into the answer.
void readFirstToken(const at::Tensor& logits, const BpeTokenizer& tokenizer,
                    const std::vector<std::int32_t>& letters, Answer& answer);

struct DecodeCall {
    std::vector<std::int32_t> stopIds;
    std::int64_t maxTokens = 1;                        ///< the stop token counts; at least 1
    std::function<void()> firstToken;                  ///< once its id is known
    std::function<void(std::string_view)> words;       ///< text to be appended, whole characters
    std::function<void(std::int64_t tokens)> progress; ///< after each token
    std::stop_token stop;
};

/// Greedy decoding from the prompt's last logits. Fills ids, text and stop of the answer. Throws NumericError
/// when logits hold NaN or +infinity, Cancelled between layers.
void decodeAnswer(const Qwen2& language, at::Tensor logits, KvCache& cache, const BpeTokenizer& tokenizer,
                  const DecodeCall& call, Answer& answer);

} // namespace canopy::accel
