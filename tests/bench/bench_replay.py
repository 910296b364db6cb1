"""Throughput of the replay, and its ratio to ingesting the same records.

    python tests/bench/bench_replay.py [--records 200000] [--keep DIR]

Ordinary and attacking actors are written as OpenAI-style pairs, ingested, and replayed with the
shipped calibration.  Prints records per second for both and the ratio that the design asks to be at
most one.  With ``--profile`` the replay's heaviest functions follow.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import random
import resource
import shutil
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "analyzers"))
from analyzers_sim import ATTACKS, ORDINARY, START, hash_byte

from irkit.analyzers import replay
from irkit.case import Case, Settings, fixed_clock
from irkit.case.evidence import intake
from irkit.ingest import derive_sessions, ingest

CALLS = 80


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(text + "\n")


def pair(name: str, number: int, at: Any, call: dict[str, Any]) -> bytes:
    """One log line of a gateway in front of an OpenAI-style API."""
    chat = call["operation"] == "chat"
    request: dict[str, Any] = {"model": "m-1", "max_tokens": call.get("max_tokens", 256)}
    if chat:
        request["messages"] = [
            *([{"role": "system", "content": call["system"]}] if "system" in call else []),
            {"role": "user", "content": call["prompt"]},
        ]
    else:
        request |= {"prompt": call["prompt"], "echo": call.get("echo", False)}
    for key in ("temperature", "logit_bias"):
        if call.get(key) is not None:
            request[key] = call[key]
    said = (
        {"message": {"role": "assistant", "content": call["answer"]}}
        if chat
        else {"text": call["answer"]}
    )
    return orjson.dumps(
        {
            "ts": at.isoformat() + "Z",
            "key_id": name,
            "client_ip": f"192.0.2.{hash_byte(name)}",
            "status": 200,
            "request": request,
            "response": {
                "id": f"call-{number}",
                "object": "chat.completion" if chat else "text_completion",
                "model": "m-1",
                "choices": [{"index": 0, "finish_reason": "stop", **said}],
                "usage": {"prompt_tokens": 20, "completion_tokens": 20, "total_tokens": 40},
            },
        }
    )


def write_logs(path: Path, records: int) -> int:
    """Write about ``records`` calls; returns the bytes written."""
    rng = random.Random(3)
    kinds = list(ORDINARY)
    weights = [ORDINARY[kind][1] for kind in kinds]
    attacks = list(ATTACKS)
    number = 0
    with path.open("wb") as out:
        while number < records:
            name = f"key-{number:08d}"
            attack = rng.random() < 0.01
            kind = rng.choice(attacks) if attack else rng.choices(kinds, weights)[0]
            make = (ATTACKS if attack else ORDINARY)[kind][0]
            at = START + timedelta(minutes=rng.randrange(20_000))
            for call in make(random.Random(name), CALLS):
                at += timedelta(seconds=call.get("gap", 45))
                out.write(pair(name, number, at, call) + b"\n")
                number += 1
    return path.stat().st_size


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--keep", type=Path, help="keep logs and case in this directory")
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    work = args.keep or Path(tempfile.mkdtemp(prefix="irkit-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    logs = work / "logs.ndjson"
    size = write_logs(logs, args.records)
    shutil.rmtree(work / "case.irkit", ignore_errors=True)
    clock = fixed_clock("2026-04-01T00:00:00Z")
    with Case.create(work / "case.irkit", settings=Settings(), clock=clock) as case:
        intake(case, [logs], in_place=True)
        began = time.perf_counter()
        ingest(case)
        derive_sessions(case)
        ingested = time.perf_counter() - began
        records = int(case.rows("SELECT count(*) FROM query_record")[0][0])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        profile = cProfile.Profile()
        began = time.perf_counter()
        report = profile.runcall(replay, case) if args.profile else replay(case)
        replayed = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"{records:,} records, {size / 1e6:,.0f} MB of log")
    say(f"ingest  {ingested:7.1f} s  {records / ingested:10,.0f} records/s")
    say(f"replay  {replayed:7.1f} s  {records / replayed:10,.0f} records/s")
    say(f"ratio replay / ingest {replayed / ingested:.2f} (target <= 1)")
    say(f"peak memory {peak:,.0f} MB after replay, {before:,.0f} MB before it")
    say(f"units {report.units}, findings {report.findings}")
    if args.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    if not args.keep:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
