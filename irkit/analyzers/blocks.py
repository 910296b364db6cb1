"""A block of texts as token arrays: the form every text feature is computed on.

Texts stay in Arrow buffers; nothing here loops over texts or tokens in Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.corpus_tokens import tokenise
from irkit.analyzers.lexicon import lexicon

if TYPE_CHECKING:
    import pyarrow as pa

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]
Array = NDArray[Any]

#: Longest repetition period looked for, in tokens (a phrase of up to eight words).
PERIODS = range(1, 9)
#: A run shorter than this many matching tokens is ordinary language.
_MIN_RUN = 6


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens of a batch of texts.

    Attributes:
        hashes: hash of each token, ASCII lower-cased.
        bounds: first token of each text, plus the total.
        doc: text index of each token.
        upper: token begins with a capital letter.
        number: token begins or ends with a digit.
        word: token is made of word characters.
        bits: lexicon classes of the token.
        first: first byte of the token (to tell punctuation apart).
    """

    hashes: U64
    bounds: I64
    doc: I64
    upper: Bools
    number: Bools
    word: Bools
    bits: NDArray[np.uint32]
    first: NDArray[np.uint8]

    @property
    def docs(self) -> int:
        """Number of texts."""
        return len(self.bounds) - 1

    @property
    def sizes(self) -> I64:
        """Tokens per text."""
        return np.diff(self.bounds)

    def any_by_doc(self, mask: Bools) -> Bools:
        """Return per text whether any of its tokens is marked."""
        return self.count_by_doc(mask) > 0

    def count_by_doc(self, mask: Bools) -> I64:
        """Return per text how many of its tokens are marked."""
        total = np.zeros(len(mask) + 1, np.int64)
        np.cumsum(mask, out=total[1:])
        return total[self.bounds[1:]] - total[self.bounds[:-1]]

    def select(self, docs: I64) -> Block:
        """Return the block of some texts, in the order given."""
        size = self.sizes[docs]
        bounds = np.zeros(len(docs) + 1, np.int64)
        np.cumsum(size, out=bounds[1:])
        take = np.repeat(self.bounds[docs] - bounds[:-1], size) + np.arange(bounds[-1])
        return Block(
            self.hashes[take],
            bounds,
            np.repeat(np.arange(len(docs)), size),
            self.upper[take],
            self.number[take],
            self.word[take],
            self.bits[take],
            self.first[take],
        )


@lru_cache(maxsize=1)
def _upper_two_byte() -> Bools:
    """Whether each code point below U+0800 is an upper-case letter."""
    return np.array([chr(point).isupper() for point in range(0x800)], np.bool_)


def block_of(texts: pa.Array) -> Block:
    """Tokenise a string array; nulls count as empty texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pc.fill_null(pc.cast(texts, pa.large_string()), "")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    _, offset_buffer, data = column.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[
        column.offset : column.offset + len(column) + 1
    ]
    low, high = int(offsets[0]), int(offsets[-1])
    original = data.slice(low, high - low).to_pybytes() if data is not None else b""
    breaks = offsets - low
    tokens = tokenise(original.lower(), breaks)
    byte = np.frombuffer(original, np.uint8) if original else np.zeros(1, np.uint8)
    first = byte[tokens.starts] if len(tokens) else np.zeros(0, np.uint8)
    last = byte[tokens.ends - 1] if len(tokens) else np.zeros(0, np.uint8)
    upper = (first >= 65) & (first <= 90)
    wide = np.flatnonzero((first >= 0xC3) & (first < 0xE0) & (tokens.ends - tokens.starts >= 2))
    if wide.size:
        low_byte = byte[tokens.starts[wide] + 1].astype(np.int64)
        point = ((first[wide].astype(np.int64) & 0x1F) << 6) | (low_byte & 0x3F)
        upper[wide] = _upper_two_byte()[point]
    number = ((first >= 48) & (first <= 57)) | ((last >= 48) & (last <= 57))
    ascii_word = (first >= 97) & (first <= 122) | (first == 95)
    # U+2000..U+2BFF (E2 xx) holds dashes, quotes, arrows and symbols; other multi-byte tokens are
    # letters of some script.
    word = upper | number | ascii_word | ((first >= 0xC3) & (first != 0xE2))
    return Block(
        tokens.hashes,
        tokens.bounds.astype(np.int64),
        np.repeat(np.arange(len(tokens.bounds) - 1), np.diff(tokens.bounds)),
        upper,
        number,
        word,
        lexicon().lookup(tokens.hashes),
        first,
    )


@dataclass(frozen=True, slots=True)
class Repetition:
    """Longest periodic run of each text.

    Attributes:
        tokens: tokens covered by the run (0: none worth the name).
        period: its period in tokens.
        end: block index of its last token (-1: none).
        alphabetic: whether the repeated unit holds a word that is no number.
    """

    tokens: I64
    period: I64
    end: I64
    alphabetic: Bools


def repetition(block: Block) -> Repetition:
    """Find the longest run of a repeated unit of up to eight tokens in every text."""
    docs = block.docs
    best = np.zeros(docs, np.int64)
    period_of = np.zeros(docs, np.int64)
    end_of = np.full(docs, -1, np.int64)
    for period in PERIODS:
        if len(block.hashes) <= period:
            break
        at = np.flatnonzero(block.hashes[period:] == block.hashes[:-period])
        at = at[block.doc[at] == block.doc[at + period]] + period
        count = np.bincount(block.doc[at], minlength=docs)
        candidates = np.flatnonzero(count >= max(_MIN_RUN, period))
        if not candidates.size:
            continue
        same = np.zeros(len(block.hashes), np.bool_)
        same[at] = True
        part = block.select(candidates)
        keep = np.repeat(block.bounds[candidates] - part.bounds[:-1], part.sizes) + np.arange(
            len(part.hashes)
        )
        hit = same[keep]
        index = np.arange(len(hit))
        since = np.maximum.accumulate(np.where(hit, -1, index))
        run = index - since
        packed = (run << np.int64(32)) | index
        top = np.maximum.reduceat(packed, part.bounds[:-1])
        length = (top >> np.int64(32)) + period
        end = keep[top & np.int64(0xFFFFFFFF)]
        # A longer period always covers what a shorter one covers, less its first units.
        better = (length > best[candidates]) & (length >= 2 * period + _MIN_RUN // 2)
        at = candidates[better]
        best[at], period_of[at], end_of[at] = length[better], period, end[better]
    alphabetic = np.zeros(docs, np.bool_)
    has = np.flatnonzero(end_of >= 0)
    letters = block.word & ~block.number
    for step in PERIODS:
        inside = has[period_of[has] >= step]
        alphabetic[inside] |= letters[end_of[inside] - (step - 1)]
    return Repetition(best, period_of, end_of, alphabetic)
