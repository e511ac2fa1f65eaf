import itertools
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from causaliqa import figures
from causaliqa.evaluate.correlation import LogisticFit
from causaliqa.figures.points import interval_text
from causaliqa.figures.style import render, short, text_on
from causaliqa.seeding import generator

TESTS = ["d_test", "l_test", "srcc"]


def method_table():
    random = generator("figures")
    rows = []
    for label, setting in [
        ("PSNR", "baseline"),
        ("pc1 · natural/full", "label_free"),
        ("ridge · natural/full", "supervised"),
    ]:
        for test in TESTS:
            value = float(random.uniform(0.6, 0.95))
            low, high = (np.nan, np.nan) if label == "PSNR" else (value - 0.05, value + 0.04)
            rows.append((label, setting, test, value, low, high))
    return pd.DataFrame(rows, columns=["label", "setting", "test", "value", "low", "high"])


def severity_table():
    random = generator("severity")
    rows = [
        (m, t, random.uniform(-0.2, 1)) for m in ("PSNR", "pc1 · natural/full") for t in ("blur", "jpeg", "white_noise")
    ]
    return pd.DataFrame(rows, columns=["label", "distortion", "value"])


def scatter():
    random = generator("scatter")
    score = random.normal(size=60)
    points = pd.DataFrame(
        {
            "dataset": np.repeat(["a", "b"], 30),
            "score": score,
            "opinion": 1 / (1 + np.exp(-score)),
            "level": np.arange(60) % 6,
        }
    )
    fit = LogisticFit("5p", (1.0, 1.0, 0.0, 0.0, 0.5), True, 0.99, 0.02)
    return figures.score_scatter(points, {"a": fit}, {"a": "SRCC .99"}, "score")


def few_label():
    rows = [
        (model, method, labels, test, 0.5 + labels / 200, 0.4 + labels / 200, 0.55 + labels / 200)
        for model in ("all/full", "natural/full") for method in ("ridge", "svr") for labels in (5, 20, 50)
        for test in ("srcc", "l_test")
    ]  # fmt: skip
    curves = pd.DataFrame(rows, columns=["model", "method", "labels", "test", "value", "low", "high"])
    levels = pd.DataFrame(
        [("all/full", "pc1", "label_free", "srcc", 0.8), ("all/full", "ridge", "supervised", "srcc", 0.9)],
        columns=["model", "method", "setting", "test", "value"],
    )
    return figures.few_label_curves(curves, levels, ["srcc", "l_test", "p_test"])


def feature_map():
    random = generator("features")
    points = pd.DataFrame(
        {"x": random.normal(size=90), "y": random.normal(size=90), "distortion": [f"type{i % 6}" for i in range(90)],
         "family": ["blur" if i % 6 < 3 else "noise" for i in range(90)], "level": [i // 18 + 1 for i in range(90)]}
    )  # fmt: skip
    return figures.feature_map(points, (0.6, 0.2))


def grid():
    random = generator("grid")
    rgb = {name: random.random((2, 3, 24, 24)) for name in ("reference", "distorted", "restored", "transferred")}
    maps = {name: random.random((2, 24, 24)) for name in ("mask", "degradation")}
    return figures.intervention_grid(rgb | maps, ["set one blur level 4", "set two jpeg level 2"])


def losses():
    rows = [
        (m, s, split, 1 / (s + 1), 2 / (s + 1))
        for m in ("a/full", "b/full")
        for s in range(5)
        for split in ("train", "val")
    ]
    return figures.loss_curves(pd.DataFrame(rows, columns=["model", "step", "split", "total", "restore"]))


def lambdas():
    rows = [
        ("a/full", label, s, s * k) for k, label in enumerate(("one blur", "two jpeg")) for s in (0.0, 0.5, 1.0, 1.5)
    ]
    return figures.lambda_curves(pd.DataFrame(rows, columns=["model", "label", "scale", "change"]))


def transfer():
    rows = [
        (label, dataset, test, 0.9, np.nan if dataset == "c_d" else 0.8, np.nan if dataset == "c_d" else 0.95, trained)
        for label, trained in (("pc1 · a/full", True), ("PSNR", False))
        for dataset in ("a_b", "c_d") for test in ("l_test", "p_test")
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["label", "dataset", "test", "value", "low", "high", "trained"])
    return figures.transfer_matrix(table, ["l_test", "p_test"])


FIGURES = {
    "methods": lambda: figures.methods_by_tests(method_table(), TESTS),
    "severity": lambda: figures.severity_heat_map(severity_table()),
    "scatter": scatter,
    "few_label": few_label,
    "features": feature_map,
    "grid": grid,
    "losses": losses,
    "lambdas": lambdas,
    "transfer": transfer,
}


@pytest.mark.parametrize("name", FIGURES)
def test_saved_twice_the_bytes_are_equal_and_hold_no_date(name, tmp_path):
    first = figures.save(FIGURES[name](), tmp_path / "a" / name, dpi=72)
    again = figures.save(FIGURES[name](), tmp_path / "b" / name, dpi=72)
    assert [path.suffix for path in first] == [".pdf", ".png"]
    for one, two in zip(first, again, strict=True):
        assert one.read_bytes() == two.read_bytes()
    pdf = first[0].read_bytes()
    assert b"CreationDate" not in pdf
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    with Image.open(first[1]) as image:
        assert set(image.info) <= {"dpi"}


@pytest.mark.parametrize("name", FIGURES)
def test_light_background_and_nothing_is_cut_at_the_border(name):
    figure = FIGURES[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edge == 255).all(), "something touches the border of the figure"


def test_method_labels_do_not_overlap():
    table = pd.concat([method_table().assign(label=lambda t, i=i: t["label"] + f" {i}") for i in range(6)])
    figure = figures.methods_by_tests(table, TESTS)
    FigureCanvasAgg(figure).draw()
    boxes = sorted((label.get_window_extent() for label in figure.axes[0].get_yticklabels()), key=lambda box: box.y0)
    assert len(boxes) == 18
    assert all(low.y1 <= high.y0 for low, high in itertools.pairwise(boxes))


def test_feature_labels_do_not_overlap_with_many_types():
    random = generator("many")
    points = pd.DataFrame(
        {"x": random.normal(size=250), "y": random.normal(size=250),
         "distortion": [f"type{i % 25:02d}" for i in range(250)], "family": "blur", "level": 5}
    )  # fmt: skip
    figure = figures.feature_map(points, (0.5, 0.2))
    FigureCanvasAgg(figure).draw()
    boxes = sorted((text.get_window_extent() for text in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == 25
    assert all(low.y1 <= high.y0 + 1 for low, high in itertools.pairwise(boxes))


def test_a_method_without_interval_is_hollow():
    axes = figures.methods_by_tests(method_table(), ["l_test"]).axes[0]
    markers = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert [marker.get_markerfacecolor() == "white" for marker in markers] == [True, False, False]


def test_figures_leave_their_tables_alone():
    table = method_table()
    before = table.copy()
    figures.methods_by_tests(table, TESTS)
    pd.testing.assert_frame_equal(table, before)


def test_the_callers_matplotlib_settings_do_not_matter():
    import matplotlib as mpl

    plain = render(figures.methods_by_tests(method_table(), TESTS), "png", 72)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "figure.dpi": 200}):
        assert render(figures.methods_by_tests(method_table(), TESTS), "png", 72) == plain
        assert mpl.rcParams["font.size"] == 30


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.methods_by_tests(method_table().iloc[:0], TESTS),
        lambda: figures.severity_heat_map(severity_table().iloc[:0]),
        lambda: figures.loss_curves(pd.DataFrame(columns=["model", "step", "split", "total"])),
        lambda: figures.intervention_grid({}, []),
        lambda: figures.lambda_curves(pd.DataFrame(columns=["model", "label", "scale", "change"])),
        lambda: figures.feature_map(pd.DataFrame(columns=["x", "y", "distortion", "family", "level"]), (0, 0)),
    ],
)
def test_nothing_to_draw_says_so(draw):
    figure = draw()
    assert re.match("no ", figure.texts[0].get_text())
    assert render(figure, "png", 72).startswith(b"\x89PNG")


def test_numbers_are_short_and_honest():
    assert [short(v) for v in (0.934, -0.1, 1.0, 0.0, 0.9994, float("nan"))] == [
        ".93",
        "-.10",
        "1.00",
        "0",
        "1.00",
        "–",
    ]
    assert short(0.9994, 3) == ".999"
    assert interval_text(0.9, 0.8, 0.95, 3) == ".900 [.800, .950]"
    assert interval_text(0.9, float("nan"), float("nan")) == ".90"


def test_text_on_colour_is_readable():
    assert text_on((1, 1, 0.3, 1)) == "black"
    assert text_on((0, 0.1, 0.3, 1)) == "white"
