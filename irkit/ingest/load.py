"""Write projected blocks into the case: records, texts, messages, choices, logprobs, quarantine."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from irkit.case import Case
from irkit.ingest.block import Block
from irkit.ingest.columns import RECORD_COLUMNS
from irkit.ingest.entries import RAW_CAP, Reason, Reject, as_hex, rows_of
from irkit.ingest.project import PartReject, Projected
from irkit.ingest.texts import KnownTexts, text_ids

#: ``quarantine.state`` of a whole entry, and of a part whose entry also holds records.
WHOLE, PART = "quarantined", "part_of_entry"


@dataclass(slots=True)
class Tally:
    """Accounting of one source: every entry ends in exactly one of three ways.

    Attributes:
        entries: lines, array elements or rows.
        bearing: entries that yielded at least one record.
        blanks: entries of only white space.
        quarantined: entries that yielded none.
        records: canonical rows.
        formats: records per format.
        reasons: quarantine rows per reason.
    """

    entries: int = 0
    bearing: int = 0
    blanks: int = 0
    quarantined: int = 0
    records: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def balanced(self) -> bool:
        """True where nothing was lost."""
        return self.entries == self.bearing + self.blanks + self.quarantined


class Account(Protocol):
    """What the loader has to know of a source."""

    sha256: str
    tally: Tally


class Feed:
    """Appends Arrow tables to tables of the case within one long transaction.

    A relation that is registered inside a transaction keeps its data until the transaction ends,
    so one relation is registered before, and shows whatever table is current.
    """

    def __init__(self, case: Case) -> None:
        self._con = case.con
        self._table = pa.table({"none": pa.array([], pa.int32())})
        self._con.register("ingest_feed", self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def append(self, target: str, table: pa.Table) -> None:
        """Append by column name; missing columns become NULL."""
        if not len(table):
            return
        columns = ", ".join(f'"{name}"' for name in table.column_names)
        self._table, empty = table, self._table.slice(0, 0)
        try:
            self._con.execute(f'INSERT INTO "{target}" BY NAME SELECT {columns} FROM ingest_feed')
        finally:
            self._table = empty

    def close(self) -> None:
        """Take the relation away again."""
        self._con.unregister("ingest_feed")


class Loader:
    """Writes blocks in order; create it outside a transaction.

    Args:
        case: case open for writing.
        accounts: SHA-256 and tally of each source that may occur in a block, by source id.
    """

    def __init__(self, case: Case, accounts: Mapping[int, Account]) -> None:
        self._feed = Feed(case)
        self._accounts = accounts
        self.texts = KnownTexts(case)
        self.new_texts = 0

    def close(self) -> None:
        """Free what the loader holds in the database."""
        self._feed.close()

    def write(self, block: Block, projected: Projected) -> None:
        """Insert one block's rows and add to the accounting of its sources."""
        records = projected.records
        rows = records.column("row_no").to_numpy()
        bearing = np.zeros(len(block), bool)
        bearing[rows] = True
        if len(records):
            self._records(block, records, rows)
        rejected = np.zeros(len(block), bool)
        rejected[[part.row_no for part in projected.rejects]] = True
        self._count(block, records, rows, bearing, rejected)
        self._quarantine(block, projected.rejects, bearing)

    # -- accounting -----------------------------------------------------------------------------

    def _count(
        self,
        block: Block,
        records: pa.Table,
        rows: NDArray[np.int64],
        bearing: NDArray[np.bool_],
        rejected: NDArray[np.bool_],
    ) -> None:
        accounts = self._accounts
        ids, which = np.unique(block.source_id, return_inverse=True)
        size = len(ids)
        sums = zip(
            ids.tolist(),
            np.bincount(which, minlength=size).tolist(),
            np.bincount(which[bearing], minlength=size).tolist(),
            np.bincount(which[rejected & ~bearing], minlength=size).tolist(),
            np.bincount(which[rows], minlength=size).tolist(),
            strict=True,
        )
        for source_id, entries, with_records, without, number in sums:
            tally = accounts[source_id].tally
            tally.entries += entries
            tally.bearing += with_records
            tally.quarantined += without
            tally.records += number
        if len(records):
            formats = records.column("source_format").combine_chunks().dictionary_encode()
            codes = formats.indices.to_numpy(zero_copy_only=False)
            kinds = len(formats.dictionary)
            counts = np.bincount(which[rows] * kinds + codes, minlength=size * kinds)
            for place in np.flatnonzero(counts).tolist():
                name = formats.dictionary[place % kinds].as_py()
                accounts[int(ids[place // kinds])].tally.formats[name] += int(counts[place])
        for source_id, blanks in block.blanks.items():
            accounts[source_id].tally.blanks += blanks
            accounts[source_id].tally.entries += blanks
        for row in block.rejects:
            accounts[row.source_id].tally.entries += 1
            accounts[row.source_id].tally.quarantined += 1

    def _quarantine(
        self,
        block: Block,
        parts: Sequence[PartReject],
        bearing: NDArray[np.bool_],
    ) -> None:
        found: list[tuple[Reject, str]] = [(row, WHOLE) for row in block.rejects]
        for part, count in _merged(parts, bearing):
            at = part.row_no
            reason, words, raw = part.reason, part.text, part.raw
            if block.open_tail[at] and reason is Reason.BAD_JSON:
                reason, words = Reason.TRUNCATED_TAIL, "the file ends inside this entry"
            if count > 1:
                words = f"{count:,} parts: {words}"
            if not bearing[at]:
                raw = block.lines[at].as_py().encode().rstrip(b"\r\n")
            row = Reject(
                source_id=int(block.source_id[at]),
                entry_no=int(block.entry_no[at]),
                byte_offset=int(block.byte_offset[at]),
                byte_len=int(block.byte_len[at]),
                sha256=block.sha256[at].tobytes().hex(),
                reason=reason,
                text=words,
                raw=raw[:RAW_CAP],
            )
            found.append((row, PART if bearing[at] else WHOLE))
        if not found:
            return
        found.sort(key=lambda item: (item[0].source_id, item[0].entry_no))
        for row, _ in found:
            self._accounts[row.source_id].tally.reasons[row.reason.value] += 1
        self._feed.append("quarantine", _quarantine_table(found))

    # -- records --------------------------------------------------------------------------------

    def _records(self, block: Block, records: pa.Table, rows: NDArray[np.int64]) -> None:
        sub = records.column("sub_no").to_numpy()
        source, entry = block.source_id[rows], block.entry_no[rows]
        record_id = self._record_ids(source, entry, sub)
        bodies, body_of = _flat(records.column("bodies"))
        choices, choice_of = _flat(records.column("choice_body"))
        body_ids, choice_ids = self._texts(bodies), self._texts(choices)
        self._messages(records, record_id, source, body_ids, body_of)
        self._choices(records, record_id, source, choice_ids, choice_of)
        self._logprobs(records, record_id, source)
        starts = _starts(body_of, len(records))
        # A column that is empty in the whole block is left to its default: NULL costs nothing.
        columns = {
            name: records.column(name)
            for name in RECORD_COLUMNS
            if records.column(name).null_count < len(records)
        }
        columns |= {
            "record_id": record_id,
            "source_id": pa.array(source, pa.int32()),
            "source_format": records.column("source_format"),
            "entry_no": pa.array(entry),
            "sub_no": pa.array(sub, pa.int32()),
            "byte_offset": _offsets(block.byte_offset[rows]),
            "raw_sha256": as_hex(block.sha256[rows]),
            "system_text_id": _at(body_ids, starts, records.column("system_at")),
            "prompt_text_id": _at(body_ids, starts, records.column("prompt_at")),
            "response_text_id": _first(choice_ids, choice_of, len(records)),
        }
        self._feed.append("query_record", pa.table(columns))

    def _texts(self, texts: pa.Array) -> pa.Array:
        """Store the texts that are new to the case; return the id of each."""
        # A chat repeats its history with every call, so most texts of a block occur several times.
        encoded = texts.dictionary_encode()
        ids = text_ids(encoded.dictionary)
        fresh = self.texts.new(ids)
        self.new_texts += len(fresh)
        names = as_hex(ids)
        if len(fresh):
            picked = pa.array(fresh)
            body = encoded.dictionary.take(picked)
            self._feed.append("text", pa.table({"text_id": names.take(picked), "body": body}))
        return names.take(encoded.indices)

    def _record_ids(
        self, source: NDArray[np.int32], entry: NDArray[np.int64], sub: NDArray[np.int32]
    ) -> pa.Array:
        ids = []
        prefixes = {
            key: hashlib.sha256(f"{self._accounts[key].sha256}:".encode())
            for key in np.unique(source).tolist()
        }
        for source_id, number, part in zip(
            source.tolist(), entry.tolist(), sub.tolist(), strict=True
        ):
            digest = prefixes[source_id].copy()
            digest.update(b"%d:%d" % (number, part))
            ids.append(digest.digest()[:16])
        return as_hex(rows_of(ids, 16))

    def _messages(
        self,
        records: pa.Table,
        record_id: pa.Array,
        source: NDArray[np.int32],
        ids: pa.Array,
        owner: NDArray[np.int64],
    ) -> None:
        roles, _ = _flat(records.column("roles"))
        table = {
            "record_id": record_id.take(pa.array(owner)),
            "source_id": pa.array(source[owner], pa.int32()),
            "pos": pa.array(_within(owner), pa.int32()),
            "role": roles,
            "text_id": ids,
        }
        self._feed.append("query_message", pa.table(table))

    def _choices(
        self,
        records: pa.Table,
        record_id: pa.Array,
        source: NDArray[np.int32],
        ids: pa.Array,
        owner: NDArray[np.int64],
    ) -> None:
        numbers, _ = _flat(records.column("choice_no"))
        reasons, _ = _flat(records.column("choice_finish"))
        table = {
            "record_id": record_id.take(pa.array(owner)),
            "source_id": pa.array(source[owner], pa.int32()),
            "choice": numbers,
            "text_id": ids,
            "finish_reason": reasons,
        }
        self._feed.append("query_choice", pa.table(table))

    def _logprobs(self, records: pa.Table, record_id: pa.Array, source: NDArray[np.int32]) -> None:
        have = records.column("tokens").combine_chunks().is_valid()
        index = np.flatnonzero(np.asarray(have.to_numpy(zero_copy_only=False), bool))
        if not len(index):
            return
        picked = pa.array(index)
        found = records.select(["tokens", "token_logprobs", "tops"]).take(picked)
        table = {
            "record_id": record_id.take(picked),
            "source_id": pa.array(source[index], pa.int32()),
            "tokens": found.column("tokens"),
            "token_logprobs": found.column("token_logprobs"),
            "top_logprobs": found.column("tops"),
        }
        self._feed.append("query_logprob", pa.table(table))


def _merged(
    parts: Sequence[PartReject], bearing: NDArray[np.bool_]
) -> list[tuple[PartReject, int]]:
    """Return one row per entry without records, and one per entry and reason otherwise."""
    groups: dict[tuple[int, Reason | None], list[PartReject]] = {}
    for part in parts:
        key = part.row_no, part.reason if bearing[part.row_no] else None
        groups.setdefault(key, []).append(part)
    return [(group[0], len(group)) for group in groups.values()]


def _quarantine_table(found: Iterable[tuple[Reject, str]]) -> pa.Table:
    rows = [
        {
            "source_id": row.source_id,
            "entry_no": row.entry_no,
            "byte_offset": row.byte_offset,
            "byte_len": row.byte_len,
            "sha256": row.sha256,
            "error_code": row.reason.value,
            "error_text": row.text,
            "raw": row.raw,
            "state": state,
        }
        for row, state in found
    ]
    schema = pa.schema(
        [
            ("source_id", pa.int32()),
            *((name, pa.int64()) for name in ("entry_no", "byte_offset", "byte_len")),
            *((name, pa.string()) for name in ("sha256", "error_code", "error_text")),
            ("raw", pa.binary()),
            ("state", pa.string()),
        ]
    )
    return pa.Table.from_pylist(rows, schema)


def _flat(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return all elements of a list column, and the row that each belongs to."""
    lists = column.combine_chunks()
    if isinstance(lists, pa.ChunkedArray):
        lists = pa.concat_arrays(lists.chunks)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    flat = lists.flatten()
    if pa.types.is_string(flat.type) or pa.types.is_string_view(flat.type):
        flat = flat.cast(pa.large_string())
    return flat, np.repeat(np.arange(len(lists)), lengths.astype(np.int64))


def _starts(owner: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    return np.searchsorted(owner, np.arange(size))


def _within(owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, 2 ... within each run of equal owners."""
    if not len(owner):
        return owner
    return np.arange(len(owner)) - np.searchsorted(owner, owner)


def _at(ids: pa.Array, starts: NDArray[np.int64], position: pa.ChunkedArray) -> pa.Array:
    """Return the id at a 1-based position of each row's list; null where there is none."""
    place = position.combine_chunks()
    index = pc.add(pa.array(starts), pc.subtract(place.cast(pa.int64()), 1))
    return ids.take(index)


def _first(ids: pa.Array, owner: NDArray[np.int64], size: int) -> pa.Array:
    starts = _starts(owner, size)
    has = np.zeros(size, bool)
    has[owner] = True
    return ids.take(pa.array(starts, mask=~has))


def _offsets(values: NDArray[np.int64]) -> pa.Array:
    return pa.array(values, mask=values < 0)
