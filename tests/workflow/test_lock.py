"""A killed run's lock goes, a living one's stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from causaliqa.workflow.lock import claim, release_if_dead

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to tell who is alive")


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    for name in ("0.input.lock", "0.output.lock"):
        (locks / name).write_text("x")
        os.utime(locks / name, (1, 1))
    return tmp_path


def locks(folder: Path) -> int:
    return len(list((folder / ".snakemake" / "locks").iterdir()))


def test_the_lock_of_a_living_run_stays(locked: Path) -> None:
    claim(locked)
    assert not release_if_dead(locked)
    assert locks(locked) == 2


def test_the_lock_of_a_dead_run_goes(locked: Path) -> None:
    code = f"from causaliqa.workflow.lock import claim; claim({str(locked)!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert release_if_dead(locked)
    assert locks(locked) == 0
    assert not release_if_dead(locked)


def test_what_is_not_known_to_be_dead_stays(locked: Path) -> None:
    assert not release_if_dead(locked)  # Nobody claimed it.
    claim(locked)
    note = locked / ".snakemake" / "causaliqa-owner.json"
    said = json.loads(note.read_text())
    note.write_text(json.dumps({**said, "host": "elsewhere", "pid": 2**22 + 1}))
    assert not release_if_dead(locked)  # Another machine's process cannot be seen from here.
    note.write_text("{")
    assert not release_if_dead(locked)
    note.write_text(json.dumps({**said, "pid": 2**22 + 1}))
    newer = locked / ".snakemake" / "locks" / "1.input.lock"
    newer.write_text("x")
    os.utime(note, (2, 2))
    assert not release_if_dead(locked)  # The note is older than the lock: it speaks of an earlier run.
    newer.unlink()
    assert release_if_dead(locked)


def test_a_number_given_to_a_new_process_is_not_the_old_one(locked: Path) -> None:
    claim(locked)
    note = locked / ".snakemake" / "causaliqa-owner.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "started": "1"}))
    assert release_if_dead(locked)
