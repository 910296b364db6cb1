"""From case, facts and assessment to the packet model: only aggregates, ids and hashes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from irkit import __version__
from irkit.model import Count, Phase
from irkit.packet import observed
from irkit.packet.model import Head, Packet, Row
from irkit.packet.words import NOT_KNOWN, about, reading, shown, stamp
from irkit.playbook import exposed
from irkit.playbook.analogues import resembling
from irkit.playbook.assessment import Assessment, instant_dict
from irkit.playbook.authorities import addressees, concerned
from irkit.playbook.clocks import Instant, zone_of
from irkit.playbook.collectors import CHECKS
from irkit.playbook.engine import steps
from irkit.playbook.facts import Facts, Gap, completeness
from irkit.playbook.fields import FIELDS
from irkit.playbook.severity import BAND_MEANING, BAND_READING, BAND_SCALES, band_words, risk_row

if TYPE_CHECKING:
    from irkit.case import Case


def compose(
    case: Case,
    facts: Facts,
    result: Assessment,
    *,
    phase: Phase,
    number: int,
    previous: Row | None,
    changes: Sequence[Row] = (),
) -> Packet:
    """Build the packet of a phase.

    Args:
        case: the case.
        facts: what is known, already completed by the assessment's proposals.
        result: severity and duties on these facts.
        phase: phase of the notification.
        number: position in the chain of packets, from 1.
        previous: number and hash of the packet before, or None.
        changes: what changed since then.
    """
    zone = result.zone
    head = Head(
        case_title=case.title,
        controller=facts.text("controller.name", NOT_KNOWN),
        phase=phase.value,
        number=number,
        draft=not facts.signed_off,
        synthetic=case.synthetic,
        marking=facts.text("notification.marking"),
        language=facts.text("notification.language", "en-GB"),
        built_at=stamp(case.clock(), zone),
        zone=zone,
        tool=f"irkit {__version__}",
        settings_hash=case.settings.digest(),
        previous=dict(previous) if previous else None,
        reference=facts.text("notification.reference"),
    )
    gaps = completeness(facts, phase)
    window = exposed.window(case)
    scope = observed.scope(case, facts, result)
    return Packet(
        head=head,
        summary=_summary(case, facts, result, window),
        facts=tuple(_fact_rows(facts, zone)),
        art33=tuple(_art33(facts, gaps, zone)),
        addressees=tuple(_addressees(facts)),
        timeline=tuple(observed.timeline(case, facts, result)),
        activity=observed.activity(case),
        funnel=tuple(observed.funnel(case, window)),
        findings=tuple(observed.findings(case, zone)),
        method=observed.method(case, result),
        scope=scope,
        risk=_risk(case, facts, result),
        measures=_measures(facts, zone),
        communication=_communication(facts, zone),
        limits=tuple(observed.limits(case, facts)),
        open_points=tuple(_open_points(facts, gaps, zone)),
        evidence=observed.evidence(case, zone),
        obligations=tuple(_obligations(result, zone)),
        sign_off=tuple(
            {
                "name": s.name,
                "role": s.role,
                "at": stamp(s.at, zone) if s.at else NOT_KNOWN,
                "decision": s.decision,
            }
            for s in facts.signatures()
        ),
        playbook=tuple(_playbook(case, zone)),
        changes=tuple(dict(c) for c in changes),
        gradients=tuple(observed.gradients(case)),
        membership=tuple(observed.membership(case)),
    )


def _fact_rows(facts: Facts, zone: str) -> list[Row]:
    return [
        {
            "key": f.key,
            "label": f.label,
            "part": f.part,
            "art": f.art,
            "known": facts.has(f.key),
            "source": facts.sources.get(f.key, "") if facts.has(f.key) else "",
            "value": shown(facts.values.get(f.key), zone),
            "needed": f.needed.value if f.needed else "",
        }
        for f in FIELDS
    ]


_ART33 = (
    (
        "33(3)(a)",
        "Nature of the breach; categories and approximate number of people and of records",
        ("breach.narrative", "breach.cia", "breach.vector", "subjects.categories",
         "subjects.count", "data.categories", "data.special", "data.records"),
    ),
    (
        "33(3)(b)",
        "Data protection officer or other contact point",
        ("dpo.name", "dpo.role", "dpo.email", "dpo.phone", "dpo.out_of_hours"),
    ),
    (
        "33(3)(c)",
        "Likely consequences",
        ("consequences.harms", "consequences.text"),
    ),
    (
        "33(3)(d)",
        "Measures taken or proposed, including mitigation",
        ("measures.containment", "measures.mitigation", "measures.prevention"),
    ),
    (
        "33(1)",
        "Reasons for the delay, where later than 72 hours",
        ("timeline.awareness_at", "notification.submitted_at", "notification.delay_reasons"),
    ),
    ("33(4)", "Information in phases: what is still missing", ("unknown",)),
)  # fmt: skip


def _art33(facts: Facts, gaps: Sequence[Gap], zone: str) -> list[Row]:
    labels = {f.key: f.label for f in FIELDS}
    rows = []
    for letter, asks, keys in _ART33:
        optional = {"dpo.role", "dpo.out_of_hours", "consequences.text", "data.special",
                    "measures.mitigation", "notification.delay_reasons", "dpo.phone",
                    "unknown"}  # fmt: skip
        answers = [
            {"key": key, "label": labels[key], "value": shown(facts.values.get(key), zone)}
            for key in keys
            if facts.has(key) or key not in optional
        ]
        if letter == "33(4)" and gaps:
            missing = "; ".join(g.field.label.lower() for g in gaps)
            answers.append({"key": "unknown", "label": "Still missing", "value": missing})
        rows.append({"letter": letter, "asks": asks, "answers": answers})
    return rows


def _addressees(facts: Facts) -> list[Row]:
    found = [
        {
            "country": a.authority.country,
            "name": a.authority.name,
            "short": a.authority.short,
            "page": a.authority.page,
            "note": a.authority.note,
            "certainty": a.authority.certainty,
            "checked_on": a.authority.checked_on.isoformat(),
            "role": a.role,
            "reason": a.reason,
            "people": a.people,
            "form": list(a.authority.form),
        }
        for a in addressees(facts)
    ]
    others = ", ".join(f"{a.short} ({n})" for a, n in concerned(facts))
    if found and others:
        found[0]["concerned"] = others
    return found


def _summary(case: Case, facts: Facts, result: Assessment, window: exposed.Window) -> Row:
    zone = result.zone
    target = result.next_target
    aware = facts.instant("timeline.awareness_at")
    proposed = facts.proposals.get("timeline.awareness_at")
    awareness = (
        reading(aware, zone)
        if aware
        else f"not confirmed; proposed {reading(proposed, zone)}"
        if isinstance(proposed, datetime)
        else "not confirmed"
    )
    level = facts.text("risk.level")
    measures = [
        m
        for key in ("measures.containment", "measures.mitigation", "measures.prevention")
        for m in facts.measures(key)
    ]
    return {
        "what": facts.text("breach.narrative", NOT_KNOWN),
        "cause": facts.text("breach.cause", NOT_KNOWN),
        "when": f"{reading(facts.instant('timeline.started_at'), zone)} to "
        f"{reading(facts.instant('timeline.ended_at'), zone)}; "
        + {"yes": "still going on", "no": "not going on any more"}.get(
            facts.tri("timeline.ongoing"), "whether it is still going on is not yet known"
        ),
        "who": about(facts.count("subjects.count"), "person", "people")
        + "; "
        + about(facts.count("data.records"), "record", "records"),
        "people": _count_row(facts.count("subjects.count")),
        "records": _count_row(facts.count("data.records")),
        "risk": f"decided: {level}, by {facts.text('risk.decided_by', NOT_KNOWN)}"
        if level
        else f"not decided yet; irkit suggests: {result.proposed_risk}",
        "severity": band_words(result.band_low, result.band_high) if result.clusters else NOT_KNOWN,
        "awareness": awareness,
        "deadline": _deadline_words(result, target, case.clock(), facts),
        "done": [m.text for m in measures if m.state == "done"],
        "under_way": [m.text for m in measures if m.state == "in progress"],
        "planned": [m.text for m in measures if m.state in ("planned", "proposed")],
        "exposing_responses": window.requests,
        "accounts": window.credentials,
        "addresses": window.addresses,
    }


def _count_row(count: Count | None) -> Row | None:
    if count is None:
        return None
    return {"min": count.min, "best": count.best, "max": count.max, "method": count.method}


def _deadline_words(result: Assessment, target: Any, now: datetime, facts: Facts) -> str:
    if target is None:
        duty = next((o for o in result.obligations if o.rule.id == "gdpr-33-1"), None)
        return f"{duty.rule.provision}: {duty.clock}" if duty else "no clock"
    duty, instant = target
    sent = facts.instant("notification.submitted_at") or now
    left = instant.at_utc - sent
    word = f"{_hours(left)} left" if left >= timedelta(0) else f"{_hours(-left)} late"
    return f"{duty.rule.provision}: {reading(instant.at_utc, result.zone)} ({word})"


def _hours(delta: timedelta) -> str:
    minutes = int(delta.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _risk(case: Case, facts: Facts, result: Assessment) -> Row:
    flagged = exposed.findings(case)
    bands = [result.band_low, result.band_high] if result.clusters else []
    gdpr = any(o.rule.id == "gdpr-33-5" and o.applies == "yes" for o in result.obligations)
    row = risk_row(gdpr_linked=gdpr)
    by_id = {o.rule.id: o for o in result.obligations}
    return {
        "level": facts.text("risk.level", NOT_KNOWN),
        "reasons": facts.text("risk.reasons", NOT_KNOWN),
        "decided_by": facts.text("risk.decided_by", NOT_KNOWN),
        "suggestion": {"level": result.proposed_risk, "reasons": result.proposed_reasons},
        "art33": by_id["gdpr-33-1"].reason if "gdpr-33-1" in by_id else "",
        "art34": by_id["gdpr-34-1"].reason if "gdpr-34-1" in by_id else "",
        "bands": bands,
        "se": [result.se_low, result.se_high] if result.clusters else [],
        "over_100": result.over_100,
        "meaning": BAND_MEANING[result.band_high] if result.clusters else "",
        "reading": BAND_READING[result.band_high] if result.clusters else "",
        "scales": BAND_SCALES[result.band_high] if result.clusters else {},
        "clusters": [
            {
                "label": c.label,
                "subjects": c.subjects,
                "dpc": [c.score.dpc.low, c.score.dpc.high],
                "ei": [c.score.ei.low, c.score.ei.high],
                "cb": [c.score.cb.low, c.score.cb.high],
                "se": [c.score.se_low, c.score.se_high],
                "band": band_words(c.score.band_low, c.score.band_high),
                "reasons": [*c.score.dpc.reasons, *c.score.ei.reasons],
            }
            for c in result.clusters[:12]
        ],
        "cb_reasons": list(result.clusters[0].score.cb.reasons) if result.clusters else [],
        "factors": [
            {"factor": f.factor, "finding": f.finding, "raises": f.raises} for f in result.factors
        ],
        "analogues": [
            {
                "case": a.number,
                "title": a.title,
                "outcome": a.outcome,
                "like": a.like,
                "source": a.source,
                "certainty": a.certainty,
            }
            for a in resembling(
                attacked=bool(flagged),
                campaigns=any(f.unit_kind == "campaign" for f in flagged),
                recipients_known=facts.tri("recipients.known") == "yes",
                bands=bands,
            )
        ],
        "hipaa": {
            name: facts.text(f"hipaa.{name}", NOT_KNOWN)
            for name in ("nature", "recipient", "acquired", "mitigation", "conclusion")
        },
        "hipaa_applies": facts.tri("regimes.hipaa"),
        "register_row": {
            "risk": row.risk,
            "impact": row.impact,
            "likelihood": row.likelihood,
            "detectability": row.detectability,
            "escalation": row.escalation,
            "owner": list(row.owner),
            "review": row.review,
            "references": list(row.references),
        },
    }


def _measures(facts: Facts, zone: str) -> Row:
    return {
        name: [
            {
                "text": m.text,
                "state": m.state,
                "at": stamp(m.at, zone) if m.at else "",
                "owner": m.owner,
                "evidence": m.evidence,
            }
            for m in facts.measures(f"measures.{name}")
        ]
        for name in ("before", "containment", "mitigation", "prevention")
    }


def _communication(facts: Facts, zone: str) -> Row:
    return {
        "required": facts.tri("communication.required"),
        "done_at": shown(facts.instant("communication.done_at"), zone),
        "channel": facts.text("communication.channel", NOT_KNOWN),
        "exemption": facts.text("communication.exemption", "none"),
        "exemption_evidence": facts.text("communication.exemption_evidence"),
        "advice": list(facts.texts("communication.advice")),
        "note": "34(3)(a) hardly ever holds for text that was emitted in clear; 34(3)(b) is hard "
        "to show while the responses are in the recipients' hands",
    }


def _open_points(facts: Facts, gaps: Sequence[Gap], zone: str) -> list[Row]:
    labels = {f.key: f.label for f in FIELDS}
    rows: list[Row] = [
        {
            "key": g.field.key,
            "label": g.field.label,
            "needed": g.field.needed.value if g.field.needed else "",
            "expected": shown(g.promised.expected if g.promised else None, zone),
            "note": g.promised.note if g.promised else g.field.hint,
        }
        for g in gaps
    ]
    listed = {row["key"] for row in rows}
    rows += [
        {
            "key": u.key,
            "label": labels.get(u.key, u.key),
            "needed": "",
            "expected": shown(u.expected, zone),
            "note": u.note,
        }
        for u in facts.unknowns()
        if u.key not in listed
    ]
    return rows


def _end(instant: Instant, zone: str) -> str:
    """The end in local time; a period of days ends with a day, not at the midnight after it."""
    if instant.whole_day:
        last = (instant.at_utc - timedelta(seconds=1)).astimezone(zone_of(zone))
        return f"end of {last.date().isoformat()}"
    return stamp(instant.at_utc, zone)


def _obligations(result: Assessment, zone: str) -> list[Row]:
    return [
        {
            "rule": o.rule.id,
            "regime": o.rule.regime,
            "provision": o.rule.provision,
            "title": o.rule.title,
            "recipient": o.rule.recipient,
            "applies": o.applies,
            "reason": o.reason,
            "clock": o.clock,
            "wording": o.rule.wording,
            "source": o.rule.source,
            "certainty": o.rule.certainty,
            "instants": [{**instant_dict(i), "local": _end(i, zone)} for i in o.instants],
        }
        for o in result.obligations
    ]


def _playbook(case: Case, zone: str) -> list[Row]:
    return [
        {
            "id": v.step.id,
            "title": v.step.title,
            # A packet cannot wait for itself.
            "state": "open"
            if v.blocked_by == (CHECKS["has_packet"][0],)
            else v.state.replace("_", " "),
            "decision": v.decision,
            "reason": v.reason,
            "owner": v.owner,
            "at": stamp(v.changed_at, zone) if v.changed_at else "",
            "evidence": [
                {"label": e.label, "text": e.text}
                for e in v.evidence
                if e.name not in ("custody", "packets")
            ],
        }
        for v in steps(case)
    ]
