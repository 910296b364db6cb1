"""Every screen at four widths: what carries the meaning is there, and nothing hidden is."""

from __future__ import annotations

import fictional_case as fiction
import pytest
from tui_driving import press, settle, shown

from irkit.tui.actions import SCREENS, actions_for
from irkit.tui.widgets.dialogs import ErrorDialog

#: Headings without which a table says nothing, by the digit of its screen.
MEANING = {
    "2": ("Tier", "Actor"),
    "4": ("Provenance", "Masked"),
    "5": ("State", "Step"),
    "6": ("Applies", "Time", "Rule"),
    "7": ("State", "Fact", "Value"),
    "8": ("State", "File"),
    "9": ("File", "Reason"),
}


@pytest.mark.parametrize("width", [60, 80, 110, 140, 200])
async def test_every_screen_says_what_matters(filled, make_app, width: int) -> None:
    app = make_app(filled)
    async with app.run_test(size=(width, 24), notifications=True) as pilot:
        await settle(pilot)
        for digit, (name, label, short) in enumerate(SCREENS, 1):
            await press(pilot, str(digit))
            assert not isinstance(app.screen, ErrorDialog)
            lines = shown(app).splitlines()
            assert len(lines) == 24 and name == app.screen.PLACE
            status, tabs, footer = lines[0], lines[1], lines[-1]
            assert "48 h 12 min left" in status and "masked" in status and "verified" in status
            assert f"{digit} {label}" in tabs or f"{digit} {short}" in tabs, tabs
            last = tabs.split()[-1]
            names = (*SCREENS[-1][1:], SCREENS[-1][2][:3])
            assert last in names, "no tab is cut at the edge"
            assert not [n for n in range(1, len(SCREENS) + 1) if f"{n} " not in tabs], tabs
            assert "? Help" in footer and "^p Commands" in footer
            own = [a for a in actions_for(name) if a.footer and name in a.places]
            for action in own[:2]:
                assert action.label in footer, action.label
            for heading in MEANING.get(str(digit), ()):
                assert heading in shown(app), (name, heading)
            for _, person, mail, phone, born, _ in fiction.PEOPLE:
                for value in (person.split()[1], mail, phone, born):
                    assert value not in shown(app), name
