from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from causaliqa.evaluate.comparison import average_ranks
from causaliqa.evaluate.gmad import GMAD_COLUMNS
from causaliqa.evaluate.roc import ROC_COLUMNS
from causaliqa.figures import comparison as f
from causaliqa.figures.names import method_title, wrapped
from causaliqa.figures.style import save
from causaliqa.seeding import generator

NAMES = ["PSNR", "SSIM", "MDSI", "DeepWSD_VGG", "ours · natural/full"]


def matrix():
    values = np.triu(generator("matrix").integers(-1, 2, (5, 5)), 1)
    return pd.DataFrame(values - values.T, index=NAMES, columns=NAMES)


def slopes():
    random = generator("slopes")
    rows = []
    for protocol in ("live_982_old", "live_779_old", "live_779_realigned"):
        values = random.uniform(0.9, 0.97, 5)
        ranks = (-values).argsort().argsort() + 1
        rows += list(zip(NAMES, [protocol] * 5, values, ranks, strict=True))
    return pd.DataFrame(rows, columns=["method", "protocol", "value", "rank"])


def types():
    random = generator("types")
    return pd.DataFrame(
        [(m, t, random.uniform(-0.2, 1)) for m in NAMES for t in ("blur", "jpeg", "mean_shift")],
        columns=["label", "distortion", "value"],
    )


def pairs():
    row = dict.fromkeys(GMAD_COLUMNS, 0.25) | {
        "dataset": "toy", "defender": "PSNR", "attacker": "MDSI", "image_a": "x.png", "image_b": "y.png",
        "reference_a": "i07", "reference_b": "i21", "distortion_a": "blur", "distortion_b": "jpeg", "pair": 0,
    }  # fmt: skip
    return pd.DataFrame([row, row | {"level": 0.85, "opinion_a": np.nan}], columns=GMAD_COLUMNS)


def pictures():
    random = generator("pictures")
    return {"x.png": random.integers(0, 256, (24, 32, 3), dtype=np.uint8), "y.png": random.random((24, 32))}


def ranks(datasets=4):
    rows = [(d, m, v) for d in range(datasets) for m, v in zip(NAMES, generator("cd", d).normal(size=5), strict=True)]
    return average_ranks(pd.DataFrame(rows, columns=["dataset", "method", "value"]))


def difference(datasets=4):
    found = ranks(datasets)
    return f.critical_difference(
        found.table, found.critical_difference, found.groups, descriptive=found.descriptive, title="SRCC"
    )


def large(count=34):
    names = ["psnr", "consensus", "disentangle-norm · all_domains/full", *(f"m{index}" for index in range(count - 3))]
    values = np.triu(generator("large").integers(-1, 2, (count, count)), 1)
    return pd.DataFrame(values - values.T, index=names, columns=names)


def roc():
    random = generator("roc")
    rows = []
    for dataset in ("two", "one"):
        for analysis in ("different_similar", "better_worse"):
            for method in ("psnr", "ms_ssim", "new"):
                auc = random.uniform(0.6, 0.9)
                rows.append(
                    dict.fromkeys(ROC_COLUMNS, np.nan)
                    | {"dataset": dataset, "analysis": analysis, "method": method, "auc": auc, "low": auc - 0.05,
                       "high": auc + 0.05, "correct": auc - 0.1 if analysis == "better_worse" else np.nan,
                       "n_pairs": 4950, "n_different": 3000}
                )  # fmt: skip
    table = pd.DataFrame(rows, columns=ROC_COLUMNS)
    table.loc[table["method"] == "new", ["low", "high"]] = np.nan
    return table


def splits():
    random = generator("splits")
    return pd.DataFrame(
        [(d, m, model, split, "srcc", level + 0.02 * random.normal())
         for d in ("b", "a") for m, model, level in (("psnr", "", 0.7), ("ridge", "natural/full", 0.9))
         for split in range(10)],
        columns=["dataset", "method", "model", "split", "test", "value"],
    )  # fmt: skip


def beside():
    return pd.DataFrame(
        [("tid", "psnr", 0.64, 0.6, 0.68, 0.64), ("tid", "vsi", 0.89, 0.88, 0.9, 0.91),
         ("tid", "mdsi", 0.88, 0.8, 0.9, np.nan), ("live", "psnr", 0.87, np.nan, np.nan, 0.8)],
        columns=["dataset", "method", "ours", "low", "high", "published"],
    )  # fmt: skip


FIGURES = {
    "roc": lambda: f.roc_figure(roc()),
    "splits": lambda: f.split_spread(splits()),
    "beside": lambda: f.published_beside(beside()),
    "large": lambda: f.significance_matrix(large(), "many"),
    "matrix": lambda: f.significance_matrix(matrix(), "SRCC, Holm"),
    "slopes": lambda: f.rank_slopes(slopes(), "LIVE, SRCC"),
    "types": lambda: f.type_heat_map(types()),
    "pairs": lambda: f.gmad_figure(pairs(), pictures()),
    "difference": difference,
}


def texts(figure):
    FigureCanvasAgg(figure).draw()
    return [item.get_text() for item in figure.findobj(lambda item: hasattr(item, "get_text")) if item.get_text()]


@pytest.mark.parametrize("name", FIGURES)
def test_saved_twice_the_bytes_are_equal(name, tmp_path):
    first = save(FIGURES[name](), tmp_path / "a" / name, dpi=72)
    again = save(FIGURES[name](), tmp_path / "b" / name, dpi=72)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert b"CreationDate" not in first[0].read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_at_the_border(name):
    figure = FIGURES[name]()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edge == 255).all()
    assert (pixels != 255).mean() > 0.01


@pytest.mark.parametrize("name", FIGURES)
def test_input_is_left_as_it_was(name):
    before = matrix(), slopes(), types(), pairs(), roc(), splits(), beside()
    kept = [table.copy() for table in before]
    f.significance_matrix(before[0])
    f.rank_slopes(before[1])
    f.type_heat_map(before[2])
    f.gmad_figure(before[3], pictures())
    f.roc_figure(before[4])
    f.split_spread(before[5])
    f.published_beside(before[6])
    for table, copy in zip(before, kept, strict=True):
        pd.testing.assert_frame_equal(table, copy)


def test_matrix_shows_each_sign_and_counts_wins():
    shown = texts(f.significance_matrix(matrix(), "title"))
    values = matrix().to_numpy()
    assert shown.count("+") == (values == 1).sum()
    assert shown.count("−") == (values == -1).sum()
    assert f"PSNR ({(values[0] == 1).sum()})" in shown
    assert "title" in shown


def test_slopes_name_both_ends_and_values_between():
    shown = texts(f.rank_slopes(slopes()))
    for name in NAMES:
        assert sum(text.startswith(f"{name}  .") for text in shown) == 2


def test_types_frame_the_best_of_each_row():
    figure = f.type_heat_map(types())
    assert len(figure.axes[0].patches) == 3
    bold = [text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold"]
    assert bold == [f"{v:.2f}".replace("0.", ".") for v in
                    types().groupby("distortion")["value"].max()[_order()]]  # fmt: skip
    assert figure.axes[0].collections[0].norm.vmin < 0  # a wrong sign is seen


def _order():
    means = types().groupby("distortion")["value"].mean()
    return list(means.sort_values(kind="stable").index)


def test_pairs_show_images_roles_and_opinions():
    figure = f.gmad_figure(pairs(), pictures())
    shown = texts(figure)
    assert shown.count("better, says\nMDSI") == 2
    assert any("PSNR defends" in text and "no opinions" in text for text in shown)
    assert any("opinion\n  0.25 and 0.25" in text for text in shown)
    assert np.array_equal(figure.axes[0].images[0].get_array(), pictures()["x.png"])
    assert len(figure.axes) == 6


def test_few_datasets_are_called_a_description():
    assert any("this describes the table" in text for text in texts(difference(4)))
    found = ranks(4)
    plain = f.critical_difference(found.table, 1.5, ((0, 2), (1, 3)), descriptive=False)
    assert not any("describes" in text for text in texts(plain))
    assert any(text == "critical difference 1.50" for text in texts(plain))
    assert any(
        "wider than the line" in text for text in texts(f.critical_difference(found.table, 9.0, (), descriptive=True))
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: f.significance_matrix(matrix().iloc[:1, :1]),
        lambda: f.rank_slopes(slopes()[lambda t: t["protocol"] == "live_779_old"]),
        lambda: f.type_heat_map(types().iloc[:0]),
        lambda: f.gmad_figure(pairs().iloc[:0], {}),
        lambda: f.critical_difference(ranks().table.iloc[:1], 1.0, (), descriptive=True),
        lambda: f.roc_figure(roc().iloc[:0]),
        lambda: f.split_spread(splits().iloc[:0]),
        lambda: f.published_beside(beside().assign(published=np.nan)),
    ],
)
def test_nothing_to_draw_says_so(make):
    figure = make()
    assert not figure.axes
    assert len(figure.texts) == 1


def rows_of(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def points(axes, marker):
    return {
        (float(x), float(y))
        for line in axes.lines
        if line.get_marker() == marker
        for x, y in zip(*line.get_data(), strict=True)
    }


def test_names_of_methods_are_titles():
    assert method_title("ms_ssim") == "MS-SSIM"
    assert method_title("disentangle-norm · natural/full") == "norm · natural/full"
    assert method_title("ridge", "natural/full") == "ridge · natural/full"
    assert method_title("DeepWSD_VGG") == "DeepWSD_VGG"
    assert method_title("squeeze_dists") == "DISTS form (SqueezeNet)"
    assert method_title("disentangle-norm") == "norm (ours)"
    assert wrapped("consensus of MDSI, HaarPSI, VSI") == "consensus of MDSI,\nHaarPSI, VSI"
    assert wrapped("a" * 40) == "a" * 40
    assert wrapped("abcdefghijklmnop/qrstuvwxyz", 20) == "abcdefghijklmnop/\nqrstuvwxyz"
    assert "".join(wrapped("mahalanobis · all_domains/without_bottleneck", 16).split()) == (
        "mahalanobis·all_domains/without_bottleneck"
    )


def test_matrix_is_sorted_titled_and_every_cell_is_right():
    values = large()
    figure = f.significance_matrix(values, titles={"m0": "a name of one's own"})
    axes = figure.axes[0]
    order = np.argsort(-values.to_numpy().sum(axis=1), kind="stable")
    names = [text.rsplit(" (", 1)[0] for text in rows_of(axes)]
    assert names == [label.get_text() for label in axes.get_xticklabels()]
    assert {"PSNR", "a name of one's own", "norm ·\nall_domains/full", "consensus of MDSI,\nHaarPSI, VSI"} <= set(names)
    assert names[list(order).index(0)] == "PSNR"
    sign = {"+": 1, "−": -1, "=": 0}
    shown = {(int(t.get_position()[1]), int(t.get_position()[0])): sign[t.get_text()] for t in axes.texts}
    expected = values.to_numpy()[np.ix_(order, order)]
    assert shown == {(i, j): expected[i, j] for i in range(34) for j in range(34) if i != j}


def test_a_matrix_of_many_fits_a_page_without_labels_that_overlap():
    figure = f.significance_matrix(large())
    assert figure.get_figwidth() * 96 < 1180
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for labels, side in ((figure.axes[0].get_xticklabels(), "x"), (figure.axes[0].get_yticklabels(), "y")):
        boxes = sorted(
            (getattr(b, f"{side}0"), getattr(b, f"{side}1")) for b in (t.get_window_extent() for t in labels)
        )
        assert all(first[1] <= second[0] + 1 for first, second in pairwise(boxes)), side


def test_roc_draws_each_value_best_on_top():
    figure = f.roc_figure(roc())
    table = roc()
    assert [axes.get_title(loc="left").split(":")[0] for axes in figure.axes] == ["one", "one", "two", "two"]
    for axes, (dataset, analysis) in zip(
        figure.axes, [(d, a) for d in ("one", "two") for a in ("different_similar", "better_worse")], strict=True
    ):
        rows = table[table["dataset"] == dataset]
        mean = rows.groupby("method")["auc"].mean().sort_values()
        assert rows_of(figure.axes[0 if dataset == "one" else 2]) == [method_title(name) for name in mean.index]
        part = rows[rows["analysis"] == analysis].set_index("method").loc[mean.index]
        assert points(axes, "o") == {(value, y) for y, value in enumerate(part["auc"])}
        hollow = [line for line in axes.lines if line.get_marker() == "o" and line.get_fillstyle() == "none"]
        assert [line.get_ydata()[0] for line in hollow] == [list(mean.index).index("new")]
        assert points(axes, "|") == {(v, y) for y, v in enumerate(part["correct"]) if np.isfinite(v)}
    assert any("3,000 of them different" in text for text in texts(figure))


def test_splits_are_all_drawn_with_their_median():
    figure = f.split_spread(splits(), "SRCC")
    assert rows_of(figure.axes[0]) == ["PSNR", "ridge · natural/full"]
    for axes, dataset in zip(figure.axes, ("a", "b"), strict=True):
        rows = splits()[splits()["dataset"] == dataset]
        for y, method in enumerate(("psnr", "ridge")):
            values = rows[rows["method"] == method]["value"].to_numpy()
            near = {point for point in points(axes, "o") if abs(point[1] - y) < 0.5}
            assert sorted(x for x, _ in near) == pytest.approx(sorted(values))
            assert len({at for _, at in near}) == 10  # a split has a height of its own
            medians = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "None"]
            assert pytest.approx(np.median(values)) in medians


def test_published_values_outside_of_the_interval_stand_out():
    figure = f.published_beside(beside())
    live, tid = figure.axes
    assert (rows_of(live), rows_of(tid)) == (["PSNR"], ["PSNR", "VSI"])  # mdsi has no published value
    assert points(tid, "o") == {(0.64, 0), (0.89, 1)}
    assert points(tid, "D") == {(0.64, 0), (0.91, 1)}
    full = {line.get_ydata()[0]: line.get_fillstyle() for line in tid.lines if line.get_marker() == "D"}
    assert full == {0: "none", 1: "full"}
    assert [text.get_text() for text in (*live.texts, *tid.texts)] == ["+.070", "0", "−.020"]
    (ours,) = [line for line in live.lines if line.get_marker() == "o"]
    assert ours.get_fillstyle() == "none"  # no interval: nothing is said to be outside
    assert [line.get_fillstyle() for line in live.lines if line.get_marker() == "D"] == ["none"]
