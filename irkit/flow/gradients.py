"""Take preserved gradients in as evidence, and analyse them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from irkit.case import Case, evidence
from irkit.case.evidence import ProgressCallback
from irkit.errors import UsageError

if TYPE_CHECKING:
    from irkit.analyzers.d14_gradient_artifact_leakage import GradientReport

_SUFFIXES = (".npz", ".safetensors")


def take_in(case: Case, paths: Sequence[Path], progress: ProgressCallback | None) -> None:
    """Hash and copy gradient files into the case, with the ``FILE.json`` beside each.

    Raises:
        UsageError: a file is missing or a pickled checkpoint, or a directory holds no gradients.
    """
    from irkit.analyzers.d14_gradient_artifact_leakage import NPZ, SAFETENSORS, SIDECAR
    from irkit.analyzers.gradient_files import refuse_pickles

    files: dict[Path, str] = {}
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or directory", "check the path")
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        refuse_pickles(inside)
        chosen = [p for p in inside if p.suffix.lower() in _SUFFIXES] if path.is_dir() else inside
        if not chosen:
            raise UsageError(f"{path}: holds no .npz or .safetensors files", "check the directory")
        for file in chosen:
            if file.suffix.lower() not in _SUFFIXES:
                raise UsageError(
                    f"{file}: gradients are read from .npz and .safetensors files",
                    "convert the arrays; the README names what irkit looks for",
                )
            files[file] = NPZ if file.suffix.lower() == ".npz" else SAFETENSORS
            beside = file.with_name(f"{file.name}.json")
            if beside.is_file():
                files[beside] = SIDECAR
    evidence.intake(case, list(files), progress=progress)
    # Also files that an earlier run took for logs: their quarantine rows say nothing any more.
    for file, kind in files.items():
        fresh = case.rows(
            "UPDATE evidence_source SET format = ?, entries = 1, records = 0, blanks = 0,"
            " quarantined = 0 WHERE original_path = ? AND coalesce(records, 0) = 0"
            " AND format IS DISTINCT FROM ? RETURNING source_id",
            [kind, str(file), kind],
        )
        for (source_id,) in fresh:
            case.con.execute("DELETE FROM quarantine WHERE source_id = ?", [source_id])


def split_corpus(
    case: Case, paths: Sequence[Path], mapping: dict[str, str]
) -> tuple[list[Path], list[Path]]:
    """Part the corpus into texts, and tables of numbers that only gradients are compared with."""
    from irkit.analyzers import d14_gradient_artifact_leakage as d14
    from irkit.analyzers.gradient_match import is_numeric

    if not d14.present(case):
        return list(paths), []
    numeric = [path for path in paths if is_numeric(path, mapping)]
    return [path for path in paths if path not in numeric], numeric


def analyse(
    case: Case,
    numeric: Sequence[Path],
    mapping: dict[str, str],
    progress: ProgressCallback | None,
) -> GradientReport:
    """Run D14 over the case's artefacts; a custody entry says what came of it."""
    from irkit.analyzers import d14_gradient_artifact_leakage as d14
    from irkit.analyzers.gradient_match import NumericRecords

    most = case.settings.memory_limit_mb << 19
    report = d14.run(case, [NumericRecords(path, mapping, most) for path in numeric], progress)
    case.custody.append(
        "gradients",
        outcomes=report.outcomes,
        records=report.records,
        findings=report.findings,
        quarantined=report.rejects,
        settings_hash=case.settings.digest(),
    )
    return report
