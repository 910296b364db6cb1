"""The one list of everything a person can do: keys, footer, command palette and help come from it.

An action named ``confirm`` runs ``action_confirm`` of the screen it belongs to; actions of the
place ``app`` run on the application and work everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person can do.

    Attributes:
        id: method name without ``action_``.
        keys: keys in Textual's spelling, the one shown first.
        label: words of the footer, short.
        title: words of palette and help, verb first.
        places: screens where it applies; ``app`` is everywhere.
        footer: shown in the footer.
        show: how the key is written where its spelling is long.
    """

    id: str
    keys: tuple[str, ...]
    label: str
    title: str
    places: tuple[str, ...]
    footer: bool = False
    show: str = ""

    @property
    def name(self) -> str:
        """How the person's own key file names the action."""
        verb, argument, rest = self.id.partition("(")
        if not argument:
            return verb
        return f"go_{rest.strip(chr(39) + ')')}" if verb == "go" else self.label.lower()

    @property
    def key_text(self) -> str:
        """The first key as people write it."""
        return self.show or key_words(self.keys[0]) if self.keys else ""

    @property
    def all_keys(self) -> str:
        """Every key as people write them."""
        return " ".join(key_words(key) for key in self.keys)


_KEY_WORDS = {
    "question_mark": "?",
    "slash": "/",
    "full_stop": ".",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "space": "space",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "ctrl+p": "^p",
    "ctrl+x": "^x",
    "ctrl+q": "^q",
    "ctrl+d": "^d",
    "ctrl+u": "^u",
    "f1": "F1",
    "f5": "F5",
    "escape": "esc",
    "enter": "⏎",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
}


def key_words(key: str) -> str:
    """Write a key as people do."""
    if key in _KEY_WORDS:
        return _KEY_WORDS[key]
    head, plus, last = key.rpartition("+")
    if not plus:
        return key.upper() if key[:1] == "f" and key[1:].isdigit() else key
    last = _KEY_WORDS.get(last, last)
    return f"^{last}" if head == "ctrl" else f"{head}+{last}"


#: Screens in the order of their digit keys: name, tab title, tab title where room is short.
SCREENS: tuple[tuple[str, str, str], ...] = (
    ("overview", "Overview", "Overview"),
    ("actors", "Actors", "Actors"),
    ("replay", "Replay", "Replay"),
    ("exposures", "Exposures", "Leaks"),
    ("playbook", "Playbook", "Steps"),
    ("deadlines", "Deadlines", "Due"),
    ("notification", "Notification", "Notify"),
    ("evidence", "Evidence", "Evidence"),
    ("quarantine", "Quarantine", "Unread"),
)

#: What tells the same without screens, by screen; ``--json`` works with each.  Words in capitals
#: are for the person to fill in.
TWINS: dict[str, tuple[str, ...]] = {
    "overview": ("status CASE",),
    "actors": ("actors CASE", "compare CASE ACTOR OTHER", "campaign CASE CAMPAIGN"),
    "replay": ("replay CASE ACTOR", "explain CASE FINDING"),
    "exposures": ("exposures CASE", "people CASE", "review CASE"),
    "playbook": ("steps CASE",),
    "deadlines": ("deadlines CASE",),
    "notification": ("form CASE",),
    "evidence": ("evidence CASE", "custody CASE", "verify CASE"),
    "quarantine": ("quarantine CASE",),
}

#: Dialogs with keys of their own, beside those of the screens.
DIALOGS = ("pages",)

_TABLES = ("actors", "exposures", "quarantine")

ACTIONS: tuple[Action, ...] = (
    # Everywhere
    *(
        Action(f"go('{name}')", (str(number),), title, f"Go to {title}", ("app",))
        for number, (name, title, _) in enumerate(SCREENS, 1)
    ),
    Action("help", ("question_mark", "f1"), "Help", "Show help for this screen", ("app",), True),
    Action("command_palette", ("ctrl+p",), "Commands", "Find any command by name", ("app",), True),
    Action("mask", ("m",), "Mask", "Mask everything that was revealed", ("app",)),
    Action("cancel_job", ("ctrl+x",), "Cancel", "Cancel the running work", ("app",)),
    Action("reload", ("f5",), "Reload", "Read the case again", ("app",)),
    Action("jump", ("ctrl+o",), "Jump", "Jump: show a label on every pane and tab", ("app",)),
    Action("write_keys", (), "Keys", "Write a file in which keys can be changed", ("app",)),
    Action("copy_from_row", ("Y",), "Copy", "Copy a cell or the row under the cursor", ("app",)),
    Action("theme", (), "Theme", "Switch to the next colour theme", ("app",)),
    Action("close_case", (), "Close", "Close this case and go to the start screen", ("app",)),
    Action("leave", ("q",), "Quit", "Quit irkit", ("app",)),
    # Start
    Action("demo", ("d",), "Sample incident", "Run the sample incident", ("start",), True),
    Action("open", ("o",), "Open", "Open a case by its path", ("start",), True),
    Action("new", ("n",), "New", "Create a case", ("start",), True),
    # Work on the case
    Action(
        "preserve",
        ("a",),
        "Add logs",
        "Add logs: preserve and read",
        ("overview", "evidence"),
        True,
    ),
    Action(
        "scope", ("w",), "Scope", "Work out the scope: match, replay, count", ("overview",), True
    ),
    Action(
        "assess",
        (),
        "Assess",
        "Assess severity, obligations and deadlines",
        ("overview", "deadlines", "playbook"),
    ),
    Action(
        "next_step",
        ("n",),
        "Next step",
        "Open the next step of the playbook",
        ("overview",),
        True,
    ),
    Action(
        "open_actor", ("enter",), "Replay", "Replay the actor under the cursor", ("overview",), True
    ),
    Action(
        "standing",
        ("i",),
        "Limits",
        "Show what the evidence tells beyond the counts, and where it ends",
        ("overview",),
        True,
    ),
    # The timeline; its keys are named in the title of the box.
    Action("zoom_in", ("plus", "equals_sign"), "Zoom in", "Timeline: look closer", ("overview",)),
    Action("zoom_out", ("minus",), "Zoom out", "Timeline: look from further away", ("overview",)),
    Action(
        "earlier", ("left_square_bracket",), "Earlier", "Timeline: move to earlier", ("overview",)
    ),
    Action("later", ("right_square_bracket",), "Later", "Timeline: move to later", ("overview",)),
    Action("whole", ("0",), "Whole", "Timeline: show all of it", ("overview",)),
    Action(
        "actors_then",
        ("t",),
        "Actors then",
        "Timeline: show the actors flagged for what they did in the time shown",
        ("overview",),
    ),
    # Tables
    Action(
        "filter",
        ("slash", "f"),
        "Filter",
        "Filter the table, like tier=A",
        ("actors", "exposures"),
        True,
    ),
    Action("sort", ("s",), "Sort", "Sort by the next column", ("actors",), True),
    Action("sort", ("s",), "Sort", "Sort by the next column", ("exposures",)),
    Action("reverse", ("S",), "Reverse", "Reverse the order", ("actors", "exposures")),
    Action("next_page", ("right_square_bracket",), "Next page", "Show the next page", _TABLES),
    Action(
        "previous_page", ("left_square_bracket",), "Previous page", "Show the page before", _TABLES
    ),
    # Actors
    Action("open_replay", ("enter",), "Replay", "Replay this actor's queries", ("actors",), True),
    Action(
        "quiet", ("a",), "All actors", "Show or hide actors without findings", ("actors",), True
    ),
    Action("compare", ("c",), "Compare", "Compare two actors: press it on each", ("actors",), True),
    # Replay
    Action("step(1)", ("right", "l"), "Step", "Step to the next query", ("replay",), True, "← →"),
    Action("step(-1)", ("left", "h"), "Back", "Step to the query before", ("replay",)),
    Action("play", ("space",), "Play", "Play or pause the sequence", ("replay",), True),
    Action("faster", ("plus",), "Faster", "Play faster", ("replay",)),
    Action("slower", ("minus",), "Slower", "Play slower", ("replay",)),
    Action("onset", ("o",), "Onset", "Jump to the onset of the attack", ("replay",), True),
    Action(
        "end_of_activity", ("O",), "End", "Jump to the end of the attack's activity", ("replay",)
    ),
    Action("choose_detector", ("d",), "Detector", "Choose whose evidence is drawn", ("replay",)),
    Action(
        "next_leak", ("n",), "Next leak", "Jump to the next query that leaked", ("replay",), True
    ),
    Action("previous_leak", ("N",), "Leak before", "Jump to the leak before", ("replay",)),
    Action("first", ("home",), "First", "Jump to the first query", ("replay",)),
    Action("last", ("end",), "Last", "Jump to the last query", ("replay",)),
    Action("why", ("w",), "Why", "Show why this actor was flagged", ("replay",), True),
    Action("history", ("e",), "History", "Show or hide earlier messages", ("replay",)),
    Action("pick_actor", ("a",), "Actor", "Choose another actor", ("replay",)),
    Action(
        "reveal",
        ("r",),
        "Reveal",
        "Reveal this item for a while; asks why",
        ("replay",),
        True,
    ),
    # Exposures and subjects
    # Its key is named in the title of the passage, so the footer has room for the rest.
    Action(
        "reveal",
        ("r",),
        "Reveal",
        "Reveal this item for a while; asks why",
        ("exposures",),
    ),
    Action("confirm", ("c",), "Confirm", "Confirm this exposure", ("exposures",), True),
    Action("reject", ("x",), "Reject", "Reject this exposure", ("exposures",), True),
    Action("unsure", ("u",), "Unsure", "Say that you are unsure of this exposure", ("exposures",)),
    Action("mark_row", ("space",), "Mark", "Mark this row, to judge many at once", ("exposures",)),
    Action("mark_page", ("v",), "Mark page", "Mark all rows of this page, or none", ("exposures",)),
    Action("sampled", ("d",), "Sample", "Show the drawn sample, or all", ("exposures",), True),
    Action("draw", ("D",), "Draw", "Draw a sample, or a larger one", ("exposures",)),
    Action("note", ("full_stop",), "Note", "Write a note on this exposure", ("exposures",)),
    Action("undo", ("z",), "Undo", "Undo the last review", ("exposures",), True),
    Action("people", ("p",), "People", "Switch between exposures and people", ("exposures",), True),
    Action(
        "open_record",
        ("enter",),
        "Open",
        "Open: an exposure in its sequence, or a person's exposures",
        ("exposures",),
    ),
    # Playbook and deadlines
    Action(
        "decide", ("enter", "d"), "Decide", "Decide this step, with a reason", ("playbook",), True
    ),
    Action("contain", (), "Contain", "Write containment rules", ("playbook",)),
    Action("remediate", (), "Remediate", "Write the remediation manifest", ("playbook",)),
    Action(
        "local_time", ("t",), "UTC/local", "Switch between UTC and local time", ("deadlines",), True
    ),
    # Notification
    Action("edit", ("enter", "e"), "Edit", "Edit this fact", ("notification",), True),
    Action(
        "clear_fact", ("delete",), "Clear", "Set this fact back to not known", ("notification",)
    ),
    Action(
        "missing", ("n",), "Next missing", "Go to the next missing fact", ("notification",), True
    ),
    Action(
        "phase", ("t",), "Phase", "Switch the phase of the notification", ("notification",), True
    ),
    Action(
        "preview", ("v",), "Preview", "Preview the notification as text", ("notification",), True
    ),
    Action(
        "pages",
        ("V",),
        "Pages",
        "Draw the packet's pages, with what changed since the last packet",
        ("notification",),
    ),
    Action(
        "packet", ("b",), "Build packet", "Build the notification packet", ("notification",), True
    ),
    # The packet's pages
    Action("images", ("i",), "Pictures", "Switch the pages between pictures and text", DIALOGS),
    Action("next_page", ("right_square_bracket",), "Next page", "Show the next page", DIALOGS),
    Action(
        "previous_page", ("left_square_bracket",), "Previous page", "Show the page before", DIALOGS
    ),
    # Evidence and quarantine
    Action("verify", ("v",), "Verify now", "Hash all evidence again", ("evidence",), True),
    Action("export", ("e",), "Export", "Write the export files", ("overview", "evidence"), True),
    Action(
        "copy",
        ("y",),
        "Copy",
        "Copy the identifier or hash of this row",
        ("overview", "actors", "exposures", "evidence", "quarantine", "replay"),
    ),
    Action(
        "switch_pane", ("l",), "Log", "Switch between files and custody log", ("evidence",), True
    ),
)


def actions_for(place: str, actions: Sequence[Action] = ACTIONS) -> tuple[Action, ...]:
    """Return the actions of a place, those of the screen before those that work everywhere."""
    own = [action for action in actions if place in action.places]
    if place == "app":
        return tuple(own)
    return (*own, *(action for action in actions if "app" in action.places))


def bindings(place: str) -> list[BindingType]:
    """Return Textual bindings of a place alone."""
    return [
        Binding(
            ",".join(action.keys),
            action.id,
            action.label,
            show=action.footer,
            key_display=action.key_text,
            tooltip=action.title,
            id=f"{place}.{action.id}",
        )
        for action in ACTIONS
        if place in action.places and action.keys
    ]
