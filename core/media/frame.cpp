#include "core/media/frame.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "core/media/av_ptr.h"
#include "core/media/pil_resize.h"

namespace canopy::media {
namespace {

/// Scales the part of `frame` that starts at (left, top) and is cropWidth x cropHeight.
Frame scaled(const Frame& frame, int left, int top, int cropWidth, int cropHeight, int width, int height) {
    assert(frame.rgb.size() == frame.byteCount());
    Frame out{width, height, frame.ptsNanos, {}};
    out.rgb.resize(out.byteCount());
    // Area averaging when it gets smaller (no aliasing), bicubic when larger.
    const bool smaller = width < cropWidth || height < cropHeight;
    const ScalerPtr scaler(sws_getContext(
        cropWidth, cropHeight, AV_PIX_FMT_RGB24, width, height, AV_PIX_FMT_RGB24,
        (smaller ? SWS_AREA : SWS_BICUBIC) | SWS_ACCURATE_RND | SWS_BITEXACT, nullptr, nullptr, nullptr));
    if (!scaler) {
        // swscale refuses extreme proportions, which a damaged stream can bring along.
        std::vector<std::uint8_t> part;
        part.reserve(static_cast<std::size_t>(cropWidth) * static_cast<std::size_t>(cropHeight) * 3);
        for (int y = top; y < top + cropHeight; ++y) {
            const auto row = frame.rgb.begin() + (static_cast<std::ptrdiff_t>(y) * frame.width + left) * 3;
            part.insert(part.end(), row, row + static_cast<std::ptrdiff_t>(cropWidth) * 3);
        }
        out.rgb = pilBicubic(part, cropWidth, cropHeight, width, height);
        return out;
    }
    const std::uint8_t* from[4] = {
        frame.rgb.data() + (static_cast<std::size_t>(top) * static_cast<std::size_t>(frame.width) +
                            static_cast<std::size_t>(left)) *
                               3,
        nullptr, nullptr, nullptr};
    const int fromStride[4] = {frame.width * 3, 0, 0, 0};
    // swscale writes whole vectors: the last row may spill past a tight buffer, so scale into a padded one.
    const int stride = (width * 3 + 63) / 64 * 64;
    std::vector<std::uint8_t> padded(static_cast<std::size_t>(stride) * static_cast<std::size_t>(height) +
                                     64);
    std::uint8_t* to[4] = {padded.data(), nullptr, nullptr, nullptr};
    const int toStride[4] = {stride, 0, 0, 0};
    sws_scale(scaler.get(), from, fromStride, 0, cropHeight, to, toStride);
    for (int y = 0; y < height; ++y)
        std::copy_n(padded.data() + static_cast<std::ptrdiff_t>(y) * stride, width * 3,
                    out.rgb.data() + static_cast<std::ptrdiff_t>(y) * width * 3);
    return out;
}

} // namespace

Frame resizedToFill(const Frame& frame, int width, int height) {
    const double scale = std::max(double(width) / frame.width, double(height) / frame.height);
    const int cropWidth = std::clamp(static_cast<int>(std::lround(width / scale)), 1, frame.width);
    const int cropHeight = std::clamp(static_cast<int>(std::lround(height / scale)), 1, frame.height);
    return scaled(frame, (frame.width - cropWidth) / 2, (frame.height - cropHeight) / 2, cropWidth,
                  cropHeight, width, height);
}

Frame resizedToFit(const Frame& frame, int maxSide) {
    const double scale = double(maxSide) / std::max(frame.width, frame.height);
    if (scale >= 1)
        return frame;
    return scaled(frame, 0, 0, frame.width, frame.height, std::max(1, static_cast<int>(frame.width * scale)),
                  std::max(1, static_cast<int>(frame.height * scale)));
}

} // namespace canopy::media
