"""A reviewer's word on an exposure: kept, never replaced, and recorded in custody."""

from __future__ import annotations

from datetime import UTC
from enum import StrEnum

import duckdb

from irkit.case.store import Case, who_am_i
from irkit.errors import StorageError, UsageError


class Verdict(StrEnum):
    """A reviewer's word on one exposure; the last one counts, all are kept."""

    CONFIRM = "confirm"
    REJECT = "reject"
    UNSURE = "unsure"
    UNDO = "undo"


def record_review(case: Case, exposure_id: str, verdict: Verdict, note: str = "") -> None:
    """Add a reviewer's word; counts change when they are taken again.

    Args:
        case: a case opened for writing.
        exposure_id: the exposure.
        verdict: what the reviewer says.
        note: why; it may quote what leaked, so custody only records that there is one.

    Raises:
        UsageError: there is no such exposure.
        StorageError: the row or the custody entry could not be written.
    """
    if not case.rows("SELECT 1 FROM exposure WHERE exposure_id = ?", [exposure_id]):
        raise UsageError(f"no exposure '{exposure_id}'", "list them with: irkit exposures CASE")
    at = case.clock().astimezone(UTC).replace(tzinfo=None)
    try:
        case.con.execute(
            "INSERT INTO review VALUES (?, ?, ?, ?, ?)",
            [exposure_id, verdict.value, note, who_am_i(), at],
        )
    except duckdb.Error as error:
        raise StorageError(
            f"{case.path.name}: the review could not be saved ({type(error).__name__})",
            "check free disk space; nothing was changed",
        ) from error
    case.custody.append("review", exposure=exposure_id, verdict=verdict.value, note=bool(note))
