"""OpenAI-compatible answers without their request: stored completions, kept response objects."""

from __future__ import annotations

import json
from typing import Any

import orjson

from irkit.ingest.format import Capability, Envelope, Format, Source

_REFERENCE = Source(
    "OpenAI API reference: list chat completions, get chat messages, the response object",
    "https://platform.openai.com/docs/api-reference/chat/list",
)

ANSWER = Format(
    id="openai_answer",
    title="OpenAI-compatible answer, stored completion or response object",
    source=_REFERENCE,
    order=290,
    capabilities=frozenset({Capability.CONTENT, Capability.PARAMS, Capability.LOGPROBS}),
    absent=(
        "No key, address, status or latency. The prompt is not part of an answer: stored"
        " completions give it at a separate endpoint, whose output is joined if it is preserved."
    ),
    signature_paths={
        "kind": "$.object",
        "id": "$.id",
        "body": (
            "$.choices[0].index",
            "$.choices[0].message.role",
            "$.choices[0].text",
            "$.output[0].type",
            "$.status",
        ),
    },
    signature=(
        "kind IN ('chat.completion', 'text_completion', 'response') AND id IS NOT NULL"
        " AND body IS NOT NULL"
    ),
    paths={
        "event_time": ("$.created", "$.created_at"),
        "request_id": "$.id",
        "correlation_id": "$.id",
        "temperature": "$.temperature",
        "top_p": "$.top_p",
        "seed": "$.seed",
        "max_tokens": "$.max_output_tokens",
        "end_user_id": ("$.input_user", "$.safety_identifier", "$.user"),
        "session_id": ("$.conversation.id", "$.metadata.session_id", "$.metadata.thread_id"),
        "kind": "$.object",
        "state": "$.status",
        "error_type": "$.error.code",
    },
    json_paths={"response": "$", "instructions": "$.instructions", "tags": "$.metadata"},
    columns={
        "system": "ik_text(instructions)",
        "outcome": (
            "CASE WHEN state IN ('failed', 'cancelled') THEN 'error'"
            " WHEN state IN ('completed', 'incomplete') OR kind <> 'response' THEN 'ok' END"
        ),
    },
    answers_of="openai_stored_messages",
    coverage="nnpyppyyypn",
)

MESSAGES = Format(
    id="openai_stored_messages",
    title="messages of a stored completion",
    source=_REFERENCE,
    order=291,
    capabilities=frozenset({Capability.CONTENT}),
    absent="Only the input messages: no time, answer, parameter, key or address.",
    signature_paths={"made": "$.stored_messages", "id": "$.completion"},
    signature="made = 'true' AND id IS NOT NULL",
    paths={"correlation_id": "$.completion"},
    json_paths={"messages": "$.messages"},
    columns={"operation": "'chat'", "record_kind": "'content_only'"},
    coverage="nnnnnynnnnn",
    unconfirmed="That a message's id is the completion's id with a number at its end.",
)

FORMATS = (ANSWER, MESSAGES)


def expand(line: str) -> list[str]:
    """Return one record per completion whose messages are in the page.

    Raises:
        ValueError: not the shape of such a page.
    """
    found: dict[str, list[Any]] = {}
    for message in orjson.loads(line)["data"]:
        completion = str(message["id"]).rpartition("-")[0]
        parts = message.get("content_parts")
        told = {"role": message.get("role"), "content": parts or message.get("content")}
        found.setdefault(completion, []).append(told)
    return [
        json.dumps(
            {"stored_messages": True, "completion": completion, "messages": messages},
            ensure_ascii=False,
        )
        for completion, messages in found.items()
    ]


ENVELOPES = (
    Envelope(
        id="stored_messages",
        title="messages of a stored completion (page of the API)",
        signature_paths={
            "object": "$.object",
            "id": "$.data[0].id",
            "role": "$.data[0].role",
            "answer": ("$.data[0].choices[0].index", "$.data[0].object"),
        },
        signature=(
            "object = 'list' AND role IS NOT NULL AND answer IS NULL"
            " AND regexp_full_match(id, 'chatcmpl-.+-[0-9]+')"
        ),
        expand=expand,
        order=40,
    ),
)
