"""Access logs of proxies and web servers: who called when, without what was said.

Such a log often holds the only full address of a call; its records are linked to the calls of
other sources by request id or trace id.
"""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source, TextLines

_HAS = frozenset({Capability.IP, Capability.STATUS})
_SIDE = {"record_kind": "'access_only'", "content_state": "'absent'"}
_ABSENT = "An access log: no prompt, answer, parameter or session."

#: A gateway may log bodies beside the usual fields; such a line is a call with content.
_SAID = (
    *("$.request.messages", "$.request.prompt", "$.request.input", "$.request_body"),
    *("$.requestBody", "$.body", "$.payload", "$.response_body", "$.response.choices[0].index"),
    *("$.messages", "$.prompt"),
)

ENVOY = Format(
    id="envoy_access",
    title="Envoy access log (Envoy AI Gateway, Istio)",
    source=Source(
        "Envoy AI Gateway documentation: access logs",
        "https://aigateway.envoyproxy.io/docs/capabilities/observability/accesslogs",
    ),
    order=250,
    capabilities=_HAS,
    absent=(
        f"{_ABSENT} The operator chooses the fields' names; these are the documented ones. The"
        " address is the nearest proxy's where another one stands in front."
    ),
    signature_paths={
        "code": "$.response_code",
        "timed": "$.start_time",
        "mark": (
            "$.genai_model_name",
            "$.genai_backend_name",
            "$.upstream_host",
            "$.upstream_cluster",
            '$."x-request-id"',
            "$.response_flags",
        ),
        "said": _SAID,
    },
    signature=(
        "code IS NOT NULL AND timed IS NOT NULL AND mark IS NOT NULL"
        " AND nullif(nullif(said, '-'), '') IS NULL"
    ),
    paths={
        "event_time": "$.start_time",
        "request_id": ('$."x-request-id"', "$.request_id"),
        "correlation_id": ('$."x-request-id"', "$.request_id"),
        "model_requested": "$.genai_model_name",
        "model_served": "$.genai_model_name_override",
        "provider": "$.genai_backend_name",
        "endpoint": (
            '$."x-envoy-origin-path"',
            '$."x-envoy-original-path"',
            "$.path",
            '$.":path"',
        ),
        "tenant_id": ('$.":authority"', "$.authority"),
        "peer": "$.downstream_remote_address",
        "forwarded_for": ('$."x-forwarded-for"', "$.x_forwarded_for"),
        "user_agent": ('$."user-agent"', "$.user_agent"),
        "key": ('$."x-api-key"', "$.authorization", "$.api_key_id"),
        "session_id": ('$."x-session-id"', "$.session_id"),
        "status_code": "$.response_code",
        "flags": "$.response_flags",
        "latency_ms": "$.duration",
        "input_tokens": "$.genai_tokens_input",
        "output_tokens": "$.genai_tokens_output",
        "trace_id": ("$.traceparent", "$.trace_id"),
    },
    columns={
        **_SIDE,
        # Behind a balancer the peer is the balancer; the forwarded chain begins with the client.
        "client_ip": "CASE WHEN forwarded_for IS NULL THEN peer END",
        "credential_id": "key",
        "credential_kind": "CASE WHEN key IS NOT NULL THEN 'api_key_as_logged' END",
        "trace_id": (
            "coalesce(nullif(regexp_extract(trace_id, '^[0-9a-f]{2}-([0-9a-f]{32})-', 1), ''),"
            " trace_id)"
        ),
        "error_type": "nullif(flags, '-')",
        "outcome": (
            "CASE WHEN status_code = '429' THEN 'rate_limited'"
            " WHEN TRY_CAST(status_code AS INTEGER) BETWEEN 200 AND 399 THEN 'ok' END"
        ),
    },
    failures_logged=True,
    coverage="pypynnnnpyy",
)

WEB = Format(
    id="web_access",
    title="web server access log (nginx, Apache, ingress; JSON or combined)",
    source=Source(
        "nginx documentation: ngx_http_log_module, and the combined log format",
        "https://nginx.org/en/docs/http/ngx_http_log_module.html",
    ),
    order=330,
    capabilities=_HAS,
    absent=(
        f"{_ABSENT} A request id only where the operator logs one; the address is the balancer's"
        " unless forwarded addresses are logged."
    ),
    signature_paths={
        "line_kind": "$.text_line",
        "peer": ("$.remote_addr", "$.client", "$.clientip", "$.remote_ip", "$.client_ip"),
        "code": ("$.status", "$.status_code", "$.response", "$.statusCode"),
        "place": (
            "$.request",
            "$.request_uri",
            "$.uri",
            "$.path",
            "$.url",
            "$.request_method",
            "$.method",
        ),
        "timed": (
            "$.time_local",
            "$.time_iso8601",
            "$.msec",
            "$.timestamp",
            '$."@timestamp"',
            "$.time",
            "$.ts",
        ),
        "said": _SAID,
    },
    signature=(
        "line_kind = 'combined_log' OR (line_kind IS NULL AND peer IS NOT NULL"
        " AND nullif(nullif(said, '-'), '') IS NULL"
        " AND place IS NOT NULL AND timed IS NOT NULL"
        " AND regexp_full_match(code, '[1-5][0-9][0-9]'))"
    ),
    paths={
        "event_time": (
            "$.time_iso8601",
            "$.time_local",
            "$.msec",
            "$.timestamp",
            '$."@timestamp"',
            "$.time",
            "$.ts",
        ),
        "request_id": (
            "$.request_id",
            "$.req_id",
            '$."x-request-id"',
            "$.http_x_request_id",
            "$.upstream_http_x_request_id",
            "$.requestId",
        ),
        "client_ip": (
            "$.remote_addr",
            "$.client_ip",
            "$.clientip",
            "$.remote_ip",
            "$.client",
        ),
        "forwarded_for": ("$.http_x_forwarded_for", "$.x_forwarded_for", '$."x-forwarded-for"'),
        "principal_id": ("$.remote_user", "$.auth"),
        "user_agent": ("$.http_user_agent", "$.user_agent", "$.agent"),
        "request_line": "$.request",
        "place": ("$.request_uri", "$.uri", "$.path", "$.url"),
        "tenant_id": ("$.host", "$.http_host", "$.server_name"),
        "status_code": ("$.status", "$.status_code", "$.response", "$.statusCode"),
        "seconds": ("$.request_time", "$.duration_s"),
        "millis": ("$.duration_ms", "$.latency_ms"),
        "trace_id": ("$.trace_id", "$.traceId"),
        "session_id": ("$.session_id", "$.sessionId"),
    },
    columns={
        **_SIDE,
        "correlation_id": "request_id",
        "principal_id": "nullif(principal_id, '-')",
        "user_agent": "nullif(user_agent, '-')",
        # The client's own claim comes first in the chain; the socket's address is kept if alone.
        "client_ip": (
            "CASE WHEN nullif(nullif(forwarded_for, '-'), '') IS NULL THEN client_ip END"
        ),
        "forwarded_for": "nullif(forwarded_for, '-')",
        "endpoint": (
            "coalesce(place, nullif(regexp_extract(request_line, '^[A-Z]+ ([^ ]+)', 1), ''),"
            " request_line)"
        ),
        "latency_ms": ("coalesce(TRY_CAST(millis AS DOUBLE), TRY_CAST(seconds AS DOUBLE) * 1000)"),
    },
    failures_logged=True,
    coverage="npnynnnnnyp",
    unconfirmed="JSON access logs have no standard names; common ones are tried.",
)

TORCHSERVE = Format(
    id="torchserve_access",
    title="TorchServe access log",
    source=Source(
        "TorchServe documentation: logging",
        "https://github.com/pytorch/serve/blob/master/docs/logging.md",
    ),
    order=331,
    capabilities=_HAS,
    absent=f"{_ABSENT} No request id either: only time and address can link its records.",
    signature_paths={"line_kind": "$.text_line"},
    signature="line_kind = 'torchserve_access'",
    paths={
        "event_time": "$.time",
        "client_ip": "$.peer",
        "place": "$.place",
        "status_code": "$.status",
        "latency_ms": "$.millis",
    },
    columns={
        **_SIDE,
        "endpoint": "place",
        "model_requested": "nullif(regexp_extract(place, '^/predictions/([^/?]+)', 1), '')",
        "operation": "CASE WHEN starts_with(place, '/predictions/') THEN 'predict' END",
    },
    failures_logged=True,
    coverage="nynynnnnnyy",
)

FORMATS = (ENVOY, WEB, TORCHSERVE)

TEXT_LINES = (
    TextLines(
        id="combined_log",
        title="combined or common log line",
        pattern=(
            r"([0-9A-Fa-f.:]+) \S+ (.+?) \[(\d{2}/[A-Za-z]{3}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\]"
            r' "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-)'
            r'(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?(.*)'
        ),
        names=(
            *("remote_addr", "remote_user", "time_local", "request", "status", "body_bytes_sent"),
            *("http_referer", "http_user_agent", "rest"),
        ),
    ),
    TextLines(
        id="torchserve_access",
        title="TorchServe access line",
        pattern=(
            r"(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2},\d{3}) \[[A-Z ]+\] .*ACCESS_LOG - /"
            r'(\S+) "[A-Z]+ (\S+) [^"]*" (\d{3}) (\d+)'
        ),
        names=("time", "peer", "place", "status", "millis"),
    ),
)
