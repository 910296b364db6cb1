"""Find all formats: the modules of :mod:`irkit.ingest.formats` and third-party entry points.

A plug-in that fails to load becomes a row with the reason, so that people see it; it never stops
the others.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb

from irkit.errors import UsageError
from irkit.ingest import formats
from irkit.ingest.format import Envelope, Format, TextLines

GROUP = "irkit.formats"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plug-in that could not be loaded."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Registry:
    """All known formats in the order in which ties are decided.

    Attributes:
        formats: by rank, then id.
        envelopes: wrappers around records, by rank.
        broken: plug-ins that failed to load, with the reason.
        text_lines: lines of plain text that hold a record.
    """

    formats: tuple[Format, ...]
    envelopes: tuple[Envelope, ...]
    broken: tuple[Broken, ...]
    text_lines: tuple[TextLines, ...] = ()

    def get(self, format_id: str) -> Format:
        """Return one format.

        Raises:
            UsageError: there is none of that name.
        """
        for fmt in self.formats:
            if fmt.id == format_id:
                return fmt
        known = ", ".join(fmt.id for fmt in self.formats)
        raise UsageError(f"unknown log format '{format_id}'", f"known: {known}")

    def with_format(self, fmt: Format) -> Registry:
        """Return a registry that also knows ``fmt`` (a mapping file), tried before all others."""
        return replace(self, formats=(fmt, *self.formats))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per format for people: what it is, what it tells, what it never tells."""
        rows: list[dict[str, Any]] = [
            {
                "id": fmt.id,
                "title": fmt.title,
                "fields": fmt.told(),
                "tells": sorted(capability.value for capability in fmt.capabilities),
                "never_tells": fmt.absent,
                "unconfirmed": fmt.unconfirmed,
                "source": f"{fmt.source.title} ({fmt.source.url})",
            }
            for fmt in self.formats
        ]
        rows += [
            {"id": broken.name, "title": "failed to load", "problem": broken.reason}
            for broken in self.broken
        ]
        return rows

    def warnings(self) -> list[str]:
        """Return one sentence per plug-in that failed to load."""
        return [f"format {row.name} failed to load: {row.reason}" for row in self.broken]


@cache
def registry() -> Registry:
    """Return all formats; loaded once per process."""
    found: list[Format] = []
    envelopes: list[Envelope] = []
    text_lines: list[TextLines] = []
    broken: list[Broken] = []

    def take(name: str, load: Any, *, trusted: bool = False) -> None:
        try:
            declared = _declared(load())
            new_formats = [item for item in declared if isinstance(item, Format)]
            new_envelopes = [item for item in declared if isinstance(item, Envelope)]
            new_lines = [item for item in declared if isinstance(item, TextLines)]
            if not trusted:
                _compile(new_formats, new_envelopes, new_lines)
            known = {fmt.id for fmt in found}
            if twice := known & {fmt.id for fmt in new_formats}:
                raise ValueError(f"declares formats that exist already: {sorted(twice)}")
        except Exception as error:  # a plug-in may fail in any way, and must not stop the others
            broken.append(Broken(name, f"{type(error).__name__}: {error}"[:300]))
        else:
            found.extend(new_formats)
            envelopes.extend(new_envelopes)
            text_lines.extend(new_lines)

    own = str(Path(formats.__file__).parent) if formats.__file__ else ""
    modules = [
        (getattr(info.module_finder, "path", None) != own, info.name)
        for info in pkgutil.iter_modules(formats.__path__)
    ]
    # Built-in formats come first, so that no plug-in can take their names.
    for foreign, short in sorted(modules):
        name = f"{formats.__name__}.{short}"
        take(short, lambda name=name: importlib.import_module(name), trusted=not foreign)
    for point in sorted(entry_points(group=GROUP), key=lambda item: item.name):
        take(point.name, point.load)
    found.sort(key=lambda fmt: (fmt.order, fmt.id))
    envelopes.sort(key=lambda envelope: envelope.order)
    return Registry(tuple(found), tuple(envelopes), tuple(broken), tuple(text_lines))


def _compile(
    new_formats: Sequence[Format],
    new_envelopes: Sequence[Envelope],
    new_lines: Sequence[TextLines],
) -> None:
    """Compile what a plug-in declares, so that a fault in it shows at once and alone.

    Raises:
        ValueError: the database refuses the SQL.
    """
    from irkit.ingest.engine import Engine
    from irkit.ingest.projection import compile_format
    from irkit.ingest.routing import Router

    engine = Engine()
    try:
        for fmt in new_formats:
            engine.check(compile_format(fmt))
        known = Registry(tuple(new_formats), tuple(new_envelopes), (), tuple(new_lines))
        router = Router(known, engine)
        router.check()
    except duckdb.Error as error:
        raise ValueError(f"its SQL cannot be compiled: {str(error).splitlines()[0]}") from error
    finally:
        engine.close()


def _declared(plugin: Any) -> list[Format | Envelope | TextLines]:
    """Return what a module, a declaration, or a list of declarations declares."""
    if isinstance(plugin, ModuleType):
        listed = [getattr(plugin, "FORMAT", None), *getattr(plugin, "FORMATS", ())]
        items: Iterable[Any] = [item for item in listed if item is not None]
        items = [*items, *getattr(plugin, "ENVELOPES", ()), *getattr(plugin, "TEXT_LINES", ())]
    elif isinstance(plugin, Format | Envelope | TextLines):
        items = [plugin]
    else:
        items = list(plugin)
    for item in items:
        if not isinstance(item, Format | Envelope | TextLines):
            raise TypeError(f"{type(item).__name__} is neither a Format nor an Envelope")
    return list(items)


def signature_names(items: Iterable[Format | Envelope]) -> Mapping[str, Any]:
    """Return all signature paths under names that are unique across declarations."""
    return {
        f"{item.id}__{name}": paths
        for item in items
        for name, paths in item.signature_paths.items()
    }
