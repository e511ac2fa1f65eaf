"""The entries of data/registry.yaml, and the table of docs/datasets.md that is made from them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from causaliqa.datasets.readers import LAYOUTS, read_layout
from causaliqa.datasets.readers.base import REFERENCE
from causaliqa.datasets.registry import BundledDataset, Dataset, DownloadedDataset, LocalDataset, load_registry
from causaliqa.io import sha256_file

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs/datasets.md"
#: Without folders of one's own: a user may add them, and the docs do not know them.
REGISTRY = {
    name: entry
    for name, entry in load_registry(ROOT / "data/registry.yaml").items()
    if not isinstance(entry, LocalDataset)
}
DOWNLOADED = {name: entry for name, entry in REGISTRY.items() if isinstance(entry, DownloadedDataset)}
PARTIAL = {
    "tid2013_partial": "tid2013",
    "live_partial": "live",
    "mmp2k_partial": "mmp2k",
    "agudelo_pansharp_partial": "agudelo_pansharp",
}
WANTED = {
    "full_reference": (
        "live csiq tid2013 kadid10k pipal siqad scid tiqa_mri agudelo_pansharp neutron_exposure_ladder "
        "tid2013_partial live_partial agudelo_pansharp_partial"
    ),
    "blind": "koniq10k clive cid2013 mmp2k tmid espl_live_hdr ldctiqac2023 uid2021 saud mmp2k_partial",
    "pristine": (
        "kadis700k div2k bsds500 pool_natural pool_xray pool_underwater pool_medical_mri_ct pool_infrared "
        "pool_screen_content pool_industrial_el pool_remote_sensing pool_medical_ultrasound pool_medical_fundus_oct "
        "pool_hdr_tonemapped pool_neutron"
    ),
}
#: The label kind and whether larger is better, from the authors' papers; a wrong sign would look like a success.
POLARITY = {
    "live": ("dmos", False),
    "live_partial": ("dmos", False),
    "csiq": ("dmos", False),
    "siqad": ("dmos", False),
    "agudelo_pansharp": ("dmos", False),
    "agudelo_pansharp_partial": ("dmos", False),
    "tid2013": ("mos", True),
    "tid2013_partial": ("mos", True),
    "kadid10k": ("mos", True),
    "scid": ("mos", True),
    "pipal": ("elo", True),
    "koniq10k": ("mos", True),
    "clive": ("mos", True),
    "neutron_exposure_ladder": ("exposure", True),
}


# --- the table of the docs -------------------------------------------------------------------------------------------


def _images(entry: Dataset) -> str:
    if isinstance(entry, BundledDataset):
        return f"{len(entry.images)}"
    references, distorted = entry.counts.references, entry.counts.distorted
    if entry.kind == "full_reference" and references is not None and distorted is not None:
        return f"{references:,} + {distorted:,}"
    number = references if entry.kind == "pristine" else distorted
    return "see note" if number is None else f"{number:,}"


def _labels(entry: Dataset) -> str:
    if isinstance(entry, BundledDataset) or entry.labels is None:
        return "–"
    return f"{entry.labels.kind}, {'higher' if entry.labels.higher_is_better else 'lower'} is better"


def _licence(entry: Dataset) -> str:
    if isinstance(entry, BundledDataset):
        return "per image, see the registry"
    return entry.licence


def _how(entry: Dataset) -> str:
    if isinstance(entry, BundledDataset):
        return "bundled"
    assert isinstance(entry, DownloadedDataset)
    if all(archive.urls for archive in entry.archives):
        return "URL"
    if any("CAUSALIQA_MIRROR" in (archive.manual or "") for archive in entry.archives):
        return "mirror"
    return "by hand"


def dataset_table(registry: dict[str, Dataset]) -> str:
    """Return the Markdown table of docs/datasets.md."""
    lines = [
        "| name | what | kind | domain | images | labels | licence | comes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, entry in registry.items():
        cells = [
            f"`{name}`", entry.title, entry.kind.replace("_", " "), entry.domain,
            _images(entry), _labels(entry), _licence(entry), _how(entry),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_docs_hold_the_table_of_the_registry() -> None:
    # To renew it: python tests/unit/test_registry_entries.py
    text = DOCS.read_text(encoding="utf-8")
    assert dataset_table(REGISTRY) in text, "docs/datasets.md is stale: run python tests/unit/test_registry_entries.py"


def test_the_docs_name_every_dataset_with_its_domain_and_no_other() -> None:
    table = DOCS.read_text(encoding="utf-8").split("| name | what |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `([a-z0-9_]+)` \| [^|]+ \| [^|]+ \| ([a-z0-9_]+) \|", table, re.M)
    assert dict(rows) == {name: entry.domain for name, entry in REGISTRY.items()}
    assert len(rows) == len(REGISTRY)


# --- the entries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in WANTED for name in WANTED[kind].split()])
def test_dataset_is_registered_with_its_kind(kind: str, name: str) -> None:
    assert REGISTRY[name].kind == kind


def test_every_layout_has_a_reader() -> None:
    assert {entry.layout for entry in DOWNLOADED.values()} <= set(LAYOUTS)


@pytest.mark.parametrize("name", POLARITY)
def test_labels_point_the_right_way(name: str) -> None:
    labels = DOWNLOADED[name].labels
    assert labels is not None
    assert (labels.kind, labels.higher_is_better) == POLARITY[name]


def test_only_the_exposure_ladder_has_no_human_scores() -> None:
    inhuman = [name for name, entry in DOWNLOADED.items() if entry.labels is not None and not entry.labels.human]
    assert inhuman == ["neutron_exposure_ladder"]


@pytest.mark.parametrize(("name", "whole"), PARTIAL.items())
def test_partial_copies_say_so_and_are_read_as_the_whole_is(name: str, whole: str) -> None:
    part, full = DOWNLOADED[name], DOWNLOADED[whole]
    assert "partial" in part.title
    assert part.note.startswith("Partial:")
    assert "partial" not in full.title
    assert part.layout == full.layout
    assert part.domain == full.domain
    assert part.labels is not None
    assert full.labels is not None
    assert part.labels.higher_is_better == full.labels.higher_is_better
    assert part.psnr_srcc == full.psnr_srcc, "the published figures are those of the full set, shown beside"
    if part.counts.distorted is not None and full.counts.distorted is not None:
        assert part.counts.distorted < full.counts.distorted


def test_no_archive_of_a_partial_copy_serves_a_full_set() -> None:
    partial = {archive.name for name in PARTIAL for archive in DOWNLOADED[name].archives}
    whole = {archive.name for name, entry in DOWNLOADED.items() if name not in PARTIAL for archive in entry.archives}
    assert not partial & whole


def test_an_archive_name_means_one_file() -> None:
    known: dict[str, tuple[str | None, int | None]] = {}
    for entry in DOWNLOADED.values():
        for archive in entry.archives:
            seen = known.setdefault(archive.name.lower(), (archive.sha256, archive.size))
            assert seen == (archive.sha256, archive.size), archive.name


def test_addresses_are_web_addresses_and_named_once() -> None:
    for name, entry in REGISTRY.items():
        if isinstance(entry, DownloadedDataset):
            assert re.match(r"https?://[^ ]+$", entry.terms) or name.startswith("pool_"), name
            for archive in entry.archives:
                assert all(re.match(r"https?://[^ ]+$", url) for url in archive.urls), archive.name
                assert len(set(archive.urls)) == len(archive.urls), archive.name


def test_a_step_by_hand_is_one_line_and_names_the_file() -> None:
    # It ends up in an error message, which is one line.
    for entry in DOWNLOADED.values():
        for archive in entry.archives:
            if archive.manual is not None:
                assert "\n" not in archive.manual
                assert archive.name in archive.manual or "CAUSALIQA_MIRROR" in archive.manual


def test_an_archive_of_a_mirror_has_its_checksum_and_size() -> None:
    for entry in DOWNLOADED.values():
        for archive in entry.archives:
            if not archive.urls and "CAUSALIQA_MIRROR" in (archive.manual or ""):
                assert archive.sha256 is not None
                assert archive.size is not None


def test_every_entry_states_licence_and_citation() -> None:
    for name, entry in DOWNLOADED.items():
        assert entry.licence, name
        assert entry.citation or name.startswith("pool_"), name


def test_published_psnr_is_a_correlation_and_names_the_whole_set() -> None:
    for entry in DOWNLOADED.values():
        assert all(0 < value < 1 for value in entry.psnr_srcc.values())
        if entry.psnr_srcc:
            assert "all" in entry.psnr_srcc
    assert DOWNLOADED["tid2013"].psnr_srcc["all"] == pytest.approx(0.640, abs=5e-4)


def test_full_sets_have_the_published_numbers_of_images() -> None:
    found = {
        name: (DOWNLOADED[name].counts.references, DOWNLOADED[name].counts.distorted)
        for name in ("live", "csiq", "tid2013", "kadid10k", "pipal", "siqad", "scid")
    }
    assert found == {
        "live": (29, 779),
        "csiq": (30, 866),
        "tid2013": (25, 3000),
        "kadid10k": (81, 10125),
        "pipal": (200, 23200),
        "siqad": (20, 980),
        "scid": (40, 1800),
    }


def test_the_largest_pool_goes_into_packs() -> None:
    assert DOWNLOADED["kadis700k"].store == "shards"
    assert DOWNLOADED["kadis700k"].counts.references == 140_000


def test_a_mirror_s_archives_are_those_of_the_registry(test_data: Path) -> None:
    archives = test_data / "archives"
    if not archives.is_dir():
        pytest.skip("CAUSALIQA_TEST_DATA names a folder without archives/, a mirror")
    checked = 0
    for entry in DOWNLOADED.values():
        for archive in entry.archives:
            path = archives / archive.name
            if path.is_file() and archive.sha256 is not None:
                assert path.stat().st_size == archive.size, archive.name
                assert sha256_file(path) == archive.sha256, archive.name
                checked += 1
    assert checked


@pytest.mark.parametrize(
    "name", [name for name, entry in DOWNLOADED.items() if entry.archives[0].name.endswith(".tar")]
)
def test_a_mirror_s_copy_has_the_images_that_the_registry_counts(name: str, test_data: Path) -> None:
    entry = DOWNLOADED[name]
    what = entry.archives[0].name.removesuffix(".tar")
    folder = test_data / what.replace("labelled_", "labelled/").replace("pristine_", "pristine/")
    if not folder.is_dir():
        pytest.skip(f"CAUSALIQA_TEST_DATA holds no {folder.relative_to(test_data)}/")
    rows = list(read_layout(entry.layout, folder, entry.options))
    found = {
        "references": sum(row.distortion == REFERENCE for row in rows),
        "distorted": sum(row.distortion != REFERENCE for row in rows),
        "types": len({row.distortion for row in rows} - {REFERENCE}),
    }
    expected = {key: value for key, value in entry.counts.model_dump().items() if value is not None}
    assert expected == {key: found[key] for key in expected}
    assert all((folder / row.image).is_file() for row in rows)
    if entry.labels is not None and entry.labels.range is not None:
        lowest, highest = entry.labels.range
        assert all(lowest <= row.score <= highest for row in rows if row.score == row.score)


def test_the_docs_example_of_an_own_dataset_works(tmp_path: Path) -> None:
    text = DOCS.read_text(encoding="utf-8").split("## Your own images and scores")[1]
    entry_text, table = re.findall(r"```(?:yaml|text)\n(.*?)```", text, re.S)[:2]
    (tmp_path / "registry.yaml").write_text(entry_text, encoding="utf-8")
    ((name, entry),) = load_registry(tmp_path / "registry.yaml").items()
    assert isinstance(entry, LocalDataset)
    folder = tmp_path / name
    folder.mkdir()
    (folder / entry.options["table"]).write_text(table, encoding="utf-8")
    rows = list(read_layout(entry.layout, folder, entry.options))
    assert [row.image for row in rows if row.distortion == REFERENCE] == ["clean/gear.png", "clean/bolt.png"]
    assert [(row.image, row.reference, row.distortion, row.level, row.score) for row in rows[2:]] == [
        ("noisy/gear_1.png", "clean/gear", "noise", 1, 4.2),
        ("noisy/gear_3.png", "clean/gear", "noise", 3, 2.0),
        ("blurred/bolt_2.png", "clean/bolt", "blur", 2, 3.1),
    ]


def _renew() -> None:
    text = DOCS.read_text(encoding="utf-8")
    table = re.compile(r"^\| name \| what \|.*?(?=\n\n)", re.M | re.S)
    DOCS.write_text(table.sub(lambda _: dataset_table(REGISTRY), text, count=1), encoding="utf-8")


if __name__ == "__main__":
    _renew()
