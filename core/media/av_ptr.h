#pragma once

// Private to core/media: owners of FFmpeg's objects. Not a public header.

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace canopy::media {

/// Calls an FFmpeg function that takes the address of a pointer.
template <auto Free>
struct FreeByAddress {
    template <typename T>
    void operator()(T* p) const {
        Free(&p);
    }
};
template <auto Free>
struct FreeByValue {
    template <typename T>
    void operator()(T* p) const {
        Free(p);
    }
};

using PacketPtr = std::unique_ptr<AVPacket, FreeByAddress<av_packet_free>>;
using FramePtr = std::unique_ptr<AVFrame, FreeByAddress<av_frame_free>>;
using CodecContextPtr = std::unique_ptr<AVCodecContext, FreeByAddress<avcodec_free_context>>;
using FilterGraphPtr = std::unique_ptr<AVFilterGraph, FreeByAddress<avfilter_graph_free>>;
using ScalerPtr = std::unique_ptr<SwsContext, FreeByValue<sws_freeContext>>;
using InputPtr = std::unique_ptr<AVFormatContext, FreeByAddress<avformat_close_input>>;

/// Silences FFmpeg's own printing, once per process; what matters comes back as errors.
void quietFfmpeg();

/// "Invalid data found when processing input".
std::string avErrorText(int code);
Error avError(ErrorCode code, std::string_view what, int avCode, std::string_view advice);

/// Conversion to tightly packed RGB24 by the frame's own matrix and range (unknown: BT.709 from 720 lines on,
/// else BT.601; sRGB formats untouched). The scaler is kept between frames of one format.
class RgbConverter {
public:
    /// `out` becomes frame->width * frame->height * 3 bytes.
    bool convert(const AVFrame* frame, std::vector<std::uint8_t>& out);

private:
    ScalerPtr m_scaler;
    std::vector<std::uint8_t> m_padded; ///< swscale writes whole vectors past the end of a row
    int m_width = 0;
    int m_height = 0;
    int m_format = -1;
    int m_space = -1;
    int m_range = -1;
};

} // namespace canopy::media
