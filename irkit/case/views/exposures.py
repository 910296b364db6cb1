"""Exposures and the people they concern, with what reviewers decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from irkit.case.views.call import Span, response_spans
from irkit.case.views.filters import Column, Filter, order_by, parse_filter
from irkit.case.views.kept import bodies, bodies_at, is_kept, keep, kept, lying_at
from irkit.case.views.times import utc

if TYPE_CHECKING:
    import duckdb

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A page of rows and how many there are in all."""

    rows: tuple[Row, ...]
    total: int
    offset: int


@dataclass(frozen=True, slots=True)
class ExposureRow:
    """One emitted passage, values masked."""

    exposure_id: str
    record_id: str
    at: datetime | None
    credential: str | None
    provenance: str
    level: str
    doc_id: str | None
    matched_chars: int
    leaked_chars: int
    entity_types: tuple[str, ...]
    value_masked: str
    subjects: int
    verdict: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class ExposureDetail:
    """One emitted passage in its place; ``body`` is the response as logged, unmasked."""

    row: ExposureRow
    request_id: str | None
    choice: int
    start: int
    end: int
    body: str
    method: str
    df: int | None
    subtracted_chars: int
    categories: tuple[str, ...]
    subjects: tuple[SubjectRow, ...]
    reviews: tuple[tuple[str, str, str, datetime | None], ...]
    #: Everything marked in the same response: what stands beside a passage is personal, too.
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """One affected person, under the case's own key."""

    subject_key: str
    label_masked: str
    status: str
    categories: tuple[str, ...]
    special_category: bool
    child: bool
    countries: tuple[str, ...]
    exposures: int
    first_exposed: datetime | None
    last_exposed: datetime | None
    link_method: str


#: The last verdict per exposure; an undo brings back "not reviewed".
_LAST_REVIEW = """
SELECT exposure_id, last(verdict ORDER BY reviewed_at, rowid) AS verdict,
  last(note ORDER BY reviewed_at, rowid) AS note, max(reviewed_at) AS reviewed_at
FROM review GROUP BY exposure_id
"""

#: What a review does not change.
_SETTLED = """
SELECT e.exposure_id, e.record_id, r.event_time, r.credential_id, e.provenance, e.level, e.doc_id,
  e.matched_chars, e.leaked_chars, coalesce(e.entity_types, []) AS entity_types,
  coalesce(e.value_masked, '') AS value_masked, coalesce(s.n, 0) AS subjects, s.subject_keys
FROM exposure e
LEFT JOIN query_record r USING (record_id)
LEFT JOIN (SELECT exposure_id, count(*) AS n, list(subject_key ORDER BY subject_key)
  AS subject_keys FROM exposure_subject GROUP BY exposure_id) s USING (exposure_id)
"""

#: All of an exposure; ``{settled}`` are rows of :data:`_SETTLED`, ``{of}`` says of which.
_EXPOSURES = f"""
SELECT e.* EXCLUDE (subject_keys),
  CASE WHEN v.verdict = 'undo' THEN NULL ELSE v.verdict END AS verdict,
  CASE WHEN v.verdict = 'undo' THEN NULL ELSE v.note END AS note,
  coalesce(CASE WHEN v.verdict = 'undo' THEN NULL ELSE v.verdict END, 'open') AS review_state,
  e.subject_keys, d.place AS sample_place,
  CASE WHEN v.verdict = 'undo' THEN NULL ELSE v.reviewed_at END AS reviewed_at
FROM (SELECT * FROM ({{settled}}) {{of}}) e
LEFT JOIN (SELECT * FROM ({_LAST_REVIEW}) {{of}}) v USING (exposure_id)
LEFT JOIN (SELECT exposure_id, min(position) AS place FROM review_sample {{of}}
  GROUP BY exposure_id) d USING (exposure_id)
"""

#: Fields that are not settled.
_REVIEWED = frozenset({"review", "reviewed", "sample"})


def _settled(con: duckdb.DuckDBPyConnection) -> str:
    return kept(con, "exposure_row", _SETTLED)


def _rows(con: duckdb.DuckDBPyConnection, of: str = "") -> str:
    """SQL of all exposures, or of those whose ids ``of`` selects."""
    restricted = f"WHERE exposure_id IN ({of})" if of else ""
    return _EXPOSURES.format(settled=_settled(con), of=restricted)


def keep_exposures(con: duckdb.DuckDBPyConnection) -> None:
    """Keep what a page of exposures shows, but reviews, and where the texts of answers lie."""
    keep(con, "exposure_row", f"{_SETTLED} ORDER BY e.exposure_id")
    keep(
        con,
        _PLACES,
        "WITH x AS (SELECT e.exposure_id, r.rowid AS call,"
        "  coalesce(c.text_id, CASE WHEN e.choice = 0 THEN r.response_text_id END) AS text_id"
        "  FROM exposure e LEFT JOIN query_record r USING (record_id)"
        "  LEFT JOIN query_choice c ON c.record_id = e.record_id AND c.choice = e.choice),"
        " t AS (SELECT text_id, min(rowid) AS said FROM text SEMI JOIN x USING (text_id)"
        "  GROUP BY text_id)"
        " SELECT exposure_id, min(call) AS call, min(said) AS said"
        " FROM x LEFT JOIN t USING (text_id) GROUP BY exposure_id ORDER BY exposure_id",
    )


#: Kept places (rowids) of each exposure's call and of the answer it stands in.
_PLACES = "exposure_place"


_EXPOSURE_COLUMNS = (
    Column("id", "exposure_id", "text"),
    Column("time", "event_time", "time"),
    Column("actor", "credential_id", "text"),
    Column("provenance", "provenance", "text"),
    Column("level", "level", "text"),
    Column("doc", "doc_id", "text"),
    Column("chars", "leaked_chars", "number"),
    Column("type", "entity_types", "list"),
    Column("people", "subjects", "number"),
    Column("review", "review_state", "text"),
    Column("reviewed", "reviewed_at", "time"),
    Column("record", "record_id", "text"),
    Column("subject", "subject_keys", "list"),
    # Place in the order drawn for a sampled review.
    Column("sample", "sample_place", "number"),
)

_SUBJECT_COLUMNS = (
    Column("key", "subject_key", "text"),
    Column("status", "status", "text"),
    Column("category", "categories", "list"),
    Column("country", "countries", "list"),
    Column("special", "special_category", "text"),
    Column("child", "child", "text"),
    Column("exposures", "exposures", "number"),
    Column("first", "first_exposed", "time"),
    Column("last", "last_exposed", "time"),
)


def exposure_columns() -> tuple[Column, ...]:
    """Return the fields that exposures may be filtered and sorted on."""
    return _EXPOSURE_COLUMNS


def subject_columns() -> tuple[Column, ...]:
    """Return the fields that subjects may be filtered and sorted on."""
    return _SUBJECT_COLUMNS


def exposure_filter(text: str) -> Filter:
    """Parse a filter line over exposures; a bare word must occur in the call's id.

    Raises:
        FilterError: unknown field, missing value, or a value that is no number or time.
    """
    return parse_filter(text, _EXPOSURE_COLUMNS, "record")


def subject_filter(text: str) -> Filter:
    """Parse a filter line over people; a bare word must occur in the case's own key.

    Raises:
        FilterError: unknown field, missing value, or a value that is no number or time.
    """
    return parse_filter(text, _SUBJECT_COLUMNS, "key")


def exposures(
    con: duckdb.DuckDBPyConnection,
    *,
    where: Filter | None = None,
    sort: str = "time",
    descending: bool = False,
    offset: int = 0,
    limit: int = 200,
) -> Page[ExposureRow]:
    """Return a page of exposures.

    Raises:
        FilterError: unknown sort field.
    """
    condition = where or Filter("TRUE", ())
    order = order_by(_EXPOSURE_COLUMNS, sort, descending, "event_time NULLS LAST, exposure_id")
    asked = condition.fields | {sort}
    source = _rows(con) if asked & _REVIEWED else _settled(con)
    # First which ones, from the columns that this takes; then these few in full, and the number of
    # all counted apart: either over whole rows would have to build every one of them.
    found = con.execute(
        f"WITH wanted AS MATERIALIZED (SELECT exposure_id FROM ({source})"
        f" WHERE {condition.sql} {order} LIMIT ? OFFSET ?)"
        f" SELECT * FROM ({_rows(con, 'SELECT exposure_id FROM wanted')}) {order}",
        [*condition.params, limit, offset],
    ).fetchall()
    total = con.execute(
        f"SELECT count(*) FROM ({source}) WHERE {condition.sql}", list(condition.params)
    ).fetchone()
    return Page(tuple(_exposure(row) for row in found), int(total[0]) if total else 0, offset)


def exposure_states(con: duckdb.DuckDBPyConnection, where: Filter) -> dict[str, str]:
    """Return the review state of every exposure that a filter chooses: its verdict, or open.

    Args:
        con: connection to the case.
        where: a filter over :func:`exposure_columns`.
    """
    found = con.execute(
        f"SELECT exposure_id, review_state FROM ({_rows(con)}) WHERE {where.sql}"
        " ORDER BY exposure_id",
        list(where.params),
    ).fetchall()
    return {str(exposure_id): str(state) for exposure_id, state in found}


def _exposure(row: tuple[Any, ...]) -> ExposureRow:
    return ExposureRow(
        str(row[0]),
        str(row[1]),
        utc(row[2]),
        row[3],
        str(row[4]),
        str(row[5]),
        row[6],
        int(row[7]),
        int(row[8]),
        tuple(row[9]),
        str(row[10]),
        int(row[11]),
        row[12],
        row[13],
    )


def exposure_detail(con: duckdb.DuckDBPyConnection, exposure_id: str) -> ExposureDetail | None:
    """Return one exposure with its response, the people it concerns and its review history."""
    row = con.execute(f"{_rows(con, 'SELECT $id')} LIMIT 1", {"id": exposure_id}).fetchone()
    own = con.execute(
        "SELECT record_id, choice, response_start, response_end, method, df, subtracted_chars,"
        " categories FROM exposure WHERE exposure_id = ? LIMIT 1",
        [exposure_id],
    ).fetchone()
    if row is None or own is None:
        return None
    request, body = _call_of(con, exposure_id, str(own[0]), int(own[1]))
    extra = (request, *own[1:])
    people = con.execute(
        f"{_SUBJECTS} WHERE subject_key IN"
        " (SELECT subject_key FROM exposure_subject WHERE exposure_id = ?)"
        " ORDER BY subject_key LIMIT 50",
        [exposure_id],
    ).fetchall()
    reviews = con.execute(
        "SELECT verdict, coalesce(note, ''), reviewer, reviewed_at FROM review"
        " WHERE exposure_id = ? ORDER BY reviewed_at, rowid",
        [exposure_id],
    ).fetchall()
    return ExposureDetail(
        _exposure(row),
        extra[0],
        int(extra[1]),
        int(extra[2]),
        int(extra[3]),
        body,
        str(extra[4]),
        extra[5],
        int(extra[6]),
        tuple(extra[7] or ()),
        tuple(_subject(person) for person in people),
        tuple((str(v), str(n), str(w), utc(at)) for v, n, w, at in reviews),
        tuple(response_spans(con, str(row[1])).get(int(extra[1]), ())),
    )


def _call_of(
    con: duckdb.DuckDBPyConnection, exposure_id: str, record_id: str, choice: int
) -> tuple[str | None, str]:
    """Return request id and answer of an exposure; where they lie may be kept."""
    if is_kept(con, _PLACES):
        known = con.execute(
            f"SELECT call, said FROM kept.{_PLACES} WHERE exposure_id = ? LIMIT 1", [exposure_id]
        ).fetchone()
        call, said = known or (None, None)
        request = None
        if call is not None:
            sql, values = lying_at("query_record", [call])
            request = (con.execute(f"SELECT request_id FROM ({sql})", values).fetchone() or [None])[
                0
            ]
        return request, "" if said is None else bodies_at(con, [said])[said][1]
    # One by one: a join would read every call and every answer for the sake of one.
    asked = con.execute(
        "SELECT request_id, response_text_id FROM query_record WHERE record_id = ? LIMIT 1",
        [record_id],
    ).fetchone() or (None, None)
    answer = con.execute(
        "SELECT text_id FROM query_choice WHERE record_id = ? AND choice = ? LIMIT 1",
        [record_id, choice],
    ).fetchone() or (asked[1] if choice == 0 else None,)
    text_id = answer[0]
    return asked[0], "" if text_id is None else bodies(con, [text_id]).get(text_id, "")


_SUBJECTS = (
    "SELECT subject_key, coalesce(label_masked, '') AS label_masked, status,"
    " coalesce(categories, []) AS categories, coalesce(special_category, false)"
    " AS special_category, coalesce(child, false) AS child, coalesce(countries, []) AS countries,"
    " coalesce(exposures, 0) AS exposures, first_exposed, last_exposed,"
    " coalesce(link_method, '') AS link_method FROM subject"
)


def subjects(
    con: duckdb.DuckDBPyConnection,
    *,
    where: Filter | None = None,
    sort: str = "status",
    descending: bool = False,
    offset: int = 0,
    limit: int = 200,
) -> Page[SubjectRow]:
    """Return a page of affected people; the default order puts confirmed ones first.

    Raises:
        FilterError: unknown sort field.
    """
    condition = where or Filter("TRUE", ())
    order = order_by(_SUBJECT_COLUMNS, sort, descending, "exposures DESC, subject_key")
    found = con.execute(
        f"SELECT *, count(*) OVER () FROM ({_SUBJECTS}) WHERE {condition.sql} {order}"
        " LIMIT ? OFFSET ?",
        [*condition.params, limit, offset],
    ).fetchall()
    total = int(found[0][-1]) if found else 0
    return Page(tuple(_subject(row) for row in found), total, offset)


def _subject(row: tuple[Any, ...]) -> SubjectRow:
    return SubjectRow(
        str(row[0]),
        str(row[1]),
        str(row[2]),
        tuple(row[3]),
        bool(row[4]),
        bool(row[5]),
        tuple(row[6]),
        int(row[7]),
        utc(row[8]),
        utc(row[9]),
        str(row[10]),
    )


def review_counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Count exposures by review state: confirm, reject, unsure, open."""
    found = con.execute(
        "SELECT coalesce(CASE WHEN v.verdict = 'undo' THEN NULL ELSE v.verdict END, 'open'),"
        f" count(*) FROM exposure LEFT JOIN ({_LAST_REVIEW}) v USING (exposure_id)"
        " GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return {str(state): int(count) for state, count in found}
