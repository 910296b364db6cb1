"""Copying what is shown, how long a value stays revealed, and hints that follow changed keys."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import fictional_case as fiction
import pytest
from textual.content import Content
from tui_driving import press, settle, shown, write

from irkit.case import Case, fixed_clock
from irkit.case.settings import Settings
from irkit.errors import UsageError
from irkit.tui.actions import ACTIONS
from irkit.tui.keymap import remapped
from irkit.tui.screens.help import help_content
from irkit.tui.widgets.dialogs import ChooseDialog


async def test_a_cell_or_a_row_is_copied_as_shown(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        copied: list[str] = []
        app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        await press(pilot, "2", "y", "Y")
        assert isinstance(app.screen, ChooseDialog)
        await press(pilot, "enter", "Y", "j", "j", "enter")
        assert copied[0] == copied[2] and copied[0] in copied[1].split("\t")
        # Whatever is revealed on the screen, a row holds masks only.
        await press(pilot, "4", "r")
        await write(pilot, "compare with the ticket")
        await press(pilot, "enter")
        assert "Tove Lindqvist" in shown(app)
        await press(pilot, "Y", "enter")
        assert "•" in copied[-1] and "Tove" not in copied[-1] and "Lindqvist" not in copied[-1]
        for place in ("1", "5", "6", "7", "8", "9"):
            await press(pilot, place, "Y", "enter")
        assert len(copied) == 10 and all(copied)
        for _, name, mail, phone, _, _ in fiction.PEOPLE:
            assert not any(value in text for text in copied for value in (name, mail, phone))


async def test_copying_without_a_row_says_so(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "3", "Y")
        assert not isinstance(app.screen, ChooseDialog)


async def test_how_long_a_value_is_shown_is_a_setting_of_the_case(case_path, make_app) -> None:
    config = case_path / "case.toml"
    text = config.read_text("utf-8")
    assert "reveal_seconds = 30" in text
    config.write_text(text.replace("reveal_seconds = 30", "reveal_seconds = 8"), "utf-8")
    with Case.open(case_path, write=True, clock=fixed_clock("2026-10-16T09:00:00+02:00")) as case:
        app = make_app(case)
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            clock = [0.0]
            app.session._monotonic = lambda: clock[0]
            await press(pilot, "4", "r")
            assert "Shown for 8 seconds" in " ".join(shown(app).split())
            await write(pilot, "look")
            await press(pilot, "enter")
            assert "REVEALED 8 s" in shown(app) and "Tove" in shown(app)
            clock[0] = 8.0
            app._tick()
            await settle(pilot)
            assert "Tove" not in shown(app)
        assert '"seconds":8' in case.custody.path.read_text("utf-8").replace(" ", "")


def test_the_setting_has_bounds_and_changes_no_result() -> None:
    with pytest.raises(UsageError):
        Settings(reveal_seconds=0)
    assert replace(Settings(), reveal_seconds=5).digest() == Settings().digest()


async def test_masks_on_the_screen_tell_no_length(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        detail = str(app.screen.query_one("#detail-text").content)
        assert "•••" in detail and "••••" not in detail and "•@" not in detail


KEYS = {
    "overview": {"preserve": "f8", "scope": "f9"},
    "actors": {"quiet": "f10", "filter": "f6"},
    "exposures": {"people": "f7", "reveal": "f4", "undo": "f2"},
    "notification": {"missing": "f2", "packet": "f3"},
    "everywhere": {"go_overview": "f11", "copy_from_row": "f12"},
}


def _write(path: Path) -> None:
    lines = []
    for place, keys in KEYS.items():
        lines.append(f"[{place}]")
        lines += [f'{name} = "{key}"' for name, key in keys.items()]
    path.mkdir(parents=True, exist_ok=True)
    (path / "keys.toml").write_text("\n".join(lines), "utf-8")


async def test_hints_name_the_keys_that_hold(empty, make_app, tmp_path) -> None:
    _write(tmp_path / "config" / "irkit")
    app = make_app(empty)
    assert not app.keymap.problems
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await settle(pilot)
        for digit, words in (
            ("f11", "press F8 to add logs"),
            ("2", "Press F10 to see everyone tested, or F11 then F9"),
            ("3", "Press F11 to see what is still to do, or 2, then F10"),
            ("4", "press F11, then F9"),
            ("6", "Press F11, then F9"),
        ):
            await press(pilot, digit)
            assert words in " ".join(shown(app).split()), digit
        assert "F11 Overview" in shown(app), "tabs too"


async def test_hints_beside_rows_name_the_keys_that_hold(filled, make_app, tmp_path) -> None:
    _write(tmp_path / "config" / "irkit")
    app = make_app(filled)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        assert "masked, F4 reveals" in shown(app)
        await press(pilot, "f7")
        assert "F7 shows exposures" in shown(app)


def test_help_names_the_keys_that_hold() -> None:
    keymap = remapped(KEYS)
    told = help_content("notification", keymap.actions).plain
    assert "F2 goes to the next missing fact, F3 builds the packet" in " ".join(told.split())
    assert "F12 a cell or a row as shown" in told
    assert isinstance(help_content("exposures", keymap.actions), Content)


def test_no_help_text_holds_an_open_place() -> None:
    for place in {place for action in ACTIONS for place in action.places}:
        assert not re.search(r"\{\w+\}", help_content(place).plain), place


def test_a_hint_cannot_name_an_action_that_is_not_there() -> None:
    keymap = remapped({})
    assert keymap.key("undo", "exposures") == "z"
    assert keymap.key("assess", "overview").endswith("Assess"), "in the palette"
    with pytest.raises(KeyError):
        keymap.key("undo", "actors")
