"""KServe's inference logger and CloudEvents of KServe and Seldon: request and response apart.

A request and its response are two entries with one id; they are joined after reading.
"""

from __future__ import annotations

from irkit.ingest import payloads
from irkit.ingest.format import Capability, Format, Source

_CONTENT = frozenset({Capability.CONTENT})
_ABSENT = (
    "No credential, address or session unless their headers are logged; a response is logged only"
    " on success."
)


def _columns(body: str, is_request: str) -> dict[str, str]:
    asked = {
        name: f"CASE WHEN {is_request} THEN {sql} END"
        for name, sql in payloads.question(body).items()
    }
    answered = {
        name: f"CASE WHEN NOT {is_request} THEN {sql} END"
        for name, sql in payloads.answer(body).items()
    }
    return {
        **asked,
        **answered,
        "request_id": f"CASE WHEN NOT {is_request} THEN correlation_id END",
        "record_kind": f"CASE WHEN {is_request} THEN 'content_only' END",
        "operation": f"CASE WHEN {is_request} THEN {payloads.predicts(body)} END",
        "outcome": f"CASE WHEN NOT {is_request} THEN 'ok' END",
    }


BLOB = Format(
    id="kserve_blob",
    title="KServe inference logger, blob storage",
    source=Source(
        "KServe documentation: inference logger",
        "https://kserve.github.io/website/docs/model-serving/predictive-inference/logger",
    ),
    order=50,
    capabilities=_CONTENT,
    absent=_ABSENT,
    signature_paths={"kind": "$.reqType", "body": "$.bytes", "id": "$.id"},
    signature=(
        "starts_with(kind, 'org.kubeflow.serving.inference.') AND body IS NOT NULL"
        " AND id IS NOT NULL"
    ),
    paths={
        "event_time": "$.occurrenceTime",
        "correlation_id": "$.id",
        "endpoint": "$.inferenceService",
        "tenant_id": "$.namespace",
        "kind": "$.reqType",
        "packed": "$.bytes",
        "forwarded_for": ('$.metadata."X-Forwarded-For"[0]', '$.metadata."x-forwarded-for"[0]'),
        "credential_id": ('$.metadata."Authorization"[0]', '$.metadata."authorization"[0]'),
        "user_agent": ('$.metadata."User-Agent"[0]', '$.metadata."user-agent"[0]'),
    },
    json_paths={"tags": "$.metadata"},
    columns=_columns(payloads.unpacked("packed", "true"), "ends_with(kind, '.request')"),
    failures_logged=False,
    answers_of="kserve_blob",
    coverage="ppnppyypppn",
    unconfirmed="Header names in metadata; Parquet and CSV batches have no time.",
)

CLOUD_EVENTS = Format(
    id="cloudevents_inference",
    title="CloudEvents of KServe or Seldon inference",
    source=Source(
        "CloudEvents specification, JSON event format",
        "https://github.com/cloudevents/spec/blob/main/cloudevents/formats/json-format.md",
    ),
    order=51,
    capabilities=_CONTENT,
    absent=_ABSENT,
    signature_paths={"version": "$.specversion", "kind": "$.type", "id": "$.id"},
    signature=(
        "version IS NOT NULL AND id IS NOT NULL AND regexp_full_match(kind,"
        " '(org[.]kubeflow|io[.]seldon)[.]serving[.]inference[.](request|response)')"
    ),
    paths={
        "event_time": "$.time",
        "correlation_id": ("$.requestid", "$.id"),
        "endpoint": ("$.inferenceservicename", "$.source"),
        "tenant_id": "$.namespace",
        "kind": "$.type",
        "data": "$.data",
        "packed": "$.data_base64",
    },
    columns=_columns(
        f"coalesce(data, {payloads.unpacked('packed', 'true')})", "ends_with(kind, '.request')"
    ),
    failures_logged=False,
    answers_of="cloudevents_inference",
    coverage="nnnypyypppn",
    unconfirmed="What a given sink writes: the structured form is one of many.",
)

FORMATS = (BLOB, CLOUD_EVENTS)
