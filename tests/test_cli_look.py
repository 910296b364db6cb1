"""The plain twins of the screens, on a small case with hostile texts."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tiny_case import fill

from irkit.case import Case
from irkit.cli import cli
from irkit.errors import UsageError
from irkit.model import Stage


@pytest.fixture
def path(tmp_path, clock):
    with Case.create(tmp_path / "c.irkit", clock=clock) as case:
        fill(case)
    return tmp_path / "c.irkit"


def run(*args):
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_actors_are_listed_filtered_and_counted(path):
    rows = json.loads(run("actors", path, "--json").stdout)
    assert [row["actor"] for row in rows] == ["key-\u202egnp", "key-quiet"]
    rows = json.loads(run("actors", path, "--where", "tier=A", "--json").stdout)
    assert [row["tier"] for row in rows] == ["A"]
    text = run("actors", path).stdout
    assert "training_data_extraction" in text
    assert "2 of 2" in text
    assert "\u202e" not in text


def test_exposures_show_masks_only(path):
    text = run("exposures", path).stdout
    assert "a•••@e•••.org" in text
    assert "ann@example.org" not in text


def test_people_and_quarantine(path):
    assert "confirmed" in run("people", path).stdout
    text = run("quarantine", path).stdout
    assert "bad_json" in text
    assert "\x1b" not in text


def test_review_changes_the_counts_and_is_recorded(path, clock):
    before = json.loads(run("review", path, "E1", "unsure", "--json").stdout)
    after = json.loads(run("review", path, "E1", "reject", "--note", "n", "--json").stdout)
    assert before["records"]["max"] == 1
    assert after["records"]["max"] == 0
    with Case.open(path, clock=clock) as case:
        last = list(case.custody.entries())[-1]
        assert (last.action, last.detail["verdict"], last.detail["note"]) == (
            "review",
            "reject",
            True,
        )


def test_a_sampled_review_is_drawn_and_followed(path, clock):
    with Case.open(path, write=True, clock=clock) as case:
        case.mark_stage(Stage.SCOPE, "scope", "x", {"notes": []})
    assert "No sample was drawn" in run("review", path).stdout
    drawn = json.loads(run("review", path, "--sample", "5", "--json").stdout)
    assert {row["frame"] for row in drawn["strata"]} == {"person", "record"}
    first = drawn["next"][0]["exposure_id"]
    run("review", path, first, "confirm")
    left = json.loads(run("review", path, "--json").stdout)
    assert first not in [row["exposure_id"] for row in left["next"]]
    assert sum(row["judged"] for row in left["strata"]) > 0
    text = run("review", path).stdout
    assert "ann@example.org" not in text


def test_a_verdict_is_needed(path):
    with pytest.raises(UsageError, match="verdict"):
        run("review", path, "E1")


def test_review_of_nothing_is_refused(path):
    with pytest.raises(UsageError, match="no exposure"):
        run("review", path, "nope", "confirm")


def test_steps_and_decide(path):
    steps = json.loads(run("steps", path, "--json").stdout)
    assert {step["state"] for step in steps} & {"open", "done", "blocked"}
    with pytest.raises(UsageError, match="no step"):
        run("decide", path, "nope", "done")
    done = run("decide", path, "preserve.freeze", "not_applicable", "--reason", "no retention job")
    assert "preserve.freeze: not_applicable" in done.stdout


def test_status_names_the_next_step(path):
    facts = json.loads(run("status", path, "--json").stdout)
    assert facts["next_step"]["id"]
    assert facts["next_deadline"] is None


@pytest.mark.parametrize("what", ["formats", "detectors", "regimes", "steps"])
def test_list_describes_each_entry(what):
    rows = json.loads(run("list", what, "--json").stdout)
    assert len(rows) >= 4
    for row in rows:
        assert row["id"]
        assert row["title"]
    assert rows[0]["id"] in run("list", what).stdout
