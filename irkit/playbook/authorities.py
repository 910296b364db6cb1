"""Which supervisory authorities to address: the lead, or one per country without one-stop-shop."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources

from irkit.playbook.facts import Facts

#: Member States of the EU and the EEA, ISO 3166.
EEA = frozenset(
    {
        "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR",
        "DE", "GR", "HU", "IS", "IE", "IT", "LV", "LI", "LT", "LU",
        "MT", "NL", "NO", "PL", "PT", "RO", "SK", "SI", "ES", "SE",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Authority:
    """One supervisory authority; its page ages, so it is verified before use."""

    country: str
    name: str
    short: str
    page: str
    note: str
    certainty: str
    checked_on: date
    form: tuple[str, ...]
    zone: str


@dataclass(frozen=True, slots=True)
class Addressee:
    """An authority to notify and why."""

    authority: Authority
    role: str
    reason: str
    people: int | None


@lru_cache(maxsize=1)
def authorities() -> Mapping[str, Authority]:
    """Return the shipped table by country code."""
    path = resources.files("irkit.playbook") / "authorities.toml"
    table = tomllib.loads(path.read_text("utf-8"))
    checked = table["checked_on"]
    return {
        row["country"]: Authority(
            row["country"],
            row["name"],
            row["short"],
            row["page"],
            row.get("note", ""),
            row["certainty"],
            row.get("checked_on", checked),
            tuple(row.get("form", ())),
            row["zone"],
        )
        for row in table["authority"]
    }


def addressees(facts: Facts) -> list[Addressee]:
    """Authorities to notify, the lead first; empty where the establishment is not known.

    EDPB Guidelines 9/2022 para 73: a representative of a controller outside the EEA does not give
    a one-stop-shop, so every authority where affected people live is addressed.
    """
    table = authorities()
    country = facts.text("controller.country").upper().replace("EL", "GR")
    people = facts.countries("subjects.by_country")
    stated = facts.tri("controller.eea_establishment")
    found: list[Addressee] = []
    if country in EEA and stated != "no":
        found.append(
            Addressee(
                table[country], "lead authority", f"main establishment in {country} (Art. 56)",
                people.get(country),
            )
        )  # fmt: skip
    elif country or stated == "no":
        found += [
            Addressee(
                table[code], "authority of residence",
                "no main establishment in the EEA: no one-stop-shop", people[code],
            )
            for code in sorted(people)
            if code in EEA and people[code] > 0
        ]  # fmt: skip
    for code, key in (("GB", "regimes.uk_gdpr"), ("CH", "regimes.swiss")):
        if country == code or facts.tri(key) == "yes":
            found.append(
                Addressee(table[code], "authority", "its own law applies", people.get(code))
            )
    return found


def concerned(facts: Facts) -> list[tuple[Authority, int]]:
    """Authorities concerned (Art. 4(22)) besides the addressees, with people per country."""
    addressed = {entry.authority.country for entry in addressees(facts)}
    return [
        (authorities()[code], number)
        for code, number in facts.countries("subjects.by_country").items()
        if code in EEA and code not in addressed and number > 0
    ]
