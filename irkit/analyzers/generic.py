"""Builds the generic calibration that irkit carries, from simulated ordinary actors.

The whole recipe (more than an hour on two cores, nearly all of it the simulation; the ingested case
takes about 5 GB of disk and can be given again to rebuild after a change to a detector)::

    python sample_logs/make_ordinary.py --actors 20000 --seed 7 --jobs 2 --out ORDINARY/1
    python sample_logs/make_ordinary.py --actors 3600 --seed 23 --jobs 2 --out ORDINARY/2
    python -m irkit.analyzers.generic ORDINARY sample_logs/corpus.jsonl.gz WORK.irkit

Actors of one simulation run draw their answers from one pool, so what they share is no draw of its
own: of several runs the tails of answers and of member texts differ more than actors of one run do.
The second run is there for that.

It writes ``irkit/analyzers/generic_baseline.json.zst``; the same simulation, code and settings give
the same bytes.  Actors are drawn with another seed and another half of the wording than the sample
incident's, so the sample does not calibrate itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.analyzers.baseline import GENERIC, build_baseline
from irkit.analyzers.corpus import load_corpus, match
from irkit.case import Case, fixed_clock
from irkit.case.evidence import intake
from irkit.ingest import derive_sessions, ingest

if TYPE_CHECKING:
    from collections.abc import Sequence

LABEL = "simulated ordinary actors of a fine-tuned support model"
#: The calibration does not depend on the time of its making.
_CLOCK = "2026-01-01T00:00:00Z"


def make(logs: Path, corpus: Path, work: Path, out: Path) -> dict[str, Any]:
    """Ingest and match the simulated logs (once), and write the calibration.

    Args:
        logs: directory with a folder per run of ``make_ordinary.py``.
        corpus: the training corpus that the simulated model was trained on.
        work: case to make, or one that an earlier run made from the same logs.
        out: calibration file to write.
    """
    clock = fixed_clock(_CLOCK)
    if work.exists():
        with Case.open(work, write=True, clock=clock) as case:
            return build_baseline(case, out, kind="generic", label=LABEL)
    with Case.create(work, title="generic calibration", clock=clock, synthetic=True) as case:
        intake(case, sorted(logs.rglob("*.ndjson.gz")), in_place=True)
        ingest(case)
        derive_sessions(case)
        match(case, load_corpus([corpus]))
        return build_baseline(case, out, kind="generic", label=LABEL)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name(GENERIC))
    args = parser.parse_args(arguments)
    described = make(args.logs, args.corpus, args.work, args.out)
    sys.stdout.write(json.dumps(described, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
