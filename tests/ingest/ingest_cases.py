"""Shared by the ingest tests: put bytes into a case, read them, and show what became of them."""

from __future__ import annotations

import json
from pathlib import Path

from irkit.case import Case
from irkit.case.evidence import intake
from irkit.ingest import ingest

DATA = Path(__file__).parents[1] / "data" / "ingest"


def read(case: Case, *files: Path, **options):
    """Preserve and ingest files; the accounting must balance whatever they hold."""
    intake(case, list(files))
    report = ingest(case, **options)
    assert_balanced(case)
    return report


def read_bytes(case: Case, folder: Path, name: str, data: bytes, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return read(case, path, **options)


def assert_balanced(case: Case) -> None:
    for source, entries, records, blanks, quarantined in case.rows(
        "SELECT source_id, entries, records, blanks, quarantined FROM evidence_source"
    ):
        assert entries == records + blanks + quarantined
        bearing = case.rows(
            "SELECT count(DISTINCT entry_no) FROM query_record WHERE source_id = ?", [source]
        )[0][0]
        whole, parts_without = case.rows(
            "SELECT count(DISTINCT entry_no) FILTER (state = 'quarantined'), count(*) FILTER"
            " (state = 'part_of_entry' AND entry_no NOT IN (SELECT entry_no FROM query_record r"
            " WHERE r.source_id = q.source_id)) FROM quarantine q WHERE source_id = ?",
            [source],
        )[0]
        assert (records, quarantined, parts_without) == (bearing, whole, 0)


def canonical(case: Case) -> list[dict]:
    """Everything the case holds about each record, texts resolved, empty fields left out."""
    texts = dict(case.rows("SELECT text_id, body FROM text"))
    messages: dict[str, list] = {}
    for record, role, text_id in case.rows(
        "SELECT record_id, role, text_id FROM query_message ORDER BY record_id, pos"
    ):
        messages.setdefault(record, []).append([role, texts[text_id]])
    choices: dict[str, list] = {}
    for record, number, text_id, reason in case.rows(
        "SELECT record_id, choice, text_id, finish_reason FROM query_choice"
        " ORDER BY record_id, choice"
    ):
        choices.setdefault(record, []).append([number, texts[text_id], reason])
    logprobs = {
        record: {"tokens": tokens, "token_logprobs": values, "top_logprobs": json.loads(tops)}
        for record, tokens, values, tops in case.rows(
            "SELECT record_id, tokens, token_logprobs, top_logprobs FROM query_logprob"
        )
    }
    cursor = case.con.execute("SELECT * FROM query_record ORDER BY source_id, entry_no, sub_no")
    names = [column[0] for column in cursor.description]
    out = []
    for row in cursor.fetchall():
        record = dict(zip(names, row, strict=True))
        key = record["record_id"]
        for name in ("system_text_id", "prompt_text_id", "response_text_id"):
            text_id = record.pop(name)
            record[name.removesuffix("_id")] = texts[text_id] if text_id else None
        for name in ("logit_bias", "params_json", "tags"):
            record[name] = json.loads(record[name]) if record[name] else None
        for name in ("event_time", "event_time_end"):
            record[name] = record[name].isoformat() + "Z" if record[name] else None
        record["messages"] = messages.get(key)
        record["choices"] = choices.get(key)
        record["logprobs"] = logprobs.get(key)
        out.append({k: v for k, v in record.items() if v not in (None, [])})
    return out


def quarantine(case: Case) -> list[tuple]:
    return case.rows(
        "SELECT entry_no, byte_offset, byte_len, error_code, state, raw FROM quarantine"
        " ORDER BY source_id, entry_no, byte_offset"
    )
