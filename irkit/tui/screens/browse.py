"""Filter, sort and page for screens with a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import duckdb
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Key
from textual.widgets import Input
from textual.worker import get_current_worker

from irkit.case.views import Column, Filter, FilterError, parse_filter
from irkit.tui.messages import Fetched
from irkit.tui.screens.base import CaseScreen
from irkit.tui.text import line, number, plural
from irkit.tui.widgets.tables import PagedTable
from irkit.tui.widgets.words import Words

#: Rows drawn at once; more of them take longer to draw than a person takes for a key.
PAGE = 100
#: Pages kept at most, the shown one included.
PAGES_AHEAD = 24


@dataclass(slots=True)
class Browse:
    """What part of a table is shown, in which order."""

    columns: tuple[Column, ...]
    sort: str
    descending: bool = False
    offset: int = 0
    limit: int = PAGE
    total: int = 0
    where: Filter = field(default_factory=lambda: Filter("TRUE", ()))

    def place(self) -> tuple[object, ...]:
        """What makes one page differ from another."""
        where = self.where
        return (where.sql, tuple(where.params), self.sort, self.descending, self.offset, self.limit)


PageQuery = Callable[[duckdb.DuckDBPyConnection, Browse], Any]


class BrowseScreen(CaseScreen):
    """A screen of a case with a filter line, a caption and the actions of a paged table."""

    NOUN: str = "row"
    PLURALS: ClassVar[dict[str, str]] = {"person": "people"}
    BARE: ClassVar[str] = ""

    #: Pages read ahead, by what they show; a page met again is drawn at once.
    _pages: dict[tuple[Any, ...], Any]

    def start_browsing(
        self, columns: Sequence[Column], sort: str, descending: bool = False
    ) -> None:
        """Set the first order."""
        self.browse = Browse(tuple(columns), sort, descending)
        self._pages = {}
        self._following: tuple[str, PageQuery, tuple[object, ...]] | None = None
        self._rows_shown = 0
        #: Which page is drawn.
        self._drawn: tuple[Any, ...] | None = None

    # -- pages --------------------------------------------------------------------------------

    def fetch_page(self, name: str, query: PageQuery, *of_what: object) -> None:
        """Draw a page through ``show_<name>``: at once where it was read ahead, else when read.

        Args:
            name: as of :meth:`fetch`.
            query: reads the page that a :class:`Browse` describes.
            of_what: whatever else the query depends on.
        """
        browse, version = replace(self.browse), self.session.version
        key = (name, version, of_what, browse.place())
        self._pages = {k: page for k, page in self._pages.items() if k[1] == version}
        self._following = (name, query, of_what)
        if key in self._pages:
            self.take_over(name, self._pages[key])
            self._drawn = (name, of_what, browse.place())
            self.call_after_refresh(self._read_ahead)
            return
        pages = self._pages
        self._say_caption(reading=True)
        # The same rows of a case that changed may be acted on; another page's may not.
        if self._drawn not in (None, (name, of_what, browse.place())):
            self.active_table().wait()

        def read(con: duckdb.DuckDBPyConnection) -> Any:
            page = pages[key] = query(con, browse)
            return page

        self.fetch(name, read)

    def on_fetched(self, message: Fetched) -> None:
        """Read ahead once the page asked for is drawn."""
        super().on_fetched(message)
        if self._following is not None and message.name == self._following[0]:
            if self._tokens.get(message.name) == message.token:
                name, _, of_what = self._following
                self._drawn = (name, of_what, self.browse.place())
            self.call_after_refresh(self._read_ahead)

    def _read_ahead(self) -> None:
        """Read the pages that one key leads to: next, before, last sort key reversed, next sort."""
        if self._following is None or self.irkit.session is None:
            return
        name, query, of_what = self._following
        here, version, pages = self.browse, self.session.version, self._pages
        names = [column.name for column in here.columns]
        after = names[(names.index(here.sort) + 1) % len(names)]
        wanted = [
            replace(here, offset=here.offset + here.limit),
            replace(here, offset=here.offset - here.limit),
            replace(here, sort=after, descending=False, offset=0),
            replace(here, offset=here.offset + 2 * here.limit),
            replace(here, descending=not here.descending, offset=0),
        ]

        def read(con: duckdb.DuckDBPyConnection) -> None:
            worker = get_current_worker()
            total = None
            for browse in wanted:
                key = (name, version, of_what, browse.place())
                beyond = total is not None and browse.offset >= total
                if worker.is_cancelled or len(pages) > PAGES_AHEAD:
                    return
                if key not in pages and browse.offset >= 0 and not beyond:
                    page = pages[key] = query(con, browse)
                    if browse.where is here.where and getattr(page, "total", None) is not None:
                        total = page.total

        self.fetch("ahead", read, behind=True)

    def show_ahead(self, _: None) -> None:
        """Pages read ahead are drawn when they are turned to."""

    def browse_bar(self) -> ComposeResult:
        """Lay out caption and filter line."""
        with Horizontal(id="browse-bar"):
            yield Words(id="caption", fixed=True)
            yield Input(
                placeholder=f"field=value  ({', '.join(c.name for c in self.browse.columns)})",
                id="filter",
                compact=True,
            )

    def on_mount(self) -> None:
        """Hide the filter line until it is asked for."""
        self.query_one("#filter").display = False

    def browse_caption(self, total: int, rows: int) -> None:
        """Say which rows are shown, in which order, under which filter."""
        self.browse.total, self._rows_shown = total, rows
        self._say_caption()

    def _say_caption(self, *, reading: bool = False) -> None:
        """Draw the caption; while a page is read it already names the order and filter asked for.

        The rows of before stay below it so long, which the first word says.
        """
        browse, rows = self.browse, self._rows_shown
        total = browse.total
        if reading:
            what = "reading …"
        elif total > rows and rows:
            what = f"{number(browse.offset + 1)}–{number(browse.offset + rows)} of {number(total)}"
        else:
            what = plural(total, self.NOUN, self.PLURALS.get(self.NOUN, ""))
        extra = self.extra_caption()
        parts = [Content.styled(what, "bold $accent" if reading else "bold")]
        if (lost := self.left_out()) and not reading:
            parts.append(Content.styled(f" · ! {lost}", "bold $warning"))
        # The filter stands first: a person must never take a part for the whole.
        if browse.where.text:
            shown = line(browse.where.text, 60)
            parts.append(Content.styled(f" · filter {shown}", "bold $warning"))
        if extra:
            parts.append(Content.styled(f" · {extra}", "$muted"))
        order = f" · by {browse.sort} {'↓' if browse.descending else '↑'}"
        parts.append(Content.styled(order, "$muted"))
        if total > browse.limit:
            parts.append(Content.styled(f" · {self.page_keys()} page", "$muted"))
        self.query_one("#caption", Words).say(Content.assemble(*parts))

    def extra_caption(self) -> str:
        """Words that a screen adds to the caption."""
        return ""

    def left_out(self) -> str:
        """Words for rows that the filter could not judge and that are therefore not shown."""
        return ""

    # -- filter -------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Open the filter line."""
        box = self.query_one("#filter", Input)
        self.query_one("#caption").display = False
        box.display = True
        box.value = self.browse.where.text
        box.focus()

    @on(Input.Submitted, "#filter")
    def _apply_filter(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            self.browse.where = parse_filter(event.value, self.browse.columns, self.BARE)
        except FilterError as error:
            self.notify(f"{error.message}\n{error.hint}", severity="warning", markup=False)
            return
        self.browse.offset = 0
        self._close_filter()
        self.reload()

    def on_key(self, event: Key) -> None:
        """Leave the filter line on escape without changing the filter."""
        if event.key == "escape" and self.query_one("#filter").display:
            event.stop()
            event.prevent_default()
            self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter").display = False
        self.query_one("#caption").display = True
        self.active_table().focus()

    def active_table(self) -> PagedTable:
        """The table that filter, sort and page act on."""
        return next(table for table in self.query(PagedTable) if table.display)

    # -- order and pages ----------------------------------------------------------------------

    def action_sort(self) -> None:
        """Order by the next column."""
        names = [column.name for column in self.browse.columns]
        self._sort_by(names[(names.index(self.browse.sort) + 1) % len(names)], False)

    def action_reverse(self) -> None:
        """Reverse the order."""
        self._sort_by(self.browse.sort, not self.browse.descending)

    def on_paged_table_sort_wanted(self, event: PagedTable.SortWanted) -> None:
        """Order by the heading that was clicked; again reverses."""
        event.stop()
        if any(column.name == event.name for column in self.browse.columns):
            again = event.name == self.browse.sort and not self.browse.descending
            self._sort_by(event.name, again)

    def _sort_by(self, name: str, descending: bool) -> None:
        self.browse.sort, self.browse.descending, self.browse.offset = name, descending, 0
        self.reload()

    def action_next_page(self) -> None:
        """Show the next page."""
        self._turn(1)

    def action_previous_page(self) -> None:
        """Show the page before."""
        self._turn(-1)

    def on_paged_table_page_wanted(self, event: PagedTable.PageWanted) -> None:
        """Turn the page when the cursor moved past its edge."""
        event.stop()
        self._turn(event.direction)

    def _turn(self, direction: int) -> None:
        browse = self.browse
        offset = browse.offset + direction * browse.limit
        if 0 <= offset < max(browse.total, 1) and offset != browse.offset:
            browse.offset = offset
            self.reload()
