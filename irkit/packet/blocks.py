"""Building blocks of the packet's pages: tables, key-value lists, bullets, figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    KeepTogether,
    ListFlowable,
    Paragraph,
    Spacer,
    Table,
)

from irkit.packet.style import CELL_LIMIT, LIGHT, PALE, SANS, WASH, safe, styles

Cell = Any


def para(text: object, style: str = "body") -> Paragraph:
    """A paragraph of safe text."""
    return Paragraph(safe(text), styles()[style])


def rich(markup: str, style: str = "body") -> Paragraph:
    """A paragraph of irkit's own markup; parts from evidence must already be ``safe``."""
    return Paragraph(markup, styles()[style])


def cell(value: object, style: str = "cell", width: float = 0) -> Cell:
    """One table cell: a flowable as it is, anything else as safe text that fits on a page."""
    if isinstance(value, Flowable):
        return value
    if isinstance(value, list):
        return [cell(item, style, width) for item in value]
    # About 48 lines of the column's width: a row that is not split must fit on a page.
    limit = min(CELL_LIMIT, int(width * 10)) if width else CELL_LIMIT
    return Paragraph(safe(value, limit), styles()[style])


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    widths: Sequence[float],
    *,
    mono: Sequence[int] = (),
    highlight: Sequence[int] = (),
    split: bool = False,
) -> Flowable:
    """A table with a repeated head; short tables stay on one page.

    Args:
        head: column titles.
        rows: cell values.
        widths: column widths in points.
        mono: columns set in the mono font (hashes, ids).
        highlight: indexes of rows on a warm ground; their text must say why, too.
        split: let a row run over pages; only for rows that can be taller than a page.
    """
    body = [[cell(h, "head") for h in head]]
    body += [
        [cell(value, "mono" if i in mono else "cell", widths[i]) for i, value in enumerate(row)]
        for row in rows
    ]
    style: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), SANS, 9),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("BACKGROUND", (0, 0), (-1, 0), PALE),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, LIGHT),
        ("LINEABOVE", (0, 0), (-1, 0), 0.8, LIGHT),
        ("TOPPADDING", (0, 0), (-1, -1), 3.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4.5),
        ("LEFTPADDING", (0, 0), (-1, -1), 5),
        ("RIGHTPADDING", (0, 0), (-1, -1), 5),
    ]
    style += [("BACKGROUND", (0, i + 1), (-1, i + 1), WASH) for i in highlight]
    if len(body) <= 5 and not split:
        style.append(("NOSPLIT", (0, 0), (-1, -1)))
    made = Table(
        body, colWidths=list(widths), repeatRows=1, splitByRow=1, splitInRow=1 if split else 0
    )
    made.setStyle(style)
    made.spaceAfter = 10
    return made


def pairs(rows: Iterable[tuple[str, object]], width: float, label: float = 150) -> Table:
    """Label and value, one line each."""
    body = [[cell(name, "head"), cell(value)] for name, value in rows]
    made = Table(body, colWidths=[label, width - label], splitInRow=1)
    made.setStyle(
        [
            ("FONT", (0, 0), (-1, -1), SANS, 9),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, LIGHT),
            ("TOPPADDING", (0, 0), (-1, -1), 3),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
            ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ]
    )
    made.spaceAfter = 10
    return made


def bullets(items: Iterable[object], style: str = "body") -> Flowable:
    """A bulleted list; an empty one says "none"."""
    made = [Paragraph(safe(item, CELL_LIMIT), styles()[style]) for item in items]
    if not made:
        return para("none", style)
    return ListFlowable(
        made, bulletType="bullet", bulletFontName=SANS, bulletFontSize=9, leftIndent=14, start="•"
    )


def figures(items: Sequence[tuple[str, str]], width: float) -> Table:
    """Big numbers side by side, each with what it counts below."""
    each = width / len(items)
    top = [para(number, "figure") for number, _ in items]
    low = [para(words, "under") for _, words in items]
    made = Table([top, low], colWidths=[each] * len(items))
    made.setStyle(
        [
            ("FONT", (0, 0), (-1, -1), SANS, 9),
            ("BACKGROUND", (0, 0), (-1, -1), PALE),
            ("TOPPADDING", (0, 0), (-1, 0), 8),
            ("BOTTOMPADDING", (0, 1), (-1, 1), 9),
            ("INNERGRID", (0, 0), (-1, -1), 0, PALE),
            ("LINEAFTER", (0, 0), (-2, -1), 2, "white"),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    made.spaceAfter = 10
    return made


def together(*flowables: Flowable | None) -> KeepTogether:
    """Keep a heading with its figure."""
    return KeepTogether([f for f in flowables if f is not None])


def with_room(story: Sequence[Flowable]) -> list[Flowable]:
    """Start a new page where a heading would stand alone at the foot of one."""
    out: list[Flowable] = []
    for flowable in story:
        if isinstance(flowable, Paragraph) and flowable.style.name in ("h1", "h2"):
            out.append(CondPageBreak(150 if flowable.style.name == "h1" else 130))
        out.append(flowable)
    return out


def gap(points: float = 6) -> Spacer:
    """Empty space."""
    return Spacer(1, points)
