"""The tables of results in README.md and docs/evaluation.md, made from tracked tables.

``python -m causaliqa.report.documents`` rewrites them; a test compares them with their sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from causaliqa.errors import DataError
from causaliqa.figures.points import TESTS, interval_text
from causaliqa.io import write_text
from causaliqa.report.prepare import label

README, EVALUATION = Path("README.md"), Path("docs/evaluation.md")
TABLE = Path("reports/tables/benchmark/opinion_free.csv")
AGREEMENT = Path("reports/tables/benchmark/agreement.csv")
#: Folder and stem of the tables of a run of config/benchmark.yaml.
EVIDENCE = "docs/evidence/benchmark_human"
#: Our label-free metric, what people would take instead, and two controls.
SHORT = (
    "norm · natural/full", "norm · natural/imagenet", "VSI, light matched", "MDSI, light matched", "MDSI",
    "DISTS form (SqueezeNet)", "HaarPSI", "VSI", "FSIMc", "GMSD", "LPIPS form (SqueezeNet)", "MS-SSIM", "SSIM", "PSNR",
)  # fmt: skip
#: These, our anchored projection, rank averages and further metrics.
LONG = (
    *SHORT, "severity · natural/full", "HaarPSI, light matched", "mdsi_vsi_haarpsi", "squeeze_dists_mdsi", "MAD", "VIF",
    "IW-SSIM", "NLPD",
)  # fmt: skip
#: What stands for these labels of the pipeline.
_TITLES = {
    "norm · natural/full": "**causaliqa**, the packaged metric",
    "norm · natural/imagenet": "causaliqa, on frozen SqueezeNet features",
    "severity · natural/full": "causaliqa, projection `severity`",
    "mdsi_vsi_haarpsi": "rank average of MDSI, VSI, HaarPSI",
    "squeeze_dists_mdsi": "rank average of DISTS form, MDSI",
}
#: Datasets with a column of their own: original and bit-exact stimuli, or all of them.
_STRICT = {"tid2013_partial": "TID2013", "live_partial": "LIVE"}
_WHOLE = {"agudelo_pansharp_partial": "pan-sharpening", "tiqa_mri": "MRI"}
#: Without the median severity SRCC, which is 1 for every method.
_SHOWN = {TABLE: ("l_test", "d_test", "p_test"), AGREEMENT: ("srcc",)}


def _markdown(head: list[str], rows: dict[str, list[str]]) -> str:
    lines = [["method", *head], ["---"] * (1 + len(head))]
    lines += [[_TITLES.get(name, name), *cells] for name, cells in rows.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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
    rows = {name: [found.get(test, "–") for test in order] for name, found in cells.items()}
    return _markdown([TESTS[test][0] for test in order], rows)


def _people(root: Path, name: str) -> pd.DataFrame:
    path = root / f"{EVIDENCE}_{name}.csv"
    if not path.is_file():
        raise DataError(f"{path}: missing; copy it from a run of config/benchmark.yaml (docs/evidence/README.md)")
    return pd.read_csv(path).set_index(["label", "dataset"])


def _heading(table: pd.DataFrame, columns: dict[str, str]) -> list[str]:
    images = table["n_images"].groupby(level="dataset").max()
    return [f"{title}, {images[dataset]}" for dataset, title in columns.items()]


def _by_mean(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    mean = table.loc[(list(names), list(_STRICT)), "value"].groupby(level="label").mean()
    return [str(name) for name in mean.sort_values(ascending=False).index]


def people_short(root: Path = Path()) -> str:
    """Return the Markdown table of :data:`SHORT`: SRCC with people's scores and its interval, best mean first."""
    srcc = _people(root, "srcc_real_exact")
    text = {
        key: interval_text(row["value"], row["low"], row["high"], 3)
        for key, row in srcc[["value", "low", "high"]].iterrows()
    }
    rows = {name: [text[name, dataset] for dataset in _STRICT] for name in _by_mean(srcc, SHORT)}
    return _markdown(_heading(srcc, _STRICT), rows)


def people_long(root: Path = Path()) -> str:
    """Return the Markdown table of :data:`LONG`: SRCC / KRCC / PLCC, and SRCC on the sets without exact stimuli."""
    nothing = float("nan")
    strict = [_people(root, f"{test}_real_exact") for test in ("srcc", "krcc", "plcc")]
    whole = _people(root, "srcc")
    text = [
        {key: interval_text(value, nothing, nothing, 3) for key, value in table["value"].items()}
        for table in (*strict, whole)
    ]
    rows = {
        name: [" / ".join(table[name, dataset] for table in text[:3]) for dataset in _STRICT]
        + [text[3][name, dataset] for dataset in _WHOLE]
        for name in _by_mean(strict[0], LONG)
    }
    return _markdown(_heading(strict[0], _STRICT) + _heading(whole, _WHOLE), rows)


def filled(text: str, name: str, table: str) -> str:
    """Return a document with `table` between the marks ``<!-- name -->`` and ``<!-- end of name -->``."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = text.split(begin, 1)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end, 1)[1]}"


def readme(text: str, root: Path = Path()) -> str:
    """Return README.md with both of its tables as the tracked tables have them."""
    return filled(filled(text, "results", results_table(root)), "people", people_short(root))


def evaluation(text: str, root: Path = Path()) -> str:
    """Return docs/evaluation.md with its table as the tracked tables have it."""
    return filled(text, "people", people_long(root))


if __name__ == "__main__":
    for document, fill in ((README, readme), (EVALUATION, evaluation)):
        write_text(document, fill(document.read_text(encoding="utf-8")))
