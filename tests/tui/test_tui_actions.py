"""The registry is the whole truth about what can be done: keys, footer, palette, help agree."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tui_driving import settle

from irkit.tui.actions import ACTIONS, SCREENS, actions_for, bindings
from irkit.tui.app import SCREEN_CLASSES, IrkitApp
from irkit.tui.commands import IrkitCommands
from irkit.tui.screens.help import ABOUT, help_content
from irkit.tui.screens.start import StartScreen
from irkit.tui.widgets.pages import PagesDialog
from irkit.tui.widgets.words import KeyBar

PLACES = [name for name, _, _ in SCREENS]


def test_every_action_has_a_method_where_it_belongs() -> None:
    owners = {**SCREEN_CLASSES, "start": StartScreen, "app": IrkitApp, "pages": PagesDialog}
    for action in ACTIONS:
        for place in action.places:
            name = "action_" + action.id.split("(")[0]
            assert callable(getattr(owners[place], name, None)), f"{place}.{name}"


@pytest.mark.parametrize("place", [*PLACES, "start"])
def test_no_key_means_two_things_on_one_screen(place: str) -> None:
    seen: dict[str, str] = {}
    for action in actions_for(place):
        for key in action.keys:
            assert seen.setdefault(key, action.id) == action.id, f"{place}: {key}"


def test_screens_have_help_and_their_digit() -> None:
    assert set(PLACES) == set(SCREEN_CLASSES)
    for number, name in enumerate(PLACES, 1):
        assert ABOUT[name]
        [binding] = [b for b in bindings("app") if b.action == f"go('{name}')"]
        assert binding.key == str(number)


@pytest.mark.parametrize("place", [*PLACES, "start"])
def test_help_lists_every_action(place: str) -> None:
    text = help_content(place).plain
    for action in actions_for(place):
        assert action.title in text


async def test_the_footer_fits_and_the_palette_lists_everything(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for name in PLACES:
            app.action_go(name)
            await settle(pilot)
            footer = app.screen.query_one(KeyBar)
            wanted = {a.label for a in actions_for(name) if a.footer}
            assert {words for _, _, words, _ in footer.keys} == wanted, name
            drawn = footer.render()
            assert drawn.cell_length <= 80, name
            assert all(words in drawn.plain for words in wanted), name
            provider = IrkitCommands(app.screen)
            offered = {hit.display async for hit in provider.discover()}
            for action in actions_for(name):
                assert any(str(words).startswith(action.title) for words in offered), action.title


def test_the_room_is_not_loaded_until_the_screens_are_shown() -> None:
    code = (
        "import sys, irkit.cli, irkit.tui;"
        "print([m for m in ('textual', 'rich', 'duckdb') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "textual" not in done.stdout


def test_the_screens_do_not_know_the_command_line() -> None:
    code = "import sys, irkit.tui.app; print('irkit.cli' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
