"""Simulate thousands of ordinary actors for calibration: OpenAI-style pairs, no attack among them.

    python sample_logs/make_ordinary.py --actors 3200 --out DIR [--seed N] [--jobs 2]

The population is the one of the incident's ordinary clients (``ordinary.py``), drawn with another
seed and the other half of the wording.  Free answers come from a pool that the same language model
was sampled for beforehand; continuations, scores and the task heads run live.  Actors are
long-tailed in size; at least nine in ten make 100 calls or more, about one in five 200 to 400.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cast
from actors import DAY, Actor, Call, World
from corpus import Corpus
from make_incident import train
from model import BOS
from ordinary import ROLES
from server import CHAT_SHARPNESS, Body, Server
from writers import write

BEGIN = 1787529600.0  # 2026-08-24T00:00:00Z, six weeks before the incident
SPAN = 30.0
#: The service replaces its model in the middle of the span: what actors repeat, they then send to
#: both versions.
REPLACED, NEXT = BEGIN + 15 * 86400.0, "ft:atlas-7b:northwind-support::2610"
HEAT = (0.0, 0.3, 0.7, 0.7, 1.0, 1.0)
PER_FILE = 200


class PooledServer(Server):
    """Answers free chat from a pool of samples of the same model: hundreds of times faster."""

    pool: list[list[tuple[float, str]]]
    heats: tuple[float, ...] = HEAT

    def fill_pool(self, part: range) -> list[list[tuple[float, str]]]:
        """Sample answers that start like each document of ``part``."""
        out = []
        for i in part:
            start = self._encode(self.topics.docs[i].text)[0]
            answers = []
            for k, heat in enumerate(self.heats):
                rng = Random(f"pool/{self.seed}/{i}/{k}")
                head = start[: rng.randrange(2, 5)]
                ids, _, _ = self.lm.generate([BOS, *head], 250, rng, CHAT_SHARPNESS * heat)
                answers.append((heat, self.lm.text(head + ids)))
            out.append(answers)
        return out

    def topical(
        self, req: Body, prompt: str, route: str, rng: Random, limit: int
    ) -> tuple[str, list[Body], str]:
        """Pick a pooled answer on the topic, nearest in temperature, cut to the limit."""
        if not prompt.strip():
            return "How can I help?", [], "stop"
        kinds = {
            "code": ("code",),
            "support": ("faq", "manual"),
            "letter": ("letter",),
            "story": ("story",),
            "long": ("story", "travel", "news"),
        }.get(route, ())
        wanted = float(req.get("temperature", 1.0))
        pieces = []
        for _ in range(rng.randrange(2, 5) if route == "long" else 1):
            answers = self.pool[self.topics.best(prompt, rng, kinds)]
            best = min(abs(t - wanted) for t, _ in answers)
            pieces.append(rng.choice([a for t, a in answers if abs(t - wanted) == best]))
        text = "\n".join(pieces)
        if len(text) > 4 * limit:
            return text[: 4 * limit], [], "length"
        return text, [], "stop"

    def _size(self, text: str) -> int:
        return 1 + len(text) // 4


_SERVER: PooledServer
_CORPUS: Corpus


def _pool_part(part: range) -> list[list[tuple[float, str]]]:
    return _SERVER.fill_pool(part)


def size_of(rng: Random, small: bool) -> int:
    """Number of calls of one actor."""
    if small:
        return int(10 ** rng.uniform(0, 2))
    if rng.random() < 0.2:
        return min(400, 200 + int(rng.expovariate(1 / 34)))
    return min(199, 100 + int(rng.expovariate(1 / 21)))


def role_of(rng: Random) -> str:
    """A role by its weight in the population."""
    u = rng.random() * sum(r[1] for r in ROLES.values())
    for name, (_, weight, _, _) in ROLES.items():
        u -= weight
        if u <= 0:
            return name
    return "chat_user"


def draw(number: int, total: int, seed: int) -> tuple[Actor, list[str]]:
    """One actor and the log lines of its calls."""
    rng = Random(f"baseline/{seed}/{number}")
    role = role_of(rng)
    actor = cast.new_actor("openai", role, rng, str(number), wide=True)
    world = World(rng, 1, _CORPUS.ordinary, _CORPUS.records)
    days = rng.choice((4.0, 7.0, 10.0, 14.0, 21.0, 28.0))
    start = BEGIN + int(rng.random() * max(1.0, SPAN - days)) * DAY
    n = size_of(rng, number >= total - max(1, total // 22))
    out = Random(f"baseline/{seed}/{number}/out")
    _SERVER.seed = int(rng.getrandbits(40))
    _SERVER.calls = 0
    calls = ROLES[role][0](world, n, start, days)
    return actor, [write(actor, call, _answer(call), out).line for call in calls]


def _answer(call: Call) -> dict[str, Any]:
    if call.status != 200:
        return {}
    completion = call.op == "completion"
    request = call.request
    body = _SERVER.completion(request) if completion else _SERVER.chat(request, call.route)
    first = body["choices"][0]
    call.answer = first["message"]["content"] if "message" in first else first["text"]
    if call.time >= REPLACED:
        body["model"] = NEXT
    return body


def _file(job: tuple[int, int, int, int, Path]) -> list[tuple[str, str, int]]:
    first, last, total, seed, path = job
    done = []
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=4, mtime=0) as out,
    ):
        for number in range(first, last):
            actor, lines = draw(number, total, seed)
            out.write(("\n".join(lines) + "\n").encode())
            done.append((actor.credential, actor.role, len(lines)))
    return done


def make(
    out: Path, actors: int, seed: int, corpus_seed: int, scale: float, jobs: int
) -> Counter[str]:
    """Write the baseline's logs under ``out``; returns calls per role."""
    global _SERVER, _CORPUS
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    _CORPUS, server = train(corpus_seed, scale)
    _SERVER = PooledServer(server.lm, _CORPUS.docs, seed)
    _SERVER.heats = HEAT if scale >= 1 else HEAT[2:3]
    context = multiprocessing.get_context("fork")
    docs = len(_SERVER.topics.docs)
    parts = [range(i, min(docs, i + 100)) for i in range(0, docs, 100)]
    with context.Pool(jobs) as pool:
        _SERVER.pool = [x for part in pool.map(_pool_part, parts, 1) for x in part]
    print(
        f"pool of {docs * len(_SERVER.heats)} answers, {time.perf_counter() - began:.1f} s",
        file=sys.stderr,
    )
    work = [
        (
            i,
            min(actors, i + PER_FILE),
            actors,
            seed,
            out / f"ordinary-{i // PER_FILE + 1:03d}.ndjson.gz",
        )
        for i in range(0, actors, PER_FILE)
    ]
    calls: Counter[str] = Counter()
    roles: dict[str, str] = {}
    with context.Pool(jobs) as pool:
        for done in pool.imap(_file, work, 1):
            for credential, role, n in done:
                roles[credential] = role
                calls[role] += n
    (out / "roles.json").write_text(
        json.dumps({"synthetic": True, "roles": roles}, indent=0, sort_keys=True) + "\n"
    )
    print(
        f"{len(roles)} actors, {sum(calls.values())} calls, {time.perf_counter() - began:.1f} s",
        file=sys.stderr,
    )
    return calls


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Simulate ordinary actors for calibration.")
    parser.add_argument("--actors", type=int, default=3200)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--corpus-seed", type=int, default=2026, help="seed of the incident whose corpus is used"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="smaller corpus for tests")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    args = parser.parse_args()
    calls = make(args.out, args.actors, args.seed, args.corpus_seed, args.scale, args.jobs)
    print(json.dumps(dict(sorted(calls.items()))), file=sys.stderr)


if __name__ == "__main__":
    main()
