"""What classical metrics agree on: the order of training crops across distortion types and contents.

Within a type, severity orders crops without any help; across types it cannot. Pairs are therefore ordered where all
teachers agree, and left open where they do not. Training without it: ``pretrain.loss.consensus: 0``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from causaliqa.baselines.fsim import fsimc
from causaliqa.baselines.haarpsi import haarpsi
from causaliqa.baselines.mdsi import mdsi
from causaliqa.baselines.vsi import vsi
from causaliqa.disentangle.light import exposure_gain, under_light

#: Metric, its sign for quality, and by how much a crop is reduced first: MDSI, VSI and FSIMc halve an image of usual
#: size by themselves, yet not a crop; HaarPSI halves every image.
_TEACHERS = {"mdsi": (mdsi, -1.0, 2), "vsi": (vsi, 1.0, 2), "haarpsi": (haarpsi, 1.0, 1), "fsimc": (fsimc, 1.0, 2)}
#: Smaller differences than this share of a teacher's spread over the batch order nothing.
_CLEAR = 0.02


def _pixels(images: Tensor, reduce: int) -> np.ndarray:
    """Return (N,3,S,S) in [0, 1] as (N,s,s,3) in [0, 255], reduced by averaging."""
    return (functional.avg_pool2d(images, reduce) * 255.0).permute(0, 2, 3, 1).numpy()


def agreed_order(reference: Tensor, distorted: Tensor, teachers: Sequence[str], light: bool) -> Tensor:
    """Return which of N distorted crops all teachers hold for worse than which.

    Parameters
    ----------
    reference, distorted : RGB (N,3,S,S) in [0, 1], S of at least 64 pixels.
    teachers : names among mdsi, vsi, haarpsi and fsimc.
    light : whether the teachers, too, see the reference under the distorted crop's light.

    Returns
    -------
    Tensor
        bool (N,N): element (i, j) is true where j is clearly worse than i.
    """
    if light:
        reference = under_light(reference, exposure_gain(reference, distorted))
    worse = torch.ones(len(reference), len(reference), dtype=torch.bool)
    for name in teachers:
        metric, sign, reduce = _TEACHERS[name]
        pairs = zip(_pixels(reference, reduce), _pixels(distorted, reduce), strict=True)
        quality = torch.tensor([sign * metric(x, y, data_range=255.0) for x, y in pairs])
        worse &= quality[:, None] - quality[None, :] > _CLEAR * quality.std()
    return worse
