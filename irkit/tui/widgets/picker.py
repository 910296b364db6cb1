"""Choosing files: a directory tree, the files chosen, and how each would be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Button, DirectoryTree, Input, Static

from irkit.errors import IrkitError
from irkit.tui.jobs import unexpected
from irkit.tui.text import clean, line, middle, plural
from irkit.tui.widgets.words import Words

#: Preview lines shown at most.
MOST_LINES = 400

Preview = Callable[[Sequence[Path]], Sequence[str]]


def _is_case(path: Path) -> bool:
    try:
        return (path / "case.duckdb").is_file()
    except OSError:
        return False  # what cannot be looked into is shown, and refused when it is chosen


class _Tree(DirectoryTree):
    """Directories and files, without hidden ones and without irkit's own cases."""

    # Signs that every terminal font has.
    ICON_NODE = "▸ "
    ICON_NODE_EXPANDED = "▾ "
    ICON_FILE = "· "
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "screen.choose", "Choose", show=False),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("l,right", "open", "Open", show=False),
        Binding("h,left", "shut", "Shut", show=False),
    ]

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [path for path in paths if not path.name.startswith(".") and not _is_case(path)]

    def action_open(self) -> None:
        """Open the directory under the cursor."""
        if self.cursor_node is not None:
            self.cursor_node.expand()

    def action_shut(self) -> None:
        """Shut the directory under the cursor, or go to the one it lies in."""
        node = self.cursor_node
        if node is None:
            return
        if node.is_expanded and node.allow_expand:
            node.collapse()
        elif node.parent is not None:
            self.move_cursor(node.parent)


class Previewed(Message):
    """How the chosen files would be read is known; ``token`` tells a stale answer."""

    bubble = False

    def __init__(self, token: int, lines: Sequence[str], error: IrkitError | None = None) -> None:
        super().__init__()
        self.token = token
        self.lines = lines
        self.error = error


class PickDialog(ModalScreen[tuple[Path, ...] | None]):
    """Choose files and directories; how they would be read is shown before anything is written."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("space", "choose", "Choose", show=False),
        Binding("p", "look", "Dry run", show=False),
        Binding("u", "higher", "Directory above", show=False),
        Binding("ctrl+s", "accept", "Add", show=False),
    ]

    def __init__(
        self, title: str, start: Path, preview: Preview, *, detail: str = "", accept: str = "Add"
    ) -> None:
        """Choose below ``start``; ``preview`` says in a thread how files would be read."""
        super().__init__()
        self.heading, self.start, self.detail, self.accept = title, start, detail, accept
        self.preview = preview
        self.chosen: list[Path] = []
        self._token = 0

    def compose(self) -> ComposeResult:
        """Lay out tree, path line and what is known of the chosen files."""
        with Vertical(classes="dialog -tall", id="picker"):
            yield Static(Content(clean(self.heading)), classes="dialog-title")
            if self.detail:
                yield Static(Content(clean(self.detail)), classes="dialog-message")
            with Horizontal(id="picker-main"):
                yield _Tree(self.start, id="picker-tree")
                with VerticalScroll(id="picker-side", classes="section"):
                    yield Words(id="picker-words")
            yield Input(placeholder="or type a path here and press ⏎", id="path", compact=True)
            yield Static("", id="problem", classes="dialog-problem")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel  esc", id="cancel", compact=True)
                yield Button("Dry run  p", id="look", compact=True)
                yield Button(f"{self.accept}  ^s", variant="primary", id="ok", compact=True)

    def on_mount(self) -> None:
        """Start in the tree."""
        self.query_one(_Tree).focus()
        self.query_one("#picker-side").border_title = "Chosen"
        self._say_chosen()

    # -- choosing -----------------------------------------------------------------------------

    @on(DirectoryTree.FileSelected)
    def _file(self, event: DirectoryTree.FileSelected) -> None:
        event.stop()
        self._toggle(event.path)

    def action_choose(self) -> None:
        """Choose or leave out what the cursor is on; a directory stands for its files."""
        node = self.query_one(_Tree).cursor_node
        if node is not None and node.data is not None:
            self._toggle(node.data.path)

    @on(Input.Submitted, "#path")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        path = Path(event.value.strip()).expanduser()
        if not event.value.strip():
            self.action_accept()
        elif path.exists():
            event.input.value = ""
            self._toggle(path)
        else:
            self._problem(f"{middle(str(path), 40)}: no such file or directory")

    def _toggle(self, path: Path) -> None:
        self._problem("")
        if path in self.chosen:
            self.chosen.remove(path)
        else:
            self.chosen.append(path)
        self._say_chosen()

    def _say_chosen(self) -> None:
        self.query_one("#picker-side").remove_class("-looked")
        parts = [Content(f"✓ {line(path, 200)}") for path in self.chosen]
        if not parts:
            parts.append(
                Content.styled(
                    "Nothing chosen yet. ⏎ or space chooses a file, space a whole directory,"
                    " u goes to the directory above, p shows how the files would be read.",
                    "$muted",
                )
            )
        self.query_one("#picker-words", Words).say(Content("\n").join(parts))
        self.query_one("#picker-side").border_title = (
            f"Chosen: {plural(len(self.chosen), 'path')}" if self.chosen else "Chosen"
        )

    def action_higher(self) -> None:
        """Show the directory above."""
        tree = self.query_one(_Tree)
        tree.path = Path(tree.path).resolve().parent

    def _problem(self, words: str) -> None:
        self.query_one("#problem", Static).update(Content(f"! {clean(words)}" if words else ""))

    # -- dry run ------------------------------------------------------------------------------

    def action_look(self) -> None:
        """Say how the chosen files would be read; nothing is written."""
        paths = list(self.chosen)
        if not paths:
            node = self.query_one(_Tree).cursor_node
            if node is None or node.data is None or node.data.path.is_dir():
                self._problem("choose a file first")
                return
            paths = [node.data.path]
        self._token += 1
        token = self._token
        self.query_one("#picker-side").border_title = "Dry run: reading…"

        def work() -> None:
            try:
                answer = Previewed(token, self.preview(paths))
            except IrkitError as error:
                answer = Previewed(token, (), error)
            except Exception as error:
                answer = Previewed(token, (), unexpected(error, "the dry run"))
            self.post_message(answer)

        self.run_worker(work, thread=True, group="look", exclusive=True, exit_on_error=False)

    def on_previewed(self, message: Previewed) -> None:
        """Show how the files would be read."""
        if message.token != self._token:
            return
        box = self.query_one("#picker-side", VerticalScroll)
        if message.error is not None:
            box.border_title = "Dry run"
            self._problem(f"{message.error.message}. {message.error.hint}")
            return
        box.border_title = "Dry run: nothing was written"
        box.add_class("-looked")
        lines = [clean(text) for text in message.lines[:MOST_LINES]]
        if len(message.lines) > MOST_LINES:
            lines.append(f"… {len(message.lines) - MOST_LINES} lines more")
        self.query_one("#picker-words", Words).say(Content("\n".join(lines)))
        box.scroll_home(animate=False)

    # -- done ---------------------------------------------------------------------------------

    def action_accept(self) -> None:
        """Take what was chosen."""
        if self.chosen:
            self.dismiss(tuple(self.chosen))
        else:
            self._problem("choose at least one file or directory")

    def action_cancel(self) -> None:
        """Close without choosing."""
        self.dismiss(None)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "ok":
            self.action_accept()
        elif event.button.id == "look":
            self.action_look()
        else:
            self.dismiss(None)
