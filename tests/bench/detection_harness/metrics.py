"""Rates with their intervals, classification and clustering scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy import stats

#: Name of the column of actors that were not found.
MISSED = "none"


def interval(hits: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of a rate."""
    if not total:
        return 0.0, 1.0
    tail = (1.0 - level) / 2
    low = float(stats.beta.ppf(tail, hits, total - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, total - hits)) if hits < total else 1.0
    return low, high


def rate(hits: int, total: int) -> str:
    """A rate with its 95 % interval, as text."""
    if not total:
        return "no actors"
    low, high = interval(hits, total)
    return f"{hits / total:.2%} ({hits} of {total:,}; {low:.2%} to {high:.2%})"


def confusion(pairs: Iterable[tuple[str, str]]) -> dict[str, Counter[str]]:
    """Count (truth, said) pairs by truth."""
    out: dict[str, Counter[str]] = {}
    for truth, said in pairs:
        out.setdefault(truth, Counter())[said] += 1
    return out


def macro_f1(matrix: Mapping[str, Mapping[str, int]], *, missed: bool) -> float:
    """Mean F1 over the true classes of a confusion matrix.

    Args:
        matrix: counts by truth and answer; :data:`MISSED` is the answer "nothing found".
        missed: whether actors that were not found count against recall.
    """
    scores = []
    for truth, said in matrix.items():
        right = said.get(truth, 0)
        answered = sum(row.get(truth, 0) for row in matrix.values())
        asked = sum(n for answer, n in said.items() if missed or answer != MISSED)
        scores.append(2 * right / (answered + asked) if answered + asked else 0.0)
    return float(np.mean(scores)) if scores else 0.0


def pairwise_f1(
    truth: Mapping[str, Hashable], found: Sequence[Iterable[str]]
) -> tuple[float, float, float]:
    """Precision, recall and F1 of linked pairs; arguments as for :func:`pairs`."""
    return f1_of([pairs(truth, found)])


def f1_of(counts: Iterable[tuple[int, int, int]]) -> tuple[float, float, float]:
    """Precision, recall and F1 over cases together, from the counts of :func:`pairs`.

    Pooled, so that a case in which nothing was linked costs recall and leaves precision alone.
    """
    right, linked, meant = (sum(c) for c in zip(*counts, strict=True))
    precision = right / linked if linked else 0.0
    recall = right / meant if meant else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


def pairs(truth: Mapping[str, Hashable], found: Sequence[Iterable[str]]) -> tuple[int, int, int]:
    """Count pairs of actors: linked rightly, linked at all, and to be linked.

    Args:
        truth: group of each actor that belongs to one (ordinary actors are left out).
        found: members of each campaign that was reported.
    """
    linked = {frozenset(p) for group in found for p in combinations(sorted(set(group)), 2)}
    groups: dict[Hashable, list[str]] = {}
    for actor, group in truth.items():
        groups.setdefault(group, []).append(actor)
    meant = {frozenset(p) for group in groups.values() for p in combinations(sorted(group), 2)}
    return len(linked & meant), len(linked), len(meant)


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Median and 90 % quantile (NaN without values)."""
    if not values:
        return float("nan"), float("nan")
    return float(np.median(values)), float(np.quantile(values, 0.9))
