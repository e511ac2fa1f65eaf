"""A deep metric as a function on arrays, like the classical ones; torch is loaded at the first call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causaliqa.baselines.arrays import check_pair
from causaliqa.baselines.deep import NEEDS, WEIGHTS, weights_file
from causaliqa.errors import ModelError

#: Least height and width: the deepest map still has a pixel, and for DeepWSD one window of 4 x 4.
SMALLEST = 32
_SMALLEST_DEEPWSD = 64


@dataclass(frozen=True)
class DeepFunction:
    """A deep metric whose weights lie in a folder.

    Attributes
    ----------
    name : one of :data:`causaliqa.baselines.deep.NEEDS`.
    folder : where converted weights lie.
    """

    name: str
    folder: Path = WEIGHTS

    def __call__(self, reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
        """Return the distance of a pair: 0 for identical images, larger is worse.

        Parameters
        ----------
        reference, distorted : arrays (H, W) or (H, W, 3) of equal shape, integer or float, in [0, `data_range`]; gray
            is repeated into three channels.
        data_range : largest value a pixel can have.

        Raises
        ------
        DataError
            If the pair cannot be scored, see :func:`causaliqa.baselines.arrays.check_pair`.
        ModelError
            If the weights are missing or not what they should be.
        """
        smallest = _SMALLEST_DEEPWSD if self.name == "deepwsd" else SMALLEST
        pair = check_pair(reference, distorted, data_range, smallest=smallest, metric=self.name)
        check_weights([self.name], self.folder)
        from causaliqa.baselines.deep.models import load_model

        return load_model(self.name, self.folder.absolute()).score(*pair, data_range)


def check_weights(metrics: Iterable[str], folder: Path) -> None:
    """See that the weights of all metrics are there, without reading them.

    Raises
    ------
    ModelError
        Naming the file, the metric and the command that brings it.
    """
    for metric in metrics:
        for weights in NEEDS.get(metric, ()):
            path = weights_file(weights, folder)
            if not path.is_file():
                raise ModelError(
                    f"{path}: missing, metric {metric} needs it; get it with `causaliqa weights fetch {weights}` "
                    "(without a network, set CAUSALIQA_MIRROR to a folder that holds its source file)"
                )
