"""Calls that carry a list of prompts: one record per prompt, each with its share of the choices.

A completions request may ask thousands of questions at once, and each is a question of its own to
the detectors.  The parts are cut here rather than by the database, whose un-nesting would copy the
whole list once per part.

Source: OpenAI API reference, completions: choices come in the order of the prompts, ``n`` for each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

#: Lists over all choices that only this step needs.
ALL_CHOICES = ("all_tokens", "all_lps", "all_tops", "all_scalars")
_CUT = (
    *("roles", "bodies", "system_at", "prompt_at", "choice_no", "choice_body", "choice_finish"),
    *("tokens", "token_logprobs", "tops", "prompt_chars", "response_chars", "turn_count"),
    *("choice_count", "finish_reason", "has_logprobs", "mean_logprob", "min_logprob"),
    *("token_count_lp", "scalars_returned", "input_tokens", "output_tokens"),
)


@dataclass(frozen=True, slots=True)
class _Choice:
    body: str
    finish: str | None
    tokens: Sequence[str] | None
    lps: Sequence[float | None] | None
    tops: str | None
    scalars: int


def split_prompts(found: pa.Table) -> pa.Table:
    """Return one row per prompt of mapped calls; the lists over all choices are used up.

    Args:
        found: rows of the statement compiled with ``split``; ``parts`` is above one in each.
    """
    kept = found.drop_columns([*_CUT, *ALL_CHOICES])
    parts: list[dict[str, Any]] = []
    owner: list[int] = []
    lists = found.select([*_CUT[:7], *_CUT[20:], *ALL_CHOICES])
    for index, row in enumerate(lists.to_pylist()):
        for part in _parts(row):
            parts.append(part)
            owner.append(index)
    rows = kept.take(pa.array(np.array(owner, np.int64)))
    schema = pa.schema([found.schema.field(name) for name in _CUT])
    cut = pa.Table.from_pylist(parts, schema)
    for name in _CUT:
        rows = rows.append_column(schema.field(name), cut.column(name))
    return rows.select([name for name in found.column_names if name not in ALL_CHOICES])


def _parts(row: dict[str, Any]) -> list[dict[str, Any]]:
    system = [row["bodies"][0]] if row["system_at"] == 1 else []
    prompts = row["bodies"][len(system) :]
    choices = _choices(row)
    share = max(1, len(choices) // len(prompts)) if prompts else 1
    return [
        {
            **_part(system, prompt, choices[at * share : (at + 1) * share]),
            # Tokens are counted once per call, not once per prompt.
            "input_tokens": row["input_tokens"] if at == 0 else None,
            "output_tokens": row["output_tokens"] if at == 0 else None,
        }
        for at, prompt in enumerate(prompts)
    ]


def _choices(row: dict[str, Any]) -> list[_Choice]:
    columns = ("choice_body", "choice_finish", *ALL_CHOICES)
    order = sorted(range(len(row["choice_no"])), key=lambda at: row["choice_no"][at])
    return [_Choice(*(row[name][at] for name in columns)) for at in order]


def _part(system: list[str], prompt: str, choices: Sequence[_Choice]) -> dict[str, Any]:
    first = choices[0] if choices else None
    tokens = list(first.tokens) if first and first.tokens else None
    lps = [lp for lp in (first.lps if first and first.lps else ()) if lp is not None]
    finite = [lp for lp in lps if math.isfinite(lp)]
    return {
        "roles": ["system", "user"] if system else ["user"],
        "bodies": [*system, prompt],
        "system_at": 1 if system else None,
        "prompt_at": len(system) + 1,
        "choice_no": list(range(len(choices))),
        "choice_body": [choice.body for choice in choices],
        "choice_finish": [choice.finish for choice in choices],
        "tokens": tokens,
        "token_logprobs": list(first.lps) if tokens and first and first.lps else None,
        "tops": first.tops if tokens and first else None,
        "prompt_chars": len(prompt),
        "response_chars": len(first.body) if first else None,
        "turn_count": 1,
        "choice_count": len(choices),
        "finish_reason": first.finish if first else None,
        "has_logprobs": bool(first and first.lps),
        "mean_logprob": sum(finite) / len(finite) if finite else None,
        "min_logprob": min(finite) if finite else None,
        "token_count_lp": len(finite) or None,
        "scalars_returned": sum(choice.scalars or 0 for choice in choices),
    }
