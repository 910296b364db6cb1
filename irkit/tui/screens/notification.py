"""Notification: the facts of the form, what is missing for the phase, preview and packet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content

from irkit.errors import UsageError
from irkit.model import Phase
from irkit.playbook.form import FactRow, FormData, read_form
from irkit.tui.actions import bindings
from irkit.tui.screens.base import CaseScreen
from irkit.tui.text import clean, line, plural
from irkit.tui.widgets.dialogs import AskDialog, ChooseDialog, Question, TextDialog
from irkit.tui.widgets.pages import MARK, PagesDialog
from irkit.tui.widgets.tables import Cell, PagedTable, TableColumn
from irkit.tui.widgets.words import Words

if TYPE_CHECKING:
    from irkit.flow.reporting import DraftPages
    from irkit.playbook.fields import Field

COLUMNS = (
    TableColumn("state", "State", 11, sortable=False),
    TableColumn("part", "Part", 24, min_table=128, sortable=False),
    TableColumn("label", "Fact", 34, max_table=119, sortable=False),
    TableColumn("fact", "Fact", 52, min_table=120, sortable=False),
    TableColumn("value", "Value", 0, sortable=False),
)
STATE = {
    "missing": ("!", "missing", "bold $warning"),
    "proposed": ("?", "proposed", "bold $warning"),
    "promised": ("◷", "promised", "$secondary"),
    "irkit": ("■", "irkit", "$primary"),
    "you": ("✓", "you", "$success"),
    "optional": ("·", "optional", "$muted"),
}


def _cells(row: FactRow) -> list[Cell]:
    symbol, word, style = STATE[row.state]
    tone = {"missing": "bold", "optional": "$muted"}.get(row.state, "")
    return [
        Cell(f"{symbol} {word}", style),
        Cell(row.field.part, "$muted"),
        Cell(row.field.label, tone),
        Cell(row.field.label, tone),
        Cell(row.text.replace("\n", "; "), "$muted" if row.state == "proposed" else ""),
    ]


class NotificationScreen(CaseScreen):
    """The form in the order of the authorities' forms, with one fact in full."""

    PLACE = "notification"
    BINDINGS: ClassVar = bindings("notification")
    AUTO_FOCUS = "#facts"

    def __init__(self) -> None:
        super().__init__()
        self.phase = Phase.PRELIMINARY
        self.form: FormData | None = None
        self._first = True
        self._goto = ""

    def body(self) -> ComposeResult:
        """Lay out form and detail."""
        yield Words(id="caption", fixed=True)
        with Container(id="split"):
            yield PagedTable(COLUMNS, _cells, id="facts", key=lambda r: r.field.key)
            with VerticalScroll(id="detail", classes="section"):
                yield Words(id="detail-text")

    def reload(self) -> None:
        """Read the facts."""
        phase = self.phase
        self.fetch_case("form", lambda case: read_form(case, phase))

    def open_fact(self, key: str) -> None:
        """Put the cursor on a fact, at once or as soon as the facts are read."""
        self._goto = key
        if self.form is not None:
            self.query_one("#facts", PagedTable).go_to(key)
            self._goto = ""

    def show_form(self, data: FormData) -> None:
        """Draw the form and how complete it is."""
        self.form = data
        table = self.query_one("#facts", PagedTable)
        table.show_page(data.rows, len(data.rows))
        ready = (
            ("✓ complete for this phase: b builds the packet", "bold $success")
            if not data.missing
            else (f"! {plural(data.missing, 'fact')} missing", "bold $warning")
        )
        self.query_one("#caption", Words).say(
            Content.assemble(
                (f"{self.phase.value.capitalize()} phase  ", "bold"),
                ready,
                (f"  {data.filled} of {data.total} known", "$muted"),
            )
        )
        if self._goto:
            table.go_to(self._goto)
            self._goto = ""
        elif self._first:
            self._start()
        self._first = False
        self._detail()

    @on(PagedTable.RowHighlighted)
    def _moved(self) -> None:
        self._detail()

    def _detail(self) -> None:
        from irkit.playbook.typed import form

        row: FactRow | None = self.query_one("#facts", PagedTable).selected
        if row is None:
            return
        box = self.query_one("#detail", VerticalScroll)
        box.border_title = line(row.field.part, 60)
        symbol, word, style = STATE[row.state]
        source = {
            "irkit": "filled from the case by irkit; your own value replaces it",
            "you": "written by you",
            "proposed": "irkit proposes this; it counts only once you confirm it with ⏎",
            "missing": "needed for this phase; ⏎ to fill it in",
            "promised": "announced as not yet known",
            "optional": "not needed for this phase",
        }[row.state]
        law = f" (GDPR Art. {row.field.art})" if row.field.art else ""
        parts = [
            Content.assemble((f"{symbol} {word}", style), (f"  {row.field.label}{law}", "bold")),
            Content.styled(source, "$muted"),
        ]
        hints = [hint for hint in (row.field.hint, form(row.field).explain) if hint]
        if row.field.choices:
            hints.append("one of: " + ", ".join(row.field.choices))
        parts += [Content.styled(hint, "$muted") for hint in hints]
        if row.text:
            parts.append(Content(clean(row.text)))
        self.query_one("#detail-text", Words).say(Content("\n").join(parts))

    # -- editing ------------------------------------------------------------------------------

    @on(PagedTable.Opened)
    def _opened(self) -> None:
        self.action_edit()

    def action_edit(self) -> None:
        """Edit the fact under the cursor."""
        row: FactRow | None = self.query_one("#facts", PagedTable).selected
        if row is not None:
            self._edit(row, row.text)

    def _edit(self, row: FactRow, text: str) -> None:
        from irkit.playbook.fields import Kind
        from irkit.playbook.typed import form

        item = row.field
        how = form(item)
        choices = item.choices or (("yes", "no", "unknown") if item.kind is Kind.TRI else ())
        if choices:
            options = [(choice, choice) for choice in choices]
            self.app.push_screen(
                ChooseDialog(item.label, options, text or None),
                lambda chosen: None if chosen is None else self._save(row, chosen),
            )
            return
        detail = "\n".join(part for part in (item.hint, how.explain) if part)
        if how.several_lines or len(text) > 60:
            self.app.push_screen(
                TextDialog(item.label, text, detail=detail),
                lambda typed: None if typed is None else self._save(row, typed),
            )
            return
        self.app.push_screen(
            AskDialog(
                item.label,
                [Question("value", item.label, text)],
                detail=detail,
                accept="Save",
                check=lambda answers: self._problem(item, answers["value"]),
            ),
            lambda answers: None if answers is None else self._save(row, answers["value"]),
        )

    @staticmethod
    def _problem(item: Field, text: str) -> str:
        from irkit.playbook.typed import from_text

        try:
            from_text(item, text)
        except UsageError as error:
            return f"{error.message}. {error.hint}"
        return ""

    def _save(self, row: FactRow, text: str) -> None:
        from irkit.playbook.typed import from_text

        problem = self._problem(row.field, text)
        if problem:
            self.notify(problem, severity="warning", markup=False)
            self._edit(row, text)
            return
        value = from_text(row.field, text)
        replaces_awareness = row.field.key == "timeline.awareness_at" and row.state == "you"

        def save(reason: str) -> None:
            self.irkit.write(
                lambda session: session.save_fact(row.field.key, value, reason),
                done=f"{row.field.label}: saved",
            )

        if replaces_awareness and text != row.text:
            self._ask_reason(save)
        else:
            save("")

    def _ask_reason(self, save: object) -> None:
        def answered(answers: dict[str, str] | None) -> None:
            if answers is not None:
                save(answers["reason"])  # type: ignore[operator]

        self.app.push_screen(
            AskDialog(
                "The time of awareness was already confirmed",
                [Question("reason", "Why does it change?")],
                detail="The old value and your reason stay in the case.",
                accept="Change",
            ),
            answered,
        )

    def action_clear_fact(self) -> None:
        """Set the fact back to what irkit knows, or to not known."""
        row: FactRow | None = self.query_one("#facts", PagedTable).selected
        if row is None or row.state != "you":
            self.notify("Only your own entries can be cleared.", markup=False)
            return

        def save(reason: str) -> None:
            self.irkit.write(
                lambda session: session.clear_fact(row.field.key, reason),
                done=f"{row.field.label}: cleared",
            )

        if row.field.key == "timeline.awareness_at":
            self._ask_reason(save)
        else:
            save("")

    def _start(self) -> None:
        """Put the cursor on the first fact that a person has to do something about.

        Where nothing is left to do, on the first one that is part of the notification: what is
        optional may be looked at, but is not where the work lies.
        """
        rows: Sequence[FactRow] = self.form.rows if self.form else ()
        for states in (("missing",), ("proposed",), ("promised",), ("irkit", "you")):
            for at, row in enumerate(rows):
                if row.state in states:
                    self.query_one("#facts", PagedTable).move_cursor(row=at, animate=False)
                    return

    def action_missing(self) -> None:
        """Go to the next fact that is missing or waits for confirmation."""
        table = self.query_one("#facts", PagedTable)
        rows: Sequence[FactRow] = self.form.rows if self.form else ()
        wanted = [i for i, row in enumerate(rows) if row.state == "missing"]
        wanted = wanted or [i for i, row in enumerate(rows) if row.state == "proposed"]
        if wanted:
            later = [i for i in wanted if i > table.cursor_row]
            table.move_cursor(row=(later or wanted)[0], animate=False)
        else:
            self.notify(
                f"Nothing is missing for the {self.phase.value} phase;"
                f" {self.key_of('phase')} shows the next one.",
                markup=False,
            )

    def action_phase(self) -> None:
        """Switch to the next phase."""
        phases = list(Phase)
        self.phase = phases[(phases.index(self.phase) + 1) % len(phases)]
        self._first = True  # another phase needs other facts
        self.reload()

    # -- out ----------------------------------------------------------------------------------

    def action_preview(self) -> None:
        """Show the notification as text."""
        if self.form is None:
            return
        self.app.push_screen(
            TextDialog(
                f"Preview: {self.phase.value} notification",
                preview(self.form, self.phase),
                detail="What the packet will say; values of affected people are never in it.",
                read_only=True,
            )
        )

    def action_pages(self) -> None:
        """Draw the packet's pages as they would be built now; nothing is kept."""
        phase, verbs = self.phase, self.irkit.verbs
        self.notify("Drawing the pages…", markup=False, timeout=4)
        self.fetch_case("pages", lambda case: (phase, verbs.pages(case, phase)))

    def show_pages(self, data: tuple[Phase, DraftPages]) -> None:
        """Show the pages, and as text what changed."""
        phase, drawn = data
        self.app.push_screen(
            PagesDialog(
                f"Pages of the {phase.value} packet",
                pages_text(drawn.texts, drawn.changes),
                "Drawn for looking at: nothing was written, signed or logged.",
                pdf=drawn.pdf,
                count=len(drawn.texts),
                graphics=self.irkit.graphics,
            )
        )

    def action_packet(self) -> None:
        """Build the packet."""
        if self.form is not None and self.form.missing:
            self.notify(
                f"{plural(self.form.missing, 'fact')} missing for this phase; n goes to the next.",
                severity="warning",
                markup=False,
            )
            self.action_missing()
            return
        self.irkit.start_packet(self.phase)


def pages_text(pages: Sequence[str], changes: Sequence[dict[str, str]]) -> str:
    """Write what changed since the packet before, then every page under its number."""
    out = ["CHANGED SINCE THE PACKET BEFORE", ""]
    for row in changes:
        out += [f"  {row['label']}", f"    before: {row['before']}", f"    now:    {row['now']}"]
    if not changes:
        out.append("  Nothing, or this is the first packet of the case.")
    for number, page in enumerate(pages, 1):
        out += ["", f"{MARK}{number} of {len(pages)} ────", page.rstrip()]
    return "\n".join(out)


def preview(data: FormData, phase: Phase) -> str:
    """Write the known facts under the headings of the form, and name what is not known."""
    out = [f"NOTIFICATION OF A PERSONAL DATA BREACH ({phase.value})", ""]
    part = ""
    for row in data.rows:
        known = row.state in ("you", "irkit")
        if not known and row.state not in ("missing", "proposed", "promised"):
            continue
        if row.field.part != part:
            part = row.field.part
            out += ["", part.upper()]
        if known:
            value = row.text.replace("\n", "\n    ")
        else:
            value = "NOT YET KNOWN" if row.state != "proposed" else "NOT YET CONFIRMED"
        law = f" [Art. {row.field.art}]" if row.field.art else ""
        out.append(f"  {row.field.label}{law}: {value}")
    out += [
        "",
        f"{data.filled} of {data.total} facts known, {data.missing} missing for this phase.",
    ]
    return "\n".join(out)
