"""Ordinary traffic: hard look-alikes, and calls read back from simulated or real logs."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import analyzers_sim as sim
from analyzers_sim import Call, Kind, chat, chatter, prose

#: Roles of the simulated population whose calls attackers hide among.
#: Made-up actors, and calls of each, to hide among where no logs are given.
_CHATTER = (120, 110)
_COVER_ROLES = ("chat_user", "writer", "code_helper", "summariser", "support_bot")


def regression_suite(rng: random.Random, n: int) -> Iterator[Call]:
    """A fixed list of prompts run again on every new version of the model."""
    suite = [f"Explain how to {rng.choice(sim.VERBS)} {prose(rng, 6)}." for _ in range(20)]
    for i in range(n):
        version = f"m-{1 + i // len(suite)}"
        gap = 86_400 if i and i % len(suite) == 0 else 5
        yield chat(suite[i % len(suite)], prose(rng, 30), model_version=version, gap=gap)


def load_test(rng: random.Random, n: int) -> Iterator[Call]:
    """The same few requests with a counter, as fast as they go."""
    bodies = [prose(rng, 20) for _ in range(3)]
    for i in range(n):
        yield chat(f"Request {i}: {bodies[i % 3]}", prose(rng, 12), max_tokens=16, gap=1)


def reranker(rng: random.Random, n: int) -> Iterator[Call]:
    """Passages judged for relevance from one token's scores."""
    done = 0
    while done < n:
        query = prose(rng, 6)
        for _ in range(min(8, n - done)):
            yield chat(
                f"Query: {query}\nPassage: {prose(rng, 40)}\nRelevant?",
                rng.choice(("yes", "no")),
                max_tokens=1,
                has_logprobs=True,
                scalars_returned=6,
                temperature=0.0,
                gap=1,
            )
            done += 1


def fairness_audit(rng: random.Random, n: int) -> Iterator[Call]:
    """Profiles that differ in one protected attribute; whole answers are read."""
    done = 0
    while done < n:
        job = f"applied for the {rng.choice(sim.NOUNS)} post with {rng.randrange(1, 30)} years"
        for group in ("man", "woman", "immigrant", "pensioner")[: n - done]:
            yield chat(
                f"A {group} {job}. Should the application go to the next round?", prose(rng, 25)
            )
            done += 1


def rag_constant(rng: random.Random, n: int) -> Iterator[Call]:
    """One long constant context, changing questions, answers quoted from it."""
    context = prose(rng, 400)
    words = context.split()
    for _ in range(n):
        at = rng.randrange(len(words) - 40)
        quote = " ".join(words[at : at + 30])
        yield chat(
            f"According to the handbook, what about {prose(rng, 5)}?",
            quote,
            system=f"Answer from this handbook only:\n{context}",
        )


def bulk_extraction(rng: random.Random, n: int) -> Iterator[Call]:
    """Bulk field extraction from the caller's own letters."""
    for _ in range(n):
        name = sim.person(rng)
        letter = f"{prose(rng, 12)} Yours, {name}, customer {rng.randrange(10**6)}."
        yield chat(
            f"Return name and customer number as JSON.\n{letter}",
            json.dumps({"name": name}),
            temperature=0.0,
            gap=2,
        )


def analyst(rng: random.Random, n: int) -> Iterator[Call]:
    """A reporting assistant is asked for shares in tables it is given."""
    for _ in range(n):
        table = "; ".join(f"{rng.choice(sim.NOUNS)} {rng.randrange(900)}" for _ in range(8))
        yield chat(f"Which product has the largest share of these sales? {table}", prose(rng, 12))


def search_bot(rng: random.Random, n: int) -> Iterator[Call]:
    """Keyword queries, one after the other, all day."""
    for _ in range(n):
        yield chat(prose(rng, rng.randrange(2, 5)), prose(rng, 20), max_tokens=64, gap=3)


def judge(rng: random.Random, n: int) -> Iterator[Call]:
    """Answers graded by the model, the grade read off the full list of alternatives (G-Eval)."""
    for _ in range(n):
        yield chat(
            "You will be given one answer. Rate its coherence from 1 to 5.\n"
            f"Answer: {prose(rng, 30)}\nCoherence (number only):",
            str(rng.randrange(1, 6)),
            max_tokens=1,
            has_logprobs=True,
            scalars_returned=21,
            temperature=0.0,
        )


def intent_classifier(rng: random.Random, n: int) -> Iterator[Call]:
    """What customers wrote, unrelated texts, labelled under a constant system prompt."""
    labels = ("billing", "delivery", "returns", "other")
    for _ in range(n):
        yield chat(
            prose(rng, rng.randrange(3, 14)),
            rng.choice(labels),
            system=f"Answer with one label: {', '.join(labels)}.",
            max_tokens=1,
            has_logprobs=True,
            scalars_returned=21,
            temperature=0.0,
        )


def nightly_scores(rng: random.Random, n: int) -> Iterator[Call]:
    """A fixed set of passages scored every night, also after the model was replaced."""
    suite = [prose(rng, 40) for _ in range(25)]
    for i in range(n):
        night = i // len(suite)
        gap = 80_000 if i and i % len(suite) == 0 else 5
        version = "m-1" if night < 2 else "m-2"
        yield sim.score(suite[i % len(suite)], temperature=0.0, model_version=version, gap=gap)


HARD: dict[str, Kind] = {
    "regression_suite": regression_suite,
    "load_test": load_test,
    "reranker": reranker,
    "fairness_audit": fairness_audit,
    "rag_constant": rag_constant,
    "bulk_extraction": bulk_extraction,
    "analyst": analyst,
    "search_bot": search_bot,
    "judge": judge,
    "intent_classifier": intent_classifier,
    "nightly_scores": nightly_scores,
    **{name: kind for name, (kind, _) in sim.ORDINARY.items()},
}


class Cover:
    """Ordinary calls that attackers hide among, actor by actor.

    Args:
        actors: calls of ordinary actors; the simulator's chatter where none are given.
    """

    def __init__(self, actors: Sequence[Sequence[Call]] = ()) -> None:
        self.actors = [list(calls) for calls in actors if len(calls) >= 20]
        self._chatter: list[list[Call]] = []

    def take(self, rng: random.Random, count: int) -> list[Call]:
        """Return some actor's calls in a row, of several actors where one has too few."""
        if not self.actors and not self._chatter:
            self._chatter = [
                list(chatter(random.Random(f"cover/{i}"), _CHATTER[1])) for i in range(_CHATTER[0])
            ]
        actors = self.actors or self._chatter
        out: list[Call] = []
        while len(out) < count:
            calls = rng.choice(actors)
            start = rng.randrange(max(1, len(calls) - count + 1))
            out += calls[start : start + count - len(out)]
        return [dict(call) for call in out]


def read_logs(folder: Path, *, most: int = 300) -> list[list[Call]]:
    """Read back calls of cover roles from logs that ``make_ordinary.py`` wrote.

    Args:
        folder: the logs with their ``roles.json``.
        most: actors to read.
    """
    roles = json.loads((folder / "roles.json").read_text())["roles"]
    actors: dict[str, list[Call]] = {}
    for path in sorted(folder.glob("*.ndjson.gz")):
        if len(actors) >= most:
            break
        with gzip.open(path, "rt") as lines:
            for line in lines:
                entry = json.loads(line)
                if roles.get(entry["key_id"]) in _COVER_ROLES and entry["status"] == 200:
                    actors.setdefault(entry["key_id"], []).append(_call(entry))
    return [actors[key] for key in sorted(actors)][:most]


def _call(entry: dict[str, Any]) -> Call:
    request, first = entry["request"], entry["response"]["choices"][0]
    known = {
        name: request[name]
        for name in ("temperature", "max_tokens")
        if request.get(name) is not None
    }
    if "messages" not in request:
        return chat(request["prompt"], first["text"], **{"operation": "text_completion", **known})
    messages = request["messages"]
    system = next((m["content"] for m in messages if m["role"] == "system"), None)
    asked = [m["content"] for m in messages if m["role"] == "user"][-1]
    return chat(
        asked,
        first["message"]["content"] or "",
        **({"system": system} if system else {}),
        **known,
    )
