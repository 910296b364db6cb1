"""What a gradient gives away by arithmetic alone: inputs, batch size, labels, tokens.

For a dense layer ``y = W x + b`` a batch's gradients are ``gW = sum d_i x_i^T`` and
``gb = sum d_i`` over its records.  A neuron that only one record activates therefore has
``gW[j] / gb[j] = x``, the record itself, exactly (Phong et al. 2018; Geiping et al. 2020, analytic
attack).  Neurons that agree on that ratio tell it from neurons that mix several records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

#: Most neurons compared with each other, the most active ones first.
MOST_ROWS = 1024
#: Bytes of a block of columns in double precision.
_BLOCK = 64 << 20
#: Relative distance within which two neurons' ratios are one and the same vector: somewhat more
#: than rounding leaves.  A delta is a difference of weights, which rounds far more than a gradient;
#: wider limits would take means of records that the model treats nearly alike for a record.
_SAME = {np.dtype(np.float64): 1e-7, np.dtype(np.float32): 3e-5}
_SAME_DELTA = {np.dtype(np.float64): 1e-5, np.dtype(np.float32): 1e-3}
_SAME_COARSE = 2e-2
#: Share of the largest bias gradient below which a neuron counts as inactive.
_ACTIVE = 1e-7


@dataclass(frozen=True, slots=True)
class Inversion:
    """What one dense layer's gradient says about its inputs.

    Attributes:
        rows: neurons compared, by falling absolute bias gradient.
        active: neurons with a bias gradient at all.
        rank: numerical rank of the weight gradient over those neurons: at least so many records.
        spread: second over first singular value; near zero for a single record.
        full: the rank is as large as the layer can show, so the batch may be larger.
        groups: per agreed vector, the neurons (positions in the layer) that agree on it, the most
            active first.
        single: neurons that agree with no other.
        tolerance: relative distance used for agreement.
    """

    rows: I64
    active: int
    rank: int
    spread: float
    full: bool
    groups: tuple[tuple[int, ...], ...]
    single: tuple[int, ...]
    tolerance: float

    @property
    def share(self) -> float:
        """Share of the compared neurons that agree on the most frequent vector."""
        largest = max((len(group) for group in self.groups), default=0)
        return largest / len(self.rows) if len(self.rows) else 0.0


def blocks(weight: NDArray[np.generic], rows: I64) -> Iterator[F64]:
    """Yield the chosen rows of a weight in double precision, some columns at a time."""
    step = max(1, _BLOCK // (8 * max(1, len(rows))))
    for start in range(0, weight.shape[1], step):
        yield np.asarray(weight[rows, start : start + step], np.float64)


def gram(weight: NDArray[np.generic], rows: I64) -> F64:
    """Inner products of rows, shape ``(len(rows), len(rows))``."""
    out = np.zeros((len(rows), len(rows)))
    for part in blocks(weight, rows):
        out += part @ part.T
    return out


def invert(
    weight: NDArray[np.generic],
    bias: NDArray[np.generic],
    *,
    coarse: bool = False,
    delta: bool = False,
) -> Inversion:
    """Compare the ratios ``gW[j] / gb[j]`` of a dense layer's neurons.

    Args:
        weight: gradient of the weight, shape ``(neurons, inputs)``.
        bias: gradient of the bias, shape ``(neurons,)``.
        coarse: the values are rounded (half precision, quantised), so agreement is looser.
        delta: the values are differences of weights.
    """
    g_b = np.asarray(bias, np.float64)
    size = np.abs(g_b)
    top = float(size.max(initial=0.0))
    active = np.flatnonzero(size > _ACTIVE * top) if top > 0 else np.zeros(0, np.int64)
    rows = active[np.argsort(-size[active], kind="stable")][:MOST_ROWS]
    same = _SAME_DELTA if delta else _SAME
    tolerance = _SAME_COARSE if coarse else same.get(weight.dtype, 1e-5)
    if not len(rows):
        return Inversion(rows, 0, 0, 0.0, False, (), (), tolerance)
    inner = gram(weight, rows)
    rank, spread = _rank(inner, weight.dtype, max(weight.shape))
    limit = min(len(rows), weight.shape[1])
    groups, single = _agree(inner, g_b[rows], tolerance)
    named = tuple(tuple(int(rows[i]) for i in group) for group in groups)
    return Inversion(
        rows, len(active), rank, spread, rank >= limit, named,
        tuple(int(rows[i]) for i in single), tolerance,
    )  # fmt: skip


def _rank(inner: F64, dtype: np.dtype[np.generic], widest: int) -> tuple[int, float]:
    """Numerical rank and second over first singular value, from a Gram matrix.

    A Gram matrix squares the values, so nothing below 3e-7 of the largest can be told from zero.
    """
    scale = float(np.abs(inner).max(initial=0.0))
    if scale <= 0:
        return 0, 0.0
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(inner / scale)[::-1], 0.0))
    eps = 1.2e-7 if dtype == np.float32 else 2.3e-16
    floor = max(1e-6, eps * widest) * values[0]
    second = float(values[1] / values[0]) if len(values) > 1 else 0.0
    return int((values > floor).sum()), second if second > 1e-6 else 0.0


def _agree(inner: F64, g_b: F64, tolerance: float) -> tuple[list[list[int]], list[int]]:
    """Group rows whose ratios are one vector; the most active row stands for its group."""
    ratio = inner / np.outer(g_b, g_b)
    length = np.maximum(np.diag(ratio), 0.0)
    centres: list[int] = []
    members: list[list[int]] = []
    for row in range(len(g_b)):
        if length[row] <= 0:
            continue
        if centres:
            near = np.asarray(centres)
            gap = length[near] + length[row] - 2 * ratio[near, row]
            close = gap <= tolerance**2 * np.minimum(length[near], length[row])
            if close.any():
                members[int(np.flatnonzero(close)[0])].append(row)
                continue
        centres.append(row)
        members.append([row])
    agreed = [group for group in members if len(group) > 1]
    agreed.sort(key=lambda group: (-len(group), group[0]))
    return agreed, [group[0] for group in members if len(group) == 1]


def vectors(weight: NDArray[np.generic], bias: NDArray[np.generic], rows: list[int]) -> F64:
    """Ratios of the given neurons, shape ``(len(rows), inputs)``: the reconstructed inputs."""
    index = np.asarray(rows, np.int64)
    part = np.asarray(weight[index], np.float64)
    scale: F64 = np.asarray(bias, np.float64)[index, None]
    return part / scale


# -- labels -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Labels:
    """Classes of the batch, read off the last layer.

    Attributes:
        present: classes with a negative bias gradient: present for certain under cross-entropy.
        counts: estimated records per class, where the batch size is stated; else empty.
        complete: the present classes are the batch's whole label set.
        idlg: class by the sign of the weight rows (Zhao et al. 2020), for a single record.
        reason: in words, why and how far.
    """

    present: tuple[int, ...]
    counts: tuple[tuple[int, int], ...]
    complete: bool
    idlg: int | None
    reason: str


def labels(
    weight: NDArray[np.generic], bias: NDArray[np.generic], batch: int | None, floor: float
) -> Labels | None:
    """Infer the labels of a softmax cross-entropy head; None where the head is not one.

    The bias gradient of class ``c`` is the mean of ``p_c - [y = c]``: only a record of that class
    can make it negative (Geiping et al., analytic label attack), and all of them sum to zero.
    Counts follow the impact rule of Wainakh et al. 2021.

    Args:
        weight: gradient of the head's weight, shape ``(classes, inputs)``.
        bias: gradient of its bias.
        batch: records in the batch, where stated.
        floor: standard deviation of added noise; a negative value must lie beyond four of them.
    """
    g = np.asarray(bias, np.float64)
    total = float(np.abs(g).sum())
    if len(g) < 2 or total <= 0:
        return None
    if abs(float(g.sum())) > max(1e-3 * total, 4 * floor * np.sqrt(len(g))):
        return None
    # Rounding leaves zeros with a sign; what counts must stand out from it.
    edge = -max(1e-5 * float(np.abs(g).max()), 4 * floor)
    present = np.flatnonzero(g < edge)
    if not len(present):
        return None
    sums = np.asarray(weight, np.float64).sum(axis=1)
    idlg = int(sums.argmin()) if len(present) == 1 else None
    counts: list[tuple[int, int]] = []
    complete = len(present) == 1 and batch in (None, 1) and batch is not None
    reason = "a negative bias gradient proves a class under softmax cross-entropy"
    if batch is not None:
        found = _impact(g, present, batch)
        counts = sorted(found.items())
        complete = len(present) == batch
        reason += (
            "; as many classes as records: one each"
            if complete
            else "; records per class are estimated from the sizes"
        )
    else:
        reason += "; the batch size is not stated, so records per class are unknown"
    return Labels(tuple(map(int, present)), tuple(counts), complete, idlg, reason)


def _impact(g: F64, present: I64, batch: int) -> dict[int, int]:
    impact = float(g[present].sum()) * (1 + 1 / len(g)) / batch
    left = g.copy()
    counts = dict.fromkeys(map(int, present), 1)
    left[present] -= impact
    for _ in range(min(max(0, batch - len(present)), 100_000)):
        best = int(left.argmin())
        counts[best] = counts.get(best, 0) + 1
        left[best] -= impact
    return counts


# -- tokens -------------------------------------------------------------------------------------


def tokens(weight: NDArray[np.generic]) -> tuple[I64, str]:
    """Rows of an embedding's gradient that are not zero: the batch's vocabulary.

    Returns:
        Token ids in order, and in words how they were told; none where every row has values (noise,
        or an embedding that is tied to the output layer) and no clear step in size separates them.
    """
    norms = np.zeros(weight.shape[0])
    step = max(1, _BLOCK // (8 * max(1, weight.shape[1])))
    for start in range(0, weight.shape[0], step):
        part = np.asarray(weight[start : start + step], np.float64)
        norms[start : start + step] = np.sqrt((part**2).sum(axis=1))
    used = np.flatnonzero(norms > 0)
    if len(used) <= 0.5 * len(norms):
        return used, "rows that are not zero"
    ordered = np.sort(np.log(np.maximum(norms, 1e-300)))[::-1]
    head = ordered[: max(2, len(ordered) // 4)]
    gaps = head[:-1] - head[1:]
    if len(gaps) and gaps.max() > np.log(10):
        cut = head[int(gaps.argmax())]
        return np.flatnonzero(np.log(np.maximum(norms, 1e-300)) >= cut), "rows far above all others"
    return np.zeros(0, np.int64), "every row has values: noise, or tied to the output layer"
