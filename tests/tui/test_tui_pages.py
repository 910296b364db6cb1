"""The packet's pages on the screen, and what changed since the packet before."""

from __future__ import annotations

from tui_driving import press, settle, shown, until

from irkit import flow
from irkit.flow.reporting import DraftPages
from irkit.model import Phase
from irkit.tui.screens.notification import pages_text
from irkit.tui.verbs import Verbs
from irkit.tui.widgets.pages import PagesDialog


def test_pages_are_drawn_without_a_trace(filled) -> None:
    before = len(list(filled.custody.entries()))
    held = sorted(filled.path.rglob("*"))
    drawn = flow.draft_pages(filled, Phase.PRELIMINARY)
    pages = drawn.texts
    assert len(pages) > 2 and drawn.changes == [] and drawn.pdf.startswith(b"%PDF")
    assert any("Art. 33" in page for page in pages)
    assert len(list(filled.custody.entries())) == before
    assert sorted(filled.path.rglob("*")) == held


async def test_pages_and_changes_are_shown(filled, make_app) -> None:
    class Drawn(Verbs):
        def pages(self, case, phase):
            assert not case.writable
            return DraftPages(
                ["first page", "second [b]page"],
                [{"label": "People", "before": "3", "now": "5"}],
            )

    app = make_app(filled, verbs=Drawn())
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "7", "V")
        await until(pilot, lambda: isinstance(app.screen, PagesDialog))
        text = shown(app)
        for words in ("CHANGED SINCE", "before: 3", "now:    5", "page 2 of 2", "second [b]page"):
            assert words in text


def test_no_change_is_said() -> None:
    assert "first packet" in pages_text(["x"], [])
