"""S4, second half: combine detectors into techniques and techniques into one verdict per unit.

Weighted Cauchy combination (Liu and Xie 2020) of per-detector p-values, then ranked again among
ordinary actors, which takes out what the approximation, the clipping and the dependence of the
detectors leave.  Fisher and Stouffer are not used: with correlated detectors their false-positive
rate is tens of times the nominal one.  Selection over all units is Benjamini-Hochberg, valid for
conformal p-values that share a calibration set (Bates et al. 2023).

The re-ranking uses *leave-one-out* instead of a split: every ordinary actor's fused score is
computed against all other ordinary actors, a tested unit's against all of them.  Both are the same
symmetric function of the other scores, so ranks stay exchangeable, and no actor is spent on a
separate split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.calibrate import conformal_p, gpd_p, soft_p, soft_p_left_out
from irkit.analyzers.registry import Statistic
from irkit.model import Technique

F64 = NDArray[np.float64]

#: Upper clip of a plain combination, so that one null p-value does not cancel a small one.
_CLIP = 0.99
#: Upper clip inside the fusion.  Most detectors see nothing in most windows (p = 1, by ties); at
#: 0.5 they count for nothing instead of against.  Ranking the result again makes any clip valid.
_NULL = 0.5
_LEAST = 1e-300
#: A technique is only tested where a detector with at least this weight speaks.
PRIMARY = 2.0
_KAPPA = 0.5
TECHNIQUES: tuple[Technique, ...] = tuple(Technique)


def cauchy(p: F64, weights: F64, clip: float = _CLIP) -> F64:
    """Combine p-values along the last axis with the weighted Cauchy combination.

    Args:
        p: p-values, shape (..., K).
        weights: non-negative weights, shape (K,).
        clip: largest value a p-value enters with.
    """
    clipped = np.clip(p, _LEAST, clip)
    share = weights / weights.sum()
    # cot(pi p) is tan((0.5 - p) pi) without losing small p to the 0.5.
    t = (share / np.tan(np.pi * clipped)).sum(-1)
    with np.errstate(divide="ignore"):
        # arctan(1/t)/pi keeps its precision for large t; negative t lies in the other half.
        q = np.where(t > 0, np.arctan(1.0 / np.where(t == 0, 1.0, t)) / np.pi, 0.0)
        q = np.where(t <= 0, 0.5 - np.arctan(t) / np.pi, q)
    return np.asarray(q)


def cauchy_by_group(p: F64, owner: NDArray[np.int64], count: int) -> F64:
    """Combine p-values of each owner with equal weights (owners without any get 1)."""
    clipped = np.clip(p, _LEAST, _CLIP)
    total = np.bincount(owner, weights=1.0 / np.tan(np.pi * clipped), minlength=count)
    number = np.bincount(owner, minlength=count)
    t = total / np.maximum(number, 1)
    safe = np.where(t == 0, 1.0, t)
    q = np.where(t > 0, np.arctan(1.0 / safe) / np.pi, 0.5 - np.arctan(t) / np.pi)
    out = np.where(number > 0, q, 1.0)
    # One p-value is its own combination, also where it is 1 and would be clipped.
    single = number[owner] == 1
    out[owner[single]] = p[single]
    return out


def benjamini_hochberg(p: F64, weights: F64 | None = None) -> F64:
    """Return BH-adjusted p-values (q-values) of one family.

    Args:
        p: p-values.
        weights: prior weights, set without looking at the p-values; scaled to mean 1, they move
            power between hypotheses and keep the false-discovery rate (Genovese et al. 2006).
    """
    count = len(p)
    if not count:
        return np.zeros(0)
    if weights is not None:
        p = np.minimum(1.0, p * weights.mean() / weights)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * count / np.arange(1, count + 1)
    q = np.empty(count)
    q[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return q


def e_value(p: F64) -> F64:
    """Calibrate p-values to e-values with ``kappa * p**(kappa - 1)`` (Vovk and Wang 2021)."""
    return np.asarray(_KAPPA * np.clip(p, 1e-12, 1.0) ** (_KAPPA - 1.0))


def e_benjamini_hochberg(e: F64, level: float) -> NDArray[np.bool_]:
    """Select by e-BH: valid under any dependence (Wang and Ramdas 2022)."""
    count = len(e)
    order = np.argsort(-e, kind="stable")
    rank = np.arange(1, count + 1)
    passing = np.flatnonzero(e[order] >= count / (rank * level))
    selected = np.zeros(count, np.bool_)
    if passing.size:
        selected[order[: passing[-1] + 1]] = True
    return selected


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Fused results of some windows against one calibration table.

    Attributes:
        p: per statistic conformal p (NaN where the statistic does not speak), shape (M, K).
        technique: per technique re-ranked p (NaN where not tested), shape (M, T).
        order: per technique the Cauchy p before re-ranking; orders ties below the floor.
        overall: re-ranked p over all techniques, shape (M,).
        tail: overall p extrapolated by a generalised Pareto tail (NaN: not in the tail, or too few
            ordinary actors); shown, never used.
        ties: share of ordinary actors (and the window itself) whose overall rank is the same.
        size: ordinary actors compared with.
    """

    p: F64
    technique: F64
    order: F64
    overall: F64
    tail: F64
    ties: F64
    size: int


def technique_weights(statistics: Sequence[Statistic]) -> F64:
    """Return prior weights, shape (T, K)."""
    return np.array(
        [[s.weights.get(technique, 0.0) for s in statistics] for technique in TECHNIQUES]
    )


def deciding(statistics: Sequence[Statistic]) -> NDArray[np.bool_]:
    """Return which statistics may decide a technique, shape (K,)."""
    return np.array([not s.supporting for s in statistics], np.bool_)


class Fusion:
    """Combination fitted on one calibration table for one set of speaking statistics."""

    def __init__(
        self,
        table: F64,
        speaking: NDArray[np.bool_],
        weights: F64,
        decides: NDArray[np.bool_],
    ) -> None:
        """Fit on ordinary windows.

        Args:
            table: ordinary scores, shape (N, K); rows with a NaN among speaking columns drop.
            speaking: which of the K statistics are computed for the tested windows.
            weights: technique weights, shape (T, K).
            decides: which of the K statistics may decide a technique.
        """
        known = ~np.isnan(table).all(0) if len(table) else np.zeros(len(speaking), np.bool_)
        self.columns: NDArray[np.int64] = np.flatnonzero(speaking & known)
        rows = ~np.isnan(table[:, self.columns]).any(1) if len(table) else np.zeros(0, np.bool_)
        ordinary = table[rows][:, self.columns]
        self.size = len(ordinary)
        self.statistics = table.shape[1] if table.ndim == 2 else 0
        self._ordered = np.sort(ordinary, axis=0)
        here = weights[:, self.columns]
        self.tested = (
            (here >= PRIMARY).any(1) if self.columns.size else np.zeros(len(weights), np.bool_)
        )
        self._weights = here
        self._decides = decides[self.columns]
        soft = np.empty(ordinary.shape)
        for i in range(len(self.columns)):
            soft[:, i] = soft_p_left_out(ordinary[:, i])
        fused = self._fuse(soft)
        self._technique = np.sort(-np.log(fused), axis=0)
        self._overall = np.sort(-np.log(self._all(fused)))

    def _fuse(self, soft: F64) -> F64:
        out = np.full((len(soft), len(TECHNIQUES)), 1.0)
        for t in np.flatnonzero(self.tested).tolist():
            used = self._weights[t] > 0
            least = soft[:, used & self._decides].min(1)
            # A technique is never more surprising than the best detector that may decide it.
            combined = cauchy(soft[:, used], self._weights[t, used], _NULL)
            out[:, t] = np.where(least < 1.0, np.minimum(np.maximum(combined, least), 1.0), 1.0)
        return out

    def _all(self, fused: F64) -> F64:
        if not self.tested.any():
            return np.ones(len(fused))
        return cauchy(fused[:, self.tested], np.ones(int(self.tested.sum())), _NULL)

    def apply(self, scores: F64) -> Verdicts:
        """Judge tested windows, scores of shape (M, K)."""
        count = len(scores)
        p = np.full((count, self.statistics), np.nan)
        technique = np.full((count, len(TECHNIQUES)), np.nan)
        order = np.full((count, len(TECHNIQUES)), np.nan)
        if not self.size or not self.columns.size:
            none = np.full(count, np.nan)
            return Verdicts(p, technique, order, np.ones(count), none, np.ones(count), self.size)
        soft = np.empty((count, len(self.columns)))
        for place, column in enumerate(self.columns.tolist()):
            ordered = self._ordered[:, place]
            p[:, column] = conformal_p(ordered, scores[:, column])
            soft[:, place] = soft_p(ordered, scores[:, column])
        fused = self._fuse(soft)
        for t in np.flatnonzero(self.tested).tolist():
            technique[:, t] = conformal_p(self._technique[:, t], -np.log(fused[:, t]))
            order[:, t] = fused[:, t]
        combined = -np.log(self._all(fused))
        overall = conformal_p(self._overall, combined)
        level = np.searchsorted(self._overall, combined, "right")
        level -= np.searchsorted(self._overall, combined, "left")
        ties = (1.0 + level.astype(np.float64)) / (1.0 + self.size)
        tail = gpd_p(self._overall, combined)
        return Verdicts(p, technique, order, overall, tail, ties, self.size)
