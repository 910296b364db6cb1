"""A responder's ways through the screens, by keyboard and by mouse."""

from __future__ import annotations

import json

import fictional_case as fiction
from textual.widgets import Input, OptionList, TextArea
from tui_driving import press, replaying, settle, shown, until, write

from irkit.case import views
from irkit.model import UnitKind
from irkit.tui.actions import SCREENS
from irkit.tui.screens.actors import ActorsScreen
from irkit.tui.screens.exposures import ExposuresScreen
from irkit.tui.screens.notification import NotificationScreen
from irkit.tui.screens.overview import OverviewScreen
from irkit.tui.screens.playbook import PlaybookScreen
from irkit.tui.screens.replay import ReplayScreen
from irkit.tui.widgets.charts import EvidenceCurve
from irkit.tui.widgets.dialogs import AskDialog, ChooseDialog, ErrorDialog
from irkit.tui.widgets.tables import PagedTable


def custody(case) -> list[tuple[str, dict]]:
    return [(entry.action, dict(entry.detail)) for entry in case.custody.entries()]


async def test_from_the_deadline_to_the_query_that_leaked(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, OverviewScreen)
        text = shown(app)
        assert "48 h 12 min left" in text and "2 files verified" in text
        assert "queries logged" in text and "people affected (1–5)" in text
        await press(pilot, "2")
        assert isinstance(app.screen, ActorsScreen)
        await press(pilot, "j")
        assert "39 of 48 prompts end in the opening words" in shown(app).replace("\n", " ")
        await press(pilot, "enter")
        replay = app.screen
        assert isinstance(replay, ReplayScreen)
        assert replay.key == views.ActorKey(UnitKind.CREDENTIAL, fiction.EXTRACTOR)
        assert replay.position == 9, "a replay begins at the onset"
        await press(pilot, "n")
        assert replay.position == 10
        assert "⟦■" in shown(app) and "Lindqvist" not in shown(app)
        await press(pilot, "right", "right", "left")
        assert replay.position == 11
        await press(pilot, "home")
        assert replay.position == 0
        await press(pilot, "end")
        assert replay.position == 47
        await press(pilot, "N")
        assert replay.position == 45
        await press(pilot, "o")
        assert replay.position == 9


async def test_playing_runs_and_stops(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        replay = await replaying(app, pilot, fiction.EXTRACTOR)
        await pilot.press("plus", "plus", "plus", "space")
        await until(pilot, lambda: replay.position >= 14)
        await pilot.press("space")
        stopped = replay.position
        await pilot.pause(0.15)
        assert replay.position == stopped and not replay.playing


async def test_reasons_parameters_and_probabilities_have_room_on_a_wide_terminal(
    filled, make_app
) -> None:
    app = make_app(filled)
    async with app.run_test(size=(160, 48)) as pilot:
        await settle(pilot)
        app.replay_actor(views.ActorKey(UnitKind.CREDENTIAL, fiction.EXTRACTOR), "r00081")
        await settle(pilot)
        text = shown(app)
        for words in (
            "Why this actor was flagged", "What each detector said", "prefix continuation probe",
            "compared with 1 204 ordinary actors", "Token probabilities", "40 tokens",
            "training record",
        ):  # fmt: skip
            assert words in text, words


async def test_on_a_narrow_terminal_the_reasons_take_the_place_of_the_texts(
    filled, make_app
) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert "Prompt and response" in shown(app)
        await press(pilot, "w")
        assert "Why this actor was flagged" in shown(app)
        assert "Prompt and response" not in shown(app)
        await press(pilot, "w")
        assert "Prompt and response" in shown(app)


async def test_filter_sort_and_pages(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "2", "slash")
        await write(pilot, "tier=B")
        await press(pilot, "enter")
        screen = app.screen
        assert isinstance(screen, ActorsScreen)
        table = screen.query_one(PagedTable)
        assert table.row_count == 1 and table.selected.key.unit == fiction.MEMBERSHIP
        assert "filter tier=B" in shown(app)
        await press(pilot, "slash")
        await write(pilot, "colour=red")
        await press(pilot, "enter")
        assert screen.query_one("#filter").display, "a wrong filter stays open to be mended"
        await write(pilot, "")
        await press(pilot, "enter", "a")
        screen.browse.limit = 3
        screen.reload()
        await settle(pilot)
        assert "1–3 of" in shown(app)
        await press(pilot, "G", "down")
        assert screen.browse.offset == 3 and table.cursor_row == 0
        await press(pilot, "up")
        assert screen.browse.offset == 0 and table.cursor_row == 2, "back to the row above"
        await press(pilot, "right_square_bracket", "left_square_bracket", "s")
        assert (screen.browse.sort, screen.browse.offset) == ("technique", 0)
        await press(pilot, "S")
        assert screen.browse.descending


async def test_reviewing_writes_rows_and_custody_and_can_be_undone(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "c", "x", "u")
        assert isinstance(app.screen, ExposuresScreen)
        assert views.review_counts(filled.con) == {
            "confirm": 1,
            "reject": 1,
            "unsure": 1,
            "open": 6,
        }
        assert "6 open, 1 confirmed, 1 rejected, 1 unsure" in shown(app)
        await press(pilot, "z", "z")
        assert views.review_counts(filled.con) == {"confirm": 1, "open": 8}, "the last one first"
        assert app.screen.query_one("#exposures", PagedTable).selected_key == "x0015"
        rows = filled.rows("SELECT exposure_id, verdict, reviewer FROM review ORDER BY rowid")
        assert rows == [
            ("x0010", "confirm", "responder"),
            ("x0015", "reject", "responder"),
            ("x0020", "unsure", "responder"),
            ("x0020", "undo", "responder"),
            ("x0015", "undo", "responder"),
        ]
        said = [d for action, d in custody(filled) if action == "review"]
        assert [d["verdict"] for d in said] == ["confirm", "reject", "unsure", "undo", "undo"]
        await press(pilot, "full_stop")
        await write(pilot, "second opinion asked")
        await press(pilot, "enter")
        assert filled.rows("SELECT note FROM review ORDER BY rowid DESC LIMIT 1") == [
            ("second opinion asked",)
        ]
        assert "second opinion" not in json.dumps(custody(filled)), "notes stay out of custody"


async def test_a_held_key_reviews_row_after_row_in_order(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        await pilot.press(*"cxcxc")
        await settle(pilot)
        assert isinstance(app.screen, ExposuresScreen)
        rows = filled.rows("SELECT exposure_id, verdict FROM review ORDER BY rowid")
        assert [verdict for _, verdict in rows] == ["confirm", "reject"] * 2 + ["confirm"]
        assert len({exposure for exposure, _ in rows}) == 5
        filled.custody.verify()


async def test_people_and_back_to_their_exposures(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "p")
        text = shown(app)
        assert "5 people" in text and "! yes" in text
        await press(pilot, "c")
        assert views.review_counts(filled.con) == {"open": 9}, "people are not reviewed"
        await press(pilot, "enter")
        assert "1 exposure ·" in shown(app) and "subject=S-P-0001" in shown(app)
        await press(pilot, "enter")
        replay = app.screen
        assert isinstance(replay, ReplayScreen)
        assert replay.key is not None and replay.key.unit == fiction.EXTRACTOR
        assert replay.position in (replay.summary.leak_positions if replay.summary else ())


async def test_revealing_needs_a_reason_is_logged_and_ends(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        clock = [0.0]
        app.session._monotonic = lambda: clock[0]
        await press(pilot, "4", "r")
        assert isinstance(app.screen, AskDialog)
        await press(pilot, "enter")
        assert isinstance(app.screen, AskDialog), "no reason, no reveal"
        await write(pilot, "compare with the ticket")
        await press(pilot, "enter")
        text = shown(app)
        assert "Tove Lindqvist" in text and "REVEALED 30 s" in text
        assert "Aiko" not in text and "Ramón" not in text, "one item only"
        [entry] = [d for action, d in custody(filled) if action == "reveal"]
        assert entry["item"] == "x0010" and entry["reason"] == "compare with the ticket"
        clock[0] = 12.0
        app._tick()
        assert "REVEALED 18 s" in shown(app) or app.session.reveal_left() == 19
        clock[0] = 30.0
        app._tick()
        await settle(pilot)
        assert "Tove" not in shown(app) and "● masked" in shown(app)
        await press(pilot, "3", "r")
        await write(pilot, "again")
        await press(pilot, "enter")
        assert app.session.reveal_left()
        await press(pilot, "m")
        assert not app.session.reveal_left() and "● masked" in shown(app)


async def test_revealing_fails_closed_when_custody_cannot_be_written(
    filled, make_app, monkeypatch
) -> None:
    from irkit.errors import StorageError

    def full(*_: object, **__: object) -> str:
        raise StorageError("custody.jsonl: disk full", "free some space")

    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        monkeypatch.setattr(type(filled.custody), "append", full)
        await press(pilot, "4", "r")
        await write(pilot, "look")
        await press(pilot, "enter")
        assert isinstance(app.screen, ErrorDialog)
        await press(pilot, "escape")
        assert "Tove" not in shown(app) and app.session.reveal_left() == 0


async def test_deciding_a_step_needs_its_reason(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "n")
        screen = app.screen
        assert isinstance(screen, PlaybookScreen)
        table = screen.query_one(PagedTable)
        step = next(
            v for v in screen.steps if v.state == "open" and v.step.decision and not v.blocked_by
        )
        screen.open_step(step.step.id)
        await settle(pilot)
        assert table.selected.step.id == step.step.id
        await press(pilot, "enter")
        assert isinstance(app.screen, ChooseDialog)
        await press(pilot, "enter")
        assert isinstance(app.screen, AskDialog)
        await write(pilot, "decided so")
        await press(pilot, "enter", "enter", "enter")
        assert isinstance(app.screen, AskDialog), "a reason is needed"
        app.screen.query_one("#reason", Input).value = "because the evidence says so"
        app.screen.query_one("#owner", Input).focus()
        await press(pilot, "enter")
        assert screen is app.screen
        row = filled.rows(
            "SELECT state, decision, reason FROM step_state WHERE step_id = ?", [step.step.id]
        )
        assert row == [("done", "decided so", "because the evidence says so")]
        assert any(action == "decide" for action, _ in custody(filled))
        blocked = next((v for v in screen.steps if v.state == "blocked"), None)
        if blocked is not None:
            screen.open_step(blocked.step.id)
            await press(pilot, "enter")
            assert app.screen is screen, "a step that waits cannot be decided"


async def test_facts_are_edited_checked_saved_and_move_the_deadline(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "7")
        screen = app.screen
        assert isinstance(screen, NotificationScreen)
        table = screen.query_one(PagedTable)
        assert table.selected.state == "missing", "it begins at what is missing"
        assert table.selected.field.key == "controller.name"
        await press(pilot, "enter")
        await write(pilot, "Example Clinic")
        await press(pilot, "enter")
        assert screen.form is not None
        assert screen.form.facts.text("controller.name") == "Example Clinic"
        assert "Example Clinic" in (filled.path / "facts.toml").read_text("utf-8")

        def go(key: str) -> None:
            assert screen.form is not None
            keys = [row.field.key for row in screen.form.rows]
            table.move_cursor(row=keys.index(key), animate=False)

        go("timeline.awareness_at")
        await settle(pilot)
        await press(pilot, "enter")
        await write(pilot, "yesterday")
        await press(pilot, "enter")
        assert isinstance(app.screen, AskDialog), "a time that is none is not saved"
        await write(pilot, "2026-10-16T08:30:00+02:00")
        await press(pilot, "enter")
        assert app.screen is screen
        dated = [row.at for row in views.deadlines(filled.con) if row.regime.startswith("GDPR")]
        assert dated, "clocks run once awareness is confirmed"
        go("timeline.awareness_at")
        await settle(pilot)
        await press(pilot, "enter")
        await write(pilot, "2026-10-16T08:45:00+02:00")
        await press(pilot, "enter")
        assert "already confirmed" in shown(app), "changing it asks why"
        await write(pilot, "the first report came in later")
        await press(pilot, "enter")
        assert "the first report came in later" in filled.meta("awareness_history")

        go("risk.level")
        await settle(pilot)
        await press(pilot, "enter")
        choices = app.screen.query_one(OptionList)
        choices.highlighted = 2
        await press(pilot, "enter")
        assert screen.form.facts.text("risk.level") == "high"
        go("measures.containment")
        await settle(pilot)
        await press(pilot, "enter")
        app.screen.query_one(
            TextArea
        ).text = "done | keys revoked | security | 2026-10-16T09:00:00+02:00"
        await press(pilot, "ctrl+s")
        assert screen.form.facts.measures("measures.containment")[0].text == "keys revoked"
        await press(pilot, "v")
        preview = app.screen.query_one(TextArea).text
        assert "Name of the controller: Example Clinic" in preview and "NOT YET KNOWN" in preview
        await press(pilot, "escape", "t")
        assert "Supplementary phase" in shown(app)
        go("controller.name")
        await settle(pilot)
        await press(pilot, "delete")
        assert not screen.form.facts.has("controller.name")


async def test_by_mouse_alone(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await pilot.click("#status-deadline")
        await settle(pilot)
        assert app.screen.PLACE == "deadlines"
        tabs = list(app.screen.query(".tab"))
        await pilot.click(tabs[1])
        await settle(pilot)
        assert isinstance(app.screen, ActorsScreen)
        table = app.screen.query_one(PagedTable)
        await pilot.click(table, offset=(10, 3))
        await settle(pilot)
        assert table.cursor_row == 2 and isinstance(app.screen, ActorsScreen)
        await pilot.click(table, offset=(60, 0))
        await settle(pilot)
        assert app.screen.browse.sort != "tier", "a heading sorts"
        await pilot.click(table, offset=(10, 1), times=2)
        await settle(pilot)
        replay = app.screen
        assert isinstance(replay, ReplayScreen)
        curve = replay.query_one(EvidenceCurve)
        await pilot.click(curve, offset=(curve.size.width - 1, 1))
        await settle(pilot)
        assert replay.summary is not None and replay.position == replay.summary.total - 1
        await pilot.click("#status-evidence")
        await settle(pilot)
        assert app.screen.PLACE == "evidence"


async def test_every_screen_can_be_reached_and_left_by_keys(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for digit in "23456789":
            await press(pilot, digit)
            assert digit == next(
                str(n) for n, (name, _, _) in enumerate(SCREENS, 1) if name == app.screen.PLACE
            )
        await press(pilot, "question_mark")
        assert "On this screen" in shown(app)
        await press(pilot, "escape", "q")
        assert isinstance(app.screen, OverviewScreen)


async def test_the_palette_runs_what_it_lists(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "2", "ctrl+p")
        await pilot.press(*"everyone")
        await pilot.press("escape")
        await settle(pilot)
        await press(pilot, "ctrl+p")
        await pilot.press(*"hide actors")
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        if not app.screen.quiet:
            await press(pilot, "enter")
        assert app.screen.quiet and "everyone tested" in shown(app)


async def test_help_themes_and_copying(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        copied: list[str] = []
        app.copy_to_clipboard = copied.append  # type: ignore[method-assign]
        await press(pilot, "8", "y", "l", "y", "9", "y", "4", "y")
        assert copied[0] == "ab" * 32 and len(copied[1]) == 64 and copied[3] == "x0010"
        names = set()
        for _ in range(3):
            names.add(app.theme)
            app.action_theme()
            await settle(pilot)
        assert names == {"irkit", "irkit-light", "irkit-contrast"}


async def test_resizing_keeps_place_and_says_when_it_is_too_small(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "2", "j", "j")
        for width, height in ((59, 24), (80, 14)):
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            assert "irkit needs a little more room" in shown(app)
        await pilot.resize_terminal(160, 48)
        await settle(pilot)
        assert "little more room" not in shown(app)
        assert app.screen.query_one(PagedTable).cursor_row == 2


async def test_nothing_of_the_actor_before_stands_under_the_new_one(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        app.replay_actor(views.ActorKey(UnitKind.CREDENTIAL, fiction.EXTRACTOR), "r00081")
        await settle(pilot)
        replay = app.screen
        assert isinstance(replay, ReplayScreen) and "⟦■" in shown(app)
        before = replay.detail
        await press(pilot, "2")
        # The reading is held, as on a slow disk.
        reload, replay.reload = replay.reload, lambda: None  # type: ignore[method-assign]
        app.replay_actor(views.ActorKey(UnitKind.CREDENTIAL, fiction.MEMBERSHIP))
        await settle(pilot)
        text = shown(app)
        assert fiction.MEMBERSHIP[:8] in text and "reading…" in text
        assert "⟦■" not in text and "onset" not in text and "no queries" not in text
        await press(pilot, "n")
        assert "still being read" in shown(app), "not: no more leaks"
        replay.reload = reload  # type: ignore[method-assign]
        replay.reload()
        await settle(pilot)
        assert "query" in shown(app) and replay.detail is not before
        assert "reading…" not in shown(app)


async def test_an_unread_entry_says_what_to_do(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(160, 48)) as pilot:
        await settle(pilot)
        await press(pilot, "9")
        text = " ".join(shown(app).split())
        assert "What to do:" in text and "--reread --mapping FILE" in text
