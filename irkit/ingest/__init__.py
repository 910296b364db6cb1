"""From preserved logs to query records: formats, streaming readers, quarantine, accounting."""

from __future__ import annotations

from irkit.ingest.pipeline import ingest
from irkit.ingest.preview import FilePreview, dry_run
from irkit.ingest.registry import registry
from irkit.ingest.report import IngestReport, SourceReport
from irkit.ingest.reread import RereadReport, reread_quarantine
from irkit.ingest.sessions import derive_sessions

__all__ = [
    "FilePreview",
    "IngestReport",
    "RereadReport",
    "SourceReport",
    "derive_sessions",
    "dry_run",
    "ingest",
    "registry",
    "reread_quarantine",
]
