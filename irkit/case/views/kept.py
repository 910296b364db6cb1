"""Relations worked out once per state of the case and kept in memory, so that screens answer soon.

They live in an attached in-memory database that every cursor of the connection sees and that is
gone when the case is closed; nothing of them is evidence or reaches the disk.  Where a relation is
not kept (the command line reads once and leaves), its SQL runs as it stands and gives the same
rows.  Whoever keeps relations drops them before anything but a review changes the case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_ROOM = "kept"


def open_room(con: duckdb.DuckDBPyConnection) -> None:
    """Attach the memory in which relations are kept; every cursor of the connection sees it."""
    con.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {_ROOM}")


def keep(con: duckdb.DuckDBPyConnection, name: str, sql: str, **values: str) -> None:
    """Work a relation out and keep it; one that is kept already stays."""
    con.execute(f"CREATE TABLE IF NOT EXISTS {_ROOM}.{name} AS {sql}", values or None)


def is_kept(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    """True where a relation of that name is kept."""
    import duckdb

    try:
        con.execute(f"SELECT 1 FROM {_ROOM}.{name} LIMIT 0")
    except duckdb.CatalogException:
        return False
    return True


def kept(con: duckdb.DuckDBPyConnection, name: str, sql: str) -> str:
    """Return the kept relation where there is one, else the SQL that yields the same rows."""
    return f"SELECT * FROM {_ROOM}.{name}" if is_kept(con, name) else sql


def drop_all(con: duckdb.DuckDBPyConnection) -> None:
    """Forget every relation, because the case is about to change."""
    names = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY 1", [_ROOM]
    ).fetchall()
    for (name,) in names:
        con.execute(f"DROP TABLE IF EXISTS {_ROOM}.{name}")


def drop_but(con: duckdb.DuckDBPyConnection, start: str, but: str) -> None:
    """Forget the relations whose name begins so, but one."""
    names = con.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ?"
        " AND starts_with(table_name, ?) AND table_name <> ? ORDER BY 1",
        [_ROOM, start, but],
    ).fetchall()
    for (name,) in names:
        con.execute(f"DROP TABLE IF EXISTS {_ROOM}.{name}")


def named_for(start: str, *parts: str) -> str:
    """Name a relation that belongs to something logged, whose own name may hold anything."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{start}_{digest[:24]}"


#: Stretches of rows that are read one by one; more of them are left to one pass over the table.
_MOST_STRETCHES = 12


def lying_at(table: str, places: Sequence[int]) -> tuple[str, list[int]]:
    """Return SQL for the rows of a table at these places (rowids), and its values.

    Rows that lie together are read together.  A list of places would be compared with every row
    between the first and the last of them, which for two texts of a call is the whole table.
    """
    wanted = sorted(set(places))
    if not wanted:
        return f"SELECT rowid AS place, * FROM {table} WHERE false", []
    starts = [i for i, place in enumerate(wanted) if i == 0 or wanted[i - 1] != place - 1]
    if len(starts) > _MOST_STRETCHES:
        slots = ", ".join("?" * len(wanted))
        return f"SELECT rowid AS place, * FROM {table} WHERE rowid IN ({slots})", wanted
    ends = [wanted[i - 1] for i in [*starts[1:], len(wanted)]]
    values = [
        edge for start, end in zip(starts, ends, strict=True) for edge in (wanted[start], end)
    ]
    one = f"SELECT rowid AS place, * FROM {table} WHERE rowid BETWEEN ? AND ?"
    return " UNION ALL ".join([one] * len(starts)), values


def bodies_at(con: duckdb.DuckDBPyConnection, places: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return id and body of the texts that lie at these places."""
    sql, values = lying_at("text", places)
    rows = con.execute(
        f"SELECT place, text_id, body FROM ({sql}) ORDER BY place", values
    ).fetchall()
    return {int(place): (str(text_id), str(body)) for place, text_id, body in rows}


def bodies(con: duckdb.DuckDBPyConnection, text_ids: Sequence[str]) -> dict[str, str]:
    """Return texts by their ids."""
    rows = con.execute(
        "SELECT text_id, body FROM text WHERE text_id IN (SELECT unnest($ids)) ORDER BY text_id",
        {"ids": sorted(set(text_ids))},
    ).fetchall()
    return {str(text_id): str(body) for text_id, body in rows}
