"""A tiny case, filled row by row, whose texts try to harm the reader's terminal."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from irkit.case import Case

AT = datetime(2026, 10, 5, 10, 0)  # noqa: DTZ001 - tables hold UTC without a zone


def fill(case: Case) -> None:
    """Fill a case with two actors, one exposure, one person and one unreadable entry."""
    case.append(
        "evidence_source",
        pl.DataFrame(
            {
                "source_id": [1],
                "path": ["data/0001-x.jsonl"],
                "original_path": ["x\x1b[31m.jsonl"],
                "sha256": ["0" * 64],
                "bytes": [10],
                "storage": ["copied"],
                "state": ["verified"],
                "entries": [2],
                "records": [2],
                "blanks": [0],
                "quarantined": [1],
            }
        ),
    )
    units = ["key-\u202egnp", "key-quiet"]
    case.append(
        "query_record",
        pl.DataFrame(
            {
                "record_id": ["r1", "r2"],
                "source_id": [1, 1],
                "source_format": ["openai_pair"] * 2,
                "entry_no": [1, 2],
                "sub_no": [0, 0],
                "request_id": ["q1", "q2"],
                "event_time": [AT, AT],
                "credential_id": units,
                "content_state": ["full"] * 2,
                "record_kind": ["call"] * 2,
                "prompt_text_id": ["t1", "t1"],
                "response_text_id": ["t2", "t1"],
            }
        ),
    )
    case.append(
        "text",
        pl.DataFrame({"text_id": ["t1", "t2"], "body": ["\x1b[2Jhello", "mail ann@example.org"]}),
    )
    case.append(
        "query_choice",
        pl.DataFrame(
            {
                "record_id": ["r1", "r2"],
                "source_id": [1, 1],
                "choice": [0, 0],
                "text_id": ["t2", "t1"],
            }
        ),
    )
    case.append(
        "finding",
        pl.DataFrame(
            {
                "finding_id": ["F1", "F2"],
                "unit_kind": ["credential"] * 2,
                "unit": units,
                "technique": ["training_data_extraction", "membership_inference"],
                "tier": ["A", "C"],
                "p_value": [0.0003, 0.009],
                "p_kind": ["conformal"] * 2,
                "onset": [AT, AT],
                "first_seen": [AT, AT],
                "last_seen": [AT, AT],
                "queries": [1, 1],
            }
        ),
    )
    case.append(
        "exposure",
        pl.DataFrame(
            {
                "exposure_id": ["E1"],
                "record_id": ["r1"],
                "choice": [0],
                "provenance": ["memorised"],
                "level": ["record"],
                "doc_id": ["d1"],
                "response_start": [5],
                "response_end": [20],
                "matched_chars": [15],
                "subtracted_chars": [0],
                "leaked_chars": [15],
                "method": ["test"],
                "value_masked": ["a•••@e•••.org"],
            }
        ),
    )
    case.append(
        "subject",
        pl.DataFrame(
            {
                "subject_key": ["P1"],
                "label_masked": ["A•••"],
                "status": ["confirmed"],
                "special_category": [False],
                "child": [False],
                "exposures": [1],
                "first_exposed": [AT],
                "last_exposed": [AT],
            }
        ),
    )
    case.append("exposure_subject", pl.DataFrame({"exposure_id": ["E1"], "subject_key": ["P1"]}))
    case.append(
        "quarantine",
        pl.DataFrame(
            {
                "source_id": [1],
                "entry_no": [2],
                "byte_offset": [5],
                "byte_len": [4],
                "sha256": ["1" * 64],
                "error_code": ["bad_json"],
                "error_text": ["\x1b[31mnot JSON"],
                "raw": [b"\x1b[31m"],
            }
        ),
    )
