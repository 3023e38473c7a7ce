"""Watches the worker's resident size over many questions on many videos in one process.

    python3 ask_memory.py CANOPY_CLI QUESTIONS.json [--videos 20] [--questions 200]

Takes the first videos of a question set (resources/models/starter-qa/recipe/make_question_set.py) and repeats their
questions until there are enough. Prints the resident size after each tenth and the distance of the last from the plateau
(the median of the second half).
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def worker_of(pid):
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"PPid:\t{pid}\n" in (entry / "status").read_text():
                return int(entry.name)
        except OSError:
            pass
    return None


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("cli")
    p.add_argument("questions", type=pathlib.Path)
    p.add_argument("--videos", type=int, default=20)
    p.add_argument("--questions", dest="count", type=int, default=200)
    a = p.parse_args()
    rows = json.loads(a.questions.read_text())
    videos = list(dict.fromkeys(r["video"] for r in rows))[: a.videos]
    pool = [dict(r, video=str((a.questions.parent / r["video"]).resolve())) for r in rows if r["video"] in videos]
    wanted = [pool[i % len(pool)] for i in range(a.count)]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "q.json").write_text(json.dumps(wanted))
        out = folder / "report.json"
        run = subprocess.Popen([a.cli, "evaluate", str(folder / "q.json"), "--modes", "all", "--out", str(out)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        journal, seen, sizes, worker = folder / "report.json.answers.jsonl", 0, [], None
        while run.poll() is None:
            worker = worker or worker_of(run.pid)
            try:
                answered = sum(1 for _ in journal.open()) - 1
                if worker and answered > seen:
                    seen = answered
                    sizes.append((answered, resident(worker)))
            except OSError:
                pass
            time.sleep(0.02)
        if run.returncode != 0:
            sys.exit(f"evaluate ended with {run.returncode}")
    for answered, size in sizes[:: max(1, len(sizes) // 10)]:
        print(f"{answered:5d} answers  {size / 1e6:8.1f} MB")
    half = [s for _, s in sizes[len(sizes) // 2:]]
    plateau, last = statistics.median(half), sizes[-1][1]
    print(f"plateau {plateau / 1e6:.1f} MB, last {last / 1e6:.1f} MB: {100 * (last / plateau - 1):+.2f} %")


if __name__ == "__main__":
    main()
