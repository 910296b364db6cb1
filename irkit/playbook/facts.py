"""The facts of a notification: one immutable mapping from stable key to typed value.

A missing key is "not yet known", never blank.  ``sources`` remembers whether a value was filled
from the case (``irkit``) or written by a person (``you``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from irkit.errors import UsageError
from irkit.model import Count, Phase
from irkit.playbook.fields import FIELD, FIELDS, Field, Kind

if TYPE_CHECKING:
    from irkit.case import Case

#: States of a measure; "proposed" is irkit's suggestion that nobody has taken up yet.
STATES = ("done", "in progress", "planned", "proposed")


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure taken or proposed (Art. 33(3)(d)); ``state`` is done, in progress or planned."""

    text: str
    state: str = "planned"
    at: datetime | None = None
    owner: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An open point: the field (or free words) and when it is expected to be known."""

    key: str
    expected: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice already given to someone else."""

    to: str
    at: datetime | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed off on what; the role ``decision`` is the controller's."""

    name: str
    role: str
    at: datetime | None = None
    decision: str = ""


Value: TypeAlias = (
    str
    | bool
    | datetime
    | Count
    | tuple[str, ...]
    | Mapping[str, int]
    | tuple[Measure, ...]
    | tuple[Unknown, ...]
    | tuple[Notice, ...]
    | tuple[Signature, ...]
)

IRKIT, YOU = "irkit", "you"


@dataclass(frozen=True)
class Facts:
    """Typed values under stable keys; build with :meth:`of`, change with :meth:`with_value`.

    Attributes:
        values: key to value, only known keys.
        sources: key to ``irkit`` or ``you``.
        proposals: values that irkit proposes and a person must confirm (awareness, risk).
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    proposals: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every value against its field.

        Raises:
            UsageError: a key is unknown or a value has the wrong type.
        """
        for key, value in {**self.values, **self.proposals}.items():
            check(key, value)
        for name in ("values", "sources", "proposals"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @classmethod
    def of(
        cls,
        values: Mapping[str, Value],
        source: str = YOU,
        proposals: Mapping[str, Value] | None = None,
    ) -> Facts:
        """Build facts that all come from one source."""
        return cls(values, dict.fromkeys(values, source), proposals or {})

    def with_value(self, key: str, value: Value, source: str = YOU) -> Facts:
        """Return a copy with one value set."""
        return Facts({**self.values, key: value}, {**self.sources, key: source}, self.proposals)

    def without(self, key: str) -> Facts:
        """Return a copy in which a key is not known."""
        return Facts(
            {k: v for k, v in self.values.items() if k != key},
            {k: v for k, v in self.sources.items() if k != key},
            self.proposals,
        )

    def over(self, base: Facts) -> Facts:
        """Lay these facts over prefilled ones; a value equal to the prefilled keeps its source."""
        sources = dict(base.sources)
        for key, value in self.values.items():
            if key not in base.values or base.values[key] != value:
                sources[key] = self.sources.get(key, YOU)
        return Facts({**base.values, **self.values}, sources, {**base.proposals, **self.proposals})

    # -- typed reading ------------------------------------------------------------------------

    def has(self, key: str) -> bool:
        """True where the field is known and not empty."""
        value = self.values.get(key)
        return value is not None and value != "" and value != () and value != {}

    def text(self, key: str, default: str = "") -> str:
        """Text or choice of a field."""
        value = self.values.get(key, default)
        return value if isinstance(value, str) else default

    def tri(self, key: str) -> str:
        """``yes``, ``no`` or ``unknown`` (also where nothing was written)."""
        return self.text(key, "unknown")

    def instant(self, key: str) -> datetime | None:
        """Timezone-aware time of a field."""
        value = self.values.get(key)
        return value if isinstance(value, datetime) else None

    def texts(self, key: str) -> tuple[str, ...]:
        """List of texts of a field."""
        value = self.values.get(key, ())
        return tuple(str(v) for v in value) if isinstance(value, tuple) else ()

    def count(self, key: str) -> Count | None:
        """Count of a field."""
        value = self.values.get(key)
        return value if isinstance(value, Count) else None

    def countries(self, key: str) -> dict[str, int]:
        """People per country or State."""
        value = self.values.get(key)
        return dict(sorted(value.items())) if isinstance(value, Mapping) else {}

    def measures(self, key: str) -> tuple[Measure, ...]:
        """Measures of a field."""
        return tuple(v for v in self._items(key) if isinstance(v, Measure))

    def unknowns(self) -> tuple[Unknown, ...]:
        """Open points."""
        return tuple(v for v in self._items("unknown") if isinstance(v, Unknown))

    def notices(self) -> tuple[Notice, ...]:
        """Notices already given."""
        return tuple(v for v in self._items("notices") if isinstance(v, Notice))

    def signatures(self) -> tuple[Signature, ...]:
        """Sign-offs."""
        return tuple(v for v in self._items("sign_off") if isinstance(v, Signature))

    def _items(self, key: str) -> Iterable[Any]:
        value = self.values.get(key, ())
        return value if isinstance(value, tuple) else ()

    @property
    def signed_off(self) -> bool:
        """True where someone has signed off the decision, with name and time."""
        return any(s.name and s.at and s.role == "decision" for s in self.signatures())


@dataclass(frozen=True, slots=True)
class Gap:
    """A field that a phase needs and that is not answered."""

    field: Field
    promised: Unknown | None = None


def completeness(facts: Facts, phase: Phase) -> list[Gap]:
    """Fields that the phase needs and that are still unanswered, in the form's order.

    A point listed under ``unknown`` with an expected date answers the preliminary and
    supplementary phases (Art. 33(4)), except for who notifies and when it became aware; the
    complete phase accepts no promise.
    """
    promised = {point.key: point for point in facts.unknowns()}
    gaps = []
    for item in FIELDS:
        # What a complete packet or a withdrawal asks for, no other phase does.
        own = item.needed in (Phase.COMPLETE, Phase.WITHDRAWN)
        if item.needed is None or (own and phase is not item.needed):
            continue
        open_answer = item.kind is Kind.TRI and facts.tri(item.key) == "unknown"
        if facts.has(item.key) and not open_answer:
            continue
        promise = promised.get(item.key)
        may_wait = item.part != "Controller, contact and parties" and not item.confirm
        if promise and promise.expected and phase is not Phase.COMPLETE and may_wait:
            continue
        gaps.append(Gap(item, promise))
    if phase is Phase.COMPLETE and facts.has("sign_off") and not facts.signed_off:
        gaps.append(Gap(FIELD["sign_off"]))
    return gaps


def filled(facts: Facts) -> tuple[int, int]:
    """Number of fields known and number of all fields."""
    return sum(facts.has(item.key) for item in FIELDS), len(FIELDS)


# -- checking ---------------------------------------------------------------------------------

_ITEM: dict[Kind, type] = {
    Kind.TEXTS: str,
    Kind.MEASURES: Measure,
    Kind.UNKNOWNS: Unknown,
    Kind.NOTICES: Notice,
    Kind.SIGNATURES: Signature,
}


def check(key: str, value: object) -> None:
    """Check one value against its field.

    Raises:
        UsageError: the key is unknown, or the value is of the wrong type, names no zone, or is
            none of the choices.  The message names the key and the type, never the value.
    """
    item = FIELD.get(key)
    if item is None:
        raise UsageError(f"unknown key '{key}'", near(key))
    ok = _fits(item, value)
    if not ok:
        hint = f"choose one of: {', '.join(item.choices)}" if item.choices else item.hint
        raise UsageError(f"'{key}' must be {item.kind.value}", hint)
    if isinstance(value, tuple):
        for part in value:
            at = getattr(part, "at", None) or getattr(part, "expected", None)
            if at is not None:
                _aware(key, at)
    if isinstance(value, datetime):
        _aware(key, value)


def _aware(key: str, value: datetime) -> None:
    if value.tzinfo is None or value.utcoffset() is None:
        raise UsageError(f"'{key}' names no time zone", "write it like 2026-11-24T09:30:00+01:00")


def _fits(item: Field, value: object) -> bool:
    kind = item.kind
    if kind is Kind.TEXT:
        return isinstance(value, str)
    if kind is Kind.TRI:
        return value in ("yes", "no", "unknown")
    if kind is Kind.CHOICE:
        return value in item.choices
    if kind is Kind.INSTANT:
        return isinstance(value, datetime)
    if kind is Kind.FLAG:
        return isinstance(value, bool)
    if kind is Kind.COUNT:
        return isinstance(value, Count) and 0 <= value.min <= value.best <= value.max
    if kind is Kind.COUNTRIES:
        return isinstance(value, Mapping) and all(
            isinstance(k, str) and isinstance(v, int) and not isinstance(v, bool) and v >= 0
            for k, v in value.items()
        )
    return isinstance(value, tuple) and all(isinstance(v, _ITEM[kind]) for v in value)


def near(key: str) -> str:
    """Hint that names the closest known keys."""
    import difflib

    close = difflib.get_close_matches(key, FIELD, n=3, cutoff=0.5)
    if close:
        return "did you mean " + ", ".join(close) + "?"
    return "the template that irkit notify writes lists every key"


# -- facts of a case --------------------------------------------------------------------------


def facts_from_case(case: Case) -> Facts:
    """Everything the case can answer, under what people have saved in it.

    Raises:
        UsageError: the saved facts of the case cannot be read.
    """
    from irkit.playbook.prefill import with_saved

    return with_saved(case)


def load_facts(path: Path, case: Case) -> Facts:
    """Read a facts file and lay it over what the case knows.

    Raises:
        UsageError: the file cannot be read or holds a wrong key or value.
    """
    from irkit.playbook.facts_toml import read_facts
    from irkit.playbook.prefill import completed

    return completed(read_facts(path).over(facts_from_case(case)))
