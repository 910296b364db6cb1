"""A log text with its leak spans marked and, unless revealed, its values masked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from textual.content import Content

from irkit.case.views import Span
from irkit.tui.text import clean, mask, mask_shapes
from irkit.tui.theme import PROVENANCE

#: Texts longer than this are drawn around their first mark; the whole lies in the evidence.
MAX_CHARS = 20_000
#: Shortest value that is also masked where it stands outside its span.
MIN_VALUE = 3

_NAME = re.compile(r"(?<!\w)(?:[^\W\d_]*[A-ZÀ-ÖØ-Þ]|\w*\d)\w*(?:[.@-]\w+)*")

#: Which provenance wins where marks overlap, and how a mark is framed (never by colour alone).
_ORDER = ("memorised", "unverified", "cue_derivable", "probe", "echo")
_FRAME = {
    "memorised": ("⟦", "⟧"),
    "unverified": ("⟨", "⟩"),
    "cue_derivable": ("⟨", "⟩"),
    "probe": ("«", "»"),
    "echo": ("‹", "›"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of text under one provenance."""

    start: int
    end: int
    provenance: str


def flatten(spans: Sequence[Span], length: int) -> list[Mark]:
    """Turn overlapping spans into disjoint marks; the graver provenance wins.

    Offsets outside the text are cut to it: they come from a database that may be damaged.
    """
    cut = [
        (max(0, span.start), min(length, span.end), span.provenance)
        for span in spans
        if max(0, span.start) < min(length, span.end)
    ]
    edges = sorted({edge for start, end, _ in cut for edge in (start, end)})
    marks: list[Mark] = []
    for start, end in pairwise(edges):
        covering = [name for low, high, name in cut if low <= start and end <= high]
        if not covering:
            continue
        best = min(covering, key=lambda name: _ORDER.index(name) if name in _ORDER else 9)
        if marks and marks[-1].end == start and marks[-1].provenance == best:
            marks[-1] = Mark(marks[-1].start, end, best)
        else:
            marks.append(Mark(start, end, best))
    return marks


def values_of(body: str, spans: Sequence[Span]) -> tuple[str, ...]:
    """Return what is to be masked elsewhere too: values under spans, and the names in them.

    A name is taken to be a word with a capital or a digit; sentence openings are masked with it,
    which hides a little more than needed.
    """
    found = {body[span.start : span.end].strip() for span in spans}
    found |= {word for value in found for word in _NAME.findall(value)}
    return tuple(sorted((v for v in found if len(v) >= MIN_VALUE), key=lambda v: (-len(v), v)))


def marked(
    body: str,
    spans: Sequence[Span],
    *,
    revealed: bool,
    hide: Sequence[str] = (),
    focus: int | None = None,
) -> Content:
    """Draw a text.

    Args:
        body: the text as logged.
        spans: marked passages by character offsets.
        revealed: show values; otherwise marks, ``hide`` and look-alikes are masked.
        hide: values to mask wherever they occur.
        focus: offset to keep in view when the text is too long to draw whole.
    """
    begin = 0
    if len(body) > MAX_CHARS:
        at = focus if focus is not None else (spans[0].start if spans else 0)
        begin = max(0, min(at - MAX_CHARS // 4, len(body) - MAX_CHARS))
    window = body[begin : begin + MAX_CHARS]
    marks = flatten(
        [Span(s.start - begin, s.end - begin, s.provenance, s.label, s.ref) for s in spans],
        len(window),
    )
    shown = window if revealed else _masked(window, marks, hide)
    safe = clean(shown)
    parts: list[Content | tuple[str, str]] = []
    if begin:
        parts.append((f"… {begin:,} characters before …\n".replace(",", " "), "$muted"))
    at = 0
    for mark in marks:
        parts.append(Content(safe[at : mark.start]))
        symbol, _, style = PROVENANCE.get(mark.provenance, PROVENANCE["unverified"])
        opening, closing = _FRAME.get(mark.provenance, ("⟨", "⟩"))
        parts.append((opening + symbol, style))
        parts.append((safe[mark.start : mark.end], f"{style} on $panel"))
        parts.append((closing, style))
        at = mark.end
    parts.append(Content(safe[at:]))
    rest = len(body) - begin - len(window)
    if rest > 0:
        parts.append((f"\n… {rest:,} characters more …".replace(",", " "), "$muted"))
    return Content.assemble(*parts)


def _masked(text: str, marks: Sequence[Mark], hide: Sequence[str]) -> str:
    pieces: list[str] = []
    at = 0
    for mark in marks:
        pieces.append(_hide_values(text[at : mark.start], hide))
        pieces.append(mask(text[mark.start : mark.end]))
        at = mark.end
    pieces.append(_hide_values(text[at:], hide))
    return "".join(pieces)


def _hide_values(text: str, hide: Sequence[str]) -> str:
    for value in hide:
        text = text.replace(value, mask(value))
    return mask_shapes(text)
