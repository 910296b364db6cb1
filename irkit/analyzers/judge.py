"""From actors to verdicts: windows, calibration table, fusion, one line per actor and detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.baseline import ANY, Baseline
from irkit.analyzers.calibrate import Promise
from irkit.analyzers.fuse import (
    TECHNIQUES,
    Fusion,
    cauchy_by_group,
    deciding,
    e_value,
    technique_weights,
)
from irkit.analyzers.scoring import PREDICT, Scorer, window_strata
from irkit.analyzers.sequences import (
    BUCKETS,
    Units,
    Windows,
    joined_windows,
    subset,
    tiled_windows,
    whole_units,
)
from irkit.model import UnitKind

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Fewest ordinary windows of a stratum that are preferred over all strata together.
_STRATUM_LEAST = 200
#: Share of the best-filled bucket's ordinary windows that a bucket must have to be used.
_CROWDED = 0.25
#: Fewest ordinary windows of a bucket that a rank among them is worth something.
_RANK_LEAST = 50


@dataclass(slots=True)
class Judged:
    """Verdicts on all actors of one kind, one row per actor.

    Attributes:
        units: the actors.
        tested: whether any statistic spoke about the actor.
        bucket: window size it was compared at (0: not tested).
        windows: number of windows.
        score: per statistic the largest window score (NaN: silent), shape (U, K).
        p: per statistic the combined p-value, shape (U, K).
        technique: per technique the combined, re-ranked p-value (NaN: not tested), shape (U, T).
        order: per technique the combined p-value before re-ranking, for ties and attribution.
        overall: p-value over all techniques.
        tail: the smallest window's extrapolated p-value, times the number of windows (NaN: none).
        first: the same of each actor's first window alone, with the share of ties at its rank.
        e: mean e-value of the detectors that spoke.
        size: ordinary actors compared with.
        levels: where ordinary actors came from, in words.
        level: index into ``levels`` per actor (-1: not compared).
        signatures: which signatures the actor shows, shape (U, S).
    """

    units: Units
    tested: Bools
    bucket: I64
    windows: I64
    score: F64
    p: F64
    technique: F64
    order: F64
    overall: F64
    tail: F64
    first: tuple[F64, F64]
    e: F64
    size: I64
    levels: list[str]
    level: I64
    signatures: Bools

    @property
    def kind(self) -> UnitKind:
        """Level of the lattice."""
        return self.units.kind


@dataclass(frozen=True, slots=True)
class Court:
    """What units are judged with.

    Attributes:
        scorer: detectors' scores of the case.
        baseline: ordinary actors.
        usable: statistic keys whose calibration fits the detectors' versions.
        alpha: error rate per unit that is to be promised.
        stratum: compare with this stratum only, whatever the tested calls are.
        valid: whether the calibration fits this case; if not, p-values are withheld.
    """

    scorer: Scorer
    baseline: Baseline
    usable: frozenset[str]
    alpha: float
    stratum: str | None = None
    valid: bool = True

    def buckets(self, stratum: str = ANY) -> list[int]:
        """Window sizes with enough ordinary actors for a promise, else all there are."""
        of = self.stratum or stratum
        sizes = {b: self.baseline.size(b, of) for b in BUCKETS if self.baseline.size(b, of)}
        if not sizes:
            return []
        enough = [b for b, n in sizes.items() if Promise.of(n, self.alpha).k]
        # A larger window sees more, but p-values cannot be smaller than one in the number of
        # ordinary actors that fill it; where few do, the next smaller window proves more.
        most = max((sizes[b] for b in enough), default=0)
        enough = [b for b in enough if sizes[b] >= _CROWDED * most]
        # Without any promise only ranks are left, and larger windows rank better.
        return enough or [b for b, n in sizes.items() if n >= min(_RANK_LEAST, max(sizes.values()))]


def judge(court: Court, units: Units) -> Judged:
    """Judge every actor of one kind."""
    scorer = court.scorer
    count, width = len(units), len(scorer.statistics)
    none = np.full((count, width), np.nan)
    judged = Judged(
        units,
        np.zeros(count, np.bool_),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        none,
        none.copy(),
        np.full((count, len(TECHNIQUES)), np.nan),
        np.full((count, len(TECHNIQUES)), np.nan),
        np.ones(count),
        np.full(count, np.nan),
        (np.ones(count), np.ones(count)),
        np.full(count, np.nan),
        np.zeros(count, np.int64),
        [],
        np.full(count, -1, np.int64),
        np.zeros((count, 0), np.bool_),
    )
    if not count:
        return judged
    shown = [hits for _, _, hits in scorer.signatures(whole_units(units))]
    if shown:
        judged.signatures = np.column_stack(shown)
    windows = _windows(court, units)
    if not len(windows):
        return judged
    actor = np.searchsorted(units.code, windows.unit)
    scores = scorer.table(windows)
    _combine(court, judged, windows, actor, scores)
    return judged


def _windows(court: Court, units: Units) -> Windows:
    """Cut actors into windows of sizes that ordinary actors of their kind of traffic fill."""
    vectors = court.scorer.log.has_vectors
    if court.stratum or not vectors.any():
        return tiled_windows(units, court.buckets())
    whole = whole_units(units)
    sends = whole.total(vectors) / np.maximum(whole.sizes, 1) >= 0.5
    # Without ordinary classifier clients nothing can be compared, but what was seen is still told.
    return joined_windows(
        tiled_windows(subset(units, ~sends), court.buckets()),
        tiled_windows(subset(units, sends), court.buckets(PREDICT) or BUCKETS),
    )


def _combine(court: Court, judged: Judged, windows: Windows, actor: I64, scores: F64) -> None:
    scorer = court.scorer
    count = len(judged.units)
    statistics = [statistic for _, statistic in scorer.statistics]
    keys = [statistic.key for statistic in statistics]
    weights, decides = technique_weights(statistics), deciding(statistics)
    usable = np.array([key in court.usable for key in keys], np.bool_)
    stratum = window_strata(scorer.log, windows)
    speaking = ~np.isnan(scores) & usable
    p = np.full(scores.shape, np.nan)
    technique = np.full((len(windows), len(TECHNIQUES)), np.nan)
    order = np.full((len(windows), len(TECHNIQUES)), np.nan)
    overall = np.ones(len(windows))
    ties, tail = np.ones(len(windows)), np.full(len(windows), np.nan)
    size = np.zeros(len(windows), np.int64)
    for bucket, name, mask, rows in _alike(windows.bucket, stratum, speaking):
        level, table = _table(court, keys, bucket, name)
        fusion = Fusion(table, mask, weights, decides)
        verdicts = fusion.apply(scores[rows])
        p[rows], technique[rows], order[rows] = verdicts.p, verdicts.technique, verdicts.order
        overall[rows], ties[rows], size[rows] = verdicts.overall, verdicts.ties, verdicts.size
        tail[rows] = verdicts.tail
        judged.levels.append(f"{level}, windows of {bucket}")
        judged.level[actor[rows]] = len(judged.levels) - 1
    judged.tested[actor] = size > 0
    judged.bucket[actor] = np.where(size > 0, windows.bucket, 0)
    judged.windows = np.bincount(actor, minlength=count)
    judged.size[actor] = size
    judged.overall = cauchy_by_group(overall, actor, count)
    least = np.full(count, np.inf)
    np.minimum.at(least, actor, np.where(np.isnan(tail), np.inf, tail))
    judged.tail = np.where(np.isinf(least), np.nan, np.minimum(least * judged.windows, 1.0))
    known, begin = np.unique(actor, return_index=True)
    judged.first[0][known], judged.first[1][known] = overall[begin], ties[begin]
    for i in range(len(keys)):
        judged.score[:, i] = _peak(scores[:, i], actor, count)
        judged.p[:, i] = _cauchy(p[:, i], actor, count)
    for t in range(len(TECHNIQUES)):
        judged.technique[:, t] = _cauchy(technique[:, t], actor, count)
        judged.order[:, t] = _cauchy(order[:, t], actor, count)
    evidence = e_value(judged.p)
    spoke = (~np.isnan(evidence)).sum(1)
    judged.e = np.where(spoke > 0, np.nansum(evidence, axis=1) / np.maximum(spoke, 1), np.nan)


def _alike(
    bucket: I64, stratum: NDArray[np.str_], speaking: Bools
) -> list[tuple[int, str, Bools, I64]]:
    """Group windows that are judged with the same table and the same statistics."""
    code = speaking @ (1 << np.arange(speaking.shape[1], dtype=np.int64))
    names, place = np.unique(stratum, return_inverse=True)
    key = np.stack([bucket, place.astype(np.int64), code])
    groups, inverse = np.unique(key, axis=1, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    cuts = np.searchsorted(inverse[order], np.arange(groups.shape[1] + 1))
    out = []
    for i in range(groups.shape[1]):
        rows = order[cuts[i] : cuts[i + 1]]
        out.append((int(groups[0, i]), str(names[groups[1, i]]), speaking[rows[0]], rows))
    return out


def _table(court: Court, keys: Sequence[str], bucket: int, stratum: str) -> tuple[str, F64]:
    """Prefer the window's own stratum where it is large enough for the promise."""
    if court.stratum:
        table = court.baseline.columns(list(keys), bucket, court.stratum)
        return f"{court.stratum}s of ordinary actors", table
    own = court.baseline.size(bucket, stratum)
    if stratum == PREDICT:
        # Ranks among language traffic would mean nothing here: own stratum, or no comparison.
        return "classifier calls", court.baseline.columns(list(keys), bucket, stratum)
    if own >= _STRATUM_LEAST and Promise.of(own, court.alpha).k:
        return f"{stratum} calls", court.baseline.columns(list(keys), bucket, stratum)
    return "all calls", court.baseline.columns(list(keys), bucket, ANY)


def _cauchy(values: F64, actor: I64, count: int) -> F64:
    known = ~np.isnan(values)
    out = np.full(count, np.nan)
    if known.any():
        combined = cauchy_by_group(values[known], actor[known], count)
        has = np.bincount(actor[known], minlength=count) > 0
        out[has] = combined[has]
    return out


def _peak(values: F64, actor: I64, count: int) -> F64:
    known = ~np.isnan(values)
    out = np.full(count, -np.inf)
    np.maximum.at(out, actor[known], values[known])
    return np.where(np.isinf(out), np.nan, out)
