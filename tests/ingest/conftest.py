"""One projector for all tests that only need the mapping: building it costs more than using it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from irkit.ingest.project import Projector
from irkit.ingest.registry import registry


@pytest.fixture(scope="session")
def projector() -> Iterator[Projector]:
    made = Projector(registry())
    yield made
    made.close()
