"""Trains the small text-to-video transformer (SkyReels-V2 diffusion-forcing layout) and its text encoder.

    python train_dit.py --generator DIR --qa DIR --out DIR [--seconds 325] [--state FILE --save-state 1]
    python train_dit.py --warm          fills the compiler's cache while another process draws and encodes

Goes on from the packed weights in DIR/transformer and DIR/text_encoder with fresh optimiser state (--fresh: from random ones).
Clips are drawn by world.py and encoded once by the packed autoencoder; latents stay on the device.  The
transformer is diffusers' SkyReelsV2Transformer3DModel.  `dit_forward` below is the same computation written
for training speed (per-frame modulation is broadcast instead of repeated for every token, block-causal
attention is done block by block); --check compares the two.

What this run does besides the plain velocity loss:
- tokens that a subject touches count more (--subject, falling to --subject-end): they are a few percent of all tokens;
- a linear read-out in the middle of the transformer names kind and colour of the subject at every token (training only);
- a linear read-out of the mean text row names what the caption says (training only);
- single blocks of 3 latent frames first (three times as many clips a second), then whole clips of 9 latent frames;
- every step runs as one captured graph, so that the device never waits for the host.
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


def dit_forward(dit, tok, t, ctx, fps, cos, sin, causal=False, tap=None):
    """tok: [B,F,S,64] from patchify; t: [B,F] in 0..1000; ctx: [B,L,256]; fps: [B] (0: 16 fps, 1: other).

    With `tap` the tokens after that many blocks come back too."""
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
    tapped = None
    for i, b in enumerate(dit.blocks):
        x = BLOCK_FN["fn"](block_params(b), x, ctx, e, cos, sin, causal, heads)
        if i + 1 == tap:
            tapped = x
    m = dit.scale_shift_table.view(1, 1, 2, -1) + temb.float().unsqueeze(2)
    shift, scale = m[:, :, 0:1], m[:, :, 1:2]
    x = (F.layer_norm(x.float(), (x.shape[-1],), None, None, 1e-6) * (1 + scale) + shift).to(x.dtype)
    x = dit.proj_out(x)
    return x if tap is None else (x, tapped)


def _rms_norm(x, m):
    v = x.float()
    return m.weight * (v * torch.rsqrt((v * v).mean(-1, keepdim=True) + m.variance_epsilon))


def encode_text(enc, ids):
    """Zero after the end of the text, as the Wan pipelines do.

    The same computation as UMT5EncoderModel without its mask building, which waits for the device; look-ups are
    matrix products, so that their gradients need no sorting and a step can be captured as a graph."""
    c, n = enc.config, ids.shape[1]
    mask = ids != 0
    x = F.one_hot(ids, c.vocab_size).to(torch.bfloat16 if torch.is_autocast_enabled(ids.device.type) else torch.float32) @ enc.shared.weight
    x = x.float()
    off = torch.zeros_like(mask, dtype=torch.float32).masked_fill_(~mask, -1e9)[:, None, None]
    i = torch.arange(n, device=ids.device)
    for b in enc.encoder.block:
        a, f = b.layer[0], b.layer[1]
        m = a.SelfAttention
        bucket = F.one_hot(m._relative_position_bucket(i[None, :] - i[:, None]), c.relative_attention_num_buckets).float()
        bias = (bucket @ m.relative_attention_bias.weight.float()).permute(2, 0, 1)[None] + off
        h = _rms_norm(x, a.layer_norm)
        q, k, v = (lin(h).unflatten(-1, (c.num_heads, -1)).transpose(1, 2) for lin in (m.q, m.k, m.v))
        w = ((q @ k.transpose(2, 3)).float() + bias).softmax(-1)
        x = x + m.o((w.to(v.dtype) @ v).transpose(1, 2).flatten(2)).float()
        h = _rms_norm(x, f.layer_norm)
        d = f.DenseReluDense
        x = x + d.wo(F.gelu(d.wi_0(h), approximate="tanh") * d.wi_1(h)).float()
    return _rms_norm(x, enc.encoder.final_layer_norm) * mask.unsqueeze(-1)


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
        self.lr, self.mom, self.wd = torch.tensor(float(lr), device=params[0].device), momentum, wd
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
            u = u.float() * (-self.lr * (0.2 * math.sqrt(max(k))))
            torch._foreach_mul_(ps, 1 - self.lr * self.wd)
            torch._foreach_add_(ps, list(u.unbind(0)))


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


ATTRIBUTES = (("kind", 10), ("colour", 8), ("count", 3), ("motion", 7), ("speed", 4), ("scene", 7), ("time", 5), ("event", 5), ("last colour", 8))


def attributes(spec):
    """What the caption says, as class numbers in the order of ATTRIBUTES."""
    a = spec["subjects"][0]
    ev = spec["events"][0] if spec["events"] else None
    last = ev["colour"] if ev and ev["type"] == "colour" else a["colour"]
    return [world.KINDS.index(a["kind"]), world.COLOUR_NAMES.index(a["colour"]), a["count"] - 1, world.MOTIONS.index(a["motion"]),
            ["slow", "medium", "fast", "none"].index(a["speed"]), world.SCENES.index(spec["scene"]), [*world.TIMES, "none"].index(spec["time_of_day"]),
            0 if ev is None else 1 + world.EVENTS.index(ev["type"]), world.COLOUR_NAMES.index(last)]


def load_packed(dit, enc, folder):
    """Weights of the packed generator folder, 8-bit rows expanded."""
    import pack
    dit.load_state_dict(pack.expand(pack.load(os.path.join(folder, "transformer"))))
    sd = pack.expand(pack.load(os.path.join(folder, "text_encoder")))
    left = enc.load_state_dict(sd, strict=False)
    if left.unexpected_keys or [k for k in left.missing_keys if k != "encoder.embed_tokens.weight"]:
        raise SystemExit(f"text encoder: {left}, expected the tensors of UMT5EncoderModel; use a folder written by pack.py")


# ------------------------------------------------------------------------------------- where the subjects are
def subject_labels(specs, frames, device, grid=(12, 20)):
    """Kind (1..10) and colour (1..8) of the subject that touches a token, 0 where there is none: uint8 [B,F,h,w] each."""
    rows, clip, kind, c0, c1 = [], [], [], [], []
    for i, s in enumerate(specs):
        shot = s["shots"][0]
        n = 0
        for j, sub in enumerate(shot["subjects"]):
            turn = [e["colour"] for e in shot["events"] if e["type"] == "colour" and e["subject"] == j]
            for _ in range(sub["count"]):
                kind.append(world.KINDS.index(sub["kind"]) + 1)
                c0.append(world.COLOUR_NAMES.index(sub["colour"]) + 1)
                c1.append(world.COLOUR_NAMES.index(turn[0]) + 1 if turn else c0[-1])
                n += 1
        rows += [q["floats"] for q in world._instances(shot)]
        clip += [i] * n
    p = torch.tensor(rows, dtype=torch.float32, device=device)
    clip, kind, c0, c1 = (torch.tensor(v, device=device) for v in (clip, kind, c0, c1))
    t = torch.arange(frames, device=device) / 16
    n = len(p)
    x, y, _, _ = world.track(p.repeat_interleave(frames, 0), t.repeat(n))
    aspect = train_vae.SHAPE[1] / train_vae.SHAPE[0]
    x, y = x.view(n, frames) * aspect, y.view(n, frames)                        # in heights
    r = p[:, 7:8] * 0.9
    gy = (torch.arange(grid[0], device=device) + 0.5) / grid[0]
    gx = (torch.arange(grid[1], device=device) + 0.5) / grid[1] * aspect
    half = 0.5 / grid[0]
    hit = ((gy - y[..., None]).abs() < (r + half)[..., None])[..., :, None] & ((gx - x[..., None]).abs() < (r + half)[..., None])[..., None, :]
    f = 1 + (frames - 1) // 4
    hit = torch.cat([hit[:, :1], hit[:, 1:].view(n, f - 1, 4, *grid).any(2)], 1)  # [N,F,h,w]
    late = (t[::4] > p[:, 12:13])                                                # the colour has changed
    col = torch.where(late, c1[:, None], c0[:, None])[..., None, None] * hit
    knd = kind.view(n, 1, 1, 1) * hit
    out = []
    for v in (knd, col):
        o = torch.zeros(len(specs), f, *grid, dtype=torch.int64, device=device)
        o.scatter_reduce_(0, clip.view(n, 1, 1, 1).expand_as(v), v, "amax")
        out.append(o.to(torch.uint8))
    return out


@torch.no_grad()
def encode_clips(vae, device, first, count, mean, std, frames, stop, batch=16, captions=8):
    """Latents (bf16, normalised), subject labels and captions of freshly drawn clips; stops at time `stop`."""
    lat, kinds, cols, text, attr = [], [], [], [], []
    for i in range(0, count, batch * 4):
        if time.time() > stop:
            break
        specs = [world.sample_spec(first + i + k) for k in range(min(batch * 4, count - i))]
        x = world.render(specs, frames, *train_vae.SHAPE, device)
        for k in range(0, len(x), batch):
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                m, _ = train_vae.encode_full(vae, train_vae.to_float(x[k:k + batch]))
            lat.append(((m - mean) / std).to(torch.bfloat16))
        a, b = subject_labels(specs, frames, device)
        kinds.append(a)
        cols.append(b)
        attr += [attributes(s) for s in specs]
        text.extend([world.caption(s, s["seed"] * 16 + j) for j in range(captions)] for s in specs)
    return {"lat": torch.cat(lat), "kind": torch.cat(kinds), "colour": torch.cat(cols), "text": text, "attr": torch.tensor(attr, device=device)}


class ReadOut(torch.nn.Module):
    """Training only: kind (0 none) and colour of the subject at every token; what the caption says from the mean text row."""

    def __init__(self, dim):
        super().__init__()
        self.norm = torch.nn.LayerNorm(dim)
        self.lin = torch.nn.Linear(dim, len(world.KINDS) + 1 + len(world.COLOUR_NAMES))
        self.text_norm = torch.nn.LayerNorm(dim)
        self.text = torch.nn.Linear(dim, sum(n for _, n in ATTRIBUTES))

    def token_loss(self, x, kind, colour):
        y = F.linear(self.norm(x.float()), self.lin.weight, self.lin.bias).float()
        k, c = y.split([len(world.KINDS) + 1, len(world.COLOUR_NAMES)], -1)
        on = (kind > 0).float()
        lk = F.cross_entropy(k.flatten(0, -2), kind.flatten(), reduction="none").view(kind.shape)
        lc = F.cross_entropy(c.flatten(0, -2), (colour - 1).clamp_min(0).flatten(), reduction="none").view(kind.shape)
        n = on.sum().clamp_min(1)
        return (lk * on).sum() / n + (lk * (1 - on)).sum() / (1 - on).sum().clamp_min(1), (lc * on).sum() / n

    def text_loss(self, rows, attr, keep):
        y = F.linear(self.text_norm(rows.float().mean(1)), self.text.weight, self.text.bias).float()
        tot = 0
        for j, part in enumerate(y.split([n for _, n in ATTRIBUTES], -1)):
            tot = tot + (F.cross_entropy(part, attr[:, j], reduction="none") * keep).sum() / keep.sum()
        return tot / len(ATTRIBUTES)


class Trainer:
    def __init__(self, a, device):
        self.a, self.dev, self.cuda = a, device, device.type == "cuda"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.tok = Tokenizer(os.path.join(a.generator, "tokenizer"))
        self.dit, self.enc = build()
        if a.fresh:
            init_dit(self.dit)
        else:
            load_packed(self.dit, self.enc, a.generator)
        self.dit, self.enc = self.dit.to(device), self.enc.to(device)
        self.head = ReadOut(self.dit.config.num_attention_heads * self.dit.config.attention_head_dim).to(device)
        self.hidden = [p for n, p in self.dit.named_parameters() if n.startswith("blocks.") and p.dim() == 2]
        taken = {id(p) for p in self.hidden}
        rest = [p for p in self.dit.parameters() if id(p) not in taken]
        self.muon = Muon(self.hidden, a.lr_muon)
        groups = ((rest, a.lr), (list(self.enc.parameters()), a.lr_text), (list(self.head.parameters()), a.lr))
        self.adam = torch.optim.AdamW([{"params": p, "lr": torch.tensor(float(lr), device=device)} for p, lr in groups],
                                      lr=torch.tensor(1e-3, device=device), betas=(0.9, 0.98), weight_decay=0.01, fused=self.cuda, capturable=self.cuda)
        self.base = [lr for _, lr in groups]
        self.ema = copy.deepcopy(self.dit).requires_grad_(False)
        self.ema_enc = copy.deepcopy(self.enc).requires_grad_(False)
        self.live = list(self.dit.parameters()) + list(self.enc.parameters())
        self.shadow = list(self.ema.parameters()) + list(self.ema_enc.parameters())
        self.null_ids = self.tok([""]).to(device)
        h, w = train_vae.SHAPE[0] // 16, train_vae.SHAPE[1] // 16
        self.ropes = {f: rope_tables(self.dit, f, h, w, device) for f in (3, 5, 6, 9)}
        self.knob = {k: torch.zeros((), device=device) for k in ("subject", "shift", "ema")}
        self.graphs, self.pool_id = {}, None

    def set_rates(self, k, subject, shift, ema):
        self.muon.lr.fill_(self.a.lr_muon * k)
        for g, base in zip(self.adam.param_groups, self.base):
            g["lr"].fill_(base * k)
        self.knob["subject"].fill_(subject)
        self.knob["shift"].fill_(shift)
        self.knob["ema"].fill_(ema)

    def add_ids(self, pool):
        text = pool["text"]
        pool["ids"] = self.tok([c for cs in text for c in cs]).view(len(text), -1, TEXT_LEN).to(torch.int16).to(self.dev)

    def step(self, pool, b, f, mode, causal):
        """One optimiser step; no waiting for the device.  Returns [subject error, other error, kind, colour, text read-out]."""
        dev = self.dev
        idx = torch.randint(0, len(pool["lat"]), (b,), device=dev)
        x0 = pool["lat"][idx, :f].float()
        kind = pool["kind"][idx, :f].flatten(2).long()
        colour = pool["colour"][idx, :f].flatten(2).long()
        cap = pool["ids"][idx, torch.randint(0, pool["ids"].shape[1], (b,), device=dev)].long()
        drop = torch.rand(b, device=dev) < 0.1
        cap = torch.where(drop[:, None], self.null_ids, cap)
        s = noise_levels(b, f, mode, self.knob["shift"], dev)
        noise = torch.randn_like(x0)
        sv = s.view(b, f, 1, 1, 1)
        xt, target = (1 - sv) * x0 + sv * noise, patchify(noise - x0)
        fps = (torch.rand(b, device=dev) < 0.1).long()
        with torch.autocast(dev.type, torch.bfloat16, enabled=self.cuda):
            ctx = encode_text(self.enc, cap)
            v, mid = dit_forward(self.dit, patchify(xt), s * 1000, ctx, fps, *self.ropes[f], causal, tap=self.a.tap)
            rows = self.dit.condition_embedder.text_embedder(ctx)
        with torch.autocast(dev.type, enabled=False):
            kind_loss, colour_loss = self.head.token_loss(mid, kind, colour)
            text_loss = self.head.text_loss(rows, pool["attr"][idx], (~drop).float())
        err = ((v.float() - target) ** 2).mean(3)                                # [B,F,S]
        on = (kind > 0).float()
        noisy = (s > 0).float()[..., None].expand_as(err)
        w = (1 + self.knob["subject"] * on) * noisy
        loss = (err * w).sum() / w.sum()
        (loss + self.a.readout * (kind_loss + 2 * colour_loss) + self.a.text_readout * text_loss).backward()
        torch.nn.utils.clip_grad_norm_(self.live, 1.0)
        self.muon.step()
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        for p in self.hidden:
            p.grad = None
        with torch.no_grad():
            torch._foreach_mul_(self.shadow, self.knob["ema"])
            torch._foreach_add_(self.shadow, torch._foreach_mul([p.detach() for p in self.live], 1 - self.knob["ema"]))
            e, n0, n1 = err.detach(), noisy * on, noisy * (1 - on)
            return torch.stack([(e * n0).sum() / n0.sum().clamp_min(1), (e * n1).sum() / n1.sum(), kind_loss.detach(), colour_loss.detach(), text_loss.detach()])

    def run(self, name, pool, cfg):
        """A step, from the second use of a configuration on as one captured graph."""
        if not self.cuda or not self.a.graph:
            return self.step(pool, *cfg)
        if name not in self.graphs:
            t0 = time.time()
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    out = self.step(pool, *cfg)
            torch.cuda.current_stream().wait_stream(side)
            torch.cuda.synchronize()
            t1 = time.time()
            try:
                g = torch.cuda.CUDAGraph()
                with torch.cuda.graph(g, pool=self.pool_id):
                    res = self.step(pool, *cfg)
                self.pool_id = g.pool()
                self.graphs[name] = (g, res)
                print(f"captured {name}: first steps {t1 - t0:.1f}s, capture {time.time() - t1:.1f}s", flush=True)
            except Exception as e:
                print("capture failed, single launches from here on:", repr(e)[:400], flush=True)
                self.a.graph = 0
                for p in self.live + list(self.head.parameters()):
                    p.grad = None
            return out
        g, res = self.graphs[name]
        g.replay()
        return res.clone()

    def state(self):
        return {"dit": self.dit.state_dict(), "enc": self.enc.state_dict(), "head": self.head.state_dict(), "ema": self.ema.state_dict(),
                "ema_enc": self.ema_enc.state_dict(), "adam": self.adam.state_dict(), "muon": self.muon.buf}

    def load_state(self, st):
        for k in ("dit", "enc", "head", "ema", "ema_enc"):
            getattr(self, k).load_state_dict(st[k])
        lrs = [g["lr"] for g in self.adam.param_groups]
        self.adam.load_state_dict(st["adam"])
        for g, lr in zip(self.adam.param_groups, lrs):
            g["lr"] = lr
        for k, v in st["muon"].items():
            self.muon.buf[k].copy_(v)


def choose_attention(device):
    """cuDNN's fused attention where it is right and faster on this device; returns the order of kernels to use."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    flash = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    torch.backends.cuda.enable_cudnn_sdp(True)
    res = {}
    try:
        for n, order in (("flash", flash), ("cudnn", [SDPBackend.CUDNN_ATTENTION] + flash)):
            torch.manual_seed(0)
            x = torch.randn(48, 2160, 3, 6, 64, device=device, dtype=torch.bfloat16, requires_grad=True)
            with sdpa_kernel(order, set_priority=True):
                for k in range(8):
                    if k == 2:
                        torch.cuda.synchronize()
                        t = time.time()
                    q, kk, v = x.transpose(1, 3).unbind(2)
                    y = F.scaled_dot_product_attention(q, kk, v)
                    x.grad = None
                    (y.float() ** 2).sum().backward()
            torch.cuda.synchronize()
            res[n] = ((time.time() - t) / 6, y.detach().float(), x.grad.float())
        ey = ((res["cudnn"][1] - res["flash"][1]).norm() / res["flash"][1].norm()).item()
        eg = ((res["cudnn"][2] - res["flash"][2]).norm() / res["flash"][2].norm()).item()
        better = res["cudnn"][0] < 0.95 * res["flash"][0] and ey < 1e-2 and eg < 2e-2
        print(f"attention with gradient: flash {res['flash'][0] * 1000:.1f} ms, cudnn {res['cudnn'][0] * 1000:.1f} ms, difference {ey:.4f} {eg:.4f}", flush=True)
    except Exception as e:
        print("cudnn attention not used:", repr(e)[:300], flush=True)
        better = False
    return [SDPBackend.CUDNN_ATTENTION] + flash if better else flash


@torch.no_grad()
def held_out(dit, enc, tr, pool, caption_ids, causal=False, levels=(0.1, 0.3, 0.5, 0.7, 0.9), batch=64):
    """Velocity error by noise level: [level][subject tokens, other tokens, all]."""
    out = []
    n_f = pool["lat"].shape[1]
    cos, sin = tr.ropes[n_f]
    g = torch.Generator(tr.dev).manual_seed(5)
    noise = torch.randn(pool["lat"].shape, generator=g, device=tr.dev)
    on = (pool["kind"].flatten(2) > 0).float()
    for u in levels:
        s = 3 * u / (1 + 2 * u)
        tot = torch.zeros(4, device=tr.dev)
        for k in range(0, len(on), batch):
            x0, nz, m = pool["lat"][k:k + batch].float(), noise[k:k + batch], on[k:k + batch]
            with torch.autocast(tr.dev.type, torch.bfloat16, enabled=tr.cuda):
                ctx = encode_text(enc, caption_ids[k:k + batch].long())
                v = dit_forward(dit, patchify((1 - s) * x0 + s * nz), torch.full((len(x0), n_f), s * 1000, device=tr.dev), ctx,
                                torch.zeros(len(x0), dtype=torch.int64, device=tr.dev), cos, sin, causal)
            e = ((v.float() - patchify(nz - x0)) ** 2).mean(3)
            tot += torch.stack([(e * m).sum(), m.sum(), (e * (1 - m)).sum(), (1 - m).sum()])
        out.append([round(v, 4) for v in ((tot[0] / tot[1]).item(), (tot[2] / tot[3]).item(), ((tot[0] + tot[2]) / (tot[1] + tot[3])).item())])
    return out


def rounded(dit, enc):
    """Copies that carry the weights as shipped: bf16, then 8-bit rows and back."""
    import pack
    d, e = copy.deepcopy(dit), copy.deepcopy(enc)
    for m in (d, e):
        sd = {k: v.to(torch.bfloat16) for k, v in m.state_dict().items() if k != "encoder.embed_tokens.weight"}
        m.load_state_dict({k: v.to(next(m.parameters()).device) for k, v in pack.expand(pack.pack({k: v.cpu() for k, v in sd.items()})).items()}, strict=False)
    return d, e


@torch.no_grad()
def score_model(name, tr, dit, enc, vae, mean, std, judge, nearest, general, pixel, guidance=4.0, steps=16, shift=5.0, causal=False, sheet=None):
    import score
    h, w = train_vae.SHAPE[0] // 8, train_vae.SHAPE[1] // 8
    t0 = time.time()
    specs = general + pixel
    ids = tr.tok(score.prompts(specs)).to(tr.dev)
    with torch.autocast(tr.dev.type, torch.bfloat16, enabled=tr.cuda):
        ctx, null = encode_text(enc, ids), encode_text(enc, tr.null_ids)
        if causal:
            z = torch.cat([sample_chunks(dit, ctx[k:k + 64], null, 3, h, w, steps=steps, shift=shift, guidance=guidance, seed=21 + k) for k in range(0, len(ctx), 64)])
        else:
            z = score.sample_unipc(dit, ctx, null, 9, h, w, steps, shift, guidance, seed=21)
        u8 = score.decode(vae, z, mean, std)
    n = len(general)
    res = score.show(f"{name} guidance {guidance} steps {steps} shift {shift} {'blocks' if causal else 'synchronous'}:",
                     score.scene_scores(general, u8[:n], nearest), judge(general, u8[:n]), score.pixel_scores(pixel, u8[n:]), {"seconds": (round(time.time() - t0), 0)})
    if sheet:
        train_vae.save_sheet(u8[:16, ::8].float() / 127.5 - 1, sheet)
    return res


def warm(a):
    """Compiles the blocks for all configurations (fills the compiler's cache on disk while another process encodes)."""
    from torch.nn.attention import sdpa_kernel
    device = torch.device("cuda")
    tr = Trainer(a, device)
    a.graph = 0
    g = torch.Generator(device).manual_seed(1)
    lat = torch.randn(64, 9, train_vae.SHAPE[0] // 8, train_vae.SHAPE[1] // 8, 16, generator=g, device=device).to(torch.bfloat16)
    specs = [world.sample_spec(i) for i in range(64)]
    kind, colour = subject_labels(specs, 33, device)
    pool = {"lat": lat, "kind": kind, "colour": colour, "text": [[world.caption(s, 1)] for s in specs], "attr": torch.tensor([attributes(s) for s in specs], device=device)}
    tr.add_ids(pool)
    tr.set_rates(1, 1, 3, 0.9)
    torch._dynamo.config.recompile_limit = 64
    BLOCK_FN["fn"] = torch.compile(block_fwd, dynamic=False)
    with sdpa_kernel(choose_attention(device), set_priority=True):
        for n, cfg in list(configs(a).items())[:3]:
            t0 = time.time()
            tr.step(pool, *cfg)
            torch.cuda.synchronize()
            print(f"warm: {n} {time.time() - t0:.1f}s", flush=True)


def configs(a):
    """Name: clips, latent frames, noise levels, block-causal."""
    return {"short": (a.b1, 3, "sync", False), "sync": (a.b2, 9, "sync", False), "blocks": (a.b2, 9, "df", True),
            "sync causal": (a.b2, 9, "sync", True), "forcing": (a.b2, 9, "df", False)}


CYCLE = ("sync", "sync", "blocks", "blocks", "sync", "blocks", "sync causal", "forcing")


def train(a):
    import score
    t_start = time.time()
    end = t_start + a.seconds

    def at():
        return f"{time.time() - t_start:.0f}s"

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(a.seed)
    os.makedirs(a.out, exist_ok=True)
    from diffusers import AutoencoderKLWan
    vae = AutoencoderKLWan.from_pretrained(os.path.join(a.generator, "vae")).float().to(device).eval().requires_grad_(False)
    mean = torch.tensor(vae.config.latents_mean, device=device)
    std = torch.tensor(vae.config.latents_std, device=device)
    tr = Trainer(a, device)
    judge, nearest = score.Judge(a.qa, device), score.NearestScene(device)
    general, pixel = score.general_specs(a.general), score.pixel_specs(a.pixel)
    print("loaded", at(), flush=True)
    log = {"settings": {k: v for k, v in vars(a).items() if k not in ("generator", "qa", "out", "state")}, "curve": []}

    def encode(first, seconds, frames, limit=1_000_000):
        t0 = time.time()
        p = encode_clips(vae, device, first, limit, mean, std, frames, t0 + seconds)
        tr.add_ids(p)
        print(f"{len(p['lat'])} clips of {frames} frames in {time.time() - t0:.0f}s, {at()}, subject share {(p['kind'] > 0).float().mean().item():.3f}", flush=True)
        return p

    held = encode(95_000_000, 60, 33, 128)
    pools = {}
    if a.state and os.path.exists(a.state):
        st = torch.load(a.state, map_location=device)
        tr.load_state(st)
        pools = st["pools"]
        print("state loaded", at(), flush=True)
    for name, frames, seconds in (("long", 33, a.encode_long), ("short", 9, a.encode_short)):
        if seconds > 0:
            more = encode(a.first_seed + (0 if frames == 33 else 1_000_000), seconds, frames)
            if name in pools:
                old = pools[name]
                more = {k: (torch.cat([old[k], more[k]]) if torch.is_tensor(old[k]) else old[k] + more[k]) for k in old}
            pools[name] = more
    first = {k: v[:, :3] if torch.is_tensor(v) and k in ("lat", "kind", "colour") else v for k, v in pools["long"].items()}
    both = {k: torch.cat([first[k], pools["short"][k]]) for k in ("lat", "kind", "colour", "attr", "ids")}      # single blocks of all clips
    log["clips"] = {k: len(v["lat"]) for k, v in pools.items()}
    cfgs = configs(a)
    if a.compile:
        torch._dynamo.config.recompile_limit = 64
        BLOCK_FN["fn"] = torch.compile(block_fwd, dynamic=False)
    from torch.nn.attention import sdpa_kernel
    import contextlib
    with sdpa_kernel(choose_attention(device), set_priority=True) if tr.cuda else contextlib.nullcontext():
        t0 = time.time()
        total = end - a.reserve - t0
        i, hist, seen, saved = 0, [], {}, False
        while True:
            el = (time.time() - t0) / total
            if el >= 1:
                break
            k = min(1, (i + 1) / 150) * (a.lr_end + (1 - a.lr_end) * (0.5 + 0.5 * math.cos(math.pi * min(1, el))))
            tr.set_rates(k, a.subject + (a.subject_end - a.subject) * el, 3.0 if i % 2 else 6.0, min(a.ema, (1 + i) / (10 + i)) if not a.state_used else a.ema)
            name = "short" if el < a.short or i % 16 < a.mix else CYCLE[(i // 2) % 8]
            hist.append(tr.run(name, both if name == "short" else pools["long"], cfgs[name]))
            seen[name] = seen.get(name, 0) + cfgs[name][0]
            i += 1
            if i % 20 == 0 and tr.cuda:
                torch.cuda.synchronize()                                          # the clock counts finished steps
            if i % a.every == 0:
                m = [round(v, 4) for v in torch.stack(hist).mean(0).tolist()]
                hist = []
                log["curve"].append([i, round(time.time() - t_start), name, *m])
                print(f"step {i} {at()} {name} subject {m[0]} other {m[1]} kind {m[2]} colour {m[3]} text {m[4]}", flush=True)
                if not all(v == v for v in m):
                    raise SystemExit("the loss is not a number; expected finite values, lower the learning rates")
            if not saved and el > 0.7:
                saved = True
                save_shards(tr.ema, tr.ema_enc, a.out)
                json.dump(log, open(os.path.join(a.out, "dit_log.json"), "w"))
                print("saved", at(), flush=True)
        torch.cuda.synchronize() if tr.cuda else None
    log["steps"], log["seen"] = i, seen
    save_shards(tr.ema, tr.ema_enc, a.out)
    json.dump(log, open(os.path.join(a.out, "dit_log.json"), "w"))
    print(f"steps {i}, clips seen {seen}, {at()}", flush=True)
    if a.state and a.save_state:
        torch.save({**tr.state(), "pools": pools}, a.state)
        print("state saved", at(), flush=True)
    BLOCK_FN["fn"] = block_fwd
    tr.graphs.clear()
    dit, enc = rounded(tr.ema, tr.ema_enc)
    dit.eval(), enc.eval()
    log["held_out"], log["scores"] = {}, {}
    captions = [c[0] for c in held["text"]]
    names = world.COLOUR_NAMES
    swapped = []
    for j, c in enumerate(captions):
        col = world.sample_spec(95_000_000 + j)["subjects"][0]["colour"]
        swapped.append(c.replace(col, names[(names.index(col) + 3) % 8], 1))
    for what, ids, causal in (("bidirectional", held["ids"][:, 0], False), ("other colour", tr.tok(swapped).to(device), False), ("causal", held["ids"][:, 0], True)):
        r = held_out(dit, enc, tr, held, ids, causal, levels=(0.1, 0.3, 0.5, 0.7, 0.9, 0.97))
        log["held_out"][what] = r
        print("held-out", what, r, "mean of five", round(sum(v[2] for v in r[:5]) / 5, 4), at(), flush=True)
    for g, causal in ((4.0, False), (2.5, False), (6.0, False), (4.0, True))[:a.scores]:
        if time.time() > end - (25 if causal else 10):
            continue
        log["scores"][f"{g} {causal}"] = score_model("trained", tr, dit, enc, vae, mean, std, judge, nearest, general, pixel, guidance=g, causal=causal,
                                                      sheet=os.path.join(a.out, f"sheet_{'blocks' if causal else 'sync'}.jpg") if g == 4.0 else None)
        json.dump(log, open(os.path.join(a.out, "dit_log.json"), "w"))
        if g == 4.0 and not causal:
            gallery(tr, dit, enc, vae, mean, std, os.path.join(a.out, "gallery_sync.jpg"))
    print("done", at(), flush=True)


@torch.no_grad()
def gallery(tr, dit, enc, vae, mean, std, path):
    import score
    h, w = train_vae.SHAPE[0] // 8, train_vae.SHAPE[1] // 8
    with torch.autocast(tr.dev.type, torch.bfloat16, enabled=tr.cuda):
        ctx, null = encode_text(enc, tr.tok(GALLERY).to(tr.dev)), encode_text(enc, tr.null_ids)
        u8 = score.decode(vae, score.sample_unipc(dit, ctx, null, 9, h, w, seed=11), mean, std)
    train_vae.save_sheet(u8[:, ::8].float() / 127.5 - 1, path)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--check", action="store_true")
    p.add_argument("--generator", default="generator")
    p.add_argument("--qa", default="qa")
    p.add_argument("--out", default="out")
    p.add_argument("--state", default="")
    p.add_argument("--save-state", type=int, default=0)
    p.add_argument("--warm", action="store_true")
    p.add_argument("--graph", type=int, default=1)
    p.add_argument("--mix", type=int, default=0, help="of 16 steps after the first part, so many are single blocks again")
    p.add_argument("--scores", type=int, default=4)
    p.add_argument("--text-readout", type=float, default=0.05)
    p.add_argument("--fresh", action="store_true")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--first-seed", type=int, default=1_000_000)
    p.add_argument("--seconds", type=float, default=560)
    p.add_argument("--reserve", type=float, default=60)
    p.add_argument("--encode-long", type=float, default=100)
    p.add_argument("--encode-short", type=float, default=30)
    p.add_argument("--short", type=float, default=0.35)
    p.add_argument("--b1", type=int, default=160)
    p.add_argument("--b2", type=int, default=48)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--lr-muon", type=float, default=2e-3)
    p.add_argument("--lr-text", type=float, default=8e-4)
    p.add_argument("--lr-end", type=float, default=0.02)
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--subject", type=float, default=4.0)
    p.add_argument("--subject-end", type=float, default=1.0)
    p.add_argument("--readout", type=float, default=0.05)
    p.add_argument("--tap", type=int, default=4)
    p.add_argument("--every", type=int, default=100)
    p.add_argument("--general", type=int, default=128)
    p.add_argument("--pixel", type=int, default=64)
    p.add_argument("--compile", type=int, default=1)
    a = p.parse_args()
    a.state_used = bool(a.state) and os.path.exists(a.state)
    check() if a.check else warm(a) if a.warm else train(a)
