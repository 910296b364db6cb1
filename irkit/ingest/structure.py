"""Find where JSON values begin and end in raw bytes, without parsing them (vectorised).

Used for logs that are one big array, pretty-printed or concatenated objects, and for splitting a
damaged line into what is still whole.  Only quotes, backslashes and brackets matter, so the work is
done on their positions; everything else is skipped by one table look-up.  The bytes are walked in
pieces with carried state, so that memory stays bounded whatever they hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

_QUOTE, _SLASH, _OPEN, _CLOSE = 1, 2, 3, 4
_TABLE = np.zeros(256, np.uint8)
_TABLE[ord('"')] = _QUOTE
_TABLE[ord("\\")] = _SLASH
_TABLE[[ord("{"), ord("[")]] = _OPEN
_TABLE[[ord("}"), ord("]")]] = _CLOSE

_STEP = 1 << 20


@dataclass(slots=True)
class Scanner:
    """Walks JSON bytes and notes the outermost bracketed values.

    Attributes:
        opens: positions of brackets that open an outermost value, over all bytes fed.
        closes: positions of brackets that close one.
        broken_at: position of the first closing bracket that closes nothing, or -1; walking stops
            there.
        depth: nesting reached so far.
        deepest: greatest nesting seen.
        in_string: the bytes fed so far end inside a string.
        fed: number of bytes walked.
    """

    opens: list[int] = field(default_factory=list)
    closes: list[int] = field(default_factory=list)
    broken_at: int = -1
    depth: int = 0
    deepest: int = 0
    in_string: bool = False
    fed: int = 0
    _slashes: int = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Walk more bytes."""
        buffer = np.frombuffer(data, np.uint8)
        for at in range(0, len(buffer), _STEP):
            if self.broken_at >= 0:
                return
            self._step(buffer[at : at + _STEP])

    def _step(self, buffer: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        code = _TABLE[buffer]
        at = np.flatnonzero(code)
        kind = code[at]
        quotes = kind == _QUOTE
        slashes = kind == _SLASH
        adjacent = np.empty(len(at), bool)
        if len(at):
            adjacent[0] = False
            adjacent[1:] = np.diff(at) == 1
        if slashes.any() or self._slashes:
            # A quote after an odd number of backslashes does not end a string (RFC 8259, 7).
            joined = slashes.copy()
            joined[1:] &= slashes[:-1] & adjacent[1:]
            joined[:1] = False
            index = np.arange(len(at))
            start = np.maximum.accumulate(np.where(slashes & ~joined, index, 0))
            run = np.where(slashes, index - start + 1, 0)
            before = np.zeros(len(at), np.int64)
            before[1:] = np.where(adjacent[1:], run[:-1], 0)
            if len(at) and at[0] == 0:
                before[0] = self._slashes
                run = run + np.where(slashes & (start == 0), self._slashes, 0)
                before[1:] = np.where(adjacent[1:], run[:-1], 0)
            quotes &= before % 2 == 0
            ends_open = len(at) > 0 and at[-1] == len(buffer) - 1 and bool(slashes[-1])
            self._slashes = int(run[-1] % 2) if ends_open else 0
        inside = (np.cumsum(quotes) + self.in_string) % 2 == 1
        bracket = ~inside & (kind >= _OPEN)
        kept, place = kind[bracket], at[bracket]
        opening = kept == _OPEN
        depth = np.cumsum(np.where(opening, 1, -1)) + self.depth
        negative = np.flatnonzero(depth < 0)
        if len(negative):
            first = int(negative[0])
            self.broken_at = self.fed + int(place[first])
            kept, place, opening, depth = (a[:first] for a in (kept, place, opening, depth))
        self.opens.extend((place[opening & (depth == 1)] + self.fed).tolist())
        self.closes.extend((place[~opening & (depth == 0)] + self.fed).tolist())
        self.deepest = max(self.deepest, int(depth.max(initial=0)))
        if len(depth):
            self.depth = int(depth[-1])
        if len(inside):
            self.in_string = bool(inside[-1])
        self.fed += len(buffer)


def nesting(data: bytes | bytearray | memoryview) -> int:
    """Return the greatest bracket depth of JSON bytes."""
    scanner = Scanner()
    scanner.feed(data)
    return scanner.deepest
