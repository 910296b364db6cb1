"""Read preserved sources into the case: stream, map, write, account, resume."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from irkit.case import Case
from irkit.case.evidence import evidence_path
from irkit.errors import IrkitError, UsageError
from irkit.ingest.block import NO_GUESS, Block, Guess, Step, blocks
from irkit.ingest.coverage import describe
from irkit.ingest.detect import ACCEPT, UNKNOWN, Verdict, judge, sample
from irkit.ingest.duplicates import mark_duplicates, reused_ids
from irkit.ingest.entries import Chunk
from irkit.ingest.format import Format
from irkit.ingest.framing import SourceReader
from irkit.ingest.halves import join_halves
from irkit.ingest.lines import BLOCK
from irkit.ingest.load import Loader, Tally
from irkit.ingest.mapping import load_mapping
from irkit.ingest.parallel import OrderedMap, read_ahead
from irkit.ingest.project import Projected, Projector
from irkit.ingest.registry import Registry, registry
from irkit.ingest.report import IngestReport, SourceReport
from irkit.model import Progress, Stage

ProgressCallback = Callable[[Progress], None]

#: Changes whenever the same bytes could give other rows; sources read before are then read again.
PARSER_VERSION = "1"
#: Threads that map; more would only raise memory, because one thread writes.
_MAX_WORKERS = 4
#: Sources smaller than this are not sampled: their records are counted anyway.
_SMALL = 64 << 10
_TABLES = ("query_record", "query_message", "query_choice", "query_logprob", "quarantine")


@dataclass(slots=True)
class _Source:
    source_id: int
    path: Path
    name: str
    sha256: str
    size: int
    item: str
    reader: SourceReader
    verdict: Verdict | None = None
    tally: Tally = field(default_factory=Tally)


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
    pending, skipped = _pending(case, source_ids, inputs)
    run = _Run(case, known, forced, inputs, pending, progress)
    reports = run.all() if pending else ()
    duplicates = mark_duplicates(case) if pending else _count_duplicates(case)
    joined = join_halves(case, known.formats) if pending else 0
    warnings = known.warnings()
    if pending and (reused := reused_ids(case)):
        warnings.append(
            f"{reused:,} request ids stand for calls with different texts: clients may set them"
        )
    return IngestReport(reports, skipped, duplicates, joined, run.new_texts, tuple(warnings))


def _inputs_hash(case: Case, format_id: str, mapping: str) -> str:
    settings = case.settings
    parts = [
        *(PARSER_VERSION, format_id, mapping),
        *(settings.max_line_mb, settings.max_expand_ratio, settings.max_nesting),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _count_duplicates(case: Case) -> int:
    found = case.rows("SELECT count(*) FROM query_record WHERE duplicate_of IS NOT NULL")
    return int(found[0][0])


def _pending(
    case: Case, source_ids: Sequence[int] | None, inputs: str
) -> tuple[list[_Source], int]:
    rows = case.rows(
        "SELECT source_id, path, original_path, sha256, bytes FROM evidence_source"
        " ORDER BY source_id"
    )
    if source_ids is not None:
        missing = set(source_ids) - {int(row[0]) for row in rows}
        if missing:
            raise UsageError(f"no evidence source {min(missing)} in {case.path}")
        rows = [row for row in rows if row[0] in set(source_ids)]
    done = {
        item
        for (item,) in case.rows(
            "SELECT item FROM stage_progress WHERE stage = ? AND inputs_hash = ?"
            " AND status = 'done'",
            [Stage.INGEST.value, inputs],
        )
    }
    pending = []
    for source_id, path, original, sha, size in rows:
        item = f"{sha}:{path}"
        if item in done:
            continue
        where = evidence_path(case, int(source_id))
        reader = SourceReader(int(source_id), where, str(sha), case.settings)
        name = Path(str(original)).name
        pending.append(_Source(int(source_id), where, name, str(sha), int(size), item, reader))
    return pending, len(rows) - len(pending)


class _Run:
    """One pass over the pending sources."""

    def __init__(
        self,
        case: Case,
        known: Registry,
        forced: Format | None,
        inputs: str,
        sources: list[_Source],
        progress: ProgressCallback | None,
    ) -> None:
        self._case = case
        self._known = known
        self._forced = forced
        self._inputs = inputs
        self._sources = {source.source_id: source for source in sources}
        self._progress = progress
        self._total = sum(source.size for source in sources)
        self._replaced = False
        self.new_texts = 0

    def all(self) -> tuple[SourceReport, ...]:
        case = self._case
        self._total = max(1, self._total)
        workers = min(_MAX_WORKERS, case.settings.worker_threads)
        mapper: OrderedMap[Block, Projected] = OrderedMap(self._projector, _project, workers)
        steps = read_ahead(blocks(self._steps(), BLOCK), 1)
        reports: list[SourceReport] = []
        unit = _Unit(case)
        try:
            with case.transaction():
                self._forget()
            loader = Loader(case, {key: source.sha256 for key, source in self._sources.items()})
            tallies = {key: source.tally for key, source in self._sources.items()}
            begun: set[int] = set()
            for block, projected in mapper(steps):
                unit.begin()
                loader.write(block, projected, tallies)
                begun |= set(block.source_id.tolist()) | {row.source_id for row in block.rejects}
                begun |= set(block.blanks) | set(block.finished)
                if block.finished:
                    reports += self._finish(block.finished)
                    begun -= set(block.finished)
                if not begun:
                    unit.commit()
                self._report(block)
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
        return tuple(reports)

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
            for source in self._sources.values():
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

    def _guess(self, projector: Projector, source: _Source, chunk: Chunk, last: Guess) -> Guess:
        """Sample a source; small ones are taken to be like the one before."""
        if self._forced is not None:
            return Guess(self._forced.id)
        if chunk.nbytes < _SMALL and last is not NO_GUESS:
            return last
        lines = sample(source.reader, chunk)
        source.verdict = judge(projector.router, self._known.formats, lines)
        fmt = projector.format(source.verdict.format_id)
        return Guess(source.verdict.format_id, projector.shape(fmt, lines) if fmt else None)

    def _report(self, block: Block) -> None:
        if self._progress is None:
            return
        last = block.finished[-1] if block.finished else None
        if len(block):
            last = int(block.source_id[-1])
        note = self._sources[last].name if last is not None else ""
        done = min(block.consumed, self._total)
        self._progress(Progress(Stage.INGEST, done, self._total, "bytes", note))

    # -- writing --------------------------------------------------------------------------------

    def _forget(self) -> None:
        """Remove what an earlier reading of the pending sources left."""
        ids = list(self._sources)
        for table in _TABLES:
            found = self._case.con.execute(
                f"DELETE FROM {table} WHERE list_contains(?, source_id)", [ids]
            ).fetchone()
            self._replaced = self._replaced or bool(found and found[0])

    def _drop_orphans(self) -> None:
        if self._replaced:
            self._case.con.execute(
                "DELETE FROM text WHERE text_id NOT IN (SELECT text_id FROM query_message"
                " UNION ALL SELECT text_id FROM query_choice)"
            )

    def _finish(self, finished: Sequence[int]) -> list[SourceReport]:
        """Write the accounting of sources whose last entry is in, and mark them done."""
        case = self._case
        for source_id in finished:
            tally = self._sources[source_id].tally
            if not tally.balanced:
                raise IrkitError(
                    f"{self._sources[source_id].name}: the accounting of entries does not balance",
                    "nothing of this file was stored; this is a fault in irkit",
                )
        formats = {
            key: [fmt for fmt in self._known.formats if fmt.id in self._sources[key].tally.formats]
            for key in finished
        }
        extra = {key: self._facts(self._sources[key]) for key in finished}
        described = describe(case, finished, formats, extra)
        rows = []
        reports = []
        for source_id, first, last, capability in described:
            source = self._sources[source_id]
            row = self._row(source)
            rows.append(
                {**row, "min_event_time": first, "max_event_time": last, "capability": capability}
            )
            reports.append(_source_report(source, str(row["format"] or "")))
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
        return reports

    def _row(self, source: _Source) -> dict[str, Any]:
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
            "format": (top if share >= ACCEPT else "mixed") if total else None,
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

    def _facts(self, source: _Source) -> dict[str, Any]:
        return {
            "formats": dict(sorted(source.tally.formats.items())),
            "quarantine_reasons": dict(sorted(source.tally.reasons.items())),
            "truncated": bool(source.reader.notes),
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


def _source_report(source: _Source, format_id: str) -> SourceReport:
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
