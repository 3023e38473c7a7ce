"""Packs trained weights into the folders of this model: linear weights as 8-bit rows, everything else as it is.

    python pack.py int8 IN OUT        IN: a folder with config.json and *.safetensors (bf16), OUT: the packed folder
    python pack.py expand IN OUT      the packed folder back to plain float32 (for diffusers and transformers)

Layout of a packed linear (the one that bitsandbytes writes, so public 8-bit checkpoints load the same way):
`X.weight` int8 [out, in], `X.SCB` float32 [out] (largest magnitude of the row), `X.weight_format` uint8 0.
W = weight * SCB / 127.  Embeddings, norms, convolutions, biases and tensors with fewer than 4,096 elements stay.
"""
import glob
import json
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file

KEEP = ("embed_tokens", "shared.weight", "relative_attention_bias", "position_embedding", "patch_embedding", "fps_embedding", "lm_head")


def load(folder):
    sd = {}
    for f in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        sd.update(load_file(f))
    return sd


def pack(sd):
    out = {}
    for k, v in sd.items():
        if v.dim() == 2 and v.numel() >= 4096 and k.endswith(".weight") and not any(s in k for s in KEEP):
            w = v.float()
            scb = w.abs().amax(1).clamp_min(1e-12)
            out[k] = (w / scb[:, None] * 127).round().clamp(-127, 127).to(torch.int8)
            out[k[:-6] + "SCB"] = scb
            out[k[:-6] + "weight_format"] = torch.tensor(0, dtype=torch.uint8)
        else:
            out[k] = v
    return out


def expand(sd):
    out = {}
    for k, v in sd.items():
        if k.endswith((".SCB", ".weight_format")):
            continue
        out[k] = v.float() * sd[k[:-6] + "SCB"][:, None] / 127 if v.dtype == torch.int8 else (v.float() if v.is_floating_point() else v)
    return out


def write(sd, folder, name, limit=15_900_000):
    os.makedirs(folder, exist_ok=True)
    for f in glob.glob(os.path.join(folder, "*.safetensors*")):
        os.remove(f)
    shards, size = [{}], 0
    for k, v in sd.items():
        n = v.numel() * v.element_size()
        if limit and size + n > limit:
            shards.append({})
            size = 0
        shards[-1][k] = v.contiguous()
        size += n
    if len(shards) == 1:
        save_file(shards[0], os.path.join(folder, name + ".safetensors"), metadata={"format": "pt"})
    else:
        index = {"metadata": {"total_size": sum(v.numel() * v.element_size() for v in sd.values())}, "weight_map": {}}
        for i, s in enumerate(shards):
            fn = f"{name}-{i + 1:05d}-of-{len(shards):05d}.safetensors"
            save_file(s, os.path.join(folder, fn), metadata={"format": "pt"})
            index["weight_map"].update({k: fn for k in s})
        json.dump(index, open(os.path.join(folder, name + ".safetensors.index.json"), "w"), indent=1)
    for f in glob.glob(os.path.join(folder, "*.safetensors")):
        os.chmod(f, 0o644)


def main():
    mode, src, dst = sys.argv[1:4]
    os.makedirs(dst, exist_ok=True)
    if os.path.abspath(src) != os.path.abspath(dst):
        for f in os.listdir(src):
            if os.path.isfile(os.path.join(src, f)) and ".safetensors" not in f:
                shutil.copy(os.path.join(src, f), dst)
    name = "diffusion_pytorch_model" if glob.glob(os.path.join(src, "diffusion_pytorch_model*")) else "model"
    sd = load(src)
    cfg_path = os.path.join(dst, "config.json")
    cfg = json.load(open(cfg_path))
    if mode == "int8":
        cfg["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True, "llm_int8_threshold": 0.0}
        write(pack(sd), dst, name)
    else:
        cfg.pop("quantization_config", None)
        write(expand(sd), dst, name, 0)
    json.dump(cfg, open(cfg_path, "w"), indent=2)


if __name__ == "__main__":
    main()
