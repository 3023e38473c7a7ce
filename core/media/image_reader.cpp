#include "core/media/image_reader.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/base/files.h"
#include "core/media/av_ptr.h"
#include "core/media/orient.h"

namespace canopy::media {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;
constexpr std::int64_t kMaxPixels = 64'000'000;

AVCodecID codecOf(std::string_view head) {
    if (head.substr(0, 8) == "\x89PNG\r\n\x1a\n")
        return AV_CODEC_ID_PNG;
    if (head.substr(0, 3) == "\xFF\xD8\xFF")
        return AV_CODEC_ID_MJPEG;
    if (head.size() >= 12 && head.substr(0, 4) == "RIFF" && head.substr(8, 4) == "WEBP")
        return AV_CODEC_ID_WEBP;
    return AV_CODEC_ID_NONE;
}

/// Lays a picture with transparency over black: the converter itself would drop the alpha and show hidden
/// colours.
bool convertOverBlack(const AVFrame* decoded, std::vector<std::uint8_t>& rgb) {
    const std::size_t width = static_cast<std::size_t>(decoded->width);
    const std::size_t height = static_cast<std::size_t>(decoded->height);
    const std::size_t stride = (width * 4 + 63) / 64 * 64;
    std::vector<std::uint8_t> rgba(stride * height + 64);
    const ScalerPtr scaler(sws_getContext(
        decoded->width, decoded->height, static_cast<AVPixelFormat>(decoded->format), decoded->width,
        decoded->height, AV_PIX_FMT_RGBA, SWS_BICUBIC, nullptr, nullptr, nullptr));
    std::uint8_t* planes[4] = {rgba.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {static_cast<int>(stride), 0, 0, 0};
    if (!scaler || sws_scale(scaler.get(), decoded->data, decoded->linesize, 0, decoded->height, planes,
                             strides) != decoded->height)
        return false;
    rgb.resize(width * height * 3);
    for (std::size_t y = 0; y < height; ++y)
        for (std::size_t x = 0; x < width; ++x) {
            const std::uint8_t* from = &rgba[y * stride + x * 4];
            for (std::size_t c = 0; c < 3; ++c)
                rgb[(y * width + x) * 3 + c] = static_cast<std::uint8_t>((from[c] * from[3] + 127) / 255);
        }
    return true;
}

} // namespace

Result<Frame> readImage(const std::filesystem::path& file) {
    quietFfmpeg();
    auto bytes = readFile(file, kMaxBytes);
    if (!bytes)
        return bytes.error();
    const std::size_t size = bytes->size();
    const AVCodecID id = codecOf({reinterpret_cast<const char*>(bytes->data()), size});
    if (id == AV_CODEC_ID_NONE)
        return makeError(ErrorCode::Unsupported,
                         "This is not a picture that can be read; choose a PNG, JPEG or WebP file: " +
                             file.string());

    // The decoder gets the whole file as one packet: no demuxer, so nothing else can be opened.
    const AVCodec* codec = avcodec_find_decoder(id);
    CodecContextPtr context(avcodec_alloc_context3(codec));
    PacketPtr packet(av_packet_alloc());
    FramePtr decoded(av_frame_alloc());
    if (!codec || !context || !packet || !decoded || av_new_packet(packet.get(), static_cast<int>(size)) < 0)
        return makeError(ErrorCode::OutOfMemory,
                         "There is no memory left to read a picture; close something.");
    std::memcpy(packet->data, bytes->data(), size);
    context->max_pixels = kMaxPixels;
    context->thread_count = 1;
    int code = avcodec_open2(context.get(), codec, nullptr);
    if (code >= 0)
        code = avcodec_send_packet(context.get(), packet.get());
    if (code >= 0) {
        avcodec_send_packet(context.get(), nullptr);
        code = avcodec_receive_frame(context.get(), decoded.get());
    }
    if (code < 0)
        return avError(ErrorCode::Malformed, "The picture cannot be decoded", code,
                       "it is damaged, animated or larger than 64 megapixels; save it again as PNG: " +
                           file.string());

    Frame frame{decoded->width, decoded->height, 0, {}};
    const AVPixFmtDescriptor* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(decoded->format));
    const bool alpha = format && (format->flags & AV_PIX_FMT_FLAG_ALPHA) != 0;
    RgbConverter converter;
    if (!(alpha ? convertOverBlack(decoded.get(), frame.rgb) : converter.convert(decoded.get(), frame.rgb)))
        return makeError(ErrorCode::Unsupported,
                         "The picture's colour format is not read here; save it again as PNG: " +
                             file.string());
    if (const AVDictionaryEntry* exif = av_dict_get(decoded->metadata, "Orientation", nullptr, 0))
        orient(frame, std::atoi(exif->value));
    return frame;
}

} // namespace canopy::media
