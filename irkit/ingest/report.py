"""What an ingest run did, for people and for the next step."""

from __future__ import annotations

from dataclasses import dataclass, field

from irkit.case.views.linking import Linkage

#: Reports of single sources kept in memory; all of them are in the case.
MAX_REPORTS = 10_000


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
        sources: sources read now, in order; the first :data:`MAX_REPORTS` of them.
        read: number of sources read now.
        entries, records, quarantined: sums over all sources read now.
        skipped: sources that were already read on the same inputs.
        linkage: what different entries of the whole case were found to belong to one call.
        new_texts: texts that the case did not hold before.
        warnings: sentences for people (plug-ins that failed to load, reused request ids).
    """

    sources: tuple[SourceReport, ...] = ()
    read: int = 0
    entries: int = 0
    records: int = 0
    quarantined: int = 0
    skipped: int = 0
    linkage: Linkage = field(default_factory=Linkage)
    new_texts: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def duplicates(self) -> int:
        """Records in the whole case that repeat another record's call."""
        return self.linkage.duplicates

    @property
    def joined(self) -> int:
        """Requests and responses of different entries that became one call."""
        return self.linkage.joined
