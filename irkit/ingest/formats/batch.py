"""Results of batch jobs: OpenAI (also vLLM run-batch), Anthropic, Amazon Bedrock."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

_CONTENT = frozenset({Capability.CONTENT, Capability.STATUS})

OPENAI_OUT = Format(
    id="openai_batch_out",
    title="OpenAI batch output",
    source=Source(
        "OpenAI API reference: the request output object",
        "https://platform.openai.com/docs/api-reference/batch/request-output",
    ),
    order=120,
    capabilities=_CONTENT | {Capability.LOGPROBS},
    absent="No prompt (it is in the batch input, same custom_id), key, address or session.",
    signature_paths={
        "custom": "$.custom_id",
        "code": "$.response.status_code",
        "error": ("$.error.code", "$.error.message"),
        "body": "$.response.body.object",
    },
    signature="custom IS NOT NULL AND (code IS NOT NULL OR body IS NOT NULL OR error IS NOT NULL)",
    paths={
        "request_id": ("$.id", "$.response.request_id"),
        "correlation_id": "$.custom_id",
        "event_time": "$.response.body.created",
        "status_code": "$.response.status_code",
        "error_type": ("$.error.code", "$.response.body.error.type"),
        "kind": "$.response.body.object",
    },
    json_paths={"response": "$.response.body"},
    columns={
        "operation": (
            "CASE kind WHEN 'chat.completion' THEN 'chat' WHEN 'text_completion'"
            " THEN 'text_completion' WHEN 'response' THEN 'responses' WHEN 'list'"
            " THEN 'embeddings' END"
        ),
    },
    failures_logged=True,
    answers_of="openai_batch_in",
    coverage="nnnpnnyyyyn",
)

OPENAI_IN = Format(
    id="openai_batch_in",
    title="OpenAI batch input",
    source=Source(
        "OpenAI API reference: the request input object",
        "https://platform.openai.com/docs/api-reference/batch/request-input",
    ),
    order=121,
    capabilities=frozenset({Capability.CONTENT, Capability.PARAMS}),
    absent="Requests only: no time, answer, key or address.",
    signature_paths={
        "custom": "$.custom_id",
        "method": "$.method",
        "url": "$.url",
        "model": "$.body.model",
    },
    signature=(
        "custom IS NOT NULL AND url IS NOT NULL AND (method IS NOT NULL OR model IS NOT NULL)"
    ),
    paths={"correlation_id": "$.custom_id", "endpoint": "$.url"},
    json_paths={"request": "$.body"},
    columns={
        "operation": (
            "CASE WHEN contains(endpoint, 'chat') THEN 'chat' WHEN contains(endpoint, 'embedding')"
            " THEN 'embeddings' WHEN contains(endpoint, 'responses') THEN 'responses'"
            " WHEN contains(endpoint, 'completion') THEN 'text_completion' END"
        ),
        "record_kind": "'content_only'",
    },
    coverage="nnnnyynnnnn",
)

ANTHROPIC_OUT = Format(
    id="anthropic_batch_out",
    title="Anthropic message batch results",
    source=Source(
        "Anthropic API reference: retrieve message batch results",
        "https://docs.anthropic.com/en/api/retrieving-message-batch-results",
    ),
    order=130,
    capabilities=_CONTENT,
    absent="No prompt, time, key, address or session.",
    signature_paths={"custom": "$.custom_id", "kind": "$.result.type"},
    signature="custom IS NOT NULL AND kind IS NOT NULL",
    paths={
        "correlation_id": "$.custom_id",
        "request_id": "$.result.message.id",
        "kind": "$.result.type",
        "error_type": ("$.result.error.error.type", "$.result.error.type"),
    },
    json_paths={"response": "$.result.message"},
    columns={
        "provider": "'anthropic'",
        "operation": "'chat'",
        "outcome": "CASE kind WHEN 'succeeded' THEN 'ok' ELSE 'error' END",
    },
    failures_logged=True,
    coverage="nnnnnnynyyn",
    unconfirmed="Results of types other than succeeded.",
)

BEDROCK_OUT = Format(
    id="bedrock_batch_out",
    title="Amazon Bedrock batch inference output",
    source=Source(
        "Amazon Bedrock user guide: view the results of a batch inference job",
        "https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-results.html",
    ),
    order=140,
    capabilities=_CONTENT | {Capability.PARAMS},
    absent="No time, caller or address: those of the job apply.",
    signature_paths={
        "record": "$.recordId",
        "body": ("$.modelInput.messages", "$.modelInput.prompt", "$.modelInput.inputText"),
    },
    signature="record IS NOT NULL AND body IS NOT NULL",
    paths={
        "correlation_id": "$.recordId",
        "error_type": ("$.error.errorCode", "$.error.errorMessage"),
    },
    json_paths={"request": "$.modelInput", "response": "$.modelOutput"},
    columns={"provider": "'aws.bedrock'"},
    failures_logged=True,
    coverage="nnnnyyypppn",
    unconfirmed="The output member modelOutput.",
)

FORMATS = (OPENAI_OUT, OPENAI_IN, ANTHROPIC_OUT, BEDROCK_OUT)
