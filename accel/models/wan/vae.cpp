#include "accel/models/wan/vae.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "accel/runtime/cancelled.h"
#include "accel/weights/weight_reader.h"

namespace canopy::accel {

namespace {

constexpr std::int64_t kSpatialStride = 8;
constexpr std::int64_t kTemporalStride = 4;

at::Tensor perChannel(const std::vector<double>& values, int channels, const char* what) {
    TORCH_CHECK(values.size() == static_cast<std::size_t>(channels), "the autoencoder's configuration has ",
                values.size(), " ", what, "; expected one for each of its ", channels, " latent channels");
    return at::tensor(values, at::TensorOptions(at::kFloat));
}

/// Frame t of [1, C, T, H, W] as [1, C, H, W] channels-last.
at::Tensor frameAt(const at::Tensor& clip, std::int64_t t) {
    return clip.select(2, t).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor part(const at::Tensor& clip, const TileSpan& rows, const TileSpan& columns, std::int64_t scale) {
    return clip.narrow(3, rows.start * scale, rows.length * scale)
        .narrow(4, columns.start * scale, columns.length * scale);
}

} // namespace

WanVae::WanVae(const VaeConfig& config, WeightReader& weights)
    : m_config(config)
    , m_device(at::kCPU)
    , m_dtype(at::kFloat)
    , m_mean(perChannel(config.latentsMean, config.latentChannels, "latent means"))
    , m_std(perChannel(config.latentsStd, config.latentChannels, "latent deviations"))
    , m_postQuant(weights, "post_quant_conv", config.latentChannels, config.latentChannels, 3,
                  PixelLinear::Precision::Float32)
    , m_quant(weights, "quant_conv", 2 * std::int64_t{config.latentChannels},
              2 * std::int64_t{config.latentChannels}, 3, PixelLinear::Precision::Float32)
    , m_decoder(config, weights)
    , m_encoder(config, weights) {
    m_device = m_decoder.device();
    m_dtype = m_decoder.dtype();
    m_mean = m_mean.to(m_device);
    m_std = m_std.to(m_device);
}

void WanVae::decodeFrames(const at::Tensor& latents, VaeStream& stream, const EmitFrames& emit) const {
    std::vector<at::Tensor> frames;
    for (std::int64_t f = 0; f < latents.size(2); ++f) {
        throwIfStopped(stream.stop);
        at::Tensor latent = frameAt(latents, f).to(m_device, at::kFloat);
        latent = latent * m_std.view({1, -1, 1, 1}) + m_mean.view({1, -1, 1, 1});
        latent = m_postQuant(latent);
        stream.see("post_quant_conv", latent);
        frames.clear();
        m_decoder.push(latent.to(m_dtype), stream, [&](const at::Tensor& frame) { frames.push_back(frame); });
        emit(frames);
    }
}

void WanVae::decodeNext(const at::Tensor& latents, VaeStream& stream,
                        const std::function<void(const at::Tensor& rgb)>& onFrames) const {
    decodeFrames(latents, stream,
                 [&](const std::vector<at::Tensor>& frames) { onFrames(toRgb8(at::cat(frames))); });
}

void WanVae::decode(const at::Tensor& latents, const DecodeOptions& options) const {
    TORCH_CHECK(latents.dim() == 5 && latents.size(0) == 1 && latents.size(1) == m_config.latentChannels &&
                    latents.numel() > 0,
                "decode got latents ", latents.sizes(), "; expected [1, ", m_config.latentChannels,
                ", F, h, w]");
    if (options.tiling && (latents.size(3) * kSpatialStride > options.tiling->tile ||
                           latents.size(4) * kSpatialStride > options.tiling->tile)) {
        decodeTiled(latents, options);
        return;
    }
    std::int64_t done = 0;
    VaeStream stream = m_decoder.open(options.stop, options.tap);
    decodeFrames(latents, stream, [&](const std::vector<at::Tensor>& frames) {
        if (options.tap) {
            for (const auto& frame : frames)
                options.tap("pre_clamp", frame);
        }
        if (options.onFrames)
            options.onFrames(toRgb8(at::cat(frames)));
        if (options.onProgress)
            options.onProgress(++done, latents.size(2));
    });
}

void WanVae::decodeTiled(const at::Tensor& latents, const DecodeOptions& options) const {
    const auto rowSpans = tileSpans(latents.size(3), *options.tiling);
    const auto columnSpans = tileSpans(latents.size(4), *options.tiling);
    const std::int64_t frameCount = 1 + kTemporalStride * (latents.size(2) - 1);
    const std::int64_t height = latents.size(3) * kSpatialStride, width = latents.size(4) * kSpatialStride;
    // Half precision keeps a pixel to a sixteenth of a grey level.
    at::Tensor canvas = at::zeros({frameCount, height, width, 3}, at::TensorOptions(at::kHalf));
    const auto total = static_cast<std::int64_t>(rowSpans.size() * columnSpans.size()) * latents.size(2);
    std::int64_t done = 0;
    for (const auto& rows : rowSpans) {
        for (const auto& columns : columnSpans) {
            const at::Tensor weights = tileWeights(rows, *options.tiling, kSpatialStride).view({-1, 1, 1}) *
                                       tileWeights(columns, *options.tiling, kSpatialStride).view({1, -1, 1});
            const at::Tensor target =
                canvas.narrow(1, rows.start * kSpatialStride, rows.length * kSpatialStride)
                    .narrow(2, columns.start * kSpatialStride,
                            columns.length * kSpatialStride); // [T, th, tw, 3]
            std::int64_t t = 0;
            VaeStream stream = m_decoder.open(options.stop, {});
            decodeFrames(part(latents, rows, columns, 1), stream, [&](const std::vector<at::Tensor>& frames) {
                for (const auto& frame : frames) {
                    const at::Tensor pixels = frame[0].permute({1, 2, 0}).to(at::kCPU, at::kFloat);
                    target[t++].add_((pixels * weights).to(at::kHalf));
                }
                if (options.onProgress)
                    options.onProgress(++done, total);
            });
        }
    }
    for (std::int64_t first = 0; first < frameCount;) {
        throwIfStopped(options.stop);
        const std::int64_t count = first == 0 ? 1 : kTemporalStride;
        const at::Tensor frames = canvas.narrow(0, first, count).permute({0, 3, 1, 2});
        for (std::int64_t i = 0; options.tap && i < count; ++i)
            options.tap("pre_clamp", frames.narrow(0, i, 1));
        if (options.onFrames)
            options.onFrames(toRgb8(frames));
        first += count;
    }
}

at::Tensor WanVae::encode(const at::Tensor& video, const EncodeOptions& options) const {
    TORCH_CHECK(video.dim() == 5 && video.size(0) == 1 && video.size(1) == 3 && video.numel() > 0 &&
                    video.size(2) % kTemporalStride == 1 && video.size(3) % kSpatialStride == 0 &&
                    video.size(4) % kSpatialStride == 0,
                "encode got a video ", video.sizes(),
                "; expected [1, 3, 1 + 4 k, H, W] with H and W multiples of 8");
    if (options.tiling && (video.size(3) > options.tiling->tile || video.size(4) > options.tiling->tile))
        return encodeTiled(video, options);

    VaeStream stream = m_encoder.open(options.stop, options.tap);
    std::vector<at::Tensor> latents;
    for (std::int64_t t = 0; t < video.size(2); ++t) {
        throwIfStopped(options.stop);
        const at::Tensor encoded = m_encoder.push(frameAt(video, t).to(m_device, m_dtype), stream);
        if (!encoded.defined())
            continue;
        const at::Tensor moments = m_quant(encoded.to(at::kFloat)); // [1, 2 C, h, w]
        const at::Tensor mean = moments.narrow(1, 0, m_config.latentChannels);
        stream.see("mean", mean);
        stream.see("logvar",
                   moments.narrow(1, m_config.latentChannels, m_config.latentChannels).clamp(-30, 20));
        latents.push_back((mean - m_mean.view({1, -1, 1, 1})) / m_std.view({1, -1, 1, 1}));
    }
    return at::stack(latents, 2).contiguous(); // [1, C, F, h, w]
}

at::Tensor WanVae::encodeTiled(const at::Tensor& video, const EncodeOptions& options) const {
    const std::int64_t h = video.size(3) / kSpatialStride, w = video.size(4) / kSpatialStride;
    const std::int64_t latentFrames = 1 + (video.size(2) - 1) / kTemporalStride;
    at::Tensor canvas = at::zeros({1, m_config.latentChannels, latentFrames, h, w},
                                  at::TensorOptions(at::kFloat).device(m_device));
    for (const auto& rows : tileSpans(h, *options.tiling)) {
        for (const auto& columns : tileSpans(w, *options.tiling)) {
            const at::Tensor tile =
                encode(part(video, rows, columns, kSpatialStride), {options.stop, {}, {}});
            const at::Tensor weights = (tileWeights(rows, *options.tiling, 1).view({-1, 1}) *
                                        tileWeights(columns, *options.tiling, 1).view({1, -1}))
                                           .to(m_device);
            part(canvas, rows, columns, 1).add_(tile * weights);
        }
    }
    return canvas;
}

at::Tensor toRgb8(const at::Tensor& frames) {
    return frames.permute({0, 2, 3, 1})
        .to(at::kFloat, false, true)
        .clamp_(-1, 1)
        .add_(1)
        .mul_(127.5)
        .round_()
        .to(at::kByte)
        .to(at::kCPU)
        .contiguous();
}

} // namespace canopy::accel
