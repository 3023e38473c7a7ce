"""Trains the small text-to-video transformer and its text encoder.

    python train_dit.py --generator DIR --qa DIR --out DIR [--seconds 880]
    python train_dit.py --warm 0/3      fills the compiler's cache while another process draws and encodes (a third of the shapes)

Goes on from the packed weights in DIR/transformer and DIR/text_encoder with fresh optimiser state (--fresh: from random ones).
Clips are drawn by world.py and encoded once by the packed autoencoder; latents stay on the device.

What this run does besides the plain velocity loss:
- tokens that a subject touches count more (--subject, falling to --subject-end): they are a few percent of all tokens;
- clips whose prompt names two colours are drawn more often (clips.chosen) and their subjects count more;
- a linear read-out in the middle of the transformer names kind and colour of the subject at every token, noisy tokens
  counting more; another one of the mean text row names what the caption says, both colours apart (training only);
- single blocks of 3 latent frames first (three times as many clips a second), then whole clips of 33, 65 and 97 frames;
- sequential blocks are trained with the clean clip beside the noisy one: every block sees clean blocks before it;
- every step runs as one captured graph, so that the device never waits for the host.
"""
import argparse
import contextlib
import copy
import itertools
import json
import math
import os
import time

import torch
import torch.nn.functional as F

import clips
import dit_model
import score
import train_text
import train_vae
import world
from dit_model import BLOCK, BLOCK_FN, TEXT_LEN, Tokenizer, block_fwd, dit_forward, encode_text, patchify, rope_tables

WIDE, SQUARE = tuple(train_vae.SHAPE), (256, 256)    # height, width


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
    """Noise level of every latent frame, [B,F] in 0..1.

    mode: "sync" all frames alike; "teacher" every block its own; "df" (diffusion forcing) rising from block to block, for half of
    the clips clean blocks, a noisy one and noisier ones after it."""
    nb = (f + BLOCK - 1) // BLOCK
    if mode == "teacher":
        u = torch.remainder(torch.rand(b, nb, device=device) + torch.arange(b, device=device)[:, None] / b, 1.0)
    elif mode == "sync" or nb == 1:
        u = torch.rand(b, 1, device=device).expand(b, nb)
        u = torch.remainder(u[0] + torch.arange(b, device=device)[:, None] / b, 1.0).expand(b, nb)  # stratified
    else:
        u = torch.rand(b, nb, device=device).sort(1).values
        j = torch.randint(0, nb, (b, 1), device=device)
        idx = torch.arange(nb, device=device)[None]
        cur = torch.rand(b, 1, device=device)
        later = torch.where(torch.rand(b, 1, device=device) < 0.5, torch.ones_like(cur), cur + (1 - cur) * torch.rand(b, 1, device=device))
        ar = torch.where(idx < j, torch.zeros_like(cur), torch.where(idx == j, cur, later))
        u = torch.where(torch.rand(b, 1, device=device) < 0.5, ar, u)
    s = shift * u / (1 + (shift - 1) * u)
    return s.repeat_interleave(BLOCK, 1)[:, :f]


class ReadOut(torch.nn.Module):
    """Training only: kind (0 none) and colour of the subject at every token; what the caption says from the mean text row."""

    def __init__(self, dim):
        super().__init__()
        self.norm = torch.nn.LayerNorm(dim)
        self.lin = torch.nn.Linear(dim, len(world.KINDS) + 1 + len(world.COLOUR_NAMES))
        self.text_norm = torch.nn.LayerNorm(dim)
        self.text = torch.nn.Linear(dim, sum(n for _, n in clips.ATTRIBUTES))

    def token_loss(self, x, kind, colour, noise):
        """x: [B,F,S,D]; kind, colour: [B,F,S]; noise: [B,F], a clean token shows its colour anyway."""
        y = F.linear(self.norm(x.float()), self.lin.weight, self.lin.bias).float()
        k, c = y.split([len(world.KINDS) + 1, len(world.COLOUR_NAMES)], -1)
        on = (kind > 0).float()
        lk = F.cross_entropy(k.flatten(0, -2), kind.flatten(), reduction="none").view(kind.shape)
        lc = F.cross_entropy(c.flatten(0, -2), (colour - 1).clamp_min(0).flatten(), reduction="none").view(kind.shape)
        own = on * noise[..., None]
        return ((lk * on).sum() / on.sum().clamp_min(1) + (lk * (1 - on)).sum() / (1 - on).sum().clamp_min(1),
                (lc * own).sum() / own.sum().clamp_min(1))

    def text_loss(self, rows, attr, keep):
        """Mean cross-entropy of every attribute, [number of attributes]."""
        y = F.linear(self.text_norm(rows.float().mean(1)), self.text.weight, self.text.bias).float()
        out = []
        for j, part in enumerate(y.split([n for _, n in clips.ATTRIBUTES], -1)):
            known = keep * (attr[:, j] != clips.ABSENT).float()
            out.append((F.cross_entropy(part, attr[:, j].clamp_min(0), reduction="none") * known).sum() / known.sum().clamp_min(1))
        return torch.stack(out)


class Trainer:
    def __init__(self, a, device):
        self.a, self.dev, self.cuda = a, device, device.type == "cuda"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.tok = Tokenizer(os.path.join(a.generator, "tokenizer"))
        self.dit, self.enc = dit_model.build()
        if a.fresh:
            dit_model.init_dit(self.dit)
        else:
            dit_model.load_packed(self.dit, self.enc, a.generator)
        self.dit, self.enc = self.dit.to(device), self.enc.to(device)
        self.head = ReadOut(self.dit.config.num_attention_heads * self.dit.config.attention_head_dim).to(device)
        self.role, self.roles = dit_model.RoleReadOut(self.head.norm.normalized_shape[0]).to(device), clips.ColourRoles(self.tok)
        if a.text_steps:
            train_text.teach(self.dit, self.enc, self.role, self.tok, device, a.text_steps)
        self.hidden = [p for n, p in self.dit.named_parameters() if n.startswith("blocks.") and p.dim() == 2]
        taken = {id(p) for p in self.hidden}
        rest = [p for p in self.dit.parameters() if id(p) not in taken]
        self.muon = Muon(self.hidden, a.lr_muon)
        groups = ((rest, a.lr), (list(self.enc.parameters()), a.lr_text), ([*self.head.parameters(), *self.role.parameters()], a.lr))
        self.adam = torch.optim.AdamW([{"params": p, "lr": torch.tensor(float(lr), device=device)} for p, lr in groups],
                                      lr=torch.tensor(1e-3, device=device), betas=(0.9, 0.98), weight_decay=0.01, fused=self.cuda, capturable=self.cuda)
        self.base = [lr for _, lr in groups]
        self.ema = copy.deepcopy(self.dit).requires_grad_(False)
        self.ema_enc = copy.deepcopy(self.enc).requires_grad_(False)
        self.live = list(self.dit.parameters()) + list(self.enc.parameters())
        self.shadow = list(self.ema.parameters()) + list(self.ema_enc.parameters())
        self.null_ids = self.tok([""]).to(device)
        self.ropes = {(f, *s): rope_tables(self.dit, f, s[0] // 16, s[1] // 16, device) for f in (3, 9, 17, 25) for s in (WIDE, SQUARE)}
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
        """One optimiser step; no waiting for the device.  Returns errors of subject and other tokens and the read-outs' losses."""
        dev = self.dev
        idx = torch.randint(0, len(pool["lat"]), (b,), device=dev)
        x0 = pool["lat"][idx, :f].float()
        size = x0.shape[2] * 8, x0.shape[3] * 8
        kind = pool["kind"][idx, :f].flatten(2).long()
        colour = pool["colour"][idx, :f].flatten(2).long()
        attr = pool["attr"][idx]
        cap = pool["ids"][idx, torch.randint(0, pool["ids"].shape[1], (b,), device=dev)].long()
        drop = torch.rand(b, device=dev) < 0.1
        cap = torch.where(drop[:, None], self.null_ids, cap)
        s = noise_levels(b, f, mode, self.knob["shift"], dev)
        noise = torch.randn_like(x0)
        sv = s.view(b, f, 1, 1, 1)
        tok, target = patchify((1 - sv) * x0 + sv * noise), patchify(noise - x0)
        fps = (torch.rand(b, device=dev) < 0.1).long()
        with torch.autocast(dev.type, torch.bfloat16, enabled=self.cuda):
            ctx = encode_text(self.enc, cap)
            rows = self.dit.condition_embedder.text_embedder(ctx)
            if mode == "teacher":
                v, mid = dit_forward(self.dit, torch.cat([patchify(x0), tok]), torch.cat([torch.zeros_like(s), s]) * 1000, torch.cat([ctx, ctx]),
                                     torch.cat([fps, fps]), *self.ropes[f, *size], "teacher", tap=self.a.tap)
                v, mid = v[b:], mid[b:]
            else:
                v, mid = dit_forward(self.dit, tok, s * 1000, ctx, fps, *self.ropes[f, *size], causal, tap=self.a.tap)
        with torch.autocast(dev.type, enabled=False):
            kind_loss, colour_loss = self.head.token_loss(mid, kind, colour, s)
            text_loss = self.head.text_loss(rows, attr, (~drop).float())
            role_loss = self.role.loss(rows, self.roles(cap, attr), (cap != 0).float())
        err = ((v.float() - target) ** 2).mean(3)                                # [B,F,S]
        on = (kind > 0).float()
        noisy = (s > 0).float()[..., None].expand_as(err)
        two = (attr[:, 8] != attr[:, 1]) | (attr[:, 9] != clips.ABSENT)          # two colours in one prompt
        w = (1 + self.knob["subject"] * on * (1 + 0.5 * two.float())[:, None, None]) * noisy
        loss = (err * w).sum() / w.sum()
        (loss + self.a.readout * (kind_loss + 2 * colour_loss) + self.a.text_readout * text_loss.mean() + self.a.role * role_loss).backward()
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
            return torch.cat([torch.stack([(e * n0).sum() / n0.sum().clamp_min(1), (e * n1).sum() / n1.sum().clamp_min(1), kind_loss, colour_loss, role_loss]), text_loss]).detach()

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
                for p in [*self.live, *self.head.parameters(), *self.role.parameters()]:
                    p.grad = None
            return out
        g, res = self.graphs[name]
        g.replay()
        return res.clone()


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
    cos, sin = tr.ropes[n_f, pool["lat"].shape[2] * 8, pool["lat"].shape[3] * 8]
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


def configs(a):
    """Name: pool, clips, latent frames, noise levels, block-causal."""
    b = a.b
    return {"short": ("short", a.b1, 3, "sync", False), "33 sync": ("33", b, 9, "sync", False), "33 blocks": ("33", b // 2, 9, "teacher", True),
            "33 df": ("33", b, 9, "df", True), "33 sync causal": ("33", b, 9, "sync", True), "33 df full": ("33", b, 9, "df", False),
            "97 sync": ("97", b // 3, 25, "sync", False), "97 blocks": ("97", b // 6, 25, "teacher", True), "97 df": ("97", b // 3, 25, "df", True),
            "65 sync": ("65", b // 2, 17, "sync", False), "square sync": ("square", b, 9, "sync", False),
            "square blocks": ("square", b // 2, 9, "teacher", True)}


CYCLE = ("33 sync", "97 sync", "33 blocks", "33 sync", "97 blocks", "33 blocks", "65 sync", "33 sync", "33 df", "97 sync", "33 blocks", "square sync",
         "97 blocks", "33 sync", "short", "33 sync causal", "33 blocks", "97 df", "square blocks", "33 df full", "33 sync", "short")
SHAPES = ("33 sync", "97 blocks", "short", "33 blocks", "97 sync", "square sync", "33 df", "97 df", "square blocks", "65 sync")     # one of each for the compiler
LENGTHS = {"short": (9, WIDE), "33": (33, WIDE), "65": (65, WIDE), "97": (97, WIDE), "square": (33, SQUARE)}


def warm(a):
    """Compiles the blocks for the shapes (fills the compiler's cache on disk while another process encodes)."""
    from torch.nn.attention import sdpa_kernel
    device = torch.device("cuda")
    a.graph = a.text_steps = 0
    tr = Trainer(a, device)
    tr.set_rates(1, 1, 3, 0.9)
    torch._dynamo.config.recompile_limit = 64
    BLOCK_FN["fn"] = torch.compile(block_fwd, dynamic=False)
    part, parts = map(int, a.warm.split("/"))
    with sdpa_kernel(choose_attention(device), set_priority=True):
        for n in SHAPES[part::parts]:
            t0 = time.time()
            name, *cfg = configs(a)[n]
            frames, size = LENGTHS[name]
            specs = list(itertools.islice(clips.chosen(0, frames), 16))
            kind, colour = clips.subject_labels(specs, frames, device, size)
            lat = torch.randn(16, 1 + (frames - 1) // 4, size[0] // 8, size[1] // 8, 16, device=device).to(torch.bfloat16)
            pool = {"lat": lat, "kind": kind, "colour": colour, "text": [[world.caption(s, 1)] for s in specs],
                    "attr": torch.tensor([clips.attributes(s) for s in specs], device=device)}
            tr.add_ids(pool)
            tr.step(pool, *cfg)
            torch.cuda.synchronize()
            print(f"warm: {n} {time.time() - t0:.1f}s", flush=True)


def train(a):
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
    print("loaded", at(), flush=True)
    log = {"settings": {k: v for k, v in vars(a).items() if k not in ("generator", "qa", "out")}, "curve": [], "scores": {}}

    def encode(specs, seconds, frames, size, limit=1_000_000):
        t0 = time.time()
        p = clips.encode_clips(vae, device, specs, mean, std, frames, size, t0 + seconds, limit)
        tr.add_ids(p)
        print(f"{len(p['lat'])} clips of {frames} frames {size[1]}x{size[0]} in {time.time() - t0:.0f}s, {at()}, subject share {(p['kind'] > 0).float().mean().item():.3f}", flush=True)
        return p

    held = {n: encode((world.sample_spec(95_000_000 + i, seconds=clips.seconds_of(n)) for i in range(m)), 60, n, WIDE, m)
            for n, m in ((33, a.held), (97, a.held // 4))}
    pools = {n: encode(clips.chosen(a.first_seed + 10_000_000 * i, LENGTHS[n][0]), s, *LENGTHS[n]) for i, (n, s) in
             enumerate((("33", a.encode_33), ("97", a.encode_97), ("65", a.encode_65), ("square", a.encode_square), ("short", a.encode_short)))}
    log["clips"] = {k: len(v["lat"]) for k, v in pools.items()}
    for n in ("33", "97", "65"):                                                 # single blocks of all clips
        pools["short"] = {k: torch.cat([pools["short"][k], pools[n][k][:, :3] if k in ("lat", "kind", "colour") else pools[n][k]])
                          for k in ("lat", "kind", "colour", "attr", "ids")}
    cfgs = configs(a)
    if a.compile:
        torch._dynamo.config.recompile_limit = 64
        BLOCK_FN["fn"] = torch.compile(block_fwd, dynamic=False)
    from torch.nn.attention import sdpa_kernel
    with sdpa_kernel(choose_attention(device), set_priority=True) if tr.cuda else contextlib.nullcontext():
        t0 = time.time()
        total = max(10, end - a.reserve - t0)
        i, hist, seen, saved = 0, [], {}, 0
        while (el := (time.time() - t0) / total) < 1:
            k = min(1, (i + 1) / a.warm_up) * (a.lr_end + (1 - a.lr_end) * (0.5 + 0.5 * math.cos(math.pi * el)))
            tr.set_rates(k, a.subject + (a.subject_end - a.subject) * el, 3.0 if i % 2 else 6.0, min(a.ema, (1 + i) / (10 + i)))
            name = "short" if el < a.short else CYCLE[(i // 2) % len(CYCLE)]
            pool, *cfg = cfgs[name]
            hist.append(tr.run(name, pools[pool], cfg))
            seen[name] = seen.get(name, 0) + cfg[0]
            i += 1
            if i % 20 == 0 and tr.cuda:
                torch.cuda.synchronize()                                          # the clock counts finished steps
            if i % a.every == 0:
                m = [round(v, 4) for v in torch.stack(hist).mean(0).tolist()]
                hist = []
                log["curve"].append([i, round(time.time() - t_start), name, *m])
                print(f"step {i} {at()} subject {m[0]} other {m[1]} kind {m[2]} colour {m[3]} role {m[4]} text {m[5:]}", flush=True)
                if not all(v == v for v in m):
                    raise SystemExit("the loss is not a number; expected finite values, lower the learning rates")
            if saved < int(el * 4):
                saved += 1
                dit_model.save_packed(tr.ema, tr.ema_enc, a.out)
                print("saved", at(), flush=True)
        torch.cuda.synchronize() if tr.cuda else None
    log["steps"], log["seen"] = i, seen
    dit_model.save_packed(tr.ema, tr.ema_enc, a.out)
    print(f"steps {i}, clips seen {seen}, {at()}", flush=True)
    BLOCK_FN["fn"] = block_fwd
    tr.graphs.clear()
    pools.clear()
    dit, enc = dit_model.rounded(tr.ema, tr.ema_enc)
    evaluate(a, log, tr, dit.eval(), enc.eval(), vae, mean, std, held, device, end, at)


def evaluate(a, log, tr, dit, enc, vae, mean, std, held, device, end, at):
    """Held-out errors and scores of the weights as packed, the most important first, as long as time is left."""
    captions = [c[0] for c in held[33]["text"]]
    names, swapped = world.COLOUR_NAMES, []
    for j, c in enumerate(captions):
        col = world.sample_spec(95_000_000 + j)["subjects"][0]["colour"]
        swapped.append(c.replace(col, names[(names.index(col) + 3) % 8], 1))
    for what, n, ids, causal in (("bidirectional", 33, held[33]["ids"][:, 0], False), ("other colour", 33, tr.tok(swapped).to(device), False),
                                 ("causal", 33, held[33]["ids"][:, 0], True), ("bidirectional", 97, held[97]["ids"][:, 0], False),
                                 ("causal", 97, held[97]["ids"][:, 0], True)):
        r = held_out(dit, enc, tr, held[n], ids, causal, levels=(0.1, 0.3, 0.5, 0.7, 0.9, 0.97), batch=64 if n == 33 else 16)
        log.setdefault("held_out", {})[f"{what} {n}"] = r
        print("held-out", what, n, r, "mean of five", round(sum(v[2] for v in r[:5]) / 5, 4), at(), flush=True)
    judge, nearest = score.Judge(a.qa, device), score.NearestScene(device)
    bench = {n: score.Bench(judge, nearest, device, n, general=a.general if n == 33 else a.general_long, pixel=a.pixel if n == 33 else a.pixel // 4) for n in (33, 97)}
    for n, options, need in ((33, {}, 12), (33, {"blocks": True}, 15), (97, {}, 40), (97, {"blocks": True}, 45), (97, None, 15), (33, None, 8),
                             (33, {"guidance": 3.0}, 12), (33, {"steps": 24}, 15), (33, {"shift": 8.0}, 12), (33, {"guidance": 6.0}, 12),
                             (33, {"shift": 3.0}, 12), (33, {"steps": 12}, 12), (33, {"steps": 8}, 12)):
        name = f"{n} {options}"
        if time.time() > end - need:
            print("no time for", name, flush=True)
            continue
        if options is None:
            log["scores"][name] = bench[n].drawn()
        else:
            sheet = os.path.join(a.out, f"sheet_{n}_{'blocks' if options else 'sync'}.jpg") if not options or "blocks" in options else None
            log["scores"][name] = bench[n].generated("trained", tr.tok, dit, enc, vae, mean, std, sheet=sheet, **options)
        json.dump(log, open(os.path.join(a.out, "dit_log.json"), "w"))
        print("at", at(), flush=True)
    print("done", at(), flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--generator", default="generator")
    p.add_argument("--qa", default="qa")
    p.add_argument("--out", default="out")
    p.add_argument("--warm", default="")
    p.add_argument("--graph", type=int, default=1)
    p.add_argument("--compile", type=int, default=1)
    p.add_argument("--fresh", action="store_true")
    p.add_argument("--seed", type=int, default=3)
    p.add_argument("--first-seed", type=int, default=5_000_000)
    p.add_argument("--seconds", type=float, default=880)
    p.add_argument("--reserve", type=float, default=150)
    p.add_argument("--encode-33", type=float, default=50)
    p.add_argument("--encode-97", type=float, default=40)
    p.add_argument("--encode-65", type=float, default=12)
    p.add_argument("--encode-square", type=float, default=10)
    p.add_argument("--encode-short", type=float, default=8)
    p.add_argument("--short", type=float, default=0.12)
    p.add_argument("--b1", type=int, default=160)
    p.add_argument("--b", type=int, default=48)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--lr-muon", type=float, default=2e-3)
    p.add_argument("--lr-text", type=float, default=8e-4)
    p.add_argument("--lr-end", type=float, default=0.01)
    p.add_argument("--warm-up", type=int, default=150)
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--subject", type=float, default=4.0)
    p.add_argument("--subject-end", type=float, default=2.0)
    p.add_argument("--readout", type=float, default=0.05)
    p.add_argument("--text-readout", type=float, default=0.1)
    p.add_argument("--role", type=float, default=0.1)
    p.add_argument("--text-steps", type=int, default=600)
    p.add_argument("--tap", type=int, default=4)
    p.add_argument("--every", type=int, default=100)
    p.add_argument("--held", type=int, default=128)
    p.add_argument("--general", type=int, default=128)
    p.add_argument("--general-long", type=int, default=128)
    p.add_argument("--pixel", type=int, default=64)
    a = p.parse_args()
    warm(a) if a.warm else train(a)
