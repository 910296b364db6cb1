"""Onset and end of a behaviour from per-query p-values, at the accuracy that was measured."""

from __future__ import annotations

import numpy as np
import pytest

from irkit.analyzers.onset import NULL_999, onset, span, stretches


def _sequence(rng, length, begin, shape, diluted):
    p = rng.uniform(size=length)
    attack = rng.uniform(size=length - begin) >= diluted
    p[begin:] = np.where(attack, rng.beta(shape, 1, size=length - begin), p[begin:])
    return p


@pytest.mark.parametrize(
    ("length", "diluted", "median", "p90"), [(200, 0.0, 1, 6), (200, 0.5, 4, 25), (500, 0.3, 6, 25)]
)
def test_onset_error_and_coverage(length, diluted, median, p90):
    rng = np.random.default_rng(17)
    errors, covered = [], []
    for _ in range(150):
        begin = int(rng.integers(length // 4, 3 * length // 4))
        found = span(_sequence(rng, length, begin, 0.2, diluted))
        errors.append(abs(found.start - begin))
        covered.append(found.start_low <= begin <= found.start_high)
    assert np.median(errors) <= median
    assert np.percentile(errors, 90) <= p90
    assert np.mean(covered) >= 0.87


def test_end_is_found_when_ordinary_traffic_follows():
    rng = np.random.default_rng(3)
    misses = []
    for _ in range(60):
        p = rng.uniform(size=300)
        p[90:200] = rng.beta(0.15, 1, size=110)
        found = span(p)
        misses.append((abs(found.start - 90), abs(found.end - 199)))
    assert np.median([m[0] for m in misses]) <= 2
    assert np.median([m[1] for m in misses]) <= 2


def test_ordinary_sequences_stay_below_the_null_quantile():
    rng = np.random.default_rng(23)
    gains = [onset(rng.uniform(size=200))[3] for _ in range(3000)]
    assert np.mean(np.array(gains) > NULL_999) <= 0.004


def test_discrete_p_with_ones_and_a_floor():
    p = np.ones(60)
    p[20:45] = 1 / 3001
    found = span(p)
    assert (found.start, found.end) == (20, 44)
    assert found.start_low == found.start_high == 20
    assert found.end_low == found.end_high == 44


def test_no_change_and_no_queries():
    assert span(np.ones(30)) is None
    assert span(np.zeros(0)) is None


@pytest.mark.parametrize(
    "bursts", [[(40, 59)], [(20, 39), (160, 189)], [(5, 24), (90, 99), (250, 299)]]
)
def test_stop_and_go_is_told_apart(bursts):
    rng = np.random.default_rng(29)
    exact = []
    for _ in range(40):
        p = rng.uniform(size=300)
        for first, last in bursts:
            p[first : last + 1] = rng.beta(0.12, 1, size=last - first + 1)
        found = stretches(p)
        assert found == sorted(found)
        exact.append(
            len(found) == len(bursts)
            and all(
                abs(a - c) <= 4 and abs(b - d) <= 4
                for (a, b), (c, d) in zip(found, bursts, strict=True)
            )
        )
    # An end may fall on queries that look ordinary by chance.
    assert np.mean(exact) >= 0.65


def test_one_diluted_campaign_stays_one_stretch():
    p = np.ones(300)
    p[50:250:5] = 1 / 20_001
    assert stretches(p) == [(50, 245)]


def test_ordinary_sequences_have_no_stretch():
    rng = np.random.default_rng(31)
    found = [bool(stretches(rng.uniform(size=200))) for _ in range(1000)]
    # Two free ends instead of one give chance a little more room than the onset has.
    assert np.mean(found) <= 0.03


def test_dilution_is_the_share_that_shows_nothing():
    p = np.ones(200)
    p[100::2] = 1 / 3001
    assert span(p).dilution == pytest.approx(0.5, abs=0.02)
    p[100:] = 1 / 3001
    assert span(p).dilution == 0.0
