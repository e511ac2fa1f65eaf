import numpy as np
import pytest
from scipy.stats import spearmanr

from causaliqa.disentangle.features import feature_names
from causaliqa.errors import DataError
from causaliqa.labelfree.projections import fit
from causaliqa.supervised.anchored import NOISE, Anchored, Space, _solve, fit_space

NAMES = feature_names(2, 2)
TYPES = ("blur", "noise", "jpeg", "shift")
#: Each type responds in features of its own; people mind `shift` less than its size says, `jpeg` more.
RESPONSE = np.exp(np.random.default_rng(5).normal(0, 1, (4, len(NAMES))))
OFFSET = np.array([0.0, 0.3, 1.5, -1.5])


def pairs(seed: int, references: int = 12, levels: int = 5, *, offsets: bool = True):
    """Features, quality (larger is better), references, types."""
    rng = np.random.default_rng(seed)
    reference = np.repeat(np.arange(references), len(TYPES) * levels)
    kind = np.tile(np.repeat(np.arange(len(TYPES)), levels), references)
    severity = np.tile(np.arange(levels), references * len(TYPES)) * 0.5 + rng.normal(0, 0.2, len(kind))
    content = rng.normal(0, 0.25, (references, len(NAMES)))[reference]
    features = RESPONSE[kind] * np.exp(severity[:, None] + content)
    size = np.log(fit("norm", features, NAMES).distance(features))
    quality = -size - (OFFSET[kind] if offsets else 0) + rng.normal(0, 0.05, len(kind))
    return features, quality, np.char.add("r", reference.astype(str)), np.array(TYPES)[kind]


def space(seed: int = 100) -> Space:
    features, _, _, types = pairs(seed)
    return fit_space(features, NAMES, types)


def agreement(head: Anchored, seed: int = 2, **options: bool) -> tuple[float, float]:
    """SRCC of a head, and of the label-free distance, on new contents."""
    features, quality, _, _ = pairs(seed, **options)
    free = -fit("norm", features, NAMES).distance(features)
    return spearmanr(head.predict(features), quality).statistic, spearmanr(free, quality).statistic


def few(count: int, seed: int = 1, **options: bool) -> Anchored:
    features, quality, references, _ = pairs(seed, **options)
    chosen = np.random.default_rng(seed).permutation(len(quality))[:count]
    return Anchored(space(), features[chosen], quality[chosen], references[chosen])


def test_twenty_labels_find_what_the_distance_misjudges() -> None:
    gains = []
    for seed in range(8):
        learnt, free = agreement(few(20, seed), seed + 50)
        gains.append(learnt - free)
    assert np.median(gains) > 0.08
    assert min(gains) > 0
    learnt, _ = agreement(few(240))
    assert learnt > 0.97


@pytest.mark.parametrize("count", [2, 5, 10])
def test_few_labels_are_not_worse_than_none_where_the_distance_is_right(count: int) -> None:
    for seed in range(8):
        learnt, free = agreement(few(count, seed, offsets=False), seed + 50, offsets=False)
        assert free > 0.99
        assert learnt > free - 0.01


def test_two_labels_against_the_distance_do_not_turn_it_around() -> None:
    features, quality, _, _ = pairs(1)
    ends = [int(np.argmin(quality)), int(np.argmax(quality))]
    head = Anchored(space(), features[ends], -quality[ends], np.array(["a", "b"]))
    learnt, free = agreement(head)
    assert head.line[1] > 0
    assert learnt == pytest.approx(free)


def test_the_weights_follow_the_evidence() -> None:
    none, much = few(240, offsets=False).weights, few(240).weights
    assert none.sum() == pytest.approx(1)
    assert len(none) == len(NOISE)
    place = np.arange(len(NOISE))
    assert place @ none > place @ much + 1
    assert few(4).weights.tolist() == [0] * (len(NOISE) - 1) + [1]
    features, quality, _, _ = pairs(1)
    assert Anchored(space(), features, quality, np.array(["one"] * len(quality))).weights[-1] == 1


def test_units_and_order_of_labels_do_not_matter() -> None:
    features, quality, references, _ = pairs(1)
    first = Anchored(space(), features[:40], quality[:40], references[:40]).predict(features)
    scaled = Anchored(space(), features[:40], 50 - 7 * -quality[:40], references[:40]).predict(features)
    np.testing.assert_allclose(scaled, 50 + 7 * first, rtol=1e-8)
    turned = Anchored(space(), features[:40][::-1], quality[:40][::-1], references[:40][::-1]).predict(features)
    np.testing.assert_allclose(turned, first, rtol=1e-6)


def test_every_noise_solves_its_penalised_problem() -> None:
    """min ||y - H b - K a||^2 + noise a'Ka with free b, solved as one system; without noise a line by least squares."""
    features, quality, _, _ = pairs(1)
    own = space()
    profile, base = own.profile(features[:30]), own.base(features[:30])
    target = (quality[:30] - quality[:30].mean()) / quality[:30].std()
    kernel, design = own.kernel(profile, profile), np.stack([np.ones(30), base], axis=1)
    lines, bends = _solve(kernel, base, target)
    for noise, line, bend in zip(NOISE[:-1], lines, bends, strict=False):
        system = np.block([[kernel + noise * np.eye(30), design], [design.T, np.zeros((2, 2))]])
        expected = np.linalg.solve(system, np.concatenate([target, [0, 0]]))
        assert expected[-1] > 0.01
        np.testing.assert_allclose(np.concatenate([bend, line]), expected, atol=1e-6)
    np.testing.assert_allclose(lines[-1], np.linalg.lstsq(design, target, rcond=None)[0], atol=1e-6)
    assert not bends[-1].any()


def test_a_space_without_types_keeps_the_profile() -> None:
    features, quality, references, types = pairs(100)
    plain = fit_space(features, NAMES, np.full(len(types), ""))
    assert plain.types.shape == (len(NAMES), 0)
    learnt, free = agreement(Anchored(plain, features, quality, references))
    assert learnt > free + 0.05
    profile = plain.profile(features[:5])
    np.testing.assert_allclose(np.diag(plain.kernel(profile, profile)), 1)


def test_the_profile_forgets_the_size_and_tells_types_apart() -> None:
    own = space()
    features, _, _, types = pairs(3)
    np.testing.assert_allclose(own.profile(features), own.profile(100 * features), atol=0.05)
    similar = own.kernel(own.profile(features), own.profile(features))
    same = types[:, None] == types[None]
    assert similar[same].mean() > 2 * similar[~same].mean()


def test_identical_pairs_and_equal_labels_stay_finite() -> None:
    features, quality, references, _ = pairs(1)
    own = space()
    zero = np.zeros((3, len(NAMES)))
    assert np.isfinite(Anchored(own, features[:20], quality[:20], references[:20]).predict(zero)).all()
    flat = Anchored(own, features[:20], np.ones(20), references[:20])
    assert spearmanr(flat.predict(features), own.base(features)).statistic > 0.99
    same = Anchored(own, np.tile(features[:1], (6, 1)), np.arange(6.0), np.repeat(["a", "b", "c"], 2))
    assert np.isfinite(same.predict(features)).all()


def test_one_label_is_refused() -> None:
    features, quality, references, _ = pairs(1)
    with pytest.raises(DataError, match="at least two labelled pairs, found 1; label more"):
        Anchored(space(), features[:1], quality[:1], references[:1])
