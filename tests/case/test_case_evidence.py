from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import bagit
import pytest

from irkit.case import Case, evidence
from irkit.errors import EvidenceMismatch, ExitCode, StorageError, UsageError
from irkit.model import EvidenceState


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "b.jsonl").write_bytes(b'{"b":1}\n')
    (folder / "a weird näme.jsonl").write_bytes(b'{"a":1}\n')
    return folder


def test_intake_copies_read_only_with_hashes_and_a_valid_bag(case, logs):
    taken = evidence.intake(case, [logs])
    assert [item.source_id for item in taken.added] == [1, 2]
    for item in taken.added:
        path = evidence.evidence_path(case, item.source_id)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == item.sha256
        assert path.stat().st_mode & 0o222 == 0
    assert bagit.Bag(str(case.path / "evidence")).is_valid()
    actions = [entry.action for entry in case.custody.entries()]
    assert actions == ["new", "preserve", "preserve"]


def test_bag_stays_valid_after_a_second_intake_and_duplicates_are_named(case, logs, tmp_path):
    evidence.intake(case, [logs])
    more = tmp_path / "more.jsonl"
    more.write_bytes(b'{"c":1}\n')
    again = evidence.intake(case, [logs / "b.jsonl", more])
    assert [item.original_path for item in again.added] == [str(more)]
    assert again.already_preserved == (str(logs / "b.jsonl"),)
    assert bagit.Bag(str(case.path / "evidence")).is_valid()
    assert len(list((case.path / "evidence" / "data").iterdir())) == 3


def test_verify_tells_the_three_states_apart(case, logs):
    evidence.intake(case, [logs])
    assert {f.state for f in evidence.verify(case)} == {EvidenceState.VERIFIED}
    first, second = (evidence.evidence_path(case, n) for n in (1, 2))
    first.chmod(0o644)
    first.write_bytes(b'{"a":2}\n')
    second.chmod(0o644)
    second.unlink()
    states = {f.source_id: f.state for f in evidence.verify(case)}
    assert states == {1: EvidenceState.MISMATCH, 2: EvidenceState.UNVERIFIABLE}
    assert case.rows("SELECT state FROM evidence_source ORDER BY source_id") == [
        ("mismatch",),
        ("unverifiable",),
    ]
    with pytest.raises(EvidenceMismatch) as caught:
        evidence.verify(case, strict=True)
    assert caught.value.code is ExitCode.MISMATCH


def test_in_place_reference_is_hashed_and_listed_outside_the_payload(case, logs):
    taken = evidence.intake(case, [logs / "b.jsonl"], in_place=True)
    assert taken.added[0].storage == "referenced"
    assert evidence.evidence_path(case, 1) == (logs / "b.jsonl").resolve()
    listed = json.loads((case.path / "evidence" / "referenced.jsonl").read_text())
    assert listed["sha256"] == taken.added[0].sha256
    assert bagit.Bag(str(case.path / "evidence")).is_valid()
    (logs / "b.jsonl").unlink()
    assert evidence.verify(case)[0].state is EvidenceState.UNVERIFIABLE


@pytest.mark.parametrize("make", ["missing", "link", "pipe", "empty"])
def test_what_cannot_be_preserved_is_refused_by_name(case, tmp_path, make):
    target = tmp_path / make
    if make == "link":
        target.symlink_to("/etc/hostname")
    elif make == "pipe":
        os.mkfifo(target)
    elif make == "empty":
        target.mkdir()
    with pytest.raises(UsageError) as caught:
        evidence.intake(case, [target])
    assert str(target) in caught.value.message
    assert case.rows("SELECT count(*) FROM evidence_source") == [(0,)]


def test_full_disk_keeps_what_was_preserved_and_says_what_to_do(case, logs, monkeypatch):
    real, calls = os.fsync, []

    def full(fd):
        calls.append(fd)
        # Custody entries are flushed too: fail on the second evidence file only.
        if str(Path(f"/proc/self/fd/{fd}").readlink()).endswith("0002-b.jsonl.partial"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as caught:
        evidence.intake(case, [logs])
    assert "No space left" in caught.value.message
    assert calls
    assert case.rows("SELECT count(*) FROM evidence_source") == [(1,)]
    assert not list((case.path / "evidence" / "data").glob("*.partial"))
    monkeypatch.undo()
    assert len(evidence.intake(case, [logs]).added) == 1


def test_interrupt_leaves_a_case_that_opens(case, logs, monkeypatch, clock):
    def stop(*_args):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evidence.intake(case, [logs], progress=stop)
    path = case.path
    case.close()
    with Case.open(path, write=True, clock=clock) as again:
        assert len(evidence.intake(again, [logs]).added) == 2
        assert {f.state for f in evidence.verify(again)} == {EvidenceState.VERIFIED}


def test_many_small_files_are_recorded_together(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "_TOGETHER", 4)
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(10):
        (logs / f"{number}.json").write_text(str(number % 9))
    with Case.create(tmp_path / "m.irkit") as case:
        found = evidence.intake(case, [logs])
        rows = case.rows("SELECT source_id, sha256 FROM evidence_source ORDER BY source_id")
        entries = [entry for entry in case.custody.entries() if entry.action == "preserve"]
        assert len(found.already_preserved) == 1
        assert [row[0] for row in rows] == list(range(1, 10))
        assert [(e.detail["source_id"], e.detail["sha256"]) for e in entries] == rows
        assert evidence.intake(case, [logs]).added == ()
