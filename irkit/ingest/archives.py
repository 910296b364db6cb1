"""Walk tar and zip archives member by member, in order, without unpacking anything to disk.

Names inside an archive are only labels: nothing is ever written under them, so ``../`` or an
absolute name can do no harm.  Links, devices and directories hold no log and are skipped.  What is
read is bounded by :class:`Budget`, by :data:`MAX_DEPTH` levels of archives inside archives, and by
:data:`MAX_MEMBERS` members.
"""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from irkit.ingest.containers import PIECE, Damage

MAX_DEPTH = 4
MAX_MEMBERS = 2_000_000
#: Longest extended header (long name) that is read, bytes.
_MAX_HEADER = 1 << 20
_MAX_LABEL = 512
_BLOCK = 512

_READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)


class Budget:
    """How many bytes a file may still expand to, all nesting together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.spent = 0

    @property
    def exhausted(self) -> bool:
        """True once more came out than is allowed."""
        return self.spent > self.limit


@dataclass(slots=True)
class Member:
    """One regular file in an archive; read ``stream`` before asking for the next.

    Attributes:
        name: label, made printable and cut.
        stream: its bytes.
        damage: why nothing, or not all of it, can be read.
    """

    name: str
    stream: BinaryIO
    damage: Damage | None = None


def label(name: str) -> str:
    """Return a member's name without control characters, cut at a length that no path needs."""
    return "".join(ch if ch.isprintable() else "?" for ch in name)[:_MAX_LABEL]


class _Section(io.RawIOBase):
    """The next ``size`` bytes of a stream."""

    def __init__(self, base: BinaryIO, size: int) -> None:
        self._base = base
        self.left = size
        self.cut = False

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        piece = self._base.read(min(len(target), self.left))
        self.left -= len(piece)
        if not piece and self.left:
            self.cut = True
        target[: len(piece)] = piece
        return len(piece)

    def skip(self) -> None:
        """Read to the end of the section."""
        while self.left > 0:
            piece = self._base.read(min(PIECE, self.left))
            if not piece:
                self.cut = True
                return
            self.left -= len(piece)


def tar_members(stream: BinaryIO) -> Iterator[Member]:
    """Yield the regular files of a tar stream (POSIX ustar and pax, GNU long names)."""
    extended: dict[str, str] = {}
    empty = io.BytesIO()
    while True:
        block = stream.read(_BLOCK)
        if not block:
            yield Member("", empty, _cut("the tar archive has no end mark"))
            return
        if len(block) < _BLOCK:
            yield Member("", empty, _cut("the tar archive ends inside a header"))
            return
        if block == bytes(_BLOCK):
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
        except tarfile.HeaderError:
            yield Member("", empty, _cut("a tar header is damaged; the rest is unreadable"))
            return
        size = max(0, info.size)
        if info.type in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
            body = stream.read(min(size, _MAX_HEADER))
            section = _Section(stream, size - len(body) + -size % _BLOCK)
            section.skip()
            if info.type == tarfile.XHDTYPE:
                extended |= _pax(body)
            else:
                extended["path"] = body.rstrip(b"\0").decode("utf-8", "backslashreplace")
            continue
        if not info.isreg() or info.type == tarfile.GNUTYPE_SPARSE:
            name = label(extended.pop("path", info.name))
            extended.clear()
            holds = size if info.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_SPARSE) else 0
            _Section(stream, holds + -holds % _BLOCK).skip()
            if info.type == tarfile.GNUTYPE_SPARSE:
                yield Member(name, empty, Damage("unknown_format", "sparse file; not read"))
            continue
        if (declared := extended.get("size", "")).isdigit() and len(declared) < 19:
            size = int(declared)
        section = _Section(stream, size)
        member = Member(
            label(extended.get("path", info.name)),
            io.BufferedReader(section, max(512, min(size, PIECE))),
        )
        extended = {}
        yield member
        section.skip()
        if section.cut:
            yield Member("", empty, _cut("the tar archive ends inside a member"))
            return
        _Section(stream, -size % _BLOCK).skip()


def _cut(words: str) -> Damage:
    return Damage("truncated_container", words)


def _pax(body: bytes) -> dict[str, str]:
    """Return the path and size that a pax header gives; a broken header gives nothing."""
    found: dict[str, str] = {}
    while body:
        length, _, _rest = body.partition(b" ")
        if not length.isdigit() or len(length) > 9 or not 0 < int(length) <= len(body):
            return found
        record, body = body[len(length) + 1 : int(length) - 1], body[int(length) :]
        key, _, value = record.partition(b"=")
        if key in (b"path", b"size"):
            found[key.decode()] = value.decode("utf-8", "backslashreplace")
    return found


def zip_members(source: Path | io.BytesIO) -> Iterator[Member]:
    """Yield the files of a zip archive in the order of its directory."""
    empty = io.BytesIO()
    try:
        archive = zipfile.ZipFile(source)
    except (*_READ_ERRORS, ValueError, NotImplementedError):
        yield Member("", empty, _cut("the zip archive's directory is damaged; nothing was read"))
        return
    with archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            name = label(info.filename)
            if info.flag_bits & 0x1:
                words = "encrypted in the zip archive; decrypt it and preserve what it holds"
                yield Member(name, empty, Damage("encrypted", words))
                continue
            try:
                opened = archive.open(info)
            except (*_READ_ERRORS, NotImplementedError, ValueError):
                words = "the zip archive does not let this member be read"
                yield Member(name, empty, _cut(words))
                continue
            with opened:
                yield Member(name, opened)  # type: ignore[arg-type]


def pieces_of(member: Member, budget: Budget) -> Iterator[bytes]:
    """Yield a member's bytes; sets its ``damage`` where they end early."""
    try:
        while piece := member.stream.read(PIECE):
            budget.spent += len(piece)
            if budget.exhausted:
                member.damage = Damage(
                    "bomb", f"the file expands to more than {budget.limit:,} bytes; reading stopped"
                )
                return
            yield piece
    except (*_READ_ERRORS, ValueError):
        member.damage = _cut("the member is damaged; the rest of it is unreadable")
