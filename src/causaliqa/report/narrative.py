"""Sentences whose numbers come from tables. No result is written here, only how to word one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causaliqa.figures.points import TESTS, interval_text
from causaliqa.report.prepare import Results


def _of(row: pd.Series) -> str:
    return interval_text(float(row["value"]), float(row["low"]), float(row["high"]), 3)


def _best(rows: pd.DataFrame) -> pd.Series:
    return rows.iloc[int(rows["value"].to_numpy().argmax())]


def scope_note(results: Results) -> str:
    """Say what the numbers rest on."""
    sets = results.run["datasets"]
    references = sum(item["references"] for item in sets.values())
    images = sum(item["images"] for item in sets.values())
    smallest = min(sets, key=lambda name: (sets[name]["references"], name))
    without = [name for name, item in sets.items() if item["references"] < results.run["minimum_references"]]
    confidence = results.run["params"]["confidence"]
    lines = [
        f"All numbers are over the **test partition**: {images} distorted images of {references} references in "
        f"{len(sets)} dataset{'s' if len(sets) != 1 else ''}; no model or projection was fitted on them. "
        f"Brackets are {confidence:.0%} percentile intervals of a bootstrap over references "
        f"({results.run['params']['bootstrap']} draws). "
        f"The smallest dataset is `{smallest}` with {sets[smallest]['references']}."
    ]
    if without:
        lines.append(
            f"Fewer than {results.run['minimum_references']} references give no interval: hollow markers and bare "
            "numbers "
            f"({', '.join(f'`{name}`' for name in without)})."
        )
    return " ".join(lines)


def leaders(table: pd.DataFrame, tests: list[str]) -> str:
    """For each test: which classical and which label-free score is highest, and whether their intervals part them."""
    lines = []
    for test in tests:
        rows = table[table["test"] == test]
        best = {
            setting: _best(part) for setting, part in rows.groupby("setting") if setting in ("baseline", "label_free")
        }
        if len(best) < 2:
            continue
        classical, ours = best["baseline"], best["label_free"]
        ends = np.array([classical["low"], classical["high"], ours["low"], ours["high"]], dtype=float)
        if not np.isfinite(ends).all():
            verdict = "there are too few references for intervals"
        elif abs(float(ours["value"]) - float(classical["value"])) < 5e-4:
            verdict = "equal to three digits"
        elif ours["low"] > classical["high"]:
            verdict = "the intervals are apart, in favour of the label-free score"
        elif classical["low"] > ours["high"]:
            verdict = "the intervals are apart, in favour of the classical metric"
        else:
            verdict = "the intervals overlap, so this order may be chance"
        lines.append(
            f"* **{TESTS[test][0]}**: best label-free score *{ours['label']}* {_of(ours)}, best classical metric "
            f"*{classical['label']}* {_of(classical)}; {verdict}."
        )
    return "\n".join(lines)


def hardest_types(table: pd.DataFrame, count: int = 5) -> str:
    """Which types the methods order worst, and where a method runs against severity."""
    if table.empty:
        return ""
    means = table.groupby("distortion")["value"].mean().sort_values(kind="stable")
    worst = ", ".join(f"`{name}` ({value:.2f})" for name, value in means.head(count).items())
    against = table[table["value"] < 0]
    text = f"Lowest mean over methods: {worst}. "
    if against.empty:
        return text + "No method runs against severity in any type."
    named = ", ".join(f"{row.label} on `{row.distortion}` ({row.value:.2f})" for row in against.head(6).itertuples())
    more = f" and {len(against) - 6} more" if len(against) > 6 else ""
    return text + f"Against severity (the worse image scores better): {named}{more}."


def few_label_note(curves: pd.DataFrame, levels: pd.DataFrame) -> str:
    """From how many labels on the median regressor passes the best label-free score of the same model."""
    lines = []
    for (model, method), part in curves[curves["test"] == "srcc"].groupby(["model", "method"], sort=True):
        free = levels[(levels["model"] == model) & (levels["setting"] == "label_free") & (levels["test"] == "srcc")]
        if free.empty:
            continue
        best = _best(free)
        ordered = part.sort_values("labels")
        above = ordered[ordered["value"] > best["value"]]
        lead = f"* *{method}* on the features of *{model}*: "
        if above.empty:
            last = ordered.iloc[-1]
            lines.append(
                f"{lead}with {int(last['labels'])} labels its median SRCC is {last['value']:.2f}, still not above "
                "the best "
                f"label-free score ({best['method']}, {best['value']:.2f})."
            )
        else:
            row = above.iloc[0]
            lines.append(
                f"{lead}its median SRCC passes the best label-free score ({best['method']}, {best['value']:.2f}) from "
                f"{int(row['labels'])} labels on ({row['value']:.2f}; between draws {row['low']:.2f} to "
                f"{row['high']:.2f})."
            )
    return "\n".join(lines)


def intervention_note(numbers: pd.DataFrame) -> str:
    """How far each intervention does what it must."""
    said = {
        "restore": "do(D := 0) on the distorted image brings it nearer to the reference",
        "transfer": "do(D := D_y) on the reference brings it nearer to the distorted image",
    }
    lines = []
    for row in numbers.to_dict("records"):
        if row["intervention"] in said:
            lines.append(
                f"* *{row['model']}*: {said[str(row['intervention'])]} in {row['smaller in']:.0%} of {row['pairs']} "
                "pairs "
                f"(median {row['measure']} {row['value']:.3f}, untouched {row['baseline']:.3f})."
            )
    return "\n".join(lines)


def transfer_note(summary: pd.DataFrame) -> str:
    """Compare each model outside its training scenario with the best classical metric on the same datasets."""
    outside = summary[summary["datasets"] == "not trained on"]
    if outside.empty:
        return "No model was tested on a dataset outside its training scenario."
    lines = []
    for name, rows in outside.groupby("model", sort=False):
        said = []
        for row in rows.to_dict("records"):
            difference = row["mean"] - row["its mean"]
            sign = "equal to" if abs(difference) < 5e-4 else "above" if difference > 0 else "below"
            said.append(f"{row['test']} {row['mean']:.3f}, {sign} {row['best baseline']} ({row['its mean']:.3f})")
        number = int(rows["number"].iloc[0])
        lines.append(
            f"* *{name}* on {number} dataset{'s' if number != 1 else ''} it was not trained on: {'; '.join(said)}."
        )
    return "\n".join(lines)


def caveats(results: Results) -> str:
    """Say what the numbers do not show."""
    sets = results.run["datasets"]
    references = sum(item["references"] for item in sets.values())
    return "\n".join(
        [
            "* **The pseudo-MOS is not human opinion.** It is the rank consensus of MDSI, HaarPSI and VSI within "
            "each dataset. "
            "SRCC, KRCC and PLCC against it say how well a method agrees with these three metrics, their mistakes "
            "included; "
            "a method that is better than they are would lose points here.",
            "* **The P-test rests on the same consensus**: its pairs are those on which the three metrics agree by a "
            "wide "
            f"margin ({results.run['params']['preference_gap']:g} of the ranks).",
            "* **The ladders were calibrated with two of the three.** Levels are placed so that equal levels mean "
            "equal steps "
            "of MDSI, HaarPSI and a normalised Laplacian pyramid. A model that learns to order levels across types "
            "(`pretrain.loss.ladder`) has so learned from them indirectly, and the pseudo-MOS and the P-test lean "
            "towards it.",
            "* **L- and C-test repeat what training asks for** (order of levels, compositions below their first step), "
            "on contents it has not seen; the classical metrics were not trained for them.",
            "* **The ladders are synthetic and monotone by calibration**, so L-test and severity SRCC are near 1 for "
            "any "
            "sound metric; small differences there matter less than failures on single types.",
            f"* **{references} references are few.** Intervals are wide, the percentile bootstrap is too narrow for "
            "so few, and "
            "methods whose intervals overlap are not told apart. Intervals of different methods use the same draws.",
            "* **The D-test is a maximum** over thresholds found on the same images; it favours every method alike, "
            "and its "
            "intervals lean upwards.",
            "* Domains here are small samples of freely licensed pictures, not benchmarks of those domains.",
        ]
    )


def supervised_note(results: Results) -> str:
    """Say what the spread of supervised and few-label rows is."""
    rows = results.few_label[results.few_label["setting"] == "supervised"]
    if rows.empty:
        return ""
    draws = int(rows["n_draws"].max())
    counts = sorted({int(value) for value in rows["labels"]})
    size = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return (
        f"Supervised rows are medians over {draws} draws of {size} labelled training images; their bars span the "
        "10th to the "
        "90th percentile over draws and are not comparable with the bootstrap intervals of the other rows."
    )
