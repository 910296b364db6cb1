"""What every screen carries: status line, tabs, the running job and the too-small notice."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import ProgressBar, Static

from irkit.case.views import DeadlineRow
from irkit.tui.actions import SCREENS
from irkit.tui.messages import Head
from irkit.tui.text import duration, line, number, remaining, urgency
from irkit.tui.theme import EVIDENCE, URGENCY
from irkit.tui.widgets.words import Words

if TYPE_CHECKING:
    from irkit.tui.app import IrkitApp


#: Columns from which all tabs fit with their full titles, and with their short ones; below that,
#: those of other screens are cut to three letters.
FULL_TABS, SHORT_TABS = 112, 80


class _Segment(Words):
    """A part of the status line that leads to a screen when clicked."""

    def __init__(self, goes_to: str, tooltip: str, id: str) -> None:  # noqa: A002
        super().__init__(id=id, fixed=goes_to == "deadlines")
        self.goes_to = goes_to
        self.tooltip = tooltip

    def on_click(self) -> None:
        """Go where the part leads."""
        app: IrkitApp = self.app  # type: ignore[assignment]
        app.action_go(self.goes_to)


class StatusBar(Horizontal):
    """Case, next deadline in words, evidence state, masked or revealed: on every screen."""

    def compose(self) -> ComposeResult:
        """Lay out the parts."""
        yield _Segment("overview", "Overview", "status-case")
        yield _Segment("deadlines", "All deadlines", "status-deadline")
        yield _Segment("evidence", "Evidence and custody", "status-evidence")
        yield Words(id="status-mask")

    def show(self, head: Head | None, now: datetime, reveal_left: int, phase: str) -> None:
        """Draw the line."""
        wide, roomy = self.app.size.width >= 100, self.app.size.width >= 120
        case = self.query_one("#status-case", Words)
        deadline = self.query_one("#status-deadline", Words)
        evidence = self.query_one("#status-evidence", Words)
        if head is None:
            case.say(Content("irkit"))
            deadline.say(Content(""))
            evidence.say(Content(""))
        else:
            narrow = 21 if self.app.size.width >= SHORT_TABS else 12
            title = line(head.title, 44 if roomy else 28 if wide else narrow)
            if head.synthetic and "sample" not in title.lower():
                title = f"SAMPLE {title}" if wide else line(f"SAMPLE {head.title}", narrow + 3)
            where = f" · {phase}" if phase and roomy else ""
            case.say(Content.assemble((title, "bold"), (where, "$muted")))
            deadline.say(self._deadline(head.deadline, now, wide))
            state = head.evidence.state
            if state is None:
                evidence.say(Content.styled("○ no evidence", "$muted"))
            else:
                symbol, word, style = EVIDENCE[state.value]
                words = f"{symbol} evidence {word}" if wide else f"{symbol} {word}"
                evidence.say(Content.styled(words, style))
        masked = self.query_one("#status-mask", Words)
        if reveal_left:
            masked.say(Content.styled(f"◐ REVEALED {reveal_left} s", "bold $warning"))
        else:
            masked.say(Content.styled("● masked", "$muted"))

    def _deadline(self, row: DeadlineRow | None, now: datetime, wide: bool) -> Content:
        if row is None or row.at is None:
            return Content.styled("no deadline yet", "$muted")
        symbol, style = URGENCY[urgency(row.at, now)]
        what = f"{line(row.regime)} {line(row.kind)}" if wide else line(row.regime, 12)
        maybe = "" if row.applies == "yes" else "?"
        if not wide and self.app.size.width < SHORT_TABS:
            # How long is left is never cut; whose clock it is stands on the overview.
            return Content.styled(f"{symbol} {remaining(row.at, now)}{maybe}", style)
        return Content.styled(f"{symbol} {remaining(row.at, now)} · {what}{maybe}", style)


class _Tab(Words):
    def __init__(self, name: str, label: str, short: str, digit: int, active: bool) -> None:
        super().__init__(classes="tab -active" if active else "tab")
        self.screen_name, self.label, self.short, self.digit = name, label, short, digit
        self.tooltip = label

    def fit(self, width: int, active: str) -> None:
        text = self.label if width >= FULL_TABS else self.short
        if width < SHORT_TABS and self.screen_name != active:
            text = text[:3]
        app: IrkitApp = self.app  # type: ignore[assignment]
        key = app.key_for(f"go('{self.screen_name}')")
        self.say(Content.assemble((key, "$footer-key-foreground"), " ", text))

    def on_click(self) -> None:
        app: IrkitApp = self.app  # type: ignore[assignment]
        app.action_go(self.screen_name)


class NavBar(Horizontal):
    """The screens by their digits."""

    def __init__(self, active: str) -> None:
        super().__init__()
        self.active = active

    def compose(self) -> ComposeResult:
        """Lay out one tab per screen."""
        for digit, (name, label, short) in enumerate(SCREENS, 1):
            yield _Tab(name, label, short, digit, name == self.active)

    def on_mount(self) -> None:
        """Fit the tabs once the width is known."""
        self.fit()

    def on_resize(self) -> None:
        """Fit the tabs to a new width."""
        self.fit()

    def fit(self) -> None:
        """Use short titles where the long ones do not fit."""
        for tab in self.query(_Tab):
            tab.fit(self.app.size.width, self.active)


class JobBar(Horizontal):
    """The running work: what, how far, how fast, how long still, and how to stop it."""

    def compose(self) -> ComposeResult:
        """Lay out the parts."""
        yield Words(id="job-title")
        yield ProgressBar(show_eta=False, show_percentage=True, id="job-progress")
        yield Words(id="job-detail", fixed=True)
        app: IrkitApp = self.app  # type: ignore[assignment]
        words = Content.styled(f"{app.key_for('cancel_job')} Cancel", "$accent")
        yield _CancelButton(words, id="job-cancel", markup=False)

    def on_mount(self) -> None:
        """Show the state that the job has now."""
        self.show()

    def show(self) -> None:
        """Draw the job, or hide where there is none."""
        app: IrkitApp = self.app  # type: ignore[assignment]
        job = app.job
        self.display = job is not None
        if job is None:
            return
        state = job.current
        title = job.title if state is None else f"{job.title}: {state.stage.value}"
        if job.cancelled.is_set():
            title = "cancelling…"
        self.query_one("#job-title", Words).say(Content(line(title, 34)))
        bar = self.query_one("#job-progress", ProgressBar)
        bar.set_class(state is None or not state.total, "-unknown")
        if state is None or not state.total:
            bar.update(total=None)
            detail = "" if state is None else line(state.note or state.unit, 40)
        else:
            bar.update(total=state.total, progress=min(state.done, state.total))
            spent = max(time.monotonic() - state.started, 1e-6)
            left = spent / max(state.done, 1) * (state.total - state.done)
            detail = f"{number(state.done)} of {number(state.total)} {line(state.unit, 12)}"
            if spent > 2 and state.done:
                detail += f", about {duration_words(left)} left"
        self.query_one("#job-detail", Words).say(Content(detail))


def duration_words(seconds: float) -> str:
    """Write a rough remaining time."""
    from datetime import timedelta

    return duration(timedelta(seconds=round(seconds)))


class _CancelButton(Static):
    def on_click(self) -> None:
        app: IrkitApp = self.app  # type: ignore[assignment]
        app.action_cancel_job()


class TooSmall(Widget):
    """Takes the whole screen when the terminal is too small to work in."""

    def render(self) -> Content:
        """Say how large the terminal is and has to be."""
        size = self.app.size
        return Content(
            f"irkit needs a little more room.\n\nThis terminal: {size.width} x {size.height}\n"
            "At least: 60 x 15\n\nEnlarge the window or use a smaller\n"
            "font. Nothing is lost; ^q quits."
        )
