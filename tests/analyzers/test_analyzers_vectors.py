"""Classifier traffic through the whole replay: attacks found as such, clients left alone."""

from __future__ import annotations

import numpy as np
import pytest
from analyzers_sim import new_case
from vectors_sim import ATTACKS, WIDTH, VectorSim, diluted, people, population, steady

from irkit.analyzers import build_baseline, replay
from irkit.analyzers.d09_input_distribution_shift import berk_jones
from irkit.analyzers.vector_slots import slot_groups

#: Ordinary clients calibrated on, tested along with the attackers, and the rate promised.
CALIBRATED, TESTED, FPR = 470, 12, 5e-3


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    with new_case(folder / "clean", fpr=FPR) as clean:
        sim = VectorSim(clean)
        population(sim, CALIBRATED, 1, 50, 70)
        sim.flush()
        described = build_baseline(clean, folder / "base.zst")
    with new_case(folder / "case", fpr=FPR) as case:
        sim = VectorSim(case)
        population(sim, TESTED, 2, 50, 70)
        for number, (name, (attack, _)) in enumerate(ATTACKS.items()):
            rng = np.random.default_rng([7, number])
            sim.client(f"bad-{name}", attack(rng, 120))
        rng = np.random.default_rng(8)
        sim.client(
            "half-natural_extraction", diluted(ATTACKS["natural_extraction"][0], 0.5)(rng, 120)
        )
        sim.flush()
        report = replay(case, baseline=folder / "base.zst")
        yield case, report, described


def findings(case, unit: str) -> list[dict]:
    return case.frame(
        "SELECT * FROM finding WHERE unit_kind = 'credential' AND unit = ?", [unit]
    ).to_dicts()


STAND_ALONE = ("boundary_walk", "augmented_membership", "attribute_enumeration")


@pytest.mark.parametrize("name", STAND_ALONE)
def test_attacks_with_a_technique_of_their_own_reach_a_strong_tier(world, name):
    (found,) = findings(world[0], f"bad-{name}")
    assert found["technique"] == ATTACKS[name][1]
    assert found["tier"] in ("A", "B")


@pytest.mark.parametrize("unit", ["bad-natural_extraction", "half-natural_extraction"])
def test_foreign_rows_alone_are_shown_but_accuse_nobody(world, unit):
    (found,) = findings(world[0], unit)
    assert found["technique"] == "model_extraction"
    assert found["tier"] == "C"
    assert found["p_value"] <= 0.02


def test_ordinary_clients_reach_no_strong_tier(world):
    strong = world[0].rows(
        "SELECT DISTINCT unit FROM finding WHERE tier IN ('A', 'B') AND unit LIKE 'app-%'"
    )
    assert len(strong) <= 1


def test_text_detectors_are_silent_on_rows_and_the_calibration_says_predict(world):
    case, report, described = world
    rows = case.frame(
        "SELECT * FROM detector_result WHERE unit = 'bad-boundary_walk'"
        " AND unit_kind = 'credential'"
    ).to_dicts()
    by_name = {row["detector"]: row for row in rows}
    assert by_name["decision_boundary_probe"]["status"] == "FOUND"
    assert by_name["decision_boundary_probe"]["calib_level"].startswith("classifier calls")
    assert by_name["repetition_divergence"]["status"] == "NOT_APPLICABLE"
    assert described["signatures"]["D8.bisection"]["n"] == CALIBRATED
    assert not any("not calibrated" in warning for warning in report.warnings)


def test_without_ordinary_classifier_clients_nothing_is_ranked(tmp_path):
    with new_case(tmp_path / "case") as case:
        sim = VectorSim(case)
        population(sim, 5, 3)
        sim.client("bad", ATTACKS["augmented_membership"][0](np.random.default_rng(1), 120))
        sim.flush()
        report = replay(case)
        assert case.rows("SELECT count(*) FROM finding WHERE p_kind <> 'signature'") == [(0,)]
        assert case.rows("SELECT count(*) FROM detector_result WHERE p_value IS NOT NULL") == [(0,)]
        assert any("no rank and no promise" in warning for warning in report.warnings)


def test_a_bisection_needs_no_calibration(tmp_path):
    rng = np.random.default_rng(5)

    def search():
        for _ in range(4):
            low, high = people(rng, 2)
            for _ in range(9):
                middle = (low + high) / 2
                yield middle[None]
                if rng.random() < 0.5:
                    low = middle
                else:
                    high = middle

    with new_case(tmp_path / "case") as case:
        sim = VectorSim(case, scores=False)
        population(sim, 5, 3)
        sim.client("bad", search())
        sim.client("calm", steady(rng, 40))
        sim.flush()
        replay(case)
        found = case.rows("SELECT unit, p_kind FROM finding WHERE unit_kind = 'credential'")
        assert found == [("bad", "signature")]


def test_slot_groups_find_rows_equal_in_all_but_one_column():
    rng = np.random.default_rng(0)
    base = people(rng, 6)
    rows = np.repeat(base, 4, axis=0)
    rows[:, 11] = np.tile(np.arange(4.0), 6)
    raw = np.concatenate([rows, people(rng, 50)])
    part, fresh = np.zeros(len(raw), np.int64), np.ones(len(raw), np.bool_)
    group, closed = slot_groups(raw, part, fresh)
    assert closed[:24].all()
    assert len(np.unique(group[:24])) == 6
    assert not closed[24:].any()


def test_another_actor_with_the_same_rows_is_another_group():
    row = np.zeros((6, WIDTH))
    row[:, 0] = [1, 2, 1, 2, 1, 2]
    row[:, 5] = [7, 7, 8, 8, 9, 9]
    group, _ = slot_groups(row, np.array([0, 1, 0, 1, 0, 1]), np.ones(6, np.bool_))
    assert not set(group[::2].tolist()) & set(group[1::2].tolist())


def test_berk_jones_counts_only_an_excess():
    size = np.array([100.0, 100.0, 100.0])
    got = berk_jones(np.array([1.0, 5.0, 100.0]), size, 0.05)
    assert got[0] == got[1] == 0.0
    assert got[2] == pytest.approx(100 * np.log(1 / 0.05), rel=1e-6)
