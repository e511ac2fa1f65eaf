"""Probes must catch a leak that is there and stay silent about one that is not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from synthetic import degraded_set

from causaliqa.config import PretrainChoices
from causaliqa.datasets.shards import DegradedSet
from causaliqa.disentangle import probes
from causaliqa.disentangle.interventions import choose_references
from causaliqa.disentangle.model import DisentanglementModel
from causaliqa.errors import DataError
from causaliqa.io import read_json, read_tensors, write_json, write_tensors
from causaliqa.seeding import generator

CONTENTS, KINDS, LEVELS, WIDTH = 6, 5, 5, 12
SMALL = PretrainChoices.model_validate({"width": 4, "scales": 2, "channels": 2})


def grid() -> pd.DataFrame:
    table = pd.DataFrame(
        [(f"c{c}", f"t{t}", level) for c in range(CONTENTS) for t in range(KINDS) for level in range(1, LEVELS + 1)],
        columns=["content", "distortion", "level"],
    )
    return table.assign(recipe=table["distortion"] + "@" + table["level"].astype(str))


def codes(rows: pd.DataFrame, content: float, recipe: float, noise: float = 0.3) -> np.ndarray:
    """Codes in which content and recipe leave a trace of known size."""
    rng = generator("codes")
    of_content, of_kind = rng.normal(size=(CONTENTS, WIDTH)), rng.normal(size=(KINDS, WIDTH))
    severity = rng.normal(size=WIDTH)
    c, t = (rows[name].str[1:].astype(int).to_numpy() for name in ("content", "distortion"))
    level = rows["level"].to_numpy()[:, None] - 3.0
    said = recipe * (of_kind[t] + level * severity)
    return content * of_content[c] + said + noise * rng.normal(size=(len(rows), WIDTH))


@pytest.mark.parametrize("target", ["identity", "type", "severity"])
def test_a_code_that_knows_nothing_is_at_chance(target: str) -> None:
    rows = grid()
    found = probes.probe(codes(rows, 0, 0), rows, target)
    assert found["value"] <= found["permuted_high"]
    assert found["value"] == pytest.approx(found["chance"], abs=0.08)


def test_a_code_of_the_recipe_alone_passes() -> None:
    rows = grid()
    x = codes(rows, 0, 1)
    identity, kind, severity = (probes.probe(x, rows, target) for target in ("identity", "type", "severity"))
    assert identity["value"] <= identity["permuted_high"]
    assert kind["value"] > 0.9
    assert severity["value"] > 0.9
    assert kind["low"] <= kind["value"] <= kind["high"]
    assert kind["permuted"] == pytest.approx(1 / KINDS, abs=0.05)


@pytest.mark.parametrize("size", [0.3, 3.0])
def test_a_leak_of_content_is_caught_even_if_it_is_small(size: float) -> None:
    rows = grid()
    x = codes(rows, size, 1)
    found = probes.probe(x, rows, "identity")
    assert found["value"] > found["permuted_high"] + 0.2
    # The recipe can still be read from a reference that was never seen, if content does not drown it.
    if size < 1:
        assert probes.probe(x, rows, "type")["value"] > 0.8


def test_a_leak_of_the_type_into_content_is_caught() -> None:
    rows = grid()
    content = codes(rows, 1, 0)
    assert probes.probe(content, rows, "type")["value"] <= probes.probe(content, rows, "type")["permuted_high"]
    leaking = codes(rows, 1, 0.5)
    found = probes.probe(leaking, rows, "type")
    assert found["value"] > found["permuted_high"]
    severity = probes.probe(leaking, rows, "severity")
    assert severity["value"] > severity["permuted_high"] + 0.1


def test_a_held_out_group_never_helps_to_predict_itself() -> None:
    # Targets that are constant in a group: only a leak between folds could predict them.
    groups = np.repeat([f"g{k}" for k in range(10)], 20)
    x = np.eye(10)[np.repeat(np.arange(10), 20)] + 0.01 * generator("folds").normal(size=(200, 10))
    target = np.repeat(generator("targets").normal(size=10), 20)
    predicted = probes.cross_predict(x, target[:, None, None], groups)[:, 0, 0]
    assert ((predicted - target) ** 2).mean() > 0.5 * target.var()


def test_two_references_give_no_interval() -> None:
    rows = grid()
    rows = rows[rows["content"].isin(["c0", "c1"])].reset_index(drop=True)
    found = probes.probe(codes(rows, 0, 1), rows, "type")
    assert np.isnan(found["low"])
    assert np.isnan(found["high"])
    assert found["chance"] == 1 / KINDS


def test_shares_of_variance_by_hand() -> None:
    content, recipe = np.array([1.0, -1.0]), np.array([2.0, 0.0, -2.0])
    x = (content[:, None] + recipe[None, :])[..., None]
    shares = probes.variance_shares(x)
    # Variance 1 of content, 8/3 of recipe, nothing left.
    assert shares == pytest.approx({"content": 3 / 11, "recipe": 8 / 11, "interaction": 0.0})
    crossed = (content[:, None] * recipe[None, :])[..., None]
    assert probes.variance_shares(crossed)["interaction"] == pytest.approx(1.0)
    assert probes.variance_shares(np.ones((2, 3, 1)))["recipe"] == 0.0


def test_rows_of_any_order_give_the_same_shares() -> None:
    rows = grid()
    x = codes(rows, 0.5, 1)
    order = generator("order").permutation(len(rows))
    one = probes.variance_table(dict.fromkeys(probes.SOURCES, x), dict.fromkeys(probes.SOURCES, x), rows)
    two = probes.variance_table(
        dict.fromkeys(probes.SOURCES, x[order]),
        dict.fromkeys(probes.SOURCES, x),
        rows.iloc[order].reset_index(drop=True),
    )
    assert one["share"].tolist() == pytest.approx(two["share"].tolist())
    assert (one["low"] <= one["share"]).all()
    assert (one["share"] <= one["high"]).all()


class ByHand(DisentanglementModel):
    """A model with codes made by hand: content is a blurred image, degradation what is left of it."""

    def __init__(self, leak: float) -> None:
        super().__init__(SMALL)
        self.leak = leak

    def content(self, rgb: torch.Tensor) -> list[torch.Tensor]:
        return [torch.nn.functional.avg_pool2d(rgb, 16), rgb]

    def mask(self, content: list[torch.Tensor], at_reference: list[torch.Tensor]) -> list[torch.Tensor]:
        return [torch.ones(1, 3, 1, 1)]

    def degradation(self, rgb: torch.Tensor) -> list[torch.Tensor]:
        fine = rgb - torch.nn.functional.avg_pool2d(rgb, 3, stride=1, padding=1, count_include_pad=False)
        return [fine + self.leak * rgb.mean(dim=(2, 3), keepdim=True)]


def identity_by_hand(leak: float) -> float:
    """Share of variance that content explains in the degradation of images whose levels differ by reference."""
    rng = np.random.default_rng(0)
    texture = torch.from_numpy(rng.standard_normal((3, 32, 32))).float()
    coder = probes.Coder(ByHand(leak), 1)
    for level in (0.2, 0.35, 0.5, 0.65):
        x = torch.full((1, 3, 32, 32), level)
        coder.reference(x)
        for sigma in (0.02, 0.04, 0.08):
            coder.add(x + sigma * texture)
    codes = coder.arrays()
    assert probes.variance_shares(codes["pair"].reshape(4, 3, -1))["content"] < 1e-6
    return probes.variance_shares(codes["degradation"].reshape(4, 3, -1))["content"]


def test_a_model_whose_degradation_holds_the_level_of_the_image_is_caught() -> None:
    assert identity_by_hand(0.0) < 1e-6
    assert identity_by_hand(1.0) > 0.9


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = {"a": "train", "e": "test", "f": "test", "g": "test"}
    return degraded_set(tmp_path_factory.mktemp("toy"), parts=parts)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    made = DisentanglementModel(SMALL)
    write_tensors(tmp_path / "model.safetensors", {name: t.contiguous() for name, t in made.state_dict().items()})
    write_json(tmp_path / "model.json", {"choices": SMALL.model_dump(), "datasets": ["toy"]})
    return tmp_path


def test_the_stage_writes_every_file_and_the_same_twice(toy: Path, model: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        probes.run(model, [toy], tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["mask.csv", "mask.json", "mask.safetensors", "probes.csv", "variance.csv"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    table = pd.read_csv(tmp_path / "one/probes.csv")
    assert list(table.columns) == probes.PROBE_COLUMNS
    assert len(table) == 12
    assert set(table["n_images"]) == {12}  # three references, two types, two levels
    # Both networks are untrained, with other weights: the shares differ, the probed table does not lack any.
    assert table.drop(columns=["low", "high"]).notna().all(axis=None)
    shares = pd.read_csv(tmp_path / "one/variance.csv")
    assert shares.groupby("source")["share"].sum().to_numpy() == pytest.approx(np.ones(4))
    masks = pd.read_csv(tmp_path / "one/mask.csv")
    assert len(masks) == 3 * (2 * 2 + 1)
    # The learned part of a new mask is 1 everywhere: what is left is the threshold, lower where the reference is loud.
    assert masks["mean"].between(0.5, 1, inclusive="neither").all()
    assert (masks["contrast_srcc"] < 0).mean() > 0.5
    pictures = read_tensors(tmp_path / "one/mask.safetensors")
    assert pictures["reference"].shape == (3, 3, 64, 64)
    assert pictures["mask"].shape == pictures["contrast"].shape == pictures["classes"].shape == (3, 64, 64)
    assert len(read_json(tmp_path / "one/mask.json")["labels"]) == 3


def test_one_reference_cannot_be_probed_but_its_mask_can(model: Path, tmp_path: Path) -> None:
    folder = degraded_set(tmp_path / "set", parts={"a": "train", "e": "test"})
    assert probes.run(model, [folder], tmp_path / "out").empty
    assert pd.read_csv(tmp_path / "out/probes.csv").columns.tolist() == probes.PROBE_COLUMNS
    assert len(pd.read_csv(tmp_path / "out/mask.csv")) == 5


def test_only_recipes_that_all_references_have_are_crossed(toy: Path) -> None:
    stored = DegradedSet(toy)
    stored.manifest = stored.manifest[stored.manifest["image"] != "f/white_noise/2"]
    chosen = choose_references([stored])
    rows = probes.crossed([stored], chosen)
    assert sorted(rows["recipe"].unique()) == ["gaussian_blur@1", "gaussian_blur@2", "white_noise@1"]
    assert len(rows) == 9


def test_references_are_drawn_from_every_set_in_turn(tmp_path: Path) -> None:
    many = degraded_set(tmp_path / "many", "many", size=32, parts=dict.fromkeys("abcde", "test"))
    one = degraded_set(tmp_path / "one", "one", size=32, parts={"a": "train", "x": "test"})
    stored = [DegradedSet(many), DegradedSet(one)]
    chosen = choose_references(stored, 3)
    assert sorted(chosen["set"]) == [0, 0, 1]
    assert chosen.equals(choose_references(stored, 3))
    assert len(choose_references(stored, 1)) == 2
    empty = degraded_set(tmp_path / "none", "none", size=32, parts={"a": "train"})
    with pytest.raises(DataError, match="none: no distorted image of a test reference"):
        choose_references([DegradedSet(empty)])
