"""Label tables of datasets whose archive could not be seen: the titles of the columns are found or given."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from causaliqa.datasets.names import AUTHENTIC, IMAGE_SUFFIXES
from causaliqa.datasets.readers.base import Files, Options, Row, Unique, inside, number, read_lines, sheet_rows, snake
from causaliqa.errors import DataError

#: Titles in snake case that name the columns, unless the options do.
IMAGE_TITLES = ("image", "image_name", "img", "img_name", "name", "file", "filename", "file_name", "dis_img_path")
SCORE_TITLES = ("mos", "score", "mean_opinion_score", "bt_score", "b_t_score", "subjective_score", "mean_rank")
#: Rows among which the titles are looked for.
HEAD = 20


class LabelOptions(Options):
    """Options of the layout.

    Attributes
    ----------
    table : the label file, .csv, .txt (comma or tab) or .xlsx; null: the only one in the folder that is no readme.
    sheet : of an .xlsx file; null: the first.
    image, score, score_std : titles of columns; null: found by usual titles, no standard deviation.
    """

    table: str | None = None
    sheet: str | None = None
    image: str | None = None
    score: str | None = None
    score_std: str | None = None


def label_file(files: Files, layout: str, name: str | None, suffixes: tuple[str, ...]) -> Path:
    """Return the label file: the one that is named, else the only one with one of `suffixes` that is no readme.

    Raises
    ------
    DataError
        If there is none, or several.
    """
    if name is not None:
        return files.need(name, layout)
    found = [
        path for path in files.matching("", suffixes) if "readme" not in path.lower() and "licen" not in path.lower()
    ]
    if len(found) != 1:
        listing = "none" if not found else ", ".join(found[:5])
        raise DataError(
            f"{files.folder}: not in the layout {layout!r}: one label file ({', '.join(suffixes)}) is expected, "
            f"there is {listing}; name it with the option table"
        )
    return files.folder / found[0]


def read_labels(files: Files, layout: str, options: LabelOptions, likely: str) -> Iterator[Row]:
    """Yield the rows of a blind dataset with a titled table; images are found by name in any folder.

    Parameters
    ----------
    likely : folder in which an image that is not there is reported missing.

    Raises
    ------
    DataError
        If the table, its titles, an image's name or a score is not what it should be.
    """
    path = label_file(files, layout, options.table, (".csv", ".txt", ".xlsx"))
    unique = Unique()
    places: tuple[int, ...] | None = None
    for count, (where, cells) in enumerate(_rows(path, options.sheet)):
        if places is None:
            places = _places(cells, options)
            if places is None and count >= HEAD:
                break
            continue
        if not any(cells):
            continue
        if len(cells) <= max(places):
            raise DataError(f"{where} has too few fields; repair the line")
        name = unique.add(inside(cells[places[0]], where), where)
        std = number(cells[places[2]], where) if len(places) > 2 else float("nan")
        image = _image(files, name, likely, where)
        yield Row(image, "", AUTHENTIC, 0, number(cells[places[1]], where), std)
    if places is None:
        raise DataError(f"{path}: no titles of an image and a score column; name them with the options image and score")


def _rows(path: Path, sheet: str | None) -> Iterator[tuple[str, list[str]]]:
    if path.suffix.lower() == ".xlsx":
        for count, cells in enumerate(sheet_rows(path, sheet), start=1):
            yield f"{path}: row {count}", cells
        return
    for where, text in read_lines(path):
        try:
            cells = next(csv.reader([text], delimiter="\t" if "\t" in text else ","))
        except csv.Error as error:
            raise DataError(f"{where} is no row of a table ({error}); repair the line") from None
        yield where, [cell.strip() for cell in cells]


def _places(cells: list[str], options: LabelOptions) -> tuple[int, ...] | None:
    """Return the places of the columns image, score and, if asked for, score_std in a row of titles, else None."""
    titles = [snake(cell) for cell in cells]
    places = []
    for given, usual in ((options.image, IMAGE_TITLES), (options.score, SCORE_TITLES), (options.score_std, None)):
        if given is None and usual is None:
            continue
        wanted = (snake(given),) if given is not None else usual or ()
        place = next((titles.index(title) for title in wanted if title in titles), None)
        if place is None:
            return None
        places.append(place)
    return tuple(places)


def _image(files: Files, name: str, likely: str, where: str) -> str:
    if name.lower().endswith(IMAGE_SUFFIXES):
        return files.locate(name, f"{likely}/{name}", where)
    # Some tables name images without a suffix.
    for suffix in IMAGE_SUFFIXES:
        image = files.locate(name + suffix, f"{likely}/{name}{suffix}", where)
        if files.find(image):
            return image
    return f"{likely}/{name}"
