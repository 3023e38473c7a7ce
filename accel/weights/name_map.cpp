#include "accel/weights/name_map.h"

#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

namespace canopy::accel {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

bool replacePrefix(std::string& name, std::string_view from, std::string_view to) {
    if (!name.starts_with(from))
        return false;
    name.replace(0, from.size(), to);
    return true;
}

template <std::size_t N>
bool replaceFirst(std::string& name, const std::array<Pair, N>& table) {
    for (const auto& [from, to] : table) {
        if (replacePrefix(name, from, to))
            return true;
    }
    return false;
}

/// "blocks.12.rest" with the given head: 12 and "rest".
std::optional<std::pair<int, std::string>> splitIndex(std::string_view name, std::string_view head) {
    if (!name.starts_with(head))
        return std::nullopt;
    const char* first = name.data() + head.size();
    const char* last = name.data() + name.size();
    int index = 0;
    const auto [end, error] = std::from_chars(first, last, index);
    if (error != std::errc() || end == last || *end != '.')
        return std::nullopt;
    return std::pair(index, std::string(end + 1, last));
}

std::string transformerName(std::string name) {
    static constexpr std::array<Pair, 11> kTop = {{
        {"text_embedding.0.", "condition_embedder.text_embedder.linear_1."},
        {"text_embedding.2.", "condition_embedder.text_embedder.linear_2."},
        {"time_embedding.0.", "condition_embedder.time_embedder.linear_1."},
        {"time_embedding.2.", "condition_embedder.time_embedder.linear_2."},
        {"time_projection.1.", "condition_embedder.time_proj."},
        {"fps_projection.0.", "fps_projection.net.0.proj."},
        {"fps_projection.2.", "fps_projection.net.2."},
        {"head.head.", "proj_out."},
        {"head.modulation", "scale_shift_table"},
        {"img_emb.", "condition_embedder.image_embedder."},
        {"model.", ""},
    }};
    static constexpr std::array<Pair, 6> kBlock = {{
        {"self_attn.", "attn1."},
        {"cross_attn.", "attn2."},
        {"norm3.", "norm2."},
        {"ffn.0.", "ffn.net.0.proj."},
        {"ffn.2.", "ffn.net.2."},
        {"modulation", "scale_shift_table"},
    }};
    static constexpr std::array<Pair, 4> kProjection = {{
        {"q.", "to_q."},
        {"k.", "to_k."},
        {"v.", "to_v."},
        {"o.", "to_out.0."},
    }};
    if (auto block = splitIndex(name, "blocks.")) {
        auto& [index, rest] = *block;
        if (rest.starts_with("self_attn.") || rest.starts_with("cross_attn.")) {
            replaceFirst(rest, kBlock);
            std::string inner = rest.substr(6); // behind "attn1." or "attn2."
            replaceFirst(inner, kProjection);
            rest = rest.substr(0, 6) + inner;
        } else {
            replaceFirst(rest, kBlock);
        }
        return "blocks." + std::to_string(index) + "." + rest;
    }
    replaceFirst(name, kTop);
    return name;
}

/// Inside a residual block: Sequential(norm, SiLU, conv, norm, SiLU, dropout, conv).
void residualName(std::string& rest) {
    static constexpr std::array<Pair, 5> kResidual = {{
        {"residual.0.", "norm1."},
        {"residual.2.", "conv1."},
        {"residual.3.", "norm2."},
        {"residual.6.", "conv2."},
        {"shortcut.", "conv_shortcut."},
    }};
    replaceFirst(rest, kResidual);
}

std::string vaeName(std::string name) {
    if (replacePrefix(name, "conv1.", "quant_conv.") || replacePrefix(name, "conv2.", "post_quant_conv."))
        return name;
    for (const std::string side : {"encoder.", "decoder."}) {
        if (!name.starts_with(side))
            continue;
        std::string rest = name.substr(side.size());
        if (replacePrefix(rest, "conv1.", "conv_in.") || replacePrefix(rest, "head.0.", "norm_out.") ||
            replacePrefix(rest, "head.2.", "conv_out."))
            return side + rest;
        if (auto middle = splitIndex(rest, "middle.")) {
            auto& [index, inner] = *middle;
            if (index == 1)
                return side + "mid_block.attentions.0." + inner;
            residualName(inner);
            return side + "mid_block.resnets." + (index == 0 ? "0." : "1.") + inner;
        }
        if (auto down = splitIndex(rest, "downsamples.")) {
            residualName(down->second);
            return side + "down_blocks." + std::to_string(down->first) + "." + down->second;
        }
        if (auto up = splitIndex(rest, "upsamples.")) {
            // Each of the stages is three residual blocks and, but for the last, one upsampler.
            auto& [index, inner] = *up;
            const std::string stage = "up_blocks." + std::to_string(index / 4) + ".";
            if (inner.starts_with("resample.") || inner.starts_with("time_conv."))
                return side + stage + "upsamplers.0." + inner;
            residualName(inner);
            return side + stage + "resnets." + std::to_string(index % 4) + "." + inner;
        }
    }
    return name;
}

std::string textName(std::string name) {
    static constexpr std::array<Pair, 10> kBlock = {{
        {"attn.q.", "layer.0.SelfAttention.q."},
        {"attn.k.", "layer.0.SelfAttention.k."},
        {"attn.v.", "layer.0.SelfAttention.v."},
        {"attn.o.", "layer.0.SelfAttention.o."},
        {"pos_embedding.embedding.", "layer.0.SelfAttention.relative_attention_bias."},
        {"norm1.", "layer.0.layer_norm."},
        {"norm2.", "layer.1.layer_norm."},
        {"ffn.gate.0.", "layer.1.DenseReluDense.wi_0."},
        {"ffn.fc1.", "layer.1.DenseReluDense.wi_1."},
        {"ffn.fc2.", "layer.1.DenseReluDense.wo."},
    }};
    if (auto block = splitIndex(name, "blocks.")) {
        replaceFirst(block->second, kBlock);
        return "encoder.block." + std::to_string(block->first) + "." + block->second;
    }
    if (replacePrefix(name, "token_embedding.", "shared.") ||
        replacePrefix(name, "norm.", "encoder.final_layer_norm."))
        return name;
    return name;
}

/// Original LLaVA ("model.layers.", "model.mm_projector.", "model.vision_tower.vision_tower."), transformers'
/// files ("language_model.model.", "multi_modal_projector.") and what recent versions of it hold in memory
/// ("model.language_model.", "model.vision_tower."); also its two halves alone. token-forest.md 1.10.
std::string videoQaName(std::string name) {
    static constexpr std::array<Pair, 8> kOuter = {{
        {"model.vision_tower.vision_tower.", "vision_tower."},
        {"model.vision_tower.", "vision_tower."},
        {"model.multi_modal_projector.", "multi_modal_projector."},
        {"model.mm_projector.0.", "multi_modal_projector.linear_1."},
        {"model.mm_projector.2.", "multi_modal_projector.linear_2."},
        {"model.image_newline", "image_newline"},
        {"model.language_model.", "language_model.model."},
        {"model.", "language_model.model."},
    }};
    static constexpr std::array<Pair, 2> kAlone = {{
        {"lm_head.", "language_model.lm_head."},
        {"vision_model.", "vision_tower.vision_model."},
    }};
    if (!replaceFirst(name, kOuter))
        replaceFirst(name, kAlone);
    if (name.starts_with("vision_tower.") && !name.starts_with("vision_tower.vision_model."))
        replacePrefix(name, "vision_tower.", "vision_tower.vision_model.");
    return name;
}

} // namespace

std::string canonicalName(WeightReader::Part part, std::string_view name) {
    std::string bare(name);
    for (const std::string_view prefix :
         {"model.diffusion_model.", "diffusion_model.", "first_stage_model.", "vae."}) {
        if (replacePrefix(bare, prefix, ""))
            break;
    }
    switch (part) {
    case WeightReader::Part::Transformer:
        return transformerName(std::move(bare));
    case WeightReader::Part::Vae:
        return vaeName(std::move(bare));
    case WeightReader::Part::TextEncoder:
        return textName(std::move(bare));
    case WeightReader::Part::VideoQa:
        return videoQaName(std::move(bare));
    }
    return bare;
}

bool isCompanion(WeightReader::Part part, std::string_view canonical) {
    if (canonical == "scaled_fp8")
        return true;
    if (part == WeightReader::Part::VideoQa) {
        // What the host computes itself, and what lies behind the hidden state that it reads.
        return canonical.ends_with(".inv_freq") ||
               canonical.starts_with("vision_tower.vision_model.post_layernorm.") ||
               canonical.starts_with("vision_tower.vision_model.head.");
    }
    // transformers keeps the tied embedding a second time; ComfyUI embeds the tokenizer in the encoder's
    // file.
    return part == WeightReader::Part::TextEncoder &&
           (canonical == "encoder.embed_tokens.weight" || canonical == "spiece_model");
}

} // namespace canopy::accel
