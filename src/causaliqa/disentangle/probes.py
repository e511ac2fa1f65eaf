"""Is the disentanglement real? Linear probes on the codes, and what explains their variance.

Test references, distortion types and levels are fully crossed, so that content and recipe say nothing about each other:
what a probe reads out of a code is in the code. A probe is a ridge regression to indicators (class) or to the level,
its penalty chosen inside the training folds. Beside each value stand chance, the same probe on permuted labels, and the
same probe on a network of the same form that was never trained: convolutions with random weights carry much already.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.shards import DegradedSet
from causaliqa.disentangle.features import to_tensor
from causaliqa.disentangle.interventions import centre_crop, choose_references
from causaliqa.disentangle.masking import mask_maps, mask_rows, write_maps
from causaliqa.disentangle.model import DisentanglementModel
from causaliqa.disentangle.proofs import EXPECTED, MASK_COLUMNS, PROBE_COLUMNS, SOURCES, VARIANCE_COLUMNS
from causaliqa.disentangle.training import load_model
from causaliqa.evaluate.intervals import MINIMUM_REFERENCES, draw_multiplicities, percentile_interval
from causaliqa.io import write_csv
from causaliqa.progress import progress
from causaliqa.seeding import derive_seed, generator, make_deterministic

#: Penalties tried, on standardised features; the middle one where there is nothing to choose on.
_PENALTIES = np.logspace(-1, 6, 8)
_FOLDS = 5
_PERMUTATIONS = 20
_DRAWS = 1000
_CONFIDENCE = 0.95
#: References whose mask is shown.
_SHOWN = 3


def crossed(stored: Sequence[DegradedSet], chosen: pd.DataFrame) -> pd.DataFrame:
    """Return the images of chosen references whose type and level all of them have.

    Parameters
    ----------
    chosen : columns ``set`` (position in `stored`) and ``reference``.

    Returns
    -------
    DataFrame
        ``set, image, reference, distortion, level, content, recipe``; the last two are what is crossed. Compositions
        are left out. Empty where there is less than two references and two types to cross.
    """
    parts = [
        item.manifest[(item.manifest["level"] > 0) & item.manifest["reference"].isin(names)].assign(set=index)
        for index, item in enumerate(stored)
        for names in [chosen.loc[chosen["set"] == index, "reference"]]
    ]
    table = pd.concat(parts, ignore_index=True)
    table["content"] = table["dataset"] + "/" + table["reference"]
    table["recipe"] = table["distortion"] + "@" + table["level"].astype(str)
    shared = table.groupby("recipe")["content"].transform("nunique") == len(chosen)
    table = table[shared].sort_values(["set", "content", "distortion", "level"]).reset_index(drop=True)
    if table["content"].nunique() < 2 or table["distortion"].nunique() < 2:
        table = table.iloc[:0]
    return table[["set", "image", "reference", "distortion", "level", "content", "recipe"]]


def _pool(features: list[Tensor]) -> np.ndarray:
    """Mean and root mean square of every scale and channel, (F,)."""
    parts = [part for x in features for part in (x.mean(dim=(2, 3)), (x.square().mean(dim=(2, 3)) + 1e-6).sqrt())]
    return torch.cat(parts, dim=1)[0].numpy().astype(np.float64)


class Coder:
    """Pooled codes of a model's distorted images, one reference after the other.

    Parameters
    ----------
    model : anything with ``content, mask, degradation, origin`` as
        :class:`causaliqa.disentangle.model.DisentanglementModel`.
    scales : scales of the content code; what follows in ``content`` is the image itself, which the decoder changes.
    """

    def __init__(self, model: DisentanglementModel, scales: int) -> None:
        self._model = model
        self._scales = scales
        self._mask: list[Tensor] = []
        self._reference: Tensor | None = None
        self._known: list[Tensor] = []
        self.codes: dict[str, list[np.ndarray]] = {source: [] for source in SOURCES}

    def reference(self, x: Tensor) -> None:
        """Take the reference (1,3,H,W) of the images that follow."""
        self._reference, self._known = x, self._model.degradation(x)
        self._mask = self._model.mask(self._model.content(x), self._known)

    def add(self, y: Tensor) -> None:
        """Append the codes of a distorted image (1,3,H,W)."""
        assert self._reference is not None, "reference comes first"
        degradation = self._model.degradation(y)
        origin = self._model.origin(self._reference, self._known, y)
        masked = [m * d for m, d in zip(self._mask, degradation, strict=True)]
        pair = [m * (d - o) for m, d, o in zip(self._mask, degradation, origin, strict=True)]
        content = self._model.content(y)[: self._scales]
        for source, features in zip(SOURCES, (content, degradation, masked, pair), strict=True):
            self.codes[source].append(_pool(features))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the codes as (N, F) by source."""
        return {source: np.stack(rows) for source, rows in self.codes.items()}


def _folds(groups: np.ndarray, *seed: str | int) -> list[np.ndarray]:
    """Split into parts that share no group: boolean masks of the held-out images."""
    names = np.unique(groups)
    count = min(_FOLDS, len(names))
    place = np.empty(len(names), dtype=np.int64)
    place[generator("probe folds", *seed).permutation(len(names))] = np.arange(len(names)) % count
    at = place[np.searchsorted(names, groups)]
    return [at == fold for fold in range(count)]


def _ridge(x: np.ndarray, y: np.ndarray, at: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Predict (A, M, T) at `at` (M, F) by ridge regressions with A penalties from x (N, F) to targets y (N, T)."""
    middle, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-12, spread, 1.0)
    u, s, vt = np.linalg.svd((x - middle) / spread, full_matrices=False)
    mean = y.mean(axis=0)
    inner = u.T @ (y - mean)
    outer = ((at - middle) / spread) @ vt.T
    return np.stack([(outer * (s / (s**2 + penalty))) @ inner + mean for penalty in penalties])


def cross_predict(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Predict held-out groups; the penalty of each target set is chosen by groups inside the training part.

    Parameters
    ----------
    x : (N, F).
    y : (N, P, K), P sets of K targets that share a penalty: the labels, and permutations of them.
    groups : (N,), kept whole.

    Returns
    -------
    array (N, P, K)
    """
    count, sets, width = y.shape
    flat = y.reshape(count, sets * width)
    found = np.empty_like(flat)
    for number, held in enumerate(_folds(groups, "outer")):
        train = ~held
        inside = groups[train]
        best = np.full(sets, len(_PENALTIES) // 2)
        if len(np.unique(inside)) > 1:
            error = np.zeros((len(_PENALTIES), sets))
            for part in _folds(inside, "inner", number):
                guess = _ridge(x[train][~part], flat[train][~part], x[train][part], _PENALTIES)
                error += ((guess - flat[train][part]) ** 2).reshape(len(_PENALTIES), -1, sets, width).sum(axis=(1, 3))
            best = error.argmin(axis=0)
        guesses = _ridge(x[train], flat[train], x[held], _PENALTIES).reshape(len(_PENALTIES), -1, sets, width)
        chosen = np.take_along_axis(guesses, best[None, None, :, None], axis=0)[0]
        found[held] = chosen.reshape(len(chosen), -1)
    return found.reshape(y.shape)


def _shuffled(values: np.ndarray, blocks: np.ndarray, *seed: str | int) -> np.ndarray:
    """Permute values inside blocks: what is crossed with the blocks stays balanced."""
    rng = generator("probe permutation", *seed)
    order = np.lexsort((rng.random(len(values)), blocks))
    out = np.empty_like(values)
    out[np.argsort(blocks, kind="stable")] = values[order]
    return out


def _class_scores(x: np.ndarray, label: np.ndarray, groups: np.ndarray, blocks: np.ndarray, number: int) -> np.ndarray:
    """Whether each image's class is found, (1 + permutations, N): the labels first."""
    names = np.unique(label)
    sets = [label, *(_shuffled(label, blocks, k) for k in range(number))]
    indices = np.stack([np.searchsorted(names, item) for item in sets], axis=1)
    predicted = cross_predict(x, np.eye(len(names))[indices], groups).argmax(axis=2)
    return np.asarray((predicted == indices).T, dtype=np.float64)


def _level_scores(x: np.ndarray, level: np.ndarray, groups: np.ndarray, blocks: np.ndarray, number: int) -> np.ndarray:
    """Squared errors of the predicted level, (1 + permutations, N)."""
    sets = np.stack([level, *(_shuffled(level, blocks, k) for k in range(number))], axis=1)
    return np.asarray((cross_predict(x, sets[..., None], groups)[..., 0] - sets).T ** 2)


def _by_reference(values: np.ndarray, contents: np.ndarray) -> np.ndarray:
    """Mean over the images of each reference: (..., N) -> (..., R)."""
    _, at = np.unique(contents, return_inverse=True)
    counts = np.bincount(at)
    sums = np.stack([np.bincount(at, weights=row, minlength=len(counts)) for row in np.atleast_2d(values)])
    return np.asarray(sums / counts)


def probe(x: np.ndarray, rows: pd.DataFrame, target: str, permutations: int = _PERMUTATIONS) -> dict[str, float]:
    """Read one target out of a code.

    Parameters
    ----------
    x : (N, F), one row an image.
    rows : table of :func:`crossed`, in the same order.
    target : ``identity`` (which reference; recipes held out), ``type`` or ``severity`` (references held out).
    permutations : number of permuted labellings probed beside the true one.

    Returns
    -------
    dict
        ``value``: balanced accuracy, or R^2 of the level (at most 1; below 0 worse than the mean), then ``low, high``
        its 95 % interval over references (NaN below three), ``chance``, and over permuted labels the mean,
        ``permuted``, and the largest, ``permuted_high``: of twenty, a code that knows nothing stays below it 20 times
        in 21.
    """
    contents, recipes = rows["content"].to_numpy(dtype=str), rows["recipe"].to_numpy(dtype=str)
    levels = rows["level"].to_numpy(dtype=np.float64)
    if target == "identity":
        scores, chance = _class_scores(x, contents, recipes, recipes, permutations), 1 / len(np.unique(contents))
    elif target == "type":
        kinds = rows["distortion"].to_numpy(dtype=str)
        blocks = np.char.add(np.char.add(contents, "@"), rows["level"].to_numpy(dtype=str))
        scores, chance = _class_scores(x, kinds, contents, blocks, permutations), 1 / len(np.unique(kinds))
    else:
        blocks = np.char.add(np.char.add(contents, "@"), rows["distortion"].to_numpy(dtype=str))
        scores, chance = _level_scores(x, levels, contents, blocks, permutations), 0.0
    means = _by_reference(scores, contents)
    spread = float(((levels - levels.mean()) ** 2).mean())

    def value(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
        # References hold the same recipes: plain means over them are balanced.
        mean = rows @ weights.T / weights.sum(axis=1)
        return np.asarray(mean if target != "severity" else 1 - mean / spread)

    count = means.shape[1]
    found = value(np.ones((1, count)), means)[:, 0]
    low, high = float("nan"), float("nan")
    if count >= MINIMUM_REFERENCES:
        draws = value(draw_multiplicities(count, _DRAWS, "probe", target), means[:1])[0]
        low, high = percentile_interval(draws, _CONFIDENCE)
    others = found[1:] if permutations else np.full(1, np.nan)
    return {
        "value": float(found[0]), "low": low, "high": high, "chance": chance,
        "permuted": float(others.mean()), "permuted_high": float(others.max()),
    }  # fmt: skip


def leakage(codes: dict[str, np.ndarray], untrained: dict[str, np.ndarray], rows: pd.DataFrame) -> pd.DataFrame:
    """Probe every target in every code: one row of ``PROBE_COLUMNS`` each."""
    if rows.empty:
        return pd.DataFrame(columns=PROBE_COLUMNS)
    found = []
    for target, expected in EXPECTED.items():
        if target == "severity" and rows["level"].nunique() < 2:
            continue
        for source, must in expected.items():
            found.append(
                {
                    "target": target,
                    "source": source,
                    "expected": "succeed" if must else "fail",
                    "measure": "R2" if target == "severity" else "balanced accuracy",
                    **probe(codes[source], rows, target),
                    "untrained": probe(untrained[source], rows, target, permutations=0)["value"],
                    "n_images": len(rows),
                    "n_references": rows["content"].nunique(),
                    "n_types": rows["distortion"].nunique(),
                }
            )
    return pd.DataFrame(found, columns=PROBE_COLUMNS)


def variance_shares(x: np.ndarray) -> dict[str, float]:
    """Part the variance of codes (R, Q, F) of R contents times Q recipes into main effects and the rest.

    Sums of squares over all features, in the code's own units: the bottleneck's noise gives them one.

    Returns
    -------
    dict
        Shares of ``content``, ``recipe`` and ``interaction`` (how a recipe's code depends on the content); they add up
        to 1. All of it is content's where nothing varies: such a code is blind to recipes.
    """
    mean = x.mean(axis=(0, 1))
    content, recipe = x.mean(axis=1) - mean, x.mean(axis=0) - mean
    total = float(((x - mean) ** 2).sum())
    if total <= 0:
        return {"content": 1.0, "recipe": 0.0, "interaction": 0.0}
    parts = {
        "content": float((content**2).sum()) * x.shape[1] / total,
        "recipe": float((recipe**2).sum()) * x.shape[0] / total,
    }
    return {**parts, "interaction": max(0.0, 1 - sum(parts.values()))}


def variance_table(codes: dict[str, np.ndarray], untrained: dict[str, np.ndarray], rows: pd.DataFrame) -> pd.DataFrame:
    """do(C := C'), recipe kept: what share of a code's variance contents and recipes explain, by source.

    Intervals: 95 %, normal, from the jackknife over references; NaN below three.
    """
    if rows.empty:
        return pd.DataFrame(columns=VARIANCE_COLUMNS)
    contents, recipes = rows["content"].nunique(), rows["recipe"].nunique()
    order = rows.sort_values(["content", "recipe"]).index.to_numpy()
    found = []
    for source in SOURCES:
        x = codes[source][order].reshape(contents, recipes, -1)
        shares, before = variance_shares(x), variance_shares(untrained[source][order].reshape(contents, recipes, -1))
        left_out = [variance_shares(np.delete(x, k, axis=0)) for k in range(contents)] if contents > 2 else []
        for name, share in shares.items():
            values = np.array([item[name] for item in left_out])
            half = 1.96 * float(np.sqrt((contents - 1) * values.var())) if len(values) else float("nan")
            found.append(
                {
                    "source": source, "component": name, "share": share,
                    "low": max(0.0, share - half) if half == half else half,
                    "high": min(1.0, share + half) if half == half else half,
                    "untrained": before[name], "n_references": contents, "n_recipes": recipes,
                }
            )  # fmt: skip
    return pd.DataFrame(found, columns=VARIANCE_COLUMNS)


def untrained_like(model: DisentanglementModel) -> DisentanglementModel:
    """Return a network of the same form with its first, random weights, the same for every model of that form."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("untrained"))
        fresh = DisentanglementModel(model.choices)
    fresh.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return fresh.eval()


def _own_sets(degraded: Sequence[Path], datasets: Sequence[str]) -> list[DegradedSet]:
    """Return the sets of the model's scenario; all sets, if those hold too few test references for an interval."""
    stored = [DegradedSet(folder) for folder in degraded]
    own = [item for item in stored if item.name in datasets]
    held = sum(item.manifest.loc[item.manifest["partition"] == "test", "reference"].nunique() for item in own)
    return own if held >= MINIMUM_REFERENCES else stored


@torch.no_grad()
def run(model_folder: Path, degraded: Sequence[Path], out: Path) -> pd.DataFrame:
    """Write ``probes.csv``, ``variance.csv``, ``mask.csv``, ``mask.safetensors`` and ``mask.json``; return the probes.

    Measured on at most eight test references of the sets that the model was trained on (of all sets, where those hold
    fewer than three), each with every type and level that all of them have.

    Raises
    ------
    DataError
        If the sets hold no test reference.
    """
    make_deterministic(1)
    model, description = load_model(model_folder)
    stored = _own_sets(degraded, description.get("datasets", []))
    chosen = choose_references(stored)
    rows = crossed(stored, chosen)
    coders = [Coder(item, model.choices.scales) for item in (model, untrained_like(model))]
    masks: list[tuple[str, str, Tensor, list[Tensor]]] = []
    pictures: list[tuple[str, Tensor, dict[str, Tensor]]] = []
    for index, reference in progress(list(chosen.itertuples(index=False)), desc="probes", unit="reference"):
        source = stored[index]
        x = centre_crop(to_tensor(source.stimulus(f"{reference}/{REFERENCE}/0")))
        mask = model.mask(model.content(x), model.degradation(x))
        masks.append((source.name, reference, x, mask))
        if len(pictures) < _SHOWN:
            pictures.append((f"{source.name} {reference}", x, mask_maps(x, mask)))
        mine = rows[(rows["set"] == index) & (rows["reference"] == reference)]
        if mine.empty:
            continue
        for coder in coders:
            coder.reference(x)
        for image in mine["image"]:
            y = centre_crop(to_tensor(source.stimulus(image)))
            for coder in coders:
                coder.add(y)
    codes, before = (coder.arrays() if len(rows) else {} for coder in coders)
    # Images were visited reference by reference, in the order of `chosen`.
    place = {f"{stored[i].name}/{r}": k for k, (i, r) in enumerate(chosen.itertuples(index=False))}
    rows = rows.iloc[np.argsort(rows["content"].map(place).to_numpy(), kind="stable")].reset_index(drop=True)
    probes = leakage(codes, before, rows)
    write_csv(out / "probes.csv", probes)
    write_csv(out / "variance.csv", variance_table(codes, before, rows))
    write_csv(out / "mask.csv", pd.DataFrame(mask_rows(masks), columns=MASK_COLUMNS))
    write_maps(out, pictures)
    return probes
