"""What stage embed measured of the disentanglement, shaped for figures and for reading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from causaliqa.disentangle.proofs import (
    CLASSES,
    MASK_COLUMNS,
    NUMBER_COLUMNS,
    PROBE_COLUMNS,
    SOURCES,
    VARIANCE_COLUMNS,
)
from causaliqa.errors import DataError
from causaliqa.evaluate.intervals import MINIMUM_REFERENCES, draw_multiplicities, percentile_interval
from causaliqa.figures.points import interval_text
from causaliqa.figures.style import short
from causaliqa.io import read_json, read_tensors
from causaliqa.report.prepare import model_of

#: Codes as a reader knows them.
SOURCE_TITLES = {
    "content": "content C of y",
    "degradation": "degradation D of y",
    "masked": "masked D̃ of y",
    "pair": "D̃(y) − D̃(x), scored",
}
#: Spread of a mask below which it says the same everywhere.
_CONSTANT = 1e-3
_MEASURES = {"band": "band distance", "psnr": "PSNR, dB", "ms_ssim": "MS-SSIM"}
_PICTURES = ("reference", "contrast", "mask", "classes")


def read_proofs(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read one CSV of the proofs.

    Raises
    ------
    DataError
        If the file is missing, damaged or lacks a column.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); run stage embed again") from None
    if missing := [column for column in columns if column not in table.columns]:
        raise DataError(f"{path}: lacks {', '.join(missing)}; run stage embed again")
    return table


def _read(folders: Sequence[Path], name: str, columns: Sequence[str]) -> pd.DataFrame:
    """Join a CSV of several models behind a column ``model``.

    Raises
    ------
    DataError
        If a file is missing, damaged or lacks a column.
    """
    parts = []
    several = len({Path(folder).name for folder in folders}) > 1
    for folder in folders:
        table = read_proofs(Path(folder) / name, columns)
        label = model_of(Path(folder)) + (f" · seed {Path(folder).name}" if several else "")
        parts.append(table[list(columns)].assign(model=label))
    if not parts:
        return pd.DataFrame(columns=["model", *columns])
    kept = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(kept, ignore_index=True)[["model", *columns]]


def probes(folders: Sequence[Path]) -> pd.DataFrame:
    """Probes of all models, with ``found`` and ``title`` of the code.

    Found means above the best of the permuted labels, and by more than references vary: the interval, where there is
    one, lies above chance.
    """
    table = _read(folders, "probes.csv", PROBE_COLUMNS)
    beyond = table["low"].isna() | (table["low"] > table["chance"])
    return table.assign(
        found=(table["value"] > table["permuted_high"]) & beyond,
        title=[SOURCE_TITLES.get(str(s), str(s)) for s in table["source"]],
    )


def probe_wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row a model, target and code, as a reader wants it."""
    must = {"succeed": "yes", "fail": "no"}
    return pd.DataFrame(
        [
            {
                "model": row["model"],
                "read": row["target"],
                "from": row["title"],
                "should": must[str(row["expected"])],
                "does": "yes" if row["found"] else "no",
                "value": interval_text(row["value"], row["low"], row["high"]),
                "chance": interval_text(row["chance"], np.nan, np.nan),
                "permuted, most": interval_text(row["permuted_high"], np.nan, np.nan),
                "untrained": interval_text(row["untrained"], np.nan, np.nan),
                "references": row["n_references"],
                "images": row["n_images"],
            }
            for row in table.to_dict("records")
        ],
        columns=["model", "read", "from", "should", "does", "value", "chance", "permuted, most", "untrained",
                 "references", "images"],
    )  # fmt: skip


def variance(folders: Sequence[Path]) -> pd.DataFrame:
    """Shares of each code's variance by content, recipe and their interaction, of all models."""
    table = _read(folders, "variance.csv", VARIANCE_COLUMNS)
    return table.assign(title=[SOURCE_TITLES.get(str(s), str(s)) for s in table["source"]])


def variance_wide(table: pd.DataFrame) -> pd.DataFrame:
    """One row a model and code, one column a component, with intervals; the untrained network's in brackets behind."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.to_dict("records"):
        text = interval_text(row["share"], row["low"], row["high"])
        before = interval_text(row["untrained"], np.nan, np.nan)
        rows.setdefault((str(row["model"]), str(row["title"])), {})[str(row["component"])] = f"{text}; {before}"
    return pd.DataFrame(
        [{"model": model, "code": title, **parts} for (model, title), parts in rows.items()],
        columns=["model", "code", "content", "recipe", "interaction"],
    )


def masks(folders: Sequence[Path]) -> pd.DataFrame:
    """Every measured mask: columns of ``mask.csv`` behind ``model``; scale and channel -1 is the mean map."""
    return _read(folders, "mask.csv", MASK_COLUMNS)


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over references and its 95 % bootstrap interval; NaN without values, no interval below three."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return float("nan"), float("nan"), float("nan")
    low, high = float("nan"), float("nan")
    if len(known) >= MINIMUM_REFERENCES:
        draws = draw_multiplicities(len(known), 1000, "mask") @ known / len(known)
        low, high = percentile_interval(draws, 0.95)
    return float(known.mean()), low, high


def mask_summary(table: pd.DataFrame) -> pd.DataFrame:
    """How each model's mask behaves, scale by scale and for the mean map, means over channels and references.

    Returns
    -------
    DataFrame
        ``model, scale`` (-1 the mean map), ``mean, std_space, std_images, contrast_srcc, low, high`` (interval of the
        correlation over references), ``flat, edge, texture, kind, n_references``. ``kind`` is ``constant`` (one value
        everywhere: no masking, or a collapsed mask), ``fixed`` (a map that no image changes) or ``image``.
    """
    rows = []
    for (model, scale), part in table.groupby(["model", "scale"], sort=False):
        by_image = part.groupby(["dataset", "reference"], sort=True)[
            ["mean", "std_space", "std_images", "contrast_srcc", *CLASSES]
        ].mean()
        value, low, high = _interval(by_image["contrast_srcc"].to_numpy())
        space, images = float(by_image["std_space"].mean()), float(by_image["std_images"].mean())
        # A mask that is flat within images may still differ between them: then it is no constant.
        flat = space < _CONSTANT and (not np.isfinite(images) or images < _CONSTANT)
        rows.append(
            {
                "model": model, "scale": scale, "mean": float(by_image["mean"].mean()),
                "std_space": space, "std_images": images, "contrast_srcc": value, "low": low, "high": high,
                **{name: float(by_image[name].mean()) for name in CLASSES},
                "kind": "constant" if flat else "fixed" if images < _CONSTANT else "image",
                "n_references": len(by_image),
            }
        )  # fmt: skip
    columns = ["model", "scale", "mean", "std_space", "std_images", "contrast_srcc", "low", "high", *CLASSES, "kind",
               "n_references"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def mask_wide(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the summary as a reader wants it."""
    shown = summary.copy()
    shown["scale"] = ["mean map" if scale < 0 else str(scale) for scale in shown["scale"]]
    shown["SRCC with contrast"] = [
        interval_text(value, low, high)
        for value, low, high in zip(summary["contrast_srcc"], summary["low"], summary["high"], strict=True)
    ]
    for name in ("mean", "std_space", "std_images", *CLASSES):
        shown[name] = [f"{value:.3f}" if np.isfinite(value) else "–" for value in summary[name]]
    kept = ["model", "scale", "kind", "mean", "std_space", "std_images", "SRCC with contrast", *CLASSES, "n_references"]
    titles = {"std_space": "spread in images", "std_images": "between images", "n_references": "references"}
    return shown[kept].rename(columns=titles)


def mask_pictures(folder: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return references of one model with the mask, the contrast model and the classes of pixels, and row labels.

    Raises
    ------
    DataError
        If the files are missing or disagree.
    """
    folder = Path(folder)
    pictures = {name: tensor.numpy() for name, tensor in read_tensors(folder / "mask.safetensors").items()}
    labels = [str(label) for label in read_json(folder / "mask.json")["labels"]]
    if missing := [name for name in _PICTURES if name not in pictures]:
        raise DataError(f"{folder / 'mask.safetensors'}: lacks {', '.join(missing)}; run stage embed again")
    if any(len(pictures[name]) != len(labels) for name in _PICTURES):
        raise DataError(f"{folder}: {len(labels)} labels of another number of masks; run stage embed again")
    return pictures, labels


def by_type(folders: Sequence[Path]) -> pd.DataFrame:
    """Reconstruction and monotonicity by type: medians over pairs.

    Returns
    -------
    DataFrame
        ``model, distortion`` (``all types`` last), ``pairs, monotone`` (share of pairs whose decoded change grows with
        every step of lambda), and for ``band, psnr, ms_ssim``: ``<measure>_restore, <measure>_own`` (do(D := 0) on the
        distorted image, and that image itself, against the reference) and ``<measure>_transfer, <measure>_content``
        (do(D := D_y) on the reference, and content alone, against the distorted image).
    """
    numbers = _read(folders, "numbers.csv", NUMBER_COLUMNS)
    band = numbers[numbers["intervention"].isin(["restore", "transfer"])].assign(measure="band")
    rest = _read(folders, "reconstruction.csv", NUMBER_COLUMNS)
    table = pd.concat([part for part in (band, rest) if len(part)] or [band], ignore_index=True)
    rows = []
    for model in dict.fromkeys(table["model"]):
        own, scaling = table[table["model"] == model], numbers[numbers["intervention"] == "scaling"]
        scaling = scaling[scaling["model"] == model]
        for kind in [*sorted(own["distortion"].unique()), "all types"]:
            part = own if kind == "all types" else own[own["distortion"] == kind]
            steps = scaling if kind == "all types" else scaling[scaling["distortion"] == kind]
            row: dict[str, object] = {
                "model": model, "distortion": kind,
                "pairs": len(part[["dataset", "reference", "distortion", "level"]].drop_duplicates()),
                "monotone": float((steps["value"] > 1 - 1e-9).mean()) if len(steps) else float("nan"),
            }  # fmt: skip
            for measure in _MEASURES:
                for step, beside in (("restore", "own"), ("transfer", "content")):
                    found = part[(part["measure"] == measure) & (part["intervention"] == step)]
                    row[f"{measure}_{step}"] = float(found["value"].median())
                    row[f"{measure}_{beside}"] = float(found["baseline"].median())
            rows.append(row)
    names = [f"{measure}_{part}" for measure in _MEASURES for part in ("restore", "own", "transfer", "content")]
    return pd.DataFrame(rows, columns=["model", "distortion", "pairs", "monotone", *names])


def by_type_wide(table: pd.DataFrame) -> pd.DataFrame:
    """Return :func:`by_type` as text: each value, and behind a slash what it is compared with."""
    steps = (("restore", "own", "do(D := 0)"), ("transfer", "content", "do(D := D_y)"))

    def cell(value: float, beside: float, measure: str) -> str:
        digits = 1 if measure == "psnr" else 3
        return " / ".join(f"{v:.{digits}f}" if np.isfinite(v) else "–" for v in (value, beside))

    return pd.DataFrame(
        [
            {
                "model": row["model"], "type": row["distortion"], "pairs": row["pairs"],
                "monotone": f"{row['monotone']:.0%}" if np.isfinite(row["monotone"]) else "–",
                **{
                    f"{does}: {title}": cell(row[f"{measure}_{step}"], row[f"{measure}_{beside}"], measure)
                    for step, beside, does in steps
                    for measure, title in _MEASURES.items()
                },
            }
            for row in table.to_dict("records")
        ]
    )  # fmt: skip


def probe_note(table: pd.DataFrame, shares: pd.DataFrame) -> str:
    """Say, model by model, which probes do what a disentangled code asks, and how much of what is scored is content."""
    if table.empty:
        return "Too few test references and types are crossed for probes: they need two of each."
    lines = []
    for model, rows in table.groupby("model", sort=False):
        broken = rows[rows["found"] != (rows["expected"] == "succeed")]
        said = [
            f"{row['target']} {'can' if row['found'] else 'cannot'} be read from {row['title']} "
            f"({short(row['value'])}, chance {short(row['chance'])}, untrained {short(row['untrained'])})"
            for row in broken.to_dict("records")
        ]
        head = f"* *{model}*: {len(rows) - len(broken)} of {len(rows)} probes come out as disentanglement asks"
        mine = shares[(shares["model"] == model) & (shares["source"] == SOURCES[-1])]
        part = dict(zip(mine["component"], mine["share"], strict=True))
        tail = (
            f" Of the variance of what is scored, {part['content']:.0%} is the content's, {part['recipe']:.0%} the "
            f"recipe's, {part['interaction']:.0%} how recipes act on contents."
            if part
            else ""
        )
        lines.append(head + (f"; against it: {'; '.join(said)}." if said else ".") + tail)
    return "\n".join(lines)


def mask_note(summary: pd.DataFrame) -> str:
    """Say, model by model, whether the mask behaves like visual masking."""
    lines = []
    for row in summary[summary["scale"] < 0].to_dict("records"):
        lead = f"* *{row['model']}*: "
        if row["kind"] == "constant":
            lines.append(f"{lead}the mask is {row['mean']:.2f} everywhere: it masks nothing.")
            continue
        if row["kind"] == "fixed":
            lines.append(f"{lead}the mask is one map whatever the image: it is no masking by content.")
            continue
        known = np.isfinite([row["low"], row["high"]]).all()
        sign = (
            "lower where the image is busy, as visual masking asks"
            if known and row["high"] < 0
            else "higher where the image is busy, against visual masking"
            if known and row["low"] > 0
            else "not clearly related to how busy the image is"
        )
        lines.append(
            f"{lead}the mask depends on the image (spread in images {row['std_space']:.3f}, between images "
            f"{row['std_images']:.3f}) and is {sign} (SRCC with local contrast "
            f"{interval_text(row['contrast_srcc'], row['low'], row['high'])}; mean on flat {row['flat']:.3f}, edge "
            f"{row['edge']:.3f}, texture {row['texture']:.3f})."
        )
    return "\n".join(lines)
