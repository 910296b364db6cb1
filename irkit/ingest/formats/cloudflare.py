"""Cloudflare: AI Gateway logs (API and Logpush), and HTTP request logs as an access log."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

API = Format(
    id="cloudflare_ai_gateway",
    title="Cloudflare AI Gateway log (API)",
    source=Source(
        "Cloudflare API reference: AI Gateway, list gateway logs",
        "https://developers.cloudflare.com/api/resources/ai_gateway/subresources/logs/",
    ),
    order=220,
    capabilities=frozenset(
        {Capability.CONTENT, Capability.STATUS, Capability.PARAMS, Capability.LOGPROBS}
    ),
    absent=(
        "No key or address. Bodies may be given in part only, and a caller can switch off their"
        " logging per request."
    ),
    signature_paths={
        "tokens": ("$.tokens_in", "$.tokens_out"),
        "who": "$.provider",
        "place": ("$.path", "$.step"),
        "mark": ("$.cached", "$.success", "$.request_head"),
    },
    signature=("tokens IS NOT NULL AND who IS NOT NULL AND place IS NOT NULL AND mark IS NOT NULL"),
    paths={
        "event_time": "$.created_at",
        "request_id": "$.id",
        "provider": "$.provider",
        "model_requested": "$.model",
        "endpoint": "$.path",
        "latency_ms": "$.duration",
        "input_tokens": "$.tokens_in",
        "output_tokens": "$.tokens_out",
        "status_code": "$.status_code",
        "success": "$.success",
        "cached": "$.cached",
        "whole_request": "$.request_head_complete",
        "whole_response": "$.response_head_complete",
    },
    json_paths={
        "request": ("$.request_head", "$.request"),
        "response": ("$.response_head", "$.response"),
        "tags": "$.metadata",
        "about": "$.metadata",
    },
    columns={
        "session_id": (
            "ik_first(ik_unwrap(about), ['$.session_id', '$.sessionId', '$.conversation_id'])"
        ),
        "end_user_id": "ik_first(ik_unwrap(about), ['$.user_id', '$.userId', '$.user'])",
        "outcome": (
            "CASE WHEN status_code = '429' THEN 'rate_limited' WHEN success = 'true' THEN 'ok'"
            " WHEN success = 'false' THEN 'error' END"
        ),
        "content_state": (
            "CASE WHEN whole_request = 'false' OR whole_response = 'false' THEN 'truncated' END"
        ),
        "warning": "CASE WHEN cached = 'true' THEN 'answered_from_cache' END",
    },
    failures_logged=True,
    coverage="nnpyppppyyy",
)

LOGPUSH = Format(
    id="cloudflare_logpush",
    title="Cloudflare AI Gateway log (Logpush, encrypted bodies)",
    source=Source(
        "Cloudflare documentation: AI Gateway, Workers Logpush",
        "https://developers.cloudflare.com/ai-gateway/observability/logging/logpush/",
    ),
    order=221,
    capabilities=frozenset(),
    absent=(
        "Prompt, answer and metadata are encrypted: decrypt them with the account's private key"
        " before preserving, and preserve both. No key, address, session or parameters."
    ),
    signature_paths={
        "asked": ("$.RequestBody.data", "$.RequestBody.key"),
        "answered": ("$.ResponseBody.data", "$.ResponseBody.key"),
        "gateway": ("$.Gateway", "$.Provider", "$.Model", "$.Endpoint"),
    },
    signature="(asked IS NOT NULL OR answered IS NOT NULL) AND gateway IS NOT NULL",
    paths={
        "event_time": ("$.CreatedAt", "$.Timestamp", "$.Datetime", "$.EventTimestamp"),
        "request_id": ("$.ID", "$.LogID", "$.RayID"),
        "provider": "$.Provider",
        "model_requested": "$.Model",
        "endpoint": "$.Endpoint",
        "status_code": ("$.StatusCode", "$.Status"),
        "input_tokens": ("$.TokensIn", "$.InputTokens"),
        "output_tokens": ("$.TokensOut", "$.OutputTokens"),
        "cached": "$.Cached",
        "limited": "$.RateLimited",
        "gateway": "$.Gateway",
    },
    columns={
        "tenant_id": "gateway",
        "content_state": "'encrypted'",
        "outcome": "CASE WHEN limited = 'true' THEN 'rate_limited' END",
        "warning": (
            "CASE WHEN cached = 'true' THEN 'answered_from_cache' ELSE 'bodies_encrypted' END"
        ),
    },
    failures_logged=True,
    coverage="nnnpnnnnppn",
    unconfirmed=(
        "The names of the plain columns (time, id, status, tokens) are assumed; only those of the"
        " encrypted ones, and Cached, Endpoint, Gateway, Model, Provider, RateLimited are known."
    ),
)

HTTP = Format(
    id="cloudflare_http",
    title="Cloudflare HTTP request log",
    source=Source(
        "Cloudflare documentation: Logpush, HTTP requests",
        "https://developers.cloudflare.com/logs/logpush/logpush-job/datasets/zone/http_requests/",
    ),
    order=320,
    capabilities=frozenset({Capability.IP, Capability.STATUS}),
    absent="An access log: no key, session, parameter, prompt or answer.",
    signature_paths={
        "ray": "$.RayID",
        "client": "$.ClientIP",
        "status": "$.EdgeResponseStatus",
        "place": ("$.ClientRequestURI", "$.ClientRequestPath", "$.ClientRequestHost"),
    },
    signature="ray IS NOT NULL AND client IS NOT NULL AND coalesce(status, place) IS NOT NULL",
    paths={
        "event_time": "$.EdgeStartTimestamp",
        "event_time_end": "$.EdgeEndTimestamp",
        "request_id": "$.RayID",
        "correlation_id": "$.RayID",
        "client_ip": "$.ClientIP",
        "user_agent": "$.ClientRequestUserAgent",
        "endpoint": ("$.ClientRequestURI", "$.ClientRequestPath"),
        "status_code": "$.EdgeResponseStatus",
        "tenant_id": ("$.ClientRequestHost", "$.ZoneName"),
    },
    columns={"record_kind": "'access_only'", "content_state": "'absent'"},
    failures_logged=True,
    coverage="nynynnnnnyy",
)

FORMATS = (API, LOGPUSH, HTTP)
