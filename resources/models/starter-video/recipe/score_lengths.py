"""Scores of long and square clips, before and after decoder and question-answering weights were exchanged.

    python score_lengths.py --generator DIR --qa DIR --out FILE --seconds 300 [--vae FILE --judge FILE --final FILE]

The transformer samples first; the new decoder (--vae) and the new question-answering weights (--judge, both packed files) are
read when they are there, so that sampling can run beside their training. The clips are decoded by the new decoder and judged
by both question-answering models; the really drawn clips stand beside them.
"""
import argparse
import json
import os
import time

import torch

import dit_model
import score

# frames, height and width, block after block, prompts for questions, prompts for pixel tests
SETTINGS = ((97, (192, 320), True, 128, 16), (97, (192, 320), False, 128, 16), (33, (192, 320), False, 128, 64), (33, (192, 320), True, 128, 64),
            (33, (256, 256), False, 64, 32), (65, (192, 320), False, 48, 16), (65, (192, 320), True, 48, 16))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--generator", required=True)
    p.add_argument("--qa", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--vae", default="")
    p.add_argument("--judge", default="", help="packed question-answering weights that are judged with too")
    p.add_argument("--final", default="", help="a file that is there once --vae and --judge are final")
    p.add_argument("--seconds", type=float, default=300)
    p.add_argument("--sheet", default="", help="the first 16 prompts at 97 frames, block after block")
    p.add_argument("--only", type=int, nargs="*", default=range(len(SETTINGS)))
    p.add_argument("--few", type=int, default=0, help="at most so many prompts: a trial")
    a = p.parse_args()
    t0 = time.time()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    from diffusers import AutoencoderKLWan
    dit, enc = dit_model.build()
    dit_model.load_packed(dit, enc, a.generator)
    tok = dit_model.Tokenizer(os.path.join(a.generator, "tokenizer"))
    dit, enc = dit.to(device).eval(), enc.to(device).eval()
    out, kept, todo, cost = {}, {}, [SETTINGS[i] for i in a.only], {}
    judges, scenes, vae = {}, {}, None

    def bench(s, judge):
        frames, size, _, general, pixel = s
        if size not in scenes:
            scenes[size] = score.NearestScene(device, size)
        return score.Bench(judge, scenes[size], device, frames, size, min(general, a.few or general), min(pixel, a.few or pixel))

    def work(s):
        """Share of the time that sampling of a setting takes: clips x frames x attention's length."""
        return (s[3] + s[4]) * s[0] * (1 + s[0] / 60) * (1.1 if s[2] else 1.0)

    def left():
        return a.seconds - (time.time() - t0)

    def ready():
        return not a.final or os.path.exists(a.final)

    def judge_kept():
        nonlocal vae
        if vae is None:
            from safetensors.torch import load_file
            vae = AutoencoderKLWan.from_pretrained(os.path.join(a.generator, "vae"))
            if a.vae:
                vae.load_state_dict({k: v.float() for k, v in load_file(a.vae).items()})
            vae = vae.float().to(device).eval()
            judges["model before" if a.judge else "model"] = score.Judge(a.qa, device)
            if a.judge:
                judges["model after"] = score.Judge(a.qa, device, a.judge)
        mean, std = (torch.tensor(v, device=device) for v in (vae.config.latents_mean, vae.config.latents_std))
        for s in list(kept):
            z = kept.pop(s)
            for who, judge in reversed(judges.items()):
                b = bench(s, judge)
                if who == next(reversed(judges)):
                    u8 = b.decoded(z, vae, mean, std, a.sheet if a.sheet and s[0] == 97 and s[2] else None)
                name = b.name(who, s[2], 4.0, 16, 5.0)
                out[name] = b.judged(name, u8)
                json.dump(out, open(a.out, "w"), indent=1)
            print(f"    at {time.time() - t0:.0f} s", flush=True)

    with torch.no_grad():
        while todo:
            if ready():
                judge_kept()
            s = todo[0]
            rate = max((v / work(k) for k, v in cost.items()), default=0)
            if cost and rate * work(s) * 1.1 + 15 > left():
                print("no time for", s, f"{left():.0f} s left", flush=True)
                todo.pop(0)
                continue
            t1 = time.time()
            kept[s] = bench(s, None).latents(tok, dit, enc, blocks=s[2])
            if device.type == "cuda":
                torch.cuda.synchronize()
            cost[s] = time.time() - t1
            print(f"sampled {s} in {cost[s]:.0f} s, at {time.time() - t0:.0f} s", flush=True)
            todo.pop(0)
        while not ready() and left() > 20:
            time.sleep(1)
        judge_kept()
        who, judge = list(judges.items())[-1]
        for s in dict.fromkeys(q[:2] for q in [SETTINGS[i] for i in a.only]):
            if left() < 15:
                break
            frames, size = s
            row = next(q for q in SETTINGS if q[:2] == s)
            b = bench(row, judge)
            specs = b.general + b.pixel
            u8 = torch.cat([score.world.render(specs[k:k + 16], frames, *size, device) for k in range(0, len(specs), 16)])
            for shifted in (False, True):
                name = f"{who}, drawn, {frames} frames {size[1]}x{size[0]}" + (", shifted by one" if shifted else "")
                out[name] = b.judged(name, u8, shifted)
            json.dump(out, open(a.out, "w"), indent=1)
    print(f"done at {time.time() - t0:.0f} s", flush=True)


if __name__ == "__main__":
    main()
