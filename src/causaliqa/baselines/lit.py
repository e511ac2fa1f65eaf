"""Classical metrics behind do(light): a control that tells what of a score is owed to the intervention alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class _Function(Protocol):
    def __call__(self, reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float: ...


@dataclass(frozen=True)
class Lit:
    """A metric that is given the reference under the distorted image's contrast gain above 1.

    See :mod:`causaliqa.disentangle.light`. Where there is no such gain, the score is the metric's own, to the bit.
    """

    function: _Function

    def __call__(self, reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
        """Return the metric's score; arrays, range and errors as its own."""
        # torch is loaded by those who ask for this only.
        from causaliqa.disentangle.features import to_tensor
        from causaliqa.disentangle.light import exposure_gain, under_light

        if reference.shape != distorted.shape or min(reference.shape[:2], default=0) < 4:
            return self.function(reference, distorted, data_range=data_range)  # which says what is wrong
        x, y = (to_tensor(image, data_range) for image in (reference, distorted))
        gain = exposure_gain(x, y)
        if not float(gain[0]) > 1:
            return self.function(reference, distorted, data_range=data_range)
        lit = under_light(x, gain)[0].permute(1, 2, 0).numpy().astype(np.float64) * data_range
        return self.function(lit if reference.ndim == 3 else lit[..., 0], distorted, data_range=data_range)
