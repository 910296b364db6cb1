"""Long work, errors and the ways into a case: nothing blocks, nothing leaks, nothing dies."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import fictional_case as fiction
import pytest
from textual.widgets import Input
from tui_driving import press, settle, shown, until, write

from irkit.case import Case, fixed_clock
from irkit.errors import CaseBusy, EvidenceMismatch, PacketIncomplete, UsageError
from irkit.model import EvidenceFile, EvidenceState, Progress, Stage
from irkit.tui import run_tui
from irkit.tui.recent import recent_cases
from irkit.tui.screens.overview import OverviewScreen
from irkit.tui.screens.start import StartScreen
from irkit.tui.verbs import Verbs
from irkit.tui.widgets.dialogs import AskDialog, ConfirmDialog, ErrorDialog

NOW = "2026-10-16T09:00:00+02:00"
SECRET = "mara.feldweg@clinic.example"


class Played(Verbs):
    """Verbs that tests lead by the hand."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.started = threading.Event()
        self.error: BaseException | None = None
        self.calls: list[tuple[object, ...]] = []
        self.state = EvidenceState.VERIFIED

    def _work(self, progress, stage: Stage, total: int = 400):
        for done in range(total):
            progress(Progress(stage, done, total, "bytes"))
            self.started.set()
            if done == 3:
                self.go.wait(10)
            if self.error is not None and done > 3:
                raise self.error

    def verify(self, case, progress):
        self.calls.append(("verify",))
        self._work(progress, Stage.PRESERVE)
        file = EvidenceFile(1, "a", "/srv/a.jsonl", "00", 1, "copied", self.state)

        class Result:
            evidence = (file,)
            state = self.state
            custody_entries = 3

        return Result()

    def preserve(self, case, logs, progress):
        self.calls.append(("preserve", tuple(logs)))

    def scope(self, case, corpus, subjects, progress):
        self.calls.append(("scope", tuple(corpus), subjects))

    def notify(self, case, out, phase, facts, progress):
        self.calls.append(("notify", out, phase))
        if self.error is not None:
            raise self.error

    def explain(self, case, finding_id):
        return []

    def open_demo(self, path, clock):
        return Case.create(path, title="Sample", clock=clock, synthetic=True)

    def demo(self, case, out, progress):
        for stage in (Stage.PRESERVE, Stage.INGEST):
            progress(Progress(stage, 1, 2, "files"))
        self._work(progress, Stage.MATCH)
        fiction.fill(case)

    def sample_clock(self):
        return fixed_clock(NOW)


async def test_work_shows_progress_and_the_screens_stay_alive(filled, make_app) -> None:
    verbs = Played()
    app = make_app(filled, verbs=verbs)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "8", "v")
        await until(pilot, lambda: app.job is not None and app.job.current is not None)
        assert "Verify: preserve" in shown(app) and "of 400 bytes" in shown(app)
        await press(pilot, "2")
        assert "5 actors" in shown(app) and "Verify: preserve" in shown(app)
        await press(pilot, "4", "c")
        assert isinstance(app.screen, ErrorDialog), "one writer at a time, said plainly"
        assert "still running" in shown(app)
        await press(pilot, "escape")
        verbs.go.set()
        await until(pilot, lambda: app.job is None)
        await settle(pilot)
        assert "custody chain intact" in shown(app)
        await press(pilot, "c")
        assert filled.rows("SELECT count(*) FROM review") == [(1,)]


async def test_cancelling_stops_the_work_and_keeps_the_case(filled, make_app) -> None:
    verbs = Played()
    app = make_app(filled, verbs=verbs)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "8", "v")
        await until(pilot, verbs.started.is_set)
        await press(pilot, "v")
        assert verbs.calls == [("verify",)], "the same work is not started twice"
        await pilot.press("q", "q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await press(pilot, "n")
        assert app.job is not None
        await pilot.press("ctrl+x")
        verbs.go.set()
        await until(pilot, lambda: app.job is None)
        await settle(pilot)
        assert "cancelled" in shown(app)
        assert not app.session.busy
        await press(pilot, "4", "c")
        assert filled.rows("SELECT count(*) FROM review") == [(1,)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            EvidenceMismatch("logs.jsonl: 3 bytes differ", "compare with another copy"),
            "compare with",
        ),
        (RuntimeError(f"boom {SECRET}"), "internal error, RuntimeError"),
    ],
)
async def test_errors_of_the_core_are_shown_and_quote_nothing(
    filled, make_app, error, words
) -> None:
    verbs = Played()
    verbs.error = error
    verbs.go.set()
    app = make_app(filled, verbs=verbs)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "8", "v")
        await until(pilot, lambda: isinstance(app.screen, ErrorDialog))
        await settle(pilot)
        text = shown(app)
        assert words in text and "What to do" in text
        assert SECRET not in text
        await press(pilot, "escape", "2")
        assert "5 actors" in shown(app), "the application lives on"


async def test_changed_evidence_is_an_alarm(filled, make_app) -> None:
    verbs = Played()
    verbs.state = EvidenceState.MISMATCH
    verbs.go.set()
    app = make_app(filled, verbs=verbs)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "8", "v")
        await until(pilot, lambda: isinstance(app.screen, ErrorDialog))
        await settle(pilot)
        assert "1 file changed since intake: a.jsonl" in shown(app)


async def test_a_packet_that_lacks_facts_is_not_built(filled, make_app) -> None:
    verbs = Played()
    verbs.error = PacketIncomplete("the preliminary phase lacks: dpo.name", "fill them in")
    app = make_app(filled, verbs=verbs)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "7", "b")
        assert verbs.calls == [], "what is missing is asked for first"
        assert "missing for this phase" in shown(app)
        app.start_packet(app.screen.phase)
        await settle(pilot)
        assert isinstance(app.screen, AskDialog)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, ErrorDialog))
        await settle(pilot)
        assert "lacks: dpo.name" in shown(app)
        await press(pilot, "escape")
        verbs.error = None
        app.start_packet(app.screen.phase)
        await settle(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: app.job is None and len(verbs.calls) == 2)
        await settle(pilot)
        assert "Packet: written to" in shown(app)
        assert verbs.calls[1][1] == filled.path / "packets" / "preliminary-20261016T0700Z"


async def test_logs_are_chosen_looked_at_and_added(empty, make_app, tmp_path, monkeypatch) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "calls.jsonl"
    log.write_text(
        '{"timestamp": "2026-10-01T08:00:00Z", "key_id": "key-1", "request": {"model": "m",'
        ' "messages": [{"role": "user", "content": "hello"}]}, "response": {"id": "c-1",'
        ' "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant",'
        ' "content": "good day"}}]}}\n' * 3,
        "utf-8",
    )
    (tmp_path / "with space").write_text("x", "utf-8")
    monkeypatch.chdir(tmp_path / "logs")
    verbs = Played()
    app = make_app(empty, verbs=verbs)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert "press a to add logs" in shown(app)
        await press(pilot, "a")
        await until(pilot, lambda: "calls.jsonl" in shown(app))
        assert "Nothing chosen yet" in shown(app)
        await press(pilot, "ctrl+s")
        assert "choose at least one" in shown(app)
        await press(pilot, "j", "space", "p")
        await until(pilot, lambda: "nothing was written" in shown(app))
        text = shown(app)
        assert "openai" in text and "key-1" not in text, "how it is read, without names of keys"
        assert empty.rows("SELECT count(*) FROM evidence_source") == [(0,)]
        app.screen.query_one("#path", Input).focus()
        await settle(pilot)
        await write(pilot, str(tmp_path / "nowhere"))
        await press(pilot, "enter")
        assert "no such file" in shown(app)
        await write(pilot, str(tmp_path / "with space"))
        await press(pilot, "enter", "ctrl+s")
        await until(pilot, lambda: app.job is None and bool(verbs.calls))
        await press(pilot, "w")
        await write(pilot, "corpus.jsonl")
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: app.job is None and len(verbs.calls) == 2)
        assert verbs.calls == [
            ("preserve", (log, tmp_path / "with space")),
            ("scope", (Path("corpus.jsonl"),), None),
        ]


async def test_an_empty_case_names_the_next_key_on_every_screen(empty, make_app) -> None:
    app = make_app(empty)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        for digit, words in (
            ("1", "press a"),
            ("2", "Press a to see everyone"),
            ("3", "No actor to replay"),
            ("4", "press 1, then w"),
            ("6", "Press 1, then w"),
            ("8", "press a to add logs"),
            ("9", "Everything in the logs could be read"),
        ):
            await press(pilot, digit)
            text = " ".join(shown(app).split())
            assert words in text, digit
            assert not isinstance(app.screen, ErrorDialog)


async def test_the_sample_incident_from_the_first_screen(make_app, tmp_path) -> None:
    verbs = Played()
    app = make_app(verbs=verbs)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert "Sample incident" in shown(app)
        await press(pilot, "d")
        await write(pilot, str(tmp_path / "out"))
        await press(pilot, "enter")
        await until(pilot, verbs.started.is_set)
        await settle(pilot)
        text = shown(app)
        assert "✓ Preserve" in text and "▶ Match" in text and "○ Replay" in text
        verbs.go.set()
        await until(pilot, lambda: isinstance(app.screen, OverviewScreen), 20)
        await settle(pilot)
        assert "SAMPLE" in shown(app).upper() and "202" in shown(app)
        path = tmp_path / "out" / "sample.irkit"
        assert recent_cases() == (path.resolve(),)
        app.action_close_case()
        await settle(pilot)
        assert isinstance(app.screen, StartScreen) and "sample" in shown(app)
        Case.open(path, write=True).close()


async def test_a_cancelled_sample_leaves_the_first_screen(make_app, tmp_path) -> None:
    verbs = Played()
    out = tmp_path / "out"
    app = make_app(verbs=verbs, demo=(out / "sample.irkit", out))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, verbs.started.is_set)
        await pilot.press("ctrl+x")
        verbs.go.set()
        await until(pilot, lambda: app.job is None)
        await settle(pilot)
        assert isinstance(app.screen, StartScreen)
        assert "cancelled" in shown(app)


async def test_opening_and_creating_cases(make_app, case_path, tmp_path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "o")
        await write(pilot, str(tmp_path / "nowhere.irkit"))
        await press(pilot, "enter")
        assert isinstance(app.screen, ErrorDialog) and "no irkit case here" in shown(app)
        await press(pilot, "escape", "o")
        await write(pilot, str(case_path))
        await press(pilot, "enter")
        assert isinstance(app.screen, OverviewScreen)
        app.action_close_case()
        await settle(pilot)
        await press(pilot, "n")
        app.screen.query_one("#path", Input).value = str(tmp_path / "new.irkit")
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, OverviewScreen)
        assert app.session.path == tmp_path / "new.irkit"
        app.session.close()


def test_a_case_that_another_process_holds_is_refused_with_its_code(case_path) -> None:
    hold = (
        "import sys; from pathlib import Path; from irkit.case import Case;"
        "case = Case.open(Path(sys.argv[1]), write=True); print('held', flush=True);"
        "sys.stdin.read(); case.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(case_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None and holder.stdout.readline().strip() == "held"
        with pytest.raises(CaseBusy) as caught:
            run_tui(case_path, clock=fixed_clock(NOW))
        assert holder.stdin is not None
        holder.stdin.close()
    assert int(caught.value.code) == 6
    with pytest.raises(UsageError):
        run_tui(case_path.parent / "nowhere.irkit", clock=fixed_clock(NOW))


async def test_a_crash_of_the_screens_prints_no_local_values(filled, make_app, capsys) -> None:
    app = make_app(filled)

    def crash() -> None:
        leaked = SECRET  # what a traceback with local values would print
        raise RuntimeError(leaked[:0])

    with pytest.raises(RuntimeError):
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await settle(pilot)
            app.call_later(crash)
            await pilot.pause(0.1)
    assert isinstance(app.failure, RuntimeError)
    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err


async def test_damaged_custody_is_said_and_does_not_stop_the_rest(filled, make_app) -> None:
    path = filled.custody.path
    path.write_bytes(path.read_bytes().replace(b"Clinic", b"Clonic", 1))
    app = make_app(filled)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        while isinstance(app.screen, ErrorDialog):
            await press(pilot, "escape")
        await press(pilot, "8")
        assert isinstance(app.screen, ErrorDialog)
        assert "was changed after it was written" in " ".join(shown(app).replace("┃", "").split())
        await press(pilot, "escape", "2")
        assert "5 actors" in shown(app)


async def test_no_colour_is_honoured(filled, make_app, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(filled)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        picture = app.export_screenshot()
    assert app.no_color
    import re

    for red, green, blue in re.findall(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})\b", picture):
        if red + green + blue in ("ff5f57", "febc2e", "28c840", "c5c8c6"):
            continue  # the picture's own frame
        assert red == green == blue
