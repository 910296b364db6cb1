"""Judging many exposures: marks, one note for all, one undo, and the drawn sample."""

from __future__ import annotations

import fictional_case as fiction
from textual.widgets import Input
from tui_driving import press, settle, shown, write

from irkit import flow
from irkit.case import views
from irkit.case.review import Verdict
from irkit.model import Stage
from irkit.tui.screens.exposures import ExposuresScreen
from irkit.tui.widgets.dialogs import AskDialog
from irkit.tui.widgets.tables import PagedTable


async def test_marked_rows_are_judged_together_and_taken_back_as_one(filled, make_app) -> None:
    flow.review(filled, "x0010", Verdict.UNSURE, "asked the clinic")
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "space", "space", "space", "space")
        screen = app.screen
        assert isinstance(screen, ExposuresScreen)
        assert "4 marked" in shown(app) and shown(app).count("▸") == 4
        await press(pilot, "k", "space")
        assert list(screen.marks) == ["x0010", "x0015", "x0020"], "a mark is taken off again"
        await press(pilot, "x")
        assert isinstance(app.screen, AskDialog)
        await press(pilot, "enter")
        assert isinstance(app.screen, AskDialog), "many at once need a reason"
        await write(pilot, "test data of the vendor")
        await press(pilot, "enter")
        assert views.review_counts(filled.con) == {"reject": 3, "open": 6}
        rows = filled.rows("SELECT exposure_id, note FROM review WHERE verdict = 'reject'")
        assert {note for _, note in rows} == {"test data of the vendor"}
        last = list(filled.custody.entries())[-1]
        assert last.detail["exposures"] == ["x0010", "x0015", "x0020"] and last.detail["note"]
        assert not screen.marks and "▸" not in shown(app)
        await press(pilot, "z")
        assert views.review_counts(filled.con) == {"unsure": 1, "open": 8}, "as it was before"
        [(verdict, note)] = filled.rows(
            "SELECT verdict, note FROM review WHERE exposure_id = 'x0010' ORDER BY rowid DESC"
            " LIMIT 1"
        )
        assert (verdict, note) == ("unsure", "asked the clinic")


async def test_a_page_is_marked_and_escape_unmarks(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "v")
        screen = app.screen
        assert isinstance(screen, ExposuresScreen)
        assert len(screen.marks) == 9
        await press(pilot, "escape")
        assert not screen.marks
        await press(pilot, "v", "v")
        assert not screen.marks


async def test_a_sample_is_drawn_judged_in_order_and_says_what_held(filled, make_app) -> None:
    filled.mark_stage(Stage.SCOPE, "scope", "x", {"notes": []})
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "d")
        assert isinstance(app.screen, AskDialog)
        assert app.screen.query_one(Input).value == "50"
        await write(pilot, "none")
        await press(pilot, "enter")
        assert isinstance(app.screen, AskDialog), "a number is needed"
        await write(pilot, "50")
        await press(pilot, "enter")
        screen = app.screen
        assert isinstance(screen, ExposuresScreen) and screen.sampling
        drawn = filled.rows(
            "SELECT exposure_id FROM review_sample GROUP BY 1 ORDER BY min(position), 1"
        )
        table = screen.query_one("#exposures", PagedTable)
        assert set(table.keys) == {row[0] for row in drawn}
        places = dict(
            filled.rows("SELECT exposure_id, min(position) FROM review_sample GROUP BY 1")
        )
        assert [places[key] for key in table.keys] == sorted(places.values())
        assert "records" in shown(app) and "0 of " in shown(app)
        first = table.selected_key
        await press(pilot, "c")
        assert table.selected_key != first, "on to the next one"
        for _ in range(len(drawn)):
            await press(pilot, "c")
        strata = flow.sampled(filled)
        assert all(row["judged"] == row["drawn"] for row in strata)
        assert "100%–100% held" in shown(app)
        assert "✓" in shown(app)
        for _, name, mail, *_ in fiction.PEOPLE:
            assert name.split()[1] not in shown(app) and mail not in shown(app)
        await press(pilot, "d")
        assert not screen.sampling and screen.browse.sort == "people"
        await press(pilot, "d")
        assert screen.sampling, "the same sample again, without asking"
