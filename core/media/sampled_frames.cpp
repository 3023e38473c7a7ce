#include "core/media/sampled_frames.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <utility>

#include "core/base/files.h"
#include "core/formats/safetensors.h"
#include "core/media/pil_resize.h"
#include "core/media/video_reader.h"

namespace canopy::media {

namespace {

constexpr int kMaxCount = 4096;
constexpr int kMaxSize = 4096;
/// What a person's clips have; above it they are told that small things get lost.
constexpr std::int64_t kLargePixels = std::int64_t{4096} * 2304;

ReaderLimits limitsFor(std::stop_token stop) {
    ReaderLimits limits;
    limits.maxWidth = 8192;
    limits.maxHeight = 4608;
    // Long films take a while; the person can cancel.
    limits.openSeconds = 300;
    limits.frameSeconds = 120;
    limits.decodeThreads = 1; // the same frames every time, also of a damaged file
    limits.stop = std::move(stop);
    return limits;
}

/// numpy.linspace(0, last, count), rounded down.
std::vector<double> linspace(double last, int count) {
    std::vector<double> out;
    const double step = count > 1 ? last / (count - 1) : 0;
    for (int i = 0; i < count; ++i)
        out.push_back(i * step);
    if (count > 1)
        out.back() = last;
    return out;
}

/// The frame that is shown at a time.
int shownAt(const std::vector<double>& frameSeconds, double seconds) {
    const auto after = std::upper_bound(frameSeconds.begin(), frameSeconds.end(), seconds);
    return std::max(0, static_cast<int>(after - frameSeconds.begin()) - 1);
}

std::string text(const char* format, double value) {
    char out[64];
    std::snprintf(out, sizeof out, format, value);
    return out;
}

/// The frames of one reading: wanted indices in, scaled pictures out.
class Sampling {
public:
    Sampling(std::filesystem::path video, std::vector<int> wanted, int size, std::stop_token stop)
        : m_video(std::move(video))
        , m_wanted(std::move(wanted))
        , m_size(size)
        , m_stop(std::move(stop)) {
        m_pixels.reserve(m_wanted.size() * pictureBytes());
    }

    Result<void> read(VideoReader& reader) {
        while (m_used.size() < m_wanted.size()) {
            const int index = m_wanted[m_used.size()];
            if (!m_used.empty() && index == m_wanted[m_used.size() - 1]) {
                repeat();
                continue;
            }
            const auto frame = reader.frame(index);
            if (m_stop.stop_requested())
                return cancelled();
            if (!frame && frame.error().code != ErrorCode::Malformed)
                return frame.error();
            if (!frame) {
                m_mended += reader.mendedFrames();
                return readInOrder(); // searching again for each further frame could take hours
            }
            add(index, *frame);
        }
        m_mended += reader.mendedFrames();
        return {};
    }

    std::vector<std::uint8_t> takePixels() { return std::move(m_pixels); }
    const std::vector<int>& used() const { return m_used; }
    int mended() const { return m_mended; }

private:
    std::size_t pictureBytes() const {
        return static_cast<std::size_t>(m_size) * static_cast<std::size_t>(m_size) * 3;
    }
    static Error cancelled() { return makeError(ErrorCode::Cancelled, "Reading the video was cancelled."); }

    void add(int index, const Frame& frame) {
        const auto scaled = pilBicubic(frame.rgb, frame.width, frame.height, m_size, m_size);
        m_pixels.insert(m_pixels.end(), scaled.begin(), scaled.end());
        m_used.push_back(index);
    }
    void repeat() {
        const std::size_t last = m_pixels.size() - pictureBytes();
        m_pixels.resize(m_pixels.size() + pictureBytes());
        std::copy_n(m_pixels.begin() + static_cast<std::ptrdiff_t>(last), pictureBytes(),
                    m_pixels.end() - static_cast<std::ptrdiff_t>(pictureBytes()));
        m_used.push_back(m_used.back());
    }

    /// The rest in one pass from the start; each wanted frame becomes the last readable one up to it, or the
    /// first of all.
    Result<void> readInOrder() {
        auto opened = VideoReader::open(m_video, limitsFor(m_stop));
        if (!opened)
            return opened.error();
        VideoReader& reader = **opened;
        std::optional<Frame> before;
        int beforeIndex = -1;
        const auto take = [&](int upTo) {
            while (m_used.size() < m_wanted.size() && m_wanted[m_used.size()] < upTo) {
                if (!m_used.empty() && m_used.back() >= beforeIndex)
                    repeat();
                else
                    add(beforeIndex, *before);
            }
        };
        for (;;) {
            auto frame = reader.next();
            if (m_stop.stop_requested())
                return cancelled();
            if (!frame && frame.error().code != ErrorCode::Malformed)
                return frame.error();
            if (!frame)
                continue; // this one is lost; the next may be whole
            if (!*frame)
                break;
            const int index = reader.frameAt((*frame)->ptsNanos);
            if (before)
                take(index);
            before = std::move(**frame);
            beforeIndex = index;
            if (m_wanted.back() <= index)
                break;
        }
        if (!before)
            return makeError(ErrorCode::Malformed,
                             "No frame of the video can be decoded; the file is damaged: " +
                                 m_video.string());
        take(m_wanted.back() + 1);
        m_mended += reader.mendedFrames();
        return {};
    }

    const std::filesystem::path m_video;
    const std::vector<int> m_wanted;
    const int m_size;
    const std::stop_token m_stop;
    std::vector<std::uint8_t> m_pixels;
    std::vector<int> m_used;
    int m_mended = 0;
};

void addNotes(SampledFrames& out, const VideoInfo& info, const std::vector<int>& wanted, int count,
              int mended) {
    auto& notes = out.notes;
    if (!info.damage.empty())
        notes.push_back(info.damage);
    std::size_t lost = 0, first = 0;
    for (std::size_t i = wanted.size(); i-- > 0;)
        if (out.frameIndex[i] != wanted[i]) {
            ++lost;
            first = i;
        }
    if (lost > 0)
        notes.push_back(std::to_string(lost) + " of " + std::to_string(wanted.size()) +
                        " frames cannot be decoded (the first is frame " + std::to_string(wanted[first]) +
                        "); the nearest readable ones stand in their place.");
    if (mended > 0)
        notes.push_back("The data of " + std::to_string(mended) +
                        (mended == 1 ? " frame is" : " frames are") +
                        " damaged; the decoder filled the gaps.");
    if (static_cast<int>(wanted.size()) < count)
        notes.push_back("The video lasts " + text("%.1f s", info.seconds) + ": " +
                        std::to_string(wanted.size()) + " frames were taken, one a second, and not " +
                        std::to_string(count) + ".");
    else if (info.frames < count)
        notes.push_back("The video has only " + std::to_string(info.frames) +
                        (info.frames == 1 ? " frame" : " frames") + " and " + std::to_string(count) +
                        " were asked for, so some stand more than once.");
    if (info.hasAudio)
        notes.push_back("The sound was not used; the model sees pictures only.");
    if (std::int64_t{info.width} * info.height > kLargePixels)
        notes.push_back("The pictures are " + std::to_string(info.width) + " x " +
                        std::to_string(info.height) + " pixels and the model is given " +
                        std::to_string(out.size) + " x " + std::to_string(out.size) +
                        " of each, so small things in them are lost.");
    if (info.colourTransfer == "smpte2084" || info.colourTransfer == "arib-std-b67")
        notes.push_back(
            "The video has high dynamic range, which is not converted: the model sees paler colours.");
}

} // namespace

std::vector<int> sampleIndices(const std::vector<double>& frameSeconds, double framesPerSecond, int count,
                               FrameSampling sampling, bool forceFrames) {
    const int frames = static_cast<int>(frameSeconds.size());
    std::vector<int> out;
    if (!forceFrames) {
        if (sampling == FrameSampling::Time) {
            for (int second = 0; second <= frameSeconds.back() && static_cast<int>(out.size()) <= count;
                 ++second)
                out.push_back(shownAt(frameSeconds, second));
        } else {
            const int step = std::max(1, static_cast<int>(std::lround(framesPerSecond)));
            for (int i = 0; i < frames && static_cast<int>(out.size()) <= count; i += step)
                out.push_back(i);
        }
        if (static_cast<int>(out.size()) <= count)
            return out;
        out.clear();
    }
    const bool byTime = sampling == FrameSampling::Time;
    for (const double at : linspace(byTime ? frameSeconds.back() : frames - 1, count))
        out.push_back(byTime ? shownAt(frameSeconds, at) : static_cast<int>(at));
    return out;
}

Result<SampledFrames> readSampledFrames(const std::filesystem::path& video, int count, FrameSampling sampling,
                                        int size, bool forceFrames, std::stop_token stop) {
    if (count < 1 || count > kMaxCount || size < 1 || size > kMaxSize)
        return makeError(ErrorCode::InvalidArgument,
                         "Between 1 and " + std::to_string(kMaxCount) + " frames of 1 to " +
                             std::to_string(kMaxSize) + " pixels can be sampled, not " +
                             std::to_string(count) + " of " + std::to_string(size) + ".");
    auto reader = VideoReader::open(video, limitsFor(stop));
    if (!reader)
        return reader.error();
    const VideoInfo info = (*reader)->info();
    std::vector<double> seconds(static_cast<std::size_t>(info.frames));
    for (int i = 0; i < info.frames; ++i)
        seconds[static_cast<std::size_t>(i)] = static_cast<double>((*reader)->ptsNanos(i)) * 1e-9;
    // The header's rate is a claim; frames over time is what was seen.
    const double rate = info.seconds > 0 ? info.frames / info.seconds : 0;
    const auto wanted = sampleIndices(seconds, rate, count, sampling, forceFrames);

    Sampling frames(video, wanted, size, stop);
    if (auto read = frames.read(**reader); !read)
        return read.error();
    SampledFrames out;
    out.size = size;
    out.rgb = frames.takePixels();
    for (const int index : frames.used()) {
        out.frameIndex.push_back(index);
        out.frameSeconds.push_back(seconds[static_cast<std::size_t>(index)]);
    }
    out.videoSeconds = info.seconds;
    out.videoFrames = info.frames;
    out.videoWidth = info.width;
    out.videoHeight = info.height;
    addNotes(out, info, wanted, count, frames.mended());
    return out;
}

Result<void> writeFramesFile(const SampledFrames& frames, const std::filesystem::path& file) {
    const auto side = static_cast<std::uint64_t>(frames.size);
    return writeFileAtomically(
        file,
        writeSafetensors({{"frames", DType::U8, {frames.frameIndex.size(), side, side, 3}, frames.rgb}}));
}

} // namespace canopy::media
