"""Tracked tables, shaped for figures and for reading. Everything here is selection, joining and renaming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causaliqa.baselines.registry import DEEP, LIT, METRICS
from causaliqa.errors import DataError
from causaliqa.evaluate.correlation import LogisticFit
from causaliqa.evaluate.stage import ALL
from causaliqa.figures.points import TESTS, interval_text
from causaliqa.io import read_json, read_parquet, read_tensors
from causaliqa.labelfree import NORM, PREFIX
from causaliqa.tables import quality, read_scores

_TITLES = {name: metric.title for name, metric in (METRICS | LIT | DEEP).items()} | {
    "consensus": "consensus of MDSI, HaarPSI, VSI"
}
_ORDER = {"baseline": 0, "label_free": 1, "supervised": 2, "few_label": 3, "pseudo_mos": 4}
#: What a principal plane of features is computed from at the most: figures of more points say nothing more.
_MAP_POINTS = 4000


@dataclass(frozen=True)
class Results:
    """The tables of stage evaluate.

    Attributes
    ----------
    joint : scope that joins all datasets, or the only dataset.
    """

    correlations: pd.DataFrame
    opinion_free: pd.DataFrame
    severity: pd.DataFrame
    fits: pd.DataFrame
    few_label: pd.DataFrame
    run: dict[str, Any]
    joint: str

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets, in the order of the run."""
        return list(self.run["datasets"])


def load(folder: Path) -> Results:
    """Read the tables of stage evaluate.

    Raises
    ------
    DataError
        If a table is missing or truncated.
    """
    folder = Path(folder)
    run = read_json(folder / "run.json")
    names = list(run["datasets"])

    def table(name: str) -> pd.DataFrame:
        return _labelled(read_parquet(folder / f"{name}.parquet"))

    return Results(
        correlations=table("correlations"),
        opinion_free=table("opinion_free"),
        severity=table("severity"),
        fits=table("fits"),
        few_label=table("few_label"),
        run=run,
        joint=ALL if len(names) > 1 else names[0],
    )


def label(method: str, model: str, seed: int, several_seeds: bool) -> str:
    """Return what a reader sees for a method: ``PSNR``, ``norm · natural/full``."""
    if not model:
        return _TITLES.get(method, method)
    text = f"{method.removeprefix('disentangle-')} · {model}"
    return f"{text} · seed {seed}" if several_seeds else text


def _labelled(table: pd.DataFrame) -> pd.DataFrame:
    several = table.loc[table["model"] != "", "seed"].nunique() > 1 if len(table) else False
    labels = [
        label(str(method), str(model), int(seed), bool(several))
        for method, model, seed in zip(table["method"], table["model"], table["seed"], strict=True)
    ]
    ordered = table.assign(label=labels, rank=table["setting"].map(_ORDER))
    return (
        ordered.sort_values(["rank", "model", "seed", "method"], kind="stable")
        .drop(columns="rank")
        .reset_index(drop=True)
    )


def methods(results: Results, scope: str | None = None) -> pd.DataFrame:
    """Values of every method and test in one scope: ``label, setting, model, method, test, value, low, high``.

    Supervised rows, which are medians over draws of labelled images, carry the spread over draws as low and high.
    """
    chosen = scope or results.joint
    supervised = results.few_label[results.few_label["setting"] == "supervised"]
    table = pd.concat([results.opinion_free, results.correlations, supervised], ignore_index=True)
    table = table[
        (table["scope"] == chosen) & table["setting"].isin(["baseline", "label_free", "supervised", "pseudo_mos"])
    ]
    order = table["setting"].map(_ORDER)
    return table.assign(rank=order).sort_values("rank", kind="stable").drop(columns="rank").reset_index(drop=True)


def wide(table: pd.DataFrame, tests: Sequence[str]) -> pd.DataFrame:
    """One row a method, one column a test: ``.93 [.90, .95]``; a dash where a test was not made."""
    found: dict[str, dict[str, str]] = {}
    for row in table[table["test"].isin(tests)].to_dict("records"):
        text = interval_text(row["value"], row["low"], row["high"], 3)
        found.setdefault(str(row["label"]), {})[str(row["test"])] = text
    return pd.DataFrame(
        [
            {"method": name, **{TESTS[test][0]: values.get(test, "–") for test in tests}}
            for name, values in found.items()
        ]
    )


def tidy(table: pd.DataFrame, tests: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the given tests as numbers, for CSV."""
    columns = ["scope", "method", "setting", "model", "seed", "labels", "test", "value", "low", "high",
               "n_images", "n_references", "n_draws"]  # fmt: skip
    return table.loc[table["test"].isin(tests), columns].reset_index(drop=True)


def severity(results: Results) -> pd.DataFrame:
    """Severity SRCC by type in the joint scope, without the consensus: ``label, distortion, value, low, high``."""
    rows = results.severity[
        (results.severity["scope"] == results.joint) & (results.severity["setting"] != "pseudo_mos")
    ]
    return rows.reset_index(drop=True)


def severity_wide(results: Results) -> pd.DataFrame:
    """One row a type, one column a method."""
    rows = severity(results)
    order = list(dict.fromkeys(rows["label"]))
    grid = rows.pivot_table(index="distortion", columns="label", values="value", sort=True)[order]
    return grid.reset_index().rename(columns={"distortion": "type"}).rename_axis(columns=None)


def widest_model(results: Results, models: Sequence[Path]) -> str:
    """Return the model that single-model figures show: the one trained on most datasets, the first by name of these."""
    trained = trained_on(models)
    names = sorted({str(model) for model in results.opinion_free["model"] if model})
    if not names:
        raise DataError("the evaluation holds no trained model; run stage project first (snakemake stage_project)")
    return min(names, key=lambda name: (-len(trained.get(name, [])), name))


def label_free_method(results: Results, model: str) -> str:
    """Return the default label-free projection of a model: the norm, else the first that no consensus was fitted on."""
    rows = results.opinion_free
    names = sorted(rows.loc[(rows["model"] == model) & (rows["setting"] == "label_free"), "method"].unique())
    names = [name for name in names if name != f"{PREFIX}consensus"] or names
    if not names:
        raise DataError(f"model {model!r} has no label-free scores; run stage project first (snakemake stage_project)")
    return NORM if NORM in names else str(names[0])


def scatter(
    results: Results, paths: Sequence[Path], features: Sequence[Path], model: str, method: str
) -> tuple[pd.DataFrame, dict[str, LogisticFit], dict[str, str]]:
    """Points, fits and notes for the scatter of one label-free score against the pseudo-MOS, test images only.

    Parameters
    ----------
    paths : score tables, among them the method's and the consensus.
    features : feature tables of the model; they say which images are test images.
    """
    scores = read_scores(*paths)
    pick = (scores["model"] == model) & (scores["method"] == method) & (scores["setting"] == "label_free")
    mine = scores[pick & (scores["seed"] == scores.loc[pick, "seed"].min())]
    opinion = scores[scores["setting"] == "pseudo_mos"]
    joined = mine.merge(opinion[["dataset", "image", "score"]], on=["dataset", "image"], suffixes=("", "_opinion"))
    test = pd.concat(
        [read_parquet(path, columns=["dataset", "image", "partition"]) for path in _of_model(features, model)]
    )
    test = test[test["partition"] == "test"][["dataset", "image"]].drop_duplicates()
    joined = joined.merge(test, on=["dataset", "image"])
    joined = joined[joined["distortion"] != "imperceptible"]
    points = joined.assign(score=quality(joined), opinion=joined["score_opinion"])[
        ["dataset", "score", "opinion", "level"]
    ]
    rows = results.fits[
        (results.fits["model"] == model) & (results.fits["method"] == method) & (results.fits["kind"] == "5p")
        & (results.fits["setting"] == "label_free")
    ].drop_duplicates("scope")  # fmt: skip
    fits = {
        str(row["scope"]): LogisticFit(
            "5p",
            tuple(float(row[f"b{i}"]) for i in range(1, 6)),
            bool(row["converged"]),
            float(row["plcc"]),
            float(row["rmse"]),
        )
        for _, row in rows.iterrows()
    }
    values = results.correlations[
        (results.correlations["model"] == model) & (results.correlations["method"] == method)
        & (results.correlations["setting"] == "label_free") & (results.correlations["test"] == "srcc")
    ].drop_duplicates("scope")  # fmt: skip
    notes = {
        str(row["scope"]): f"SRCC {interval_text(float(row['value']), float(row['low']), float(row['high']))}, "
        f"{int(row['n_references'])} reference{'s' if row['n_references'] != 1 else ''}"
        for _, row in values.iterrows()
    }
    return points.sort_values(["dataset", "score", "opinion"]).reset_index(drop=True), fits, notes


def _of_model(paths: Sequence[Path], model: str) -> list[Path]:
    """Feature tables lie in ``<scenario>/<variant>/<seed>/<dataset>.parquet``; take one seed of a model."""
    chosen = [Path(path) for path in paths if "/".join(Path(path).parts[-4:-2]) == model]
    if not chosen:
        raise DataError(
            f"no feature table of model {model!r} was given; pass results/embed/{model}/*/*.parquet with --features"
        )
    seed = min((path.parts[-2] for path in chosen), key=lambda text: (len(text), text))
    return sorted(path for path in chosen if path.parts[-2] == seed)


def few_label(results: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Few-label curves, and the label-free and supervised levels drawn beside them, in the joint scope."""
    few = results.few_label[
        (results.few_label["scope"] == results.joint) & (results.few_label["setting"] == "few_label")
    ]
    few = few[few["seed"] == few["seed"].min()] if len(few) else few
    table = methods(results)
    levels = table[table["setting"].isin(["label_free", "supervised"])]
    levels = levels[levels["seed"] == levels["seed"].min()] if len(levels) else levels
    return few.reset_index(drop=True), levels.reset_index(drop=True)


def _families() -> dict[str, str]:
    from causaliqa.degradations.registry import TYPES

    return {name: distortion.group for name, distortion in TYPES.items()}


def feature_plane(paths: Sequence[Path], model: str) -> tuple[pd.DataFrame, tuple[float, float]]:
    """First two principal components of standardised features of a model's test images, level >= 1.

    Returns
    -------
    points : ``dataset, distortion, family, level, x, y``.
    share : fraction of the variance of each component.
    """
    table = pd.concat([read_parquet(path) for path in _of_model(paths, model)], ignore_index=True)
    names = [name for name in table.columns if len(name) > 1 and name[0] == "d" and name[1].isdigit()]
    table = table[(table["partition"] == "test") & (table["level"] >= 1)].sort_values(["dataset", "image"])
    if table.empty or len(names) < 2:
        return pd.DataFrame(columns=["dataset", "distortion", "family", "level", "x", "y"]), (0.0, 0.0)
    table = table.iloc[:: max(1, len(table) // _MAP_POINTS)].reset_index(drop=True)
    values = table[names].to_numpy(dtype=np.float64)
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    covariance = values.T @ values / len(values)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, [-1, -2]]
    # A component's sign is arbitrary: let the first grow with level, and make the second's largest weight positive.
    plane = values @ axes
    if np.corrcoef(plane[:, 0], table["level"])[0, 1] < 0:
        plane[:, 0] *= -1
    if axes[np.abs(axes[:, 1]).argmax(), 1] < 0:
        plane[:, 1] *= -1
    families = _families()
    points = table[["dataset", "distortion", "level"]].assign(
        family=[families.get(name, "other") for name in table["distortion"]], x=plane[:, 0], y=plane[:, 1]
    )
    total = float(eigenvalues.sum()) or 1.0
    return points, (float(eigenvalues[-1]) / total, float(eigenvalues[-2]) / total)


def model_of(path: Path) -> str:
    """Return ``<scenario>/<variant>`` of a file or folder below ``.../<scenario>/<variant>/<seed>``."""
    parts = Path(path).parts
    at = max((index for index, part in enumerate(parts) if part.isdigit()), default=-1)
    if at < 2:
        raise DataError(f"{path}: expected a path that ends in <scenario>/<variant>/<seed>/...")
    return f"{parts[at - 2]}/{parts[at - 1]}"


def histories(paths: Sequence[Path]) -> pd.DataFrame:
    """Join loss curves, with a column ``model`` in front.

    Raises
    ------
    DataError
        If a file is missing or is not a loss curve.
    """
    parts = []
    for path in paths:
        try:
            table = pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}); run stage pretrain again") from None
        if not {"step", "split", "total"} <= set(table.columns):
            raise DataError(f"{path}: not a loss curve, it lacks step, split or total; run stage pretrain again")
        seed = Path(path).parent.name
        name = model_of(path) + (f" · seed {seed}" if len({Path(item).parent.name for item in paths}) > 1 else "")
        parts.append(table.assign(model=name))
    if not parts:
        return pd.DataFrame(columns=["model", "step", "split", "total"])
    joined = pd.concat(parts, ignore_index=True)
    return joined[["model", *[name for name in joined.columns if name != "model"]]]


def interventions(folder: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Pictures and row labels of one model's interventions.

    Raises
    ------
    DataError
        If the files are missing or disagree.
    """
    tensors = {
        name: tensor.numpy() for name, tensor in read_tensors(Path(folder) / "interventions.safetensors").items()
    }
    labels = list(read_json(Path(folder) / "interventions.json")["labels"])
    if missing := [
        name
        for name in ("reference", "distorted", "restored", "transferred", "mask", "degradation")
        if name not in tensors
    ]:
        raise DataError(f"{folder}: lacks {', '.join(missing)}; run stage embed again")
    if len(labels) != len(tensors["reference"]):
        raise DataError(
            f"{folder}: {len(labels)} labels for {len(tensors['reference'])} pictures; run stage embed again"
        )
    return tensors, labels


def lambda_curves(folders: Sequence[Path]) -> pd.DataFrame:
    """Change of the decoded image over lambda: ``model, label, scale, change``."""
    rows = []
    for folder in folders:
        tensors, labels = interventions(folder)
        if "lambda_curve" not in tensors:
            continue
        for name, curve in zip(labels, tensors["lambda_curve"], strict=True):
            # The dataset is clear from the grid; the reference and the type say which row it is.
            short = " ".join(name.split(" ")[1:3])
            rows += [
                (model_of(folder), short, float(s), float(c)) for s, c in zip(tensors["lambdas"], curve, strict=True)
            ]
    return pd.DataFrame(rows, columns=["model", "label", "scale", "change"])


def intervention_numbers(folders: Sequence[Path]) -> pd.DataFrame:
    """Median over pairs of each measured intervention beside its baseline, for each model."""
    parts = []
    for folder in folders:
        path = Path(folder) / "numbers.csv"
        try:
            table = pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}); run stage embed again") from None
        parts.append(table.assign(model=model_of(Path(folder))))
    if not parts:
        return pd.DataFrame(columns=["model", "intervention", "measure", "pairs", "value", "baseline", "smaller in"])
    table = pd.concat(parts, ignore_index=True)
    # Distances should fall below their baseline; correlations and shares have none to beat.
    distances = table["intervention"].isin(["restore", "restore_floor", "transfer"])
    table["won"] = (table["value"] < table["baseline"]).astype(float).where(distances)
    found = table.groupby(["model", "intervention", "measure"], sort=True).agg(
        pairs=("value", "size"), value=("value", "median"), baseline=("baseline", "median"), won=("won", "mean")
    )
    return found.reset_index().rename(columns={"won": "smaller in"})


def trained_on(models: Sequence[Path]) -> dict[str, list[str]]:
    """Datasets that each model's scenario was trained on, from its ``model.json``."""
    found: dict[str, list[str]] = {}
    for path in models:
        description = read_json(path)
        found[model_of(path)] = [str(name) for name in description.get("datasets", [])]
    return found


def model_table(models: Sequence[Path]) -> pd.DataFrame:
    """One row a trained model: scenario, variant, seed, datasets, size and steps."""
    rows = []
    for path in models:
        description = read_json(path)
        choices = description.get("choices") or {}
        rows.append(
            {
                "model": model_of(path),
                "seed": int(Path(path).parent.name),
                "trained on": ", ".join(description.get("datasets", [])),
                "references": len(description.get("train_references", [])),
                "parameters": int(description.get("parameters", 0)),
                "steps": int(choices.get("steps", 0)),
            }
        )
    return pd.DataFrame(rows, columns=["model", "seed", "trained on", "references", "parameters", "steps"])


def dataset_table(results: Results) -> pd.DataFrame:
    """One row a dataset: domain and counts of the test partition."""
    return pd.DataFrame(
        [
            {
                "dataset": name,
                "domain": item["domain"],
                "test references": item["references"],
                "types": item["types"],
                "test images": item["images"],
                "compositions": item["compositions"],
                "lossless copies": item["imperceptible"],
                "clear pairs": item["preference_pairs"],
            }
            for name, item in results.run["datasets"].items()
        ]
    )  # fmt: skip


def transfer(results: Results, trained: dict[str, list[str]], tests: Sequence[str], method: str = NORM) -> pd.DataFrame:
    """Values of each model's label-free score and of the baselines, dataset by dataset.

    Returns
    -------
    DataFrame ``label, model, setting, dataset, domain, test, value, low, high, n_references, trained``.
    """
    table = pd.concat([results.opinion_free, results.correlations], ignore_index=True)
    table = table[table["scope"].isin(results.datasets) & table["test"].isin(tests)]
    ours = (table["setting"] == "label_free") & (table["method"] == method)
    table = table[ours | (table["setting"] == "baseline")]
    # Models first: they are what transfers.
    table = table.assign(dataset=table["scope"], ours=table["setting"] == "baseline")
    known = [row.dataset in trained.get(str(row.model), []) for row in table.itertuples()]
    order = {name: index for index, name in enumerate(results.datasets)}
    table = table.assign(trained=known, place=table["dataset"].map(order))
    table = table.sort_values(["ours", "model", "seed", "method", "place"], kind="stable")
    columns = [
        "label",
        "model",
        "setting",
        "dataset",
        "domain",
        "test",
        "value",
        "low",
        "high",
        "n_references",
        "trained",
    ]
    return table[columns].reset_index(drop=True)


def transfer_wide(table: pd.DataFrame, test: str) -> pd.DataFrame:
    """One row a method, one column a dataset, for one test; ``*`` marks a dataset that the model was trained on."""
    rows = table[table["test"] == test]
    found: dict[str, dict[str, str]] = {}
    for row in rows.itertuples():
        text = interval_text(float(row.value), float(row.low), float(row.high), 3)  # type: ignore[arg-type]
        found.setdefault(str(row.label), {})[str(row.dataset)] = text + (" *" if row.trained else "")
    datasets = list(dict.fromkeys(rows["dataset"]))
    return pd.DataFrame(
        [{"method": name, **{d: values.get(d, "–") for d in datasets}} for name, values in found.items()]
    )


def transfer_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Average over datasets inside and outside a training scenario, beside the best baseline on the same datasets."""
    rows = []
    base = table[table["setting"] == "baseline"]
    for (name, test), part in table[table["setting"] != "baseline"].groupby(["label", "test"], sort=False):
        for inside, chosen in part.groupby("trained", sort=False):
            means = (
                base[(base["test"] == test) & base["dataset"].isin(chosen["dataset"])].groupby("label")["value"].mean()
            )
            rows.append(
                {
                    "model": name,
                    "test": TESTS[str(test)][0],
                    "datasets": "trained on" if inside else "not trained on",
                    "number": len(chosen),
                    "mean": float(chosen["value"].mean()),
                    "best baseline": str(means.idxmax()) if len(means) else "–",
                    "its mean": float(means.max()) if len(means) else float("nan"),
                }
            )
    return pd.DataFrame(rows, columns=["model", "test", "datasets", "number", "mean", "best baseline", "its mean"])


def rounded(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """Return the table with its floats as text of fixed digits, for display."""
    shown = table.copy()
    for name in shown.columns:
        if pd.api.types.is_float_dtype(shown[name]):
            shown[name] = [f"{value:.{digits}f}" if np.isfinite(value) else "–" for value in shown[name]]
    return shown
