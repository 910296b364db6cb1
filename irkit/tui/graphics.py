"""Whether this terminal shows pictures: asked while the screens run, when pages are first wanted.

A picture is only ever drawn where the terminal itself said that it can, or where the person says so
in ``IRKIT_IMAGES`` (``auto``, ``kitty``, ``sixel`` or ``no``). Pages are never drawn out of blocks
of characters: nobody could read them.

Nobody waits for the answer: a terminal that never gives one shows text, and one that takes its time
(a slow line) is still listened to. The answers come in among the keys, because Textual hands on a
sequence that it does not know character by character; :class:`Talk` takes them out, so that no
answer ever acts as keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.events import Key

VARIABLE = "IRKIT_IMAGES"
CHOICES = ("auto", "kitty", "sixel", "no")
#: Pixels of a cell where the terminal does not say: those of the DEC VT340, the first with Sixel.
CELL = (10, 20)
#: Colours of a Sixel picture where the terminal does not say.
COLOURS = 256
#: The terminal's attributes (DA1). Every terminal answers, and answers in order: what was asked
#: before and has no answer by then will have none.
LAST = "\x1b[c"
#: Size of a cell, colour registers and the largest picture of Sixel, attributes (xterm control
#: sequences: XTWINOPS 16, XTSMGRAPHICS 1 and 2, DA1).
FIRST_QUESTION = "\x1b[16t\x1b[?1;1;0S\x1b[?2;1;0S" + LAST
#: Kitty graphics with a picture of one pixel that is not kept (kitty graphics protocol, "Querying
#: support"). Asked second, and only where Sixel is missing: a terminal that knows nothing of it may
#: write the question down.
KITTY_QUESTION = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\" + LAST
#: Seconds after which characters that began like an answer count as keys; those of an answer come
#: together.
HOLD_SECONDS = 0.25
NOT_YET = "No pictures: the terminal has not answered whether it can show them."
TEXT_ALONE = "No pictures: this terminal shows text alone."
#: Kitty's protocol names a picture by the colour of the characters that stand for it.
NO_COLOUR = "No pictures: NO_COLOR is set, and Kitty graphics need colours."

# An answer as Textual hands it on: ^ stands for its escape character, which may be missing.
_ANSWER = re.compile(r"\^?\[\??[\d;]{1,200}[ctS]|\^?_G[^^]{0,200}\^\\")
_BEGUN = re.compile(r"\^|\^?\[\??[\d;]{0,200}|\^?_(?:G[^^]{0,200}\^?)?")
_LIBRARIES = ("PIL", "pypdfium2", "textual_image")
#: Terminals that would write a question on the screen.
_PLAIN = ("", "dumb", "linux", "cons25")


@dataclass(frozen=True, slots=True)
class Graphics:
    """How pictures are shown, or why not.

    Attributes:
        protocol: ``kitty``, ``sixel``, or nothing.
        why: a sentence that says why there are none.
        cell: width and height of a cell of the terminal in pixels.
        colours: colours of a Sixel picture.
        largest: pixels across and down beyond which a Sixel picture is cut off; 0: not known.
    """

    protocol: str = ""
    why: str = "No pictures: these screens are not shown on a terminal."
    cell: tuple[int, int] = CELL
    colours: int = COLOURS
    largest: tuple[int, int] = (0, 0)


def decide(
    env: Mapping[str, str],
    *,
    tty: bool,
    missing: Sequence[str],
    cell: tuple[int, int] | None = None,
) -> Graphics | None:
    """Decide how pictures are shown; None where only the terminal can say.

    Args:
        env: the environment.
        tty: the screens are on a terminal.
        missing: libraries that are not installed.
        cell: size of a cell in pixels where known.
    """
    wanted = env.get(VARIABLE, "").strip().lower() or "auto"
    if wanted not in CHOICES:
        return Graphics(why=f"No pictures: {VARIABLE} is not one of {', '.join(CHOICES)}.")
    if wanted == "no":
        return Graphics(why=f"No pictures: {VARIABLE} is no.")
    if not tty:
        return Graphics()
    if missing:
        return Graphics(why="Pictures need an extra: pip install 'irkit[images]'.")
    if env.get("TERM", "") in _PLAIN:
        return Graphics(why=TEXT_ALONE)
    between = _between(env)
    if between and wanted != "sixel":
        # Asked for Kitty graphics, tmux and screen take the question for a window's title.
        return Graphics(why=f"No pictures: {between} stands between irkit and the terminal.")
    if wanted == "kitty" and env.get("NO_COLOR"):
        return Graphics(why=NO_COLOUR)
    if wanted != "auto":
        return Graphics(wanted, "", cell or CELL)
    if env.get("TERM_PROGRAM") == "Apple_Terminal":
        return Graphics(why=TEXT_ALONE)
    return None


def _between(env: Mapping[str, str]) -> str:
    for name, word in (("TMUX", "tmux"), ("STY", "screen"), ("ZELLIJ", "Zellij")):
        if env.get(name):
            return word
    term = env.get("TERM", "").partition("-")[0]
    return term if term in ("tmux", "screen") else ""


def missing_libraries() -> list[str]:
    """Names of the extra's libraries that are not installed."""
    from importlib.util import find_spec

    return [name for name in _LIBRARIES if find_spec(name) is None]


def cell_size() -> tuple[int, int] | None:
    """Size of a cell in pixels as the terminal's driver knows it, without asking."""
    import os
    import sys

    try:
        import fcntl
        import struct
        import termios

        stream = sys.__stderr__  # where Textual writes
        if stream is None or not os.isatty(stream.fileno()):
            return None
        raw = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, width, height = struct.unpack("HHHH", raw)
    except (ImportError, OSError, ValueError):
        return None
    return _sound(width // columns, height // rows) if rows and columns else None


def _sound(width: int, height: int) -> tuple[int, int] | None:
    # A cell of one pixel or of hundreds is a wrong answer, and a picture of it useless.
    return (width, height) if 4 <= width <= 100 and 4 <= height <= 200 else None


def _character(key: Key) -> str:
    # A key without a character, such as an arrow, is in no answer.
    return (key.character if key.is_printable else None) or "\0"


class Talk:
    """A conversation with the terminal: asks, and takes the answers out of the keys.

    Attributes:
        graphics: what came of it; says :data:`NOT_YET` until the last answer.
        over: the last answer is there.
    """

    def __init__(
        self,
        send: Callable[[str], None],
        *,
        cell: tuple[int, int] | None = None,
        colour: bool = True,
    ) -> None:
        """Prepare to ask.

        Args:
            send: writes to the terminal.
            cell: size of a cell in pixels where known.
            colour: the screens show colours.
        """
        self._send, self._cell, self._colour = send, cell, colour
        self._held: list[Key] = []
        self._kitty: bool | None = None
        self.graphics = Graphics(why=NOT_YET, cell=cell or CELL)
        self.over = False

    def begin(self) -> None:
        """Ask."""
        self._send(FIRST_QUESTION)

    def take(self, key: Key) -> list[Key]:
        """Take a key that may belong to an answer; returns the keys that belong to none."""
        if self.over:
            return [key]
        text = "".join(_character(held) for held in self._held)
        # A line that breaks off within an answer makes the escape character a key.
        text += "^" if key.key == "escape" and self._held else _character(key)
        if _ANSWER.fullmatch(text):
            self._held = []
            self._answered(text)
            return []
        if _BEGUN.fullmatch(text):
            self._held.append(key)
            return []
        released = self.release()
        return [*released, *self.take(key)] if released else [key]

    def release(self) -> list[Key]:
        """Give back what began like an answer and is none."""
        held, self._held = self._held, []
        return held

    @property
    def holds(self) -> bool:
        """Whether something that began like an answer is held."""
        return bool(self._held)

    def _answered(self, text: str) -> None:
        kind, numbers = text[-1], [int(n) for n in re.findall(r"\d+", text)]
        if "_G" in text:
            self._kitty = self._kitty or text.endswith(";OK^\\")
        elif kind == "t" and len(numbers) == 3 and numbers[0] == 6:
            said = _sound(numbers[2], numbers[1])
            if said is not None:
                self.graphics = replace(self.graphics, cell=self._cell or said)
        elif kind == "S" and numbers[:2] == [1, 0] and len(numbers) == 3:
            self.graphics = replace(self.graphics, colours=max(2, min(numbers[2], COLOURS)))
        elif kind == "S" and numbers[:2] == [2, 0] and len(numbers) == 4:
            self.graphics = replace(self.graphics, largest=(numbers[2], numbers[3]))
        elif kind == "c":
            self._attributes(numbers)

    def _attributes(self, numbers: Sequence[int]) -> None:
        """Decide.

        Sixel goes before Kitty's protocol: terminals with both (Konsole, WezTerm) lack the part of
        Kitty's that lets a picture scroll with the text around it.
        """
        if 4 in numbers[1:]:
            self._end("sixel", "")
        elif self._kitty:
            self._end("kitty", "") if self._colour else self._end("", NO_COLOUR)
        elif self._kitty is None:
            self._kitty = False
            self._send(KITTY_QUESTION)
        else:
            self._end("", "No pictures: this terminal knows neither Kitty graphics nor Sixel.")

    def _end(self, protocol: str, why: str) -> None:
        self.over = True
        self.graphics = replace(self.graphics, protocol=protocol, why=why)


def load_pictures() -> Any:
    """Load the module of widgets that show a picture.

    The library asks the terminal itself when it is imported, which would take keys away from the
    screens. Where its output is no terminal it does not.

    Raises:
        ImportError: the extra is not installed.
    """
    import io
    import sys

    if "textual_image.widget" not in sys.modules:
        module = vars(sys)
        stdout = module["__stdout__"]
        try:
            module["__stdout__"] = io.StringIO()
            import textual_image.widget  # noqa: F401
        finally:
            module["__stdout__"] = stdout
    from irkit.tui.widgets import picture

    return picture
