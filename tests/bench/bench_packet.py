"""Building the packet of a big case, stage by stage, in seconds of wall clock and CPU.

The case is written straight into its tables by SQL: by default one million calls, 100,000
exposures of 40,000 people, 20 flagged actors.  The baseline is what a single pass over the same
tables costs: one aggregate over every exposure joined with its call.

Run: python tests/bench/bench_packet.py [--calls 1000000] [--exposures 100000] [--profile]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from irkit.case import Case, fixed_clock
from irkit.model import Phase

NOW = "2026-10-16T09:00:00+02:00"

# ruff: noqa: E501 - statements are easier to compare on one line
TABLES = (
    # One text per exposing call, 5,000 different ordinary answers, 20,000 different prompts.
    "INSERT INTO text SELECT 'r' || i, 'Case ' || i || ': Person' || (i % {people}) || ' Example'"
    " || (i % {people}) || ' can be reached at person' || (i % {people}) || '@example.org, order "
    "FICT-' || (i % {people}) || ' is late and the file is kept in cabinet ' || i || '.'"
    " FROM range({exposures}) t(i)",
    "INSERT INTO text SELECT 'a' || i, 'Parcel ' || i || ' leaves the depot tomorrow.'"
    " FROM range(5000) t(i)",
    "INSERT INTO text SELECT 'p' || i, 'Complete the file about case number ' || i"
    " FROM range(20000) t(i)",
    "INSERT INTO query_record (record_id, source_id, source_format, entry_no, sub_no, request_id,"
    " event_time, model_served, model_version, endpoint, credential_id, client_ip, prompt_text_id,"
    " response_text_id, scalars_returned, status_code, outcome, content_state, record_kind)"
    " SELECT 'q' || lpad(i::VARCHAR, 8, '0'), 1, 'openai_jsonl', i, 0, 'req-' || i,"
    " TIMESTAMP '2026-09-01' + to_seconds(CAST(i * 3888000 / {calls} AS BIGINT)), 'helpdesk-lm',"
    " '2026-09-01', '/v1/completions', CASE WHEN i % {every} = 0 THEN 'key-attack-' || (i // {every}"
    " % 400) ELSE 'key-shop-' || (i % 3000) END, '198.51.100.' || (i % 250), 'p' || (i % 20000),"
    " CASE WHEN i % {every} = 0 AND i // {every} < {exposures} THEN 'r' || (i // {every})"
    " ELSE 'a' || (i % 5000) END, 0, 200, 'ok', 'full', 'call' FROM range({calls}) t(i)",
    "INSERT INTO query_choice SELECT record_id, 1, 0, response_text_id, 'stop' FROM query_record",
    "INSERT INTO exposure SELECT 'x' || lpad(i::VARCHAR, 8, '0'), 'q' || lpad((i *"
    " {every})::VARCHAR, 8, '0'), 0, 'memorised', 'V50', 'doc-' || (i % {docs}), 0, 90, 0, 90, 90,"
    " 0, 90, 1, ['PERSON', 'EMAIL_ADDRESS'], CASE WHEN i % 9 = 0 THEN ['health'] ELSE [] END,"
    " 'verbatim run', '[…]', NULL FROM range({exposures}) t(i)",
    "INSERT INTO exposure_subject SELECT exposure_id, 's' || (CAST(substr(exposure_id, 2) AS"
    " BIGINT) % {people}) FROM exposure",
    "INSERT INTO subject SELECT 's' || i, 'S' || i, 'P… E…', CASE WHEN i % 10 = 0 THEN 'probable'"
    " ELSE 'confirmed' END, CASE WHEN i % 9 = 0 THEN ['health'] ELSE [] END, i % 9 = 0, i % 50 = 0,"
    " [['DE', 'FR', 'PL', 'IT', 'SE'][i % 5 + 1]], 3, TIMESTAMP '2026-09-01',"
    " TIMESTAMP '2026-10-14', 'corpus subject id' FROM range({people}) t(i)",
    "INSERT INTO entity SELECT x.record_id, 0, strpos(t.body, ': ') + 1, strpos(t.body, ' can') - 1,"
    " 'PERSON', 'pattern', 0.9, '', 'memorised', NULL FROM exposure x JOIN query_choice USING"
    " (record_id) JOIN text t USING (text_id)",
    "INSERT INTO entity SELECT x.record_id, 0, strpos(t.body, 'reached at ') + 10,"
    " strpos(t.body, ', order') - 1, 'EMAIL_ADDRESS', 'pattern', 0.9, '', 'memorised', NULL"
    " FROM exposure x JOIN query_choice USING (record_id) JOIN text t USING (text_id)",
    "INSERT INTO corpus_match SELECT 'r' || i, 'response', 0, 90, 30, 'doc-' || (i % {docs}), 0, 90,"
    " 1, true, false, 'exact' FROM range({exposures}) t(i)",
    "INSERT INTO corpus_doc SELECT i, 'doc-' || i, 'S' || (i % {people}), 3, 'record', 120, 'ab',"
    " 'corpus.jsonl' FROM range({docs}) t(i)",
    "INSERT INTO finding (finding_id, unit_kind, unit, members, technique, profile, tier, p_value,"
    " p_kind, score, onset, onset_low, onset_high, first_seen, last_seen, queries, summary) SELECT"
    " 'F-' || i, 'credential', 'key-attack-' || i, [], 'training_data_extraction',"
    " 'Single-Prompt Extraction', 'A', 0.0001, 'conformal', 9, TIMESTAMP '2026-09-02',"
    " TIMESTAMP '2026-09-01', TIMESTAMP '2026-09-03', TIMESTAMP '2026-09-01',"
    " TIMESTAMP '2026-10-14', 250, 'prefix probes' FROM range(20) t(i)",
    "INSERT INTO detector_result SELECT 'credential', 'key-shop-' || (i % 3000), 'D' || (i // 3000),"
    " 'NO_FINDINGS', 300, 8, 0.1, 0.5, 'conformal', 1, '', [], 1000, 'generic', 'x'"
    " FROM range(36000) t(i)",
    "INSERT INTO evidence_source (source_id, path, original_path, sha256, bytes, storage, state,"
    " format, acquired_at, acquired_by, entries, records, blanks, quarantined, min_event_time,"
    " max_event_time, capability) VALUES (1, 'data/inference.jsonl', '/logs/inference.jsonl',"
    " repeat('ab', 32), 1, 'copied', 'verified', 'openai_jsonl', TIMESTAMP '2026-10-15', 'analyst',"
    " {calls}, {calls}, 0, 0, TIMESTAMP '2026-09-01', TIMESTAMP '2026-10-15', '{{\"has_ip\": true}}')",
    "INSERT INTO scope_count VALUES ('subjects', {people}, {people}, {people}, 'linked'),"
    " ('records', {docs}, {docs}, {docs}, 'distinct documents')",
)  # fmt: skip

FACTS = """
controller.name = "Example Works GmbH"
controller.country = "DE"
dpo.name = "Dana Beispiel"
dpo.email = "dpo@works.example"
timeline.awareness_at = 2026-10-15T16:20:00+02:00
"""


def make(path: Path, calls: int, exposures: int) -> Case:
    """Write the case's tables by SQL."""
    case = Case.create(path, title="Big case", clock=fixed_clock(NOW), synthetic=True)
    numbers = {
        "calls": calls, "exposures": exposures, "every": max(1, calls // exposures),
        "people": max(1, exposures * 2 // 5), "docs": max(1, exposures // 2),
    }  # fmt: skip
    with case.transaction():
        for statement in TABLES:
            case.con.execute(statement.format(**numbers))
    return case


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(text + "\n")


class Stages:
    """Seconds per named function, children included, counted once per outermost call."""

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def watch(self, module: Any, name: str) -> None:
        """Replace a function by one that measures itself."""
        inner: Callable[..., Any] = getattr(module, name)
        label = f"{module.__name__.removeprefix('irkit.')}.{name}"

        def measured(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return inner(*args, **kwargs)
            finally:
                spent = time.perf_counter() - begun
                self.seconds[label] = self.seconds.get(label, 0.0) + spent
                self.calls[label] = self.calls.get(label, 0) + 1

        setattr(module, name, measured)


def main() -> None:
    """Build the case, then its packet, and print the seconds of each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--exposures", type=int, default=100_000)
    parser.add_argument("--profile", action="store_true", help="print the slowest functions")
    given = parser.parse_args()
    from irkit.packet import attach, build, document, sections
    from irkit.playbook import exposed, load_facts

    room = Path(tempfile.mkdtemp(prefix="irkit-bench-"))
    try:
        with make(room / "big.irkit", given.calls, given.exposures) as case:
            begun = time.perf_counter()
            case.rows(exposed.COUNTED + "SELECT count(*), sum(leaked_chars) FROM counted")
            single = time.perf_counter() - begun
            (room / "facts.toml").write_text(FACTS, "utf-8")
            stages = Stages()
            for module, name in (
                (build, "completed"), (build, "assess"), (build, "_numbered"), (build, "compose"),
                (build, "annexes"), (build, "known_values"), (build, "selfscan"),
                (document, "lay_out"), (attach, "attach"), (build, "pdf_texts"),
                (sections, "story"),
            ):  # fmt: skip
                stages.watch(module, name)
            wall, cpu = time.perf_counter(), time.process_time()
            facts = load_facts(room / "facts.toml", case)
            loaded = time.perf_counter() - wall
            profile = None
            if given.profile:
                import cProfile

                profile = cProfile.Profile()
                profile.enable()
            result = build.build_packet(
                case, phase=Phase.PRELIMINARY, facts=facts, out=room / "out"
            )
            if profile is not None:
                import pstats

                profile.disable()
                pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            say(f"{given.calls:,} calls, {given.exposures:,} exposures")
            say(f"{'one pass over the exposures (baseline)':44}{single:8.2f} s")
            say(f"{'facts from the case':44}{loaded:8.2f} s")
            for label, seconds in stages.seconds.items():
                say(f"{label:44}{seconds:8.2f} s  in {stages.calls[label]} calls")
            say(f"{'packet, facts included':44}{wall:8.2f} s  ({cpu:.2f} s CPU, "
                  f"{wall / single:.0f} x baseline)")  # fmt: skip
            say(result.scan.words())
    finally:
        shutil.rmtree(room, ignore_errors=True)


if __name__ == "__main__":
    main()
