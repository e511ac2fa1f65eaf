"""do(light): contrast gains above 1 are exposure, everything else stays degradation."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from causaliqa.config import PretrainChoices
from causaliqa.disentangle.light import exposure_gain, under_light
from causaliqa.disentangle.model import DisentanglementModel

SMALL = {"width": 4, "scales": 3, "channels": 2}


def picture(seed: int = 0, side: int = 96) -> torch.Tensor:
    """Blobs of several sizes of a standard deviation of 0.1, so that moderate gains do not clip."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        torch.nn.functional.interpolate(torch.rand(1, 3, n, n, generator=generator), size=(side, side), mode="bilinear")
        for n in (3, 12, 48)
    ]
    mixed = torch.stack(parts).mean(dim=0)
    return 0.5 + 0.1 * (mixed - mixed.mean()) / mixed.std()


@settings(max_examples=25, deadline=None)
@given(st.floats(1.05, 1.8), st.integers(0, 50))
def test_a_gain_about_the_mean_is_found_and_undone(gain: float, seed: int) -> None:
    x = picture(seed)
    y = under_light(x, torch.tensor([gain]))
    found = exposure_gain(x, y)
    assert float(found[0]) == pytest.approx(gain, abs=0.05)
    assert float((under_light(x, found) - y).abs().mean()) < 0.01


def test_clipping_does_not_hide_the_gain() -> None:
    x = (picture() - 0.5) * 1.6 + 0.5
    y = ((x - 0.5) * 1.5 + 0.5).clamp(0, 1)
    assert ((y == 0) | (y == 1)).any()
    assert float(exposure_gain(x, y)[0]) == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("kind", ["same", "less", "mean shift", "noise", "blur", "flat"])
def test_other_changes_are_no_light(kind: str) -> None:
    x = picture()
    y = {
        "same": x,
        "less": 0.6 * (x - 0.5) + 0.5,
        "mean shift": x + 0.1,
        "noise": (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1),
        "blur": torch.nn.functional.avg_pool2d(x, 9, 1, 4, count_include_pad=False),
        "flat": x,
    }[kind]
    if kind == "flat":
        x = torch.full_like(x, 0.5)
    assert float(exposure_gain(x, y)[0]) == 1.0


def test_gains_fade_in_where_they_become_visible() -> None:
    x = picture()
    gains = [float(exposure_gain(x, under_light(x, torch.tensor([1 + step / 1000])))[0]) for step in range(10, 41, 2)]
    assert gains[0] == 1.0
    assert all(0 <= after - before < 0.02 for before, after in pairwise(gains))
    assert gains[-1] > 1.02


def test_gradients_are_finite_everywhere() -> None:
    for gain in (0.7, 1.0, 1.3):
        x = picture().requires_grad_()
        y = ((picture() - 0.5) * gain + 0.5).requires_grad_()
        under_light(x, exposure_gain(x, y)).sum().backward()
        assert torch.isfinite(x.grad).all()
        assert y.grad is None or torch.isfinite(y.grad).all()


def test_a_model_sees_no_degradation_in_a_gain_and_all_of_it_without_the_intervention() -> None:
    x = picture()
    y = under_light(x, torch.tensor([1.5]))
    sizes = {}
    for light in (True, False):
        torch.manual_seed(0)
        model = DisentanglementModel(PretrainChoices.model_validate({**SMALL, "light": light})).eval()
        with torch.no_grad():
            sizes[light] = sum(float(d.square().sum()) for d in model.difference(x, y))
    assert sizes[True] < 0.02 * sizes[False]


def test_only_lit_pairs_of_a_batch_are_measured_anew() -> None:
    torch.manual_seed(0)
    model = DisentanglementModel(PretrainChoices.model_validate(SMALL)).eval()
    x = torch.cat([picture(1), picture(2)])
    y = torch.cat([picture(1), under_light(picture(2), torch.tensor([1.4]))])
    with torch.no_grad():
        known = model.degradation(x)
        origin = model.origin(x, known, y)
        assert model.origin(x, known, x) is known
    assert all(torch.equal(o[0], k[0]) and not torch.equal(o[1], k[1]) for o, k in zip(origin, known, strict=True))
