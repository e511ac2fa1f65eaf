"""LIVE release 2 (Sheikh et al., IEEE Trans. Image Process. 15, 2006): 29 references, 5 types, 779 distorted images.

``refimgs/*.bmp``; folders ``jp2k``, ``jpeg``, ``wn``, ``gblur`` and ``fastfading`` with ``img1.bmp`` ... and an
``info.txt`` of lines ``womanhat.bmp img1.bmp 14``; ``dmos_realigned.mat`` (``dmos_new``, ``dmos_std``, ``orgs``) or
``dmos.mat`` (``dmos``, ``orgs``) with one number for each of 982 images in the order jp2k 227, jpeg 233, wn 174,
gblur 174, fastfading 174; ``refnames_all.mat`` with the references in that order. Scores are DMOS, higher is worse.

203 of the 982 are copies of references (``orgs`` = 1), which no one degraded: they are left out unless asked for.
The parameters in ``info.txt`` differ by type and are not levels, so the level is always 0. A partial copy lists fewer
images in ``info.txt`` or lacks folders of types, and has a ``provenance.csv`` (image, provenance).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from causaliqa.datasets.readers.base import (
    Files,
    Options,
    Row,
    Unique,
    parse_options,
    provenance_of,
    read_lines,
    read_names,
    read_provenance,
    read_vector,
    with_references,
)
from causaliqa.errors import DataError

#: Folder -> (name of the type, number of images), in the order of the score arrays.
TYPES = {
    "jp2k": ("jpeg2000", 227),
    "jpeg": ("jpeg", 233),
    "wn": ("white_noise", 174),
    "gblur": ("gaussian_blur", 174),
    "fastfading": ("fast_fading", 174),
}
TOTAL = 982


class LiveOptions(Options):
    """Options of the layout.

    Attributes
    ----------
    labels : ``realigned`` scores (dmos_realigned.mat, what papers report), or the ``original`` ones (dmos.mat).
    pristine_copies : keep the copies of references among the distorted images, as rows of their folder's type.
    """

    labels: Literal["realigned", "original"] = "realigned"
    pristine_copies: bool = False


def read(folder: Path, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows; see :func:`causaliqa.datasets.readers.read_layout`."""
    chosen = parse_options(LiveOptions, options, "live")
    yield from with_references(_distorted(Files(folder), chosen))


def _distorted(files: Files, options: LiveOptions) -> Iterator[tuple[Row, str]]:
    if options.labels == "realigned":
        path = files.need("dmos_realigned.mat", "live")
        scores, stds = read_vector(path, "dmos_new", TOTAL), read_vector(path, "dmos_std", TOTAL).tolist()
    else:
        path = files.need("dmos.mat", "live")
        scores, stds = read_vector(path, "dmos", TOTAL), [float("nan")] * TOTAL
    copies = read_vector(path, "orgs", TOTAL)
    references = read_names(files.need("refnames_all.mat", "live"), "refnames_all", TOTAL)
    provenance = read_provenance(files)
    present = [kind for kind in TYPES if files.matching(kind, (".bmp", "info.txt"))]
    first = 0
    for kind, (name, count) in TYPES.items():
        # A copy may lack a type, but not the list of a type that it has.
        if kind in present or not present:
            listing = files.need(f"{kind}/info.txt", "live")
            for where, number, reference in _listed(listing, count):
                index = first + number - 1
                if references[index].strip().lower() != reference.lower():
                    raise DataError(f"{where}: the reference is {references[index]} in refnames_all.mat; repair one")
                if copies[index] and not options.pristine_copies:
                    continue
                image = files.path(f"{kind}/img{number}.bmp")
                listed_as = provenance_of(f"{kind}/img{number}.bmp", provenance)
                content = reference.lower().removesuffix(".bmp")
                row = Row(image, content, name, 0, float(scores[index]), stds[index], listed_as)
                yield row, files.path(f"refimgs/{reference}", where)
        first += count


def _listed(path: Path, count: int) -> Iterator[tuple[str, int, str]]:
    """Yield (where, number of the image in its folder, reference)."""
    unique = Unique()
    for where, text in read_lines(path):
        fields = text.split()
        if len(fields) != 3:
            raise DataError(f"{where}: {len(fields)} fields, not 3 (reference, image, parameter); repair the line")
        reference, image = fields[0], unique.add(fields[1], where)
        match = re.fullmatch(r"img(\d{1,3})\.bmp", image, re.IGNORECASE)
        if match is None or not 1 <= int(match[1]) <= count:
            raise DataError(f"{where}: {image!r} is none of img1.bmp to img{count}.bmp; repair the line")
        yield where, int(match[1]), reference
