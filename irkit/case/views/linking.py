"""How many entries of different logs were found to belong to one call, and how surely."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

#: Kinds of links that are counted by themselves: halves of one call, and repetitions of a call.
APART = ("request", "retry")
#: Key of the case's own note on counts that no table holds.
COUNTS = "linking"


@dataclass(frozen=True, slots=True)
class Linkage:
    """What was tied in the whole case.

    Attributes:
        duplicates: records that repeat another record's call.
        joined: requests and responses of different entries that became one call.
        methods: ties per method.
        confidence: ties per confidence (high: by id; medium: by time and token counts; low: by
            time alone).
        filled_by_time: calls whose address or credential rests on a tie by time.
        ambiguous: entries or ids that could belong to several others; they were left alone.
        unlinked_access: access-log entries to which no content was found.
        bodies: bodies that the log keeps in objects of their own: how many were found among the
            evidence, are missing, ambiguous or unreadable.
        retries: calls that repeat an earlier one (same caller, prompt and parameters) within a
            minute; they count as calls.
    """

    duplicates: int = 0
    joined: int = 0
    methods: dict[str, int] = field(default_factory=dict)
    confidence: dict[str, int] = field(default_factory=dict)
    filled_by_time: int = 0
    ambiguous: int = 0
    unlinked_access: int = 0
    bodies: dict[str, int] = field(default_factory=dict)
    retries: int = 0


def linkage(con: duckdb.DuckDBPyConnection) -> Linkage:
    """Return what is tied in the case now."""
    found = con.execute("SELECT value FROM meta WHERE key = ?", [COUNTS]).fetchone()
    stored = json.loads(found[0]) if found else {}
    sums = con.execute(
        "SELECT count(*) FILTER (WHERE duplicate_of IS NOT NULL),"
        " count(*) FILTER (WHERE duplicate_of IS NULL AND record_kind = 'access_only')"
        " FROM query_record"
    ).fetchone() or (0, 0)
    by_time = con.execute(
        "SELECT count(*) FROM record_link WHERE confidence <> 'high'"
        " AND list_has_any(filled, ['client_ip', 'credential_id'])"
    ).fetchone() or (0,)

    retries = con.execute("SELECT count(*) FROM record_link WHERE kind = 'retry'").fetchone() or (
        0,
    )

    def per(name: str) -> dict[str, int]:
        rows = con.execute(
            f"SELECT {name}, count(*) FROM record_link WHERE kind NOT IN {APART}"
            " GROUP BY 1 ORDER BY 1"
        )
        return {str(key): int(number) for key, number in rows.fetchall()}

    return Linkage(
        duplicates=int(sums[0]),
        joined=int(stored.get("joined", 0)),
        methods=per("method"),
        confidence=per("confidence"),
        filled_by_time=int(by_time[0]),
        ambiguous=int(stored.get("ambiguous", 0)),
        unlinked_access=int(sums[1]),
        bodies={str(name): int(number) for name, number in stored.get("bodies", {}).items()},
        retries=int(retries[0]),
    )
