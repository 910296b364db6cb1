"""The log is written by the attacker too: shown, never obeyed; values stay masked."""

from __future__ import annotations

import re
import unicodedata

import fictional_case as fiction
import pytest
from tui_driving import press, settle, shown

from irkit.case import views
from irkit.model import UnitKind
from irkit.tui.actions import SCREENS
from irkit.tui.screens.exposures import ExposuresScreen

PLACES = [name for name, _, _ in SCREENS]
#: What a reader must not find on any screen: values inside leaked passages.
VALUES = [
    value
    for _, name, mail, phone, born, _ in fiction.PEOPLE
    for value in (name.split()[1], mail, phone, born)
]


def harmless(text: str) -> None:
    for char in text:
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp", "Cs"), (
            f"U+{ord(char):04X} reached the screen"
        )


async def everywhere(app, pilot):
    """Yield what each screen shows, standing on the hostile and on the leaking rows."""
    for name in PLACES:
        app.action_go(name)
        await settle(pilot)
        yield shown(app)
    for unit in (fiction.HOSTILE, fiction.EXTRACTOR, fiction.MEMBERSHIP):
        app.replay_actor(views.ActorKey(UnitKind.CREDENTIAL, unit))
        await settle(pilot)
        yield shown(app)
        await press(pilot, "n")
        yield shown(app)
    await press(pilot, "w")
    yield shown(app)
    app.replay_actor(views.ActorKey(UnitKind.SESSION, "s-\x1b]0;title\x07"))
    await settle(pilot)
    yield shown(app)
    for name in ("actors", "exposures", "quarantine"):
        app.action_go(name)
        await settle(pilot)
        await press(pilot, "G")
        yield shown(app)


@pytest.mark.parametrize("size", [(60, 15), (160, 48)])
async def test_no_log_text_steers_the_terminal_and_no_value_is_shown(
    filled, make_app, size
) -> None:
    app = make_app(filled)
    seen = ""
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        async for text in everywhere(app, pilot):
            harmless(text)
            assert "irkit needs a little more room" not in text
            for value in VALUES:
                assert value not in text, value
            seen += text
        picture = app.export_screenshot()
    harmless(picture)
    assert "[bold red]markup[/bold red]" in seen, "markup is text"
    assert "␛[" in seen, "escapes are pictures of themselves"
    assert "$HOME" not in seen


async def test_masked_values_are_masked_in_titles_palette_and_notices_too(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "4", "c", "question_mark")
        text = shown(app)
        await press(pilot, "escape", "ctrl+p")
        text += shown(app) + str(app.title) + str(app.sub_title)
        text += " ".join(n.message for n in app._notifications)
        for value in VALUES:
            assert value not in text


@pytest.mark.parametrize(
    "verdict",
    ["Robert'); DROP TABLE review;--", "\x1b[31m", "[link=x]"],
)
async def test_notes_and_filters_are_data(filled, make_app, verdict: str) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        screen = app.screen
        assert isinstance(screen, ExposuresScreen)
        screen._review(views.Verdict.UNSURE, verdict)
        await settle(pilot)
        assert filled.rows("SELECT note FROM review") == [(verdict,)]
        await press(pilot, "slash")
        screen.query_one("#filter").value = f'actor="{verdict}"'
        await press(pilot, "enter")
        harmless(shown(app))
        assert "Nothing matches" in shown(app) or "filter" in shown(app)
        assert filled.rows("SELECT count(*) FROM review") == [(1,)]


async def test_offsets_that_lie_outside_the_text_do_no_harm(filled, make_app) -> None:
    filled.con.execute("UPDATE exposure SET response_start = -50, response_end = 100000")
    filled.con.execute("UPDATE entity SET e_start = 90, e_end = 20")
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.replay_actor(views.ActorKey(UnitKind.CREDENTIAL, fiction.EXTRACTOR))
        await press(pilot, "n", "4", "j")
        text = shown(app)
        assert "⟦■" in text
        assert not any(value in text for value in VALUES)


async def test_rows_that_lack_everything_still_open(filled, make_app) -> None:
    con = filled.con
    con.execute("UPDATE query_record SET event_time = NULL, model_served = NULL, endpoint = NULL")
    con.execute("UPDATE query_record SET prompt_text_id = NULL, response_text_id = NULL")
    for table in ("query_message", "query_choice", "query_logprob", "text", "query_evidence"):
        con.execute(f"DELETE FROM {table}")
    con.execute("UPDATE finding SET onset = NULL, onset_low = NULL, p_value = NULL, summary = NULL")
    con.execute("UPDATE evidence_source SET checked_at = NULL, entries = NULL, format = NULL")
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for name in PLACES:
            app.action_go(name)
            await settle(pilot)
            assert name == app.screen.PLACE
        app.replay_actor(views.ActorKey(UnitKind.CREDENTIAL, fiction.EXTRACTOR))
        await settle(pilot)
        assert "No text is not the same as no query" in re.sub(r"\s+", " ", shown(app))
