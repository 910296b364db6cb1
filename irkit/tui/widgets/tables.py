"""A table that holds one page of rows and asks for the next; the rest stays in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.color import Color, ColorParseError
from textual.events import Click
from textual.message import Message
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey

from irkit.tui.text import line, middle

#: The flexible column gets at least this much, or a column that may be left out is.
LEAST_FLEXIBLE = 12


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: sort field, heading, width in cells (0 takes what is left), fitting tables."""

    name: str
    label: str
    width: int
    min_table: int = 0
    max_table: int = 10_000
    right: bool = False
    sortable: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a cell with a style in theme variables, like ``bold $accent``.

    ``middle`` shortens in the middle, for names that differ at their end.
    """

    text: str
    style: str = ""
    middle: bool = False


class _Shown:
    """A cell of a row, worked out when it is drawn: a terminal shows a third of a page's rows."""

    __slots__ = ("_at", "_column", "_row", "_table")

    def __init__(self, table: PagedTable, row: _Row, at: int, column: TableColumn) -> None:
        self._table, self._row, self._at, self._column = table, row, at, column

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        cell, width = self._row.cells()[self._at], options.max_width
        text = middle(cell.text, width) if cell.middle else line(cell.text)
        taken = cell_len(text)
        if taken > width:
            text = set_cell_size(text, max(width - 1, 0)) + "…"
        elif self._column.right:
            text = " " * (width - taken) + text
        # One segment, without rich's wrapping: the text is one line and cut already.
        yield Segment(text, self._table.rich_style_of(cell.style))


class _Row:
    """What the cells of a row say, asked once."""

    __slots__ = ("_cells", "_item", "_known")

    def __init__(self, item: Any, cells: Callable[[Any], Sequence[Cell]]) -> None:
        self._item, self._cells = item, cells
        self._known: Sequence[Cell] | None = None

    def cells(self) -> Sequence[Cell]:
        """Return the cells in the order of the table's specification."""
        if self._known is None:
            self._known = self._cells(self._item)
        return self._known


class PagedTable(DataTable[_Shown], inherit_bindings=False):
    """One page of rows with the cursor kept on its row where the page is drawn again."""

    # Enter is left to the screen, whose registry says what it does there.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("g,home", "scroll_top", "Top", show=False),
        Binding("G,end", "scroll_bottom", "Bottom", show=False),
        Binding("pagedown,ctrl+d", "page_down", "Screen down", show=False),
        Binding("pageup,ctrl+u", "page_up", "Screen up", show=False),
    ]

    class Opened(Message):
        """The person double-clicked a row."""

    class PageWanted(Message):
        """The person moved past the page's edge."""

        def __init__(self, table: PagedTable, direction: int) -> None:
            super().__init__()
            self.table = table
            self.direction = direction

    class SortWanted(Message):
        """The person clicked a heading."""

        def __init__(self, table: PagedTable, name: str) -> None:
            super().__init__()
            self.table = table
            self.name = name

    def __init__(
        self,
        columns: Sequence[TableColumn],
        cells: Callable[[Any], Sequence[Cell]],
        *,
        id: str | None = None,  # noqa: A002 - Textual's own name
        key: Callable[[Any], str] = str,
    ) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._spec = tuple(columns)
        self._cells = cells
        self._key = key
        self._page: tuple[Any, ...] = ()
        self._drawn_width = 0
        #: Styles of cells in the present theme's colours.
        self._styles: dict[str, Style] = {}
        self.offset_rows = 0
        self.total = 0
        self.sorted_by = ("", False)
        #: Other rows were asked for and are on their way: those shown are not to be acted on.
        self.waiting = False

    # -- content ------------------------------------------------------------------------------

    def show_page(self, rows: Sequence[Any], total: int, offset: int = 0) -> None:
        """Draw a page; the cursor stays on the same row where it is still there."""
        self.wait(False)
        keep = self.selected_key
        moved = offset != self.offset_rows
        backwards = offset < self.offset_rows
        self._page, self.total, self.offset_rows = tuple(rows), total, offset
        self._draw()
        keys = [self._key(row) for row in self._page]
        if keep in keys:
            self.move_cursor(row=keys.index(keep), animate=False)
        elif moved:
            self.move_cursor(row=max(0, len(keys) - 1) if backwards else 0, animate=False)

    def wait(self, waiting: bool = True) -> None:
        """Show the rows as those of before until others are there; nothing acts on them."""
        self.waiting = waiting
        self.set_class(waiting, "-waiting")

    def _draw(self) -> None:
        row = self.cursor_row
        width = self.container_size.width or self.size.width
        self._drawn_width = width
        shown = [(i, c) for i, c in enumerate(self._spec) if c.min_table <= width <= c.max_table]
        while (flexible := self._left_over(shown, width)) < LEAST_FLEXIBLE:
            extra = max(shown, key=lambda pair: pair[1].min_table)
            if not extra[1].min_table:
                break
            shown.remove(extra)
        widths = [(column.name, column.width or max(flexible, 4)) for _, column in shown]
        # The same columns stay, with new headings: building them again costs as much as the rows.
        same = widths == [(str(key.value), column.width) for key, column in self.columns.items()]
        self.clear(columns=not same)
        for (_, column), (name, cells) in zip(shown, widths, strict=True):
            if same:
                self.columns[ColumnKey(name)].label = self._heading(column)
            else:
                self.add_column(self._heading(column), width=cells, key=name)
        for item in self._page:
            drawn = _Row(item, self._cells)
            self.add_row(*(_Shown(self, drawn, i, column) for i, column in shown))
        if self._page:
            self.move_cursor(row=min(row, len(self._page) - 1), animate=False)

    def _heading(self, column: TableColumn) -> Text:
        name, descending = self.sorted_by
        mark = (" ↓" if descending else " ↑") if column.name == name else ""
        return Text(column.label + mark, justify="right" if column.right else "left")

    @staticmethod
    def _left_over(shown: Sequence[tuple[int, TableColumn]], width: int) -> int:
        return width - sum(column.width for _, column in shown) - 2 * len(shown) - 1

    def rich_style_of(self, style: str) -> Style:
        """Resolve theme variables, which a table cell cannot do itself."""
        if style not in self._styles:
            self._styles[style] = self._resolved(style)
        return self._styles[style]

    def _resolved(self, style: str) -> Style:
        variables = self.app.theme_variables
        words = []
        for word in style.split():
            if not word.startswith("$"):
                words.append(word)
                continue
            try:
                words.append(Color.parse(variables.get(word[1:], "")).hex6)
            except (ColorParseError, AttributeError):
                words.append("dim")
        return Style.parse(" ".join(words)) if words else Style.null()

    @property
    def selected(self) -> Any | None:
        """The row under the cursor; None while other rows are being read."""
        if self.waiting:
            return None
        return self._page[self.cursor_row] if 0 <= self.cursor_row < len(self._page) else None

    @property
    def selected_key(self) -> str | None:
        """Identity of the row under the cursor."""
        row = self.selected
        return None if row is None else self._key(row)

    @property
    def keys(self) -> tuple[str, ...]:
        """Identities of the rows of this page."""
        return () if self.waiting else tuple(self._key(row) for row in self._page)

    def items(self) -> tuple[tuple[str, Any], ...]:
        """Rows of this page with their identities."""
        return () if self.waiting else tuple((self._key(row), row) for row in self._page)

    def cells_selected(self) -> list[tuple[str, str]]:
        """Heading and text of every cell of the row under the cursor, as shown: masked is masked.

        Columns that are left out on a narrow terminal are there too.
        """
        row = self.selected
        if row is None:
            return []
        cells = zip(self._spec, self._cells(row), strict=True)
        named = [(column.label or column.name, line(cell.text)) for column, cell in cells]
        # A column may have two widths, of which one is shown.
        return list(dict.fromkeys(named))

    def draw_again(self) -> None:
        """Draw the page once more, where what its cells say has changed."""
        self._draw()

    def go_to(self, key: str) -> None:
        """Put the cursor on a row where it is on this page."""
        keys = [self._key(row) for row in self._page]
        if key in keys:
            self.move_cursor(row=keys.index(key), animate=False)

    # -- moving over the page's edges ---------------------------------------------------------

    def action_cursor_down(self) -> None:
        """Move down, or to the next page from the last row."""
        if self._page and self.cursor_row >= len(self._page) - 1:
            if self.offset_rows + len(self._page) < self.total:
                self.post_message(self.PageWanted(self, 1))
            return
        super().action_cursor_down()

    def action_cursor_up(self) -> None:
        """Move up, or to the page before from the first row."""
        if self.cursor_row <= 0:
            if self.offset_rows > 0:
                self.post_message(self.PageWanted(self, -1))
            return
        super().action_cursor_up()

    def on_click(self, event: Click) -> None:
        """Open a row on a double click; a single one only moves the cursor."""
        if event.chain == 2 and self.selected is not None and event.y > 0:
            self.post_message(self.Opened())

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Keep Textual's own selection message, which one click sends, to ourselves."""
        event.stop()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Ask for another order."""
        event.stop()
        column = next((c for c in self._spec if c.name == event.column_key.value), None)
        if column is not None and column.sortable:
            self.post_message(self.SortWanted(self, column.name))

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Set a scroll bar that has just appeared: it misses scrolling done before it was there."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def on_resize(self) -> None:
        """Fit the columns to a new width."""
        if (self.container_size.width or self.size.width) != self._drawn_width:
            self._draw()

    def notify_style_update(self) -> None:
        """Draw again in a new theme's colours."""
        super().notify_style_update()
        self._styles.clear()
        if self.is_mounted and self._page:
            self.call_after_refresh(self._draw)
