#include "core/job/qa_model_value.h"

#include <array>
#include <string>

#include "core/job/record_fields.h"

namespace canopy {
namespace {

constexpr std::array kFamilies = {QaFamily::LlavaOneVision, QaFamily::LlavaVideo};
constexpr std::array kPoolings = {HostPooling::Bilinear, HostPooling::Average};
constexpr std::array kNewlines = {HostNewlines::OneToken, HostNewlines::Grid, HostNewlines::Frame,
                                  HostNewlines::None};

std::string_view poolingName(HostPooling pooling) {
    return pooling == HostPooling::Average ? "average" : "bilinear";
}

/// As LLaVA's configs name them.
std::string_view newlinesName(HostNewlines newlines) {
    switch (newlines) {
    case HostNewlines::OneToken:
        return "one_token";
    case HostNewlines::Grid:
        return "grid";
    case HostNewlines::Frame:
        return "frame";
    case HostNewlines::None:
        return "no_token";
    }
    return "";
}

// ---- The fields of each struct, once. Serves writing (const) and reading.

template <typename V, typename C>
void visitVision(V& v, C& c) {
    v("image_size", c.imageSize), v("patch", c.patch), v("width", c.width), v("heads", c.heads);
    v("layers", c.layers), v("mlp_dim", c.mlpDim), v("eps", c.eps);
}

template <typename V, typename C>
void visitLanguage(V& v, C& c) {
    v("vocabulary", c.vocabulary), v("width", c.width), v("layers", c.layers), v("heads", c.heads);
    v("kv_heads", c.kvHeads), v("head_dim", c.headDim), v("mlp_dim", c.mlpDim), v("rope_theta", c.ropeTheta);
    v("eps", c.eps), v("tied_embeddings", c.tiedEmbeddings), v("max_positions", c.maxPositions);
}

template <typename V, typename C>
void visitDefaults(V& v, C& c) {
    v("label", c.label), v("frames", c.frames), v("frames_max", c.framesMax);
    v("time_instruction", c.timeInstruction), v("force_frames", c.forceFrames), v("starter", c.starter);
    v("questions", c.questions);
}

template <typename V, typename C>
void visitModel(V& v, C& c) {
    v("id", c.id), v("root", c.root), v("weight_files", c.weightFiles), v("tokenizer", c.tokenizerFile);
    v("merges", c.mergesFile), v("licence", c.licenceFile), v("image_mean", c.imageMean);
    v("image_std", c.imageStd), v("stop_ids", c.stopIds), v("weight_bytes", c.weightBytes);
    v("vision_parameters", c.visionParameters), v("language_parameters", c.languageParameters);
    v("missing", c.missing);
    v.named("family", c.family, kFamilies, &qaFamilyName);
    v.named("pooling", c.pooling, kPoolings, &poolingName);
    v.named("newlines", c.newlines, kNewlines, &newlinesName);
    v.group("vision", [&](auto& g) { visitVision(g, c.vision); });
    v.group("language", [&](auto& g) { visitLanguage(g, c.language); });
    v.group("defaults", [&](auto& g) { visitDefaults(g, c.defaults); });
}

} // namespace

Value toValue(const QaModelRecord& record) {
    Value out{Value::Map{}};
    FieldWriter writer(out);
    visitModel(writer, record);
    return out;
}

Result<QaModelRecord> qaModelRecordFromValue(const Value& value) {
    if (!value.isMap()) {
        return wrongField("model record", "record");
    }
    QaModelRecord record;
    FieldReader reader(value);
    visitModel(reader, record);
    if (!reader.problem().empty()) {
        return wrongField("model record", reader.problem());
    }
    if (auto ok = checkQaModel(record); !ok) {
        return ok.error();
    }
    return record;
}

} // namespace canopy
