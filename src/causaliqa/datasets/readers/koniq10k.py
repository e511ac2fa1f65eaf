"""KonIQ-10k (Hosu et al., IEEE Trans. Image Process. 29, 2020): 10,073 photographs with authentic distortions.

``koniq10k_scores_and_distributions.csv`` (image_name, MOS, SD, MOS_zscore and more), or ``koniq10k_label.txt`` with
lines of name, tab and MOS; images in ``1024x768`` or ``512x384``. MOS is from 1 to 5, MOS_zscore about 0 to 100, higher
is better; there are no references.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from causaliqa.datasets.names import AUTHENTIC
from causaliqa.datasets.readers.base import Files, Options, Row, Unique, number, parse_options, read_lines, read_table
from causaliqa.errors import ConfigError, DataError

TABLE = "koniq10k_scores_and_distributions.csv"
PLAIN = "koniq10k_label.txt"


class Koniq10kOptions(Options):
    """Options of the layout.

    Attributes
    ----------
    images : which of the two published sizes.
    score : column of the score; with MOS comes its standard deviation.
    """

    images: Literal["1024x768", "512x384"] = "1024x768"
    score: Literal["MOS", "MOS_zscore"] = "MOS"


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(Koniq10kOptions, options, "koniq10k")
    files = Files(folder)
    unique = Unique()
    # Archives unpack into a folder of the folder's name.
    roots = [f"{chosen.images}/", f"koniq10k_{chosen.images}/{chosen.images}/"]
    for where, name, score, std in _labels(files, chosen):
        unique.add(name, where)
        images = [files.path(root + name, where) for root in roots]
        image = next((path for path in images if files.find(path)), images[0])
        yield Row(image, "", AUTHENTIC, 0, score, std)


def _labels(files: Files, options: Koniq10kOptions) -> Iterator[tuple[str, str, float, float]]:
    plain = files.find(PLAIN)
    if files.find(TABLE) is None and plain is not None:
        if options.score != "MOS":
            raise ConfigError(f"layout koniq10k: {PLAIN} holds MOS alone; add {TABLE}, or set score: MOS")
        for where, text in read_lines(files.folder / plain):
            fields = text.split()
            if len(fields) != 2:
                raise DataError(f"{where}: {len(fields)} fields, not 2 (image and score); repair the line")
            yield where, fields[0], number(fields[1], where), float("nan")
        return
    path = files.need(TABLE, "koniq10k")
    with_std = options.score == "MOS"
    for row in read_table(path, ["image_name", options.score, *(["SD"] if with_std else [])]):
        where = f"{path}: {row['image_name']}"
        std = number(row["SD"], where) if with_std else float("nan")
        yield where, row["image_name"], number(row[options.score], where), std
