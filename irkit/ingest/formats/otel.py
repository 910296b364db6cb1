"""OpenTelemetry traces and logs with GenAI, OpenLLMetry or OpenInference attributes.

Content is carried in four generations of the GenAI conventions: indexed attributes
(``gen_ai.prompt.0.content``), span events, one log record per message (v1.28 to v1.36), and message
lists in attributes (v1.37 and later); OpenInference has indexed attributes of its own.  The formats
here read the flat records that :mod:`irkit.ingest.spans` makes of all of them.
"""

from __future__ import annotations

from irkit.ingest import spans
from irkit.ingest.format import Capability, Envelope, Format, Paths, Source, not_a_call

ENVELOPES = (
    Envelope(
        id="otlp",
        title="OTLP/JSON export request",
        signature_paths={
            "spans": ("$.resourceSpans[0]", "$.resource_spans[0]", "$.batches[0].scopeSpans[0]"),
            "logs": ("$.resourceLogs[0]", "$.resource_logs[0]"),
        },
        signature="spans IS NOT NULL OR logs IS NOT NULL",
        expand=spans.open_otlp,
        order=40,
    ),
    Envelope(
        id="otel_span",
        title="span as Phoenix exports it and SDKs print it",
        signature_paths={
            "trace": ("$.context.trace_id", '$."context.trace_id"'),
            "span": ("$.context.span_id", '$."context.span_id"'),
            "timed": ("$.end_time", "$.start_time"),
        },
        signature="trace IS NOT NULL AND span IS NOT NULL AND timed IS NOT NULL",
        expand=spans.open_span,
        order=41,
    ),
    Envelope(
        id="jaeger_trace",
        title="Jaeger trace",
        signature_paths={
            "id": "$.traceID",
            "first": ("$.spans[0].operationName", "$.spans[0].spanID"),
        },
        signature="id IS NOT NULL AND first IS NOT NULL",
        expand=spans.open_jaeger,
        order=42,
    ),
    not_a_call(
        "otel_other",
        "spans that call no model",
        "spans or log records that are no call to a model",
        "other IS NOT NULL",
        other="$.otel_other",
    ),
)


def _a(*names: str) -> tuple[str, ...]:
    return tuple(f'$.attributes."{name}"' for name in names)


_COMMON: dict[str, Paths] = {
    "event_time": "$.start",
    "event_time_end": "$.end",
    "trace_id": "$.trace_id",
    "correlation_id": "$.span_key",
    "span_status": "$.status",
    "client_ip": _a("client.address", "http.client_ip", "net.peer.ip"),
    "user_agent": _a("user_agent.original", "http.user_agent"),
    "error_type": _a("error.type"),
    "end_user_id": _a(
        "enduser.id",
        "traceloop.association.properties.user_id",
        "gen_ai.user",
        "llm.user",
        "user.id",
    ),
    "tenant_id": _a("traceloop.association.properties.tenant_id", "tenant.id"),
}
_STATUS = (
    "CASE WHEN span_status IN ('2', 'STATUS_CODE_ERROR') THEN 'error'"
    " WHEN span_status IN ('0', '1', 'STATUS_CODE_OK', 'STATUS_CODE_UNSET') THEN 'ok' END"
)

GENAI = Format(
    id="otel_genai",
    title="OpenTelemetry GenAI spans and events",
    source=Source(
        "OpenTelemetry semantic conventions for generative AI",
        "https://opentelemetry.io/docs/specs/semconv/gen-ai/",
    ),
    order=20,
    capabilities=frozenset(
        {Capability.CONTENT, Capability.SESSION, Capability.PARAMS, Capability.STATUS}
    ),
    absent=(
        "No credential, logprobs or logit bias have a name; content is opt-in, and the address only"
        " where it stands at the span, or at the HTTP span around it in the same export."
    ),
    signature_paths={
        "otel": "$.otel",
        "model": (
            *_a("gen_ai.request.model", "gen_ai.response.model", "gen_ai.operation.name"),
            *_a("llm.request.model", "gen_ai.system", "gen_ai.provider.name"),
        ),
        "kind": _a("openinference.span.kind"),
        "part": "$.messages_only",
    },
    signature="otel = 'true' AND model IS NOT NULL AND kind IS NULL AND part IS NULL",
    paths={
        **_COMMON,
        "provider": _a("gen_ai.provider.name", "gen_ai.system", "llm.vendor"),
        "operation": _a("gen_ai.operation.name", "llm.request.type"),
        "endpoint": _a("server.address"),
        "model_requested": _a("gen_ai.request.model", "llm.request.model"),
        "model_served": _a("gen_ai.response.model", "llm.response.model"),
        "request_id": _a("gen_ai.response.id"),
        "system_fingerprint": _a(
            "openai.response.system_fingerprint", "gen_ai.openai.response.system_fingerprint"
        ),
        "session_id": _a(
            "gen_ai.conversation.id",
            "session.id",
            "traceloop.association.properties.session_id",
        ),
        "temperature": _a("gen_ai.request.temperature"),
        "top_p": _a("gen_ai.request.top_p"),
        "n": _a("gen_ai.request.choice.count", "gen_ai.request.n"),
        "seed": _a("gen_ai.request.seed", "gen_ai.openai.request.seed"),
        "max_tokens": _a("gen_ai.request.max_tokens"),
        "stream": _a("gen_ai.request.stream", "llm.is_streaming"),
        "input_tokens": _a(
            "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"
        ),
        "output_tokens": _a(
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.usage.completion_tokens",
        ),
    },
    json_paths={
        "messages": (
            *_a("gen_ai.input.messages", "gen_ai.prompt"),
            "$.prompts",
        ),
        "answers": (
            *_a("gen_ai.output.messages", "gen_ai.completion"),
            "$.answers",
        ),
        "instructions": _a("gen_ai.system_instructions"),
        "stop": _a("gen_ai.request.stop_sequences"),
        "reasons": _a("gen_ai.response.finish_reasons"),
        "tags": "$.resource",
    },
    columns={
        "response": (
            "CASE WHEN starts_with(ik_unwrap(answers), '[')"
            " THEN '{\"output_messages\":' || ik_unwrap(answers) || '}' END"
        ),
        "system": "ik_text(ik_unwrap(instructions))",
        "finish_reason": "json_extract_string(ik_unwrap(reasons), '$[0]')",
        "outcome": _STATUS,
    },
    sampled=True,
    coverage="nppyyppnypy",
    unconfirmed="The indexed attributes of OpenLLMetry (gen_ai.prompt.0.content).",
)

MESSAGES = Format(
    id="otel_genai_messages",
    title="OpenTelemetry GenAI messages as log records (v1.28 to v1.36)",
    source=Source(
        "OpenTelemetry semantic conventions v1.36: generative AI events",
        "https://github.com/open-telemetry/semantic-conventions/blob/v1.36.0/docs/gen-ai/gen-ai-events.md",
    ),
    order=22,
    capabilities=frozenset({Capability.CONTENT}),
    absent=(
        "Only the messages: model, parameters, tokens and caller are in the span with the same"
        " trace and span id, which is another file."
    ),
    signature_paths={"otel": "$.otel", "part": "$.messages_only"},
    signature="otel = 'true' AND part = 'true'",
    paths={
        **_COMMON,
        "request_id": "$.span_key",
        "provider": _a("gen_ai.system", "gen_ai.provider.name"),
        "model_requested": _a("gen_ai.request.model"),
    },
    json_paths={"messages": "$.prompts", "answers": "$.answers", "tags": "$.resource"},
    columns={
        "response": (
            "CASE WHEN starts_with(answers, '[') THEN '{\"output_messages\":' || answers || '}' END"
        ),
        "operation": "'chat'",
        "record_kind": "'content_only'",
        "event_time_end": "NULL",
    },
    sampled=True,
    answers_of="otel_genai_messages",
    coverage="nnnpnyynnnn",
)

OPENINFERENCE = Format(
    id="openinference",
    title="OpenInference spans (Phoenix, Arize)",
    source=Source(
        "OpenInference specification: LLM spans",
        "https://github.com/Arize-ai/openinference/blob/main/spec/llm_spans.md",
    ),
    order=21,
    capabilities=frozenset(
        {
            *(Capability.CONTENT, Capability.SESSION, Capability.PARAMS, Capability.STATUS),
            Capability.LOGPROBS,
        }
    ),
    absent="No credential or address; logprobs only where the raw response is the output value.",
    signature_paths={"otel": "$.otel", "kind": _a("openinference.span.kind")},
    signature="otel = 'true' AND kind IN ('LLM', 'EMBEDDING')",
    paths={
        **_COMMON,
        "provider": _a("llm.provider", "llm.system"),
        "model_requested": _a("llm.request.model_name", "llm.model_name"),
        "model_served": _a("llm.response.model_name"),
        "session_id": _a("session.id"),
        "input_tokens": _a("llm.token_count.prompt"),
        "output_tokens": _a("llm.token_count.completion"),
        "finish_reason": _a("llm.finish_reason"),
        "kind": _a("openinference.span.kind"),
        "output_text": _a("output.value"),
        "prompt_text": "$.plain_prompts[0].text",
        "answer_text": "$.plain_answers[0].text",
    },
    json_paths={
        "request": _a("llm.invocation_parameters"),
        "messages": "$.inputs",
        "outputs": "$.outputs",
        "raw": _a("output.value"),
        "tags": _a("metadata"),
    },
    columns={
        "response": (
            "CASE WHEN json_exists(ik_unwrap(raw), '$.choices') THEN raw"
            " WHEN outputs IS NOT NULL THEN '{\"output_messages\":' || outputs || '}' END"
        ),
        "prompt": "prompt_text",
        "completion": (
            "CASE WHEN outputs IS NULL AND NOT coalesce(json_exists(ik_unwrap(raw), '$.choices'),"
            " false) THEN coalesce(answer_text, output_text) END"
        ),
        "operation": "CASE kind WHEN 'EMBEDDING' THEN 'embeddings' END",
        "outcome": _STATUS,
    },
    sampled=True,
    coverage="nppyyyypypy",
)

FORMATS = (GENAI, MESSAGES, OPENINFERENCE)
