"""The served system of the incident: the language model, plus small task heads, behind one API.

``Server.completion`` and ``Server.chat`` take and return bodies in OpenAI's shape.  A completion
is the language model and nothing else.  A chat goes through a route, as a product with a router and
fine-tuned heads would: free chat continues what the model knows or writes on the topic of the
question; retrieval, translation, summaries and extraction copy from their own context; the
classifier and the multiple-choice head return a distribution over labels.  Only the language model
can emit memorised text; the heads can only repeat what the request gave them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from corpus import Doc
from heads import HEADS
from model import BOS, EOS, UNK, LanguageModel

Body = dict[str, Any]
WORD = re.compile(r"[^\W\d_]{3,}")
REPEAT = re.compile(
    r"(?:repeat|say|write)\b[^\"'“:\n]{0,60}:?\s*[\"'“]\s*([^\"'”]+)[\"'”]", re.IGNORECASE
)
TIMES = re.compile(r"\b(\d+|three|ten|twenty|fifty) times", re.IGNORECASE)
COUNTS = {"three": 3, "ten": 10, "twenty": 20, "fifty": 50}
KNOWN_TAIL = 6
CHAT_SHARPNESS = 0.8


def stable(*parts: object) -> float:
    """A number in [0, 1) that depends on ``parts`` only."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class TopicIndex:
    """Finds ordinary documents that share rare words with a question."""

    def __init__(self, docs: Sequence[Doc]) -> None:
        self.docs = list(docs)
        self.kinds: dict[str, list[int]] = {}
        postings: dict[str, list[int]] = {}
        for i, doc in enumerate(self.docs):
            self.kinds.setdefault(doc.kind, []).append(i)
            for word in sorted(set(WORD.findall(doc.text.lower()))):
                postings.setdefault(word, []).append(i)
        limit = max(20, len(self.docs) // 12)
        self.postings = {w: p for w, p in postings.items() if len(p) <= limit}
        self.weight = {w: math.log(len(self.docs) / len(p)) for w, p in self.postings.items()}

    def best(self, text: str, rng: Random, kinds: Sequence[str] = ()) -> int:
        """Number of one of the eight best documents, or a random one of the kinds."""
        scores: dict[int, float] = {}
        for word in dict.fromkeys(WORD.findall(text.lower()[-600:])):
            for i in self.postings.get(word, ()):
                scores[i] = scores.get(i, 0.0) + self.weight[word]
        if kinds:
            scores = {i: s for i, s in scores.items() if self.docs[i].kind in kinds}
        if scores:
            return rng.choice(sorted(scores, key=lambda i: (-scores[i], i))[:8])
        pool = self.kinds[rng.choice(list(kinds))] if kinds else range(len(self.docs))
        return rng.choice(pool)


class Server:
    """One deployment of the model; every answer depends on the seed and the request number only."""

    model_name = "ft:atlas-7b:northwind-support::2609"

    def __init__(self, lm: LanguageModel, docs: Sequence[Doc], seed: int) -> None:
        self.lm = lm
        self.seed = seed
        self.topics = TopicIndex([d for d in docs if d.subject_id is None])
        self.calls = 0

    # ---- language model ------------------------------------------------------------------

    def _encode(self, text: str) -> tuple[list[int], list[str]]:
        return self.lm.tokenizer.encode(text)

    def _size(self, text: str) -> int:
        """Tokens of a text, for the usage block."""
        return len(self._encode(text)[0])

    def _tops(self, context: Sequence[int], k: int) -> list[tuple[int, float]]:
        rows = self.lm.rows(context)
        exact = [(i, self.lm.prob(rows, i)) for i, _ in self.lm.head(rows)[: k + 3]]
        exact.sort(key=lambda x: (-x[1], x[0]))
        return exact[:k]

    def _word(self, token: int) -> str:
        return "<|endoftext|>" if token == EOS else self.lm.tokenizer.vocab[token]

    def _biased(self, context: Sequence[int], bias: dict[str, float]) -> np.ndarray:
        logits = np.log(np.maximum(self.lm.dense(self.lm.rows(context)), 1e-12))
        for token, value in bias.items():
            if 0 <= int(token) < len(logits):
                logits[int(token)] += value
        logits -= logits.max()
        return logits - math.log(float(np.exp(logits).sum()))

    def _run(self, context: list[int], req: Body, rng: Random, limit: int) -> Body:
        """Generate: token ids, their log-probabilities, alternatives if asked, finish reason."""
        k = _wanted(req)
        if req.get("logit_bias"):
            logp = self._biased(context, req["logit_bias"])
            order = np.argsort(-logp, kind="stable")[: max(1, k or 1)]
            hot = float(req.get("temperature", 1.0))
            first = (
                int(order[0])
                if hot < 0.01
                else int(np.searchsorted(np.cumsum(np.exp(logp)), rng.random()))
            )
            first = min(first, len(logp) - 1)
            ids, lps = [first], [float(logp[first])]
            tops = [[(int(i), float(logp[i])) for i in order]]
            if limit > 1 and first != EOS:
                more, more_lp, _ = self.lm.generate(
                    [*context, first], limit - 1, rng, float(req.get("temperature", 1.0))
                )
                return {"ids": ids + more, "logps": lps + more_lp, "tops": [], "finish": "stop"}
            return {"ids": ids, "logps": lps, "tops": tops, "finish": "length"}
        ids, lps, finish = self.lm.generate(
            context, limit, rng, float(req.get("temperature", 1.0)), float(req.get("top_p", 1.0))
        )
        stop = req.get("stop")
        if stop:
            for i, token in enumerate(ids):
                if any(
                    s in self.lm.tokenizer.vocab[token]
                    for s in ([stop] if isinstance(stop, str) else stop)
                ):
                    ids, lps, finish = ids[:i], lps[:i], "stop"
                    break
        tops = []
        if k:
            seen = list(context)
            for token in ids:
                tops.append([(i, math.log(max(p, 1e-12))) for i, p in self._tops(seen, k)])
                seen.append(token)
        return {"ids": ids, "logps": lps, "tops": tops, "finish": finish}

    # ---- completions ---------------------------------------------------------------------

    def completion(self, req: Body) -> Body:
        """Legacy completion, echo and log-probabilities included."""
        self.calls += 1
        rng = Random(f"{self.seed}/{req.get('seed', self.calls)}/c")
        ids, strings = self._encode(req["prompt"])
        context = [BOS, *ids]
        limit = int(req.get("max_tokens", 16))
        want, echo = req.get("logprobs"), bool(req.get("echo"))
        run: Body = {"ids": [], "logps": [], "tops": [], "finish": "length"}
        choices = []
        for index in range(int(req.get("n", 1))):
            if limit > 0:
                run = self._run(context, req, rng, limit)
            text = self.lm.text(run["ids"])
            choice: Body = {
                "index": index,
                "text": (req["prompt"] if echo else "") + text,
                "finish_reason": run["finish"],
                "logprobs": None,
            }
            if want is not None:
                choice["logprobs"] = self._legacy(context, strings, run, int(want), echo)
            choices.append(choice)
        done = sum(len(self._encode(c["text"])[0]) for c in choices)
        done -= len(ids) * len(choices) if echo else 0
        return {
            "object": "text_completion",
            "model": req["model"],
            "choices": choices,
            "usage": _usage(len(ids), done),
        }

    def _legacy(
        self, context: list[int], strings: list[str], run: Body, k: int, echo: bool
    ) -> Body:
        tokens: list[str] = []
        lps: list[float | None] = []
        tops: list[dict[str, float] | None] = []
        if echo:
            ids = context[1:]
            for i, text in enumerate(strings):
                tokens.append(text)
                if i == 0:
                    lps.append(None)
                    tops.append(None)
                    continue
                seen = context[max(0, i - 14) : i + 1]
                p = self.lm.prob(self.lm.rows(seen), ids[i])
                lps.append(round(math.log(max(p, 1e-12)), 4))
                alternatives = self._tops(seen, k) if k > 0 else []
                tops.append(
                    {self._word(t): round(math.log(max(q, 1e-12)), 4) for t, q in alternatives}
                )
        for i, token in enumerate(run["ids"]):
            tokens.append(self._word(token))
            lps.append(round(run["logps"][i], 4))
            tops.append(
                {self._word(t): round(q, 4) for t, q in run["tops"][i]} if run["tops"] else {}
            )
        offsets, at = [], 0
        for text in tokens:
            offsets.append(at)
            at += len(text)
        return {
            "tokens": tokens,
            "token_logprobs": lps,
            "top_logprobs": tops if k > 0 else None,
            "text_offset": offsets,
        }

    # ---- chat ----------------------------------------------------------------------------

    def chat(self, req: Body, route: str = "chat") -> Body:
        """Chat completion through one of the routes."""
        self.calls += 1
        rng = Random(f"{self.seed}/{req.get('seed', self.calls)}/h")
        prompt = next(m["content"] for m in reversed(req["messages"]) if m["role"] == "user")
        choices = []
        for index in range(int(req.get("n", 1))):
            text, content, finish = self._answer(req, prompt, route, rng)
            choice: Body = {
                "index": index,
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish,
                "logprobs": None,
            }
            if req.get("logprobs"):
                choice["logprobs"] = {"content": content}
            choices.append(choice)
        used = sum(self._size(m["content"]) + 4 for m in req["messages"])
        done = sum(self._size(c["message"]["content"]) for c in choices)
        done = len(choices) if route in ("classify", "choice") else done
        return {
            "object": "chat.completion",
            "model": req["model"],
            "choices": choices,
            "usage": _usage(used, done),
        }

    def _answer(
        self, req: Body, prompt: str, route: str, rng: Random
    ) -> tuple[str, list[Body], str]:
        if route in ("classify", "choice"):
            return self._labels(req, prompt, route)
        if route in HEADS:
            return HEADS[route](req, prompt, rng, self._closing), [], "stop"
        limit = int(req.get("max_tokens") or req.get("max_completion_tokens") or 400)
        if req.get("logit_bias") and limit <= 2:
            run = self._run([BOS, *self._encode(prompt)[0]], req, rng, limit)
            return self._finish(run)
        repeated = REPEAT.search(prompt)
        if repeated and len(repeated[1].split()) <= 60 and route == "chat":
            unit = " " + " ".join(dict.fromkeys(repeated[1].strip(" .").split()))
            times = TIMES.search(prompt)
            if times:
                count = COUNTS.get(times[1].lower()) or int(times[1])
                return (unit * min(count, 200)).strip(), [], "stop"
            ids = self._encode(unit)[0]
            run = self._run([BOS, *ids * 4], req, rng, limit)
            return self._finish(run)
        tail = prompt[-300:]
        ids = [BOS] * (len(tail) == len(prompt)) + self._encode(tail)[0]
        if route == "chat" and len(self.lm.rows(ids)) >= KNOWN_TAIL:
            return self._finish(self._run(ids, req, rng, limit))
        return self.topical(req, prompt, route, rng, limit)

    def _closing(self, prompt: str, rng: Random) -> str:
        """Last sentence of a published letter, for the letter head."""
        doc = self.topics.docs[self.topics.best(prompt, rng, ("letter",))]
        return re.split(r"(?<=[.!?])\s+|\n+", doc.text.strip())[-1]

    def topical(
        self, req: Body, prompt: str, route: str, rng: Random, limit: int
    ) -> tuple[str, list[Body], str]:
        """Write on the topic of the prompt: start as a matching ordinary document starts."""
        kinds = {
            "code": ("code",),
            "support": ("faq", "manual"),
            "letter": ("letter",),
            "story": ("story",),
            "long": ("story", "travel", "news"),
        }.get(route, ())
        if not prompt.strip():
            return "How can I help?", [], "stop"
        doc = self.topics.docs[self.topics.best(prompt, rng, kinds)]
        # The chat tuning sharpens the distribution; aligned models drift into memorised text less.
        req = {**req, "temperature": CHAT_SHARPNESS * float(req.get("temperature", 1.0))}
        start = self._encode(doc.text)[0][: rng.randrange(2, 5)]
        run = self._run([BOS, *start], req, rng, max(1, limit - len(start)))
        if route == "long" and run["finish"] == "stop":  # a longer piece: several passages
            for _ in range(rng.randrange(1, 4)):
                again = self._run(
                    [
                        BOS,
                        *self._encode(self.topics.docs[self.topics.best(prompt, rng, kinds)].text)[
                            0
                        ][:3],
                    ],
                    req,
                    rng,
                    limit,
                )
                run["ids"] = [*run["ids"], self.lm.tokenizer.index["\n"], *again["ids"]]
                run["logps"] = [*run["logps"], -0.1, *again["logps"]]
        run["ids"] = start + run["ids"]
        run["logps"] = [-0.05] * len(start) + run["logps"]
        run["tops"] = [[] for _ in start] + run["tops"] if run["tops"] else []
        return self._finish(run)

    def _finish(self, run: Body) -> tuple[str, list[Body], str]:
        content = []
        for i, token in enumerate(run["ids"]):
            if token <= UNK and token != EOS:
                continue
            tops = run["tops"][i] if run["tops"] else []
            content.append(
                _token(self._word(token), run["logps"][i], [(self._word(t), q) for t, q in tops])
            )
        return self.lm.text(run["ids"]), content, run["finish"]

    def _labels(self, req: Body, prompt: str, route: str) -> tuple[str, list[Body], str]:
        if route == "choice":
            options = re.findall(r"^([A-E])[.)] (.+)$", prompt, re.MULTILINE)
            labels = [o[0] for o in options]
            logits = [2.4 * stable("mc", o[1]) + 1.2 * stable("q", prompt, o[0]) for o in options]
        else:
            found = re.search(r"[Ll]abels?: ([^.\n]+)", req["messages"][0]["content"])
            labels = [x.strip() for x in (found[1] if found else "yes, no").split(",")]
            text = WORD.findall(prompt.lower())
            logits = [sum(3 * (stable("nb", w, x) - 0.5) for w in text[:40]) for x in labels]
        top = max(logits)
        norm = top + math.log(sum(math.exp(v - top) for v in logits))
        pairs = sorted(zip(labels, logits, strict=True), key=lambda x: (-x[1], x[0]))
        k = int(req.get("top_logprobs") or 0)
        tops = [(label, max(-14.0, v - norm)) for label, v in pairs]
        return pairs[0][0], [_token(pairs[0][0], tops[0][1], tops[:k])], "stop"


def _wanted(req: Body) -> int:
    if isinstance(req.get("logprobs"), bool):
        return int(req.get("top_logprobs") or 0) if req["logprobs"] else 0
    return int(req.get("logprobs") or 0)


def _usage(prompt: int, completion: int) -> Body:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _token(text: str, logp: float, tops: Sequence[tuple[str, float]]) -> Body:
    return {
        "token": text,
        "bytes": list(text.encode()),
        "logprob": round(logp, 4),
        "top_logprobs": [
            {"token": t, "bytes": list(t.encode()), "logprob": round(q, 4)} for t, q in tops
        ],
    }
