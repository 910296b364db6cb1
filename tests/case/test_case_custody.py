from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.case import CustodyLog, custody, fixed_clock
from irkit.errors import EvidenceMismatch

CLOCK = fixed_clock("2026-10-16T07:00:00Z")


def make(path):
    return CustodyLog(path / "custody.jsonl", CLOCK, "tester", "irkit test")


def test_entries_chain_and_verify(tmp_path):
    log = make(tmp_path)
    hashes = [log.append("act", n=n, text="zażółć") for n in range(5)]
    assert log.verify() == (5, hashes[-1])
    entries = list(log.entries())
    assert [entry.prev for entry in entries[1:]] == hashes[:-1]
    assert entries[0].at == "2026-10-16T07:00:00.000Z"


def test_empty_log_verifies_to_genesis(tmp_path):
    assert make(tmp_path).verify() == (0, "0" * 64)


@given(
    details=st.lists(
        st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=8), max_size=3),
        min_size=2,
        max_size=5,
    ),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_single_byte_change_is_noticed(tmp_path_factory, details, data):
    path = tmp_path_factory.mktemp("chain")
    log = make(path)
    for detail in details:
        log.append("act", values=detail)
    raw = bytearray(log.path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 2))
    raw[at] = raw[at] ^ data.draw(st.integers(1, 255))
    log.path.write_bytes(bytes(raw))
    with pytest.raises(EvidenceMismatch):
        log.verify()


def test_removed_and_reordered_entries_are_noticed(tmp_path):
    log = make(tmp_path)
    for n in range(4):
        log.append("act", n=n)
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join([lines[0], lines[2], lines[3]]))
    with pytest.raises(EvidenceMismatch, match="entry 1"):
        log.verify()
    log.path.write_bytes(b"".join([lines[1], lines[0]]))
    with pytest.raises(EvidenceMismatch, match="entry 0"):
        log.verify()


def test_nothing_is_chained_to_a_damaged_line(tmp_path):
    log = make(tmp_path)
    log.append("act")
    log.path.write_bytes(log.path.read_bytes()[:-20] + b"\n")
    with pytest.raises(EvidenceMismatch):
        log.append("next")


def test_lines_are_canonical_json(tmp_path):
    log = make(tmp_path)
    log.append("act", b=1, a="é")
    line = log.path.read_text("utf-8").rstrip("\n")
    again = json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert sorted(again) == sorted(line)


def test_the_end_of_a_long_log_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(custody, "_TAIL", 50)
    log = make(tmp_path)
    log.append("new", note="x" * 400)
    head = log.append_all("preserve", [{"n": number, "pad": "y" * 90} for number in range(5)])
    last = log.append("assess")
    entries = list(log.entries())
    assert [entry.index for entry in entries] == list(range(7))
    assert entries[5].hash == head
    assert log.verify() == (7, last)
    damaged = log.path.read_bytes()[:-9] + b"\n"
    log.path.write_bytes(damaged)
    with pytest.raises(EvidenceMismatch, match="entry 6 "):
        log.append("notify")
