"""Detection rates by attack family, dilution and number of attack queries; seeded.

    python tests/bench/bench_detection.py [--ordinary 4000] [--test 2000] [--repeats 20]

Ordinary actors calibrate, other ordinary actors measure false alarms, and every attack family is
mixed with ordinary chat at several dilutions.  An actor counts as found where its p-value is within
the promised threshold at the error rate, or where it shows a signature; it counts as *named* where
the technique is right.  Rates come with Clopper-Pearson 95 % intervals.  Actors are made up by
``analyzers_sim`` (independent of the sample incident); what holds for them holds for their kinds of
traffic only.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "analyzers"))
from analyzers_sim import ATTACKS, Sim, chatter, give_corpus, new_case, population

from irkit.analyzers import replay
from irkit.analyzers.baseline import build_baseline, load_baseline
from irkit.analyzers.calibrate import k_star

QUERIES = (5, 10, 25, 60)
DILUTIONS = (0.0, 0.5, 0.8)


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(text + "\n")


def interval(hits: int, total: int) -> str:
    """Clopper-Pearson 95 % interval, as text."""
    low = stats.beta.ppf(0.025, hits, total - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, total - hits) if hits < total else 1.0
    return f"{low:.2%} to {high:.2%}"


def mixed(kind: str, attack: int, dilution: float, seed: str) -> list[dict[str, Any]]:
    """Attack calls spread evenly through ordinary ones."""
    rng = random.Random(seed)
    bad = list(ATTACKS[kind][0](rng, attack))
    good = list(chatter(rng, round(attack * dilution / (1 - dilution))))
    out: list[dict[str, Any]] = []
    for i, call in enumerate(bad):
        out += good[i * len(good) // len(bad) : (i + 1) * len(good) // len(bad)]
        out.append(call)
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ordinary", type=int, default=4000, help="actors to calibrate on")
    parser.add_argument("--test", type=int, default=2000, help="ordinary actors to test")
    parser.add_argument("--repeats", type=int, default=20, help="attackers per cell")
    parser.add_argument("--alpha", type=float, default=1e-3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="irkit-bench-") as name:
        work = Path(name)
        with new_case(work / "b.irkit") as case:
            sim = Sim(case)
            population(sim, args.ordinary, seed=101, low=60, high=90)
            sim.flush()
            give_corpus(case, work)
            build_baseline(case, work / "b.zst")
        baseline = load_baseline(work / "b.zst")
        cells: dict[str, tuple[str, int, float]] = {}
        with new_case(work / "c.irkit", fpr=args.alpha) as case:
            sim = Sim(case)
            kinds = population(sim, args.test, seed=202, low=26, high=90)
            for kind in ATTACKS:
                for count in QUERIES:
                    for dilution in DILUTIONS:
                        for repeat in range(args.repeats):
                            unit = f"bad-{kind}-{count}-{dilution}-{repeat}"
                            cells[unit] = (kind, count, dilution)
                            sim.actor(unit, iter(mixed(kind, count, dilution, unit)))
            sim.flush()
            give_corpus(case, work)
            replay(case, baseline=work / "b.zst")
            _report(case, args.alpha, kinds, cells, baseline)


def _report(
    case: Any,
    alpha: float,
    kinds: dict[str, str],
    cells: dict[str, tuple[str, int, float]],
    baseline: Any,
) -> None:
    found = {
        unit: (technique, p, kind, size)
        for unit, technique, p, kind, size in case.rows(
            "SELECT f.unit, f.technique, f.p_value, f.p_kind, max(d.calib_n) FROM finding f"
            " JOIN detector_result d ON d.unit = f.unit AND d.unit_kind = f.unit_kind"
            " WHERE f.unit_kind = 'credential' GROUP BY ALL"
        )
    }
    sizes = [baseline.size(bucket) for bucket in (1, 5, 10, 25, 50)]

    def flagged(unit: str) -> bool:
        technique, p, kind, size = found.get(unit, ("", None, "", 0))
        if not technique or kind == "signature" or p is None:
            return kind == "signature"
        return bool(p <= k_star(size, alpha) / (size + 1) * (1 + 1e-9))

    alarms = sum(flagged(unit) for unit in kinds)
    say(f"calibrated on {min(sizes):,} to {max(sizes):,} actors per window size")
    say(
        f"false alarms at {alpha:.0e}: {alarms} of {len(kinds):,} ordinary actors"
        f" ({interval(alarms, len(kinds))})"
    )
    say(f"{'family':24}{'dilution':>9}  " + "".join(f"{n:>5} queries" for n in QUERIES))
    named = detected = 0
    for kind, (_, technique) in ATTACKS.items():
        for dilution in DILUTIONS:
            row = f"{kind:24}{dilution:>9}  "
            for count in QUERIES:
                units = [u for u, cell in cells.items() if cell == (kind, count, dilution)]
                hits = [u for u in units if flagged(u)]
                detected += len(hits)
                named += sum(found[u][0] == technique for u in hits)
                row += f"{len(hits) / len(units):>12.0%} "
            say(row)
    say(f"technique named right in {named} of {detected} detections")


if __name__ == "__main__":
    main()
