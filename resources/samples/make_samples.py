"""Draws the sample clips. Needs PyTorch, ffmpeg and the folder of the starter model's recipe, which holds world.py.

    python3 make_samples.py FOLDER_OF_WORLD_PY
"""
import pathlib
import subprocess
import sys

CLIPS = {"boats-at-sunset": 446, "fish-under-the-sea": 76, "balloons-at-sunrise": 8158}
FRAMES, HEIGHT, WIDTH, FPS = 33, 192, 320, 16


def main():
    sys.path.insert(0, sys.argv[1])
    import world

    for name, seed in CLIPS.items():
        spec = world.sample_spec(seed)
        frames = world.render([spec], FRAMES, HEIGHT, WIDTH, "cpu", FPS)[0]
        target = pathlib.Path(__file__).parent / f"{name}.mp4"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}",
             "-r", str(FPS), "-i", "-", "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p",
             "-c:v", "libx264", "-preset", "slow", "-crf", "17", "-color_primaries", "bt709", "-color_trc", "bt709",
             "-colorspace", "bt709", "-color_range", "tv", "-movflags", "+faststart", "-fflags", "+bitexact",
             "-metadata", f"title={world.caption(spec, 1)}", str(target)],
            input=frames.numpy().tobytes(), check=True)
        print(target.name, target.stat().st_size, world.caption(spec, 1))


if __name__ == "__main__":
    main()
