"""Registry of detectors: one file each, self-registering, plus third-party entry points.

A detector file declares itself with :func:`register` on its class.  Built-in files are the modules
``d??_*`` of this package; other packages add theirs through the entry-point group
``irkit.detectors`` (each entry point names a module that registers on import).  A plug-in that
fails to load becomes a :class:`LoadWarning`, never a crash and never a silent gap.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from irkit.model import Technique, UnitKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

ENTRY_POINTS = "irkit.detectors"


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number per window that a detector computes; higher means more attack-like.

    Attributes:
        key: stable name inside baseline files, like ``D3.enumeration``.
        n_min: smallest window (queries) on which the statistic says anything.
        needs: what must be there: ``prompts``, ``responses``, ``params``, ``vectors`` (rows sent to
            a classifier), ``times`` and ``addresses`` in the log, a ``corpus``, and ``subjects`` in
            it.
        weights: prior weight of the statistic in each technique's combination.
        least: smallest value that means anything; what lies below counts as nothing seen.  Most
            ordinary actors score exactly zero, so without it the smallest oddity that the
            calibration did not happen to hold would rank above all of them.
        supporting: adds to a technique that another statistic points to, never decides one alone.
        per_query: whether a record's score is about that one query; where it is about the time
            around it, it neither dates an attack nor links actors.
        corroborated: may decide a technique, but a finding that rests on it alone stays at tier C.
    """

    key: str
    n_min: int
    needs: tuple[str, ...]
    weights: Mapping[Technique, float]
    least: float = 0.0
    supporting: bool = False
    per_query: bool = True
    corroborated: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """A pattern that no calibration is needed for, only an honest count of benign hits.

    Attributes:
        key: stable name inside baseline files, like ``D7.sweep``.
        technique: what the pattern proves.
        title: one sentence for a report.
        needs: what an actor must have sent to count among those who could have shown it.
    """

    key: str
    technique: Technique
    title: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """What a detector says about itself; printed by ``irkit list detectors``.

    ``checks`` says what the statistic already does against its known innocent causes.
    """

    id: str
    name: str
    version: str
    title: str
    looks_for: str
    inputs: tuple[str, ...]
    statistic: str
    threshold_source: str
    cost: str
    known_false_positives: tuple[str, ...]
    atlas: tuple[str, ...]
    nist_aml: tuple[str, ...]
    owasp: tuple[str, ...]
    statistics: tuple[Statistic, ...]
    signatures: tuple[Signature, ...] = ()
    checks: tuple[str, ...] = ()

    @property
    def n_min(self) -> int:
        """Smallest window on which any of the detector's statistics speaks."""
        return min((statistic.n_min for statistic in self.statistics), default=0)


class Detector(Protocol):
    """What every detector implements."""

    spec: DetectorSpec

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Return per statistic one non-negative score per record (0: nothing seen)."""

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Return per statistic one score per window."""

    def signature_hits(self, log: Features, windows: Windows) -> dict[str, NDArray[np.bool_]]:
        """Return per signature whether each window shows it; windows hold whole units here."""

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say in words, without quoting any text, why this record scored."""


@runtime_checkable
class Noting(Protocol):
    """A detector that has something to add about an actor on whom it found something."""

    def unit_note(self, log: Features, kind: UnitKind, rows: NDArray[np.int64]) -> str:
        """Say it in words (empty: nothing), for the kept records of one actor."""


class NoSignatures:
    """Mixin for detectors whose every statement goes through calibration."""

    def signature_hits(self, log: Features, windows: Windows) -> dict[str, NDArray[np.bool_]]:  # noqa: ARG002
        """Return nothing."""
        return {}


@dataclass(frozen=True, slots=True)
class LoadWarning:
    """A plug-in that could not be loaded."""

    plugin: str
    reason: str


@dataclass(slots=True)
class Registry:
    """Detectors by id, in id order, with the warnings of what failed to load."""

    detectors: dict[str, Detector] = field(default_factory=dict)
    warnings: list[LoadWarning] = field(default_factory=list)
    artifacts: dict[str, DetectorSpec] = field(default_factory=dict)

    def statistics(self) -> list[tuple[Detector, Statistic]]:
        """Return every statistic with its detector, in a stable order."""
        return [(d, s) for d in self.detectors.values() for s in d.spec.statistics]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per detector for people, as ``irkit list detectors`` prints it."""
        return [
            {
                "id": spec.id,
                "name": spec.name,
                "title": spec.title,
                "looks_for": spec.looks_for,
                "inputs": list(spec.inputs),
                "statistic": spec.statistic,
                "threshold_source": spec.threshold_source,
                "smallest_window": spec.n_min,
                "signatures": [signature.title for signature in spec.signatures],
                "cost": spec.cost,
                "known_false_positives": list(spec.known_false_positives),
                "checks": list(spec.checks),
                "atlas": list(spec.atlas),
                "nist_aml": list(spec.nist_aml),
                "owasp": list(spec.owasp),
                "version": spec.version,
            }
            for spec in (
                *(detector.spec for detector in self.detectors.values()),
                *self.artifacts.values(),
            )
        ]

    def signatures(self) -> list[tuple[Detector, Signature]]:
        """Return every signature with its detector, in a stable order."""
        return [(d, s) for d in self.detectors.values() for s in d.spec.signatures]


_REGISTERED: dict[str, Callable[[], Detector]] = {}
_ARTIFACTS: dict[str, DetectorSpec] = {}


def register(cls: type) -> type:
    """Class decorator: make a detector known under the id of its ``spec``."""
    _REGISTERED[cls.spec.id] = cls  # type: ignore[attr-defined]
    return cls


def register_artifact(cls: type) -> type:
    """Class decorator: list a detector that reads preserved artefacts instead of calls."""
    _ARTIFACTS[cls.spec.id] = cls.spec  # type: ignore[attr-defined]
    return cls


def load_detectors(entry_points: Iterable[metadata.EntryPoint] | None = None) -> Registry:
    """Import every detector file and plug-in and return one instance of each.

    Args:
        entry_points: plug-ins to load; the installed ones of ``irkit.detectors`` when omitted.
    """
    registry = Registry()
    package = importlib.import_module("irkit.analyzers")
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        if module.startswith("d") and module[1:3].isdigit():
            importlib.import_module(f"irkit.analyzers.{module}")
    plugins = metadata.entry_points(group=ENTRY_POINTS) if entry_points is None else entry_points
    for plugin in sorted(plugins, key=lambda entry: entry.name):
        try:
            plugin.load()
        # A plug-in is foreign code: whatever it raises must cost its own result only.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            registry.warnings.append(LoadWarning(plugin.name, reason[:300]))
    for key in sorted(_REGISTERED, key=_order):
        try:
            registry.detectors[key] = _REGISTERED[key]()
        except Exception as error:
            registry.warnings.append(LoadWarning(key, f"{type(error).__name__}: {error}"[:300]))
    registry.artifacts = {key: _ARTIFACTS[key] for key in sorted(_ARTIFACTS, key=_order)}
    return registry


def _order(key: str) -> tuple[int, str]:
    digits = key[1:]
    return (int(digits), key) if digits.isdigit() else (1 << 30, key)
