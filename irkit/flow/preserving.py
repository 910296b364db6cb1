"""Preserve: hash, copy and read logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from irkit.case import Case, evidence
from irkit.case.evidence import ProgressCallback

if TYPE_CHECKING:
    from irkit.ingest import FilePreview, IngestReport, RereadReport


@dataclass(frozen=True, slots=True)
class PreserveResult:
    """Files taken in, files already known, how each was read, and what no format fits."""

    intake: evidence.Intake
    ingest: IngestReport
    unknown_format: int


def preview(
    paths: Sequence[Path], *, mapping: Path | None = None, case: Path | None = None
) -> list[FilePreview]:
    """Say how each file would be read into a case, without writing anything."""
    from irkit.ingest import dry_run

    return dry_run(paths, mapping=mapping, leave_out=case)


def preserve(
    case: Case,
    logs: Sequence[Path],
    *,
    format_id: str | None = None,
    mapping: Path | None = None,
    in_place: bool = False,
    progress: ProgressCallback | None = None,
) -> PreserveResult:
    """Hash, copy and read logs; also picks up ingest work that was interrupted before."""
    from irkit.ingest import derive_sessions, ingest

    taken = evidence.intake(case, logs, in_place=in_place, progress=progress)
    report = ingest(case, None, format=format_id, mapping=mapping, progress=progress)
    derive_sessions(case)
    case.custody.append(
        "ingest",
        files=len(taken.added),
        already_preserved=len(taken.already_preserved),
        **totals(case),
        settings_hash=case.settings.digest(),
    )
    unknown = case.rows("SELECT count(*) FROM quarantine WHERE error_code = 'unknown_format'")
    return PreserveResult(taken, report, int(unknown[0][0]))


def reread(
    case: Case,
    *,
    format_id: str | None = None,
    mapping: Path | None = None,
    progress: ProgressCallback | None = None,
) -> RereadReport:
    """Read the entries in quarantine again, by a mended mapping or as a format."""
    from irkit.ingest import derive_sessions, reread_quarantine

    report = reread_quarantine(case, format=format_id, mapping=mapping, progress=progress)
    derive_sessions(case)
    case.custody.append(
        "reread_quarantine",
        tried=report.tried,
        read=report.read,
        records_gained=report.records,
        left=report.left,
        format=format_id or "",
        mapping_sha256=report.mapping,
        **totals(case),
        settings_hash=case.settings.digest(),
    )
    return report


def totals(case: Case, *, logs_only: bool = False) -> dict[str, int]:
    """Entries, records, blanks and quarantined entries of the whole case, or of its logs."""
    row = case.rows(
        "SELECT coalesce(sum(entries), 0), coalesce(sum(records), 0), coalesce(sum(blanks), 0),"
        " coalesce(sum(quarantined), 0) FROM evidence_source"
        " WHERE NOT ? OR NOT starts_with(coalesce(format, ''), 'gradient_')",
        [logs_only],
    )[0]
    names = ("entries", "records", "blanks", "quarantined")
    return {name: int(value) for name, value in zip(names, row, strict=True)}
