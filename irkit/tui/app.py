"""The application: which screen, which case, which work; screens and widgets do the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.timer import Timer

from irkit.case import Case, Clock, system_clock, views
from irkit.errors import IrkitError
from irkit.model import EvidenceState, Phase
from irkit.tui.actions import Action, bindings
from irkit.tui.commands import IrkitCommands
from irkit.tui.jobs import Job, Work, run_job, unexpected
from irkit.tui.messages import (
    CaseOpened,
    Head,
    HeadRead,
    JobFinished,
    JobProgressed,
    NextStep,
    StepsRead,
    Written,
)
from irkit.tui.recent import recent_cases, remember
from irkit.tui.screens.actors import ActorsScreen
from irkit.tui.screens.base import CaseScreen
from irkit.tui.screens.deadlines import DeadlinesScreen
from irkit.tui.screens.evidence import EvidenceScreen
from irkit.tui.screens.exposures import ExposuresScreen
from irkit.tui.screens.help import HelpScreen
from irkit.tui.screens.notification import NotificationScreen
from irkit.tui.screens.overview import OverviewScreen
from irkit.tui.screens.playbook import PlaybookScreen
from irkit.tui.screens.quarantine import QuarantineScreen
from irkit.tui.screens.replay import ReplayScreen
from irkit.tui.screens.start import StartScreen
from irkit.tui.session import REVEAL_SECONDS, CaseSession
from irkit.tui.text import clean, line, plural
from irkit.tui.theme import DARK, THEMES
from irkit.tui.verbs import Verbs
from irkit.tui.widgets.dialogs import AskDialog, ConfirmDialog, ErrorDialog, Question

SCREEN_CLASSES: dict[str, type[CaseScreen]] = {
    cls.PLACE: cls
    for cls in (
        OverviewScreen, ActorsScreen, ReplayScreen, ExposuresScreen, PlaybookScreen,
        DeadlinesScreen, NotificationScreen, EvidenceScreen, QuarantineScreen,
    )
}  # fmt: skip


#: Quiet time after a change before the playbook's steps are worked out again.
STEPS_SECONDS = 0.4


class IrkitApp(App[None]):
    """irkit on the screen."""

    TITLE = "irkit"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar = {IrkitCommands}
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it so
        (0, "-tiny"), (60, "-narrow"), (100, "-normal"), (136, "-wide"),
    ]  # fmt: skip
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it so
        (0, "-flat"), (15, "-short"), (34, "-tall"),
    ]  # fmt: skip

    def __init__(
        self,
        case: Case | None = None,
        *,
        clock: Clock = system_clock,
        demo: tuple[Path, Path] | None = None,
        verbs: Verbs | None = None,
        zone: tzinfo | None = None,
    ) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name
        self.session: CaseSession | None = None if case is None else CaseSession(case)
        self._clock = clock
        self._demo = demo
        self.verbs = verbs or Verbs()
        self.zone = zone or datetime.now().astimezone().tzinfo
        self.head: Head | None = None
        self.open_steps: tuple[NextStep, ...] = ()
        self.job: Job | None = None
        self.failure: BaseException | None = None
        self._after: Callable[[Any], None] | None = None
        self._reveal_shown = False
        self._steps_timer: Timer | None = None
        self._steps_session: CaseSession | None = None

    @property
    def next_step(self) -> NextStep | None:
        """The first step that can be worked on."""
        return self.open_steps[0] if self.open_steps else None

    @property
    def clock(self) -> Clock:
        """The open case's clock; the sample incident brings its own."""
        return self.session.case.clock if self.session else self._clock

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give the one colour of our own a value in themes that do not name it."""
        return {"muted": "#93a1b1"}

    # -- life cycle ---------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Show the first screen."""
        for name, cls in SCREEN_CLASSES.items():
            self.install_screen(cls(), name)
        self.install_screen(StartScreen(), "start")
        self.set_interval(1.0, self._tick)
        if self.session is not None:
            remember(self.session.path)
            self.push_screen("overview")
            self.read_head()
        else:
            self.push_screen("start")
            if self._demo is not None:
                self.call_after_refresh(self.start_demo, *self._demo)

    def _tick(self) -> None:
        revealed = self.session is not None and self.session.reveal_left() > 0
        if self._reveal_shown and not revealed:
            self._masks_changed()
        self._reveal_shown = revealed
        self._refresh_chrome()

    def _screens(self) -> list[CaseScreen | StartScreen]:
        return [s for s in self.screen_stack if isinstance(s, CaseScreen | StartScreen)]

    def _refresh_chrome(self) -> None:
        for screen in self._screens():
            screen.refresh_chrome()

    def _masks_changed(self) -> None:
        for screen in self._screens():
            screen.masks_changed()
        self._refresh_chrome()

    def _fatal_error(self) -> None:
        # Textual prints a traceback with the values of local variables, which may be exposed data;
        # the command line reports the failure instead.
        self.bell()
        self._close_messages_no_wait()

    def _handle_exception(self, error: Exception) -> None:
        self.failure = error
        super()._handle_exception(error)

    # -- head: what the status line says ------------------------------------------------------

    def read_head(self) -> None:
        """Read the status line in a thread, and the playbook's open steps once things are quiet.

        Steps attach evidence by many small queries; a reviewer's stream of verdicts must not wait
        for them.
        """
        session = self.session
        if session is None:
            return
        now = self.clock()

        def ask(case: Case) -> Head:
            con = case.con
            return Head(
                case.title,
                case.synthetic,
                views.next_deadline(con, now),
                views.evidence_summary(con),
            )

        self._read("head", session, ask, HeadRead)
        if self._steps_timer is not None:
            self._steps_timer.stop()
        if self._steps_session is session:
            self._steps_timer = self.set_timer(STEPS_SECONDS, self._read_steps)
        else:
            self._read_steps()

    def _read_steps(self) -> None:
        session = self.session
        if session is not None:
            self._steps_session = session
            self._read("steps", session, _open_steps, StepsRead)

    def _read(
        self,
        what: str,
        session: CaseSession,
        ask: Callable[[Case], Any],
        answer: type[HeadRead] | type[StepsRead],
    ) -> None:
        def work() -> None:
            try:
                found = session.read_case(ask)
            except IrkitError as error:
                self.post_message(Written(error=error))
            except Exception as error:
                self.post_message(Written(error=unexpected(error, "reading the case")))
            else:
                self.post_message(answer(session, found))

        self.run_worker(work, thread=True, group=what, exclusive=True, exit_on_error=False)

    def on_head_read(self, message: HeadRead) -> None:
        """Draw the status line."""
        if message.session is self.session:
            self.head = message.head
            self._refresh_chrome()

    def on_steps_read(self, message: StepsRead) -> None:
        """Say what can be worked on."""
        if message.session is self.session and message.steps != self.open_steps:
            self.open_steps = message.steps
            self._refresh_chrome()
            if isinstance(self.screen, OverviewScreen):
                self.screen.steps_changed()

    def case_changed(self) -> None:
        """Let the screens read again; those not shown do so when they come back."""
        self.read_head()
        for screen in self._screens():
            screen.case_changed()

    # -- going places -------------------------------------------------------------------------

    def action_go(self, name: str) -> None:
        """Show a screen of the case."""
        if self.session is None:
            self.notify("Open a case first.", markup=False)
            return
        while len(self.screen_stack) > 2:
            self.pop_screen()
        if self.screen is not self.get_screen(name):
            self.switch_screen(name)

    def replay_actor(self, key: views.ActorKey, record_id: str | None = None) -> None:
        """Show an actor's sequence, at one of its records where one is given."""
        screen = self.get_screen("replay")
        assert isinstance(screen, ReplayScreen)
        screen.choose_actor(key, record_id)
        self.action_go("replay")

    def open_next_step(self) -> None:
        """Show the next step in the playbook."""
        if self.next_step is None:
            return
        screen = self.get_screen("playbook")
        assert isinstance(screen, PlaybookScreen)
        screen.open_step(self.next_step.step_id)
        self.action_go("playbook")

    def action_help(self) -> None:
        """Show help for the screen."""
        place = getattr(self.screen, "PLACE", None)
        if place is not None:
            self.push_screen(HelpScreen(str(place)))

    def action_reload(self) -> None:
        """Read everything again."""
        self.case_changed()

    def action_theme(self) -> None:
        """Switch to the next theme."""
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]
        self.notify(f"Theme: {self.theme}", markup=False)

    def action_mask(self) -> None:
        """Mask everything now."""
        if self.session is not None:
            self.session.mask_all()
            self._masks_changed()

    async def action_leave(self) -> None:
        """Go back to the overview, and quit from there."""
        if isinstance(self.screen, CaseScreen) and not isinstance(self.screen, OverviewScreen):
            self.action_go("overview")
        else:
            await self.action_quit()

    async def action_quit(self) -> None:
        """Quit; running work is stopped after asking."""
        job = self.job
        if job is None:
            self.exit()
            return

        def answered(stop: bool | None) -> None:
            if stop:
                job.cancel()
                self.exit()

        self.push_screen(
            ConfirmDialog(
                "Work is still running",
                f"{job.title}: quitting stops it. What is finished stays; run it again to go on.",
                yes="Stop and quit",
                no="Keep working",
            ),
            answered,
        )

    async def run_registered(self, action: Action, here: bool) -> None:
        """Run an action of the registry, on this screen or on the application."""
        await self.run_action(action.id, self.screen if here else self)

    def copy(self, text: str, what: str) -> None:
        """Copy through the terminal (OSC 52, which also works over SSH)."""
        self.copy_to_clipboard(clean(text))
        self.notify(f"Copied the {what}.", markup=False)

    def show_error(self, error: IrkitError) -> None:
        """Show an error with what to do; the application lives on."""
        top = self.screen
        if isinstance(top, ErrorDialog) and top.error.message == error.message:
            return
        self.push_screen(ErrorDialog(error))

    # -- cases --------------------------------------------------------------------------------

    def recent(self) -> tuple[Path, ...]:
        """Cases opened last."""
        return recent_cases()

    def open_case(self, path: Path) -> None:
        """Open a case in a thread."""
        self._opening(lambda: Case.open(path, write=True, clock=self._clock), path)

    def create_case(self, path: Path, title: str) -> None:
        """Create a case in a thread."""
        self._opening(lambda: Case.create(path, title=title, clock=self._clock), path)

    def _opening(self, make: Callable[[], Case], path: Path) -> None:
        def work() -> None:
            try:
                case = make()
            except IrkitError as error:
                self.post_message(Written(error=error))
            except Exception as error:
                self.post_message(Written(error=unexpected(error, f"opening {path.name}")))
            else:
                self.post_message(CaseOpened(case))

        self.run_worker(work, thread=True, group="open", exclusive=True, exit_on_error=False)

    def on_case_opened(self, message: CaseOpened) -> None:
        """Take the case over and show its overview."""
        if self.session is not None:
            self.session.close()
        self.session = CaseSession(message.case)
        self.head, self.open_steps = None, ()
        remember(message.case.path)
        self.action_go("overview")
        self.case_changed()

    def action_close_case(self) -> None:
        """Give the case back and show the start screen."""
        if self.job is not None:
            self.notify("Work is still running; cancel it first with ^x.", markup=False)
            return
        if self.session is None:
            return
        while len(self.screen_stack) > 2:
            self.pop_screen()
        self.switch_screen("start")
        session, self.session = self.session, None
        self.head, self.open_steps = None, ()
        session.close()

    # -- short writes -------------------------------------------------------------------------

    def write(
        self, act: Callable[[CaseSession], None], *, done: str = "", reveal: str = ""
    ) -> None:
        """Carry out a short write in a thread; its outcome comes back as a message."""
        session = self.session
        if session is None:
            return

        def work() -> None:
            try:
                act(session)
            except IrkitError as error:
                self.post_message(Written(error=error))
            except Exception as error:
                self.post_message(Written(error=unexpected(error, "saving")))
            else:
                self.post_message(Written(done, reveal=reveal))

        self.run_worker(work, thread=True, group="write", exit_on_error=False)

    def on_written(self, message: Written) -> None:
        """Tell the person, and read again what changed."""
        if message.error is not None:
            self.show_error(message.error)
            return
        if message.note:
            self.notify(message.note, markup=False, timeout=3)
        if message.reveal:
            self._reveal_shown = True
            self._masks_changed()
        else:
            self.case_changed()

    def ask_reveal(self, kind: str, ref: str) -> None:
        """Ask why, write it to custody, then show the item for half a minute."""
        session = self.session
        if session is None:
            return
        if session.revealed(ref):
            session.mask_all()
            self._masks_changed()
            return

        def answered(answers: dict[str, str] | None) -> None:
            if answers is not None:
                self.write(lambda s: s.reveal(kind, ref, answers["reason"]), reveal=ref)

        self.push_screen(
            AskDialog(
                f"Reveal {kind} {line(ref, 30)}",
                [Question("reason", "Why do you need to see it?")],
                detail=f"Shown for {REVEAL_SECONDS} seconds. Your name, the time and the reason go"
                " to the custody log.",
                accept="Reveal",
            ),
            answered,
        )

    # -- long work ----------------------------------------------------------------------------

    def start_job(self, title: str, work: Work, then: Callable[[Any], None]) -> Job | None:
        """Start long work unless some is running; ``then`` gets its result on this thread."""
        if self.job is not None:
            self.notify(f"{self.job.title} is still running.", severity="warning", markup=False)
            return None
        job = self.job = Job(title, time.monotonic())
        self._after = then
        self.run_worker(
            lambda: run_job(self, job, work), thread=True, group="job", exit_on_error=False
        )
        self._refresh_chrome()
        return job

    def _case_job(
        self, title: str, act: Callable[[Case, Any], Any], then: Callable[[Any], None]
    ) -> None:
        session = self.session
        if session is None:
            return

        def work(progress: Any) -> Any:
            with session.writing() as case:
                return act(case, progress)

        job = self.start_job(title, work, then)
        if job is not None:
            job.connection = lambda: session.case.con

    def on_job_progressed(self, message: JobProgressed) -> None:
        """Draw how far the work is."""
        if self.job is not None:
            self.job.take(message.progress, time.monotonic())
            self._refresh_chrome()

    def on_job_finished(self, message: JobFinished) -> None:
        """Show what became of the work."""
        then, self._after, self.job = self._after, None, None
        self._refresh_chrome()
        if message.error is not None:
            self.show_error(message.error)
        elif message.cancelled:
            self.notify(
                f"{message.title}: cancelled. What was finished stays; run it again to continue.",
                severity="warning",
                markup=False,
            )
        elif then is not None:
            then(message.result)
        self.case_changed()

    def action_cancel_job(self) -> None:
        """Ask the running work to stop."""
        if self.job is not None:
            self.job.cancel()
            self._refresh_chrome()

    def start_demo(self, path: Path, out: Path) -> None:
        """Run the sample incident, then open its case."""
        clock = self._clock if self._demo is not None else self.verbs.sample_clock()
        opened: list[Case] = []

        def work(progress: Any) -> Any:
            case = self.verbs.open_demo(path, clock)
            opened.append(case)
            try:
                self.verbs.demo(case, out, progress)
            except BaseException:
                case.close()
                raise
            return case

        def opening(case: Any) -> None:
            self.post_message(CaseOpened(case))

        job = self.start_job("Sample incident", work, opening)
        if job is not None:
            job.connection = lambda: opened[0].con if opened else None

    def start_preserve(self) -> None:
        """Ask for logs and preserve them."""

        def answered(answers: dict[str, str] | None) -> None:
            if answers is not None:
                logs = _paths(answers["logs"])
                self._case_job(
                    "Add logs",
                    lambda case, progress: self.verbs.preserve(case, logs, progress),
                    lambda _: self.notify("Logs preserved and read.", markup=False),
                )

        self.push_screen(
            AskDialog(
                "Add logs",
                [Question("logs", "Files or directories, separated by spaces")],
                detail="Each file is hashed, copied read-only into the case, and read.",
                accept="Add",
            ),
            answered,
        )

    def start_scope(self) -> None:
        """Ask for corpus and register, then work out the scope."""

        def answered(answers: dict[str, str] | None) -> None:
            if answers is None:
                return
            corpus = _paths(answers["corpus"])
            register = _paths(answers["subjects"])
            self._case_job(
                "Scope",
                lambda case, progress: self.verbs.scope(
                    case, corpus, register[0] if register else None, progress
                ),
                lambda _: self.notify("Scope worked out.", markup=False),
            )

        self.push_screen(
            AskDialog(
                "Work out the scope",
                [
                    Question(
                        "corpus",
                        "Training corpus: files (empty: as last time, or none)",
                        required=False,
                    ),
                    Question("subjects", "Subject register: CSV or Parquet", required=False),
                ],
                detail="Matches answers against the corpus, replays every actor, counts people.",
                accept="Start",
            ),
            answered,
        )

    def start_assess(self) -> None:
        """Compute severity, obligations and deadlines."""
        self._case_job(
            "Assess",
            lambda case, _: self.verbs.assess(case),
            lambda _: self.notify("Severity and deadlines computed.", markup=False),
        )

    def start_verify(self) -> None:
        """Hash all evidence again."""

        def done(result: Any) -> None:
            changed = [f for f in result.evidence if f.state is EvidenceState.MISMATCH]
            if changed:
                names = ", ".join(line(Path(f.original_path).name, 40) for f in changed[:5])
                self.show_error(
                    IrkitError(
                        f"{plural(len(changed), 'file')} changed since intake: {names}",
                        "stop relying on this evidence; compare with another copy and record what"
                        " happened",
                    )
                )
            else:
                self.notify(
                    f"{plural(len(result.evidence), 'file')}: {result.state.value};"
                    f" custody chain intact, {result.custody_entries} entries.",
                    markup=False,
                )

        self._case_job("Verify", lambda case, progress: self.verbs.verify(case, progress), done)

    def start_packet(self, phase: Phase) -> None:
        """Ask where, then build the packet."""
        session = self.session
        if session is None:
            return
        stamp = self.clock().strftime("%Y%m%dT%H%MZ")
        self._ask_out(
            "Build the notification packet",
            session.path / "packets" / f"{phase.value}-{stamp}",
            "Packet",
            lambda case, out: self.verbs.notify(case, out, phase, None),
        )

    def start_contain(self) -> None:
        """Ask where, then write containment rules."""
        if self.session is not None:
            self._ask_out(
                "Write containment rules",
                self.session.path / "packets" / "containment",
                "Containment",
                self.verbs.contain,
            )

    def start_remediate(self) -> None:
        """Ask where, then write the remediation manifest."""
        if self.session is not None:
            self._ask_out(
                "Write the remediation manifest",
                self.session.path / "packets" / "remediation",
                "Remediation",
                self.verbs.remediate,
            )

    def start_export(self) -> None:
        """Ask where, then write the export files."""
        if self.session is not None:
            self._ask_out(
                "Write the export files",
                self.session.path / "packets" / "export",
                "Export",
                self.verbs.export,
            )

    def _ask_out(
        self, question: str, proposal: Path, title: str, act: Callable[[Case, Path], Any]
    ) -> None:
        def answered(answers: dict[str, str] | None) -> None:
            if answers is None:
                return
            out = Path(answers["out"]).expanduser()
            self._case_job(
                title,
                lambda case, _: act(case, out),
                lambda _: self.notify(f"{title}: written to {line(out)}", markup=False, timeout=8),
            )

        self.push_screen(
            AskDialog(question, [Question("out", "Directory", str(proposal))], accept="Write"),
            answered,
        )


def _open_steps(case: Case) -> tuple[NextStep, ...]:
    from irkit.playbook import steps

    if not views.evidence_summary(case.con).records:
        return ()
    return tuple(
        NextStep(view.step.id, view.step.title, "n", view.step.phase)
        for view in steps(case)
        if view.state in ("open", "in_progress")
    )


def _paths(text: str) -> Sequence[Path]:
    import shlex

    try:
        return [Path(word).expanduser() for word in shlex.split(text)]
    except ValueError:
        return [Path(text).expanduser()]
