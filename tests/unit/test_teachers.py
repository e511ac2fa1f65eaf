"""The order of training crops on which classical metrics agree."""

import pytest
import torch
from test_light import picture

from causaliqa.disentangle.light import under_light
from causaliqa.disentangle.teachers import agreed_order

ALL = ["mdsi", "vsi", "haarpsi", "fsimc"]


def noisy(x: torch.Tensor, strength: float) -> torch.Tensor:
    return (x + strength * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 1)


def test_more_noise_is_worse_and_the_order_is_one() -> None:
    x = torch.cat([picture(seed) for seed in (0, 0, 0)])
    y = torch.cat([noisy(picture(0), strength) for strength in (0.01, 0.08, 0.3)])
    worse = agreed_order(x, y, ALL, light=True)
    assert worse.dtype == torch.bool
    assert worse.tolist() == [[False, True, True], [False, False, True], [False, False, False]]


def test_fewer_teachers_leave_fewer_pairs_open() -> None:
    x = torch.cat([picture(seed) for seed in range(6)])
    y = torch.cat(
        [noisy(picture(seed), 0.05 + 0.02 * seed) for seed in range(3)] + [0.6 * picture(s) for s in (3, 4, 5)]
    )
    found = {count: agreed_order(x, y, ALL[:count], light=True) for count in (1, 4)}
    assert (found[4] & ~found[1]).sum() == 0
    assert not (found[4] & found[4].T).any()


@pytest.mark.parametrize("light", [True, False])
def test_a_gain_is_held_for_damage_unless_light_is_taken_out(light: bool) -> None:
    x = torch.cat([picture(0), picture(1)])
    y = torch.cat([noisy(picture(0), 0.04), under_light(picture(1), torch.tensor([1.7]))])
    worse = agreed_order(x, y, ["mdsi"], light=light)
    assert bool(worse[0, 1]) == (not light)
    assert bool(worse[1, 0]) == light
