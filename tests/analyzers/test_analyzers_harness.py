"""The evaluation harness measures what it says: rates, clusters, baselines, places of attacks."""

from __future__ import annotations

import random
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from analyzers_sim import chatter
from detection_harness import grid, metrics, staging, targets
from detection_harness.baselines import Mmd, prada
from detection_harness.embedding import Embedding
from detection_harness.families import FAMILIES, attack
from detection_harness.ordinary import HARD, Cover
from detection_harness.wire import read_in, write

from irkit.analyzers.calibrate import k_star
from irkit.model import Technique


def _unit(points):
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_clopper_pearson_agrees_with_the_rule_of_three_and_with_binomial_tails():
    low, high = metrics.interval(0, 2995, 0.90)
    assert low == 0.0
    assert high == pytest.approx(1e-3, rel=1e-3)
    low, high = metrics.interval(5, 50)
    assert low == pytest.approx(0.0333, abs=1e-4)
    assert high == pytest.approx(0.2181, abs=1e-4)


def test_macro_f1_counts_misses_only_when_asked():
    matrix = metrics.confusion([("a", "a"), ("a", metrics.MISSED), ("b", "b"), ("b", "a")])
    assert metrics.macro_f1(matrix, missed=False) == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert metrics.macro_f1(matrix, missed=True) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_pairwise_f1_punishes_merged_and_foreign_members():
    truth = {"a1": "a", "a2": "a", "b1": "b", "b2": "b"}
    assert metrics.pairwise_f1(truth, [["a1", "a2"], ["b1", "b2"]]) == (1.0, 1.0, 1.0)
    precision, recall, _ = metrics.pairwise_f1(truth, [["a1", "a2", "b1", "b2"]])
    assert (precision, recall) == (pytest.approx(2 / 6), 1.0)
    precision, _, _ = metrics.pairwise_f1(truth, [["a1", "a2", "stranger"]])
    assert precision == pytest.approx(1 / 3)
    assert metrics.pairwise_f1(truth, [])[2] == 0.0


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("visible", [True, False])
def test_families_yield_what_was_asked_for_and_hide_scores(family, visible):
    calls = attack(family, "seed", 47, visible=visible)
    assert len(calls) == 47
    assert calls == attack(family, "seed", 47, visible=visible)
    assert FAMILIES[family].technique in {t.value for t in Technique}
    scored = any(call.get("has_logprobs") for call in calls)
    assert scored == (visible and FAMILIES[family].scored)


@pytest.mark.parametrize("kind", list(HARD))
def test_look_alikes_yield_what_was_asked_for(kind):
    assert len(list(HARD[kind](random.Random(5), 33))) == 33


def test_spread_keeps_order_dilution_and_lead():
    bad = [{"prompt": f"bad {i}", "answer": ""} for i in range(20)]
    cover = Cover([list(chatter(random.Random(1), 200))])
    calls, marks = staging.spread(random.Random(2), bad, cover.take, 0.75, lead=7)
    assert len(calls) == len(marks) == 7 + 80
    assert marks.index(True) == 7
    assert [call for call, mark in zip(calls, marks, strict=True) if mark] == bad
    actor = staging.Actor("x", calls, marks)
    assert actor.place(actor.first_bad()) == 7


def test_flagged_follows_the_promise_not_the_nominal_rate():
    size = 10_000
    edge = k_star(size, 1e-3) / (size + 1)
    common = ("credential", "u", "model_extraction", None, "C")

    def verdict(p, signature=False, n=size):
        return staging.Verdict(*common, p, signature, n, None, None, None, ())

    assert verdict(edge).flagged(1e-3)
    assert not verdict(edge * 1.2).flagged(1e-3)
    assert verdict(edge * 1.2).flagged(1e-2)
    assert not verdict(1e-9, n=500).flagged(1e-3)
    assert not verdict(None).flagged(1e-2)
    assert verdict(None, signature=True).flagged(1e-3)


def test_mmd_is_near_zero_on_its_own_population_and_large_elsewhere():
    rng = np.random.default_rng(3)
    pool = _unit(rng.normal(size=(3000, 16)) + 1.0)
    mmd = Mmd.fit(pool, 50, 4, draws=200)
    own = [mmd.score(_unit(rng.normal(size=(50, 16)) + 1.0)) for _ in range(40)]
    other = mmd.score(_unit(rng.normal(size=(50, 16)) - 1.0))
    assert abs(float(np.mean(own))) < mmd.threshold
    # The published threshold is of single draws; means over references seldom reach it.
    assert float(np.mean([score > mmd.threshold for score in own])) < 0.1
    assert other > 10 * mmd.threshold


def test_mmd_is_the_unbiased_estimate_with_four_kernels():
    rng = np.random.default_rng(5)
    pool = _unit(rng.normal(size=(400, 8)))
    mmd = Mmd.fit(pool, 10, 6, draws=20)
    window = _unit(rng.normal(size=(10, 8)) + 0.5)

    def kernel(a, b):
        square = max(0.0, float(((a - b) ** 2).sum()))
        return np.mean(
            [np.exp(-square / (2 * (w * mmd.median) ** 2)) for w in (0.5, 1.0, 2.0, 4.0)]
        )

    total = 0.0
    for i in range(20):
        reference = mmd.references[10 * i : 10 * i + 10]
        own = sum(kernel(window[i], window[j]) for i in range(10) for j in range(10) if i != j)
        ref = sum(
            kernel(reference[i], reference[j]) for i in range(10) for j in range(10) if i != j
        )
        cross = np.mean([[kernel(a, b) for b in reference] for a in window])
        total += own / 90 + ref / 90 - 2 * cross
    assert mmd.score(window) == pytest.approx(total / 20, abs=1e-5)


def test_prada_alarms_on_a_made_sequence_and_waits_for_enough_distances():
    rng = np.random.default_rng(7)
    natural = _unit(rng.normal(size=(300, 30)))
    seeds = _unit(rng.normal(size=(30, 30)))
    steps = np.sign(rng.normal(size=(270, 30))) * 0.01
    made = np.concatenate([seeds, _unit(seeds[np.arange(270) % 30] + steps)]).astype(np.float32)
    assert prada(natural) > 0.9
    assert prada(made) < 0.8
    assert prada(natural[:100]) == 1.0
    assert prada(made[:100], least=40) < 1.0


def test_embedding_puts_like_texts_together_and_is_fixed_by_its_seed():
    rng = random.Random(9)
    texts = [call["prompt"] for call in chatter(rng, 400)]
    embed = Embedding(texts, 1, dimensions=32)
    near, same, far = embed(["How do I paint a boat?", "How do I paint a boat?", "9f8e7d6c5b4a"])
    assert np.linalg.norm(near) == pytest.approx(1.0, abs=1e-5)
    assert float(near @ same) == pytest.approx(1.0, abs=1e-5)
    assert float(near @ far) < 0.9
    again = Embedding(texts, 1, dimensions=32)(["How do I paint a boat?"])[0]
    assert np.allclose(near, again, atol=1e-6)


def test_wire_lines_are_read_as_the_simulator_writes_them(tmp_path):
    from analyzers_sim import START, new_case
    from detection_harness.wire import line

    calls = [*attack("loss_membership", "w", 3), *attack("bias_sweep", "w", 3)]
    with new_case(tmp_path / "w.irkit") as case:
        lines = (line("key-1", i, START + timedelta(minutes=i), c) for i, c in enumerate(calls))
        read_in(case, [write(tmp_path / "w.ndjson", lines)])
        rows = case.rows(
            "SELECT credential_id, echo, has_logprobs, logit_bias_size, max_tokens,"
            " scalars_returned FROM query_record ORDER BY event_time"
        )
    assert [row[0] for row in rows] == ["key-1"] * 6
    assert [bool(row[1]) for row in rows] == [True] * 3 + [False] * 3
    assert all(row[2] for row in rows)
    assert [row[3] or 0 for row in rows] == [0] * 3 + [19] * 3
    assert [row[4] for row in rows] == [0] * 3 + [1] * 3
    assert all(row[5] > 0 for row in rows)


def test_targets_say_reached_missed_or_not_measured():
    assert {t.reached for t in targets.table(None, None, None, None)} == {None}
    result = grid.GridResult()
    cell = grid.Cell("prefix_probe", 1, 0.0, 20, True)
    for hit in (True, True, True, False):
        outcome = grid.Outcome(cell, {1e-3: float(hit), 1e-2: 1.0})
        outcome.named = "training_data_extraction" if hit else metrics.MISSED
        result.outcomes.append(outcome)
    found = {t.item: t for t in targets.table(result, None, None, None)}
    prefix = found["prefix probing (D11, corpus), 20 queries"]
    assert prefix.reached is False
    assert "75.00% (3 of 4" in prefix.value
    assert "prefix_probe 75%" in prefix.reason
