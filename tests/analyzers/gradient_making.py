"""Real gradients: a small network's forward and backward pass, and the attacks' sent models."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

F = NDArray[np.float64]


@dataclass
class Mlp:
    """Dense, ReLU, dense ... softmax cross-entropy."""

    weights: list[F]
    biases: list[F]

    @classmethod
    def random(cls, widths: list[int], seed: int) -> Mlp:
        rng = np.random.default_rng(seed)
        pairs = list(pairwise(widths))
        weights = [rng.normal(0, np.sqrt(2 / a), (b, a)) for a, b in pairs]
        return cls(weights, [rng.normal(0, 0.1, b) for b in widths[1:]])

    def loss(self, x: F, y: NDArray[np.int64]) -> float:
        p = self._forward(x)[-1]
        return float(-np.log(p[np.arange(len(y)), y]).mean())

    def _forward(self, x: F) -> list[F]:
        layers = [x]
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            layers.append(np.maximum(layers[-1] @ w.T + b, 0))
        z = layers[-1] @ self.weights[-1].T + self.biases[-1]
        z -= z.max(axis=1, keepdims=True)
        return [*layers, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)]

    def gradient(self, x: F, y: NDArray[np.int64]) -> dict[str, F]:
        """Mean gradient over the batch, by parameter name."""
        layers = self._forward(x)
        delta = layers[-1].copy()
        delta[np.arange(len(y)), y] -= 1
        delta /= len(y)
        out: dict[str, F] = {}
        for i in reversed(range(len(self.weights))):
            out[f"fc{i + 1}.weight"] = delta.T @ layers[i]
            out[f"fc{i + 1}.bias"] = delta.sum(axis=0)
            if i:
                delta = (delta @ self.weights[i]) * (layers[i] > 0)
        return dict(sorted(out.items()))

    def params(self, prefix: str = "param.") -> dict[str, F]:
        out: dict[str, F] = {}
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            out |= {f"{prefix}fc{i + 1}.weight": w, f"{prefix}fc{i + 1}.bias": b}
        return out

    def train(self, x: F, y: NDArray[np.int64], lr: float, steps: int) -> dict[str, F]:
        """Local training; returns the weights' change."""
        now = Mlp([w.copy() for w in self.weights], [b.copy() for b in self.biases])
        for _ in range(steps):
            g = now.gradient(x, y)
            for i in range(len(now.weights)):
                now.weights[i] -= lr * g[f"fc{i + 1}.weight"]
                now.biases[i] -= lr * g[f"fc{i + 1}.bias"]
        before, after = self.params(""), now.params("")
        return {name: after[name] - before[name] for name in before}


def imprint_model(inputs: int, bins: int, classes: int, seed: int) -> Mlp:
    """A server's model whose first layer measures the mean of the record in normal quantiles."""
    rng = np.random.default_rng(seed)
    functional = np.ones(inputs) / np.sqrt(inputs)
    cuts = stats.norm.ppf((np.arange(bins) + 0.5) / bins)
    w1 = np.tile(functional, (bins, 1))
    # The layer behind treats every bin alike, so each record's error is equal in all its bins.
    w2 = np.tile(rng.normal(0, 0.1, (classes, 1)), (1, bins)) / bins
    return Mlp([w1, w2], [-cuts, rng.normal(0, 0.1, classes)])


def batch(count: int, inputs: int, classes: int, seed: int) -> tuple[F, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (count, inputs)), rng.integers(0, classes, count)
