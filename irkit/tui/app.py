"""The application: which screen, which case, which work; screens and widgets do the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.events import Event, InputEvent
from textual.screen import Screen
from textual.timer import Timer

from irkit.case import Case, Clock, system_clock, views
from irkit.errors import IrkitError, UsageError
from irkit.tui.actions import SCREENS, Action, bindings, key_words
from irkit.tui.commands import CaseSearch, IrkitCommands
from irkit.tui.going import GoingPlaces
from irkit.tui.graphics import Graphics
from irkit.tui.heap import BREATH, Heap
from irkit.tui.jobs import unexpected
from irkit.tui.keymap import keys_file, template
from irkit.tui.messages import (
    Head,
    HeadRead,
    NextStep,
    StepsRead,
    Written,
)
from irkit.tui.recent import remember
from irkit.tui.screens.base import CaseScreen
from irkit.tui.screens.start import StartScreen
from irkit.tui.session import CaseSession, GaveWay, patiently
from irkit.tui.theme import DARK, THEMES
from irkit.tui.verbs import Verbs
from irkit.tui.widgets.dialogs import ConfirmDialog

#: Screens by name: module and class, loaded when first shown so that the first paint comes soon.
_CLASSES = {name: f"{name.capitalize()}Screen" for name, _, _ in SCREENS}


def screen_class(name: str) -> type[CaseScreen]:
    """Load the class of a screen."""
    from importlib import import_module

    found: type[CaseScreen] = getattr(import_module(f"irkit.tui.screens.{name}"), _CLASSES[name])
    return found


def _made(name: str) -> CaseScreen:
    return screen_class(name)()


def __getattr__(name: str) -> dict[str, type[CaseScreen]]:
    if name == "SCREEN_CLASSES":
        return {place: screen_class(place) for place in _CLASSES}
    raise AttributeError(name)


#: Quiet time after a change before the playbook's steps are worked out again.
STEPS_SECONDS = 0.4


class IrkitApp(GoingPlaces):
    """irkit on the screen."""

    TITLE = "irkit"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar = {IrkitCommands, CaseSearch}
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    SCREENS: ClassVar[dict[str, Callable[[], Screen[Any]]]] = {
        **{name: partial(_made, name) for name in _CLASSES},
        "start": StartScreen,
    }
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
        graphics: Graphics | None = None,
    ) -> None:
        super().__init__(case, clock, demo, verbs, graphics)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = DARK.name
        self.zone = zone or datetime.now().astimezone().tzinfo
        self.failure: BaseException | None = None
        self._steps_timer: Timer | None = None
        self._steps_session: CaseSession | None = None
        self.heap = Heap()
        self._breath: Timer | None = None

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give the one colour of our own a value in themes that do not name it."""
        return {"muted": "#93a1b1"}

    # -- life cycle ---------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Show the first screen."""
        self.set_interval(1.0, self._tick)
        self.set_keymap(dict(self.keymap.changed))
        if self.keymap.problems:
            self.call_after_refresh(self._say_key_problems)
        if self.session is not None:
            remember(self.session.path)
            self.push_screen("overview")
            self.read_head()
        else:
            self.push_screen("start")
            if self._demo is not None:
                self.call_after_refresh(self.start_demo, *self._demo)

    def _say_key_problems(self) -> None:
        self.show_error(
            UsageError(
                f"{keys_file()}: some lines were left out.\n" + "\n".join(self.keymap.problems),
                "mend the file and start again; everything else works with its own keys",
            )
        )

    def get_key_display(self, binding: Binding) -> str:
        """Write a key as the registry does, also one of the person's own choice."""
        return binding.key_display or key_words(binding.key)

    def action_write_keys(self) -> None:
        """Write a file in which every key can be changed, unless there is one."""
        path = keys_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(template())
        except FileExistsError:
            self.notify(f"Your keys are in {path}", markup=False, timeout=8)
        except OSError as error:
            self.show_error(
                IrkitError(f"{path}: cannot be written: {error.strerror}", "check the directory")
            )
        else:
            self.notify(f"Written: {path}. It holds every key.", markup=False, timeout=8)

    def _tick(self) -> None:
        revealed = self.session is not None and self.session.reveal_left() > 0
        if self._reveal_shown and not revealed:
            self.masks_changed()
        self._reveal_shown = revealed
        self.refresh_chrome()
        self.heap.pause()

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

    def overview_stands(self) -> None:
        """Read what nobody waits for, once the first screen stands: open steps, then the rest."""
        if self._steps_session is not self.session:
            self.heap.begin()
            self._read_steps()

    async def on_event(self, event: Event) -> None:
        """Remember when a person last did something."""
        if isinstance(event, InputEvent):
            self.heap.touched()
            if self._breath is None:
                self._breath = self.set_timer(BREATH, self._breathe)
        await super().on_event(event)

    def _breathe(self) -> None:
        """Collect what the keys left, unless the next one has come already."""
        self._breath = None
        if not self.heap.pause() and self.heap.idle < BREATH:
            self._breath = self.set_timer(BREATH, self._breathe)

    def on_unmount(self) -> None:
        """Leave everything to the garbage collector again."""
        self.heap.end()

    def _read_steps(self) -> None:
        session = self.session
        if session is not None:
            self._steps_session = session
            self._read("steps", session, _open_steps, StepsRead, behind=True)

    def _keep(self, session: CaseSession) -> None:
        """Keep what the other screens will ask for."""

        def work() -> None:
            try:
                session.prepare(*views.KEEPERS)
            except IrkitError:
                return  # whoever needs it asks again, and says why it failed

        self.run_worker(work, thread=True, group="keep", exclusive=True, exit_on_error=False)

    def _read(
        self,
        what: str,
        session: CaseSession,
        ask: Callable[[Case], Any],
        answer: type[HeadRead] | type[StepsRead],
        *,
        behind: bool = False,
    ) -> None:
        def work() -> None:
            try:
                found = patiently(lambda: session.read_case(ask, behind=behind))
            except GaveWay:
                return
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
        if message.session is self.session:
            self._keep(message.session)
        if message.session is self.session and message.steps != self.open_steps:
            self.open_steps = message.steps
            self.refresh_chrome()
            if getattr(self.screen, "PLACE", "") == "overview":
                self.screen.steps_changed()  # type: ignore[attr-defined]

    def case_changed(self) -> None:
        """Let the screens read again; those not shown do so when they come back."""
        self.read_head()
        for screen in self._screens():
            screen.case_changed()

    # -- what the keys do ------------------------------------------------------------------------

    def action_help(self) -> None:
        """Show help for the screen."""
        place = getattr(self.screen, "PLACE", None)
        if place is not None:
            from irkit.tui.screens.help import HelpScreen

            self.push_screen(HelpScreen(str(place), self.keymap.actions))

    def action_jump(self) -> None:
        """Show a label on every tab and pane; typing it goes there."""
        from irkit.tui.screens.jump import JumpScreen, Target, targets

        def chosen(target: Target | None) -> None:
            if target is None:
                return
            if target.is_tab:
                self.action_go(str(getattr(target.widget, "screen_name", "overview")))
            else:
                target.widget.focus()

        self.push_screen(JumpScreen(targets(self.screen)), chosen)

    def action_reload(self) -> None:
        """Read everything again."""
        self.case_changed()

    def action_theme(self) -> None:
        """Switch to the next theme."""
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]
        self.notify(f"Theme: {self.theme}", markup=False)

    def action_help_quit(self) -> None:
        """Say what stops work and what quits: whoever presses ^c means one of the two."""
        job, stop, leave = self.job, self.key_for("cancel_job"), "^q"
        words = f"{leave} quits." if job is None else f"{stop} stops {job.title}; {leave} quits."
        self.notify(words, markup=False)

    async def action_leave(self) -> None:
        """Go back to the overview, and quit from there."""
        if isinstance(self.screen, CaseScreen) and self.screen.PLACE != "overview":
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


def _open_steps(case: Case) -> tuple[NextStep, ...]:
    from irkit.playbook import steps

    if not views.evidence_summary(case.con).records:
        return ()
    return tuple(
        NextStep(view.step.id, view.step.title, view.step.phase)
        for view in steps(case)
        if view.state in ("open", "in_progress")
    )
