"""Conformal p-values, promises, fusion and selection: the numbers that a finding rests on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from irkit.analyzers.calibrate import (
    GPD_LEAST,
    Promise,
    conformal_p,
    gpd_p,
    k_star,
    least_size,
    posterior_bound,
    shift,
    soft_p,
    soft_p_left_out,
    stationary,
)
from irkit.analyzers.fuse import (
    Fusion,
    benjamini_hochberg,
    cauchy,
    cauchy_by_group,
    e_benjamini_hochberg,
    e_value,
    technique_weights,
)
from irkit.analyzers.registry import Statistic
from irkit.model import Technique


@pytest.mark.parametrize(
    ("size", "alpha", "delta", "k"),
    [
        (2302, 1e-3, 0.10, 1),
        (2301, 1e-3, 0.10, 0),
        (2995, 1e-3, 0.05, 1),
        (2994, 1e-3, 0.05, 0),
        (1000, 1e-3, 0.10, 0),
        (459, 5e-3, 0.10, 0),
        (460, 5e-3, 0.10, 1),
    ],
)
def test_promise_needs_the_published_number_of_actors(size, alpha, delta, k):
    assert k_star(size, alpha, delta) == k


def test_k_star_is_the_largest_rank_that_keeps_the_promise():
    for size in (3000, 5000, 20000):
        k = k_star(size)
        assert stats.beta.ppf(0.9, k, size + 1 - k) <= 1e-3
        assert stats.beta.ppf(0.9, k + 1, size - k) > 1e-3


def test_conformal_p_counts_ordinary_scores_at_least_as_large():
    ordinary = np.array([0.0, 0.0, 1.0, 2.0, 2.0])
    p = conformal_p(ordinary, np.array([3.0, 2.0, 1.5, 0.0]))
    assert p.tolist() == pytest.approx([1 / 6, 3 / 6, 3 / 6, 6 / 6])


def test_conformal_p_is_valid_with_and_without_ties():
    rng = np.random.default_rng(5)
    for draw in (lambda n: rng.normal(size=n), lambda n: rng.poisson(0.3, n).astype(float)):
        p = np.concatenate([conformal_p(np.sort(draw(199)), draw(50)) for _ in range(400)])
        for level in (0.01, 0.05, 0.2):
            assert (p <= level).mean() <= level * 1.12 + 0.002


def test_training_conditional_promise_holds_over_draws():
    rng = np.random.default_rng(11)
    alpha, size = 0.02, 400
    promise = Promise.of(size, alpha)
    rates = []
    for _ in range(500):
        ordinary = np.sort(rng.uniform(size=size))
        # A uniform score is rejected above the k-th largest ordinary one; that rate is exact.
        rates.append(1.0 - ordinary[size - promise.k])
    assert np.mean(np.array(rates) <= alpha) >= 0.9 - 0.04
    assert np.mean(np.array(rates) <= alpha) <= 0.999  # not a promise that is simply too strict


def test_promise_wording_follows_the_size():
    assert "at most 0.10%" in Promise.of(3000, 1e-3).text(generic=False)
    assert "90% confidence" in Promise.of(3000, 1e-3).text(generic=False)
    assert "nothing is promised" in Promise.of(1500, 1e-3).text(generic=False)
    assert Promise.of(300, 1e-3).text(generic=False).startswith("Rank only, no promise")
    assert "simulated" in Promise.of(3000, 1e-3).text(generic=True)
    assert not Promise.of(300, 1e-3).marginal


@given(st.lists(st.floats(0, 50), min_size=3, max_size=40), st.lists(st.floats(0, 200)))
def test_soft_p_agrees_below_the_largest_and_orders_above(ordinary, scores):
    ordered = np.sort(np.array(ordinary))
    tested = np.sort(np.array(scores, float))
    soft, hard = soft_p(ordered, tested), conformal_p(ordered, tested)
    inside = tested <= ordered[-1]
    assert np.array_equal(soft[inside], hard[inside])
    assert (np.diff(soft) <= 1e-15).all()
    assert (soft <= hard).all()


def test_left_out_p_ranks_each_score_among_the_others():
    scores = np.array([5.0, 1.0, 1.0, 3.0])
    p = soft_p_left_out(scores)
    assert p[1] == p[2] == 1.0
    assert p[3] == pytest.approx(2 / 4)
    assert p[0] < 1 / 4


def test_cauchy_of_equal_p_is_that_p_and_one_small_p_survives():
    weights = np.ones(4)
    assert cauchy(np.full(4, 0.003), weights) == pytest.approx(0.003)
    assert cauchy(np.array([1e-9, 1.0, 1.0, 1.0]), weights) == pytest.approx(4e-9, rel=1e-3)
    assert cauchy(np.array([1e-40, 0.5]), np.ones(2)) == pytest.approx(2e-40, rel=1e-6)
    assert cauchy(np.array([1e-6, 0.9]), np.array([3.0, 1.0])) == pytest.approx(4e-6 / 3, rel=1e-3)


def test_cauchy_keeps_its_level_where_fisher_does_not():
    rng = np.random.default_rng(2)
    count, width = 200_000, 12
    z = np.sqrt(0.3) * rng.normal(size=(count, 1)) + np.sqrt(0.7) * rng.normal(size=(count, width))
    p = stats.norm.sf(z)
    combined = (cauchy(p, np.ones(width)) <= 1e-3).mean()
    fisher = (stats.chi2.sf(-2 * np.log(p).sum(1), 2 * width) <= 1e-3).mean()
    assert combined < 1.6e-3
    assert fisher > 20e-3


def test_cauchy_by_group_matches_the_row_wise_one():
    p = np.array([0.01, 0.2, 0.5, 0.001])
    owner = np.array([0, 0, 2, 2])
    got = cauchy_by_group(p, owner, 3)
    assert got[0] == pytest.approx(float(cauchy(p[:2], np.ones(2))))
    assert got[1] == 1.0
    assert got[2] == pytest.approx(float(cauchy(p[2:], np.ones(2))))


def test_benjamini_hochberg_against_a_worked_example():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.8])
    assert benjamini_hochberg(p).tolist() == pytest.approx([0.025, 0.05, 0.05, 0.025, 0.8])
    assert benjamini_hochberg(np.zeros(0)).size == 0
    assert benjamini_hochberg(p, np.full(5, 7.0)).tolist() == benjamini_hochberg(p).tolist()
    heavy = np.array([1.0, 1.0, 1.0, 6.0, 1.0])
    assert benjamini_hochberg(p, heavy)[3] == pytest.approx(5 * 0.005 * 2 / 6)


def test_benjamini_hochberg_controls_the_false_discovery_rate():
    rng = np.random.default_rng(8)
    shares = []
    weights = rng.choice([0.1, 1.0, 3.0], 200)
    for trial in range(400):
        null = rng.uniform(size=180)
        real = rng.uniform(size=20) * 1e-4
        p = np.concatenate([null, real])
        chosen = benjamini_hochberg(p, weights if trial % 2 else None) <= 0.1
        shares.append(chosen[:180].sum() / max(1, chosen.sum()))
    assert np.mean(shares) <= 0.11


def test_e_values_average_at_most_one_and_select():
    rng = np.random.default_rng(4)
    assert e_value(rng.uniform(size=400_000)).mean() < 1.1
    e = np.array([500.0, 90.0, 1.0, 0.5])
    assert e_benjamini_hochberg(e, 0.05).tolist() == [True, True, False, False]


EVERY = np.ones(3, bool)


def _statistics() -> list[Statistic]:
    weights = (Technique.MEMBERSHIP_INFERENCE, Technique.TRAINING_DATA_EXTRACTION)
    return [
        Statistic("a", 1, (), {weights[0]: 3.0}),
        Statistic("b", 1, (), {weights[1]: 3.0}),
        Statistic("c", 1, (), {weights[0]: 0.75, weights[1]: 0.5}),
    ]


def test_fused_p_of_ordinary_windows_is_valid():
    rng = np.random.default_rng(9)
    weights = technique_weights(_statistics())
    draws = []
    for _ in range(250):
        shared = rng.normal(size=(260, 1))
        scores = np.maximum(0.0, 0.6 * shared + rng.normal(size=(260, 3)))  # ties at zero
        fusion = Fusion(scores[:200], np.ones(3, bool), weights, EVERY)
        draws.append(fusion.apply(scores[200:]).overall)
    p = np.concatenate(draws)
    for level in (0.01, 0.05, 0.1):
        assert (p <= level).mean() <= level * 1.15 + 0.002
    assert (p <= 0.1).mean() > 0.05  # and not so conservative as to be useless


def test_fusion_names_the_technique_that_stands_out_and_floors_at_one_in_n():
    rng = np.random.default_rng(1)
    weights = technique_weights(_statistics())
    fusion = Fusion(rng.poisson(0.2, (500, 3)).astype(float), np.ones(3, bool), weights, EVERY)
    verdict = fusion.apply(np.array([[40.0, 0.0, 2.0], [0.0, 30.0, 0.0], [0.0, 0.0, 0.0]]))
    techniques = list(Technique)
    member = techniques.index(Technique.MEMBERSHIP_INFERENCE)
    extract = techniques.index(Technique.TRAINING_DATA_EXTRACTION)
    assert verdict.overall[:2].tolist() == pytest.approx([1 / 501, 1 / 501])
    assert verdict.order[0, member] < verdict.order[0, extract] / 10
    assert verdict.order[1, extract] < verdict.order[1, member] / 10
    assert verdict.overall[2] > 0.5
    untested = techniques.index(Technique.PROPERTY_INFERENCE)
    assert np.isnan(verdict.technique[0, untested])


def test_a_supporting_statistic_never_decides_alone():
    rng = np.random.default_rng(1)
    decides = np.array([True, True, False])
    table = rng.poisson(0.2, (500, 3)).astype(float)
    fusion = Fusion(table, EVERY, technique_weights(_statistics()), decides)
    alone, with_another = fusion.apply(np.array([[0.0, 0.0, 90.0], [3.0, 0.0, 90.0]])).overall
    assert alone > 0.2
    assert with_another < 0.02


def test_silent_statistics_are_left_out_of_both_sides():
    table = np.column_stack([np.arange(50.0), np.full(50, np.nan), np.zeros(50)])
    fusion = Fusion(table, np.array([True, True, True]), technique_weights(_statistics()), EVERY)
    assert fusion.columns.tolist() == [0, 2]
    assert fusion.size == 50


def test_shift_sees_another_body_but_not_a_few_attacks():
    rng = np.random.default_rng(6)
    same = rng.uniform(size=400)
    same[:40] = 1 / 3001  # attackers
    none = np.zeros(400)
    assert not shift(same, none, none).notable
    assert shift(0.1 + 0.9 * rng.beta(0.4, 1.0, size=400), none, none).notable


def test_stationary_compares_two_halves():
    rng = np.random.default_rng(3)
    assert stationary(rng.normal(size=300), rng.normal(size=300)) > 0.01
    assert stationary(rng.normal(size=300), rng.normal(0.7, size=300)) < 0.01
    assert stationary(np.zeros(3), np.ones(3)) == 1.0


@pytest.mark.parametrize(
    ("alpha", "delta", "least"), [(1e-3, 0.10, 2302), (1e-3, 0.05, 2995), (1e-2, 0.10, 230)]
)
def test_least_size_is_where_a_promise_begins(alpha, delta, least):
    assert least_size(alpha, delta) == least
    assert k_star(least, alpha, delta) == 1
    assert k_star(least - 1, alpha, delta) == 0
    assert f"{least_size(alpha):,}" in Promise.of(5, alpha).text(generic=False)


def test_the_posterior_is_bounded_and_never_certain():
    # The table of Sellke, Bayarri and Berger: at even odds p = 0.05 leaves 0.289 for the null.
    assert 1 - posterior_bound(0.05, prior=0.5) == pytest.approx(0.289, abs=1e-3)
    assert 1 - posterior_bound(0.001, prior=0.5) == pytest.approx(0.0184, abs=1e-3)
    assert posterior_bound(0.5) == pytest.approx(1e-3)
    bounds = [posterior_bound(p) for p in (0.3, 0.1, 1e-2, 1e-4, 1e-8, 1e-300, 0.0)]
    assert bounds == sorted(bounds)
    assert bounds[-1] < 1.0


def test_the_pareto_tail_extrapolates_within_its_floor_and_needs_many_scores():
    rng = np.random.default_rng(5)
    ordered = np.sort(rng.exponential(size=20_000))
    scores = np.array([1.0, 4.0, 9.0, 12.0, 1e9])
    p = gpd_p(ordered, scores)
    assert np.isnan(p[0])
    assert p[1] == pytest.approx(np.exp(-4.0), rel=0.15)
    assert 0.2 < p[2] / np.exp(-9.0) < 5
    assert p[-1] == pytest.approx(0.1 / 20_000)
    assert np.isnan(gpd_p(ordered[: GPD_LEAST - 1], scores)).all()
    assert np.isnan(gpd_p(np.zeros(5000), scores)).all()


def test_only_a_shift_towards_attacks_makes_a_calibration_invalid():
    rng = np.random.default_rng(41)
    draw, ties = rng.uniform(size=400), np.zeros(400)
    even = shift(rng.uniform(size=400), ties, draw)
    higher = shift(rng.uniform(size=400) ** 4, ties, draw)
    lower = shift(1 - rng.uniform(size=400) ** 4, ties, draw)
    assert not even.invalid and not even.notable
    assert higher.invalid and higher.notable
    assert lower.notable and not lower.invalid
