"""What the evidence shows beyond the counts: said once, the gravest first, each with its place."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import fictional_case as fiction
import polars as pl
import pytest

from irkit.case import Case, views
from irkit.case.views.standing import CANARIES, Weight


@pytest.fixture
def filled(tmp_path):
    with Case.create(tmp_path / "s.irkit", title="Standing") as case:
        fiction.fill(case)
        yield case


def topics(case: Case) -> dict[str, views.Statement]:
    return {one.topic: one for one in views.standing(case.con)}


def measured(auc: float, verdict: str, told: int = 0) -> str:
    return json.dumps(
        {
            "status": "measured",
            "headline": "loss",
            "statistics": {"loss": {"auc": [auc, auc - 0.05, auc + 0.02]}},
            "members": 30,
            "members_told": {"count": told},
            "policy": {"verdict": verdict},
            "sentence": f"The scores it was given tell 30 members with AUC {auc:.3f}.",
        }
    )


def test_an_empty_case_states_nothing(tmp_path) -> None:
    with Case.create(tmp_path / "e.irkit", title="Empty") as case:
        assert views.standing(case.con) == ()


def test_strongest_measurement_leads_and_is_said_once(filled: Case) -> None:
    found = filled.rows("SELECT finding_id, unit_kind, unit FROM finding ORDER BY finding_id")
    assert len(found) >= 3
    weak, strong = measured(0.7, "undecided"), measured(0.95, "exceeded", told=21)
    details = [weak, strong, strong]
    for (finding, *_), detail in zip(found[:3], details, strict=True):
        filled.con.execute("INSERT INTO membership_harm VALUES (?, ?)", [finding, detail])
    one = next(iter(views.standing(filled.con)))
    assert (one.topic, one.weight, one.place) == ("Membership", Weight.HARM, "replay")
    assert one.brief.startswith("AUC 0.95 (0.90 to 0.97), 21 of 30 members certain, above the rel")
    assert one.brief.endswith("1 weaker set of probes")
    assert one.full.count("AUC 0.950") == 1 and one.full.count("AUC 0.700") == 1
    assert one.target in {f"{kind}:{unit}" for _, kind, unit in found[1:3]}
    assert one.target.partition(":")[2] in one.full


def test_what_cannot_be_measured_says_why(filled: Case) -> None:
    (finding,) = filled.rows("SELECT finding_id FROM finding ORDER BY finding_id LIMIT 1")[0]
    why = {"status": "not_measurable", "reason": "no corpus", "sentence": "Not measured."}
    filled.con.execute("INSERT INTO membership_harm VALUES (?, ?)", [finding, json.dumps(why)])
    one = topics(filled)["Membership"]
    assert one.weight is Weight.NOTE and one.brief == "not measurable: no corpus"


def test_canaries_that_came_out_are_harm_and_others_rule_nothing_out(filled: Case) -> None:
    assert "Canaries" not in topics(filled)
    filled.set_meta(CANARIES, "4")
    one = topics(filled)["Canaries"]
    assert one.weight is Weight.NOTE and one.brief == "none of 4 planted values came out"
    filled.append(
        "entity",
        pl.DataFrame(
            {
                "record_id": ["r00001", "r00002", "r00003"],
                "choice": [0, 0, 0],
                "e_start": [0, 0, 0],
                "e_end": [9, 9, 9],
                "entity_type": ["CANARY"] * 3,
                "recogniser": ["irkit"] * 3,
                "score": [1.0] * 3,
                "explanation": ["pattern"] * 3,
                "provenance": ["memorised", "memorised", "echo"],
                "value_hash": ["aa", "aa", "bb"],
            }
        ),
    )
    one = topics(filled)["Canaries"]
    assert one.weight is Weight.HARM and one.target == "type=CANARY"
    assert one.brief == "1 of 4 planted values came out, in 2 answers"


def test_losses_of_the_log_are_doubts_and_missing_fields_are_notes(filled: Case) -> None:
    capability = {
        "has_ip": False,
        "has_content": True,
        "rows": 202,
        "failed_calls": 0,
        "sampling": "the producer may log only a sample of the calls",
        "truncation": "7 of 202 records hold texts that were cut",
    }
    filled.con.execute(
        "UPDATE evidence_source SET capability = ? WHERE source_id = 1", [json.dumps(capability)]
    )
    found = topics(filled)
    assert found["Cut"].weight is Weight.DOUBT and found["Cut"].place == "evidence"
    assert found["Cut"].full == (
        "inference-2026-10.jsonl: 7 of 202 records hold texts that were cut."
    )
    assert found["Sampled"].brief == "1 of 2 files may hold only a sample of the calls"
    assert found["Unread"].place == "quarantine" and found["Unread"].brief.startswith("3 entries")
    notes = [one.brief for one in views.standing(filled.con) if one.topic == "Not logged"]
    assert notes[0] == "addresses in 1 of 1 file"
    assert notes[1].startswith("failed calls in 1 of 1 file")


def test_gradients_lead_to_the_records_they_give_away(filled: Case) -> None:
    filled.con.execute(
        "INSERT INTO gradient_artifact VALUES (1, 'g', NULL, NULL, 'update', 'exact', '{}')"
    )
    one = topics(filled)["Gradients"]
    assert (one.weight, one.place) == (Weight.NOTE, "evidence")
    for item, doc, sure in ((0, "R-1", True), (1, "R-1", False), (2, "R-2", False)):
        filled.con.execute(
            "INSERT INTO gradient_match VALUES (1, ?, 'w', 'row', ?, NULL, NULL, 1, 0, 40, ?, '')",
            [item, doc, sure],
        )
    one = topics(filled)["Gradients"]
    assert one.weight is Weight.HARM and one.target == "record~gradient:"
    assert one.brief == "1 training record identified in 1 file, 1 more are likely"
    assert one.full.startswith("1 file: 1 exact; 1 training records identified")


def test_a_silence_is_a_doubt_with_its_longest_stretch(tmp_path) -> None:
    with Case.create(tmp_path / "g.irkit", title="Gap") as case:
        filler = fiction.Filler(case)
        for day in range(6):
            for minute in range(0, 1440, 10):
                at = datetime(2026, 10, 1 + day) + timedelta(minutes=minute)  # noqa: DTZ001
                if not (day == 3 and 4 <= at.hour < 18):
                    filler.call("key-app-01", at, f"q{day}.{minute}", "answer", "s")
        filler.flush()
        one = topics(case)["Silences"]
    assert one.weight is Weight.DOUBT
    assert one.brief == "1 silence in the logs, the longest 14 h from 2026-10-04 03:50 UTC"
    assert "unknown, not clean" in one.full


def test_gravest_first(filled: Case) -> None:
    filled.set_meta(CANARIES, "4")
    order = [list(Weight).index(one.weight) for one in views.standing(filled.con)]
    assert order == sorted(order) and len(set(order)) > 1
