#include "core/media/png_writer.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "core/base/files.h"
#include "core/media/av_ptr.h"

namespace canopy::media {

Result<std::vector<std::uint8_t>> encodePng(const Frame& frame) {
    quietFfmpeg();
    if (frame.width <= 0 || frame.height <= 0 || frame.rgb.size() != frame.byteCount())
        return makeError(ErrorCode::Internal, "A picture of " + std::to_string(frame.width) + "x" +
                                                  std::to_string(frame.height) + " pixels came with " +
                                                  std::to_string(frame.rgb.size()) + " bytes.");
    const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    CodecContextPtr context(avcodec_alloc_context3(codec));
    FramePtr picture(av_frame_alloc());
    PacketPtr packet(av_packet_alloc());
    if (!codec || !context || !picture || !packet)
        return makeError(ErrorCode::Internal, "FFmpeg was built without PNG; install Debian's libavcodec.");
    context->width = frame.width;
    context->height = frame.height;
    context->pix_fmt = AV_PIX_FMT_RGB24;
    context->time_base = {1, 1};
    context->compression_level = 4;
    picture->width = frame.width;
    picture->height = frame.height;
    picture->format = AV_PIX_FMT_RGB24;
    int code = avcodec_open2(context.get(), codec, nullptr);
    if (code >= 0)
        code = av_frame_get_buffer(picture.get(), 0);
    if (code >= 0) {
        const std::size_t row = static_cast<std::size_t>(frame.width) * 3;
        for (int y = 0; y < frame.height; ++y)
            std::copy_n(frame.rgb.data() + static_cast<std::size_t>(y) * row, row,
                        picture->data[0] + static_cast<std::ptrdiff_t>(y) * picture->linesize[0]);
        code = avcodec_send_frame(context.get(), picture.get());
    }
    if (code >= 0)
        code = avcodec_receive_packet(context.get(), packet.get());
    if (code < 0)
        return avError(ErrorCode::Internal, "The picture could not be written as PNG", code, "see the log.");
    return std::vector<std::uint8_t>(packet->data, packet->data + packet->size);
}

Result<void> writeFramePng(const std::filesystem::path& folder, int index, const Frame& frame) {
    auto png = encodePng(frame);
    if (!png)
        return png.error();
    char name[32];
    std::snprintf(name, sizeof name, "frame-%05d.png", index);
    return writeFileAtomically(folder / name, std::span<const std::uint8_t>(*png));
}

} // namespace canopy::media
