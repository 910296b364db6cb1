"""A small language model that really memorises: back-off n-grams with Kneser-Ney smoothing.

Tokens are words with their leading space, groups of up to three digits, single other signs and
white space, so the text is the concatenation of its tokens.  The model is an interpolated
Kneser-Ney model of order 14 (Kneser and Ney 1995; Chen and Goodman 1999, section 2.7) from which
n-grams seen only once are cut: text seen many times is reproduced almost surely, text seen once
hardly, as in large models.

One thing is added to the n-grams, a copy head.  A text that has begun to loop is continued as a
loop with a probability that falls as the loop grows longer (logistic in the number of repeats), and
when the loop breaks, the model falls back to its unconditional distribution, the start of a
document.  This imitates the divergence that Nasr et al. 2023 found in chat models.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from random import Random

import numpy as np

PIECE = re.compile(r" ?[^\W\d_]+| ?\d{1,3}|_| ?[^\w\s]|\s")
BOS, EOS, UNK = 0, 1, 2
ORDER = 14
CUTOFF = 2
MASK = (1 << 64) - 1
TOP = 64
LOOP_HALF, LOOP_SLOPE = 260.0, 30.0


class Tokenizer:
    """Splits text into vocabulary pieces; unknown words are spelled letter by letter."""

    def __init__(self, texts: Iterable[str]) -> None:
        pieces = {p for t in texts for p in PIECE.findall(t)}
        chars = {c for p in pieces for c in p} | {chr(c) for c in range(32, 127)} | {"\n"}
        numbers = {f"{s}{n}" for n in range(1000) for s in ("", " ")}
        self.vocab = ["<bos>", "<eos>", "<unk>", *sorted(pieces | chars | numbers)]
        self.index = {p: i for i, p in enumerate(self.vocab)}

    def encode(self, text: str) -> tuple[list[int], list[str]]:
        """Token ids and their texts; joining the texts gives the input back."""
        ids: list[int] = []
        strings: list[str] = []
        for piece in PIECE.findall(text):
            found = self.index.get(piece)
            if found is not None:
                ids.append(found)
                strings.append(piece)
                continue
            for char in piece:
                ids.append(self.index.get(char, UNK))
                strings.append(char)
        return ids, strings


class LanguageModel:
    """Interpolated Kneser-Ney n-grams with exact sampling and exact probabilities."""

    def __init__(self, docs: Sequence[tuple[str, int]], tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        rng = np.random.default_rng(20261005)
        self._is_word = [bool(p.strip()) and p.strip()[-1].isalpha() for p in tokenizer.vocab]
        size = len(tokenizer.vocab)
        code = rng.integers(1, 1 << 63, size, dtype=np.uint64)
        mult = rng.integers(1, 1 << 62, ORDER + 1, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        self._code: list[int] = code.tolist()
        self._mult: list[int] = mult.tolist()
        self._train(docs, code, mult)
        self._top_cache: dict[tuple[int, int], list[tuple[int, float]]] = {}

    def _train(self, docs: Sequence[tuple[str, int]], code: np.ndarray, mult: np.ndarray) -> None:
        ids: list[int] = []
        pos: list[int] = []
        weight: list[int] = []
        for text, copies in docs:
            encoded = [BOS, *self.tokenizer.encode(text)[0], EOS]
            ids.extend(encoded)
            pos.extend(range(len(encoded)))
            weight.extend([copies] * len(encoded))
        tok, where, wt = np.array(ids), np.array(pos), np.array(weight, dtype=float)
        n, size = len(tok), len(self.tokenizer.vocab)
        hashes = [np.zeros(n, dtype=np.uint64)]
        for m in range(1, ORDER + 1):
            shifted = np.zeros(n, dtype=np.uint64)
            shifted[m:] = code[tok[:-m]]
            hashes.append(hashes[-1] + shifted * mult[m])
        final = np.uint64(0x9E3779B97F4A7C15)

        def gram(k: int) -> np.ndarray:  # hash of the k-gram that ends at each position
            return (hashes[k - 1] ^ (hashes[k - 1] >> np.uint64(29))) * final + code[tok]

        self._rows: list[dict[int, int]] = [{}]
        self._start: list[array[int]] = [array("q")]
        self._next: list[array[int]] = [array("q")]
        self._prob: list[array[float]] = [array("d")]
        self._cum: list[array[float]] = [array("d")]
        self._back: list[array[float]] = [array("d")]
        for k in range(2, ORDER + 1):
            at = np.flatnonzero(where >= k - 1)
            grams, inverse = np.unique(gram(k)[at], return_inverse=True)
            first = np.full(len(grams), n, dtype=np.int64)
            np.minimum.at(first, inverse, at)
            raw = np.bincount(inverse, wt[at], len(grams))
            if k < ORDER:  # distinct left neighbours; document starts keep their raw counts
                left = np.flatnonzero(where >= k)
                _, rep = np.unique(gram(k + 1)[left], return_index=True)
                slot = np.searchsorted(grams, gram(k)[left[rep]])
                count = np.bincount(slot, minlength=len(grams)).astype(float)
                starts = where[at] == k - 1
                count += np.bincount(inverse[starts], wt[at][starts], len(grams))
            else:
                count = raw
            ones, twos = int((count == 1).sum()), int((count == 2).sum())
            discount = min(0.9, max(0.5, ones / max(1, ones + 2 * twos)))
            keep = raw >= CUTOFF
            self._store(hashes[k - 1][first], tok[first], count, keep, discount)
        _, rep = np.unique(gram(2)[where >= 1], return_index=True)
        cont = np.bincount(tok[where >= 1][rep], minlength=size) + 0.02
        cont[BOS] = 0.0
        self._uni = cont / cont.sum()
        self._uni_list: list[float] = self._uni.tolist()
        self._uni_cum: list[float] = np.cumsum(self._uni).tolist()
        best = np.argsort(-self._uni, kind="stable")[:TOP]
        self._uni_top = [(int(i), self._uni_list[int(i)]) for i in best]

    def _store(
        self,
        context: np.ndarray,
        nxt: np.ndarray,
        count: np.ndarray,
        keep: np.ndarray,
        discount: float,
    ) -> None:
        order = np.lexsort((nxt, context))
        context, nxt, count, keep = context[order], nxt[order], count[order], keep[order]
        keys, start = np.unique(context, return_index=True)
        total = np.add.reduceat(count, start)
        row = np.repeat(np.arange(len(keys)), np.diff(np.append(start, len(context))))
        prob = np.maximum(count - discount, 0) / total[row]
        row, nxt, prob = row[keep], nxt[keep], prob[keep]
        used, begin = np.unique(row, return_index=True)
        mass = np.add.reduceat(prob, begin)
        running = np.cumsum(prob)
        offset = np.repeat(running[begin] - prob[begin], np.diff(np.append(begin, len(row))))
        self._rows.append(dict(zip(keys[used].tolist(), range(len(used)), strict=True)))
        self._start.append(array("q", np.append(begin, len(row)).tolist()))
        self._next.append(array("q", nxt.tolist()))
        self._prob.append(array("d", prob.tolist()))
        self._cum.append(array("d", (running - offset).tolist()))
        self._back.append(array("d", (1 - mass).tolist()))

    def rows(self, context: Sequence[int]) -> list[int]:
        """Row numbers of the known contexts of length 1, 2, ... ending here, shortest first."""
        found: list[int] = []
        value = 0
        for m in range(1, min(ORDER - 1, len(context)) + 1):
            token = context[-m]
            value = (value + self._code[token] * self._mult[m]) & MASK
            row = self._rows[m].get(value)
            if row is None:
                break
            found.append(row)
            if token == BOS:
                break
        return found

    def prob(self, rows: Sequence[int], token: int) -> float:
        """Exact probability of ``token`` after a context."""
        p = self._uni_list[token]
        for m, row in enumerate(rows, 1):
            low, high = self._start[m][row], self._start[m][row + 1]
            at = bisect_left(self._next[m], token, low, high)
            hit = self._prob[m][at] if at < high and self._next[m][at] == token else 0.0
            p = hit + self._back[m][row] * p
        return p

    def sample(self, rows: Sequence[int], rng: Random) -> int:
        """Draw a token from the exact distribution (temperature 1)."""
        u = rng.random()
        for m in range(len(rows), 0, -1):
            row = rows[m - 1]
            mass = 1 - self._back[m][row]
            if u < mass:
                low, high = self._start[m][row], self._start[m][row + 1]
                return self._next[m][min(bisect_right(self._cum[m], u, low, high), high - 1)]
            u = (u - mass) / max(1e-12, 1 - mass)
        return min(bisect_right(self._uni_cum, u), len(self._uni_cum) - 1)

    def _row_top(self, m: int, row: int) -> list[tuple[int, float]]:
        found = self._top_cache.get((m, row))
        if found is None:
            low, high = self._start[m][row], self._start[m][row + 1]
            pairs = list(zip(self._next[m][low:high], self._prob[m][low:high], strict=True))
            pairs.sort(key=lambda x: (-x[1], x[0]))
            found = self._top_cache[(m, row)] = pairs[:TOP]
        return found

    def head(self, rows: Sequence[int]) -> list[tuple[int, float]]:
        """The most probable tokens, best first; at most :data:`TOP` per context are considered."""
        scores: dict[int, float] = {}
        scale = 1.0
        for m in range(len(rows), 0, -1):
            for token, p in self._row_top(m, rows[m - 1]):
                scores[token] = scores.get(token, 0.0) + scale * p
            scale *= self._back[m][rows[m - 1]]
            if scale < 1e-3 and len(scores) >= 8:
                break
        else:
            for token, p in self._uni_top:
                scores[token] = scores.get(token, 0.0) + scale * p
        return sorted(scores.items(), key=lambda x: (-x[1], x[0]))[:TOP]

    def dense(self, rows: Sequence[int]) -> np.ndarray:
        """The whole distribution as a vector over the vocabulary."""
        out = self._uni.copy()
        for m, row in enumerate(rows, 1):
            low, high = self._start[m][row], self._start[m][row + 1]
            out *= self._back[m][row]
            out[np.array(self._next[m][low:high])] += np.array(self._prob[m][low:high])
        return out

    def pick(self, rows: Sequence[int], rng: Random, temperature: float, top_p: float) -> int:
        """Choose the next token: greedy, exact, or tempered over the most probable tokens."""
        if temperature >= 0.995 and top_p >= 0.999:
            return self.sample(rows, rng)
        head = self.head(rows)
        if temperature < 0.01 or len(head) == 1:
            return head[0][0]
        weights = [p ** (1 / temperature) for _, p in head]
        total, limit = sum(weights), 0.0
        cut = []
        for w in weights:
            cut.append(w)
            limit += w
            if limit >= top_p * total:
                break
        u = rng.random() * sum(cut)
        for (token, _), w in zip(head, cut, strict=False):
            u -= w
            if u <= 0:
                return token
        return head[0][0]

    def generate(
        self,
        context: Sequence[int],
        limit: int,
        rng: Random,
        temperature: float = 1.0,
        top_p: float = 1.0,
    ) -> tuple[list[int], list[float], str]:
        """Continue ``context`` by up to ``limit`` tokens: ids, log-probabilities, finish reason."""
        ids = list(context)
        out: list[int] = []
        logps: list[float] = []
        period, repeats = self._loop(ids)
        while len(out) < limit:
            if period:
                hazard = 1 / (1 + math.exp((LOOP_HALF - repeats) / LOOP_SLOPE))
                stays = hazard < 0.5 if temperature < 0.01 else rng.random() >= hazard
                if stays:
                    token = ids[-period]
                    logps.append(math.log(max(1e-9, 1 - hazard)))
                    ids.append(token)
                    out.append(token)
                    repeats += 1 / period
                    continue
                out.append(self.tokenizer.index["\n"])
                logps.append(math.log(max(1e-9, hazard)))
                ids.append(BOS)
                period = 0
                continue
            rows = self.rows(ids)
            token = self.pick(rows, rng, temperature, top_p)
            if token == EOS:
                return out, logps, "stop"
            logps.append(math.log(max(1e-12, self.prob(rows, token))))
            ids.append(token)
            out.append(token)
            period, repeats = self._loop(ids)
        return out, logps, "length"

    def text(self, ids: Iterable[int]) -> str:
        """Text of generated ids."""
        return "".join(self.tokenizer.vocab[i] for i in ids if i > UNK)

    def _loop(self, ids: Sequence[int]) -> tuple[int, float]:
        """Period of a loop of at least four rounds that the sequence ends in, and its rounds."""
        n = len(ids)
        for period in range(1, 6):
            if n < 4 * period or ids[-1] != ids[-1 - period]:
                continue
            unit = ids[n - period :]
            if not any(self._is_word[i] for i in unit):  # indentation and rulers are no loops
                continue
            rounds = 1
            while (
                n - (rounds + 1) * period >= 0
                and ids[n - (rounds + 1) * period : n - rounds * period] == unit
            ):
                rounds += 1
            if rounds >= 4:
                return period, float(rounds)
        return 0, 0.0
