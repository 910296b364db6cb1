"""Traces of a dishonest server: layers made to separate the records of a batch.

An imprint layer (Fowl et al. 2022, "Robbing the Fed") measures every record with one linear
functional: all its rows are parallel, and its biases are the negative quantiles of the
measurement's distribution, so that each record falls into one of many bins.  Of the batch's
gradient the differences of neighbouring neurons then hold single records.  No ordinary
initialisation or training makes parallel rows.  SEER (Garov et al. 2023) leaves no such trace: only
per-record gradients show it, and those are not in an update.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.gradient_invert import F64, I64, MOST_ROWS, gram

#: Fewest neurons that can make bins.
LEAST_BINS = 8
#: Largest departure of a cosine from one among parallel rows.
_PARALLEL = 1e-3
#: Least share of explained variance of the biases by a distribution's quantiles.
_QUANTILES = 0.99
#: Robust z-score of a class's weight norm that ordinary heads do not reach.
OUTLIER = 6.0
#: Least share of neighbouring neurons with equal gradients that tells nested bins.
_EMPTY_BINS = 0.25


@dataclass(frozen=True, slots=True)
class Imprint:
    """What the sent layer looks like.

    Attributes:
        parallel: largest departure from parallel among the rows.
        monotone: the biases rise or fall from neuron to neuron.
        shape: ``normal`` or ``laplace``, whichever quantiles fit the biases better.
        fit: share of the biases' variance that those quantiles explain.
        ks: Kolmogorov-Smirnov distance of the biases from that distribution.
        constant: the following layer treats all neurons alike; None where there is none.
        signature: parallel rows with monotone biases on quantiles: made to imprint.
        order: neurons by bias, in the direction in which fewer and fewer records activate them.
    """

    parallel: float
    monotone: bool
    shape: str
    fit: float
    ks: float
    constant: bool | None
    signature: bool
    order: I64


def imprint(
    weight: NDArray[np.generic],
    bias: NDArray[np.generic],
    following: NDArray[np.generic] | None = None,
) -> Imprint | None:
    """Test a layer that the server sent; None where its rows are not parallel.

    Args:
        weight: the sent weight, shape ``(neurons, inputs)``.
        bias: the sent bias.
        following: weight of the next layer, shape ``(next, neurons)``.
    """
    from scipy import stats

    count = weight.shape[0]
    if count < LEAST_BINS:
        return None
    some = np.unique(np.linspace(0, count - 1, min(count, MOST_ROWS)).astype(np.int64))
    inner = gram(weight, some)
    norm = np.sqrt(np.maximum(np.diag(inner), 0))
    kept = norm > 0
    if kept.sum() < LEAST_BINS:
        return None
    unit = inner[np.ix_(kept, kept)] / np.outer(norm[kept], norm[kept])
    parallel = float((1 - np.abs(unit)).max())
    if parallel >= _PARALLEL:
        return None
    # A sparse imprint scales rows by bin width: thresholds are biases per unit of the functional.
    level = np.asarray(bias, np.float64)[some][kept] / norm[kept]
    step = np.diff(level)
    monotone = bool((step >= 0).all() or (step <= 0).all()) and bool(np.ptp(level) > 0)
    place = (np.arange(len(level)) + 0.5) / len(level)
    ordered = np.sort(level)
    best = ("normal", 0.0, 1.0)
    if np.ptp(level) > 0:
        for name, law in (("normal", stats.norm), ("laplace", stats.laplace)):
            fit = stats.linregress(law.ppf(place), ordered)
            ks = stats.kstest((ordered - fit.intercept) / fit.slope, law.cdf).statistic
            if fit.rvalue**2 > best[1]:
                best = (name, float(fit.rvalue**2), float(ks))
    constant = None
    if following is not None and following.ndim == 2 and following.shape[1] == count:
        wide = np.asarray(following[: min(len(following), 256)], np.float64)
        middle = np.abs(wide.mean(axis=1))
        constant = bool((wide.std(axis=1) <= 1e-3 * np.maximum(middle, 1e-12)).all())
    order = np.argsort(-np.asarray(bias, np.float64), kind="stable")
    return Imprint(
        parallel, monotone, best[0], best[1], best[2], constant,
        monotone and best[1] >= _QUANTILES, order,
    )  # fmt: skip


def nested(weight: NDArray[np.generic], bias: NDArray[np.generic]) -> bool:
    """Tell from the gradient alone that neurons are nested bins, some of them empty.

    The neuron above an empty bin has the same gradient as the one below, and over the neurons in
    order the bias gradient changes only where a record lies; honest neurons never repeat.
    """
    g = np.asarray(bias, np.float64)
    if len(g) < LEAST_BINS or not np.abs(g).max(initial=0.0):
        return False
    rows = np.arange(min(len(g), 4 * MOST_ROWS))
    first = np.asarray(weight[rows[:-1]], np.float64)
    second = np.asarray(weight[rows[1:]], np.float64)
    scale = np.sqrt((first**2).sum(axis=1) + (second**2).sum(axis=1))
    gap = np.sqrt(((first - second) ** 2).sum(axis=1))
    equal = (scale > 0) & (gap <= 1e-6 * scale)
    moving = (scale > 0) & ~equal
    return bool(equal.sum() >= _EMPTY_BINS * len(equal) and moving.any())


def recover(
    weight: NDArray[np.generic], bias: NDArray[np.generic], order: I64 | None
) -> tuple[F64, I64]:
    """Records in the bins: differences of neighbouring neurons, weight over bias.

    Args:
        weight: gradient of the layer's weight.
        bias: gradient of its bias.
        order: neurons by falling bias of the sent model; the file's order where it is not known.

    Returns:
        Candidate records, shape ``(bins, inputs)``, and the neuron that each bin begins with.  A
        bin with several records gives their weighted mean.
    """
    g = np.asarray(bias, np.float64)
    rows = np.arange(len(g)) if order is None else order
    after = np.append(g[rows[1:]], 0.0)
    step = g[rows] - after
    bins = np.flatnonzero(np.abs(step) > 1e-5 * np.abs(g).max(initial=0.0))[:MOST_ROWS]
    upper = np.asarray(weight[rows[bins]], np.float64)
    below = np.zeros_like(upper)
    inside = bins + 1 < len(rows)
    below[inside] = np.asarray(weight[rows[bins[inside] + 1]], np.float64)
    found: F64 = (upper - below) / step[bins, None]
    return found, np.asarray(rows[bins], np.int64)


def expected_exact(bins: int, batch: int) -> float:
    """Expected number of records that lie alone in their bin, bins being equally likely.

    A record is alone when the other ``batch - 1`` miss its bin: ``n (1 - 1/k)^(n-1)``.
    """
    return batch * (1 - 1 / max(1, bins)) ** (batch - 1)


def outlier_class(weight: NDArray[np.generic]) -> tuple[int, float] | None:
    """Class whose sent weights stand out, as when one class is boosted to isolate its records.

    Returns:
        Class and robust z-score (median and MAD of row norms) beyond :data:`OUTLIER`, else None.
    """
    if weight.shape[0] < LEAST_BINS:
        return None
    norm = np.sqrt((np.asarray(weight, np.float64) ** 2).sum(axis=1))
    middle = float(np.median(norm))
    spread = 1.4826 * float(np.median(np.abs(norm - middle)))
    if spread <= 1e-9 * max(middle, 1e-300):
        return None
    score = np.abs(norm - middle) / spread
    worst = int(score.argmax())
    return (worst, float(score[worst])) if score[worst] > OUTLIER else None
