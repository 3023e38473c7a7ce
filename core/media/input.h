#pragma once

// Private to core/media: an untrusted file behind FFmpeg's demuxer. Not a public header.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "core/base/files.h"
#include "core/base/result.h"
#include "core/media/av_ptr.h"

namespace canopy::media {

/// Names of decoders that may run on a file from outside.
inline constexpr const char* kDecoderWhitelist = "h264,hevc,libdav1d,av1,vp9,vp8,mpeg4,prores,ffv1,mjpeg,png";

/// Demuxer over our own reads of one open descriptor. Both whitelists are always set: one alone lets a
/// playlist named .mp4 open other files or connect. Not movable: FFmpeg keeps its address.
class Input {
public:
    /// MP4/MOV and Matroska/WebM by content; `seconds` is the deadline of everything until setDeadline.
    /// `stop` ends every read.
    static Result<std::unique_ptr<Input>> open(const std::filesystem::path& file, double seconds,
                                               std::stop_token stop = {});
    ~Input();
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;

    AVFormatContext* context() const { return m_format.get(); }
    const std::filesystem::path& path() const { return m_file.path(); }
    void setDeadline(double seconds);
    /// Past the deadline, or asked to stop.
    bool isLate() const;
    /// Why isLate(): cancelled, or "`what` took more than `seconds` seconds and was given up".
    Error lateError(const std::string& what, double seconds) const;
    /// Index of the video stream, checked against the limits; the others are not read. An error says what is
    /// missing.
    Result<int> selectVideo(int maxWidth, int maxHeight);
    /// Opens the decoder of a stream, if it is on the list.
    Result<CodecContextPtr> openDecoder(int stream, std::int64_t maxPixels, int threads) const;

private:
    Input(ReadOnlyFile file, std::stop_token stop)
        : m_file(std::move(file))
        , m_stop(std::move(stop)) {}
    static int readPacket(void* self, std::uint8_t* buffer, int size);
    static std::int64_t seek(void* self, std::int64_t offset, int whence);
    static int interrupted(void* self);

    ReadOnlyFile m_file;
    std::stop_token m_stop;
    std::int64_t m_at = 0;
    double m_deadline = 0; ///< steadySeconds()
    AVIOContext* m_io = nullptr;
    InputPtr m_format;
};

} // namespace canopy::media
