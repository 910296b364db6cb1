"""A tiny text grammar: ``{a|b}`` chooses, ``<slot>`` fills; deterministic under a given Random."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<([A-Za-z0-9]+)>")


def expand(template: str, rng: Random, fill: Callable[[str], str | None]) -> str:
    """Resolve choices from the inside out, then slots; unknown slots stay as written."""
    text = template
    while (match := _CHOICE.search(text)) is not None:
        if "|" not in match[1]:  # literal braces of code samples
            text = text[: match.start()] + "\x01" + match[1] + "\x02" + text[match.end() :]
            continue
        text = text[: match.start()] + rng.choice(match[1].split("|")) + text[match.end() :]
    text = text.replace("\x01", "{").replace("\x02", "}")

    def slot(match: re.Match[str]) -> str:
        value = fill(match[1])
        return match[0] if value is None else value

    return _SLOT.sub(slot, text)
