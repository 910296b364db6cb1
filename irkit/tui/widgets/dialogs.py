"""Modal dialogs: an error with what to do, a question, a reason, a choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, ScreenResultType
from textual.widgets import Button, Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from irkit.errors import IrkitError
from irkit.tui.text import clean, line


class ErrorDialog(ModalScreen[None]):
    """What went wrong, and what to do about it; the application lives on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "close", "Close", show=False),
    ]

    def __init__(self, error: IrkitError) -> None:
        super().__init__()
        self.error = error

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog -error"):
            yield Static(Content("‼ That did not work"), classes="dialog-title")
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield Static(Content(clean(self.error.message)), classes="dialog-message")
                if self.error.hint:
                    yield Static(
                        Content.assemble(("What to do: ", "bold"), Content(clean(self.error.hint))),
                        classes="dialog-hint",
                    )
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close  esc", variant="primary", id="close", compact=True)

    def action_close(self) -> None:
        """Close the dialog."""
        self.dismiss()

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss()


class ConfirmDialog(ModalScreen[bool]):
    """A yes-or-no question; the safe answer has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "No", show=False),
        Binding("y", "answer(True)", "Yes", show=False),
    ]

    def __init__(self, question: str, detail: str = "", yes: str = "Yes", no: str = "No") -> None:
        super().__init__()
        self.question, self.detail, self.yes, self.no = question, detail, yes, no

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog"):
            yield Static(Content(clean(self.question)), classes="dialog-title")
            if self.detail:
                yield Static(Content(clean(self.detail)), classes="dialog-message")
            with Horizontal(classes="dialog-buttons"):
                yield Button(f"{self.no}  n", id="no", compact=True)
                yield Button(f"{self.yes}  y", variant="primary", id="yes", compact=True)

    def on_mount(self) -> None:
        """Put the focus on the answer that changes nothing."""
        self.query_one("#no").focus()

    def action_answer(self, answer: bool) -> None:
        """Answer by key."""
        self.dismiss(answer)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


@dataclass(frozen=True, slots=True)
class Question:
    """One line to fill in."""

    id: str
    label: str
    value: str = ""
    placeholder: str = ""
    required: bool = True
    password: bool = False


class AskDialog(ModalScreen[dict[str, str] | None]):
    """A few lines to fill in; nothing happens on escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False)]

    def __init__(
        self,
        title: str,
        questions: Sequence[Question],
        *,
        detail: str = "",
        accept: str = "OK",
        check: Callable[[dict[str, str]], str] | None = None,
    ) -> None:
        super().__init__()
        self.heading, self.questions = title, tuple(questions)
        self.detail, self.accept, self.check = detail, accept, check

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog"):
            yield Static(Content(clean(self.heading)), classes="dialog-title")
            if self.detail:
                yield Static(Content(clean(self.detail)), classes="dialog-message")
            for question in self.questions:
                yield Static(Content(question.label), classes="dialog-label")
                yield Input(
                    question.value,
                    placeholder=question.placeholder,
                    password=question.password,
                    id=question.id,
                    compact=True,
                )
            yield Static("", id="problem", classes="dialog-problem")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel  esc", id="cancel", compact=True)
                yield Button(f"{self.accept}  ⏎", variant="primary", id="ok", compact=True)

    def on_mount(self) -> None:
        """Start in the first line."""
        self.query(Input).first().focus()

    def action_cancel(self) -> None:
        """Close without doing anything."""
        self.dismiss(None)

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        inputs = list(self.query(Input))
        at = inputs.index(event.input)
        if at + 1 < len(inputs):
            inputs[at + 1].focus()
        else:
            self._accept()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "ok":
            self._accept()
        else:
            self.dismiss(None)

    def _accept(self) -> None:
        answers = {q.id: self.query_one(f"#{q.id}", Input).value.strip() for q in self.questions}
        problem = next(
            (f"{q.label} is needed" for q in self.questions if q.required and not answers[q.id]), ""
        )
        if not problem and self.check is not None:
            problem = self.check(answers)
        if problem:
            self.query_one("#problem", Static).update(Content("! " + clean(problem)))
        else:
            self.dismiss(answers)


class ListDialog(ModalScreen[ScreenResultType]):
    """A dialog around one list, in which the vim keys move too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
    ]

    def action_move(self, by: int) -> None:
        """Move by a row."""
        choices = self.query_one(OptionList)
        if by > 0:
            choices.action_cursor_down()
        else:
            choices.action_cursor_up()


class ChooseDialog(ListDialog[str | None]):
    """A list to choose from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
    ]

    def __init__(
        self, title: str, options: Sequence[tuple[str, str]], current: str | None = None
    ) -> None:
        """Choose among ``(id, words)`` pairs."""
        super().__init__()
        self.heading, self.options, self.current = title, tuple(options), current

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog"):
            yield Static(Content(clean(self.heading)), classes="dialog-title")
            yield OptionList(
                *(
                    Option(Content(line(words)), id=str(i))
                    for i, (_, words) in enumerate(self.options)
                ),
                compact=True,
            )
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel  esc", id="cancel", compact=True)

    def on_mount(self) -> None:
        """Start on the current choice."""
        choices = self.query_one(OptionList)
        names = [name for name, _ in self.options]
        choices.highlighted = names.index(self.current) if self.current in names else 0
        choices.focus()

    def action_cancel(self) -> None:
        """Close without choosing."""
        self.dismiss(None)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self.options[int(event.option.id or 0)][0])

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss(None)


class TextDialog(ModalScreen[str | None]):
    """Several lines to write, or to read."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("ctrl+s", "accept", "Save", show=False),
    ]

    def __init__(self, title: str, text: str, *, detail: str = "", read_only: bool = False) -> None:
        super().__init__()
        self.heading, self.text, self.detail, self.read_only = title, text, detail, read_only

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog -tall"):
            yield Static(Content(clean(self.heading)), classes="dialog-title")
            if self.detail:
                yield Static(Content(clean(self.detail)), classes="dialog-message")
            area = TextArea(clean(self.text), read_only=self.read_only, soft_wrap=True)
            area.cursor_blink = False
            yield area
            with Horizontal(classes="dialog-buttons"):
                if self.read_only:
                    yield Button("Close  esc", variant="primary", id="cancel", compact=True)
                else:
                    yield Button("Cancel  esc", id="cancel", compact=True)
                    yield Button("Save  ^s", variant="primary", id="ok", compact=True)

    def on_mount(self) -> None:
        """Start in the text."""
        self.query_one(TextArea).focus()

    def action_cancel(self) -> None:
        """Close without saving."""
        self.dismiss(None)

    def action_accept(self) -> None:
        """Save what was written."""
        self.dismiss(None if self.read_only else self.query_one(TextArea).text)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "ok":
            self.action_accept()
        else:
            self.dismiss(None)
