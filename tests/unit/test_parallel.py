"""Work spread over processes: order, bounded look-ahead, errors."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from causaliqa.errors import CausalIQAError, DataError
from causaliqa.parallel import ordered_map


def double(value: int) -> int:
    return 2 * value


def process(_: int) -> int:
    return os.getpid()


def refuse(value: int) -> int:
    if value == 40:
        raise DataError("item 40 is bad")
    return value


def die(value: int) -> int:
    if value == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_results_come_in_the_order_of_the_items(jobs: int) -> None:
    assert list(ordered_map(double, range(101), jobs)) == [2 * n for n in range(101)]
    assert list(ordered_map(double, [], jobs)) == []


def test_other_processes_do_the_work() -> None:
    found = set(ordered_map(process, range(40), 2))
    assert os.getpid() not in found
    assert 1 <= len(found) <= 2
    assert set(ordered_map(process, range(3), 1)) == {os.getpid()}


@pytest.mark.parametrize(("jobs", "ahead"), [(1, 1), (2, 2 * 3 * 16)])
def test_items_are_read_only_a_little_ahead(jobs: int, ahead: int) -> None:
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    results = ordered_map(double, endless(), jobs)
    assert [next(results) for _ in range(5)] == [2, 4, 6, 8, 10]
    assert read <= ahead + 5 + 16
    results.close()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_the_function_is_raised_here(jobs: int) -> None:
    results = ordered_map(refuse, range(1000), jobs)
    with pytest.raises(DataError, match="item 40 is bad"):
        list(results)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_the_items_is_raised_here(jobs: int) -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise DataError("the list is torn")

    with pytest.raises(DataError, match="the list is torn"):
        list(ordered_map(double, items(), jobs))


def test_a_killed_process_is_explained() -> None:
    with pytest.raises(CausalIQAError, match="a process was killed, most likely for want of memory; use fewer --jobs"):
        list(ordered_map(die, range(100), 2))
