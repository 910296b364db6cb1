"""Facts that irkit can answer from the case, so that a person writes only what people know.

Awareness and risk are never answered, only proposed: they are decisions (GDPR Art. 33(1)).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from irkit.errors import StorageError, UsageError
from irkit.model import TECHNIQUE_TAGS, Count, Technique
from irkit.playbook import exposed
from irkit.playbook.authorities import authorities
from irkit.playbook.facts import Facts, Measure, Value
from irkit.playbook.facts_toml import dump_facts, read_facts
from irkit.playbook.fields import HARMS
from irkit.playbook.severity import data_category

if TYPE_CHECKING:
    from irkit.case import Case

#: Where a case keeps what people wrote.
SAVED = "facts.toml"

TECHNIQUE_WORDS = {
    Technique.MEMBERSHIP_INFERENCE: "testing whether given records were in the training data",
    Technique.TRAINING_DATA_EXTRACTION: "making the model repeat passages of its training data",
    Technique.DATA_RECONSTRUCTION: "rebuilding training records from many answers",
    Technique.ATTRIBUTE_INFERENCE: "guessing attributes of people from the model's answers",
    Technique.PROPERTY_INFERENCE: "learning properties of the training data as a whole",
    Technique.MODEL_EXTRACTION: "copying the model through its answers",
}

KIND_WORDS = {
    "simple": "basic identification, contact and personal details",
    "behavioural": "behaviour, location and online identifiers",
    "financial": "financial and payment data",
    "sensitive": "special categories: health and similar data",
}


def facts_of_case(case: Case) -> Facts:
    """Answer every field that the case can answer, and propose awareness and risk."""
    found = exposed.window(case)
    values: dict[str, Value] = {
        "breach.title": case.title,
        "notification.language": "en-GB",
        "notification.marking": "CONFIDENTIAL - contains no exposed values",
    }
    opened = case.meta("created_at")
    if opened:
        values["timeline.first_signal_at"] = datetime.fromisoformat(opened)
        values["timeline.first_signal"] = "case opened in irkit (correct it if noticed earlier)"
    values |= _people(case)
    values |= _system(case)
    values |= _measures(case)
    kinds = exposed.kinds(case)
    special = bool(case.rows("SELECT 1 FROM subject WHERE special_category LIMIT 1"))
    if found.exposures:
        values |= _exposure(case, found, kinds, special)
    proposals: dict[str, Value] = {}
    aware = proposed_awareness(case)
    if aware is not None:
        proposals["timeline.awareness_at"] = aware[0]
        values["timeline.awareness_basis"] = aware[1]
    return Facts.of(values, "irkit", proposals)


def proposed_awareness(case: Case) -> tuple[datetime, str] | None:
    """Propose when it became reasonably certain that personal data was compromised.

    EDPB Guidelines 9/2022: aware means a reasonable degree of certainty.  The natural trigger is
    the first response that a person confirmed to hold a real person's data; without a review it
    is the moment at which the scope stage first showed exposures verified against the corpus.
    """
    reviewed = case.rows(
        "SELECT min(reviewed_at), count(DISTINCT exposure_id) FROM review"
        " WHERE verdict LIKE 'confirm%'"
    )[0]
    at = exposed.utc(reviewed[0])
    if at is not None:
        return at, "a reviewer confirmed that a response contains data of a real person"
    if not exposed.window(case).exposures:
        return None
    done = case.rows("SELECT min(finished_at) FROM stage_progress WHERE stage = 'scope'")
    at = exposed.utc(done[0][0]) if done else None
    return (
        at or case.clock().astimezone(UTC),
        "passages in responses were verified against the preserved training corpus",
    )


def _exposure(
    case: Case, found: exposed.Window, kinds: Mapping[str, int], special: bool
) -> dict[str, Value]:
    findings = exposed.findings(case)
    techniques = sorted({f.technique for f in findings})
    words = [TECHNIQUE_WORDS[Technique(t)] for t in techniques if t in set(Technique)]
    atlas = {tag for t in techniques if t in set(Technique) for tag in _atlas(t)}
    how = "; ".join(words) or "queries to the model's inference interface"
    values: dict[str, Value] = {
        "breach.cia": ("confidentiality",),
        "breach.cause": (
            "external: queries to the inference interface made the model emit training data"
            if findings
            else "the model emitted training data; no actor is flagged with confidence so far"
        ),
        "breach.vector": f"through the model's inference interface: {how}",
        "breach.atlas": tuple(sorted(atlas | {"AML.T0024", "AML.T0057"})),
        "data.categories": tuple(category_words(kinds)),
        "consequences.harms": tuple(harms(kinds, special)),
        "recipients.accounts": tuple(
            f"{who} ({number} exposing requests)" for who, number, _ in exposed.recipients(case)
        ),
        "recipients.known": "unknown",
        "recipients.whereabouts": (
            f"in responses delivered to {plural(found.credentials, 'account')} from "
            f"{plural(found.addresses, 'network address')}; whether copies were passed on is not "
            "known"
        ),
        "data.protection": "none effective: the responses left the endpoint in clear text",
        "subjects.categories": ("people described in the training corpus",),
        "communication.advice": tuple(advice(kinds)),
    }
    if special:
        values["data.special"] = ("special-category data is among the exposed records",)
    if found.first and found.last:
        values["timeline.started_at"] = found.first
        values["timeline.ended_at"] = found.last
    values["breach.narrative"] = _narrative(
        case, found, len({f.unit for f in exposed.actors(findings)})
    )
    return values


def _narrative(case: Case, found: exposed.Window, actors: int) -> str:
    people = exposed.people(case)
    when = ""
    if found.first and found.last:
        when = f"Between {found.first:%Y-%m-%d %H:%M} and {found.last:%Y-%m-%d %H:%M} UTC, "
    who = (
        f"{people.min} to {people.max} people (best estimate {people.best})"
        if people
        else "people not yet counted"
    )
    flagged = (
        f" {plural(actors, 'actor')} showed the behaviour of extraction attacks." if actors else ""
    )
    return (
        f"{when}{plural(found.requests, 'response')} of an AI model contained passages of its "
        f"training data, taken from {plural(found.documents, 'training record')} and relating to "
        f"{who}. The responses went to {plural(found.credentials, 'account')} from "
        f"{plural(found.addresses, 'network address')}.{flagged}"
    )


def plural(number: int, word: str) -> str:
    """A number with its noun."""
    if number == 1:
        return f"1 {word}"
    return f"{number:,} {word}{'es' if word.endswith('s') else 's'}".replace(",", "\u202f")


def _people(case: Case) -> dict[str, Value]:
    values: dict[str, Value] = {}
    people, records = exposed.people(case), exposed.records(case)
    if people is not None:
        values["subjects.count"] = _ordered(people)
    if records is not None:
        values["data.records"] = _ordered(records)
    countries = exposed.countries(case)
    if countries:
        values["subjects.by_country"] = countries
    row = case.rows(
        "SELECT count(*) FILTER (WHERE child), count(*) FILTER (WHERE child IS NULL), count(*)"
        " FROM subject WHERE status IN ('confirmed', 'probable')"
    )[0]
    if row[2]:
        values["subjects.children"] = "yes" if row[0] else ("unknown" if row[1] else "no")
    return values


def _ordered(count: Count) -> Count:
    """A count with min <= best <= max, whatever the stage wrote."""
    best = max(count.min, count.best)
    return replace(count, best=best, max=max(best, count.max))


def _system(case: Case) -> dict[str, Value]:
    values: dict[str, Value] = {}
    models = exposed.models(case)
    for key, name in (
        ("system.model", "model"), ("system.version", "version"), ("system.endpoint", "endpoint"),
    ):  # fmt: skip
        joined = ", ".join(sorted({m[name] for m in models if m[name]}))
        if joined:
            values[key] = joined
    row = case.rows("SELECT count(*), count(DISTINCT source) FROM corpus_doc")[0]
    if row[0]:
        values["system.training_data_ref"] = (
            f"{int(row[0])} documents in {int(row[1])} preserved corpus files"
        )
    return values


def _measures(case: Case) -> dict[str, Value]:
    """Decisions of the playbook as measures; untaken containment stays a proposal."""
    rows = case.rows(
        "SELECT step_id, state, coalesce(decision, ''), coalesce(owner, ''), changed_at"
        " FROM step_state ORDER BY changed_at, step_id"
    )
    lists: dict[str, list[Measure]] = {"contain": [], "remediate": []}
    for step_id, state, decision, owner, at in rows:
        phase = str(step_id).split(".")[0]
        if phase in lists and state in ("done", "in_progress") and decision:
            lists[phase].append(
                Measure(
                    str(decision),
                    "done" if state == "done" else "in progress",
                    exposed.utc(at),
                    str(owner),
                    f"playbook step {step_id}",
                )
            )
    values: dict[str, Value] = {}
    exposures = bool(case.rows("SELECT 1 FROM exposure LIMIT 1"))
    if not lists["contain"] and exposures:
        lists["contain"] = [
            Measure("revoke the credentials that received exposed data", "proposed"),
            Measure("switch off token probabilities and echo, limit repetition", "proposed"),
            Measure("filter answers against hashed passages of the exposed records", "proposed"),
        ]
    if not lists["remediate"] and exposures:
        lists["remediate"] = [
            Measure("remove or unlearn the exposed records and retest extraction", "proposed")
        ]
    if lists["contain"]:
        values["measures.containment"] = tuple(lists["contain"])
    if lists["remediate"]:
        values["measures.prevention"] = tuple(lists["remediate"])
    done = {str(step) for step, state, *_ in rows if state == "done"}
    if "contain.verify" in done:
        values["timeline.ongoing"] = "no"
        contained = next(at for step, _, _, _, at in rows if step == "contain.verify")
        values["timeline.contained_at"] = exposed.utc(contained) or case.clock()
    elif exposures:
        values["timeline.ongoing"] = "unknown"
    return values


def _atlas(technique: str) -> Collection[str]:
    return TECHNIQUE_TAGS[Technique(technique)].atlas


def category_words(kinds: Mapping[str, int]) -> list[str]:
    """Categories of personal data in a form's words, with the kinds found in each."""
    groups: dict[str, list[str]] = {}
    for kind in kinds:
        groups.setdefault(data_category(kind)[0], []).append(kind.replace("_", " ").lower())
    order = ("simple", "behavioural", "financial", "sensitive")
    return [f"{KIND_WORDS[g]} ({', '.join(sorted(set(groups[g])))})" for g in order if g in groups]


def harms(kinds: Collection[str], special: bool) -> list[str]:
    """Likely consequences in the words of recitals 75 and 85, from the kinds of data."""
    categories = {data_category(kind)[0] for kind in kinds}
    words = " ".join(kinds).lower()
    chosen = ["loss_of_control"]
    if special or "sensitive" in categories:
        chosen += ["discrimination", "professional_secrecy"]
    if "financial" in categories or any(w in words for w in ("birth", "passport", "ssn", "_id")):
        chosen.append("identity_theft")
    if "financial" in categories:
        chosen.append("financial_loss")
    if special or "sensitive" in categories or "behavioural" in categories:
        chosen.append("reputation")
    return [text for key, text in HARMS.items() if key in chosen]


def advice(kinds: Collection[str]) -> list[str]:
    """What people can do themselves, by the kinds of data that came out (Art. 34(2))."""
    words = " ".join(kinds).lower()
    categories = {data_category(kind)[0] for kind in kinds}
    tips = ["Be careful with unexpected calls, letters or e-mails that mention details about you."]
    if "email" in words or "phone" in words:
        tips.append("Do not open links or attachments in messages that you did not expect.")
    if "financial" in categories:
        tips.append("Check your bank statements and report payments that you did not make.")
    if any(w in words for w in ("password", "secret", "api_key", "token", "credential")):
        tips.append("Change passwords and keys that you stored with us or used elsewhere.")
    if any(w in words for w in ("passport", "ssn", "national_id", "id_card", "birth")):
        tips.append("Watch for contracts or accounts opened in your name.")
    return tips


# -- what people saved --------------------------------------------------------------------------


def completed(facts: Facts) -> Facts:
    """Add what follows from other facts: the zone of the country, who decided the risk."""
    country = facts.text("controller.country").upper()
    if not facts.has("controller.zone") and country in authorities():
        facts = facts.with_value("controller.zone", authorities()[country].zone, "irkit")
    if not facts.has("risk.decided_by") and facts.has("risk.level"):
        for signature in facts.signatures():
            if signature.role == "decision" and signature.name:
                facts = facts.with_value("risk.decided_by", signature.name, "irkit")
    return facts


def with_saved(case: Case) -> Facts:
    """What the case answers, with what people saved in it laid over."""
    base = facts_of_case(case)
    path = case.path / SAVED
    if path.is_file():
        base = read_facts(path).over(base)
    return completed(base)


def save_facts(case: Case, facts: Facts, *, reason: str = "") -> Path:
    """Keep what people wrote in the case, and record it in the custody log.

    Only values whose source is a person are written.  A confirmed awareness is never silently
    replaced: the old value stays in the case's history with who changed it and why.

    Raises:
        UsageError: a confirmed awareness changes and no reason is given.
        StorageError: the case directory cannot be written.
    """
    path = case.path / SAVED
    old = read_facts(path) if path.is_file() else Facts()
    before, after = old.instant("timeline.awareness_at"), facts.instant("timeline.awareness_at")
    yours = Facts.of({k: v for k, v in facts.values.items() if facts.sources.get(k) == "you"})
    if before is not None and before != after:
        if not reason.strip():
            raise UsageError(
                "the confirmed time of awareness changes, and no reason is given",
                "say why: authorities look at exactly this change",
            )
        history = awareness_history(case)
        history.append(
            {
                "was": before.isoformat(),
                "is": after.isoformat() if after else "not confirmed",
                "reason": reason,
                "at": case.clock().isoformat(timespec="seconds"),
            }
        )
        case.set_meta("awareness_history", json.dumps(history, sort_keys=True))
    changed = sorted(
        key for key in {*old.values, *yours.values} if old.values.get(key) != yours.values.get(key)
    )
    try:
        path.write_text(dump_facts(yours), "utf-8")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from error
    case.custody.append("facts", changed=changed, reason=reason)
    return path


def awareness_history(case: Case) -> list[dict[str, str]]:
    """Earlier confirmed times of awareness, oldest first."""
    history: list[dict[str, str]] = json.loads(case.meta("awareness_history", "[]"))
    return history
