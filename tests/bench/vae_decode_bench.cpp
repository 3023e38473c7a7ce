// Decodes latents of a model folder and prints time, processor time of all threads and peak memory of each
// pass.
//   vae_decode_bench VAE_FOLDER LATENTS.safetensors [fp32|bf16] [passes] [threads] [tile] [FRAMES.rgb]
// The latents are the tensor "latents" [1, C, F, h, w], as shared reference clips store them. Compare passes
// with other programs by running them in turns on an otherwise idle machine.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include "accel/models/wan/vae.h"
#include "accel/weights/weight_reader.h"
#include "core/base/files.h"
#include "core/base/value_codec.h"
#include "core/formats/safetensors.h"

using namespace canopy;
using namespace canopy::accel;

namespace {

[[noreturn]] void fail(const std::string& sentence) {
    std::fprintf(stderr, "%s\n", sentence.c_str());
    std::exit(1);
}

template <typename T>
T must(Result<T> result) {
    if (!result.ok())
        fail(result.error().message);
    return std::move(*result);
}

VaeConfig readConfig(const std::filesystem::path& path) {
    const Value json =
        must(parseJson(must(readTextFile(path, 1u << 20)), CodecLimits{1u << 20, 64, 65536, 65536}));
    VaeConfig config;
    config.baseDim = static_cast<int>(json["base_dim"].asInt());
    config.latentChannels = static_cast<int>(json["z_dim"].asInt());
    config.resBlocks = static_cast<int>(json["num_res_blocks"].asInt());
    for (const auto& v : json["latents_mean"].asArray())
        config.latentsMean.push_back(v.asDouble());
    for (const auto& v : json["latents_std"].asArray())
        config.latentsStd.push_back(v.asDouble());
    return config;
}

double peakMiB() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3)
        fail("usage: vae_decode_bench VAE_FOLDER LATENTS.safetensors [fp32|bf16] [passes] [threads] [tile] "
             "[FRAMES.rgb]");
    const std::filesystem::path folder = argv[1];
    const bool half = argc > 3 && std::string(argv[3]) == "bf16";
    const int passes = argc > 4 ? std::atoi(argv[4]) : 3;
    const int tile = argc > 6 ? std::atoi(argv[6]) : 0;
    const c10::InferenceMode inference;
    at::set_num_threads(argc > 5 ? std::atoi(argv[5]) : 2);

    const Checkpoint weights = must(Checkpoint::open({folder / "diffusion_pytorch_model.safetensors"}));
    WeightReader reader(weights, WeightReader::Part::Vae, at::kCPU, half ? at::kBFloat16 : at::kFloat, {});
    const WanVae vae(readConfig(folder / "config.json"), reader);
    if (const auto fits = reader.finish(); !fits.ok())
        fail(fits.error().message);

    const Checkpoint clip = must(Checkpoint::open({argv[2]}));
    const TensorInfo* info = clip.find("latents");
    if (!info || info->dtype != DType::F32 || info->shape.size() != 5)
        fail("no float32 tensor 'latents' [1, C, F, h, w] in the second file");
    at::Tensor latents = at::empty(std::vector<std::int64_t>(info->shape.begin(), info->shape.end()),
                                   at::TensorOptions(at::kFloat));
    if (const auto read =
            clip.read("latents", {static_cast<std::uint8_t*>(latents.mutable_data_ptr()), latents.nbytes()});
        !read.ok())
        fail(read.error().message);

    const double before = peakMiB();
    for (int pass = 0; pass < passes; ++pass) {
        std::ofstream out;
        if (argc > 7)
            out.open(argv[7], std::ios::binary);
        std::int64_t frames = 0;
        WanVae::DecodeOptions options;
        if (tile > 0)
            options.tiling = VaeTiling{tile, tile / 4};
        options.onFrames = [&](const at::Tensor& rgb) {
            frames += rgb.size(0);
            if (out)
                out.write(static_cast<const char*>(rgb.const_data_ptr()),
                          static_cast<std::streamsize>(rgb.nbytes()));
        };
        const auto start = std::chrono::steady_clock::now();
        const std::clock_t processorStart = std::clock();
        vae.decode(latents, options);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        const double processor = static_cast<double>(std::clock() - processorStart) / CLOCKS_PER_SEC;
        std::printf("%s, %lld frames: %.3f s (processor %.3f s), peak %.0f MiB above %.0f MiB\n",
                    half ? "bf16" : "fp32", static_cast<long long>(frames), seconds.count(), processor,
                    peakMiB() - before, before);
        std::fflush(stdout);
    }
    return 0;
}
