from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.engine.local import ordered_map


@given(st.lists(st.integers(), max_size=40), st.integers(1, 4))
def test_results_come_in_input_order(items, workers):
    assert list(ordered_map(lambda x: x * 2, items, workers)) == [x * 2 for x in items]


def test_work_in_flight_is_bounded():
    read: list[int] = []

    def source():
        for n in range(100):
            read.append(n)
            yield n

    results = ordered_map(lambda x: x, source(), 2)
    assert next(results) == 0
    assert len(read) <= 3
    results.close()
    assert len(read) <= 4


def test_an_error_stands_in_the_place_of_its_result():
    def work(x: int) -> int:
        if x == 3:
            raise ValueError("three")
        return x

    results = ordered_map(work, range(10), 3)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_batches_really_run_beside_each_other():
    both = threading.Barrier(2, timeout=10)
    assert list(ordered_map(lambda x: both.wait() >= 0 and x, [1, 2], 2)) == [1, 2]
