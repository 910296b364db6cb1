"""Make damaged entries readable where that needs no guessing.

A client chooses what stands in a prompt, so a trick that makes a log line unreadable would let an
attacker drop out of the analysis.  Two such cases are mended and marked: an escaped half of a
surrogate pair (legal for many writers, invalid for strict readers), and several whole values in one
line.  Everything else goes to quarantine unchanged.
"""

from __future__ import annotations

import re

from irkit.ingest.structure import Scanner

_GLUE = b" \t\r\n\x0b\x0c\x1e,"
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)

LONE_SURROGATE = "lone_surrogate_replaced"
SEVERAL_VALUES = "several_values_in_entry"


def mend(entry: bytes) -> tuple[list[bytes], str]:
    """Return candidate JSON texts for an invalid entry and the warning to attach.

    The candidates still have to be checked; an empty list means that nothing can be tried.
    """
    text, replaced = _without_lone_surrogates(entry)
    warnings = [LONE_SURROGATE] if replaced else []
    parts = _whole_values(text)
    if len(parts) == 1 and b"\n" in parts[0]:
        parts = _whole_lines(text) or parts
    if len(parts) > 1 or (parts and len(parts[0]) < len(text.strip(_GLUE))):
        return parts, ",".join([*warnings, SEVERAL_VALUES])
    return ([text], LONE_SURROGATE) if replaced else ([], "")


def _without_lone_surrogates(entry: bytes) -> tuple[bytes, bool]:
    found = False

    def swap(match: re.Match[bytes]) -> bytes:
        nonlocal found
        if match.group(1) is None:
            return match.group(0)
        found = True
        return b"\\ufffd"

    return _ESCAPE.sub(swap, entry), found


def _whole_values(text: bytes) -> list[bytes]:
    """Return the bracketed values of an entry, if nothing else but white space is in it."""
    scanner = Scanner()
    scanner.feed(text)
    if scanner.broken_at >= 0 or len(scanner.opens) != len(scanner.closes):
        return _whole_lines(text)
    at = 0
    parts = []
    for start, close in zip(scanner.opens, scanner.closes, strict=True):
        if text[at:start].strip(_GLUE):
            return _whole_lines(text)
        parts.append(text[start : close + 1])
        at = close + 1
    return [] if text[at:].strip(_GLUE) else parts


def _whole_lines(text: bytes) -> list[bytes]:
    """Return the lines of a many-line entry whose brackets do not match as a whole."""
    lines = [line.strip(_GLUE) for line in text.split(b"\n")]
    lines = [line for line in lines if line not in (b"", b"]", b"[")]
    if len(lines) < 2 or not any(ln.startswith(b"{") and ln.endswith(b"}") for ln in lines):
        return []
    return lines
