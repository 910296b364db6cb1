"""Keys of the person's own choice: followed where they can be, said where not."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tui_driving import press, settle, shown

from irkit.tui.actions import ACTIONS, actions_for
from irkit.tui.keymap import Keymap, keys_file, load_keys, places, remapped, spelled, template
from irkit.tui.screens.help import help_content
from irkit.tui.widgets.dialogs import ErrorDialog
from irkit.tui.widgets.words import KeyBar


def keys_of(found: Keymap, place: str, name: str) -> tuple[str, ...]:
    [action] = [a for a in found.actions if a.name == name and place in a.places]
    return action.keys


def test_names_are_unique_on_each_screen() -> None:
    for place in (*places(), "app"):
        names = [a.name for a in ACTIONS if place in a.places]
        assert len(names) == len(set(names)), place


def test_a_key_moves_and_the_rest_stays() -> None:
    found = remapped({"replay": {"next_leak": ["f8", "L"]}, "everywhere": {"help": "ctrl+h"}})
    assert found.problems == ()
    assert keys_of(found, "replay", "next_leak") == ("f8", "L")
    assert dict(found.changed) == {"replay.next_leak": "f8,L", "app.help": "ctrl+h"}
    assert keys_of(found, "replay", "onset") == ("o",)


def test_an_action_of_two_screens_may_have_a_key_on_each() -> None:
    found = remapped({"evidence": {"preserve": "f2"}})
    assert keys_of(found, "evidence", "preserve") == ("f2",)
    assert keys_of(found, "overview", "preserve") == ("a",)


def test_two_keys_can_change_places() -> None:
    found = remapped({"exposures": {"confirm": "x", "reject": "c"}})
    assert found.problems == ()
    assert keys_of(found, "exposures", "confirm") == ("x",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"replays": {}}, "no such screen"),
        ({"replay": {"next_leek": "f8"}}, "did you mean next_leak?"),
        ({"replay": {"next_leak": 8}}, "a key or a list of keys"),
        ({"replay": {"next_leak": []}}, "a key or a list of keys"),
        ({"replay": {"next_leak": "hyper+x"}}, "there is no key"),
        ({"replay": {"next_leak": "j"}}, "needed for moving"),
        ({"replay": {"next_leak": "ctrl+q"}}, "needed for every screen"),
        ({"replay": {"next_leak": "o"}}, "'o' already means onset on replay"),
        ({"replay": {"next_leak": "1"}}, "already means go_overview everywhere"),
        ({"everywhere": {"help": "c"}}, "already means compare on actors"),
        ({"exposures": {"confirm": "f2", "reject": "f2"}}, "already means confirm"),
        ({"replay": 3}, "a table is expected"),
    ],
)
def test_a_line_that_cannot_be_followed_is_left_out_and_said(content, words) -> None:
    found = remapped(content)
    assert len(found.problems) == 1 and words in found.problems[0]
    changed = dict(found.changed)
    assert changed in ({}, {"exposures.confirm": "f2"})


@given(
    st.dictionaries(
        st.sampled_from([*places(), "everywhere", "nowhere"]),
        st.dictionaries(
            st.sampled_from([a.name for a in ACTIONS]),
            st.one_of(st.text(max_size=8), st.lists(st.sampled_from("abcxyz?"), max_size=3)),
            max_size=4,
        ),
        max_size=3,
    )
)
def test_whatever_the_file_says_no_key_means_two_things(content) -> None:
    found = remapped(content)
    for place in places():
        seen: dict[str, str] = {}
        for action in actions_for(place, found.actions):
            for key in action.keys:
                assert seen.setdefault(key, action.id) == action.id


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("?", "question_mark"), ("/", "slash"), ("ctrl+k", "ctrl+k"), ("F8", "f8"), ("+", "plus"),
        ("shift+f3", "shift+f3"), ("L", "L"), ("é", "é"), ("ctrl++", "ctrl+plus"), ("", None),
        ("ab", None), ("meta+a", None), ("\x1b", None),
    ],
)  # fmt: skip
def test_spelling(written: str, meant: str | None) -> None:
    assert spelled(written) == meant


@pytest.mark.parametrize("raw", [b"[replay\n", b"\xff\xfe", b"x = [" * 10])
def test_a_broken_file_is_said(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "keys.toml"
    file.write_bytes(raw)
    found = load_keys(file)
    assert found.problems and found.actions == ACTIONS


def test_the_template_holds_every_action_and_changes_nothing() -> None:
    text = template()
    assert remapped(tomllib.loads(text)).problems == ()
    live = "\n".join(line.removeprefix("# ") for line in text.splitlines()[3:])
    found = remapped({k: {n: v for n, v in t.items() if v} for k, t in tomllib.loads(live).items()})
    assert found.problems == (), "what irkit comes with agrees with its own rules"
    assert [a.keys for a in found.actions] == [a.keys for a in ACTIONS]


async def test_keys_footer_palette_and_help_follow_the_file(filled, make_app, tmp_path) -> None:
    file = keys_file()
    assert str(tmp_path) in str(file), "tests never touch a person's own file"
    file.parent.mkdir(parents=True)
    file.write_text('[exposures]\nconfirm = "f6"\n[everywhere]\nhelp = "ctrl+g"\n', "utf-8")
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "c")
        assert filled.rows("SELECT count(*) FROM review") == [(0,)], "the old key does nothing"
        await press(pilot, "f6")
        assert filled.rows("SELECT count(*) FROM review") == [(1,)]
        assert "F6 Confirm" in app.screen.query_one(KeyBar).render().plain
        await press(pilot, "ctrl+g")
        assert "Help: Exposures" in shown(app)
        assert "F6" in help_content("exposures", app.keymap.actions).plain


async def test_wrong_lines_are_said_at_the_start_and_the_rest_counts(filled, make_app) -> None:
    file = keys_file()
    file.parent.mkdir(parents=True)
    file.write_text('[replay]\nonset = "n"\nwhy = "f9"\n', "utf-8")
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, ErrorDialog)
        assert "already means next_leak" in " ".join(shown(app).split())
        await press(pilot, "escape")
        assert keys_of(app.keymap, "replay", "why") == ("f9",)


async def test_the_palette_writes_a_file_of_all_keys_once(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        app.action_write_keys()
        await settle(pilot)
        assert load_keys().problems == ()
        keys_file().write_text("# mine\n", "utf-8")
        app.action_write_keys()
        assert keys_file().read_text("utf-8") == "# mine\n", "a person's own file is left alone"
