"""Portkey: log exports, and the objects that its gateway hands to log stores."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

_HAS = frozenset(
    {
        *(Capability.CONTENT, Capability.PARAMS, Capability.STATUS, Capability.LOGPROBS),
        *(Capability.CREDENTIAL, Capability.SESSION),
    }
)


def _about(*names: str) -> str:
    paths = ", ".join(f"'$.{name}'" for name in names)
    return f"ik_first(ik_unwrap(about), [{paths}])"


_WHO = {
    "session_id": _about("session_id", "sessionId", "conversation_id", "thread_id"),
    "end_user_id": _about("_user", "user", "user_id"),
}

EXPORT = Format(
    id="portkey_export",
    title="Portkey log export",
    source=Source(
        "Portkey documentation: logs export",
        "https://portkey.ai/docs/product/observability/logs-export",
    ),
    order=240,
    capabilities=_HAS,
    absent=(
        "No address, and of the key only the virtual key's name; a session only where the caller"
        " put one into the metadata."
    ),
    signature_paths={
        "org": "$.ai_org",
        "model": "$.ai_model",
        "units": ("$.req_units", "$.response_status_code", "$.is_success", "$.request_url"),
    },
    signature="org IS NOT NULL AND model IS NOT NULL AND units IS NOT NULL",
    paths={
        "event_time": "$.created_at",
        "request_id": ("$.id", "$.request_id"),
        "trace_id": "$.trace_id",
        "provider": "$.ai_org",
        "model_requested": "$.ai_model",
        "endpoint": ("$.request_url", "$.url"),
        "credential_id": ("$.virtual_key", "$.api_key_id"),
        "tenant_id": ("$.workspace_slug", "$.config"),
        "status_code": "$.response_status_code",
        "latency_ms": "$.response_time",
        "input_tokens": "$.req_units",
        "output_tokens": "$.res_units",
        "success": "$.is_success",
        "cache": "$.cache_status",
        "streamed": "$.stream_mode",
    },
    json_paths={
        # Columns are named request.body and response.body; some exports nest them.
        "asked": ('$."request.body"', "$.request.body", "$.request"),
        "answered": ('$."response.body"', "$.response.body", "$.response"),
        "about": "$.metadata",
        "tags": "$.metadata",
    },
    columns={
        "request": "coalesce(nullif(json_extract(ik_unwrap(asked), '$.body')::VARCHAR, 'null'),"
        " asked)",
        "response": "coalesce(nullif(json_extract(ik_unwrap(answered), '$.body')::VARCHAR, 'null'),"
        " answered)",
        "credential_kind": "'portkey_virtual_key'",
        **_WHO,
        "stream": "CASE WHEN streamed IS NOT NULL THEN lower(streamed) IN ('true', '1') END",
        "outcome": (
            "CASE WHEN status_code = '429' THEN 'rate_limited'"
            " WHEN lower(success) IN ('1', 'true') THEN 'ok'"
            " WHEN lower(success) IN ('0', 'false') THEN 'error' END"
        ),
        "warning": (
            "CASE WHEN upper(cache) IN ('HIT', 'SEMANTIC HIT') THEN 'answered_from_cache' END"
        ),
    },
    failures_logged=True,
    coverage="pnpyyyyyyyy",
    unconfirmed="Whether bodies are exported as JSON or as text, and how metadata is nested.",
)

LOG = Format(
    id="portkey_log",
    title="Portkey log object",
    source=Source(
        "Portkey documentation: insert logs",
        "https://portkey.ai/docs/api-reference/inference-api/logs/insert-a-log",
    ),
    order=241,
    capabilities=_HAS,
    absent="No address; a key only as far as the request's headers were logged.",
    signature_paths={
        "asked": ("$.request.body.messages", "$.request.body.prompt", "$.request.body.input"),
        "text": "$.request.body",
        "answered": ("$.response.status", "$.response.response_time", "$.response.body"),
        "place": ("$.request.url", "$.request.provider"),
    },
    signature=(
        "answered IS NOT NULL AND place IS NOT NULL AND (asked IS NOT NULL"
        " OR regexp_matches(text, '\"(messages|prompt|input)\"'))"
    ),
    paths={
        "event_time": ("$.created_at", "$.timestamp", "$.metadata.created_at"),
        "request_id": ("$.id", "$.metadata.spanId", "$.metadata.traceId"),
        "trace_id": ("$.metadata.traceId", "$.metadata.trace_id"),
        "provider": "$.request.provider",
        "endpoint": "$.request.url",
        "key_name": '$.request.headers."x-portkey-virtual-key"',
        "key": ('$.request.headers."x-portkey-api-key"', "$.request.headers.authorization"),
        "user_agent": '$.request.headers."user-agent"',
        "forwarded_for": '$.request.headers."x-forwarded-for"',
        "status_code": "$.response.status",
        "latency_ms": "$.response.response_time",
    },
    json_paths={
        "request": "$.request.body",
        "response": "$.response.body",
        "about": "$.metadata",
        "tags": "$.metadata",
    },
    columns={
        "credential_id": "coalesce(key_name, key)",
        "credential_kind": (
            "CASE WHEN key_name IS NOT NULL THEN 'portkey_virtual_key'"
            " WHEN key IS NOT NULL THEN 'api_key_as_logged' END"
        ),
        **_WHO,
    },
    failures_logged=True,
    coverage="ppppyyyyyyy",
)

FORMATS = (EXPORT, LOG)
