"""What a user of PyTorch would otherwise run, beside canopy-bench.

    python baselines.py CANOPY_BENCH [--case "d 0.3"] [--rounds 3] [--json FILE]

An attention case: canopy-bench exports it (32,760 tokens, 12 heads) as safetensors. FlexAttention runs it compiled, its blocks all full
(128 x 128, the kernel options that are fastest among those listed below), and its output is compared with ours. The
processes alternate `rounds` times, since the two do not share one; a figure is the median over all calls. A case "estimate,
S 8" or "estimate, S 16": the choice of blocks by torch.compile of the operators that canopy-bench's "eager" contender runs
one by one, on random inputs of the same size. Needs torch and safetensors.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from torch.nn.attention.flex_attention import BlockMask, flex_attention

OPTIONS = [
    dict(BLOCK_M=128, BLOCK_N=128, num_warps=8, num_stages=2),
    dict(BLOCK_M=128, BLOCK_N=128, num_warps=8, num_stages=3),
    dict(BLOCK_M=128, BLOCK_N=64, num_warps=8, num_stages=3),
    dict(BLOCK_M=128, BLOCK_N=64, num_warps=4, num_stages=3),
    {},
]


def option(name, default):
    return type(default)(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


def times(call, count):
    """Milliseconds of `count` calls by events, after two that do not count."""
    out = []
    for index in range(count + 2):
        before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        before.record()
        call()
        after.record()
        after.synchronize()
        if index >= 2:
            out.append(before.elapsed_time(after))
    return out


def flex_calls(tensors):
    """One call per set of kernel options that compiles: name -> function."""
    q, k, v = (tensors[name].cuda().transpose(1, 2) for name in "qkv")
    chosen = tensors["chosen"].cuda()[None]
    counts = chosen.sum(-1).int()
    ids = torch.argsort(chosen.int(), dim=-1, descending=True, stable=True).int()
    tokens = q.shape[2]
    mask = BlockMask.from_kv_blocks(torch.zeros_like(counts), torch.zeros_like(ids), counts, ids, BLOCK_SIZE=(128, 128),
                                    seq_lengths=(tokens, tokens))
    calls = {}
    for options in OPTIONS:
        compiled = torch.compile(flex_attention, dynamic=False)
        call = lambda compiled=compiled, options=options: compiled(q, k, v, block_mask=mask, kernel_options=dict(options))
        try:
            call()
            torch.cuda.synchronize()
        except Exception as error:  # an option set that does not fit the card's shared memory
            print(f"left out {options}: {str(error).splitlines()[0][:120]}")
            continue
        calls[str(options or "defaults")] = call
    return calls


def estimate(q, k, stride, tau):
    """q, k [L, H, D] bfloat16 to the chosen blocks [H, L / 128, L / 128]."""
    cells = lambda x: x.permute(2, 0, 1, 3).flatten(2)
    scores = cells(q.unflatten(0, (-1, stride)).flip(1)) @ cells(k.unflatten(0, (-1, stride))).transpose(1, 2)
    weights = torch.softmax(scores * (q.shape[2] ** -0.5 / stride), 2, torch.float32)
    weights = weights.unflatten(2, (-1, 128 // stride)).sum(3).unflatten(1, (-1, 128 // stride)).sum(2)
    ordered, order = torch.sort(weights, dim=2, descending=True, stable=True)
    keep = torch.cumsum(ordered, 2) - ordered < weights.sum(2, True) * tau
    return torch.zeros_like(keep).scatter(2, order, keep)


def compare_estimate(bench, case, rounds):
    report = os.path.join(tempfile.mkdtemp(), "ours.json")
    command = [bench, "--no-check", "--quick", "--case", case, "--rounds", "9", "--json", report]
    stride = int(case.split()[-1])
    q, k = (torch.randn(32768, 12, 128, device="cuda", dtype=torch.bfloat16) for _ in "qk")
    compiled = torch.compile(estimate, dynamic=False)
    collected = {}
    for _ in range(rounds):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for contender in json.load(open(report))["timed"][0]["contenders"]:
            collected.setdefault(contender["name"], []).extend(contender["ms"])
        collected.setdefault("torch.compile", []).extend(times(lambda: compiled(q, k, stride, 0.9), 9))
    ours = statistics.median(collected["ours"])
    print(f"{case}: 12 x 32768 x 128, torch {torch.__version__}")
    for name, values in collected.items():
        median = statistics.median(values)
        print(f"  {name:16s} {median:8.3f} ms ({min(values):.3f} to {max(values):.3f})  ours: x{median / ours:.2f}")
    return collected


def compare_attention(bench, case, rounds):
    folder = tempfile.mkdtemp()
    inputs, report = os.path.join(folder, "case.safetensors"), os.path.join(folder, "ours.json")
    ours_command = [bench, "--no-check", "--quick", "--case", case, "--rounds", "9", "--json", report]
    subprocess.run(ours_command + ["--export", inputs], check=True, stdout=subprocess.DEVNULL)
    tensors = load_file(inputs)
    calls = flex_calls(tensors)
    error = None
    for name, call in calls.items():
        out, ours = call().transpose(1, 2).float().cpu(), tensors["out"].float()
        error = ((out - ours).norm() / ours.norm()).item()
        assert error < 1e-2, f"FlexAttention ({name}) and ours differ by {error:.1e} of the norm; expected below 1e-2"
    collected = {}
    for _ in range(rounds):
        subprocess.run(ours_command, check=True, stdout=subprocess.DEVNULL)
        entry = json.load(open(report))["timed"][0]
        for contender in entry["contenders"]:
            collected.setdefault(contender["name"], []).extend(contender["ms"])
        for name, call in calls.items():
            collected.setdefault("FlexAttention " + name, []).extend(times(call, 9))
    flop = next(c["flop"] for c in entry["contenders"] if c["name"] == "ours, lists")
    dense = next(c["flop"] for c in entry["contenders"] if c["name"] == "cuDNN")
    ours = statistics.median(collected["ours, lists"])
    print(f"{case}: {entry['heads']} x {entry['tokens']}, density {entry['density']:.3f}, torch {torch.__version__}; "
          f"FlexAttention against ours: {error:.1e} of the norm")
    for name, values in collected.items():
        median = statistics.median(values)
        rate = (dense if name in ("cuDNN", "ours, dense") else flop) / median * 1e-9
        print(f"  {name:78s} {median:8.3f} ms ({min(values):.3f} to {max(values):.3f}) {rate:6.1f} TFLOP/s  ours, lists: x{median / ours:.2f}")
    return collected


def main():
    case = option("--case", "d 0.3")
    compare = compare_estimate if case.startswith("estimate") else compare_attention
    collected = compare(sys.argv[1], case, option("--rounds", 3))
    if "--json" in sys.argv:
        json.dump(collected, open(option("--json", ""), "w"))


if __name__ == "__main__":
    main()
