"""Notification opens where the work lies: never on a fact that nobody needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tui_driving import press, settle

from irkit.playbook.form import FormData, read_form
from irkit.tui.widgets.tables import PagedTable


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({0: "missing", 5: "missing"}, 0),
        ({3: "you", 4: "proposed", 9: "missing"}, 9),
        ({3: "you", 6: "proposed"}, 6),
        ({3: "you", 7: "promised"}, 7),
        ({3: "irkit", 8: "you"}, 3),
    ],
)
async def test_cursor_starts_on_what_is_still_required(
    filled, make_app, monkeypatch, states: dict[int, str], expected: int
) -> None:
    def form(case, phase) -> FormData:
        data = read_form(case, phase)
        rows = [replace(row, state="optional", text="") for row in data.rows]
        for at, state in states.items():
            rows[at] = replace(rows[at], state=state)
        return replace(data, rows=tuple(rows), missing=list(states.values()).count("missing"))

    monkeypatch.setattr("irkit.tui.screens.notification.read_form", form)
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "7")
        table = app.screen.query_one("#facts", PagedTable)
        assert table.cursor_row == expected
        # Another phase needs other facts, so the cursor goes to its first one again.
        await press(pilot, "G", "t")
        assert table.cursor_row == expected
        if "missing" not in states.values() and "proposed" not in states.values():
            await press(pilot, "n")
            assert any("Nothing is missing" in note.message for note in app._notifications)
