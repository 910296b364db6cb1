"""The packet's second half: measures, communication, method, limits, evidence, duties, sign-off."""

from __future__ import annotations

from collections.abc import Sequence

from reportlab.platypus import Flowable

from irkit.packet.blocks import bullets, pairs, para, table
from irkit.packet.model import Packet, Row
from irkit.playbook.fields import FIELD

GLOSSARY = (
    ("Exposure", "a passage in a response that is tied to one training record"),
    ("Memorised", "in the training corpus and not in the conversation's context"),
    ("Echo", "put into the answer by the prompt, an earlier turn, retrieved or tool text"),
    ("Cue-derivable", "guessable from the prompt, like an address built from a name"),
    ("Unverified", "in neither corpus nor context: invented, or the corpus is incomplete"),
    ("Tier A to D", "confidence in a finding about an actor, A the strongest, D descriptive only"),
    ("p (conformal)", "share of ordinary actors that look at least as unusual"),
    ("min / best / max", "confirmed floor, best estimate and upper bound of a count"),
    ("Membership inference", "testing whether a given record was in the training data"),
    ("Training-data extraction", "making a model repeat passages of its training data"),
    ("SE, DPC, EI, CB", "ENISA's severity and its inputs: data, ease of identification, "
     "circumstances"),
    ("Custody log", "append-only list of all acts, each entry carrying the hash of the one before"),
    ("Merkle root", "one hash over the list of preserved files"),
)  # fmt: skip


#: What the scope stage's counts are called on paper.
COUNTS = {
    "after_subtraction": "responses left after subtracting the context",
    "confirmed": "responses confirmed",
    "extractable": "records that could be drawn",
    "matched": "responses that share text with the corpus",
    "queries": "queries",
    "records": "exposed records",
    "responses": "answers",
    "subjects": "people concerned",
}


def closing(packet: Packet, digest: str, width: float) -> list[Flowable]:
    """Build the pages from measures to glossary."""
    return [
        *_measures(packet, width),
        *_communication(packet, width),
        *_method(packet, width),
        *_open(packet, width),
        *_evidence(packet, digest, width),
        *_duties(packet, width),
        *_sign_off(packet, width),
        para("14  Glossary", "h1"),
        pairs(GLOSSARY, width, 130),
    ]


def _measures(packet: Packet, width: float) -> list[Flowable]:
    out: list[Flowable] = [para("7  Measures", "h1")]
    titles = {
        "before": "Before the breach",
        "containment": "Containment",
        "mitigation": "Mitigation",
        "prevention": "Prevention",
    }
    for key, title in titles.items():
        rows = packet.measures[key]
        out.append(para(title, "h2"))
        if not rows:
            out.append(para("nothing recorded yet", "small"))
            continue
        out.append(
            table(
                ("Measure", "State", "When", "Owner", "Evidence"),
                [
                    (
                        m["text"],
                        m["state"],
                        m["at"] or "–",
                        m["owner"] or "not named",
                        m["evidence"] or "–",
                    )
                    for m in rows
                ],
                (width - 300, 58, 90, 76, 76),
            )
        )
    if any(m["state"] == "proposed" for rows in packet.measures.values() for m in rows):
        out.append(
            para(
                "“Proposed” marks irkit's suggestions that nobody has taken up yet; they are no "
                "statement of the controller.",
                "small",
            )
        )
    return out


def _communication(packet: Packet, width: float) -> list[Flowable]:
    c = packet.communication
    return [
        para("8  Communication to the people concerned", "h1"),
        pairs(
            [
                ("Will be told", c["required"]),
                ("Told at", c["done_at"]),
                ("Channel", c["channel"]),
                ("Exemption (Art. 34(3))", c["exemption"]),
                *(
                    [("Evidence for it", c["exemption_evidence"])]
                    if c["exemption_evidence"]
                    else []
                ),
                ("Note", c["note"]),
                (
                    "Letter",
                    "drafts beside this packet: letter_art34.md; for a native reader's check: "
                    "de, es, fr, it, nl, pl",
                ),
            ],
            width,
        ),
        para("What people can do", "h2"),
        bullets(c["advice"]),
    ]


def _method(packet: Packet, width: float) -> list[Flowable]:
    m = packet.method
    detectors = [
        (name, f"{d['found']:,}", f"{d['quiet']:,}", f"{d['not_applicable']:,}", f"{d['error']:,}")
        for name, d in m["detectors"].items()
    ]
    out: list[Flowable] = [
        para("9  Method and limits", "h1"),
        para(
            "Behaviour and harm are two ledgers. Exposures are deterministic: every shared passage "
            "was verified against the corpus, and text that the conversation itself had brought in "
            "was subtracted. Findings about actors are statistical: detectors are calibrated on "
            "ordinary actors (conformal p-values), combined by the Cauchy rule and controlled for "
            "false discoveries (Benjamini-Hochberg)."
        ),
        pairs(
            [
                ("Tool", m["tool"]),
                ("Settings (sha256)", m["settings_hash"]),
                ("Seed", m["seed"]),
                ("False-positive rate, FDR", f"{m['fpr']:g}, {m['fdr']:g}"),
                ("Calibration", _calibration(m["calibration"])),
                (
                    "Levels of match",
                    ", ".join(f"{k} {v:,}" for k, v in m["levels"].items()) or "none",
                ),
                (
                    "Recognisers",
                    ", ".join(f"{r['recogniser']} ({r['hits']:,})" for r in m["recognisers"])
                    or "none used",
                ),
                ("Holiday list", m["holidays"]),
            ],
            width,
        ),
    ]
    if m["counts"]:
        out.append(
            table(
                ("Count", "Min", "Best", "Max", "Method"),
                [
                    (COUNTS.get(c["name"], c["name"].replace("_", " ")), _number(c["min"]),
                     _number(c["best"]), _number(c["max"]), c["method"])
                    for c in m["counts"]
                    if c["name"] != "people"
                ],
                (110, 50, 50, 50, width - 260),
            )
        )  # fmt: skip
    if detectors:
        out.append(
            table(
                ("Detector", "Found", "Quiet", "Not applicable", "Error"),
                detectors,
                (width - 300, 60, 60, 100, 80),
            )
        )
    out += _membership(packet, width)
    out += _gradients(packet, width)
    out += [para("Limits and uncertainty", "h2"), bullets(packet.limits)]
    return out


def _membership(packet: Packet, width: float) -> list[Flowable]:
    if not packet.membership:
        return []
    rows = [
        (
            m["actor"],
            f"{m['members']:,} / {m['non_members']:,}",
            _limits_of(m["auc"]),
            _limits_of(m["tpr_at_fpr_1_percent"]),
            _limits_of(m["balanced_accuracy"]),
            "–" if m["members_told"] is None else f"{m['members_told']:,}",
        )
        for m in packet.membership
    ]
    notes = [
        words
        for m in packet.membership
        for words in (
            m["sentence"] + (f" Needed: {m['needs']}." if m["needs"] else ""),
            m["differential_privacy"],
        )
        if words
    ]
    return [
        para("What membership inference could learn", "h2"),
        para(
            "From the scores that each actor's own calls returned: "
            + packet.membership[0]["method"]
            + ". With 95 % limits (DeLong; Clopper-Pearson; MOVER). Balanced accuracy is judged by "
            "thresholds of the other half of the records; the release gate is 60 %. The last "
            "column counts members that score above every other text. Another actor, with other "
            "candidates or reference models, may learn more.",
            "small",
        ),
        table(
            ("Actor", "Members / others", "AUC", "TPR at 1 % FPR", "Balanced accuracy", "Certain"),
            rows,
            (width - 384, 66, 88, 92, 88, 50),
        ),
        bullets(list(dict.fromkeys(notes))),
    ]


def _limits_of(value: list[float] | None) -> str:
    return "–" if value is None else f"{value[0]:.2f} ({value[1]:.2f}–{value[2]:.2f})"


def _gradients(packet: Packet, width: float) -> list[Flowable]:
    if not packet.gradients:
        return []
    rows = [
        (
            g["evidence"],
            ", ".join(f"{k} {g[k]}" for k in ("round", "client") if g[k]) or "not stated",
            g["outcome"].replace("_", " "),
            f"{g['records_identified']:,} ({g['records_possible']:,} possible)",
            ". ".join(words[:1].upper() + words[1:] for words in g["sentences"]) + ".",
        )
        for g in packet.gradients[:40]
    ]
    more = len(packet.gradients) - len(rows)
    return [
        para("Gradient artefacts", "h2"),
        para(
            "Updates of federated training were preserved. What follows from each by arithmetic "
            "alone was computed, and the results were compared with the training records; whoever "
            "holds a file can do the same. Not computed: "
            + "; ".join(packet.gradients[0]["not_computed"])
            + ".",
            "small",
        ),
        table(
            ("Evidence", "Update", "Gives away", "Records", "What was found"),
            rows,
            (52, 84, 66, 74, width - 276),
        ),
        *([para(f"{more} more stand in packet.json.", "small")] if more else []),
    ]


def _calibration(found: Row) -> str:
    """The promise in its own words; sizes and parameters stand in packet.json."""
    if not found:
        return "not recorded"
    words = []
    promise = found.get("promise")
    if isinstance(promise, dict) and promise.get("text"):
        words.append(str(promise["text"]))
    elif isinstance(promise, str):
        words.append(promise)
    baseline = found.get("baseline")
    if isinstance(baseline, dict) and baseline.get("kind"):
        words.append(f"baseline: {baseline['kind']}")
    return "; ".join(words) or f"recorded under {', '.join(found)} in packet.json"


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"


def _open(packet: Packet, width: float) -> list[Flowable]:
    facts = {row["key"]: row["value"] for row in packet.facts}
    out: list[Flowable] = [para("10  Open questions", "h1")]
    if packet.open_points:
        out.append(
            table(
                ("Not yet known", "Needed for", "Expected", "Note"),
                [
                    (p["label"], p["needed"] or "–", p["expected"], p["note"] or "–")
                    for p in packet.open_points
                ],
                (150, 70, 100, width - 320),
            )
        )
    else:
        out.append(para("No mandatory field is open."))
    out.append(para(f"Next update: {facts['notification.next_update']}"))
    return out


def _evidence(packet: Packet, digest: str, width: float) -> list[Flowable]:
    e = packet.evidence
    out: list[Flowable] = [para("11  Evidence", "h1")]
    if e["files"]:
        out.append(
            table(
                ("Id", "File, format, collected", "Records", "State", "SHA-256"),
                [
                    (
                        f["id"],
                        f"{f['file']}; {f['format'] or 'format not read'}; {f['bytes']:,} bytes, "
                        f"{f['storage']}; {f['collected_at']} by {f['collected_by'] or '?'}; "
                        f"entries from {f['first']} to {f['last']}",
                        f"{f['records']:,} ({f['quarantined']:,} quarantined)",
                        f["state"],
                        f["sha256"],
                    )
                    for f in e["files"][:200]
                ],
                (34, width - 34 - 78 - 60 - 150, 78, 60, 150),
                mono=(0, 4),
                highlight=[i for i, f in enumerate(e["files"][:200]) if f["state"] != "verified"],
            )
        )
        if len(e["files"]) > 200:
            out.append(
                para(f"{len(e['files']) - 200} more files stand in evidence_manifest.csv.", "small")
            )
    else:
        out.append(para("No evidence is preserved in this case."))
    out.append(
        pairs(
            [
                ("Merkle root", f"{e['merkle_root']} ({e['merkle']})"),
                (
                    "Custody log",
                    f"{e['custody']['entries']} entries, head {e['custody']['head'] or 'none'} "
                    f"({e['custody']['state']})",
                ),
                ("packet.json", f"sha256 {digest}"),
            ],
            width,
            100,
        )
    )
    done = [s for s in packet.playbook if s["state"] in ("done", "not applicable", "in progress")]
    if done:
        out += [
            para("Playbook steps taken", "h2"),
            table(
                ("Step", "State", "Decision and reason", "Owner, when"),
                [
                    (
                        s["title"],
                        s["state"],
                        " – ".join(filter(None, (s["decision"], s["reason"])))
                        or "; ".join(x["text"] for x in s["evidence"][:2])
                        or "–",
                        ", ".join(filter(None, (s["owner"], s["at"]))),
                    )
                    for s in done
                ],
                (120, 62, width - 302, 120),
            ),
        ]
    return out


def _duties(packet: Packet, width: float) -> list[Flowable]:
    rows = _grouped(packet.obligations)
    return [
        para("12  Obligations matrix", "h1"),
        para(
            "A duty that is unknown stays in the list until a person answers it. Readings: "
            "“safest” is the one to act on; “law” follows the wording; “contested” and “check” "
            "need counsel.",
            "small",
        ),
        table(
            ("Duty", "Applies", "Why", "Limits"),
            [
                (
                    [f"{o['provision']}: {o['title']} ({o['recipient']})" for o in duties],
                    duties[0]["applies"].upper()
                    if duties[0]["applies"] == "yes"
                    else duties[0]["applies"],
                    f"{_asked(duties[0]['reason'])}. Source seen: {duties[0]['certainty']}.",
                    "\n".join(_limits(o, named=len(duties) > 1) for o in duties),
                )
                for duties in rows
            ],
            (172, 50, 112, width - 334),
            highlight=[i for i, duties in enumerate(rows) if duties[0]["applies"] == "yes"],
        ),
    ]  # fmt: skip


def _grouped(duties: Sequence[Row]) -> list[list[Row]]:
    """Duties that apply one by one; others of one regime with the same reason share a row."""
    order = {"yes": 0, "unknown": 1, "no": 2}
    groups: dict[tuple[object, ...], list[Row]] = {}
    for number, duty in enumerate(sorted(duties, key=lambda o: order[o["applies"]])):
        same = (duty["applies"], duty["regime"], duty["reason"], duty["certainty"])
        groups.setdefault((number,) if duty["applies"] == "yes" else same, []).append(duty)
    return list(groups.values())


def _asked(reason: str) -> str:
    """Name the question that nobody has answered instead of its key alone."""
    head, mark, key = reason.partition("not answered: ")
    field = FIELD.get(key.partition(";")[0])
    if not mark or field is None:
        return reason
    rest = key.partition(";")[2]
    return f"{head}nobody has answered: {field.label} ({field.key})" + (f";{rest}" if rest else "")


def _limits(duty: Row, *, named: bool) -> str:
    lines = [f"{i['local']}: {i['kind']} [{i['certainty']}]" for i in duty["instants"]]
    words = "\n".join(lines) or duty["clock"]
    return f"{duty['provision']}: {words}" if named else words


def _sign_off(packet: Packet, width: float) -> list[Flowable]:
    titles = {"dpo": "data protection officer", "decision": "controller"}
    rows = [
        (titles.get(s["role"], s["role"]), s["name"], s["at"], s["decision"] or "–")
        for s in packet.sign_off
    ]
    present = {s["role"] for s in packet.sign_off}
    wanted = {
        "preparer": "prepared the packet",
        "reviewer": "reviewed it",
        "dpo": "advice of the DPO",
        "decision": "decision of the controller",
    }
    rows += [(titles.get(role, role), "________________", "__________", what)
             for role, what in wanted.items()
             if role not in present]  # fmt: skip
    return [
        para("13  Sign-off", "h1"),
        para(
            "The packet is a draft until the controller's decision carries a name and a time."
            if packet.head.draft
            else "The controller's decision carries a name and a time. An electronic signature, "
            "where one was made, is in packet.signed.pdf; this file is unsigned.",
            "small",
        ),
        table(("Role", "Name", "When", "Decision"), rows, (90, 130, 120, width - 340)),
    ]
