#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "accel/pipelines/loaded_qa_model.h"
#include "accel/policies/tokens/token_policies.h"
#include "accel/runtime/ask_observer.h"
#include "core/job/answer.h"
#include "core/job/ask_request.h"
#include "core/job/token_run.h"

namespace canopy::accel {

struct AnswerOptions {
    /// Chooses the tokens; makeTokenPolicy() when empty.
    std::function<TokenPolicy(const TokenSettings&)> policy;
    std::function<void()> synchronize;       ///< waits for the device before a time is taken; may be empty
    std::function<void()> pace;              ///< after each layer of the language model; may be empty
    std::function<void()> releaseMemory;     ///< returns cached memory between stages; may be empty
    std::function<std::uint64_t()> takePeak; ///< peak bytes since the last call; may be empty
};

struct AnswerResult {
    Answer answer; ///< plannedBytes is the engine's to fill; without a question no text and no ids
    TokenRun run;
};

/// Frames and question to an answer: vision tower, token selection, prefill, greedy decoding. `request` is
/// resolved (no field at Auto or zero) and names a frames file. An empty question ends after the selection.
/// Features of the same frames are reused (model.features()); FastV and FrameFusion need a question, since
/// they choose inside the language model.
///
/// Throws JobError (a frames file that does not fit the model, more tokens than the model has positions),
/// NumericError, Cancelled and LibTorch's errors.
AnswerResult answerVideo(LoadedQaModel& model, AskRequest& request, const AnswerOptions& options,
                         AskObserver& observer, const std::stop_token& stop);

/// Cosine of one cell's feature with every cell's, [frames x rows x columns], from the cached features of the
/// request's frames or, where they have left the cache, from the tower.
std::vector<float> cellSimilarity(LoadedQaModel& model, const AskRequest& request, int cell,
                                  const std::stop_token& stop);

} // namespace canopy::accel
