"""Every screen names the plain commands that tell the same, and each gives valid JSON."""

from __future__ import annotations

import json

import fictional_case as fiction
import pytest
from click.testing import CliRunner

from irkit.cli import cli
from irkit.tui.actions import SCREENS, TWINS
from irkit.tui.screens.help import help_content

#: What stands for the words in capitals.
FILLED = {
    "ACTOR": fiction.EXTRACTOR,
    "OTHER": fiction.MEMBERSHIP,
    "CAMPAIGN": "campaign-01",
    "FINDING": "F001",
}

LINES = [line for lines in TWINS.values() for line in lines]


def test_every_screen_has_a_twin_and_its_help_names_it() -> None:
    assert list(TWINS) == [name for name, _, _ in SCREENS]
    for place, lines in TWINS.items():
        assert lines
        told = help_content(place).plain
        for line in lines:
            assert f"irkit {line}" in told


@pytest.mark.parametrize("line", LINES)
def test_a_twin_exists_and_gives_json(line: str, filled, case_path) -> None:
    verb, *words = line.split()
    assert verb in cli.commands
    filled.close()
    arguments = [str(case_path) if word == "CASE" else FILLED[word] for word in words]
    done = CliRunner().invoke(
        cli, [verb, *arguments, "--json", "--now", "2026-10-16T09:00:00+02:00"]
    )
    # The fictional evidence has no files, which verify says by its exit code.
    allowed = {0, 3} if verb == "verify" else {0}
    assert done.exit_code in allowed, done.exception
    told = json.loads(done.stdout)
    assert told or told == []
    for _, name, mail, phone, _, _ in fiction.PEOPLE:
        assert name not in done.stdout and mail not in done.stdout and phone not in done.stdout
