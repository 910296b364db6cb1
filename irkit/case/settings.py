"""Settings of a case: what a run depends on besides evidence and versions.

They are written to ``case.toml``, hashed into every custody entry and recorded in exports, so that
the same evidence, versions and settings give the same findings.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from irkit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Settings:
    """Tunable values; every default carries its reason.

    Attributes:
        session_gap_minutes: idle time that ends a derived session (web-analytics convention).
        fpr: promised false-positive rate per unit.
        fdr: Benjamini-Hochberg level over all units and techniques.
        deep: scan every response with the NER engine, not only what can matter.
        ner: models that read for names and places: ``both``, ``rampart`` or ``spacy`` (fastest).
        threads: worker threads; 0 means all cores.
        memory_limit_mb: ceiling of the database's own memory.
        max_line_mb: longest single entry read; longer ones are quarantined.
        max_expand_ratio: decompressed / compressed bytes above which a file is a suspected bomb.
        max_nesting: deepest JSON nesting read.
        dp_epsilon: epsilon of the differential privacy that the model is said to have been trained
            with; 0 where nothing is stated.
        dp_delta: delta of the same claim.
        seed: seed of everything sampled (review samples, benign unions).
        reveal_seconds: how long a revealed item stays readable on the screens.
    """

    session_gap_minutes: int = 30
    fpr: float = 1e-3
    fdr: float = 0.05
    deep: bool = False
    ner: str = "both"
    threads: int = 0
    memory_limit_mb: int = 1024
    max_line_mb: int = 64
    max_expand_ratio: int = 1000
    max_nesting: int = 200
    seed: int = 20260101
    dp_epsilon: float = 0.0
    dp_delta: float = 0.0
    reveal_seconds: int = 30

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            UsageError: a value is out of its range.
        """
        if not 0 < self.fpr < 1 or not 0 < self.fdr < 1:
            raise UsageError("fpr and fdr must lie between 0 and 1", "try --fpr 0.001 --fdr 0.05")
        if self.ner not in ("both", "rampart", "spacy"):
            raise UsageError(
                f"there is no NER engine '{self.ner[:40]}'", "ner is both, rampart or spacy"
            )
        if not 0 <= self.dp_epsilon < float("inf") or not 0 <= self.dp_delta < 1:
            raise UsageError(
                "dp_epsilon must be positive, and dp_delta lie between 0 and 1",
                "try --dp-epsilon 3 --dp-delta 1e-5",
            )
        if self.dp_delta and not self.dp_epsilon:
            raise UsageError("dp_delta without dp_epsilon says nothing", "add --dp-epsilon")
        if not 1 <= self.reveal_seconds <= 3600:
            raise UsageError("reveal_seconds must lie between 1 and 3600", "change it in case.toml")
        if self.memory_limit_mb < 256:
            raise UsageError("memory_limit_mb must be at least 256", "raise it in case.toml")

    @property
    def worker_threads(self) -> int:
        """Threads to use on this machine (never part of the hash: results do not depend on it)."""
        return self.threads or os.cpu_count() or 1

    def digest(self) -> str:
        """SHA-256 over the values that can change a result."""
        data = asdict(self)
        for machine_only in ("threads", "memory_limit_mb", "reveal_seconds"):
            data.pop(machine_only)
        if not self.dp_epsilon:
            # What is not stated changes nothing, and no earlier hash either.
            del data["dp_epsilon"], data["dp_delta"]
        canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def as_toml(self) -> str:
        """Render the ``[settings]`` table of ``case.toml``."""
        lines = ["[settings]"]
        for name, value in asdict(self).items():
            lines.append(f"{name} = {json.dumps(value)}")
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, path: Path) -> Settings:
        """Read the ``[settings]`` table of a ``case.toml``.

        Raises:
            UsageError: the file is missing, no TOML, or names an unknown or ill-typed setting.
        """
        try:
            table = tomllib.loads(path.read_text("utf-8")).get("settings", {})
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"{path}: cannot read the settings: {error}") from error
        known: dict[str, Any] = {field.name: field.default for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in table.items():
            if name not in known:
                raise UsageError(f"{path}: unknown setting '{name}'", "known: " + ", ".join(known))
            default = known[name]
            if isinstance(default, float) and isinstance(value, int):
                value = float(value)
            if type(value) is not type(default):
                kind = type(default).__name__
                raise UsageError(f"{path}: setting '{name}' must be of type {kind}")
            values[name] = value
        return cls(**values)
