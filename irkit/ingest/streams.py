"""Put recorded answer streams together: one entry per answer instead of one per token.

A transcript of server-sent events holds an answer in hundreds of lines.  Chunks that carry an id
(OpenAI and compatible servers) are grouped by it, even where several answers are interleaved;
events without one (Anthropic, the Responses API, Gemini) follow one another, and are grouped from
the event that opens an answer to the one that closes it.  Everything else in the file stays an
entry of its own.

Sources: WHATWG HTML, section 9.2 (server-sent events); OpenAI API reference, "Streaming"; Anthropic
API reference, "Streaming Messages"; Gemini API reference, streamGenerateContent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from irkit.ingest.entries import (
    RAW_CAP,
    Chunk,
    Reason,
    Reject,
    empty_chunk,
    reject,
    rows_of,
)

_BLANK = b" \t\r\n\x0b\x0c\x1e\xef\xbb\xbf"
_FIELDS = (b"event:", b"id:", b"retry:", b":")
#: Answers that are open at once; more are closed in the order in which they began.
_MAX_OPEN = 256
_BLOCK = 4 << 20

_OPENING = ("message_start", "response.created")
_CLOSING = (
    *("message_stop", "response.completed", "response.incomplete", "response.failed"),
    "response.cancelled",
)
_EVENTS = ("message_", "content_block_", "response.")


def looks_like_stream(lines: list[bytes]) -> bool:
    """Tell from the first lines of a file whether it is a transcript of streams.

    Args:
        lines: lines without surrounding white space, none empty.
    """
    fields = sum(line.startswith((b"data:", *_FIELDS)) for line in lines)
    chunks = sum(line.startswith(b"{") and b'"chat.completion.chunk"' in line for line in lines)
    return (fields == len(lines) and any(line.startswith(b"data:") for line in lines)) or (
        2 * chunks > len(lines)
    )


@dataclass(slots=True)
class _Answer:
    """An answer whose end has not been read yet."""

    entry_no: int
    offset: int
    end: int
    events: list[Any] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    size: int = 0
    ended: bool = False

    def add(self, event: Any, line: bytes, end: int) -> None:
        self.events.append(event)
        self.note(line, end)

    def note(self, line: bytes, end: int) -> None:
        """Keep a line that belongs to the answer, and is no event."""
        self.raw.append(line)
        self.size += len(line)
        self.end = end

    def text(self) -> bytes:
        """Return the answer as one JSON object."""
        last = self.events[-1] if isinstance(self.events[-1], dict) else {}
        final = last.get("response") if str(last.get("type")).startswith("response.") else None
        usage = [
            event["usage"]
            for event in self.events
            if isinstance(event, dict) and isinstance(event.get("usage"), dict)
        ]
        record = {
            "answer_stream": True,
            "ended": self.ended,
            **({"final": final} if isinstance(final, dict) and self.ended else {}),
            **({"usage": usage[-1]} if usage else {}),
            "events": self.events,
        }
        return orjson.dumps(record)


class StreamSplitter:
    """Cut a transcript into answers and other entries.

    Args:
        source_id: the source.
        max_entry: longest line, and largest answer, that is kept, bytes.
    """

    def __init__(self, source_id: int, max_entry: int) -> None:
        self._source_id = source_id
        self._max_entry = max_entry
        self._open: dict[str, _Answer] = {}
        self._current = ""
        self._pending: list[tuple[bytes, int]] = []
        self._done: list[tuple[int, int, int, bytes, bytes]] = []
        self._rejects: list[Reject] = []
        self._blanks = 0
        self._held = 0

    def split(self, pieces: Iterable[bytes]) -> Iterator[Chunk]:
        """Yield chunks of entries; an answer's entry number is that of its first line."""
        number, offset = 0, 0
        whole = True
        for line in _lines(pieces, self._max_entry):
            number += 1
            self._line(line, number, offset)
            offset += len(line)
            whole = line.endswith(b"\n")
            if self._held >= _BLOCK:
                yield self._chunk(open_tail=False)
        for key in list(self._open):
            self._close(key, ended=False)
        self._blanks += len(self._pending)
        last = bool(self._done) and not whole and self._done[-1][0] == number
        yield self._chunk(open_tail=last)

    # -- lines ----------------------------------------------------------------------------------

    def _line(self, line: bytes, number: int, offset: int) -> None:
        text = line.strip(_BLANK)
        end = offset + len(line)
        if not text:
            self._blanks += 1
            return
        if len(line) > self._max_entry:
            words = f"line of {len(line):,} bytes exceeds the limit"
            self._reject(number, offset, line, Reason.TOO_LARGE, words)
            return
        if text.startswith(_FIELDS):
            # It names the event that follows.
            self._pending.append((line, offset))
            return
        payload = text[5:].strip() if text.startswith(b"data:") else text
        if payload == b"[DONE]":
            if self._current in self._open:
                self._open[self._current].note(line, end)
                self._close(self._current, ended=True)
            else:
                self._blanks += 1
            return
        try:
            event = orjson.loads(payload)
        except orjson.JSONDecodeError:
            self._alone(number, offset, line, payload)
            return
        key, opens, closes = _place(event, self._current)
        if not key:
            self._alone(number, offset, line, payload)
            return
        if opens and key in self._open:
            self._close(key, ended=False)
        if key not in self._open:
            if len(self._open) >= _MAX_OPEN:
                self._close(next(iter(self._open)), ended=False)
            start = self._pending[0][1] if self._pending else offset
            self._open[key] = _Answer(number - len(self._pending), start, end)
        answer = self._open[key]
        for named, at in self._pending:
            answer.note(named, at + len(named))
        self._pending = []
        answer.add(event, line, end)
        self._current = key
        if closes:
            self._close(key, ended=True)
        elif answer.size > self._max_entry:
            words = f"answer of more than {answer.size:,} bytes exceeds the limit"
            del self._open[key]
            raw = b"".join(answer.raw)
            self._reject(answer.entry_no, answer.offset, raw, Reason.TOO_LARGE, words)

    def _alone(self, number: int, offset: int, line: bytes, payload: bytes) -> None:
        """Take a line as an entry of its own."""
        self._blanks += len(self._pending)
        self._pending = []
        raw = line.rstrip(b"\r\n")
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError as error:
            words = f"not UTF-8 at byte {error.start} of the entry"
            self._reject(number, offset, raw, Reason.BAD_UTF8, words)
            return
        self._keep(number, offset, len(raw), hashlib.sha256(raw).digest(), payload)

    def _close(self, key: str, *, ended: bool) -> None:
        answer = self._open.pop(key)
        answer.ended = ended or _finished(answer.events)
        raw = b"".join(answer.raw).rstrip(b"\r\n")
        digest = hashlib.sha256(raw).digest()
        # Interleaved answers lie between one another's lines; the span then covers both.
        length = max(len(raw), answer.end - answer.offset - 1)
        self._keep(answer.entry_no, answer.offset, length, digest, answer.text())

    def _keep(self, number: int, offset: int, length: int, digest: bytes, text: bytes) -> None:
        self._done.append((number, offset, length, digest, text))
        self._held += len(text)

    def _reject(self, number: int, offset: int, raw: bytes, reason: Reason, words: str) -> None:
        self._rejects.append(
            reject(self._source_id, number, offset, raw[: max(len(raw), RAW_CAP)], reason, words)
        )

    def _chunk(self, *, open_tail: bool) -> Chunk:
        done, self._done = self._done, []
        rejects, self._rejects = self._rejects, []
        blanks, self._blanks = self._blanks, 0
        self._held = 0
        if not done:
            return empty_chunk(self._source_id, rejects, blanks)
        return Chunk(
            self._source_id,
            pa.array([row[4] for row in done], pa.large_binary()).cast(pa.large_string()),
            np.array([row[0] for row in done], np.int64),
            np.array([row[1] for row in done], np.int64),
            np.array([row[2] for row in done], np.int64),
            rows_of([row[3] for row in done]),
            rejects,
            blanks,
            open_tail,
        )


def _lines(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Yield lines with their ends; a line longer than twice ``most`` comes in parts."""
    rest = b""
    for piece in pieces:
        rows = (rest + piece).split(b"\n")
        rest = rows.pop()
        yield from (row + b"\n" for row in rows)
        while len(rest) > 2 * most:
            yield rest[: most + 1]
            rest = rest[most + 1 :]
    if rest:
        yield rest


def _place(event: Any, current: str) -> tuple[str, bool, bool]:
    """Return which answer an event belongs to (empty: to none), and if it opens or closes it."""
    if not isinstance(event, dict):
        return "", False, False
    kind = event.get("object")
    identity = event.get("id")
    if kind == "chat.completion.chunk" and isinstance(identity, str) and identity:
        return f"chunk:{identity}", False, False
    if kind == "text_completion" and isinstance(identity, str) and "usage" not in event:
        return f"text:{identity}", False, False
    if kind == "text_completion" and f"text:{identity}" == current:
        return current, False, False
    name = event.get("type")
    if isinstance(name, str) and (name.startswith(_EVENTS) or name in ("ping", "error")):
        opens = name in _OPENING
        if not opens and not current.startswith("events") and name in ("ping", "error"):
            return "", False, False
        return "events", opens, name in _CLOSING
    if "candidates" in event and isinstance(event["candidates"], list):
        identity = event.get("responseId")
        return f"gemini:{identity or ''}", False, _finished([event])
    return "", False, False


def _finished(events: list[Any]) -> bool:
    """Tell whether an event says that the answer is complete."""
    for event in events:
        if not isinstance(event, dict):
            continue
        for name in ("choices", "candidates"):
            items = event.get(name)
            if isinstance(items, list) and any(
                isinstance(item, dict) and (item.get("finish_reason") or item.get("finishReason"))
                for item in items
            ):
                return True
    return False
