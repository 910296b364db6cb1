"""Development data: real extraction runs are found, real scripted and service traffic is not.

The extraction runs hold real people's addresses: nothing of them may appear in a message, so
assertions are on counts, tiers and techniques only.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from analyzers_sim import START, new_case
from detection_harness import development, real_runs
from detection_harness.alarms import log_lines
from detection_harness.staging import TIERS, Actor, verdicts
from detection_harness.wire import read_in, write

from irkit.analyzers import replay

DATA = development.folder()
pytestmark = pytest.mark.skipif(
    DATA is None or not (DATA / "decodingtrust").is_dir(),
    reason="no development data (IRKIT_DEV_DATA or ../shared/data)",
)


@pytest.fixture(scope="module")
def extraction():
    result = real_runs.RealResult()
    real_runs.extraction(DATA, None, result)
    return result.runs


def test_every_real_extraction_run_is_found_as_extraction(extraction):
    assert len(extraction) == 3
    for run in extraction.values():
        assert run["calls"] == 1200
        assert run["tier"] in TIERS
        assert run["technique"] == "training_data_extraction"


def test_real_extraction_runs_are_found_within_their_first_dozen_queries(extraction):
    for run in extraction.values():
        # From this length on at every length looked at, not by a lucky early hit.
        assert run["queries_to_tier"] is not None
        assert run["queries_to_tier"] <= 12
        assert run["queries_to_promise"] is not None
        assert run["queries_to_promise"] <= 12


def test_real_templated_runs_reach_no_strong_tier():
    result = real_runs.RealResult()
    real_runs.scripted(DATA, None, result)
    assert len(result.scripted) == 12
    assert sum(calls for calls, _, _ in result.scripted.values()) == 5840
    assert [tier for _, tier, _ in result.scripted.values() if tier in TIERS] == []


@pytest.fixture(scope="module")
def probes():
    result = real_runs.RealResult()
    real_runs.probes(DATA, None, result)
    return result.probes


def test_garak_extraction_probes_are_found_and_named(probes):
    for family in ("divergence", "apikey"):
        some = [row for probe, row in probes.items() if probe.startswith(family + ".")]
        assert sum(row["sessions"] for row in some) >= 5
        assert sum(row["extraction"] for row in some) == sum(row["sessions"] for row in some)
    assert sum(row["other"] for row in probes.values()) == 0


def test_garak_probes_of_other_attacks_are_seldom_called_extraction(probes):
    other = {probe: row for probe, row in probes.items() if not real_runs.wants_extraction(probe)}
    sessions = sum(row["sessions"] for row in other.values())
    called = sum(row["extraction"] + row["other"] for row in other.values())
    assert sessions >= 120
    # Known: probes for private information are asks for personal data, whatever their collection.
    assert called <= 0.03 * sessions
    for family in ("dan", "encoding", "promptinject", "snowball", "glitch"):
        assert all(
            row["tier_a_or_b"] == 0 for probe, row in other.items() if probe.startswith(family)
        )


def test_service_bots_and_harness_runs_over_real_texts_reach_no_strong_tier(tmp_path):
    rng = random.Random(11)
    pace = development.Pace(DATA, 100)
    talks, items = development.dialogues(DATA), development.mathematics(DATA)
    actors = [
        Actor(f"bot-{i:03d}", development.bot_calls(rng, talks[8 * i : 8 * i + 8], pace))
        for i in range(40)
    ]
    for style in ("generate", "score"):
        actors += [
            Actor(
                f"{style}-{i}",
                development.harness_calls(rng, rng.sample(items, 100), style, pace),
                begin=START,
            )
            for i in range(5)
        ]
    with new_case(tmp_path / "r.irkit") as case:
        read_in(case, [write(tmp_path / "r.ndjson", (t for a in actors for t in log_lines(a)))])
        report = replay(case)
        found = verdicts(case)
    assert report.units["credential"] == 50
    assert [key for key, one in found.items() if one[0].tier in TIERS] == []
