"""The command palette: every action of the registry that applies on this screen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from irkit.case import views
from irkit.case.views.search import LEAST_LETTERS
from irkit.errors import IrkitError
from irkit.tui.actions import Action, actions_for
from irkit.tui.text import line

if TYPE_CHECKING:
    from irkit.tui.app import IrkitApp


#: Quiet time after a letter before the case is searched.
SEARCH_SECONDS = 0.15
_KINDS = {"actor": "Actor", "exposure": "Exposure", "person": "Person", "call": "Call"}


class CaseSearch(Provider):
    """Finds whatever has a name in the case: an actor, an exposure, a person, a call, a fact."""

    @property
    def irkit(self) -> IrkitApp:
        """The application, with its own type."""
        return self.app  # type: ignore[return-value]

    async def search(self, query: str) -> Hits:
        """List what carries the name, and facts and steps by their words."""
        session = self.irkit.session
        if session is None or len(query.strip()) < LEAST_LETTERS:
            return
        matcher = self.matcher(query)
        for step in self.irkit.open_steps:
            words = f"Step: {line(step.words, 80)}"
            if (score := matcher.match(words)) > 0:
                yield Hit(
                    score, matcher.highlight(words), partial(self._later, "step", step.step_id)
                )
        for key, label in fact_names():
            words = f"Fact: {label}"
            if (score := matcher.match(words)) > 0:
                yield Hit(score, matcher.highlight(words), partial(self._later, "fact", key))
        await asyncio.sleep(SEARCH_SECONDS)
        try:
            found = await asyncio.to_thread(
                session.read, lambda con: views.search(con, query, limit=8)
            )
        except IrkitError as error:
            self.app.call_later(self.irkit.show_error, error)
            return
        for item in found:
            words = f"{_KINDS[item.kind]} {line(item.name, 60)}"
            # Typed names come before actions that share a few letters with them.
            yield Hit(
                max(0.5, matcher.match(words)),
                Content(words),
                partial(self._later, item.kind, item.name, item.level),
                help=line(item.told, 80),
            )

    def _later(self, kind: str, name: str, level: str = "") -> None:
        self.app.call_later(self.irkit.go_to, kind, name, level)


class IrkitCommands(Provider):
    """Lists actions with their keys; choosing one does what its key does."""

    @property
    def irkit(self) -> IrkitApp:
        """The application, with its own type."""
        return self.app  # type: ignore[return-value]

    def _actions(self) -> Iterator[Action]:
        place = getattr(self.screen, "PLACE", "app")
        for action in actions_for(place, self.irkit.keymap.actions):
            name = action.id.split("(")[0]
            if self.screen.check_action(name, ()) is not False:
                yield action

    def _run(self, action: Action) -> None:
        place = getattr(self.screen, "PLACE", "app")
        here = place in action.places
        self.app.call_later(self.irkit.run_registered, action, here)

    @staticmethod
    def _words(action: Action) -> str:
        return f"{action.title}  ({action.all_keys})" if action.keys else action.title

    async def discover(self) -> Hits:
        """List everything before anything is typed."""
        for action in self._actions():
            yield DiscoveryHit(self._words(action), partial(self._run, action))

    async def search(self, query: str) -> Hits:
        """List what matches."""
        matcher = self.matcher(query)
        for action in self._actions():
            words = self._words(action)
            score = matcher.match(words)
            if score > 0:
                yield Hit(score, matcher.highlight(words), partial(self._run, action))


@lru_cache(maxsize=1)
def fact_names() -> tuple[tuple[str, str], ...]:
    """Keys and labels of the notification's facts."""
    from irkit.playbook.fields import FIELDS

    return tuple((field.key, field.label) for field in FIELDS)
