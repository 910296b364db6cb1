"""From the first start to a packet that verifies, with real logs and nothing stood in for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from real_slice import lines_of, personal_values, write_slice
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input
from tui_driving import press, settle, shown, until

from irkit.case import Case
from irkit.cli.group import cli
from irkit.tui.app import IrkitApp
from irkit.tui.screens.actors import ActorsScreen
from irkit.tui.screens.exposures import ExposuresScreen
from irkit.tui.screens.notification import NotificationScreen
from irkit.tui.screens.overview import OverviewScreen
from irkit.tui.screens.playbook import PlaybookScreen
from irkit.tui.screens.replay import ReplayScreen
from irkit.tui.screens.start import StartScreen
from irkit.tui.widgets.dialogs import AskDialog, ChooseDialog
from irkit.tui.widgets.picker import PickDialog
from irkit.tui.widgets.tables import PagedTable

#: What a person knows who has to notify, by the labels of the form.
ANSWERS = {
    "Name of the controller": "Example Clinic",
    "Country of the main establishment": "DE",
    "Contact point: name": "Dana Beispiel",
    "Contact point: e-mail": "dpo@clinic.example",
}
#: Packets of real cases take a few seconds on a busy machine; nothing here depends on how many.
PATIENCE = 120.0


class Look:
    """Reads the screen, and fails when a hidden value stands on it."""

    def __init__(self, app: IrkitApp) -> None:
        self.app = app
        self.hidden = personal_values()
        self.said: list[str] = []

    def __call__(self) -> str:
        text = shown(self.app)
        flat = " ".join(text.split())
        for value in self.hidden:
            assert value not in flat, f"a value of the register stands on {self.app.screen}"
        self.said.append(flat)
        return text

    def flat(self) -> str:
        """The screen as one line, without the frames of dialogs."""
        return " ".join(self().replace("│", " ").replace("┃", " ").split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "incident"
    place.mkdir()
    write_slice(place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("LOGNAME", "responder")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return place


def job_done(app: IrkitApp) -> Callable[[], bool]:
    return lambda: app.job is None


async def typed(pilot: Pilot[None], text: str, *, paste: bool = True) -> None:
    """Write a text over what stands in the focused line, as a terminal's paste or key by key."""
    focused = pilot.app.focused
    assert isinstance(focused, Input), focused
    if focused.value:
        await pilot.press("end", "ctrl+u")
    if paste:
        pilot.app.post_message(Paste(text))
        await pilot.pause()
    else:
        await pilot.press(*text)
    assert focused.value == text


async def work(pilot: Pilot[None]) -> None:
    """Wait until the running work is done and drawn."""
    app = pilot.app
    assert isinstance(app, IrkitApp)
    await until(pilot, job_done(app), PATIENCE)
    await settle(pilot)


@contextmanager
def checked_after(folder: Path) -> Iterator[None]:
    """What must be true of case and packet once the screens are closed."""
    yield
    case = folder / "leak.irkit"
    [packet] = (case / "packets").glob("preliminary-*")
    assert (packet / "packet.pdf").read_bytes().startswith(b"%PDF")
    told = json.loads((packet / "packet.json").read_bytes())
    assert "Example Clinic" in json.dumps(told)
    for held in (packet, case):
        run = CliRunner().invoke(cli, ["--quiet", "verify", str(held)])
        assert run.exit_code == 0, run.output
    with Case.open(case, write=False) as opened:
        said = [entry.action for entry in opened.custody.entries()]
        for action in ("new", "preserve", "scope", "review", "decide", "packet"):
            assert action in said, action
        assert opened.rows("SELECT verdict FROM review") == [("confirm",)]
        assert opened.rows("SELECT state, owner FROM step_state WHERE decision <> ''") == [
            ("done", "Ida Beispiel")
        ]
        assert opened.rows("SELECT count(*) FROM quarantine") == [(1,)]
        assert opened.rows("SELECT sum(records) FROM evidence_source") == [
            (lines_of(folder / "calls.ndjson"),)
        ]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_by_keyboard_alone(folder, make_app, size: tuple[int, int]) -> None:
    app = make_app()
    look = Look(app)
    with checked_after(folder):
        async with app.run_test(size=size, notifications=True) as pilot:
            await settle(pilot)
            assert isinstance(app.screen, StartScreen) and "New case" in look()

            await press(pilot, "n")
            await typed(pilot, "leak.irkit", paste=False)
            await press(pilot, "enter")
            await typed(pilot, "Gateway, October")
            await press(pilot, "enter")
            assert isinstance(app.screen, OverviewScreen)
            assert "press a to add logs" in look()

            await press(pilot, "a")
            assert isinstance(app.screen, PickDialog)
            await until(pilot, lambda: "calls.ndjson" in shown(app))
            await press(pilot, "j", "space", "p")
            await until(pilot, lambda: "nothing was written" in shown(app))
            assert "openai" in look(), look()
            assert app.session.case.rows("SELECT count(*) FROM evidence_source") == [(0,)]
            await press(pilot, "ctrl+s")
            await work(pilot)
            text = look.flat()
            assert "Logs preserved and read." in text
            assert "press w" in text, "the next key is said"

            await press(pilot, "w")
            await typed(pilot, "corpus.jsonl")
            await press(pilot, "enter")
            await typed(pilot, "register.csv")
            await press(pilot, "enter")
            await work(pilot)
            text = look.flat()
            assert "Scope worked out." in text and "people affected" in text

            await press(pilot, "2")
            assert isinstance(app.screen, ActorsScreen)
            assert "key-aec6f8107a" in look()
            await press(pilot, "enter", "n")
            replay = app.screen
            assert isinstance(replay, ReplayScreen)
            assert replay.position in replay.summary.leak_positions
            assert "⟦■" in look()

            await press(pilot, "4")
            assert isinstance(app.screen, ExposuresScreen)
            look()
            await press(pilot, "c")
            assert "1 confirmed" in look()

            await press(pilot, "5")
            playbook = app.screen
            assert isinstance(playbook, PlaybookScreen)
            table = playbook.query_one(PagedTable)
            while not (table.selected.step.decision and table.selected.state == "open"):
                await press(pilot, "j")
            step = table.selected.step.id
            await press(pilot, "enter")
            assert isinstance(app.screen, ChooseDialog)
            await press(pilot, "enter")
            await typed(pilot, "kept as it is")
            await press(pilot, "enter")
            await typed(pilot, "the logs show it")
            await press(pilot, "enter")
            await typed(pilot, "Ida Beispiel")
            await press(pilot, "enter")
            assert app.screen is playbook, look()
            assert next(v for v in playbook.steps if v.step.id == step).state == "done"

            await press(pilot, "7")
            form = app.screen
            assert isinstance(form, NotificationScreen)
            facts = form.query_one(PagedTable)
            assert "facts missing" in look()
            await press(pilot, "b")
            assert "missing for this phase" in look(), "an incomplete packet is not built"
            while form.form.missing:
                assert facts.selected.state in ("missing", "proposed")
                label = facts.selected.field.label
                await press(pilot, "enter")
                assert isinstance(app.screen, AskDialog), label
                if label in ANSWERS:
                    await typed(pilot, ANSWERS[label])
                await press(pilot, "enter")
                assert app.screen is form, look()
                await press(pilot, "n")
            assert "complete for this phase" in look()
            assert "h 00 min left" in look.flat(), "the clock runs from the confirmed awareness"
            await press(pilot, "b")
            assert isinstance(app.screen, AskDialog)
            await press(pilot, "enter")
            await work(pilot)
            assert "Packet: written to" in look.flat()
            for digit in "123456789":
                await press(pilot, digit)
                look()
            await press(pilot, "q", "q")
        assert app.return_code == 0
        app.session.close()


class Mouse:
    """Clicks on words, wherever they stand on the screen."""

    def __init__(self, pilot: Pilot[None], look: Look) -> None:
        self.pilot, self.look = pilot, look

    async def on(self, words: str, *, times: int = 1, last: bool = False) -> None:
        """Click on the first place, or the last one, where words stand."""
        lines = shown(self.look.app).splitlines()
        found = [(line.find(words), y) for y, line in enumerate(lines) if words in line]
        assert found, f"{words!r} is not on the screen:\n" + "\n".join(lines)
        x, y = found[-1 if last else 0]
        await self.pilot.click(offset=(x + 1, y), times=times)
        await settle(self.pilot)
        self.look()

    async def fill(self, name: str, text: str) -> None:
        """Click into a line and type; typing is the one thing that no mouse does."""
        await self.pilot.click(f"#{name}")
        field = self.look.app.screen.query_one(f"#{name}", Input)
        assert self.look.app.focused is field
        field.value = ""
        self.pilot.app.post_message(Paste(text))
        await self.pilot.pause()


async def test_by_mouse_alone(folder, make_app) -> None:
    app = make_app()
    look = Look(app)
    with checked_after(folder):
        async with app.run_test(size=(140, 40), notifications=True) as pilot:
            mouse = Mouse(pilot, look)
            await settle(pilot)
            await mouse.on("New case")
            await mouse.fill("path", "leak.irkit")
            await mouse.fill("title", "Gateway, October")
            await mouse.on("Create")
            assert isinstance(app.screen, OverviewScreen)
            await mouse.on("Add logs", last=True)
            await until(pilot, lambda: "calls.ndjson" in shown(app))
            await mouse.on("calls.ndjson")
            await mouse.on("Dry run")
            await until(pilot, lambda: "nothing was written" in shown(app))
            await mouse.on("Add  ^s")
            await work(pilot)
            await mouse.on("Scope", last=True)
            await mouse.fill("corpus", "corpus.jsonl")
            await mouse.fill("subjects", "register.csv")
            await mouse.on("Start")
            await work(pilot)
            assert "people affected" in look()
            await mouse.on("2 Actors")
            await mouse.on("key-aec6f8107a   credential", times=2)
            replay = app.screen
            assert isinstance(replay, ReplayScreen)
            await mouse.on("Next leak", last=True)
            assert replay.position in replay.summary.leak_positions
            await mouse.on("4 Exposures")
            await mouse.on("Confirm", last=True)
            assert "1 confirmed" in look()
            await mouse.on("5 Playbook")
            playbook = app.screen
            assert isinstance(playbook, PlaybookScreen)
            step = next(v for v in playbook.steps if v.step.decision and v.state == "open")
            await mouse.on(step.step.title[:30])
            await mouse.on("Decide", last=True)
            await mouse.on("Done")
            for name, text in (
                ("decision", "kept as it is"),
                ("reason", "the logs show it"),
                ("owner", "Ida Beispiel"),
            ):
                await mouse.fill(name, text)
            await mouse.on("Record")
            await mouse.on("7 Notification")
            form = app.screen
            assert isinstance(form, NotificationScreen)
            facts = form.query_one(PagedTable)
            while form.form.missing:
                label = facts.selected.field.label
                await mouse.on("Edit", last=True)
                if label in ANSWERS:
                    await mouse.fill("value", ANSWERS[label])
                await mouse.on("Save")
                assert app.screen is form, look()
                await mouse.on("Next missing", last=True)
            await mouse.on("Build packet", last=True)
            await mouse.on("Write  ⏎")
            await work(pilot)
            assert "Packet: written to" in look.flat()
            for tab in ("6 Deadlines", "8 Evidence", "9 Quarantine", "1 Overview"):
                await mouse.on(tab)
            await press(pilot, "q")
        app.session.close()
