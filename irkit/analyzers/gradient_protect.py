"""Was the update protected: noise, secure aggregation, rounding, sparsity.

Added noise shows where an honest gradient is exactly zero: embedding rows of absent tokens, and
neurons that no record activated.  There the values are nothing but noise, normal with one standard
deviation in all layers, because noise is added to the whole update at once (Abadi et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.gradient_invert import I64

#: Values looked at per layer.
_VALUES = 20_000
#: Kolmogorov-Smirnov statistic times root n beyond which values are not normal (1 % level).
_KS = 1.63
#: Layers' noise levels lie within this factor of each other.
_ALIKE = 1.2
#: How much more than noise's own scatter the energies of quiet rows may vary where several layers
#: agree on the level, and where one layer stands alone.  On 400 honest gradients of normal inputs,
#: the hardest case, this calls 1 of 214 and 2 of 86 noise.
_STEADY, _STEADY_ALONE = 1.7, 0.8
#: Distinct values below which a layer is quantised.
_LEVELS = 256


@dataclass(frozen=True, slots=True)
class Floor:
    """Lowest-energy rows of one layer.

    Attributes:
        zero_rows: rows that are exactly zero: proof that no noise was added to them.
        sigma: root mean square of the quiet rows; 0 where there are none.
        normal: the values of the quiet rows are normal.
        scatter: how much the rows' energies vary, in units of what noise alone does.
    """

    zero_rows: int
    sigma: float
    normal: bool
    scatter: float = 0.0


@dataclass(frozen=True, slots=True)
class Coding:
    """How the values of a layer are coded.

    Attributes:
        zeros: share of exact zeros.
        levels: distinct values among the sampled ones that are not zero.
        quantised: there are so few levels that values were rounded.
        integer: values are stored as integers, as secure aggregation and quantisers do.
    """

    zeros: float
    levels: int
    quantised: bool
    integer: bool


def floor(weight: NDArray[np.generic]) -> Floor:
    """Look at the rows with the least energy of a layer's gradient, shape ``(rows, values)``."""
    from scipy import stats

    rows, width = weight.shape
    if rows < 8 or width < 8:
        return Floor(0, 0.0, False)
    step = max(1, (64 << 20) // (8 * width))
    energy = np.concatenate(
        [
            (np.asarray(weight[at : at + step], np.float64) ** 2).mean(axis=1)
            for at in range(0, rows, step)
        ]
    )
    zero = int((energy == 0).sum())
    if zero:
        return Floor(zero, 0.0, False)
    order = np.argsort(energy, kind="stable")
    # Of many rows a quarter is quiet enough; the lowest of them alone would look too quiet.
    quiet = order[: max(4, rows // 4)]
    part = np.asarray(weight[np.sort(quiet[: max(4, _VALUES // width)])], np.float64)
    values = part.ravel()[:_VALUES] / float(np.sqrt((part**2).mean()))
    # The quiet rows are the lower tail of noise's own scatter: their median is its 12.5 % point.
    tail = float(stats.chi2.ppf(0.5 * len(quiet) / rows, width)) / width
    sigma = float(np.sqrt(np.median(energy[quiet]) / tail))
    ks = float(stats.kstest(values, "norm").statistic)
    even = (part**2).mean(axis=1)
    # Mean squares of noise over a row vary by sqrt(2 / width), of signals by their own sizes.
    scatter = float(even.std()) / (np.sqrt(2 / width) * float(even.mean()))
    return Floor(0, sigma, ks * np.sqrt(len(values)) < _KS, scatter)


def noise(floors: Sequence[Floor], stated: float | None) -> float:
    """Standard deviation of noise over a whole update; 0 where there is none to be seen.

    Noise is there only when every layer that can show it does, on one level, and no row anywhere is
    exactly zero.

    Args:
        floors: of every layer.
        stated: standard deviation in the metadata, used when the values do not contradict it.
    """
    if any(one.zero_rows for one in floors):
        return 0.0
    seen = [one for one in floors if one.sigma > 0]
    edge = _STEADY if len(seen) > 1 else _STEADY_ALONE
    if seen and all(one.normal and one.scatter <= edge for one in seen):
        levels = [one.sigma for one in seen]
        if max(levels) <= _ALIKE * min(levels):
            return float(np.median(levels))
    if stated and seen and min(one.sigma for one in seen) >= 0.5 * stated:
        return stated
    return 0.0


def coding(weight: NDArray[np.generic]) -> Coding:
    """Describe how a layer's values are coded, from an even sample of them."""
    flat = weight.reshape(-1)
    index: I64 = np.unique(np.linspace(0, flat.size - 1, min(flat.size, 50_000)).astype(np.int64))
    sample = flat[index]
    live = sample[sample != 0]
    levels = len(np.unique(live))
    # Nested bins repeat whole rows, which is no rounding.
    head = weight[: min(len(weight), 2000), : min(weight.shape[-1], 16)]
    if weight.ndim == 2 and len(np.unique(head, axis=0)) < 0.5 * len(head):
        levels = len(live)
    few = len(live) >= 4 * _LEVELS and levels <= _LEVELS
    return Coding(
        float(1 - len(live) / max(1, len(sample))), levels, few, weight.dtype.kind in "iu"
    )
