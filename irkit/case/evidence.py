"""Evidence intake and verification: hash, copy read-only into a BagIt bag, re-hash on demand.

The bag (RFC 8493) can be checked by any BagIt tool without irkit.  Manifests are written from the
hashes taken while copying, because re-reading a terabyte to list it again would double the intake.
Archives too large to copy are *referenced in place*: hashed where they are, listed in the tag file
``referenced.jsonl``, and outside the bag's payload.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from irkit import __version__
from irkit.case.store import Case, who_am_i
from irkit.errors import EvidenceMismatch, StorageError, UsageError
from irkit.model import EvidenceFile, EvidenceState, Progress, Stage

_BLOCK = 1 << 20
#: Preserved files are recorded together up to this number ...
_TOGETHER = 500
#: ... or this many bytes, so that a large file is recorded as soon as it is preserved.
_TOGETHER_BYTES = 64 << 20
_RECORDED = (
    *("source_id", "path", "original_path", "sha256", "bytes", "mtime", "storage", "state"),
    *("checked_at", "acquired_at", "acquired_by"),
)
_SAFE = re.compile(r"[^A-Za-z0-9._-]+")

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Intake:
    """What one call of :func:`intake` did with each file it was given."""

    added: tuple[EvidenceFile, ...]
    already_preserved: tuple[str, ...]


def evidence_path(case: Case, source_id: int) -> Path:
    """Return where the preserved bytes of a source lie.

    Raises:
        UsageError: no such source in the case.
    """
    found = case.rows("SELECT path, storage FROM evidence_source WHERE source_id = ?", [source_id])
    if not found:
        raise UsageError(f"no evidence source {source_id} in {case.path}")
    path, storage = found[0]
    return case.path / "evidence" / path if storage == "copied" else Path(path)


def intake(
    case: Case,
    paths: Sequence[Path],
    *,
    in_place: bool = False,
    progress: ProgressCallback | None = None,
) -> Intake:
    """Preserve files: hash each while copying it read-only into the case.

    Args:
        case: a case opened for writing.
        paths: files, or directories whose regular files are taken in name order.
        in_place: reference instead of copying (for archives larger than the disk).
        progress: called with bytes done and in total.

    Raises:
        UsageError: a path is missing, unreadable, a link or a device.
        StorageError: the case's disk is full or not writable; files preserved before stay.
    """
    files = list(_regular_files(paths, case.path))
    total = sum(file.stat().st_size for file in files)
    done = 0
    added: list[EvidenceFile] = []
    known: list[str] = []
    row = case.rows("SELECT coalesce(max(source_id), 0) FROM evidence_source")[0]
    next_id = int(row[0]) + 1
    seen = {bytes.fromhex(row[0]) for row in case.rows("SELECT sha256 FROM evidence_source")}
    records = _Records(case)
    settings_hash = case.settings.digest()
    _write_bag_header(case)
    try:
        for file in files:
            name = f"data/{next_id:04d}-{_SAFE.sub('_', file.name)[-120:] or 'file'}"
            before = file.stat()
            if in_place:
                digest, size = _hash_file(file)
                stored, storage = str(file.resolve()), "referenced"
            else:
                digest, size = _copy(file, case.path / "evidence" / name)
                stored, storage = name, "copied"
            done += size
            if progress:
                progress(Progress(Stage.PRESERVE, done, total, "bytes", file.name))
            if bytes.fromhex(digest) in seen:
                if not in_place:
                    _remove(case.path / "evidence" / name)
                known.append(str(file))
                continue
            seen.add(bytes.fromhex(digest))
            now = case.clock().astimezone(UTC).replace(tzinfo=None)
            mtime = datetime.fromtimestamp(before.st_mtime, UTC).replace(tzinfo=None)
            records.add(
                [
                    *(next_id, stored, str(file), digest, size, mtime, storage),
                    *(EvidenceState.VERIFIED.value, now, now, who_am_i()),
                ],
                {
                    "source_id": next_id,
                    "original_path": str(file),
                    "stored": stored,
                    "storage": storage,
                    "sha256": digest,
                    "bytes": size,
                    "source_mtime": mtime.isoformat() + "Z",
                    "settings_hash": settings_hash,
                },
                size,
            )
            added.append(
                EvidenceFile(
                    next_id, stored, str(file), digest, size, storage, EvidenceState.VERIFIED
                )
            )
            next_id += 1
    finally:
        # Also after a full disk or an interrupt: what was preserved stays a valid bag.
        try:
            records.write()
        finally:
            _write_manifests(case)
    return Intake(tuple(added), tuple(known))


class _Records:
    """Rows and custody entries of preserved files, written together for many small files.

    Each durable write waits for the disk, so a million tiny files must not need a million.  The
    custody entries come first: a row without its entry would be evidence of unknown origin, while
    an entry without a row only tells that a file was preserved twice.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._rows: list[list[Any]] = []
        self._details: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: list[Any], detail: dict[str, Any], size: int) -> None:
        """Take one file; write when enough has come together."""
        self._rows.append(row)
        self._details.append(detail)
        self._bytes += size
        if len(self._rows) >= _TOGETHER or self._bytes >= _TOGETHER_BYTES:
            self.write()

    def write(self) -> None:
        """Write what was taken."""
        if not self._rows:
            return
        rows, details = self._rows, self._details
        self._rows, self._details, self._bytes = [], [], 0
        self._case.custody.append_all("preserve", details)
        # As one table: the driver spends milliseconds on each value that is bound by itself.
        import pyarrow as pa

        self._case.append(
            "evidence_source",
            pa.table({name: [row[at] for row in rows] for at, name in enumerate(_RECORDED)}),
        )


def verify(
    case: Case, *, progress: ProgressCallback | None = None, strict: bool = False
) -> list[EvidenceFile]:
    """Re-hash every preserved file and say verified, mismatch or unverifiable.

    The answer is stored when the case is open for writing.  A file that cannot be read is
    *unverifiable*, never "ok".

    Args:
        case: the case to check.
        progress: called with bytes done and in total.
        strict: raise on the first mismatch instead of only reporting it (before each stage).

    Raises:
        EvidenceMismatch: ``strict`` and a file no longer has its intake hash.
    """
    rows = case.rows(
        "SELECT source_id, path, original_path, sha256, bytes, storage FROM evidence_source"
        " ORDER BY source_id"
    )
    now = case.clock().astimezone(UTC).replace(tzinfo=None)
    total = sum(int(row[4]) for row in rows)

    def check(row: tuple[object, ...]) -> EvidenceFile:
        source_id, path, original, sha, size, storage = row
        where = case.path / "evidence" / str(path) if storage == "copied" else Path(str(path))
        try:
            digest, _ = _hash_file(where)
        except (UsageError, OSError):
            state = EvidenceState.UNVERIFIABLE
        else:
            state = EvidenceState.VERIFIED if digest == sha else EvidenceState.MISMATCH
        return EvidenceFile(
            *(int(str(source_id)), str(path), str(original), str(sha), int(str(size))),
            *(str(storage), state, now),
        )

    answers: list[EvidenceFile] = []
    done = 0
    with ThreadPoolExecutor(case.settings.worker_threads) as pool:
        for answer in pool.map(check, rows):
            answers.append(answer)
            done += answer.bytes
            if progress:
                progress(Progress(Stage.PRESERVE, done, total, "bytes", "re-hashing evidence"))
    bad = [answer for answer in answers if answer.state is not EvidenceState.VERIFIED]
    if case.writable and answers:
        case.con.executemany(
            "UPDATE evidence_source SET state = ?, checked_at = ? WHERE source_id = ?",
            [[answer.state.value, now, answer.source_id] for answer in answers],
        )
        case.custody.append(
            "verify",
            files=len(answers),
            not_verified=[{"source_id": a.source_id, "state": a.state.value} for a in bad],
        )
    mismatches = [answer for answer in bad if answer.state is EvidenceState.MISMATCH]
    if strict and mismatches:
        first = mismatches[0]
        raise EvidenceMismatch(
            f"{first.path}: preserved evidence was changed after intake"
            + (f" (and {len(mismatches) - 1} more files)" if len(mismatches) > 1 else ""),
            "nothing was analysed; restore the file from its source and see: irkit verify CASE",
        )
    return answers


# -- files ------------------------------------------------------------------------------------


def _regular_files(paths: Sequence[Path], case_path: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    inside = case_path.resolve()
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise UsageError(f"{path}: no such file or directory", "check the path")
        candidates: Iterable[Path] = (
            sorted(p for p in path.rglob("*") if not p.is_dir()) if path.is_dir() else [path]
        )
        count = 0
        for file in candidates:
            if inside in file.resolve().parents:
                continue
            mode = file.lstat().st_mode
            if not stat.S_ISREG(mode):
                raise UsageError(
                    f"{file}: not a regular file (a link, pipe or device)",
                    "give the file itself: links could point outside what was preserved",
                )
            if not os.access(file, os.R_OK):
                raise UsageError(f"{file}: no permission to read", "run as its owner")
            count += 1
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file
        if count == 0:
            raise UsageError(f"{path}: holds no files", "give the folder that has the logs")


def _open_evidence(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY), "rb", buffering=0)


def _hash_file(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    try:
        with _open_evidence(path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest(), size


def _copy(source: Path, target: Path) -> tuple[str, int]:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    digest, size = hashlib.sha256(), 0
    try:
        with _open_evidence(source) as reader, partial.open("wb") as writer:
            while block := reader.read(_BLOCK):
                digest.update(block)
                size += len(block)
                writer.write(block)
            writer.flush()
            os.fsync(writer.fileno())
        partial.chmod(0o444)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(
            f"{source}: could not be preserved in {target.parent}: {error.strerror}",
            "free some space and run the same command again; files preserved so far stay",
        ) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return digest.hexdigest(), size


def _remove(path: Path) -> None:
    path.chmod(0o644)
    path.unlink()


# -- bag --------------------------------------------------------------------------------------


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def _write_bag_header(case: Case) -> None:
    bag = case.path / "evidence"
    (bag / "data").mkdir(parents=True, exist_ok=True)
    if not (bag / "bagit.txt").exists():
        _write(bag / "bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")


def _write_manifests(case: Case) -> None:
    bag = case.path / "evidence"
    rows = case.rows(
        "SELECT path, sha256, bytes, storage, original_path FROM evidence_source ORDER BY source_id"
    )
    copied = [row for row in rows if row[3] == "copied"]
    _write(bag / "manifest-sha256.txt", "".join(f"{sha}  {path}\n" for path, sha, *_rest in copied))
    octets = sum(int(row[2]) for row in copied)
    info = (
        f"Bag-Software-Agent: irkit {__version__}\n"
        f"Bagging-Date: {case.clock().date().isoformat()}\n"
        f"Payload-Oxum: {octets}.{len(copied)}\n"
        "Internal-Sender-Description: original inference logs as received, unchanged\n"
    )
    _write(bag / "bag-info.txt", info)
    tags = ["bag-info.txt", "bagit.txt", "manifest-sha256.txt"]
    referenced = [row for row in rows if row[3] == "referenced"]
    if referenced:
        _write(
            bag / "referenced.jsonl",
            "".join(
                json.dumps({"bytes": size, "path": path, "sha256": sha}, sort_keys=True) + "\n"
                for path, sha, size, _storage, _original in referenced
            ),
        )
        tags.append("referenced.jsonl")
    _write(
        bag / "tagmanifest-sha256.txt",
        "".join(f"{_hash_file(bag / tag)[0]}  {tag}\n" for tag in tags),
    )
