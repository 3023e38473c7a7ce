#include "accel/nn/causal_conv3d.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/zeros.h>

#include <string>
#include <vector>

#include "accel/ops/linear.h"
#include "accel/weights/weight_reader.h"

namespace canopy::accel {

at::Tensor FrameRing::push(std::int64_t channels, std::int64_t height, std::int64_t width,
                           const at::TensorOptions& options) {
    if (!m_image.defined())
        m_image = at::zeros({1, height, width, kSlots * channels}, options).permute({0, 3, 1, 2});
    TORCH_CHECK(m_image.size(1) == kSlots * channels && m_image.size(2) == height && m_image.size(3) == width,
                "a ring for frames of ", m_image.size(1) / kSlots, " x ", m_image.size(2), " x ",
                m_image.size(3), " got one of ", channels, " x ", height, " x ", width);
    const std::int64_t slot = m_frames++ % kSlots;
    return m_image.narrow(1, slot * channels, channels);
}

void FrameRing::push(const at::Tensor& frame) {
    push(frame.size(1), frame.size(2), frame.size(3), frame.options()).copy_(frame);
}

CausalConv3d::CausalConv3d(WeightReader& weights, std::string_view name, std::int64_t in, std::int64_t out,
                           int window) {
    const std::string base(name);
    m_weight = weights.take(base + ".weight", {out, in, 3, window, window})
                   .transpose(1, 2) // [out, tap, in, window, window]
                   .reshape({out, FrameRing::kSlots * in, window, window})
                   .contiguous(at::MemoryFormat::ChannelsLast);
    m_bias = weights.take(base + ".bias", {out});
}

at::Tensor CausalConv3d::weightFor(std::int64_t newestSlot) const {
    // The tap of time t belongs at the newest frame's slot, and so on around the ring. Copying the weights
    // costs far less than the convolution, and oneDNN lays them out anew for every call anyway.
    const std::int64_t first = (2 - newestSlot) * inChannels();
    if (first == 0)
        return m_weight;
    return at::cat({m_weight.narrow(1, first, m_weight.size(1) - first), m_weight.narrow(1, 0, first)}, 1);
}

at::Tensor CausalConv3d::operator()(const FrameRing& ring) const {
    const at::Tensor weight = weightFor(ring.newestSlot());
    const at::Tensor& image = ring.image();
    if (weight.size(2) == 1)
        return frameOf(ops::linear(pixelsOf(image), weight.view({weight.size(0), weight.size(1)}), m_bias),
                       image.size(2), image.size(3));
    return at::conv2d(image, weight, m_bias, 1, 1);
}

FrameConv2d::FrameConv2d(WeightReader& weights, std::string_view name, std::int64_t in, std::int64_t out) {
    const std::string base(name);
    m_weight = weights.take(base + ".weight", {out, in, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
    m_bias = weights.take(base + ".bias", {out});
}

at::Tensor FrameConv2d::sameSize(const at::Tensor& frame) const {
    return at::conv2d(frame, m_weight, m_bias, 1, 1);
}

at::Tensor FrameConv2d::halfSize(const at::Tensor& frame) const {
    return at::conv2d(at::constant_pad_nd(frame, {0, 1, 0, 1}), m_weight, m_bias, 2);
}

PixelLinear::PixelLinear(WeightReader& weights, std::string_view name, std::int64_t in, std::int64_t out,
                         int ones, Precision precision) {
    const auto take = [&](const char* part, const std::vector<std::int64_t>& shape) {
        const std::string full = std::string(name) + part;
        return precision == Precision::Float32 ? weights.takeFloat(full, shape) : weights.take(full, shape);
    };
    std::vector<std::int64_t> shape = {out, in};
    shape.insert(shape.end(), static_cast<std::size_t>(ones), 1);
    m_weight = take(".weight", shape).reshape({out, in});
    m_bias = take(".bias", {out});
}

at::Tensor PixelLinear::operator()(const at::Tensor& frame) const {
    return frameOf(ops::linear(pixelsOf(frame), m_weight, m_bias), frame.size(2), frame.size(3));
}

at::Tensor pixelsOf(const at::Tensor& frame) {
    return frame.permute({0, 2, 3, 1}).reshape({frame.size(2) * frame.size(3), frame.size(1)});
}

at::Tensor frameOf(const at::Tensor& pixels, std::int64_t height, std::int64_t width) {
    return pixels.reshape({1, height, width, pixels.size(1)}).permute({0, 3, 1, 2});
}

} // namespace canopy::accel
