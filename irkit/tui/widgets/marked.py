"""A log text with its leak spans marked and, unless revealed, its values masked."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from irkit.case.shown import MAX_CHARS, Spanned, flatten, pieces, values_of
from irkit.tui.theme import PROVENANCE

__all__ = ["MAX_CHARS", "flatten", "marked", "values_of"]


def marked(
    body: str,
    spans: Sequence[Spanned],
    *,
    revealed: bool,
    hide: Sequence[str] = (),
    focus: int | None = None,
    names: frozenset[str] = frozenset(),
) -> Content:
    """Draw a text; the arguments are those of :func:`irkit.case.shown.pieces`."""
    passage = pieces(body, spans, revealed=revealed, hide=hide, focus=focus, names=names)
    parts: list[Content | tuple[str, str]] = []
    if passage.before:
        parts.append((f"… {passage.before:,} characters before …\n".replace(",", " "), "$muted"))
    for piece in passage.pieces:
        if not piece.provenance:
            parts.append(Content(piece.text))
            continue
        style = PROVENANCE.get(piece.provenance, PROVENANCE["unverified"])[2]
        opening, closing = piece.frame
        parts.append((opening, style))
        parts.append((piece.text, f"{style} on $panel"))
        parts.append((closing, style))
    if passage.after > 0:
        parts.append((f"\n… {passage.after:,} characters more …".replace(",", " "), "$muted"))
    return Content.assemble(*parts)
