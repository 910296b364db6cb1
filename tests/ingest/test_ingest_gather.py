"""Bytes gathered in large pages come out as they went in."""

from __future__ import annotations

import hashlib
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.ingest import gather
from irkit.ingest.gather import Gathered
from irkit.ingest.lines import LineSplitter


@given(
    st.lists(st.one_of(st.binary(max_size=30), st.none()), max_size=40),
    st.integers(0, 40),
    st.integers(1, 50),
)
def test_gathered_bytes_are_those_added(steps, small, expected):
    """``None`` takes what is held; what was taken before must not change afterwards."""
    with mock.patch.multiple(gather, _SMALL=small, _SPARE=7):
        held = Gathered(expected)
        own = b""
        taken: list[tuple[memoryview, bytes]] = []
        for step in steps:
            if step is None:
                lines, rest = held.take()
                cut = own.rfind(b"\n") + 1
                assert (bytes(lines), rest) == (own[:cut], own[cut:])
                taken.append((lines, own[:cut]))
                own = b""
            else:
                held.add(step)
                own += step
            assert held.size == len(own)
            assert held.open == len(own) - own.rfind(b"\n") - 1
        assert bytes(held.all()) == own
        assert held.size == held.open == 0
        assert all(bytes(lines) == copy for lines, copy in taken)


def test_memory_without_large_pages_does_as_well(monkeypatch):
    monkeypatch.delattr("mmap.MADV_HUGEPAGE", raising=False)
    held = Gathered(1)
    held.add(b"a" * gather._SMALL + b"\nb")
    lines, rest = held.take()
    assert len(lines) == gather._SMALL + 1
    assert rest == b"b"


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_lines_are_the_same_wherever_they_were_gathered(monkeypatch, small):
    """Chunks that live on while later ones are read keep their texts and digests."""
    monkeypatch.setattr(gather, "_SMALL", small)
    data = b"\n".join(b'{"n": %d, "t": "%s"}' % (n, b"x" * (n % 97)) for n in range(3000))
    pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    chunks = list(LineSplitter(1, 1 << 20, block=20_000).split(pieces))
    assert len(chunks) > 5
    texts = [text for chunk in chunks for text in chunk.lines.to_pylist()]
    assert [text.rstrip("\n").encode() for text in texts] == data.split(b"\n")
    digests = [row.tobytes() for chunk in chunks for row in chunk.sha256]
    assert digests == [hashlib.sha256(line).digest() for line in data.split(b"\n")]
    assert [chunk.open_tail for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
