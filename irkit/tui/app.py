"""The application: which screen, which case, which work; screens and widgets do the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.timer import Timer

from irkit.case import Case, Clock, system_clock, views
from irkit.errors import IrkitError
from irkit.tui.actions import Action, bindings
from irkit.tui.casework import CaseWork
from irkit.tui.commands import IrkitCommands
from irkit.tui.jobs import unexpected
from irkit.tui.messages import (
    CaseOpened,
    Head,
    HeadRead,
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
from irkit.tui.session import CaseSession
from irkit.tui.text import clean
from irkit.tui.theme import DARK, THEMES
from irkit.tui.verbs import Verbs
from irkit.tui.widgets.dialogs import ConfirmDialog

SCREEN_CLASSES: dict[str, type[CaseScreen]] = {
    cls.PLACE: cls
    for cls in (
        OverviewScreen, ActorsScreen, ReplayScreen, ExposuresScreen, PlaybookScreen,
        DeadlinesScreen, NotificationScreen, EvidenceScreen, QuarantineScreen,
    )
}  # fmt: skip


#: Quiet time after a change before the playbook's steps are worked out again.
STEPS_SECONDS = 0.4


class IrkitApp(CaseWork):
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
        super().__init__(case, clock, demo, verbs)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name
        self.zone = zone or datetime.now().astimezone().tzinfo
        self.head: Head | None = None
        self.open_steps: tuple[NextStep, ...] = ()
        self.failure: BaseException | None = None
        self._steps_timer: Timer | None = None
        self._steps_session: CaseSession | None = None

    @property
    def next_step(self) -> NextStep | None:
        """The first step that can be worked on."""
        return self.open_steps[0] if self.open_steps else None

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
            self.masks_changed()
        self._reveal_shown = revealed
        self.refresh_chrome()

    def _screens(self) -> list[CaseScreen | StartScreen]:
        return [s for s in self.screen_stack if isinstance(s, CaseScreen | StartScreen)]

    def refresh_chrome(self) -> None:
        """Draw status line and job bar again."""
        for screen in self._screens():
            screen.refresh_chrome()

    def masks_changed(self) -> None:
        """Draw texts again after something was revealed or masked."""
        for screen in self._screens():
            screen.masks_changed()
        self.refresh_chrome()

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
            self.refresh_chrome()

    def on_steps_read(self, message: StepsRead) -> None:
        """Say what can be worked on."""
        if message.session is self.session and message.steps != self.open_steps:
            self.open_steps = message.steps
            self.refresh_chrome()
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
            self.masks_changed()

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


def _open_steps(case: Case) -> tuple[NextStep, ...]:
    from irkit.playbook import steps

    if not views.evidence_summary(case.con).records:
        return ()
    return tuple(
        NextStep(view.step.id, view.step.title, "n", view.step.phase)
        for view in steps(case)
        if view.state in ("open", "in_progress")
    )
