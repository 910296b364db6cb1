"""What the case holds about the breach, as small aggregates: the ground of facts and packet.

Only aggregates, hashes and ids leave these queries, never an exposed value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from irkit.case.views.silence import silences
from irkit.model import Count

if TYPE_CHECKING:
    from irkit.case import Case

#: Exposures that count as a breach of personal data: memorised passages tied to a person that no
#: reviewer rejected, and passages that a reviewer confirmed.  The latest verdict of an exposure is
#: the one that holds.  Memorised text about nobody is no exposure of personal data.
COUNTED = """
WITH verdict AS (
  SELECT exposure_id, last(verdict ORDER BY reviewed_at, rowid) FILTER (WHERE
    verdict LIKE 'confirm%' OR verdict LIKE 'reject%' OR verdict = 'undo') AS verdict
  FROM review GROUP BY exposure_id
), counted AS (
  SELECT e.*, v.verdict, r.event_time, r.credential_id, r.client_ip, r.session_id, r.model_served,
         r.model_requested, r.model_version, r.system_fingerprint, r.endpoint, r.request_id,
         r.prompt_text_id
  FROM exposure e
  LEFT JOIN query_record r USING (record_id)  -- a record out of a gradient has no call
  LEFT JOIN verdict v USING (exposure_id)
  WHERE r.duplicate_of IS NULL
    AND ((e.provenance = 'memorised'
          AND e.exposure_id IN (SELECT exposure_id FROM exposure_subject))
         OR v.verdict LIKE 'confirm%')
    AND coalesce(v.verdict, '') NOT LIKE 'reject%'
)
"""

T = TypeVar("T")

#: Cases whose counted exposures are held in a table of this connection, with what was worked out.
_HELD: WeakKeyDictionary[Case, dict[str, Any]] = WeakKeyDictionary()


@contextmanager
def held(case: Case) -> Iterator[None]:
    """Work out the counted exposures once for everything that is asked inside the block.

    A packet asks some thirty questions about the same rows; on a case of a million calls the join
    behind them costs more than all answers.  Nothing inside the block may change exposures or
    reviews.  The table is the connection's own and never reaches the case file.
    """
    if case in _HELD:
        yield
        return
    case.con.execute(
        "CREATE OR REPLACE TEMP TABLE held_counted AS " + COUNTED + "SELECT * FROM counted"
    )
    _HELD[case] = {}
    try:
        yield
    finally:
        del _HELD[case]
        case.con.execute("DROP TABLE IF EXISTS temp.held_counted")


def _once(ask: Callable[[Case], T]) -> Callable[[Case], T]:
    """Ask a question about a held case once; answers are frozen or copied by who changes them."""

    @wraps(ask)
    def asked(case: Case) -> T:
        known = _HELD.get(case)
        if known is None:
            return ask(case)
        if ask.__name__ not in known:
            known[ask.__name__] = ask(case)
        answer: T = known[ask.__name__]
        return answer

    return asked


def counted(case: Case) -> str:
    """Begin a query over the counted exposures: ``counted(case) + "SELECT ... FROM counted"``."""
    return "WITH counted AS (FROM temp.held_counted) " if case in _HELD else COUNTED


#: Subjects that count for the confirmed floor, and for the best estimate.
CONFIRMED, LIKELY = "('confirmed')", "('confirmed', 'probable')"


def utc(value: datetime | None) -> datetime | None:
    """Attach UTC to a stored time."""
    if value is None:
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """When personal data came out and by how many requests, accounts and addresses."""

    first: datetime | None
    last: datetime | None
    exposures: int
    requests: int
    credentials: int
    addresses: int
    documents: int
    leaked_chars: int


@_once
def window(case: Case) -> Window:
    """Measure the exposure window over counted exposures."""
    row = case.rows(
        counted(case)
        + "SELECT min(event_time), max(event_time), count(*), count(DISTINCT record_id)"
        " FILTER (WHERE NOT starts_with(record_id, 'gradient:')),"
        " count(DISTINCT credential_id), count(DISTINCT client_ip), count(DISTINCT doc_id),"
        " coalesce(sum(leaked_chars), 0) FROM counted"
    )[0]
    numbers = [int(v or 0) for v in row[2:]]
    return Window(utc(row[0]), utc(row[1]), *numbers)


def incident_start(case: Case) -> datetime | None:
    """Return the earliest that any flagged actor's behaviour may have begun."""
    found = case.rows(
        "SELECT least(min(onset_low), min(pattern_at)) FROM finding WHERE tier IN ('A', 'B')"
    )
    return utc(found[0][0])


def other_text(case: Case) -> int:
    """Responses that repeat training text about nobody: no personal data, but worth knowing."""
    row = case.rows(
        "SELECT count(DISTINCT record_id) FROM exposure WHERE provenance = 'memorised' AND"
        " exposure_id NOT IN (SELECT exposure_id FROM exposure_subject)"
    )
    return int(row[0][0])


def count(case: Case, *names: str) -> Count | None:
    """Return the first of the named counts that the scope stage wrote."""
    for name in names:
        found = case.rows(
            "SELECT min, best, max, method FROM scope_count WHERE name = ? ORDER BY method", [name]
        )
        if found:
            low, best, high, method = found[0]
            return Count(int(low or 0), int(best or 0), int(high or best or 0), str(method))
    return None


def people(case: Case) -> Count | None:
    """Distinct persons, as min, best and max; None where nothing was scoped yet."""
    stored = count(case, "subjects", "people", "data_subjects")
    if stored is not None:
        return stored
    if not case.rows("SELECT 1 FROM subject LIMIT 1"):
        return None
    row = case.rows(
        "SELECT count(*) FILTER (WHERE status = 'confirmed'),"
        " count(*) FILTER (WHERE status IN ('confirmed', 'probable')), count(*) FROM subject"
    )[0]
    return Count(int(row[0]), int(row[1]), int(row[2]), "distinct subjects by status")


def records(case: Case) -> Count | None:
    """Distinct exposed records, as min, best and max; None where nothing was scoped yet."""
    stored = count(case, "records", "exposed_records", "documents")
    if stored is not None:
        return stored
    row = case.rows(
        counted(case) + "SELECT count(DISTINCT doc_id), (SELECT count(*) FROM exposure WHERE"
        " provenance = 'unverified') FROM counted"
    )[0]
    if not any(row):
        return None
    best = int(row[0])
    return Count(best, best, best + int(row[1]), "distinct training records; max adds unverified")


@_once
def kinds(case: Case) -> dict[str, int]:
    """Entity types and data categories among counted exposures, with exposures per kind."""
    rows = case.rows(
        counted(case) + ", k AS (SELECT exposure_id, unnest(list_distinct(list_concat("
        " coalesce(entity_types, []), coalesce(categories, [])))) AS kind FROM counted)"
        " SELECT kind, count(DISTINCT exposure_id) FROM k WHERE kind IS NOT NULL"
        " GROUP BY kind ORDER BY kind"
    )
    return {str(kind): int(number) for kind, number in rows}


@dataclass(frozen=True, slots=True)
class Cluster:
    """People about whom the same kinds of data came out."""

    kinds: tuple[str, ...]
    special: bool
    child: bool
    linked: bool
    subjects: int


@_once
def clusters(case: Case) -> list[Cluster]:
    """Group confirmed and probable subjects by what came out about them."""
    rows = case.rows(
        counted(case) + ", per AS (SELECT s.subject_key, list_sort(list_distinct(flatten(list("
        "  list_concat(coalesce(c.entity_types, []), coalesce(c.categories, [])))))) AS kinds,"
        "  coalesce(any_value(s.special_category), false) AS special,"
        "  coalesce(any_value(s.child), false) AS child, bool_or(c.doc_id IS NOT NULL) AS linked"
        f"  FROM subject s JOIN exposure_subject x USING (subject_key) JOIN counted c USING"
        f"  (exposure_id) WHERE s.status IN {LIKELY} GROUP BY s.subject_key)"
        " SELECT kinds, special, child, linked, count(*) FROM per GROUP BY ALL"
        " ORDER BY count(*) DESC, special DESC, child DESC, kinds, linked"
    )
    return [
        Cluster(tuple(str(k) for k in found), bool(special), bool(child), bool(linked), int(number))
        for found, special, child, linked, number in rows
    ]


def countries(case: Case) -> dict[str, int]:
    """Confirmed and probable people per country; a person in two countries counts in each."""
    rows = case.rows(
        "SELECT country, count(*) FROM (SELECT unnest(list_distinct(countries)) AS country"
        f" FROM subject WHERE status IN {LIKELY}) WHERE country IS NOT NULL AND country <> ''"
        " GROUP BY country ORDER BY country"
    )
    return {str(country).upper(): int(number) for country, number in rows}


def recipients(case: Case, limit: int = 40) -> list[tuple[str, int, datetime | None]]:
    """Credentials that received exposed data, with exposing requests and the last time."""
    rows = case.rows(
        counted(case) + "SELECT CASE WHEN starts_with(record_id, 'gradient:') THEN 'holders of the"
        " preserved gradients' ELSE coalesce(credential_id, 'address ' || client_ip, 'not logged')"
        " END AS who, count(DISTINCT record_id), max(event_time) FROM counted GROUP BY who"
        " ORDER BY count(DISTINCT record_id) DESC, who LIMIT ?",
        [limit],
    )
    return [(str(who), int(number), utc(last)) for who, number, last in rows]


@_once
def models(case: Case) -> list[dict[str, str]]:
    """Models, versions and fingerprints that answered while data came out."""
    rows = case.rows(
        counted(case) + "SELECT DISTINCT coalesce(model_served, model_requested, '') AS model,"
        " coalesce(model_version, '') AS version, coalesce(system_fingerprint, '') AS fp,"
        " coalesce(endpoint, '') AS endpoint FROM counted"
        " WHERE NOT starts_with(record_id, 'gradient:') ORDER BY ALL"
    )
    names = ("model", "version", "fingerprint", "endpoint")
    return [dict(zip(names, map(str, row), strict=True)) for row in rows]


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A flagged actor as the packet shows it."""

    finding_id: str
    unit_kind: str
    unit: str
    technique: str
    profile: str
    tier: str
    p_value: float | None
    p_kind: str
    onset: datetime | None
    last_seen: datetime | None
    queries: int
    summary: str
    members: tuple[str, ...] = ()


def findings(case: Case, tiers: tuple[str, ...] = ("A", "B")) -> list[FindingRow]:
    """Findings of the given tiers, strongest first."""
    rows = case.rows(
        "SELECT finding_id, unit_kind, unit, technique, coalesce(profile, ''), tier, p_value,"
        " p_kind, onset, last_seen, coalesce(queries, 0), coalesce(summary, ''),"
        " list_sort(coalesce(members, [])) FROM finding"
        " WHERE list_contains(?, tier) ORDER BY tier, p_value NULLS LAST, unit_kind, unit,"
        " technique, finding_id",
        [list(tiers)],
    )
    return [
        FindingRow(
            str(row[0]),
            str(row[1]),
            str(row[2]),
            str(row[3]),
            str(row[4]),
            str(row[5]),
            row[6],
            str(row[7]),
            utc(row[8]),
            utc(row[9]),
            int(row[10]),
            str(row[11]),
            tuple(str(member) for member in row[12]),
        )
        for row in rows
    ]


def listed(found: list[FindingRow]) -> list[FindingRow]:
    """The actors as a reader wants them listed: a campaign stands for its members.

    A member keeps a line of its own only where it is flagged for another technique.
    """
    chosen = actors(found)
    inside = {
        (member.removeprefix("credential:"), f.technique)
        for f in chosen
        if f.unit_kind == "campaign"
        for member in f.members
    }
    return [f for f in chosen if f.unit_kind == "campaign" or (f.unit, f.technique) not in inside]


def actors(found: list[FindingRow]) -> list[FindingRow]:
    """One level of the actor lattice: one person's sessions and addresses are not more people.

    Campaigns and credentials where any is flagged, else addresses, else sessions.
    """
    for kinds_ in (("campaign", "credential"), ("source_ip",), ("session",)):
        chosen = [f for f in found if f.unit_kind in kinds_]
        if chosen:
            return chosen
    return []


@dataclass(frozen=True, slots=True)
class TemplateSpread:
    """How widely the leaking prompts differ: the ground for structural against scenario-specific.

    Attributes:
        families: name of a family of prompts and its number of leaking prompts, largest first.
        proposal: ``structural``, ``scenario-specific`` or ``undecided``.
        reason: the rule that gave the proposal, in words.
    """

    families: tuple[tuple[str, int], ...]
    proposal: str
    reason: str


@_once
def template_spread(case: Case) -> TemplateSpread:
    """Propose whether the divergence is structural, from the spread of leaking prompts.

    A prompt that quotes a training record is a prefix probe; any other belongs to the family of
    its first five words, digits and quoted parts removed.  One wording with at least 80 % of at
    least five leaking prompts speaks for one scenario; five prefix probes, or three wordings with
    a share of at least 5 % each, speak for a structural cause.  In between, nothing is proposed.
    """
    rows = case.rows(
        counted(case)
        + ", probe AS (SELECT DISTINCT text_id FROM corpus_match WHERE role = 'prompt'),"
        " leaking AS (SELECT DISTINCT c.record_id, c.prompt_text_id FROM counted c"
        "  WHERE NOT starts_with(c.record_id, 'gradient:')),"
        " family AS (SELECT l.record_id, CASE WHEN p.text_id IS NOT NULL THEN 'prefix of a training"
        " record' WHEN t.body IS NULL THEN 'prompt not logged' ELSE md5(list_aggregate(list_slice("
        " string_split_regex(trim(regexp_replace(lower(left(t.body, 400)), '[0-9\"''].*', '')),"
        " '\\s+'), 1, 5), 'string_agg', ' ')) END AS name FROM leaking l"
        " LEFT JOIN probe p ON p.text_id = l.prompt_text_id"
        " LEFT JOIN text t ON t.text_id = l.prompt_text_id)"
        " SELECT name, count(*) FROM family GROUP BY name ORDER BY count(*) DESC, name"
    )
    total = sum(int(number) for _, number in rows)
    families: list[tuple[str, int]] = []
    other = 0
    for name, number in rows:
        known = name in ("prefix of a training record", "prompt not logged")
        if len(families) < 8:
            label = str(name) if known else f"wording {len(families) + 1}"
            families.append((label, int(number)))
        else:
            other += int(number)
    if other:
        families.append(("other wordings", other))
    if total < 5:
        return TemplateSpread(
            tuple(families), "undecided", f"only {total} leaking prompts: too few to tell"
        )
    top = int(rows[0][1]) / total
    broad = [name for name, number in rows if int(number) / total >= 0.05]
    if top >= 0.8 and rows[0][0] != "prefix of a training record":
        return TemplateSpread(
            tuple(families), "scenario-specific",
            f"one wording gave {top:.0%} of {total} leaking prompts",
        )  # fmt: skip
    probes = sum(int(number) for name, number in rows if name == "prefix of a training record")
    if probes >= 5:
        return TemplateSpread(
            tuple(families),
            "structural",
            f"{probes} of {total} leaking prompts are prefixes of training records:"
            " the model continues what it memorised, whatever the wording",
        )
    if len(broad) >= 3:
        return TemplateSpread(
            tuple(families), "structural",
            f"{len(broad)} different wordings leak, the largest with {top:.0%} of {total} prompts",
        )  # fmt: skip
    return TemplateSpread(
        tuple(families), "undecided", f"{len(broad)} wordings leak: neither one nor many"
    )


def coverage(case: Case) -> list[dict[str, object]]:
    """Per source: name, period, accounting and capability, as the reader stored them."""
    rows = case.rows(
        "SELECT source_id, original_path, coalesce(format, ''), coalesce(records, 0),"
        " coalesce(quarantined, 0), coalesce(entries, 0), coalesce(blanks, 0), min_event_time,"
        " max_event_time, capability FROM evidence_source ORDER BY source_id"
    )
    result: list[dict[str, object]] = []
    for row in rows:
        try:
            capability = json.loads(row[9]) if row[9] else {}
        except ValueError:
            capability = {}
        result.append(
            {
                "source_id": int(row[0]),
                "file": str(row[1]).replace("\\", "/").rsplit("/", 1)[-1],
                "format": str(row[2]),
                "records": int(row[3]),
                "quarantined": int(row[4]),
                "entries": int(row[5]),
                "blanks": int(row[6]),
                "first": utc(row[7]),
                "last": utc(row[8]),
                "capability": capability if isinstance(capability, dict) else {},
            }
        )
    return result


def gaps(case: Case) -> list[tuple[datetime, datetime]]:
    """Silences of the whole archive that its own rhythm does not explain: unknown time."""
    found = ((utc(gap.since), utc(gap.until)) for gap in silences(case.con))
    return [(since, until) for since, until in found if since and until]
