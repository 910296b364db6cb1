"""Published cases that an incident resembles: dated, sourced, never claimed as certain."""

from __future__ import annotations

import pytest

from irkit.playbook.analogues import analogues, resembling


def test_every_case_says_how_its_outcome_is_known():
    assert [a.number for a in analogues()] == [5, 7, 8, 9]
    for case in analogues():
        assert case.source.startswith("EDPB Guidelines 01/2021")
        assert case.certainty == "secondary"
        assert case.title
        assert case.like
        assert not (case.people and not case.authority)


@pytest.mark.parametrize(
    ("attacked", "campaigns", "known", "bands", "numbers"),
    [
        (True, False, False, ["high", "very high"], [5]),
        (True, True, False, ["low", "very high"], [5, 7]),
        (True, False, True, ["low", "low"], [8]),
        (True, False, False, ["low", "low"], [5]),
        (False, False, True, ["low", "low"], [9]),
        (False, False, False, ["low", "low"], []),
        (False, False, True, ["low", "high"], []),
        (True, True, True, [], []),
    ],
)
def test_resemblance_follows_attack_recipients_and_severity(
    attacked, campaigns, known, bands, numbers
):
    found = resembling(attacked=attacked, campaigns=campaigns, recipients_known=known, bands=bands)
    assert [case.number for case in found] == numbers


def test_outcomes_in_words():
    words = {case.number: case.outcome for case in analogues()}
    assert words[5] == words[7] == "authority and people"
    assert words[8] == "authority"
    assert words[9] == "internal documentation only"
