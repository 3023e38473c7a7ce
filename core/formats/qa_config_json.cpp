#include "core/formats/qa_config_json.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/formats/config_reader.h"
#include "core/formats/safetensors.h"

namespace canopy {

namespace {

constexpr std::string_view kHuggingFaceClass = "LlavaOnevisionForConditionalGeneration";
constexpr std::string_view kOriginalClass = "LlavaQwenForCausalLM";

Error unsupported(std::string what) {
    return makeError(ErrorCode::Unsupported, std::move(what));
}

bool namesClass(const Value& json, std::string_view name) {
    const auto& list = json["architectures"].asArray();
    return std::any_of(list.begin(), list.end(), [&](const Value& v) { return v.asString() == name; });
}

/// A key that must have one value where it stands at all.
struct Fixed {
    std::string_view key;
    std::string_view value;
};

Result<void> expectTexts(const Value& json, std::string_view part, std::initializer_list<Fixed> fixed) {
    for (const auto& [key, value] : fixed)
        if (!json[key].isNull() && json[key].asString() != value)
            return unsupported("The " + std::string(part) + " has " + std::string(key) + " = " +
                               quotedName(json[key].asString()) + "; expected " + std::string(value));
    return {};
}

Result<void> expectOff(const Value& json, std::initializer_list<std::string_view> keys) {
    for (const auto key : keys)
        if (!json[key].isNull() && !(json[key].isBool() && !json[key].asBool()))
            return unsupported("The model needs " + std::string(key) + ", which is not done here");
    return {};
}

void readStopIds(const Value& ids, std::vector<std::int32_t>& out) {
    const Value::Array one = {ids};
    for (const auto& id : ids.isArray() ? ids.asArray() : one)
        if (id.isInt() && id.asInt() >= 0 && id.asInt() < std::int64_t{1} << 30)
            out.push_back(static_cast<std::int32_t>(id.asInt()));
}

/// Qwen2's settings: of a text_config, or of a whole original config. Sizes are optional.
Result<void> readQwen2(const Value& json, QaConfig& out) {
    auto& c = out.language;
    ConfigReader r(json);
    r.integer("vocab_size", c.vocabulary);
    r.integer("hidden_size", c.width);
    r.integer("num_hidden_layers", c.layers);
    r.integer("num_attention_heads", c.heads, true);
    c.kvHeads = c.heads;
    r.integer("num_key_value_heads", c.kvHeads);
    r.integer("head_dim", c.headDim);
    r.integer("intermediate_size", c.mlpDim);
    r.integer("max_position_embeddings", c.maxPositions);
    r.real("rms_norm_eps", c.eps);
    // The class's own default where a file leaves it out; newer files keep it inside rope_parameters.
    c.ropeTheta = 10000;
    const Value& rope = json["rope_parameters"];
    if (rope.isMap() && rope["rope_theta"].isNumber())
        c.ropeTheta = rope["rope_theta"].asDouble();
    r.real("rope_theta", c.ropeTheta);
    r.boolean("tie_word_embeddings", c.tiedEmbeddings);
    if (r.problem())
        return *r.problem();
    for (const auto& scaling : {json["rope_scaling"], rope}) {
        const auto& type = scaling["rope_type"].isNull() ? scaling["type"] : scaling["rope_type"];
        if (scaling.isMap() && !type.isNull() && type.asString() != "default")
            return unsupported("The language model scales its rotary positions (" +
                               quotedName(type.asString()) + "), which is not done here");
    }
    if (auto off = expectOff(json, {"use_sliding_window"}); !off)
        return off;
    readStopIds(json["eos_token_id"], out.stopIds);
    return expectTexts(json, "language model", {{"hidden_act", "silu"}});
}

/// The number of blocks whose output `layer` names: hidden state 0 is the input, -1 the last block's output.
Result<int> blocksUpTo(const Value& layer, int stored) {
    if (!layer.isNull() && !layer.isInt())
        return unsupported("The model joins the features of several vision blocks; expected one");
    const std::int64_t index = layer.asInt(-1);
    const std::int64_t count = index < 0 ? stored + 1 + index : index;
    if (count < 1 || count > stored)
        return wrongConfigValue("vision_feature_layer",
                                "one of the tower's " + std::to_string(stored) + " blocks");
    return static_cast<int>(count);
}

Result<QaConfig> parseHuggingFace(const Value& json) {
    QaConfig out;
    const Value& vision = json["vision_config"];
    const Value& text = json["text_config"];
    if (!vision.isMap() || !text.isMap())
        return wrongConfigValue(vision.isMap() ? "text_config" : "vision_config", "a map");
    const auto& tower = vision["model_type"].asString();
    if (tower != "siglip_vision_model")
        return unsupported("The vision tower is of the kind " + quotedName(tower) +
                           "; expected siglip_vision_model");
    const auto& language = text["model_type"].asString();
    if (language != "qwen2")
        return unsupported("The language model is of the kind " + quotedName(language) + "; expected qwen2");
    if (auto ok = expectTexts(json, "model",
                              {{"projector_hidden_act", "gelu"}, {"vision_feature_select_strategy", "full"}});
        !ok)
        return ok.error();
    if (auto ok = expectTexts(vision, "vision tower", {{"hidden_act", "gelu_pytorch_tanh"}}); !ok)
        return ok.error();
    // What the class has where a file leaves it out.
    out.vision.heads = 12;
    out.visionLayersStored = 12;
    ConfigReader r(vision);
    r.integer("image_size", out.vision.imageSize, true);
    r.integer("patch_size", out.vision.patch);
    r.integer("hidden_size", out.vision.width);
    r.integer("num_attention_heads", out.vision.heads);
    r.integer("num_hidden_layers", out.visionLayersStored);
    r.integer("intermediate_size", out.vision.mlpDim);
    r.real("layer_norm_eps", out.vision.eps);
    bool projectorBias = true, newline = true;
    ConfigReader whole(json);
    whole.boolean("multimodal_projector_bias", projectorBias);
    whole.boolean("use_image_newline_parameter", newline);
    for (const auto* reader : {&r, &whole})
        if (reader->problem())
            return *reader->problem();
    if (!projectorBias)
        return unsupported("The model's projector has no biases; expected LLaVA-OneVision's");
    if (!newline)
        out.newlines = HostNewlines::None;
    const auto layers = blocksUpTo(json["vision_feature_layer"], out.visionLayersStored);
    if (!layers)
        return layers.error();
    out.vision.layers = *layers;
    if (auto ok = readQwen2(text, out); !ok)
        return ok.error();
    return out;
}

Result<HostNewlines> originalNewlines(const Value& json) {
    const Value& position = json["mm_newline_position"];
    if (position.isNull() || position.asString() == "one_token")
        return HostNewlines::OneToken;
    if (position.asString() == "grid")
        return HostNewlines::Grid;
    if (position.asString() == "frame")
        return HostNewlines::Frame;
    if (position.asString() == "no_token")
        return HostNewlines::None;
    return unsupported("The model has mm_newline_position = " + quotedName(position.asString()) +
                       "; expected one_token, grid, frame or no_token");
}

Result<QaConfig> parseOriginal(const Value& json) {
    QaConfig out;
    ConfigReader r(json);
    r.text("mm_vision_tower", out.towerName, true);
    bool faster = false, skipping = false;
    int modelLength = 0;
    std::string pool = "bilinear";
    r.boolean("add_time_instruction", out.timeInstruction);
    r.boolean("force_sample", out.forceFrames);
    r.boolean("add_faster_video", faster);
    r.boolean("use_pos_skipping", skipping);
    r.integer("tokenizer_model_max_length", modelLength);
    r.text("mm_spatial_pool_mode", pool);
    if (r.problem())
        return *r.problem();
    std::string lower = out.towerName;
    for (char& c : lower)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    if (lower.find("siglip") == std::string::npos)
        return unsupported("The vision tower is " + quotedName(out.towerName) + "; expected a SigLIP tower");
    if (auto ok = expectTexts(json, "model",
                              {{"mm_projector_type", "mlp2x_gelu"}, {"mm_vision_select_feature", "patch"}});
        !ok)
        return ok.error();
    if (const Value& layer = json["mm_vision_select_layer"]; !layer.isNull() && layer.asInt() != -2)
        return unsupported("The model reads another vision block than the last but one "
                           "(mm_vision_select_layer is not -2)");
    if (!json["mm_resampler_type"].isNull())
        return unsupported("The model resamples its visual tokens (" +
                           quotedName(json["mm_resampler_type"].asString()) + "), which is not done here");
    if (faster || skipping)
        return unsupported("The model needs " +
                           std::string(faster ? "add_faster_video" : "use_pos_skipping") +
                           ", which is not done here");
    if (pool != "bilinear" && pool != "average")
        return unsupported("The model pools its visual tokens by " + quotedName(pool) +
                           "; expected bilinear or average");
    out.pooling = pool == "average" ? HostPooling::Average : HostPooling::Bilinear;
    const auto newlines = originalNewlines(json);
    if (!newlines)
        return newlines.error();
    out.newlines = *newlines;
    // The two releases share their class: LLaVA-Video was trained with a newline after each row of cells and
    // with the times of its frames in the prompt.
    if (out.newlines == HostNewlines::Grid || out.timeInstruction)
        out.family = QaFamily::LlavaVideo;
    if (auto ok = readQwen2(json, out); !ok)
        return ok.error();
    if (modelLength > 0)
        out.language.maxPositions = std::min(out.language.maxPositions, modelLength);
    return out;
}

} // namespace

bool isQaConfig(const Value& json) {
    return namesClass(json, kHuggingFaceClass) || namesClass(json, kOriginalClass);
}

Result<QaConfig> parseQaConfig(const Value& json) {
    if (namesClass(json, kHuggingFaceClass))
        return parseHuggingFace(json);
    if (namesClass(json, kOriginalClass))
        return parseOriginal(json);
    const auto& list = json["architectures"].asArray();
    return unsupported("The model is of the class " +
                       quotedName(list.empty() ? json["model_type"].asString() : list.front().asString()) +
                       "; expected " + std::string(kHuggingFaceClass) + " or " + std::string(kOriginalClass));
}

Result<void> readQaPreprocessor(const Value& json, int imageSize, std::vector<double>& mean,
                                std::vector<double>& std) {
    ConfigReader r(json);
    r.list("image_mean", mean, 3, readConfigReal);
    r.list("image_std", std, 3, readConfigReal);
    int resample = 3, height = imageSize, width = imageSize;
    double factor = 1.0 / 255;
    r.integer("resample", resample);
    r.real("rescale_factor", factor);
    ConfigReader size(json["size"]);
    size.integer("height", height);
    size.integer("width", width);
    for (const auto* reader : {&r, &size})
        if (reader->problem())
            return *reader->problem();
    if (resample != 3 || std::abs(factor - 1.0 / 255) > 1e-9)
        return unsupported("The preprocessor resizes or scales pictures another way than this program "
                           "(resample = " +
                           std::to_string(resample) + "); expected 3, bicubic, and a factor of 1/255");
    if (height != imageSize || width != imageSize)
        return makeError(ErrorCode::Mismatch, "The preprocessor makes pictures of " + std::to_string(width) +
                                                  " x " + std::to_string(height) +
                                                  " pixels and the vision tower takes " +
                                                  std::to_string(imageSize) + " x " +
                                                  std::to_string(imageSize) + "; download both files again");
    return {};
}

Result<void> readQaDefaults(const Value& json, QaDefaults& d) {
    static constexpr std::array<std::string_view, 7> kKeys = {
        "version", "label", "kind", "frames", "time_instruction", "force_frames", "questions"};
    static constexpr std::array<std::string_view, 2> kFrameKeys = {"default", "max"};
    const auto unknownKey = [](const Value& map, const auto& keys) -> std::optional<Error> {
        for (const auto& [key, value] : map.asMap())
            if (std::find(keys.begin(), keys.end(), key) == keys.end())
                return makeError(ErrorCode::Malformed, "canopy.json has the unknown key " + quotedName(key) +
                                                           "; remove it or update this program");
        return std::nullopt;
    };
    if (!json["version"].isInt() || json["version"].asInt() != 1)
        return makeError(ErrorCode::Unsupported,
                         "canopy.json has another version than 1; update this program to read it");
    const auto& frames = json["frames"];
    if (!frames.isNull() && !frames.isMap())
        return wrongConfigValue("frames", "a map");
    if (auto error = unknownKey(json, kKeys))
        return *error;
    if (auto error = unknownKey(frames, kFrameKeys))
        return *error;
    std::string kind;
    ConfigReader r(json), f(frames);
    r.text("kind", kind, true);
    r.text("label", d.label);
    r.boolean("time_instruction", d.timeInstruction);
    r.boolean("force_frames", d.forceFrames);
    r.list("questions", d.questions, 32,
           [](const Value& v, std::string& out) { return out = v.asString(), v.isString(); });
    f.integer("default", d.frames);
    f.integer("max", d.framesMax);
    for (const auto* reader : {&r, &f})
        if (reader->problem())
            return *reader->problem();
    if (kind != "video-question-answering")
        return unsupported("canopy.json describes a model of the kind " + quotedName(kind) +
                           "; expected video-question-answering");
    return {};
}

} // namespace canopy
