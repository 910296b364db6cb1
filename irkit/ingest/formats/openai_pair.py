"""Request/response pairs as gateways write them around OpenAI-compatible bodies."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

FORMAT = Format(
    id="openai_pair",
    title="OpenAI-compatible request/response pairs",
    source=Source(
        "OpenAI API reference: chat completions, completions, responses",
        "https://platform.openai.com/docs/api-reference",
    ),
    order=300,
    capabilities=frozenset(Capability),
    absent="No standard envelope: whichever of time, key, address and status the gateway wrote.",
    signature_paths={
        "rq_model": (
            "$.request.model",
            "$.req.model",
            "$.input.model",
            "$.request_body.model",
            "$.requestBody.model",
            "$.body.model",
            "$.payload.model",
            "$.kwargs.model",
        ),
        "rq_content": (
            "$.request.messages",
            "$.request.prompt",
            "$.request.input",
            "$.req.messages",
            "$.req.prompt",
            "$.input.messages",
            "$.input.prompt",
            "$.request_body.messages",
            "$.request_body.prompt",
            "$.requestBody.messages",
            "$.requestBody.prompt",
            "$.body.messages",
            "$.body.prompt",
            "$.payload.messages",
            "$.payload.prompt",
            "$.kwargs.messages",
            "$.kwargs.prompt",
        ),
        "rq_text": ("$.request", "$.request_body", "$.requestBody"),
        "rs": (
            "$.response",
            "$.resp",
            "$.output",
            "$.response_body",
            "$.responseBody",
            "$.completion",
            "$.result",
            "$.error",
            "$.status",
            "$.status_code",
        ),
    },
    signature=(
        "((rq_content IS NOT NULL AND (rq_model IS NOT NULL OR rs IS NOT NULL))"
        " OR (starts_with(ltrim(rq_text), '{') AND contains(rq_text, '\"model\"')"
        " AND (contains(rq_text, '\"messages\"') OR contains(rq_text, '\"prompt\"')"
        " OR contains(rq_text, '\"input\"'))))"
    ),
    paths={
        "event_time": (
            "$.timestamp",
            "$.ts",
            "$.time",
            "$.created_at",
            "$.createdAt",
            "$.start_time",
            "$.startTime",
            '$."@timestamp"',
            "$.created",
        ),
        "event_time_end": ("$.end_time", "$.endTime", "$.completed_at"),
        "request_id": ("$.request_id", "$.requestId", '$."x-request-id"', "$.req_id"),
        "correlation_id": ("$.correlation_id", "$.correlationId"),
        "trace_id": ("$.trace_id", "$.traceId"),
        "key_hash": ("$.api_key_hash", "$.user_api_key_hash", "$.key_hash"),
        "key_id": ("$.key_id", "$.keyId", "$.api_key_id", "$.credential_id"),
        "key_raw": ("$.api_key", "$.key", "$.authorization", "$.headers.authorization"),
        "principal_id": ("$.user_id", "$.userId", "$.principal"),
        "tenant_id": ("$.tenant_id", "$.tenant", "$.org_id", "$.organization", "$.team_id"),
        "session_id": (
            "$.session_id",
            "$.sessionId",
            "$.conversation_id",
            "$.thread_id",
            '$."x-session-id"',
            "$.request.metadata.session_id",
        ),
        "client_ip": (
            "$.client_ip",
            "$.clientIp",
            "$.ip",
            "$.remote_addr",
            "$.source_ip",
            "$.requester_ip_address",
        ),
        "forwarded_for": ('$."x-forwarded-for"', '$.headers."x-forwarded-for"', "$.xff"),
        "user_agent": ("$.user_agent", "$.userAgent", '$.headers."user-agent"'),
        "endpoint": ("$.endpoint", "$.path", "$.url", "$.route"),
        "provider": ("$.provider",),
        "status_code": (
            "$.status",
            "$.status_code",
            "$.statusCode",
            "$.response_status",
            "$.http_status",
        ),
        "latency_ms": ("$.latency_ms", "$.latencyMs", "$.duration_ms", "$.durationMs"),
        "latency_s": ("$.latency_s", "$.duration_s", "$.response_time"),
        "error_type": ("$.error.type", "$.error.code", "$.error_type", "$.error_code"),
    },
    json_paths={
        "request": (
            "$.request",
            "$.req",
            "$.request_body",
            "$.requestBody",
            "$.body",
            "$.payload",
            "$.kwargs",
            "$.input",
        ),
        "response": (
            "$.response",
            "$.resp",
            "$.response_body",
            "$.responseBody",
            "$.completion",
            "$.result",
            "$.output",
        ),
        "tags": ("$.metadata", "$.tags", "$.request.metadata"),
        "call_kind": ("$.response.object", "$.request.messages", "$.request.prompt"),
    },
    columns={
        "credential_id": "coalesce(key_hash, key_id, key_raw)",
        "credential_kind": (
            "CASE WHEN key_hash IS NOT NULL THEN 'api_key_hash' WHEN key_id IS NOT NULL"
            " THEN 'key_id' WHEN key_raw IS NOT NULL THEN 'api_key_as_logged' END"
        ),
        "latency_ms": "coalesce(TRY_CAST(latency_ms AS DOUBLE), TRY_CAST(latency_s AS DOUBLE)*1000)",
        "operation": (
            "CASE WHEN contains(call_kind, 'chat.completion') OR starts_with(call_kind, '[')"
            " THEN 'chat' WHEN contains(call_kind, 'text_completion') THEN 'text_completion'"
            " WHEN contains(call_kind, 'response') THEN 'responses'"
            " WHEN contains(call_kind, 'list') THEN 'embeddings' END"
        ),
    },
)
