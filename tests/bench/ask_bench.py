"""Times a question about one video: transformers' LlavaOnevisionForConditionalGeneration in float32 against our engine
with the same weights, frames, prompt and number of threads, interleaved in one run.

    python ask_bench.py ASK_BENCH MODEL_DIR FRAMES_FILE [--threads 2] [--rounds 5] [--max-new 96]

MODEL_DIR: resources/models/starter-qa. FRAMES_FILE: a safetensors file with "frames" uint8 [T, S, S, 3]. The first word
is timed from pixels in memory (theirs: normalised before the clock starts) to the first token's id; loading is left out
on both sides. Their steps are plain forward calls with the cache, without generate(). Needs torch, transformers,
safetensors.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

QUESTION = "Describe the video."


def option(name, default):
    return type(default)(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


def expand(model, folder):
    """A copy of the model whose 8-bit rows (weight * SCB / 127) are float32."""
    from safetensors.torch import load_file, save_file
    packed = load_file(os.path.join(model, "model.safetensors"))
    plain = {}
    for name, tensor in packed.items():
        if name.endswith((".SCB", ".weight_format")):
            continue
        scale = packed.get(name[: -len("weight")] + "SCB") if name.endswith(".weight") else None
        plain[name] = (tensor.float() * (scale.float()[:, None] / 127) if scale is not None else tensor.float()).contiguous()
    save_file(plain, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    config = json.load(open(os.path.join(model, "config.json")))
    config.pop("quantization_config", None)
    json.dump(config, open(os.path.join(folder, "config.json"), "w"))
    for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(model, name), folder)


class Theirs:
    def __init__(self, model, frames, max_new):
        import torch
        from safetensors.torch import load_file
        from tokenizers import Tokenizer
        from transformers import LlavaOnevisionForConditionalGeneration
        with tempfile.TemporaryDirectory() as folder:
            expand(model, folder)
            self.model = LlavaOnevisionForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
            tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        pixels = load_file(frames)["frames"].permute(0, 3, 1, 2).float() / 255
        self.pixels = ((pixels - 0.5) / 0.5)[None]
        config = self.model.config
        side = config.vision_config.image_size // config.vision_config.patch_size
        video = self.pixels.shape[1] * ((side + 1) // 2) ** 2 + 1
        before = tokenizer.encode("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n").ids
        after = tokenizer.encode("\n" + QUESTION + "<|im_end|>\n<|im_start|>assistant\n").ids
        self.ids = torch.tensor([before + [config.video_token_id] * video + after])
        self.stop = self.model.generation_config.eos_token_id
        self.max_new = max_new

    def ask(self):
        import torch
        with torch.inference_mode():
            start = time.perf_counter()
            out = self.model(input_ids=self.ids, pixel_values_videos=self.pixels, use_cache=True, logits_to_keep=1)
            ids = [int(out.logits[0, -1].argmax())]
            first = time.perf_counter() - start
            start = time.perf_counter()
            while ids[-1] not in self.stop and len(ids) < self.max_new:
                out = self.model(input_ids=torch.tensor([[ids[-1]]]), past_key_values=out.past_key_values, use_cache=True)
                ids.append(int(out.logits[0, -1].argmax()))
            seconds = time.perf_counter() - start
        return {"first": first, "rate": (len(ids) - 1) / seconds, "ids": ids}


class Ours:
    def __init__(self, bench, model, frames, precision, threads, max_new):
        self.process = subprocess.Popen(
            [bench, "--model", model, "--frames-file", frames, "--precision", precision, "--threads", str(threads),
             "--max-new", str(max_new), "--question", QUESTION, "--serve"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, mode="all", keep=1.0):
        self.process.stdin.write(f"{mode} {keep}\n")
        self.process.stdin.flush()
        a = json.loads(self.process.stdout.readline())
        return {"first": a["first_word_seconds"], "rate": a["decode_tokens_per_second"], "ids": a["ids"],
                "vision": a["vision_seconds"] + a["project_seconds"], "prefill": a["prefill_seconds"],
                "select": a["select_seconds"], "peak": a["peak_bytes"], "planned": a["planned_bytes"],
                "tokens": a["prompt_tokens"]}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    bench, model, frames = sys.argv[1:4]
    threads, rounds, max_new = option("--threads", 2), option("--rounds", 5), option("--max-new", 96)
    import torch
    torch.set_num_threads(threads)
    theirs = Theirs(model, frames, max_new)
    sides = {p: Ours(bench, model, frames, p, threads, max_new) for p in ("fp32", "bf16")}
    rows = {}
    for turn in range(rounds + 1):  # the first turn warms up
        samples = {"transformers fp32": theirs.ask()}
        for precision, side in sides.items():
            samples[f"ours {precision}"] = side.ask()
            samples[f"ours {precision}, forest 25 %"] = side.ask("forest_code", 0.25)
            samples[f"ours {precision}, forest 10 %"] = side.ask("forest_code", 0.1)
        if turn:
            for name, sample in samples.items():
                rows.setdefault(name, []).append(sample)
    for side in sides.values():
        side.close()
    same = rows["ours fp32"][0]["ids"] == rows["transformers fp32"][0]["ids"]
    print(f"{threads} threads, {rounds} rounds, medians; ids of ours fp32 {'equal' if same else 'DIFFER FROM'} theirs")
    base = rows["transformers fp32"]
    for name, samples in rows.items():
        def middle(key, of=samples):
            return statistics.median(s[key] for s in of)
        line = (f"{name:24} first word {1e3 * middle('first'):7.1f} ms ({middle('first', base) / middle('first'):5.2f}x)  "
                f"decode {middle('rate'):7.1f} tokens/s ({middle('rate') / middle('rate', base):5.2f}x)")
        if "prefill" in samples[0]:
            line += (f"  vision {1e3 * middle('vision'):6.1f}  select {1e3 * middle('select'):5.1f}  "
                     f"prefill {1e3 * middle('prefill'):6.1f} ms of {samples[0]['tokens']} tokens  "
                     f"peak {samples[0]['peak'] / 1e6:.0f} MB, planned {samples[0]['planned'] / 1e6:.0f} MB")
        print(line)


if __name__ == "__main__":
    main()
