#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy {
class Checkpoint;
}

namespace canopy::accel {

/// Hands a model part its tensors under canonical names (diffusers' for transformer and autoencoder,
/// transformers' for text encoders, its files' for video question answering), whatever layout the files use:
/// diffusers, original Wan / SkyReels-V2, original LLaVA, ComfyUI single files with fp8-scaled weights, 8-bit
/// rows as bitsandbytes writes them. Strict: what is
/// missing, of another shape or left over is collected and reported once by finish(); nothing is half-loaded.
///
/// Home thread: the inference thread. A cancelled load throws Cancelled (accel/runtime/cancelled.h) between
/// tensors.
class WeightReader {
public:
    enum class Part { Transformer, Vae, TextEncoder, VideoQa };

    WeightReader(const Checkpoint& files, Part part, at::Device device, at::ScalarType dtype,
                 std::stop_token stop);
    ~WeightReader();

    /// True when the checkpoint has this canonical name.
    bool has(std::string_view name) const;
    /// Tensor of exactly this shape in the reader's dtype on its device. When it is missing or misshapen the
    /// difference is noted and zeros of the wanted shape come back, so that one report names everything.
    at::Tensor take(std::string_view name, at::IntArrayRef shape);
    /// The same in float32: norms, modulation, embeddings of time.
    at::Tensor takeFloat(std::string_view name, at::IntArrayRef shape);
    /// Takes only what is there; an undefined tensor otherwise.
    at::Tensor takeOptional(std::string_view name, at::IntArrayRef shape);
    /// Names that start so may be there and are not read: blocks that a host does not run.
    void ignoreUnder(std::string_view prefix);

    /// Mismatch with the first ten differences of each kind (missing, shape, unexpected), expected against
    /// found; Malformed with the names of tensors that hold NaN or infinity.
    Result<void> finish() const;

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace canopy::accel
