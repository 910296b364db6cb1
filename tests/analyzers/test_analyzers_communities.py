"""Grouping actors by what they share: no chain through a bystander, and no order that matters."""

from __future__ import annotations

import random

import numpy as np
from analyzers_sim import ATTACKS, Sim, give_corpus, new_case, population
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.analyzers import replay
from irkit.analyzers.communities import communities


def grouped(holds, count):
    """Group actors that hold ``{key: (strong, actors)}``; returns sets of actors."""
    actor = [a for _, members in holds.values() for a in members]
    key = [k for k, (_, members) in holds.items() for _ in members]
    strong = [s for s, members in holds.values() for _ in members]
    label, linking = communities(
        np.array(actor, np.int64), np.array(key, np.uint64), np.array(strong, np.bool_), count
    )
    sets = [set(np.flatnonzero(label == c).tolist()) for c in range(int(label.max()) + 1)]
    return sets, linking


def test_a_bystander_who_shares_with_both_does_not_chain_two_operations():
    one, other, bystander = range(1, 9), range(9, 17), 0
    for strong in (True, False):
        holds = {
            1: (strong, [*one]),
            2: (strong, [*other]),
            3: (False, [*one, bystander]),
            4: (False, [*other, bystander]),
        }
        sets, _ = grouped(holds, 60)
        assert len(sets) == 2
        assert {*one} <= sets[0] | sets[1]
        assert not any(set(one) & s and set(other) & s for s in sets)


def test_rotating_wordings_of_one_client_stay_one_operation():
    holds = {
        1: (True, range(4)),
        2: (True, range(4, 8)),
        3: (True, range(8, 12)),
        9: (False, range(12)),
    }
    sets, linking = grouped(holds, 60)
    assert sets == [set(range(12))]
    assert linking.all()


def test_shared_wordings_overlap_into_one_operation():
    holds = {key: (True, [key, key + 1, key + 2, key + 3]) for key in range(10)}
    sets, _ = grouped(holds, 60)
    assert sets == [set(range(13))]


def test_few_holders_and_fashions_link_nobody():
    sets, linking = grouped({1: (True, [0, 1]), 2: (True, range(40))}, 60)
    assert sets == []
    assert not linking.any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 11)), min_size=1, max_size=80),
    st.randoms(use_true_random=False),
)
def test_the_order_of_entries_does_not_matter(entries, rng):
    def run(rows):
        actor = np.array([a for a, _ in rows], np.int64)
        key = np.array([k for _, k in rows], np.uint64)
        return communities(actor, key, key % np.uint64(3) == 0, 20)[0].tolist()

    mixed = list(entries)
    rng.shuffle(mixed)
    label = run(entries)
    assert run(mixed) == label
    sizes = np.bincount([c for c in label if c >= 0])
    assert (sizes >= 3).all()


def test_two_techniques_from_one_network_and_client_are_two_campaigns(tmp_path):
    with new_case(tmp_path / "c.irkit") as case:
        sim = Sim(case)
        population(sim, 30, seed=4)
        for kind in ("loss_membership", "attribute_enumeration"):
            for number in range(10):
                rng = random.Random(f"two/{kind}/{number}")
                ip = f"203.0.113.{len(sim.records) % 250}"
                sim.actor(f"{kind}-{number}", ATTACKS[kind][0](rng, 20), ip=ip)
        sim.flush()
        give_corpus(case, tmp_path)
        replay(case)
        rows = case.rows("SELECT technique, members FROM finding WHERE unit_kind = 'campaign'")
    kinds = {
        technique: {name.rsplit("-", 1)[0] for name in members if not name.startswith("key-")}
        for technique, members in rows
    }
    assert kinds["membership_inference"] == {"loss_membership"}
    assert kinds["attribute_inference"] == {"attribute_enumeration"}
