"""Words for the core's identifiers, so that screens speak one language."""

from __future__ import annotations

from textual.content import Content

from irkit.case.views import (
    ActorRow,
    DeadlineRow,
    DetectorRow,
    EvidenceMark,
    FindingDetail,
    ItemRow,
    ObligationRow,
    item_words,
)
from irkit.tui.text import clean, line, mask_addresses, number, p_value, stamp
from irkit.tui.theme import DETECTOR, TIER

TECHNIQUE = {
    "membership_inference": "membership inference",
    "training_data_extraction": "training-data extraction",
    "data_reconstruction": "data reconstruction",
    "attribute_inference": "attribute inference",
    "property_inference": "property inference",
    "model_extraction": "model extraction",
}
KIND = {
    "session": "session",
    "credential": "credential",
    "source_ip": "source IP",
    "campaign": "campaign",
}
#: What the tiers mean, as `irkit explain` words them.
TIER_MEANING = {
    "A": "strong: holds after correcting for all actors tested, by signature or overwhelming odds",
    "B": "likely: holds after correcting for all actors tested",
    "C": "weak: unusual on its own, but not after correcting for all actors tested",
    "D": "note: described, not tested",
}


def technique(name: str | None) -> str:
    """Name a technique in words."""
    return "–" if name is None else TECHNIQUE.get(name, line(name).replace("_", " "))


def detector(name: str) -> str:
    """Name a detector in words."""
    return line(name).replace("_", " ")


def tier_content(tier: str | None) -> Content:
    """Symbol and word of a tier."""
    symbol, word, style = TIER.get(tier or "", ("–", "nothing found", "$muted"))
    return Content.styled(f"{symbol} {word}", style)


def told(text: str) -> str:
    """A sentence written by a detector: safe to draw, addresses masked."""
    return mask_addresses(clean(text)).strip()


def finding_lines(finding: FindingDetail) -> Content:
    """Say what was found on an actor, how sure, and since when."""
    symbol, word, style = TIER.get(finding.tier, TIER["D"])
    parts: list[Content | tuple[str, str]] = [
        (f"{symbol} {word}", style),
        (f"  {technique(finding.technique)}", "bold"),
        "\n",  # type: ignore[list-item]
        (TIER_MEANING.get(finding.tier, ""), "$muted"),
    ]
    if finding.summary:
        parts.append(("\n" + told(finding.summary), ""))
    odds = p_value(finding.p_value, finding.p_kind)
    parts.append(
        (
            f"\n{odds if finding.p_kind in ('signature', 'rank_only') else 'p ' + odds},"
            f" {number(finding.queries)} queries",
            "$muted",
        )
    )
    if finding.onset is not None:
        parts.append((f"\nOnset {stamp(finding.onset)}", ""))
        if finding.onset_low is not None and finding.onset_high is not None:
            low, high = stamp(finding.onset_low), stamp(finding.onset_high)
            if low[:10] == high[:10]:
                low, high = low[11:], high[11:]
            parts.append((f" (between {low} and {high})", "$muted"))
    if finding.last_seen is not None and finding.end_high is not None:
        parts.append((f"\nEnd of activity {stamp(finding.last_seen)}", ""))
        parts.append(
            (f" (between {stamp(finding.end_low)} and {stamp(finding.end_high)})", "$muted")
        )
    if len(finding.stretches) > 1:
        listed = "; ".join(
            f"{stamp(one.first)} to {stamp(one.last)} ({number(one.queries)})"
            for one in finding.stretches[:4]
        )
        more = ", …" if len(finding.stretches) > 4 else ""
        parts.append((f"\nWith pauses, {len(finding.stretches)} stretches: {listed}{more}", ""))
    if finding.runner_up:
        parts.append((f"\nSecond guess: {technique(finding.runner_up)}", "$muted"))
    return Content.assemble(*parts)


def detector_lines(rows: tuple[DetectorRow, ...]) -> Content:
    """Say what each detector found, those that found something first."""
    if not rows:
        return Content.styled("No detector results for this actor.", "$muted")
    parts: list[Content] = []
    useless = [detector(row.detector) for row in rows if row.status == "NOT_APPLICABLE"]
    for row in rows:
        if row.status == "NOT_APPLICABLE":
            continue
        symbol, word, style = DETECTOR.get(row.status, ("?", line(row.status), "$warning"))
        p = f" p {p_value(row.p_value, row.p_kind)}" if row.p_value is not None else ""
        head = Content.assemble((f"{symbol} {detector(row.detector)}", style), (p, "bold"))
        said = told(row.summary) or word
        parts.append(Content.assemble(head, "\n", (f"  {said}", "$muted")))
        if row.status == "FOUND" and row.calibration_size and "compared with" not in said:
            parts.append(
                Content.styled(
                    f"  compared with {number(row.calibration_size)} ordinary actors"
                    f" ({line(row.calibration_level or 'all')})",
                    "$muted",
                )
            )
    if useless:
        parts.append(Content.styled(f"∅ not applicable: {', '.join(useless)}", "$muted"))
    return Content("\n").join(parts)


def mark_lines(marks: tuple[EvidenceMark, ...]) -> Content:
    """Say what the detectors saw in one query."""
    if not marks:
        return Content.styled("Nothing unusual in this query on its own.", "$muted")
    parts = []
    for mark in marks:
        # A p-value of one means that there was nothing to compare with.
        known = mark.p_value is not None and mark.p_value < 1
        p = f"  p {p_value(mark.p_value, None)}" if known else ""
        if not known and mark.score is not None:
            p = f"  score {mark.score:.1f}"
        parts.append(
            Content.assemble(
                (f"◆ {detector(mark.detector)}", "$accent"),
                (p, "bold"),
                (f"\n  {told(mark.reason)}" if mark.reason else "", ""),
            )
        )
    return Content("\n").join(parts)


def item_content(item: ItemRow) -> Content:
    """Draw one row of a prediction call: what came back, a bar per class, no feature's value."""
    lines = [Content.styled(line(item_words(item)), "bold")]
    for name, chance in item.scores:
        bar = "█" * max(1, round(chance * 20))
        lines.append(
            Content.assemble((f"  {line(name, 16):<16} ", ""), (bar, "$primary"), f" {chance:.3f}")
        )
    return Content("\n").join(lines)


def rule_words(row: DeadlineRow | ObligationRow) -> str:
    """Name a rule: with its provision where it has one, which names the regime too."""
    rule = line(row.rule).replace("_", " ")
    return rule if ": " in rule else f"{line(row.regime)} {rule}"


def actor_title(row: ActorRow) -> str:
    """Name an actor with its level."""
    return f"{KIND.get(row.key.kind.value, row.key.kind.value)} {line(row.key.unit)}"
