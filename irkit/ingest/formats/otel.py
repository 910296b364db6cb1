"""OpenTelemetry traces and logs in OTLP/JSON, with GenAI or OpenInference attributes.

Content is carried in four generations of the GenAI conventions: indexed attributes
(``gen_ai.prompt.0.content``), span events, and message lists in attributes; OpenInference has
indexed attributes of its own.  A generation that puts every message into a log record of its own
(v1.28 to v1.36) is not assembled here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from irkit.ingest.format import Capability, Envelope, Format, Paths, Source

_TELLING = ("gen_ai.", "llm.", "openinference.", "traceloop.")
#: Deepest attribute value that is read.
_DEPTH = 32

#: Indexed attributes: ``gen_ai.prompt.{i}.role`` (OpenLLMetry), and OpenInference's lists.
_INDEXED = {
    "prompts": re.compile(r"gen_ai\.prompt\.(\d{1,5})\.(role|content)"),
    "answers": re.compile(r"gen_ai\.completion\.(\d{1,5})\.(role|content|finish_reason)"),
    "inputs": re.compile(r"llm\.input_messages\.(\d{1,5})\.message\.(role|content)"),
    "outputs": re.compile(r"llm\.output_messages\.(\d{1,5})\.message\.(role|content)"),
    "input_parts": re.compile(
        r"llm\.input_messages\.(\d{1,5})\.message\.contents\.\d+\.message_content\.(text)"
    ),
    "plain_prompts": re.compile(r"llm\.prompts\.(\d{1,5})\.prompt\.(text)"),
    "plain_answers": re.compile(r"llm\.choices\.(\d{1,5})\.completion\.(text)"),
}


def _first(owner: dict[str, Any], *names: str) -> Any:
    for name in names:
        if name in owner:
            return owner[name]
    return None


def _plain(value: Any, depth: int = 0) -> Any:
    """Turn an OTLP AnyValue (camelCase or snake_case) into plain JSON.

    Source: ``opentelemetry/proto/common/v1/common.proto``; 64-bit integers are strings in JSON.

    Raises:
        ValueError: nested deeper than any real attribute.
    """
    if depth > _DEPTH:
        raise ValueError("attribute value is nested too deep")
    if not isinstance(value, dict):
        return value
    for name in ("stringValue", "string_value", "boolValue", "bool_value"):
        if name in value:
            return value[name]
    for name in ("intValue", "int_value", "doubleValue", "double_value"):
        if name in value:
            number = value[name]
            return float(number) if "double" in name else int(number)
    items = _first(value, "arrayValue", "array_value")
    if isinstance(items, dict):
        return [_plain(item, depth + 1) for item in items.get("values") or []]
    pairs = _first(value, "kvlistValue", "kvlist_value")
    if isinstance(pairs, dict):
        return _attributes(pairs.get("values"), depth + 1)
    return _first(value, "bytesValue", "bytes_value")


def _attributes(pairs: Any, depth: int = 0) -> dict[str, Any]:
    if isinstance(pairs, dict):
        return pairs
    return {str(pair["key"]): _plain(pair.get("value"), depth) for pair in pairs or []}


def _gathered(attributes: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Put indexed attributes back into lists."""
    lists: dict[str, dict[int, dict[str, Any]]] = {}
    for key, value in attributes.items():
        for name, pattern in _INDEXED.items():
            if match := pattern.fullmatch(key):
                item = lists.setdefault(name, {}).setdefault(int(match.group(1)), {})
                field = match.group(2)
                old = item.get(field)
                item[field] = value if old is None else f"{old}\n{value}"
                break
    return {name: [items[i] for i in sorted(items)] for name, items in lists.items()}


def _record(carrier: dict[str, Any], resource: dict[str, Any]) -> str | None:
    """Return one span or log record as a flat JSON record, or None if it is no model call."""
    attributes = _attributes(carrier.get("attributes"))
    events = [
        {"name": event.get("name"), "attributes": _attributes(event.get("attributes"))}
        for event in carrier.get("events") or []
    ]
    if not any(key.startswith(_TELLING) for key in attributes):
        return None
    content = [event for event in events if str(event["name"]).startswith("gen_ai.")]
    lists = _gathered(attributes)
    for part, message in zip(lists.pop("input_parts", []), lists.get("inputs", []), strict=False):
        message.setdefault("content", part["text"])
    record = {
        "otel": True,
        "trace_id": _first(carrier, "traceId", "trace_id"),
        "span_id": _first(carrier, "spanId", "span_id"),
        "name": carrier.get("name"),
        "start": _first(
            carrier, "startTimeUnixNano", "start_time_unix_nano", "timeUnixNano", "time_unix_nano"
        ),
        "end": _first(carrier, "endTimeUnixNano", "end_time_unix_nano"),
        "status": _first(carrier.get("status") or {}, "code"),
        "resource": resource,
        "attributes": attributes,
        **lists,
    }
    for event in content:
        for key, value in event["attributes"].items():
            record["attributes"].setdefault(key, value)
    return json.dumps(record, separators=(",", ":"))


def _carriers(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for outer, middle, inner in (
        (("resourceSpans", "resource_spans"), ("scopeSpans", "scope_spans"), ("spans",)),
        (
            ("resourceLogs", "resource_logs"),
            ("scopeLogs", "scope_logs"),
            ("logRecords", "log_records"),
        ),
    ):
        for group in _first(document, *outer) or []:
            resource = _attributes((group.get("resource") or {}).get("attributes"))
            for scope in _first(group, *middle) or []:
                for carrier in _first(scope, *inner) or []:
                    yield carrier, resource


def expand(line: str) -> list[str]:
    """Return the model calls in one OTLP export request.

    Raises:
        ValueError: not the shape that OTLP/JSON has.
    """
    document = orjson.loads(line)
    records = (_record(carrier, resource) for carrier, resource in _carriers(document))
    return [record for record in records if record is not None]


ENVELOPES = (
    Envelope(
        id="otlp",
        title="OTLP/JSON export request",
        signature_paths={
            "spans": ("$.resourceSpans[0]", "$.resource_spans[0]"),
            "logs": ("$.resourceLogs[0]", "$.resource_logs[0]"),
        },
        signature="spans IS NOT NULL OR logs IS NOT NULL",
        expand=expand,
    ),
)


def _a(*names: str) -> tuple[str, ...]:
    return tuple(f'$.attributes."{name}"' for name in names)


_COMMON: dict[str, Paths] = {
    "event_time": "$.start",
    "event_time_end": "$.end",
    "trace_id": "$.trace_id",
    "correlation_id": "$.span_id",
    "span_status": "$.status",
    "client_ip": _a("client.address", "http.client_ip", "net.peer.ip"),
    "user_agent": _a("user_agent.original", "http.user_agent"),
    "error_type": _a("error.type"),
    "end_user_id": _a("enduser.id", "user.id", "traceloop.association.properties.user_id"),
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
    absent="No credential, logprobs or logit bias have a name; content is opt-in.",
    signature_paths={
        "otel": "$.otel",
        "model": _a("gen_ai.request.model", "gen_ai.response.model", "gen_ai.operation.name"),
        "kind": _a("openinference.span.kind"),
    },
    signature="otel = 'true' AND model IS NOT NULL AND kind IS NULL",
    paths={
        **_COMMON,
        "provider": _a("gen_ai.provider.name", "gen_ai.system"),
        "operation": _a("gen_ai.operation.name", "llm.request.type"),
        "endpoint": _a("server.address"),
        "model_requested": _a("gen_ai.request.model"),
        "model_served": _a("gen_ai.response.model"),
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
        "input_tokens": _a("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        "output_tokens": _a("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
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
)

FORMATS = (GENAI, OPENINFERENCE)
