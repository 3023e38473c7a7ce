#include "core/media/av_ptr.h"

#include <algorithm>
#include <mutex>

namespace canopy::media {

void quietFfmpeg() {
    static std::once_flag once;
    std::call_once(once, [] { av_log_set_level(AV_LOG_QUIET); });
}

std::string avErrorText(int code) {
    char text[AV_ERROR_MAX_STRING_SIZE] = {};
    av_strerror(code, text, sizeof text);
    return text;
}

Error avError(ErrorCode code, std::string_view what, int avCode, std::string_view advice) {
    return makeError(code, std::string(what) + " (" + avErrorText(avCode) + "); " + std::string(advice));
}

bool RgbConverter::convert(const AVFrame* frame, std::vector<std::uint8_t>& out) {
    const AVPixFmtDescriptor* descriptor = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame->format));
    if (!descriptor)
        return false;
    const bool isRgb = (descriptor->flags & AV_PIX_FMT_FLAG_RGB) != 0;
    int space = frame->colorspace;
    if (space == AVCOL_SPC_UNSPECIFIED || space == AVCOL_SPC_RGB)
        space = frame->height >= 720 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    // The yuvj formats say full range by their name.
    const bool isYuvj = descriptor->name && std::string_view(descriptor->name).substr(0, 4) == "yuvj";
    const int full = isRgb || isYuvj || frame->color_range == AVCOL_RANGE_JPEG;
    if (!m_scaler || m_width != frame->width || m_height != frame->height || m_format != frame->format ||
        m_space != space || m_range != full) {
        m_scaler.reset(sws_getContext(frame->width, frame->height, static_cast<AVPixelFormat>(frame->format),
                                      frame->width, frame->height, AV_PIX_FMT_RGB24,
                                      SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT |
                                          SWS_FULL_CHR_H_INP,
                                      nullptr, nullptr, nullptr));
        if (!m_scaler)
            return false;
        const int* table = sws_getCoefficients(space);
        sws_setColorspaceDetails(m_scaler.get(), table, full, sws_getCoefficients(SWS_CS_ITU709), 1, 0,
                                 1 << 16, 1 << 16);
        m_width = frame->width;
        m_height = frame->height;
        m_format = frame->format;
        m_space = space;
        m_range = full;
    }
    const std::size_t row = static_cast<std::size_t>(frame->width) * 3;
    const std::size_t height = static_cast<std::size_t>(frame->height);
    const std::size_t stride = (row + 63) / 64 * 64;
    m_padded.resize(stride * height + 64);
    std::uint8_t* planes[4] = {m_padded.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {static_cast<int>(stride), 0, 0, 0};
    if (sws_scale(m_scaler.get(), frame->data, frame->linesize, 0, frame->height, planes, strides) !=
        frame->height)
        return false;
    out.resize(row * height);
    for (std::size_t y = 0; y < height; ++y)
        std::copy_n(m_padded.data() + y * stride, row, out.data() + y * row);
    return true;
}

} // namespace canopy::media
