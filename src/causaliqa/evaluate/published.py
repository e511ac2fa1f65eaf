"""Per-image scores that others have published: read from CSV, checked, and brought into a score table.

They let a method that cannot be run stand in the same tables as those that can, and they let a protocol be checked
against published correlations without a single image.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from causaliqa.datasets.names import REFERENCE
from causaliqa.datasets.readers import kadid10k, live, pipal, tid2013
from causaliqa.datasets.readers.base import MAX_TEXT
from causaliqa.errors import DataError
from causaliqa.tables import SCORE_COLUMNS, score_table

#: Column of the image, and of the opinion where a file has one.
IMAGE, OPINION = "image", "score_in_file"

_CSIQ = {
    "awgn": "white_noise",
    "jpeg": "jpeg",
    "jpeg2000": "jpeg2000",
    "fnoise": "pink_noise",
    "blur": "gaussian_blur",
    "contrast": "contrast_change",
}
_IVC = {"j2000": "jpeg2000", "jpeg": "jpeg", "jpeg_lumichr": "jpeg_luma_chroma", "lar": "lar", "blur": "gaussian_blur"}


def read_published(
    path: Path, *, image: str = IMAGE, opinion: str | None = OPINION, methods: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read a CSV with one row an image and one column a method.

    Parameters
    ----------
    path : the file.
    image, opinion : titles of the columns of image names and opinions; None: there are no opinions.
    methods : titles of the columns to keep; None: all others, which must be numbers.

    Returns
    -------
    DataFrame
        ``image``, ``opinion`` (if asked for) and the methods, float64, in the order of the file.

    Raises
    ------
    DataError
        If the file is missing, too large or no such table, or a title, an image or a number is not what it should be.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: missing; name the CSV of published per-image scores")
    if path.stat().st_size > MAX_TEXT:
        raise DataError(f"{path}: larger than {MAX_TEXT} bytes; is it a table of scores?")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    except (UnicodeDecodeError, ValueError) as error:  # pandas' parser errors are ValueErrors
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: not a readable CSV ({reason}); download it again") from None
    head = [image, *([opinion] if opinion is not None else [])]
    names = [name for name in table.columns if name not in head] if methods is None else list(methods)
    if missing := [name for name in [*head, *names] if name not in table.columns]:
        raise DataError(f"{path}: lacks the columns {', '.join(missing)}; it has {', '.join(table.columns[:8])}")
    if not names or table.empty:
        raise DataError(f"{path}: holds no {'scores' if names else 'column of a method'}; download it again")
    images = table[image].str.strip()
    if images.eq("").any() or images.duplicated().any():
        bad = int(np.flatnonzero(images.eq("") | images.duplicated())[0])
        what = "no image name" if images[bad] == "" else f"image {images[bad]!r} a second time"
        raise DataError(f"{path}: line {bad + 2}: {what}; repair the line")
    columns: dict[str, object] = {"image": images}
    for title in [*head[1:], *names]:
        values = pd.to_numeric(table[title], errors="coerce").to_numpy(dtype=np.float64)
        if not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DataError(f"{path}: line {bad + 2}: {title} is {table[title][bad]!r}, not a finite number; repair it")
        columns["opinion" if title == opinion else title] = values
    return pd.DataFrame(columns)


def image_key(name: str) -> str:
    """Return what an image's name has in common with the same image's name in a manifest: its stem, in lower case.

    LIVE's five folders repeat the stems, so there the folder is part of it: ``wn/img12.bmp`` and ``wn_img12.bmp`` give
    ``wn_img12``.
    """
    path = PurePosixPath(name.replace("\\", "/").rpartition("!")[2])
    stem = path.stem.lower()
    if path.parent.name.lower() in live.TYPES and re.fullmatch(r"img\d+", stem):
        return f"{path.parent.name.lower()}_{stem}"
    return stem


def _live(key: str) -> tuple[str, str, int] | None:
    match = re.fullmatch(r"(\w+?)_img(\d+)", key)
    # The name tells the type alone; the reference is in refnames_all.mat, see causaliqa.evaluate.audit.
    return ("", live.TYPES[match[1]][0], 0) if match and match[1] in live.TYPES else None


def _tid2013(key: str) -> tuple[str, str, int] | None:
    match = re.fullmatch(r"(i\d\d)_(\d\d)_(\d)", key)
    known = match and 1 <= int(match[2]) <= len(tid2013.TYPES)
    return (match[1], tid2013.TYPES[int(match[2]) - 1], int(match[3])) if match and known else None


def _kadid10k(key: str) -> tuple[str, str, int] | None:
    match = re.fullmatch(r"(i\d\d)_(\d\d)_(\d\d)", key)
    known = match and 1 <= int(match[2]) <= len(kadid10k.TYPES)
    return (match[1], kadid10k.TYPES[int(match[2]) - 1], int(match[3])) if match and known else None


def _pipal(key: str) -> tuple[str, str, int] | None:
    match = re.fullmatch(r"(a\d{4})_(\d\d)_(\d\d)", key)
    known = match and int(match[2]) < len(pipal.TYPES)
    return (match[1], pipal.TYPES[int(match[2])], 0) if match and known else None


def _csiq(key: str) -> tuple[str, str, int] | None:
    match = re.fullmatch(r"(.+)\.(\w+)\.(\d)", key)
    return (match[1], _CSIQ[match[2]], int(match[3])) if match and match[2] in _CSIQ else None


def _ivc(key: str) -> tuple[str, str, int] | None:
    match = re.fullmatch(r"([a-z0-9]+?)_(\w+)_r(\d)", key)
    # Rates are ordered within a type and picture but are no common levels.
    return (match[1], _IVC[match[2]], 0) if match and match[2] in _IVC else None


#: Dataset -> what an image's key says: (reference, distortion, level), or None if it is no such name.
NAMES: dict[str, Callable[[str], tuple[str, str, int] | None]] = {
    "live": _live,
    "tid2013": _tid2013,
    "kadid10k": _kadid10k,
    "pipal": _pipal,
    "csiq": _csiq,
    "ivc": _ivc,
}


def images_by_name(dataset: str, images: Sequence[str]) -> pd.DataFrame:
    """Return ``dataset, image, reference, distortion, level`` of images, as their names in a known dataset tell.

    Raises
    ------
    DataError
        If the dataset is not one of :data:`NAMES`, or a name is not one of its.
    """
    if dataset not in NAMES:
        raise DataError(f"{dataset}: its names are not known ({', '.join(NAMES)} are); give its manifest instead")
    found = [NAMES[dataset](image_key(name)) for name in images]
    if None in found:
        raise DataError(f"{dataset}: {images[found.index(None)]!r} is not a name of this dataset; check the CSV")
    table = pd.DataFrame(found, columns=["reference", "distortion", "level"])
    table.insert(0, "image", list(images))
    table.insert(0, "dataset", dataset)
    return table


def published_scores(
    published: pd.DataFrame, images: pd.DataFrame, *, higher_is_better: bool | Mapping[str, bool],
    setting: str = "baseline", suffix: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Return a score table of published scores, under the names that the images have here.

    Parameters
    ----------
    published : from :func:`read_published`.
    images : columns ``dataset, image, reference, distortion, level`` of one dataset: a manifest, or
        :func:`images_by_name`. A partial copy may lack images that are published; they are dropped. Images are matched
        by :func:`image_key`.
    higher_is_better : polarity, declared, of all methods or by method.
    setting : of :data:`causaliqa.tables.SETTINGS`.
    suffix : put after each method's name, to tell it from the same metric run here.

    Raises
    ------
    DataError
        If an image has no published score, two names have one key, or a method's polarity is not declared.
    """
    if images["dataset"].nunique() != 1:
        raise DataError(f"images: {images['dataset'].nunique()} datasets; give the images of one")
    dataset = str(images["dataset"].iloc[0])
    mine = images[images["distortion"] != REFERENCE].sort_values("image", kind="stable")
    keys = {}
    for what, names in (("published", published["image"]), ("images", mine["image"])):
        keys[what] = names.map(image_key)
        if keys[what].duplicated().any():
            twice = names[keys[what].duplicated()].iloc[0]
            raise DataError(f"{dataset}: {twice!r} cannot be told from another image by its name; rename one ({what})")
    place = pd.Index(keys["published"]).get_indexer(pd.Index(keys["images"]))
    if (place < 0).any():
        lost = mine["image"].iloc[int(np.flatnonzero(place < 0)[0])]
        raise DataError(
            f"{dataset}: no published score for image {lost!r}; leave it out of the images, or name another file"
        )
    methods = [name for name in published.columns if name not in ("image", "opinion")]
    parts = []
    for method in methods:
        polarity = higher_is_better if isinstance(higher_is_better, bool) else higher_is_better.get(method)
        if polarity is None:
            raise DataError(f"{dataset}: the polarity of {method} is not declared; add it to higher_is_better")
        score = published[method].to_numpy()[place]
        parts.append(score_table(mine, score, method=method + suffix, setting=setting, higher_is_better=polarity))
    return pd.concat(parts, ignore_index=True)[SCORE_COLUMNS]
