"""Progress of long work, on stderr: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

#: Seconds between two lines in a log file.
_LOG_INTERVAL = 15.0


def progress(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """Return a tqdm bar over `items` (or one to be updated by hand); options are tqdm's (total, desc, unit, ...)."""
    if sys.stderr.isatty():
        return tqdm(items, dynamic_ncols=True, **options)
    return tqdm(items, ascii=True, ncols=100, mininterval=_LOG_INTERVAL, maxinterval=_LOG_INTERVAL, **options)
