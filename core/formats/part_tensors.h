#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/formats/model_config.h"
#include "core/formats/safetensors.h"

namespace canopy {

enum class ModelPart { Transformer, Vae, TextEncoder };
std::string_view modelPartName(ModelPart part); ///< "transformer", "autoencoder", "text encoder"

/// What the tensors of some weight files say about themselves. Only the config of `part` is filled.
struct PartTensors {
    ModelPart part = ModelPart::Transformer;
    KeyLayout layout = KeyLayout::Diffusers;
    std::string prefix; ///< "model.diffusion_model." where a file has one; empty otherwise
    DitConfig dit;      ///< family: SkyReelsDf when there is an fps embedding, WanT2v otherwise
    VaeConfig vae;
    Umt5Config text;
    std::uint64_t parameters = 0; ///< without scales and formats of quantised weights
    std::uint64_t bytes = 0;
    bool holdsTokenizer = false; ///< a `spiece_model` tensor, as ComfyUI's text encoders have it
};

/// Recognises a Wan 2.1 / SkyReels-V2 transformer, a Wan 2.1 autoencoder or a UMT5 encoder by its tensors, in
/// diffusers, original and ComfyUI layouts. Head size 128, as all released transformers have, unless
/// `headDim` says otherwise. Image-to-video models and everything unknown are refused with a sentence.
Result<PartTensors> recognisePart(const Checkpoint& files, int headDim = 128);

/// Tensors that describe how another one is stored, and are no parameters themselves.
bool isStorageTensor(std::string_view name);

/// Eight hexadecimal digits over names, types, shapes and some sampled bytes of data: two trainings of one
/// architecture differ in it.
Result<std::string> shortHash(const Checkpoint& files);

} // namespace canopy
