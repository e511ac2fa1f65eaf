"""The metrics by name, with what must be declared about each: polarity, range, colour handling, source."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from causaliqa.baselines.deep import NEEDS, WEIGHTS
from causaliqa.baselines.deep.function import DeepFunction
from causaliqa.baselines.dss import dss
from causaliqa.baselines.fsim import fsim, fsimc
from causaliqa.baselines.gmsd import gmsd
from causaliqa.baselines.haarpsi import haarpsi, haarpsi_med
from causaliqa.baselines.iw_ssim import iw_ssim
from causaliqa.baselines.lit import Lit
from causaliqa.baselines.mad import mad
from causaliqa.baselines.mdsi import mdsi
from causaliqa.baselines.ms_gmsd import ms_gmsd, ms_gmsdc
from causaliqa.baselines.ms_ssim import ms_ssim
from causaliqa.baselines.nlpd import nlpd
from causaliqa.baselines.psnr import psnr
from causaliqa.baselines.sr_sim import sr_sim
from causaliqa.baselines.ssim import ssim, ssim_downsampled
from causaliqa.baselines.vif import vif
from causaliqa.baselines.vifp import vifp
from causaliqa.baselines.vsi import vsi
from causaliqa.errors import ConfigError


class MetricFunction(Protocol):
    """A full-reference metric on two arrays (H, W) or (H, W, 3) of equal shape."""

    def __call__(self, reference: np.ndarray, distorted: np.ndarray, *, data_range: float = 255.0) -> float:
        """Return the score of the pair."""
        ...


@dataclass(frozen=True)
class Metric:
    """A metric and its declarations.

    Attributes
    ----------
    name : as in params.yaml and in score tables.
    title : as in figures and tables for people.
    function : the metric.
    higher_is_better : polarity.
    range : least and largest possible score.
    colour : what is done with RGB.
    reference_paper : short citation.
    weights : names of the pretrained weights that a deep metric needs.
    takes_mask : whether the function has the keyword `mask`, a bool array (H, W) of the pixels that count.
    """

    name: str
    title: str
    function: MetricFunction
    higher_is_better: bool
    range: tuple[float, float]
    colour: str
    reference_paper: str
    weights: tuple[str, ...] = ()
    takes_mask: bool = False

    @property
    def better(self) -> str:
        """The polarity in a word: higher or lower."""
        return "higher" if self.higher_is_better else "lower"

    def score(
        self,
        reference: np.ndarray,
        distorted: np.ndarray,
        *,
        data_range: float = 255.0,
        mask: np.ndarray | None = None,
    ) -> float:
        """Return the score of a pair, or of the part of it that a mask (H, W) selects.

        Raises
        ------
        ConfigError
            If there is a mask and the metric takes none.
        DataError
            See the metric's function.
        """
        if mask is None:
            return self.function(reference, distorted, data_range=data_range)
        self.require_mask()
        keywords: dict[str, Any] = {"mask": mask}
        return self.function(reference, distorted, data_range=data_range, **keywords)

    def require_mask(self) -> None:
        """Raise ConfigError if the metric takes no mask; the message names those that do."""
        if not self.takes_mask:
            able = ", ".join(metric.name for metric in METRICS.values() if metric.takes_mask)
            raise ConfigError(f"{self.name} takes no mask; leave it out or choose one of {able}")


_LUMA = "BT.601 luma"

#: Classical metrics: NumPy and SciPy only.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR", psnr, True, (0.0, math.inf), "all channels together", "-", takes_mask=True),
        Metric(
            "ssim",
            "SSIM",
            ssim,
            True,
            (-1.0, 1.0),
            _LUMA,
            "Wang, Bovik, Sheikh, Simoncelli, TIP 2004",
            takes_mask=True,
        ),
        Metric(
            "ssim_downsampled",
            "SSIM (downsampled)",
            ssim_downsampled,
            True,
            (-1.0, 1.0),
            _LUMA,
            "Wang, Bovik, Sheikh, Simoncelli, TIP 2004",
            takes_mask=True,
        ),
        Metric(
            "ms_ssim",
            "MS-SSIM",
            ms_ssim,
            True,
            (0.0, 1.0),
            _LUMA,
            "Wang, Simoncelli, Bovik, Asilomar 2003",
            takes_mask=True,
        ),
        Metric("iw_ssim", "IW-SSIM", iw_ssim, True, (0.0, 1.0), _LUMA, "Wang, Li, TIP 2011", takes_mask=True),
        Metric("nlpd", "NLPD", nlpd, False, (0.0, math.inf), _LUMA, "Laparra, Ballé, Berardino, Simoncelli, HVEI 2016"),
        Metric("mad", "MAD", mad, False, (0.0, math.inf), _LUMA, "Larson, Chandler, JEI 2010"),
        Metric("vif", "VIF", vif, True, (0.0, math.inf), _LUMA, "Sheikh, Bovik, TIP 2006, wavelet domain"),
        Metric(
            "ms_gmsd",
            "MS-GMSD",
            ms_gmsd,
            False,
            (0.0, 0.5),
            _LUMA,
            "Zhang, Sander, Bermak, ICASSP 2017",
            takes_mask=True,
        ),
        Metric(
            "ms_gmsdc",
            "MS-GMSDc",
            ms_gmsdc,
            False,
            (0.0, 2.0),
            "YIQ",
            "Zhang, Sander, Bermak, ICASSP 2017",
            takes_mask=True,
        ),
        Metric("gmsd", "GMSD", gmsd, False, (0.0, 0.5), _LUMA, "Xue, Zhang, Mou, Bovik, TIP 2014", takes_mask=True),
        Metric(
            "mdsi",
            "MDSI",
            mdsi,
            False,
            (0.0, math.inf),
            "luminance and two opponent channels",
            "Ziaei Nafchi, Shahkolaei, Hedjam, Cheriet, IEEE Access 2016",
        ),
        Metric(
            "haarpsi", "HaarPSI", haarpsi, True, (0.0, 1.0), "YIQ", "Reisenhofer, Bosse, Kutyniok, Wiegand, SPIC 2018"
        ),
        Metric(
            "haarpsi_med",
            "HaarPSI-MED",
            haarpsi_med,
            True,
            (0.0, 1.0),
            "YIQ",
            "Karner, Gröhl, Selby, Babar, Beckford, Else et al., 2025",
        ),
        Metric("fsim", "FSIM", fsim, True, (0.0, 1.0), "luma of YIQ", "Zhang, Zhang, Mou, Zhang, TIP 2011"),
        Metric("fsimc", "FSIMc", fsimc, True, (0.0, 1.0), "YIQ", "Zhang, Zhang, Mou, Zhang, TIP 2011"),
        Metric("sr_sim", "SR-SIM", sr_sim, True, (-1.0, 1.0), _LUMA, "Zhang, Li, ICIP 2012"),
        Metric("dss", "DSS", dss, True, (-0.25, 1.0), _LUMA, "Balanov, Schwartz, Moshe, Peleg, ICIP 2015"),
        Metric("vifp", "VIFp", vifp, True, (0.0, math.inf), _LUMA, "Sheikh, Bovik, TIP 2006, pixel domain"),
        Metric("vsi", "VSI", vsi, True, (-1.0, 1.0), "LMN and CIELAB", "Zhang, Shen, Li, TIP 2014"),
    )
}


def _deep(name: str, title: str, top: float, paper: str) -> Metric:
    return Metric(name, title, DeepFunction(name), False, (0.0, top), "RGB", paper, NEEDS[name])


_ZHANG = "Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018"
_DING = "Ding, Ma, Wang, Simoncelli, TPAMI 2022"
_LIAO = "Liao, Chen, Zhu, Wang, Zhou, Kwong, ACM MM 2022"
#: Metrics on pretrained networks, see docs/deep_baselines.md. They load torch when they are called.
DEEP: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _deep("squeeze_lpips", "LPIPS form (SqueezeNet)", 2.0, f"after {_ZHANG}, uniform weights"),
        _deep("squeeze_dists", "DISTS form (SqueezeNet)", 1.5, f"after {_DING}, uniform weights"),
        _deep("squeeze_wsd", "Wasserstein form (SqueezeNet)", 1.0, f"after {_LIAO}, uniform weights"),
        _deep("lpips_alex", "LPIPS (AlexNet)", math.inf, _ZHANG),
        _deep("lpips_vgg", "LPIPS (VGG-16)", math.inf, _ZHANG),
        _deep("lpips_squeeze", "LPIPS (SqueezeNet)", math.inf, _ZHANG),
        _deep("dists", "DISTS", 1.5, _DING),
        _deep("deepwsd", "DeepWSD", math.inf, _LIAO),
    )
}


def _lit(name: str) -> Metric:
    plain = METRICS[name]
    return replace(
        plain,
        name=f"{name}_light",
        title=f"{plain.title}, light matched",
        function=Lit(plain.function),
        takes_mask=False,
    )


#: Controls: metrics that see the reference under the distorted image's light, see docs/method.md. They load torch.
LIT: dict[str, Metric] = {metric.name: metric for metric in map(_lit, ("mdsi", "vsi", "haarpsi"))}


def get(name: str, weights: Path = WEIGHTS) -> Metric:
    """Return a metric by name.

    Parameters
    ----------
    weights : where a deep metric's weights lie.

    Raises
    ------
    ConfigError
        If there is no such metric; the message names the nearest.
    """
    if name in METRICS:
        return METRICS[name]
    if name in LIT:
        return LIT[name]
    if name in DEEP:
        return replace(DEEP[name], function=DeepFunction(name, weights))
    known = [*METRICS, *LIT, *DEEP]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
    raise ConfigError(f"no metric is named {name!r}; {hint}")


def get_all(names: Iterable[str], weights: Path = WEIGHTS) -> list[Metric]:
    """Return metrics by name, in order, each once; see :func:`get`."""
    return [get(name, weights) for name in dict.fromkeys(names)]
