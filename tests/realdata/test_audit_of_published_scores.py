"""The audit of published scores, as the pipeline runs it, against what is known of them."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from causaliqa.config import Audit
from causaliqa.evaluate.audit_stage import run
from causaliqa.report import protocols

LIVE_FILES = ("dmos_realigned.mat", "refnames_all.mat")


def live_labels() -> Path:
    """Folder with LIVE's labels: that of CAUSALIQA_TEST_LABELS, or live/ of CAUSALIQA_TEST_DATA, or skip."""
    folders = [Path(os.environ.get("CAUSALIQA_TEST_LABELS", "") or "/nowhere")]
    folders += [folders[0] / "live", Path(os.environ.get("CAUSALIQA_TEST_DATA", "") or "/nowhere") / "live"]
    for folder in folders:
        if all((folder / name).is_file() for name in LIVE_FILES):
            return folder
    pytest.skip(f"neither CAUSALIQA_TEST_LABELS nor live/ of CAUSALIQA_TEST_DATA holds {' and '.join(LIVE_FILES)}")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> protocols.Audited:
    scores = os.environ.get("CAUSALIQA_TEST_SCORES", "")
    if not scores:
        pytest.skip("CAUSALIQA_TEST_SCORES is not set: it names the folder of live.csv, csiq.csv, tid2013.csv, ...")
    out = tmp_path_factory.mktemp("audit") / "audit"
    run(Audit(scores=scores, live_labels=str(live_labels()), bootstrap=100), out)
    return protocols.load(out)


@pytest.mark.parametrize(
    ("protocol", "test", "digits", "expected"),
    [
        ("live_982_old", "srcc", 4, 0.9625),
        ("live_779_old", "srcc", 4, 0.9255),
        ("live_779_realigned", "srcc", 4, 0.9567),
        ("tid2013", "srcc", 4, 0.8806),
        ("tid2013", "plcc_5p", 4, 0.9022),
        ("kadid10k", "srcc", 4, 0.9016),
        ("pipal", "srcc", 3, 0.633),
    ],
)
def test_one_method_under_each_protocol(
    audited: protocols.Audited, protocol: str, test: str, digits: int, expected: float
) -> None:
    rows = audited.values
    chosen = rows[(rows["protocol"] == protocol) & (rows["test"] == test) & (rows["method"] == "DeepWSD_VGG")]
    assert round(float(chosen["value"].iloc[0]), digits) == expected


def test_the_best_of_twelve_on_live_hangs_on_the_labels(audited: protocols.Audited) -> None:
    best = audited.best[audited.best["test"] == "srcc"].set_index("protocol")["best"]
    assert best["live_982_old"] == best["live_779_old"] == "DeepKLD_VGG"
    assert best["live_779_realigned"] == "DeepJSD_MobileNet"
    said = protocols.best_text(audited).splitlines()[0]
    assert "another method is best under another protocol" in said
    assert "Under live_779_realigned DeepKLD_VGG is number 7 (.9558)." in said
    assert "Between live_982_old and live_779_old 0 of 66 pairs swap order." in said
    assert "Between live_982_old and live_779_realigned 32 of 66 pairs swap order." in said


def test_what_the_page_says_of_fits_and_intervals(audited: protocols.Audited) -> None:
    said = protocols.fit_text(audited)
    assert "The fit adds the most to DeepWSD_MobileNet under kadid10k: from .3914 to .8906." in said
    kadid = audited.values[(audited.values["protocol"] == "kadid10k") & (audited.values["test"].str.startswith("plcc"))]
    one = kadid[kadid["method"] == "DeepWSD_EfficientNet"].set_index("test")["value"]
    assert (round(one["plcc_raw"], 3), round(one["plcc_5p"], 3)) == (0.482, 0.901)
    ratio = audited.widths[audited.widths["test"] == "srcc"].set_index("protocol")["ratio"]
    # References of few images each, or of all types in equal numbers, need no wider intervals; many contents do.
    assert ratio[["csiq_750", "tid2013", "tid2013_24", "kadid10k", "pipal"]].min() > 1.3
    assert ratio["live_982_old"] < 1.1


def test_the_published_files_hold_csiq_without_contrast_only(audited: protocols.Audited) -> None:
    assert "`csiq_866` is left out" in protocols.left_out_text(audited)
    counts = pd.DataFrame(audited.run["protocols"]).set_index("protocol")[["images", "references"]]
    assert counts.loc["csiq_750"].tolist() == [750, 30]
    assert counts.loc["tid2013_24"].tolist() == [2880, 24]
