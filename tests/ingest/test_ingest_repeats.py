"""Calls logged in parts, again, or as a whole and in parts: each counts once."""

from __future__ import annotations

import json

import pytest
from ingest_cases import read_bytes

from irkit.analyzers.sequences import RETRY_SECONDS, load_log
from irkit.case.views.linking import linkage
from irkit.cli.text import linking_text
from irkit.ingest import ingest, retries


def lines(*rows: dict) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def again(case) -> None:
    case.set_meta("linked_on", "")
    ingest(case)


def whole(case) -> list:
    return [
        case.rows("SELECT * FROM query_record ORDER BY record_id"),
        case.rows("SELECT * FROM record_link ORDER BY ALL"),
        case.rows("SELECT * FROM query_message ORDER BY ALL"),
    ]


# -- retries --------------------------------------------------------------------------------------


def asked(seconds: int, prompt: str = "q", key: str = "k-1", **params) -> dict:
    return {
        "ts": f"2026-10-05T10:{seconds // 60:02d}:{seconds % 60:02d}Z",
        "key_id": key,
        "request_id": f"r-{seconds}-{key}-{prompt}-{params}",
        "request": {"model": "m", "messages": [{"role": "user", "content": prompt}], **params},
        "response": {"choices": [{"index": 0, "message": {"content": f"a{seconds}"}}]},
    }


CALLS = (
    asked(0),
    asked(50),
    asked(105),  # within a minute of the one before, so still the same run
    asked(200),
    asked(10, key="k-2"),
    asked(20, temperature=0.5),
    asked(30, prompt="other"),
)


def test_retries_are_linked_to_the_first_call(case, tmp_path):
    read_bytes(case, tmp_path, "a.jsonl", lines(*CALLS))
    found = case.rows(
        "SELECT epoch(f.event_time)::INT % 3600, epoch(o.event_time)::INT % 3600, l.offset_ms"
        " FROM record_link l JOIN query_record f USING (record_id)"
        " JOIN query_record o ON o.record_id = l.other_id WHERE l.kind = 'retry' ORDER BY 2"
    )
    assert found == [(0, 50, 50_000.0), (0, 105, 105_000.0)]
    ties = linkage(case.con)
    assert (ties.retries, ties.methods, ties.duplicates) == (2, {}, 0)
    assert "2 calls repeat one of the same caller within a minute (retries)" in linking_text(
        {**vars_of(ties)}
    )
    before = whole(case)
    again(case)
    assert whole(case) == before


def vars_of(ties) -> dict:
    return {name: getattr(ties, name) for name in ties.__dataclass_fields__}


def test_retries_are_those_that_detectors_leave_out(case, tmp_path):
    assert retries.SECONDS == RETRY_SECONDS
    read_bytes(case, tmp_path, "a.jsonl", lines(*CALLS))
    log = load_log(case)
    left_out = {log.record_id[i] for i in range(len(log)) if not log.kept[i]}
    linked = {row[0] for row in case.rows("SELECT other_id FROM record_link")}
    assert left_out == linked


# -- halves ---------------------------------------------------------------------------------------


ASKS = {
    "custom_id": "row-1",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}]},
}
ANSWERS = {
    "id": "batch_req_1",
    "custom_id": "row-1",
    "response": {
        "status_code": 200,
        "request_id": "r",
        "body": {
            "object": "chat.completion",
            "created": 1770804300,
            "model": "m-2026",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}}],
        },
    },
    "error": None,
}


@pytest.mark.parametrize("first", ["asks", "answers"])
def test_joined_halves_are_linked_and_can_be_taken_apart(case, tmp_path, first):
    data = {"asks": lines(ASKS), "answers": lines(ANSWERS)}
    for name in sorted(data, reverse=first == "asks"):
        read_bytes(case, tmp_path, name, data[name])
    links = case.rows(
        "SELECT l.kind, l.method, l.confidence, r.source_format, o.source_format, o.duplicate_of ="
        " l.record_id, list_contains(l.filled, 'max_tokens') FROM record_link l"
        " JOIN query_record r USING (record_id) JOIN query_record o ON o.record_id = l.other_id"
    )
    assert links == [
        ("request", "correlation_id", "high", "openai_batch_out", "openai_batch_in", True, True)
    ]
    ties = linkage(case.con)
    assert (ties.joined, ties.methods) == (1, {})
    joined = case.rows(
        "SELECT max_tokens, params_known, operation, content_state FROM query_record"
        " WHERE duplicate_of IS NULL"
    )
    assert joined == [(9, True, "chat", "full")]
    before = whole(case)
    again(case)
    assert whole(case) == before
    # A second request of the same id makes the pair ambiguous: what was joined is taken apart.
    other = {**ASKS, "body": {**ASKS["body"], "max_tokens": 5}}
    read_bytes(case, tmp_path, "twin", lines(other))
    apart = case.rows(
        "SELECT max_tokens, params_known, operation, content_state, model_served FROM query_record"
        " WHERE source_format = 'openai_batch_out'"
    )
    assert apart == [(None, False, "chat", "response_only", "m-2026")]
    assert linkage(case.con).joined == 0


# -- attempts of an attack tool -------------------------------------------------------------------


def attempt(status: int, **fields) -> dict:
    return {
        "entry_type": "attempt",
        "uuid": "0c6f1e2a-77aa-4b7e-9f00-000000000001",
        "status": status,
        "probe_classname": "divergence.RepeatedToken",
        "prompt": {"turns": [{"role": "user", "content": {"text": "cat cat"}}]},
        "outputs": [{"text": "told"}],
        "detector_results": {"d": [1.0]} if status == 2 else {},
        **fields,
    }


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_an_attempt_counts_once_as_it_ended(case, tmp_path, empty, order):
    early = {"outputs": []} if empty else {}
    rows = [attempt(status, **(early if status == 1 else {})) for status in order]
    read_bytes(case, tmp_path, "r.report.jsonl", lines(*rows))
    kept = case.rows("SELECT entry_no, tags FROM query_record WHERE duplicate_of IS NULL")
    assert [(row[0], json.loads(row[1])) for row in kept] == [(order.index(2) + 1, {"d": [1.0]})]
    assert linkage(case.con).duplicates == 1
    before = whole(case)
    again(case)
    assert whole(case) == before


def test_a_hit_of_an_attempt_stays_one_call(case, tmp_path):
    hit = {
        "goal": "g",
        "prompt": "cat cat",
        "output": "told",
        "score": 1.0,
        "attempt_id": attempt(1)["uuid"],
        "generator": "t",
        "probe": "p",
        "generations_per_prompt": 1,
    }
    read_bytes(case, tmp_path, "h.hitlog.jsonl", lines(hit))
    read_bytes(case, tmp_path, "r.report.jsonl", lines(attempt(1), attempt(2)))
    rows = dict(case.rows("SELECT record_id, duplicate_of FROM query_record"))
    kept = [key for key, other in rows.items() if other is None]
    assert len(kept) == 1
    assert {other for other in rows.values() if other} == set(kept)


# -- traces ---------------------------------------------------------------------------------------


TRACE = {
    "id": "0c6f1e2a77aa4b7e9f00000000000001",
    "timestamp": "2026-02-11T10:03:55Z",
    "name": "chat",
    "user_id": "u-7",
    "session_id": "s-7",
    "project_id": "p",
    "public": False,
    "input": {"messages": [{"role": "user", "content": "whole question"}]},
    "output": {"role": "assistant", "content": "whole answer"},
}


def observation(number: int) -> dict:
    return {
        "id": f"o-{number}",
        "trace_id": TRACE["id"],
        "type": "GENERATION",
        "start_time": f"2026-02-11T10:03:5{number}Z",
        "provided_model_name": "m",
        "input": [{"role": "user", "content": f"step {number}"}],
        "output": f"done {number}",
    }


def told(case) -> list[tuple]:
    return case.rows(
        "SELECT q.body, a.body, r.session_id, r.principal_id, r.record_kind FROM query_record r"
        " LEFT JOIN text q ON q.text_id = r.prompt_text_id LEFT JOIN text a"
        " ON a.text_id = r.response_text_id WHERE duplicate_of IS NULL ORDER BY event_time"
    )


def test_a_trace_alone_is_a_call(case, tmp_path):
    read_bytes(case, tmp_path, "traces.jsonl", lines(TRACE))
    assert told(case) == [("whole question", "whole answer", "s-7", "u-7", "call")]
    bare = {**TRACE, "id": "t-2", "input": None, "output": {}}
    read_bytes(case, tmp_path, "bare.jsonl", lines(bare))
    assert case.rows(
        "SELECT record_kind, content_state FROM query_record WHERE request_id = 't-2'"
    ) == [("access_only", "absent")]


@pytest.mark.parametrize("first", ["traces", "observations"])
def test_beside_its_calls_a_trace_only_names_who_asked(case, tmp_path, first):
    data = {
        "observations": lines(observation(1), observation(2)),
        "traces": lines(TRACE),
    }
    for name in sorted(data, reverse=first == "traces"):
        read_bytes(case, tmp_path, f"{name}.jsonl", data[name])
    assert told(case) == [
        ("step 1", "done 1", "s-7", "u-7", "call"),
        ("step 2", "done 2", "s-7", "u-7", "call"),
    ]
    assert linkage(case.con).methods == {"trace_id": 2}
    before = whole(case)
    again(case)
    assert whole(case) == before
