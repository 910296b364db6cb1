"""The score calls of actors that infer membership, as candidates that an attacker can compare.

All findings of a replay are read together, in passes of bounded size: a pass over the calls and one
over the texts cost the same for one actor as for a hundred.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irkit.model import UnitKind

if TYPE_CHECKING:
    import polars as pl

    from irkit.analyzers.features import Features
    from irkit.case import Case

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

#: Share of a prompt that a training record must cover for the prompt to be that record.
COVER = 0.8
#: Share of candidates in groups of paraphrases from which the attack is a paired one.
_PAIRED = 0.6
#: Distinct texts read for compression and for the middle of a group; also calls read in one pass.
_TEXTS = 20_000
_GROUP = 64
#: How much a call must look like reading a score to be a candidate.
_SCORE = 0.5

_PROBES = """
SELECT w.number, w.place, r.record_id, r.prompt_text_id AS text_id,
  list_avg(l.token_logprobs) AS mean, list_sum(l.token_logprobs) AS total,
  list_avg(list_sort(list_filter(l.token_logprobs, x -> x IS NOT NULL))[
    1:greatest(1, CAST(ceil(0.2 * len(list_filter(l.token_logprobs, x -> x IS NOT NULL)))
    AS BIGINT))]) AS lowest
FROM wanted_probes w JOIN query_record r USING (record_id) JOIN query_logprob l USING (record_id)
ORDER BY w.number, r.event_time NULLS LAST, r.source_id, r.entry_no, r.sub_no
"""


@dataclass(slots=True)
class Probes:
    """Candidates of one actor: scores per statistic, and whether each is a member.

    Attributes:
        records: record id of each candidate (of a group: of its middle).
        texts: its text.
        member: 1 member, 0 not, -1 cannot be told.
        scores: per statistic, one score per candidate; higher means more member-like.
        form: statistic that the calls were made for.
    """

    records: list[str]
    texts: list[str]
    member: NDArray[np.int8]
    scores: dict[str, F64]
    form: str


def candidates(
    case: Case, log: Features, actors: Sequence[tuple[UnitKind, str]]
) -> Iterator[Probes]:
    """Yield the candidates of each actor, in the order given.

    Args:
        case: the case.
        log: features of its records.
        actors: kind and name of each.
    """
    held: list[I64] = []
    for kind, unit in actors:
        held.append(_score_calls(log, kind, unit))
        if sum(map(len, held)) >= _TEXTS:
            yield from _read(case, log, held)
            held = []
    if held:
        yield from _read(case, log, held)


def _score_calls(log: Features, kind: UnitKind, unit: str) -> I64:
    """Positions of an actor's calls that read a score for a prompt."""
    code = np.flatnonzero((log.log.names[kind].values == unit).to_numpy())
    mine = np.isin(log.log.codes[kind], code)
    return np.flatnonzero(mine & (log.column("prompt_key") != 0) & (log.score_only >= _SCORE))


def _read(case: Case, log: Features, held: Sequence[I64]) -> Iterator[Probes]:
    import polars as pl

    place = np.concatenate(held)
    wanted = pl.DataFrame(
        {
            "number": np.repeat(np.arange(len(held)), [len(one) for one in held]),
            "place": place,
            "record_id": log.log.record_id.gather(place),
        }
    )
    case.con.register("wanted_probes", wanted.to_arrow())
    try:
        frame = case.frame(_PROBES)
    finally:
        case.con.unregister("wanted_probes")
    usable = np.isfinite(frame["mean"].fill_null(np.nan).to_numpy())
    # The answer to a repeated question teaches nothing new.
    frame = frame.filter(usable).unique(["number", "text_id"], keep="first", maintain_order=True)
    parts = [frame.filter(pl.col("number") == number) for number in range(len(held))]
    few = [part["text_id"] for part in parts if len(part) <= _TEXTS]
    bodies = _bodies(
        case, pl.concat(few).unique().sort() if few else pl.Series([], dtype=pl.String)
    )
    for part in parts:
        yield _probes(log, part, bodies if len(part) <= _TEXTS else {})


def _probes(log: Features, frame: pl.DataFrame, bodies: dict[str, str]) -> Probes:
    place = frame["place"].to_numpy()
    label = _labels(log, place)
    scores = {
        "loss": frame["mean"].to_numpy().astype(np.float64),
        "min_k": frame["lowest"].to_numpy().astype(np.float64),
    }
    texts = frame["text_id"].to_list()
    records = frame["record_id"].to_list()
    if texts and bodies:
        size = [len(zlib.compress(bodies[t].encode("utf-8", "surrogatepass"))) for t in texts]
        scores["zlib"] = frame["total"].to_numpy() / np.maximum(np.asarray(size, np.float64), 1.0)
    group = log.prompt("variants")[place] if len(place) else np.zeros(0, np.uint64)
    inside = _in_groups(group)
    if len(place) and inside.mean() >= _PAIRED and bodies:
        return _paired(records, texts, label, scores, group, inside, bodies)
    return Probes(records, texts, label, scores, "loss")


def _labels(log: Features, place: I64) -> NDArray[np.int8]:
    if not log.has_corpus or not len(place):
        return np.full(len(place), -1, np.int8)
    found = log.membership
    tokens, cover = found["tokens"][place], found["cover"][place]
    whole = found["whole"][place].astype(np.bool_)
    hit = whole | (tokens >= 25)
    label = np.where(whole | (hit & (cover >= COVER)), 1, np.where(hit, -1, 0))
    return label.astype(np.int8)


def _bodies(case: Case, texts: pl.Series) -> dict[str, str]:
    import polars as pl

    if not len(texts):
        return {}
    case.con.register("wanted_texts", pl.DataFrame({"text_id": texts}).to_arrow())
    try:
        rows = case.rows("SELECT text_id, body FROM wanted_texts JOIN text USING (text_id)")
    finally:
        case.con.unregister("wanted_texts")
    return {str(key): str(body) for key, body in rows}


def _in_groups(group: NDArray[Any]) -> NDArray[np.bool_]:
    values, inverse, size = np.unique(group, return_inverse=True, return_counts=True)
    large: NDArray[np.bool_] = (size[inverse] >= 3) & (values[inverse] != 0)
    return large


def _paired(
    records: list[str],
    texts: list[str],
    label: NDArray[np.int8],
    scores: dict[str, F64],
    group: NDArray[Any],
    inside: NDArray[np.bool_],
    bodies: dict[str, str],
) -> Probes:
    """One candidate per group: its middle text against the others.

    A paraphrase differs from the original in some words and from another paraphrase in about twice
    as many, so the original is the text that is most like all others; whether it is a member plays
    no part in choosing it.
    """
    middles: list[int] = []
    gaps: list[float] = []
    for name in np.unique(group[inside]):
        rows = np.flatnonzero(group == name)[:_GROUP]
        words = [set(bodies[texts[i]].split()) for i in rows.tolist()]
        alike = [sum(len(a & b) / max(1, len(a | b)) for b in words if b is not a) for a in words]
        middle = int(rows[int(np.argmax(alike))])
        rest = rows[rows != middle]
        middles.append(middle)
        gaps.append(float(scores["loss"][middle] - scores["loss"][rest].mean()))
    index = np.asarray(middles, np.int64)
    every = {"paired": np.asarray(gaps), **{k: v[index] for k, v in scores.items()}}
    return Probes(
        [records[i] for i in middles], [texts[i] for i in middles], label[index], every, "paired"
    )
