"""Pictures of every screen at the smallest and at a generous size, with the clock stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_driving import press, settle, shown, until

from irkit.flow.reporting import DraftPages
from irkit.model import Progress, Stage
from irkit.playbook.collectors import Collected
from irkit.playbook.engine import Step, StepView
from irkit.playbook.fields import FIELDS
from irkit.tui.jobs import Job
from irkit.tui.screens.notification import FactRow, FormData
from irkit.tui.widgets.picker import PickDialog

SIZES = [(80, 24), (160, 48)]
#: One line of a log in the form of the OpenAI API.
CALL = (
    '{"timestamp": "2026-10-01T08:00:00Z", "key_id": "key-1", "request": {"model": "m",'
    ' "messages": [{"role": "user", "content": "hello"}]}, "response": {"id": "c-1",'
    ' "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant",'
    ' "content": "good day"}}]}}\n'
)


def fixed_steps(case: object) -> list[StepView]:
    """Steps whose words do not change with the playbook's."""
    rows = (
        ("preserve.logs", "Preserve the inference logs", "done", (), ""),
        ("scope.review", "Review candidates", "open", (), ""),
        ("notify.awareness", "Confirm the time of awareness", "open", (), "When was it certain?"),
        ("contain.revoke", "Revoke the keys", "in_progress", (), ""),
        ("remediate.retest", "Test again", "blocked", ("first: Revoke the keys",), ""),
    )
    return [
        StepView(
            Step(name, name.split(".")[0], title, "Why this step is there.", ("How it is done.",),
                 "incident lead", decision=decision, reference=("GDPR Art. 33(1)",)),
            state, gates, (Collected("evidence", "Evidence", "2 files, 2 verified"),), "", "",
            "incident lead", None,
        )
        for name, title, state, gates, decision in rows
    ]  # fmt: skip


def fixed_form(case: object, phase: object) -> FormData:
    """A form whose values do not change with what irkit fills in."""
    from irkit.playbook.facts import Facts

    states = {
        "controller.name": ("you", "Example Clinic"),
        "controller.country": ("missing", ""),
        "dpo.email": ("missing", ""),
        "timeline.awareness_at": ("proposed", "2026-10-16T09:00+02:00"),
        "breach.cia": ("irkit", "confidentiality"),
        "subjects.count": ("irkit", "1 | 3 | 5 | distinct subjects by status"),
        "system.dpia_ref": ("promised", ""),
    }
    fields = [field for field in FIELDS if field.part != "Other regimes and notices"][:40]
    fields = [replace(field, hint="") for field in fields]
    rows = tuple(FactRow(field, *states.get(field.key, ("optional", ""))) for field in fields)
    return FormData(Facts(), rows, 2, 3, 40)


async def to(pilot: Pilot[None], *keys: str) -> None:
    await settle(pilot)
    await press(pilot, *keys)


PICTURES: dict[str, tuple[str, ...]] = {
    "overview": (),
    "overview_zoomed": ("plus", "plus", "plus", "right_square_bracket"),
    "actors": ("2", "j"),
    "replay": ("2", "j", "enter", "n"),
    "replay_why": ("2", "j", "enter", "n", "w"),
    "exposures": ("4", "c", "x", "u"),
    "people": ("4", "p"),
    "playbook": ("5",),
    "deadlines": ("6",),
    "notification": ("7",),
    "evidence": ("8",),
    "quarantine": ("9", "j"),
}

#: What is reached over the screens; drawn small and wide.
OVER: dict[str, tuple[str, ...]] = {
    "compare": ("2", "j", "c", "j", "c"),
    "campaign": ("2",),
    "sampled": ("4", "D", "enter"),
    "jump": ("4", "ctrl+o"),
    "palette": ("4", "ctrl+p"),
    "pages": ("7", "V"),
    "help": ("4", "question_mark"),
}


@pytest.mark.parametrize(
    ("name", "size"),
    [(name, size) for name in PICTURES for size in SIZES],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}x{value[1]}",
)
def test_screen(snap_compare, filled, make_app, monkeypatch, name: str, size) -> None:
    monkeypatch.setattr("irkit.playbook.steps", fixed_steps)
    monkeypatch.setattr("irkit.tui.screens.notification.read_form", fixed_form)
    monkeypatch.setattr("irkit.tui.verbs.Verbs.explain", lambda *_: ["In plain words: so it was."])
    assert snap_compare(
        make_app(filled), terminal_size=size, run_before=lambda pilot: to(pilot, *PICTURES[name])
    )


def fixed_pages(self: object, case: object, phase: object) -> DraftPages:
    """Pages whose words do not change with the packet's."""
    first = ["Personal data breach notification", "", "State      DRAFT - not signed off"]
    words = ["\n".join(first), "Summary\n\n3 people concerned (1 to 5)", "Annex A"]
    changes = [{"label": "People concerned", "before": "2", "now": "3"}]
    return DraftPages(words, changes)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", list(OVER))
def test_over_the_screens(snap_compare, filled, make_app, monkeypatch, name: str, size) -> None:
    monkeypatch.setattr("irkit.playbook.steps", fixed_steps)
    monkeypatch.setattr("irkit.tui.screens.notification.read_form", fixed_form)
    monkeypatch.setattr("irkit.tui.verbs.Verbs.explain", lambda *_: ["In plain words: so it was."])
    monkeypatch.setattr("irkit.tui.verbs.Verbs.pages", fixed_pages)

    async def act(pilot: Pilot[None]) -> None:
        await to(pilot, *OVER[name])
        await quiet(pilot)

    assert snap_compare(make_app(filled), terminal_size=size, run_before=act)


async def quiet(pilot: Pilot[None]) -> None:
    """Take away what says for some seconds what was done."""
    pilot.app.clear_notifications()
    for screen in pilot.app.screen_stack:
        await screen.query("Toast").remove()
    if isinstance(pilot.app.focused, Input):
        pilot.app.focused.cursor_blink = False
    await settle(pilot)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_files_are_picked(snap_compare, empty, make_app, tmp_path, monkeypatch, size) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "calls.jsonl").write_text(CALL * 3, "utf-8")
    (logs / "gateway.csv").write_text("a,b\n1,2\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    app = make_app(empty)

    async def act(pilot: Pilot[None]) -> None:
        await settle(pilot)
        pilot.app.push_screen(
            PickDialog(
                "Add logs",
                Path("logs"),  # the machine's own path is no part of the picture
                lambda chosen: app.verbs.preview(chosen, empty.path),
                detail="Each file is hashed, copied read-only into the case, and read.",
            )
        )
        await until(pilot, lambda: "calls.jsonl" in shown(pilot.app))
        await press(pilot, "j", "space", "p")
        await until(pilot, lambda: "nothing was written" in shown(pilot.app))
        await quiet(pilot)

    assert snap_compare(app, terminal_size=size, run_before=act)


async def start(pilot: Pilot[None]) -> None:
    await settle(pilot)


async def working(pilot: Pilot[None]) -> None:
    await settle(pilot)
    app = pilot.app
    app.job = Job("Sample incident", 0.0)  # type: ignore[attr-defined]
    for stage, done, total in (
        (Stage.PRESERVE, 5, 5),
        (Stage.INGEST, 400, 400),
        (Stage.MATCH, 3, 9),
    ):
        app.job.take(Progress(stage, done, total, "files"), 1e12)  # type: ignore[attr-defined]
    app.refresh_chrome()  # type: ignore[attr-defined]
    await settle(pilot)


async def reveal(pilot: Pilot[None]) -> None:
    await to(pilot, "4", "r")


async def error(pilot: Pilot[None]) -> None:
    from irkit.errors import EvidenceMismatch

    await settle(pilot)
    pilot.app.show_error(  # type: ignore[attr-defined]
        EvidenceMismatch(
            "/srv/logs/inference.jsonl: differs from what was hashed at intake",
            "stop relying on this file and compare it with another copy",
        )
    )
    await settle(pilot)


@pytest.mark.parametrize(
    ("name", "act", "with_case"),
    [
        ("start", start, False),
        ("working", working, False),
        ("reveal", reveal, True),
        ("error", error, True),
    ],
    ids=("start", "working", "reveal", "error"),
)
def test_dialog(
    snap_compare,
    filled,
    make_app,
    monkeypatch,
    name: str,
    act: Callable[[Pilot[None]], Awaitable[None]],
    with_case: bool,
) -> None:
    monkeypatch.setattr("irkit.playbook.steps", fixed_steps)
    app = make_app(filled if with_case else None)
    assert snap_compare(app, terminal_size=(80, 24), run_before=act)


def test_no_picture_holds_a_value() -> None:
    import fictional_case as fiction

    pictures = list((Path(__file__).parent / "__snapshots__").rglob("*.raw")) + list(
        (Path(__file__).parent / "__snapshots__").rglob("*.svg")
    )
    assert pictures
    for picture in pictures:
        text = picture.read_text("utf-8").replace("&#160;", " ")
        for _, name, mail, phone, born, _ in fiction.PEOPLE:
            for value in (name.split()[1], mail, phone, born):
                assert value not in text, f"{picture.name}: {value}"
