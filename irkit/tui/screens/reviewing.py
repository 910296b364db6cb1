"""Judging exposures: one by one, many at once, or a random sample that stands for the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from textual.content import Content
from textual.events import Key

from irkit import flow
from irkit.case import views
from irkit.tui.screens.browse import Browse, BrowseScreen
from irkit.tui.text import line, number, plural
from irkit.tui.widgets.dialogs import AskDialog, Question
from irkit.tui.widgets.tables import PagedTable
from irkit.tui.widgets.words import Words

#: Items per stratum that the dialog proposes: fifty that all hold leave 93 to 100 % (Wilson).
SAMPLE = 50
_FRAMES = {"record": "records", "person": "people"}


class Reviewing(BrowseScreen):
    """The part of the exposures' screen that takes verdicts."""

    def start_reviewing(self) -> None:
        """Begin with nothing marked, nothing judged and the whole table."""
        self.marks: dict[str, None] = {}
        self.strata: list[dict[str, Any]] = []
        self._reviewed: list[tuple[str, ...]] = []
        self._whole: Browse | None = None
        self._to_first_open = False

    @property
    def _table(self) -> PagedTable:
        return self.query_one("#exposures", PagedTable)

    # -- verdicts -----------------------------------------------------------------------------

    def _review(self, verdict: views.Verdict, note: str = "") -> None:
        row = self._table.selected
        if row is None:
            return
        self._reviewed.append((row.exposure_id,))
        # No notice: the row itself shows its new state, and a notice would hide the next passage.
        self.irkit.write(lambda session: session.review(row.exposure_id, verdict, note))
        table = self._table
        if not note and table.cursor_row + 1 < table.row_count:
            table.move_cursor(row=table.cursor_row + 1, animate=False)

    def _judge(self, verdict: views.Verdict) -> None:
        if not self.marks:
            self._review(verdict)
            return
        ids = tuple(self.marks)

        def answered(answers: dict[str, str] | None) -> None:
            if answers is None:
                return
            self._reviewed.append(ids)
            self.marks.clear()
            self.irkit.write(
                lambda session: session.review_many(ids, verdict, answers["note"]),
                done=f"{plural(len(ids), 'exposure')}: {verdict.value};"
                f" {self.key_of('undo')} takes all of it back",
            )

        self.app.push_screen(
            AskDialog(
                f"{verdict.value.capitalize()} {plural(len(ids), 'marked exposure')}",
                [Question("note", "Why? One note for all of them")],
                detail="Do not copy personal data into the note."
                f" {self.key_of('undo')} takes all of it back at once.",
                accept=verdict.value.capitalize(),
            ),
            answered,
        )

    def action_confirm(self) -> None:
        """Confirm the exposure and go to the next, or all that are marked."""
        self._judge(views.Verdict.CONFIRM)

    def action_reject(self) -> None:
        """Reject the exposure and go to the next, or all that are marked."""
        self._judge(views.Verdict.REJECT)

    def action_unsure(self) -> None:
        """Mark the exposure as unsure and go to the next, or all that are marked."""
        self._judge(views.Verdict.UNSURE)

    def action_undo(self) -> None:
        """Take back the last review of this session, or else that of the row under the cursor."""
        row = self._table.selected
        if self._reviewed:
            ids = self._reviewed.pop()
        elif row is not None and row.verdict is not None:
            ids = (row.exposure_id,)
        else:
            self.notify("There is no review to undo.", markup=False)
            return
        what = line(ids[0]) if len(ids) == 1 else plural(len(ids), "exposure")
        self.irkit.write(lambda session: session.take_back(ids), done=f"{what}: review taken back")
        self._table.go_to(ids[0])

    def action_note(self) -> None:
        """Write a note; the verdict stays, or becomes unsure where there is none."""
        row = self._table.selected
        if row is None:
            return

        def answered(answers: dict[str, str] | None) -> None:
            if answers is not None:
                verdict = views.Verdict(row.verdict) if row.verdict else views.Verdict.UNSURE
                self._review(verdict, answers["note"])

        self.app.push_screen(
            AskDialog(
                f"Note on {line(row.exposure_id)}",
                [Question("note", "Note", row.note or "")],
                detail="Do not copy personal data into the note.",
                accept="Save",
            ),
            answered,
        )

    # -- marks --------------------------------------------------------------------------------

    def action_mark_row(self) -> None:
        """Mark or unmark the row and go to the next."""
        table = self._table
        key = table.selected_key
        if key is None:
            return
        if key in self.marks:
            del self.marks[key]
        else:
            self.marks[key] = None
        at = table.cursor_row
        self._marks_changed()
        table.move_cursor(row=min(at + 1, table.row_count - 1), animate=False)

    def action_mark_page(self) -> None:
        """Mark every row of this page, or none where all are marked."""
        keys = self._table.keys
        if all(key in self.marks for key in keys):
            self.marks.clear()
        else:
            self.marks.update(dict.fromkeys(keys))
        self._marks_changed()

    def _marks_changed(self) -> None:
        self._table.draw_again()
        self.browse_caption(self.browse.total, len(self._table.keys))

    def on_key(self, event: Key) -> None:
        """Unmark on escape, once the filter line is closed."""
        if event.key == "escape" and self.marks and not self.query_one("#filter").display:
            event.stop()
            self.marks.clear()
            self._marks_changed()
        else:
            super().on_key(event)

    # -- sampled review -----------------------------------------------------------------------

    @property
    def sampling(self) -> bool:
        """True while the table shows only what was drawn."""
        return self._whole is not None

    def action_sampled(self) -> None:
        """Switch between the sample, in the order drawn, and all exposures."""
        if self._whole is not None:
            self.browse, self._whole = self._whole, None
            self.query_one("#sample").display = False
            self.reload()
        elif self.strata:
            self._show_sample()
        else:
            self.action_draw()

    def _show_sample(self) -> None:
        where = views.parse_filter("sample>0", views.exposure_columns(), self.BARE)
        if self._whole is None:
            self._whole = self.browse
        self.browse = replace(self._whole, sort="sample", descending=False, offset=0, where=where)
        self.marks.clear()
        self._to_first_open = True
        self.query_one("#sample").display = True
        self.reload()

    def action_draw(self) -> None:
        """Ask how many, then draw a sample of every stratum."""

        def check(answers: dict[str, str]) -> str:
            text = answers["size"]
            return "" if text.isdecimal() and 0 < int(text) <= 100_000 else "A number from 1 on"

        def answered(answers: dict[str, str] | None) -> None:
            if answers is not None:
                size = int(answers["size"])
                self.irkit.write(lambda session: session.draw_sample(size), done="Sample drawn")
                self._show_sample()

        drawn = max((row["drawn"] for row in self.strata), default=0)
        self.app.push_screen(
            AskDialog(
                "Draw a sample to judge",
                [Question("size", "Records, and people, of each status", str(drawn or SAMPLE))],
                detail="Judged in the order drawn, they stand for all of their status. A larger"
                " number extends the same sample; what is judged stays.",
                accept="Draw",
                check=check,
            ),
            answered,
        )

    def read_sample(self) -> None:
        """Read how far the sampled review is, once per state of the case."""
        session = self.session
        self.fetch_case(
            "sample", lambda case: session.once("sample", lambda: flow.sampled(case)), behind=True
        )

    def show_sample(self, strata: list[dict[str, Any]]) -> None:
        """Say per stratum how many are judged and what share held."""
        self.strata = strata
        self.query_one("#sample", Words).say(Content("\n").join(sample_lines(strata)))
        if self._to_first_open and self.sampling:
            self._to_first_open = False
            page = self._table
            first = next((key for key, row in page.items() if row.verdict is None), None)
            if first is not None:
                page.go_to(first)


def sample_lines(strata: list[dict[str, Any]]) -> list[Content]:
    """Write one line per frame: judged of drawn, and the share that held."""
    lines = []
    for frame, name in _FRAMES.items():
        parts: list[Content | tuple[str, str]] = [(f"{name:<8}", "bold")]
        for row in (row for row in strata if row["frame"] == frame):
            done = row["judged"] >= row["drawn"]
            parts.append((f"{row['stratum']} ", ""))
            parts.append(
                (
                    f"{'✓ ' if done else ''}{number(row['judged'])} of {number(row['drawn'])}",
                    "$success" if done else "bold $warning",
                )
            )
            held = f" {row['low']:.0%}–{row['high']:.0%} held" if row["share"] is not None else ""
            parts.append((f"{held}   ", "$muted"))
        lines.append(Content.assemble(*parts))
    return lines
