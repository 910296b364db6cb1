"""What the case itself shows, as rows of the packet: aggregates, ids and hashes only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from irkit import __version__
from irkit.case.views.linking import linkage
from irkit.errors import EvidenceMismatch
from irkit.packet.merkle import root
from irkit.packet.model import Row
from irkit.packet.words import minutes, short, stamp
from irkit.playbook import exposed
from irkit.playbook.assessment import Assessment
from irkit.playbook.facts import Facts
from irkit.playbook.prefill import awareness_history, plural
from irkit.scope import notes

if TYPE_CHECKING:
    from irkit.case import Case

#: More rows than this help nobody on paper; the custody log has all of them.
_MAX_TIMELINE = 60


def timeline(case: Case, facts: Facts, result: Assessment) -> list[Row]:
    """Events of the breach and of the response, each with its source, in order."""
    zone = result.zone
    rows: list[tuple[datetime, str, str, str]] = []

    def add(at: datetime | None, what: str, kind: str, source: str) -> None:
        if at is not None:
            rows.append((at.astimezone(UTC), what, kind, source))

    window = exposed.window(case)
    add(window.first, "first response with exposed data", "breach", "inference logs")
    add(window.last, "last response with exposed data", "breach", "inference logs")
    add(exposed.incident_start(case), "earliest possible start of the attack", "breach", "findings")
    for f in exposed.listed(exposed.findings(case))[:12]:
        what = f"{f.technique.replace('_', ' ')} by {f.unit_kind.replace('_', ' ')} " + short(
            f.unit
        )
        add(f.onset, f"estimated onset: {what}", "breach", f"finding {f.finding_id}")
    names = {
        "timeline.first_signal_at": "first signal",
        "timeline.triage_started_at": "short investigation began",
        "timeline.awareness_at": "awareness confirmed",
        "timeline.processor_told_at": "told by the processor",
        "timeline.contained_at": "contained",
        "notification.submitted_at": "this phase submitted",
        "communication.done_at": "people told",
        "risk.decided_at": "risk decided",
    }
    for key, what in names.items():
        who = "stated by people" if facts.sources.get(key) == "you" else "from the case"
        add(facts.instant(key), what, "response", who)
    for entry in awareness_history(case):
        words = f"awareness corrected from {entry['was']} to {entry['is']}: {entry['reason']}"
        add(datetime.fromisoformat(entry["at"]), words, "response", "case history")
    first, last = case.rows("SELECT min(acquired_at), max(acquired_at) FROM evidence_source")[0]
    add(exposed.utc(first), "evidence preserved (first file)", "response", "custody log")
    if last != first:
        add(exposed.utc(last), "evidence preserved (last file)", "response", "custody log")
    for key in ("containment", "mitigation", "prevention"):
        for m in facts.measures(f"measures.{key}"):
            if m.state == "done":
                add(m.at, f"{key}: {m.text}", "response", m.evidence or "facts")
    for notice in facts.notices():
        add(notice.at, f"notice given to {notice.to}", "response", notice.reference or "facts")
    for o in result.obligations:
        if o.applies == "yes" and o.target:
            what = f"limit: {o.rule.provision}, {o.rule.title.lower()}"
            add(o.target.at_utc, what, "limit", o.rule.id)
    rows.sort(key=lambda r: (r[0], r[2], r[1]))
    return [
        {
            "utc": at.strftime("%Y-%m-%d %H:%M"),
            "local": minutes(at, zone),
            "what": what,
            "kind": kind,
            "source": source,
        }
        for at, what, kind, source in rows[:_MAX_TIMELINE]
    ]


def activity(case: Case) -> Row:
    """Queries over time: all, of flagged actors, and exposing, in at most 60 buckets."""
    first, last = case.rows(
        "SELECT min(event_time), max(event_time) FROM query_record WHERE duplicate_of IS NULL"
    )[0]
    if first is None or last is None:
        return {"bucket_seconds": 0, "start": None, "all": [], "flagged": [], "exposing": []}
    span = max(1.0, (last - first).total_seconds())
    steps_ = (60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 2592000)
    width = next((w for w in steps_ if span / w <= 60), int(span / 60) + 1)
    rows = case.rows(
        "WITH flag AS (SELECT DISTINCT unit_kind, unit FROM finding WHERE tier IN ('A', 'B')),"
        " hit AS (SELECT DISTINCT record_id FROM ("
        + exposed.counted(case)
        + "SELECT record_id FROM"
        " counted)) SELECT CAST(floor((epoch(r.event_time) - epoch(?::TIMESTAMP)) / ?) AS BIGINT)"
        " AS b, count(*), count(*) FILTER (WHERE EXISTS (SELECT 1 FROM flag f WHERE"
        " (f.unit_kind = 'credential' AND f.unit = r.credential_id) OR (f.unit_kind = 'source_ip'"
        " AND f.unit = r.client_ip))), count(*) FILTER (WHERE r.record_id IN (SELECT record_id"
        " FROM hit)) FROM query_record r WHERE r.duplicate_of IS NULL AND r.event_time IS NOT NULL"
        " GROUP BY b ORDER BY b",
        [first, width],
    )
    size = int(rows[-1][0]) + 1
    series: dict[str, list[int]] = {name: [0] * size for name in ("all", "flagged", "exposing")}
    for bucket, everything, flagged, exposing in rows:
        series["all"][int(bucket)] = int(everything)
        series["flagged"][int(bucket)] = int(flagged)
        series["exposing"][int(bucket)] = int(exposing)
    start = exposed.utc(first)
    return {"bucket_seconds": width, "start": start.isoformat() if start else None, **series}


def funnel(case: Case, window: exposed.Window) -> list[Row]:
    """From everything read to the people: how the evidence narrows."""
    records, flagged = case.rows(
        "SELECT count(*), count(*) FILTER (WHERE credential_id IN (SELECT unit FROM finding WHERE"
        " unit_kind = 'credential' AND tier IN ('A', 'B')) OR client_ip IN (SELECT unit FROM"
        " finding WHERE unit_kind = 'source_ip' AND tier IN ('A', 'B')))"
        " FROM query_record WHERE duplicate_of IS NULL"
    )[0]
    rows: list[Row] = [
        {"label": "queries read", "best": int(records), "low": None, "high": None},
        {"label": "queries of flagged actors", "best": int(flagged), "low": None, "high": None},
        {"label": "responses with exposed data", "best": window.requests, "low": None,
         "high": None},
    ]  # fmt: skip
    for label, count in (
        ("training records exposed", exposed.records(case)),
        ("people concerned", exposed.people(case)),
    ):
        if count is not None:
            rows.append({"label": label, "best": count.best, "low": count.min, "high": count.max})
    return rows


def findings(case: Case, zone: str) -> list[Row]:
    """Flagged actors of tiers A and B with the detectors that spoke."""
    detectors: dict[tuple[str, str], list[str]] = {}
    for kind, unit, name in case.rows(
        "SELECT DISTINCT unit_kind, unit, detector FROM detector_result WHERE status = 'FOUND'"
        " ORDER BY unit_kind, unit, detector"
    ):
        detectors.setdefault((str(kind), str(unit)), []).append(str(name))
    return [
        {
            "finding_id": f.finding_id,
            "actor": f"{f.unit_kind.replace('_', ' ')} {f.unit}",
            "members": len(f.members) if f.unit_kind == "campaign" else 0,
            "technique": f.technique.replace("_", " "),
            "profile": f.profile,
            "tier": f.tier,
            "p_value": f.p_value,
            "p_kind": f.p_kind.replace("_", " "),
            "onset": minutes(f.onset, zone),
            "last_seen": minutes(f.last_seen, zone),
            "queries": f.queries,
            "summary": f.summary,
            "detectors": detectors.get((f.unit_kind, f.unit), []),
        }
        for f in exposed.listed(exposed.findings(case))[:40]
    ]


def membership(case: Case) -> list[Row]:
    """What membership inference could learn, for the flagged actors as the reader sees them."""
    from irkit.analyzers import membership_harm

    learned = membership_harm.details(case)
    rows = []
    for f in exposed.listed(exposed.findings(case)):
        detail = learned.get(f.finding_id)
        if detail is None:
            continue
        head = detail.get("statistics", {}).get(detail.get("headline"), {})
        privacy = detail.get("differential_privacy")
        rows.append(
            {
                "finding_id": f.finding_id,
                "actor": f"{f.unit_kind.replace('_', ' ')} {f.unit}",
                "members": detail["members"],
                "non_members": detail["non_members"],
                "auc": head.get("auc"),
                "tpr_at_fpr_1_percent": head.get("tpr_at_fpr_0.01", {}).get("tpr"),
                "balanced_accuracy": head.get("balanced_accuracy"),
                "release_gate": detail.get("policy", {}).get("verdict", "not measured"),
                "members_told": detail.get("members_told", {}).get("count"),
                "differential_privacy": membership_harm.privacy_sentence(privacy)
                if privacy
                else None,
                "sentence": detail["sentence"],
                "needs": detail.get("needs"),
                "method": detail["method"],
            }
        )
    return rows[:40]


def gradients(case: Case) -> list[Row]:
    """What preserved gradients disclose, one row per file."""
    from irkit.analyzers import d14_gradient_artifact_leakage as d14

    return [
        {
            "evidence": f"E{row['source_id']:03d}",
            "round": row["round"] or "",
            "client": row["client"] or "",
            "kind": row["kind"],
            "outcome": row["outcome"],
            "records_identified": row["records_identified"],
            "records_possible": row["records_possible"],
            "tampered": row["tampered"],
            "sentences": row["sentences"],
            "not_computed": row["not_computed"],
        }
        for row in d14.lines(case)[:200]
    ]


def method(case: Case, result: Assessment) -> Row:
    """Versions, settings, calibration, detectors and recognisers behind the numbers."""
    calibration = {}
    for key, value in case.rows("SELECT key, value FROM calibration ORDER BY key"):
        try:
            calibration[str(key)] = json.loads(value)
        except ValueError:
            continue
    statuses = {
        str(name): {"found": int(a), "quiet": int(b), "not_applicable": int(c), "error": int(d)}
        for name, a, b, c, d in case.rows(
            "SELECT detector, count(*) FILTER (WHERE status = 'FOUND'), count(*) FILTER (WHERE"
            " status = 'NO_FINDINGS'), count(*) FILTER (WHERE status = 'NOT_APPLICABLE'),"
            " count(*) FILTER (WHERE status = 'ERROR') FROM detector_result GROUP BY detector"
            " ORDER BY detector"
        )
    }
    recognisers = [
        {"recogniser": str(name), "hits": int(number)}
        for name, number in case.rows(
            "SELECT recogniser, count(*) FROM entity GROUP BY recogniser ORDER BY recogniser"
        )
    ]
    return {
        "tool": f"irkit {__version__}",
        "settings_hash": case.settings.digest(),
        "seed": case.settings.seed,
        "fpr": case.settings.fpr,
        "fdr": case.settings.fdr,
        "calibration": calibration,
        "detectors": statuses,
        "recognisers": recognisers,
        "levels": {
            str(level): int(number)
            for level, number in case.rows(
                "SELECT level, count(*) FROM exposure GROUP BY level ORDER BY level"
            )
        },
        "counts": [
            {"name": str(n), "min": a, "best": b, "max": c, "method": str(m)}
            for n, a, b, c, m in case.rows(
                "SELECT name, min, best, max, method FROM scope_count ORDER BY name, method"
            )
        ],
        "holidays": result.holidays,
        "spread": spread(case),
    }


def spread(case: Case) -> Row:
    """Spread of leaking prompts: structural or scenario-specific."""
    spread = exposed.template_spread(case)
    return {
        "proposal": spread.proposal,
        "reason": spread.reason,
        "families": [{"name": name, "prompts": number} for name, number in spread.families],
    }


def scope(case: Case, facts: Facts, result: Assessment) -> Row:
    """Kinds of data, people by status and country, recipients, models."""
    by_country = facts.countries("subjects.by_country")
    known = sum(by_country.values())
    people = facts.count("subjects.count")
    return {
        "kinds": [
            {"kind": kind.replace("_", " ").lower(), "exposures": number}
            for kind, number in exposed.kinds(case).items()
        ],
        "provenance": {
            str(name): int(number)
            for name, number in case.rows(
                "SELECT provenance, count(*) FROM exposure GROUP BY provenance ORDER BY provenance"
            )
        },
        "status": {
            str(name): int(number)
            for name, number in case.rows(
                "SELECT status, count(*) FROM subject GROUP BY status ORDER BY status"
            )
        },
        "countries": by_country,
        "country_unknown": max(0, people.best - known) if people else None,
        "children": facts.tri("subjects.children"),
        "vulnerable": facts.tri("subjects.vulnerable"),
        "recipients": [
            {"who": who, "requests": number, "last": minutes(last, result.zone)}
            for who, number, last in exposed.recipients(case, 25)
        ],
        "models": exposed.models(case)[:20],
        "other_text": exposed.other_text(case),
    }


def limits(case: Case, facts: Facts) -> list[str]:
    """What the findings do not show, from the sources' own capabilities and gaps."""
    limits = []
    gaps = exposed.gaps(case)
    if gaps:
        longest = max(gaps, key=lambda g: g[1] - g[0])
        limits.append(
            f"{plural(len(gaps), 'silence')} in the logs that their own rhythm does not explain "
            "(calls by hour of day; in short logs the usual pause); the longest from "
            f"{longest[0]:%Y-%m-%d %H:%M} to {longest[1]:%Y-%m-%d %H:%M} UTC. Unlogged time is "
            "unknown, not clean."
        )
    # Files that lack the same things share a line.
    said: dict[str, list[str]] = {}
    for source in exposed.coverage(case):
        capability = source["capability"]
        if not isinstance(capability, dict):
            continue
        lacks = [
            n.removeprefix("has_")
            for n, v in sorted(capability.items())
            if n.startswith("has_") and v is False
        ]
        words = []
        if lacks:
            words.append("does not carry " + ", ".join(lacks))
        words += [
            f"{name}: {capability[name]}"
            for name in ("sampling", "truncation", "redaction")
            if capability.get(name)
        ]
        if capability.get("rows") and capability.get("failed_calls") == 0:
            words.append("no failed call is recorded, so refused attempts may be missing")
        if source["quarantined"]:
            words.append(f"{source['quarantined']} entries could not be read (quarantine)")
        if words:
            said.setdefault("; ".join(words), []).append(str(source["file"]))
    for what, files in list(said.items())[:16]:
        more = f" and {len(files) - 8} more files" if len(files) > 8 else ""
        limits.append(f"{', '.join(files[:8])}{more}: {what}.")
    limits += _linking(case)
    unverified = int(
        case.rows("SELECT count(*) FROM exposure WHERE provenance = 'unverified'")[0][0]
    )
    limits += [f"{note[0].upper()}{note[1:]}." for note in notes(case)]
    if unverified:
        limits.append(
            f"{plural(unverified, 'passage')} are in neither corpus nor context: invented "
            "look-alikes, or a corpus that is incomplete. They widen the maximum only."
        )
    limits += [
        "Behaviour is statistical: a finding is evidence, not proof, of an intent.",
        "Exposure is shown by verified shared passages; paraphrases and encodings can escape.",
        "A hash chain shows changes after intake; it cannot prove that a log was complete or true "
        "when it was collected.",
        "irkit computes and documents; a human decides. Nothing here is legal advice.",
        *facts.texts("limits"),
    ]
    return limits


def _linking(case: Case) -> list[str]:
    """Say which attributions rest on a join by time, and what no join was found for."""
    ties = linkage(case.con)
    said = []
    if ties.filled_by_time:
        flagged = int(
            case.rows(
                "SELECT count(*) FROM record_link l JOIN query_record r USING (record_id)"
                " WHERE l.confidence <> 'high' AND len(l.filled) > 0"
                " AND EXISTS (SELECT 1 FROM finding f WHERE f.tier IN"
                " ('A', 'B') AND ((f.unit_kind = 'credential' AND f.unit = r.credential_id) OR"
                " (f.unit_kind = 'source_ip' AND f.unit = r.client_ip)))"
            )[0][0]
        )
        said.append(
            f"{plural(ties.filled_by_time, 'call')} got address or credential from an access log"
            f" that shares no id with them, by time (and token counts where logged); {flagged} of"
            " them belong to flagged actors. Such an attribution is likely, not proven."
        )
    if lost := sum(number for name, number in ties.bodies.items() if name != "found"):
        said.append(
            f"{plural(lost, 'text')} of calls lie in separate objects that are not in the evidence,"
            " or cannot be told apart or read; what they held is not counted."
        )
    if ties.ambiguous:
        said.append(
            f"{ties.ambiguous} entries or ids of the logs could belong to several calls; irkit did"
            " not choose between them."
        )
    if ties.unlinked_access:
        said.append(
            f"For {ties.unlinked_access} calls only the access log was preserved: who called is"
            " known, what was asked and answered is not."
        )
    return said


def evidence(case: Case, zone: str) -> Row:
    """Preserved files with hashes, the custody head and the Merkle root."""
    rows = case.rows(
        "SELECT source_id, original_path, sha256, bytes, storage, state, acquired_at,"
        " coalesce(acquired_by, ''), coalesce(format, ''), coalesce(records, 0),"
        " coalesce(quarantined, 0), min_event_time, max_event_time"
        " FROM evidence_source ORDER BY source_id"
    )
    files = [
        {
            "id": f"E{int(r[0]):03d}",
            "file": str(r[1]).replace("\\", "/").rsplit("/", 1)[-1],
            "sha256": str(r[2]),
            "bytes": int(r[3]),
            "storage": str(r[4]),
            "state": str(r[5]),
            "collected_at": stamp(exposed.utc(r[6]), zone),
            "collected_by": str(r[7]),
            "format": str(r[8]),
            "records": int(r[9]),
            "quarantined": int(r[10]),
            "first": stamp(exposed.utc(r[11]), zone),
            "last": stamp(exposed.utc(r[12]), zone),
        }
        for r in rows
    ]
    custody: Row = {"entries": 0, "head": "", "state": "verified"}
    try:
        for entry in case.custody.entries():
            # Building and checking change nothing that the packet rests on; leaving them out
            # lets the same facts give the same bytes.
            if entry.action not in ("packet", "schedule", "verify"):
                custody |= {"entries": entry.index + 1, "head": entry.hash}
    except EvidenceMismatch:
        custody = {"entries": 0, "head": "", "state": "mismatch"}
    return {
        "files": files,
        "custody": custody,
        "merkle_root": root([f"{f['sha256']} {f['file']}".encode() for f in files]),
        "merkle": "RFC 9162 tree over 'sha256 file' lines in the order listed",
    }
