"""The read models say what the tables hold, page by page, in one order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import fictional_case as fiction
import pytest

from irkit.case import Case, views
from irkit.case.views.filters import order_by
from irkit.model import EvidenceState, UnitKind

NOW = datetime(2026, 10, 16, 7, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    with Case.create(tmp_path_factory.mktemp("views") / "v.irkit", title="Views") as case:
        fiction.fill(case)
        yield case


def key(unit: str, kind: UnitKind = UnitKind.CREDENTIAL) -> views.ActorKey:
    return views.ActorKey(kind, unit)


def test_overview_counts_add_up(filled: Case) -> None:
    seen = views.overview(filled.con, now=NOW, buckets=40)
    steps = {step.key: step for step in seen.funnel}
    assert steps["queries"].best == 202
    # The extractor's 39 calls after its onset and one inside its interval, 60 of the other key.
    assert seen.flagged_queries == 100
    assert steps["responses"].best == 8
    assert (steps["subjects"].low, steps["subjects"].best, steps["subjects"].high) == (1, 3, 5)
    assert seen.evidence.state is EvidenceState.VERIFIED
    assert sum(bucket.queries for bucket in seen.activity.buckets) == 202
    assert sum(bucket.flagged for bucket in seen.activity.buckets) == 100
    assert sum(bucket.exposures for bucket in seen.activity.buckets) == 8
    assert len(seen.activity.buckets) <= 41


def test_timeline_buckets_are_consecutive_and_round(filled: Case) -> None:
    seen = views.timeline(filled.con, 30)
    steps = {b.start - a.start for a, b in pairwise(seen.buckets)}
    assert steps == {timedelta(seconds=seen.bucket_seconds)}
    assert 86400 % seen.bucket_seconds == 0 and len(seen.buckets) <= 30


def test_a_part_of_the_timeline_counts_what_lies_in_it(filled: Case) -> None:
    whole = views.timeline(filled.con, 60)
    assert whole.whole is not None and not whole.part
    span = views.zoomed(whole.whole, whole.whole, 0.25)
    assert span is not None
    seen = views.timeline(filled.con, 60, span)
    assert seen.part and seen.shown is not None and len(seen.buckets) <= 60
    assert seen.shown.start <= span.start and span.end <= seen.shown.end
    [(inside,)] = filled.rows(
        "SELECT count(*) FROM query_record WHERE duplicate_of IS NULL AND event_time >= ?"
        " AND event_time < ?",
        [at.replace(tzinfo=None) for at in seen.shown],
    )
    assert seen.queries == inside > 0
    assert views.panned(whole.whole, span, 99).end == whole.whole.end
    assert views.panned(whole.whole, span, -99).start == whole.whole.start
    assert views.zoomed(whole.whole, span, 99) is None


@pytest.mark.parametrize("times", [[], [None, None], [fiction.START]])
def test_a_timeline_of_nothing_undated_or_one_call(tmp_path, times) -> None:
    with Case.create(tmp_path / "t.irkit", title="Times") as case:
        for number, at in enumerate(times):
            case.con.execute(
                "INSERT INTO query_record (record_id, source_id, source_format, entry_no, sub_no,"
                " event_time, content_state, record_kind)"
                " VALUES (?, 1, 'openai_pair', ?, 0, ?, 'full', 'call')",
                [f"r{number}", number, at],
            )
        seen = views.timeline(case.con, 40)
        dated = [at for at in times if at is not None]
        assert seen.queries == len(dated) and seen.undated == len(times) - len(dated)
        assert bool(seen.buckets) == bool(dated) and (seen.whole is None) == (not dated)
        if seen.said is not None:
            assert seen.said.start == seen.said.end == dated[0].replace(tzinfo=UTC)


def test_next_deadline_prefers_what_certainly_applies(filled: Case) -> None:
    found = views.next_deadline(filled.con, NOW)
    assert found is not None and (found.regime, found.kind) == ("GDPR", "earliest")
    late = views.next_deadline(filled.con, NOW + timedelta(days=30))
    assert late is not None and late.kind == "latest"
    assert [row.applies for row in views.obligations(filled.con)] == [
        "yes",
        "unknown",
        "unknown",
        "no",
    ]


def test_actors_are_ranked_and_carry_their_leaks(filled: Case) -> None:
    page = views.actors(filled.con)
    assert [row.tier for row in page.rows] == ["A", "A", "B", "C", "D"]
    assert page.total == 5
    extractor = next(row for row in page.rows if row.key.unit == fiction.EXTRACTOR)
    assert (extractor.exposures, extractor.queries, extractor.technique) == (
        8, 48, "training_data_extraction",
    )  # fmt: skip
    everyone = views.actors(filled.con, quiet=True, limit=1000)
    assert {row.key.unit for row in everyone.rows} >= set(fiction.ORDINARY)


def test_paging_neither_loses_nor_repeats(filled: Case) -> None:
    whole = views.actors(filled.con, quiet=True, sort="queries", descending=True, limit=1000).rows
    parts = [
        row
        for offset in range(0, len(whole), 3)
        for row in views.actors(
            filled.con, quiet=True, sort="queries", descending=True, offset=offset, limit=3
        ).rows
    ]
    assert parts == list(whole)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("tier=B", {fiction.MEMBERSHIP}),
        ("technique~extraction kind=credential", {fiction.EXTRACTOR}),
        ("p<0.001", {fiction.EXTRACTOR, "campaign-01"}),
        ("9e10", {fiction.PROBER}),
        ("queries>=60 kind!=campaign", {fiction.MEMBERSHIP}),
        ("onset>=2026-10-15T06:00", {fiction.MEMBERSHIP}),
        ("leaks>0 kind=credential", {fiction.EXTRACTOR}),
        ('actor="\'; DROP TABLE finding; --"', set()),
    ],
)
def test_filters(filled: Case, text: str, units: set[str]) -> None:
    where = views.parse_filter(text, views.actor_columns(), "actor")
    page = views.actors(filled.con, where=where)
    assert {row.key.unit for row in page.rows} == units
    assert page.total == len(units)


@pytest.mark.parametrize(
    "text", ["colour=red", "p=high", "onset>yesterday", "tier>A", "tier=", "actor='open"]
)
def test_bad_filters_say_what_to_type(text: str) -> None:
    with pytest.raises(views.FilterError) as caught:
        views.parse_filter(text, views.actor_columns(), "actor")
    assert caught.value.hint


def test_list_filters_look_into_lists(filled: Case) -> None:
    where = views.parse_filter("type=MEDICAL review=open", views.exposure_columns(), "record")
    assert views.exposures(filled.con, where=where).total == 8
    where = views.parse_filter("type!=MEDICAL", views.exposure_columns(), "record")
    assert views.exposures(filled.con, where=where).total == 1
    where = views.parse_filter("country=de special=true", views.subject_columns(), "key")
    assert [row.subject_key for row in views.subjects(filled.con, where=where).rows] == ["S-P-0001"]


def test_unknown_sort_field_is_refused() -> None:
    with pytest.raises(views.FilterError):
        order_by(views.actor_columns(), "1; DROP TABLE finding", False, "unit")


def test_sequence_and_its_landmarks(filled: Case) -> None:
    summary = views.sequence_summary(filled.con, key(fiction.EXTRACTOR))
    assert (summary.total, summary.onset_position) == (48, 9)
    assert summary.leak_positions == (10, 15, 20, 25, 30, 35, 40, 45)
    rows = views.sequence(filled.con, key(fiction.EXTRACTOR), offset=8, limit=4)
    assert [row.position for row in rows] == [8, 9, 10, 11]
    assert [row.exposures for row in rows] == [0, 0, 1, 0]
    assert [row.evidence for row in rows] == [0, 1, 1, 1]
    campaign = views.sequence_summary(filled.con, key("campaign-01", UnitKind.CAMPAIGN))
    assert campaign.total == 108
    session = views.sequence_summary(filled.con, key(f"{fiction.EXTRACTOR}/s1", UnitKind.SESSION))
    assert session.total == 39


def test_evidence_rises_after_the_onset_and_not_before(filled: Case) -> None:
    curve = views.evidence_curve(filled.con, key(fiction.EXTRACTOR), points=200)
    assert len(curve) == 48
    assert max(point.value for point in curve[:9]) == 0
    after = [point.value for point in curve[9:]]
    assert after == sorted(after) and after[-1] > 50
    coarse = views.evidence_curve(filled.con, key(fiction.EXTRACTOR), points=12)
    assert len(coarse) == 12 and coarse[-1].value == curve[-1].value
    assert sum(point.leaks for point in coarse) == 8
    quiet = views.evidence_curve(filled.con, key(fiction.ORDINARY[0]))
    assert {point.value for point in quiet} == {0.0}


def test_record_detail_marks_the_leak_in_place(filled: Case) -> None:
    row = views.sequence(filled.con, key(fiction.EXTRACTOR), offset=10, limit=1)[0]
    detail = views.record_detail(filled.con, row.record_id)
    assert detail is not None
    response = detail.responses[0]
    passage = next(span for span in response.spans if span.ref)
    assert response.body[passage.start : passage.end] == fiction.record_text(2)
    assert dict(detail.parameters)["top_logprobs"] == "5"
    assert detail.evidence[0].detector == "prefix_continuation_probe"
    assert len(detail.logprobs) == 40 and detail.logprobs[0].logprob == -1.6
    assert detail.source_path.endswith("inference-2026-10.jsonl")
    assert views.record_detail(filled.con, "no such record") is None


def test_the_last_review_counts_and_undo_reopens(filled: Case) -> None:
    def state() -> str | None:
        detail = views.exposure_detail(filled.con, "x0010")
        assert detail is not None
        return detail.row.verdict

    assert state() is None
    for minute, verdict in enumerate(("confirm", "reject", "undo")):
        filled.con.execute(
            "INSERT INTO review VALUES ('x0010', ?, 'why', 'reviewer', ?)",
            [verdict, NOW.replace(minute=minute, tzinfo=None)],
        )
        assert state() == (None if verdict == "undo" else verdict)
    assert views.review_counts(filled.con) == {"open": 9}
    detail = views.exposure_detail(filled.con, "x0010")
    assert detail is not None and [r[0] for r in detail.reviews] == ["confirm", "reject", "undo"]
    assert detail.body[detail.start : detail.end] == fiction.record_text(2)
    assert [person.subject_key for person in detail.subjects] == ["S-P-0003"]


def test_sources_quarantine_and_custody(filled: Case) -> None:
    first, second = views.sources(filled.con)
    assert (first.entries, first.records, first.blanks, first.quarantined) == (206, 202, 1, 3)
    assert ("logged", "texts, addresses, log-probabilities") in first.capabilities
    assert second.format == "nginx_access"
    page = views.quarantine(filled.con, limit=2)
    assert (page.total, len(page.rows)) == (3, 2)
    assert views.quarantine_raw(filled.con, 1, 71, limit=10) == b"[" * 10
    rows = views.custody_rows(filled.custody, last=2)
    assert [row.action for row in rows] == ["scope", "preserve"]


def test_an_empty_case_reads_as_empty(case: Case) -> None:
    seen = views.overview(case.con, now=NOW)
    assert seen.evidence.state is None and seen.deadline is None
    assert seen.activity.buckets == () and seen.top == ()
    assert all(step.best == 0 for step in seen.funnel)
    assert views.exposures(case.con).total == views.subjects(case.con).total == 0
    assert views.sequence_summary(case.con, key("nobody")).total == 0
    assert views.evidence_curve(case.con, key("nobody")) == ()
