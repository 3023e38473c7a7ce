#include "tests/accel/parity/vae_model.h"

#include <ATen/ops/cat.h>
#include <doctest/doctest.h>

#include "accel/weights/weight_reader.h"
#include "core/formats/safetensors.h"

namespace canopy::test {

using namespace canopy::accel;

VaeConfig vaeConfig(const Value& config) {
    VaeConfig v;
    v.baseDim = static_cast<int>(config["base_dim"].asInt());
    v.latentChannels = static_cast<int>(config["z_dim"].asInt());
    v.resBlocks = static_cast<int>(config["num_res_blocks"].asInt());
    v.dimMultipliers.clear();
    for (const auto& n : config["dim_mult"].asArray())
        v.dimMultipliers.push_back(static_cast<int>(n.asInt()));
    v.temporalDownsample.clear();
    for (const auto& n : config["temperal_downsample"].asArray())
        v.temporalDownsample.push_back(n.asBool());
    for (const auto& n : config["latents_mean"].asArray())
        v.latentsMean.push_back(n.asDouble());
    for (const auto& n : config["latents_std"].asArray())
        v.latentsStd.push_back(n.asDouble());
    return v;
}

std::unique_ptr<WanVae> loadVae(const VaeConfig& config, const std::filesystem::path& weights,
                                at::ScalarType dtype, at::Device device) {
    const auto checkpoint = Checkpoint::open({weights});
    REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.error().message);
    WeightReader reader(*checkpoint, WeightReader::Part::Vae, device, dtype, {});
    auto vae = std::make_unique<WanVae>(config, reader);
    const auto fits = reader.finish();
    REQUIRE_MESSAGE(fits.ok(), fits.error().message);
    return vae;
}

at::Tensor decodePreClamp(const WanVae& vae, const at::Tensor& latents, std::optional<VaeTiling> tiling) {
    std::vector<at::Tensor> frames;
    WanVae::DecodeOptions options;
    options.tiling = tiling;
    options.tap = [&](std::string_view name, const at::Tensor& frame) {
        if (name == "pre_clamp")
            frames.push_back(frame.to(at::kCPU, at::kFloat));
    };
    vae.decode(latents.unsqueeze(0), options);
    return at::cat(frames).transpose(0, 1);
}

at::Tensor decodePreClamp(const ParityCase& vae, const at::Tensor& latents) {
    const auto model = loadVae(vaeConfig(vae.config()), vae.weightFiles().front());
    return decodePreClamp(*model, latents);
}

} // namespace canopy::test
