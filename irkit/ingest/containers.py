"""Open evidence files by content: plain, gzip, zstd, bzip2, xz, tar, zip, Parquet.

Names prove nothing (``.json.gz`` without gzip and gzip without suffix both occur), so the first
bytes decide.  Decompression is bounded on both sides: output comes in pieces of at most
:data:`PIECE` bytes, and a file that expands beyond the allowed ratio is cut and marked.  A damaged
file yields everything that could be decompressed before the damage.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from irkit.errors import StorageError

#: Largest piece of decompressed bytes handed on at once.  Memory of this size is used again, while
#: pieces of a megabyte or more would come fresh from the system, one page fault per 4 KiB.
PIECE = 512 << 10
_READ = 1 << 20
#: A part of an archive that can only be read as a whole (zip, Parquet, zstd in it), bytes.
MAX_WHOLE = 256 << 20
#: Below this a high ratio is no danger, and small files of repeated lines reach any ratio.
BOMB_FLOOR = 64 << 20
_XZ_MEMORY = 128 << 20
_ZSTD_WINDOW = 1 << 27


class Container(StrEnum):
    """What wraps the log's bytes."""

    PLAIN = "plain"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"
    TAR = "tar"
    ZIP = "zip"
    PARQUET = "parquet"
    #: A kind of file that holds no log by itself (archive, database, image).
    FOREIGN = "foreign"


#: Kinds of files that are not read, and what to do with those that may hold a log.
_ADVICE = {
    "image": "no log",
    "program": "no log",
    "PDF document": "no log",
    "Avro file": "not read; convert it to Parquet or JSON and preserve that too",
    "Arrow file": "not read; convert it to Parquet and preserve that too",
    # A database file is a program's input: its engine, not a log reader, should open it.
    "SQLite database": (
        "not read; export its tables as JSON or CSV (PyRIT exports its memory as JSON) and preserve"
        " those too"
    ),
    "DuckDB database": "not read; export its tables as JSON or Parquet and preserve those too",
    "PostgreSQL custom dump": (
        "not read; restore it, export the log's tables as JSON or CSV and preserve those too"
    ),
    "OTLP in protobuf": (
        "not read; convert it to OTLP in JSON (OpenTelemetry Collector, file exporter, format json)"
        " and preserve that too"
    ),
}


def advice(kind: str) -> str:
    """Return what to say of a file that is not read."""
    return _ADVICE.get(kind, "unpack it and preserve what it holds")


_MAGIC: tuple[tuple[bytes, Container, str], ...] = (
    (b"\x1f\x8b", Container.GZIP, "gzip"),
    (b"\x28\xb5\x2f\xfd", Container.ZSTD, "zstd"),
    (b"BZh", Container.BZIP2, "bzip2"),
    (b"\xfd7zXZ\x00", Container.XZ, "xz"),
    (b"PAR1", Container.PARQUET, "Parquet"),
    (b"PK\x03\x04", Container.ZIP, "zip archive"),
    (b"PK\x05\x06", Container.ZIP, "zip archive"),
    (b"Obj\x01", Container.FOREIGN, "Avro file"),
    (b"SQLite format 3\x00", Container.FOREIGN, "SQLite database"),
    (b"ARROW1", Container.FOREIGN, "Arrow file"),
    (b"7z\xbc\xaf\x27\x1c", Container.FOREIGN, "7z archive"),
    (b"%PDF-", Container.FOREIGN, "PDF document"),
    (b"\x89PNG", Container.FOREIGN, "image"),
    (b"\x7fELF", Container.FOREIGN, "program"),
    (b"PGDMP", Container.FOREIGN, "PostgreSQL custom dump"),
)


_COMPRESSED = (Container.GZIP, Container.ZSTD, Container.BZIP2, Container.XZ)


@dataclass(frozen=True, slots=True)
class Damage:
    """Why a container could not be read to its end: a reason code and a sentence."""

    code: str
    text: str


#: Field 1 (resource spans, logs or metrics) holds field 1 (resource), which holds field 1 (first
#: attribute), which holds field 1 (its key, such as service.name) and field 2 (its value): each a
#: tag byte and a length.  Streams put the length of each message first.
#: Source: opentelemetry-proto, ``common/v1/common.proto`` and ``trace/v1/trace.proto``.
_OTLP = re.compile(
    rb"(?:|\0\0[\0-\xff]{2}|[\x80-\xff]{0,3}[\x01-\x7f])"
    rb"(?:\x0a[\x80-\xff]{0,3}[\0-\x7f]){3}\x0a[\x03-\x40][a-z][a-z0-9._]{2,63}\x12"
)


def sniff(head: bytes) -> tuple[Container, str]:
    """Return the container that the first bytes (512 are enough) name, and what to call it."""
    for magic, container, name in _MAGIC:
        if head.startswith(magic):
            return container, name
    if head[257:262] == b"ustar":
        return Container.TAR, "tar archive"
    if head[8:12] == b"DUCK":
        return Container.FOREIGN, "DuckDB database"
    if _OTLP.match(head):
        return Container.FOREIGN, "OTLP in protobuf"
    return Container.PLAIN, "plain"


def read_head(path: Path, size: int = 512) -> bytes:
    """Return the first bytes of a file.

    Raises:
        StorageError: the file cannot be read.
    """
    with open_file(path) as stream:
        return stream.read(size)


def open_file(path: Path) -> BinaryIO:
    """Open evidence for reading.

    Raises:
        StorageError: the file cannot be opened.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageError(
            f"{path.name}: preserved evidence cannot be read: {error.strerror}",
            "restore the file, or check its permissions",
        ) from error


class ByteStream:
    """The decompressed bytes of one file, in pieces, with what went wrong at the end.

    Args:
        path: the file.
        max_ratio: decompressed over compressed bytes above which reading stops.
        inner: read these bytes, which came out of the file, instead of the file itself.

    Attributes:
        container: outermost container.
        consumed: bytes read from disk so far (for progress).
        produced: bytes handed out so far.
        damage: set once the stream ended early.
    """

    def __init__(self, path: Path, max_ratio: int, inner: io.BufferedReader | None = None) -> None:
        self.path = path
        self._inner = inner
        self.consumed = 0
        self.produced = 0
        self.damage: Damage | None = None
        self._max_ratio = max_ratio
        self.container, self.name = sniff(inner.peek(512) if inner else read_head(path))

    def __iter__(self) -> Iterator[bytes]:
        with self._inner or open_file(self.path) as stream:
            for piece in self._pieces(stream):
                self.produced += len(piece)
                yield piece
                if (
                    self.produced > BOMB_FLOOR
                    and self.container in _COMPRESSED
                    and self.produced > self._max_ratio * max(self.consumed, 1)
                ):
                    self.damage = Damage(
                        "bomb", f"expands more than {self._max_ratio}-fold; reading was stopped"
                    )
                    return

    def _pieces(self, stream: BinaryIO) -> Iterator[bytes]:
        if self.container is Container.GZIP:
            yield from self._members(stream, lambda: _Gzip())
        elif self.container is Container.BZIP2:
            yield from self._members(stream, bz2.BZ2Decompressor)
        elif self.container is Container.XZ:
            yield from self._members(stream, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY))
        elif self.container is Container.ZSTD:
            yield from self._zstd(stream)
        else:
            while piece := stream.read(PIECE):
                self.consumed += len(piece)
                yield piece

    def _members(self, stream: BinaryIO, make: Callable[[], Decompressor]) -> Iterator[bytes]:
        """Decompress concatenated members; what follows the last one is reported, not guessed."""
        engine = make()
        fresh = True
        raw = b""
        while True:
            more = stream.read(_READ)
            self.consumed += len(more)
            raw += more
            if not raw:
                break
            try:
                while raw:
                    out = engine.decompress(raw, PIECE)
                    fresh = False
                    raw = b""
                    while out:
                        yield out
                        if engine.eof or engine.needs_input:
                            break
                        out = engine.decompress(b"", PIECE)
                    if not engine.eof:
                        continue
                    raw = engine.unused_data.lstrip(b"\x00")
                    engine, fresh = make(), True
                    if raw and len(raw) < 6 and more:
                        break  # a member's magic may be split over two reads
                    if raw and sniff(raw)[0] is not self.container:
                        self.damage = Damage(
                            "truncated_container",
                            f"bytes after the last {self.name} member are not {self.name}",
                        )
                        return
            except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
                self.damage = Damage(
                    "truncated_container", f"{self.name} data is damaged; the rest is unreadable"
                )
                return
            if not more:
                break
        if not fresh or raw:
            self.damage = Damage(
                "truncated_container", f"{self.name} data ends in the middle of a member"
            )

    def _zstd(self, stream: BinaryIO) -> Iterator[bytes]:
        if self._inner is not None:
            # Whether the last frame is whole can be told only by looking twice.
            whole = stream.read(MAX_WHOLE + 1)
            if len(whole) > MAX_WHOLE:
                words = "a zstd file too large to be read inside an archive; unpack it first"
                self.damage = Damage("too_large", words)
                return
            stream = io.BytesIO(whole)
        engine = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        reader = engine.stream_reader(stream, read_size=_READ, read_across_frames=True)
        try:
            while piece := reader.read(PIECE):
                self.consumed = stream.tell()
                yield piece
        except (zstandard.ZstdError, EOFError, ValueError):
            self.damage = Damage(
                "truncated_container", "zstd data is damaged; the rest is unreadable"
            )
            return
        if not _zstd_complete(stream):
            self.damage = Damage("truncated_container", "zstd data ends in the middle of a frame")


class Decompressor(Protocol):
    """The interface that bz2 and lzma share."""

    @property
    def eof(self) -> bool:
        """Whether the end of the member was reached."""

    @property
    def unused_data(self) -> bytes:
        """What follows the member."""

    @property
    def needs_input(self) -> bool:
        """Whether all given input has been used."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return at most ``max_length`` decompressed bytes."""


class _Gzip:
    """zlib's gzip mode behind the interface of bz2 and lzma."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max_length)


def _zstd_complete(stream: BinaryIO) -> bool:
    """Walk frames and blocks by their headers: does the file end where a frame ends?

    The decoder itself cannot tell a cut file from a finished one at a block boundary.
    Source: RFC 8878, sections 3.1.1 and 3.1.2.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    while stream.tell() < size:
        magic = stream.read(4)
        if len(magic) < 4:
            return False
        if 0x184D2A50 <= int.from_bytes(magic, "little") <= 0x184D2A5F:
            length = stream.read(4)
            stream.seek(int.from_bytes(length, "little"), 1)
            if len(length) < 4 or stream.tell() > size:
                return False
            continue
        if magic != b"\x28\xb5\x2f\xfd":
            return False
        descriptor = stream.read(1)
        if not descriptor:
            return False
        flags = descriptor[0]
        single, checksum = bool(flags & 0x20), bool(flags & 0x04)
        content = (1 if single else 0, 2, 4, 8)[flags >> 6]
        stream.seek((0 if single else 1) + (0, 1, 2, 4)[flags & 3] + content, 1)
        last = False
        while not last:
            header = stream.read(3)
            if len(header) < 3:
                return False
            value = int.from_bytes(header, "little")
            last, kind, length_ = bool(value & 1), (value >> 1) & 3, value >> 3
            stream.seek(1 if kind == 1 else length_, 1)
        stream.seek(4 if checksum else 0, 1)
        if stream.tell() > size:
            return False
    return True
