"""Find passages that a model gave back with small changes.

Texts are folded first: compatibility forms, case, diacritics, zero-width characters and punctuation
no longer count (NFKD and casefold of Unicode).  Then runs of at least eight equal words are chained
where at most five words lie between them on either side; a chain of at least 50 words of which at
least 80 % are equal is near-verbatim.  Source of the idea: approximate memorisation after Ippolito
et al. 2023 ("Preventing verbatim memorization gives a false sense of privacy"), who show that a
verbatim filter misses changed case and spacing; the bounds are irkit's own.

All eight-word runs are found: here every position is indexed on the side of the texts.
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.corpus_engine import COLUMNS, Runs, grow
from irkit.analyzers.corpus_index import Block, Characters, GramIndex, TextSet
from irkit.analyzers.corpus_tokens import I64, Bools, Tokens, degenerate, kgrams, tokenise

if TYPE_CHECKING:
    import pyarrow as pa

#: Words per seed, words that may lie between seeds, words per chain, share of equal words.
SEED, GAP, SPAN, IDENTITY = 8, 5, 50, 0.8
_LOWER = bytes(range(65)) + bytes(range(97, 123)) + bytes(range(91, 256))
#: Code points above this fold to themselves; the planes of historic scripts and emoji.
_FOLDED_UP_TO = 0x1F000


@dataclass(frozen=True, slots=True)
class Folded:
    """A block of texts without the differences that do not matter.

    Attributes:
        raw: folded UTF-8 bytes.
        breaks: byte offset of each text in ``raw``, plus the end.
        tokens: its words.
        origin: character of the unfolded block for each character of the folded one; None where
            they are the same.
        begins: first character of each text in the unfolded block.
        stops: character after the last one of each text in the unfolded block.
    """

    raw: bytes
    breaks: I64
    tokens: Tokens
    origin: I64 | None
    begins: I64
    stops: I64
    characters: Characters

    def place(self, text: I64, at: I64) -> I64:
        """Character offsets in their texts of byte offsets in the folded block."""
        char = self.characters.between(np.zeros_like(at), at)
        if self.origin is not None:
            # What follows a word may fold to nothing, even whole texts; its end stays in its text.
            char = np.minimum(self.origin[char], self.stops[text])
        return char - self.begins[text]


def fold(raw: bytes, breaks: I64) -> Folded:
    """Fold a block of concatenated UTF-8 texts."""
    if raw.isascii():
        low = raw.translate(_LOWER)
        tokens = tokenise(low, breaks, words_only=True)
        return Folded(low, breaks, tokens, None, breaks[:-1], breaks[1:], Characters(low))
    before = Characters(raw)
    borders = before.between(np.zeros_like(breaks), breaks)
    points = np.frombuffer(raw.decode("utf-8", "replace").encode("utf-32-le"), "<u4")
    size, first, spelled = _folds()
    known = np.minimum(points, len(size) - 1)
    count = np.where(points < len(size), size[known], 1).astype(np.int64)
    origin = np.repeat(np.arange(len(points)), count)
    into = np.arange(len(origin)) - np.repeat(np.cumsum(count) - count, count)
    folded = np.where(
        points[origin] < len(size), spelled[first[known[origin]] + into], points[origin]
    ).astype("<u4")
    text = folded.tobytes().decode("utf-32-le", "replace")
    low = text.encode("utf-8", "replace")
    starts = np.searchsorted(origin, borders)
    lead = np.flatnonzero((np.frombuffer(low, np.uint8) & 0xC0) != 0x80)
    edges = np.append(lead, len(low))[starts]
    return Folded(
        low,
        edges,
        tokenise(low, edges, words_only=True),
        np.append(origin, len(points)),
        borders[:-1],
        borders[1:],
        Characters(low),
    )


@lru_cache(maxsize=1)
def _folds() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint32]]:
    """For each code point: how many it folds to, where they begin in the list, and the list."""
    spelled: list[int] = []
    size = np.zeros(_FOLDED_UP_TO, np.uint8)
    first = np.zeros(_FOLDED_UP_TO, np.int64)
    for point in range(_FOLDED_UP_TO):
        char = chr(point)
        if 0xD800 <= point <= 0xDFFF:
            new = "\ufffd"
        else:
            new = "".join(
                c
                for c in unicodedata.normalize(
                    "NFKD", unicodedata.normalize("NFKC", char).casefold()
                )
                if unicodedata.category(c) not in ("Mn", "Me", "Cf")
            )
        size[point], first[point] = len(new), len(spelled)
        spelled += map(ord, new)
    assert max(spelled) <= sys.maxunicode
    return size, first, np.array([*spelled, 0xFFFD], np.uint32)


@dataclass(slots=True)
class NearSet:
    """Responses, folded and indexed at every word."""

    texts: TextSet
    folded: Folded = field(init=False)
    index: GramIndex = field(init=False)

    def __post_init__(self) -> None:
        self.folded = fold(self.texts.raw, self.texts.breaks)
        hashes, bounds = self.folded.tokens.hashes, self.folded.tokens.bounds
        (grams,) = kgrams(hashes, [SEED])
        text = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))[: len(grams)]
        wanted = self.texts.response & (np.diff(bounds) >= SPAN)
        at = np.flatnonzero(wanted[text] & ~degenerate(hashes, SEED)) if len(grams) else text
        at = at[at + SEED <= bounds[text[at] + 1]]
        self.index = GramIndex(grams[at], at)


def scan_near(near: NearSet, block: Block) -> pa.Table:
    """Match one block of the corpus; a pure function.

    Returns:
        Rows like those of :func:`irkit.analyzers.corpus_engine.scan`; ``tokens`` counts the equal
        words.
    """
    import pyarrow as pa

    folded = fold(block.raw, block.breaks)
    tokens, texts = folded.tokens, near.folded.tokens
    runs = _seeds(near, tokens)
    if not len(runs):
        return _empty()
    text = np.searchsorted(texts.bounds, runs.t0, "right") - 1
    doc = np.searchsorted(tokens.bounds, runs.c0, "right") - 1
    head, tail, equal = _chains(runs, text, doc)
    t0, t1, c0, c1 = runs.t0[head], runs.t1[tail], runs.c0[head], runs.c1[tail]
    span = np.maximum(t1 - t0, c1 - c0)
    kept = (t1 - t0 >= SPAN) & (equal >= IDENTITY * span)
    t0, t1, c0, c1, equal = t0[kept], t1[kept], c0[kept], c1[kept], equal[kept]
    text, doc = text[head][kept], doc[head][kept]
    if not len(t0):
        return _empty()
    full = tokens.bounds[doc + 1] - tokens.bounds[doc]
    flags = np.ones(len(t0), np.bool_)
    return pa.table(
        {
            "text": text,
            "prompt": ~flags,
            "response": flags,
            "t_start": near.folded.place(text, texts.starts[t0]),
            "t_end": near.folded.place(text, texts.ends[t1 - 1]),
            "tokens": equal,
            "doc": doc + block.first,
            "d_start": folded.place(doc, tokens.starts[c0]) + block.char_base,
            "d_end": folded.place(doc, tokens.ends[c1 - 1]) + block.char_base,
            "is_tail": t1 == texts.bounds[text + 1],
            "whole_doc": (c1 - c0 >= 0.9 * full) & (not block.part),
        }
    )


def _empty() -> pa.Table:
    import pyarrow as pa

    flags = ("prompt", "response", "is_tail", "whole_doc")
    return pa.table({name: pa.array([], "bool" if name in flags else "int64") for name in COLUMNS})


def _seeds(near: NearSet, tokens: Tokens) -> Runs:
    """All maximal runs of at least SEED equal words."""
    none = np.empty(0, np.int64)
    (grams,) = kgrams(tokens.hashes, [SEED])
    if not len(near.index) or not len(grams):
        return Runs(none, none, none, none)
    where = near.index.candidates(grams)
    found = [
        grow(near.folded.tokens, tokens, t, c, SEED)
        for c, t in near.index.pairs(grams[where], where)
    ]
    if not found:
        return Runs(none, none, none, none)
    t0, t1, c0, c1 = (
        np.concatenate([getattr(runs, name) for runs in found]) for name in ("t0", "t1", "c0", "c1")
    )
    _, once = np.unique(c0 * (len(near.folded.tokens) + 1) + t0, return_index=True)
    return Runs(t0[once], t1[once], c0[once], c1[once])


def _chains(runs: Runs, text: I64, doc: I64) -> tuple[I64, I64, I64]:
    """Chain runs of one text and document; return first run, last run and equal words of each."""
    order = np.lexsort((runs.c0, runs.t0, doc, text))
    # A run inside the stretch of an earlier one (a repeated phrase) would break the chain.
    keep = _not_inside(runs, text, doc, order)
    order = order[keep]
    t0, t1, c0, c1 = runs.t0[order], runs.t1[order], runs.c0[order], runs.c1[order]
    gap_t, gap_c = t0[1:] - t1[:-1], c0[1:] - c1[:-1]
    # Runs may touch or overlap by a word or two where a repeated word fits both.
    linked = (
        (text[order][1:] == text[order][:-1])
        & (doc[order][1:] == doc[order][:-1])
        & (gap_t >= -2) & (gap_t <= GAP) & (gap_c >= -2) & (gap_c <= GAP)
    )  # fmt: skip
    first = np.flatnonzero(np.concatenate([[True], ~linked]))
    last = np.append(first[1:] - 1, len(order) - 1)
    size = t1 - t0
    size[1:] += np.where(linked, np.minimum(np.minimum(gap_t, gap_c), 0), 0)
    equal = np.add.reduceat(size, first)
    return order[first], order[last], equal


def _not_inside(runs: Runs, text: I64, doc: I64, order: I64) -> Bools:
    group = np.flatnonzero(
        np.concatenate([[True], (np.diff(text[order]) != 0) | (np.diff(doc[order]) != 0)])
    )
    number = np.zeros(len(order), np.int64)
    number[group] = 1
    number = np.cumsum(number)
    # Ends grow from group to group, so that one running maximum serves all.
    wide = np.int64(1) << 40
    ends = number * wide + runs.t1[order]
    reach = np.maximum.accumulate(ends)
    keep = np.ones(len(order), np.bool_)
    keep[1:] = ends[1:] > reach[:-1]
    return keep
