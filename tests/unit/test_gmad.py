import numpy as np
import pandas as pd
import pytest
from compared import images_of, scored

from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate.gmad import GMAD_COLUMNS, best_pairs, gmad_pairs
from causaliqa.seeding import generator


def two(count=120, references=6, seed=0):
    random = generator("gmad", seed)
    images = images_of(count, references)
    a, b = random.normal(size=count), random.normal(size=count)
    return images, a, b, pd.concat([scored(images, a, "a"), scored(images, -b, "b", higher_is_better=False)])


@pytest.mark.parametrize("contents", ["any", "same", "different"])
def test_pairs_are_the_largest_differences_within_a_bin(contents):
    images, a, b, table = two()
    found = gmad_pairs(table, "a", "b", width=0.2, contents=contents)
    assert list(found.columns) == GMAD_COLUMNS
    assert found[["defender", "attacker"]].to_numpy().tolist() == [["a", "b"]] * 2 + [["b", "a"]] * 2
    assert found["level"].tolist() == [0.15, 0.85] * 2
    reference = images["reference"].to_numpy()
    for row in found.itertuples():
        defender, attacker = (a, b) if row.defender == "a" else (b, a)
        share = defender.argsort().argsort() / (len(a) - 1)
        inside = np.flatnonzero(np.abs(share - row.level) <= 0.1 + 1e-12)
        allowed = [
            (i, j)
            for i in inside
            for j in inside
            if contents == "any" or (reference[i] == reference[j]) == (contents == "same")
        ]
        best = max(attacker[i] - attacker[j] for i, j in allowed)
        assert row.attacker_a - row.attacker_b == pytest.approx(best)
        assert row.n_bin == len(inside)
        assert 0 <= row.defender_gap <= 0.2 + 1e-9
        assert row.attacker_gap > 0
        if contents != "any":
            assert (row.reference_a == row.reference_b) == (contents == "same")


def test_scores_stand_in_the_rows_as_quality():
    images, a, b, table = two()
    first = gmad_pairs(table, "a", "b").iloc[0]
    place = images.index[images["image"] == first["image_a"]][0]
    assert (first["defender_a"], first["attacker_a"]) == (a[place], b[place])
    assert (first["reference_a"], first["distortion_a"]) == tuple(images.loc[place, ["reference", "distortion"]])
    assert np.isnan(first["opinion_a"])


def test_opinions_are_copied_by_image():
    images, _, _, table = two()
    opinions = images[["image"]].assign(opinion=np.arange(120.0)).iloc[::-1]
    first = gmad_pairs(table, "a", "b", opinions=opinions).iloc[0]
    assert first["opinion_a"] == float(first["image_a"][1:4])


def test_several_pairs_share_no_image_and_fall_in_difference():
    _, _, _, table = two()
    found = gmad_pairs(table, "a", "b", width=0.3, count=4, levels=(0.5,))
    for _, part in found.groupby("defender"):
        gap = (part["attacker_a"] - part["attacker_b"]).to_numpy()
        assert len(part) == 4
        assert (np.diff(gap) <= 0).all()
        assert part[["image_a", "image_b"]].to_numpy().size == len({*part["image_a"], *part["image_b"]})


def test_bins_by_value():
    images, _, b, _ = two()
    a = np.linspace(0, 1, 120) ** 4
    table = pd.concat([scored(images, a, "a"), scored(images, b, "b")])
    found = gmad_pairs(table, "a", "b", scale="value", levels=(0.8,), width=0.1)
    first = found[found["defender"] == "a"].iloc[0]
    assert first["n_bin"] == ((a >= 0.75) & (a <= 0.85)).sum()


def test_order_of_rows_does_not_matter():
    _, _, _, table = two()
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(gmad_pairs(table, "a", "b"), gmad_pairs(shuffled, "a", "b"))


def test_ties_of_the_attacker_give_no_pair():
    assert best_pairs(np.zeros(5), np.arange(5), 3) == []
    assert best_pairs(np.array([0.0, 1.0, 1.0]), np.arange(3), 3) == [(1, 0)]
    assert best_pairs(np.zeros(0), np.zeros(0), 1) == []
    images, a, _, _ = two()
    table = pd.concat([scored(images, a, "a"), scored(images, np.arange(120) // 60 * 1.0, "b")])
    assert gmad_pairs(table, "a", "b", levels=(0.0,), width=0.001).empty  # bins of one image, of none


def test_references_are_left_out():
    images, _, _, table = two()
    lost = images["image"].iloc[:100]
    table.loc[table["image"].isin(lost), "distortion"] = "reference"
    found = gmad_pairs(table, "a", "b", width=1.0, levels=(0.5,))
    assert (found["n_bin"] == 20).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[t["method"] == "a"], "no method 'b'; there are a"),
        (lambda t: t.iloc[1:], "'i000.png' has no score of one of them"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "a: scores image 'i000.png' twice"),
        (lambda t: pd.concat([t, t.assign(dataset="x")]), "2 datasets"),
        (lambda t: t.assign(score=t["score"].where(t["method"] != "b", 1.0)), "b: gives every image the same score"),
        (lambda t: t.assign(score=t["score"].where(t["image"] != "i007.png", np.nan)), "'i007.png' is not finite"),
        (lambda t: t[t["image"] == "i000.png"], "only one image"),
    ],
)
def test_tables_that_do_not_fit_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        gmad_pairs(change(two()[3]), "a", "b")


def test_a_bin_too_large_for_memory_is_refused():
    images = images_of(4200, 10)
    table = pd.concat([scored(images, np.arange(4200.0), name) for name in ("a", "b")])
    with pytest.raises(DataError, match="choose a smaller width"):
        gmad_pairs(table, "a", "b", width=1.0, levels=(0.5,))


@pytest.mark.parametrize(
    "options", [{"levels": (1.2,)}, {"width": 0.0}, {"count": 0}, {"contents": "x"}, {"scale": "x"}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        gmad_pairs(two()[3], "a", "b", **options)
