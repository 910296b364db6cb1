"""The files beside the packet: letter, register entry, form-fill sheet, manifest, schedule."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tomllib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from irkit.packet.model import Packet, Row
from irkit.packet.words import NOT_KNOWN
from irkit.playbook.authorities import authorities
from irkit.playbook.forms import forms
from irkit.playbook.plain import csv_safe, one_line, plain

if TYPE_CHECKING:
    from irkit.case import Case


#: The pseudonymous schedule of the people.
SCHEDULE = "subject_schedule.csv"
#: What was seen of the actors, for those who defend other systems; nothing about the people.
INDICATORS = "indicators.stix.json"


def cells(text: str) -> str:
    """Every distinct cell of a CSV text once: what a scan of a long, repetitive file has to see."""
    return "\n".join(dict.fromkeys(cell for row in csv.reader(io.StringIO(text)) for cell in row))


def annexes(case: Case, packet: Packet, digest: str) -> dict[str, str]:
    """Build every annex as text, by file name."""
    return {
        "letter_art34.md": letter(packet),
        **{f"letter_art34.{code}.md": text for code, text in letters(packet).items()},
        "register_art33_5.json": register(packet, digest),
        "form_fill.md": form_markdown(packet),
        "form_fill.csv": form_csv(packet),
        **{f"form_{code}.md": text for code, text in authority_forms(packet).items()},
        "evidence_manifest.csv": evidence_csv(packet),
        INDICATORS: indicators(case),
        SCHEDULE: schedule(case),
        **({"notice_processor.md": processor_notice(packet)} if _processor(packet) else {}),
        **({"letter_hipaa.md": hipaa_letter(packet)} if _hipaa(packet) else {}),
    }


def _fact(packet: Packet, key: str) -> str:
    return next(str(row["value"]) for row in packet.facts if row["key"] == key)


def _known(packet: Packet, key: str, otherwise: str) -> str:
    value = _fact(packet, key)
    return otherwise if value == NOT_KNOWN else plain(value)


def _banner(packet: Packet) -> str:
    words = []
    if packet.head.synthetic:
        words.append("SYNTHETIC SAMPLE - all people are invented.")
    if packet.head.draft:
        words.append("DRAFT - not signed off.")
    return f"> {' '.join(words)}\n\n" if words else ""


# -- Art. 34 letter -----------------------------------------------------------------------------


def letter(packet: Packet) -> str:
    """Draft of the letter to the people: short sentences, no jargon (Art. 34(2), WP29 WP250).

    The brackets are filled per person from the separate subject schedule, never in this file.
    """
    contact = ", ".join(
        filter(
            None,
            (
                _known(packet, "dpo.name", "[contact name]"),
                _known(packet, "dpo.email", "[contact e-mail]"),
                _known(packet, "dpo.phone", ""),
            ),
        )
    )
    done = packet.summary["done"] or ["[what we have done]"]
    advice = packet.communication["advice"] or ["[what you can do]"]
    harms = _known(packet, "consequences.harms", "[what may happen]")
    lines = [
        f"{_banner(packet)}# Your personal data: what happened and what you can do",
        "",
        "Dear [name],",
        "",
        "some of your personal data came out through one of our computer systems. We are sorry. "
        "This letter says what happened and what you can do.",
        "",
        "## What happened",
        "",
        "We use a computer program that answers questions in writing. It was built with texts that "
        "also held data about people. Between "
        f"{_known(packet, 'timeline.started_at', '[start]')} and "
        f"{_known(packet, 'timeline.ended_at', '[end]')}, somebody asked it questions that made it "
        "repeat parts of these texts. Those parts contained data about you.",
        "",
        "## What data it was",
        "",
        "[kinds of data of this person, from the subject schedule]",
        "",
        "## What may happen",
        "",
        f"The data is now known to someone who should not have it. This can mean: {harms}.",
        "",
        "## What we have done",
        "",
        *[f"- {one_line(text)}" for text in done],
        "",
        "## What you can do",
        "",
        *[f"- {one_line(text)}" for text in advice],
        "",
        "## Whom to ask",
        "",
        f"{contact}. You can also complain to the data protection authority.",
        "",
        f"{_known(packet, 'controller.name', '[name of the organisation]')}",
        "",
        "---",
        "",
        f"Reading level of this draft: {_reading(packet, advice)}. Write in the language the "
        "people use with you. Send it as its own message, not with advertising. For recipients in "
        'California use the title "Notice of Data Breach" and the headings What Happened, What '
        "Information Was Involved, What We Are Doing, What You Can Do, For More Information.",
        "",
    ]
    return "\n".join(lines)


def letters(packet: Packet) -> dict[str, str]:
    """Drafts of the letter in other languages, each marked for a native reader's check.

    Only names, contact and times are filled in: measures, advice and consequences are written in
    the language of the facts, so people translate those parts.
    """
    filled = {
        "start": _known(packet, "timeline.started_at", "[…]"),
        "end": _known(packet, "timeline.ended_at", "[…]"),
        "controller": _known(packet, "controller.name", "[…]"),
        "contact": ", ".join(
            filter(
                None,
                (
                    _known(packet, "dpo.name", "[…]"),
                    _known(packet, "dpo.email", "[…]"),
                    _known(packet, "dpo.phone", ""),
                ),
            )
        ),
    }
    made = {}
    for code, part in tomllib.loads(
        (resources.files("irkit.packet") / "letters.toml").read_text("utf-8")
    ).items():
        body = str(part["body"]).strip()
        for name, value in filled.items():
            body = body.replace("{" + name + "}", value)
        made[code] = f"{_banner(packet)}> {part['check']}\n\n{body}\n"
    return made


def _reading(packet: Packet, advice: Sequence[str]) -> str:
    """Average sentence length of the variable parts: below 20 words reads as plain language."""
    text = " ".join([*map(str, packet.summary["done"]), *advice])
    sentences = [s for s in text.replace("!", ".").split(".") if s.split()]
    words = sum(len(s.split()) for s in sentences)
    average = words / max(len(sentences), 1)
    return f"{average:.0f} words per sentence on average" + (
        "" if average <= 20 else " - shorten the measures and the advice"
    )


def _hipaa(packet: Packet) -> bool:
    return bool(packet.risk["hipaa_applies"] == "yes")


def hipaa_letter(packet: Packet) -> str:
    """Draft of the notice to individuals under HIPAA (45 CFR 164.404(c)(1)(A) to (E), (c)(2)).

    The brackets are filled per person from the separate subject schedule, never in this file.
    """
    contact = [
        _known(packet, "dpo.name", "[contact name]"),
        _known(packet, "dpo.phone", "[toll-free telephone number]"),
        _known(packet, "dpo.email", "[e-mail, web site or postal address]"),
    ]
    done = packet.summary["done"] or ["[what we are doing]"]
    advice = packet.communication["advice"] or ["[what you can do]"]
    lines = [
        f"{_banner(packet)}# Notice about your health information",
        "",
        "Dear [name],",
        "",
        "## What happened",
        "",
        "Between "
        f"{_known(packet, 'timeline.started_at', '[date of the breach]')} and "
        f"{_known(packet, 'timeline.ended_at', '[end]')}, somebody asked a computer program of "
        "ours questions that made it repeat parts of the texts it was built with. Those parts held "
        "information about you. We discovered this on "
        f"{_known(packet, 'clocks.discovered_at', '[date of discovery]')}.",
        "",
        "## What information was involved",
        "",
        "[kinds of information of this person, from the subject schedule]",
        "",
        "## What you can do",
        "",
        *[f"- {one_line(text)}" for text in advice],
        "",
        "## What we are doing",
        "",
        *[f"- {one_line(text)}" for text in done],
        "",
        "## For more information",
        "",
        ", ".join(contact),
        "",
        _known(packet, "controller.name", "[name of the organisation]"),
        "",
        "---",
        "",
        "By first-class mail, or by e-mail where the person agreed to it (45 CFR 164.404(d)), "
        "without unreasonable delay and within 60 days of discovery. Keep it in plain language.",
        "",
    ]
    return "\n".join(lines)


def indicators(case: Case) -> str:
    """STIX 2.1 bundle of the actors, as ``irkit contain`` writes it."""
    from irkit.playbook.stix import bundle

    return json.dumps(bundle(case), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _processor(packet: Packet) -> bool:
    return _fact(packet, "controller.role") == "processor"


def processor_notice(packet: Packet) -> str:
    """Notice of a processor to its controller (Art. 33(2)): same facts, no clock of its own."""
    keys = (
        "breach.narrative", "subjects.count", "data.records", "data.categories",
        "timeline.started_at", "timeline.ended_at", "timeline.ongoing", "system.model",
        "measures.containment", "dpo.name", "dpo.email", "dpo.phone",
    )  # fmt: skip
    labels = {row["key"]: row["label"] for row in packet.facts}
    rows = [f"- **{labels[key]}**: {one_line(_fact(packet, key), 900)}" for key in keys]
    return "\n".join(
        [
            f"{_banner(packet)}# Notice of a personal data breach to the controller (Art. 33(2))",
            "",
            "We process personal data on your behalf and became aware of this breach. You decide "
            "on the notification to the authority; the facts below are what we know now.",
            "",
            *rows,
            "",
        ]
    )


# -- Art. 33(5) register ------------------------------------------------------------------------


def register(packet: Packet, digest: str) -> str:
    """Register entry: facts, effects, remedial action, and the decision with its reasons."""
    duty = {o["rule"]: o for o in packet.obligations}
    entry: Row = {
        "case": packet.head.case_title,
        "controller": packet.head.controller,
        "decision": {
            "authority": duty.get("gdpr-33-1", {}).get("applies", "unknown"),
            "authority_reason": duty.get("gdpr-33-1", {}).get("reason", ""),
            "decided_by": packet.risk["decided_by"],
            "people": duty.get("gdpr-34-1", {}).get("applies", "unknown"),
            "people_reason": duty.get("gdpr-34-1", {}).get("reason", ""),
            "risk": packet.risk["level"],
            "risk_reasons": packet.risk["reasons"],
        },
        "effects": {
            "categories": _fact(packet, "data.categories"),
            "consequences": _fact(packet, "consequences.harms"),
            "people": packet.summary["people"],
            "records": packet.summary["records"],
            "severity_enisa": packet.summary["severity"],
        },
        "facts": {
            "awareness": packet.summary["awareness"],
            "cause": packet.summary["cause"],
            "what": packet.summary["what"],
            "when": packet.summary["when"],
        },
        "packet": {
            "number": packet.head.number,
            "phase": packet.head.phase,
            "sha256": digest,
        },
        "remedial_action": packet.measures,
        "schema": "irkit-register",
        "synthetic": packet.head.synthetic,
        "written_at": packet.head.built_at,
    }
    return (
        json.dumps(_safe(entry), sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)
        + "\n"
    )


def _safe(value: object) -> object:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {key: _safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(item) for item in value]
    return value


# -- form-fill sheet ----------------------------------------------------------------------------


def form_markdown(packet: Packet) -> str:
    """Every field with value, source and hints, in the order of authorities' forms."""
    lines = [
        f"{_banner(packet)}# Form-fill sheet: {one_line(packet.head.case_title)}",
        "",
        f"Phase {packet.head.phase}, packet {packet.head.number:03d}. Most authorities take a web "
        "form: copy the values. Do not add names or data of the people concerned.",
        "",
    ]
    for target in packet.addressees:
        lines += [
            f"- **{one_line(target['short'])}** ({target['role']}): {one_line(target['page'])} "
            f"(verify before use; checked {target['checked_on']})",
            *[f"  - {one_line(hint)}" for hint in target["form"]],
        ]
    if not packet.addressees:
        lines.append("- authority not yet known: set controller.country")
    part = ""
    for row in packet.facts:
        if row["part"] != part:
            part = row["part"]
            lines += ["", f"## {part}", "", "| Field | Value | Source | Key |", "|---|---|---|---|"]
        value = one_line(row["value"], 1200)
        need = f" *(needed: {row['needed']})*" if row["needed"] and not row["known"] else ""
        source = {"irkit": "case", "you": "people"}.get(row["source"], "-")
        lines.append(f"| {row['label']} | {value}{need} | {source} | `{row['key']}` |")
    band = packet.risk["scales"]
    if band:
        lines += ["", "Severity in forms' own scales: " + "; ".join(f"{k}: {v}" for k, v in
                                                                    band.items())]  # fmt: skip
    return "\n".join(lines) + "\n"


def authority_forms(packet: Packet) -> dict[str, str]:
    """A sheet per addressed authority, in the order of its own form where that is known."""
    rows = {row["key"]: row for row in packet.facts}
    made = {}
    for target in packet.addressees:
        form = forms().get(target["country"])
        if form is None:
            continue
        lines = [
            f"{_banner(packet)}# {form.name} ({one_line(target['short'])})",
            "",
            f"Order of the form as known on {form.checked_on.isoformat()} (certainty: "
            f"{form.certainty}); look at the form itself. Severity on authorities' scales: "
            + (
                "; ".join(f"{k}: {v}" for k, v in packet.risk["scales"].items())
                or "not computed yet"
            ),
            "",
            *[f"- {hint}" for hint in form.hints],
        ]
        for title, keys in form.parts:
            lines += ["", f"## {title}", ""]
            lines += [
                f"- **{rows[key]['label']}**: {one_line(rows[key]['value'], 1200)} (`{key}`)"
                for key in keys
            ]
        made[target["country"]] = "\n".join(lines) + "\n"
    return made


def form_csv(packet: Packet) -> str:
    """The same sheet as CSV; cells that a spreadsheet would run as formulas are quoted."""
    hints = {a.country: a for a in authorities().values()}
    rows = [
        (r["part"], r["key"], r["label"], r["value"], r["source"] or "-", r["art"], r["needed"])
        for r in packet.facts
    ]
    rows += [
        ("Authority", target["country"], target["name"], "; ".join(target["form"]), "irkit", "",
         hints[target["country"]].page)
        for target in packet.addressees
    ]  # fmt: skip
    return _csv(("part", "key", "label", "value", "source", "article", "needed_or_page"), rows)


def evidence_csv(packet: Packet) -> str:
    """The evidence list with hashes, as CSV."""
    names = (
        "id", "file", "sha256", "bytes", "storage", "state", "collected_at", "collected_by",
        "format", "records", "quarantined", "first", "last",
    )  # fmt: skip
    rows = [[f[name] for name in names] for f in packet.evidence["files"]]
    return _csv(names, rows)


def schedule(case: Case) -> str:
    """Pseudonymous schedule of the people: key, status, kinds, times, letter variant; no values.

    Names and contact routes are not in it.  They stay in the organisation's own register and are
    joined there by ``subject_id``; irkit writes them only encrypted (``schedule.py``).
    """
    rows = case.rows(
        "SELECT s.subject_key, s.status, list_sort(coalesce(s.categories, [])),"
        " coalesce(s.special_category, false), coalesce(s.child, false),"
        " list_sort(coalesce(s.countries, [])), coalesce(s.exposures, 0), s.first_exposed,"
        " s.last_exposed, list_sort(coalesce(k.kinds, [])) FROM subject s LEFT JOIN ("
        " SELECT x.subject_key, list_distinct(flatten(list(coalesce(e.entity_types, [])))) AS kinds"
        " FROM exposure_subject x JOIN exposure e USING (exposure_id) GROUP BY x.subject_key) k"
        " USING (subject_key) ORDER BY s.subject_key"
    )
    out = []
    for key, status, categories, special, child, countries, number, first, last, kinds in rows:
        variant = "child" if child else "special" if special else "standard"
        out.append(
            (
                hashlib.sha256(str(key).encode()).hexdigest()[:12] if "@" in str(key) else key,
                status,
                ", ".join(dict.fromkeys([*kinds, *categories])),
                ", ".join(countries),
                number,
                f"{first:%Y-%m-%dT%H:%MZ}" if first else "",
                f"{last:%Y-%m-%dT%H:%MZ}" if last else "",
                variant,
                "not included here: see the encrypted schedule or your register",
            )
        )
    return _csv(
        ("subject_key", "status", "kinds", "countries", "exposures", "first_exposed",
         "last_exposed", "letter_variant", "contact_route"),
        out,
    )  # fmt: skip


def _csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([csv_safe(value) for value in row] for row in rows)
    return stream.getvalue()
