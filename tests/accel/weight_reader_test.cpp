#include "accel/weights/weight_reader.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <doctest/doctest.h>

#include <filesystem>
#include <limits>

#include "accel/weights/name_map.h"
#include "core/base/files.h"
#include "core/formats/safetensors.h"

namespace fs = std::filesystem;
using namespace canopy;
using namespace canopy::accel;

namespace {

/// One checkpoint file in a folder of its own.
struct Files {
    Files() {
        std::string name = (fs::temp_directory_path() / "canopy-weights-XXXXXX").string();
        folder = ::mkdtemp(name.data());
    }
    ~Files() { fs::remove_all(folder); }

    void add(const std::string& name, DType dtype, const at::Tensor& tensor) {
        keep.push_back(tensor.contiguous());
        TensorBytes t{name,
                      dtype,
                      {},
                      {static_cast<const std::uint8_t*>(keep.back().const_data_ptr()), tensor.nbytes()}};
        for (const auto n : tensor.sizes())
            t.shape.push_back(static_cast<std::uint64_t>(n));
        tensors.push_back(t);
    }
    Checkpoint open() {
        REQUIRE(writeFileAtomically(folder / "w.safetensors", writeSafetensors(tensors)).ok());
        auto checkpoint = Checkpoint::open({folder / "w.safetensors"});
        REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.error().message);
        return std::move(checkpoint).value();
    }

    fs::path folder;
    std::vector<at::Tensor> keep;
    std::vector<TensorBytes> tensors;
};

at::Tensor floats(std::vector<float> v) {
    return at::tensor(v);
}

} // namespace

TEST_CASE("8-bit rows and scaled fp8 come out as the weights they stand for, under canonical names") {
    Files files;
    files.add("model.diffusion_model.blocks.0.self_attn.q.weight", DType::I8,
              at::tensor(std::vector<std::int64_t>{127, -127, 64, 0}).to(at::kChar).view({2, 2}));
    files.add("model.diffusion_model.blocks.0.self_attn.q.SCB", DType::F32, floats({2.0f, 1.0f}));
    files.add("model.diffusion_model.blocks.0.self_attn.q.weight_format", DType::U8,
              at::tensor(std::vector<std::int64_t>{0}).to(at::kByte));
    files.add("model.diffusion_model.head.head.weight", DType::F8E4M3,
              floats({1.5f, -2.0f}).view({1, 2}).to(at::kFloat8_e4m3fn));
    files.add("model.diffusion_model.head.head.scale_weight", DType::F32, floats({0.5f}));
    files.add("scaled_fp8", DType::F8E4M3, floats({0.0f}).to(at::kFloat8_e4m3fn));
    const auto checkpoint = files.open();
    WeightReader reader(checkpoint, WeightReader::Part::Transformer, at::kCPU, at::kFloat, {});
    const auto q = reader.take("blocks.0.attn1.to_q.weight", {2, 2});
    CHECK((q - floats({2.0f, -2.0f, 64.0f / 127.0f, 0.0f}).view({2, 2})).abs().max().item<float>() < 1e-6f);
    CHECK(reader.take("proj_out.weight", {1, 2}).equal(floats({0.75f, -1.0f}).view({1, 2})));
    CHECK_MESSAGE(reader.finish().ok(), reader.finish().error().message);
}

TEST_CASE("missing, misshapen and unexpected tensors are named in one report") {
    Files files;
    files.add("proj_out.weight", DType::F32, floats({1, 2}));
    files.add("surprise.weight", DType::F32, floats({1}));
    const auto checkpoint = files.open();
    WeightReader reader(checkpoint, WeightReader::Part::Transformer, at::kCPU, at::kFloat, {});
    CHECK(reader.take("proj_out.weight", {3}).sizes() == at::IntArrayRef({3}));
    reader.take("proj_out.bias", {4});
    const auto report = reader.finish();
    REQUIRE_FALSE(report.ok());
    CHECK(report.error().code == ErrorCode::Mismatch);
    for (const char* part :
         {"proj_out.bias [4]", "proj_out.weight: found [2], expected [3]", "surprise.weight"})
        CHECK_MESSAGE(report.error().message.find(part) != std::string::npos, part);
}

TEST_CASE("weights that are not numbers are refused by name") {
    Files files;
    files.add("proj_out.weight", DType::F32, floats({1, std::numeric_limits<float>::quiet_NaN()}));
    files.add("proj_out.bias", DType::F32, floats({1}));
    const auto checkpoint = files.open();
    WeightReader reader(checkpoint, WeightReader::Part::Transformer, at::kCPU, at::kFloat, {});
    reader.take("proj_out.weight", {2});
    reader.take("proj_out.bias", {1});
    const auto report = reader.finish();
    REQUIRE_FALSE(report.ok());
    CHECK(report.error().code == ErrorCode::Malformed);
    CHECK(report.error().message.find("proj_out.weight") != std::string::npos);
    CHECK(report.error().message.find("proj_out.bias") == std::string::npos);
}

TEST_CASE("the spellings of a video question-answering model come to one") {
    const auto name = [](std::string_view text) { return canonicalName(WeightReader::Part::VideoQa, text); };
    // As in transformers' files, as in the original repository, as recent transformers holds it in memory.
    const std::string_view spellings[][4] = {
        {"language_model.model.layers.3.self_attn.q_proj.bias", "model.layers.3.self_attn.q_proj.bias",
         "model.language_model.layers.3.self_attn.q_proj.bias",
         "language_model.model.layers.3.self_attn.q_proj.bias"},
        {"language_model.model.embed_tokens.weight", "model.embed_tokens.weight",
         "model.language_model.embed_tokens.weight", "model.embed_tokens.weight"},
        {"language_model.model.norm.weight", "model.norm.weight", "model.language_model.norm.weight",
         "model.norm.weight"},
        {"language_model.lm_head.weight", "lm_head.weight", "lm_head.weight", "lm_head.weight"},
        {"image_newline", "model.image_newline", "model.image_newline", "image_newline"},
        {"multi_modal_projector.linear_1.weight", "model.mm_projector.0.weight",
         "model.multi_modal_projector.linear_1.weight", "model.mm_projector.0.weight"},
        {"multi_modal_projector.linear_2.bias", "model.mm_projector.2.bias",
         "model.multi_modal_projector.linear_2.bias", "model.mm_projector.2.bias"},
        {"vision_tower.vision_model.encoder.layers.4.mlp.fc1.weight",
         "model.vision_tower.vision_tower.vision_model.encoder.layers.4.mlp.fc1.weight",
         "model.vision_tower.vision_model.encoder.layers.4.mlp.fc1.weight",
         "model.vision_tower.encoder.layers.4.mlp.fc1.weight"},
    };
    for (const auto& row : spellings) {
        for (const auto spelling : row)
            CHECK(name(spelling) == row[0]);
    }
}

TEST_CASE("a video tower's last block and head may be there and are left alone") {
    Files files;
    const auto one = floats({1});
    files.add("model.vision_tower.vision_tower.vision_model.encoder.layers.0.layer_norm1.bias", DType::F32,
              one);
    files.add("model.vision_tower.vision_tower.vision_model.encoder.layers.1.layer_norm1.bias", DType::F32,
              one);
    files.add("model.vision_tower.vision_tower.vision_model.post_layernorm.bias", DType::F32, one);
    files.add("model.vision_tower.vision_tower.vision_model.head.probe", DType::F32, one);
    files.add("model.layers.0.self_attn.rotary_emb.inv_freq", DType::F32, one);
    const auto checkpoint = files.open();
    const std::string blocks = "vision_tower.vision_model.encoder.layers.";
    WeightReader reader(checkpoint, WeightReader::Part::VideoQa, at::kCPU, at::kFloat, {});
    reader.take(blocks + "0.layer_norm1.bias", {1});
    const auto strict = reader.finish();
    REQUIRE(!strict.ok());
    CHECK(strict.error().message.find("layers.1.layer_norm1.bias") != std::string::npos);
    CHECK(strict.error().message.find("post_layernorm") == std::string::npos);
    CHECK(strict.error().message.find("inv_freq") == std::string::npos);
    reader.ignoreUnder(blocks + "1.");
    CHECK(reader.finish().ok());
}
