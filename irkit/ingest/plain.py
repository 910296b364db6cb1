"""Plain readings: lists whose texts are all written in one simple way, read in the one parse.

``{}`` stands for the name that holds the value.  A reading gives the same lists as the dialect's
general macros (:mod:`irkit.ingest.bodies`) for every record that it holds for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irkit.ingest.bodies import CHOICES, MESSAGES


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """One reading.

    Attributes:
        id: name within its dialect.
        schema: ``from_json`` schema of the value.
        holds: SQL condition, total, on which records can be read so.
        lists: the lists that the projection needs, by name.
        suits: tells whether a parsed value would hold; only a sample is asked.
    """

    id: str
    schema: str
    holds: str
    lists: Mapping[str, str]
    suits: Callable[[Any], bool]


#: A text that begins so may be an object or a list that was logged as such.
_STRUCTURED = "(starts_with({0}, '{{') OR starts_with({0}, '['))"
#: Nearly every message has one part.
_JOINED = (
    "CASE WHEN len({0}) = 1 THEN {0}[1].text"
    " ELSE array_to_string(list_transform({0}, lambda p: p.text), chr(10)) END"
)


def _none(items: str, wrong: str) -> str:
    return f"len({items}) > 0 AND len(list_filter({items}, lambda x: {wrong})) = 0"


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value[:1] not in ("{", "["))


def _are_parts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(part, dict) and part.get("text") is not None for part in value
    )


# -- messages -------------------------------------------------------------------------------------

_ROLE = "list_transform({}, lambda m: ik_message_role(m))"
_PART = '{"text":"VARCHAR","type":"VARCHAR","toolResult":"VARCHAR","functionResponse":"VARCHAR"}'
_EXTRA = "x.tool_calls IS NOT NULL OR x.reasoning_content IS NOT NULL"
_OTHER_PART = (
    "p.text IS NULL OR p.type = 'tool_result' OR p.toolResult IS NOT NULL"
    " OR p.functionResponse IS NOT NULL"
)


def _messages(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def suits(value: Any) -> bool:
        return isinstance(value, Sequence) and all(
            isinstance(turn, dict)
            and turn.get("tool_calls") is None
            and turn.get("reasoning_content") is None
            and test(turn.get("content"))
            for turn in value
        )

    return suits


MESSAGE_KINDS: tuple[Plain, ...] = (
    Plain(
        "text",
        MESSAGES.replace('"content":"JSON"', '"content":"VARCHAR"'),
        _none(
            "{}",
            f"coalesce({_STRUCTURED.format('x.content')} OR x.parts IS NOT NULL"
            f" OR {_EXTRA}, false)",
        ),
        {
            "roles0": _ROLE,
            "bodies0": "list_transform({}, lambda m: coalesce(m.content, ''))",
        },
        _messages(_is_text),
    ),
    Plain(
        "parts",
        MESSAGES.replace('"content":"JSON"', f'"content":[{_PART}]'),
        _none(
            "{}",
            f"coalesce(len(x.content), 0) = 0 OR {_EXTRA} OR"
            f" len(list_filter(x.content, lambda p: {_OTHER_PART})) > 0",
        ),
        {
            "roles0": _ROLE,
            "bodies0": f"list_transform({{}}, lambda m: {_JOINED.format('m.content')})",
        },
        _messages(_are_parts),
    ),
)

# -- answers --------------------------------------------------------------------------------------

_OTHER_SAID = (
    "x.message.refusal IS NOT NULL OR x.message.reasoning_content IS NOT NULL"
    " OR x.message.tool_calls IS NOT NULL OR x.message.function_call IS NOT NULL"
)


def _choice_texts(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    said = [choice.get("message") or {} for choice in value if isinstance(choice, dict)]
    extra = ("refusal", "reasoning_content", "tool_calls", "function_call")
    return all(
        isinstance(message, dict)
        and _is_text(message.get("content"))
        and all(message.get(key) is None for key in extra)
        for message in said
    )


CHOICE_TEXTS = Plain(
    "text",
    CHOICES.replace('"content":"JSON"', '"content":"VARCHAR"'),
    _none("{}", f"coalesce({_STRUCTURED.format('x.message.content')} OR {_OTHER_SAID}, false)"),
    {"choice_body": "list_transform({}, lambda c: coalesce(c.text, c.message.content, ''))"},
    _choice_texts,
)


def _one_answer(parts: str) -> Mapping[str, str]:
    return {
        "choice_no": "[0::INTEGER]",
        "choice_body": f"[{_JOINED.format(parts)}]",
        "choice_finish": "[rs_stop_reason]",
        "tokens0": "NULL::VARCHAR[]",
        "lps0": "NULL::DOUBLE[]",
        "tops0": "NULL::STRUCT(token VARCHAR, logprob DOUBLE)[][]",
        "counted": "0::HUGEINT",
    }


_CONTENT = '[{"text":"VARCHAR"}]'

ANSWER_PARTS = Plain(
    "parts", _CONTENT, _none("{}", "x.text IS NULL"), _one_answer("{}"), _are_parts
)


def _converse(value: Any) -> bool:
    message = value.get("message") if isinstance(value, dict) else None
    return isinstance(message, dict) and _are_parts(message.get("content"))


CONVERSE_PARTS = Plain(
    "parts",
    f'{{"message":{{"content":{_CONTENT}}}}}',
    _none("{}.message.content", "x.text IS NULL"),
    _one_answer("{}.message.content"),
    _converse,
)
