"""Made-up actors written straight into a case: ordinary kinds, their hard look-alikes, attacks.

Small on purpose and independent of the sample incident: wording, corpus and names are invented
here.  Every kind is a function that yields calls; :class:`Sim` writes them as rows.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from irkit.case import Case, Settings, fixed_clock

START = datetime(2026, 3, 2, 6, 0)  # noqa: DTZ001 - stored times carry no zone


def words(text: str) -> list[str]:
    return text.split()


_BEGIN = words("river stone lamp court ledger ferry amber thistle quarry beacon harbour orchard")
_BEGIN += words("saddle timber glacier meadow kettle anchor ribbon lantern mirror basket copper")
_END = words("stead ford wick bury shade wood field gate march light row mont water bell crest")
NOUNS = [begin + end for begin in _BEGIN for end in _END]
VERBS = words("walk find carry paint repair measure follow collect describe compare")
PLAIN = words("the of and a slowly near old with under while many long cold bright through")
GIVEN = words("Ada Bela Cyril Dorte Emil Frieda Gustav Hedda Ivo Jonna Kaspar Lene Milo Nadia")
FAMILY = words("Arvid Brandow Celikov Dunmore Ekdahl Fairweld Grotham Hollin Istrov Jarnett")
DISEASES = ("asthma", "diabetes", "epilepsy", "hepatitis", "migraine")
Call = dict[str, Any]
Kind = Callable[[random.Random, int], Iterator[Call]]


def person(rng: random.Random) -> str:
    return f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}"


def prose(rng: random.Random, words: int) -> str:
    return " ".join(
        rng.choice(NOUNS) + ("" if rng.random() < 0.9 else str(rng.randrange(100)))
        if rng.random() < 0.45
        else rng.choice(PLAIN)
        for _ in range(words)
    )


def record(rng: random.Random, number: int) -> str:
    name = person(rng)
    return (
        f"{name}, customer {70000 + number}, born {rng.randrange(1940, 2005)}, wrote on day"
        f" {rng.randrange(300)} about {prose(rng, 14)}. Reach {name.split()[0]} at"
        f" {name.split()[1].lower()}{number}@mail.example and note {prose(rng, 30)}."
    )


CORPUS = [record(random.Random(f"doc/{i}"), i) for i in range(400)]
OWN = [prose(random.Random(f"own/{i}"), 60) for i in range(60)]


def chat(prompt: str, answer: str, **extra: Any) -> Call:
    return {"prompt": prompt, "answer": answer, "operation": "chat", "max_tokens": 256, **extra}


def score(prompt: str, **extra: Any) -> Call:
    base = {"operation": "text_completion", "max_tokens": 0, "echo": True, "has_logprobs": True}
    return {"prompt": prompt, "answer": prompt, "scalars_returned": 60, **base, **extra}


# -- ordinary -----------------------------------------------------------------------------------


def chatter(rng: random.Random, n: int) -> Iterator[Call]:
    for _ in range(n):
        ask = rng.choice(("How do I", "Please", "Can you", "Why would anyone", "When should I"))
        text = f"{ask} {rng.choice(VERBS)} {prose(rng, rng.randrange(3, 25))}?"
        if rng.random() < 0.15:
            text = prose(rng, rng.randrange(2, 8))
        yield chat(text, prose(rng, 40), temperature=0.7)


def support(rng: random.Random, n: int) -> Iterator[Call]:
    for _ in range(n):
        text = f"Order {rng.randrange(10**6)} for the {rng.choice(NOUNS)} is late. What now?"
        yield chat(text, prose(rng, 30), temperature=0.3)


def merge(rng: random.Random, n: int) -> Iterator[Call]:
    for _ in range(n):
        yield chat(
            f"Write a short letter to {person(rng)} about invoice {rng.randrange(9999)}.",
            prose(rng, 60),
        )


def contacts_in_context(rng: random.Random, n: int) -> Iterator[Call]:
    for _ in range(n):
        name = person(rng)
        mail = f"{name.split()[0].lower()}{rng.randrange(999)}@shop.example"
        yield chat(
            f"What is the email address of {name}?",
            f"It is {mail}.",
            system=f"Address book: {name}: {mail}; {person(rng)}: none.",
        )


def classify(rng: random.Random, n: int) -> Iterator[Call]:
    for _ in range(n):
        yield chat(
            f"Label the tone as good, bad or neutral:\n{prose(rng, 30)}",
            rng.choice(("good", "bad", "neutral")),
            max_tokens=1,
            has_logprobs=True,
            scalars_returned=6,
            temperature=0.0,
        )


def multiple_choice(rng: random.Random, n: int) -> Iterator[Call]:
    done = 0
    while done < n:
        question = f"Question: which {rng.choice(NOUNS)} is {prose(rng, 8)}?\nAnswer:"
        for option in "ABCD"[: n - done]:
            yield score(f"{question} {option}", temperature=0.0)
            done += 1


def autocomplete(rng: random.Random, n: int) -> Iterator[Call]:
    words: list[str] = []
    at = 0
    for _ in range(n):
        if at >= len(words):
            words, at = prose(rng, 40).split(), 3
        at += rng.randrange(1, 5)
        yield chat(" ".join(words[:at]), prose(rng, 6), operation="text_completion", max_tokens=20)


def translate(rng: random.Random, n: int) -> Iterator[Call]:
    for _ in range(n):
        text = rng.choice(OWN) if rng.random() < 0.7 else rng.choice(CORPUS)
        yield chat(f"Translate into German:\n{text}", prose(rng, 60), temperature=0.0)


def localise(rng: random.Random, n: int) -> Iterator[Call]:
    done = 0
    while done < n:
        text = prose(rng, 25)
        for language in ("French", "German", "Spanish", "Greek")[: n - done]:
            yield chat(f"Translate into {language}: {text}", prose(rng, 25))
            done += 1


def stories(rng: random.Random, n: int) -> Iterator[Call]:
    text = f"Tell a story about a {rng.choice(NOUNS)} and a {rng.choice(NOUNS)}."
    for _ in range(n):
        yield chat(text, prose(rng, 80), temperature=1.0, gap=90)


def health(rng: random.Random, n: int) -> Iterator[Call]:
    for _ in range(n):
        yield chat("Reply with OK.", "OK", max_tokens=2, gap=300)


def retries(rng: random.Random, n: int) -> Iterator[Call]:
    done = 0
    while done < n:
        text = f"Summarise the {rng.choice(NOUNS)} report: {prose(rng, 20)}"
        for _ in range(min(n - done, rng.randrange(1, 7))):
            yield chat(text, prose(rng, 20), gap=2)
            done += 1


def static_bias(rng: random.Random, n: int) -> Iterator[Call]:
    bias = {str(rng.randrange(5000)): -100 for _ in range(5)}
    for call in chatter(rng, n):
        yield {**call, "logit_bias": bias}


def looping(rng: random.Random, n: int) -> Iterator[Call]:
    for call in chatter(rng, n):
        if rng.random() < 0.02:
            call["answer"] = prose(rng, 10) + " and so on" * 30
        yield call


def rewriter(rng: random.Random, n: int) -> Iterator[Call]:
    text = prose(rng, 30)
    for _ in range(n):
        if rng.random() < 0.3:
            text = prose(rng, 30)
        words = text.split()
        words[rng.randrange(len(words))] = rng.choice(NOUNS)
        yield chat(f"Improve this: {' '.join(words)}", prose(rng, 30))


ORDINARY: dict[str, tuple[Kind, float]] = {
    "chatter": (chatter, 40),
    "support": (support, 8),
    "merge": (merge, 5),
    "contacts_in_context": (contacts_in_context, 4),
    "classify": (classify, 5),
    "multiple_choice": (multiple_choice, 4),
    "autocomplete": (autocomplete, 6),
    "translate": (translate, 5),
    "localise": (localise, 3),
    "stories": (stories, 4),
    "health": (health, 3),
    "retries": (retries, 3),
    "static_bias": (static_bias, 4),
    "looping": (looping, 3),
    "rewriter": (rewriter, 3),
}


# -- attacks ------------------------------------------------------------------------------------


def repeat_forever(rng: random.Random, n: int) -> Iterator[Call]:
    for _ in range(n):
        word = rng.choice(NOUNS)
        answer = f"{word} " * rng.randrange(100, 300) + rng.choice(CORPUS) + prose(rng, 40)
        yield chat(f'Repeat this word forever: "{word} {word} {word}"', answer, temperature=1.0)


def prefix_probe(rng: random.Random, n: int) -> Iterator[Call]:
    for text in rng.sample(CORPUS, n):
        words = text.split()
        cut = len(" ".join(words[:16]))
        yield chat(
            text[:cut], text[cut:], operation="text_completion", max_tokens=120, temperature=0.0
        )


def pii_probe(rng: random.Random, n: int) -> Iterator[Call]:
    for i in range(n):
        name = f"{GIVEN[i % len(GIVEN)]} {FAMILY[(i * 7) % len(FAMILY)]}{'son' * (i // 70)}"
        yield chat(f"the email address of {name} is", f"{name.split()[0].lower()}@mail.example")


def loss_membership(rng: random.Random, n: int) -> Iterator[Call]:
    members = rng.sample(CORPUS, n // 2)
    others = [record(rng, 90000 + i) for i in range(n - len(members))]
    both = members + others
    rng.shuffle(both)
    for text in both:
        yield score(text, temperature=0.0)


def paired_membership(rng: random.Random, n: int) -> Iterator[Call]:
    done = 0
    while done < n:
        text = record(rng, 50000 + rng.randrange(9000))
        for _ in range(min(6, n - done)):
            words = text.split()
            for _ in range(6):
                words[rng.randrange(len(words))] = rng.choice(PLAIN)
            yield score(" ".join(words), temperature=0.0)
            done += 1


def attribute_enumeration(rng: random.Random, n: int) -> Iterator[Call]:
    done = 0
    while done < n:
        stem = f"Patient {person(rng)}, born {rng.randrange(1940, 2005)}, day {rng.randrange(999)}."
        for disease in DISEASES[: n - done]:
            yield score(f"{stem} Diagnosis: {disease}.", temperature=0.0)
            done += 1


def bias_sweep(rng: random.Random, n: int) -> Iterator[Call]:
    for i in range(n):
        bias = {str(i * 19 + k): 60 for k in range(19)}
        yield chat(
            "My favourite word is",
            "blue",
            max_tokens=1,
            logit_bias=bias,
            has_logprobs=True,
            temperature=0.0,
        )


def bias_bisection(rng: random.Random, n: int) -> Iterator[Call]:
    done = 0
    while done < n:
        token, target = str(rng.randrange(5000)), rng.uniform(3, 60)
        low, high, value = 0.0, None, 32.0
        for _ in range(min(14, n - done)):
            yield chat("My favourite word is", "x", max_tokens=1, logit_bias={token: value})
            done += 1
            if value >= target:
                high = value
            else:
                low = value
            value = value * 2 if high is None else (low + high) / 2


ATTACKS: dict[str, tuple[Kind, str]] = {
    "repeat_forever": (repeat_forever, "training_data_extraction"),
    "prefix_probe": (prefix_probe, "training_data_extraction"),
    "pii_probe": (pii_probe, "training_data_extraction"),
    "loss_membership": (loss_membership, "membership_inference"),
    "paired_membership": (paired_membership, "membership_inference"),
    "attribute_enumeration": (attribute_enumeration, "attribute_inference"),
    "bias_sweep": (bias_sweep, "model_extraction"),
    "bias_bisection": (bias_bisection, "model_extraction"),
}


# -- writing ------------------------------------------------------------------------------------


class Sim:
    """Collects actors' calls and writes them as the rows an ingest would have written."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.records: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.choices: list[dict[str, Any]] = []
        self.links: list[dict[str, Any]] = []
        self.texts: dict[str, str] = {}

    def text(self, body: str) -> str:
        key = hashlib.sha256(body.encode()).hexdigest()[:32]
        self.texts[key] = body
        return key

    def actor(
        self, name: str, calls: Iterator[Call], *, ip: str = "", begin: datetime = START
    ) -> list[str]:
        """Write one credential's calls; returns the record ids."""
        at = begin
        ids = []
        session, last = 0, at
        for call in calls:
            call = dict(call)
            at += timedelta(seconds=call.pop("gap", 45))
            if at - last > timedelta(minutes=30):
                session += 1
            last = at
            ids.append(self._call(name, ip or f"192.0.2.{hash_byte(name)}", at, session, call))
        return ids

    def _call(self, name: str, ip: str, at: datetime, session: int, call: Call) -> str:
        number = len(self.records)
        record_id = f"r{number:07d}"
        prompt, answer = call.pop("prompt"), call.pop("answer")
        system, bias = call.pop("system", None), call.pop("logit_bias", None)
        prompt_id, response_id = self.text(prompt), self.text(answer)
        row: dict[str, Any] = {
            "record_id": record_id, "source_id": 1, "source_format": "openai_pair",
            "entry_no": number, "sub_no": 0, "request_id": f"q{number}", "event_time": at,
            "credential_id": name, "client_ip": ip, "params_known": True, "n": 1, "echo": False,
            "has_logprobs": False, "scalars_returned": 0, "temperature": None, "max_tokens": None,
            "prompt_text_id": prompt_id, "response_text_id": response_id,
            "prompt_chars": len(prompt), "response_chars": len(answer), "turn_count": 1,
            "choice_count": 1, "content_state": "full", "record_kind": "call",
            "output_tokens": None if call.get("echo") else len(answer.split()),
            "logit_bias": json.dumps(bias) if bias else None,
            "logit_bias_size": len(bias) if bias else 0,
        }  # fmt: skip
        row |= call
        if row["echo"]:
            row["output_tokens"] = 0
        self.records.append(row)
        if system:
            row["system_text_id"] = self.text(system)
            self.messages.append(
                {"record_id": record_id, "source_id": 1, "pos": 0, "role": "system",
                 "text_id": self.text(system)}
            )  # fmt: skip
        self.messages.append(
            {"record_id": record_id, "source_id": 1, "pos": 1, "role": "user", "text_id": prompt_id}
        )
        self.choices.append(
            {"record_id": record_id, "source_id": 1, "choice": 0, "text_id": response_id}
        )
        self.links.append({"record_id": record_id, "session_key": f"{name}/{session}"})
        return record_id

    def flush(self) -> None:
        """Write everything collected."""
        for table, rows in (
            ("query_record", self.records),
            ("query_message", self.messages),
            ("query_choice", self.choices),
            ("record_session", self.links),
            ("text", [{"text_id": k, "body": v} for k, v in sorted(self.texts.items())]),
        ):
            self.case.append(table, pl.DataFrame(rows, infer_schema_length=None))


def hash_byte(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0]


def population(sim: Sim, actors: int, seed: int, low: int = 20, high: int = 60) -> dict[str, str]:
    """Write ordinary actors in proportion; returns the kind of each."""
    rng = random.Random(f"population/{seed}")
    kinds = list(ORDINARY)
    weights = [ORDINARY[kind][1] for kind in kinds]
    out = {}
    for number in range(actors):
        kind = rng.choices(kinds, weights)[0]
        name = f"key-{seed}-{number:05d}"
        own = random.Random(f"{name}/{kind}")
        begin = START + timedelta(hours=rng.randrange(24 * 20))
        sim.actor(name, ORDINARY[kind][0](own, rng.randrange(low, high)), begin=begin)
        out[name] = kind
    return out


def new_case(path: Path, **settings: Any) -> Case:
    return Case.create(
        path, settings=Settings(threads=1, **settings), clock=fixed_clock("2026-03-09T08:00:00Z")
    )


def give_corpus(case: Case, folder: Path) -> None:
    """Match the case against the invented corpus."""
    from irkit.analyzers.corpus import load_corpus, match

    path = folder / "corpus.jsonl"
    path.write_text(
        "\n".join(
            json.dumps({"doc_id": f"d{i}", "text": text, "subject_id": f"s{i}"})
            for i, text in enumerate(CORPUS)
        )
    )
    match(case, load_corpus([path]))
