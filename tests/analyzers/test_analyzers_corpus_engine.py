"""The matching engine against a plain reference that compares every diagonal."""

from __future__ import annotations

import random
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.analyzers.corpus import text_set
from irkit.analyzers.corpus_engine import scan
from irkit.analyzers.corpus_index import Block
from irkit.analyzers.corpus_tokens import BASE, degenerate, kgrams, tokenise

BOTH = (True, True)


def block(*docs: str, first: int = 0) -> Block:
    pieces = [doc.encode() for doc in docs]
    breaks = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return Block(b"".join(pieces), breaks, first)


def matched(texts: list[str], docs: list[str], roles: tuple[bool, bool] = BOTH) -> list[dict]:
    found = text_set([text.encode() for text in texts], [roles] * len(texts))
    return scan(found, block(*docs)).to_pylist()


def reference_tokens(text: str) -> list[tuple[int, int]]:
    return [m.span() for m in re.finditer(r"\w+|[^\w\s]", text)]


def reference_runs(text: str, doc: str, shortest: int) -> set[tuple[int, int, int, int]]:
    """Character spans of every maximal run, by walking all diagonals."""
    a, b = reference_tokens(text), reference_tokens(doc)
    one, two = [text[s:e] for s, e in a], [doc[s:e] for s, e in b]
    found = set()
    for shift in range(-len(one) + 1, len(two)):
        i = max(0, -shift)
        while i < len(one) and i + shift < len(two):
            j = i
            while j < len(one) and j + shift < len(two) and one[j] == two[j + shift]:
                j += 1
            if j - i >= shortest:
                found.add((a[i][0], a[j - 1][1], b[i + shift][0], b[j - 1 + shift][1]))
            i = max(j, i + 1)
    return found


def spans(rows: list[dict], role: str) -> set[tuple[int, int, int, int]]:
    return {(r["t_start"], r["t_end"], r["d_start"], r["d_end"]) for r in rows if r[role]}


def test_tokens_of_many_scripts() -> None:
    docs = ["Hello, wörld! – a_b", "abc", "abc\u2028def", "", "日本 สวัสดี", "naïve\U0001f600 ok"]
    raw = "".join(docs).encode()
    breaks = np.cumsum([0, *(len(doc.encode()) for doc in docs)])
    tokens = tokenise(raw, breaks)
    words = [
        raw[s:e].decode() for s, e in zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True)
    ]
    assert words[:8] == ["Hello", ",", "wörld", "!", "–", "a_b", "abc", "abc"]
    assert words[8:11] == ["def", "日", "本"]
    assert words[-3:] == ["naïve", "\U0001f600", "ok"]
    assert tokens.bounds.tolist()[:4] == [0, 6, 7, 9]


def test_a_combining_mark_does_not_cut_a_word() -> None:
    text = unicodedata.normalize("NFD", "Zoë Ångström")
    raw = text.encode()
    tokens = tokenise(raw, np.array([0, len(raw)]))
    assert len(tokens) == 2


@given(st.text(max_size=80))
def test_tokens_cover_everything_but_white_space(text: str) -> None:
    raw = text.encode("utf-8", "replace")
    text = raw.decode()
    tokens = tokenise(raw, np.array([0, len(raw)]))
    pieces = [raw[s:e] for s, e in zip(tokens.starts, tokens.ends, strict=True)]
    assert b"".join(pieces).decode() == "".join(text.split())


@given(st.binary(max_size=200))
def test_any_bytes_are_cut_without_error(raw: bytes) -> None:
    tokens = tokenise(raw, np.array([0, len(raw)]))
    assert (tokens.ends > tokens.starts).all()
    assert (tokens.starts[1:] >= tokens.ends[:-1]).all()


def test_equal_words_hash_alike_wherever_they_lie() -> None:
    rng = random.Random(5)
    words = ["a", "ab", "abcdefg", "abcdefgh", "abcdefghi", "x" * 255, "x" * 256, "x" * 700]
    first: dict[str, int] = {}
    for _ in range(20):
        order = rng.sample(words, len(words))
        raw = ("." * rng.randrange(9) + " ".join(order)).encode()
        tokens = tokenise(raw, np.array([0, len(raw)]))
        seen = {
            raw[s:e]: h
            for s, e, h in zip(tokens.starts, tokens.ends, tokens.hashes.tolist(), strict=True)
        }
        kept = {word: seen[word.encode()] for word in words}
        assert len(set(kept.values())) == len(words)
        assert kept == (first := first or kept)


@pytest.mark.parametrize("k", [1, 2, 3, 8, 13, 25, 60, 61])
def test_kgrams_equal_the_plain_polynomial(k: int) -> None:
    values = np.random.default_rng(k).integers(0, 1 << 63, 60).astype(np.uint64)
    expected = []
    for i in range(60 - k + 1):
        total = 0
        for value in values[i : i + k].tolist():
            total = (total * BASE + value) % (1 << 64)
        expected.append(total)
    assert kgrams(values, [k])[0].tolist() == expected


def test_repetitive_kgrams_are_marked() -> None:
    values = np.array([1, 1, 1, 1, 1, 1, 2, 3, 2, 3, 2, 3, 9, 8, 7, 6, 5, 4], np.uint64)
    assert degenerate(values, 5).nonzero()[0].tolist() == [0, 1, 6, 7]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9))
def test_every_certain_run_is_found_and_nothing_else_is_called_one(seed: int) -> None:
    """Texts stitched from pieces of documents, so that runs overlap, repeat and touch edges."""
    rng = random.Random(seed)
    size = rng.choice([4, 30, 5000])
    gaps = [" ", "  ", "\n", " \t", "\u00a0"]

    def words(n: int) -> list[str]:
        return [rng.choice(["é", "w", "Ω", "-"]) + str(rng.randrange(size)) for _ in range(n)]

    docs = [words(rng.randrange(0, 120)) for _ in range(4)]
    docs.append(docs[0][10:70] + words(5) + docs[0][:40])
    pieces: list[str] = []
    for _ in range(rng.randrange(1, 5)):
        source = rng.choice(docs)
        begin = rng.randrange(0, len(source) + 1)
        pieces += source[begin : begin + rng.randrange(10, 90)] + words(rng.randrange(0, 3))
    text = "".join(word + rng.choice(gaps) for word in pieces)
    bodies = [" ".join(doc) for doc in docs]
    rows = matched([text, "unrelated"], bodies)
    for number, body in enumerate(bodies):
        mine = [row for row in rows if row["doc"] == number]
        certain = reference_runs(text, body, 25)
        if size > 4:  # a tiny vocabulary makes stretches that only repeat, which are left out
            assert certain <= spans(mine, "response")
            assert certain <= spans(mine, "prompt")
        assert spans(mine, "response") <= reference_runs(text, body, 8)
        assert spans(mine, "prompt") <= reference_runs(text, body, 3)


@pytest.mark.parametrize("offset", range(60))
def test_a_planted_span_is_found_at_every_offset(offset: int) -> None:
    doc = " ".join(f"secret{i}" for i in range(80))
    for length in (25, 50):
        planted = " ".join(f"secret{i}" for i in range(offset % 30, offset % 30 + length))
        text = " ".join(f"noise{i}" for i in range(offset)) + " " + planted + " and then"
        rows = matched([text], [doc], (False, True))
        assert [row["tokens"] for row in rows] == [length]
        assert text[rows[0]["t_start"] : rows[0]["t_end"]] == planted
        assert doc[rows[0]["d_start"] : rows[0]["d_end"]] == planted


@pytest.mark.parametrize("length", range(8, 30))
def test_a_prompt_that_ends_inside_a_document_is_found_from_eight_tokens(length: int) -> None:
    doc = "Über uns: " + " ".join(f"word{i}" for i in range(100))
    tail = " ".join(f"word{i}" for i in range(40, 40 + length))
    for closing in ("", " ", '"', "...", " \n"):
        rows = matched([f"Please continue this text: {tail}{closing}"], [doc], (True, False))
        assert len(rows) == 1, closing
        assert rows[0]["is_tail"]
        assert rows[0]["tokens"] == length
    assert not matched([f"{tail} thank you"], [doc], (True, False)) or length >= 25


def test_a_tail_cut_inside_a_word_reaches_into_it() -> None:
    doc = " ".join(f"word{i}" for i in range(60)) + " Elizabeth Example lives here"
    text = "noise " + " ".join(f"word{i}" for i in range(30, 60)) + " Eliz"
    (row,) = matched([text], [doc], (False, True))
    assert row["is_tail"]
    assert text[row["t_start"] : row["t_end"]].endswith("word59 Eliz")
    assert doc[row["d_start"] : row["d_end"]].endswith("word59 Eliz")


def test_a_long_run_that_does_not_end_the_text_is_no_tail() -> None:
    doc = " ".join(f"word{i}" for i in range(60))
    (row,) = matched([f"{doc} and some more words of another kind"], [doc], (False, True))
    assert not row["is_tail"]
    assert row["whole_doc"]


def test_short_documents_are_found_whole() -> None:
    doc = "Jane Example, born 1 May 1970, lives in Sampleton."
    rows = matched([f"The record says: {doc} Anything else?"], [doc], (False, True))
    assert [row["whole_doc"] for row in rows] == [True]
    assert matched(["born 1 May 1970, lives in Sampleton."], [doc], (False, True)) == []
    rows = matched(["Red cat sat.", "The red cat sat."], ["Red cat sat."], (True, False))
    assert [row["text"] for row in rows] == [0]


def test_runs_never_cross_documents_or_texts() -> None:
    words = [f"w{i}" for i in range(60)]
    first, second = " ".join(words[:20]), " ".join(words[20:60])
    rows = matched([" ".join(words)], [first + " ", second], (False, True))
    assert sorted(row["tokens"] for row in rows) == [20, 40]
    rows = matched([" ".join(words[:20]) + " ", " ".join(words[20:])], [" ".join(words)])
    assert max(row["tokens"] for row in rows) == 40


def test_repetition_does_not_explode() -> None:
    poem = "poem " * 20_000
    secret = " ".join(f"s{i}" for i in range(40))
    rows = matched([poem + secret], [poem, "- " * 20_000, f"{'poem ' * 300}{secret} end"])
    assert [row["doc"] for row in rows] == [2]
    assert rows[0]["tokens"] == 340


def test_a_private_end_of_a_repetitive_run_is_found() -> None:
    doc = " ".join(f"s{i}" for i in range(12)) + " " + "- " * 40 + "tail end of it"
    text = "x y z " + " ".join(f"s{i}" for i in range(12)) + " " + "- " * 30 + "other"
    rows = matched([text], [doc], (False, True))
    assert max(row["tokens"] for row in rows) == 42


def test_white_space_may_differ_but_tokens_may_not() -> None:
    words = [f"w{i}" for i in range(30)]
    assert matched(["\n".join(words)], ["  ".join(words)])
    assert not matched(["".join(words)], [" ".join(words)])
    assert not matched([" ".join(words).upper()], [" ".join(words)])


def test_offsets_are_characters() -> None:
    words = " ".join(f"wört{i}" for i in range(30))
    text, doc = f"ÄÖÜ 日本 {words} ß", f"αβγ {words} δ"
    (row,) = matched(["x ü", text], ["ä", doc], (False, True))
    assert text[row["t_start"] : row["t_end"]] == words
    assert doc[row["d_start"] : row["d_end"]] == words
    assert (row["text"], row["doc"]) == (1, 1)
