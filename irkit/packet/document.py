"""The PDF frame: pages with header, footer, watermark, bookmarks and page numbers."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph

from irkit.packet.model import Head
from irkit.packet.style import BOLD, GREY, LIGHT, MONO, NAVY, ORANGE, SANS, drawable, register_fonts

MARGIN = 20 * mm
PAPERS = {"A4": A4, "Letter": LETTER}

#: Builds the story anew; flowables cannot be laid out twice.
Story = Callable[[], Sequence[Flowable]]


class _Document(BaseDocTemplate):  # type: ignore[misc]  # reportlab has no types
    """Lays out the story, adding a bookmark for every heading."""

    def __init__(self, stream: Any, head: Head, digest: str, pages: int, paper: str) -> None:
        self.head = head
        self.digest = digest
        self.pages = pages
        title = f"Breach notification packet: {head.case_title}"
        super().__init__(
            stream,
            pagesize=PAPERS[paper],
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=26 * mm,
            bottomMargin=22 * mm,
            title=drawable(title, 300),
            author=drawable(head.controller, 200),
            subject=f"{head.phase} notification, packet {head.number}",
            keywords=["personal data breach", "GDPR Art. 33", head.phase],
            initialFontName=SANS,
            creator=head.tool,
            lang=drawable(head.language, 35),
            invariant=1,
            pageCompression=1,
        )
        frame = Frame(
            self.leftMargin, self.bottomMargin, self.width, self.height, id="body",
            leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
        )  # fmt: skip
        self.addPageTemplates([PageTemplate(id="page", frames=[frame], onPage=self._decorate)])
        self._headings = 0

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 - reportlab's name
        """Add a bookmark for headings."""
        if not isinstance(flowable, Paragraph) or flowable.style.name not in ("h1", "title"):
            return
        self._headings += 1
        key = f"heading-{self._headings}"
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(drawable(flowable.getPlainText(), 90), key, level=0)

    def _decorate(self, canvas: Canvas, doc: BaseDocTemplate) -> None:
        width, height = doc.pagesize
        head = self.head
        canvas.saveState()
        self._watermark(canvas, width, height)
        canvas.setFont(SANS, 8)
        canvas.setFillColor(GREY)
        left = f"{drawable(head.case_title, 60)} · {head.phase} · packet {head.number:03d}"
        canvas.drawString(MARGIN, height - 15 * mm, left)
        canvas.setFont(BOLD, 8)
        canvas.setFillColor(NAVY)
        canvas.drawRightString(width - MARGIN, height - 15 * mm, drawable(head.marking, 60))
        if head.synthetic:
            canvas.setFillColor(ORANGE)
            canvas.drawCentredString(
                width / 2, height - 10 * mm, "SYNTHETIC SAMPLE – all people are invented"
            )
        canvas.setStrokeColor(LIGHT)
        canvas.line(MARGIN, height - 17.5 * mm, width - MARGIN, height - 17.5 * mm)
        canvas.line(MARGIN, 16 * mm, width - MARGIN, 16 * mm)
        canvas.setFillColor(GREY)
        canvas.setFont(MONO, 7)
        canvas.drawString(MARGIN, 11.5 * mm, f"packet.json sha256 {self.digest[:16]}…")
        canvas.setFont(SANS, 7.5)
        canvas.drawCentredString(
            width / 2 + 8 * mm, 11.5 * mm, f"built {head.built_at} · {head.tool}"
        )
        total = str(self.pages) if self.pages else "?"
        canvas.drawRightString(
            width - MARGIN, 11.5 * mm, f"page {canvas.getPageNumber()} of {total}"
        )
        canvas.restoreState()

    def _watermark(self, canvas: Canvas, width: float, height: float) -> None:
        words = [w for w, on in (("SYNTHETIC SAMPLE", self.head.synthetic),
                                 ("DRAFT – not signed off", self.head.draft)) if on]  # fmt: skip
        if not words:
            return
        canvas.saveState()
        canvas.translate(width / 2, height / 2)
        canvas.rotate(52)
        canvas.setFillColor(LIGHT)
        canvas.setFillAlpha(0.4)
        for line, text in enumerate(words):
            canvas.setFont(BOLD, 46 if len(text) < 18 else 40)
            canvas.drawCentredString(0, 40 - 80 * line if len(words) > 1 else 0, text)
        canvas.restoreState()


def lay_out(story: Story, head: Head, digest: str, paper: str = "A4") -> bytes:
    """Lay the story out twice, the second time knowing the number of pages.

    Args:
        story: builds fresh flowables.
        head: what stands in headers, footers and watermark.
        digest: SHA-256 of the packet's JSON, printed in the footer.
        paper: ``A4`` or ``Letter``.
    """
    register_fonts()
    pages = 0
    for _ in range(2):
        stream = io.BytesIO()
        document = _Document(stream, head, digest, pages, paper)
        document.build(list(story()))
        pages = document.page
    return stream.getvalue()
