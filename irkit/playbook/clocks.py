"""Legal clocks: from dated rules and recorded events to instants, computed in UTC.

A rule is a row of ``regimes.toml``; nothing about a law lives in code but the ways of counting:

- hours as elapsed time, and by Regulation (EEC, Euratom) No 1182/71 Art. 3(1) and 3(2)(a), which
  leaves out the hour of the event;
- the contested readings of its Art. 3(5), that a period of two days or more holds at least two
  working days (BayLfD 2019 and LDI NRW 2024 say no for hour periods; Piltz/Pradel, ZD 2019, 152
  say arguable);
- calendar days, calendar months, and days after the end of a calendar year.

Ends are half-open: "by the end of 24 November" is the instant 25 November 00:00 local time.
irkit computes and documents; a human decides.
"""

from __future__ import annotations

import calendar
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from irkit.errors import UsageError

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Instant:
    """One computed end of a period.

    Attributes:
        kind: which reading, like ``target`` (the one to act on), ``hour rule``, ``contested``.
        at_utc: the instant, timezone-aware UTC.
        basis: the counting in words.
        certainty: ``safest``, ``law``, ``contested``, ``conditional`` or ``check``.
        whole_day: True where the law counts days, so that the period ends with a local day.
    """

    kind: str
    at_utc: datetime
    basis: str
    certainty: str
    whole_day: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """One way to count one limit of a rule."""

    kind: str
    method: str
    start: str
    basis: str
    certainty: str
    amount: int = 0
    partial: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One duty of one regime, as dated data."""

    id: str
    regime: str
    title: str
    provision: str
    recipient: str
    applies: str
    trigger: str
    effective_from: date
    effective_to: date | None
    status: str
    source: str
    certainty: str
    wording: str
    limits: tuple[Limit, ...] = ()

    def in_force(self, day: date) -> bool:
        """True where the rule binds on that day."""
        if self.status != "in_force" or day < self.effective_from:
            return False
        return self.effective_to is None or day < self.effective_to


@dataclass(frozen=True, slots=True)
class Events:
    """What happened when, and where the organisation counts its days.

    Attributes:
        at: event name to timezone-aware instant; absent means not happened or not known.
        zone: IANA zone in which calendar days and hours are counted.
        country: ISO 3166 code whose public holidays are no working days; None leaves only weekends.
        subdivision: the holidays library's code of a region inside the country.
    """

    at: Mapping[str, datetime]
    zone: str = "UTC"
    country: str | None = None
    subdivision: str | None = None
    extra_holidays: frozenset[date] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        """Refuse what would make a deadline a guess.

        Raises:
            UsageError: an instant has no zone, or the zone is unknown.
        """
        for name, instant in self.at.items():
            if instant.tzinfo is None or instant.utcoffset() is None:
                raise UsageError(
                    f"event '{name}': {instant.isoformat()} names no time zone",
                    "write it like 2026-11-24T09:30:00+01:00",
                )
        zone_of(self.zone)


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """Return the named zone.

    Raises:
        UsageError: the name is no IANA zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"'{name}' is no IANA time zone", "write one like Europe/Berlin or America/New_York"
        ) from error


# -- working days -----------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    import holidays

    try:
        found = holidays.country_holidays(country, subdiv=subdivision, years=year)
    except NotImplementedError:
        return frozenset()
    return frozenset(found.keys())


def holiday_list(events: Events) -> str:
    """Name the holiday list used, for the packet."""
    import holidays

    if events.country is None:
        return "no country set: only Saturdays and Sundays count as non-working days"
    place = events.country + (f"-{events.subdivision}" if events.subdivision else "")
    if events.country not in holidays.list_supported_countries():
        return f"no holiday list for {place}: only Saturdays and Sundays are non-working days"
    return f"public holidays of {place} from the holidays library, version {holidays.__version__}"


def is_working_day(day: date, events: Events) -> bool:
    """Reg. 1182/71 Art. 2: all days but Saturdays, Sundays and public holidays."""
    if day.weekday() >= 5 or day in events.extra_holidays:
        return False
    if events.country is None:
        return True
    return day not in _holidays(events.country, events.subdivision, day.year)


# -- ways of counting -------------------------------------------------------------------------


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """Start of a local day as UTC."""
    return datetime.combine(day, time(0), zone).astimezone(UTC)


def next_full_hour(instant: datetime, zone: ZoneInfo) -> datetime:
    """Start of the hour after the one in which an event falls (Reg. 1182/71 Art. 3(1))."""
    local = instant.astimezone(zone)
    into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return instant.astimezone(UTC) - into + HOUR


def _elapsed_hours(limit: Limit, start: datetime, _events: Events) -> datetime:
    return start.astimezone(UTC) + limit.amount * HOUR


def _hours_1182(limit: Limit, start: datetime, events: Events) -> datetime:
    return next_full_hour(start, zone_of(events.zone)) + limit.amount * HOUR


def _two_working_days(limit: Limit, start: datetime, events: Events) -> datetime:
    """Art. 3(5): where the period holds fewer than two working days, it runs to the second's end.

    ``partial`` decides whether a day that lies only partly inside the period counts.
    """
    zone = zone_of(events.zone)
    begin = next_full_hour(start, zone)
    end = begin + limit.amount * HOUR
    held = 0
    day = begin.astimezone(zone).date()
    for _ in range(400):
        opens, closes = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
        inside = opens < end if limit.partial else (begin <= opens and closes <= end)
        if opens >= end:
            inside = False
        whole_after = begin <= opens
        if is_working_day(day, events):
            if inside:
                held += 1
                if held >= 2:
                    return end
            elif limit.partial or whole_after:
                held += 1
                if held >= 2:
                    return closes
        day += timedelta(days=1)
    return end


def _calendar_days(limit: Limit, start: datetime, events: Events) -> datetime:
    zone = zone_of(events.zone)
    last = start.astimezone(zone).date() + timedelta(days=limit.amount)
    return _midnight(last + timedelta(days=1), zone)


def _months(limit: Limit, start: datetime, events: Events) -> datetime:
    """Reg. 1182/71 Art. 3(2)(c): the same date, or the month's last day where it has none."""
    zone = zone_of(events.zone)
    last = add_months(start.astimezone(zone).date(), limit.amount)
    return _midnight(last + timedelta(days=1), zone)


def add_months(day: date, months: int) -> date:
    """Add calendar months, clamped to the last day of the month reached."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _year_end_days(limit: Limit, start: datetime, events: Events) -> datetime:
    zone = zone_of(events.zone)
    last = date(start.astimezone(zone).year, 12, 31) + timedelta(days=limit.amount)
    return _midnight(last + timedelta(days=1), zone)


def _dora_initial(limit: Limit, start: datetime, events: Events) -> datetime:
    """Del. Reg. 2025/301 Art. 5: 4 h from classification, at most 24 h from awareness.

    An incident classified as major only after those 24 hours is reported within 4 hours of the
    classification.
    """
    from_classification = start.astimezone(UTC) + limit.amount * HOUR
    aware = events.at.get("awareness")
    if aware is None:
        return from_classification
    day = aware.astimezone(UTC) + 24 * HOUR
    return from_classification if start.astimezone(UTC) > day else min(from_classification, day)


_COUNT: dict[str, Callable[[Limit, datetime, Events], datetime]] = {
    "elapsed_hours": _elapsed_hours,
    "hours_1182": _hours_1182,
    "two_working_days": _two_working_days,
    "calendar_days": _calendar_days,
    "months": _months,
    "year_end_days": _year_end_days,
    "dora_initial": _dora_initial,
}
_DAY_METHODS = frozenset({"calendar_days", "months", "year_end_days"})


def deadline(rule: Rule, events: Events) -> list[Instant]:
    """Compute every reading of a rule's limits, earliest first.

    A limit whose starting event has not happened (or is not known) yields nothing: the caller says
    "not started".  A limit that ends on a non-working day also yields, for rules counted in days
    or months, the roll-over of Reg. 1182/71 Art. 3(4) as a reading to check where the rule asks
    for it (``rollover``); hour periods never roll over, by the same paragraph's own words.

    Raises:
        UsageError: the rule names a way of counting that does not exist.
    """
    found: list[Instant] = []
    for limit in rule.limits:
        start = events.at.get(limit.start)
        if start is None:
            continue
        method, _, modifier = limit.method.partition("+")
        count = _COUNT.get(method)
        if count is None:
            raise UsageError(
                f"rule '{rule.id}': unknown way of counting '{limit.method}'",
                "known: " + ", ".join(sorted(_COUNT)),
            )
        end = count(limit, start, events)
        whole_day = method in _DAY_METHODS
        if modifier:
            moved = _rolled(modifier, end, whole_day, events)
            if moved is None:
                continue
            end = moved
        found.append(Instant(limit.kind, end, limit.basis, limit.certainty, whole_day))
    return sorted(found, key=lambda i: (i.at_utc, i.kind))


def _rolled(modifier: str, end: datetime, whole_day: bool, events: Events) -> datetime | None:
    """Move an end that falls on a non-working day; None where it needs no moving."""
    zone = zone_of(events.zone)
    last = (end - timedelta(microseconds=1) if whole_day else end).astimezone(zone).date()
    if is_working_day(last, events):
        return None
    while not is_working_day(last, events):
        last += timedelta(days=1)
    if modifier == "rollover":
        return _midnight(last + timedelta(days=1), zone)
    if modifier == "noon":
        return datetime.combine(last, time(12), zone).astimezone(UTC)
    raise UsageError(f"unknown roll-over '{modifier}'", "known: rollover, noon")


# -- reading the table ------------------------------------------------------------------------

_RULE_TEXT = ("id", "regime", "title", "provision", "recipient", "applies", "trigger")


def parse_rules(table: Mapping[str, Any], where: str) -> list[Rule]:
    """Build rules from a parsed TOML document.

    Raises:
        UsageError: a row lacks a key, has an unknown one, or a value of the wrong type.
    """
    rules = []
    for number, row in enumerate(table.get("rule", []), 1):
        label = f"{where}: rule {row.get('id', number)}"
        try:
            rules.append(_rule(row))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"{label}: {error}", "compare with: irkit list regimes") from error
    return rules


def _rule(row: Mapping[str, Any]) -> Rule:
    known = {*_RULE_TEXT, "effective_from", "effective_to", "status", "source", "certainty"}
    unknown = set(row) - known - {"wording", "limit"}
    if unknown:
        raise ValueError(f"unknown key '{sorted(unknown)[0]}'")
    limits = tuple(
        Limit(
            kind=str(item["kind"]),
            method=str(item["method"]),
            start=str(item.get("from", row["trigger"])),
            basis=str(item["basis"]),
            certainty=str(item.get("certainty", "law")),
            amount=int(item.get("amount", 0)),
            partial=bool(item.get("partial", True)),
        )
        for item in row.get("limit", [])
    )
    since, until = row["effective_from"], row.get("effective_to")
    if type(since) is not date or (until is not None and type(until) is not date):
        raise ValueError("effective_from and effective_to must be dates like 2018-05-25")
    return Rule(
        **{name: str(row[name]) for name in _RULE_TEXT},
        effective_from=since,
        effective_to=until,
        status=str(row["status"]),
        source=str(row["source"]),
        certainty=str(row["certainty"]),
        wording=str(row.get("wording", "")),
        limits=limits,
    )


@lru_cache(maxsize=1)
def rules() -> Sequence[Rule]:
    """Return the rules that irkit ships, in the table's order."""
    path = resources.files("irkit.playbook") / "regimes.toml"
    return tuple(parse_rules(tomllib.loads(path.read_text("utf-8")), "regimes.toml"))


def rule(rule_id: str) -> Rule:
    """Return one shipped rule.

    Raises:
        UsageError: there is no such rule.
    """
    for found in rules():
        if found.id == rule_id:
            return found
    raise UsageError(f"no rule '{rule_id}'", "see: irkit list regimes")
