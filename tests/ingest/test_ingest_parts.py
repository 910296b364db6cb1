"""The pieces of reading: structure scanner, splitters, times, addresses, secrets, text ids."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.ingest import structure
from irkit.ingest.documents import DocumentSplitter
from irkit.ingest.entries import as_hex
from irkit.ingest.extraction import Extraction
from irkit.ingest.framing import Framing, frame
from irkit.ingest.giants import LONG, Giants
from irkit.ingest.lines import LineSplitter
from irkit.ingest.repair import mend
from irkit.ingest.structure import Scanner
from irkit.ingest.texts import KnownTexts, text_ids


def ask(projector, sql: str, *values: str) -> list:
    """Evaluate an expression over ``line`` for texts."""
    lines = pa.array(list(values), pa.large_string())
    table = projector._engine.run(
        f"SELECT {sql} AS x FROM block", np.arange(len(lines), dtype=np.int64), lines
    )
    return table.column("x").to_pylist()


def reference(data: bytes) -> tuple[list[int], list[int], int, int]:
    depth, deepest, inside, escaped = 0, 0, False, False
    opens, closes = [], []
    for at, char in enumerate(data):
        if inside:
            if escaped:
                escaped = False
            elif char == ord("\\"):
                escaped = True
            elif char == ord('"'):
                inside = False
        elif char == ord('"'):
            inside = True
        elif char in b"{[":
            depth += 1
            deepest = max(deepest, depth)
            if depth == 1:
                opens.append(at)
        elif char in b"}]":
            depth -= 1
            if depth < 0:
                return opens, closes, at, deepest
            if depth == 0:
                closes.append(at)
    return opens, closes, -1, deepest


@given(
    st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b'"', b'"\\', b"\\\\", b"a", b","])),
    st.integers(1, 7),
    st.integers(1, 5),
)
def test_scanner_agrees_with_a_slow_reference(parts, step, feed):
    data = b"".join(parts)
    # A backslash outside a string is no JSON; there the two may differ.
    if b"\\" in re.sub(rb'"(?:[^"\\]|\\.)*"?', b"", data, flags=re.DOTALL):
        return
    old, structure._STEP = structure._STEP, step
    try:
        scanner = Scanner()
        for at in range(0, len(data), feed):
            scanner.feed(data[at : at + feed])
    finally:
        structure._STEP = old
    found = scanner.opens, scanner.closes, scanner.broken_at, scanner.deepest
    assert found == reference(data)


@given(st.binary(max_size=120), st.integers(1, 30), st.integers(5, 60))
def test_line_splitter_accounts_for_every_line(data, piece, limit):
    splitter = LineSplitter(1, limit, block=16)
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    seen: dict[int, bytes] = {}
    blanks = total = 0
    for chunk in splitter.split(pieces):
        blanks += chunk.blanks
        for entry, offset, length in zip(
            chunk.entry_no, chunk.byte_offset, chunk.byte_len, strict=True
        ):
            seen[int(entry)] = data[offset : offset + length]
        for row in chunk.rejects:
            seen[row.entry_no] = data[row.byte_offset : row.byte_offset + row.byte_len]
            assert row.sha256 == hashlib.sha256(seen[row.entry_no]).hexdigest()
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    total = len(expected)
    assert len(seen) + blanks == total
    for entry, raw in seen.items():
        assert raw.rstrip(b"\r") == expected[entry - 1].rstrip(b"\r")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=6), st.integers(1, 40), st.booleans(), st.integers(0, 2))
def test_array_elements_come_out_whole(values, piece, ascii_only, indent):
    data = json.dumps(values, ensure_ascii=ascii_only, indent=indent or None).encode(
        "utf-8", "surrogatepass"
    )
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    found: dict[int, str] = {}
    for chunk in DocumentSplitter(1, 1 << 20, array=True, block=8).split(pieces):
        for entry, text, offset in zip(
            chunk.entry_no, chunk.lines.to_pylist(), chunk.byte_offset, strict=True
        ):
            found[int(entry)] = text
            assert data[offset : offset + len(text.encode())] == text.encode()
        for row in chunk.rejects:
            found[row.entry_no] = row.raw.decode("utf-8", "replace")
    containers = [value for value in values if isinstance(value, dict | list)]
    kept = [found[key] for key in sorted(found)]
    parsed = [json.loads(text) for text in kept if text[:1] in "{["]
    if all(not isinstance(v, str) or not set(v) & set('{}[],"\\') for v in values):
        assert parsed == containers
        assert len(found) == len(values)


def test_overlong_value_in_an_array_is_skipped_exactly():
    big = json.dumps({"b": 'y"\\]}' * 40}).encode()
    data = b'[{"a":1},' + big + b',{"c":3}]'
    for piece in (1, 3, 7, 50):
        pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
        chunks = list(DocumentSplitter(1, 60, array=True, block=10).split(pieces))
        rejects = [row for chunk in chunks for row in chunk.rejects]
        texts = [text for chunk in chunks for text in chunk.lines.to_pylist()]
        assert texts == ['{"a":1}', '{"c":3}']
        assert [(r.entry_no, r.byte_offset, r.byte_len) for r in rejects] == [(2, 9, len(big))]
        assert rejects[0].sha256 == hashlib.sha256(big).hexdigest()


@given(
    st.integers(25 * 365 * 86_400_000_000, 180 * 365 * 86_400_000_000),
    st.integers(-12 * 60, 14 * 60),
)
@settings(max_examples=60, deadline=None)
def test_times_in_every_notation(projector, us, minutes):
    zone = timezone(timedelta(minutes=minutes))
    aware = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    moment = aware.replace(tzinfo=None)
    whole = aware.replace(microsecond=0)
    seconds = us // 1_000_000
    notations = {
        aware.isoformat(): aware,
        aware.isoformat().replace("+00:00", "Z"): aware,
        aware.astimezone(zone).isoformat(): aware,
        aware.astimezone(zone).isoformat(" "): aware,
        moment.isoformat(" "): aware,
        str(us): aware,
        str(us * 1000): aware,
        str(seconds): whole,
        str(seconds * 1000): whole,
        str(us * 10 + 621_355_968_000_000_000): aware,
        whole.strftime("%a, %d %b %Y %H:%M:%S GMT"): whole,
        whole.astimezone(zone).strftime("%d/%b/%Y:%H:%M:%S %z"): whole,
    }
    if us * 1000 >= 2 * 10**18 or not 6.2e17 <= us * 10 + 621_355_968_000_000_000 <= 6.6e17:
        notations.pop(str(us * 1000), None)
        notations.pop(str(us * 10 + 621_355_968_000_000_000), None)
    if us * 1000 < 10**18:
        notations.pop(str(us * 1000), None)
    found = ask(projector, "ik_time(line)", *notations)
    for text, got, want in zip(notations, found, notations.values(), strict=True):
        assert got == want.replace(tzinfo=None), text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "12",
        "-5",
        "2026-13-45T00:00:00Z",
        "9" * 60,
        "1e400",
        "infinity",
        "nan",
        "Z",
    ],
)
def test_what_is_no_time_is_null(projector, text):
    assert ask(projector, "ik_time(line)", text) == [None]


def test_zone_is_only_assumed_where_none_is_named(projector):
    texts = ["2026-01-01 00:00:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+02", "1770804235"]
    assert ask(projector, "ik_naive(line)", *texts) == [True, False, False, False]


@pytest.mark.parametrize(
    ("text", "address", "kind"),
    [
        ("203.0.113.7", "203.0.113.7", "full"),
        ("203.0.113.7:443", "203.0.113.7", "full"),
        ("[2001:db8::1]:99", "2001:db8::1", "full"),
        ("2001:db8::1", "2001:db8::1", "full"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", "full"),
        ("198.51.100.***", "198.51.100.***", "masked"),
        ("198.51.100.x", "198.51.100.x", "masked"),
        ("a" * 64, "a" * 64, "hashed"),
        ("999.1.1.1", "999.1.1.1", "other"),
        ("", None, "none"),
    ],
)
def test_addresses(projector, text, address, kind):
    found = ask(projector, "struct_pack(a := ik_ip(line), k := ik_ip_kind(ik_ip(line)))", text)
    assert found == [{"a": address, "k": kind}]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("sk-" + "A1b2" * 12, True),
        ("sk-proj-" + "A1b2" * 12, True),
        ("Bearer abcdefghij123", True),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0xx.c2lnbmF0dXJl", True),
        ("sk-…f3a1", False),
        ("sk-proj-abc...xyz1", False),
        ("sk-1234", False),
        ("key-003-of-the-gateway-team", False),
        ("9f2c" * 16, False),
        ("arn:aws:sts::210987654321:assumed-role/ChatSvc/i-0ab", False),
    ],
)
def test_full_secrets_are_told_from_ids(projector, text, secret):
    assert ask(projector, "ik_is_secret(line)", text) == [secret]


@given(st.lists(st.text(max_size=6), max_size=30))
def test_text_ids_are_sha256_prefixes(texts):
    found = as_hex(text_ids(pa.array(texts, pa.large_string()))).to_pylist()
    assert found == [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]


def rows(*values: tuple[int, int]) -> np.ndarray:
    return np.array(
        [list(high.to_bytes(8, "big") + low.to_bytes(8, "big")) for high, low in values], np.uint8
    )


def test_new_texts_are_first_occurrences_and_remembered(case):
    known = KnownTexts(case)
    assert known.new(rows((5, 1), (3, 2), (5, 1), (5, 2))).tolist() == [0, 1, 3]
    assert known.new(rows((5, 1), (9, 9), (3, 2))).tolist() == [1]


def test_crafted_prefix_collision_hides_no_text(case):
    known = KnownTexts(case)
    first = rows((7, 1))
    assert known.new(first).tolist() == [0]
    case.append("text", pa.table({"text_id": as_hex(first), "body": ["a"]}))
    # Same first half, other second half: two runs, either of which may be met first.
    assert known.new(rows((7, 2))).tolist() == [0]
    case.append("text", pa.table({"text_id": as_hex(rows((7, 2))), "body": ["b"]}))
    assert known.new(rows((7, 1), (7, 2), (7, 3))).tolist() == [2]


def test_bounded_memory_still_ends_with_each_text_once(case):
    known = KnownTexts(case, limit=100)
    for start in range(0, 600, 60):
        ids = rows(*((n % 300, n % 300) for n in range(start, start + 60)))
        fresh = known.new(ids)
        table = pa.table({"text_id": as_hex(ids[fresh]), "body": [str(n) for n in fresh.tolist()]})
        case.append("text", table)
    assert known.forgot
    known.compact()
    assert case.rows("SELECT count(*), count(DISTINCT text_id) FROM text") == [(300, 300)]


def test_extraction_takes_conflicting_paths_apart(projector):
    extraction = Extraction(
        {
            "leaf": "$.a.b",
            "whole": ("$.nope", "$.a"),
            "under": "$.m.k",
            "item": "$.list[1].x",
            "odd": '$."x-y"."q.r"',
            "case": "$.A.b",
            "top": "$[0].z",
            "all": "$",
        },
        {"json": "$.a", "m": "$.m"},
    )
    document = json.dumps(
        {"a": {"b": 1}, "A": {"b": 2}, "m": {"k": "v"}, "list": [0, {"x": "i"}], "x-y": {"q.r": 3}}
    )
    names = extraction.names("line", "l")
    sql = (
        "WITH t AS (SELECT row_no, line, "
        + extraction.select("line", "l")
        + " FROM block) SELECT "
        + ", ".join(f'{value} AS "{name}"' for name, value in names.items())
        + " FROM t"
    )
    lines = pa.array([document, '[{"z": 9}]'], pa.large_string())
    first, second = projector._engine.run(sql, np.arange(2, dtype=np.int64), lines).to_pylist()
    assert json.loads(first.pop("all")) == json.loads(document)
    assert json.loads(first.pop("json")) == json.loads(first.pop("whole")) == {"b": 1}
    assert first == {
        "leaf": "1",
        "under": "v",
        "item": "i",
        "odd": "3",
        "case": "2",
        "top": None,
        "m": '{"k":"v"}',
    }
    assert second["top"] == "9"
    assert second["leaf"] is None


def test_mend_only_replaces_halves_of_pairs():
    text = rb'{"a": "\ud83d\ude00 \ud83d \\ud83d \udE00x"}'
    assert mend(text) == (
        [rb'{"a": "\ud83d\ude00 \ufffd \\ud83d \ufffdx"}'],
        "lone_surrogate_replaced",
    )
    assert mend(b'{"a": }') == ([], "")


def test_giant_texts_return_unchanged():
    long = "€\ud800" + "x" * LONG
    inner = json.dumps({"image": long})
    document = json.dumps({"a": long, "b": [inner, "short"], "a2": "y" * (3 << 20)})
    giants = Giants(pa.array(["{}", document], pa.large_string()))
    slim = json.loads(giants.lines[1].as_py())
    assert len(giants.lines[1].as_py()) < 1000
    assert giants.lines[0].as_py() == "{}"
    assert giants._filled(f"<{slim['a']}>") == "<" + long.replace("\ud800", "�") + ">"
    assert json.loads(slim["b"][0])["image"].startswith("[irkit-")
    assert slim["b"][1] == "short"


@pytest.mark.parametrize(
    ("head", "framing"),
    [
        (b'{"a": 1}', Framing.NDJSON),
        (b'{"a": 1}{"a": 2}', Framing.DOCUMENTS),
        (b'{"a": 1} {"a": 2}\n{"a": 3}', Framing.DOCUMENTS),
        (b'{"a": {"b": 1}}\n{"a": 2}', Framing.NDJSON),
        (b'{"a": 1}\n{\n"a": 2\n}\n{\n"a": 3\n}', Framing.DOCUMENTS),
        (b'{"a": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", Framing.NDJSON),
        (b'{"a": ' + b"9" * 20_000 + b'}{"a": 1}', Framing.DOCUMENTS),
        (b'{"a": "\xff"}{"a": 1}', Framing.DOCUMENTS),
        (b'{"a": ', Framing.DOCUMENTS),
    ],
)
def test_the_first_line_tells_documents_from_lines(head, framing):
    assert frame(head, complete=True) is framing
