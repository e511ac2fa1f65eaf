"""Stage audit: published per-image scores in, tables of every protocol out; the verb and the pipeline both run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from causaliqa.config import Audit
from causaliqa.datasets.readers.base import MAX_TEXT
from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate import audit
from causaliqa.io import atomic_directory, sha256_file, write_csv, write_json

#: Files of the output folder.
OUTPUTS = ("audit.csv", "best.csv", "ranks.csv", "order.csv", "widths.csv", "run.json")
#: And with a log of trainings.
EPOCH_OUTPUTS = ("epochs.csv", "epoch_rules.csv")


def inputs(section: Audit) -> list[Path]:
    """Return the files that an audit reads: the CSV of each known dataset that is there, LIVE's labels, the log.

    Raises
    ------
    ConfigError
        If `scores` is not set, or its folder holds none of the files.
    """
    if section.scores is None:
        raise ConfigError("audit.scores: not set; name the folder of published per-image scores")
    folder = Path(section.scores)
    known = list(dict.fromkeys(f"{protocol.dataset}.csv" for protocol in audit.PROTOCOLS))
    found = [folder / name for name in known if (folder / name).is_file()]
    if not found:
        raise ConfigError(f"{folder}: holds none of {', '.join(known)}; name another folder")
    if section.live_labels is not None and folder / "live.csv" in found:
        found += [Path(section.live_labels) / name for name in audit.LIVE_FILES]
    return [*found, *([Path(section.epochs)] if section.epochs is not None else [])]


def outputs(section: Audit) -> tuple[str, ...]:
    """Return the names of the files that :func:`run` writes, figures aside."""
    return OUTPUTS if section.epochs is None else (*OUTPUTS, *EPOCH_OUTPUTS)


def read_log(path: Path) -> pd.DataFrame:
    """Read a log of trainings: columns ``split, epoch, part, srcc``, one row for each epoch, split and part.

    Raises
    ------
    DataError
        If the file is missing, too large, no CSV, or holds what is no number where one is needed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: missing; name the CSV with {', '.join(audit.LOG_COLUMNS)}")
    if path.stat().st_size > MAX_TEXT:
        raise DataError(f"{path}: larger than {MAX_TEXT} bytes; is it a log of trainings?")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    except (UnicodeDecodeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: not a readable CSV ({reason}); write it again") from None
    for name in ("epoch", "srcc"):
        if name not in table.columns:
            continue  # audit_epochs names all columns that are missing
        values = pd.to_numeric(table[name], errors="coerce")
        if values.isna().any():
            line = int(values.isna().to_numpy().argmax())
            raise DataError(f"{path}: line {line + 2}: {name} is {table[name].iloc[line]!r}, not a number; repair it")
        table[name] = values
    return table


def _about(section: Audit, table: pd.DataFrame, chosen: list[audit.Protocol]) -> dict[str, Any]:
    """Return what was audited. Paths are left out: equal content gives equal bytes wherever it lies."""
    counts = {
        name: {"images": int(part["n_images"].iloc[0]), "references": int(part["n_references"].iloc[0]),
               "methods": int(part["method"].nunique())}
        for name, part in table.groupby("protocol")
    }  # fmt: skip
    there = {protocol.dataset for protocol in chosen}
    log = Path(section.epochs) if section.epochs is not None else None
    return {
        "params": section.model_dump(mode="json", exclude={"scores", "live_labels", "epochs"}),
        "protocols": [
            {"protocol": protocol.name, "dataset": protocol.dataset, "text": protocol.text, **counts[protocol.name]}
            for protocol in chosen
        ],
        "left_out": [
            {"protocol": protocol.name, "dataset": protocol.dataset, "needs": protocol.needs}
            for protocol in audit.PROTOCOLS
            if protocol not in chosen and protocol.dataset in there
        ],
        "inputs": [
            {"kind": "log of trainings" if path == log else path.name, "sha256": sha256_file(path)}
            for path in inputs(section)
        ],
    }  # fmt: skip


def run(section: Audit, out: Path, *, figures: bool = False) -> pd.DataFrame:
    """Audit published scores and write the tables; return those of the best methods with the numbers of images.

    Parameters
    ----------
    section : what is read and how many draws are made.
    out : folder, written whole or not at all: :func:`outputs`.
    figures : whether to write a figure of ranks for each dataset with several protocols beside the tables.

    Returns
    -------
    DataFrame
        Table ``best.csv``, with a column ``n_images``.

    Raises
    ------
    ConfigError, DataError
        If a file is missing or is not what it should be.
    """
    inputs(section)
    folder = Path(str(section.scores))
    labels = Path(section.live_labels) if section.live_labels is not None else None
    splits = audit.audit_epochs(read_log(Path(section.epochs))) if section.epochs is not None else None
    table = audit.audit(
        folder, live_labels=labels, higher_is_better=section.higher_is_better,
        draws=section.bootstrap, confidence=section.confidence, seed=section.seed,
    )  # fmt: skip
    best, ranks = audit.best_by_protocol(table), audit.rank_changes(table)
    tables = {
        "audit": table, "best": best, "ranks": ranks,
        "order": audit.order_changes(table), "widths": audit.interval_widths(table),
    }  # fmt: skip
    if splits is not None:
        rules = audit.epoch_summary(splits, confidence=section.confidence, seed=section.seed)
        tables |= {"epochs": splits, "epoch_rules": rules}
    names = set(table["protocol"])
    chosen = [protocol for protocol in audit.PROTOCOLS if protocol.name in names]
    with atomic_directory(out) as target:
        for name, content in tables.items():
            write_csv(target / f"{name}.csv", content)
        write_json(target / "run.json", _about(section, table, chosen))
        if figures:
            from causaliqa.figures.comparison import rank_slopes
            from causaliqa.figures.style import save

            for dataset, part in ranks[ranks["test"] == "srcc"].groupby("dataset", sort=True):
                save(rank_slopes(part, f"{dataset}, SRCC"), target / f"ranks_{dataset}")
    images = dict(zip(table["protocol"], table["n_images"], strict=True))
    return best.assign(n_images=best["protocol"].map(images))
