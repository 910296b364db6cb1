"""The assessment: severity per group of people, a proposed risk level, duties and deadlines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irkit.model import Stage
from irkit.playbook import exposed
from irkit.playbook.clocks import Instant, Rule, holiday_list, rules, zone_of
from irkit.playbook.facts import Facts, facts_from_case
from irkit.playbook.obligations import Obligation, events_of, obligations
from irkit.playbook.severity import (
    BAND_READING,
    BANDS,
    Scored,
    Severity,
    band,
    band_words,
    circumstances,
    context,
    data_category,
    identification,
)

if TYPE_CHECKING:
    from irkit.case import Case


@dataclass(frozen=True, slots=True)
class ClusterSeverity:
    """ENISA score of one group of people."""

    label: str
    subjects: int
    score: Severity


@dataclass(frozen=True, slots=True)
class RiskFactor:
    """One risk factor of EDPB Guidelines 9/2022 with what the case shows about it."""

    factor: str
    finding: str
    raises: bool


@dataclass(frozen=True, slots=True)
class Assessment:
    """Severity, proposed risk, and the matrix of duties; suggestions are marked as such."""

    clusters: tuple[ClusterSeverity, ...]
    band_low: str
    band_high: str
    se_low: float
    se_high: float
    over_100: str
    proposed_risk: str
    proposed_reasons: str
    factors: tuple[RiskFactor, ...]
    obligations: tuple[Obligation, ...]
    zone: str
    holidays: str
    facts: Facts

    @property
    def next_target(self) -> tuple[Obligation, Instant] | None:
        """The earliest target of a duty that applies or may apply; certain ones go first."""
        for applies in ("yes", "unknown"):
            found = [
                (o, t)
                for o in self.obligations
                if o.applies == applies and (t := o.target) is not None
            ]
            if found:
                return min(found, key=lambda pair: (pair[1].at_utc, pair[0].rule.id))
        return None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "awareness": {
                "confirmed": _iso(self.facts.instant("timeline.awareness_at")),
                "proposed": _iso(self.facts.proposals.get("timeline.awareness_at")),
            },
            "holidays": self.holidays,
            "obligations": [
                {
                    "applies": o.applies,
                    "clock": o.clock,
                    "instants": [instant_dict(i) for i in o.instants],
                    "provision": o.rule.provision,
                    "reason": o.reason,
                    "regime": o.rule.regime,
                    "rule": o.rule.id,
                    "source_certainty": o.rule.certainty,
                    "title": o.rule.title,
                }
                for o in self.obligations
            ],
            "risk_suggestion": {"level": self.proposed_risk, "reasons": self.proposed_reasons},
            "severity": {
                "band": band_words(self.band_low, self.band_high) if self.clusters else None,
                "clusters": [
                    {
                        "cluster": c.label,
                        "se_high": c.score.se_high,
                        "se_low": c.score.se_low,
                        "subjects": c.subjects,
                    }
                    for c in self.clusters
                ],
                "more_than_100_people": self.over_100,
                "se_high": self.se_high if self.clusters else None,
                "se_low": self.se_low if self.clusters else None,
            },
            "zone": self.zone,
        }

    def lines(self) -> list[str]:
        """The assessment in lines of plain words."""
        out = []
        if self.clusters:
            words = band_words(self.band_low, self.band_high)
            out.append(
                f"Severity (ENISA 2013)  {words}, SE {self.se_low:g} to {self.se_high:g}; "
                f"more than 100 people: {self.over_100}"
            )
            out += [
                f"  {c.subjects:>6} people  SE {c.score.se_low:g}-{c.score.se_high:g}  {c.label}"
                for c in self.clusters[:8]
            ]
        else:
            out.append("Severity (ENISA 2013)  not computed: no confirmed or probable person")
        level = self.facts.text("risk.level")
        if level:
            out.append(
                f"Risk       {level}, decided by {self.facts.text('risk.decided_by') or '?'}"
            )
        else:
            out.append(f"Risk       not decided; irkit suggests: {self.proposed_risk}")
        aware = self.facts.instant("timeline.awareness_at")
        proposed = self.facts.proposals.get("timeline.awareness_at")
        if aware:
            out.append(f"Awareness  {_local(aware, self.zone)} (confirmed)")
        elif isinstance(proposed, datetime):
            out.append(f"Awareness  not confirmed; proposed {_local(proposed, self.zone)}")
        else:
            out.append("Awareness  not confirmed; nothing to propose yet")
        out.append(f"Clocks in {self.zone}; {self.holidays}")
        for o in self.obligations:
            out.append(f"{o.applies.upper():<8} {o.rule.provision}: {o.rule.title}")
            out.append(f"         {o.reason}; {o.clock}")
            out += [
                f"         {_local(i.at_utc, self.zone)}  {i.kind} [{i.certainty}]"
                for i in o.instants
            ]
        out.append("irkit computes and documents; a human decides. Not legal advice.")
        return out


def _iso(value: object) -> str | None:
    return value.isoformat() if isinstance(value, datetime) else None


def _local(instant: datetime, zone: str) -> str:
    return instant.astimezone(zone_of(zone)).strftime("%a %Y-%m-%d %H:%M %Z")


def instant_dict(instant: Instant) -> dict[str, Any]:
    """An instant as stored in the case and in the packet's JSON."""
    return {
        "at_utc": instant.at_utc.isoformat(),
        "basis": instant.basis,
        "certainty": instant.certainty,
        "kind": instant.kind,
        "whole_day": instant.whole_day,
    }


def assess(case: Case, *, facts: Facts | None = None) -> Assessment:
    """Compute severity and duties, and store them in the case where it is writable.

    Args:
        case: the case; read-only cases get the assessment without it being stored.
        facts: what is known; by default what the case answers and people saved in it.

    Raises:
        UsageError: saved facts or the case's own ``playbook.toml`` cannot be read.
    """
    known = facts if facts is not None else facts_from_case(case)
    result = evaluate(case, known)
    if case.writable:
        _store(case, result)
    return result


def evaluate(case: Case, facts: Facts) -> Assessment:
    """Compute the assessment without storing it."""
    from irkit.playbook.engine import own_rules

    # The maximum over the groups is what counts: it lies between the groups' highest ends.
    clusters, low = _clusters(case, facts)
    high = max((c.score.se_high for c in clusters), default=0.0)
    band_low, band_high = band(low), band(high)
    people = facts.count("subjects.count")
    over = "unknown"
    if people is not None:
        over = "yes" if people.min > 100 else ("no" if people.max <= 100 else "unknown")
    factors = _factors(case, facts, over)
    risk, reasons = _propose(clusters, band_high, factors, people is not None)
    if risk != "unknown":
        facts = Facts(facts.values, facts.sources, {**facts.proposals, "risk.level": risk})
        if not facts.has("risk.reasons"):
            facts = facts.with_value("risk.reasons", reasons, "irkit")
    all_rules: Sequence[Rule] = (*rules(), *own_rules(case))
    duties = obligations(facts, all_rules, case.clock())
    events = events_of(facts)
    return Assessment(
        tuple(clusters),
        band_low,
        band_high,
        low,
        high,
        over,
        risk,
        reasons,
        factors,
        tuple(duties),
        events.zone,
        holiday_list(events),
        facts,
    )


_ORDER = ("simple", "behavioural", "financial", "sensitive")


def _clusters(case: Case, facts: Facts) -> tuple[list[ClusterSeverity], float]:
    """Score every group of people, and give the highest lower end of any of them.

    People with the same highest category of data and the same ease of identification are one
    group; its data score is the hull of theirs, with every reason once.  The highest lower end is
    taken before that, since a hull would blur it.
    """
    malicious = "yes" if exposed.findings(case) else "unknown"
    cb = circumstances(recipients_known=facts.tri("recipients.known"), malicious=malicious)
    rows: dict[str, ClusterSeverity] = {}
    floor = 0.0
    for c in exposed.clusters(case):
        dpc = context(c.kinds, special=c.special, child=c.child, verbatim=c.linked)
        ei = identification(c.kinds, linked=c.linked)
        floor = max(floor, Severity(dpc, ei, cb).se_low)
        sure = {category for category, maybe in map(data_category, c.kinds) if not maybe}
        sure |= {"sensitive"} if c.special else set()
        highest = max(sure, key=_ORDER.index, default="unclassified")
        who = "children, " if c.child else ""
        label = f"{who}{highest}: {ei.reasons[0].partition(':')[0]}"
        seen = rows.get(label)
        if seen is not None:
            dpc, ei = _hull(seen.score.dpc, dpc), _hull(seen.score.ei, ei)
        number = c.subjects + (seen.subjects if seen else 0)
        rows[label] = ClusterSeverity(label, number, Severity(dpc, ei, cb))
    found = sorted(
        rows.values(), key=lambda c: (-c.score.se_high, -c.score.se_low, -c.subjects, c.label)
    )
    return found, floor


def _hull(one: Scored, other: Scored) -> Scored:
    return Scored(
        min(one.low, other.low),
        max(one.high, other.high),
        tuple(dict.fromkeys((*one.reasons, *other.reasons))),
    )


def _factors(case: Case, facts: Facts, over_100: str) -> tuple[RiskFactor, ...]:
    """Risk factors of EDPB Guidelines 9/2022 and the flags that raise them."""
    found = exposed.window(case)
    kinds = exposed.kinds(case)
    words = " ".join(kinds).lower()
    special = facts.has("data.special")
    children = facts.tri("subjects.children")
    flagged = exposed.findings(case)
    seen = exposed.actors(flagged)
    whole = case.rows(
        exposed.counted(case) + "SELECT count(*) FROM counted WHERE leaked_chars >= 200"
    )[0][0]
    secrets = any(w in words for w in ("password", "secret", "api_key", "token", "private_key"))
    documents = any(w in words for w in ("passport", "ssn", "national_id", "id_card", "driver"))
    people = facts.count("subjects.count")
    number = f"{people.min} to {people.max} people" if people else "not counted yet"
    return (
        RiskFactor("type of breach", "confidentiality: disclosure in responses", True),
        RiskFactor(
            "nature and sensitivity",
            "special-category data among it" if special else "no special category recognised",
            special,
        ),
        RiskFactor(
            "volume", f"{found.requests} responses, {found.documents} records, {number}",
            over_100 == "yes",
        ),
        RiskFactor(
            "ease of identification",
            "names with contact data" if "person" in words or "name" in words else "see EI",
            "person" in words or "name" in words,
        ),
        RiskFactor(
            "verbatim records", f"{int(whole or 0)} passages of at least 200 characters",
            bool(whole),
        ),
        RiskFactor("children", f"children among them: {children}", children == "yes"),
        RiskFactor(
            "vulnerable people",
            f"other vulnerable people: {facts.tri('subjects.vulnerable')}",
            facts.tri("subjects.vulnerable") == "yes",
        ),
        RiskFactor(
            "credentials and secrets", "present" if secrets else "none recognised", secrets
        ),
        RiskFactor(
            "official documents and numbers", "present" if documents else "none recognised",
            documents,
        ),
        RiskFactor(
            "attacker automation and persistence",
            f"{len({f.unit for f in seen})} flagged actors, "
            f"{sum({f.unit: f.queries for f in seen}.values())} queries of theirs",
            bool(flagged),
        ),
        RiskFactor(
            "reversal of pseudonymisation", "not assessed by irkit: say so if the corpus was "
            "pseudonymised", False,
        ),
    )  # fmt: skip


def _propose(
    clusters: Sequence[ClusterSeverity],
    band_high: str,
    factors: Sequence[RiskFactor],
    counted: bool,
) -> tuple[str, str]:
    """Suggest a risk level from the band and the factors; the decision stays with a person."""
    if not clusters:
        if not counted:
            return "unknown", ""
        return "unknown", "no confirmed or probable person; a person decides"
    level = {"low": "unlikely", "medium": "risk", "high": "high", "very high": "high"}[band_high]
    raising = [f for f in factors if f.raises]
    special = any(f.factor == "nature and sensitivity" and f.raises for f in factors)
    if special and level == "unlikely":
        # EDPB Guidelines 9/2022: damage is presumed likely where special categories are involved.
        level = "risk"
    words = (
        f"ENISA severity up to {band_high} (common reading: {BAND_READING[band_high]}); "
        "raised by: " + "; ".join(f"{f.factor} ({f.finding})" for f in raising[:6])
    )
    return level, words


def _store(case: Case, result: Assessment) -> None:
    with case.transaction():
        case.clear("severity", "obligation")
        for c in result.clusters:
            s = c.score
            case.con.execute(
                "INSERT INTO severity VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    c.label, c.subjects, s.dpc.low, s.dpc.high, s.ei.low, s.ei.high, s.cb.low,
                    s.cb.high, s.se_low, s.se_high, s.band_low, s.band_high,
                    json.dumps(
                        {
                            "CB": s.cb.reasons, "DPC": s.dpc.reasons, "EI": s.ei.reasons,
                            "suggestion": True,
                        },
                        sort_keys=True,
                    ),
                ],
            )  # fmt: skip
        for o in result.obligations:
            case.con.execute(
                "INSERT INTO obligation VALUES (?, ?, ?, ?, ?)",
                [
                    o.rule.regime,
                    f"{o.rule.provision}: {o.rule.title}",
                    o.applies,
                    f"{o.reason}; {o.clock}",
                    json.dumps([instant_dict(i) for i in o.instants], sort_keys=True),
                ],
            )
        digest = case.settings.digest()
        case.mark_stage(Stage.ASSESS, "all", digest, {"obligations": len(result.obligations)})


def worst_band(result: Assessment) -> int:
    """Index of the highest band, 0 to 3."""
    return BANDS.index(result.band_high)
