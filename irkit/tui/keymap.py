"""Keys of the person's own choice: a TOML file in the user's configuration directory.

The file has a table per screen (``[everywhere]`` for what works on all) and a line per action::

    [everywhere]
    command_palette = "ctrl+k"

    [replay]
    next_leak = ["f8", "L"]

A line that cannot be followed is left out and said; the rest of the file still counts.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from irkit.tui.actions import ACTIONS, DIALOGS, SCREENS, Action

EVERYWHERE = "everywhere"
#: Largest file that is read.
LIMIT_BYTES = 100_000

_NAMED = frozenset(
    [
        "escape",
        "enter",
        "tab",
        "space",
        "backspace",
        "delete",
        "insert",
        "home",
        "end",
        "pageup",
        "pagedown",
        "up",
        "down",
        "left",
        "right",
    ]
) | {f"f{number}" for number in range(1, 25)}
_SYMBOLS = {
    "?": "question_mark", "/": "slash", ".": "full_stop", "[": "left_square_bracket",
    "]": "right_square_bracket", "+": "plus", "-": "minus", " ": "space", ",": "comma",
    ";": "semicolon", ":": "colon", "'": "apostrophe", '"': "quotation_mark", "=": "equals_sign",
    "<": "less_than_sign", ">": "greater_than_sign", "\\": "backslash", "!": "exclamation_mark",
    "#": "number_sign", "$": "dollar_sign", "%": "percent_sign", "&": "ampersand",
    "*": "asterisk", "(": "left_parenthesis", ")": "right_parenthesis", "@": "at",
    "_": "underscore", "|": "vertical_line", "~": "tilde", "`": "grave_accent",
    "^": "circumflex_accent", "{": "left_curly_bracket", "}": "right_curly_bracket",
}  # fmt: skip
#: Keys that the tables, the dialogs or the terminal need for themselves.
_TAKEN = {
    **dict.fromkeys(("escape", "tab", "shift+tab", "ctrl+q", "ctrl+c"), "every screen"),
    **dict.fromkeys(
        ("j", "k", "g", "G", "up", "down", "pageup", "pagedown", "ctrl+d", "ctrl+u"),
        "moving in tables and texts",
    ),
}


@dataclass(frozen=True, slots=True)
class Keymap:
    """The actions with their keys, what the file changed, and what it could not.

    Attributes:
        actions: the whole registry with the keys that hold.
        changed: Textual binding id to its keys, for those that differ.
        problems: a sentence per line of the file that was left out.
    """

    actions: tuple[Action, ...] = ACTIONS
    changed: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()

    def key(self, action: str, place: str) -> str:
        """The first key of an action on a screen, as people write it.

        Args:
            action: id as in the registry, like ``undo`` or ``go('overview')``.
            place: screen, or ``app`` for what works everywhere.

        Raises:
            KeyError: there is no such action; a text must not name a key that does nothing.
        """
        for known in self.actions:
            if known.id == action and place in known.places:
                return known.key_text or f"{self.key('command_palette', 'app')} {known.label}"
        raise KeyError(f"{place}.{action}")


def keys_file() -> Path:
    """Where the file lies, after the XDG base directory specification."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "irkit" / "keys.toml"


def spelled(key: str) -> str | None:
    """Return a key in Textual's spelling, or None where there is no such key.

    Modifiers are ``ctrl+``, ``alt+`` and ``shift+``; ``?`` may be written for ``question_mark``.
    """
    head, plus, last = key.rpartition("+")
    if plus and not last:  # the plus sign itself
        head, last = head.removesuffix("+"), "+"
    modifiers = [word for word in head.split("+") if word]
    if any(word not in ("ctrl", "alt", "shift") for word in modifiers):
        return None
    last = _SYMBOLS.get(last, last)
    lower = last.lower()
    if len(last) > 1 and lower in _NAMED:
        last = lower
    elif last not in _SYMBOLS.values() and not (len(last) == 1 and last.isprintable()):
        return None
    return "+".join([*modifiers, last])


def load_keys(path: Path | None = None) -> Keymap:
    """Read the file; none means the keys that irkit comes with."""
    path = path or keys_file()
    try:
        if path.stat().st_size > LIMIT_BYTES:
            return Keymap(problems=(f"the file is larger than {LIMIT_BYTES:,} bytes",))
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return Keymap()
    except OSError as error:
        return Keymap(problems=(f"the file cannot be read: {error.strerror}",))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return Keymap(problems=(f"the file is no TOML: {error}",))
    return remapped(content)


def remapped(content: Mapping[str, object]) -> Keymap:
    """Follow the file's tables as far as they can be followed."""
    problems: list[str] = []
    wanted: dict[tuple[str, str], tuple[str, ...]] = {}
    for section, lines in content.items():
        place = "app" if section == EVERYWHERE else section
        if place != "app" and place not in places():
            problems.append(f"[{section}]: no such screen; there are {EVERYWHERE}, "
                            + ", ".join(places()))  # fmt: skip
            continue
        if not isinstance(lines, Mapping):
            problems.append(f"{section}: a table is expected, like [{section}]")
            continue
        for name, value in lines.items():
            problem = _line(section, place, str(name), value, wanted)
            if problem:
                problems.append(problem)
    for (place, name), clash in _clashes(wanted).items():
        section = EVERYWHERE if place == "app" else place
        problems.append(f"[{section}] {name}: {clash}; the line is left out")
        del wanted[place, name]
    changed: dict[str, str] = {}
    for (place, name), keys in wanted.items():
        changed[f"{place}.{_named(place, name).id}"] = ",".join(keys)
    return Keymap(_with_keys(wanted), tuple(sorted(changed.items())), tuple(problems))


def places() -> tuple[str, ...]:
    """Names of the tables, apart from ``everywhere``."""
    return ("start", *(name for name, _, _ in SCREENS), *DIALOGS)


def _line(
    section: str,
    place: str,
    name: str,
    value: object,
    wanted: dict[tuple[str, str], tuple[str, ...]],
) -> str:
    known = [action.name for action in ACTIONS if place in action.places]
    if name not in known:
        import difflib

        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"[{section}] {name}: no such action{hint}"
    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, list) or not keys or not all(isinstance(k, str) for k in keys):
        return f'[{section}] {name}: a key or a list of keys is expected, like "f8"'
    out = []
    for key in keys:
        told = spelled(key)
        if told is None:
            return f"[{section}] {name}: there is no key {key[:20]!r}"
        if told in _TAKEN:
            return f"[{section}] {name}: {key!r} is needed for {_TAKEN[told]}"
        out.append(told)
    wanted[place, name] = tuple(out)
    return ""


def _named(place: str, name: str) -> Action:
    return next(a for a in ACTIONS if a.name == name and place in a.places)


def _keys_of(
    action: Action, place: str, wanted: Mapping[tuple[str, str], Sequence[str]]
) -> set[str]:
    return set(wanted.get((place, action.name), action.keys))


def _clashes(wanted: Mapping[tuple[str, str], tuple[str, ...]]) -> dict[tuple[str, str], str]:
    """Lines whose key already means something else on the same screen."""
    found: dict[tuple[str, str], str] = {}
    for (place, name), keys in wanted.items():
        here = [place, "app"] if place != "app" else ["app", *places()]
        for other in ACTIONS:
            for there in here:
                if there not in other.places or (there == place and other.name == name):
                    continue
                # Of two lines that want the same key, the later one is left out.
                theirs = _keys_of(other, there, {k: v for k, v in wanted.items() if k not in found})
                both = sorted(set(keys) & theirs)
                if both and (place, name) not in found:
                    rival = (there, other.name)
                    order = list(wanted)
                    if rival in wanted and order.index(rival) > order.index((place, name)):
                        continue
                    where = "everywhere" if there == "app" else f"on {there}"
                    found[place, name] = f"{both[0]!r} already means {other.name} {where}"
    return found


def _with_keys(wanted: Mapping[tuple[str, str], tuple[str, ...]]) -> tuple[Action, ...]:
    """Return the registry with new keys; an action is split where its screens differ."""
    out: list[Action] = []
    for action in ACTIONS:
        groups: dict[tuple[str, ...], list[str]] = {}
        for place in action.places:
            groups.setdefault(wanted.get((place, action.name), action.keys), []).append(place)
        for keys, at in groups.items():
            show = action.show if keys == action.keys else ""
            out.append(replace(action, keys=keys, places=tuple(at), show=show))
    return tuple(out)


def template(actions: Iterable[Action] = ACTIONS) -> str:
    """Write a file with every action and its key, all lines commented out."""
    lines = ["# Keys of irkit's screens. Take away the # of a line and write your own key.",
             "# Several: [\"f8\", \"L\"]. Modifiers: ctrl+ alt+ shift+.", ""]  # fmt: skip
    actions = tuple(actions)
    for place in ("app", *places()):
        lines.append(f"[{EVERYWHERE if place == 'app' else place}]")
        for action in actions:
            if place in action.places:
                keys = ", ".join(f'"{key}"' for key in action.keys)
                lines.append(f"# {action.name} = [{keys}]  # {action.title}")
        lines.append("")
    return "\n".join(lines)
