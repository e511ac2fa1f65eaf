"""Stage evaluate: score tables in, tidy tables out. Only images of the partition ``test`` count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causaliqa.config import Evaluate
from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.raw import ABOUT, MANIFEST
from causaliqa.errors import DataError
from causaliqa.evaluate import intervals
from causaliqa.evaluate.agreement import Agreement
from causaliqa.evaluate.correlation import LogisticFit, krcc, plcc, srcc
from causaliqa.evaluate.disagreement import gmad_table
from causaliqa.evaluate.labelled import TABLES, labelled_tables
from causaliqa.evaluate.opinion import opinion_metrics
from causaliqa.evaluate.opinion_free import (
    IMPERCEPTIBLE,
    Ladders,
    c_test,
    clear_pairs,
    composition_pairs,
    d_test,
    ladders,
    p_test,
    severity_srcc,
)
from causaliqa.evaluate.rank_average import rank_averages
from causaliqa.evaluate.summary import ALL as ALL
from causaliqa.evaluate.summary import COLUMNS, DRAW_COLUMNS, FIT_COLUMNS, NAME, frame, inputs, small_metrics, summary
from causaliqa.io import atomic_directory, read_json, read_parquet, write_csv, write_json, write_parquet
from causaliqa.labelfree import PREFIX
from causaliqa.progress import progress
from causaliqa.tables import METHOD_COLUMNS, quality, read_scores

#: Files of the output folder. The CSV files feed DVC's plots.
OUTPUTS = (
    "correlations.parquet",
    "opinion_free.parquet",
    "severity.parquet",
    "fits.parquet",
    "few_label.parquet",
    "few_label_draws.parquet",
    "gmad.parquet",
    *(f"{name}.parquet" for name in TABLES),
    "run.json",
    "methods.csv",
    "severity.csv",
    "few_label.csv",
    "opinions.csv",
)


@dataclass
class Subset:
    """The test images of one dataset and what every method is asked about them.

    Attributes
    ----------
    images : manifest rows without references, sorted by image; N rows.
    references : names, sorted; R of them. `cluster` (N,) indexes them.
    opinion : pseudo-MOS, or MOS, of the images `rated` (indices); larger is better.
    pairs : P-test pairs (P, 2); compositions : C-test pairs (C, 2).
    own : multiplicities (B, R) of draws within the dataset, or None if it has too few references.
    offset : where this dataset's references start among those of all datasets.
    """

    name: str
    domain: str
    images: pd.DataFrame
    references: list[str]
    cluster: np.ndarray
    rated: np.ndarray
    opinion: np.ndarray
    ladders: Ladders
    types: np.ndarray
    pairs: np.ndarray
    compositions: np.ndarray
    judged: np.ndarray
    pristine: np.ndarray
    own: np.ndarray | None
    offset: int = 0
    ranks_own: intervals.RankBootstrap | None = None
    ranks_all: intervals.RankBootstrap | None = None


@dataclass
class Parts:
    """Sums over references of one method on one dataset, from which values and all draws follow."""

    subset: Subset
    quality: np.ndarray
    ladder: np.ndarray
    agree: np.ndarray
    agree_count: np.ndarray
    order: np.ndarray
    order_count: np.ndarray
    by_type: np.ndarray


def _read_manifests(paths: Sequence[Path]) -> dict[str, pd.DataFrame]:
    found: dict[str, pd.DataFrame] = {}
    columns = ["dataset", "domain", "image", "reference", "distortion", "level", "parent", "partition"]
    for path in paths:
        table = read_parquet(path, columns=columns)
        for dataset, rows in table.groupby("dataset", sort=True):
            if str(dataset) in found:
                raise DataError(f"{path}: dataset {dataset!r} stands in two manifests; name each once with --manifest")
            chosen = rows[(rows["partition"] == "test") & (rows["distortion"] != REFERENCE)]
            if chosen.empty:
                raise DataError(f"{path}: no reference is in the partition 'test'; lower degrade.partition.train")
            found[str(dataset)] = chosen.sort_values("image").reset_index(drop=True)
    if not found:
        raise DataError("evaluate needs at least one --manifest")
    return dict(sorted(found.items()))


def _aligned(table: pd.DataFrame, images: pd.Series, what: str) -> np.ndarray:
    """Return quality in the order of `images`, shape (N,).

    Raises
    ------
    DataError
        If an image is missing, appears twice or has a score that is not finite.
    """
    names = pd.Index(table["image"].to_numpy())
    if not names.is_unique:
        raise DataError(f"{what}: two scores for image {names[names.duplicated()][0]!r}; give each score table once")
    place = names.get_indexer(pd.Index(images.to_numpy()))
    found = quality(table)
    values = np.where(place >= 0, found[np.maximum(place, 0)], np.nan)
    if not np.isfinite(values).all():
        worst = images.iloc[int(np.flatnonzero(~np.isfinite(values))[0])]
        raise DataError(f"{what}: no finite score for image {worst!r}; run the method's stage again for this dataset")
    return values


def _subset(name: str, images: pd.DataFrame, opinion: pd.DataFrame, members: pd.DataFrame, params: Evaluate) -> Subset:
    references = sorted(images["reference"].unique())
    cluster = np.searchsorted(np.array(references), images["reference"].to_numpy().astype(str))
    lossless = (images["distortion"] == IMPERCEPTIBLE).to_numpy()
    rated = np.flatnonzero(~lossless)
    mine = opinion[opinion["dataset"] == name]
    if mine.empty:
        raise DataError(f"no pseudo_mos or mos rows for dataset {name!r} among --scores; add its consensus.parquet")
    target = _aligned(mine, images["image"].iloc[rated], f"opinion of dataset {name!r}")
    votes = [
        _aligned(rows, images["image"].iloc[rated], f"consensus member {method!r} on dataset {name!r}")
        for method, rows in members[members["dataset"] == name].groupby("method", sort=True)
    ]
    if not votes:
        raise DataError(f"no consensus members for dataset {name!r} among --members; add its members.parquet")
    pairs = clear_pairs(np.stack(votes), params.preference_gap, params.preference_pairs, name, params.seed)
    composed = images["distortion"].str.contains("@", regex=False)
    judged = np.flatnonzero(lossless | (images["level"] >= 1).to_numpy())
    own = None
    if len(references) >= intervals.MINIMUM_REFERENCES:
        own = intervals.draw_multiplicities(len(references), params.bootstrap, name, params.seed)
    steps = ladders(images, cluster)
    subset = Subset(
        name=name,
        domain=str(images["domain"].iloc[0]),
        images=images,
        references=references,
        cluster=cluster,
        rated=rated,
        opinion=target,
        ladders=steps,
        types=np.unique(np.array([distortion for _, distortion in steps.keys], dtype=str)),
        pairs=rated[pairs],
        compositions=composition_pairs(images["image"].tolist(), images["parent"].where(composed, "").tolist()),
        judged=judged,
        pristine=lossless[judged],
        own=own,
    )
    if own is not None:
        subset.ranks_own = intervals.RankBootstrap(target, cluster[rated], own)
    return subset


def _parts(subset: Subset, values: np.ndarray) -> Parts:
    size = len(subset.references)
    cluster = subset.cluster
    steps = severity_srcc(values, subset.ladders)
    owner = np.array([reference for reference, _ in subset.ladders.keys], dtype=np.int64)
    types = np.array([distortion for _, distortion in subset.ladders.keys], dtype=str)
    first, second = cluster[subset.pairs[:, 0]], cluster[subset.pairs[:, 1]]
    cell = first * size + second
    right = p_test(values, subset.pairs).astype(np.float64)
    worse = c_test(values, subset.compositions).astype(np.float64)
    composed = cluster[subset.compositions[:, 0]]
    by_type = np.full((size, len(subset.types)), np.nan)
    by_type[owner, np.searchsorted(subset.types, types)] = steps
    return Parts(
        subset=subset,
        quality=values,
        ladder=np.stack([np.bincount(owner, steps, size), np.bincount(owner, minlength=size)]),
        agree=np.bincount(cell, right, size * size).reshape(size, size),
        agree_count=np.bincount(cell, minlength=size * size).reshape(size, size).astype(np.float64),
        order=np.bincount(composed, worse, size),
        order_count=np.bincount(composed, minlength=size).astype(np.float64),
        by_type=by_type,
    )


def _forms(parts: Sequence[Parts], draws: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the linear and quadratic tests for each draw; `draws` holds one (B, R_d) a dataset."""
    linear = [
        (m @ p.ladder.T, m @ np.stack([p.order, p.order_count], axis=1)) for p, m in zip(parts, draws, strict=True)
    ]
    ladder = np.sum([item[0] for item in linear], axis=0)
    order = np.sum([item[1] for item in linear], axis=0)
    agreed, asked = (
        np.sum(
            [np.einsum("br,rs,bs->b", m, getattr(p, key), m, optimize=True) for p, m in zip(parts, draws, strict=True)],
            axis=0,
        )
        for key in ("agree", "agree_count")
    )
    return {
        "l_test": intervals.ratio(ladder[:, 0], ladder[:, 1]),
        "p_test": intervals.ratio(agreed, asked),
        "c_test": intervals.ratio(order[:, 0], order[:, 1]),
    }


def _joined_d_test(parts: Sequence[Parts], draws: Sequence[np.ndarray] | None) -> np.ndarray:
    """One threshold over all the given datasets; blocks of draws bound the memory."""
    values = np.concatenate([p.quality[p.subset.judged] for p in parts])
    pristine = np.concatenate([p.subset.pristine for p in parts])
    if draws is None:
        return d_test(values, pristine)
    joined = np.concatenate(draws, axis=1)
    offsets = np.cumsum([0, *[m.shape[1] for m in draws]])
    owner = np.concatenate([p.subset.cluster[p.subset.judged] + offsets[i] for i, p in enumerate(parts)])
    rows, inverse = intervals.distinct_draws(joined)
    blocks = [d_test(values, pristine, rows[start : start + 128][:, owner]) for start in range(0, len(rows), 128)]
    return np.asarray(np.concatenate(blocks)[inverse])


def _type_medians(parts: Sequence[Parts], joined: np.ndarray | None) -> tuple[list[str], np.ndarray]:
    """Median over references of each type's severity SRCC: types, and values (1 or B, T)."""
    types = sorted({str(name) for p in parts for name in p.subset.types})
    values = np.full((sum(len(p.by_type) for p in parts), len(types)), np.nan)
    start = 0
    for part in parts:
        stop = start + len(part.by_type)
        values[start:stop, np.searchsorted(types, part.subset.types)] = part.by_type
        start = stop
    if joined is None:
        return types, _median(values[None])
    rows, inverse = intervals.distinct_draws(joined)
    medians = np.empty((len(rows), values.shape[1]))
    longest = rows.sum(axis=1)
    for total in np.unique(longest):
        chosen = np.flatnonzero(longest == total)
        index = np.stack([np.repeat(np.arange(rows.shape[1]), rows[row]) for row in chosen])
        medians[chosen] = _median(values[index])
    return types, medians[inverse]


def _median(values: np.ndarray) -> np.ndarray:
    """Median over axis 1, NaN left out; NaN where nothing is left."""
    if not np.isnan(values).any():
        return np.asarray(np.median(values, axis=1))
    ordered = np.sort(values, axis=1)  # NaN go last
    count = np.isfinite(values).sum(axis=1)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[:, None], axis=1)[:, 0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[1] - 1)[:, None], axis=1)[:, 0]
    return np.where(count > 0, (low + high) / 2.0, np.nan)


@dataclass
class _Tables:
    correlations: list[dict[str, Any]] = field(default_factory=list)
    opinion_free: list[dict[str, Any]] = field(default_factory=list)
    severity: list[dict[str, Any]] = field(default_factory=list)
    fits: list[dict[str, Any]] = field(default_factory=list)
    draws: list[dict[str, Any]] = field(default_factory=list)


def _weighted(values: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over datasets weighted by references; a dataset without references in a draw has weight 0."""
    stacked = np.stack(values)
    weight = np.where(np.isfinite(stacked), np.stack(weights), 0.0)
    return intervals.ratio((np.nan_to_num(stacked) * weight).sum(axis=0), weight.sum(axis=0))


class _Evaluation:
    """One target (pseudo-MOS or MOS) and the draws that all methods share, so that comparisons are paired."""

    def __init__(self, subsets: dict[str, Subset], params: Evaluate) -> None:
        self.subsets = subsets
        self.params = params
        total = 0
        for subset in subsets.values():
            subset.offset = total
            total += len(subset.references)
        self.references = total
        self.joint: np.ndarray | None = None
        if total >= intervals.MINIMUM_REFERENCES:
            self.joint = intervals.draw_multiplicities(total, params.bootstrap, ALL, params.seed)
            for subset in subsets.values():
                subset.ranks_all = intervals.RankBootstrap(
                    subset.opinion, subset.cluster[subset.rated], self._slice(subset, self.joint)
                )

    @staticmethod
    def _slice(subset: Subset, joint: np.ndarray) -> np.ndarray:
        return joint[:, subset.offset : subset.offset + len(subset.references)]

    def _row(
        self, parts: Sequence[Parts], name: dict[str, Any], test: str, value: float,
        samples: np.ndarray | None, n_images: int, distortion: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        whole = len(parts) > 1
        low = high = float("nan")
        if samples is not None:
            low, high = intervals.percentile_interval(samples, self.params.confidence)
        return {
            "scope": ALL if whole else parts[0].subset.name,
            "domain": ALL if whole else parts[0].subset.domain,
            **name,
            "test": test,
            "distortion": distortion,
            "value": value,
            "low": low,
            "high": high,
            "n_images": n_images,
            "n_references": sum(len(part.subset.references) for part in parts),
            "n_draws": 0 if samples is None else int(np.isfinite(samples).sum()),
        }

    def opinion_free(self, tables: _Tables, parts: Sequence[Parts], name: dict[str, Any], consensus: bool) -> None:
        """Add the D-, L-, P- and C-test and the severity SRCC by type, for one dataset or for all joined."""
        ones = [np.ones((1, len(p.subset.references))) for p in parts]
        joined = self.joint if len(parts) > 1 else parts[0].subset.own
        draws = None
        if joined is not None:
            draws = [self._slice(p.subset, joined) for p in parts] if len(parts) > 1 else [joined]
        values = {**_forms(parts, ones), "d_test": _joined_d_test(parts, None)}
        samples = {**_forms(parts, draws), "d_test": _joined_d_test(parts, draws)} if draws is not None else {}
        sizes = {
            "d_test": sum(len(p.subset.judged) for p in parts),
            "l_test": sum(int((p.subset.images["level"] >= 1).sum()) for p in parts),
            "p_test": sum(len(np.unique(p.subset.pairs)) for p in parts),
            "c_test": sum(len(p.subset.compositions) for p in parts),
        }
        for test in ("d_test", "l_test", "p_test", "c_test"):
            # The pairs are those on which the consensus is clear: its own P-test is 1 by construction.
            if np.isfinite(values[test][0]) and not (consensus and test == "p_test"):
                tables.opinion_free.append(
                    self._row(parts, name, test, float(values[test][0]), samples.get(test), sizes[test])
                )
        types, medians = _type_medians(parts, None)
        drawn = _type_medians(parts, joined)[1] if joined is not None else None
        levels = pd.concat([p.subset.images[["distortion", "level"]] for p in parts])
        counts = levels[levels["level"] >= 1]["distortion"].value_counts()
        for index, distortion in enumerate(types):
            spread = None if drawn is None else drawn[:, index]
            tables.severity.append(
                self._row(
                    parts, name, "severity_srcc", float(medians[0, index]), spread, int(counts[distortion]), distortion
                )
            )
        if types:
            spread = None if drawn is None else _median(drawn[:, :, None])[:, 0]
            tables.opinion_free.append(
                self._row(parts, name, "severity_median", float(np.median(medians[0])), spread, sizes["l_test"])
            )

    def correlations(self, tables: _Tables, parts: Sequence[Parts], name: dict[str, Any]) -> None:
        """Add SRCC, KRCC, PLCC and RMSE by dataset and their mean over datasets, weighted by references."""
        values: dict[str, list[float]] = {}
        samples: dict[str, list[np.ndarray]] = {}
        for part in parts:
            subset = part.subset
            x, y, cluster = part.quality[subset.rated], subset.opinion, subset.cluster[subset.rated]
            found = Agreement(x, y, cluster, len(subset.references))
            tables.fits.extend(_fit_row(subset.name, name, fit) for fit in found.fits)
            inside = found.drawn(subset.own, subset.ranks_own) if subset.own is not None and subset.ranks_own else {}
            for test, value in found.values.items():
                tables.correlations.append(self._row([part], name, test, value, inside.get(test), len(x)))
                values.setdefault(test, []).append(value)
            if self.joint is not None and subset.ranks_all is not None:
                for test, draws in found.drawn(self._slice(subset, self.joint), subset.ranks_all).items():
                    samples.setdefault(test, []).append(draws)
        if len(parts) > 1 and len(parts) == len(self.subsets):
            weights = [np.array([float(len(p.subset.references))]) for p in parts]
            joint_weights = (
                [self._slice(p.subset, self.joint).sum(axis=1).astype(float) for p in parts]
                if self.joint is not None
                else []
            )
            images = sum(len(p.subset.rated) for p in parts)
            for test, list_of_values in values.items():
                whole = _weighted([np.array([value]) for value in list_of_values], weights)
                spread = _weighted(samples[test], joint_weights) if test in samples else None
                tables.correlations.append(self._row(parts, name, test, float(whole[0]), spread, images))

    def draw(self, tables: _Tables, parts: Sequence[Parts], name: dict[str, Any], split: str) -> None:
        """Add one few-label draw: point values only, its spread comes from the other draws."""
        groups: list[Sequence[Parts]] = [[part] for part in parts]
        if len(parts) > 1 and len(parts) == len(self.subsets):
            groups.append(parts)
        single: dict[str, list[float]] = {}
        for group in groups:
            ones = [np.ones((1, len(p.subset.references))) for p in group]
            values = {test: float(value[0]) for test, value in _forms(group, ones).items()}
            values["d_test"] = float(_joined_d_test(group, None)[0])
            medians = _type_medians(group, None)[1]
            values["severity_median"] = float(np.median(medians[0])) if medians.size else float("nan")
            if len(group) == 1:
                x, y = group[0].quality[group[0].subset.rated], group[0].subset.opinion
                values |= {"srcc": srcc(x, y), "krcc": krcc(x, y), "plcc_raw": plcc(x, y)}
                for test in ("srcc", "krcc", "plcc_raw"):
                    single.setdefault(test, []).append(values[test])
            else:
                weights = np.array([len(p.subset.references) for p in group], dtype=np.float64)
                values |= {test: float(np.average(found, weights=weights)) for test, found in single.items()}
            head = self._row(group, name, "", 0.0, None, sum(len(p.subset.rated) for p in group))
            for test, value in values.items():
                if np.isfinite(value):
                    row = {**head, "split": split, "test": test, "value": value}
                    tables.draws.append({key: row[key] for key in DRAW_COLUMNS})


def _fit_row(scope: str, name: dict[str, Any], fit: LogisticFit) -> dict[str, Any]:
    parameters = {f"b{i}": float("nan") for i in range(1, 6)} | {f"b{i + 1}": b for i, b in enumerate(fit.parameters)}
    return {
        "scope": scope, **name, "kind": fit.kind, **parameters,
        "converged": fit.converged, "plcc": fit.plcc, "rmse": fit.rmse,
    }  # fmt: skip


def _configurations(scores: pd.DataFrame) -> Iterator[tuple[dict[str, Any], list[tuple[str, pd.DataFrame]]]]:
    """Yield (name of the method, [(split, its rows)]), in a fixed order."""
    for key, rows in scores.groupby(NAME, sort=True):
        name: dict[str, Any] = dict(zip(NAME, np.asarray(key, dtype=object), strict=True))
        splits = [(str(split), part) for split, part in rows.groupby("split", sort=True)]
        yield {**name, "labels": int(name["labels"]), "seed": int(name["seed"])}, splits


def _evaluate(scores: pd.DataFrame, subsets: dict[str, Subset], params: Evaluate, related: frozenset[str]) -> _Tables:
    """Evaluate every method; those `related` to the consensus are not asked to agree with it."""
    evaluation = _Evaluation(subsets, params)
    tables = _Tables()
    configurations = list(_configurations(scores))
    total = sum(len(splits) for _, splits in configurations)
    with progress(total=total, desc="evaluate", unit="method") as bar:
        for name, splits in configurations:
            consensus = name["setting"] in ("pseudo_mos", "mos") or name["method"] in related
            for split, given in splits:
                what = f"method {name['method']!r}" + (f" of model {name['model']!r}" if name["model"] else "")
                parts = [
                    _parts(
                        subsets[str(dataset)],
                        _aligned(part, subsets[str(dataset)].images["image"], f"{what} on {dataset!r}"),
                    )
                    for dataset, part in given.groupby("dataset", sort=True)
                ]
                if name["setting"] == "few_label" or len(splits) > 1:
                    evaluation.draw(tables, parts, name, split)
                else:
                    for part in parts:
                        evaluation.opinion_free(tables, [part], name, consensus)
                    if len(parts) > 1 and len(parts) == len(subsets):
                        evaluation.opinion_free(tables, parts, name, consensus)
                    if not consensus:
                        evaluation.correlations(tables, parts, name)
                bar.update()
    return tables


def run(
    scores: Sequence[Path],
    manifests: Sequence[Path],
    members: Sequence[Path],
    out: Path,
    metrics: Path,
    params: Evaluate,
    labelled: Sequence[Path] = (),
    labelled_scores: Sequence[Path] = (),
    literature: Path | None = None,
) -> str:
    """Evaluate every method of the score tables on the test images; return a one-line summary.

    Parameters
    ----------
    scores : score tables of methods, and of the pseudo-MOS (setting ``pseudo_mos``) or human opinions (``mos``).
    manifests : ``manifest.parquet`` of each degraded set; they say which images are test images.
    members : score tables of the consensus metrics, for the P-test.
    out : folder to write; see :data:`OUTPUTS`.
    metrics : JSON of a few numbers a method, for ``dvc metrics``.
    labelled : ``data/raw/<dataset>`` of sets with published scores; their table is its own.
    labelled_scores : score tables of classical metrics on these sets; `scores` may hold other methods' rows of them.
    literature : published correlations to stand beside ours, see :mod:`causaliqa.evaluate.literature`.

    Raises
    ------
    DataError
        If a table is missing or malformed, a test image lacks a score, or pseudo-MOS and MOS are mixed.
    ConfigError
        If ``evaluate.rank_averages``, ``published`` or ``gmad`` names what is not there.
    """
    images = _read_manifests(manifests)
    known = {(dataset, image) for dataset, table in images.items() for image in table["image"]}
    table = read_scores(*scores)
    votes = read_scores(*members)
    others = [table, read_scores(*labelled_scores)] if labelled_scores else [table]
    joined = pd.concat(others, ignore_index=True)
    names = [*images, *(str(read_json(Path(folder) / ABOUT)["name"]) for folder in labelled)]
    averages = rank_averages(pd.concat([joined, votes], ignore_index=True), params.rank_averages, names)
    joined = pd.concat([joined, averages], ignore_index=True) if len(averages) else joined
    table = pd.concat([table, averages], ignore_index=True) if len(averages) else table
    tables = labelled_tables(labelled, joined, params, literature)
    opinions = tables["opinions"]
    # What shares a metric with the yardstick, or was fitted on it, would agree with it by construction.
    related = frozenset({PREFIX + "consensus"}) | frozenset(
        name for name, metrics_of in params.rank_averages.items() if set(metrics_of) & set(votes["method"])
    )
    table = table[pd.MultiIndex.from_frame(table[["dataset", "image"]]).isin(known)]
    is_opinion = table["setting"].isin(["pseudo_mos", "mos"])
    kinds = sorted(table.loc[is_opinion, "setting"].unique())
    if len(kinds) != 1:
        found = " and ".join(kinds) or "neither"
        raise DataError(
            f"--scores must hold either pseudo_mos or mos rows of the test images, found {found}; evaluate them apart"
        )
    if not (~is_opinion).any():
        raise DataError("--scores holds no method to evaluate on the test images")
    opinion = table[is_opinion]
    subsets = {name: _subset(name, rows, opinion, votes, params) for name, rows in images.items()}
    result = _evaluate(table, subsets, params, related)
    disagreements = gmad_table(pd.concat([table, votes], ignore_index=True), images, params.gmad)

    order = [*NAME, "scope", "test", "distortion"]
    correlations = frame(result.correlations, COLUMNS, order).assign(target=kinds[0])
    opinion_free = frame(result.opinion_free, COLUMNS, order)
    severity = frame(result.severity, COLUMNS, order)
    draws = frame(result.draws, DRAW_COLUMNS, [*NAME, "split", "scope", "test"])
    few = summary(draws)
    with atomic_directory(out) as folder:
        write_parquet(folder / "correlations.parquet", correlations)
        write_parquet(folder / "opinion_free.parquet", opinion_free)
        write_parquet(folder / "severity.parquet", severity)
        write_parquet(folder / "fits.parquet", frame(result.fits, FIT_COLUMNS, [*NAME, "scope", "kind"]))
        write_parquet(folder / "few_label.parquet", few)
        write_parquet(folder / "few_label_draws.parquet", draws)
        write_parquet(folder / "gmad.parquet", disagreements)
        for name, content in tables.items():
            write_parquet(folder / f"{name}.parquet", content)
        write_csv(folder / "opinions.csv", opinions[(opinions["subset"] == "all") & (opinions["distortion"] == "")])
        read = {
            "score table": scores,
            "manifest": manifests,
            "consensus members": members,
            "labelled manifest": [Path(folder) / MANIFEST for folder in labelled],
            "labelled scores": labelled_scores,
            "published scores": [Path(item.csv) for item in params.published.values()],
            "published correlations": [] if literature is None else [literature],
        }
        write_json(folder / "run.json", _run(subsets, params, kinds[0], read))
        joint = ALL if len(subsets) > 1 else next(iter(subsets))
        keep = pd.concat([opinion_free, correlations.drop(columns="target")])
        write_csv(folder / "methods.csv", keep[keep["scope"] == joint])
        write_csv(folder / "severity.csv", severity[severity["scope"] == joint])
        write_csv(folder / "few_label.csv", few[few["scope"] == joint])
    write_json(metrics, {**small_metrics(opinion_free, correlations, few), **opinion_metrics(opinions)})
    configurations = len(table[METHOD_COLUMNS].drop_duplicates())
    return (
        f"{out}: {configurations} methods on {sum(len(s.images) for s in subsets.values())} test images "
        f"of {sum(len(s.references) for s in subsets.values())} references in {len(subsets)} datasets"
    )


def _run(subsets: dict[str, Subset], params: Evaluate, target: str, read: dict[str, Sequence[Path]]) -> dict[str, Any]:
    """Return what was evaluated: counts a dataset and the checksum of every input."""
    return {
        "params": params.model_dump(mode="json"),
        "partition": "test",
        "target": target,
        "minimum_references": intervals.MINIMUM_REFERENCES,
        "datasets": {
            name: {
                "domain": subset.domain,
                "references": len(subset.references),
                "images": len(subset.images),
                "rated_images": len(subset.rated),
                "preference_pairs": len(subset.pairs),
                "compositions": len(subset.compositions),
                "imperceptible": int(subset.pristine.sum()),
                "types": int(subset.images.loc[subset.images["level"] >= 1, "distortion"].nunique()),
            }
            for name, subset in subsets.items()
        },
        "inputs": inputs(read),
    }
