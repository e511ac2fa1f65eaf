import numpy as np
import pandas as pd
import pytest
from compared import images_of, scored
from scipy.stats import rankdata

from causaliqa.baselines.ranks import mean_rank
from causaliqa.errors import ConfigError, DataError
from causaliqa.evaluate.rank_average import rank_averages
from causaliqa.tables import SCORE_COLUMNS


def table(count=6):
    images = images_of(count)
    random = np.random.default_rng(0)
    return images, {
        "up": scored(images, random.normal(size=count), "up"),
        "down": scored(images, random.normal(size=count), "down", higher_is_better=False),
    }


def test_ranks_are_shares_and_ties_share_one():
    assert mean_rank([np.array([3.0, 1.0, 2.0])]).tolist() == [1.0, 0.0, 0.5]
    assert mean_rank([np.array([1.0, 1.0, 2.0])]).tolist() == [0.25, 0.25, 1.0]
    assert mean_rank([np.array([7.0])]).tolist() == [0.0]


def test_images_with_equal_sums_of_ranks_stay_tied():
    random = np.random.default_rng(0)
    qualities = [random.normal(size=500) for _ in range(3)]
    total = np.sum([rankdata(quality) for quality in qualities], axis=0)
    assert len(np.unique(mean_rank(qualities))) == len(np.unique(total)) < 500


def test_mean_over_members_of_ranks_by_declared_polarity():
    images, members = table()
    found = rank_averages(pd.concat(members.values()), {"both": ["up", "down"]}, ["toy"])
    assert list(found.columns) == SCORE_COLUMNS
    assert set(found["setting"]) == {"baseline"}
    assert found["higher_is_better"].all()
    ranks = rankdata(members["up"]["score"]) + rankdata(-members["down"]["score"])
    assert found["score"].to_numpy() == pytest.approx((ranks - 2) / 2 / (len(images) - 1))
    # A metric that is both a baseline and a member of the consensus stands in two files.
    twice = pd.concat([*members.values(), members["up"]])
    pd.testing.assert_frame_equal(rank_averages(twice, {"both": ["up", "down"]}, ["toy"]), found)


def test_each_dataset_has_its_own_ranks():
    _, members = table()
    one = pd.concat(members.values())
    other = one.assign(dataset="other", score=100 * one["score"])
    found = rank_averages(pd.concat([one, other]), {"both": ["up", "down"]}, ["toy", "other"])
    parts = [found.loc[found["dataset"] == name, "score"].tolist() for name in ("toy", "other")]
    assert parts[0] == parts[1]
    assert rank_averages(one, {}, ["toy"]).empty


def test_unknown_members_are_named_with_their_key():
    _, members = table()
    given = pd.concat(members.values())
    with pytest.raises(ConfigError, match=r"^evaluate\.rank_averages\.x: metric 'donw' is not scored on toy; add it to "
                                          r"baselines\.metrics, or did you mean 'down'\?$"):  # fmt: skip
        rank_averages(given, {"x": ["up", "donw"]}, ["toy"])
    with pytest.raises(ConfigError, match=r"^evaluate\.rank_averages\.x: metric 'up' is not scored on other;"):
        rank_averages(given, {"x": ["up", "down"]}, ["other"])
    with pytest.raises(ConfigError, match=r"^evaluate\.rank_averages\.up: a method has this name; choose another$"):
        rank_averages(given, {"up": ["up", "down"]}, ["toy"])


def test_members_must_have_scored_the_same_images_once():
    _, members = table()
    with pytest.raises(DataError, match=r"image 'i005\.png' of toy is not scored by every member"):
        rank_averages(pd.concat([members["up"], members["down"].iloc[:-1]]), {"x": ["up", "down"]}, ["toy"])
    again = members["up"].iloc[:1].assign(score=9.0)
    with pytest.raises(DataError, match=r"^up on toy: two scores for image 'i000\.png'"):
        rank_averages(pd.concat([*members.values(), again]), {"x": ["up", "down"]}, ["toy"])


def test_an_average_stands_where_all_members_are_scored():
    """Slow metrics are scored on labelled sets alone; their averages stand there alone."""
    _, members = table()
    both = pd.concat(members.values())
    one = members["up"].assign(dataset="other")
    found = rank_averages(pd.concat([both, one]), {"x": ["up", "down"]}, ["other", "toy"])
    assert set(found["dataset"]) == {"toy"}
