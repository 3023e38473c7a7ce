#include "core/job/memory_plan.h"

#include <algorithm>

#include "core/job/chunk_layout.h"

// Letters: T latent frames, h x w latent size, L tokens = T * (h / 2) * (w / 2), C width of the transformer,
// e bytes of an element.

namespace canopy {
namespace {

using Bytes = std::uint64_t;

Bytes elementBytes(const GenerationRequest& r) {
    const bool half = r.precision == Precision::BFloat16 ||
                      (r.precision == Precision::Auto && r.device == DeviceKind::Cuda);
    return half ? 2 : 4;
}

/// The worker itself before any weight, as resident size: measured on a bare start. On a card it is what
/// LibTorch's libraries take of its allocator (workspaces); the driver's context (about 0.5 GB) lies outside
/// both plan and measured peak.
constexpr Bytes kCpuRuntime = 142'000'000;
constexpr Bytes kCudaRuntime = 40'000'000;
/// Packed keys and values, oneDNN's scratch and what the allocator keeps between layers.
constexpr Bytes kCpuScratch = 40'000'000;

struct VaePixels {
    Bytes atOnce = 0; ///< of one frame or tile
    Bytes kept = 0;   ///< of the clip, half precision, while tiles are blended
};

/// Tiles are those of accel/models/wan/vae_tiling.h: 256 pixels along an edge.
VaePixels decodedPixels(const GenerationRequest& r) {
    const Bytes width = static_cast<Bytes>(std::max(r.width, 0));
    const Bytes height = static_cast<Bytes>(std::max(r.height, 0));
    if (!r.vaeTiling)
        return {width * height, 0};
    return {std::min<Bytes>(width, 256) * std::min<Bytes>(height, 256),
            width * height * static_cast<Bytes>(std::max(r.frames, 0))};
}

/// Decoding streams one latent frame at a time; its widest rows have base channels at full size. Measured:
/// the rings of three frames of every layer and the working rows.
Bytes decoderBytesPerPixel(const ModelRecord& model, const GenerationRequest& r) {
    const Bytes e = elementBytes(r);
    return static_cast<Bytes>(model.vae.baseDim) * (r.device == DeviceKind::Cuda ? 44 * e : 46 + 46 * e);
}

/// What sparse attention keeps from step to step, all layers and branches, at most. Its estimate fits into
/// what the feed-forward needs.
Bytes attentionState(const ModelRecord& model, const GenerationRequest& r) {
    const AttentionSettings& s = r.attention;
    const auto tokens = static_cast<Bytes>(std::max<std::int64_t>(videoTokens(r), 0));
    const Bytes blocks = (tokens + 127) / 128;
    const bool reuses = s.reuse != MaskReuse::Off;
    const Bytes heads = static_cast<Bytes>(model.dit.layers * model.dit.heads) * (r.guidance != 1.0 ? 2 : 1);
    if (s.method == AttentionMethod::Svg2) {
        const auto queries = static_cast<Bytes>(std::max(s.queryClusters, 0));
        const auto keys = static_cast<Bytes>(std::max(s.keyClusters, 0));
        // Centres before and after the last choice, float32; orders of tokens, and the map.
        const Bytes centres = 2 * (queries + keys) * static_cast<Bytes>(model.dit.headDim) * 4;
        return heads * (centres + (reuses ? 8 * tokens + queries * keys : 0));
    }
    if (reuses && (s.method == AttentionMethod::XAttention || s.method == AttentionMethod::TopK))
        return heads * blocks * (blocks * 4 + 8);
    return 0;
}

/// Keys and values of block-wise sampling, all layers and branches, and the queries that squeezing looks at.
Bytes keyMemory(const ModelRecord& model, const GenerationRequest& r) {
    const ChunkLayout layout = chunkLayout(r, model.defaults);
    const auto chunkTokens = static_cast<Bytes>(std::max<std::int64_t>(videoTokens(r), 0)) /
                             static_cast<Bytes>(std::max(layout.chunks, 1));
    const Bytes perToken = static_cast<Bytes>(model.dit.layers * model.dit.width()) * elementBytes(r) *
                           (r.guidance != 1.0 ? 2 : 1);
    const bool squeezes = r.chunks.kvBudget > 0 && !r.chunks.kvWindow;
    return chunkTokens * perToken * (2 * static_cast<Bytes>(layout.capacityChunks) + (squeezes ? 1 : 0));
}

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
    const bool cuda = r.device == DeviceKind::Cuda;
    const Bytes e = elementBytes(r);
    const Bytes T = static_cast<Bytes>(latentFrames(r.frames));
    const Bytes h = static_cast<Bytes>(std::max(r.height, 0)) / 8;
    const Bytes w = static_cast<Bytes>(std::max(r.width, 0)) / 8;
    const Bytes L = T * (h / 2) * (w / 2);
    const Bytes C = static_cast<Bytes>(model.dit.width());
    const Bytes ffn = static_cast<Bytes>(model.dit.ffnDim);
    const Bytes textTokens = static_cast<Bytes>(model.defaults.textLength);
    const Bytes latent = T * h * w * static_cast<Bytes>(model.vae.latentChannels) * 4; // float32

    const Bytes textWeights = model.textParameters * e;
    const Bytes vaeWeights = model.vaeParameters * e;
    // Time, fps and modulation weights stay in float32: 7 C^2 of time, as much again with an fps embedding.
    const Bytes timeParameters = (7 + (model.dit.fpsEmbedding ? 7 : 0)) * C * C;
    const Bytes ditWeights = model.transformerParameters * e + timeParameters * (4 - e);
    const bool whole = keepsWholeModel(model, r);
    // Position bias, logits, their sum and the softmax of one layer in float32, and half a copy in the
    // weights' type.
    const Bytes textActivations = static_cast<Bytes>(model.text.heads) * textTokens * textTokens * 18;

    MemoryPlan plan;
    StageBuilder text("text", r.device);
    text.add(MemoryCategory::TextEncoder, textWeights).add(MemoryCategory::Activations, textActivations);
    if (whole)
        text.add(MemoryCategory::Weights, ditWeights).add(MemoryCategory::Vae, vaeWeights);
    plan.stages.push_back(text.take());

    // Denoising holds the transformer and, for previews, the autoencoder. Latents: x, noise, velocities,
    // guided and the solver's history, about ten of them. Per token at the widest point, the feed-forward:
    // its inner row, C-wide rows of the block in the weights' type, and on a card in float32, where no fused
    // passes run, the copies of the gated sum.
    const Bytes rowsOfBlock = e == 2 ? 5 * C * e : 3 * C * e + 16 * C;
    const Bytes perToken = ffn * e + (cuda ? rowsOfBlock : 13 * C * e);
    // In blocks only one of them is in the transformer at a time.
    const ChunkLayout layout = chunkLayout(r, model.defaults);
    const Bytes tokensAtOnce = layout.chunks > 0 ? L / static_cast<Bytes>(layout.chunks) : L;
    // Finished chunks are decoded between rows, in the place of the transformer's rows. On a card what the
    // decoder remembers waits in the machine's memory meanwhile; on the CPU that is two thirds of it,
    // measured.
    const bool decodesAsItGrows = layout.chunks > 0 && !r.vaeTiling;
    const Bytes decoding = decodesAsItGrows ? decodedPixels(r).atOnce * decoderBytesPerPixel(model, r) : 0;
    const Bytes activations = tokensAtOnce * perToken + attentionState(model, r);
    StageBuilder denoise("denoise", r.device);
    denoise.add(MemoryCategory::Weights, ditWeights)
        .add(MemoryCategory::Vae, vaeWeights + (cuda ? Bytes{0} : decoding))
        .add(MemoryCategory::Activations,
             cuda ? std::max(activations, decoding)
                  : std::max(activations + kCpuScratch, decoding / 3) - decoding / 3)
        .add(MemoryCategory::Latents, 10 * latent);
    if (layout.chunks > 0)
        denoise.add(MemoryCategory::KeyValues, keyMemory(model, r));
    if (whole)
        denoise.add(MemoryCategory::TextEncoder, textWeights);
    plan.stages.push_back(denoise.take());

    const VaePixels pixels = decodedPixels(r);
    StageBuilder decode("decode", r.device);
    decode.add(MemoryCategory::Vae, vaeWeights + pixels.atOnce * decoderBytesPerPixel(model, r))
        .add(MemoryCategory::Latents, latent);
    if (whole)
        decode.add(MemoryCategory::Weights, ditWeights).add(MemoryCategory::TextEncoder, textWeights);
    if (!cuda)
        decode.add(MemoryCategory::Frames, pixels.kept * 3 * 2);
    plan.stages.push_back(decode.take());
    return plan;
}

} // namespace canopy
