"""Overview: the next deadline in words, state of the evidence, from queries to people."""

from __future__ import annotations

from typing import Any, ClassVar

import duckdb
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.markup import escape

from irkit.case import views
from irkit.model import UnitKind
from irkit.tui.actions import SCREENS, bindings
from irkit.tui.screens.base import CaseScreen
from irkit.tui.screens.standing import StandingDialog, statement_line
from irkit.tui.text import (
    duration,
    line,
    number,
    p_value,
    plural,
    remaining,
    short_stamp,
    size,
    urgency,
)
from irkit.tui.theme import EVIDENCE, TIER, URGENCY
from irkit.tui.widgets.charts import Funnel, Timeline, bucket_words
from irkit.tui.widgets.tables import Cell, PagedTable, TableColumn
from irkit.tui.widgets.words import Words
from irkit.tui.words import rule_words, technique

#: How much closer a key or a turn of the wheel looks, and which share of it a key moves by.
ZOOM, PAN = 2.0, 0.25


def _cells(row: views.ActorRow) -> list[Cell]:
    symbol, _, style = TIER.get(row.tier or "", ("–", "", ""))
    return [
        Cell(f"{symbol} {row.tier or '–'}", style),
        Cell(row.key.unit, middle=True),
        Cell(technique(row.technique)),
        Cell(p_value(row.p_value, row.p_kind)),
        Cell(short_stamp(row.onset)),
        Cell(number(row.queries)),
        Cell(
            number(row.exposures) if row.exposures else "–", "bold $accent" if row.exposures else ""
        ),
    ]


class OverviewScreen(CaseScreen):
    """The first screen of a case."""

    PLACE = "overview"
    BINDINGS: ClassVar = bindings("overview")
    AUTO_FOCUS = "#top-actors"

    def __init__(self) -> None:
        super().__init__()
        self._seen_data: tuple[views.Overview, dict[str, int]] | None = None
        #: The part of time asked for last, which may still be under way; the whole where None.
        self._span: views.TimeSpan | None = None
        self._standing: tuple[views.Statement, ...] = ()

    def body(self) -> ComposeResult:
        """Lay out the sections."""
        with Vertical(id="next", classes="section"):
            yield Words(id="next-deadline", fixed=True)
            yield Words(id="next-evidence", fixed=True)
            yield Words(id="next-step", fixed=True)
        with Container(id="middle"):
            with Vertical(id="funnel-box", classes="section"):
                yield Funnel(id="funnel")
            with Vertical(id="actors-box", classes="section"):
                yield PagedTable(
                    (
                        TableColumn("tier", "", 3),
                        TableColumn("actor", "Actor", 0),
                        TableColumn("technique", "Technique", 24, min_table=48),
                        TableColumn("p", "p", 9, min_table=62, right=True),
                        TableColumn("onset", "Onset UTC", 11, min_table=78),
                        TableColumn("queries", "Queries", 7, min_table=40, right=True),
                        TableColumn("leaks", "Leaks", 5, right=True),
                    ),
                    _cells,
                    id="top-actors",
                    key=lambda row: f"{row.key.kind.value}:{row.key.unit}",
                )
                yield Words(id="actors-empty")
        with Vertical(id="standing-box", classes="section"):
            yield Words(id="standing")
        with Vertical(id="timeline-box", classes="section"):
            yield Timeline(id="timeline")
        with Container(id="bottom"):
            with Vertical(id="clocks-box", classes="section"):
                yield Words(id="clocks-list")
            with Vertical(id="steps-box", classes="section"):
                yield Words(id="steps-list")

    def on_mount(self) -> None:
        """Name the sections."""
        self.query_one("#next").border_title = "Now"
        self.query_one("#funnel-box").border_title = "From queries to people"
        self.query_one("#actors-box").border_title = "Actors flagged"
        self.query_one("#standing-box").border_title = "What the evidence shows, and where it ends"
        self.query_one("#timeline-box").border_title = "Activity (UTC)"
        self.query_one("#actors-empty").display = False
        self.query_one("#clocks-box").border_title = "Deadlines ahead"
        self.query_one("#steps-box").border_title = "Playbook, what can be worked on"

    def reload(self) -> None:
        """Read the overview and what to do next."""
        now, width, span = self.now, self._columns, self._span
        session = self.session

        def query(con: duckdb.DuckDBPyConnection) -> Any:
            session.prepare("leaks", "flagged")
            seen = views.overview(con, now=now, buckets=width, span=span)
            return seen, views.review_counts(con), views.deadlines(con), span

        self.fetch("overview", query)

    def show_overview(
        self,
        data: tuple[
            views.Overview, dict[str, int], tuple[views.DeadlineRow, ...], views.TimeSpan | None
        ],
    ) -> None:
        """Draw the sections."""
        seen, reviews, clocks, span = data
        self._seen_data = (seen, reviews)
        self._clocks(clocks)
        self.steps_changed()
        self._deadline(seen)
        self._evidence(seen.evidence)
        self.query_one(Funnel).steps = seen.funnel
        table = self.query_one("#top-actors", PagedTable)
        table.show_page(seen.top, seen.flagged_rows)
        if seen.top:
            kind = {"source_ip": "address"}.get(seen.flagged_kind, seen.flagged_kind)
            flagged = plural(seen.flagged_actors, kind, "addresses" if kind == "address" else "")
            sent = plural(seen.flagged_queries, "query", "queries")
            more = f", {sent}" if self.app.size.width >= 100 else ""
            self.query_one("#actors-box").border_title = f"Flagged: {flagged}{more}"
        empty = self.query_one("#actors-empty", Words)
        table.display, empty.display = bool(seen.top), not seen.top
        if not seen.top:
            empty.say(Content.styled(self._no_actors(seen), "$muted"))
        if span == self._span:  # else another part of time was asked for and is on its way
            self.take_over("activity", seen.activity)
        self.irkit.overview_stands()
        # Last, since it looks at every call: the rest is drawn before it is asked for.
        session = self.session
        self.fetch("standing", lambda con: session.once("standing", lambda: views.standing(con)))

    # -- what the evidence shows --------------------------------------------------------------

    def show_standing(self, found: tuple[views.Statement, ...]) -> None:
        """Draw as many statements as there is room for, the most important first."""
        self._standing = found
        box, key = self.query_one("#standing-box"), self.key_of("standing")
        title = "What the evidence shows, and where it ends"
        box.border_title = escape(f"{title} · {key} opens all {len(found)}" if found else title)
        self._draw_standing()

    def _draw_standing(self) -> None:
        room = max(1, self.query_one("#standing-box").size.height)
        lines = [statement_line(one, key=self._leads_to(one)) for one in self._standing[:room]]
        if not lines:
            words = "Nothing beyond the counts, and no limit of the evidence, is known yet."
            lines = [Content.styled(words, "$muted")]
        self.query_one("#standing", Words).say(Content("\n").join(lines))

    def _leads_to(self, one: views.Statement) -> str:
        return self.key_of(f"go({one.place})")

    def on_resize(self) -> None:
        """Show as many statements as fit now."""
        self.call_after_refresh(self._draw_standing)

    def action_standing(self) -> None:
        """Show everything that the evidence shows and where it ends."""
        if not self._standing:
            self.notify("Nothing is known yet: work out the scope first.", markup=False)
            return
        places = {name: f"{self.key_of(f'go({name})')} {title}" for name, title, _ in SCREENS}
        self.app.push_screen(StandingDialog(self._standing, places), self._open_standing)

    def _open_standing(self, one: views.Statement | None) -> None:
        if one is None:
            return
        if one.place == "replay":
            kind, _, unit = one.target.partition(":")
            self.irkit.replay_actor(views.ActorKey(UnitKind(kind), unit))
            return
        if one.place == "exposures" and one.target:
            from irkit.tui.screens.exposures import ExposuresScreen

            screen = self.irkit.get_screen("exposures")
            assert isinstance(screen, ExposuresScreen)
            screen.show_only(one.target)
        self.irkit.action_go(one.place)

    # -- timeline -----------------------------------------------------------------------------

    @property
    def _columns(self) -> int:
        return max(20, self.app.size.width - 4 - Timeline.LABEL - Timeline.PEAK)

    def show_activity(self, seen: views.Activity) -> None:
        """Draw the timeline."""
        chart = self.query_one(Timeline)
        chart.activity = seen
        self._span = seen.shown if seen.part else None
        words = "Activity (UTC)"
        if seen.buckets:
            per = round(seen.bucket_seconds * max(1.0, len(seen.buckets) / chart.columns))
            words = f"Activity (UTC), one bar is {bucket_words(per)} · + - zoom  [ ] move"
            words += "  0 all  t actors" if seen.part else ""
        self.query_one("#timeline-box").border_title = escape(words)

    def _look_at(self, span: views.TimeSpan | None) -> None:
        """Read a part of time; the whole where None."""
        if span == self._span:
            return
        self._span = span
        width, session = self._columns, self.session

        def query(con: duckdb.DuckDBPyConnection) -> Any:
            session.prepare("leaks", "flagged")
            return views.timeline(con, width, span)

        self.fetch("activity", query)

    def _zoom(self, factor: float, at: float = 0.5) -> None:
        seen = self.query_one(Timeline).activity
        if seen is not None and seen.whole is not None:
            self._look_at(views.zoomed(seen.whole, self._span or seen.whole, factor, at))

    def _pan(self, share: float) -> None:
        seen = self.query_one(Timeline).activity
        if seen is not None and seen.whole is not None and self._span is not None:
            self._look_at(views.panned(seen.whole, self._span, share))

    @on(Timeline.Wheeled)
    def _wheeled(self, message: Timeline.Wheeled) -> None:
        self._zoom(1 / ZOOM if message.closer else ZOOM, message.at)

    def action_zoom_in(self) -> None:
        """Look closer at the middle of the timeline."""
        self._zoom(1 / ZOOM)

    def action_zoom_out(self) -> None:
        """Look at the timeline from further away."""
        self._zoom(ZOOM)

    def action_earlier(self) -> None:
        """Move the timeline to what was before."""
        self._pan(-PAN)

    def action_later(self) -> None:
        """Move the timeline to what came after."""
        self._pan(PAN)

    def action_whole(self) -> None:
        """Show the whole timeline."""
        self._look_at(None)

    def action_actors_then(self) -> None:
        """Show the actors flagged for what they did in the time shown."""
        seen = self.query_one(Timeline).activity
        if seen is not None and seen.said is not None:
            self.irkit.actors_between(seen.said)

    # -- sections -----------------------------------------------------------------------------

    def _deadline(self, seen: views.Overview) -> None:
        row, box = seen.deadline, self.query_one("#next-deadline", Words)
        if row is None or row.at is None:
            box.say(
                Content.styled(
                    "◷ No deadline known yet: it counts from awareness, set in"
                    f" {self.key_of('go(playbook)')} Playbook.",
                    "$muted",
                )
            )
            return
        symbol, style = URGENCY[urgency(row.at, self.now)]
        maybe = "" if row.applies == "yes" else " (if it applies)"
        local = row.at.astimezone(self.irkit.zone)
        box.say(
            Content.assemble(
                (f"{symbol} {remaining(row.at, self.now)}", style),
                (f"  {local:%a %d %b %H:%M %Z}", ""),
                (f"  {rule_words(row)}{maybe}", "bold"),
            )
        )

    def _clocks(self, clocks: tuple[views.DeadlineRow, ...]) -> None:
        lines = []
        told: set[str] = set()
        for row in sorted(clocks, key=lambda row: row.applies != "yes"):
            if row.at is None or row.rule in told or (row.at < self.now and row.applies != "yes"):
                continue
            told.add(row.rule)  # its other instants are on the screen of deadlines
            symbol, style = URGENCY[urgency(row.at, self.now)]
            maybe = "" if row.applies == "yes" else " (if it applies)"
            left = f"{symbol} {remaining(row.at, self.now)}"
            lines.append(
                Content.assemble(
                    (f"{left:<22}", style),
                    (rule_words(row), ""),
                    (maybe, "$muted"),
                )
            )
        if not lines:
            lines.append(Content.styled("None known yet.", "$muted"))
        self.query_one("#clocks-list", Words).say(Content("\n").join(lines[:12]))

    def steps_changed(self) -> None:
        """Draw the next step and those that can be worked on."""
        if self._seen_data is not None:
            self.query_one("#next-step", Words).say(self._next(*self._seen_data))
        steps = self.irkit.open_steps
        lines = [
            Content.assemble((f"○ {step.phase:<10}", "$muted"), (line(step.words), ""))
            for step in steps[:12]
        ]
        if not lines:
            lines.append(Content.styled("Nothing can be worked on yet.", "$muted"))
        self.query_one("#steps-list", Words).say(Content("\n").join(lines))

    def _evidence(self, evidence: views.EvidenceSummary) -> None:
        box = self.query_one("#next-evidence", Words)
        if evidence.state is None:
            box.say(
                Content.styled(
                    f"○ No evidence yet: press {self.key_of('preserve')} to add logs.", "$warning"
                )
            )
            return
        symbol, word, style = EVIDENCE[evidence.state.value]
        count = {"mismatch": evidence.mismatch, "unverifiable": evidence.unverifiable}.get(
            evidence.state.value, evidence.verified
        )
        ago = ""
        if evidence.checked_at is not None:
            ago = f", checked {duration(self.now - evidence.checked_at)} ago"
        unread = f" · {number(evidence.quarantined)} unreadable" if evidence.quarantined else ""
        box.say(
            Content.assemble(
                (f"{symbol} {plural(count, 'file')} {word}", style),
                (
                    f"{ago} · {size(evidence.bytes)} · {number(evidence.records)} queries{unread}",
                    "",
                ),
            )
        )

    def _next(self, seen: views.Overview, reviews: dict[str, int]) -> Content:
        step = self.irkit.next_step
        if step is not None:
            return Content.assemble(
                ("▶ Next: ", "bold $accent"),
                (line(step.words), "bold"),
                (f"  press {self.key_of('next_step')}", "$muted"),
            )
        words, action = next_by_progress(seen, reviews)
        key = self.key_of(action)
        return Content.assemble(
            ("▶ Next: ", "bold $accent"), (words, "bold"), (f"  press {key}", "$muted")
        )

    def _no_actors(self, seen: views.Overview) -> str:
        if not seen.evidence.records:
            return "No queries read yet."
        if "replay" not in seen.stages_done:
            return f"Not analysed yet: press {self.key_of('scope')} to work out the scope."
        return (
            f"No actor was flagged. Press {self.key_of('go(actors)')}, then"
            f" {self.key_of('quiet', 'actors')}, to see everyone tested."
        )

    @on(PagedTable.Opened)
    def _opened(self) -> None:
        self.action_open_actor()

    def action_open_actor(self) -> None:
        """Replay the actor under the cursor."""
        row = self.query_one("#top-actors", PagedTable).selected
        if row is not None:
            self.irkit.replay_actor(row.key)

    def action_copy(self) -> None:
        """Copy the name of the actor under the cursor."""
        row = self.query_one("#top-actors", PagedTable).selected
        if row is not None:
            self.irkit.copy(row.key.unit, "actor")

    def action_preserve(self) -> None:
        """Add logs."""
        self.irkit.start_preserve()

    def action_scope(self) -> None:
        """Work out the scope."""
        self.irkit.start_scope()

    def action_assess(self) -> None:
        """Assess again."""
        self.irkit.start_assess()

    def action_export(self) -> None:
        """Write the export files."""
        self.irkit.start_export()

    def action_next_step(self) -> None:
        """Open the screen of the next step."""
        self.irkit.open_next_step()


def next_by_progress(seen: views.Overview, reviews: dict[str, int]) -> tuple[str, str]:
    """Say what to do next from how far the case is, with the action that does it."""
    if not seen.evidence.files:
        return "add the logs of the incident", "preserve"
    if "scope" not in seen.stages_done:
        return "work out what leaked and who did it", "scope"
    if "assess" not in seen.stages_done:
        return "assess severity and deadlines", "go(playbook)"
    if reviews.get("open"):
        return f"review {plural(reviews['open'], 'exposure')}", "go(exposures)"
    return "complete the notification", "go(notification)"
