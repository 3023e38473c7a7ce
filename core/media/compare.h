#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace canopy::media {

/// Two files compared by FFmpeg's own `psnr` and `ssim` filters, in the pixel format of the first. Not
/// comparable with ClipFidelity, which is taken in RGB on lossless frames.
struct FileComparison {
    std::string planes; ///< "Y, U, V of yuv420p"
    std::string pixelFormat;
    int frames = 0;
    bool identical = false; ///< every sample of every plane is equal; PSNR is then infinite
    double psnr = 0; ///< dB from the mean squared error over all frames and planes; infinity if identical
    std::array<double, 3> psnrPlanes{}; ///< one per plane, in the order of `planes`
    double psnrWorst = 0;               ///< of one frame
    int psnrWorstFrame = -1;
    double ssim = 0; ///< "All" of FFmpeg's filter, mean over frames
    std::array<double, 3> ssimPlanes{};
    double ssimWorst = 0;
    int ssimWorstFrame = -1;
    std::vector<double> psnrFrames; ///< [frames], dB; infinity where a frame is equal
    std::vector<double> ssimFrames; ///< [frames]
};

struct CompareOptions {
    std::stop_token stop; ///< once asked, the comparison ends with ErrorCode::Cancelled
    std::function<void(int done, int frames)> progress; ///< after every frame, on the calling thread
};

/// Size and frame count must be equal; a sentence says what differs.
Result<FileComparison> compareFiles(const std::filesystem::path& a, const std::filesystem::path& b,
                                    const CompareOptions& options = {});

} // namespace canopy::media
