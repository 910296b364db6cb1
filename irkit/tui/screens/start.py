"""Start: the sample incident, a recent case, an existing one, or a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from irkit.model import Stage
from irkit.tui.actions import bindings
from irkit.tui.text import line, middle, number
from irkit.tui.widgets.chrome import JobBar, TooSmall
from irkit.tui.widgets.dialogs import AskDialog, Question
from irkit.tui.widgets.words import KeyBar, Words

if TYPE_CHECKING:
    from irkit.tui.app import IrkitApp

STAGE_WORDS = {
    Stage.PRESERVE: "Preserve: hash and copy the logs",
    Stage.INGEST: "Read: turn log entries into queries",
    Stage.MATCH: "Match answers against the training corpus",
    Stage.REPLAY: "Replay every actor through the detectors",
    Stage.PII: "Look for personal data in the answers",
    Stage.SCOPE: "Count exposed records and people",
    Stage.ASSESS: "Assess severity and deadlines",
}


class StartScreen(Screen[None]):
    """What to open."""

    PLACE = "start"
    BINDINGS: ClassVar = bindings("start")
    AUTO_FOCUS = "#choices"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing else can be opened while work runs."""
        del parameters
        return not (action in ("demo", "open", "new") and self.irkit.job is not None)

    @property
    def irkit(self) -> IrkitApp:
        """The application, with its own type."""
        return self.app  # type: ignore[return-value]

    def compose(self) -> ComposeResult:
        """Lay out title, choices and the running work."""
        with Vertical(id="start"):
            yield Static(
                Content.assemble(
                    ("irkit", "bold $accent"),
                    ("  incident response for AI models that leaked", "bold"),
                ),
                id="start-title",
                markup=False,
            )
            yield Static(
                Content("From inference logs to a breach notification, offline, on this machine."),
                id="start-words",
                markup=False,
            )
            yield OptionList(id="choices", compact=True)
            with Vertical(id="work", classes="section"):
                yield Words(id="work-stages")
        yield JobBar()
        yield KeyBar()
        yield TooSmall()

    def on_mount(self) -> None:
        """Show the choices, or the work that already runs."""
        self.query_one("#work").border_title = "Sample incident"
        self.case_changed()

    def on_screen_resume(self) -> None:
        """Show what changed meanwhile."""
        self.case_changed()

    def case_changed(self) -> None:
        """Draw the choices again."""
        choices = self.query_one("#choices", OptionList)
        choices.clear_options()
        options = [
            Option(
                _choice("d", "Sample incident", "synthetic people, real attacks"),
                id="demo",
            ),
            Option(_choice("o", "Open a case", "by its path"), id="open"),
            Option(_choice("n", "New case", "then add the logs of your incident"), id="new"),
        ]
        for index, path in enumerate(self.irkit.recent()):
            options.append(
                Option(
                    _choice(" ", middle(path.stem, 30), middle(path.parent, 44)),
                    id=f"recent-{index}",
                )
            )
        choices.add_options(options)
        choices.highlighted = 0
        self.refresh_chrome()

    def refresh_chrome(self) -> None:
        """Draw the running work."""
        job = self.irkit.job
        self.query_one("#choices").display = job is None
        self.query_one("#work").display = job is not None
        self.query_one(JobBar).show()
        self.refresh_bindings()
        if job is None:
            return
        lines = []
        for stage, words in STAGE_WORDS.items():
            state = job.stages.get(stage)
            if state is None:
                lines.append(Content.styled(f"○ {words}", "$muted"))
            elif state is job.current:
                done = f"  {number(state.done)}" + (
                    f" of {number(state.total)}" if state.total else ""
                )
                lines.append(
                    Content.assemble(
                        (f"▶ {words}", "bold $accent"),
                        (f"{done} {line(state.unit)}", "$muted"),
                    )
                )
            else:
                lines.append(Content.styled(f"✓ {words}", "$success"))
        self.query_one("#work-stages", Words).say(Content("\n").join(lines))

    def masks_changed(self) -> None:
        """Nothing here is ever revealed."""

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        name = event.option.id or ""
        if name.startswith("recent-"):
            self.irkit.open_case(self.irkit.recent()[int(name.removeprefix("recent-"))])
        else:
            getattr(self, f"action_{name}")()

    def action_demo(self) -> None:
        """Run the sample incident in a directory of the person's choice."""
        if self.irkit.job is not None:
            return

        def answered(answers: dict[str, str] | None) -> None:
            if answers is not None:
                out = Path(answers["out"]).expanduser()
                self.irkit.start_demo(out / "sample.irkit", out)

        self.app.push_screen(
            AskDialog(
                "Sample incident",
                [Question("out", "Directory for the case and its outputs", "irkit-demo")],
                detail="A case of its own is made there; nothing else is touched.",
                accept="Run",
            ),
            answered,
        )

    def action_open(self) -> None:
        """Open a case by its path."""

        def answered(answers: dict[str, str] | None) -> None:
            if answers is not None:
                self.irkit.open_case(Path(answers["path"]).expanduser())

        self.app.push_screen(
            AskDialog(
                "Open a case",
                [Question("path", "Path of the case directory", placeholder="leak.irkit")],
                accept="Open",
            ),
            answered,
        )

    def action_new(self) -> None:
        """Create a case."""

        def answered(answers: dict[str, str] | None) -> None:
            if answers is not None:
                self.irkit.create_case(Path(answers["path"]).expanduser(), answers["title"])

        self.app.push_screen(
            AskDialog(
                "New case",
                [
                    Question("path", "Path of the new case directory", placeholder="leak.irkit"),
                    Question("title", "Title", placeholder="Chat gateway, October", required=False),
                ],
                accept="Create",
            ),
            answered,
        )


def _choice(key: str, words: str, more: str) -> Content:
    return Content.assemble(
        (f" {key} ", "bold $footer-key-foreground"),
        (f"{line(words):<32}", "bold"),
        (line(more), "$muted"),
    )
