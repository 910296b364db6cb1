"""Content ids of texts, and which texts are new to the case, in bounded memory.

Ids are the first 128 bits of SHA-256.  The set of known ids is kept as sorted runs of two 64-bit
halves (16 bytes per text): a lookup compares the first half, then the second.  Two texts that share
the first half but not the second (nobody meets that by chance, but an attacker can compute such a
pair) are settled by asking the database, so no text can be hidden behind another.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from irkit.case import Case
from irkit.ingest.entries import Digests, as_hex, rows_of

#: Known ids kept in memory (16 bytes each, twice that while runs are merged); beyond it duplicates
#: are removed by the database.
MAX_KNOWN = 8_000_000
_LOAD = 1 << 18

Halves = NDArray[np.uint64]


def text_ids(texts: pa.Array) -> Digests:
    """Hash a string array without nulls; one row of 16 bytes per text."""
    wide = texts.cast(pa.large_string()) if texts.type != pa.large_string() else texts
    size = len(wide)
    if not size:
        return rows_of([], 16)
    bounds = np.frombuffer(wide.buffers()[1], np.int64)[wide.offset : wide.offset + size + 1]
    view = memoryview(wide.buffers()[2] or b"")
    ends = bounds.tolist()
    sha = hashlib.sha256
    items = [sha(view[a:b]).digest()[:16] for a, b in pairwise(ends)]
    return rows_of(items, 16)


def _halves(ids: Digests) -> tuple[Halves, Halves]:
    """Return ids as two 64-bit numbers."""
    pairs = np.ascontiguousarray(ids).view(">u8").astype(np.uint64)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


class KnownTexts:
    """Which text ids the case already holds.

    Args:
        case: the case; its texts are known from the start.
        limit: most ids to keep in memory.
    """

    def __init__(self, case: Case, *, limit: int = MAX_KNOWN) -> None:
        self._case = case
        self._limit = limit
        self._runs: list[tuple[Halves, Halves]] = []
        self.forgot = False
        reader = case.con.execute("SELECT text_id FROM text").to_arrow_reader(_LOAD)
        for batch in reader:
            ids = _from_hex(batch.column(0))
            self._add(*_halves(ids))

    def new(self, ids: Digests) -> NDArray[np.int64]:
        """Return the indices of texts not seen before, first occurrence each, and remember them."""
        if not len(ids):
            return np.zeros(0, np.int64)
        high, low = _halves(ids)
        order = np.argsort(high, kind="stable")
        same = high[order[1:]] == high[order[:-1]]
        if same.any():
            # Stable, so the first of equal ids is the first occurrence.
            order = np.lexsort((low, high))
            same = (np.diff(high[order]) == 0) & (np.diff(low[order]) == 0)
        first = order[np.r_[True, ~same]]
        high, low = high[first], low[first]
        known = np.zeros(len(first), bool)
        clash = np.zeros(len(first), bool)
        for run_high, run_low in self._runs:
            at = np.searchsorted(run_high, high)
            inside = at < len(run_high)
            hit = np.zeros(len(first), bool)
            hit[inside] = run_high[at[inside]] == high[inside]
            exact = np.zeros(len(first), bool)
            exact[hit] = run_low[at[hit]] == low[hit]
            known |= exact
            clash |= hit & ~exact
        clash &= ~known
        if clash.any():
            known[clash] = self._in_database(ids, first[clash])
        fresh = ~known
        self._add(high[fresh], low[fresh])
        return np.sort(first[fresh])

    def _in_database(self, ids: Digests, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        wanted = as_hex(ids[index]).to_pylist()
        found = self._case.rows(
            "SELECT DISTINCT text_id FROM text WHERE list_contains(?, text_id)", [wanted]
        )
        have = {row[0] for row in found}
        return np.array([name in have for name in wanted], bool)

    def _add(self, high: Halves, low: Halves) -> None:
        if not len(high):
            return
        # Only the first halves need an order: where they are equal, the database settles it.  A
        # stable sort of what consists of sorted runs takes hardly more than reading it.
        order = np.argsort(high, kind="stable")
        self._runs.append((high[order], low[order]))
        # Merge runs of similar size, so that their number stays logarithmic.
        while len(self._runs) > 1 and 2 * len(self._runs[-1][0]) >= len(self._runs[-2][0]):
            low = np.concatenate([self._runs[-2][1], self._runs[-1][1]])
            high = np.concatenate([self._runs[-2][0], self._runs[-1][0]])
            del self._runs[-2:]
            order = np.argsort(high, kind="stable")
            low, high = low[order], high[order]
            self._runs.append((high, low))
        if sum(len(run[0]) for run in self._runs) > self._limit:
            self._runs.clear()
            self.forgot = True

    def compact(self) -> None:
        """Remove texts stored twice because the memory limit was reached; call when done."""
        if not self.forgot:
            return
        self._case.con.execute(
            "DELETE FROM text WHERE rowid IN (SELECT place FROM (SELECT rowid AS place,"
            " row_number() OVER (PARTITION BY text_id ORDER BY rowid) AS copy FROM text"
            " WHERE text_id IN (SELECT text_id FROM text GROUP BY text_id HAVING count(*) > 1))"
            " WHERE copy > 1)"
        )
        self.forgot = False


def _from_hex(column: pa.Array) -> Digests:
    data = bytes.fromhex("".join(column.to_pylist()))
    return np.frombuffer(data, np.uint8).reshape(len(column), 16)
