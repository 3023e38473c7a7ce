#include "core/media/video_writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "core/base/files.h"
#include "core/base/log.h"
#include "core/media/av_ptr.h"
#include "core/media/input.h"
#include "core/media/video_reader.h"

namespace canopy::media {
namespace {

constexpr int kBufferBytes = 64 * 1024;
constexpr int kMaxNames = 10'000;

std::filesystem::path withSuffix(std::filesystem::path file, const char* suffix) {
    file += suffix;
    return file;
}

/// "name.mp4", "name-2.mp4", "name-3.mp4" ...
std::filesystem::path numbered(const std::filesystem::path& file, int n) {
    if (n == 1)
        return file;
    return file.parent_path() / (file.stem().string() + "-" + std::to_string(n) + file.extension().string());
}

/// What the operating system said, as a sentence with what to do.
Error writeError(int error, const std::filesystem::path& file) {
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
    const std::string place = ": " + folder.string();
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return makeError(ErrorCode::Io,
                         "The disk is full and the clip could not be written; free some space and try "
                         "again, what was calculated is kept" +
                             place);
    case EROFS:
    case EACCES:
    case EPERM:
        return makeError(ErrorCode::Io, std::string("The clip cannot be written there (") +
                                            std::strerror(error) +
                                            "); choose another folder or change its permissions" + place);
    default:
        return makeError(ErrorCode::Io, std::string("The clip could not be written (") +
                                            std::strerror(error) + "); check the disk and try again" + place);
    }
}

Error writeAvError(int code, const std::filesystem::path& file) {
    if (code == AVERROR(ENOSPC) || code == AVERROR(EDQUOT) || code == AVERROR(EROFS) ||
        code == AVERROR(EACCES) || code == AVERROR(EIO))
        return writeError(AVUNERROR(code), file);
    return avError(ErrorCode::Io, "The clip could not be written", code,
                   "see the log and try again: " + file.string());
}

Result<void> syncFile(const std::filesystem::path& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return writeError(errno, file);
    const int code = ::fsync(fd);
    const int error = errno;
    ::close(fd);
    if (code != 0)
        return writeError(error, file);
    return {};
}

/// A file that FFmpeg writes through our own descriptor, so that every short write and its cause is seen.
class OutputFile {
public:
    explicit OutputFile(int fd)
        : m_fd(fd) {
        auto* buffer = static_cast<unsigned char*>(av_malloc(kBufferBytes));
        m_io = avio_alloc_context(buffer, kBufferBytes, 1, this, nullptr, &write, &seek);
    }
    ~OutputFile() { close(); }
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    AVIOContext* io() const { return m_io; }
    int error() const { return m_error; } ///< errno of the first failed write; 0 = none
    /// Flushes, syncs and closes; errno or 0.
    int close() {
        if (m_io) {
            avio_flush(m_io);
            av_freep(&m_io->buffer);
            avio_context_free(&m_io);
        }
        if (m_fd >= 0) {
            if (::fsync(m_fd) != 0 && m_error == 0)
                m_error = errno;
            if (::close(m_fd) != 0 && m_error == 0)
                m_error = errno;
            m_fd = -1;
        }
        return m_error;
    }

private:
    static int write(void* opaque, std::uint8_t* data, int size) {
        auto* self = static_cast<OutputFile*>(opaque);
        for (int done = 0; done < size;) {
            const ssize_t n = ::write(self->m_fd, data + done, static_cast<std::size_t>(size - done));
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0) {
                self->m_error = n < 0 ? errno : ENOSPC;
                return AVERROR(self->m_error);
            }
            done += static_cast<int>(n);
        }
        return size;
    }
    static std::int64_t seek(void* opaque, std::int64_t offset, int whence) {
        auto* self = static_cast<OutputFile*>(opaque);
        if (whence == AVSEEK_SIZE) {
            struct stat info {};
            return ::fstat(self->m_fd, &info) == 0 ? info.st_size : AVERROR(errno);
        }
        const off_t at = ::lseek(self->m_fd, offset, whence & ~AVSEEK_FORCE);
        return at < 0 ? AVERROR(errno) : at;
    }

    int m_fd;
    AVIOContext* m_io = nullptr;
    int m_error = 0;
};

struct FreeOutput {
    void operator()(AVFormatContext* c) const { avformat_free_context(c); }
};
using OutputPtr = std::unique_ptr<AVFormatContext, FreeOutput>;

OutputPtr newOutput(const std::string& url) {
    AVFormatContext* context = nullptr;
    avformat_alloc_output_context2(&context, nullptr, "mp4", url.c_str());
    return OutputPtr(context);
}

/// Copies the pictures of `from` to a new file `to` with the index in front; times start at 0. Tags are
/// copied.
Result<void> rewriteFaststart(const std::filesystem::path& from, const std::filesystem::path& to,
                              const std::string* comment = nullptr) {
    std::int64_t firstPts = INT64_MAX; // fragmented files start late by the reordering delay
    for (int pass = 0; pass < 2; ++pass) {
        auto input = Input::open(from, 600);
        if (!input)
            return input.error();
        const ReaderLimits limits;
        const auto stream = (*input)->selectVideo(limits.maxWidth, limits.maxHeight);
        if (!stream)
            return stream.error();
        const AVStream* source = (*input)->context()->streams[*stream];
        PacketPtr packet(av_packet_alloc());
        if (pass == 0) {
            while (av_read_frame((*input)->context(), packet.get()) >= 0) {
                if (packet->stream_index == *stream && packet->pts != AV_NOPTS_VALUE)
                    firstPts = std::min(firstPts, packet->pts);
                av_packet_unref(packet.get());
            }
            if (firstPts == INT64_MAX)
                return makeError(ErrorCode::Malformed,
                                 "The unfinished video holds no whole frame: " + from.string());
            continue;
        }
        const std::string url = "file:" + to.string();
        OutputPtr output = newOutput(url);
        AVStream* target = output ? avformat_new_stream(output.get(), nullptr) : nullptr;
        if (!target || avcodec_parameters_copy(target->codecpar, source->codecpar) < 0)
            return makeError(ErrorCode::OutOfMemory,
                             "There is no memory left to write the clip; close something.");
        target->codecpar->codec_tag = 0;
        target->time_base = source->time_base;
        target->avg_frame_rate = source->avg_frame_rate;
        av_dict_copy(&output->metadata, (*input)->context()->metadata, 0);
        if (comment)
            av_dict_set(&output->metadata, "comment", comment->c_str(), 0);
        // The muxer reads the file back by this name to move the index to the front.
        int code = avio_open(&output->pb, url.c_str(), AVIO_FLAG_WRITE);
        if (code < 0)
            return writeAvError(code, to);
        AVDictionary* options = nullptr;
        av_dict_set(&options, "movflags", "+faststart", 0);
        code = avformat_write_header(output.get(), &options);
        av_dict_free(&options);
        const bool begun = code >= 0;
        while (code >= 0 && av_read_frame((*input)->context(), packet.get()) >= 0) {
            if (packet->stream_index == *stream && packet->pts != AV_NOPTS_VALUE) {
                packet->pts -= firstPts;
                packet->dts -= firstPts;
                packet->stream_index = 0;
                packet->pos = -1;
                av_packet_rescale_ts(packet.get(), source->time_base, target->time_base);
                code = av_interleaved_write_frame(output.get(), packet.get());
            }
            av_packet_unref(packet.get());
        }
        // A full disk shows at a frame, at the trailer or at the close: all three are asked.
        if (begun) {
            const int trailer = av_write_trailer(output.get());
            code = code < 0 ? code : trailer;
        }
        const int pending = output->pb->error;
        const int closed = avio_closep(&output->pb);
        code = code < 0 ? code : pending < 0 ? pending : closed;
        if (code < 0)
            return writeAvError(code, to);
    }
    return syncFile(to);
}

/// Opens an MP4 and compares what it holds with what was asked.
Result<void> verify(const std::filesystem::path& file, int frames, const std::string* comment) {
    auto reader = VideoReader::open(file);
    if (!reader)
        return makeError(ErrorCode::Io,
                         "The clip was written but cannot be read back: " + reader.error().message);
    const VideoInfo& info = (*reader)->info();
    if (info.frames != frames || !info.damage.empty())
        return makeError(ErrorCode::Io, "The clip was written with " + std::to_string(info.frames) + " of " +
                                            std::to_string(frames) +
                                            " frames; check the disk and try again: " + file.string());
    if (comment && info.comment != *comment)
        return makeError(ErrorCode::Io,
                         "The settings read back from the clip differ from those written; check the "
                         "disk and try again: " +
                             file.string());
    return {};
}

} // namespace

struct VideoWriter::Impl {
    VideoWriterOptions options;
    std::filesystem::path part;
    std::unique_ptr<OutputFile> file;
    OutputPtr output;
    CodecContextPtr encoder;
    ScalerPtr scaler;
    FramePtr picture{av_frame_alloc()};
    PacketPtr packet{av_packet_alloc()};
    int written = 0;
    bool done = false; ///< finished or discarded: nothing is left to keep

    Result<void> start();
    Result<void> writePackets();
    Error failure(int code) const {
        return file->error() ? writeError(file->error(), part) : writeAvError(code, part);
    }
};

Result<void> VideoWriter::Impl::start() {
    const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
    if (!codec)
        return makeError(ErrorCode::Unsupported,
                         "FFmpeg was built without libx264; install Debian's libavcodec and libx264.");
    output = newOutput(part.string());
    encoder.reset(avcodec_alloc_context3(codec));
    AVStream* stream = output ? avformat_new_stream(output.get(), nullptr) : nullptr;
    if (!encoder || !stream || !picture || !packet || !file->io())
        return makeError(ErrorCode::OutOfMemory,
                         "There is no memory left to encode a clip; close something.");
    encoder->width = options.width;
    encoder->height = options.height;
    encoder->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder->time_base = {1, options.fps};
    encoder->framerate = {options.fps, 1};
    encoder->gop_size = options.fps; // a key frame a second: short waits when scrubbing
    encoder->max_b_frames = 2;
    encoder->color_range = AVCOL_RANGE_MPEG;
    encoder->color_primaries = AVCOL_PRI_BT709;
    encoder->color_trc = AVCOL_TRC_BT709;
    encoder->colorspace = AVCOL_SPC_BT709;
    const int machine = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    encoder->thread_count = options.threads > 0 ? options.threads : std::min(machine, 8);
    encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    AVDictionary* settings = nullptr;
    av_dict_set(&settings, "preset", "veryfast", 0);
    av_dict_set(&settings, "crf", std::to_string(options.quality).c_str(), 0);
    // Debian's x264 decides with uninitialised memory in its macroblock tree: the same frames gave another
    // file each time (seen with MALLOC_PERTURB_). Without the tree equal frames give equal files.
    av_dict_set(&settings, "x264-params", "mbtree=0", 0);
    int code = avcodec_open2(encoder.get(), codec, &settings);
    av_dict_free(&settings);
    if (code < 0)
        return avError(ErrorCode::Internal, "The video encoder did not start", code, "see the log.");
    avcodec_parameters_from_context(stream->codecpar, encoder.get());
    stream->time_base = encoder->time_base;
    stream->avg_frame_rate = encoder->framerate;

    picture->format = AV_PIX_FMT_YUV420P;
    picture->width = options.width;
    picture->height = options.height;
    picture->color_range = encoder->color_range;
    picture->color_primaries = encoder->color_primaries;
    picture->color_trc = encoder->color_trc;
    picture->colorspace = encoder->colorspace;
    // BITEXACT: without it the vector code that is chosen, and so the rounding, depends on where a frame lies
    // in memory, and the same job gives another file the second time.
    scaler.reset(sws_getContext(
        options.width, options.height, AV_PIX_FMT_RGB24, options.width, options.height, AV_PIX_FMT_YUV420P,
        SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INP, nullptr, nullptr, nullptr));
    if (!scaler || av_frame_get_buffer(picture.get(), 0) < 0)
        return makeError(ErrorCode::OutOfMemory,
                         "There is no memory left to encode a clip; close something.");
    const int* bt709 = sws_getCoefficients(SWS_CS_ITU709);
    sws_setColorspaceDetails(scaler.get(), bt709, 1, bt709, 0, 0, 1 << 16, 1 << 16);

    output->pb = file->io();
    output->flags |= AVFMT_FLAG_CUSTOM_IO;
    av_dict_set(&output->metadata, "comment", options.comment.c_str(), 0);
    if (!options.title.empty())
        av_dict_set(&output->metadata, "title", options.title.c_str(), 0);
    AVDictionary* flags = nullptr;
    // Fragments keep what was written when the program dies; an ordinary MP4 would keep nothing.
    av_dict_set(&flags, "movflags", "+frag_keyframe+empty_moov+default_base_moof", 0);
    code = avformat_write_header(output.get(), &flags);
    av_dict_free(&flags);
    if (code < 0)
        return failure(code);
    return {};
}

Result<void> VideoWriter::Impl::writePackets() {
    for (;;) {
        int code = avcodec_receive_packet(encoder.get(), packet.get());
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return {};
        if (code < 0)
            return avError(ErrorCode::Internal, "The video encoder failed", code, "see the log.");
        packet->stream_index = 0;
        packet->duration = 1; // without it the muxer loses the last frame
        av_packet_rescale_ts(packet.get(), encoder->time_base, output->streams[0]->time_base);
        code = av_interleaved_write_frame(output.get(), packet.get());
        if (code < 0 || file->error())
            return failure(code);
    }
}

VideoWriter::VideoWriter(std::unique_ptr<Impl> impl)
    : m_impl(std::move(impl)) {}

VideoWriter::~VideoWriter() {
    if (m_impl->done)
        return;
    // What was begun is kept as it is; fragments that were flushed can be recovered.
    m_impl->file.reset();
    if (m_impl->written == 0)
        ::unlink(m_impl->part.c_str());
    else
        logWarning("media", "An unfinished video was kept: " + m_impl->part.string());
}

const std::filesystem::path& VideoWriter::partFile() const {
    return m_impl->part;
}

Result<std::unique_ptr<VideoWriter>> VideoWriter::create(const VideoWriterOptions& options) {
    quietFfmpeg();
    if (options.width <= 0 || options.height <= 0 || options.width % 2 || options.height % 2 ||
        options.fps <= 0 || options.frames <= 0 || options.file.extension() != ".mp4")
        return makeError(ErrorCode::InvalidArgument,
                         "A clip of " + std::to_string(options.width) + "x" + std::to_string(options.height) +
                             ", " + std::to_string(options.frames) + " frames at " +
                             std::to_string(options.fps) + " fps cannot be written to \"" +
                             options.file.filename().string() +
                             "\"; the size must be even, the numbers above 0 and the name end in .mp4.");
    auto impl = std::make_unique<Impl>();
    impl->options = options;
    std::error_code ec;
    if (options.file.has_parent_path())
        std::filesystem::create_directories(options.file.parent_path(), ec);
    if (ec)
        return writeError(ec.value(), options.file);
    // Of two writers of one name, or where an old .part waits for recovery, the later takes the next number.
    int fd = -1;
    for (int n = 1; fd < 0 && n < kMaxNames; ++n) {
        impl->options.file = numbered(options.file, n);
        impl->part = withSuffix(impl->options.file, ".part");
        if (std::filesystem::exists(std::filesystem::symlink_status(impl->options.file)))
            continue;
        fd = ::open(impl->part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 && errno != EEXIST)
            return writeError(errno, impl->part);
    }
    if (fd < 0)
        return writeError(EEXIST, options.file);
    impl->file = std::make_unique<OutputFile>(fd);
    std::unique_ptr<VideoWriter> writer(new VideoWriter(std::move(impl)));
    if (auto started = writer->m_impl->start(); !started)
        return started.error();
    return writer;
}

Result<void> VideoWriter::write(const Frame& frame) {
    Impl& d = *m_impl;
    if (frame.width != d.options.width || frame.height != d.options.height ||
        frame.rgb.size() != frame.byteCount())
        return makeError(ErrorCode::Internal,
                         "Frame " + std::to_string(d.written) + " is " + std::to_string(frame.width) + "x" +
                             std::to_string(frame.height) + "; the clip is " +
                             std::to_string(d.options.width) + "x" + std::to_string(d.options.height) + ".");
    if (d.written >= d.options.frames)
        return makeError(ErrorCode::Internal, "More than the " + std::to_string(d.options.frames) +
                                                  " frames asked for were made.");
    if (av_frame_make_writable(d.picture.get()) < 0)
        return makeError(ErrorCode::OutOfMemory,
                         "There is no memory left to encode a clip; close something.");
    const std::uint8_t* planes[4] = {frame.rgb.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {frame.width * 3, 0, 0, 0};
    sws_scale(d.scaler.get(), planes, strides, 0, frame.height, d.picture->data, d.picture->linesize);
    d.picture->pts = d.written;
    const int code = avcodec_send_frame(d.encoder.get(), d.picture.get());
    if (code < 0)
        return avError(ErrorCode::Internal, "The video encoder failed", code, "see the log.");
    ++d.written;
    return d.writePackets();
}

Result<std::filesystem::path> VideoWriter::finish() {
    Impl& d = *m_impl;
    if (d.written != d.options.frames)
        return makeError(ErrorCode::Internal, "Only " + std::to_string(d.written) + " of " +
                                                  std::to_string(d.options.frames) + " frames arrived.");
    avcodec_send_frame(d.encoder.get(), nullptr);
    if (auto flushed = d.writePackets(); !flushed)
        return flushed.error();
    if (const int code = av_write_trailer(d.output.get()); code < 0 || d.file->error())
        return d.failure(code);
    d.output->pb = nullptr;
    if (const int error = d.file->close(); error != 0)
        return writeError(error, d.part);
    if (auto whole = verify(d.part, d.written, nullptr); !whole)
        return whole.error();

    const std::filesystem::path temporary = withSuffix(d.options.file, ".tmp");
    const auto giveUp = [&](const Error& error) {
        ::unlink(temporary.c_str());
        return error;
    };
    if (auto rewritten = rewriteFaststart(d.part, temporary, &d.options.comment); !rewritten)
        return giveUp(rewritten.error());
    if (auto whole = verify(temporary, d.written, &d.options.comment); !whole)
        return giveUp(whole.error());
    auto name = renameWithoutReplacing(temporary, d.options.file);
    if (!name)
        return giveUp(name.error());
    ::unlink(d.part.c_str());
    d.done = true;
    return name;
}

void VideoWriter::setComment(std::string comment) {
    m_impl->options.comment = std::move(comment);
}

void VideoWriter::discard() {
    m_impl->file.reset();
    ::unlink(m_impl->part.c_str());
    m_impl->done = true;
}

Result<std::filesystem::path> recoverPart(const std::filesystem::path& part) {
    quietFfmpeg();
    if (part.extension() != ".part")
        return makeError(ErrorCode::InvalidArgument, "An unfinished video ends in .part: " + part.string());
    const std::filesystem::path name = part.parent_path() / part.stem(); // without .part
    const std::filesystem::path wanted =
        name.parent_path() / (name.stem().string() + " recovered" + name.extension().string());
    const std::filesystem::path temporary = withSuffix(wanted, ".tmp");
    if (auto rewritten = rewriteFaststart(part, temporary); !rewritten) {
        ::unlink(temporary.c_str());
        return rewritten.error();
    }
    auto result = renameWithoutReplacing(temporary, wanted);
    if (result)
        ::unlink(part.c_str());
    else
        ::unlink(temporary.c_str());
    return result;
}

Result<std::filesystem::path> renameWithoutReplacing(const std::filesystem::path& from,
                                                     const std::filesystem::path& wanted) {
    for (int n = 1; n < kMaxNames; ++n) {
        const std::filesystem::path to = numbered(wanted, n);
        int code = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
        if (code != 0 && (errno == EINVAL || errno == ENOSYS)) {
            // A file system without that flag: a hard link refuses a taken name too.
            code = ::link(from.c_str(), to.c_str());
            if (code == 0)
                ::unlink(from.c_str());
        }
        if (code == 0) {
            const auto folder = to.has_parent_path() ? to.parent_path() : std::filesystem::path(".");
            if (auto synced = syncFolder(folder); !synced)
                return synced.error();
            return to;
        }
        if (errno != EEXIST)
            return writeError(errno, to);
    }
    return writeError(EEXIST, wanted);
}

} // namespace canopy::media
