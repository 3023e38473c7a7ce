#include "tests/accel/parity/models.h"

#include <doctest/doctest.h>

#include "accel/weights/weight_reader.h"
#include "core/formats/model_config_json.h"
#include "core/formats/safetensors.h"

namespace canopy::test {

using namespace canopy::accel;

namespace {

template <typename Model, typename Config>
std::unique_ptr<Model> load(const Config& config, const std::filesystem::path& file,
                            WeightReader::Part part) {
    const auto checkpoint = Checkpoint::open({file});
    REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.error().message);
    WeightReader reader(*checkpoint, part, at::kCPU, at::kFloat, {});
    auto model = std::make_unique<Model>(config, reader);
    const auto fits = reader.finish();
    REQUIRE_MESSAGE(fits.ok(), fits.error().message);
    return model;
}

} // namespace

DitConfig ditConfig(const ParityCase& reference) {
    const auto config = parseDitConfig(reference.config());
    REQUIRE_MESSAGE(config.ok(), config.error().message);
    return *config;
}

DitConfig originalDitConfig(const ParityCase& reference) {
    const auto json = reference.config();
    DitConfig config;
    config.family = ModelFamily::SkyReelsDf;
    config.heads = static_cast<int>(json["num_attention_heads"].asInt());
    config.headDim = static_cast<int>(json["attention_head_dim"].asInt());
    config.layers = static_cast<int>(json["num_layers"].asInt());
    config.ffnDim = static_cast<int>(json["ffn_dim"].asInt());
    config.textDim = static_cast<int>(json["text_dim"].asInt());
    config.freqDim = static_cast<int>(json["freq_dim"].asInt());
    config.inChannels = static_cast<int>(json["in_channels"].asInt());
    config.outChannels = static_cast<int>(json["out_channels"].asInt());
    config.fpsEmbedding = json["inject_sample_info"].asBool();
    config.eps = json["eps"].asDouble();
    return config;
}

Umt5Config umt5Config(const ParityCase& reference) {
    const auto config = parseUmt5Config(reference.config());
    REQUIRE_MESSAGE(config.ok(), config.error().message);
    return *config;
}

std::unique_ptr<WanDit> loadDit(const DitConfig& config, const std::filesystem::path& weights) {
    return load<WanDit>(config, weights, WeightReader::Part::Transformer);
}

std::unique_ptr<Umt5Encoder> loadUmt5(const Umt5Config& config, const std::filesystem::path& weights) {
    return load<Umt5Encoder>(config, weights, WeightReader::Part::TextEncoder);
}

} // namespace canopy::test
