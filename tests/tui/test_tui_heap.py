"""Garbage is collected in the pauses, and everything is left as it was."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from irkit.tui import heap
from irkit.tui.heap import BREATH, LONG_PAUSE, SHORT_PAUSE, Heap


class Knot:
    """An object that only a collection frees."""

    def __init__(self) -> None:
        self.me = self


class Tried:
    """A heap with a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.heap = Heap(lambda: self.now)

    def pause(self, seconds: float) -> bool:
        """Let time pass after a key; True where something was collected."""
        self.heap.touched()
        self.now += seconds + 1e-6
        return self.heap.pause()


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tried]:
    """A heap that has begun and sets aside a few hundred objects; all is given back at the end."""
    monkeypatch.setattr(heap, "ENOUGH", 500)
    one = Tried()
    worth_it()
    assert not one.pause(LONG_PAUSE), "not begun"
    gc.collect()
    one.heap.begin()
    yield one
    one.heap.end()
    assert gc.get_freeze_count() < 500


def knot() -> weakref.ref[Knot]:
    """Leave garbage that has outlived the small collections."""
    one = Knot()
    gc.collect(1)
    gone = weakref.ref(one)
    del one
    worth_it()
    assert gone() is not None
    return gone


def worth_it() -> None:
    """Let enough collections of the middle generation pass."""
    for _ in range(6):
        gc.collect(1)


def set_aside(tried: Tried) -> weakref.ref[Knot]:
    """Leave garbage that was set aside while it was in use."""
    used = [Knot() for _ in range(1000)]
    before, gone = gc.get_freeze_count(), weakref.ref(used[0])
    worth_it()
    assert tried.pause(BREATH)
    assert gc.get_freeze_count() >= before + len(used)
    del used
    worth_it()
    assert tried.pause(BREATH)
    assert gone() is not None
    return gone


def test_collects_as_soon_as_the_hand_rests(tried: Tried) -> None:
    gone = knot()
    assert not tried.pause(BREATH / 2), "a person is at work"
    assert gone() is not None
    before = gc.get_freeze_count()
    assert tried.pause(BREATH)
    assert gone() is None
    assert gc.get_freeze_count() <= before, "so little is not set aside"
    assert not tried.pause(BREATH), "nothing new since"


def test_a_long_pause_frees_what_had_been_set_aside(tried: Tried) -> None:
    gone = set_aside(tried)
    # No key since, and next to nothing new: the long pause comes all the same, once.
    tried.now += LONG_PAUSE
    assert tried.heap.pause()
    assert gone() is None
    gc.collect()
    assert not tried.heap.pause()


def test_where_much_was_set_aside_a_short_pause_does(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = set_aside(tried)
    gc.collect()
    assert not tried.pause(SHORT_PAUSE)
    monkeypatch.setattr(heap, "MANY", 500)
    assert tried.pause(SHORT_PAUSE)
    assert gone() is None
