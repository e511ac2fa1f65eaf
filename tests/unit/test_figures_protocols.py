"""Figures of the audit's page: what is drawn is what the tables hold."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from causaliqa import figures as f
from causaliqa.evaluate.audit import audit_epochs
from causaliqa.figures.style import render
from causaliqa.seeding import generator

METHODS = ("psnr", "DeepWSD_VGG", "DeepKLD_MobileNet")


def values(protocols=("live_982_old", "live_779_old"), images=982):
    random = generator("protocols")
    rows = []
    for protocol in protocols:
        for method in METHODS:
            raw = random.uniform(0.6, 0.8)
            for test, value in (
                ("srcc", raw + 0.1),
                ("plcc_raw", raw),
                ("plcc_4p", raw + 0.1),
                ("plcc_5p", raw + 0.11),
            ):
                rows.append(
                    (protocol, method, test, value, value - 0.03, value + 0.02, value - 0.01, value + 0.01, images, 29)
                )
    columns = [
        "protocol",
        "method",
        "test",
        "value",
        "low",
        "high",
        "low_image",
        "high_image",
        "n_images",
        "n_references",
    ]
    return pd.DataFrame(rows, columns=columns)


def srcc(**options):
    table = values(**options)
    return table[table["test"] == "srcc"]


def epochs():
    random = generator("epochs")
    rows = [
        (split, epoch, part, 0.9 + 0.01 * random.normal())
        for split in range(4)
        for epoch in range(8)
        for part in ("val", "test")
    ]
    return audit_epochs(pd.DataFrame(rows, columns=["split", "epoch", "part", "srcc"]))


FIGURES = {
    "dots": lambda: f.protocol_dots(srcc()),
    "single": lambda: f.protocol_dots(srcc(protocols=("pipal",))),
    "fits": lambda: f.fit_dumbbells(values(protocols=("a", "b", "c", "d"))),
    "epochs": lambda: f.epoch_choice(epochs()),
}


def points(axes, marker):
    lines = [line for line in axes.lines if line.get_marker() == marker]
    return {(float(x), float(y)) for line in lines for x, y in zip(*line.get_data(), strict=True)}


@pytest.mark.parametrize("name", FIGURES)
def test_equal_tables_give_equal_bytes_and_nothing_is_cut(name):
    assert render(FIGURES[name](), "pdf") == render(FIGURES[name](), "pdf")
    canvas = FigureCanvasAgg(FIGURES[name]())
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    assert (np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]) == 255).all()
    assert (pixels != 255).mean() > 0.01


def test_dots_show_values_and_both_intervals():
    table = srcc()
    figure = f.protocol_dots(table)
    first = table[table["protocol"] == "live_982_old"].sort_values("value")
    for axes, protocol in zip(figure.axes, ("live_982_old", "live_779_old"), strict=True):
        rows = table[table["protocol"] == protocol].set_index("method").loc[first["method"]]
        heights = range(len(METHODS))
        assert points(axes, "o") | points(axes, "D") == set(zip(rows["value"], heights, strict=True))
        assert points(axes, "D") == {(rows["value"].max(), list(rows.index).index(rows["value"].idxmax()))}
        assert points(axes, "|") == {
            (end, y) for y, ends in zip(heights, rows[["low", "high"]].to_numpy(), strict=True) for end in ends
        }
        plain = [tuple(line.get_xdata()) for line in axes.lines if line.get_marker() == "None"]
        assert set(plain) == set(rows[["low_image", "high_image"]].itertuples(index=False, name=None))
        assert axes.get_title(loc="left") == f"{protocol}\n982 images of 29 references"
    assert "PSNR" in [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_dumbbells_join_values_without_and_after_a_fit():
    table = values(protocols=("a", "b", "c", "d"))
    figure = f.fit_dumbbells(table)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 4
    grid = table[table["protocol"] == "b"].pivot(index="method", columns="test", values="value").sort_values("plcc_5p")
    marks = {marker: points(panels[1], marker) for marker in ("o", "|")}
    assert marks["|"] == set(zip(grid["plcc_4p"], range(3), strict=True))
    assert marks["o"] == {(v, y) for name in ("plcc_raw", "plcc_5p") for y, v in enumerate(grid[name])}
    assert panels[1].get_title(loc="left") == "b\nfit adds .110 to .110"


def test_epochs_show_the_three_rules_by_split():
    table = epochs().sort_values("test_at_best_test")
    (axes,) = f.epoch_choice(epochs()).axes
    for marker, rule in (("D", "best_test"), ("o", "best_validation"), ("s", "last")):
        assert points(axes, marker) == set(zip(table[f"test_at_{rule}"], range(4), strict=True))
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"split {n}" for n in table["split"]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: f.protocol_dots(srcc().iloc[:0]),
        lambda: f.fit_dumbbells(srcc()),
        lambda: f.epoch_choice(epochs().iloc[:0]),
    ],
)
def test_nothing_to_draw_says_so(make):
    figure = make()
    assert not figure.axes
    assert len(figure.texts) == 1
