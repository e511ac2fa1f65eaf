import numpy as np
import pytest
import torch

from causaliqa.config import PretrainChoices
from causaliqa.disentangle.masking import local_contrast, mask_maps, mask_rows, pixel_classes
from causaliqa.disentangle.model import DisentanglementModel

SIDE = 96


def scene(seed: int = 0) -> torch.Tensor:
    """Left a flat third, in the middle one straight edge, on the right noise."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE), 0.4, dtype=np.float32)
    image[:, 48:] = 0.7
    image[:, 64:] += 0.2 * rng.standard_normal((SIDE, SIDE - 64)).astype(np.float32)
    return torch.from_numpy(image.clip(0, 1))[None, None].expand(1, 3, -1, -1).contiguous()


def masking(rgb: torch.Tensor, sign: float = -1.0) -> list[torch.Tensor]:
    """A mask that follows local contrast by construction."""
    return [1 + sign * local_contrast(rgb, scale)[None, None].expand(1, 2, -1, -1) for scale in range(3)]


def rows_of(*masks: tuple[torch.Tensor, list[torch.Tensor]]) -> list[dict]:
    return mask_rows([("set", f"r{k}", rgb, mask) for k, (rgb, mask) in enumerate(masks)])


def test_local_contrast_is_zero_where_flat_and_large_where_busy() -> None:
    for scale in range(3):
        contrast = local_contrast(scene(), scale)
        assert contrast.shape == (SIDE >> (scale + 1), SIDE >> (scale + 1))
        columns = contrast.mean(dim=0)
        assert float(columns[:2].max()) < 1e-6
        assert float(columns[-2:].min()) > 0.02
    # A checkerboard of single pixels is gone at half size.
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    assert float(local_contrast(board.float().expand(1, 3, 64, 64).contiguous(), 0).max()) < 1e-6


def test_flat_edge_and_texture_are_told_apart() -> None:
    classes = pixel_classes(scene())
    assert (classes[:, :44] == 0).all()
    assert (classes[8:-8, 47:49] == 1).all()
    assert float((classes[:, 70:] == 2).float().mean()) > 0.5
    assert (pixel_classes(torch.full((1, 3, 32, 32), 0.5)) == 0).all()


def test_a_mask_that_masks_is_found_with_its_sign() -> None:
    first, second = scene(0), scene(1).flip(-1)
    for sign in (-1.0, 1.0):
        rows = rows_of((first, masking(first, sign)), (second, masking(second, sign)))
        assert len(rows) == 2 * (3 * 2 + 1)
        for row in rows:
            assert row["contrast_srcc"] * sign > 0.95
            # Coarser maps see the edge from within the flat part.
            if row["scale"] == 0:
                assert (row["texture"] - row["flat"]) * sign > 0.03
            assert row["std_space"] > 0.01
            assert row["std_images"] > 0.005


@pytest.mark.parametrize("kind", ["none", "random"])
def test_controls_show_what_they_are(kind: str) -> None:
    model = DisentanglementModel(PretrainChoices.model_validate({"width": 4, "scales": 3, "channels": 2, "mask": kind}))
    images = [scene(0), scene(1).flip(-1)]
    with torch.no_grad():
        rows = rows_of(*((image, model.mask(model.content(image), model.degradation(image))) for image in images))
    for row in rows:
        assert row["std_images"] < 1e-6
        if kind == "none":
            assert row["mean"] == row["flat"] == row["edge"] == row["texture"] == 1
            assert row["std_space"] == 0
            assert np.isnan(row["contrast_srcc"])
        else:
            assert row["std_space"] > 0.1
            assert abs(row["contrast_srcc"]) < 0.5
    if kind == "random":
        assert abs(np.mean([row["contrast_srcc"] for row in rows])) < 0.1


def test_one_image_says_nothing_about_other_images() -> None:
    assert all(np.isnan(row["std_images"]) for row in rows_of((scene(), masking(scene()))))


def test_maps_have_the_size_of_the_image() -> None:
    image = scene()[..., :64, :]
    maps = mask_maps(image, masking(image))
    assert {name: tuple(found.shape) for name, found in maps.items()} == dict.fromkeys(
        ("mask", "contrast", "classes"), (64, SIDE)
    )
