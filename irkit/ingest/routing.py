"""Route single entries: which format is this, and is it wrapped in something?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from irkit.ingest.engine import FAULTS, Engine, truths
from irkit.ingest.extraction import Extraction
from irkit.ingest.format import Envelope, Format
from irkit.ingest.prose import TextReader
from irkit.ingest.registry import Registry

#: Wrappers inside wrappers inside wrappers; deeper is no log but a trick.
MAX_LEVELS = 4
#: From this rank on a format is a guess by common names; a wrapper below the usual rank knows more.
GENERIC = 300
_SPECIFIC = 100
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Routed:
    """Entries after unwrapping.

    Attributes:
        lines: JSON texts.
        rows: entry of the block that each came from.
        origin: index of the input line that each came from.
        by_format: format and indices into ``lines``.
        unknown: indices into ``lines`` that no format claims.
        hollow: entries of the block whose wrapper held nothing, with the sentence that says why.
    """

    lines: pa.Array
    rows: NDArray[np.int64]
    origin: NDArray[np.int64]
    by_format: list[tuple[Format, NDArray[np.int64]]]
    unknown: NDArray[np.int64]
    hollow: dict[int, str]


def bind(sql: str, names: dict[str, str]) -> str:
    """Replace declared names in an expression by what they stand for; string literals are kept."""

    def swap(match: re.Match[str]) -> str:
        token = match.group(0)
        return names.get(token, token)

    return _TOKEN.sub(swap, sql)


class Router:
    """Classifies JSON texts by the signatures of all formats and envelopes, in one parse."""

    def __init__(self, registry: Registry, engine: Engine) -> None:
        self._engine = engine
        self.prose = TextReader(registry.text_lines, engine)
        self._formats = registry.formats
        self._envelopes = registry.envelopes
        self._generic = np.array([fmt.order >= GENERIC for fmt in registry.formats] or [False])
        self._specific = np.array([env.order < _SPECIFIC for env in registry.envelopes] or [False])
        groups: dict[str, Sequence[Format | Envelope]] = {
            "f": registry.formats,
            "e": registry.envelopes,
        }
        wanted = {
            f"{kind}{number}_{name}": paths
            for kind, group in groups.items()
            for number, item in enumerate(group)
            for name, paths in item.signature_paths.items()
        }
        extraction = Extraction(wanted, {})
        picked = extraction.names("line", "l")

        def first_match(kind: str, group: Sequence[Format | Envelope], guard: str) -> str:
            cases = []
            for number, item in enumerate(group):
                own = {name: picked[f"{kind}{number}_{name}"] for name in item.signature_paths}
                test = bind(item.signature, own)
                cases.append(f"WHEN {guard} AND coalesce(({test}), false) THEN {number}")
            return f"CASE {' '.join(cases)} ELSE -1 END" if cases else "-1"

        chosen = first_match("f", registry.formats, "starts_with(ltrim(line), '{')")
        wrapper = first_match("e", registry.envelopes, "true")
        source = extraction.select("line", "l")
        self._sql = (
            "WITH src AS (SELECT row_no, CASE WHEN json_valid(line) THEN line END AS line"
            f" FROM block), got AS (SELECT row_no, line, {source} FROM src)"
            f" SELECT row_no, {chosen} AS fmt, {wrapper} AS env,"
            " coalesce(starts_with(ltrim(line), '{'), false) AS is_object FROM got"
        )

    def check(self) -> None:
        """Compile all signatures and envelopes without running them.

        Raises:
            duckdb.Error: one of them cannot be compiled.
        """
        self._engine.check(self._sql)
        self.prose.check()
        for envelope in self._envelopes:
            if isinstance(envelope.expand, str):
                self._engine.check(_expansion(envelope.expand))

    def classify(
        self, lines: pa.Array
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return per text: index of the format or -1, of the envelope or -1, is it an object."""
        try:
            found = self._query(self._sql, lines)
        except FAULTS:
            raise
        except duckdb.Error:
            return self._classify_apart(lines)
        return (
            found.column("fmt").to_numpy().astype(np.int64),
            found.column("env").to_numpy().astype(np.int64),
            truths(found.column("is_object")),
        )

    def _classify_apart(
        self, lines: pa.Array
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Find the line that defeats the statement; it counts as of no format."""
        if len(lines) == 1:
            none = np.full(1, -1, np.int64)
            return none, none, np.zeros(1, bool)
        half = len(lines) // 2
        parts = [self.classify(lines.slice(0, half)), self.classify(lines.slice(half))]
        fmt, env, is_object = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
        return fmt, env, is_object

    def route(
        self, rows: NDArray[np.int64], lines: pa.Array, forced: Format | None = None
    ) -> Routed:
        """Unwrap and classify entries.

        Args:
            rows: entry of the block per line.
            lines: JSON texts in order.
            forced: format for every object that is neither of it nor wrapped.
        """
        origin = np.arange(len(rows), dtype=np.int64)
        hollow: dict[int, str] = {}
        for level in range(MAX_LEVELS + 1):
            fmt, env, is_object = self.classify(lines)
            if forced is not None:
                own = self._formats.index(forced) if forced in self._formats else -2
                fmt = np.where(fmt == own, fmt, -1)
            known = (fmt >= 0) & ~(self._generic[fmt] & self._specific[env] & (env >= 0))
            wrapped = ~known & (env >= 0) if level < MAX_LEVELS else np.zeros(len(env), bool)
            if not wrapped.any():
                break
            rows, lines, origin, empty = self._unwrap(rows, lines, origin, env, wrapped)
            hollow |= empty
        by_format: list[tuple[Format, NDArray[np.int64]]] = []
        if forced is not None:
            picked = np.flatnonzero(is_object)
            if len(picked):
                by_format.append((forced, picked))
            unknown = np.flatnonzero(~is_object)
        else:
            by_format += [
                (self._formats[index], np.flatnonzero(fmt == index))
                for index in np.unique(fmt[fmt >= 0]).tolist()
            ]
            unknown = np.flatnonzero(fmt < 0)
        held = set(rows.tolist())
        alone = {row: why for row, why in sorted(hollow.items()) if why or row not in held}
        return Routed(lines, rows, origin, by_format, unknown, alone)

    def _unwrap(
        self,
        rows: NDArray[np.int64],
        lines: pa.Array,
        origin: NDArray[np.int64],
        env: NDArray[np.int64],
        wrapped: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64], pa.Array, NDArray[np.int64], dict[int, str]]:
        plain = np.flatnonzero(~wrapped)
        parents = [plain]
        ordinals = [np.zeros(len(plain), np.int64)]
        texts = [lines.take(pa.array(plain))]
        hollow: dict[int, str] = {}
        for index in np.unique(env[wrapped]).tolist():
            picked = np.flatnonzero(wrapped & (env == index))
            items = self._items(self._envelopes[index], lines.take(pa.array(picked)))
            counts = np.nan_to_num(
                items.value_lengths().to_numpy(zero_copy_only=False).astype(float)
            ).astype(np.int64)
            flat = items.flatten().cast(pa.large_string()).fill_null("null")
            parents.append(np.repeat(picked, counts))
            starts = np.cumsum(counts) - counts
            ordinals.append(np.arange(len(flat)) - np.repeat(starts, counts))
            texts.append(flat)
            words = self._envelopes[index].no_call
            hollow |= dict.fromkeys(rows[picked[counts == 0]].tolist(), words)
        parent = np.concatenate(parents)
        order = np.lexsort((np.concatenate(ordinals), parent))
        parent = parent[order]
        joined = pa.concat_arrays(texts).take(pa.array(order))
        return rows[parent], joined, origin[parent], hollow

    def _items(self, envelope: Envelope, lines: pa.Array) -> pa.Array:
        """Return the list of records in each wrapper."""
        if isinstance(envelope.expand, str):
            try:
                found = self._query(_expansion(envelope.expand), lines)
            except FAULTS:
                raise
            except duckdb.Error:
                return self._items_apart(envelope, lines)
            return found.column("items").combine_chunks()
        lists: list[list[str]] = []
        for line in lines.to_pylist():
            try:
                lists.append(envelope.expand(line))
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                # Not what it looked like: the entry then counts as a wrapper without records.
                lists.append([])
        return pa.array(lists, pa.list_(pa.large_string()))

    def _items_apart(self, envelope: Envelope, lines: pa.Array) -> pa.Array:
        """Find the wrapper that cannot be opened; it counts as one without records."""
        if len(lines) == 1:
            return pa.array([[]], pa.list_(pa.string()))
        half = len(lines) // 2
        parts = [lines.slice(0, half), lines.slice(half)]
        kind = pa.list_(pa.string())
        return pa.concat_arrays([self._items(envelope, part).cast(kind) for part in parts])

    def _query(self, sql: str, lines: pa.Array) -> pa.Table:
        return self._engine.run(sql, np.arange(len(lines), dtype=np.int64), lines)


def _expansion(expression: str) -> str:
    return f"SELECT row_no, ({expression})::VARCHAR[] AS items FROM block"
