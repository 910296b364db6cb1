"""Which verdicts become findings: one family over all actors, tiers, and attribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.calibrate import Promise
from irkit.analyzers.fuse import TECHNIQUES, benjamini_hochberg, e_benjamini_hochberg
from irkit.analyzers.judge import Court, Judged
from irkit.model import PKind, Technique, Tier

F64 = NDArray[np.float64]

#: Below this p-value an actor that is not selected is still shown (tier C).
SHOWN = 0.01
#: Window size from which an actor has full weight.
_FULL_SIZE = 25
#: A technique is named alone only where the runner-up is this much less surprising.
APART = 10.0
#: Fraction of the smallest possible p-value that a fused score must reach to be shown where too
#: few ordinary actors are known.
_FAR = 0.1
#: e-value that makes a selected actor tier A.
STRONG_E = 100.0


@dataclass(frozen=True, slots=True)
class Selected:
    """One actor and technique to report.

    Attributes:
        group: index of the actor's kind among the judged ones; ``unit`` its row there.
        technique: what is reported, ``runner_up`` what it is not clearly apart from.
        signature: index of the signature shown (-1: none).
        p: p-value over all techniques (None: rank only), ``q`` its BH value.
        strength: ``-log10`` of the fused p before re-ranking; orders findings.
        also: further techniques that hold inside this actor (Benjamini and Bogomolov 2014).
        by_e: whether the actor is selected by e-values, too (valid under any dependence).
        tail: p-value extrapolated beyond the calibration; shown, decides nothing.
    """

    group: int
    unit: int
    technique: Technique
    runner_up: Technique | None
    tier: Tier
    p_kind: PKind
    p: float | None
    q: float | None
    signature: int
    strength: float
    also: tuple[Technique, ...] = ()
    by_e: bool = False
    tail: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """All findings of a replay and the family they were selected from.

    Attributes:
        findings: what is reported.
        family: actors tested.
        selected: actors of tier A or B.
        by_e_values: actors that e-BH selects, which holds under any dependence between actors.
        tiers: findings per tier; actors for tier D.
    """

    findings: tuple[Selected, ...]
    family: int
    selected: int
    by_e_values: int
    tiers: dict[str, int]


def select(court: Court, judged: Sequence[Judged], fdr: float) -> Found:
    """Run weighted Benjamini-Hochberg over all actors of all kinds and attribute the rest."""
    signatures = [signature for _, signature in court.scorer.registry.signatures()]
    bound = np.array([_signature_p(court, signature.key) for signature in signatures])
    p_all, where = [], []
    for group, one in enumerate(judged):
        signed = (
            one.signatures.any(1) if one.signatures.shape[1] else np.zeros(len(one.units), bool)
        )
        p = one.overall.copy()
        if signed.any():
            least = np.where(one.signatures[signed], bound[None, :], 1.0).min(1)
            p[signed] = np.minimum(p[signed], least)
        rows = np.flatnonzero(one.tested | signed)
        p_all.append(p[rows])
        where.append(np.stack([np.full(len(rows), group), rows]))
    p = np.concatenate(p_all) if p_all else np.zeros(0)
    place = np.concatenate(where, axis=1) if where else np.zeros((2, 0), np.int64)
    q = benjamini_hochberg(p, _weights(judged, place))
    findings: list[Selected] = []
    tiers = dict.fromkeys((tier.value for tier in Tier), 0)
    chosen = 0
    e = np.concatenate([one.e[place[1, place[0] == g]] for g, one in enumerate(judged)])
    strict = e_benjamini_hochberg(np.nan_to_num(e, nan=0.0), fdr) if len(e) else np.zeros(0, bool)
    # Inside a selected actor, techniques are tested at the level that keeps the average share of
    # false ones over the selected actors (Benjamini and Bogomolov 2014).
    inside = fdr * max(1, int((q <= fdr).sum())) / max(1, len(p))
    shown = (p < SHOWN) | (q <= fdr) | _signed(judged, place) | _topmost(judged, place)
    for i in np.flatnonzero(shown).tolist():
        group, unit = int(place[0, i]), int(place[1, i])
        rows_ = _unit(court, judged[group], group, unit, float(p[i]), float(q[i]), fdr, bound)
        tail = judged[group].tail[unit]
        further = _further(judged[group], unit, inside) if q[i] <= fdr else ()
        named = {t for row in rows_ for t in (row.technique, row.runner_up)}
        rows_ = [
            replace(
                row,
                also=tuple(t for t in further if t not in named),
                by_e=bool(strict[i]),
                tail=float(tail) if tail == tail and court.valid else None,
            )
            for row in rows_
        ]
        findings += rows_
        chosen += bool(rows_ and rows_[0].tier in (Tier.A, Tier.B))
    for finding in findings:
        tiers[finding.tier.value] += 1
    tiers[Tier.D.value] = len(p) - len({(f.group, f.unit) for f in findings})
    return Found(tuple(findings), len(p), chosen, int(strict.sum()), tiers)


def _weights(judged: Sequence[Judged], place: NDArray[np.int64]) -> F64:
    """Weigh a level of the lattice by the root of its actors, windows below 25 queries by size.

    A log holds many more sessions than credentials, most of them a few calls long; unweighted, the
    mere number of short sessions would hide an actor that shows on every level.  Equal weight per
    level would waste the family on a level with a handful of actors.
    """
    out = np.ones(place.shape[1])
    for group, one in enumerate(judged):
        mine = place[0] == group
        if mine.any():
            size = np.clip(one.bucket[place[1, mine]] / _FULL_SIZE, 1 / _FULL_SIZE, 1.0)
            out[mine] = size / size.sum() * np.sqrt(mine.sum())
    return out


def _signed(judged: Sequence[Judged], place: NDArray[np.int64]) -> NDArray[np.bool_]:
    out = np.zeros(place.shape[1], np.bool_)
    for group, one in enumerate(judged):
        if one.signatures.shape[1]:
            mine = place[0] == group
            out[mine] = one.signatures[place[1, mine]].any(1)
    return out


def _topmost(judged: Sequence[Judged], place: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark actors far above every ordinary one where those are too few for a small p-value."""
    out = np.zeros(place.shape[1], np.bool_)
    for group, one in enumerate(judged):
        mine = np.flatnonzero(place[0] == group)
        unit = place[1, mine]
        least = np.where(np.isnan(one.order[unit]), 1.0, one.order[unit]).min(1, initial=1.0)
        floor = 1.0 / (1.0 + one.size[unit])
        out[mine] = (one.overall[unit] <= 2 * floor) & (least < _FAR * floor)
    return out


def _signature_p(court: Court, key: str) -> float:
    """Conformal p-value of showing a signature: how many ordinary actors did."""
    hits, size = court.baseline.signatures.get(key, (0, 0))
    return (1.0 + hits) / (1.0 + size)


def _unit(
    court: Court,
    one: Judged,
    group: int,
    unit: int,
    p: float,
    q: float,
    fdr: float,
    bound: F64,
) -> list[Selected]:
    registry = court.scorer.registry.signatures()
    best, second, strength = _attribute(one, unit)
    promise = Promise.of(int(one.size[unit]), court.alpha)
    ranked = promise.marginal and court.valid
    out: list[Selected] = []
    shown = np.flatnonzero(one.signatures[unit]) if one.signatures.shape[1] else np.zeros(0, int)
    for index in shown.tolist():
        technique = registry[index][1].technique
        if technique in {finding.technique for finding in out}:
            continue
        out.append(
            Selected(
                *(group, unit, technique, None, Tier.A, PKind.SIGNATURE),
                *(min(p, float(bound[index])), q, index, strength),
            )
        )
    if out:
        return out
    if best is None:
        return []
    # Where many actors attack, a controlled share of false discoveries lets through p-values that
    # would accuse an ordinary actor too easily on their own: both policies must agree.
    selected = q <= fdr and p <= court.alpha and ranked
    selected = selected and _agreed(court, one, unit, best)
    if selected and one.e[unit] >= STRONG_E:
        tier = Tier.A
    elif selected:
        tier = Tier.B
    else:
        tier = Tier.C
    kind = PKind.CONFORMAL if ranked else PKind.RANK_ONLY
    return [
        Selected(
            group,
            unit,
            best,
            second,
            tier,
            kind,
            p if ranked else None,
            q if ranked else None,
            -1,
            strength,
        )
    ]


def _further(one: Judged, unit: int, level: float) -> tuple[Technique, ...]:
    """Return the techniques that Benjamini-Hochberg selects inside one actor."""
    known = np.flatnonzero(~np.isnan(one.technique[unit]))
    chosen = known[benjamini_hochberg(one.technique[unit, known]) <= level]
    return tuple(TECHNIQUES[t] for t in chosen.tolist())


def _agreed(court: Court, one: Judged, unit: int, technique: Technique) -> bool:
    """Whether a detector that may stand alone points to the technique.

    Other traffic than usual is no attack: a new product or customer shifts the same statistics.
    """
    for i, (_, statistic) in enumerate(court.scorer.statistics):
        stands = technique in statistic.weights and not statistic.corroborated
        if stands and not statistic.supporting and one.p[unit, i] < SHOWN:
            return True
    return False


def _attribute(one: Judged, unit: int) -> tuple[Technique | None, Technique | None, float]:
    """Name the technique with the smallest p, ties by the fused p, and a close runner-up."""
    p, fused = one.technique[unit], one.order[unit]
    known = np.flatnonzero(~np.isnan(p))
    if not known.size:
        return None, None, 0.0
    ordered = known[np.lexsort((known, fused[known], p[known]))]
    best = int(ordered[0])
    strength = float(-np.log10(max(fused[best], 1e-300)))
    second = None
    if len(ordered) > 1:
        other = int(ordered[1])
        if fused[other] < APART * fused[best] and p[other] < SHOWN:
            second = TECHNIQUES[other]
    return TECHNIQUES[best], second, strength
