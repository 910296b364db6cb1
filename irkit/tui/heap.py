"""The garbage collector, kept from pausing the screens while a person presses keys.

A full collection walks everything that modules, widgets and pages read ahead have built up: a tenth
of a second and more, in the middle of a key.  So what stands is set aside (``gc.freeze``), full
collections come seldom by themselves, and one is done when nobody has touched anything for a while.
Whatever is in no cycle is freed at once all the same.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

#: Seconds without a key or a click after which what came since is looked through, and everything.
SHORT_PAUSE, LONG_PAUSE = 0.5, 4.0
#: Collections of the middle generation before Python does a full one by itself; its own is 10.
SELDOM = 60
#: Collections of the middle generation that make a full one worth the while.
WORTH = 4


class Heap:
    """Sets aside what stands, and collects in the pauses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._touched = clock()
        self._before: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """Set aside what the first screen was built from."""
        if self._before is None:
            self._before = gc.get_threshold()
            gc.set_threshold(*self._before[:2], SELDOM)
        gc.freeze()

    def touched(self) -> None:
        """Remember that a person did something."""
        self._touched = self._clock()

    def pause(self) -> bool:
        """Collect where nobody has done anything for a while; True where it was worth it."""
        idle = self._clock() - self._touched
        if self._before is None or idle < SHORT_PAUSE or gc.get_count()[2] < WORTH:
            return False
        if idle >= LONG_PAUSE:
            # What was set aside and is no longer needed would otherwise stay for good.
            gc.unfreeze()
        gc.collect()
        if idle >= LONG_PAUSE:
            gc.freeze()
        return True

    def end(self) -> None:
        """Leave everything to Python's own ways again."""
        if self._before is not None:
            gc.set_threshold(*self._before)
            self._before = None
            gc.unfreeze()
