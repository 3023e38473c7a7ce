#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <utility>

#include "accel/models/wan/vae_decoder.h"
#include "accel/models/wan/vae_encoder.h"
#include "accel/models/wan/vae_tiling.h"
#include "core/formats/model_config.h"

namespace canopy::accel {

class WeightReader;

/// Wan 2.1 causal 3-D autoencoder, strides 4 x 8 x 8. F latent frames of h x w cells are T = 1 + 4 (F - 1)
/// video frames of H x W = 8 h x 8 w. Frames stream through one after another (VaeStream), so memory does not
/// depend on F; only tiled decoding keeps the clip, as half-precision pixels in host memory. Results do not
/// depend on how many latent frames there are: frame t is the same in every clip that begins alike. Owns
/// weights only. Home thread: the inference thread. A stop throws Cancelled, noticed before each residual
/// block.
class WanVae {
public:
    WanVae(const VaeConfig& config, WeightReader& weights);

    struct DecodeOptions {
        std::stop_token stop;
        std::optional<VaeTiling> tiling;
        /// uint8 RGB [n, H, W, 3] in host memory, in the order of frames: one, then four per latent frame.
        std::function<void(const at::Tensor& rgb)> onFrames;
        /// Latent frames finished, of all tiles together.
        std::function<void(std::int64_t done, std::int64_t total)> onProgress;
        /// "post_quant_conv", VaeDecoder's names, and "pre_clamp": finished frames [1, 3, H, W] before the
        /// clamp to
        /// [-1, 1]. Of tiled decoding only "pre_clamp".
        VaeTap tap;
    };
    /// latents [1, C, F, h, w] as the transformer sees them (normalised), any dtype and device.
    void decode(const at::Tensor& latents, const DecodeOptions& options) const;

    /// A clip that comes in pieces, as it grows: never tiled, and the same bits as decode() of the whole.
    VaeStream beginDecode(std::stop_token stop) const { return m_decoder.open(std::move(stop), {}); }
    /// The next latent frames [1, C, n, h, w]; `onFrames` as in DecodeOptions.
    void decodeNext(const at::Tensor& latents, VaeStream& stream,
                    const std::function<void(const at::Tensor& rgb)>& onFrames) const;
    at::Device device() const { return m_device; }

    struct EncodeOptions {
        std::stop_token stop;
        std::optional<VaeTiling> tiling;
        VaeTap tap; ///< "encoder", "mean", "logvar"; nothing when tiled
    };
    /// video [1, 3, T, H, W] in [-1, 1], T = 1 + 4 k, H and W multiples of 8. Returns the mode of the
    /// posterior, normalised, float32 [1, C, F, h, w] on the weights' device.
    at::Tensor encode(const at::Tensor& video, const EncodeOptions& options) const;

    const VaeConfig& config() const { return m_config; }

private:
    void decodeTiled(const at::Tensor& latents, const DecodeOptions& options) const;
    at::Tensor encodeTiled(const at::Tensor& video, const EncodeOptions& options) const;
    /// Decodes one spatial part; emit gets the frames of each latent frame.
    using EmitFrames = std::function<void(const std::vector<at::Tensor>& frames)>;
    void decodeFrames(const at::Tensor& latents, VaeStream& stream, const EmitFrames& emit) const;

    VaeConfig m_config;
    at::Device m_device;
    at::ScalarType m_dtype;
    at::Tensor m_mean, m_std; ///< [C] float32
    PixelLinear m_postQuant, m_quant;
    VaeDecoder m_decoder;
    VaeEncoder m_encoder;
};

/// [n, 3, H, W] in [-1, 1] (clamped here) to uint8 RGB [n, H, W, 3] in host memory.
at::Tensor toRgb8(const at::Tensor& frames);

} // namespace canopy::accel
