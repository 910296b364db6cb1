"""Rows sent to classifiers, related to each other: what every vector statistic is computed on.

A call is a record, its batch rows are *items*.  Items are related inside a partition (the finest
stable actor) in the order they were sent; all results are per item, and :class:`Items` sums them
up per record.  Vectors of one schema (same column names, else same width) are compared, never
others.  Wide vectors (images, embeddings) are projected to 64 dimensions first, which keeps
distances (Johnson-Lindenstrauss).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.neighbours import components
from irkit.analyzers.novelty import Reference, whitened
from irkit.analyzers.prompt_shape import mix
from irkit.analyzers.vector_slots import slot_groups

if TYPE_CHECKING:
    from irkit.case import Case

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bools = NDArray[np.bool_]

#: Dimensions that wider vectors are projected to.
WIDTH = 64
#: Items closer than this share of the typical distance of two rows are near.
NEAR = 0.2
#: Random directions along which neighbours are looked for, and how far along each.
_DIRECTIONS, _REACH = 4, 4
_ROWS = 65_536
#: Features in which variants differ.
_SEVERAL = 3
#: A step half as long as the one before, in the same line, is one of a bisection.
_HALF = (0.45, 0.55)
_LINE = 0.95
#: Rows that scales and distances are estimated on.
_SAMPLE = 20_000
#: Features of the Fourier map of a row (random Fourier features, Rahimi and Recht 2007).
FOURIER = 64


@dataclass(frozen=True, slots=True)
class Items:
    """All rows of prediction calls, by record and place in the batch.

    Attributes:
        record: record index of each item.
        fresh: first time the actor sent this vector.
        label: hash of the returned class (0: none).
        margin: top probability less the second (NaN: not returned).
        scalars: probability scalars returned.
        cloud: id of the near component (0: alone).
        variants: the same, of items that differ in several features (changing one field at a time
            is what people do in front of a form).
        nearest: distance to the nearest earlier item of the actor with the same class, as a share
            of the typical distance (NaN: none).
        crosses: the class differs from the one of the previous item of the same variants.
        halves: continues a bisection; ``wide`` of them move in two or more features.
        wide: the step to this item changes two or more features.
        slot: id of the group of rows equal in all but one feature (0: none).
        closed: the group repeats the values of other groups.
        novelty: tail value of the row's distance from what all actors send (small: far out).
        fourier: random Fourier features, less their mean over all actors.
    """

    record: I64
    fresh: Bools
    label: U64
    margin: F64
    scalars: I64
    cloud: U64
    variants: U64
    nearest: F32
    crosses: Bools
    halves: Bools
    wide: Bools
    slot: U64
    closed: Bools
    novelty: F32
    fourier: F32

    def __len__(self) -> int:
        return len(self.record)


def load_items(case: Case, index: Any, part_of: I64, kept: Bools) -> Items:
    """Read and relate every item of a case.

    Args:
        case: the case.
        index: frame of ``record_id`` and ``index``.
        part_of: partition per record.
        kept: records that count as queries.
    """
    frame = _read(case).join(index, on="record_id", how="inner", maintain_order="left")
    record = frame["index"].to_numpy().astype(np.int64)
    frame = frame.drop("record_id", "index")
    use = kept[record] if len(record) else np.zeros(0, np.bool_)
    order = np.flatnonzero(use)
    order = order[np.lexsort((frame["item"].to_numpy()[order], record[order]))]
    frame, record = frame[order], record[order]
    count = len(record)
    out = Items(
        record,
        np.ones(count, np.bool_),
        frame["label"].fill_null(0).to_numpy(),
        frame["margin"].fill_null(float("nan")).to_numpy(),
        frame["scalars"].fill_null(0).to_numpy().astype(np.int64),
        np.zeros(count, np.uint64),
        np.zeros(count, np.uint64),
        np.full(count, np.nan, np.float32),
        np.zeros(count, np.bool_),
        np.zeros(count, np.bool_),
        np.zeros(count, np.bool_),
        np.zeros(count, np.uint64),
        np.zeros(count, np.bool_),
        np.ones(count, np.float32),
        np.zeros((count, FOURIER), np.float32),
    )
    schema, part = frame["schema"].to_numpy(), part_of[record]
    for code in np.unique(schema).tolist():
        rows = np.flatnonzero(schema == code)
        values = frame["features"].gather(rows).explode().to_numpy()
        raw = values.reshape(len(rows), -1) if len(rows) else values.reshape(0, 0)
        if raw.shape[1]:
            _relate(out, rows, raw, part[rows], int(code))
    return out


def _read(case: Case) -> Any:
    """Items with at least one feature that is a number; a row of words only is a text."""
    return case.frame(
        "SELECT record_id, item, hash(coalesce(schema_id, ''), len(features)) AS schema, features,"
        " CASE WHEN pred_label IS NOT NULL THEN hash(pred_label) END AS label, margin, scalars"
        " FROM query_item WHERE len(features) > coalesce(len(words), 0)"
        " ORDER BY record_id, item"
    )


def _relate(out: Items, rows: I64, raw: F64, part: I64, code: int) -> None:
    keys = _row_keys(raw)
    salt = mix(part.astype(np.uint64) + np.uint64(1))
    _, first = np.unique(keys ^ salt, return_index=True)
    fresh = np.zeros(len(rows), np.bool_)
    fresh[first] = True
    out.fresh[rows] = fresh
    slot, closed = slot_groups(raw, part, fresh)
    out.slot[rows], out.closed[rows] = slot, closed
    z = _scaled(raw)
    typical = _typical(z)
    label = out.label[rows]
    halves, wide = _bisections(z, raw, part, fresh)
    out.halves[rows], out.wide[rows] = halves, wide
    live = np.flatnonzero(fresh)
    cloud, variants, nearest = _clouds(z[live], part[live], label[live], salt[live], NEAR * typical)
    out.variants[rows[live]] = variants
    out.cloud[rows[live]], out.nearest[rows[live]] = cloud, nearest / np.float32(typical)
    out.crosses[rows[live]] = _crossings(variants, label[live])
    z = whitened(z, part, code)
    reference = Reference.of(z, part, _typical(z), code)
    out.novelty[rows] = reference.novelty(z)
    out.fourier[rows] = reference.fourier(z, FOURIER)


def _row_keys(raw: F64) -> U64:
    key = np.zeros(len(raw), np.uint64)
    for column in range(raw.shape[1]):
        bits = np.ascontiguousarray(raw[:, column]).view(np.uint64)
        key = mix(key ^ mix(bits + np.uint64(column)))
    return key


def _scaled(raw: F64) -> F32:
    """Centre and scale each feature by its spread over all actors; project what is wide."""
    step = max(1, len(raw) // _SAMPLE)
    sample = raw[::step]
    with np.errstate(all="ignore"):
        low, centre, high = np.nanquantile(sample, (0.25, 0.5, 0.75), axis=0)
        spread = np.where(high > low, (high - low) / 1.349, np.nanstd(sample, axis=0))
    centre = np.nan_to_num(centre)
    spread = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
    # Far outliers carry no more information than far; squares must not overflow.
    z: F32 = np.clip(np.nan_to_num((raw - centre) / spread), -1e4, 1e4).astype(np.float32)
    if z.shape[1] <= WIDTH:
        return z
    bits = mix(np.arange(z.shape[1] * WIDTH, dtype=np.uint64)) >> np.uint64(63)
    signs = (bits.astype(np.float32) * 2 - 1).reshape(z.shape[1], WIDTH)
    return np.asarray(z @ signs / np.float32(np.sqrt(z.shape[1])), np.float32)


def _distance(a: F32, b: F32) -> F32:
    """Root mean square difference per dimension."""
    return np.asarray(np.sqrt(((a - b) ** 2).mean(1)), dtype=np.float32)


def _typical(z: F32) -> float:
    """Median distance of two rows far apart in the log."""
    count = len(z)
    if count < 2:
        return 1.0
    a = np.arange(0, count, max(1, count // 4096))
    b = (mix(a.astype(np.uint64)) % np.uint64(count)).astype(np.int64)
    far = _distance(z[a], z[b])
    far = far[far > 0]
    return float(np.median(far)) if far.size else 1.0


def _bisections(z: F32, raw: F64, part: I64, fresh: Bools) -> tuple[Bools, Bools]:
    """Mark items whose step halves the one before along one line, and whether it is oblique."""
    count = len(z)
    halves, wide = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    live = np.flatnonzero(fresh)
    for begin in range(0, len(live), _ROWS):
        at = live[max(0, begin - 2) : begin + _ROWS]
        if len(at) < 3:
            continue
        step = np.diff(z[at].astype(np.float64), axis=0)
        length = np.sqrt((step**2).sum(1))
        same = (part[at[2:]] == part[at[1:-1]]) & (part[at[1:-1]] == part[at[:-2]])
        with np.errstate(all="ignore"):
            ratio = length[1:] / length[:-1]
            line = np.abs((step[1:] * step[:-1]).sum(1)) / (length[1:] * length[:-1])
        good = same & (ratio > _HALF[0]) & (ratio < _HALF[1]) & (line > _LINE)
        halves[at[2:]] |= good
        moved = (np.diff(raw[at], axis=0) != 0).sum(1)
        wide[at[2:]] |= moved[1:] >= 2
    return halves, wide


def _clouds(z: F32, part: I64, label: U64, salt: U64, radius: float) -> tuple[U64, U64, F32]:
    """Join near items of each partition, and find each item's nearest earlier one of its class."""
    count = len(z)
    nearest = np.full(count, np.nan, np.float32)
    if count < 2:
        none = np.zeros(count, np.uint64)
        return none, none, nearest
    nearest[:] = np.inf
    left: list[I64] = []
    right: list[I64] = []
    width = z.shape[1]
    for direction in range(_DIRECTIONS):
        draw = mix(np.arange(width, dtype=np.uint64) + np.uint64(7919 * (direction + 1)))
        line = (draw / np.float64(2**63) - 1.0).astype(np.float32)
        order = np.lexsort((z @ line, part))
        for gap in range(1, _REACH + 1):
            for begin in range(0, count - gap, _ROWS):
                a = order[begin : min(begin + _ROWS, count - gap)]
                b = order[begin + gap : begin + gap + len(a)]
                same = part[a] == part[b]
                a, b = a[same], b[same]
                far = _distance(z[a], z[b])
                close = far <= radius
                left.append(a[close])
                right.append(b[close])
                alike = label[a] == label[b]
                np.minimum.at(nearest, np.maximum(a, b)[alike], far[alike])
    a, b = np.concatenate(left), np.concatenate(right)
    wide = np.zeros(len(a), np.bool_)
    for begin in range(0, len(a), _ROWS):
        part_ = slice(begin, begin + _ROWS)
        wide[part_] = (z[a[part_]] != z[b[part_]]).sum(1) >= min(_SEVERAL, width)
    nearest[np.isinf(nearest)] = np.nan
    every = components(count, a, b, salt)
    return every, components(count, a[wide], b[wide], salt), nearest


def _crossings(cloud: U64, label: U64) -> Bools:
    """Mark items whose class differs from the previous item of their cloud."""
    out = np.zeros(len(cloud), np.bool_)
    order = np.argsort(cloud, kind="stable")
    before, after = order[:-1], order[1:]
    change = (cloud[before] == cloud[after]) & (cloud[after] != 0)
    change &= (label[before] != label[after]) & (label[before] != 0) & (label[after] != 0)
    out[after] = change
    return out
