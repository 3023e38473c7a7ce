"""What the shipped weights have and have not learnt: velocity error apart for subject and other tokens, with right and wrong texts;
scores by guidance; what drawing, encoding and training cost.

    python diagnose.py SECONDS GENERATOR QA OUT [SECTION ...]      for example sampled4.0True: only the score block by block
"""
import argparse, json, os, sys, time, traceback
t0 = time.time()
import torch
import torch.nn.functional as F
import train_dit as T, train_vae, world
import score
from diffusers import AutoencoderKLWan
LIMIT, GENERATOR, QA, OUT = float(sys.argv[1]), *sys.argv[2:5]
def at(): return f"[{time.time()-t0:.1f}s]"
dev = torch.device("cuda")
print(at(), "imports", torch.__version__, torch.cuda.get_device_name(), os.cpu_count(), flush=True)
a = argparse.Namespace(generator=GENERATOR, qa=QA, fresh=False, seed=1, lr=1e-3, lr_muon=2e-3, lr_text=8e-4, ema=0.998, tap=4, readout=0.05, text_readout=0.05, graph=1, b1=160, b2=48)
torch.manual_seed(1)
tr = T.Trainer(a, dev)
vae = AutoencoderKLWan.from_pretrained(a.generator + "/vae").float().to(dev).eval().requires_grad_(False)
mean = torch.tensor(vae.config.latents_mean, device=dev); std = torch.tensor(vae.config.latents_std, device=dev)
judge, nearest = score.Judge(a.qa, dev), score.NearestScene(dev)
print(at(), "loaded", flush=True)
res = {}
def sec(fn):
    if time.time() - t0 > LIMIT: print("skipped", fn.__name__); return
    try: fn()
    except Exception: traceback.print_exc()
    torch.cuda.synchronize(); print(at(), "end of", fn.__name__, flush=True)

def speeds():
    specs = [world.sample_spec(2_000_000 + i) for i in range(64)]
    for fr in (33, 9):
        world.render(specs[:8], fr, 192, 320, dev); torch.cuda.synchronize(); t = time.time()
        x = world.render(specs, fr, 192, 320, dev); torch.cuda.synchronize(); print("render", fr, 64 / (time.time() - t), "clips/s")
        for mode in ("3d", "2d"):
            train_vae.MODE["conv"] = mode
            for b in (16, 32):
                with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
                    train_vae.encode_full(vae, train_vae.to_float(x[:b])); torch.cuda.synchronize(); t = time.time()
                    for k in range(0, 64, b): train_vae.encode_full(vae, train_vae.to_float(x[k:k + b]))
                    torch.cuda.synchronize(); print("encode", fr, mode, b, 64 / (time.time() - t), "clips/s", flush=True)
    train_vae.MODE["conv"] = "3d"
    from torch.profiler import profile, ProfilerActivity
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16), profile(activities=[ProfilerActivity.CUDA]) as p:
        train_vae.encode_full(vae, train_vae.to_float(x[:16])); torch.cuda.synchronize()
    print(p.key_averages().table(sort_by="cuda_time_total", row_limit=9, max_name_column_width=70)[-2600:])

D = {}
def data():
    for n, first in (("train", 0), ("held", 95_000_000)):
        D[n] = T.encode_clips(vae, dev, first, 128, mean, std, 33, t0 + 1e6); tr.add_ids(D[n])
    h = D["held"]
    specs = [world.sample_spec(95_000_000 + i) for i in range(128)]
    print("subject share", (h["kind"] > 0).float().mean().item())
    # picture of the labels
    x = world.render(specs[:8], 33, 192, 320, dev)[:, ::8].float() / 127.5 - 1
    m = (h["kind"][:8, ::2] > 0).float().repeat_interleave(16, 2).repeat_interleave(16, 3)[..., None]
    train_vae.save_sheet(x * (0.5 + 0.5 * m), OUT + "/labels.jpg")

def diagnose():
    h = D["held"]
    def swap(caps):
        out = []
        for c, s in zip(caps, range(128)):
            sp = world.sample_spec(95_000_000 + s); col = sp["subjects"][0]["colour"]
            names = world.COLOUR_NAMES; other = names[(names.index(col) + 3) % 8]
            out.append(c.replace(col, other, 1))
        return out
    cap = [c[0] for c in h["text"]]
    variants = {"right": cap, "other colour": swap(cap), "left/right swapped": [c.replace("left", "#").replace("right", "left").replace("#", "right") for c in cap],
                "no text": [""] * len(cap), "another clip's": cap[1:] + cap[:1]}
    L = (0.3, 0.5, 0.7, 0.9, 0.97)
    r = T.held_out(tr.dit, tr.enc, tr, D["train"], D["train"]["ids"][:, 0], levels=L); res["trained clips"] = r; print("trained-on clips, right text", r)
    for k, v in variants.items():
        r = T.held_out(tr.dit, tr.enc, tr, h, tr.tok(v).to(dev), levels=L); res[k] = r; print("held-out,", k, r, flush=True)

general, pixel = score.general_specs(128), score.pixel_specs(64)
def drawn():
    u = torch.cat([world.render((general + pixel)[k:k + 32], 33, 192, 320, dev) for k in range(0, 192, 32)])
    for sh in (False, True):
        res["drawn" if not sh else "chance"] = score.show("drawn" if not sh else "chance", score.scene_scores(general, u[:128], nearest, sh), judge(general, u[:128], sh), score.pixel_scores(pixel, u[128:], sh))
    rt = []
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        for k in range(0, 192, 16):
            z, _ = train_vae.encode_full(vae, train_vae.to_float(u[k:k + 16]))
            rt.append(score.decode(vae, (z - mean) / std, mean, std))
    rt = torch.cat(rt)
    res["through the autoencoder"] = score.show("through the autoencoder", score.scene_scores(general, rt[:128], nearest), judge(general, rt[:128]), score.pixel_scores(pixel, rt[128:]))

def sampled(g, causal=False):
    def fn():
        d, e = tr.dit, tr.enc
        res[f"sampled {g} {causal}"] = T.score_model("sampled", tr, d, e, vae, mean, std, judge, nearest, general, pixel, guidance=g, causal=causal, sheet=f"{OUT}/shipped_{g}.jpg" if g == 4.0 and not causal else None)
    fn.__name__ = f"sampled{g}{causal}"
    return fn

def training():
    from torch.nn.attention import sdpa_kernel
    torch._dynamo.config.recompile_limit = 64
    T.BLOCK_FN["fn"] = torch.compile(T.block_fwd, dynamic=False)
    tr.set_rates(0.1, 4.0, 3.0, 0.99)
    with sdpa_kernel(T.choose_attention(dev), set_priority=True):
        for name, cfg in list(T.configs(a).items())[:3]:
            for _ in range(3): tr.run(name, D["train"], cfg)
            torch.cuda.synchronize(); t = time.time()
            for _ in range(10): tr.run(name, D["train"], cfg)
            torch.cuda.synchronize(); dt = (time.time() - t) / 10
            print(name, cfg, f"{dt * 1000:.0f} ms = {cfg[0] / dt:.0f} clips/s", flush=True)
    T.BLOCK_FN["fn"] = T.block_fwd

for f in (speeds, data, diagnose, sampled(4.0), drawn, sampled(1.5), sampled(7.0), sampled(4.0, True), training):
    if not sys.argv[5:] or f.__name__ in sys.argv[5:]: sec(f)   # training last: it changes the weights
json.dump(res, open(OUT + "/probe.json", "w"), indent=0)
print(at(), "done", flush=True)
