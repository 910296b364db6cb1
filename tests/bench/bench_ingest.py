"""Ingest speed and memory per format, beside DuckDB's own ``read_json`` on the same file.

    python tests/bench/bench_ingest.py [--size 1GB] [--format NAME ...] [--repeat 1]

Each measurement is a process of its own, so that peak memory is its own; the processes run one
after the other on the same cores and read the same file from the page cache.  What is compared:

- ``read_json``: ``CREATE TABLE t AS SELECT * FROM read_json(path)`` into a database on disk with
  DuckDB's defaults, then ``CHECKPOINT``.  This is the named baseline.
- ``columns``: the same with the column types given, so that nothing has to be detected.
- ``irkit``: :func:`irkit.ingest.ingest` with default settings, then ``CHECKPOINT``.  It hashes
  every entry and every text, accounts for every line, and stores each text once.
- ``+intake``: ingest together with hashing the file as evidence (referenced in place).

The records are seeded: fresh prompts and answers, a history that grows with each turn of a chat,
one of a few system prompts, and a share of answers with log-probabilities, stated per format.
``--tiny N`` measures an archive of N files with one call each instead.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import orjson

from irkit.case import Case, Settings
from irkit.case.evidence import intake
from irkit.ingest import ingest

ANSWER = 600
"""Mean characters of an answer; prompts have a third of it."""

SYSTEMS = (
    "You help the customers of a hardware shop. Answer briefly and never promise delivery dates.",
    "You summarise support tickets for the team that works on them.",
    "You are a careful translator. Keep names, numbers and the layout of lists as they are.",
)

Record = dict[str, Any]


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


# -- records ------------------------------------------------------------------------------------


def vocabulary() -> list[str]:
    """Return words of several lengths; some carry accents, quotes or line breaks."""
    rng = random.Random(11)
    parts = ("ra", "ten", "mi", "lo", "ker", "sha", "vin", "du", "pel", "os", "gra", "nel", "ba")
    words = ["".join(rng.choices(parts, k=rng.choice((1, 2, 2, 3, 3, 4)))) for _ in range(4000)]
    for index in range(0, len(words), 25):
        words[index] = rng.choice((words[index] + ".\n", f'"{words[index]}"', words[index] + "é"))
    return words


WORDS = vocabulary()


def text(rng: random.Random, chars: int) -> str:
    """Return fresh words of about an exponentially distributed length."""
    return " ".join(rng.choices(WORDS, k=1 + int(rng.expovariate(7 / chars))))


def dialogue(rng: random.Random, state: dict[int, list[Record]], caller: int):
    """Return the messages of the caller's next turn; history repeats as in real chats."""
    turns = state.setdefault(caller, [])
    if len(turns) > 8 or rng.random() < 0.2:
        turns.clear()
    turns.append({"role": "user", "content": text(rng, ANSWER // 3)})
    system = {"role": "system", "content": SYSTEMS[caller % len(SYSTEMS)]}
    messages = [system, *turns]
    answer = text(rng, ANSWER)
    turns.append({"role": "assistant", "content": answer})
    return messages, answer


def logprobs(rng: random.Random, answer: str) -> Record:
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


def chat_response(number: int, answer: str, lp: Record | None) -> Record:
    return {
        "id": f"chatcmpl-{number:010x}",
        "object": "chat.completion",
        "created": 1_791_000_000 + number,
        "model": "m-small",
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


def openai_pair(rng: random.Random, share: float = 0.02) -> Iterator[Record]:
    state: dict[int, list[Record]] = {}
    number = 0
    while True:
        caller = rng.randrange(60)
        messages, answer = dialogue(rng, state, caller)
        lp = logprobs(rng, answer) if rng.random() < share else None
        yield {
            "ts": f"2026-10-{5 + number // 86400 % 20:02d}T{number // 3600 % 24:02d}:"
            f"{number // 60 % 60:02d}:{number % 60:02d}.{rng.randrange(1000):03d}Z",
            "key_id": f"key-{caller:03d}",
            "client_ip": f"192.0.2.{caller}",
            "status": 200,
            "latency_ms": rng.randrange(100, 3000),
            "request": {"model": "m-small", "messages": messages, "temperature": 0.7},
            "response": chat_response(number, answer, lp),
        }
        number += 1


def openai_logprobs(rng: random.Random) -> Iterator[Record]:
    return openai_pair(rng, share=1.0)


def litellm(rng: random.Random) -> Iterator[Record]:
    for number, row in enumerate(openai_pair(rng, share=0.0)):
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


def bedrock(rng: random.Random) -> Iterator[Record]:
    for number, row in enumerate(openai_pair(rng, share=0.0)):
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
                "inputContentType": "application/json",
                "inputBodyJson": {
                    "messages": turns,
                    "system": [{"text": row["request"]["messages"][0]["content"]}],
                    "inferenceConfig": {"maxTokens": 500},
                },
                "inputTokenCount": 100,
            },
            "output": {
                "outputContentType": "application/json",
                "outputBodyJson": {
                    "output": {"message": {"role": "assistant", "content": [{"text": answer}]}},
                    "stopReason": "end_turn",
                    "usage": {"inputTokens": 100, "outputTokens": 80, "totalTokens": 180},
                    "metrics": {"latencyMs": row["latency_ms"]},
                },
                "outputTokenCount": 80,
            },
        }


FORMATS: dict[str, tuple[Callable[[random.Random], Iterator[Record]], str]] = {
    "openai_pair": (openai_pair, "2 % with log-probabilities"),
    "openai_logprobs": (openai_logprobs, "all with log-probabilities, 5 alternatives"),
    "litellm": (litellm, "no log-probabilities"),
    "bedrock": (bedrock, "no log-probabilities"),
}


def write(path: Path, rows: Iterator[Record], size: int) -> int:
    """Write records until the file has ``size`` bytes; return their number."""
    written = count = 0
    with path.open("wb") as stream:
        for row in rows:
            written += stream.write(orjson.dumps(row) + b"\n")
            count += 1
            if written >= size:
                break
    return count


def write_tiny(folder: Path, rows: Iterator[Record], files: int) -> int:
    """Write one file per record, in folders of a thousand; return the bytes written."""
    written = 0
    for number, row in enumerate(islice(rows, files)):
        place = folder / f"{number // 1000:04d}"
        place.mkdir(parents=True, exist_ok=True)
        written += (place / f"{number:07d}.json").write_bytes(orjson.dumps(row))
    return written


# -- measurements, each in a process of its own -------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """Seconds and peak memory of one process; ``before`` are the seconds of the intake."""

    wall: float
    cpu: float
    peak_mb: float
    records: int
    before: float = 0.0


def read_json(path: Path, folder: Path, threads: int, columns: dict[str, str] | None) -> Measured:
    """Load the file into a table on disk."""
    con = duckdb.connect(str(folder / "base.duckdb"), config={"threads": threads})
    given = ""
    if columns:
        types = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in columns.items())
        given = f", columns = {{{types}}}"
    wall, cpu = time.perf_counter(), time.process_time()
    con.execute(f"CREATE TABLE t AS SELECT * FROM read_json(?{given})", [str(path)])
    con.execute("CHECKPOINT")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    found = con.execute("SELECT count(*) FROM t").fetchone()
    con.close()
    return Measured(wall, cpu, peak_mb(), found[0] if found else 0)


def quoted(words: str) -> str:
    """Return an SQL string literal."""
    return "'" + words.replace("'", "''") + "'"


def detected(path: Path) -> dict[str, str]:
    """Return the column types that ``read_json`` finds by itself."""
    found = duckdb.execute("DESCRIBE SELECT * FROM read_json(?)", [str(path)]).fetchall()
    return {row[0]: row[1] for row in found}


def read_by_irkit(path: Path, folder: Path, threads: int) -> Measured:
    """Ingest the file, or all files of a folder, into a fresh case, as ``irkit preserve`` does."""
    case_path = folder / "case.irkit"
    Case.create(case_path, settings=Settings(threads=threads)).close()
    with Case.open(case_path, write=True, sharing=True) as case:
        begun = time.perf_counter()
        intake(case, [path], in_place=True)
        wall, cpu = time.perf_counter(), time.process_time()
        before = wall - begun
        report = ingest(case)
        case.con.execute("CHECKPOINT")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Measured(wall, cpu, peak_mb(), report.records, before)


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(kind: str, path: Path, threads: int) -> Measured:
    """Measure in a fresh process, in a fresh folder beside the file."""
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        command = [sys.executable, __file__, "--child", kind, str(path), work, str(threads)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return Measured(**json.loads(done.stdout))


def child(kind: str, path: Path, folder: Path, threads: int) -> Measured:
    """Do one measurement; the parent reads the result from standard output."""
    if kind == "irkit":
        return read_by_irkit(path, folder, threads)
    return read_json(path, folder, threads, detected(path) if kind == "columns" else None)


# -- report -------------------------------------------------------------------------------------


def best(kind: str, path: Path, threads: int, repeat: int) -> Measured:
    """Return the fastest of several measurements."""
    return min((measure(kind, path, threads) for _ in range(repeat)), key=lambda m: m.wall)


def by_size(args: argparse.Namespace, folder: Path) -> None:
    say(
        f"{'format':<16} {'records':>9} {'kB each':>7} {'irkit':>7} {'read_json':>9} {'columns':>8}"
        f" {'ratio':>6} {'+intake':>7} {'by cpu':>6} {'peak':>6} {'base peak':>9}"
    )
    for name in args.format or FORMATS:
        make, share = FORMATS[name]
        path = folder / f"{name}.ndjson"
        count = write(path, make(random.Random(7)), args.size)
        size = path.stat().st_size / 1e6
        base = best("read_json", path, args.threads, args.repeat)
        typed = best("columns", path, args.threads, args.repeat)
        mine = best("irkit", path, args.threads, args.repeat)
        if not mine.records == base.records == typed.records == count:
            raise SystemExit(f"{name}: {count} records written, {mine.records} read by irkit")
        say(
            f"{name:<16} {count:>9,} {1e3 * size / count:>7.1f} {size / mine.wall:>7.1f}"
            f" {size / base.wall:>9.1f} {size / typed.wall:>8.1f} {base.wall / mine.wall:>6.2f}"
            f" {base.wall / (mine.wall + mine.before):>7.2f} {base.cpu / mine.cpu:>6.2f}"
            f" {mine.peak_mb:>6.0f} {base.peak_mb:>9.0f}   {share}"
        )
        path.unlink()
    say("MB/s of log; ratio = read_json seconds / irkit seconds; peak resident memory in MB")


def by_files(args: argparse.Namespace, folder: Path) -> None:
    root = folder / "tiny"
    size = write_tiny(root, litellm(random.Random(7)), args.tiny) / 1e6
    mine = measure("irkit", root, args.threads)
    say(
        f"{args.tiny:,} files of one call, {size:.0f} MB: intake {args.tiny / mine.before:,.0f}"
        f" files/s, ingest {args.tiny / mine.wall:,.0f} files/s, peak {mine.peak_mb:.0f} MB"
    )


def size_of(words: str) -> int:
    """Return the bytes that a size like ``200MB`` or ``1GB`` names."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", words.strip().upper())
    if match is None:
        raise argparse.ArgumentTypeError(f"{words}: no size")
    return int(float(match[1]) * {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}[match[2]])


def main() -> None:
    """Command line."""
    if sys.argv[1:2] == ["--child"]:
        kind, path, folder, threads = sys.argv[2:]
        sys.stdout.write(json.dumps(vars(child(kind, Path(path), Path(folder), int(threads)))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=size_of, default="1GB")
    parser.add_argument("--format", choices=sorted(FORMATS), nargs="+")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeat", type=int, default=1, help="best of so many runs")
    parser.add_argument("--tiny", type=int, metavar="FILES", help="an archive of tiny files")
    parser.add_argument("--dir", type=Path, help="where to work; needs three times the size")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dir) as work:
        (by_files if args.tiny else by_size)(args, Path(work))


if __name__ == "__main__":
    main()
