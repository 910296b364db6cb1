"""The form of a notification as the faces show it: every fact, whose it is, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irkit.case import Case
    from irkit.model import Phase
    from irkit.playbook.facts import Facts
    from irkit.playbook.fields import Field


@dataclass(frozen=True, slots=True)
class FactRow:
    """One field with where its value comes from: missing, proposed, promised, irkit, you."""

    field: Field
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class FormData:
    """The whole form for one phase."""

    facts: Facts
    rows: tuple[FactRow, ...]
    missing: int
    filled: int
    total: int


def read_form(case: Case, phase: Phase) -> FormData:
    """Read facts and completeness of a phase."""
    from irkit.playbook.facts import completeness, facts_from_case, filled
    from irkit.playbook.fields import FIELDS
    from irkit.playbook.typed import to_text

    facts = facts_from_case(case)
    gaps = {gap.field.key for gap in completeness(facts, phase)}
    promised = {point.key for point in facts.unknowns()}
    rows = []
    for item in FIELDS:
        text = to_text(facts.values.get(item.key))
        if facts.has(item.key):
            state = "you" if facts.sources.get(item.key) == "you" else "irkit"
        elif item.key in facts.proposals:
            state, text = "proposed", to_text(facts.proposals[item.key])
        elif item.key in gaps:
            state = "missing"
        else:
            state = "promised" if item.key in promised else "optional"
        rows.append(FactRow(item, state, text))
    return FormData(facts, tuple(rows), len(gaps), *filled(facts))
