"""Clients of a tabular classifier: boundary walks, augmented candidates, extraction by rows.

The shipped calibration holds no classifier traffic (a loan table says nothing about a fraud table),
so this part calibrates on ordinary clients of the simulated service, as its operator would on clean
months, and tests on others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import vectors_sim as sim
from analyzers_sim import new_case

from detection_harness import metrics
from detection_harness.staging import ALPHAS, Plan, Verdict, note, scratch, verdicts
from irkit.analyzers import build_baseline, replay

#: Ordinary clients to calibrate on (twice the least, so that the two top ranks are rejected).
_CALIBRATION, _TESTED = 5000, 1500
_CALLS = (40, 70)
#: A walk takes thirty queries of one anchor.
QUERIES = (60, 300)
SHARES = (1.0, 0.5, 0.1)
FAMILIES = tuple(sim.ATTACKS)


@dataclass(slots=True)
class ClassifierResult:
    """What became of classifier clients.

    Attributes:
        attacks: (family, share, queries, scores) and, per attack, flagged per error rate and name.
        alarms: ordinary clients flagged per error rate, out of ``tested``.
    """

    attacks: list[tuple[tuple[str, float, int, bool], dict[float, bool], str]] = field(
        default_factory=list
    )
    alarms: dict[float, int] = field(default_factory=dict)
    strong: int = 0
    tested: int = 0
    calibrated: int = 0


def run(plan: Plan) -> ClassifierResult:
    """Calibrate, test ordinary clients, attack.

    A quick run calibrates on too few clients for 1e-3; only 1e-2 is then meaningful.
    """
    result = ClassifierResult()
    result.calibrated = 300 if plan.quick else _CALIBRATION
    tested = 100 if plan.quick else _TESTED
    repeats = 2 if plan.quick else max(4, plan.repeats // 2)
    with scratch() as work:
        baseline = work / "own.zst"
        note(f"classifier: calibrating on {result.calibrated} clients")
        with new_case(work / "b.irkit") as case:
            writer = sim.VectorSim(case)
            sim.population(writer, result.calibrated, plan.seed, *_CALLS)
            writer.flush()
            build_baseline(case, baseline)
        note(f"classifier: {tested} other clients")
        with new_case(work / "t.irkit", fpr=ALPHAS[0]) as case:
            writer = sim.VectorSim(case)
            sim.population(writer, tested, plan.seed + 1, *_CALLS)
            writer.flush()
            replay(case, baseline=baseline)
            found = verdicts(case)
        own = [one for (kind, _), one in found.items() if kind == "credential"]
        result.tested = tested
        result.alarms = {a: sum(any(v.flagged(a) for v in one) for one in own) for a in ALPHAS}
        result.strong = sum(any(v.tier in ("A", "B") for v in one) for one in own)
        for scores in (True, False):
            note(f"classifier: attacks, scores {'seen' if scores else 'hidden'}")
            _attack(plan, work, baseline, scores, repeats, result)
    return result


def _cells(repeats: int) -> Iterator[tuple[str, float, int, int]]:
    for family in FAMILIES:
        for share in SHARES:
            for queries in QUERIES:
                for repeat in range(repeats):
                    yield family, share, queries, repeat


def _attack(
    plan: Plan, work: Path, baseline: Path, scores: bool, repeats: int, result: ClassifierResult
) -> None:
    with new_case(work / f"a{scores:d}.irkit", fpr=ALPHAS[0]) as case:
        writer = sim.VectorSim(case, scores=scores)
        # Novelty is measured against the service's other clients, so there must be some.
        sim.population(writer, 250, plan.seed + 2, *_CALLS)
        for number, (family, share, queries, repeat) in enumerate(_cells(repeats)):
            rng = np.random.default_rng([plan.seed, 7, number])
            client = sim.diluted(sim.ATTACKS[family][0], share)
            writer.client(f"bad-{family}-{share}-{queries}-{repeat}", client(rng, queries))
        writer.flush()
        replay(case, baseline=baseline)
        found = verdicts(case)
    for family, share, queries, repeat in _cells(repeats):
        own = found.get(("credential", f"bad-{family}-{share}-{queries}-{repeat}"), [])
        flagged = {alpha: any(v.flagged(alpha) for v in own) for alpha in ALPHAS}
        named = _named(own) if flagged[ALPHAS[0]] else metrics.MISSED
        result.attacks.append(((family, share, queries, scores), flagged, named))


def _named(own: list[Verdict]) -> str:
    return next(v.technique for v in own if v.flagged(ALPHAS[0]))


def rows(result: ClassifierResult) -> list[dict[str, Any]]:
    """One row per cell."""
    out = []
    for key in dict.fromkeys(key for key, _, _ in result.attacks):
        family, share, queries, scores = key
        some = [(flagged, named) for k, flagged, named in result.attacks if k == key]
        row: dict[str, Any] = {
            "family": family,
            "technique": sim.ATTACKS[family][1],
            "share": share,
            "queries": queries,
            "scores_visible": scores,
            "attacks": len(some),
        }
        for alpha in ALPHAS:
            row[f"recall_{alpha:.0e}"] = sum(f[alpha] for f, _ in some) / len(some)
        row["named_right"] = sum(n == sim.ATTACKS[family][1] for _, n in some) / max(
            1, sum(n != metrics.MISSED for _, n in some)
        )
        out.append(row)
    return out
