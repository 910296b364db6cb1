"""Replay: walk through an actor's queries and watch the evidence build up."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from typing import Any, ClassVar

import duckdb
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.timer import Timer
from textual.worker import get_current_worker

from irkit.case import Case, views
from irkit.tui.actions import bindings
from irkit.tui.screens.base import CaseScreen
from irkit.tui.text import line, middle, number, p_value, plural, short_stamp, stamp
from irkit.tui.widgets.charts import EvidenceCurve, logprob_plot
from irkit.tui.widgets.dialogs import ChooseDialog
from irkit.tui.widgets.marked import marked
from irkit.tui.widgets.words import Words
from irkit.tui.words import (
    KIND,
    detector,
    detector_lines,
    finding_lines,
    item_content,
    mark_lines,
    technique,
    tier_content,
    told,
)

#: Positions read at once around the one shown.
WINDOW = 400
#: Calls read ahead of a step, and calls kept at most.
AHEAD, NEAR_LIMIT = 9, 48
#: Steps per second of each playing speed.
SPEEDS = (1.0, 2.0, 5.0, 10.0, 25.0)
#: Quiet time after a step before texts are read, so that a held key stays smooth.
SETTLE_SECONDS = 0.03


class TextScroll(VerticalScroll, inherit_bindings=False):
    """A scrolling pane that leaves left, right, home and end to the stepping."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("pageup,ctrl+u", "page_up", "Page up", show=False),
        Binding("pagedown,ctrl+d", "page_down", "Page down", show=False),
        Binding("g", "scroll_home", "Top", show=False),
        Binding("G", "scroll_end", "Bottom", show=False),
    ]


class ReplayScreen(CaseScreen):
    """One actor's sequence: curve, texts with leak spans, parameters, reasons."""

    PLACE = "replay"
    BINDINGS: ClassVar = bindings("replay")
    AUTO_FOCUS = "#texts"

    position: reactive[int] = reactive(0, init=False)
    playing: reactive[bool] = reactive(False, init=False)

    def __init__(self) -> None:
        super().__init__()
        self.key: views.ActorKey | None = None
        self.summary: views.SequenceSummary | None = None
        self.rows: dict[int, views.SequenceRow] = {}
        self.detail: views.RecordDetail | None = None
        self.findings: tuple[views.FindingDetail, ...] = ()
        self.detectors: tuple[str, ...] = ()
        self.detector: str | None = None
        self.speed = 1
        self.history = False
        #: Calls read ahead of the steps, by record.
        self._near: OrderedDict[str, views.RecordDetail | None] = OrderedDict()
        #: Surnames of people whose records came out.
        self._names: frozenset[str] = frozenset()
        self._want_record: str | None = None
        self._timer: Timer | None = None
        self._settle: Timer | None = None

    # -- layout -------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """Lay out head, curve, texts and the side panels."""
        yield Words(id="replay-head", fixed=True)
        with Vertical(id="curve-box", classes="section"):
            yield EvidenceCurve(id="curve")
        with Horizontal(id="replay-main"):
            with TextScroll(id="texts", classes="section"):
                yield Words(id="text-body")
            with TextScroll(id="side"):
                with Container(classes="section", id="this-box"):
                    yield Words(id="this-query")
                with Container(classes="section", id="logprob-box"):
                    yield Words(id="logprobs")
                with Container(classes="section", id="why-box"):
                    yield Words(id="why-text")
                with Container(classes="section", id="params-box"):
                    yield Words(id="params")

    def on_mount(self) -> None:
        """Name the sections."""
        for name, title in (
            ("curve-box", "Evidence so far"),
            ("texts", "Prompt and response"),
            ("this-box", "This query"),
            ("why-box", "Why this actor was flagged"),
            ("params-box", "Parameters"),
            ("logprob-box", "Token probabilities"),
        ):
            self.query_one(f"#{name}").border_title = title

    # -- reading ------------------------------------------------------------------------------

    def choose_actor(self, key: views.ActorKey, record_id: str | None = None) -> None:
        """Show an actor from its onset, or from one of its records."""
        if key == self.key and record_id is None:
            return
        self.key, self.summary, self.detail = key, None, None
        self.rows, self.findings, self.detector = {}, (), None
        self._want_record = record_id
        if self.is_mounted:
            self.playing = False
            self.set_reactive(ReplayScreen.position, 0)
            self._clear()
            self.reload()

    def _clear(self) -> None:
        """Show nothing of the actor before while the new one is read: his words are not hers."""
        assert self.key is not None
        name = f"{KIND[self.key.kind.value]} {middle(self.key.unit, 32)}"
        head = Content.assemble((name, "bold"), ("  reading…", "$muted"))
        self.query_one("#replay-head", Words).say(head)
        curve = self.query_one(EvidenceCurve)
        curve.points, curve.total, curve.onset, curve.position = (), 0, None, 0
        curve.reading = True
        self.query_one("#curve-box").border_title = "Evidence so far"
        self.query_one("#texts").border_title = "Prompt and response"
        for pane in ("text-body", "this-query", "logprobs", "why-text", "params"):
            self.query_one(f"#{pane}", Words).say(Content.styled("reading…", "$muted"))

    def reload(self) -> None:
        """Read the sequence's summary, curve and reasons."""
        key, tell = self.key, self.irkit.verbs.explain
        if key is None:
            self.fetch("default", lambda con: views.actors(con, limit=1))
            return
        points = max(60, self.app.size.width)
        wanted, chosen = self._want_record, self.detector
        session = self.session
        self._near.clear()

        def query(case: Case) -> Any:
            con = case.con
            session.prepare_sequence(key)
            findings = views.actor_findings(con, key)
            return (
                views.sequence_summary(con, key),
                views.evidence_curve(con, key, points=points, detector=chosen),
                findings,
                views.detectors(con, key),
                None if wanted is None else views.position_of(con, key, wanted),
                tell(case, findings[0].finding_id) if findings else [],
                views.curve_detectors(con, key),
                session.once("surnames", lambda: views.known_surnames(con)),
            )

        self.fetch_case("actor", query)

    def show_default(self, page: views.ActorPage) -> None:
        """Open the strongest actor where none was chosen."""
        if page.rows:
            self.choose_actor(page.rows[0].key)
            return
        self.query_one("#replay-head", Words).say(Content.styled("No actor to replay", "bold"))
        self.query_one(EvidenceCurve).reading = False
        self.query_one("#text-body", Words).say(
            Content(
                f"No actor was flagged yet. Press {self.key_of('go(overview)')} to see what is"
                f" still to do, or {self.key_of('go(actors)')}, then"
                f" {self.key_of('quiet', 'actors')}, to pick any actor that was tested."
            )
        )
        self.query_one("#why-text", Words).say(Content(""))

    def show_actor(self, data: tuple[Any, ...]) -> None:
        """Draw curve and reasons, and go to the landmark asked for."""
        summary, curve, findings, results, at, sentences, self.detectors, self._names = data
        first_time = self.summary is None
        self.summary, self.findings = summary, findings
        widget = self.query_one(EvidenceCurve)
        widget.points, widget.total = curve, summary.total
        widget.onset = summary.onset_position
        widget.reading = False
        why = [finding_lines(finding) for finding in findings]
        if results:
            head = Content.styled("What each detector said", "bold")
            why.append(Content("\n").join([head, detector_lines(results)]))
        if sentences:
            head = Content.styled("In sentences", "bold")
            why.append(Content("\n").join([head, *(Content(told(s)) for s in sentences)]))
        self.query_one("#why-text", Words).say(Content("\n\n").join(why))
        target = self.position
        if first_time:
            target = at if at is not None else (summary.onset_position or 0)
            self._want_record = None
        self.rows = {}
        if target == self.position:
            self._moved()
        else:
            self.position = target

    def show_window(self, rows: tuple[views.SequenceRow, ...]) -> None:
        """Take a window of the sequence."""
        self.rows = {row.position: row for row in rows}
        self._read_record()

    def _moved(self) -> None:
        self.query_one(EvidenceCurve).position = self.position
        self._head()
        if self._settle is not None:
            self._settle.stop()
        row = self.rows.get(self.position)
        if row is not None and row.record_id in self._near:
            self.take_over("record", self._near[row.record_id])
        self._settle = self.set_timer(SETTLE_SECONDS, self._read_record)

    def watch_position(self) -> None:
        """Follow the position with curve, head line and texts."""
        self._moved()

    def _read_record(self) -> None:
        key = self.key
        if key is None or self.summary is None or not self.summary.total:
            return
        row = self.rows.get(self.position)
        if row is None:
            start = max(0, self.position - WINDOW // 2)
            self.fetch("window", lambda con: views.sequence(con, key, offset=start, limit=WINDOW))
            return
        self._head()
        if row.record_id not in self._near:
            self.fetch("record", lambda con: self._detail_of(con, row.record_id))
        self._read_near(key)

    def _detail_of(
        self, con: duckdb.DuckDBPyConnection, record_id: str
    ) -> views.RecordDetail | None:
        near = self._near
        if record_id not in near:
            near[record_id] = views.record_detail(con, record_id, self.key)
            while len(near) > NEAR_LIMIT:
                near.popitem(last=False)
        return near[record_id]

    def _read_near(self, key: views.ActorKey) -> None:
        """Read the calls that one key leads to, so that they are drawn at once."""
        summary, rows, at = self.summary, dict(self.rows), self.position
        if summary is None:
            return
        leaks = summary.leak_positions
        ahead, behind = bisect_right(leaks, at), bisect_left(leaks, at)
        places = [*range(at + 1, at + AHEAD), *leaks[ahead : ahead + 3], at - 1]
        places += [*leaks[max(0, behind - 1) : behind], at - 2]
        places = [place for place in places if 0 <= place < summary.total]

        def read(con: duckdb.DuckDBPyConnection) -> dict[int, views.SequenceRow]:
            worker = get_current_worker()
            met: dict[int, views.SequenceRow] = {}
            for place in places:
                if worker.is_cancelled:
                    break
                if place not in rows:
                    met |= {
                        row.position: row for row in views.sequence(con, key, offset=place, limit=1)
                    }
                row = rows.get(place) or met.get(place)
                if row is not None:
                    self._detail_of(con, row.record_id)
            return met

        self.fetch("near", read, behind=True)

    def show_near(self, met: dict[int, views.SequenceRow]) -> None:
        """Know where the calls read ahead lie."""
        self.rows = {**self.rows, **met}

    # -- drawing ------------------------------------------------------------------------------

    def _head(self) -> None:
        if self.key is None or self.summary is None:
            return
        summary = self.summary
        row = self.rows.get(self.position)
        finding = self.findings[0] if self.findings else None
        wide = self.app.size.width >= 100
        name = f"{KIND[self.key.kind.value]} {middle(self.key.unit, 32 if wide else 20)}"
        parts: list[Content | tuple[str, str]] = [(name, "bold"), ("  ", "")]
        tier = finding.tier if finding else None
        parts.append(tier_content(tier) if wide else tier_content(tier)[:3])
        where = (
            f"{number(self.position + 1)} of {number(summary.total)}" if summary.total else "empty"
        )
        at = short_stamp(row.at, seconds=True) if row else ""
        parts.append((f"  query {where}", "bold"))
        parts.append((f"  {at}", "$muted"))
        if finding is not None and wide:
            odds = p_value(finding.p_value, finding.p_kind)
            odds = odds if finding.p_kind in ("signature", "rank_only") else f"p {odds}"
            parts.append((f"  {technique(finding.technique)}, {odds}", ""))
        if self.playing:
            parts.append((f"  ▶ {SPEEDS[self.speed]:g}/s", "bold $accent"))
        self.query_one("#replay-head", Words).say(Content.assemble(*parts))
        box = self.query_one("#curve-box")
        onset = summary.onset_position
        words = "no onset" if onset is None else f"┃ onset at query {number(onset + 1)}"
        if summary.end_position is not None:
            words += f", end at {number(summary.end_position + 1)}"
        title = "Evidence so far" if self.detector is None else detector(self.detector)
        box.border_title = f"{title} · {words} · ■ {leak_words(summary)} · ▲ you"

    def show_record(self, detail: views.RecordDetail | None) -> None:
        """Draw one call; another one that was revealed is masked again."""
        self.detail = detail
        if detail is not None and self.session.mask_others(detail.record_id):
            self.refresh_chrome()
        self._draw_record()

    def masks_changed(self) -> None:
        """Draw the texts again."""
        self._draw_record()

    def _draw_record(self) -> None:
        detail = self.detail
        if detail is None:
            return
        revealed = self.session.revealed(detail.record_id)
        hide = views.hidden_values(detail)
        parts: list[Content] = []
        shown = detail.messages if self.history else detail.messages[-1:]
        if len(detail.messages) > len(shown):
            count = plural(len(detail.messages) - len(shown), "earlier message")
            parts.append(
                Content.styled(f"▸ {count}, {self.key_of('history')} shows them", "$muted")
            )
        for message in shown:
            parts.append(self._role(message.role, "", ""))
            parts.append(
                marked(message.body, message.spans, revealed=revealed, hide=hide, names=self._names)
            )
        if not detail.messages:
            parts.append(Content.styled(_no_text("prompt", detail.content_state), "$muted"))
        for response in detail.responses:
            number_of = f" {(response.choice or 0) + 1}" if len(detail.responses) > 1 else ""
            finish = (
                f"  ended by: {line(response.finish_reason, 20)}" if response.finish_reason else ""
            )
            if not response.body.strip():
                finish += "  nothing visible was answered"
            parts.append(self._role("response", number_of, finish))
            first = next((span.start for span in response.spans if span.ref), None)
            parts.append(
                marked(
                    response.body,
                    response.spans,
                    revealed=revealed,
                    hide=hide,
                    focus=first,
                    names=self._names,
                )
            )
        parts += [item_content(item) for item in detail.items]
        if detail.item_count > len(detail.items):
            parts.append(Content.styled(f"{number(detail.item_count)} rows in all", "$muted"))
        if not detail.responses:
            parts.append(Content.styled(_no_text("response", detail.content_state), "$muted"))
        self.query_one("#text-body", Words).say(Content("\n").join(parts))
        box = self.query_one("#texts")
        box.border_title = "Prompt and response" + (" · REVEALED" if revealed else " · masked")
        self._side(detail)

    @staticmethod
    def _role(role: str, suffix: str, extra: str) -> Content:
        style = "bold $accent" if role == "response" else "bold $primary"
        return Content.assemble((f"{line(role, 16)}{suffix}", style), (extra, "$muted"))

    def _side(self, detail: views.RecordDetail) -> None:
        self.query_one("#this-query", Words).say(mark_lines(detail.evidence))
        rows = [
            ("time", stamp(detail.at, seconds=True)),
            ("request", middle(detail.request_id or "–", 30)),
            ("model", line(detail.model or "–", 30)),
            ("endpoint", line(detail.endpoint or "–", 30)),
            ("address", line(detail.ip or "–", 30)),
            *((name.replace("_", " "), line(value, 30)) for name, value in detail.parameters),
            ("evidence", f"{middle(detail.source_path, 28)}"),
            ("entry", f"{number(detail.entry_no)}, byte {number(detail.byte_offset or 0)}"),
            *(("warning", line(warning, 40)) for warning in detail.warnings[:5]),
        ]
        self.query_one("#params", Words).say(
            Content("\n").join(
                [Content.assemble((f"{line(k):<19}", "$muted"), (v, "")) for k, v in rows]
            )
        )
        plot = self.query_one("#logprobs", Words)
        plot.say(logprob_plot(detail.logprobs, max(20, plot.size.width or 40)))

    # -- actions ------------------------------------------------------------------------------

    def _go(self, position: int) -> None:
        if self.summary is not None and self.summary.total:
            self.position = min(self.summary.total - 1, max(0, position))

    def action_step(self, by: int) -> None:
        """Step by queries; stepping stops the playing."""
        self.playing = False
        self._go(self.position + by)

    def action_play(self) -> None:
        """Play or pause."""
        self.playing = not self.playing

    def watch_playing(self, playing: bool) -> None:
        """Start or stop the clockwork."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if playing:
            self._timer = self.set_interval(1 / SPEEDS[self.speed], self._tick)
        self._head()

    def _tick(self) -> None:
        if self.summary is None or self.position >= self.summary.total - 1:
            self.playing = False
        else:
            self.position += 1

    def _set_speed(self, speed: int) -> None:
        self.speed = min(len(SPEEDS) - 1, max(0, speed))
        if self.playing:
            self.watch_playing(True)

    def action_faster(self) -> None:
        """Play faster."""
        self._set_speed(self.speed + 1)

    def action_slower(self) -> None:
        """Play slower."""
        self._set_speed(self.speed - 1)

    def action_onset(self) -> None:
        """Jump to the onset."""
        if self.summary is None or self.summary.onset_position is None:
            self.notify("No onset is known for this actor.", markup=False)
        else:
            self._go(self.summary.onset_position)

    def action_end_of_activity(self) -> None:
        """Jump to the last query of the behaviour."""
        if self.summary is None or self.summary.end_position is None:
            self.notify("No end of activity is known for this actor.", markup=False)
        else:
            self._go(self.summary.end_position)

    def action_choose_detector(self) -> None:
        """Draw the evidence of one detector alone, or of all together."""

        def answered(name: str | None) -> None:
            if name is not None:
                self.detector = name or None
                self.reload()

        if not self.detectors:
            self.notify("No detector saw anything in these queries.", markup=False)
            return
        options = [("", "all detectors together")]
        options += [(name, detector(name)) for name in self.detectors]
        self.app.push_screen(
            ChooseDialog("Evidence of which detector?", options, self.detector or ""), answered
        )

    def action_next_leak(self) -> None:
        """Jump to the next query that leaked."""
        self._leak([p for p in self._leaks() if p > self.position][:1])

    def action_previous_leak(self) -> None:
        """Jump to the leak before."""
        self._leak([p for p in self._leaks() if p < self.position][-1:])

    def _leaks(self) -> tuple[int, ...]:
        return self.summary.leak_positions if self.summary else ()

    def _leak(self, found: list[int]) -> None:
        if found:
            self._go(found[0])
        elif self.summary is None and self.key is not None:
            self.notify("This actor's queries are still being read.", markup=False)
        else:
            self.notify("No more leaks in this direction.", markup=False)

    def action_first(self) -> None:
        """Jump to the first query."""
        self._go(0)

    def action_last(self) -> None:
        """Jump to the last query."""
        if self.summary:
            self._go(self.summary.total - 1)

    @on(EvidenceCurve.Picked)
    def _picked(self, event: EvidenceCurve.Picked) -> None:
        event.stop()
        self._go(event.position)

    def action_why(self) -> None:
        """Show or hide the reasons; on a narrow terminal they take the place of the texts."""
        self.toggle_class("-why")
        if self.has_class("-why"):
            self.query_one("#side").focus()
        else:
            self.query_one("#texts").focus()

    def action_history(self) -> None:
        """Show or hide system prompt and earlier turns."""
        self.history = not self.history
        self._draw_record()

    def action_pick_actor(self) -> None:
        """Choose another actor in the table of actors."""
        self.irkit.action_go("actors")

    def action_reveal(self) -> None:
        """Ask why, then show this query unmasked for a while."""
        if self.detail is not None:
            self.playing = False
            self.irkit.ask_reveal("record", self.detail.record_id)

    def action_copy(self) -> None:
        """Copy the request id."""
        if self.detail is not None:
            self.irkit.copy(self.detail.request_id or self.detail.record_id, "request id")

    def on_screen_suspend(self) -> None:
        """Stop playing when another screen is shown."""
        self.playing = False


def leak_words(summary: views.SequenceSummary) -> str:
    """Say how many passages leaked, as Actors counts them, and in how many queries."""
    if not summary.leaks:
        return "no leaks"
    queries = plural(len(summary.leak_positions), "query", "queries")
    return f"{plural(summary.leaks, 'leak')} in {queries}"


def _no_text(what: str, state: str) -> str:
    return f"No {what} text in the log ({line(state)}). No text is not the same as no query."
