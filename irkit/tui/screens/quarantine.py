"""Quarantine: what could not be read, where it lies, why, and its bytes made harmless."""

from __future__ import annotations

from typing import Any, ClassVar

import duckdb
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content

from irkit.case import views
from irkit.tui.actions import bindings
from irkit.tui.screens.base import CaseScreen
from irkit.tui.screens.browse import PAGE
from irkit.tui.text import clean, line, mask_names, mask_shapes, middle, number, plural
from irkit.tui.widgets.tables import Cell, PagedTable, TableColumn
from irkit.tui.widgets.words import Words

COLUMNS = (
    TableColumn("source", "File", 18, sortable=False),
    TableColumn("entry", "Entry", 8, right=True, sortable=False),
    TableColumn("offset", "Byte", 11, min_table=90, right=True, sortable=False),
    TableColumn("length", "Length", 9, min_table=90, right=True, sortable=False),
    TableColumn("code", "Reason", 16, sortable=False),
    TableColumn("text", "In words", 0, sortable=False),
)
#: Bytes of an entry that are shown.
SHOWN = 640


def _cells(row: views.QuarantineRow) -> list[Cell]:
    return [
        Cell(middle(row.source.rsplit("/", 1)[-1], 18)),
        Cell(number(row.entry_no)),
        Cell(number(row.byte_offset)),
        Cell(number(row.byte_len)),
        Cell(row.error_code.replace("_", " "), "$warning"),
        Cell(row.error_text),
    ]


class QuarantineScreen(CaseScreen):
    """A table of unread entries with the bytes of the one under the cursor."""

    PLACE = "quarantine"
    BINDINGS: ClassVar = bindings("quarantine")
    AUTO_FOCUS = "#quarantine"

    def __init__(self) -> None:
        super().__init__()
        self.first = 0
        self.total = 0

    def body(self) -> ComposeResult:
        """Lay out table and detail."""
        yield Words(id="caption", fixed=True)
        with Container(id="split"):
            yield PagedTable(
                COLUMNS, _cells, id="quarantine", key=lambda r: f"{r.source_id}:{r.entry_no}"
            )
            with VerticalScroll(id="detail", classes="section"):
                yield Words(id="detail-text")

    def reload(self) -> None:
        """Read the page."""
        first = self.first
        self.fetch("quarantine", lambda con: views.quarantine(con, offset=first, limit=PAGE))

    def show_quarantine(self, page: views.Page[views.QuarantineRow]) -> None:
        """Draw the page."""
        self.total = page.total
        self.query_one("#quarantine", PagedTable).show_page(page.rows, page.total, page.offset)
        caption = self.query_one("#caption", Words)
        box = self.query_one("#detail", VerticalScroll)
        if not page.rows:
            caption.say(Content.styled("✓ Everything in the logs could be read", "$success"))
            box.border_title = "Nothing unread"
            self.query_one("#detail-text", Words).say(
                Content("Entries that cannot be read are kept here byte for byte, never dropped.")
            )
            return
        span = ""
        if page.total > len(page.rows):
            span = f" · {number(page.offset + 1)}–{number(page.offset + len(page.rows))},"
            span += f" {self.page_keys()} page"
        caption.say(
            Content.assemble(
                (f"{plural(page.total, 'entry', 'entries')} could not be read", "bold"),
                (f"{span} · kept byte for byte in the evidence", "$muted"),
            )
        )
        self._detail()

    @on(PagedTable.RowHighlighted)
    def _moved(self) -> None:
        self._detail()

    def _detail(self) -> None:
        row: views.QuarantineRow | None = self.query_one("#quarantine", PagedTable).selected
        if row is None:
            return

        def query(con: duckdb.DuckDBPyConnection) -> Any:
            return row, views.quarantine_raw(con, row.source_id, row.entry_no, limit=SHOWN)

        self.fetch("raw", query)

    def show_raw(self, data: tuple[views.QuarantineRow, bytes]) -> None:
        """Draw the entry's first bytes: control characters as pictures, values masked."""
        row, raw = data
        box = self.query_one("#detail", VerticalScroll)
        box.border_title = f"Entry {number(row.entry_no)} of {line(middle(row.source, 40))}"
        text = mask_names(mask_shapes(raw.decode("utf-8", "backslashreplace")))
        more = max(0, row.byte_len - len(raw))
        self.query_one("#detail-text", Words).say(
            Content.assemble(
                (line(row.error_code).replace("_", " "), "bold $warning"),
                f": {clean(row.error_text)}\n",
                (f"byte {number(row.byte_offset)}, {number(row.byte_len)} long\n", "$muted"),
                (f"sha256 {line(row.sha256)}\n", "$muted"),
                Content(clean(text)),
                (f"\n… {number(more)} bytes more" if more else "", "$muted"),
                ("\nWhat to do: ", "bold"),
                "nothing, if this is no call; it stays counted. Where a mapping was wrong,"
                " irkit quarantine CASE --reread --mapping FILE reads these entries again.",
            )
        )

    def action_next_page(self) -> None:
        """Show the next page."""
        self._turn(PAGE)

    def action_previous_page(self) -> None:
        """Show the page before."""
        self._turn(-PAGE)

    @on(PagedTable.PageWanted)
    def _wanted(self, event: PagedTable.PageWanted) -> None:
        event.stop()
        self._turn(event.direction * PAGE)

    def _turn(self, by: int) -> None:
        if 0 <= self.first + by < max(1, self.total):
            self.first += by
            self.reload()

    def action_copy(self) -> None:
        """Copy the hash of the entry."""
        row: views.QuarantineRow | None = self.query_one("#quarantine", PagedTable).selected
        if row is not None:
            self.irkit.copy(row.sha256, "SHA-256")
