"""A small made-up world in the pipeline's layout: manifests, score tables, features, interventions, loss curves.

True quality is known: ladders fall with level, metrics see it through noise. Nothing here looks like a result.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata

from causaliqa.datasets.shards import MANIFEST_COLUMNS
from causaliqa.disentangle.proofs import EXPECTED, MASK_COLUMNS, PROBE_COLUMNS, SOURCES, VARIANCE_COLUMNS
from causaliqa.io import write_csv, write_json, write_parquet, write_tensors
from causaliqa.seeding import generator
from causaliqa.tables import score_table, write_scores

_FIDELITY = {"psnr": 24.5, "ms_ssim": 0.93}
TYPES = ["gaussian_blur", "jpeg", "white_noise", "mean_shift"]


@dataclass
class World:
    root: Path
    scores: list[Path] = field(default_factory=list)
    manifests: list[Path] = field(default_factory=list)
    members: list[Path] = field(default_factory=list)
    features: list[Path] = field(default_factory=list)
    interventions: list[Path] = field(default_factory=list)
    history: list[Path] = field(default_factory=list)


def manifest(dataset: str, domain: str, references: int, types: list[str], compositions: int = 2) -> pd.DataFrame:
    rows = []
    for index in range(references):
        name = f"{dataset}_{index}"
        partition = "train" if index == 0 else "test"
        rows.append((name, "reference", 0, ""))
        rows += [(name, kind, level, "") for kind in types for level in range(1, 6)]
        rows += [(name, "imperceptible", k, "") for k in range(1, 4)]
        rows += [
            (
                name,
                f"{types[c % len(types)]}@2+{types[(c + 1) % len(types)]}@{c // 4 + 3}",
                0,
                f"{name}/{types[c % len(types)]}/2",
            )
            for c in range(compositions)
        ]
        rows[-(1 + len(types) * 5 + 3 + compositions) :] = [
            (*row, partition) for row in rows[-(1 + len(types) * 5 + 3 + compositions) :]
        ]
    table = pd.DataFrame(rows, columns=["reference", "distortion", "k", "parent", "partition"])
    table["image"] = table["reference"] + "/" + table["distortion"] + "/" + table["k"].astype(str)
    table["level"] = np.where(table["distortion"].isin(types), table["k"], 0)
    table = table.assign(dataset=dataset, domain=domain, grayscale=False, bit_depth=8, sha256="0" * 64)
    return table[MANIFEST_COLUMNS]


def true_quality(table: pd.DataFrame) -> np.ndarray:
    steps = table["level"].to_numpy(dtype=float)
    steps[table["distortion"].str.contains("@", regex=False)] = 4.0
    steps[(table["distortion"] == "imperceptible").to_numpy()] = 0.1
    weight = table["distortion"].map(lambda name: 0.7 + 0.6 * (sum(map(ord, name)) % 7) / 7).to_numpy()
    return -steps * weight


def make_world(
    root: Path, references: tuple[int, ...] = (5, 4, 2), types: list[str] | None = None, draws: int = 3,
    counts: tuple[int, ...] = (5, 20), compositions: int = 2,
) -> World:  # fmt: skip
    world = World(root)
    types = types or TYPES
    names = [("bundled_natural", "natural"), ("bundled_medical", "medical"), ("bundled_document", "document")]
    names += [(f"bundled_more{i}", f"more{i}") for i in range(10)]
    few: dict[str, list[pd.DataFrame]] = {}
    free: dict[str, list[pd.DataFrame]] = {}
    for count, (dataset, domain) in zip(references, names, strict=False):
        table = manifest(dataset, domain, count, types, compositions)
        path = root / "data/degraded" / dataset / "manifest.parquet"
        write_parquet(path, table)
        world.manifests.append(path)
        images = table[table["distortion"] != "reference"].reset_index(drop=True)
        truth = true_quality(images)

        def seen(noise: float, *seed: str, truth: np.ndarray = truth, dataset: str = dataset) -> np.ndarray:
            return truth + noise * generator("world", dataset, *seed).normal(size=len(truth))

        votes = {member: seen(0.3, member) for member in ("mdsi", "haarpsi", "vsi")}
        base = root / "results/baselines" / dataset
        write_scores(
            base / "members.parquet",
            pd.concat(
                [
                    score_table(images, vote, method=m, setting="baseline", higher_is_better=True)
                    for m, vote in votes.items()
                ]
            ),
        )
        consensus = rankdata(np.mean([rankdata(vote) for vote in votes.values()], axis=0))
        consensus = (consensus - 1) / (len(consensus) - 1)
        write_scores(
            base / "consensus.parquet",
            score_table(images, consensus, method="consensus", setting="pseudo_mos", higher_is_better=True),
        )
        baselines = {"psnr": (1.5, True), "ssim": (1.0, True), "ms_ssim": (0.7, True), "gmsd": (0.5, False)}
        write_scores(
            base / "scores.parquet",
            pd.concat(
                [
                    score_table(
                        images, seen(n, m) * (1 if up else -1), method=m, setting="baseline", higher_is_better=up
                    )
                    for m, (n, up) in baselines.items()
                ]
            ),
        )
        world.scores += [base / "scores.parquet", base / "consensus.parquet"]
        world.members.append(base / "members.parquet")
        for model, noise in (("all_domains/full", 0.4), ("natural/full", 0.4 if domain == "natural" else 0.9)):
            free.setdefault(model, []).extend(
                score_table(images, -seen(noise, model, m), method=f"disentangle-{m}", setting="label_free",
                            higher_is_better=False, model=model, seed=0)
                for m in ("pc1", "norm", "mahalanobis")
            )  # fmt: skip
            for regressor in ("ridge", "svr"):
                for labels in counts:
                    few.setdefault(model, []).extend(
                        score_table(images, seen(3 / np.sqrt(labels), model, regressor, str(d)), labels=labels,
                                    method=f"disentangle-{regressor}", setting="few_label", higher_is_better=True,
                                    model=model, seed=0, split=f"draw-{d:02d}")
                        for d in range(draws)
                    )  # fmt: skip
                few[model].extend(
                    score_table(images, seen(0.3 + 0.05 * d, model, regressor, "all"), labels=500,
                                method=f"disentangle-{regressor}", setting="supervised", higher_is_better=True,
                                model=model, seed=0, split=f"draw-{d:02d}")
                    for d in range(draws)
                )  # fmt: skip
            kinds = images["distortion"].map(lambda n: sum(map(ord, n)) % 5).to_numpy()
            features = pd.DataFrame(
                {
                    f"d{s}_mean_{c}": (-seen(0.2, model, str(s), str(c)) * (1 + 0.5 * s)
                                      + 2.0 * kinds * (c == 1)
                                      ).astype(np.float32)
                    for s in range(2) for c in range(3)
                }
            )  # fmt: skip
            path = root / "results/embed" / model / "0" / f"{dataset}.parquet"
            write_parquet(
                path,
                pd.concat(
                    [
                        images[
                            ["dataset", "domain", "image", "reference", "distortion", "level", "parent", "partition"]
                        ],
                        features,
                    ],
                    axis=1,
                ),
            )
            world.features.append(path)
    for model in free:
        write_scores(root / "results/project" / model / "0/scores.parquet", pd.concat(free[model]))
        write_scores(root / "results/regress" / model / "0/scores.parquet", pd.concat(few[model]))
        world.scores += [root / f"results/{stage}" / model / "0/scores.parquet" for stage in ("project", "regress")]
        _training(world, model)
    return world


def _training(world: World, model: str) -> None:
    folder = world.root / "results/pretrain" / model / "0"
    steps = np.arange(0, 600, 50)
    history = pd.DataFrame(
        [
            {"step": int(s), "split": split, "total": 2 * np.exp(-s / 200) + shift, "restore": np.exp(-s / 150) + shift,
             "transfer": np.exp(-s / 250) + shift, "severity": 0.5 * np.exp(-s / 100) + shift}
            for split, shift in (("train", 0.1), ("val", 0.2)) for s in steps
        ]
    )  # fmt: skip
    write_csv(folder / "history.csv", history)
    write_json(folder / "model.json", {"scenario": model.split("/")[0], "datasets": ["bundled_natural"]})
    world.history.append(folder / "history.csv")
    folder = world.root / "results/interventions" / model / "0"
    count, size, curve = 4, 48, 9
    y, x = np.mgrid[0:size, 0:size] / size
    random = generator("pictures", model)
    pictures = torch.from_numpy(
        np.stack(
            [np.stack([0.5 + 0.4 * np.sin(6 * (x * (k + 1) + c) + 4 * y) for c in range(3)]) for k in range(count)]
        )
    ).float()
    noise = torch.from_numpy(random.normal(size=pictures.shape) * 0.1).float()
    lambdas = torch.linspace(0, 2, curve)
    write_tensors(
        folder / "interventions.safetensors",
        {
            "reference": pictures,
            "distorted": (pictures + noise).clamp(0, 1),
            "restored": (pictures + 0.2 * noise).clamp(0, 1),
            "transferred": (pictures + 0.8 * noise).clamp(0, 1),
            "mask": (0.5 + pictures.mean(1)).contiguous(),
            "degradation": noise.abs().mean(1).contiguous(),
            "lambdas": lambdas,
            "lambda_curve": torch.stack([lambdas * (k + 1) / count for k in range(count)]),
        },
    )
    labels = [f"bundled_natural bundled_natural_{k} {TYPES[k % 4]} level {k + 2}" for k in range(count)]
    write_json(folder / "interventions.json", {"labels": labels})
    numbers = [
        ("bundled_natural", f"bundled_natural_{k}", TYPES[k % 4], k + 2, step, "distance", 0.1 + k, 0.15 + k)
        for k in range(count) for step in ("restore", "transfer")
    ]  # fmt: skip
    write_csv(
        folder / "numbers.csv",
        pd.DataFrame(
            numbers,
            columns=["dataset", "reference", "distortion", "level", "intervention", "measure", "value", "baseline"],
        ),
    )
    _proofs(folder, pictures, numbers)
    world.interventions.append(folder)


def _proofs(folder: Path, pictures: torch.Tensor, numbers: list[tuple[object, ...]]) -> None:
    """Files that say how far the disentanglement holds; values are made up."""
    names = ["dataset", "reference", "distortion", "level", "intervention", "measure", "value", "baseline"]
    rows = [(*row[:5], measure, value, value - 0.01) for row in numbers for measure, value in _FIDELITY.items()]
    write_csv(folder / "reconstruction.csv", pd.DataFrame(rows, columns=names))
    probes = [
        {
            "target": target, "source": source, "expected": "succeed" if must else "fail", "measure": "made up",
            "value": 0.8 if must else 0.2, "low": 0.7 if must else 0.1, "high": 0.9 if must else 0.3, "chance": 0.2,
            "permuted": 0.2, "permuted_high": 0.25, "untrained": 0.5, "n_images": 60, "n_references": 3, "n_types": 4,
        }
        for target, expected in EXPECTED.items() for source, must in expected.items()
    ]  # fmt: skip
    write_csv(folder / "probes.csv", pd.DataFrame(probes, columns=PROBE_COLUMNS))
    shares = [
        (source, component, share, share - 0.05, share + 0.05, 0.3, 3, 20)
        for source in SOURCES for component, share in (("content", 0.2), ("recipe", 0.7), ("interaction", 0.1))
    ]  # fmt: skip
    write_csv(folder / "variance.csv", pd.DataFrame(shares, columns=VARIANCE_COLUMNS))
    masks = [
        ("bundled_natural", f"bundled_natural_{k}", scale, channel, 1.0, 0.1, 0.1, -0.5 - 0.1 * k, 1.2, 1.0, 0.8)
        for k in range(3) for scale, channel in ((-1, -1), (0, 0), (0, 1), (1, 0), (1, 1))
    ]  # fmt: skip
    write_csv(folder / "mask.csv", pd.DataFrame(masks, columns=MASK_COLUMNS))
    gray = pictures[:2].mean(1).contiguous()
    write_tensors(
        folder / "mask.safetensors",
        {"reference": pictures[:2].contiguous(), "mask": gray, "contrast": 1 - gray, "classes": (3 * gray).floor()},
    )
    write_json(folder / "mask.json", {"labels": ["bundled_natural one", "bundled_natural two"]})
