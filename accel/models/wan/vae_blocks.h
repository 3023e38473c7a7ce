#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "accel/nn/causal_conv3d.h"

namespace canopy::accel {

class WeightReader;

/// Sees named intermediates, one frame [1, C, H, W] at a time and in the order of frames.
using VaeTap = std::function<void(std::string_view name, const at::Tensor& frame)>;

/// What one pass over a clip remembers between frames: a ring per causal convolution. Frames go through the
/// whole network one after another, so this and the intermediates of one frame are all the memory there is,
/// however long the clip. Home thread: the inference thread.
struct VaeStream {
    std::vector<FrameRing> rings;
    std::stop_token stop;
    VaeTap tap;

    void see(std::string_view name, const at::Tensor& frame) const {
        if (tap)
            tap(name, frame);
    }
    /// Between two pieces of a clip the frames may lie where memory is cheaper.
    void moveTo(at::Device device) {
        for (FrameRing& ring : rings)
            ring.moveTo(device);
    }
};

/// Gives every causal convolution of an encoder or decoder its place in VaeStream::rings.
class RingNumbers {
public:
    std::size_t next() { return m_next++; }
    std::size_t count() const { return m_next; }

private:
    std::size_t m_next = 0;
};

/// Gain of an RMS norm over channels with sqrt(channels) multiplied in, as ops::pixelNorm wants it; stored
/// with `ones` trailing dimensions of length 1.
at::Tensor takePixelGain(WeightReader& weights, const std::string& name, std::int64_t channels, int ones);

/// Norm, SiLU and a causal convolution: two thirds of all work.
class NormedConv {
public:
    NormedConv(WeightReader& weights, const std::string& norm, const std::string& conv, std::int64_t in,
               std::int64_t out, RingNumbers& numbers);
    at::Tensor operator()(const at::Tensor& frame, VaeStream& stream) const;

private:
    at::Tensor m_gain;
    CausalConv3d m_conv;
    std::size_t m_ring;
};

/// x + conv(silu(norm(conv(silu(norm(x)))))), with a 1x1 convolution around it where the width changes.
class VaeResidualBlock {
public:
    VaeResidualBlock(WeightReader& weights, const std::string& name, std::int64_t in, std::int64_t out,
                     RingNumbers& numbers);
    at::Tensor operator()(const at::Tensor& frame, VaeStream& stream) const; ///< checks the stop token first

private:
    NormedConv m_first, m_second;
    PixelLinear m_shortcut;
};

/// Self-attention of one head over the pixels of one frame.
class VaeAttentionBlock {
public:
    VaeAttentionBlock(WeightReader& weights, const std::string& name, std::int64_t channels);
    at::Tensor operator()(const at::Tensor& frame, VaeStream& stream) const;

private:
    at::Tensor m_gain;
    PixelLinear m_qkv, m_projection;
};

/// Residual block, attention, residual block.
class VaeMidBlock {
public:
    VaeMidBlock(WeightReader& weights, const std::string& name, std::int64_t channels, RingNumbers& numbers);
    at::Tensor operator()(const at::Tensor& frame, VaeStream& stream) const;

private:
    VaeResidualBlock m_first;
    VaeAttentionBlock m_attention;
    VaeResidualBlock m_second;
};

} // namespace canopy::accel
