"""What the screens keep, in the order in which they need it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from irkit.case.views.actors import keep_leaks, keep_quiet
from irkit.case.views.exposures import keep_exposures
from irkit.case.views.overview import keep_flagged

if TYPE_CHECKING:
    import duckdb

#: Name of a kept group to the function that works it out.
KEEPERS: dict[str, Callable[[duckdb.DuckDBPyConnection], None]] = {
    "leaks": keep_leaks,
    "flagged": keep_flagged,
    "exposures": keep_exposures,
    "quiet": keep_quiet,
}
