"""Moments of neighbourhoods against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from causaliqa.baselines.neighbours import OFFSETS, neighbour_products


@pytest.mark.parametrize("size", [(4, 4), (4, 5), (5, 4), (6, 9), (40, 33)], ids=str)
def test_products(size: tuple[int, int]) -> None:
    band = np.random.default_rng(0).normal(0, 10, size)
    blocks = sliding_window_view(band, (3, 3)).reshape(-1, 9)
    np.testing.assert_allclose(neighbour_products(band), blocks.T @ blocks / len(blocks), atol=1e-9)


def test_order() -> None:
    assert OFFSETS[0] == (0, 0)
    assert OFFSETS[5] == (1, 2)
    assert len(set(OFFSETS)) == 9
