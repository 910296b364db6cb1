"""Entries: the lines, array elements or rows of a source, before anything is known about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

#: Bytes of a quarantined entry kept in the case; the whole entry stays in the evidence file.
RAW_CAP = 64 << 10
#: ``byte_offset`` of rows that are addressed by number only (Parquet, CSV).
NO_OFFSET = -1


Numbers = NDArray[np.int64]
#: One row of bytes per digest.
Digests = NDArray[np.uint8]


class Reason(StrEnum):
    """Why an entry, or a part of one, could not become a record."""

    BAD_JSON = "bad_json"
    BAD_UTF8 = "bad_utf8"
    BAD_ROW = "bad_row"
    TRUNCATED_TAIL = "truncated_tail"
    TOO_LARGE = "too_large"
    NOT_OBJECT = "not_object"
    UNKNOWN_FORMAT = "unknown_format"
    NOT_A_CALL = "not_a_call"
    SCHEMA_MISSING_KEY = "schema_missing_key"
    BAD_TIMESTAMP = "bad_timestamp"
    TRUNCATED_CONTAINER = "truncated_container"
    BOMB = "bomb"
    TOO_DEEP = "too_deep"
    ENCRYPTED = "encrypted"


@dataclass(frozen=True, slots=True)
class Reject:
    """One entry that goes to quarantine; ``part`` is set where its entry also holds records."""

    source_id: int
    entry_no: int
    byte_offset: int
    byte_len: int
    sha256: str
    reason: Reason
    text: str
    raw: bytes


@dataclass(slots=True)
class Chunk:
    """A run of entries of one source, with what was already set aside.

    Attributes:
        source_id: the source.
        lines: one JSON text per entry; valid UTF-8, not yet known to be valid JSON.
        entry_no: number of the entry in its source, from 1 (line number, element or row).
        byte_offset: where the entry begins in the decompressed bytes.
        byte_len: its length there.
        sha256: digest of the entry's bytes, one row per entry.
        rejects: entries that failed before parsing.
        blanks: entries of only white space.
        open_tail: the last entry has no line end, so it may be cut.
    """

    source_id: int
    lines: pa.Array
    entry_no: Numbers
    byte_offset: Numbers
    byte_len: Numbers
    sha256: Digests
    rejects: list[Reject] = field(default_factory=list)
    blanks: int = 0
    open_tail: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of text in the chunk."""
        return int(self.byte_len.sum())


def empty_chunk(source_id: int, rejects: Sequence[Reject] = (), blanks: int = 0) -> Chunk:
    """Return a chunk without entries, to carry rejects and blanks."""
    none = np.zeros(0, np.int64)
    lines = pa.array([], pa.large_string())
    return Chunk(source_id, lines, none, none, none, rows_of([]), list(rejects), blanks)


def digests(
    data: bytes | bytearray | memoryview, starts: Sequence[int], ends: Sequence[int]
) -> Digests:
    """Return the SHA-256 of each range (OpenSSL's is several times faster than the database's)."""
    view = memoryview(data)
    sha = hashlib.sha256
    return rows_of([sha(view[a:b]).digest() for a, b in zip(starts, ends, strict=True)])


def rows_of(items: Sequence[bytes], size: int = 32) -> Digests:
    """Return digests of equal length as rows of an array."""
    return np.frombuffer(b"".join(items), np.uint8).reshape(len(items), size)


def as_hex(rows: Digests) -> pa.Array:
    """Return rows of bytes as a text array of hex digits."""
    count, size = rows.shape
    digits = rows.tobytes().hex().encode()
    offsets = np.arange(count + 1, dtype=np.int32) * (2 * size)
    return pa.Array.from_buffers(
        pa.string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(digits)]
    )


def reject(
    source_id: int,
    entry_no: int,
    byte_offset: int,
    raw: bytes | bytearray | memoryview,
    reason: Reason,
    text: str,
) -> Reject:
    """Return a quarantine row for bytes held in memory."""
    digest = hashlib.sha256(raw).hexdigest()
    head = bytes(raw[:RAW_CAP])
    return Reject(source_id, entry_no, byte_offset, len(raw), digest, reason, text, head)


def chunk_of(
    source_id: int,
    texts: Iterable[bytes],
    entry_no: Sequence[int],
    byte_offset: Sequence[int],
    *,
    open_tail: bool = False,
) -> Chunk:
    """Build a chunk from entries held one by one; what is not UTF-8 is set aside."""
    good: list[bytes] = []
    keep: list[int] = []
    rejects: list[Reject] = []
    items = list(texts)
    for index, item in enumerate(items):
        try:
            item.decode("utf-8")
        except UnicodeDecodeError as error:
            rejects.append(
                reject(
                    source_id,
                    entry_no[index],
                    byte_offset[index],
                    item,
                    Reason.BAD_UTF8,
                    f"not UTF-8 at byte {error.start} of the entry",
                )
            )
        else:
            good.append(item)
            keep.append(index)
    return Chunk(
        source_id,
        pa.array(good, pa.large_binary()).cast(pa.large_string()),
        np.array([entry_no[i] for i in keep], np.int64),
        np.array([byte_offset[i] for i in keep], np.int64),
        np.array([len(item) for item in good], np.int64),
        rows_of([hashlib.sha256(item).digest() for item in good]),
        rejects,
        0,
        open_tail and bool(items) and bool(keep) and keep[-1] == len(items) - 1,
    )
