"""The packet's pages in order: cover, summary, Art. 33(3), timeline, method of attack, scope."""

from __future__ import annotations

from collections.abc import Sequence

from reportlab.platypus import Flowable, PageBreak

from irkit.packet import charts
from irkit.packet.blocks import figures, gap, pairs, para, rich, table, together, with_room
from irkit.packet.closing import closing
from irkit.packet.model import Packet, Row
from irkit.packet.style import safe
from irkit.packet.words import short

#: Text width on A4 and Letter with the packet's margins, in points.
WIDTH = {"A4": 481.9, "Letter": 498.6}


def story(packet: Packet, digest: str, paper: str = "A4") -> list[Flowable]:
    """Build all pages as fresh flowables."""
    width = WIDTH[paper]
    made = [
        *_covers(packet, digest, width),
        *_summary(packet, width),
        *_art33(packet, width),
        *_timeline(packet, width),
        *_how(packet, width),
        *_scope(packet, width),
        *_risk(packet, width),
        *closing(packet, digest, width),
    ]
    return with_room(made)


def _covers(packet: Packet, digest: str, width: float) -> list[Flowable]:
    """One cover per authority; one without an addressee where none is known yet."""
    out: list[Flowable] = []
    targets: Sequence[Row | None] = packet.addressees or (None,)
    for target in targets:
        out += _cover(packet, digest, width, target)
        out.append(PageBreak())
    return out


def _cover(packet: Packet, digest: str, width: float, target: Row | None) -> list[Flowable]:
    head = packet.head
    if target is None:
        to = "not yet known: the country of the main establishment decides the lead authority"
        why, page = "", ""
    else:
        to = f"{target['name']} ({target['short']})"
        why = f"{target['role']}: {target['reason']}"
        page = (
            f"{target['page']} – verify before use (checked {target['checked_on']}, certainty: "
            f"{target['certainty']})"
        )
    state = "DRAFT – not signed off" if head.draft else "signed off, see the sign-off page"
    previous = (
        f"packet {head.previous['number']:03d}, sha256 {head.previous['sha256']}"
        if head.previous
        else "none: first packet of this case"
    )
    rows: list[tuple[str, object]] = [
        ("To", to),
        *([("Why this authority", why)] if why else []),
        *([("Where to notify", page)] if page else []),
        *([("Form's own hints", "; ".join(target["form"]))] if target and target["form"] else []),
        *(
            [("Authorities concerned", target["concerned"])]
            if target and target.get("concerned")
            else []
        ),
        ("From (controller)", head.controller),
        ("Phase", f"{head.phase} (GDPR Art. 33(4)), packet {head.number:03d}"),
        ("Authority's reference", head.reference or "none yet"),
        ("Case", head.case_title),
        ("Marking", head.marking),
        ("Built at", f"{head.built_at} (zone {head.zone})"),
        ("State", state),
        ("Builds on", previous),
        ("Embedded data", f"packet.json, sha256 {digest}"),
    ]
    out: list[Flowable] = [
        gap(40),
        para("Personal data breach notification", "title"),
        para(
            "withdrawal of the notification of a leak of training data"
            if head.phase == "withdrawn"
            else f"{head.phase} notification of a leak of training data",
            "subtitle",
        ),
        pairs(rows, width, 125),
    ]
    if head.synthetic:
        out.append(
            rich(
                "<b>SYNTHETIC SAMPLE.</b> This packet was made from an invented incident: every "
                "person, account and address in it is fictional.",
                "note",
            )
        )
    out.append(
        rich(
            "This packet holds <b>no exposed value</b>: no name, contact detail or passage of the "
            "people concerned. It was scanned for them before it was released. Most authorities "
            "take a web form; the form-fill sheet beside this file has every field to copy. irkit "
            "computes and documents; a human decides. Not legal advice.",
            "small",
        )
    )
    return out


def _summary(packet: Packet, width: float) -> list[Flowable]:
    s = packet.summary
    people, records = s["people"], s["records"]
    numbers = [
        (_best(people), "people concerned" + _range(people)),
        (_best(records), "training records exposed" + _range(records)),
        (f"{s['exposing_responses']:,}", "responses with exposed data"),
        (f"{s['accounts']:,}", "accounts that received them"),
    ]
    unknown = [row["label"].lower() for row in packet.open_points]
    rows: list[tuple[str, object]] = [
        ("What", s["what"]),
        ("Cause", s["cause"]),
        ("When", s["when"]),
        ("Who", s["who"]),
        ("Risk", s["risk"]),
        ("Severity (ENISA)", s["severity"]),
        ("Awareness", s["awareness"]),
        ("Next limit", s["deadline"]),
        ("Done", "; ".join(s["done"]) or "nothing recorded as done yet"),
        ("Under way", "; ".join(s["under_way"]) or "nothing recorded"),
        ("Proposed or planned", "; ".join(s["planned"]) or "nothing recorded"),
        (
            "Still unknown",
            f"{len(unknown)} {'point' if len(unknown) == 1 else 'points'}: {', '.join(unknown[:8])}"
            + (" …" if len(unknown) > 8 else "")
            if unknown
            else "no mandatory field is open",
        ),
    ]
    out: list[Flowable] = [
        para("1  Summary", "h1"),
        figures(numbers, width),
        pairs(rows, width, 110),
        together(para("From queries to people", "h2"), charts.funnel(packet.funnel, width)),
    ]
    if packet.changes:
        out += [
            para("What changed since the previous packet", "h2"),
            table(
                ("Field", "Before", "Now"),
                [(c["label"], c["before"], c["now"]) for c in packet.changes],
                (130, (width - 130) / 2, (width - 130) / 2),
            ),
        ]
    out.append(PageBreak())
    return out


def _best(count: Row | None) -> str:
    return "?" if count is None else f"{count['best']:,}"


def _range(count: Row | None) -> str:
    if count is None or count["min"] == count["max"]:
        return ""
    return f"\n({count['min']:,} to {count['max']:,})"


def _art33(packet: Packet, width: float) -> list[Flowable]:
    rows = []
    for row in packet.art33:
        answers = [
            rich(f"<b>{safe(a['label'])}:</b> {safe(a['value'], 700)}", "cell")
            for a in row["answers"]
        ]
        rows.append((row["letter"], row["asks"], answers or "nothing to report"))
    return [
        para("2  What Article 33 asks, and the answers", "h1"),
        para(
            "Fields are laid out after the common core of European forms; every field has a "
            "stable key in packet.json and stands in the form-fill sheet.",
            "small",
        ),
        table(("Art.", "Asks for", "Answer"), rows, (48, 118, width - 166), split=True),
    ]


def _timeline(packet: Packet, width: float) -> list[Flowable]:
    chart = charts.activity(packet.activity, packet.head.zone, width)
    rows = [
        (r["utc"], r["local"], r["what"], f"{r['kind']}; {r['source']}") for r in packet.timeline
    ]
    out: list[Flowable] = [
        together(
            para("3  Timeline", "h1"),
            chart if chart else para("No record carries a time.", "small"),
        ),
        para(
            "Times of the breach are as the logs state them; irkit does not correct clocks. "
            f"Local times are in {packet.head.zone}.",
            "small",
        ),
        table(
            ("UTC", "Local", "What", "Kind and source"),
            rows,
            (84, 116, width - 84 - 116 - 108, 108),
            highlight=[i for i, r in enumerate(packet.timeline) if r["kind"] == "limit"],
        ),
    ]
    return out


#: What the ATLAS ids of extraction incidents say (MITRE ATLAS 5.6.0).
ATLAS = {
    "AML.T0024": "exfiltration via the inference interface",
    "AML.T0024.000": "infer membership in the training data",
    "AML.T0024.001": "invert the model",
    "AML.T0024.002": "extract the model",
    "AML.T0025": "exfiltration by other means",
    "AML.T0057": "leakage of data by a language model",
    "AML.T0063": "discover the model's outputs",
}


def _how(packet: Packet, width: float) -> list[Flowable]:
    spread = packet.method["spread"]
    facts = {row["key"]: row["value"] for row in packet.facts}
    out: list[Flowable] = [
        para("4  How the data was taken", "h1"),
        para(
            "A language model can keep passages of its training data word for word. Someone who "
            "may only ask questions can then make it repeat them: by giving the beginning of a "
            "record, by making it loop until it leaves its usual answers, or by asking the same "
            "thing many times. Whether a passage came out is checked against the preserved "
            "training corpus; whether an actor attacked is judged from the sequence of queries. "
            "The two are kept apart: a leak alone accuses nobody.",
        ),
        para(facts["breach.vector"]),
        rich(
            f"<b>Structural or scenario-specific:</b> irkit proposes <b>{safe(spread['proposal'])}"
            f"</b> – {safe(spread['reason'])}."
        ),
    ]
    tags = [t.strip() for t in facts["breach.atlas"].split(";") if t.strip().startswith("AML")]
    if tags:
        out.append(
            para(
                "MITRE ATLAS: " + "; ".join(f"{t} {ATLAS.get(t, '')}".strip() for t in tags),
                "small",
            )
        )
    if packet.findings:
        out += [
            para("Flagged actors (tiers A and B)", "h2"),
            table(
                ("Actor", "What, since when, how sure", "Why"),
                [
                    (
                        [
                            _actor(f["actor"])
                            + (f" ({f['members']} credentials)" if f["members"] else ""),
                            f"{f['queries']:,} queries",
                        ],
                        [f["technique"], f"since {f['onset']}", f"tier {f['tier']}, {_p(f)}"],
                        f["summary"],
                    )
                    for f in packet.findings
                ],
                (118, 132, width - 250),
            ),
            para(
                "Tier A is the strongest. The detectors behind each line stand in packet.json; "
                "“certain pattern” means a sequence that ordinary use does not show.",
                "small",
            ),
        ]
    else:
        out.append(para("No actor is flagged in tiers A or B.", "small"))
    return out


def _p(finding: Row) -> str:
    if finding["p_kind"] == "signature":
        return "certain pattern"
    if finding["p_value"] is None:
        return f"no p ({finding['p_kind']})"
    return f"p {finding['p_value']:.2g} ({finding['p_kind']})"


def _actor(text: str) -> str:
    kind, _, name = text.rpartition(" ")
    return f"{kind} {short(name, 26)}"


def _scope(packet: Packet, width: float) -> list[Flowable]:
    scope, summary = packet.scope, packet.summary
    counts = []
    for name, key in (("People", "people"), ("Records", "records")):
        c = summary[key]
        if c:
            row = (name, f"{c['min']:,}", f"{c['best']:,}", f"{c['max']:,}", c["method"])
            counts.append(row)
        else:
            counts.append((name, "?", "?", "?", "not counted yet"))
    countries = ", ".join(f"{c} {n:,}" for c, n in scope["countries"].items()) or "not known"
    unknown = scope["country_unknown"]
    facts = {row["key"]: row["value"] for row in packet.facts}
    out: list[Flowable] = [
        para("5  Scope: whose data, how much", "h1"),
        table(
            ("", "Minimum", "Best", "Maximum", "Method"),
            counts,
            (60, 58, 58, 58, width - 234),
        ),
        para(
            "Minimum: confirmed against the corpus or by a reviewer. Maximum: all plausible hits, "
            "unreviewed ones included. Forms that ask for one number take the maximum (ICO) or "
            "the upper bound; forms that ask for a range take minimum and maximum (AP).",
            "small",
        ),
        pairs(
            [
                ("Categories of data", facts["data.categories"]),
                ("Special categories", facts["data.special"]),
                ("Categories of people", facts["subjects.categories"]),
                (
                    "By country",
                    countries + (f"; unknown for about {unknown:,}" if unknown else ""),
                ),
                ("Children", scope["children"]),
                ("Other vulnerable people", scope["vulnerable"]),
                (
                    "All shared passages",
                    ", ".join(f"{n:,} {p}" for p, n in scope["provenance"].items()) or "none",
                ),
                (
                    "Training text about nobody",
                    f"in {scope['other_text']:,} responses; no personal data, not counted above",
                ),
                (
                    "People by status",
                    ", ".join(f"{n:,} {p}" for p, n in scope["status"].items()) or "none",
                ),
            ],
            width,
        ),
    ]
    if scope["kinds"]:
        out += [
            para("Kinds of data in exposed passages", "h2"),
            _kinds(scope["kinds"], width),
        ]
    if scope["recipients"]:
        out += [
            para("Accounts that received exposed data", "h2"),
            table(
                ("Account as logged", "Exposing responses", "Last"),
                [
                    (short(r["who"], 44), f"{r['requests']:,}", r["last"])
                    for r in scope["recipients"][:12]
                ],
                (width - 220, 90, 130),
            ),
            *_rest(packet.summary["accounts"] - 12, "accounts"),
        ]
    if scope["models"]:
        out += [
            para("Models that answered", "h2"),
            table(
                ("Model", "Version", "Fingerprint", "Endpoint"),
                [
                    tuple(
                        m[k] or "not logged"
                        for k in ("model", "version", "fingerprint", "endpoint")
                    )
                    for m in scope["models"]
                ],
                (width * 0.3, width * 0.22, width * 0.22, width * 0.26),
            ),
        ]
    return out


def _kinds(kinds: Sequence[Row], width: float) -> Flowable:
    """Kinds of data in two columns."""
    half = (len(kinds) + 1) // 2
    rows = []
    for i in range(half):
        row: list[str] = []
        for k in (kinds[i], kinds[i + half] if i + half < len(kinds) else None):
            row += [k["kind"], f"{k['exposures']:,}"] if k else ["", ""]
        rows.append(row)
    each = width / 2 - 70
    return table(("Kind", "Passages", "Kind", "Passages"), rows, (each, 70, each, 70))


def _rest(number: int, word: str) -> list[Flowable]:
    """A line for what a table leaves out."""
    return [para(f"and {number:,} more {word}", "small")] if number > 0 else []


def _risk(packet: Packet, width: float) -> list[Flowable]:
    risk = packet.risk
    out: list[Flowable] = [
        para("6  Risk", "h1"),
        pairs(
            [
                ("Decision", f"{risk['level']}; decided by {risk['decided_by']}"),
                ("Reasons", risk["reasons"]),
                ("irkit's suggestion", f"{risk['suggestion']['level']} (a suggestion, not a "
                 "decision)"),
                ("Art. 33(1)", risk["art33"]),
                ("Art. 34(1)", risk["art34"]),
            ],
            width,
        ),
    ]  # fmt: skip
    if risk["clusters"]:
        out += [
            together(
                para("ENISA severity (2013) per group of people", "h2"),
                para(
                    "Severity SE = sensitivity of the data (DPC, 1 to 4) × ease of identification "
                    "(EI, 0.25 to 1) + circumstances (CB, 0 to 2). Groups are listed from the most "
                    "severe; the chart shows the first eight.",
                    "small",
                ),
                charts.severity(risk["clusters"], width),
            ),
            table(
                ("Group", "People", "DPC", "EI", "CB", "SE", "Band"),
                [
                    (
                        f"{number}. {c['label']}",
                        f"{c['subjects']:,}",
                        _interval(c["dpc"]),
                        _interval(c["ei"]),
                        _interval(c["cb"]),
                        _interval(c["se"]),
                        c["band"],
                    )
                    for number, c in enumerate(risk["clusters"], 1)
                ],
                (width - 340, 50, 46, 58, 58, 58, 70),
            ),
            *(
                rich(f"<b>{groups}</b> {safe(reason, 300)}", "small")
                for reason, groups in _reasons(risk["clusters"])
            ),
            para(f"All groups: {'; '.join(risk['cb_reasons'])}.", "small"),
            para(
                f"Highest band: {risk['bands'][-1]} – {risk['meaning']}. Common reading: "
                f"{risk['reading']} (a suggestion, not law). More than 100 people: "
                f"{risk['over_100']}. Same band in forms: "
                + "; ".join(f"{k}: {v}" for k, v in risk["scales"].items())
                + ". The interval spans what is not certain yet.",
                "small",
            ),
        ]
    out += [
        para("Risk factors (EDPB Guidelines 9/2022)", "h2"),
        table(
            ("Factor", "What the case shows", "Raises the risk"),
            [(f["factor"], f["finding"], "yes" if f["raises"] else "–") for f in risk["factors"]],
            (150, width - 240, 90),
        ),
        *_analogues(risk["analogues"], width),
        para("Row for the AI risk register", "h2"),
        pairs(
            [
                ("Risk", risk["register_row"]["risk"]),
                (
                    "Impact, likelihood, detectability",
                    f"{risk['register_row']['impact']}, {risk['register_row']['likelihood']}, "
                    f"{risk['register_row']['detectability']}",
                ),
                ("Escalation", risk["register_row"]["escalation"]),
                (
                    "Owner and review",
                    f"{' and '.join(risk['register_row']['owner'])}; "
                    f"{risk['register_row']['review']}",
                ),
                ("References", "; ".join(risk["register_row"]["references"])),
            ],
            width,
        ),
    ]
    if risk["hipaa_applies"] == "yes":
        names = {
            "nature": "(i) nature and extent of the PHI",
            "recipient": "(ii) who received it",
            "acquired": "(iii) actually acquired or viewed",
            "mitigation": "(iv) extent of mitigation",
            "conclusion": "Conclusion",
        }
        out += [
            para("HIPAA four factors (45 CFR 164.402(2))", "h2"),
            pairs([(names[k], risk["hipaa"][k]) for k in names], width),
        ]
    return out


def _analogues(found: Sequence[Row], width: float) -> list[Flowable]:
    if not found:
        return []
    return [
        para("Published cases that this one resembles", "h2"),
        table(
            ("Case", "What both have in common", "Held necessary there"),
            [(f"{a['case']:02d}: {a['title']}", a["like"], a["outcome"]) for a in found],
            (190, width - 310, 120),
        ),
        para(
            f"{found[0]['source']}; outcomes known from a {found[0]['certainty']} source: read the "
            "case before relying on it. Its cases are invented and none is about a model. A "
            "comparison, not a decision.",
            "small",
        ),
    ]


def _reasons(clusters: Sequence[Row]) -> list[tuple[str, str]]:
    """Every reason once, with the numbers of the groups that it holds for."""
    found: dict[str, list[int]] = {}
    for number, cluster in enumerate(clusters, 1):
        for reason in cluster["reasons"]:
            words = reason.replace("_", " ") if reason[:1].isupper() else reason
            found.setdefault(words, []).append(number)
    every = len(clusters)
    return [
        (
            reason,
            "All groups:"
            if len(numbers) == every > 1
            else f"{'Group' if len(numbers) == 1 else 'Groups'} {', '.join(map(str, numbers))}:",
        )
        for reason, numbers in found.items()
    ]


def _interval(pair: Sequence[float]) -> str:
    low, high = pair
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"
