"""Read whole objects (bodies of calls) out of preserved files and archives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from irkit.ingest.containers import Container
from irkit.ingest.entries import Chunk
from irkit.ingest.framing import SourceReader
from irkit.ingest.lines import transcode

#: Given the name of an object within its file, and its text.
Found = Callable[[tuple[str, str]], None]


@dataclass(slots=True)
class ObjectReader(SourceReader):
    """Goes through one file, and hands out the objects in it that are asked for, in order.

    Attributes:
        wanted: names within the archive; the empty name is the file itself.
        found: called once per wanted object that is text and not too large.
    """

    wanted: frozenset[str] = frozenset()
    found: Found | None = None
    _object: str = ""

    def collect(self) -> None:
        """Go through the file.

        Raises:
            StorageError: the file cannot be read.
        """
        for _ in self.chunks():
            pass

    def _content(self, pieces: Iterator[bytes], name: str, depth: int) -> Iterator[Chunk]:
        self._object = name
        yield from SourceReader._content(self, pieces, name, depth)

    def _whole(
        self, pieces: Iterator[bytes], container: Container, kind: str, name: str, depth: int
    ) -> Iterator[Chunk]:
        # Rows of a Parquet file are no objects.
        if container is Container.ZIP:
            yield from SourceReader._whole(self, pieces, container, kind, name, depth)
        for _ in pieces:
            pass

    def _text(self, raw: Iterator[bytes]) -> Iterator[Chunk]:
        self._take(self._object, raw)
        return iter(())

    def _take(self, name: str, raw: Iterator[bytes]) -> None:
        if name not in self.wanted:
            for _ in raw:
                pass
            return
        limit = self.settings.max_line_mb << 20
        data = bytearray()
        pieces = transcode(raw)
        for piece in pieces:
            if len(data) <= limit:
                data += piece
        if len(data) > limit:
            return
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return
        if self.found is not None:
            self.found((name, text))
