#!/usr/bin/env python3
"""Reference tensors from the public Python implementations, for testing another implementation against them.

Needs only packages from PyPI:
    pip install torch diffusers transformers safetensors sentencepiece tiktoken tokenizers pillow protobuf
    pip install --no-deps dashscope
(see README.md for the versions the stored data was made with).  Everything runs on CPU in fp32 with one thread.

    python make_references.py --list
    python make_references.py --out data                       # all cases, default seed and sizes
    python make_references.py --out other --case wan --seed 7   # every case whose name contains "wan"
    python make_references.py --out other --spec sizes.json     # other sizes: {"case": {"key": value, ...}, ...}
    python make_references.py --out data --verify               # rebuild in memory and compare with the files

Files: <case>.safetensors (inputs, outputs, intermediates), <case>.json (settings and a line per tensor),
model cases also <case>.weights*.safetensors (one file per key layout) and <case>.config.json.
All weights are rounded to bf16-representable values before the run, so files that store them as BF16 lose nothing.
"""
import argparse, hashlib, json, math, os, re, sys, unicodedata

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import numpy as np
import torch
from safetensors.torch import save_file, load_file

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True, warn_only=True)
torch.set_grad_enabled(False)

CASES = {}

KINDS = [  # (case-name prefix, kind, tolerance as a share of max|reference|; None = exact or as the case's README row says)
    ("wan_t2v_", "wan_dit", 1e-4), ("skyreels_df_trajectory", "skyreels_df_trajectory", 2e-4), ("skyreels_timestep_matrix", "skyreels_timestep_matrix", None),
    ("skyreels_df_", "skyreels_dit", 1e-4), ("wan_vae", "wan_vae", 1e-4), ("umt5_encoder", "umt5", 1e-4),
    ("scheduler_unipc_original", "unipc_original", 2e-4), ("scheduler_unipc", "unipc", 2e-4), ("scheduler_euler", "euler", 1e-5),
    ("pipeline_wan", "pipeline_wan_t2v", 1e-3), ("pipeline_skyreels", "pipeline_skyreels_df", 1e-3),
    ("siglip_", "siglip", 1e-4), ("qwen2_", "qwen2", 1e-4), ("llava_onevision", "llava_onevision", 1e-4), ("preprocess_pil", "resize_bicubic", None),
    ("tokenizer_qwen", "bpe", None), ("tokenizer_spm", "unigram", None),
    ("xattention_", "xattention", 1e-4), ("svg2_", "svg2", 1e-4),
    ("forestprune_", "forest_code", None), ("framefusion_", "framefusion", 1e-5), ("holitom_", "holitom", 1e-5), ("visionzip_", "visionzip", 1e-5), ("fastvid_", "fastvid", 1e-5),
    ("magi_schedule", "magi_schedule", 1e-6), ("magi_dit_large_distill", "magi_dit", 5e-4), ("magi_dit_", "magi_dit", 1e-4),
    ("flowcache_magi_kv_timeline", "magi_kv_timeline", None), ("flowcache_kv_", "kv_compression", 1e-5), ("flowcache_magi_", "flowcache_decisions", 1e-5),
    ("flowcache_skyreels_", "flowcache_skyreels", 1e-3), ("teacache_", "teacache_skyreels", 1e-3),
]


def kind_of(name):
    return next((k, t) for p, k, t in KINDS if name.startswith(p))


def case(name, **defaults):
    def deco(fn):
        CASES[name] = (fn, defaults)
        return fn
    return deco


class Box:
    """What one case writes."""

    def __init__(self, name, params, seed):
        self.name, self.params, self.seed = name, params, seed
        self.t, self.notes, self.files, self.meta, self.config = {}, {}, {}, {}, None

    def put(self, key, tensor, note=""):
        if not isinstance(tensor, torch.Tensor):
            tensor = torch.from_numpy(np.array(tensor))
        if tensor.dtype == torch.float64 and not key.endswith("_f64"):
            tensor = tensor.float()
        if tensor.dtype == torch.bool:
            tensor = tensor.to(torch.uint8)
        assert key not in self.t, key
        self.t[key] = tensor.detach().clone().contiguous()
        if note:
            self.notes[key] = note

    def weights(self, suffix, sd, dtype=None):
        """dtype None keeps fp32; torch.bfloat16 stores the same (bf16-representable) values in half the space."""
        out = {}
        for k, v in sd.items():
            v = v.detach().clone().contiguous()
            if dtype is not None and v.is_floating_point():
                assert torch.equal(v.to(dtype).to(v.dtype), v), k
                v = v.to(dtype)
            out[k] = v
        self.files[suffix] = out

    def write(self, out):
        os.makedirs(out, exist_ok=True)
        base = os.path.join(out, self.name)
        if self.t:
            put_file(self.t, base + ".safetensors")
        for suffix, sd in self.files.items():
            put_file(sd, f"{base}.{suffix}.safetensors")
        if self.config is not None:
            dump(self.config, f"{base}.config.json")
        kind, tolerance = kind_of(self.name)
        meta = dict(case=self.name, kind=kind, **({} if tolerance is None else dict(tolerance=tolerance)),
                    seed=self.seed, params=self.params, **self.meta)
        meta["versions"] = versions()
        if self.files:
            meta["weight_files"] = [f"{self.name}.{s}.safetensors" for s in self.files]
        meta["tensors"] = {k: dict(shape=list(v.shape), dtype=str(v.dtype).replace("torch.", ""),
                                   **({"note": self.notes[k]} if k in self.notes else {}))
                           for k, v in self.t.items()}
        dump(meta, base + ".json")


def put_file(tensors, path):
    save_file(tensors, path)
    os.chmod(path, 0o644)


def dump(obj, path):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(obj, f, indent=1, sort_keys=False, ensure_ascii=True)
        f.write("\n")


def versions():
    import importlib.metadata as im
    r = {}
    for p in ("torch", "diffusers", "transformers", "safetensors", "sentencepiece", "tiktoken", "tokenizers",
              "pillow", "numpy"):
        try:
            r[p] = im.version(p)
        except Exception:
            pass
    return r


SPEC = {}


def params_of(name):
    """Parameters of another case, as changed by --spec."""
    return {**CASES[name][1], **SPEC.get(name, {})}


def name_of(name):
    """The name under which --spec lets another case be written."""
    return SPEC.get(name, {}).get("_name", name)


def gen(seed, salt):
    h = int.from_bytes(hashlib.sha256(f"{seed}/{salt}".encode()).digest()[:6], "little")
    return torch.Generator().manual_seed(h)


def randn(g, *shape):
    return torch.randn(*shape, generator=g)


def bf16(t):
    return t.to(torch.bfloat16).to(torch.float32)


def randomise(model, seed, gain=1.0):
    """All parameters random, norm gains near 1 (but not 1), biases non-zero; rounded to bf16-representable values."""
    for name, p in sorted(model.named_parameters()):
        g = gen(seed, "w/" + name)
        last = name.split(".")[-1]
        if last == "gamma":                                        # Wan VAE RMS norm gain, shape [C,1,1(,1)]
            v = 1 + 0.2 * randn(g, *p.shape)
        elif last == "weight" and p.ndim == 1:                     # norm gain
            v = 1 + 0.2 * randn(g, *p.shape)
        elif last == "bias":
            v = 0.1 * randn(g, *p.shape)
        elif "scale_shift_table" in name:
            v = 0.3 * randn(g, *p.shape)
        elif "relative_attention_bias" in name:
            v = 1.0 * randn(g, *p.shape)
        elif "embed" in name and p.ndim == 2 and ("token" in name or "position" in name or "shared" in name
                                                   or "fps_embedding" in name):
            v = 0.7 * randn(g, *p.shape)
        elif last == "image_newline":
            v = 0.7 * randn(g, *p.shape)
        elif p.ndim >= 2:
            fan_in = int(np.prod(p.shape[1:]))
            v = gain * randn(g, *p.shape) / math.sqrt(fan_in)
        else:
            v = 0.3 * randn(g, *p.shape)
        p.data = bf16(v)
    return model.eval()


class Rec:
    """Record module outputs by forward hooks: rec.on(module, name)."""

    def __init__(self):
        self.h, self.v = [], {}

    def on(self, module, name, fn=lambda o: o):
        def hook(_m, _i, o):
            if isinstance(o, (tuple, list)):
                o = o[0]
            self.v.setdefault(name, []).append(fn(o).detach().clone())
        self.h.append(module.register_forward_hook(hook))

    def off(self):
        for h in self.h:
            h.remove()


# ----------------------------------------------------------------------------------------------------------------
# key layouts (written from the public conversion scripts' rules, inverse direction; checked against those scripts)

def wan_to_original(sd):
    """diffusers WanTransformer3DModel / SkyReelsV2Transformer3DModel keys -> the original Wan 2.1 / SkyReels-V2 keys."""
    ren = [
        (r"^condition_embedder\.time_embedder\.linear_1\.", "time_embedding.0."),
        (r"^condition_embedder\.time_embedder\.linear_2\.", "time_embedding.2."),
        (r"^condition_embedder\.text_embedder\.linear_1\.", "text_embedding.0."),
        (r"^condition_embedder\.text_embedder\.linear_2\.", "text_embedding.2."),
        (r"^condition_embedder\.time_proj\.", "time_projection.1."),
        (r"^scale_shift_table$", "head.modulation"),
        (r"^proj_out\.", "head.head."),
        (r"^(blocks\.\d+)\.scale_shift_table$", r"\1.modulation"),
        (r"^(blocks\.\d+)\.ffn\.net\.0\.proj\.", r"\1.ffn.0."),
        (r"^(blocks\.\d+)\.ffn\.net\.2\.", r"\1.ffn.2."),
        (r"^(blocks\.\d+)\.norm2\.", r"\1.norm3."),               # cross-attention norm: 2 here, 3 there
        (r"^(blocks\.\d+)\.attn1\.", r"\1.self_attn."),
        (r"^(blocks\.\d+)\.attn2\.", r"\1.cross_attn."),
        (r"\.to_q\.", ".q."), (r"\.to_k\.", ".k."), (r"\.to_v\.", ".v."), (r"\.to_out\.0\.", ".o."),
        (r"^fps_projection\.net\.0\.proj\.", "fps_projection.0."),
        (r"^fps_projection\.net\.2\.", "fps_projection.2."),
    ]
    out = {}
    for k, v in sd.items():
        n = k
        for a, b in ren:
            n = re.sub(a, b, n)
        out[n] = v
    assert len(out) == len(sd)
    return out


def vae_to_original(sd, num_res_blocks):
    """diffusers AutoencoderKLWan keys -> the keys of the original Wan2.1_VAE file."""
    n = num_res_blocks + 2                                         # flat entries per decoder level: R+1 residual blocks, 1 upsampler
    out = {}
    for k, v in sd.items():
        q = k
        q = re.sub(r"^quant_conv\.", "conv1.", q)
        q = re.sub(r"^post_quant_conv\.", "conv2.", q)
        q = re.sub(r"\.conv_in\.", ".conv1.", q)
        q = re.sub(r"\.norm_out\.", ".head.0.", q)
        q = re.sub(r"\.conv_out\.", ".head.2.", q)
        q = re.sub(r"\.mid_block\.attentions\.0\.", ".middle.1.", q)
        q = re.sub(r"\.mid_block\.resnets\.(\d)\.", lambda m: f".middle.{2 * int(m[1])}.", q)
        q = re.sub(r"\.down_blocks\.", ".downsamples.", q)
        q = re.sub(r"\.up_blocks\.(\d+)\.resnets\.(\d+)\.", lambda m: f".upsamples.{n * int(m[1]) + int(m[2])}.", q)
        q = re.sub(r"\.up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: f".upsamples.{n * int(m[1]) + n - 1}.", q)
        if ".middle." in q or "samples." in q:
            q = re.sub(r"\.norm1\.", ".residual.0.", q)
            q = re.sub(r"\.conv1\.", ".residual.2.", q)
            q = re.sub(r"\.norm2\.", ".residual.3.", q)
            q = re.sub(r"\.conv2\.", ".residual.6.", q)
            q = re.sub(r"\.conv_shortcut\.", ".shortcut.", q)
        out[q] = v
    assert len(out) == len(sd)
    return out


def umt5_to_original(sd):
    """transformers UMT5EncoderModel keys -> the keys of the original Wan text encoder file (models_t5_umt5-xxl-enc)."""
    ren = [(r"^shared\.", "token_embedding."), (r"^encoder\.final_layer_norm\.", "norm."), (r"^encoder\.block\.(\d+)\.", r"blocks.\1."),
           (r"\.layer\.0\.layer_norm\.", ".norm1."), (r"\.layer\.1\.layer_norm\.", ".norm2."),
           (r"\.layer\.0\.SelfAttention\.relative_attention_bias\.", ".pos_embedding.embedding."),
           (r"\.layer\.0\.SelfAttention\.", ".attn."), (r"\.layer\.1\.DenseReluDense\.wi_0\.", ".ffn.gate.0."),
           (r"\.layer\.1\.DenseReluDense\.wi_1\.", ".ffn.fc1."), (r"\.layer\.1\.DenseReluDense\.wo\.", ".ffn.fc2.")]
    out = {}
    for k, v in sd.items():
        for a, b in ren:
            k = re.sub(a, b, k)
        out[k] = v
    assert len(out) == len(sd)
    return out


def llava_to_hf_file(sd):
    """in-memory transformers keys -> keys used in the published *-hf files (language_model.model.*, vision_tower.vision_model.*)."""
    out = {}
    for k, v in sd.items():
        n = k
        if n.startswith("model.language_model."):
            n = "language_model.model." + n[len("model.language_model."):]
        elif n.startswith("lm_head."):
            n = "language_model." + n
        elif n.startswith("model.vision_tower."):
            r = n[len("model.vision_tower."):]
            n = "vision_tower." + (r if r.startswith("vision_model.") else "vision_model." + r)
        elif n.startswith("model."):
            n = n[len("model."):]
        out[n] = v
    assert len(out) == len(sd)
    return out


def llava_to_original(sd):
    """in-memory transformers keys -> original LLaVA-NeXT / LLaVA-OneVision keys."""
    out = {}
    for k, v in sd.items():
        n = k
        if n.startswith("model.language_model."):
            n = "model." + n[len("model.language_model."):]
        elif n.startswith("model.vision_tower."):
            r = n[len("model.vision_tower."):]
            n = "model.vision_tower.vision_tower." + (r if r.startswith("vision_model.") else "vision_model." + r)
        elif n.startswith("model.multi_modal_projector.linear_1."):
            n = "model.mm_projector.0." + n.split(".")[-1]
        elif n.startswith("model.multi_modal_projector.linear_2."):
            n = "model.mm_projector.2." + n.split(".")[-1]
        out[n] = v
    assert len(out) == len(sd)
    return out


# ----------------------------------------------------------------------------------------------------------------
# a. Wan 2.1 T2V transformer

def _wan(box, seed, p):
    from diffusers import WanTransformer3DModel
    cfg = dict(patch_size=(1, 2, 2), num_attention_heads=p["heads"], attention_head_dim=p["head_dim"],
               in_channels=p["channels"], out_channels=p["channels"], text_dim=p["text_dim"], freq_dim=p["freq_dim"],
               ffn_dim=p["ffn"], num_layers=p["layers"], cross_attn_norm=True, qk_norm="rms_norm_across_heads",
               eps=1e-6, image_dim=None, added_kv_proj_dim=None, rope_max_seq_len=1024, pos_embed_seq_len=None)
    m = randomise(WanTransformer3DModel(**cfg), seed)
    box.config = dict(_class_name="WanTransformer3DModel", **{k: list(v) if isinstance(v, tuple) else v for k, v in cfg.items()})
    sd = m.state_dict()
    box.weights("weights", sd, torch.bfloat16)
    if p["original_layout"]:
        box.weights("weights_original", wan_to_original(sd), torch.bfloat16)
    g = gen(seed, "wan/in")
    F, H, W = p["frames"], p["height"], p["width"]
    x = randn(g, p["batch"], p["channels"], F, H, W)
    txt = randn(g, p["batch"], p["text_len"], p["text_dim"])
    for b, n in enumerate(p["text_valid"]):
        txt[b, n:] = 0
    t = torch.tensor(p["timesteps"], dtype=torch.int64)
    box.put("in.hidden_states", x, "[B,C,F,H,W] latents")
    box.put("in.encoder_hidden_states", txt, "[B,L,text_dim]; rows after the true length are zero, and are attended to")
    box.put("in.timestep", t, "int64 [B]")
    rec = Rec()
    rec.on(m.patch_embedding, "patch_embedding", lambda o: o.flatten(2).transpose(1, 2))
    ce = m.condition_embedder
    rec.on(ce.timesteps_proj, "time_sinusoid")
    rec.on(ce.time_embedder, "temb")
    rec.on(ce.time_proj, "timestep_proj", lambda o: o.unflatten(-1, (6, -1)))
    rec.on(ce.text_embedder, "text_embedding")
    b0 = m.blocks[0]
    rec.on(b0.attn1.norm_q, "block0.attn1.q_normed")
    rec.on(b0.attn1, "block0.attn1")
    rec.on(b0.attn2, "block0.attn2")
    rec.on(b0.ffn, "block0.ffn")
    rec.on(b0, "block0")
    rec.on(m.blocks[-1], "block_last")
    rec.on(m.proj_out, "proj_out")
    cos, sin = m.rope(x)
    y = m(x, t, txt, return_dict=False)[0]
    rec.off()
    for k, v in rec.v.items():
        box.put("mid." + k, v[0])
    box.put("mid.rope_cos", cos[0, :, 0, 0::2], "[tokens, head_dim/2]: angle j rotates channels (2j, 2j+1)")
    box.put("mid.rope_sin", sin[0, :, 0, 1::2])
    box.put("out.sample", y)
    h = p["head_dim"]
    hw = 2 * (h // 6)
    box.meta["rope_channels_t_h_w"] = [h - 2 * hw, hw, hw]
    box.meta["tokens"] = F * (H // 2) * (W // 2)


@case("wan_t2v_h2d128", heads=2, head_dim=128, layers=2, ffn=96, channels=16, text_dim=48, freq_dim=64, batch=1,
      frames=3, height=14, width=14, text_len=20, text_valid=[13], timesteps=[637], original_layout=False)
def wan_a(box, seed, p):
    _wan(box, seed, p)


@case("wan_t2v_h3d64", heads=3, head_dim=64, layers=2, ffn=224, channels=4, text_dim=40, freq_dim=32, batch=2,
      frames=2, height=10, width=14, text_len=24, text_valid=[24, 9], timesteps=[999, 21],
      original_layout=True)
def wan_b(box, seed, p):
    _wan(box, seed, p)


# ----------------------------------------------------------------------------------------------------------------
# b. SkyReels-V2 diffusion forcing transformer

def _sky(box, seed, p):
    from diffusers import SkyReelsV2Transformer3DModel
    cfg = dict(patch_size=(1, 2, 2), num_attention_heads=p["heads"], attention_head_dim=p["head_dim"],
               in_channels=p["channels"], out_channels=p["channels"], text_dim=p["text_dim"], freq_dim=p["freq_dim"],
               ffn_dim=p["ffn"], num_layers=p["layers"], cross_attn_norm=True, qk_norm="rms_norm_across_heads",
               eps=1e-6, image_dim=None, added_kv_proj_dim=None, rope_max_seq_len=1024, pos_embed_seq_len=None,
               inject_sample_info=p["fps_injection"], num_frame_per_block=1)
    m = randomise(SkyReelsV2Transformer3DModel(**cfg), seed)
    box.config = dict(_class_name="SkyReelsV2Transformer3DModel",
                      **{k: list(v) if isinstance(v, tuple) else v for k, v in cfg.items()})
    sd = m.state_dict()
    box.weights("weights", sd, torch.bfloat16)
    box.weights("weights_original", wan_to_original(sd), torch.bfloat16)
    g = gen(seed, "sky/in")
    F, H, W = p["frames"], p["height"], p["width"]
    x = randn(g, 1, p["channels"], F, H, W)
    txt = randn(g, 1, p["text_len"], p["text_dim"])
    txt[:, p["text_valid"]:] = 0
    box.put("in.hidden_states", x)
    box.put("in.encoder_hidden_states", txt)
    variants = []
    for v in p["variants"]:
        name, kind, ts, fps_idx, cb, _ = v                         # last: keep all intermediates
        m._set_ar_attention(cb)
        if kind == "frames":
            t = torch.tensor([ts], dtype=torch.int64)
            assert t.shape[1] == F
            df = True
        else:
            t = torch.tensor([ts], dtype=torch.int64)
            df = False
        box.put(f"{name}.in.timestep", t)
        rec = Rec()
        rec.on(m.patch_embedding, "patch_embedding", lambda o: o.flatten(2).transpose(1, 2))
        rec.on(m.condition_embedder.timesteps_proj, "time_sinusoid")
        rec.on(m.condition_embedder.time_embedder, "temb")
        rec.on(m.condition_embedder.time_proj, "timestep_proj", lambda o: o.unflatten(-1, (6, -1)))
        if p["fps_injection"]:
            rec.on(m.fps_projection, "fps_projection", lambda o: o.unflatten(-1, (6, -1)))
        rec.on(m.blocks[0].attn1, "block0.attn1")
        rec.on(m.blocks[0], "block0")
        rec.on(m.blocks[-1], "block_last")
        y = m(x, t, txt, enable_diffusion_forcing=df, fps=[fps_idx], return_dict=False)[0]
        rec.off()
        for k, o in rec.v.items():
            if v[5] or k == "block_last":
                box.put(f"{name}.mid.{k}", o[0])
        box.put(f"{name}.out.sample", y)
        variants.append(dict(name=name, diffusion_forcing=df, fps_index=fps_idx, causal_block_frames=cb,
                             mask="none (bidirectional)" if cb == 1 else
                             "block-causal: a token of frame block i sees all tokens of blocks j <= i"))
    box.meta["variants"] = variants
    box.meta["fps_index"] = "0 for 16 fps, 1 for every other rate"


@case("skyreels_df_h2d64_fps", heads=2, head_dim=64, layers=2, ffn=160, channels=16, text_dim=32, freq_dim=64,
      fps_injection=True, frames=6, height=6, width=10, text_len=18, text_valid=11,
      variants=[["sync_df_fps24", "frames", [822] * 6, 1, 1, False], ["sync_df_fps16", "frames", [822] * 6, 0, 1, False],
                ["perframe", "frames", [0, 0, 249, 409, 972, 999], 1, 1, True],
                ["perframe_causal2", "frames", [20, 20, 249, 249, 972, 972], 1, 2, True],
                ["perframe_causal3", "frames", [140, 140, 140, 999, 999, 999], 0, 3, False],
                ["plain", "one", 500, 1, 1, True]])
def sky_a(box, seed, p):
    _sky(box, seed, p)


@case("skyreels_df_h1d128_nofps", heads=1, head_dim=128, layers=1, ffn=192, channels=16, text_dim=24, freq_dim=256,
      fps_injection=False, frames=5, height=8, width=6, text_len=16, text_valid=16,
      variants=[["sync_df", "frames", [997] * 5, 1, 1, False], ["perframe", "frames", [0, 337, 600, 900, 999], 1, 1, True],
                ["perframe_causal5", "frames", [409] * 5, 1, 5, False]])
def sky_b(box, seed, p):
    _sky(box, seed, p)


# ----------------------------------------------------------------------------------------------------------------
# d. Wan VAE

@case("wan_vae", base_dim=6, z_dim=16, num_res_blocks=2, lat_h=3, lat_w=5, decode_frames=[1, 3, 5], encode_frames=[1, 5, 9])
def vae(box, seed, p):
    from diffusers import AutoencoderKLWan
    m = AutoencoderKLWan(base_dim=p["base_dim"], z_dim=p["z_dim"], num_res_blocks=p["num_res_blocks"])
    randomise(m, seed)
    box.config = json.loads(m.to_json_string())
    for k in ("_diffusers_version", "_name_or_path"):
        box.config.pop(k, None)
    sd = m.state_dict()
    box.weights("weights", sd, torch.bfloat16)
    box.weights("weights_original", vae_to_original(sd, p["num_res_blocks"]), torch.bfloat16)
    mean = torch.tensor(m.config.latents_mean)
    std = torch.tensor(m.config.latents_std)
    box.put("latents_mean", mean)
    box.put("latents_std", std)
    g = gen(seed, "vae/in")
    zmax = randn(g, 1, p["z_dim"], max(p["decode_frames"]), p["lat_h"], p["lat_w"])
    xmax = torch.tanh(randn(g, 1, 3, max(p["encode_frames"]), 8 * p["lat_h"], 8 * p["lat_w"]))
    box.put("decode.in.normalised", zmax, "transformer-side latents; the first n frames are the input of decode.n")
    box.put("encode.in.video", xmax, "[-1,1]; the first n frames are the input of encode.n")
    for n in p["decode_frames"]:
        z = zmax[:, :, :n] * std.view(1, -1, 1, 1, 1) + mean.view(1, -1, 1, 1, 1)
        rec = Rec()
        rec.on(m.post_quant_conv, "post_quant_conv")
        rec.on(m.decoder.conv_in, "conv_in")
        rec.on(m.decoder.mid_block, "mid_block")
        for i, ub in enumerate(m.decoder.up_blocks):
            rec.on(ub, f"up_block{i}")
        rec.on(m.decoder, "pre_clamp")
        y = m.decode(z, return_dict=False)[0]
        rec.off()
        box.put(f"decode.{n}.out", y, "clamped to [-1,1]")
        box.put(f"decode.{n}.pre_clamp", torch.cat(rec.v["pre_clamp"], 2), "decoder outputs of all chunks before the clamp")
        if n == max(p["decode_frames"]):
            for k in ("post_quant_conv",):
                box.put(f"decode.{n}.mid.{k}", rec.v[k][0])
            for k in ["conv_in", "mid_block"] + [f"up_block{i}" for i in range(len(m.decoder.up_blocks))]:
                box.put(f"decode.{n}.mid.{k}.chunk0", rec.v[k][0])
                if k in ("conv_in", "mid_block", "up_block0"):
                    box.put(f"decode.{n}.mid.{k}.chunk1", rec.v[k][1])
                    box.put(f"decode.{n}.mid.{k}.chunk2", rec.v[k][2])
    for n in p["encode_frames"]:
        rec = Rec()
        rec.on(m.encoder.mid_block, "mid_block")
        rec.on(m.encoder, "encoder")
        d = m.encode(xmax[:, :, :n]).latent_dist
        rec.off()
        box.put(f"encode.{n}.mean", d.mean)
        box.put(f"encode.{n}.logvar", d.logvar)
        box.put(f"encode.{n}.normalised", (d.mode() - mean.view(1, -1, 1, 1, 1)) / std.view(1, -1, 1, 1, 1),
                "(mode - latents_mean) / latents_std")
        for i, o in enumerate(rec.v["encoder"]):
            box.put(f"encode.{n}.mid.encoder.chunk{i}", o)
    box.meta["chunking"] = ("decode: one latent frame per chunk; chunk 0 gives 1 video frame, each later chunk 4. encode: chunk 0 is "
                            "1 video frame, later chunks are 4. Every causal convolution keeps its last (up to) 2 input "
                            "frames of the previous chunk; the temporal upsampler skips its time convolution in chunk 0. "
                            "Output frames: 1 + 4*(n-1).")


# ----------------------------------------------------------------------------------------------------------------
# e. UMT5 encoder

@case("umt5_encoder", d_model=48, d_kv=24, heads=3, d_ff=112, layers=3, vocab=300, length=136, valid=[136, 23])
def umt5(box, seed, p):
    from transformers import UMT5Config, UMT5EncoderModel
    cfg = UMT5Config(vocab_size=p["vocab"], d_model=p["d_model"], d_kv=p["d_kv"], num_heads=p["heads"], d_ff=p["d_ff"],
                     num_layers=p["layers"], relative_attention_num_buckets=32, relative_attention_max_distance=128,
                     dropout_rate=0.0, feed_forward_proj="gated-gelu", layer_norm_epsilon=1e-6, tie_word_embeddings=False)
    cfg._attn_implementation = "eager"
    m = randomise(UMT5EncoderModel(cfg), seed)
    box.config = dict(architectures=["UMT5EncoderModel"], model_type="umt5", vocab_size=p["vocab"], d_model=p["d_model"],
                      d_kv=p["d_kv"], num_heads=p["heads"], d_ff=p["d_ff"], num_layers=p["layers"],
                      relative_attention_num_buckets=32, relative_attention_max_distance=128,
                      feed_forward_proj="gated-gelu", dense_act_fn="gelu_new", is_gated_act=True, layer_norm_epsilon=1e-6)
    sd = {k: v for k, v in m.state_dict().items()}
    sd.pop("encoder.embed_tokens.weight", None)                    # same tensor as shared.weight in published files
    box.weights("weights", sd, torch.bfloat16)
    box.weights("weights_original", umt5_to_original(sd), torch.bfloat16)
    g = gen(seed, "umt5/in")
    L, B = p["length"], len(p["valid"])
    ids = torch.randint(3, p["vocab"], (B, L), generator=g)
    mask = torch.zeros(B, L, dtype=torch.int64)
    for b, n in enumerate(p["valid"]):
        ids[b, n - 1] = 1                                           # </s>
        ids[b, n:] = 0                                              # <pad>
        mask[b, :n] = 1
    box.put("in.input_ids", ids)
    box.put("in.attention_mask", mask)
    rec = Rec()
    rec.on(m.get_input_embeddings(), "embedding")
    for i, b in enumerate(m.encoder.block):
        rec.on(b.layer[0], f"block{i}.after_attention")
        rec.on(b, f"block{i}")
    h = m(input_ids=ids, attention_mask=mask).last_hidden_state
    rec.off()
    for k, v in rec.v.items():
        box.put("mid." + k, v[0])
    at = m.encoder.block[0].layer[0].SelfAttention
    bias = at.compute_bias(L, L)[0]
    box.put("mid.block0.position_bias_row0", bias[:, 0], "[heads, key] for query 0, before the padding mask; every block has its own table")
    box.put("mid.block0.position_bias_col0", bias[:, :, 0], "[heads, query] for key 0")
    box.put("out.last_hidden_state", h)
    z = h.clone()
    for b, n in enumerate(p["valid"]):
        z[b, n:] = 0
    box.put("out.wan_prompt_embeds", z, "what the Wan pipeline passes on: rows after the true length set to zero")
    box.meta["note"] = "no 1/sqrt(d) scaling of logits; RMS norm without mean; gated tanh-GELU; final layer norm included in output"


# ----------------------------------------------------------------------------------------------------------------
# f. schedulers

def _toy(seed, shape, salt="toy"):
    g = gen(seed, salt)
    return randn(g, *shape), 0.6 * randn(g, *shape).clamp(-1.5, 1.5), 0.8 * randn(g, *shape)


@case("scheduler_unipc", shape=[1, 4, 3, 4, 5], shifts=[3.0, 5.0, 8.0], steps=[5, 8, 50])
def unipc(box, seed, p):
    from diffusers import UniPCMultistepScheduler
    x0, a, b = _toy(seed, p["shape"])
    box.put("x0", x0)
    box.put("a", a)
    box.put("b", b, "toy model: v = a*x + b*(timestep/1000), timestep = the integer the scheduler hands to the model")
    for sh in p["shifts"]:
        for n in p["steps"]:
            s = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000,
                                        flow_shift=sh)
            s.set_timesteps(n)
            x, traj = x0.clone(), [x0.clone()]
            for t in s.timesteps:
                v = a * x + b * (t.float() / 1000.0)
                x = s.step(v, t, x, return_dict=False)[0]
                traj.append(x.clone())
            k = f"shift{sh:g}.steps{n}"
            box.put(k + ".timesteps", s.timesteps)
            box.put(k + ".sigmas", s.sigmas)
            box.put(k + ".latents", torch.stack(traj), "[steps+1, *shape], entry 0 is x0")
    c = dict(UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0).config)
    box.meta["scheduler_config"] = {k: v for k, v in c.items() if not k.startswith("_")}
    box.meta["note"] = ("The settings of the Wan and SkyReels-V2 conversion scripts; all else is the class default (solver_order 2, bh2, "
                        "predict_x0, lower_order_final, corrector on, final sigma 0).")


@case("scheduler_euler", shape=[1, 4, 3, 4, 5], shifts=[3.0, 5.0, 8.0], steps=[5, 8, 50])
def euler(box, seed, p):
    from diffusers import FlowMatchEulerDiscreteScheduler
    x0, a, b = _toy(seed, p["shape"])
    box.put("x0", x0)
    box.put("a", a)
    box.put("b", b, "v = a*x + b*(timestep/1000)")
    for sh in p["shifts"]:
        for n in p["steps"]:
            s = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=sh)
            s.set_timesteps(n)
            x, traj = x0.clone(), [x0.clone()]
            for t in s.timesteps:
                v = a * x + b * (t.float() / 1000.0)
                x = s.step(v, t, x, return_dict=False)[0]
                traj.append(x.clone())
            k = f"shift{sh:g}.steps{n}"
            box.put(k + ".timesteps", s.timesteps)
            box.put(k + ".sigmas", s.sigmas)
            box.put(k + ".latents", torch.stack(traj))


def _matrix(frames, taus, base, ar, prefix, cb):
    from diffusers import SkyReelsV2DiffusionForcingPipeline as P
    m, idx, upd, iv = P.generate_timestep_matrix(None, frames, taus, base, ar, prefix, cb)
    return m, idx, upd, torch.tensor(iv, dtype=torch.int64)


@case("skyreels_timestep_matrix", shift=8.0,
      settings=[[25, 25, 5, 0, 5, 50], [25, 25, 5, 5, 5, 50], [25, 25, 0, 0, 1, 50], [25, 25, 0, 0, 1, 8], [31, 31, 5, 0, 1, 30],
                [10, 10, 3, 0, 5, 8], [12, 6, 3, 0, 2, 8], [20, 10, 25, 0, 5, 50], [24, 24, 5, 0, 5, 12], [9, 9, 2, 4, 3, 6],
                [5, 5, 0, 0, 5, 5], [1, 1, 0, 0, 1, 5], [25, 25, 2, 10, 5, 30]])
def tmatrix(box, seed, p):
    from diffusers import UniPCMultistepScheduler
    rows = []
    for frames, base, ar, prefix, cb, steps in p["settings"]:
        s = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=p["shift"])
        s.set_timesteps(steps)
        k = f"f{frames}.base{base}.ar{ar}.prefix{prefix}.cb{cb}.s{steps}"
        m, idx, upd, iv = _matrix(frames, s.timesteps, base, ar, prefix, cb)
        box.put(k + ".step_matrix", m.int(), "[rows, frames] timesteps given to the transformer")
        box.put(k + ".step_index", idx.int())
        box.put(k + ".update_mask", upd, "1 = this frame's scheduler advances after the row")
        box.put(k + ".valid_interval", iv.int(), "[rows, 2] latent frames start, end (exclusive) that enter the transformer")
        rows.append(dict(key=k, rows=int(m.shape[0]), frames_in_matrix=int(m.shape[1])))
    box.meta["settings"] = rows
    box.meta["note"] = "frames not divisible by cb lose their tail (frames_in_matrix < frames), as in the public pipeline"


@case("skyreels_df_trajectory", shape=[1, 3, 6, 3, 4], shift=8.0,
      runs=[["async", 6, 2, 0, 2], ["sync", 5, 0, 0, 1], ["async_prefix", 6, 2, 2, 2]])
def dftraj(box, seed, p):
    """The denoising loop of the diffusion forcing pipeline with a toy model (no guidance, no noise on the prefix)."""
    from copy import deepcopy
    from diffusers import UniPCMultistepScheduler
    x0, a, b = _toy(seed, p["shape"])
    F = p["shape"][2]
    box.put("x0", x0)
    box.put("a", a)
    box.put("b", b, "v[:,:,f] = a[:,:,f]*x[:,:,f] + b[:,:,f]*(timestep_f/1000)")
    for name, steps, ar, prefix, cb in p["runs"]:
        s = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=p["shift"])
        s.set_timesteps(steps)
        m, idx, upd, iv = _matrix(F, s.timesteps, F, ar, prefix, cb)
        scheds = []
        for _ in range(F):
            q = deepcopy(s)
            q.set_timesteps(steps)
            scheds.append(q)
        x, traj = x0.clone(), [x0.clone()]
        for i, t in enumerate(m):
            v = a * x + b * (t.float() / 1000.0).view(1, 1, F, 1, 1)
            for f in range(F):
                if upd[i, f]:
                    x[:, :, f] = scheds[f].step(v[:, :, f], t[f], x[:, :, f], return_dict=False)[0]
            traj.append(x.clone())
        box.put(name + ".step_matrix", m)
        box.put(name + ".update_mask", upd)
        box.put(name + ".latents", torch.stack(traj), "[rows+1, *shape]")


# ----------------------------------------------------------------------------------------------------------------
# whole pipelines on the small models above (their weights are not stored again)

@case("pipeline_wan_t2v", text_len=24, valid=[17, 6], frames=2, height=4, width=6, steps=4, shift=5.0, guidance=3.0)
def pipe_wan(box, seed, p):
    """ids -> UMT5 -> guided sampling -> VAE decode, with the models of umt5_encoder, wan_t2v_h2d128 and wan_vae."""
    from diffusers import WanPipeline, WanTransformer3DModel, AutoencoderKLWan, UniPCMultistepScheduler
    from transformers import UMT5Config, UMT5EncoderModel
    wp, vp, up = params_of("wan_t2v_h2d128"), params_of("wan_vae"), params_of("umt5_encoder")
    m = randomise(WanTransformer3DModel(patch_size=(1, 2, 2), num_attention_heads=wp["heads"], attention_head_dim=wp["head_dim"],
                                        in_channels=wp["channels"], out_channels=wp["channels"], text_dim=wp["text_dim"], freq_dim=wp["freq_dim"],
                                        ffn_dim=wp["ffn"], num_layers=wp["layers"], cross_attn_norm=True, eps=1e-6), seed)
    vae = randomise(AutoencoderKLWan(base_dim=vp["base_dim"], z_dim=vp["z_dim"], num_res_blocks=vp["num_res_blocks"]), seed)
    cfg = UMT5Config(vocab_size=up["vocab"], d_model=up["d_model"], d_kv=up["d_kv"], num_heads=up["heads"], d_ff=up["d_ff"], num_layers=up["layers"],
                     relative_attention_num_buckets=32, relative_attention_max_distance=128, dropout_rate=0.0, feed_forward_proj="gated-gelu",
                     layer_norm_epsilon=1e-6, tie_word_embeddings=False)
    te = randomise(UMT5EncoderModel(cfg), seed)
    g = gen(seed, "pipe/wan")
    L = p["text_len"]
    ids = torch.randint(3, up["vocab"], (2, L), generator=g)
    mask = torch.zeros(2, L, dtype=torch.int64)
    for b, n in enumerate(p["valid"]):
        ids[b, n - 1], ids[b, n:], mask[b, :n] = 1, 0, 1
    emb = te(input_ids=ids, attention_mask=mask).last_hidden_state
    for b, n in enumerate(p["valid"]):
        emb[b, n:] = 0
    x = randn(g, 1, wp["channels"], p["frames"], p["height"], p["width"])
    box.put("in.input_ids", ids, "row 0 prompt, row 1 negative prompt")
    box.put("in.attention_mask", mask)
    box.put("in.latents", x)
    box.put("mid.prompt_embeds", emb)
    sch = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=p["shift"])
    pipe = WanPipeline(tokenizer=None, text_encoder=None, vae=vae, transformer=m, scheduler=sch)
    pipe.set_progress_bar_config(disable=True)
    steps = []

    def cb(_pipe, i, t, kw):
        steps.append(kw["latents"].clone())
        return {}
    lat = pipe(prompt=None, prompt_embeds=emb[:1], negative_prompt_embeds=emb[1:], height=8 * p["height"], width=8 * p["width"], num_frames=4 * (p["frames"] - 1) + 1,
               num_inference_steps=p["steps"], guidance_scale=p["guidance"], latents=x.clone(), output_type="latent",
               callback_on_step_end=cb, return_dict=False)[0]
    box.put("mid.timesteps", sch.timesteps)
    box.put("mid.latents", torch.stack(steps), "after every step")
    box.put("out.latents", lat)
    mean, std = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1), torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
    rec = Rec()
    rec.on(vae.decoder, "pre_clamp")
    v = vae.decode(lat * std + mean, return_dict=False)[0]
    rec.off()
    pre = torch.cat(rec.v["pre_clamp"], 2)
    assert torch.equal(pre.clamp(-1, 1), v)
    box.put("out.video_pre_clamp", pre, "[1,3,frames,H,W]; the video is this clamped to [-1,1]")
    box.meta["weights_from"] = [name_of(n) for n in ("umt5_encoder", "wan_t2v_h2d128", "wan_vae")]
    box.meta["guidance"] = "v = v_neg + guidance * (v_prompt - v_neg)"


@case("pipeline_skyreels_df", text_len=12, valid=[12, 5], frames=6, height=6, width=8, fps=24,
      runs=[["sync", 4, 0, None, 8.0, 3.0], ["async_causal", 5, 2, 2, 8.0, 3.0], ["async_causal3", 4, 1, 3, 5.0, 2.0]])
def pipe_sky(box, seed, p):
    """diffusers' diffusion forcing pipeline with the model of skyreels_df_h2d64_fps, short form, latents only."""
    from diffusers import SkyReelsV2DiffusionForcingPipeline, SkyReelsV2Transformer3DModel, AutoencoderKLWan, UniPCMultistepScheduler
    sp, vp = params_of("skyreels_df_h2d64_fps"), params_of("wan_vae")
    m = randomise(SkyReelsV2Transformer3DModel(patch_size=(1, 2, 2), num_attention_heads=sp["heads"], attention_head_dim=sp["head_dim"],
                                               in_channels=sp["channels"], out_channels=sp["channels"], text_dim=sp["text_dim"], freq_dim=sp["freq_dim"],
                                               ffn_dim=sp["ffn"], num_layers=sp["layers"], cross_attn_norm=True, eps=1e-6,
                                               inject_sample_info=sp["fps_injection"], num_frame_per_block=1), seed)
    vae = AutoencoderKLWan(base_dim=vp["base_dim"], z_dim=vp["z_dim"], num_res_blocks=vp["num_res_blocks"])
    g = gen(seed, "pipe/sky")
    emb = randn(g, 2, p["text_len"], sp["text_dim"])
    for b, n in enumerate(p["valid"]):
        emb[b, n:] = 0
    start = int(torch.randint(0, 2 ** 31, (1,), generator=g))
    x = torch.randn(1, sp["channels"], p["frames"], p["height"], p["width"], generator=torch.Generator().manual_seed(start))
    box.put("in.prompt_embeds", emb, "row 0 prompt, row 1 negative prompt")
    box.put("in.latents", x, "what the pipeline draws itself (it fails when latents are handed in)")
    for name, steps, ar, cb_size, shift, guidance in p["runs"]:
        m._set_ar_attention(1)
        sch = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=shift)
        pipe = SkyReelsV2DiffusionForcingPipeline(tokenizer=None, text_encoder=None, transformer=m, vae=vae, scheduler=sch)
        pipe.set_progress_bar_config(disable=True)
        rows, ts = [], []

        def cb(_pipe, i, t, kw):
            rows.append(kw["latents"].clone())
            ts.append(t.clone())
            return {}
        lat = pipe(prompt=None, prompt_embeds=emb[:1], negative_prompt_embeds=emb[1:], height=8 * p["height"], width=8 * p["width"],
                   num_frames=4 * (p["frames"] - 1) + 1, num_inference_steps=steps, guidance_scale=guidance, generator=torch.Generator().manual_seed(start),
                   output_type="latent",
                   ar_step=ar, causal_block_size=cb_size, addnoise_condition=0, fps=p["fps"], base_num_frames=4 * (p["frames"] - 1) + 1,
                   callback_on_step_end=cb, return_dict=False)[0]
        box.put(name + ".step_matrix", torch.stack(ts).int())
        box.put(name + ".latents", torch.stack(rows), "after every row")
        assert torch.equal(lat, rows[-1])
    box.meta["weights_from"] = [name_of("skyreels_df_h2d64_fps")]
    box.meta["mask"] = ("this pipeline switches the block-causal mask on whenever causal_block_size > 1 is passed; the original SkyReels-V2 pipeline "
                        "stays bidirectional unless its separate causal-attention switch is set")


# ----------------------------------------------------------------------------------------------------------------
# g, h. SigLIP, Qwen2, LLaVA-OneVision

def _siglip_cfg(p):
    from transformers import SiglipVisionConfig
    return SiglipVisionConfig(hidden_size=p["hidden"], intermediate_size=p["mlp"], num_hidden_layers=p["layers"],
                              num_attention_heads=p["heads"], image_size=p["image"], patch_size=p["patch"],
                              hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, vision_use_head=False)


@case("siglip_vision", hidden=144, mlp=208, layers=2, heads=2, image=76, patch=14, batch=2)
def siglip(box, seed, p):
    from transformers import SiglipVisionModel
    cfg = _siglip_cfg(p)
    cfg._attn_implementation = "eager"
    m = randomise(SiglipVisionModel(cfg), seed)
    box.config = dict(model_type="siglip_vision_model", hidden_size=p["hidden"], intermediate_size=p["mlp"],
                      num_hidden_layers=p["layers"], num_attention_heads=p["heads"], image_size=p["image"],
                      patch_size=p["patch"], hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, vision_use_head=False)
    sd = {("" if k.startswith("vision_model.") else "vision_model.") + k: v for k, v in m.state_dict().items()}
    box.weights("weights", sd, torch.bfloat16)
    g = gen(seed, "siglip/in")
    x = torch.tanh(randn(g, p["batch"], 3, p["image"], p["image"]))
    box.put("in.pixel_values", x)
    core = m.vision_model if hasattr(m, "vision_model") else m
    rec = Rec()
    rec.on(core.embeddings, "embeddings")
    for i, l in enumerate(core.encoder.layers):
        rec.on(l, f"layer{i}")
    rec.on(core.encoder.layers[0].self_attn, "layer0.self_attn")
    y = m(pixel_values=x).last_hidden_state
    rec.off()
    for k, v in rec.v.items():
        box.put("mid." + k, v[0])
    box.put("out.before_post_layernorm", rec.v[f"layer{p['layers'] - 1}"][0], "what LLaVA's projector reads")
    box.put("out.last_hidden_state", y, "after post_layernorm; LLaVA does not use it")
    box.meta["grid"] = p["image"] // p["patch"]


def _qwen_cfg(p):
    from transformers import Qwen2Config
    return Qwen2Config(vocab_size=p["vocab"], hidden_size=p["hidden"], intermediate_size=p["mlp"],
                       num_hidden_layers=p["layers"], num_attention_heads=p["heads"], num_key_value_heads=p["kv_heads"],
                       hidden_act="silu", max_position_embeddings=32768, rms_norm_eps=1e-6, tie_word_embeddings=p["tied"],
                       rope_parameters=dict(rope_type="default", rope_theta=1000000.0), use_sliding_window=False,
                       bos_token_id=None, eos_token_id=None, pad_token_id=None)


def _qwen_json(p):
    return dict(model_type="qwen2", vocab_size=p["vocab"], hidden_size=p["hidden"], intermediate_size=p["mlp"],
                num_hidden_layers=p["layers"], num_attention_heads=p["heads"], num_key_value_heads=p["kv_heads"],
                hidden_act="silu", max_position_embeddings=32768, rms_norm_eps=1e-6, rope_theta=1000000.0,
                tie_word_embeddings=p["tied"], use_sliding_window=False)


def _greedy(box, prefix, step, n, ids_key="out.greedy_ids"):
    """step(token or None) -> logits of the last position; records n greedy tokens."""
    out, logits, margin = [], [], []
    lg = step(None)
    for i in range(n):
        top = lg.topk(2).values
        margin.append(float(top[0] - top[1]))
        tok = int(lg.argmax())
        out.append(tok)
        logits.append(lg)
        if i + 1 < n:
            lg = step(tok)
    box.put(prefix + ids_key, torch.tensor(out))
    box.put(prefix + "out.greedy_logits", torch.stack(logits), "logits from which each greedy token was taken")
    box.put(prefix + "out.greedy_margin", torch.tensor(margin), "best minus second logit")


def _qwen(box, seed, p):
    from transformers import Qwen2ForCausalLM
    cfg = _qwen_cfg(p)
    cfg._attn_implementation = "eager"
    m = randomise(Qwen2ForCausalLM(cfg), seed)
    box.config = _qwen_json(p)
    sd = m.state_dict()
    if p["tied"]:
        sd = {k: v for k, v in sd.items() if k != "lm_head.weight"}
    box.weights("weights", sd, torch.bfloat16)
    g = gen(seed, "qwen/in")
    ids = torch.randint(0, p["vocab"], (1, p["prompt"]), generator=g)
    box.put("in.input_ids", ids)
    assert m.model.rotary_emb.inv_freq.shape[0] == p["hidden"] // p["heads"] // 2
    box.put("mid.inv_freq", m.model.rotary_emb.inv_freq)
    rec = Rec()
    rec.on(m.model.embed_tokens, "embedding")
    rec.on(m.model.layers[0].self_attn.q_proj, "layer0.q")
    rec.on(m.model.layers[0].self_attn.k_proj, "layer0.k")
    rec.on(m.model.layers[0].self_attn, "layer0.self_attn")
    rec.on(m.model.layers[0].mlp, "layer0.mlp")
    for i, l in enumerate(m.model.layers):
        rec.on(l, f"layer{i}")
    rec.on(m.model.norm, "final_norm")
    o = m(input_ids=ids, use_cache=True)
    rec.off()
    for k, v in rec.v.items():
        box.put("mid." + k, v[0])
    box.put("out.prefill_logits", o.logits)
    for i in range(p["layers"]):
        kv = o.past_key_values.layers[i]
        box.put(f"out.cache.layer{i}.k", kv.keys, "after RoPE, [1,kv_heads,tokens,head_dim]")
        box.put(f"out.cache.layer{i}.v", kv.values)
    state = {"c": o.past_key_values, "l": o.logits[0, -1]}
    def step(tok):
        if tok is None:
            return state["l"]
        q = m(input_ids=torch.tensor([[tok]]), past_key_values=state["c"], use_cache=True)
        state["c"] = q.past_key_values
        return q.logits[0, -1]
    _greedy(box, "", step, p["new_tokens"])


@case("qwen2_gqa", hidden=96, mlp=160, layers=3, heads=6, kv_heads=2, vocab=331, tied=False, prompt=19, new_tokens=8)
def qwen_a(box, seed, p):
    _qwen(box, seed, p)


@case("qwen2_tied", hidden=128, mlp=144, layers=2, heads=2, kv_heads=1, vocab=257, tied=True, prompt=7, new_tokens=8)
def qwen_b(box, seed, p):
    _qwen(box, seed, p)


@case("llava_onevision", vision=dict(hidden=96, mlp=128, layers=2, heads=2, image=76, patch=14),
      text=dict(hidden=80, mlp=112, layers=2, heads=5, kv_heads=1, vocab=259, tied=False), frames=[4, 5, 1],
      before=14, after=9, new_tokens=8)
def llava(box, seed, p):
    from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration
    import tempfile
    tv = p["text"]["vocab"]
    vid, img = tv - 1, tv - 2
    cfg = LlavaOnevisionConfig(vision_config=_siglip_cfg(p["vision"]).to_dict(), text_config=_qwen_cfg(p["text"]).to_dict(),
                               image_token_index=img, video_token_index=vid, vision_feature_layer=-1,
                               vision_feature_select_strategy="full", projector_hidden_act="gelu", tie_word_embeddings=False)
    cfg._attn_implementation = "eager"
    m = randomise(LlavaOnevisionForConditionalGeneration(cfg), seed)
    v, t = p["vision"], p["text"]
    box.config = dict(model_type="llava_onevision", architectures=["LlavaOnevisionForConditionalGeneration"],
                      image_token_index=img, video_token_index=vid, vision_feature_layer=-1,
                      vision_feature_select_strategy="full", projector_hidden_act="gelu", tie_word_embeddings=False,
                      vision_config=dict(model_type="siglip_vision_model", hidden_size=v["hidden"], intermediate_size=v["mlp"],
                                         num_hidden_layers=v["layers"], num_attention_heads=v["heads"],
                                         image_size=v["image"], patch_size=v["patch"], hidden_act="gelu_pytorch_tanh",
                                         layer_norm_eps=1e-6, vision_use_head=False),
                      text_config=_qwen_json(t))
    sd = m.state_dict()
    hf = llava_to_hf_file(sd)
    box.weights("weights", hf, torch.bfloat16)
    box.weights("weights_original", llava_to_original(sd), torch.bfloat16)
    with tempfile.TemporaryDirectory() as d:                        # the published file layout must load back into the class
        save_file({k: w.contiguous() for k, w in hf.items()}, os.path.join(d, "model.safetensors"), metadata={"format": "pt"})
        dump(box.config, os.path.join(d, "config.json"))
        m2 = LlavaOnevisionForConditionalGeneration.from_pretrained(d, dtype=torch.float32)
        for k, w in m2.state_dict().items():
            assert torch.equal(w, sd[k]), "published layout does not load: " + k
    g = gen(seed, "llava/in")
    pre = torch.randint(0, tv - 2, (p["before"],), generator=g)
    post = torch.randint(0, tv - 2, (p["after"],), generator=g)
    pix = torch.tanh(randn(g, 1, max(p["frames"]), 3, v["image"], v["image"]))
    box.put("in.ids_before", pre)
    box.put("in.ids_after", post)
    box.put("in.pixel_values_videos", pix, "[1,T,3,H,W]; a case with n frames uses the first n")
    grid = v["image"] // v["patch"]
    per = math.ceil(grid / 2) ** 2
    mm = m.model
    for n in p["frames"]:
        ids = torch.cat([pre, torch.full((n * per + 1,), vid), post])[None]
        k = f"frames{n}."
        rec = Rec()
        core = mm.vision_tower.vision_model if hasattr(mm.vision_tower, "vision_model") else mm.vision_tower
        rec.on(core.encoder.layers[-1], "vision_last_layer")
        rec.on(mm.multi_modal_projector, "projected")
        emb = []
        h0 = mm.language_model.register_forward_pre_hook(
            lambda _m, a, kw: emb.append(kw["inputs_embeds"].detach().clone()), with_kwargs=True)
        o = m(input_ids=ids, pixel_values_videos=pix[:, :n], use_cache=True)
        h0.remove()
        rec.off()
        vo = mm.get_video_features(pix[:, :n])
        feats = vo.pooler_output if hasattr(vo, "pooler_output") else vo
        # transformers must have fed the projector with the state before post_layernorm
        expect = mm.multi_modal_projector(rec.v["vision_last_layer"][0])
        pre_ln = bool(torch.allclose(expect, rec.v["projected"][0], atol=1e-5))
        box.meta[f"frames{n}.projector_reads_state_before_post_layernorm"] = pre_ln
        assert pre_ln
        box.put(k + "in.input_ids", ids, "video placeholder repeated T*cells+1 times (the last one is the newline)")
        box.put(k + "mid.vision_features", rec.v["vision_last_layer"][0], "[T, grid*grid, vision hidden]")
        box.put(k + "mid.projected", rec.v["projected"][0])
        box.put(k + "mid.pooled_with_newline", feats, "bilinear to ceil(grid/2), frames row-major, one image_newline at the end")
        box.put(k + "mid.inputs_embeds", emb[0])
        box.put(k + "out.prefill_logits", o.logits)
        st = {"c": o.past_key_values, "l": o.logits[0, -1]}

        def step(tok):
            if tok is None:
                return st["l"]
            q = m(input_ids=torch.tensor([[tok]]), past_key_values=st["c"], use_cache=True)
            st["c"] = q.past_key_values
            return q.logits[0, -1]
        _greedy(box, k, step, p["new_tokens"])
    box.meta["pooled_cells_per_frame"] = per
    box.meta["grid"] = grid


# ----------------------------------------------------------------------------------------------------------------
# i. preprocessing

def _frame(g, h, w, kind):
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float64)
    if kind == "noise":
        return torch.randint(0, 256, (h, w, 3), generator=g).numpy().astype(np.uint8)
    if kind == "gradient":
        a = np.stack([255 * xx / max(w - 1, 1), 255 * yy / max(h - 1, 1), 255 * (xx + yy) / max(h + w - 2, 1)], -1)
        return np.clip(np.round(a), 0, 255).astype(np.uint8)
    if kind == "edges":                                             # hard edges: overshoot must clip
        c = ((xx // 7 + yy // 5) % 2)[..., None] * np.array([255, 255, 255.0])
        c[h // 3: 2 * h // 3, w // 4: w // 2] = [255, 0, 0]
        return c.astype(np.uint8)
    s = float(torch.rand(1, generator=g))
    a = 127.5 + 127.5 * np.stack([np.sin(xx / (5 + 3 * s)), np.cos(yy / 6.5), np.sin((xx * yy) ** 0.5 / (2 + s))], -1)
    return np.clip(np.round(a), 0, 255).astype(np.uint8)


@case("preprocess_pil", frames=[["noise", 97, 131, [384]], ["gradient", 240, 135, [224]], ["edges", 150, 280, [224]],
                                ["waves", 167, 290, [224]], ["noise", 21, 9, [224]]],
      normalised=[2, 224])
def preproc(box, seed, p):
    from PIL import Image
    g = gen(seed, "pre")
    for i, (kind, h, w, sizes) in enumerate(p["frames"]):
        a = _frame(g, h, w, kind)
        box.put(f"frame{i}.in", a, f"{kind}, uint8 [h,w,3]")
        for s in sizes:
            r = np.asarray(Image.fromarray(a).resize((s, s), Image.Resampling.BICUBIC))
            box.put(f"frame{i}.resized{s}", r, "PIL bicubic, aspect ratio ignored, uint8")
            if [i, s] == p["normalised"]:
                x = torch.from_numpy(r.copy()).permute(2, 0, 1).float() * (1 / 255.0)
                box.put(f"frame{i}.normalised{s}.rows0_31", ((x - 0.5) / 0.5)[:, :32], "CHW fp32, (x/255 - 0.5)/0.5, first 32 rows")
    x = torch.arange(256).float() * (1 / 255.0)
    box.put("normalise_table", (x - 0.5) / 0.5, "normalised value of every uint8 value")
    box.meta["note"] = ("normalised tensors follow from the uint8 result by the table. PIL resizes horizontally first, rounds AND clips to 0..255, then "
                        "vertically and again (fixed-point coefficients). A float antialiased bicubic (a = -0.5) that rounds once at the end is "
                        "off by 1 in 4-25 % of the pixels and by up to about 20 at hard edges (mean below 0.3); torch's own uint8 antialias path "
                        "on CPU is within 2 (mean below 0.01); plain bicubic (a = -0.75, no antialias) is wrong (mean up to 4).")


# ----------------------------------------------------------------------------------------------------------------
# j. tokenizers

QWEN_PAT = (r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""")
QWEN_SPECIAL = {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645}

BASE_TEXT = {
    "en": ["The quick brown fox jumps over the lazy dog.", "A cat and a dog baking a cake together in a kitchen.",
           "It's what they'd've said, isn't it? I'll go; we're done. You've won. She'd know. I'm in.",
           "IT'S WHAT THEY'LL SAY, I'M SURE", "state-of-the-art, e.g. i.e. etc.", "cinematic shot, 35mm, f/1.8, golden hour, 4K",
           "Wall-clock: 12:34:56.789, cost $1,234.50 (approx. 99.9%)", "supercalifragilisticexpialidocious", "a", "I", " ", "",
           "naive cafe resume", "na\u00efve caf\u00e9 r\u00e9sum\u00e9", "nai\u0308ve cafe\u0301 re\u0301sume\u0301",
           "camelCaseAndPascalCase snake_case kebab-case SCREAMING_CASE", "http://example.com/a?b=c&d=%20#frag",
           "user.name+tag@example.co.uk", "ALL CAPS AND lowercase And Title Case", "\"quoted\" 'single' \u201ccurly\u201d \u2018single\u2019"],
    "de": ["Der schnelle braune Fuchs springt \u00fcber den faulen Hund.", "Stra\u00dfe, Gr\u00f6\u00dfe, \u00dcbermut, \u00c4rger, \u00d6l, \u1e9e",
           "Donaudampfschifffahrtsgesellschaftskapit\u00e4n", "Ein Zug f\u00e4hrt bei Sonnenuntergang durch ein verschneites Tal.",
           "Rindfleischetikettierungs\u00fcberwachungsaufgaben\u00fcbertragungsgesetz", "\u201eGuten Tag\u201c, sagte er \u2013 leise.",
           "10.000,50 \u20ac zzgl. 19 % MwSt."],
    "zh": ["\u4e00\u53ea\u732b\u5728\u8349\u5730\u4e0a\u5954\u8dd1\u3002", "\u8272\u8c03\u8273\u4e3d\uff0c\u8fc7\u66dd\uff0c\u9759\u6001\uff0c\u7ec6\u8282\u6a21\u7cca\u4e0d\u6e05\uff0c\u5b57\u5e55\uff0c\u98ce\u683c",
           "\u7e41\u9ad4\u4e2d\u6587\u6e2c\u8a66\uff01", "\u4eca\u5929\u662f2025\u5e741\u67081\u65e5\uff0c\u661f\u671f\u4e09\u3002", "\u4e2d\u6587English\u6df7\u5408text\uff0c123\u4e2a", "\u3000\u5168\u89d2\u7a7a\u683c\u3000\uff21\uff22\uff23\uff11\uff12\uff13",
           "\U00020000\U0002a6d6\U0002f800", "\u6628\u5929\u3001\u300a\u4e66\u540d\u300b\u3010\u62ec\u53f7\u3011"],
    "ja_ko": ["\u3053\u3093\u306b\u3061\u306f\u4e16\u754c\u3002\u30ab\u30bf\u30ab\u30ca\u3068\u3072\u3089\u304c\u306a\u3068\u6f22\u5b57", "\uff76\uff9e\uff77\uff9e \uff8a\uff9f\uff8b\uff9f \u30ac\u30ae", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4", "\u1112\u1161\u11ab\u1100\u1173\u11af"],
    "ar": ["\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u0627\u0644\u0633\u064e\u0651\u0644\u0627\u0645\u064f \u0639\u064e\u0644\u064e\u064a\u0652\u0643\u064f\u0645\u0652", "\u0643\u062a\u0627\u0628 \u0661\u0662\u0663\u0664\u0665 \u0635\u0641\u062d\u0629\u060c \u0646\u0639\u0645\u061f", "\u0641\u0627\u0631\u0633\u06cc \u0648 \u0627\u0631\u062f\u0648 \u06f1\u06f2\u06f3", "\u0640\u0640\u0640\u0643\u0634\u064a\u062f\u0629\u0640\u0640\u0640", "\ufdfa \ufefb \ufb50"],
    "hi_etc": ["\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f \u091c\u094d\u091e\u093e\u0928 \u0967\u0968\u0969", "\u0915\u093c \u0958 \u095c \u0921\u093c", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u03ba\u03cc\u03c3\u03bc\u03b5", "Xin ch\u00e0o th\u1ebf gi\u1edbi", "Xin cha\u0300o the\u0302\u0301 gi\u01a1\u0301i",
               "\u0130stanbul \u0131\u015f\u0131k \u011f\u00fc\u00e7l\u00fc", "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0", "\u1230\u120b\u121d", "\u0c28\u0c2e\u0c38\u0c4d\u0c15\u0c3e\u0c30\u0c02", "\u0bb5\u0ba3\u0b95\u0bcd\u0b95\u0bae\u0bcd"],
    "emoji": ["\U0001f600\U0001f602\U0001f923", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family", "\U0001f44d\U0001f3fd ok", "\U0001f1e9\U0001f1ea\U0001f1e8\U0001f1f3", "\u2764\ufe0f vs \u2764", "1\ufe0f\u20e3 #\ufe0f\u20e3", "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "a\U0001f600b \U0001f600 c"],
    "code": ["def f(x):\n    return x ** 2  # square\n", "for (int i = 0; i < n; ++i) {\n\ta[i] += b[i];\n}", "SELECT * FROM t WHERE a='b' AND c>=1;", "#include <torch/torch.h>\r\nint main(){}\r\n", "{\"k\": [1, 2.5e-3, null, true]}", "<div class=\"x\">&nbsp;</div>", "\\frac{a}{b} $x_1^2$", "if x:\n        y\n    z\n\n\n\n", "a=b==c!=d<=e>=f&&g||h", "std::vector<std::pair<int, std::string>>", "x->y::z", "0x1F 0b1010 1e-10 1_000"],
    "digits": ["0123456789", "1", "12", "123", "1234", "12345678901234567890", "3.14159265358979", "1,000,000", "2024-02-29T23:59:60Z", "\u00bd \u00b2 \u2460 \u216b \u0665", "+1 (555) 010-9999"],
    "space": ["  two leading", "trailing two  ", "a  b   c    d", "\t\ttabs\t", "line\nline\n\nline", "\r\n\r\n", "\n", "\n\n\n", " \n \n ", "a\n b\n  c", "a \n", "a\u00a0b\u2003c\u2009d\u202fe", "\u2028line\u2029para\u0085nel", "a\t \tb", "   ", "\u3000", "x\u200by\u2060z\ufeffw", "a\x0bb\x0cc", "word    \n    word"],
    "control": ["a\x00b", "\x01\x02\x03\x1b[31mred\x1b[0m", "del\x7f and \x80\x9f", "bell\x07 back\x08space", "\x00", "soft\u00adhyphen"],
    "unicode_odd": ["\ufffd\ufffd", "\uffff\ufffe", "\ue000\uf8ff", "\U000f0000\U0010ffff", "e\u0301\u0301\u0301\u0301\u0302\u0303\u0304", "Z\u0351\u036b\u0343\u036a\u0302A\u0328\u0334\u0321\u031eL", "\u0301start with combining", "\u202eright to left\u202c", "\u200d\u200d\u200d", "\u2126 \u212b \u00c5 A\u030a", "\ufb01\ufb02 \ufb03", "\u01c4 \u01c5 \u01c6", "\u1e9b\u0323", "\uac00\u11a8", "\u0344", "\u2000\u2001", "\u0958\u09dc", "\ufa0e\ufa10\uf900", "\U0001d56c\U0001d7d8 math", "\u00ef\u00bf\u00bd mojibake \u00c3\u00a9", "\u2f81a"],
    "special": ["<|im_start|>user\nhi<|im_end|>\n", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n", "<|endoftext|>", "a<|im_end|>b", "<|im_start|", "<|im_end|><|im_end|>", " <|im_start|> ", "<image>\nWhat is this?", "<pad></s><unk>", "\u2581under\u2581score", "<0x41>"],
    "long": ["a" * 2000, "ab" * 700, " " * 300, "\n" * 200, "=" * 500, "\u54c8" * 300, "\U0001f600" * 100, "word " * 300, "0" * 400, "!?" * 150, "\t" * 130, "x" + " " * 50 + "y", "\u0e01" * 200, "Aa" * 400],
}


def tokenizer_strings(seed, n_random):
    items = [(lang, s) for lang, l in BASE_TEXT.items() for s in l]
    rng = np.random.RandomState(int(hashlib.sha256(f"{seed}/tok".encode()).hexdigest()[:8], 16) % (2 ** 31))
    allw = [w for l in ("en", "de", "zh", "ja_ko", "ar", "hi_etc", "emoji", "code", "digits") for s in BASE_TEXT[l] for w in re.findall(r"\S+", s)]
    seps = [" ", " ", " ", "  ", "\n", "\t", "", ", ", " - ", "\u3000", "\r\n", ".", "_"]
    while len(items) < len([0 for l in BASE_TEXT.values() for _ in l]) + n_random:
        r = rng.randint(3)
        if r == 0:                                                  # mixed words
            k = rng.randint(1, 14)
            s = "".join(allw[rng.randint(len(allw))] + seps[rng.randint(len(seps))] for _ in range(k))
        elif r == 1:                                                # random code points from mixed blocks
            blocks = [(0x20, 0x7f), (0x80, 0x250), (0x370, 0x530), (0x590, 0x6ff), (0x900, 0x97f), (0x1100, 0x11ff), (0x2000, 0x206f),
                      (0x3000, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3), (0x1f300, 0x1f64f), (0x300, 0x36f), (0x0, 0x20)]
            k = rng.randint(1, 40)
            s = ""
            for _ in range(k):
                lo, hi = blocks[rng.randint(len(blocks))]
                s += chr(rng.randint(lo, hi))
        else:                                                       # ASCII soup
            k = rng.randint(1, 60)
            s = "".join(chr(c) for c in rng.randint(0x20, 0x7f, size=k))
        items.append(("random", s))
    return items


def _sha(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def _write_tok(box, items, rows, meta):
    box.meta.update(meta)
    box.meta["strings"] = [dict(lang=l, text=s, **r) for (l, s), r in zip(items, rows)]


@case("tokenizer_qwen_bpe", random_strings=200, package="dashscope", file="resources/qwen.tiktoken")
def tok_qwen(box, seed, p):
    import base64, importlib.util, importlib.metadata as im, tiktoken
    root = os.path.dirname(importlib.util.find_spec(p["package"]).origin)
    path = os.path.join(root, p["file"])
    ranks = {base64.b64decode(a): int(b) for a, b in (l.split() for l in open(path, "rb").read().splitlines() if l)}
    enc = tiktoken.Encoding("qwen", pat_str=QWEN_PAT, mergeable_ranks=ranks, special_tokens=QWEN_SPECIAL)
    items = tokenizer_strings(seed, p["random_strings"])
    rows = []
    for _, s in items:
        nfc = unicodedata.normalize("NFC", s)
        ids = enc.encode(nfc, allowed_special=set(QWEN_SPECIAL), disallowed_special=())
        plain = enc.encode(nfc, allowed_special=set(), disallowed_special=())
        r = dict(ids=ids)
        if plain != ids:
            r["ids_without_special"] = plain
        d = enc.decode(ids, errors="replace")
        r["decoded"] = d if d != s else True
        if nfc != s:
            r["ids_without_nfc"] = enc.encode(s, allowed_special=set(QWEN_SPECIAL), disallowed_special=())
        rows.append(r)
    _write_tok(box, items, rows, dict(
        vocabulary=dict(pip=p["package"], version=im.version(p["package"]), path=f"{p['package']}/{p['file']}", sha256=_sha(path),
                        format="base64(token) rank per line; 151643 tokens, ids = rank = merge priority"),
        pattern=QWEN_PAT, special_tokens=QWEN_SPECIAL,
        note="Byte-level BPE as used by Qwen/Qwen2: text -> NFC -> special tokens cut out -> pattern split -> byte pairs merged by lowest rank. "
             "'decoded' is true where decoding returns the text itself."))


def _spm_rows(sp, items):
    rows = []
    for _, s in items:
        ids = sp.encode(s, out_type=int)
        d = sp.decode(ids)
        rows.append(dict(ids=ids, decoded=d if d != s else True))
    return rows


def _spm_meta(path):
    from sentencepiece import sentencepiece_model_pb2 as pb
    m = pb.ModelProto()
    m.ParseFromString(open(path, "rb").read())
    t, n = m.trainer_spec, m.normalizer_spec
    return dict(model_type={1: "unigram", 2: "bpe"}.get(t.model_type, t.model_type), byte_fallback=t.byte_fallback, vocab_size=len(m.pieces),
                normaliser=n.name, add_dummy_prefix=n.add_dummy_prefix, remove_extra_whitespaces=n.remove_extra_whitespaces,
                escape_whitespaces=n.escape_whitespaces, unk_id=t.unk_id, bos_id=t.bos_id, eos_id=t.eos_id, pad_id=t.pad_id,
                sha256=_sha(path))


def _corpus(seed, n=9000):
    """Synthetic sentences: the multilingual words above plus many made-up words with shared stems and endings."""
    rng = np.random.RandomState(int(hashlib.sha256(f"{seed}/corpus".encode()).hexdigest()[:8], 16) % (2 ** 31))
    words = [w for l in ("en", "de", "zh", "ja_ko", "ar", "hi_etc", "digits", "code") for s in BASE_TEXT[l] for w in re.findall(r"\S+", s)]
    cons, vow = "b c d f g h j k l m n p qu r s st t tr v w z sch pr gl".split(), "a e i o u ei au ie ou \u00e4 \u00fc \u00e9".split()
    stems = ["".join(cons[rng.randint(len(cons))] + vow[rng.randint(len(vow))] for _ in range(rng.randint(1, 4))) for _ in range(1200)]
    ends = ["", "s", "n", "ing", "tion", "er", "lich", "keit", "ed", "ment", "ung", "al", "ous", "chen"]
    words += [stems[rng.randint(len(stems))] + ends[rng.randint(len(ends))] for _ in range(5000)]
    cjk = [chr(c) for c in rng.randint(0x4e00, 0x5200, size=400)]
    words += ["".join(cjk[rng.randint(len(cjk))] for _ in range(rng.randint(1, 4))) for _ in range(800)]
    p = 1.0 / (np.arange(len(words)) + 40.0)
    rng.shuffle(words)
    p /= p.sum()
    return [" ".join(words[i] for i in rng.choice(len(words), size=rng.randint(3, 16), p=p)) for _ in range(n)]


def _tok_spm(box, seed, p):
    import sentencepiece as spm, tempfile
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as d:
        os.chdir(d)                                                 # the model stores the path prefix: keep it the same everywhere
        try:
            spm.SentencePieceTrainer.train(sentence_iterator=iter(_corpus(seed)), model_prefix="m", vocab_size=p["pieces"], model_type="unigram",
                                           normalization_rule_name="nmt_nfkc", byte_fallback=p["byte_fallback"], character_coverage=0.9995,
                                           pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1, input_sentence_size=0,
                                           hard_vocab_limit=False, minloglevel=2)
        finally:
            os.chdir(here)
        path = os.path.join(d, "m.model")
        sp = spm.SentencePieceProcessor(model_file=path)
        items = tokenizer_strings(seed, p["random_strings"])
        box.put("model_proto", torch.from_numpy(np.frombuffer(open(path, "rb").read(), dtype=np.uint8).copy()),
                "the bytes of the sentencepiece .model file (write them to a file to load it)")
        _write_tok(box, items, _spm_rows(sp, items), dict(model=_spm_meta(path), note="ids without </s>; T5 tokenizers append id 1"))


@case("tokenizer_spm_bytefallback", pieces=2000, byte_fallback=True, random_strings=160)
def tok_spm_a(box, seed, p):
    _tok_spm(box, seed, p)


@case("tokenizer_spm_nofallback", pieces=2000, byte_fallback=False, random_strings=160)
def tok_spm_b(box, seed, p):
    _tok_spm(box, seed, p)


@case("tokenizer_spm_real", random_strings=160, package="sentencepiece", sdist="sentencepiece-0.2.1.tar.gz",
      member="sentencepiece-0.2.1/test/test_model.model")
def tok_spm_real(box, seed, p):
    """A model that ships in the source archive of sentencepiece (pip download --no-deps --no-binary sentencepiece sentencepiece==0.2.1).
    Set SPM_SDIST to the archive's path; without it the case is skipped."""
    import sentencepiece as spm, tarfile, tempfile
    src = os.environ.get("SPM_SDIST")
    if not src:
        raise Skip("SPM_SDIST is not set")
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "m.model")
        with tarfile.open(src) as t:
            open(path, "wb").write(t.extractfile(p["member"]).read())
        sp = spm.SentencePieceProcessor(model_file=path)
        items = tokenizer_strings(seed, p["random_strings"])
        _write_tok(box, items, _spm_rows(sp, items), dict(
            vocabulary=dict(pip=p["package"], sdist=p["sdist"], path=p["member"], get="pip download --no-deps --no-binary sentencepiece sentencepiece==0.2.1"),
            model=_spm_meta(path), note="ids without </s>"))


class Skip(Exception):
    pass


# ----------------------------------------------------------------------------------------------------------------

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default="data")
    ap.add_argument("--seed", type=int, default=1234)
    ap.add_argument("--case", action="append", default=[], help="substring of case names; may be repeated")
    ap.add_argument("--spec", help="JSON with other sizes per case")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--verify", action="store_true", help="rebuild and compare with the files in --out instead of writing")
    a = ap.parse_args()
    spec = json.load(open(a.spec)) if a.spec else {}
    SPEC.update(spec)
    bad = 0
    for name, (fn, defaults) in CASES.items():
        if a.case and not any(c in name for c in a.case):
            continue
        if a.list:
            print(name, json.dumps(defaults))
            continue
        params = {**defaults, **spec.get(name, {})}
        box = Box(spec.get(name, {}).get("_name", name), {k: v for k, v in params.items() if k != "_name"}, a.seed)
        try:
            fn(box, a.seed, params)
        except Skip as e:
            print(f"{name}: skipped ({e})")
            continue
        if a.verify:
            bad += verify(box, a.out)
        else:
            box.write(a.out)
            size = sum(os.path.getsize(os.path.join(a.out, f)) for f in os.listdir(a.out) if f.startswith(box.name + "."))
            print(f"{box.name}: {len(box.t)} tensors, {size / 1e6:.2f} MB")
    sys.exit(1 if bad else 0)


def verify(box, out):
    base = os.path.join(out, box.name)
    worst, n = 0.0, 0
    groups = [(base + ".safetensors", box.t)] if box.t else []
    groups += [(f"{base}.{s}.safetensors", sd) for s, sd in box.files.items()]
    ok = True
    for path, mine in groups:
        have = load_file(path)
        if set(have) != set(mine):
            print(f"{box.name}: key sets differ in {os.path.basename(path)}")
            ok = False
            continue
        for k, v in mine.items():
            w = have[k]
            if w.shape != v.shape or w.dtype != v.dtype:
                print(f"{box.name}: {k} shape or type differs")
                ok = False
            elif v.numel():
                e = (w.double() - v.double()).abs().max().item()
                worst, n = max(worst, e), n + 1
                if not v.is_floating_point() and e != 0:
                    print(f"{box.name}: integer tensor {k} differs")
                    ok = False
    meta = json.load(open(base + ".json"))
    if "strings" in box.meta and json.loads(json.dumps(box.meta["strings"])) != meta["strings"]:
        print(f"{box.name}: strings differ")
        ok = False
    ok = ok and worst <= 1e-4
    print(f"{box.name}: {'ok' if ok else 'FAIL'}, {n} tensors, largest difference {worst:.3g}")
    return 0 if ok else 1


if __name__ == "__main__":
    main()
