"""Plain text of what the commands print; every value is made safe when it is written out."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irkit.case import Case


#: Most files that a table on a terminal names; JSON output names all.
_MOST_FILES = 500
_MOST_REASONS = 40


def source_rows(case: Case) -> list[dict[str, Any]]:
    """Return how each evidence file was read, and why entries of it were set aside."""
    names = (
        *("calls", "file", "format", "entries", "records", "blanks", "quarantined", "state"),
        *("confidence", "container", "framing", "first", "last", "note"),
    )
    reasons: dict[int, list[dict[str, Any]]] = {}
    for source_id, code, text, number in case.rows(
        "SELECT source_id, error_code, min(error_text), count(*) FROM quarantine"
        " GROUP BY source_id, error_code ORDER BY source_id, count(*) DESC, error_code"
    ):
        reasons.setdefault(int(source_id), []).append(
            {"code": code, "text": text, "entries": int(number)}
        )
    rows = case.rows(
        "SELECT source_id, capability->'$.formats', (capability->>'$.rows')::BIGINT,"
        " original_path, format, entries, records, blanks, quarantined, state,"
        " format_confidence, container, framing, min_event_time, max_event_time, note"
        " FROM evidence_source ORDER BY source_id"
    )
    return [
        {
            **dict(zip(names, (row[2] or 0, Path(row[3]).name, *row[4:]), strict=True)),
            "first": _instant(row[13]),
            "last": _instant(row[14]),
            "formats": json.loads(row[1]) if row[1] else {},
            "reasons": reasons.get(int(row[0]), []),
        }
        for row in rows
    ]


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat() + "Z"


def sources_text(rows: list[dict[str, Any]]) -> str:
    """Return the table of evidence files, then what was set aside and why; 100 columns wide."""
    head = f"{'file':<26} {'format':<23} {'sure':>4} {'calls':>8} {'aside':>6}  span (UTC)"
    lines = [head, *(_source_line(row) for row in rows[:_MOST_FILES])]
    if len(rows) > _MOST_FILES:
        lines.append(f"... and {len(rows) - _MOST_FILES:,} more files; --json names all")
    # Files of which nothing could be read come first: they are what to act upon.
    urgent = sorted(rows, key=lambda row: bool(row["records"] or not row["quarantined"]))
    told = [line for row in urgent for line in _aside_lines(row)]
    if told:
        lines += ["", "Set aside, or worth knowing:", *told[:_MOST_REASONS]]
        if len(told) > _MOST_REASONS:
            lines.append(f"  ... and {len(told) - _MOST_REASONS:,} more; --json names all")
    sums = {
        name: sum(row[name] or 0 for row in rows)
        for name in ("entries", "records", "blanks", "quarantined", "calls")
    }
    lines += [
        "",
        f"{len(rows):,} {'file' if len(rows) == 1 else 'files'}: {sums['entries']:,} entries ="
        f" {sums['records']:,} read + {sums['blanks']:,} blank"
        f" + {sums['quarantined']:,} set aside; {sums['calls']:,} calls",
    ]
    return "\n".join(lines)


def _source_line(row: Mapping[str, Any]) -> str:
    kind = str(row["format"] or "") or ("not recognised" if row["quarantined"] else "empty")
    share = row["confidence"]
    # The share of the largest part of a mix would read as doubt about all of it.
    told = row["format"] not in (None, "", "mixed") and share is not None
    sure = f"{share:.0%}" if told else "-"
    return (
        f"{_shortened(row['file'], 26):<26} {kind[:23]:<23} {sure:>4} {row['calls'] or 0:>8,}"
        f" {row['quarantined'] or 0:>6,}  {_span(row['first'], row['last'])}"
    ).rstrip()


def _aside_lines(row: Mapping[str, Any]) -> list[str]:
    """Return sentences on one file: what it is mixed of, what was set aside, what is damaged."""
    name = _shortened(row["file"], 26)
    lines = []
    if row["format"] == "mixed":
        lines.append("is a mix of " + ", ".join(f"{k} {v:,}" for k, v in row["formats"].items()))
    lines += [f"{reason['entries']:,} x {reason['text']}" for reason in row["reasons"]]
    if row["note"] and not any(row["note"] in reason["text"] for reason in row["reasons"]):
        lines.append(str(row["note"]))
    wrap = textwrap.TextWrapper(100, initial_indent=f"  {name:<26} ", subsequent_indent=" " * 29)
    return ["\n".join(wrap.wrap(line)) for line in lines]


def _shortened(text: str, width: int) -> str:
    """Return a text with its middle left out, so that suffixes stay readable."""
    if len(text) <= width:
        return text
    tail = width // 2 - 1
    return f"{text[: width - tail - 2]}..{text[-tail:]}"


def _span(first: str | None, last: str | None) -> str:
    if first is None or last is None:
        return "no time"
    day, begun = first[:10], first[11:16]
    if last[:16] == first[:16]:
        return f"{day} {begun}"
    return f"{day} {begun} to {last[11:16]}" if last[:10] == day else f"{day} to {last[:10]}"


def formats_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the matrix of log formats, then what each is and never tells; 100 columns wide."""
    known = [row for row in rows if "fields" in row]
    width = max((len(row["id"]) for row in known), default=0)
    names = list(known[0]["fields"]) if known else []
    shown = {"yes": "yes", "partly": "part", "no": "-"}
    lines = [" " * width + "".join(f" {_HEADS.get(name, name)[:6]:<6}" for name in names).rstrip()]
    lines += [
        (
            f"{row['id']:<{width}}" + "".join(f" {shown[row['fields'][name]]:<6}" for name in names)
        ).rstrip()
        for row in known
    ]
    lines += [
        "",
        "yes: told; part: only in part, if configured, or by some producers; -: never.",
        "key: credential; addr: address; sess: session; logpr: log probabilities; delay: latency.",
        "",
    ]
    wrap = textwrap.TextWrapper(
        100, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False
    )
    labels = {"never_tells": "limits"}
    for row in rows:
        lines.append(f"{row['id']}  {row.get('title', '')}")
        for key in ("never_tells", "unconfirmed", "source", "problem"):
            if row.get(key):
                lines += wrap.wrap(f"{labels.get(key, key)}: {row[key]}")
        lines.append("")
    return "\n".join(lines[:-1])


_HEADS = {
    "credential": "key",
    "address": "addr",
    "session": "sess",
    "logprobs": "logpr",
    "latency": "delay",
}


def preview_text(preview: Any) -> str:
    """Return how one file would be read."""
    return "\n".join(preview.lines())


def fill_text(result: Any) -> str:
    """What a person still writes before the sample's packet can go out, and how."""
    facts = result.packet.pdf.with_name("facts.toml")
    wanted = "\n".join(f"  {label}" for label in result.to_fill)
    return (
        f"Before it can go out, a person writes {len(result.to_fill)} fields into {facts}:\n"
        f"{wanted}\nThen: irkit --now 2026-10-16T10:00:00+02:00 notify {result.case_path} --phase"
        f" complete --facts {facts} --out {result.packet.pdf.parent}\n"
        f"Check it: irkit verify {result.packet.pdf.parent}"
    )


def summary_text(facts: dict[str, Any]) -> str:
    """Return the case on one page."""
    ingest, coverage = facts["ingest"], facts["coverage"]
    evidence = facts["evidence"]
    lines = [
        f"Case        {facts['case']['title']}",
        f"Evidence    {evidence['verified']} of {evidence['files']} files verified",
        f"Log span    {coverage['first_event'] or 'unknown'} to {coverage['last_event'] or '?'}",
        f"Entries     {ingest['entries']:,} ="
        f" {ingest['entries'] - ingest['blanks'] - ingest['quarantined']:,} read"
        f" + {ingest['blanks']:,} blank + {ingest['quarantined']:,} quarantined;"
        f" {ingest['records']:,} records",
    ]
    lines += [f"Linked      {text}" for text in linking_text(facts["linking"])]
    tiers = facts["findings"]["by_tier"]
    if tiers:
        lines.append(
            "Findings    " + ", ".join(f"tier {tier}: {number}" for tier, number in tiers.items())
        )
    for technique, number in facts["findings"]["by_technique_tier_ab"].items():
        lines.append(f"            {technique.replace('_', ' ')}: {number} flagged units (A/B)")
    counts = facts["counts"]
    funnel = [
        f"{counts[name]['best']:,} {label}"
        for name, label in (
            ("queries", "queries"),
            ("responses", "answers"),
            ("matched", "matched the corpus"),
            ("after_subtraction", "left after subtracting what was supplied"),
            ("confirmed", "confirmed"),
        )
        if name in counts
    ]
    if funnel:
        lines.append("Funnel      " + " > ".join(funnel))
    for name in ("records", "people", "extractable"):
        if name in counts:
            count = counts[name]
            lines.append(
                f"{name.capitalize():<11} {count['best']:,}  (at least {count['min']:,},"
                f" at most {count['max']:,})  {count['method']}"
            )
    lines += [f"{one['topic']:<11} {one['full']}" for one in facts["standing"]]
    return "\n".join(lines)


def linking_text(linking: Mapping[str, Any]) -> list[str]:
    """Return what entries of different logs were tied to one call; nothing where none were."""
    methods = ", ".join(
        f"{number:,} by {name.replace('_', ' ')}" for name, number in linking["methods"].items()
    )
    said = [
        (linking["methods"], f"entries of other logs to their calls: {methods}"),
        (linking["joined"], f"{linking['joined']:,} requests to their responses"),
        (linking["duplicates"], f"{linking['duplicates']:,} records repeat a call kept elsewhere"),
        (linking["unlinked_access"],
         f"{linking['unlinked_access']:,} access-log entries have no content in the case"),
        (linking["retries"],
         f"{linking['retries']:,} calls repeat one of the same caller within a minute (retries)"),
        (linking["ambiguous"],
         f"{linking['ambiguous']:,} ids or entries could belong to several calls; left alone"),
    ]  # fmt: skip
    bodies = linking["bodies"]
    said += [
        (bodies.get(name, 0), f"{bodies.get(name, 0):,} {words}")
        for name, words in (
            ("found", "bodies found in objects of their own"),
            ("missing", "bodies lie in objects that are not preserved: add them to the evidence"),
            ("ambiguous", "bodies could be several preserved objects and were left out"),
            ("unreadable", "bodies lie in preserved objects that cannot be read"),
        )
    ]
    return [text for number, text in said if number]


def next_text(facts: dict[str, Any]) -> list[str]:
    """Return the next deadline and the next step."""
    coming, step = facts["next_deadline"], facts["next_step"]
    if coming is None:
        deadline = "none runs yet: confirm the awareness, then irkit assess CASE"
    elif coming["hours_left"] < 0:
        deadline = f"{coming['rule']} PASSED {-coming['hours_left']} h ago ({coming['at']})"
    else:
        deadline = f"{coming['rule']} in {coming['hours_left']} h ({coming['at']})"
    lines = [f"Deadline    {deadline}"]
    if step is not None:
        lines.append(f"Next step   {step['title']}  ({step['id']})")
    return lines


def entry_text(row: dict[str, Any]) -> str:
    """Return one entry of a catalogue."""
    rest = [(key, value) for key, value in row.items() if key not in ("id", "title")]
    lines = [f"{row['id']}  {row.get('title', '')}"]
    for key, value in rest:
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        if shown not in (None, "", {}):
            lines.append(f"    {key.replace('_', ' ')}: {shown}")
    return "\n".join(lines)


def table(rows: Sequence[Mapping[str, Any]], widths: Mapping[str, int], total: int) -> str:
    """Return rows as aligned text, and how many of all they are.

    Args:
        rows: values by column.
        widths: columns to show, in order, with their widths in characters; longer values are cut.
        total: number of rows there are in all.
    """
    lines = [
        " ".join(name.replace("_", " ")[:width].ljust(width) for name, width in widths.items())
    ]
    lines += [
        " ".join(cell(row[name])[:width].ljust(width) for name, width in widths.items())
        for row in rows
    ]
    lines.append(f"{len(rows):,} of {total:,}")
    return "\n".join(line.rstrip() for line in lines)


def cell(value: Any) -> str:
    """Return one value as a person reads it: times to the minute, lists joined, nothing as '-'."""
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "-"
    return str(value).replace("\n", " ")
