"""Refines the autoencoder's decoder for small, fast subjects. The encoder stays as it is, so latents keep their meaning.

    python refine_decoder.py --vae DIR --out FILE [--seconds 240] [--sheet FILE] [--log FILE]

DIR: the autoencoder's folder. FILE: the new weights, float16 like the shipped ones. Clips are drawn and encoded as training
goes; the loss counts subjects and their outlines more than the background. Everything is measured with the weights as packed,
in float32, on clips that no training draws (seeds from 90,000,000 on).
"""
import argparse
import copy
import json
import math
import os
import time

import torch
import torch.nn.functional as F

import clips
import train_vae
import world

FPS = 16
MARGIN = 16                                            # pixels at a crop's edge that do not count: their surroundings are missing
# frames, clips a step, crop height and width (0: whole pictures), clips kept, clips drawn at a time
SHAPES = {"whole": (33, 1, 0, 0, 512, 32), "crop": (33, 6, 96, 128, 512, 32), "long": (97, 2, 96, 128, 96, 8)}


# ------------------------------------------------------------------------------------------------- what counts
@torch.no_grad()
def subject_boxes(specs, frames, device, size):
    """Where subjects are: bool [B,T,H,W], squares of 1.15 times the subject's size around its centre."""
    h, w = size
    out = torch.zeros(len(specs), frames, h, w, dtype=torch.bool, device=device)
    y = (torch.arange(h, device=device) + 0.5) / h
    x = (torch.arange(w, device=device) + 0.5) / h
    t = torch.arange(frames, device=device) / FPS
    for i, s in enumerate(specs):
        p = torch.tensor([q["floats"] for q in world._instances(s["shots"][0])], dtype=torch.float32, device=device)
        n = len(p)
        cx, cy, _, _ = world.track(p.repeat_interleave(frames, 0), t.repeat(n))
        cx, cy, r = cx.view(n, frames, 1) * w / h, cy.view(n, frames, 1), 1.15 * p[:, 7].view(n, 1, 1)
        hit = ((y - cy).abs() < r)[..., None] & ((x - cx).abs() < r)[..., None, :]
        out[i] = hit.any(0)
    return out


def outline(u8):
    """How much each pixel differs from its neighbours, 0..1: float [B,T,H,W] of uint8 [B,T,H,W,3]."""
    x = u8.flatten(0, 1).permute(0, 3, 1, 2).float() / 255
    d = F.max_pool2d(x, 3, 1, 1) + F.max_pool2d(-x, 3, 1, 1)
    return (3 * d.amax(1)).clamp(max=1).view(u8.shape[:4])


def weights(u8, box, subject, edge):
    """Share of each pixel in the loss, float [B,T,H,W,1]."""
    return (1 + subject * box.float() * (1 + edge * outline(u8))).unsqueeze(-1)


def weighted_loss(rec, ref, w):
    def mean(e, v):
        return (e * v).sum() / (v.sum() * e.shape[-1])

    err = rec - ref
    loss = 0.5 * mean(err.abs(), w) + 6.0 * mean(err ** 2, w)
    d, v = err, w
    for _ in range(3):
        loss = loss + 0.25 * mean((d[..., 1:, :, :] - d[..., :-1, :, :]).abs(), v[..., 1:, :, :])
        loss = loss + 0.25 * mean((d[..., :, 1:, :] - d[..., :, :-1, :]).abs(), v[..., :, 1:, :])
        d, v = train_vae._half(d), train_vae._half(v)
    return loss + 0.25 * mean((err[:, 1:] - err[:, :-1]).abs(), w[:, 1:])


# ------------------------------------------------------------------------------------------------------- clips
class Pool:
    """Freshly drawn clips, their latents and subject boxes on the device."""

    def __init__(self, vae, device, seed, frames, size, chunk, shape):
        self.vae, self.dev, self.seed, self.frames, self.shape, self.at = vae, device, seed, frames, shape, 0
        self.chunk = min(chunk, size)
        f, (h, w) = 1 + (frames - 1) // 4, shape
        self.u8 = torch.zeros(size, frames, h, w, 3, dtype=torch.uint8, device=device)
        self.box = torch.zeros(size, frames, h, w, dtype=torch.bool, device=device)
        self.mean, self.std = (torch.zeros(size, f, h // 8, w // 8, 16, device=device) for _ in range(2))
        self.where = torch.zeros(size, h // 8 * (w // 8))
        self.filled = 0

    @torch.no_grad()
    def refresh(self):
        specs = []
        while len(specs) < self.chunk:                  # subjects that move, the fast and small ones most often
            s = world.sample_spec(self.seed, seconds=clips.seconds_of(self.frames))
            a = s["subjects"][0]
            keep = 1.0 if a["speed"] == "fast" or a["size"] == "small" else 0.6 if a["motion"] != "still" else 0.3
            if (self.seed * 0.6180339887) % 1 < keep:
                specs.append(s)
            self.seed += 1
        at = slice(self.at, self.at + self.chunk)
        self.u8[at] = world.render(specs, self.frames, *self.shape, self.dev)
        self.box[at] = subject_boxes(specs, self.frames, self.dev, self.shape)
        self.where[at] = F.avg_pool2d(self.box[at].float().mean(1, keepdim=True), 8).flatten(1).cpu() + 1e-4
        step = max(1, 8 * 33 // self.frames)
        for k in range(self.at, self.at + self.chunk, step):
            part = slice(k, min(k + step, self.at + self.chunk))
            with torch.autocast(self.dev.type, torch.bfloat16, enabled=self.dev.type == "cuda"):
                m, v = train_vae.encode_full(self.vae, train_vae.to_float(self.u8[part]))
            self.mean[part], self.std[part] = m, torch.exp(0.5 * v)
        self.filled = max(self.filled, self.at + self.chunk)
        self.at = (self.at + self.chunk) % (len(self.u8) // self.chunk * self.chunk)

    def batch(self, n, h, w):
        """Noisy latents, pictures and boxes of n clips; crops of h x w pixels around subjects, whole pictures where h is 0."""
        idx = torch.randint(0, self.filled, (n,)).tolist()
        z, x, b, inner = [], [], [], []
        for i in idx:
            m, s, u, q = self.mean[i], self.std[i], self.u8[i], self.box[i]
            keep = torch.ones_like(q[:1])
            if h:
                c = int(torch.multinomial(self.where[i], 1))
                gh, gw = self.shape[0] // 8, self.shape[1] // 8
                ry, rx = torch.rand(2).tolist()
                cy = min(max(c // gw - int(h // 8 * (0.25 + 0.5 * ry)), 0), gh - h // 8)
                cx = min(max(c % gw - int(w // 8 * (0.25 + 0.5 * rx)), 0), gw - w // 8)
                keep = torch.zeros(1, h, w, dtype=torch.bool, device=self.dev)
                keep[:, MARGIN:h - MARGIN, MARGIN:w - MARGIN] = True
                m, s = m[:, cy:cy + h // 8, cx:cx + w // 8], s[:, cy:cy + h // 8, cx:cx + w // 8]
                u, q = u[:, cy * 8:cy * 8 + h, cx * 8:cx * 8 + w], q[:, cy * 8:cy * 8 + h, cx * 8:cx * 8 + w]
            z.append(m + s * torch.randn_like(s) * float(torch.rand(())) * 0.8)
            x.append(u)
            b.append(q)
            inner.append(keep.expand(len(u), -1, -1))
        return torch.stack(z), torch.stack(x), torch.stack(b), torch.stack(inner)


# -------------------------------------------------------------------------------------------------- measurement
def packed(vae):
    """The weights as shipped."""
    return {k: v.detach().to(torch.float16).cpu().contiguous() for k, v in vae.state_dict().items()}


def write(vae, path):
    from safetensors.torch import save_file
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    save_file(packed(vae), path + ".part", metadata={"format": "pt"})
    os.replace(path + ".part", path)
    os.chmod(path, 0o644)


def as_packed(vae):
    v = copy.deepcopy(vae).eval()
    v.load_state_dict({k: p.float() for k, p in packed(vae).items()})
    return v


def fast_small(spec):
    a = spec["subjects"][0]
    return a["speed"] == "fast" and a["size"] == "small"


@torch.no_grad()
def measure(models, device, count, frames=33, size=tuple(train_vae.SHAPE), first=90_000_000, only=None):
    """PSNR in dB of each model's reconstructions: mean over clips of the whole picture, of the subject boxes, of the boxes of clips
    with a fast small subject. Encoded by the first model. `only`: which specs count."""
    rows = {n: [] for n in models}
    encoder, seed, specs = next(iter(models.values())), first, []
    while len(specs) < count:
        s = world.sample_spec(seed, seconds=clips.seconds_of(frames))
        if only is None or only(s):
            specs.append(s)
        seed += 1
    for s in specs:
        u8 = world.render([s], frames, *size, device)
        x = train_vae.to_float(u8)
        box = subject_boxes([s], frames, device, size)
        z, _ = train_vae.encode_full(encoder, x)
        for n, vae in models.items():
            e = ((train_vae.decode_full(vae, z).clamp(-1, 1) - x) ** 2).mean(-1) / 4
            inside = e[box].mean().item() if bool(box.any()) else float("nan")
            rows[n].append((e.mean().item(), inside, fast_small(s)))
    db = lambda v: round(sum(-10 * math.log10(q) for q in v) / len(v), 2) if v else None
    return {n: {"whole": db([a for a, _, _ in r]), "subjects": db([b for _, b, _ in r if b == b]),
                "fast small subjects": db([b for _, b, f in r if f and b == b]), "clips": len(r), "fast small clips": sum(f for _, _, f in r)}
            for n, r in rows.items()}


@torch.no_grad()
def sheet(models, device, path, clips_shown=6, at=(8, 16, 24), side=64, first=90_000_000):
    """The first held-out clips with a fast small subject, cut around it: drawn, then each model, at three moments."""
    from PIL import Image
    rows, seed = [], first
    while len(rows) < clips_shown:
        s = world.sample_spec(seed)
        seed += 1
        if not fast_small(s):
            continue
        u8 = world.render([s], 33, *train_vae.SHAPE, device)
        z, _ = train_vae.encode_full(next(iter(models.values())), train_vae.to_float(u8))
        shown = [u8[0]] + [((train_vae.decode_full(v, z).clamp(-1, 1)[0] + 1) * 127.5).round().to(torch.uint8) for v in models.values()]
        p = torch.tensor([world._instances(s["shots"][0])[0]["floats"]], device=device).expand(len(at), -1)
        cx, cy, _, _ = world.track(p, torch.tensor(at, device=device) / FPS)
        tiles = []
        for k, f in enumerate(at):
            y = min(max(int(cy[k] * train_vae.SHAPE[0]) - side // 2, 0), train_vae.SHAPE[0] - side)
            x = min(max(int(cx[k] * train_vae.SHAPE[1]) - side // 2, 0), train_vae.SHAPE[1] - side)
            tiles += [v[f, y:y + side, x:x + side] for v in shown]
        rows.append(torch.cat(tiles, 1))
    img = Image.fromarray(torch.cat(rows, 0).cpu().numpy())
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    img.save(path, quality=82)


# ----------------------------------------------------------------------------------------------------- training
def train(a):
    t_start = time.time()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cuda = device.type == "cuda"
    torch.manual_seed(a.seed)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.benchmark_limit = 3
    torch.backends.cudnn.allow_tf32 = False             # bf16 trains, float32 measures
    train_vae.MODE["conv"] = "2d"
    from diffusers import AutoencoderKLWan
    size = tuple(a.size)
    before = AutoencoderKLWan.from_pretrained(a.vae).float().to(device).eval().requires_grad_(False)
    vae = copy.deepcopy(before)
    live = []
    for n, p in vae.named_parameters():
        if n.startswith(("decoder.", "post_quant_conv.")):
            p.requires_grad_(True)
            live.append((n, p))
    edge = ("quant", "conv_out", "conv_in", "to_qkv", "proj")
    hidden = [p for n, p in live if p.dim() >= 4 and "gamma" not in n and not any(e in n for e in edge)]
    taken = {id(p) for p in hidden}
    rest = [p for _, p in live if id(p) not in taken]
    params = [p for _, p in live]
    muon = train_vae.Muon(hidden)
    opt = torch.optim.AdamW(rest, lr=torch.tensor(a.lr, device=device), betas=(0.9, 0.99), weight_decay=0.0, fused=cuda, capturable=cuda)
    ema = [p.detach().clone() for p in params]
    decay = torch.zeros((), device=device)
    pools = {f: Pool(before, device, a.first_seed + 20_000_000 * i, f, max(n for g, _, _, _, n, _ in SHAPES.values() if g == f) if cuda else 2,
                     max(c for g, _, _, _, _, c in SHAPES.values() if g == f), size) for i, f in enumerate((33, 97))}

    def work(z, x, b, inner):
        with torch.autocast(device.type, torch.bfloat16, enabled=cuda, cache_enabled=False):
            rec = train_vae.decode_full(vae, z)
        loss = weighted_loss(rec, train_vae.to_float(x), weights(x, b, a.subject, a.edge) * inner.unsqueeze(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        muon.step()
        opt.step()
        with torch.no_grad():
            for e, q in zip(ema, params):
                e.lerp_(q, 1 - decay)                   # a tensor: rates change between replays of the graph
        return loss.detach()

    def clear():
        for p in params:
            p.grad = None

    def make_step(example):
        """One training step on static inputs, as a CUDA graph where that works."""
        def plain(batch):
            clear()
            return work(*batch)
        if not cuda or not a.graph:
            return plain
        static = [t.clone() for t in example]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):                          # learning rates are still zero here
                clear()
                work(*static)
        torch.cuda.current_stream().wait_stream(side)
        clear()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = work(*static)

        def replay(batch):
            for s, v in zip(static, batch):
                s.copy_(v)
            graph.replay()
            return out.clone()
        return replay

    def set_rates(k, d):
        muon.lr.fill_(a.lr_muon * k)
        opt.param_groups[0]["lr"].fill_(a.lr * k)
        decay.fill_(d)

    set_rates(0.0, 1.0)
    for p in pools.values():
        p.refresh()
    steps, shapes = {}, dict(SHAPES) if cuda else {n: (f, 1, min(h, 64), min(w, 64), k, c) for n, (f, _, h, w, k, c) in SHAPES.items()}
    for n, (f, count, h, w, _, _) in shapes.items():
        try:
            steps[n] = make_step(pools[f].batch(count, h, w))
        except Exception as e:                          # capture refused: plain steps
            print("no graph for", n, repr(e)[:300], flush=True)
            a.graph = 0
            clear()
            steps[n] = make_step(pools[f].batch(count, h, w))
        print(f"{n} ready at {time.time() - t_start:.0f}s", flush=True)
    t0, i, seen, hist = time.time(), 0, {}, []
    total = max(1.0, a.seconds - a.reserve - (t0 - t_start))
    while (el := (time.time() - t0) / total) < 1 and not (a.steps and i >= a.steps):
        k = min(1, (i + 1) / a.warm_up) * (0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * el)))
        set_rates(k, min(a.ema, (1 + i) / (10 + i)))
        name = ("whole", "crop", "whole", "crop", "long")[i % 5] if el < 0.7 else ("whole", "whole", "long")[i % 3]
        f, count, h, w, _, _ = shapes[name]
        hist.append(steps[name](pools[f].batch(count, h, w)))
        seen[name] = seen.get(name, 0) + count
        i += 1
        if i % a.redraw == 0 or (i < 12 * a.redraw and i % max(1, a.redraw // 6) == 0):
            pools[33].refresh()
        if i % (3 * a.redraw) == 0 or (i < 12 * a.redraw and i % max(1, a.redraw // 2) == 0):
            pools[97].refresh()
        if i % 10 == 0 and cuda:
            torch.cuda.synchronize()                    # keeps the clock honest
        if i % a.every == 0:
            print(f"step {i} {time.time() - t_start:.0f}s loss {torch.stack(hist).mean().item():.4f}", flush=True)
            hist = []
        if i % (5 * a.every) == 0:
            write(vae, a.out)
    steps.clear()
    with torch.no_grad():
        for p, e in zip(params, ema):
            p.copy_(e)
    write(vae, a.out)
    print(f"{i} steps, clips seen {seen}, {time.time() - t_start:.0f}s", flush=True)
    log = {"settings": {k: v for k, v in vars(a).items() if k not in ("vae", "out", "sheet", "log")}, "steps": i, "seen": seen,
           "seconds": round(time.time() - t_start)}
    models = {"before": as_packed(before), "after": as_packed(vae)}
    shift = max(float((p - q).abs().max()) for (n, p), (_, q) in zip(models["before"].named_parameters(), models["after"].named_parameters())
                if not n.startswith(("decoder.", "post_quant_conv.")))
    log["encoder moved by"] = shift
    if a.sheet:
        sheet(models, device, a.sheet)
    for name, frames, count, only in (("33 frames", 33, a.held, None), ("33 frames, fast small subjects", 33, a.held // 2, fast_small),
                                      ("97 frames", 97, a.held // 8, None)):
        log[name] = measure(models, device, max(1, count), frames, size, only=only)
        print(name, log[name], f"{time.time() - t_start:.0f}s", flush=True)
        if a.log:
            json.dump(log, open(a.log, "w"), indent=1)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--vae", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--log", default="")
    p.add_argument("--sheet", default="")
    p.add_argument("--seconds", type=float, default=250)
    p.add_argument("--reserve", type=float, default=25, help="seconds kept for the measurement")
    p.add_argument("--steps", type=int, default=0)
    p.add_argument("--lr", type=float, default=3e-4)
    p.add_argument("--lr-muon", type=float, default=1e-3)
    p.add_argument("--warm-up", type=int, default=60)
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--subject", type=float, default=6.0)
    p.add_argument("--edge", type=float, default=2.0)
    p.add_argument("--redraw", type=int, default=60)
    p.add_argument("--every", type=int, default=100)
    p.add_argument("--held", type=int, default=64)
    p.add_argument("--seed", type=int, default=11)
    p.add_argument("--first-seed", type=int, default=400_000_000)
    p.add_argument("--graph", type=int, default=1)
    p.add_argument("--size", type=int, nargs=2, default=train_vae.SHAPE)
    train(p.parse_args())
