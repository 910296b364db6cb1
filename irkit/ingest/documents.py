"""Split arrays, pretty-printed and concatenated JSON into entries, in bounded memory."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Generator, Iterable, Iterator

from irkit.ingest.entries import (
    RAW_CAP,
    Chunk,
    Reason,
    Reject,
    chunk_of,
    empty_chunk,
    reject,
)
from irkit.ingest.lines import LineSplitter
from irkit.ingest.structure import Scanner

_BLOCK = 8 << 20
_GLUE = b" \t\r\n\x0b\x0c\x1e,"
#: After this many places where brackets do not match, the file is read line by line instead.
_MAX_FAULTS = 64
_MAX_REJECTS = 50_000


class DocumentSplitter:
    """Cut a stream of JSON values, or the elements of one array, into chunks.

    Scalars between values are entries too (they end in quarantine as ``not_object``), so that every
    byte but white space and commas belongs to an entry.

    Args:
        source_id: the source.
        max_entry: longest value kept, bytes.
        array: the stream is one array whose elements are the entries.
        block: bytes to collect before splitting.
    """

    def __init__(self, source_id: int, max_entry: int, *, array: bool, block: int = _BLOCK) -> None:
        self._source_id = source_id
        self._max_entry = max_entry
        self._array = array
        self._block = block
        self._entry = 1
        self._base = 0
        self._faults = 0

    def split(self, pieces: Iterable[bytes]) -> Iterator[Chunk]:
        """Yield chunks of values."""
        iterator = iter(pieces)
        held = bytearray()
        started = not self._array
        wanted = self._block
        for piece in iterator:
            if not self._base and not held and piece.startswith(codecs.BOM_UTF8):
                self._base = len(codecs.BOM_UTF8)
                piece = piece[self._base :]
            held += piece
            if not started and (text := held.lstrip(_GLUE)):
                # The outer bracket is not part of any entry.
                drop = len(held) - len(text) + 1
                del held[:drop]
                self._base += drop
                started = True
            if len(held) < wanted:
                continue
            done = yield from self._take(bytes(held))
            del held[:done]
            self._base += done
            # A value larger than a block is scanned again only once it has grown by half.
            wanted = max(self._block, len(held) * 3 // 2)
            if self._faults > _MAX_FAULTS:
                yield from self._by_lines(bytes(held), iterator)
                return
            if len(held) > self._max_entry:
                held = bytearray((yield from self._skip(bytes(held), iterator)))
        if held:
            done = yield from self._take(bytes(held))
            self._base += done
            yield from self._tail(bytes(held[done:]))

    def _take(self, data: bytes) -> Generator[Chunk, None, int]:
        """Yield the complete values at the front; return how many bytes they used."""
        position = 0
        while position < len(data):
            found = Scanner()
            found.feed(memoryview(data)[position:])
            broken = found.broken_at >= 0
            limit = position + found.broken_at if broken else len(data)
            ends = [close + 1 for close in found.closes]
            unclosed = found.opens[len(ends)] if len(found.opens) > len(ends) else limit - position
            starts = found.opens[: len(ends)]
            used = yield from self._emit(data, position, starts, ends, limit, unclosed)
            if not broken:
                return used
            # A closing bracket too many: the end of the array, or a fault.
            position = limit + 1
            if self._array and data[limit : limit + 1] == b"]":
                self._array = False
                continue
            self._faults += 1
            end = data.find(b"\n", limit)
            end = len(data) if end < 0 else end + 1
            row = reject(
                self._source_id,
                self._entry,
                self._base + limit,
                data[limit:end].rstrip(),
                Reason.BAD_JSON,
                "brackets do not match",
            )
            self._entry += 1
            yield empty_chunk(self._source_id, [row])
            position = end
            if self._faults > _MAX_FAULTS:
                return position
        return position

    def _emit(
        self, data: bytes, shift: int, starts: list[int], ends: list[int], limit: int, open_at: int
    ) -> Generator[Chunk, None, int]:
        """Yield values and the scalars between them; return the position up to which is done."""
        texts: list[bytes] = []
        numbers: list[int] = []
        offsets: list[int] = []
        at = shift
        for start, end in zip(starts, ends, strict=True):
            if data[at : shift + start].strip(_GLUE):
                yield from self._between(data, at, shift + start)
            texts.append(data[shift + start : shift + end])
            numbers.append(self._entry)
            offsets.append(self._base + shift + start)
            self._entry += 1
            at = shift + end
        whole = limit < len(data) or shift + open_at < limit
        stop = min(shift + open_at, limit)
        if whole and data[at:stop].strip(_GLUE):
            yield from self._between(data, at, stop)
            at = stop
        if texts:
            yield chunk_of(self._source_id, texts, numbers, offsets)
        return at if not whole else stop

    def _between(self, data: bytes, start: int, stop: int) -> Iterator[Chunk]:
        """Set aside scalars, or words that are no JSON: each comma-separated piece is an entry."""
        rejects: list[Reject] = []
        while start < stop:
            comma = data.find(b",", start, stop)
            end = stop if comma < 0 else comma
            part = data[start:end]
            word = part.strip(_GLUE)
            if word:
                begin = self._base + start + part.find(word)
                rejects.append(reject(self._source_id, self._entry, begin, word, *_scalar(word)))
                self._entry += 1
            start = end + 1
            if len(rejects) >= _MAX_REJECTS:
                yield empty_chunk(self._source_id, rejects)
                rejects = []
        if rejects:
            yield empty_chunk(self._source_id, rejects)

    def _tail(self, data: bytes) -> Iterator[Chunk]:
        """Account for what is left at the end: a cut value, or a lost bracket before whole ones."""
        text = data.strip(_GLUE)
        if not text:
            return
        if self._array and text in (b"]", b"]]"):
            return
        lines = text.split(b"\n")
        whole = sum(1 for line in lines if _looks_whole(line))
        if len(lines) > 1 and whole > 0:
            yield from self._by_lines(data, iter(()))
            return
        offset = self._base + data.find(text)
        code, words = Reason.TRUNCATED_TAIL, "the file ends inside this value"
        if not text.startswith((b"{", b"[")):
            code, words = _scalar(text)
        yield empty_chunk(
            self._source_id, [reject(self._source_id, self._entry, offset, text, code, words)]
        )
        self._entry += 1

    def _by_lines(self, head: bytes, pieces: Iterator[bytes]) -> Iterator[Chunk]:
        splitter = LineSplitter(
            self._source_id, self._max_entry, first_entry=self._entry, base=self._base
        )

        def rest() -> Iterator[bytes]:
            if head:
                yield head
            yield from pieces

        yield from splitter.split(rest())

    def _skip(self, head: bytes, pieces: Iterator[bytes]) -> Generator[Chunk, None, bytes]:
        """Hash an overlong value to its end without keeping it; return the bytes after it."""
        start = len(head) - len(head.lstrip(_GLUE))
        digest, scanner = hashlib.sha256(), Scanner()
        data, length, rest = head[start:], 0, b""
        while True:
            scanner.feed(data)
            end = scanner.closes[0] + 1 - length if scanner.closes else len(data)
            digest.update(data[:end])
            length += end
            if scanner.closes:
                rest = data[end:]
                break
            try:
                data = next(pieces)
            except StopIteration:
                break
        row = Reject(
            *(self._source_id, self._entry, self._base + start, length, digest.hexdigest()),
            *(Reason.TOO_LARGE, f"value of {length:,} bytes exceeds the limit"),
            head[start : start + RAW_CAP],
        )
        self._entry += 1
        self._base += start + length
        yield empty_chunk(self._source_id, [row])
        return rest


def _looks_whole(line: bytes) -> bool:
    text = line.strip(_GLUE)
    return text.startswith(b"{") and text.endswith(b"}")


def _scalar(word: bytes) -> tuple[Reason, str]:
    if word in (b"true", b"false", b"null") or word[:1] in b'"-0123456789':
        return Reason.NOT_OBJECT, "a bare value where an object was expected"
    return Reason.BAD_JSON, "neither JSON nor a line of a known log"
