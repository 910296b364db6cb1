"""An actor's calls as masked text: the replay for those who work without screens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irkit.case.shown import HIDE_LIMIT, clean, mask_addresses, pieces, plain_text, values_of
from irkit.case.views.actors import ActorKey
from irkit.case.views.call import EvidenceMark, ItemRow, RecordDetail, Span, record_detail
from irkit.case.views.sequence import SequenceSummary, sequence, sequence_summary
from irkit.case.views.surnames import known_surnames
from irkit.model import UnitKind

if TYPE_CHECKING:
    import duckdb

#: Longest text of one message that is written out, in characters.
MOST = 4000


@dataclass(frozen=True, slots=True)
class ShownText:
    """One message with its values masked; ``marks`` are offsets into the text as logged."""

    role: str
    choice: int | None
    text: str
    marks: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ShownCall:
    """One call of a sequence, safe to print."""

    position: int
    record_id: str
    request_id: str | None
    at: datetime | None
    model: str | None
    endpoint: str | None
    leaks: int
    parameters: tuple[tuple[str, str], ...]
    texts: tuple[ShownText, ...]
    items: tuple[ItemRow, ...]
    item_count: int
    evidence: tuple[EvidenceMark, ...]
    tokens: int
    content_state: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """A stretch of an actor's sequence."""

    key: ActorKey
    summary: SequenceSummary
    first: int
    calls: tuple[ShownCall, ...]


def find_actor(
    con: duckdb.DuckDBPyConnection, unit: str, kind: UnitKind | None = None
) -> ActorKey | None:
    """Return the actor of a name, at its highest level in the lattice unless one is asked for.

    A finding's id names the actor that it is about.
    """
    found = con.execute(
        "SELECT unit_kind, unit FROM ("
        " SELECT unit_kind, unit FROM finding WHERE unit = $unit OR finding_id = $unit"
        " UNION SELECT 'credential', credential_id FROM query_record WHERE credential_id = $unit"
        " UNION SELECT 'session', session_key FROM session WHERE session_key = $unit"
        " UNION SELECT 'source_ip', client_ip FROM query_record WHERE client_ip = $unit)"
        " WHERE $kind IS NULL OR unit_kind = $kind ORDER BY"
        " list_position(['credential', 'campaign', 'session', 'source_ip'], unit_kind), unit"
        " LIMIT 1",
        {"unit": unit, "kind": None if kind is None else kind.value},
    ).fetchone()
    return None if found is None else ActorKey(UnitKind(found[0]), str(found[1]))


def transcript(
    con: duckdb.DuckDBPyConnection,
    key: ActorKey,
    *,
    at: int | None = None,
    limit: int = 5,
    history: bool = False,
) -> Transcript:
    """Return calls of an actor in order, values masked.

    Args:
        con: connection to the case.
        key: the actor.
        at: place of the first call, from 0; the onset by default, else the first call.
        limit: calls to return.
        history: also write out earlier turns of each conversation.
    """
    summary = sequence_summary(con, key)
    first = summary.onset_position or 0 if at is None else at
    first = max(0, min(first, summary.total - 1))
    calls, names = [], known_surnames(con)
    for row in sequence(con, key, offset=first, limit=limit):
        detail = record_detail(con, row.record_id)
        if detail is not None:
            calls.append(_call(row.position, row.exposures, detail, history, names))
    return Transcript(key, summary, first, tuple(calls))


def hidden_values(detail: RecordDetail) -> tuple[str, ...]:
    """Return what is masked wherever it stands in a call, the prompt included."""
    return tuple(
        value for response in detail.responses for value in values_of(response.body, response.spans)
    )[:HIDE_LIMIT]


def _call(
    position: int, leaks: int, detail: RecordDetail, history: bool, names: frozenset[str]
) -> ShownCall:
    hide = hidden_values(detail)
    messages = detail.messages if history else detail.messages[-1:]
    texts = tuple(
        ShownText(
            clean(message.role),
            message.choice,
            plain_text(
                pieces(
                    message.body,
                    message.spans,
                    hide=hide,
                    focus=next((span.start for span in message.spans if span.ref), None),
                    most=MOST,
                    names=names,
                )
            ),
            message.spans,
        )
        for message in (*messages, *detail.responses)
    )
    return ShownCall(
        position,
        detail.record_id,
        detail.request_id,
        detail.at,
        detail.model,
        detail.endpoint,
        leaks,
        detail.parameters,
        texts,
        detail.items,
        detail.item_count,
        tuple(replace(mark, reason=mask_addresses(mark.reason)) for mark in detail.evidence),
        len(detail.logprobs),
        detail.content_state,
    )


def call_lines(call: ShownCall, total: int) -> list[str]:
    """Write one call as lines for a terminal or a screen reader."""
    when = "undated" if call.at is None else f"{call.at:%Y-%m-%d %H:%M:%S}Z"
    leaks = f", {call.leaks} leak{'s' if call.leaks != 1 else ''}" if call.leaks else ""
    lines = [
        f"-- query {call.position + 1:,} of {total:,}, {when}, {call.request_id or '-'}{leaks}"
    ]
    facts = [("model", call.model), ("endpoint", call.endpoint), *call.parameters]
    if call.tokens:
        facts.append(("token probabilities", f"{call.tokens:,}"))
    lines.append("   " + ", ".join(f"{name}={value}" for name, value in facts if value))
    for text in call.texts:
        which = f" {text.choice + 1}" if text.choice else ""
        lines.append(f"{text.role}{which}:")
        lines += [f"   {row}" for row in text.text.split("\n")]
    lines += [f"   {item_words(item)}" for item in call.items]
    if call.item_count > len(call.items):
        lines.append(f"   {call.item_count:,} rows in this call")
    if not call.texts and not call.items:
        lines.append(f"   no text in the log ({call.content_state})")
    for mark in call.evidence:
        odds = "" if mark.p_value is None or mark.p_value >= 1 else f" (p {mark.p_value:.2g})"
        lines.append(f"evidence: {mark.detector.replace('_', ' ')}{odds}: {mark.reason}")
    return [clean(row) for row in lines]


def item_words(item: ItemRow) -> str:
    """Say what one row of a prediction call sent and got back, without any feature's value."""
    sent = f"{item.width} features" if item.width else "features not logged"
    got = "no class" if item.label is None else f"class {item.label}"
    facts: list[Any] = []
    if item.top is not None:
        facts.append(f"p {item.top:.3f}")
    if item.margin is not None:
        facts.append(f"margin {item.margin:.3f}")
    if item.scalars:
        facts.append(f"{item.scalars} scores")
    more = f" ({', '.join(facts)})" if facts else ""
    return f"row {item.item + 1}: {sent} -> {got}{more}"
