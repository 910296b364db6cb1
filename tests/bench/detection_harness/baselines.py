"""Published monitors, written from their descriptions, to be measured beside irkit.

*PRADA* (Juuti et al. 2019): minimum distances of each query to a growing set should be near-normal;
Shapiro-Wilk's W below a threshold is an alarm.  *MMD* (Liu, Guo, Dong 2026, arXiv 2606.05725):
unbiased squared maximum mean discrepancy between a window and ordinary windows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

F32 = NDArray[np.float32]

#: Shapiro-Wilk threshold in common use; the paper tunes 0.90 to 0.96 per data set.
PRADA_DELTA = 0.95
#: Distances the original protocol waits for, and how often it then tests.
PRADA_LEAST, PRADA_EVERY = 100, 10
#: Windows of 100 queries can never hold more than 100 distances; there the test starts earlier.
PRADA_LEAST_SHORT = 40

_WIDTHS = (0.5, 1.0, 2.0, 4.0)
_REFERENCES, _DRAWS, _PERCENTILE = 20, 1000, 95.0


def prada(points: F32, *, least: int = PRADA_LEAST) -> float:
    """Return the smallest W seen in a sequence of queries (1 where the test never runs).

    One growing set: text traffic carries no predicted class.  A query joins the set when its
    distance exceeds the threshold T; T only grows, to mean minus standard deviation of the
    distances.  Distances three standard deviations off are dropped before the test.

    Args:
        points: embedded queries in order, shape (n, d).
        least: distances to wait for.
    """
    held = np.empty_like(points)
    held[0], size = points[0], 1
    distances: list[float] = []
    threshold, worst = 0.0, 1.0
    total = square = 0.0
    for number in range(1, len(points)):
        gap = 2.0 - 2.0 * (held[:size] @ points[number])
        nearest = float(np.sqrt(max(0.0, gap.min())))
        distances.append(nearest)
        total, square = total + nearest, square + nearest**2
        if nearest > threshold:
            held[size], size = points[number], size + 1
            mean = total / len(distances)
            spread = np.sqrt(max(0.0, square / len(distances) - mean**2))
            threshold = max(threshold, mean - spread)
        if len(distances) > least and number % PRADA_EVERY == 0:
            worst = min(worst, _normality(np.array(distances)))
    return worst


def _normality(values: NDArray[np.float64]) -> float:
    kept = values[np.abs(values - values.mean()) < 3 * max(values.std(), 1e-12)]
    if len(kept) < 3 or np.ptp(kept) < 1e-9:
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(stats.shapiro(kept[:5000]).statistic)


@dataclass(slots=True)
class Mmd:
    """The window test for one window size, fitted on ordinary prompts.

    Attributes:
        threshold: 95th percentile of single ordinary-against-ordinary draws, as published.  The
            score is a mean over 20 references, so its own null is narrower than that.
    """

    median: float
    references: F32
    within: NDArray[np.float64]
    size: int
    threshold: float

    @classmethod
    def fit(cls, pool: F32, size: int, seed: int, *, draws: int = _DRAWS) -> Mmd:
        """Draw references and the null out of a pool of embedded ordinary prompts.

        Args:
            pool: embedded ordinary prompts, shape (n, d).
            size: queries per window.
            seed: fixes the draws.
            draws: ordinary-against-ordinary draws for the threshold.
        """
        rng = np.random.default_rng(seed)
        some = pool[rng.choice(len(pool), 1000, replace=len(pool) < 1000)]
        gap = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * some @ some.T))
        median = float(np.median(gap[np.triu_indices(len(some), 1)]))
        more = len(pool) < size
        references = np.concatenate(
            [pool[rng.choice(len(pool), size, replace=more)] for _ in range(_REFERENCES)]
        )
        fitted = cls(median, references, np.zeros(_REFERENCES), size, 0.0)
        fitted.within = np.array(
            [fitted._inside(references[i * size : (i + 1) * size]) for i in range(_REFERENCES)]
        )
        null = []
        for _ in range(draws):
            both = rng.choice(len(pool), 2 * size, replace=2 * size > len(pool))
            x, y = pool[both[:size]], pool[both[size:]]
            between = float(fitted._kernel(x, y).mean(dtype=np.float64))
            null.append(fitted._inside(x) + fitted._inside(y) - 2 * between)
        fitted.threshold = float(np.percentile(null, _PERCENTILE))
        return fitted

    def _kernel(self, x: F32, y: F32) -> F32:
        """Mean of RBF kernels at four widths; the widest one's powers are the others."""
        gap = np.maximum(np.float32(0.0), 2 - 2 * (x @ y.T))
        widest = np.exp(gap * np.float32(-1.0 / (2 * (_WIDTHS[-1] * self.median) ** 2)))
        total = widest.copy()
        for _ in _WIDTHS[:-1]:
            np.multiply(widest, widest, out=widest)
            np.multiply(widest, widest, out=widest)
            total += widest
        total /= np.float32(len(_WIDTHS))
        return total

    def _inside(self, x: F32) -> float:
        """Mean kernel over pairs of different queries."""
        n = len(x)
        return (float(self._kernel(x, x).sum(dtype=np.float64)) - n) / (n * (n - 1))

    def score(self, window: F32) -> float:
        """Mean unbiased squared MMD of a window against the references."""
        cross = self._kernel(window, self.references)
        between = cross.reshape(len(window), _REFERENCES, self.size).mean(
            axis=(0, 2), dtype=np.float64
        )
        return float(np.mean(self._inside(window) + self.within - 2 * between))
