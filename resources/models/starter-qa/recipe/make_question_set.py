"""Draws clips that no model of ours was trained on and writes questions about them for `canopy-cli evaluate`.

    python3 make_question_set.py OUT_DIR [--clips 64] [--first-seed 930000000]

Needs PyTorch, ffmpeg and the recipe of the video starter beside this folder (world.py). Five questions a clip, of five
different kinds, in turn with options and openly. A quarter of the clips has a cut.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "starter-video" / "recipe"))
import world  # noqa: E402

HEIGHT, WIDTH, FPS = 192, 320, 16


def encode(frames, target):
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS),
         "-i", "-", "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-c:v", "libx264", "-preset",
         "veryfast", "-crf", "12", "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709",
         "-color_range", "tv", "-fflags", "+bitexact", str(target)], input=frames, check=True)


def questions(spec, seed, clip, form):
    rng = random.Random(seed * 7 + 3)
    by_kind = {}
    for q in world.qa(spec, rng):
        by_kind.setdefault(q["kind"], []).append(q)
    kinds = sorted(by_kind)
    rng.shuffle(kinds)
    for i, kind in enumerate(kinds[:5]):
        q = rng.choice(by_kind[kind])
        row = dict(video=clip, question=q["question"], answer=str(q["answer"]), kind=kind)
        if q["options"] and (i + form) % 2 == 0:
            options = [str(o) for o in q["options"]]
            rng.shuffle(options)
            row["options"] = options
        yield row


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--clips", type=int, default=64)
    p.add_argument("--first-seed", type=int, default=930_000_000)
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(a.clips):
        seed, cuts, seconds = a.first_seed + i, i % 4 == 0, (2.0, 4.0)[i % 2]
        spec = world.sample_spec(seed, cuts=cuts, seconds=seconds)
        clip = f"clip-{seed}.mp4"
        frames = world.render([spec], int(seconds * FPS) + 1, HEIGHT, WIDTH, "cpu", FPS)[0]
        encode(frames.numpy().tobytes(), a.out / clip)
        rows += questions(spec, seed, clip, i)
    (a.out / "questions.json").write_text(json.dumps(rows, indent=1))
    print(len(rows), "questions,", sum("options" in r for r in rows), "with options,", a.clips, "clips")


if __name__ == "__main__":
    main()
