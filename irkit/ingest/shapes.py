"""The shape that most records of a source share, and what a statement for it may leave out."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from irkit.ingest.bodies import REQUEST_JSON, RESPONSE_JSON
from irkit.ingest.dialects import INPUTS, OUTPUTS, Case
from irkit.ingest.format import Format, Paths, first_of
from irkit.ingest.plain import Plain

#: Share of sampled values that a plain reading must suit.
_SUITS = 0.9


@dataclass(frozen=True, slots=True)
class Shape:
    """Where the records of a source keep their bodies, and which dialects occur.

    Attributes:
        request, response: JSON paths of the bodies in the record, empty if the format has none.
        inputs, outputs: indices into :data:`~irkit.ingest.dialects.INPUTS` and ``OUTPUTS``.
        plain: names whose values have a plain reading, with its id.
    """

    request: str
    response: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    plain: tuple[tuple[str, str], ...] = ()

    @property
    def wide(self) -> Shape:
        """The same shape without plain readings."""
        return replace(self, plain=())


def most_common_shape(fmt: Format, rows: Sequence[tuple[int, int, int, int]]) -> Shape | None:
    """Return the shape of at least half of the rows that the shape statement returns.

    Bodies that are strings are left to the general statement, which looks into them.
    """
    declared = {name: first_of(fmt.json_paths.get(name, ())) for name in ("request", "response")}
    usable = [
        row
        for row in rows
        if (row[0] >= 0 or not declared["request"])
        and row[1] >= 0
        and row[2] >= 0
        and row[3] >= 0
        and INPUTS[row[2]].id != "text"
        and OUTPUTS[row[3]].id != "text"
    ]
    if not usable:
        return None
    places = Counter((row[0], row[1]) for row in usable)
    place, number = min(places.items(), key=lambda item: (-item[1], item[0]))
    if 2 * number < len(rows):
        return None
    own = [row for row in usable if (row[0], row[1]) == place]
    return Shape(
        declared["request"][place[0]] if place[0] >= 0 else "",
        declared["response"][place[1]],
        tuple(sorted({row[2] for row in own})),
        tuple(sorted({row[3] for row in own})),
    )


def plain_names(fmt: Format, shape: Shape, documents: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    """Return the names that a plain reading suits in most of the sampled documents."""
    found = []
    for case in only_cases(shape):
        paths = first_of(_bodies(fmt, shape).get(case.name, ()))
        if len(paths) != 1:
            continue
        values = [_value(document, paths[0]) for document in documents]
        for plain in case.plain:
            if sum(map(plain.suits, values)) >= _SUITS * len(values) > 0:
                found.append((case.name, plain.id))
                break
    return tuple(found)


def only_cases(shape: Shape) -> list[Case]:
    """Return the case of each side that has one dialect only."""
    sides = ((INPUTS, shape.inputs), (OUTPUTS, shape.outputs))
    return [cases[chosen[0]] for cases, chosen in sides if len(chosen) == 1]


def plain_of(shape: Shape, case: Case) -> Plain | None:
    """Return the plain reading of a case in this shape, if it has one."""
    wanted_id = dict(shape.plain).get(case.name, "")
    return next((plain for plain in case.plain if plain.id == wanted_id), None)


def _value(document: Any, path: str) -> Any:
    for key in path.split(".")[1:]:
        document = document.get(key.strip('"')) if isinstance(document, dict) else None
    return document


def _bodies(fmt: Format, shape: Shape) -> dict[str, Paths]:
    """Return where each name that a dialect may read lies in the record."""
    return {
        **under(shape.request, REQUEST_JSON),
        **under(shape.response, RESPONSE_JSON),
        **{name: paths for name, paths in fmt.json_paths.items() if name not in fmt.columns},
    }


def unread(shape: Shape) -> set[str]:
    """Return body names that only dialects read which this shape does not have."""
    words = re.compile(r"\br[qs]_\w+")
    of_cases = {
        word for case in (*INPUTS, *OUTPUTS) for word in words.findall(case.test + case.value)
    }
    read = set()
    for cases, chosen in ((INPUTS, shape.inputs), (OUTPUTS, shape.outputs)):
        for index, case in enumerate(cases[: max(chosen) + 1]):
            read |= set(words.findall(case.test))
            if index in chosen:
                read |= set(words.findall(case.value))
    return (of_cases | {"rs_embedding"}) - read - {"rs_stop_reason"}


def elsewhere(fmt: Format, shape: Shape, paths: Paths) -> Paths:
    """Leave out candidates that lie in another body than the shape's."""
    places = (shape.request, shape.response)
    others = tuple(
        place
        for name in ("request", "response")
        for place in first_of(fmt.json_paths.get(name, ()))
        if place not in places
    )
    return tuple(
        path
        for path in first_of(paths)
        if path in others or not any(path.startswith((f"{o}.", f"{o}[")) for o in others)
    )


def typed_names(fmt: Format, shape: Shape) -> dict[str, tuple[str, Any]]:
    """Return the lists that can be read as DuckDB values at once, with path and schema."""
    bodies = _bodies(fmt, shape)
    used = " ".join(fmt.columns.values())
    other = {name: p for name, p in fmt.json_paths.items() if name not in ("request", "response")}
    whole = {
        path
        for paths in (*fmt.signature_paths.values(), *fmt.paths.values(), *other.values())
        for path in first_of(paths)
    }
    found = {}
    for case in (*(INPUTS[i] for i in shape.inputs), *(OUTPUTS[i] for i in shape.outputs)):
        plain = plain_of(shape, case)
        name = case.name if plain else case.typed.name if case.typed else ""
        schema = plain.schema if plain else case.typed.schema if case.typed else ""
        if not name or re.search(rf"\b{name}\b", used):
            continue
        paths = first_of(bodies.get(name, ()))
        # Where a body is also wanted whole, what is in it is taken from the whole.
        if len(paths) == 1 and not any(paths[0].startswith(f"{path}.") for path in whole):
            found[name] = paths[0], json.loads(schema)
    return found


def wanted(fmt: Format, shape: Shape) -> set[str]:
    """Return which whole bodies the format's own expressions or the shape's dialects read."""
    texts = [*fmt.columns.values()]
    texts += [text for i in shape.inputs for text in (INPUTS[i].test, INPUTS[i].value)]
    texts += [text for i in shape.outputs for text in (OUTPUTS[i].test, OUTPUTS[i].value)]
    words = {word for text in texts for word in re.findall(r"\b(?:request|response)\b", text)}
    return words & set(fmt.json_paths)


def under(
    place: str, names: Mapping[str, tuple[str, ...]], apart: Sequence[str] = ()
) -> dict[str, Paths]:
    """Return body paths as paths of the whole record.

    Paths into a body that is a list are left out where the shape says that it is an object.
    """
    if not place:
        return {}
    kept = {
        name: tuple(
            place + path[1:] for path in paths if place in apart or not path.startswith("$[")
        )
        for name, paths in names.items()
    }
    return {name: paths for name, paths in kept.items() if paths}


def earlier(fmt: Format, shape: Shape) -> dict[str, Paths]:
    """Return the candidate places that would win over the shape's, if they were present."""
    found: dict[str, Paths] = {}
    for name, place in (("request", shape.request), ("response", shape.response)):
        candidates = first_of(fmt.json_paths.get(name, ()))
        before = candidates[: candidates.index(place)] if place in candidates else ()
        if before:
            found[f"earlier_{name}"] = before
    return found
