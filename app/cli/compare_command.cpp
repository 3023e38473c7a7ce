#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/frame_file.h"
#include "app/cli/output.h"
#include "core/base/value_codec.h"
#include "core/project/fidelity.h"

#if CANOPY_HAS_MEDIA
#include "core/media/compare.h"
#endif

namespace canopy::cli {
namespace {

namespace fs = std::filesystem;

/// Folders of lossless frames, by name in order: fidelity in RGB by our one implementation.
int compareFrames(const fs::path& a, const fs::path& b, bool json) {
    const Result<std::vector<fs::path>> filesA = frameFiles(a);
    const Result<std::vector<fs::path>> filesB = frameFiles(b);
    if (!filesA || !filesB) {
        return report(filesA ? filesB.error() : filesA.error());
    }
    if (filesA->size() != filesB->size()) {
        return report(
            makeError(ErrorCode::Mismatch, "The folders hold " + std::to_string(filesA->size()) + " and " +
                                               std::to_string(filesB->size()) +
                                               " frames; only as many on both sides can be compared."));
    }
    FidelityMeter meter;
    for (std::size_t i = 0; i < filesA->size(); ++i) {
        const Result<RgbImage> left = readFrameFile((*filesA)[i]);
        const Result<RgbImage> right = readFrameFile((*filesB)[i]);
        if (!left || !right) {
            return report(left ? right.error() : left.error());
        }
        if (left->width != right->width || left->height != right->height) {
            return report(makeError(ErrorCode::Mismatch,
                                    "Frame " + std::to_string(i) + " has another size on the other side."));
        }
        if (const auto added = meter.add(left->rgb, right->rgb, left->width, left->height); !added) {
            return report(added.error());
        }
    }
    const ClipFidelity f = meter.result();
    if (json) {
        Value v;
        v.set("kind", "rgb_frames").set("frames", f.frames).set("identical_frames", f.identicalFrames);
        v.set("psnr", f.psnrMean).set("psnr_worst", f.psnrWorst).set("psnr_worst_frame", f.psnrWorstFrame);
        v.set("ssim", f.ssimMean).set("ssim_worst", f.ssimWorst).set("ssim_worst_frame", f.ssimWorstFrame);
        std::printf("%s\n", toJson(v, 2).c_str());
        return kOk;
    }
    std::printf("%d frames compared in RGB, %d of them identical\n", f.frames, f.identicalFrames);
    std::printf("PSNR %.2f dB (worst %.2f, frame %d)\n", f.psnrMean, f.psnrWorst, f.psnrWorstFrame);
    std::printf("SSIM %.4f (worst %.4f, frame %d)\n", f.ssimMean, f.ssimWorst, f.ssimWorstFrame);
    return kOk;
}

#if CANOPY_HAS_MEDIA

/// JSON has no infinity: identical files have no finite PSNR, and say so by "identical".
Value decibel(double value) {
    return std::isfinite(value) ? Value(value) : Value();
}

int compareVideos(const fs::path& a, const fs::path& b, bool json) {
    const Result<media::FileComparison> result = media::compareFiles(a, b);
    if (!result) {
        return report(result.error());
    }
    const media::FileComparison& c = *result;
    if (json) {
        Value::Array psnrPlanes;
        Value::Array ssimPlanes;
        for (std::size_t i = 0; i < 3; ++i) {
            psnrPlanes.push_back(decibel(c.psnrPlanes[i]));
            ssimPlanes.push_back(c.ssimPlanes[i]);
        }
        Value v;
        v.set("kind", "ffmpeg_filters").set("planes", c.planes).set("frames", c.frames);
        v.set("identical", c.identical)
            .set("psnr", decibel(c.psnr))
            .set("psnr_planes", std::move(psnrPlanes));
        v.set("psnr_worst", decibel(c.psnrWorst)).set("psnr_worst_frame", c.psnrWorstFrame);
        v.set("ssim", c.ssim).set("ssim_planes", std::move(ssimPlanes));
        v.set("ssim_worst", c.ssimWorst).set("ssim_worst_frame", c.ssimWorstFrame);
        std::printf("%s\n", toJson(v, 2).c_str());
        return kOk;
    }
    std::printf("%d frames compared by FFmpeg's psnr and ssim filters over the planes %s\n", c.frames,
                c.planes.c_str());
    if (c.identical) {
        std::printf("The files are identical in every sample\n");
    } else {
        std::printf("PSNR %.2f dB (worst %.2f, frame %d)\n", c.psnr, c.psnrWorst, c.psnrWorstFrame);
    }
    std::printf("SSIM %.4f (worst %.4f, frame %d)\n", c.ssim, c.ssimWorst, c.ssimWorstFrame);
    return kOk;
}

#else

int compareVideos(const fs::path&, const fs::path&, bool) {
    std::fputs(
        "This canopy-cli was built without video files (FFmpeg); it compares folders of frames only.\n",
        stderr);
    return kNotInThisBuild;
}

#endif

} // namespace

int compare(const fs::path& a, const fs::path& b, bool json) {
    std::error_code ignored;
    const bool folderA = fs::is_directory(a, ignored);
    const bool folderB = fs::is_directory(b, ignored);
    if (folderA != folderB) {
        return report(makeError(ErrorCode::InvalidArgument,
                                "One is a folder of frames, the other a file; compare two of a kind."));
    }
    return folderA ? compareFrames(a, b, json) : compareVideos(a, b, json);
}

} // namespace canopy::cli
