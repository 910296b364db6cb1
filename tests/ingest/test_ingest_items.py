"""Rows of prediction calls: every protocol's bodies become the same vectors and class scores."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_cases import read_bytes


def capture(asked: str, answered: str, number: int = 0) -> dict:
    return {
        "captureData": {
            "endpointInput": {"mode": "INPUT", "data": asked, "encoding": "CSV"},
            "endpointOutput": {"mode": "OUTPUT", "data": answered, "encoding": "JSON"},
        },
        "eventMetadata": {"eventId": f"e{number}", "inferenceTime": "2026-05-01T09:00:01Z"},
        "eventVersion": "0",
    }


def table(asked: str, answered: str, number: int = 0) -> dict:
    return {
        "databricks_request_id": f"e{number}",
        "request_time": "2026-07-04T19:40:26.829Z",
        "status_code": 200,
        "execution_duration_ms": 5,
        "request": asked,
        "response": answered,
        "requester": "p",
    }


def items(case, tmp_path, entry: dict) -> list[tuple]:
    read_bytes(case, tmp_path, "log.jsonl", json.dumps(entry).encode() + b"\n")
    return case.rows(
        "SELECT features, scores_kind, class_probs, pred_label, round(top1_prob, 6),"
        " round(margin, 6) FROM query_item ORDER BY record_id, item"
    )


V2_IN = json.dumps(
    {
        "inputs": [
            {"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]},
            {"name": "b", "shape": [2, 1], "datatype": "FP32", "data": [9, 8]},
        ]
    }
)
V2_OUT = json.dumps(
    {
        "outputs": [
            {"name": "predict", "shape": [2], "datatype": "INT64", "data": [1, 0]},
            {"name": "proba", "shape": [2, 2], "datatype": "FP64", "data": [0.1, 0.9, 0.8, 0.2]},
        ]
    }
)
BOTH = [
    (
        '{"instances":[[1.0,2.0],[3.0,4.0]]}',
        '{"predictions":[[0.25,0.75],[0.5,0.5]]}',
        [
            ([1.0, 2.0], "probabilities", [0.25, 0.75], "1", 0.75, 0.5),
            ([3.0, 4.0], "probabilities", [0.5, 0.5], "0", 0.5, 0.0),
        ],
    ),
    (
        V2_IN,
        V2_OUT,
        [
            ([1.0, 2.0, 9.0], "probabilities", [0.1, 0.9], "1", 0.9, 0.8),
            ([3.0, 4.0, 8.0], "probabilities", [0.8, 0.2], "0", 0.8, 0.6),
        ],
    ),
    (
        '{"data":{"tensor":{"shape":[2,2],"values":[1,2,3,4]}}}',
        '{"data":{"tensor":{"shape":[2,1],"values":[0.25,1.0]}}}',
        [
            ([1.0, 2.0], "binary", [0.75, 0.25], "0", 0.75, 0.5),
            ([3.0, 4.0], "label", None, "1", None, None),
        ],
    ),
    (
        '{"instances":[{"features":[1.5,2.5]}]}',
        '{"predictions":[{"label":"cat","probabilities":{"cat":0.75,"dog":0.25}}]}',
        [([1.5, 2.5], "probabilities", [0.75, 0.25], "cat", 0.75, 0.5)],
    ),
    (
        '{"instances":[[[[1,2],[3,4]]]]}',
        '{"predictions":[{"score":0.9,"predicted_label":1}]}',
        [([1.0, 2.0, 3.0, 4.0], "confidence", None, "1", 0.9, 0.8)],
    ),
]


@pytest.mark.parametrize("envelope", [capture, table])
@pytest.mark.parametrize(("asked", "answered", "expected"), BOTH)
def test_protocols_give_the_same_items(case, tmp_path, envelope, asked, answered, expected):
    assert items(case, tmp_path, envelope(asked, answered)) == expected
    assert case.rows("SELECT DISTINCT operation FROM query_record") == [("predict",)]


def test_csv_lines_are_rows_and_words_are_marked(case, tmp_path):
    found = items(case, tmp_path, capture("1,red\n2,blue\n3,red", "0.2\n0.9\n0.5"))
    assert [row[3] for row in found] == ["0", "1", "0"]
    red, blue = found[0][0][1], found[1][0][1]
    assert found[2][0][1] == red != blue
    assert 0 <= red < 1
    assert case.rows("SELECT DISTINCT words FROM query_item") == [([1],)]


def test_named_columns_are_kept_once(case, tmp_path):
    asked = '{"dataframe_split":{"columns":["age","job"],"data":[[39,"clerk"],[50,null]]}}'
    found = items(case, tmp_path, table(asked, '{"predictions":[0,1]}'))
    assert [row[3] for row in found] == ["0", "1"]
    assert found[1][0] == [50.0, None]
    assert case.rows("SELECT names FROM query_schema") == [(["age", "job"],)]
    assert len(case.rows("SELECT DISTINCT schema_id FROM query_item")) == 1


def test_logits_become_probabilities(case, tmp_path):
    (row,) = items(case, tmp_path, capture("[1.0,2.0,3.0]", "[[2.0,1.0]]"))
    assert row[0] == [1.0, 2.0, 3.0]
    assert row[1] == "logits"
    assert row[2][0] == pytest.approx(math.e / (1 + math.e))


def test_a_halved_call_gets_its_items_after_joining(case, tmp_path):
    import base64

    def half(kind: str, body: dict) -> dict:
        return {
            "bytes": base64.b64encode(json.dumps(body).encode()).decode(),
            "reqType": f"org.kubeflow.serving.inference.{kind}",
            "id": "k1",
            "inferenceService": "income",
            "occurrenceTime": "2026-05-01T09:00:01Z",
        }

    lines = [half("request", {"instances": [[5.1, 3.5]]}), half("response", {"predictions": [[1]]})]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    read_bytes(case, tmp_path, "k.jsonl", data)
    assert case.rows("SELECT features, pred_label FROM query_item") == [([5.1, 3.5], "1")]


def test_language_calls_have_no_items(case, tmp_path):
    body = {"messages": [{"role": "user", "content": "instances [1, 2]"}]}
    answer = {"choices": [{"message": {"content": "predictions"}}]}
    assert items(case, tmp_path, table(json.dumps(body), json.dumps(answer))) == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["instances", "inputs", "data", "shape", "name", "outputs", "predictions", "tensor"]
            )
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_JSON, _JSON), min_size=1, max_size=4), st.booleans())
def test_any_body_is_read_without_error(tmp_path_factory, pairs, bare):
    from irkit.case import Case, fixed_clock

    folder = tmp_path_factory.mktemp("items")
    with Case.create(folder / "c", title="t", clock=fixed_clock("2026-05-09T08:00:00Z")) as made:
        entries = [
            capture(
                json.dumps(a if bare else {"instances": a}),
                json.dumps(b if bare else {"outputs": b}),
                number,
            )
            for number, (a, b) in enumerate(pairs)
        ]
        data = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
        read_bytes(made, folder, "log.jsonl", data)
        for features, margin in made.rows("SELECT features, margin FROM query_item"):
            assert all(value is None or math.isfinite(value) for value in features or [])
            assert margin is None or 0 <= margin <= 1


def test_the_replay_view_tells_rows_without_their_values(case, tmp_path):
    from irkit.case.views.call import record_detail

    items(case, tmp_path, capture("0.12,3.4,1.0,77", '{"predictions":[[0.07,0.02,0.91]]}'))
    (record_id,) = case.rows("SELECT record_id FROM query_record")[0]
    detail = record_detail(case.con, record_id)
    assert detail is not None
    [item] = detail.items
    assert (item.width, item.label, item.scalars) == (4, "2", 3)
    assert item.top == pytest.approx(0.91)
    assert item.scores[0][0] == "2"
    assert "0.12" not in repr(detail.items) and "77" not in repr(detail.items)
