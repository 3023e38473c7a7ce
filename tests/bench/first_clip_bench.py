"""Times the default first clip: the diffusers classes in float32 against our engine, interleaved in one run.

    python first_clip_bench.py GENERATION_BENCH MODEL_DIR EXPANDED_DIR [--threads 2] [--rounds 2]

EXPANDED_DIR: the model folder with transformer/ and text_encoder/ expanded by recipe/pack.py. Both sides use the same
weights, prompt, 33 frames at 320 x 192, 16 UniPC steps, guidance 4 and number of threads; loading is left out on both.
Needs torch, diffusers, transformers, sentencepiece.
"""
import json
import os
import statistics
import subprocess
import sys
import time


def option(name, default):
    return type(default)(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


def ours(bench, model, precision, threads):
    out = subprocess.run([bench, "--model", model, "--threads", str(threads), "--precision", precision, "--runs", "2"],
                         check=True, capture_output=True, text=True).stdout
    d = json.loads(out.strip().splitlines()[-1])  # the second run: models are loaded
    return d["text_s"], d["denoise_s"], d["decode_s"], max(d["peak_bytes"].values()), max(d["planned_bytes"].values())


def main():
    bench, model, expanded = sys.argv[1:4]
    threads, rounds = option("--threads", 2), option("--rounds", 2)
    sys.path.insert(0, os.path.join(model, "recipe"))
    import torch
    from diffusers import AutoencoderKLWan, SkyReelsV2Transformer3DModel
    from transformers import UMT5EncoderModel
    import make_reference as reference
    torch.set_num_threads(threads)
    dit = SkyReelsV2Transformer3DModel.from_pretrained(os.path.join(expanded, "transformer")).float().eval()
    vae = AutoencoderKLWan.from_pretrained(os.path.join(expanded, "vae")).float().eval()
    enc = UMT5EncoderModel.from_pretrained(os.path.join(expanded, "text_encoder")).float().eval()

    @torch.no_grad()
    def theirs():
        t0 = time.time()
        null = reference.prompt_embeds(enc, reference.tokenise(expanded, ""))
        ctx = reference.prompt_embeds(enc, reference.tokenise(expanded, "a red balloon rises slowly over the sea at sunset"))
        t1 = time.time()
        o = reference.sync_clip(dit, vae, ctx, null, 33, 16, "unipc", 7, 4.0, 5.0)
        t2 = time.time()
        reference.decode(vae, o["latents"])
        return t1 - t0, t2 - t1, time.time() - t2

    rows = {"diffusers fp32": [], "ours fp32": [], "ours bf16": []}
    for _ in range(rounds):
        rows["ours fp32"].append(ours(bench, model, "fp32", threads))
        rows["ours bf16"].append(ours(bench, model, "bf16", threads))
        rows["diffusers fp32"].append(theirs())
    base = statistics.median(sum(r[:3]) for r in rows["diffusers fp32"])
    print(f"{threads} threads, {rounds} rounds, medians in seconds")
    for name, samples in rows.items():
        text, denoise, decode = (statistics.median(r[i] for r in samples) for i in range(3))
        total = statistics.median(sum(r[:3]) for r in samples)
        memory = "" if name.startswith("diff") else f"  peak {samples[0][3] / 1e6:.0f} MB, planned {samples[0][4] / 1e6:.0f} MB"
        print(f"{name:16} text {text:6.2f}  denoise {denoise:6.2f}  decode {decode:6.2f}  total {total:6.2f}  {base / total:5.2f}x{memory}")


if __name__ == "__main__":
    main()
