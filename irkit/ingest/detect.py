"""Recognise the format of a source by content: sample, classify, vote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from irkit.ingest.containers import Container, open_file
from irkit.ingest.entries import Chunk
from irkit.ingest.format import Format
from irkit.ingest.framing import Framing, SourceReader
from irkit.ingest.routing import Router

HEAD_LINES, MIDDLE_LINES, TAIL_LINES = 100, 50, 50
_WINDOW = 1 << 20
#: Share of the sample from which one format names the whole source.
ACCEPT = 0.9
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sample says.

    Attributes:
        format_id: the format with the most votes; empty if no record was recognised.
        confidence: its share of the sampled entries that are JSON.
        votes: sampled entries per format, ``unknown`` included.
    """

    format_id: str
    confidence: float
    votes: dict[str, int]


def sample(reader: SourceReader, first: Chunk) -> list[bytes]:
    """Return entries from the head and, where the file can be sought, its middle and tail."""
    lines = [text.encode() for text in first.lines[:HEAD_LINES].to_pylist()]
    size = reader.path.stat().st_size
    seekable = reader.container is Container.PLAIN and reader.framing is Framing.NDJSON
    if seekable and size > 4 * _WINDOW:
        for start, count in ((size // 2, MIDDLE_LINES), (size - _WINDOW, TAIL_LINES)):
            with open_file(reader.path) as stream:
                stream.seek(start)
                window = stream.read(_WINDOW)
            # The window begins and ends inside a line.
            lines += [line for line in window.split(b"\n")[1:-1] if line.strip()][:count]
    return lines


def judge(router: Router, formats: Sequence[Format], lines: Sequence[bytes]) -> Verdict:
    """Let sampled entries vote; an entry that wraps several records gives one vote each."""
    readable = [line for line in lines if _is_text(line)]
    if not readable:
        return Verdict("", 0.0, {})
    texts = pa.array(readable, pa.large_binary()).cast(pa.large_string())
    told = router.prose.read(texts)
    if any(text is not None for text in told):
        lines = [text or line for text, line in zip(told, readable, strict=True)]
        texts = pa.array(lines, pa.large_binary()).cast(pa.large_string())
    routed = router.route(np.arange(len(readable), dtype=np.int64), texts)
    votes: Counter[str] = Counter()
    for fmt, picked in routed.by_format:
        votes[fmt.id] += len(picked)
    unknown = len(routed.unknown)
    total = sum(votes.values()) + unknown
    rank = {fmt.id: index for index, fmt in enumerate(formats)}
    best = min(votes, key=lambda name: (-votes[name], rank[name]), default="")
    if unknown:
        votes[UNKNOWN] = unknown
    share = votes[best] / total if best else 0.0
    return Verdict(best, round(share, 4), dict(sorted(votes.items())))


def _is_text(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
