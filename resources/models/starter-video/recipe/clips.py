"""Training clips: what their captions say, where their subjects are, and their latents."""
import itertools
import time

import torch

import train_vae
import world

ATTRIBUTES = (("kind", 10), ("colour", 8), ("count", 3), ("motion", 7), ("speed", 4), ("scene", 7), ("time", 5), ("event", 5),
              ("last colour", 8), ("second kind", 10), ("second colour", 8))
ABSENT = -1                                          # no second subject


def attributes(spec):
    """What the caption says, as class numbers in the order of ATTRIBUTES."""
    a, b = spec["subjects"][0], (spec["subjects"][1:] or [None])[0]
    ev = spec["events"][0] if spec["events"] else None
    last = ev["colour"] if ev and ev["type"] == "colour" else a["colour"]
    return [world.KINDS.index(a["kind"]), world.COLOUR_NAMES.index(a["colour"]), a["count"] - 1, world.MOTIONS.index(a["motion"]),
            ["slow", "medium", "fast", "none"].index(a["speed"]), world.SCENES.index(spec["scene"]), [*world.TIMES, "none"].index(spec["time_of_day"]),
            0 if ev is None else 1 + world.EVENTS.index(ev["type"]), world.COLOUR_NAMES.index(last),
            world.KINDS.index(b["kind"]) if b else ABSENT, world.COLOUR_NAMES.index(b["colour"]) if b else ABSENT]


class ColourRoles:
    """Role and colour of every token: 0 none, 1..8 the first subject's colour, 9..16 the colour it turns to, 17..24 the second
    subject's.  A caption names the first subject's colour first; every colour is one piece of the tokenizer."""

    CLASSES = 1 + 3 * len(world.COLOUR_NAMES)

    def __init__(self, tok):
        piece = tok.sp.piece_to_id
        self.colours = [piece("\u2581" + c) for c in world.COLOUR_NAMES]
        self.hills = [piece("\u2581hill"), piece("\u2581hills")]

    def __call__(self, ids, attr):
        """ids: [B,L]; attr: [B,n] from `attributes`; int64 [B,L]."""
        colour = torch.zeros_like(ids)
        for i, piece in enumerate(self.colours):
            colour = torch.where(ids == piece, i + 1, colour)
        after = torch.cat([ids[:, 1:], torch.zeros_like(ids[:, :1])], 1)
        scenery = (after == self.hills[0]) | (after == self.hills[1])           # "green hills"
        colour = torch.where(scenery, 0, colour)
        nth = (colour > 0).long().cumsum(1)
        second = torch.where(attr[:, -1:] == ABSENT, 1, 2)                       # turns to, or another subject
        role = torch.where(nth == 1, 0, second)
        return torch.where(colour > 0, colour + role * len(world.COLOUR_NAMES), 0)


def two_colours(spec):
    """The subject changes its colour, or a second one of another colour enters."""
    return any(e["type"] in ("colour", "enter") for e in spec["events"])


def seconds_of(frames):
    """World time that the motion of a clip of so many frames fills: 2 s for 33 frames and fewer, 6 s for 97."""
    return max(2.0, (frames - 1) / 16)


def chosen(first, frames):
    """Specs from seed `first` on for clips of that length: all with two colours, every third one of the others."""
    for seed in itertools.count(first):
        s = world.sample_spec(seed, seconds=seconds_of(frames))
        if two_colours(s) or seed % 3 == 0:
            yield s


def subject_labels(specs, frames, device, size):
    """Kind (1..10) and colour (1..8) of the subject that touches a token, 0 where there is none: uint8 [B,F,h,w] each.

    size: height and width of the clip in pixels."""
    grid = size[0] // 16, size[1] // 16
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
    aspect = size[1] / size[0]
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
def encode_clips(vae, device, specs, mean, std, frames, size, stop, limit=1_000_000, captions=8):
    """Latents (bf16, normalised), subject labels and captions of freshly drawn clips.

    specs: an iterator; ends after `limit` clips or at time `stop`."""
    lat, kinds, cols, text, attr = [], [], [], [], []
    batch = max(4, 16 * 33 // frames)
    n = 0
    while n < limit and time.time() < stop:
        part = list(itertools.islice(specs, min(batch * 4, limit - n)))
        n += len(part)
        x = world.render(part, frames, *size, device)
        for k in range(0, len(x), batch):
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                m, _ = train_vae.encode_full(vae, train_vae.to_float(x[k:k + batch]))
            lat.append(((m - mean) / std).to(torch.bfloat16))
        a, b = subject_labels(part, frames, device, size)
        kinds.append(a)
        cols.append(b)
        attr += [attributes(s) for s in part]
        text.extend([world.caption(s, s["seed"] * 16 + j) for j in range(captions)] for s in part)
    return {"lat": torch.cat(lat), "kind": torch.cat(kinds), "colour": torch.cat(cols), "text": text, "attr": torch.tensor(attr, device=device)}
