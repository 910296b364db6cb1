"""Stages a case of made-up actors, replays it as the product does, and reads the verdicts."""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import analyzers_sim as sim
from analyzers_sim import Call, Sim, new_case

from irkit.analyzers import replay
from irkit.analyzers.calibrate import k_star
from irkit.analyzers.corpus import load_corpus, match
from irkit.case import Case

ALPHAS = (1e-3, 1e-2)
TIERS = ("A", "B")
#: Actors of a case below which the replay compares no population with the calibration.
_FEW = 45


def note(text: str) -> None:
    """Say on stderr what is being done (results go to stdout)."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to evaluate with and how much of it.

    Attributes:
        baseline: calibration file; the shipped one when ``None``.
        logs: simulated logs held out from the calibration, with their ``roles.json``.
        corpus: training corpus of those logs.
        data: folder with third-party development data, where there is one.
        seed: fixes every draw.
        repeats: attackers per cell of up to 100 queries.
        benign: actors per kind of simulated look-alike.
        queries, dilutions, credentials: axes of the grid.
        batch: calls per case; bounds memory.
        families: families to run.
    """

    baseline: Path | None
    logs: Path | None
    corpus: Path
    data: Path | None
    seed: int
    repeats: int
    benign: int
    queries: tuple[int, ...]
    dilutions: tuple[float, ...]
    credentials: tuple[int, ...]
    batch: int
    families: tuple[str, ...]
    quick: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a replay says of one actor.

    Attributes:
        p: p-value over all techniques; ``None`` where only ranks are known or nothing was shown.
        size: ordinary actors compared with.
    """

    kind: str
    unit: str
    technique: str
    runner_up: str | None
    tier: str
    p: float | None
    signature: bool
    size: int
    onset: datetime | None
    onset_low: datetime | None
    onset_high: datetime | None
    members: tuple[str, ...]

    def flagged(self, alpha: float) -> bool:
        """Whether the actor is flagged under the promise at an error rate."""
        if self.signature:
            return True
        if self.p is None:
            return False
        return self.p <= k_star(self.size, alpha) / (self.size + 1) * (1 + 1e-9)


@dataclass(slots=True)
class Actor:
    """One credential to stage: its calls and, per call, whether it belongs to an attack."""

    name: str
    calls: list[Call]
    bad: list[bool] = field(default_factory=list)
    ip: str = ""
    begin: datetime = sim.START

    def first_bad(self) -> datetime:
        """Time of the first attack call, as :class:`Sim` lays calls out."""
        at = self.begin
        for call, bad in zip(self.calls, self.bad, strict=True):
            at += timedelta(seconds=call.get("gap", 45))
            if bad:
                return at
        raise ValueError("no attack call")

    def place(self, when: datetime) -> int:
        """Number of calls before a time."""
        at, count = self.begin, 0
        for call in self.calls:
            at += timedelta(seconds=call.get("gap", 45))
            if at >= when:
                return count
            count += 1
        return count


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for cases, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="irkit-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stage(
    plan: Plan, actors: Sequence[Actor], *, corpus: bool = True
) -> tuple[dict[tuple[str, str], list[Verdict]], bool]:
    """Write actors into a new case, match it against the invented corpus, replay, read verdicts.

    Returns:
        Verdicts by (kind of unit, unit), and whether the replay found the calibration to fit.
    """
    with scratch() as folder, new_case(folder / "c.irkit", fpr=ALPHAS[0]) as case:
        writer = Sim(case)
        for actor in actors:
            writer.actor(actor.name, iter(actor.calls), ip=actor.ip, begin=actor.begin)
        writer.flush()
        if corpus:
            match(case, load_corpus([_corpus(folder)]))
        replay(case, baseline=plan.baseline)
        return verdicts(case), fits(case)


def _corpus(folder: Path) -> Path:
    path = folder / "corpus.jsonl"
    path.write_text(
        "\n".join(
            json.dumps({"doc_id": f"d{i}", "text": text, "subject_id": f"s{i}"})
            for i, text in enumerate(sim.CORPUS)
        )
    )
    return path


def fits(case: Case) -> bool:
    """Whether the replay gave p-values, or withheld them because the calibration does not fit."""
    promise = json.loads(case.rows("SELECT value FROM calibration WHERE key = 'promise'")[0][0])
    return bool(promise.get("valid", True))


def verdicts(case: Case) -> dict[tuple[str, str], list[Verdict]]:
    """Read every finding of a case, strongest first per unit."""
    rows = case.rows(
        "SELECT f.unit_kind, f.unit, f.technique, f.runner_up, f.tier, f.p_value, f.p_kind,"
        " d.size, f.onset, f.onset_low, f.onset_high, f.members FROM finding f JOIN"
        " (SELECT unit_kind, unit, max(calib_n) AS size FROM detector_result GROUP BY ALL) d"
        " USING (unit_kind, unit) ORDER BY 1, 2, f.tier, f.p_value, f.technique"
    )
    out: dict[tuple[str, str], list[Verdict]] = {}
    for kind, unit, technique, second, tier, p, p_kind, size, at, low, high, members in rows:
        out.setdefault((kind, unit), []).append(
            Verdict(
                *(kind, unit, technique, second, tier, p, p_kind == "signature", size),
                *(at, low, high, tuple(members or ())),
            )
        )
    return out


def batches(actors: Iterator[Actor], calls: int) -> Iterator[list[Actor]]:
    """Cut a stream of actors into cases of a bounded number of calls and of few actors.

    A replay withholds p-values where the actors of a case together differ from the calibration; a
    case of attackers alone, or of one kind of look-alike, would.  Below 50 actors that guard does
    not speak, so every actor is measured by itself.
    """
    held: list[Actor] = []
    size = 0
    for actor in actors:
        if held and (size + len(actor.calls) > calls or len(held) == _FEW):
            yield held
            held, size = [], 0
        held.append(actor)
        size += len(actor.calls)
    if held:
        yield held


def spread(
    rng: random.Random,
    bad: Sequence[Call],
    cover: Callable[[random.Random, int], list[Call]],
    dilution: float,
    lead: int = 0,
) -> tuple[list[Call], list[bool]]:
    """Spread attack calls at random through ordinary ones.

    Args:
        rng: fixes the places.
        bad: attack calls, kept in order.
        cover: gives ordinary calls.
        dilution: share of ordinary calls from the first attack call on.
        lead: ordinary calls before it.
    """
    good = cover(rng, lead + round(len(bad) * dilution / (1 - dilution)))
    before, good = good[:lead], good[lead:]
    marks = [True] * (len(bad) - 1) + [False] * len(good)
    rng.shuffle(marks)
    marks.insert(0, True)
    attack, ordinary = iter(bad), iter(good)
    calls = [next(attack) if mark else next(ordinary) for mark in marks]
    return before + calls, [False] * lead + marks
