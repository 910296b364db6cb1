"""Words for driving the screens in tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import Worker, WorkerCancelled

from irkit.case import views
from irkit.model import UnitKind
from irkit.tui.app import IrkitApp
from irkit.tui.screens.replay import ReplayScreen

NAP = 0.012
#: Naps in a row without work after which a screen counts as settled.
QUIET = 4


def _busy(pilot: Pilot[None]) -> list[Worker]:
    # The directory tree has a loader that waits for work as long as the tree is there.
    return [
        w
        for w in pilot.app.workers
        if w.group != "job" and w.name != "_loader" and not w.is_finished
    ]


async def settle(pilot: Pilot[None]) -> None:
    """Wait until no reading or writing is under way and its outcome is drawn."""
    quiet = 0
    while quiet < QUIET:
        # A screen draws at most sixty times a second, and what follows a drawing comes after it.
        # A nap that lasts longer than asked means that the application was at work meanwhile.
        begun = time.perf_counter()
        await asyncio.sleep(NAP)
        at_work = time.perf_counter() - begun > NAP + 0.006
        busy = _busy(pilot)
        if busy:
            try:
                await pilot.app.workers.wait_for_complete(busy)
            except WorkerCancelled:
                pass  # a newer reading took its place
        quiet = 0 if busy or at_work else quiet + 1
        if quiet == QUIET:
            await pilot.pause()
            if _busy(pilot):
                quiet = 0


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, each followed by settling."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def write(pilot: Pilot[None], text: str) -> None:
    """Type a text into the focused input."""
    focused = pilot.app.focused
    assert isinstance(focused, Input), focused
    focused.value = text
    await pilot.pause()


async def until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition; fails when it never holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        await pilot.pause(0.02)


def shown(app: IrkitApp) -> str:
    """Everything on the screen as plain text, line by line."""
    screen = app.screen
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in screen._compositor.render_strips()
    )


async def replaying(app, pilot, unit) -> ReplayScreen:
    """Show the sequence of a credential."""
    await settle(pilot)
    app.replay_actor(views.ActorKey(UnitKind.CREDENTIAL, unit))
    await settle(pilot)
    assert isinstance(app.screen, ReplayScreen)
    return app.screen
