"""Plain text of what the commands print; every value is made safe when it is written out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irkit.case import Case


def source_rows(case: Case) -> list[dict[str, Any]]:
    """Return how each evidence file was read."""
    names = ("file", "format", "entries", "records", "blanks", "quarantined", "state")
    rows = case.rows(
        "SELECT original_path, format, entries, records, blanks, quarantined, state"
        " FROM evidence_source ORDER BY source_id"
    )
    return [dict(zip(names, (Path(row[0]).name, *row[1:]), strict=True)) for row in rows]


def sources_text(rows: list[dict[str, Any]]) -> str:
    """Return the table of evidence files."""
    head = f"{'file':<36} {'format':<20} {'entries':>9} {'records':>9} {'blank':>6} {'quarant.':>8}"
    lines = [head]
    lines += [
        f"{row['file'][:36]:<36} {str(row['format'] or '?')[:20]:<20} {row['entries'] or 0:>9,}"
        f" {row['records'] or 0:>9,} {row['blanks'] or 0:>6,} {row['quarantined'] or 0:>8,}"
        for row in rows
    ]
    return "\n".join(lines)


def preview_text(preview: Any) -> str:
    """Return how one file would be read."""
    return "\n".join(preview.lines())


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
    lines += [f"Limit       {limit}" for limit in facts["scope"]["limits"]]
    lines += membership_lines(facts.get("membership_inference"))
    lines += gradient_lines(facts.get("gradients"))
    promise = facts["calibration"].get("promise")
    if isinstance(promise, dict) and promise.get("text"):
        lines.append(f"Promise     {promise['text']}")
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
        (linking["ambiguous"],
         f"{linking['ambiguous']:,} could belong to several calls and were left alone"),
    ]  # fmt: skip
    return [text for number, text in said if number]


def membership_lines(found: Mapping[str, Any] | None) -> list[str]:
    """Return what membership inference could learn, each measurement once."""
    said = dict.fromkeys(detail["sentence"] for detail in (found or {}).values())
    return [f"Membership  {sentence}" for sentence in said]


def gradient_lines(found: Mapping[str, Any] | None) -> list[str]:
    """Return what preserved gradients give away, where there are any."""
    if not found:
        return []
    classes = ", ".join(
        f"{number} {name.replace('_', ' ')}" for name, number in found["by_class"].items()
    )
    return [
        f"Gradients   {len(found['artifacts']):,} files: {classes};"
        f" {found['records_identified']:,} training records identified"
    ]


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
