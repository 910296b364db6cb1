"""Ordinary clients: people and machines that use the served model without attacking it.

One function per role draws the calls of one actor; roles that resemble an attack (evaluation with
log-probabilities, growing prefixes, retrieval over personal records, mail merge, static logit bias,
code completion of known files, repeated sampling) are there on purpose.  The incident runs these
calls through the live server; the calibration baseline uses the same roles with another seed and
the other half of the wording.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import phrases
from actors import DAY, MODEL, Call, World, human_times, night_times, steady_times
from actors import chat_request as _chat
from grammar import expand

Role = Callable[[World, int, float, float], Iterator[Call]]


def _params(rng: Random) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if rng.random() < 0.7:
        out["temperature"] = rng.choice((0.0, 0.2, 0.3, 0.5, 0.7, 0.7, 0.8, 1.0, 1.0))
    if rng.random() < 0.3:
        out["top_p"] = rng.choice((0.9, 0.95, 1.0))
    if rng.random() < 0.75:
        out["max_tokens"] = rng.choice((64, 100, 128, 150, 200, 256, 256, 300, 400, 512))
    if rng.random() < 0.08:
        out["frequency_penalty"] = rng.choice((0.2, 0.5))
    return out


def _conversation(
    w: World, n: int, start: float, days: float, pool: Sequence[str], route: str
) -> Iterator[Call]:
    rng, system, params = w.rng, w.rng.choice(phrases.SYSTEMS), _params(w.rng)
    follow = rng.uniform(0.05, 0.45)
    quoting = rng.random() < 0.12
    history: list[tuple[str, str]] = []
    last, named = -1, rng.random() < 0.6
    previous = ""
    for at, session in human_times(rng, n, start, days):
        if session != last:
            history, last = [], session
        if history and rng.random() < follow:
            text = w.say(phrases.FOLLOW)
        elif previous and rng.random() < 0.07:  # asks the same again in other words
            words = previous.split()
            spot = rng.randrange(len(words)) if words else 0
            text = " ".join(
                [
                    *words[:spot],
                    rng.choice(("please", "really", "again", "")),
                    *words[spot + (rng.random() < 0.5) :],
                ]
            )
        elif quoting and rng.random() < 0.15:  # quotes a published text
            quoted = rng.choice(w.docs).text
            text = f"what does this mean: {quoted[: rng.randrange(60, 240)]}"
        elif rng.random() < 0.12:
            text = w.style(f"{w.say(phrases.PRELUDE)} {w.say(pool)}")
        elif rng.random() < 0.05:
            text = f"{rng.choice(('shorten', 'check', 'comment on'))} this text:\n{w.own_text()}"
        else:
            text = w.style(w.say(pool))
        previous = text
        call = Call(
            at,
            "chat",
            _chat(text, system, history[-6:], **params),
            route,
            f"c{session}" if named else None,
        )
        yield call
        history += [("user", text), ("assistant", call.answer or "Let me think about that.")]


def chat_user(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A person who asks about this and that."""
    return _conversation(w, n, start, days, phrases.CHAT, "chat")


def code_helper(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A developer with questions."""
    return _conversation(w, n, start, days, phrases.CODE, "code")


def writer(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """Someone who has long texts written at high temperature."""
    for at, session in human_times(w.rng, n, start, days):
        req = _chat(
            w.say(phrases.WRITE),
            temperature=w.rng.choice((0.8, 0.9, 1.0, 1.0)),
            max_tokens=w.rng.choice((300, 400, 600)),
        )
        yield Call(at, "chat", req, "long", f"w{session}")


def prompt_tuner(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A developer who tries many variants of the same prompt."""
    base, left = w.say(phrases.TUNE), 0
    for at, session in human_times(w.rng, n, start, days):
        if left <= 0:
            base, left = w.say(phrases.TUNE), max(1, int(w.rng.paretovariate(1.1)))
        left -= 1
        words = base.split()
        for _ in range(w.rng.randrange(0, 3)):
            spot = w.rng.randrange(len(words))
            words[spot] = w.rng.choice(
                (words[spot].upper(), "very " + words[spot], "", w.fill("quality") or "")
            )
        req = _chat(
            " ".join(x for x in words if x),
            temperature=w.rng.choice((0.0, 0.3, 0.7, 1.0)),
            max_tokens=w.rng.choice((40, 80, 160)),
        )
        yield Call(at, "chat", req, "chat", f"p{session}")


def autocomplete(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """An editor that sends the growing text before the cursor."""
    text, at_word = "", 0
    words: list[str] = []
    for at, session in human_times(w.rng, math.ceil(n / 6), start, days):
        for _ in range(6):
            if n <= 0:
                return
            if at_word >= len(words):
                words = (w.say(phrases.AUTOTYPE) if w.rng.random() < 0.8 else w.own_text()).split(
                    " "
                )
                at_word = w.rng.randrange(3, 7)
            text = " ".join(words[:at_word])
            at_word += w.rng.randrange(1, 5)
            req = {
                "model": MODEL,
                "prompt": text,
                "max_tokens": 20,
                "temperature": 0.2,
                "stop": ["\n"],
            }
            yield Call(at, "completion", req, "raw", f"e{session}")
            at += w.rng.uniform(0.6, 3.5)
            n -= 1


def code_completion(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """An editor that completes code files, some of which the model learned."""
    known = [d for d in w.docs if d.kind == "code"]
    for at, session in human_times(w.rng, n, start, days):
        text = w.rng.choice(known).text if w.rng.random() < 0.3 else w.own_text("code")
        cut = w.rng.randrange(20, max(30, len(text) - 20))
        req = {"model": MODEL, "prompt": text[:cut], "max_tokens": 48, "temperature": 0.0}
        yield Call(at, "completion", req, "raw", f"k{session}")


def summariser(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """Someone who has their own documents shortened."""
    for at, session in human_times(w.rng, n, start, days):
        ask = w.rng.choice(
            ("Summarise in two sentences:", "Key points, please:", "Make an abstract:")
        )
        body = " ".join(w.own_text() for _ in range(w.rng.randrange(1, 4)))
        yield Call(
            at,
            "chat",
            _chat(f"{ask}\n{body}", temperature=0.3, max_tokens=200),
            "summary",
            f"s{session}",
        )


def translator(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """An agency whose own texts were partly in the training data."""
    target = w.rng.choice(("German", "French", "Spanish"))
    shared = w.rng.choice((0.0, 0.0, 0.1, 0.35))
    for at in steady_times(w.rng, n, start, days):
        body = w.rng.choice(w.docs).text if w.rng.random() < shared else w.own_text()
        yield Call(
            at,
            "chat",
            _chat(f"Translate into {target}:\n{body}", "You are a translator.", temperature=0.0),
            "translate",
        )


def rag(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A desk application that answers from retrieved records, personal ones included."""
    rng = w.rng
    pool = rng.sample(list(w.records), min(len(w.records), 60))
    for at, session in human_times(rng, n, start, days):
        shown = [
            rng.choice(pool).text if rng.random() < 0.75 else rng.choice(w.docs).text
            for _ in range(rng.randrange(1, 4))
        ]
        context = "\n".join(f"[{i}] {t}" for i, t in enumerate(shown, 1))
        words = [x for x in shown[0].split() if len(x) > 4][:40]
        about = " ".join(rng.sample(words, min(2, len(words))))
        ask = rng.choice(
            (
                "Who is the contact for {}?",
                "What was agreed about {}?",
                "Show the whole file on {}",
                "When is the next step for {}?",
                "Give me everything about {}",
                "Which address belongs to {}?",
            )
        )
        req = _chat(
            ask.format(about),
            f"Answer only from the documents.\n{context}",
            temperature=0.0,
            max_tokens=300,
        )
        yield Call(at, "chat", req, "rag", f"r{session}")


def support_bot(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A shop's help desk: fixed templates, the slots are products and orders."""
    pool = [w.rng.choice(phrases.SUPPORT[w.half :: 2]) for _ in range(2)]
    for at in steady_times(w.rng, n, start, days):
        text = expand(w.rng.choice(pool), w.rng, w.fill)
        yield Call(
            at,
            "chat",
            _chat(text, phrases.SYSTEMS[1], temperature=0.3, max_tokens=160),
            "support",
            end_user=f"u{w.rng.randrange(900)}",
        )


def classifier(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A nightly job that labels texts and keeps the probabilities."""
    system = w.rng.choice(phrases.CLASSIFY[w.half :: 2])
    top = w.rng.choice((3, 5, 5))
    for at in night_times(w.rng, n, start, days):
        text = w.own_text(w.rng.choice(("letter", "news", "faq", "sport")))[
            : w.rng.randrange(60, 300)
        ]
        req = _chat(text, system, temperature=0.0, max_tokens=1, logprobs=True, top_logprobs=top)
        yield Call(at, "chat", req, "classify")


def choice_eval(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A multiple-choice benchmark read through log-probabilities."""
    for at in night_times(w.rng, n, start, days):
        question = w.say(phrases.QUESTIONS)
        options = "\n".join(
            f"{x}. {w.fill('quality')} {w.fill('material')} {w.fill('unit')}" for x in "ABCD"
        )
        req = _chat(
            f"{question}\n{options}\nAnswer:",
            temperature=0.0,
            max_tokens=1,
            logprobs=True,
            top_logprobs=5,
        )
        yield Call(at, "chat", req, "choice")


def quality_scorer(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A team that rates the fluency of its own texts by their likelihood."""
    for at in night_times(w.rng, n, start, days):
        req = {
            "model": MODEL,
            "prompt": w.own_text()[:360],
            "max_tokens": 0,
            "echo": True,
            "logprobs": 1,
            "temperature": 0,
        }
        yield Call(at, "completion", req, "raw")


def bias_user(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A client that always bans the same few tokens."""
    bias = {str(w.rng.randrange(3, 5000)): -100 for _ in range(w.rng.randrange(2, 9))}
    for at, session in human_times(w.rng, n, start, days):
        req = _chat(w.say(phrases.CHAT), temperature=0.7, max_tokens=120, logit_bias=bias)
        yield Call(at, "chat", req, "chat", f"b{session}")


def health_check(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A probe that sends the same prompt at a fixed interval."""
    text = ("Reply with OK.", "ping, answer OK", "health: say OK")[w.rng.randrange(3)]
    step = days * DAY / max(1, n)
    for i in range(n):
        yield Call(
            start + i * step + w.rng.random(),
            "chat",
            _chat(text, temperature=0.0, max_tokens=2),
            "health",
        )


def retry_storm(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A worker that repeats a call until it gets through."""
    done, at = 0, start + w.rng.uniform(0.2, 0.4) * days * DAY
    while done < n:
        text = w.say(phrases.SUPPORT)
        for attempt in range(min(n - done, w.rng.randrange(1, 9))):
            last = attempt >= 2 and w.rng.random() < 0.5
            status = 200 if last else w.rng.choice((429, 429, 429, 500, 503))
            yield Call(
                at,
                "chat",
                _chat(text, phrases.SYSTEMS[1], temperature=0.2, max_tokens=120),
                "support",
                status=status,
            )
            at += 2.0**attempt + w.rng.random()
            done += 1
            if last:
                break
        at += w.rng.expovariate(1 / 400)


def story_sampler(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """Samples the same prompt again and again to pick the best story."""
    text = w.say(phrases.STORY)
    many = w.rng.choice((1, 1, 2))
    for at, session in human_times(w.rng, n, start, days):
        if w.rng.random() < 0.02:
            text = w.say(phrases.STORY)
        yield Call(
            at, "chat", _chat(text, temperature=1.0, max_tokens=220, n=many), "story", f"t{session}"
        )


def mail_merge(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """Letters to a list of customers; names vary, nothing else does."""
    template = w.rng.choice(phrases.MERGE[w.half :: 2])
    for at in night_times(w.rng, n, start + 8 * 3600, days):
        yield Call(
            at,
            "chat",
            _chat(expand(template, w.rng, w.fill), temperature=0.5, max_tokens=160),
            "merge",
        )


def fairness_audit(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """Predictions about invented people with drawn attributes."""
    template = w.rng.choice(phrases.FAIRNESS[w.half :: 2])
    system = "Labels: yes, no."
    for at in night_times(w.rng, n, start, days):
        req = _chat(expand(template, w.rng, w.fill), system, temperature=0.0, max_tokens=2)
        yield Call(at, "chat", req, "classify")


def extractor(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """Turns invoices into JSON."""
    for at in night_times(w.rng, n, start, days):
        r = w.rng
        body = (
            f"Invoice no: {r.randrange(10**5, 10**6)}, Item: {w.fill('thing')}, "
            f"Price: {r.randrange(9, 900)}.{r.randrange(100):02d}, Shop: {w.fill('town')}, "
            f"Due: {r.randrange(5, 60)} days"
        )
        yield Call(
            at,
            "chat",
            _chat(
                f"Extract as JSON:\n{body}",
                temperature=0.0,
                max_tokens=80,
                response_format={"type": "json_object"},
            ),
            "extract",
        )


def quoter(w: World, n: int, start: float, days: float) -> Iterator[Call]:
    """A help-centre editor who pastes published answers and asks for comments."""
    known = [d for d in w.docs if d.kind in ("faq", "manual", "letter")]
    for at, session in human_times(w.rng, n, start, days):
        body = w.rng.choice(known).text if w.rng.random() < 0.6 else w.own_text("faq")
        ask = w.rng.choice(
            ("Is this answer still correct?", "Suggest a clearer wording:", "Which words are hard?")
        )
        yield Call(
            at,
            "chat",
            _chat(f"{ask}\n\n{body}\n\nThanks!", temperature=0.4, max_tokens=160),
            "chat",
            f"q{session}",
        )


#: role: (function, weight in the population, ordinary sources, automated)
ROLES: dict[str, tuple[Role, float, str, bool]] = {
    "chat_user": (chat_user, 38, "bol", False),
    "writer": (writer, 6, "bol", False),
    "code_helper": (code_helper, 11, "ol", False),
    "code_completion": (code_completion, 3, "o", False),
    "autocomplete": (autocomplete, 4, "o", True),
    "prompt_tuner": (prompt_tuner, 4, "o", False),
    "summariser": (summariser, 5, "bol", False),
    "translator": (translator, 4, "bo", True),
    "rag": (rag, 5, "bo", True),
    "support_bot": (support_bot, 5, "bol", True),
    "classifier": (classifier, 3, "o", True),
    "choice_eval": (choice_eval, 1.5, "o", True),
    "quality_scorer": (quality_scorer, 0.7, "o", True),
    "health_check": (health_check, 1.5, "b", True),
    "retry_storm": (retry_storm, 1, "l", True),
    "story_sampler": (story_sampler, 1.3, "o", False),
    "mail_merge": (mail_merge, 2, "l", True),
    "bias_user": (bias_user, 1, "o", False),
    "fairness_audit": (fairness_audit, 1, "l", True),
    "extractor": (extractor, 2, "l", True),
    "quoter": (quoter, 2, "bo", False),
}
