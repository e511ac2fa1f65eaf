"""Pages of `causaliqa data verify --page`: findings, histograms, PSNR plots; HTML in one file, or Markdown for docs."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from causaliqa.datasets.validate import summary
from causaliqa.figures.datasets import psnr_by_distortion, score_histograms
from causaliqa.figures.style import render
from causaliqa.io import write_bytes, write_text
from causaliqa.report.opinions import validation_table
from causaliqa.report.stage import STYLE


def _image(figure: Figure, alt: str) -> str:
    content = base64.b64encode(render(figure, "png")).decode()
    width = round(figure.get_figwidth() * 96)
    return f'<figure><img src="data:image/png;base64,{content}" width="{width}" alt="{html.escape(alt)}"></figure>'


def write_page(path: Path, results: Sequence[dict[str, Any]]) -> None:
    """Write a page about validated datasets: Markdown with figures beside it if `path` ends in .md, else HTML."""
    if path.suffix.lower() == ".md":
        _write_markdown(path, results)
        return
    parts = ["<h1>Datasets, verified</h1>"]
    table = validation_table(results).to_html(index=False, border=0, escape=True)
    parts.append(f"<div class='scroll'>{table}</div>")
    if any(result["histogram"] for result in results):
        parts.append(_image(score_histograms(results), "Histogram of the scores of each dataset"))
    for result in results:
        parts.append(f"<h2>{html.escape(result['dataset'])}</h2>")
        parts.append(f"<pre>{html.escape(chr(10).join(summary(result)))}</pre>")
        if result["psnr"]:
            parts.append(_image(psnr_by_distortion(result), f"SRCC of PSNR by distortion on {result['dataset']}"))
    body = "\n".join(parts)
    write_text(
        path,
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Datasets, verified</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n",
    )


def _write_markdown(path: Path, results: Sequence[dict[str, Any]]) -> None:
    def picture(name: str, figure: Figure, alt: str) -> str:
        target = path.with_name(f"{path.stem}-{name}.png")
        write_bytes(target, render(figure, "png", 110))
        return f"![{alt}]({target.name})\n"

    table = validation_table(results)
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    command = "causaliqa data verify " + " ".join(str(result["dataset"]) for result in results)
    parts = [
        "# Datasets, verified\n",
        f"Written by `{command} --page {path.name}`; every image was read again.\n",
        "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n",
    ]
    if any(result["histogram"] for result in results):
        parts.append(picture("scores", score_histograms(results), "Histogram of the scores of each dataset"))
    for result in results:
        parts.append(f"## {result['dataset']}\n")
        parts.append("```text\n" + "\n".join(summary(result)) + "\n```\n")
        if len(result["psnr"]) > 1:
            name = str(result["dataset"])
            parts.append(picture(name, psnr_by_distortion(result), f"SRCC of PSNR by distortion on {name}"))
    write_text(path, "\n".join(parts))
