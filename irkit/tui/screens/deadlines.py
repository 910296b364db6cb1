"""Deadlines: every legal clock with what it counts from, in UTC and local time, none hidden."""

from __future__ import annotations

from datetime import UTC
from typing import Any, ClassVar

import duckdb
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content

from irkit.case import views
from irkit.tui.actions import bindings
from irkit.tui.screens.base import CaseScreen
from irkit.tui.text import clean, line, plural, remaining, stamp, urgency
from irkit.tui.theme import APPLIES, URGENCY
from irkit.tui.widgets.tables import Cell, PagedTable, TableColumn
from irkit.tui.widgets.words import Words
from irkit.tui.words import rule_words

COLUMNS = (
    TableColumn("applies", "Applies", 16, sortable=False),
    TableColumn("left", "Time", 20, sortable=False),
    TableColumn("at", "Due", 16, min_table=84, sortable=False),
    TableColumn("rule", "Rule", 0, sortable=False),
)


class DeadlinesScreen(CaseScreen):
    """One row per legal regime, the ones that apply first, with their instants below."""

    PLACE = "deadlines"
    BINDINGS: ClassVar = bindings("deadlines")
    AUTO_FOCUS = "#clocks"

    def __init__(self) -> None:
        super().__init__()
        self.local = False

    def body(self) -> ComposeResult:
        """Lay out table and detail."""
        yield Words(id="caption", fixed=True)
        with Container(id="split"):
            yield PagedTable(
                COLUMNS, self._cells, id="clocks", key=lambda r: f"{r.regime}|{r.rule}"
            )
            with VerticalScroll(id="detail", classes="section"):
                yield Words(id="detail-text")

    def reload(self) -> None:
        """Read every regime."""

        def query(con: duckdb.DuckDBPyConnection) -> Any:
            return views.obligations(con), views.severity(con)

        self.fetch("clocks", query)

    def _due(self, row: views.ObligationRow) -> views.DeadlineRow | None:
        dated = [item for item in row.instants if item.at is not None]
        ahead = [item for item in dated if item.at is not None and item.at >= self.now]
        return ahead[0] if ahead else (dated[-1] if dated else None)

    def _time(self, row: views.DeadlineRow) -> str:
        if row.at is None:
            return "undated"
        if self.local:
            return f"{row.at.astimezone(self.irkit.zone):%a %Y-%m-%d %H:%M %Z}"
        return f"{row.at:%a} {stamp(row.at)}"

    def _short(self, row: views.DeadlineRow) -> str:
        """Write a due time for the table, with the year only where it is not this one."""
        if row.at is None:
            return "–"
        at = row.at.astimezone(self.irkit.zone if self.local else UTC)
        return f"{at:%a %d %b %H:%M}" if at.year == self.now.year else f"{at:%a %d %b %Y}"

    def _cells(self, row: views.ObligationRow) -> list[Cell]:
        symbol, word, style = APPLIES.get(row.applies, APPLIES["unknown"])
        due = self._due(row)
        if due is None or due.at is None:
            left, tone, at = "no fixed clock", "$muted", "–"
        else:
            mark, tone = URGENCY[urgency(due.at, self.now)]
            left, at = f"{mark} {remaining(due.at, self.now)}", self._short(due)
        if row.applies == "no":
            tone = "$muted"
        return [
            Cell(f"{symbol} {word}", style),
            Cell(left, tone),
            Cell(at, tone),
            Cell(
                rule_words(row),
                "" if row.applies != "no" else "$muted",
            ),
        ]

    def show_clocks(
        self, data: tuple[tuple[views.ObligationRow, ...], tuple[views.SeverityRow, ...]]
    ) -> None:
        """Draw the table; the next deadline stands first among those that apply."""
        rows, severity = data
        order = {"yes": 0, "unknown": 1}
        rows = tuple(
            sorted(
                rows,
                key=lambda r: (
                    order.get(r.applies, 2),
                    (due.at.timestamp() if (due := self._due(r)) and due.at else 1e15),
                    r.regime,
                    r.rule,
                ),
            )
        )
        table = self.query_one("#clocks", PagedTable)
        table.show_page(rows, len(rows))
        caption = self.query_one("#caption", Words)
        if not rows:
            caption.say(Content.styled("No deadlines computed yet", "bold"))
            self.query_one("#detail-text", Words).say(
                Content(
                    "Clocks are computed by assessing the case. Press"
                    f" {self.key_of('go(overview)')}, then {self.key_of('scope', 'overview')}, to"
                    " work out the scope; deadlines count from awareness, which"
                    f" {self.key_of('go(notification)')} Notification asks for."
                )
            )
            return
        sure = sum(1 for row in rows if row.applies == "yes")
        maybe = sum(1 for row in rows if row.applies == "unknown")
        worst = ""
        if severity:
            low, high = severity[0].band_low, severity[0].band_high
            band = low if low == high else f"{low} to {high}"
            worst = f" · severity {band} (ENISA method)"
        caption.say(
            Content.assemble(
                (f"{plural(sure, 'rule applies', 'rules apply')}, {maybe} may apply", "bold"),
                (f" · times in {'local time' if self.local else 'UTC'}{worst}", "$muted"),
            )
        )
        self._detail()

    @on(PagedTable.RowHighlighted)
    def _moved(self) -> None:
        self._detail()

    def _detail(self) -> None:
        row: views.ObligationRow | None = self.query_one("#clocks", PagedTable).selected
        if row is None:
            return
        symbol, word, style = APPLIES.get(row.applies, APPLIES["unknown"])
        box = self.query_one("#detail", VerticalScroll)
        box.border_title = line(rule_words(row), 70)
        parts = [
            Content.assemble(
                (f"{symbol} {word}", style), (f"  {clean(row.rule).replace('_', ' ')}", "bold")
            ),
            Content(clean(row.reason)),
        ]
        for item in row.instants:
            mark, tone = URGENCY[urgency(item.at, self.now)] if item.at else ("·", "$muted")
            left = f" · {remaining(item.at, self.now)}" if item.at else ""
            parts.append(
                Content.assemble(
                    (f"{mark} {self._time(item)}{left}", tone),
                    (f"  {line(item.kind)}", "bold"),
                    (f"\n    {clean(item.basis)} ({line(item.certainty)})", "$muted"),
                )
            )
        if not row.instants:
            parts.append(
                Content.styled(
                    "No instant can be computed: the event it counts from is not known, or the law"
                    " says “without undue delay”.",
                    "$muted",
                )
            )
        parts.append(
            Content.styled("irkit computes; a person decides. This is not legal advice.", "$muted")
        )
        self.query_one("#detail-text", Words).say(Content("\n").join(parts))

    def action_local_time(self) -> None:
        """Switch between UTC and local time."""
        self.local = not self.local
        self.reload()

    def action_assess(self) -> None:
        """Assess again."""
        self.irkit.start_assess()
