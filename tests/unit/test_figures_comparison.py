import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from causaliqa.evaluate.comparison import average_ranks
from causaliqa.evaluate.gmad import GMAD_COLUMNS
from causaliqa.figures import comparison as f
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


FIGURES = {
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
    before = matrix(), slopes(), types(), pairs()
    kept = [table.copy() for table in before]
    f.significance_matrix(before[0])
    f.rank_slopes(before[1])
    f.type_heat_map(before[2])
    f.gmad_figure(before[3], pictures())
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
    assert shown.count("better, says MDSI") == 2
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
    ],
)
def test_nothing_to_draw_says_so(make):
    figure = make()
    assert not figure.axes
    assert len(figure.texts) == 1
