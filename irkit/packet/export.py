"""The export files: one JSON Lines file per kind of fact, byte-identical for the same case.

UTF-8, keys sorted, times in ISO 8601 UTC.  Exposed values are masked unless ``reveal`` is asked
for, and then the act is written to the custody log before anything leaves the case.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

import irkit
from irkit.case import Case
from irkit.case.views.linking import linkage
from irkit.case.views.silence import silences
from irkit.case.views.standing import standing
from irkit.errors import StorageError
from irkit.model import TECHNIQUE_TAGS, Technique
from irkit.scope import notes

#: Rows fetched from the database at a time, so that memory does not follow the archive.
_BATCH = 5000

FILES = (
    "findings.jsonl",
    "exposures.jsonl",
    "subjects.jsonl",
    "sessions.jsonl",
    "quarantine.jsonl",
    "evidence.jsonl",
    "summary.json",
)

_FINDINGS = """
SELECT f.finding_id, f.unit_kind, f.unit, f.members, f.technique, f.profile, f.tier, f.p_value,
       f.p_kind, f.score, f.onset, f.onset_low, f.onset_high, f.last_seen, f.queries,
       f.evidence_request_ids, f.runner_up, f.q_value, f.summary, f.first_seen, f.pattern_at,
       f.end_low, f.end_high, f.dilution, f.stretches, f.pattern, f.by_e_values,
       f.tail_p, list_sort(coalesce(f.also, [])) AS also
FROM finding f ORDER BY f.unit_kind, f.unit, f.technique, f.finding_id
"""

_DETECTORS = """
SELECT unit_kind, unit, detector, status, statistic, p_value, summary
FROM detector_result WHERE (unit_kind, unit) IN (SELECT (unit_kind, unit) FROM finding)
ORDER BY unit_kind, unit, detector, bucket NULLS FIRST
"""

_EXPOSURES = """
SELECT e.exposure_id, r.request_id, r.credential_id AS credential, r.event_time AS time,
       e.provenance, e.level, e.doc_id, e.response_start, e.response_end, e.matched_chars,
       e.subtracted_chars, e.leaked_chars, e.choice, e.record_id,
       list_sort(coalesce(s.keys, [])) AS subject_keys,
       list_sort(coalesce(e.entity_types, [])) AS entity_types,
       {value} AS value_masked
FROM exposure e
LEFT JOIN query_record r USING (record_id)
LEFT JOIN (SELECT exposure_id, list(DISTINCT subject_key) AS keys
           FROM exposure_subject GROUP BY exposure_id) s USING (exposure_id)
{text}
ORDER BY r.event_time, r.source_id, r.entry_no, e.choice, e.response_start, e.exposure_id
"""

_REVEAL_JOIN = """
LEFT JOIN query_choice c ON c.record_id = e.record_id AND c.choice = e.choice
LEFT JOIN text t ON t.text_id = c.text_id
"""

_SUBJECTS = """
SELECT subject_key, subject_id, status, list_sort(coalesce(categories, [])) AS categories,
       special_category, list_sort(coalesce(countries, [])) AS countries, exposures,
       first_exposed, last_exposed, child, link_method
FROM subject ORDER BY subject_key
"""

_SESSIONS = """
SELECT session_key, kind, credential_id, client_ip, started, ended, queries
FROM session ORDER BY session_key
"""

_QUARANTINE = """
SELECT q.source_id, e.original_path AS file, q.entry_no, q.byte_offset, q.byte_len, q.sha256,
       q.error_code, q.error_text, q.state
FROM quarantine q JOIN evidence_source e USING (source_id)
ORDER BY q.source_id, q.entry_no, q.byte_offset
"""

_EVIDENCE = """
SELECT source_id, path, original_path AS original_name, sha256, bytes, mtime, storage, state,
       container, framing, format, format_confidence, entries, records, blanks, quarantined,
       min_event_time, max_event_time, capability
FROM evidence_source ORDER BY source_id
"""

_SOURCES = """
SELECT original_path, format, entries, records, blanks, quarantined, min_event_time,
       max_event_time, state, capability
FROM evidence_source ORDER BY source_id
"""


def export(case: Case, out: Path, *, reveal: bool = False) -> list[Path]:
    """Write the export files of a case.

    Args:
        case: the case; it must be open for writing when ``reveal`` is set.
        out: directory to create or fill; files of an earlier export are replaced.
        reveal: write exposed passages in clear instead of masked; recorded in custody.

    Raises:
        StorageError: the directory cannot be written.
    """
    if reveal:
        count = case.rows("SELECT count(*) FROM exposure")[0][0]
        case.custody.append("reveal", where="export", exposures=int(count))
    value = (
        "substr(t.body, e.response_start + 1, e.response_end - e.response_start)"
        if reveal
        else "e.value_masked"
    )
    exposures = _EXPOSURES.format(value=value, text=_REVEAL_JOIN if reveal else "")
    try:
        out.mkdir(parents=True, exist_ok=True)
        return [
            _write_lines(out / "findings.jsonl", _findings(case)),
            _write_lines(out / "exposures.jsonl", _channels(_stream(case, exposures))),
            _write_lines(out / "subjects.jsonl", _stream(case, _SUBJECTS)),
            _write_lines(out / "sessions.jsonl", _stream(case, _SESSIONS)),
            _write_lines(out / "quarantine.jsonl", _names_only(_stream(case, _QUARANTINE))),
            _write_lines(out / "evidence.jsonl", _names_only(_stream(case, _EVIDENCE))),
            _write(out / "summary.json", [_dump(summary(case), indent=True) + "\n"]),
        ]
    except OSError as error:
        raise StorageError(
            f"{out}: cannot write the export: {error.strerror}", "choose another --out directory"
        ) from error


def summary(case: Case) -> dict[str, Any]:
    """Counts, coverage, calibration, promise and versions: the case on one page, as data."""
    counts = {
        name: {"min": low, "best": best, "max": high, "method": method}
        for name, low, best, high, method in case.rows(
            "SELECT name, min, best, max, method FROM scope_count ORDER BY name"
        )
    }
    sources = [
        {
            "blanks": row[4],
            "capability": json.loads(row[9]) if row[9] else None,
            "entries": row[2],
            "file": Path(row[0]).name,
            "first_event": _iso(row[6]),
            "format": row[1],
            "last_event": _iso(row[7]),
            "quarantined": row[5],
            "records": row[3],
            "state": row[8],
        }
        for row in case.rows(_SOURCES)
    ]
    tiers = {
        tier: int(number)
        for tier, number in case.rows("SELECT tier, count(*) FROM finding GROUP BY tier ORDER BY 1")
    }
    techniques = {
        technique: int(number)
        for technique, number in case.rows(
            "SELECT technique, count(DISTINCT unit) FROM finding WHERE tier IN ('A', 'B')"
            " GROUP BY technique ORDER BY 1"
        )
    }
    totals = case.rows(
        "SELECT coalesce(sum(entries), 0), coalesce(sum(records), 0), coalesce(sum(blanks), 0),"
        " coalesce(sum(quarantined), 0), min(min_event_time), max(max_event_time),"
        " count(*) FILTER (WHERE state = 'verified'), count(*) FROM evidence_source"
    )[0]
    calibration = {
        key: json.loads(value)
        for key, value in case.rows("SELECT key, value FROM calibration ORDER BY key")
    }
    return {
        **_optional(case),
        "calibration": calibration,
        "case": {"synthetic": case.synthetic, "title": case.title},
        "counts": counts,
        "coverage": {
            "first_event": _iso(totals[4]),
            "gaps": [
                {"rule": gap.rule, "since": _iso(gap.since), "until": _iso(gap.until)}
                for gap in silences(case.con)
            ],
            "last_event": _iso(totals[5]),
            "sources": sources,
        },
        "evidence": {"files": int(totals[7]), "verified": int(totals[6])},
        "findings": {"by_technique_tier_ab": techniques, "by_tier": tiers},
        "ingest": {
            "blanks": int(totals[2]),
            "entries": int(totals[0]),
            "quarantined": int(totals[3]),
            "records": int(totals[1]),
        },
        "linking": asdict(linkage(case.con)),
        "scope": {"limits": list(notes(case))},
        "settings_hash": case.settings.digest(),
        "standing": [asdict(one) for one in standing(case.con)],
        "versions": versions(case),
    }


def _optional(case: Case) -> dict[str, Any]:
    """Parts that only some cases have."""
    from irkit.analyzers import d14_gradient_artifact_leakage as d14
    from irkit.analyzers import membership_harm

    parts: dict[str, Any] = {}
    if learned := membership_harm.details(case):
        parts["membership_inference"] = learned
    artefacts = d14.lines(case)
    if not artefacts:
        return parts
    by_class: dict[str, int] = {}
    for row in artefacts:
        by_class[row["outcome"]] = by_class.get(row["outcome"], 0) + 1
    certain = case.rows("SELECT count(DISTINCT doc_id) FROM gradient_match WHERE sure")
    return parts | {
        "gradients": {
            "artifacts": artefacts,
            "by_class": dict(sorted(by_class.items())),
            "records_identified": int(certain[0][0]),
        }
    }


def versions(case: Case) -> dict[str, Any]:
    """Tool, engine, and model versions that the findings depend on."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in (
        "polars",
        "numpy",
        "scipy",
        "presidio-analyzer",
        "spacy",
        "detect-secrets",
        "onnxruntime",
        "tokenizers",
    ):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    models = case.meta("models", "{}")
    return {
        "duckdb": duckdb.__version__,
        "irkit": irkit.__version__,
        "models": json.loads(models),
        "packages": packages,
    }


# -- rows ---------------------------------------------------------------------------------------


def _findings(case: Case) -> Iterator[dict[str, Any]]:
    detectors: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for kind, unit, name, status, statistic, p_value, text in case.rows(_DETECTORS):
        detectors.setdefault((kind, unit), []).append(
            {
                "name": name,
                "p_value": p_value,
                "statistic": statistic,
                "status": status,
                "summary": text,
            }
        )
    for row in _stream(case, _FINDINGS):
        tags = TECHNIQUE_TAGS[Technique(row["technique"])]
        row["members"] = sorted(row["members"] or [])
        row["evidence_request_ids"] = row["evidence_request_ids"] or []
        row["stretches"] = [
            {"first": first, "last": last, "queries": queries}
            for first, last, queries in json.loads(row["stretches"] or "[]")
        ]
        row["atlas"] = list(tags.atlas)
        row["nist_aml"] = list(tags.nist_aml)
        row["owasp"] = list(tags.owasp)
        row["detectors"] = detectors.get((row["unit_kind"], row["unit"]), [])
        yield row


def _channels(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Say where a record came out of a gradient: such a row has no call and no passage."""
    for row in rows:
        if row["request_id"] is None and row["record_id"].startswith("gradient:"):
            row["channel"] = "gradient"
            row["evidence"] = row["record_id"].removeprefix("gradient:")
        yield row


def _names_only(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Keep file names but not the machine's directories: they differ from run to run."""
    for row in rows:
        for key in ("file", "original_name"):
            if key in row:
                row[key] = Path(row[key]).name
        if row.get("storage") == "referenced":
            row["path"] = Path(row["path"]).name
        row.pop("mtime", None)
        if isinstance(row.get("capability"), str):
            row["capability"] = json.loads(row["capability"])
        yield row


def _stream(case: Case, sql: str) -> Iterator[dict[str, Any]]:
    cursor = case.con.cursor()
    try:
        result = cursor.execute(sql)
        names = [column[0] for column in result.description or []]
        while batch := result.fetchmany(_BATCH):
            for row in batch:
                yield {
                    name: _iso(value) if isinstance(value, datetime) else value
                    for name, value in zip(names, row, strict=True)
                }
    finally:
        cursor.close()


# -- writing ------------------------------------------------------------------------------------


def _iso(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    text = instant.replace(tzinfo=UTC).isoformat(timespec="microseconds")
    return text.replace(".000000", "").replace("+00:00", "Z")


def _dump(value: Mapping[str, Any], *, indent: bool = False) -> str:
    return json.dumps(
        value,
        sort_keys=True,
        ensure_ascii=False,
        indent=2 if indent else None,
        separators=None if indent else (",", ":"),
        allow_nan=False,
    )


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    return _write(path, (_dump(row) + "\n" for row in rows))


def _write(path: Path, lines: Iterable[str]) -> Path:
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as out:
            out.writelines(lines)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
