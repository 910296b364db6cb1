"""What the screens keep, in the order in which they need it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from irkit.case.views.activity import keep_flagged
from irkit.case.views.actors import keep_leaks, keep_quiet
from irkit.case.views.exposures import keep_exposures

if TYPE_CHECKING:
    import duckdb

#: Name of a kept group to the function that works it out.
KEEPERS: dict[str, Callable[[duckdb.DuckDBPyConnection], None]] = {
    "leaks": keep_leaks,
    "flagged": keep_flagged,
    "exposures": keep_exposures,
    "quiet": keep_quiet,
}
