"""One call in full: texts with marked passages, parameters, items, what detectors saw in it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from irkit.case.views.actors import ActorKey
from irkit.case.views.kept import bodies, bodies_at, lying_at
from irkit.case.views.sequence import PARTS, held, held_places, held_texts
from irkit.case.views.times import utc

if TYPE_CHECKING:
    import duckdb


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
    con: duckdb.DuckDBPyConnection,
    record_id: str,
    key: ActorKey | None = None,
    *,
    token_limit: int = 4000,
) -> RecordDetail | None:
    """Return one call with its texts, marked passages, parameters and per-query evidence.

    Args:
        con: connection to the case.
        record_id: the call.
        key: the actor in whose sequence it is looked at; where that sequence is kept, nothing is
            searched for.
        token_limit: log-probabilities returned at most.
    """
    rows = _rows_of(con, record_id, key)
    where, value = rows.call
    found = con.execute(
        "SELECT r.request_id, r.event_time, r.credential_id, r.client_ip,"
        " coalesce(r.model_served, r.model_requested), r.endpoint, r.outcome, r.status_code,"
        " r.content_state, coalesce(e.original_path, ''), coalesce(e.sha256, ''), r.entry_no,"
        " r.byte_offset, r.raw_sha256, r.parse_warnings, r.params_known, r.input_tokens,"
        " r.output_tokens, r.finish_reason, r.user_agent, r.response_text_id, r.prompt_text_id,"
        f" {', '.join('r.' + name for name in _PARAMETERS)}"
        " FROM query_record r LEFT JOIN evidence_source e USING (source_id)"
        f" WHERE r.{where} = $id LIMIT 1",
        {"id": value},
    ).fetchone()
    if found is None:
        return None
    parameters = [
        (name, _plain(value))
        for name, value in zip(_PARAMETERS, found[22:], strict=True)
        if value is not None and value != []
    ]
    if not found[15]:
        parameters.append(("note", "parameters were not logged"))
    parameters += [
        (name, str(value))
        for name, value in (
            ("tokens in", found[16]),
            ("tokens out", found[17]),
            ("finish", found[18]),
            ("client", found[19]),
        )
        if value is not None
    ]
    items, item_count = _items(con, rows)
    spans = _spans(con, rows)
    return RecordDetail(
        record_id,
        found[0],
        utc(found[1]),
        found[2],
        found[3],
        rows.session,
        found[4],
        found[5],
        found[6],
        found[7],
        str(found[8]),
        tuple(parameters),
        _messages(con, _asked(con, record_id, found[21]) if rows.asked is None else rows.asked),
        _responses(_said(con, record_id, found[20]) if rows.said is None else rows.said, spans),
        _logprobs(con, rows, token_limit),
        _evidence(con, rows),
        str(found[9]),
        str(found[10]),
        int(found[11]),
        found[12],
        found[13],
        tuple(found[14] or ()),
        items,
        item_count,
    )


# -- where the rows of a call lie ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """A message of the question: who, the text's id and the text."""

    role: str
    text_id: str
    body: str


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer: its number, the text, and why it ended."""

    choice: int
    body: str
    finish: str | None


@dataclass(frozen=True, slots=True)
class _Rows:
    """How to find the rows of one call: by its id, or where they are known to lie."""

    record_id: str
    call: tuple[str, str | int]
    session: str | None
    places: dict[str, list[int]] | None = None
    asked: tuple[_Asked, ...] | None = None
    said: tuple[_Said, ...] | None = None

    def of(self, part: str) -> tuple[str, list[Any]]:
        """Return SQL for the rows of a part, and its values."""
        if self.places is None:
            return f"SELECT * FROM {PARTS[part]} WHERE record_id = ?", [self.record_id]
        sql, values = lying_at(PARTS[part], self.places[part])
        return sql, list(values)


def _rows_of(con: duckdb.DuckDBPyConnection, record_id: str, key: ActorKey | None) -> _Rows:
    known = held(con, key, record_id)
    if key is None or known is None:
        session = con.execute(
            "SELECT min(session_key) FROM record_session WHERE record_id = ?", [record_id]
        ).fetchone()
        return _Rows(record_id, ("record_id", record_id), session[0] if session else None)
    texts = held_texts(con, key, known.position)
    bodies_of = bodies_at(con, [place for *_, place in texts])
    asked, said = [], []
    for part, number, role, finish, place in texts:
        text_id, body = bodies_of[place]
        if part == "asked":
            asked.append(_Asked(str(role), text_id, body))
        else:
            said.append(_Said(int(number), body, finish))
    return _Rows(
        record_id,
        ("rowid", known.place),
        known.session,
        held_places(con, key, known.position),
        # A log without messages or answers of their own names the texts in the call itself.
        tuple(asked) or None,
        tuple(said) or None,
    )


#: Rows of a prediction call that are told one by one, and classes of each.
_TOLD_ITEMS, _TOLD_CLASSES = 200, 5


def _items(con: duckdb.DuckDBPyConnection, of: _Rows) -> tuple[tuple[ItemRow, ...], int]:
    """Return what a prediction call sent and got back, without any feature's value."""
    mine, values = of.of("item")
    rows = con.execute(
        "SELECT item, coalesce(width, 0), pred_label, top1_prob, margin, entropy, class_probs,"
        " class_labels, coalesce(scalars, 0), count(*) OVER ()"
        f" FROM ({mine}) ORDER BY item LIMIT ?",
        [*values, _TOLD_ITEMS],
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


def _asked(
    con: duckdb.DuckDBPyConnection, record_id: str, prompt_id: str | None
) -> tuple[_Asked, ...]:
    told = con.execute(
        "SELECT role, text_id FROM query_message WHERE record_id = ? ORDER BY pos", [record_id]
    ).fetchall()
    if not told and prompt_id is not None:
        told = [("user", prompt_id)]
    texts = bodies(con, [text_id for _, text_id in told])
    return tuple(_Asked(str(r), str(i), texts[i]) for r, i in told if i in texts)


def _messages(con: duckdb.DuckDBPyConnection, rows: tuple[_Asked, ...]) -> tuple[Message, ...]:
    if not rows:
        return ()
    runs = con.execute(
        "SELECT text_id, t_start, t_end, doc_id, tokens FROM corpus_match WHERE role = 'prompt'"
        " AND text_id IN (SELECT unnest($ids)) ORDER BY text_id, t_start, t_end DESC, doc_id",
        {"ids": [row.text_id for row in rows]},
    ).fetchall()
    by_text: dict[str, list[Span]] = {}
    for text_id, start, end, doc, tokens in runs:
        by_text.setdefault(text_id, []).append(
            Span(int(start), int(end), "probe", f"{tokens} tokens of {doc}", str(doc))
        )
    return tuple(Message(row.role, row.body, tuple(by_text.get(row.text_id, ()))) for row in rows)


def _said(
    con: duckdb.DuckDBPyConnection, record_id: str, response_id: str | None
) -> tuple[_Said, ...]:
    told = con.execute(
        "SELECT choice, text_id, finish_reason FROM query_choice WHERE record_id = ?"
        " ORDER BY choice",
        [record_id],
    ).fetchall()
    if not told and response_id is not None:
        told = [(0, response_id, None)]
    texts = bodies(con, [text_id for _, text_id, _ in told])
    return tuple(_Said(int(c), texts[i], finish) for c, i, finish in told if i in texts)


def _responses(rows: tuple[_Said, ...], spans: dict[int, list[Span]]) -> tuple[Message, ...]:
    return tuple(
        Message("response", row.body, tuple(spans.get(row.choice, ())), row.choice, row.finish)
        for row in rows
    )


def response_spans(con: duckdb.DuckDBPyConnection, record_id: str) -> dict[int, list[Span]]:
    """Return every marked passage of a call's answers by choice: exposures and identifiers."""
    return _spans(con, _Rows(record_id, ("record_id", record_id), None))


def _spans(con: duckdb.DuckDBPyConnection, of: _Rows) -> dict[int, list[Span]]:
    spans: dict[int, list[Span]] = {}
    exposed, found = of.of("exposure"), of.of("entity")
    for choice, start, end, provenance, label, ref in con.execute(
        "SELECT choice, response_start, response_end, provenance, level, exposure_id"
        f" FROM ({exposed[0]})"
        " UNION ALL"
        " SELECT choice, e_start, e_end, provenance, entity_type, ''"
        f" FROM ({found[0]}) ORDER BY 1, 2, 3 DESC, 4, 5, 6",
        [*exposed[1], *found[1]],
    ).fetchall():
        spans.setdefault(int(choice), []).append(
            Span(int(start), int(end), str(provenance), str(label), str(ref))
        )
    return spans


def _logprobs(con: duckdb.DuckDBPyConnection, of: _Rows, limit: int) -> tuple[TokenLogprob, ...]:
    mine, values = of.of("logprob")
    row = con.execute(
        f"SELECT tokens[1:?], token_logprobs[1:?] FROM ({mine}) LIMIT 1",
        [limit, limit, *values],
    ).fetchone()
    if row is None or row[1] is None:
        return ()
    tokens = list(row[0] or ()) + [""] * len(row[1])
    return tuple(
        TokenLogprob(str(token), None if value is None or not math.isfinite(value) else value)
        for token, value in zip(tokens, row[1], strict=False)
    )


def _evidence(con: duckdb.DuckDBPyConnection, of: _Rows) -> tuple[EvidenceMark, ...]:
    mine, values = of.of("evidence")
    rows = con.execute(
        f"SELECT detector, score, p_value, reason FROM ({mine})"
        " ORDER BY p_value NULLS LAST, score DESC NULLS LAST, detector",
        values,
    ).fetchall()
    return tuple(EvidenceMark(str(d), s, p, str(r or "")) for d, s, p, r in rows)
