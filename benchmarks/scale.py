"""Memory and time of fetching and verifying a large labelled dataset, made of synthetic copies.

python benchmarks/scale.py --images 100000 --jobs 2

Writes one JSON line: images, seconds and peak resident memory of the two commands. Peak memory is the sum of the
largest value of the main process and `jobs` times the largest value of a worker process.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

DISTINCT = 100
LEVELS = 5


def build(folder: Path, images: int) -> None:
    """Write `images` distorted PNG files (hard links to a hundred) of `images / 125` references, and labels.csv."""
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
    (folder / "source").mkdir(parents=True)
    for index in range(DISTINCT):
        noisy = np.clip(base + rng.normal(0, 1 + index, base.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / "source" / f"{index}.png")
    references = max(1, images // 125)
    with (folder / "labels.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image", "reference", "distortion", "level", "score"])
        for reference in range(references):
            home = folder / f"r{reference:05d}"
            home.mkdir()
            os.link(folder / "source/0.png", home / "reference.png")
            for index in range(images // references):
                name = f"{home.name}/{index:04d}.png"
                os.link(folder / "source" / f"{1 + index % (DISTINCT - 1)}.png", folder / name)
                kind, level = f"type{index // LEVELS % 25:02d}", 1 + index % LEVELS
                writer.writerow([name, f"{home.name}/reference.png", kind, level, 100 - index % DISTINCT])


def run(command: list[str]) -> dict[str, float]:
    """Run a command; return its seconds and the peak resident memory of it and of its largest child, MB."""
    watch = (
        "import resource,subprocess,sys;code=subprocess.call(sys.argv[1:]);"
        "print('PEAK',resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss);sys.exit(code)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", watch, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:] or done.stdout[-2000:])
    peak = int(done.stdout.rsplit("PEAK", 1)[1]) / 1024
    return {"seconds": round(time.perf_counter() - start, 1), "peak_mb": round(peak, 1)}


def main() -> None:
    """Build, fetch, verify, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work (several hundred MB); default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        work = Path(name)
        build(work / "mine", options.images)
        (work / "registry.yaml").write_text("{}\n")
        cli = [sys.executable, "-m", "causaliqa", "data"]
        subprocess.run(
            [*cli, "add", "large", str(work / "mine"), "--table", "labels.csv", "--distortion", "distortion",
             "--higher-is-better", "--registry", str(work / "registry.yaml")], check=True, capture_output=True,
        )  # fmt: skip
        jobs = ["--jobs", str(options.jobs), "--root", str(work / "raw")]
        result = {
            "images": options.images,
            "jobs": options.jobs,
            "fetch": run([*cli, "fetch", "large", "--registry", str(work / "registry.yaml"),
                          "--downloads", str(work / "downloads"), *jobs]),
            "verify": run([*cli, "verify", "large", *jobs]),
            "benchmark_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }  # fmt: skip
        print(json.dumps(result))


if __name__ == "__main__":
    main()
