"""A reviewer's word on an exposure: kept, never replaced, and recorded in custody."""

from __future__ import annotations

from collections.abc import Sequence
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
    record_reviews(case, [exposure_id], verdict, note)


def record_reviews(
    case: Case, exposure_ids: Sequence[str], verdict: Verdict, note: str = ""
) -> None:
    """Add a reviewer's word on several exposures: all of them, or none.

    Raises:
        UsageError: there is no such exposure.
        StorageError: the rows or the custody entry could not be written.
    """
    _write(case, [(exposure_id, verdict, note) for exposure_id in exposure_ids])
    detail = {"exposure": exposure_ids[0]} if len(exposure_ids) == 1 else {}
    more = {"exposures": list(exposure_ids)} if len(exposure_ids) > 1 else {}
    case.custody.append("review", **detail, **more, verdict=verdict.value, note=bool(note))


def take_back(case: Case, exposure_ids: Sequence[str]) -> None:
    """Bring back what held before the last word on each exposure: all of them, or none.

    Raises:
        UsageError: there is no such exposure.
        StorageError: the rows or the custody entry could not be written.
    """
    before = {
        str(exposure): (Verdict(verdict), str(note or ""))
        for exposure, verdict, note in case.rows(
            "SELECT exposure_id, verdict, note FROM (SELECT *, row_number() OVER"
            " (PARTITION BY exposure_id ORDER BY reviewed_at DESC, rowid DESC) AS back"
            " FROM (SELECT *, rowid FROM review)) WHERE back = 2 AND exposure_id IN"
            " (SELECT unnest(?))",
            [list(exposure_ids)],
        )
    }
    _write(case, [(one, *before.get(one, (Verdict.UNDO, ""))) for one in exposure_ids])
    if len(exposure_ids) == 1:
        case.custody.append(
            "review",
            exposure=exposure_ids[0],
            verdict=before.get(exposure_ids[0], (Verdict.UNDO, ""))[0].value,
            note=False,
        )
    else:
        case.custody.append("review", exposures=list(exposure_ids), verdict="undo", note=False)


def _write(case: Case, words: Sequence[tuple[str, Verdict, str]]) -> None:
    ids = [exposure_id for exposure_id, _, _ in words]
    known = {
        str(row[0])
        for row in case.rows(
            "SELECT exposure_id FROM exposure WHERE exposure_id IN (SELECT unnest(?))", [ids]
        )
    }
    for exposure_id in ids:
        if exposure_id not in known:
            raise UsageError(f"no exposure '{exposure_id}'", "list them with: irkit exposures CASE")
    at = case.clock().astimezone(UTC).replace(tzinfo=None)
    who = who_am_i()
    try:
        with case.transaction():
            case.con.executemany(
                "INSERT INTO review VALUES (?, ?, ?, ?, ?)",
                [(one, verdict.value, note, who, at) for one, verdict, note in words],
            )
    except duckdb.Error as error:
        raise StorageError(
            f"{case.path.name}: the review could not be saved ({type(error).__name__})",
            "check free disk space; nothing was changed",
        ) from error
