"""Verbatim passages: what of each matched run is new to its conversation, and how strong it is.

Levels: ``V50`` at least 50 tokens in a row equal to a training document and not in the context
(the convention of Carlini et al. 2021/2023 and Nasr et al. 2023); ``C200`` at least 200 characters;
``V25`` at least 25 tokens; ``record`` a whole document of 8 to 24 tokens; ``near`` an edited
passage.  The masking runs are eight tokens long, so a tolerance for one or two masked tokens inside
a passage would never apply and there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from irkit.analyzers.corpus_rows import COMMON_DF
from irkit.analyzers.corpus_tokens import I64, Bools
from irkit.model import LeakLevel, Provenance
from irkit.scope.context import Masked

if TYPE_CHECKING:
    from irkit.case import Case

#: Tokens of a verbatim passage, of a partial one, and of the shortest whole document.
FULL, PARTIAL, WHOLE = 50, 25, 8
#: Characters (at least as many bytes) that count where a passage has few but long tokens.
LONG_CHARS = 200
#: A run inside a longer one of another document proves nothing about its own document where the
#: longer one goes on for this many tokens more.
DOMINATED_BY = 8
#: Share of an edited passage that another document's verbatim run explains.
LIKENESS = 0.8
#: Share of distinct tokens under which a passage is repetition, not content.
DISTINCT = 0.2

_RUNS = """
SELECT m.text_id, m.t_start, m.t_end, m.tokens, m.doc_id, m.d_start, m.d_end, m.df, m.whole_doc,
       m.method, d.ordinal, d.subject_id, coalesce(d.subject_id, d.sha256) AS owner, d.kind,
       d.chars AS doc_chars
FROM corpus_match m JOIN corpus_doc d USING (doc_id) WHERE m.role = 'response'
ORDER BY m.text_id, m.t_start, m.t_end DESC, d.ordinal, m.d_start
"""


def matched_pairs(case: Case) -> pl.DataFrame:
    """Record and choice of every response that shares a run with the corpus."""
    return case.frame(
        "SELECT record_id, choice FROM query_choice JOIN query_record r USING (record_id)"
        " WHERE r.duplicate_of IS NULL AND text_id IN"
        " (SELECT text_id FROM corpus_match WHERE role = 'response') ORDER BY ALL"
    )


#: Columns of :func:`passages_of`.
SCHEMA = {
    "record_id": pl.String, "choice": pl.Int32, "text_id": pl.String, "provenance": pl.String,
    "level": pl.String, "doc_id": pl.String, "ordinal": pl.Int64, "subject_id": pl.String,
    "owner": pl.String, "kind": pl.String, "doc_share": pl.Float64, "doc_start": pl.Int64,
    "doc_end": pl.Int64, "response_start": pl.Int64, "response_end": pl.Int64,
    "tokens": pl.Int64, "matched_chars": pl.Int64, "subtracted_chars": pl.Int64,
    "leaked_chars": pl.Int64, "df": pl.Int32, "common": pl.Boolean, "dominated": pl.Boolean,
    "method": pl.String,
}  # fmt: skip


def prepared_runs(case: Case) -> pl.DataFrame:
    """Return the responses' runs with flags; one inside another of its document is dropped.

    ``common``: so many documents of different owners hold it that it tells nothing about any;
    ``dominated``: a longer run of another owner explains it.
    """
    return flagged(case.frame(_RUNS))


def flagged(runs: pl.DataFrame) -> pl.DataFrame:
    """Add the flags of :func:`prepared_runs` to runs in the order of its query."""
    run = ["text_id", "t_start", "t_end"]
    owners = pl.col("owner").n_unique().over(run)
    runs = runs.with_columns(common=(pl.col("df") > COMMON_DF) & (owners > 1))
    inside, dominated = _contained(runs)
    return runs.with_columns(dominated=pl.Series(dominated)).filter(~pl.Series(inside))


def _contained(runs: pl.DataFrame) -> tuple[Bools, Bools]:
    """Mark runs inside a longer one: of the same document, and clearly longer of another owner."""
    inside = np.zeros(len(runs), np.bool_)
    dominated = np.zeros(len(runs), np.bool_)
    text = runs["text_id"].rle_id().to_numpy()
    start, end = runs["t_start"].to_numpy(), runs["t_end"].to_numpy()
    tokens, doc = runs["tokens"].to_numpy(), runs["ordinal"].to_numpy()
    owner = runs["owner"].rank("dense").to_numpy()
    edited = (runs["method"] == "near").to_numpy()
    edges = np.flatnonzero(np.diff(text, prepend=-1, append=-1)) if len(runs) else np.zeros(1, int)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        # Rows are ordered by start, so a containing run is among the few before; a text with
        # thousands of runs is looked at in windows.
        for at in range(low, high, 1000):
            mine = slice(at, min(at + 1000, high))
            near = slice(max(low, at - 1000), min(at + 2000, high))
            around = (start[near] <= start[mine][:, None]) & (end[near] >= end[mine][:, None])
            longer = tokens[near] - tokens[mine][:, None]
            same = doc[near] == doc[mine][:, None]
            inside[mine] = (around & same & (longer > 0)).any(1)
            other = owner[near] != owner[mine][:, None]
            dominated[mine] = (around & other & (longer >= DOMINATED_BY)).any(1)
            # An edited passage that another's verbatim one covers is a likeness of that one.
            shared = np.minimum(end[near], end[mine][:, None]) - np.maximum(
                start[near], start[mine][:, None]
            )
            covers = shared >= LIKENESS * (end[mine] - start[mine])[:, None]
            dominated[mine] |= edited[mine] & (covers & other & ~edited[near]).any(1)
    return inside, dominated


def passages_of(masked: Masked, runs: pl.DataFrame) -> pl.DataFrame:
    """Cut the runs of one batch of responses into stretches that the context did not hold.

    Args:
        masked: a batch of responses.
        runs: of :func:`prepared_runs`.

    Returns:
        Rows of :data:`SCHEMA`, one per response, document and stretch; a run whose every token
        the context held gives one row of provenance ``echo``.  ``doc_share`` is the share of the
        document that the stretch covers.
    """
    pairs = masked.pairs.with_row_index("pair")
    rows = pairs.join(runs, on="text_id", how="inner", maintain_order="left_right")
    pair = rows["pair"].to_numpy().astype(np.int64)
    first, last = masked.tokens_of(
        pair, rows["t_start"].to_numpy().astype(np.int64), rows["t_end"].to_numpy().astype(np.int64)
    )
    run, begin, end = _stretches(masked, first, last)
    begin_char, end_char = masked.starts[begin], masked.ends[end - 1]
    size = end - begin
    length = end_char - begin_char
    free = np.zeros(len(rows), np.int64)
    np.add.at(free, run, length)
    whole_run = size == (last - first)[run]
    short = rows["whole_doc"].to_numpy()[run] & whole_run & (size >= WHOLE)
    edited = (rows["method"] == "near").to_numpy()[run]
    keep = np.where(edited, size >= FULL, (size >= PARTIAL) | short)
    leaked = np.zeros(len(rows), np.bool_)
    leaked[run[keep]] = True
    echo = np.flatnonzero(~leaked & (last > first))
    stretch = {
        "run": np.concatenate([run[keep], echo]),
        "tokens": np.concatenate([size[keep], (last - first)[echo]]),
        "response_start": np.concatenate([begin_char[keep], masked.starts[first[echo]]]),
        "response_end": np.concatenate([end_char[keep], masked.ends[last[echo] - 1]]),
        "new": np.concatenate([np.ones(int(keep.sum()), np.bool_), np.zeros(len(echo), np.bool_)]),
        "repeated": np.concatenate(
            [_repeated(masked, begin[keep], end[keep]), np.zeros(len(echo), np.bool_)]
        ),
    }
    rows = rows.with_columns(
        run=pl.int_range(pl.len(), dtype=pl.Int64),
        free=pl.Series(free),
        matched_chars=(pl.col("t_end") - pl.col("t_start")).cast(pl.Int64),
    ).drop("tokens")
    made = pl.DataFrame(stretch).join(rows, on="run", how="left", maintain_order="left")
    return made.select(
        "record_id",
        "choice",
        "text_id",
        provenance=pl.when("new")
        .then(pl.lit(Provenance.MEMORISED.value))
        .otherwise(pl.lit(Provenance.ECHO.value)),
        level=_level(),
        doc_id="doc_id",
        ordinal="ordinal",
        subject_id="subject_id",
        owner="owner",
        kind="kind",
        doc_share=(pl.col("response_end") - pl.col("response_start"))
        / pl.max_horizontal(pl.col("doc_chars"), pl.lit(1)),
        doc_start=_in_document("response_start"),
        doc_end=_in_document("response_end"),
        response_start="response_start",
        response_end="response_end",
        tokens="tokens",
        matched_chars="matched_chars",
        subtracted_chars=pl.col("matched_chars") - pl.min_horizontal("free", "matched_chars"),
        leaked_chars=pl.when("new")
        .then(pl.col("response_end") - pl.col("response_start"))
        .otherwise(0),
        df="df",
        common=pl.col("common") | pl.col("repeated"),
        dominated="dominated",
        method="method",
    ).cast(SCHEMA)  # type: ignore[arg-type]


def _level() -> pl.Expr:
    chars = pl.col("response_end") - pl.col("response_start")
    return (
        pl.when(pl.col("method") == "near")
        .then(pl.lit(LeakLevel.NEAR.value))
        .when(pl.col("tokens") >= FULL)
        .then(pl.lit(LeakLevel.V50.value))
        .when(chars >= LONG_CHARS)
        .then(pl.lit(LeakLevel.C200.value))
        .when(pl.col("tokens") >= PARTIAL)
        .then(pl.lit(LeakLevel.V25.value))
        .otherwise(pl.lit(LeakLevel.RECORD.value))
    )


def _in_document(column: str) -> pl.Expr:
    """Offset in the document; in proportion where white space differs between the two."""
    into = (pl.col(column) - pl.col("t_start")).cast(pl.Float64)
    scale = (pl.col("d_end") - pl.col("d_start")) / (pl.col("t_end") - pl.col("t_start"))
    return (pl.col("d_start") + (into * scale).round()).cast(pl.Int64)


def _stretches(masked: Masked, first: I64, last: I64) -> tuple[I64, I64, I64]:
    """Unmasked stretches inside token ranges: (range, first token, one past the last)."""
    new = ~masked.masked
    if not new.any() or not len(first):
        none = np.empty(0, np.int64)
        return none, none, none
    border = np.zeros(len(new) + 1, np.bool_)
    border[masked.bounds] = True
    begins = new.copy()
    begins[1:] &= ~new[:-1] | border[1:-1]
    ends = new.copy()
    ends[:-1] &= ~new[1:] | border[1:-1]
    seg_begin, seg_end = np.flatnonzero(begins), np.flatnonzero(ends) + 1
    low = np.searchsorted(seg_end, first, "right")
    count = np.maximum(np.searchsorted(seg_begin, last, "left") - low, 0)
    run = np.repeat(np.arange(len(first)), count)
    seg = np.repeat(low, count) + np.arange(len(run)) - np.repeat(np.cumsum(count) - count, count)
    return run, np.maximum(seg_begin[seg], first[run]), np.minimum(seg_end[seg], last[run])


def novel_spans(masked: Masked) -> pl.DataFrame:
    """Stretches of the responses that the context did not hold, as character spans.

    Returns:
        record_id, choice, text_id, start, end.
    """
    pair, begin, end = _stretches(masked, masked.bounds[:-1], masked.bounds[1:])
    spans = pl.DataFrame(
        {"pair": pair.astype(np.uint32), "start": masked.starts[begin], "end": masked.ends[end - 1]}
    )
    pairs = masked.pairs.with_row_index("pair")
    return spans.join(pairs, on="pair", how="left", maintain_order="left").select(
        "record_id", "choice", "text_id", "start", "end"
    )


def _repeated(masked: Masked, begin: I64, end: I64) -> Bools:
    """Mark stretches that say the same few tokens over and over."""
    flags = np.zeros(len(begin), np.bool_)
    for i, (low, high) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        flags[i] = len(np.unique(masked.hashes[low:high])) < DISTINCT * (high - low)
    return flags
