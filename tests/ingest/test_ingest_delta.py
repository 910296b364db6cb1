"""Delta tables: what the table's own log took out stays out, and is accounted for."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_cases import assert_balanced, read

from irkit.case import Case
from irkit.ingest import dry_run, ingest
from irkit.ingest.deletion_vectors import _TO_B85, decode, read_vector, vector_file

SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": name, "type": "string", "nullable": True,
         "metadata": {"delta.columnMapping.physicalName": f"col-{number}"}}
        for number, name in enumerate(("databricks_request_id", "request_time", "status_code",
                                       "requester", "request", "response"))
    ],
}  # fmt: skip


def row(number: int) -> dict:
    return {
        "databricks_request_id": f"db-{number}",
        "request_time": f"2026-07-04T19:40:{number:02d}Z",
        "status_code": "200",
        "requester": "sp-1",
        "request": json.dumps({"messages": [{"role": "user", "content": f"question {number}"}]}),
        "response": json.dumps({"choices": [{"index": 0, "message": {"content": "a"}}]}),
    }


class Table:
    """A Delta table written by hand."""

    def __init__(self, folder: Path, *, features: list[str] | None = None, mapped: bool = False):
        self.root = folder / "payload"
        (self.root / "_delta_log").mkdir(parents=True)
        self.mapped = mapped
        self.version = 0
        meta = {"id": "t", "schemaString": json.dumps(SCHEMA), "partitionColumns": ["served"]}
        meta["configuration"] = {"delta.columnMapping.mode": "name"} if mapped else {}
        protocol = {"minReaderVersion": 3, "readerFeatures": features or []}
        self.start = [{"protocol": protocol}, {"metaData": meta}]

    def data(self, name: str, *numbers: int) -> dict:
        rows = [row(number) for number in numbers]
        if self.mapped:
            rows = [{f"col-{i}": v for i, v in enumerate(r.values())} for r in rows]
        pq.write_table(pa.Table.from_pylist(rows), self.root / name)
        return {"add": {"path": name, "partitionValues": {"served": "m1"}, "dataChange": True}}

    def commit(self, *actions: dict, operation: str = "WRITE") -> Path:
        info = {"commitInfo": {"operation": operation, "timestamp": 1783194000000}}
        path = self.root / "_delta_log" / f"{self.version:020d}.json"
        every = [info, *(self.start if self.version == 0 else []), *actions]
        path.write_text("".join(json.dumps(action) + "\n" for action in every))
        self.version += 1
        return path


def seen(case: Case) -> list[str]:
    return [r[0] for r in case.rows("SELECT request_id FROM query_record ORDER BY request_id")]


def kinds(case: Case) -> dict[str, tuple]:
    found = case.rows("SELECT original_path, format, entries, note FROM evidence_source")
    return {Path(path).name: tuple(rest) for path, *rest in found}


def remove(name: str, vector: dict | None = None) -> dict:
    return {"remove": {"path": name, "dataChange": True,
                       **({"deletionVector": vector} if vector else {})}}  # fmt: skip


def test_removed_files_stay_out_and_are_named(case, tmp_path):
    table = Table(tmp_path)
    table.commit(table.data("a b.parquet", 1, 2), table.data("old.parquet", 3))
    table.commit(remove("old.parquet"), table.data("new.parquet", 4), operation="DELETE")
    table.data("stray.parquet", 9)
    log = table.root / "_delta_log" / f"{0:020d}.json"
    log.write_text(log.read_text().replace("a b.parquet", "a%20b.parquet"))
    read(case, table.root)
    assert seen(case) == ["db-1", "db-2", "db-4"]
    found = kinds(case)
    assert found["old.parquet"][:2] == ("delta_removed", 0)
    assert "removed by version 1 (DELETE) at 2026-07-04T" in found["old.parquet"][2]
    assert found["stray.parquet"][0] == "delta_removed"
    assert found[log.name][:2] == ("delta_log", 0)
    assert case.rows("SELECT count(*) FROM quarantine") == [(0,)]


def test_dry_run_says_what_each_file_is_to_its_table(tmp_path):
    table = Table(tmp_path)
    table.commit(table.data("old.parquet", 3))
    table.commit(remove("old.parquet"), table.data("new.parquet", 4), operation="DELETE")
    previews = {Path(found.path).name: found for found in dry_run([tmp_path])}
    assert previews["new.parquet"].table == "live part of a Delta table"
    assert previews["new.parquet"].format == "databricks_inference"
    old = previews["old.parquet"]
    assert "not part of the Delta table at version 1: removed by version 1 (DELETE)" in old.table
    assert (old.format, old.sampled, old.problems) == ("", 0, ())
    assert not any("format" in line for line in old.lines())
    assert "bookkeeping" in previews[f"{1:020d}.json"].table


def test_a_version_preserved_later_takes_rows_out(case, tmp_path):
    table = Table(tmp_path)
    table.commit(table.data("a.parquet", 1), table.data("b.parquet", 2))
    read(case, table.root)
    assert seen(case) == ["db-1", "db-2"]
    table.commit(remove("a.parquet"))
    read(case, table.root)
    assert seen(case) == ["db-2"]
    assert case.rows("SELECT count(*) FROM text WHERE body = 'question 1'") == [(0,)]
    assert ingest(case).read == 0


def test_checkpoint_stands_for_the_versions_before_it(case, tmp_path):
    table = Table(tmp_path)
    table.commit(table.data("a.parquet", 1))
    table.commit(remove("a.parquet"), table.data("b.parquet", 2))
    table.commit(table.data("c.parquet", 3))
    kind = pa.struct(
        [("path", pa.string()), ("partitionValues", pa.map_(pa.string(), pa.string()))]
    )
    rows = [{"add": {"path": "b.parquet", "partitionValues": [("served", "m1")]}, "remove": None},
            {"add": None, "remove": {"path": "a.parquet"}}]  # fmt: skip
    schema = pa.schema([("add", kind), ("remove", pa.struct([("path", pa.string())]))])
    where = table.root / "_delta_log"
    pq.write_table(pa.Table.from_pylist(rows, schema), where / f"{1:020d}.checkpoint.parquet")
    for version in (0, 1):
        (where / f"{version:020d}.json").unlink()
    read(case, table.root)
    assert seen(case) == ["db-2", "db-3"]
    assert "before the log's last checkpoint" in kinds(case)["a.parquet"][2]


def test_a_gap_in_the_log_is_said_and_nothing_is_dropped(case, tmp_path):
    table = Table(tmp_path)
    table.commit(table.data("a.parquet", 1))
    table.commit(table.data("b.parquet", 2)).unlink()
    table.commit(table.data("c.parquet", 3))
    read(case, table.root)
    assert seen(case) == ["db-1", "db-2", "db-3"]
    assert "the log lacks version 1" in kinds(case)["a.parquet"][2]


def test_columns_are_named_as_in_the_table(case, tmp_path):
    table = Table(tmp_path, features=["columnMapping"], mapped=True)
    table.commit(table.data("a.parquet", 1))
    read(case, table.root)
    assert seen(case) == ["db-1"]


def test_what_irkit_cannot_read_is_refused_in_words(case, tmp_path):
    table = Table(tmp_path, features=["deletionVectors", "someNewFeature"])
    table.commit(table.data("a.parquet", 1))
    read(case, table.root)
    assert seen(case) == []
    assert "someNewFeature" in case.rows("SELECT error_text FROM quarantine")[0][0]


def packed(rows: list[int]) -> bytes:
    """A Roaring bitmap array of array containers, written from its specification."""
    out = io.BytesIO()
    highs = sorted({r >> 32 for r in rows})
    out.write(struct.pack("<IQ", 1681511377, len(highs)))
    for high in highs:
        low = [r & 0xFFFFFFFF for r in rows if r >> 32 == high]
        keys = sorted({r >> 16 for r in low})
        out.write(struct.pack("<III", high, 12346, len(keys)))
        parts = [sorted({r & 0xFFFF for r in low if r >> 16 == key}) for key in keys]
        for key, part in zip(keys, parts, strict=True):
            out.write(struct.pack("<HH", key, len(part) - 1))
        out.write(bytes(4 * len(keys)))
        for part in parts:
            out.write(np.array(part, "<u2").tobytes())
    return out.getvalue()


def inline(rows: list[int]) -> dict:
    data = packed(rows)
    padded = data + bytes(-len(data) % 4)
    back = {new: old for old, new in _TO_B85.items()}
    text = base64.b85encode(padded).decode().translate(back)
    return {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data),
            "cardinality": len(rows)}  # fmt: skip


@pytest.mark.parametrize("place", ["inline", "file", "lost"])
def test_deleted_rows_stay_out(case, tmp_path, place):
    table = Table(tmp_path, features=["deletionVectors"])
    first = table.data("a.parquet", 1, 2, 3, 4)
    table.commit(first)
    vector = inline([0, 2])
    if place != "inline":
        data = packed([0, 2])
        name = "ab^-aqEH.-t@S}K{vb[*k^"
        vector = {"storageType": "u", "pathOrInlineDv": name[2:], "offset": 1,
                  "sizeInBytes": len(data), "cardinality": 2}  # fmt: skip
        if place == "file":
            blob = b"\1" + struct.pack(">I", len(data)) + data + struct.pack(">I", zlib.crc32(data))
            (table.root / vector_file(vector)).write_bytes(blob)
    table.commit(remove("a.parquet"), {"add": {**first["add"], "deletionVector": vector}},
                 operation="DELETE")  # fmt: skip
    read(case, table.root)
    assert_balanced(case)
    if place == "lost":
        assert seen(case) == []
        assert "was not preserved" in case.rows("SELECT error_text FROM quarantine")[0][0]
    else:
        assert seen(case) == ["db-2", "db-4"]
        assert "2 rows deleted" in kinds(case)["a.parquet"][2]
        assert case.rows("SELECT entry_no FROM query_record ORDER BY 1") == [(2,), (4,)]


@given(st.sets(st.integers(0, 1 << 34), max_size=60))
@settings(max_examples=60, deadline=None)
def test_bitmaps_give_their_numbers_back(rows):
    assert decode(packed(sorted(rows))).tolist() == sorted(rows)
    vector = inline(sorted(rows))
    assert read_vector(vector, None).tolist() == sorted(rows)


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=100, deadline=None)
def test_damaged_bitmaps_are_refused(noise, headed):
    data = (packed([1, 70_000])[:20] if headed else b"") + noise
    try:
        assert len(decode(data)) <= 1 << 24
    except ValueError:
        pass


def test_runs_and_bit_sets_written_by_another_library():
    """Run, array and bit-set containers as CRoaring writes them (portable 64-bit form)."""
    data = zlib.decompress(base64.b64decode(CROARING))
    expected = [*range(100, 5000), *range(70_000, 90_000, 2), (1 << 33) + 5]
    assert decode(struct.pack("<I", 1681511377) + data).tolist() == expected


CROARING = (
    "eNrt2rEJgEAAA8D8g7WCI1jYWuscbuD+M/ja2NqKdxDICClS89iWkpJMY0k/lxytBV7bAQD4HCsWAAAAAP6itqxLrl"
    "vAbWjpcgICJkA7"
)
