"""How well scores tell members from others: AUC, TPR at a low FPR, balanced accuracy, DP bounds.

Scores are higher for members.  Formulas: DeLong et al. 1988 for the variance of an AUC, Clopper and
Pearson 1934 for a proportion, MOVER (Zou and Donner 2008) for the mean of two; low false-positive
rates as the measure of membership inference: Carlini et al. 2022, section IV.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

#: Confidence of every interval.
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate between two limits."""

    value: float
    low: float
    high: float

    def rounded(self) -> list[float]:
        """Estimate, low and high to four digits, as exports show them."""
        return [round(self.value, 4), round(self.low, 4), round(self.high, 4)]


@dataclass(frozen=True, slots=True)
class AtRate:
    """True-positive rate at a bound on the false-positive rate.

    Attributes:
        target: the bound.
        false: false positives that the bound allows among the non-members.
        tpr: share of members above the threshold.
        resolved: there are enough non-members (one over the bound) to tell the rate from zero.
    """

    target: float
    false: int
    tpr: Interval
    resolved: bool


@dataclass(frozen=True, slots=True)
class Crossed:
    """Guesses of each half of the records by the threshold that is best on the other half.

    Attributes:
        tpr: share of members guessed right.
        tnr: share of non-members guessed right.
        balanced: their mean, with MOVER limits.
        true_positives: members guessed right.
        true_negatives: non-members guessed right.
    """

    tpr: Interval
    tnr: Interval
    balanced: Interval
    true_positives: int
    true_negatives: int


def clopper_pearson(hits: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Exact limits of a proportion (two-sided)."""
    from scipy import stats

    if trials == 0:
        return Interval(float("nan"), 0.0, 1.0)
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, trials - hits)) if hits < trials else 1.0
    return Interval(hits / trials, low, high)


def auc(members: F64, others: F64) -> Interval:
    """Chance that a member scores above a non-member, ties counting half.

    Limits are DeLong's on the logit scale.  Where all pairs agree his variance is zero; then as
    many pairs as can be formed without using a record twice are taken for independent trials.
    """
    from scipy import stats

    n, m = len(members), len(others)
    ranks = stats.rankdata(np.concatenate([members, others]))
    inner_a, inner_b = stats.rankdata(members), stats.rankdata(others)
    # Placement values: share of the other group below each score.
    v_members = (ranks[:n] - inner_a) / m
    v_others = 1 - (ranks[n:] - inner_b) / n
    value = float(v_members.mean())
    variance = 0.0
    if n > 1 and m > 1:
        variance = float(v_members.var(ddof=1) / n + v_others.var(ddof=1) / m)
    if variance > 0 and 0 < value < 1:
        z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
        centre = math.log(value / (1 - value))
        half = z * math.sqrt(variance) / (value * (1 - value))
        return Interval(value, _expit(centre - half), _expit(centre + half))
    pairs = min(n, m)
    return clopper_pearson(round(value * pairs), pairs) if value in (0.0, 1.0) else Interval(
        value, 0.0, 1.0
    )  # fmt: skip


def at_rate(members: F64, others: F64, target: float) -> AtRate:
    """Share of members above all but the allowed number of non-members."""
    allowed = math.floor(target * len(others) + 1e-9)
    edge = np.sort(others)[::-1][allowed] if allowed < len(others) else -math.inf
    hits = int((members > edge).sum())
    return AtRate(
        target, allowed, clopper_pearson(hits, len(members)), len(others) * target >= 1 - 1e-9
    )


def best_threshold(members: F64, others: F64) -> float:
    """Threshold with the best balanced accuracy; scores at or above it are guessed members."""
    cuts = np.unique(np.concatenate([members, others]))
    hit = 1 - np.searchsorted(np.sort(members), cuts, "left") / max(1, len(members))
    clear = np.searchsorted(np.sort(others), cuts, "left") / max(1, len(others))
    total = hit + clear
    best = int(total.argmax())
    if total[best] <= 1.0:
        return float(cuts[-1]) + 1.0
    # Halfway to the next score below: the next sample's scores fall on both sides.
    return float((cuts[best] + cuts[best - 1]) / 2) if best else float(cuts[best])


def crossed(members: F64, others: F64, seed: int, confidence: float = CONFIDENCE) -> Crossed:
    """Guess each half by the other half's best threshold, so that no record judges itself.

    Args:
        members: scores of members, at least two.
        others: scores of non-members, at least two.
        seed: seed of the halving.
        confidence: of the limits.
    """
    rng = np.random.default_rng(seed)
    half_a = rng.permutation(len(members)) % 2 == 0
    half_b = rng.permutation(len(others)) % 2 == 0
    right = clear = 0
    for side in (True, False):
        cut = best_threshold(members[half_a == side], others[half_b == side])
        right += int((members[half_a != side] >= cut).sum())
        clear += int((others[half_b != side] < cut).sum())
    tpr = clopper_pearson(right, len(members), confidence)
    tnr = clopper_pearson(clear, len(others), confidence)
    value = (tpr.value + tnr.value) / 2
    down = math.hypot(tpr.value - tpr.low, tnr.value - tnr.low) / 2
    up = math.hypot(tpr.high - tpr.value, tnr.high - tnr.value) / 2
    return Crossed(tpr, tnr, Interval(value, value - down, min(1.0, value + up)), right, clear)


# -- differential privacy -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PrivacyCheck:
    """A claim of differential privacy beside what was measured.

    Attributes:
        epsilon: claimed.
        delta: claimed.
        bound: largest advantage (TPR minus FPR) that the claim allows.
        advantage: measured, with joint limits.
        epsilon_at_least: smallest epsilon that fits the lower limits; 0 where any does.
        holds: the measured lower limits do not contradict the claim.
        reason: which inequality fails, in words; empty where none does.
    """

    epsilon: float
    delta: float
    bound: float
    advantage: Interval
    epsilon_at_least: float
    holds: bool
    reason: str


def advantage_bound(epsilon: float, delta: float) -> float:
    """Largest TPR minus FPR under (epsilon, delta)-differential privacy.

    Kairouz, Oh and Viswanath 2015 (theorem 2.1): any test between two neighbouring training sets
    obeys ``FPR + e^eps FNR >= 1 - delta`` and ``e^eps FPR + FNR >= 1 - delta``.  Added up,
    ``FPR + FNR >= 2 (1 - delta) / (1 + e^eps)``, with equality at their corner, so
    ``TPR - FPR = 1 - (FPR + FNR) <= (e^eps - 1 + 2 delta) / (e^eps + 1)``: the bound of Humphries
    et al. 2023 (theorem 3.4) for membership of independent records.
    """
    if epsilon > 700:
        return 1.0
    grown = math.exp(epsilon)
    return min(1.0, (grown - 1 + 2 * delta) / (grown + 1))


def privacy_check(
    found: Crossed, members: int, others: int, epsilon: float, delta: float
) -> PrivacyCheck:
    """Set a claim of differential privacy beside guesses made by thresholds of the other half.

    Each rate's two-sided 95 % interval has 2.5 % beyond the limit that matters, so that both limits
    hold together with 95 %.

    Args:
        found: guesses.
        members: members guessed.
        others: non-members guessed.
        epsilon: claimed epsilon.
        delta: claimed delta.
    """
    tpr = clopper_pearson(found.true_positives, members)
    tnr = clopper_pearson(found.true_negatives, others)
    value = tpr.value + tnr.value - 1
    advantage = Interval(value, tpr.low + tnr.low - 1, tpr.high + tnr.high - 1)
    bound = advantage_bound(epsilon, delta)
    grown = math.exp(min(epsilon, 700.0))
    reasons = []
    if advantage.low > bound:
        reasons.append("the advantage exceeds (e^eps - 1 + 2 delta) / (e^eps + 1)")
    if tpr.low > grown * (1 - tnr.low) + delta:
        reasons.append("TPR exceeds e^eps FPR + delta")
    if tnr.low > grown * (1 - tpr.low) + delta:
        reasons.append("TNR exceeds e^eps FNR + delta")
    least = max(
        _log_ratio(tpr.low - delta, 1 - tnr.low), _log_ratio(tnr.low - delta, 1 - tpr.low), 0.0
    )
    return PrivacyCheck(epsilon, delta, bound, advantage, least, not reasons, "; ".join(reasons))


def _log_ratio(above: float, below: float) -> float:
    return math.log(above / below) if above > 0 and below > 0 else 0.0


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
