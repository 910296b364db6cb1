"""Decide by content how a file's bytes are cut into entries, and read it so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from irkit.case import Settings
from irkit.ingest import rows
from irkit.ingest.containers import ByteStream, Container, read_head
from irkit.ingest.documents import DocumentSplitter
from irkit.ingest.entries import RAW_CAP, Chunk, Reason, empty_chunk, reject
from irkit.ingest.lines import BLOCK, LineSplitter, transcode
from irkit.ingest.structure import Scanner

HEAD = 1 << 20
_BLANK = b" \t\r\n\x1e\xef\xbb\xbf"
_LINES = 200


class Framing(StrEnum):
    """How entries follow one another."""

    NDJSON = "ndjson"
    ARRAY = "json_array"
    DOCUMENTS = "json_documents"
    CSV = "csv"
    TEXT = "text"
    PARQUET = "parquet"
    EMPTY = "empty"
    NONE = "none"


def frame(head: bytes, *, complete: bool) -> Framing:
    """Return the framing that the first decompressed bytes show.

    Args:
        head: up to :data:`HEAD` bytes.
        complete: the bytes are the whole file.
    """
    text = head.lstrip(_BLANK)
    if not text:
        return Framing.EMPTY
    all_lines = text.split(b"\n")
    lines = all_lines if complete or len(all_lines) == 1 else all_lines[:-1]
    lines = [line.strip() for line in lines[:_LINES] if line.strip()]
    first = text[:1]
    if first == b"{":
        scanner = Scanner()
        scanner.feed(lines[0])
        if len(scanner.opens) > 1 and scanner.broken_at < 0:
            return Framing.DOCUMENTS
        if len(all_lines) == 1 and not complete:
            return Framing.NDJSON  # one line longer than the sample
        whole = sum(line.startswith(b"{") and line.endswith(b"}") for line in lines)
        return Framing.NDJSON if 2 * whole >= len(lines) else Framing.DOCUMENTS
    if first == b"[":
        arrays = sum(line.startswith(b"[") and line.endswith(b"]") for line in lines)
        many = len(lines) > 1 and 2 * arrays >= len(lines)
        return Framing.NDJSON if many else Framing.ARRAY
    if rows.header(text) is not None:
        return Framing.CSV
    return Framing.TEXT


@dataclass(slots=True)
class SourceReader:
    """Reads one file as chunks of entries.

    Attributes:
        source_id: the source.
        path: where its bytes lie.
        sha256: its hash from intake.
        settings: limits.
        container, framing: known once reading has begun.
        notes: what a reader of the case should know about this file.
    """

    source_id: int
    path: Path
    sha256: str
    settings: Settings
    container: Container = Container.PLAIN
    framing: Framing = Framing.NONE
    notes: tuple[str, ...] = ()
    _stream: ByteStream | None = None
    _last_entry: int = 0

    @property
    def consumed(self) -> int:
        """Bytes read from disk so far."""
        return self._stream.consumed if self._stream else 0

    def chunks(self) -> Iterator[Chunk]:
        """Yield all entries; the damage of a container comes last, as a quarantine row."""
        for chunk in self._chunks():
            numbers = [row.entry_no for row in chunk.rejects]
            top = int(chunk.entry_no[-1]) if len(chunk.entry_no) else 0
            self._last_entry = max([self._last_entry, top, *numbers])
            yield chunk
        damage = self._stream.damage if self._stream else None
        if damage is not None and self._stream is not None:
            produced = self._stream.produced
            words = f"{damage.text}; {produced:,} bytes were recovered"
            row = reject(
                *(self.source_id, self._last_entry + 1, produced, b""),
                *(Reason(damage.code), words),
            )
            self.notes += (words,)
            yield empty_chunk(self.source_id, [row])

    def _chunks(self) -> Iterator[Chunk]:
        stream = ByteStream(self.path, self.settings.max_expand_ratio)
        self._stream = stream
        self.container = stream.container
        if stream.container is Container.FOREIGN:
            head = read_head(self.path, RAW_CAP)
            yield rows.whole_file(self.source_id, self.path, self.sha256, stream.name, head)
            return
        if stream.container is Container.PARQUET:
            self.framing = Framing.PARQUET
            yield from rows.parquet_chunks(
                self.source_id, self.path, self.settings.max_expand_ratio
            )
            return
        pieces = transcode(iter(stream))
        head = b""
        for piece in pieces:
            head += piece
            if len(head) >= HEAD:
                break
        self.framing = frame(head[:HEAD], complete=stream_ended(head))

        def all_pieces() -> Iterator[bytes]:
            yield head
            yield from pieces

        yield from self._split(head, all_pieces())

    def _split(self, head: bytes, pieces: Iterator[bytes]) -> Iterator[Chunk]:
        limit = self.settings.max_line_mb << 20
        if self.framing in (Framing.ARRAY, Framing.DOCUMENTS):
            array = self.framing is Framing.ARRAY
            yield from DocumentSplitter(self.source_id, limit, array=array).split(pieces)
            return
        if self.framing is Framing.CSV:
            found = rows.header(head[:HEAD].lstrip(_BLANK))
            if found is not None:
                yield from rows.csv_chunks(self.source_id, pieces, *found)
                return
        yield from LineSplitter(self.source_id, limit, block=BLOCK).split(pieces)


def stream_ended(head: bytes) -> bool:
    """True where the sample was shorter than a full sample, so that it is the whole file."""
    return len(head) < HEAD
