#include "core/formats/model_config_json.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/config_reader.h"
#include "core/formats/known_models.h"
#include "core/formats/safetensors.h"

namespace canopy {

namespace {

Error unsupported(std::string what) {
    return makeError(ErrorCode::Unsupported, std::move(what));
}

} // namespace

Result<Value> readConfigFile(const std::filesystem::path& path) {
    constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 20;
    const auto text = readTextFile(path, kMaxBytes);
    if (!text)
        return text.error();
    auto json = parseJson(*text);
    if (!json)
        return makeError(json.error().code, json.error().message + ": " + path.string());
    if (!json->isMap())
        return makeError(ErrorCode::Malformed, "A configuration file must hold a JSON map: " + path.string());
    return json;
}

Result<DitConfig> parseDitConfig(const Value& json) {
    const auto& name = json["_class_name"].asString();
    DitConfig c;
    if (name == "WanTransformer3DModel")
        c.family = ModelFamily::WanT2v;
    else if (name == "SkyReelsV2Transformer3DModel")
        c.family = ModelFamily::SkyReelsDf;
    else
        return unsupported("The transformer is of the kind " + quotedName(name) +
                           "; expected WanTransformer3DModel or SkyReelsV2Transformer3DModel");
    ConfigReader r(json);
    r.integer("num_attention_heads", c.heads, true);
    r.integer("attention_head_dim", c.headDim, true);
    r.integer("num_layers", c.layers, true);
    r.integer("ffn_dim", c.ffnDim, true);
    r.integer("text_dim", c.textDim, true);
    r.integer("freq_dim", c.freqDim);
    r.integer("in_channels", c.inChannels);
    c.outChannels = c.inChannels;
    r.integer("out_channels", c.outChannels);
    r.boolean("cross_attn_norm", c.crossAttentionNorm);
    r.boolean("inject_sample_info", c.fpsEmbedding);
    r.real("eps", c.eps);
    std::vector<int> patch = {1, 2, 2};
    r.list("patch_size", patch, 3, readConfigInt);
    if (r.problem())
        return *r.problem();
    if (patch.size() != 3)
        return wrongConfigValue("patch_size", "three whole numbers");
    std::copy(patch.begin(), patch.end(), c.patch.begin());
    if (c.inChannels == 36 || !json["image_dim"].isNull() || !json["added_kv_proj_dim"].isNull())
        return imageToVideoRefusal();
    const auto& norm = json["qk_norm"];
    if (!norm.isNull() && norm.asString() != "rms_norm_across_heads")
        return unsupported("The transformer normalises queries and keys by " + quotedName(norm.asString()) +
                           "; expected rms_norm_across_heads");
    if (!json["pos_embed_seq_len"].isNull())
        return unsupported(
            "The transformer has learned positions for image tokens; expected a text-to-video model");
    if (auto ok = checkConfig(c); !ok)
        return ok.error();
    return c;
}

Result<VaeConfig> parseVaeConfig(const Value& json) {
    const auto& name = json["_class_name"].asString();
    if (name != "AutoencoderKLWan")
        return unsupported("The autoencoder is of the kind " + quotedName(name) +
                           "; expected AutoencoderKLWan");
    VaeConfig c;
    ConfigReader r(json);
    r.integer("base_dim", c.baseDim);
    r.integer("z_dim", c.latentChannels);
    r.integer("num_res_blocks", c.resBlocks);
    r.list("dim_mult", c.dimMultipliers, 8, readConfigInt);
    r.list("temperal_downsample", c.temporalDownsample, 8,
           [](const Value& v, auto& out) { return out = v.asBool(), v.isBool(); });
    c.latentsMean = wanLatentsMean();
    c.latentsStd = wanLatentsStd();
    r.list("latents_mean", c.latentsMean, 64, readConfigReal);
    r.list("latents_std", c.latentsStd, 64, readConfigReal);
    bool residual = false;
    r.boolean("is_residual", residual);
    int inChannels = 3, outChannels = 3, decoderBase = c.baseDim;
    r.integer("in_channels", inChannels);
    r.integer("out_channels", outChannels);
    r.integer("decoder_base_dim", decoderBase);
    if (r.problem())
        return *r.problem();
    if (residual || !json["patch_size"].isNull() || inChannels != 3 || outChannels != 3)
        return unsupported("This is the autoencoder of Wan 2.2; expected the one of Wan 2.1");
    if (decoderBase != c.baseDim || !json["attn_scales"].asArray().empty())
        return unsupported(
            "This autoencoder has another decoder width or attention at other scales than Wan 2.1");
    if (auto ok = checkConfig(c); !ok)
        return ok.error();
    return c;
}

Result<Umt5Config> parseUmt5Config(const Value& json) {
    const auto& type = json["model_type"].asString();
    if (type != "umt5")
        return unsupported("The text encoder is of the kind " + quotedName(type) + "; expected umt5");
    Umt5Config c;
    ConfigReader r(json);
    r.integer("vocab_size", c.vocabulary, true);
    r.integer("d_model", c.modelDim, true);
    r.integer("d_kv", c.headDim, true);
    r.integer("num_heads", c.heads, true);
    r.integer("d_ff", c.ffnDim, true);
    r.integer("num_layers", c.layers, true);
    r.integer("relative_attention_num_buckets", c.relativeBuckets);
    r.integer("relative_attention_max_distance", c.relativeMaxDistance);
    r.real("layer_norm_epsilon", c.eps);
    r.integer("pad_token_id", c.padId);
    r.integer("eos_token_id", c.eosId);
    std::string act = "gelu_new", projection = "gated-gelu";
    r.text("dense_act_fn", act);
    r.text("feed_forward_proj", projection);
    if (r.problem())
        return *r.problem();
    if (act != "gelu_new" || projection != "gated-gelu")
        return unsupported("The text encoder has the activation " + quotedName(act) + " and the projection " +
                           quotedName(projection) + "; expected gelu_new and gated-gelu");
    if (auto ok = checkConfig(c); !ok)
        return ok.error();
    return c;
}

Result<ModelDefaults> parseModelDefaults(const Value& json) {
    static constexpr std::array<std::string_view, 14> kKeys = {"version",
                                                               "label",
                                                               "kind",
                                                               "text_length",
                                                               "fps",
                                                               "fps_index",
                                                               "shift",
                                                               "steps",
                                                               "guidance",
                                                               "negative_prompt",
                                                               "sizes",
                                                               "frames",
                                                               "block_latent_frames",
                                                               "modes"};
    static constexpr std::array<std::string_view, 3> kFrameKeys = {"default", "trained", "step"};
    const auto refuseUnknown = [](const Value& map, const auto& keys) -> std::optional<Error> {
        for (const auto& [key, value] : map.asMap())
            if (std::find(keys.begin(), keys.end(), key) == keys.end())
                return makeError(ErrorCode::Malformed, "canopy.json has the unknown key " + quotedName(key) +
                                                           "; remove it or update this program");
        return std::nullopt;
    };
    if (!json.isMap())
        return makeError(ErrorCode::Malformed, "canopy.json must hold a JSON map");
    if (!json["version"].isInt() || json["version"].asInt() != 1)
        return makeError(ErrorCode::Unsupported,
                         "canopy.json has another version than 1; update this program to read it");
    if (auto error = refuseUnknown(json, kKeys))
        return *error;
    if (auto error = refuseUnknown(json["frames"], kFrameKeys))
        return *error;
    ModelDefaults d;
    d.sizes.clear();
    std::string kind;
    ConfigReader r(json);
    r.text("label", d.label, true);
    r.text("kind", kind, true);
    r.integer("text_length", d.textLength, true);
    r.integer("fps", d.fps, true);
    r.integer("fps_index", d.fpsIndex);
    r.real("shift", d.shift, true);
    r.integer("steps", d.steps, true);
    r.real("guidance", d.guidance, true);
    r.text("negative_prompt", d.negativePrompt);
    r.integer("block_latent_frames", d.blockLatentFrames);
    r.list(
        "sizes", d.sizes, 64,
        [](const Value& v, std::array<int, 2>& out) {
            return v.asArray().size() == 2 && readConfigInt(v.asArray()[0], out[0]) &&
                   readConfigInt(v.asArray()[1], out[1]);
        },
        true);
    std::vector<std::string> modes;
    r.list("modes", modes, 2, [](const Value& v, std::string& out) {
        out = v.asString();
        return out == "synchronous" || out == "block-causal";
    });
    if (r.problem())
        return *r.problem();
    if (kind != "text-to-video")
        return unsupported("canopy.json describes a model of the kind " + quotedName(kind) +
                           "; expected text-to-video");
    const auto& frames = json["frames"];
    if (!frames.isMap())
        return wrongConfigValue("frames", "a map");
    ConfigReader f(frames);
    f.integer("default", d.framesDefault, true);
    f.integer("step", d.framesStep, true);
    std::vector<int> trained;
    f.list("trained", trained, 2, readConfigInt, true);
    if (f.problem())
        return *f.problem();
    if (trained.size() != 2)
        return wrongConfigValue("frames.trained", "two whole numbers");
    d.framesTrainedMin = trained[0];
    d.framesTrainedMax = trained[1];
    if (auto ok = checkDefaults(d); !ok)
        return ok.error();
    return d;
}

} // namespace canopy
