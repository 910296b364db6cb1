"""Facts: wrong input names its key, values survive the file, the case fills the rest."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_incident import FACTS, SIGNED, make_incident

from irkit.errors import UsageError
from irkit.model import Count, Phase
from irkit.playbook import assess
from irkit.playbook.facts import (
    STATES,
    Facts,
    Measure,
    Notice,
    Signature,
    Unknown,
    completeness,
    facts_from_case,
    filled,
    load_facts,
)
from irkit.playbook.facts_toml import dump_facts, parse_facts, read_facts, template
from irkit.playbook.fields import CONTACT_KEYS, FIELD, FIELDS, Kind
from irkit.playbook.prefill import awareness_history, save_facts


def test_keys_are_stable_unique_and_typed():
    assert len(FIELD) == len(FIELDS) > 90
    assert set(FIELD) >= CONTACT_KEYS
    for key in ("controller.name", "subjects.count", "timeline.awareness_at", "risk.level"):
        assert key in FIELD


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('controler.name = "x"', ["unknown key 'controler", "controller"]),
        ("controller.name = 7", ["'controller.name' must be text"]),
        ("timeline.awareness_at = 2026-10-15T10:30:00", ["awareness_at", "names no time zone"]),
        ("timeline.awareness_at = 2026-10-15", ["must be time with zone"]),
        ('risk.level = "enormous"', ["'risk.level' must be one of a list", "unlikely"]),
        ('timeline.ongoing = "maybe"', ["must be yes, no or unknown"]),
        ("subjects.count = { min = 5, best = 2, max = 9 }", ["min <= best <= max"]),
        ("subjects.count = { min = 1, best = 2 }", ["needs min, best and max"]),
        ("subjects.count = { min = -1, best = 2, max = 3 }", ["min <= best <= max"]),
        ("subjects.by_country = { DE = true }", ["'subjects.by_country' must be"]),
        ('breach.cia = "confidentiality"', ["must be list of texts"]),
        ("breach.cia = [1]", ["must be list of texts"]),
        ('measures.before = [{ texts = "x" }]', ["unknown key 'texts'"]),
        ('measures.before = [{ text = "x", state = "perhaps" }]', ["unknown state"]),
        ("measures.before = [{ text = 3 }]", ["'measures.before.text' must be str"]),
        ('measures.before = [{ text = "x", at = 2026-01-01T10:00:00 }]', ["names no time zone"]),
        ("measures.before = [{ state = 'done' }]", ["every entry needs 'text'"]),
        ("sign_off = [{ name = 'A', at = 2026-01-01 }]", ["must be a time with zone"]),
        ("unknown = [{ key = 'x', expected = 2026-01-01T10:00:00 }]", ["names no time zone"]),
        ("controller = 3", ["unknown key 'controller'"]),
        ("a = [[[[", ["no valid TOML"]),
    ],
)
def test_a_wrong_fact_names_itself(tmp_path, text, words):
    path = tmp_path / "facts.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError) as error:
        read_facts(path)
    said = f"{error.value.message} {error.value.hint}"
    for word in words:
        assert word in said
    assert str(path) in said


def test_unreadable_files_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_facts(tmp_path / "absent.toml")
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"a = '\xff'")
    with pytest.raises(UsageError, match="no valid TOML"):
        read_facts(bad)
    big = tmp_path / "big.toml"
    big.write_bytes(b"#" * (5 << 20))
    with pytest.raises(UsageError, match="larger than"):
        read_facts(big)


TEXT = st.text(max_size=40).filter(lambda s: s != "")
INSTANTS = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
).map(lambda d: d.replace(microsecond=0))
MEASURES = st.lists(
    st.builds(Measure, TEXT, st.sampled_from(STATES), st.none() | INSTANTS, TEXT, TEXT),
    min_size=1, max_size=3,
).map(tuple)  # fmt: skip
BY_KIND = {
    Kind.TEXT: TEXT,
    Kind.INSTANT: INSTANTS,
    Kind.TRI: st.sampled_from(["yes", "no", "unknown"]),
    Kind.TEXTS: st.lists(TEXT, min_size=1, max_size=4).map(tuple),
    Kind.COUNT: st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), TEXT).map(
        lambda t: Count(t[0], t[0] + t[1], t[0] + t[1] + t[2], t[3])
    ),
    Kind.COUNTRIES: st.dictionaries(st.sampled_from(["DE", "FR", "x y", "Ω"]), st.integers(0, 9)),
    Kind.MEASURES: MEASURES,
    Kind.UNKNOWNS: st.lists(
        st.builds(Unknown, TEXT, st.none() | INSTANTS, TEXT), min_size=1, max_size=2
    ).map(tuple),
    Kind.NOTICES: st.lists(
        st.builds(Notice, TEXT, st.none() | INSTANTS, TEXT), min_size=1, max_size=2
    ).map(tuple),
    Kind.SIGNATURES: st.lists(
        st.builds(Signature, TEXT, TEXT, st.none() | INSTANTS, TEXT), min_size=1, max_size=2
    ).map(tuple),
}
VALUES = st.sampled_from(FIELDS).flatmap(
    lambda f: st.tuples(
        st.just(f.key),
        st.sampled_from(f.choices) if f.kind is Kind.CHOICE else BY_KIND[f.kind],
    )
)


@given(st.lists(VALUES, max_size=6).map(dict))
def test_every_value_survives_the_file(values):
    facts = Facts.of(values)
    text = dump_facts(facts)
    assert all(c.isprintable() or c == "\n" for c in text)
    again = parse_facts(tomllib.loads(text), "facts.toml")
    assert dict(again.values) == dict(facts.values)
    # The template keeps what people wrote and comments out everything else.
    kept = parse_facts(tomllib.loads(template(facts, Phase.COMPLETE)), "template")
    assert dict(kept.values) == dict(facts.values)


def test_facts_refuse_wrong_values_in_code_too():
    with pytest.raises(UsageError, match="names no time zone"):
        Facts.of({"timeline.awareness_at": datetime(2026, 1, 1)})  # noqa: DTZ001
    with pytest.raises(UsageError, match="unknown key"):
        Facts.of({"nonsense": "x"})
    with pytest.raises(TypeError):
        Facts.of({}).values["controller.name"] = "x"


def test_unknown_is_not_an_answer_for_the_complete_phase():
    base = Facts.of({"timeline.ongoing": "unknown"})
    assert "timeline.ongoing" in {g.field.key for g in completeness(base, Phase.COMPLETE)}
    assert "timeline.ongoing" not in {g.field.key for g in completeness(base, Phase.PRELIMINARY)}


def test_a_promise_answers_early_phases_only():
    soon = datetime(2026, 12, 1, tzinfo=UTC)
    promised = Facts.of(
        {"unknown": (Unknown("data.records", soon), Unknown("controller.name", soon))}
    )
    early = {g.field.key for g in completeness(promised, Phase.PRELIMINARY)}
    assert "data.records" not in early
    assert "controller.name" in early, "who notifies can not be promised"
    late = {g.field.key: g for g in completeness(promised, Phase.COMPLETE)}
    assert late["data.records"].promised.expected == soon


def test_an_unsigned_sign_off_is_no_sign_off():
    unsigned = Facts.of({"sign_off": (Signature("A", "decision"),)})
    assert not unsigned.signed_off
    assert "sign_off" in {g.field.key for g in completeness(unsigned, Phase.COMPLETE)}
    other = Facts.of({"sign_off": (Signature("A", "preparer", datetime.now(UTC)),)})
    assert not other.signed_off


def test_the_case_fills_all_but_a_handful(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        facts = facts_from_case(case)
        missing = {g.field.key for g in completeness(facts, Phase.PRELIMINARY)}
        assert missing == {
            "controller.name", "controller.country", "dpo.name", "dpo.email",
            "timeline.awareness_at",
        }  # fmt: skip
        assert facts.proposals["timeline.awareness_at"] == datetime(2026, 10, 15, 8, 30, tzinfo=UTC)
        assert "timeline.awareness_at" not in facts.values
        assert facts.count("subjects.count") == Count(6, 8, 11, "linked identifiers")
        assert facts.countries("subjects.by_country")["DE"] == 2
        assert facts.tri("subjects.children") == "yes"
        assert "discrimination" in facts.texts("consequences.harms")
        assert facts.instant("timeline.started_at") == datetime(2026, 10, 12, 7, 17, tzinfo=UTC)
        assert filled(facts)[0] > 25
        path = tmp_path / "f.toml"
        path.write_text(SIGNED, "utf-8")
        assessed = assess(case, facts=load_facts(path, case)).facts
        assert completeness(assessed, Phase.COMPLETE) == []


def test_given_facts_lie_over_the_case_and_keep_their_source(tmp_path):
    path = tmp_path / "f.toml"
    path.write_text(FACTS + 'breach.cause = "ours"\nbreach.cia = ["confidentiality"]\n', "utf-8")
    with make_incident(tmp_path / "case.irkit") as case:
        facts = load_facts(path, case)
    assert facts.text("breach.cause") == "ours"
    assert facts.sources["breach.cause"] == "you"
    assert facts.sources["breach.cia"] == "irkit"
    assert facts.text("controller.zone") == "Europe/Berlin"


def test_a_review_moves_the_proposed_awareness(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        for at, verdict in (
            (datetime(2026, 10, 14, 12, 0), "reject"),  # noqa: DTZ001
            (datetime(2026, 10, 14, 15, 0), "confirm"),  # noqa: DTZ001
        ):
            case.con.execute("INSERT INTO review VALUES ('x001', ?, '', 'R', ?)", [verdict, at])
        facts = facts_from_case(case)
    proposed = facts.proposals["timeline.awareness_at"]
    assert proposed == datetime(2026, 10, 14, 15, 0, tzinfo=UTC)
    assert "reviewer" in facts.text("timeline.awareness_basis")


def test_saved_facts_stay_in_the_case_and_awareness_changes_need_a_reason(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        first = facts_from_case(case).with_value("controller.name", "Example GmbH")
        aware = datetime(2026, 10, 15, 8, 30, tzinfo=UTC)
        save_facts(case, first.with_value("timeline.awareness_at", aware))
        again = facts_from_case(case)
        assert again.text("controller.name") == "Example GmbH"
        assert again.sources["controller.name"] == "you"
        later = again.with_value("timeline.awareness_at", aware + timedelta(hours=5))
        with pytest.raises(UsageError, match="no reason"):
            save_facts(case, later)
        save_facts(case, later, reason="log clock was five hours off")
        assert awareness_history(case) == [
            {
                "was": "2026-10-15T08:30:00+00:00", "is": "2026-10-15T13:30:00+00:00",
                "reason": "log clock was five hours off", "at": "2026-10-16T07:00:00+00:00",
            }
        ]  # fmt: skip
        saved = [e for e in case.custody.entries() if e.action == "facts"]
        assert saved[-1].detail["changed"] == ["timeline.awareness_at"]
        assert "Example GmbH" not in str(saved[0].detail)
