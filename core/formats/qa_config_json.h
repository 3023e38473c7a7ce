#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/formats/qa_model.h"

namespace canopy {

/// What a published config.json says. Sizes that it leaves out are 0: the tensors tell those.
struct QaConfig {
    QaFamily family = QaFamily::LlavaOneVision;
    SiglipConfig vision{0, 0, 0, 0, 0, 0, 1e-6}; ///< layers: blocks that are run
    int visionLayersStored = 0;                  ///< num_hidden_layers: blocks that the file may hold
    Qwen2Config language;
    HostPooling pooling = HostPooling::Bilinear;
    HostNewlines newlines = HostNewlines::OneToken;
    bool timeInstruction = false;
    bool forceFrames = true;
    std::vector<std::int32_t> stopIds; ///< eos_token_id, where it stands there
    std::string towerName;             ///< original layout: "google/siglip-so400m-patch14-384"
};

/// Whether a config.json names one of the two classes that are read: LlavaOnevisionForConditionalGeneration
/// and LlavaQwenForCausalLM.
bool isQaConfig(const Value& json);
/// Either class, in the spelling of old and new versions. What would be computed another way than here is
/// refused with a sentence: other towers, projectors, language models, rotary scalings, feature choices.
Result<QaConfig> parseQaConfig(const Value& json);

/// Mean and deviation per channel; expects bicubic resizing to a square of `imageSize` pixels.
Result<void> readQaPreprocessor(const Value& json, int imageSize, std::vector<double>& mean,
                                std::vector<double>& std);

/// `canopy.json`, version 1, kind "video-question-answering": every key is known and has its type, or the
/// file is refused. Keys that it leaves out keep their value.
Result<void> readQaDefaults(const Value& json, QaDefaults& defaults);

} // namespace canopy
