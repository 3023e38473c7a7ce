#include "core/formats/part_tensors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include <xxhash.h>

#include "core/formats/known_models.h"

namespace canopy {

namespace {

Error unsupported(std::string what) {
    return makeError(ErrorCode::Unsupported, std::move(what));
}

/// Names of one checkpoint without their common prefix.
class Names {
public:
    Names(const Checkpoint& files, std::string prefix)
        : m_files(files)
        , m_prefix(std::move(prefix)) {}

    const TensorInfo* find(std::string_view name) const { return m_files.find(m_prefix + std::string(name)); }
    bool has(std::string_view name) const { return find(name) != nullptr; }
    bool any(std::string_view start) const {
        // names() is sorted; a prefix search there would copy all names, so ask the map once per call site
        // only.
        for (const auto& name : m_files.names())
            if (name.size() > m_prefix.size() &&
                std::string_view(name).substr(m_prefix.size()).starts_with(start))
                return true;
        return false;
    }
    /// Dimension `axis` of a tensor of that rank; -1 when it is missing, has another rank or is absurdly
    /// large.
    int dim(std::string_view name, std::size_t rank, std::size_t axis) const {
        const auto* t = find(name);
        if (!t || t->shape.size() != rank || t->shape[axis] > 1'000'000'000)
            return -1;
        return static_cast<int>(t->shape[axis]);
    }
    /// Number of consecutive blocks under "blocks." and the like; -1 when the numbers have gaps.
    int blocks(std::string_view start) const {
        std::set<int> seen;
        const std::string full = m_prefix + std::string(start);
        for (const auto& name : m_files.names()) {
            if (!name.starts_with(full))
                continue;
            int index = 0;
            const char* first = name.data() + full.size();
            const auto [end, failed] = std::from_chars(first, name.data() + name.size(), index);
            if (failed == std::errc() && *end == '.' && index >= 0)
                seen.insert(index);
        }
        return seen.empty() || *seen.rbegin() + 1 != static_cast<int>(seen.size())
                   ? -1
                   : static_cast<int>(seen.size());
    }

private:
    const Checkpoint& m_files;
    std::string m_prefix;
};

/// What differs between the two layouts of a transformer.
struct DitNames {
    KeyLayout layout;
    std::string_view time, text, ffn, out, crossNorm;
};
constexpr DitNames kDitNames[] = {
    {KeyLayout::Diffusers, "condition_embedder.time_embedder.linear_1.weight",
     "condition_embedder.text_embedder.linear_1.weight", "blocks.0.ffn.net.0.proj.weight", "proj_out.weight",
     "blocks.0.norm2.weight"},
    {KeyLayout::Original, "time_embedding.0.weight", "text_embedding.0.weight", "blocks.0.ffn.0.weight",
     "head.head.weight", "blocks.0.norm3.weight"},
};

Result<PartTensors> readDit(const Names& names, const DitNames& n, int headDim) {
    if (names.dim("patch_embedding.weight", 5, 1) == 36 || names.any("img_emb.") ||
        names.any("condition_embedder.image_embedder.") || names.has("blocks.0.cross_attn.k_img.weight"))
        return imageToVideoRefusal();
    if (names.any("vace_"))
        return unsupported("This is a VACE editing model; expected a text-to-video model");
    PartTensors out;
    out.part = ModelPart::Transformer;
    out.layout = n.layout;
    auto& c = out.dit;
    const int width = names.dim("patch_embedding.weight", 5, 0);
    if (headDim < 1 || width < 1 || width % headDim != 0)
        return makeError(ErrorCode::Mismatch, "The transformer is " + std::to_string(width) +
                                                  " wide, which is no multiple of its head size " +
                                                  std::to_string(headDim) + "; get its config.json too");
    c.heads = width / headDim;
    c.headDim = headDim;
    c.layers = names.blocks("blocks.");
    c.ffnDim = names.dim(n.ffn, 2, 0);
    c.textDim = names.dim(n.text, 2, 1);
    c.freqDim = names.dim(n.time, 2, 1);
    c.inChannels = names.dim("patch_embedding.weight", 5, 1);
    int patchVolume = 1;
    for (std::size_t i = 0; i < 3; ++i) {
        c.patch[i] = names.dim("patch_embedding.weight", 5, 2 + i);
        if (c.patch[i] < 1 || c.patch[i] > 8)
            return makeError(ErrorCode::Malformed, "The patch embedding has an unusual patch size of " +
                                                       std::to_string(c.patch[i]) + "; expected 1 x 2 x 2");
        patchVolume *= c.patch[i];
    }
    c.outChannels = names.dim(n.out, 2, 0) / patchVolume;
    c.crossAttentionNorm = names.has(n.crossNorm);
    c.fpsEmbedding = names.has("fps_embedding.weight");
    c.family = c.fpsEmbedding ? ModelFamily::SkyReelsDf : ModelFamily::WanT2v;
    if (auto ok = checkConfig(c); !ok)
        return ok.error();
    return out;
}

struct VaeNames {
    KeyLayout layout;
    std::string_view in, quant, middle, down;
};
constexpr VaeNames kVaeNames[] = {
    {KeyLayout::Diffusers, "encoder.conv_in.weight", "post_quant_conv.weight", "decoder.conv_in.weight",
     "encoder.down_blocks.0.conv1.weight"},
    {KeyLayout::Original, "encoder.conv1.weight", "conv2.weight", "decoder.conv1.weight",
     "encoder.downsamples.0.residual.2.weight"},
};

Result<PartTensors> readVae(const Names& names, const VaeNames& n) {
    PartTensors out;
    out.part = ModelPart::Vae;
    out.layout = n.layout;
    auto& c = out.vae;
    c.baseDim = names.dim(n.in, 5, 0);
    c.latentChannels = names.dim(n.quant, 5, 0);
    if (names.dim(n.in, 5, 1) != 3 || !names.has(n.down) || c.baseDim < 1 || c.baseDim > 4096 ||
        names.dim(n.middle, 5, 0) != c.baseDim * 4)
        return unsupported(
            "This is an autoencoder of another kind than Wan 2.1's (Wan 2.2 has such a one); expected "
            "Wan 2.1's");
    if (c.latentChannels != 16)
        return unsupported(
            "The autoencoder has " + std::to_string(c.latentChannels) +
            " latent channels and no config.json that gives their mean and deviation; expected 16");
    c.latentsMean = wanLatentsMean();
    c.latentsStd = wanLatentsStd();
    if (auto ok = checkConfig(c); !ok)
        return ok.error();
    return out;
}

struct TextNames {
    KeyLayout layout;
    std::string_view table, blocks, query, bias, secondBias, gate, up;
};
constexpr TextNames kTextNames[] = {
    {KeyLayout::Diffusers, "shared.weight", "encoder.block.",
     "encoder.block.0.layer.0.SelfAttention.q.weight",
     "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
     "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight",
     "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
     "encoder.block.0.layer.1.DenseReluDense.wi_1.weight"},
    {KeyLayout::Original, "token_embedding.weight", "blocks.", "blocks.0.attn.q.weight",
     "blocks.0.pos_embedding.embedding.weight", "blocks.1.pos_embedding.embedding.weight",
     "blocks.0.ffn.gate.0.weight", "blocks.0.ffn.fc1.weight"},
};

Result<PartTensors> readText(const Names& names, const TextNames& n) {
    PartTensors out;
    out.part = ModelPart::TextEncoder;
    out.layout = n.layout;
    auto& c = out.text;
    const std::string_view table =
        names.has(n.table) ? n.table : std::string_view("encoder.embed_tokens.weight");
    c.vocabulary = names.dim(table, 2, 0);
    c.modelDim = names.dim(table, 2, 1);
    c.layers = names.blocks(n.blocks);
    c.relativeBuckets = names.dim(n.bias, 2, 0);
    c.heads = names.dim(n.bias, 2, 1);
    if (c.layers > 1 && !names.has(n.secondBias))
        return unsupported(
            "This is a T5 text encoder with one position table for all layers; expected UMT5, which "
            "has one in each");
    if (!names.has(n.gate) || !names.has(n.up))
        return unsupported("This text encoder has no gated feed-forward layers; expected UMT5");
    c.ffnDim = names.dim(n.up, 2, 0);
    const int inner = names.dim(n.query, 2, 0);
    if (c.heads < 1 || inner < 1 || inner % c.heads != 0)
        return makeError(ErrorCode::Mismatch, "The text encoder's " + std::to_string(inner) +
                                                  " query rows cannot be shared by " +
                                                  std::to_string(c.heads) + " heads; download it again");
    c.headDim = inner / c.heads;
    if (auto ok = checkConfig(c); !ok)
        return ok.error();
    return out;
}

std::string prefixOf(const Checkpoint& files) {
    for (const char* prefix : {"model.diffusion_model.", "diffusion_model.", "model."})
        if (files.has(std::string(prefix) + "patch_embedding.weight"))
            return prefix;
    return {};
}

Result<PartTensors> recognise(const Checkpoint& files, const std::string& prefix, int headDim) {
    const Names names(files, prefix);
    if (names.has("patch_embedding.weight")) {
        for (const auto& n : kDitNames)
            if (names.has(n.time) && names.has(n.out))
                return readDit(names, n, headDim);
    }
    for (const auto& n : kVaeNames)
        if (names.has(n.in) && names.has(n.middle) && names.has(n.quant))
            return readVae(names, n);
    for (const auto& n : kTextNames)
        if (names.has(n.query) && names.has(n.bias))
            return readText(names, n);
    if (names.any("lora_") || names.any("diffusion_model.blocks.0.") || names.any("transformer.blocks.0."))
        return unsupported("This is a LoRA adapter or another addition to a model; expected a whole model");
    if (names.any("encoder.middle.") || names.any("decoder.middle."))
        return unsupported("This is an autoencoder of another kind than Wan 2.1's; expected Wan 2.1's");
    const auto first = files.size() == 0 ? std::string("nothing") : quotedName(files.names().front());
    return unsupported(
        "The tensors belong to no model that is known here (the first is " + first +
        "); expected a Wan 2.1 or SkyReels-V2 transformer, their autoencoder or a UMT5 text encoder");
}

} // namespace

std::string_view modelPartName(ModelPart part) {
    switch (part) {
    case ModelPart::Transformer:
        return "transformer";
    case ModelPart::Vae:
        return "autoencoder";
    case ModelPart::TextEncoder:
        return "text encoder";
    }
    return "";
}

bool isStorageTensor(std::string_view name) {
    static constexpr std::array<std::string_view, 8> kEndings = {
        ".SCB",         ".weight_format", ".scale_weight", ".scale_input",
        ".input_scale", ".weight_scale",  ".comfy_quant",  "scaled_fp8"};
    return name == "spiece_model" || std::any_of(kEndings.begin(), kEndings.end(),
                                                 [&](std::string_view e) { return name.ends_with(e); });
}

Result<PartTensors> recognisePart(const Checkpoint& files, int headDim) {
    const std::string prefix = prefixOf(files);
    const auto names = files.names();
    for (const auto& name : names)
        if (name.find(".quant_state.") != std::string::npos || name.ends_with(".absmax") ||
            name.ends_with(".qweight"))
            return unsupported(
                "The weights are stored with 4 bits, which is not read here; get them as bf16, fp8 or "
                "8-bit rows");
    auto out = recognise(files, prefix, headDim);
    if (!out)
        return out.error();
    out->prefix = prefix;
    out->bytes = files.totalBytes();
    out->holdsTokenizer = files.has("spiece_model");
    const bool tableTwice = files.has("shared.weight");
    for (const auto& name : names)
        if (!isStorageTensor(name) && !(tableTwice && name == "encoder.embed_tokens.weight"))
            out->parameters += files.find(name)->elements();
    return out;
}

Result<std::string> shortHash(const Checkpoint& files) {
    constexpr std::size_t kSamples = 16, kSampleBytes = 64;
    const auto names = files.names();
    std::string text;
    for (const auto& name : names) {
        const auto* t = files.find(name);
        text += name + ' ' + std::string(dtypeName(t->dtype));
        for (const std::uint64_t d : t->shape)
            text += ' ' + std::to_string(d);
        text += '\n';
    }
    // Some bytes of the middle of evenly spread tensors.
    for (std::size_t i = 0; i < kSamples && !names.empty(); ++i) {
        const auto& name = names[i * names.size() / kSamples];
        const auto* t = files.find(name);
        std::array<std::uint8_t, kSampleBytes> sample{};
        const auto length = std::min<std::uint64_t>(t->bytes(), kSampleBytes);
        if (auto read = files.read(name, (t->bytes() - length) / 2, std::span(sample).first(length)); !read)
            return read.error();
        text.append(reinterpret_cast<const char*>(sample.data()), length);
    }
    const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
    static constexpr char kHex[] = "0123456789abcdef";
    std::string out;
    for (int shift = 60; shift >= 32; shift -= 4)
        out += kHex[hash >> shift & 15];
    return out;
}

} // namespace canopy
