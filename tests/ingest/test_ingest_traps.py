"""What real and hostile files do: every entry must end as a record, a blank or a quarantine row."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from ingest_cases import canonical, quarantine, read_bytes

from irkit.case import Case, Settings


def pair(number: int, prompt: str = "hello", answer: str = "hi", **extra) -> dict:
    return {
        "ts": f"2026-10-05T10:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "key_id": "key-1",
        "client_ip": "192.0.2.7",
        "status": 200,
        "request": {"model": "m", "messages": [{"role": "user", "content": prompt}]},
        "response": {
            "id": f"r-{number}",
            "object": "chat.completion",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": answer}}],
        },
        **extra,
    }


def line(number: int, *args, **extra) -> bytes:
    return json.dumps(pair(number, *args, **extra)).encode() + b"\n"


LINES = b"".join(line(n) for n in range(40))


def counts(case: Case) -> tuple[int, int, int, int]:
    return case.rows("SELECT entries, records, blanks, quarantined FROM evidence_source")[0]


def source(case: Case, *columns: str) -> tuple:
    return case.rows(f"SELECT {', '.join(columns)} FROM evidence_source")[0]


@pytest.mark.parametrize(
    ("name", "data", "container"),
    [
        ("plain.gz", LINES, "plain"),
        ("gz.json", gzip.compress(LINES), "gzip"),
        (
            "members",
            gzip.compress(LINES[:3000]) + gzip.compress(LINES[3000:]) + b"\0" * 99,
            "gzip",
        ),
        ("zst.log", zstandard.compress(LINES), "zstd"),
        ("frames", zstandard.compress(LINES[:5000]) + zstandard.compress(LINES[5000:]), "zstd"),
        ("bz.txt", bz2.compress(LINES), "bzip2"),
        ("xz", lzma.compress(LINES), "xz"),
    ],
    ids=lambda value: value if isinstance(value, str) else "data",
)
def test_container_is_told_by_content_not_by_name(case, tmp_path, name, data, container):
    read_bytes(case, tmp_path, name, data)
    assert counts(case) == (40, 40, 0, 0)
    assert source(case, "container", "framing", "format") == (container, "ndjson", "openai_pair")


@pytest.mark.parametrize("tool", ["gzip", "zstd", "bzip2", "xz"])
def test_cut_container_is_salvaged_and_marked(case, tmp_path, tool):
    rows = b"".join(line(n, prompt=f"{n * 7919 % 10007} q") for n in range(3000))
    data = {
        "gzip": gzip.compress,
        "zstd": lambda raw: zstandard.ZstdCompressor(level=1).compress(raw),
        "bzip2": lambda raw: bz2.compress(raw, 1),
        "xz": lambda raw: lzma.compress(raw, preset=0),
    }[tool](rows)
    read_bytes(case, tmp_path, "cut", data[: len(data) * 3 // 4])
    entries, records, _, quarantined = counts(case)
    assert 0 < records < 3000
    assert quarantined in (1, 2)
    assert entries == records + quarantined
    codes = [row[3] for row in quarantine(case)]
    assert codes[-1] == "truncated_container"
    assert "recovered" in source(case, "note")[0]


def test_bomb_is_cut_and_marked(tmp_path, clock):
    with Case.create(
        tmp_path / "b.irkit", settings=Settings(max_expand_ratio=50), clock=clock
    ) as case:
        data = gzip.compress(LINES + b"\n" * (90 << 20))
        read_bytes(case, tmp_path, "bomb.gz", data)
        entries, records, blanks, quarantined = counts(case)
        assert records == 40
        assert quarantined == 1
        assert blanks == entries - 41
        assert quarantine(case)[0][3] == "bomb"


def test_line_ends_marks_blanks_and_prefixes(case, tmp_path):
    data = (
        b"\xef\xbb\xbf" + line(1)[:-1] + b"\r\n"
        b"\r\n  \t\n"
        + b"\x1e"
        + line(2)
        + b"2026-10-05T10:00:03Z stdout F "
        + line(3)
        + b"data: "
        + line(4)
        + b"   "
        + line(5)
        + b"\n"
        + line(6)[:-1]
    )
    read_bytes(case, tmp_path, "a.log", data)
    assert counts(case) == (9, 6, 3, 0)
    assert [row["entry_no"] for row in canonical(case)] == [1, 4, 5, 6, 7, 9]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be", "utf-32"])
def test_marked_wide_encodings_are_read(case, tmp_path, codec):
    mark = "﻿".encode(codec) if codec.endswith("be") else b""
    text = LINES.decode()
    read_bytes(case, tmp_path, "wide.json", mark + text.encode(codec))
    assert counts(case) == (40, 40, 0, 0)


def test_bad_lines_name_reason_place_and_hash(case, tmp_path):
    cut = line(3)[:50]
    data = b"".join(
        [
            line(0),
            b'{"a": 1 "b"}\n',
            line(1)[:-4] + b"\xff\xfe" + line(1)[-4:],
            b"[1, 2]\n",
            b'"text"\n',
            b"just words\n",
            b'{"unknown": true}\n',
            b'{"ts": "2026-10-05T10:00:00Z", "a": "\x00"}\n',
            line(2),
            cut,
        ]
    )
    read_bytes(case, tmp_path, "bad.json", data)
    assert counts(case) == (10, 2, 0, 8)
    rows = quarantine(case)
    assert [row[3] for row in rows] == [
        "bad_json",
        "bad_utf8",
        "not_object",
        "not_object",
        "bad_json",
        "unknown_format",
        "bad_json",
        "truncated_tail",
    ]
    for _, offset, length, _, _, raw in rows:
        assert data[offset : offset + length] == raw
    assert rows[-1][:3] == (10, len(data) - 50, 50)
    stored = case.rows("SELECT sha256 FROM quarantine WHERE entry_no = 10")[0][0]
    assert stored == hashlib.sha256(cut).hexdigest()


def test_half_surrogate_cannot_hide_a_prompt(case, tmp_path):
    hidden = line(1, prompt="\ud83d my secret \ud83d\ude00 \\ud83d")
    assert b"\\ud83d " in hidden
    read_bytes(case, tmp_path, "s.json", line(0) + hidden)
    record = canonical(case)[1]
    assert record["prompt_text"] == "� my secret \U0001f600 \\ud83d"
    assert record["parse_warnings"] == ["lone_surrogate_replaced"]
    assert counts(case) == (2, 2, 0, 0)


def test_duplicate_keys_nan_and_nul_escapes(case, tmp_path):
    twice = line(1).replace(b'"key_id": "key-1"', b'"key_id": "first", "key_id": "second"')
    nan = line(2).replace(b'"model": "m"', b'"model": "m", "temperature": NaN, "top_p": 0.5')
    read_bytes(case, tmp_path, "d.json", twice + nan + line(3, prompt="a\u0000b"))
    first, second, third = canonical(case)
    assert first["credential_id"] == "first"
    assert "temperature" not in second
    assert second["top_p"] == 0.5
    assert third["prompt_text"] == "a\u0000b"


def test_absurd_nesting_is_named_and_does_no_harm(case, tmp_path):
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n"
    inside = json.dumps(pair(1)).replace('"hello"', "[" * 3000 + "]" * 3000).encode() + b"\n"
    broken = b"[" * 4000 + b"\n"
    read_bytes(case, tmp_path, "deep.json", line(0) + deep + inside + broken + line(2))
    assert [row[3] for row in quarantine(case)] == ["too_deep", "too_deep"]
    assert counts(case) == (5, 3, 0, 2)


def test_overlong_line_is_hashed_not_kept(tmp_path, clock):
    with Case.create(tmp_path / "l.irkit", settings=Settings(max_line_mb=1), clock=clock) as case:
        big = b'{"x": "' + b"y" * (3 << 20) + b'"}\n'
        read_bytes(case, tmp_path, "big.json", line(0) + big + line(1))
        assert counts(case) == (3, 2, 0, 1)
        entry, offset, length, code, _, raw = quarantine(case)[0]
        assert (entry, offset, length, code) == (2, len(line(0)), len(big) - 1, "too_large")
        assert len(raw) == 64 << 10


def test_forty_megabyte_line_is_read(case, tmp_path):
    read_bytes(case, tmp_path, "huge.json", line(0) + line(1, prompt="x" * (40 << 20)) + line(2))
    assert counts(case) == (3, 3, 0, 0)
    assert case.rows("SELECT max(prompt_chars) FROM query_record")[0][0] == 40 << 20


@pytest.mark.parametrize(
    ("name", "data", "framing"),
    [
        ("array", b"[" + b",\n ".join(line(n)[:-1] for n in range(5)) + b"]", "json_array"),
        ("pretty", json.dumps([pair(n) for n in range(5)], indent=2).encode(), "json_array"),
        (
            "documents",
            b"\n".join(json.dumps(pair(n), indent=1).encode() for n in range(5)),
            "json_documents",
        ),
        ("joined", b"".join(line(n)[:-1] for n in range(5)), "json_documents"),
        ("single", line(0)[:-1], "ndjson"),
    ],
    ids=lambda value: value if isinstance(value, str) else "data",
)
def test_framings(case, tmp_path, name, data, framing):
    read_bytes(case, tmp_path, name, data)
    entries, records, blanks, quarantined = counts(case)
    assert (entries, records) == (1 if name == "single" else 5,) * 2
    assert (blanks, quarantined) == (0, 0)
    assert source(case, "framing")[0] == framing
    row = canonical(case)[-1]
    raw = data[row["byte_offset"] :]
    assert json.JSONDecoder().raw_decode(raw.decode())[0]["response"]["id"] == row["request_id"]


def test_array_with_odd_elements_accounts_for_each(case, tmp_path):
    good = json.dumps(pair(0)).encode()
    read_bytes(case, tmp_path, "a.json", b"[" + good + b', 7, "x", null, ' + good + b", {} ]")
    assert counts(case) == (6, 2, 0, 4)
    assert {row[3] for row in quarantine(case)} == {"not_object", "unknown_format"}


def test_cut_array_keeps_what_is_whole(case, tmp_path):
    data = json.dumps([pair(n) for n in range(5)]).encode()
    read_bytes(case, tmp_path, "cut.json", data[:-40])
    assert counts(case) == (5, 4, 0, 1)
    assert quarantine(case)[0][3] == "truncated_tail"


def test_lost_bracket_does_not_swallow_the_rest(case, tmp_path):
    rows = [line(n)[:-1] for n in range(6)]
    rows[2] = rows[2][:-1]
    read_bytes(case, tmp_path, "lost.json", b"[\n" + b",\n".join(rows) + b"\n]\n")
    assert counts(case) == (3, 3, 0, 0)
    assert [row["request_id"] for row in canonical(case)] == ["r-0", "r-1", "r-3", "r-4", "r-5"]
    assert [(row[3], row[4]) for row in quarantine(case)] == [("bad_json", "part_of_entry")]


def test_several_values_in_one_line(case, tmp_path):
    data = line(0) + line(1)[:-1] + line(2) + line(3)[:-1] + b" oops\n" + line(4)
    read_bytes(case, tmp_path, "v.json", data)
    rows = canonical(case)
    assert [(row["entry_no"], row["sub_no"]) for row in rows] == [(1, 0), (2, 0), (2, 1), (4, 0)]
    assert rows[2]["parse_warnings"] == ["several_values_in_entry"]
    assert [row[0] for row in quarantine(case)] == [3]


def test_many_bad_parts_are_one_row_per_reason(case, tmp_path):
    whole = [pair(0), *range(500), *[{"no": n} for n in range(300)]]
    data = json.dumps(whole).encode() + b"\n" + json.dumps(list(range(900))).encode() + b"\n"
    read_bytes(case, tmp_path, "w.json", data)
    assert counts(case) == (2, 1, 0, 1)
    assert case.rows("SELECT entry_no, error_code, error_text FROM quarantine ORDER BY ALL") == [
        (1, "not_object", "500 parts: a bare value where an object was expected"),
        (1, "unknown_format", "300 parts: valid JSON of no known log format"),
        (2, "not_object", "900 parts: a bare value where an object was expected"),
    ]


def test_part_of_an_entry_can_fail(case, tmp_path):
    whole = {"records": [pair(0), {"no": "record"}, pair(1)]}
    read_bytes(case, tmp_path, "w.json", json.dumps(whole).encode() + b"\n" + line(2))
    assert counts(case) == (2, 2, 0, 0)
    assert [(row[0], row[3], row[4]) for row in quarantine(case)] == [
        (1, "unknown_format", "part_of_entry")
    ]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda rows: {"events": [{"timestamp": 1, "message": json.dumps(r)} for r in rows]},
        lambda rows: {"logEvents": [{"id": "1", "message": json.dumps(r)} for r in rows]},
        lambda rows: {"records": rows},
        lambda rows: {"object": "list", "data": rows},
        lambda rows: {"result": rows, "success": True},
        lambda rows: {"_index": "i", "_source": {"log": json.dumps(rows)}},
        lambda rows: {"log": json.dumps(rows), "stream": "stdout"},
        lambda rows: {"message": json.dumps({"log": json.dumps(rows)})},
        lambda rows: {"insertId": "1", "jsonPayload": {"records": rows}},
        lambda rows: {"insertId": "1", "textPayload": json.dumps(rows)},
        lambda rows: {"specversion": "1.0", "type": "x", "data": rows},
        lambda rows: [rows],
    ],
)
def test_wrappers_are_opened(case, tmp_path, wrap):
    data = json.dumps(wrap([pair(0), pair(1), pair(2)])).encode() + b"\n"
    read_bytes(case, tmp_path, "w.json", data * 2)
    assert counts(case) == (2, 2, 0, 0)
    rows = canonical(case)
    assert [row["request_id"] for row in rows] == ["r-0", "r-1", "r-2"] * 2
    assert [row["sub_no"] for row in rows] == [0, 1, 2] * 2


def test_mixed_file_is_routed_per_record(case, tmp_path):
    from ingest_cases import DATA

    mixed = LINES + b"".join(
        (DATA / name).read_bytes()
        for name in ("bedrock_invocation.ndjson", "litellm.ndjson", "batch.ndjson")
    )
    read_bytes(case, tmp_path, "mixed.json", mixed)
    found = dict(case.rows("SELECT source_format, count(*) FROM query_record GROUP BY 1"))
    assert found == {
        "openai_pair": 40,
        "bedrock_invocation": 10,
        "litellm_slp": 5,
        "litellm_spendlogs": 2,
        "openai_batch_out": 2,
        "openai_batch_in": 1,
        "anthropic_batch_out": 1,
        "bedrock_batch_out": 1,
    }
    assert source(case, "format")[0] == "mixed"
    assert json.loads(source(case, "capability")[0])["formats"] == found


def test_parquet_rows_with_string_bodies(case, tmp_path):
    rows = [pair(n) for n in range(5)]
    table = pa.table(
        {
            "timestamp": pa.array([1791187200_000_000 + n for n in range(5)], pa.timestamp("us")),
            "request": [json.dumps(row["request"]) for row in rows],
            "response": [json.dumps(row["response"]) for row in rows],
            "key_id": ["k"] * 5,
        }
    )
    path = tmp_path / "rows.bin"
    pq.write_table(table, path)
    data = path.read_bytes()
    read_bytes(case, tmp_path, "p", data)
    assert counts(case) == (5, 5, 0, 0)
    row = canonical(case)[0]
    assert row["prompt_text"] == "hello"
    assert row["event_time"].startswith("2026-10-05T")
    assert "naive_time_assumed_utc" in row["parse_warnings"]
    assert "byte_offset" not in row


def test_damaged_parquet_and_foreign_files_are_one_row_each(case, tmp_path):
    table = pa.table({"a": list(range(1000))})
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    read_bytes(case, tmp_path, "cut.parquet", path.read_bytes()[:-30])
    read_bytes(case, tmp_path, "logs.7z", b"7z\xbc\xaf\x27\x1c" + b"z" * 500)
    rows = quarantine(case)
    assert [row[3] for row in rows] == ["truncated_container", "unknown_format"]
    assert rows[1][1:3] == (0, 506)


def test_empty_and_blank_files(case, tmp_path):
    read_bytes(case, tmp_path, "empty.json", b"")
    read_bytes(case, tmp_path, "blank.json", b"\n\n  \n")
    read_bytes(case, tmp_path, "list.json", b"[]")
    assert case.rows("SELECT entries, blanks, quarantined FROM evidence_source ORDER BY 1, 2") == [
        (0, 0, 0),
        (0, 0, 0),
        (3, 3, 0),
    ]


def test_late_key_in_many_files_is_not_lost(case, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        extra = {"session_id": "late"} if number == 55 else {}
        (folder / f"{number:03d}.json").write_bytes(line(number, **extra))
    from ingest_cases import read

    read(case, folder)
    assert case.rows("SELECT request_id FROM query_record WHERE session_id = 'late'") == [("r-55",)]
    assert case.rows("SELECT count(*) FROM stage_progress WHERE stage = 'ingest'") == [(60,)]


def test_record_with_neither_content_nor_time_is_quarantined(case, tmp_path):
    rows = [
        {"custom_id": "a", "method": "POST", "url": "/v1/x", "body": {}},
        {"request": {"model": "m", "prompt": None, "input": None}, "response": {"id": ""}},
        {**pair(1), "ts": "never"},
    ]
    read_bytes(case, tmp_path, "n.json", b"".join(json.dumps(r).encode() + b"\n" for r in rows))
    assert [row[3] for row in quarantine(case)] == ["schema_missing_key"] * 2
    assert canonical(case)[0]["parse_warnings"] == ["bad_timestamp"]
    assert canonical(case)[0]["event_time_kind"] == "missing"
