#include "core/formats/known_models.h"

#include <algorithm>
#include <array>
#include <string>

namespace canopy {

namespace {

/// The negative prompt that both public repositories use by default.
constexpr std::string_view kWanNegative =
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG"
    "压缩残留，"
    "丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，"
    "静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走";

struct KnownModel {
    ModelFamily family;
    int layers;
    bool fpsEmbedding;
    std::string_view nameHint; ///< must stand in the name; empty = any
    std::string_view label;
    int fps;
    int fpsIndex;
    double shift;
    double guidance;
    int frames; ///< default and longest trained
    int blockLatentFrames;
    std::array<std::array<int, 2>, 4> sizes; ///< 0 x 0 = no more
};

// Rows with a hint stand before the row of the same shape without one.
constexpr std::array kKnown = {
    KnownModel{ModelFamily::SkyReelsDf,
               30,
               true,
               "",
               "SkyReels-V2 DF 1.3B 540P",
               24,
               1,
               8,
               6,
               97,
               5,
               {{{960, 544}, {544, 960}}}},
    KnownModel{ModelFamily::SkyReelsDf,
               40,
               false,
               "720",
               "SkyReels-V2 DF 14B 720P",
               24,
               1,
               8,
               6,
               121,
               5,
               {{{1280, 720}, {720, 1280}}}},
    KnownModel{ModelFamily::SkyReelsDf,
               40,
               false,
               "",
               "SkyReels-V2 DF 14B 540P",
               24,
               1,
               8,
               6,
               97,
               5,
               {{{960, 544}, {544, 960}}}},
    KnownModel{ModelFamily::WanT2v,
               40,
               false,
               "skyreels",
               "SkyReels-V2 T2V 14B",
               24,
               1,
               8,
               6,
               97,
               0,
               {{{960, 544}, {544, 960}, {1280, 720}, {720, 1280}}}},
    KnownModel{ModelFamily::WanT2v,
               30,
               false,
               "",
               "Wan 2.1 T2V 1.3B",
               16,
               0,
               5,
               6,
               81,
               0,
               {{{832, 480}, {480, 832}}}},
    KnownModel{ModelFamily::WanT2v,
               40,
               false,
               "",
               "Wan 2.1 T2V 14B",
               16,
               0,
               5,
               5,
               81,
               0,
               {{{832, 480}, {480, 832}, {1280, 720}, {720, 1280}}}},
};

std::string lowerCase(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return out;
}

} // namespace

bool nameSaysSkyReels(std::string_view name) {
    return lowerCase(name).find("skyreels") != std::string::npos;
}

ModelDefaults knownModelDefaults(const DitConfig& dit, std::string_view name) {
    const std::string lower = lowerCase(name);
    // The released models: 30 layers of 12 heads, 40 of 40.
    const bool released =
        dit.headDim == 128 && ((dit.layers == 30 && dit.heads == 12 && dit.ffnDim == 8960) ||
                               (dit.layers == 40 && dit.heads == 40 && dit.ffnDim == 13824));
    const KnownModel* row = nullptr;
    bool exact = false;
    for (const auto& known : kKnown) {
        if (known.family != dit.family || lower.find(known.nameHint) == std::string::npos)
            continue;
        exact = released && known.layers == dit.layers && known.fpsEmbedding == dit.fpsEmbedding;
        if (!row || exact)
            row = &known;
        if (exact)
            break;
    }
    ModelDefaults d;
    d.label = exact ? std::string(row->label) : std::string(name.substr(0, 120));
    d.fps = row->fps;
    d.fpsIndex = row->fpsIndex;
    d.shift = row->shift;
    d.guidance = row->guidance;
    d.negativePrompt = kWanNegative;
    for (const auto& size : row->sizes)
        if (size[0] > 0)
            d.sizes.push_back(size);
    d.framesDefault = row->frames;
    d.framesTrainedMax = row->frames;
    d.blockLatentFrames = row->blockLatentFrames;
    return d;
}

const std::vector<double>& wanLatentsMean() {
    static const std::vector<double> mean = {-0.7571, -0.7089, -0.9113, 0.1075,  -0.1745, 0.9653,
                                             -0.1517, 1.5508,  0.4134,  -0.0715, 0.5517,  -0.3632,
                                             -0.1922, -0.9497, 0.2503,  -0.2921};
    return mean;
}

const std::vector<double>& wanLatentsStd() {
    static const std::vector<double> deviation = {2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708,
                                                  2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579,
                                                  1.6382, 1.1253, 2.8251, 1.9160};
    return deviation;
}

Error imageToVideoRefusal() {
    return makeError(ErrorCode::Unsupported,
                     "This is an image-to-video model (it takes 36 channels or image features); expected a "
                     "text-to-video model. Use a SkyReels-V2 diffusion-forcing model to start from an image");
}

} // namespace canopy
