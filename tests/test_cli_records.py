"""Replay, evidence, custody, deadlines and the form without screens: the same facts, masked."""

from __future__ import annotations

import json
import unicodedata

import fictional_case as fiction
import pytest
from click.testing import CliRunner

from irkit.case import Case
from irkit.cli import cli
from irkit.errors import UsageError

VALUES = [
    value
    for _, name, mail, phone, born, _ in fiction.PEOPLE
    for value in (name.split()[1], mail, phone, born)
]


@pytest.fixture(scope="module")
def path(tmp_path_factory, clock_module):
    where = tmp_path_factory.mktemp("records") / "c.irkit"
    with Case.create(where, title="Clinic", clock=clock_module) as case:
        fiction.fill(case)
        case.con.execute(
            "INSERT INTO input_aside VALUES ('register.csv', 7, 'no identifier in this row'),"
            " ('register.csv', 3, 'more cells than columns')"
        )
    return where


@pytest.fixture(scope="module")
def clock_module():
    from irkit.case import fixed_clock

    return fixed_clock("2026-10-16T09:00:00+02:00")


def run(*args):
    words = [str(a) for a in args]
    done = CliRunner().invoke(cli, [*words, "--now", "2026-10-16T09:00:00+02:00"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_replay_starts_at_the_onset_with_leaks_marked_and_masked(path):
    text = run("replay", path, fiction.EXTRACTOR, "--limit", "3")
    assert "onset: query 10," in text
    assert "end of activity: query 48," in text
    assert "at queries: 11, 16," in text
    assert "leaks: " in text and " passages, at queries" in text
    assert "query 11 of 48" in text and "1 leak" in text
    assert "⟦■" in text and "»" in text
    assert "prefix continuation probe (p 0.0004)" in text
    assert not [value for value in VALUES if value in text]


def test_replay_as_data_holds_no_value_either(path):
    text = run("replay", path, fiction.EXTRACTOR, "--at", "11", "--limit", "40", "--json")
    found = json.loads(text)
    assert [call["position"] for call in found["calls"]] == list(range(10, 48))
    assert found["calls"][0]["leaks"] == 1
    marks = found["calls"][0]["texts"][-1]["marks"]
    assert {mark["provenance"] for mark in marks} == {"memorised"}
    assert not [value for value in VALUES if value in text]


def test_replay_takes_a_finding_and_refuses_a_stranger(path):
    assert "credential key-22c1d0b4: 60 queries" in run("replay", path, "F002", "--limit", "1")
    with pytest.raises(UsageError, match="no actor 'nobody'"):
        run("replay", path, "nobody")


def test_hostile_texts_cannot_steer_the_terminal(path):
    text = run("replay", path, fiction.HOSTILE)
    for char in text:
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp", "Cs")
    assert "[bold red]markup[/bold red]" in text


def test_evidence_and_custody(path):
    rows = json.loads(run("evidence", path, "--json"))
    assert [row["sha256"] for row in rows] == ["ab" * 32, "cd" * 32]
    assert "206 entries = 202 read" not in run("custody", path)
    text = run("evidence", path)
    assert "verified" in text and "617 entries" in text
    entries = json.loads(run("custody", path, "--json", "--limit", "2"))
    assert [entry["action"] for entry in entries] == ["scope", "preserve"]
    assert "the chain is intact" in run("custody", path)


def test_deadlines_say_what_they_count_from(path):
    text = run("deadlines", path)
    assert "2026-10-18 07:12Z  48 h left" in text
    assert "72 hours from awareness" in text
    assert "does not apply" in text and "unknown" in text
    assert len(json.loads(run("deadlines", path, "--json"))) == 4


def test_the_form_lists_what_is_missing(path):
    rows = json.loads(run("form", path, "--missing", "--json"))
    assert "controller.name" in [row["fact"] for row in rows]
    assert {row["state"] for row in rows} <= {"missing", "proposed"}
    assert "missing for this phase" in run("form", path)


def test_rows_of_tables_that_were_set_aside(path):
    found = json.loads(run("quarantine", path, "--json"))
    assert [row["row"] for row in found["tables"]] == [3, 7]
    assert len(found["entries"]) == 3
    text = run("quarantine", path)
    assert "register.csv" in text and "more cells than columns" in text


def test_two_actors_side_by_side_share_records_not_values(path):
    text = run("compare", path, fiction.EXTRACTOR, fiction.MEMBERSHIP)
    assert "A training data extraction" in text and "B membership inference" in text
    assert "◆ 0.81, p 0.0004" in text
    assert "5 records asked for: 39 and 60 queries" in text
    assert "1 addresses: 48 and 60 queries" in text
    assert not [value for value in VALUES if value in text]
    found = json.loads(run("compare", path, fiction.EXTRACTOR, fiction.MEMBERSHIP, "--json"))
    assert [side["queries"] for side in found["sides"]] == [48, 60]


def test_a_campaign_names_members_ties_and_the_test_of_the_union(path):
    text = run("campaign", path, "campaign-01")
    assert f"{fiction.EXTRACTOR}: 48 queries" in text and "2 members, 108 queries" in text
    assert "tier A, p 0.0001" in text
    with pytest.raises(UsageError, match="no campaign"):
        run("campaign", path, "campaign-99")
