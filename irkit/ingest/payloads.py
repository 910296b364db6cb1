"""SQL for bodies of model servers that answer language prompts and feature vectors alike.

Bodies of language models are read as such; anything else is kept as the text it is, and its decimal
numbers are counted as returned scores (predictions of V1 and V2 protocols, CSV scores).
"""

from __future__ import annotations

#: Keys that only requests to, and answers of, language models have.
_ASKS = r""""(messages|prompt|inputText|contents)"\s*:|"inputs"\s*:\s*\""""
_ANSWERS = (
    r""""(choices|generated_text|generation|completion|candidates|stop_reason|content_block)"\s*:"""
)
_NUMBER = "[0-9]*[.][0-9]+([eE][-+]?[0-9]+)?"


def unpacked(data: str, is_base64: str) -> str:
    """Return text that may be base64: decoded where that gives UTF-8, else as it is.

    Args:
        data: SQL of the text.
        is_base64: SQL condition.
    """
    text = f"TRY(decode(from_base64({data})))"
    return f"CASE WHEN {is_base64} THEN coalesce({text}, {data}) ELSE {data} END"


def question(data: str) -> dict[str, str]:
    """Return target columns for a request body."""
    asks = f"regexp_matches({data}, '{_ASKS}')"
    return {
        "request": f"CASE WHEN {asks} AND json_valid({data}) THEN to_json({data})::VARCHAR END",
        "prompt": f"CASE WHEN NOT ({asks} AND json_valid({data})) THEN {data} END",
    }


def answer(data: str) -> dict[str, str]:
    """Return target columns for a response body."""
    answers = f"regexp_matches({data}, '{_ANSWERS}')"
    return {
        "response": f"CASE WHEN {answers} AND json_valid({data}) THEN to_json({data})::VARCHAR END",
        "completion": f"CASE WHEN NOT ({answers} AND json_valid({data})) THEN {data} END",
        "scalars": (
            f"CASE WHEN NOT {answers} THEN len(regexp_extract_all({data}, '{_NUMBER}')) END"
        ),
    }


def predicts(data: str) -> str:
    """Return the operation of a call whose request is no language prompt."""
    return f"CASE WHEN NOT regexp_matches({data}, '{_ASKS}') THEN 'predict' END"
