"""Entries of different logs that belong to one call: found by id or time, never guessed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_cases import assert_balanced, read_bytes

from irkit.case import Case
from irkit.ingest import ingest
from irkit.packet.export import summary
from irkit.packet.observed import limits
from irkit.playbook.facts import Facts

START = datetime(2026, 10, 5, 10, tzinfo=UTC)
LONG = "0c6f1e2a-77aa-4b7e-9f00-{:012d}"


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def content(number: int, seconds: float, request_id: str | None = None, **fields) -> dict:
    """A call as the application logged it: texts, no caller."""
    row = {
        "ts": at(seconds),
        "request": {"model": "m", "messages": [{"role": "user", "content": f"question {number}"}]},
        "response": {"choices": [{"index": 0, "message": {"content": f"answer {number}"}}]},
    }
    if request_id:
        row["request_id"] = request_id
    return {**row, **fields}


def access(number: int, seconds: float, request_id: str | None = None, **fields) -> dict:
    """The same call as the gateway logged it: caller, no texts."""
    return {
        "time": at(seconds),
        "category": "RequestResponse",
        "resourceId": "/SUBSCRIPTIONS/S/ACCOUNTS/A",
        "correlationId": request_id or f"gateway-only-{number:06d}",
        "callerIpAddress": f"203.0.113.{number % 250}",
        "resultSignature": "200",
        "properties": {"objectId": f"caller-{number}"},
        **fields,
    }


def lines(*rows: dict) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def calls(case: Case) -> list[tuple]:
    """What the case says about each call that has texts."""
    return case.rows(
        "SELECT t.body, r.client_ip, r.client_ip_kind, r.credential_id, r.credential_kind,"
        " r.status_code, r.parse_warnings FROM query_record r JOIN text t"
        " ON t.text_id = r.prompt_text_id WHERE r.duplicate_of IS NULL ORDER BY t.body"
    )


def everything(case: Case) -> list[list]:
    hidden = "* EXCLUDE (source_id)"
    return [
        case.rows(f"SELECT {hidden} FROM query_record ORDER BY record_id"),
        case.rows(f"SELECT {hidden} FROM record_link ORDER BY ALL"),
    ]


def test_access_log_preserved_later_names_the_caller(case, tmp_path):
    read_bytes(case, tmp_path, "app.json", lines(content(1, 0, LONG.format(1))))
    assert calls(case)[0][1:4] == (None, "none", None)
    report = read_bytes(case, tmp_path, "gw.json", lines(access(7, 1.5, LONG.format(1))))
    assert report.linkage.methods == {"request_id": 1}
    assert calls(case) == [
        ("question 1", "203.0.113.7", "full", "caller-7", "entra_object_id", 200,
         ["filled_by_request_id"])
    ]  # fmt: skip
    assert case.rows("SELECT kind, method, confidence, offset_ms, filled FROM record_link") == [
        ("access", "request_id", "high", 1500.0,
         ["client_ip", "credential_id", "status_code", "endpoint"])
    ]  # fmt: skip
    assert case.rows("SELECT count(*) FROM query_record WHERE duplicate_of IS NULL") == [(1,)]


def test_order_of_preserving_does_not_matter_and_repeating_changes_nothing(tmp_path, clock):
    app = lines(*(content(n, 20 * n, LONG.format(n) if n % 2 else None) for n in range(8)))
    gateway = lines(*(access(n, 20 * n + 1, LONG.format(n) if n % 2 else None) for n in range(8)))
    seen = []
    for order in (
        (("app.json", app), ("gw.json", gateway)),
        (("gw.json", gateway), ("app.json", app)),
    ):
        with Case.create(tmp_path / order[0][0].replace("json", "irkit"), clock=clock) as case:
            for name, data in order:
                read_bytes(case, tmp_path / order[0][0].removesuffix(".json"), name, data)
            seen.append(everything(case))
            ingest(case)
            case.set_meta("linked_on", "")
            report = ingest(case)
            assert everything(case) == seen[-1]
            assert report.linkage.methods == {"request_id": 4, "time_window": 4}
    assert seen[0] == seen[1]


def test_an_interrupted_linking_is_made_up_for(case, tmp_path, monkeypatch):
    read_bytes(case, tmp_path, "app.json", lines(content(1, 0, LONG.format(1))))

    def stop(*_args, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("irkit.ingest.linking.join_halves", stop)
        with pytest.raises(KeyboardInterrupt):
            read_bytes(case, tmp_path, "gw.json", lines(access(7, 1, LONG.format(1))))
    assert ingest(case).linkage.methods == {"request_id": 1}
    assert calls(case)[0][1] == "203.0.113.7"


@pytest.mark.parametrize(
    ("app", "gateway"),
    [
        ([content(1, 0), content(2, 1)], [access(1, 0.5)]),
        ([content(1, 0)], [access(1, 0.5), access(2, 1)]),
        ([content(1, 0)], [access(1, 60)]),
        ([content(1, 0, status=500)], [access(1, 0.5)]),
        ([content(1, 0, LONG.format(1)), content(2, 90, LONG.format(1))],
         [access(1, 400, LONG.format(1))]),
        ([content(1, 0, "42")], [access(1, 90_000, "42")]),
    ],
    ids=["two calls", "two callers", "too far apart", "other status", "id used twice",
         "short id of another day"],
)  # fmt: skip
def test_what_is_not_certain_is_not_linked(case, tmp_path, app, gateway):
    read_bytes(case, tmp_path, "app.json", lines(*app))
    read_bytes(case, tmp_path, "gw.json", lines(*gateway))
    assert case.rows("SELECT count(*) FROM record_link") == [(0,)]
    assert {row[1] for row in calls(case)} == {None}
    linkage = ingest(case).linkage
    assert linkage.unlinked_access == len(gateway)
    assert (linkage.ambiguous > 0) == (len(app) + len(gateway) > 2)


def test_token_counts_tell_calls_of_one_moment_apart(case, tmp_path):
    usage = [{"prompt_tokens": 10 + n, "completion_tokens": 20 + n} for n in range(4)]
    rows = [content(n, n / 4) for n in range(4)]
    for row, counts in zip(rows, usage, strict=True):
        row["response"]["usage"] = counts
    mapping = tmp_path / "gw.toml"
    mapping.write_text(
        '[format]\nid = "edge"\n[columns]\nevent_time = "$.start"\nclient_ip = "$.ip"\n'
        'input_tokens = "$.in"\noutput_tokens = "$.out"\nlatency_ms = "$.ms"\n'
        '[match]\nrequire = ["$.in"]\n[constants]\nrecord_kind = "access_only"\n'
    )
    edge = [
        {"start": at(n / 4), "ip": f"198.51.100.{n}", "in": 10 + n, "out": 20 + n, "ms": 5}
        for n in (2, 0, 3, 1)
    ]
    read_bytes(case, tmp_path, "app.json", lines(*rows))
    report = read_bytes(case, tmp_path, "edge.json", lines(*edge), mapping=mapping)
    assert report.linkage.methods == {"time_window_tokens": 4}
    assert [row[1] for row in calls(case)] == [f"198.51.100.{n}" for n in range(4)]
    assert case.rows("SELECT DISTINCT confidence FROM record_link") == [("medium",)]


def test_a_busy_stretch_is_left_alone(case, tmp_path, monkeypatch):
    monkeypatch.setattr("irkit.ingest.timelinks._MOST", 50)
    read_bytes(case, tmp_path, "app.json", lines(*(content(n, n / 2) for n in range(10))))
    report = read_bytes(case, tmp_path, "gw.json", lines(*(access(n, n / 2) for n in range(10))))
    assert report.linkage.methods == {}
    assert report.linkage.ambiguous == 10


def test_the_same_call_in_three_systems_counts_once(case, tmp_path):
    chat = {"id": LONG.format(9), "choices": [{"index": 0, "message": {"content": "answer 1"}}]}
    helicone = {
        "request_id": "h-1", "request_created_at": at(1), "response_status": 200,
        "request_user_id": "user-5", "provider": "OPENAI",
        "request_body": content(1, 0)["request"], "response_body": chat,
    }  # fmt: skip
    read_bytes(case, tmp_path, "helicone.json", lines(helicone))
    app = content(1, 0, "app-request-id-000001", response=chat)
    read_bytes(case, tmp_path, "app.json", lines(app))
    read_bytes(case, tmp_path, "gw.json", lines(access(3, 1, "app-request-id-000001")))
    kept = calls(case)
    assert len(kept) == 1
    assert kept[0][1] == "203.0.113.3"
    assert case.rows("SELECT count(*) FROM query_record WHERE duplicate_of IS NULL") == [(1,)]
    methods = dict(case.rows("SELECT kind, method FROM record_link ORDER BY kind"))
    assert methods == {"access": "request_id", "same_call": "provider_response_id"}


def test_a_client_cannot_hide_calls_behind_an_id_it_sets(case, tmp_path):
    rows = [content(n, n, LONG.format(1)) for n in range(5)]
    read_bytes(case, tmp_path, "app.json", lines(*rows))
    read_bytes(case, tmp_path, "gw.json", lines(access(1, 0, LONG.format(1))))
    assert len(calls(case)) == 5


def test_rereading_a_source_takes_borrowed_values_back(case, tmp_path):
    read_bytes(case, tmp_path, "app.json", lines(content(1, 0, LONG.format(1), who="192.0.2.9")))
    read_bytes(case, tmp_path, "gw.json", lines(access(7, 1, LONG.format(1))))
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        '[format]\nid = "own"\n[match]\nrequire = ["$.who"]\n[columns]\nevent_time = "$.ts"\n'
        'client_ip = "$.who"\nrequest = "$.request"\nrequest_id = "$.request_id"\n'
    )
    ingest(case, mapping=mapping)
    assert_balanced(case)
    assert calls(case)[0][1] == "192.0.2.9"
    assert calls(case)[0][3] == "caller-7"


def test_summary_and_packet_say_what_rests_on_time_alone(case, tmp_path):
    read_bytes(case, tmp_path, "app.json", lines(content(1, 0), content(2, 100), content(3, 101)))
    read_bytes(case, tmp_path, "gw.json", lines(access(1, 1), access(2, 100), access(3, 9000)))
    linking = summary(case)["linking"]
    assert linking["methods"] == {"time_window": 1}
    assert linking["confidence"] == {"low": 1}
    assert (linking["filled_by_time"], linking["ambiguous"], linking["unlinked_access"]) == (
        1,
        2,
        2,
    )
    said = " ".join(limits(case, Facts()))
    assert "1 call got address or credential from an access log" in said
    assert "2 entries or ids of the logs could belong to several calls" in said
    assert "For 2 calls only the access log was preserved" in said


def expected(app: list[float], gateway: list[float]) -> set[tuple[int, int]]:
    """Ties by time, found by looking at every pair."""
    near = [(i, j) for i, a in enumerate(app) for j, b in enumerate(gateway) if abs(a - b) <= 2]
    return {
        (i, j)
        for i, j in near
        if sum(i == x for x, _ in near) == 1 and sum(j == y for _, y in near) == 1
    }


@given(
    st.lists(st.integers(0, 400), max_size=12),
    st.lists(st.integers(0, 400), max_size=12),
)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_time_links_are_those_of_every_pair_compared(tmp_path_factory, clock, app, gateway):
    folder = tmp_path_factory.mktemp("pairs")
    app_s, gateway_s = [t / 4 for t in app], [t / 4 for t in gateway]
    with Case.create(folder / "c.irkit", clock=clock) as case:
        read_bytes(case, folder, "a.json", lines(*(content(n, t) for n, t in enumerate(app_s))))
        read_bytes(case, folder, "g.json", lines(*(access(n, t) for n, t in enumerate(gateway_s))))
        found = case.rows(
            "SELECT t.body, o.credential_id FROM record_link l JOIN query_record r"
            " ON r.record_id = l.record_id JOIN text t ON t.text_id = r.prompt_text_id"
            " JOIN query_record o ON o.record_id = l.other_id"
        )
        pairs = {(int(a.split()[1]), int(b.split("-")[1])) for a, b in found}
        assert pairs == expected(app_s, gateway_s)
        assert case.rows("SELECT count(*) FROM query_record") == [(len(app) + len(gateway),)]


def test_each_call_of_an_entry_that_wraps_many_is_tied_for_itself(case, tmp_path):
    ids = [f"0c6f0000-aaaa-bbbb-cccc-00000000000{number}" for number in range(3)]
    calls = [
        {
            "schemaType": "ModelInvocationLog",
            "timestamp": "2026-03-02T08:14:09Z",
            "identity": {"arn": "arn:aws:sts::210987654321:assumed-role/Chat/i-1"},
            "requestId": name,
            "operation": "InvokeModel",
            "modelId": "m",
            "input": {"inputBodyJson": {"prompt": f"question {name}"}},
            "output": {"outputBodyJson": {"generation": "answer"}},
        }
        for name in ids
    ]
    trail = [
        {
            "eventVersion": "1.09",
            "eventTime": "2026-03-02T08:14:09Z",
            "eventSource": "bedrock.amazonaws.com",
            "eventName": "InvokeModel",
            "requestID": name,
            "sourceIPAddress": f"203.0.113.{number}",
            "userIdentity": {"accessKeyId": f"AKIAEXAMPLE{number}"},
        }
        for number, name in enumerate(ids)
    ]
    read_bytes(case, tmp_path, "calls.json", "\n".join(map(json.dumps, calls)).encode())
    read_bytes(case, tmp_path, "trail.json", json.dumps({"Records": trail}).encode())
    found = case.rows(
        "SELECT request_id, client_ip FROM query_record WHERE duplicate_of IS NULL ORDER BY 1"
    )
    assert found == [(name, f"203.0.113.{number}") for number, name in enumerate(ids)]
