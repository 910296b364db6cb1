"""What the application has to do with the terminal itself: keys, pictures, clipboard."""

from __future__ import annotations

import os
from pathlib import Path

from textual.events import Event, Key

from irkit.case import Case, Clock
from irkit.tui.casework import CaseWork
from irkit.tui.graphics import HOLD_SECONDS, Graphics, Talk, cell_size, decide, missing_libraries
from irkit.tui.keymap import load_keys
from irkit.tui.text import clean
from irkit.tui.verbs import Verbs
from irkit.tui.widgets.dialogs import ChooseDialog
from irkit.tui.widgets.pages import PagesDialog
from irkit.tui.widgets.tables import PagedTable


class OnTerminal(CaseWork):
    """The part of the application that knows of the terminal."""

    def __init__(
        self,
        case: Case | None,
        clock: Clock,
        demo: tuple[Path, Path] | None,
        verbs: Verbs | None,
        graphics: Graphics | None,
    ) -> None:
        super().__init__(case, clock, demo, verbs)
        self.keymap = load_keys()
        self._graphics = graphics
        self._talk: Talk | None = None

    def key_for(self, action: str, place: str = "app") -> str:
        """The key that does something, also one of the person's own choice, as people write it."""
        return self.keymap.key(action, place)

    # -- pictures -----------------------------------------------------------------------------

    @property
    def graphics(self) -> Graphics:
        """How pictures are shown; asks the terminal where that is not known and nobody has yet."""
        if self._graphics is None:
            on_terminal = not (self.is_headless or self.is_web)
            missing = missing_libraries() if on_terminal else ()
            cell = cell_size()
            self._graphics = decide(os.environ, tty=on_terminal, missing=missing, cell=cell)
            if self._graphics is None:
                talk = self._talk = Talk(self.send_terminal, cell=cell, colour=not self.no_color)
                self._graphics = talk.graphics
                talk.begin()
        return self._graphics

    def send_terminal(self, text: str) -> None:
        """Write to the terminal in turn with what the screens draw."""
        if self._driver is not None:
            self._driver.write(text)

    async def on_event(self, event: Event) -> None:
        """Take the terminal's answers out of the keys."""
        talk = self._talk
        if talk is None or not isinstance(event, Key) or event.is_forwarded:
            await super().on_event(event)
            return
        for key in talk.take(event):
            await super().on_event(key)
        if talk.over:
            self._answered(talk.graphics)
        elif talk.holds:
            self.set_timer(HOLD_SECONDS, self._release)

    async def _release(self) -> None:
        for key in self._talk.release() if self._talk is not None else ():
            await super().on_event(key)

    def _answered(self, graphics: Graphics) -> None:
        self._talk, self._graphics = None, graphics
        # A terminal that did not know the question may have written it on the screen.
        self.refresh(layout=True)
        if isinstance(self.screen, PagesDialog):
            self.screen.graphics_known(graphics)

    # -- clipboard ----------------------------------------------------------------------------

    def copy(self, text: str, what: str) -> None:
        """Copy through the terminal (OSC 52, which also works over SSH)."""
        self.copy_to_clipboard("\t".join(clean(part) for part in text.split("\t")))
        self.notify(f"Copied the {what}.", markup=False)

    def action_copy_from_row(self) -> None:
        """Ask which cell of the row under the cursor to copy, or all of it, as shown."""
        table = self.focused
        cells = table.cells_selected() if isinstance(table, PagedTable) else []
        if not cells:
            self.notify("Put the cursor on a row of a table first.", markup=False)
            return

        def answered(choice: str | None) -> None:
            if choice == "row":
                self.copy("\t".join(text for _, text in cells), "row")
            elif choice is not None:
                name, text = cells[int(choice)]
                self.copy(text, name)

        options = [("row", "the whole row, as shown, between tabs")]
        options += [(str(i), f"{name:<14} {text}") for i, (name, text) in enumerate(cells)]
        self.push_screen(ChooseDialog("Copy from this row", options), answered)
