"""Query volume against an actor's own history: bursts, slow drips, new actors, fan-out."""

from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import pytest
from analyzers_sim import START, Sim, chatter, new_case, population
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from irkit.analyzers import replay
from irkit.analyzers.baseline import build_baseline
from irkit.analyzers.features import Features
from irkit.analyzers.registry import Noting, load_detectors
from irkit.analyzers.volume import fan, tail, volume
from irkit.model import UnitKind

HOUR = 3_600_000_000
BEGIN = 1_770_000_000_000_000 // HOUR * HOUR


def calls(counts: dict[int, int], actor: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Spread so many calls over so many hours after the beginning."""
    time = np.concatenate(
        [BEGIN + hour * HOUR + np.arange(n) * (HOUR // (n + 1)) for hour, n in counts.items()]
    )
    return np.full(len(time), actor, np.int64), time.astype(np.int64)


def together(*parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    unit, time = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    order = np.lexsort((time, unit))
    return unit[order], time[order]


def steady(actor: int, days: int = 21, a_day: int = 4, seed: int = 1) -> tuple[np.ndarray, ...]:
    rng = random.Random(f"{actor}/{seed}")
    counts: dict[int, int] = {}
    for day in range(days):
        for _ in range(a_day):
            hour = day * 24 + rng.randrange(8, 18)
            counts[hour] = counts.get(hour, 0) + 1
    return calls(counts, actor)


@given(st.integers(1, 200), st.floats(0.01, 50), st.floats(0.01, 20))
def test_the_tail_is_the_negative_binomial_one(count, mean, phi):
    ours = tail(np.array([float(count)]), np.array([mean]), np.array([phi]))[0]
    theirs = -stats.nbinom.logsf(count - 1, 1 / phi, 1 / (1 + phi * mean))
    if theirs < 600:
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)


def test_a_burst_stands_out_from_its_own_history_in_the_hour_it_happens():
    others = [steady(actor) for actor in range(1, 30)]
    unit, time = together(steady(0), calls({300: 60}, 0), *others)
    found = volume(unit, time)
    mine = unit == 0
    burst = mine & (time >= BEGIN + 300 * HOUR) & (time < BEGIN + 301 * HOUR)
    assert found.nats[burst].min() > 12
    assert found.nats[burst].min() > 2 * found.nats[~mine].max()
    assert found.expected[burst].max() < 5
    assert found.excess[mine].sum() == pytest.approx(60, abs=8)


def test_a_busy_actor_that_is_always_busy_is_no_burst():
    others = [steady(actor) for actor in range(1, 30)]
    unit, time = together(steady(0, a_day=120), *others)
    found = volume(unit, time)
    # Not the number of calls counts but its distance from what the actor does otherwise.
    assert found.nats[unit == 0].max() < 12


def test_the_hour_of_the_week_is_learned_from_all_actors():
    nights = [calls({24 * day + 3: 30 for day in range(28)}, actor) for actor in range(1, 40)]
    unit, time = together(calls({24 * day + 3: 30 for day in range(20)}, 0), *nights)
    at_three = volume(unit, time).nats[unit == 0].max()
    counts = {24 * day + 3: 30 for day in range(20)} | {24 * 10 + 15: 30}
    unit, time = together(calls(counts, 0), *nights)
    odd = (unit == 0) & (time >= BEGIN + 255 * HOUR) & (time < BEGIN + 256 * HOUR)
    assert volume(unit, time).nats[odd].min() > at_three + 2


def test_a_slow_rise_is_seen_by_the_charts_where_no_single_window_is_odd():
    others = [steady(actor, days=40) for actor in range(1, 30)]
    flat = volume(*together(steady(0, days=40), *others))
    slow = calls({24 * day + hour: 1 for day in range(26, 40) for hour in (9, 11, 13, 15, 17)}, 0)
    unit, time = together(steady(0, days=40), slow, *others)
    found = volume(unit, time)
    late = (unit == 0) & (time > BEGIN + 34 * 24 * HOUR)
    assert (found.hours[late] == 0).any()
    assert found.nats[late].max() > flat.nats[:160].max() + 1


def test_a_new_actor_is_compared_with_all_others():
    others = [steady(actor) for actor in range(1, 60)]
    unit, time = together(calls({30: 40, 31: 200}, 0), *others)
    found = volume(unit, time)
    assert found.nats[unit == 0].max() > 2 * found.nats[unit != 0].max()


def test_many_credentials_behind_one_address_on_one_day():
    time = BEGIN + np.arange(4000, dtype=np.int64) * (HOUR // 40)
    source = np.arange(4000) % 400
    person = source.copy()
    last = np.flatnonzero(time > BEGIN + 90 * HOUR)
    source[last[:60]], person[last[:60]] = 400, np.arange(60)
    surprise, met = fan(source, person, time)
    assert met[last[:60]].max() >= 30
    assert surprise[last[:60]].min() > 5 > surprise[source < 400].max()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**9)), max_size=30))
def test_any_calls_give_finite_numbers(rows):
    unit = np.array([row[0] for row in rows], np.int64)
    time = BEGIN + np.array([row[1] * 1000 for row in rows], np.int64)
    found = volume(unit, time)
    surprise, _ = fan(unit, unit % 2, time)
    for values in (found.nats, found.excess, found.expected, surprise):
        assert np.isfinite(values).all()
        assert (values >= 0).all()


def test_volume_supports_and_never_accuses(tmp_path):
    with new_case(tmp_path / "b.irkit") as case:
        sim = Sim(case)
        population(sim, 120, seed=21)
        sim.flush()
        build_baseline(case, tmp_path / "b.zst")
    with new_case(tmp_path / "c.irkit", fpr=0.02) as case:
        sim = Sim(case)
        population(sim, 30, seed=22)
        quiet = [{**call, "gap": 7200} for call in chatter(random.Random(1), 60)]
        rush = [{**call, "gap": 1} for call in chatter(random.Random(2), 400)]
        sim.actor("rush", iter(quiet + rush), begin=START + timedelta(days=1))
        sim.flush()
        replay(case, baseline=tmp_path / "b.zst")
        status, summary = case.rows(
            "SELECT status, summary FROM detector_result WHERE unit = 'rush'"
            " AND unit_kind = 'credential' AND detector = 'query_volume_baseline'"
        )[0]
        found = case.rows("SELECT tier FROM finding WHERE unit = 'rush' AND tier IN ('A', 'B')")
        reasons = case.rows(
            "SELECT DISTINCT reason FROM query_evidence WHERE detector = 'query_volume_baseline'"
        )
    assert status == "FOUND"
    assert "calls more than the daily baseline" in summary
    assert found == []
    assert reasons


def test_the_detector_says_what_it_saw(tmp_path):
    with new_case(tmp_path / "c.irkit") as case:
        sim = Sim(case)
        population(sim, 40, seed=23)
        rush = [{**call, "gap": 1} for call in chatter(random.Random(2), 300)]
        quiet = [{**call, "gap": 7200} for call in chatter(random.Random(1), 60)]
        sim.actor("rush", iter(quiet + rush))
        sim.flush()
        log = Features(case)
        detector = load_detectors(entry_points=[]).detectors["D1"]
        scores = detector.query_scores(log)["D1.volume"]
        peak = int(scores.argmax())
        words = detector.reason(log, "D1.volume", peak)
        assert "its history lets expect" in words
        assert isinstance(detector, Noting)
        rows = np.flatnonzero(log.log.part == log.log.part[peak])
        note = detector.unit_note(log, UnitKind.CREDENTIAL, rows)
    excess = int(note.split()[0].replace(",", ""))
    assert 200 < excess <= 300
