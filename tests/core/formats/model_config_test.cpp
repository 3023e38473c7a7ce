#include "core/formats/model_config_json.h"

#include <set>

#include "core/base/value_codec.h"
#include "core/formats/known_models.h"
#include "tests/core/formats/fixtures.h"

using namespace canopy;
using namespace canopy::test;

namespace {

Value json(std::string_view text) {
    auto value = parseJson(text);
    REQUIRE_MESSAGE(value.ok(), value.error().message);
    return *value;
}

/// A map with one member replaced or, by a null, taken away.
Value with(Value map, std::string_view key, Value value) {
    map.set(key, std::move(value));
    return map;
}

template <typename T>
void fails(const Result<T>& result, std::string_view sentence) {
    REQUIRE_MESSAGE(!result.ok(), sentence);
    CHECK_MESSAGE(result.error().message.find(sentence) != std::string::npos, result.error().message);
}

const char* kDit = R"({"_class_name":"WanTransformer3DModel","patch_size":[1,2,2],"num_attention_heads":12,
    "attention_head_dim":128,"in_channels":16,"out_channels":16,"text_dim":4096,"freq_dim":256,"ffn_dim":8960,
    "num_layers":30,"cross_attn_norm":true,"qk_norm":"rms_norm_across_heads","eps":1e-06,"image_dim":null,
    "added_kv_proj_dim":null,"pos_embed_seq_len":null,"some_later_key":{"x":1}})";
const char* kVae =
    R"({"_class_name":"AutoencoderKLWan","base_dim":96,"z_dim":16,"dim_mult":[1,2,4,4],"num_res_blocks":2,
    "attn_scales":[],"temperal_downsample":[false,true,true],"is_residual":false,"patch_size":null})";
const char* kText =
    R"({"model_type":"umt5","vocab_size":256384,"d_model":4096,"d_kv":64,"num_heads":64,"d_ff":10240,
    "num_layers":24,"dense_act_fn":"gelu_new","feed_forward_proj":"gated-gelu","layer_norm_epsilon":1e-6})";
const char* kDefaults =
    R"({"version":1,"label":"x","kind":"text-to-video","text_length":64,"fps":16,"fps_index":0,
    "shift":5.0,"steps":16,"guidance":4,"negative_prompt":"","sizes":[[320,192]],
    "frames":{"default":33,"trained":[9,33],"step":4},"block_latent_frames":3,"modes":["synchronous"]})";

} // namespace

TEST_CASE("config: published configs are read") {
    const auto dit = parseDitConfig(json(kDit));
    REQUIRE_MESSAGE(dit.ok(), dit.error().message);
    CHECK_EQ(dit->width(), 1536);
    CHECK_EQ(dit->layers, 30);
    CHECK(dit->family == ModelFamily::WanT2v);
    CHECK_FALSE(dit->fpsEmbedding);
    const auto sky = parseDitConfig(
        with(with(json(kDit), "_class_name", "SkyReelsV2Transformer3DModel"), "inject_sample_info", true));
    REQUIRE(sky.ok());
    CHECK(sky->family == ModelFamily::SkyReelsDf);
    CHECK(sky->fpsEmbedding);
    const auto vae = parseVaeConfig(json(kVae));
    REQUIRE_MESSAGE(vae.ok(), vae.error().message);
    CHECK_EQ(vae->latentsMean, wanLatentsMean()); // public files without the numbers mean Wan's
    const auto text = parseUmt5Config(json(kText));
    REQUIRE_MESSAGE(text.ok(), text.error().message);
    CHECK_EQ(text->heads * text->headDim, 4096);
    const auto defaults = parseModelDefaults(json(kDefaults));
    REQUIRE_MESSAGE(defaults.ok(), defaults.error().message);
    CHECK_EQ(defaults->sizes.front()[1], 192);
    CHECK_EQ(defaults->framesTrainedMin, 9);
    CHECK_FALSE(defaults->starter);
}

TEST_CASE("config: every number has a range and is named when it is outside") {
    struct Row {
        const char* key;
        std::vector<Value> bad;
    };
    const std::vector<Row> dit = {
        {"num_layers", {1000000000, 0, -1, std::int64_t{1} << 62, 1.5, "30", true, Value::Array{}}},
        {"num_attention_heads", {0, 129, -5}},
        {"attention_head_dim", {0, 127, 258}},
        {"ffn_dim", {0, 1 << 20}},
        {"text_dim", {0, 1 << 20}},
        {"freq_dim", {0, 255, 1 << 20}},
        {"in_channels", {0, 65}},
        {"out_channels", {0, 65}},
        {"eps", {0.0, -1.0, 1.0, "x"}},
        {"cross_attn_norm", {1, "true"}},
        {"patch_size",
         {Value::Array{1, 2}, Value::Array{1, 2, 2, 2}, Value::Array{0, 2, 2}, Value::Array{1, 2, 9}, 2}},
    };
    for (const auto& row : dit)
        for (const auto& bad : row.bad)
            fails(parseDitConfig(with(json(kDit), row.key, bad)), row.key);
    fails(parseDitConfig(with(json(kDit), "num_layers", 1000000000)),
          "num_layers = 1000000000; expected 1 to 128");
    // Each in its range, together too much.
    auto huge = with(with(with(json(kDit), "num_attention_heads", 128), "attention_head_dim", 256),
                     "num_layers", 128);
    fails(parseDitConfig(huge), "billion parameters");

    const std::vector<Row> vae = {
        {"base_dim", {0, 2000}},
        {"z_dim", {0, 65, 15}},
        {"num_res_blocks", {0, 9}},
        {"dim_mult", {Value::Array{1, 2, 4}, Value::Array{1, 2, 4, 99}, 4}},
        {"temperal_downsample",
         {Value::Array{true, true}, Value::Array{true, true, true}, Value::Array{1, 0, 1}}},
        {"latents_mean", {Value::Array{1.0}, Value::Array{"x"}}},
        {"latents_std", {Value::Array{1.0}, 3}},
    };
    for (const auto& row : vae)
        for (const auto& bad : row.bad)
            CHECK_MESSAGE(!parseVaeConfig(with(json(kVae), row.key, bad)).ok(), row.key);
    fails(parseVaeConfig(with(json(kVae), "latents_std", Value::Array(16, Value(0.0)))), "latents_std");

    const std::vector<Row> text = {
        {"vocab_size", {0, 1 << 21}},
        {"d_model", {0, 1 << 20}},
        {"d_kv", {0, 513}},
        {"num_heads", {0, 257}},
        {"d_ff", {0, 1 << 20}},
        {"num_layers", {0, 129}},
        {"relative_attention_num_buckets", {3, 33, 2048}},
        {"relative_attention_max_distance", {1, 1 << 21}},
        {"layer_norm_epsilon", {0.0, 1.0}},
        {"pad_token_id", {-1, 256384}},
        {"eos_token_id", {-1, 256384}},
    };
    for (const auto& row : text)
        for (const auto& bad : row.bad)
            fails(parseUmt5Config(with(json(kText), row.key, bad)), row.key);
}

TEST_CASE("config: other kinds of model are refused by name") {
    fails(parseDitConfig(json("{}")), "expected WanTransformer3DModel");
    fails(parseDitConfig(with(json(kDit), "_class_name", "../../evil")), "expected WanTransformer3DModel");
    fails(parseDitConfig(with(json(kDit), "in_channels", 36)), "image-to-video");
    fails(parseDitConfig(with(json(kDit), "image_dim", 1280)), "image-to-video");
    fails(parseDitConfig(with(json(kDit), "added_kv_proj_dim", 5120)), "image-to-video");
    fails(parseDitConfig(with(json(kDit), "qk_norm", "layer_norm")), "rms_norm_across_heads");
    fails(parseDitConfig(with(json(kDit), "pos_embed_seq_len", 514)), "learned positions");
    fails(parseDitConfig(with(json(kDit), "num_layers", Value())), "num_layers");
    fails(parseVaeConfig(json("{}")), "expected AutoencoderKLWan");
    fails(parseVaeConfig(with(json(kVae), "is_residual", true)), "Wan 2.2");
    fails(parseVaeConfig(with(json(kVae), "patch_size", 2)), "Wan 2.2");
    fails(parseVaeConfig(with(json(kVae), "decoder_base_dim", 256)), "another decoder width");
    fails(parseVaeConfig(with(json(kVae), "attn_scales", Value::Array{1.0})), "another decoder width");
    fails(parseUmt5Config(with(json(kText), "model_type", "t5")), "expected umt5");
    fails(parseUmt5Config(with(json(kText), "dense_act_fn", "relu")), "expected gelu_new");
}

TEST_CASE("config: canopy.json has a closed set of keys") {
    fails(parseModelDefaults(json("[]")), "must hold a JSON map");
    fails(parseModelDefaults(with(json(kDefaults), "version", 2)), "another version than 1");
    fails(parseModelDefaults(with(json(kDefaults), "command", "rm")), "the unknown key \"command\"");
    fails(parseModelDefaults(with(json(kDefaults), "starter", true)), "the unknown key \"starter\"");
    fails(parseModelDefaults(with(json(kDefaults), "frames", with(json(kDefaults)["frames"], "x", 1))),
          "unknown key \"x\"");
    fails(parseModelDefaults(with(json(kDefaults), "kind", "image-to-video")), "expected text-to-video");
    fails(parseModelDefaults(with(json(kDefaults), "modes", Value::Array{"magic"})), "modes");
    fails(parseModelDefaults(with(json(kDefaults), "sizes", Value::Array{})), "number of sizes");
    fails(parseModelDefaults(with(json(kDefaults), "sizes", Value::Array{Value::Array{1}})), "sizes");
    fails(parseModelDefaults(with(json(kDefaults), "sizes", Value::Array{Value::Array{1, 1}})), "sizes = 1");
    for (const char* key :
         {"label", "kind", "text_length", "fps", "shift", "steps", "guidance", "sizes", "frames"})
        fails(parseModelDefaults(with(json(kDefaults), key, Value())), key);
    fails(parseModelDefaults(with(json(kDefaults), "text_length", 0)), "text_length = 0");
    fails(parseModelDefaults(with(json(kDefaults), "fps", 1000)), "fps = 1000");
    fails(parseModelDefaults(with(json(kDefaults), "fps_index", 2)), "fps_index = 2");
    fails(parseModelDefaults(with(json(kDefaults), "shift", -1)), "shift");
    fails(parseModelDefaults(with(json(kDefaults), "steps", 100000)), "steps");
    fails(parseModelDefaults(with(json(kDefaults), "guidance", 1e9)), "guidance");
    fails(parseModelDefaults(with(json(kDefaults), "label", std::string(300, 'x'))), "label");
    fails(parseModelDefaults(
              with(json(kDefaults), "frames", json(R"({"default":1,"trained":[9,3],"step":4})"))),
          "frames.trained");
    fails(
        parseModelDefaults(with(json(kDefaults), "frames", json(R"({"default":1,"trained":[9],"step":4})"))),
        "frames.trained");
}

TEST_CASE("config: files are small, shallow maps") {
    const TemporaryFolder folder;
    CHECK(readConfigFile(folder.write("ok.json", "{}")).ok());
    CHECK_FALSE(readConfigFile(folder.write("list.json", "[]")).ok());
    CHECK_FALSE(readConfigFile(folder.write("big.json", "{}" + std::string(1 << 20, ' '))).ok());
    CHECK_FALSE(readConfigFile(folder.write("deep.json",
                                            "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"))
                    .ok());
    CHECK_FALSE(readConfigFile(folder.write("twice.json", R"({"a":1,"a":2})")).ok());
    CHECK_FALSE(readConfigFile(folder.path() / "gone.json").ok());
}

TEST_CASE("config: known checkpoints") {
    const auto dit = [](ModelFamily family, int heads, int layers, int ffn, bool fps) {
        DitConfig c;
        c.family = family;
        c.heads = heads;
        c.headDim = 128;
        c.layers = layers;
        c.ffnDim = ffn;
        c.fpsEmbedding = fps;
        return c;
    };
    const auto small = dit(ModelFamily::WanT2v, 12, 30, 8960, false);
    const auto large = dit(ModelFamily::WanT2v, 40, 40, 13824, false);
    auto skySmall = dit(ModelFamily::SkyReelsDf, 12, 30, 8960, true);
    auto skyLarge = dit(ModelFamily::SkyReelsDf, 40, 40, 13824, false);
    CHECK_EQ(knownModelDefaults(small, "x").label, "Wan 2.1 T2V 1.3B");
    CHECK_EQ(knownModelDefaults(small, "x").fps, 16);
    CHECK_EQ(knownModelDefaults(large, "x").label, "Wan 2.1 T2V 14B");
    CHECK_EQ(knownModelDefaults(large, "x").guidance, 5);
    CHECK_EQ(knownModelDefaults(large, "Skywork/SkyReels-V2-T2V-14B-540P").label, "SkyReels-V2 T2V 14B");
    CHECK_EQ(knownModelDefaults(skySmall, "x").label, "SkyReels-V2 DF 1.3B 540P");
    CHECK_EQ(knownModelDefaults(skyLarge, "SkyReels-V2-DF-14B-720P").framesDefault, 121);
    CHECK_EQ(knownModelDefaults(skyLarge, "SkyReels-V2-DF-14B-540P").framesDefault, 97);
    CHECK_EQ(knownModelDefaults(skyLarge, "x").fps, 24);
    auto other = skySmall;
    other.layers = 7;
    CHECK_EQ(knownModelDefaults(other, "my model").label, "my model");
    for (const auto& c : {small, large, skySmall, skyLarge, other}) {
        CHECK(checkDefaults(knownModelDefaults(c, "x")).ok());
        CHECK_FALSE(knownModelDefaults(c, "x").negativePrompt.empty());
    }
    CHECK(nameSaysSkyReels("Wan2_1-SkyReels-V2-DF-14B"));
    CHECK_FALSE(nameSaysSkyReels("Wan2.1-T2V"));
}
