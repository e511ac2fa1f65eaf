"""Mean ranks over methods: what a consensus and a rank average are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def mean_rank(qualities: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over methods of average ranks, as a share in [0, 1], shape (N,); a single image gets 0.

    Ranks are added before they are divided: sums of halves are exact, so images with equal sums stay tied.
    """
    from scipy.stats import rankdata  # heavy, and no scoring process needs it

    total = np.sum([rankdata(quality) for quality in qualities], axis=0)
    return np.asarray((total / len(qualities) - 1.0) / max(1, len(total) - 1))
