"""The timeline of the overview: closer, sideways, whole again, and who was active then."""

from __future__ import annotations

from tui_driving import press, settle, shown

from irkit.tui.screens.actors import ActorsScreen
from irkit.tui.widgets.charts import Timeline


async def test_zoom_pan_and_whole_say_what_is_shown(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        chart = app.screen.query_one(Timeline)
        whole = chart.activity
        assert whole is not None and whole.said is not None and not whole.part
        assert "202 calls, 100 of flagged actors" in shown(app)
        await press(pilot, "right_square_bracket")
        assert chart.activity == whole, "the whole cannot be moved"
        await press(pilot, "plus", "plus")
        near = chart.activity
        assert near.part and near.bucket_seconds < whole.bucket_seconds
        assert near.queries < 202 and f"{near.queries} calls" in shown(app)
        await press(pilot, "right_square_bracket")
        later = chart.activity
        assert later.shown.start > near.shown.start
        await press(pilot, "left_square_bracket", "left_square_bracket")
        assert chart.activity.shown.start < later.shown.start
        await press(pilot, "f5")
        assert chart.activity.part, "reading again keeps the part"
        await press(pilot, "0")
        assert chart.activity == whole
        await press(pilot, *["plus"] * 12)
        assert 60 <= chart.activity.shown.length.total_seconds() <= 90
        await press(pilot, "0", "plus", "t")
        screen = app.screen
        assert isinstance(screen, ActorsScreen) and "last>=2026-10-1" in screen.browse.where.text


async def test_nothing_dated_is_said(empty, make_app) -> None:
    app = make_app(empty)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "plus", "right_square_bracket", "0", "t")
        assert "No calls yet: no timeline." in shown(app)
