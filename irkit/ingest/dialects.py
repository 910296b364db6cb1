"""Where each model dialect keeps its input messages and its output choices, as SQL cases.

A case holds if its test holds and no earlier one does.  Values are lists: messages of
``(role, body)``, choices of the struct that ``ik_choice`` fixes.

Most sources write all their texts in one way.  A :class:`~irkit.ingest.plain.Plain` reading of a
case takes such texts out of the record in the one parse that finds them, instead of as JSON that is
parsed again; it says which records it holds for.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from irkit.ingest.bodies import CHOICES, MESSAGES
from irkit.ingest.plain import ANSWER_PARTS, CHOICE_TEXTS, CONVERSE_PARTS, MESSAGE_KINDS, Plain


@dataclass(frozen=True, slots=True)
class Typed:
    """How a case reads its list when it was extracted as a DuckDB value instead of JSON text."""

    name: str
    schema: str
    value: str


@dataclass(frozen=True, slots=True)
class Case:
    """One dialect's test and value over the body names; ``plain`` readings are of ``name``."""

    id: str
    test: str
    value: str
    typed: Typed | None = None
    name: str = ""
    plain: tuple[Plain, ...] = ()


INPUTS: tuple[Case, ...] = (
    Case(
        "messages_list",
        "starts_with(messages, '[')",
        "ik_messages(messages)",
        Typed("messages", MESSAGES, "ik_as_messages(messages)"),
        "messages",
        MESSAGE_KINDS,
    ),
    Case(
        "messages_object",
        "starts_with(messages, '{')",
        "coalesce(ik_messages(json_extract(messages, '$.messages')::VARCHAR),"
        " [{'role': 'user', 'body': ik_text(messages)}])",
    ),
    Case(
        "messages_text",
        "messages IS NOT NULL",
        "[{'role': 'user', 'body': ik_text(messages)}]",
    ),
    Case(
        "chat",
        "starts_with(rq_messages, '[')",
        "ik_messages(rq_messages)",
        Typed("rq_messages", MESSAGES, "ik_as_messages(rq_messages)"),
        "rq_messages",
        MESSAGE_KINDS,
    ),
    Case("contents", "starts_with(rq_contents, '[')", "ik_messages(rq_contents)"),
    Case("prompt_column", "prompt IS NOT NULL", "[{'role': 'user', 'body': prompt}]"),
    Case(
        "prompt",
        "rq_prompt IS NOT NULL",
        "list_transform(ik_prompts(rq_prompt), lambda p: {'role': 'user', 'body': p})",
    ),
    Case(
        "titan",
        "rq_input_text IS NOT NULL",
        "[{'role': 'user', 'body': rq_input_text}]",
    ),
    Case(
        "input_items",
        "regexp_matches(rq_input, '^\\[\\s*\\{')",
        "ik_messages(rq_input)",
    ),
    Case(
        "input",
        "rq_input IS NOT NULL",
        "list_transform(ik_prompts(rq_input), lambda p: {'role': 'user', 'body': p})",
    ),
    Case(
        "inputs",
        "starts_with(rq_inputs, '\"')",
        "[{'role': 'user', 'body': ik_text(rq_inputs)}]",
    ),
    Case(
        "query",
        "rq_query IS NOT NULL",
        "[{'role': 'user', 'body': ik_text(rq_query)}]",
    ),
    # Bodies of prediction calls are kept whole; their rows are read afterwards.
    Case("vectors", "rq_vectors IS NOT NULL", "[{'role': 'user', 'body': request}]"),
    Case(
        "columns",
        'regexp_matches(rq_inputs, \'^\\{\\s*"[^"]*"\\s*:\\s*\\[\')',
        "[{'role': 'user', 'body': request}]",
    ),
    Case("text", "starts_with(request, '\"')", "[{'role': 'user', 'body': ik_text(request)}]"),
    Case(
        "bare_list",
        "starts_with(request, '[') AND contains(request, '\"role\"')",
        "ik_messages(request)",
    ),
)

_EVENT_KEYS = (
    '"(type|delta|completion|generation|outputText|outputs|contentBlockDelta|candidates)"\\s*:'
)

OUTPUTS: tuple[Case, ...] = (
    Case(
        "completion_column",
        "completion IS NOT NULL",
        "[ik_choice(0, completion, finish_reason)]",
    ),
    Case("turns", "starts_with(rs_turns, '[')", "ik_turns(rs_turns)"),
    Case(
        "choices",
        "starts_with(rs_choices, '[')",
        "ik_openai(rs_choices)",
        Typed("rs_choices", CHOICES, "ik_as_choices(rs_choices)"),
        "rs_choices",
        (CHOICE_TEXTS,),
    ),
    Case(
        "chunks",
        "starts_with(response, '[') AND regexp_matches(response, '\"choices\"\\s*:')",
        "ik_chunks(response)",
    ),
    Case(
        "events",
        f"starts_with(response, '[') AND regexp_matches(response, '{_EVENT_KEYS}')",
        "ik_events(response)",
    ),
    Case("list", "starts_with(response, '[')", "ik_plain(response)"),
    Case(
        "content",
        "rs_content IS NOT NULL",
        "[ik_choice(0, ik_text(rs_content), rs_stop_reason)]",
        name="rs_content",
        plain=(ANSWER_PARTS,),
    ),
    Case(
        "converse",
        "starts_with(rs_output, '{')",
        "[ik_choice(0, ik_text(coalesce(json_extract(rs_output, '$.message.content')::VARCHAR,"
        " rs_output)), rs_stop_reason)]",
        name="rs_output",
        plain=(CONVERSE_PARTS,),
    ),
    Case(
        "responses",
        "starts_with(rs_output, '[')",
        "ik_responses(rs_output, rs_stop_reason)",
    ),
    Case("titan", "starts_with(rs_results, '[')", "ik_plain(rs_results)"),
    Case("predictions", "rs_predictions IS NOT NULL", "[ik_choice(0, response, NULL)]"),
    Case("outputs", "starts_with(rs_outputs, '[')", "ik_plain(rs_outputs)"),
    Case("gemini", "starts_with(rs_candidates, '[')", "ik_gemini(rs_candidates)"),
    Case(
        "message",
        "starts_with(rs_message, '{')",
        """[ik_choice(0, ik_message_text({'content': json_extract(rs_message, '$.content'),
      'refusal': json_extract_string(rs_message, '$.refusal'),
      'reasoning_content': json_extract_string(rs_message, '$.thinking'),
      'tool_calls': json_extract(rs_message, '$.tool_calls'), 'function_call': NULL}),
      rs_stop_reason)]""",
    ),
    Case(
        "text_field",
        "rs_text IS NOT NULL",
        "[ik_choice(0, rs_text, rs_stop_reason)]",
    ),
    Case(
        "output_text",
        "rs_output IS NOT NULL",
        "[ik_choice(0, ik_text(rs_output), rs_stop_reason)]",
    ),
    Case(
        "response_text",
        "starts_with(rs_response, '\"')",
        "[ik_choice(0, ik_text(rs_response), rs_stop_reason)]",
    ),
    Case("text", "starts_with(response, '\"')", "[ik_choice(0, ik_text(response), NULL)]"),
)


def value_of(cases: tuple[Case, ...], typed: Collection[str] = ()) -> str:
    """Return one expression over all cases; an empty list where none holds.

    Args:
        cases: cases in order.
        typed: names that hold DuckDB values instead of JSON text.
    """
    branches = []
    for case in cases:
        test, value = _read(case, typed)
        branches.append(f"WHEN {test} THEN {value}")
    return "CASE\n    " + "\n    ".join(branches) + "\n    ELSE [] END"


def index_of(cases: tuple[Case, ...], typed: Collection[str] = ()) -> str:
    """Return the position of the case that holds, or -1."""
    branches = " ".join(f"WHEN {_read(case, typed)[0]} THEN {i}" for i, case in enumerate(cases))
    return f"CASE {branches} ELSE -1 END"


def _read(case: Case, typed: Collection[str]) -> tuple[str, str]:
    if case.typed is not None and case.typed.name in typed:
        return f"len({case.typed.name}) > 0", case.typed.value
    for name in typed:
        # Another reading of a name that is no text here can never hold.
        if re.search(rf"\b{name}\b", case.test):
            return "false", "[]"
    return case.test, case.value
