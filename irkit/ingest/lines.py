"""Split decompressed bytes into lines (vectorised) and hand them on without copying."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Generator, Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from irkit.ingest.entries import (
    RAW_CAP,
    Chunk,
    Numbers,
    Reason,
    Reject,
    digests,
    empty_chunk,
    reject,
)
from irkit.ingest.gather import Gathered

#: Bytes handed on at once: large enough to spread the cost of planning a statement.
BLOCK = 16 << 20

_MAX_LINES = 1 << 18
_STRIDE = 1 << 18

_SPACE = b" \t\r\n\x0b\x0c"
_MARKS = _SPACE + b"\x1e"
#: Longest text before the JSON of a line (time stamp, host, stream) that is skipped.
_PREFIX = 512


def transcode(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Drop a UTF-8 byte order mark, or turn marked UTF-16/32 into UTF-8.

    Byte offsets of transcoded files count the UTF-8 bytes.  Undecodable units become U+FFFD.
    """
    iterator = iter(pieces)
    head = b""
    for piece in iterator:
        head += piece
        if len(head) >= 4:
            break
    for mark, name in (
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if head.startswith(mark):
            decoder = codecs.getincrementaldecoder(name)("replace")
            yield decoder.decode(head[len(mark) :]).encode("utf-8", "replace")
            for piece in iterator:
                yield decoder.decode(piece).encode("utf-8", "replace")
            yield decoder.decode(b"", final=True).encode("utf-8", "replace")
            return
    if head:
        yield head
    yield from iterator


class LineSplitter:
    """Cut a stream at line feeds into chunks of about :data:`BLOCK` bytes.

    Args:
        source_id: the source.
        max_line: longest line kept, bytes; longer ones are hashed and set aside unread.
        first_entry: number of the first line.
        base: offset of the first byte.
        block: bytes per chunk.
    """

    def __init__(
        self,
        source_id: int,
        max_line: int,
        *,
        first_entry: int = 1,
        base: int = 0,
        block: int = BLOCK,
    ) -> None:
        self._source_id = source_id
        self._max_line = max_line
        self._entry = first_entry
        self._base = base
        self._block = block

    def split(self, pieces: Iterable[bytes]) -> Iterator[Chunk]:
        """Yield chunks of lines."""
        held = Gathered(self._block)
        iterator = iter(pieces)
        for piece in iterator:
            held.add(piece)
            if held.open > self._max_line:
                lines, head = held.take()
                if len(lines):
                    yield from self._chunks(lines, open_tail=False)
                rest = yield from self._skip(head, iterator)
                held.add(rest)
            elif held.size >= self._block and held.open < held.size:
                lines, rest = held.take()
                yield from self._chunks(lines, open_tail=False)
                held.add(rest)
        if held.size:
            tail = held.open > 0
            yield from self._chunks(held.all(), open_tail=tail)

    def _skip(self, head: bytes, pieces: Iterator[bytes]) -> Generator[Chunk, None, bytes]:
        """Hash an overlong line to its end without keeping it; return what follows it."""
        digest, length = hashlib.sha256(head), len(head)
        rest = b""
        for piece in pieces:
            cut = piece.find(b"\n")
            if cut >= 0:
                digest.update(piece[:cut])
                length += cut
                rest = piece[cut + 1 :]
                break
            digest.update(piece)
            length += len(piece)
        row = Reject(
            *(self._source_id, self._entry, self._base, length, digest.hexdigest()),
            *(Reason.TOO_LARGE, f"line of {length:,} bytes exceeds the limit", head[:RAW_CAP]),
        )
        self._entry += 1
        self._base += length + 1
        yield empty_chunk(self._source_id, [row])
        return rest

    def _chunks(self, data: memoryview, *, open_tail: bool) -> Iterator[Chunk]:
        """Cut at line feeds; very short lines go in several chunks, to bound what is held."""
        feeds = _feeds(data)
        if len(feeds) <= _MAX_LINES:
            yield self._chunk(data, feeds, open_tail=open_tail)
            return
        start = 0
        for first in range(0, len(feeds), _MAX_LINES):
            part = feeds[first : first + _MAX_LINES]
            last = first + _MAX_LINES >= len(feeds)
            stop = len(data) if last else int(part[-1]) + 1
            yield self._chunk(data[start:stop], part - start, open_tail=open_tail and last)
            start = stop

    def _chunk(self, data: memoryview, feeds: Numbers, *, open_tail: bool) -> Chunk:
        buffer = np.frombuffer(data, np.uint8)
        bounds = np.concatenate(([0], feeds + 1, [len(data)] if open_tail else []))
        bounds = bounds.astype(np.int64)
        starts, stops = bounds[:-1], bounds[1:].copy()
        stops[: len(feeds)] -= 1
        stops -= (stops > starts) & (buffer[np.maximum(stops - 1, 0)] == 13)
        number = np.arange(len(starts), dtype=np.int64) + self._entry
        offset = starts + self._base
        self._entry += len(starts)
        self._base += len(data)
        length = stops - starts
        filled = length > 0
        first = np.where(filled, buffer[np.minimum(starts, len(data) - 1)], 0)
        odd = np.flatnonzero(filled & (first != ord("{")))
        lines = pa.Array.from_buffers(
            pa.large_string(), len(starts), [None, pa.py_buffer(bounds), pa.py_buffer(data)]
        )
        keep = filled
        rejects: list[Reject] = []
        replaced: dict[int, bytes] = {}
        for index in odd.tolist():
            raw = bytes(data[starts[index] : stops[index]])
            text = _unprefixed(raw)
            if not text:
                keep[index] = False
            elif len(text) != len(raw):
                replaced[index] = text
        blanks = len(starts) - int(keep.sum())
        for index in np.flatnonzero(keep & (length > self._max_line)).tolist():
            raw = bytes(data[starts[index] : stops[index]])
            rejects.append(
                reject(
                    self._source_id,
                    int(number[index]),
                    int(offset[index]),
                    raw,
                    Reason.TOO_LARGE,
                    f"line of {len(raw):,} bytes exceeds the limit",
                )
            )
            keep[index] = False
        if not _is_utf8(lines):
            for index in np.flatnonzero(keep).tolist():
                raw = bytes(data[starts[index] : stops[index]])
                try:
                    raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    rejects.append(
                        reject(
                            self._source_id,
                            int(number[index]),
                            int(offset[index]),
                            raw,
                            Reason.BAD_UTF8,
                            f"not UTF-8 at byte {error.start} of the entry",
                        )
                    )
                    keep[index] = False
        hashed = digests(data, starts[keep].tolist(), stops[keep].tolist())
        lines = _chosen(lines, keep, replaced)
        return Chunk(
            *(self._source_id, lines, number[keep], offset[keep], length[keep], hashed),
            *(rejects, blanks),
            open_tail and bool(len(keep)) and bool(keep[-1]),
        )


def _feeds(data: memoryview) -> Numbers:
    """Return the places of the line feeds."""
    buffer = np.frombuffer(data, np.uint8)
    # Piece by piece: the marks of all bytes at once would be as large again as the text.
    pieces = [
        np.flatnonzero(buffer[start : start + _STRIDE] == 10) + start
        for start in range(0, len(buffer), _STRIDE)
    ]
    return np.concatenate([*pieces, np.zeros(0, np.int64)])


def _chosen(lines: pa.Array, keep: NDArray[np.bool_], replaced: dict[int, bytes]) -> pa.Array:
    if replaced:
        binary = lines.cast(pa.large_binary())
        items = [
            replaced[i] if i in replaced else binary[i].as_py()
            for i in np.flatnonzero(keep).tolist()
        ]
        return pa.array(items, pa.large_binary()).cast(pa.large_string())
    if keep.all():
        return lines
    binary = lines.cast(pa.large_binary())
    return pc.filter(binary, pa.array(keep)).cast(pa.large_string())


def _is_utf8(lines: pa.Array) -> bool:
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _unprefixed(raw: bytes) -> bytes:
    """Return a line without marks and log prefix; empty if there is nothing in it.

    Prefixes are a byte order mark, a record separator (RFC 7464), ``data:`` of an event stream, or
    the time, host and stream that log shippers put before the JSON.
    """
    text = raw.strip(_MARKS)
    if text.startswith(codecs.BOM_UTF8):
        text = text[3:].strip(_MARKS)
    if not text or text[:1] in (b"{", b"["):
        return text
    at = text.find(b"{", 0, _PREFIX)
    if at > 0 and text.endswith(b"}") and b'"' not in text[:at]:
        return text[at:]
    return raw if len(text) != len(raw) else text
