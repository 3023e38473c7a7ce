#include "app/cli/frame_file.h"

#include <algorithm>
#include <string>

#include "core/base/files.h"

#if CANOPY_HAS_MEDIA
#include "core/media/image_reader.h"
#endif

namespace canopy::cli {
namespace {

constexpr std::uint64_t kMaxFrameFileBytes = std::uint64_t{64} << 20;
constexpr int kMaxSide = 8192;

/// One number of a PPM header: white space and comments before it, one white-space byte after it.
bool headerNumber(const std::vector<std::uint8_t>& bytes, std::size_t& at, int& value) {
    const auto isSpace = [](std::uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    while (at < bytes.size() && (isSpace(bytes[at]) || bytes[at] == '#')) {
        if (bytes[at] == '#') {
            while (at < bytes.size() && bytes[at] != '\n') {
                ++at;
            }
        } else {
            ++at;
        }
    }
    value = 0;
    const std::size_t begin = at;
    while (at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9' && value <= kMaxSide) {
        value = value * 10 + (bytes[at++] - '0');
    }
    return at > begin && at < bytes.size() && isSpace(bytes[at++]);
}

Result<RgbImage> readPpm(const std::filesystem::path& file) {
    const Result<std::vector<std::uint8_t>> bytes = readFile(file, kMaxFrameFileBytes);
    if (!bytes) {
        return bytes.error();
    }
    RgbImage image;
    std::size_t at = 2;
    int maximum = 0;
    const bool header = bytes->size() > 2 && (*bytes)[0] == 'P' && (*bytes)[1] == '6' &&
                        headerNumber(*bytes, at, image.width) && headerNumber(*bytes, at, image.height) &&
                        headerNumber(*bytes, at, maximum);
    const std::size_t size =
        static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3;
    if (!header || maximum != 255 || image.width <= 0 || image.height <= 0 || image.width > kMaxSide ||
        image.height > kMaxSide || bytes->size() - at != size) {
        return makeError(ErrorCode::Malformed,
                         "This frame is no whole 8-bit PPM picture (P6). File: " + file.string());
    }
    image.rgb.assign(bytes->begin() + static_cast<std::ptrdiff_t>(at), bytes->end());
    return image;
}

} // namespace

Result<std::vector<std::filesystem::path>> frameFiles(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    std::error_code problem;
    for (std::filesystem::directory_iterator it(folder, problem), end; !problem && it != end;
         it.increment(problem)) {
        if (it->path().extension() == ".png" || it->path().extension() == ".ppm") {
            files.push_back(it->path());
        }
    }
    if (problem) {
        return makeError(ErrorCode::Io,
                         "The folder cannot be read: " + problem.message() + ". Folder: " + folder.string());
    }
    if (files.empty()) {
        return makeError(ErrorCode::NotFound,
                         "The folder holds no .png or .ppm frames. Folder: " + folder.string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

Result<RgbImage> readFrameFile(const std::filesystem::path& file) {
    if (file.extension() == ".ppm") {
        return readPpm(file);
    }
#if CANOPY_HAS_MEDIA
    Result<media::Frame> frame = media::readImage(file);
    if (!frame) {
        return frame.error();
    }
    return RgbImage{frame->width, frame->height, std::move(frame->rgb)};
#else
    return makeError(ErrorCode::Unsupported,
                     "This canopy-cli was built without PNG (FFmpeg); it reads .ppm frames only. File: " +
                         file.string());
#endif
}

} // namespace canopy::cli
