"""Going places: from screen to screen, from case to case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from irkit.case import Case, Clock, views
from irkit.errors import IrkitError
from irkit.model import UnitKind
from irkit.tui.graphics import Graphics
from irkit.tui.jobs import unexpected
from irkit.tui.messages import CaseOpened, Head, NextStep, Written
from irkit.tui.recent import recent_cases, remember
from irkit.tui.session import CaseSession
from irkit.tui.terminal import OnTerminal
from irkit.tui.verbs import Verbs


class GoingPlaces(OnTerminal):
    """The part of the application that opens screens and cases."""

    def __init__(
        self,
        case: Case | None,
        clock: Clock,
        demo: tuple[Path, Path] | None,
        verbs: Verbs | None,
        graphics: Graphics | None,
    ) -> None:
        super().__init__(case, clock, demo, verbs, graphics)
        self.head: Head | None = None
        self.open_steps: tuple[NextStep, ...] = ()

    @property
    def next_step(self) -> NextStep | None:
        """The first step that can be worked on."""
        return self.open_steps[0] if self.open_steps else None

    def action_go(self, name: str) -> None:
        """Show a screen of the case."""
        if self.session is None:
            self.notify("Open a case first.", markup=False)
            return
        while len(self.screen_stack) > 2:
            self.pop_screen()
        if self.screen is not self.get_screen(name):
            # What was revealed on a screen is masked on leaving it.
            self.action_mask()
            self.switch_screen(name)

    def replay_actor(self, key: views.ActorKey, record_id: str | None = None) -> None:
        """Show an actor's sequence, at one of its records where one is given."""
        from irkit.tui.screens.replay import ReplayScreen

        screen = self.get_screen("replay")
        assert isinstance(screen, ReplayScreen)
        screen.choose_actor(key, record_id)
        self.action_go("replay")

    def go_to(self, kind: str, name: str, level: str = "") -> None:
        """Show something that was found by its name; see :class:`irkit.tui.commands.CaseSearch`."""
        import shlex

        session = self.session
        if session is None:
            return
        if kind == "actor":
            self.replay_actor(views.ActorKey(UnitKind(level), name))
        elif kind in ("exposure", "person"):
            field = "id" if kind == "exposure" else "subject"
            screen: Any = self.get_screen("exposures")
            screen.show_only(f"{field}={shlex.quote(name)}")
            self.action_go("exposures")
        elif kind == "fact":
            facts: Any = self.get_screen("notification")
            facts.open_fact(name)
            self.action_go("notification")
        elif kind == "step":
            self._open_step(name)
        elif kind == "call":

            def work() -> None:
                try:
                    key = session.read(lambda con: views.actor_of(con, name))
                except IrkitError as error:
                    self.post_message(Written(error=error))
                    return
                if key is None:
                    words = IrkitError(
                        f"{name}: this call names no key, address or session",
                        "it belongs to no sequence; find it in the export instead",
                    )
                    self.post_message(Written(error=words))
                else:
                    self.call_from_thread(self.replay_actor, key, name)

            self.run_worker(work, thread=True, group="go", exclusive=True, exit_on_error=False)

    def actors_between(self, span: views.TimeSpan) -> None:
        """Show the actors flagged for what they did in a part of time."""
        from irkit.tui.screens.actors import ActorsScreen

        screen = self.get_screen("actors")
        assert isinstance(screen, ActorsScreen)
        screen.show_between(span)
        self.action_go("actors")

    def open_next_step(self) -> None:
        """Show the next step in the playbook."""
        if self.next_step is not None:
            self._open_step(self.next_step.step_id)

    def _open_step(self, step_id: str) -> None:
        from irkit.tui.screens.playbook import PlaybookScreen

        screen = self.get_screen("playbook")
        assert isinstance(screen, PlaybookScreen)
        screen.open_step(step_id)
        self.action_go("playbook")

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
            self.notify(
                f"Work is still running; cancel it first with {self.key_for('cancel_job')}.",
                markup=False,
            )
            return
        if self.session is None:
            return
        while len(self.screen_stack) > 2:
            self.pop_screen()
        self.switch_screen("start")
        session, self.session = self.session, None
        self.head, self.open_steps = None, ()
        session.close()
