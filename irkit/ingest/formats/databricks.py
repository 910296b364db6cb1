"""Databricks inference tables: AI Gateway payload tables and the older endpoint tables."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

FORMAT = Format(
    id="databricks_inference",
    title="Databricks inference table",
    source=Source(
        "Databricks documentation: AI Gateway-enabled inference tables",
        "https://docs.databricks.com/aws/en/ai-gateway/inference-tables",
    ),
    order=150,
    capabilities=frozenset(
        {
            *(Capability.CONTENT, Capability.CREDENTIAL, Capability.PARAMS, Capability.STATUS),
            Capability.LOGPROBS,
        }
    ),
    absent=(
        "No address or session; older tables name no requester. Calls that were refused may be"
        " missing, and large bodies are dropped."
    ),
    signature_paths={
        "id": ("$.databricks_request_id", "$.invocation_id"),
        "time": ("$.request_time", "$.timestamp_ms", "$.event_time"),
        "detail": (
            "$.execution_duration_ms",
            "$.execution_time_ms",
            "$.latency_ms",
            "$.served_entity_id",
            "$.status_code",
        ),
    },
    signature="id IS NOT NULL AND time IS NOT NULL AND detail IS NOT NULL",
    paths={
        "event_time": ("$.request_time", "$.timestamp_ms", "$.event_time"),
        "request_id": ("$.databricks_request_id", "$.invocation_id"),
        "correlation_id": "$.client_request_id",
        "credential_id": "$.requester",
        "model_version": ("$.served_entity_id", "$.request_metadata.model_version"),
        "endpoint": "$.request_metadata.endpoint_name",
        "status_code": "$.status_code",
        "latency_ms": ("$.execution_duration_ms", "$.execution_time_ms", "$.latency_ms"),
        "dropped": "$.logging_error_codes",
        "share": "$.sampling_fraction",
    },
    json_paths={"request": "$.request", "response": "$.response"},
    columns={
        "provider": "'databricks'",
        "credential_kind": "'principal'",
        "content_state": ("CASE WHEN contains(dropped, 'SIZE_EXCEEDED') THEN 'truncated' END"),
        "warning": (
            "CASE WHEN contains(dropped, 'SIZE_EXCEEDED') THEN 'body_dropped_for_size'"
            " WHEN TRY_CAST(share AS DOUBLE) < 1 THEN 'sampled' END"
        ),
    },
    sampled=True,
    coverage="pnnyyyyyyyy",
    unconfirmed=(
        "All columns come from third parties; those of the newest tables (event_time,"
        " invocation_id) and of the oldest ones are incomplete."
    ),
)
