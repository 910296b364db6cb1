"""What the evidence shows and where it ends: on the overview, in full, and where each leads."""

from __future__ import annotations

import fictional_case as fiction
from tui_driving import press, settle, shown

from irkit.case.views.standing import CANARIES
from irkit.tui.screens.exposures import ExposuresScreen
from irkit.tui.screens.quarantine import QuarantineScreen
from irkit.tui.screens.standing import StandingDialog


def planted(case) -> None:
    case.set_meta(CANARIES, "4")
    record = case.rows(
        "SELECT record_id FROM query_record WHERE credential_id = ? ORDER BY 1 LIMIT 1",
        [fiction.EXTRACTOR],
    )[0][0]
    case.con.execute(
        "INSERT INTO entity VALUES (?, 0, 0, 4, 'CANARY', 'irkit', 1, 'pattern', 'memorised',"
        " 'aa')",
        [record],
    )


async def test_gravest_statement_stands_first_and_names_its_screen(filled, make_app) -> None:
    planted(filled)
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        lines = shown(app).splitlines()
        at = next(i for i, text in enumerate(lines) if "where it ends" in text)
        assert "i opens all" in lines[at]
        assert "4 ◆ Canaries" in lines[at + 1] and "1 of 4 planted values" in lines[at + 1]
        assert "9 ! Unread" in lines[at + 2] and "3 entries could not be read" in lines[at + 2]
        assert "i Limits" in lines[-1] and "Commands" in lines[-1]


async def test_each_statement_leads_to_its_detail(filled, make_app) -> None:
    planted(filled)
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "i")
        assert isinstance(app.screen, StandingDialog)
        assert "training data and nowhere else, so the answers come from it" in shown(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, ExposuresScreen)
        assert app.screen.browse.where.text == "type=CANARY"
        await press(pilot, "1", "i", "j", "enter")
        assert isinstance(app.screen, QuarantineScreen)
        await press(pilot, "1", "i", "escape")
        assert app.screen.PLACE == "overview"


async def test_a_case_without_anything_says_so(empty, make_app) -> None:
    app = make_app(empty)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "Nothing beyond the counts" in shown(app)
        await press(pilot, "i")
        assert any("scope first" in note.message for note in app._notifications)
        assert app.screen.PLACE == "overview"
