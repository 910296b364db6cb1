"""Steps and gates, decisions, containment back-tests, remediation, and the assessment."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from made_incident import ATTACKERS, PEOPLE, make_incident, record_text

from irkit.case import Case, fixed_clock
from irkit.errors import UsageError
from irkit.playbook import assess, decide, steps
from irkit.playbook.collectors import CHECKS, COLLECTORS, collect
from irkit.playbook.containment import WINDOW, K, back_test, contain, winnow
from irkit.playbook.engine import PHASES, definitions, list_regimes, list_steps, shipped
from irkit.playbook.exposed import template_spread
from irkit.playbook.plain import csv_safe, one_line, plain
from irkit.playbook.remediation import remediate
from irkit.playbook.stix import bundle


@pytest.fixture
def incident(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        yield case


@pytest.fixture
def empty(tmp_path):
    with Case.create(tmp_path / "e", title="Empty", clock=fixed_clock("2026-10-16T09:00Z")) as case:
        yield case


def states(case):
    return {v.step.id: v for v in steps(case)}


def test_shipped_steps_are_whole():
    found = shipped()
    assert [p for p in PHASES if any(s.phase == p for s in found)] == list(PHASES)
    assert len({s.id for s in found}) == len(found)
    for step in found:
        assert step.title and step.purpose and step.how and step.owner and step.reference, step.id
        assert any("NIST SP 800-61r3" in r or "GDPR" in r or "EDPB" in r for r in step.reference)
    ids = {s.id for s in found}
    assert {"preserve.model", "scope.structural", "notify.anonymity", "scope.vendor"} <= ids
    assert {row["id"] for row in list_steps()} == ids
    assert all(row["limits"] and row["source"] for row in list_regimes())


def test_an_empty_case_blocks_what_needs_evidence(empty):
    found = states(empty)
    assert found["preserve.logs"].state == "open"
    assert found["scope.run"].state == "blocked"
    assert "irkit preserve" in found["scope.run"].blocked_by[0]
    assert found["notify.risk"].state == "blocked"
    assert template_spread(empty).proposal == "undecided"
    for name in COLLECTORS:
        assert collect(empty, name).text
    for _, check in CHECKS.values():
        assert check(empty) in (True, False)


def test_evidence_finishes_steps_and_attaches_itself(incident):
    found = states(incident)
    assert found["preserve.logs"].state == "done"
    assert found["scope.run"].state == "done"
    texts = {e.name: e.text for e in found["scope.people"].evidence}
    assert texts["people"].startswith("people 6 / 8 / 11")
    spread = {e.name: e.text for e in found["scope.structural"].evidence}["template_spread"]
    assert spread.startswith("proposal: structural")
    incident.con.execute("UPDATE evidence_source SET state = 'mismatch'")
    assert states(incident)["preserve.logs"].state == "open"


def test_decisions_open_gates_and_are_written_to_custody(incident):
    assess(incident)
    assert states(incident)["notify.risk"].state == "blocked"
    with pytest.raises(UsageError, match="is blocked"):
        decide(incident, "notify.risk", "done", "high", "because")
    decide(incident, "notify.awareness", "done", "15 October 10:30", "corpus match", "DPO")
    assert states(incident)["notify.risk"].state == "open"
    view = decide(incident, "notify.risk", "done", "high", "health data", "management")
    assert (view.state, view.decision, view.owner) == ("done", "high", "management")
    entry = list(incident.custody.entries())[-1]
    assert entry.action == "decide"
    assert entry.detail == {
        "step": "notify.risk", "state": "done", "was": "open", "decision": "high",
        "reason": "health data", "owner": "management",
    }  # fmt: skip
    with pytest.raises(UsageError, match="reason is needed"):
        decide(incident, "notify.risk", "open")
    assert decide(incident, "notify.risk", "open", reason="new facts").state == "open"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("nowhere.step", "done"), "no step"),
        (("scope.people", "finished"), "unknown state"),
        (("scope.people", "done"), "asks for a decision"),
        (("scope.people", "done", "yes"), "reason is needed"),
        (("scope.people", "not_applicable"), "reason is needed"),
    ],
)
def test_decisions_without_substance_are_refused(incident, args, words):
    with pytest.raises(UsageError, match=words):
        decide(incident, *args)


def test_an_organisation_overrides_and_adds(incident):
    (incident.path / "playbook.toml").write_text(
        """
        [[step]]
        id = "contain.revoke"
        owner = "SOC night shift"
        [[step]]
        id = "contain.bridge"
        title = "Call the bridge"
        purpose = "p"
        how = ["h"]
        owner = "SOC"
        gate = ["step:contain.revoke"]
        [[rule]]
        id = "insurer"
        regime = "Contract"
        title = "Tell the insurer"
        provision = "policy 7.2"
        recipient = "insurer"
        applies = "always"
        trigger = "awareness"
        effective_from = 2020-01-01
        status = "in_force"
        source = "policy"
        certainty = "verified"
        """,
        "utf-8",
    )
    found = states(incident)
    assert found["contain.revoke"].owner == "SOC night shift"
    assert found["contain.revoke"].step.title == "Revoke credentials"
    assert found["contain.bridge"].state == "blocked"
    assert found["contain.bridge"].step.source == "organisation"
    order = [s.phase for s in definitions(incident)]
    assert order == sorted(order, key=PHASES.index)
    assert "insurer" in {o.rule.id for o in assess(incident).obligations}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[step]]\nid = 'party.start'", "must begin with one of"),
        ("[[step]]\nid = 'contain.revoke'\ncolour = 'red'", "unknown key 'colour'"),
        ("[[step]]\nid = 'contain.revoke'\nhow = 'x'", "must be a list of texts"),
        ("[[step]]\nid = 'contain.new'\ntitle = 't'", "lacks 'purpose'"),
        ("[[step]]\nid = 'contain.revoke'\ngate = ['step:absent']", "names nothing known"),
        ("[[step]]\nid = 'contain.revoke'\nevidence = ['absent']", "names nothing known"),
        ("[[party]]\nid = 1", "unknown table 'party'"),
        ("[[step", "cannot be read"),
    ],
)
def test_a_wrong_playbook_names_its_fault(incident, text, words):
    (incident.path / "playbook.toml").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=re.escape(words)):
        steps(incident)


# -- assessment ---------------------------------------------------------------------------------


def test_assessment_fills_the_tables(incident):
    result = assess(incident)
    assert result.proposed_risk == "high"
    assert (result.se_low, result.se_high) == (4.75, 5.0)
    assert result.over_100 == "no"
    rows = incident.rows("SELECT cluster, subjects, se_low, se_high, band_low, band_high, reasons"
                         " FROM severity ORDER BY se_high DESC, se_low DESC")  # fmt: skip
    assert sum(r[1] for r in rows) == 8
    assert rows[0][4:6] == ("very high", "very high")
    assert json.loads(rows[0][6])["suggestion"] is True
    applies = dict(incident.rows("SELECT rule, applies FROM obligation WHERE regime = 'GDPR'"))
    assert applies["GDPR Art. 33(1): Notify the supervisory authority"] == "yes"
    clock = incident.rows("SELECT reason, instants FROM obligation WHERE rule LIKE '%33(1)%'"
                          " AND regime = 'GDPR'")[0]  # fmt: skip
    assert "not started; proposed awareness 2026-10-15T08:30+00:00" in clock[0]
    assert json.loads(clock[1]) == []
    assert any("not confirmed; proposed" in line for line in result.lines())
    assert json.loads(json.dumps(result.as_dict()))["risk_suggestion"]["level"] == "high"
    again = assess(incident)
    assert again.as_dict() == result.as_dict()


def test_assessment_of_nothing_promises_nothing(empty):
    result = assess(empty)
    assert result.clusters == ()
    assert result.proposed_risk == "unknown"
    assert any("not computed" in line for line in result.lines())


def test_a_rejected_exposure_no_longer_counts(incident):
    before = assess(incident)
    for n in range(0, 16, 4):
        incident.con.execute(
            "INSERT INTO review VALUES (?, 'reject', '', 'R', TIMESTAMP '2026-10-15 10:00:00')",
            [f"x{n:03d}"],
        )
    after = assess(incident)
    health = {c.label for c in before.clusters} - {c.label for c in after.clusters}
    assert before.clusters[0].subjects > 0
    assert health == {"sensitive: name with e-mail"}


# -- containment --------------------------------------------------------------------------------


def test_rules_are_measured_on_the_records(incident):
    tests = {t.rule: t for t in back_test(incident)}
    revoke = tests["revoke credentials"]
    assert (revoke.attack_stopped, revoke.attack_total) == (32, 32)
    assert (revoke.ordinary_hit, revoke.ordinary_total) == (0, 288)
    assert tests["no echo"].attack_stopped == 0
    assert tests["no echo"].advice == "no effect on these records"
    assert tests["output filter on exposed passages"].exposing_stopped == 16
    assert tests["all recommended rules together"].attack_stopped == 32
    # A rule that hits ordinary calls is never recommended.
    incident.con.execute("UPDATE query_record SET logprobs_requested = true")
    again = {t.rule: t for t in back_test(incident)}
    assert again["no token probabilities"].ordinary_hit == 288
    assert again["no token probabilities"].advice.startswith("weigh")
    assert incident.rows("SELECT count(*) FROM duckdb_tables() WHERE temporary")[0][0] == 0


def test_runaway_repetition_is_seen_in_the_answer(incident):
    incident.con.execute(
        "UPDATE text SET body = repeat('poem ', 60) || 'secret' WHERE text_id IN"
        " (SELECT response_text_id FROM query_record WHERE record_id = 'r0007')"
    )
    found = {t.rule: t for t in back_test(incident)}["stop runaway repetition"]
    assert (found.attack_stopped, found.ordinary_hit) == (1, 0)


def test_containment_files(incident, tmp_path):
    paths = {p.name: p for p in contain(incident, tmp_path / "out")}
    assert set(paths) == {
        "containment.md", "rules.json", "revocation.csv", "output_filter.json",
        "indicators.stix.json",
    }  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(paths["revocation.csv"].read_text())))
    assert {r["credential"] for r in rows} == set(ATTACKERS)
    everything = "".join(p.read_text() for p in paths.values())
    for name, mail, _, _ in PEOPLE:
        assert name not in everything
        assert mail not in everything
    again = {p.name: p.read_bytes() for p in contain(incident, tmp_path / "again")}
    assert again == {name: p.read_bytes() for name, p in paths.items()}
    assert list(incident.custody.entries())[-1].action == "contain"


def test_the_filter_catches_every_shared_run_of_25_tokens(incident, tmp_path):
    path = next(p for p in contain(incident, tmp_path) if p.name == "output_filter.json")
    data = json.loads(path.read_text())
    key, grams = bytes.fromhex(data["key_hex"]), set(data["grams"])
    leaked = record_text(3)[40:]
    tokens = re.findall(r"\w+|[^\w\s]", leaked)
    assert len(tokens) >= K + WINDOW - 1
    other = "Some words before it " + " ".join(tokens[: K + WINDOW - 1]) + " and after, as usual."
    assert grams & set(winnow(other, key))
    assert not grams & set(winnow("Parcel 7 leaves the depot tomorrow. " * 20, key))


def test_the_bundle_is_valid_stix_without_people(incident):
    first = bundle(incident)
    assert first == bundle(incident)
    ids = [o["id"] for o in first["objects"]]
    assert len(ids) == len(set(ids))
    kinds = {o["type"] for o in first["objects"]}
    assert {"identity", "indicator", "attack-pattern", "report", "incident",
            "marking-definition", "relationship", "course-of-action"} <= kinds  # fmt: skip
    for item in first["objects"]:
        assert re.fullmatch(r"[a-z-]+--[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", item["id"])
        for name in ("source_ref", "target_ref", "created_by_ref"):
            assert item.get(name, ids[0]) in ids
    patterns = [o["pattern"] for o in first["objects"] if o["type"] == "indicator"]
    assert "[ipv4-addr:value = '203.0.113.9']" in patterns
    assert "[user-account:user_id = 'key-extract-01']" in patterns
    stix2 = pytest.importorskip("stix2")
    assert len(stix2.parse(json.dumps(first)).objects) == len(ids)


def test_hostile_account_names_stay_inside_their_pattern(tmp_path):
    with make_incident(tmp_path / "c", hostile="'] OR [a = '\\\x1b\u202e") as case:
        for item in bundle(case)["objects"]:
            if item["type"] == "indicator" and "user-account" in item["pattern"]:
                inner = item["pattern"].removeprefix("[user-account:user_id = '")
                assert re.fullmatch(r"(?:[^'\\]|\\['\\])*'\]", inner)
                assert "\x1b" not in inner
        report = next(p for p in contain(case, tmp_path / "o") if p.suffix == ".md").read_text()
        assert "\u202e" not in report


# -- remediation --------------------------------------------------------------------------------


def test_the_manifest_orders_by_harm_and_holds_no_text(incident, tmp_path):
    paths = {p.name: p for p in remediate(incident, tmp_path / "out")}
    rows = [json.loads(x) for x in paths["unlearning_manifest.jsonl"].read_text().splitlines()]
    assert len(rows) == 16
    assert [r["special_category"] for r in rows] == sorted(
        (r["special_category"] for r in rows), reverse=True
    )
    assert rows[0]["sha256"] and rows[0]["copies"] >= 3
    people = [json.loads(x) for x in paths["people_manifest.jsonl"].read_text().splitlines()]
    assert [p["subject_key"] for p in people] == [f"s{i:03d}" for i in range(8)]
    plan = json.loads(paths["retest_plan.json"].read_text())
    assert plan["replay"]["spread"] == "structural"
    assert len(plan["exposed_records"]) == 16
    assert plan["acceptance"]["exposed"].endswith("18.75% (rule of three, n = 16)")
    everything = "".join(p.read_text() for p in paths.values())
    assert not any(name in everything or mail in everything for name, mail, _, _ in PEOPLE)
    assert "Not done here" in everything


# -- plain text ---------------------------------------------------------------------------------


def test_plain_text_helpers():
    assert plain("a\x1b[31mb\u202ec\x00\nd") == "abc d"
    assert one_line("a|b`c<d>\n" + "x" * 600).endswith("…")
    assert "|" not in one_line("a|b")
    for bad in ("=1+1", "+1", "-1", "@x", " =1", "\t=1"):
        assert csv_safe(bad).startswith("'")
    assert csv_safe("plain") == "plain"
