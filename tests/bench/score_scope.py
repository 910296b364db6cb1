"""Score scoping of the sample incident against its ground truth.

Run: python tests/bench/score_scope.py [--logs sample_logs]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from irkit.analyzers.corpus import load_corpus
from irkit.case import Case, fixed_clock
from irkit.case.evidence import intake
from irkit.ingest import derive_sessions, ingest
from irkit.scope import scope

Hits = dict[tuple[str, int, str], list[tuple[int, int, str]]]


def main() -> None:
    """Print recall and precision of leaks and people."""
    options = argparse.ArgumentParser()
    options.add_argument("--logs", type=Path, default=Path(__file__).parents[2] / "sample_logs")
    root = options.parse_args().logs
    truth = json.loads((root / "expected.json").read_text("utf-8"))
    write = sys.stdout.write
    with tempfile.TemporaryDirectory() as folder:
        clock = fixed_clock("2026-10-16T09:00:00+02:00")
        with Case.create(Path(folder) / "sample.irkit", clock=clock, synthetic=True) as case:
            intake(case, sorted((root / "logs").iterdir()))
            ingest(case)
            derive_sessions(case)
            begin = time.perf_counter()
            corpus = load_corpus(root / "corpus.jsonl.gz")
            report = scope(case, corpus, subjects=root / "subjects.csv")
            write(f"scoped in {time.perf_counter() - begin:.1f} s\n")
            for name in ("records", "subjects"):
                count = report.counts[name]
                write(f"{name}: {count.min} / {count.best} / {count.max}\n")
            score(case, truth)


def score(case: Case, truth: dict) -> None:
    """Compare the exposure and subject tables with the ground truth."""
    write = sys.stdout.write
    found: Hits = defaultdict(list)
    for request, choice, doc, start, end, level in case.rows(
        "SELECT r.request_id, e.choice, e.doc_id, e.response_start, e.response_end, e.level"
        " FROM exposure e JOIN query_record r USING (record_id) WHERE e.provenance = 'memorised'"
    ):
        found[request, choice, doc].append((start, end, level))
    leaks = [(x["request_id"], x["choice"], x["doc_id"]) for x in truth["leaks"]]
    spans = [(x["response_start"], x["response_end"]) for x in truth["leaks"]]
    hits = sum(
        any(a <= s and e <= b and level == "V50" for a, b, level in found[key])
        for key, (s, e) in zip(leaks, spans, strict=True)
    )
    write(f"verbatim leaks of people: {hits} of {len(leaks)} found\n")
    fine = {
        (x["request_id"], x["choice"], x["doc_id"])
        for name in ("leaks", "short_leaks", "ordinary_regurgitation")
        for x in truth[name]
    }
    echoes = {(x["request_id"], x["choice"], x["doc_id"]) for x in truth["echoes"]} - fine
    wrong = sum(
        key in echoes and any(level != "typed" for *_, level in rows) for key, rows in found.items()
    )
    write(f"echoes counted as memorised: {wrong} of {len(echoes)}\n")
    one = {sid: group[0] for group in truth["same_person"] for sid in group}
    wanted = {one.get(sid, sid) for sid in truth["subjects_confirmed"]}
    got = {
        one.get(sid, sid)
        for (sid,) in case.rows("SELECT subject_id FROM subject WHERE status = 'confirmed'")
    }
    both = len(wanted & got)
    write(f"people confirmed: {len(got)}, recall {both / len(wanted):.3f},")
    write(f" precision {both / max(1, len(got)):.3f}\n")
    weaker = set(truth["subjects_weaker_only"])
    probable = {
        sid for (sid,) in case.rows("SELECT subject_id FROM subject WHERE status = 'probable'")
    }
    write(f"people with weaker exposures only: {len(weaker)}, probable {len(weaker & probable)},")
    write(f" beyond {len(probable - weaker)}\n")


if __name__ == "__main__":
    main()
