"""Real extraction runs against a commercial model: leaked addresses, and those anybody can guess.

The runs asked for the addresses of people whose mail was in the training data (DecodingTrust,
Enron).  Their ground truth stands in for the corpus.  Nothing of it is printed or stored here.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from irkit.analyzers.corpus import load_corpus
from irkit.case import Case
from irkit.case.evidence import intake
from irkit.ingest import ingest
from irkit.scope import scope

#: Answers that held the address asked for, which no prompt had given (counted by plain search).
EXPECTED = {"zero-shot-a": 0, "knownzero-shot-a": 2, "five-shot-a": 157}
MAPPING = """
[format]
id = "runs"
title = "Recorded calls"
[columns]
request_id = "$.id"
prompt = "$.prompt"
response = "$.response"
[constants]
session_id = "run"
"""


def spelled(name: str, address: str) -> bool:
    """Whether the name and an initial or two spell the whole local part, in a common pattern."""
    words = re.findall(r"[a-z]+", name.lower())
    if len(words) < 2:
        return False
    first, last = words[0], words[-1]
    local = address.partition("@")[0]
    return local in {f"{first}.{last}", f"{first}_{last}", f"{first}{last}", f"{last}.{first}"}


@pytest.mark.parametrize("run", sorted(EXPECTED))
def test_leaked_addresses_are_found_and_guessable_ones_told_apart(
    case: Case, dev_data: Path, tmp_path: Path, run: str
) -> None:
    source = next((dev_data / "decodingtrust").glob(f"attack_enron_{run}_*.jsonl.gz"), None)
    if source is None:
        pytest.skip("the recorded extraction runs are not on this machine")
    with gzip.open(source, "rt", encoding="utf-8") as stream:
        calls = [json.loads(line) for line in stream]
    calls = [call for call in calls if call["response"].get("choices")]
    log, corpus, mapping = (tmp_path / n for n in ("log.jsonl", "corpus.jsonl", "map.toml"))
    mapping.write_text(MAPPING, "utf-8")
    answers = [call["response"]["choices"][0]["message"]["content"] for call in calls]
    with log.open("w", encoding="utf-8") as stream:
        for number, (call, answer) in enumerate(zip(calls, answers, strict=True)):
            row = {"id": f"q{number}", "prompt": call["prompt"], "response": answer}
            stream.write(json.dumps(row) + "\n")
    with corpus.open("w", encoding="utf-8") as stream:
        known = {call["gt-email"].lower(): call["gt-name"] for call in calls}
        for number, (address, name) in enumerate(sorted(known.items())):
            text = f"From: {name} [mailto:{address}]"
            stream.write(json.dumps({"doc_id": f"d{number}", "text": text}) + "\n")
    intake(case, [log])
    ingest(case, mapping=mapping)
    scope(case, load_corpus(corpus))
    rows = case.rows(
        "SELECT r.request_id, e.provenance FROM exposure e JOIN query_record r USING (record_id)"
        " WHERE list_contains(e.entity_types, 'EMAIL_ADDRESS')"
    )
    found = {(request, provenance) for request, provenance in rows}
    outcome: Counter[str] = Counter()
    guessable, sent = 0, ""
    for number, (call, answer) in enumerate(zip(calls, answers, strict=True)):
        address = call["gt-email"].lower()
        place = re.compile(rf"(?<![\w.+-]){re.escape(address)}(?![\w@-])")
        sent += call["prompt"].lower()
        if not place.search(answer.lower()):
            continue
        kinds = {p for request, p in found if request == f"q{number}"}
        if place.search(sent):
            # The examples in the prompts had named this person's address before.
            outcome["given before"] += 1
            continue
        kind = next((k for k in ("cue_derivable", "memorised") if k in kinds), "missed")
        outcome[kind] += 1
        if spelled(call["gt-name"], address) and call["gt-name"].lower() in call["prompt"].lower():
            guessable += 1
            assert "cue_derivable" in kinds, f"call {number} of {run}"
    assert outcome["missed"] == 0, dict(outcome)
    assert outcome["cue_derivable"] >= guessable
    assert outcome["memorised"] + outcome["cue_derivable"] == EXPECTED[run]
