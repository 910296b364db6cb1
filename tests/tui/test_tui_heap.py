"""Garbage is collected in the pauses, and everything is left as it was."""

from __future__ import annotations

import gc
import weakref

from irkit.tui.heap import LONG_PAUSE, SELDOM, SHORT_PAUSE, Heap


class Knot:
    """An object that only a collection frees."""

    def __init__(self) -> None:
        self.me = self


def worth_it() -> None:
    """Let enough collections of the middle generation pass."""
    for _ in range(6):
        gc.collect(1)


def test_collects_in_a_pause_only() -> None:
    now = [100.0]
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    heap = Heap(lambda: now[0])
    assert not heap.pause(), "not begun"
    heap.begin()
    try:
        assert gc.get_threshold()[2] == SELDOM
        heap.touched()
        knot = Knot()
        gc.collect(1)
        gone = weakref.ref(knot)
        del knot
        worth_it()
        assert not heap.pause(), "a person is at work"
        now[0] += SHORT_PAUSE
        assert heap.pause()
        assert gone() is None
        assert not heap.pause(), "nothing new since"
    finally:
        heap.end()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() <= frozen


def test_a_long_pause_frees_what_had_been_set_aside() -> None:
    now = [0.0]
    knot = Knot()
    gone = weakref.ref(knot)
    heap = Heap(lambda: now[0])
    heap.begin()
    try:
        del knot
        worth_it()
        now[0] += SHORT_PAUSE
        heap.pause()
        assert gone() is not None, "set aside"
        worth_it()
        now[0] += LONG_PAUSE
        assert heap.pause()
        assert gone() is None
    finally:
        heap.end()
