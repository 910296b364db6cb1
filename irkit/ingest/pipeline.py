"""Read preserved sources into the case: stream, map, write, account, resume."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from irkit.case import Case
from irkit.engine.local import OrderedMap, read_ahead
from irkit.engine.memory import return_freed_memory
from irkit.errors import IrkitError
from irkit.ingest.block import NO_GUESS, Block, Guess, Step, blocks
from irkit.ingest.coverage import describe
from irkit.ingest.detect import ACCEPT, UNKNOWN, judge, sample
from irkit.ingest.duplicates import reused_ids
from irkit.ingest.entries import Chunk
from irkit.ingest.format import Format
from irkit.ingest.items import fill_items
from irkit.ingest.lines import BLOCK
from irkit.ingest.linking import link
from irkit.ingest.load import Loader
from irkit.ingest.mapping import load_mapping
from irkit.ingest.project import Projected, Projector
from irkit.ingest.registry import Registry, registry
from irkit.ingest.report import MAX_REPORTS, IngestReport, SourceReport
from irkit.ingest.sources import Source, Sources
from irkit.model import Progress, Stage

ProgressCallback = Callable[[Progress], None]

#: Changes whenever the same bytes could give other rows; sources read before are then read again.
PARSER_VERSION = "1"
#: Threads that map; more would only raise memory, because one thread writes.
_MAX_WORKERS = 4
#: Blocks mapped ahead, besides those being mapped: so a thread never waits for the one that writes.
_AHEAD = 1
#: Sources smaller than this are not sampled: their records are counted anyway.
_SMALL = 64 << 10


def ingest(
    case: Case,
    source_ids: Sequence[int] | None = None,
    *,
    format: str | None = None,  # noqa: A002  (the command line's own word)
    mapping: Path | None = None,
    progress: ProgressCallback | None = None,
) -> IngestReport:
    """Read evidence into canonical records.

    Each source is committed whole, with its accounting, so an interrupted run leaves a case that
    opens, and the next run continues with the sources that are missing.  Sources that were read
    before on the same inputs are skipped; on other inputs their rows are replaced.

    Args:
        case: case open for writing, with preserved evidence.
        source_ids: sources to read; all by default.
        format: read every object as this format, whatever its content looks like.
        mapping: TOML file for a home-made format (see :mod:`irkit.ingest.mapping`).
        progress: called with bytes read and in total.

    Raises:
        UsageError: unknown format or source, or a mapping that cannot be used.
        StorageError: evidence cannot be read.
    """
    known = registry()
    digest = ""
    forced: Format | None = None
    if mapping is not None:
        mapped = load_mapping(mapping)
        known, digest = known.with_format(mapped.format), mapped.digest
        forced = mapped.format if format == mapped.format.id else None
    if format is not None and forced is None:
        forced = known.get(format)
    inputs = _inputs_hash(case, format or "", digest)
    sources = Sources(case, source_ids, inputs)
    try:
        if not len(sources):
            # Also here: an earlier run may have been stopped between reading and linking.
            return IngestReport(
                skipped=sources.skipped,
                linkage=link(case, known),
                warnings=tuple(known.warnings()),
            )
        return_freed_memory()
        run = _Run(case, known, forced, inputs, sources, progress)
        run.all()
    finally:
        sources.close()
    linkage = link(case, known)
    fill_items(case)
    warnings = known.warnings()
    if reused := reused_ids(case):
        warnings.append(
            f"{reused:,} request ids stand for calls with different texts: clients may set them"
        )
    return IngestReport(
        sources=tuple(run.reports),
        read=run.read,
        entries=run.entries,
        records=run.records,
        quarantined=run.quarantined,
        skipped=sources.skipped,
        linkage=linkage,
        new_texts=run.new_texts,
        warnings=tuple(warnings),
    )


def _inputs_hash(case: Case, format_id: str, mapping: str) -> str:
    settings = case.settings
    parts = [
        *(PARSER_VERSION, format_id, mapping),
        *(settings.max_line_mb, settings.max_expand_ratio, settings.max_nesting),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class _Run:
    """One pass over the pending sources."""

    def __init__(
        self,
        case: Case,
        known: Registry,
        forced: Format | None,
        inputs: str,
        sources: Sources,
        progress: ProgressCallback | None,
    ) -> None:
        self._case = case
        self._known = known
        self._forced = forced
        self._inputs = inputs
        self._sources = sources
        self._progress = progress
        self._replaced = False
        self.reports: list[SourceReport] = []
        self.read = self.entries = self.records = self.quarantined = self.new_texts = 0

    def all(self) -> None:
        """Read every pending source."""
        case = self._case
        # Reading and writing take a core's worth between them.
        workers = max(1, min(_MAX_WORKERS, case.settings.worker_threads - 1))
        mapper: OrderedMap[Block, Projected] = OrderedMap(
            self._projector, _project, workers, ahead=_AHEAD
        )
        steps = read_ahead(blocks(self._steps(), BLOCK // 2), 1)
        unit = _Unit(case)
        with case.transaction():
            self._replaced = self._sources.forget_rows()
        loader = Loader(case, self._sources.live)
        try:
            mapper.prepare()
            begun: set[int] = set()
            for block, projected in mapper(steps):
                unit.begin()
                loader.write(block, projected)
                begun |= set(block.source_id.tolist()) | {row.source_id for row in block.rejects}
                begun |= set(block.blanks) | set(block.finished)
                self._report(block)
                if block.finished:
                    self._finish(block.finished)
                    begun -= set(block.finished)
                if not begun:
                    unit.commit()
            unit.commit()
            if loader.texts.forgot or self._replaced:
                unit.begin()
                loader.texts.compact()
                self._drop_orphans()
                unit.commit()
            self.new_texts = loader.new_texts
        except BaseException:
            unit.abandon(*sys.exc_info())
            raise
        finally:
            steps.close()
            mapper.close()
            loader.close()

    # -- reading --------------------------------------------------------------------------------

    def _projector(self) -> Projector:
        return Projector(
            self._known, forced=self._forced, max_nesting=self._case.settings.max_nesting
        )

    def _steps(self) -> Iterator[Step]:
        """Read all sources one after the other, each recognised from its first chunk."""
        projector = self._projector()
        try:
            consumed = 0
            guess = NO_GUESS
            for source in self._sources:
                first = True
                for chunk in source.reader.chunks():
                    if first and len(chunk.lines):
                        first = False
                        guess = self._guess(projector, source, chunk, guess)
                    yield Step(source.source_id, chunk, consumed + source.reader.consumed, guess)
                consumed += source.size
                yield Step(source.source_id, None, consumed)
        finally:
            projector.close()

    def _guess(self, projector: Projector, source: Source, chunk: Chunk, last: Guess) -> Guess:
        """Sample a source; small ones are taken to be like the one before."""
        if self._forced is not None:
            return Guess(self._forced.id)
        if chunk.nbytes < _SMALL and last is not NO_GUESS:
            return last
        lines = sample(source.reader, chunk)
        verdict = judge(projector.router, self._known.formats, lines)
        if chunk.nbytes >= _SMALL:
            # What is said of a small source must not depend on which one was read before it.
            source.verdict = verdict
        fmt = projector.format(verdict.format_id)
        return Guess(verdict.format_id, projector.shape(fmt, lines) if fmt else None)

    def _report(self, block: Block) -> None:
        if self._progress is None:
            return
        last = int(block.source_id[-1]) if len(block) else next(iter(block.finished), 0)
        source = self._sources.live.get(last)
        note = source.name if source else ""
        done = min(block.consumed, self._sources.total)
        self._progress(Progress(Stage.INGEST, done, self._sources.total, "bytes", note))

    # -- writing --------------------------------------------------------------------------------

    def _drop_orphans(self) -> None:
        if self._replaced:
            self._case.con.execute(
                "DELETE FROM text WHERE text_id NOT IN (SELECT text_id FROM query_message"
                " UNION ALL SELECT text_id FROM query_choice)"
            )

    def _finish(self, finished: Sequence[int]) -> None:
        """Write the accounting of sources whose last entry is in, and mark them done."""
        case, live = self._case, self._sources.live
        for source_id in finished:
            if not live[source_id].tally.balanced:
                raise IrkitError(
                    f"{live[source_id].name}: the accounting of entries does not balance",
                    "nothing of this file was stored; this is a fault in irkit",
                )
        formats = {
            key: [fmt for fmt in self._known.formats if fmt.id in live[key].tally.formats]
            for key in finished
        }
        extra = {key: self._facts(live[key]) for key in finished}
        rows = []
        members: list[dict[str, Any]] = []
        for source_id, first, last, capability in describe(case, finished, formats, extra):
            source = live.pop(source_id)
            row = self._row(source)
            members += [{"source_id": source_id, **asdict(part)} for part in source.reader.parts]
            rows.append(
                {**row, "min_event_time": first, "max_event_time": last, "capability": capability}
            )
            self._tell(source, str(row["format"] or ""))
        if members:
            case.append("evidence_member", pa.Table.from_pylist(members))
        case.con.register("finished_sources", pa.Table.from_pylist(rows, _ROW))
        try:
            names = [name for name in _ROW.names if name not in ("source_id", "item", "detail")]
            case.con.execute(
                "UPDATE evidence_source SET "
                + ", ".join(f"{name} = f.{name}" for name in names)
                + " FROM finished_sources f WHERE evidence_source.source_id = f.source_id"
            )
            case.con.execute(
                "INSERT OR REPLACE INTO stage_progress SELECT ?, item, 'done', ?, ?, detail"
                " FROM finished_sources ORDER BY source_id",
                [
                    *(Stage.INGEST.value, self._inputs),
                    case.clock().astimezone(UTC).replace(tzinfo=None),
                ],
            )
        finally:
            case.con.unregister("finished_sources")

    def _tell(self, source: Source, format_id: str) -> None:
        """Add a finished source to what the run reports."""
        tally = source.tally
        self.read += 1
        self.entries += tally.entries
        self.records += tally.records
        self.quarantined += tally.quarantined
        if len(self.reports) < MAX_REPORTS:
            self.reports.append(_source_report(source, format_id))

    def _row(self, source: Source) -> dict[str, Any]:
        tally = source.tally
        total = sum(tally.formats.values())
        top, number = max(
            tally.formats.items(), key=lambda pair: (pair[1], pair[0]), default=("", 0)
        )
        share = number / total if total else 0.0
        verdict = source.verdict
        votes = verdict.votes if verdict else dict(sorted(tally.formats.items()))
        if verdict is None and tally.quarantined:
            votes = {**votes, UNKNOWN: tally.quarantined}
        confidence = verdict.confidence if verdict and verdict.format_id == top else share
        return {
            "source_id": source.source_id,
            "item": source.item,
            "container": source.reader.container.value,
            "framing": source.reader.framing.value,
            "format": (top if share >= ACCEPT else "mixed") if total else source.reader.kind,
            "format_confidence": round(confidence, 4),
            "votes": json.dumps(votes, sort_keys=True),
            "parser_version": PARSER_VERSION,
            "entries": tally.entries,
            "records": tally.bearing,
            "blanks": tally.blanks,
            "quarantined": tally.quarantined,
            "note": "; ".join(source.reader.notes) or None,
            "detail": json.dumps({"entries": tally.entries, "rows": tally.records}),
        }

    def _facts(self, source: Source) -> dict[str, Any]:
        return {
            "formats": dict(sorted(source.tally.formats.items())),
            "quarantine_reasons": dict(sorted(source.tally.reasons.items())),
            "truncated": source.reader.damaged,
        }


_ROW = pa.schema(
    [
        ("source_id", pa.int32()),
        *((name, pa.string()) for name in ("item", "container", "framing", "format")),
        ("format_confidence", pa.float64()),
        *((name, pa.string()) for name in ("votes", "parser_version")),
        *((name, pa.int64()) for name in ("entries", "records", "blanks", "quarantined")),
        *((name, pa.timestamp("us")) for name in ("min_event_time", "max_event_time")),
        *((name, pa.string()) for name in ("capability", "note", "detail")),
    ]
)


class _Unit:
    """A transaction that spans blocks: open until no source is half written."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._open: Any = None

    def begin(self) -> None:
        if self._open is None:
            self._open = self._case.transaction()
            self._open.__enter__()

    def commit(self) -> None:
        if self._open is not None:
            opened, self._open = self._open, None
            opened.__exit__(None, None, None)

    def abandon(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            opened, self._open = self._open, None
            try:
                opened.__exit__(kind, error, trace)
            except BaseException as raised:  # the first error is the one to report
                if raised is not error:
                    raise


def _project(worker: object, block: Block) -> Projected:
    if not isinstance(worker, Projector):
        raise TypeError("the mapping worker is no projector")
    guess = block.guess
    return worker.project(block.lines, worker.format(guess.format_id), guess.shape)


def _source_report(source: Source, format_id: str) -> SourceReport:
    tally = source.tally
    return SourceReport(
        source_id=source.source_id,
        format=format_id,
        container=source.reader.container.value,
        framing=source.reader.framing.value,
        entries=tally.entries,
        bearing=tally.bearing,
        blanks=tally.blanks,
        quarantined=tally.quarantined,
        records=tally.records,
        reasons=dict(sorted(tally.reasons.items())),
    )
