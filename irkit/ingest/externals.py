"""Bring in bodies that a producer kept in objects of their own.

Amazon Bedrock writes bodies above 100 KB apart from its log (Amazon Bedrock user guide, "Monitor
model invocation using CloudWatch Logs and Amazon S3"); other producers leave only a link.  Such a
pointer comes out of a log, so it is never followed: it is compared, from its end, with the names of
preserved files and members of archives.  The object with the longest common end is the body; where
several objects with different contents fit equally well, none is taken.  An object that serves as a
body is no log, so its entries leave the accounting of entries.

Bodies are brought in anew whenever more evidence is preserved, so the order does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from irkit.case import Case
from irkit.case.evidence import evidence_path
from irkit.ingest.coverage import describe
from irkit.ingest.engine import Engine
from irkit.ingest.entries import Chunk, Numbers
from irkit.ingest.format import APART, External, literal
from irkit.ingest.objects import ObjectReader
from irkit.ingest.registry import Registry
from irkit.ingest.reread import Rewriter, chosen, drop_orphans, reader_of, recount
from irkit.ingest.routing import Router
from irkit.ingest.sources import RECORD_TABLES
from irkit.ingest.structure import nesting

#: Parse warning of a record whose body came out of an object of its own.
FOUND = "body_from_separate_object"
#: Kind of a file that is the body of calls.
BODY = "call_body"
UNUSED = "looks like the body of a call, but no preserved log refers to it"
#: Formats of a lower rank know their records for sure; an object that holds some is a log.
_SURE = 280
#: A file name this long names an object without its folders.
_LONG_NAME = 20
_PART = 32 << 20
_MARKED = f"list_has_any(parse_warnings, ['{APART}', '{FOUND}'])"
_PATH = r"replace({}, '\', '/')"
_PLAIN = "regexp_replace({}, '[.]gz$', '')"
_NAME = "regexp_extract({}, '[^/]+$')"


@dataclass(frozen=True, slots=True)
class Bodies:
    """What became of bodies in objects of their own.

    Attributes:
        found: objects that are now part of a call.
        missing: pointers to objects that are not among the evidence.
        ambiguous: pointers that several different objects fit.
        unreadable: pointers to objects that hold no JSON, or too much of it.
    """

    found: int = 0
    missing: int = 0
    ambiguous: int = 0
    unreadable: int = 0


def bring_in(case: Case, known: Registry) -> Bodies:
    """Give every call its bodies, as far as the evidence holds them; safe to repeat.

    Args:
        case: case open for writing, outside a transaction.
        known: known formats; those with ``externals`` keep bodies apart.
    """
    kinds = [external for fmt in known.formats for external in fmt.externals]
    if not kinds:
        return Bodies()
    names = f"({'|'.join(external.names for external in kinds)})"
    bodies = Bodies()
    if case.rows(f"SELECT 1 FROM query_record WHERE {_MARKED} LIMIT 1"):
        task = _Task(case, known, kinds)
        try:
            bodies = task.run()
        finally:
            task.close()
    _label_unused(case, names)
    return bodies


class _Task:
    """One pass over all calls that lack, or lacked, a body."""

    def __init__(self, case: Case, known: Registry, kinds: list[External]) -> None:
        self._case, self._known, self._kinds = case, known, kinds
        self._engine = Engine()
        self._router = Router(known, self._engine)

    def close(self) -> None:
        self._engine.close()
        for name in ("marked", "pointer", "object", "match", "body", "found"):
            self._case.con.execute(f"DROP TABLE IF EXISTS apart_{name}")

    def run(self) -> Bodies:
        case, con = self._case, self._case.con
        con.execute(
            "CREATE OR REPLACE TEMP TABLE apart_marked AS SELECT source_id, entry_no, record_id,"
            f" list_contains(parse_warnings, '{FOUND}') AS was_found FROM query_record"
            f" WHERE {_MARKED}"
        )
        con.execute("CREATE OR REPLACE TEMP TABLE apart_pointer (pointer VARCHAR)")
        con.execute(
            "CREATE OR REPLACE TEMP TABLE apart_body (source_id INTEGER, member VARCHAR,"
            " body VARCHAR)"
        )
        sources = [
            int(row[0])
            for row in case.rows("SELECT DISTINCT source_id FROM apart_marked ORDER BY 1")
        ]
        for source in sources:
            for chunk in chosen(reader_of(case, source), self._numbers(source)):
                self._note(chunk)
        self._match()
        self._load()
        con.execute(
            "CREATE OR REPLACE TEMP TABLE apart_found AS SELECT pointer,"
            " any_value(body) AS body"
            " FROM apart_match m JOIN apart_body b USING (source_id, member) GROUP BY pointer"
            " HAVING count(DISTINCT sha256(body)) = 1"
        )
        rewriter = Rewriter(case, self._known)
        try:
            for source in sources:
                numbers = self._changed(source)
                if len(numbers):
                    chunks = chosen(reader_of(case, source), numbers)
                    rewriter.entries(source, numbers, self._filled(chunks), "bodies brought in")
        finally:
            rewriter.close()
        with case.transaction():
            con.execute(
                "UPDATE query_record AS r SET"
                f" parse_warnings = list_append(r.parse_warnings, '{FOUND}') FROM apart_marked m"
                " WHERE r.record_id = m.record_id AND r.source_id = m.source_id"
                f" AND NOT {_MARKED}"
            )
            self._claim()
        row = case.rows(
            "SELECT count(DISTINCT f.pointer), count(DISTINCT p.pointer) FILTER"
            " (m.pointer IS NULL), count(DISTINCT p.pointer) FILTER (f.pointer IS NULL"
            " AND b.source_id IS NOT NULL), count(DISTINCT p.pointer) FROM apart_pointer p"
            " LEFT JOIN apart_match m USING (pointer) LEFT JOIN apart_found f USING (pointer)"
            " LEFT JOIN apart_body b ON b.source_id = m.source_id AND b.member = m.member"
        )[0]
        found, missing, ambiguous, every = (int(value) for value in row)
        return Bodies(found, missing, ambiguous, every - found - missing - ambiguous)

    # -- which objects --------------------------------------------------------------------------

    def _numbers(self, source: int) -> Numbers:
        rows = self._case.rows(
            "SELECT DISTINCT entry_no FROM apart_marked WHERE source_id = ? ORDER BY 1", [source]
        )
        return np.array([row[0] for row in rows], np.int64)

    def _unwrapped(self, chunk: Chunk) -> pa.Table:
        """Return the records of a chunk's entries: place of the entry, order within, JSON text."""
        routed = self._router.route(np.arange(len(chunk.lines), dtype=np.int64), chunk.lines)
        order = pa.array(np.arange(len(routed.rows), dtype=np.int64))
        return pa.table({"place": pa.array(routed.rows), "ord": order, "line": routed.lines})

    def _note(self, chunk: Chunk) -> None:
        """Store the pointers of a chunk's records."""
        if not len(chunk.lines):
            return
        con = self._case.con
        con.register("apart_rows", self._unwrapped(chunk))
        try:
            for kind in self._kinds:
                con.execute(
                    "INSERT INTO apart_pointer SELECT DISTINCT p FROM (SELECT"
                    " json_extract_string(CASE WHEN json_valid(line) THEN line END, ?) AS p"
                    " FROM apart_rows) WHERE p <> '' ORDER BY p",
                    [kind.pointer],
                )
        finally:
            con.unregister("apart_rows")

    def _match(self) -> None:
        """Find the objects whose names have the longest end in common with each pointer's."""
        con = self._case.con
        sure = [fmt.id for fmt in self._known.formats if fmt.order < _SURE]
        path = _PLAIN.format(_PATH.format("original_path"))
        name = _PLAIN.format(_PATH.format("name"))
        key = _PLAIN.format("regexp_replace(pointer, '[?#].*$', '')")
        con.execute(f"""
CREATE OR REPLACE TEMP TABLE apart_object AS
WITH named AS (SELECT DISTINCT {_NAME.format(key)} AS name FROM apart_pointer),
every AS (
  SELECT source_id, '' AS member, 0 AS first_entry, {(1 << 62)} AS last_entry, {path} AS path
  FROM evidence_source WHERE source_id NOT IN (SELECT source_id FROM evidence_member)
  UNION ALL SELECT source_id, name, first_entry, first_entry + entries - 1, {name}
  FROM evidence_member)
SELECT every.*, {_NAME.format("path")} AS name FROM every
WHERE {_NAME.format("path")} IN (SELECT name FROM named)""")
        con.execute(
            f"""
CREATE OR REPLACE TEMP TABLE apart_match AS
WITH asked AS (SELECT DISTINCT pointer, {key} AS key FROM apart_pointer),
met AS (
  SELECT a.pointer, o.*, list_reverse(string_split(a.key, '/')) AS x,
    list_reverse(string_split(o.path, '/')) AS y
  FROM asked a JOIN apart_object o ON o.name = {_NAME.format("a.key")}
  WHERE NOT EXISTS (SELECT 1 FROM query_record r WHERE r.source_id = o.source_id
    AND r.entry_no BETWEEN o.first_entry AND o.last_entry
    AND list_contains(?, r.source_format)))
SELECT pointer, source_id, member, first_entry, last_entry,
  len(list_filter(range(1, least(len(x), len(y)) + 1), lambda i: x[1:i] = y[1:i])) AS common
FROM met WHERE common >= 2 OR length(name) >= {_LONG_NAME}
QUALIFY common = max(common) OVER (PARTITION BY pointer)""",
            [sure],
        )

    def _load(self) -> None:
        """Read the objects that match, each once."""
        case = self._case
        held: list[tuple[int, str, str]] = []
        size = 0
        for source, members in case.rows(
            "SELECT source_id, list_sort(list(DISTINCT member)) FROM apart_match"
            " GROUP BY source_id ORDER BY source_id"
        ):
            taken: list[tuple[str, str]] = []
            sha256 = case.rows("SELECT sha256 FROM evidence_source WHERE source_id = ?", [source])
            ObjectReader(
                int(source),
                evidence_path(case, int(source)),
                str(sha256[0][0]),
                case.settings,
                wanted=frozenset(members),
                found=taken.append,
            ).collect()
            for member, text in taken:
                raw = text.encode("utf-8", "surrogatepass")
                if nesting(raw) <= case.settings.max_nesting:
                    held.append((int(source), member, text))
                    size += len(raw)
            if size > _PART:
                self._keep(held)
                held, size = [], 0
        self._keep(held)

    def _keep(self, held: list[tuple[int, str, str]]) -> None:
        if not held:
            return
        ids, members, texts = zip(*held, strict=True)
        table = pa.table(
            {
                "source_id": pa.array(ids, pa.int32()),
                "member": pa.array(members, pa.string()),
                "body": pa.array(texts, pa.large_string()),
            }
        )
        self._case.con.register("apart_rows", table)
        try:
            self._case.con.execute(
                "INSERT INTO apart_body SELECT * FROM apart_rows WHERE json_valid(body)"
                " AND regexp_matches(body, '^\\s*[\\[{]')"
            )
        finally:
            self._case.con.unregister("apart_rows")

    # -- filling --------------------------------------------------------------------------------

    def _changed(self, source: int) -> Numbers:
        """Return the entries that get a body, or had one and may have lost it."""
        if not self._case.rows("SELECT 1 FROM apart_found LIMIT 1"):
            rows = self._case.rows(
                "SELECT DISTINCT entry_no FROM apart_marked WHERE source_id = ? AND was_found"
                " ORDER BY 1",
                [source],
            )
            return np.array([row[0] for row in rows], np.int64)
        return self._numbers(source)

    def _filled(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Yield the same entries with their bodies in place."""
        for whole in chunks:
            if not len(whole.lines):
                yield whole
                continue
            table = self._unwrapped(whole)
            weights = self._weights(table, len(whole.lines))
            ends = np.flatnonzero(np.diff(np.cumsum(weights) // _PART, append=-1) != 0) + 1
            start = 0
            for end in ends.tolist():
                yield self._part(whole, table, start, end)
                start = end

    def _joins(self) -> str:
        return " ".join(
            f"LEFT JOIN apart_found f{n} ON f{n}.pointer ="
            f" json_extract_string(l.line, {literal(kind.pointer)})"
            for n, kind in enumerate(self._kinds)
        )

    def _query(self, table: pa.Table, sql: str) -> list[tuple[object, ...]]:
        con = self._case.con
        con.register("apart_rows", table)
        try:
            return con.execute(
                "WITH l AS (SELECT place, ord, line AS raw,"
                f" CASE WHEN json_valid(line) THEN line END AS line FROM apart_rows) {sql}"
            ).fetchall()
        finally:
            con.unregister("apart_rows")

    def _weights(self, table: pa.Table, size: int) -> Numbers:
        total = " + ".join(f"coalesce(strlen(f{n}.body), 0)" for n in range(len(self._kinds)))
        found = self._query(
            table, f"SELECT place, sum({total})::BIGINT FROM l {self._joins()} GROUP BY place"
        )
        weights = np.zeros(size, np.int64)
        for place, weight in found:
            weights[int(str(place))] = int(str(weight))
        return weights

    def _part(self, whole: Chunk, table: pa.Table, start: int, end: int) -> Chunk:
        """Return some entries of a chunk with their bodies."""
        places = table.column("place").to_numpy()
        some = table.filter(pa.array((places >= start) & (places < end)))
        line = "l.line"
        for number, kind in enumerate(self._kinds):
            patch = _patch(kind, f"f{number}.body")
            line = (
                f"CASE WHEN f{number}.pointer IS NULL THEN {line}"
                f" ELSE json_merge_patch(({line})::JSON, {patch})::VARCHAR END"
            )
        any_found = " OR ".join(f"f{n}.pointer IS NOT NULL" for n in range(len(self._kinds)))
        found = self._query(
            some,
            f"SELECT place, list(coalesce({line}, l.raw) ORDER BY ord) FROM l {self._joins()}"
            f" GROUP BY place HAVING bool_or({any_found}) ORDER BY place",
        )
        lines = whole.lines.slice(start, end - start).to_pylist()
        for place, records in found:
            texts = records if isinstance(records, list) else []
            at = int(str(place)) - start
            lines[at] = texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
        return replace(
            whole,
            lines=pa.array(lines, pa.large_string()),
            entry_no=whole.entry_no[start:end],
            byte_offset=whole.byte_offset[start:end],
            byte_len=whole.byte_len[start:end],
            sha256=whole.sha256[start:end],
            rejects=whole.rejects if start == 0 else [],
            open_tail=whole.open_tail and end == len(whole.lines),
        )

    # -- accounting -----------------------------------------------------------------------------

    def _claim(self) -> None:
        """Take the entries of objects that serve as bodies out of the accounting."""
        case, con = self._case, self._case.con
        con.execute(
            "CREATE OR REPLACE TEMP TABLE apart_claim AS SELECT m.source_id, m.member,"
            " min(m.first_entry) AS first_entry, min(m.last_entry) AS last_entry,"
            " count(DISTINCT m.pointer) AS calls FROM apart_match m"
            " JOIN apart_found USING (pointer) GROUP BY ALL"
        )
        con.execute(
            "CREATE OR REPLACE TEMP TABLE claimed AS SELECT DISTINCT e.source_id, e.entry_no FROM"
            " (SELECT source_id, entry_no FROM query_record UNION ALL"
            " SELECT source_id, entry_no FROM quarantine) e JOIN apart_claim c"
            " ON c.source_id = e.source_id AND e.entry_no BETWEEN c.first_entry AND c.last_entry"
        )
        if case.rows("SELECT 1 FROM claimed LIMIT 1"):
            con.execute(
                "CREATE OR REPLACE TEMP TABLE forgotten AS SELECT record_id FROM query_record"
                " SEMI JOIN claimed USING (source_id, entry_no)"
            )
            for table in RECORD_TABLES:
                con.execute(
                    f"DELETE FROM {table} WHERE record_id IN (SELECT record_id FROM forgotten)"
                )
            con.execute(
                "DELETE FROM quarantine WHERE (source_id, entry_no) IN"
                " (SELECT (source_id, entry_no) FROM claimed)"
            )
            con.execute("DROP TABLE forgotten")
            drop_orphans(case)
            con.execute(
                "UPDATE evidence_source AS s SET entries = s.entries - c.n FROM (SELECT source_id,"
                " count(*) AS n FROM claimed GROUP BY source_id) c WHERE c.source_id = s.source_id"
            )
            for (source,) in case.rows(
                "SELECT DISTINCT source_id FROM claimed WHERE source_id IN"
                " (SELECT source_id FROM evidence_member) ORDER BY 1"
            ):
                recount(case, self._known, int(source), "bodies taken out")
        self._name()
        con.execute("DROP TABLE claimed")
        con.execute("DROP TABLE apart_claim")

    def _name(self) -> None:
        """Say of files that they are bodies, and of archives how many they hold."""
        case, con = self._case, self._case.con
        whole = [
            int(row[0])
            for row in case.rows(
                "SELECT c.source_id FROM apart_claim c JOIN evidence_source s USING (source_id)"
                " WHERE c.member = '' AND s.format IS DISTINCT FROM ? ORDER BY 1",
                [BODY],
            )
        ]
        if whole:
            told = describe(case, whole, {}, {})
            empty = pa.table(
                {
                    "source_id": pa.array([row[0] for row in told], pa.int32()),
                    "capability": pa.array([row[3] for row in told], pa.string()),
                }
            )
            con.register("apart_rows", empty)
            con.execute(
                "UPDATE evidence_source AS s SET format = ?, format_confidence = NULL,"
                " votes = NULL, entries = 0, records = 0, blanks = 0, quarantined = 0,"
                " min_event_time = NULL, max_event_time = NULL, capability = t.capability"
                " FROM apart_rows t WHERE t.source_id = s.source_id",
                [BODY],
            )
            con.unregister("apart_rows")
        con.execute(
            "UPDATE evidence_source AS s SET note = 'body of ' || c.calls ||"
            " CASE WHEN c.calls = 1 THEN ' call' ELSE ' calls' END FROM apart_claim c"
            " WHERE c.member = '' AND c.source_id = s.source_id"
        )
        con.execute(
            "UPDATE evidence_source AS s SET note = concat_ws('; ', nullif(regexp_replace("
            "coalesce(s.note, ''), '(; )?[0-9]+ members are bodies of calls$', ''), ''),"
            " c.n || ' members are bodies of calls') FROM (SELECT source_id, count(*) AS n"
            " FROM apart_claim WHERE member <> '' GROUP BY source_id) c"
            " WHERE c.source_id = s.source_id"
        )


def _patch(kind: External, body: str) -> str:
    """Return SQL of what to merge into a record: its bodies as texts, and an empty pointer."""
    parts = [(kind.pointer, "''")]
    parts += [
        (
            place,
            f"CASE WHEN json_type(({body})::JSON, {literal(inside)}) IN ('OBJECT', 'ARRAY')"
            f" THEN json_extract(({body})::JSON, {literal(inside)})::VARCHAR END",
        )
        for place, inside in kind.fills.items()
    ]
    merged = "'{}'::JSON"
    for path, value in parts:
        *outer, last = path.removeprefix("$.").split(".")
        piece = f"json_object({literal(last)}, {value})"
        for name in reversed(outer):
            piece = f"json_object({literal(name)}, {piece})"
        merged = f"json_merge_patch({merged}, {piece})"
    return merged


def _label_unused(case: Case, names: str) -> None:
    """Say of entries in quarantine that they are bodies which no log refers to."""
    path, name = _PATH.format("original_path"), _PATH.format("name")
    case.con.execute(
        f"""
CREATE OR REPLACE TEMP TABLE unused AS
WITH object AS (
  SELECT source_id, 0 AS first_entry, {(1 << 62)} AS last_entry FROM evidence_source
  WHERE source_id NOT IN (SELECT source_id FROM evidence_member)
    AND regexp_full_match({path}, $names)
  UNION ALL SELECT source_id, first_entry, first_entry + entries - 1 FROM evidence_member
  WHERE regexp_full_match({name}, $names))
SELECT DISTINCT q.source_id, q.entry_no FROM quarantine q JOIN object o
  ON o.source_id = q.source_id AND q.entry_no BETWEEN o.first_entry AND o.last_entry
WHERE q.error_code IN ('unknown_format', 'not_object') AND q.state = 'quarantined'""",
        {"names": names},
    )
    if case.rows("SELECT 1 FROM unused LIMIT 1"):
        with case.transaction():
            case.con.execute(
                "UPDATE quarantine AS q SET error_code = 'not_a_call', error_text = ? FROM unused u"
                " WHERE u.source_id = q.source_id AND u.entry_no = q.entry_no",
                [UNUSED],
            )
            case.con.execute(
                "UPDATE evidence_source AS s SET capability = json_merge_patch(s.capability,"
                " json_object('quarantine_reasons', NULL), json_object('quarantine_reasons',"
                " c.reasons)) FROM (SELECT source_id, json_group_object(error_code, n) AS reasons"
                " FROM (SELECT source_id, error_code, count(*) AS n FROM quarantine GROUP BY ALL"
                " ORDER BY ALL) GROUP BY source_id) c WHERE c.source_id = s.source_id"
                " AND s.source_id IN (SELECT source_id FROM unused)"
            )
    case.con.execute("DROP TABLE unused")
