"""Ingest speed per format, beside DuckDB's own ``read_json`` into a table on the same file.

Run: ``python tests/bench/bench_ingest.py [--mb 100] [--format NAME] [--chars 600]``

Both sides run in this process, one after the other, on the same cores; the ratio is what counts.
Ingest includes hashing every entry, validation, quarantine accounting, text dedupe and the commit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from irkit.case import Case, Settings
from irkit.case.evidence import intake
from irkit.ingest import ingest

WORDS = (
    *("river", "market", "hall", "order", "patient", "record", "number", "city", "today", "please"),
    *("window", "garden", "letter", "street", "copper", "evening", "travel", "station", "yellow"),
    *("answer", "question", "machine", "winter", "office", "harbour"),
)


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def text(rng: random.Random, chars: int) -> str:
    words: list[str] = []
    size = 0
    wanted = max(1, int(rng.expovariate(1 / chars)))
    while size < wanted:
        word = rng.choice(WORDS)
        words.append(word)
        size += len(word) + 1
    return " ".join(words)


def dialogue(rng: random.Random, state: dict[int, list[dict]], caller: int, chars: int):
    """Return the messages of the caller's next turn; history repeats as in real chats."""
    turns = state.setdefault(caller, [])
    if len(turns) > 8 or rng.random() < 0.2:
        turns.clear()
    turns.append({"role": "user", "content": text(rng, chars // 3)})
    messages = [{"role": "system", "content": "You help the customers of a hardware shop."}, *turns]
    answer = text(rng, chars)
    turns.append({"role": "assistant", "content": answer})
    return messages, answer


def logprobs(rng: random.Random, answer: str) -> dict:
    return {
        "content": [
            {
                "token": word,
                "bytes": list(word.encode()),
                "logprob": -rng.random(),
                "top_logprobs": [
                    {"token": rng.choice(WORDS), "bytes": [32], "logprob": -5 * rng.random()}
                    for _ in range(5)
                ],
            }
            for word in answer.split()[:60]
        ]
    }


def chat_response(number: int, model: str, answer: str, lp: dict | None) -> dict:
    return {
        "id": f"chatcmpl-{number:010x}",
        "object": "chat.completion",
        "created": 1_791_000_000 + number,
        "model": model,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": answer},
                "logprobs": lp,
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 80, "total_tokens": 180},
    }


def openai_pair(rng: random.Random, chars: int, share: float = 0.1) -> Iterator[dict]:
    state: dict[int, list[dict]] = {}
    number = 0
    while True:
        caller = rng.randrange(60)
        messages, answer = dialogue(rng, state, caller, chars)
        lp = logprobs(rng, answer) if rng.random() < share else None
        yield {
            "ts": f"2026-10-{5 + number // 86400 % 20:02d}T{number // 3600 % 24:02d}:"
            f"{number // 60 % 60:02d}:{number % 60:02d}.{rng.randrange(1000):03d}Z",
            "key_id": f"key-{caller:03d}",
            "client_ip": f"192.0.2.{caller}",
            "status": 200,
            "latency_ms": rng.randrange(100, 3000),
            "request": {"model": "m-small", "messages": messages, "temperature": 0.7},
            "response": chat_response(number, "m-small", answer, lp),
        }
        number += 1


def openai_logprobs(rng: random.Random, chars: int) -> Iterator[dict]:
    return openai_pair(rng, chars, share=1.0)


def litellm(rng: random.Random, chars: int) -> Iterator[dict]:
    for number, row in enumerate(openai_pair(rng, chars, share=0.0)):
        begun = 1_791_000_000.5 + number
        yield {
            "id": row["response"]["id"],
            "trace_id": f"t-{number}",
            "call_type": "acompletion",
            "stream": False,
            "status": "success",
            "custom_llm_provider": "openai",
            "startTime": begun,
            "endTime": begun + 0.8,
            "model": "m-small",
            "model_group": "chat",
            "metadata": {"user_api_key_hash": f"{rng.randrange(60):064x}"},
            "end_user": "",
            "requester_ip_address": row["client_ip"],
            "messages": row["request"]["messages"],
            "response": row["response"],
            "model_parameters": {"temperature": 0.7, "max_tokens": 100},
            "hidden_params": {},
        }


def bedrock(rng: random.Random, chars: int) -> Iterator[dict]:
    for number, row in enumerate(openai_pair(rng, chars, share=0.0)):
        turns = [
            {"role": turn["role"], "content": [{"text": turn["content"]}]}
            for turn in row["request"]["messages"][1:]
        ]
        answer = row["response"]["choices"][0]["message"]["content"]
        yield {
            "schemaType": "ModelInvocationLog",
            "schemaVersion": "1.0",
            "timestamp": row["ts"],
            "accountId": "210987654321",
            "identity": {"arn": f"arn:aws:sts::210987654321:assumed-role/Chat/{row['key_id']}"},
            "region": "eu-west-1",
            "requestId": f"00000000-0000-4000-8000-{number:012x}",
            "operation": "Converse",
            "modelId": "example.model-v1:0",
            "input": {
                "inputBodyJson": {"messages": turns, "inferenceConfig": {"maxTokens": 500}},
                "inputTokenCount": 100,
            },
            "output": {
                "outputBodyJson": {
                    "output": {"message": {"role": "assistant", "content": [{"text": answer}]}},
                    "stopReason": "end_turn",
                },
                "outputTokenCount": 80,
            },
        }


FORMATS: dict[str, Callable[[random.Random, int], Iterator[dict]]] = {
    "openai_pair": openai_pair,
    "openai_logprobs": openai_logprobs,
    "litellm": litellm,
    "bedrock": bedrock,
}


def write(path: Path, rows: Iterator[dict], size: int) -> int:
    written = count = 0
    with path.open("wb") as stream:
        for row in rows:
            line = json.dumps(row).encode() + b"\n"
            stream.write(line)
            written += len(line)
            count += 1
            if written >= size:
                return count
    return count


class Clock:
    """Wall and processor seconds of a block."""

    def __enter__(self) -> Clock:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cpu = time.process_time() - self._cpu


def read_json(path: Path, folder: Path, threads: int) -> Clock:
    con = duckdb.connect(str(folder / "base.duckdb"), config={"threads": threads})
    with Clock() as clock:
        con.execute("CREATE TABLE t AS SELECT * FROM read_json(?)", [str(path)])
        con.execute("CHECKPOINT")
    con.close()
    (folder / "base.duckdb").unlink()
    return clock


def read_by_irkit(path: Path, folder: Path, threads: int) -> tuple[Clock, int]:
    with Case.create(folder / "case.irkit", settings=Settings(threads=threads)) as case:
        intake(case, [path], in_place=True)
        with Clock() as clock:
            report = ingest(case)
            case.con.execute("CHECKPOINT")
    return clock, report.records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--format", choices=sorted(FORMATS))
    parser.add_argument("--chars", type=int, default=600, help="mean characters of an answer")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    say(
        f"{'format':<16} {'records':>9} {'kB each':>7} {'irkit MB/s':>10} {'read_json':>9}"
        f" {'ratio':>6} {'by cpu':>6} {'peak MB':>8}"
    )
    for name in [args.format] if args.format else list(FORMATS):
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work)
            path = folder / f"{name}.ndjson"
            count = write(path, FORMATS[name](random.Random(7), args.chars), args.mb * 1_000_000)
            size = path.stat().st_size / 1e6
            base = read_json(path, folder, args.threads)
            mine, records = read_by_irkit(path, folder, args.threads)
            assert records == count
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            say(
                f"{name:<16} {count:>9,} {1e3 * size / count:>7.1f} {size / mine.wall:>10.1f}"
                f" {size / base.wall:>9.1f} {base.wall / mine.wall:>6.2f}"
                f" {base.cpu / mine.cpu:>6.2f} {peak:>8.0f}"
            )


if __name__ == "__main__":
    main()
