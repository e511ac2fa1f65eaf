"""Work spread over processes with bounded memory, results in the order of the items."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from causaliqa.errors import CausalIQAError

T = TypeVar("T")
R = TypeVar("R")
#: Items that one task holds: large enough that handing it over costs little.
_CHUNK = 16


def _apply(function: Callable[[T], R], items: list[T]) -> list[R]:
    return [function(item) for item in items]


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], jobs: int, chunk: int = _CHUNK
) -> Generator[R, None, None]:
    """Yield ``function(item)`` for each item, in order; `items` is read only a few tasks ahead.

    Parameters
    ----------
    function : importable (a module's own), as it is sent to other processes.
    jobs : processes; 1 works in this one. The results do not depend on it.
    chunk : items that are handed over, and come back, together.

    Raises
    ------
    CausalIQAError
        If a process was killed. What `function` raises is raised here.
    """
    if jobs <= 1:
        yield from map(function, items)
        return
    source = iter(items)
    # Spawned, not forked: the parent may hold threads.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting: deque[Future[list[R]]] = deque()
        try:
            while True:
                while len(waiting) < 3 * jobs and (taken := list(itertools.islice(source, chunk))):
                    waiting.append(pool.submit(_apply, function, taken))
                if not waiting:
                    return
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            raise CausalIQAError("a process was killed, most likely for want of memory; use fewer --jobs") from None
        finally:
            pool.shutdown(cancel_futures=True)
