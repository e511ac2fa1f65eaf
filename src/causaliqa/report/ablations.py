"""Ablations: variants of the model over seeds, judged by people's scores and by the proofs of disentanglement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from causaliqa.disentangle.proofs import MASK_COLUMNS, NUMBER_COLUMNS, PROBE_COLUMNS
from causaliqa.io import read_json
from causaliqa.labelfree import NORM
from causaliqa.report.disentanglement import read_proofs
from causaliqa.report.opinions import strictest
from causaliqa.report.prepare import model_of

#: The variant that others are compared with.
WHOLE = "full"
#: Columns of :func:`agreement`: mean and standard deviation over seeds; ``delta`` is the mean difference from
#: :data:`WHOLE` with the same seed, ``low, high`` its 95 % interval by Student's t over seeds (empty below two).
COLUMNS = [
    "scenario", "variant", "dataset", "subset", "test", "seeds", "mean", "sd", "least", "largest", "delta", "low",
    "high", "n_images",
]  # fmt: skip
#: What is read off the proofs: title and direction.
PROOFS = {
    "restored": "do(D := 0) nearer to the reference",
    "transferred": "do(D := D_y) nearer to the distorted image",
    "masking": "mask with local contrast, SRCC",
    "identity": "which reference, read from the scored difference",
}
_TESTS = ("srcc", "krcc", "plcc")


def _judged(opinions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of :data:`causaliqa.labelfree.NORM` over whole datasets, with ``scenario`` and ``variant``."""
    rows = opinions[
        opinions["human"].astype(bool)
        & (opinions["method"] == NORM)
        & (opinions["distortion"] == "")
        & opinions["test"].isin(_TESTS)
    ]
    rows = strictest(rows)
    names = rows["model"].str.split("/", n=1, expand=True) if len(rows) else pd.DataFrame(columns=[0, 1])
    return rows.assign(scenario=names[0], variant=names[1])


def single(opinions: pd.DataFrame, test: str = "srcc") -> pd.DataFrame:
    """Return the value of each seed, for the figures: ``scenario, dataset, variant, seed, value``."""
    rows = _judged(opinions)
    rows = rows[rows["test"] == test]
    return rows[["scenario", "dataset", "variant", "seed", "value"]].reset_index(drop=True)


def agreement(opinions: pd.DataFrame) -> pd.DataFrame:
    """Return the agreement of each variant with people's scores over seeds, :data:`COLUMNS`.

    Parameters
    ----------
    opinions : table of stage evaluate. Of a partial copy the original and bit-exact stimuli are taken.
    """
    rows = _judged(opinions)
    found: list[dict[str, Any]] = []
    for key, group in rows.groupby(["scenario", "dataset", "subset", "test"], sort=True):
        grid = group.pivot_table(index="seed", columns="variant", values="value", aggfunc="first")
        for variant in grid.columns:
            values = grid[variant].dropna()
            pairs = (grid[variant] - grid[WHOLE]).dropna() if WHOLE in grid and variant != WHOLE else values[:0]
            low, high = student_interval(pairs.to_numpy())
            found.append(
                dict(zip(["scenario", "dataset", "subset", "test"], key, strict=True))
                | {
                    "variant": variant,
                    "seeds": len(values),
                    "mean": values.mean(),
                    "sd": values.std() if len(values) > 1 else np.nan,
                    "least": values.min(),
                    "largest": values.max(),
                    "delta": pairs.mean() if len(pairs) else np.nan,
                    "low": low,
                    "high": high,
                    "n_images": int(group["n_images"].iloc[0]),
                }
            )
    return pd.DataFrame(found, columns=COLUMNS)


def student_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of the mean of values by Student's t; NaN below two values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half = float(student.ppf(0.5 + confidence / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def proofs(folders: Sequence[Path | str]) -> pd.DataFrame:
    """Return how far the causal claims hold: one row a scenario, variant and seed, columns :data:`PROOFS`.

    Parameters
    ----------
    folders : ``results/interventions/<scenario>/<variant>/<seed>``.

    Raises
    ------
    DataError
        If a file is missing or lacks a column.
    """
    rows = []
    for folder in map(Path, folders):
        scenario, variant = model_of(folder).split("/")
        numbers = read_proofs(folder / "numbers.csv", NUMBER_COLUMNS)
        mask, probes = read_proofs(folder / "mask.csv", MASK_COLUMNS), read_proofs(folder / "probes.csv", PROBE_COLUMNS)
        nearer = {
            name: (part["value"] < part["baseline"]).mean() for name, part in numbers.groupby("intervention", sort=True)
        }
        whole = mask[(mask["scale"] == -1) & (mask["channel"] == -1)]
        told = probes[(probes["target"] == "identity") & (probes["source"] == "pair")]
        rows.append(
            {
                "scenario": scenario,
                "variant": variant,
                "seed": int(folder.name),
                "restored": nearer.get("restore", np.nan),
                "transferred": nearer.get("transfer", np.nan),
                "masking": whole["contrast_srcc"].mean(),
                "identity": told["value"].mean(),
            }
        )
    return pd.DataFrame(rows, columns=["scenario", "variant", "seed", *PROOFS])


def changes(models: Sequence[Path | str]) -> dict[str, str]:
    """Return what each variant changes of :data:`WHOLE`, in the words of ``params.yaml``.

    Parameters
    ----------
    models : ``.../<scenario>/<variant>/<seed>/model.json``.
    """
    choices = {model_of(Path(path)).split("/")[1]: read_json(Path(path))["choices"] for path in models}
    whole = _flat(choices.get(WHOLE, {}))
    found = {}
    for variant, own in choices.items():
        parts = [f"{key}: {_short(value)}" for key, value in _flat(own).items() if whole and whole.get(key) != value]
        found[variant] = "–" if variant == WHOLE else ", ".join(parts)
    return found


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 30 or not isinstance(value, list) else f"{len(value)} of them"


def _flat(choices: dict[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in choices.items() if not isinstance(value, dict)}
    return flat | {f"{key}.{name}": value for key, part in choices.items() if isinstance(part, dict)
                   for name, value in part.items()}  # fmt: skip


def wide(table: pd.DataFrame, told: pd.DataFrame, changed: dict[str, str], test: str = "srcc") -> pd.DataFrame:
    """Return one row a scenario and variant, as a reader wants it: the whole model first, then by what a part is worth.

    Parameters
    ----------
    table, told, changed : from :func:`agreement`, :func:`proofs`, :func:`changes`.
    """
    rows = []
    for (scenario, variant), part in told.groupby(["scenario", "variant"], sort=True):
        row: dict[str, Any] = {"variant": f"{scenario}/{variant}", "changes": changed.get(str(variant), "")}
        own = table[(table["scenario"] == scenario) & (table["variant"] == variant) & (table["test"] == test)]
        for record in own.to_dict("records"):
            item = {str(name): value for name, value in record.items()}
            row[f"{item['dataset']} (n={item['n_images']})"] = _mean(item["mean"], item["sd"]) + _delta(item)
        row |= {PROOFS[name]: _mean(part[name].mean(), part[name].std()) for name in PROOFS}
        row["seeds"] = part["seed"].nunique()
        rows.append((variant != WHOLE, -float(own["mean"].mean()) if len(own) else 0.0, row))
    return pd.DataFrame([row for _, _, row in sorted(rows, key=lambda item: (item[0], item[1], item[2]["variant"]))])


def _mean(mean: float, sd: float) -> str:
    if not np.isfinite(mean):
        return "–"
    return f"{mean:.3f}" + (f" ± {sd:.3f}" if np.isfinite(sd) else "")


def _delta(item: dict[str, Any]) -> str:
    if not np.isfinite(item["delta"]):
        return ""
    # A difference that the seeds alone explain is no finding.
    sure = np.isfinite(item["low"]) and (item["low"] > 0 or item["high"] < 0)
    return f" ({item['delta']:+.3f}{'*' if sure else ''})"
