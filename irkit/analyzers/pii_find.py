"""Find identifiers in any number of texts at the speed of a scan.

Array arithmetic over the texts' bytes tells where anything can be: digits close together, an @,
runs that mix letters and digits.  Only the pieces around such places are searched with regular
expressions, joined to one string, so that the cost is per place and not per text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import polars as pl

from irkit.analyzers.corpus_index import Characters
from irkit.analyzers.corpus_tokens import I64, U8
from irkit.analyzers.pii_patterns import SEARCHES, WALL, Search

SCHEMA = {
    "text": pl.Int64, "e_start": pl.Int64, "e_end": pl.Int64, "entity_type": pl.String,
    "recogniser": pl.String, "score": pl.Float64, "canonical": pl.String,
}  # fmt: skip

#: Bytes searched at once.
_CHUNK = 6 << 20
#: What a byte is, as bits, in one table for ``bytes.translate``.
_DIGIT, _LETTER, _BLANK, _CUT, _AT, _DOT, _COLON = (1 << bit for bit in range(7))


def _kinds() -> bytes:
    kinds = bytearray(256)
    for byte in range(256):
        char = chr(byte)
        if "0" <= char <= "9":
            kinds[byte] |= _DIGIT
        elif char.isascii() and char.isalpha():
            kinds[byte] |= _LETTER
        elif char in "\0\t\n\v\f\r ":
            # Ends a word, and a run of a secret's characters.
            kinds[byte] |= _BLANK | _CUT
        elif char in "\"'`,;<>()[]{}":
            kinds[byte] |= _CUT
        elif char in "@.:":
            kinds[byte] |= {"@": _AT, ".": _DOT, ":": _COLON}[char]
    return bytes(kinds)


_KINDS = _kinds()


def find_identifiers(texts: Sequence[str]) -> pl.DataFrame:
    """Find validated identifiers.

    Args:
        texts: any strings.

    Returns:
        Rows of :data:`SCHEMA`, ordered, without overlaps; ``text`` is the index in ``texts``,
        offsets are in characters, ``canonical`` is the value in the one form in which it is
        compared.
    """
    rows: list[tuple[object, ...]] = []
    begin, size = 0, 0
    for index, text in enumerate(texts):
        size += len(text)
        if size >= _CHUNK or index == len(texts) - 1:
            rows += _in_chunk(texts[begin : index + 1], begin)
            begin, size = index + 1, 0
    return _resolve(pl.DataFrame(rows, SCHEMA, orient="row"))


@dataclass(frozen=True, slots=True)
class _Chunk:
    raw: bytes
    kinds: U8
    bounds: I64
    blanks: I64
    characters: Characters


def _in_chunk(texts: Sequence[str], first: int) -> list[tuple[object, ...]]:
    encoded = [text.encode("utf-8", "replace") for text in texts]
    raw = b"\0".join(encoded)
    bounds = np.fromiter(
        accumulate((len(piece) + 1 for piece in encoded), initial=0), np.int64, len(encoded) + 1
    )
    kinds = np.frombuffer(raw.translate(_KINDS), np.uint8)
    chunk = _Chunk(raw, kinds, bounds, np.flatnonzero((kinds & _BLANK) != 0), Characters(raw))
    rows: list[tuple[object, ...]] = []
    for name, searches in SEARCHES.items():
        begin, end, margin = _PLACES[name](chunk)
        if not len(begin):
            continue
        text, offset, pieces = _segments(chunk, begin, end, margin)
        series = pl.Series(pieces, dtype=pl.String)
        for search, needs in searches:
            able: Sequence[int] = range(len(pieces))
            if needs:
                able = series.str.contains(needs).arg_true().to_list()
            rows += _searched(first, text, offset, pieces, able, search)
    return rows


def _searched(
    first: int,
    text: Sequence[int],
    offset: Sequence[int],
    pieces: Sequence[str],
    able: Sequence[int],
    search: Search,
) -> Iterator[tuple[object, ...]]:
    """Search pieces as one string and say where in which text the hits lie."""
    starts = list(accumulate((len(pieces[i]) + 1 for i in able), initial=0))
    for hit in search(WALL.join(pieces[i] for i in able)):
        at = bisect_right(starts, hit.start) - 1
        move = offset[able[at]] - starts[at]
        yield (
            first + text[able[at]],
            hit.start + move,
            hit.end + move,
            hit.entity,
            hit.recogniser,
            hit.score,
            hit.canonical,
        )


def _segments(
    chunk: _Chunk, begin: I64, end: I64, margin: tuple[int, int]
) -> tuple[list[int], list[int], list[str]]:
    """Widen places to whole words, merge them, and cut them out.

    Returns:
        For each piece: the text it lies in, its character offset there, and the piece.
    """
    text = np.searchsorted(chunk.bounds, begin, "right") - 1
    low = np.maximum(begin - margin[0], chunk.bounds[text])
    high = np.minimum(end + margin[1], chunk.bounds[text + 1] - 1)
    if len(chunk.blanks):
        before = np.searchsorted(chunk.blanks, low) - 1
        word = np.where(before >= 0, chunk.blanks[np.maximum(before, 0)] + 1, 0)
        low = np.where(low - word < 200, np.maximum(word, chunk.bounds[text]), low)
        after = np.minimum(np.searchsorted(chunk.blanks, high), len(chunk.blanks) - 1)
        word = chunk.blanks[after]
        near = (word >= high) & (word - high < 200)
        high = np.where(near, np.minimum(word, chunk.bounds[text + 1] - 1), high)
    # A character must not be cut.
    data = np.frombuffer(chunk.raw, np.uint8)
    last = len(data) - 1
    for _ in range(3):
        low = low - ((data[np.minimum(low, last)] & 0xC0) == 0x80)
        high = high + ((high <= last) & ((data[np.minimum(high, last)] & 0xC0) == 0x80))
    order = np.argsort(low, kind="stable")
    low, high, text = low[order], high[order], text[order]
    reach = np.maximum.accumulate(high)
    new = np.concatenate([[True], (low[1:] > reach[:-1]) | (text[1:] != text[:-1])])
    at = np.flatnonzero(new)
    low, text = low[at], text[at]
    high = reach[np.append(at[1:] - 1, len(reach) - 1)]
    offset = chunk.characters.between(chunk.bounds[text], low)
    pieces = [
        chunk.raw[a:b].decode("utf-8", "replace")
        for a, b in zip(low.tolist(), high.tolist(), strict=True)
    ]
    return text.tolist(), offset.tolist(), pieces


# -- places -------------------------------------------------------------------------------------

#: First and one-past-last byte of places, and how many bytes around them matter.
Places = tuple[I64, I64, tuple[int, int]]
_NONE = np.empty(0, np.int64)


def _close(at: I64, count: int, width: int) -> tuple[I64, I64]:
    """Places where ``count`` positions lie within ``width`` bytes."""
    if len(at) < count:
        return _NONE, _NONE
    dense = np.flatnonzero(at[count - 1 :] - at[: len(at) - count + 1] <= width)
    return at[dense], at[dense + count - 1] + 1


def _digits(chunk: _Chunk) -> Places:
    begin, end = _close(np.flatnonzero((chunk.kinds & _DIGIT) != 0), 5, 24)
    text = np.searchsorted(chunk.bounds, begin, "right")
    same = end <= chunk.bounds[text]
    begin, end, text = begin[same], end[same], text[same]
    # Most runs overlap; keep the first of each stretch and its end.
    if len(begin):
        new = np.concatenate([[True], (begin[1:] > end[:-1]) | (text[1:] != text[:-1])])
        at = np.flatnonzero(new)
        begin, end = begin[at], end[np.append(at[1:] - 1, len(end) - 1)]
    return begin, end, (56, 20)


def _ats(chunk: _Chunk) -> Places:
    at = np.flatnonzero((chunk.kinds & _AT) != 0)
    return at, at + 1, (70, 270)


def _dots(chunk: _Chunk) -> Places:
    at = _triples(chunk, b"dot")
    return at, at + 3, (160, 60)


def _triples(chunk: _Chunk, word: bytes) -> I64:
    """Places of three bytes; comparing arrays is several times faster than ``bytes.find``."""
    data = np.frombuffer(chunk.raw, np.uint8)
    hit = (data[:-2] == word[0]) & (data[1:-1] == word[1]) & (data[2:] == word[2])
    return np.flatnonzero(hit)


def _addresses(chunk: _Chunk) -> Places:
    dots = np.flatnonzero((chunk.kinds & _DOT) != 0)
    dots = dots[(chunk.kinds[np.maximum(dots - 1, 0)] & _DIGIT) > 0]
    begin, end = _close(dots, 3, 10)
    colons = np.flatnonzero((chunk.kinds & _COLON) != 0)
    begin6, end6 = _close(colons, 3, 13)
    return np.concatenate([begin, begin6]), np.concatenate([end, end6]), (8, 44)


def _mixed(chunk: _Chunk) -> Places:
    """Runs of at least eight characters, with letters and digits, that could be a secret."""
    cut = np.flatnonzero((chunk.kinds & _CUT) != 0)
    begin = np.concatenate([[0], cut + 1])
    end = np.append(cut, len(chunk.kinds))
    long = end - begin >= 8
    begin, end = begin[long], end[long]
    digits = np.flatnonzero((chunk.kinds & _DIGIT) != 0)
    some = np.searchsorted(digits, begin) < np.searchsorted(digits, end)
    begin, end = begin[some], end[some]
    if not len(begin):
        return _NONE, _NONE, (0, 0)
    # Letters are counted inside the few runs that are left, not over all bytes.
    size = end - begin
    into = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
    letter = (chunk.kinds[np.repeat(begin, size) + into] & _LETTER) > 0
    some = np.add.reduceat(letter, np.cumsum(size) - size, dtype=np.int64) >= 3
    return begin[some], end[some], (48, 4)


def _blocks(chunk: _Chunk) -> Places:
    at = _triples(chunk, b"KEY")
    real = [i for i in at.tolist() if chunk.raw.startswith(b"PRIVATE KEY", max(0, i - 8))]
    begin = np.array(real, np.int64)
    return begin, begin + 1, (48, 20_000)


_PLACES: dict[str, Callable[[_Chunk], Places]] = {
    "digits": _digits,
    "at": _ats,
    "dot": _dots,
    "address": _addresses,
    "mixed": _mixed,
    "block": _blocks,
}


def _resolve(found: pl.DataFrame) -> pl.DataFrame:
    """Of overlapping findings keep the surer, then the longer one."""
    order = found.unique(["text", "e_start", "e_end", "entity_type", "recogniser"]).sort(
        [
            "text",
            "score",
            pl.col("e_end") - pl.col("e_start"),
            "e_start",
            "entity_type",
            "recogniser",
        ],
        descending=[False, True, True, False, False, False],
    )
    kept: list[int] = []
    begins: list[int] = []
    ends: list[int] = []
    current = -1
    columns = (order["text"].to_list(), order["e_start"].to_list(), order["e_end"].to_list())
    for row, (text, start, end) in enumerate(zip(*columns, strict=True)):
        if text != current:
            current, begins, ends = text, [], []
        # Kept spans are disjoint, so only the neighbours can overlap.
        at = bisect_right(begins, start)
        if (at and ends[at - 1] > start) or (at < len(begins) and begins[at] < end):
            continue
        begins.insert(at, start)
        ends.insert(at, end)
        kept.append(row)
    return order[kept].sort(["text", "e_start"]) if kept else order
