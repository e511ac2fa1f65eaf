"""Tables of the page on datasets: what was verified, and every method against published scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from causaliqa.evaluate.comparison import AverageRanks, average_ranks
from causaliqa.figures.names import method_title
from causaliqa.figures.points import interval_text
from causaliqa.io import read_json, read_parquet
from causaliqa.labelfree import PREFIX
from causaliqa.report.prepare import label
from causaliqa.tables import ABLATION

#: What stands in the place of tables in a run that has nothing to show in them.
NO_SCORES = (
    "No dataset with such scores is part of this run. Name some, for example "
    "`snakemake --cores all --config 'fetch={labelled: [tid2013]}'`; docs/datasets.md lists them."
)
#: Subsets other than all images: what they are.
SUBSETS = {
    "real_exact": "original and bit-exact stimuli only",
    "near_resynth": "regenerated stimuli only (parameters as published, bits differ)",
    "without_i25": "without reference 25, the synthetic one",
    "without_contrast": "without change of contrast, as some papers do",
    "published": "images of the published per-image scores only",
}
_ORDER = {"label_free": 0, "baseline": 1, "published": 2, "pseudo_mos": 3}


def load_validations(paths: Sequence[Path | str]) -> list[dict[str, Any]]:
    """Read validations, in the order of their datasets' names."""
    return sorted((read_json(Path(path)) for path in paths), key=lambda result: str(result["dataset"]))


def validation_table(results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return one row a dataset: what it is, how many images, labels, what was left out, what looked wrong."""
    rows = []
    for result in results:
        labels, found = result["labels"], result["found"]
        direction = "" if labels is None else (", higher better" if labels["higher_is_better"] else ", higher worse")
        rows.append(
            {
                "dataset": result["dataset"],
                "kind": result["kind"].replace("_", " "),
                "domain": result["domain"],
                "references": found["references"],
                "scored": found["distorted"],
                "types": found["types"],
                "labels": "" if labels is None else labels["kind"] + direction,
                "bits": ", ".join(result["bit_depths"]),
                "left out": sum(result["skipped"].values()),
                "duplicates": result["duplicates"],
                "unlisted": result["unlisted"],
            }
        )
    return pd.DataFrame(rows)


def warnings_text(results: Sequence[dict[str, Any]]) -> str:
    """Return the warnings of all datasets as a Markdown list, or that there are none."""
    lines = [f"- **{result['dataset']}**: {text}" for result in results for text in result["warnings"]]
    return "\n".join(lines) if lines else "Nothing looked wrong."


def psnr_table(results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the SRCC of PSNR with the scores: one row a dataset and group (all, provenance, distortion)."""
    columns = ["dataset", "group", "name", "n", "srcc", "published"]
    rows = [{"dataset": result["dataset"], **row} for result in results for row in result["psnr"]]
    return pd.DataFrame(rows, columns=columns)


def load_opinions(evaluate: Path | str) -> pd.DataFrame:
    """Read the agreement with published scores; the column ``label`` names each method for readers."""
    table = read_parquet(Path(evaluate) / "opinions.parquet")
    several = table["seed"].nunique() > 2
    names = [
        _name(str(method), str(setting), str(model), int(seed), several)
        for method, setting, model, seed in zip(
            table["method"], table["setting"], table["model"], table["seed"], strict=True
        )
    ]
    return table.assign(label=names)


def _name(method: str, setting: str, model: str, seed: int, several: bool) -> str:
    if setting == "pseudo_mos":
        return "consensus of MDSI, HaarPSI, VSI"
    # Published scores of others may be of a metric that is run here too.
    return f"{method} (published)" if setting == "published" else label(method, model, seed, several)


def load_comparisons(evaluate: Path | str) -> pd.DataFrame:
    """Read the paired comparisons of methods on labelled datasets."""
    return read_parquet(Path(evaluate) / "comparisons.parquet")


def load_roc(evaluate: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read Krasula's analysis of labelled datasets: every method's values, and the comparisons."""
    return read_parquet(Path(evaluate) / "roc.parquet"), read_parquet(Path(evaluate) / "roc_comparisons.parquet")


def load_splits(evaluate: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what single splits say: every method's spread, and the value of each split."""
    return read_parquet(Path(evaluate) / "splits.parquet"), read_parquet(Path(evaluate) / "split_values.parquet")


def load_literature(evaluate: Path | str) -> pd.DataFrame:
    """Read our values beside published ones."""
    return read_parquet(Path(evaluate) / "literature.parquet")


def of_test(table: pd.DataFrame, test: str, *, human: bool, subset: str = "all") -> pd.DataFrame:
    """Return one test's rows over whole datasets, label-free methods first, each group by its mean, best first.

    Ablations of the projection are left out: :func:`projections` is their table.
    """
    rows = table[
        (table["test"] == test)
        & (table["human"] == human)
        & (table["subset"] == subset)
        & (table["distortion"] == "")
        & (table["setting"] != ABLATION)
    ]
    if rows.empty:
        return rows
    mean = rows.groupby("label")["value"].mean()
    order = rows.assign(group=rows["setting"].map(_ORDER), mean=-rows["label"].map(mean))
    return order.sort_values(["group", "mean", "label", "dataset"]).drop(columns=["group", "mean"])


def wide(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """Return methods x datasets with intervals; the head of a column carries n and how many were left out."""
    if table.empty:
        return pd.DataFrame({"method": []})
    cells: dict[str, dict[str, str]] = {}
    for row in table.to_dict("records"):
        left = f", {row['n_skipped']} left out" if row["n_skipped"] else ""
        head = f"{row['dataset']} ({row['target']}, n={row['n_images']}{left})"
        text = interval_text(row["value"], row["low"], row["high"], digits)
        cells.setdefault(str(row["label"]), {})[head] = text
    heads = sorted({head for row in cells.values() for head in row})
    return pd.DataFrame(
        [{"method": name, **{head: row.get(head, "–") for head in heads}} for name, row in cells.items()]
    )


def projections(table: pd.DataFrame, test: str = "srcc") -> pd.DataFrame:
    """Return every projection of each model's features on people's scores, the stricter stimuli where there are such.

    Returns
    -------
    DataFrame
        ``model, projection, fitted_on, dataset, seeds, mean, least, largest``: over the seeds of a manifold that draws
        at random; one value for the others. ``fitted_on``: synthetic pairs, or the test pairs (transductive). Models
        trained with several seeds are rows of their own.
    """
    rows = table[
        (table["test"] == test) & (table["distortion"] == "") & table["setting"].isin(["label_free", ABLATION])
    ]
    rows = strictest(_people(rows))
    name = rows["method"].str.removeprefix(PREFIX).str.replace(r"-\d+$", "", regex=True)
    transductive = name.str.startswith("transductive-")
    rows = rows.assign(
        projection=name.str.removeprefix("transductive-"),
        fitted_on=transductive.map({True: "the test pairs", False: "synthetic pairs"}),
    )
    keys = ["model", "projection", "fitted_on", "dataset"]
    found = rows.groupby(keys, sort=True)["value"].agg(seeds="count", mean="mean", least="min", largest="max")
    return found.reset_index()


def projections_wide(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """Return :func:`projections` with one column a dataset: the value, or the mean and the range over seeds."""
    rows = []
    for (model, projection, fitted), part in table.groupby(["model", "projection", "fitted_on"], sort=True):
        row = {"model": model, "projection": projection, "fitted on": fitted}
        for item in part.to_dict("records"):
            spread = f" ({item['least']:.{digits}f} to {item['largest']:.{digits}f})" if item["seeds"] > 1 else ""
            row[str(item["dataset"])] = f"{item['mean']:.{digits}f}{spread}"
        rows.append(row)
    return pd.DataFrame(rows)


def by_distortion(table: pd.DataFrame, dataset: str, digits: int = 3) -> pd.DataFrame:
    """Return distortions x methods: SRCC on one dataset."""
    rows = table[
        (table["dataset"] == dataset)
        & (table["distortion"] != "")
        & (table["test"] == "srcc")
        & (table["setting"] != ABLATION)
    ]
    if rows.empty:
        return pd.DataFrame({"distortion": []})
    grid = rows.pivot_table(index=["distortion", "n_images"], columns="label", values="value", aggfunc="first")
    return grid.round(digits).reset_index().rename(columns={"n_images": "n"}).rename_axis(columns=None)


def variants_text(table: pd.DataFrame) -> str:
    """Return which labels each dataset's numbers rest on, as a Markdown list."""
    rows = table.drop_duplicates("dataset")
    lines = [
        f"- **{row.dataset}** ({row.title}): {row.target}{', ' + str(row.variant) if row.variant else ''}"
        for row in rows.itertuples()
    ]
    return "\n".join(lines) if lines else NO_SCORES


def load_run(evaluate: Path | str) -> dict[str, Any]:
    """Read what was evaluated: parameters, counts and checksums."""
    return dict(read_json(Path(evaluate) / "run.json"))


def _true(flags: pd.Series) -> pd.Series:
    """Return flags as a mask: a table without rows has no type to tell it by, and would be asked for columns."""
    return flags.astype(bool)


def strictest(table: pd.DataFrame) -> pd.DataFrame:
    """Keep of each dataset the rows on original and exact stimuli where it has such, else those on all."""
    apart = table.loc[table["subset"] == "real_exact", "dataset"].unique()
    wanted = table["dataset"].isin(apart).map({True: "real_exact", False: "all"})
    return table[table["subset"] == wanted]


def _people(table: pd.DataFrame) -> pd.DataFrame:
    """Keep what people gave scores for, and name models by their seed if there are several."""
    rows = table[_true(table["human"])]
    if rows["seed"].nunique() > 2:
        model = [
            f"{name} · seed {seed}" if name else "" for name, seed in zip(rows["model"], rows["seed"], strict=True)
        ]
        rows = rows.assign(model=model)
    return rows


def beside_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the figure of published values: SRCC, one subset a dataset, the first source of each value."""
    rows = strictest(table[table["test"] == "srcc"])
    return rows.drop_duplicates(["dataset", "method"])


def beside_table(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """Return ours beside the published values, formatted."""
    rows = table.sort_values(["dataset", "subset", "test", "method"])
    return pd.DataFrame(
        {
            "dataset": rows["dataset"],
            "subset": rows["subset"].map({"all": "all", "real_exact": SUBSETS["real_exact"]}),
            "method": [label(str(method), "", 0, False) for method in rows["method"]],
            "test": rows["test"].str.upper(),
            "ours": [
                interval_text(value, low, high, digits)
                for value, low, high in zip(rows["ours"], rows["low"], rows["high"], strict=True)
            ],
            "published": [f"{value:.{digits}f}" for value in rows["published"]],
            "why they may differ": rows["reason"],
            "source": rows["source"],
        }
    )


def spread_table(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """Return the spread of SRCC over splits, best median first."""
    rows = _people(table)
    rows = rows[rows["test"] == "srcc"].sort_values(["dataset", "median"], ascending=[True, False])
    names = [label(str(m), str(model), 0, False) for m, model in zip(rows["method"], rows["model"], strict=True)]
    numbers = rows[["value", "median", "sd", "low", "high"]].round(digits).rename(columns={"value": "all images"})
    counts = rows[["n_splits", "n_distinct", "n_images"]].astype(int)
    return pd.concat([rows[["dataset"]], pd.Series(names, rows.index, name="method"), numbers, counts], axis=1)


def of_people(table: pd.DataFrame, opinions: pd.DataFrame, *, by_seed: bool = True) -> pd.DataFrame:
    """Return the rows of a table of single splits on datasets with people's scores.

    Parameters
    ----------
    by_seed : name models by their seed if there are several.
    """
    human = set(opinions.loc[_true(opinions["human"]), "dataset"])
    rows = table.assign(human=table["dataset"].isin(human))
    return _people(rows) if by_seed else rows[rows["human"]]


def roc_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return Krasula's analysis of people's scores, one subset a dataset."""
    return strictest(table[_true(table["human"])])


def roc_table(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """Return areas and shares, formatted, best first."""
    rows = table.sort_values(["dataset", "analysis", "auc"], ascending=[True, True, False])
    return pd.DataFrame(
        {
            "dataset": rows["dataset"],
            "question": rows["analysis"].map({"different_similar": "different?", "better_worse": "which is better?"}),
            "method": [method_title(str(name)) for name in rows["method"]],
            "AUC": [
                interval_text(value, low, high, digits)
                for value, low, high in zip(rows["auc"], rows["low"], rows["high"], strict=True)
            ],
            "correct": rows["correct"].round(digits),
            "pairs": rows["n_pairs"],
            "errors of scores": rows["uncertainty"],
        }
    )


def ranked(opinions: pd.DataFrame) -> AverageRanks | None:
    """Rank methods by SRCC over the datasets with people's scores; None with fewer than two datasets or methods.

    Only methods that every such dataset has take part; published scores stand for one dataset and do not.
    """
    rows = opinions[_true(opinions["human"]) & (opinions["test"] == "srcc") & (opinions["distortion"] == "")]
    rows = strictest(rows[~rows["setting"].isin(["published", ABLATION])])
    datasets = rows["dataset"].nunique()
    complete = rows.groupby("label")["dataset"].nunique()
    rows = rows[rows["label"].isin(complete.index[complete == datasets])]
    if datasets < 2 or rows["label"].nunique() < 2:
        return None
    return average_ranks(rows.rename(columns={"method": "id", "label": "method"})[["dataset", "method", "value"]])
