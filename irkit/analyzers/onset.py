"""S3: when did it begin, and when did it end?

Per-query conformal p-values are modelled as uniform outside the attack and Beta(a, 1) inside it.
The likelihood ratio is maximised over the change point and a grid of ``a`` (an unknown share of the
attack's queries may look ordinary); the interval holds every change point whose ratio is within
``c`` of the best one.  A fixed-bet CUSUM fails under dilution (its drift turns negative); the grid
does not.  The end is the same estimate on the reversed sequence.

Campaigns stop and go.  *Stretches* of activity are found by recursive binary segmentation under the
same model: the run with the largest likelihood ratio, then those before and after it, each taken
apart at its quietest gap where that explains more than two more change points are worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

GRID = (0.15, 0.3, 0.5, 0.7)
DROP, DROP_DILUTED = 3.0, 4.0
#: Estimated share of ordinary queries above which the wider interval is used.  The specification
#: asks for it above one half; the estimate is rough, and the wider interval costs little.
DILUTED = 0.2
#: 99.9 % quantile of the maximum under no change at 200 queries (measured): below it there is no
#: statistical onset.
NULL_999 = 7.23


@dataclass(frozen=True, slots=True)
class Span:
    """Estimated first and last query of an attack, as positions in the sequence.

    Attributes:
        start: maximum-likelihood first query, with its interval ``start_low..start_high``.
        end: maximum-likelihood last query, with its interval ``end_low..end_high``.
        gain: log likelihood ratio of the start.
        dilution: share of queries in the span that look ordinary.
    """

    start: int
    start_low: int
    start_high: int
    end: int
    end_low: int
    end_high: int
    gain: float
    dilution: float


def onset(p: F64, drop: float = DROP) -> tuple[int, int, int, float]:
    """Return (change point, interval low, interval high, log likelihood ratio).

    Args:
        p: per-query p-values in time order, each in (0, 1].
        drop: how far below the maximum a change point may lie and still be in the interval.
    """
    gain = _gain(np.log(np.clip(p, 1e-12, 1.0)))
    best = int(gain.argmax())
    inside = np.flatnonzero(gain >= gain[best] - drop)
    return best, int(inside[0]), int(inside[-1]), float(gain[best])


def _gain(logs: F64) -> F64:
    rest = logs[::-1].cumsum()[::-1]
    left = np.arange(len(logs), 0, -1)
    return np.asarray(np.max([left * np.log(a) + (a - 1.0) * rest for a in GRID], axis=0))


def span(p: F64) -> Span | None:
    """Estimate start and end; ``None`` where the sequence shows no change worth the name.

    The start is estimated on the sequence up to the provisional end, so that ordinary traffic
    after the attack does not blur it.
    """
    if not len(p):
        return None
    _, _, _, gain = onset(p)
    reverse, _, _, back = onset(p[::-1])
    if max(gain, back) <= 0:
        return None
    last = len(p) - 1 - reverse
    start, _, _, _ = onset(p[: last + 1])
    end = start + (len(p[start:]) - 1 - onset(p[start:][::-1])[0])
    # Half of the ordinary queries have p above one half, of the attack's hardly any.
    ordinary = min(1.0, 2.0 * float((p[start : end + 1] > 0.5).mean())) if end >= start else 0.0
    drop = DROP_DILUTED if ordinary > DILUTED else DROP
    start, low, high, gain = onset(p[: end + 1], drop)
    tail = onset(p[start:][::-1], drop)
    flip = len(p) - 1
    end, end_low, end_high = flip - tail[0], flip - tail[2], flip - tail[1]
    if drop == DROP:
        # In an undiluted attack every query shows something, so its first and last do, too; a
        # query that shows nothing (p = 1) may lie days away in another session.
        shows = np.flatnonzero(p < 1.0)
        low = min(start, int(shows[np.searchsorted(shows, low)]))
        end_high = max(end, int(shows[np.searchsorted(shows, end_high, side="right") - 1]))
    inside = p[start : end + 1]
    # What shows nothing has p = 1; among the others half of the ordinary ones lie above one half.
    dilution = float((inside >= 1.0).mean() + 2.0 * ((inside > 0.5) & (inside < 1.0)).mean())
    return Span(start, low, high, end, end_low, end_high, gain, min(1.0, dilution))


#: Most stretches told apart; what is left lies inside the last ones' neighbours.
MOST_STRETCHES = 50


def stretches(p: F64) -> list[tuple[int, int]]:
    """Return the (first, last) queries of every stretch of activity, in time order.

    Args:
        p: per-query p-values in time order, each in (0, 1].
    """
    logs = np.log(np.clip(p, 1e-12, 1.0))
    found: list[tuple[int, int]] = []
    left = [(0, len(p))]
    while left and len(found) < MOST_STRETCHES:
        low, high = left.pop()
        if high <= low:
            continue
        first, last, gain = _best_run(logs[low:high])
        if gain < NULL_999:
            continue
        found += _split(logs, low + first, low + last)
        left += [(low, low + first), (low + last + 1, high)]
    return sorted(found)


def _best_run(logs: F64) -> tuple[int, int, float]:
    """Return the run with the largest log likelihood ratio over the grid."""
    best = (0, 0, -np.inf)
    for a in GRID:
        first, last, gain = _run(np.log(a) + (a - 1.0) * logs)
        if gain > best[2]:
            best = (first, last, gain)
    return best


def _run(values: F64) -> tuple[int, int, float]:
    """Return the run of values with the largest sum."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    gain = total[1:] - np.minimum.accumulate(total[:-1])
    last = int(gain.argmax())
    return int(total[: last + 1].argmin()), last, float(gain[last])


def _split(logs: F64, first: int, last: int) -> list[tuple[int, int]]:
    """Take a run apart at its quietest gap while that is worth two more change points."""
    out: list[tuple[int, int]] = []
    open_ = [(first, last)]
    while open_:
        low, high = open_.pop()
        part = logs[low : high + 1]
        whole, a = max((_gain_of(part, a), a) for a in GRID)
        begin, end, _ = _run(-(np.log(a) + (a - 1.0) * part))
        before, after = part[:begin], part[end + 1 :]
        apart = sum(
            max(_gain_of(side, a) for a in GRID) if len(side) else -np.inf
            for side in (before, after)
        )
        if apart - whole > NULL_999 and len(out) + len(open_) < MOST_STRETCHES:
            open_ += [(low, low + begin - 1), (low + end + 1, high)]
        else:
            out.append((low, high))
    return out


def _gain_of(logs: F64, a: float) -> float:
    return float(len(logs) * np.log(a) + (a - 1.0) * logs.sum())
