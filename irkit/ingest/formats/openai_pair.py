"""Request/response pairs as gateways write them around OpenAI-compatible bodies."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

#: A request that was logged as a string of JSON.
_ENCODED = (
    "regexp_matches(ik_first(line, ['$.request', '$.request_body', '$.requestBody', '$.body']),"
    " '(?s)^\\s*\\{.*\"(messages|prompt|input)\"\\s*:')"
)

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
        # Leaves, not whole bodies: a whole body would be copied only to be tested.
        "rs": (
            "$.response.id",
            "$.response.object",
            "$.response.choices[0].index",
            "$.resp.id",
            "$.resp.object",
            "$.output.id",
            "$.output.object",
            "$.response_body.id",
            "$.response_body.object",
            "$.responseBody.id",
            "$.responseBody.object",
            "$.completion.id",
            "$.result.id",
            "$.error",
            "$.status",
            "$.status_code",
        ),
    },
    signature=(
        "CASE WHEN rq_content IS NOT NULL THEN rq_model IS NOT NULL OR rs IS NOT NULL"
        f" ELSE {_ENCODED} END"
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
    },
    columns={
        "credential_id": "coalesce(key_hash, key_id, key_raw)",
        "credential_kind": (
            "CASE WHEN key_hash IS NOT NULL THEN 'api_key_hash' WHEN key_id IS NOT NULL"
            " THEN 'key_id' WHEN key_raw IS NOT NULL THEN 'api_key_as_logged' END"
        ),
        "latency_ms": (
            "coalesce(TRY_CAST(latency_ms AS DOUBLE), TRY_CAST(latency_s AS DOUBLE) * 1000)"
        ),
    },
    coverage="ppppyyyyypp",
)
