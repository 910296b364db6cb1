"""Measures of membership inference against closed forms, simulations and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.analyzers.membership_stats import (
    advantage_bound,
    at_rate,
    auc,
    best_threshold,
    clopper_pearson,
    crossed,
    privacy_check,
)

scores = st.lists(st.integers(-6, 6).map(float), min_size=2, max_size=25).map(np.array)


@given(scores, scores)
def test_auc_is_the_share_of_ordered_pairs(members, others):
    pairs = [(a > b) + 0.5 * (a == b) for a in members for b in others]
    found = auc(members, others)
    assert found.value == pytest.approx(np.mean(pairs))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_auc_limits_cover_the_truth():
    """Normal scores one apart have AUC Phi(1 / sqrt 2) = 0.7602."""
    rng = np.random.default_rng(1)
    truth = 0.5 * (1 + math.erf(0.5))
    held = 0
    for _ in range(400):
        found = auc(rng.normal(1, 1, 60), rng.normal(0, 1, 60))
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_perfect_separation_does_not_claim_certainty():
    found = auc(np.arange(10, 30.0), np.arange(0, 9.0))
    assert found.value == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 9))


@given(scores, scores, st.sampled_from([0.01, 0.1, 0.25, 0.5]))
def test_rate_counts_no_more_false_positives_than_allowed(members, others, target):
    found = at_rate(members, others, target)
    # Any threshold that keeps the bound recognises no more members.
    best = max(
        (members > cut).mean()
        for cut in [*others, -math.inf]
        if (others > cut).sum() <= target * len(others) + 1e-9
    )
    assert found.tpr.value == pytest.approx(best)
    assert found.resolved == (len(others) * target >= 1)


def test_clopper_pearson_known_values():
    assert clopper_pearson(0, 64).high == pytest.approx(1 - 0.025 ** (1 / 64))
    ten = clopper_pearson(7, 10)
    assert (round(ten.low, 4), round(ten.high, 4)) == (0.3475, 0.9333)


@given(scores, scores)
def test_best_threshold_is_best(members, others):
    def total(cut):
        return (members >= cut).mean() + (others < cut).mean()

    chosen = best_threshold(members, others)
    every = [total(cut) for cut in [*members, *others, 99.0]]
    assert total(chosen) == pytest.approx(max(every))


def test_scores_without_information_do_not_pass_the_gate():
    """A threshold chosen and judged on the same records would look better than chance."""
    above = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = crossed(rng.normal(0, 1, 200), rng.normal(0, 1, 200), seed)
        above += found.balanced.low > 0.5
        assert found.balanced.low < 0.6
    assert above / 200 < 0.06


def test_crossed_limits_cover_the_best_rule():
    rng = np.random.default_rng(3)
    truth = 0.5 * (1 + math.erf(0.5 / math.sqrt(2)))  # threshold halfway between the means
    held = 0
    for seed in range(300):
        found = crossed(rng.normal(1, 1, 80), rng.normal(0, 1, 80), seed)
        held += found.balanced.low <= truth <= found.balanced.high
    assert held / 300 > 0.9


# -- differential privacy -------------------------------------------------------------------------


def test_bound_in_known_cases():
    assert advantage_bound(0, 0) == 0
    assert advantage_bound(math.log(3), 0) == pytest.approx(0.5)  # (3 - 1) / (3 + 1)
    assert advantage_bound(0, 0.1) == pytest.approx(0.1)  # total variation
    assert advantage_bound(1e9, 0) == 1
    assert advantage_bound(2.0, 1e-5) == pytest.approx(math.tanh(1.0), abs=1e-5)


@given(st.floats(0, 8), st.floats(0, 0.3))
def test_bound_is_the_largest_advantage_of_the_privacy_region(epsilon, delta):
    """Search of all (FPR, TPR) that obey both inequalities of Kairouz et al."""
    grown = math.exp(epsilon)
    fpr = np.linspace(0, 1, 20_001)
    tpr = np.minimum(np.minimum(1.0, grown * fpr + delta), 1 - (1 - delta - fpr) / grown)
    assert (tpr - fpr).max() == pytest.approx(advantage_bound(epsilon, delta), abs=2e-3)


def randomised_response(epsilon: float, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The mechanism that attains the bound: the truth with probability e^eps / (1 + e^eps)."""
    rng = np.random.default_rng(seed)
    keep = math.exp(epsilon) / (1 + math.exp(epsilon))
    members = (rng.random(count) < keep).astype(float)
    others = (rng.random(count) >= keep).astype(float)
    return members, others


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0])
def test_randomised_response_meets_its_own_claim_and_no_smaller_one(epsilon):
    rejected = 0
    for seed in range(40):
        members, others = randomised_response(epsilon, 2000, seed)
        found = crossed(members, others, seed)
        honest = privacy_check(found, 2000, 2000, epsilon, 0.0)
        rejected += not honest.holds
        assert honest.advantage.value == pytest.approx(honest.bound, abs=0.06)
        false = privacy_check(found, 2000, 2000, epsilon / 2, 0.0)
        assert not false.holds
        assert "exceeds" in false.reason
        assert epsilon / 2 < false.epsilon_at_least <= epsilon * 1.1
    assert rejected <= 4  # at most 5 % each way


def test_claim_fails_on_the_low_false_positive_side_alone():
    """TPR 0.2 at FPR 0 keeps a generous advantage bound, but not TPR <= e^eps FPR + delta."""
    members = np.concatenate([np.full(200, 9.0), np.zeros(800)])
    others = np.zeros(1000)
    found = crossed(members, others, 1)
    assert found.true_positives == 200
    check = privacy_check(found, 1000, 1000, 2.0, 1e-5)
    assert check.advantage.high < check.bound
    assert not check.holds
    assert "TPR exceeds" in check.reason
