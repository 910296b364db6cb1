"""Decide by content how a file's bytes are cut into entries, and read it so."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from irkit.case import Settings
from irkit.ingest import rows
from irkit.ingest.archives import (
    MAX_DEPTH,
    MAX_MEMBERS,
    Budget,
    Member,
    pieces_of,
    tar_members,
    zip_members,
)
from irkit.ingest.containers import (
    BOMB_FLOOR,
    MAX_WHOLE,
    PIECE,
    ByteStream,
    Container,
    Damage,
    advice,
    read_head,
    sniff,
)
from irkit.ingest.delta import TableFile
from irkit.ingest.documents import DocumentSplitter
from irkit.ingest.entries import RAW_CAP, Chunk, Reason, empty_chunk, reject
from irkit.ingest.lines import BLOCK, LineSplitter, transcode
from irkit.ingest.streams import StreamSplitter, looks_like_stream
from irkit.ingest.structure import Scanner

HEAD = 1 << 20
_BLANK = b" \t\r\n\x1e\xef\xbb\xbf"
_LINES = 200
_SNIFF = 512


class Framing(StrEnum):
    """How entries follow one another."""

    NDJSON = "ndjson"
    ARRAY = "json_array"
    DOCUMENTS = "json_documents"
    STREAM = "event_stream"
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
    if first in b"{d:ei" and looks_like_stream(lines):
        return Framing.STREAM
    if first == b"{":
        if not _is_one_value(lines[0]):
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


def _is_one_value(line: bytes) -> bool:
    """True where a line is exactly one JSON value; False says nothing.

    It spares small files, of which an archive may hold millions, the set-up of the scanner.
    """
    try:
        json.loads(line.decode())
    except (ValueError, RecursionError):
        return False
    return True


#: Names of archive members kept per source; how many there were is kept for all.
MAX_LISTED = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """One member of an archive: its label, and the entries of the source that it holds."""

    name: str
    first_entry: int
    entries: int


@dataclass(slots=True)
class SourceReader:
    """Reads one file as chunks of entries; an archive's members follow one another.

    Entries of an archive are numbered on from member to member, while their byte offset counts
    within the member; :attr:`parts` says which entries are whose.

    Attributes:
        source_id: the source.
        path: where its bytes lie.
        sha256: its hash from intake.
        settings: limits.
        container, framing: known once reading has begun; the framing of the first member.
        notes: what a reader of the case should know about this file.
        parts: members of an archive, the first :data:`MAX_LISTED`.
        members: their number.
        table: what a Delta table's log says of the file, if it is part of one.
        damaged: not everything in the file could be read out of its container.
    """

    source_id: int
    path: Path
    sha256: str
    settings: Settings
    container: Container = Container.PLAIN
    framing: Framing = Framing.NONE
    notes: tuple[str, ...] = ()
    parts: list[Part] = field(default_factory=list)
    members: int = 0
    damaged: bool = False
    table: TableFile | None = None
    _stream: ByteStream | None = None
    _last_entry: int = 0
    _base: int = 0
    _budget: Budget | None = None

    @property
    def consumed(self) -> int:
        """Bytes read from disk so far."""
        return self._stream.consumed if self._stream else 0

    @property
    def kind(self) -> str | None:
        """What a file without log entries is to its Delta table."""
        skipped = self.table is not None and self.table.kind in ("delta_log", "delta_removed")
        return self.table.kind if self.table is not None and skipped else None

    def chunks(self) -> Iterator[Chunk]:
        """Yield all entries; the damage of a container comes last, as a quarantine row."""
        for chunk in self._chunks():
            if self._base:
                chunk.entry_no = chunk.entry_no + self._base
                chunk.rejects = [
                    replace(row, entry_no=row.entry_no + self._base) for row in chunk.rejects
                ]
            numbers = [row.entry_no for row in chunk.rejects]
            top = int(chunk.entry_no[-1]) if len(chunk.entry_no) else 0
            self._last_entry = max([self._last_entry, top, *numbers])
            yield chunk
        if self.members:
            self.notes += (f"archive of {self.members:,} members",)
        damage = self._stream.damage if self._stream else None
        if damage is not None and self._stream is not None:
            words = f"{damage.text}; {self._stream.produced:,} bytes were recovered"
            self.notes += (words,)
            self._base = 0
            yield self._set_aside(damage, words, self._last_entry + 1, self._stream.produced)

    def _chunks(self) -> Iterator[Chunk]:
        ratio = self.settings.max_expand_ratio
        stream = ByteStream(self.path, ratio)
        self._stream = stream
        self._budget = Budget(max(BOMB_FLOOR, ratio * self.path.stat().st_size))
        self.container = stream.container
        if self.table is not None and self.table.note:
            self.notes += (self.table.note,)
        if self.table is not None and self.table.kind != "delta_live":
            if self.table.kind == "delta_refused":
                refused = Damage("unknown_format", self.table.note)
                yield self._set_aside(refused, self.table.note)
            return
        if stream.container is Container.FOREIGN:
            head = read_head(self.path, RAW_CAP)
            yield rows.whole_file(self.source_id, self.path, self.sha256, stream.name, head)
        elif stream.container is Container.PARQUET:
            self.framing = Framing.PARQUET
            yield from rows.parquet_chunks(self.source_id, self.path, ratio, self.table)
        elif stream.container is Container.ZIP:
            yield from self._archive(zip_members(self.path), "", 1)
        else:
            yield from self._content(iter(stream), "", 0)

    # -- containers within containers -----------------------------------------------------------

    def _content(self, pieces: Iterator[bytes], name: str, depth: int) -> Iterator[Chunk]:
        """Read bytes that came out of a container, whatever they are."""
        head = b""
        for piece in pieces:
            head += piece
            if len(head) >= _SNIFF:
                break
        container, kind = sniff(head)
        whole = itertools.chain([head], pieces)
        if container is Container.PLAIN:
            yield from self._text(whole)
            return
        if depth >= MAX_DEPTH:
            words = f"archives inside archives, more than {MAX_DEPTH} deep; not read"
            yield self._set_aside(Damage("too_deep", words), words)
            for _ in whole:
                pass
            return
        if container is Container.FOREIGN:
            words = f"{kind}: {advice(kind)}"
            yield self._set_aside(Damage("unknown_format", words), words, raw=head)
            for _ in whole:
                pass
        elif container is Container.TAR:
            if not depth:
                self.container = self.container if self._compressed else container
            stream = io.BufferedReader(rows.Pieces(whole), PIECE)
            yield from self._archive(tar_members(stream), name, depth + 1)
        elif container in (Container.ZIP, Container.PARQUET):
            yield from self._whole(whole, container, kind, name, depth)
        else:
            inner = ByteStream(
                self.path,
                self.settings.max_expand_ratio,
                io.BufferedReader(rows.Pieces(whole), PIECE),
            )
            yield from self._content(self._metered(inner), name, depth + 1)
            if inner.damage is not None:
                yield self._set_aside(inner.damage, inner.damage.text, self._next_entry)

    @property
    def _compressed(self) -> bool:
        return self.container not in (Container.PLAIN, Container.TAR)

    @property
    def _next_entry(self) -> int:
        """Number of a row after all that were read, counted within the current member."""
        return self._last_entry + 1 - self._base

    def _metered(self, stream: ByteStream) -> Iterator[bytes]:
        budget = self._budget
        for piece in stream:
            if budget is not None:
                budget.spent += len(piece)
                if budget.exhausted:
                    stream.damage = Damage("bomb", "the file expands too far; reading stopped")
                    return
            yield piece

    def _archive(self, members: Iterator[Member], name: str, depth: int) -> Iterator[Chunk]:
        """Read an archive's members one after the other."""
        budget = self._budget or Budget(BOMB_FLOOR)
        for number, member in enumerate(members):
            if budget.exhausted:
                return
            full = f"{name}{member.name}" if not name else f"{name}!/{member.name}"
            if number >= MAX_MEMBERS:
                words = f"more than {MAX_MEMBERS:,} members; the rest was not read"
                self._base = self._last_entry
                yield self._set_aside(Damage("bomb", words), words)
                return
            self._base = first = self._last_entry
            before = self.members
            if member.damage is None:
                yield from self._content(pieces_of(member, budget), full, depth)
            if member.damage is not None:
                words = (
                    f"{member.name}: {member.damage.text}" if member.name else (member.damage.text)
                )
                yield self._set_aside(member.damage, words, self._next_entry)
            # An archive inside the archive is told by what it held.
            if not member.name or self.members > before:
                continue
            self.members += 1
            if len(self.parts) < MAX_LISTED:
                self.parts.append(Part(full, first + 1, self._last_entry - first))

    def _whole(
        self, pieces: Iterator[bytes], container: Container, kind: str, name: str, depth: int
    ) -> Iterator[Chunk]:
        """Read a part that needs seeking, from memory."""
        data = bytearray()
        for piece in pieces:
            data += piece
            if len(data) > MAX_WHOLE:
                break
        if len(data) > MAX_WHOLE:
            words = f"{kind} too large to be read inside an archive; unpack it first"
            yield self._set_aside(Damage("too_large", words), words)
            for _ in pieces:
                pass
        elif container is Container.ZIP:
            yield from self._archive(zip_members(io.BytesIO(data)), name, depth + 1)
        else:
            self._framed(Framing.PARQUET)
            yield from rows.parquet_chunks(
                self.source_id, io.BytesIO(data), self.settings.max_expand_ratio
            )

    def _set_aside(
        self, damage: Damage, words: str, entry: int = 1, offset: int = 0, raw: bytes = b""
    ) -> Chunk:
        """Return the quarantine row of a part that cannot be read."""
        self.damaged = True
        row = reject(self.source_id, entry, offset, raw, Reason(damage.code), words)
        return empty_chunk(self.source_id, [row])

    # -- text -----------------------------------------------------------------------------------

    def _framed(self, framing: Framing) -> None:
        if self.framing is Framing.NONE:
            self.framing = framing

    def _text(self, raw: Iterator[bytes]) -> Iterator[Chunk]:
        pieces = transcode(raw)
        head = b""
        for piece in pieces:
            head += piece
            if len(head) >= HEAD:
                break
        framing = frame(head[:HEAD], complete=stream_ended(head))
        self._framed(framing)
        yield from self._split(framing, head, itertools.chain([head], pieces))

    def _split(self, framing: Framing, head: bytes, pieces: Iterator[bytes]) -> Iterator[Chunk]:
        limit = self.settings.max_line_mb << 20
        if framing in (Framing.ARRAY, Framing.DOCUMENTS):
            array = framing is Framing.ARRAY
            yield from DocumentSplitter(self.source_id, limit, array=array).split(pieces)
            return
        if framing is Framing.STREAM:
            yield from StreamSplitter(self.source_id, limit).split(pieces)
            return
        if framing is Framing.CSV:
            found = rows.header(head[:HEAD].lstrip(_BLANK))
            if found is not None:
                yield from rows.csv_chunks(self.source_id, pieces, *found)
                return
        yield from LineSplitter(self.source_id, limit, block=BLOCK).split(pieces)


def stream_ended(head: bytes) -> bool:
    """True where the sample was shorter than a full sample, so that it is the whole file."""
    return len(head) < HEAD
