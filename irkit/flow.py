"""The playbook's verbs over one core: what both faces call, and nothing a face may do itself.

Each verb takes an open :class:`~irkit.case.Case`, runs its stages in order, and leaves rows, a
custody entry and a stage mark.  A verb that was interrupted is simply run again: finished stages
with the same inputs are skipped, unfinished ones start over inside their own transactions.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit import __version__
from irkit.case import Case, Clock, Settings, evidence
from irkit.errors import PacketIncomplete, StorageError, UsageError
from irkit.model import Count, EvidenceFile, EvidenceState, Phase, Progress, Stage

if TYPE_CHECKING:
    from irkit.analyzers import ReplayReport
    from irkit.case.review import Verdict
    from irkit.ingest import FilePreview, IngestReport
    from irkit.packet import PacketResult
    from irkit.playbook import Assessment
    from irkit.scope import ScopeReport

ProgressCallback = Callable[[Progress], None]

#: The sample incident's own "now": the morning after its last request, so that the demo's clocks
#: tell a story that is still running.  Always shown as a sample clock.
SAMPLE_NOW = "2026-10-16T09:00:00+02:00"


@dataclass(frozen=True, slots=True)
class PreserveResult:
    """Files taken in, files already known, how each was read, and what no format fits."""

    intake: evidence.Intake
    ingest: IngestReport
    unknown_format: int


@dataclass(frozen=True, slots=True)
class ScopeResult:
    """Outcome of the analysis stages."""

    evidence: tuple[EvidenceFile, ...]
    replay: ReplayReport | None
    scope: ScopeReport | None
    skipped: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """Evidence states and the custody chain's length and head."""

    evidence: tuple[EvidenceFile, ...]
    custody_entries: int
    custody_head: str

    @property
    def state(self) -> EvidenceState:
        """Worst state over all files; an empty case is unverifiable, not verified."""
        states = {file.state for file in self.evidence}
        for worst in (EvidenceState.MISMATCH, EvidenceState.UNVERIFIABLE):
            if worst in states:
                return worst
        return EvidenceState.VERIFIED if states else EvidenceState.UNVERIFIABLE


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Where the sample incident's case and outputs lie, and what is in them."""

    case_path: Path
    out: Path
    summary: dict[str, Any]
    packet: PacketResult
    seconds: float


# -- preserve -----------------------------------------------------------------------------------


def preview(paths: Sequence[Path], *, mapping: Path | None = None) -> list[FilePreview]:
    """Say how each file would be read, without writing anything."""
    from irkit.ingest import dry_run

    return dry_run(paths, mapping=mapping)


def preserve(
    case: Case,
    logs: Sequence[Path],
    *,
    format_id: str | None = None,
    mapping: Path | None = None,
    in_place: bool = False,
    progress: ProgressCallback | None = None,
) -> PreserveResult:
    """Hash, copy and read logs; also picks up ingest work that was interrupted before."""
    from irkit.ingest import derive_sessions, ingest

    taken = evidence.intake(case, logs, in_place=in_place, progress=progress)
    report = ingest(case, None, format=format_id, mapping=mapping, progress=progress)
    derive_sessions(case)
    case.custody.append(
        "ingest",
        files=len(taken.added),
        already_preserved=len(taken.already_preserved),
        **_totals(case),
        settings_hash=case.settings.digest(),
    )
    unknown = case.rows("SELECT count(*) FROM quarantine WHERE error_code = 'unknown_format'")
    return PreserveResult(taken, report, int(unknown[0][0]))


def _totals(case: Case) -> dict[str, int]:
    row = case.rows(
        "SELECT coalesce(sum(entries), 0), coalesce(sum(records), 0), coalesce(sum(blanks), 0),"
        " coalesce(sum(quarantined), 0) FROM evidence_source"
    )[0]
    names = ("entries", "records", "blanks", "quarantined")
    return {name: int(value) for name, value in zip(names, row, strict=True)}


# -- scope --------------------------------------------------------------------------------------


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
    deep: bool = False,
    progress: ProgressCallback | None = None,
) -> ScopeResult:
    """Match, replay and count: from query records to findings, exposures and people.

    Inputs that are not given again are taken from the case's last run, so that a repeated
    ``irkit scope CASE`` repeats the same analysis.

    Raises:
        UsageError: the case holds no query records, or an input file is missing or wrong.
        EvidenceMismatch: evidence changed since intake; nothing is analysed.
    """
    from irkit.analyzers import replay
    from irkit.analyzers.corpus import load_corpus, match
    from irkit.scope import scope as count_people

    if not case.rows("SELECT 1 FROM query_record LIMIT 1"):
        raise UsageError(
            f"{case.path}: no query records yet", "add logs first: irkit preserve CASE LOGS..."
        )
    inputs = _remember_inputs(case, corpus, corpus_mapping, subjects, baseline)
    states = tuple(evidence.verify(case, progress=progress, strict=True))
    base: dict[str, Any] = {
        "deep": deep or case.settings.deep,
        "evidence": [file.sha256 for file in states],
        "inputs": {name: _digest_inputs(paths) for name, paths in inputs.files().items()},
        "mapping": inputs.corpus_mapping,
        "settings": case.settings.digest(),
        "version": __version__,
        "records": _totals(case),
    }
    skipped: list[Stage] = []

    loaded = load_corpus(inputs.corpus, inputs.corpus_mapping or None) if inputs.corpus else None
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
    counted = None
    with _stage(case, Stage.SCOPE, base, skipped) as go:
        if go:
            counted = count_people(
                case,
                loaded,
                subjects=inputs.subjects,
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

    def files(self) -> dict[str, list[Path]]:
        return {
            "baseline": [self.baseline] if self.baseline else [],
            "corpus": list(self.corpus),
            "subjects": [self.subjects] if self.subjects else [],
        }


def _remember_inputs(
    case: Case,
    corpus: Sequence[Path],
    corpus_mapping: dict[str, str] | None,
    subjects: Path | None,
    baseline: Path | None,
) -> _Inputs:
    last: dict[str, Any] = json.loads(case.meta("scope_inputs", "{}"))
    chosen = _Inputs(
        tuple(corpus) or tuple(Path(p) for p in last.get("corpus", [])),
        corpus_mapping if corpus_mapping is not None else last.get("corpus_mapping", {}),
        subjects or (Path(last["subjects"]) if last.get("subjects") else None),
        baseline or (Path(last["baseline"]) if last.get("baseline") else None),
    )
    for path in (path for paths in chosen.files().values() for path in paths):
        if not path.exists():
            raise UsageError(f"{path}: no such file or directory", "check the path")
    case.set_meta(
        "scope_inputs",
        json.dumps(
            {
                "baseline": str(chosen.baseline.resolve()) if chosen.baseline else None,
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


# -- assess, notify, contain, remediate ----------------------------------------------------------


def assess(case: Case, *, facts: Path | None = None) -> Assessment:
    """Severity, obligations and deadlines from what was scoped."""
    from irkit.playbook import assess as judge
    from irkit.playbook.facts import facts_from_case, load_facts

    known = load_facts(facts, case) if facts else facts_from_case(case)
    result = judge(case, facts=known)
    case.custody.append("assess", settings_hash=case.settings.digest())
    return result


def notify(
    case: Case,
    out: Path,
    *,
    phase: Phase = Phase.PRELIMINARY,
    facts: Path | None = None,
) -> PacketResult:
    """Build the notification packet of a phase.

    Raises:
        PacketIncomplete: mandatory facts of the phase are missing; the list is in the message.
        EvidenceMismatch: evidence changed since intake; no packet is built on it.
    """
    from irkit.packet import build_packet
    from irkit.playbook.facts import facts_from_case, load_facts

    evidence.verify(case, strict=True)
    known = load_facts(facts, case) if facts else facts_from_case(case)
    return build_packet(case, phase=phase, facts=known, out=out)


def contain(case: Case, out: Path) -> list[Path]:
    """Back-tested containment rules, revocation list and indicators."""
    from irkit.playbook.containment import contain as build

    return list(build(case, out))


def remediate(case: Case, out: Path) -> list[Path]:
    """Unlearning or retraining manifest and retest plan."""
    from irkit.playbook.remediation import remediate as build

    return list(build(case, out))


def export(case: Case, out: Path, *, reveal: bool = False) -> list[Path]:
    """Write the contract's export files."""
    from irkit.packet.export import export as write

    paths = write(case, out, reveal=reveal)
    if case.writable:
        case.custody.append("export", files=[path.name for path in paths], reveal=reveal)
    return paths


def status(case: Case) -> dict[str, Any]:
    """What happened, how sure it is, how long is left and what comes next, as data.

    Works on a case opened for reading: nothing is recomputed or stored.
    """
    from irkit.case import views
    from irkit.packet.export import summary
    from irkit.playbook import steps

    facts = summary(case)
    coming = views.next_deadline(case.con, case.clock())
    facts["next_deadline"] = None
    if coming is not None and coming.at is not None:
        facts["next_deadline"] = {
            "at": coming.at.isoformat(),
            "hours_left": round((coming.at - case.clock()).total_seconds() / 3600, 1),
            "regime": coming.regime,
            "rule": coming.rule,
        }
    first = next((v for v in steps(case) if v.state in ("in_progress", "open")), None)
    facts["next_step"] = {"id": first.step.id, "title": first.step.title} if first else None
    return facts


def review(case: Case, exposure_id: str, verdict: Verdict, note: str = "") -> dict[str, Count]:
    """Record a reviewer's word on an exposure and take the counts again."""
    from irkit.case.review import record_review
    from irkit.scope import recount

    record_review(case, exposure_id, verdict, note)
    return recount(case)


def explain(case: Case, finding_id: str) -> list[str]:
    """Say in sentences why an actor was flagged and what else could explain it."""
    from irkit.analyzers import explain as tell

    return tell(case, finding_id)


def catalogue(what: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What irkit knows of a kind, one row each, and the plug-ins that failed to load.

    Args:
        what: ``formats``, ``detectors``, ``regimes`` or ``steps``.
    """
    if what == "formats":
        from irkit.ingest.registry import registry

        formats = registry()
        return formats.rows(), formats.warnings()
    if what == "detectors":
        from irkit.analyzers import load_detectors

        known = load_detectors()
        return known.rows(), [f"{warning.plugin}: {warning.reason}" for warning in known.warnings]
    from irkit.playbook.engine import list_regimes, list_steps

    return (list_regimes() if what == "regimes" else list_steps()), []


def verify(case: Case, *, progress: ProgressCallback | None = None) -> VerifyResult:
    """Re-hash all evidence and check the custody chain."""
    states = tuple(evidence.verify(case, progress=progress))
    entries, head = case.custody.verify()
    return VerifyResult(states, entries, head)


# -- whole runs ---------------------------------------------------------------------------------


def batch(
    case: Case,
    logs: Sequence[Path],
    out: Path,
    *,
    corpus: Sequence[Path] = (),
    corpus_mapping: dict[str, str] | None = None,
    subjects: Path | None = None,
    baseline: Path | None = None,
    format_id: str | None = None,
    mapping: Path | None = None,
    in_place: bool = False,
    deep: bool = False,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Preserve, scope, assess and export in one go; returns the summary."""
    from irkit.packet.export import summary

    preserve(case, logs, format_id=format_id, mapping=mapping, in_place=in_place, progress=progress)
    scope(
        case,
        corpus=corpus,
        corpus_mapping=corpus_mapping,
        subjects=subjects,
        baseline=baseline,
        deep=deep,
        progress=progress,
    )
    assess(case)
    export(case, out)
    return summary(case)


def sample_dir() -> Path:
    """Directory of the sample incident: inside the installed package, or beside it in a checkout.

    Raises:
        UsageError: this installation carries no sample incident.
    """
    here = Path(__file__).parent
    for candidate in (here / "sample_logs", here.parent / "sample_logs"):
        if (candidate / "expected.json").is_file():
            return candidate
    raise UsageError("this installation carries no sample incident", "reinstall irkit")


def sample_clock() -> Clock:
    """A clock that starts at the sample incident's "now" and runs on from there."""
    start, begun = datetime.fromisoformat(SAMPLE_NOW), time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - begun)


def open_demo_case(path: Path, *, clock: Clock) -> Case:
    """Create the sample case, replacing one of an earlier demo but nothing else.

    Raises:
        UsageError: something other than a sample case lies at the path.
    """
    if path.exists():
        with Case.open(path, write=True, clock=clock) as old:
            if not old.synthetic:
                raise UsageError(f"{path}: is a real case", "give the demo another --out")
        shutil.rmtree(path)
    return Case.create(
        path, title="SAMPLE: synthetic extraction incident", clock=clock, synthetic=True
    )


def demo(case: Case, out: Path, *, progress: ProgressCallback | None = None) -> DemoResult:
    """Run the sample incident end to end into ``out``: export files and packet."""
    from irkit.playbook.facts_toml import read_facts
    from irkit.playbook.prefill import save_facts

    begun = time.monotonic()
    sample = sample_dir()
    save_facts(case, read_facts(sample / "facts.toml"))
    result = batch(
        case,
        [sample / "logs"],
        out,
        corpus=[sample / "corpus.jsonl.gz"],
        subjects=sample / "subjects.csv",
        progress=progress,
    )
    packet = notify(case, out / "packet")
    contain(case, out / "containment")
    remediate(case, out / "remediation")
    return DemoResult(case.path, out, result, packet, time.monotonic() - begun)


__all__ = [
    "DemoResult",
    "PacketIncomplete",
    "PreserveResult",
    "ScopeResult",
    "VerifyResult",
    "assess",
    "batch",
    "catalogue",
    "configure",
    "contain",
    "demo",
    "explain",
    "export",
    "make_baseline",
    "notify",
    "open_demo_case",
    "preserve",
    "preview",
    "remediate",
    "review",
    "sample_clock",
    "sample_dir",
    "scope",
    "status",
    "verify",
]
