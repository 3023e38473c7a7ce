#!/usr/bin/env python3
"""Goes on from the packed question-answering model: camera pans, plainly worded questions, clips made by the video starter.

    python refine_qa.py made --generator DIR --qa DIR --out FILE         clips of the video starter, their prompts as truth
    python refine_qa.py train --qa DIR --out FILE --seconds 400 [--made FILE] [--log FILE]
    python refine_qa.py eval --qa DIR --weights FILE --log FILE          the packed weights on everything below

DIR of --qa: the packed model (resources/models/starter-qa). FILE of --out: packed weights like its model.safetensors.

Pans: in three of four shots the camera is drawn anew (still, left, right with equal shares), so that nothing but the moving
background tells it. Two read-outs that only training has name the pan: one on the features of two frames in a row, one on
the visual tokens inside the language model.
Made clips: only questions that the prompt answers and that the model, as it was before, answers as the prompt does: a clip
that shows something else than its prompt says teaches nothing wrong.
"""
import argparse
import copy
import json
import math
import os
import queue
import random
import threading
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

import train_qa as base
import wordings

PANS = {"static": 0, "pan_left": 1, "pan_right": 2}
MADE_FIRST = 500_000_000                   # prompts of made clips; no other training and no test draws these
TOLD = ("scene", "time_of_day", "subject", "colour", "count", "direction", "motion", "event", "order", "presence")
KINDS_ASKED = dict(base.KIND_WEIGHT, camera=4.0, check=1.2)
TAPS = (2, 3, 4)


# ------------------------------------------------------------------------------------------------------ questions
def new_cameras(spec, rng):
    """The spec with the cameras of three of four shots drawn anew."""
    for shot in spec["shots"]:
        if rng.random() < 0.75:
            shot["camera"] = rng.choice(list(PANS))
    spec["camera"] = spec["shots"][0]["camera"]
    return spec


def reword(question, rng):
    """Mostly as written, otherwise plainly, at times carelessly typed."""
    if rng.random() < 0.4:
        question = wordings.plain(question, rng) or question
    return wordings.careless(question, rng) if rng.random() < 0.15 else question


def items_from(questions, caption, rng, n):
    """n (prompt, answer, kind, with options) items."""
    by = {}
    for q in questions:
        by.setdefault(q["kind"], []).append(q)
    out, used, kinds = [], set(), list(by)
    if caption and rng.random() < 0.5:
        out.append((base.CAPTION_PROMPT, caption, "caption", False))
    tries = 0
    while len(out) < n and tries < 8 * n and kinds:
        tries += 1
        k = rng.choices(kinds, [KINDS_ASKED.get(k, 1.0) for k in kinds])[0]
        j = rng.randrange(len(by[k]))
        mc = bool(by[k][j].get("options")) and rng.random() < 0.5
        if (k, j, mc) in used:
            continue
        used.add((k, j, mc))
        q = by[k][j]
        text = reword(q["question"], rng)
        if mc:
            opts = [str(o) for o in q["options"]]
            rng.shuffle(opts)
            out.append((base.mc_text(text, opts), chr(65 + opts.index(str(q["answer"]))), k, True))
        else:
            out.append((text, str(q["answer"]), k, False))
    rng.shuffle(out)
    return out


class Stream(torch.utils.data.IterableDataset):
    """Endless (seconds, specs, packs): every clip with two sets of questions."""

    def __init__(self, tok_dir, batch, questions, S, seed):
        self.a = (tok_dir, batch, questions, S, seed)

    def __iter__(self):
        tok_dir, batch, questions, S, seed = self.a
        info = torch.utils.data.get_worker_info()
        wid = info.id if info else 0
        torch.set_num_threads(1)
        tok, w = base.Tok(tok_dir), base.world()
        rng = random.Random(seed * 1000 + wid)
        while True:
            specs, rows, seconds = [], ([], []), rng.choice(base.DURATIONS)
            for _ in range(batch):
                spec = new_cameras(w.sample_spec(rng.randrange(base.HELDOUT_BASE), cuts=rng.random() < 0.25, seconds=seconds), rng)
                specs.append(spec)
                for r in rows:
                    r.append(items_from(base.questions(spec, rng) + wordings.yes_no(spec, rng, w), w.caption(spec, rng), rng, questions))
            yield seconds, specs, [base.pack(r, tok, S) for r in rows]


def pan_labels(specs, T):
    """Pan of every frame [B, T]: 0 still, 1 left, 2 right; -1 where no earlier frame of the shot is seen."""
    times = base.frame_times(specs[0]["seconds"], T)
    out = torch.full((len(specs), T), -1, dtype=torch.long)
    for b, s in enumerate(specs):
        before = None
        for i, t in enumerate(times):
            k = sum(q["start"] <= t + 1e-6 for q in s["shots"]) - 1
            if k == before:
                out[b, i] = PANS[s["shots"][k]["camera"]]
            before = k
    return out


class ReadOut(nn.Module):
    """Training only: the pan from the features of two frames in a row, and from the visual tokens in the language model."""

    def __init__(self, dim):
        super().__init__()
        self.norm, self.down = nn.LayerNorm(dim), nn.Linear(dim, 64)
        self.pair = nn.Sequential(nn.Linear(128, 192), nn.GELU(), nn.Linear(192, 3))
        self.taps = nn.ModuleList(nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 3)) for _ in TAPS)

    def frames(self, feats, label):
        """feats [B, T, N, D]; label [B, T]."""
        if feats.shape[1] < 2:
            return feats.new_zeros(())
        f = self.down(self.norm(feats.float()))
        o = self.pair(torch.cat([f[:, :-1], f[:, 1:]], -1))                    # [B, T-1, N, 3]
        y = label[:, 1:]
        whole = F.cross_entropy(o.mean(2).flatten(0, 1) * 8, y.flatten(), ignore_index=-1)
        cells = F.cross_entropy(o.flatten(0, 2), y[..., None].expand(o.shape[:3]).flatten(), ignore_index=-1)
        return whole + cells

    def tokens(self, seen, label):
        """seen: the tokens [B, n, D] of every tap; label [B, n]."""
        return sum(F.cross_entropy(m(s.float()).flatten(0, 1), label.flatten(), ignore_index=-1) for m, s in zip(self.taps, seen)) / len(seen)


# ---------------------------------------------------------------------------------------------------------- model
def load(folder, weights=""):
    """The model with its packed weights expanded."""
    import pack
    from safetensors.torch import load_file
    model = base.make_model()
    sd = pack.expand(load_file(weights) if weights else pack.load(folder))
    own = model.state_dict()
    with torch.no_grad():
        for k in own:
            if k != "lm_head.weight":
                own[k].copy_(sd[base.released_name(k)])
    return model


def packed(model):
    import pack
    sd = {base.released_name(k): v.detach().to("cpu", torch.bfloat16).contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    return pack.pack({k: sd[k] for k in sorted(sd)})


def write(model, path):
    from safetensors.torch import save_file
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    save_file({k: v.contiguous() for k, v in packed(model).items()}, path + ".part", metadata={"format": "pt"})
    os.replace(path + ".part", path)
    os.chmod(path, 0o644)


# ---------------------------------------------------------------------------------------------------------- tests
def pan_rows(clips=160, first=base.HELDOUT_BASE + 400_000):
    """Camera questions on held-out clips whose camera pans in the first shot, as the world draws them: both kinds of question."""
    w, rows, seed = base.world(), [], first
    while len(rows) < 2 * clips:
        cuts, seconds = seed % 4 == 0, (2.0, 4.0)[seed % 2]
        spec = w.sample_spec(seed, cuts=cuts, seconds=seconds)
        if spec["camera"] != "static":
            rng = random.Random(seed * 7 + 1)
            for q in [q for q in base.questions(spec, rng) if q["kind"] == "camera"][:2]:
                rows.append(dict(seed=seed, cuts=cuts, seconds=seconds, kind="pan, way" if q["answer"] in ("left", "right") else "pan, yes or no",
                                 question=q["question"], options=[str(o) for o in q["options"]], answer=str(q["answer"])))
        seed += 1
    return rows


def plain_rows(clips=120, first=base.HELDOUT_BASE + 500_000):
    """Held-out clips, asked with the wordings that training does not use."""
    rows = []
    for r in base.heldout_rows(clips, first):
        text = wordings.plain(r["question"], random.Random(0), held=True)
        if text:
            rows.append(dict(r, question=text, options=None))
    return rows


@torch.no_grad()
def answers(fast, tok, rows, dev, T=8, batch=32, wide=False):
    """(row, form, right) of every question; clips drawn at 224x224 or, `wide`, at 192x320 squeezed."""
    g, out = base.group_rows(rows), []
    prefix = torch.tensor(tok.prefix, device=dev)
    for seconds in sorted({k[2] for k in g}):
        keys = [k for k in g if k[2] == seconds]
        for c in range(0, len(keys), batch):
            ks = keys[c:c + batch]
            specs = [base.world().sample_spec(s, cuts=cu, seconds=se) for s, cu, se in ks]
            px = base.preprocess(base.draw_clip(specs, T, dev, *((192, 320) if wide else (224, 224)))).flatten(0, 1)
            if wide:
                px = F.interpolate(px, size=(224, 224), mode="bicubic", antialias=True).clamp(-1, 1)
            feats = fast.vision(px).view(len(ks), -1, fast.T.hidden_size)
            items, tags = zip(*[base.row_items(g[k]) for k in ks])
            pk = base.pack(items, tok)
            ok, _ = base.score(fast, prefix, feats, pk, dev)
            right = {}
            for key, o in zip(map(tuple, pk["own"].tolist()), ok.tolist()):
                right[key] = right.get(key, True) and o
            out += [(tags[b][i][2], tags[b][i][1], bool(o)) for (b, i), o in right.items()]
    return out


def table(found):
    """{kind: {open: [right, asked], choice: [right, asked]}}, with all kinds together and the pans apart."""
    out = {}
    for r, form, ok in found:
        names = [r["kind"], "all"]
        if r["kind"] == "camera":
            names.append("camera, pan" if r["answer"] in ("left", "right", "yes") else "camera, still")
        for n in names:
            t = out.setdefault(n, {}).setdefault(form, [0, 0])
            t[0], t[1] = t[0] + int(ok), t[1] + 1
    return out


def tests(small=0):
    n = small or 240
    rows = base.heldout_rows(n, base.HELDOUT_BASE + 100_000)
    return {"README, 240 clips": (rows, {}), "README, wide": (rows, dict(wide=True)), "pans": (pan_rows(small or 160), {}),
            "pans, wide": (pan_rows(small or 160), dict(wide=True)), "plain wordings": (plain_rows(small or 120), {}),
            "400 held-out rows": (base.heldout_rows(100)[:5 * small or 400], {}),
            "4 frames": (base.heldout_rows(small or 80, base.HELDOUT_BASE + 100_000), dict(T=4)),
            "16 frames": (base.heldout_rows(small or 80, base.HELDOUT_BASE + 100_000), dict(T=16)),
            "32 frames": (base.heldout_rows(small or 48, base.HELDOUT_BASE + 100_000), dict(T=32, batch=8))}


@torch.no_grad()
def evaluate(a, log, until=None):
    dev = torch.device(a.device)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    tok = base.Tok(a.qa)
    models = {"before": load(a.qa), "after": load(a.qa, a.weights or a.out)}
    fast = {n: base.Fast(m.to(dev).eval()) for n, m in models.items()}
    for what, (rows, how) in tests(a.small).items():
        for n in ("after", "before"):
            if until and time.time() > until:
                return
            log.setdefault(n, {})[what] = t = table(answers(fast[n], tok, rows, dev, **how))
            print(n, what, {k: {f: f"{100 * x / y:.1f}% of {y}" for f, (x, y) in v.items()} for k, v in t.items() if k in ("all", "camera", "camera, pan", "pan, way", "pan, yes or no")},
                  flush=True)
        if a.log:
            json.dump(log, open(a.log, "w"), indent=1)


# ----------------------------------------------------------------------------------------------------- made clips
@torch.no_grad()
def made(a):
    """Clips of the video starter: eight frames of each, and the questions that its prompt answers."""
    import clips as clip_tools
    import dit_model
    import sampling
    import score
    from diffusers import AutoencoderKLWan
    t0, dev = time.time(), torch.device(a.device)
    w, tok = base.world(), base.Tok(a.qa)
    vae = AutoencoderKLWan.from_pretrained(os.path.join(a.generator, "vae")).float().to(dev).eval()
    dit, enc = dit_model.build()
    dit_model.load_packed(dit, enc, a.generator)
    dit, enc = dit.to(dev).eval(), enc.to(dev).eval()
    mean, std = (torch.tensor(v, device=dev) for v in (vae.config.latents_mean, vae.config.latents_std))
    words = dit_model.Tokenizer(os.path.join(a.generator, "tokenizer"))
    judge = base.Fast(load(a.qa).to(dev).eval())
    prefix = torch.tensor(tok.prefix, device=dev)
    frames, asked, n, right, total = [], [], 0, 0, 0
    h, wd = a.size[0] // 8, a.size[1] // 8
    while n < a.clips and time.time() - t0 < a.seconds:
        specs = [w.sample_spec(MADE_FIRST + n + i, seconds=2.0) for i in range(a.chunk)]
        text = [w.caption(s, s["seed"] * 16) for s in specs]
        with torch.autocast(dev.type, torch.bfloat16, enabled=dev.type == "cuda"):
            ctx = dit_model.encode_text(enc, words(text).to(dev))
            null = dit_model.encode_text(enc, words([""]).to(dev))
            how = sampling.sample_blocks if (n // a.chunk) % 3 == 2 else sampling.sample_unipc
            z = how(dit, ctx, null, 9, h, wd, a.sampling_steps, 5.0, 4.0, seed=MADE_FIRST + n, batch=a.chunk)
            u8 = score.decode(vae, z, mean, std)[:, [int(i * 32 / 7) for i in range(8)]]
        questions = []
        for s in specs:
            rng = random.Random(s["seed"])
            questions.append([q for q in base.questions(s, rng) if q["kind"] in TOLD])
        x = F.interpolate(base.preprocess(u8).flatten(0, 1), size=(224, 224), mode="bicubic", antialias=True).clamp(-1, 1)
        for k in range(0, len(specs), 32):
            part = questions[k:k + 32]
            vis = judge.vision(x[8 * k:8 * (k + 32)]).view(len(part), -1, judge.T.hidden_size)
            pk = base.pack([[(q["question"], str(q["answer"]), q["kind"], False) for q in r] for r in part], tok)
            ok, _ = base.score(judge, prefix, vis, pk, dev)
            good = {}
            for key, o in zip(map(tuple, pk["own"].tolist()), ok.tolist()):
                good[key] = good.get(key, True) and o
            for b, r in enumerate(part):
                kept = [q for i, q in enumerate(r) if good[(b, i)]]
                right, total = right + len(kept), total + len(r)
                asked.append((kept, text[k + b] if len(kept) == len(r) else ""))
        frames.append(u8.cpu())
        n += len(specs)
    torch.save({"frames": torch.cat(frames), "asked": asked}, a.out + ".part")
    os.replace(a.out + ".part", a.out)
    print(f"made {n} clips, kept {right} of {total} questions, {time.time() - t0:.0f}s", flush=True)


class Made:
    """Batches of made clips, once their file is there."""

    def __init__(self, path, tok, questions, S, dev, rng):
        d = torch.load(path, weights_only=False)
        self.frames, self.asked = d["frames"].to(dev), d["asked"]
        self.tok, self.n, self.S, self.dev, self.rng = tok, questions, S, dev, rng

    def batch(self, size):
        idx = [self.rng.randrange(len(self.asked)) for _ in range(size)]
        pk = base.pack([items_from(*self.asked[i], self.rng, self.n) for i in idx], self.tok, self.S)
        b = {k: pk[k].to(self.dev) for k in ("ids", "off", "seg", "tgt", "wgt", "idx")}
        return dict(b, frames=self.frames[idx], pan=torch.full((size, 8), -1, device=self.dev))


# -------------------------------------------------------------------------------------------------------- training
class Producer(threading.Thread):
    """Draws pictures for several steps at a time, in its own thread and on its own stream."""

    def __init__(self, a, dev):
        super().__init__(daemon=True)
        self.a, self.dev, self.q, self.stop_now, self.error = a, dev, queue.Queue(1), False, None
        self.it = iter(torch.utils.data.DataLoader(
            Stream(a.qa, a.chunk, a.questions, a.text_len, a.seed), batch_size=None, num_workers=a.workers,
            prefetch_factor=6 if a.workers else None, multiprocessing_context="fork" if a.workers else None))
        self.rng, self.buckets = random.Random(a.seed * 31 + 5), {d: [] for d in base.DURATIONS}

    def run(self):
        try:
            stream = torch.cuda.Stream() if self.dev.type == "cuda" else None
            while not self.stop_now:
                with torch.no_grad():
                    if stream:
                        with torch.cuda.stream(stream):
                            item, done = self.pool(), torch.cuda.Event()
                            done.record(stream)
                    else:
                        item, done = self.pool(), None
                self.q.put((item, done))
        except Exception as e:               # handed to the training loop
            self.error = e
            self.q.put((None, None))

    def pool(self):
        a, rng, dev = self.a, self.rng, self.dev
        T, parts = rng.choices([(8, 6), (16, 3), (4, 12), (32, 2)], [0.80, 0.10, 0.06, 0.04])[0]
        parts = max(1, int(parts * a.scale))
        while True:
            sec = max(self.buckets, key=lambda k: len(self.buckets[k]))
            if len(self.buckets[sec]) >= parts * a.pool:
                break
            q = next(self.it)
            self.buckets[q[0]].append(q)
        took, self.buckets[sec] = self.buckets[sec][:parts * a.pool], self.buckets[sec][parts * a.pool:]
        specs = sum((q[1] for q in took), [])
        H, W = rng.choice([(224, 224), (128, 208), (144, 240), (192, 320), (192, 320)]) if not a.small else (64, 96)
        fr, pan = base.draw_clip(specs, T, dev, H, W), pan_labels(specs, T).to(dev)
        C, S, out = len(took[0][1]), took[0][2][0]["ids"].shape[1], []
        for again in range(2):
            for g in range(a.pool):
                pk = [q[2][again] for q in took[g * parts:(g + 1) * parts]]
                b = {k: torch.cat([q[k] for q in pk]) for k in ("ids", "off", "seg", "tgt", "wgt")}
                b["idx"] = torch.cat([q["idx"] + i * C * S for i, q in enumerate(pk)])
                if dev.type == "cuda":
                    b = {k: v.pin_memory().to(dev, non_blocking=True) for k, v in b.items()}
                rows = slice(g * parts * C, (g + 1) * parts * C)
                out.append(dict(b, frames=fr[rows], pan=pan[rows]))
        return out


def train(a):
    t_start, dev = time.time(), torch.device(a.device)
    cuda = dev.type == "cuda"
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(a.seed)
    rng = random.Random(a.seed)
    producer = Producer(a, dev)              # its workers fork before the first use of the GPU
    tok = base.Tok(a.qa)
    model = load(a.qa).to(dev)
    fast = base.Fast(model)
    dtype = torch.bfloat16 if cuda else torch.float32
    D, N = model.config.text_config.hidden_size, ((fast.grid + 1) // 2) ** 2
    readout = ReadOut(D).to(dev)
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad and "post_layernorm" not in n and n != "lm_head.weight"]
    hidden = lambda n, p: p.ndim == 2 and "embed" not in n and "position" not in n
    mats = [p for n, p in named if hidden(n, p)]
    rest = [p for n, p in named if not hidden(n, p)]
    opts = [base.Muon([dict(params=mats)], lr=a.lr_muon, weight_decay=a.wd),
            torch.optim.AdamW([dict(params=rest, weight_decay=0.0), dict(params=readout.parameters(), weight_decay=0.0, lr=1.5e-3)],
                              lr=a.lr_adam, betas=(0.9, 0.95), fused=cuda)]
    rates = [[g["lr"] for g in o.param_groups] for o in opts]
    prefix = torch.tensor(tok.prefix, device=dev)
    producer.start()
    queued, done = producer.q.get()
    if queued is None:
        raise producer.error
    t0 = time.time()
    budget = max(1.0, a.seconds - (t0 - t_start))
    print(f"first pictures at {t0 - t_start:.0f}s", flush=True)
    step, clips, wait, saved, made_clips, hist, from_made = 0, 0, 0.0, t0, None, [], 0
    if done is not None:
        torch.cuda.current_stream().wait_event(done)
    rng.shuffle(queued)
    while (el := (time.time() - t0) / budget) < 1 and not (a.steps and step >= a.steps):
        if a.made and made_clips is None and step % 20 == 0 and os.path.exists(a.made):
            made_clips = Made(a.made, tok, a.questions, a.text_len, dev, rng)
            print(f"{len(made_clips.asked)} made clips from step {step} on", flush=True)
        if made_clips and step % 8 == 7:
            batch = made_clips.batch(max(1, int(96 * a.scale)))
            from_made += len(batch["frames"])
        else:
            if not queued:
                t1 = time.time()
                queued, done = producer.q.get()
                if queued is None:
                    raise producer.error
                wait += time.time() - t1
                if done is not None:
                    torch.cuda.current_stream().wait_event(done)
                rng.shuffle(queued)
            batch = queued.pop()
        if cuda:
            for v in batch.values():
                v.record_stream(torch.cuda.current_stream())
        B, T, H, W, _ = batch["frames"].shape
        with torch.no_grad():
            px = base.preprocess(batch["frames"])
            if (H, W) != (224, 224):
                px = F.interpolate(px.flatten(0, 1), size=(224, 224), mode="bicubic", antialias=True).clamp(-1, 1).view(B, T, 3, 224, 224)
            px = base.augment(px, rng).to(dtype)
        k = min(1.0, (step + 1) / a.warm_up) * (0.5 * (1 + math.cos(math.pi * el)) * 0.99 + 0.01)
        for o, bl in zip(opts, rates):
            for g, l in zip(o.param_groups, bl):
                g["lr"] = l * k
        if dtype != torch.float32:
            fast.use(dtype)
        feats = fast.vision(px.flatten(0, 1)).view(B, T, N, D)
        drawn = bool(a.pan) and T > 1 and batch["pan"] is not None
        pair = readout.frames(feats, batch["pan"]) if drawn and B and (step % 8 != 7 or not made_clips) else None
        vis, label = feats.view(B, T * N, D), batch["pan"][..., None].expand(B, T, N).reshape(B, T * N)
        if rng.random() < 0.35:              # token dropout
            keep = max(8, int(T * N * rng.choice([0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 0.9])))
            share = torch.rand(B, T * N, device=dev)
            if rng.random() < 0.3:           # uneven over the frames, as pruning methods leave it
                share = share * torch.rand(B, T, 1, device=dev).expand(B, T, N).reshape(B, T * N)
            idx = share.topk(keep, 1).indices.sort(1).values
            vis, label = vis.gather(1, idx[..., None].expand(-1, -1, D)), label.gather(1, idx)
        logits, seen = fast.lm_packed(prefix, vis, batch["ids"], batch["off"], batch["seg"], batch["idx"], taps=TAPS)
        ce = F.cross_entropy(logits.float(), batch["tgt"], reduction="none")
        lm = (ce * batch["wgt"]).sum() / batch["wgt"].sum()
        tap = readout.tokens(seen, label) if pair is not None else None
        fade = max(0.1, 1 - el)
        loss = lm if pair is None else lm + a.pan * fade * (pair + tap)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        readout.zero_grad(set_to_none=True)
        clips, step = clips + B, step + 1
        if step % a.every == 0:
            with torch.no_grad():
                words = batch["wgt"] >= 1
                hit = ((logits.argmax(-1) == batch["tgt"]) & words).sum().item() / max(1, int(words.sum()))
            row = [step, round(el, 3), T, vis.shape[1], round(lm.item(), 4), round(pair.item(), 3) if pair is not None else None,
                   round(tap.item(), 3) if tap is not None else None, round(hit, 4)]
            hist.append(row)
            print(f"step {step} {time.time() - t_start:.0f}s T {T} n {row[3]} loss {row[4]} pan in features {row[5]} in tokens {row[6]} right {row[7]} "
                  f"clips {clips} ({clips / (time.time() - t0):.0f}/s) waited {wait:.0f}s", flush=True)
            if not math.isfinite(row[4]):
                raise SystemExit("the loss is not a number; expected finite values, lower the learning rates")
        if time.time() - saved > a.save_every:
            write(model, a.out)
            saved = time.time()
    producer.stop_now = True
    fast.cast = {}
    write(model, a.out)
    if a.final:
        open(a.final, "w").close()
    log = {"settings": {k: v for k, v in vars(a).items() if k not in ("qa", "out", "log", "made", "generator", "weights", "cmd", "final")}, "steps": step, "clips": clips,
           "made clips": from_made, "seconds": round(time.time() - t_start), "curve": hist}
    print(f"done: {step} steps, {clips} clips, {from_made} of them made, {time.time() - t_start:.0f}s", flush=True)
    if a.log:
        json.dump(log, open(a.log, "w"), indent=1)
    if a.test:
        evaluate(a, log, until=t_start + a.seconds + a.test)
    os._exit(0)                              # the drawing thread may wait for the queue


def main():
    p = argparse.ArgumentParser()
    p.add_argument("cmd", choices=["made", "train", "eval"])
    p.add_argument("--qa", required=True)
    p.add_argument("--out", default="")
    p.add_argument("--weights", default="")
    p.add_argument("--generator", default="")
    p.add_argument("--made", default="")
    p.add_argument("--log", default="")
    p.add_argument("--final", default="", help="an empty file, written once the weights of --out are final")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--seconds", type=float, default=400)
    p.add_argument("--test", type=float, default=60, help="seconds for the tests after training")
    p.add_argument("--clips", type=int, default=384)
    p.add_argument("--size", type=int, nargs=2, default=(192, 320))
    p.add_argument("--chunk", type=int, default=16)
    p.add_argument("--pool", type=int, default=8)
    p.add_argument("--questions", type=int, default=8)
    p.add_argument("--text-len", type=int, default=320)
    p.add_argument("--scale", type=float, default=1.0)
    p.add_argument("--workers", type=int, default=6)
    p.add_argument("--sampling-steps", type=int, default=16, help="of made clips")
    p.add_argument("--steps", type=int, default=0, help="end after so many training steps")
    p.add_argument("--seed", type=int, default=21)
    p.add_argument("--lr-muon", type=float, default=1.2e-3)
    p.add_argument("--lr-adam", type=float, default=8e-4)
    p.add_argument("--wd", type=float, default=0.02)
    p.add_argument("--warm-up", type=int, default=40)
    p.add_argument("--pan", type=float, default=0.4, help="weight of the pan read-outs, falling to a tenth")
    p.add_argument("--every", type=int, default=25)
    p.add_argument("--save-every", type=float, default=60)
    p.add_argument("--small", type=int, default=0, help="few clips, small pictures: a trial on a processor")
    a = p.parse_args()
    if a.cmd == "made":
        made(a)
    elif a.cmd == "train":
        train(a)
    else:
        log = {}
        evaluate(a, log)


if __name__ == "__main__":
    main()
