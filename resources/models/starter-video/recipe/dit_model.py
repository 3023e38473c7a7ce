"""The small text-to-video transformer (SkyReels-V2 diffusion-forcing layout) and its text encoder, written for speed.

The transformer is diffusers' SkyReelsV2Transformer3DModel.  `dit_forward` is the same computation: per-frame modulation is
broadcast instead of repeated for every token, block-causal attention is done block by block.  `python dit_model.py` compares.
"""
import copy
import math
import os

import torch
import torch.nn.functional as F

BLOCK = 3                                            # latent frames per block; the last block of a clip may be shorter
TEXT_LEN = 64


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


def _project(p, x, e, cos, sin, heads):
    """Queries, keys and values of self-attention [B,H,F*S,64], and the block's modulation."""
    tab, q1, q1b, k1, k1b, v1, v1b, nq1, nk1 = *p[:7], p[9], p[10]
    b, f, s, d = x.shape
    m = (tab.view(1, 1, 6, d) + e.float()).unsqueeze(3).unbind(2)
    h = (F.layer_norm(x.float(), (d,), None, None, 1e-6) * (1 + m[1]) + m[0]).to(x.dtype).view(b, f * s, d)
    q = _rope(_rms(F.linear(h, q1, q1b), nq1).unflatten(-1, (heads, -1)), cos, sin).transpose(1, 2)
    k = _rope(_rms(F.linear(h, k1, k1b), nk1).unflatten(-1, (heads, -1)), cos, sin).transpose(1, 2)
    return q, k, F.linear(h, v1, v1b).unflatten(-1, (heads, -1)).transpose(1, 2), m


def _finish(p, x, y, ctx, m, heads):
    """The rest of a block after self-attention's result y [B,H,F*S,64]."""
    (o1, o1b), (q2, q2b, k2, k2b, v2, v2b, o2, o2b, nq2, nk2, n2w, n2b, f1, f1b, f2, f2b) = p[7:9], p[11:]
    b, f, s, d = x.shape
    y = F.linear(y.transpose(1, 2).flatten(2), o1, o1b).view(b, f, s, d)
    x = (x.float() + y.float() * m[2]).to(x.dtype)
    h = F.layer_norm(x.float(), (d,), n2w, n2b, 1e-6).to(x.dtype).view(b, f * s, d)
    q = _rms(F.linear(h, q2, q2b), nq2).unflatten(-1, (heads, -1)).transpose(1, 2)
    k = _rms(F.linear(ctx, k2, k2b), nk2).unflatten(-1, (heads, -1)).transpose(1, 2)
    v = F.linear(ctx, v2, v2b).unflatten(-1, (heads, -1)).transpose(1, 2)
    y = F.scaled_dot_product_attention(q, k, v)
    x = x + F.linear(y.transpose(1, 2).flatten(2), o2, o2b).view(b, f, s, d)
    h = (F.layer_norm(x.float(), (d,), None, None, 1e-6) * (1 + m[4]) + m[3]).to(x.dtype)
    y = F.linear(F.gelu(F.linear(h, f1, f1b), approximate="tanh"), f2, f2b)
    return (x.float() + y.float() * m[5]).to(x.dtype)


def block_fwd(p, x, ctx, e, cos, sin, causal, heads):
    """x: [B,F,S,D]; e: [B,F,6,D]; ctx: [B,L,D].

    causal: False; True (a block of latent frames sees itself and those before it); "teacher": the first half of the batch
    holds the clean clips, the second half noisy ones, and a noisy block sees itself and the clean blocks before it."""
    b, f, s, _ = x.shape
    q, k, v, m = _project(p, x, e, cos, sin, heads)
    attend = F.scaled_dot_product_attention
    if not causal or f <= BLOCK:
        return _finish(p, x, attend(q, k, v), ctx, m, heads)
    parts = []
    for i in range(0, f, BLOCK):
        a, z = i * s, min(i + BLOCK, f) * s
        if causal == "teacher":
            n = b // 2
            seen = [torch.cat([t[:n, :, :z], torch.cat([t[:n, :, :a], t[n:, :, a:z]], 2)]) for t in (k, v)]
            parts.append(attend(q[:, :, a:z], *seen))
        else:
            parts.append(attend(q[:, :, a:z], k[:, :, :z], v[:, :, :z]))
    return _finish(p, x, torch.cat(parts, 2), ctx, m, heads)


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


def _embed(dit, tok, t, fps):
    """Tokens, time embedding and per-frame modulation."""
    ce = dit.condition_embedder
    w = dit.patch_embedding.weight[:, :, 0].permute(0, 2, 3, 1).flatten(1)
    x = F.linear(tok, w, dit.patch_embedding.bias)
    temb = ce.time_embedder(time_features(t))
    e = ce.time_proj(F.silu(temb)).unflatten(-1, (6, -1))
    e = e + dit.fps_projection(dit.fps_embedding(fps)).unflatten(-1, (6, -1))[:, None]
    return x.to(torch.bfloat16) if torch.is_autocast_enabled(x.device.type) else x, temb, e


def _head(dit, x, temb):
    m = dit.scale_shift_table.view(1, 1, 2, -1) + temb.float().unsqueeze(2)
    shift, scale = m[:, :, 0:1], m[:, :, 1:2]
    return dit.proj_out((F.layer_norm(x.float(), (x.shape[-1],), None, None, 1e-6) * (1 + scale) + shift).to(x.dtype))


def dit_forward(dit, tok, t, ctx, fps, cos, sin, causal=False, tap=None):
    """tok: [B,F,S,64] from patchify; t: [B,F] in 0..1000; ctx: [B,L,256]; fps: [B] (0: 16 fps, 1: other).

    With `tap` the tokens after that many blocks come back too."""
    x, temb, e = _embed(dit, tok, t, fps)
    ctx = dit.condition_embedder.text_embedder(ctx)
    tapped = None
    for i, b in enumerate(dit.blocks):
        x = BLOCK_FN["fn"](block_params(b), x, ctx, e, cos, sin, causal, dit.config.num_attention_heads)
        if i + 1 == tap:
            tapped = x
    x = _head(dit, x, temb)
    return x if tap is None else (x, tapped)


def dit_forward_cached(dit, tok, t, ctx, fps, cos, sin, past):
    """One block of latent frames; `past`: keys and values of the finished ones per layer ([] at the start).

    Returns the velocity and this block's own keys and values."""
    x, temb, e = _embed(dit, tok, t, fps)
    ctx = dit.condition_embedder.text_embedder(ctx)
    heads, own = dit.config.num_attention_heads, []
    for i, b in enumerate(dit.blocks):
        p = block_params(b)
        q, k, v, m = _project(p, x, e, cos, sin, heads)
        own.append((k, v))
        if past:
            k, v = torch.cat([past[i][0], k], 2), torch.cat([past[i][1], v], 2)
        x = _finish(p, x, F.scaled_dot_product_attention(q, k, v), ctx, m, heads)
    return _head(dit, x, temb), own


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


class RoleReadOut(torch.nn.Module):
    """Training only: the classes of clips.ColourRoles at every row of the text embedder."""

    def __init__(self, dim, classes=25):
        super().__init__()
        self.norm, self.lin = torch.nn.LayerNorm(dim), torch.nn.Linear(dim, classes)

    def forward(self, rows):
        return F.linear(self.norm(rows.float()), self.lin.weight, self.lin.bias).float()

    def loss(self, rows, role, keep):
        """rows: [B,L,D]; role: [B,L] class numbers; keep: [B,L] or [B,1], tokens that count."""
        e = F.cross_entropy(self(rows).flatten(0, 1), role.flatten(), reduction="none").view(role.shape)
        on = (role > 0).float() * keep
        off = (role == 0).float() * keep
        return (e * on).sum() / on.sum().clamp_min(1) + 0.2 * (e * off).sum() / off.sum().clamp_min(1)


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


def load_packed(dit, enc, folder):
    """Weights of the packed generator folder, 8-bit rows expanded."""
    import pack
    dit.load_state_dict(pack.expand(pack.load(os.path.join(folder, "transformer"))))
    sd = pack.expand(pack.load(os.path.join(folder, "text_encoder")))
    left = enc.load_state_dict(sd, strict=False)
    if left.unexpected_keys or [k for k in left.missing_keys if k != "encoder.embed_tokens.weight"]:
        raise SystemExit(f"text encoder: {left}, expected the tensors of UMT5EncoderModel; use a folder written by pack.py")


def packed(module):
    """The module's weights as shipped: bf16, linear ones as 8-bit rows; on the CPU."""
    import pack
    sd = module.state_dict()
    return pack.pack({k: v.detach().to(torch.bfloat16).cpu().contiguous() for k, v in sd.items() if k != "encoder.embed_tokens.weight"})


def save_packed(dit, enc, out):
    """Weight files of out/transformer and out/text_encoder as shipped; the config.json files stay those of the model."""
    import pack
    pack.write(packed(dit), os.path.join(out, "transformer"), "diffusion_pytorch_model")
    pack.write(packed(enc), os.path.join(out, "text_encoder"), "model")


def rounded(dit, enc):
    """Copies that carry the weights as shipped, expanded again."""
    import pack
    d, e = copy.deepcopy(dit), copy.deepcopy(enc)
    for m in (d, e):
        m.load_state_dict({k: v.to(next(m.parameters()).device) for k, v in pack.expand(packed(m)).items()}, strict=False)
    return d, e


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


if __name__ == "__main__":
    check()
