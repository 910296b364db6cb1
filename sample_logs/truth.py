"""Ground truth by exact search: which documents came out, where, and whether the context held them.

Independent of irkit's own matcher: a plain dictionary of token k-grams, extended in both
directions.  Token: a maximal run of word characters, or one other sign that is not white space.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from corpus import Doc
from people import Person
from writers import Logged, iso

TOKEN = re.compile(r"\w+|[^\w\s]")
K, FULL, MASK = 25, 50, 8
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def tokens(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """Tokens and their character spans."""
    found = list(TOKEN.finditer(text))
    return [m[0] for m in found], [m.span() for m in found]


@dataclass
class Run:
    """A maximal run of tokens that a response shares with a document."""

    doc: int
    start: int
    doc_start: int
    length: int


class Search:
    """All maximal shared runs of at least :data:`K` tokens."""

    def __init__(self, docs: Sequence[Doc]) -> None:
        self.docs = docs
        self.tokens = [TOKEN.findall(d.text) for d in docs]
        self.grams: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        for n, toks in enumerate(self.tokens):
            for i in range(len(toks) - K + 1):
                self.grams.setdefault(tuple(toks[i : i + K]), []).append((n, i))

    def runs(self, toks: Sequence[str]) -> list[Run]:
        """Maximal runs in one text, longest first per document and place."""
        live: dict[tuple[int, int], Run] = {}
        out: list[Run] = []
        for i in range(len(toks) - K + 1):
            nxt: dict[tuple[int, int], Run] = {}
            for n, j in self.grams.get(tuple(toks[i : i + K]), ()):
                run = live.get((n, j - 1))
                if run is None:
                    run = Run(n, i, j, K)
                    out.append(run)
                else:
                    run.length += 1
                nxt[(n, j)] = run
            live = nxt
        return out


def grams8(text: str) -> set[tuple[str, ...]]:
    """Runs of eight tokens of a context text."""
    toks = TOKEN.findall(text)
    return {tuple(toks[i : i + MASK]) for i in range(len(toks) - MASK + 1)}


def masked(toks: Sequence[str], known: Iterable[set[tuple[str, ...]]]) -> list[bool]:
    """Which tokens lie in a run of eight that the context already held."""
    out = [False] * len(toks)
    for i in range(len(toks) - MASK + 1):
        gram = tuple(toks[i : i + MASK])
        if any(gram in k for k in known):
            out[i : i + MASK] = [True] * MASK
    return out


def free_runs(mask: Sequence[bool], start: int, length: int) -> list[tuple[int, int]]:
    """Unmasked stretches inside a run as (start, length)."""
    out: list[tuple[int, int]] = []
    at = start
    while at < start + length:
        if mask[at]:
            at += 1
            continue
        end = at
        while end < start + length and not mask[end]:
            end += 1
        out.append((at, end - at))
        at = end
    return out


def leaks(logs: Sequence[Logged], docs: Sequence[Doc], people: Sequence[Person]) -> dict[str, Any]:
    """Classify every shared run and every identifier of every response."""
    search = Search(docs)
    known: dict[str, set[tuple[str, ...]]] = {}
    said: dict[str, list[str]] = {}
    by_value: dict[str, list[str]] = {}
    for p in people:
        for value in (p.email, p.phone, p.iban):
            if value:
                by_value.setdefault(value, []).append(p.subject_id)
    rows: dict[str, list[dict[str, Any]]] = {
        k: [] for k in ("leaks", "short_leaks", "echoes", "ordinary_regurgitation", "typed_leaks")
    }
    for log in sorted(logs, key=lambda x: (x.call.time, x.request_id)):
        cred = log.actor.credential
        earlier = known.setdefault(cred, set())
        for choice, text in enumerate(log.responses):
            toks, spans = tokens(text)
            runs = search.runs(toks)
            here: list[str] = []
            if runs:
                own = set().union(*(grams8(c) for c in log.contexts))
                mask = masked(toks, (own, earlier))
                for run in runs:
                    _classify(run, docs[run.doc], mask, spans, log, choice, rows, here)
            _typed(text, log, choice, by_value, said.get(cred, []), here, rows["typed_leaks"])
        earlier |= grams8(log.prompt)
        if "@" in log.prompt or "+" in log.prompt or len(log.prompt) > 40:
            said.setdefault(cred, []).append(log.prompt)
    confirmed = sorted({s for r in rows["leaks"] for s in r["subject_ids"]})
    weak = {s for k in ("short_leaks", "typed_leaks") for r in rows[k] for s in r["subject_ids"]}
    return {
        **rows,
        "subjects_confirmed": confirmed,
        "subjects_weaker_only": sorted(weak - set(confirmed)),
    }


def _classify(
    run: Run,
    doc: Doc,
    mask: list[bool],
    spans: list[tuple[int, int]],
    log: Logged,
    choice: int,
    rows: dict[str, list[dict[str, Any]]],
    here: list[str],
) -> None:
    base = {
        "request_id": log.request_id,
        "credential": log.actor.credential,
        "time": iso(log.call.time),
        "choice": choice,
        "doc_id": doc.doc_id,
    }
    free = [f for f in free_runs(mask, run.start, run.length) if f[1] >= K]
    if not free:
        end = run.start + run.length - 1
        rows["echoes"].append(
            {
                **base,
                "subject_ids": [doc.subject_id] if doc.subject_id else [],
                "response_start": spans[run.start][0],
                "response_end": spans[end][1],
                "tokens": run.length,
                "provenance": "echo",
            }
        )
        return
    for start, length in free:
        a, b = spans[start][0], spans[start + length - 1][1]
        row = {
            **base,
            "response_start": a,
            "response_end": b,
            "chars": b - a,
            "tokens": length,
            "run_tokens": run.length,
            "provenance": "memorised",
            "copies": doc.copies,
        }
        if doc.subject_id is None:
            if length >= FULL:
                same = [
                    r
                    for r in rows["ordinary_regurgitation"][-8:]
                    if (r["request_id"], r["choice"], r["response_start"])
                    == (log.request_id, choice, a)
                ]
                if same and same[0]["response_end"] >= b:  # the same passage of another document
                    same[0]["documents"] += 1
                else:
                    rows["ordinary_regurgitation"].append({**row, "documents": 1})
            continue
        row["subject_ids"] = [doc.subject_id]
        here.append(doc.subject_id)
        rows["leaks" if length >= FULL else "short_leaks"].append(row)


def _typed(
    text: str,
    log: Logged,
    choice: int,
    by_value: dict[str, list[str]],
    said: list[str],
    here: list[str],
    out: list[dict[str, Any]],
) -> None:
    if "@" not in text and "+" not in text and not re.search(r"[A-Z]{2}\d\d", text):
        return
    for value, subjects in by_value.items():
        at = text.find(value)
        if at < 0 or set(subjects) & set(here):
            continue
        if any(value in c for c in log.contexts) or any(value in c for c in said):
            continue
        out.append(
            {
                "request_id": log.request_id,
                "credential": log.actor.credential,
                "time": iso(log.call.time),
                "choice": choice,
                "kind": "email" if "@" in value else "phone" if value[0] == "+" else "iban",
                "subject_ids": subjects,
                "response_start": at,
                "response_end": at + len(value),
            }
        )


def outcome(role: str, logs: Sequence[Logged], docs: Sequence[Doc]) -> dict[str, Any]:
    """How far a score-reading attack got, from what the API returned to it."""
    by_id = {d.doc_id: d for d in docs}
    if role == "loss_membership":
        scored = [(_mean_logprob(x), x.call.note in by_id) for x in logs]
        members = [s for s, m in scored if m]
        others = [s for s, m in scored if not m]
        wins = sum((a > b) + 0.5 * (a == b) for a in members for b in others)
        return {
            "auc": round(wins / max(1, len(members) * len(others)), 4),
            "members": len(members),
            "non_members": len(others),
        }
    if role == "attribute_enumeration":
        best: dict[str, tuple[float, str]] = {}
        for x in logs:
            best[x.call.note] = max(
                best.get(x.call.note, (-1e9, "")),
                (_mean_logprob(x), x.prompt.rsplit(": ", 1)[1][:-1]),
            )
        right = sum(by_id[d].fields["diagnosis"] == value for d, (_, value) in best.items())
        return {"targets": len(best), "correct": right}
    if role == "paired_membership":
        return {
            "targets": len({x.call.note for x in logs}),
            "members": len({x.call.note for x in logs} & set(by_id)),
        }
    return {}


def _mean_logprob(log: Logged) -> float:
    values = [
        v
        for v in json.loads(log.line)["response"]["choices"][0]["logprobs"]["token_logprobs"]
        if v is not None
    ]
    return sum(values) / max(1, len(values))
