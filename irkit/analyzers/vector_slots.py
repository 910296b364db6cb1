"""Rows equal in all but one feature: the enumeration of an attribute, as a classifier sees it.

Fredrikson et al. 2014 and Mehnaz et al. 2020 (CSMIA) send each record once per value of the
sensitive attribute and read which the model believes most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.prompt_shape import mix

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bools = NDArray[np.bool_]

#: Wider rows are no records with attributes.
_MOST_COLUMNS = 512
#: Groups larger than this vary a quantity, not an attribute.
_MOST_VALUES = 40
#: Groups in which a value must occur to belong to a closed set.
_RECURS = 3


def slot_groups(raw: F64, part: I64, fresh: Bools) -> tuple[U64, Bools]:
    """Return per row the group it shares all but one feature with, and whether values recur.

    Two rows that differ in one feature agree on the first or the second half of their features, so
    only rows with such a double are looked at feature by feature.
    """
    count, width = raw.shape
    group, closed = np.zeros(count, np.uint64), np.zeros(count, np.bool_)
    if not 2 <= width <= _MOST_COLUMNS:
        return group, closed
    salt = mix(part.astype(np.uint64) + np.uint64(3))
    half = width // 2
    sums = [np.zeros(count, np.uint64), np.zeros(count, np.uint64)]
    for column in range(width):
        sums[column >= half] += _cell(raw, column)
    doubled = np.zeros(count, np.bool_)
    live = np.flatnonzero(fresh)
    for side in sums:
        _, inverse, size = np.unique(
            side[live] ^ salt[live], return_inverse=True, return_counts=True
        )
        doubled[live] |= size[inverse] > 1
    rows = np.flatnonzero(doubled)
    if not rows.size:
        return group, closed
    total = (sums[0] + sums[1])[rows]
    best = np.zeros(len(rows), np.int64)
    for column in range(width):
        cell = _cell(raw[rows], column)
        key = mix(mix(total - cell) + np.uint64(column)) ^ salt[rows]
        _, inverse, size = np.unique(key, return_inverse=True, return_counts=True)
        inside = (size[inverse] >= 2) & (size[inverse] <= _MOST_VALUES)
        if not inside.any():
            continue
        # In how many of the actor's groups over this feature does the value occur?
        _, at, recur = np.unique(
            mix(cell[inside]) ^ salt[rows[inside]], return_inverse=True, return_counts=True
        )
        recurs = np.zeros(len(rows), np.int64)
        recurs[inside] = recur[at]
        members = np.bincount(inverse[inside], minlength=len(size))
        repeated = np.bincount(inverse[inside], weights=recurs[inside] >= _RECURS)
        repeated = np.pad(repeated, (0, len(size) - len(repeated)))
        shut = repeated >= 0.8 * np.maximum(members, 1)
        rank = np.where(inside, 1 + np.where(shut[inverse], recurs, 0), 0)
        better = rank > best
        best[better] = rank[better]
        group[rows[better]] = key[better] | np.uint64(1)
        closed[rows[better]] = shut[inverse[better]]
    return group, closed


def _cell(raw: F64, column: int) -> U64:
    # Adding zero makes the two zeros one.
    bits = (np.ascontiguousarray(raw[:, column]) + 0.0).view(np.uint64)
    return mix(bits ^ mix(np.uint64(column + 1) + np.zeros(1, np.uint64)))
