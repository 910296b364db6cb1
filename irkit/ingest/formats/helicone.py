"""Helicone exports: requests with the providers' own bodies."""

from __future__ import annotations

from irkit.ingest.format import APART, Capability, External, Format, Source

FORMAT = Format(
    id="helicone",
    title="Helicone request export",
    source=Source(
        "Helicone documentation: get requests",
        "https://docs.helicone.ai/rest/request/post-v1requestquery",
    ),
    order=200,
    capabilities=frozenset(
        {
            *(Capability.CONTENT, Capability.SESSION, Capability.PARAMS, Capability.STATUS),
            *(Capability.LOGPROBS, Capability.CREDENTIAL),
        }
    ),
    absent=(
        "No address, only a country. Bodies may lie behind a link, which is never followed:"
        " preserve the objects too."
    ),
    signature_paths={
        "id": "$.request_id",
        "made": "$.request_created_at",
        "body": ("$.request_path", "$.signed_body_url", "$.response_id", "$.provider"),
    },
    signature="id IS NOT NULL AND made IS NOT NULL AND body IS NOT NULL",
    paths={
        "event_time": "$.request_created_at",
        "event_time_end": "$.response_created_at",
        "request_id": "$.request_id",
        "provider_response_id": "$.response_id",
        "provider": "$.provider",
        "endpoint": "$.request_path",
        "model_requested": ("$.request_model", "$.model_override"),
        "model_served": "$.response_model",
        "credential_id": ("$.user_api_key_hash", "$.user_api_key_preview", "$.key_name"),
        "end_user_id": ("$.request_user_id", "$.helicone_user"),
        "session_id": '$.request_properties."Helicone-Session-Id"',
        "status_code": "$.response_status",
        "latency_ms": "$.delay_ms",
        "input_tokens": "$.prompt_tokens",
        "output_tokens": "$.completion_tokens",
        "link": "$.signed_body_url",
    },
    json_paths={
        "request": "$.request_body",
        "response": "$.response_body",
        "tags": "$.request_properties",
    },
    columns={
        "credential_kind": "'api_key_hash'",
        "warning": (
            "CASE WHEN link IS NOT NULL AND coalesce(ik_unwrap(request), '{}') = '{}'"
            f" THEN '{APART}' END"
        ),
        "content_state": (
            "CASE WHEN link IS NOT NULL AND coalesce(ik_unwrap(request), '{}') = '{}'"
            " THEN 'external_missing' END"
        ),
    },
    externals=(
        External(
            pointer="$.signed_body_url",
            fills={"$.request_body": "$.request", "$.response_body": "$.response"},
            names=r"(?:.*/)?requests/[^/]+/request_response_body",
        ),
    ),
    failures_logged=True,
    coverage="pnpyyyyyyyy",
    unconfirmed=(
        "How sessions are named in properties, the export's wrapper, and the names of objects with"
        " bodies (requests/<id>/request_response_body)."
    ),
)
