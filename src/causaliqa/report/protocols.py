"""Tables and sentences of the page on protocols. Selection, joining and wording; the numbers are stage audit's."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causaliqa.errors import DataError
from causaliqa.figures.points import interval_text
from causaliqa.figures.style import short
from causaliqa.io import read_json

#: Test: what readers see.
TESTS = {
    "srcc": "SRCC",
    "krcc": "KRCC",
    "plcc_raw": "PLCC, no fit",
    "plcc_4p": "PLCC, 4 parameters",
    "plcc_5p": "PLCC, 5 parameters",
}


@dataclass(frozen=True)
class Audited:
    """The tables of stage audit.

    Attributes
    ----------
    epochs, rules : empty without a log of trainings.
    """

    values: pd.DataFrame
    best: pd.DataFrame
    ranks: pd.DataFrame
    order: pd.DataFrame
    widths: pd.DataFrame
    epochs: pd.DataFrame
    rules: pd.DataFrame
    run: dict[str, Any]

    @property
    def datasets(self) -> list[str]:
        """Datasets, in the order of the audit."""
        return list(dict.fromkeys(self.values["dataset"]))

    def of(self, dataset: str, test: str = "srcc") -> pd.DataFrame:
        """Return the values of one dataset and test."""
        return self.values[(self.values["dataset"] == dataset) & (self.values["test"] == test)]


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); run stage audit again") from None


def load(folder: Path | str) -> Audited:
    """Read the tables of stage audit.

    Raises
    ------
    DataError
        If a table is missing or cannot be read.
    """
    folder = Path(folder)
    run = read_json(folder / "run.json")
    logged = (folder / "epochs.csv").is_file()
    found = {name: _read(folder / f"{name}.csv") for name in ("audit", "best", "ranks", "order", "widths")}
    nothing = pd.DataFrame()
    return Audited(
        values=found["audit"], best=found["best"], ranks=found["ranks"], order=found["order"], widths=found["widths"],
        epochs=_read(folder / "epochs.csv") if logged else nothing,
        rules=_read(folder / "epoch_rules.csv") if logged else nothing,
        run=run,
    )  # fmt: skip


def protocol_table(audited: Audited) -> pd.DataFrame:
    """Return one row a protocol: what is in and what is out."""
    rows = [
        {
            "protocol": item["protocol"], "dataset": item["dataset"], "images": item["images"],
            "references": item["references"], "methods": item["methods"], "what": item["text"],
        }
        for item in audited.run["protocols"]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["protocol", "dataset", "images", "references", "methods", "what"])


def left_out_text(audited: Audited) -> str:
    """Return which protocols the files do not allow, or nothing."""
    lines = [
        f"- `{item['protocol']}` is left out: the scores hold no image of type {item['needs'].replace('_', ' ')}."
        for item in audited.run["left_out"]
    ]
    return "\n".join(lines)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def wide(audited: Audited, dataset: str, test: str = "srcc", digits: int = 4) -> pd.DataFrame:
    """Return methods x protocols of a dataset: rank, value and interval over references; the first protocol's order."""
    rows = _rows(audited.of(dataset, test).sort_values(["rank", "method"], kind="stable"))
    protocols = list(dict.fromkeys(audited.of(dataset, test)["protocol"]))
    cells: dict[str, dict[str, str]] = {}
    for row in sorted(rows, key=lambda row: protocols.index(row["protocol"])):
        text = interval_text(row["value"], row["low"], row["high"], digits)
        cells.setdefault(row["method"], {})[row["protocol"]] = f"{row['rank']}. {text}"
    return pd.DataFrame([{"method": name, **{p: own.get(p, "–") for p in protocols}} for name, own in cells.items()])


def fit_table(audited: Audited, digits: int = 4) -> pd.DataFrame:
    """Return one row a protocol: the median over methods of PLCC without a fit and after both, and the largest gain."""
    rows = []
    for protocol, part in audited.values.groupby("protocol", sort=False):
        grid = part.pivot(index="method", columns="test", values="value")
        gain = grid["plcc_5p"] - grid["plcc_raw"]
        apart = (grid["plcc_5p"] - grid["plcc_4p"]).abs()
        most = grid[gain == gain.max()].iloc[0]
        rows.append(
            {
                "protocol": protocol,
                **{TESTS[name]: short(float(grid[name].median()), digits) for name in TESTS if name.startswith("plcc")},
                "gains most": str(most.name), "from": short(float(most["plcc_raw"]), digits),
                "to": short(float(most["plcc_5p"]), digits),
                "4 against 5 parameters, at most": short(float(apart.max()), digits),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def best_table(audited: Audited, digits: int = 4) -> pd.DataFrame:
    """Return one row a protocol and test: the best method, its lead, and what choosing it after the fact is worth."""
    rows = [
        {
            "protocol": row["protocol"], "test": TESTS[row["test"]], "best": row["best"],
            "value": short(row["value"], digits), "second": row["second"] if isinstance(row["second"], str) else "–",
            "lead": short(row["margin"], digits), "above the median": short(row["over_median"], digits),
            "methods": row["n_methods"],
        }
        for row in _rows(audited.best)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def width_table(audited: Audited) -> pd.DataFrame:
    """Return one row a protocol: the median widths of both intervals of SRCC, and their ratio for each test."""
    found: dict[str, dict[str, Any]] = {}
    for row in _rows(audited.widths):
        cells = found.setdefault(row["protocol"], {"protocol": row["protocol"], "references": row["n_references"]})
        if row["test"] == "srcc":
            cells["SRCC by reference"] = short(row["by_reference"], 4)
            cells["SRCC by image"] = short(row["by_image"], 4)
        cells[f"ratio, {TESTS[row['test']]}"] = f"{row['ratio']:.2f}"
    return pd.DataFrame(list(found.values()))


def _best_line(audited: Audited, dataset: str, test: str) -> str:
    values = audited.of(dataset, test)
    protocols = list(dict.fromkeys(values["protocol"]))
    best = {row["protocol"]: row for row in _rows(audited.best[audited.best["test"] == test])}
    said = [f"{best[name]['best']} ({short(best[name]['value'], 4)}) under {name}" for name in protocols]
    if len(protocols) == 1:
        return f"- **{dataset}**: the best of {best[protocols[0]]['n_methods']} is {said[0]}."
    winners = {best[name]["best"] for name in protocols}
    head = "another method is best under another protocol" if len(winners) > 1 else "the best method stays"
    text = f"- **{dataset}**: {head}: {'; '.join(said)}."
    leader = best[protocols[0]]["best"]
    for row in _rows(values[(values["method"] == leader)]):
        if best[row["protocol"]]["best"] != leader:
            text += f" Under {row['protocol']} {leader} is number {row['rank']} ({short(row['value'], 4)})."
    for row in _rows(audited.order[(audited.order["dataset"] == dataset) & (audited.order["test"] == test)]):
        text += (
            f" Between {row['protocol_a']} and {row['protocol_b']} {row['swapped']} of {row['pairs']} pairs swap order."
        )
    ends = {str(name): (part.min(), part.max()) for name, part in values.groupby("method")["value"]}
    most = max(ends, key=lambda name: (ends[name][1] - ends[name][0], name))
    return text + f" The protocol alone moves {most} from {short(ends[most][0], 4)} to {short(ends[most][1], 4)}."


def best_text(audited: Audited, test: str = "srcc") -> str:
    """Return who is best under each protocol and how many pairs of methods swap their order, as a Markdown list."""
    return "\n".join(_best_line(audited, dataset, test) for dataset in audited.datasets)


def width_text(audited: Audited, test: str = "srcc") -> str:
    """Return how much wider intervals over references are than those over images, in a sentence or two."""
    table = audited.widths[(audited.widths["test"] == test) & np.isfinite(audited.widths["ratio"])]
    if table.empty:
        return "No protocol has both kinds of intervals."
    rows = _rows(table.sort_values("ratio", kind="stable"))
    wider = sum(row["ratio"] > 1 for row in rows)
    text = (
        f"Intervals of {TESTS[test]} that draw references are wider than those that draw images under {wider} of"
        f" {len(rows)} protocols, by a factor of {table['ratio'].median():.2f} in the median"
        f" ({rows[-1]['ratio']:.2f} under {rows[-1]['protocol']}, {rows[0]['ratio']:.2f} under {rows[0]['protocol']})."
    )
    if wider < len(rows):
        text += (
            " A factor below 1 is no error: a draw of references keeps the mixture of types and levels nearly as it is,"
            " a draw of images does not."
        )
    return text


def fit_text(audited: Audited) -> str:
    """Return what the fit adds at the most, how far both fits part, and where it changes the best method."""
    grid = audited.values.pivot(index=["protocol", "method"], columns="test", values="value").sort_index()
    grid = grid.assign(gain=grid["plcc_5p"] - grid["plcc_raw"], apart=(grid["plcc_5p"] - grid["plcc_4p"]).abs())
    rows = _rows(grid.reset_index())
    gains, parts = (max(rows, key=itemgetter(key)) for key in ("gain", "apart"))
    best = {(row["protocol"], row["test"]): row["best"] for row in _rows(audited.best)}
    names = dict.fromkeys(audited.values["protocol"])
    changed = [name for name in names if best[name, "plcc_raw"] != best[name, "plcc_5p"]]
    text = (
        f"The fit adds the most to {gains['method']} under {gains['protocol']}: from {short(gains['plcc_raw'], 4)}"
        f" to {short(gains['plcc_5p'], 4)}. Four and five parameters part by {short(parts['apart'], 4)} at the most"
        f" ({parts['method']} under {parts['protocol']}), by {short(float(grid['apart'].median()), 4)} in the median."
    )
    if changed:
        text += f" The method with the best PLCC is another after the fit under {', '.join(changed)}."
    return text


def choice_text(audited: Audited, test: str = "srcc") -> str:
    """Return what choosing the best of several methods after looking at the test set is worth."""
    rows = _rows(audited.best[(audited.best["test"] == test) & (audited.best["n_methods"] > 1)])
    if not rows:
        return "There is one method: nothing was chosen."
    gains = [f"{short(row['over_median'], 4)} under {row['protocol']}" for row in rows]
    values = _rows(audited.values[audited.values["test"] == test])
    ends = {(row["protocol"], row["method"]): (row["low"], row["high"]) for row in values}
    inside = 0
    for row in rows:
        low, high = ends[row["protocol"], row["best"]]
        inside += bool(low <= row["value"] - row["margin"] <= high)
    counts = " or ".join(str(count) for count in sorted({row["n_methods"] for row in rows}))
    return (
        f"The best of {counts} methods lies above their median"
        f" {TESTS[test]} by {', '.join(gains)}. Under {inside} of {len(rows)} protocols the second best lies within the"
        " best one's interval over references."
    )


def epoch_text(audited: Audited) -> str:
    """Return what choosing the epoch by the test set is worth; nothing without a log of trainings."""
    rules = {row["rule"]: row for row in _rows(audited.rules)}
    if not rules:
        return ""
    means = {rule: short(row["mean"], 4) for rule, row in rules.items()}
    found = rules["best_validation"]
    gain = interval_text(found["optimism"], found["low"], found["high"], 4)
    return (
        f"Over {found['n_splits']} splits the mean SRCC is {means['best_test']} if the test set chooses the epoch,"
        f" {means['best_validation']} if the validation set does, and {means['last']} after the last epoch:"
        f" choosing by the test set instead of the validation set adds {gain}."
    )
