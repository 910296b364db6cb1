"""A page of a PDF as a picture that fills whole cells of the terminal."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from irkit.errors import IrkitError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Most pixels of a picture (18 MB while it is drawn): an A4 page over 100 cells of 20 by 40 pixels.
MAX_PIXELS = 6_000_000
#: Most rows of a picture; Kitty's protocol counts rows up to 297.
MAX_ROWS = 280

# PDFium must not be called from two threads at once (its own documentation).
_ONE_AT_A_TIME = threading.Lock()


def fitted(page: tuple[float, float], columns: int, cell: tuple[int, int]) -> tuple[int, int]:
    """Return the columns and rows of cells that a page takes.

    Args:
        page: width and height of the page, in any unit.
        columns: cells that there is room for.
        cell: width and height of a cell in pixels.
    """
    ratio = page[1] / page[0]
    room = cell[0] * max(1, columns)
    across = min(room, MAX_ROWS * cell[1] / ratio, math.sqrt(MAX_PIXELS / ratio))
    wide = max(1, int(across) // cell[0])
    return wide, max(1, math.ceil(wide * cell[0] * ratio / cell[1]))


def draw_page(pdf: bytes, number: int, columns: int, cell: tuple[int, int]) -> Image:
    """Draw a page at the width of some cells; what is left of the last row of cells is white.

    Args:
        pdf: the document.
        number: which page, from 0.
        columns: cells that there is room for.
        cell: width and height of a cell in pixels.

    Raises:
        IrkitError: the page cannot be drawn.
        ImportError: the extra is not installed.
    """
    import pypdfium2
    from PIL import Image

    try:
        with _ONE_AT_A_TIME:
            document = pypdfium2.PdfDocument(pdf)
            try:
                page = document[number]
                size = page.get_size()
                wide, high = fitted(size, columns, cell)
                width, height = wide * cell[0], high * cell[1]
                # The bitmap belongs to PDFium: what is kept is a copy.
                bitmap = page.render(scale=width / size[0])
                drawn = bitmap.to_pil().convert("RGB").crop((0, 0, width, height)).copy()
                inked = (min(width, bitmap.width), min(height, bitmap.height))
            finally:
                document.close()
    except (pypdfium2.PdfiumError, IndexError, ZeroDivisionError, ValueError) as error:
        raise IrkitError(
            f"Page {number + 1} could not be drawn as a picture", "read it as text"
        ) from error
    sheet = Image.new("RGB", (width, height), "white")
    sheet.paste(drawn.crop((0, 0, *inked)), (0, 0))
    return sheet
