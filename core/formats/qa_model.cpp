#include "core/formats/qa_model.h"

#include <algorithm>

#include "core/formats/config_bounds.h"

namespace canopy {

namespace {

Error notADivisor(std::string_view what, int value, std::string_view whole, int of) {
    return outOfConfigRange(what, std::to_string(value),
                            "a divisor of " + std::string(whole) + " = " + std::to_string(of));
}

double parameterCount(const SiglipConfig& v, const Qwen2Config& q) {
    const double vw = v.width, w = q.width;
    const double vision = v.layers * (4 * vw * vw + 2 * vw * v.mlpDim) + 3.0 * v.patch * v.patch * vw;
    const double heads = 1.0 * q.headDim * (2 * q.heads + 2 * q.kvHeads);
    const double language = q.layers * (w * heads + 3 * w * q.mlpDim) + 2.0 * q.vocabulary * w;
    return vision + language + vw * w + w * w;
}

Result<void> checkDefaults(const QaModelRecord& r) {
    ConfigBounds b;
    b.text("label", r.defaults.label, 200)
        .integer("frames.max", r.defaults.framesMax, 1, 4096)
        .integer("frames.default", r.defaults.frames, 1, r.defaults.framesMax)
        .integer("number of questions", static_cast<std::int64_t>(r.defaults.questions.size()), 0, 32);
    for (const auto& question : r.defaults.questions)
        b.text("questions", question, 500);
    return b.result();
}

} // namespace

std::string_view qaFamilyName(QaFamily family) {
    return family == QaFamily::LlavaVideo ? "llava-video" : "llava-onevision";
}

int QaModelRecord::cellsPerSide(HostPooling with) const {
    const int side = vision.gridSide();
    return with == HostPooling::Average ? side / 2 : (side + 1) / 2;
}

Result<void> checkQaModel(const QaModelRecord& r) {
    const auto& v = r.vision;
    const auto& q = r.language;
    ConfigBounds b;
    b.integer("patch_size", v.patch, 1, 256)
        .integer("image_size", v.imageSize, 2 * std::int64_t{v.patch},
                 128 * std::int64_t{v.patch} + v.patch - 1)
        .integer("vision_config.hidden_size", v.width, 1, 16384)
        .integer("vision_config.num_attention_heads", v.heads, 1, 256)
        .integer("vision_config.num_hidden_layers", v.layers, 1, 256)
        .integer("vision_config.intermediate_size", v.mlpDim, 1, 131072)
        .real("layer_norm_eps", v.eps, 1e-12, 0.1)
        .integer("vocab_size", q.vocabulary, 1, 1 << 20)
        .integer("hidden_size", q.width, 1, 32768)
        .integer("num_hidden_layers", q.layers, 1, 256)
        .integer("num_attention_heads", q.heads, 1, 256)
        .integer("num_key_value_heads", q.kvHeads, 1, 256)
        .integer("head_dim", q.headDim, 2, 512)
        .even("head_dim", q.headDim)
        .integer("intermediate_size", q.mlpDim, 1, 131072)
        .real("rope_theta", q.ropeTheta, 1, 1e12)
        .real("rms_norm_eps", q.eps, 1e-12, 0.1)
        .integer("max_position_embeddings", q.maxPositions, 1, 1 << 24);
    if (auto ok = b.result(); !ok)
        return ok;
    if (v.width % v.heads != 0)
        return notADivisor("vision_config.num_attention_heads", v.heads, "hidden_size", v.width);
    if (q.heads % q.kvHeads != 0)
        return notADivisor("num_key_value_heads", q.kvHeads, "num_attention_heads", q.heads);
    b.parameters(parameterCount(v, q));
    b.integer("number of image_mean values", static_cast<std::int64_t>(r.imageMean.size()), 3, 3)
        .integer("number of image_std values", static_cast<std::int64_t>(r.imageStd.size()), 3, 3)
        .integer("number of eos_token_id values", static_cast<std::int64_t>(r.stopIds.size()), 1, 64);
    for (const double mean : r.imageMean)
        b.real("image_mean", mean, -10, 10);
    for (const double deviation : r.imageStd)
        b.real("image_std", deviation, 1e-3, 100);
    for (const std::int32_t id : r.stopIds)
        b.integer("eos_token_id", id, 0, q.vocabulary - 1);
    if (auto ok = b.result(); !ok)
        return ok;
    return checkDefaults(r);
}

} // namespace canopy
