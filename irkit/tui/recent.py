"""The cases opened last: paths only, in the user's own state directory."""

from __future__ import annotations

import json
import os
from pathlib import Path

#: Cases remembered.
LIMIT = 9


def state_file() -> Path:
    """Where the list lies, after the XDG base directory specification."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "irkit" / "recent.json"


def recent_cases() -> tuple[Path, ...]:
    """Return the cases that still exist, the last one first; an unreadable list is empty."""
    try:
        names = json.loads(state_file().read_text("utf-8"))
    except (OSError, ValueError):
        return ()
    if not isinstance(names, list):
        return ()
    paths = [Path(name) for name in names if isinstance(name, str)]
    return tuple(path for path in paths if (path / "case.toml").is_file())[:LIMIT]


def remember(path: Path) -> None:
    """Put a case first on the list; a list that cannot be written is no reason to fail."""
    full = path.resolve()
    names = [str(full), *(str(p) for p in recent_cases() if p != full)][:LIMIT]
    file = state_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps(names, indent=0), "utf-8")
        draft.replace(file)
    except OSError:
        return
