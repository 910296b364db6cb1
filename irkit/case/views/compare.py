"""Two actors side by side, and the members of a campaign: what they share, counted, not quoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from irkit.case.shown import clean
from irkit.case.views.actors import ACTOR_RECORDS, ActorKey, actor_findings, detectors
from irkit.case.views.leaks import LEAKS
from irkit.case.views.times import utc
from irkit.model import UnitKind

if TYPE_CHECKING:
    import duckdb

#: Words of a prompt's opening that make a template, digits masked; shorter ones are greetings.
_HEAD_WORDS = 4


@dataclass(frozen=True, slots=True)
class ActorFacts:
    """What one actor did, in figures."""

    key: ActorKey
    techniques: tuple[tuple[str, str, float | None], ...]
    detectors: tuple[tuple[str, str, float | None, float | None], ...]
    queries: int
    first: datetime | None
    last: datetime | None
    onset: datetime | None
    end: datetime | None
    leaks: int
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bond:
    """Something that actors have in common: how many of it, and how many queries of each."""

    name: str
    shared: int
    queries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two actors and what they share."""

    sides: tuple[ActorFacts, ActorFacts]
    bonds: tuple[Bond, ...]


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign: its members, what they share, and how its union stood the test."""

    key: ActorKey
    members: tuple[ActorFacts, ...]
    bonds: tuple[Bond, ...]
    tier: str | None
    p_value: float | None
    q_value: float | None
    queries: int
    summary: str


#: What may tie actors together: name and the value per call; a missing value ties nobody.
_TRAITS = (
    ("identical prompts", "r.prompt_text_id"),
    (
        f"openings of prompts ({_HEAD_WORDS} words, digits masked)",
        "(SELECT CASE WHEN len(string_split_regex(trim(t.body), '\\s+')) >= "
        f"{_HEAD_WORDS} THEN regexp_replace(lower(array_to_string("
        f"string_split_regex(trim(t.body), '\\s+')[1:{_HEAD_WORDS}], ' ')), '\\d+', '#', 'g')"
        " END FROM text t WHERE t.text_id = r.prompt_text_id LIMIT 1)",
    ),
    (
        "settings (model, temperature, top_p, n, max_tokens, log-probabilities, echo)",
        "concat_ws('|', coalesce(r.model_served, r.model_requested), r.temperature, r.top_p, r.n,"
        " r.max_tokens, r.logprobs_requested, r.top_logprobs, r.echo)",
    ),
    ("client software", "r.user_agent"),
    ("addresses", "r.client_ip"),
    (
        "networks (IPv4 /24, IPv6 /48)",
        "CASE WHEN r.client_ip LIKE '%.%' THEN regexp_replace(r.client_ip, '\\.\\d+$', '')"
        " ELSE array_to_string(string_split(r.client_ip, ':')[1:3], ':') END",
    ),
)


def compare(con: duckdb.DuckDBPyConnection, left: ActorKey, right: ActorKey) -> Comparison:
    """Set two actors side by side."""
    keys = (left, right)
    return Comparison((_facts(con, left), _facts(con, right)), _bonds(con, keys, 2))


def campaign(con: duckdb.DuckDBPyConnection, unit: str, *, most: int = 40) -> CampaignView | None:
    """Return a campaign's members, what they share, and the test of their union.

    Links are drawn through unusual queries only, by the detector that found them together with
    settings and wording, client or network; here the same traits are counted over all queries of
    the members, so that a person can see what ties them.
    """
    found = actor_findings(con, ActorKey(UnitKind.CAMPAIGN, unit))
    if not found:
        return None
    keys = [_member(name) for name in found[0].members]
    best = found[0]
    return CampaignView(
        ActorKey(UnitKind.CAMPAIGN, unit),
        tuple(_facts(con, key) for key in keys[:most]),
        _bonds(con, keys, 2),
        best.tier,
        best.p_value,
        best.q_value,
        best.queries,
        best.summary,
    )


def _member(name: str) -> ActorKey:
    kind, mark, rest = name.partition(":")
    if mark and kind in (UnitKind.SOURCE_IP, UnitKind.SESSION, UnitKind.CREDENTIAL):
        return ActorKey(UnitKind(kind), rest)
    return ActorKey(UnitKind.CREDENTIAL, name)


def _facts(con: duckdb.DuckDBPyConnection, key: ActorKey) -> ActorFacts:
    findings = actor_findings(con, key)
    records = ACTOR_RECORDS[key.kind]
    row = con.execute(
        f"WITH s AS ({records}) SELECT count(*), min(event_time), max(event_time),"
        " mode(coalesce(model_served, model_requested)), mode(temperature), mode(max_tokens),"
        " avg(CASE WHEN logprobs_requested OR has_logprobs THEN 1.0 ELSE 0.0 END),"
        " avg(CASE WHEN echo THEN 1.0 ELSE 0.0 END), median(prompt_chars), mode(user_agent),"
        " count(DISTINCT client_ip),"
        f" (SELECT count(*) FROM ({LEAKS}) e WHERE e.record_id IN (SELECT record_id FROM s))"
        " FROM s",
        {"unit": key.unit},
    ).fetchone()
    assert row is not None  # an aggregate without GROUP BY always yields one row
    named = (
        ("model", row[3]),
        ("temperature", None if row[4] is None else f"{row[4]:g}"),
        ("max tokens", row[5]),
        ("asks for log-probabilities", None if row[6] is None else f"{row[6]:.0%}"),
        ("echo", f"{row[7]:.0%}" if row[7] else None),
        ("characters per prompt", None if row[8] is None else f"{row[8]:.0f}"),
        ("client", row[9]),
        ("addresses", row[10] or None),
    )
    onsets = [one.onset for one in findings if one.onset is not None]
    ends = [one.last_seen for one in findings if one.last_seen is not None]
    return ActorFacts(
        key,
        tuple((one.technique, one.tier, one.p_value) for one in findings),
        tuple(
            (one.detector, one.status, one.statistic, one.p_value)
            for one in detectors(con, key)
            if one.status in ("FOUND", "NO_FINDINGS")
        ),
        int(row[0]),
        utc(row[1]),
        utc(row[2]),
        min(onsets, default=None),
        max(ends, default=None),
        int(row[11] or 0),
        tuple((name, str(value)) for name, value in named if value is not None),
    )


def _bonds(
    con: duckdb.DuckDBPyConnection, keys: Sequence[ActorKey], least: int
) -> tuple[Bond, ...]:
    """Count the values of every trait that at least ``least`` of the actors show."""
    union, values = _calls(keys)
    traits = " UNION ALL ".join(
        f"SELECT actor, record_id, {place} AS trait, ({sql})::VARCHAR AS value FROM r"
        for place, (_, sql) in enumerate(_TRAITS)
    )
    records = (
        f"SELECT actor, record_id, {len(_TRAITS)} AS trait, e.doc_id AS value"
        f" FROM r JOIN ({LEAKS}) e USING (record_id)"
        f" UNION ALL SELECT actor, record_id, {len(_TRAITS) + 1}, m.doc_id FROM r"
        " JOIN corpus_match m ON m.text_id = r.prompt_text_id AND m.role = 'prompt'"
    )
    common = (
        f"WITH r AS ({union}), v AS (SELECT DISTINCT * FROM ({traits} UNION ALL {records})"
        " WHERE value IS NOT NULL AND value <> ''),"
        " k AS (SELECT trait, value FROM v GROUP BY ALL HAVING count(DISTINCT actor) >= $least)"
    )
    values["least"] = least
    found = con.execute(
        f"{common} SELECT trait, actor, count(DISTINCT record_id)"
        " FROM v JOIN k USING (trait, value) GROUP BY ALL ORDER BY ALL",
        values,
    ).fetchall()
    shared = con.execute(
        f"{common} SELECT trait, count(*) FROM k GROUP BY ALL ORDER BY ALL", values
    ).fetchall()
    names = [*(name for name, _ in _TRAITS), "records that came out", "records asked for"]
    per = {(int(trait), int(actor)): int(n) for trait, actor, n in found}
    return tuple(
        Bond(
            names[int(trait)],
            int(count),
            tuple(per.get((int(trait), place), 0) for place in range(len(keys))),
        )
        for trait, count in shared
    )


def _calls(keys: Sequence[ActorKey]) -> tuple[str, dict[str, Any]]:
    parts, values = [], {}
    for place, key in enumerate(keys):
        sql = ACTOR_RECORDS[key.kind].replace("$unit", f"$unit{place}")
        parts.append(f"SELECT {place} AS actor, * FROM ({sql})")
        values[f"unit{place}"] = key.unit
    return " UNION ALL ".join(parts), values


# -- in words, for both faces ------------------------------------------------------------------


def comparison_lines(found: Comparison, columns: int = 90) -> list[str]:
    """Write two actors side by side, then what they share.

    Args:
        found: the two actors.
        columns: room across; a cell that needs more goes on in the next line.
    """
    left, right = found.sides
    first = 28 if columns >= 90 else 20
    width = max(10, (columns - first - 2) // 2)
    rows = [("", _name(left, width), _name(right, width)), *_facts_rows(left, right)]
    seen: dict[str, None] = dict.fromkeys(
        name for side in found.sides for name, *_ in side.detectors
    )
    rows += [(n.replace("_", " "), _detector(left, n), _detector(right, n)) for n in seen]
    lines = []
    for name, a, b in rows:
        cells = [wrap(clean(text), room) for text, room in ((name, first), (a, width), (b, width))]
        lines += [
            f"{x:<{first}} {y:<{width}} {z}".rstrip()
            for x, y, z in zip_longest(*cells, fillvalue="")
        ]
    return [*lines, "", *bond_lines(found.bonds, 2)]


def campaign_lines(found: CampaignView) -> list[str]:
    """Write a campaign's test, members and ties."""
    odds = "no p-value" if found.p_value is None else f"p {found.p_value:.2g}"
    q = "" if found.q_value is None else f", q {found.q_value:.2g}"
    lines = [
        f"{found.key.unit}: {len(found.members)} members, {found.queries:,} queries",
        f"The union of all their queries was tested as a whole, also against random unions of"
        f" ordinary actors: tier {found.tier or '-'}, {odds}{q}.",
        "",
        "Members:",
    ]
    for one in found.members:
        what = ", ".join(f"{tier} {name.replace('_', ' ')}" for name, tier, _ in one.techniques)
        lines.append(
            f"  {one.key.unit}: {one.queries:,} queries, {one.leaks:,} leaks,"
            f" {_when(one.first)} to {_when(one.last)}; {what or 'nothing on its own'}"
        )
    return [clean(line) for line in [*lines, "", *bond_lines(found.bonds, len(found.members))]]


def bond_lines(bonds: Sequence[Bond], actors: int) -> list[str]:
    """Write what actors share, with the number of queries behind it."""
    if not bonds:
        return ["They share nothing that irkit counts."]
    lines = ["What they share (values are counted, not shown):"]
    for bond in bonds:
        sharing = sum(1 for n in bond.queries if n)
        who = (
            " and ".join(f"{n:,}" for n in bond.queries) + " queries"
            if actors == 2
            else f"{sharing} of {actors} members, {sum(bond.queries):,} queries"
        )
        lines.append(f"  {bond.shared:,} {bond.name}: {who}")
    return lines


def _facts_rows(left: ActorFacts, right: ActorFacts) -> list[tuple[str, str, str]]:
    rows = [
        ("technique", _techniques(left), _techniques(right)),
        ("queries", f"{left.queries:,}", f"{right.queries:,}"),
        ("leaks", f"{left.leaks:,}", f"{right.leaks:,}"),
    ]
    for name, pick in (("first seen", "first"), ("last seen", "last"), ("onset", "onset"),
                       ("end of activity", "end")):  # fmt: skip
        rows.append((name, _when(getattr(left, pick)), _when(getattr(right, pick))))
    a, b = dict(left.parameters), dict(right.parameters)
    rows += [(name, a.get(name, "-"), b.get(name, "-")) for name in dict.fromkeys([*a, *b])]
    return rows


def _name(side: ActorFacts, width: int) -> str:
    unit = clean(side.key.unit)
    end = width // 2 - 1
    return unit if len(unit) <= width else f"{unit[: width - end - 1]}…{unit[-end:]}"


def _techniques(side: ActorFacts) -> str:
    return ", ".join(f"{tier} {name.replace('_', ' ')}" for name, tier, _ in side.techniques) or "-"


def _detector(side: ActorFacts, name: str) -> str:
    for found, status, statistic, p in side.detectors:
        if found == name:
            value = "-" if statistic is None else f"{statistic:.3g}"
            odds = "" if p is None else f", p {p:.2g}"
            return f"{'◆' if status == 'FOUND' else '–'} {value}{odds}"
    return "-"


def _when(at: datetime | None) -> str:
    return "undated" if at is None else f"{at:%Y-%m-%d %H:%M}Z"
