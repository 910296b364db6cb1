"""Make the sample incident: train the model, run every client against it, write logs and truth.

    python sample_logs/make_incident.py [--out DIR] [--seed N] [--scale F]

Same seed and scale, same bytes.  All people, numbers, addresses and secrets are invented.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cast
import truth
from actors import DAY, Actor, Call
from clients import START
from corpus import Corpus, build_corpus, corpus_lines, subjects_csv
from model import LanguageModel, Tokenizer
from server import Server
from writers import Logged, iso, write


def gz(path: Path, lines: Iterable[str | bytes]) -> None:
    """Write lines to a gzip file without time or name in its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=9, mtime=0) as out,
    ):
        for line in lines:
            out.write(line if isinstance(line, bytes) else line.encode() + b"\n")


def train(seed: int, scale: float) -> tuple[Corpus, Server]:
    """The corpus and the system that serves the model trained on it."""
    small = scale < 1
    corpus = build_corpus(seed, 120 if small else 300, 800 if small else 3200)
    tokenizer = Tokenizer([d.text for d in [*corpus.docs, *corpus.non_members]])
    lm = LanguageModel([(d.text, d.copies) for d in corpus.docs], tokenizer)
    return corpus, Server(lm, corpus.docs, seed)


def log_files(logs: Sequence[Logged]) -> dict[str, list[Logged]]:
    """Which file each call went to: by gateway and time, as rotated logs are."""
    cuts = {"openai": [2.5, 5.2, 6.4, 99], "bedrock": [5, 99], "litellm": [6, 99]}
    names = {
        "openai": "gateway-{:02d}.ndjson.gz",
        "bedrock": "bedrock-{:02d}.json.gz",
        "litellm": "litellm-{:02d}.ndjson.gz",
    }
    out: dict[str, list[Logged]] = {}
    for log in logs:
        day = (log.call.time - START) / DAY
        part = next(i for i, c in enumerate(cuts[log.actor.source]) if day < c)
        out.setdefault(names[log.actor.source].format(part + 1), []).append(log)
    return dict(sorted(out.items()))


def write_logs(out: Path, files: dict[str, list[Logged]]) -> dict[str, Any]:
    """Write the log files with three kinds of natural damage; returns what was damaged."""
    facts: dict[str, Any] = {}
    for name, logs in files.items():
        lines: list[str | bytes] = [x.line for x in logs]
        facts[name] = {
            "calls": len(logs),
            "entries": len(lines),
            "quarantined": 0,
            "duplicates": [],
        }
        if name == "bedrock-01.json.gz":  # a byte that is not UTF-8
            line = logs[3].line.replace(logs[3].request_id, logs[3].request_id[:-4] + "dead")
            broken = (
                line.replace('"operation"', '"note":"caf@","operation"', 1)
                .encode()
                .replace(b"caf@", b"caf\xe9")
            )
            lines.insert(len(lines) // 2, broken + b"\n")
            facts[name].update(entries=len(lines), quarantined=1)
        if name == "gateway-04.ndjson.gz":  # the writer died in the middle of a line
            lines.append(logs[-1].line.encode()[: len(logs[-1].line) // 2])
            facts[name].update(entries=len(lines), quarantined=1)
        if name == "litellm-01.ndjson.gz":  # a shipper sent four lines twice
            again = [x for x in logs if x.call.status == 200][10:14]
            lines.extend(x.line for x in again)
            facts[name].update(entries=len(lines), duplicates=[x.request_id for x in again])
        gz(out / "logs" / name, lines)
    return facts


def _actor_truth(
    unit_kind: str, unit: str, group: Sequence[Actor], logs: Sequence[Logged]
) -> dict[str, Any]:
    attack = [x for x in logs if x.call.attack]
    first, last = attack[0], attack[-1]
    row: dict[str, Any] = {
        "unit_kind": unit_kind,
        "unit": unit,
        "source": group[0].source,
        "role": group[0].role,
        "technique": group[0].technique,
        "family": group[0].family,
        "covered_by": group[0].detectors,
        "queries": len(logs),
        "attack_queries": len(attack),
        "first_seen": iso(logs[0].call.time),
        "onset_request_id": first.request_id,
        "onset_time": iso(first.call.time),
        "last_time": iso(last.call.time),
        "attack_request_ids": [x.request_id for x in attack],
        "ips": sorted({ip for a in group for ip in a.ips}),
    }
    if unit_kind == "campaign":
        row["source"] = "openai+litellm"
        row["members"] = sorted(a.credential for a in group)
        row["member_attack_queries"] = {
            a.credential: sum(x.attack for x in a.calls)
            for a in sorted(group, key=lambda a: a.credential)
        }
    return row


def expected(
    corpus: Corpus,
    actors: Sequence[Actor],
    logs: Sequence[Logged],
    files: dict[str, Any],
    seed: int,
    scale: float,
) -> dict[str, Any]:
    """The ground truth of the incident."""
    of: dict[str, list[Logged]] = {}
    for log in logs:
        of.setdefault(log.actor.credential, []).append(log)
    attack = [
        _actor_truth("credential", a.credential, [a], of[a.credential])
        for a in actors
        if a.technique and not a.campaign
    ]
    for row in attack:
        row["outcome"] = truth.outcome(
            row["role"], [x for x in of[row["unit"]] if x.call.attack], corpus.docs
        )
    group = [a for a in actors if a.campaign]
    attack.append(
        _actor_truth(
            "campaign",
            "campaign-1",
            group,
            sorted(
                (x for a in group for x in of[a.credential]),
                key=lambda x: (x.call.time, x.request_id),
            ),
        )
    )
    found = truth.leaks(logs, corpus.docs, corpus.people)
    return {
        "synthetic": True,
        "note": "Every person, number, address, secret and event in this incident is invented.",
        "seed": seed,
        "scale": scale,
        "definitions": {
            "token": "maximal run of Unicode word characters, or one other sign that is not "
            "white space",
            "leak": ">= 50 consecutive tokens equal to a personal record, outside runs of >= 8 "
            "tokens that the request's own messages or the credential's earlier prompts held",
            "short_leak": "the same with 25 to 49 tokens",
            "echo": "a shared run of >= 25 tokens of which less than 25 "
            "consecutive tokens remain after subtracting the context; never counted",
            "spans": "character offsets into the text of that choice as logged, end exclusive",
        },
        "attack_actors": attack,
        "ordinary_credentials": [
            {
                "credential": a.credential,
                "role": a.role,
                "source": a.source,
                "queries": len(of[a.credential]),
            }
            for a in actors
            if not a.technique
        ],
        "files": files,
        "totals": {
            "calls": len(logs),
            "credentials": len(of),
            "attack_calls": sum(x.call.attack for x in logs),
            "corpus_documents": len(corpus.docs),
            "personal_records": len(corpus.records),
            "subjects": len(corpus.people),
            "leaks": len(found["leaks"]),
            "leaked_records": len({r["doc_id"] for r in found["leaks"]}),
            "subjects_confirmed": len(found["subjects_confirmed"]),
        },
        "same_person": corpus.linked,
        "same_name_different_person": corpus.same_name,
        **found,
    }


def pretty(result: dict[str, Any]) -> str:
    """JSON with one row per line, which reads and compares well and stays small."""
    parts = []
    for key in sorted(result):
        value = result[key]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n  ".join(json.dumps(r, ensure_ascii=False, sort_keys=True) for r in value)
            parts.append(f'"{key}": [\n  {rows}\n ]')
        else:
            parts.append(f'"{key}": {json.dumps(value, ensure_ascii=False, sort_keys=True)}')
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def make(out: Path, seed: int, scale: float) -> dict[str, Any]:
    """Make everything under ``out``; returns the ground truth."""
    began = time.perf_counter()
    corpus, server = train(seed, scale)
    print(
        f"trained on {len(corpus.docs)} documents, {len(server.lm.tokenizer.vocab)} pieces, "
        f"{time.perf_counter() - began:.1f} s",
        file=sys.stderr,
    )
    bodies: dict[int, dict[str, Any]] = {}

    def answer(call: Call) -> None:
        if call.status != 200:
            bodies[id(call)] = {}
            return
        body = (
            server.completion(call.request)
            if call.op == "completion"
            else server.chat(call.request, call.route)
        )
        bodies[id(call)] = body
        first = body["choices"][0]
        call.answer = first["message"]["content"] if "message" in first else first["text"]

    actors = cast.ordinary_actors(corpus, seed, scale, answer)
    actors += cast.attackers(corpus, server, seed, scale, answer)
    logs = [
        write(a, c, bodies[id(c)], Random(f"write/{seed}/{i}/{j}"))
        for i, a in enumerate(actors)
        for j, c in enumerate(a.calls)
    ]
    logs.sort(key=lambda x: (x.call.time, x.request_id))
    print(
        f"{len(logs)} calls of {len(actors)} credentials, {time.perf_counter() - began:.1f} s",
        file=sys.stderr,
    )
    files = write_logs(out, log_files(logs))
    gz(out / "corpus.jsonl.gz", corpus_lines(corpus.docs))
    (out / "subjects.csv").write_text(subjects_csv(corpus.people), encoding="utf-8")
    result = expected(corpus, actors, logs, files, seed, scale)
    (out / "expected.json").write_text(pretty(result), encoding="utf-8")
    print(f"done in {time.perf_counter() - began:.1f} s: {result['totals']}", file=sys.stderr)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Make the sample incident.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--scale", type=float, default=1.0, help="smaller incident for tests")
    args = parser.parse_args()
    make(args.out, args.seed, args.scale)


if __name__ == "__main__":
    main()
