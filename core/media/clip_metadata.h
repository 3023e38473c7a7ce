#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"

namespace canopy::media {

/// What a clip says about how it was made; lies as JSON in the file's `comment` tag.
struct ClipMetadata {
    static constexpr int kVersion = 1;
    Value request; ///< GenerationRequest as a map (resolved)
    Value summary; ///< seconds by stage, peak bytes
    std::string modelLabel;
    std::string program; ///< version of the program that made it
    std::int64_t madeAtMillis = 0;
    bool operator==(const ClipMetadata&) const = default;
};

/// One line of JSON: {"canopy_clip": 1, "request": {...}, ...}.
std::string toText(const ClipMetadata& metadata);
/// Untrusted text: at most 1 MiB, strict JSON, depth 16, types checked. Unsupported when it is of a newer
/// version, NotFound when it is not ours at all.
Result<ClipMetadata> clipMetadataFromText(std::string_view text);
/// From a file of any name; opens it by the rules of VideoReader.
Result<ClipMetadata> readClipMetadata(const std::filesystem::path& file);

} // namespace canopy::media
