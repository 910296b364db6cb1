"""Charts of the packet, drawn with reportlab's own shapes; never by colour alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import log10
from typing import Any

from reportlab.graphics.shapes import Drawing, Group, Line, Rect, String
from reportlab.lib.colors import HexColor, white

from irkit.packet.model import Row
from irkit.packet.style import BLUE, BOLD, GREY, INK, LIGHT, NAVY, ORANGE, PALE, SANS, drawable
from irkit.playbook.clocks import zone_of

#: Fills of the severity bands, from low to very high; each is also named on the axis.
_BAND_FILL = (HexColor("#e8eef5"), HexColor("#d3dfec"), HexColor("#f6dcc4"), HexColor("#eec39c"))


def _text(x: float, y: float, words: object, size: float = 8, **extra: Any) -> String:
    options = {"fontName": SANS, "fontSize": size, "fillColor": INK, **extra}
    return String(x, y, drawable(words), **options)


def activity(data: Row, zone: str, width: float, height: float = 150) -> Drawing | None:
    """Queries over time as stacked bars: ordinary, of flagged actors; exposing ones as a tick row.

    Returns None where no record carries a time.
    """
    total, flagged, exposing = data["all"], data["flagged"], data["exposing"]
    if not total or not data["start"]:
        return None
    drawing = Drawing(width, height)
    left, right, bottom, top = 38, 6, 40, 20
    inner, tall = width - left - right, height - bottom - top
    peak = max(total) or 1
    step = inner / len(total)
    scale = tall / peak
    for fraction in (0.5, 1.0):
        y = bottom + tall * fraction
        drawing.add(Line(left, y, left + inner, y, strokeColor=LIGHT, strokeWidth=0.5))
        drawing.add(
            _text(left - 4, y - 3, f"{round(peak * fraction):,}", 7.5, textAnchor="end",
                  fillColor=GREY)
        )  # fmt: skip
    bar = max(step - 0.8, 0.6)
    for i, (a, f) in enumerate(zip(total, flagged, strict=True)):
        x = left + i * step
        plain_ = max(a - f, 0)
        if plain_:
            drawing.add(Rect(x, bottom, bar, plain_ * scale, fillColor=BLUE, strokeColor=None))
        if f:
            drawing.add(
                Rect(x, bottom + plain_ * scale, bar, max(f * scale, 0.8), fillColor=ORANGE,
                     strokeColor=None)
            )  # fmt: skip
    drawing.add(Line(left, bottom, left + inner, bottom, strokeColor=GREY, strokeWidth=0.7))
    row = bottom - 9
    for i, e in enumerate(exposing):
        if e:
            drawing.add(Rect(left + i * step, row, bar, 6, fillColor=INK, strokeColor=None))
    drawing.add(_text(left - 4, row, "leaks", 7.5, textAnchor="end", fillColor=GREY))
    start = datetime.fromisoformat(data["start"])
    pattern = "%d %b %H:%M" if data["bucket_seconds"] < 86400 else "%d %b %Y"
    marks = min(5, len(total))
    for k in range(marks):
        i = round(k * (len(total) - 1) / max(marks - 1, 1))
        at = (start + timedelta(seconds=i * data["bucket_seconds"])).astimezone(zone_of(zone))
        anchor = "start" if k == 0 else ("end" if k == marks - 1 else "middle")
        x = left + (i + (0 if k == 0 else 1 if k == marks - 1 else 0.5)) * step
        drawing.add(_text(x, row - 13, at.strftime(pattern), 7.5, textAnchor=anchor,
                          fillColor=GREY))  # fmt: skip
    unit = {60: "minute", 3600: "hour", 86400: "day", 604800: "week"}.get(
        data["bucket_seconds"], f"{data['bucket_seconds'] // 60} min"
    )
    x = left
    y = height - 10
    for fill, words in (
        (BLUE, f"queries per {unit}"), (ORANGE, "of flagged actors (on top)"),
        (INK, "interval with exposed data (row below)"),
    ):  # fmt: skip
        drawing.add(Rect(x, y, 8, 8, fillColor=fill, strokeColor=None))
        drawing.add(_text(x + 11, y + 1, words, 8))
        x += 24 + 4.3 * len(words)
    drawing.add(_text(width - right, 2, f"time zone: {zone}", 7, textAnchor="end", fillColor=GREY))
    return drawing


def funnel(rows: tuple[Row, ...], width: float) -> Drawing:
    """How the evidence narrows from queries to people, on a logarithmic scale."""
    line = 25
    drawing = Drawing(width, line * len(rows) + 4)
    label, number = 150, 100
    space = width - label - number
    peak = max((r["high"] or r["best"] for r in rows), default=1) or 1
    full = log10(peak + 1) or 1
    for i, r in enumerate(rows):
        y = line * (len(rows) - 1 - i) + 6
        length = max(space * log10(r["best"] + 1) / full, 1.5 if r["best"] else 0)
        drawing.add(_text(label - 8, y + 4, r["label"], 9, textAnchor="end"))
        drawing.add(Rect(label, y, space, 15, fillColor=PALE, strokeColor=None))
        fill = ORANGE if i == len(rows) - 1 else BLUE
        drawing.add(Rect(label, y, length, 15, fillColor=fill, strokeColor=None))
        if r["low"] is not None and r["high"] != r["low"]:
            a = label + space * log10(r["low"] + 1) / full
            b = label + space * log10(r["high"] + 1) / full
            drawing.add(Line(a, y + 7.5, b, y + 7.5, strokeColor=INK, strokeWidth=1.2))
            for x in (a, b):
                drawing.add(Line(x, y + 3, x, y + 12, strokeColor=INK, strokeWidth=1.2))
        words = f"{r['best']:,}"
        if r["low"] is not None and r["high"] != r["low"]:
            words += f"  ({r['low']:,}–{r['high']:,})"
        drawing.add(_text(label + space + 8, y + 4, words, 9, fontName=BOLD))
    return drawing


def severity(clusters: list[Row], width: float) -> Drawing:
    """ENISA SE of every group as an interval over the four bands."""
    line, left, bottom, top = 21, 200, 30, 16
    shown = clusters[:8]
    height = bottom + top + line * len(shown)
    drawing = Drawing(width, height)
    space = width - left - 12
    unit = space / 6.0
    for (a, b, words), fill in zip(
        ((0, 2, "low"), (2, 3, "medium"), (3, 4, "high"), (4, 6, "very high")), _BAND_FILL,
        strict=True,
    ):  # fmt: skip
        drawing.add(
            Rect(left + a * unit, bottom, (b - a) * unit, line * len(shown), fillColor=fill,
                 strokeColor=white)
        )  # fmt: skip
        drawing.add(
            _text(left + (a + b) / 2 * unit, height - 11, words, 8, textAnchor="middle",
                  fontName=BOLD, fillColor=NAVY)
        )  # fmt: skip
    for n in range(7):
        x = left + n * unit
        drawing.add(Line(x, bottom - 3, x, bottom, strokeColor=GREY, strokeWidth=0.6))
        drawing.add(_text(x, bottom - 13, n, 7.5, textAnchor="middle", fillColor=GREY))
    drawing.add(_text(left + space / 2, 4, "severity SE = DPC × EI + CB", 7.5, textAnchor="middle",
                      fillColor=GREY))  # fmt: skip
    for i, c in enumerate(shown):
        y = bottom + line * (len(shown) - 1 - i) + line / 2
        low, high = left + c["se"][0] * unit, left + c["se"][1] * unit
        group = Group()
        group.add(Line(low, y, high, y, strokeColor=NAVY, strokeWidth=3))
        for x in (low, high):
            group.add(Line(x, y - 5, x, y + 5, strokeColor=NAVY, strokeWidth=2))
        drawing.add(group)
        people = f"{c['subjects']:,} " + ("person" if c["subjects"] == 1 else "people")
        drawing.add(_text(left - 8, y - 3, f"{people}: {c['label']}"[:46], 8, textAnchor="end"))
    return drawing
