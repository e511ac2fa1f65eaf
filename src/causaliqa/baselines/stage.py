"""Stage ``baselines``: score a degraded set with full-reference metrics and form their consensus, the pseudo-MOS."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from causaliqa.baselines.deep import WEIGHTS
from causaliqa.baselines.deep.function import check_weights
from causaliqa.baselines.psnr import PSNR_CAP_DB
from causaliqa.baselines.ranks import mean_rank
from causaliqa.baselines.registry import Metric, get_all
from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.pairs import open_pairs
from causaliqa.errors import CausalIQAError, DataError
from causaliqa.io import atomic_directory
from causaliqa.progress import progress
from causaliqa.seeding import make_deterministic
from causaliqa.tables import SCORE_COLUMNS, quality, score_table, write_scores

if TYPE_CHECKING:
    from causaliqa.config import Baselines

#: Method name and setting of the pseudo-MOS.
CONSENSUS = "consensus"
_IMAGE_COLUMNS = ["dataset", "image", "reference", "distortion", "level"]


def _score_reference(folder: Path, reference: str, names: list[str], weights: Path) -> list[tuple[str, list[float]]]:
    """Return (image, one score a metric) for every distorted image of one reference."""
    metrics = get_all(names, weights)
    if any(metric.weights for metric in metrics):
        # One thread: sums in a fixed order, and no more threads than processes.
        make_deterministic(1)
    rows = []
    stored = open_pairs(folder)
    pristine_images = set(stored.manifest.loc[stored.manifest["distortion"] == REFERENCE, "image"])
    for image, pristine, distorted, data_range in stored.pairs(reference):
        if image in pristine_images:
            continue
        try:
            rows.append((image, [metric.function(pristine, distorted, data_range=data_range) for metric in metrics]))
        except DataError as error:
            raise DataError(f"{folder}: image {image!r}: {error}") from None
    return rows


def score_set(folder: Path, names: list[str], jobs: int, weights: Path = WEIGHTS) -> pd.DataFrame:
    """Score every distorted image of a degraded or labelled set against its reference.

    Parameters
    ----------
    folder : what stage ``degrade``, or ``fetch`` for a labelled set, wrote.
    names : metrics, see :data:`causaliqa.baselines.registry.METRICS` and :data:`causaliqa.baselines.registry.DEEP`.
    jobs : processes; each takes one reference at a time. The result does not depend on it.
    weights : where the weights of deep metrics lie.

    Returns
    -------
    Score table, one row a metric and image, setting ``baseline``. References are left out. PSNR is capped at
    :data:`PSNR_CAP_DB`.

    Raises
    ------
    ConfigError
        If a metric is unknown.
    DataError
        If the set is damaged or an image is too small for a metric; the message names the image.
    ModelError
        If the weights of a deep metric are missing or damaged.
    """
    metrics = get_all(names, weights)
    check_weights(names, weights)
    stored = open_pairs(folder)
    scores: dict[str, list[float]] = {}
    title = f"baselines {stored.name}"
    references = stored.references
    if jobs == 1 or len(references) == 1:
        for reference in progress(references, desc=title, unit="reference"):
            scores.update(_score_reference(folder, reference, names, weights))
    else:
        # Spawned, not forked: the parent holds the threads of pyarrow and perhaps of torch.
        with ProcessPoolExecutor(min(jobs, len(references)), mp_context=get_context("spawn")) as pool:
            tasks = [pool.submit(_score_reference, folder, reference, names, weights) for reference in references]
            try:
                for task in progress(as_completed(tasks), total=len(tasks), desc=title, unit="reference"):
                    scores.update(task.result())
            except BrokenProcessPool:
                raise CausalIQAError(
                    f"{folder}: a scoring process was killed, most likely for want of memory; use fewer --jobs"
                ) from None
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    manifest = stored.manifest
    images = manifest[manifest["distortion"] != REFERENCE].reset_index(drop=True)
    if images.empty:
        raise DataError(f"{folder}: holds references only; run stage degrade with at least one type")
    values = np.array([scores[image] for image in images["image"]])
    return pd.concat(
        [_table(images, values[:, column], metric) for column, metric in enumerate(metrics)], ignore_index=True
    )


def _table(images: pd.DataFrame, values: np.ndarray, metric: Metric) -> pd.DataFrame:
    capped = np.minimum(values, PSNR_CAP_DB) if metric.name == "psnr" else values
    return score_table(images, capped, method=metric.name, setting="baseline", higher_is_better=metric.higher_is_better)


def consensus(members: pd.DataFrame) -> pd.DataFrame:
    """Return the pseudo-MOS: the mean over member metrics of an image's normalised rank within its dataset.

    Parameters
    ----------
    members : score table of at least two metrics over the same images.

    Returns
    -------
    Score table with method ``consensus``, setting ``pseudo_mos`` and one row an image. Ranks are average ranks (ties
    share one) of the scores oriented by their declared polarity, mapped to [0, 1]: 0 for the worst image of the
    dataset, 1 for the best. The scale is ordinal, and relative to the set: scores of two datasets are not comparable.

    Raises
    ------
    DataError
        If there are fewer than two metrics, or a metric lacks an image that another has.
    """
    oriented = members.assign(quality=quality(members))
    wide = oriented.pivot_table(index=["dataset", "image"], columns="method", values="quality", aggfunc="first")
    counts = oriented.groupby(["dataset", "image"]).size()
    if wide.shape[1] < 2:
        raise DataError("a consensus needs at least two metrics; add one to baselines.consensus")
    if wide.isna().to_numpy().any() or (counts != wide.shape[1]).any():
        worst = counts[counts != wide.shape[1]].index[0]
        raise DataError(f"image {worst[1]!r} of {worst[0]} is not scored exactly once by every member of the consensus")
    parts = []
    for _, group in wide.groupby(level="dataset", sort=True):
        parts.append(pd.Series(mean_rank(list(group.to_numpy().T)), index=group.index))
    score = pd.concat(parts)
    images = members.drop_duplicates(["dataset", "image"])[_IMAGE_COLUMNS].reset_index(drop=True)
    values = score.loc[pd.MultiIndex.from_frame(images[["dataset", "image"]])].to_numpy(dtype=np.float64)
    return score_table(images, values, method=CONSENSUS, setting="pseudo_mos", higher_is_better=True)[SCORE_COLUMNS]


def run(folder: Path, out: Path, params: Baselines, jobs: int, weights: Path = WEIGHTS) -> str:
    """Write ``scores.parquet``, ``members.parquet`` and ``consensus.parquet`` into `out`, all or nothing.

    Returns
    -------
    One line that says what was written.

    Raises
    ------
    ConfigError
        If a metric is unknown.
    DataError, ModelError
        See :func:`score_set`.
    """
    table = score_set(folder, [*params.metrics, *params.consensus], jobs, weights)
    members = table[table["method"].isin(params.consensus)]
    pseudo = consensus(members)
    with atomic_directory(out) as temporary:
        write_scores(temporary / "scores.parquet", table[table["method"].isin(params.metrics)])
        write_scores(temporary / "members.parquet", members)
        write_scores(temporary / "consensus.parquet", pseudo)
    return (
        f"baselines: {pseudo['dataset'].iloc[0]}: {len(pseudo)} images by {', '.join(params.metrics)}; "
        f"pseudo-MOS from {', '.join(params.consensus)}; in {out}"
    )
