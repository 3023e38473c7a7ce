"""Writes a random checkpoint of LLaVA-OneVision-Qwen2-7B's size, for measuring time and memory.

    python make_random_llava.py OUT_DIR --layout hf|original [--layers N] [--width W]

Weights are normal with a small deviation, norms are one: numbers stay finite, answers mean nothing. The tokenizer has
Qwen2's ids for the chat markers and single bytes besides, so that every text can be written, in more tokens than with
the real one. Files of about 4 GB with an index, as the releases have them.
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SHARD_BYTES = 4 << 30


def normal(*shape):
    return (torch.randn(*shape, device=DEVICE, dtype=torch.bfloat16) * 0.02)


def ones(n):
    return torch.ones(n, device=DEVICE, dtype=torch.bfloat16)


def tensors(a):
    """Name in the Hugging Face files, tensor."""
    vision = "vision_tower.vision_model."
    w, mlp = 1152, 4304
    yield vision + "embeddings.patch_embedding.weight", normal(w, 3, 14, 14)
    yield vision + "embeddings.patch_embedding.bias", normal(w)
    yield vision + "embeddings.position_embedding.weight", normal(729, w)
    for i in range(26):
        b = f"{vision}encoder.layers.{i}."
        for n in ("layer_norm1", "layer_norm2"):
            yield b + n + ".weight", ones(w)
            yield b + n + ".bias", normal(w)
        for n in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield b + "self_attn." + n + ".weight", normal(w, w)
            yield b + "self_attn." + n + ".bias", normal(w)
        yield b + "mlp.fc1.weight", normal(mlp, w)
        yield b + "mlp.fc1.bias", normal(mlp)
        yield b + "mlp.fc2.weight", normal(w, mlp)
        yield b + "mlp.fc2.bias", normal(w)
    d, inner, kv, vocabulary = a.width, a.mlp, a.kv_heads * a.head_dim, 152128 if a.layout == "hf" else 152064
    for n, i in (("linear_1", w), ("linear_2", d)):
        yield f"multi_modal_projector.{n}.weight", normal(d, i)
        yield f"multi_modal_projector.{n}.bias", normal(d)
    yield "image_newline", normal(d)
    lm = "language_model.model."
    yield lm + "embed_tokens.weight", normal(vocabulary, d)
    for i in range(a.layers):
        b = f"{lm}layers.{i}."
        for n, o in (("q_proj", d), ("k_proj", kv), ("v_proj", kv)):
            yield b + f"self_attn.{n}.weight", normal(o, d)
            yield b + f"self_attn.{n}.bias", normal(o)
        yield b + "self_attn.o_proj.weight", normal(d, d)
        yield b + "mlp.gate_proj.weight", normal(inner, d)
        yield b + "mlp.up_proj.weight", normal(inner, d)
        yield b + "mlp.down_proj.weight", normal(d, inner)
        yield b + "input_layernorm.weight", ones(d)
        yield b + "post_attention_layernorm.weight", ones(d)
    yield lm + "norm.weight", ones(d)
    yield "language_model.lm_head.weight", normal(vocabulary, d)


def original_name(name):
    if name.startswith("vision_tower."):
        return "model.vision_tower." + name
    if name.startswith("multi_modal_projector."):
        return name.replace("multi_modal_projector.linear_1", "model.mm_projector.0").replace(
            "multi_modal_projector.linear_2", "model.mm_projector.2")
    if name == "image_newline":
        return "model.image_newline"
    return name.removeprefix("language_model.")


def tokenizer():
    """Single bytes under GPT-2's printable names, then fillers up to the markers."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    names, extra = {}, 0
    for b in range(256):
        if b in printable:
            names[b] = chr(b)
        else:
            names[b] = chr(256 + extra)
            extra += 1
    vocab = {names[b]: b for b in range(256)}
    for i in range(256, 151643):
        vocab[f"<filler{i}>"] = i
    added = [dict(id=i, content=c, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
             for i, c in ((151643, "<|endoftext|>"), (151644, "<|im_start|>"), (151645, "<|im_end|>"),
                          (151646, "<image>"), (151647, "<video>"))]
    pattern = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
               r"\s+(?!\S)|\s+")
    return dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=dict(type="NFC"),
                pre_tokenizer=dict(type="Sequence", pretokenizers=[
                    dict(type="Split", pattern=dict(Regex=pattern), behavior="Isolated", invert=False),
                    dict(type="ByteLevel", add_prefix_space=False, trim_offsets=False, use_regex=False)]),
                post_processor=None,
                decoder=dict(type="ByteLevel", add_prefix_space=False, trim_offsets=False, use_regex=False),
                model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix="",
                           end_of_word_suffix="", fuse_unk=False, byte_fallback=False, vocab=vocab, merges=[]))


def config(a):
    text = dict(model_type="qwen2", hidden_size=a.width, intermediate_size=a.mlp, num_hidden_layers=a.layers,
                num_attention_heads=a.heads, num_key_value_heads=a.kv_heads, rms_norm_eps=1e-6, rope_theta=1000000.0,
                max_position_embeddings=32768, tie_word_embeddings=False, use_sliding_window=False, hidden_act="silu")
    if a.layout == "original":
        return dict(architectures=["LlavaQwenForCausalLM"], **{k: v for k, v in text.items() if k != "model_type"},
                    model_type="llava", vocab_size=152064, mm_vision_tower="google/siglip-so400m-patch14-384",
                    mm_projector_type="mlp2x_gelu", mm_hidden_size=1152, mm_newline_position="one_token",
                    mm_spatial_pool_mode="bilinear", mm_vision_select_layer=-2, image_aspect_ratio="anyres_max_9")
    return dict(architectures=["LlavaOnevisionForConditionalGeneration"], model_type="llava_onevision",
                image_token_index=151646, video_token_index=151647, projector_hidden_act="gelu",
                vision_feature_layer=-1, vision_feature_select_strategy="full", vision_aspect_ratio="anyres_max_9",
                text_config=dict(text, vocab_size=152128), tie_word_embeddings=False,
                vision_config=dict(model_type="siglip_vision_model", hidden_size=1152, image_size=384, patch_size=14,
                                   intermediate_size=4304, num_attention_heads=16, num_hidden_layers=26,
                                   vision_use_head=False))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--layout", choices=("hf", "original"), default="hf")
    p.add_argument("--layers", type=int, default=28)
    p.add_argument("--width", type=int, default=3584)
    p.add_argument("--mlp", type=int, default=18944)
    p.add_argument("--heads", type=int, default=28)
    p.add_argument("--kv-heads", type=int, default=4)
    p.add_argument("--head-dim", type=int, default=128)
    a = p.parse_args()
    torch.manual_seed(1)
    os.makedirs(a.out, exist_ok=True)
    shards, shard, size = [], {}, 0
    for name, tensor in tensors(a):
        shard[original_name(name) if a.layout == "original" else name] = tensor
        size += tensor.numel() * 2
        if size > SHARD_BYTES:
            shards.append(shard)
            shard, size = {}, 0
    shards.append(shard)
    weight_map = {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        save_file({k: v.cpu().contiguous() for k, v in shard.items()}, os.path.join(a.out, file))
        weight_map.update({k: file for k in shard})
    json.dump(dict(metadata={}, weight_map=weight_map),
              open(os.path.join(a.out, "model.safetensors.index.json"), "w"))
    json.dump(config(a), open(os.path.join(a.out, "config.json"), "w"), indent=1)
    json.dump(dict(eos_token_id=[151645, 151643]), open(os.path.join(a.out, "generation_config.json"), "w"))
    json.dump(dict(image_mean=[0.5] * 3, image_std=[0.5] * 3, size=dict(height=384, width=384)),
              open(os.path.join(a.out, "preprocessor_config.json"), "w"))
    json.dump(tokenizer(), open(os.path.join(a.out, "tokenizer.json"), "w"), ensure_ascii=False)


if __name__ == "__main__":
    main()
