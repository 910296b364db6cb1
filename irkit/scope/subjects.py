"""From exposures to people: link identifiers, tell confirmed from possible, estimate residence.

Two records are one person where they carry the same e-mail address, telephone number, IBAN or
national number, and their names (where both have one) are spellings of each other.  A name alone
never joins two records.  Passages of documents without a subject id are tied to the identifiers
that stand inside them.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

import phonenumbers
import polars as pl

from irkit.analyzers.pii_numbers import COUNTRY_OF
from irkit.case.mask import mask
from irkit.model import LeakLevel, Provenance, SubjectStatus
from irkit.scope.categories import is_special
from irkit.scope.names import same_name
from irkit.scope.register import Register

#: Levels at which a memorised passage confirms that a person's data came out; weaker ones make it
#: probable.  ``V50`` is the field's convention for extraction, the others are as telling.
CONFIRMING = frozenset({LeakLevel.V50.value, LeakLevel.NEAR.value, LeakLevel.RECORD.value})
#: National numbers name one person; other identifiers can be shared in a household.
_PERSONAL = frozenset(COUNTRY_OF) | {"UK_NINO"}
_ROLE = re.compile(
    r"^(?:info|support|help(?:desk)?|service|contact|kontakt|office|admin|sales|no-?reply|billing|"
    r"webmaster|postmaster|hello|team|jobs|press|privacy|datenschutz|dpo|security|abuse|mail)"
    r"(?:[.+_-].*)?@"
)


@dataclass(slots=True)
class Person:
    """A cluster of identifiers taken for one person."""

    key: str
    ids: set[str] = field(default_factory=set)
    values: set[tuple[str, str]] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)


class Linker:
    """Union of subject ids and identifier values into people."""

    def __init__(self, register: Register) -> None:
        self._parent: dict[str, str] = {}
        people = register.people
        self._names = {
            sid: name for sid, name in people.select("subject_id", "name").iter_rows() if name
        }
        self._of_value: dict[tuple[str, str], list[str]] = {}
        owners: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        columns = register.identifiers.select("form", "key", "subject_id", "entity_type")
        for form, key, sid, kind in columns.iter_rows():
            owners[form, key].append((sid, kind))
        for value, some in owners.items():
            first, kind = some[0]
            for sid, _ in some[1:]:
                if kind in _PERSONAL or self._compatible(first, sid):
                    self._join(f"id:{first}", f"id:{sid}")
            self._of_value[value] = [f"id:{sid}" for sid, _ in some]

    def _compatible(self, one: str, other: str) -> bool:
        a, b = self._names.get(one), self._names.get(other)
        return a is None or b is None or same_name(a, b)

    def _root(self, node: str) -> str:
        self._parent.setdefault(node, node)
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def _join(self, one: str, other: str) -> None:
        a, b = self._root(one), self._root(other)
        # Subject ids stand for their cluster, and of two the smaller: the result must not depend
        # on the order in which pairs are met.
        low, high = sorted((a, b), key=lambda n: (not n.startswith("id:"), n))
        self._parent[high] = low

    def node(self, subject_id: str) -> str:
        """Node of a subject id."""
        return f"id:{subject_id}"

    def nodes_of(self, form: str, key: str) -> list[str]:
        """Nodes that a value may stand for: one, or all people who share it by the register."""
        known = self._of_value.get((form, key))
        if known is None:
            return [f"v:{form}:{key}"]
        return sorted({self._root(node) for node in known})

    def knows(self, form: str, key: str) -> bool:
        """True where the register holds the value."""
        return (form, key) in self._of_value

    def together(self, nodes: Iterable[str]) -> None:
        """Take nodes for one person, unless they hold two different subject ids."""
        every = sorted(set(nodes))
        ids = {self._root(n) for n in every if self._root(n).startswith("id:")}
        if len(ids) > 1:
            return
        for other in every[1:]:
            self._join(every[0], other)

    def key(self, node: str) -> str:
        """Stable key of the person that a node belongs to."""
        root = self._root(node)
        return "P" + hashlib.sha256(root.encode()).hexdigest()[:12]

    def subject_id(self, node: str) -> str | None:
        """Subject id of the person, where one is known."""
        root = self._root(node)
        return root[3:] if root.startswith("id:") else None


def is_role_address(key: str) -> bool:
    """True for an address that stands for a function, not a person."""
    return _ROLE.match(key) is not None


def inside_document(linker: Linker, values: list[tuple[int, str, str, str]]) -> dict[int, str]:
    """Group the identifiers of one document without a subject id by person.

    With at most one value of each type the document is about one person.  With more, addresses
    tell people apart and other values go to the nearest address before them.

    Args:
        linker: joins what belongs together.
        values: place, entity type, form and key of each identifier.

    Returns:
        Place to node, for each identifier that names a person.
    """
    nodes: dict[int, str] = {}
    people: list[tuple[int, str]] = []
    per_type: dict[str, set[str]] = defaultdict(set)
    for _, kind, _, key in values:
        per_type[kind].add(key)
    one = all(len(keys) == 1 for keys in per_type.values())
    lead = (
        "EMAIL_ADDRESS"
        if "EMAIL_ADDRESS" in per_type
        else max(sorted(per_type), key=lambda k: len(per_type[k]))
    )
    for place, kind, form, key in sorted(values):
        node = linker.nodes_of(form, key)[0]
        nodes[place] = node
        if kind == lead:
            people.append((place, node))
    if one:
        linker.together(nodes.values())
    else:
        for place, kind, _, _ in values:
            if kind != lead and people:
                before = [node for at, node in people if at <= place] or [people[0][1]]
                linker.together((nodes[place], before[-1]))
    return nodes


def country_of(kind: str, canonical: str) -> str | None:
    """Estimate a country of residence from an identifier; None where it tells none."""
    if kind == "PHONE_NUMBER" and canonical.startswith("+"):
        try:
            number = phonenumbers.parse(canonical, None)
        except phonenumbers.NumberParseException:
            return None
        found = phonenumbers.region_code_for_number(number)
        if not found:
            # Ranges set aside or not yet given out have no region of their own.
            regions = phonenumbers.region_codes_for_country_code(number.country_code or 0)
            found = regions[0] if regions else None
        return str(found) if found and found != "001" else None
    if kind == "IBAN_CODE":
        return canonical[:2].upper()
    return COUNTRY_OF.get(kind)


def people(
    exposures: pl.DataFrame,
    links: pl.DataFrame,
    linker: Linker,
    register: Register,
    countries: dict[str, set[str]],
    labels: dict[str, str],
) -> pl.DataFrame:
    """Build the subject rows.

    Args:
        exposures: exposure_id, provenance, level, categories, event_time.
        links: exposure_id, node, sure (the exposure can be of nobody else), method.
        linker: the finished linker.
        register: the register.
        countries: node to countries told by identifiers beside it.
        labels: node to a masked label, for people without a register name.

    Returns:
        Rows of ``subject`` without review, ordered by key, and the links under final keys are to
        be made with :meth:`Linker.key`.
    """
    known = {row["subject_id"]: row for row in register.people.iter_rows(named=True)}
    per: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in links.join(exposures, on="exposure_id", maintain_order="left").iter_rows(named=True):
        # What the prompt itself spells exposes nobody.
        if row["provenance"] != Provenance.CUE_DERIVABLE.value:
            per[linker.key(row["node"])].append(row)
    rows: list[dict[str, object]] = []
    for key in sorted(per):
        mine = per[key]
        nodes = sorted({str(row["node"]) for row in mine})
        ids = sorted({sid for n in nodes if (sid := linker.subject_id(n)) is not None})
        entries = [known[sid] for sid in _all_ids(nodes, ids) if sid in known]
        status, counted = _status(mine)
        times = sorted(t for row in counted if isinstance(t := row["event_time"], datetime))
        kinds = sorted({str(c) for row in counted for c in row["categories"] or []})  # type: ignore[attr-defined]
        places = {e["country"] for e in entries if e["country"]}
        if not places:
            places = set().union(*(countries.get(n, set()) for n in nodes))
        names = [e["name"] for e in entries if e["name"]]
        born = [e["birth"] for e in entries if e["birth"]]
        rows.append(
            {
                "subject_key": key,
                "subject_id": ids[0] if ids else None,
                "label_masked": mask(names[0], "person")
                if names
                else next((labels[n] for n in nodes if n in labels), None),
                "status": status,
                "categories": kinds,
                "special_category": is_special(kinds),
                "child": "child" in kinds or any(_minor(b, times[-1:]) for b in born),
                "countries": sorted(places),
                "exposures": len({row["exposure_id"] for row in counted}),
                "first_exposed": times[0] if times else None,
                "last_exposed": times[-1] if times else None,
                "link_method": "; ".join(sorted({str(row["method"]) for row in mine})),
            }
        )
    return pl.DataFrame(rows, SUBJECT_SCHEMA)


SUBJECT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "subject_key": pl.String, "subject_id": pl.String, "label_masked": pl.String,
    "status": pl.String, "categories": pl.List(pl.String), "special_category": pl.Boolean,
    "child": pl.Boolean, "countries": pl.List(pl.String), "exposures": pl.Int32,
    "first_exposed": pl.Datetime("us"), "last_exposed": pl.Datetime("us"),
    "link_method": pl.String,
}  # fmt: skip


def _all_ids(nodes: list[str], ids: list[str]) -> list[str]:
    own = {n[3:] for n in nodes if n.startswith("id:")}
    return sorted(own | set(ids))


def _status(rows: list[dict[str, object]]) -> tuple[str, list[dict[str, object]]]:
    """Status of a person, and the exposures that count for it."""
    memorised = [r for r in rows if r["provenance"] == Provenance.MEMORISED.value]
    if any(r["sure"] and r["level"] in CONFIRMING for r in memorised):
        return SubjectStatus.CONFIRMED.value, memorised
    if memorised:
        return SubjectStatus.PROBABLE.value, memorised
    return SubjectStatus.UNVERIFIED.value, rows


def _minor(birth: str, last: list[datetime]) -> bool:
    try:
        born = date.fromisoformat(birth[:10])
    except ValueError:
        return False
    if not last:
        return False
    seen = last[0].date()
    return seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day)) < 18
