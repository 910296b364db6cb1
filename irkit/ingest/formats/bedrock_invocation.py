"""Amazon Bedrock model invocation logs (S3 and CloudWatch Logs)."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

_HAS = frozenset({Capability.CREDENTIAL, Capability.CONTENT, Capability.PARAMS, Capability.STATUS})

_EXTERNAL = "input_external IS NOT NULL OR output_external IS NOT NULL"

FORMAT = Format(
    id="bedrock_invocation",
    title="Amazon Bedrock model invocation log",
    source=Source(
        "Amazon Bedrock user guide: model invocation logging",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html",
    ),
    order=10,
    capabilities=_HAS,
    absent=(
        "No client address, user agent, HTTP status or logprobs; the address is in CloudTrail"
        " under the same request id. Bodies over 100 KB lie in separate objects,"
        " which are not joined here: such calls are marked external_missing."
    ),
    signature_paths={"schema": "$.schemaType"},
    signature="schema = 'ModelInvocationLog'",
    paths={
        "event_time": "$.timestamp",
        "request_id": "$.requestId",
        "credential_id": "$.identity.arn",
        "tenant_id": "$.accountId",
        "endpoint": "$.region",
        "model_requested": "$.modelId",
        "log_operation": "$.operation",
        "error_type": "$.errorCode",
        "input_tokens": "$.input.inputTokenCount",
        "output_tokens": "$.output.outputTokenCount",
        "input_external": "$.input.inputBodyS3Path",
        "output_external": "$.output.outputBodyS3Path",
        "session_id": (
            "$.requestMetadata.session_id",
            "$.requestMetadata.sessionId",
            "$.requestMetadata.session",
            "$.requestMetadata.conversation_id",
        ),
        "end_user_id": (
            "$.requestMetadata.user_id",
            "$.requestMetadata.userId",
            "$.requestMetadata.user",
        ),
        "client_ip": ("$.requestMetadata.client_ip", "$.requestMetadata.sourceIp"),
    },
    json_paths={
        "request": "$.input.inputBodyJson",
        "response": "$.output.outputBodyJson",
        "tags": "$.requestMetadata",
    },
    columns={
        "provider": "'aws.bedrock'",
        "credential_kind": "'iam_arn'",
        "operation": (
            "CASE WHEN starts_with(log_operation, 'Converse') THEN 'chat'"
            " WHEN contains(model_requested, 'embed') THEN 'embeddings' END"
        ),
        "stream": (
            "CASE WHEN log_operation IN ('InvokeModelWithResponseStream', 'ConverseStream')"
            " THEN true WHEN log_operation IS NOT NULL THEN false END"
        ),
        # A body over 100 KB is null here and lies in the object that the path names.
        "content_state": f"CASE WHEN {_EXTERNAL} THEN 'external_missing' END",
        "warning": f"CASE WHEN {_EXTERNAL} THEN 'body_in_separate_object' END",
    },
    failures_logged=True,
    coverage="yppyyyypypp",
    unconfirmed=(
        "Titan, Llama, Mistral and Nova bodies, how large bodies are named, and the wrappers that"
        " CloudWatch Logs puts around records."
    ),
)
