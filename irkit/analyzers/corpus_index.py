"""The texts of a case, tokenised and indexed by k-grams (see :mod:`~.corpus_engine`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from irkit.analyzers.corpus_tokens import I64, U8, U64, Bools, Tokens, degenerate, kgrams, tokenise

#: Tokens per indexed k-gram and distance between indexed positions; runs of GRAM + STRIDE - 1 = 25
#: tokens are certain.
GRAM, STRIDE = 13, 13
#: Shortest run kept: certain from here on.
LONG_RUN = GRAM + STRIDE - 1
#: Tokens of a prompt's tail, and of the first k-gram of a short document.
TAIL = 8
#: Prompts of this many tokens up to TAIL - 1 are compared as a whole.
TINY = 3
#: Punctuation allowed after a prompt's tail ('Continue: "On Monday Mr Doe"').
_CLOSING = 3
#: Odd factor of the second table's hash.
_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
#: Largest table of one byte per slot, as a power of two.
_UNPACKED_BITS = 22
#: Pairs expanded at once; bounds memory where boilerplate meets boilerplate.
_PAIRS = 400_000
_CLOSERS = np.frombuffer(b"\"'`.,:;!?)]}>*_-", np.uint8)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive documents as one piece of memory.

    Attributes:
        raw: their UTF-8 bytes.
        breaks: byte offset of each document, plus the end.
        first: number of the first document in the corpus.
        part: True where the only document is a part of one too large to be taken whole.
        char_base: characters of that document before this part.
    """

    raw: bytes
    breaks: I64
    first: int
    part: bool = False
    char_base: int = 0


class GramIndex:
    """Positions of k-grams, looked up for millions of probes at a time."""

    def __init__(self, keys: U64, at: I64) -> None:
        order = np.argsort(keys, kind="stable")
        self.keys = keys[order]
        self.at = at[order]
        # About one slot in sixteen is taken: most probes of unrelated text end at this load.  A
        # large table is packed to bits, so that it stays in the cache.
        bits = min(27, max(12, (16 * max(1, len(keys)) - 1).bit_length()))
        self._shift = np.uint64(64 - bits)
        slots = np.zeros(1 << bits, np.bool_)
        slots[(self.keys >> self._shift).view(np.int64)] = True
        self._packed = bits > _UNPACKED_BITS
        self._slots: U8 = slots.view(np.uint8)
        if self._packed:
            self._slots = np.packbits(slots, bitorder="little")
            # A second, independent table spares most of the binary searches that remain.
            slots[:] = False
            slots[((self.keys * _SECOND) >> self._shift).view(np.int64)] = True
            self._again = np.packbits(slots, bitorder="little")

    def __len__(self) -> int:
        return len(self.keys)

    def candidates(self, probes: U64) -> I64:
        """Return the indexes of probes that may be present."""
        slot = (probes >> self._shift).view(np.int64)
        if not self._packed:
            return np.flatnonzero(self._slots.take(slot))
        maybe = np.flatnonzero(_bit(self._slots, slot))
        slot = ((probes[maybe] * _SECOND) >> self._shift).view(np.int64)
        return maybe[_bit(self._again, slot)]

    def pairs(self, probes: U64, where: I64) -> Iterator[tuple[I64, I64]]:
        """Yield (probe position, indexed position) for every equal pair, in slices.

        Args:
            probes: hashes.
            where: position of each probe, ascending.
        """
        if not len(self.keys):
            return
        low = np.searchsorted(self.keys, probes, "left")
        hit = np.flatnonzero(self.keys[np.minimum(low, len(self.keys) - 1)] == probes)
        low, where = low[hit], where[hit]
        count = np.searchsorted(self.keys, probes[hit], "right") - low
        total = np.cumsum(count)
        begin = 0
        while begin < len(count):
            done = int(total[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(total, done + _PAIRS, "right")))
            n = count[begin:end]
            offset = np.repeat(np.cumsum(n) - n, n)
            slot = np.repeat(low[begin:end], n) + (np.arange(int(n.sum())) - offset)
            yield np.repeat(where[begin:end], n), self.at[slot]
            begin = end


class Characters:
    """Turns byte offsets of a buffer into character counts, with one sum kept per 64 bytes."""

    def __init__(self, raw: bytes) -> None:
        self._begins: Bools | None = None
        if raw.isascii():
            return
        padded = np.frombuffer(raw + bytes(64 + (-len(raw)) % 64), np.uint8)
        self._begins = (padded & 0xC0) != 0x80
        per_line = np.count_nonzero(self._begins.reshape(-1, 64), axis=1)
        self._sums = np.concatenate([[0], np.cumsum(per_line)])

    def between(self, start: I64, end: I64) -> I64:
        """Characters from byte ``start`` to byte ``end``, element by element."""
        if self._begins is None:
            return end - start
        return self._before(end) - self._before(start)

    def _before(self, at: I64) -> I64:
        assert self._begins is not None
        line = at >> 6
        near = self._begins.reshape(-1, 64)[line] & (np.arange(64) < (at & 63)[:, None])
        result: I64 = self._sums[line] + near.sum(axis=1)
        return result


def _bit(packed: U8, slot: I64) -> Bools:
    """Look bits up in a packed table."""
    found: Bools = ((packed.take(slot >> 3) >> (slot & 7).astype(np.uint8)) & 1) != 0
    return found


@dataclass(slots=True)
class TextSet:
    """The unique texts to be looked for, tokenised and indexed.

    Attributes:
        raw: UTF-8 bytes of all texts.
        breaks: byte offset of each text, plus the end.
        prompt: per text, whether an actor sent it.
        response: per text, whether a model returned it.
    """

    raw: bytes
    breaks: I64
    prompt: Bools
    response: Bools
    tokens: Tokens = field(init=False)
    main: GramIndex = field(init=False)
    tails: GramIndex = field(init=False)
    goal: I64 = field(init=False)
    whole_word: Bools = field(init=False)
    _short: GramIndex | None = field(init=False, default=None)
    _characters: Characters | None = field(init=False, default=None)
    _tiny: dict[int, GramIndex] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.tokens = tokenise(self.raw, self.breaks)
        hashes, bounds = self.tokens.hashes, self.tokens.bounds
        (grams,) = kgrams(hashes, [GRAM])
        at = self._positions(bounds, degenerate(hashes, GRAM))
        self.main = GramIndex(grams[at], at)
        self.goal, self.whole_word = self._goals()
        (eights,) = kgrams(hashes, [TAIL])
        repeated = degenerate(hashes, TAIL)
        at = self._tail_positions(bounds)
        at = at[~repeated[at]]
        self.tails = GramIndex(eights[at], at)

    def _positions(self, bounds: I64, repeated: Bools) -> I64:
        """Every STRIDE-th position of each text, and the edges of repetitive stretches.

        A run that reaches out of a repetitive stretch holds the k-gram at the stretch's edge, so
        leaving the stretch itself out loses no run but those inside it.
        """
        size = np.diff(bounds)
        grams = np.maximum(size - GRAM + 1, 0)
        steps = -(-grams // STRIDE)
        begin = np.repeat(bounds[:-1], steps)
        number = np.arange(int(steps.sum())) - np.repeat(np.cumsum(steps) - steps, steps)
        at: I64 = begin + number * STRIDE
        if repeated.any():
            # The last whole k-gram before and the first after a stretch, inside the same text.
            turn = np.flatnonzero(repeated[1:] != repeated[:-1])
            edges = np.concatenate([turn, turn + 1])
            edges = edges[~repeated[edges]]
            text = np.searchsorted(bounds, edges, "right") - 1
            edges = edges[edges + GRAM <= bounds[text + 1]]
            at = np.unique(np.concatenate([at, edges]))
            at = at[~repeated[at]]
        return at

    def _goals(self) -> tuple[I64, Bools]:
        """Token index that a run must reach to end the text, and whether it ends inside a word."""
        bounds, ends = self.tokens.bounds, self.tokens.ends
        goal = bounds[1:].copy()
        data = np.frombuffer(self.raw, np.uint8)
        for _ in range(_CLOSING):
            last = np.maximum(goal - 1, 0)
            some = goal > bounds[:-1] + 1
            mark = np.zeros(len(goal), np.bool_)
            one = self.tokens.starts[last[some]]
            single = ends[last[some]] - one == 1
            mark[some] = single & np.isin(data[one], _CLOSERS)
            goal = goal - mark
        last = np.maximum(goal - 1, 0)
        cut = np.zeros(len(goal), np.bool_)
        some = goal > bounds[:-1]
        cut[some] = ends[last[some]] == self.breaks[1:][some]
        return goal, cut

    def _tail_positions(self, bounds: I64) -> I64:
        """Start of each prompt's last TAIL tokens, also without closing marks or a cut word."""
        ends = np.concatenate([self.goal, bounds[1:], self.goal - 1])
        text = np.tile(np.arange(len(self.goal)), 3)
        at = ends - TAIL
        return np.unique(at[(at >= bounds[:-1][text]) & self.prompt[text]])

    @property
    def characters(self) -> Characters:
        """Byte offsets to characters; built when first needed."""
        if self._characters is None:
            self._characters = Characters(self.raw)
        return self._characters

    @property
    def short(self) -> GramIndex:
        """Every position, for documents too short for the stride; built when first needed."""
        if self._short is None:
            (eights,) = kgrams(self.tokens.hashes, [TAIL])
            at = np.flatnonzero(~degenerate(self.tokens.hashes, TAIL))
            self._short = GramIndex(eights[at], at)
        return self._short

    def tiny(self, size: int) -> GramIndex:
        """Prompts of exactly ``size`` tokens, by the hash of the whole."""
        if size not in self._tiny:
            bounds = self.tokens.bounds
            text = np.flatnonzero((np.diff(bounds) == size) & self.prompt)
            at = bounds[:-1][text]
            self._tiny[size] = GramIndex(kgrams(self.tokens.hashes, [size])[0][at], at)
        return self._tiny[size]
