"""Actors: who was flagged for what, how sure, since when; sort, filter, page, replay."""

from __future__ import annotations

from typing import Any, ClassVar

import duckdb
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Input

from irkit.case import views
from irkit.model import UnitKind
from irkit.tui.actions import bindings
from irkit.tui.screens.browse import Browse, BrowseScreen
from irkit.tui.text import line, number, p_value, plural, short_stamp, stamp
from irkit.tui.theme import TIER
from irkit.tui.widgets.dialogs import TextDialog
from irkit.tui.widgets.tables import Cell, PagedTable, TableColumn
from irkit.tui.widgets.words import Words
from irkit.tui.words import KIND, actor_title, finding_lines, technique

COLUMNS = (
    TableColumn("tier", "Tier", 4),
    TableColumn("actor", "Actor", 0),
    TableColumn("kind", "Kind", 10),
    TableColumn("technique", "Technique", 24, min_table=60),
    TableColumn("p", "p", 9, min_table=90, right=True),
    TableColumn("onset", "Onset UTC", 11, min_table=104),
    TableColumn("queries", "Queries", 7, right=True),
    TableColumn("leaks", "Leaks", 5, right=True),
)


def _cells(row: views.ActorRow) -> list[Cell]:
    symbol, _, style = TIER.get(row.tier or "", ("–", "nothing", "$muted"))
    return [
        Cell(symbol if row.tier is None else f"{symbol} {row.tier}", style),
        Cell(row.key.unit, middle=True),
        Cell(KIND.get(row.key.kind.value, row.key.kind.value), "$muted"),
        Cell(technique(row.technique) + (f" +{row.findings - 1}" if row.findings > 1 else "")),
        Cell(p_value(row.p_value, row.p_kind)),
        Cell(short_stamp(row.onset) if row.tier else "–"),
        Cell(number(row.queries)),
        Cell(
            number(row.exposures) if row.exposures else "–", "bold $accent" if row.exposures else ""
        ),
    ]


class ActorsScreen(BrowseScreen):
    """A table of actors with the finding of the one under the cursor."""

    PLACE = "actors"
    BINDINGS: ClassVar = bindings("actors")
    AUTO_FOCUS = "#actors"
    NOUN = "actor"
    BARE = "actor"

    def __init__(self) -> None:
        super().__init__()
        self.start_browsing(views.actor_columns(), "tier")
        self.quiet = False
        self._first: views.ActorKey | None = None
        self._undated = 0

    def body(self) -> ComposeResult:
        """Lay out table and detail."""
        yield from self.browse_bar()
        with Container(id="split"):
            yield PagedTable(
                COLUMNS, _cells, id="actors", key=lambda r: f"{r.key.kind.value}:{r.key.unit}"
            )
            with VerticalScroll(id="detail", classes="section"):
                yield Words(id="detail-text")

    def show_between(self, span: views.TimeSpan) -> None:
        """Show those whose activity touches a part of time."""
        first, last = (at.strftime("%Y-%m-%dT%H:%M:%S") for at in span)
        self.browse.where = views.parse_filter(
            f"last>={first} first<={last}", self.browse.columns, self.BARE
        )
        self.browse.offset = 0
        if self.is_mounted:
            self.reload()

    def reload(self) -> None:
        """Read the page."""
        quiet, session = self.quiet, self.session

        def query(con: duckdb.DuckDBPyConnection, browse: Browse) -> Any:
            session.prepare("leaks", *(("quiet",) if quiet else ()))
            page = views.actors(
                con,
                where=browse.where,
                sort=browse.sort,
                descending=browse.descending,
                offset=browse.offset,
                limit=browse.limit,
                quiet=quiet,
            )
            timeless = views.timeless(browse.where, browse.columns)
            if timeless is None:
                return page, 0
            return page, views.actors(con, where=timeless, limit=1, quiet=quiet).total

        self.fetch_page("actors", query, quiet)

    def show_actors(self, data: tuple[views.ActorPage, int]) -> None:
        """Draw the page."""
        page, self._undated = data
        table = self.query_one("#actors", PagedTable)
        table.sorted_by = (self.browse.sort, self.browse.descending)
        table.show_page(page.rows, page.total, page.offset)
        self.browse_caption(page.total, len(page.rows))
        if page.rows:
            self._detail()
        else:
            self.query_one("#detail", VerticalScroll).border_title = "No actors"
            self.query_one("#detail-text", Words).say(Content(self._empty()))

    def _empty(self) -> str:
        if self.browse.where.text:
            return (
                f"Nothing matches “{line(self.browse.where.text)}”."
                f" Press {self.key_of('filter')} and clear the filter."
            )
        if not self.quiet:
            return (
                f"No actor was flagged. Press {self.key_of('quiet')} to see everyone tested, or"
                f" {self.key_of('go(overview)')} then {self.key_of('scope', 'overview')} to"
                " work out the scope if that was not done yet."
            )
        return (
            f"No queries have been read yet. Press {self.key_of('go(overview)')}, then"
            f" {self.key_of('preserve', 'overview')}, to add logs."
        )

    @on(PagedTable.RowHighlighted)
    def _moved(self) -> None:
        self._detail()

    def _detail(self) -> None:
        row = self.query_one("#actors", PagedTable).selected
        if row is None:
            return
        self.query_one("#detail", VerticalScroll).border_title = line(actor_title(row), 60)
        together = row.key.kind is UnitKind.CAMPAIGN

        def query(con: duckdb.DuckDBPyConnection) -> Any:
            found = views.campaign(con, row.key.unit) if together else None
            return row, views.actor_findings(con, row.key), found

        self.fetch("detail", query)

    def show_detail(
        self,
        data: tuple[views.ActorRow, tuple[views.FindingDetail, ...], views.CampaignView | None],
    ) -> None:
        """Draw the findings of the actor under the cursor, and who acts together."""
        row, findings, together = data
        parts = [finding_lines(finding) for finding in findings]
        if not parts:
            parts.append(Content.styled("Nothing was found on this actor.", "$muted"))
        seen = f"Seen {stamp(row.first_seen)} to {stamp(row.last_seen)}"
        parts.append(Content.styled(seen, "$muted"))
        if row.exposures:
            words = f"■ {plural(row.exposures, 'leak')}: passages that came out"
            parts.append(Content.styled(f"{words}; several may stand in one answer", "$muted"))
        if together is not None:
            parts.append(Content("\n".join(["", *views.campaign_lines(together)])))
        self.query_one("#detail-text", Words).say(Content("\n").join(parts))

    @on(PagedTable.Opened)
    def _opened(self) -> None:
        self.action_open_replay()

    def action_open_replay(self) -> None:
        """Replay the actor under the cursor."""
        if isinstance(self.focused, Input):
            return
        row = self.query_one("#actors", PagedTable).selected
        if row is not None:
            self.irkit.replay_actor(row.key)

    def action_compare(self) -> None:
        """Keep this actor, then set another one beside it."""
        row = self.query_one("#actors", PagedTable).selected
        if row is None:
            return
        first, self._first = self._first, None
        if first is None or first == row.key:
            self._first = row.key
            self.notify(
                f"{line(row.key.unit, 40)}: now {self.key_of('compare')} on the actor to compare"
                " it with",
                markup=False,
            )
            return
        key = row.key
        self.fetch("comparison", lambda con: views.compare(con, first, key))

    def show_comparison(self, found: views.Comparison) -> None:
        """Show two actors side by side."""
        # What a dialog takes off: a tenth, its border, its scrollbar.
        columns = min(90, self.app.size.width * 94 // 100 - 9)
        self.app.push_screen(
            TextDialog(
                "Two actors side by side",
                "\n".join(views.comparison_lines(found, columns)),
                read_only=True,
            )
        )

    def action_quiet(self) -> None:
        """Show or hide actors on whom nothing was found."""
        self.quiet = not self.quiet
        self.browse.offset = 0
        self.reload()

    def extra_caption(self) -> str:
        """Say which actors are listed."""
        return "everyone tested" if self.quiet else "flagged only"

    def left_out(self) -> str:
        """A filter by time cannot tell whether they belong: they are left out, not ruled out."""
        return f"{number(self._undated)} without a time left out" if self._undated else ""

    def action_copy(self) -> None:
        """Copy the actor's name."""
        row = self.query_one("#actors", PagedTable).selected
        if row is not None:
            self.irkit.copy(row.key.unit, "actor")
