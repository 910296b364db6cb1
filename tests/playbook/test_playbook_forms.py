"""Layouts of authorities' forms: known keys, known authorities, and what every form must ask."""

from __future__ import annotations

import pytest

from irkit.playbook.authorities import authorities
from irkit.playbook.fields import FIELD
from irkit.playbook.forms import forms


def test_the_nine_layouts_are_dated_and_say_how_they_are_known():
    assert set(forms()) == {"GB", "NL", "FR", "IE", "DE", "ES", "IT", "MT", "NO"}
    for form in forms().values():
        assert form.country in authorities()
        assert form.certainty in ("verified", "secondary", "memory")
        assert form.hints
        assert form.checked_on.year >= 2026


@pytest.mark.parametrize("country", sorted(forms()))
def test_every_key_is_a_fact_and_article_33_is_covered(country):
    keys = [key for _, part in forms()[country].parts for key in part]
    assert set(keys) <= set(FIELD)
    assert len(keys) == len(set(keys))
    assert {"breach.narrative", "data.categories", "subjects.count", "consequences.harms",
            "measures.containment"} - set(keys) <= {"breach.narrative"}  # fmt: skip
