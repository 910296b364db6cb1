"""Evidence files, the custody log and what could not be read."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from irkit.case.views.exposures import Page
from irkit.case.views.standing import FIELDS
from irkit.case.views.times import utc

if TYPE_CHECKING:
    import duckdb

    from irkit.case.custody import CustodyLog


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One preserved file: integrity and reading account."""

    source_id: int
    path: str
    original_path: str
    sha256: str
    bytes: int
    storage: str
    state: str
    checked_at: datetime | None
    format: str | None
    format_confidence: float | None
    entries: int | None
    records: int | None
    blanks: int | None
    quarantined: int | None
    first_event: datetime | None
    last_event: datetime | None
    capabilities: tuple[tuple[str, str], ...]
    note: str


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """One entry that could not be read, with where it lies and why."""

    source_id: int
    source: str
    entry_no: int
    byte_offset: int
    byte_len: int
    sha256: str
    error_code: str
    error_text: str
    state: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class AsideRow:
    """One row of a handed-in table (register, canaries) that could not be used."""

    file: str
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what it is, in words; ``depth`` is how far it belongs under the one above.

    Times are ISO 8601 with their zone, hashes whole: a face words the one and lets copy the other.
    """

    depth: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class CustodyRow:
    """One line of the custody log; ``detail`` is one line of words, ``facts`` all of it."""

    index: int
    at: str
    who: str
    action: str
    detail: str
    hash: str
    facts: tuple[Fact, ...] = ()


def sources(con: duckdb.DuckDBPyConnection) -> tuple[SourceRow, ...]:
    """Return every preserved file."""
    found = con.execute(
        "SELECT source_id, path, original_path, sha256, bytes, storage, state, checked_at, format,"
        " format_confidence, entries, records, blanks, quarantined, min_event_time,"
        " max_event_time, capability, note FROM evidence_source ORDER BY source_id"
    ).fetchall()
    return tuple(
        SourceRow(
            int(row[0]),
            row[1],
            row[2],
            row[3],
            int(row[4]),
            row[5],
            row[6],
            utc(row[7]),
            row[8],
            row[9],
            row[10],
            row[11],
            row[12],
            row[13],
            utc(row[14]),
            utc(row[15]),
            _capabilities(row[16]),
            str(row[17] or ""),
        )
        for row in found
    )


def _capabilities(text: str | None) -> tuple[tuple[str, str], ...]:
    try:
        values = json.loads(text or "{}")
    except ValueError:
        return ()
    if not isinstance(values, dict):
        return ()
    told = [words for name, words in FIELDS.items() if values.get(name) is True]
    lacking = [words for name, words in FIELDS.items() if values.get(name) is False]
    facts = [("logged", ", ".join(told)), ("not logged", ", ".join(lacking))]
    if values.get("rows") and values.get("failed_calls") is not None:
        failed = int(values["failed_calls"])
        none = "none recorded: refused attempts may be missing"
        facts.append(("failed calls", f"{failed:,}" if failed else none))
    facts += [(name, str(values[name])) for name in _LOSSES if values.get(name)]
    silences = [f"{since} to {until}" for since, until in values.get("gaps") or ()]
    facts.append(("silences", "; ".join(silences)))
    for name, words in _KINDS.items():
        counted = values.get(name)
        # One format is named above, and what was not logged too.
        if (
            isinstance(counted, dict)
            and set(counted) - {"none"}
            and not (name == "formats" and len(counted) == 1)
        ):
            listed = sorted(counted.items(), key=lambda pair: (-int(pair[1]), str(pair[0])))
            facts.append((words, ", ".join(f"{_plain(k)} {int(n):,}" for k, n in listed)))
    # Notes that say what stands above already are left out.
    said = ("no failed call", "the producer may log only a sample")
    notes = [str(note) for note in values.get("notes") or () if not str(note).startswith(said)]
    facts.append(("notes", "; ".join(notes)))
    return tuple((name, words) for name, words in facts if words)


#: What a source left out of its records, and kinds that are counted, with their words.
_LOSSES = ("sampling", "truncation", "redaction")
_KINDS = {
    "formats": "formats",
    "credential_kinds": "kinds of credential",
    "client_ip_kinds": "kinds of address",
    "event_time_kinds": "kinds of time",
    "content_states": "texts",
    "warnings": "warnings",
    "quarantine_reasons": "unread",
}


def _plain(name: object) -> str:
    return str(name).replace("_", " ")


def _words(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        # On one line a hash says nothing that the name before it does not.
        held = [
            str(name) if _HASH.fullmatch(str(one)) else f"{_plain(name)} {_words(one)}"
            for name, one in value.items()
            if one not in _EMPTY
        ]
        return ", ".join(held) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "none"
    return str(value)


_HASH = re.compile("[0-9a-f]{64}")
_EMPTY: tuple[object, ...] = ([], {}, "", None)


def _facts(detail: Mapping[str, object], depth: int = 0) -> Iterator[Fact]:
    for name, value in sorted(detail.items(), key=lambda pair: (_hashed(pair[0]), pair[0])):
        # Names of files and of facts are names, not words.
        label = name if depth else _plain(name)
        if isinstance(value, Mapping) and value:
            yield Fact(depth, label, "")
            yield from _facts(value, depth + 1)
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            yield Fact(depth, label, "")
            for place, one in enumerate(value, 1):
                yield from _facts(one if isinstance(one, Mapping) else {str(place): one}, depth + 1)
        else:
            yield Fact(depth, label, _words(value))


def quarantine(
    con: duckdb.DuckDBPyConnection, *, offset: int = 0, limit: int = 200
) -> Page[QuarantineRow]:
    """Return a page of unreadable entries."""
    found = con.execute(
        "SELECT q.source_id, coalesce(e.original_path, ''), q.entry_no, q.byte_offset, q.byte_len,"
        " q.sha256, q.error_code, q.error_text, coalesce(q.state, ''), coalesce(m.name, ''),"
        " count(*) OVER ()"
        " FROM quarantine q LEFT JOIN evidence_source e USING (source_id)"
        " LEFT JOIN (SELECT * FROM evidence_member WHERE entries > 0) m"
        " ON m.source_id = q.source_id AND q.entry_no BETWEEN m.first_entry"
        " AND m.first_entry + m.entries - 1"
        " ORDER BY q.source_id, q.entry_no, q.byte_offset LIMIT ? OFFSET ?",
        [limit, offset],
    ).fetchall()
    total = int(found[0][-1]) if found else 0
    return Page(tuple(QuarantineRow(*row[:10]) for row in found), total, offset)


def aside(con: duckdb.DuckDBPyConnection, *, limit: int = 500) -> Page[AsideRow]:
    """Return rows of handed-in tables that were set aside, in the order of their files."""
    found = con.execute(
        "SELECT file, row, reason, count(*) OVER () FROM input_aside"
        " ORDER BY file, row, reason LIMIT ?",
        [limit],
    ).fetchall()
    total = int(found[0][-1]) if found else 0
    return Page(tuple(AsideRow(str(f), int(n), str(r)) for f, n, r, _ in found), total, 0)


def quarantine_raw(
    con: duckdb.DuckDBPyConnection, source_id: int, entry_no: int, *, limit: int = 2048
) -> bytes:
    """Return the first bytes of an unreadable entry, as they lie in the evidence."""
    row = con.execute(
        "SELECT raw FROM quarantine WHERE source_id = ? AND entry_no = ?"
        " ORDER BY byte_offset LIMIT 1",
        [source_id, entry_no],
    ).fetchone()
    return bytes(row[0])[:limit] if row and row[0] is not None else b""


def custody_rows(log: CustodyLog, *, last: int = 500) -> tuple[CustodyRow, ...]:
    """Return the last lines of the custody log, newest first, having checked the whole chain.

    Times are given in UTC, whatever zone the log's writer was in.

    Raises:
        EvidenceMismatch: the log is damaged.
    """
    tail: deque[CustodyRow] = deque(maxlen=last)
    for entry in log.entries():
        # What happened stands before the hashes that prove it.
        told = sorted(entry.detail.items(), key=lambda pair: (_hashed(pair[0]), pair[0]))
        detail = " · ".join(f"{_plain(name)}: {_words(value)}" for name, value in told)
        facts = tuple(_facts(entry.detail))
        at = _utc_text(entry.at)
        tail.append(CustodyRow(entry.index, at, entry.who, entry.action, detail, entry.hash, facts))
    return tuple(reversed(tail))


def _hashed(name: str) -> bool:
    return name.endswith(("hash", "sha256"))


def _utc_text(at: str) -> str:
    try:
        instant = datetime.fromisoformat(at)
    except ValueError:
        return at
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
