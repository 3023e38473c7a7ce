#include "tests/accel/parity/qa_models.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <doctest/doctest.h>

#include "accel/weights/weight_reader.h"
#include "core/formats/safetensors.h"

namespace canopy::test {

using namespace canopy::accel;

namespace {

int integer(const Value& config, const char* key) {
    const auto value = config[key].asInt(-1);
    REQUIRE_MESSAGE(value >= 0, "the case's config lacks ", key);
    return static_cast<int>(value);
}

template <typename Model, typename Config>
std::unique_ptr<Model> load(const Config& config, const std::filesystem::path& file) {
    const auto checkpoint = Checkpoint::open({file});
    REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.error().message);
    WeightReader reader(*checkpoint, WeightReader::Part::VideoQa, at::kCPU, at::kFloat, {});
    auto model = std::make_unique<Model>(config, reader);
    const auto fits = reader.finish();
    REQUIRE_MESSAGE(fits.ok(), fits.error().message);
    return model;
}

} // namespace

SiglipConfig siglipConfig(const Value& config) {
    SiglipConfig c;
    c.imageSize = integer(config, "image_size");
    c.patch = integer(config, "patch_size");
    c.width = integer(config, "hidden_size");
    c.heads = integer(config, "num_attention_heads");
    c.layers = integer(config, "num_hidden_layers");
    c.mlpDim = integer(config, "intermediate_size");
    c.eps = config["layer_norm_eps"].asDouble(0);
    return c;
}

Qwen2Config qwen2Config(const Value& config) {
    Qwen2Config c;
    c.vocabulary = integer(config, "vocab_size");
    c.width = integer(config, "hidden_size");
    c.layers = integer(config, "num_hidden_layers");
    c.heads = integer(config, "num_attention_heads");
    c.kvHeads = integer(config, "num_key_value_heads");
    c.headDim = c.width / c.heads;
    c.mlpDim = integer(config, "intermediate_size");
    c.ropeTheta = config["rope_theta"].asDouble(0);
    c.eps = config["rms_norm_eps"].asDouble(0);
    c.tiedEmbeddings = config["tie_word_embeddings"].asBool(false);
    return c;
}

QaModelRecord llavaRecord(const Value& config) {
    QaModelRecord record;
    record.vision = siglipConfig(config["vision_config"]);
    record.language = qwen2Config(config["text_config"]);
    return record;
}

std::unique_ptr<SiglipTower> loadSiglip(const SiglipConfig& config, const std::filesystem::path& file) {
    return load<SiglipTower>(config, file);
}
std::unique_ptr<Qwen2> loadQwen2(const Qwen2Config& config, const std::filesystem::path& file) {
    return load<Qwen2>(config, file);
}
std::unique_ptr<Llava> loadLlava(const QaModelRecord& record, const std::filesystem::path& file) {
    return load<Llava>(record, file);
}

Greedy decodeGreedily(const Qwen2& model, at::Tensor logits, KvCache& cache, std::int64_t count) {
    std::vector<std::int64_t> ids;
    std::vector<at::Tensor> all;
    while (true) {
        all.push_back(logits);
        ids.push_back(at::argmax(logits).item<std::int64_t>());
        if (static_cast<std::int64_t>(ids.size()) == count)
            return {at::tensor(ids), at::stack(all)};
        logits = model.step(static_cast<std::int32_t>(ids.back()), cache, {});
    }
}

} // namespace canopy::test
