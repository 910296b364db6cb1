"""Take many paths out of one JSON text in a single parse.

All wanted paths are merged into one nested schema for DuckDB's ``from_json``, which walks the
document's own keys once; asking for paths one by one would cost a look-up per path that is absent,
and most candidates are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from irkit.ingest.format import Paths, first_of, literal

_STEP = re.compile(r'\.(?:"((?:[^"\\]|\\.)*)"|([^.\["]+))|\[(\d+)\]')

#: Kinds of wanted values.
TEXT, JSON = "text", "json"


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    typed: Any = None

    def schema(self) -> Any:
        """Return this node's part of the schema."""
        if self.typed is not None:
            return self.typed
        if self.kinds == {TEXT} and not self.children:
            return "VARCHAR"
        if self.kinds:
            # Wanted whole as well as in part: the parts are taken from the whole.
            return "JSON"
        return {key: child.schema() for key, child in self.children.items()}


@dataclass(frozen=True, slots=True)
class _Place:
    """One candidate path: keys down the schema, and what is left after the first list index."""

    keys: tuple[str, ...]
    rest: str
    path: str


class Extraction:
    """The paths wanted from one JSON column.

    Args:
        text: names read as text.
        json: names read as JSON text.
        typed: names read as a DuckDB list of a given ``from_json`` schema, one path each; whoever
            else asks for that path as text gets ``[``.
        apart: paths that are taken whole in a parse of their own, because many paths below them are
            wanted too.
    """

    def __init__(
        self,
        text: Mapping[str, Paths],
        json: Mapping[str, Paths],
        typed: Mapping[str, tuple[str, Any]] | None = None,
        apart: Sequence[str] = (),
    ) -> None:
        self._root = _Node()
        self._apart = {_place(path).keys: number for number, path in enumerate(apart, 1)}
        self._apart_paths = tuple(apart)
        self._wanted: dict[str, tuple[str, list[_Place]]] = {}
        for names, kind in ((text, TEXT), (json, JSON)):
            for name, candidates in names.items():
                places = [_place(path) for path in first_of(candidates)]
                self._wanted[name] = kind, places
                for place in places:
                    self._insert(place, kind)
        self._typed: dict[str, _Place] = {}
        for name, (path, schema) in (typed or {}).items():
            place = _place(path)
            node = self._insert(place, TEXT)
            if node is None or place.rest or node.children:
                raise ValueError(f"{path} cannot be read as a typed value")
            node.typed = schema
            self._typed[name] = place

    def select(self, column: str, alias: str) -> str:
        """Return the select item that extracts everything wanted from ``column``."""
        schema = self._root.schema()
        item = f"from_json({column}, {literal(json.dumps(schema))})" if schema else "NULL"
        if not self._apart_paths:
            return f"{item} AS {alias}"
        paths = ", ".join(literal(path) for path in self._apart_paths)
        whole = f"json_extract({column}, [{paths}])::VARCHAR[]"
        return f"{item} AS {alias}, {whole} AS {alias}_whole"

    def columns(self, alias: str) -> list[str]:
        """Return the columns that :meth:`select` makes."""
        return [alias, f"{alias}_whole"] if self._apart_paths else [alias]

    def names(self, column: str, alias: str) -> dict[str, str]:
        """Return, per name, the expression that picks it from the extracted value."""
        picked = {name: _field(alias, place.keys) for name, place in self._typed.items()}
        for name, (kind, places) in self._wanted.items():
            values = [self._value(place, kind, column, alias) for place in places]
            picked[name] = values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"
        return picked

    def _insert(self, place: _Place, kind: str) -> _Node | None:
        if not place.keys or place.keys in self._apart or self._clashes(place.keys):
            return None
        node = self._root
        for key in place.keys:
            node = node.children.setdefault(key, _Node())
        node.kinds.add(JSON if place.rest else kind)
        return node

    def _clashes(self, keys: Sequence[str]) -> bool:
        """Struct fields ignore case, JSON keys do not."""
        node = self._root
        for key in keys:
            if key not in node.children:
                return any(key.lower() == other.lower() for other in node.children)
            node = node.children[key]
        return False

    def _value(self, place: _Place, kind: str, column: str, alias: str) -> str:
        if not place.keys:
            if not place.rest:
                return _from_json(column, "$", kind)
            # A list at the top: asked only of lists, since every question is one more parse.
            value = _from_json(column, place.path, kind)
            return f"CASE WHEN starts_with({column}, '[') THEN {value} END"
        if place.keys in self._apart:
            base = f"nullif({alias}_whole[{self._apart[place.keys]}], 'null')"
            if not place.rest:
                return base if kind == JSON else f"json_extract_string({base}, '$')"
            value = _from_json(base, "$" + place.rest, kind)
            return f"CASE WHEN starts_with({base}, '[') THEN {value} END"
        node, whole = self._root, None
        for depth, key in enumerate(place.keys, 1):
            child = node.children.get(key)
            if child is None:
                return _from_json(column, place.path, kind)
            node = child
            if node.typed is not None:
                # Only that there is a list can be told from it; signatures ask no more.
                return f"CASE WHEN {_field(alias, place.keys[:depth])} IS NOT NULL THEN '[' END"
            if node.kinds and node.schema() == "JSON":
                whole = depth
                break
        if whole is None:
            value = _field(alias, place.keys)
            return value if kind == TEXT else f"{value}::VARCHAR"
        base = f"{_field(alias, place.keys[:whole])}::VARCHAR"
        inside = "$" + "".join(f".{_quoted(key)}" for key in place.keys[whole:]) + place.rest
        if inside == "$" and kind == JSON:
            return base
        return _from_json(base, inside, kind)


def _from_json(column: str, path: str, kind: str) -> str:
    if kind == TEXT:
        return f"json_extract_string({column}, {literal(path)})"
    return f"nullif(json_extract({column}, {literal(path)})::VARCHAR, 'null')"


def _place(path: str) -> _Place:
    keys: list[str] = []
    rest = ""
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"{path!r} is no JSON path")
        if rest or match.group(3) is not None:
            rest += match.group(0)
        else:
            quoted = match.group(1)
            keys.append(match.group(2) if quoted is None else quoted.replace('\\"', '"'))
        position = match.end()
    return _Place(tuple(keys), rest, path)


def _field(alias: str, keys: Sequence[str]) -> str:
    return ".".join([alias, *('"' + key.replace('"', '""') + '"' for key in keys)])


def _quoted(key: str) -> str:
    return '"' + key.replace('"', '\\"') + '"'
