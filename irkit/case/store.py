"""One case on disk: opening, locking down, migrating and writing its DuckDB database.

DuckDB takes one writer or many readers per file.  The writer therefore holds the case, and a
second process is told so plainly (:class:`~irkit.errors.CaseBusy`).
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from irkit import __version__
from irkit.case.clock import Clock, system_clock
from irkit.case.custody import CustodyLog
from irkit.case.schema import MIGRATIONS
from irkit.case.settings import Settings
from irkit.errors import CaseBusy, IrkitError, StorageError, UsageError
from irkit.model import Stage

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

DATABASE = "case.duckdb"
CUSTODY = "custody.jsonl"
CONFIG = "case.toml"
OWNER = "writer.json"

#: Free bytes below which a failing write is put down to the disk.
_LEAST_FREE = 8 << 20

#: A damaged or foreign file must never make the engine reach out or load code.
#: What a finished query held goes back to the system soon; by default the database keeps some
#: hundred megabytes above its memory limit for the next one.
_GIVE_BACK = {
    "allocator_background_threads": True,
    "allocator_flush_threshold": "16MB",
    "allocator_bulk_deallocation_flush_threshold": "16MB",
}
LOCKDOWN = (
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
    "SET enable_external_access=false",
    "SET lock_configuration=true",
)


def who_am_i() -> str:
    """Name the operating-system user for the custody log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


class Case:
    """A case directory opened for reading or writing; use as a context manager."""

    def __init__(
        self,
        path: Path,
        settings: Settings,
        con: duckdb.DuckDBPyConnection,
        *,
        writable: bool,
        clock: Clock,
    ) -> None:
        self.path = path
        self.settings = settings
        self.con = con
        self.writable = writable
        self.clock = clock
        self.custody = CustodyLog(path / CUSTODY, clock, who_am_i(), f"irkit {__version__}")

    # -- life cycle ---------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        title: str = "",
        settings: Settings | None = None,
        clock: Clock = system_clock,
        synthetic: bool = False,
    ) -> Case:
        """Create a case directory and open it for writing.

        Raises:
            UsageError: something is already there.
            StorageError: the directory cannot be written.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path}: already exists", "choose another name, or open it")
        settings = settings or Settings()
        try:
            path.mkdir(parents=True, exist_ok=True)
            for room in ("evidence", "packets"):
                (path / room).mkdir(exist_ok=True)
            head = f"[case]\ntitle = {json.dumps(title or path.stem, ensure_ascii=False)}\n"
            head += f"created_with = {json.dumps(__version__)}\n"
            head += f"synthetic = {json.dumps(synthetic)}\n\n"
            (path / CONFIG).write_text(head + settings.as_toml(), "utf-8")
        except OSError as error:
            raise StorageError(f"{path}: cannot create the case: {error.strerror}") from error
        case = cls._connect(path, settings, write=True, clock=clock)
        case.set_meta("title", title or path.stem)
        case.set_meta("created_at", clock().isoformat())
        case.set_meta("synthetic", json.dumps(synthetic))
        case.custody.append("new", title=title or path.stem, settings_hash=settings.digest())
        return case

    @classmethod
    def open(
        cls, path: Path, *, write: bool = False, clock: Clock = system_clock, sharing: bool = False
    ) -> Case:
        """Open an existing case.

        Args:
            path: the case directory.
            write: open for writing; otherwise several readers may share it.
            clock: source of "now".
            sharing: leave cores and memory to what works beside the database: reading logs brings
                threads of its own, and a second one in the database would mostly wait for work, at
                the cost of those.

        Raises:
            UsageError: there is no case at the path.
            CaseBusy: another process writes to it.
            StorageError: the database is damaged or newer than this version.
        """
        if not (path / CONFIG).is_file() or not (path / DATABASE).is_file():
            raise UsageError(f"{path}: no irkit case here", "create one with: irkit new CASE")
        settings = Settings.from_toml(path / CONFIG)
        return cls._connect(path, settings, write=write, clock=clock, sharing=sharing)

    @classmethod
    def _connect(
        cls,
        path: Path,
        settings: Settings,
        *,
        write: bool,
        clock: Clock,
        sharing: bool = False,
    ) -> Case:
        memory = settings.memory_limit_mb * 3 // 4 if sharing else settings.memory_limit_mb
        config: dict[str, Any] = {
            "memory_limit": f"{memory}MB",
            "threads": 1 if sharing else settings.worker_threads,
            "temp_directory": str(path / ".spill"),
            "preserve_insertion_order": True,
            **_GIVE_BACK,
        }
        try:
            con = duckdb.connect(str(path / DATABASE), read_only=not write, config=config)
        except duckdb.IOException as error:
            raise _explain(path, error) from error
        except duckdb.Error as error:
            raise StorageError(
                f"{path}: the case database cannot be opened",
                "rebuild it from the preserved evidence: irkit preserve + irkit scope",
            ) from error
        for statement in LOCKDOWN:
            con.execute(statement)
        case = cls(path, settings, con, writable=write, clock=clock)
        if write:
            case._migrate()
            case._claim()
        return case

    def close(self) -> None:
        """Close the database; safe to call twice."""
        if self.writable:
            (self.path / OWNER).unlink(missing_ok=True)
        try:
            self.con.close()
        except duckdb.Error:
            # After a fatal error (disk full while writing) there is nothing left to close.
            pass
        shutil.rmtree(self.path / ".spill", ignore_errors=True)

    def __enter__(self) -> Case:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        told = storage_error(self.path, error)
        self.close()
        if told is not None:
            raise told from error

    # -- schema -------------------------------------------------------------------------------

    def _migrate(self) -> None:
        self.con.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration "
            "(version INTEGER PRIMARY KEY, title VARCHAR, applied_at TIMESTAMP)"
        )
        row = self.con.execute("SELECT coalesce(max(version), 0) FROM schema_migration").fetchone()
        at = int(row[0]) if row else 0
        if at > MIGRATIONS[-1].version:
            raise StorageError(
                f"{self.path}: written by a newer irkit (schema {at})", "update irkit to open it"
            )
        for migration in MIGRATIONS:
            if migration.version <= at:
                continue
            with self.transaction():
                for statement in migration.statements:
                    self.con.execute(statement)
                self.con.execute(
                    "INSERT INTO schema_migration VALUES (?, ?, ?)",
                    [migration.version, migration.title, _naive(self.clock())],
                )

    def _claim(self) -> None:
        note = {"pid": os.getpid(), "host": socket.gethostname(), "since": self.clock().isoformat()}
        try:
            (self.path / OWNER).write_text(json.dumps(note), "utf-8")
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be written: {error.strerror}") from error

    # -- writing ------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside together, or nothing."""
        self.con.execute("BEGIN")
        try:
            yield
        except BaseException:
            # The engine may have aborted the transaction itself (disk full): then there is
            # nothing left to roll back and the first error is the one to report.
            try:
                self.con.execute("ROLLBACK")
            except duckdb.Error:
                pass
            raise
        else:
            self.con.execute("COMMIT")

    def append(self, table: str, rows: pa.Table | pl.DataFrame) -> None:
        """Append a batch by column name; missing columns become NULL.

        Args:
            table: a table of the schema (never text from evidence).
            rows: Arrow table or Polars frame whose column names exist in the table.
        """
        arrow: pa.Table = rows.to_arrow() if hasattr(rows, "to_arrow") else rows
        if arrow.num_rows == 0:
            return
        columns = ", ".join(f'"{name}"' for name in arrow.column_names)
        self.con.register("incoming_batch", arrow)
        try:
            self.con.execute(
                f"INSERT INTO {_identifier(table)} BY NAME SELECT {columns} FROM incoming_batch"
            )
        finally:
            self.con.unregister("incoming_batch")

    def clear(self, *tables: str) -> None:
        """Empty derived tables before they are rebuilt."""
        for table in tables:
            self.con.execute(f"DELETE FROM {_identifier(table)}")

    def frame(self, sql: str, params: Sequence[Any] = ()) -> pl.DataFrame:
        """Run a query with bound parameters and return a Polars frame."""
        return self.con.execute(sql, list(params)).pl()

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a small query with bound parameters and return its rows."""
        return self.con.execute(sql, list(params)).fetchall()

    # -- facts about the case -----------------------------------------------------------------

    def meta(self, key: str, default: str = "") -> str:
        """Return a stored value of the case, or ``default``."""
        found = self.rows("SELECT value FROM meta WHERE key = ?", [key])
        return str(found[0][0]) if found else default

    def set_meta(self, key: str, value: str) -> None:
        """Store a value of the case."""
        self.con.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])

    @property
    def title(self) -> str:
        """Title as given when the case was created."""
        return self.meta("title", self.path.stem)

    @property
    def synthetic(self) -> bool:
        """True where the evidence is a made-up sample; packets are then watermarked."""
        return self.meta("synthetic", "false") == "true"

    # -- resumable stages ---------------------------------------------------------------------

    def stage_done(self, stage: Stage, item: str, inputs_hash: str) -> bool:
        """True where this item was finished on the very same inputs."""
        found = self.rows(
            "SELECT 1 FROM stage_progress WHERE stage = ? AND item = ? AND inputs_hash = ?"
            " AND status = 'done'",
            [stage.value, item, inputs_hash],
        )
        return bool(found)

    def mark_stage(
        self, stage: Stage, item: str, inputs_hash: str, detail: dict[str, Any] | None = None
    ) -> None:
        """Record that an item is finished; call inside the transaction that wrote its rows."""
        self.con.execute(
            "INSERT OR REPLACE INTO stage_progress VALUES (?, ?, 'done', ?, ?, ?)",
            [
                stage.value,
                item,
                inputs_hash,
                _naive(self.clock()),
                json.dumps(detail or {}, sort_keys=True),
            ],
        )


def storage_error(path: Path, error: BaseException | None) -> StorageError | None:
    """Turn a failure of the database into words, or return None where it is none of its own.

    Args:
        path: the case directory, whose disk is looked at.
        error: what went wrong.
    """
    if not isinstance(error, duckdb.Error):
        return None
    text = str(error).lower()
    try:
        full = shutil.disk_usage(path).free < _LEAST_FREE
    except OSError:
        full = False
    if full or "no space left" in text or "disk full" in text:
        return StorageError(
            f"{path}: the disk is full",
            "free some space and give the same command again; finished work is kept",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return StorageError(
            f"{path}: the database reached its memory limit",
            "raise memory_limit_mb in case.toml, or free disk space for spilling",
        )
    return None


def _naive(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


def _identifier(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"not a table name: {name!r}")
    return f'"{name}"'


def _explain(path: Path, error: duckdb.IOException) -> IrkitError:
    text = str(error)
    if "lock" in text.lower():
        try:
            note = json.loads((path / OWNER).read_text("utf-8"))
            holder = f"process {note['pid']} on {note['host']} since {note['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            holder = "another process"
        return CaseBusy(
            f"{path}: the case is in use by {holder}",
            "wait for it to finish or close it, then try again; nothing was changed",
        )
    if not os.access(path / DATABASE, os.R_OK):
        return StorageError(f"{path / DATABASE}: no permission to read", "check the file's owner")
    return StorageError(f"{path / DATABASE}: cannot be opened", "check free space and permissions")
