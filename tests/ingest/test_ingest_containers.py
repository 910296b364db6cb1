"""Archives and compression: every member is read in place, bounded, and accounted for."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_cases import assert_balanced, quarantine, read_bytes

from irkit.case import Case, Settings, views
from irkit.ingest import framing
from irkit.ingest.archives import tar_members
from irkit.ingest.containers import sniff
from irkit.ingest.framing import SourceReader


def call(number: int) -> dict:
    return {
        "ts": f"2026-10-05T10:{number // 60:02d}:{number % 60:02d}Z",
        "request_id": f"q-{number}",
        "request": {"model": "m", "messages": [{"role": "user", "content": f"question {number}"}]},
        "response": {"choices": [{"index": 0, "message": {"content": "a"}}]},
    }


def log(*numbers: int) -> bytes:
    return b"".join(json.dumps(call(n)).encode() + b"\n" for n in numbers)


def tar(members: dict[str, bytes], mode: str = "w", style: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=style) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def parquet(*numbers: int) -> bytes:
    rows = [{k: json.dumps(v) if k in ("request", "response") else v for k, v in call(n).items()}
            for n in numbers]  # fmt: skip
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def seen(case: Case) -> list[str]:
    return [row[0] for row in case.rows("SELECT request_id FROM query_record ORDER BY entry_no")]


ONE = log(1, 2)
TWO = log(3)
BOTH = ["q-1", "q-2", "q-3"]
MEMBERS = {"a/one.json": ONE, "b/two.json": TWO}
PACKED = {
    "gzip members": gzip.compress(ONE) + gzip.compress(TWO),
    "zstd frames": zstd(ONE) + zstd(TWO),
    "bzip2 streams": bz2.compress(ONE) + bz2.compress(TWO),
    "xz streams": lzma.compress(ONE) + lzma.compress(TWO),
    "tar": tar(MEMBERS),
    "tar.gz": gzip.compress(tar(MEMBERS)),
    "tar.zst": zstd(tar(MEMBERS)),
    "tar.bz2": bz2.compress(tar(MEMBERS)),
    "tar.xz": lzma.compress(tar(MEMBERS)),
    "zip": zipped(MEMBERS),
    "gnu long names": tar({"d/" * 90 + n: d for n, d in MEMBERS.items()}, style=tarfile.GNU_FORMAT),
    "pax long names": tar({"d/" * 90 + n: d for n, d in MEMBERS.items()}),
    "compressed members": tar({"1.gz": gzip.compress(ONE), "2.zst": zstd(TWO)}),
    "tar.gz in zip": zipped({"x.tar.gz": gzip.compress(tar(MEMBERS))}),
    "zip in tar.gz": gzip.compress(tar({"x.zip": zipped(MEMBERS)})),
    "parquet in zip": zipped({"a.json": ONE, "b.parquet": parquet(3)}),
    "array and csv-less array": tar({"a.json": ONE, "b.json": json.dumps([call(3)]).encode()}),
}


@pytest.mark.parametrize("name", PACKED)
def test_everything_inside_is_read(case, tmp_path, name):
    read_bytes(case, tmp_path, "log.bin", PACKED[name])
    assert seen(case) == BOTH
    assert quarantine(case) == []


def test_members_are_listed_with_their_entries(case, tmp_path):
    bad = b"{broken\n" + log(4)
    inner = gzip.compress(tar({"two.json": bad}))
    read_bytes(case, tmp_path, "all.zip", zipped({"../../etc/one.json": ONE, "deep.tgz": inner}))
    members = case.rows("SELECT name, first_entry, entries FROM evidence_member ORDER BY 2, 1")
    assert ("../../etc/one.json", 1, 2) in members
    assert ("deep.tgz!/two.json", 3, 2) in members
    assert not (tmp_path.parent / "etc").exists()
    assert [(row[0], row[1], row[3]) for row in quarantine(case)] == [(3, 0, "bad_json")]
    view = views.quarantine(case.con).rows[0]
    assert view.member == "deep.tgz!/two.json"


@pytest.mark.parametrize(
    ("data", "code", "good"),
    [
        (gzip.compress(tar(MEMBERS))[:-40], "truncated_container", None),
        (tar(MEMBERS)[:700], "truncated_container", 0),
        (zipped(MEMBERS)[:-8], "truncated_container", 0),
        (tar({"a.json": ONE, "x.pdf": b"%PDF-1.7 ..."}), "unknown_format", 2),
        (zipped({"a.json": ONE, "db": b"SQLite format 3\0" + bytes(600)}), "unknown_format", 2),
    ],
    # Bytes of archives hold the time of day, so parallel workers would see different names.
    ids=["cut tar.gz", "cut tar", "cut zip", "document in tar", "database in zip"],
)
def test_what_cannot_be_read_is_said(case, tmp_path, data, code, good):
    read_bytes(case, tmp_path, "x", data)
    assert code in [row[3] for row in quarantine(case)]
    if good is not None:
        assert len(seen(case)) == good


def test_encrypted_member_is_named_and_the_others_are_read(case, tmp_path):
    data = bytearray(zipped({"a.json": ONE, "secret.json": TWO}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(mark) + at] |= 1
    read_bytes(case, tmp_path, "x.zip", bytes(data))
    assert seen(case) == ["q-1", "q-2"]
    assert [row[3] for row in quarantine(case)] == ["encrypted"]


def test_damaged_member_costs_only_itself(case, tmp_path):
    data = bytearray(zipped({"a.json": ONE, "b.json": log(*range(50, 90)), "c.json": TWO}))
    second = data.index(b"b.json")
    data[second + 40 : second + 60] = bytes(20)
    read_bytes(case, tmp_path, "x.zip", bytes(data))
    assert set(BOTH) <= set(seen(case))
    assert "truncated_container" in [row[3] for row in quarantine(case)]


def test_bombs_are_stopped(tmp_path, clock, monkeypatch):
    monkeypatch.setattr("irkit.ingest.framing.BOMB_FLOOR", 1 << 20)
    monkeypatch.setattr("irkit.ingest.containers.BOMB_FLOOR", 1 << 20)
    line = json.dumps({"x": "A" * 1000}).encode() + b"\n"
    flat = zipped({f"{n}.json": line * 2000 for n in range(4)})
    nested = zipped({"in.zip": zipped({"in.gz": gzip.compress(line * 4000)})})
    small = Settings(max_expand_ratio=20)
    for number, data in enumerate((flat, nested)):
        with Case.create(tmp_path / f"{number}.irkit", clock=clock, settings=small) as case:
            read_bytes(case, tmp_path, f"{number}.zip", data)
            assert "bomb" in [row[3] for row in quarantine(case)]
            read = case.rows("SELECT entries FROM evidence_source")[0][0]
            assert read < 4000


def test_archives_deeper_than_allowed_are_not_opened(case, tmp_path):
    data = ONE
    for _ in range(8):
        data = tar({"in.tar": data})
    read_bytes(case, tmp_path, "x.tar", data)
    assert seen(case) == []
    assert [row[3] for row in quarantine(case)] == ["too_deep"]


def test_links_devices_and_directories_are_skipped(case, tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("odd")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("a.json")
        info.size = len(ONE)
        archive.addfile(info, io.BytesIO(ONE))
    read_bytes(case, tmp_path, "x.tar", out.getvalue())
    assert seen(case) == ["q-1", "q-2"]


def test_a_long_list_of_members_is_cut(case, tmp_path, monkeypatch):
    monkeypatch.setattr(framing, "MAX_LISTED", 3)
    monkeypatch.setattr(framing, "MAX_MEMBERS", 5)
    read_bytes(case, tmp_path, "x.tar", tar({f"{n}.json": log(n) for n in range(9)}))
    assert len(seen(case)) == 5
    assert case.rows("SELECT count(*) FROM evidence_member") == [(3,)]
    assert [row[3] for row in quarantine(case)] == ["bomb"]


@given(
    st.sampled_from(sorted(PACKED)),
    st.lists(
        st.tuples(st.sampled_from(["flip", "cut", "insert", "delete"]), st.integers(0, 1 << 20),
                  st.binary(min_size=1, max_size=8)),
        min_size=1, max_size=4,
    ),
)  # fmt: skip
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_archives_never_crash_and_number_every_entry_once(tmp_path, name, changes):
    data = bytearray(PACKED[name])
    for kind, place, piece in changes:
        at = place % (len(data) + 1)
        if kind == "flip":
            data[at : at + len(piece)] = piece
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = piece
        else:
            del data[at : at + len(piece) * 20]
    path = tmp_path / "x"
    path.write_bytes(bytes(data))
    reader = SourceReader(1, path, "0" * 64, Settings(max_line_mb=1))
    numbers: list[int] = []
    for chunk in reader.chunks():
        numbers += chunk.entry_no.tolist()
        numbers += [row.entry_no for row in chunk.rejects]
    assert len(set(numbers)) == len(numbers)


@given(st.binary(max_size=4096), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_a_tar_or_none(noise, start):
    data = tar(MEMBERS)[: start * 512] + noise
    for member in tar_members(io.BytesIO(data)):
        assert len(member.stream.read()) <= len(data)


def test_every_entry_of_an_archive_adds_up(case, tmp_path):
    mixed = {"a": ONE + b"\n\n{bad\n", "b": b"", "c": b"[1, 2]", "d": gzip.compress(ONE)[:-5]}
    read_bytes(case, tmp_path, "x.tar", tar(mixed))
    assert_balanced(case)
    assert case.rows("SELECT note FROM evidence_source") == [("archive of 4 members",)]


def field(number: int, value: bytes) -> bytes:
    size, length = len(value), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value


def otlp(key: bytes = b"service.name") -> bytes:
    attribute = field(1, field(1, key) + field(2, field(1, b"gateway")))
    return field(1, field(1, attribute) + field(2, field(2, b"\x0a\x05chat!" * 40)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (otlp(), "OTLP in protobuf: not read; convert it to OTLP in JSON"),
        (len(otlp()).to_bytes(4, "big") + otlp(), "OTLP in protobuf"),
        (field(1, otlp())[1:], "OTLP in protobuf"),
        (gzip.compress(otlp(b"telemetry.sdk.language")), "OTLP in protobuf"),
        (b"SQLite format 3\0" + bytes(600), "export its tables as JSON or CSV"),
        (bytes(8) + b"DUCK" + bytes(600), "DuckDB database: not read; export its tables"),
        (b"Obj\x01" + bytes(99), "convert it to Parquet or JSON"),
    ],
    ids=["otlp", "length first", "varint first", "packed", "sqlite", "duckdb", "avro"],
)
def test_files_that_must_be_converted_are_named_with_what_to_do(case, tmp_path, data, words):
    read_bytes(case, tmp_path, "export.pb", data)
    found = case.rows("SELECT error_code, error_text FROM quarantine")
    assert len(found) == 1
    assert found[0][0] == "unknown_format"
    assert words in found[0][1]


@given(st.text(max_size=60), st.sampled_from(["", "\n", "\n\n\n\n\n\n\n\n", "\n\r\n\n{"]))
def test_no_text_is_taken_for_protobuf(text, lead):
    printable = (lead + text.replace("\x12", "")).encode("utf-8", "surrogatepass")
    assert sniff(printable)[1] != "OTLP in protobuf"
