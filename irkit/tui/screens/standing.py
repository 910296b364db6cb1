"""What the evidence shows beyond the counts, and where it ends: each leads to its detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from irkit.case.views import Statement
from irkit.tui.text import clean, line
from irkit.tui.theme import STANDING
from irkit.tui.widgets.dialogs import ListDialog


def statement_line(one: Statement, key: str = "") -> Content:
    """Write a statement in one line: symbol, topic, words, and the key of the screen behind it."""
    symbol, _, style = STANDING[one.weight.value]
    lead = (f"{key} ", "$footer-key-foreground") if key else ("", "")
    tone = "" if one.weight.value != "note" else "$muted"
    return Content.assemble(lead, (f"{symbol} {one.topic:<11} ", style), (line(one.brief), tone))


class StandingDialog(ListDialog[Statement | None]):
    """All statements in full; choosing one goes to its detail."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,i", "cancel", "Close", show=False),
    ]

    def __init__(self, statements: Sequence[Statement], places: Mapping[str, str]) -> None:
        """Show statements; ``places`` names the key and title of each screen."""
        super().__init__()
        self.statements, self.places = tuple(statements), places

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog -tall"):
            yield Static(
                Content.assemble(
                    ("What the evidence shows, and where it ends", "bold"),
                    ("   ⏎ goes to its screen", "not bold $muted"),
                ),
                classes="dialog-title",
            )
            yield OptionList(
                *(Option(self._words(one), id=str(i)) for i, one in enumerate(self.statements)),
                id="standing-list",
            )
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close  esc", variant="primary", id="cancel", compact=True)

    def _words(self, one: Statement) -> Content:
        symbol, word, style = STANDING[one.weight.value]
        return Content.assemble(
            (f"{symbol} {one.topic}", style),
            (f"  {word} · {self.places.get(one.place, '')}", "$muted"),
            "\n",
            clean(one.full),
        )

    def on_mount(self) -> None:
        """Start on the most important one."""
        choices = self.query_one(OptionList)
        choices.highlighted = 0
        choices.focus()

    def action_cancel(self) -> None:
        """Close without going anywhere."""
        self.dismiss(None)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self.statements[int(event.option.id or 0)])

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss(None)
