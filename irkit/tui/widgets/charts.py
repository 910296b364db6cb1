"""Small charts of block characters: activity strips, the evidence curve, token log-probabilities.

Each series has a strip of its own with its name and maximum, so nothing rests on colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from textual.content import Content
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from irkit.case.views import Activity, CurvePoint, FunnelStep, TokenLogprob
from irkit.tui.text import day, duration, month, number, plural, time_range

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def columns(values: Sequence[float], height: int, top: float) -> list[str]:
    """Draw values as vertical bars and return ``height`` lines, highest first.

    A value above zero is never drawn as nothing: one leak among a million queries must be seen.
    """
    lines = []
    for row in range(height - 1, -1, -1):
        cells = []
        for value in values:
            eighths = 0 if value <= 0 or top <= 0 else max(1, round(value / top * height * 8))
            cells.append(_EIGHTHS[min(8, max(0, eighths - row * 8))])
        lines.append("".join(cells))
    return lines


def resample(values: Sequence[float], width: int) -> list[float]:
    """Fit values to ``width`` columns: sums where there are too many, repeats where too few."""
    count = len(values)
    if not count or width <= 0:
        return []
    if count <= width:
        return [values[i * count // width] for i in range(width)]
    edges = [i * count // width for i in range(width + 1)]
    return [sum(values[a:b]) for a, b in pairwise(edges)]


class Funnel(Widget):
    """The narrowing from queries to people: number, words, and a bar on a logarithmic scale."""

    steps: reactive[tuple[FunnelStep, ...]] = reactive(())

    def render(self) -> Content:
        """Draw one line per step."""
        rows = [
            (
                number(step.best),
                step.label
                + ("" if step.low is None else f" ({number(step.low)}–{number(step.high or 0)})"),
                step,
            )
            for step in self.steps
        ]
        figures = max((len(figure) for figure, _, _ in rows), default=0)
        words = max((len(label) for _, label, _ in rows), default=0)
        width = self.size.width - figures - words - 3
        top = math.log1p(max((step.best for step in self.steps), default=0)) or 1.0
        lines = []
        for figure, label, step in rows:
            length = round(math.log1p(step.best) / top * max(width, 0))
            bar = "█" * (max(1, length) if step.best and width > 0 else 0)
            harm = step.key not in ("queries", "repeated")
            lines.append(
                Content.assemble(
                    (f"{figure:>{figures}}", "bold"),
                    (f" {label:<{words}} ", ""),
                    (bar, "$accent" if harm else "$primary"),
                )
            )
        return Content("\n").join(lines)


class Timeline(Widget):
    """The time shown in words, then strips over one axis: flagged calls, all calls, leaks."""

    activity: reactive[Activity | None] = reactive(None)
    LABEL = 10
    PEAK = 11

    class Wheeled(Message):
        """A person turned the wheel over the time that lies at a share of the axis."""

        def __init__(self, closer: bool, at: float) -> None:
            super().__init__()
            self.closer, self.at = closer, at

    @property
    def columns(self) -> int:
        """How many columns the axis has."""
        return max(10, self.size.width - self.LABEL - self.PEAK)

    def render(self) -> Content:
        """Draw the strips to the widget's size."""
        seen = self.activity
        if seen is None:
            return Content.styled("reading…", "$muted")
        if seen.shown is None or not seen.buckets:
            words = (
                f"None of {plural(seen.undated, 'call')} tells when it was: no timeline."
                if seen.undated
                else "No calls yet: no timeline."
            )
            return Content.styled(f"○ {words}", "$muted")
        width, tall = self.columns, self.size.height >= 16
        rows = max(3, self.size.height - 2 - 2 * tall)
        heights = [rows // 3 + (index < rows % 3) for index in (1, 0, 2)]
        series = (
            ("◆ flagged", [b.flagged for b in seen.buckets], "$accent"),
            ("  calls", [b.queries for b in seen.buckets], "$primary"),
            ("■ leaks", [b.exposures for b in seen.buckets], "$error"),
        )
        parts = [range_words(seen)]
        for height, (name, raw, style) in zip(heights, series, strict=True):
            values = resample([float(v) for v in raw], width)
            drawn = columns(values, height, max(values, default=0))
            for index, bar in enumerate(drawn):
                label = name if index == len(drawn) - 1 else ""
                peak = f" max {number(int(max(values)))}" if index == 0 else ""
                parts.append(
                    Content.assemble(
                        (f"{label:<{self.LABEL}}", "$muted"), (bar, style), (peak, "$muted")
                    )
                )
            if tall and name != "■ leaks":
                parts.append(Content(""))
        axis = ticks(seen.shown.start, seen.shown.end, width)
        parts.append(Content.styled(" " * self.LABEL + axis, "$muted"))
        return Content("\n").join(parts)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Look closer at what is under the pointer."""
        self._wheel(event, True)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Look from further away."""
        self._wheel(event, False)

    def _wheel(self, event: MouseScrollUp | MouseScrollDown, closer: bool) -> None:
        event.stop()
        share = (event.x - self.LABEL + 0.5) / self.columns
        self.post_message(self.Wheeled(closer, min(1.0, max(0.0, share))))


def range_words(seen: Activity) -> Content:
    """Say which part of time is shown and what happened in it."""
    said = seen.said
    assert said is not None, "asked only where there is a time"
    flagged = f"{number(seen.flagged)} of flagged actors"
    undated = f", {number(seen.undated)} without a time not shown" if seen.undated else ""
    return Content.assemble(
        (time_range(said.start, said.end), "bold"),
        f", {plural(seen.queries, 'call')}, {flagged}",
        (undated, "$warning"),
    )


#: Steps of the axis, in seconds.
_STEPS = (
    *(1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200),
    *(86400 * days for days in (1, 2, 7, 14, 28, 91, 182, 365, 730, 1826, 3652, 36525, 365250)),
)


def ticks(start: datetime, end: datetime, width: int) -> str:
    """Write an axis of ``width`` columns: days, hours, minutes or seconds as far as there is room.

    A mark stands at the column of the instant it names; where a day begins, the day is named.
    """
    seconds = (end - start).total_seconds()
    day_long = 86400
    for step in _STEPS:
        room = width * step / seconds
        if room >= (12 if step >= 60 else 15):  # a mark, its words and as much air again
            break
    origin = datetime(1970, 1, 1, tzinfo=UTC)
    count = -int((origin - start).total_seconds() // step)
    cells = [" "] * width
    taken = 0
    while True:
        since = count * step
        column = round((since - (start - origin).total_seconds()) / seconds * width)
        if column >= width:
            break
        count += 1
        try:
            at = origin + timedelta(seconds=since)
        except OverflowError:
            break
        midnight = since % day_long == 0
        if step >= 91 * day_long:
            words = f"▏{month(at)}"
        elif midnight:
            words = f"▏{day(at)}"
        else:
            words = "▏" + at.strftime("%H:%M:%S" if step < 60 else "%H:%M")
        if column >= taken and column + len(words) <= width:
            cells[column : column + len(words)] = words
            taken = column + len(words) + 1
    return "".join(cells)


class EvidenceCurve(Widget):
    """The evidence against an actor as it builds up, with onset, leaks and where one stands."""

    points: reactive[tuple[CurvePoint, ...]] = reactive(())
    total: reactive[int] = reactive(0)
    position: reactive[int] = reactive(0)
    onset: reactive[int | None] = reactive(None)
    #: Nothing is known of the sequence yet, which is not the same as an empty one.
    reading: reactive[bool] = reactive(True)

    class Picked(Message):
        """A person clicked at a position of the sequence."""

        def __init__(self, position: int) -> None:
            super().__init__()
            self.position = position

    def render(self) -> Content:
        """Draw curve, markers and leaks to the widget's size."""
        width, height = max(10, self.size.width), max(3, self.size.height)
        if not self.total:
            words = "reading…" if self.reading else "no queries in this sequence"
            return Content.styled(words, "$muted")
        values, leaks = self._columns(width)
        top = max(values, default=0.0)
        here, onset = self._column(self.position, width), self._onset_column(width)
        lines: list[Content] = []
        for bar in columns(values, height - 1, top or 1.0):
            done = Content.styled(bar[: here + 1], "$accent")
            lines.append(done + Content.styled(bar[here + 1 :], "$primary 55%"))
        marks = [" "] * width
        for column, count in enumerate(leaks):
            if count:
                marks[column] = "■"
        if onset is not None:
            marks[onset] = "◀" if onset == width - 1 else "┃"
        marks[here] = "▲"
        axis = Content("".join(marks))
        for column, char in enumerate(marks):
            style = {"■": "$error", "┃": "bold $warning", "◀": "bold $warning", "▲": "bold"}.get(
                char
            )
            if style:
                axis = axis.stylize(style, column, column + 1)
        return Content("\n").join([*lines, axis])

    def _columns(self, width: int) -> tuple[list[float], list[int]]:
        values, leaks = [0.0] * width, [0] * width
        filled = [False] * width
        for point in self.points:
            column = self._column(point.position, width)
            values[column] = max(values[column], point.value)
            leaks[column] += point.leaks
            filled[column] = True
        # A short sequence has fewer points than columns: each point holds until the next one.
        for column in range(1, width):
            if not filled[column]:
                values[column] = values[column - 1]
        return values, leaks

    def _column(self, position: int, width: int) -> int:
        return min(width - 1, max(0, position * width // max(self.total, 1)))

    def _onset_column(self, width: int) -> int | None:
        return None if self.onset is None else self._column(self.onset, width)

    def on_click(self, event: Click) -> None:
        """Turn a click into a position."""
        if self.total:
            self.post_message(
                self.Picked(min(self.total - 1, event.x * self.total // max(self.size.width, 1)))
            )


def logprob_plot(tokens: Sequence[TokenLogprob], width: int, height: int = 3) -> Content:
    """Draw token probabilities as bars: tall means the model was certain of the token.

    Returns:
        ``height`` lines of bars and one line of words.
    """
    known = [token.logprob for token in tokens if token.logprob is not None]
    if not known:
        return Content.styled("no log-probabilities were logged", "$muted")
    chances = [0.0 if t.logprob is None else math.exp(min(0.0, t.logprob)) for t in tokens]
    shown = chances[:width] if len(chances) <= width else _means(chances, width)
    sure = sum(1 for value in known if value > math.log(0.9))
    lines = [Content.styled(bar, "$primary") for bar in columns(shown, height, 1.0)]
    mean = sum(known) / len(known)
    lines.append(
        Content.styled(
            f"{plural(len(known), 'token')}, {sure * 100 // len(known)} % above p 0.9,"
            f" mean log p {mean:.2f}",
            "$muted",
        )
    )
    return Content("\n").join(lines)


def _means(values: Sequence[float], width: int) -> list[float]:
    count = len(values)
    edges = [i * count // width for i in range(width + 1)]
    return [sum(values[a:b]) / max(1, b - a) for a, b in pairwise(edges)]


def bucket_words(seconds: int) -> str:
    """Say how much time one column of the timeline covers."""
    return duration(timedelta(seconds=seconds)).replace(" 00 min", "")
