"""Pages of exposures and actors hold what the plain tables give, kept in memory or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import fictional_case as fiction
import pytest

from irkit.case import Case, views
from irkit.case.review import Verdict, record_review

#: Fields of exposures to what they mean in plain SQL over the tables.
PLAIN = {
    "id": "e.exposure_id",
    "time": "r.event_time",
    "actor": "r.credential_id",
    "provenance": "e.provenance",
    "level": "e.level",
    "doc": "e.doc_id",
    "chars": "e.leaked_chars",
    "type": "coalesce(e.entity_types, [])",
    "people": "(SELECT count(*) FROM exposure_subject s WHERE s.exposure_id = e.exposure_id)",
    "review": "coalesce(nullif((SELECT v.verdict FROM review v WHERE v.exposure_id = e.exposure_id"
    " ORDER BY v.reviewed_at DESC, v.rowid DESC LIMIT 1), 'undo'), 'open')",
    "reviewed": "(SELECT v.reviewed_at FROM review v WHERE v.exposure_id = e.exposure_id AND"
    " v.verdict <> 'undo' ORDER BY v.reviewed_at DESC, v.rowid DESC LIMIT 1)",
    "record": "e.record_id",
    "subject": "(SELECT list(s.subject_key ORDER BY s.subject_key) FROM exposure_subject s"
    " WHERE s.exposure_id = e.exposure_id)",
    "sample": "(SELECT min(d.position) FROM review_sample d WHERE d.exposure_id = e.exposure_id)",
}

#: Filters to conditions over the same tables.
FILTERS = {
    "": "TRUE",
    "provenance=memorised": f"{PLAIN['provenance']} = 'memorised'",
    "chars>20 type~email": f"{PLAIN['chars']} > 20"
    " AND list_contains(list_transform(e.entity_types, t -> lower(t)), 'email_address')",
    "review=confirm": f"{PLAIN['review']} = 'confirm'",
    "review=open people>0": f"{PLAIN['review']} = 'open' AND {PLAIN['people']} > 0",
    "reviewed>=2026-01-01": f"{PLAIN['reviewed']} IS NOT NULL",
    "sample>1": f"{PLAIN['sample']} > 1",
    "actor=nobody": "FALSE",
}


@pytest.fixture(params=["read from the tables", "kept in memory"])
def reviewed(request, tmp_path) -> Iterator[Case]:
    """A filled case, some of it judged and some of it drawn for a sample."""
    with Case.create(tmp_path / "v.irkit", title="Views") as case:
        fiction.fill(case)
        ids = [row[0] for row in case.rows("SELECT exposure_id FROM exposure ORDER BY 1")]
        for exposure, verdict in zip(ids, [*Verdict, Verdict.CONFIRM], strict=False):
            record_review(case, exposure, verdict)
        record_review(case, ids[0], Verdict.UNSURE, "looked again")
        case.con.execute(
            "INSERT INTO review_sample (frame, stratum, item, position, exposure_id)"
            " SELECT 'record', 'memorised', exposure_id, row_number() OVER (ORDER BY exposure_id"
            " DESC), exposure_id FROM exposure WHERE exposure_id > ?",
            [ids[2]],
        )
        if request.param == "kept in memory":
            views.open_room(case.con)
            for keep in views.KEEPERS.values():
                keep(case.con)
        yield case


@pytest.mark.parametrize("text", FILTERS)
def test_a_page_of_exposures_is_that_of_the_plain_tables(reviewed: Case, text: str) -> None:
    where = views.parse_filter(text, views.exposure_columns(), "id") if text else None
    assert set(PLAIN) == {column.name for column in views.exposure_columns()}
    for sort, meaning in PLAIN.items():
        for direction in ("ASC", "DESC"):
            wanted = [
                row[0]
                for row in reviewed.rows(
                    "SELECT e.exposure_id FROM exposure e LEFT JOIN query_record r"
                    f" USING (record_id) WHERE {FILTERS[text]} ORDER BY {meaning} {direction}"
                    " NULLS LAST, r.event_time NULLS LAST, e.exposure_id"
                )
            ]
            for offset in (0, 3, 100):
                page = views.exposures(
                    reviewed.con,
                    where=where,
                    sort=sort,
                    descending=direction == "DESC",
                    offset=offset,
                    limit=3,
                )
                found = [row.exposure_id for row in page.rows]
                assert found == wanted[offset : offset + 3], (sort, direction, offset)
                assert page.total == len(wanted)


def test_a_row_of_a_page_is_the_row_of_its_detail(reviewed: Case) -> None:
    page = views.exposures(reviewed.con)
    assert {row.verdict for row in page.rows} == {"confirm", "reject", "unsure", None}
    for row in page.rows:
        detail = views.exposure_detail(reviewed.con, row.exposure_id)
        assert detail is not None and detail.row == row
    assert views.exposure_detail(reviewed.con, "nothing") is None


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("text", ["", "tier=A", "queries>10 kind=credential", "leaks>0"])
def test_a_page_of_actors_is_that_of_the_plain_tables(
    reviewed: Case, text: str, quiet: bool
) -> None:
    con = reviewed.con
    where = views.parse_filter(text, views.actor_columns(), "actor") if text else None
    every = views.actors(con, limit=10_000, quiet=quiet).rows
    units = {(row.key.kind.value, row.key.unit) for row in every}
    flagged = {tuple(row) for row in reviewed.rows("SELECT unit_kind, unit FROM finding")}
    tested = {
        tuple(row)
        for row in reviewed.rows(
            "SELECT 'credential', credential_id FROM query_record WHERE credential_id IS NOT NULL"
            " AND duplicate_of IS NULL UNION SELECT 'session', session_key FROM session"
        )
    }
    assert units == (flagged | tested if quiet else flagged) and len(units) == len(every)
    leaks = Counter(
        row[0]
        for row in reviewed.rows(
            "SELECT r.credential_id FROM exposure e JOIN query_record r USING (record_id)"
            " WHERE e.provenance = 'memorised' AND e.exposure_id IN"
            " (SELECT exposure_id FROM exposure_subject)"
        )
    )
    for row in every:
        if row.key.kind.value == "credential":
            assert row.exposures == leaks[row.key.unit]
    kept = {
        "": every,
        "tier=A": [row for row in every if row.tier == "A"],
        "queries>10 kind=credential": [
            row for row in every if row.queries > 10 and row.key.kind.value == "credential"
        ],
        "leaks>0": [row for row in every if row.exposures],
    }[text]
    for sort, value in (("queries", "queries"), ("p", "p_value"), ("leaks", "exposures")):
        for descending in (False, True):
            known = [row for row in kept if getattr(row, value) is not None]
            # ``every`` comes in the order that settles ties.
            known.sort(key=lambda row: getattr(row, value), reverse=descending)
            wanted = known + [row for row in kept if getattr(row, value) is None]
            for offset in (0, 2, 500):
                page = views.actors(
                    con,
                    where=where,
                    sort=sort,
                    descending=descending,
                    offset=offset,
                    limit=4,
                    quiet=quiet,
                )
                assert list(page.rows) == wanted[offset : offset + 4], (sort, descending, offset)
                assert page.total == len(wanted)
