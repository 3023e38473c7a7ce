#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <doctest/doctest.h>

#include "accel/pipelines/denoise.h"
#include "accel/weights/weight_reader.h"
#include "core/base/files.h"
#include "core/formats/model_config_json.h"
#include "core/formats/safetensors.h"
#include "tests/support/temp_folder.h"

namespace canopy::test {

using namespace canopy::accel;
namespace fs = std::filesystem;

/// The small SkyReels-V2 transformer of the parity data: 2 layers, per-frame time, fps embedding.
/// `constantVelocity`: the last product's weights are 0, so that only its bias speaks.
struct SmallModel {
    explicit SmallModel(bool constantVelocity = false) {
        const char* source = std::getenv("CANOPY_SOURCE_DIR");
        const auto data = fs::path(source ? source : ".") / "tests/data/parity";
        for (const auto& entry : fs::directory_iterator(data)) {
            const std::string name = entry.path().filename().string();
            if (!name.starts_with("skyreels_df_") || !name.ends_with(".weights.safetensors"))
                continue;
            const auto base = data / name.substr(0, name.size() - std::strlen(".weights.safetensors"));
            const auto json = readConfigFile(base.string() + ".config.json");
            REQUIRE_MESSAGE(json.ok(), json.error().message);
            config = *parseDitConfig(*json);
            const auto file = constantVelocity ? withoutLastWeights(entry.path()) : entry.path();
            auto opened = Checkpoint::open({file});
            REQUIRE_MESSAGE(opened.ok(), opened.error().message);
            checkpoint.emplace(std::move(opened).value());
            break;
        }
        REQUIRE(checkpoint);
        WeightReader reader(*checkpoint, WeightReader::Part::Transformer, at::kCPU, at::kFloat, {});
        dit = std::make_unique<WanDit>(config, reader);
        REQUIRE(reader.finish().ok());
        const auto generator = at::detail::createCPUGenerator(3);
        const auto options = at::TensorOptions(at::kFloat);
        latents = at::randn({config.inChannels, 6, 4, 6}, generator, options);
        text = dit->embedText(at::randn({9, config.textDim}, generator, options));
        negative = dit->embedText(at::randn({9, config.textDim}, generator, options));
        conditioning = {text, negative, 3.0, 0};
    }

    /// A copy in which proj_out.weight is 0.
    fs::path withoutLastWeights(const fs::path& weights) const {
        const auto file = SafetensorsFile::open(weights);
        REQUIRE_MESSAGE(file.ok(), file.error().message);
        std::vector<std::vector<std::uint8_t>> bytes;
        std::vector<TensorBytes> tensors;
        bool zeroed = false;
        for (const auto& info : file->header().tensors) {
            auto& own = bytes.emplace_back(info.bytes());
            REQUIRE(file->read(info, own).ok());
            if (info.name == "proj_out.weight" || info.name == "head.head.weight") {
                std::fill(own.begin(), own.end(), std::uint8_t{0});
                zeroed = true;
            }
        }
        REQUIRE(zeroed);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            const auto& info = file->header().tensors[i];
            tensors.push_back({info.name, info.dtype, info.shape, bytes[i]});
        }
        const auto copy = folder / "constant.weights.safetensors";
        const auto written = writeSafetensors(tensors);
        REQUIRE(writeFileAtomically(copy, std::span<const std::uint8_t>(written)).ok());
        return copy;
    }

    ForwardContext context() const {
        ForwardContext c;
        c.grid = dit->grid(latents);
        return c;
    }
    at::Tensor velocity(const ForwardContext& c) const {
        return dit->velocity(latents, at::tensor(std::vector<float>{500}), text, 0, c);
    }

    TempFolder folder;
    DitConfig config;
    std::optional<Checkpoint> checkpoint;
    std::unique_ptr<WanDit> dit;
    at::Tensor latents, text, negative;
    Conditioning conditioning;
};

} // namespace canopy::test
