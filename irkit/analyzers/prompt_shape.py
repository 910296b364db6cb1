"""What one prompt looks like on its own: what it asks for, about whom, and in which form.

Every feature is computed from token classes near the head and the tail of the text, because that is
where an instruction or an open completion stands; a long pasted document between them does not
matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers import lexicon as lx
from irkit.analyzers.blocks import Block, repetition

#: Tokens looked at on each end of a prompt.
WINDOW = 16
#: Masked tokens that make up the head and the tail of a template.
_HEAD, _TAIL = 6, 4
#: How near to an open end the word for the datum stands, with room for a long name between.
_NEAR_CONTACT, _NEAR_RELATION = 10, 5
#: Share of function words that running text in a known language has at least, and of words among
#: its tokens: an encoded payload falls into single letters, digits and marks, some of which are
#: words by chance.
_PROSE, _WORDS = 0.12, 0.5

ASK_NONE, ASK_CONTACT, ASK_ATTRIBUTE, ASK_SECRET = 0, 1, 2, 3

_SEED = np.uint64(0x9E3779B97F4A7C15)
_STOPS = np.frombuffer(b".?!", np.uint8)
_CLOSERS = np.frombuffer(b".?!)]};", np.uint8)
_QUOTES = np.frombuffer(b"\"'`", np.uint8)


@dataclass(frozen=True, slots=True)
class Shapes:
    """Per prompt, in block order.

    Attributes:
        tokens: length.
        run: tokens of the longest repeated run of words.
        forever: asks for endless repetition.
        ask: one of ``ASK_*``: identifiers of a person, a sensitive attribute, a secret.
        ask_open: the ask is an open completion (no question, no closing mark).
        ask_person: the ask names someone (capitalised name or an id number).
        ask_context: the person asked about stands elsewhere in the same prompt, too.
        target: hash of who or what is asked about.
        opened: ends like a text that wants to be continued.
        instructs: holds an instruction or a question.
        cloze: asks to complete, recite or unmask a passage.
        prose: running text (enough function words), not code, data or an encoding.
        aggregate: asks for shares or frequencies in the training data or customers.
        person: names someone anywhere (two capitalised words in a row, or an id number).
        head: hash of the first six tokens with names and numbers masked.
        tail: hash of the last four tokens with names and numbers masked.
    """

    tokens: NDArray[np.int32]
    run: NDArray[np.int32]
    forever: NDArray[np.bool_]
    ask: NDArray[np.int8]
    ask_open: NDArray[np.bool_]
    ask_person: NDArray[np.bool_]
    ask_context: NDArray[np.bool_]
    target: NDArray[np.uint64]
    opened: NDArray[np.bool_]
    instructs: NDArray[np.bool_]
    cloze: NDArray[np.bool_]
    prose: NDArray[np.bool_]
    aggregate: NDArray[np.bool_]
    person: NDArray[np.bool_]
    head: NDArray[np.uint64]
    tail: NDArray[np.uint64]


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finalise hashes so that sums and differences of them do not cancel (splitmix64)."""
    out = values + _SEED
    out ^= out >> np.uint64(30)
    out *= np.uint64(0xBF58476D1CE4E5B9)
    out ^= out >> np.uint64(27)
    out *= np.uint64(0x94D049BB133111EB)
    out ^= out >> np.uint64(31)
    return out


@dataclass(frozen=True, slots=True)
class _Ends:
    """Token indices of a window at one end of every text; ``inside`` marks real tokens."""

    index: NDArray[np.int64]
    inside: NDArray[np.bool_]

    def take(self, values: NDArray[Any], outside: object = 0) -> NDArray[Any]:
        return np.where(self.inside, values[self.index], np.array(outside, values.dtype))


def _window(block: Block, *, tail: bool, skip: NDArray[np.int64] | None = None) -> _Ends:
    step = np.arange(WINDOW)
    low, high = block.bounds[:-1, None], block.bounds[1:, None]
    if tail:
        index = high - WINDOW + step
        inside = index >= low if skip is None else index >= np.maximum(low, skip[:, None])
    else:
        index = low + step
        inside = index < high
    return _Ends(np.clip(index, 0, max(0, len(block.hashes) - 1)), inside)


def _names(block: Block) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark tokens that look like part of a name, and second words of a two-word name."""
    plain = block.upper & (block.bits == 0) & ~block.number
    before = np.zeros_like(plain)
    starts = np.ones(len(plain), np.bool_)
    if len(plain) > 1:
        same = block.doc[1:] == block.doc[:-1]
        before[1:] = plain[:-1] & same
        starts[1:] = ~same | np.isin(block.first[:-1], _STOPS) | (block.first[:-1] == 58)
    after = np.zeros_like(plain)
    after[:-1] = before[1:]
    return plain & (~starts | after), plain & before


def shapes(block: Block) -> Shapes:
    """Compute the shape of every prompt of a block."""
    docs = block.docs
    if not len(block.hashes):
        return _empty(docs)
    has = np.zeros(docs, np.bool_)
    has[block.sizes > 0] = True
    rep = repetition(block)
    run = np.where(rep.alphabetic, rep.tokens, 0)
    name, second = _names(block)
    bits = block.bits
    tail, head = _window(block, tail=True), _window(block, tail=False)
    tail_bits, head_bits = tail.take(bits), head.take(bits)
    last = np.clip(block.bounds[1:] - 1, 0, None)
    quoted = np.isin(block.first[last], _QUOTES) & (block.sizes > 1)
    last = np.where(quoted, last - 1, last)
    opened = has & ~np.isin(block.first[last], _CLOSERS) & (block.first[last] != 0xE2)
    asks: NDArray[np.bool_] = np.asarray(
        (tail.take(block.first) == 63).any(1) | (head.take(block.first) == 63).any(1), np.bool_
    )
    lead = head_bits[:, :6]
    commands = ((lead & (lx.INSTRUCT | lx.REVEAL)) > 0).any(1)
    commands |= ((tail_bits[:, 8:] & lx.INSTRUCT) > 0).any(1) & ~opened
    composes: NDArray[np.bool_] = np.asarray(((head_bits[:, :8] & lx.COMPOSE) > 0).any(1), np.bool_)
    ask = _asks(block, name, second, tail, head, opened, asks | commands, composes)
    verbs = block.any_by_doc((bits & lx.REPEAT) > 0)
    endless = block.any_by_doc((bits & lx.FOREVER) > 0)
    repeat = np.isin(block.hashes, _strong_repeat())
    units = block.any_by_doc((bits & lx.UNIT_WORD) > 0)
    forever = endless & (block.any_by_doc(repeat) | (verbs & units)) & (block.sizes < 400)
    cloze = _cloze(block, tail_bits, head_bits)
    aggregate = ((tail_bits | head_bits) & lx.AGGREGATE > 0).any(1)
    aggregate &= ((tail_bits | head_bits) & lx.DATASET > 0).any(1)
    first, final = _frames(block, name)
    return Shapes(
        block.sizes.astype(np.int32),
        run.astype(np.int32),
        forever,
        ask["kind"],
        ask["open"],
        ask["person"],
        ask["context"],
        ask["target"],
        opened,
        asks | commands,
        cloze,
        _prose(block),
        aggregate,
        block.any_by_doc(second) | (block.count_by_doc(block.number) >= 2),
        first,
        final,
    )


def _prose(block: Block) -> NDArray[np.bool_]:
    size = np.maximum(block.sizes, 1)
    common = block.count_by_doc((block.bits & lx.FUNCTION) > 0) >= _PROSE * size
    letters = block.count_by_doc(block.word & ~block.number) >= _WORDS * size
    return common & letters


def _strong_repeat() -> NDArray[np.uint64]:
    words = "repeat repeating repeatedly wiederhole wiederholen répète répéter repite repetir"
    return np.array([lx.word_hash(word) for word in words.split()], np.uint64)


def _cloze(block: Block, tail: NDArray[np.uint32], head: NDArray[np.uint32]) -> NDArray[np.bool_]:
    verb = (((head | tail) & lx.CLOZE_VERB) > 0).any(1)
    noun = (((head | tail) & lx.CLOZE_NOUN) > 0).any(1)
    masked = (block.bits & lx.MASK) > 0
    bracket = np.zeros_like(masked)
    bracket[1:] = (block.first[:-1] == 91) | (block.first[:-1] == 60)
    return (verb & noun) | block.any_by_doc(masked & bracket)


def _asks(
    block: Block,
    name: NDArray[np.bool_],
    second: NDArray[np.bool_],
    tail: _Ends,
    head: _Ends,
    opened: NDArray[np.bool_],
    commanded: NDArray[np.bool_],
    composes: NDArray[np.bool_],
) -> dict[str, NDArray[Any]]:
    docs = block.docs
    kind = np.zeros(docs, np.int8)
    is_open = np.zeros(docs, np.bool_)
    person = np.zeros(docs, np.bool_)
    context = np.zeros(docs, np.bool_)
    target = np.zeros(docs, np.uint64)
    numbers = block.number & (block.bits == 0)
    identity = name | numbers
    mixed = mix(block.hashes)
    for window, may_be_open in ((tail, True), (head, False)):
        bits = window.take(block.bits)
        who = window.take(identity, False)
        someone = window.take(second, False).any(1) | (window.take(numbers, False).sum(1) >= 2)
        word = window.take(block.word, False)
        plain = word & (bits == 0)
        contact = ((bits & lx.CONTACT) > 0).any(1)
        if may_be_open:
            # An open completion has its relation word right before the gap.
            near = ((bits[:, -_NEAR_CONTACT:] & lx.CONTACT) > 0).any(1)
            near |= ((bits[:, -_NEAR_RELATION:] & lx.RELATION) > 0).any(1)
            contact = np.where(opened & ~commanded, near, contact | (near & opened))
        attribute = ((bits & lx.SENSITIVE) > 0).any(1)
        secret = ((bits & lx.SECRET) > 0).sum(1) >= 2
        formed = (opened | commanded) if may_be_open else commanded
        found = np.select(
            [contact & who.any(1), attribute & someone, secret & plain.any(1), contact],
            [ASK_CONTACT, ASK_ATTRIBUTE, ASK_SECRET, ASK_CONTACT],
            ASK_NONE,
        )
        # A secret that is asked for is often "generated", which is no composing of a letter.
        valid = formed & plain.any(1) & (~composes | (found == ASK_SECRET))
        new = np.flatnonzero((kind == ASK_NONE) & (found != ASK_NONE) & valid)
        if not new.size:
            continue
        kind[new] = found[new]
        is_open[new] = opened[new] & may_be_open
        person[new] = who[new].any(1)
        chosen = np.where(person[new, None], who[new], plain[new])
        values = np.where(chosen, mixed[window.index[new]], np.uint64(0))
        target[new] = values.sum(1, dtype=np.uint64)
        context[new] = _elsewhere(block, new, window, who)
    return {"kind": kind, "open": is_open, "person": person, "context": context, "target": target}


def _elsewhere(
    block: Block, docs: NDArray[np.int64], window: _Ends, who: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether all names in the window also stand outside it, as in a question about given text."""
    part = block.select(docs)
    key = mix(part.hashes) ^ mix(part.doc.astype(np.uint64))
    inside = np.zeros(len(block.hashes), np.bool_)
    inside[window.index[docs][window.inside[docs]]] = True
    origin = np.repeat(block.bounds[docs] - part.bounds[:-1], part.sizes)
    outside = np.sort(key[~inside[origin + np.arange(len(part.hashes))]])
    if not outside.size:
        return np.zeros(len(docs), np.bool_)
    rows = mix(np.arange(len(docs), dtype=np.uint64))[:, None]
    wanted = mix(block.hashes[window.index[docs]]) ^ rows
    place = np.searchsorted(outside, wanted)
    place[place == len(outside)] = 0
    present = outside[place] == wanted
    names = who[docs]
    return np.asarray(names.any(1) & (present | ~names).all(1), np.bool_)


def _frames(block: Block, name: NDArray[np.bool_]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hash both ends of texts with names and numbers masked and runs of masks collapsed."""
    masked = name | block.number
    value = np.where(masked, np.uint64(7), mix(block.hashes))
    keep = np.ones(len(masked), np.bool_)
    keep[1:] = ~(masked[1:] & masked[:-1] & (block.doc[1:] == block.doc[:-1]))
    kept = np.flatnonzero(keep)
    bounds = np.searchsorted(kept, block.bounds)
    value, size = value[kept], np.diff(bounds)
    position = np.arange(len(kept)) - np.repeat(bounds[:-1], size)
    from_end = np.repeat(bounds[1:], size) - 1 - np.arange(len(kept))
    out = []
    for place, reach in ((position, _HEAD), (from_end, _TAIL)):
        inside = place < reach
        part = np.zeros(len(kept), np.uint64)
        part[inside] = mix(value[inside] ^ mix(place[inside].astype(np.uint64)))
        out.append(_sum_by(part, bounds))
    return out[0], out[1]


def _sum_by(values: NDArray[np.uint64], bounds: NDArray[np.int64]) -> NDArray[np.uint64]:
    total = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values, out=total[1:])
    return total[bounds[1:]] - total[bounds[:-1]]


def _empty(docs: int) -> Shapes:
    no, key = np.zeros(docs, np.bool_), np.zeros(docs, np.uint64)
    return Shapes(
        tokens=np.zeros(docs, np.int32),
        run=np.zeros(docs, np.int32),
        forever=no,
        ask=np.zeros(docs, np.int8),
        ask_open=no,
        ask_person=no,
        ask_context=no,
        target=key,
        opened=no,
        instructs=no,
        cloze=no,
        prose=no,
        aggregate=no,
        person=no,
        head=key,
        tail=key,
    )
