#include "tests/accel/parity/models.h"

#include <doctest/doctest.h>

#include "accel/weights/weight_reader.h"
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
    const auto c = reference.config();
    DitConfig d;
    d.family = c["_class_name"].asString() == "SkyReelsV2Transformer3DModel" ? ModelFamily::SkyReelsDf
                                                                             : ModelFamily::WanT2v;
    d.heads = static_cast<int>(c["num_attention_heads"].asInt());
    d.headDim = static_cast<int>(c["attention_head_dim"].asInt());
    d.layers = static_cast<int>(c["num_layers"].asInt());
    d.ffnDim = static_cast<int>(c["ffn_dim"].asInt());
    d.textDim = static_cast<int>(c["text_dim"].asInt());
    d.freqDim = static_cast<int>(c["freq_dim"].asInt());
    d.inChannels = static_cast<int>(c["in_channels"].asInt());
    d.outChannels = static_cast<int>(c["out_channels"].asInt());
    d.crossAttentionNorm = c["cross_attn_norm"].asBool();
    d.fpsEmbedding = c["inject_sample_info"].asBool();
    return d;
}

Umt5Config umt5Config(const ParityCase& reference) {
    const auto c = reference.config();
    Umt5Config u;
    u.vocabulary = static_cast<int>(c["vocab_size"].asInt());
    u.modelDim = static_cast<int>(c["d_model"].asInt());
    u.headDim = static_cast<int>(c["d_kv"].asInt());
    u.heads = static_cast<int>(c["num_heads"].asInt());
    u.ffnDim = static_cast<int>(c["d_ff"].asInt());
    u.layers = static_cast<int>(c["num_layers"].asInt());
    return u;
}

std::unique_ptr<WanDit> loadDit(const DitConfig& config, const std::filesystem::path& weights) {
    return load<WanDit>(config, weights, WeightReader::Part::Transformer);
}

std::unique_ptr<Umt5Encoder> loadUmt5(const Umt5Config& config, const std::filesystem::path& weights) {
    return load<Umt5Encoder>(config, weights, WeightReader::Part::TextEncoder);
}

} // namespace canopy::test
