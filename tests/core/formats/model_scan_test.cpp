#include "core/formats/model_scan.h"

#include <algorithm>

#include "core/base/value_codec.h"
#include "core/formats/model_folders.h"
#include "core/formats/part_tensors.h"
#include "tests/core/formats/fixtures.h"

using namespace canopy;
using namespace canopy::test;

namespace fs = std::filesystem;

namespace {

using Shapes = std::map<std::string, Shape>;

/// A transformer of one head of 128, `layers` layers and feed-forward 24 in diffusers' names.
Shapes diffusersDit(int layers = 2, std::uint64_t inChannels = 16, std::uint64_t textDim = 24) {
    Shapes out = {{"patch_embedding.weight", {128, inChannels, 1, 2, 2}},
                  {"condition_embedder.time_embedder.linear_1.weight", {128, 256}},
                  {"condition_embedder.text_embedder.linear_1.weight", {128, textDim}},
                  {"proj_out.weight", {64, 128}}};
    for (int i = 0; i < layers; ++i) {
        const std::string block = "blocks." + std::to_string(i) + ".";
        out[block + "ffn.net.0.proj.weight"] = {24, 128};
        out[block + "norm2.weight"] = {128};
    }
    return out;
}

Shapes originalDit(const std::string& prefix = "", std::uint64_t inChannels = 16) {
    Shapes out = {{"patch_embedding.weight", {128, inChannels, 1, 2, 2}},
                  {"time_embedding.0.weight", {128, 256}},
                  {"text_embedding.0.weight", {128, 24}},
                  {"head.head.weight", {64, 128}},
                  {"blocks.0.ffn.0.weight", {24, 128}},
                  {"blocks.0.norm3.weight", {128}}};
    Shapes prefixed;
    for (auto& [name, shape] : out)
        prefixed[prefix + name] = shape;
    return prefixed;
}

Shapes originalVae() {
    return {{"encoder.conv1.weight", {4, 3, 3, 3, 3}},
            {"conv2.weight", {16, 16, 1, 1, 1}},
            {"decoder.conv1.weight", {16, 16, 3, 3, 3}},
            {"encoder.downsamples.0.residual.2.weight", {4, 4, 3, 3, 3}}};
}

Shapes diffusersVae() {
    return {{"encoder.conv_in.weight", {4, 3, 3, 3, 3}},
            {"post_quant_conv.weight", {16, 16, 1, 1, 1}},
            {"decoder.conv_in.weight", {16, 16, 3, 3, 3}},
            {"encoder.down_blocks.0.conv1.weight", {4, 4, 3, 3, 3}}};
}

Shapes umt5(bool everyLayer = true) {
    Shapes out = {{"shared.weight", {30, 24}}};
    for (int i = 0; i < 2; ++i) {
        const std::string layer = "encoder.block." + std::to_string(i) + ".layer.";
        out[layer + "0.SelfAttention.q.weight"] = {16, 24};
        out[layer + "1.DenseReluDense.wi_0.weight"] = {40, 24};
        out[layer + "1.DenseReluDense.wi_1.weight"] = {40, 24};
        if (i == 0 || everyLayer)
            out[layer + "0.SelfAttention.relative_attention_bias.weight"] = {32, 2};
    }
    return out;
}

Shapes originalUmt5() {
    return {{"token_embedding.weight", {30, 24}},
            {"blocks.0.attn.q.weight", {16, 24}},
            {"blocks.0.pos_embedding.embedding.weight", {32, 2}},
            {"blocks.0.ffn.gate.0.weight", {40, 24}},
            {"blocks.0.ffn.fc1.weight", {40, 24}}};
}

const char* kDit =
    R"({"_class_name":"SkyReelsV2Transformer3DModel","num_attention_heads":1,"attention_head_dim":128,
    "in_channels":16,"text_dim":24,"freq_dim":256,"ffn_dim":24,"num_layers":2})";
const char* kVae = R"({"_class_name":"AutoencoderKLWan","base_dim":4,"z_dim":16,"dim_mult":[1,2,4,4],
    "temperal_downsample":[false,true,true]})";
const char* kText =
    R"({"model_type":"umt5","vocab_size":30,"d_model":24,"d_kv":8,"num_heads":2,"d_ff":40,"num_layers":2})";

Bytes tokenizer() {
    return spModel({piece("a", -1)});
}

void writeDiffusers(const TemporaryFolder& folder, const std::string& root) {
    folder.write(root + "model_index.json", R"({"_class_name":"SkyReelsV2DiffusionForcingPipeline"})");
    folder.write(root + "transformer/config.json", kDit);
    folder.write(root + "transformer/diffusion_pytorch_model.safetensors", zeroTensors(diffusersDit()));
    folder.write(root + "vae/config.json", kVae);
    folder.write(root + "vae/diffusion_pytorch_model.safetensors", zeroTensors(diffusersVae()));
    folder.write(root + "text_encoder/config.json", kText);
    folder.write(root + "text_encoder/model.safetensors", zeroTensors(umt5()));
    folder.write(root + "tokenizer/spiece.model", tokenizer());
}

ModelRecord scanned(const fs::path& path) {
    auto record = scanModel(path);
    REQUIRE_MESSAGE(record.ok(), record.error().message);
    return std::move(*record);
}

void fails(const fs::path& path, std::string_view sentence) {
    const auto record = scanModel(path);
    REQUIRE_MESSAGE(!record.ok(), sentence);
    CHECK_MESSAGE(record.error().message.find(sentence) != std::string::npos, record.error().message);
}

bool says(const std::vector<std::string>& sentences, std::string_view part) {
    return std::any_of(sentences.begin(), sentences.end(),
                       [&](const std::string& s) { return s.find(part) != std::string::npos; });
}

} // namespace

TEST_CASE("scan: the starter model") {
    const auto record = scanned(sourceFolder() / "resources/models/starter-video");
    CHECK(record.missing.empty());
    CHECK(record.family == ModelFamily::SkyReelsDf);
    CHECK_EQ(record.defaults.label, "Starter (drawn world)");
    CHECK_EQ(record.defaults.textLength, 64);
    CHECK_EQ(record.dit.heads, 6);
    CHECK_EQ(record.dit.headDim, 64);
    CHECK(record.dit.fpsEmbedding);
    CHECK_EQ(record.transformerParameters, 15603264); // scales of 8-bit rows are no parameters
    CHECK_EQ(record.textParameters, 3542272);
    CHECK_EQ(record.vaeParameters, 3602371);
    CHECK(record.id.starts_with("skyreels-df-"));
    CHECK_EQ(record.id.size(), 20);
    CHECK_EQ(record.tokenizerFile.filename(), "spiece.model");
    CHECK_EQ(record.licenceFile.filename(), "LICENSE");
    CHECK(checkModelRecord(record).ok());
}

TEST_CASE("scan: a diffusers folder, whole and with parts missing") {
    const TemporaryFolder folder;
    writeDiffusers(folder, "");
    const auto whole = scanned(folder.path());
    CHECK(whole.missing.empty());
    CHECK_FALSE(whole.defaults.starter);
    CHECK_EQ(whole.weightBytes,
             2 * (whole.transformerParameters + whole.textParameters + whole.vaeParameters));

    fs::remove_all(folder.path() / "tokenizer");
    fs::remove_all(folder.path() / "vae");
    fs::rename(folder.path() / "text_encoder/model.safetensors",
               folder.path() / "text_encoder/pytorch_model.bin");
    const auto partial = scanned(folder.path());
    CHECK_EQ(partial.missing.size(), 3);
    CHECK(says(partial.missing, "Torch archive only"));
    CHECK(says(partial.missing, "The tokenizer is missing"));
    CHECK(partial.vaeFiles.empty());

    fs::remove(folder.path() / "transformer/diffusion_pytorch_model.safetensors");
    fails(folder.path(), "transformer is missing");
}

TEST_CASE("scan: config and weights that differ") {
    const TemporaryFolder folder;
    writeDiffusers(folder, "");
    std::string config = kDit;
    config.replace(config.find("\"num_layers\":2"), 14, "\"num_layers\":3");
    folder.write("transformer/config.json", config);
    fails(folder.path(), "num_layers is 3 and 2");
    folder.write("transformer/config.json", kDit);
    folder.write("text_encoder/config.json",
                 std::string(kText).replace(std::string(kText).find("\"d_ff\":40"), 9, "\"d_ff\":41"));
    fails(folder.path(), "d_ff is 41 and 40");
    folder.write("text_encoder/config.json", kText);
    folder.write("vae/config.json",
                 std::string(kVae).replace(std::string(kVae).find("\"base_dim\":4"), 12, "\"base_dim\":5"));
    fails(folder.path(), "base_dim is 5 and 4");
    folder.write("vae/config.json", kVae);
    folder.write("vae/diffusion_pytorch_model.safetensors", zeroTensors(umt5()));
    fails(folder.path(), "another kind of model");
    writeDiffusers(folder, "");
    folder.write("text_encoder/model.safetensors", zeroTensors(diffusersVae()));
    fails(folder.path(), "Expected a text encoder and found an autoencoder");
    writeDiffusers(folder, "");
    folder.write("canopy.json", R"({"version":1,"x":1})");
    fails(folder.path(), "unknown key");
    fs::remove(folder.path() / "canopy.json");
    folder.write("model_index.json", R"({"transformer_2":["diffusers","WanTransformer3DModel"]})");
    fails(folder.path(), "two transformers");
    folder.write("model_index.json", R"({"transformer_2":[null,null],"_class_name":"SkyReelsV2Pipeline"})");
    CHECK(scanned(folder.path()).family == ModelFamily::WanT2v);
    folder.write("text_encoder/config.json",
                 std::string(kText).replace(std::string(kText).find("\"d_model\":24"), 12, "\"d_model\":32"));
    fails(folder.path(), "d_model is 32 and 24");
}

TEST_CASE("scan: releases in their own layout") {
    const TemporaryFolder folder;
    folder.write("diffusion_pytorch_model.safetensors", zeroTensors(originalDit()));
    folder.write("config.json", R"({"_class_name":"WanModel","num_heads":1})");
    folder.write("Wan2.1_VAE.pth", Bytes{1});
    folder.write("models_t5_umt5-xxl-enc-bf16.pth", Bytes{1});
    folder.write("google/umt5-xxl/spiece.model", tokenizer());
    folder.write("LICENSE.txt", "x");
    auto record = scanned(folder.path());
    CHECK(record.family == ModelFamily::WanT2v);
    CHECK_EQ(record.root, folder.path());
    CHECK_EQ(record.tokenizerFile, folder.path() / "google/umt5-xxl/spiece.model");
    CHECK_EQ(record.licenceFile.filename(), "LICENSE.txt");
    CHECK_EQ(record.missing.size(), 2);
    CHECK(says(record.missing, "The autoencoder is there as a Torch archive only"));
    CHECK(says(record.missing, "The text encoder is there as a Torch archive only"));
    // Converted parts are found by their tensors, whatever they are called.
    folder.write("anything.safetensors", zeroTensors(originalVae()));
    folder.write("else.safetensors", zeroTensors(originalUmt5()));
    record = scanned(folder.path());
    CHECK(record.missing.empty());
    CHECK_EQ(record.vaeFiles.front().filename(), "anything.safetensors");
    // SkyReels-V2 14B has Wan's tensors; its config.json says what it is.
    folder.write("config.json", R"({"inject_sample_info":false})");
    CHECK(scanned(folder.path()).family == ModelFamily::SkyReelsDf);
}

TEST_CASE("scan: numbered shards, with and without an index") {
    const TemporaryFolder folder;
    auto shapes = originalDit();
    Shapes first, second;
    for (const auto& [name, shape] : shapes)
        (first.size() < 3 ? first : second)[name] = shape;
    folder.write("model-00001-of-00002.safetensors", zeroTensors(first));
    fails(folder.path(), "Only one of 2 shards");
    folder.write("model-00002-of-00002.safetensors", zeroTensors(second));
    CHECK_EQ(scanned(folder.path()).transformerFiles.size(), 2);
    folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"../x.safetensors"}})");
    fails(folder.path(), "Unsafe path in index");
}

TEST_CASE("scan: ComfyUI's single files around a transformer") {
    const TemporaryFolder folder;
    const auto dit = folder.write("models/diffusion_models/wan_t2v_fp8_scaled.safetensors",
                                  zeroTensors(originalDit("model.diffusion_model."), DType::F8E4M3, 0,
                                              {{"model.diffusion_model.blocks.0.ffn.0.scale_weight", {1}},
                                               {"model.diffusion_model.scaled_fp8", {2}}}));
    folder.write("models/diffusion_models/lora.safetensors",
                 zeroTensors({{"diffusion_model.blocks.0.x.lora_A", {1}}}));
    folder.write("models/vae/wan_2.1_vae.safetensors", zeroTensors(originalVae()));
    folder.write("models/vae/other.safetensors", zeroTensors({{"x", {1}}}));
    const Bytes model = tokenizer();
    folder.write("models/text_encoders/umt5_xxl.safetensors",
                 zeroTensors(umt5(), DType::BF16, 0, {{"spiece_model", {model.size()}}}));
    const auto record = scanned(dit);
    CHECK(record.missing.empty());
    CHECK_EQ(record.root, dit);
    CHECK_EQ(record.transformerParameters, 128 * 16 * 4 + 128 * 256 + 128 * 24 + 64 * 128 + 24 * 128 + 128);
    CHECK_EQ(record.tokenizerFile, record.textEncoderFiles.front()); // it carries its own
    const auto part = recognisePart(*Checkpoint::open({dit}));
    REQUIRE(part.ok());
    CHECK(part->layout == KeyLayout::Original);
    CHECK_EQ(part->prefix, "model.diffusion_model.");

    const auto found = scanFolder(folder.path());
    int records = 0, errors = 0;
    for (const auto& result : found) {
        records += result.record ? 1 : 0;
        errors += result.error ? 1 : 0;
        CHECK(result.record.has_value() != result.error.has_value());
    }
    CHECK_EQ(records, 1);
    CHECK_EQ(errors, 2); // the adapter and the unknown file
    fails(folder.path() / "models/vae/wan_2.1_vae.safetensors", "holds an autoencoder");
}

TEST_CASE("scan: a Hugging Face cache of symbolic links") {
    const TemporaryFolder folder;
    const std::string cache = "hub/models--Wan-AI--Tiny/";
    writeDiffusers(folder, cache + "blobs-as-folder/");
    const auto snapshot = folder.path() / cache / "snapshots" / "0123abcd";
    fs::create_directories(snapshot);
    for (const char* file :
         {"model_index.json", "transformer/config.json", "transformer/diffusion_pytorch_model.safetensors",
          "vae/config.json", "vae/diffusion_pytorch_model.safetensors", "text_encoder/config.json",
          "text_encoder/model.safetensors", "tokenizer/spiece.model"}) {
        fs::create_directories((snapshot / file).parent_path());
        fs::create_symlink(folder.path() / cache / "blobs-as-folder" / file, snapshot / file);
    }
    fs::create_directories(folder.path() / cache / "snapshots" / "ffff");
    folder.write(cache + "refs/main", "0123abcd\n");
    const auto record = scanned(folder.path() / cache);
    CHECK_EQ(record.root, snapshot);
    CHECK_EQ(record.defaults.label, "Wan-AI/Tiny");
    const auto found = scanFolder(folder.path());
    REQUIRE_EQ(found.size(), 1);
    CHECK(found.front().record.has_value());
    // A reference that points elsewhere is not followed.
    folder.write(cache + "refs/main", "../../../etc");
    fails(folder.path() / cache, "There is no model in this folder");
}

TEST_CASE("scan: what is no text-to-video model is refused with a sentence") {
    const TemporaryFolder folder;
    const auto write = [&](const Shapes& shapes, DType type = DType::BF16) {
        return folder.write("x.safetensors", zeroTensors(shapes, type));
    };
    const auto plus = [](Shapes shapes, const std::string& name, const Shape& shape) {
        shapes[name] = shape;
        return shapes;
    };
    fails(write(originalDit("", 36)), "image-to-video");
    fails(write(diffusersDit(2, 36)), "image-to-video");
    fails(write(plus(originalDit(), "img_emb.proj.0.weight", {1})), "image-to-video");
    fails(write(plus(originalDit(), "blocks.0.cross_attn.k_img.weight", {1})), "image-to-video");
    fails(write(plus(originalDit(), "vace_blocks.0.x", {1})), "VACE");
    fails(write({{"x", {1}}}), "belong to no model that is known here");
    fails(write({}), "belong to no model that is known here");
    fails(write({{"lora_unet_x", {1}}}), "LoRA");
    fails(write(umt5(false)), "one position table for all layers");
    auto narrow = originalDit();
    narrow["patch_embedding.weight"] = {100, 16, 1, 2, 2};
    fails(write(narrow), "no multiple of its head size 128");
    auto gap = diffusersDit();
    gap["blocks.7.norm2.weight"] = {128};
    fails(write(gap), "num_layers = -1");
    auto vae22 = originalVae();
    vae22["encoder.conv1.weight"] = {4, 12, 3, 3, 3};
    fails(write(vae22), "another kind than Wan 2.1's");
    fails(write(plus(originalDit(), "blocks.0.x.absmax", {1})), "4 bits");
    fails(folder.write("y.pth", Bytes{1}), "Torch archive");
    fails(folder.path() / "gone", "no such file or folder");
    const TemporaryFolder empty;
    fails(empty.path(), "There is no model in this folder");
    empty.write("z.ckpt", Bytes{1});
    fails(empty.path(), "Torch archive");
    const TemporaryFolder two;
    two.write("a.safetensors", zeroTensors(originalDit(), DType::BF16, 1));
    two.write("b.safetensors", zeroTensors(originalDit(), DType::BF16, 2));
    fails(two.path(), "There are 2 transformers");
    const auto found = scanFolder(two.path());
    REQUIRE_EQ(found.size(), 2);
    REQUIRE(found[0].record.has_value());
    CHECK_NE(found[0].record->id, found[1].record->id); // two trainings of one architecture
}

TEST_CASE("scan: folders that lead back into themselves end") {
    const TemporaryFolder folder;
    writeDiffusers(folder, "m/");
    fs::create_directory_symlink(folder.path(), folder.path() / "m-again");
    fs::create_directories(folder.path() / "a/b/c/d/e/f/g/h");
    fs::create_directory_symlink(folder.path() / "a", folder.path() / "a/b/loop");
    CHECK_EQ(scanFolder(folder.path()).size(), 1);
    CHECK(scanFolder(folder.path() / "gone").empty());
}

TEST_CASE("scan: records are checked before they are used") {
    const auto good = scanned(sourceFolder() / "resources/models/starter-video");
    const auto broken = [&](auto change) {
        ModelRecord r = good;
        change(r);
        return !checkModelRecord(r).ok();
    };
    CHECK(broken([](ModelRecord& r) { r.dit.layers = 1 << 30; }));
    CHECK(broken([](ModelRecord& r) { r.vae.latentChannels = 8; }));
    CHECK(broken([](ModelRecord& r) { r.vae.latentsStd[0] = 0; }));
    CHECK(broken([](ModelRecord& r) { r.text.modelDim = 255; }));
    CHECK(broken([](ModelRecord& r) { r.defaults.steps = 0; }));
    CHECK(broken([](ModelRecord& r) { r.defaults.sizes.clear(); }));
    CHECK(broken([](ModelRecord& r) { r.family = ModelFamily::WanT2v; }));
    CHECK(broken([](ModelRecord& r) { r.id.assign(201, 'x'); }));
    CHECK(broken([](ModelRecord& r) { r.transformerFiles.resize(5000); }));
    CHECK(broken([](ModelRecord& r) { r.missing.resize(100); }));
}

TEST_CASE("folders: remembered, listed, found by id and by path") {
    const TemporaryFolder folder;
    writeDiffusers(folder, "models/tiny/");
    const ModelFolders folders(folder.path() / "config/model-folders.json");
    REQUIRE(folders.list().ok());
    CHECK(folders.list()->empty());
    REQUIRE(folders.add(folder.path() / "models/").ok());
    REQUIRE(folders.add(folder.path() / "models").ok()); // once
    CHECK_EQ(*folders.list(), std::vector<fs::path>{folder.path() / "models"});
    CHECK_FALSE(folders.add(folder.path() / "gone").ok());

    const auto id = scanned(folder.path() / "models/tiny").id;
    const auto byId = findModel(id, folders);
    REQUIRE_MESSAGE(byId.ok(), byId.error().message);
    CHECK_EQ(byId->root, folder.path() / "models/tiny");
    CHECK(findModel((folder.path() / "models/tiny").string(), folders).ok());
    const auto unknown = findModel("wan-t2v-00000000", folders);
    REQUIRE(!unknown.ok());
    CHECK(unknown.error().message.find(id) != std::string::npos); // says which there are

    REQUIRE(folders.remove(folder.path() / "models").ok());
    CHECK_FALSE(folders.remove(folder.path() / "models").ok());
    CHECK(folders.list()->empty());
    for (const char* text : {"", "[]", "{}", R"({"version":2,"folders":[]})",
                             R"({"version":1,"folders":["relative"]})", R"({"version":1,"folders":[1]})"}) {
        folder.write("config/model-folders.json", text);
        const auto list = folders.list();
        REQUIRE(!list.ok());
        CHECK(list.error().message.find("repair or delete it") != std::string::npos);
    }
}

TEST_CASE("folders: models that came with the program are starters") {
    ::setenv("CANOPY_RESOURCES", (sourceFolder() / "resources").c_str(), 1);
    const TemporaryFolder folder;
    const ModelFolders none(folder.path() / "model-folders.json");
    const auto found = none.scan();
    REQUIRE(!found.empty());
    REQUIRE(found.front().record.has_value());
    CHECK(found.front().record->defaults.starter);
    const auto first = findModel("", none);
    REQUIRE(first.ok());
    CHECK_EQ(first->id, found.front().record->id);
    ::unsetenv("CANOPY_RESOURCES");
}
