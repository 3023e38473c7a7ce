#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <doctest/doctest.h>

#include <map>
#include <string>

#include "tests/accel/parity/vae_model.h"
#include "tests/support/parity_case.h"

namespace canopy::test {

using namespace canopy::accel;

namespace {

/// Keeps every named frame in order.
struct Recorder {
    std::map<std::string, std::vector<at::Tensor>, std::less<>> frames;

    VaeTap tap() {
        return [this](std::string_view name, const at::Tensor& frame) {
            frames[std::string(name)].push_back(frame.clone());
        };
    }
    /// Frames [first, first + count) as [1, C, count, H, W].
    at::Tensor clip(std::string_view name, std::int64_t first, std::int64_t count) const {
        const auto at = frames.find(name);
        REQUIRE_MESSAGE(at != frames.end(), "nothing tapped as ", std::string(name));
        REQUIRE(first + count <= static_cast<std::int64_t>(at->second.size()));
        return at::stack(at::TensorList(at->second)
                             .slice(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
                         2);
    }
};

/// `prefix`mid.<name> and `prefix`mid.<name>.chunk<n>. The references run one latent frame per chunk: chunk 0
/// has one frame, all later ones equally many.
void expectIntermediates(const ParityCase& reference, const std::string& prefix, const Recorder& ours) {
    int compared = 0;
    for (const auto& tensor : reference.tensorNames()) {
        if (!tensor.starts_with(prefix + "mid."))
            continue;
        std::string name = tensor.substr(prefix.size() + 4);
        std::int64_t chunk = 0;
        if (const auto dot = name.rfind(".chunk"); dot != std::string::npos) {
            chunk = std::stoll(name.substr(dot + 6));
            name.resize(dot);
        }
        const auto stored = reference.tensor(tensor);
        const std::int64_t count = stored.size(2);
        const std::int64_t first = chunk == 0 ? 0 : 1 + (chunk - 1) * count;
        expectClose(ours.clip(name, first, count), stored, reference.tolerance(), tensor);
        ++compared;
    }
    MESSAGE(prefix, " ", compared, " intermediates compared");
}

void checkDecode(const ParityCase& reference, const WanVae& vae, std::int64_t frames) {
    const std::string prefix = "decode." + std::to_string(frames) + ".";
    Recorder recorder;
    std::vector<at::Tensor> rgb;
    WanVae::DecodeOptions options;
    options.tap = recorder.tap();
    options.onFrames = [&](const at::Tensor& pixels) { rgb.push_back(pixels); };
    vae.decode(reference.tensor("decode.in.normalised").narrow(2, 0, frames), options);
    expectIntermediates(reference, prefix, recorder);
    const auto preClamp = reference.tensor(prefix + "pre_clamp");
    expectClose(recorder.clip("pre_clamp", 0, preClamp.size(2)), preClamp, reference.tolerance(),
                prefix + "pre_clamp");
    // Eight-bit frames: within one level of the reference's.
    const auto levels = ((reference.tensor(prefix + "out")[0].permute({1, 2, 3, 0}) + 1) * 127.5).round();
    const auto pixels = at::cat(rgb).to(at::kFloat);
    REQUIRE((pixels.sizes() == levels.sizes()));
    CHECK((pixels - levels).abs().max().item<float>() <= 1);
}

void checkEncode(const ParityCase& reference, const WanVae& vae, std::int64_t frames) {
    const std::string prefix = "encode." + std::to_string(frames) + ".";
    Recorder recorder;
    const auto normalised =
        vae.encode(reference.tensor("encode.in.video").narrow(2, 0, frames), {{}, {}, recorder.tap()});
    expectIntermediates(reference, prefix, recorder);
    for (const char* name : {"mean", "logvar"}) {
        const auto stored = reference.tensor(prefix + name);
        expectClose(recorder.clip(name, 0, stored.size(2)), stored, reference.tolerance(), prefix + name);
    }
    expectClose(normalised, reference.tensor(prefix + "normalised"), reference.tolerance(),
                prefix + "normalised");
}

} // namespace

void checkWanVae(const ParityCase& reference) {
    auto config = vaeConfig(reference.config());
    const auto& params = reference.json()["params"];
    REQUIRE(!reference.weightFiles().empty());
    for (const auto& file : reference.weightFiles()) {
        CAPTURE(file.filename().string());
        const auto vae = loadVae(config, file);
        for (const auto& frames : params["decode_frames"].asArray())
            checkDecode(reference, *vae, frames.asInt());
        for (const auto& frames : params["encode_frames"].asArray())
            checkEncode(reference, *vae, frames.asInt());
    }
}

} // namespace canopy::test
