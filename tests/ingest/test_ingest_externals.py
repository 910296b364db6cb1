"""Bodies in objects of their own: found by name among the evidence, never fetched or guessed."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
from ingest_cases import assert_balanced, read

from irkit.case import Case
from irkit.case.views.linking import linkage
from irkit.ingest import ingest

HOUR = "AWSLogs/210987654321/BedrockModelInvocationLogs/eu-west-1/2026/03/02/08"
CALL = "0c6f0000-0000-4000-8000-{:012d}"


def key(number: int, side: str, bucket: str = "logs") -> str:
    return f"s3://{bucket}/{HOUR}/data/{CALL.format(number)}_{side}.json.gz"


def record(number: int, *, asks: str | None = None, answers: str | None = None) -> dict:
    """One invocation; a side that is given as a pointer has no body in the log."""
    question = {"anthropic_version": "bedrock-2023-05-31", **request(number)}
    return {
        "schemaType": "ModelInvocationLog",
        "timestamp": f"2026-03-02T08:14:{number:02d}Z",
        "accountId": "210987654321",
        "identity": {"arn": "arn:aws:sts::210987654321:assumed-role/ChatSvc/i-0ab"},
        "requestId": CALL.format(number),
        "operation": "InvokeModel",
        "modelId": "anthropic.claude-3-haiku-20240307-v1:0",
        "input": {"inputBodyJson": question} if asks is None
        else {"inputBodyJson": None, "inputBodyS3Path": asks},
        "output": {"outputBodyJson": response(number)} if answers is None
        else {"outputBodyS3Path": answers},
    }  # fmt: skip


def request(number: int) -> dict:
    return {
        "max_tokens": 64,
        "temperature": 0.5,
        "metadata": None,
        "messages": [{"role": "user", "content": f"question {number}"}],
    }


def response(number: int) -> dict:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": f"answer {number}"}],
        "stop_reason": "end_turn",
    }


STREAM = [
    {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ans"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "wer 1"}},
    {"type": "message_stop"},
]


def log(folder: Path, *records: dict, name: str = "main.json.gz") -> Path:
    path = folder / HOUR / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row) + "\n" for row in records)
    path.write_bytes(gzip.compress(data.encode()))
    return path


def body(folder: Path, number: int, side: str, value: object, data: bytes | None = None) -> Path:
    path = folder / HOUR / "data" / f"{CALL.format(number)}_{side}.json.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(value).encode() if data is None else data))
    return path


def calls(case: Case) -> list[tuple]:
    return case.rows(
        "SELECT q.body, a.body, r.content_state, r.parse_warnings, r.max_tokens, r.params_known"
        " FROM query_record r LEFT JOIN text q ON q.text_id = r.prompt_text_id"
        " LEFT JOIN text a ON a.text_id = r.response_text_id ORDER BY r.event_time"
    )


def bodies(case: Case) -> dict[str, int]:
    return {name: number for name, number in linkage(case.con).bodies.items() if number}


WHOLE = [("question 1", "answer 1", "full", ["body_from_separate_object"], 64, True)]
BARE = [(None, None, "external_missing", ["body_in_separate_object"], None, False)]


@pytest.fixture
def both(tmp_path) -> list[Path]:
    return [
        log(tmp_path, record(1, asks=key(1, "input"), answers=key(1, "output"))),
        body(tmp_path, 1, "input", request(1)),
        body(tmp_path, 1, "output", response(1)),
    ]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_bodies_join_their_call_in_any_order_of_preserving(case, both, order):
    for index in order:
        read(case, both[index])
    assert calls(case) == WHOLE
    assert bodies(case) == {"found": 2}
    kinds = case.rows(
        "SELECT format, note, entries, quarantined FROM evidence_source WHERE original_path LIKE"
        " '%put.json.gz'"
    )
    assert kinds == [("call_body", "body of 1 call", 0, 0)] * 2
    assert case.rows("SELECT count(*) FROM quarantine")[0][0] == 0


def test_reading_again_changes_nothing(case, both, tmp_path):
    read(case, *both)
    before = case.rows("SELECT * FROM query_record ORDER BY record_id")
    texts = case.rows("SELECT * FROM text ORDER BY text_id")
    read(case, log(tmp_path, record(2), name="later.json.gz"))
    case.set_meta("linked_on", "")
    ingest(case)
    assert case.rows("SELECT * FROM query_record WHERE source_id <= 3 ORDER BY 1") == before
    assert set(texts) < set(case.rows("SELECT * FROM text"))
    assert_balanced(case)


def test_missing_bodies_are_said(case, both):
    read(case, both[0])
    assert calls(case) == BARE
    assert bodies(case) == {"missing": 2}
    read(case, both[2])
    assert [row[:3] for row in calls(case)] == [(None, "answer 1", "external_missing")]
    assert bodies(case) == {"found": 1, "missing": 1}


def test_bodies_without_a_log_are_named_until_it_comes(case, both):
    read(case, both[1])
    found = case.rows("SELECT error_code, error_text FROM quarantine")
    assert found == [
        ("not_a_call", "looks like the body of a call, but no preserved log refers to it")
    ]
    read(case, both[0], both[2])
    assert calls(case) == WHOLE
    assert case.rows("SELECT count(*) FROM quarantine")[0][0] == 0


def test_streamed_and_uncompressed_bodies(case, tmp_path):
    main = log(tmp_path, record(1, answers=key(1, "output")))
    stream = tmp_path / "flat" / f"{CALL.format(1)}_output.json"
    stream.parent.mkdir()
    stream.write_text(json.dumps(STREAM, indent=1))
    read(case, main, stream)
    assert [row[:4] for row in calls(case)] == [
        ("question 1", "answer 1", "full", ["body_from_separate_object"])
    ]
    assert_balanced(case)


def test_bodies_inside_archives(case, both, tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path in [both[1], both[0], both[2]]:
            info = tarfile.TarInfo(str(path.relative_to(tmp_path)))
            info.size = path.stat().st_size
            archive.addfile(info, io.BytesIO(path.read_bytes()))
    packed = tmp_path / "export.tar"
    packed.write_bytes(out.getvalue())
    read(case, packed)
    assert calls(case) == WHOLE
    source = case.rows("SELECT entries, records, quarantined, format, note FROM evidence_source")
    assert source == [
        (1, 1, 0, "bedrock_invocation", "archive of 3 members; 2 members are bodies of calls")
    ]
    case.set_meta("linked_on", "")
    ingest(case)
    assert case.rows("SELECT note FROM evidence_source")[0][0].count("members are bodies") == 1


def test_where_two_objects_fit_none_is_taken(case, both, tmp_path):
    twins = [tmp_path / "a" / HOUR / "data", tmp_path / "b" / HOUR / "data"]
    for number, folder in enumerate(twins):
        folder.mkdir(parents=True)
        (folder / both[1].name).write_bytes(gzip.compress(json.dumps(request(number)).encode()))
    read(case, both[0], both[2], *(folder / both[1].name for folder in twins))
    assert [row[:3] for row in calls(case)][:1] == [(None, "answer 1", "external_missing")]
    assert bodies(case) == {"ambiguous": 1, "found": 1}


def test_a_twin_that_comes_later_takes_a_body_back(case, both, tmp_path):
    read(case, *both)
    folder = tmp_path / "copy" / HOUR / "data"
    folder.mkdir(parents=True)
    (folder / both[1].name).write_bytes(gzip.compress(json.dumps(request(7)).encode()))
    read(case, folder / both[1].name)
    assert [row[:3] for row in calls(case)] == [(None, "answer 1", "external_missing")]
    assert bodies(case) == {"ambiguous": 1, "found": 1}


def test_the_bucket_tells_equal_keys_apart(case, tmp_path):
    for name in ("prod", "test"):
        body(tmp_path / name, 1, "output", response(1 if name == "prod" else 2))
    main = log(tmp_path, record(1, answers=key(1, "output", bucket="test")))
    read(case, main, *sorted(tmp_path.glob(f"*/{HOUR}/data/*")))
    assert [row[:2] for row in calls(case) if row[0]] == [("question 1", "answer 2")]


@pytest.mark.parametrize(
    "pointer",
    ["s3://logs/../../../etc/passwd", "file:///etc/hostname", "//data//", "x" * 9000, "s3://a/%00"],
)
def test_hostile_pointers_reach_nothing(case, tmp_path, pointer):
    read(case, log(tmp_path, record(1, asks=pointer)))
    assert [row[:3] for row in calls(case)] == [(None, "answer 1", "external_missing")]
    assert bodies(case) == {"missing": 1}


def test_a_pointer_cannot_make_a_log_vanish(case, tmp_path):
    other = log(tmp_path, record(2), name="another-log-of-this-hour.json.gz")
    main = log(tmp_path, record(1, asks=f"s3://logs/{HOUR}/another-log-of-this-hour.json.gz"))
    read(case, main, other)
    assert [row[:2] for row in calls(case)] == [(None, "answer 1"), ("question 2", "answer 2")]
    assert bodies(case) == {"missing": 1}


@pytest.mark.parametrize("data", [b"no json", b'{"a":', b"", b"[" * 5000, b'"text"', b"\xff\xfe{"])
def test_unreadable_bodies_are_counted(case, tmp_path, data):
    main = log(tmp_path, record(1, asks=key(1, "input")))
    read(case, main, body(tmp_path, 1, "input", None, data))
    assert (None, "answer 1", "external_missing") in [row[:3] for row in calls(case)]
    assert bodies(case) == {"unreadable": 1}


def test_records_wrapped_in_one_entry_get_their_own_bodies(case, tmp_path):
    rows = [record(1, asks=key(1, "input")), record(2), record(3, asks=key(3, "input"))]
    events = [{"id": str(n), "timestamp": 1, "message": json.dumps(r)} for n, r in enumerate(rows)]
    wrapped = {"messageType": "DATA_MESSAGE", "logGroup": "g", "logEvents": events}
    main = log(tmp_path, wrapped)
    read(case, main, body(tmp_path, 1, "input", request(1)), body(tmp_path, 3, "input", request(3)))
    assert [row[0] for row in calls(case)] == ["question 1", "question 2", "question 3"]
    marks = [row[3] for row in calls(case)]
    assert [bool(mark) and "body_from_separate_object" in mark for mark in marks] == [
        True,
        False,
        True,
    ]


def test_bodies_behind_a_link(case, tmp_path):
    link = "https://s3.example/bucket/organizations/o/requests/r-1/request_response_body?X-Sig=1"
    row = {
        "request_id": "r-1",
        "request_created_at": "2026-02-11T10:04:55Z",
        "request_path": "/v1/chat/completions",
        "signed_body_url": link,
        "request_body": {},
        "response_status": 200,
    }
    export = tmp_path / "helicone.json"
    export.write_text(json.dumps(row))
    stored = tmp_path / "organizations/o/requests/r-1/request_response_body"
    stored.parent.mkdir(parents=True)
    answer = {"choices": [{"index": 0, "message": {"content": "answer 1"}}]}
    stored.write_text(json.dumps({"request": request(1), "response": answer}))
    read(case, export, stored)
    assert [row[:3] for row in calls(case)] == [("question 1", "answer 1", "full")]
