"""Shared fixtures: a fixed clock and an empty case; the network is blocked for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from irkit.case import Case, fixed_clock

# No test may depend on how fast the machine is, so examples have no deadline.
settings.register_profile("irkit", deadline=None)
settings.load_profile("irkit")

NOW = "2026-10-16T09:00:00+02:00"


@pytest.fixture
def clock():
    return fixed_clock(NOW)


@pytest.fixture
def case(tmp_path: Path, clock) -> Iterator[Case]:
    with Case.create(tmp_path / "case.irkit", title="Test case", clock=clock) as opened:
        yield opened


@pytest.fixture(scope="session")
def dev_data() -> Path:
    """Third-party development data, present only on the developers' machines."""
    root = os.environ.get("IRKIT_DEV_DATA")
    path = Path(root) if root else Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("third-party development data is not on this machine")
    return path
