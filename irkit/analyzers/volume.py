"""How unusual an actor's number of calls is, against its own history and against all actors.

Counts lie in buckets of 1, 6 and 24 hours.  Every bucket is compared with the *other* buckets of
the same actor (the history before and after it: a replay sees both), shrunk towards all actors by
24 hours' worth of prior, with the hour of the week as all actors use it.  The spread is negative
binomial (variance ``mu + phi mu**2``), by moments.  Surprises are in nats,
``-ln P(count or more)``, so that the three windows, the slow-drip charts and the fan-out can be
compared with each other.

Sources: shrinkage, NB2 tail and windows as in the volume-baseline section of irkit's detector
specification; EWMA (0.2, 3 sigma) and CUSUM (0.5 sigma, 5) with their usual constants (Montgomery,
Introduction to Statistical Quality Control, ch. 9); robust z with the 3.5 cut of Iglewicz and
Hoaglin 1993.  Above ``h`` the stationary tail of a CUSUM with ``k`` = 0.5 falls like ``exp(-h)``,
which makes its height a surprise in nats, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

HOURS = (1, 6, 24)
#: Prior weight in hours of history.
KAPPA = 24.0
ROBUST_Z = 3.5
EWMA_LAMBDA, EWMA_LIMIT = 0.2, 3.0
CUSUM_SLACK, CUSUM_LIMIT = 0.5, 5.0
#: Smallest number of days of the slow-drip charts: two of each day of the week.  They run on days
#: because at finer widths the spread between day and night hides a small rise.
_DRIP_LEAST = 14
#: One bucket may move a chart by this many sigmas: slow drip is meant, bursts have the tail.
_DRIP_CLIP = 3.0
_HOUR_US = 3_600_000_000
#: 1970-01-01 was a Thursday; hours of the week count from Monday.
_MONDAY = 3 * 24
_MOST_NATS = 690.0


@dataclass(frozen=True, slots=True)
class Volume:
    """Per call, how surprising the busiest span around it is.

    Attributes:
        nats: ``-ln P`` of the most surprising window that holds the call.
        hours: which window that was (0: the slow-drip chart, -1: the whole of a new actor).
        count: calls of the actor in that window.
        expected: how many its history and all actors let expect there.
        excess: the call's share of ``max(0, count - expected)`` of its day.
    """

    nats: F64
    hours: NDArray[np.int8]
    count: F64
    expected: F64
    excess: F64


def volume(unit: I64, time: I64) -> Volume:
    """Judge every call by its actor's counts.

    Args:
        unit: actor code per call, none negative.
        time: microseconds since 1970 UTC per call.
    """
    calls = len(unit)
    nats, expected, count = np.zeros(calls), np.zeros(calls), np.zeros(calls)
    hours = np.full(calls, HOURS[0], np.int8)
    excess = np.zeros(calls)
    if not calls:
        return Volume(nats, hours, count, expected, excess)
    for width in HOURS:
        table = _Counts.of(unit, time, width)
        mean, phi = table.predict()
        surprise = tail(table.count, mean, phi)
        better = surprise[table.call] > nats
        nats = np.where(better, surprise[table.call], nats)
        hours[better] = width
        count = np.where(better, table.count[table.call], count)
        expected = np.where(better, mean[table.call], expected)
        if width == HOURS[-1]:
            share = np.maximum(table.count - mean, 0.0) / table.count
            excess = share[table.call]
            whole = table.cold_start()[table.unit][table.call]
            better = whole > nats
            nats = np.where(better, whole, nats)
            hours[better] = -1
            drip = slow_drip(table, mean, phi)[table.call]
            better = drip > nats
            nats = np.where(better, drip, nats)
            hours[better] = 0
    return Volume(nats, hours, count, expected, excess)


def tail(count: F64, mean: F64, phi: F64) -> F64:
    """Return ``-ln P(X >= count)`` of a negative binomial with variance ``mu + phi mu**2``."""
    from scipy import special

    mean, phi = np.maximum(mean, 1e-9), np.maximum(phi, 1e-6)
    share = phi * mean / (1.0 + phi * mean)
    with np.errstate(divide="ignore"):
        log = np.log(special.betainc(np.maximum(count, 1e-9), 1.0 / phi, share))
    return np.where(count > 0, np.minimum(np.maximum(-log, 0.0), _MOST_NATS), 0.0)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Calls per actor and bucket, only where there are any.

    Attributes:
        width: hours per bucket.
        call: row of each call.
        unit: dense actor number of each row, ascending.
        bucket: bucket number of each row, ascending within the actor.
        count: calls of each row.
        first: first row of each actor, plus the total.
    """

    width: int
    call: I64
    unit: I64
    bucket: I64
    count: F64
    first: I64

    @classmethod
    def of(cls, unit: I64, time: I64, width: int) -> _Counts:
        """Count calls."""
        bucket = (time // _HOUR_US + _MONDAY) // width
        _, dense, _ = _grouped(unit)
        low = int(bucket.min())
        span = int(bucket.max()) - low + 1
        key = dense * span + (bucket - low)
        rows, call, count = _grouped(key)
        who = rows // span
        first = np.searchsorted(who, np.arange(int(who[-1]) + 2))
        return cls(width, call, who, rows % span + low, count.astype(np.float64), first)

    @property
    def span(self) -> tuple[I64, I64]:
        """First and last bucket of each actor."""
        return self.bucket[self.first[:-1]], self.bucket[self.first[1:] - 1]

    def _sum(self, values: F64) -> F64:
        return np.asarray(np.add.reduceat(values, self.first[:-1]))

    def predict(self) -> tuple[F64, F64]:
        """Return mean and dispersion of every row from all other buckets of its actor."""
        kappa, week = KAPPA / self.width, 7 * 24 // self.width
        begin, end = self.span
        length = (end - begin + 1).astype(np.float64)
        total, square = self._sum(self.count), self._sum(self.count**2)
        exposure = float(length.sum())
        mean = float(total.sum()) / exposure
        spread = float(square.sum()) / exposure - mean - mean**2
        phi_all = max(spread / mean**2, 0.0)
        shape = self._week_shape(begin, end, mean, week)
        u = self.unit
        left = length[u] - 1.0
        rest, rest_square = total[u] - self.count, square[u] - self.count**2
        rate = (rest + kappa * mean) / (left + kappa)
        place = self.bucket % week
        key = u * week + place
        slots, at, _ = np.unique(key, return_inverse=True, return_counts=True)
        same = np.bincount(at, weights=self.count, minlength=len(slots))[at] - self.count
        weeks = _places(begin[u], end[u], place, week) - 1.0
        expected = (same + kappa * rate * shape[place]) / (weeks + kappa)
        own_mean = rest / np.maximum(left, 1.0)
        own = rest_square / np.maximum(left, 1.0) - own_mean - own_mean**2
        own = np.maximum(own / np.maximum(own_mean, 1e-9) ** 2, 0.0)
        own = np.where(own_mean > 0, own, phi_all)
        return expected, (left * own + kappa * phi_all) / (left + kappa)

    def _week_shape(self, begin: I64, end: I64, mean: float, week: int) -> F64:
        """Return how all actors' calls lie over the week, 1.0 on average."""
        low, high = int(begin.min()), int(end.max())
        alive = np.zeros(high - low + 2)
        np.add.at(alive, begin - low, 1.0)
        np.add.at(alive, end - low + 1, -1.0)
        alive = np.cumsum(alive)[:-1]
        place = (np.arange(low, high + 1)) % week
        exposure = np.bincount(place, weights=alive, minlength=week)
        calls = np.bincount(self.bucket % week, weights=self.count, minlength=week)
        prior = KAPPA
        return np.asarray((calls + prior * mean) / (exposure * mean + prior * mean))

    def cold_start(self) -> F64:
        """Return per actor the surprise of its calls per active day, where it has no history.

        A robust z over all actors' logarithms; below the published cut it counts for nothing.
        """
        from scipy import stats

        begin, end = self.span
        active = np.diff(self.first)
        rate = np.log1p(self._sum(self.count) / active)
        middle = float(np.median(rate))
        deviation = float(np.median(np.abs(rate - middle)))
        if not deviation:
            return np.zeros(len(rate))
        z = 0.6745 * (rate - middle) / deviation
        fresh = (end - begin + 1) * self.width <= KAPPA
        surprise = np.minimum(-stats.norm.logsf(z), _MOST_NATS)
        return np.where(fresh & (z > ROBUST_Z), surprise, 0.0)


def _places(begin: I64, end: I64, place: I64, week: int) -> F64:
    """Count the buckets of ``begin..end`` that lie at one place of the week."""
    return np.asarray(((end - place) // week - (begin - 1 - place) // week).astype(np.float64))


def slow_drip(table: _Counts, mean: F64, phi: F64) -> F64:
    """Return per row the surprise of a small, lasting rise: the higher of EWMA and CUSUM.

    Both run over the actor's buckets in order; buckets without calls pull them down.  Actors with
    fewer than 14 buckets have no chart.
    """
    from scipy import stats

    begin, end = table.span
    sigma = np.sqrt(mean + phi * mean**2)
    z = np.clip((table.count - mean) / sigma, -_DRIP_CLIP, _DRIP_CLIP)
    idle = np.clip(mean / sigma, 0.0, _DRIP_CLIP)
    long = (end - begin + 1) >= _DRIP_LEAST
    size = np.diff(table.first)
    width = np.sqrt(EWMA_LAMBDA / (2.0 - EWMA_LAMBDA))
    cusum, ewma = np.zeros(len(size)), np.zeros(len(size))
    out = np.zeros(len(z))
    # One step per active day of the busiest actor, each over all actors at once.
    for step in range(int(size[long].max(initial=0))):
        who = np.flatnonzero(long & (size > step))
        row = table.first[who] + step
        gap = (table.bucket[row] - table.bucket[row - 1] - 1) if step else np.zeros(len(who))
        fall = gap * (idle[row] + CUSUM_SLACK)
        cusum[who] = np.maximum(0.0, cusum[who] - fall)
        cusum[who] = np.maximum(0.0, cusum[who] + z[row] - CUSUM_SLACK)
        keep = (1.0 - EWMA_LAMBDA) ** gap
        ewma[who] = ewma[who] * keep - idle[row] * (1.0 - keep)
        ewma[who] = (1.0 - EWMA_LAMBDA) * ewma[who] + EWMA_LAMBDA * z[row]
        height = np.where(cusum[who] > CUSUM_LIMIT, cusum[who], 0.0)
        far = ewma[who] / width
        height = np.maximum(height, np.where(far > EWMA_LIMIT, -stats.norm.logsf(far), 0.0))
        out[row] = np.minimum(height, _MOST_NATS)
    return out


def fan(unit: I64, other: I64, time: I64) -> tuple[F64, F64]:
    """Judge per call how many *others* its unit meets on that day (addresses, or credentials).

    Args:
        unit: unit code per call, none negative.
        other: code of what it is seen with, none negative.
        time: microseconds since 1970 UTC per call.

    Returns:
        Surprise in nats, and the number of others on that day, per call.
    """
    if not len(unit):
        return np.zeros(0), np.zeros(0)
    day = time // (24 * _HOUR_US)
    low = int(day.min())
    span = int(day.max()) - low + 1
    key, call, _ = _grouped(unit * span + (day - low))
    # Codes are dense and days few, so the product stays far below 2**63.
    pairs = _grouped(call * (int(other.max()) + 1) + other)[0] // (int(other.max()) + 1)
    met = np.bincount(pairs, minlength=len(key))
    holder = key // span
    beyond = met - 1.0
    first = np.flatnonzero(np.append(True, holder[1:] != holder[:-1]))
    size = np.diff(np.append(first, len(key))).astype(np.float64)
    who = np.repeat(np.arange(len(first)), size.astype(np.int64))
    total, square = np.add.reduceat(beyond, first), np.add.reduceat(beyond**2, first)
    mean = (float(total.sum()) + 0.5) / (float(size.sum()) + 1.0)
    phi = max((float(square.sum()) + 0.5) / (float(size.sum()) + 1.0) - mean - mean**2, 0.0)
    phi /= mean**2
    # Own history is worth as much as one day of everybody's: a shared office stays itself.
    expected = (total[who] - beyond + mean) / size[who]
    surprise = tail(
        np.asarray(beyond, np.float64), np.asarray(expected, np.float64), np.full(len(who), phi)
    )
    return surprise[call], met.astype(np.float64)[call]


def _grouped(key: I64) -> tuple[I64, I64, I64]:
    """Return distinct keys ascending, each row's place among them, and how often each occurs.

    Calls come in actor and time order, so that most keys are ascending already.
    """
    if (key[1:] >= key[:-1]).all():
        begin = np.append(True, key[1:] != key[:-1])
        starts = np.flatnonzero(begin)
        return key[starts], np.cumsum(begin) - 1, np.diff(np.append(starts, len(key)))
    rows, place, count = np.unique(key, return_inverse=True, return_counts=True)
    return rows, place.astype(np.int64), count.astype(np.int64)
