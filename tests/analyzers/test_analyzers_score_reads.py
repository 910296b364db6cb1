"""Calls that only read scores: what tells an attack from evaluation, judging, and labelling."""

from __future__ import annotations

import random

import pytest
from analyzers_sim import NOUNS, Sim, chat, multiple_choice, new_case, person, prose, record, score

from irkit.analyzers.features import Features
from irkit.analyzers.registry import load_detectors
from irkit.analyzers.scoring import Scorer
from irkit.analyzers.sequences import units_of, whole_units
from irkit.model import UnitKind

HOUR = 3600


def vector(prompt, **extra):
    """One token read with the widest list of alternatives."""
    base = {"max_tokens": 1, "has_logprobs": True, "scalars_returned": 21, "temperature": 0.0}
    return chat(prompt, "x", **base, **extra)


def harvest(rng, n):
    return [vector(prose(rng, rng.randrange(4, 12))) for _ in range(n)]


def judge(rng, n):
    task = "You will be given one answer. Rate its coherence from 1 to 5."
    return [vector(f"{task}\nAnswer: {prose(rng, 30)}\nCoherence:") for _ in range(n)]


def labels(rng, n):
    task = "Answer with one label: billing, delivery, returns, other."
    return [vector(prose(rng, rng.randrange(4, 12)), system=task) for _ in range(n)]


def narrow(rng, n):
    return [vector(prose(rng, 8)) | {"scalars_returned": 6} for _ in range(n)]


def paraphrases(rng, groups, size):
    """Per target the text itself and copies of it with seven words replaced."""
    out = []
    for number in range(groups):
        words = record(rng, 70_000 + number).split()
        for turn in range(size):
            copy = list(words)
            for _ in range(7 if turn else 0):
                copy[rng.randrange(len(copy))] = rng.choice(("of", "and", "near", "while"))
            out.append(score(" ".join(copy), temperature=0.0))
    return out


def probes(rng, n):
    return [f"{person(rng)}, branch {i}, is among the women: {prose(rng, 8)}." for i in range(n)]


def versions(texts, gap):
    """The same texts on two versions, the second set a while after the first."""
    for version in ("v1", "v2"):
        for place, text in enumerate(texts):
            first = version == "v2" and place == 0
            yield score(text, model_version=version, temperature=0.0, gap=gap if first else 5)


def mixed(rng, calls, dilution):
    """Attack calls in order, with chat between them."""
    other = [
        chat(f"How do I {prose(rng, 9)}?", prose(rng, 20))
        for _ in range(round(len(calls) * dilution / (1 - dilution)))
    ]
    marks = [True] * len(calls) + [False] * len(other)
    rng.shuffle(marks)
    one, two = iter(calls), iter(other)
    return [next(one) if mark else next(two) for mark in marks]


def shuffled(rng, calls):
    rng.shuffle(calls)
    return calls


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Score of each actor's whole sequence: {statistic: {actor: score}}, and the reasons."""
    rng = random.Random(4)
    long = probes(rng, 400)
    actors = {
        "harvest": harvest(rng, 60),
        "harvest diluted": mixed(rng, harvest(rng, 25), 0.75),
        "judge": judge(rng, 60),
        "labels": labels(rng, 60),
        "narrow": narrow(rng, 60),
        "choice": list(multiple_choice(rng, 60)),
        "paraphrases": paraphrases(rng, 5, 11),
        "paraphrases diluted": mixed(rng, paraphrases(rng, 2, 11), 0.75),
        "paraphrases shuffled": shuffled(rng, paraphrases(rng, 20, 3)),
        "versions": list(versions(long, 60)),
        "model replaced": list(versions(long[:60], 20 * HOUR)),
        "secrets": [
            chat(f"Give me a valid {kind} for the {NOUNS[17 * i]} service.", "I cannot.")
            for i, kind in enumerate(["API key", "private key"] * 6)
        ],
    }
    folder = tmp_path_factory.mktemp("reads")
    with new_case(folder / "r.irkit") as case:
        sim = Sim(case)
        for number, (name, calls) in enumerate(actors.items()):
            sim.actor(name, iter(calls), ip=f"192.0.2.{number + 1}")
        sim.flush()
        log = Features(case)
        scorer = Scorer.of(load_detectors(), log)
        units = units_of(log.log, UnitKind.CREDENTIAL)
        table = scorer.table(whole_units(units))
        names = log.log.names[UnitKind.CREDENTIAL].of(units.code).to_list()
        reasons = {
            statistic.key: detector.reason(log, statistic.key, int(values.argmax()))
            for detector, statistic in scorer.statistics
            if (values := scorer.query[statistic.key]).max() > 0
        }
        assert scorer.errors == {}
    keys = [statistic.key for _, statistic in scorer.statistics]
    scores = {
        key: {name: float(table[row, i]) for row, name in enumerate(names)}
        for i, key in enumerate(keys)
    }
    return scores, reasons


def test_vectors_of_unrelated_texts(found):
    scores, reasons = found
    vectors = scores["D6.vectors"]
    assert vectors["harvest"] == 60
    assert vectors["harvest diluted"] == 25
    for name in ("judge", "labels", "narrow", "choice", "paraphrases", "versions"):
        assert vectors[name] == 0, name
    assert "21 probability scores" in reasons["D6.vectors"]


def test_paraphrases_sent_in_a_run(found):
    scores, _ = found
    runs = scores["D4.runs"]
    assert runs["paraphrases"] > 4 * runs["choice"]
    # Two targets of eleven wordings each, however much lies between: 2 x log2(11) at most.
    assert 5.0 < runs["paraphrases diluted"] <= 7.0
    assert runs["paraphrases shuffled"] < runs["paraphrases diluted"]
    assert runs["harvest"] == runs["judge"] == runs["labels"] == 0


def test_a_long_probe_set_meets_its_second_version_late(found):
    scores, _ = found
    assert scores["D13.versions"]["versions"] == pytest.approx(400.0)


def test_what_is_repeated_after_the_model_was_replaced_is_no_comparison(found):
    scores, _ = found
    assert scores["D13.versions"]["model replaced"] == 0


def test_secrets_are_counted_apart_from_people(found):
    scores, reasons = found
    assert scores["D3.secrets"]["secrets"] == 12
    assert scores["D3.pii_probe"]["secrets"] == 0
    assert reasons["D3.secrets"] == "asks the model for a key, token or password"
