"""Subtract from each response what its conversation had already given the model.

The context of a response is the system prompt, all earlier turns (retrieved and tool text stand
there too), its own prompt, and what the same actor typed in earlier requests.  Response tokens
that lie in a run of at least eight tokens of the context are masked; what stays is new.  Eight
tokens keep ordinary phrases from hiding a leak, and an attacker's 50-token prefix from counting as
one.  The same token hashes as in corpus matching are used, with the request (or the actor) mixed
into each k-gram, so that only a response's own context can mask it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from irkit.analyzers.corpus_index import Characters
from irkit.analyzers.corpus_tokens import I64, U64, Bools, Tokens, kgrams, tokenise

if TYPE_CHECKING:
    import duckdb

    from irkit.case import Case

#: Shortest run of the context that masks.
RUN = 8
#: Bytes of responses (and of contexts) hashed at once.
BATCH_BYTES = 16 << 20
_NEVER = np.iinfo(np.int64).max

#: The actor whose earlier prompts count: the credential, else what else is known of the sender.
#: Records of equal time keep their order in the log.
ACTORS = """
SELECT record_id, actor, row_number() OVER (
    PARTITION BY actor ORDER BY event_time NULLS LAST, source_id, entry_no, sub_no, record_id
  ) AS rank, prompt_text_id, system_text_id
FROM (SELECT *, coalesce('c' || credential_id, 'i' || client_ip, 's' || session_id) AS actor
      FROM query_record WHERE duplicate_of IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Masked:
    """Responses as tokens, with those masked that the context held.

    Attributes:
        pairs: record_id, choice, text_id; one row per response, in order.
        bounds: token index at which each response begins, plus the total.
        starts: character offset of each token in its response.
        ends: character offset one past each token.
        hashes: hash of each token.
        masked: whether the context held the token.
    """

    pairs: pl.DataFrame
    bounds: I64
    starts: I64
    ends: I64
    hashes: U64
    masked: Bools

    def tokens_of(self, pair: I64, start: I64, end: I64) -> tuple[I64, I64]:
        """Token ranges of character ranges: tokens that lie wholly or partly inside."""
        wide = np.int64(1) << 40
        owner = np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))
        first = np.searchsorted(owner * wide + self.ends, pair * wide + start, "right")
        last = np.searchsorted(owner * wide + self.starts, pair * wide + end, "left")
        return first, last


def subtract(case: Case, pairs: pl.DataFrame, *, body: str | None = None) -> Iterator[Masked]:
    """Mask the known tokens of responses.

    Args:
        case: a case with ingested records.
        pairs: record_id and choice of the responses wanted.
        body: measure this text in place of the responses' own (a decoded form of them).

    Yields:
        Batches in order of record and choice, bounded in memory.
    """
    case.con.register("wanted_pairs", pairs.select("record_id", "choice").to_arrow())
    try:
        case.con.execute(
            "CREATE OR REPLACE TEMP TABLE scope_pair AS SELECT c.record_id, c.choice, c.text_id,"
            " a.actor, a.rank, strlen(t.body) AS bytes FROM query_choice c"
            " JOIN (SELECT DISTINCT * FROM wanted_pairs) USING (record_id, choice)"
            f" JOIN text t USING (text_id) JOIN ({ACTORS}) a USING (record_id)"
        )
    finally:
        case.con.unregister("wanted_pairs")
    try:
        # Cutting by running total keeps each batch's texts in memory and no more.
        plan = case.frame(
            "SELECT record_id, choice, text_id, actor, rank, (sum(bytes) OVER (ORDER BY actor,"
            " rank, record_id, choice ROWS UNBOUNDED PRECEDING) // ?)::BIGINT AS part"
            " FROM scope_pair ORDER BY actor, rank, record_id, choice",
            [BATCH_BYTES],
        )
        for part in plan.partition_by("part", maintain_order=True):
            yield _mask(case, part, body)
    finally:
        case.con.execute("DROP TABLE IF EXISTS scope_pair")


def _mask(case: Case, part: pl.DataFrame, body: str | None) -> Masked:
    known = part.to_arrow()
    with case.con.cursor() as cursor:
        cursor.register("part", known)
        bodies = cursor.execute(
            "SELECT p.record_id, p.choice, t.body FROM part p JOIN text t USING (text_id)"
        ).pl()
        part = part.join(bodies, on=["record_id", "choice"], how="left", maintain_order="left")
        if body is not None:
            part = part.with_columns(body=pl.lit(body))
        text = _tokenised(part["body"].to_list())
        actors = {name: i for i, name in enumerate(part["actor"].unique(maintain_order=True))}
        records = {name: i for i, name in enumerate(part["record_id"].unique(maintain_order=True))}
        own = np.array([records[name] for name in part["record_id"]], np.int64)
        actor = np.array([actors[name] for name in part["actor"]], np.int64)
        lookup = _Lookup(text.tokens, own, actor, part["rank"].to_numpy())
        for ids, _, texts in _batched(cursor.execute(_OWN_CONTEXTS)):
            lookup.see_own(np.array([records[name] for name in ids], np.int64), texts)
        for ids, ranks, texts in _batched(cursor.execute(_EARLIER_PROMPTS)):
            lookup.see_earlier(
                np.array([actors[name] for name in ids], np.int64),
                np.array(ranks, np.int64),
                texts,
            )
    begins = np.repeat(text.breaks[:-1], np.diff(text.tokens.bounds))
    characters = Characters(text.raw)
    return Masked(
        pairs=part.select("record_id", "choice", "text_id"),
        bounds=text.tokens.bounds,
        starts=characters.between(begins, text.tokens.starts),
        ends=characters.between(begins, text.tokens.ends),
        hashes=text.tokens.hashes,
        masked=lookup.tokens(),
    )


@dataclass(frozen=True, slots=True)
class _Text:
    raw: bytes
    breaks: I64
    tokens: Tokens


def _tokenised(texts: list[str]) -> _Text:
    pieces = [text.encode() for text in texts]
    breaks = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    raw = b"".join(pieces)
    return _Text(raw, breaks, tokenise(raw, breaks))


def _grams(tokens: Tokens) -> tuple[U64, I64, I64]:
    """All k-grams that lie inside one text: their hashes, positions and texts."""
    size = np.diff(tokens.bounds)
    owner = np.repeat(np.arange(len(size)), size)
    (grams,) = kgrams(tokens.hashes, [RUN])
    at = np.flatnonzero(owner[: len(grams)] == owner[RUN - 1 :]) if len(grams) else owner[:0]
    return grams[at], at, owner[at]


def _mixed(number: I64, salt: int) -> U64:
    value = (number + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15 ^ salt)
    value ^= value >> np.uint64(29)
    return value * np.uint64(0xBF58476D1CE4E5B9)


class _Lookup:
    """K-grams of a batch of responses, waiting to be seen in their contexts."""

    def __init__(self, tokens: Tokens, own: I64, actor: I64, rank: I64) -> None:
        grams, self._at, text = _grams(tokens)
        self._count = len(tokens)
        self._rank = rank[text]
        self._own, self._own_slot = np.unique(grams ^ _mixed(own[text], 1), return_inverse=True)
        self._early, self._early_slot = np.unique(
            grams ^ _mixed(actor[text], 2), return_inverse=True
        )
        self._own_seen = np.zeros(len(self._own), np.bool_)
        self._first_rank = np.full(len(self._early), _NEVER, np.int64)

    def see_own(self, record: I64, texts: list[str]) -> None:
        """Take context texts of the records themselves."""
        grams, _, text = _grams(_tokenised(texts).tokens)
        slot, hit = _find(self._own, grams ^ _mixed(record[text], 1))
        self._own_seen[slot[hit]] = True

    def see_earlier(self, actor: I64, rank: I64, texts: list[str]) -> None:
        """Take prompts with the place in their actor's sequence at which they were sent."""
        grams, _, text = _grams(_tokenised(texts).tokens)
        slot, hit = _find(self._early, grams ^ _mixed(actor[text], 2))
        np.minimum.at(self._first_rank, slot[hit], rank[text][hit])

    def tokens(self) -> Bools:
        """Mask of all tokens."""
        known = self._own_seen[self._own_slot] | (self._first_rank[self._early_slot] < self._rank)
        change = np.zeros(self._count + RUN + 1, np.int32)
        np.add.at(change, self._at[known], 1)
        np.add.at(change, self._at[known] + RUN, -1)
        return np.cumsum(change)[: self._count] > 0


def _find(keys: U64, probes: U64) -> tuple[I64, Bools]:
    if not len(keys):
        return np.zeros(len(probes), np.int64), np.zeros(len(probes), np.bool_)
    slot = np.minimum(np.searchsorted(keys, probes), len(keys) - 1)
    return slot, keys[slot] == probes


#: System prompt, earlier turns and prompt of the batch's records.
_OWN_CONTEXTS = """
WITH ids AS (SELECT DISTINCT record_id FROM part), seen AS (
  SELECT record_id, text_id FROM query_message JOIN ids USING (record_id) UNION
  SELECT record_id, unnest([prompt_text_id, system_text_id]) FROM query_record
  JOIN ids USING (record_id))
SELECT record_id, 0, body FROM seen JOIN text USING (text_id)
"""

#: Distinct prompts of the batch's actors with the first place where each was sent.
_EARLIER_PROMPTS = f"""
WITH latest AS (
  SELECT actor, max(rank) AS rank FROM part WHERE actor IS NOT NULL GROUP BY actor
), sent AS (
  SELECT a.actor, min(a.rank) AS rank, a.prompt_text_id AS text_id FROM ({ACTORS}) a
  JOIN latest l ON a.actor = l.actor AND a.rank < l.rank
  WHERE a.prompt_text_id IS NOT NULL GROUP BY a.actor, a.prompt_text_id
)
SELECT actor, rank, body FROM sent JOIN text USING (text_id)
"""


def _batched(
    cursor: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[list[str], list[int], list[str]]]:
    """Fetch (name, number, body) rows column by column, in batches of bounded size."""
    names: list[str] = []
    numbers: list[int] = []
    bodies: list[str] = []
    size = 0
    while some := cursor.fetchmany(2000):
        for name, number, body in some:
            names.append(name)
            numbers.append(number)
            bodies.append(body)
            size += len(body)
            if size >= BATCH_BYTES:
                yield names, numbers, bodies
                names, numbers, bodies, size = [], [], [], 0
    if names:
        yield names, numbers, bodies
