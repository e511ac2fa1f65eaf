"""How much of a published ranking is the method, and how much the protocol.

From per-image scores alone, no images: every coefficient of every published method under every protocol that papers
use for the same database (which images, which release of the opinions, with or without copies of references), with
intervals that take images as independent beside intervals that draw references; who is best under each protocol, and
how ranks move. Also: what choosing the epoch by the test set instead of a validation set is worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from causaliqa.datasets.readers import live
from causaliqa.datasets.readers.base import read_names, read_vector
from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate import intervals
from causaliqa.evaluate.correlation import fit_logistic, krcc, plcc, srcc
from causaliqa.evaluate.paired import Paired, paired_arrays
from causaliqa.evaluate.published import image_key, images_by_name, read_published
from causaliqa.progress import progress
from causaliqa.seeding import generator

#: Coefficients, in the order of tables.
TESTS = ("srcc", "krcc", "plcc_raw", "plcc_4p", "plcc_5p")
#: Columns of an audit.
#:
#: low, high : interval from draws of references; low_image, high_image : from draws of images, as if independent.
#: All four are NaN for KRCC: its interval needs all pairs of images for each method
AUDIT_COLUMNS = [
    "dataset", "protocol", "method", "test", "value", "low", "high", "low_image", "high_image", "rank", "n_images",
    "n_references", "n_draws",
]  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """One way in which papers use a database.

    Attributes
    ----------
    name : e.g. ``live_779_realigned``.
    dataset : the CSV's stem.
    higher_is_better : of its opinions.
    images : how many it has; a file with another number is refused.
    text : what is in and what is out.
    needs : a distortion; a file without any image of it is no file of this protocol, which is then left out.
    """

    name: str
    dataset: str
    higher_is_better: bool
    images: int
    text: str
    needs: str = ""


#: Protocols, in the order of tables; the first of a dataset is what its ranks are compared with.
PROTOCOLS = (
    Protocol("live_982_old", "live", False, 982, "release 2, old DMOS, with 203 copies of references"),
    Protocol("live_779_old", "live", False, 779, "release 2, old DMOS"),
    Protocol("live_779_realigned", "live", False, 779, "release 2, realigned DMOS"),
    Protocol("csiq_866", "csiq", False, 866, "all six types", needs="contrast_change"),
    Protocol("csiq_750", "csiq", False, 750, "without contrast changes (the database has 866 images)"),
    Protocol("tid2013", "tid2013", True, 3000, "all 25 references"),
    Protocol("tid2013_24", "tid2013", True, 2880, "without the synthetic reference 25"),
    Protocol("kadid10k", "kadid10k", True, 10125, "all 81 references"),
    Protocol("pipal", "pipal", True, 23200, "the 200 training references, whose Elo scores are public"),
    Protocol("ivc", "ivc", True, 185, "all images of the file"),
)
#: LIVE's files of labels.
LIVE_FILES = ("dmos_realigned.mat", "refnames_all.mat")


def _live_labels(folder: Path | None, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return realigned DMOS, whether an image is a copy of a reference, and the references, in the order of `keys`."""
    if folder is None:
        raise DataError(f"live: the references and the realigned DMOS are needed; name the folder of {LIVE_FILES[0]}")
    paths = [Path(folder) / name for name in LIVE_FILES]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: missing; it comes with LIVE release 2")
    realigned = read_vector(paths[0], "dmos_new", live.TOTAL)
    copies = read_vector(paths[0], "orgs", live.TOTAL) != 0
    references = read_names(paths[1], "refnames_all", live.TOTAL)
    order = [
        f"{folder_name}_img{number}" for folder_name, (_, count) in live.TYPES.items() for number in range(1, count + 1)
    ]
    place = pd.Index(order).get_indexer(pd.Index(keys))
    if (place < 0).any():
        raise DataError(
            f"live: {keys[int(np.flatnonzero(place < 0)[0])]!r} is not a name of this dataset; check the CSV"
        )
    return realigned[place], copies[place], [references[index].strip().lower() for index in place]


def protocol_data(
    protocol: Protocol, published: pd.DataFrame, *, higher_is_better: bool, live_labels: Path | None = None
) -> Paired:
    """Return the images, opinions and scores of one protocol.

    Parameters
    ----------
    protocol : one of :data:`PROTOCOLS`, or another of these datasets.
    published : from :func:`causaliqa.evaluate.published.read_published`, with opinions.
    higher_is_better : polarity of the methods, declared.
    live_labels : folder with LIVE's ``dmos_realigned.mat`` and ``refnames_all.mat``; LIVE's protocols need it.

    Raises
    ------
    DataError
        If images or labels are missing or are not as many as the protocol has.
    """
    images = images_by_name(protocol.dataset, list(published["image"]))
    opinion = published["opinion"].to_numpy(dtype=np.float64)
    references = list(images["reference"])
    kept = np.ones(len(images), dtype=bool)
    if protocol.dataset == "live":
        keys = [image_key(name) for name in published["image"]]
        realigned, copies, references = _live_labels(live_labels, keys)
        if protocol.name.endswith("_realigned"):
            opinion = realigned
        if "_779_" in protocol.name:
            kept = ~copies
    elif protocol.name == "csiq_750":
        kept = (images["distortion"] != "contrast_change").to_numpy()
    elif protocol.name == "tid2013_24":
        kept = (images["reference"] != "i25").to_numpy()
    if int(kept.sum()) != protocol.images:
        raise DataError(
            f"{protocol.name}: {int(kept.sum())} images, not {protocol.images} ({protocol.text}); use the complete file"
        )
    methods = [name for name in published.columns if name not in ("image", "opinion")]
    scores = published[methods].to_numpy(dtype=np.float64).T[:, kept] * (1.0 if higher_is_better else -1.0)
    sign = 1.0 if protocol.higher_is_better else -1.0
    names = np.array(references, dtype=str)[kept].tolist()
    return paired_arrays(protocol.name, methods, scores, sign * opinion[kept], names)


class _Draws:
    """One kind of draws, shared by all methods, and the intervals they give."""

    def __init__(
        self, paired: Paired, cluster: np.ndarray, size: int, draws: int, confidence: float, seed: int
    ) -> None:
        self._cluster, self._size, self._confidence = cluster, size, confidence
        self._opinion = paired.opinion
        self._multiplicities = intervals.draw_multiplicities(size, draws, paired.dataset, seed)
        self._ranks = intervals.RankBootstrap(paired.opinion, cluster, self._multiplicities)

    def srcc(self, quality: np.ndarray) -> tuple[float, float]:
        return intervals.percentile_interval(self._ranks(quality), self._confidence)

    def plcc(self, mapped: np.ndarray) -> tuple[float, float]:
        sums = intervals.moments(mapped, self._opinion, self._cluster, self._size)
        values = intervals.linear_from_moments(sums, self._multiplicities.astype(np.float64))[0]
        return intervals.percentile_interval(values, self._confidence)


def audit_protocol(paired: Paired, *, draws: int = 1000, confidence: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Return every coefficient of every method, with both kinds of intervals.

    Parameters
    ----------
    paired : from :func:`protocol_data`, or any other methods on the same images.
    draws : of each kind; 0 gives values without intervals. The logistic mappings are held fixed over draws.
    confidence : of the percentile intervals.

    Returns
    -------
    DataFrame
        :data:`AUDIT_COLUMNS` less ``dataset``, by test and method; ``rank`` 1 is the best method of the test.

    Raises
    ------
    ConfigError
        If `draws` is negative or `confidence` is not in (0, 1).
    """
    if draws < 0 or not 0.0 < confidence < 1.0:
        raise ConfigError(f"draws {draws}, confidence {confidence}: need 0 or more, and a value in (0, 1)")
    n = len(paired.opinion)
    kinds: dict[str, _Draws] = {}
    if draws and paired.references >= intervals.MINIMUM_REFERENCES:
        kinds[""] = _Draws(paired, paired.cluster, paired.references, draws, confidence, seed)
    if draws:
        kinds["_image"] = _Draws(paired, np.arange(n), n, draws, confidence, seed)
    rows = []
    for method, quality in zip(paired.methods, paired.quality, strict=True):
        five, four = fit_logistic(quality, paired.opinion, "5p"), fit_logistic(quality, paired.opinion, "4p")
        centred = quality - quality.mean()
        scaled = centred / (np.abs(centred).max() or 1.0)
        monotone = srcc(quality, paired.opinion)
        # The curves could turn a method round that runs against its polarity; its sign stays.
        sign = -1.0 if monotone < 0 else 1.0
        cases: list[tuple[str, float, np.ndarray | None]] = [
            ("srcc", monotone, None),
            ("krcc", krcc(quality, paired.opinion), None),
            ("plcc_raw", plcc(quality, paired.opinion), scaled),
            ("plcc_4p", sign * four.plcc, sign * four(quality)),
            ("plcc_5p", sign * five.plcc, sign * five(quality)),
        ]
        for test, value, mapped in cases:
            row = {"protocol": paired.dataset, "method": method, "test": test, "value": value}
            for suffix in ("", "_image"):
                ends = (float("nan"), float("nan"))
                if suffix in kinds and test != "krcc":
                    ends = kinds[suffix].srcc(quality) if mapped is None else kinds[suffix].plcc(mapped)
                row[f"low{suffix}"], row[f"high{suffix}"] = ends
            rows.append(row | {"n_images": n, "n_references": paired.references, "n_draws": draws})
    table = pd.DataFrame(rows)
    table["rank"] = table.groupby("test")["value"].rank(ascending=False, method="min").astype(np.int64)
    table["order"] = table["test"].map(TESTS.index)
    table = table.sort_values(["order", "method"], kind="stable", ignore_index=True)
    return table[[name for name in AUDIT_COLUMNS if name != "dataset"]]


def protocols_of(
    folder: Path, protocols: Sequence[Protocol] = PROTOCOLS
) -> tuple[list[Protocol], dict[str, pd.DataFrame]]:
    """Return the protocols that the files of a folder allow, and the files by dataset.

    A protocol is left out if its CSV is not there, or has no image of the distortion that the protocol needs.

    Raises
    ------
    DataError
        If no CSV is there, or one is not what it should be.
    """
    chosen = [protocol for protocol in protocols if (Path(folder) / f"{protocol.dataset}.csv").is_file()]
    if not chosen:
        known = ", ".join(sorted({f"{protocol.dataset}.csv" for protocol in protocols}))
        raise DataError(f"{folder}: holds none of {known}; name another")
    files = {name: read_published(Path(folder) / f"{name}.csv") for name in sorted({p.dataset for p in chosen})}
    kinds = {
        name: set(images_by_name(name, list(files[name]["image"]))["distortion"])
        for name in {protocol.dataset for protocol in chosen if protocol.needs}
    }
    return [item for item in chosen if not item.needs or item.needs in kinds[item.dataset]], files


def audit(
    folder: Path, *, live_labels: Path | None = None, protocols: Sequence[Protocol] = PROTOCOLS,
    higher_is_better: bool = False, draws: int = 1000, confidence: float = 0.95, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Audit every protocol whose CSV is in `folder`.

    Parameters
    ----------
    folder : ``live.csv``, ``tid2013.csv``, ... with the columns ``image, score_in_file`` and one a method.
    live_labels : folder of LIVE's labels, see :func:`protocol_data`.
    protocols : which ones; see :func:`protocols_of` for those that are left out.
    higher_is_better : polarity of the methods; the published distances grow with distortion.
    draws, confidence, seed : see :func:`audit_protocol`.

    Returns
    -------
    DataFrame
        :data:`AUDIT_COLUMNS`, by protocol, test and method.

    Raises
    ------
    DataError
        If no CSV is there, or one is not what it should be.
    """
    chosen, files = protocols_of(folder, protocols)
    parts = []
    for protocol in progress(chosen, desc="audit", unit="protocol"):
        paired = protocol_data(
            protocol, files[protocol.dataset], higher_is_better=higher_is_better, live_labels=live_labels
        )
        part = audit_protocol(paired, draws=draws, confidence=confidence, seed=seed)
        part.insert(0, "dataset", protocol.dataset)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def best_by_protocol(table: pd.DataFrame) -> pd.DataFrame:
    """Return the best method of each protocol and test, and what it would have got elsewhere.

    Choosing the best of several columns after looking at the test set is itself a gain; ``over_median`` says how much.

    Parameters
    ----------
    table : from :func:`audit`.

    Returns
    -------
    DataFrame
        ``dataset, protocol, test, best, value, second, margin, median, over_median, n_methods, same_as_first``: the
        last whether the dataset's first protocol has the same best method. `second` is empty for a single method.
    """
    rows = []
    first: dict[tuple[str, str], str] = {}
    for (dataset, protocol, test), part in table.groupby(["dataset", "protocol", "test"], sort=False):
        ordered = part.sort_values(["value", "method"], ascending=[False, True], kind="stable")
        best, value = str(ordered["method"].iloc[0]), float(ordered["value"].iloc[0])
        second = str(ordered["method"].iloc[1]) if len(ordered) > 1 else ""
        leader = first.setdefault((str(dataset), str(test)), best)
        median = float(ordered["value"].median())
        rows.append(
            {
                "dataset": dataset, "protocol": protocol, "test": test, "best": best, "value": value, "second": second,
                "margin": value - float(ordered["value"].iloc[1]) if second else float("nan"), "median": median,
                "over_median": value - median, "n_methods": len(ordered), "same_as_first": leader == best,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def rank_changes(table: pd.DataFrame) -> pd.DataFrame:
    """Return how each method's rank moves between the protocols of a dataset.

    Parameters
    ----------
    table : from :func:`audit`; datasets with one protocol are left out.

    Returns
    -------
    DataFrame
        ``dataset, test, method, protocol, value, rank, change, agreement``: `change` is the rank minus that under the
        dataset's first protocol (negative: it rises), `agreement` Kendall's tau-b of the methods' values under the two
        protocols (1: no method passes another; 1 for the first protocol, NaN for a single method).
    """
    parts = []
    columns = ["dataset", "test", "method", "protocol", "value", "rank", "change", "agreement"]
    for (dataset, test), rows in table.groupby(["dataset", "test"], sort=False):
        protocols = list(dict.fromkeys(rows["protocol"]))
        if len(protocols) < 2:
            continue
        grids = {name: rows[rows["protocol"] == name].set_index("method") for name in protocols}
        start = grids[protocols[0]]
        for name in protocols:
            grid = grids[name].reindex(start.index)
            if grid["value"].isna().any():
                raise DataError(
                    f"{name}: lacks method {grid.index[grid['value'].isna()][0]!r} of {protocols[0]}; give both"
                )
            tau = krcc(start["value"].to_numpy(), grid["value"].to_numpy()) if len(start) > 1 else float("nan")
            part = grid[["value", "rank"]].assign(
                dataset=dataset, test=test, protocol=name, change=grid["rank"] - start["rank"], agreement=tau
            )
            parts.append(part.rename_axis("method").reset_index()[columns])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


#: Columns of :func:`order_changes`.
ORDER_COLUMNS = ["dataset", "test", "protocol_a", "protocol_b", "pairs", "swapped", "agreement"]


def order_changes(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many pairs of methods change their order between every two protocols of a dataset.

    Parameters
    ----------
    table : from :func:`audit`, or any table with the columns ``dataset, protocol, method, test, value``.

    Returns
    -------
    DataFrame
        :data:`ORDER_COLUMNS`: `pairs` of methods, `swapped` those of which another is the better one under the other
        protocol (a tie under either is no swap), `agreement` Kendall's tau-b of the values (NaN for a single method).

    Raises
    ------
    DataError
        If two protocols of a dataset have not the same methods.
    """
    rows = []
    for (dataset, test), part in table.groupby(["dataset", "test"], sort=False):
        grid = part.pivot(index="method", columns="protocol", values="value")
        if grid.isna().any(axis=None):
            name = str(grid.columns[grid.isna().any()][0])
            raise DataError(f"{name}: lacks method {grid.index[grid[name].isna()][0]!r}; give the same methods")
        first, second = np.triu_indices(len(grid), 1)
        for one, two in combinations(dict.fromkeys(part["protocol"]), 2):
            values = grid[[one, two]].to_numpy(dtype=np.float64)
            steps = np.sign(values[first] - values[second])
            tau = krcc(values[:, 0], values[:, 1]) if len(grid) > 1 else float("nan")
            swapped = int((steps[:, 0] * steps[:, 1] < 0).sum())
            rows.append((dataset, test, one, two, len(first), swapped, tau))
    return pd.DataFrame(rows, columns=ORDER_COLUMNS)


#: Columns of :func:`interval_widths`.
WIDTH_COLUMNS = ["dataset", "protocol", "test", "by_reference", "by_image", "ratio", "n_references", "n_methods"]


def interval_widths(table: pd.DataFrame) -> pd.DataFrame:
    """Return how wide both kinds of intervals are: the median over methods, for each protocol and test.

    Parameters
    ----------
    table : from :func:`audit`; rows without both intervals are left out.

    Returns
    -------
    DataFrame
        :data:`WIDTH_COLUMNS`; `ratio` is the median over methods of the width by references over that by images.
    """
    known = table[np.isfinite(table[["low", "high", "low_image", "high_image"]]).all(axis=1)]
    widths = known.assign(by_reference=known["high"] - known["low"], by_image=known["high_image"] - known["low_image"])
    widths["ratio"] = widths["by_reference"] / widths["by_image"].where(widths["by_image"] > 0)
    found = widths.groupby(["dataset", "protocol", "test"], sort=False).agg(
        by_reference=("by_reference", "median"), by_image=("by_image", "median"), ratio=("ratio", "median"),
        n_references=("n_references", "first"), n_methods=("method", "size"),
    )  # fmt: skip
    return found.reset_index()[WIDTH_COLUMNS]


#: Columns of a log of training: one row for each epoch, split and part.
LOG_COLUMNS = ["split", "epoch", "part", "srcc"]


def audit_epochs(log: pd.DataFrame) -> pd.DataFrame:
    """Return what choosing the epoch by the test set is worth, split by split.

    Public code often keeps the epoch with the best *test* correlation. A validation set, or the last epoch, needs no
    look at the test set; the difference is optimism.

    Parameters
    ----------
    log : :data:`LOG_COLUMNS`; `part` is ``val`` or ``test`` (others, such as ``train``, are ignored), one row for each
        epoch of both in each split.

    Returns
    -------
    DataFrame
        ``split, n_epochs, epoch_test, epoch_validation, epoch_last, test_at_best_test, test_at_best_validation,
        test_at_last, optimism, optimism_last``: the optimism is the test value at the best test epoch minus that at
        the best validation epoch, or at the last epoch; never negative. The earliest of equal epochs is taken.

    Raises
    ------
    DataError
        If a column or a part is missing, an epoch is there twice or in one part only, or a value is not finite.
    """
    if missing := [name for name in LOG_COLUMNS if name not in log.columns]:
        raise DataError(f"log: lacks the columns {', '.join(missing)}; it needs {', '.join(LOG_COLUMNS)}")
    rows = log[log["part"].isin(["val", "test"])]
    if rows.empty:
        raise DataError("log: has no rows of the parts val and test; record both in every epoch")
    if rows.duplicated(["split", "epoch", "part"]).any():
        twice = rows[rows.duplicated(["split", "epoch", "part"])].iloc[0]
        raise DataError(
            f"log: split {twice['split']}, epoch {twice['epoch']}: {twice['part']} is there twice; keep one"
        )
    found = []
    for split, part in rows.groupby("split", sort=True):
        grid = part.pivot(index="epoch", columns="part", values="srcc").sort_index()
        grid = grid.reindex(columns=["val", "test"]).astype(float)
        if not np.isfinite(grid.to_numpy()).all():
            row, column = np.argwhere(~np.isfinite(grid.to_numpy()))[0]
            raise DataError(
                f"log: split {split}, epoch {grid.index[row]}: no finite {('val', 'test')[column]} value; record both"
            )
        test, validation = grid["test"].to_numpy(), grid["val"].to_numpy()
        by_test, by_validation = int(test.argmax()), int(validation.argmax())
        found.append(
            {
                "split": split, "n_epochs": len(grid), "epoch_test": grid.index[by_test],
                "epoch_validation": grid.index[by_validation], "epoch_last": grid.index[-1],
                "test_at_best_test": test[by_test], "test_at_best_validation": test[by_validation],
                "test_at_last": test[-1], "optimism": test[by_test] - test[by_validation],
                "optimism_last": test[by_test] - test[-1],
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def epoch_summary(
    splits: pd.DataFrame, *, draws: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> pd.DataFrame:
    """Sum up :func:`audit_epochs` over splits.

    Splits share images, so the interval describes this set of splits; it is too narrow for another database.

    Returns
    -------
    DataFrame
        ``rule`` (``best_test``, ``best_validation``, ``last``), ``median, mean, spread`` of the test value over splits,
        ``optimism`` (mean of best_test minus this rule), its interval ``low, high`` over draws of splits (NaN for a
        single split), and ``n_splits``.

    Raises
    ------
    DataError
        If there is no split.
    """
    if splits.empty:
        raise DataError("log: has no split; give the result of audit_epochs")
    count = len(splits)
    chosen = generator("epochs", seed).integers(0, count, size=(draws, count))
    best = splits["test_at_best_test"].to_numpy()
    rows = []
    for rule in ("best_test", "best_validation", "last"):
        values = splits[f"test_at_{rule}"].to_numpy()
        gain = best - values
        low, high = float("nan"), float("nan")
        if count > 1:
            low, high = intervals.percentile_interval(gain[chosen].mean(axis=1), confidence)
        rows.append(
            {
                "rule": rule, "median": float(np.median(values)), "mean": float(values.mean()),
                "spread": float(values.std(ddof=1)) if count > 1 else float("nan"), "optimism": float(gain.mean()),
                "low": low, "high": high, "n_splits": count,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
