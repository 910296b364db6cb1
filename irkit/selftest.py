"""Assertions on the sample incident's ground truth, in the manner of NIST's tool-testing programme.

``irkit selftest`` runs the whole flow on the installed machine and says what was promised, what was
measured and whether it held.  The ground truth comes from the generator's own exact search, which
shares no code with irkit's matcher.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irkit import flow
from irkit.case import fixed_clock
from irkit.model import Progress

#: Share of truly exposed people that must be found, and of found people that must be true.
SUBJECT_TARGET = 0.95


@dataclass(frozen=True, slots=True)
class Assertion:
    """One promise and what was measured."""

    name: str
    promised: str
    measured: str
    held: bool


@dataclass(frozen=True, slots=True)
class Report:
    """All assertions of one run."""

    assertions: tuple[Assertion, ...]

    @property
    def passed(self) -> bool:
        """True where every promise held."""
        return all(assertion.held for assertion in self.assertions)

    def lines(self) -> list[str]:
        """Return the report in words."""
        lines = [
            f"{'ok  ' if a.held else 'FAIL'}  {a.name}: {a.measured}  (promised: {a.promised})"
            for a in self.assertions
        ]
        return [*lines, "passed" if self.passed else "FAILED: do not rely on this installation"]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as data."""
        return {
            "assertions": [
                {"held": a.held, "measured": a.measured, "name": a.name, "promised": a.promised}
                for a in self.assertions
            ],
            "passed": self.passed,
        }


def run(work: Path, *, progress: Callable[[Progress], None] | None = None) -> Report:
    """Run the sample incident in an empty directory and score it."""
    clock = fixed_clock(flow.SAMPLE_NOW)
    with flow.open_demo_case(work / "sample.irkit", clock=clock) as case:
        flow.demo(case, work / "out", progress=progress)
        built = detectors()
    expected = json.loads((flow.sample_dir() / "expected.json").read_text("utf-8"))
    return score(expected, work / "out", built)


def detectors() -> frozenset[str]:
    """Return the names of everything that can find an attack: detectors and campaign linking."""
    return frozenset(row["name"] for row in flow.catalogue("detectors")[0]) | {"campaign_link"}


def score(expected: dict[str, Any], out: Path, built: frozenset[str]) -> Report:
    """Score export files against ground truth.

    Args:
        expected: the sample's ``expected.json``.
        out: directory of the export files.
        built: names of the detectors that are built; an attack family that none of them
            covers is reported but cannot fail.
    """
    findings = _lines(out / "findings.jsonl")
    exposures = _lines(out / "exposures.jsonl")
    subjects = _lines(out / "subjects.jsonl")
    return Report(
        (
            *_ingest(expected, _lines(out / "evidence.jsonl")),
            *_attacks(expected, findings, built),
            _ordinary(expected, findings),
            *_leaks(expected, exposures),
            *_subjects(expected, subjects),
        )
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _ingest(expected: dict[str, Any], sources: list[dict[str, Any]]) -> list[Assertion]:
    wrong = []
    for source in sources:
        truth = expected["files"].get(source["original_name"])
        if truth is None:
            continue
        found = (source["entries"], source["quarantined"])
        if found != (truth["entries"], truth["quarantined"]) or source["state"] != "verified":
            wrong.append(source["original_name"])
    seen = {source["original_name"] for source in sources}
    missing = sorted(set(expected["files"]) - seen)
    entries = sum(truth["entries"] for truth in expected["files"].values())
    return [
        Assertion(
            "ingest loss",
            f"{entries} entries accounted for, evidence verified",
            f"differs in: {', '.join(wrong + missing)}" if wrong or missing else "none lost",
            not wrong and not missing,
        )
    ]


def _attacks(
    expected: dict[str, Any], findings: list[dict[str, Any]], built: frozenset[str]
) -> list[Assertion]:
    accused: dict[str, set[str]] = {}
    for finding in findings:
        if finding["tier"] in ("A", "B"):
            for unit in [finding["unit"], *finding["members"]]:
                accused.setdefault(unit, set()).add(finding["technique"])
    assertions = []
    for actor in expected["attack_actors"]:
        units = actor.get("members") or [actor["unit"]]
        hits = [unit for unit in units if actor["technique"] in accused.get(unit, ())]
        covered = not built.isdisjoint(actor["covered_by"])
        if actor["unit_kind"] == "campaign":
            # A campaign's members are too small to be judged alone; most must be named.
            held = len(hits) >= 0.9 * len(units)
            measured = f"{len(hits)} of {len(units)} credentials named"
        else:
            held = bool(hits)
            others = sorted(accused.get(actor["unit"], set()) - {actor["technique"]})
            measured = "found" if held else f"not found (named: {', '.join(others) or 'nothing'})"
        assertions.append(
            Assertion(
                f"attack {actor['role']}",
                f"{actor['technique']} at tier A or B"
                if covered
                else "no built detector covers it",
                measured,
                held or not covered,
            )
        )
    return assertions


def _ordinary(expected: dict[str, Any], findings: list[dict[str, Any]]) -> Assertion:
    roles = {row["credential"]: row["role"] for row in expected["ordinary_credentials"]}
    accused = sorted(
        {
            f"{roles[unit]} ({finding['technique']})"
            for finding in findings
            if finding["tier"] in ("A", "B")
            for unit in [finding["unit"], *finding["members"]]
            if unit in roles
        }
    )
    return Assertion(
        "ordinary clients",
        f"none of {len(roles)} at tier A or B",
        ", ".join(accused) or "none flagged",
        not accused,
    )


def _leaks(expected: dict[str, Any], exposures: list[dict[str, Any]]) -> list[Assertion]:
    counted: dict[tuple[str, str, int], list[tuple[int, int]]] = {}
    for row in exposures:
        if row["provenance"] == "memorised" and row["doc_id"]:
            key = (row["request_id"], row["doc_id"], row["choice"])
            counted.setdefault(key, []).append((row["response_start"], row["response_end"]))

    def overlap(truth: dict[str, Any]) -> bool:
        spans = counted.get((truth["request_id"], truth["doc_id"], truth["choice"]), [])
        return any(a < truth["response_end"] and truth["response_start"] < b for a, b in spans)

    found = sum(map(overlap, expected["leaks"]))
    short = sum(map(overlap, expected["short_leaks"]))
    echoes = sum(map(overlap, expected["echoes"]))
    total = len(expected["leaks"])
    return [
        Assertion("verbatim leaks", f"all {total} found", f"{found} found", found == total),
        Assertion(
            "short verbatim leaks",
            f"at least 95 % of {len(expected['short_leaks'])} found",
            f"{short} found",
            short >= 0.95 * len(expected["short_leaks"]),
        ),
        Assertion(
            "echoes",
            f"none of {len(expected['echoes'])} counted as memorised",
            f"{echoes} counted",
            echoes == 0,
        ),
    ]


def _subjects(expected: dict[str, Any], subjects: list[dict[str, Any]]) -> list[Assertion]:
    person = {}
    for group in expected["same_person"]:
        for subject in group:
            person[subject] = group[0]

    def one(subject: str) -> str:
        return str(person.get(subject, subject))

    truth = {one(s) for s in expected["subjects_confirmed"]}
    weaker = {one(s) for s in expected["subjects_weaker_only"]}
    rows = [row for row in subjects if row["status"] == "confirmed"]
    found = {one(row["subject_id"]) for row in rows if row["subject_id"]}
    recall = len(found & truth) / len(truth)
    precision = len(found & (truth | weaker)) / len(rows) if rows else 0.0
    return [
        Assertion(
            "people recalled",
            f">= {SUBJECT_TARGET:.2f}",
            f"{recall:.3f} ({len(found & truth)} of {len(truth)})",
            recall >= SUBJECT_TARGET,
        ),
        Assertion(
            "people precise",
            f">= {SUBJECT_TARGET:.2f}",
            f"{precision:.3f} of {len(rows)} confirmed",
            precision >= SUBJECT_TARGET,
        ),
    ]
