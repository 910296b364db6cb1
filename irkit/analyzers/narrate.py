"""Sentences about findings that a lawyer can read; no prompt, response or exposed value in them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from irkit.errors import UsageError
from irkit.model import PKind, Technique, Tier

if TYPE_CHECKING:
    from irkit.case import Case

_TECHNIQUE = {
    Technique.MEMBERSHIP_INFERENCE: "finding out which records the model was trained on "
    "(membership inference)",
    Technique.TRAINING_DATA_EXTRACTION: "making the model emit its training data "
    "(training-data extraction)",
    Technique.DATA_RECONSTRUCTION: "reconstructing training data from scores or updates "
    "(data reconstruction)",
    Technique.ATTRIBUTE_INFERENCE: "guessing a sensitive attribute of known people "
    "(attribute inference)",
    Technique.PROPERTY_INFERENCE: "learning statistics of the training data as a whole "
    "(property inference)",
    Technique.MODEL_EXTRACTION: "copying the model or its output layer (model extraction)",
}

_TIER = {
    Tier.A: "the strongest grade: a pattern that ordinary use does not produce, or overwhelming "
    "evidence",
    Tier.B: "within the error rate per actor, and selected among all tested actors with a "
    "controlled share of false discoveries",
    Tier.C: "unusual, but not within both the error rate per actor and the share of false "
    "discoveries",
    Tier.D: "descriptive only",
}


_NUMBER = re.compile(r"\d+")


def number(p: float | None) -> str:
    """Word a p-value: '1 in 3,001'."""
    if p is None or p <= 0:
        return "not given"
    return f"1 in {round(1 / p):,}" if p < 0.1 else f"{p:.2f}"


def detector_sentence(title: str, score: float, p: float | None, size: int, level: str) -> str:
    """Say what one detector saw on one actor."""
    if p is None:
        return f"{title}: statistic {score:.3g}; rank only, no p-value."
    return (
        f"{title}: statistic {score:.3g}; an ordinary actor reaches this in {number(p)}"
        f" (compared with {size:,} ordinary actors, {level})."
    )


def finding_sentence(
    technique: Technique,
    queries: int,
    detectors: list[str],
    p: float | None,
    signature: str,
    runner_up: str | None,
) -> str:
    """Summarise a finding in one sentence."""
    seen = "; ".join(detectors) if detectors else "combined evidence"
    words = f"{queries:,} queries point to {_TECHNIQUE[technique]}: {seen}."
    if signature:
        words += f" Certain pattern: {signature}."
    elif p is not None:
        words += f" As ordinary as this or more: {number(p)}."
    if runner_up:
        words += f" Not clearly apart from {runner_up.replace('_', ' ')}."
    return words


def explain(case: Case, finding_id: str) -> list[str]:
    """Explain a finding: which queries, compared with whom, how surprising, what else it could be.

    Raises:
        UsageError: no such finding.
    """
    columns = (
        "unit_kind, unit, members, technique, runner_up, tier, p_value, p_kind, q_value, onset,"
        " onset_low, onset_high, first_seen, last_seen, queries,"
        " len(evidence_record_ids) AS shown"
    )
    found = case.frame(f"SELECT {columns} FROM finding WHERE finding_id = ?", [finding_id])
    if not len(found):
        raise UsageError(f"no finding {finding_id!r}", "see: irkit export CASE --out DIR")
    row = found.row(0, named=True)
    if str(row["unit"]).startswith("gradient:"):
        from irkit.analyzers.d14_gradient_artifact_leakage import explain as of_artifact

        return of_artifact(case, finding_id)
    facts = {
        key: json.loads(value)
        for key, value in case.rows("SELECT key, value FROM calibration ORDER BY key")
    }
    technique = Technique(row["technique"])
    kind = str(row["unit_kind"]).replace("_", " ")
    who = f"this {kind}"
    out = [
        f"What: {row['queries']:,} queries of {who} between {_at(row['first_seen'])} and"
        f" {_at(row['last_seen'])} point to {_TECHNIQUE[technique]}."
    ]
    if row["members"]:
        out.append(f"The campaign links {len(row['members'])} credentials.")
    out += _which(case, row, finding_id)
    if row["onset"] is not None:
        out.append(
            f"When: the behaviour is estimated to begin at {_at(row['onset'])}, and not before"
            f" {_at(row['onset_low'])} nor after {_at(row['onset_high'])} (maximum likelihood over"
            " the order of the queries)."
        )
    out += _compared(case, row, facts)
    out += _surprise(row, facts)
    out += _otherwise(case, row)
    out.append(
        "What this does not say: it is a statement about behaviour. Whether training data came"
        " out, and whose, is established separately by comparing the responses with the training"
        " corpus."
    )
    return out


def _which(case: Case, row: dict[str, Any], finding_id: str) -> list[str]:
    reasons = case.rows(
        "SELECT q.reason FROM query_evidence q JOIN"
        " (SELECT unnest(evidence_record_ids) AS record_id FROM finding WHERE finding_id = ?) e"
        " USING (record_id) WHERE q.reason <> '' ORDER BY q.reason",
        [finding_id],
    )
    alike: dict[str, list[list[int]]] = {}
    for (reason,) in reasons:
        form = _NUMBER.sub("#", reason)
        alike.setdefault(form, []).append([int(n) for n in _NUMBER.findall(reason)])
    if not alike:
        return []
    ordered = sorted(alike.items(), key=lambda item: (-len(item[1]), item[0]))[:6]
    listed = "; ".join(f"{len(found)} of them: {_ranged(form, found)}" for form, found in ordered)
    return [
        f"Which queries: the {row['shown']} most telling ones are listed as evidence; {listed}."
    ]


def _ranged(form: str, numbers: list[list[int]]) -> str:
    """Put the range of each number back into a form of words."""
    columns = iter(zip(*numbers, strict=True))

    def put(_: re.Match[str]) -> str:
        column = next(columns)
        low, high = min(column), max(column)
        return f"{low}" if low == high else f"{low} to {high}"

    return re.sub("#", put, form)


def _compared(case: Case, row: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    made = facts.get("baseline", {})
    whom = (
        "simulated ordinary actors that irkit carries (not this service's own traffic)"
        if made.get("kind") == "generic"
        else "ordinary actors from clean logs given for calibration"
    )
    used = case.rows(
        "SELECT max(calib_n), any_value(calib_level ORDER BY detector) FROM detector_result"
        " WHERE unit_kind = ? AND unit = ? AND calib_n > 0",
        [row["unit_kind"], row["unit"]],
    )
    size, level = used[0]
    if not size:
        return ["Compared with: nobody; too little ordinary traffic was available."]
    return [f"Compared with: {size:,} {whom}, {level}."]


def _surprise(row: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    tier = Tier(row["tier"])
    out = []
    kind = PKind(row["p_kind"])
    if kind is PKind.SIGNATURE:
        shown = facts.get("signatures", {}).get(str(row["technique"]), [])
        for one in shown:
            bound = 3 / one["n"] if one["n"] and not one["hits"] else None
            words = f"{one['hits']} of {one['n']:,} ordinary actors showed it"
            if bound:
                words += f"; with 95 % confidence its rate among them is below {bound:.2%}"
            out.append(f"Certain pattern, {one['title']}: {words}.")
    if kind is PKind.RANK_ONLY:
        out.append(
            "How surprising: rank only, no promise; too few ordinary actors are available for a"
            " p-value at the error rate that was asked for."
        )
    elif row["p_value"] is not None:
        out.append(
            f"How surprising: an ordinary actor looks like this or stronger in"
            f" {number(row['p_value'])}; after accounting for all"
            f" {facts.get('family', {}).get('units', 0):,} actors tested, q = {row['q_value']:.2g}."
        )
    out.append(f"Grade {tier.value}: {_TIER[tier]}.")
    promise = facts.get("promise", {}).get("text")
    if promise:
        out.append(f"Promise: {promise}")
    return out


def _otherwise(case: Case, row: dict[str, Any]) -> list[str]:
    from irkit.analyzers.registry import load_detectors

    found = {
        name
        for (name,) in case.rows(
            "SELECT detector FROM detector_result WHERE unit_kind = ? AND unit = ?"
            " AND (status = 'FOUND' OR p_value < 0.05)",
            [row["unit_kind"], row["unit"]],
        )
    }
    causes = [
        cause
        for detector in load_detectors().detectors.values()
        if detector.spec.name in found
        for cause in detector.spec.known_false_positives
    ]
    out = []
    if row["runner_up"]:
        other = Technique(row["runner_up"])
        out.append(f"The evidence does not clearly separate this from {_TECHNIQUE[other]}.")
    if causes:
        out.append("What else could explain it: " + "; ".join(dict.fromkeys(causes)) + ".")
    out.append(
        "An authorised test (red team, audit, evaluation) looks the same in a log; ask before"
        " concluding."
    )
    return out


def _at(when: Any) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when is not None else "an unlogged time"
