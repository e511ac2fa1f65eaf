import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import degraded_set

from causaliqa.config import Base, PretrainChoices
from causaliqa.disentangle import analysis, interventions, training
from causaliqa.disentangle.batches import BatchSampler
from causaliqa.disentangle.features import embed_set, feature_columns, feature_names, pair_features, pool
from causaliqa.disentangle.losses import Noise, training_terms
from causaliqa.disentangle.model import DisentanglementModel, pad, pooled_norm
from causaliqa.errors import DataError, ModelError
from causaliqa.labelfree.projections import fit

SMALL = {"width": 4, "scales": 3, "channels": 2, "groups": 2, "crop": 32, "steps": 4, "validate_every": 2}
FILES = ["model.safetensors", "model.json", "history.csv"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return degraded_set(tmp_path_factory.mktemp("toy"))


def train(toy: Path, out: Path, checkpoints: Path, **changes: object) -> None:
    choices = PretrainChoices.model_validate({**SMALL, **changes})
    training.pretrain(
        [toy], out, scenario="s", variant="full", seed=0, choices=choices, base=Base(), checkpoints=checkpoints
    )


@pytest.fixture(scope="module")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model")
    train(toy, out, out / "ck")
    return out


def test_opponent_colours_invert() -> None:
    image = torch.rand(2, 3, 8, 8)
    assert torch.allclose(analysis.from_opponent(analysis.opponent(image)), image, atol=1e-5)
    gray = torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8)
    assert analysis.opponent(gray)[:, 1:].abs().max() < 1e-6


def test_band_distance_forgives_slow_shifts_and_sees_structure() -> None:
    image = torch.rand(1, 3, 64, 64)
    assert float(analysis.band_distance(image, image)) == 0.0
    shifted = analysis.band_distance(image, image + torch.tensor([0.1, 0.0, 0.0]).view(1, 3, 1, 1))
    noisy = analysis.band_distance(
        image, image + 0.1 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    )
    assert 0 < float(shifted) < 0.3 * float(noisy)


def test_the_bands_and_the_residual_hold_the_whole_image() -> None:
    image = torch.rand(1, 3, 32, 48)
    bands, low = analysis.pyramid(image, levels=1)
    assert torch.allclose(bands[0] + analysis.blur(image), image, atol=1e-6)
    assert low.shape[-2:] == (16, 24)


@pytest.mark.parametrize("mask", ["content", "none", "random"])
def test_shapes_and_the_null_of_identical_pairs(mask: str) -> None:
    model = DisentanglementModel(PretrainChoices.model_validate({**SMALL, "mask": mask})).eval()
    x = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        content, degradation = model.content(x), model.degradation(x)
        masks = model.mask(content, degradation)
        decoded = model.decode(content, model.masked(masks, degradation))
        same = model.difference(x, x)
    assert [tuple(d.shape) for d in degradation] == [(2, 2, 32, 48), (2, 2, 16, 24), (2, 2, 8, 12)]
    assert [m.shape for m in masks] == [d.shape for d in degradation]
    assert all(float(m.min()) >= 0 and float(m.max()) <= 2 for m in masks)
    assert decoded.shape == x.shape
    assert all(not d.any() for d in same)


def _with_mask_heads_on(mask: str) -> DisentanglementModel:
    """Heads start at zero: give them weights, so that the mask says something."""
    torch.manual_seed(0)
    model = DisentanglementModel(PretrainChoices.model_validate({**SMALL, "mask": mask, "masking": 0})).eval()
    for head in model.to_mask:
        torch.nn.init.normal_(head[-1].weight)
    return model


@pytest.mark.parametrize(("mask", "sees_contrast"), [("features", False), ("content", True)])
def test_instance_normalisation_hides_contrast_from_the_mask_unless_it_is_given(mask: str, sees_contrast: bool) -> None:
    model = _with_mask_heads_on(mask)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        masks = [model.mask(model.content(image), []) for image in (x, 0.5 * x + 0.2)]
    inside = max(float((a - b)[..., 2:-2, 2:-2].abs().max()) for a, b in zip(*masks, strict=True))
    assert (inside > 0.1) == sees_contrast


def test_a_mask_of_content_moves_with_the_local_contrast_of_the_reference() -> None:
    model = _with_mask_heads_on("content")
    flat = 0.5 + 0.01 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    half = flat.clone()
    half[..., 32:] = torch.rand(1, 3, 64, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before, after = (model.mask(model.content(image), [])[0] for image in (flat, half))
    assert float((before - after)[..., 16:].abs().mean()) > 0.02


def test_the_louder_a_reference_the_higher_the_threshold() -> None:
    model = DisentanglementModel(PretrainChoices.model_validate({**SMALL, "masking": 0.7})).eval()
    content = model.content(torch.rand(1, 3, 64, 64))
    like = model.degradation(torch.rand(1, 3, 64, 64))
    quiet, loud = (model.mask(content, [torch.full_like(x, size) for x in like]) for size in (0.0, 3.0))
    # The learned part of an untrained mask is 1: what is left is (1 + 9)^(-0.35).
    assert all(torch.allclose(m, torch.ones_like(m)) for m in quiet)
    assert all(torch.allclose(m, torch.full_like(m, 10**-0.35)) for m in loud)


def test_places_where_the_reference_is_loud_count_for_more() -> None:
    model = DisentanglementModel(PretrainChoices.model_validate({**SMALL, "importance": 0.5})).eval()
    heard = torch.zeros(1, 2, 16, 16)
    heard[..., 8:] = 3.0
    (weights,) = model.importance([heard])
    assert weights.shape == (1, 1, 16, 16)
    assert float(weights.mean()) == pytest.approx(1.0)
    # Far from the border between the halves: (1 + 9)^(1/2) to 1.
    assert float(weights[0, 0, 8, 15] / weights[0, 0, 8, 0]) == pytest.approx(10**0.5)
    even = DisentanglementModel(PretrainChoices.model_validate({**SMALL, "importance": 0})).importance([heard])
    assert torch.equal(even[0], torch.ones(1, 1, 16, 16))


def test_types_left_out_are_never_drawn_alone_or_composed(toy: Path) -> None:
    whole = BatchSampler([toy], "train", PretrainChoices.model_validate(SMALL), "train", 0)
    gone = whole.types[0]
    less = BatchSampler([toy], "train", PretrainChoices.model_validate({**SMALL, "without_types": [gone]}), "train", 0)
    assert less.types == whole.types[1:]
    # Every composition of this set holds both of its types.
    assert all(whole.chains.values())
    assert not any(less.chains.values())
    with pytest.raises(DataError, match="without_types: no type is named 'haze'"):
        BatchSampler([toy], "train", PretrainChoices.model_validate({**SMALL, "without_types": ["haze"]}), "train", 0)


def test_padding_reaches_whole_pixels() -> None:
    assert pad(torch.rand(1, 3, 33, 64)).shape == (1, 3, 64, 64)
    assert pad(torch.rand(1, 3, 64, 64)).shape == (1, 3, 64, 64)


def test_every_loss_term_is_finite_and_reaches_the_weights(toy: Path) -> None:
    choices = PretrainChoices.model_validate(SMALL)
    batch = BatchSampler([toy], "train", choices, "train", 0).batch(0)
    assert batch.severe.shape == (2, 3, 32, 32)
    torch.manual_seed(0)
    model = DisentanglementModel(choices)
    terms = training_terms(model, batch, Noise(torch.Generator().manual_seed(0), 1.0))
    assert set(terms) == set(choices.loss.model_fields_set or choices.loss.model_dump())
    for name, value in terms.items():
        assert torch.isfinite(value), name
        if float(value) == 0:  # hinge terms may be satisfied
            assert name in {"scaling", "swap", "ladder"}
            continue
        gradients = torch.autograd.grad(value, list(model.parameters()), retain_graph=True, allow_unused=True)
        assert any(g is not None and bool(g.abs().sum() > 0) for g in gradients), name


def test_a_more_severe_difference_costs_less_than_a_wrong_order(toy: Path) -> None:
    """The ranking terms fall when the sizes get into order."""
    from causaliqa.disentangle.losses import _rank

    small, large = torch.tensor([1.0]), torch.tensor([2.0])
    assert float(_rank(small, large)) < float(_rank(small, small)) < float(_rank(large, small))


def test_batches_depend_on_seed_and_step_alone(toy: Path) -> None:
    choices = PretrainChoices.model_validate(SMALL)
    one, two = (BatchSampler([toy], "train", choices, "train", 0) for _ in range(2))
    one.batch(0)
    assert torch.equal(one.batch(5).severe, two.batch(5).severe)
    assert not torch.equal(one.batch(5).severe, one.batch(6).severe)


def test_a_group_is_one_recipe_on_two_references(toy: Path) -> None:
    batch = BatchSampler([toy], "train", PretrainChoices.model_validate(SMALL), "train", 0).batch(1)
    error = (
        (batch.mild - batch.reference).square().mean((1, 2, 3)),
        (batch.severe - batch.reference).square().mean((1, 2, 3)),
    )
    assert bool((error[1] > error[0]).all())
    assert not torch.equal(batch.reference, batch.other)


def test_too_few_references_are_named(tmp_path: Path) -> None:
    folder = degraded_set(tmp_path, parts={"a": "train", "b": "test"})
    with pytest.raises(DataError, match="toy: training compares a distortion on two references"):
        BatchSampler([folder], "train", PretrainChoices.model_validate(SMALL), "train", 0)


def test_a_reference_smaller_than_the_crop_is_named(toy: Path) -> None:
    sampler = BatchSampler([toy], "train", PretrainChoices.model_validate({**SMALL, "crop": 128}), "train", 0)
    with pytest.raises(DataError, match=r"is 64x64, smaller than pretrain\.crop 128"):
        sampler.batch(0)


def test_training_gives_the_same_bytes_twice_and_removes_its_checkpoint(
    toy: Path, trained: Path, tmp_path: Path
) -> None:
    train(toy, tmp_path / "again", tmp_path / "ck")
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes(), name
    assert list((tmp_path / "ck").glob("*")) == []


def test_an_interrupted_training_ends_in_the_same_bytes(
    toy: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training.training_terms
    calls = 0

    def interrupted(*arguments: object) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        if calls == 8:  # after the checkpoint of step 2 (2 train + 4 validation calls), within step 4
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "training_terms", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(toy, tmp_path / "m", tmp_path / "ck")
    assert not (tmp_path / "m").exists()
    assert len(list((tmp_path / "ck").glob("*/state.safetensors"))) == 1
    monkeypatch.setattr(training, "training_terms", real)
    train(toy, tmp_path / "m", tmp_path / "ck")
    for name in FILES:
        assert (tmp_path / "m" / name).read_bytes() == (trained / name).read_bytes(), name


def test_a_killed_training_process_resumes_to_the_same_bytes(toy: Path, tmp_path: Path) -> None:
    params = PretrainChoices.model_validate({**SMALL, "steps": 300, "validate_every": 5}).model_dump_json()
    params = params[:-1] + ', "scenarios": {"s": ["toy"]}}'

    def command(name: str) -> list[str]:
        paths = ["--out", str(tmp_path / name), "--checkpoints", str(tmp_path / f"ck-{name}")]
        return [sys.executable, "-m", "causaliqa", "pretrain", str(toy), *paths, "--params", params]

    process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "ck-killed").glob("*/state.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    for name in ("killed", "whole"):
        subprocess.run(command(name), check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    for name in FILES:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_damaged_checkpoint_is_named(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "write_csv", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        train(toy, tmp_path / "m", tmp_path / "ck")
    state = next((tmp_path / "ck").glob("*/state.safetensors"))
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"state\.safetensors: the checkpoint cannot be used .*delete"):
        train(toy, tmp_path / "m", tmp_path / "ck")


def test_a_changed_parameter_never_resumes_another_training(toy: Path, tmp_path: Path) -> None:
    folders = [
        training._Checkpoint(
            tmp_path, {"choices": PretrainChoices.model_validate({**SMALL, "crop": crop}).model_dump()}
        ).folder
        for crop in (32, 64)
    ]
    assert folders[0] != folders[1]


def test_weights_that_do_not_fit_are_named(trained: Path, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    (tmp_path / "model.json").write_text((trained / "model.json").read_text().replace('"width": 4', '"width": 8'))
    with pytest.raises(ModelError, match="the weights do not fit the description"):
        training.load_model(tmp_path)


def test_missing_cuda_is_named(toy: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ModelError, match=r"base\.device: cuda, but torch finds no CUDA device"):
        training.pretrain(
            [toy], tmp_path, scenario="s", variant="full", seed=0, choices=PretrainChoices.model_validate(SMALL),
            base=Base(device="cuda"), checkpoints=tmp_path,
        )  # fmt: skip


def test_learning_rate_warms_up_and_falls() -> None:
    rates = [training.learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[4] == max(rates) == 1.0
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 0.02


def test_pooling_by_hand() -> None:
    difference = [torch.tensor([[[[3.0, -4.0], [0.0, 0.0]]]])]
    alike = [torch.ones(1, 1, 2, 2)]
    assert pool(difference, alike, 75.0).tolist() == [[1.75, 2.5, 3.0]]
    assert float(pooled_norm(difference, alike)) == pytest.approx(2.5, abs=1e-4)
    assert float(pooled_norm([*difference, 2 * difference[0]], [*alike, *alike])) == pytest.approx(7.5, abs=1e-4)
    # All attention on the place of the 3: mean and RMS are its own, the percentile stays that of the image.
    there = [torch.tensor([[[[4.0, 0.0], [0.0, 0.0]]]])]
    assert pool(difference, there, 75.0).tolist() == [[3.0, 3.0, 3.0]]
    assert float(pooled_norm(difference, there)) == pytest.approx(3.0, abs=1e-4)
    assert feature_names(1, 1) == ["d0_mean_0", "d0_rms_0", "d0_high_0"]


def test_the_size_that_training_orders_is_the_norm_that_scores() -> None:
    model = DisentanglementModel(PretrainChoices.model_validate(SMALL)).eval()
    x, y = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(4)).chunk(2)
    with torch.no_grad():
        known = model.degradation(x)
        trained = pooled_norm(model.difference(x, y), model.importance(known))
        features = pair_features(model, x, y, 95.0).numpy()
    norm = fit("norm", np.eye(features.shape[1]), feature_names(3, 2))
    assert norm.distance(features)[0] == pytest.approx(float(trained), rel=1e-4)


def test_embedding_is_complete_deterministic_and_zero_for_identical_pairs(
    toy: Path, trained: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        embed_set(trained, toy, tmp_path / f"{name}.parquet", 95.0)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = pd.read_parquet(tmp_path / "a.parquet")
    names = feature_columns(table)
    assert len(table) == 36
    assert len(names) == 3 * 3 * 2
    assert np.isfinite(table[names].to_numpy()).all()
    assert (table.loc[table["distortion"] == "reference", names] == 0).all(axis=None)
    assert (table.loc[table["distortion"] != "reference", names].sum(axis=1) > 0).all()


def test_interventions_write_pictures_and_numbers(toy: Path, trained: Path, tmp_path: Path) -> None:
    count = interventions.run(trained, [toy], tmp_path)
    numbers = pd.read_csv(tmp_path / "numbers.csv")
    assert count == 8  # two test references, two types, two levels: the set has no level 3
    assert set(numbers["intervention"]) == {"restore", "restore_floor", "transfer", "scaling"}
    assert numbers["value"].notna().all()
    from causaliqa.io import read_json, read_tensors

    pictures = read_tensors(tmp_path / "interventions.safetensors")
    labels = read_json(tmp_path / "interventions.json")["labels"]
    assert len(labels) == len(pictures["reference"]) == 2
    for name in ("reference", "distorted", "restored", "transferred"):
        assert pictures[name].shape == (2, 3, 64, 64)
        assert 0 <= float(pictures[name].min()) <= float(pictures[name].max()) <= 1
