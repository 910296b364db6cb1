"""Text on the screen: drawn only when it changes, laid out again only when its size can change."""

from __future__ import annotations

from textual.content import Content
from textual.events import Click
from textual.widget import Widget
from textual.widgets import Static

from irkit.tui.actions import actions_for


class Words(Static):
    """Content without markup.

    Args:
        fixed: the place in the layout does not depend on the text, so changing it is cheap.
    """

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
        fixed: bool = False,
    ) -> None:
        super().__init__(Content(""), id=id, classes=classes, markup=False)
        self._fixed = fixed
        self._said = Content("")

    def say(self, content: Content) -> None:
        """Show a text; the same text again costs nothing."""
        if content.is_same(self._said):
            return
        self._said = content
        self.update(content, layout=not self._fixed)


class KeyBar(Widget, can_focus=False):
    """The footer: the keys that work now, from the registry; a click does what the key does.

    One widget instead of one per key: it is drawn again on every change of focus.
    """

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.keys: tuple[tuple[str, str, str, bool], ...] = ()
        self._said = Content("")
        self._ends: list[tuple[int, str]] = []

    def on_mount(self) -> None:
        """Follow the keys of this screen."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.read_keys())
        self.call_after_refresh(self.read_keys)

    def read_keys(self) -> None:
        """Take the keys that the registry shows in the footer and that work now."""
        if not self.is_attached or self.screen is not self.app.screen:
            return
        seen: dict[str, tuple[str, str, str, bool]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and binding.action not in seen:
                shown = self.app.get_key_display(binding)
                seen[binding.action] = (binding.key, shown, binding.description, active.enabled)
        # In the registry's order: a key of the person's own choice comes last otherwise.
        order = self._order()
        keys = tuple(seen[name] for name in sorted(seen, key=lambda name: order.get(name, -1)))
        if keys != self.keys:
            self.keys = keys
            self.refresh()

    def _order(self) -> dict[str, int]:
        keymap = getattr(self.app, "keymap", None)
        if keymap is None:
            return {}
        place = str(getattr(self.screen, "PLACE", "app"))
        return {action.id: at for at, action in enumerate(actions_for(place, keymap.actions))}

    def render(self) -> Content:
        """Draw as many keys as fit, and always the last two: help and commands."""
        width = self.size.width
        sizes = [Content(f"{shown} {words} ").cell_length for _, shown, words, _ in self.keys]
        kept = list(range(len(self.keys)))
        while len(kept) > 3 and sum(sizes[i] for i in kept) > width:
            del kept[-3]
        parts: list[Content] = []
        self._ends = []
        at = 0
        for index in kept:
            key, shown, words, enabled = self.keys[index]
            at += sizes[index]
            self._ends.append((at, key))
            tone = "$foreground" if enabled else "$muted"
            parts.append(
                Content.assemble((shown, "bold $footer-key-foreground"), (f" {words} ", tone))
            )
        return Content("").join(parts)

    def on_click(self, event: Click) -> None:
        """Do what the key under the pointer does."""
        for end, key in self._ends:
            if event.x < end:
                self.app.simulate_key(key)
                return
