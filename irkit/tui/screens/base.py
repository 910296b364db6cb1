"""What all screens of a case share: status, tabs, footer, and reading in worker threads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import duckdb
from textual.app import ComposeResult
from textual.containers import Container
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.worker import get_current_worker

from irkit.case import Case
from irkit.errors import IrkitError
from irkit.tui.jobs import unexpected
from irkit.tui.messages import Fetched, FetchFailed
from irkit.tui.session import GaveWay, patiently
from irkit.tui.widgets.chrome import JobBar, NavBar, StatusBar, TooSmall
from irkit.tui.widgets.words import KeyBar

if TYPE_CHECKING:
    from irkit.tui.app import IrkitApp
    from irkit.tui.session import CaseSession

T = TypeVar("T")
Query = Callable[[duckdb.DuckDBPyConnection], Any]


class CaseScreen(Screen[None]):
    """A screen over the open case."""

    PLACE: ClassVar[str] = ""
    AUTO_FOCUS: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        self._tokens: dict[str, int] = {}
        self._seen = -1

    @property
    def irkit(self) -> IrkitApp:
        """The application, with its own type."""
        return self.app  # type: ignore[return-value]

    @property
    def session(self) -> CaseSession:
        """The open case; a screen of a case is never shown without one."""
        session = self.irkit.session
        assert session is not None, "no case is open"
        return session

    @property
    def now(self) -> datetime:
        """The injected clock's time."""
        return self.irkit.clock()

    def compose(self) -> ComposeResult:
        """Lay out the parts around the screen's own body."""
        yield StatusBar()
        yield NavBar(self.PLACE)
        with Container(id="body"):
            yield from self.body()
        yield JobBar()
        yield KeyBar()
        yield TooSmall()

    def body(self) -> ComposeResult:
        """Lay out what is the screen's own."""
        yield from ()

    def key_of(self, action: str, place: str = "") -> str:
        """The key of an action of this screen or another place; ``go(NAME)`` is a screen's digit.

        Texts that name a key get it here, so that they hold after keys were changed.
        """
        if action.startswith("go("):
            return self.irkit.key_for(f"go('{action[3:-1]}')")
        return self.irkit.key_for(action, place or self.PLACE)

    def page_keys(self) -> str:
        """The two keys that turn pages."""
        return f"{self.key_of('previous_page')} {self.key_of('next_page')}"

    # -- reading ------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read everything that the screen shows."""

    def on_screen_resume(self) -> None:
        """Read again if the case changed while another screen was shown."""
        self.refresh_chrome()
        if self._seen != self.session.version:
            self._seen = self.session.version
            self.reload()

    def case_changed(self) -> None:
        """Read again now."""
        self._seen = self.session.version
        self.reload()

    def fetch(self, name: str, query: Query, *, behind: bool = False) -> None:
        """Run a query in a thread; ``show_<name>`` gets the result unless a newer one is asked.

        Args:
            name: which of the screen's readings this is.
            query: what to ask.
            behind: nobody waits for it: it gives way to whatever a person asks for, then tries
                again.
        """
        session = self.session
        self._in_thread(name, lambda: session.read(query, behind=behind))

    def fetch_case(self, name: str, query: Callable[[Case], Any], *, behind: bool = False) -> None:
        """Like :meth:`fetch`, for queries of the core that take a case."""
        session = self.session
        self._in_thread(name, lambda: session.read_case(query, behind=behind))

    def _in_thread(self, name: str, ask: Callable[[], Any]) -> None:
        token = self._tokens[name] = self._tokens.get(name, 0) + 1

        def work() -> None:
            try:
                data = patiently(ask)
            except GaveWay:
                return
            except IrkitError as error:
                self.post_message(FetchFailed(name, token, error))
            except Exception as error:
                self.post_message(FetchFailed(name, token, unexpected(error, f"reading {name}")))
            else:
                if not get_current_worker().is_cancelled:
                    self.post_message(Fetched(name, token, data))

        self.run_worker(
            work, thread=True, group=f"fetch-{name}", exclusive=True, exit_on_error=False
        )

    def take_over(self, name: str, data: Any) -> None:
        """Draw what is known already; an answer still under way is then out of date."""
        self._tokens[name] = self._tokens.get(name, 0) + 1
        getattr(self, f"show_{name}")(data)

    def on_fetched(self, message: Fetched) -> None:
        """Hand an answer to the method that draws it."""
        if self._tokens.get(message.name) == message.token:
            getattr(self, f"show_{message.name}")(message.data)

    def on_fetch_failed(self, message: FetchFailed) -> None:
        """Say what went wrong."""
        if self._tokens.get(message.name) == message.token:
            self.irkit.show_error(message.error)

    # -- chrome -------------------------------------------------------------------------------

    def refresh_chrome(self) -> None:
        """Draw status line and job bar again."""
        session = self.irkit.session
        left = session.reveal_left() if session else 0
        try:
            phase = self.irkit.next_step.phase if self.irkit.next_step else ""
            self.query_one(StatusBar).show(self.irkit.head, self.now, left, phase)
            self.query_one(JobBar).show()
        except NoMatches:
            return  # not composed yet; on_screen_resume draws it

    def masks_changed(self) -> None:
        """Draw texts again after something was revealed or masked."""
