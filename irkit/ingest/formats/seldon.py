"""Seldon Core request logger: one Elasticsearch document per call, or per row of a batch."""

from __future__ import annotations

from irkit.ingest import payloads
from irkit.ingest.format import Capability, Format, Source

_IN, _OUT = "asked", "answered"

FORMAT = Format(
    id="seldon_request_log",
    title="Seldon Core request log (Elasticsearch)",
    source=Source(
        "Seldon Core: seldon-request-logger",
        "https://github.com/SeldonIO/seldon-core/tree/master/components/seldon-request-logger",
    ),
    order=55,
    capabilities=frozenset({Capability.CONTENT}),
    absent=(
        "No credential, address, session or status. Rows of a batch are documents of their own"
        " that may repeat the whole payload."
    ),
    signature_paths={
        "id": ("$.RequestId", '$."Ce-Requestid"'),
        "body": (
            "$.request.payload",
            "$.request.instance",
            "$.response.payload",
            "$.response.instance",
        ),
    },
    signature="id IS NOT NULL AND body IS NOT NULL",
    paths={
        "event_time": ('$."@timestamp"', '$."CE-Time"', '$."Ce-Time"'),
        "request_id": ("$.RequestId", '$."Ce-Requestid"'),
        "correlation_id": ("$.RequestId", '$."Ce-Requestid"'),
        "endpoint": (
            '$."Ce-Inferenceservicename"',
            '$."CE-Inferenceservicename"',
            "$.Inferenceservicename",
            '$."Ce-Endpoint"',
            "$.Endpoint",
        ),
        "model_requested": ('$."Ce-Modelid"', "$.Modelid"),
        "tenant_id": ('$."Ce-Namespace"', "$.Namespace"),
        "asked": ("$.request.payload", "$.request.instance"),
        "answered": ("$.response.payload", "$.response.instance"),
    },
    columns={
        "provider": "'seldon'",
        **payloads.question(_IN),
        **payloads.answer(_OUT),
        "operation": payloads.predicts(_IN),
    },
    failures_logged=False,
    coverage="nnnypyyppnn",
    unconfirmed="How headers are spelt in the document (Ce-Modelid, Modelid): both are tried.",
)
