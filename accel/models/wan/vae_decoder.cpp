#include "accel/models/wan/vae_decoder.h"

#include <ATen/ops/upsample_nearest2d.h>

#include "accel/weights/weight_reader.h"

namespace canopy::accel {

namespace {

std::int64_t widest(const VaeConfig& config) {
    return std::int64_t{config.baseDim} * config.dimMultipliers.back();
}

} // namespace

VaeDecoder::VaeDecoder(const VaeConfig& config, WeightReader& weights)
    : m_convIn(weights, "decoder.conv_in", config.latentChannels, widest(config), 3)
    , m_convInRing(m_numbers.next())
    , m_mid(weights, "decoder.mid_block", widest(config), m_numbers)
    , m_head(weights, "decoder.norm_out", "decoder.conv_out",
             std::int64_t{config.baseDim} * config.dimMultipliers.front(), 3, m_numbers) {
    std::int64_t width = widest(config);
    const std::size_t levels = config.dimMultipliers.size();
    for (std::size_t i = 0; i < levels; ++i) {
        const std::string name = "decoder.up_blocks." + std::to_string(i);
        const std::int64_t out = std::int64_t{config.baseDim} * config.dimMultipliers[levels - 1 - i];
        Level level;
        for (int block = 0; block <= config.resBlocks; ++block) {
            level.blocks.emplace_back(weights, name + ".resnets." + std::to_string(block),
                                      block == 0 ? width : out, out, m_numbers);
        }
        if (i + 1 < levels) {
            const std::string upsampler = name + ".upsamplers.0";
            if (config.temporalDownsample[levels - 2 - i]) {
                level.time.emplace(TimeUpsampler{
                    CausalConv3d(weights, upsampler + ".time_conv", out, 2 * out, 1), m_numbers.next()});
            }
            level.space.emplace(weights, upsampler + ".resample.1", out, out / 2);
            width = out / 2;
        }
        m_levels.push_back(std::move(level));
    }
}

VaeStream VaeDecoder::open(std::stop_token stop, VaeTap tap) const {
    return {std::vector<FrameRing>(m_numbers.count()), std::move(stop), std::move(tap)};
}

void VaeDecoder::push(const at::Tensor& latent, VaeStream& stream, const Emit& emit) const {
    stream.rings[m_convInRing].push(latent);
    at::Tensor x = m_convIn(stream.rings[m_convInRing]);
    stream.see("conv_in", x);
    x = m_mid(x, stream);
    stream.see("mid_block", x);
    run(0, std::move(x), stream, emit);
}

void VaeDecoder::run(std::size_t index, at::Tensor frame, VaeStream& stream, const Emit& emit) const {
    const Level& level = m_levels[index];
    for (const auto& block : level.blocks)
        frame = block(frame, stream);
    const std::string name = "up_block" + std::to_string(index);
    if (!level.space) {
        stream.see(name, frame);
        emit(m_head(frame, stream));
        return;
    }
    std::vector<at::Tensor> frames = {frame};
    if (level.time)
        frames = upsampleTime(*level.time, frame, stream);
    frame.reset();
    for (auto& small : frames) {
        at::Tensor large = at::upsample_nearest2d(small, {small.size(2) * 2, small.size(3) * 2});
        small.reset();
        large = level.space->sameSize(large);
        stream.see(name, large);
        run(index + 1, std::move(large), stream, emit);
    }
}

std::vector<at::Tensor> VaeDecoder::upsampleTime(const TimeUpsampler& time, const at::Tensor& frame,
                                                 VaeStream& stream) const {
    FrameRing& ring = stream.rings[time.ring];
    if (ring.frames() == 0) {
        ring.skip();
        return {frame};
    }
    ring.push(frame);
    const at::Tensor both = time.conv(ring); // [1, 2 C, H, W]
    const std::int64_t channels = frame.size(1);
    return {both.narrow(1, 0, channels).contiguous(at::MemoryFormat::ChannelsLast),
            both.narrow(1, channels, channels).contiguous(at::MemoryFormat::ChannelsLast)};
}

} // namespace canopy::accel
