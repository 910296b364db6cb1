"""Replay: an actor's calls in order, one call in full, and the evidence as it builds up."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irkit.case.views.actors import ACTOR_RECORDS, RECORD_ORDER, ActorKey
from irkit.case.views.kept import bodies, drop_like, keep, kept, named_for
from irkit.case.views.leaks import LEAKS
from irkit.case.views.times import utc

if TYPE_CHECKING:
    import duckdb

#: Shape of the alternative that the evidence curve weighs each p-value against: p ~ Beta(a, 1).
#: a = 0.3 is the middle of the grid that the onset estimate searches.
EVIDENCE_SHAPE = 0.3
#: One p-value can add at most ln(0.3) - 0.7 ln(1e-6), about 8.5: a curve, not one spike.
EVIDENCE_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class SequenceSummary:
    """Length of an actor's sequence, and where in it (from 0) the landmarks lie."""

    total: int
    first: datetime | None
    last: datetime | None
    onset: datetime | None
    onset_position: int | None
    leak_positions: tuple[int, ...]
    end: datetime | None = None
    end_position: int | None = None


@dataclass(frozen=True, slots=True)
class SequenceRow:
    """One call in an actor's sequence."""

    position: int
    record_id: str
    at: datetime | None
    exposures: int
    evidence: int
    outcome: str | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Accumulated evidence at a position of the sequence."""

    position: int
    value: float
    leaks: int


@dataclass(frozen=True, slots=True)
class Span:
    """A marked passage of a text: character offsets, why it is marked, and the matching fact."""

    start: int
    end: int
    provenance: str
    label: str
    ref: str


@dataclass(frozen=True, slots=True)
class Message:
    """One text of a call with its marked passages."""

    role: str
    body: str
    spans: tuple[Span, ...]
    choice: int | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token and its natural-log probability (None for the first token of an echo)."""

    token: str
    logprob: float | None


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One row of a prediction call: what kind of thing was sent, what came back; no values.

    Attributes:
        item: place in the call, from 0.
        width: number of features sent; 0 where they were not logged.
        label: class returned.
        top: probability of that class.
        margin: distance to the runner-up.
        entropy: entropy of the class scores, in nats.
        scores: probabilities by class, the largest first; at most five.
        scalars: numbers that the answer held.
    """

    item: int
    width: int
    label: str | None
    top: float | None
    margin: float | None
    entropy: float | None
    scores: tuple[tuple[str, float], ...]
    scalars: int


@dataclass(frozen=True, slots=True)
class EvidenceMark:
    """What one detector saw in one call."""

    detector: str
    score: float | None
    p_value: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class RecordDetail:
    """One call in full."""

    record_id: str
    request_id: str | None
    at: datetime | None
    credential: str | None
    ip: str | None
    session: str | None
    model: str | None
    endpoint: str | None
    outcome: str | None
    status_code: int | None
    content_state: str
    parameters: tuple[tuple[str, str], ...]
    messages: tuple[Message, ...]
    responses: tuple[Message, ...]
    logprobs: tuple[TokenLogprob, ...]
    evidence: tuple[EvidenceMark, ...]
    source_path: str
    source_sha256: str
    entry_no: int
    byte_offset: int | None
    raw_sha256: str | None
    warnings: tuple[str, ...]
    items: tuple[ItemRow, ...] = ()
    item_count: int = 0


def sequence_summary(
    con: duckdb.DuckDBPyConnection, key: ActorKey, *, leak_limit: int = 5000
) -> SequenceSummary:
    """Count an actor's calls and locate onset, end of activity and leaks in their order."""
    ordered = _ordered(con, key)
    row = con.execute(
        f"WITH s AS ({ordered}), o AS (SELECT min(onset) AS onset, max(last_seen) AS ended"
        " FROM finding WHERE unit_kind = $kind AND unit = $unit AND onset IS NOT NULL)"
        " SELECT count(*), min(event_time), max(event_time), (SELECT onset FROM o),"
        " min(position) FILTER (event_time >= (SELECT onset FROM o)), (SELECT ended FROM o),"
        " max(position) FILTER (event_time <= (SELECT ended FROM o)) FROM s",
        {"unit": key.unit, "kind": key.kind.value},
    ).fetchone()
    assert row is not None  # an aggregate without GROUP BY always yields one row
    leaks = con.execute(
        f"WITH s AS ({ordered}) SELECT DISTINCT position FROM s JOIN ({LEAKS}) e"
        " USING (record_id) ORDER BY position LIMIT $limit",
        {"unit": key.unit, "limit": leak_limit},
    ).fetchall()
    return SequenceSummary(
        int(row[0]),
        utc(row[1]),
        utc(row[2]),
        utc(row[3]),
        None if row[4] is None else int(row[4]),
        tuple(int(p[0]) for p in leaks),
        utc(row[5]),
        None if row[6] is None else int(row[6]),
    )


def sequence(
    con: duckdb.DuckDBPyConnection, key: ActorKey, *, offset: int = 0, limit: int = 200
) -> tuple[SequenceRow, ...]:
    """Return a window of an actor's sequence."""
    found = con.execute(
        f"WITH s AS ({_ordered(con, key)}), w AS (SELECT * FROM s WHERE position >= $from"
        " AND position < $to),"
        f" x AS (SELECT record_id, count(*) AS n FROM ({LEAKS}) SEMI JOIN w USING (record_id)"
        "  GROUP BY record_id),"
        " v AS (SELECT record_id, count(*) AS n FROM query_evidence SEMI JOIN w USING (record_id)"
        "  WHERE p_value < 0.05 OR (p_value IS NULL AND score > 0) GROUP BY record_id)"
        " SELECT position, record_id, event_time, coalesce(x.n, 0), coalesce(v.n, 0), outcome"
        " FROM w LEFT JOIN x USING (record_id) LEFT JOIN v USING (record_id) ORDER BY position",
        {"unit": key.unit, "from": offset, "to": offset + limit},
    ).fetchall()
    return tuple(
        SequenceRow(int(row[0]), str(row[1]), utc(row[2]), int(row[3]), int(row[4]), row[5])
        for row in found
    )


def position_of(con: duckdb.DuckDBPyConnection, key: ActorKey, record_id: str) -> int | None:
    """Return where in an actor's sequence a record lies, from 0."""
    row = con.execute(
        f"SELECT min(position) FROM ({_ordered(con, key)}) WHERE record_id = $id",
        {"unit": key.unit, "id": record_id},
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def evidence_curve(
    con: duckdb.DuckDBPyConnection,
    key: ActorKey,
    *,
    points: int = 160,
    detector: str | None = None,
) -> tuple[CurvePoint, ...]:
    """Return how evidence accumulates over an actor's sequence, at most ``points`` long.

    Each call adds the log-likelihood ratio of its smallest per-query p-value under Beta(a, 1)
    against the uniform, ``ln a + (a - 1) ln p``; the sum never falls below zero (Page's CUSUM,
    Biometrika 1954), so the curve rises while the behaviour lasts and sinks when it stops.  Several
    detectors on one call are corrected by Bonferroni.  Where no query has a p-value (too little
    ordinary traffic to compare with), each adds its score as a share of the detector's largest.
    With ``detector``, only what that one saw counts.
    """
    found = con.execute(
        f"""
        WITH s AS ({_ordered(con, key)}),
        e AS (SELECT * FROM query_evidence SEMI JOIN s USING (record_id)
              WHERE $detector IS NULL OR detector = $detector),
        known AS (SELECT count(*) FILTER (p_value < 1) AS n FROM e),
        p AS (SELECT record_id, least(1.0, min(greatest(p_value, $floor)) * count(p_value)) AS p
              FROM e WHERE p_value IS NOT NULL GROUP BY record_id),
        w AS (SELECT record_id, max(share) AS share FROM (
                SELECT record_id, score / max(score) OVER (PARTITION BY detector) AS share
                FROM e WHERE score > 0) GROUP BY record_id),
        x AS (SELECT record_id, count(*) AS n FROM ({LEAKS}) e SEMI JOIN s USING (record_id)
              GROUP BY record_id),
        g AS (SELECT position, coalesce(x.n, 0) AS leaks,
                CASE WHEN (SELECT n FROM known) > 0
                  THEN $shape_ln + ($shape - 1) * ln(coalesce(p.p, 1.0))
                  ELSE coalesce(w.share, 0) END AS gain
              FROM s LEFT JOIN p USING (record_id) LEFT JOIN w USING (record_id)
              LEFT JOIN x USING (record_id)),
        c AS (SELECT position, leaks, sum(gain) OVER (ORDER BY position) AS total FROM g),
        d AS (SELECT position, leaks,
                total - least(0.0, min(total) OVER (ORDER BY position)) AS value FROM c),
        n AS (SELECT greatest(1, count(*)) AS n FROM d)
        SELECT max(position), arg_max(value, position), sum(leaks)
        FROM d, n GROUP BY CAST(floor(position * least($points, n.n) / n.n) AS BIGINT)
        ORDER BY 1
        """,
        {
            "unit": key.unit,
            "points": points,
            "detector": detector,
            "floor": EVIDENCE_FLOOR,
            "shape": EVIDENCE_SHAPE,
            "shape_ln": math.log(EVIDENCE_SHAPE),
        },
    ).fetchall()
    return tuple(CurvePoint(int(p), float(v), int(n)) for p, v, n in found)


def curve_detectors(con: duckdb.DuckDBPyConnection, key: ActorKey) -> tuple[str, ...]:
    """Name the detectors that saw something in an actor's queries, the most telling first."""
    found = con.execute(
        f"WITH s AS ({_ordered(con, key)}) SELECT detector FROM query_evidence SEMI JOIN s"
        " USING (record_id) GROUP BY detector"
        " ORDER BY sum(-ln(greatest(coalesce(p_value, 1.0), $floor))) DESC, count(*) DESC, 1",
        {"unit": key.unit, "floor": EVIDENCE_FLOOR},
    ).fetchall()
    return tuple(str(row[0]) for row in found)


def _ordered(con: duckdb.DuckDBPyConnection, key: ActorKey) -> str:
    sql = _sequence_sql(key)
    name = named_for("sequence", key.kind.value, key.unit)
    found = kept(con, name, sql)
    # Bound all the same: every statement over a sequence names the actor.
    return sql if found is sql else f"{found} WHERE $unit IS NOT NULL"


def _sequence_sql(key: ActorKey) -> str:
    return (
        "SELECT record_id, event_time, outcome,"
        f" row_number() OVER (ORDER BY {RECORD_ORDER}) - 1 AS position"
        f" FROM ({ACTOR_RECORDS[key.kind]})"
    )


def keep_sequence(con: duckdb.DuckDBPyConnection, key: ActorKey) -> None:
    """Keep an actor's calls in order and where their texts lie, instead of the actor before."""
    name = named_for("sequence", key.kind.value, key.unit)
    places = named_for("text_of", key.kind.value, key.unit)
    drop_like(con, "sequence_", name)
    drop_like(con, "text_of_", places)
    keep(con, name, f"{_sequence_sql(key)} ORDER BY position", unit=key.unit)
    keep(
        con,
        places,
        "SELECT text_id, min(rowid) AS place FROM text SEMI JOIN ("
        f" SELECT m.text_id FROM query_message m SEMI JOIN kept.{name} USING (record_id)"
        f" UNION ALL SELECT c.text_id FROM query_choice c SEMI JOIN kept.{name} USING (record_id)"
        ") USING (text_id) GROUP BY text_id ORDER BY text_id",
    )


_PARAMETERS = (
    "temperature",
    "top_p",
    "n",
    "best_of",
    "seed",
    "max_tokens",
    "stop",
    "logprobs_requested",
    "top_logprobs",
    "echo",
    "logit_bias_size",
    "stream",
)


def record_detail(
    con: duckdb.DuckDBPyConnection, record_id: str, *, token_limit: int = 4000
) -> RecordDetail | None:
    """Return one call with its texts, marked passages, parameters and per-query evidence."""
    found = con.execute(
        "SELECT r.request_id, r.event_time, r.credential_id, r.client_ip,"
        " (SELECT min(session_key) FROM record_session WHERE record_id = $id), "
        " coalesce(r.model_served, r.model_requested), r.endpoint, r.outcome, r.status_code,"
        " r.content_state, coalesce(e.original_path, ''), coalesce(e.sha256, ''), r.entry_no,"
        " r.byte_offset, r.raw_sha256, r.parse_warnings, r.params_known, r.input_tokens,"
        " r.output_tokens, r.finish_reason, r.user_agent, r.response_text_id, r.prompt_text_id,"
        f" {', '.join('r.' + name for name in _PARAMETERS)}"
        " FROM query_record r LEFT JOIN evidence_source e USING (source_id)"
        " WHERE r.record_id = $id LIMIT 1",
        {"id": record_id},
    ).fetchone()
    if found is None:
        return None
    parameters = [
        (name, _plain(value))
        for name, value in zip(_PARAMETERS, found[23:], strict=True)
        if value is not None and value != []
    ]
    if not found[16]:
        parameters.append(("note", "parameters were not logged"))
    parameters += [
        (name, str(value))
        for name, value in (
            ("tokens in", found[17]),
            ("tokens out", found[18]),
            ("finish", found[19]),
            ("client", found[20]),
        )
        if value is not None
    ]
    items, item_count = _items(con, record_id)
    return RecordDetail(
        record_id,
        found[0],
        utc(found[1]),
        found[2],
        found[3],
        found[4],
        found[5],
        found[6],
        found[7],
        found[8],
        str(found[9]),
        tuple(parameters),
        _messages(con, record_id, found[22]),
        _responses(con, record_id, found[21]),
        _logprobs(con, record_id, token_limit),
        _evidence(con, record_id),
        str(found[10]),
        str(found[11]),
        int(found[12]),
        found[13],
        found[14],
        tuple(found[15] or ()),
        items,
        item_count,
    )


#: Rows of a prediction call that are told one by one, and classes of each.
_TOLD_ITEMS, _TOLD_CLASSES = 200, 5


def _items(con: duckdb.DuckDBPyConnection, record_id: str) -> tuple[tuple[ItemRow, ...], int]:
    """Return what a prediction call sent and got back, without any feature's value."""
    rows = con.execute(
        "SELECT item, coalesce(width, 0), pred_label, top1_prob, margin, entropy, class_probs,"
        " class_labels, coalesce(scalars, 0), count(*) OVER ()"
        " FROM query_item WHERE record_id = ? ORDER BY item LIMIT ?",
        [record_id, _TOLD_ITEMS],
    ).fetchall()
    told = tuple(
        ItemRow(int(i), int(width), label, top, margin, entropy, _scores(probs, labels), int(many))
        for i, width, label, top, margin, entropy, probs, labels, many, _ in rows
    )
    return told, int(rows[0][-1]) if rows else 0


def _scores(
    probs: list[float | None] | None, labels: list[str] | None
) -> tuple[tuple[str, float], ...]:
    known = [
        (str(labels[i]) if labels and i < len(labels) else str(i), float(p))
        for i, p in enumerate(probs or ())
        if p is not None and math.isfinite(p)
    ]
    return tuple(sorted(known, key=lambda pair: (-pair[1], pair[0]))[:_TOLD_CLASSES])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)


def _messages(
    con: duckdb.DuckDBPyConnection, record_id: str, prompt_id: str | None
) -> tuple[Message, ...]:
    told = con.execute(
        "SELECT role, text_id FROM query_message WHERE record_id = ? ORDER BY pos", [record_id]
    ).fetchall()
    if not told and prompt_id is not None:
        told = [("user", prompt_id)]
    texts = bodies(con, [text_id for _, text_id in told])
    rows = [(role, text_id, texts[text_id]) for role, text_id in told if text_id in texts]
    if not rows:
        return ()
    runs = con.execute(
        "SELECT text_id, t_start, t_end, doc_id, tokens FROM corpus_match WHERE role = 'prompt'"
        " AND text_id IN (SELECT unnest($ids)) ORDER BY text_id, t_start, t_end DESC, doc_id",
        {"ids": [row[1] for row in rows]},
    ).fetchall()
    by_text: dict[str, list[Span]] = {}
    for text_id, start, end, doc, tokens in runs:
        by_text.setdefault(text_id, []).append(
            Span(int(start), int(end), "probe", f"{tokens} tokens of {doc}", str(doc))
        )
    return tuple(
        Message(str(role), str(body), tuple(by_text.get(text_id, ())))
        for role, text_id, body in rows
    )


def _responses(
    con: duckdb.DuckDBPyConnection, record_id: str, response_id: str | None
) -> tuple[Message, ...]:
    told = con.execute(
        "SELECT choice, text_id, finish_reason FROM query_choice WHERE record_id = ?"
        " ORDER BY choice",
        [record_id],
    ).fetchall()
    if not told and response_id is not None:
        told = [(0, response_id, None)]
    texts = bodies(con, [text_id for _, text_id, _ in told])
    rows = [
        (choice, texts[text_id], finish) for choice, text_id, finish in told if text_id in texts
    ]
    spans = response_spans(con, record_id)
    return tuple(
        Message("response", str(body), tuple(spans.get(int(choice), ())), int(choice), finish)
        for choice, body, finish in rows
    )


def response_spans(con: duckdb.DuckDBPyConnection, record_id: str) -> dict[int, list[Span]]:
    """Return every marked passage of a call's answers by choice: exposures and identifiers."""
    spans: dict[int, list[Span]] = {}
    for choice, start, end, provenance, label, ref in con.execute(
        "SELECT choice, response_start, response_end, provenance, level, exposure_id"
        " FROM exposure WHERE record_id = $id"
        " UNION ALL"
        " SELECT choice, e_start, e_end, provenance, entity_type, '' FROM entity"
        " WHERE record_id = $id ORDER BY 1, 2, 3 DESC, 4, 5, 6",
        {"id": record_id},
    ).fetchall():
        spans.setdefault(int(choice), []).append(
            Span(int(start), int(end), str(provenance), str(label), str(ref))
        )
    return spans


def _logprobs(
    con: duckdb.DuckDBPyConnection, record_id: str, limit: int
) -> tuple[TokenLogprob, ...]:
    row = con.execute(
        "SELECT tokens[1:$limit], token_logprobs[1:$limit] FROM query_logprob"
        " WHERE record_id = $id LIMIT 1",
        {"id": record_id, "limit": limit},
    ).fetchone()
    if row is None or row[1] is None:
        return ()
    tokens = list(row[0] or ()) + [""] * len(row[1])
    return tuple(
        TokenLogprob(str(token), None if value is None or not math.isfinite(value) else value)
        for token, value in zip(tokens, row[1], strict=False)
    )


def _evidence(con: duckdb.DuckDBPyConnection, record_id: str) -> tuple[EvidenceMark, ...]:
    rows = con.execute(
        "SELECT detector, score, p_value, reason FROM query_evidence WHERE record_id = ?"
        " ORDER BY p_value NULLS LAST, score DESC NULLS LAST, detector",
        [record_id],
    ).fetchall()
    return tuple(EvidenceMark(str(d), s, p, str(r or "")) for d, s, p, r in rows)
