"""Fonts, colours and paragraph styles of the packet, and safe text for reportlab.

Only bundled, embedded fonts are used (Noto Sans, DejaVu Sans Mono: Latin, Greek, Cyrillic), so
that the PDF reads the same everywhere.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics import shapes
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from irkit.playbook.plain import plain

SANS, BOLD, ITALIC, MONO = "irkit-sans", "irkit-bold", "irkit-italic", "irkit-mono"
_FILES = {
    SANS: "NotoSans-Regular.ttf",
    BOLD: "NotoSans-Bold.ttf",
    ITALIC: "NotoSans-Italic.ttf",
    MONO: "DejaVuSansMono.ttf",
}

INK = HexColor("#1a1f26")
NAVY = HexColor("#17365d")
BLUE = HexColor("#2f6db5")
ORANGE = HexColor("#c2570c")
GREY = HexColor("#5b6673")
LIGHT = HexColor("#dfe5ec")
PALE = HexColor("#f3f6f9")
WASH = HexColor("#fdf3ea")

#: Longest text in one table cell; the full text is in the embedded JSON.
CELL_LIMIT = 900
_MAX_BREAKS = 12


@lru_cache(maxsize=1)
def register_fonts() -> dict[str, Any]:
    """Register the bundled fonts once; returns the font objects by name."""
    fonts = {}
    folder = resources.files("irkit.packet") / "fonts"
    for name, file in _FILES.items():
        with resources.as_file(folder / file) as path:
            font = TTFont(name, str(path))
            pdfmetrics.registerFont(font)
            fonts[name] = font
    # Drawings begin with this font even where they set none; the default would not be embedded.
    shapes.STATE_DEFAULTS["fontName"] = SANS
    pdfmetrics.registerFontFamily(SANS, normal=SANS, bold=BOLD, italic=ITALIC, boldItalic=BOLD)
    return fonts


@lru_cache(maxsize=1)
def _glyphs() -> tuple[frozenset[int], frozenset[int]]:
    fonts = register_fonts()
    return (
        frozenset(fonts[SANS].face.charToGlyph) & frozenset(fonts[BOLD].face.charToGlyph),
        frozenset(fonts[MONO].face.charToGlyph),
    )


#: ISO 8601 with the T: on paper a space reads better and lets a line break.
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)([+-]\d\d:\d\d|Z)")


def safe(text: object, limit: int = 0) -> str:
    """Make any text a reportlab paragraph body: escaped, without controls, with known glyphs only.

    A character that the sans font lacks is set in the mono font; one that neither has is written
    as its code point, like ``[U+4E2D]``, so that nothing disappears unseen.
    """
    flat = _STAMP.sub(r"\1 \2\3", plain(text, keep_breaks=True))
    if flat.isascii() and not limit:
        return escape(flat).replace("\n", "<br/>")
    sans, mono = _glyphs()
    out: list[str] = []
    size = breaks = 0
    for char in flat:
        if limit and size >= limit:
            out.append(" … (continued in packet.json)")
            break
        size += 1
        if char == "\n":
            # A cell of nothing but line breaks must not grow past its page.
            breaks += 1
            out.append(" " if limit and breaks > _MAX_BREAKS else "<br/>")
        elif ord(char) in sans:
            out.append(escape(char))
        elif ord(char) in mono:
            out.append(f'<font name="{MONO}">{escape(char)}</font>')
        else:
            size += 7
            out.append(f"[U+{ord(char):04X}]")
    return "".join(out)


def drawable(text: object, limit: int = 120) -> str:
    """A one-line text for direct drawing (charts, header): known glyphs of the sans font only."""
    flat = " ".join(plain(text).split())
    sans, _ = _glyphs()
    shown = "".join(c if ord(c) in sans else "?" for c in flat)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


@lru_cache(maxsize=1)
def styles() -> dict[str, ParagraphStyle]:
    """Paragraph styles by name."""
    register_fonts()
    body = ParagraphStyle(
        "body", fontName=SANS, fontSize=10, leading=14, textColor=INK, spaceAfter=5,
        allowWidows=0, allowOrphans=0,
    )  # fmt: skip
    return {
        "body": body,
        "h1": ParagraphStyle(
            "h1", parent=body, fontName=BOLD, fontSize=15, leading=19, textColor=NAVY,
            spaceBefore=4, spaceAfter=8, keepWithNext=1,
        ),
        "h2": ParagraphStyle(
            "h2", parent=body, fontName=BOLD, fontSize=11.5, leading=15, textColor=NAVY,
            spaceBefore=10, spaceAfter=4, keepWithNext=1,
        ),
        "cell": ParagraphStyle("cell", parent=body, fontSize=9, leading=12, spaceAfter=0),
        "head": ParagraphStyle(
            "head", parent=body, fontName=BOLD, fontSize=9, leading=12, spaceAfter=0,
            textColor=NAVY,
        ),
        "small": ParagraphStyle(
            "small", parent=body, fontSize=8.5, leading=11.5, textColor=GREY, spaceAfter=4
        ),
        "mono": ParagraphStyle(
            "mono", parent=body, fontName=MONO, fontSize=7.6, leading=10.5, spaceAfter=0,
            splitLongWords=1,
        ),
        "bullet": ParagraphStyle(
            "bullet", parent=body, leftIndent=12, bulletIndent=2, spaceAfter=3
        ),
        "note": ParagraphStyle(
            "note", parent=body, backColor=WASH, borderPadding=(6, 8, 6, 8), spaceBefore=8,
            spaceAfter=12, leftIndent=8, rightIndent=8,
        ),
        "title": ParagraphStyle(
            "title", parent=body, fontName=BOLD, fontSize=24, leading=30, textColor=NAVY,
            spaceAfter=6,
        ),
        "subtitle": ParagraphStyle(
            "subtitle", parent=body, fontSize=13, leading=18, textColor=GREY, spaceAfter=16
        ),
        "figure": ParagraphStyle(
            "figure", parent=body, fontName=BOLD, fontSize=20, leading=24, alignment=TA_CENTER,
            textColor=NAVY, spaceAfter=0,
        ),
        "under": ParagraphStyle(
            "under", parent=body, fontSize=8.5, leading=11, alignment=TA_CENTER, textColor=GREY,
            spaceAfter=0,
        ),
    }  # fmt: skip
