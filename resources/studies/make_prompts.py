"""Writes prompts of the drawn world with questions that a viewer of the right clip answers, for `canopy-cli study`.

    python3 make_prompts.py starter-prompts.json [--count 16] [--first-seed 960000001]
    python3 make_prompts.py prompts.json --drawn DIR      also draws the clips: the score that is possible

Training saw no clip of these seeds. Needs PyTorch (world.py of the starter video model draws with it).
"""
import argparse
import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models" / "starter-video" / "recipe"))
import world  # noqa: E402

HEIGHT, WIDTH, FRAMES, FPS = 192, 320, 97, 16
KINDS = ("scene", "time_of_day", "subject", "colour", "count", "direction")


def questions(spec, seed):
    """One of each kind that the clip answers without doubt, in turn with options and openly."""
    rng = random.Random(seed * 7 + 3)
    by_kind = {}
    for q in world.qa(spec, rng):
        by_kind.setdefault(q["kind"], []).append(q)
    for i, kind in enumerate(k for k in KINDS if k in by_kind):
        q = by_kind[kind][0]
        row = dict(question=q["question"], answer=str(q["answer"]), kind=kind)
        if q["options"] and i % 2 == 0:
            row["options"] = [str(o) for o in q["options"]]
        yield row


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--count", type=int, default=16)
    p.add_argument("--first-seed", type=int, default=960_000_001)
    p.add_argument("--drawn", type=pathlib.Path)
    a = p.parse_args()
    rows = []
    for seed in range(a.first_seed, a.first_seed + a.count):
        spec = world.sample_spec(seed, cuts=False, seconds=FRAMES / FPS)
        row = dict(prompt=world.caption(spec, random.Random(seed)), questions=list(questions(spec, seed)))
        if a.drawn:
            a.drawn.mkdir(parents=True, exist_ok=True)
            clip = a.drawn.resolve() / f"clip-{seed}.rgb"
            clip.write_bytes(world.render([spec], FRAMES, HEIGHT, WIDTH, "cpu", FPS)[0].numpy().tobytes())
            row["drawn"] = str(clip)
        rows.append(row)
    a.out.parent.mkdir(parents=True, exist_ok=True)
    a.out.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


main()
