"""Find every passage that texts of a case share with training documents.

The texts (responses, prompts) are indexed at a stride, the corpus is streamed once and probed at
every position.  With k-grams of 13 tokens at every 13th position, a shared run of 25 tokens or more
holds at least one indexed k-gram, so it is found with certainty; no fingerprint selection, no
suffix array.  Hits on the same diagonal are chained, the chain is extended token by token to its
maximal run, and each run is compared byte by byte, so a hash collision can cost time but never
produce a match.  Source: fingerprinting by k-grams (Schleimer, Wilkerson and Aiken 2003); the
asymmetric stride replaces winnowing because the other side is probed everywhere.

Also found: tails of prompts of at least 8 tokens (a prefix probe ends inside a document), short
documents of 8 tokens or more lying whole in a text, and shorter prompts that equal a document.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from irkit.analyzers.corpus_index import GRAM, LONG_RUN, TAIL, TINY, Block, Characters, TextSet
from irkit.analyzers.corpus_tokens import I64, U64, Bools, Tokens, kgrams, tokenise

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Runs:
    """Maximal shared runs; token indexes are global to the text set and the block."""

    t0: I64
    t1: I64
    c0: I64
    c1: I64

    def __len__(self) -> int:
        return len(self.t0)

    def take(self, chosen: I64 | Bools) -> Runs:
        """Return some of the runs."""
        return Runs(self.t0[chosen], self.t1[chosen], self.c0[chosen], self.c1[chosen])


def find_runs(texts: TextSet, block: Tokens) -> Runs:
    """Find all maximal runs that a text shares with a document of the block.

    Returns:
        Unverified runs (hash-equal tokens), each once, ordered by (c0, t0).
    """
    found: list[Runs] = []
    gram, eight = kgrams(block.hashes, [GRAM, TAIL])
    for index, grams, size in ((texts.main, gram, GRAM), (texts.tails, eight, TAIL)):
        if not len(index) or not len(grams):
            continue
        where = index.candidates(grams)
        for c, t in index.pairs(grams[where], where):
            found.append(grow(texts.tokens, block, t, c, size))
    found.extend(_short_documents(texts, block, eight))
    if not found:
        none = np.empty(0, np.int64)
        return Runs(none, none, none, none)
    t0, t1, c0, c1 = (
        np.concatenate([getattr(runs, name) for runs in found]) for name in ("t0", "t1", "c0", "c1")
    )
    # A maximal run is named by where it begins on both sides.
    _, once = np.unique(c0 * (len(texts.tokens) + 1) + t0, return_index=True)
    return Runs(t0[once], t1[once], c0[once], c1[once])


def grow(texts: Tokens, block: Tokens, t: I64, c: I64, size: int) -> Runs:
    """Chain equal k-grams on one diagonal and extend each chain to its maximal run."""
    text = np.searchsorted(texts.bounds, t, "right") - 1
    doc = np.searchsorted(block.bounds, c, "right") - 1
    inside = (c + size <= block.bounds[doc + 1]) & (t + size <= texts.bounds[text + 1])
    t, c, text, doc = t[inside], c[inside], text[inside], doc[inside]
    order = np.lexsort((t, c - t))
    t, c, text, doc = t[order], c[order], text[order], doc[order]
    # Neighbours that overlap or touch on the diagonal belong to one run.
    step = np.diff(t)
    linked = (np.diff(c - t) == 0) & (step <= size) & (np.diff(text) == 0) & (np.diff(doc) == 0)
    head = np.flatnonzero(np.concatenate([[True], ~linked])) if len(t) else np.empty(0, np.int64)
    tail = np.append(head[1:] - 1, len(t) - 1) if len(t) else head
    t0, c0, t1, c1 = t[head], c[head], t[tail] + size, c[tail] + size
    text, doc = text[head], doc[head]
    back = np.minimum(t0 - texts.bounds[text], c0 - block.bounds[doc])
    ahead = np.minimum(texts.bounds[text + 1] - t1, block.bounds[doc + 1] - c1)
    left = _reach(texts.hashes, block.hashes, t0 - 1, c0 - 1, back, -1)
    right = _reach(texts.hashes, block.hashes, t1, c1, ahead, 1)
    return Runs(t0 - left, t1 + right, c0 - left, c1 + right)


def _reach(texts: U64, block: U64, t: I64, c: I64, room: I64, way: int) -> I64:
    """Count equal tokens from (t, c) onwards in direction ``way``, at most ``room``."""
    width = 8
    got = np.zeros(len(t), np.int64)
    active = np.flatnonzero(room > 0)
    offsets = np.arange(width)
    while active.size:
        along = got[active][:, None] + offsets
        valid = along < room[active][:, None]
        a = np.clip(t[active][:, None] + way * along, 0, len(texts) - 1)
        b = np.clip(c[active][:, None] + way * along, 0, len(block) - 1)
        equal = (texts[a] == block[b]) & valid
        run = np.where(equal.all(1), width, equal.argmin(1))
        got[active] += run
        active = active[run == width]
    return got


def _short_documents(texts: TextSet, block: Tokens, eight: U64) -> Iterator[Runs]:
    """Find documents below the certain length that lie whole in a text or equal a prompt."""
    size = np.diff(block.bounds)
    short = np.flatnonzero((size >= TAIL) & (size < LONG_RUN))
    if short.size:
        begin = block.bounds[:-1][short]
        maybe = begin[texts.short.candidates(eight[begin])]
        for c, t in texts.short.pairs(eight[maybe], maybe):
            runs = grow(texts.tokens, block, t, c, TAIL)
            doc = np.searchsorted(block.bounds, runs.c0, "right") - 1
            whole = (runs.c0 == block.bounds[doc]) & (runs.c1 == block.bounds[doc + 1])
            yield runs.take(whole)
    for n in range(TINY, TAIL):
        begin = block.bounds[:-1][size == n]
        index = texts.tiny(n) if begin.size else None
        if index is None or not len(index):
            continue
        grams = kgrams(block.hashes, [n])[0][begin]
        maybe = index.candidates(grams)
        for c, t in index.pairs(grams[maybe], begin[maybe]):
            yield Runs(t, t + n, c, c + n)


#: Columns of :func:`scan`'s result.
COLUMNS = (
    "text", "prompt", "response", "t_start", "t_end", "tokens", "doc", "d_start", "d_end",
    "is_tail", "whole_doc",
)  # fmt: skip


def scan(texts: TextSet, block: Block) -> pa.Table:
    """Match one block of the corpus against all texts; a pure function.

    Returns:
        One row per verified maximal run: ``text`` (index in the set), ``prompt`` and ``response``
        (whether the run counts in that role), character offsets in text and document, ``tokens``,
        ``doc`` (number of the document in the corpus), ``is_tail`` and ``whole_doc``.
    """
    import pyarrow as pa

    tokens = tokenise(block.raw, block.breaks)
    runs = find_runs(texts, tokens) if len(tokens) else None
    if runs is None or not len(runs):
        return pa.table({name: pa.array([], _TYPES.get(name, "int64")) for name in COLUMNS})
    text = np.searchsorted(texts.tokens.bounds, runs.t0, "right") - 1
    doc = np.searchsorted(tokens.bounds, runs.c0, "right") - 1
    t_end, d_end = texts.tokens.ends[runs.t1 - 1], tokens.ends[runs.c1 - 1]
    cut = _cut_words(texts, block, tokens, runs, text, doc)
    t_end, d_end = t_end + cut, d_end + cut
    is_tail = (runs.t1 >= texts.goal[text]) | (cut > 0)
    first, last = tokens.bounds[doc], tokens.bounds[doc + 1] - 1
    d_start = tokens.starts[runs.c0]
    full = tokens.ends[last] - tokens.starts[first]
    whole = (d_end - d_start >= 0.9 * full) & (not block.part)
    long = runs.t1 - runs.t0 >= LONG_RUN
    kept_short = whole & (runs.t1 - runs.t0 >= TAIL)
    as_response = texts.response[text] & (long | kept_short)
    as_prompt = texts.prompt[text] & (long | whole | (is_tail & (runs.t1 - runs.t0 >= TAIL)))
    keep = np.flatnonzero(as_response | as_prompt)
    keep = keep[_verified(texts, block, tokens, runs.take(keep))]
    text, doc = text[keep], doc[keep]
    t_chars = texts.characters
    d_chars = Characters(block.raw)
    return pa.table(
        {
            "text": text,
            "prompt": as_prompt[keep],
            "response": as_response[keep],
            "t_start": t_chars.between(texts.breaks[text], texts.tokens.starts[runs.t0[keep]]),
            "t_end": t_chars.between(texts.breaks[text], t_end[keep]),
            "tokens": (runs.t1 - runs.t0)[keep],
            "doc": doc + block.first,
            "d_start": d_chars.between(block.breaks[doc], d_start[keep]) + block.char_base,
            "d_end": d_chars.between(block.breaks[doc], d_end[keep]) + block.char_base,
            "is_tail": is_tail[keep],
            "whole_doc": whole[keep],
        }
    )


_TYPES = dict.fromkeys(("prompt", "response", "is_tail", "whole_doc"), "bool")


def _cut_words(
    texts: TextSet, block: Block, tokens: Tokens, runs: Runs, text: I64, doc: I64
) -> I64:
    """Bytes by which a run reaches into its text's last word where the text was cut inside it."""
    cut = np.zeros(len(runs), np.int64)
    near = (runs.t1 == texts.goal[text] - 1) & texts.whole_word[text]
    near &= runs.c1 < tokens.bounds[doc + 1]
    for i in np.flatnonzero(near).tolist():
        begin = int(texts.tokens.starts[runs.t1[i]])
        piece = texts.raw[begin : int(texts.tokens.ends[runs.t1[i]])]
        at = int(tokens.starts[runs.c1[i]])
        if block.raw.startswith(piece, at):
            # Only where the same white space lies before it can the offsets move alike.
            gap_t = begin - int(texts.tokens.ends[runs.t1[i] - 1])
            gap_d = at - int(tokens.ends[runs.c1[i] - 1])
            cut[i] = gap_t + len(piece) if gap_t == gap_d else 0
    return cut


def _verified(texts: TextSet, block: Block, tokens: Tokens, runs: Runs) -> Bools:
    """Compare each run's bytes; only white space between tokens may differ."""
    ok = np.ones(len(runs), np.bool_)
    t_from, t_to = texts.tokens.starts[runs.t0], texts.tokens.ends[runs.t1 - 1]
    c_from, c_to = tokens.starts[runs.c0], tokens.ends[runs.c1 - 1]
    spans = zip(t_from.tolist(), t_to.tolist(), c_from.tolist(), c_to.tolist(), strict=True)
    for i, (a, b, c, d) in enumerate(spans):
        if texts.raw[a:b] == block.raw[c:d]:
            continue
        one, two = slice(runs.t0[i], runs.t1[i]), slice(runs.c0[i], runs.c1[i])
        lengths = texts.tokens.ends[one] - texts.tokens.starts[one]
        ok[i] = np.array_equal(lengths, tokens.ends[two] - tokens.starts[two]) and (
            "".join(texts.raw[a:b].decode("utf-8", "replace").split())
            == "".join(block.raw[c:d].decode("utf-8", "replace").split())
        )
    return ok
