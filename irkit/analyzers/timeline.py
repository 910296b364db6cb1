"""When a finding's behaviour began, stopped and went on, and when its certain pattern was complete.

Three starts are kept apart, because a notification may need any of them: the first request of the
actor, the statistical onset with its interval, and the query that completed a certain pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.findings import Found
from irkit.analyzers.judge import Court, Judged
from irkit.analyzers.onset import NULL_999, span, stretches
from irkit.analyzers.sequences import Windows

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class When:
    """Positions in an actor's queries.

    Attributes:
        start: first query of the behaviour, in ``start_low..start_high``.
        end: last one, in ``end_low..end_high``.
        dilution: share of queries in between that look ordinary (None: no change point).
        stretches: (first, last) query of every stretch of activity; empty without change point.
    """

    start: int
    start_low: int
    start_high: int
    end: int
    end_low: int
    end_high: int
    dilution: float | None
    stretches: tuple[tuple[int, int], ...]


def when(p: F64) -> When:
    """Date the behaviour from per-query p-values in time order."""
    found = span(p)
    if found is not None and found.gain >= NULL_999:
        return When(
            *(found.start, found.start_low, found.start_high),
            *(found.end, found.end_low, found.end_high),
            found.dilution,
            tuple(stretches(p)),
        )
    # One telling query, or too few for a change point: the first and last of the most telling.
    peak = np.flatnonzero(p <= p.min())
    first, last = int(peak[0]), int(peak[-1])
    return When(first, first, first, last, last, last, None, ())


def completed(court: Court, judged: Sequence[Judged], found: Found) -> dict[int, int]:
    """Return, per finding with a certain pattern, the position of the query that completed it.

    Found by bisection over how many of the actor's first queries already show the pattern, for all
    findings of one detector at once.
    """
    signatures = court.scorer.registry.signatures()
    out: dict[int, int] = {}
    for index, (detector, signature) in enumerate(signatures):
        mine = [i for i, finding in enumerate(found.findings) if finding.signature == index]
        if not mine or detector.spec.id in court.scorer.errors:
            continue
        rows = [_rows(judged[found.findings[i].group], found.findings[i].unit) for i in mine]
        low = np.zeros(len(mine), np.int64)
        high = np.array([len(r) for r in rows], np.int64)
        while (high - low > 1).any():
            middle = (low + high) // 2
            tested = _prefixes(rows, np.maximum(middle, 1))
            hit = detector.signature_hits(court.scorer.log, tested)[signature.key]
            open_ = high - low > 1
            high = np.where(open_ & hit, middle, high)
            low = np.where(open_ & ~hit, middle, low)
        out |= {i: int(at) - 1 for i, at in zip(mine, high.tolist(), strict=True)}
    return out


def _rows(one: Judged, unit: int) -> I64:
    return one.units.rows[one.units.bounds[unit] : one.units.bounds[unit + 1]]


def _prefixes(rows: Sequence[I64], size: I64) -> Windows:
    bounds = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(size, out=bounds[1:])
    return Windows(
        np.arange(len(rows)),
        size,
        bounds,
        np.concatenate([part[:n] for part, n in zip(rows, size.tolist(), strict=True)]),
        np.repeat(np.arange(len(rows)), size),
    )
