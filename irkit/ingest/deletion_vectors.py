"""Which rows of a Delta data file are deleted: the deletion vectors of the Delta protocol.

A vector is a compressed bitmap of row numbers, in a file of its own or in the log itself.
Sources: Delta transaction log protocol, "Deletion Vectors" and "Deletion Vector Format"; Roaring
bitmap format specification (https://github.com/RoaringBitmap/RoaringFormatSpec).
"""

from __future__ import annotations

import base64
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

_MAGIC = 1681511377
_RUNS, _NO_RUNS = 12347, 12346
_NO_OFFSETS_BELOW = 4
#: The alphabet of ZeroMQ's base 85 (RFC 32/Z85) as Python's own base 85 knows it.
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_B85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_TO_B85 = str.maketrans(_Z85, _B85)


def vector_file(vector: Mapping[str, Any]) -> str:
    """Return the path, within the table, of the file that holds a vector; empty if inline.

    Raises:
        ValueError: the vector is of no known kind.
    """
    kind, text = vector.get("storageType"), str(vector.get("pathOrInlineDv") or "")
    if kind == "i":
        return ""
    if kind == "p":
        return text.replace("\\", "/").rpartition("/")[2]
    if kind != "u" or len(text) < 20:
        raise ValueError("unknown kind of deletion vector")
    name = f"deletion_vector_{uuid.UUID(bytes=_decoded(text[-20:]))}.bin"
    return f"{text[:-20]}/{name}" if len(text) > 20 else name


def read_vector(vector: Mapping[str, Any], path: Path | None) -> Rows:
    """Return the deleted row numbers, sorted.

    Args:
        vector: the descriptor from the log.
        path: the file that holds it; None where it is inline.

    Raises:
        ValueError: it is damaged.
        OSError: the file cannot be read.
    """
    size = int(vector.get("sizeInBytes") or 0)
    if path is None:
        data = _decoded(str(vector["pathOrInlineDv"]))[:size]
    else:
        with path.open("rb") as stream:
            stream.seek(int(vector.get("offset") or 0))
            stored = int.from_bytes(stream.read(4), "big")
            data = stream.read(stored)
            if stored != size or zlib.crc32(data) != int.from_bytes(stream.read(4), "big"):
                raise ValueError("the deletion vector's checksum does not fit")
    rows = decode(data)
    if len(rows) != int(vector.get("cardinality") or len(rows)):
        raise ValueError("the deletion vector's size does not fit")
    return rows


def _decoded(text: str) -> bytes:
    return base64.b85decode(text.translate(_TO_B85))


def decode(data: bytes) -> Rows:
    """Return the numbers in a 64-bit Roaring bitmap array (portable form).

    Raises:
        ValueError: it is damaged.
    """
    reader = _Reader(data)
    if reader.number(4) != _MAGIC:
        raise ValueError("not a deletion vector")
    parts: list[Rows] = []
    for _ in range(reader.count(8, len(data))):
        high = reader.number(4)
        parts += [low + (high << 32) for low in _bitmap(reader)]
    rows = np.concatenate([np.zeros(0, np.int64), *parts])
    return np.sort(rows)


def _bitmap(reader: _Reader) -> list[Rows]:
    cookie = reader.number(4)
    runs: NDArray[np.bool_]
    if cookie & 0xFFFF == _RUNS:
        size = (cookie >> 16) + 1
        flags = np.frombuffer(reader.take((size + 7) // 8), np.uint8)
        runs = np.unpackbits(flags, bitorder="little")[:size].astype(bool)
    elif cookie == _NO_RUNS:
        size = reader.count(4, 1 << 16)
        runs = np.zeros(size, bool)
    else:
        raise ValueError("not a Roaring bitmap")
    header = np.frombuffer(reader.take(4 * size), "<u2").reshape(size, 2).astype(np.int64)
    if cookie == _NO_RUNS or size >= _NO_OFFSETS_BELOW:
        reader.take(4 * size)
    return [
        _container(reader, bool(run), int(count) + 1) + (int(key) << 16)
        for (key, count), run in zip(header, runs, strict=True)
    ]


def _container(reader: _Reader, run: bool, count: int) -> Rows:
    if run:
        pairs = np.frombuffer(reader.take(4 * reader.number(2)), "<u2").reshape(-1, 2)
        spans = [np.arange(a, a + n + 1) for a, n in pairs.astype(np.int64)]
        return np.concatenate([np.zeros(0, np.int64), *spans])
    if count <= 4096:
        return np.frombuffer(reader.take(2 * count), "<u2").astype(np.int64)
    bits = np.unpackbits(np.frombuffer(reader.take(8192), np.uint8), bitorder="little")
    return np.flatnonzero(bits).astype(np.int64)


class _Reader:
    """Bytes read from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        piece = self._data[self._at : self._at + size]
        if len(piece) != size:
            raise ValueError("the deletion vector is cut")
        self._at += size
        return piece

    def number(self, size: int) -> int:
        """Return the next little-endian number."""
        return int.from_bytes(self.take(size), "little")

    def count(self, size: int, most: int) -> int:
        """Return the next number if it can be true."""
        found = self.number(size)
        if found > most:
            raise ValueError("the deletion vector is damaged")
        return found
