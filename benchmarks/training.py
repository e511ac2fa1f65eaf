"""CPU time of a training step on one thread, and what was tried to make it and the scoring shorter.

    OMP_NUM_THREADS=1 python benchmarks/training.py data/degraded/bundled_natural --out benchmarks/results/training.csv

Steps of the default preset from step 0 on, drawing of crops and teachers included: round-robin over the rows, median
of the rounds' CPU times. Rows that differ from the first in one thing say what that thing costs or saves. The last two
rows are the packaged metric on a pair of 512 x 384, as it is and with encoders and mask under `torch.compile`, whose
compilation (`start_s`) asks for a C++ compiler; skip it with --no-compile.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

STEP, PAIR = "training step", "pair of 512 × 384"


def _step(
    folder: Path, name: str, overrides: dict[str, Any], *, channels_last: bool = True, bfloat16: bool = False
) -> Callable[[], None]:
    """Return a function that does the next training step."""
    import torch

    from causaliqa.config import PretrainChoices
    from causaliqa.disentangle.batches import BatchSampler
    from causaliqa.disentangle.losses import Noise, training_terms
    from causaliqa.disentangle.model import DisentanglementModel
    from causaliqa.seeding import torch_generator

    choices = PretrainChoices(**overrides)
    torch.manual_seed(0)
    model = DisentanglementModel(choices)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=choices.learning_rate)
    # Draws of its own: on common crops a row would find what teachers remember of them from the row before.
    sampler = BatchSampler([folder], "train", choices, f"benchmark {name}", 0)
    weights = choices.loss.model_dump()
    done = 0

    def step() -> None:
        nonlocal done
        noise = Noise(torch_generator("bottleneck", 0, done), 0.5)
        with torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext():
            terms = training_terms(model, sampler.batch(done), noise)
            total = torch.stack([weights[name] * value for name, value in terms.items() if weights[name] > 0]).sum()
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        done += 1

    return step


def training(folder: Path, rounds: int) -> list[dict[str, object]]:
    """Measure steps of the default and of what differs from it in one thing."""
    settings: dict[str, dict[str, Any]] = {
        "as it is": {"overrides": {}},
        "memory contiguous by channel": {"overrides": {}, "channels_last": False},
        "bfloat16 autocast": {"overrides": {}, "bfloat16": True},
        "teachers without FSIMc": {"overrides": {"teachers": ["mdsi", "vsi", "haarpsi"]}},
        "no teachers": {"overrides": {"loss": {"consensus": 0.0}}},
        "crops of 128 pixels instead of 96": {"overrides": {"crop": 128}},
    }
    entries = [(name, _step(folder, name, **own)) for name, own in settings.items()]
    times: list[list[float]] = [[] for _ in entries]
    for turn in range(rounds + 1):
        for spent, (_, step) in zip(times, entries, strict=True):
            start = time.process_time()
            step()
            if turn:  # the first round warms up
                spent.append(1000 * (time.process_time() - start))
    return [
        {"what": name, "of": STEP, "cpu_ms": round(statistics.median(spent), 1), "start_s": ""}
        for (name, _), spent in zip(entries, times, strict=True)
    ]


def scoring(rounds: int) -> list[dict[str, object]]:
    """Measure the packaged metric with and without torch.compile."""
    import numpy as np
    import torch
    from metrics import pair

    from causaliqa.metric import load_metric

    x, y = (torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32) / 255) for image in pair())
    rows: list[dict[str, object]] = []
    for name, compiled in (("as it is", False), ("torch.compile", True)):
        metric = load_metric()
        if compiled:  # what convolves; pooling goes through NumPy
            for part in ("content", "degradation", "mask"):
                setattr(metric.model, part, torch.compile(getattr(metric.model, part)))
        with torch.no_grad():
            start = time.perf_counter()
            metric(x, y)
            first = time.perf_counter() - start
            spent = []
            for _ in range(rounds):
                begin = time.process_time()
                metric(x, y)
                spent.append(1000 * (time.process_time() - begin))
        rows.append(
            {"what": name, "of": PAIR, "cpu_ms": round(statistics.median(spent), 1), "start_s": round(first, 1)}
        )
    return rows


def table(path: Path) -> str:
    """Return the CSV of a run as a Markdown table."""
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    lines = ["| of | what | CPU, ms | first call, s |", "|---|---|---|---|"]
    lines += [f"| {row['of']} | {row['what']} | {row['cpu_ms']} | {row['start_s'] or '–'} |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a degraded set: what stage degrade wrote")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-compile", action="store_true", help="leave the two rows of scoring out")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    import torch
    from stored import show, write

    torch.set_num_threads(1)
    rows = training(options.folder, options.rounds)
    if not options.no_compile:
        with tempfile.TemporaryDirectory() as cache:  # what an earlier run compiled would be found
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
            rows += scoring(options.rounds)
    show(rows, options.rounds)
    write(rows, options.out)


if __name__ == "__main__":
    main()
