"""A finding in sentences a lawyer can read; no prompt, response or exposed value in them.

Which queries (by request id), compared with whom, how surprising, what else could explain it and
what the checks say to that, and what would change the result.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irkit.analyzers import membership_harm
from irkit.analyzers.calibrate import GPD_LEAST, PRIOR, posterior_bound
from irkit.analyzers.narrate import TECHNIQUE_WORDS, TIER_WORDS, number
from irkit.errors import UsageError
from irkit.model import PKind, Technique, Tier

if TYPE_CHECKING:
    from irkit.analyzers.registry import DetectorSpec
    from irkit.case import Case

_NUMBER = re.compile(r"\d+")
#: Request ids named per kind of evidence, and kinds of evidence.
_IDS, _FORMS = 3, 6
#: Stretches of activity named.
_STRETCHES = 5
_COLUMNS = (
    "finding_id, unit_kind, unit, members, technique, runner_up, tier, p_value, p_kind, q_value,"
    " onset, onset_low, onset_high, first_seen, last_seen, end_low, end_high, queries, pattern,"
    " pattern_at, dilution, stretches, also, by_e_values, tail_p,"
    " len(evidence_record_ids) AS shown"
)


@dataclass(frozen=True, slots=True)
class _Part:
    """One detector's part in a finding."""

    spec: DetectorSpec
    decides: bool
    summary: str
    p: float | None
    size: int
    level: str


def explain(case: Case, finding_id: str, *, prior: float = PRIOR) -> list[str]:
    """Explain a finding.

    Args:
        case: the case.
        finding_id: which finding.
        prior: share of actors taken for attackers beforehand, for the bound on the posterior.

    Raises:
        UsageError: no such finding.
    """
    found = case.frame(f"SELECT {_COLUMNS} FROM finding WHERE finding_id = ?", [finding_id])
    if not len(found):
        raise UsageError(f"no finding {finding_id!r}", "see: irkit actors CASE --json")
    row = found.row(0, named=True)
    if str(row["unit"]).startswith("gradient:"):
        from irkit.analyzers.d14_gradient_artifact_leakage import explain as of_artifact

        return of_artifact(case, finding_id)
    facts = {
        key: json.loads(value)
        for key, value in case.rows("SELECT key, value FROM calibration ORDER BY key")
    }
    parts = _parts(case, row)
    return [
        *_what(row),
        *_which(case, row),
        *_when(row),
        *_showed(row, facts, parts),
        *_learned(case, finding_id),
        *_compared(case, row, facts),
        *_surprise(row, facts, prior),
        *_grade(row, facts),
        *_otherwise(case, row, parts),
        *_change(row, facts, parts),
        "What this does not say: it is a statement about behaviour. Whether training data came"
        " out, and whose, is established separately by comparing the responses with the training"
        " corpus.",
    ]


def _learned(case: Case, finding_id: str) -> list[str]:
    """Say what membership inference could learn, where the finding is one of it."""
    detail = membership_harm.details(case).get(finding_id)
    return membership_harm.explain(detail) if detail is not None else []


def _parts(case: Case, row: dict[str, Any]) -> list[_Part]:
    """Return what the detectors with a say in the technique found, deciding ones first."""
    from irkit.analyzers.registry import load_detectors

    technique = Technique(row["technique"])
    results = {
        name: (status, summary, p, size, level)
        for name, status, summary, p, size, level in case.rows(
            "SELECT detector, status, summary, p_value, calib_n, calib_level FROM detector_result"
            " WHERE unit_kind = ? AND unit = ? ORDER BY detector",
            [row["unit_kind"], row["unit"]],
        )
    }
    out = []
    for detector in load_detectors().detectors.values():
        spec = detector.spec
        status, summary, p, size, level = results.get(spec.name, ("", "", None, 0, ""))
        speaks = [s for s in spec.statistics if s.weights.get(technique, 0) > 0]
        signed = any(s.title == row["pattern"] for s in spec.signatures)
        if not signed and (not speaks or status != "FOUND"):
            continue
        decides = signed or any(not s.supporting for s in speaks)
        out.append(_Part(spec, decides, summary or "", p, size or 0, level or ""))
    return sorted(out, key=lambda part: (not part.decides, part.p if part.p is not None else 2.0))


def _what(row: dict[str, Any]) -> list[str]:
    who = _who(row)
    end = f" and ends at {_at(row['last_seen'])}" if row["last_seen"] else ""
    out = [
        f"What: {who} made {row['queries']:,} queries, the first at {_at(row['first_seen'])};"
        f" among them are queries that point to {TECHNIQUE_WORDS[Technique(row['technique'])]}."
        f" The behaviour begins at {_at(row['onset'])}{end}."
    ]
    if row["members"]:
        out.append(
            f"The campaign links {len(row['members'])} actors through wording, settings and"
            " clients that their unusual queries share; it was tested again as a whole against"
            " random unions of ordinary actors of the same size."
        )
    if row["runner_up"]:
        out.append(
            "Technique: the evidence does not separate this from"
            f" {TECHNIQUE_WORDS[Technique(row['runner_up'])]} by the factor of ten that naming one"
            " alone takes; both are named."
        )
    if row["also"]:
        listed = "; ".join(TECHNIQUE_WORDS[Technique(name)] for name in sorted(row["also"]))
        out.append(f"Also within the share of false discoveries inside this actor: {listed}.")
    return out


def _which(case: Case, row: dict[str, Any]) -> list[str]:
    reasons = case.rows(
        "SELECT q.reason, e.request_id FROM query_evidence q JOIN (SELECT"
        " unnest(evidence_record_ids) AS record_id, unnest(evidence_request_ids) AS request_id"
        " FROM finding WHERE finding_id = ?) e USING (record_id) JOIN query_record r"
        " USING (record_id) WHERE q.reason <> ''"
        " ORDER BY r.event_time NULLS LAST, e.request_id NULLS LAST, q.reason",
        [row["finding_id"]],
    )
    alike: dict[str, list[tuple[list[int], str | None]]] = {}
    for reason, request in reasons:
        form = _NUMBER.sub("#", reason)
        alike.setdefault(form, []).append(([int(n) for n in _NUMBER.findall(reason)], request))
    out = [
        f"Which queries: the {row['shown']} most telling of them are listed by request id in"
        " findings.jsonl (evidence_request_ids)."
    ]
    ordered = sorted(alike.items(), key=lambda item: (-len(item[1]), item[0]))[:_FORMS]
    for form, found in ordered:
        ids = [_plain(request) for _, request in found if request][:_IDS]
        listed = f" (the first: {', '.join(ids)})" if ids else " (logged without request ids)"
        words = _ranged(form, [numbers for numbers, _ in found])
        out.append(f"  {len(found)} of them: {words}{listed}.")
    return out


def _ranged(form: str, numbers: list[list[int]]) -> str:
    """Put the range of each number back into a form of words."""
    columns = iter(zip(*numbers, strict=True))

    def put(_: re.Match[str]) -> str:
        column = next(columns)
        low, high = min(column), max(column)
        return f"{low}" if low == high else f"{low} to {high}"

    return re.sub("#", put, form)


def _when(row: dict[str, Any]) -> list[str]:
    if row["onset"] is None:
        return ["When: the log holds no times for these queries."]
    out = [
        f"When: the first request of {_who(row)} was at {_at(row['first_seen'])}; the behaviour is"
        f" estimated to begin at {_at(row['onset'])}, not before {_at(row['onset_low'])} nor after"
        f" {_at(row['onset_high'])}, and to end at {_at(row['last_seen'])}, not before"
        f" {_at(row['end_low'])} nor after {_at(row['end_high'])} (maximum likelihood over the"
        " order of the queries)."
    ]
    if row["pattern_at"]:
        out.append(f"  The certain pattern was complete at {_at(row['pattern_at'])}.")
    stretches = json.loads(row["stretches"] or "[]")
    if len(stretches) > 1:
        listed = "; ".join(
            f"{_moment(first)} to {_moment(last)} ({count:,} queries)"
            for first, last, count in stretches[:_STRETCHES]
        )
        more = len(stretches) - _STRETCHES
        out.append(
            f"  It stopped and went on: {len(stretches)} stretches, {listed}"
            + (f", and {more} more." if more > 0 else ".")
        )
    if row["dilution"]:
        out.append(f"  About {row['dilution']:.0%} of the queries in between look ordinary.")
    return out


def _showed(row: dict[str, Any], facts: dict[str, Any], parts: list[_Part]) -> list[str]:
    out = []
    if row["pattern"]:
        counted = [
            one
            for ones in facts.get("signatures", {}).values()
            for one in ones
            if one["title"] == row["pattern"]
        ]
        words = f"Certain pattern: {row['pattern']}."
        for one in counted[:1]:
            words += f" {one['hits']} of {one['n']:,} ordinary actors showed it"
            if one["n"] and not one["hits"]:
                words += f"; with 95 % confidence its rate among them is below {3 / one['n']:.2%}"
            words += "."
        out.append(words)
    out += [
        f"{'Detector' if part.decides else 'Supporting detector'}: {part.summary}"
        for part in parts
        if part.summary and part.p is not None
    ]
    return out


def _compared(case: Case, row: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    made = facts.get("baseline", {})
    generic = made.get("kind") == "generic"
    whom = (
        "simulated ordinary actors that irkit carries (not this service's own traffic)"
        if generic
        else "ordinary actors from clean logs given for calibration"
    )
    size, level = case.rows(
        "SELECT max(calib_n), any_value(calib_level ORDER BY detector) FROM detector_result"
        " WHERE unit_kind = ? AND unit = ? AND calib_n > 0",
        [row["unit_kind"], row["unit"]],
    )[0]
    if not size:
        return ["Compared with: nobody; too little ordinary traffic was available."]
    words = f"Compared with: {size:,} {whom}, {level}"
    if str(level).startswith("all calls"):
        words += "; too few of them make the same kind of call, so all kinds were used"
    return [words + "."]


def _surprise(row: dict[str, Any], facts: dict[str, Any], prior: float) -> list[str]:
    if PKind(row["p_kind"]) is PKind.RANK_ONLY:
        least = facts.get("promise", {}).get("minimum", 0)
        why = (
            "the calibration does not fit this case's ordinary traffic"
            if facts.get("promise", {}).get("valid") is False
            else f"fewer than the {least:,} ordinary actors that a promise takes are available"
        )
        return [f"How surprising: rank only, no promise; {why}."]
    if row["p_value"] is None:
        return []
    family = facts.get("family", {})
    words = (
        f"How surprising: an ordinary actor looks like this or stronger in {number(row['p_value'])}"
    )
    if row["q_value"] is not None:
        words += (
            f"; after accounting for all {family.get('units', 0):,} actors tested,"
            f" q = {row['q_value']:.2g} (the share of false discoveries, Benjamini-Hochberg)"
        )
    out = [f"{words}."]
    bound = posterior_bound(row["p_value"], prior)
    out.append(
        f"  If 1 in {round(1 / prior):,} actors were an attacker, this p-value alone could raise"
        f" that to at most {bound:.0%} (an upper bound after Sellke, Bayarri and Berger; the actual"
        " figure may be anything below, and it is no probability of guilt)."
    )
    out.append(
        "  Under the stricter rule that holds under any dependence between actors (e-values), it"
        f" {'is' if row['by_e_values'] else 'is not'} selected."
    )
    if row["tail_p"] is not None and row["tail_p"] < row["p_value"]:
        out.append(
            f"  Extrapolated beyond the calibration: {number(row['tail_p'])} (generalised Pareto"
            f" tail, only for {GPD_LEAST:,} or more ordinary actors; shown, not used for the"
            " grade, because such tails fire more often than they say)."
        )
    return out


def _grade(row: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    tier = Tier(row["tier"])
    out = [f"Grade {tier.value}: {TIER_WORDS[tier]}."]
    promise = facts.get("promise", {}).get("text")
    return [*out, f"Promise: {promise}"] if promise else out


def _otherwise(case: Case, row: dict[str, Any], parts: list[_Part]) -> list[str]:
    out = ["What else could explain it, and what the checks say to that:"]
    for part in [part for part in parts if part.decides] or parts:
        causes = "; ".join(part.spec.known_false_positives)
        words = f"  {part.spec.title}: {causes}."
        if part.spec.checks:
            words += f" Against it: {'; '.join(part.spec.checks)}."
        if part.p is not None and part.p < 0.1:
            none = part.p * (part.size + 1) < 1.5
            share = "none" if none else f"about {number(part.p)}"
            words += (
                f" Of the {part.size:,} ordinary actors compared with, {share} reaches as much."
            )
        out.append(words)
    if len(out) == 1:
        out = ["What else could explain it: no single detector stands out, only their combination."]
    out.append(_harm(case, row))
    out.append(
        "  An authorised test (red team, audit, evaluation) looks the same in a log; ask before"
        " concluding."
    )
    return out


def _harm(case: Case, row: dict[str, Any]) -> str:
    """Say whether the other ledger agrees: what came out in the queries listed as evidence."""
    leaking, listed = case.rows(
        "SELECT count(DISTINCT x.record_id), count(DISTINCT e.record_id) FROM (SELECT"
        " unnest(evidence_record_ids) AS record_id FROM finding WHERE finding_id = ?) e"
        " LEFT JOIN exposure x ON x.record_id = e.record_id AND x.provenance = 'memorised'",
        [row["finding_id"]],
    )[0]
    if not leaking:
        return (
            f"  None of the {listed} queries listed as evidence got training text back that their"
            " conversation did not hold."
        )
    return (
        f"  {leaking} of the {listed} queries listed as evidence got training text back that their"
        " conversation did not hold."
    )


def _change(row: dict[str, Any], facts: dict[str, Any], parts: list[_Part]) -> list[str]:
    would = []
    if facts.get("baseline", {}).get("kind") == "generic":
        would.append(
            "a calibration on this service's own clean months (irkit baseline), which may make the"
            " finding stronger or weaker"
        )
    if Tier(row["tier"]) is not Tier.A:
        would.append("a larger calibration, with which smaller p-values can exist")
    needs = {need for part in parts for s in part.spec.statistics for need in s.needs}
    if "corpus" in needs:
        would.append("a corpus that turns out to hold the actor's own or public documents")
    if row["runner_up"]:
        would.append("more queries of the same kind, which may settle the technique")
    would.append("a record of an authorised test by this actor")
    return ["What would change this: " + "; ".join(would) + "."]


def _who(row: dict[str, Any]) -> str:
    kind = str(row["unit_kind"]).replace("source_ip", "source IP").replace("_", " ")
    return f"this {kind}"


def _plain(request: str) -> str:
    """Keep hostile request ids on one short line."""
    clean = "".join(c if c.isprintable() else "?" for c in request)
    return clean if len(clean) <= 48 else clean[:45] + "..."


def _at(when: Any) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when is not None else "an unlogged time"


def _moment(text: str | None) -> str:
    return _at(datetime.fromisoformat(text.removesuffix("Z"))) if text else "an unlogged time"
