"""Scores clips of the starter generator: pixel tests and the starter QA model.

    python score.py --generator DIR --qa DIR [--frames 97] [--size 256 256] [--blocks] [--guidance 4 --steps 16 --shift 5] [--drawn]

Everything is measured on specs that no training run draws (seeds from 95,000,000 on).  The same tests run on the truly drawn
clips (how far a test can be trusted) and with the prompts shifted by one clip (chance).

    general   the first specs from 96,000,000 on; scene and time of day by the nearest drawn picture, and the QA model's
              open answers on scene, time of day, subject, subject colour, count and direction
    pixel     specs from 97,000,000 on with a still camera, no event, quiet background and a subject that moves left,
              right, up or down at medium or high speed: colour and direction are read from the pixels that move
"""
import argparse
import os
import random
import time

import torch
import torch.nn.functional as F

import clips
import dit_model
import sampling
import train_vae
import world

QUIET = ("hills", "city", "desert", "space")


# -------------------------------------------------------------------------------------------------- prompts
def general_specs(count, frames=33, first=96_000_000):
    return [world.sample_spec(first + i, seconds=clips.seconds_of(frames)) for i in range(count)]


def pixel_specs(count, frames=33, first=97_000_000):
    """Clips whose colour and direction can be read from the moving pixels."""
    out, seed = [], first
    while len(out) < count:
        s = world.sample_spec(seed, seconds=clips.seconds_of(frames))
        seed += 1
        a = s["subjects"][0]
        if (s["scene"] in QUIET and s["camera"] == "static" and not s["events"] and a["speed"] in ("medium", "fast")
                and a["motion"] in ("left", "right", "up", "down")):
            out.append(s)
    return out


def prompts(specs):
    return [world.caption(s, s["seed"] * 16) for s in specs]


@torch.no_grad()
def decode(vae, z, mean, std, batch=8):
    """uint8 [B,T,H,W,3]."""
    out = []
    for k in range(0, len(z), batch):
        y = train_vae.decode_full(vae, z[k:k + batch].float() * std + mean).clamp(-1, 1)
        out.append(((y + 1) * 127.5).round().to(torch.uint8))
    return torch.cat(out)


# -------------------------------------------------------------------------------------------------- pixel tests
def moving_mask(x, threshold=0.14):
    """x: [T,H,W,3] in 0..1.  Pixels that differ from the picture's median over time, specks removed: [T,H,W]."""
    bg = x.median(0).values
    m = ((x - bg).abs().amax(-1) > threshold).float()
    m = (F.avg_pool2d(m.unsqueeze(1), 5, 1, 2)[:, 0] > 0.55).float() * m
    return m


def _palette(time_of_day, device):
    tint = torch.tensor(world._TINT[time_of_day], device=device)
    rows, owner = [], []
    for i, c in enumerate(world.COLOURS.values()):
        col = torch.tensor(c, device=device)
        for part in (col, torch.lerp(col, torch.ones_like(col), 0.45), col * 0.62):
            rows.append(part * tint)
            owner.append(i)
    return torch.stack(rows), torch.tensor(owner, device=device)


def read_moving(frames, time_of_day):
    """Colour and horizontal direction of what moves in uint8 [T,H,W,3]; None where too little moves."""
    x = frames.float() / 255
    m = moving_mask(x)
    area = m.sum((1, 2))
    good = area > 40
    if good.sum() < 6:
        return None, None
    cols = torch.arange(x.shape[2], device=x.device).float()
    cx = (m * cols).sum((1, 2)) / area.clamp_min(1)
    t = torch.arange(len(x), device=x.device).float()[good]
    slope = ((t - t.mean()) * (cx[good] - cx[good].mean())).sum() / ((t - t.mean()) ** 2).sum()
    pal, owner = _palette(time_of_day, x.device)
    px = x[m > 0]
    if len(px) > 20000:
        keep = torch.randperm(len(px), generator=torch.Generator().manual_seed(0))[:20000].to(px.device)
        px = px[keep]
    d = torch.cdist(px, pal)
    near, who = d.min(1)
    votes = torch.zeros(len(world.COLOURS), device=x.device)
    votes.index_add_(0, owner[who], (near < 0.13).float())
    colour = int(votes.argmax()) if votes.sum() > 0 else None
    return colour, ("right" if slope > 0 else "left")


class NearestScene:
    """Scene and time of day by the nearest of many drawn small pictures without subjects."""

    def __init__(self, device, size=tuple(train_vae.SHAPE), layouts=12):
        self.pics, self.labels = [], []
        specs = []
        for scene in world.SCENES:
            for tod in (world.TIMES if scene not in ("space", "underwater") else ["none"]):
                for k in range(layouts):
                    s = world.sample_spec(98_000_000 + k)
                    s["shots"][0].update(scene=scene, time_of_day=tod, subjects=[], events=[], camera="static", layout=7919 * k + 13)
                    specs.append(s)
                    self.labels.append((scene, tod))
        for k in range(0, len(specs), 48):
            self.pics.append(self._small(world.render(specs[k:k + 48], 1, *size, device)))
        self.pics = torch.cat(self.pics)

    @staticmethod
    def _small(u8):
        return F.avg_pool2d(u8[:, 0].permute(0, 3, 1, 2).float() / 255, 16).flatten(1)

    def __call__(self, u8):
        d = torch.cdist(self._small(u8), self.pics, p=1)
        return [self.labels[i] for i in d.argmin(1).tolist()]


def pixel_scores(specs, u8, shifted=False):
    """(right, asked) for colour and direction on `pixel_specs`."""
    ask = specs[1:] + specs[:1] if shifted else specs
    names = world.COLOUR_NAMES
    colour, direction = [0, 0], [0, 0]
    for s, own, clip in zip(ask, specs, u8):
        a = s["subjects"][0]
        c, d = read_moving(clip, own["time_of_day"])
        colour[1] += 1
        colour[0] += int(c is not None and names[c] == a["colour"])
        if a["motion"] in ("left", "right") and own["subjects"][0]["motion"] in ("left", "right"):
            direction[1] += 1
            direction[0] += int(d == a["motion"])
    return {"pixel colour": colour, "pixel direction": direction}


def scene_scores(specs, u8, nearest, shifted=False):
    ask = specs[1:] + specs[:1] if shifted else specs
    got = nearest(u8)
    scene, tod = [0, 0], [0, 0]
    for s, (a, b) in zip(ask, got):
        scene[1] += 1
        scene[0] += int(s["scene"] == a)
        if s["time_of_day"] != "none":
            tod[1] += 1
            tod[0] += int(s["time_of_day"] == b)
    return {"pixel scene": scene, "pixel time of day": tod}


# -------------------------------------------------------------------------------------------------- QA model
class Judge:
    """The starter QA model: open answers, exact match of the whole greedy answer."""

    KINDS = ("scene", "time_of_day", "subject", "colour", "count", "direction", "camera")

    def __init__(self, folder, device, weights=""):
        """folder: the packed model; weights: another packed file for it."""
        import pack
        import train_qa
        from safetensors.torch import load_file
        self.q, self.dev = train_qa, device
        model = train_qa.make_model()
        sd = pack.expand(load_file(weights) if weights else pack.load(folder))
        own = model.state_dict()
        with torch.no_grad():
            for k in own:
                if k != "lm_head.weight":
                    own[k].copy_(sd[train_qa.released_name(k)])
        self.fast = train_qa.Fast(model.to(device).eval())
        self.tok = train_qa.Tok(folder)
        self.prefix = torch.tensor(self.tok.prefix, device=device)

    @staticmethod
    def colour_case(spec):
        """Which colours a prompt names, for the colour score taken apart."""
        ev = {e["type"] for e in spec["events"]}
        return "one" if not ev & {"colour", "enter"} else "changing" if "colour" in ev else "two subjects"

    def items(self, spec):
        """One open question of every kind; the colour question asks for the first subject's first colour."""
        a, rng = spec["subjects"][0], random.Random(spec["seed"])
        out, have = [], set()
        for q in self.q.questions(spec, rng):
            k = q["kind"]
            if k not in self.KINDS or k in have or (k == "colour" and q["answer"] != a["colour"]):
                continue
            have.add(k)
            out.append((q["question"], q["answer"], k, False))
        return out

    @torch.no_grad()
    def __call__(self, specs, u8, shifted=False, frames=8, batch=32):
        ask = specs[1:] + specs[:1] if shifted else specs
        count = u8.shape[1]
        pick = [int(i * (count - 1) / (frames - 1)) for i in range(frames)]
        tot = {k: [0, 0] for k in self.KINDS}
        for k in range(0, len(specs), batch):
            x = self.q.preprocess(u8[k:k + batch, pick]).flatten(0, 1)
            x = F.interpolate(x, size=(224, 224), mode="bicubic", antialias=True).clamp(-1, 1)
            vis = self.fast.vision(x).view(len(u8[k:k + batch]), -1, self.fast.T.hidden_size)
            items = [self.items(s) for s in ask[k:k + batch]]
            pk = self.q.pack(items, self.tok)
            ok, _ = self.q.score(self.fast, self.prefix, vis, pk, self.dev)
            right = {}
            for key, o in zip(map(tuple, pk["own"].tolist()), ok.tolist()):
                right[key] = right.get(key, True) and o
            for (b, i), o in right.items():
                names = [items[b][i][2]]
                if names[0] == "colour":
                    names.append("colour, " + self.colour_case(ask[k + b]))
                if names[0] == "camera":
                    names.append("camera, still" if ask[k + b]["camera"] == "static" else "camera, pan")
                for n in names:
                    t = tot.setdefault(n, [0, 0])
                    t[0], t[1] = t[0] + int(o), t[1] + 1
        return {"qa " + k: v for k, v in tot.items()}


def show(name, *dicts):
    line = {k: v for d in dicts for k, v in d.items()}
    print(name, "  ".join(f"{k} {a}/{b}" for k, (a, b) in line.items()), flush=True)
    return line


class Bench:
    """The prompts, drawn truth and judges of one clip shape."""

    def __init__(self, judge, nearest, device, frames=33, size=tuple(train_vae.SHAPE), general=128, pixel=64):
        self.judge, self.nearest, self.dev, self.frames, self.size = judge, nearest, device, frames, size
        self.general, self.pixel = general_specs(general, frames), pixel_specs(pixel, frames)

    def judged(self, name, u8, shifted=False):
        n = len(self.general)
        return show(name, scene_scores(self.general, u8[:n], self.nearest, shifted), self.judge(self.general, u8[:n], shifted),
                    pixel_scores(self.pixel, u8[n:], shifted))

    def drawn(self):
        specs = self.general + self.pixel
        u8 = torch.cat([world.render(specs[k:k + 16], self.frames, *self.size, self.dev) for k in range(0, len(specs), 16)])
        name = f"drawn, {self.frames} frames"
        return {"drawn": self.judged(name, u8), "chance": self.judged(name + ", shifted", u8, True)}

    @torch.no_grad()
    def latents(self, tok, dit, enc, guidance=4.0, steps=16, shift=5.0, blocks=False):
        """What the model makes for these prompts, as normalised latents."""
        h, w = self.size[0] // 8, self.size[1] // 8
        with torch.autocast(self.dev.type, torch.bfloat16, enabled=self.dev.type == "cuda"):
            ctx = dit_model.encode_text(enc, tok(prompts(self.general + self.pixel)).to(self.dev))
            null = dit_model.encode_text(enc, tok([""]).to(self.dev))
            sample = sampling.sample_blocks if blocks else sampling.sample_unipc
            return sample(dit, ctx, null, 1 + (self.frames - 1) // 4, h, w, steps, shift, guidance, seed=21, batch=64 if self.frames <= 33 else 32)

    @torch.no_grad()
    def decoded(self, z, vae, mean, std, sheet=None):
        """The latents' pictures, uint8 [B,T,H,W,3]; with `sheet` the first 16 as a picture."""
        with torch.autocast(self.dev.type, torch.bfloat16, enabled=self.dev.type == "cuda"):
            u8 = decode(vae, z, mean, std, batch=8 if self.frames <= 33 else 3)
        if sheet:
            train_vae.save_sheet(u8[:16, ::(self.frames - 1) // 4].float() / 127.5 - 1, sheet)
        return u8

    def name(self, what, blocks, guidance, steps, shift):
        way = "block after block" if blocks else "synchronous"
        return f"{what}: {self.frames} frames {self.size[1]}x{self.size[0]} {way}, guidance {guidance}, steps {steps}, shift {shift}:"

    def generated(self, name, tok, dit, enc, vae, mean, std, guidance=4.0, steps=16, shift=5.0, blocks=False, sheet=None):
        """Scores of clips that the model makes for these prompts."""
        t0 = time.time()
        u8 = self.decoded(self.latents(tok, dit, enc, guidance, steps, shift, blocks), vae, mean, std, sheet)
        got = self.judged(self.name(name, blocks, guidance, steps, shift), u8)
        print(f"    {time.time() - t0:.0f} s", flush=True)
        return got


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--generator", required=True)
    p.add_argument("--qa", required=True)
    p.add_argument("--frames", type=int, default=33)
    p.add_argument("--size", type=int, nargs=2, default=train_vae.SHAPE, help="height and width")
    p.add_argument("--blocks", action="store_true", help="block after block instead of synchronous")
    p.add_argument("--guidance", type=float, default=4.0)
    p.add_argument("--steps", type=int, default=16)
    p.add_argument("--shift", type=float, default=5.0)
    p.add_argument("--drawn", action="store_true", help="the really drawn clips and chance instead of the model")
    p.add_argument("--general", type=int, default=128)
    p.add_argument("--pixel", type=int, default=64)
    p.add_argument("--sheet", default="")
    a = p.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = tuple(a.size)
    bench = Bench(Judge(a.qa, device), NearestScene(device, size), device, a.frames, size, a.general, a.pixel)
    if a.drawn:
        bench.drawn()
        return
    from diffusers import AutoencoderKLWan
    vae = AutoencoderKLWan.from_pretrained(os.path.join(a.generator, "vae")).float().to(device).eval()
    dit, enc = dit_model.build()
    dit_model.load_packed(dit, enc, a.generator)
    tok = dit_model.Tokenizer(os.path.join(a.generator, "tokenizer"))
    mean, std = (torch.tensor(v, device=device) for v in (vae.config.latents_mean, vae.config.latents_std))
    bench.generated("weights", tok, dit.to(device).eval(), enc.to(device).eval(), vae, mean, std, a.guidance, a.steps, a.shift, a.blocks, a.sheet)


if __name__ == "__main__":
    main()
