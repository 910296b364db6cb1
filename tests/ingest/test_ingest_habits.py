"""Columns that no record of a shape filled so far are left out, and never lost."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.ingest.folding import folded
from irkit.ingest.habits import Habit
from irkit.ingest.project import Projector
from irkit.ingest.projection import OUTPUT
from irkit.ingest.registry import registry

USUAL: dict[str, Any] = {
    "ts": "2026-10-05T10:00:00Z",
    "key_id": "key-1",
    "request": {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
    "response": {
        "id": "r-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "hi"}}],
    },
}
LOGPROBS = {"content": [{"token": "hi", "logprob": -0.5, "top_logprobs": []}]}
MORE: dict[str, dict[str, Any]] = {
    "temperature": {"request": {**USUAL["request"], "temperature": 0.5}},
    "client_ip": {"client_ip": "192.0.2.7"},
    "tenant_id": {"tenant": "t"},
    "status_code": {"status": 503},
    "error_type": {"error": {"type": "overloaded"}},
    "session_id": {"session_id": "s"},
    "stop": {"request": {**USUAL["request"], "stop": ["x"]}},
    "tokens": {
        "response": {
            **USUAL["response"],
            "choices": [{**USUAL["response"]["choices"][0], "logprobs": LOGPROBS}],
        }
    },
    "seed": {"request": {**USUAL["request"], "seed": 7, "n": 2, "user": "u"}},
    "several prompts": {"request": {"model": "m", "prompt": ["a", "b"]}},
    "another dialect": {"request": {"model": "m", "input": "a"}, "response": {"output_text": "b"}},
    "not a call": {"request": None, "response": None},
}


def lines(records: list[dict[str, Any]]) -> pa.Array:
    return pa.array([json.dumps(record) for record in records], pa.large_string())


class Reader:
    """A projector that has seen many usual records, and the general reading beside it."""

    def __init__(self) -> None:
        self.projector = Projector(registry())
        self.fmt = self.projector.format("openai_pair")
        assert self.fmt is not None
        self.shape = self.projector.shape(self.fmt, [json.dumps(USUAL).encode()] * 3)
        assert self.shape is not None

    @property
    def habit(self) -> Habit:
        assert self.fmt is not None and self.shape is not None
        return self.projector._habit(self.fmt, self.shape)

    def read(self, records: list[dict[str, Any]], *, shaped: bool = True) -> list[Any]:
        shape = self.shape if shaped else None
        found = self.projector.project(lines(records), self.fmt, shape)
        rows = found.records.drop_columns(["position"])
        return [rows.schema, rows.to_pylist(), found.rejects]


@pytest.fixture
def reader():
    made = Reader()
    yield made
    made.projector.close()


def test_few_records_tell_nothing(reader):
    reader.read([USUAL] * 20)
    assert reader.habit.filled is None


def test_what_many_records_leave_empty_is_left_out(reader):
    reader.read([USUAL] * 1000)
    assert reader.habit.filled is not None
    assert {"bodies", "choice_body", "credential_id", "event_time"} <= reader.habit.filled
    assert not {"tokens", "client_ip", "temperature", "error_type"} & reader.habit.filled
    assert reader.read([USUAL] * 7) == reader.read([USUAL] * 7, shaped=False)


@pytest.mark.parametrize("name", MORE)
def test_a_record_that_fills_more_is_read_whole(reader, name):
    reader.read([USUAL] * 1000)
    records = [USUAL, {**USUAL, **MORE[name]}, USUAL]
    found = reader.read(records)
    assert found == reader.read(records, shaped=False)
    if name in OUTPUT:
        assert found[1][1][name] is not None
        assert reader.habit.filled is not None
        assert name in reader.habit.filled
        assert reader.read(records) == found


def test_columns_that_keep_changing_are_all_returned(reader):
    reader.read([USUAL] * 1000)
    for name in ("temperature", "client_ip", "tenant_id", "status_code", "session_id"):
        records = [USUAL, {**USUAL, **MORE[name]}]
        assert reader.read(records) == reader.read(records, shaped=False)
    assert reader.habit.filled is None
    assert reader.read([USUAL] * 1000)[1][0]["client_ip"] is None
    assert reader.habit.filled is None


@pytest.fixture(scope="module")
def used():
    made = Reader()
    made.read([USUAL] * 1000)
    yield made
    made.projector.close()


@settings(max_examples=25)
@given(st.lists(st.lists(st.sampled_from(sorted(MORE)), max_size=3, unique=True), max_size=6))
def test_any_mixture_is_read_as_by_the_general_statement(used, mixture):
    records = [USUAL]
    for names in mixture:
        record = dict(USUAL)
        for name in names:
            record |= MORE[name]
        records.append(record)
    assert used.read(records) == used.read(records, shaped=False)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("coalesce(a, b)", "coalesce((NULL), b)"),
        ("x.a + a", "x.a + (NULL)"),
        ("b AS a, 'a' AS c, a AS d", "b AS a, 'a' AS c, (NULL) AS d"),
        ('"a" IS NULL AND "b"', '(NULL) IS NULL AND "b"'),
        ("a(b) || a", "a(b) || (NULL)"),
        ("b::a, a::b", "b::a, (NULL)::b"),
        ("lambda a: a2, {'a': 1}", "lambda a: a2, {'a': 1}"),
        ("'it''s a' || a", "'it''s a' || (NULL)"),
        ("(a).b", "((NULL)).b"),
        ("a.b", "(NULL).b"),
    ],
)
def test_known_values_stand_where_columns_were_named(sql, expected):
    assert folded(sql, {"a": "NULL"}) == expected
