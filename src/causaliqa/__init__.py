"""causaliqa: full-reference image quality by causal disentanglement, as one reproducible pipeline.

>>> import causaliqa
>>> metric = causaliqa.load_metric("results/project/all_domains/full/0/metric.safetensors")
>>> distance = metric(reference, distorted)  # RGB (N,3,H,W) in [0, 1] -> (N,), 0 identical, larger is worse
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from causaliqa.metric import DisentanglementMetric, load_metric

__all__ = ["DisentanglementMetric", "__version__", "load_metric"]


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds: only who asks for the metric pays.
    if name in ("DisentanglementMetric", "load_metric"):
        from causaliqa import metric

        return getattr(metric, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
