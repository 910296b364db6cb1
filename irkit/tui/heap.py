"""The garbage collector, kept from pausing the screens while a person presses keys.

Every drawn line leaves objects that hold each other (a strip of Textual's and its caches), so
Python's own full collections have a quarter of a million of them to free after a hundred keys: a
third of a second, in the middle of a key.  So what stands is set aside (``gc.freeze``), which makes
each collection walk only what came since, and small collections are done as soon as a hand rests.
Whatever is in no cycle is freed at once all the same.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

#: Seconds without a key or a click after which what the keys left is collected, and after which
#: what was set aside is looked through too; what dies among it stays until then.
BREATH, LONG_PAUSE = 0.1, 4.0
#: Collections of the middle generation, some seven thousand new objects each, that make a full one
#: worth the while.
WORTH = 2
#: Objects left by a collection that are set aside: walking them takes ten milliseconds.
ENOUGH = 20_000
#: Objects set aside (a hundred megabytes, if all were dead) after which the next pause of so many
#: seconds does for a long one.
MANY, SHORT_PAUSE = 400_000, 0.5


class Heap:
    """Sets aside what stands, and collects in the pauses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._touched = clock()
        self._begun = False
        self._set_aside = 0

    def begin(self) -> None:
        """Set aside what the first screen was built from."""
        self._begun = True
        gc.freeze()

    def touched(self) -> None:
        """Remember that a person did something."""
        self._touched = self._clock()

    @property
    def idle(self) -> float:
        """Seconds since a person did something."""
        return self._clock() - self._touched

    def pause(self) -> bool:
        """Collect where nobody has done anything for a while; True where it was worth it."""
        idle = self.idle
        if not self._begun or idle < BREATH:
            return False
        long = LONG_PAUSE if self._set_aside <= MANY else SHORT_PAUSE
        if self._set_aside and idle >= long:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._set_aside = 0
            return True
        if gc.get_count()[2] < WORTH:
            return False
        gc.collect()
        left = len(gc.get_objects())
        if left > ENOUGH:
            gc.freeze()
            self._set_aside += left
        return True

    def end(self) -> None:
        """Leave everything to Python's own ways again."""
        if self._begun:
            self._begun = False
            gc.unfreeze()
