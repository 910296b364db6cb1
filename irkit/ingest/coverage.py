"""What each source can and cannot tell: its capability record, observed span, and silent gaps.

"No row" is never "no attempt": gaps, sampling, missing failed calls and missing content are stored
with the source and reported, so that nobody reads silence as innocence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from irkit.case import Case
from irkit.case.views.silence import Silence, silences
from irkit.ingest.format import Format

_MAX_GAPS = 20

_OBSERVED = """
SELECT source_id, count(*) AS records, min(event_time), max(event_time),
  count(*) FILTER (WHERE event_time IS NULL),
  count(*) FILTER (WHERE client_ip IS NOT NULL),
  count(*) FILTER (WHERE credential_id IS NOT NULL),
  count(*) FILTER (WHERE session_id IS NOT NULL),
  count(*) FILTER (WHERE prompt_text_id IS NOT NULL OR response_text_id IS NOT NULL),
  count(*) FILTER (WHERE has_logprobs),
  count(*) FILTER (WHERE params_known),
  count(*) FILTER (WHERE status_code IS NOT NULL OR outcome <> 'unknown'),
  count(*) FILTER (WHERE status_code >= 400 OR outcome IN ('error', 'rate_limited', 'blocked')),
  count(*) FILTER (WHERE stream)
FROM query_record WHERE source_id BETWEEN $low AND $high GROUP BY source_id
"""

_COUNTED = """
SELECT source_id, '{name}' AS what, {value} AS value, count(*) AS n
FROM query_record WHERE source_id BETWEEN $low AND $high AND {value} IS NOT NULL
GROUP BY source_id, value
"""

_WARNED = """
SELECT source_id, 'warnings' AS what, value, count(*) AS n FROM (
  SELECT source_id, unnest(parse_warnings) AS value FROM query_record
  WHERE source_id BETWEEN $low AND $high AND len(parse_warnings) > 0)
GROUP BY source_id, value
"""


def describe(
    case: Case,
    source_ids: Sequence[int],
    formats: Mapping[int, Sequence[Format]],
    extra: Mapping[int, Mapping[str, Any]],
) -> list[tuple[int, Any, Any, str]]:
    """Return (source id, first and last event time, capability JSON) of freshly read sources.

    Args:
        case: the case; the sources' records are already in it.
        source_ids: sources to describe.
        formats: formats found in each source.
        extra: facts from reading (records per format, notes) to merge into the JSON.
    """
    wanted = set(source_ids)
    span = {"low": min(wanted), "high": max(wanted)}
    observed = {int(row[0]): row for row in _rows(case, _OBSERVED, span) if row[0] in wanted}
    counted: dict[int, dict[str, dict[str, int]]] = {key: {} for key in wanted}
    statements = [
        _COUNTED.format(name=name, value=value)
        for name, value in (
            ("client_ip_kinds", "client_ip_kind"),
            ("content_states", "content_state"),
            ("credential_kinds", "credential_kind"),
            ("event_time_kinds", "event_time_kind"),
        )
    ]
    for statement in (*statements, _WARNED):
        for source_id, what, value, number in _rows(case, statement, span):
            if source_id in wanted:
                counted[source_id].setdefault(what, {})[value] = int(number)
    gaps: dict[int, list[Silence]] = {}
    for silence in silences(case.con, (span["low"], span["high"])):
        if silence.source_id in wanted:
            gaps.setdefault(silence.source_id, []).append(silence)
    out = []
    for source_id in sorted(wanted):
        row = observed.get(source_id)
        capability = _capability(row, formats.get(source_id, ()))
        capability |= counted[source_id]
        capability |= _losses(capability, formats.get(source_id, ()))
        found = sorted(gaps.get(source_id, []), key=lambda gap: gap.since - gap.until)[:_MAX_GAPS]
        capability["gaps"] = sorted(
            [gap.since.isoformat() + "Z", gap.until.isoformat() + "Z"] for gap in found
        )
        capability["gap_rule"] = found[0].rule if found else None
        capability |= extra.get(source_id, {})
        first, last = (row[2], row[3]) if row else (None, None)
        out.append((source_id, first, last, json.dumps(capability, sort_keys=True)))
    return out


def _losses(capability: Mapping[str, Any], formats: Sequence[Format]) -> dict[str, str]:
    """Say in words what the source left out of its records."""
    states, rows = capability.get("content_states", {}), capability["rows"]
    said = {}
    cut = states.get("truncated", 0)
    if cut:
        said["truncation"] = f"{cut:,} of {rows:,} records hold texts that were cut"
    kept = {
        name: states[name]
        for name in ("redacted", "encrypted", "external", "external_missing")
        if states.get(name)
    }
    if kept:
        words = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in kept.items())
        said["redaction"] = f"content withheld in some of {rows:,} records: {words}"
    if any(fmt.sampled for fmt in formats) or "sampled" in capability.get("warnings", {}):
        said["sampling"] = "the producer may log only a sample of the calls"
    return said


def _rows(case: Case, sql: str, params: Mapping[str, int]) -> list[tuple[Any, ...]]:
    return case.con.execute(sql, dict(params)).fetchall()


def _capability(row: tuple[Any, ...] | None, formats: Sequence[Format]) -> dict[str, Any]:
    numbers = [int(value) for value in row[4:]] if row else [0] * 10
    untimed, ips, keys, sessions, content, logprobs, params, status, failed, _ = numbers
    records = int(row[1]) if row else 0
    declared = sorted({c.value for fmt in formats for c in fmt.capabilities})
    told = {
        "has_ip": ips > 0,
        "has_credential": keys > 0,
        "has_session": sessions > 0,
        "has_content": content > 0,
        "has_logprobs": logprobs > 0,
        "has_params": params > 0,
        "has_status": status > 0,
    }
    notes = []
    if records and not failed:
        notes.append("no failed call is recorded: failed attempts may be missing")
    if any(fmt.sampled for fmt in formats):
        notes.append("the producer may log only a sample of the calls")
    if untimed:
        notes.append(f"{untimed:,} records have no usable time")
    return {
        **told,
        "declared": declared,
        "failed_calls": failed,
        "notes": notes,
        "rows": records,
        "with": {
            "client_ip": ips,
            "credential": keys,
            "logprobs": logprobs,
            "session": sessions,
        },
    }
