"""Stopping the core's own work from the screens, and what they say when it fails."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fictional_case as fiction
import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_driving import press, settle, shown, until, write

from irkit import flow
from irkit.case import Case, evidence, fixed_clock
from irkit.errors import CaseBusy
from irkit.model import EvidenceState, Phase, Progress, Stage
from irkit.tui.app import IrkitApp
from irkit.tui.screens.overview import OverviewScreen
from irkit.tui.screens.start import StartScreen
from irkit.tui.verbs import Verbs
from irkit.tui.widgets.dialogs import AskDialog, ErrorDialog

NOW = "2026-10-16T09:00:00+02:00"
LINES = 2_000


def log(path: Path, lines: int = LINES) -> Path:
    """Calls of one key, one a second."""
    with path.open("w", encoding="utf-8") as file:
        for i in range(lines):
            stamp = (
                f"2026-10-{1 + i // 86_400:02}T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}Z"
            )
            answer = {"role": "assistant", "content": f"answer {i}: " + "an ordinary sentence " * 9}
            call = {
                "timestamp": stamp,
                "key_id": "key-1",
                "request": {"model": "m", "messages": [{"role": "user", "content": f"ask {i}"}]},
                "response": {
                    "id": f"c-{i}",
                    "object": "chat.completion",
                    "choices": [{"index": 0, "message": answer}],
                },
            }
            file.write(json.dumps(call) + "\n")
    return path


def said(app: object) -> str:
    """What the screen says, on one line."""
    return " ".join(re.sub("[┃▌│]", " ", shown(app)).split())  # type: ignore[arg-type]


async def add(pilot: Pilot[None], path: Path) -> None:
    """Add a log by its path."""
    await press(pilot, "1", "a")
    pilot.app.screen.query_one("#path", Input).focus()
    await settle(pilot)
    await write(pilot, str(path))
    await press(pilot, "enter")
    await pilot.press("ctrl+s")


class Pressing(Verbs):
    """The core's own verbs; in a stage of theirs a person presses keys, once."""

    def __init__(self, stage: Stage, *keys: str) -> None:
        self.stage, self.keys = stage, keys
        self.app: IrkitApp | None = None
        self.said = ""

    def _watched(self, progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
        def step(done: Progress) -> None:
            progress(done)
            if done.stage is self.stage and self.keys:
                keys, self.keys = self.keys, ()
                assert self.app is not None and self.app.job is not None
                for key in keys:
                    self.app.call_from_thread(self.app.simulate_key, key)
                assert self.app.job.cancelled.wait(20), "the key was not heard"
                progress(done)

        return step

    def preserve(self, case, logs, progress):
        return super().preserve(case, logs, self._watched(progress))

    def scope(self, case, corpus, subjects, progress):
        return super().scope(case, corpus, subjects, self._watched(progress))

    def notify(self, case, out, phase, facts, progress):
        return super().notify(case, out, phase, facts, self._watched(progress))


def stopped(make_app: Callable[..., IrkitApp], case: Case, stage: Stage, *keys: str) -> IrkitApp:
    """An application whose first work is stopped in a stage by keys."""
    verbs = Pressing(stage, *keys)
    verbs.app = make_app(case, verbs=verbs)
    return verbs.app


async def test_reading_logs_stops_and_goes_on(empty, make_app, tmp_path) -> None:
    path = log(tmp_path / "calls.jsonl")
    # ^c copies elsewhere and quits in other programs: it stops nothing and says what does.
    app = stopped(make_app, empty, Stage.INGEST, "ctrl+c", "ctrl+x")
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await settle(pilot)
        await add(pilot, path)
        await until(pilot, lambda: app.job is None and app.verbs.keys == (), 60)
        await settle(pilot)
        text = said(app)
        assert "Add logs: cancelled." in text
        assert "^x stops Add logs; ^q quits." in text
        assert empty.rows("SELECT count(*) FROM query_record") == [(0,)], "a source is whole or not"
        assert [f.state for f in evidence.verify(empty)] == [EvidenceState.VERIFIED]
        await add(pilot, path)
        await until(pilot, lambda: app.job is None, 60)
        await settle(pilot)
        assert not isinstance(app.screen, ErrorDialog)
        assert empty.rows("SELECT count(*), count(DISTINCT request_id) FROM query_record") == [
            (LINES, LINES)
        ]
        assert empty.rows(
            "SELECT count(*), sum(entries), sum(records), sum(quarantined) FROM evidence_source"
        ) == [(1, LINES, LINES, 0)]
        # The same case as one that nobody stopped.
        with Case.create(
            tmp_path / "w.irkit", title="Nothing yet", clock=fixed_clock(NOW)
        ) as whole:
            flow.preserve(whole, [path])
            query = "SELECT record_id, session_key FROM record_session ORDER BY ALL"
            assert empty.rows(query) == whole.rows(query)
        assert list(empty.custody.entries()), "the chain holds"


@pytest.mark.parametrize("stage", [Stage.MATCH, Stage.REPLAY])
async def test_scope_stops_and_goes_on(empty, make_app, tmp_path, stage) -> None:
    flow.preserve(empty, [log(tmp_path / "calls.jsonl", 300)])
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(
        "".join(
            json.dumps({"doc_id": f"d{i}", "text": f"record {i} " + "holds other words here " * 30})
            + "\n"
            for i in range(100)
        ),
        "utf-8",
    )
    app = stopped(make_app, empty, stage, "ctrl+x")
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        await write(pilot, str(corpus))
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: app.job is None and app.verbs.keys == (), 60)
        await settle(pilot)
        assert "Scope: cancelled" in said(app)
        assert not isinstance(app.screen, ErrorDialog)
        done = "SELECT count(*) FROM stage_progress WHERE stage = 'scope' AND status = 'done'"
        assert empty.rows(done) == [(0,)]
        await press(pilot, "2", "1", "w")
        assert isinstance(app.screen, AskDialog), "the screens live on"
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: app.job is None, 60)
        await settle(pilot)
        assert "Scope worked out" in said(app)
        assert empty.rows(done) > [(0,)]
        assert empty.rows("SELECT count(*) FROM corpus_doc") == [(100,)]


async def test_a_packet_stops_and_goes_on(filled, make_app) -> None:
    app = stopped(make_app, filled, Stage.ASSESS, "ctrl+x")
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await settle(pilot)
        app.start_packet(Phase.PRELIMINARY)
        await settle(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: app.job is None and app.verbs.keys == (), 60)
        await settle(pilot)
        assert "Packet: cancelled" in said(app)
        assert not list(filled.path.rglob("*.pdf"))
        assert all(entry.action != "packet" for entry in filled.custody.entries())
        app.start_packet(Phase.PRELIMINARY)
        await settle(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: app.job is None, 60)
        await settle(pilot)
        assert "Packet: written to" in said(app)
        [entry] = [entry for entry in filled.custody.entries() if entry.action == "packet"]
        assert entry.detail["number"] == 1


async def test_a_case_that_another_process_holds_is_said(case_path, make_app) -> None:
    hold = (
        "import sys; from pathlib import Path; from irkit.case import Case;"
        "case = Case.open(Path(sys.argv[1]), write=True); print('held', flush=True);"
        "sys.stdin.read(); case.close()"
    )
    app = make_app()
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(case_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline().strip() == "held"
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await settle(pilot)
            await press(pilot, "o")
            await write(pilot, str(case_path))
            await press(pilot, "enter")
            assert isinstance(app.screen, ErrorDialog)
            assert isinstance(app.screen.error, CaseBusy)
            text = said(app)
            assert "another" in text and "What to do" in text
            await press(pilot, "escape")
            assert isinstance(app.screen, StartScreen), "the application lives on"
            holder.stdin.close()
            holder.wait(20)
            await press(pilot, "o")
            await write(pilot, str(case_path))
            await press(pilot, "enter")
            assert isinstance(app.screen, OverviewScreen)
            app.session.close()


async def test_reading_that_fails_midway_is_said_and_mended(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        # What a damaged case does: a table that the screen reads is not there.
        filled.con.execute("ALTER TABLE exposure_subject RENAME TO gone")
        await press(pilot, "4")
        assert isinstance(app.screen, ErrorDialog)
        text = said(app)
        assert "What to do" in text
        for _, name, mail, *_ in fiction.PEOPLE:
            assert name.split()[1] not in text and mail not in text
        while isinstance(app.screen, ErrorDialog):
            await press(pilot, "escape")
        filled.con.execute("ALTER TABLE gone RENAME TO exposure_subject")
        await press(pilot, "2", "4")
        while isinstance(app.screen, ErrorDialog):
            await press(pilot, "escape")
        app.action_reload()
        await settle(pilot)
        assert "9 exposures" in shown(app)


@pytest.mark.parametrize("keys", [("1",), ("8",)])
async def test_a_case_whose_evidence_is_gone_still_opens(filled, make_app, keys) -> None:
    for path in (filled.path / "evidence").rglob("*.jsonl"):
        path.chmod(0o600)
        path.unlink()
    app = make_app(filled)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, *keys)
        assert not isinstance(app.screen, ErrorDialog)
        await press(pilot, "8", "v")
        await until(pilot, lambda: app.job is None)
        await settle(pilot)
        assert "unverifiable" in said(app)
