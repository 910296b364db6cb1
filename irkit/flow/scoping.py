"""Scope: from query records to findings, exposures and people; and calibration files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit import __version__
from irkit.case import Case, Clock, Settings, evidence
from irkit.case.evidence import ProgressCallback
from irkit.errors import StorageError, UsageError
from irkit.flow.gradients import analyse, split_corpus, take_in
from irkit.flow.preserving import preserve, totals
from irkit.model import EvidenceFile, Stage

if TYPE_CHECKING:
    from irkit.analyzers import ReplayReport
    from irkit.scope import ScopeReport


@dataclass(frozen=True, slots=True)
class ScopeResult:
    """Outcome of the analysis stages."""

    evidence: tuple[EvidenceFile, ...]
    replay: ReplayReport | None
    scope: ScopeReport | None
    skipped: tuple[Stage, ...]


def configure(case: Case, **changes: Any) -> None:
    """Change settings for this and later runs of the case; recorded in custody.

    Args:
        case: a case opened for writing.
        **changes: names of :class:`~irkit.case.Settings` fields; ``None`` leaves one as it is.
    """
    wanted = {name: value for name, value in changes.items() if value is not None}
    settings: Settings = replace(case.settings, **wanted)
    if settings == case.settings:
        return
    config = case.path / "case.toml"
    head = config.read_text("utf-8").split("[settings]")[0]
    try:
        config.write_text(head + settings.as_toml(), "utf-8")
    except OSError as error:
        raise StorageError(f"{config}: cannot be written: {error.strerror}") from error
    case.custody.append("configure", changed=wanted, settings_hash=settings.digest())
    case.settings = settings


def scope(
    case: Case,
    *,
    corpus: Sequence[Path] = (),
    corpus_mapping: dict[str, str] | None = None,
    subjects: Path | None = None,
    baseline: Path | None = None,
    canaries: Path | None = None,
    gradients: Sequence[Path] = (),
    deep: bool = False,
    progress: ProgressCallback | None = None,
) -> ScopeResult:
    """Match, replay and count: from query records to findings, exposures and people.

    Inputs that are not given again are taken from the case's last run, so that a repeated
    ``irkit scope CASE`` repeats the same analysis.  Gradients are evidence: they are preserved in
    the case first, and a case may hold nothing else.

    Raises:
        UsageError: the case holds no query records, or an input file is missing or wrong.
        EvidenceMismatch: evidence changed since intake; nothing is analysed.
    """
    from irkit.analyzers import d14_gradient_artifact_leakage as d14
    from irkit.analyzers import replay
    from irkit.analyzers.corpus import load_corpus, match
    from irkit.scope import scope as count_people

    if gradients:
        take_in(case, gradients, progress)
    artefacts = d14.present(case)
    if not artefacts and not case.rows("SELECT 1 FROM query_record LIMIT 1"):
        raise UsageError(
            f"{case.path}: no query records yet", "add logs first: irkit preserve CASE LOGS..."
        )
    inputs = _remember_inputs(case, corpus, corpus_mapping, subjects, baseline, canaries)
    states = tuple(evidence.verify(case, progress=progress, strict=True))
    base: dict[str, Any] = {
        "deep": deep or case.settings.deep,
        "evidence": [file.sha256 for file in states],
        "inputs": {name: _digest_inputs(paths) for name, paths in inputs.files().items()},
        "mapping": inputs.corpus_mapping,
        "settings": case.settings.digest(),
        "version": __version__,
        "records": totals(case, logs_only=True),
    }
    skipped: list[Stage] = []

    texts, numeric = split_corpus(case, inputs.corpus, inputs.corpus_mapping)
    loaded = load_corpus(texts, inputs.corpus_mapping or None) if texts else None
    with _stage(case, Stage.MATCH, base, skipped) as go:
        if go and loaded is not None:
            match(case, loaded, progress=progress)
        elif go:
            case.clear("corpus_doc", "corpus_match")
    replayed = None
    with _stage(case, Stage.REPLAY, base, skipped) as go:
        if go:
            calibration = _calibration(case, inputs, base["inputs"], progress)
            replayed = replay(case, baseline=calibration, progress=progress)
    if artefacts:
        with _stage(case, Stage.GRADIENTS, base, skipped) as go:
            if go:
                analyse(case, numeric, inputs.corpus_mapping, progress)
    counted = None
    with _stage(case, Stage.SCOPE, base, skipped) as go:
        if go:
            counted = count_people(
                case,
                loaded,
                subjects=inputs.subjects,
                canaries=inputs.canaries,
                deep=deep or case.settings.deep,
                progress=progress,
            )
    case.custody.append(
        "scope",
        inputs=base["inputs"],
        findings=int(case.rows("SELECT count(*) FROM finding")[0][0]),
        exposures=int(case.rows("SELECT count(*) FROM exposure")[0][0]),
        subjects=int(case.rows("SELECT count(*) FROM subject")[0][0]),
        settings_hash=case.settings.digest(),
    )
    return ScopeResult(states, replayed, counted, tuple(skipped))


@dataclass(frozen=True, slots=True)
class _Inputs:
    corpus: tuple[Path, ...]
    corpus_mapping: dict[str, str]
    subjects: Path | None
    baseline: Path | None
    canaries: Path | None

    def files(self) -> dict[str, list[Path]]:
        return {
            "baseline": [self.baseline] if self.baseline else [],
            "canaries": [self.canaries] if self.canaries else [],
            "corpus": list(self.corpus),
            "subjects": [self.subjects] if self.subjects else [],
        }


def _remember_inputs(
    case: Case,
    corpus: Sequence[Path],
    corpus_mapping: dict[str, str] | None,
    subjects: Path | None,
    baseline: Path | None,
    canaries: Path | None,
) -> _Inputs:
    last: dict[str, Any] = json.loads(case.meta("scope_inputs", "{}"))
    chosen = _Inputs(
        tuple(corpus) or tuple(Path(p) for p in last.get("corpus", [])),
        corpus_mapping if corpus_mapping is not None else last.get("corpus_mapping", {}),
        subjects or (Path(last["subjects"]) if last.get("subjects") else None),
        baseline or (Path(last["baseline"]) if last.get("baseline") else None),
        canaries or (Path(last["canaries"]) if last.get("canaries") else None),
    )
    for path in (path for paths in chosen.files().values() for path in paths):
        if not path.exists():
            raise UsageError(f"{path}: no such file or directory", "check the path")
    case.set_meta(
        "scope_inputs",
        json.dumps(
            {
                "baseline": str(chosen.baseline.resolve()) if chosen.baseline else None,
                "canaries": str(chosen.canaries.resolve()) if chosen.canaries else None,
                "corpus": [str(path.resolve()) for path in chosen.corpus],
                "corpus_mapping": chosen.corpus_mapping,
                "subjects": str(chosen.subjects.resolve()) if chosen.subjects else None,
            },
            sort_keys=True,
        ),
    )
    return chosen


def _digest_inputs(paths: Sequence[Path]) -> list[str]:
    files = [
        file
        for path in paths
        for file in (sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path])
    ]
    digests = []
    for file in files:
        try:
            with file.open("rb") as stream:
                digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
        except OSError as error:
            raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    return digests


@contextmanager
def _stage(
    case: Case, stage: Stage, inputs: dict[str, Any], skipped: list[Stage]
) -> Iterator[bool]:
    """Yield whether the stage has to run; mark it done when its body ends well."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
    if case.stage_done(stage, "all", digest):
        skipped.append(stage)
        yield False
        return
    yield True
    case.mark_stage(stage, "all", digest)


def _calibration(
    case: Case,
    inputs: _Inputs,
    digests: dict[str, list[str]],
    progress: ProgressCallback | None,
) -> Path | None:
    """Return a calibration file: the one given, or one made from the logs given in its place."""
    from irkit.analyzers.baseline import is_calibration

    given = inputs.baseline
    if given is None or (given.is_file() and is_calibration(given)):
        return given
    name = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:16]
    made = case.path / "baselines" / f"{name}.irkit-baseline"
    if not made.exists():
        made.parent.mkdir(exist_ok=True)
        work = made.with_suffix(".work")
        shutil.rmtree(work, ignore_errors=True)
        make_baseline(
            [given], made, corpus=inputs.corpus, work=work, clock=case.clock, progress=progress
        )
    return made


def make_baseline(
    logs: Sequence[Path],
    out: Path,
    *,
    corpus: Sequence[Path] = (),
    work: Path,
    clock: Clock,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Turn logs of ordinary traffic into a portable calibration file (no texts, no identifiers).

    Args:
        logs: clean months of logs.
        out: the file to write.
        corpus: training corpus, so that the corpus-based detectors are calibrated too.
        work: empty directory for the temporary case; removed afterwards.
        clock: source of "now" for the temporary case.
        progress: called as stages advance.
    """
    from irkit.analyzers import build_baseline
    from irkit.analyzers.corpus import load_corpus, match

    if out.exists():
        raise UsageError(f"{out}: already exists", "choose another --out file")
    with Case.create(work, title="baseline", clock=clock) as case:
        preserve(case, logs, in_place=True, progress=progress)
        if corpus:
            match(case, load_corpus(corpus), progress=progress)
        described = build_baseline(case, out)
    shutil.rmtree(work, ignore_errors=True)
    return described
