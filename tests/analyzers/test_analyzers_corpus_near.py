"""Edited passages: what is folded away, how seeds chain, and that offsets stay true."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from irkit.analyzers.corpus import text_set
from irkit.analyzers.corpus_index import Block
from irkit.analyzers.corpus_near import NearSet, fold, scan_near

WORDS = [f"wörd{i}" for i in range(120)]
DOC = "Intro: " + ", ".join(WORDS) + "!"


def near(text: str, *docs: str) -> list[dict]:
    pieces = [doc.encode() for doc in ("ä b", *docs)]
    breaks = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    texts = text_set([b"x \xc3\xbc", text.encode()], [(False, True)] * 2)
    return scan_near(NearSet(texts), Block(b"".join(pieces), breaks, 0)).to_pylist()


def said(row: dict, text: str) -> str:
    return text[row["t_start"] : row["t_end"]]


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        str.title,
        lambda t: unicodedata.normalize("NFD", t),
        lambda t: t.replace("ö", "o"),
        lambda t: t.replace(" ", "\u200b "),
        lambda t: t.replace("w", "ｗ"),
        lambda t: t.replace(" ", " -- "),
        lambda t: t.replace(" ", "\n"),
        lambda t: t.replace("d", "\u00add"),
    ],
)
def test_dress_does_not_matter(change) -> None:
    body = change(" ".join(WORDS[5:70]))
    text = f"So ß {body} end"
    (row,) = near(text, DOC)
    assert row["tokens"] == 65
    assert said(row, text) == body
    assert DOC[row["d_start"] : row["d_end"]] == ", ".join(WORDS[5:70])


def test_seeds_chain_over_small_gaps_only() -> None:
    edited = [*WORDS[:20], "new", "words", *WORDS[21:40], *WORDS[43:60], "x", *WORDS[60:75]]
    (row,) = near(" ".join(edited), DOC)
    assert row["tokens"] == 71
    far = WORDS[:30] + ["x"] * 6 + WORDS[30:60]
    assert near(" ".join(far), DOC) == []
    short = WORDS[:49]
    assert near(" ".join(short), DOC) == []


def test_identity_counts_the_longer_side() -> None:
    padded: list[str] = []
    for i in range(0, 80, 8):
        padded += [*WORDS[i : i + 8], "a", "b", "c"]
    assert near(" ".join(padded), DOC) == []
    assert near(" ".join(w for i, w in enumerate(padded) if i % 11 < 9), DOC)


def test_a_repeated_phrase_does_not_break_the_chain() -> None:
    doc = " ".join([*WORDS[:30], *WORDS[:10], *WORDS[30:70]])
    (row, *_) = sorted(near(doc.upper(), doc), key=lambda r: -r["tokens"])
    assert row["tokens"] == 80


def test_chains_stay_within_texts_and_documents() -> None:
    first, second = " ".join(WORDS[:40]), " ".join(WORDS[40:80])
    assert near(" ".join(WORDS[:80]), first + " ", second) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_offsets_frame_the_equal_words(seed: int) -> None:
    rng = random.Random(seed)
    begin = rng.randrange(0, 40)
    words = WORDS[begin : begin + rng.randrange(50, 80)]
    gap = rng.choice([" ", " \u200b", "  ", ", ", " é̈ "])
    text = rng.choice(["", "ß ", "日本 ", "ﬁ "]) + gap.join(w.upper() for w in words) + " ÿ"
    rows = near(text, DOC)
    if gap == " é̈ ":
        assert rows == []
        return
    (row,) = rows
    assert said(row, text).startswith(words[0].upper())
    assert said(row, text).rstrip("\u200b").endswith(words[-1].upper())
    assert DOC[row["d_start"] : row["d_end"]] == ", ".join(words)


@example(["0", "\xad"])  # a text that folds to nothing follows
@given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_folding_keeps_places(texts: list[str]) -> None:
    pieces = [text.encode("utf-8", "replace") for text in texts]
    bodies = [piece.decode() for piece in pieces]
    breaks = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    folded = fold(b"".join(pieces), breaks)
    owner = np.searchsorted(folded.tokens.bounds, np.arange(len(folded.tokens)), "right") - 1
    starts = folded.place(owner, folded.tokens.starts)
    ends = folded.place(owner, folded.tokens.ends)
    for text, start, end in zip(owner.tolist(), starts.tolist(), ends.tolist(), strict=True):
        assert 0 <= start <= end <= len(bodies[text])
        # A character can fold to several words (㏂ is "am"), so a word may be empty in place.
        assert any(
            c.isalnum() or c == "_" or not c.isascii() for c in bodies[text][start : end + 1]
        )
