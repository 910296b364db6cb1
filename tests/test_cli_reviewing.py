"""Judging many exposures at once without screens: shown first, done on a yes, and taken back."""

from __future__ import annotations

import json
import re
import shlex

import fictional_case as fiction
import pytest
from click.testing import CliRunner

from irkit.case import Case
from irkit.case.review import NAMED
from irkit.cli import cli
from irkit.errors import ExitCode, UsageError

NOW = "2026-10-16T09:00:00+02:00"
WHERE = "provenance=memorised"


@pytest.fixture
def path(tmp_path, clock):
    where = tmp_path / "c.irkit"
    with Case.create(where, title="Clinic", clock=clock) as case:
        fiction.fill(case)
    return where


def run(*args, now=NOW, **more):
    done = CliRunner().invoke(cli, [*map(str, args), "--now", now], **more)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def data(*args, **more):
    return json.loads(run(*args, "--json", **more).stdout)


def verdicts(path):
    return {row["exposure_id"]: row["verdict"] for row in data("exposures", path)}


def log(path, clock):
    with Case.open(path, clock=clock) as case:
        return [entry for entry in case.custody.entries() if entry.action == "review"]


def test_without_a_yes_nothing_changes(path, clock):
    before = verdicts(path)
    done = run("review", path, "--where", WHERE, "--decide", "reject")
    matched = data("exposures", path, "--where", WHERE)
    assert f"{len(matched)} exposures match." in done.stdout
    assert f"{len(matched)} would change to 'reject' (now: {len(matched)} open)." in done.stdout
    assert "Nothing was changed" in done.stderr and "--yes" in done.stderr
    plan = data("review", path, "--where", WHERE, "--decide", "reject")
    assert (plan["matched"], plan["would_change"], plan["changed"]) == (len(matched),) * 2 + (0,)
    assert plan["before"] == {"open": len(matched)}
    assert verdicts(path) == before and not log(path, clock)


def test_a_yes_judges_all_that_the_filter_chooses_and_no_other(path, clock):
    wanted = {row["exposure_id"] for row in data("exposures", path, "--where", WHERE)}
    every = verdicts(path)
    assert 1 < len(wanted) < len(every)
    done = data("review", path, "--where", WHERE, "--decide", "reject", "--yes", "--note", "tests")
    assert done["changed"] == len(wanted) and done["counts"]["records"]["min"] == 0
    now = verdicts(path)
    assert {one for one, verdict in now.items() if verdict == "reject"} == wanted
    assert all(now[one] is None for one in every if one not in wanted)
    (entry,) = log(path, clock)
    assert entry.detail["where"] == WHERE and entry.detail["verdict"] == "reject"
    assert set(entry.detail["exposures"]) == wanted and entry.detail["note"] is True
    assert "tests" not in json.dumps(entry.detail)


def test_what_has_the_word_already_is_left_alone(path, clock):
    first = data("exposures", path, "--where", WHERE)[0]["exposure_id"]
    run("review", path, first, "confirm", "--note", "seen by two people")
    done = run("review", path, "--where", WHERE, "--decide", "confirm", "--yes")
    assert "1 of them is already 'confirm': left alone." in done.stdout
    (row,) = [r for r in data("exposures", path) if r["exposure_id"] == first]
    assert row["note"] == "seen by two people"
    again = run("review", path, "--where", WHERE, "--decide", "confirm", "--yes")
    assert "Nothing was changed." in again.stderr
    assert len(log(path, clock)) == 2


def test_the_command_it_names_takes_exactly_that_back(path, clock):
    ids = list(verdicts(path))
    run("review", path, ids[0], "unsure", now="2026-10-16T08:00:00+02:00")
    run("review", path, ids[1], "confirm", now="2026-10-16T08:00:00+02:00")
    before = verdicts(path)
    done = run("review", path, "--where", "chars>=0", "--decide", "reject", "--yes")
    assert set(verdicts(path).values()) == {"reject"}
    back = re.search(r"To take all of it back: irkit (.*)", done.stderr)
    assert back is not None
    words = shlex.split(back[1])
    shown = run(*words)
    assert f"{len(ids)} would change to the word before (now: {len(ids)} reject)." in shown.stdout
    assert set(verdicts(path).values()) == {"reject"}
    run(*words, "--yes")
    assert verdicts(path) == before
    assert log(path, clock)[-1].detail["verdict"] == "undo"


def test_somebody_at_a_terminal_is_asked(path, monkeypatch):
    monkeypatch.setattr("irkit.cli.reviewing.at_terminal", lambda: True)
    before = verdicts(path)
    done = run("review", path, "--where", WHERE, "--decide", "reject", input="n\n")
    assert "would change to 'reject'" in done.stderr and "Do it? [y/N]" in done.stderr
    assert verdicts(path) == before
    done = run("review", path, "--where", WHERE, "--decide", "reject", input="y\n")
    assert "reject" in verdicts(path).values() and "records:" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--where", WHERE), "takes --where FILTER and --decide VERDICT"),
        (("--decide", "reject"), "takes --where FILTER and --decide VERDICT"),
        (("--yes",), "takes --where FILTER and --decide VERDICT"),
        (("--where", "", "--decide", "reject", "--yes"), "an empty filter would judge every"),
        (("--where", "colour=red", "--decide", "reject", "--yes"), "there is no field 'colour'"),
        (("--where", "chars>x", "--decide", "reject", "--yes"), "chars is a number"),
        (("x0010", "confirm", "--where", WHERE), "one thing at a time"),
        (("--sample", "5", "--where", WHERE, "--decide", "reject"), "one thing at a time"),
        (("x0010",), "needs a verdict"),
    ],
)
def test_half_an_order_is_refused_and_changes_nothing(path, clock, words, says):
    with pytest.raises(UsageError, match=re.escape(says)) as refused:
        run("review", path, *words)
    assert refused.value.hint and refused.value.code == ExitCode.USAGE
    assert not log(path, clock)


def test_no_match_says_where_to_look(path):
    done = run("review", path, "--where", "actor=nobody", "--decide", "reject", "--yes")
    assert "No exposure matches." in done.stdout and "irkit exposures" in done.stdout
    assert "Nothing was changed." in done.stderr


def test_a_word_alone_searches_the_name(path):
    assert [row["actor"] for row in data("actors", path, "--where", fiction.EXTRACTOR)]
    assert data("exposures", path, "--where", "r000")
    assert data("people", path, "--where", "nobody") == []


def test_of_very_many_custody_holds_the_number_and_a_digest(path, clock):
    with Case.open(path, write=True, clock=clock) as case:
        case.con.execute(
            "INSERT INTO exposure BY NAME SELECT e.* REPLACE ('y' || i AS exposure_id) FROM"
            f" (SELECT * FROM exposure LIMIT 1) e, range({NAMED}) t(i)"
        )
    done = data("review", path, "--where", "chars>=0", "--decide", "unsure", "--yes")
    assert done["changed"] > NAMED
    (entry,) = log(path, clock)
    assert entry.detail["count"] == done["changed"] and len(entry.detail["exposures_sha256"]) == 64
    assert "exposures" not in entry.detail
