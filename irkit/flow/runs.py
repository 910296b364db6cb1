"""Whole runs: a batch over an archive, and the sample incident."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.case import Case, Clock
from irkit.case.evidence import ProgressCallback
from irkit.errors import UsageError
from irkit.flow.preserving import preserve
from irkit.flow.reporting import assess, contain, export, notify, remediate
from irkit.flow.scoping import scope
from irkit.model import Phase

if TYPE_CHECKING:
    from irkit.packet import PacketResult

#: The sample incident's own "now": the morning after its last request, so that the demo's clocks
#: tell a story that is still running.  Always shown as a sample clock.
SAMPLE_NOW = "2026-10-16T09:00:00+02:00"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Where the sample incident's case and outputs lie, and what is in them."""

    case_path: Path
    out: Path
    summary: dict[str, Any]
    packet: PacketResult
    seconds: float
    to_fill: tuple[str, ...] = ()


def batch(
    case: Case,
    logs: Sequence[Path],
    out: Path,
    *,
    corpus: Sequence[Path] = (),
    corpus_mapping: dict[str, str] | None = None,
    subjects: Path | None = None,
    baseline: Path | None = None,
    canaries: Path | None = None,
    format_id: str | None = None,
    mapping: Path | None = None,
    in_place: bool = False,
    gradients: Sequence[Path] = (),
    deep: bool = False,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Preserve, scope, assess and export in one go; returns the summary.

    Without logs the case is taken as it was preserved.
    """
    from irkit.packet.export import summary

    if logs:
        preserve(
            case, logs, format_id=format_id, mapping=mapping, in_place=in_place, progress=progress
        )
    scope(
        case,
        corpus=corpus,
        corpus_mapping=corpus_mapping,
        subjects=subjects,
        baseline=baseline,
        canaries=canaries,
        gradients=gradients,
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
    here = Path(__file__).parents[1]
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


def to_complete(case: Case) -> tuple[str, ...]:
    """Fields that only people can answer before the complete packet: label and key."""
    from irkit.playbook.assessment import evaluate
    from irkit.playbook.facts import completeness, facts_from_case

    facts = evaluate(case, facts_from_case(case)).facts
    return tuple(f"{g.field.label} ({g.field.key})" for g in completeness(facts, Phase.COMPLETE))


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
    return DemoResult(case.path, out, result, packet, time.monotonic() - begun, to_complete(case))
