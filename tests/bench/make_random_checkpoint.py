"""Writes a random checkpoint of Wan 2.1 1.3B's size in diffusers' layout, for measuring time and memory.

    python make_random_checkpoint.py OUT_DIR TOKENIZER_FILE [--text-layers N] [--skyreels]

--skyreels makes it SkyReels-V2 DF 1.3B, which has an embedding of the frame rate beside the same shapes.

The transformer and the autoencoder have the released shapes; the text encoder has the width of UMT5-XXL and N layers
(24 in the release). Weights are normal with a small deviation, norms are one: numbers stay finite, pictures mean nothing.
"""
import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def normal(*shape):
    return (torch.randn(*shape, device=DEVICE) * 0.02).to(torch.bfloat16)


def linear(sd, name, i, o, bias=True):
    sd[name + ".weight"] = normal(o, i)
    if bias:
        sd[name + ".bias"] = normal(o)


def transformer(skyreels, c=1536, ffn=8960, layers=30, text=4096, freq=256, channels=16):
    sd = {"patch_embedding.weight": normal(c, channels, 1, 2, 2), "patch_embedding.bias": normal(c)}
    p = "condition_embedder."
    linear(sd, p + "text_embedder.linear_1", text, c)
    linear(sd, p + "text_embedder.linear_2", c, c)
    linear(sd, p + "time_embedder.linear_1", freq, c)
    linear(sd, p + "time_embedder.linear_2", c, c)
    linear(sd, p + "time_proj", c, 6 * c)
    if skyreels:
        sd["fps_embedding.weight"] = normal(2, c)
        linear(sd, "fps_projection.net.0.proj", c, c)
        linear(sd, "fps_projection.net.2", c, 6 * c)
    for i in range(layers):
        b = f"blocks.{i}."
        for a in ("attn1", "attn2"):
            for n in ("to_q", "to_k", "to_v", "to_out.0"):
                linear(sd, b + a + "." + n, c, c)
            for n in ("norm_q", "norm_k"):
                sd[b + a + "." + n + ".weight"] = torch.ones(c, device=DEVICE, dtype=torch.bfloat16)
        sd[b + "norm2.weight"] = torch.ones(c, device=DEVICE, dtype=torch.bfloat16)
        sd[b + "norm2.bias"] = normal(c)
        linear(sd, b + "ffn.net.0.proj", c, ffn)
        linear(sd, b + "ffn.net.2", ffn, c)
        sd[b + "scale_shift_table"] = normal(1, 6, c)
    sd["scale_shift_table"] = normal(1, 2, c)
    linear(sd, "proj_out", c, 4 * channels)
    config = dict(_class_name="WanTransformer3DModel", patch_size=[1, 2, 2], num_attention_heads=12, attention_head_dim=128,
                  in_channels=channels, out_channels=channels, text_dim=text, freq_dim=freq, ffn_dim=ffn, num_layers=layers,
                  cross_attn_norm=True, qk_norm="rms_norm_across_heads", eps=1e-6, image_dim=None, added_kv_proj_dim=None,
                  rope_max_seq_len=1024, pos_embed_seq_len=None)
    if skyreels:
        config.update(_class_name="SkyReelsV2Transformer3DModel", inject_sample_info=True)
    return sd, config


def conv(sd, name, i, o, *k):
    sd[name + ".weight"] = (torch.randn(o, i, *k, device=DEVICE) / (i * torch.tensor(k).prod().item()) ** 0.5).to(torch.bfloat16)
    sd[name + ".bias"] = normal(o)


def autoencoder(base=96, z=16):
    sd = {}

    def gamma(name, c, dims):
        sd[name + ".gamma"] = torch.ones(c, *([1] * dims), device=DEVICE, dtype=torch.bfloat16)

    def resnet(name, i, o):
        gamma(name + ".norm1", i, 3)
        conv(sd, name + ".conv1", i, o, 3, 3, 3)
        gamma(name + ".norm2", o, 3)
        conv(sd, name + ".conv2", o, o, 3, 3, 3)
        if i != o:
            conv(sd, name + ".conv_shortcut", i, o, 1, 1, 1)

    def middle(name, c):
        resnet(name + ".resnets.0", c, c)
        gamma(name + ".attentions.0.norm", c, 2)
        conv(sd, name + ".attentions.0.to_qkv", c, 3 * c, 1, 1)
        conv(sd, name + ".attentions.0.proj", c, c, 1, 1)
        resnet(name + ".resnets.1", c, c)

    dims = [base * m for m in (1, 1, 2, 4, 4)]
    temporal = (False, True, True)
    conv(sd, "encoder.conv_in", 3, dims[0], 3, 3, 3)
    n = 0
    for i in range(4):
        for j in range(2):
            resnet(f"encoder.down_blocks.{n}", dims[i] if j == 0 else dims[i + 1], dims[i + 1])
            n += 1
        if i < 3:
            conv(sd, f"encoder.down_blocks.{n}.resample.1", dims[i + 1], dims[i + 1], 3, 3)
            if temporal[i]:
                conv(sd, f"encoder.down_blocks.{n}.time_conv", dims[i + 1], dims[i + 1], 3, 1, 1)
            n += 1
    middle("encoder.mid_block", dims[-1])
    gamma("encoder.norm_out", dims[-1], 3)
    conv(sd, "encoder.conv_out", dims[-1], 2 * z, 3, 3, 3)
    conv(sd, "quant_conv", 2 * z, 2 * z, 1, 1, 1)
    conv(sd, "post_quant_conv", z, z, 1, 1, 1)

    up = [base * m for m in (4, 4, 4, 2, 1)]
    conv(sd, "decoder.conv_in", z, up[0], 3, 3, 3)
    middle("decoder.mid_block", up[0])
    for i in range(4):
        width = up[i] if i == 0 else up[i] // 2
        for j in range(3):
            resnet(f"decoder.up_blocks.{i}.resnets.{j}", width if j == 0 else up[i + 1], up[i + 1])
        if i < 3:
            conv(sd, f"decoder.up_blocks.{i}.upsamplers.0.resample.1", up[i + 1], up[i + 1] // 2, 3, 3)
            if temporal[::-1][i]:
                conv(sd, f"decoder.up_blocks.{i}.upsamplers.0.time_conv", up[i + 1], 2 * up[i + 1], 3, 1, 1)
    gamma("decoder.norm_out", up[-1], 3)
    conv(sd, "decoder.conv_out", up[-1], 3, 3, 3, 3)
    config = dict(_class_name="AutoencoderKLWan", attn_scales=[], base_dim=base, dim_mult=[1, 2, 4, 4], dropout=0.0, z_dim=z,
                  latents_mean=[0.0] * z, latents_std=[1.0] * z, num_res_blocks=2, temperal_downsample=list(temporal))
    return sd, config


def text_encoder(layers, d=4096, ffn=10240, heads=64, vocab=256384):
    sd = {"shared.weight": normal(vocab, d)}
    for i in range(layers):
        b = f"encoder.block.{i}.layer."
        for n in "qkvo":
            linear(sd, b + "0.SelfAttention." + n, d, d, False)
        sd[b + "0.SelfAttention.relative_attention_bias.weight"] = normal(32, heads)
        sd[b + "0.layer_norm.weight"] = torch.ones(d, device=DEVICE, dtype=torch.bfloat16)
        linear(sd, b + "1.DenseReluDense.wi_0", d, ffn, False)
        linear(sd, b + "1.DenseReluDense.wi_1", d, ffn, False)
        linear(sd, b + "1.DenseReluDense.wo", ffn, d, False)
        sd[b + "1.layer_norm.weight"] = torch.ones(d, device=DEVICE, dtype=torch.bfloat16)
    sd["encoder.final_layer_norm.weight"] = torch.ones(d, device=DEVICE, dtype=torch.bfloat16)
    config = dict(architectures=["UMT5EncoderModel"], model_type="umt5", vocab_size=vocab, d_model=d, d_kv=64, num_heads=heads,
                  d_ff=ffn, num_layers=layers, relative_attention_num_buckets=32, relative_attention_max_distance=128,
                  feed_forward_proj="gated-gelu", dense_act_fn="gelu_new", is_gated_act=True, layer_norm_epsilon=1e-6,
                  pad_token_id=0, eos_token_id=1)
    return sd, config


def write(folder, name, sd, config):
    os.makedirs(folder, exist_ok=True)
    save_file({k: v.cpu().contiguous() for k, v in sd.items()}, os.path.join(folder, name + ".safetensors"))
    json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=1)


def main():
    out, tokenizer = sys.argv[1:3]
    layers = int(sys.argv[sys.argv.index("--text-layers") + 1]) if "--text-layers" in sys.argv else 24
    skyreels = "--skyreels" in sys.argv
    torch.manual_seed(1)
    weights, config = transformer(skyreels)
    write(os.path.join(out, "transformer"), "diffusion_pytorch_model", weights, config)
    write(os.path.join(out, "vae"), "diffusion_pytorch_model", *autoencoder())
    write(os.path.join(out, "text_encoder"), "model", *text_encoder(layers))
    os.makedirs(os.path.join(out, "tokenizer"), exist_ok=True)
    shutil.copy(tokenizer, os.path.join(out, "tokenizer", "spiece.model"))
    kind = "SkyReelsV2DiffusionForcingPipeline" if skyreels else "WanPipeline"
    index = dict(_class_name=kind, _diffusers_version="0.42.1", scheduler=["diffusers", "UniPCMultistepScheduler"],
                 text_encoder=["transformers", "UMT5EncoderModel"], tokenizer=["transformers", "T5TokenizerFast"],
                 transformer=["diffusers", config["_class_name"]], vae=["diffusers", "AutoencoderKLWan"])
    json.dump(index, open(os.path.join(out, "model_index.json"), "w"), indent=1)


if __name__ == "__main__":
    main()
