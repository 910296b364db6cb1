"""Read chosen entries again: quarantined ones after a mapping was mended, without the rest.

The entries are cut from the evidence by the same reader as at first, so they keep their numbers and
their records get the ids that reading everything anew would give them.  Each source is replaced in
one transaction together with its accounting.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from irkit.case import Case
from irkit.case.evidence import evidence_path
from irkit.errors import IrkitError
from irkit.ingest.block import Step, blocks
from irkit.ingest.coverage import describe
from irkit.ingest.detect import ACCEPT
from irkit.ingest.entries import Chunk, Numbers
from irkit.ingest.format import Format
from irkit.ingest.framing import SourceReader
from irkit.ingest.items import fill_items
from irkit.ingest.lines import BLOCK
from irkit.ingest.load import Loader, Tally
from irkit.ingest.mapping import load_mapping
from irkit.ingest.project import Projector
from irkit.ingest.registry import Registry, registry
from irkit.ingest.sources import RECORD_TABLES
from irkit.model import Progress, Stage

#: Key of what ties between entries were made on; emptied to have them made anew.
LINK_STATE = "linked_on"


@dataclass(frozen=True, slots=True)
class RereadReport:
    """What reading quarantined entries again did.

    Attributes:
        tried: entries that were in quarantine, whole or in part.
        read: of these, how many gave records that they did not give before.
        records: records gained.
        left: entries still in quarantine as a whole.
        sources: files looked at.
        mapping: hash of the mapping's content, empty without one.
    """

    tried: int
    read: int
    records: int
    left: int
    sources: int
    mapping: str = ""


@dataclass(slots=True)
class _Account:
    """What the loader has to know of a source."""

    sha256: str
    tally: Tally


def reread_quarantine(
    case: Case,
    *,
    format: str | None = None,  # noqa: A002  (the command line's own word)
    mapping: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> RereadReport:
    """Read all entries in quarantine again, by a mapping or as a format.

    Entries that are readable now become records; the others stay in quarantine, with the reason
    that holds now.

    Args:
        case: case open for writing.
        format: read every object among them as this format.
        mapping: mapping file to try first.
        progress: called with bytes of the files gone through.

    Raises:
        UsageError: the mapping or format cannot be used.
        StorageError: evidence cannot be read.
    """
    known, digest, forced = registry(), "", None
    if mapping is not None:
        mapped = load_mapping(mapping)
        known, digest = known.with_format(mapped.format), mapped.digest
        forced = mapped.format if format == mapped.format.id else None
    if format is not None and forced is None:
        forced = known.get(format)
    wanted = {
        int(source): np.array(numbers, np.int64)
        for source, numbers in case.rows(
            "SELECT source_id, list_sort(list_distinct(list(entry_no))) FROM quarantine"
            # Other evidence than logs (preserved gradients) is read by other means.
            " WHERE source_id IN (SELECT source_id FROM evidence_source e JOIN stage_progress p"
            " ON p.stage = 'ingest' AND p.item = e.sha256 || ':' || e.path)"
            " GROUP BY source_id ORDER BY source_id"
        )
    }
    tried = sum(len(numbers) for numbers in wanted.values())
    before = _totals(case)
    rewrite = Rewriter(case, known, forced)
    total = sum(_bytes(case, source) for source in wanted)
    done = 0
    try:
        for source, numbers in wanted.items():
            reader = reader_of(case, source)
            rewrite.entries(source, numbers, chosen(reader, numbers), digest or format or "")
            done += _bytes(case, source)
            if progress is not None:
                progress(Progress(Stage.INGEST, done, total, "bytes", reader.path.name))
    finally:
        rewrite.close()
    from irkit.ingest.linking import link  # which reads entries again itself

    link(case, known)
    fill_items(case)
    after = _totals(case)
    return RereadReport(
        tried=tried,
        read=after[1] - before[1],
        records=after[2] - before[2],
        left=after[0],
        sources=len(wanted),
        mapping=digest,
    )


def chosen(reader: SourceReader, numbers: Numbers) -> Iterator[Chunk]:
    """Yield only the entries of a source that have one of these numbers (sorted)."""
    for chunk in reader.chunks():
        keep = np.isin(chunk.entry_no, numbers)
        rejects = [row for row in chunk.rejects if _has(numbers, row.entry_no)]
        if not keep.any() and not rejects:
            continue
        yield Chunk(
            chunk.source_id,
            chunk.lines.cast(pa.large_binary()).filter(pa.array(keep)).cast(pa.large_string()),
            chunk.entry_no[keep],
            chunk.byte_offset[keep],
            chunk.byte_len[keep],
            chunk.sha256[keep],
            rejects,
            0,
            chunk.open_tail and bool(keep[-1]),
        )


def _has(numbers: Numbers, number: int) -> bool:
    at = int(np.searchsorted(numbers, number))
    return at < len(numbers) and int(numbers[at]) == number


class Rewriter:
    """Replaces what the case holds of single entries.

    Args:
        case: case open for writing.
        known: formats to map by.
        forced: read every object as this format.
    """

    def __init__(self, case: Case, known: Registry, forced: Format | None = None) -> None:
        self._case = case
        self._known = known
        self._projector = Projector(known, forced=forced, max_nesting=case.settings.max_nesting)
        self._accounts: dict[int, _Account] = {}
        self._loader = Loader(case, self._accounts)

    def close(self) -> None:
        """Free what it holds."""
        self._loader.close()
        self._projector.close()

    def entries(
        self, source_id: int, numbers: Numbers, chunks: Iterable[Chunk], reason: str
    ) -> None:
        """Replace the rows of some entries of one source by what these chunks give now.

        Args:
            source_id: the source.
            numbers: entries to replace.
            chunks: those entries.
            reason: kept with the source's reading account.

        Raises:
            IrkitError: an entry would be lost.
        """
        case = self._case
        sha256 = str(
            case.rows("SELECT sha256 FROM evidence_source WHERE source_id = ?", [source_id])[0][0]
        )
        account = self._accounts[source_id] = _Account(sha256, Tally())
        steps = (Step(source_id, chunk, 0) for chunk in chunks)
        case.con.register("rewritten", pa.table({"entry_no": pa.array(numbers)}))
        try:
            with case.transaction():
                replaced = self._forget(source_id)
                for block in blocks(steps, BLOCK // 2):
                    self._loader.write(block, self._projector.project(block.lines, None))
                if account.tally.entries != len(numbers) or not account.tally.balanced:
                    raise IrkitError(
                        f"source {source_id}: reading entries again gave other entries than before",
                        "nothing was changed; check the evidence with: irkit verify CASE",
                    )
                if replaced:
                    drop_orphans(case)
                recount(case, self._known, source_id, reason)
                case.set_meta(LINK_STATE, "")
        finally:
            case.con.unregister("rewritten")

    def _forget(self, source_id: int) -> bool:
        """Remove all rows of the entries named in ``rewritten``; tell whether any was a record."""
        con = self._case.con
        con.execute(
            "CREATE OR REPLACE TEMP TABLE forgotten AS SELECT record_id FROM query_record"
            " WHERE source_id = ? AND entry_no IN (SELECT entry_no FROM rewritten)",
            [source_id],
        )
        for table in RECORD_TABLES:
            con.execute(
                f"DELETE FROM {table} WHERE source_id = ?"
                " AND record_id IN (SELECT record_id FROM forgotten)",
                [source_id],
            )
        con.execute(
            "DELETE FROM quarantine WHERE source_id = ?"
            " AND entry_no IN (SELECT entry_no FROM rewritten)",
            [source_id],
        )
        found = self._case.rows("SELECT count(*) FROM forgotten")[0][0]
        con.execute("DROP TABLE forgotten")
        return int(found) > 0


def drop_orphans(case: Case) -> None:
    """Remove texts that no record refers to any more."""
    case.con.execute(
        "DELETE FROM text WHERE text_id NOT IN (SELECT text_id FROM query_message"
        " UNION ALL SELECT text_id FROM query_choice)"
    )


def recount(case: Case, known: Registry, source_id: int, reason: str) -> None:
    """Bring the reading account of a source in line with its rows.

    Args:
        case: the case, inside a transaction.
        known: known formats.
        source_id: the source.
        reason: why it was read again, kept in its progress row.
    """
    formats = {
        str(name): int(number)
        for name, number in case.rows(
            "SELECT source_format, count(*) FROM query_record WHERE source_id = ?"
            " GROUP BY 1 ORDER BY 1",
            [source_id],
        )
    }
    reasons = {
        str(name): int(number)
        for name, number in case.rows(
            "SELECT error_code, count(*) FROM quarantine WHERE source_id = ? GROUP BY 1 ORDER BY 1",
            [source_id],
        )
    }
    stored = case.rows("SELECT capability FROM evidence_source WHERE source_id = ?", [source_id])
    old = json.loads(stored[0][0] or "{}")
    facts = {
        "formats": formats,
        "quarantine_reasons": reasons,
        "truncated": bool(old.get("truncated")),
    }
    present = [fmt for fmt in known.formats if fmt.id in formats]
    described = describe(case, [source_id], {source_id: present}, {source_id: facts})
    _, first, last, capability = described[0]
    total = sum(formats.values())
    top = min(formats, key=lambda name: (-formats[name], name), default="")
    share = formats[top] / total if total else 0.0
    case.con.execute(
        "UPDATE evidence_source SET records = (SELECT count(DISTINCT entry_no) FROM query_record"
        " WHERE source_id = $id), quarantined = (SELECT count(DISTINCT entry_no) FROM quarantine"
        " WHERE source_id = $id AND state = 'quarantined'), format = $format,"
        " format_confidence = $share, min_event_time = $first, max_event_time = $last,"
        " capability = $capability WHERE source_id = $id",
        {
            "id": source_id,
            "format": (top if share >= ACCEPT else "mixed") if total else None,
            "share": round(share, 4),
            "first": first,
            "last": last,
            "capability": capability,
        },
    )
    case.con.execute(
        "UPDATE stage_progress SET detail = json_merge_patch(detail, json_object('reread', ?))"
        " WHERE stage = ? AND item = (SELECT sha256 || ':' || path FROM evidence_source"
        " WHERE source_id = ?)",
        [reason, Stage.INGEST.value, source_id],
    )
    balanced = case.rows(
        "SELECT entries = records + blanks + quarantined FROM evidence_source WHERE source_id = ?",
        [source_id],
    )
    if not balanced[0][0]:
        raise IrkitError(
            f"source {source_id}: the accounting of entries does not balance",
            "nothing was changed; this is a fault in irkit",
        )


def reader_of(case: Case, source_id: int) -> SourceReader:
    """Return a reader of a preserved file, from its first byte."""
    sha256 = case.rows("SELECT sha256 FROM evidence_source WHERE source_id = ?", [source_id])
    return SourceReader(source_id, evidence_path(case, source_id), str(sha256[0][0]), case.settings)


def _bytes(case: Case, source_id: int) -> int:
    found = case.rows("SELECT bytes FROM evidence_source WHERE source_id = ?", [source_id])
    return int(found[0][0])


def _totals(case: Case) -> tuple[int, int, int]:
    """Quarantined entries, entries with records, and records of the whole case."""
    row = case.rows(
        "SELECT coalesce(sum(quarantined), 0), coalesce(sum(records), 0),"
        " (SELECT count(*) FROM query_record) FROM evidence_source"
    )[0]
    return int(row[0]), int(row[1]), int(row[2])
