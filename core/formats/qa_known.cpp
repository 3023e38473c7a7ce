#include "core/formats/qa_known.h"

#include <charconv>
#include <cmath>

namespace canopy {

namespace {

/// "google/siglip-so400m-patch14-384" -> 384; 0 when the name ends in no number.
int sizeInName(std::string_view name) {
    const auto dash = name.rfind('-');
    int size = 0;
    if (dash == std::string_view::npos)
        return 0;
    const char* end = name.data() + name.size();
    const auto [rest, failed] = std::from_chars(name.data() + dash + 1, end, size);
    return failed == std::errc() && rest == end ? size : 0;
}

} // namespace

Result<SiglipConfig> knownTower(std::string_view towerName, const QaShapes& shapes) {
    SiglipConfig out;
    out.width = shapes.visionWidth;
    out.patch = shapes.patch;
    out.mlpDim = shapes.visionMlp;
    out.eps = 1e-6;
    // SigLIP so400m has heads of 72, the base and large towers of 64.
    constexpr int kSo400mWidth = 1152, kSo400mBlocks = 27;
    const bool so400m = out.width == kSo400mWidth;
    const int headDim = so400m ? 72 : 64;
    if (out.width < headDim || out.width % headDim != 0)
        return makeError(ErrorCode::Unsupported,
                         "The vision tower is " + std::to_string(out.width) +
                             " wide, and how many heads that are is not known; expected a SigLIP tower");
    out.heads = out.width / headDim;
    // LLaVA reads the last block but one and saves no further one; a file that has all 27 is cut here.
    out.layers = so400m && shapes.visionLayers == kSo400mBlocks ? kSo400mBlocks - 1 : shapes.visionLayers;
    const int side = static_cast<int>(std::lround(std::sqrt(std::max(shapes.positions, 0))));
    const int named = sizeInName(towerName);
    const bool nameFits = out.patch > 0 && named / out.patch == side;
    out.imageSize = nameFits ? named : side * out.patch;
    return out;
}

QaDefaults knownQaDefaults(const QaConfig& config, int width, std::string_view name) {
    QaDefaults d;
    const bool video = config.family == QaFamily::LlavaVideo;
    const std::string family = video ? "LLaVA-Video" : "LLaVA-OneVision";
    const std::string size = width == 896 ? " 0.5B" : width == 3584 ? " 7B" : width == 8192 ? " 72B" : "";
    d.label = size.empty() ? std::string(name.substr(0, 200)) : family + size;
    d.frames = video ? 64 : 32;
    d.framesMax = video ? 128 : 64;
    d.timeInstruction = config.timeInstruction;
    d.forceFrames = config.forceFrames;
    return d;
}

std::vector<std::int32_t> knownStopIds(int vocabulary) {
    constexpr std::int32_t kImEnd = 151645, kEndOfText = 151643;
    if (vocabulary <= kImEnd)
        return {};
    return {kImEnd, kEndOfText};
}

} // namespace canopy
