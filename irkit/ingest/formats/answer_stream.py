"""Recorded answer streams: server-sent events of one answer, put together while reading.

:mod:`irkit.ingest.streams` groups the events of a transcript; this file says what such a group is.
"""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

FORMAT = Format(
    id="answer_stream",
    title="recorded answer stream (server-sent events, chat chunks)",
    source=Source(
        "OpenAI API reference: streaming; Anthropic API reference: streaming messages",
        "https://platform.openai.com/docs/api-reference/chat-streaming",
    ),
    order=280,
    capabilities=frozenset({Capability.CONTENT, Capability.LOGPROBS}),
    absent="The answer only: no prompt, parameter, key, address, session or status.",
    signature_paths={"made": "$.answer_stream", "first": "$.events[0]"},
    signature="made = 'true' AND first IS NOT NULL",
    paths={
        "request_id": (
            "$.final.id",
            "$.events[0].id",
            "$.events[0].message.id",
            "$.events[0].responseId",
        ),
        "final_model": "$.final.model",
        "chunk_model": "$.events[0].model",
        "event_time": ("$.final.created_at", "$.events[0].created"),
        "input_tokens": ("$.final.usage.input_tokens", "$.usage.prompt_tokens"),
        "output_tokens": ("$.final.usage.output_tokens", "$.usage.completion_tokens"),
        "ended": "$.ended",
    },
    json_paths={"response": ("$.final", "$.events")},
    columns={
        "model_served": "coalesce(final_model, chunk_model)",
        "stream": "true",
        "warning": "CASE WHEN ended = 'false' THEN 'stream_without_end' END",
    },
    coverage="nnnpnnyppnn",
)
