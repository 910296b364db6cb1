"""A picture among the screens' text; import it by :func:`irkit.tui.graphics.load_pictures` only."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from PIL.Image import Image
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.widget import Widget
from textual_image import _terminal
from textual_image.renderable import tgp
from textual_image.widget import SixelImage, SixelOptions, TGPImage, sixel

from irkit.tui.graphics import Graphics

#: Characters of a picture in one message (kitty graphics protocol, "The transmission medium").
CHUNK = 4096
#: What a Sixel picture begins with: introducer and size (DEC STD 070, chapter 9).
_HEAD = re.compile(r"\x1bP[\d;]*q(?:\"[\d;]+)?")
_DEFINED = re.compile(r"(#\d+);2;\d+;\d+;\d+")


class _Placed(tgp.Image):  # type: ignore[misc]
    """A picture in Kitty's protocol, sent through the screens' own output.

    The library writes to the terminal beside Textual, whose thread may be in the middle of a
    sequence, and names a picture by any of 2^24 colours, of which a terminal that was told of 256
    shows another.
    """

    send: Callable[[str], None]
    # 240 colours of the palette that no theme changes, and a byte of ours among other programs'.
    _numbers = count()
    terminal_image_id: int | None

    def cleanup(self) -> None:
        number = self.terminal_image_id
        if number:
            self.send(f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\")
            self.terminal_image_id = None

    def _send_image_to_terminal(self, width: int, height: int) -> None:
        number = (os.getpid() & 255) << 24 | 16 + next(self._numbers) % 240
        self.terminal_image_id = number
        data: str = self._image_data.scaled(width, height).to_base64()
        for at in range(0, len(data), CHUNK):
            more = int(at + CHUNK < len(data))
            keys = f"i={number},f=100,q=2,m={more}" if at == 0 else f"m={more},q=2"
            self.send(f"\x1b_G{keys};{data[at : at + CHUNK]}\x1b\\")

    def _create_virtual_placement(self, width: int, height: int) -> None:
        self.send(f"\x1b_Ga=p,i={self.terminal_image_id},c={width},r={height},U=1,q=2\x1b\\")

    def _render_diacritics(self, width: int, height: int) -> Iterator[Segment]:
        style = Style(color=f"color({(self.terminal_image_id or 0) & 255})")
        for segment in super()._render_diacritics(width, height):
            yield Segment(segment.text, style)


class KittyPicture(TGPImage, Renderable=_Placed):  # type: ignore[misc, call-arg]
    """A picture in Kitty's protocol; the terminal forgets it when it is taken away."""

    def on_unmount(self) -> None:
        """Let the terminal free it."""
        if self._renderable:
            self._renderable.cleanup()


class _Sixels(sixel._ImageSixelImpl):  # type: ignore[misc]
    """Sixel data in which every colour is defined before the first is used.

    The library defines a colour where it is first used and draws on, as DEC's terminals did; xterm
    takes that for the definition alone and draws with the colour of before.
    """

    def _image_to_sixels(self, *arguments: Any, **more: Any) -> str:
        data: str = super()._image_to_sixels(*arguments, **more)
        head = _HEAD.match(data)
        if head is None:
            return data
        colours = "".join(found[0] for found in _DEFINED.finditer(data))
        return head[0] + colours + _DEFINED.sub(r"\1", data[head.end() :])


class SixelPicture(SixelImage, Renderable=SixelImage._Renderable):  # type: ignore[misc, call-arg]
    """A picture as Sixel."""

    def compose(self) -> ComposeResult:
        """Put the data in the place of the library's."""
        yield _Sixels(self.image, self._sixel_options)


def picture(graphics: Graphics, image: Image, send: Callable[[str], None]) -> Widget:
    """Return a widget that shows a picture in whole cells.

    Args:
        graphics: how; it must have a protocol.
        image: the picture, a whole number of cells wide and high.
        send: writes to the terminal in turn with the screens' own output.
    """
    # The library asks for this once and keeps it, but a terminal's font can change.
    vars(_terminal.get_cell_size)["_result"] = _terminal.CellSize(*graphics.cell)
    made: Any
    if graphics.protocol == "sixel":
        made = SixelPicture(
            image, sixel_options=SixelOptions(colors=graphics.colours, quantize="adaptive")
        )
    else:
        _Placed.send = staticmethod(send)
        made = KittyPicture(image)
    made.styles.width = image.width // graphics.cell[0]
    made.styles.height = image.height // graphics.cell[1]
    widget: Widget = made
    return widget
