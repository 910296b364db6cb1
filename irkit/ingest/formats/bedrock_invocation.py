"""Amazon Bedrock model invocation logs (S3 and CloudWatch Logs)."""

from __future__ import annotations

from irkit.ingest.format import APART, Capability, External, Format, Source

_HAS = frozenset({Capability.CREDENTIAL, Capability.CONTENT, Capability.PARAMS, Capability.STATUS})

# A pointer whose object was found is left empty.
_EXTERNAL = "coalesce(input_external, '') <> '' OR coalesce(output_external, '') <> ''"
#: ``<hour>/data/<request id>_input.json.gz``; media and whole logs have other names.
_NAMES = r"(?:.*/)?data/[^/]*_{}[^/]*[.]json(?:[.]gz)?"

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
        " under the same request id. Bodies over 100 KB lie in separate objects (data/ of the same"
        " hour): preserve those too, or such calls are marked external_missing."
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
        "warning": f"CASE WHEN {_EXTERNAL} THEN '{APART}' END",
    },
    externals=(
        External(
            pointer="$.input.inputBodyS3Path",
            fills={"$.input.inputBodyJson": "$"},
            names=_NAMES.format("input"),
        ),
        External(
            pointer="$.output.outputBodyS3Path",
            fills={"$.output.outputBodyJson": "$"},
            names=_NAMES.format("output"),
        ),
    ),
    failures_logged=True,
    coverage="yppyyyypypp",
    unconfirmed=(
        "Titan, Llama, Mistral and Nova bodies, and the wrappers that CloudWatch Logs puts around"
        " records; names of large bodies come from third parties' code."
    ),
)
