#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <vector>

#include "accel/models/wan/vae_blocks.h"
#include "core/formats/model_config.h"

namespace canopy::accel {

/// Decoder of the Wan 2.1 autoencoder: one latent frame in, then 1 (the first) or 4 video frames out. Owns
/// weights only. h, w = latent size; video frames are 8 h x 8 w.
class VaeDecoder {
public:
    VaeDecoder(const VaeConfig& config, WeightReader& weights);

    VaeStream open(std::stop_token stop, VaeTap tap) const;
    /// latent [1, C, h, w] channels-last, after the post-quant convolution. `emit` gets every finished frame
    /// [1, 3, 8 h, 8 w], not clamped, as soon as it exists. Taps: "conv_in", "mid_block", "up_block<i>".
    using Emit = std::function<void(const at::Tensor& frame)>;
    void push(const at::Tensor& latent, VaeStream& stream, const Emit& emit) const;

    at::Device device() const { return m_convIn.device(); }
    at::ScalarType dtype() const { return m_convIn.dtype(); }

private:
    /// Doubles the number of frames: except for the first frame of all, which passes and is not seen again.
    struct TimeUpsampler {
        CausalConv3d conv; ///< [2 C, C]: the outputs' halves are two neighbouring frames
        std::size_t ring;
    };
    struct Level {
        std::vector<VaeResidualBlock> blocks;
        std::optional<TimeUpsampler> time;
        std::optional<FrameConv2d> space; ///< after doubling rows and columns
    };
    void run(std::size_t level, at::Tensor frame, VaeStream& stream, const Emit& emit) const;
    std::vector<at::Tensor> upsampleTime(const TimeUpsampler& time, const at::Tensor& frame,
                                         VaeStream& stream) const;

    RingNumbers m_numbers;
    CausalConv3d m_convIn;
    std::size_t m_convInRing;
    VaeMidBlock m_mid;
    std::vector<Level> m_levels;
    NormedConv m_head;
};

} // namespace canopy::accel
