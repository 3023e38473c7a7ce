#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <variant>
#include <vector>

#include "accel/models/wan/vae_blocks.h"
#include "core/formats/model_config.h"

namespace canopy::accel {

/// Encoder of the Wan 2.1 autoencoder: video frames in, a latent frame out after the first one and then after
/// every fourth. Owns weights only.
class VaeEncoder {
public:
    VaeEncoder(const VaeConfig& config, WeightReader& weights);

    VaeStream open(std::stop_token stop, VaeTap tap) const;
    /// frame [1, 3, H, W] channels-last in [-1, 1]. Returns [1, 2 C, H / 8, W / 8] (before the quant
    /// convolution) or an undefined tensor while more frames are needed. Tap: "encoder".
    at::Tensor push(const at::Tensor& frame, VaeStream& stream) const;

private:
    struct Downsampler {
        FrameConv2d space;
        std::optional<CausalConv3d> time; ///< every second frame after the first, which passes unchanged
        std::size_t ring = 0;
        at::Tensor operator()(const at::Tensor& frame, VaeStream& stream) const; ///< undefined: nothing yet
    };

    RingNumbers m_numbers;
    CausalConv3d m_convIn;
    std::size_t m_convInRing;
    std::vector<std::variant<VaeResidualBlock, Downsampler>> m_down;
    VaeMidBlock m_mid;
    NormedConv m_head;
};

} // namespace canopy::accel
