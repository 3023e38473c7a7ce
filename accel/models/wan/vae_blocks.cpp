#include "accel/models/wan/vae_blocks.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <cmath>

#include "accel/ops/pixel_norm.h"
#include "accel/runtime/cancelled.h"
#include "accel/weights/weight_reader.h"

namespace canopy::accel {

at::Tensor takePixelGain(WeightReader& weights, const std::string& name, std::int64_t channels, int ones) {
    std::vector<std::int64_t> shape = {channels};
    shape.insert(shape.end(), static_cast<std::size_t>(ones), 1);
    return weights.takeFloat(name, shape).reshape({channels}).mul(std::sqrt(static_cast<double>(channels)));
}

NormedConv::NormedConv(WeightReader& weights, const std::string& norm, const std::string& conv,
                       std::int64_t in, std::int64_t out, RingNumbers& numbers)
    : m_gain(takePixelGain(weights, norm + ".gamma", in, 3))
    , m_conv(weights, conv, in, out, 3)
    , m_ring(numbers.next()) {}

at::Tensor NormedConv::operator()(const at::Tensor& frame, VaeStream& stream) const {
    FrameRing& ring = stream.rings[m_ring];
    ops::pixelNorm(frame, m_gain, true,
                   ring.push(frame.size(1), frame.size(2), frame.size(3), frame.options()));
    return m_conv(ring);
}

VaeResidualBlock::VaeResidualBlock(WeightReader& weights, const std::string& name, std::int64_t in,
                                   std::int64_t out, RingNumbers& numbers)
    : m_first(weights, name + ".norm1", name + ".conv1", in, out, numbers)
    , m_second(weights, name + ".norm2", name + ".conv2", out, out, numbers) {
    if (in != out)
        m_shortcut = PixelLinear(weights, name + ".conv_shortcut", in, out, 3);
}

at::Tensor VaeResidualBlock::operator()(const at::Tensor& frame, VaeStream& stream) const {
    throwIfStopped(stream.stop);
    at::Tensor out = m_second(m_first(frame, stream), stream);
    return out.add_(m_shortcut.defined() ? m_shortcut(frame) : frame);
}

VaeAttentionBlock::VaeAttentionBlock(WeightReader& weights, const std::string& name, std::int64_t channels)
    : m_gain(takePixelGain(weights, name + ".norm.gamma", channels, 2))
    , m_qkv(weights, name + ".to_qkv", channels, 3 * channels, 2)
    , m_projection(weights, name + ".proj", channels, channels, 2) {}

at::Tensor VaeAttentionBlock::operator()(const at::Tensor& frame, VaeStream& stream) const {
    throwIfStopped(stream.stop);
    const std::int64_t channels = frame.size(1);
    const at::Tensor normed = at::empty_like(frame);
    ops::pixelNorm(frame, m_gain, false, normed);
    const at::Tensor qkv = pixelsOf(m_qkv(normed)).unsqueeze(0).unsqueeze(0); // [1, 1, H W, 3 C]
    const at::Tensor attended = at::scaled_dot_product_attention(
        qkv.narrow(3, 0, channels), qkv.narrow(3, channels, channels), qkv.narrow(3, 2 * channels, channels));
    return m_projection(frameOf(attended[0][0], frame.size(2), frame.size(3))).add_(frame);
}

VaeMidBlock::VaeMidBlock(WeightReader& weights, const std::string& name, std::int64_t channels,
                         RingNumbers& numbers)
    : m_first(weights, name + ".resnets.0", channels, channels, numbers)
    , m_attention(weights, name + ".attentions.0", channels)
    , m_second(weights, name + ".resnets.1", channels, channels, numbers) {}

at::Tensor VaeMidBlock::operator()(const at::Tensor& frame, VaeStream& stream) const {
    return m_second(m_attention(m_first(frame, stream), stream), stream);
}

} // namespace canopy::accel
