"""What the C library does with freed memory: give it back, or keep it for the next array.

The C library of most Linux systems keeps what was freed in pools per thread and raises, by itself,
the size from which it asks the system directly; with blocks of several megabytes handed from thread
to thread the process then holds more than twice what is in use.  Fixed thresholds stop that while
logs are read.  Numeric stages make and drop arrays of a few megabytes all the time; there every
array that comes from the system anew costs more time for its pages than the arithmetic on it.

Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD ("setting any of these disables the
dynamic adjustment").
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: Blocks from this size on are taken from the system one by one, and go back when freed.
_LARGE = 1 << 20
#: Free memory kept at the top of a pool.
_KEPT = 32 << 20
#: The same two for numeric stages.  The first is the most that the C library takes on 64-bit
#: systems (half a pool); arrays over all records of a large case go back when freed even so.
_ARRAY, _KEPT_ARRAYS = 32 << 20, 64 << 20


def return_freed_memory() -> bool:
    """Make the C library return large freed blocks at once; True where it has such a setting.

    It holds for the whole process and may be called again.
    """
    return _set(_LARGE, _KEPT)


def keep_freed_memory() -> bool:
    """Make the C library keep freed arrays for the next ones; True where it has such a setting.

    It holds for the whole process, until :func:`return_freed_memory` is called.
    """
    return _set(_ARRAY, _KEPT_ARRAYS)


def _set(large: int, kept: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    done = [mallopt(_MMAP_THRESHOLD, large), mallopt(_TRIM_THRESHOLD, kept)]
    return all(done)
