"""vLLM's own request log: prompts (and, if switched on, outputs) in lines of plain text."""

from __future__ import annotations

import ast
import re
from typing import Any

from irkit.ingest.format import Capability, Format, Source, TextLines

_SOURCE = Source(
    "vLLM: vllm/entrypoints/logger.py",
    "https://github.com/vllm-project/vllm/blob/main/vllm/entrypoints/logger.py",
)
_PARAMETER = re.compile(
    r"\b(n|best_of|temperature|top_p|seed|max_tokens|logprobs|prompt_logprobs|top_k|min_p"
    r"|min_tokens|presence_penalty|frequency_penalty|repetition_penalty|ignore_eos)="
    r"(-?[0-9][0-9.eE+-]*|True|False)"
)
_PREFIX = r"(?:.*?\s)?"


def _literal(text: str) -> str | None:
    """Return the text that a Python literal stands for; nothing is executed.

    Raises:
        ValueError: no literal of a text.
    """
    value = ast.literal_eval(text)
    if value is not None and not isinstance(value, str):
        raise ValueError("not the literal of a text")
    return value


def _request(line: dict[str, str]) -> dict[str, Any]:
    found = dict(_PARAMETER.findall(line.get("params", "")))
    params: dict[str, Any] = {
        key: value == "True" if value in ("True", "False") else float(value)
        for key, value in found.items()
    }
    # An alternative is asked for by a number here, and 0 asks for the chosen token's alone.
    return {
        "request_id": line["request_id"],
        "prompt": _literal(line["prompt"]),
        "params": {
            key: int(value) if isinstance(value, float) and value.is_integer() else value
            for key, value in params.items()
        },
    }


def _answer(line: dict[str, str]) -> dict[str, Any]:
    reason = re.search(r"finish_reason: ([A-Za-z_]+)", line.get("rest", ""))
    return {
        "request_id": line["request_id"],
        "output": _literal(line["output"]),
        "finish_reason": reason.group(1) if reason and reason.group(1) != "None" else None,
    }


REQUEST = Format(
    id="vllm_request",
    title="vLLM request log, requests",
    source=_SOURCE,
    order=340,
    capabilities=frozenset({Capability.CONTENT, Capability.PARAMS}),
    absent=(
        "No key, address, session or status. The lines' times have no year, so no time is read;"
        " newer versions log prompts only at debug level, and a length limit cuts them unmarked."
    ),
    signature_paths={"line_kind": "$.text_line"},
    signature="line_kind = 'vllm_request'",
    paths={
        "request_id": "$.request_id",
        "correlation_id": "$.request_id",
        "prompt": "$.prompt",
        "logprobs": "$.params.logprobs",
    },
    json_paths={"request": "$.params"},
    columns={
        "provider": "'vllm'",
        "record_kind": "'content_only'",
        "operation": "CASE WHEN starts_with(request_id, 'chatcmpl') THEN 'chat'"
        " WHEN starts_with(request_id, 'cmpl') THEN 'text_completion' END",
    },
    coverage="nnnnyynnnnn",
)

ANSWER = Format(
    id="vllm_answer",
    title="vLLM request log, outputs",
    source=_SOURCE,
    order=341,
    capabilities=frozenset({Capability.CONTENT}),
    absent="Outputs only where their logging is on; no time, key, address, session or status.",
    signature_paths={"line_kind": "$.text_line"},
    signature="line_kind = 'vllm_answer'",
    paths={
        "request_id": "$.request_id",
        "correlation_id": "$.request_id",
        "completion": "$.output",
        "finish_reason": "$.finish_reason",
    },
    columns={"provider": "'vllm'", "outcome": "'ok'"},
    answers_of="vllm_request",
    coverage="nnnnnnynnnn",
    unconfirmed="Streams are logged as deltas too; only complete outputs are read.",
)

FORMATS = (REQUEST, ANSWER)

TEXT_LINES = (
    TextLines(
        id="vllm_request",
        title="vLLM: Received request",
        pattern=(
            _PREFIX + r"Received request (\S+): prompt: "
            r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|None), params: (.*)"
        ),
        names=("request_id", "prompt", "params"),
        finish=_request,
    ),
    TextLines(
        id="vllm_answer",
        title="vLLM: Generated response",
        pattern=(
            _PREFIX + r"Generated response (\S+?)(?: \(streaming complete\))?: output: "
            r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")(, .*)?"
        ),
        names=("request_id", "output", "rest"),
        finish=_answer,
    ),
)
