"""Each detector against its attack and against the ordinary traffic that looks like it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from analyzers_sim import (
    ATTACKS,
    CORPUS,
    DISEASES,
    ORDINARY,
    Sim,
    chat,
    give_corpus,
    new_case,
    person,
    prose,
    record,
    score,
)

from irkit.analyzers.d07_logit_bias_sweep import bisection_steps
from irkit.analyzers.features import Features
from irkit.analyzers.registry import load_detectors
from irkit.analyzers.scoring import Scorer, stratum_names
from irkit.analyzers.sequences import units_of, whole_units
from irkit.model import UnitKind

QUERIES = 60
SEEDS = 3


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Window scores of every kind of actor, by kind: {kind: {statistic: [scores]}}."""
    folder = tmp_path_factory.mktemp("detectors")
    with new_case(folder / "d.irkit") as case:
        sim = Sim(case)
        for kinds in (ORDINARY, ATTACKS):
            for kind, (calls, _) in kinds.items():
                for seed in range(SEEDS):
                    sim.actor(f"{kind}-{seed}", calls(random.Random(f"{kind}{seed}"), QUERIES))
        sim.flush()
        give_corpus(case, folder)
        log = Features(case)
        scorer = Scorer.of(load_detectors(), log)
        units = units_of(log.log, UnitKind.CREDENTIAL)
        windows = whole_units(units)
        table = scorer.table(windows)
        assert scorer.errors == {}
        names = log.log.names[UnitKind.CREDENTIAL].of(units.code).to_list()
        out: dict[str, dict[str, list[float]]] = {}
        for row, name in enumerate(names):
            kind = name.rsplit("-", 1)[0]
            for i, (_, statistic) in enumerate(scorer.statistics):
                out.setdefault(kind, {}).setdefault(statistic.key, []).append(table[row, i])
        hits = {
            signature.key: {names[i].rsplit("-", 1)[0] for i in np.flatnonzero(shown)}
            for _, signature, shown in scorer.signatures(windows)
        }
        reasons = {
            statistic.key: detector.reason(log, statistic.key, int(score.argmax()))
            for detector, statistic in scorer.statistics
            if (score := scorer.query[statistic.key]).max() > 0
        }
        return out, hits, reasons


@pytest.mark.parametrize(
    ("statistic", "attack", "margin"),
    [
        ("D3.enumeration", "attribute_enumeration", 3.0),
        ("D3.pii_probe", "pii_probe", 2.0),
        ("D4.groups", "paired_membership", 1.5),
        ("D5.members", "loss_membership", 5.0),
        ("D7.sweep", "bias_sweep", 2.0),
        ("D7.sweep", "bias_bisection", 2.0),
        ("D10.divergence", "repeat_forever", 2.0),
        ("D11.continuation", "prefix_probe", 5.0),
        ("D11.personal", "prefix_probe", 5.0),
        ("D12.personal", "prefix_probe", 5.0),
    ],
)
def test_attack_stands_far_out_from_every_ordinary_kind(scored, statistic, attack, margin):
    scores, _, _ = scored
    weakest = min(scores[attack][statistic])
    for kind in ORDINARY:
        assert weakest > margin * np.nanmax([0.0, *scores[kind][statistic]]), kind


@pytest.mark.parametrize(
    ("statistic", "look_alikes"),
    [
        ("D3.enumeration", ("merge", "support", "chatter")),
        ("D3.pii_probe", ("merge", "contacts_in_context", "support", "translate")),
        ("D4.groups", ("autocomplete", "merge", "stories", "translate")),
        ("D5.members", ("classify", "multiple_choice", "autocomplete")),
        ("D7.sweep", ("static_bias",)),
        ("D11.personal", ("translate", "autocomplete")),
        ("D12.personal", ("translate",)),
    ],
)
def test_look_alikes_hardly_score(scored, statistic, look_alikes):
    scores, _, _ = scored
    for kind in look_alikes:
        assert np.nanmax([0.0, *scores[kind][statistic]]) < 0.03 * QUERIES, kind


def test_near_duplicates_need_edits_not_repeats(scored):
    scores, _, _ = scored
    assert min(scores["attribute_enumeration"]["D2.components"]) > 0.8
    for kind in ("stories", "health"):
        assert max(scores[kind]["D2.components"]) == 0.0


def test_score_harvest_follows_the_returned_scores(scored):
    scores, _, _ = scored
    assert min(scores["loss_membership"]["D6.yield"]) > max(scores["classify"]["D6.yield"])
    assert max(scores["chatter"]["D6.yield"]) == 0.0


def test_signatures_fire_for_their_attack_only(scored):
    _, hits, _ = scored
    assert hits["D7.vocabulary_sweep"] == {"bias_sweep"}
    assert hits["D7.bisection"] == {"bias_bisection"}
    assert hits["D10.diverged"] == {"repeat_forever"}
    assert hits["D11.verbatim"] == {"prefix_probe"}
    assert hits["D3.complete_enumeration"] <= {"attribute_enumeration"}


def test_reasons_are_sentences_without_any_quoted_text(scored):
    _, _, reasons = scored
    assert {"D3.enumeration", "D3.pii_probe", "D5.members", "D7.sweep", "D10.divergence"} <= set(
        reasons
    )
    for reason in reasons.values():
        assert len(reason) > 15
        assert "@" not in reason
        assert '"' not in reason


def test_bisection_needs_midpoints():
    low, high, value, series = 0.0, 64.0, 32.0, []
    for _ in range(12):
        series.append(value)
        if value > 20.3:
            high = value
        else:
            low = value
        value = (low + high) / 2
    assert bisection_steps(np.array(series)) >= 9
    rng = np.random.default_rng(1)
    for _ in range(300):
        assert bisection_steps(np.round(rng.uniform(0, 60, 40), 1)) < 6
        assert bisection_steps(rng.integers(-100, 100, 40).astype(float)) < 6
    assert bisection_steps(np.full(50, -100.0)) == 0


def test_without_corpus_or_parameters_the_detectors_say_so(tmp_path):
    with new_case(tmp_path / "n.irkit") as case:
        sim = Sim(case)
        sim.actor("key-1", ORDINARY["chatter"][0](random.Random(1), 40))
        for row in sim.records:
            row["params_known"] = False
        sim.flush()
        log = Features(case)
        scorer = Scorer.of(load_detectors(), log)
        windows = whole_units(units_of(log.log, UnitKind.CREDENTIAL))
        silent = {statistic.key: scorer.silence(statistic) for _, statistic in scorer.statistics}
        table = scorer.table(windows)
        by_key = {statistic.key: i for i, (_, statistic) in enumerate(scorer.statistics)}
    assert "corpus" in silent["D5.members"]
    assert "parameters" in silent["D7.sweep"]
    assert silent["D3.pii_probe"] == ""
    assert np.isnan(table[0, by_key["D5.members"]])
    assert np.isnan(table[0, by_key["D7.sweep"]])
    assert not np.isnan(table[0, by_key["D10.divergence"]])


def test_a_failing_detector_costs_only_its_own_result(tmp_path):
    class Broken:
        spec = load_detectors().detectors["D5"].spec

        def query_scores(self, log):
            raise RuntimeError("a value from the evidence: dorte@mail.example")

    with new_case(tmp_path / "x.irkit") as case:
        sim = Sim(case)
        sim.actor("key-1", ORDINARY["chatter"][0](random.Random(1), 30))
        sim.flush()
        registry = load_detectors()
        registry.detectors["D5"] = Broken()
        scorer = Scorer.of(registry, Features(case))
        windows = whole_units(units_of(scorer.log.log, UnitKind.CREDENTIAL))
        table = scorer.table(windows)
    assert scorer.errors == {"D5": "the detector failed (RuntimeError)"}
    assert not np.isnan(table[0]).all()


def _thin(rng, calls, share):
    """Attack calls among chat, in order."""
    hidden = list(ORDINARY["chatter"][0](rng, round(len(calls) * (1 - share) / share)))
    for place, call in zip(sorted(rng.sample(range(len(hidden)), len(calls))), calls, strict=True):
        hidden.insert(place, call)
    return hidden


def test_masked_passages_of_the_corpus_are_probes_however_thin(tmp_path):
    rng = random.Random(11)

    def passages(texts):
        for text in texts:
            words = text.split()
            shown = " ".join(["[MASK]" if i == 20 else words[i] for i in range(8, 32)])
            yield chat(f"Which word belongs at [MASK] in this passage?\n{shown}", words[20])

    foreign = [record(rng, 80000 + i) for i in range(10)]
    with new_case(tmp_path / "g.irkit") as case:
        sim = Sim(case)
        for name, texts in (("corpus", CORPUS[:10]), ("foreign", foreign)):
            sim.actor(name, iter(_thin(rng, list(passages(texts)), 0.1)))
        sim.flush()
        give_corpus(case, tmp_path)
        log = Features(case)
        scorer = Scorer.of(load_detectors(), log)
        units = units_of(log.log, UnitKind.CREDENTIAL)
        table = scorer.table(whole_units(units))
        names = log.log.names[UnitKind.CREDENTIAL].of(units.code).to_list()
        assert "fill in" in registry_reason(scorer, "D11.personal")
    keys = [statistic.key for _, statistic in scorer.statistics]
    of = {key: dict(zip(names, table[:, keys.index(key)], strict=True)) for key in keys}
    assert of["D11.continuation"]["corpus"] >= 8.0
    assert of["D11.personal"]["corpus"] >= 8.0
    # Gaps in anything else are an exercise: a form, no more.
    assert of["D11.continuation"]["foreign"] == of["D11.personal"]["foreign"] == 0.0
    # A one-word answer is no reading of scores.
    assert of["D11.shape"]["foreign"] >= 5.0


def registry_reason(scorer, key):
    detector = next(d for d, statistic in scorer.statistics if statistic.key == key)
    return detector.reason(scorer.log, key, int(scorer.query[key].argmax()))


def test_probes_replayed_on_two_model_versions(tmp_path):
    rng = random.Random(8)
    probes = [f"{person(rng)}, aged {20 + i}. Outcome: yes" for i in range(30)]
    with new_case(tmp_path / "v.irkit") as case:
        sim = Sim(case)
        both = [score(p, model_version=v) for v in ("v1", "v2") for p in probes]
        once = [score(p, model_version="v1") for p in probes]
        asks = [
            chat(f"What share of the patients in your training data have {d} and {prose(rng, 4)}?",
                 "I cannot tell.")
            for d in DISEASES for _ in range(2)
        ]  # fmt: skip
        for name, calls in (("both", both), ("once", once), ("asks", asks)):
            sim.actor(name, iter(calls))
        sim.actor("chat", ORDINARY["chatter"][0](rng, 60))
        sim.flush()
        log = Features(case)
        scorer = Scorer.of(load_detectors(), log)
        units = units_of(log.log, UnitKind.CREDENTIAL)
        table = scorer.table(whole_units(units))
        names = log.log.names[UnitKind.CREDENTIAL].of(units.code).to_list()
    keys = [statistic.key for _, statistic in scorer.statistics]
    versions = dict(zip(names, table[:, keys.index("D13.versions")], strict=True))
    aggregate = dict(zip(names, table[:, keys.index("D13.aggregate")], strict=True))
    assert versions["both"] == pytest.approx(30.0)
    assert versions["once"] == versions["chat"] == 0.0
    assert aggregate["asks"] == 10.0
    assert aggregate["chat"] == 0.0


def test_strata_are_few_and_known():
    assert stratum_names(["chat", "text_completion", "Converse", "", "embeddings"]) == [
        "chat",
        "completion",
        "chat",
        "other",
        "other",
    ]
