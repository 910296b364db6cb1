"""Blocks: chunks of one or many sources, large enough for one statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from irkit.ingest.entries import Chunk, Digests, Numbers, Reject, rows_of
from irkit.ingest.shapes import Shape

_MAX_CHUNKS = 4096
#: Very short entries cost memory by number, not by bytes.
_MAX_ENTRIES = 1 << 18
_MAX_PIECES = 8


@dataclass(frozen=True, slots=True)
class Guess:
    """What a sample says about a source: a wrong guess costs time, never a record."""

    format_id: str = ""
    shape: Shape | None = None


NO_GUESS = Guess()


@dataclass(slots=True)
class Block:
    """Entries of one or several sources.

    Attributes:
        lines: JSON texts.
        source_id, entry_no, byte_offset, byte_len, sha256: one per line.
        open_tail: the line has no end in its file, so it may be cut.
        blanks: blank entries per source.
        rejects: entries set aside before parsing.
        finished: sources whose last entry is in this block, in order.
        consumed: bytes read from disk so far, all sources.
        guess: format and shape that most lines probably have.
    """

    lines: pa.ChunkedArray
    source_id: NDArray[np.int32]
    entry_no: Numbers
    byte_offset: Numbers
    byte_len: Numbers
    sha256: Digests
    open_tail: NDArray[np.bool_]
    blanks: Counter[int] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    consumed: int = 0
    guess: Guess = NO_GUESS

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of reading: a chunk, or the end of a source."""

    source_id: int
    chunk: Chunk | None
    consumed: int
    guess: Guess = NO_GUESS


def blocks(steps: Iterable[Step], size: int) -> Iterator[Block]:
    """Gather chunks until they hold ``size`` bytes; many small files share one block.

    A block ends between two sources wherever possible, so that work can be committed there.
    """
    held: list[Chunk] = []
    finished: list[int] = []
    held_bytes = consumed = spanning = entries = 0
    guess = NO_GUESS
    for step in steps:
        ends_last = step.chunk is None and held and held[-1].source_id == step.source_id
        # Sources without text still cost memory per source, so their number is bounded too.
        full = held_bytes >= size or len(held) >= _MAX_CHUNKS or entries >= _MAX_ENTRIES
        changes = step.guess is not NO_GUESS and step.guess != guess and bool(held)
        if (full or changes) and not ends_last:
            spanning = held[-1].source_id
            yield join(held, finished, consumed, guess)
            held, finished, held_bytes, entries = [], [], 0, 0
        consumed = step.consumed
        guess = guess if step.guess is NO_GUESS else step.guess
        if step.chunk is None:
            finished.append(step.source_id)
            if step.source_id == spanning:
                yield join(held, finished, consumed, guess)
                held, finished, held_bytes, entries = [], [], 0, 0
        else:
            held.append(step.chunk)
            held_bytes += step.chunk.nbytes
            entries += len(step.chunk.lines) + len(step.chunk.rejects)
    if held or finished:
        yield join(held, finished, consumed, guess)


def join(chunks: Sequence[Chunk], finished: list[int], consumed: int, guess: Guess) -> Block:
    """Return one block of several chunks."""
    tails = [np.zeros(len(chunk.lines), bool) for chunk in chunks]
    blanks: Counter[int] = Counter()
    rejects: list[Reject] = []
    for chunk, tail in zip(chunks, tails, strict=True):
        if chunk.open_tail and len(tail):
            tail[-1] = True
        blanks[chunk.source_id] += chunk.blanks
        rejects += chunk.rejects
    lines = [chunk.lines for chunk in chunks if len(chunk.lines)]
    if len(lines) > _MAX_PIECES:
        # The database works piece by piece, and thousands of one-line pieces would cost it dearly.
        lines = [pa.concat_arrays(lines)]
    sources = [np.full(len(c.lines), c.source_id, np.int32) for c in chunks]
    return Block(
        pa.chunked_array(lines, pa.large_string()),
        np.concatenate([*sources, np.zeros(0, np.int32)]),
        np.concatenate([*(chunk.entry_no for chunk in chunks), np.zeros(0, np.int64)]),
        np.concatenate([*(chunk.byte_offset for chunk in chunks), np.zeros(0, np.int64)]),
        np.concatenate([*(chunk.byte_len for chunk in chunks), np.zeros(0, np.int64)]),
        np.concatenate([*(chunk.sha256 for chunk in chunks), rows_of([])]),
        np.concatenate([*tails, np.zeros(0, bool)]),
        blanks,
        rejects,
        finished,
        consumed,
        guess,
    )
