"""The packet's pages: as pictures where the terminal shows them, as text everywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Button, Static, TextArea
from textual.worker import get_current_worker

from irkit.errors import IrkitError
from irkit.tui.actions import bindings
from irkit.tui.graphics import Graphics, cell_size, load_pictures
from irkit.tui.jobs import unexpected
from irkit.tui.keymap import Keymap
from irkit.tui.text import clean

if TYPE_CHECKING:
    from PIL.Image import Image

#: How a page's text begins.
MARK = "──── page "


class PagesDialog(ModalScreen[None]):
    """A document to look at, page by page as pictures or as one text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        *bindings("pages"),
    ]

    class Drawn(Message):
        """A page was drawn, or could not be."""

        def __init__(self, page: int, picture: Image | None, error: IrkitError | None) -> None:
            super().__init__()
            self.page, self.picture, self.error = page, picture, error

    def __init__(
        self, title: str, text: str, detail: str, *, pdf: bytes, count: int, graphics: Graphics
    ) -> None:
        """Show a document.

        Args:
            title: what it is.
            text: everything as text, each page under a line that begins with :data:`MARK`.
            detail: what to know of it.
            pdf: the document.
            count: how many pages it has.
            graphics: whether the terminal shows pictures.
        """
        super().__init__()
        self.heading, self.text, self.detail = title, text, detail
        self.pdf, self.count, self.graphics = pdf, count, graphics
        self.page = 0
        self.pictures = bool(graphics.protocol)
        self._chosen = False  # the person chose between pictures and text

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog -tall"):
            yield Static(Content(clean(self.heading)), classes="dialog-title")
            yield Static(classes="dialog-message", id="pages-detail")
            area = TextArea(clean(self.text), read_only=True, soft_wrap=True)
            area.cursor_blink = False
            yield area
            yield VerticalScroll(id="pages-picture")
            with Horizontal(classes="dialog-buttons"):
                yield Button(f"Text or pictures  {self._key('images')}", id="images", compact=True)
                yield Button("Close  esc", variant="primary", id="cancel", compact=True)

    def _key(self, action: str) -> str:
        keymap: Keymap = getattr(self.app, "keymap", Keymap())
        found = (a for a in keymap.actions if a.id == action and "pages" in a.places)
        return next(a.key_text for a in found)

    def on_mount(self) -> None:
        """Show pictures where there are any."""
        self._show(self._words())

    def on_resize(self) -> None:
        """Draw the page for the new width, and for a font of another size."""
        if self.pictures:
            self.graphics = replace(self.graphics, cell=cell_size() or self.graphics.cell)
            self._draw()

    def _show(self, words: str) -> None:
        area, box = self.query_one(TextArea), self.query_one("#pages-picture")
        area.display, box.display = not self.pictures, self.pictures
        self._say(words)
        (box if self.pictures else area).focus()
        if self.pictures:
            self.call_after_refresh(self._draw)
        else:
            box.remove_children()

    def _say(self, words: str) -> None:
        self.query_one("#pages-detail", Static).update(Content(clean(words)))

    def _draw(self) -> None:
        """Draw the page in a thread; a page asked for later takes its place."""
        from irkit.tui.drawing import draw_page

        box = self.query_one("#pages-picture", VerticalScroll)
        room = box.scrollable_content_region.width
        if room < 1:
            return  # not laid out yet; the resize that follows draws it
        page, pdf, cell = self.page, self.pdf, self.graphics.cell
        wide, high = (most // of for most, of in zip(self.graphics.largest, cell, strict=True))
        if self.graphics.protocol == "sixel" and wide and high:
            room = min(room, wide)
            box.styles.max_height = high

        def work() -> None:
            try:
                answer = self.Drawn(page, draw_page(pdf, page, room, cell), None)
            except IrkitError as error:
                answer = self.Drawn(page, None, error)
            except Exception as error:
                answer = self.Drawn(page, None, unexpected(error, "drawing a page"))
            if not get_current_worker().is_cancelled:
                self.post_message(answer)

        self.run_worker(work, thread=True, group="page", exclusive=True, exit_on_error=False)

    async def on_pages_dialog_drawn(self, message: Drawn) -> None:
        """Put the picture up, or go back to the text and say why."""
        if not self.pictures or message.page != self.page:
            return
        if message.picture is None:
            self._give_up(message.error.message if message.error else "It could not be drawn")
            return
        box = self.query_one("#pages-picture", VerticalScroll)
        send: Any = getattr(self.app, "send_terminal", None)
        try:
            picture = load_pictures().picture(self.graphics, message.picture, send)
        except ImportError:
            self._give_up("The extra for pictures is not whole")
            return
        await box.remove_children()
        await box.mount(picture)
        box.scroll_home(animate=False)
        after, before = self._key("next_page"), self._key("previous_page")
        self._say(
            f"Page {self.page + 1} of {self.count} ({before} {after}); the text also says what"
            f" changed. {self.detail}"
        )

    def graphics_known(self, graphics: Graphics) -> None:
        """Take the terminal's answer, which came after the dialog opened."""
        self.graphics = graphics
        if graphics.protocol and not self._chosen:
            self.pictures = True
            self._show(self.detail)
        else:
            self._say(self._words())

    def _words(self) -> str:
        """What to know of the document, and why it is not shown as pictures."""
        return " ".join(part for part in (self.detail, self.graphics.why) if part)

    def _give_up(self, words: str) -> None:
        self.pictures = False
        self._show(f"{words.rstrip('.')}: here is the text.")

    # -- what a person can do -----------------------------------------------------------------

    def action_images(self) -> None:
        """Switch between pictures and text, or say why there are no pictures."""
        if not self.graphics.protocol:
            self.app.notify(self.graphics.why, severity="warning", markup=False)
            return
        self._chosen = True
        self.pictures = not self.pictures
        self._show(self.detail)
        if not self.pictures:
            self._go()

    def action_next_page(self) -> None:
        """Show the next page."""
        self.page = min(self.page + 1, self.count - 1)
        self._go()

    def action_previous_page(self) -> None:
        """Show the page before."""
        self.page = max(self.page - 1, 0)
        self._go()

    def _go(self) -> None:
        if self.pictures:
            self._draw()
            return
        area = self.query_one(TextArea)
        lines = area.text.split("\n")
        wanted = f"{MARK}{self.page + 1} of "
        at = next((i for i, words in enumerate(lines) if words.startswith(wanted)), None)
        if at is not None:
            area.move_cursor((at, 0))
            area.scroll_to(y=area.wrapped_document.location_to_offset((at, 0)).y, animate=False)

    def action_cancel(self) -> None:
        """Close."""
        self.dismiss(None)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "images":
            self.action_images()
        else:
            self.dismiss(None)
