"""Verb ``audit``: what a protocol does to published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutDirectory


def audit(
    scores: Annotated[
        Path,
        typer.Argument(
            help="Folder of CSV files live, csiq, tid2013, kadid10k, pipal, ivc: image, score_in_file, methods."
        ),
    ],
    out: OutDirectory,
    live_labels: Annotated[
        Path | None, typer.Option(help="Folder with LIVE's dmos_realigned.mat and refnames_all.mat.")
    ] = None,
    higher_is_better: Annotated[
        bool, typer.Option("--higher-is-better/--higher-is-worse", help="Direction of the methods' scores.")
    ] = False,
    bootstrap: Annotated[int, typer.Option(min=100, help="Bootstrap draws.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
) -> None:
    """Recompute published per-image scores under every protocol in use, and show how values and ranks change.

    LIVE with the copies of references or without, old or realigned DMOS; TID2013 with reference 25 or without; the raw,
    4- and 5-parameter correlation; intervals over references beside those over images.

    Writes audit.csv (every value), best.csv (the best method of each protocol), ranks.csv and a figure a dataset.

    Example: causaliqa audit published_scores --live-labels live/labels --out reports/audit
    """
    from causaliqa.evaluate.audit import audit as recompute
    from causaliqa.evaluate.audit import best_by_protocol, rank_changes
    from causaliqa.figures.comparison import rank_slopes
    from causaliqa.figures.style import save
    from causaliqa.io import atomic_directory, write_csv

    table = recompute(scores, live_labels=live_labels, higher_is_better=higher_is_better, draws=bootstrap, seed=seed)
    best, ranks = best_by_protocol(table), rank_changes(table)
    with atomic_directory(out) as folder:
        for name, content in (("audit", table), ("best", best), ("ranks", ranks)):
            write_csv(folder / f"{name}.csv", content)
        for dataset, part in ranks[ranks["test"] == "srcc"].groupby("dataset", sort=True):
            save(rank_slopes(part, f"{dataset}, SRCC"), folder / f"ranks_{dataset}")
    shown = best[best["test"] == "srcc"]
    typer.echo(f"{'protocol':22} {'n':>6}  best by SRCC")
    images = dict(zip(table["protocol"], table["n_images"], strict=True))
    for row in shown.itertuples():
        mark = "" if row.same_as_first else "   another than under the first protocol"
        typer.echo(f"{row.protocol:22} {images[row.protocol]:6}  {row.best} {row.value:.4f}{mark}")
    typer.echo(f"{out}: audit.csv, best.csv, ranks.csv, figures")
