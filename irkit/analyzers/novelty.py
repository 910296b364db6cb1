"""What all actors of a case send, as a reference that each query is held against.

The reference is drawn evenly over actors, so that a busy one (an attacker, too) does not become the
norm.  Distances to its points tell how far out each query lies; random Fourier features of a
Gaussian kernel (Rahimi and Recht 2007) give each window a maximum mean discrepancy at linear cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.prompt_shape import mix

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

#: Points of the reference, nearest ones averaged, and rows that p-values are ranked among.
_POINTS, _NEAREST, _RANKED = 512, 4, 8192
_ROWS = 16_384
#: Smallest spread of log distances; without it, rows of a grid would make everything else far out.
_LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Reference:
    """Points that stand for all actors.

    Attributes:
        points: rows of the reference.
        ranked: distances of held-out rows, ascending.
        held: the held-out rows, by which the mean of the Fourier features is taken.
        bandwidth: of the Gaussian kernel.
        seed: fixes the random features.
    """

    points: F32
    ranked: F32
    held: F32
    bandwidth: float
    seed: int

    @classmethod
    def of(cls, z: F32, part: I64, typical: float, seed: int) -> Reference:
        """Draw a reference from rows ``z`` evenly over their actors ``part``.

        Args:
            z: scaled rows, shape (n, d).
            part: actor of each row.
            typical: median distance (root mean square per dimension) of two rows.
            seed: fixes the draw.
        """
        turn = _turns(part, seed)
        chosen = np.argsort(turn, kind="stable")[: _POINTS + _RANKED]
        points = z[chosen[: max(1, min(_POINTS, len(chosen) // 2))]]
        held = z[chosen[len(points) :]] if len(chosen) > 1 else z[chosen]
        made = cls(points, np.zeros(0, np.float32), held, typical * np.sqrt(z.shape[1]), seed)
        return cls(points, np.sort(made._distance(held)), held, made.bandwidth, seed)

    def _distance(self, z: F32) -> F32:
        """Mean distance to the nearest points of the reference."""
        out = np.empty(len(z), np.float32)
        near = min(_NEAREST, len(self.points))
        own = (self.points**2).sum(1)
        for begin in range(0, len(z), _ROWS):
            rows = z[begin : begin + _ROWS]
            square = own - 2.0 * (rows @ self.points.T)
            square += (rows**2).sum(1)[:, None]
            least = np.partition(square, near - 1, axis=1)[:, :near]
            out[begin : begin + _ROWS] = np.sqrt(np.maximum(least, 0.0)).mean(1)
        return out

    def novelty(self, z: F32) -> F32:
        """Return tail values: how improbable a row's distance is for a log-normal of the reference.

        Median and upper quartile of the reference's distances fix the log-normal.  Unlike ranks
        among the reference they hardly move while fewer than a quarter of the actors attack, and
        tell far from very far.
        """
        from scipy.special import ndtr

        if not len(self.ranked):
            return np.ones(len(z), np.float32)
        known = np.log(self.ranked.astype(np.float64) + 1e-6)
        middle, upper = np.quantile(known, (0.5, 0.75))
        # The upper quartile of a normal lies 0.6745 standard deviations above its median.
        spread = max(float(upper - middle) / 0.6745, _LEAST_SPREAD)
        place = (np.log(self._distance(z).astype(np.float64) + 1e-6) - middle) / spread
        return np.asarray(np.maximum(ndtr(-place), 1e-30), np.float32)

    def fourier(self, z: F32, count: int) -> F32:
        """Return ``count`` random Fourier features per row, less their mean over the reference."""
        # Half of the features at the typical distance, a quarter at half, a quarter at twice it.
        scale = np.repeat(
            [1.0, 0.5, 2.0], [count // 4, count // 8, count // 2 - count // 4 - count // 8]
        )
        rng = np.random.default_rng(self.seed & 0xFFFFFFFF)
        weights = rng.standard_normal((z.shape[1], count // 2)) / (self.bandwidth * scale)
        weights = weights.astype(np.float32)

        def features(rows: F32) -> F32:
            angle = rows @ weights
            return np.concatenate([np.cos(angle), np.sin(angle)], axis=1) * np.float32(
                np.sqrt(2.0 / count)
            )

        mean = features(self.held).mean(0)
        out = np.empty((len(z), count), np.float32)
        for begin in range(0, len(z), _ROWS):
            out[begin : begin + _ROWS] = features(z[begin : begin + _ROWS]) - mean
        return out


def whitened(z: F32, part: I64, seed: int) -> F32:
    """Take correlations between features out, as rows drawn evenly over actors show them.

    A row that has ordinary values in an unheard-of combination is as far out as one with
    extraordinary values.  Directions with less than a hundredth of the largest spread are floored.
    """
    if z.shape[1] < 2 or len(z) < 4 * z.shape[1]:
        return z
    chosen = np.argsort(_turns(part, seed), kind="stable")[: _POINTS + _RANKED]
    sample = z[chosen].astype(np.float64)
    # Medians and clipping keep a few far rows from setting the scale.
    sample = np.clip(sample - np.median(sample, axis=0), -8.0, 8.0)
    value, direction = np.linalg.eigh(np.cov(sample.T))
    value = np.maximum(value, 1e-2 * max(float(value[-1]), 1e-12))
    return np.asarray(z @ (direction / np.sqrt(value)).astype(np.float32), np.float32)


def _turns(part: I64, seed: int) -> F64:
    """Order rows so that every actor gives its first (drawn) row before any gives a second."""
    draw = mix(np.arange(len(part), dtype=np.uint64) + np.uint64(seed & 0xFFFFFFFF))
    order = np.lexsort((draw, part))
    start = np.searchsorted(part[order], part[order], side="left")
    turn = np.empty(len(part), np.float64)
    turn[order] = np.arange(len(part)) - start
    return turn + draw / np.float64(2**64)
