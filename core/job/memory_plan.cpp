#include "core/job/memory_plan.h"

#include <algorithm>

// Letters: T latent frames, h x w latent size, L tokens = T * (h / 2) * (w / 2), C width of the transformer.

namespace canopy {
namespace {

using Bytes = std::uint64_t;

Bytes elementBytes(const GenerationRequest& r) {
    const bool half = r.precision == Precision::BFloat16 ||
                      (r.precision == Precision::Auto && r.device == DeviceKind::Cuda);
    return half ? 2 : 4;
}

/// Code, thread stacks and allocator slack of the worker itself, before any weight (measured on a bare
/// start).
constexpr Bytes kCpuRuntime = Bytes{250} << 20;
constexpr Bytes kCudaRuntime = Bytes{500} << 20;

class StageBuilder {
public:
    StageBuilder(std::string name, DeviceKind device)
        : m_device(device) {
        m_stage.name = std::move(name);
        add(MemoryCategory::Runtime, device == DeviceKind::Cuda ? kCudaRuntime : kCpuRuntime);
    }
    StageBuilder& add(MemoryCategory category, Bytes bytes) {
        m_stage.items.push_back({category, m_device, bytes});
        return *this;
    }
    MemoryStage take() { return std::move(m_stage); }

private:
    DeviceKind m_device;
    MemoryStage m_stage;
};

} // namespace

std::string_view memoryCategoryName(MemoryCategory category) {
    constexpr std::string_view kNames[] = {"runtime", "weights", "text_encoder", "activations",
                                           "latents", "vae",     "frames",       "key_values"};
    return kNames[static_cast<std::size_t>(category)];
}

std::uint64_t MemoryStage::bytes(DeviceKind device) const {
    Bytes sum = 0;
    for (const MemoryItem& item : items)
        if (item.device == device)
            sum += item.bytes;
    return sum;
}

std::uint64_t MemoryPlan::peakBytes(DeviceKind device) const {
    const MemoryStage* largest = largestStage(device);
    return largest ? largest->bytes(device) : 0;
}

const MemoryStage* MemoryPlan::largestStage(DeviceKind device) const {
    const auto it = std::max_element(stages.begin(), stages.end(), [&](const auto& a, const auto& b) {
        return a.bytes(device) < b.bytes(device);
    });
    return it == stages.end() ? nullptr : &*it;
}

bool keepsWholeModel(const ModelRecord& model, const GenerationRequest& request) {
    const Bytes parameters = model.transformerParameters + model.textParameters + model.vaeParameters;
    return parameters * elementBytes(request) <= kWholeModelBytes;
}

MemoryPlan planMemory(const ModelRecord& model, const GenerationRequest& r) {
    const Bytes element = elementBytes(r);
    const Bytes T = static_cast<Bytes>(latentFrames(r.frames));
    const Bytes h = static_cast<Bytes>(std::max(r.height, 0)) / 8;
    const Bytes w = static_cast<Bytes>(std::max(r.width, 0)) / 8;
    const Bytes L = T * (h / 2) * (w / 2);
    const Bytes C = static_cast<Bytes>(model.dit.width());
    const Bytes ffn = static_cast<Bytes>(model.dit.ffnDim);
    const Bytes textLength = static_cast<Bytes>(model.defaults.textLength);

    const Bytes latent = T * h * w * static_cast<Bytes>(model.vae.latentChannels) * 4; // fp32
    const Bytes latents = latent * 8; // noise, latents, two velocities, guided, and UniPC's history of three
    const Bytes embeddings = 2 * textLength * static_cast<Bytes>(model.text.modelDim) * 4;

    MemoryPlan plan;
    plan.stages.push_back(
        StageBuilder("text", r.device)
            .add(MemoryCategory::TextEncoder,
                 model.textParameters * element +
                     textLength * static_cast<Bytes>(model.text.ffnDim + 6 * model.text.modelDim) * 4)
            .take());
    // One block at a time: residual, its normed and modulated copy, q, k, v, attention output (all C wide),
    // then the feed-forward's inner rows; the residual stays fp32.
    const Bytes block = L * C * 4 + std::max(L * C * 5 * element, L * (C + 2 * ffn) * element);
    plan.stages.push_back(StageBuilder("denoise", r.device)
                              .add(MemoryCategory::Weights, model.transformerParameters * element)
                              .add(MemoryCategory::Activations, block + embeddings)
                              .add(MemoryCategory::Latents, latents)
                              .take());
    // Decoding goes latent frame by latent frame (4 pictures); the widest point is the last level at full
    // size, with input, output and the padded copy of a causal convolution, and two cached frames for each of
    // its layers.
    const Bytes tileH = r.vaeTiling ? std::min<Bytes>(h * 8, 256) : h * 8;
    const Bytes tileW = r.vaeTiling ? std::min<Bytes>(w * 8, 256) : w * 8;
    const Bytes base = static_cast<Bytes>(model.vae.baseDim);
    const Bytes layers = static_cast<Bytes>(2 * (model.vae.resBlocks + 1) + 1);
    const Bytes decode = tileH * tileW * base * 4 * (4 * 3 + 6) + tileH * tileW * base * 4 * 2 * layers;
    const Bytes frames = static_cast<Bytes>(std::max(r.width, 0)) *
                         static_cast<Bytes>(std::max(r.height, 0)) * 3 *
                         (4 + (r.vaeTiling ? static_cast<Bytes>(std::max(r.frames, 0)) : 0));
    plan.stages.push_back(StageBuilder("decode", r.device)
                              .add(MemoryCategory::Vae, model.vaeParameters * 4 + decode)
                              .add(MemoryCategory::Latents, latent)
                              .add(MemoryCategory::Frames, frames)
                              .take());
    return plan;
}

} // namespace canopy
