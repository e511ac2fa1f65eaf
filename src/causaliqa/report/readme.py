"""The README's table of results, made from the tracked table of the benchmark report.

``python -m causaliqa.report.readme`` rewrites it; a test compares it with the table.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from causaliqa.errors import DataError
from causaliqa.figures.points import TESTS, interval_text
from causaliqa.io import write_text
from causaliqa.report.prepare import label

README = Path("README.md")
TABLE = Path("reports/tables/benchmark/opinion_free.csv")
AGREEMENT = Path("reports/tables/benchmark/agreement.csv")
_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"
_SHOWN = {TABLE: ("severity_median", "l_test", "d_test", "p_test"), AGREEMENT: ("srcc",)}


def results_table(root: Path = Path()) -> str:
    """Return the Markdown table: classical, label-free and supervised methods by tests, with intervals.

    Raises
    ------
    DataError
        If a tracked table is missing.
    """
    cells: dict[str, dict[str, str]] = {}
    for path, tests in _SHOWN.items():
        if not (root / path).is_file():
            raise DataError(f"{root / path}: missing; run the pipeline first (snakemake --cores all)")
        table = pd.read_csv(root / path, keep_default_na=False, na_values={"value": "", "low": "", "high": ""})
        for row in table[table["setting"] != "pseudo_mos"].to_dict("records"):
            if row["test"] in tests:
                name = label(str(row["method"]), str(row["model"]), int(row["seed"]), several_seeds=False)
                name += " (supervised)" if row["setting"] == "supervised" else ""
                text = interval_text(row["value"], row["low"], row["high"], 3)
                cells.setdefault(name, {})[str(row["test"])] = text
    order = [test for tests in _SHOWN.values() for test in tests]
    head = ["method", *(TESTS[test][0] for test in order)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [
        "| " + " | ".join([name, *(found.get(test, "–") for test in order)]) + " |" for name, found in cells.items()
    ]
    return "\n".join(lines)


def with_results(text: str, table: str) -> str:
    """Return the README's text with the table between its two marks."""
    before, rest = text.split(_BEGIN, 1)
    return f"{before}{_BEGIN}\n{table}\n{_END}{rest.split(_END, 1)[1]}"


if __name__ == "__main__":
    write_text(README, with_results(README.read_text(encoding="utf-8"), results_table()))
