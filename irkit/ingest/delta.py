"""Delta tables: which of a table's preserved files hold rows that are still in the table.

A folder with ``_delta_log/`` holds all versions of a table; reading every Parquet file in it would
bring rows back that were updated or deleted.  The log says which files count (Delta transaction log
protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md: "Actions", "Checkpoints",
"Deletion Vectors", "Column Mapping").  Files and rows that the log took out are kept as evidence
and named with what took them out, but are not read as calls.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from irkit.case import Case
from irkit.case.evidence import evidence_path
from irkit.ingest.deletion_vectors import Rows, read_vector, vector_file

_LOG = "/_delta_log/"
_PATH = "replace(original_path, '\\', '/')"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
#: Reader features (protocol version 3) that change nothing in how irkit reads, or that it handles.
_READ = frozenset(
    {"deletionVectors", "columnMapping", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
)
_MAX_LINE = 64 << 20
_STATES = "delta_states"
#: Where the bytes of a numbered file lie.
Place = Callable[[int], Path]


@dataclass(frozen=True, slots=True)
class TableFile:
    """What a table's log says of one preserved file.

    Attributes:
        kind: ``delta_log`` (bookkeeping), ``delta_live``, ``delta_removed`` or ``delta_refused``.
        note: sentence for readers of the case; empty where there is nothing to say.
        names: column names in the file to names in the table.
        values: columns that are the same for the whole file, and not in it.
        gone: row numbers, from 0, that are deleted from the table.
    """

    kind: str
    note: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str | None] = field(default_factory=dict)
    gone: Rows | None = None

    @property
    def state(self) -> str:
        """Changes whenever the file has to be read differently."""
        gone = "" if self.gone is None else hashlib.sha256(self.gone.tobytes()).hexdigest()
        parts = [self.kind, self.note, dict(self.names), dict(self.values), gone]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(slots=True)
class _Log:
    """A table's log, replayed to its last version."""

    live: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    version: int = -1
    trouble: str = ""

    def take(self, action: Mapping[str, Any], why: str) -> None:
        """Apply one action of the log."""
        add, remove = action.get("add"), action.get("remove")
        if isinstance(add, dict) and isinstance(add.get("path"), str):
            self.live[_key(add)] = add
        if isinstance(remove, dict) and isinstance(remove.get("path"), str):
            self.live.pop(_key(remove), None)
            self.removed[unquote(remove["path"])] = why
        if isinstance(action.get("metaData"), dict):
            self.meta = action["metaData"]
        if isinstance(action.get("protocol"), dict):
            self.protocol = action["protocol"]


def _key(action: Mapping[str, Any]) -> tuple[str, str]:
    vector = action.get("deletionVector") or {}
    parts = (vector.get("storageType"), vector.get("pathOrInlineDv"), vector.get("offset"))
    return unquote(str(action["path"])), "|".join(map(str, parts)) if vector else ""


def table_files(case: Case) -> dict[int, TableFile]:
    """Return what the logs of all preserved Delta tables say, by source id."""
    found: dict[int, TableFile] = {}
    # The paths of a million ordinary sources must not be fetched to find out there is no table.
    for (root,) in case.rows(
        f"SELECT DISTINCT split_part({_PATH}, '{_LOG}', 1) FROM evidence_source"
        f" WHERE contains({_PATH}, '{_LOG}') ORDER BY 1"
    ):
        every = [
            (int(source), str(path)[len(root) + 1 :])
            for source, path in case.rows(
                f"SELECT source_id, {_PATH} FROM evidence_source WHERE starts_with({_PATH}, ?)"
                " ORDER BY source_id",
                [f"{root}/"],
            )
        ]
        place = partial(evidence_path, case)
        found |= _table(place, {path: source for source, path in every}, every)
    return found


def folder_files(paths: Sequence[Path]) -> dict[int, TableFile]:
    """Return what the logs of Delta tables among these files say, by position in ``paths``."""
    names = [path.as_posix() for path in paths]
    found: dict[int, TableFile] = {}
    for root in sorted({name.split(_LOG, 1)[0] for name in names if _LOG in name}):
        every = [
            (number, name[len(root) + 1 :])
            for number, name in enumerate(names)
            if name.startswith(f"{root}/")
        ]
        inside = {name: number for number, name in every}
        found |= _table(lambda number: paths[number], inside, every)
    return found


def reread_changed(case: Case, files: Mapping[int, TableFile]) -> None:
    """Have sources read again whose place in their table has changed."""
    states = {str(source): file.state for source, file in sorted(files.items())}
    before = json.loads(case.meta(_STATES, "{}"))
    changed = [int(source) for source, state in states.items() if before.get(source) != state]
    if not changed:
        return
    with case.transaction():
        case.con.execute(
            "DELETE FROM stage_progress WHERE stage = 'ingest' AND item IN (SELECT sha256 || ':' ||"
            " path FROM evidence_source WHERE list_contains(?, source_id))",
            [changed],
        )
        case.set_meta(_STATES, json.dumps(states, sort_keys=True))


def _table(
    place: Place, inside: Mapping[str, int], every: Iterable[tuple[int, str]]
) -> dict[int, TableFile]:
    log = _replay(place, inside)
    refused = _refused(log)
    adds = {path: add for (path, _), add in log.live.items()}
    found: dict[int, TableFile] = {}
    for source, name in every:
        if name.startswith("_delta_log/") or name.endswith(".bin"):
            words = f"bookkeeping of a Delta table, replayed to version {log.version}"
            found[source] = TableFile("delta_log", f"{words}{log.trouble}")
        elif not name.endswith(".parquet"):
            continue
        elif refused:
            found[source] = TableFile("delta_refused", refused)
        elif (add := adds.get(name)) is not None:
            found[source] = _live(place, inside, log, add)
        elif log.trouble and name not in log.removed:
            words = "rows that are no longer in the Delta table may be among these"
            found[source] = TableFile("delta_live", f"{words}{log.trouble}", _names(log.meta))
        else:
            why = log.removed.get(name, "never, or no longer, named by the table's log")
            words = f"not part of the Delta table at version {log.version}: {why}"
            found[source] = TableFile("delta_removed", f"{words}; kept as evidence, not read")
    return found


def _live(place: Place, inside: Mapping[str, int], log: _Log, add: Mapping[str, Any]) -> TableFile:
    names = _names(log.meta)
    values = {
        names.get(str(key), str(key)): None if value is None else str(value)
        for key, value in dict(add.get("partitionValues") or {}).items()
    }
    vector = add.get("deletionVector")
    if not vector:
        return TableFile("delta_live", log.trouble.removeprefix("; "), names, values)
    try:
        name = vector_file(vector)
        where = place(inside[name]) if name else None
        gone = read_vector(vector, where)
    except KeyError:
        words = "rows of this file were deleted, and the list of them was not preserved"
        return TableFile("delta_refused", f"{words}; preserve the table's .bin files too")
    except (ValueError, OSError):
        return TableFile("delta_refused", "the list of this file's deleted rows is damaged")
    words = f"{len(gone):,} rows deleted from the Delta table are kept as evidence, not read"
    return TableFile("delta_live", f"{words}{log.trouble}", names, values, gone)


def _names(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return physical to logical names of columns, where the table maps them."""
    if not _mapped(meta):
        return {}
    return {
        str((column.get("metadata") or {}).get("delta.columnMapping.physicalName")): str(
            column.get("name")
        )
        for column in _schema(meta)
    }


def _mapped(meta: Mapping[str, Any]) -> str:
    mode = str(dict(meta.get("configuration") or {}).get("delta.columnMapping.mode", "none"))
    return "" if mode == "none" else mode


def _schema(meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        fields = json.loads(str(meta.get("schemaString") or "{}")).get("fields", [])
    except (ValueError, RecursionError, AttributeError):
        return []
    return [column for column in fields if isinstance(column, dict)]


def _refused(log: _Log) -> str:
    """Say what the table needs that irkit cannot do; empty if there is nothing."""
    needs = set(map(str, log.protocol.get("readerFeatures") or ())) - _READ
    if needs:
        return f"the Delta table needs {', '.join(sorted(needs))}, which irkit cannot read"
    mode = _mapped(log.meta)
    nested = any(isinstance(column.get("type"), dict) and "physicalName" in json.dumps(
        column["type"]) for column in _schema(log.meta))  # fmt: skip
    if mode not in ("", "name") or (mode and nested):
        return f"the Delta table maps its columns by {mode or 'nested names'}; export it as Parquet"
    return ""


# -- replay ---------------------------------------------------------------------------------------


def _replay(place: Place, inside: Mapping[str, int]) -> _Log:
    log = _Log()
    commits: dict[int, int] = {}
    checkpoints: dict[int, dict[int, int]] = {}
    sizes: dict[int, int] = {}
    for name, source in inside.items():
        base = name.removeprefix("_delta_log/")
        if match := _COMMIT.fullmatch(base):
            commits[int(match[1])] = source
        elif match := _CHECKPOINT.fullmatch(base):
            version = int(match[1])
            checkpoints.setdefault(version, {})[int(match[2] or 1)] = source
            sizes[version] = int(match[3] or 1)
    whole = [version for version, parts in checkpoints.items() if len(parts) == sizes[version]]
    start = -1
    for version in sorted(whole, reverse=True):
        try:
            for _, source in sorted(checkpoints[version].items()):
                _checkpoint(log, place(source))
        except (pa.ArrowException, OSError, ValueError):
            log = _Log()
            continue
        start = version
        break
    log.version = start
    for version in sorted(number for number in commits if number > start):
        if version != log.version + 1:
            log.trouble = f"; the log lacks version {log.version + 1}"
            log.removed.clear()
            log.live.clear()
        try:
            _commit(log, version, place(commits[version]))
        except (ValueError, OSError, RecursionError):
            log.trouble = f"; version {version} of the log is damaged"
        log.version = version
    if log.version < 0:
        log.trouble = "; the log holds no version that can be read"
    return log


def _commit(log: _Log, version: int, path: Path) -> None:
    """Apply one commit: adds and removes of a commit name different files."""
    actions: list[dict[str, Any]] = []
    with path.open("rb") as stream:
        while line := stream.readline(_MAX_LINE):
            if line.strip():
                found = json.loads(line)
                if not isinstance(found, dict):
                    raise ValueError("no action")
                actions.append(found)
    infos = [a["commitInfo"] for a in actions if isinstance(a.get("commitInfo"), dict)]
    why = f"removed by version {version}"
    if infos:
        operation = str(infos[0].get("operation") or "")
        if re.fullmatch(r"[A-Za-z _]{1,40}", operation):
            why += f" ({operation})"
        if isinstance(stamp := infos[0].get("timestamp"), int) and 0 < stamp < 4e12:
            why += f" at {datetime.fromtimestamp(stamp / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    for action in sorted(actions, key=lambda action: "remove" not in action):
        log.take(action, why)


def _checkpoint(log: _Log, path: Path) -> None:
    """Apply a checkpoint: all actions that still count at its version."""
    file = pq.ParquetFile(path)
    present = set(file.schema_arrow.names)
    if "sidecar" in present:
        raise ValueError("a checkpoint with sidecars")
    columns = [name for name in ("add", "remove", "metaData", "protocol") if name in present]
    for batch in file.iter_batches(columns=columns, use_threads=False):
        for row in batch.to_pylist():
            log.take(row, "removed before the log's last checkpoint")
