"""Second moments of 3 x 3 neighbourhoods, for the Gaussian scale mixtures of IW-SSIM and of wavelet-domain VIF."""

from __future__ import annotations

import numpy as np

#: Row and column of each neighbour in its 3 x 3 block, in the order of the moments.
OFFSETS = tuple((down, across) for down in range(3) for across in range(3))


def neighbour_products(band: np.ndarray) -> np.ndarray:
    """Return the mean products of any two of the 3 x 3 neighbours over all blocks inside a band.

    Parameters
    ----------
    band : array (H, W), at least 4 x 4.

    Returns
    -------
    Symmetric array (9, 9); rows and columns in the order of :data:`OFFSETS`. Free of BLAS calls.
    """
    height, width = band.shape
    rows, columns = height - 2, width - 2
    products = np.empty((9, 9))
    # Pairs with the same displacement have the same products, summed over regions that differ by two rows or columns:
    # 13 displacements stand for 45 pairs.
    for down in range(3):
        for across in range(-2 if down else 0, 3):
            left, right = max(0, -across), max(0, across)
            first = band[: height - down, left : width - right]
            second = band[down:, right : width - left]
            starts = 3 - down
            shared = np.einsum("ij,ij->j", first[starts - 1 : rows], second[starts - 1 : rows])
            for top in range(starts):
                edge = [*range(top, starts - 1), *range(rows, rows + top)]
                profile = shared + np.einsum("ij,ij->j", first[edge], second[edge])
                for start in range(3 - abs(across)):
                    one = 3 * top + start + left
                    other = one + 3 * down + across
                    total = profile[start : start + columns].sum()
                    products[one, other] = products[other, one] = total
    return np.asarray(products / (rows * columns))
