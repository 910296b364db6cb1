"""Playbook: the steps in order, what each waits for, what irkit attached, and the decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content

from irkit.tui.actions import bindings
from irkit.tui.screens.base import CaseScreen
from irkit.tui.text import clean, line, stamp
from irkit.tui.theme import STEP
from irkit.tui.widgets.dialogs import AskDialog, ChooseDialog, Question
from irkit.tui.widgets.tables import Cell, PagedTable, TableColumn
from irkit.tui.widgets.words import Words

if TYPE_CHECKING:
    from irkit.playbook import StepView

COLUMNS = (
    TableColumn("phase", "Phase", 10, sortable=False),
    TableColumn("state", "State", 15, sortable=False),
    TableColumn("title", "Step", 0, sortable=False),
    TableColumn("owner", "Owner", 24, min_table=100, sortable=False),
)

STATES = {
    "done": "Done",
    "in_progress": "In progress",
    "not_applicable": "Not applicable",
    "open": "Reopen",
}


def step_cells(row: StepView) -> list[Cell]:
    """Cells of a step; the phase stands beside every step, so that no row needs its neighbours."""
    symbol, word, style = STEP.get(row.state, STEP["open"])
    tone = "$muted" if row.state in ("done", "not_applicable", "blocked") else "bold"
    return [
        Cell(row.step.phase, "$muted"),
        Cell(f"{symbol} {word}", style),
        Cell(row.step.title, tone),
        Cell(row.owner, "$muted"),
    ]


class PlaybookScreen(CaseScreen):
    """The list of steps with the one under the cursor in full."""

    PLACE = "playbook"
    BINDINGS: ClassVar = bindings("playbook")
    AUTO_FOCUS = "#steps"

    def __init__(self) -> None:
        super().__init__()
        self.steps: tuple[StepView, ...] = ()
        self._goto: str | None = None

    def body(self) -> ComposeResult:
        """Lay out list and detail."""
        yield Words(id="caption", fixed=True)
        with Container(id="split"):
            yield PagedTable(COLUMNS, step_cells, id="steps", key=lambda v: v.step.id)
            with VerticalScroll(id="detail", classes="section"):
                yield Words(id="detail-text")

    def reload(self) -> None:
        """Read the steps."""
        self.fetch_case("steps", _steps)

    def open_step(self, step_id: str) -> None:
        """Put the cursor on a step as soon as the steps are read."""
        self._goto = step_id
        self._follow()

    def show_steps(self, steps: Sequence[StepView]) -> None:
        """Draw the list."""
        first = not self.steps
        self.steps = tuple(steps)
        done = sum(1 for step in steps if step.state in ("done", "not_applicable"))
        ready = sum(1 for step in steps if step.state in ("open", "in_progress"))
        self.query_one("#caption", Words).say(
            Content.assemble(
                (f"{done} of {len(steps)} steps settled", "bold"),
                (f" · {ready} can be worked on now", "$muted"),
            )
        )
        table = self.query_one("#steps", PagedTable)
        table.show_page(self.steps, len(self.steps))
        if first and self._goto is None:
            self._goto = next(
                (s.step.id for s in steps if s.state in ("open", "in_progress")), None
            )
        self._follow()
        self._detail()

    def _follow(self) -> None:
        ids = [step.step.id for step in self.steps]
        if self._goto in ids:
            table = self.query_one("#steps", PagedTable)
            table.move_cursor(row=ids.index(self._goto), animate=False)
            self._goto = None

    @on(PagedTable.RowHighlighted)
    def _moved(self) -> None:
        self._detail()

    def _detail(self) -> None:
        view: StepView | None = self.query_one("#steps", PagedTable).selected
        if view is None:
            return
        step = view.step
        symbol, word, style = STEP.get(view.state, STEP["open"])
        box = self.query_one("#detail", VerticalScroll)
        box.border_title = line(step.id, 40)
        parts = [
            Content.assemble((f"{symbol} {word}", style), (f"  {line(step.title)}", "bold")),
            Content(clean(step.purpose)),
        ]
        parts += [Content.styled(f"▪ waits: {clean(gate)}", "$warning") for gate in view.blocked_by]
        parts += [Content.assemble(("› ", "$accent"), Content(clean(how))) for how in step.how]
        if step.decision:
            parts.append(
                Content.assemble(("Decide: ", "bold $accent"), Content(clean(step.decision)))
            )
        parts += [
            Content.assemble((f"{line(item.label)}: ", "$muted"), Content(clean(item.text)))
            for item in view.evidence
        ]
        if view.decision or view.reason or view.changed_at:
            said = Content.assemble(
                ("Decided: ", "bold"),
                Content(clean(view.decision) or word),
                (f"  because {clean(view.reason)}" if view.reason else "", ""),
                (f"  ({line(view.owner)}, {stamp(view.changed_at)})", "$muted"),
            )
            parts.append(said)
        parts.append(Content.styled(f"Owner: {line(view.owner)}", "$muted"))
        if step.reference:
            parts.append(Content.styled("; ".join(map(line, step.reference)), "$muted"))
        self.query_one("#detail-text", Words).say(Content("\n").join(parts))

    # -- deciding -----------------------------------------------------------------------------

    @on(PagedTable.Opened)
    def _opened(self) -> None:
        self.action_decide()

    def action_decide(self) -> None:
        """Choose a state for the step, then give decision and reason."""
        view: StepView | None = self.query_one("#steps", PagedTable).selected
        if view is None:
            return
        if view.state == "blocked":
            self.notify(
                "This step waits: " + "; ".join(clean(gate) for gate in view.blocked_by),
                severity="warning",
                markup=False,
            )
            return
        settled = view.state in ("done", "not_applicable")
        options = [(k, v) for k, v in STATES.items() if (k == "open") == settled]

        def chosen(state: str | None) -> None:
            if state is not None:
                self._ask(view, state)

        self.app.push_screen(ChooseDialog(line(view.step.title), options), chosen)

    def _ask(self, view: StepView, state: str) -> None:
        asks = bool(view.step.decision) and state == "done"
        questions = []
        if state in ("done", "in_progress"):
            questions.append(
                Question(
                    "decision",
                    "Decision, as it will stand in the packet",
                    view.decision,
                    required=asks,
                )
            )
        needs_reason = asks or state in ("not_applicable", "open")
        questions.append(Question("reason", "Reason", view.reason, required=needs_reason))
        questions.append(Question("owner", "Decided by", view.owner))

        def answered(answers: dict[str, str] | None) -> None:
            if answers is None:
                return
            self.irkit.write(
                lambda session: session.decide(
                    view.step.id,
                    state,
                    answers.get("decision", ""),
                    answers["reason"],
                    answers["owner"],
                ),
                done=f"{line(view.step.title)}: {STATES[state].lower()}",
            )

        self.app.push_screen(
            AskDialog(
                f"{STATES[state]}: {line(view.step.title)}",
                questions,
                detail=view.step.decision,
                accept="Record",
            ),
            answered,
        )

    def action_contain(self) -> None:
        """Write containment rules."""
        self.irkit.start_contain()

    def action_remediate(self) -> None:
        """Write the remediation manifest."""
        self.irkit.start_remediate()

    def action_assess(self) -> None:
        """Assess again."""
        self.irkit.start_assess()


def _steps(case: object) -> Sequence[StepView]:
    from irkit.playbook import steps

    return steps(case)  # type: ignore[arg-type]
