#include "tests/accel/parity/vae_model.h"

#include <ATen/ops/cat.h>
#include <doctest/doctest.h>

#include "accel/weights/weight_reader.h"
#include "core/formats/model_config_json.h"
#include "core/formats/safetensors.h"

namespace canopy::test {

using namespace canopy::accel;

VaeConfig vaeConfig(const Value& config) {
    const auto parsed = parseVaeConfig(config);
    REQUIRE_MESSAGE(parsed.ok(), parsed.error().message);
    return *parsed;
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
