"""MLflow traces: the spans of chat and completion models in JSON traces and table exports.

Span attributes are JSON-encoded strings, ids are base64 or hex, and a trace holds many spans of
which only some are calls to a model; so traces are opened by a function.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from irkit.ingest.format import Capability, Envelope, Format, Source

_MODEL_SPANS = ("CHAT_MODEL", "LLM", "EMBEDDING")


def _decoded(value: Any) -> Any:
    """Return an attribute: MLflow encodes each one as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _object(value: Any) -> dict[str, Any]:
    found = _decoded(value)
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> list[Any]:
    found = _decoded(value)
    return found if isinstance(found, list) else []


def _pairs(value: Any) -> dict[str, Any]:
    """Return a map, which Parquet may hold as a list of keys and values."""
    found = _decoded(value)
    if isinstance(found, list):
        return {
            str(item["key"]): item.get("value")
            for item in found
            if isinstance(item, dict) and "key" in item
        }
    return found if isinstance(found, dict) else {}


def expand(line: str) -> list[str]:
    """Return the model calls of one trace; the root span where no span is marked as a model's.

    Raises:
        ValueError: not the shape that a trace has.
    """
    row = orjson.loads(line)
    trace = _object(row["trace"]) if "trace" in row else row
    info = {**row, **_object(trace.get("info"))}
    data = _object(trace.get("data"))
    spans = _list(data.get("spans") or row.get("spans"))
    told = [_span(span) for span in spans if isinstance(span, dict)]
    calls = [span for span in told if span["kind"] in _MODEL_SPANS]
    marked = bool(calls)
    if not marked:
        calls = [span for span in told if not span["parent"]][:1]
    if not told and (row.get("request") or info.get("request_preview")):
        calls = [
            {
                "inputs": _decoded(row.get("request") or info.get("request_preview")),
                "outputs": _decoded(row.get("response") or info.get("response_preview")),
            }
        ]
    metadata = _pairs(info.get("trace_metadata") or info.get("request_metadata"))
    shared = {
        "mlflow_trace": True,
        "trace_id": info.get("trace_id") or info.get("request_id"),
        "client_request_id": info.get("client_request_id"),
        "time": info.get("request_time") or info.get("timestamp_ms"),
        "duration_ms": info.get("execution_duration_ms")
        or info.get("execution_time_ms")
        or info.get("execution_duration"),
        "state": info.get("state") or info.get("status"),
        "metadata": metadata,
        "tags": _pairs(info.get("tags")),
        "is_model_span": marked,
    }
    return [json.dumps({**shared, "span": span}, ensure_ascii=False) for span in calls]


def _span(span: dict[str, Any]) -> dict[str, Any]:
    context = _object(span.get("context"))
    attributes = {key: _decoded(value) for key, value in _object(span.get("attributes")).items()}
    status = span.get("status")
    inputs = attributes.get("mlflow.spanInputs", _decoded(span.get("inputs")))
    params = attributes.get("mlflow.chat.params") or attributes.get("params")
    if isinstance(inputs, dict) and isinstance(params, dict):
        inputs = {**params, **inputs}
    return {
        "id": span.get("span_id") or context.get("span_id"),
        "parent": span.get("parent_span_id") or span.get("parent_id"),
        "name": span.get("name"),
        "start": span.get("start_time_unix_nano") or span.get("start_time"),
        "end": span.get("end_time_unix_nano") or span.get("end_time"),
        "status": status.get("code") if isinstance(status, dict) else span.get("status_code"),
        "kind": attributes.get("mlflow.spanType") or span.get("span_type"),
        "model": attributes.get("mlflow.llm.model"),
        "provider": attributes.get("mlflow.llm.provider"),
        "usage": attributes.get("mlflow.chat.tokenUsage"),
        "inputs": inputs,
        "outputs": attributes.get("mlflow.spanOutputs", _decoded(span.get("outputs"))),
    }


ENVELOPES = (
    Envelope(
        id="mlflow_trace",
        title="MLflow trace",
        signature_paths={
            "by": ("$.info.trace_id", "$.info.request_id"),
            "spans": "$.data.spans",
            "row": "$.trace",
            "row_spans": "$.spans",
            "row_id": ("$.trace_id", "$.request_id"),
            "about": ("$.trace_metadata", "$.request_metadata", "$.execution_duration"),
            "made": "$.mlflow_trace",
        },
        signature=(
            "made IS NULL AND ((by IS NOT NULL AND spans IS NOT NULL) OR (row_id IS NOT NULL"
            " AND about IS NOT NULL AND (row IS NOT NULL OR row_spans IS NOT NULL)))"
        ),
        expand=expand,
        order=40,
    ),
)

FORMAT = Format(
    id="mlflow_trace",
    title="MLflow traces",
    source=Source(
        "MLflow documentation: trace data model",
        "https://mlflow.org/docs/latest/genai/concepts/trace/",
    ),
    order=170,
    capabilities=frozenset(
        {
            *(Capability.CONTENT, Capability.SESSION, Capability.PARAMS, Capability.STATUS),
            *(Capability.LOGPROBS, Capability.CREDENTIAL),
        }
    ),
    absent=(
        "No address; a caller only behind MLflow's own gateway. Previews of requests are cut at"
        " 1,000 characters or less, so only spans hold whole texts."
    ),
    signature_paths={"made": "$.mlflow_trace", "trace": "$.trace_id"},
    signature="made = 'true' AND trace IS NOT NULL",
    paths={
        "event_time": ("$.span.start", "$.time"),
        "event_time_end": "$.span.end",
        "request_id": ("$.span.outputs.id", "$.span.id", "$.trace_id"),
        "correlation_id": "$.client_request_id",
        "trace_id": "$.trace_id",
        "endpoint": "$.span.name",
        "provider": "$.span.provider",
        "model_requested": "$.span.model",
        "kind": "$.span.kind",
        "is_model": "$.is_model_span",
        "state": ("$.span.status", "$.state"),
        "latency_ms": "$.duration_ms",
        "principal_id": '$.metadata."mlflow.auth.username"',
        "end_user_id": '$.metadata."mlflow.trace.user"',
        "session_id": '$.metadata."mlflow.trace.session"',
        "credential_id": '$.metadata."mlflow.gateway.caller"',
        "input_tokens": "$.span.usage.input_tokens",
        "output_tokens": "$.span.usage.output_tokens",
        "has_span": "$.span.id",
    },
    json_paths={"request": "$.span.inputs", "response": "$.span.outputs", "tags": "$.tags"},
    columns={
        "credential_kind": "'mlflow_gateway_caller'",
        # The span's own times give its latency; the trace's duration is that of the whole chain.
        "latency_ms": "CASE WHEN has_span IS NULL THEN latency_ms END",
        "operation": "CASE kind WHEN 'EMBEDDING' THEN 'embeddings' END",
        "outcome": (
            "CASE WHEN contains(upper(state), 'ERROR') THEN 'error'"
            " WHEN contains(upper(state), 'OK') THEN 'ok' END"
        ),
        "warning": (
            "CASE WHEN has_span IS NULL THEN 'preview_instead_of_span'"
            " WHEN is_model = 'false' THEN 'root_span_instead_of_model_span' END"
        ),
        "content_state": "CASE WHEN has_span IS NULL THEN 'truncated' END",
    },
    sampled=True,
    failures_logged=True,
    coverage="pnpypyypypy",
    unconfirmed="The columns of the table export in Parquet (types of maps and spans).",
)
