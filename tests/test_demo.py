"""The sample incident end to end, scored against its ground truth, and repeated byte for byte."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from irkit import flow
from irkit.packet.export import FILES
from irkit.selftest import detectors, score


def demo(out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "irkit", "demo", "--headless", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    out = tmp_path_factory.mktemp("demo") / "first"
    return out, demo(out)


@pytest.fixture(scope="module")
def expected():
    return json.loads((flow.sample_dir() / "expected.json").read_text("utf-8"))


def lines(path: Path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_demo_leaves_export_packet_and_case(first):
    out, done = first
    assert done.returncode == 0, done.stderr
    for name in (*FILES, "packet/packet.pdf", "packet/packet.json", "sample.irkit/case.duckdb"):
        assert (out / name).is_file(), name
    assert "Traceback" not in done.stderr


def test_every_promise_holds_on_the_ground_truth(first, expected):
    report = score(expected, first[0], detectors())
    assert report.passed, "\n".join(report.lines())


def test_score_notices_broken_detection_and_counting(first, expected, tmp_path):
    """The scoring itself can fail: without findings, without exposures, and with echoes counted."""
    for name in FILES:
        (tmp_path / name).write_bytes((first[0] / name).read_bytes())
    (tmp_path / "findings.jsonl").write_text("")
    rows = lines(tmp_path / "exposures.jsonl")
    for row in rows:
        row["provenance"] = "memorised" if row["provenance"] == "echo" else "echo"
    (tmp_path / "exposures.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "subjects.jsonl").write_text("")
    failed = {a.name for a in score(expected, tmp_path, detectors()).assertions if not a.held}
    assert {"attack prefix_probing", "verbatim leaks", "echoes", "people recalled"} <= failed


def test_retrieval_application_has_no_memorised_exposure_from_what_it_retrieved(first, expected):
    rag = {r["credential"] for r in expected["ordinary_credentials"] if r["role"] == "rag"}
    assert rag
    truly = {(row["request_id"], row["doc_id"]) for row in expected["leaks"]}
    rows = [
        row
        for row in lines(first[0] / "exposures.jsonl")
        if row["credential"] in rag and row["provenance"] == "memorised" and row["subject_keys"]
    ]
    assert {(row["request_id"], row["doc_id"]) for row in rows} <= truly


def test_export_keys_follow_the_contract(first):
    contract = {
        "findings.jsonl": "finding_id unit_kind unit members technique profile atlas nist_aml owasp"
        " tier p_value p_kind score onset onset_low onset_high last_seen queries detectors"
        " evidence_request_ids",
        "exposures.jsonl": "exposure_id request_id credential time provenance level doc_id"
        " response_start response_end matched_chars subject_keys entity_types value_masked",
        "subjects.jsonl": "subject_key subject_id status categories special_category countries"
        " exposures first_exposed last_exposed",
    }
    for name, keys in contract.items():
        rows = lines(first[0] / name)
        assert rows, name
        for row in rows:
            assert set(keys.split()) <= set(row), name
            assert list(row) == sorted(row)
    for finding in lines(first[0] / "findings.jsonl"):
        assert finding["detectors"]
        for detector in finding["detectors"]:
            assert set(detector) == {"name", "status", "statistic", "p_value", "summary"}
        for key in ("onset", "last_seen"):
            assert finding[key].endswith("Z")


def test_second_run_is_byte_identical(first, tmp_path):
    again = tmp_path / "again"
    assert demo(again).returncode == 0
    for name in (*FILES, "packet/packet.json", "packet/packet.pdf"):
        one, two = (
            hashlib.sha256((root / name).read_bytes()).hexdigest() for root in (first[0], again)
        )
        assert one == two, name


def test_packet_verifies_and_a_changed_one_does_not(first, tmp_path):
    packet = first[0] / "packet"
    assert flow_verify(packet).returncode == 0
    for file in packet.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    pdf = tmp_path / "packet.pdf"
    raw = bytearray(pdf.read_bytes())
    raw[len(raw) // 2] ^= 1
    pdf.write_bytes(bytes(raw))
    assert flow_verify(tmp_path).returncode == 3


def flow_verify(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "irkit", "verify", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_leaked_address_or_phone_stands_in_clear_in_any_output(first):
    """Everything but the case itself: exports, packet JSON and annexes carry masks only."""
    with (flow.sample_dir() / "subjects.csv").open(encoding="utf-8", newline="") as register:
        people = [row for row in csv.DictReader(register) if row.get("email")]
    values = {row[column] for row in people for column in ("email", "phone", "iban") if row[column]}
    assert len(values) > 400
    for path in first[0].rglob("*"):
        if not path.is_file() or "sample.irkit" in path.parts or path.suffix == ".pdf":
            continue
        text = path.read_text("utf-8", errors="replace")
        shown = sum(value in text for value in values)
        assert not shown, f"{path.name} shows {shown} personal values"
