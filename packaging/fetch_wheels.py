#!/usr/bin/env python3
"""Fetches wheels with pip, checks their SHA-256 and unpacks what a C++ program needs of them.

    fetch_wheels.py DEPS_DIR SET...

DEPS_DIR/site      pip's tree: torch/{lib,include,share/cmake,version.py}, nvidia/*, licences
DEPS_DIR/site/.wheels/FILE   written last: this wheel is unpacked here, and its SHA-256
DEPS_DIR/wheels    downloads; each is deleted once unpacked

Interrupted anywhere, the next run goes on from there. Where nothing is missing it does nothing.
Exit status: 0 all there, 3 something could not be fetched, 4 a wheel is not what it should be, 5 no room.
"""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time
import zipfile

# pip matches platform tags exactly, so every tag that one of the wheels carries is named.
PLATFORMS = ["manylinux_2_28", "manylinux_2_27", "manylinux_2_25", "manylinux_2_18", "manylinux_2_17",
             "manylinux2014", "manylinux2010"]
PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
       "--disable-pip-version-check", "--no-cache-dir", "--python-version", "3.11", "--implementation", "cp",
       *(word for tag in PLATFORMS for word in ("--platform", tag + "_x86_64"))]
UNPACKED_PER_DOWNLOADED = 2.6  # largest ratio seen, rounded up


class Wheel:
    def __init__(self, line):
        self.set, megabytes, self.requirement, self.sha256, self.file = line.split()
        self.megabytes = float(megabytes)

    def __str__(self):
        return f"{self.requirement.replace('==', ' ')} ({self.megabytes:.1f} MB)"


def read_list(wanted):
    path = pathlib.Path(__file__).with_name("wheels.txt")
    wheels = [Wheel(line) for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [wheel for wheel in wheels if wheel.set in wanted]


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_kept(name):
    """Of torch the libraries, headers and CMake files; of every wheel its licences; nothing of Python."""
    first, _, rest = name.partition("/")
    if first.endswith(".dist-info"):
        return "license" in rest.lower() or "notice" in rest.lower()
    if first == "torch":
        return rest.startswith(("lib/", "include/", "share/cmake/")) or rest == "version.py"
    return first == "nvidia" and not name.endswith("__init__.py")


def unpack(wheel, archive, site):
    staging = site / f".unpacking-{wheel.file}"
    shutil.rmtree(staging, ignore_errors=True)
    with zipfile.ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            if entry.is_dir() or not is_kept(entry.filename):
                continue
            out = pathlib.Path(zipped.extract(entry, staging))
            out.chmod(0o755 if (entry.external_attr >> 16) & 0o111 else 0o644)
            # The archive's own time: unpacking again must not rebuild what includes these headers.
            packed = time.mktime((*entry.date_time, 0, 0, -1))
            os.utime(out, (packed, packed))
    for source in sorted(staging.rglob("*")):
        if source.is_dir():
            continue
        target = site / source.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    shutil.rmtree(staging)
    marker = site / ".wheels" / wheel.file
    marker.parent.mkdir(exist_ok=True)
    partial = marker.with_name(marker.name + ".partial")
    partial.write_text(wheel.sha256 + "\n")
    os.replace(partial, marker)


def is_unpacked(wheel, site):
    marker = site / ".wheels" / wheel.file
    return marker.is_file() and marker.read_text().strip() == wheel.sha256


def say(text):
    print(text, flush=True)


def fetch(wheel, downloads):
    archive = downloads / wheel.file
    if archive.exists():
        if sha256(archive) == wheel.sha256:
            return archive
        archive.unlink()
    say(f"Fetching {wheel} ...")
    done = subprocess.run([*PIP, "-d", str(downloads), wheel.requirement], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0 or not archive.exists():
        reasons = [line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR")]
        say("pip: " + (reasons[-1] if reasons else f"exit status {done.returncode}"))
        return None
    seen = sha256(archive)
    if seen != wheel.sha256:
        archive.unlink()
        say(f"{wheel.file} has SHA-256 {seen}; expected {wheel.sha256}. It was deleted. Check what serves your "
            "Python packages, and run this again.")
        sys.exit(4)
    return archive


def main():
    deps = pathlib.Path(sys.argv[1])
    site, downloads = deps / "site", deps / "wheels"
    site.mkdir(parents=True, exist_ok=True)
    wheels = read_list(set(sys.argv[2:]))
    if all(is_unpacked(wheel, site) for wheel in wheels):
        return
    with open(deps / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits here
        missing = [wheel for wheel in wheels if not is_unpacked(wheel, site)]
        if not missing:
            return
        total = sum(wheel.megabytes for wheel in missing)
        say(f"To fetch once into {deps}: {', '.join(map(str, missing))}; {total:.0f} MB in all.")
        largest = max(wheel.megabytes for wheel in missing)
        needed = int((total * UNPACKED_PER_DOWNLOADED + largest) * 1e6)
        free = shutil.disk_usage(deps).free
        if free < needed:
            say(f"{free / 1e9:.1f} GB are free there; {needed / 1e9:.1f} GB are needed. Make room, or name another "
                "folder in CANOPY_DEPS_DIR.")
            sys.exit(5)
        downloads.mkdir(exist_ok=True)
        for index, wheel in enumerate(missing):
            archive = fetch(wheel, downloads)
            if archive is None:
                left = missing[index:]
                say(f"Could not fetch {', '.join(map(str, left))}: {sum(w.megabytes for w in left):.0f} MB are "
                    "missing. Connect this machine to the network and run the same command again; what is already "
                    "there is kept.")
                sys.exit(3)
            unpack(wheel, archive, site)
            archive.unlink()
        if not any(downloads.iterdir()):
            downloads.rmdir()


if __name__ == "__main__":
    main()
