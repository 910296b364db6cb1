"""The custody log: append-only canonical JSON, each entry carrying the hash of the one before.

A chain shows tampering after the fact by anyone who does not rewrite it whole; it cannot prove
that a log was true when it was collected.  The head hash is printed in every packet so that an
outside copy anchors it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irkit.case.clock import Clock
from irkit.errors import EvidenceMismatch, StorageError

#: ``prev`` of the first entry.
GENESIS = "0" * 64
#: Bytes read at once when looking for the last entry.
_TAIL = 64 << 10


def canonical(entry: Mapping[str, Any]) -> bytes:
    """Serialise an entry the one way that is hashed: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8")


@dataclass(frozen=True, slots=True)
class CustodyEntry:
    """One verified line of the log."""

    index: int
    at: str
    who: str
    action: str
    detail: Mapping[str, Any]
    prev: str
    hash: str


class CustodyLog:
    """Reads, appends to and verifies one ``custody.jsonl``."""

    def __init__(self, path: Path, clock: Clock, who: str, tool: str) -> None:
        self.path = path
        self._clock = clock
        self._who = who
        self._tool = tool

    def append(self, action: str, **detail: Any) -> str:
        """Write one entry durably and return its hash.

        Args:
            action: verb of the playbook or a reviewer's act, like ``preserve`` or ``reveal``.
            **detail: inputs, outputs, reasons; never an exposed value.

        Raises:
            StorageError: the log cannot be written.
            EvidenceMismatch: the log's last line is damaged, so nothing may be chained to it.
        """
        return self.append_all(action, [detail])

    def append_all(self, action: str, details: Sequence[Mapping[str, Any]]) -> str:
        """Write one entry per detail, all durable together; return the last hash.

        Raises:
            StorageError: the log cannot be written.
            EvidenceMismatch: the log's last line is damaged, so nothing may be chained to it.
        """
        last = self._last()
        index, digest = (0, GENESIS) if last is None else (last.index + 1, last.hash)
        lines: list[bytes] = []
        for detail in details:
            entry = {
                "action": action,
                "at": self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "detail": detail,
                "index": index,
                "prev": digest,
                "tool": self._tool,
                "who": self._who,
            }
            index, digest = index + 1, hashlib.sha256(canonical(entry)).hexdigest()
            lines.append(canonical({**entry, "hash": digest}) + b"\n")
        try:
            with self.path.open("ab") as stream:
                stream.write(b"".join(lines))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise StorageError(
                f"{self.path}: the custody log cannot be written: {error.strerror}",
                "free some space or check permissions; nothing was recorded",
            ) from error
        return digest

    def entries(self) -> Iterator[CustodyEntry]:
        """Yield every entry, checking the chain as it goes.

        Raises:
            EvidenceMismatch: an entry is damaged, missing or out of order.
        """
        prev = GENESIS
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            for index, line in enumerate(stream):
                entry = self._parse(line, index)
                if entry.prev != prev or entry.index != index:
                    raise EvidenceMismatch(
                        f"{self.path}: entry {index} does not follow the one before it",
                        "the log was cut or reordered after it was written",
                    )
                prev = entry.hash
                yield entry

    def verify(self) -> tuple[int, str]:
        """Check the whole chain; return the number of entries and the head hash."""
        count, head = 0, GENESIS
        for entry in self.entries():
            count, head = entry.index + 1, entry.hash
        return count, head

    def _last(self) -> CustodyEntry | None:
        """Return the last entry; only the end of the file is read, however long the log is."""
        try:
            with self.path.open("rb") as stream:
                at = stream.seek(0, os.SEEK_END)
                held = b""
                while at and held.count(b"\n", 0, -1) == 0:
                    step = min(at, _TAIL)
                    at -= step
                    stream.seek(at)
                    held = stream.read(step) + held
        except FileNotFoundError:
            return None
        lines = held.splitlines()
        if not lines:
            return None
        try:
            return self._parse(lines[-1], -1)
        except EvidenceMismatch:
            # Damaged: the whole log is read once, to say which entry it is.
            with self.path.open("rb") as stream:
                return self._parse(lines[-1], sum(1 for _ in stream) - 1)

    def _parse(self, line: bytes, index: int) -> CustodyEntry:
        try:
            data = json.loads(line)
            claimed = data.pop("hash")
            entry = CustodyEntry(
                data["index"],
                data["at"],
                data["who"],
                data["action"],
                data["detail"],
                data["prev"],
                claimed,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EvidenceMismatch(
                f"{self.path}: entry {index} is damaged",
                "compare with a copy of the log or with the head hash in a packet",
            ) from error
        if hashlib.sha256(canonical(data)).hexdigest() != claimed:
            raise EvidenceMismatch(
                f"{self.path}: entry {index} was changed after it was written",
                "compare with a copy of the log or with the head hash in a packet",
            )
        return entry
