"""How many attacks on a classifier are found at a promised error rate, by attack, share and window.

    python tests/bench/bench_vectors.py [--calibrate 2400] [--ordinary 300] [--attackers 20]

Calibrates on simulated ordinary clients, then replays one case per cell: other ordinary clients
and a few attackers, each of whom hides a share of attack calls among ordinary ones.  Prints the
share of attackers whose verdict over all techniques, and whose own technique, is at or below the
rate, beside the share of ordinary clients (pooled over cells, with a Clopper-Pearson bound).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "analyzers"))
from analyzers_sim import new_case
from vectors_sim import ATTACKS, VectorSim, alike, diluted, population, steady

from irkit.analyzers import build_baseline
from irkit.analyzers.baseline import comparable, load_baseline
from irkit.analyzers.features import Features
from irkit.analyzers.fuse import TECHNIQUES
from irkit.analyzers.judge import Court, judge
from irkit.analyzers.registry import load_detectors
from irkit.analyzers.scoring import Scorer
from irkit.analyzers.sequences import units_of
from irkit.model import UnitKind

#: Attack, share of its calls, calls: a boundary walk spends 30 calls on an anchor.
CELLS = (
    *(("boundary_walk", 1.0, 300), ("boundary_walk", 0.5, 300), ("augmented_membership", 1.0, 100)),
    *(("augmented_membership", 0.5, 100), ("attribute_enumeration", 1.0, 100)),
    *(("natural_extraction", share, 100) for share in (1.0, 0.25, 0.1)),
    *(("synthetic_extraction", share, 100) for share in (1.0, 0.25, 0.1)),
)


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Command line."""
    from scipy import stats

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrate", type=int, default=2400)
    parser.add_argument("--ordinary", type=int, default=300)
    parser.add_argument("--attackers", type=int, default=20)
    parser.add_argument("--alpha", type=float, default=1e-3)
    parser.add_argument("--labels", action="store_true", help="the service returns no confidences")
    parser.add_argument(
        "--alike", action="store_true", help="all ordinary clients send the same kind of rows"
    )
    args = parser.parse_args()
    only = alike if args.alike else None
    registry = load_detectors()
    with tempfile.TemporaryDirectory(prefix="irkit-bench-") as name:
        folder, began = Path(name), time.perf_counter()
        with new_case(folder / "clean") as clean:
            sim = VectorSim(clean, scores=not args.labels)
            population(sim, args.calibrate, 1, 100, 131, only)
            sim.flush()
            described = build_baseline(clean, folder / "base.zst")
        base = load_baseline(folder / "base.zst")
        say(f"calibrated on {described['actors']:,} clients, {time.perf_counter() - began:.0f} s")
        alarms = [0, 0]
        for number, (attack, share, calls) in enumerate(CELLS):
            with new_case(folder / f"cell{number}") as case:
                sim = VectorSim(case, scores=not args.labels)
                population(sim, args.ordinary, 100 + number, 100, 131, only)
                for k in range(args.attackers):
                    client = diluted(ATTACKS[attack][0], share, only or steady)
                    sim.client(f"bad-{k:03d}", client(np.random.default_rng([number, k]), calls))
                sim.flush()
                log = Features(case)
                scorer = Scorer.of(registry, log)
                court = Court(scorer, base, frozenset(comparable(base, registry)), args.alpha)
                judged = judge(court, units_of(log.log, UnitKind.CREDENTIAL))
            names = log.log.names[UnitKind.CREDENTIAL].of(judged.units.code).to_list()
            bad = np.array([name.startswith("bad") for name in names])
            own = [str(t) for t in TECHNIQUES].index(ATTACKS[attack][1])
            hit = judged.overall <= args.alpha
            alarms = [alarms[0] + int(hit[~bad].sum()), alarms[1] + int((~bad).sum())]
            technique = judged.technique[bad, own] <= args.alpha
            right = np.nanargmin(np.nan_to_num(judged.order[bad], nan=2.0), axis=1) == own
            told = {
                s.key: round(float(np.nanmean(judged.p[bad, i] <= args.alpha)), 2)
                for i, (_, s) in enumerate(scorer.statistics)
                if (judged.p[bad, i] <= args.alpha).any()
            }
            say(
                f"{attack:22s} share {share:4.0%} of {calls}: over all {hit[bad].mean():5.0%},"
                f" technique {technique.mean():5.0%}, named right {right.mean():5.0%},"
                f" ordinary {int(hit[~bad].sum())}/{int((~bad).sum())}; {told}"
            )
        upper = stats.beta.ppf(0.95, alarms[0] + 1, alarms[1] - alarms[0])
        say(
            f"ordinary clients flagged: {alarms[0]} of {alarms[1]:,}"
            f" ({alarms[0] / alarms[1]:.2e}, upper 95 % {upper:.2e}) at {args.alpha:.0e}"
        )


if __name__ == "__main__":
    main()
