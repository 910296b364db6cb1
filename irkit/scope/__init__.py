"""Which records came out, of whom: from matches and identifiers to exposures and people.

:func:`scope` fills ``entity``, ``exposure``, ``exposure_subject``, ``subject`` and ``scope_count``
from what :func:`irkit.analyzers.corpus.match` stored and the responses say.  It is deterministic
and idempotent: running it again rebuilds the same rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from irkit.analyzers.corpus import match
from irkit.analyzers.corpus_files import Corpus
from irkit.errors import UsageError
from irkit.model import Count, Progress, Stage

if TYPE_CHECKING:
    from irkit.case import Case

__all__ = ["ScopeReport", "draw_sample", "notes", "recount", "scope"]


@dataclass(frozen=True, slots=True)
class ScopeReport:
    """What scoping found.

    Attributes:
        counts: minimum, best estimate and maximum by name; ``records`` and ``subjects`` matter.
        exposures: exposure rows by provenance.
        entities: entity rows.
        scanned: unique responses that the NER model read, at least in part.
        with_corpus: whether a corpus was given.
        notes: limits of this run, in words.
    """

    counts: dict[str, Count]
    exposures: dict[str, int]
    entities: int
    scanned: int
    with_corpus: bool
    notes: tuple[str, ...]

    def detail(self) -> dict[str, object]:
        """Form in which the report is stored with the finished stage."""
        return {
            "counts": {n: [c.min, c.best, c.max, c.method] for n, c in self.counts.items()},
            "exposures": self.exposures,
            "entities": self.entities,
            "scanned": self.scanned,
            "with_corpus": self.with_corpus,
            "notes": list(self.notes),
        }


def scope(
    case: Case,
    corpus: Corpus | None,
    *,
    subjects: Path | None = None,
    canaries: Path | None = None,
    deep: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> ScopeReport:
    """Scope the leak.

    Args:
        case: a case with ingested records; findings, if any, tell whose responses are read closely.
        corpus: the training corpus; without one nothing is confirmed but by a reviewer.
        subjects: register of the data subjects (CSV, Parquet or JSON Lines).
        canaries: values planted in the training data (a table, or plain text).
        deep: let the NER model read every response, not only those that can matter.
        progress: told how far the work is.

    Raises:
        UsageError: the corpus or the register cannot be read, or the NER model is missing.
    """
    from irkit.scope.run import run

    if corpus is not None:
        match(case, corpus, progress=progress)
    inputs = _inputs(case, corpus, (subjects, canaries), deep)
    if case.stage_done(Stage.SCOPE, "scope", inputs):
        stored = _stored(case)
        rows = case.rows("SELECT count(*) FROM exposure")[0][0]
        if rows == sum(stored.exposures.values()):
            return stored
    if corpus is None:
        with case.transaction():
            case.clear("corpus_doc", "corpus_match")
            case.con.execute("DELETE FROM stage_progress WHERE stage = ?", [Stage.MATCH.value])
    return run(
        case,
        corpus,
        subjects=subjects,
        canaries=canaries,
        deep=deep,
        progress=progress,
        inputs=inputs,
    )


def recount(case: Case) -> dict[str, Count]:
    """Count again after a reviewer confirmed or rejected exposures."""
    from irkit.scope.counts import count_all

    with_corpus = bool(case.rows("SELECT 1 FROM corpus_doc LIMIT 1"))
    with case.transaction():
        return count_all(case, with_corpus=with_corpus)


def draw_sample(case: Case, size: int) -> int:
    """Draw exposures for a sampled review, ``size`` per stratum; see :mod:`irkit.scope.sampling`.

    Returns:
        Number of exposures to judge.

    Raises:
        UsageError: the case was not scoped yet.
    """
    from irkit.scope.sampling import draw

    if not case.rows("SELECT 1 FROM stage_progress WHERE stage = ?", [Stage.SCOPE.value]):
        raise UsageError(f"{case.path.name}: nothing was scoped yet", "run irkit scope first")
    return draw(case, size)


def notes(case: Case) -> tuple[str, ...]:
    """Return what the last scoping could not look at, in words."""
    if not case.rows(
        "SELECT 1 FROM stage_progress WHERE stage = ? AND item = 'scope'", [Stage.SCOPE.value]
    ):
        return ()
    return _stored(case).notes


def _inputs(case: Case, corpus: Corpus | None, tables: tuple[Path | None, ...], deep: bool) -> str:
    digest = hashlib.sha256(f"{case.settings.digest()} {deep} 2\n".encode())
    digest.update((corpus.fingerprint() if corpus is not None else "no corpus").encode())
    for path in tables:
        from irkit.analyzers.corpus_readers import opened

        if path is None:
            digest.update(b"none")
            continue
        with opened(path) as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())  # type: ignore[arg-type]
    # What records, texts and findings there are.
    for sql in (
        "SELECT count(*), coalesce(bit_xor(hash(record_id, response_text_id, prompt_text_id,"
        " duplicate_of)), 0)::VARCHAR FROM query_record",
        "SELECT count(*), coalesce(bit_xor(hash(finding_id, unit, tier)), 0)::VARCHAR FROM finding",
        "SELECT count(*), coalesce(bit_xor(hash(source_id, item, doc_id, subject_id, sure)),"
        " 0)::VARCHAR FROM gradient_match",
    ):
        digest.update(repr(case.rows(sql)).encode())
    return digest.hexdigest()


def _stored(case: Case) -> ScopeReport:
    found = case.rows(
        "SELECT detail FROM stage_progress WHERE stage = ? AND item = 'scope'", [Stage.SCOPE.value]
    )
    detail = json.loads(found[0][0])
    return ScopeReport(
        counts={name: Count(*values) for name, values in detail["counts"].items()},
        exposures=detail["exposures"],
        entities=detail["entities"],
        scanned=detail["scanned"],
        with_corpus=detail["with_corpus"],
        notes=tuple(detail["notes"]),
    )
