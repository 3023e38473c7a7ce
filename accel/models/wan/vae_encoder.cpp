#include "accel/models/wan/vae_encoder.h"

#include "accel/weights/weight_reader.h"

namespace canopy::accel {

namespace {

std::int64_t widest(const VaeConfig& config) {
    return std::int64_t{config.baseDim} * config.dimMultipliers.back();
}

} // namespace

VaeEncoder::VaeEncoder(const VaeConfig& config, WeightReader& weights)
    : m_convIn(weights, "encoder.conv_in", 3, config.baseDim, 3)
    , m_convInRing(m_numbers.next())
    , m_mid(weights, "encoder.mid_block", widest(config), m_numbers)
    , m_head(weights, "encoder.norm_out", "encoder.conv_out", widest(config),
             2 * std::int64_t{config.latentChannels}, m_numbers) {
    std::int64_t width = config.baseDim;
    const std::size_t levels = config.dimMultipliers.size();
    const auto nextName = [this] { return "encoder.down_blocks." + std::to_string(m_down.size()); };
    for (std::size_t i = 0; i < levels; ++i) {
        const std::int64_t out = std::int64_t{config.baseDim} * config.dimMultipliers[i];
        for (int block = 0; block < config.resBlocks; ++block) {
            m_down.emplace_back(std::in_place_type<VaeResidualBlock>, weights, nextName(), width, out,
                                m_numbers);
            width = out;
        }
        if (i + 1 == levels)
            break;
        const std::string name = nextName();
        Downsampler down;
        down.space = FrameConv2d(weights, name + ".resample.1", width, width);
        if (config.temporalDownsample[i]) {
            down.time.emplace(weights, name + ".time_conv", width, width, 1);
            down.ring = m_numbers.next();
        }
        m_down.emplace_back(std::move(down));
    }
}

VaeStream VaeEncoder::open(std::stop_token stop, VaeTap tap) const {
    return {std::vector<FrameRing>(m_numbers.count()), std::move(stop), std::move(tap)};
}

at::Tensor VaeEncoder::push(const at::Tensor& frame, VaeStream& stream) const {
    stream.rings[m_convInRing].push(frame);
    at::Tensor x = m_convIn(stream.rings[m_convInRing]);
    for (const auto& layer : m_down) {
        x = std::visit([&](const auto& run) { return run(x, stream); }, layer);
        if (!x.defined())
            return {};
    }
    x = m_head(m_mid(x, stream), stream);
    stream.see("encoder", x);
    return x;
}

at::Tensor VaeEncoder::Downsampler::operator()(const at::Tensor& frame, VaeStream& stream) const {
    const at::Tensor half = space.halfSize(frame);
    if (!time)
        return half;
    FrameRing& rememberedFrames = stream.rings[ring];
    rememberedFrames.push(half);
    const std::int64_t index = rememberedFrames.frames() - 1;
    if (index == 0)
        return half;
    return index % 2 == 0 ? (*time)(rememberedFrames) : at::Tensor();
}

} // namespace canopy::accel
