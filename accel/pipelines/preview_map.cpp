#include "accel/pipelines/preview_map.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_lstsq.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/upsample_bilinear2d.h>

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "accel/models/wan/vae.h"

namespace canopy::accel {

namespace {
constexpr std::int64_t kCells = 16;   ///< latent cells along each side of a fitting picture
constexpr std::int64_t kPictures = 4; ///< colour fields from coarse to fine
constexpr std::uint64_t kSeed = 20;
} // namespace

PreviewMap PreviewMap::fit(const WanVae& vae, const std::stop_token& stop) {
    const auto options = at::TensorOptions(at::kFloat);
    const auto generator = at::detail::createCPUGenerator(kSeed);
    const std::int64_t pixels = kCells * 8;
    std::vector<at::Tensor> cells;
    std::vector<at::Tensor> colours;
    for (std::int64_t i = 0; i < kPictures; ++i) {
        const std::int64_t coarse = std::int64_t{2} << i;
        const auto field = at::rand({1, 3, coarse, coarse}, generator, options) * 2 - 1;
        const auto picture = at::upsample_bilinear2d(field, {pixels, pixels}, false); // [1, 3, H, W] in -1..1
        const auto latents =
            vae.encode(picture.unsqueeze(2), {stop, {}, {}}).to(at::kCPU); // [1, 16, 1, h, w]
        const std::int64_t channels = latents.size(1);
        cells.push_back(latents.view({channels, kCells * kCells}).t());
        colours.push_back(at::adaptive_avg_pool2d(picture, {kCells, kCells}).view({3, kCells * kCells}).t());
    }
    const auto x = at::cat(cells); // [n, 16]
    const auto y = at::cat(colours);
    const auto design = at::cat({x, at::ones({x.size(0), 1}, options)}, 1);
    PreviewMap map;
    map.m_weights = std::get<0>(at::linalg_lstsq(design, y));
    const auto error = (at::matmul(design, map.m_weights) - y) * 127.5;
    map.m_residual = std::sqrt((error * error).mean().item<double>());
    return map;
}

PreviewMap::Pictures PreviewMap::render(const at::Tensor& latents) const {
    const auto x = latents.to(at::kCPU, at::kFloat).permute({1, 2, 3, 0}); // [F, h, w, 16]
    const std::int64_t channels = x.size(3);
    const auto colour = at::matmul(x, m_weights.narrow(0, 0, channels)) + m_weights[channels];
    const auto bytes = ((colour + 1) * 127.5).round().clamp(0, 255).to(at::kByte).contiguous();
    Pictures pictures;
    pictures.frames = static_cast<int>(bytes.size(0));
    pictures.height = static_cast<int>(bytes.size(1));
    pictures.width = static_cast<int>(bytes.size(2));
    const auto* data = bytes.const_data_ptr<std::uint8_t>();
    pictures.rgb.assign(data, data + bytes.numel());
    return pictures;
}

} // namespace canopy::accel
