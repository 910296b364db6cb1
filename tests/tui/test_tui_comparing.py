"""Comparing actors, seeing who acts together, the evidence of one detector, the end of activity."""

from __future__ import annotations

import fictional_case as fiction
from textual.widgets import TextArea
from tui_driving import press, replaying, settle, shown, write

from irkit.tui.widgets.dialogs import TextDialog
from irkit.tui.widgets.tables import PagedTable


async def test_two_actors_are_compared_and_a_campaign_shows_its_members(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(160, 48)) as pilot:
        await settle(pilot)
        await press(pilot, "2")
        table = app.screen.query_one(PagedTable)
        table.go_to("campaign:campaign-01")
        await settle(pilot)
        text = shown(app)
        assert "2 members" in text and "What they share" in text
        table.go_to(f"credential:{fiction.EXTRACTOR}")
        await press(pilot, "c")
        table.go_to(f"credential:{fiction.MEMBERSHIP}")
        await press(pilot, "c")
        assert isinstance(app.screen, TextDialog)
        said = app.screen.query_one(TextArea).text
        assert "records asked for: 39 and 60 queries" in said
        for _, name, mail, *_ in fiction.PEOPLE:
            assert name.split()[1] not in said and mail not in said


async def test_the_curve_of_one_detector_and_the_end_of_activity(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        replay = await replaying(app, pilot, fiction.EXTRACTOR)
        assert replay.detectors == ("prefix_continuation_probe",)
        await press(pilot, "d", "down", "enter")
        assert replay.detector == "prefix_continuation_probe"
        assert "prefix continuation probe" in shown(app)
        await press(pilot, "O")
        assert replay.position == 47


async def test_what_was_revealed_is_masked_on_moving_on(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "r")
        await write(pilot, "compare with the ticket")
        await press(pilot, "enter")
        assert app.session.revealed("x0010") and "Tove Lindqvist" in shown(app)
        await press(pilot, "j", "k")
        assert not app.session.revealed("x0010") and "Tove" not in shown(app)
        await press(pilot, "r")
        await write(pilot, "once more")
        await press(pilot, "enter", "2", "4")
        assert not app.session.reveal_left() and "Tove" not in shown(app)
