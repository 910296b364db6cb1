"""Automated traffic that looks like an attack and is none, judged with the shipped calibration."""

from __future__ import annotations

import random

import pytest
from analyzers_sim import START, Sim, chat, multiple_choice, new_case, prose

from irkit.analyzers import replay


def load_test(rng, calls):
    bodies = [prose(rng, 20) for _ in range(3)]
    for i in range(calls):
        yield chat(f"Request {i}: {bodies[i % 3]}", prose(rng, 12), max_tokens=16, gap=1)


def _strong(case):
    return case.rows("SELECT unit_kind, unit, technique FROM finding WHERE tier IN ('A', 'B')")


@pytest.fixture
def case(tmp_path):
    with new_case(tmp_path / "c.irkit") as made:
        yield made


def test_many_users_of_one_benchmark_are_no_campaign(case):
    sim = Sim(case)
    for number in range(14):
        rng = random.Random(f"bench/{number}")
        sim.actor(f"key-{number:02d}", multiple_choice(rng, 100), ip=f"192.0.2.{number + 1}")
    sim.flush()
    report = replay(case)
    assert report.units["credential"] == 14
    assert _strong(case) == []


def test_a_load_test_sends_few_prompts_many_times(case):
    sim = Sim(case)
    for number in range(12):
        rng = random.Random(f"load/{number}")
        sim.actor(f"key-{number:02d}", load_test(rng, 80), ip=f"192.0.2.{number + 1}", begin=START)
    sim.flush()
    report = replay(case)
    assert report.units["credential"] == 12
    assert _strong(case) == []
