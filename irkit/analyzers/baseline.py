"""Calibration files: scores of ordinary actors, portable, without any text or identifier.

A file holds, per stratum (chat, completion, other) and size bucket, the score table of one window
per ordinary actor, its rows sorted so that nobody's order remains; per statistic the scores of one
query per actor; and how many ordinary actors showed each signature.  Scores are rounded *up* to
three significant digits, which can only make a tested unit look more ordinary.

The file is Zstandard-compressed canonical JSON with the SHA-256 of its own content.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irkit import __version__
from irkit.analyzers.calibrate import Promise, stationary
from irkit.analyzers.features import Features
from irkit.analyzers.fuse import Fusion, deciding, technique_weights
from irkit.analyzers.prompt_shape import mix
from irkit.analyzers.registry import Registry, load_detectors
from irkit.analyzers.scoring import PREDICT, Scorer, window_strata
from irkit.analyzers.sequences import (
    BUCKETS,
    UNION_BUCKETS,
    QueryLog,
    Units,
    baseline_windows,
    subset,
    union_windows,
    units_of,
    whole_units,
)
from irkit.errors import StorageError, UsageError
from irkit.model import UnitKind

if TYPE_CHECKING:
    from irkit.case import Case

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

FORMAT = "irkit-baseline/1"
GENERIC = "generic_baseline.json.zst"
#: Changes whenever a shared feature changes meaning; scores made before are then not comparable.
FEATURES_VERSION = "2"
ANY = "*"
#: Stratum of random unions of ordinary actors, which campaigns are compared with.
UNION = "union"
_DIGITS = 3
_MOST_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Baseline:
    """A calibration file in memory.

    Attributes:
        described: everything but the scores: kind, hash, sizes, versions.
        keys: statistic keys, in column order.
        tables: score table per (stratum, bucket); stratum ``*`` holds all rows.
        queries: per statistic, ordinary query scores above zero, ascending, and how many there are
            in all.
        signatures: per signature (ordinary actors that showed it, ordinary actors looked at).
    """

    described: dict[str, Any]
    keys: list[str]
    tables: dict[tuple[str, int], F64]
    queries: dict[str, tuple[F64, int]]
    signatures: dict[str, tuple[int, int]]

    @property
    def generic(self) -> bool:
        """Whether it was made from simulated actors."""
        return self.described.get("kind") == "generic"

    @property
    def stationary(self) -> bool:
        """Whether its two halves by time score alike (drift guard)."""
        return float(self.described.get("stationary_p", 1.0)) >= 0.01

    def size(self, bucket: int, stratum: str = ANY) -> int:
        """Return the number of ordinary windows of a bucket."""
        table = self.tables.get((stratum, bucket))
        return 0 if table is None else len(table)

    def columns(self, keys: list[str], bucket: int, stratum: str) -> F64:
        """Return a table with its columns in another order; NaN columns for unknown statistics."""
        table = self.tables.get((stratum, bucket))
        if table is None:
            return np.full((0, len(keys)), np.nan)
        out = np.full((len(table), len(keys)), np.nan)
        for i, key in enumerate(keys):
            if key in self.keys:
                out[:, i] = table[:, self.keys.index(key)]
        return out

    def query_p(self, key: str, scores: NDArray[np.float32]) -> F64:
        """Conformal p-values of single queries (1 where a query shows nothing)."""
        ordered, size = self.queries.get(key, (np.zeros(0), 0))
        above = len(ordered) - np.searchsorted(ordered, scores.astype(np.float64), side="left")
        p = (1.0 + above) / (1.0 + size)
        return np.where(scores > 0, p, 1.0)


# -- building -----------------------------------------------------------------------------------


def actors(log: QueryLog) -> Units:
    """Return the actors a baseline is made of: credentials, else addresses, else sessions."""
    return units_of(log, UnitKind.CREDENTIAL, codes=log.part)


def build_baseline(case: Case, out: Path, *, kind: str = "own", label: str = "") -> dict[str, Any]:
    """Turn a case that holds only ordinary traffic into a calibration file.

    Args:
        case: ingested logs; matched against the training corpus if corpus-based detectors are to
            be calibrated, too.
        out: file to write; its bytes depend on the evidence and the settings only.
        kind: ``own``, or ``generic`` for simulated actors.
        label: short description for reports.

    Returns:
        The description that is part of the file: sizes, versions, hash.

    Raises:
        UsageError: the case holds no records.
        StorageError: the file cannot be written.
    """
    registry = load_detectors()
    log = Features(case)
    if not len(log):
        raise UsageError("no query records to calibrate on", "give logs of ordinary traffic")
    scorer = Scorer.of(registry, log)
    units = actors(log.log)
    content = _content(case, registry, scorer, units)
    content |= {"kind": kind, "label": label}
    if kind == "own":
        content["stationary_p"] = _halves(scorer, units, case.settings.seed)
    content["sha256"] = _digest(content)
    write(content, out)
    return describe(content)


def _content(case: Case, registry: Registry, scorer: Scorer, units: Units) -> dict[str, Any]:
    log = scorer.log.log
    windows = baseline_windows(units, BUCKETS, case.settings.seed)
    scores = round_up(scorer.table(windows))
    stratum = window_strata(scorer.log, windows)
    tables = []
    for bucket in BUCKETS:
        for name in sorted(set(stratum.tolist())):
            rows = scores[(windows.bucket == bucket) & (stratum == name)]
            if len(rows):
                tables.append(_stored(name, bucket, rows))
    language = subset(units, ~(whole_units(units).total(scorer.log.has_vectors) * 2 >= units.sizes))
    for bucket in UNION_BUCKETS:
        unions = union_windows(language, scorer.log.log.time, bucket, case.settings.seed)
        if len(unions):
            tables.append(_stored(UNION, bucket, round_up(scorer.table(unions))))
    draw = mix(np.arange(len(units), dtype=np.uint64) + np.uint64(case.settings.seed))
    pick = units.rows[units.bounds[:-1] + (draw % units.sizes.astype(np.uint64)).astype(np.int64)]
    queries = {}
    for i, (_, statistic) in enumerate(scorer.statistics):
        values = round_up(scorer.query[statistic.key][pick].astype(np.float64))
        # A statistic that could not speak (no corpus given) has seen no query, not only dull ones.
        seen = 0 if np.isnan(scores[:, i]).all() else len(pick)
        queries[statistic.key] = {"n": seen, "above": _plain(np.sort(values[values > 0]))}
    whole = whole_units(units)
    # Who never sent rows to a classifier says nothing about how rare a pattern of rows is.
    sends = whole.total(scorer.log.has_vectors) / np.maximum(whole.sizes, 1) >= 0.5
    signatures = {
        signature.key: {
            "hits": int(hits.sum()),
            "n": int(sends.sum()) if "vectors" in signature.needs else len(units),
        }
        for _, signature, hits in scorer.signatures(whole)
    }
    return {
        "format": FORMAT,
        "irkit": __version__,
        "features": FEATURES_VERSION,
        "detectors": {d.spec.id: d.spec.version for d in registry.detectors.values()},
        "actors": len(units),
        "records": int(log.kept.sum()),
        "corpus": scorer.log.has_corpus,
        "settings": case.settings.digest(),
        "statistics": [statistic.key for _, statistic in scorer.statistics],
        "tables": tables,
        "queries": queries,
        "signatures": signatures,
    }


def _stored(stratum: str, bucket: int, rows: F64) -> dict[str, Any]:
    """Lay a table out for the file, rows sorted so that no actor's place remains."""
    rows = rows[np.lexsort(np.nan_to_num(rows, nan=-1.0).T[::-1])]
    return {
        "bucket": bucket,
        "stratum": stratum,
        "rows": len(rows),
        "columns": [_plain(column) for column in rows.T],
    }


def _halves(scorer: Scorer, units: Units, seed: int) -> float:
    """Compare fused scores of the earlier and the later half of actors by their first call."""
    best = max(BUCKETS, key=lambda b: (min(int((units.sizes >= b).sum()), 400), b))
    windows = baseline_windows(units, [best], seed)
    if len(windows) < 50:
        return 1.0
    scores = scorer.table(windows)
    statistics = [s for _, s in scorer.statistics]
    speaking: NDArray[np.bool_] = np.asarray(~np.isnan(scores).all(0), np.bool_)
    fusion = Fusion(scores, speaking, technique_weights(statistics), deciding(statistics))
    overall = -np.log(fusion.apply(scores).overall)
    first = scorer.log.log.time[units.rows[units.bounds[:-1]]]
    start = first[np.searchsorted(units.code, windows.unit)]
    early = start <= np.median(start)
    return stationary(overall[early], overall[~early])


def round_up(values: F64) -> F64:
    """Round to three significant digits, never down (NaN stays)."""
    out = values.copy()
    positive = np.flatnonzero((values > 0).ravel())
    v = values.ravel()[positive]
    unit = 10.0 ** (np.floor(np.log10(v)) - (_DIGITS - 1))
    steps = np.ceil(v / unit)
    # Division may round an exact value down by one unit in the last place.
    steps += np.round(steps * unit, 12) < v
    out.ravel()[positive] = np.round(steps * unit, 12)
    return out


def _plain(values: F64) -> list[Any]:
    return [
        None if value != value else int(value) if value == int(value) else float(f"{value:.6g}")
        for value in values.tolist()
    ]


# -- files --------------------------------------------------------------------------------------


def _digest(content: dict[str, Any]) -> str:
    clean = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(_canonical(clean)).hexdigest()


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def write(content: dict[str, Any], out: Path) -> None:
    """Write a calibration file."""
    import zstandard

    packed = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(_canonical(content))
    try:
        out.write_bytes(packed)
    except OSError as error:
        raise StorageError(f"{out}: cannot be written: {error.strerror}") from error


def load_baseline(path: Path) -> Baseline:
    """Read a calibration file.

    Raises:
        UsageError: no such file, not a calibration file, damaged, or of a newer format.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}", "make one with: irkit baseline LOGS"
        ) from error
    return _parse(packed, str(path))


def is_calibration(path: Path) -> bool:
    """Return whether a file was written as a calibration file (intact or not), and not as logs."""
    import zstandard

    try:
        with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as raw:
            return FORMAT.encode() in raw.read(_MOST_BYTES)
    except (OSError, zstandard.ZstdError):
        return False


@lru_cache(maxsize=1)
def generic_baseline() -> Baseline | None:
    """Return the calibration of simulated ordinary actors that irkit carries."""
    file = resources.files("irkit.analyzers") / GENERIC
    if not file.is_file():
        return None
    return _parse(file.read_bytes(), GENERIC)


def _parse(packed: bytes, name: str) -> Baseline:
    import zstandard

    hint = "make one with: irkit baseline LOGS --out FILE"
    try:
        if zstandard.get_frame_parameters(packed).content_size > _MOST_BYTES:
            raise UsageError(f"{name}: larger than any calibration file", hint)
        raw = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MOST_BYTES)
        content = json.loads(raw)
        if content["format"] != FORMAT:
            raise UsageError(f"{name}: written in format {content['format']!r}", hint)
        if content["sha256"] != _digest(content):
            raise UsageError(f"{name}: the calibration file was changed after it was made", hint)
        return _baseline(content)
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{name}: not an irkit calibration file", hint) from error


def _baseline(content: dict[str, Any]) -> Baseline:
    keys = [str(key) for key in content["statistics"]]
    tables: dict[tuple[str, int], F64] = {}
    for table in content["tables"]:
        rows = np.array(table["columns"], np.float64).T
        if rows.shape != (table["rows"], len(keys)):
            raise ValueError("table of the wrong shape")
        tables[str(table["stratum"]), int(table["bucket"])] = rows
    for bucket in sorted({bucket for _, bucket in tables}):
        parts = [
            rows
            for (s, b), rows in sorted(tables.items())
            if b == bucket and s not in (UNION, PREDICT)
        ]
        if parts:
            tables[ANY, bucket] = np.concatenate(parts)
    return Baseline(
        describe(content),
        keys,
        tables,
        {
            str(key): (np.array(value["above"], np.float64), int(value["n"]))
            for key, value in content["queries"].items()
        },
        {
            str(key): (int(value["hits"]), int(value["n"]))
            for key, value in content["signatures"].items()
        },
    )


def describe(content: dict[str, Any]) -> dict[str, Any]:
    """Return everything about a calibration but its scores."""
    sizes: dict[str, int] = {}
    unions: dict[str, int] = {}
    for table in content["tables"]:
        counted = unions if table["stratum"] == UNION else sizes
        key = str(table["bucket"])
        counted[key] = counted.get(key, 0) + int(table["rows"])
    kept = ("kind", "label", "actors", "records", "irkit", "features", "detectors", "corpus")
    out = {key: content[key] for key in (*kept, "sha256", "signatures")}
    if "stationary_p" in content:
        out["stationary_p"] = content["stationary_p"]
    out["actors_by_bucket"] = sizes
    out["unions_by_bucket"] = unions
    return out


def comparable(baseline: Baseline, registry: Registry) -> list[str]:
    """Return the statistics whose calibration was made by the same version of their detector."""
    made = baseline.described["detectors"]
    if baseline.described["features"] != FEATURES_VERSION:
        return []
    return [
        statistic.key
        for detector, statistic in registry.statistics()
        if made.get(detector.spec.id) == detector.spec.version and statistic.key in baseline.keys
    ]


def promises(baseline: Baseline, alpha: float) -> dict[int, Promise]:
    """Return the promise per bucket over all strata."""
    return {
        bucket: Promise.of(baseline.size(bucket), alpha)
        for bucket in BUCKETS
        if baseline.size(bucket)
    }
