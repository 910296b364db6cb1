"""A whole replay: who is found, as what, since when, how it is worded, and that it repeats."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest
from analyzers_sim import ATTACKS, NOUNS, START, Sim, chatter, give_corpus, new_case, population

from irkit.analyzers import explain, replay
from irkit.analyzers.baseline import build_baseline
from irkit.analyzers.calibrate import PRIOR
from irkit.analyzers.campaign import network_of
from irkit.analyzers.explanation import _surprise
from irkit.errors import UsageError

#: 460 ordinary actors are enough for a promise at this rate.
FPR = 5e-3
BEFORE, DURING = 20, 40


def _mixed(kind):
    calls = list(chatter(random.Random(kind + "before"), BEFORE))
    calls += list(ATTACKS[kind][0](random.Random(kind), DURING))
    return calls + list(chatter(random.Random(kind + "after"), 4))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    with new_case(folder / "b.irkit") as case:
        sim = Sim(case)
        population(sim, 620, seed=1, low=26, high=60)
        sim.flush()
        give_corpus(case, folder)
        build_baseline(case, folder / "b.zst")
    with new_case(folder / "c.irkit", fpr=FPR) as case:
        sim = Sim(case)
        kinds = population(sim, 120, seed=2, low=26, high=60)
        for kind in ATTACKS:
            sim.actor("bad-" + kind, iter(_mixed(kind)), ip=f"198.51.100.{len(sim.records) % 250}")
        for number in range(12):
            targets = list(ATTACKS["prefix_probe"][0](random.Random(f"slow{number}"), 7))
            slow = [
                {**call, "prompt": "Complete the file as stored: " + call["prompt"], "gap": 40_000}
                for call in targets
            ]
            ordinary = [{**call, "gap": 30_000} for call in chatter(random.Random(f"o{number}"), 3)]
            sim.actor(f"slow-{number:02d}", iter(ordinary + slow), ip=f"203.0.113.{number + 1}")
        sim.flush()
        give_corpus(case, folder)
        report = replay(case, baseline=folder / "b.zst")
        yield case, report, kinds, folder


def _findings(case, unit, kind="credential"):
    return case.frame(
        "SELECT * FROM finding WHERE unit = ? AND unit_kind = ? ORDER BY tier", [unit, kind]
    ).to_dicts()


def test_an_explanation_leaves_out_what_was_not_computed(world):
    case, _, _, _ = world
    found = next(f for f in _findings(case, "bad-loss_membership") if f["p_value"] is not None)
    facts = {"family": {"units": 7}}
    told = " ".join(_surprise({**found, "q_value": None}, facts, PRIOR))
    assert "q =" not in told
    assert told.startswith("How surprising: an ordinary actor looks like this or stronger in ")
    assert "all 7 actors tested, q = 0.05" in " ".join(
        _surprise({**found, "q_value": 0.05}, facts, PRIOR)
    )


@pytest.mark.parametrize("kind", list(ATTACKS))
def test_every_attack_is_found_as_what_it_is(world, kind):
    case, _, _, _ = world
    found = _findings(case, "bad-" + kind)
    assert len(found) == 1
    assert found[0]["technique"] == ATTACKS[kind][1]
    assert found[0]["tier"] in ("A", "B")
    assert found[0]["queries"] >= DURING
    assert found[0]["p_kind"] in ("conformal", "signature")


@pytest.mark.parametrize("kind", list(ATTACKS))
def test_onset_is_the_first_query_of_the_attack_within_its_interval(world, kind):
    case, _, _, _ = world
    found = _findings(case, "bad-" + kind)[0]
    truth = START + timedelta(seconds=45 * (BEFORE + 1))
    assert abs((found["onset"] - truth).total_seconds()) <= 45 * 5
    assert found["onset_low"] <= found["onset"] <= found["onset_high"]
    assert found["first_seen"] == START + timedelta(seconds=45)
    assert found["last_seen"] <= START + timedelta(seconds=45 * (BEFORE + DURING + 4))
    assert found["last_seen"] >= truth + timedelta(seconds=45 * DURING // 2)


def test_ordinary_actors_reach_no_strong_tier(world):
    case, _, kinds, _ = world
    strong = case.rows(
        "SELECT unit FROM finding WHERE tier IN ('A', 'B') AND unit_kind = 'credential'"
        " AND unit LIKE 'key-%'"
    )
    assert len(kinds) == 120
    assert len(strong) <= 1


def test_the_slow_campaign_is_linked_and_convicted_as_a_union(world):
    case, _, _, _ = world
    found = case.frame("SELECT * FROM finding WHERE unit_kind = 'campaign'").to_dicts()
    hit = [f for f in found if sum(m.startswith("slow-") for m in f["members"]) >= 11]
    assert len(hit) == 1
    assert hit[0]["technique"] == "training_data_extraction"
    assert hit[0]["tier"] in ("A", "B")
    assert sum(not m.startswith("slow-") for m in hit[0]["members"]) <= 2
    # Customers who share an application's wording may be linked, but not convicted for it.
    others = [f for f in found if not any(m.startswith(("slow-", "bad-")) for m in f["members"])]
    assert all(f["tier"] == "C" for f in others)


def test_results_say_who_was_compared_with_whom(world):
    case, report, _, _ = world
    rows = case.frame(
        "SELECT * FROM detector_result WHERE unit = 'bad-loss_membership' ORDER BY detector"
    ).to_dicts()
    by_name = {row["detector"]: row for row in rows if row["unit_kind"] == "credential"}
    assert by_name["member_probe_set"]["status"] == "FOUND"
    assert by_name["member_probe_set"]["calib_n"] >= 460
    assert by_name["member_probe_set"]["evidence"]
    assert by_name["logit_bias_sweep"]["status"] == "NO_FINDINGS"
    assert {row["status"] for row in rows} <= {"FOUND", "NO_FINDINGS", "NOT_APPLICABLE"}
    assert all(row["summary"] for row in rows)
    assert "at most 0.50%" in report.promise
    assert report.units["credential"] >= 128
    assert sum(report.findings.values()) > 0


def test_evidence_points_at_the_attack_queries(world):
    case, _, _, _ = world
    found = _findings(case, "bad-pii_probe")[0]
    assert len(found["evidence_record_ids"]) == len(found["evidence_request_ids"]) <= 50
    asked = case.rows(
        "SELECT count(*) FROM query_record q JOIN text t ON t.text_id = q.prompt_text_id"
        " WHERE q.record_id IN (SELECT unnest(?)) AND t.body LIKE 'the email address of%'",
        [found["evidence_record_ids"]],
    )[0][0]
    assert asked == len(found["evidence_record_ids"])
    marks = case.rows(
        "SELECT count(*), min(p_value), max(p_value) FROM query_evidence"
        " WHERE record_id IN (SELECT unnest(?))",
        [found["evidence_record_ids"]],
    )[0]
    assert marks[0] >= len(found["evidence_record_ids"])
    assert 0 < marks[1] <= marks[2] <= 1
    twice = case.rows(
        "SELECT 1 FROM query_evidence GROUP BY record_id, detector HAVING count(*) > 1"
    )
    assert twice == []


def test_calibration_rows_carry_promise_hashes_and_counts(world):
    case, _, _, _folder = world
    facts = {k: json.loads(v) for k, v in case.rows("SELECT key, value FROM calibration")}
    assert len(facts["baseline"]["sha256"]) == 64
    assert facts["promise"]["buckets"]["25"]["n"] >= 460
    assert facts["promise"]["buckets"]["25"]["k"] >= 1
    assert facts["family"]["units"] > 200
    assert facts["signatures"]["model_extraction"][0]["n"] == 620
    assert len(facts["params_hash"]) == 64


def test_explanations_are_plain_and_quote_nothing(world):
    case, _, _, _ = world
    for kind in ATTACKS:
        found = _findings(case, "bad-" + kind)[0]
        lines = explain(case, found["finding_id"])
        text = " ".join(lines)
        assert lines[0].startswith("What:")
        assert "Compared with:" in text
        assert "What else could explain it" in text
        assert "Grade " in text
        assert "Against it:" in text
        assert "no probability of guilt" in text
        assert "What would change this" in text
        assert (found["pattern"] is not None) == ("Certain pattern:" in text)
        assert found["evidence_request_ids"][0] in text
        assert "mail.example" not in text
        assert "bad-" not in text
    with pytest.raises(UsageError, match="no finding"):
        explain(case, "F-none")


@pytest.mark.parametrize("kind", list(ATTACKS))
def test_the_end_and_the_complete_pattern_lie_inside_the_attack(world, kind):
    case, _, _, _ = world
    found = _findings(case, "bad-" + kind)[0]
    first = START + timedelta(seconds=45 * (BEFORE + 1))
    last = START + timedelta(seconds=45 * (BEFORE + DURING))
    assert abs((found["last_seen"] - last).total_seconds()) <= 45 * 5
    assert found["end_low"] <= found["last_seen"] <= found["end_high"]
    if found["pattern"]:
        assert first <= found["pattern_at"] <= last
        assert found["p_kind"] == "signature"
    else:
        assert found["pattern_at"] is None
    if found["dilution"] is not None:
        assert json.loads(found["stretches"])


def test_the_incident_begins_with_the_earliest_flagged_actor(world):
    case, _, _, _ = world
    incident = json.loads(case.rows("SELECT value FROM calibration WHERE key = 'incident'")[0][0])
    low, anchor, onset, last = case.rows(
        "SELECT min(onset_low), min(pattern_at), min(onset), max(last_seen) FROM finding"
        " WHERE tier IN ('A', 'B')"
    )[0]

    def told(at):
        return at.isoformat(timespec="milliseconds") + "Z"

    assert incident["start"] == told(min(low, anchor))
    assert incident["onset"] == told(onset)
    assert incident["first_anchor"] == told(anchor)
    assert incident["last_seen"] == told(last)


def test_the_query_that_completes_a_pattern_is_exact(world):
    """Ten documents continued verbatim: the tenth one completes it."""
    case, _, _, _ = world
    found = _findings(case, "bad-prefix_probe")[0]
    assert found["pattern"].startswith("10 or more training documents")
    tenth = START + timedelta(seconds=45 * (BEFORE + 10))
    assert abs((found["pattern_at"] - tenth).total_seconds()) <= 45 * 3


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:7:1::9", "2001:db8:7::/48"),
        ("203.0.113.xxx", "203.0.113.xxx"),
        ("not an address \x1b[31m", "not an address \x1b[31m"),
    ],
)
def test_networks_are_24_or_48_bits_and_a_masked_address_stands_for_itself(address, network):
    assert network_of(address) == network


def test_addresses_of_one_network_that_do_the_same_are_one_campaign(tmp_path):
    """No credential, other words and clients every time, a few queries each, one /24."""
    with new_case(tmp_path / "b.irkit") as case:
        sim = Sim(case)
        population(sim, 480, seed=31, low=26, high=60)
        sim.flush()
        build_baseline(case, tmp_path / "b.zst")
    with new_case(tmp_path / "c.irkit", fpr=FPR) as case:
        sim = Sim(case)
        population(sim, 60, seed=32, low=26, high=60)
        for number in range(9):
            rng = random.Random(f"net{number}")
            own = NOUNS[number * 20 : number * 20 + 12]
            asks = [
                {
                    **call,
                    "prompt": f"{' '.join(own[:5])}: {call['prompt']}? {' '.join(own[5:])}",
                    "credential_id": None,
                    "user_agent": f"client/{own[0]}",
                }
                for call in ATTACKS["pii_probe"][0](rng, 12)
            ]
            sim.actor(f"net-{number}", iter(asks), ip=f"203.0.113.{number + 1}")
        sim.flush()
        replay(case, baseline=tmp_path / "b.zst")
        campaigns = case.rows("SELECT members, tier FROM finding WHERE unit_kind = 'campaign'")
    assert len(campaigns) == 1
    assert campaigns[0][0] == [f"source_ip:203.0.113.{n + 1}" for n in range(9)]


def _curious(number: int, asks: int):
    rng = random.Random(f"curious{number}/{asks}")
    return [*ATTACKS["pii_probe"][0](rng, asks), *chatter(rng, 30 - asks)]


def test_a_calibration_that_does_not_fit_withholds_p_values(tmp_path):
    """Ordinary actors that all score higher than most calibrated ones: ranks only, and said so."""
    with new_case(tmp_path / "b.irkit") as case:
        sim = Sim(case)
        for number in range(300):
            sim.actor(f"own-{number}", iter(_curious(number, number % 16)))
        sim.flush()
        build_baseline(case, tmp_path / "b.zst")
    with new_case(tmp_path / "odd.irkit", fpr=FPR) as case:
        sim = Sim(case)
        for number in range(90):
            sim.actor(f"odd-{number}", iter(_curious(number, 10 + number % 5)))
        sim.actor("bias", ATTACKS["bias_sweep"][0](random.Random(1), 60))
        sim.flush()
        replay(case, baseline=tmp_path / "b.zst")
        facts = {k: json.loads(v) for k, v in case.rows("SELECT key, value FROM calibration")}
        findings = case.rows("SELECT tier, p_value, p_kind, finding_id FROM finding")
        kinds = {kind for (kind,) in case.rows("SELECT DISTINCT p_kind FROM detector_result")}
        ranked = [row for row in findings if row[2] == "rank_only"]
        told = " ".join(explain(case, ranked[0][3])) if ranked else ""
    assert facts["shift"]["invalid"], facts["shift"]
    assert not facts["promise"]["valid"]
    assert "calibration invalid" in facts["promise"]["text"]
    assert "conformal" not in kinds
    assert {row[2] for row in findings} <= {"rank_only", "signature"}
    assert all(p is None and tier == "C" for tier, p, kind, _ in ranked)
    assert not ranked or "does not fit" in told


def test_a_second_run_writes_the_same_rows(world):
    case, _, _, folder = world
    tables = ("finding", "detector_result", "query_evidence", "calibration")

    def dump():
        return [case.rows(f"SELECT * FROM {table} ORDER BY ALL") for table in tables]

    before = dump()
    replay(case, baseline=folder / "b.zst")
    assert dump() == before


def test_too_few_ordinary_actors_give_ranks_and_no_promise(tmp_path):
    with new_case(tmp_path / "b.irkit") as case:
        sim = Sim(case)
        population(sim, 70, seed=3, low=26, high=40)
        sim.flush()
        give_corpus(case, tmp_path)
        build_baseline(case, tmp_path / "b.zst")
    with new_case(tmp_path / "c.irkit") as case:
        sim = Sim(case)
        population(sim, 10, seed=4, low=26, high=40)
        sim.actor("bad-loss", ATTACKS["loss_membership"][0](random.Random(1), 40))
        sim.actor("bad-sweep", ATTACKS["bias_sweep"][0](random.Random(1), 40))
        sim.flush()
        give_corpus(case, tmp_path)
        report = replay(case, baseline=tmp_path / "b.zst")
        loss = _findings(case, "bad-loss")[0]
        sweep = _findings(case, "bad-sweep")[0]
        text = " ".join(explain(case, loss["finding_id"]))
    assert report.promise.startswith("Rank only, no promise")
    assert (loss["p_value"], loss["p_kind"], loss["tier"]) == (None, "rank_only", "C")
    assert loss["technique"] == "membership_inference"
    assert (sweep["p_kind"], sweep["tier"]) == ("signature", "A")
    assert "rank only" in text


def test_an_empty_case_and_a_case_without_prompts_are_survived(tmp_path):
    with new_case(tmp_path / "e.irkit") as case:
        report = replay(case)
        assert report.records == 0
        assert case.rows("SELECT count(*) FROM finding") == [(0,)]
    with new_case(tmp_path / "p.irkit") as case:
        sim = Sim(case)
        sim.actor("key-1", chatter(random.Random(1), 30))
        for row in sim.records:
            row |= {"prompt_text_id": None, "response_text_id": None, "params_known": False,
                    "event_time": None, "content_state": "absent"}  # fmt: skip
        sim.choices, sim.messages = sim.choices[:1], sim.messages[:1]
        sim.flush()
        report = replay(case)
        assert report.records == 30
        status = dict(
            case.rows("SELECT detector, status FROM detector_result WHERE unit_kind = 'credential'")
        )
        assert status["member_probe_set"] == "NOT_APPLICABLE"
        assert status["repetition_divergence"] == "NOT_APPLICABLE"
