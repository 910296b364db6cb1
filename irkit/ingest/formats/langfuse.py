"""Langfuse exports: observations and traces (snake_case from blob storage, else camelCase)."""

from __future__ import annotations

from irkit.ingest.format import Capability, Envelope, Format, Paths, Source, not_a_call

_KIND: dict[str, Paths] = {"trace": ("$.trace_id", "$.traceId"), "kind": "$.type"}

#: An answer is a message, a list of messages, a whole response, or plain text.
_ANSWER = (
    "CASE WHEN json_exists(ik_unwrap(answer), '$.choices') THEN answer"
    " WHEN json_exists(ik_unwrap(answer), '$.role')"
    " THEN '{\"output_messages\":[' || ik_unwrap(answer) || ']}'"
    " WHEN json_exists(ik_unwrap(answer), '$[0].role')"
    " THEN '{\"output_messages\":' || ik_unwrap(answer) || '}' ELSE answer END"
)

_SAYS = (
    "coalesce(ik_unwrap(messages), '[]') NOT IN ('[]', '{}', '\"\"')"
    " OR coalesce(ik_unwrap(answer), '{}') NOT IN ('[]', '{}', '\"\"')"
)

OBSERVATION = Format(
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
        "response": _ANSWER,
        "operation": "CASE kind WHEN 'EMBEDDING' THEN 'embeddings' ELSE 'chat' END",
        "outcome": "CASE level WHEN 'ERROR' THEN 'error' END",
    },
    coverage="nnpypyypypy",
    unconfirmed=(
        "The observation columns come from third parties' copies; how input is encoded in Parquet"
        " and which types besides GENERATION call a model."
    ),
)

TRACE = Format(
    id="langfuse_trace",
    title="Langfuse traces",
    source=Source(
        "Langfuse documentation: export to blob storage",
        "https://langfuse.com/docs/api-and-data-platform/features/export-to-blob-storage",
    ),
    order=211,
    capabilities=frozenset({Capability.SESSION, Capability.CONTENT}),
    absent=(
        "User and session of a whole trace; its calls are observations, linked by trace id. Its own"
        " input and output count as one call only where no observation of it is preserved."
    ),
    signature_paths={
        "id": "$.id",
        "timed": ("$.timestamp", "$.created_at", "$.createdAt"),
        "kind": ("$.type", "$.trace_id", "$.traceId"),
        "who": ("$.user_id", "$.userId", "$.session_id", "$.sessionId"),
        "mark": ("$.release", "$.bookmarked", "$.public", "$.project_id", "$.projectId"),
        "content": ("$.input", "$.output", "$.name"),
        "inside": ("$.observations[0].type", "$.observations[0].traceId"),
    },
    signature=(
        "id IS NOT NULL AND timed IS NOT NULL AND kind IS NULL AND mark IS NOT NULL"
        " AND coalesce(who, content) IS NOT NULL AND inside IS NULL"
    ),
    paths={
        "event_time": ("$.timestamp", "$.created_at", "$.createdAt"),
        "trace_id": "$.id",
        "correlation_id": "$.id",
        "request_id": "$.id",
        "endpoint": "$.name",
        "tenant_id": ("$.project_id", "$.projectId"),
        "principal_id": ("$.user_id", "$.userId"),
        "session_id": ("$.session_id", "$.sessionId"),
    },
    json_paths={"messages": "$.input", "answer": "$.output", "tags": "$.tags"},
    columns={
        "response": _ANSWER,
        "record_kind": f"CASE WHEN NOT ({_SAYS}) THEN 'access_only' END",
        "content_state": f"CASE WHEN NOT ({_SAYS}) THEN 'absent' END",
        "warning": f"CASE WHEN {_SAYS} THEN 'text_of_whole_trace' END",
    },
    whole_of="langfuse_observation",
    coverage="nnpynppnnnn",
)

FORMATS = (OBSERVATION, TRACE)

ENVELOPES = (
    Envelope(
        id="langfuse_trace_download",
        title="Langfuse trace with its observations",
        signature_paths={
            "first": ("$.observations[0].type", "$.observations[0].traceId"),
            "items": "$.observations",
        },
        signature="starts_with(items, '[') AND first IS NOT NULL",
        # Who asked stands at the trace; each observation gets it.
        expand=(
            "list_transform(ik_elements(json_extract(line, '$.observations')::VARCHAR),"
            " lambda o: json_merge_patch(o::JSON, json_merge_patch('{}'::JSON, json_object("
            "'userId', ik_first(line, ['$.userId', '$.trace.userId', '$.user_id']),"
            " 'sessionId', ik_first(line, ['$.sessionId', '$.trace.sessionId', '$.session_id']),"
            " 'traceId', ik_first(line, ['$.id', '$.trace.id']))))::VARCHAR)"
        ),
        order=40,
    ),
    not_a_call(
        "langfuse_other_observation",
        "Langfuse observation that calls no model",
        "Langfuse span or event: its model calls are observations of their own",
        "trace IS NOT NULL AND timed IS NOT NULL AND kind IN ('SPAN', 'EVENT', 'AGENT', 'TOOL',"
        " 'CHAIN', 'RETRIEVER', 'EVALUATOR', 'GUARDRAIL')",
        **_KIND,
        timed=("$.start_time", "$.startTime"),
    ),
)
