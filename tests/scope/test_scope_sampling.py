"""Sampled review: the draw, what counts as judged, and what it does to the counts."""

from __future__ import annotations

import pytest

from irkit.errors import UsageError
from irkit.scope import draw_sample, recount
from irkit.scope.sampling import judged, wilson


def judge(incident, exposure_id: str, verdict: str, minute: int) -> None:
    incident.case.con.execute(
        "INSERT INTO review VALUES (?, ?, '', 'me', ?)",
        [exposure_id, verdict, f"2026-10-02 00:{minute:02d}:00"],
    )


def drawn(incident, frame: str, stratum: str) -> list[str]:
    return [
        row[0]
        for row in incident.rows(
            "SELECT exposure_id FROM review_sample"
            f" WHERE frame = '{frame}' AND stratum = '{stratum}' ORDER BY position"
        )
    ]


@pytest.fixture
def unproven(incident):
    """Forty people whose address no document holds, and ten whose record came out whole."""
    for i in range(40):
        incident.call("tell", f"Write q{i}x{i * 7}k@mail.example please.")
    for i in range(10):
        text = " ".join(f"w{i}z{k}" for k in range(80))
        incident.doc(f"d{i}", text, f"s{i}")
        incident.call("tell", text)
    counts = incident.scope().counts
    assert (counts["people"].min, counts["people"].best, counts["people"].max) == (10, 10, 50)
    return incident


def test_wilson_known_values() -> None:
    # Brown, Cai and DasGupta 2001; 8 of 10 at 95 %.
    assert wilson(8, 10, 1000) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10, 1000) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(8, 10, 10) == (0.8, 0.8)


def test_drawing_again_extends_the_same_sample(unproven) -> None:
    draw_sample(unproven.case, 5)
    few = drawn(unproven, "person", "unverified")
    draw_sample(unproven.case, 20)
    assert drawn(unproven, "person", "unverified")[:5] == few
    assert len(drawn(unproven, "person", "unverified")) == 20
    assert len(drawn(unproven, "person", "confirmed")) == 10
    seeds = unproven.case.custody.path.read_text("utf-8")
    assert seeds.count('"review_sample"') == 2
    assert str(unproven.case.settings.seed) in seeds


def test_the_order_is_random_and_not_that_of_the_log(unproven) -> None:
    draw_sample(unproven.case, 40)
    places = unproven.rows(
        "SELECT position FROM review_sample JOIN exposure USING (exposure_id)"
        " JOIN query_record USING (record_id) WHERE frame = 'record' AND stratum = 'unverified'"
        " ORDER BY entry_no, record_id"
    )
    assert sorted(place[0] for place in places) == list(range(1, 41))
    assert [place[0] for place in places] != list(range(1, 41))


def test_a_sample_stands_for_its_stratum(unproven) -> None:
    draw_sample(unproven.case, 20)
    for i, exposure in enumerate(drawn(unproven, "person", "unverified")):
        judge(unproven, exposure, "confirm" if i % 4 == 0 else "reject", i)
    people = recount(unproven.case)["people"]
    seen = judged(unproven.case)["person", "unverified"]
    assert (seen.size, seen.judged, seen.held) == (40, 20, 5)
    low, high = wilson(5, 20, 40)
    assert (seen.low, seen.share, seen.high) == (low, 0.25, high)
    # Ten proven, five confirmed one by one; a quarter of forty at best; Wilson's end at most.
    assert people.min == 15
    assert people.best == 20
    assert people.max == 10 + -(-int(high * 40 * 1000) // 1000)
    assert "5 of 20 unverified judged in random order held" in people.method


def test_too_few_say_nothing(unproven) -> None:
    draw_sample(unproven.case, 20)
    for i, exposure in enumerate(drawn(unproven, "person", "unverified")[:9]):
        judge(unproven, exposure, "reject", i)
    people = recount(unproven.case)["people"]
    assert not judged(unproven.case)["person", "unverified"].tells
    assert (people.min, people.best, people.max) == (10, 10, 41)
    assert "sampled" not in people.method


def test_what_lies_beyond_a_gap_is_no_random_sample(unproven) -> None:
    draw_sample(unproven.case, 30)
    order = drawn(unproven, "person", "unverified")
    for i, exposure in enumerate(order[:12] + order[13:]):
        judge(unproven, exposure, "confirm", i)
    assert judged(unproven.case)["person", "unverified"].judged == 12
    judge(unproven, order[12], "unsure", 50)
    seen = judged(unproven.case)["person", "unverified"]
    assert (seen.judged, seen.held, seen.unsure) == (30, 29, 1)
    assert seen.low == wilson(29, 30, 40)[0]
    assert seen.high == wilson(30, 30, 40)[1]
    judge(unproven, order[0], "undo", 55)
    assert judged(unproven.case)["person", "unverified"].judged == 0


def test_a_flaw_among_the_proven_lowers_the_floor(unproven) -> None:
    draw_sample(unproven.case, 10)
    order = drawn(unproven, "person", "confirmed")
    for i, exposure in enumerate(order):
        judge(unproven, exposure, "confirm", i)
    assert recount(unproven.case)["people"].min == 10
    judge(unproven, order[3], "reject", 30)
    people = recount(unproven.case)["people"]
    assert (people.min, people.best) == (9, 9)
    assert "9 of 10 confirmed judged" in people.method


def test_nothing_is_drawn_before_scoping(incident) -> None:
    with pytest.raises(UsageError, match="nothing was scoped"):
        draw_sample(incident.case, 5)


def test_verdicts_outlive_another_scoping(unproven) -> None:
    draw_sample(unproven.case, 20)
    for i, exposure in enumerate(drawn(unproven, "record", "unverified")):
        judge(unproven, exposure, "reject", i)
    before = recount(unproven.case)["records"]
    unproven.case.con.execute("DELETE FROM stage_progress WHERE stage = 'scope'")
    assert unproven.scope().counts["records"] == before
