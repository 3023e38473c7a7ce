#include <algorithm>
#include <random>

#include "core/base/value_codec.h"
#include "core/formats/model_folders.h"
#include "core/formats/model_scan.h"
#include "core/formats/qa_model.h"
#include "core/formats/qa_tensors.h"
#include "tests/core/formats/fixtures.h"

using namespace canopy;
using namespace canopy::test;

namespace fs = std::filesystem;

namespace {

using Shapes = std::map<std::string, Shape>;

struct Spelling {
    std::string vision, first, second, newline, language, head;
};
const Spelling kHuggingFace = {"vision_tower.vision_model.",      "multi_modal_projector.linear_1.",
                               "multi_modal_projector.linear_2.", "image_newline",
                               "language_model.model.",           "language_model.lm_head.weight"};
const Spelling kMemory = {"model.vision_tower.vision_model.",
                          "model.multi_modal_projector.linear_1.",
                          "model.multi_modal_projector.linear_2.",
                          "model.image_newline",
                          "model.language_model.",
                          "lm_head.weight"};
const Spelling kOriginal = {"model.vision_tower.vision_tower.vision_model.",
                            "model.mm_projector.0.",
                            "model.mm_projector.2.",
                            "model.image_newline",
                            "model.",
                            "lm_head.weight"};

/// Two vision blocks of width 128 (two heads of 64) over 3 x 3 patches of 4, two layers of width 24 with
/// three heads of 8 and one key head, vocabulary 40.
Shapes tensors(const Spelling& n, int visionBlocks = 2, std::uint64_t visionWidth = 128) {
    const std::uint64_t v = visionWidth;
    Shapes out = {{n.vision + "embeddings.patch_embedding.weight", {v, 3, 4, 4}},
                  {n.vision + "embeddings.position_embedding.weight", {9, v}},
                  {n.first + "weight", {24, v}},
                  {n.second + "weight", {24, 24}},
                  {n.newline, {24}},
                  {n.language + "embed_tokens.weight", {40, 24}},
                  {n.language + "norm.weight", {24}},
                  {n.head, {40, 24}}};
    for (int i = 0; i < visionBlocks; ++i)
        out[n.vision + "encoder.layers." + std::to_string(i) + ".mlp.fc1.weight"] = {16, v};
    for (int i = 0; i < 2; ++i) {
        const std::string layer = n.language + "layers." + std::to_string(i) + ".";
        out[layer + "mlp.gate_proj.weight"] = {48, 24};
        out[layer + "self_attn.q_proj.weight"] = {24, 24};
        out[layer + "self_attn.k_proj.weight"] = {8, 24};
        out[layer + "self_attn.v_proj.weight"] = {8, 24};
    }
    return out;
}

Value parsed(std::string_view text) {
    auto json = parseJson(text);
    REQUIRE_MESSAGE(json.ok(), json.error().message);
    return *json;
}

Value huggingFaceConfig() {
    return parsed(R"({"architectures": ["LlavaOnevisionForConditionalGeneration"],
        "vision_feature_layer": -1, "vision_feature_select_strategy": "full", "projector_hidden_act": "gelu",
        "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 128, "image_size": 14,
            "intermediate_size": 16, "num_attention_heads": 4, "num_hidden_layers": 2, "patch_size": 4,
            "layer_norm_eps": 1e-5},
        "text_config": {"model_type": "qwen2", "hidden_size": 24, "intermediate_size": 48, "vocab_size": 40,
            "num_attention_heads": 3, "num_key_value_heads": 1, "num_hidden_layers": 2, "rope_theta": 5000.0,
            "tie_word_embeddings": false, "eos_token_id": 31}})");
}

Value originalConfig() {
    return parsed(R"({"architectures": ["LlavaQwenForCausalLM"], "model_type": "llava_qwen",
        "mm_vision_tower": "google/siglip-so400m-patch4-14", "mm_projector_type": "mlp2x_gelu",
        "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch", "mm_resampler_type": null,
        "mm_spatial_pool_mode": "average", "mm_newline_position": "grid", "add_time_instruction": true,
        "force_sample": true, "hidden_size": 24, "intermediate_size": 48, "vocab_size": 40,
        "num_attention_heads": 3, "num_key_value_heads": 1, "num_hidden_layers": 2, "rope_theta": 1000000.0,
        "rope_scaling": null, "use_sliding_window": false, "sliding_window": 131072, "eos_token_id": 31,
        "max_position_embeddings": 32768, "tokenizer_model_max_length": 16384})");
}

/// A folder with config, weights and an empty tokenizer.
void writeModel(const fs::path& folder, const Value& config, const Shapes& shapes) {
    REQUIRE(writeFileAtomically(folder / "config.json", toJson(config)).ok());
    REQUIRE(writeFileAtomically(folder / "model.safetensors", zeroTensors(shapes)).ok());
    REQUIRE(writeFileAtomically(folder / "tokenizer.json", "{}").ok());
}

QaModelRecord scanned(const fs::path& folder) {
    auto record = scanQaModel(folder);
    REQUIRE_MESSAGE(record.ok(), record.error().message);
    return std::move(*record);
}

void refuses(const fs::path& folder, const char* sentence) {
    const auto record = scanQaModel(folder);
    REQUIRE_MESSAGE(!record.ok(), sentence);
    CHECK_MESSAGE(record.error().message.find(sentence) != std::string::npos, record.error().message);
    CHECK_MESSAGE(record.error().message.find(folder.string()) != std::string::npos, record.error().message);
}

Value with(Value map, std::string_view key, Value value) {
    map.set(key, std::move(value));
    return map;
}
Value withIn(const Value& map, std::string_view part, std::string_view key, Value value) {
    return with(map, part, with(map[part], key, std::move(value)));
}

} // namespace

TEST_CASE("a converted release is read in all spellings of its names") {
    for (const auto* spelling : {&kHuggingFace, &kMemory, &kOriginal}) {
        const TemporaryFolder folder;
        writeModel(folder.path(), huggingFaceConfig(), tensors(*spelling));
        const auto r = scanned(folder.path());
        CHECK(r.id.starts_with("llava-onevision-"));
        CHECK(r.family == QaFamily::LlavaOneVision);
        CHECK(r.missing.empty());
        CHECK(r.vision.imageSize == 14);
        CHECK(r.vision.gridSide() == 3);
        CHECK(r.vision.heads == 4);
        CHECK(r.vision.layers == 2);
        CHECK(r.vision.mlpDim == 16);
        CHECK(r.vision.eps == 1e-5);
        CHECK(r.language.vocabulary == 40);
        CHECK(r.language.headDim == 8);
        CHECK(r.language.kvHeads == 1);
        CHECK(r.language.ropeTheta == 5000);
        CHECK_FALSE(r.language.tiedEmbeddings);
        CHECK(r.pooling == HostPooling::Bilinear);
        CHECK(r.newlines == HostNewlines::OneToken);
        CHECK(r.stopIds == std::vector<std::int32_t>{31});
        CHECK(r.cellsPerSide(HostPooling::Bilinear) == 2);
        CHECK(r.cellsPerSide(HostPooling::Average) == 1);
        CHECK(r.defaults.frames == 32);
        CHECK_FALSE(r.defaults.timeInstruction);
        CHECK_FALSE(r.defaults.starter);
        CHECK(r.visionParameters == 128 * 3 * 16 + 9 * 128 + 2 * 16 * 128);
        CHECK(r.visionParameters + r.languageParameters == r.weightBytes / 2);
    }
}

TEST_CASE("what older and newer configs leave out or move is understood") {
    const TemporaryFolder folder;
    auto config = huggingFaceConfig();
    auto text = config["text_config"].asMap();
    text.erase("rope_theta");
    text.erase("vocab_size");
    Value rope;
    rope.set("rope_theta", 123.0).set("rope_type", "default");
    text["rope_parameters"] = rope;
    config.set("text_config", Value(text));
    writeModel(folder.path(), config, tensors(kHuggingFace));
    CHECK(scanned(folder.path()).language.ropeTheta == 123);
    CHECK(scanned(folder.path()).language.vocabulary == 40);

    // 27 blocks of which the last but one is read, and 26 of which the last one is.
    config = withIn(huggingFaceConfig(), "vision_config", "num_hidden_layers", 3);
    writeModel(folder.path(), with(config, "vision_feature_layer", -2), tensors(kHuggingFace, 3));
    CHECK(scanned(folder.path()).vision.layers == 2);
    writeModel(folder.path(), with(config, "vision_feature_layer", -2), tensors(kHuggingFace, 2));
    CHECK(scanned(folder.path()).vision.layers == 2);
    writeModel(folder.path(), config, tensors(kHuggingFace, 2));
    refuses(folder.path(), "the number of vision blocks is 3 and 2");

    auto shapes = tensors(kHuggingFace);
    shapes.erase(kHuggingFace.head);
    writeModel(folder.path(), huggingFaceConfig(), shapes);
    CHECK(scanned(folder.path()).language.tiedEmbeddings);
}

TEST_CASE("an original release says by its config whether it is LLaVA-Video") {
    const TemporaryFolder folder;
    writeModel(folder.path(), originalConfig(), tensors(kOriginal));
    const auto video = scanned(folder.path());
    CHECK(video.id.starts_with("llava-video-"));
    CHECK(video.family == QaFamily::LlavaVideo);
    CHECK(video.newlines == HostNewlines::Grid);
    CHECK(video.pooling == HostPooling::Average);
    CHECK(video.defaults.timeInstruction);
    CHECK(video.defaults.forceFrames);
    CHECK(video.defaults.frames == 64);
    CHECK(video.vision.heads == 2); // of 64
    CHECK(video.vision.imageSize == 14);
    CHECK(video.vision.layers == 2);
    CHECK(video.language.maxPositions == 16384);

    auto config = originalConfig().asMap();
    for (const char* key :
         {"mm_newline_position", "add_time_instruction", "force_sample", "mm_spatial_pool_mode"})
        config.erase(key);
    writeModel(folder.path(), Value(config), tensors(kOriginal));
    const auto vision = scanned(folder.path());
    CHECK(vision.family == QaFamily::LlavaOneVision);
    CHECK(vision.newlines == HostNewlines::OneToken);
    CHECK(vision.pooling == HostPooling::Bilinear);
    CHECK_FALSE(vision.defaults.timeInstruction);
}

TEST_CASE("the so400m tower of an original release has heads of 72 and 26 blocks") {
    const TemporaryFolder folder;
    for (const int blocks : {26, 27}) {
        writeModel(folder.path(), originalConfig(), tensors(kOriginal, blocks, 1152));
        const auto r = scanned(folder.path());
        CHECK(r.vision.heads == 16);
        CHECK(r.vision.layers == 26);
    }
}

TEST_CASE("what is computed another way is refused with its reason") {
    const TemporaryFolder folder;
    const auto refusesConfig = [&](const Value& config, const char* sentence) {
        writeModel(folder.path(), config, tensors(kHuggingFace));
        refuses(folder.path(), sentence);
    };
    const auto hf = huggingFaceConfig();
    refusesConfig(with(hf, "architectures", Value(Value::Array{"LlavaLlamaForCausalLM"})),
                  "of the class \"LlavaLlamaForCausalLM\"; expected");
    refusesConfig(withIn(hf, "vision_config", "model_type", "clip_vision_model"), "clip_vision_model");
    refusesConfig(withIn(hf, "text_config", "model_type", "llama"), "expected qwen2");
    refusesConfig(withIn(hf, "text_config", "use_sliding_window", true), "use_sliding_window");
    refusesConfig(withIn(hf, "text_config", "rope_scaling", parsed(R"({"type": "yarn"})")), "yarn");
    refusesConfig(withIn(hf, "text_config", "hidden_size", 25), "hidden_size is 25 and 24");
    refusesConfig(withIn(hf, "text_config", "num_key_value_heads", 3), "num_key_value_heads is 3 and 1");
    refusesConfig(withIn(hf, "vision_config", "num_attention_heads", 3), "a divisor of hidden_size");
    refusesConfig(withIn(hf, "vision_config", "image_size", 100), "the number of vision positions");
    refusesConfig(with(hf, "vision_feature_layer", Value(Value::Array{-1, -2})), "several vision blocks");
    refusesConfig(with(hf, "vision_feature_layer", -9), "vision_feature_layer");
    refusesConfig(with(hf, "vision_feature_select_strategy", "default"), "expected full");
    refusesConfig(withIn(hf, "text_config", "rms_norm_eps", 7), "rms_norm_eps");
    refusesConfig(withIn(hf, "text_config", "num_attention_heads", "three"), "num_attention_heads");
    const auto own = originalConfig();
    refusesConfig(with(own, "mm_vision_tower", "openai/clip-vit-large-patch14-336"),
                  "expected a SigLIP tower");
    refusesConfig(with(own, "mm_newline_position", "spiral"), "mm_newline_position");
    refusesConfig(with(own, "mm_spatial_pool_mode", "max"), "pools its visual tokens by \"max\"");
    refusesConfig(with(own, "mm_projector_type", "linear"), "mm_projector_type");
    refusesConfig(with(own, "add_faster_video", true), "add_faster_video");
    refusesConfig(with(own, "mm_vision_select_layer", -1), "mm_vision_select_layer");
}

TEST_CASE("weights that are not whole are refused, and missing parts are sentences") {
    const TemporaryFolder folder;
    auto shapes = tensors(kOriginal);
    std::erase_if(shapes, [](const auto& t) { return t.first.find("vision_tower") != std::string::npos; });
    writeModel(folder.path(), originalConfig(), shapes);
    refuses(folder.path(), "without its vision tower");
    shapes = tensors(kHuggingFace);
    shapes[kHuggingFace.first + "weight"] = {23, 128};
    writeModel(folder.path(), huggingFaceConfig(), shapes);
    refuses(folder.path(), "has 23 where the rest of the model needs 24");
    shapes = tensors(kHuggingFace);
    shapes["language_model.model.layers.0.mlp.down_proj.weight.absmax"] = {4};
    writeModel(folder.path(), huggingFaceConfig(), shapes);
    refuses(folder.path(), "stored with 4 bits");
    shapes = tensors(kHuggingFace);
    shapes.erase(kHuggingFace.newline);
    writeModel(folder.path(), huggingFaceConfig(), shapes);
    fs::remove(folder.path() / "tokenizer.json");
    folder.write("vocab.json", "{}");
    const auto r = scanned(folder.path());
    REQUIRE(r.missing.size() == 2);
    CHECK(r.missing[0].find("image_newline") != std::string::npos);
    CHECK(r.missing[1].find("The tokenizer is missing") != std::string::npos);
    folder.write("merges.txt", "");
    CHECK(scanned(folder.path()).mergesFile == folder.path() / "merges.txt");

    fs::remove(folder.path() / "model.safetensors");
    refuses(folder.path(), "The weights are missing");
    folder.write("pytorch_model.bin", "x");
    refuses(folder.path(), "This is a Torch archive (.bin)");
    folder.write("model-00001-of-00002.safetensors", zeroTensors(tensors(kHuggingFace)));
    folder.write("model.safetensors.index.json",
                 R"({"weight_map": {"image_newline": "model-00001-of-00002.safetensors",
                     "x": "model-00002-of-00002.safetensors"}})");
    refuses(folder.path(), "The model is incomplete");
}

TEST_CASE("stop tokens come from the small files, preprocessing from the preprocessor's") {
    const TemporaryFolder folder;
    writeModel(folder.path(), huggingFaceConfig(), tensors(kHuggingFace));
    folder.write("added_tokens.json", R"({"<|im_end|>": 33, "<|endoftext|>": 32, "<x>": 3})");
    folder.write(
        "tokenizer_config.json",
        R"({"added_tokens_decoder": {"34": {"content": "<|endoftext|>"}, "4": {"content": "<y>"}}})");
    folder.write("generation_config.json", R"({"eos_token_id": [33, 35, 99]})");
    folder.write("preprocessor_config.json", R"({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6],
        "resample": 3, "size": {"height": 14, "width": 14}})");
    auto r = scanned(folder.path());
    CHECK(r.stopIds == std::vector<std::int32_t>{33, 32, 34, 35, 31});
    CHECK(r.imageMean == std::vector<double>{0.1, 0.2, 0.3});
    CHECK(r.imageStd == std::vector<double>{0.4, 0.5, 0.6});
    folder.write("video_preprocessor_config.json", R"({"image_mean": [0.7, 0.7, 0.7]})");
    CHECK(scanned(folder.path()).imageMean == std::vector<double>{0.7, 0.7, 0.7});
    folder.write("video_preprocessor_config.json", R"({"resample": 2})");
    refuses(folder.path(), "resample = 2");
    folder.write("video_preprocessor_config.json", R"({"size": {"height": 15, "width": 14}})");
    refuses(folder.path(), "14 x 15 pixels");
    folder.write("video_preprocessor_config.json", R"({"image_std": [0.5, 0.5, 0.0]})");
    refuses(folder.path(), "image_std");
}

TEST_CASE("canopy.json gives label, frames and questions, and is closed") {
    const TemporaryFolder folder;
    writeModel(folder.path(), huggingFaceConfig(), tensors(kHuggingFace));
    folder.write("canopy.json", R"({"version": 1, "kind": "video-question-answering", "label": "Mine",
        "frames": {"default": 6, "max": 12}, "time_instruction": true, "force_frames": false,
        "questions": ["What is it?"]})");
    const auto d = scanned(folder.path()).defaults;
    CHECK(d.label == "Mine");
    CHECK(d.frames == 6);
    CHECK(d.framesMax == 12);
    CHECK(d.timeInstruction);
    CHECK_FALSE(d.forceFrames);
    CHECK(d.questions == std::vector<std::string>{"What is it?"});
    const auto refusesText = [&](const char* text, const char* sentence) {
        folder.write("canopy.json", text);
        refuses(folder.path(), sentence);
    };
    refusesText(R"({"version": 2})", "another version than 1");
    refusesText(R"({"version": 1, "kind": "text-to-video"})", "expected video-question-answering");
    refusesText(R"({"version": 1, "kind": "video-question-answering", "run": "x"})", "unknown key \"run\"");
    refusesText(R"({"version": 1, "kind": "video-question-answering", "frames": {"default": 9, "max": 8}})",
                "frames.default");
}

TEST_CASE("each search lists its own kind of model only") {
    const TemporaryFolder folder;
    fs::create_directories(folder.path() / "a/qa");
    writeModel(folder.path() / "a/qa", huggingFaceConfig(), tensors(kHuggingFace));
    const auto cache = folder.path() / "models--org--name/snapshots/12ab";
    fs::create_directories(cache);
    writeModel(cache, originalConfig(), tensors(kOriginal));
    fs::create_directories(folder.path() / "broken");
    folder.write("broken/config.json", toJson(huggingFaceConfig()));
    fs::create_directories(folder.path() / "other");
    folder.write("other/config.json", R"({"architectures": ["BertModel"]})");
    const auto found = scanQaFolder(folder.path());
    REQUIRE(found.size() == 3);
    CHECK(found[0].record.root == folder.path() / "a/qa");
    CHECK(found[0].record.defaults.label == "qa");
    REQUIRE(found[1].error);
    CHECK(found[1].record.missing == std::vector<std::string>{found[1].error->message});
    CHECK(found[2].record.root == cache);
    CHECK(found[2].record.defaults.label == "org/name");
    CHECK(scanFolder(folder.path()).empty());
    const auto asGenerator = scanModel(folder.path() / "a/qa");
    REQUIRE(!asGenerator.ok());
    CHECK(asGenerator.error().message.find("answers questions about videos and makes none") !=
          std::string::npos);

    const ModelFolders folders(folder.path() / "list.json");
    REQUIRE(folders.add(folder.path()).ok());
    const auto all = scanQaModels(folders);
    CHECK(std::count_if(all.begin(), all.end(), [](const QaScanResult& r) { return r.error.has_value(); }) ==
          1);
    const auto byId = findQaModel(found[2].record.id, folders);
    REQUIRE_MESSAGE(byId.ok(), byId.error().message);
    CHECK(byId->root == cache);
    CHECK(findQaModel((folder.path() / "a/qa/model.safetensors").string(), folders).ok());
    const auto none = findQaModel("llava-video-0", folders);
    REQUIRE(!none.ok());
    CHECK(none.error().message.find(found[2].record.id) != std::string::npos);
}

TEST_CASE("the starter that comes with the program is found and can run") {
    const auto root = sourceFolder() / "resources/models";
    const auto found = scanQaFolder(root);
    REQUIRE(found.size() == 1);
    REQUIRE_MESSAGE(!found[0].error, found[0].error->message);
    const auto& r = found[0].record;
    CHECK(r.root == root / "starter-qa");
    CHECK(r.missing.empty());
    CHECK(r.vision.layers == 6);
    CHECK(r.vision.heads == 3);
    CHECK(r.vision.gridSide() == 28);
    CHECK(r.cellsPerSide(r.pooling) == 14);
    CHECK(r.language.heads == 5);
    CHECK(r.language.kvHeads == 1);
    CHECK(r.language.headDim == 64);
    CHECK(r.language.ropeTheta == 1e6);
    CHECK(r.language.tiedEmbeddings);
    CHECK(r.stopIds == std::vector<std::int32_t>{2050, 2048});
    CHECK(r.defaults.frames == 8);
    CHECK(r.defaults.framesMax == 32);
    CHECK(r.defaults.questions.size() == 5);
    CHECK(r.visionParameters > 2'200'000);
    CHECK(r.visionParameters + r.languageParameters < 9'800'000);
    for (const auto& generator : scanFolder(root))
        CHECK_MESSAGE(!generator.error, generator.error->message);
}

TEST_CASE("500 damaged configurations are refused, or give a record that passes its check") {
    const TemporaryFolder folder;
    std::mt19937 random(7);
    int read = 0;
    for (int i = 0; i < 500; ++i) {
        CAPTURE(i);
        const bool original = i % 2 != 0;
        std::string text = toJson(original ? originalConfig() : huggingFaceConfig());
        for (unsigned n = 1 + random() % 3; n > 0; --n) {
            const std::size_t at = random() % text.size();
            switch (random() % 3) {
            case 0:
                text[at] = "0123456789-.e\"[]{}nt"[random() % 20];
                break;
            case 1:
                text.insert(at, 1 + random() % 12, "0123456789"[random() % 10]);
                break;
            default:
                text.erase(at, 1 + random() % 6);
            }
        }
        if (i < 2)
            writeModel(folder.path(), originalConfig(), tensors(i == 0 ? kHuggingFace : kOriginal));
        folder.write("config.json", text);
        const auto record = scanQaModel(folder.path());
        if (!record) {
            CHECK(record.error().message.size() > 20);
            continue;
        }
        ++read;
        CHECK(checkQaModel(*record).ok());
    }
    CHECK(read > 5);
    CHECK(read < 490);
}
