"""Help: what can be done here, and what the symbols mean; written from the action registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from irkit.tui.actions import ACTIONS, SCREENS, TWINS, Action
from irkit.tui.theme import DETECTOR, EVIDENCE, PROVENANCE, STEP, TIER, URGENCY
from irkit.tui.words import TIER_MEANING

ABOUT = {
    "start": "Run the sample incident to see everything at work, or open or create a case.",
    "overview": "The next deadline, the state of the evidence, and how many people are behind how"
    " many queries. Bars are logarithmic.",
    "actors": "Everyone who was flagged, strongest first. Filters are field=value, with ~ for"
    " “contains” and < > for numbers and times: technique~extraction p<0.001 leaks>0.",
    "replay": "Walk through an actor's queries. The curve is the accumulated evidence that the"
    " queries differ from ordinary ones; it sinks again while the actor behaves ordinarily.",
    "exposures": "Every passage that came out, and the people behind them. Your verdict narrows the"
    " count in the notification; every verdict is kept, the last one holds.",
    "playbook": "The steps of the response in order. A step waits until its gates hold; a decision"
    " needs a reason and goes to the custody log.",
    "deadlines": "Every legal clock, also those of which it is unknown whether they apply.",
    "notification": "The facts of the form. irkit fills what the case answers; you add what only"
    " people know. {missing} goes to the next missing fact, {packet} builds the packet, {pages}"
    " shows its pages: as pictures where the terminal can, else as text.",
    "evidence": "Every preserved file with its hash, and the chained log of who did what.",
    "quarantine": "Entries that could not be read. They are kept byte for byte and counted.",
}

TABLE_KEYS = (
    ("↑ ↓ j k", "Move"), ("g G", "First or last row"), ("PgUp PgDn ^u ^d", "Move by a screen"),
    ("Tab", "Move between panes"), ("esc", "Close a dialog or the filter line"),
)  # fmt: skip


class HelpScreen(ModalScreen[None]):
    """Keys of the screen below, keys that work everywhere, and the legend."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "close", "Close", show=False),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, place: str, actions: Sequence[Action] = ACTIONS) -> None:
        super().__init__()
        self.place, self.actions = place, actions

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        title = next((label for name, label, _ in SCREENS if name == self.place), "Start")
        with Vertical(classes="dialog -tall"):
            yield Static(Content(f"Help: {title}"), classes="dialog-title")
            with VerticalScroll(id="help-scroll"):
                yield Static(help_content(self.place, self.actions), markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close  esc", variant="primary", compact=True)

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self.query_one("#help-scroll").focus()

    def action_close(self) -> None:
        """Close help."""
        self.dismiss()

    def action_down(self) -> None:
        """Scroll down."""
        self.query_one("#help-scroll").scroll_down(animate=False)

    def action_up(self) -> None:
        """Scroll up."""
        self.query_one("#help-scroll").scroll_up(animate=False)

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss()


def help_content(place: str, actions: Sequence[Action] = ACTIONS) -> Content:
    """Write help for a screen."""
    keys = {action.id: action.key_text for action in actions if place in action.places}
    about = ABOUT.get(place, "")
    for name, key in keys.items():
        about = about.replace(f"{{{name}}}", key)
    copying = " ".join(a.key_text for a in actions if a.id == "copy_from_row")
    parts = [Content(about), Content("")]
    parts.append(Content.styled("On this screen", "bold $accent"))
    parts += [_action(action) for action in actions if place in action.places]
    if place in TWINS:
        parts += [Content(""), Content.styled("The same without screens", "bold $accent")]
        parts += [Content(f"  irkit {twin}") for twin in TWINS[place]]
    if place != "start":
        parts += [Content(""), Content.styled("In tables", "bold $accent")]
        parts += [_key(keys, words) for keys, words in TABLE_KEYS]
    parts += [Content(""), Content.styled("Everywhere", "bold $accent")]
    parts += [_action(action) for action in actions if "app" in action.places]
    parts += [
        Content(""),
        Content(
            "Select text with the mouse; in many terminals hold Shift to use the terminal's own"
            f" selection. {keys.get('copy', copying)} copies identifiers and hashes, {copying} a"
            " cell or a row as shown. What is masked is copied masked. The plain commands"
            " (irkit status, explain, verify) show the same facts without these screens."
        ),
        Content(""),
        Content.styled("Symbols", "bold $accent"),
    ]
    parts += [
        Content.assemble((f"  {s} {word:<14}", style), f" {TIER_MEANING[tier]}")
        for tier, (s, word, style) in TIER.items()
    ]
    meanings = {
        "memorised": "in the training corpus, not explained by the conversation: counts as exposed",
        "unverified": "looks personal, in neither corpus nor conversation: widens the interval",
        "cue_derivable": "could be guessed from the prompt",
        "echo": "the conversation had put it there",
        "probe": "part of a training record inside a prompt",
    }
    parts += [
        Content.assemble((f"  {s} {word:<14}", style), f" {meanings[name]}")
        for name, (s, word, style) in PROVENANCE.items()
    ]
    for table in (EVIDENCE, DETECTOR, STEP):
        parts.append(
            Content.assemble(
                "  ", *((f"{s} {word}   ", style) for s, word, style in table.values())
            )
        )
    words = {"over": "overdue", "soon": "within a day", "ahead": "later"}
    parts.append(
        Content.assemble(
            "  ", *((f"{s} {words[k]}   ", style) for k, (s, style) in URGENCY.items())
        )
    )
    return Content("\n").join(parts)


def _action(action: Action) -> Content:
    return _key(action.all_keys or "palette", action.title)


def _key(keys: str, words: str) -> Content:
    return Content.assemble((f"  {keys:<16}", "bold $footer-key-foreground"), words)
