"""Tokens and rolling hashes over whole blocks of text, without a Python step per token.

A token is a maximal run of word characters (letters, marks, digits, connector punctuation of
Unicode) or one other character that is not white space.  Scripts written without spaces between
words (Han, Kana, Thai, Lao, Khmer, Burmese, Tibetan) give one token per character: a "maximal run"
there would be a whole sentence, and a passage cut at another place would share no token.

Everything works on the UTF-8 bytes of many documents at once (``uint8``), so that Arrow string
buffers are used as they are.  Hashes are ``uint64`` with wrap-around.
"""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

SPACE, WORD, OTHER, OTHER_REST = 0, 1, 2, 3

#: Odd base of the polynomial hash; odd makes every power invertible modulo 2**64.
BASE = 0x9E3779B97F4A7C15
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_LENGTH = np.uint64(0xD6E8FEB86659FD93)
_MASKS = np.array([(1 << (8 * n)) - 1 for n in range(9)], np.uint64)
#: Words longer than this many bytes are hashed one by one; they are rare by construction.
_LONG_WORD = 256
#: First and last code points of scripts that put no spaces between words.
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19FF),
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3040, 0x30FF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F), (0x1B000, 0x1B16F), (0x20000, 0x323AF),
)  # fmt: skip


@lru_cache(maxsize=2)
def _classes(words_only: bool) -> U8:
    """Class of every code point: SPACE, WORD or OTHER; with ``words_only`` marks are SPACE."""
    table = np.full(sys.maxunicode + 1, OTHER, np.uint8)
    every = "".join(map(chr, range(0xD800))) + "\ufffd" * 0x800
    every += "".join(map(chr, range(0xE000, sys.maxunicode + 1)))
    for run in re.finditer(r"\w+", every):
        table[run.start() : run.end()] = WORD
    for run in re.finditer(r"\s+", every):
        table[run.start() : run.end()] = SPACE
    # Marks belong to the letter before them, and connectors to the word (UTS 18, annex C), but
    # Python's \w knows neither.
    for low, high in ((0x300, 0x1F000), (0xE0100, 0xE01F0)):
        for point in range(low, high):
            if table[point] == OTHER and unicodedata.category(chr(point)) in ("Mn", "Mc", "Pc"):
                table[point] = WORD
    if words_only:
        table[table == OTHER] = SPACE
    for low, high in _UNSPACED:
        part = table[low : high + 1]
        part[part == WORD] = OTHER
    return table


@lru_cache(maxsize=2)
def _ascii_classes(words_only: bool) -> bytes:
    return _classes(words_only)[:128].tobytes() + bytes(128)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of a block of documents, in order.

    Attributes:
        starts: byte offset of each token in the block.
        ends: byte offset one past each token.
        hashes: 64-bit hash of each token's bytes.
        bounds: token index at which each document begins, plus the total at the end.
    """

    starts: I64
    ends: I64
    hashes: U64
    bounds: I64

    def __len__(self) -> int:
        return len(self.starts)


def tokenise(raw: bytes, breaks: I64, *, words_only: bool = False) -> Tokens:
    """Cut a block of concatenated UTF-8 documents into tokens.

    Args:
        raw: the documents' bytes one after the other.
        breaks: byte offset of each document's beginning, plus the length of ``raw`` at the end;
            no token crosses one.
        words_only: leave out punctuation and symbols.
    """
    kinds = np.frombuffer(raw.translate(_ascii_classes(words_only)), np.uint8)
    multibyte = not raw.isascii()
    if multibyte:
        kinds = _classify_multibyte(np.frombuffer(raw, np.uint8), kinds, _classes(words_only))
    word = kinds == WORD
    first = word.copy()
    first[1:] &= ~word[:-1]
    last = word.copy()
    last[:-1] &= ~word[1:]
    other = kinds == OTHER
    first |= other
    if multibyte:
        rest = kinds == OTHER_REST
        tail = other | rest
        # Invalid bytes may leave a rest without its beginning; it then is a token of its own.
        rest[1:] &= ~tail[:-1]
        first |= rest
        tail[:-1] &= kinds[1:] != OTHER_REST
        last |= tail
    else:
        last |= other
    inner = breaks[(breaks > 0) & (breaks < len(raw))]
    joined = inner[word[inner] & word[inner - 1]]
    first[joined] = True
    last[joined - 1] = True
    starts = np.flatnonzero(first)
    ends = np.flatnonzero(last) + 1
    return Tokens(starts, ends, _hash_tokens(raw, starts, ends), np.searchsorted(starts, breaks))


def _classify_multibyte(data: U8, kinds: U8, table: U8) -> U8:
    """Fill in the classes of characters outside ASCII; invalid bytes count as OTHER."""
    kinds = kinds.copy()
    lead = np.flatnonzero(data >= 0xC0)
    length = np.where(data[lead] < 0xE0, 2, np.where(data[lead] < 0xF0, 3, 4))
    padded = np.concatenate([data, np.zeros(3, np.uint8)])
    for size, mask in ((2, 0x1F), (3, 0x0F), (4, 0x07)):
        at = lead[length == size]
        point = padded[at].astype(np.int64) & mask
        for step in range(1, size):
            point = (point << 6) | (padded[at + step] & 0x3F)
        kind = table[np.minimum(point, sys.maxunicode)]
        kinds[at] = kind
        rest = np.where(kind == OTHER, OTHER_REST, kind)
        for step in range(1, size):
            inside = at + step < len(data)
            kinds[at[inside] + step] = rest[inside]
    return kinds


def _hash_tokens(raw: bytes, starts: I64, ends: I64) -> U64:
    """Hash each token eight bytes at a time through two aligned loads."""
    words = np.frombuffer(raw + bytes(16 + (-len(raw)) % 8), "<u8")
    length = ends - starts
    hashes = _load(words, starts, length) ^ (length.view(np.uint64) * _LENGTH)
    hashes *= _MIX1
    hashes ^= hashes >> np.uint64(32)
    left = np.flatnonzero(length > 8)
    step = 8
    while left.size and step < _LONG_WORD:
        part = hashes[left] * _MIX2
        part ^= _load(words, starts[left] + step, length[left] - step)
        part *= _MIX1
        hashes[left] = part ^ (part >> np.uint64(32))
        step += 8
        left = left[length[left] > step]
    for at in left.tolist():
        digest = hashlib.blake2b(raw[starts[at] : ends[at]], digest_size=8).digest()
        hashes[at] = int.from_bytes(digest, "little")
    return hashes


def _load(words: U64, at: I64, length: I64) -> U64:
    index = at >> 3
    shift = ((at & 7) << 3).view(np.uint64)
    value: U64 = words[index] >> shift
    # Shifting by 64 is undefined, so by one and then by up to 63.
    value |= (words[index + 1] << np.uint64(1)) << (np.uint64(63) - shift)
    value &= _MASKS[np.minimum(length, 8)]
    return value


def kgrams(hashes: U64, sizes: Sequence[int]) -> list[U64]:
    """Polynomial hashes of all k-grams, for several k at once, by doubling.

    ``H[2m][i] = H[m][i] * B**m + H[m][i+m]`` gives powers of two in O(n log k); other sizes are put
    together from them.  Source: Karp and Rabin 1987, in the vectorised form of irkit's own design.

    Args:
        hashes: one value per token.
        sizes: k-gram lengths, at least 1.

    Returns:
        One array per size, of length ``max(0, n - k + 1)``.
    """
    powers: dict[int, U64] = {1: hashes}
    size = 1
    while size * 2 <= max(sizes) and size * 2 <= len(hashes):
        half = powers[size]
        powers[size * 2] = half[:-size] * _power(size) + half[size:]
        size *= 2
    result = []
    for k in sizes:
        count = len(hashes) - k + 1
        if count <= 0:
            result.append(np.empty(0, np.uint64))
            continue
        done, acc = 0, np.zeros(0, np.uint64)
        for bit in reversed(range(k.bit_length())):
            m = 1 << bit
            if not k & m:
                continue
            part = powers[m][done : done + count]
            acc = part if done == 0 else acc * _power(m) + part
            done += m
        result.append(acc)
    return result


def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(BASE, exponent, 1 << 64))


def degenerate(hashes: U64, k: int, longest_period: int = 4) -> Bools:
    """Mark k-grams that only repeat a pattern of up to ``longest_period`` tokens.

    Rules of dashes, table borders and a model that repeats one word say nothing about any document
    and would match each other quadratically.
    """
    count = max(0, len(hashes) - k + 1)
    marked = np.zeros(count, np.bool_)
    if not count:
        return marked
    for period in range(1, min(longest_period, k - 1) + 1):
        same = np.zeros(len(hashes) - period + 1, np.int32)
        np.cumsum(hashes[period:] == hashes[:-period], out=same[1:], dtype=np.int32)
        width = k - period
        marked |= (same[width:][:count] - same[:-width][:count]) == width
    return marked
