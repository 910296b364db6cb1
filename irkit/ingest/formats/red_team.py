"""Logs of attack tools besides garak: promptfoo results, PyRIT memory."""

from __future__ import annotations

from irkit.ingest.format import Capability, Envelope, Format, Source

_ABSENT = "An attack tool's own log: no credential or address of the system that was called."

PROMPTFOO = Format(
    id="promptfoo_result",
    title="promptfoo results",
    source=Source(
        "promptfoo documentation: output formats",
        "https://www.promptfoo.dev/docs/configuration/outputs/",
    ),
    order=32,
    capabilities=frozenset({Capability.CONTENT, Capability.STATUS}),
    absent=f"{_ABSENT} One time for the whole evaluation; parameters are in its configuration.",
    signature_paths={
        "raw": "$.prompt.raw",
        "answered": ("$.response.output", "$.error", "$.success", "$.response.error"),
        "who": ("$.provider.id", "$.provider", "$.vars", "$.promptIdx"),
    },
    signature="raw IS NOT NULL AND answered IS NOT NULL AND who IS NOT NULL",
    paths={
        "event_time": ("$.promptfoo_time", "$.timestamp"),
        "request_id": "$.id",
        "session_id": ("$.metadata.sessionId", "$.promptfoo_eval"),
        "endpoint": ("$.metadata.pluginId", "$.promptId"),
        "model_requested": ("$.provider.id", "$.provider"),
        "raw": "$.prompt.raw",
        "input_tokens": "$.response.tokenUsage.prompt",
        "output_tokens": "$.response.tokenUsage.completion",
        "latency_ms": "$.latencyMs",
        "failure": ("$.response.error", "$.error"),
        "output": "$.response.output",
    },
    json_paths={"tags": "$.metadata"},
    columns={
        "record_kind": "'attack_tool'",
        "operation": "'chat'",
        # Chat prompts are rendered to the JSON text of a list of messages.
        "messages": (
            "CASE WHEN starts_with(ltrim(raw), '[') AND contains(raw, '\"role\"')"
            " AND json_valid(raw) THEN raw END"
        ),
        "prompt": (
            "CASE WHEN NOT (starts_with(ltrim(raw), '[') AND contains(raw, '\"role\"')"
            " AND json_valid(raw)) THEN raw END"
        ),
        "completion": "output",
        # A failed assertion is the test's outcome, not the call's.
        "outcome": "CASE WHEN output IS NOT NULL THEN 'ok' WHEN failure IS NOT NULL THEN 'error'"
        " END",
    },
    coverage="nnppnyynypy",
    unconfirmed=(
        "JSON Lines with one result a line, and the metadata of red-team runs, are not described"
        " in the documentation."
    ),
)

PYRIT = Format(
    id="pyrit_memory",
    title="PyRIT memory (PromptMemoryEntries)",
    source=Source(
        "PyRIT: memory_models.py",
        "https://github.com/Azure/PyRIT/blob/main/pyrit/memory/memory_models.py",
    ),
    order=33,
    capabilities=frozenset({Capability.CONTENT, Capability.SESSION, Capability.STATUS}),
    absent=(
        f"{_ABSENT} No parameters. One row per message: an answer is joined to the message right"
        " before it. Of texts that were converted, the converted one was sent and is read."
    ),
    signature_paths={
        "talk": "$.conversation_id",
        "who": "$.role",
        "text": ("$.converted_value", "$.original_value"),
        "mark": (
            "$.converted_value_sha256",
            "$.original_value_sha256",
            "$.sequence",
            "$.original_prompt_id",
        ),
    },
    signature="talk IS NOT NULL AND who IS NOT NULL AND text IS NOT NULL AND mark IS NOT NULL",
    paths={
        "event_time": "$.timestamp",
        "id": "$.id",
        "session_id": "$.conversation_id",
        "who": "$.role",
        "place": "$.sequence",
        "sent": ("$.converted_value", "$.original_value"),
        "blocked": "$.response_error",
    },
    json_paths={"tags": "$.labels"},
    columns={
        "record_kind": "'attack_tool'",
        "operation": "'chat'",
        "request_id": "id",
        "correlation_id": (
            "session_id || '/' || (CASE WHEN who = 'assistant'"
            " THEN TRY_CAST(place AS INTEGER) - 1 ELSE TRY_CAST(place AS INTEGER) END)"
        ),
        "prompt": "CASE WHEN who = 'user' THEN sent END",
        "system": "CASE WHEN who IN ('system', 'developer') THEN sent END",
        "completion": "CASE WHEN who NOT IN ('user', 'system', 'developer') THEN sent END",
        "outcome": (
            "CASE WHEN blocked = 'blocked' THEN 'blocked' WHEN blocked = 'none' THEN 'ok'"
            " WHEN blocked IS NOT NULL AND blocked <> '' THEN 'error' END"
        ),
    },
    answers_of="pyrit_memory",
    coverage="nnyynyynnpn",
    unconfirmed="Whether current versions export JSON or CSV; the columns are the table's.",
)

FORMATS = (PROMPTFOO, PYRIT)

_ADDED = (
    "json_object('promptfoo_eval', json_extract_string(line, '$.evalId'), 'promptfoo_time',"
    " coalesce(json_extract_string(line, '$.results.timestamp'),"
    " json_extract_string(line, '$.timestamp')))"
)

ENVELOPES = (
    Envelope(
        id="promptfoo_output",
        title="promptfoo output file",
        signature_paths={
            "first": ("$.results.results[0].prompt.raw", "$.results[0].prompt.raw"),
        },
        signature="first IS NOT NULL",
        expand=(
            "list_transform(ik_elements(coalesce(json_extract(line, '$.results.results'),"
            " json_extract(line, '$.results'))::VARCHAR),"
            f" lambda r: json_merge_patch(r::JSON, {_ADDED})::VARCHAR)"
        ),
        order=40,
    ),
)
