"""One-dimensional embeddings of the features: an ablation of the projections, with several seeds.

Inductive (``isomap``): fitted on synthetic pairs, new pairs are placed among these. Transductive (``isomap`` and
``tsne`` fitted on the test set's own pairs): a pair's score depends on what else is scored, so they are kept apart.
Orientation by the norm, never by a score.
"""

from __future__ import annotations

import numpy as np
from sklearn.manifold import TSNE, Isomap

from causaliqa.errors import DataError
from causaliqa.seeding import derive_seed, generator

#: Transductive manifolds that nothing random enters.
DETERMINISTIC = ("isomap",)
#: Neighbours that span the graph of Isomap.
_NEIGHBOURS = 12
#: Pairs of which a transductive manifold can be fitted: with fewer there is no line to find, and distances of all to
#: all would fill the memory of more.
LEAST, MOST = _NEIGHBOURS + 1, 5000
#: Perplexity of t-SNE, as its authors recommend (van der Maaten and Hinton, JMLR 2008), and pairs per unit of it.
_PERPLEXITY, _PAIRS = 30.0, 4


def _units(features: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return log features in units of the synthetic pairs: steps of severity then have about one length."""
    return np.log1p(np.asarray(features, dtype=np.float64) / np.where(scale > 1e-12, scale, 1.0))


def _isomap() -> Isomap:
    # The default solver starts from numpy's global random state where there are many pairs.
    return Isomap(n_neighbors=_NEIGHBOURS, n_components=1, eigen_solver="dense")


def _sign(line: np.ndarray, sizes: np.ndarray) -> float:
    """Return the sign that makes a line grow with the norm of the pairs that it was fitted on."""
    return 1.0 if float((line - line.mean()) @ (sizes - sizes.mean())) >= 0 else -1.0


def inductive(train: np.ndarray, sizes: np.ndarray, test: np.ndarray, *, points: int, seed: int) -> np.ndarray:
    """Return the place of test pairs (N, F) on the one-dimensional Isomap (Tenenbaum et al., 2000) of train pairs.

    Parameters
    ----------
    train : (M, F), synthetic pairs; `points` of them, drawn by `seed`, span the manifold.
    sizes : (M,), their norm.

    Raises
    ------
    DataError
        If there are too few train pairs.
    """
    if len(train) <= _NEIGHBOURS:
        raise DataError(f"isomap needs more than {_NEIGHBOURS} train pairs, found {len(train)}")
    chosen = np.sort(generator("isomap", seed).permutation(len(train))[:points])
    scale = np.sqrt(np.square(train).mean(axis=0))
    found = _isomap()
    line = found.fit_transform(_units(train[chosen], scale))[:, 0]
    return np.asarray(_sign(line, sizes[chosen]) * found.transform(_units(test, scale))[:, 0])


def transductive(method: str, test: np.ndarray, sizes: np.ndarray, scale: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the place of each test pair (N, F) on a line fitted to the test pairs themselves, shape (N,).

    Parameters
    ----------
    method : ``isomap`` or ``tsne``.
    sizes : (N,), norm of the test pairs.
    scale : (F,), root mean square of the features over synthetic pairs.

    Raises
    ------
    DataError
        If there are too few pairs.
    """
    if len(test) <= _NEIGHBOURS:
        raise DataError(f"{method} needs more than {_NEIGHBOURS} pairs, found {len(test)}")
    values = _units(test, scale)
    if method == "isomap":
        line = _isomap().fit_transform(values)[:, 0]
    else:
        perplexity = min(_PERPLEXITY, len(test) / _PAIRS)
        state = derive_seed("tsne", seed) % 2**32
        line = TSNE(n_components=1, perplexity=perplexity, init="random", random_state=state).fit_transform(values)[
            :, 0
        ]
    return np.asarray(_sign(line, sizes) * line)
