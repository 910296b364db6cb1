"""Messages that a gateway cut over several entries are put together again."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_cases import assert_balanced, read_bytes

from irkit.case import Case
from irkit.ingest import ingest

ASKED = json.dumps([{"role": "system", "content": "be kind"},
                    {"role": "user", "content": 'say "hi"\n\u00e9\U0001f600 ' * 9}])  # fmt: skip
TOLD = json.dumps([{"role": "assistant", "content": "hi \\ there " * 9}], ensure_ascii=False)


def part(number: int, asked: str, told: str, call: int = 1) -> dict:
    return {
        "TimeGenerated": f"2026-04-08T12:23:0{number % 10}Z", "CorrelationId": f"corr-{call:08d}",
        "RequestId": f"req-{call:08d}", "ModelName": "gpt-4o", "PromptTokens": 12,
        "CompletionTokens": 90, "SequenceNumber": number, "RequestMessages": asked,
        "ResponseMessages": told, "Type": "ApiManagementGatewayLlmLog",
    }  # fmt: skip


def cut(text: str, at: list[int]) -> list[str]:
    edges = [0, *sorted(min(a, len(text)) for a in at), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def lines(*rows: dict) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def calls(case: Case) -> list[tuple]:
    return case.rows(
        "SELECT p.body, a.body, r.content_state, list_contains(r.parse_warnings,"
        " 'put_together_from_parts') FROM query_record r"
        " LEFT JOIN text p ON p.text_id = r.prompt_text_id"
        " LEFT JOIN text a ON a.text_id = r.response_text_id"
        " WHERE r.duplicate_of IS NULL ORDER BY r.correlation_id, r.record_id"
    )


def whole() -> tuple:
    return (json.loads(ASKED)[1]["content"], json.loads(TOLD)[0]["content"], "full", True)


@given(
    st.lists(st.integers(1, len(ASKED) - 1), min_size=2, max_size=2, unique=True),
    st.lists(st.integers(1, len(TOLD) - 1), min_size=2, max_size=2, unique=True),
    st.permutations(range(3)),
    st.sampled_from(["one file", "a file each", "wrapped"]),
)
@settings(
    max_examples=8, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_wherever_it_was_cut_the_text_is_whole(
    tmp_path_factory, clock, asked_at, told_at, order, layout
):
    folder = tmp_path_factory.mktemp("cut")
    pieces = zip(cut(ASKED, asked_at), cut(TOLD, told_at), strict=True)
    rows = [part(n, a, b) for n, (a, b) in enumerate(pieces)]
    rows = [rows[n] for n in order]
    with Case.create(folder / "c.irkit", clock=clock) as case:
        if layout == "a file each":
            for number, row in enumerate(rows):
                read_bytes(case, folder, f"{number}.json", lines(row))
        elif layout == "wrapped":
            read_bytes(case, folder, "all.json", json.dumps({"records": rows}).encode())
        else:
            read_bytes(case, folder, "all.json", lines(*rows))
        assert calls(case) == [whole()]
        assert_balanced(case)
        assert case.rows("SELECT count(*) FROM query_record") == [(3,)]
        assert case.rows("SELECT kind, method, count(*) FROM record_link GROUP BY ALL") == [
            ("part", "sequence_number", 2)
        ]


def test_a_missing_part_is_not_made_up(case, tmp_path):
    pieces = cut(ASKED, [40, 80])
    read_bytes(case, tmp_path, "a.json", lines(part(0, pieces[0], TOLD), part(2, pieces[2], "")))
    assert {row[3] for row in calls(case)} == {False}
    assert "truncated" in {row[2] for row in calls(case)}
    read_bytes(case, tmp_path, "b.json", lines(part(1, pieces[1], "")))
    assert calls(case) == [whole()]
    before = case.rows("SELECT * FROM query_record ORDER BY ALL")
    case.set_meta("linked_on", "")
    ingest(case)
    assert case.rows("SELECT * FROM query_record ORDER BY ALL") == before


def test_caller_comes_from_the_gateway_log(case, tmp_path):
    pieces = cut(ASKED, [50])
    gateway = {
        "TimeGenerated": "2026-04-08T12:23:02Z", "Type": "ApiManagementGatewayLogs",
        "CorrelationId": "corr-00000001", "IsRequestSuccess": True, "ResponseCode": 200,
        "CallerIpAddress": "203.0.113.9", "ApimSubscriptionId": "sub-1", "_ResourceId": "/x",
    }  # fmt: skip
    read_bytes(case, tmp_path, "gw.json", lines(gateway))
    read_bytes(case, tmp_path, "llm.json", lines(part(0, pieces[0], TOLD), part(1, pieces[1], "")))
    assert calls(case) == [whole()]
    assert case.rows(
        "SELECT client_ip, credential_id, status_code FROM query_record WHERE duplicate_of IS NULL"
    ) == [("203.0.113.9", "sub-1", 200)]


@pytest.mark.parametrize("bad", ['{"not": "a list', "plain words", "[1, 2"])
def test_parts_that_give_no_json_stay_as_logged(case, tmp_path, bad):
    read_bytes(case, tmp_path, "a.json", lines(part(0, bad, ""), part(1, bad, "")))
    assert {row[3] for row in calls(case)} == {False}


def test_parts_that_hold_whole_messages_are_listed_in_order(case, tmp_path):
    rows = [part(n, json.dumps([{"role": "user", "content": f"turn {n}"}]), "") for n in (0, 1)]
    rows[1]["ResponseMessages"] = TOLD
    read_bytes(case, tmp_path, "a.json", lines(*rows))
    assert calls(case) == [("turn 1", whole()[1], "full", True)]
    assert case.rows(
        "SELECT t.body FROM query_message m JOIN text t USING (text_id) JOIN query_record r"
        " USING (record_id) WHERE r.duplicate_of IS NULL ORDER BY m.pos"
    ) == [("turn 0",), ("turn 1",)]
