"""A reviewer's word on an exposure: kept, never replaced, and recorded in custody."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC
from enum import StrEnum
from typing import Any

import duckdb

from irkit.case.shown import mask_addresses
from irkit.case.store import Case, who_am_i
from irkit.errors import StorageError, UsageError

#: Exposures that one custody entry names; of more it holds the number and a digest.
NAMED = 1000


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
    case: Case,
    exposure_ids: Sequence[str],
    verdict: Verdict,
    note: str = "",
    *,
    where: str = "",
) -> None:
    """Add a reviewer's word on several exposures: all of them, or none.

    Args:
        case: a case opened for writing.
        exposure_ids: the exposures.
        verdict: what the reviewer says.
        note: why; it may quote what leaked, so custody only records that there is one.
        where: the filter that chose them, for custody.

    Raises:
        UsageError: there is no such exposure.
        StorageError: the rows or the custody entry could not be written.
    """
    _write(case, [(exposure_id, verdict, note) for exposure_id in exposure_ids])
    case.custody.append(
        "review", **_named(exposure_ids, where), verdict=verdict.value, note=bool(note)
    )


def _named(exposure_ids: Sequence[str], where: str) -> dict[str, Any]:
    """Say in custody which exposures were meant."""
    # A filter may hold the name of a credential, and some credentials are addresses.
    chosen = {"where": mask_addresses(where)} if where else {}
    if len(exposure_ids) == 1:
        return {"exposure": exposure_ids[0], **chosen}
    if len(exposure_ids) <= NAMED:
        return {"exposures": list(exposure_ids), **chosen}
    digest = hashlib.sha256("\n".join(sorted(exposure_ids)).encode()).hexdigest()
    return {"count": len(exposure_ids), "exposures_sha256": digest, **chosen}


def take_back(case: Case, exposure_ids: Sequence[str], *, where: str = "") -> None:
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
            **_named(exposure_ids, where),
            verdict=before.get(exposure_ids[0], (Verdict.UNDO, ""))[0].value,
            note=False,
        )
    else:
        case.custody.append("review", **_named(exposure_ids, where), verdict="undo", note=False)


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
            case.con.execute(
                "INSERT INTO review SELECT unnest($ids), unnest($verdicts), unnest($notes),"
                " $who, $at",
                {
                    "ids": ids,
                    "verdicts": [verdict.value for _, verdict, _ in words],
                    "notes": [note for _, _, note in words],
                    "who": who,
                    "at": at,
                },
            )
    except duckdb.Error as error:
        raise StorageError(
            f"{case.path.name}: the review could not be saved ({type(error).__name__})",
            "check free disk space; nothing was changed",
        ) from error
