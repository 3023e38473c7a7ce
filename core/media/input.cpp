#include "core/media/input.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "core/base/clock.h"

namespace canopy::media {
namespace {

constexpr int kBufferBytes = 64 * 1024;

/// What the first bytes say. FFmpeg's probing would answer too, but only with "not on the whitelist".
Result<void> checkContent(const ReadOnlyFile& file) {
    std::array<std::uint8_t, 64> head{};
    const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(head.size(), file.size()));
    if (n == 0)
        return makeError(ErrorCode::Malformed,
                         "The file is empty; choose a video file (MP4, MOV, MKV or WebM): " +
                             file.path().string());
    if (auto read = file.read(0, std::span(head).first(n)); !read)
        return read;
    std::string_view text(reinterpret_cast<const char*>(head.data()), n);
    if (text.substr(0, 3) == "\xEF\xBB\xBF")
        text.remove_prefix(3);
    while (!text.empty() && (text[0] == ' ' || text[0] == '\n' || text[0] == '\r' || text[0] == '\t'))
        text.remove_prefix(1);
    for (const std::string_view start : {"#EXTM3U", "ffconcat", "<?xml", "<MPD", "[playlist]", "#EXT"})
        if (text.substr(0, start.size()) == start)
            return makeError(ErrorCode::Unsupported,
                             "This is a playlist, not a video: it only names other files. "
                             "Playlists are not supported; choose the video itself: " +
                                 file.path().string());
    return {};
}

/// Whether a decoder's name stands in kDecoderWhitelist.
bool isListed(std::string_view name) {
    std::string_view list = kDecoderWhitelist;
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        if (list.substr(0, comma) == name)
            return true;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

} // namespace

int Input::readPacket(void* opaque, std::uint8_t* buffer, int size) {
    auto* self = static_cast<Input*>(opaque);
    for (;;) {
        const ssize_t n =
            ::pread(self->m_file.descriptor(), buffer, static_cast<std::size_t>(size), self->m_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return AVERROR(errno);
        self->m_at += n;
        return n == 0 ? AVERROR_EOF : static_cast<int>(n);
    }
}

std::int64_t Input::seek(void* opaque, std::int64_t offset, int whence) {
    auto* self = static_cast<Input*>(opaque);
    const auto size = static_cast<std::int64_t>(self->m_file.size());
    std::int64_t base = 0;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return size;
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = self->m_at;
        break;
    case SEEK_END:
        base = size;
        break;
    default:
        return AVERROR(EINVAL);
    }
    std::int64_t target = 0;
    if (__builtin_add_overflow(base, offset, &target) || target < 0)
        return AVERROR(EINVAL);
    self->m_at = target;
    return target;
}

int Input::interrupted(void* opaque) {
    return static_cast<Input*>(opaque)->isLate() ? 1 : 0;
}

void Input::setDeadline(double seconds) {
    m_deadline = steadySeconds() + seconds;
}

bool Input::isLate() const {
    return m_stop.stop_requested() || steadySeconds() > m_deadline;
}

Error Input::lateError(const std::string& what, double seconds) const {
    if (m_stop.stop_requested())
        return makeError(ErrorCode::Cancelled, "Reading the video was cancelled.");
    return makeError(ErrorCode::Io, what + " took more than " + std::to_string(static_cast<int>(seconds)) +
                                        " seconds and was given up: " + path().string());
}

Result<std::unique_ptr<Input>> Input::open(const std::filesystem::path& path, double seconds,
                                           std::stop_token stop) {
    quietFfmpeg();
    auto file = ReadOnlyFile::open(path);
    if (!file)
        return file.error();
    if (auto content = checkContent(*file); !content)
        return content.error();

    std::unique_ptr<Input> input(new Input(std::move(*file), std::move(stop)));
    input->setDeadline(seconds);
    auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
    input->m_io = avio_alloc_context(buffer, kBufferBytes, 0, input.get(), &readPacket, nullptr, &seek);
    AVFormatContext* format = avformat_alloc_context();
    if (!buffer || !input->m_io || !format)
        return makeError(ErrorCode::OutOfMemory, "There is no memory left to open a video; close something.");
    format->pb = input->m_io;
    format->flags |= AVFMT_FLAG_CUSTOM_IO;
    format->interrupt_callback = {&interrupted, input.get()};

    AVDictionary* options = nullptr;
    av_dict_set(&options, "format_whitelist", "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm", 0);
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    av_dict_set(&options, "codec_whitelist", kDecoderWhitelist, 0);
    av_dict_set(&options, "max_streams", "16", 0);
    int code = avformat_open_input(&format, "", nullptr, &options); // frees the context when it fails
    av_dict_free(&options);
    if (code < 0) {
        if (input->isLate())
            return input->lateError("Opening the video", seconds);
        return avError(ErrorCode::Malformed, "This is not a video that can be read", code,
                       "expected an MP4, MOV, MKV or WebM file that is complete: " + path.string());
    }
    input->m_format.reset(format);
    format->max_analyze_duration = 2 * AV_TIME_BASE;
    if (format->nb_streams == 0)
        return makeError(ErrorCode::Malformed,
                         "The video holds no pictures at all (it was cut off, or never finished): " +
                             path.string());
    return input;
}

Input::~Input() {
    m_format.reset();
    if (m_io) {
        av_freep(&m_io->buffer);
        avio_context_free(&m_io);
    }
}

Result<int> Input::selectVideo(int maxWidth, int maxHeight) {
    // Sound is never decoded: without this, probing would wait for it.
    for (unsigned i = 0; i < m_format->nb_streams; ++i) {
        AVStream* stream = m_format->streams[i];
        if (stream->codecpar->codec_type != AVMEDIA_TYPE_VIDEO)
            stream->discard = AVDISCARD_ALL;
        const AVCodecParameters* p = stream->codecpar;
        const auto pixels = static_cast<std::int64_t>(p->width) * p->height;
        const int longSide = std::max(maxWidth, maxHeight);
        if (p->codec_type == AVMEDIA_TYPE_VIDEO &&
            (p->width > longSide || p->height > longSide || pixels > std::int64_t{maxWidth} * maxHeight))
            return makeError(ErrorCode::Unsupported,
                             "The video is " + std::to_string(p->width) + " x " + std::to_string(p->height) +
                                 " pixels, larger than " + std::to_string(maxWidth) + " x " +
                                 std::to_string(maxHeight) + "; make it smaller first: " + path().string());
    }
    avformat_find_stream_info(m_format.get(), nullptr); // what it cannot find is checked below
    int chosen = -1;
    bool audio = false;
    for (unsigned i = 0; i < m_format->nb_streams; ++i) {
        const AVStream* stream = m_format->streams[i];
        audio |= stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
        const bool cover = (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
        if (stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !cover && chosen < 0)
            chosen = static_cast<int>(i);
        else
            m_format->streams[i]->discard = AVDISCARD_ALL;
    }
    if (chosen < 0)
        return makeError(ErrorCode::Unsupported,
                         std::string(audio ? "The file holds only sound and no pictures"
                                           : "The file holds no video pictures") +
                             "; choose a file with a video track: " + path().string());
    const AVCodecParameters* p = m_format->streams[chosen]->codecpar;
    if (p->width <= 0 || p->height <= 0)
        return makeError(ErrorCode::Malformed,
                         "The video does not say how large its pictures are; it is damaged: " +
                             path().string());
    return chosen;
}

Result<CodecContextPtr> Input::openDecoder(int stream, std::int64_t maxPixels, int threads) const {
    const AVStream* s = m_format->streams[stream];
    const AVCodec* decoder = avcodec_find_decoder(s->codecpar->codec_id);
    if (!decoder || !isListed(decoder->name))
        return makeError(ErrorCode::Unsupported,
                         std::string("The video is coded as ") + avcodec_get_name(s->codecpar->codec_id) +
                             ", which is not read here; convert it to H.264: " + path().string());
    CodecContextPtr context(avcodec_alloc_context3(decoder));
    if (!context || avcodec_parameters_to_context(context.get(), s->codecpar) < 0)
        return makeError(ErrorCode::OutOfMemory,
                         "There is no memory left to decode a video; close something.");
    context->max_pixels = maxPixels;
    context->thread_count = threads;
    context->pkt_timebase = s->time_base;
    AVDictionary* options = nullptr;
    av_dict_set(&options, "codec_whitelist", kDecoderWhitelist, 0);
    const int code = avcodec_open2(context.get(), decoder, &options);
    av_dict_free(&options);
    if (code < 0)
        return avError(ErrorCode::Malformed, "The video's pictures cannot be decoded", code,
                       "the file is damaged or larger than what is read here: " + path().string());
    return context;
}

} // namespace canopy::media
