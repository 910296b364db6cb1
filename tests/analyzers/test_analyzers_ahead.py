"""Reading texts ahead of the detectors, and judging on threads: the same results as without."""

from __future__ import annotations

import random
import threading
from concurrent.futures import CancelledError
from dataclasses import replace

import numpy as np
import pytest
from analyzers_sim import ATTACKS, ORDINARY, Sim, new_case

from irkit.analyzers import features, replay
from irkit.analyzers.ahead import Ahead
from irkit.analyzers.d10_repetition_divergence import RepetitionDivergence
from irkit.analyzers.features import Features

TABLES = ("detector_result", "query_evidence", "finding", "calibration")


@pytest.fixture
def case(tmp_path):
    with new_case(tmp_path / "a.irkit") as made:
        sim = Sim(made)
        for number in range(12):
            make = list(ORDINARY.values())[number % len(ORDINARY)][0]
            sim.actor(f"key-{number:02d}", make(random.Random(number), 30))
        for name in ("prefix_probe", "repetition"):
            if name in ATTACKS:
                sim.actor(f"bad-{name}", ATTACKS[name][0](random.Random(name), 40))
        sim.flush()
        yield made


def _rows(case):
    return [case.rows(f"SELECT * FROM {table}") for table in TABLES]


def test_neither_threads_nor_blocks_change_a_row(case, monkeypatch):
    replay(case)
    expected = _rows(case)
    assert len(expected[0]) > 100
    case.settings = replace(case.settings, threads=4)
    monkeypatch.setattr(features, "BLOCK_DOCS", 40)
    replay(case)
    assert _rows(case) == expected


def test_what_was_read_ahead_is_what_is_read_when_asked_for(case):
    late, early, never = Features(case), Features(case), Features(case)
    with early.reading_ahead():
        tokens, run = early.prompt("tokens"), early.response("run")
    with never.reading_ahead():
        pass
    for log in (late, never):
        assert np.array_equal(log.prompt("tokens"), tokens)
        assert np.array_equal(log.response("run"), run)
    assert tokens.any()


def test_an_error_while_reading_is_raised_to_who_asks(case):
    def broken(con):
        raise ValueError("no value of the evidence")

    ahead = Ahead(case.con.cursor(), {"good": lambda con: 1, "bad": broken})
    assert ahead.result("good") == 1
    with pytest.raises(ValueError, match="no value"):
        ahead.result("bad")
    assert ahead.close() == {"good": 1}


def test_closing_stops_what_nobody_waits_for(case):
    held, ready = {}, threading.Event()

    def endless(con):
        ready.wait(10)
        return sum(1 for _ in held["ahead"].until_closed(iter(int, 1)))

    ahead = held["ahead"] = Ahead(case.con.cursor(), {"endless": endless, "later": lambda con: 1})
    ready.set()
    assert ahead.close() == {}
    for name in ("endless", "later"):
        with pytest.raises(CancelledError):
            ahead.result(name)


def test_which_detector_fails_does_not_depend_on_threads(case, monkeypatch):
    def fail(self, log, scores, windows):
        if len(windows) > 5:
            raise RuntimeError("many windows")
        return {key: np.zeros(len(windows)) for key in scores if key.startswith("D10.")}

    monkeypatch.setattr(RepetitionDivergence, "window_scores", fail)
    outcome = []
    for threads in (1, 4):
        case.settings = replace(case.settings, threads=threads)
        report = replay(case)
        assert any("D10: the detector failed" in warning for warning in report.warnings)
        outcome.append(_rows(case))
    assert outcome[0] == outcome[1]
