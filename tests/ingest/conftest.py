"""Mapping engines are kept and used again: building one costs more than a test's few records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from irkit.ingest import pipeline, preview
from irkit.ingest.project import Projector
from irkit.ingest.registry import Registry, registry

_IDLE: dict[tuple[Any, ...], list[Projector]] = {}


class Reused(Projector):
    """A projector that goes back on the shelf when it is closed."""

    def close(self) -> None:
        _IDLE.setdefault(self.shelf, []).append(self)


@pytest.fixture(autouse=True)
def reuse_projectors(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(known: Registry, *, forced: Any = None, max_nesting: int = 200) -> Projector:
        shelf = id(known), forced.id if forced else "", max_nesting
        if idle := _IDLE.get(shelf):
            return idle.pop()
        made = Reused(known, forced=forced, max_nesting=max_nesting)
        # Holding the registry keeps its identity from being given to another one.
        made.shelf, made.known = shelf, known
        return made

    monkeypatch.setattr(pipeline, "Projector", make)
    monkeypatch.setattr(preview, "Projector", make)
    monkeypatch.setattr(pipeline, "_project", project)


def project(worker: Projector, block: Any) -> Any:
    guess = block.guess
    return worker.project(block.lines, worker.format(guess.format_id), guess.shape)


@pytest.fixture(scope="session")
def projector() -> Iterator[Projector]:
    made = Projector(registry())
    yield made
    made.close()
