"""The screens on terminals of several kinds: what they send is a picture of the page, or text."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from irkit.case import Case, fixed_clock

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX", allow_module_level=True)

from fake_terminal import KITTY, SIXEL, FakeTerminal, kitty_pictures, sixel_pictures, words

NOW = "2026-10-16T09:00:00+02:00"
needs_extra = pytest.mark.skipif(
    find_spec("pypdfium2") is None or find_spec("textual_image") is None,
    reason="the extra 'images' is not installed",
)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def page_one(path: Path) -> bytes:
    """The packet as the screens draw it."""
    from irkit import flow
    from irkit.model import Phase

    with Case.open(path, write=False, clock=fixed_clock(NOW)) as case:
        return flow.draft_pages(case, Phase.PRELIMINARY).pdf


def difference(one, other) -> float:
    """Mean difference of two pictures, 0 to 255."""
    from PIL import ImageChops, ImageStat

    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def open_pages(terminal: FakeTerminal) -> int:
    """Go to the pages; returns how much had been sent before."""
    terminal.until(lambda out: "people affected" in words(out))
    terminal.quiet(0.3)
    terminal.write(b"7")
    terminal.until(lambda out: "Name of the controller" in words(out))
    terminal.quiet(0.3)
    before = len(terminal.out)
    assert b"_Gi=31" not in terminal.out and b"\x1b[c" not in terminal.out, "not asked before"
    terminal.write(b"V")
    return before


@needs_extra
def test_kitty_gets_the_page_itself(case_path, env) -> None:
    from irkit.tui.drawing import draw_page

    pdf = page_one(case_path)
    answers = {**KITTY, b"\x1b[c": b"\x1b[?62c"}
    with FakeTerminal(case_path, NOW, answers, env=env) as terminal:
        before = open_pages(terminal)
        terminal.until(lambda out: kitty_pictures(out[before:]) and "Page 1 of" in words(out))
        terminal.quiet(0.3)
        found = kitty_pictures(terminal.out)
        assert len(found) == 1, "one picture, and the page was not drawn twice"
        ((number, picture),) = found.items()
        columns, rows = picture.width // 10, picture.height // 20
        assert difference(picture.convert("RGB"), draw_page(pdf, 0, columns, (10, 20))) == 0
        assert f"a=p,i={number},c={columns},r={rows},U=1" in terminal.out.decode("utf-8", "replace")
        # What stands for the picture has its number as a colour that any terminal keeps.
        assert f"\x1b[38;5;{number & 255}".encode() in terminal.out[before:]
        assert words(terminal.out[before:]).count("\U0010eeee") >= columns
        terminal.write(b"i")
        terminal.until(lambda out: not kitty_pictures(out))
        terminal.write(b"\x1b")
        terminal.quiet(0.3)
        assert terminal.end(b"\x11") == 0


@needs_extra
def test_a_slow_line_gets_text_then_sixel_and_no_answer_is_a_key(case_path, env) -> None:
    from irkit.tui.drawing import draw_page

    pdf = page_one(case_path)
    answers = {**SIXEL, b"\x1b[c": b"\x1b[?62;4;22c"}
    with FakeTerminal(case_path, NOW, answers, env=env, seconds=4.0) as terminal:
        before = open_pages(terminal)
        terminal.until(lambda out: "has not answered" in words(out[before:]))
        terminal.until(lambda out: sixel_pictures(out[before:]))
        terminal.quiet(0.3)
        found = sixel_pictures(terminal.out)
        assert difference(found[0], found[-1]) == 0
        columns = found[0].width // 10
        page = draw_page(pdf, 0, columns, (10, 20)).crop((0, 0, *found[0].size))
        assert difference(found[0], page) < 3, "64 colours of the page's"
        text = words(terminal.out[before:])
        assert "Page 1 of" in text and "Help:" not in text and "_Gi" not in text
        assert terminal.end(b"\x11") == 0


def test_a_terminal_that_never_answers_gets_text(case_path, env) -> None:
    with FakeTerminal(case_path, NOW, {}, env=env) as terminal:
        before = open_pages(terminal)
        terminal.until(lambda out: "page 1 of" in words(out[before:]))
        terminal.quiet(0.3)
        sent = terminal.out[before:]
        assert ("has not answered" in words(sent)) or ("irkit[images]" in words(sent))
        assert b"\x1b_" not in sent and b"\x1bP" not in sent, "no question that it could print"
        assert terminal.end(b"\x11") == 0
