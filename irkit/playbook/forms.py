"""Layouts of authorities' own forms, as data: their parts in their order, with keys of facts."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Form:
    """One authority's form.

    Attributes:
        country: ISO 3166 code of the authority.
        parts: title of a part and the keys of the facts that answer it.
        certainty: ``verified``, ``secondary`` or ``memory``.
        checked_on: forms change; after this day nobody looked.
    """

    country: str
    name: str
    certainty: str
    checked_on: date
    hints: tuple[str, ...]
    parts: tuple[tuple[str, tuple[str, ...]], ...]


@lru_cache(maxsize=1)
def forms() -> Mapping[str, Form]:
    """Return the shipped layouts by country code."""
    table = tomllib.loads((resources.files("irkit.playbook") / "forms.toml").read_text("utf-8"))
    return {
        row["country"]: Form(
            row["country"],
            row["name"],
            row["certainty"],
            table["checked_on"],
            tuple(row["hints"]),
            tuple((title, tuple(keys)) for title, keys in row["parts"]),
        )
        for row in table["form"]
    }
