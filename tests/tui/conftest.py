"""A filled case copied fresh for each test, an app over it, and words for driving it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import fictional_case as fiction
import pytest

from irkit.case import Case, fixed_clock
from irkit.tui.app import IrkitApp
from irkit.tui.verbs import Verbs

NOW = "2026-10-16T09:00:00+02:00"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The filled case, made once."""
    path = tmp_path_factory.mktemp("template") / "clinic.irkit"
    patch = pytest.MonkeyPatch()
    patch.setenv("LOGNAME", "responder")
    # Custody hashes cover the tool's version; pictures must not change with it.
    patch.setattr("irkit.case.store.__version__", "0")
    with Case.create(path, title="Clinic assistant, October", clock=fixed_clock(NOW)) as case:
        case.custody.path.unlink()
        case.custody.append("new", title="Clinic assistant, October")
        fiction.fill(case)
    patch.undo()
    return path


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read texts without waiting for a held key to be let go."""
    monkeypatch.setattr("irkit.tui.screens.replay.SETTLE_SECONDS", 0.001)


@pytest.fixture
def case_path(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of the filled case."""
    monkeypatch.setenv("LOGNAME", "responder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Path(shutil.copytree(template, tmp_path / "clinic.irkit"))


@pytest.fixture
def filled(case_path: Path) -> Iterator[Case]:
    with Case.open(case_path, write=True, clock=fixed_clock(NOW)) as case:
        yield case


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "empty.irkit"
    with Case.create(path, title="Nothing yet", clock=fixed_clock(NOW)) as case:
        yield case


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., IrkitApp]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def make(case: Case | None = None, *, verbs: Verbs | None = None, **more: Any) -> IrkitApp:
        app = IrkitApp(case, clock=fixed_clock(NOW), zone=UTC, verbs=verbs, **more)
        app.animation_level = "none"
        return app

    return make
