"""Published cases that the incident resembles: EDPB Guidelines 01/2021, as dated data.

A resemblance is a help for the person who decides the risk, never a decision: the guidelines'
cases are invented, and none of them is about a model.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Analogue:
    """One case of the guidelines.

    Attributes:
        number: number of the case there.
        title: its title.
        authority: True where the authority had to be notified.
        people: True where the people had to be told.
        like: what an extraction has in common with it.
        certainty: how the outcome is known; ``secondary`` means not read in the guidelines.
    """

    number: int
    title: str
    authority: bool
    people: bool
    like: str
    source: str
    certainty: str

    @property
    def outcome(self) -> str:
        """What the guidelines held necessary."""
        if self.people:
            return "authority and people"
        return "authority" if self.authority else "internal documentation only"


@lru_cache(maxsize=1)
def analogues() -> tuple[Analogue, ...]:
    """Return the shipped cases by number."""
    path = resources.files("irkit.playbook") / "analogues.toml"
    table = tomllib.loads(path.read_text("utf-8"))
    return tuple(
        Analogue(
            row["number"], row["title"], row["authority"], row["people"], row["like"],
            table["source"], table["certainty"],
        )
        for row in sorted(table["case"], key=lambda row: row["number"])
    )  # fmt: skip


def resembling(
    *, attacked: bool, campaigns: bool, recipients_known: bool, bands: Sequence[str]
) -> tuple[Analogue, ...]:
    """Cases that the incident resembles, nearest first.

    Args:
        attacked: actors are flagged with confidence (tiers A and B).
        campaigns: one of them used several accounts.
        recipients_known: who received data is confirmed as known.
        bands: lower and upper ENISA band; empty where nothing was scored.
    """
    if not bands:
        return ()
    by_number = {case.number: case for case in analogues()}
    low = bands[-1] == "low"
    if not attacked:
        return (by_number[9],) if low and recipients_known else ()
    if low and recipients_known:
        return (by_number[8],)
    return (by_number[5], by_number[7]) if campaigns else (by_number[5],)
