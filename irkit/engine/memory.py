"""Give freed memory back to the system while large batches come and go.

The C library of most Linux systems keeps what was freed in pools per thread and raises, by itself,
the size from which it asks the system directly; with blocks of several megabytes handed from thread
to thread the process then holds more than twice what is in use.  Fixed thresholds stop that.

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


def return_freed_memory() -> bool:
    """Make the C library return large freed blocks at once; True where it has such a setting.

    It holds for the whole process and may be called again.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    done = [mallopt(_MMAP_THRESHOLD, _LARGE), mallopt(_TRIM_THRESHOLD, _KEPT)]
    return all(done)
