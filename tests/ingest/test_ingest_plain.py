"""Plain readings give the same rows as the general ones, and refuse what they cannot read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.ingest.project import Projector
from irkit.ingest.registry import registry
from irkit.ingest.shapes import Shape


@pytest.fixture(scope="module")
def projector():
    made = Projector(registry())
    yield made
    made.close()


def openai(messages: Any, choices: Any) -> dict[str, Any]:
    return {
        "ts": "2026-10-05T10:00:00Z",
        "key_id": "key-1",
        "request": {"model": "m", "messages": messages},
        "response": {"id": "r-1", "object": "chat.completion", "choices": choices},
    }


def bedrock(messages: Any, content: Any) -> dict[str, Any]:
    return {
        "schemaType": "ModelInvocationLog",
        "timestamp": "2026-10-05T10:00:00Z",
        "requestId": "r-1",
        "operation": "Converse",
        "modelId": "m",
        "input": {"inputBodyJson": {"messages": messages}},
        "output": {
            "outputBodyJson": {
                "output": {"message": {"role": "assistant", "content": content}},
                "stopReason": "end_turn",
            }
        },
    }


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": "stop", "message": {"content": content, **more}}


TEXT = [{"role": "user", "content": "hello"}], [said("hi")]
PARTS = [{"role": "user", "content": [{"text": "hello"}]}], [{"text": "hi"}, {"text": "there"}]

CONTENTS: tuple[Any, ...] = (
    *("", "null", '{"a": 1}', "[1]", " [1]", "{", 'a "b"\n\\', "é", None, 5, 1.50, True),
    *([], {}, [None], ["x"], {"text": "x"}, [{"text": "a"}, {"text": "b"}], [{"text": None}]),
    *([{"text": 5}], [{"type": "tool_result", "text": "a"}], [{"type": "text", "text": "a"}]),
    [{"toolResult": {"content": [{"text": "a"}]}}],
    [{"text": "a"}, {"image": {"format": "png"}}],
    [{"toolUse": {"input": {"a": 1}}}, {"text": "b"}],
)


def mapped(projector: Projector, fmt: str, records: list[Any], shape: Shape | None) -> list[Any]:
    lines = pa.array([json.dumps(record) for record in records], pa.large_string())
    found = projector.project(lines, projector.format(fmt), shape)
    # The place within a rerouted part of the block only serves to sort.
    return [found.records.drop_columns(["position"]).to_pylist(), found.rejects]


def sampled(projector: Projector, fmt: str, record: dict[str, Any]) -> Shape:
    found = projector.format(fmt)
    assert found is not None
    shape = projector.shape(found, [json.dumps(record).encode()] * 3)
    assert shape is not None
    return shape


def check(projector: Projector, fmt: str, record: dict[str, Any], odd: list[Any]) -> None:
    shape = sampled(projector, fmt, record)
    assert len(shape.plain) == 2
    records = [record, *odd, record]
    assert mapped(projector, fmt, records, shape) == mapped(projector, fmt, records, None)


@pytest.mark.parametrize("content", CONTENTS, ids=repr)
def test_openai_texts_as_the_general_reading(projector, content):
    odd = [
        openai([{"role": "user", "content": content}], [said("x")]),
        openai([{"role": "user", "content": "x"}, {"role": "tool", "content": content}], TEXT[1]),
        openai(TEXT[0], [said(content)]),
        openai(TEXT[0], [said(content, refusal="no"), said("b", tool_calls=[])]),
        openai([{"content": content, "reasoning_content": "so"}], [{"text": content}]),
        openai([{"role": "model", "parts": [{"text": "p"}], "content": content}], TEXT[1]),
        openai(content, content),
    ]
    check(projector, "openai_pair", openai(*TEXT), odd)


@pytest.mark.parametrize("content", CONTENTS, ids=repr)
def test_converse_parts_as_the_general_reading(projector, content):
    odd = [
        bedrock([{"role": "user", "content": content}], PARTS[1]),
        bedrock([*PARTS[0], {"role": "assistant", "content": content}], PARTS[1]),
        bedrock([{"role": "user", "parts": content}], PARTS[1]),
        bedrock(PARTS[0], content),
        bedrock(content, PARTS[1]),
    ]
    check(projector, "bedrock_invocation", bedrock(*PARTS), odd)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(st.sampled_from('a{[" \né'), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("role", "content", "text", "parts", "type", "tool_calls", "message")),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=15)
@given(odd=st.lists(st.tuples(_JSON, _JSON), max_size=6))
def test_any_value_in_place_of_texts(projector, odd):
    check(projector, "openai_pair", openai(*TEXT), [openai(*pair) for pair in odd])
    check(projector, "bedrock_invocation", bedrock(*PARTS), [bedrock(*pair) for pair in odd])


def test_mixed_samples_have_no_plain_reading(projector):
    fmt = projector.format("openai_pair")
    parts = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]
    lines = [openai(*TEXT), openai(parts, TEXT[1]), openai(parts, [said(None, tool_calls=[{}])])]
    shape = projector.shape(fmt, [json.dumps(line).encode() for line in lines])
    assert shape is not None
    assert shape.plain == ()


def test_a_reading_that_fits_few_records_is_given_up(projector):
    shape = sampled(projector, "openai_pair", openai(*TEXT))
    lists = [{"role": "user", "content": [{"text": "x"}]}]
    lines = pa.array([json.dumps(openai(lists, TEXT[1]))] * 5, pa.large_string())
    found = projector.project(lines, projector.format("openai_pair"), shape)
    assert len(found.records) == 5
    assert projector._narrowing(projector.format("openai_pair"), shape) == [(shape.wide, None)]
    assert np.all(found.records.column("row_no").to_numpy() == np.arange(5))
