"""Trains the small text-to-video transformer (SkyReels-V2 diffusion-forcing layout) and its text encoder.

    python train_dit.py --vae DIR --tokenizer DIR --out DIR [--latents FILE] [--seconds 560]

Clips are drawn by world.py and encoded once by the trained autoencoder; latents stay on the device.  The
transformer is diffusers' SkyReelsV2Transformer3DModel.  `dit_forward` below is the same computation written
for training speed (per-frame modulation is broadcast instead of repeated for every token, block-causal
attention is done block by block); --check compares the two.
"""
import argparse
import copy
import json
import math
import os
import time

import torch
import torch.nn.functional as F

import train_vae
import world

BLOCK = 3                                            # latent frames per block
TEXT_LEN = 64


# ------------------------------------------------------------------------------------------------- model
def build(layers=7, ffn=896, dim=384):
    from diffusers import SkyReelsV2Transformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel
    dit = SkyReelsV2Transformer3DModel(patch_size=(1, 2, 2), num_attention_heads=dim // 64, attention_head_dim=64,
                                       in_channels=16, out_channels=16, text_dim=256, freq_dim=256, ffn_dim=ffn,
                                       num_layers=layers, inject_sample_info=True)
    enc = UMT5EncoderModel(UMT5Config(vocab_size=2048, d_model=256, d_kv=32, num_heads=8, d_ff=640, num_layers=4,
                                      num_decoder_layers=4, dropout_rate=0.0, pad_token_id=0, eos_token_id=1))
    return dit, enc


def init_dit(dit):
    n = len(dit.blocks)
    for name, m in dit.named_modules():
        if isinstance(m, torch.nn.Linear):
            torch.nn.init.normal_(m.weight, std=0.02 if "embedder" in name or "proj" in name else m.in_features ** -0.5 * 0.7)
            if m.bias is not None:
                torch.nn.init.zeros_(m.bias)
    for b in dit.blocks:
        b.scale_shift_table.data.normal_(std=0.02)
        b.scale_shift_table.data[:, 2] = 1.0         # gates start open, branches start small
        b.scale_shift_table.data[:, 5] = 1.0
        for w in (b.attn1.to_out[0], b.attn2.to_out[0], b.ffn.net[2]):
            w.weight.data *= 1.0 / math.sqrt(3 * n)
    torch.nn.init.normal_(dit.fps_embedding.weight, std=0.02)
    dit.fps_embedding.weight.data[1] = dit.fps_embedding.weight.data[0]
    torch.nn.init.normal_(dit.patch_embedding.weight, std=(16 * 4) ** -0.5)
    torch.nn.init.zeros_(dit.patch_embedding.bias)
    torch.nn.init.zeros_(dit.proj_out.weight)
    dit.scale_shift_table.data.zero_()


def _rms(x, w, eps=1e-6):
    v = x.float()
    return (v * torch.rsqrt((v * v).mean(-1, keepdim=True) + eps) * w).to(x.dtype)


def _rope(x, cos, sin):
    x1, x2 = x.unflatten(-1, (-1, 2)).unbind(-1)
    c, s = cos[None, :, None], sin[None, :, None]
    return torch.stack((x1 * c - x2 * s, x1 * s + x2 * c), -1).flatten(-2).to(x.dtype)


def block_params(b):
    a, c = b.attn1, b.attn2
    out = [b.scale_shift_table]
    for m in (a, c):
        for lin in (m.to_q, m.to_k, m.to_v, m.to_out[0]):
            out += [lin.weight, lin.bias]
        out += [m.norm_q.weight, m.norm_k.weight]
    out += [b.norm2.weight, b.norm2.bias, b.ffn.net[0].proj.weight, b.ffn.net[0].proj.bias, b.ffn.net[2].weight, b.ffn.net[2].bias]
    return tuple(out)


def block_fwd(p, x, ctx, e, cos, sin, causal, heads):
    """x: [B,F,S,D]; e: [B,F,6,D]; ctx: [B,L,D]."""
    (tab, q1, q1b, k1, k1b, v1, v1b, o1, o1b, nq1, nk1, q2, q2b, k2, k2b, v2, v2b, o2, o2b, nq2, nk2,
     n2w, n2b, f1, f1b, f2, f2b) = p
    b, f, s, d = x.shape
    m = tab.view(1, 1, 6, d) + e.float()
    sh1, sc1, g1, sh2, sc2, g2 = (m[:, :, i:i + 1] for i in range(6))
    h = (F.layer_norm(x.float(), (d,), None, None, 1e-6) * (1 + sc1) + sh1).to(x.dtype).view(b, f * s, d)
    q = _rope(_rms(F.linear(h, q1, q1b), nq1).unflatten(-1, (heads, -1)), cos, sin).transpose(1, 2)
    k = _rope(_rms(F.linear(h, k1, k1b), nk1).unflatten(-1, (heads, -1)), cos, sin).transpose(1, 2)
    v = F.linear(h, v1, v1b).unflatten(-1, (heads, -1)).transpose(1, 2)
    if causal and f > BLOCK:
        parts = []
        for i in range(0, f, BLOCK):
            a, z = i * s, min(i + BLOCK, f) * s
            parts.append(F.scaled_dot_product_attention(q[:, :, a:z], k[:, :, :z], v[:, :, :z]))
        y = torch.cat(parts, 2)
    else:
        y = F.scaled_dot_product_attention(q, k, v)
    y = F.linear(y.transpose(1, 2).flatten(2), o1, o1b).view(b, f, s, d)
    x = (x.float() + y.float() * g1).to(x.dtype)
    h = F.layer_norm(x.float(), (d,), n2w, n2b, 1e-6).to(x.dtype).view(b, f * s, d)
    q = _rms(F.linear(h, q2, q2b), nq2).unflatten(-1, (heads, -1)).transpose(1, 2)
    k = _rms(F.linear(ctx, k2, k2b), nk2).unflatten(-1, (heads, -1)).transpose(1, 2)
    v = F.linear(ctx, v2, v2b).unflatten(-1, (heads, -1)).transpose(1, 2)
    y = F.scaled_dot_product_attention(q, k, v)
    x = x + F.linear(y.transpose(1, 2).flatten(2), o2, o2b).view(b, f, s, d)
    h = (F.layer_norm(x.float(), (d,), None, None, 1e-6) * (1 + sc2) + sh2).to(x.dtype)
    y = F.linear(F.gelu(F.linear(h, f1, f1b), approximate="tanh"), f2, f2b)
    return (x.float() + y.float() * g2).to(x.dtype)


BLOCK_FN = {"fn": block_fwd}


def time_features(t, dim=256):
    """Sinusoids of diffusers' SkyReelsV2Timesteps: cosines first."""
    half = dim // 2
    omega = 1.0 / 10000 ** (torch.arange(half, dtype=torch.float64, device=t.device) / half)
    a = t.double()[..., None] * omega
    return torch.cat([a.cos(), a.sin()], -1).float()


def rope_tables(dit, f, h, w, device):
    cos, sin = dit.rope(torch.empty(1, 1, f, h * 2, w * 2))
    return cos[0, :, 0, 0::2].float().to(device), sin[0, :, 0, 1::2].float().to(device)


def patchify(x):
    """[B,F,H,W,C] -> tokens [B,F,S,4C], inner order (p_h, p_w, C)."""
    b, f, h, w, c = x.shape
    return x.view(b, f, h // 2, 2, w // 2, 2, c).permute(0, 1, 2, 4, 3, 5, 6).reshape(b, f, h * w // 4, 4 * c)


def unpatchify(x, h, w):
    b, f, s, c4 = x.shape
    return x.view(b, f, h // 2, w // 2, 2, 2, c4 // 4).permute(0, 1, 2, 4, 3, 5, 6).reshape(b, f, h, w, c4 // 4)


def dit_forward(dit, tok, t, ctx, fps, cos, sin, causal=False):
    """tok: [B,F,S,64] from patchify; t: [B,F] in 0..1000; ctx: [B,L,256]; fps: [B] (0: 16 fps, 1: other)."""
    ce = dit.condition_embedder
    w = dit.patch_embedding.weight[:, :, 0].permute(0, 2, 3, 1).flatten(1)
    x = F.linear(tok, w, dit.patch_embedding.bias)
    temb = ce.time_embedder(time_features(t))
    e = ce.time_proj(F.silu(temb)).unflatten(-1, (6, -1))
    e = e + dit.fps_projection(dit.fps_embedding(fps)).unflatten(-1, (6, -1))[:, None]
    ctx = ce.text_embedder(ctx)
    heads = dit.config.num_attention_heads
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.bfloat16)
    for b in dit.blocks:
        x = BLOCK_FN["fn"](block_params(b), x, ctx, e, cos, sin, causal, heads)
    m = dit.scale_shift_table.view(1, 1, 2, -1) + temb.float().unsqueeze(2)
    shift, scale = m[:, :, 0:1], m[:, :, 1:2]
    x = (F.layer_norm(x.float(), (x.shape[-1],), None, None, 1e-6) * (1 + scale) + shift).to(x.dtype)
    return dit.proj_out(x)


def encode_text(enc, ids):
    """Zero after the end of the text, as the Wan pipelines do."""
    mask = (ids != 0).long()
    y = enc(input_ids=ids, attention_mask=mask).last_hidden_state
    return y * mask.unsqueeze(-1)


class Tokenizer:
    def __init__(self, path):
        import sentencepiece
        self.sp = sentencepiece.SentencePieceProcessor(model_file=os.path.join(path, "spiece.model"))

    def __call__(self, texts):
        out = torch.zeros(len(texts), TEXT_LEN, dtype=torch.int64)
        for i, s in enumerate(texts):
            ids = self.sp.encode(s)[:TEXT_LEN - 1] + [1]
            out[i, :len(ids)] = torch.tensor(ids)
        return out


# --------------------------------------------------------------------------------------------- sampling
def sigmas(steps, shift, device="cpu"):
    s = torch.linspace(1, 0, steps + 1, dtype=torch.float64, device=device)
    return shift * s / (1 + (shift - 1) * s)


@torch.no_grad()
def sample_sync(dit, ctx, null, f, h, w, steps=24, shift=5.0, guidance=4.0, seed=0, start=None, causal=False, fps=0):
    """All frames share one noise level; Euler; [B,F,H,W,C] normalised latents."""
    dev, b = ctx.device, len(ctx)
    g = torch.Generator("cpu").manual_seed(seed)
    x = torch.randn(b, f, h, w, 16, generator=g).to(dev) if start is None else start
    cos, sin = rope_tables(dit, f, h // 2, w // 2, dev)
    sg = sigmas(steps, shift, dev)
    both = torch.cat([ctx, null.expand(b, -1, -1)])
    fp = torch.full((2 * b,), fps, dtype=torch.int64, device=dev)
    for i in range(steps):
        t = (sg[i] * 1000).float().expand(2 * b, f)
        v = dit_forward(dit, patchify(torch.cat([x, x])), t, both, fp, cos, sin, causal).float()
        c, n = unpatchify(v, h, w).chunk(2)
        x = x + (n + guidance * (c - n)) * (sg[i + 1] - sg[i]).float()
    return x


@torch.no_grad()
def sample_chunks(dit, ctx, null, blocks, h, w, steps=24, shift=5.0, guidance=4.0, seed=0):
    """Block after block with block-causal attention: finished blocks are clean context at t = 0.

    (A runtime caches the keys and values of finished blocks; recomputing them gives the same numbers.)"""
    dev, b, f = ctx.device, len(ctx), blocks * BLOCK
    g = torch.Generator("cpu").manual_seed(seed)
    noise = torch.randn(b, f, h, w, 16, generator=g).to(dev)
    sg = sigmas(steps, shift, dev)
    both = torch.cat([ctx, null.expand(b, -1, -1)])
    fp = torch.zeros(2 * b, dtype=torch.int64, device=dev)
    done = noise[:, :0]
    for k in range(blocks):
        n_f = (k + 1) * BLOCK
        cos, sin = rope_tables(dit, n_f, h // 2, w // 2, dev)
        x = noise[:, k * BLOCK:n_f]
        for i in range(steps):
            t = torch.zeros(2 * b, n_f, device=dev)
            t[:, k * BLOCK:] = (sg[i] * 1000).float()
            z = torch.cat([done, x], 1)
            v = dit_forward(dit, patchify(torch.cat([z, z])), t, both, fp, cos, sin, True).float()
            c, n = unpatchify(v, h, w)[:, k * BLOCK:].chunk(2)
            x = x + (n + guidance * (c - n)) * (sg[i + 1] - sg[i]).float()
        done = torch.cat([done, x], 1)
    return done


# --------------------------------------------------------------------------------------------- training
class Muon:
    """Momentum with orthogonalised updates for the weight matrices of the blocks (same-shaped ones together)."""

    def __init__(self, params, lr, momentum=0.95, wd=0.02):
        self.lr, self.mom, self.wd = lr, momentum, wd
        self.groups = {}
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.buf = {k: torch.zeros(len(v), *k, device=v[0].device) for k, v in self.groups.items()}

    @torch.no_grad()
    def step(self):
        for k, ps in self.groups.items():
            g = torch.stack([p.grad for p in ps])
            buf = self.buf[k]
            buf.lerp_(g, 1 - self.mom)
            u = torch.lerp(g, buf, self.mom).to(torch.bfloat16 if g.is_cuda else torch.float32)
            flip = k[0] > k[1]
            if flip:
                u = u.transpose(1, 2)
            u = u / (u.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
            for _ in range(5):
                a = u @ u.transpose(1, 2)
                u = 3.4445 * u + (-4.7750 * a + 2.0315 * a @ a) @ u
            if flip:
                u = u.transpose(1, 2)
            u = u.float() * (0.2 * math.sqrt(max(k)))
            for p, v in zip(ps, u.unbind(0)):
                p.mul_(1 - self.lr * self.wd).add_(v, alpha=-self.lr)


def noise_levels(b, f, mode, shift, device):
    """Noise level of every latent frame, [B,F] in 0..1."""
    nb = (f + BLOCK - 1) // BLOCK
    if mode == "sync" or nb == 1:
        u = torch.rand(b, 1, device=device).expand(b, nb)
        u = torch.remainder(u[0] + torch.arange(b, device=device)[:, None] / b, 1.0).expand(b, nb)  # stratified
    else:
        u = torch.rand(b, nb, device=device).sort(1).values
        # half of the clips: clean blocks, one noisy block, noisier ones after it
        j = torch.randint(0, nb, (b, 1), device=device)
        idx = torch.arange(nb, device=device)[None]
        cur = torch.rand(b, 1, device=device)
        later = torch.where(torch.rand(b, 1, device=device) < 0.5, torch.ones_like(cur), cur + (1 - cur) * torch.rand(b, 1, device=device))
        ar = torch.where(idx < j, torch.zeros_like(cur), torch.where(idx == j, cur, later))
        u = torch.where(torch.rand(b, 1, device=device) < 0.5, ar, u)
    s = shift * u / (1 + (shift - 1) * u)
    return s.repeat_interleave(BLOCK, 1)[:, :f]


GALLERY = ["a red balloon rises slowly over the sea at sunset",
           "two white birds fly left over a snowy valley at noon",
           "a yellow car drives right along a desert road at dusk, then stops",
           "a green rocket blasts off quickly over the city at night",
           "three orange fish swim right underwater",
           "a purple butterfly flutters in circles over green hills at sunrise",
           "a big blue sailboat sails left on the sea at noon, then turns red",
           "a pink star falls through space, the camera pans right"]


def save_shards(dit, enc, out, dtype=torch.bfloat16, limit=15_900_000):
    """Transformer in shards under `limit` bytes with an index, text encoder in one file."""
    from safetensors.torch import save_file
    os.makedirs(os.path.join(out, "transformer"), exist_ok=True)
    sd = {k: v.detach().to(dtype).cpu().contiguous() for k, v in dit.state_dict().items()}
    shards, size = [{}], 0
    for k, v in sd.items():
        n = v.numel() * v.element_size()
        if size + n > limit:
            shards.append({})
            size = 0
        shards[-1][k] = v
        size += n
    index = {"metadata": {"total_size": sum(v.numel() * v.element_size() for v in sd.values())}, "weight_map": {}}
    for i, s in enumerate(shards):
        name = f"diffusion_pytorch_model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        save_file(s, os.path.join(out, "transformer", name), metadata={"format": "pt"})
        index["weight_map"].update({k: name for k in s})
    json.dump(index, open(os.path.join(out, "index.json"), "w"))
    es = {k: v.detach().to(dtype).cpu().contiguous() for k, v in enc.state_dict().items() if k != "encoder.embed_tokens.weight"}
    save_file(es, os.path.join(out, "text_encoder.safetensors"), metadata={"format": "pt"})


def check():
    torch.manual_seed(0)
    dit, enc = build(2, 256)
    for p in dit.parameters():
        if p.dim() > 1:
            p.data.normal_(std=0.05)
    dit.eval()
    f, h, w = 6, 4, 6
    x, ctx = torch.randn(1, 16, f, h, w), torch.randn(1, 9, 256)
    cos, sin = rope_tables(dit, f, h // 2, w // 2, "cpu")
    for causal in (False, True):
        dit._set_ar_attention(3 if causal else 1)
        t = torch.tensor([[100, 100, 100, 700, 700, 700]])
        with torch.no_grad():
            ref = dit(x, t, ctx, enable_diffusion_forcing=True, fps=[1]).sample
            y = dit_forward(dit, patchify(x.permute(0, 2, 3, 4, 1)), t.float(), ctx, torch.tensor([1]), cos, sin, causal)
        y = unpatchify(y, h, w).permute(0, 4, 1, 2, 3)
        print("causal", causal, (y - ref).abs().max().item(), ref.abs().max().item())
    dit._set_ar_attention(1)
    with torch.no_grad():
        ref = dit(x, torch.tensor([300]), ctx, fps=[0]).sample
        y = dit_forward(dit, patchify(x.permute(0, 2, 3, 4, 1)), torch.full((1, f), 300.0), ctx, torch.tensor([0]), cos, sin)
    print("one timestep", (unpatchify(y, h, w).permute(0, 4, 1, 2, 3) - ref).abs().max().item())


def train(a):
    t_start = time.time()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cuda = device.type == "cuda"
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    tok = Tokenizer(a.tokenizer)
    dit, enc = build(a.layers, a.ffn)
    init_dit(dit)
    dit, enc = dit.to(device), enc.to(device)
    if a.compile:
        torch._dynamo.config.recompile_limit = 32
        BLOCK_FN["fn"] = torch.compile(block_fwd, dynamic=False)
    hh, ww = train_vae.SHAPE[0] // 8, train_vae.SHAPE[1] // 8
    n_f = 1 + (a.frames - 1) // 4
    # ---- data
    vae, held, held_ids = None, None, None
    if a.smoke:
        lat = torch.randn(256, n_f, hh, ww, 16, device=device).to(torch.bfloat16)
        text = [[world.caption(world.sample_spec(i), i + j) for j in range(4)] for i in range(len(lat))]
    else:
        from diffusers import AutoencoderKLWan
        vae = AutoencoderKLWan.from_pretrained(a.vae).to(device).eval()
        train_vae.MODE["conv"] = a.conv
        mean = torch.tensor(vae.config.latents_mean, device=device)
        std = torch.tensor(vae.config.latents_std, device=device)
        lat, text = None, []
        if a.latents and os.path.exists(a.latents):
            d = torch.load(a.latents)
            lat, text = d["latents"].to(device), d["captions"]
            print(f"loaded {len(lat)} clips at {time.time() - t_start:.0f}s", flush=True)
        have = 0 if lat is None else len(lat)
        stop = t_start + a.encode_seconds
        if have < a.clips and time.time() < stop:
            more, cap = train_vae.encode_clips(vae, device, have, a.clips - have, mean, std, a.frames, batch=a.encode_batch, stop=stop)
            lat = more if lat is None else torch.cat([lat, more])
            text += cap[:len(more)]
        print(f"{len(lat)} clips at {time.time() - t_start:.0f}s, latent std {lat[:256].float().std().item():.3f}", flush=True)
        held, cap = train_vae.encode_clips(vae, device, 95_000_000, 64, mean, std, a.frames, batch=16)
        held_ids = tok([c[0] for c in cap]).to(device)
    ids = tok([c for cs in text for c in cs]).view(len(text), -1, TEXT_LEN).to(torch.int16).to(device)
    print(f"tokenised at {time.time() - t_start:.0f}s", flush=True)
    null_ids = tok([""]).to(device)
    # ---- optimisers
    hidden = [p for n, p in dit.named_parameters() if n.startswith("blocks.") and p.dim() == 2]
    taken = {id(p) for p in hidden}
    rest = [p for p in dit.parameters() if id(p) not in taken]
    muon = Muon(hidden, a.lr_muon)
    adam = torch.optim.AdamW([{"params": rest, "lr": a.lr, "base": a.lr}, {"params": list(enc.parameters()), "lr": a.lr_text, "base": a.lr_text}],
                             betas=(0.9, 0.98), weight_decay=0.01, fused=cuda)
    ema = copy.deepcopy(dit).requires_grad_(False)
    ema_enc = copy.deepcopy(enc).requires_grad_(False)
    live = list(dit.parameters()) + list(enc.parameters())
    shadow = list(ema.parameters()) + list(ema_enc.parameters())
    first = 0
    if a.resume and os.path.exists(a.resume):
        st = torch.load(a.resume, map_location=device)
        dit.load_state_dict(st["dit"]); enc.load_state_dict(st["enc"])
        ema.load_state_dict(st["ema"]); ema_enc.load_state_dict(st["ema_enc"])
        if "adam" in st:
            adam.load_state_dict(st["adam"]); muon.buf = st["muon"]
        first = st["step"]
        print("resumed at step", first, flush=True)
    ropes = {f: rope_tables(dit, f, hh // 2, ww // 2, device) for f in (BLOCK, n_f)}

    def step(i, b, f, mode, causal):
        idx = torch.randint(0, len(lat), (b,), device=device)
        x0 = lat[idx, :f].float()
        cap = ids[idx, torch.randint(0, ids.shape[1], (b,), device=device)].long()
        drop = torch.rand(b, device=device) < 0.1
        cap = torch.where(drop[:, None], null_ids, cap)
        s = noise_levels(b, f, mode, a.shift, device)
        noise = torch.randn_like(x0)
        sv = s.view(b, f, 1, 1, 1)
        xt, target = (1 - sv) * x0 + sv * noise, patchify(noise - x0)
        fps = (torch.rand(b, device=device) < 0.1).long()
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
            ctx = encode_text(enc, cap)
            v = dit_forward(dit, patchify(xt), s * 1000, ctx, fps, *ropes[f], causal)
        err = ((v.float() - target) ** 2).mean((2, 3))
        w = (s > 0).float()
        loss = (err * w).sum() / w.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(live, 1.0)
        muon.step()
        adam.step()
        adam.zero_grad(set_to_none=True)
        for p in hidden:
            p.grad = None
        with torch.no_grad():
            torch._foreach_lerp_(shadow, live, 1 - min(a.ema, (1 + i) / (10 + i)))
        return loss.detach()

    def plan(i, el):
        if el < a.short:
            return a.b1, BLOCK, "sync", False
        k = i % 4
        return a.b2, n_f, ("sync", "df", "sync", "df")[k], (False, True, True, False)[k]

    def sync():
        if cuda:
            torch.cuda.synchronize()
        return time.time()

    if a.smoke:
        for cfg in ((a.b1, BLOCK, "sync", False), (a.b2, n_f, "sync", False), (a.b2, n_f, "df", True)):
            t0 = sync()
            step(0, *cfg)
            t1 = sync()
            for _ in range(5):
                loss = step(1, *cfg)
            t2 = sync()
            print(cfg, f"first {t1 - t0:.1f}s, then {(t2 - t1) / 5 * 1000:.0f} ms = {cfg[0] * 5 / (t2 - t1):.0f} clips/s, loss {loss.item():.3f}", flush=True)
        if cuda:
            print("peak GiB", torch.cuda.max_memory_allocated() / 2 ** 30)
        return
    t0 = time.time()
    total = a.seconds - (t0 - t_start)
    i, hist, curve, seen = first, [], [], 0
    while True:
        el = (time.time() - t0) / total
        if el >= 1 or (a.steps and i >= a.steps):
            break
        k = min(1, (i - first + 1) / 150) * (a.lr_end + (1 - a.lr_end) * (0.5 + 0.5 * math.cos(math.pi * min(1, el))))
        muon.lr = a.lr_muon * k
        for g in adam.param_groups:
            g["lr"] = g["base"] * k
        cfg = plan(i, el)
        hist.append(step(i, *cfg))
        i += 1
        seen += cfg[0]
        if i % a.every == 0:
            m = torch.stack(hist).mean().item()
            hist = []
            curve.append([i, round(time.time() - t_start), cfg[1], round(m, 4)])
            print(f"dit {i} t={time.time() - t_start:.0f}s F={cfg[1]} loss {m:.4f}", flush=True)
    print(f"steps {i}, clips seen {seen}, {time.time() - t_start:.0f}s", flush=True)
    os.makedirs(a.out, exist_ok=True)
    save_shards(ema, ema_enc, a.out)
    if a.state:
        torch.save({"dit": dit.state_dict(), "enc": enc.state_dict(), "ema": ema.state_dict(), "ema_enc": ema_enc.state_dict(),
                    "adam": adam.state_dict(), "muon": muon.buf, "step": i}, a.state)
    log = {"steps": i, "clips": len(lat), "seen": seen, "curve": curve}
    json.dump(log, open(os.path.join(a.out, "dit_log.json"), "w"))
    finish(a, ema, ema_enc, vae, mean, std, held, held_ids, null_ids, tok, log, device, t_start)


@torch.no_grad()
def finish(a, ema, enc, vae, mean, std, held, held_ids, null_ids, tok, log, device, t_start):
    """Held-out loss, pictures of the gallery prompts, small frames of held-out prompts for measuring."""
    import io
    import zipfile
    from PIL import Image
    cuda = device.type == "cuda"
    BLOCK_FN["fn"] = block_fwd
    hh, ww = held.shape[2], held.shape[3]
    n_f = held.shape[1]
    with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
        ctx, null = encode_text(enc, held_ids), encode_text(enc, null_ids)
        cos, sin = rope_tables(ema, n_f, hh // 2, ww // 2, device)
        g = torch.Generator(device).manual_seed(5)
        noise = torch.randn(held.shape, generator=g, device=device)
        for causal in (False, True):
            tot = []
            for u in (0.1, 0.3, 0.5, 0.7, 0.9):
                s = 3 * u / (1 + 2 * u)
                xt = (1 - s) * held.float() + s * noise
                v = dit_forward(ema, patchify(xt), torch.full((len(held), n_f), s * 1000, device=device), ctx,
                                torch.zeros(len(held), dtype=torch.int64, device=device), cos, sin, causal)
                tot.append(((v.float() - patchify(noise - held.float())) ** 2).mean().item())
            log["held_out_causal" if causal else "held_out"] = tot
            print("held-out loss", "causal" if causal else "bidirectional", [round(v, 4) for v in tot], sum(tot) / 5, flush=True)

        def decode(z):
            out = []
            for k in range(0, len(z), 8):
                out.append(train_vae.decode_full(vae, z[k:k + 8].float() * std + mean).clamp(-1, 1))
            return torch.cat(out)

        def stack(frames, step, scale=1):
            x = frames[:, ::step]
            return x if scale == 1 else F.avg_pool2d(x.flatten(0, 1).permute(0, 3, 1, 2), scale).permute(0, 2, 3, 1).view(*x.shape[:2], x.shape[2] // scale, x.shape[3] // scale, 3)

        gctx = encode_text(enc, tok(GALLERY).to(device))
        z = sample_sync(ema, gctx, null, n_f, hh, ww, seed=11, steps=a.sample_steps)
        train_vae.save_sheet(stack(decode(z), 8), os.path.join(a.out, "gallery_sync.jpg"))
        print(f"gallery {time.time() - t_start:.0f}s", flush=True)
        z = sample_chunks(ema, gctx, null, n_f // BLOCK, hh, ww, seed=12, steps=a.sample_steps)
        train_vae.save_sheet(stack(decode(z), 8), os.path.join(a.out, "gallery_chunks.jpg"))
        print(f"chunks {time.time() - t_start:.0f}s", flush=True)
        z = sample_sync(ema, ctx, null, n_f, hh, ww, seed=13, steps=a.sample_steps)
        fr = stack(decode(z), 4, 2)
        with zipfile.ZipFile(os.path.join(a.out, "held_frames.zip"), "w") as zf:
            for k in range(len(fr)):
                img = ((fr[k].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 0, 2, 3).flatten(1, 2).cpu().numpy()
                buf = io.BytesIO()
                Image.fromarray(img).save(buf, "JPEG", quality=93)
                zf.writestr(f"{95_000_000 + k}.jpg", buf.getvalue())
    json.dump(log, open(os.path.join(a.out, "dit_log.json"), "w"))
    print(f"done {time.time() - t_start:.0f}s", flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--check", action="store_true")
    p.add_argument("--smoke", action="store_true")
    p.add_argument("--vae", default="out/vae")
    p.add_argument("--tokenizer", default="out/tokenizer")
    p.add_argument("--out", default="out")
    p.add_argument("--latents", default="")
    p.add_argument("--state", default="")
    p.add_argument("--resume", default="")
    p.add_argument("--conv", default="3d")
    p.add_argument("--layers", type=int, default=7)
    p.add_argument("--ffn", type=int, default=896)
    p.add_argument("--clips", type=int, default=24576)
    p.add_argument("--encode-seconds", type=float, default=150)
    p.add_argument("--encode-batch", type=int, default=16)
    p.add_argument("--frames", type=int, default=33)
    p.add_argument("--seconds", type=float, default=540)
    p.add_argument("--steps", type=int, default=0)
    p.add_argument("--short", type=float, default=0.2)
    p.add_argument("--b1", type=int, default=144)
    p.add_argument("--b2", type=int, default=48)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--lr-muon", type=float, default=1.5e-3)
    p.add_argument("--lr-text", type=float, default=6e-4)
    p.add_argument("--lr-end", type=float, default=0.02)
    p.add_argument("--ema", type=float, default=0.999)
    p.add_argument("--shift", type=float, default=3.0)
    p.add_argument("--every", type=int, default=100)
    p.add_argument("--sample-steps", type=int, default=24)
    p.add_argument("--compile", type=int, default=1)
    p.add_argument("--size", type=int, nargs=2, default=train_vae.SHAPE)
    a = p.parse_args()
    train_vae.SHAPE[:] = a.size
    check() if a.check else train(a)
