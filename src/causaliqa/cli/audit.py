"""Verb ``audit``: what a protocol does to published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causaliqa.cli.options import OutDirectory, Params


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
        bool | None,
        typer.Option("--higher-is-better/--higher-is-worse", help="Direction of the methods' scores; default: worse."),
    ] = None,
    bootstrap: Annotated[int | None, typer.Option(min=100, help="Bootstrap draws; default 1000.")] = None,
    confidence: Annotated[float | None, typer.Option(help="Coverage of the intervals; default 0.95.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the draws; default 0.")] = None,
    epochs: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Log of trainings: split, epoch, part (val or test), srcc."),
    ] = None,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw how ranks move.")] = True,
    params: Params = "{}",
) -> None:
    """Recompute published per-image scores under every protocol in use, and show how values and ranks change.

    LIVE with the copies of references or without, old or realigned DMOS; CSIQ with contrast changes or without; TID2013
    with reference 25 or without; the raw, 4- and 5-parameter correlation; intervals over references beside those over
    images. With --epochs also what choosing the epoch by the test set is worth.

    Writes audit.csv (every value), best.csv (the best method of each protocol), ranks.csv, order.csv (pairs that change
    their order), widths.csv (both kinds of intervals), run.json and a figure a dataset. Options win over --params.

    Example: causaliqa audit published_scores --live-labels live/labels --out reports/audit
    """
    from causaliqa.config import Audit, merge, parse_options, parse_section
    from causaliqa.evaluate.audit_stage import run

    own = {
        "scores": str(scores), "live_labels": live_labels and str(live_labels), "higher_is_better": higher_is_better,
        "bootstrap": bootstrap, "confidence": confidence, "seed": seed, "epochs": epochs and str(epochs),
    }  # fmt: skip
    given = {name: value for name, value in own.items() if value is not None}
    section = parse_options(Audit, merge(parse_section(Audit, params).model_dump(), given))
    best = run(section, out, figures=figures)
    typer.echo(f"{'protocol':22} {'n':>6}  best by SRCC")
    for row in best[best["test"] == "srcc"].itertuples():
        mark = "" if row.same_as_first else "   another than under the first protocol"
        typer.echo(f"{row.protocol:22} {row.n_images:6}  {row.best} {row.value:.4f}{mark}")
    typer.echo(f"{out}: audit.csv, best.csv, ranks.csv, order.csv, widths.csv" + (", figures" if figures else ""))
