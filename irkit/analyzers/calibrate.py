"""S4, first half: conformal p-values, what may be promised with them, and what may not.

Scores of ordinary actors, one window per actor and size bucket, are exchangeable with those of one
more ordinary actor; the rank of a tested window among them is therefore a valid p-value whatever
the statistic's distribution (Vovk et al. 2005).  The *training-conditional* promise for the one
calibration set at hand follows Vovk 2012 and Bates et al. 2023: reject iff ``p <= k/(N+1)`` with
the largest ``k`` whose Beta(k, N+1-k) quantile at ``1 - delta`` is at most ``alpha``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

DELTA = 0.10
#: Share of actors taken for attackers before looking, for the bound on the posterior.
PRIOR = 1e-3
#: Fewest ordinary scores whose tail may be extrapolated, and the part of them that is the tail.
GPD_LEAST, _GPD_TAIL = 2000, 0.05
#: Decay of the parametric tail that orders scores above every ordinary one.  It never becomes a
#: p-value: fused scores are ranked among ordinary actors again.
_TAIL_POWER = 4.0
_LEAST_SCALE = 0.5


def conformal_p(ordered: F64, scores: F64) -> F64:
    """Rank scores among ordinary ones: ``(1 + #{ordinary >= score}) / (N + 1)``.

    Args:
        ordered: ordinary scores, ascending.
        scores: tested scores.
    """
    above = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return np.asarray((1.0 + above) / (1.0 + len(ordered)))


@lru_cache(maxsize=256)
def k_star(size: int, alpha: float = 1e-3, delta: float = DELTA) -> int:
    """Return the largest number of exceedances that keeps the promise; 0 means none is possible.

    ``k_star(N) >= 1`` needs ``N >= ln(delta) / ln(1 - alpha)``: 2,302 at 1e-3 and 90 %.
    """
    from scipy import stats

    k = np.arange(1, int(3 * alpha * size) + 10)
    kept = k[stats.beta.ppf(1 - delta, k, size + 1 - k) <= alpha]
    return int(kept.max()) if kept.size else 0


def least_size(alpha: float, delta: float = DELTA) -> int:
    """Return the fewest ordinary actors with which anything can be promised: 2,302 at 1e-3."""
    return math.ceil(math.log(delta) / math.log1p(-alpha))


@dataclass(frozen=True, slots=True)
class Promise:
    """What the calibration size allows to say at one error rate.

    Attributes:
        size: ordinary actors compared with.
        k: rank up to which a unit is rejected under the promise (0: no promise).
        marginal: whether a p-value at the error rate can exist at all.
    """

    size: int
    alpha: float
    delta: float
    k: int

    @classmethod
    def of(cls, size: int, alpha: float, delta: float = DELTA) -> Promise:
        """Work out the promise for a calibration of ``size`` actors."""
        return cls(size, alpha, delta, k_star(size, alpha, delta))

    @property
    def marginal(self) -> bool:
        """Whether any p-value can reach ``alpha``."""
        return (self.size + 1) * self.alpha >= 1.0

    @property
    def threshold(self) -> float:
        """Largest p-value that is rejected under the promise (0: none)."""
        return self.k / (self.size + 1)

    def text(self, *, generic: bool) -> str:
        """Word the promise for a report."""
        whom = (
            "the simulated ones that irkit carries"
            if generic
            else "those the calibration was made from"
        )
        if self.k:
            words = (
                f"Of ordinary actors like {whom}, at most {self.alpha:.2%} are flagged at this"
                f" level, with {1 - self.delta:.0%} confidence over the draw of the {self.size:,}"
                f" actors compared with (rank {self.k} or better)."
            )
        elif self.marginal:
            words = (
                f"On average over draws of {self.size:,} ordinary actors at most {self.alpha:.2%}"
                " are flagged; for this one draw nothing is promised, which would take"
                f" {least_size(self.alpha, self.delta):,}."
            )
        else:
            return (
                f"Rank only, no promise: {self.size:,} ordinary actors are too few for an error"
                f" rate of {self.alpha:.2%}; {least_size(self.alpha, self.delta):,} are needed."
            )
        if generic:
            words += " The traffic of this service was not compared with its own clean months."
        return words


def posterior_bound(p: float, prior: float = PRIOR) -> float:
    """Return the largest posterior that a p-value can support, given a prior.

    Sellke, Bayarri and Berger 2001: whatever the alternative (monotone in the p-value), the odds
    in its favour rise by at most ``1 / (-e p ln p)``.  An upper bound and no probability of guilt:
    the true posterior may be anything below it.
    """
    p = max(p, 1e-12)
    factor = 1.0 if p >= 1 / math.e else 1.0 / (-math.e * p * math.log(p))
    odds = prior / (1.0 - prior) * factor
    return odds / (1.0 + odds)


def gpd_p(ordered: F64, scores: F64) -> F64:
    """Extrapolate p-values beyond the largest ordinary score (NaN where that is not allowed).

    A generalised Pareto tail above the 95 % quantile, fitted by probability-weighted moments
    (Hosking and Wallis 1987); only for 2,000 or more ordinary scores, never below ``0.1 / N``.
    Such tails fire more often than they say: on halves of irkit's own calibration, at a nominal
    1e-4, 3.9 times as often with 2,000 ordinary actors and 1.4 times with 9,000 (at 1e-3, where
    ranks suffice, 1.0 to 1.2 times).  They are shown beside a conformal p-value and decide nothing.

    Args:
        ordered: ordinary scores, ascending.
        scores: tested scores.
    """
    size = len(ordered)
    start = size - round(_GPD_TAIL * size)
    if size < GPD_LEAST:
        return np.full(len(scores), np.nan)
    threshold = float(ordered[start - 1])
    excess = ordered[start:] - threshold
    count = len(excess)
    first = float(excess.mean())
    weight = 1.0 - (np.arange(1, count + 1) - 0.35) / count
    second = float((weight * excess).mean())
    if first <= 0 or first <= 2.0 * second:
        return np.full(len(scores), np.nan)
    shape = 2.0 - first / (first - 2.0 * second)
    scale = 2.0 * first * second / (first - 2.0 * second)
    beyond = np.maximum(scores - threshold, 0.0) / scale
    if abs(shape) < 1e-9:
        survival = np.exp(-beyond)
    else:
        base = np.maximum(1.0 + shape * beyond, 0.0)
        with np.errstate(divide="ignore"):
            survival = np.where(base > 0, base ** (-1.0 / shape), 0.0)
    p = np.maximum(_GPD_TAIL * survival, 0.1 / size)
    return np.where(scores > threshold, p, np.nan)


def soft_p(ordered: F64, scores: F64) -> F64:
    """Rank scores, and order those above every ordinary one by how far they exceed it.

    Equal to :func:`conformal_p` up to the largest ordinary score; beyond it the floor
    ``1/(N+1)`` shrinks with the excess measured in spans of the ordinary scores.  Used only to
    order evidence before it is ranked again, and to attribute techniques.
    """
    p = conformal_p(ordered, scores)
    if not len(ordered):
        return p
    top = float(ordered[-1])
    return np.where(scores > top, p * _decay(scores, top, _scale(ordered)), p)


def soft_p_left_out(scores: F64) -> F64:
    """:func:`soft_p` of every ordinary score against all the others (leave one out)."""
    size = len(scores)
    if size < 2:
        return np.ones(size)
    ordered = np.sort(scores)
    above = size - np.searchsorted(ordered, scores, side="left") - 1
    p = (1.0 + above) / size
    top, second = ordered[-1], ordered[-2]
    if top > second:
        p = np.where(scores == top, p * _decay(scores, second, _scale(ordered[:-1])), p)
    return np.asarray(p)


def _scale(ordered: F64) -> float:
    return max(_LEAST_SCALE, float(ordered[-1] - ordered[len(ordered) // 2]))


def _decay(scores: F64, top: float, scale: float) -> F64:
    return np.asarray((1.0 + np.maximum(scores - top, 0.0) / scale) ** -_TAIL_POWER)


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the case's own units lie from the calibration, in the body of the distribution.

    Attacks sit in the tail; a difference in the body means other traffic than calibrated on.

    Attributes:
        units: units compared.
        distance: Kolmogorov-Smirnov distance from uniform of the p-values above 0.1.
        p_value: of that distance.
        raised: the distance in the direction that hurts: this case's ordinary actors score higher
            than those calibrated on, so that p-values come out too small.
        raised_p: p-value of that.
    """

    units: int
    distance: float
    p_value: float
    raised: float = 0.0
    raised_p: float = 1.0

    @property
    def notable(self) -> bool:
        """Whether the difference is large and no accident."""
        return self.units >= 50 and self.distance > 0.15 and self.p_value < 0.01

    @property
    def invalid(self) -> bool:
        """Whether the calibration promises too much here; p-values are then withheld.

        Traffic that scores lower than the calibration only costs power and keeps the promise.
        """
        return self.units >= 50 and self.raised > 0.15 and self.raised_p < 0.01


def shift(p: F64, ties: F64, draw: F64) -> Shift:
    """Compare p-values with uniform above 0.1, ties broken by a fixed draw.

    Args:
        p: conformal p-values.
        ties: for each, the share of ordinary scores equal to its own.
        draw: numbers in [0, 1), fixed by the unit's number.
    """
    from scipy import stats

    body = p - ties * draw
    body = (body[body > 0.1] - 0.1) / 0.9
    if len(body) < 5:
        return Shift(len(body), 0.0, 1.0)
    body = np.clip(body, 0.0, 1.0)
    found: Any = stats.kstest(body, "uniform")
    raised: Any = stats.kstest(body, "uniform", alternative="greater")
    return Shift(
        *(len(body), float(found.statistic), float(found.pvalue)),
        *(float(raised.statistic), float(raised.pvalue)),
    )


def stationary(first: F64, second: F64) -> float:
    """Return the p-value that two halves of a baseline (by time) score alike."""
    from scipy import stats

    if min(len(first), len(second)) < 25:
        return 1.0
    return float(stats.ks_2samp(first, second).pvalue)
