"""The sources of a run: which are still to be read, and the accounting of those being read.

A case may hold a million small files, so what is pending stays in one compact table, and a source
is an object only from its first byte until its accounting is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from irkit.case import Case
from irkit.errors import UsageError
from irkit.ingest.delta import reread_changed, table_files
from irkit.ingest.detect import Verdict
from irkit.ingest.framing import SourceReader
from irkit.ingest.load import Tally
from irkit.model import Stage

_PAGE = 1000
#: Tables whose rows belong to one record of a source.
RECORD_TABLES = (
    *("query_record", "query_message", "query_choice", "query_logprob", "query_item"),
    "record_link",
)
_TABLES = (*RECORD_TABLES, "quarantine", "evidence_member")

_PENDING = """
CREATE OR REPLACE TEMP TABLE pending_source AS
SELECT source_id, path, original_path, sha256, bytes, storage FROM evidence_source e
WHERE ($ids IS NULL OR list_contains($ids, source_id))
  -- Preserved gradients are evidence, but no logs.
  AND NOT starts_with(coalesce(format, ''), 'gradient_') AND NOT EXISTS (
  SELECT 1 FROM stage_progress p WHERE p.stage = $stage AND p.inputs_hash = $inputs
    AND p.status = 'done' AND p.item = e.sha256 || ':' || e.path)
ORDER BY source_id
"""


@dataclass(slots=True)
class Source:
    """One source while it is read."""

    source_id: int
    name: str
    sha256: str
    size: int
    item: str
    reader: SourceReader
    verdict: Verdict | None = None
    tally: Tally = field(default_factory=Tally)


class Sources:
    """What a run reads.

    Attributes:
        live: sources begun and not yet accounted for, by id.
        total: bytes to read.
        skipped: sources that were read before on the same inputs.
    """

    def __init__(self, case: Case, source_ids: Sequence[int] | None, inputs: str) -> None:
        """Find what is pending.

        Raises:
            UsageError: a source was asked for that the case does not have.
        """
        ids = None if source_ids is None else sorted(set(source_ids))
        if ids is not None:
            known = {row[0] for row in case.rows("SELECT source_id FROM evidence_source")}
            missing = [number for number in ids if number not in known]
            if missing:
                raise UsageError(f"no evidence source {missing[0]} in {case.path}")
        self._tables = table_files(case)
        reread_changed(case, self._tables)
        case.con.execute(_PENDING, {"ids": ids, "stage": Stage.INGEST.value, "inputs": inputs})
        self._case = case
        self._pending: pa.Table = case.con.execute(
            "SELECT * FROM pending_source ORDER BY source_id"
        ).to_arrow_table()
        wanted = len(ids) if ids is not None else _logs(case)
        self.skipped = wanted - len(self._pending)
        self.total = max(1, sum(self._pending.column("bytes").to_pylist()))
        self.live: dict[int, Source] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Source]:
        """Yield pending sources in order; each is live from then on."""
        for start in range(0, len(self._pending), _PAGE):
            for row in self._pending.slice(start, _PAGE).to_pylist():
                source = self._source(row)
                self.live[source.source_id] = source
                yield source

    def forget_rows(self) -> bool:
        """Remove what an earlier reading of the pending sources left; tell whether it was any."""
        removed = 0
        for table in _TABLES:
            found = self._case.con.execute(
                f"DELETE FROM {table} WHERE source_id IN (SELECT source_id FROM pending_source)"
            ).fetchone()
            removed += int(found[0]) if found else 0
        return removed > 0

    def close(self) -> None:
        """Drop the list of pending sources."""
        self._case.con.execute("DROP TABLE IF EXISTS pending_source")

    def _source(self, row: dict[str, object]) -> Source:
        source_id, sha256, path = int(str(row["source_id"])), str(row["sha256"]), str(row["path"])
        # As irkit.case.evidence.evidence_path does, without asking the database for each file: the
        # reading thread must not share the case's connection.
        where = self._case.path / "evidence" / path if row["storage"] == "copied" else Path(path)
        return Source(
            source_id=source_id,
            name=Path(str(row["original_path"])).name,
            sha256=sha256,
            size=int(str(row["bytes"])),
            item=f"{sha256}:{path}",
            reader=SourceReader(
                source_id, where, sha256, self._case.settings, table=self._tables.get(source_id)
            ),
        )


def _logs(case: Case) -> int:
    found = case.rows(
        "SELECT count(*) FROM evidence_source"
        " WHERE NOT starts_with(coalesce(format, ''), 'gradient_')"
    )
    return int(found[0][0])
