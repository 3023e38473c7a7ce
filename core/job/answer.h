#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/job/ask_request.h"

namespace canopy {

/// What a question came to. Times in seconds, bytes measured from the real tensors unless "planned".
struct Answer {
    enum class Stop : std::uint8_t { EndOfText, Length };

    AskRequest request; ///< resolved
    std::string text;
    std::vector<std::int32_t> ids;
    Stop stop = Stop::EndOfText;

    /// First answer token: probabilities over the option letters (softmax over those letters' logits), one
    /// per option; empty without options.
    std::vector<double> letterProbabilities;
    /// The ten likeliest first tokens over the whole vocabulary.
    struct TopToken {
        std::int32_t id;
        std::string text;
        double probability;
        bool operator==(const TopToken&) const = default;
    };
    std::vector<TopToken> top;

    int frames = 0;
    int cells = 0;               ///< video tokens before selection, newlines not counted
    int videoTokens = 0;         ///< given to the language model, newlines counted
    int unprunedTokens = 0;      ///< the same without selection
    int promptTokens = 0;        ///< whole sequence at the first layer
    bool featuresCached = false; ///< vision features came from an earlier question on the same frames

    double loadSeconds = 0, visionSeconds = 0, projectSeconds = 0, selectSeconds = 0, prefillSeconds = 0;
    double firstWordSeconds = 0; ///< frames in memory -> first token id, without loading the model
    double decodeSeconds = 0;    ///< of all later tokens
    double decodeTokensPerSecond = 0;

    std::uint64_t kvBytes = 0;        ///< of the prompt's keys and values, summed over layers
    std::uint64_t plannedKvBytes = 0; ///< by the arithmetic of token-forest.md 1.10
    std::uint64_t peakBytes = 0;
    std::uint64_t plannedBytes = 0;
    double prefillFlop = 0; ///< 2 n P + 2 n^2 heads headDim layers (1.11), summed over layers where n varies
    double visionFlop = 0;

    bool operator==(const Answer&) const = default;
};

Value toValue(const Answer& answer);
Result<Answer> answerFromValue(const Value& value);

} // namespace canopy
