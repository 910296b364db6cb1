"""Analysers: detectors over query sequences, corpus matching, personal data and secrets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from irkit.analyzers.registry import Registry
    from irkit.analyzers.replay_run import ReplayReport
    from irkit.case import Case
    from irkit.model import Progress

__all__ = ["ReplayReport", "build_baseline", "explain", "load_detectors", "replay"]


def replay(
    case: Case,
    *,
    baseline: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ReplayReport:
    """Run every detector over every actor; see :func:`irkit.analyzers.replay_run.replay`."""
    from irkit.analyzers.replay_run import replay as run

    return run(case, baseline=baseline, progress=progress)


def build_baseline(case: Case, out: Path) -> dict[str, Any]:
    """Write a calibration file; see :func:`irkit.analyzers.baseline.build_baseline`."""
    from irkit.analyzers.baseline import build_baseline as build

    return build(case, out)


def explain(case: Case, finding_id: str) -> list[str]:
    """Explain a finding in sentences; see :func:`irkit.analyzers.explanation.explain`."""
    from irkit.analyzers.explanation import explain as tell

    return tell(case, finding_id)


def load_detectors() -> Registry:
    """Return all detectors; see :func:`irkit.analyzers.registry.load_detectors`."""
    from irkit.analyzers.registry import load_detectors as load

    return load()


def __getattr__(name: str) -> Any:
    if name == "ReplayReport":
        from irkit.analyzers.replay_run import ReplayReport

        return ReplayReport
    raise AttributeError(name)
