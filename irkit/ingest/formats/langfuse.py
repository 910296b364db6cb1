"""Langfuse observation exports (snake_case from blob storage, camelCase from the interface)."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

FORMAT = Format(
    id="langfuse_observation",
    title="Langfuse observations",
    source=Source(
        "Langfuse documentation: export to blob storage",
        "https://langfuse.com/docs/api-and-data-platform/features/export-to-blob-storage",
    ),
    order=210,
    capabilities=frozenset(
        {Capability.CONTENT, Capability.SESSION, Capability.PARAMS, Capability.STATUS}
    ),
    absent=(
        "No key, address or status code; the older observation export has no user or session"
        " (they are in the trace export)."
    ),
    signature_paths={
        "trace": ("$.trace_id", "$.traceId"),
        "kind": "$.type",
        "model": (
            "$.provided_model_name",
            "$.model_parameters",
            "$.modelParameters",
            "$.usage_details",
            "$.usageDetails",
        ),
    },
    signature=("trace IS NOT NULL AND model IS NOT NULL AND kind IN ('GENERATION', 'EMBEDDING')"),
    paths={
        "event_time": ("$.start_time", "$.startTime"),
        "event_time_end": ("$.end_time", "$.endTime"),
        "request_id": "$.id",
        "trace_id": ("$.trace_id", "$.traceId"),
        "tenant_id": ("$.project_id", "$.projectId"),
        "endpoint": "$.name",
        "model_requested": ("$.provided_model_name", "$.model"),
        "principal_id": ("$.user_id", "$.userId"),
        "session_id": ("$.session_id", "$.sessionId"),
        "input_tokens": ("$.usage_details.input", "$.usageDetails.input"),
        "output_tokens": ("$.usage_details.output", "$.usageDetails.output"),
        "level": "$.level",
        "kind": "$.type",
    },
    json_paths={
        "request": ("$.model_parameters", "$.modelParameters"),
        "messages": "$.input",
        "answer": "$.output",
        "tags": "$.metadata",
    },
    columns={
        # The answer is a message, a list of messages, a whole response, or plain text.
        "response": (
            "CASE WHEN json_exists(ik_unwrap(answer), '$.choices') THEN answer"
            " WHEN json_exists(ik_unwrap(answer), '$.role')"
            " THEN '{\"output_messages\":[' || ik_unwrap(answer) || ']}'"
            " WHEN json_exists(ik_unwrap(answer), '$[0].role')"
            " THEN '{\"output_messages\":' || ik_unwrap(answer) || '}' ELSE answer END"
        ),
        "operation": "CASE kind WHEN 'EMBEDDING' THEN 'embeddings' ELSE 'chat' END",
        "outcome": "CASE level WHEN 'ERROR' THEN 'error' END",
    },
)
