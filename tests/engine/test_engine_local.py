from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.engine.local import OrderedMap, ordered_map, read_ahead


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


class _Worker:
    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.calls: list[str] = []

    def interrupt(self) -> None:
        self.calls.append("interrupt")

    def close(self) -> None:
        self.calls.append("close")


def test_each_thread_keeps_its_worker_until_the_map_is_closed():
    made: list[_Worker] = []

    def make() -> _Worker:
        made.append(_Worker())
        return made[-1]

    mapper: OrderedMap[int, bool] = OrderedMap(
        make, lambda worker, _: worker.thread == threading.get_ident(), 2
    )
    assert list(mapper(range(20))) == [(number, True) for number in range(20)]
    mapper.close()
    assert 1 <= len(made) <= 2
    assert all(worker.calls == ["interrupt", "close"] for worker in made)


def test_a_worker_is_built_before_the_first_item():
    built = threading.Event()
    mapper: OrderedMap[int, bool] = OrderedMap(built.set, lambda _, item: True, 1)
    mapper.prepare()
    assert built.wait(10)
    assert list(mapper([1])) == [(1, True)]
    mapper.close()


def test_a_worker_that_cannot_be_built_is_told_with_the_first_item():
    def make() -> object:
        raise ValueError("no worker")

    mapper: OrderedMap[int, bool] = OrderedMap(make, lambda _, item: True, 1)
    mapper.prepare()
    with pytest.raises(ValueError, match="no worker"):
        list(mapper([1]))
    mapper.close()


def test_reading_ahead_is_bounded_and_stops_with_its_reader():
    read: list[int] = []

    def source():
        for number in range(1000):
            read.append(number)
            yield number

    ahead = read_ahead(source(), 2)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    ahead.close()
    # Three taken, two in the box, one waiting to be put, one more being made.
    assert len(read) <= 7
    assert not [t for t in threading.enumerate() if t.name == "read-ahead"]


def test_an_error_while_reading_ahead_reaches_the_reader():
    def source():
        yield 1
        raise ValueError("two")

    ahead = read_ahead(source(), 1)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="two"):
        next(ahead)
