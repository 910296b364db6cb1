"""Gather the pieces of a stream into one block of memory, copied once.

A block of many megabytes comes fresh from the system every time, and touching it for the first time
costs as much, page by page, as parsing it.  Large pages, where the system has them, take that away.

Source: madvise(2), MADV_HUGEPAGE.
"""

from __future__ import annotations

import mmap

#: Less than this is joined as it is.
_SMALL = 1 << 20
_SPARE = 1 << 20
_PRIVATE = hasattr(mmap, "MAP_PRIVATE") and hasattr(mmap, "MAP_ANONYMOUS")


class Gathered:
    """Bytes of a stream that were not handed on yet.

    Args:
        expected: bytes that are usually gathered.

    Attributes:
        size: bytes held.
        open: bytes held since the last line feed.
    """

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._pieces: list[bytes] = []
        self._room: mmap.mmap | None = None
        self.size = self.open = 0

    def add(self, piece: bytes) -> None:
        """Append bytes."""
        last = piece.rfind(b"\n")
        self.open = self.open + len(piece) if last < 0 else len(piece) - last - 1
        end = self.size + len(piece)
        if self._room is None and end < _SMALL:
            self._pieces.append(piece)
        else:
            room = self._roomy(end)
            room[self.size : end] = piece
        self.size = end

    def take(self) -> tuple[memoryview, bytes]:
        """Return the whole lines, and what follows them; nothing is held then."""
        cut = self.size - self.open
        held = self.all()
        return held[:cut], bytes(held[cut:])

    def all(self) -> memoryview:
        """Return everything; nothing is held then."""
        room, size = self._room, self.size
        held = memoryview(b"".join(self._pieces) if room is None else room)[:size]
        self._pieces, self._room, self.size, self.open = [], None, 0, 0
        return held

    def _roomy(self, end: int) -> mmap.mmap:
        """Return memory for ``end`` bytes that begins with the bytes held."""
        old = self._room
        if old is not None and end <= len(old):
            return old
        most = max(self._expected + _SPARE, end, 2 * len(old) if old is not None else 0)
        # Private, because shared memory gets no large pages on most systems.
        private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if _PRIVATE else {}
        room = mmap.mmap(-1, most, **private)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            try:
                room.madvise(mmap.MADV_HUGEPAGE)
            except OSError:
                pass  # A system built without large pages; ordinary ones do.
        at = 0
        for piece in self._pieces if old is None else [memoryview(old)[: self.size]]:
            room[at : at + len(piece)] = piece
            at += len(piece)
        self._pieces, self._room = [], room
        return room
