#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace canopy::accel {

class WeightReader;

/// The last three input frames of one causal convolution, side by side in the channels of one channels-last
/// image:
///
///   one pixel of memory:   | frame t-2, C values | frame t, C values | frame t-1, C values |     (t = 3 k +
///   1)
///                            slot 0                slot 1              slot 2
///
/// Frame t lies in slot t mod 3, so a new frame overwrites the oldest, nothing moves, and the three time taps
/// of the convolution are one image convolution over 3 C channels whose weights are rotated by t mod 3.
/// Frames before the first one are zeros: the causal padding. This is the whole cache of chunk-wise decoding;
/// one belongs to each causal convolution of each job. Home thread: the inference thread.
class FrameRing {
public:
    static constexpr std::int64_t kSlots = 3;

    /// Where to write the next frame [1, C, H, W] (a view whose pixels stand 3 C elements apart).
    at::Tensor push(std::int64_t channels, std::int64_t height, std::int64_t width,
                    const at::TensorOptions& options);
    /// Copies a frame in.
    void push(const at::Tensor& frame);
    /// Counts a frame that the convolution never sees; its place stays zero.
    void skip() { ++m_frames; }
    /// Keeps its frames there; pushing goes on where the frames are of one device again.
    void moveTo(at::Device device) {
        if (m_image.defined())
            m_image = m_image.to(device);
    }

    const at::Tensor& image() const { return m_image; } ///< [1, 3 C, H, W] channels-last
    std::int64_t newestSlot() const { return (m_frames + kSlots - 1) % kSlots; }
    std::int64_t frames() const { return m_frames; } ///< pushed and skipped

private:
    at::Tensor m_image;
    std::int64_t m_frames = 0;
};

/// Convolution over three frames in time (t-2, t-1, t) and 3x3 or 1x1 in space, stride 1, zero padding that
/// keeps the size; one output frame for the newest input frame. Owns weights only.
class CausalConv3d {
public:
    CausalConv3d() = default;
    /// Takes `name`.weight [out, in, 3, window, window] and `name`.bias. window is 3 or 1.
    CausalConv3d(WeightReader& weights, std::string_view name, std::int64_t in, std::int64_t out, int window);

    at::Tensor operator()(const FrameRing& ring) const; ///< [1, out, H, W] channels-last

    std::int64_t inChannels() const { return m_weight.size(1) / FrameRing::kSlots; }
    at::Device device() const { return m_weight.device(); }
    at::ScalarType dtype() const { return m_weight.scalar_type(); }

private:
    at::Tensor weightFor(std::int64_t newestSlot) const;

    at::Tensor m_weight; ///< [out, 3 in, window, window] channels-last; taps t-2, t-1, t
    at::Tensor m_bias;
};

/// 3x3 convolution of single frames.
class FrameConv2d {
public:
    FrameConv2d() = default;
    /// Takes `name`.weight [out, in, 3, 3] and `name`.bias.
    FrameConv2d(WeightReader& weights, std::string_view name, std::int64_t in, std::int64_t out);

    at::Tensor sameSize(const at::Tensor& frame) const; ///< stride 1, one zero pixel all around
    at::Tensor
    halfSize(const at::Tensor& frame) const; ///< stride 2, one zero row below and one zero column right

private:
    at::Tensor m_weight; ///< [out, in, 3, 3] channels-last
    at::Tensor m_bias;
};

/// 1x1 convolution of single frames: a product over pixels.
class PixelLinear {
public:
    PixelLinear() = default;
    enum class Precision { Weights, Float32 };
    /// Takes `name`.weight, [out, in] with `ones` trailing dimensions of length 1, and `name`.bias; in the
    /// reader's dtype or in float32, which is also the dtype it wants its frames in.
    PixelLinear(WeightReader& weights, std::string_view name, std::int64_t in, std::int64_t out, int ones,
                Precision precision = Precision::Weights);

    at::Tensor operator()(const at::Tensor& frame) const; ///< [1, C, H, W] channels-last in and out
    bool defined() const { return m_weight.defined(); }

private:
    at::Tensor m_weight; ///< [out, in]
    at::Tensor m_bias;
};

/// [1, C, H, W] channels-last as [H W, C] and back, without copying.
at::Tensor pixelsOf(const at::Tensor& frame);
at::Tensor frameOf(const at::Tensor& pixels, std::int64_t height, std::int64_t width);

} // namespace canopy::accel
