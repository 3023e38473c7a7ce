#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/formats/qa_model.h"
#include "core/formats/safetensors.h"

namespace canopy {

/// Names in which the weights of one model lie. token-forest.md 1.10.
enum class QaKeyLayout : std::uint8_t {
    HuggingFace, ///< files of the converted releases: `language_model.model.layers.0...`
    Memory,      ///< as recent transformers versions hold and save them: `model.language_model.layers.0...`
    Original,    ///< LLaVA's own: `model.layers.0...`, `model.mm_projector.0...`
};

/// What stands before the common part of each name.
struct QaTensorNames {
    QaKeyLayout layout = QaKeyLayout::HuggingFace;
    std::string vision;          ///< before "embeddings.patch_embedding.weight", "encoder.layers.0..."
    std::string projectorFirst;  ///< before "weight" and "bias"
    std::string projectorSecond; ///< before "weight" and "bias"
    std::string newline;         ///< the whole name
    std::string language;        ///< before "embed_tokens.weight", "layers.0...", "norm.weight"
    std::string head;            ///< the whole name; the tensor may be absent
};

/// Chosen from the tensors, never from file names. Weights of four bits, of another vision tower and of other
/// models are refused with a sentence.
Result<QaTensorNames> qaTensorNames(const Checkpoint& files);

/// What the shapes say. A value they cannot tell is 0: heads of both parts; a part that is not there is -1.
struct QaShapes {
    int patch = 0, visionWidth = 0, visionLayers = 0, visionMlp = 0;
    int positions = 0; ///< patches of one picture
    int vocabulary = 0, width = 0, layers = 0, mlpDim = 0;
    int queryRows = 0, keyRows = 0; ///< heads * headDim, kvHeads * headDim
    bool hasHead = false;
    bool hasNewline = false;
    std::uint64_t visionParameters = 0;
    std::uint64_t languageParameters = 0; ///< projector and newline included
};
/// Shapes of the first block of each part and the number of blocks; a projector or table that does not fit
/// the rest is an error.
Result<QaShapes> qaShapes(const Checkpoint& files, const QaTensorNames& names);

} // namespace canopy
