"""Evaluates the detectors: attack grid, false alarms, baselines on equal windows, real runs.

    python tests/bench/bench_detection.py --quick                       about three minutes
    python tests/bench/bench_detection.py --ordinary DIR --json FILE    everything

``--ordinary`` takes simulated logs with another seed than the shipped calibration's::

    python sample_logs/make_ordinary.py --actors 3600 --seed 23 --out DIR

Without them nothing is said about the realised false-positive rate in the population that the
calibration stands for, and attackers hide among the simulator's own chatter.  Third-party
development data is found as the tests find it (``IRKIT_DEV_DATA``); without it that part is left
out.  An actor counts as found where its p-value is within the promised threshold (rank ``k*`` of
the calibration) at the error rate, or where it shows a signature.  Rates come with Clopper-Pearson
95 % intervals.  What holds for made-up actors holds for their kinds of traffic only.  Memory is
bounded by ``--batch``.  Results go to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "analyzers")]

# ruff: noqa: E402 - the two folders must be on the path before their modules are imported
from detection_harness import (
    alarms,
    classifier,
    development,
    grid,
    real_runs,
    report,
    targets,
    windows,
)
from detection_harness.families import FAMILIES, enlarge
from detection_harness.ordinary import Cover, read_logs
from detection_harness.staging import Plan, note

from irkit.analyzers.baseline import generic_baseline, load_baseline

PARTS = ("grid", "alarms", "windows", "classifier", "real")
CORPUS = HERE.parents[2] / "sample_logs" / "corpus.jsonl.gz"


def plan_of(args: argparse.Namespace) -> Plan:
    """Turn the command line into a plan."""
    quick = args.quick
    return Plan(
        baseline=args.baseline,
        logs=args.ordinary,
        corpus=CORPUS,
        data=development.folder(),
        seed=args.seed,
        repeats=args.repeats or (2 if quick else 20),
        benign=args.benign or (12 if quick else 150),
        queries=tuple(args.queries or ((30, 100) if quick else (10, 30, 100, 300, 1000))),
        dilutions=tuple(args.dilutions or ((0.0, 0.9) if quick else (0.0, 0.5, 0.9))),
        credentials=tuple(args.credentials or ((1, 5) if quick else (1, 5, 20, 100))),
        batch=args.batch,
        families=tuple(args.families or FAMILIES),
        quick=quick,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few repeats and cells")
    parser.add_argument("--ordinary", type=Path, help="held-out simulated logs")
    parser.add_argument("--baseline", type=Path, help="calibration (default: the shipped one)")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--families", nargs="+", choices=sorted(FAMILIES))
    parser.add_argument("--queries", nargs="+", type=int, help="attack queries")
    parser.add_argument("--dilutions", nargs="+", type=float, help="shares of ordinary calls")
    parser.add_argument("--credentials", nargs="+", type=int, help="credentials of an attack")
    parser.add_argument("--repeats", type=int, help="attackers per cell of up to 100 queries")
    parser.add_argument("--benign", type=int, help="actors per kind of simulated look-alike")
    parser.add_argument("--seed", type=int, default=20260301)
    parser.add_argument("--batch", type=int, default=60_000, help="calls per case")
    args = parser.parse_args(arguments)
    plan = plan_of(args)
    began = time.perf_counter()
    enlarge()
    cover = Cover(read_logs(plan.logs) if plan.logs else ())
    calibration = load_baseline(plan.baseline) if plan.baseline else generic_baseline()
    described = dict(calibration.described) if calibration else {}
    parts: dict[str, Any] = {}
    if "grid" in args.parts:
        parts["grid"] = grid.run(plan, cover)
    if "alarms" in args.parts:
        parts["alarms"] = alarms.run(plan, cover)
    if "windows" in args.parts:
        parts["windows"] = windows.run(plan, cover)
    if "classifier" in args.parts:
        parts["classifier"] = classifier.run(plan)
    if "real" in args.parts:
        parts["real"] = real_runs.run(plan.data, plan.baseline)
    names = ("grid", "windows", "alarms", "classifier")
    found = targets.table(*(parts.get(name) for name in names))
    seconds = time.perf_counter() - began
    lines = [
        f"calibration {str(described.get('sha256', 'none'))[:12]},"
        f" {described.get('actors', 0):,} actors; seed {plan.seed};"
        f" attackers hide among {'simulated logs' if cover.actors else 'made-up chatter'}"
    ]
    texts = {
        "grid": report.grid_text,
        "alarms": report.alarm_text,
        "windows": report.window_text,
        "classifier": report.classifier_text,
        "real": report.real_text,
    }
    for name, part in parts.items():
        if part is not None:
            lines += texts[name](part)
    lines += report.target_text(found)
    sys.stdout.write("\n".join(lines) + f"\n\n{seconds:.0f} s\n")
    if args.json:
        report.write_json(args.json, report.as_json(plan, described, parts, found, seconds))
        note(f"wrote {args.json}")


if __name__ == "__main__":
    main()
