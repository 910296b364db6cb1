"""Which training records the reconstructed vectors are.

The records come as numbers: CSV or Parquet with one row per record (``doc_id``, ``subject_id``,
``kind`` and numeric columns in the model's order, or one list column ``features``), or ``.npz``
with ``features``, ``doc_id`` and ``subject_id``.  Models read normalised inputs, so a record is
compared as it is stored, standardised by column, brought to 0..1 by column, and divided by 255.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from irkit.analyzers import gradient_files
from irkit.analyzers.corpus_readers import _pick
from irkit.analyzers.gradient_invert import F64
from irkit.errors import UsageError

#: Least cosine, and largest distance relative to the record's length, of a match.
COSINE, DISTANCE = 0.99, 0.05
#: A match is sure when the next other record is at least this many times as far away.
APART = 5.0
#: Fewest values per record that can tell records apart.
LEAST_VALUES = 4
#: Rows compared at a time.
_BATCH = 4096
_KEPT = 3
_LABELS = frozenset({"label", "target", "class", "y", "split", "copies", "duplicates"})
_VECTORS = frozenset({"features", "x", "values", "pixels"})
_SCALINGS = ("as stored", "standardised by column", "0 to 1 by column", "divided by 255")


@dataclass(frozen=True, slots=True)
class Rows:
    """Some training records: ids, subjects and kinds with one row of values each."""

    ids: list[str]
    subjects: list[str | None]
    kinds: list[str | None]
    values: F64


@dataclass(frozen=True, slots=True)
class Match:
    """A candidate vector that is a training record.

    Attributes:
        candidate: position of the vector.
        doc_id: the record.
        subject_id: its person, where known.
        kind: its kind, where known.
        cosine: cosine of vector and record.
        distance: distance relative to the record's length.
        psnr: peak signal-to-noise ratio in dB, the peak being the range of all values.
        sure: no other record comes close.
        scaling: how the record had to be normalised.
    """

    candidate: int
    doc_id: str
    subject_id: str | None
    kind: str | None
    cosine: float
    distance: float
    psnr: float
    sure: bool
    scaling: str


class NumericRecords:
    """One file of training records as numbers."""

    def __init__(self, path: Path, mapping: Mapping[str, str], most: int) -> None:
        self.path, self._mapping, self._most = path, mapping, most
        self.columns, self._features = self._shape()

    def _shape(self) -> tuple[int, list[str] | str]:
        if self.path.suffix.lower() == ".npz":
            with gradient_files.opened(self.path, most=self._most, texts=True) as file:
                spec = _features_of(file.specs)
                if spec is None:
                    why = file.rejects[0].reason if file.rejects else "no array named features"
                    raise UsageError(
                        f"{self.path}: holds no training records as numbers: {why}",
                        "name the array features (records x values), with doc_id and subject_id",
                    )
                return int(np.prod(spec.shape[1:])), spec.name
        schema = _schema(self.path)
        chosen = _pick(schema, self._mapping)
        taken = set(chosen.values())
        for name, kind in schema.items():
            if kind == "list" and name.lower() in _VECTORS:
                return -1, name
        names = [
            name
            for name, kind in schema.items()
            if kind == "number" and name not in taken and name.lower() not in _LABELS
        ]
        return len(names), names

    def batches(self) -> Iterator[Rows]:
        """Yield the records in order.

        Raises:
            UsageError: the file is damaged.
        """
        import pyarrow as pa

        try:
            yield from self._npz() if self.path.suffix.lower() == ".npz" else self._table()
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{self.path}: the table of training records cannot be read", "check the file"
            ) from error

    def _npz(self) -> Iterator[Rows]:
        with gradient_files.opened(self.path, most=self._most, texts=True) as file:
            spec = _features_of(file.specs)
            values = file.load(spec) if spec is not None else None
            if values is None:
                raise UsageError(f"{self.path}: the features cannot be read", "check the file")
            columns = {
                name: next((file.load(s) for s in file.specs if s.name in names), None)
                for name, names in (
                    ("id", ("doc_id", "id", "ids")),
                    ("subject", ("subject_id", "subjects")),
                    ("kind", ("kind",)),
                )
            }
            for name, column in columns.items():
                if column is not None and len(column) != len(values):
                    raise UsageError(
                        f"{self.path}: there are {len(column)} values of {name} for"
                        f" {len(values)} records",
                        "give one per record",
                    )
            flat = values.reshape(len(values), -1)
            for at in range(0, len(flat), _BATCH):
                rows = slice(at, at + _BATCH)
                part = np.asarray(flat[rows], np.float64)
                told = {k: None if c is None else c[rows].tolist() for k, c in columns.items()}
                yield self._rows(at, part, told["id"], told["subject"], told["kind"])

    def _table(self) -> Iterator[Rows]:
        at = 0
        schema = _schema(self.path)
        chosen = _pick(schema, self._mapping)
        wanted = [self._features] if isinstance(self._features, str) else self._features
        for batch in _record_batches(self.path):
            told: dict[str, list[Any] | None] = {
                key: batch.column(chosen[key]).to_pylist() if key in chosen else None
                for key in ("doc_id", "subject_id", "kind")
            }
            columns = [batch.column(name) for name in wanted]
            if isinstance(self._features, str):
                part = _lists(columns[0].to_pylist())
            else:
                cast = [
                    np.asarray(c.cast("float64").to_numpy(zero_copy_only=False)) for c in columns
                ]
                part = np.stack(cast, axis=1) if cast else np.zeros((batch.num_rows, 0))
            for start in range(0, len(part), _BATCH):
                rows = slice(start, start + _BATCH)
                cut = {key: None if v is None else v[rows] for key, v in told.items()}
                yield self._rows(
                    at + start, part[rows], cut["doc_id"], cut["subject_id"], cut["kind"]
                )
            at += len(part)

    def _rows(
        self,
        at: int,
        values: F64,
        ids: list[Any] | None,
        subjects: list[Any] | None,
        kinds: list[Any] | None,
    ) -> Rows:
        count = len(values)
        named = [None] * count if ids is None else ids
        return Rows(
            [
                f"{self.path.name}#{at + i + 1}" if value in (None, "") else str(value)
                for i, value in enumerate(named)
            ],
            [None] * count if subjects is None else [_text(v) for v in subjects],
            [None] * count if kinds is None else [_text(v) for v in kinds],
            np.where(np.isfinite(values), values, 0.0),
        )


def is_numeric(path: Path, mapping: Mapping[str, str]) -> bool:
    """Tell whether a corpus file holds records as numbers rather than texts."""
    suffix = path.suffix.lower()
    if not path.is_file() or suffix not in (".npz", ".csv", ".tsv", ".parquet", ".pq"):
        return False
    if suffix == ".npz":
        return True
    try:
        schema = _schema(path)
    except UsageError:
        return False  # the reader of texts says what is wrong with it
    if any(k == "list" and n.lower() in _VECTORS for n, k in schema.items()):
        return True
    return "text" not in _pick(schema, mapping) and "number" in schema.values()


def match(candidates: F64, files: Sequence[NumericRecords]) -> list[Match]:
    """Find the training record of each candidate vector.

    Args:
        candidates: one reconstructed vector per row.
        files: tables of training records; those of another width are left out.

    Returns:
        Matches with a cosine of at least :data:`COSINE` within :data:`DISTANCE`; several of one
        candidate, none of them sure, where it cannot be told which record it is.
    """
    width = candidates.shape[1]
    length = np.sqrt((candidates**2).sum(axis=1))
    out: list[Match] = []
    kept: dict[int, list[tuple[float, float, str, str | None, str | None, str, float]]] = {}
    for file in files:
        if file.columns not in (width, -1):
            continue
        stats = _ranges(file, width)
        if stats is None:
            continue
        for rows in file.batches():
            if rows.values.shape[1] != width:
                continue
            for number, scaling in enumerate(_SCALINGS):
                scaled = _scaled(rows.values, stats, number)
                size = np.sqrt((scaled**2).sum(axis=1))
                inner = candidates @ scaled.T
                gap = np.sqrt(np.maximum((length**2)[:, None] + size**2 - 2 * inner, 0.0))
                with np.errstate(divide="ignore", invalid="ignore"):
                    relative = np.where(size > 0, gap / size, np.inf)
                    cosine = np.where(size > 0, inner / (length[:, None] * size), 0.0)
                peak = _peak(stats, number)
                for who in np.flatnonzero((relative <= APART * DISTANCE).any(axis=1)).tolist():
                    mine = kept.setdefault(who, [])
                    for row in np.argsort(relative[who], kind="stable")[:_KEPT].tolist():
                        if relative[who, row] <= APART * DISTANCE:
                            error = float(gap[who, row]) / np.sqrt(width)
                            psnr = 20 * np.log10(max(peak, 1e-300) / max(error, 1e-12 * peak))
                            mine.append(
                                (
                                    float(relative[who, row]), float(cosine[who, row]),
                                    rows.ids[row], rows.subjects[row], rows.kinds[row], scaling,
                                    round(float(min(psnr, 240.0)), 1),
                                )
                            )  # fmt: skip
    for who in sorted(kept):
        out += _decide(who, kept[who], width)
    return out


def _decide(
    who: int,
    found: list[tuple[float, float, str, str | None, str | None, str, float]],
    width: int,
) -> list[Match]:
    best: dict[str, tuple[float, float, str, str | None, str | None, str, float]] = {}
    for row in sorted(found, key=lambda r: (r[0], r[2], r[5])):
        best.setdefault(row[2], row)
    ordered = list(best.values())
    nearest = ordered[0]
    if nearest[0] > DISTANCE or nearest[1] < COSINE:
        return []
    # Rounding alone separates nothing: below it two records are equally near.
    edge = APART * max(nearest[0], 1e-6)
    close = [r for r in ordered if r[0] <= edge and r[0] <= DISTANCE and r[1] >= COSINE]
    people = {r[3] if r[3] is not None else f"record {r[2]}" for r in close}
    sure = len(people) == 1 and width >= LEAST_VALUES
    return [
        Match(who, r[2], r[3], r[4], r[1], r[0], r[6], sure, r[5])
        for r in (close[:1] if sure else close[:_KEPT])
    ]


@dataclass(frozen=True, slots=True)
class _Ranges:
    mean: F64
    spread: F64
    low: F64
    high: F64


def _ranges(file: NumericRecords, width: int) -> _Ranges | None:
    count, total, square = 0, np.zeros(width), np.zeros(width)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for rows in file.batches():
        if rows.values.shape[1] != width or not len(rows.values):
            continue
        count += len(rows.values)
        total += rows.values.sum(axis=0)
        square += (rows.values**2).sum(axis=0)
        low, high = (
            np.minimum(low, rows.values.min(axis=0)),
            np.maximum(high, rows.values.max(axis=0)),
        )
    if not count:
        return None
    mean = total / count
    spread = np.sqrt(np.maximum(square / count - mean**2, 0.0))
    return _Ranges(mean, np.where(spread > 0, spread, 1.0), low, high)


def _scaled(values: F64, stats: _Ranges, number: int) -> F64:
    if number == 1:
        return (values - stats.mean) / stats.spread
    if number == 2:
        wide = np.where(stats.high > stats.low, stats.high - stats.low, 1.0)
        return (values - stats.low) / wide
    return values / 255.0 if number == 3 else values


def _peak(stats: _Ranges, number: int) -> float:
    low = _scaled(stats.low[None, :], stats, number)
    high = _scaled(stats.high[None, :], stats, number)
    return float(high.max() - low.min()) or 1.0


def _features_of(specs: Sequence[gradient_files.Spec]) -> gradient_files.Spec | None:
    for name in ("features", "x", "data", "images"):
        for spec in specs:
            if spec.name.lower() == name and len(spec.shape) >= 2 and spec.dtype[1] in "fiub":
                return spec
    return None


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def _lists(rows: list[Any]) -> F64:
    usable = [row for row in rows if isinstance(row, list)]
    width = len(usable[0]) if usable else 0
    blank = [0.0] * width
    good = [
        row if isinstance(row, list) and len(row) == width and None not in row else blank
        for row in rows
    ]
    values: F64 = np.asarray(good, np.float64).reshape(len(rows), width)
    return values


def _schema(path: Path) -> dict[str, str]:
    """Columns of a table and what they hold: ``number``, ``list`` of numbers, or ``other``."""
    import pyarrow as pa

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            import pyarrow.parquet as pq

            schema = pq.read_schema(path)
        else:
            with _csv(path) as reader:
                schema = reader.schema
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the table cannot be read", "check the file") from error
    kinds: dict[str, str] = {}
    for column in schema:
        kind = column.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            kinds[column.name] = "number"
        elif (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and (
            pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
        ):
            kinds[column.name] = "list"
        else:
            kinds[column.name] = "other"
    return kinds


def _csv(path: Path) -> Any:
    from pyarrow import csv

    with path.open("rb") as stream:
        head = stream.readline(1 << 16)
    comma = max(b",;\t|", key=lambda c: head.count(bytes([c])))
    return csv.open_csv(path, parse_options=csv.ParseOptions(delimiter=chr(comma)))


def _record_batches(path: Path) -> Iterator[Any]:
    if path.suffix.lower() in (".parquet", ".pq"):
        import pyarrow.parquet as pq

        yield from pq.ParquetFile(path).iter_batches(batch_size=_BATCH)
        return
    with _csv(path) as reader:
        yield from reader
