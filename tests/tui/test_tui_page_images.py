"""Pages as pictures: when, how large, and what is shown where there can be none."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas
from textual._xterm_parser import XTermParser
from textual.events import Key
from textual.widgets import TextArea
from tui_driving import press, settle, shown, until

from irkit.errors import IrkitError
from irkit.flow.reporting import DraftPages
from irkit.tui.drawing import MAX_PIXELS, MAX_ROWS, draw_page, fitted
from irkit.tui.graphics import NOT_YET, Graphics, Talk, decide, load_pictures
from irkit.tui.verbs import Verbs
from irkit.tui.widgets.pages import PagesDialog

needs_extra = pytest.mark.skipif(
    find_spec("pypdfium2") is None or find_spec("textual_image") is None,
    reason="the extra 'images' is not installed",
)
KITTY = "\x1b_Gi=31;OK\x1b\\"
TERM = {"TERM": "xterm-256color"}


def pdf(pages: int = 3) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(600, 800))
    for number in range(pages):
        canvas.rect(0, 400, 300, 400, stroke=0, fill=1)  # the upper left quarter is black
        canvas.drawString(350, 100, f"page {number + 1}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@pytest.mark.parametrize(
    ("env", "tty", "missing", "words"),
    [
        ({**TERM, "IRKIT_IMAGES": "no"}, True, (), "IRKIT_IMAGES is no"),
        ({**TERM, "IRKIT_IMAGES": "\x1b[31m"}, True, (), "not one of auto, kitty, sixel, no"),
        (TERM, False, (), "not shown on a terminal"),
        ({**TERM, "IRKIT_IMAGES": "kitty"}, False, (), "not shown on a terminal"),
        (TERM, True, ("pypdfium2",), "irkit[images]"),
        ({**TERM, "IRKIT_IMAGES": "sixel"}, True, ("textual_image",), "irkit[images]"),
        ({}, True, (), "text alone"),
        ({"TERM": "linux", "IRKIT_IMAGES": "kitty"}, True, (), "text alone"),
        ({**TERM, "TERM_PROGRAM": "Apple_Terminal"}, True, (), "text alone"),
        ({**TERM, "TMUX": "/run/x,1,0"}, True, (), "tmux stands between"),
        ({"TERM": "tmux-256color", "IRKIT_IMAGES": "kitty"}, True, (), "tmux stands between"),
        ({"TERM": "screen"}, True, (), "screen stands between"),
        ({**TERM, "NO_COLOR": "1", "IRKIT_IMAGES": "kitty"}, True, (), "NO_COLOR is set"),
    ],
)
def test_the_terminal_is_not_asked_where_pictures_cannot_be(env, tty, missing, words) -> None:
    found = decide(env, tty=tty, missing=missing)
    assert found is not None and not found.protocol
    assert words in found.why and "\x1b" not in found.why


@pytest.mark.parametrize(
    ("env", "protocol"),
    [
        ({"IRKIT_IMAGES": "Kitty"}, "kitty"),
        ({"IRKIT_IMAGES": "sixel", "TMUX": "x"}, "sixel"),
        ({"IRKIT_IMAGES": "sixel", "NO_COLOR": "1"}, "sixel"),
    ],
)
def test_a_person_may_decide(env, protocol) -> None:
    found = decide({**TERM, **env}, tty=True, missing=(), cell=(9, 18))
    assert found == Graphics(protocol, "", (9, 18))
    assert decide(TERM, tty=True, missing=()) is None, "else the terminal is asked"


def talk_with(raw: str, *, colour: bool = True, pieces: int = 10_000) -> tuple[Talk, str, str]:
    """Let a terminal say something; returns the talk, what was asked and the keys left over."""
    asked: list[str] = []
    talk = Talk(asked.append, colour=colour)
    talk.begin()
    parser, left = XTermParser(), []
    for at in range(0, len(raw), pieces):
        events = list(parser.feed(raw[at : at + pieces]))
        with pytest.MonkeyPatch.context() as patch:
            later = time.perf_counter() + 1
            patch.setattr("textual._parser.get_time", lambda later=later: later)
            events += list(parser.tick())
        for event in events:
            assert isinstance(event, Key)
            left += [key.character for key in talk.take(event)]
    left += [key.character for key in talk.release()]
    return talk, "".join(asked), "".join(left)


@pytest.mark.parametrize(
    ("raw", "protocol"),
    [
        ("\x1b[?62;4;22c", "sixel"),
        ("\x1b[?64;14;40c\x1b[?64;14;40c", ""),
        ("\x1b[?62c" + KITTY + "\x1b[?62c", "kitty"),
        ("\x1b[?62c\x1b_Gi=31;ENODATA\x1b\\\x1b[?62c", ""),
        ("\x1b[?4c\x1b[?4c", ""),  # the first number is the terminal's class
        (
            "\x1b[6;18;9t\x1b[?1;0;16S\x1b[?2;0;1000;800S\x1b[?64;1;2;4;6;9;15;16;17;18;21;22c",
            "sixel",
        ),
    ],
)
@pytest.mark.parametrize("pieces", [10_000, 7])
def test_answers_of_terminals_are_no_keys(raw, protocol, pieces) -> None:
    talk, asked, left = talk_with(raw, pieces=pieces)
    # Where a line breaks off just behind it, the escape character alone is a key.
    assert talk.over and talk.graphics.protocol == protocol and left.strip("\x1b") == ""
    assert bool(talk.graphics.why) is not bool(protocol)
    assert ("_Gi=31" in asked) is (protocol != "sixel"), "Kitty's question only without Sixel"
    if "18;9t" in raw:
        assert talk.graphics == Graphics("sixel", "", (9, 18), 16, (1000, 800))


def test_keys_between_the_answers_stay_keys() -> None:
    talk, _, left = talk_with("j\x1b[?62;4cq")
    assert talk.over and left == "jq"
    talk, _, left = talk_with("[j]_^k")
    assert not talk.over and left == "[j]_^k", "what only begins like an answer"
    assert talk.graphics.why == NOT_YET
    talk, _, left = talk_with("\x1b[?62c" + KITTY + "\x1b[?62c", colour=False)
    assert talk.over and "NO_COLOR" in talk.graphics.why


@given(st.text("\x1b[]?_G^;=0123456789ctSOKjq\\", max_size=60))
def test_no_key_is_lost_or_made_up(raw) -> None:
    talk = Talk(lambda _: None)
    given_keys = [Key(f"k{i}", character) for i, character in enumerate(raw)]
    left = [key for one in given_keys for key in talk.take(one)] + talk.release()
    assert [key for key in given_keys if key in left] == left, "in order, and none twice"
    if not re.search(r"[ctS\\]", raw):
        assert left == given_keys, "nothing was an answer"


def test_a_wrong_size_is_not_believed() -> None:
    assert talk_with("\x1b[6;0;0t\x1b[?1;4c")[0].graphics.cell == (10, 20)
    assert talk_with("\x1b[6;9999;9999t\x1b[?1;4c")[0].graphics.cell == (10, 20)


@given(
    st.tuples(st.floats(10, 5000), st.floats(10, 5000)),
    st.integers(-5, 500),
    st.tuples(st.integers(4, 100), st.integers(4, 200)),
)
def test_a_picture_is_bounded(page, columns, cell) -> None:
    wide, high = fitted(page, columns, cell)
    assert 1 <= wide <= max(1, columns)
    if wide > 1:
        assert high <= MAX_ROWS + 1
        assert wide * cell[0] * high * cell[1] <= MAX_PIXELS + wide * cell[0] * cell[1]


@needs_extra
def test_a_page_fills_whole_cells() -> None:
    picture = draw_page(pdf(), 1, 42, (10, 23))
    assert (picture.width, picture.height) == (420, 25 * 23)  # 560 pixels, rounded up to cells
    assert picture.getpixel((50, 50)) == (0, 0, 0)
    assert picture.getpixel((300, 50)) == (255, 255, 255)
    assert picture.getpixel((50, 574)) == (255, 255, 255)


@needs_extra
@pytest.mark.parametrize(
    ("data", "number"),
    [(b"", 0), (b"%PDF-1.7\nnothing", 0), (pdf(1), 1)],
    ids=["empty", "broken", "no such page"],
)
def test_what_cannot_be_drawn_is_said(data, number) -> None:
    with pytest.raises(IrkitError, match=f"Page {number + 1} could not be drawn"):
        draw_page(data, number, 40, (10, 20))


@needs_extra
def test_loading_the_library_asks_nothing(monkeypatch) -> None:
    from PIL import Image

    for name in [name for name in sys.modules if name.startswith("textual_image")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "irkit.tui.widgets.picture", raising=False)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "__stdout__", out)
    environment = dict(os.environ)
    shown_by = load_pictures()
    from textual_image._terminal import get_cell_size

    assert sys.__stdout__ is out and out.getvalue() == "" and dict(os.environ) == environment
    shown_by.picture(Graphics("sixel", "", (9, 18)), Image.new("RGB", (90, 36)), out.write)
    assert get_cell_size() == (9, 18) and out.getvalue() == ""


class Drawn(Verbs):
    """A packet of three pages."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def pages(self, case, phase):
        return DraftPages([f"words of {n}" for n in (1, 2, 3)], [], self.data)


async def test_text_where_there_are_no_pictures(filled, make_app) -> None:
    app = make_app(filled, verbs=Drawn(b""))
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "7", "V")
        await until(pilot, lambda: isinstance(app.screen, PagesDialog))
        text = shown(app)
        assert "words of 1" in text
        assert "No pictures: these" in text
        await press(pilot, "i")
        assert "words of 1" in shown(app)
        await press(pilot, "right_square_bracket", "right_square_bracket")
        area = app.screen.query_one(TextArea)
        assert "page 3 of 3" in area.text.split("\n")[area.cursor_location[0]]


@needs_extra
async def test_pictures_and_text_by_a_key(filled, make_app, monkeypatch) -> None:
    sent: list[str] = []
    app = make_app(filled, verbs=Drawn(pdf()), graphics=Graphics("kitty", "", (10, 20)))
    monkeypatch.setattr(app, "send_terminal", sent.append)
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "7", "V")
        await until(pilot, lambda: "Page 1 of 3" in shown(app))
        await settle(pilot)
        assert "words of" not in shown(app)
        assert "\x1b_G" in "".join(sent)
        await press(pilot, "right_square_bracket")
        await until(pilot, lambda: "Page 2 of 3" in shown(app))
        await press(pilot, "i")
        assert "words of 2" in shown(app)
        await press(pilot, "i")
        await until(pilot, lambda: "Page 2 of 3" in shown(app))
        await press(pilot, "escape")
        assert not isinstance(app.screen, PagesDialog)


@needs_extra
async def test_a_page_that_cannot_be_drawn_is_text(filled, make_app) -> None:
    app = make_app(filled, verbs=Drawn(b"no PDF"), graphics=Graphics("sixel", ""))
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "7", "V")
        await until(pilot, lambda: "could not be drawn" in shown(app))
        assert "words of 1" in shown(app)
