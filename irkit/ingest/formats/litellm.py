"""LiteLLM: the logging payload of its callbacks, and its spend-log table."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source


def _operation(name: str) -> str:
    return (
        f"CASE WHEN {name} IN ('completion', 'acompletion') THEN 'chat'"
        f" WHEN contains({name}, 'text_completion') THEN 'text_completion'"
        f" WHEN contains({name}, 'embedding') THEN 'embeddings'"
        f" WHEN contains({name}, 'responses') THEN 'responses' ELSE {name} END"
    )


SLP = Format(
    id="litellm_slp",
    title="LiteLLM StandardLoggingPayload",
    source=Source(
        "LiteLLM documentation: StandardLoggingPayload specification",
        "https://docs.litellm.ai/docs/proxy/logging_spec",
    ),
    order=100,
    capabilities=frozenset(Capability),
    absent=(
        "The address is the socket's, so a balancer's, unless forwarded headers are trusted."
        " Message logging can be switched off."
    ),
    signature_paths={
        "call": "$.call_type",
        "hidden": "$.hidden_params",
        "parameters": "$.model_parameters",
        "begun": "$.startTime",
    },
    signature=(
        "call IS NOT NULL AND coalesce(hidden, parameters) IS NOT NULL"
        " AND regexp_full_match(begun, '[0-9]+([.][0-9]+)?')"
    ),
    paths={
        "event_time": "$.startTime",
        "event_time_end": "$.endTime",
        "request_id": "$.id",
        "correlation_id": "$.litellm_call_id",
        "trace_id": "$.trace_id",
        "provider": "$.custom_llm_provider",
        "endpoint": ("$.metadata.user_api_key_request_route", "$.api_base"),
        "call_type": "$.call_type",
        "model_requested": ("$.model_group", "$.model"),
        "model_served": "$.model",
        "model_version": "$.model_id",
        "credential_id": "$.metadata.user_api_key_hash",
        "principal_id": "$.metadata.user_api_key_user_id",
        "end_user_id": ("$.end_user", "$.metadata.user_api_key_end_user_id"),
        "tenant_id": ("$.metadata.user_api_key_team_id", "$.metadata.user_api_key_org_id"),
        "session_id": ("$.session_id", "$.metadata.session_id"),
        "client_ip": ("$.requester_ip_address", "$.metadata.requester_ip_address"),
        "user_agent": ("$.user_agent", "$.metadata.user_agent"),
        "stream": "$.stream",
        "input_tokens": "$.prompt_tokens",
        "output_tokens": "$.completion_tokens",
        "status_text": "$.status",
        "status_code": "$.error_information.error_code",
        "error_type": "$.error_information.error_class",
        "cached": "$.cache_hit",
    },
    json_paths={
        "request": "$.model_parameters",
        "messages": "$.messages",
        "response": "$.response",
        "tags": ("$.request_tags", "$.metadata.spend_logs_metadata"),
    },
    columns={
        "credential_kind": "'api_key_hash'",
        "operation": _operation("call_type"),
        "outcome": (
            "CASE WHEN status_text = 'failure' AND status_code = '429' THEN 'rate_limited'"
            " WHEN status_text = 'failure' THEN 'error' WHEN status_text = 'success' THEN 'ok' END"
        ),
        "status_code": (
            "CASE WHEN status_code IS NOT NULL AND status_code <> '' THEN status_code"
            " WHEN status_text = 'success' THEN '200' END"
        ),
        "warning": "CASE WHEN cached = 'true' THEN 'answered_from_cache' END",
    },
    failures_logged=True,
    truncated_by=("litellm_truncated",),
    redacted_as=("redacted-by-litellm",),
    coverage="yyyyyyyyyyy",
)

SPEND_LOGS = Format(
    id="litellm_spendlogs",
    title="LiteLLM spend-log table (LiteLLM_SpendLogs)",
    source=Source(
        "LiteLLM proxy database schema",
        "https://docs.litellm.ai/docs/proxy/spending_monitoring",
    ),
    order=110,
    capabilities=frozenset(
        {Capability.IP, Capability.CREDENTIAL, Capability.SESSION, Capability.STATUS}
    ),
    absent=(
        "Prompts and answers only where storing them was switched on, and then cut at 2,048"
        " characters per text; parameters only with the stored request."
    ),
    signature_paths={
        "rid": "$.request_id",
        "call": "$.call_type",
        "key": "$.api_key",
        "spend": "$.spend",
        "begun": "$.startTime",
    },
    signature=(
        "rid IS NOT NULL AND call IS NOT NULL AND key IS NOT NULL AND spend IS NOT NULL"
        " AND begun IS NOT NULL"
    ),
    paths={
        "event_time": "$.startTime",
        "event_time_end": "$.endTime",
        "request_id": "$.request_id",
        "correlation_id": "$.litellm_call_id",
        "provider": "$.custom_llm_provider",
        "endpoint": "$.api_base",
        "call_type": "$.call_type",
        "model_requested": ("$.model_group", "$.model"),
        "model_served": "$.model",
        "model_version": "$.model_id",
        "credential_id": "$.api_key",
        "principal_id": "$.user",
        "end_user_id": "$.end_user",
        "tenant_id": ("$.team_id", "$.organization_id"),
        "session_id": "$.session_id",
        "client_ip": "$.requester_ip_address",
        "input_tokens": "$.prompt_tokens",
        "output_tokens": "$.completion_tokens",
        "status_text": "$.status",
        "latency_ms": "$.request_duration_ms",
        "cached": "$.cache_hit",
    },
    json_paths={
        "request": "$.proxy_server_request",
        "messages": "$.messages",
        "response": "$.response",
        "tags": "$.request_tags",
    },
    columns={
        "credential_kind": "'api_key_hash'",
        "operation": _operation("call_type"),
        "outcome": (
            "CASE WHEN status_text = 'failure' THEN 'error' WHEN status_text = 'success' THEN 'ok'"
            " END"
        ),
        "warning": "CASE WHEN lower(cached) = 'true' THEN 'answered_from_cache' END",
    },
    failures_logged=True,
    truncated_by=("litellm_truncated",),
    redacted_as=("redacted-by-litellm",),
    coverage="yyyyppppyyy",
)

FORMATS = (SLP, SPEND_LOGS)
