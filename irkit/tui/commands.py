"""The command palette: every action of the registry that applies on this screen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from irkit.tui.actions import Action, actions_for

if TYPE_CHECKING:
    from irkit.tui.app import IrkitApp


class IrkitCommands(Provider):
    """Lists actions with their keys; choosing one does what its key does."""

    @property
    def irkit(self) -> IrkitApp:
        """The application, with its own type."""
        return self.app  # type: ignore[return-value]

    def _actions(self) -> Iterator[Action]:
        place = getattr(self.screen, "PLACE", "app")
        for action in actions_for(place):
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
