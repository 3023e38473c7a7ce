#include "core/media/video_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "core/media/av_ptr.h"
#include "core/media/input.h"
#include "core/media/orient.h"

namespace canopy::media {
namespace {

constexpr std::size_t kMaxCommentBytes = std::size_t{1} << 20;
constexpr AVRational kNanos = {1, 1'000'000'000};

std::string orUnknown(const char* name) {
    return name ? name : "unknown";
}

/// Clockwise quarter turns (0..3) that the file asks a player to make.
int quarterTurns(const AVStream* stream) {
    std::size_t size = 0;
    const std::uint8_t* matrix = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    if (!matrix || size < 9 * sizeof(std::int32_t))
        return 0;
    const double counterClockwise = av_display_rotation_get(reinterpret_cast<const std::int32_t*>(matrix));
    if (!std::isfinite(counterClockwise))
        return 0;
    return (static_cast<int>(std::lround(-counterClockwise / 90)) % 4 + 4) % 4;
}

/// Whether a time lies within 126 years of zero: differences of such times fit 64 bits, in nanoseconds and in
/// any time base.
bool isPlausible(std::int64_t time, AVRational base) {
    constexpr double kMostSeconds = 4e9;
    constexpr double kMostTicks = 1e18;
    const double ticks = std::abs(static_cast<double>(time));
    return ticks <= kMostTicks && ticks * av_q2d(base) <= kMostSeconds;
}

/// The same as EXIF orientations.
constexpr int kOrientations[4] = {1, 6, 3, 8};

} // namespace

struct VideoReader::Impl {
    ReaderLimits limits;
    std::unique_ptr<Input> input;
    CodecContextPtr decoder;
    PacketPtr packet{av_packet_alloc()};
    FramePtr decoded{av_frame_alloc()};
    RgbConverter converter;
    VideoInfo info;
    int stream = -1;
    int turns = 0;
    std::vector<std::int64_t> pts;       ///< of each shown frame, ascending, in the stream's time base
    std::vector<std::int64_t> keyPts;    ///< of key frames, ascending; beside it their
    std::vector<std::int64_t> keySeekTo; ///< decoding times, which FFmpeg seeks by
    int mended = 0;
    bool indexLies = false; ///< a seek led past its frame once: only decoding on is safe
    int nextIndex = 0;      ///< what next() gives if nothing was lost
    bool drained = false;   ///< the decoder was told that nothing follows

    AVStream* av() const { return input->context()->streams[stream]; }

    /// Counts what can be shown, from the packets.
    Result<void> scan();
    Result<void> seekTo(int index);
    /// One decoded picture in `decoded`; false at the end. Pictures that no other one is made from are
    /// skipped before the time `from`.
    Result<bool> decodeOne(std::int64_t from = INT64_MIN);
    std::int64_t decodedPts() const {
        return decoded->best_effort_timestamp != AV_NOPTS_VALUE ? decoded->best_effort_timestamp
                                                                : decoded->pts;
    }
    Result<Frame> toFrame(int index);
    std::int64_t nanos(int index) const {
        return av_rescale_q(pts[static_cast<std::size_t>(index)] - pts.front(), av()->time_base, kNanos);
    }
    Error undecodable(int index) const {
        return makeError(ErrorCode::Malformed,
                         "Frame " + std::to_string(index) + " of " + std::to_string(pts.size()) +
                             " cannot be decoded; the file is damaged: " + input->path().string());
    }
};

Result<void> VideoReader::Impl::scan() {
    AVStream* s = av();
    std::int64_t lastDuration = 0;
    std::int64_t unreadable = 0;
    struct Key {
        std::int64_t pts, seekTo;
    };
    std::vector<Key> keys;
    int code = 0;
    while ((code = av_read_frame(input->context(), packet.get())) >= 0) {
        const bool ours = packet->stream_index == stream;
        const bool shown = ours && (packet->flags & AV_PKT_FLAG_DISCARD) == 0;
        const std::int64_t time = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
        const bool corrupt = (packet->flags & AV_PKT_FLAG_CORRUPT) != 0 || packet->size == 0;
        const bool timed = time != AV_NOPTS_VALUE && isPlausible(time, s->time_base);
        if (ours && (corrupt || !timed))
            ++unreadable;
        if (shown && !corrupt && timed) {
            pts.push_back(time);
            lastDuration = isPlausible(packet->duration, s->time_base) ? packet->duration : 0;
            if (packet->flags & AV_PKT_FLAG_KEY)
                keys.push_back({time, packet->dts != AV_NOPTS_VALUE ? packet->dts : time});
        }
        av_packet_unref(packet.get());
        if (static_cast<int>(pts.size()) > limits.maxFrames)
            return makeError(ErrorCode::Unsupported,
                             "The video has more than " + std::to_string(limits.maxFrames) +
                                 " frames; cut it shorter first: " + input->path().string());
        if (input->isLate())
            return input->lateError("Reading the video", limits.openSeconds);
    }
    if (input->isLate())
        return input->lateError("Reading the video", limits.openSeconds);
    if (pts.empty())
        return makeError(ErrorCode::Malformed,
                         "The video has no frame that can be read; it was cut off or never finished: " +
                             input->path().string());
    std::sort(pts.begin(), pts.end());
    pts.erase(std::unique(pts.begin(), pts.end()), pts.end());
    std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.pts < b.pts; });
    for (const Key& key : keys) {
        keyPts.push_back(key.pts);
        keySeekTo.push_back(key.seekTo);
    }

    info.frames = static_cast<int>(pts.size());
    const std::int64_t span = pts.back() - pts.front();
    const std::int64_t typical =
        pts.size() > 1 ? std::max<std::int64_t>(1, span / static_cast<std::int64_t>(pts.size() - 1))
                       : lastDuration;
    for (std::size_t i = 1; i < pts.size(); ++i)
        info.variableRate |=
            std::abs(pts[i] - pts[i - 1] - typical) > std::max<std::int64_t>(1, typical / 50);
    info.seconds = double(span + (lastDuration > 0 ? lastDuration : typical)) * av_q2d(s->time_base);

    const bool cut =
        s->nb_frames > info.frames + unreadable || unreadable > 0 || (code < 0 && code != AVERROR_EOF);
    if (cut) {
        char text[160];
        std::snprintf(text, sizeof text,
                      "Only the first %.1f s (%d frames) can be read; the rest is missing or "
                      "damaged.",
                      info.seconds, info.frames);
        info.damage = text;
    }
    return {};
}

Result<void> VideoReader::Impl::seekTo(int index) {
    const std::int64_t wanted = pts[static_cast<std::size_t>(index)];
    const auto key = std::upper_bound(keyPts.begin(), keyPts.end(), wanted);
    const std::int64_t target = key == keyPts.begin()
                                    ? std::min(wanted, pts.front())
                                    : keySeekTo[static_cast<std::size_t>(key - keyPts.begin() - 1)];
    int code = av_seek_frame(input->context(), stream, target, AVSEEK_FLAG_BACKWARD);
    if (code < 0)
        code = avformat_seek_file(input->context(), stream, INT64_MIN, target, INT64_MAX, 0);
    if (code < 0)
        return avError(ErrorCode::Malformed, "The video cannot be wound to frame " + std::to_string(index),
                       code, "the file is damaged: " + input->path().string());
    avcodec_flush_buffers(decoder.get());
    drained = false;
    return {};
}

Result<bool> VideoReader::Impl::decodeOne(std::int64_t from) {
    for (;;) {
        const int code = avcodec_receive_frame(decoder.get(), decoded.get());
        if (code == 0)
            return true;
        if (code == AVERROR_EOF)
            return false;
        if (input->isLate())
            return input->lateError("Decoding a frame", limits.frameSeconds);
        if (drained)
            return false;
        const int read = av_read_frame(input->context(), packet.get());
        if (read < 0) {
            drained = true;
            avcodec_send_packet(decoder.get(), nullptr);
            continue;
        }
        // A packet that the decoder refuses costs its frame only; the missing frame is told by its caller.
        // Threads would take the setting over at times of their own.
        decoder->skip_frame = limits.decodeThreads == 1 && packet->pts != AV_NOPTS_VALUE && packet->pts < from
                                  ? AVDISCARD_NONREF
                                  : AVDISCARD_DEFAULT;
        if (packet->stream_index == stream)
            avcodec_send_packet(decoder.get(), packet.get());
        av_packet_unref(packet.get());
    }
}

Result<Frame> VideoReader::Impl::toFrame(int index) {
    Frame frame{decoded->width, decoded->height, nanos(index), {}};
    const int longSide = std::max(limits.maxWidth, limits.maxHeight);
    const bool inside =
        frame.width > 0 && frame.height > 0 && frame.width <= longSide && frame.height <= longSide;
    // A stream may change its size midway: bring it to the announced one.
    const int width = turns % 2 ? info.height : info.width;
    const int height = turns % 2 ? info.width : info.height;
    if (!inside || !converter.convert(decoded.get(), frame.rgb))
        return undecodable(index);
    if (frame.width != width || frame.height != height)
        frame = resizedToFill(frame, width, height);
    orient(frame, kOrientations[turns]);
    mended += (decoded->flags & AV_FRAME_FLAG_CORRUPT) != 0 || decoded->decode_error_flags != 0;
    av_frame_unref(decoded.get());
    return frame;
}

VideoReader::VideoReader(std::unique_ptr<Impl> impl)
    : m_impl(std::move(impl)) {}
VideoReader::~VideoReader() = default;

Result<std::unique_ptr<VideoReader>> VideoReader::open(const std::filesystem::path& file,
                                                       const ReaderLimits& limits) {
    auto impl = std::make_unique<Impl>();
    impl->limits = limits;
    auto input = Input::open(file, limits.openSeconds, limits.stop);
    if (!input)
        return input.error();
    impl->input = std::move(*input);
    const auto stream = impl->input->selectVideo(limits.maxWidth, limits.maxHeight);
    if (!stream)
        return stream.error();
    impl->stream = *stream;
    auto decoder = impl->input->openDecoder(
        *stream, static_cast<std::int64_t>(limits.maxWidth) * limits.maxHeight, limits.decodeThreads);
    if (!decoder)
        return decoder.error();
    impl->decoder = std::move(*decoder);

    const AVFormatContext* format = impl->input->context();
    const AVStream* s = impl->av();
    const AVCodecParameters* p = s->codecpar;
    VideoInfo& info = impl->info;
    impl->turns = quarterTurns(s);
    info.rotation = impl->turns * 90;
    info.width = impl->turns % 2 ? p->height : p->width;
    info.height = impl->turns % 2 ? p->width : p->height;
    info.fpsNumerator = s->avg_frame_rate.num;
    info.fpsDenominator = std::max(1, s->avg_frame_rate.den);
    info.codec = avcodec_get_name(p->codec_id);
    info.pixelFormat = orUnknown(av_get_pix_fmt_name(static_cast<AVPixelFormat>(p->format)));
    info.colourSpace = orUnknown(av_color_space_name(p->color_space));
    info.colourRange = orUnknown(av_color_range_name(p->color_range));
    info.colourPrimaries = orUnknown(av_color_primaries_name(p->color_primaries));
    info.colourTransfer = orUnknown(av_color_transfer_name(p->color_trc));
    for (unsigned i = 0; i < format->nb_streams; ++i)
        info.hasAudio |= format->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    if (const AVDictionaryEntry* comment = av_dict_get(format->metadata, "comment", nullptr, 0))
        if (std::string_view text = comment->value; text.size() <= kMaxCommentBytes)
            info.comment = text;

    if (auto scanned = impl->scan(); !scanned)
        return scanned.error();
    impl->input->setDeadline(limits.frameSeconds);
    if (auto rewound = impl->seekTo(0); !rewound)
        return rewound.error();
    return std::unique_ptr<VideoReader>(new VideoReader(std::move(impl)));
}

const VideoInfo& VideoReader::info() const {
    return m_impl->info;
}

std::int64_t VideoReader::ptsNanos(int index) const {
    return m_impl->nanos(std::clamp(index, 0, m_impl->info.frames - 1));
}

int VideoReader::frameAt(std::int64_t nanos) const {
    // Rounded up, so that the exact start time of a frame finds that frame.
    const std::int64_t time = av_rescale_q_rnd(std::max<std::int64_t>(nanos, 0), kNanos,
                                               m_impl->av()->time_base, AV_ROUND_NEAR_INF) +
                              m_impl->pts.front();
    const auto after = std::upper_bound(m_impl->pts.begin(), m_impl->pts.end(), time);
    return std::max(0, static_cast<int>(after - m_impl->pts.begin()) - 1);
}

int VideoReader::mendedFrames() const {
    return m_impl->mended;
}

Result<std::optional<Frame>> VideoReader::next() {
    Impl& d = *m_impl;
    d.input->setDeadline(d.limits.frameSeconds);
    for (;;) {
        auto more = d.decodeOne();
        if (!more)
            return more.error();
        if (!*more)
            return std::optional<Frame>();
        const auto at = std::lower_bound(d.pts.begin(), d.pts.end(), d.decodedPts());
        if (at == d.pts.end() || *at != d.decodedPts() || at - d.pts.begin() < d.nextIndex)
            continue; // not to be shown (before an edit's start), or decoded on the way
        const int index = static_cast<int>(at - d.pts.begin());
        d.nextIndex = index + 1;
        auto frame = d.toFrame(index);
        if (!frame)
            return frame.error();
        return std::optional<Frame>(std::move(*frame));
    }
}

Result<Frame> VideoReader::frame(int index) {
    Impl& d = *m_impl;
    if (index < 0 || index >= d.info.frames)
        return makeError(ErrorCode::InvalidArgument, "There is no frame " + std::to_string(index) +
                                                         "; the video has " + std::to_string(d.info.frames) +
                                                         ", counted from 0.");
    d.input->setDeadline(d.limits.frameSeconds);
    // Going on is cheaper than seeking when no key frame lies between.
    const std::int64_t wanted = d.pts[static_cast<std::size_t>(index)];
    const auto key = std::upper_bound(d.keyPts.begin(), d.keyPts.end(), wanted);
    const bool keyAhead = !d.indexLies && d.nextIndex < d.info.frames && key != d.keyPts.begin() &&
                          *(key - 1) > d.pts[static_cast<std::size_t>(d.nextIndex)];
    const bool goOn = index >= d.nextIndex && !keyAhead && !(d.drained && index > d.nextIndex);
    for (int attempt = goOn ? 0 : 1; attempt < 3; ++attempt) {
        // 0: go on; 1: the key frame before; 2: from the start (a file whose index lies).
        if (attempt > 0)
            if (auto sought = d.seekTo(attempt == 1 ? index : 0); !sought)
                return sought.error();
        for (;;) {
            auto more = d.decodeOne(wanted);
            if (!more)
                return more.error();
            if (!*more || d.decodedPts() > wanted)
                break;
            if (d.decodedPts() == wanted) {
                d.indexLies = d.indexLies || attempt == 2;
                d.nextIndex = index + 1;
                return d.toFrame(index);
            }
        }
    }
    // Where the decoder stands is unknown now: start the next search anew.
    d.nextIndex = d.info.frames;
    return d.undecodable(index);
}

} // namespace canopy::media
