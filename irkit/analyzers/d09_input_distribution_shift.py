"""D9: queries drawn from somewhere else than those of the service's other clients.

Sources: Liu, Guo and Dong 2026 (maximum mean discrepancy of query windows, MMD), Berk and Jones
1979 (a few outliers among many ordinary queries), Juuti et al. 2019 (PRADA: distances between an
actor's own queries are nearly normal unless a program made them), Sadeghzadeh et al. (HODA: a
histogram of how hard queries are for the model, here of the returned margins).

Mean discrepancy alone misses an attack diluted with ordinary queries (4.6 % detected at a share of
10 % in windows of 100); the tail of per-query novelty finds it, because a handful of far outliers
is improbable whatever the rest of the window looks like.
"""

# ruff: noqa: ARG002 - a detector takes every argument of the protocol, needed or not

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.registry import DetectorSpec, NoSignatures, Statistic, register
from irkit.analyzers.sequences import Windows
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features

TAIL = "D9.tail"
MMD = "D9.mmd"
SPACING = "D9.spacing"
HARDNESS = "D9.hardness"
TEXT = "D9.text"
#: Levels at which outliers are counted.
_LEVELS = (0.0001, 0.0005, 0.002, 0.01, 0.05)
#: Share of the window that one scanned sub-window covers.
_PARTS = 4
#: Bins of the margin histogram.
_BINS = 10
_ROWS = 1 << 18
#: Rows of a block that stays in the processor's cache: half a megabyte of sums.
_BLOCK = 1 << 11
_SHIFT = {
    Technique.MODEL_EXTRACTION: 2.0,
    Technique.MEMBERSHIP_INFERENCE: 1.0,
    Technique.PROPERTY_INFERENCE: 1.0,
}


@register
class InputDistributionShift(NoSignatures):
    """Where queries come from, compared with all actors and with the actor's own other queries."""

    spec = DetectorSpec(
        id="D9",
        name="input_distribution_shift",
        version="1",
        title="Input-distribution shift",
        looks_for="queries that no other client of the service would send, also a few among many",
        inputs=("vectors", "prompts"),
        statistic="tail: largest Berk-Jones statistic of per-query novelty (distance to "
        "rows drawn evenly over actors) at 0.01 to 5 %; mmd: largest maximum mean discrepancy "
        "(64 random Fourier features) of the window and its quarters; spacing: Jarque-Bera "
        "statistic of distances to the nearest earlier row of the same class (PRADA); hardness: "
        "divergence of the margin histogram from all actors' (HODA); text: largest change of "
        "subject between a quarter of the window and the rest (count sketch of words)",
        threshold_source="conformal against ordinary actors",
        cost="512 distances and 32 random projections per row; a word count sketch per prompt",
        checks=(
            "alone it gives no more than tier C",
            "what is sent again and again counts once",
        ),
        known_false_positives=(
            "a new product, a new customer, a season: other traffic is no attack, so alone it "
            "never gives more than tier C",
        ),
        atlas=("AML.T0024.002", "AML.T0024"),
        nist_aml=("NISTAML.031",),
        owasp=("LLM10:2025",),
        statistics=(
            Statistic(TAIL, 5, ("vectors",), _SHIFT, corroborated=True),
            # Weights of what only supports are small: each adds ordinary extremes to the ranking.
            Statistic(MMD, 10, ("vectors",), {Technique.MODEL_EXTRACTION: 0.5}, supporting=True),
            Statistic(
                SPACING, 50, ("vectors",), {Technique.MODEL_EXTRACTION: 0.25}, supporting=True
            ),
            Statistic(
                HARDNESS, 25, ("vectors",), {Technique.MODEL_EXTRACTION: 0.25}, supporting=True
            ),
            Statistic(
                TEXT,
                50,
                ("prompts",),
                {Technique.MODEL_EXTRACTION: 0.5, Technique.MEMBERSHIP_INFERENCE: 0.25},
                supporting=True,
            ),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score each call by its most novel row."""
        tail = np.zeros(len(log), np.float32)
        if log.has_vectors.any():
            items = log.items
            value = -np.log10(np.maximum(items.novelty, 1e-6))
            seen = items.fresh & (items.novelty <= _LEVELS[-1])
            np.maximum.at(tail, items.record, np.where(seen, value, 0.0))
        return {TAIL: tail}

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Outliers, mean discrepancy, spacing, hardness and change of subject per window."""
        out = {TEXT: _change(log, windows)}
        if not log.has_vectors.any():
            none = np.zeros(len(windows))
            return out | dict.fromkeys((TAIL, MMD, SPACING, HARDNESS), none)
        items, inside = log.items, log.items_in(windows)
        # What is sent again and again counts once: a monitor's probes are no distribution.
        size = np.maximum(inside.total(items.fresh), 1.0)
        # A batch of thousands of rows is no stronger evidence than its calls are: every statistic
        # grows with the rows, and so would the smallest harmless difference.
        weigh = np.minimum(1.0, windows.sizes / size)
        out[TAIL] = np.max(
            [
                berk_jones(
                    weigh * inside.total(items.fresh & (items.novelty <= a)), weigh * size, a
                )
                for a in _LEVELS
            ],
            axis=0,
        )
        out[MMD] = weigh * _discrepancy(items.fourier, _only(inside, items.fresh))
        out[SPACING] = weigh * _spacing(items.nearest, inside)
        out[HARDNESS] = weigh * _hardness(items.margin, _only(inside, items.fresh))
        return out

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        return "sends a row unlike those of other clients"


def berk_jones(
    hits: NDArray[np.float64], size: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Log-likelihood ratio of ``hits`` of ``size`` p-values below ``level``; 0 if not too many."""
    share = np.clip(hits / size, 1e-12, 1 - 1e-12)
    gain = share * np.log(share / level) + (1 - share) * np.log((1 - share) / (1 - level))
    return np.asarray(np.where(hits / size > level, size * gain, 0.0))


def _only(windows: Windows, mask: NDArray[np.bool_]) -> Windows:
    """Return the windows without the rows that are not marked."""
    keep = mask[windows.rows]
    running = np.concatenate([[0], np.cumsum(keep)])
    return Windows(
        windows.unit,
        windows.bucket,
        running[windows.bounds],
        windows.rows[keep],
        windows.owner[keep],
    )


def _means(
    values: NDArray[np.floating], windows: Windows, parts: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return mean vectors of each window's parts, shape (windows * parts, d), and part sizes."""
    begin, size = windows.bounds[:-1], windows.sizes
    cuts = begin[:, None] + size[:, None] * np.arange(parts + 1) // parts
    edges = cuts.reshape(-1)
    out = np.zeros((len(windows) * parts, values.shape[1]))
    counts = np.diff(cuts, axis=1).reshape(-1)
    step = max(1, _ROWS // max(1, int(size.max(initial=1))))
    for first in range(0, len(windows), step):
        last = min(first + step, len(windows))
        low, high = int(begin[first]), int(windows.bounds[last])
        if high <= low:
            continue
        taken = values[windows.rows[low:high]].astype(np.float32)
        running = np.zeros((high - low + 1, values.shape[1]), np.float64)
        np.cumsum(taken, axis=0, out=running[1:], dtype=np.float64)
        here = edges.reshape(-1, parts + 1)[first:last] - low
        sums = running[here[:, 1:]] - running[here[:, :-1]]
        out[first * parts : last * parts] = sums.reshape(-1, values.shape[1])
    return out / np.maximum(counts, 1)[:, None], counts


def _exact_means(
    values: NDArray[np.float16], windows: Windows, parts: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what :func:`_means` returns, for half-precision values that are at most one.

    These are multiples of 2**-24, so double sums of up to 2**29 of them are exact in any order:
    each part is summed by itself, in blocks that stay in the processor's cache, at a tenth of the
    cost of running sums.
    """
    cuts = windows.bounds[:-1, None] + windows.sizes[:, None] * np.arange(parts + 1) // parts
    counts = np.diff(cuts, axis=1).reshape(-1)
    out = np.zeros((len(counts), values.shape[1]))
    # Consecutive windows; one that is larger than a block is a block of its own.
    blocks = np.unique(
        np.searchsorted(windows.bounds, np.arange(0, max(1, int(windows.bounds[-1])), _BLOCK))
    )
    for first, last in zip(blocks, np.append(blocks[1:], len(windows)), strict=True):
        low, high = windows.bounds[first], windows.bounds[last]
        filled = np.flatnonzero(counts[first * parts : last * parts])
        if high <= low:
            continue
        taken = values[windows.rows[low:high]].astype(np.float64)
        begin = cuts[first:last, :-1].reshape(-1)[filled] - low
        out[first * parts + filled] = np.add.reduceat(taken, begin, axis=0)
    return out / np.maximum(counts, 1)[:, None], counts


def _discrepancy(fourier: NDArray[np.float32], windows: Windows) -> NDArray[np.float64]:
    """Largest mean discrepancy of the whole window and of its quarters, in standard units."""
    part, counts = _means(fourier, windows, _PARTS)
    quarters = part.reshape(len(windows), _PARTS, -1)
    weight = counts.reshape(len(windows), _PARTS)
    total = (quarters * weight[:, :, None]).sum(1) / np.maximum(weight.sum(1), 1)[:, None]
    whole = (total**2).sum(1) * np.maximum(windows.sizes, 1)
    each = (quarters**2).sum(2) * weight
    return np.asarray(np.maximum(whole, each.max(1, initial=0.0)))


def _spacing(nearest: NDArray[np.float32], windows: Windows) -> NDArray[np.float64]:
    """Jarque-Bera statistic of log distances per row: skewness and excess kurtosis."""
    known = np.isfinite(nearest) & (nearest > 0)
    value = np.where(known, np.log(np.where(known, nearest, 1.0)), 0.0).astype(np.float64)
    number = np.maximum(windows.total(known), 1)
    moment = [windows.total(value**power) / number for power in (1, 2, 3, 4)]
    mean = moment[0]
    variance = np.maximum(moment[1] - mean**2, 1e-12)
    third = moment[2] - 3 * mean * moment[1] + 2 * mean**3
    fourth = moment[3] - 4 * mean * moment[2] + 6 * mean**2 * moment[1] - 3 * mean**4
    skew, excess = third / variance**1.5, fourth / variance**2 - 3.0
    return np.asarray(np.where(number >= 20, number / 6 * (skew**2 + excess**2 / 4), 0.0))


def _hardness(margin: NDArray[np.float64], windows: Windows) -> NDArray[np.float64]:
    """Divergence of each window's margins from those of all rows, times the rows."""
    known = np.isfinite(margin)
    if not known.any():
        return np.zeros(len(windows))
    edges = np.quantile(margin[known], np.linspace(0, 1, _BINS + 1)[1:-1])
    place = np.searchsorted(edges, np.nan_to_num(margin))
    number = np.maximum(windows.total(known), 1)
    usual = np.bincount(place[known], minlength=_BINS) / known.sum()
    total = np.zeros(len(windows))
    for bin_ in range(_BINS):
        share = windows.total(known & (place == bin_)) / number
        least = max(float(usual[bin_]), 1e-3)
        total += np.where(share > 0, share * np.log(np.maximum(share, 1e-12) / least), 0.0)
    return np.asarray(np.maximum(total, 0.0) * number)


def _change(log: Features, windows: Windows) -> NDArray[np.float64]:
    """Largest distance between the subject of a quarter of the window and of the rest."""
    if not len(windows) or not log.has_prompts.any():
        return np.zeros(len(windows))
    part, counts = _exact_means(log.prompt("sketch"), windows, _PARTS)
    quarters = part.reshape(len(windows), _PARTS, -1)
    weight = counts.reshape(len(windows), _PARTS).astype(np.float64)
    total = (quarters * weight[:, :, None]).sum(1)
    rest = (total[:, None, :] - quarters * weight[:, :, None]) / np.maximum(
        weight.sum(1)[:, None] - weight, 1
    )[:, :, None]
    apart = ((quarters - rest) ** 2).sum(2) * weight
    return np.asarray(apart.max(1, initial=0.0))
