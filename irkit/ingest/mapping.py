"""The generic reader: a TOML file that names where a home-made log keeps its fields.

Example::

    [format]
    id = "acme_gateway"
    title = "ACME gateway log"

    [match]                       # optional: which entries are of this format
    require = ["$.question"]

    [columns]                     # canonical column -> JSON path, or several (first present wins)
    event_time = "$.when"
    credential_id = ["$.key.id", "$.key"]
    prompt = "$.question"
    completion = "$.answer.text"
    status_code = "$.http.status"

    [constants]                   # canonical column -> fixed value
    provider = "acme"

A name that does not begin with ``$`` is a column of a CSV or Parquet file (or a top-level key).
Whole bodies in a known dialect are mapped as ``request`` and ``response``; all column names are
listed in :data:`irkit.ingest.format.TARGETS`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from irkit.errors import UsageError
from irkit.ingest.format import NAME, TARGETS, Capability, Format, Paths, Source, first_of, literal

_TOLD: Mapping[Capability, tuple[str, ...]] = {
    Capability.IP: ("client_ip", "forwarded_for"),
    Capability.CREDENTIAL: ("credential_id",),
    Capability.SESSION: ("session_id",),
    Capability.CONTENT: ("request", "response", "messages", "prompt", "completion"),
    Capability.LOGPROBS: ("response",),
    Capability.PARAMS: ("request", "temperature", "max_tokens", "logprobs"),
    Capability.STATUS: ("status_code", "outcome"),
}


@dataclass(frozen=True, slots=True)
class Mapped:
    """A format made from a mapping file, and the hash that identifies the file's content."""

    format: Format
    digest: str


def load_mapping(path: Path) -> Mapped:
    """Read a mapping file.

    Raises:
        UsageError: the file cannot be read, is no TOML, names an unknown column or a path that is
            no JSON path.
    """
    try:
        data = path.read_bytes()
        document = tomllib.loads(data.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot read the mapping: {error}") from error
    head = _table(path, document, "format")
    columns = _table(path, document, "columns")
    constants = _table(path, document, "constants")
    match = _table(path, document, "match")
    if not columns:
        raise UsageError(f"{path}: no [columns] in the mapping", 'like: prompt = "$.question"')
    unknown = sorted((set(columns) | set(constants)) - set(TARGETS))
    if unknown:
        raise UsageError(
            f"{path}: unknown column '{unknown[0]}'", "known: " + ", ".join(sorted(TARGETS))
        )
    name = str(head.get("id", "mapped"))
    if not NAME.fullmatch(name):
        raise UsageError(f"{path}: '{name}' is no format id", "use letters, digits and _")
    paths = {key: _paths(path, key, value) for key, value in columns.items()}
    require = match.get("require", [])
    if not isinstance(require, list):
        raise UsageError(f"{path}: match.require must be a list of paths")
    signature = {f"must_{i}": _paths(path, "require", item) for i, item in enumerate(require)}
    told = frozenset(
        capability
        for capability, names in _TOLD.items()
        if any(key in columns or key in constants for key in names)
    )
    fmt = Format(
        id=name,
        title=str(head.get("title", name)),
        source=Source("mapping file", path.name),
        order=0,
        capabilities=told,
        absent="What the mapping file does not name.",
        signature_paths=signature or {"whole": "$"},
        signature=" AND ".join(f"{key} IS NOT NULL" for key in signature) or "true",
        paths={key: value for key, value in paths.items() if TARGETS[key] != "JSON"},
        json_paths={key: value for key, value in paths.items() if TARGETS[key] == "JSON"},
        columns={key: literal(_constant(path, key, value)) for key, value in constants.items()},
    )
    canonical = json.dumps(document, sort_keys=True, default=str, separators=(",", ":"))
    return Mapped(fmt, hashlib.sha256(canonical.encode()).hexdigest())


def _table(path: Path, document: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [{name}] must be a table")
    return table


def _constant(path: Path, key: str, value: Any) -> str:
    if isinstance(value, str | int | float | bool):
        return json.dumps(value) if not isinstance(value, str) else value
    raise UsageError(f"{path}: constants.{key} must be a text, number or truth value")


def _paths(path: Path, key: str, value: Any) -> Paths:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not items or not all(isinstance(i, str) for i in items):
        raise UsageError(f"{path}: '{key}' must be a JSON path or a list of them")
    found = tuple(
        item if item.startswith("$") else '$."' + item.replace('"', '\\"') + '"' for item in items
    )
    with duckdb.connect(":memory:") as con:
        for item in found:
            if "*" in item:
                raise UsageError(f"{path}: '{key}': {item} has a wildcard; name one place")
            try:
                con.execute("SELECT json_extract('{}', ?)", [item])
            except duckdb.Error as error:
                raise UsageError(
                    f"{path}: '{key}': {item} is no JSON path", 'like "$.a.b" or "$.list[0]"'
                ) from error
    return found if len(first_of(found)) > 1 else found[0]
