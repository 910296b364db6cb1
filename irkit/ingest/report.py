"""What an ingest run did, for people and for the next step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How one source was read; ``entries == bearing + blanks + quarantined``."""

    source_id: int
    format: str
    container: str
    framing: str
    entries: int
    bearing: int
    blanks: int
    quarantined: int
    records: int
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Outcome of one call of :func:`ingest`.

    Attributes:
        sources: sources read now, in order.
        skipped: sources that were already read on the same inputs.
        duplicates: records in the whole case that repeat an earlier call.
        joined: requests and responses of different entries that were joined into one call.
        new_texts: texts that the case did not hold before.
        warnings: sentences for people (plug-ins that failed to load, reused request ids).
    """

    sources: tuple[SourceReport, ...] = ()
    skipped: int = 0
    duplicates: int = 0
    joined: int = 0
    new_texts: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def entries(self) -> int:
        """Entries read now."""
        return sum(source.entries for source in self.sources)

    @property
    def records(self) -> int:
        """Canonical rows written now."""
        return sum(source.records for source in self.sources)

    @property
    def quarantined(self) -> int:
        """Entries that yielded no record."""
        return sum(source.quarantined for source in self.sources)
