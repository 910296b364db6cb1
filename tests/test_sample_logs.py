"""The shipped sample incident agrees with its ground truth, is fictional and reproducible."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).parents[1] / "sample_logs"
TOKEN = re.compile(r"\w+|[^\w\s]")


def lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as handle:
        yield from handle


def parsed(path: Path) -> Iterator[dict[str, Any]]:
    for line in lines(path):
        try:
            yield json.loads(line)
        except ValueError:  # the damaged lines; counted in their own test
            continue


def answers(row: dict[str, Any]) -> tuple[str, str, list[str], list[str]]:
    """Request id, credential, input texts and answers of one record of any of the formats."""
    if "schemaType" in row:
        inp, out = row["input"]["inputBodyJson"], row["output"]["outputBodyJson"]
        texts = [inp[k] for k in ("prompt", "inputText") if k in inp]
        texts += [p["text"] for m in inp.get("messages", []) for p in m["content"]]
        texts += [p["text"] for p in inp.get("system", [])]
        if "output" in out:
            said = [out["output"]["message"]["content"][0]["text"]]
        elif "results" in out:
            said = [out["results"][0]["outputText"]]
        else:
            said = [out["generation"]]
        return row["requestId"], row["identity"]["arn"], texts, said
    body = row["response"] or {}
    if "call_type" in row:
        messages = row["messages"]
        texts = [messages] if isinstance(messages, str) else [m["content"] for m in messages]
        rid, cred = row["id"], row["metadata"]["user_api_key_hash"]
    else:
        req = row["request"]
        texts = [m["content"] for m in req["messages"]] if "messages" in req else [req["prompt"]]
        rid, cred = body.get("id", ""), row["key_id"]
    said = [
        c["message"]["content"] if "message" in c else c["text"] for c in body.get("choices", [])
    ]
    return rid, cred, texts, said


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return json.loads((SAMPLE / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def corpus() -> dict[str, dict[str, Any]]:
    rows = (json.loads(line) for line in lines(SAMPLE / "corpus.jsonl.gz"))
    return {row["doc_id"]: row for row in rows}


@pytest.fixture(scope="module")
def records() -> dict[str, tuple[str, list[str], list[str]]]:
    out = {}
    for path in sorted((SAMPLE / "logs").glob("*.gz")):
        for row in parsed(path):
            rid, *rest = answers(row)
            out[rid] = tuple(rest)
    return out


def test_small_enough_for_the_repository() -> None:
    size = sum(
        p.stat().st_size for p in SAMPLE.rglob("*") if p.is_file() and "__pycache__" not in p.parts
    )
    assert size < 8_000_000


def test_every_file_holds_what_the_truth_says(truth: dict[str, Any]) -> None:
    files = {p.name: p for p in (SAMPLE / "logs").glob("*.gz")}
    assert set(files) == set(truth["files"])
    for name, facts in truth["files"].items():
        found = list(lines(files[name]))
        assert len(found) == facts["entries"]
        bad = sum(1 for line in found if not _is_json(line))
        assert bad == facts["quarantined"], name
    assert sum(f["quarantined"] for f in truth["files"].values()) == 2
    assert sum(f["calls"] for f in truth["files"].values()) == truth["totals"]["calls"]


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line.decode())
    except ValueError:
        return False
    return True


def test_every_record_is_marked_synthetic() -> None:
    for path in sorted((SAMPLE / "logs").glob("*.gz")):
        for row in parsed(path):
            marks = (
                row.get("synthetic"),
                row.get("requestMetadata", {}).get("synthetic"),
                "synthetic" in row.get("request_tags", []),
            )
            assert any(marks), path.name


def test_leak_spans_are_in_the_named_document_and_not_in_the_prompt(truth, corpus, records) -> None:
    assert len(truth["leaks"]) > 200
    for row in truth["leaks"]:
        credential, texts, said = records[row["request_id"]]
        assert credential == row["credential"]
        passage = TOKEN.findall(said[row["choice"]][row["response_start"] : row["response_end"]])
        assert len(passage) == row["tokens"] >= 50
        doc = TOKEN.findall(corpus[row["doc_id"]]["text"])
        assert any(doc[i : i + len(passage)] == passage for i in range(len(doc)))
        assert row["subject_ids"] == [corpus[row["doc_id"]]["subject_id"]]
        middle = " ".join(passage[20:40])
        assert not any(middle in " ".join(TOKEN.findall(t)) for t in texts)


def test_echoes_really_come_from_the_context(truth, records) -> None:
    personal = [row for row in truth["echoes"] if row["subject_ids"]]
    assert len(personal) > 200
    inside = 0
    for row in personal:
        _, texts, said = records[row["request_id"]]
        passage = TOKEN.findall(said[row["choice"]][row["response_start"] : row["response_end"]])
        known = " ".join(TOKEN.findall(" ".join(texts)))
        inside += " ".join(passage[:8]) in known or " ".join(passage[-8:]) in known
    # The rest repeats an earlier prompt of the same credential or is cut up by the context.
    assert inside / len(personal) > 0.9


def test_actors_onsets_and_ordinary_credentials(truth, records) -> None:
    seen = {credential for credential, _, _ in records.values()}
    attackers: set[str] = set()
    for actor in truth["attack_actors"]:
        members = actor.get("members", [actor["unit"]])
        attackers |= set(members)
        assert set(members) <= seen
        assert actor["onset_request_id"] == actor["attack_request_ids"][0]
        assert actor["first_seen"] < actor["onset_time"] <= actor["last_time"]
        assert len(actor["attack_request_ids"]) == actor["attack_queries"] < actor["queries"]
        for rid in actor["attack_request_ids"]:
            assert records[rid][0] in members
    techniques = {a["technique"] for a in truth["attack_actors"]}
    assert {"training_data_extraction", "membership_inference", "attribute_inference"} <= techniques
    ordinary = {o["credential"] for o in truth["ordinary_credentials"]}
    assert not ordinary & attackers
    assert ordinary | attackers == seen
    assert (
        len(next(a for a in truth["attack_actors"] if a["unit_kind"] == "campaign")["members"])
        == 40
    )


def test_subjects_follow_from_the_leaks(truth, corpus) -> None:
    with (SAMPLE / "subjects.csv").open(encoding="utf-8", newline="") as handle:
        register = {row["subject_id"]: row for row in csv.DictReader(handle)}
    confirmed = sorted({s for row in truth["leaks"] for s in row["subject_ids"]})
    assert confirmed == truth["subjects_confirmed"]
    assert set(confirmed) <= set(register)
    assert not set(confirmed) & set(truth["subjects_weaker_only"])
    assert {d["subject_id"] for d in corpus.values()} - {None} <= set(register)
    for a, b in truth["same_person"]:
        same = [
            k for k in ("email", "phone") if register[a][k] and register[a][k] == register[b][k]
        ]
        assert same
        assert register[a]["name"] != register[b]["name"]
    for a, b in truth["same_name_different_person"]:
        assert register[a]["name"] == register[b]["name"]
        assert register[a]["email"] != register[b]["email"]


def test_people_are_fictional(corpus) -> None:
    reserved = (".example", ".test", ".invalid", "example.org", "example.com", "example.net")
    for doc in corpus.values():
        for address in re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", doc["text"]):
            assert address.endswith(reserved), address
        for number in re.findall(r"\+\d[\d ]{7,}\d", doc["text"]):
            assert re.match(
                r"\+(49 30 23125 |33 1 99 00 |46 8 465 004 |353 20 91\d |44 20 7946 0|44 7700 900)",
                number,
            ), number
        for iban in re.findall(r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,}\b", doc["text"]):
            assert int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1
            assert "9999" in iban or "ZZZZ" in iban


def _run(script: str, *args: str, hash_seed: str) -> None:
    subprocess.run(
        [sys.executable, str(SAMPLE / script), *args],
        check=True,
        capture_output=True,
        env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
    )


def _digest(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        args = ("--out", str(tmp_path / name), "--scale", "0.05", "--seed", "11")
        _run("make_incident.py", *args, hash_seed=str(ord(name)))
    first, second = _digest(tmp_path / "a"), _digest(tmp_path / "b")
    assert len(first) >= 8
    assert first == second
    made = json.loads((tmp_path / "a" / "expected.json").read_text(encoding="utf-8"))
    assert made["totals"]["leaks"] > 5


def test_ordinary_actors_are_reproducible_and_long_enough(tmp_path: Path) -> None:
    for name in ("a", "b"):
        args = ("--out", str(tmp_path / name), "--scale", "0.05", "--actors", "6", "--jobs", "1")
        _run("make_ordinary.py", *args, hash_seed=str(ord(name)))
    assert _digest(tmp_path / "a") == _digest(tmp_path / "b")
    sizes: dict[str, int] = {}
    for path in (tmp_path / "a").glob("*.gz"):
        for row in parsed(path):
            _, credential, _, _ = answers(row)
            sizes[credential] = sizes.get(credential, 0) + 1
            assert row["synthetic"] is True
    assert len(sizes) == 6
    assert sum(n >= 100 for n in sizes.values()) >= 5
