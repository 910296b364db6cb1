"""ENISA severity, duties and authorities: published examples and the edges of every answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.errors import UsageError
from irkit.model import Count
from irkit.playbook.authorities import EEA, addressees, authorities, concerned
from irkit.playbook.clocks import parse_rules, rules
from irkit.playbook.facts import Facts
from irkit.playbook.obligations import obligations
from irkit.playbook.severity import (
    BASE,
    Severity,
    band,
    circumstances,
    context,
    data_category,
    identification,
    risk_row,
)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
AWARE = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
PEOPLE = Count(3, 4, 6, "x")


@pytest.mark.parametrize(
    ("se", "name"),
    [(0.25, "low"), (1.99, "low"), (2, "medium"), (2.99, "medium"), (3, "high"), (3.99, "high"),
     (4, "very high"), (6, "very high")],
)  # fmt: skip
def test_bands(se, name):
    assert band(se) == name


def test_worked_example_diagnosis_to_an_unknown_key():
    score = Severity(
        context({"PERSON", "EMAIL_ADDRESS", "diagnosis"}),
        identification({"PERSON", "EMAIL_ADDRESS"}),
        circumstances(recipients_known="no", malicious="yes"),
    )
    assert (score.se_low, score.se_high) == (5.0, 5.0)
    assert score.band_low == score.band_high == "very high"


def test_worked_example_addresses_only_to_a_known_tester():
    score = Severity(
        context({"EMAIL_ADDRESS"}),
        identification({"EMAIL_ADDRESS"}),
        circumstances(recipients_known="yes", malicious="no"),
    )
    assert score.se_low == 0.5
    assert score.band_low == "low"


@pytest.mark.parametrize(
    ("kind", "category", "candidate"),
    [
        ("PERSON", "simple", False), ("EMAIL_ADDRESS", "simple", False),
        ("IP_ADDRESS", "behavioural", False), ("IBAN_CODE", "financial", False),
        ("CREDIT_CARD", "financial", False), ("health", "sensitive", False),
        ("MEDICAL_LICENSE", "simple", False), ("NRP", "sensitive", True),
        ("MEDICAL_ID", "sensitive", True), ("id_card", "simple", False),
        ("communion", "simple", False),
    ],
)  # fmt: skip
def test_categories_of_entity_types(kind, category, candidate):
    assert data_category(kind) == (category, candidate)


KINDS = st.sets(
    st.sampled_from(["PERSON", "EMAIL_ADDRESS", "IBAN_CODE", "health", "NRP", "IP_ADDRESS",
                     "PHONE_NUMBER", "PASSWORD", "PASSPORT", "zzz"]), max_size=6,
)  # fmt: skip
TRI = st.sampled_from(["yes", "no", "unknown"])


@given(KINDS, st.booleans(), st.booleans(), st.booleans(), TRI, TRI)
def test_scores_stay_in_range_and_doubt_only_widens(kinds, special, child, linked, known, evil):
    score = Severity(
        context(kinds, special=special, child=child, verbatim=linked),
        identification(kinds, linked=linked),
        circumstances(recipients_known=known, malicious=evil),
    )
    assert 1 <= score.dpc.low <= score.dpc.high <= 4
    assert 0.25 <= score.ei.low <= score.ei.high <= 1
    assert 0 <= score.cb.low <= score.cb.high <= 2
    assert 0.25 <= score.se_low <= score.se_high <= 6
    assert all(part.reasons for part in (score.dpc, score.ei, score.cb))
    sure = circumstances(recipients_known="yes", malicious="no")
    unsure = circumstances(recipients_known="unknown", malicious="unknown")
    assert unsure.low == sure.low
    assert unsure.high > sure.high
    for kind in kinds:
        category, candidate = data_category(kind)
        assert score.dpc.high >= BASE[category]
        if not candidate:
            assert score.dpc.low >= BASE[category]


def test_the_register_row_escalates_with_the_gdpr():
    row = risk_row(gdpr_linked=True)
    assert (row.impact, row.likelihood, row.detectability) == ("critical", "medium", "low")
    assert row.escalation.startswith("critical")
    assert risk_row(gdpr_linked=False).escalation.startswith("not escalated")
    assert "OWASP LLM02:2025" in row.references


# -- duties -------------------------------------------------------------------------------------


def answers(**values):
    facts = Facts.of({k.replace("__", "."): v for k, v in values.items()})
    return {o.rule.id: o for o in obligations(facts, rules(), NOW)}


BREACH = {"controller__country": "DE", "subjects__count": PEOPLE, "controller__role": "controller"}


def test_every_rule_is_answered_with_a_reason():
    found = answers()
    assert set(found) == {r.id for r in rules()}
    for duty in found.values():
        assert duty.applies in {"yes", "no", "unknown"}
        assert duty.reason
    assert found["gdpr-33-1"].applies == "unknown"
    assert found["gdpr-omnibus-96"].applies == "no"


@pytest.mark.parametrize(
    ("change", "authority", "people"),
    [
        ({}, "yes", "unknown"),
        ({"risk__level": "unlikely"}, "no", "no"),
        ({"risk__level": "risk"}, "yes", "no"),
        ({"risk__level": "high"}, "yes", "yes"),
        (
            {"risk__level": "high", "communication__exemption": "34(3)(b) later measures"},
            "yes", "no",
        ),
        ({"regimes__gdpr": "no"}, "no", "no"),
        ({"controller__role": "processor"}, "no", "no"),
        ({"subjects__count": Count(0, 0, 0, "x")}, "no", "no"),
        ({"subjects__count": Count(0, 2, 5, "x")}, "unknown", "unknown"),
    ],
)  # fmt: skip
def test_articles_33_and_34(change, authority, people):
    found = answers(**{**BREACH, **change})
    assert found["gdpr-33-1"].applies == authority
    assert found["gdpr-34-1"].applies == people


def test_unlikely_risk_is_still_documented_and_names_who_decided():
    found = answers(**BREACH, risk__level="unlikely", risk__decided_by="Erika Beispiel")
    assert "Erika Beispiel" in found["gdpr-33-1"].reason
    assert found["gdpr-33-5"].applies == "yes"


def test_without_awareness_the_clock_has_not_started():
    facts = Facts.of(
        {k.replace("__", "."): v for k, v in BREACH.items()},
        proposals={"timeline.awareness_at": AWARE},
    )
    duty = next(o for o in obligations(facts, rules(), NOW) if o.rule.id == "gdpr-33-1")
    assert duty.instants == ()
    assert duty.clock.startswith("not started; proposed awareness 2026-11-20T15:30+00:00")
    assert "2026-11-23T15:30+00:00" in duty.clock


def test_hipaa_thresholds_at_their_edges():
    def at(low, high):
        return answers(
            **{**BREACH, "subjects__count": Count(low, low, high, "x"), "regimes__hipaa": "yes",
               "timeline__awareness_at": AWARE}
        )  # fmt: skip

    assert at(500, 500)["hipaa-408-500"].applies == "yes"
    assert at(499, 499)["hipaa-408-500"].applies == "no"
    assert at(499, 499)["hipaa-408-log"].applies == "yes"
    assert at(400, 600)["hipaa-408-500"].applies == "unknown"
    assert at(400, 600)["hipaa-408-log"].applies == "unknown"
    assert at(500, 500)["hipaa-406"].applies == "no"
    over = answers(
        **BREACH, regimes__hipaa="yes", subjects__by_us_state={"TX": 501, "OH": 500}
    )["hipaa-406"]  # fmt: skip
    assert over.applies == "yes"
    assert "TX" in over.reason
    assert "OH" not in over.reason


def test_california_and_other_states():
    found = answers(**BREACH, subjects__by_us_state={"CA": 500, "NV": 1})
    assert found["us-ca-1798-82"].applies == "yes"
    assert found["us-ca-ag"].applies == "no"
    assert "CA, NV" in found["us-state-generic"].reason
    found = answers(**BREACH, subjects__by_us_state={"CA": 501})
    assert found["us-ca-ag"].applies == "yes"
    assert "waits for: individual notice" in found["us-ca-ag"].clock


def test_laws_bind_only_from_their_date():
    early = Facts.of({"controller.country": "DE", "clocks.discovered_at": AWARE.replace(year=2025),
                      "subjects.by_us_state": {"CA": 900}})  # fmt: skip
    found = {o.rule.id: o for o in obligations(early, rules(), NOW)}
    assert found["us-ca-1798-82"].applies == "no"
    assert "not in force" in found["us-ca-1798-82"].reason


def test_custom_clocks_and_unknown_tests():
    table = {
        "rule": [
            {
                "id": "insurer", "regime": "Contract", "title": "Tell the insurer",
                "provision": "policy 7.2", "recipient": "insurer", "applies": "always",
                "trigger": "awareness", "effective_from": datetime(2020, 1, 1).date(),  # noqa: DTZ001
                "status": "in_force", "source": "policy", "certainty": "verified",
                "limit": [{"kind": "target", "method": "elapsed_hours", "amount": 48,
                           "basis": "48 hours"}],
            }
        ]
    }  # fmt: skip
    own = parse_rules(table, "playbook.toml")
    facts = Facts.of({"timeline.awareness_at": AWARE})
    duty = obligations(facts, own, NOW)[0]
    assert duty.applies == "yes"
    assert duty.target.at_utc == datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
    table["rule"][0]["applies"] = "phase of the moon"
    with pytest.raises(UsageError, match="phase of the moon"):
        obligations(facts, parse_rules(table, "playbook.toml"), NOW)


# -- authorities --------------------------------------------------------------------------------


def test_the_table_covers_the_eea_with_zone_date_and_certainty():
    table = authorities()
    assert set(table) >= EEA | {"GB", "CH", "EU"}
    for authority in table.values():
        assert authority.checked_on.year == 2026
        assert authority.certainty in {"verified", "secondary", "memory"}
        assert "/" in authority.zone


def test_one_stop_shop_and_without():
    homes = {"DE": 5, "FR": 2, "US": 9}
    inside = Facts.of({"controller.country": "fr", "subjects.by_country": homes})
    assert [a.authority.country for a in addressees(inside)] == ["FR"]
    assert addressees(inside)[0].role == "lead authority"
    assert [(a.country, n) for a, n in concerned(inside)] == [("DE", 5)]
    outside = Facts.of(
        {"controller.country": "US", "subjects.by_country": homes,
         "controller.representative": "Rep BV"}
    )  # fmt: skip
    assert [a.authority.country for a in addressees(outside)] == ["DE", "FR"]
    assert all("no one-stop-shop" in a.reason for a in addressees(outside))
    assert addressees(Facts.of({"subjects.by_country": homes})) == []
    british = Facts.of({"controller.country": "GB", "subjects.by_country": {"IE": 1}})
    assert [a.authority.country for a in addressees(british)] == ["IE", "GB"]
