"""Search over everything in a case that has a name: actors, exposures, people, calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from irkit.case.views.actors import ActorKey
from irkit.model import UnitKind

if TYPE_CHECKING:
    import duckdb

#: Shorter words would list half of the case.
LEAST_LETTERS = 2


@dataclass(frozen=True, slots=True)
class Found:
    """Something with a name.

    Attributes:
        kind: ``actor``, ``exposure``, ``person`` or ``call``.
        name: its identifier.
        level: level of an actor; empty for the rest.
        told: a few words about it, never a value that leaked.
    """

    kind: str
    name: str
    level: str
    told: str


def search(con: duckdb.DuckDBPyConnection, text: str, *, limit: int = 8) -> tuple[Found, ...]:
    """Find by name, at most ``limit`` of each kind.

    Actors and people are found by any part of their name, exposures and calls by its beginning
    (a call also by its request id), so that a large case need not be read for each letter.
    """
    word = text.strip()
    if len(word) < LEAST_LETTERS:
        return ()
    found = con.execute(
        """
        SELECT kind, name, level, told FROM (
          (SELECT 'actor' AS kind, unit AS name, unit_kind AS level,
             'tier ' || min(tier) || ', ' || any_value(technique ORDER BY tier, technique) AS told,
             0 AS rank FROM finding WHERE contains(lower(unit), lower($word))
             GROUP BY unit, unit_kind ORDER BY min(tier), unit, unit_kind LIMIT $limit)
          UNION ALL
          (SELECT 'actor', credential_id, 'credential', 'not flagged', 1 FROM query_record
             WHERE starts_with(credential_id, $word) AND credential_id NOT IN
               (SELECT unit FROM finding WHERE unit_kind = 'credential')
             GROUP BY credential_id ORDER BY credential_id LIMIT $limit)
          UNION ALL
          (SELECT 'exposure', exposure_id, '', provenance || ', ' || level, 2 FROM exposure
             WHERE starts_with(exposure_id, $word) ORDER BY exposure_id LIMIT $limit)
          UNION ALL
          (SELECT 'person', subject_key, '', status, 3 FROM subject
             WHERE contains(lower(subject_key), lower($word)) ORDER BY subject_key LIMIT $limit)
          UNION ALL
          (SELECT 'call', record_id, '', coalesce(request_id, ''), 4 FROM query_record
             WHERE starts_with(record_id, $word) OR starts_with(request_id, $word)
             ORDER BY record_id LIMIT $limit))
        ORDER BY rank, name, level
        """,
        {"word": word, "limit": limit},
    ).fetchall()
    return tuple(Found(str(k), str(n), str(v), str(t)) for k, n, v, t in found)


def actor_of(con: duckdb.DuckDBPyConnection, record_id: str) -> ActorKey | None:
    """Return the actor in whose sequence a call is shown: its key, else its address or session."""
    row = con.execute(
        "SELECT credential_id, client_ip, (SELECT min(session_key) FROM record_session"
        " WHERE record_id = $id) FROM query_record WHERE record_id = $id LIMIT 1",
        {"id": record_id},
    ).fetchone()
    kinds = (UnitKind.CREDENTIAL, UnitKind.SOURCE_IP, UnitKind.SESSION)
    for kind, unit in zip(kinds, row or (), strict=False):
        if unit is not None:
            return ActorKey(kind, str(unit))
    return None
