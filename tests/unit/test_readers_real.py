"""The published label files and partial copies, where the environment names them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from causaliqa.datasets.readers import csiq, kadid10k, live, pipal, read_layout, scid, siqad
from causaliqa.datasets.readers.base import Row


@pytest.fixture(scope="module")
def labels() -> Path:
    """Folder with published label files, without images, or skip."""
    folder = os.environ.get("CAUSALIQA_TEST_LABELS", "")
    if not folder:
        pytest.skip(
            "CAUSALIQA_TEST_LABELS is not set: it names a folder that holds DMOS_SIQAD.mat, csiq_dmos.xlsx, ..."
        )
    path = Path(folder)
    if not path.is_dir():
        pytest.skip(f"CAUSALIQA_TEST_LABELS={folder} is not a folder")
    return path


def layout_of(labels: Path, name: str, tmp_path: Path, place: str) -> Path:
    if not (labels / name).is_file():
        pytest.skip(f"CAUSALIQA_TEST_LABELS holds no {name}")
    shutil.copyfile(labels / name, tmp_path / place)
    return tmp_path


def data(test_data: Path, name: str) -> Path:
    if not (test_data / name).is_dir():
        pytest.skip(f"CAUSALIQA_TEST_DATA holds no {name}/")
    return test_data / name


def split(rows: list[Row]) -> tuple[list[Row], dict[str, Row]]:
    """Return the references, and image -> row of the others."""
    assert len({row.image.lower() for row in rows}) == len(rows)
    references = [row for row in rows if row.distortion == "reference"]
    return references, {row.image: row for row in rows if row.distortion != "reference"}


def levels(rows: dict[str, Row], kinds: tuple[str, ...], count: int) -> np.ndarray:
    """Mean score of each type and level, (types, levels)."""
    return np.array(
        [
            [
                np.mean([r.score for r in rows.values() if (r.distortion, r.level) == (kind, level)])
                for level in range(1, count + 1)
            ]
            for kind in kinds
        ]
    )


def test_siqad(labels: Path, tmp_path: Path) -> None:
    folder = layout_of(labels, "DMOS_SIQAD.mat", tmp_path, "DMOS_SIQAD.mat")
    references, rows = split(list(read_layout("siqad", folder, {})))
    assert (len(references), len(rows)) == (20, 980)
    assert rows["DistortedImages/cim1_1_1.bmp"].score == pytest.approx(36.79291836)
    assert rows["DistortedImages/cim2_1_1.bmp"].score == pytest.approx(31.88750678)
    # The order that the docstring states is the one in which scores rise with the level.
    means = levels(rows, siqad.TYPES, 7)
    rising = (np.diff(means, axis=1) > 0).all(axis=1)
    assert dict(zip(siqad.TYPES, rising.tolist(), strict=True)) == {
        kind: kind != "contrast_change" for kind in siqad.TYPES
    }


def test_scid(labels: Path, tmp_path: Path) -> None:
    folder = layout_of(labels, "MOS_SCID.mat", tmp_path, "MOS_SCID.mat")
    references, rows = split(list(read_layout("scid", folder, {})))
    assert (len(references), len(rows)) == (40, 1800)
    assert rows["DistortedSCIs/SCI01_1_1.bmp"].score == pytest.approx(64.40449953)
    assert rows["DistortedSCIs/SCI01_2_1.bmp"].score == pytest.approx(62.24743284)
    falling = (np.diff(levels(rows, scid.TYPES, 5), axis=1) < 0).all(axis=1)
    assert dict(zip(scid.TYPES, falling.tolist(), strict=True)) == {
        kind: kind != "contrast_change" for kind in scid.TYPES
    }


def test_csiq(labels: Path, tmp_path: Path) -> None:
    folder = layout_of(labels, "csiq_dmos.xlsx", tmp_path, "csiq.DMOS.xlsx")
    references, rows = split(list(read_layout("csiq", folder, {})))
    assert (len(references), len(rows)) == (30, 866)
    assert Counter(row.distortion for row in rows.values()) == {
        name: 116 if name == "contrast_change" else 150 for name, _, _ in csiq.TYPES.values()
    }
    first = rows["dst_imgs/awgn/1600.AWGN.1.png"]
    assert (first.score, first.score_std) == (0.061989406314069996, 0.06121907310174256)
    assert rows["dst_imgs/contrast/woman.contrast.4.png"].score == 0.4685564551344059
    assert len(list(read_layout("csiq", folder, {"contrast": False}))) == 780
    # The table as text says the same.
    layout_of(labels, "csiq_dmos.csv", tmp_path, "csiq_dmos.csv")
    text = split(list(read_layout("csiq", folder, {"table": "csiq_dmos.csv"})))[1]
    assert {image: row.score for image, row in text.items()} == pytest.approx(
        {image: row.score for image, row in rows.items()}
    )


def test_kadid10k(labels: Path, tmp_path: Path) -> None:
    folder = layout_of(labels, "kadid10k_dmos.csv", tmp_path, "dmos.csv")
    references, rows = split(list(read_layout("kadid10k", folder, {})))
    assert (len(references), len(rows)) == (81, 10_125)
    assert set(Counter((row.distortion, row.level) for row in rows.values()).values()) == {81}
    assert {row.distortion for row in rows.values()} == set(kadid10k.TYPES)
    assert rows["images/I01_01_01.png"].score == 4.57
    # The column var is a standard deviation: votes are whole numbers, so var ** 2 has a least value for a mean, up to
    # rounding, and rows reach it.
    fraction = np.array([row.score % 1 for row in rows.values()])
    spare = np.array([row.score_std for row in rows.values()]) ** 2 - fraction * (1 - fraction)
    assert spare.min() > -0.005
    assert (np.abs(spare) < 0.002).sum() > 100


def test_koniq10k(labels: Path, tmp_path: Path) -> None:
    folder = layout_of(labels, "koniq10k_label.txt", tmp_path, "koniq10k_label.txt")
    references, rows = split(list(read_layout("koniq10k", folder, {})))
    assert (len(references), len(rows)) == (0, 10_073)
    assert rows["1024x768/10004473376.jpg"].score == 3.828571429


def test_pipal(labels: Path, tmp_path: Path) -> None:
    folder = layout_of(labels, "pipal22_train.txt", tmp_path, "pipal22_train.txt")
    references, rows = split(list(read_layout("pipal", folder, {})))
    assert (len(references), len(rows)) == (200, 23_200)
    # The sizes of the classes that the paper states.
    sizes = Counter(row.distortion for row in rows.values())
    assert [sizes[kind] // 200 for kind in pipal.TYPES] == [12, 16, 10, 24, 13, 14, 27]
    assert rows["Train_Dist/A0001_00_00.bmp"].score == 1520.0648


def test_clive(labels: Path, tmp_path: Path) -> None:
    folder = layout_of(labels, "clive_labels_metaiqa.csv", tmp_path, "labels.csv")
    references, rows = split(list(read_layout("clive", folder, {"table": "labels.csv"})))
    assert (len(references), len(rows)) == (0, 1162)
    assert rows["Images/100.bmp"].score == 0.32561


def test_tid2013(test_data: Path) -> None:
    folder = data(test_data, "tid2013")
    references, rows = split(list(read_layout("tid2013", folder, {})))
    assert (len(references), len(rows)) == (18, 1077)
    assert all((folder / image).is_file() for image in [*rows, *(row.image for row in references)])
    first = rows["distorted_images/i01_01_1.bmp"]
    assert (first.score, first.score_std, first.provenance) == (5.51429, 0.13013, "resynth")
    assert Counter(row.provenance for row in rows.values()) == {"exact": 434, "near": 165, "real": 118, "resynth": 360}
    assert len(list(read_layout("tid2013", folder, {"reference_25": False}))) == 17 + 1022


def test_live(test_data: Path) -> None:
    folder = data(test_data, "live")
    references, rows = split(list(read_layout("live", folder, {})))
    assert (len(references), len(rows)) == (15, 330)
    assert all((folder / image).is_file() for image in [*rows, *(row.image for row in references)])
    first = rows["jpeg/img1.bmp"]
    assert (first.reference, first.score, first.provenance) == ("womanhat", 52.92435457391395, "exact")
    assert Counter(row.distortion for row in rows.values()) == {
        "jpeg2000": 90,
        "jpeg": 90,
        "white_noise": 75,
        "gaussian_blur": 75,
    }


def test_live_is_779_images_if_nothing_is_missing(test_data: Path, tmp_path: Path) -> None:
    """The published arrays with lists of all images, as the full release has them."""
    from causaliqa.datasets.readers.base import read_names

    folder = data(test_data, "live")
    names = read_names(folder / "refnames_all.mat", "refnames_all")
    for name in ("dmos_realigned.mat", "refnames_all.mat"):
        shutil.copyfile(folder / name, tmp_path / name)
    first = 0
    for kind, (_, count) in live.TYPES.items():
        (tmp_path / kind).mkdir()
        lines = [f"{names[first + k]} img{k + 1}.bmp 1" for k in range(count)]
        (tmp_path / kind / "info.txt").write_text("\n".join(lines), encoding="utf-8")
        first += count
    references, rows = split(list(read_layout("live", tmp_path, {})))
    assert (len(references), len(rows)) == (29, 779)
    assert len(split(list(read_layout("live", tmp_path, {"pristine_copies": True})))[1]) == 982


@pytest.mark.parametrize(
    ("layout", "name", "references", "others"),
    [
        ("tiqa_mri", "medical_mri_tiqa", 33, 33),
        ("exposure_ladder", "neutron_exposure_ladder", 7, 26),
        ("agudelo_pansharp", "remote_sensing_pansharp", 4, 164),
        ("mmp2k", "photos_mmp2k", 0, 125),
    ],
)
def test_labelled(test_data: Path, layout: str, name: str, references: int, others: int) -> None:
    folder = data(test_data, f"labelled/{name}")
    rows = list(read_layout(layout, folder, {}))
    found = split(rows)
    assert (len(found[0]), len(found[1])) == (references, others)
    assert all((folder / row.image).is_file() for row in rows)
    assert all(np.isfinite(row.score) for row in found[1].values())
    assert {row.reference for row in found[0]} == {row.reference for row in found[1].values()} - {""}


def test_labelled_values(test_data: Path) -> None:
    mri = {row.image: row for row in read_layout("tiqa_mri", data(test_data, "labelled/medical_mri_tiqa"), {})}
    assert (mri["images/01.png"].score, mri["images/02.png"].data_range) == (4.32258064516129, 864)
    ladder = data(test_data, "labelled/neutron_exposure_ladder")
    exposures = {row.image: row for row in read_layout("exposure_ladder", ladder, {})}
    assert exposures["images/bbh2o_wedge_060s.png"].level == 1
    assert exposures["images/bbh2o_wedge_005s.png"].level == 4
    pansharp = data(test_data, "labelled/remote_sensing_pansharp")
    fused = {row.image: row for row in read_layout("agudelo_pansharp", pansharp, {})}
    assert fused["TC_River_PCA_UD_UD.webp"].score == 31.55511340619518
    assert len({row.distortion for row in fused.values()}) == 20


def test_pristine(test_data: Path) -> None:
    folder = data(test_data, "pristine")
    rows = list(read_layout("pristine", folder, {}))
    assert len(rows) == 552
    assert all((folder / row.image).is_file() for row in rows)
