"""Figures: pure functions, a table in, a matplotlib figure out.

They read no file and compute no statistic; :mod:`causaliqa.figures.style` gives them one look and saves them.
"""

from causaliqa.figures.curves import few_label_curves, lambda_curves, loss_curves
from causaliqa.figures.images import intervention_grid
from causaliqa.figures.labelled_curves import labelled_curves
from causaliqa.figures.maps import feature_map, severity_heat_map, transfer_matrix
from causaliqa.figures.points import methods_by_tests, score_scatter
from causaliqa.figures.protocols import epoch_choice, fit_dumbbells, protocol_dots
from causaliqa.figures.style import save

__all__ = [
    "epoch_choice",
    "feature_map",
    "few_label_curves",
    "fit_dumbbells",
    "intervention_grid",
    "labelled_curves",
    "lambda_curves",
    "loss_curves",
    "methods_by_tests",
    "protocol_dots",
    "save",
    "score_scatter",
    "severity_heat_map",
    "transfer_matrix",
]
