"""Krasula's analysis of labelled datasets: who tells different pairs from similar ones, and the better of two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from causaliqa.config import Evaluate
from causaliqa.evaluate.comparison import COMPARISON_COLUMNS
from causaliqa.evaluate.judged import Judged
from causaliqa.evaluate.roc import ANALYSES, ROC_COLUMNS, opinion_pairs, roc_analysis, standard_error
from causaliqa.progress import progress

#: Layout -> ratings behind each mean, where the authors publish the spread of ratings and not that of their mean.
#:
#: kadid10k: 30 ratings an image (Lin, Hosu, Saupe, QoMEX 2019). csiq: 5,000 ratings of 866 images (Larson and Chandler,
#: J. Electronic Imaging 19(1), 2010). Of tid2013 and live the published number is the error of the mean already.
RATINGS = {"kadid10k": 30.0, "csiq": 5000 / 866}
#: How sure the opinions are: ``published``, or ``none``: every difference of two means counts as one.
UNCERTAINTIES = ("published", "none")
#: Columns of the table of values, see :data:`causaliqa.evaluate.roc.ROC_COLUMNS`.
OPINION_ROC_COLUMNS = [*ROC_COLUMNS, "subset", "human", "uncertainty"]


def _errors(item: Judged, chosen: np.ndarray) -> np.ndarray | None:
    """Return the standard error of each opinion, shape (n,), or None where one has none."""
    std = item.images["score_std"].to_numpy(dtype=np.float64)[chosen]
    if not (np.isfinite(std) & (std >= 0)).all():
        return None
    return standard_error(std, RATINGS.get(str(item.about.get("layout", "")), 1.0))


def roc_tables(judged: Sequence[Judged], params: Evaluate) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Analyse every labelled dataset: all images, and those with original and exact stimuli.

    Without published errors of opinions, or if these call no two images similar, only ``better_worse`` is left: every
    difference of two means counts, however small (`uncertainty` is then ``none``).

    Parameters
    ----------
    judged : see :func:`causaliqa.evaluate.judged.read_judged`.
    params : ``roc_pairs`` at the most are drawn of each set's pairs of images; ``confidence`` of the z-test that calls
        two opinions different, and of intervals.

    Returns
    -------
    values : :data:`OPINION_ROC_COLUMNS`.
    comparisons : :data:`causaliqa.evaluate.comparison.COMPARISON_COLUMNS` and ``subset, human, uncertainty``, corrected
        after Holm within a test.
    """
    values, comparisons = [], []
    for item in progress(judged, desc="evaluate pairs of images", unit="dataset"):
        for group in item.compared():
            paired = item.paired(group.chosen)
            published = _errors(item, group.chosen)
            errors = np.zeros(len(group.chosen)) if published is None else published
            order = opinion_pairs(
                paired.opinion, errors, confidence=params.confidence, limit=params.roc_pairs, seed=params.seed
            ).order
            if not paired.methods or not order.any():
                continue
            # Similar by the errors; equal means alone are no sign that people saw no difference.
            similar = published is not None and not order.all()
            found = roc_analysis(
                [(paired, errors)], confidence=params.confidence, limit=params.roc_pairs, seed=params.seed,
                analyses=ANALYSES if similar else ANALYSES[1:],
            )  # fmt: skip
            about = {
                "subset": group.subset,
                "human": item.human,
                "uncertainty": UNCERTAINTIES[0 if published is not None else 1],
            }
            values.append(found[0].assign(**about))
            comparisons.append(found[1].assign(**about))
    columns = [*COMPARISON_COLUMNS, "subset", "human", "uncertainty"]
    return (
        pd.concat(values, ignore_index=True)[OPINION_ROC_COLUMNS]
        if values
        else pd.DataFrame(columns=OPINION_ROC_COLUMNS),
        pd.concat(comparisons, ignore_index=True)[columns] if comparisons else pd.DataFrame(columns=columns),
    )
