"""What is done with measurements: shown, and kept."""

from __future__ import annotations

import csv
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path


def show(rows: Sequence[Mapping[str, object]], rounds: int) -> None:
    """Print measurements in columns, and what they were made with."""
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]}
    for row in rows:
        print("  ".join(str(row[name]).ljust(width) for name, width in widths.items()))
    print(f"Python {platform.python_version()}, {rounds} rounds, one thread")


def write(rows: Sequence[Mapping[str, object]], path: Path | None) -> None:
    """Write measurements as CSV; no path, no file."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
