"""How the prompts of one actor relate to each other: copies, slot grids, perturbation groups.

All work is inside *partitions* (an actor's distinct prompts in time order), on whole blocks of
partitions at once.  Three relations are found:

* **near duplicates**: MinHash over token 3-grams (2-grams in short prompts) with 8 bands of 3 rows,
  so that pairs meet with even odds at Jaccard 0.5; estimated Jaccard must reach 0.45.
* **slot groups**: prompts that are equal but for one slot of up to four tokens.  A group's values
  are *closed* where the same values recur over other groups: enumeration of an attribute.
* **perturbation groups**: prompts that share most of their rare tokens (names, numbers and
  specific words survive a paraphrase) but differ in more than one place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers import lexicon as lx
from irkit.analyzers.blocks import Block
from irkit.analyzers.corpus_tokens import BASE
from irkit.analyzers.prompt_shape import mix

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

BANDS, ROWS = 8, 3
HASHES = BANDS * ROWS
#: Minimum share of equal MinHash values for a near duplicate.
SIMILAR = 0.45
#: Longest slot in tokens.
SLOT = 4
#: Groups larger than this are a template's open slot, not an enumeration.
SLOT_VALUES = 40
#: Prompts longer than this are no slot grid that could be read off one place.
_SLOT_TOKENS = 400
#: A token shared by more prompts than this is part of the template.
RARE_MAX = 24
#: Rare tokens kept per prompt, and the share of them that group members must have in common.
RARE_KEPT = 8
#: Tokens looked at on each side of a prompt for rare tokens.
_RARE_REACH = 96
#: Shared prefix plus suffix above this share of the prompt means: differs in one place only.
_ONE_PLACE = 0.75


@dataclass(frozen=True, slots=True)
class Relations:
    """Per prompt of a block.

    Attributes:
        near: id of the near-duplicate component (0: alone).
        slot_group: id of the slot group (0: in none).
        slot_closed: the group repeats the values of other groups.
        slot_sensitive: the slot's value, or the words before it, name a sensitive attribute.
        variants: id of the perturbation group (0: in none).
        grows: continues the actor's previous prompt (typing along, or retrying with more context).
    """

    near: U64
    slot_group: U64
    slot_closed: Bools
    slot_sensitive: Bools
    variants: U64
    grows: Bools


@dataclass(frozen=True, slots=True)
class _Prefixes:
    """Constant-time hashes of any prefix or suffix of any text of a block."""

    block: Block
    running: U64
    inverse: U64

    @classmethod
    def of(cls, block: Block) -> _Prefixes:
        count = len(block.hashes)
        power = _powers(BASE, count + 1)
        running = np.zeros(count + 1, np.uint64)
        np.cumsum(mix(block.hashes) * power[:count], out=running[1:])
        return cls(block, running, _powers(pow(BASE, -1, 1 << 64), count + 1))

    def between(self, start: I64, end: I64) -> U64:
        """Hash tokens ``start..end`` of the block, wherever they lie."""
        return (self.running[end] - self.running[start]) * self.inverse[start]

    def prefix(self, doc: I64, length: I64) -> U64:
        start = self.block.bounds[doc]
        return self.between(start, start + length)

    def suffix(self, doc: I64, length: I64) -> U64:
        end = self.block.bounds[doc + 1]
        return self.between(end - length, end)

    def common(self, a: I64, b: I64, *, tail: bool) -> I64:
        """Length of the common prefix (or suffix) of pairs of texts, by binary search."""
        side = self.suffix if tail else self.prefix
        low = np.zeros(len(a), np.int64)
        high = np.minimum(self.block.sizes[a], self.block.sizes[b])
        while (low < high).any():
            middle = (low + high + 1) >> 1
            same = side(a, middle) == side(b, middle)
            low = np.where(same, middle, low)
            high = np.where(same, high, middle - 1)
        return low


def _powers(base: int, count: int) -> U64:
    """Return ``base**0 .. base**(count-1)`` modulo 2**64 by doubling."""
    out = np.ones(max(1, count), np.uint64)
    done = 1
    while done < count:
        step = min(done, count - done)
        out[done : done + step] = out[:step] * np.uint64(pow(base, done, 1 << 64))
        done += step
    return out[:count]


def relations(block: Block, part: I64) -> Relations:
    """Relate the prompts of each partition.

    Args:
        block: distinct prompts, partition by partition, in time order inside each.
        part: partition of each prompt, ascending.
    """
    docs = block.docs
    none = np.zeros(docs, np.uint64)
    if not len(block.hashes) or docs < 2:
        no = np.zeros(docs, np.bool_)
        return Relations(none, none, no, no, none, no)
    salt = mix(part.astype(np.uint64) + np.uint64(1))
    prefixes = _Prefixes.of(block)
    grows = _growing(block, part, prefixes)
    near = _near_duplicates(block, salt)
    slots = _slot_groups(block, part, salt, prefixes)
    variants = _variants(block, salt, prefixes, grows)
    return Relations(near, *slots, variants, grows)


def _growing(block: Block, part: I64, prefixes: _Prefixes) -> Bools:
    grows = np.zeros(block.docs, np.bool_)
    before = np.flatnonzero(part[1:] == part[:-1])
    after = before + 1
    shared = prefixes.common(before, after, tail=False)
    old, new = block.sizes[before], block.sizes[after]
    # The last token of a text that is being typed may still change.
    grows[after] = (shared >= old - 1) & (new > old) & (shared > 0)
    return grows


def components(docs: int, a: I64, b: I64, salt: U64) -> U64:
    """Return a component id per text (0: alone), stable under the order of the edges."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    out = np.zeros(docs, np.uint64)
    if not a.size:
        return out
    graph = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(docs, docs))
    _, label = connected_components(graph, directed=False)
    touched = np.zeros(docs, np.bool_)
    touched[a] = touched[b] = True
    ids = mix(label.astype(np.uint64)) ^ salt
    out[touched] = ids[touched] | np.uint64(1)
    return out


def _repeated(key: U64) -> I64:
    """Return, ascending, all places whose key may occur twice: most others need no sorting."""
    bucket = (key >> np.uint64(48)).astype(np.int64)
    return np.flatnonzero(np.bincount(bucket, minlength=1 << 16)[bucket] > 1)


def _near_duplicates(block: Block, salt: U64) -> U64:
    size = block.sizes
    grams = np.where(size >= 20, 3, np.where(size >= 2, 2, 1))
    count = np.maximum(size - grams + 1, 0)
    live = np.flatnonzero(count > 0)
    if live.size < 2:
        return np.zeros(block.docs, np.uint64)
    bounds = np.zeros(len(live) + 1, np.int64)
    np.cumsum(count[live], out=bounds[1:])
    at = np.repeat(block.bounds[live] - bounds[:-1], count[live]) + np.arange(bounds[-1])
    h = mix(block.hashes)
    gram = h[at]
    reach = np.repeat(grams[live], count[live])
    top = len(h) - 1
    for step in (1, 2):
        more = h[np.minimum(at + step, top)] * np.uint64(2 * step + 1)
        gram += np.where(reach > step, more, np.uint64(0))
    sketch = np.empty((HASHES, len(live)), np.uint32)
    value = np.empty_like(gram)
    for row in range(HASHES):
        factor = np.uint64((BASE * (2 * row + 3)) & ((1 << 64) - 1) | 1)
        np.multiply(gram, factor, out=value)
        # The upper half of the least value is the least upper half.
        sketch[row] = np.minimum.reduceat(value, bounds[:-1]) >> np.uint64(32)
    left: list[I64] = []
    right: list[I64] = []
    for band in range(BANDS):
        rows = sketch[band * ROWS : (band + 1) * ROWS].astype(np.uint64)
        key = mix(mix(rows[0] ^ (rows[1] << np.uint64(32))) ^ rows[2]) ^ salt[live]
        order = _repeated(key)
        order = order[np.argsort(key[order], kind="stable")]
        same = np.flatnonzero(key[order][1:] == key[order][:-1])
        a, b = order[same], order[same + 1]
        alike = (sketch[:, a] == sketch[:, b]).mean(0) >= SIMILAR
        left.append(a[alike])
        right.append(b[alike])
    a, b = np.concatenate(left), np.concatenate(right)
    return components(block.docs, live[a], live[b], salt)


def _shared_length(prefixes: _Prefixes, docs: I64, salt: U64, *, tail: bool) -> I64:
    """Longest prefix (suffix) that at least three texts of the partition share, per text."""
    side = prefixes.suffix if tail else prefixes.prefix
    size = prefixes.block.sizes[docs]
    low = np.zeros(len(docs), np.int64)
    step = 1 << max(0, int(size.max(initial=1)).bit_length() - 1)
    # Sharing is monotone in length, so the answer is built bit by bit; texts whose candidate is
    # longer than themselves simply fail that bit.
    while step:
        candidate = low + step
        alive = np.flatnonzero(candidate <= size)
        if alive.size:
            key = side(docs[alive], candidate[alive])
            key = mix(key ^ mix(candidate[alive].astype(np.uint64))) ^ salt[docs[alive]]
            _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
            ok = alive[counts[inverse] >= 3]
            low[ok] = candidate[ok]
        step >>= 1
    return low


def _slot_groups(
    block: Block, part: I64, salt: U64, prefixes: _Prefixes
) -> tuple[U64, Bools, Bools]:
    docs = block.docs
    group = np.zeros(docs, np.uint64)
    closed, sensitive = np.zeros(docs, np.bool_), np.zeros(docs, np.bool_)
    crowd = np.bincount(part - part.min())[part - part.min()]
    size = block.sizes
    live = np.flatnonzero((crowd >= 4) & (size >= 3) & (size <= _SLOT_TOKENS))
    if not live.size:
        return group, closed, sensitive
    head = _shared_length(prefixes, live, salt, tail=False)
    tail = _shared_length(prefixes, live, salt, tail=True)
    slotted = head + tail >= size[live] - SLOT
    live, head, tail = live[slotted], head[slotted], tail[slotted]
    if not live.size:
        return group, closed, sensitive
    n = size[live]
    low = np.maximum(0, n - tail - SLOT)
    width = np.maximum(head - low + 1, 0)
    owner = np.repeat(np.arange(len(live)), width)
    start = np.repeat(low - np.concatenate([[0], np.cumsum(width)[:-1]]), width) + np.arange(
        int(width.sum())
    )
    cuts: list[tuple[I64, I64, I64]] = []
    for length in range(1, SLOT + 1):
        end = start + length
        fits = (end >= (n - tail)[owner]) & (end <= n[owner]) & (start + n[owner] - end >= 2)
        cuts.append((owner[fits], start[fits], end[fits]))
    owner, start, end = (np.concatenate([cut[i] for cut in cuts]) for i in range(3))
    doc = live[owner]
    base = block.bounds[doc]
    key = mix(prefixes.prefix(doc, start) ^ mix(start.astype(np.uint64)))
    key = mix(key ^ prefixes.suffix(doc, n[owner] - end)) ^ salt[doc]
    held = prefixes.between(base + start, base + end)
    return _choose_slots(block, salt, key, held, doc, base + start, base + end)


def _choose_slots(
    block: Block, salt: U64, key: U64, held: U64, doc: I64, start: I64, end: I64
) -> tuple[U64, Bools, Bools]:
    """Keep, per prompt, the group whose values recur most over other groups."""
    docs = block.docs
    group = np.zeros(docs, np.uint64)
    closed, sensitive = np.zeros(docs, np.bool_), np.zeros(docs, np.bool_)
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    size = counts[inverse]
    keep = (size >= 2) & (size <= SLOT_VALUES)
    key, held, doc, start = key[keep], held[keep], doc[keep], start[keep]
    end, size, inverse = end[keep], size[keep], inverse[keep]
    if not key.size:
        return group, closed, sensitive
    # In how many of the actor's groups does each value occur?
    _, at, recur = np.unique(mix(held) ^ salt[doc], return_inverse=True, return_counts=True)
    recurs = recur[at]
    groups = int(inverse.max()) + 1
    members = np.bincount(inverse, minlength=groups)
    recurring = np.bincount(inverse, weights=(recurs >= 3), minlength=groups)
    is_closed = (recurring >= 0.8 * members) & (members >= 2)
    rank = np.where(is_closed[inverse], recurs, 0)
    # Prefer closed groups, then values that recur most (the attribute, not the target), then the
    # larger group, then a fixed order.
    order = np.lexsort((key, start, -size, -rank, doc))
    first = np.ones(len(order), np.bool_)
    first[1:] = doc[order][1:] != doc[order][:-1]
    pick = order[first]
    which = doc[pick]
    group[which] = key[pick] | np.uint64(1)
    closed[which] = is_closed[inverse[pick]]
    marked = np.zeros(len(block.bits) + 1, np.int64)
    np.cumsum((block.bits & lx.SENSITIVE) > 0, out=marked[1:])
    context = np.maximum(start[pick] - 6, block.bounds[which])
    sensitive[which] = marked[end[pick]] > marked[context]
    return group, closed, sensitive


def _variants(block: Block, salt: U64, prefixes: _Prefixes, grows: Bools) -> U64:
    position = np.arange(len(block.hashes)) - block.bounds[block.doc]
    from_end = block.bounds[block.doc + 1] - 1 - np.arange(len(block.hashes))
    useful = block.word & ((block.bits & (lx.FUNCTION | lx.INSTRUCT)) == 0)
    useful &= (position < _RARE_REACH) | (from_end < _RARE_REACH)
    token = np.flatnonzero(useful & ~grows[block.doc])
    none = np.zeros(block.docs, np.uint64)
    if token.size < 6:
        return none
    doc = block.doc[token]
    key = mix(block.hashes[token]) ^ salt[doc]
    order = np.argsort(key, kind="stable")
    key, doc = key[order], doc[order]
    fresh = np.ones(len(key), np.bool_)
    fresh[1:] = (key[1:] != key[:-1]) | (doc[1:] != doc[:-1])
    key, doc = key[fresh], doc[fresh]
    begin = np.ones(len(key), np.bool_)
    begin[1:] = key[1:] != key[:-1]
    run = np.cumsum(begin) - 1
    df = np.bincount(run)[run]
    rare = np.flatnonzero((df >= 2) & (df <= RARE_MAX))
    if rare.size < 6:
        return none
    key, doc, df = key[rare], doc[rare], df[rare]
    order = np.lexsort((key, df, doc))
    key, doc = key[order], doc[order]
    first = np.searchsorted(doc, doc, side="left")
    kept = np.arange(len(doc)) - first < RARE_KEPT
    key, doc = key[kept], doc[kept]
    held = np.bincount(doc, minlength=block.docs)
    a, b, shared = _pairs(key, doc)
    enough = (shared >= 3) & (shared >= 0.5 * np.minimum(held[a], held[b]))
    a, b = a[enough], b[enough]
    if not a.size:
        return none
    outer = prefixes.common(a, b, tail=False) + prefixes.common(a, b, tail=True)
    spread = outer < _ONE_PLACE * np.maximum(block.sizes[a], block.sizes[b])
    # Near-verbatim pastes of one long document into different questions are no perturbations:
    # paraphrases keep length.
    ratio = block.sizes[a] / np.maximum(block.sizes[b], 1)
    spread &= (ratio > 0.6) & (ratio < 1.67)
    return components(block.docs, a[spread], b[spread], salt)


def _pairs(key: U64, doc: I64) -> tuple[I64, I64, I64]:
    """All pairs of texts that share a key, with the number of keys they share."""
    order = np.lexsort((doc, key))
    key, doc = key[order], doc[order]
    begin = np.ones(len(key), np.bool_)
    begin[1:] = key[1:] != key[:-1]
    starts = np.flatnonzero(begin)
    size = np.diff(np.append(starts, len(key)))
    position = np.arange(len(key)) - np.repeat(starts, size)
    parts: list[tuple[I64, I64]] = []
    for gap in range(1, int(size.max(initial=1))):
        second = np.flatnonzero(position >= gap)
        parts.append((doc[second - gap], doc[second]))
    if not parts:
        empty = np.zeros(0, np.int64)
        return empty, empty, empty
    a = np.concatenate([p[0] for p in parts])
    b = np.concatenate([p[1] for p in parts])
    packed, counts = np.unique((a << np.int64(32)) | b, return_counts=True)
    mask = np.int64(0xFFFFFFFF)
    return packed >> np.int64(32), packed & mask, counts.astype(np.int64)
