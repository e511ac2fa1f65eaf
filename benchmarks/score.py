"""CPU time of the trained metric on one thread, beside piq and our classical metrics, in one run; and a 12 MP pair.

    pip install 'causaliqa[oracle]' && pip install --no-deps torchvision
    OMP_NUM_THREADS=1 python benchmarks/score.py --out benchmarks/results/score.csv

One pair of RGB images, 512 x 384, pixels in memory, as in benchmarks/metrics.py: round-robin, median of the rounds'
CPU times. "known reference" is what each further distorted image of one reference costs. The pair of 4000 x 3000 is
scored in processes of its own, with the most memory that was resident: once from memory, only the scoring timed, and
once by the command line from PNG files, start-up and decoding included.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

#: Metrics that people would take instead; all of them stand in piq.
RIVALS = ("fsim", "fsimc", "vsi", "gmsd", "mdsi")
OURS = "causaliqa"
COLUMNS = ("metric", "by", "pixels", "cpu_ms", "peak_mb")


def small(path: str | None, rounds: int) -> list[dict[str, object]]:
    """Measure the pair of 512 x 384."""
    import numpy as np
    import torch
    from metrics import opponents, pair

    from causaliqa.baselines.registry import METRICS
    from causaliqa.metric import load_metric

    torch.set_num_threads(1)
    metric = load_metric(path)
    first, second = pair()
    x, y = (torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32) / 255) for image in (first, second))
    with torch.inference_mode():
        known = metric.prepare(x)
    entries: list[tuple[str, str, Callable[[], object]]] = [
        ("learned", OURS, lambda: metric(x, y)),
        ("learned, known reference", OURS, lambda: metric.against(known, y)),
        *((name, OURS, lambda function=METRICS[name].function: function(first, second)) for name in RIVALS),  # type: ignore[misc]
        *((name, by, call) for name, by, call in opponents(first, second) if name in RIVALS),
    ]
    times: list[list[float]] = [[] for _ in entries]
    with torch.inference_mode():
        for turn in range(rounds + 1):
            for spent, (_, _, function) in zip(times, entries, strict=True):
                start = time.process_time()
                function()
                if turn:  # the first round warms up
                    spent.append(1000 * (time.process_time() - start))
    return [
        {"metric": name, "by": by, "pixels": "512 × 384", "cpu_ms": round(statistics.median(spent), 2), "peak_mb": ""}
        for (name, by, _), spent in zip(entries, times, strict=True)
    ]


#: What the process that scores a large pair from memory does.
_SCORE = """
import resource, sys, time, torch
from causaliqa.metric import load_metric
torch.set_num_threads(1)
metric = load_metric(sys.argv[1] or None)
x = torch.rand(1, 3, 3000, 4000, generator=torch.Generator().manual_seed(0))
y = 0.9 * x
with torch.inference_mode():
    start = time.process_time()
    metric(x, y)
print(1000 * (time.process_time() - start), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def _large(name: str, spent: list[float], peak: float) -> dict[str, object]:
    return {
        "metric": name, "by": OURS, "pixels": "4000 × 3000", "cpu_ms": round(statistics.median(spent)),
        "peak_mb": round(peak),
    }  # fmt: skip


def large(path: str | None, rounds: int) -> list[dict[str, object]]:
    """Measure the pair of 4000 x 3000."""
    import numpy as np
    from metrics import pair
    from PIL import Image

    said = [
        subprocess.run([sys.executable, "-c", _SCORE, path or ""], check=True, capture_output=True, text=True).stdout
        for _ in range(rounds)
    ]
    inside = [tuple(map(float, line.split())) for line in said]
    # One more process between: the peak of children is that of the largest, and only the command's is asked for.
    watch = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(1000 * (used.ru_utime + used.ru_stime), used.ru_maxrss / 1024)"
    )
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name, f"{index}.png") for index in range(2)]
        for file, image in zip(files, pair(), strict=True):
            Image.fromarray(np.tile(image, (8, 8, 1))[:3000, :4000]).save(file, compress_level=1)
        command = [sys.executable, "-m", "causaliqa", "score", *map(str, files), *(["--metric", path] if path else [])]
        said = [
            subprocess.run([sys.executable, "-c", watch, *command], check=True, capture_output=True, text=True).stdout
            for _ in range(rounds)
        ]
    outside = [tuple(map(float, line.split())) for line in said]
    return [
        _large("learned", [item[0] for item in inside], max(item[1] for item in inside)),
        _large("learned, command line", [item[0] for item in outside], max(item[1] for item in outside)),
    ]


def table(path: Path) -> str:
    """Return the CSV of a run as a Markdown table."""
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    lines = ["| metric | by | pixels | CPU, ms | memory, MB |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append("| " + " | ".join(row[column] or "–" for column in COLUMNS) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metric", help="a metric.safetensors; default: the packaged one")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from stored import show, write

    rows = [*small(options.metric, options.rounds), *large(options.metric, max(1, options.rounds // 5))]
    show(rows, options.rounds)
    write(rows, options.out)


if __name__ == "__main__":
    main()
