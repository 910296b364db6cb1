"""Kong AI Gateway: the gateway's access log with the AI plug-ins' payloads."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

AI = Format(
    id="kong_ai",
    title="Kong AI Gateway log",
    source=Source(
        "Kong documentation: AI Gateway audit log reference",
        "https://developer.konghq.com/ai-gateway/ai-audit-log-reference/",
    ),
    order=230,
    capabilities=frozenset(Capability) - {Capability.SESSION},
    absent="Payloads only where log_payloads is on; no session.",
    signature_paths={
        "payload": (
            "$.ai.proxy.payload.request",
            "$.ai.payload.request",
            "$.ai.proxy.meta.request_model",
            "$.ai.proxy.usage.prompt_tokens",
        ),
        "gateway": ("$.latencies.request", "$.started_at"),
    },
    signature="payload IS NOT NULL AND gateway IS NOT NULL",
    paths={
        "event_time": "$.started_at",
        "request_id": "$.request.id",
        "endpoint": ("$.request.uri", "$.upstream_uri"),
        "provider": "$.ai.proxy.meta.provider_name",
        "model_requested": "$.ai.proxy.meta.request_model",
        "model_served": "$.ai.proxy.meta.response_model",
        "credential_id": (
            "$.consumer.username",
            "$.consumer.id",
            "$.authenticated_entity.id",
        ),
        "client_ip": "$.client_ip",
        "user_agent": '$.request.headers."user-agent"',
        "status_code": "$.response.status",
        "latency_ms": "$.latencies.request",
        "input_tokens": ("$.ai.proxy.usage.prompt_tokens", "$.ai.proxy.usage.prompt_token"),
        "output_tokens": (
            "$.ai.proxy.usage.completion_tokens",
            "$.ai.proxy.usage.completion_token",
        ),
        "mode": "$.ai.proxy.meta.request_mode",
    },
    json_paths={
        "request": ("$.ai.proxy.payload.request", "$.ai.payload.request"),
        "response": ("$.ai.proxy.payload.response", "$.ai.payload.response"),
    },
    columns={
        "credential_kind": "'kong_consumer'",
        "stream": "CASE WHEN mode IS NOT NULL THEN mode = 'stream' END",
    },
    failures_logged=True,
    coverage="yynyyyypyyy",
    unconfirmed="The gateway's own fields client_ip and consumer, and versions up to 3.7.",
)

ACCESS = Format(
    id="kong_access",
    title="Kong gateway log without AI plug-in",
    source=Source(
        "Kong documentation: file log plug-in, log format",
        "https://developer.konghq.com/plugins/file-log/",
    ),
    order=325,
    capabilities=frozenset({Capability.IP, Capability.CREDENTIAL, Capability.STATUS}),
    absent="An access log: no prompt, answer, parameter or session.",
    signature_paths={
        "timed": "$.started_at",
        "spent": ("$.latencies.request", "$.latencies.kong"),
        "place": ("$.request.uri", "$.request.url"),
        "ai": ("$.ai.proxy.meta.request_model", "$.ai.proxy.payload.request"),
    },
    signature="timed IS NOT NULL AND spent IS NOT NULL AND place IS NOT NULL AND ai IS NULL",
    paths={
        "event_time": "$.started_at",
        "request_id": ("$.request.id", '$.request.headers."x-request-id"'),
        "correlation_id": ("$.request.id", '$.request.headers."x-request-id"'),
        "endpoint": ("$.request.uri", "$.request.url"),
        "credential_id": (
            "$.consumer.username",
            "$.consumer.id",
            "$.authenticated_entity.id",
        ),
        "client_ip": "$.client_ip",
        "user_agent": '$.request.headers."user-agent"',
        "status_code": "$.response.status",
        "latency_ms": "$.latencies.request",
        "tenant_id": ("$.service.name", "$.workspace"),
    },
    columns={
        "credential_kind": "'kong_consumer'",
        "record_kind": "'access_only'",
        "content_state": "'absent'",
    },
    failures_logged=True,
    coverage="yynynnnnnyy",
)

FORMATS = (AI, ACCESS)
