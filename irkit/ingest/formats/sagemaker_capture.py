"""Amazon SageMaker Data Capture: inputs and outputs of an endpoint, text or feature vectors."""

from __future__ import annotations

from irkit.ingest import payloads
from irkit.ingest.format import Capability, Format, Source

_IN = payloads.unpacked("input_data", "upper(input_encoding) = 'BASE64'")
_OUT = payloads.unpacked("output_data", "upper(output_encoding) = 'BASE64'")

FORMAT = Format(
    id="sagemaker_capture",
    title="Amazon SageMaker Data Capture",
    source=Source(
        "Amazon SageMaker developer guide: capture data",
        "https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture.html",
    ),
    order=40,
    capabilities=frozenset({Capability.CONTENT}),
    absent="No credential, address, session or status; requests may be sampled.",
    signature_paths={
        "event": "$.eventMetadata.eventId",
        "body": (
            "$.captureData.endpointInput.mode",
            "$.captureData.endpointInput.encoding",
            "$.captureData.endpointOutput.mode",
            "$.captureData.endpointOutput.encoding",
            "$.captureData.batchTransformOutput.encoding",
        ),
    },
    signature="event IS NOT NULL AND body IS NOT NULL",
    paths={
        "event_time": "$.eventMetadata.inferenceTime",
        "request_id": "$.eventMetadata.eventId",
        "correlation_id": "$.eventMetadata.inferenceId",
        "input_data": "$.captureData.endpointInput.data",
        "input_encoding": "$.captureData.endpointInput.encoding",
        "output_data": (
            "$.captureData.endpointOutput.data",
            "$.captureData.batchTransformOutput.data",
        ),
        "output_encoding": (
            "$.captureData.endpointOutput.encoding",
            "$.captureData.batchTransformOutput.encoding",
        ),
    },
    json_paths={"tags": "$.eventMetadata.customAttributes"},
    columns={
        "provider": "'aws.sagemaker'",
        **payloads.question(_IN),
        **payloads.answer(_OUT),
        "operation": payloads.predicts(_IN),
    },
    sampled=True,
    failures_logged=False,
    coverage="nnnypyyppnn",
    unconfirmed="How labels are captured, and what language models put into data.",
)
