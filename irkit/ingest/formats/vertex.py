"""Vertex AI request-response logging, as rows exported from BigQuery."""

from __future__ import annotations

from irkit.ingest import payloads
from irkit.ingest.format import Capability, Format, Source

_ASKED = "coalesce(whole_request, part_request)"
#: Streamed answers are a list of texts, each one chunk.
_CHUNKS = "json_extract_string(parts, '$[*]')"
_ANSWERED = (
    "CASE WHEN whole_response IS NOT NULL THEN whole_response"
    " WHEN json_array_length(parts) = 1 THEN json_extract_string(parts, '$[0]')"
    f" WHEN len(list_filter({_CHUNKS}, lambda c: NOT coalesce(json_valid(c), false))) = 0"
    f" THEN '[' || array_to_string({_CHUNKS}, ',') || ']' END"
)

FORMAT = Format(
    id="vertex_request_response",
    title="Vertex AI request-response logging",
    source=Source(
        "Vertex AI documentation: log requests and responses",
        "https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/request-response-logging",
    ),
    order=160,
    capabilities=frozenset({Capability.CONTENT, Capability.PARAMS, Capability.LOGPROBS}),
    absent=(
        "No caller, address, session or status: Cloud Audit Logs have caller and address, without"
        " a common id. Calls may be sampled."
    ),
    signature_paths={
        "timed": "$.logging_time",
        "body": (
            "$.full_request",
            "$.full_response",
            "$.request_payload",
            "$.response_payload",
        ),
    },
    signature="timed IS NOT NULL AND body IS NOT NULL",
    paths={
        "event_time": "$.logging_time",
        "request_id": "$.request_id",
        "endpoint": "$.endpoint",
        "model_requested": "$.model",
        "model_version": ("$.model_version", "$.deployed_model_id"),
        "method": "$.api_method",
        "whole_request": "$.full_request",
        "part_request": "$.request_payload[0]",
        "whole_response": "$.full_response",
    },
    json_paths={"parts": "$.response_payload", "tags": "$.metadata"},
    columns={
        "provider": "'gcp.vertex_ai'",
        **payloads.question(_ASKED),
        **payloads.answer(f"({_ANSWERED})"),
        "operation": payloads.predicts(_ASKED),
        "stream": "CASE WHEN method IS NOT NULL THEN contains(lower(method), 'stream') END",
    },
    sampled=True,
    coverage="nnnyyyypynn",
    unconfirmed=(
        "The column list comes from a third party's account of a live table; how answers of"
        " partner models and streams are wrapped in full_response is not documented."
    ),
)
