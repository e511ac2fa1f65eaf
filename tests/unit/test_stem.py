"""The frozen stem of E_d."""

from pathlib import Path

import pytest
import torch
from synthetic import degraded_set

from causaliqa.config import Base, PretrainChoices
from causaliqa.disentangle import training
from causaliqa.disentangle.model import DisentanglementModel
from causaliqa.disentangle.stem import SqueezeStem
from causaliqa.errors import ModelError
from causaliqa.io import write_tensors

CHOICES = {
    "width": 4,
    "scales": 4,
    "channels": 2,
    "groups": 2,
    "crop": 32,
    "steps": 2,
    "validate_every": 2,
    "stem": "imagenet",
}


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    """Weights of the right shapes and no meaning."""
    torch.manual_seed(0)
    write_tensors(tmp_path / "weights/squeezenet1_1.safetensors", SqueezeStem(4).network.state_dict())
    return tmp_path / "weights"


def train(folder: Path, pretrained: Path) -> Path:
    choices = PretrainChoices.model_validate(CHOICES)
    out = folder / "model"
    training.pretrain(
        [degraded_set(folder / "set")], out, scenario="s", variant="v", seed=0, choices=choices, base=Base(),
        checkpoints=folder / "ck", pretrained=pretrained,
    )  # fmt: skip
    return out


def test_maps_have_the_size_of_the_mask_at_every_scale() -> None:
    model = DisentanglementModel(PretrainChoices.model_validate(CHOICES)).eval()
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        found = model.difference(x, x.flip(3))
    assert [tuple(d.shape[1:]) for d in found] == [(2, 32, 48), (2, 16, 24), (2, 8, 12), (2, 4, 6)]
    assert all(bool(d.any()) for d in found)


def test_training_leaves_the_stem_as_it_is_and_the_model_file_is_whole(tmp_path: Path, pretrained: Path) -> None:
    model, about = training.load_model(train(tmp_path, pretrained))
    stem = model.degradation_encoder
    assert isinstance(stem, SqueezeStem)
    published = SqueezeStem(4)
    published.load(pretrained)
    for name, value in published.network.state_dict().items():
        assert torch.equal(value, stem.network.state_dict()[name]), name
    assert about["parameters"] < sum(p.numel() for p in model.parameters())


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"squeezenet1_1\.safetensors: missing.*weights fetch"):
        train(tmp_path, tmp_path / "nowhere")


def test_five_scales_are_too_many() -> None:
    with pytest.raises(ValueError, match="4 scales at most"):
        PretrainChoices.model_validate({**CHOICES, "scales": 5})
