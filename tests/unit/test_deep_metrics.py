"""Deep metrics as functions on arrays, with random weights, and in stage baselines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from skimage import data
from test_baselines_stage import make_set
from weight_files import write_weights

from causaliqa.baselines.deep import distances
from causaliqa.baselines.deep.function import check_weights
from causaliqa.baselines.deep.models import averaged, load_model, short_side, to_tensor
from causaliqa.baselines.registry import DEEP, Metric, get, get_all
from causaliqa.baselines.stage import run, score_set
from causaliqa.cli import main
from causaliqa.config import Baselines
from causaliqa.errors import ConfigError, DataError, ModelError

PHOTO = data.astronaut()[60:156, 170:282]  # 96 x 112
NAMES = ["squeeze_lpips", "squeeze_dists", "squeeze_wsd", "lpips_alex", "lpips_squeeze", "deepwsd"]
ALL = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ("squeezenet1_1", "squeezenet1_1_torchvision", "alexnet", "lpips_alex", "lpips_squeeze", "vgg16")
    return write_weights(tmp_path_factory.mktemp("weights"), *names)


def metric(name: str, folder: Path) -> Metric:
    return get(name, folder)


def noisy(image: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, image.shape)
    return np.clip(np.round(image + sigma * noise), 0, 255).astype(np.uint8)


def gray(image: np.ndarray) -> np.ndarray:
    return image[..., 1]


@ALL
@pytest.mark.parametrize("image", [PHOTO, gray(PHOTO), np.zeros_like(PHOTO), PHOTO / 255 * 200 + 3.3])
def test_identical_images_score_zero(name: str, image: np.ndarray, folder: Path) -> None:
    assert metric(name, folder).function(image, image.copy()) == pytest.approx(0, abs=1e-6)


@ALL
def test_symmetric_and_in_range(name: str, folder: Path) -> None:
    declared = metric(name, folder)
    forward, backward = declared.function(PHOTO, noisy(PHOTO, 15)), declared.function(noisy(PHOTO, 15), PHOTO)
    assert forward == pytest.approx(backward, rel=1e-5)
    assert 0 < forward < declared.range[1]
    assert not declared.higher_is_better
    assert declared.function(PHOTO, 255 - PHOTO) < declared.range[1]


@ALL
def test_gray_is_three_equal_channels(name: str, folder: Path) -> None:
    function = metric(name, folder).function
    pair = gray(PHOTO), noisy(gray(PHOTO), 15)
    assert function(*pair) == function(*(np.repeat(image[..., None], 3, axis=2) for image in pair))


@ALL
def test_data_range_is_only_a_unit(name: str, folder: Path) -> None:
    function = metric(name, folder).function
    pair = PHOTO, noisy(PHOTO, 15)
    expected = function(*pair)
    assert function(*(image / 255 for image in pair), data_range=1.0) == pytest.approx(expected, rel=1e-5)
    assert function(*(image.astype(np.uint16) * 257 for image in pair), data_range=65535) == expected
    with pytest.raises(DataError, match="data range"):
        function(*(image.astype(np.uint16) * 16 for image in pair))


@ALL
def test_bad_pairs_are_refused(name: str, folder: Path) -> None:
    function = metric(name, folder).function
    broken = PHOTO.astype(np.float64)
    broken[3, 4, 1] = np.nan
    with pytest.raises(DataError, match="distorted: holds NaN"):
        function(PHOTO, broken)
    with pytest.raises(DataError, match="two images of equal shape"):
        function(PHOTO, PHOTO[:, :-1])
    smallest = 64 if name == "deepwsd" else 32
    tiny = PHOTO[: smallest - 1, :90]
    with pytest.raises(DataError, match=rf"{name} is defined from {smallest}x{smallest} pixels on"):
        function(tiny, tiny)
    assert function(PHOTO[:smallest, :smallest], noisy(PHOTO[:smallest, :smallest], 9)) > 0


def test_deepwsd_refuses_a_strip_that_shrinks_to_nothing(folder: Path) -> None:
    strip = np.tile(PHOTO[:64], (1, 12, 1))
    with pytest.raises(DataError, match=r"deepwsd has no window of 16x16 on the deepest map of 64x1344 pixels"):
        get("deepwsd", folder).function(strip, strip)


@ALL
def test_batch_and_order_do_not_matter(name: str, folder: Path) -> None:
    pairs = [(PHOTO, noisy(PHOTO, 3)), (PHOTO[::-1], noisy(PHOTO, 30)), (noisy(PHOTO, 9), PHOTO)]
    function = metric(name, folder).function
    alone = [function(*pair) for pair in pairs]
    assert [function(*pair) for pair in reversed(pairs)] == alone[::-1]
    model = load_model(name, folder)
    first, second = (torch.cat([to_tensor(pair[side], 255.0) for pair in pairs]) for side in (0, 1))
    assert model.distances(first, second).tolist() == pytest.approx(alone, rel=1e-4)


@ALL
def test_arguments_stay_unchanged_and_views_are_scored(name: str, folder: Path) -> None:
    function = metric(name, folder).function
    reference, distorted = PHOTO.copy(), noisy(PHOTO, 9)
    score = function(reference, distorted)
    np.testing.assert_array_equal(reference, PHOTO)
    flipped = function(reference[:, ::-1], distorted[:, ::-1])
    assert flipped == function(reference[:, ::-1].copy(), distorted[:, ::-1].copy())
    # A buffer that is used again with other content is another image.
    reference[:] = noisy(PHOTO, 50)
    assert function(reference, distorted) != score


def test_a_changed_image_is_measured_anew_and_a_reference_only_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = load_model("squeeze_lpips", folder).extractor
    assert extractor is load_model("squeeze_wsd", folder).extractor
    extractor.kept.clear()
    seen = []
    monkeypatch.setattr(
        extractor.network, "forward", lambda image, real=extractor.network.forward: seen.append(1) or real(image)
    )
    functions = [one.function for one in get_all(["squeeze_lpips", "squeeze_dists", "squeeze_wsd"], folder)]
    for sigma in (1, 2, 3):
        for function in functions:
            function(PHOTO, noisy(PHOTO, sigma))
    assert len(seen) == 4
    assert len(extractor.kept) == 2


def test_shrinking_rules() -> None:
    image = torch.rand(1, 3, 300, 520, generator=torch.Generator().manual_seed(0))
    assert short_side(image).shape == (1, 3, 256, 443)
    assert short_side(image[..., :200]).shape == (1, 3, 300, 200)
    torch.testing.assert_close(short_side(torch.full((1, 3, 512, 600), 0.25)), torch.full((1, 3, 256, 300), 0.25))
    half = averaged(image)
    assert half.shape == (1, 3, 150, 260)
    torch.testing.assert_close(half[..., 0, 0], image[..., :2, :2].mean((2, 3)))
    assert averaged(image[..., :384]).shape[3] == 192  # 384 / 256 is rounded to the even 2
    assert averaged(image[..., :300, :320]).shape == (1, 3, 300, 320)


# Distances


def maps(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(1, *shape, generator=generator, dtype=torch.float64) for shape in shapes]


def test_lpips_form_by_hand() -> None:
    first, second = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    first[0, :, 0, 0], second[0, :, 0, 0] = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 5.0])
    first[0, :, 0, 1], second[0, :, 0, 1] = torch.tensor([1.0, 1.0]), torch.tensor([7.0, 7.0])
    # Orthogonal vectors: 2; parallel ones: 0; the mean of the two places.
    assert float(distances.lpips_form([first], [second])) == pytest.approx(1.0)
    assert float(distances.lpips_form([first, first], [second, first])) == pytest.approx(0.5)
    weights = torch.tensor([0.25, 1.0])
    assert float(distances.lpips([first, first], [second, second], [weights, weights])) == pytest.approx(1.25)


def test_dists_form_by_hand() -> None:
    first, second = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[2.0, 0.0]]]])
    texture, structure = 2 * 2 * 1 / (4 + 1), 2 * -1 / (1 + 1)
    assert float(distances.dists_form([first], [second])) == pytest.approx(1 - (texture + structure) / 2, abs=1e-5)
    found = distances.dists([first], [second], torch.tensor([3.0]), torch.tensor([1.0]))
    assert float(found) == pytest.approx(1 - (3 * texture + structure) / 4, abs=1e-5)


def test_dists_form_survives_large_means_in_single_precision() -> None:
    first = 5000 + torch.rand(1, 4, 60, 60, generator=torch.Generator().manual_seed(1))
    assert float(distances.dists_form([first], [first.clone()])) == pytest.approx(0, abs=1e-6)
    second = first.flip(3)
    exact = distances.dists_form([first.double()], [second.double()])
    assert float(distances.dists_form([first], [second])) == pytest.approx(float(exact), abs=1e-4)


def test_wasserstein_form_by_hand() -> None:
    first, second = torch.tensor([[[[1.0, 0.0, 2.0]]]]), torch.tensor([[[[3.0, 1.0, 2.0]]]])
    scale = (5 / 3) ** 0.5 + (14 / 3) ** 0.5
    assert float(distances.wasserstein_form([first], [second])) == pytest.approx(1 / scale, rel=1e-5)
    # Where the values lie does not matter, unlike in the other two.
    assert float(distances.wasserstein_form([first], [first.flip(3)])) == 0


def test_transport_by_hand() -> None:
    one, other = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    assert distances.transport(one, other).tolist() == [4.0]
    assert distances.transport(one, one).tolist() == [0.0]
    assert distances.transport(one, torch.tensor([[0.5, 0.5, 0.0]])).tolist() == [0.5]
    # What one has more is carried to the last place.
    assert distances.transport(one, torch.tensor([[1.0, 1.0, 0.0]])).tolist() == [1.0]


@pytest.mark.parametrize(
    "form", [distances.lpips_form, distances.dists_form, distances.wasserstein_form, distances.deepwsd]
)
def test_distances_of_a_batch_are_those_of_its_images(form: object) -> None:
    shapes = [(3, 9, 12), (5, 6, 4)]
    batches = [
        [torch.cat(pair) for pair in zip(maps(seed, *shapes), maps(seed + 1, *shapes), strict=True)] for seed in (0, 7)
    ]
    together = form(*batches)  # type: ignore[operator]
    for index in range(2):
        alone = form(*([stage[index : index + 1] for stage in side] for side in batches))  # type: ignore[operator]
        assert float(alone[0]) == pytest.approx(float(together[index]), rel=1e-12)


# Registry and stage


def test_torch_is_loaded_only_when_a_deep_metric_is_called() -> None:
    code = (
        "import sys; from causaliqa.baselines.stage import score_set; from causaliqa.baselines.registry import get;"
        "import causaliqa.cli; causaliqa.cli.build_app(); get('dists'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_close_to_a_deep_metric_are_suggested() -> None:
    with pytest.raises(ConfigError, match="did you mean 'squeeze_lpips'"):
        get("squeeze_lpip")
    assert set(NAMES) < set(DEEP)


def test_missing_weights_are_named_before_anything_is_scored(tmp_path: Path, folder: Path) -> None:
    degraded = make_set(tmp_path / "toy")
    message = (
        r"squeezenet1_1\.safetensors: missing, metric squeeze_wsd needs it; get it with `causaliqa weights fetch "
        r"squeezenet1_1` \(without a network, set CAUSALIQA_MIRROR"
    )
    for jobs in (1, 2):
        with pytest.raises(ModelError, match=message):
            score_set(degraded, ["psnr", "squeeze_wsd"], jobs, tmp_path / "weights")
    with pytest.raises(ModelError, match=message):
        get("squeeze_wsd", tmp_path).function(PHOTO, PHOTO)
    with pytest.raises(ModelError, match=r"dists\.safetensors: missing, metric dists needs it"):
        check_weights(["psnr", "dists"], folder)
    check_weights(["psnr", "lpips_alex"], folder)


def test_damaged_weights_are_not_blamed_on_an_image(tmp_path: Path) -> None:
    degraded = make_set(tmp_path / "toy")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/squeezenet1_1.safetensors").write_bytes(b"{}")
    with pytest.raises(ModelError, match=r"^[^ ]*squeezenet1_1\.safetensors: truncated or not safetensors"):
        score_set(degraded, ["squeeze_lpips"], 1, tmp_path / "weights")


def test_stage_writes_the_same_bytes_whatever_the_number_of_processes(tmp_path: Path, folder: Path) -> None:
    degraded = make_set(tmp_path / "toy")
    params = Baselines(metrics=["psnr", "squeeze_lpips", "squeeze_dists"], consensus=["mdsi", "squeeze_wsd"])
    before = torch.get_num_threads()
    try:
        for jobs in (1, 2):
            run(degraded, tmp_path / str(jobs), params, jobs, folder)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(False)
    for name in ("scores.parquet", "members.parquet", "consensus.parquet"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    scores = pd.read_parquet(tmp_path / "1/scores.parquet")
    deep = scores[scores["method"] == "squeeze_lpips"].set_index("image")
    assert not deep["higher_is_better"].any()
    assert deep.loc["picture0/imperceptible/1", "score"] == 0
    levels = [deep.loc[f"picture0/noise/{level}", "score"] for level in (1, 2, 3)]
    assert levels == sorted(levels)


def test_command_line_says_which_weights_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    degraded = make_set(tmp_path / "toy")
    section = '{"metrics": ["dists"], "consensus": ["mdsi", "vsi"]}'
    with pytest.raises(SystemExit) as ended:
        main(
            ["baselines", str(degraded), "--out", str(tmp_path / "o"), "--params", section, "--weights", str(tmp_path)]
        )
    assert ended.value.code == 1
    assert "vgg16.safetensors: missing, metric dists needs it" in capsys.readouterr().err
