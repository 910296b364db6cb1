"""Say how files would be read, without a case and without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irkit.case import Settings
from irkit.errors import UsageError
from irkit.ingest.delta import TableFile, folder_files
from irkit.ingest.detect import Verdict, judge, sample
from irkit.ingest.entries import Chunk, Reject
from irkit.ingest.format import Capability
from irkit.ingest.framing import SourceReader
from irkit.ingest.mapping import load_mapping
from irkit.ingest.project import Projector
from irkit.ingest.registry import Registry, registry

_SHOWN = 3
_COLUMNS = (
    *("event_time", "request_id", "model_requested", "credential_id", "client_ip", "session_id"),
    *("status_code", "prompt_chars", "response_chars", "choice_count", "has_logprobs"),
)
#: Values that identify people or keys are never shown in a preview.
_MASKED = ("request_id", "credential_id", "client_ip", "session_id")


@dataclass(frozen=True, slots=True)
class FilePreview:
    """How one file would be read.

    Attributes:
        path: the file as given.
        bytes: its size.
        container, framing: how its bytes are wrapped and cut.
        format: id of the format that would be used; empty if none is recognised.
        confidence: share of the sampled entries that are of it.
        votes: sampled entries per format.
        sampled: entries looked at.
        first: canonical values of the first records, identifying ones masked.
        missing: capabilities that this format, or this sample, lacks.
        problems: sentences on sampled entries that would go to quarantine, and on damage.
        table: what the file is to a Delta table, if it lies in the folder of one.
        role: what else than calls the sampled entries tell; empty where they are calls.
    """

    path: str
    bytes: int
    container: str
    framing: str
    format: str
    confidence: float
    votes: dict[str, int]
    sampled: int
    first: tuple[dict[str, str], ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]
    table: str = ""
    role: str = ""

    def lines(self) -> list[str]:
        """Return the preview as lines for a terminal."""
        name = self.format or ("none of them alone" if self.votes else "not recognised")
        out = [f"{self.path}  ({self.bytes:,} bytes, {self.container}, {self.framing})"]
        if self.table:
            out.append(f"    table       {self.table}")
        if self.sampled:
            share = f"{self.confidence:.0%} of {self.sampled:,} sampled entries"
            out.append(f"    format      {name}  ({share})")
        elif not self.table:
            out.append("    format      no entry was found")
        if len(self.votes) > 1 or (self.votes and not self.format):
            votes = sorted(self.votes.items(), key=lambda vote: (-vote[1], vote[0]))
            out.append("    votes       " + ", ".join(f"{k} {v:,}" for k, v in votes))
        if self.role:
            out.append(f"    role        {self.role}")
        for number, record in enumerate(self.first, 1):
            shown = ", ".join(f"{key}={value}" for key, value in record.items())
            out.append(f"    record {number}    {shown}")
        if self.missing:
            out.append("    missing     " + ", ".join(self.missing))
        out += [f"    problem     {problem}" for problem in self.problems]
        return out


def dry_run(
    paths: Sequence[Path], *, mapping: Path | None = None, leave_out: Path | None = None
) -> list[FilePreview]:
    """Look at the beginning (and, where possible, middle and end) of each file.

    Args:
        paths: files, or directories whose files are taken in name order.
        mapping: mapping file to try first.
        leave_out: a case directory; preserving never takes a case into itself.

    Raises:
        UsageError: a path does not exist.
    """
    known = registry()
    if mapping is not None:
        known = known.with_format(load_mapping(mapping).format)
    settings = Settings()
    projector = Projector(known, max_nesting=settings.max_nesting)
    try:
        files = _files(paths, leave_out)
        tables = folder_files(files)
        return [
            _preview(path, settings, known, projector, tables.get(number))
            for number, path in enumerate(files)
        ]
    finally:
        projector.close()


def _files(paths: Sequence[Path], leave_out: Path | None) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(item for item in path.rglob("*") if item.is_file())
        elif path.is_file():
            files.append(path)
        else:
            raise UsageError(f"{path}: no such file or directory", "check the path")
    if leave_out is not None:
        inside = leave_out.resolve()
        files = [file for file in files if inside not in file.resolve().parents]
    return files


def _preview(
    path: Path,
    settings: Settings,
    known: Registry,
    projector: Projector,
    table: TableFile | None = None,
) -> FilePreview:
    reader = SourceReader(0, path, "", settings, table=table)
    first: Chunk | None = None
    rejects: list[Reject] = []
    chunks = reader.chunks()
    try:
        for chunk in chunks:
            rejects += chunk.rejects
            if len(chunk.lines):
                first = chunk
                break
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    verdict, sampled = Verdict("", 0.0, {}), 0
    records: tuple[dict[str, str], ...] = ()
    problems: list[str] = []
    role = ""
    missing: set[str] = {capability.value for capability in Capability}
    if first is not None:
        lines = sample(reader, first)
        sampled = len(lines)
        verdict = judge(projector.router, known.formats, lines)
        fmt = known.get(verdict.format_id) if verdict.format_id else None
        found = projector.project(first.lines[: len(lines)], fmt)
        rows = found.records.slice(0, 200).to_pylist() if len(found.records) else []
        records = tuple(_masked(row) for row in rows[:_SHOWN])
        missing -= _told(rows)
        role = _role(rows)
        problems += _counted(found.rejects)
    problems += _counted(rejects)
    return FilePreview(
        path=str(path),
        bytes=path.stat().st_size,
        container=reader.container.value,
        framing=reader.framing.value,
        format=verdict.format_id,
        confidence=verdict.confidence,
        votes=verdict.votes,
        sampled=sampled,
        first=records,
        missing=tuple(sorted(missing)) if first is not None else (),
        problems=(*problems, *(note for note in reader.notes if not table or note != table.note)),
        table=_table_words(table),
        role=role,
    )


def _table_words(table: TableFile | None) -> str:
    if table is None:
        return ""
    if table.kind == "delta_live":
        return "; ".join(filter(None, ("live part of a Delta table", table.note)))
    return table.note


def _role(rows: Sequence[dict[str, Any]]) -> str:
    """Say whether the sampled records are lines about calls that other logs hold."""
    access = [row for row in rows if row["record_kind"] == "access_only"]
    if not access:
        return ""
    ids = [
        name.replace("_", " ")
        for name in ("request_id", "provider_response_id", "correlation_id", "trace_id")
        if any(row[name] is not None for row in access)
    ]
    how = f"by {' or '.join(ids)}, else by time" if ids else "by time, as no id is logged"
    return (
        f"{len(access):,} of {len(rows):,} entries tell of a call without its texts; they would be"
        f" tied to calls of other logs {how}"
    )


def _counted(rejects: Sequence[Any]) -> list[str]:
    counts: dict[str, int] = {}
    for row in rejects:
        words = f"{row.reason.value}: {row.text}"
        counts[words] = counts.get(words, 0) + 1
    return [f"{number:,} x {words}" for words, number in sorted(counts.items())]


def _masked(row: dict[str, Any]) -> dict[str, str]:
    shown = {}
    for name in _COLUMNS:
        value = row.get(name)
        if value is None:
            continue
        text = str(value)
        shown[name] = f"({len(text)} characters)" if name in _MASKED else text[:40]
    return shown


def _told(rows: Sequence[dict[str, Any]]) -> set[str]:
    tests: dict[Capability, Callable[[dict[str, Any]], bool]] = {
        Capability.IP: lambda r: r["client_ip"] is not None,
        Capability.CREDENTIAL: lambda r: r["credential_id"] is not None,
        Capability.SESSION: lambda r: r["session_id"] is not None,
        Capability.CONTENT: lambda r: bool(r["bodies"]) or bool(r["choice_body"]),
        Capability.LOGPROBS: lambda r: bool(r["has_logprobs"]),
        Capability.PARAMS: lambda r: bool(r["params_known"]),
        Capability.STATUS: lambda r: r["status_code"] is not None,
    }
    return {name.value for name, test in tests.items() if any(test(row) for row in rows)}
