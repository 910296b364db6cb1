"""Jump mode: a label on everything that can be reached, and a key that goes there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.css.query import NoMatches
from textual.errors import NoWidget
from textual.events import Click, Key
from textual.geometry import Offset
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from irkit.tui.widgets.chrome import NavBar

#: Labels in the order of reach on a keyboard; digits are left to the tabs, which have them anyway.
LETTERS = "asdfghjklqwertyuiopzxcvbnm"


@dataclass(frozen=True, slots=True)
class Target:
    """Something to jump to: its label, where the label stands, what to do."""

    label: str
    at: Offset
    widget: Widget
    is_tab: bool


def targets(screen: Screen[object]) -> list[Target]:
    """Find the tabs and the focusable widgets that can be seen, from top left to bottom right."""
    try:
        tabs = list(screen.query_one(NavBar).query(".tab"))
    except NoMatches:
        tabs = []
    found = [
        Target(str(getattr(tab, "digit", "")), tab.content_region.offset, tab, True)
        for tab in tabs
        if tab.display and tab.size.width
    ]
    seen: list[tuple[int, int, Widget]] = []
    for widget in screen.focus_chain:
        try:
            region = screen.find_widget(widget).visible_region
        except NoWidget:
            continue
        if region.area:
            seen.append((region.y, region.x, widget))
    seen.sort(key=lambda entry: entry[:2])
    for label, (y, x, widget) in zip(LETTERS, seen, strict=False):
        found.append(Target(label, Offset(x, y), widget, False))
    return found


class JumpScreen(ModalScreen[Target | None]):
    """The labels over the screen below; any other key leaves."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave", show=False)]
    AUTO_FOCUS = None

    def __init__(self, found: list[Target]) -> None:
        super().__init__()
        self.found = found

    def compose(self) -> ComposeResult:
        """Lay out one label per target, and one line that says what to do."""
        for target in self.found:
            # A tab shows its digit anyway; a wider label would hide its name.
            words = target.label if target.is_tab else f" {target.label} "
            label = Static(Content(words), classes="jump-label", markup=False)
            label.styles.offset = (target.at.x, target.at.y)
            yield label
        yield Static(Content("Type a label to go there · esc stays"), id="jump-words", markup=False)

    def action_leave(self) -> None:
        """Stay where one was."""
        self.dismiss(None)

    def on_key(self, event: Key) -> None:
        """Go to the target with this label; a key that is none leaves."""
        event.stop()
        event.prevent_default()
        chosen = next((t for t in self.found if t.label == event.character), None)
        self.dismiss(chosen)

    def on_click(self, event: Click) -> None:
        """Go to the label under the pointer."""
        for target in self.found:
            if target.at.y == event.screen_y and 0 <= event.screen_x - target.at.x < 3:
                self.dismiss(target)
                return
        self.dismiss(None)
