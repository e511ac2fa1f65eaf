"""CPU time of every metric on one thread, beside piq, pyiqa and scikit-image, in one run.

    pip install 'causaliqa[oracle]' && pip install --no-deps torchvision pyiqa
    OMP_NUM_THREADS=1 python benchmarks/metrics.py --out benchmarks/results/metrics.csv

One pair of RGB images, 512 x 384, uint8 for ours and scikit-image, float32 tensors made beforehand for piq and pyiqa.
Each function runs in turn, round after round, so that a disturbance hits all alike; the median of the rounds' CPU times
(of the process, not of the wall) counts. Values stand beside the times: equal names need not be equal variants.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import importlib.util
import os
import statistics
import sys
import time
import types
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402
from skimage import data, metrics, transform  # noqa: E402

from causaliqa.baselines.registry import METRICS  # noqa: E402

Entry = tuple[str, str, Callable[[], float]]


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Return a photograph, 384 x 512, and the same with noise."""
    photo = transform.resize(data.chelsea(), (384, 512), anti_aliasing=True)
    noisy = np.clip(photo + np.random.default_rng(0).normal(0, 0.06, photo.shape), 0, 1)
    first, second = (np.round(image * 255).astype(np.uint8) for image in (photo, noisy))
    return first, second


def opponents(first: np.ndarray, second: np.ndarray) -> list[Entry]:
    """Return the functions of piq and scikit-image that can be had here."""
    found: list[Entry] = [
        ("psnr", "scikit-image", lambda: metrics.peak_signal_noise_ratio(first, second)),
        (
            "ssim",
            "scikit-image, gray, Gaussian window",
            lambda: metrics.structural_similarity(
                first.mean(2), second.mean(2), data_range=255, gaussian_weights=True, sigma=1.5,
                use_sample_covariance=False,
            ),
        ),
    ]  # fmt: skip
    try:
        import torch

        # torchvision without its compiled operators (CPU wheels of torch have no partner): declare what it looks for.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            with contextlib.suppress(RuntimeError):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import piq
    except (ImportError, RuntimeError) as error:
        sys.stderr.write(f"piq is left out: {error}\n")
        return found
    torch.set_num_threads(1)
    x, y = (torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32) / 255) for image in (first, second))
    theirs: dict[str, Callable[..., object]] = {
        "psnr": piq.psnr,
        "ssim_downsampled": piq.ssim,
        "ssim": lambda a, b: piq.ssim(a, b, downsample=False),
        "ms_ssim": piq.multi_scale_ssim,
        "iw_ssim": piq.information_weighted_ssim,
        "vifp": piq.vif_p,
        "fsim": lambda a, b: piq.fsim(a, b, chromatic=False),
        "fsimc": piq.fsim,
        "sr_sim": piq.srsim,
        "gmsd": piq.gmsd,
        "ms_gmsd": piq.multi_scale_gmsd,
        "ms_gmsdc": lambda a, b: piq.multi_scale_gmsd(a, b, chromatic=True),
        "vsi": piq.vsi,
        "mdsi": piq.mdsi,
        "haarpsi": piq.haarpsi,
        "dss": piq.dss,
    }
    for name, function in theirs.items():

        def call(function: Callable[..., object] = function) -> float:
            with torch.no_grad():
                # piq takes the distorted image first: some metrics are not symmetric.
                return float(function(y, x))  # type: ignore[arg-type]

        found.append((name, f"piq {piq.__version__}", call))
    try:
        theirs_mad = _pyiqa("pyiqa.archs.mad_arch").MAD
    except ImportError as error:
        sys.stderr.write(f"pyiqa is left out: {error}\n")
        return found
    # On luma, as the authors define the metric; and on each channel, as is its default.
    for label, judge in (("luma", theirs_mad(test_y_channel=True)), ("channels", theirs_mad())):
        found.append(("mad", f"pyiqa {version('pyiqa')}, {label}", lambda judge=judge: float(judge(y, x))))  # type: ignore[misc]
    return found


def _pyiqa(name: str) -> types.ModuleType:
    """Import a module of pyiqa alone: the package itself imports much that one metric does not need."""
    spec = importlib.util.find_spec("pyiqa")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("it is not installed")
    (root,) = spec.submodule_search_locations
    for package in ("pyiqa", "pyiqa.archs", "pyiqa.utils", "pyiqa.matlab_utils"):
        shell = types.ModuleType(package)
        shell.__path__ = [str(Path(root).joinpath(*package.split(".")[1:]))]
        sys.modules[package] = shell
    return importlib.import_module(name)


def table(path: Path) -> str:
    """Return the CSV of a run as a Markdown table: one row a metric, ours beside the others."""
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    lines = ["| metric | causaliqa, ms | others, ms |", "|---|---|---|"]
    for name in dict.fromkeys(row["metric"] for row in rows):
        ours = next(row["cpu_ms"] for row in rows if row["metric"] == name and row["by"] == "causaliqa")
        others = [f"{row['by']} {row['cpu_ms']}" for row in rows if row["metric"] == name and row["by"] != "causaliqa"]
        lines.append(f"| `{name}` | {ours} | {'; '.join(others) or '–'} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from stored import show, write

    first, second = pair()
    entries: list[Entry] = [
        (name, "causaliqa", lambda function=metric.function: float(function(first, second)))  # type: ignore[misc]
        for name, metric in METRICS.items()
    ]
    entries += opponents(first, second)
    values = [entry[2]() for entry in entries]
    times: list[list[float]] = [[] for _ in entries]
    for _ in range(options.rounds):
        for index, (_, _, function) in enumerate(entries):
            start = time.process_time()
            function()
            times[index].append(1000 * (time.process_time() - start))
    rows = [
        {"metric": name, "by": who, "cpu_ms": round(statistics.median(spent), 2), "value": f"{value:.6g}"}
        for (name, who, _), spent, value in zip(entries, times, values, strict=True)
    ]
    rows.sort(key=lambda row: (list(METRICS).index(str(row["metric"])), row["by"] != "causaliqa", str(row["by"])))
    show(rows, options.rounds)
    write(rows, options.out)


if __name__ == "__main__":
    main()
