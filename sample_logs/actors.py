"""What an ordinary or attacking client is: calls, actors, the world a client knows, and rhythms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import phrases
from corpus import Doc, ordinary_doc
from grammar import expand
from ordinary_texts import GRAMMARS, SLOTS
from record_texts import PRODUCTS

DAY = 86400.0
MODEL = "ft:atlas-7b:northwind-support::2609"


@dataclass
class Call:
    """One model call before it is answered."""

    time: float
    op: str
    request: dict[str, Any]
    route: str = "chat"
    session: str | None = None
    status: int = 200
    attack: bool = False
    note: str = ""
    end_user: str | None = None
    answer: str = ""


@dataclass
class Actor:
    """A credential, how it appears in the logs, and what it did."""

    credential: str
    role: str
    source: str
    ips: list[str]
    user_agent: str
    calls: list[Call] = field(default_factory=list)
    technique: str = ""
    family: str = ""
    campaign: str = ""
    detectors: list[str] = field(default_factory=list)


class World:
    """What a role may draw on: wording of one half, documents, and one actor's tastes."""

    def __init__(self, rng: Random, half: int, docs: Sequence[Doc], records: Sequence[Doc]) -> None:
        self.rng = rng
        self.half = half
        self.docs = docs
        self.records = records
        self.names = phrases.NAMES[half].split("|")
        self.taste = {k: rng.sample(v, max(3, len(v) // 3)) for k, v in SLOTS.items()}
        self.style = rng.choice((str, str, str.lower, lambda s: s.rstrip("?."), str.capitalize))

    def fill(self, slot: str) -> str | None:
        """A word for a slot, mostly from the actor's own interests."""
        rng = self.rng
        if slot == "person":
            return (
                rng.choice(self.names)
                if rng.random() < 0.7
                else f"{rng.choice(self.names).split()[0]} {rng.choice(self.names).split()[1]}"
            )
        if slot == "order":
            return str(rng.randrange(10**6, 10**7))
        if slot == "product":
            return rng.choice(PRODUCTS)
        if slot == "age":
            return str(rng.randrange(18, 80))
        values = self.taste.get(slot) if rng.random() < 0.8 else SLOTS.get(slot)
        return rng.choice(values) if values else None

    def say(self, pool: Sequence[str]) -> str:
        """A phrase from this half of a pool."""
        return expand(self.rng.choice(list(pool)[self.half :: 2]), self.rng, self.fill)

    def own_text(self, kind: str | None = None) -> str:
        """A fresh text of the actor's own, which the model never saw."""
        return ordinary_doc("own", kind or self.rng.choice(sorted(GRAMMARS)), self.rng).text


def chat_request(
    user: str, system: str = "", history: Sequence[tuple[str, str]] = (), **params: Any
) -> dict[str, Any]:
    """Body of a chat request: system prompt, history, the user's turn, parameters."""
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": r, "content": c} for r, c in history]
    return {"model": MODEL, "messages": [*messages, {"role": "user", "content": user}], **params}


def human_times(rng: Random, n: int, start: float, days: float) -> Iterator[tuple[float, int]]:
    """Times of ``n`` calls in working-hour sessions, with the session's number."""
    per = max(1.0, rng.lognormvariate(1.6, 0.6))
    sessions = max(1, math.ceil(n / per))
    starts = sorted(
        start + int(rng.random() * max(1, days)) * DAY + (5 + (rng.gauss(8.5, 3.4) % 18)) * 3600
        for _ in range(sessions)
    )
    left = n
    for number, begin in enumerate(starts):
        size = min(left, max(1, math.ceil(left / (sessions - number))))
        at = begin
        for _ in range(size):
            yield at, number
            at += min(900.0, max(4.0, rng.lognormvariate(4.0, 0.9)))
        left -= size


def steady_times(rng: Random, n: int, start: float, days: float) -> Iterator[float]:
    """Times of ``n`` calls spread over daytime."""
    for at in sorted(rng.random() for _ in range(n)):
        day = int(at * days)
        yield start + day * DAY + (6 + 16 * ((at * days) % 1)) * 3600


def night_times(rng: Random, n: int, start: float, days: float) -> Iterator[float]:
    """Times of nightly batches."""
    nights = max(1, min(int(days), math.ceil(n / 40)))
    per = math.ceil(n / nights)
    hour = rng.uniform(0.5, 4)
    done = 0
    for night in range(nights):
        at = start + night * DAY + hour * 3600 + rng.random() * 60
        for _ in range(min(per, n - done)):
            yield at
            at += rng.uniform(0.4, 2.4)
            done += 1
