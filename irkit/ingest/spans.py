"""Turn spans and log records of OpenTelemetry, in any carrier, into flat records of model calls.

Carriers: OTLP/JSON export requests (camelCase or snake_case), spans as Phoenix exports them (nested
or dotted attributes, also as table columns), spans as SDKs print them, Jaeger traces.

Sources: ``opentelemetry/proto`` (trace, logs, common v1); OpenTelemetry semantic conventions for
generative AI v1.27, v1.28, v1.36, v1.37, v1.40; OpenInference specification, LLM spans; Jaeger UI
model.  Ids are hex in OTLP/JSON; the general protobuf-JSON rules would read them as base64.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

#: Deepest attribute value that is read, and furthest ancestor that is asked for a caller.
_DEPTH = 32
#: Operations that wrap calls to models, or are none.
_NO_CALL = ("execute_tool", "create_agent", "invoke_agent", "invoke_workflow", "embeddings_index")
_NAMING = ("llm.request.model", "gen_ai.system", "gen_ai.provider.name")
_CLIENT = ("3", "SPAN_KIND_CLIENT", "SpanKind.CLIENT", "client")
#: What an enclosing span may know of the caller.
_CALLER = (
    *("client.address", "http.client_ip", "net.peer.ip", "user_agent.original"),
    *("http.user_agent", "enduser.id", "user.id", "session.id"),
)
#: Attributes that stay whole where a carrier nests attributes.
_WHOLE = (
    *("llm.invocation_parameters", "metadata", "input.value", "output.value"),
    *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"),
    *("gen_ai.prompt", "gen_ai.completion", "llm.input_messages", "llm.output_messages"),
)

_MESSAGE_EVENT = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
_CHOICE_EVENT = "gen_ai.choice"

#: Indexed attributes: ``gen_ai.prompt.{i}.role`` (OpenLLMetry), and OpenInference's lists.
_INDEXED = {
    "prompts": re.compile(r"(?:gen_ai\.prompt|llm\.prompts)\.(\d{1,5})\.(role|content)"),
    "answers": re.compile(
        r"(?:gen_ai\.completion|llm\.completions)\.(\d{1,5})\.(role|content|finish_reason)"
    ),
    "inputs": re.compile(r"llm\.input_messages\.(\d{1,5})\.message\.(role|content)"),
    "outputs": re.compile(r"llm\.output_messages\.(\d{1,5})\.message\.(role|content)"),
    "input_parts": re.compile(
        r"llm\.input_messages\.(\d{1,5})\.message\.contents\.\d+\.message_content\.(text)"
    ),
    "output_parts": re.compile(
        r"llm\.output_messages\.(\d{1,5})\.message\.contents\.\d+\.message_content\.(text)"
    ),
    "prompt_calls": re.compile(r"gen_ai\.prompt\.(\d{1,5})\.tool_calls\.\d+\.(arguments)"),
    "answer_calls": re.compile(r"gen_ai\.completion\.(\d{1,5})\.tool_calls\.\d+\.(arguments)"),
    "output_calls": re.compile(
        r"llm\.output_messages\.(\d{1,5})\.message\.tool_calls\.\d+\.tool_call"
        r"\.function\.(arguments)"
    ),
    "plain_prompts": re.compile(r"llm\.prompts\.(\d{1,5})\.prompt\.(text)"),
    "plain_answers": re.compile(r"llm\.choices\.(\d{1,5})\.completion\.(text)"),
}
#: Parts of messages that stand apart from their content, and the list that they belong to.
_PARTS = {
    "input_parts": "inputs",
    "output_parts": "outputs",
    "prompt_calls": "prompts",
    "answer_calls": "answers",
    "output_calls": "outputs",
}


@dataclass(slots=True)
class _Carrier:
    """A span or log record with plain values."""

    trace: str
    span: str
    parent: str
    name: str
    kind: str
    start: Any
    end: Any
    status: Any
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    body: Any = None
    is_log: bool = False


# -- entry points ---------------------------------------------------------------------------------


def open_otlp(line: str) -> list[str]:
    """Return the model calls in one OTLP export request.

    Raises:
        ValueError: not the shape that OTLP/JSON has.
    """
    document = orjson.loads(line)
    spans = list(_otlp(document, _SPANS, log=False))
    logs = list(_otlp(document, _LOGS, log=True))
    return _calls(spans) + _messages(logs) + _calls([log for log in logs if not _is_message(log)])


def open_span(line: str) -> list[str]:
    """Return the model call of one span that stands alone; an empty list if it is none.

    Raises:
        ValueError: not the shape of a span.
    """
    row = orjson.loads(line)
    context = row.get("context")
    if not isinstance(context, dict):
        context = {"trace_id": row["context.trace_id"], "span_id": row["context.span_id"]}
    nested = row.get("attributes")
    attributes = _flat(nested if isinstance(nested, dict) else {})
    for key, value in row.items():
        if key.startswith("attributes.") and value is not None:
            attributes |= _flat({key.removeprefix("attributes."): value})
    status = row.get("status")
    resource = row.get("resource")
    carrier = _Carrier(
        trace=_hex(context.get("trace_id")),
        span=_hex(context.get("span_id")),
        parent=_hex(row.get("parent_id")),
        name=str(row.get("name") or ""),
        kind=str(row.get("kind") or row.get("span_kind") or ""),
        start=row.get("start_time"),
        end=row.get("end_time"),
        status=_first(status, "status_code", "code")
        if isinstance(status, dict)
        else row.get("status_code"),
        attributes=attributes,
        resource=_flat(resource.get("attributes") or resource)
        if isinstance(resource, dict)
        else {},
        events=_events(row.get("events")),
    )
    # Phoenix keeps the kind of span beside the attributes.
    if carrier.kind.upper() in ("LLM", "EMBEDDING", "CHAIN", "AGENT", "TOOL", "RETRIEVER"):
        attributes.setdefault("openinference.span.kind", carrier.kind.upper())
    return _calls([carrier])


def open_jaeger(line: str) -> list[str]:
    """Return the model calls of one Jaeger trace; its times are microseconds.

    Raises:
        ValueError: not the shape of a Jaeger trace.
    """
    row = orjson.loads(line)
    processes = row.get("processes") or {}
    spans = []
    for span in row["spans"]:
        parents = [
            ref.get("spanID")
            for ref in span.get("references") or []
            if ref.get("refType") in (None, "CHILD_OF")
        ]
        attributes = _tags(span.get("tags"))
        process = processes.get(span.get("processID")) or span.get("process") or {}
        start = span.get("startTime")
        duration = span.get("duration")
        whole = isinstance(start, int) and isinstance(duration, int)
        failed = attributes.get("error") in (True, "true")
        spans.append(
            _Carrier(
                trace=_hex(span.get("traceID")),
                span=_hex(span.get("spanID")),
                parent=_hex(parents[0] if parents else span.get("parentSpanID")),
                name=str(span.get("operationName") or ""),
                kind=str(attributes.get("span.kind") or ""),
                start=start,
                end=start + duration if whole else None,
                status="STATUS_CODE_ERROR" if failed else attributes.get("otel.status_code"),
                attributes=attributes,
                resource=_tags(process.get("tags")),
                events=[
                    (str(told.get("event") or told.get("message") or ""), told)
                    for told in (_tags(log.get("fields")) for log in span.get("logs") or [])
                ],
            )
        )
    return _calls(spans)


# -- carriers -------------------------------------------------------------------------------------

_SPANS = (
    ("resourceSpans", "resource_spans", "batches"),
    ("scopeSpans", "scope_spans", "instrumentationLibrarySpans"),
    ("spans",),
)
_LOGS = (
    ("resourceLogs", "resource_logs"),
    ("scopeLogs", "scope_logs"),
    ("logRecords", "log_records"),
)


def _otlp(
    document: dict[str, Any], names: tuple[tuple[str, ...], ...], *, log: bool
) -> Iterator[_Carrier]:
    outer, middle, inner = names
    for group in _first(document, *outer) or []:
        resource = _attributes((group.get("resource") or {}).get("attributes"))
        for scope in _first(group, *middle) or []:
            for item in _first(scope, *inner) or []:
                attributes = _attributes(item.get("attributes"))
                name = _first(item, "eventName", "event_name") if log else item.get("name")
                yield _Carrier(
                    trace=_hex(_first(item, "traceId", "trace_id")),
                    span=_hex(_first(item, "spanId", "span_id")),
                    parent=_hex(_first(item, "parentSpanId", "parent_span_id")),
                    name=str(name or attributes.get("event.name") or ""),
                    kind=str(item.get("kind") or ""),
                    start=_first(
                        item,
                        *("startTimeUnixNano", "start_time_unix_nano"),
                        *("timeUnixNano", "time_unix_nano"),
                        *("observedTimeUnixNano", "observed_time_unix_nano"),
                    ),
                    end=_first(item, "endTimeUnixNano", "end_time_unix_nano"),
                    status=_first(item.get("status") or {}, "code"),
                    attributes=attributes,
                    resource=resource,
                    events=[
                        (str(event.get("name")), _attributes(event.get("attributes")))
                        for event in item.get("events") or []
                    ],
                    body=_plain(item.get("body")) if log else None,
                    is_log=log,
                )


def _events(found: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(found, str):
        found = orjson.loads(found)
    return [
        (str(event.get("name")), _flat(event.get("attributes") or {}))
        for event in found or []
        if isinstance(event, dict)
    ]


def _tags(pairs: Any) -> dict[str, Any]:
    return {str(pair["key"]): pair.get("value") for pair in pairs or []}


def _hex(value: Any) -> str:
    return str(value or "").removeprefix("0x")


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


def _flat(nested: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Return nested attributes under dotted names; lists of objects get numbers.

    Raises:
        ValueError: nested deeper than any real attribute.
    """
    if depth > _DEPTH:
        raise ValueError("attributes are nested too deep")
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name not in _WHOLE:
            flat |= _flat(value, f"{name}.", depth + 1)
        elif (
            isinstance(value, list)
            and value
            and all(isinstance(item, dict) for item in value)
            and (name not in _WHOLE or name.startswith("llm."))
        ):
            for number, item in enumerate(value):
                flat |= _flat(item, f"{name}.{number}.", depth + 1)
        elif value is not None:
            flat[name] = value
    return flat


# -- calls ----------------------------------------------------------------------------------------


def _calls(spans: list[_Carrier]) -> list[str]:
    """Return the flat records of those carriers that are calls to a model."""
    by_span = {(span.trace, span.span): span for span in spans}
    calls = [_record(span, _caller(span, by_span)) for span in spans if _is_call(span)]
    # What is left out is said, once for all.
    return calls if len(calls) == len(spans) else [*calls, f'{{"otel_other":{len(spans)}}}']


def _is_call(span: _Carrier) -> bool:
    attributes = span.attributes
    kind = attributes.get("openinference.span.kind")
    if kind is not None:
        return str(kind).upper() in ("LLM", "EMBEDDING")
    operation = attributes.get("gen_ai.operation.name")
    if operation in _NO_CALL:
        # An agent that runs elsewhere is called like a model, and nothing else shows the call.
        return operation == "invoke_agent" and span.kind in _CLIENT
    # A log record may name the provider for any reason; a span that does is a call.
    names = ("gen_ai.operation.name", "gen_ai.request.model", "gen_ai.response.model")
    named = names if span.is_log else (*names, *_NAMING)
    return any(key in attributes for key in named)


def _caller(span: _Carrier, by_span: dict[tuple[str, str], _Carrier]) -> dict[str, Any]:
    """Return what enclosing spans of the same export know of the caller."""
    found: dict[str, Any] = {}
    parent = by_span.get((span.trace, span.parent)) if span.parent else None
    for _ in range(_DEPTH):
        if parent is None:
            break
        for key in _CALLER:
            if key in parent.attributes and parent.kind not in _CLIENT:
                found.setdefault(key, parent.attributes[key])
        parent = by_span.get((parent.trace, parent.parent)) if parent.parent else None
    return found


def _record(span: _Carrier, caller: dict[str, Any]) -> str:
    attributes = {**caller, **span.attributes}
    lists = _gathered(attributes)
    asked: list[dict[str, Any]] = []
    answered: list[dict[str, Any]] = []
    for name, told in span.events:
        message = _message(name, told, told)
        if message is not None:
            (answered if name == _CHOICE_EVENT else asked).append(message)
        elif name.startswith("gen_ai."):
            for key, value in told.items():
                attributes.setdefault(key, value)
    if asked:
        lists.setdefault("prompts", asked)
    if answered:
        lists.setdefault("answers", answered)
    record = {
        "otel": True,
        "trace_id": span.trace or None,
        "span_id": span.span or None,
        "span_key": _key(span),
        "name": span.name,
        "start": span.start,
        "end": span.end,
        "status": span.status,
        "resource": span.resource,
        "attributes": attributes,
        **lists,
    }
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


def _key(span: _Carrier) -> str | None:
    return f"{span.trace}/{span.span}" if span.trace and span.span else None


def _gathered(attributes: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Put indexed attributes back into lists."""
    lists: dict[str, dict[int, dict[str, Any]]] = {}
    for key, value in attributes.items():
        for name, pattern in _INDEXED.items():
            if match := pattern.fullmatch(key):
                owner = lists.setdefault(_PARTS.get(name, name), {})
                item = owner.setdefault(int(match.group(1)), {})
                member = "content" if name in _PARTS else match.group(2)
                old = item.get(member)
                item[member] = value if old in (None, "") else f"{old}\n{value}"
                break
    return {name: [items[i] for i in sorted(items)] for name, items in lists.items()}


# -- messages as log records (v1.28 to v1.36) -----------------------------------------------------


def _is_message(log: _Carrier) -> bool:
    return _MESSAGE_EVENT.fullmatch(log.name) is not None or log.name == _CHOICE_EVENT


def _message(name: str, body: Any, attributes: dict[str, Any]) -> dict[str, Any] | None:
    """Return one message or answer of the conventions v1.28 to v1.36, or None if it is none."""
    match = _MESSAGE_EVENT.fullmatch(name)
    if match is None and name != _CHOICE_EVENT:
        return None
    told = body if isinstance(body, dict) else {"content": body}
    if match is not None:
        return {
            "role": told.get("role") or match.group(1),
            "content": told.get("content"),
            "tool_calls": told.get("tool_calls"),
        }
    inner = told.get("message")
    message = _decoded(inner)
    owner = message if isinstance(message, dict) else {"content": message}
    return {
        "role": owner.get("role") or "assistant",
        "content": owner.get("content") if inner is not None else told.get("content"),
        "tool_calls": owner.get("tool_calls") or told.get("tool_calls"),
        "finish_reason": told.get("finish_reason") or attributes.get("finish_reason"),
    }


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _messages(logs: Iterable[_Carrier]) -> list[str]:
    """Gather the message records of one export by the span that they belong to."""
    groups: dict[tuple[str, str], list[_Carrier]] = {}
    for log in logs:
        if _is_message(log):
            groups.setdefault((log.trace, log.span), []).append(log)
    records = []
    for group in groups.values():
        asked: list[dict[str, Any]] = []
        answered: list[tuple[int, dict[str, Any]]] = []
        for log in group:
            message = _message(log.name, log.body, log.attributes)
            if message is None:
                continue
            if log.name == _CHOICE_EVENT:
                index = log.body.get("index") if isinstance(log.body, dict) else 0
                answered.append((index if isinstance(index, int) else 0, message))
            else:
                asked.append(message)
        answered.sort(key=lambda item: item[0])
        record = {
            "otel": True,
            "messages_only": True,
            "trace_id": group[0].trace or None,
            "span_key": _key(group[0]),
            "start": group[0].start,
            "resource": group[0].resource,
            "attributes": group[0].attributes,
            **({"prompts": asked} if asked else {}),
            **({"answers": [message for _, message in answered]} if answered else {}),
        }
        records.append(json.dumps(record, separators=(",", ":"), ensure_ascii=False))
    return records
