#include "core/media/clip_metadata.h"

#include "core/base/value_codec.h"
#include "core/media/video_reader.h"

namespace canopy::media {
namespace {

constexpr CodecLimits kLimits{.maxBytes = std::size_t{1} << 20, .maxDepth = 16, .maxValues = 10'000};

Error damaged(std::string_view what) {
    return makeError(ErrorCode::Malformed, "The settings inside the clip are damaged: " + std::string(what) +
                                               ". They cannot be reloaded.");
}

} // namespace

std::string toText(const ClipMetadata& metadata) {
    Value v;
    v.set("canopy_clip", ClipMetadata::kVersion);
    v.set("request", metadata.request);
    v.set("summary", metadata.summary);
    v.set("model_label", metadata.modelLabel);
    v.set("program", metadata.program);
    v.set("made_at", metadata.madeAtMillis);
    return toJson(v);
}

Result<ClipMetadata> clipMetadataFromText(std::string_view text) {
    const Error notOurs =
        makeError(ErrorCode::NotFound, "The clip holds no settings of this program; it was made "
                                       "elsewhere, or they were taken out.");
    if (text.empty() || text.front() != '{')
        return notOurs;
    auto v = parseJson(text, kLimits);
    if (!v)
        return damaged(v.error().message);
    const Value& version = (*v)["canopy_clip"];
    if (version.isNull())
        return notOurs;
    if (!version.isInt() || version.asInt() < 1)
        return damaged("\"canopy_clip\" is not a version number");
    if (version.asInt() > ClipMetadata::kVersion)
        return makeError(ErrorCode::Unsupported,
                         "The settings inside the clip are of version " + std::to_string(version.asInt()) +
                             ", this program reads up to " + std::to_string(ClipMetadata::kVersion) +
                             "; a newer Canopy can reload them.");
    ClipMetadata m;
    if (!(*v)["request"].isMap())
        return damaged("\"request\" is not a map");
    m.request = (*v)["request"];
    const Value& summary = (*v)["summary"];
    if (!summary.isNull() && !summary.isMap())
        return damaged("\"summary\" is not a map");
    m.summary = summary;
    for (const auto& [key, field] :
         {std::pair{"model_label", &m.modelLabel}, std::pair{"program", &m.program}}) {
        const Value& member = (*v)[key];
        if (!member.isNull() && !member.isString())
            return damaged("\"" + std::string(key) + "\" is not a text");
        *field = member.asString();
    }
    const Value& madeAt = (*v)["made_at"];
    if (!madeAt.isNull() && !madeAt.isInt())
        return damaged("\"made_at\" is not a whole number");
    m.madeAtMillis = madeAt.asInt();
    return m;
}

Result<ClipMetadata> readClipMetadata(const std::filesystem::path& file) {
    auto reader = VideoReader::open(file);
    if (!reader)
        return reader.error();
    auto metadata = clipMetadataFromText((*reader)->info().comment);
    if (!metadata)
        return makeError(metadata.error().code, metadata.error().message + " " + file.string());
    return metadata;
}

} // namespace canopy::media
