#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/formats/qa_model.h"
#include "core/job/ask_request.h"
#include "core/job/memory_plan.h"

namespace canopy {

/// Fills fields left at zero or Auto from the model's record: id, path, frames, pooling, time instruction.
/// Precision, threads and kernel set are the worker's to resolve.
AskRequest withModelDefaults(AskRequest request, const QaModelRecord& model);

/// All that is wrong with a request for this model, one sentence each; empty = it can start. The video itself
/// is not looked at.
std::vector<std::string> checkAsk(const AskRequest& request, const QaModelRecord& model);

/// Cells of one frame and tokens of the whole video under the host's layout, before any selection
/// (token-forest.md 1.5, 1.6). The request's frames and pooling must be filled in.
struct VideoLayout {
    int frames = 0;
    int rows = 0;
    int columns = 0;
    std::int64_t cells = 0;    ///< frames x rows x columns
    std::int64_t newlines = 0; ///< of the unpruned layout
    std::int64_t tokens() const { return cells + newlines; }
};
VideoLayout videoLayout(const QaModelRecord& model, const AskRequest& request);

/// Video tokens that a plan counts with: all for All and modes inside the language model, else the kept
/// cells and every newline of the layout.
std::int64_t plannedVideoTokens(const QaModelRecord& model, const AskRequest& request);

/// Bytes of keys and values of one token over all layers: layers x 2 x kvHeads x headDim x element
/// (token-forest.md 1.10, 1.11).
std::uint64_t kvBytesPerToken(const Qwen2Config& language, int elementBytes);
/// FLOP of a prefill of n tokens, 2 per multiply-add, the causal half of attention:
/// 2 n P + 2 n^2 heads headDim layers (1.11). P = matrices of one token's pass, no embedding.
double prefillFlop(const Qwen2Config& language, std::int64_t tokens);
/// FLOP of the vision tower and projector over `frames` pictures.
double visionFlop(const SiglipConfig& vision, int languageWidth, int frames);

/// Text around the video that plans count with: system block, markers, a short question.
inline constexpr std::int64_t kPlannedTextTokens = 60;

/// Bytes by stage ("vision", "prefill"). Pure; needs frames, precision and device resolved. `videoTokens` are
/// those given to the language model.
MemoryPlan planMemory(const QaModelRecord& model, const AskRequest& request, std::int64_t videoTokens);

} // namespace canopy
