"""Snakemake's lock after a kill: who holds it, and whether he is still there.

Snakemake locks the working folder with files that outlive a SIGKILL, and does not say who made them; the next run is
then refused until somebody calls ``snakemake --unlock``. Here a run leaves its name, so that the next one can tell a
dead holder from a live one.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

from causaliqa.io import write_json


def _started(pid: int) -> str | None:
    """Return when a process of this machine started, in the kernel's clock ticks; None if it does not run.

    The time tells a process from a later one that was given the same number.
    """
    try:
        # The second field, the program's name in parentheses, may hold blanks.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _owner_file(folder: Path) -> Path:
    return Path(folder) / ".snakemake" / "causaliqa-owner.json"


def claim(folder: Path) -> None:
    """Note this process as the holder of the folder's lock."""
    write_json(_owner_file(folder), {"host": platform.node(), "pid": os.getpid(), "started": _started(os.getpid())})


def release_if_dead(folder: Path) -> bool:
    """Remove the lock of a folder if its holder ran on this machine and does so no more; return whether it was removed.

    A lock whose holder is unknown, alive or on another machine stays.
    """
    locks = sorted((Path(folder) / ".snakemake" / "locks").glob("*.lock"))
    owner = _owner_file(folder)
    if not locks or not owner.is_file() or not Path("/proc/self/stat").exists():
        return False
    try:
        said = json.loads(owner.read_text(encoding="utf-8"))
        host, pid, started = said["host"], int(said["pid"]), said["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if host != platform.node() or _started(pid) == started:
        return False
    # The note may be older than the lock: then a run without a note holds it.
    if any(lock.stat().st_mtime > owner.stat().st_mtime for lock in locks):
        return False
    for lock in locks:
        lock.unlink(missing_ok=True)
    owner.unlink(missing_ok=True)
    return True
