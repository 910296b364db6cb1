"""Masks show no more than they must, and text is made safe to show."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.case.mask import DOTS, clean, mask, mask_text, value_hash

KINDS = ["", "email", "person", "phone", "number", "secret", "url", "ip", "date", "PERSON",
         "EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE", "API_KEY", "PL_PESEL"]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("Ann Example", "person", "A••• E•••"),
        ("ann.example@mail.example", "email", "a•••@m•••.example"),
        ("a@b.example", "EMAIL_ADDRESS", "•••@•••.example"),
        ("+44 20 7946 0123", "phone", "+44•••23"),
        ("020 7946 0123", "PHONE_NUMBER", "•••23"),
        ("DE22999999992063879397", "IBAN_CODE", "DE•••97"),
        ("44051401359", "number", "•••59"),
        ("12345", "number", "•••"),
        ("kJ8mPq2rTv9xZa", "API_KEY", "•••"),
        ("203.0.113.7", "ip", "2•••"),
        ("12 May 1970", "date", "••• 1970"),
        ("https://user:pw@host.example/path?q=1", "url", "https://h•••.example"),
        ("Γιώργος Παπαδόπουλος", "PERSON", "Γ••• Π•••"),
        ("x", "person", "•••"),
        ("", "email", "•••"),
    ],
)
def test_known_masks(value: str, kind: str, shown: str) -> None:
    assert mask(value, kind) == shown


@given(st.text(max_size=60), st.sampled_from(KINDS))
def test_a_mask_keeps_no_run_of_the_value(value: str, kind: str) -> None:
    shown = mask(value, kind)
    kept = shown.replace(DOTS, "\n")
    longest = 12 if kind in ("email", "EMAIL_ADDRESS", "url") else 4
    for piece in re.findall(r"\w+", kept):
        assert len(piece) <= longest
    assert shown


@given(st.from_regex(r"[a-z]{3,12}\.[a-z]{3,12}@[a-z]{4,12}\.(example|test)", fullmatch=True))
def test_an_address_cannot_be_read_from_its_mask(value: str) -> None:
    local, _, domain = value.partition("@")
    shown = mask(value, "email")
    assert local not in shown
    assert domain.partition(".")[0] not in shown


@given(st.from_regex(r"[A-Za-z0-9]{8,40}", fullmatch=True))
def test_a_secret_leaves_nothing(value: str) -> None:
    assert mask(value, "secret") == DOTS


@given(st.text(max_size=200))
def test_clean_text_has_nothing_that_moves_or_hides(text: str) -> None:
    shown = clean(text)
    for char in shown:
        assert char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs")
        assert char not in "\u202e\u2066\u200b\ufeff"
    assert clean(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\u202eb\u2066c", "abc"),
        ("line\r\nnext\rback", "line\nnextback"),
        ("\x9b31mred", "red"),
        ("tab\tkept", "tab\tkept"),
        ("ends \x1b", "ends "),
    ],
)
def test_terminal_sequences_are_taken_out(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text(max_size=400))
def test_a_masked_passage_is_short_and_hides_words(text: str) -> None:
    shown = mask_text(text)
    assert len(shown) <= 120
    for word in re.findall(r"\w{3,}", shown):
        assert re.fullmatch(r"[^\W\d]\w?•*|\w{1,3}", word) is not None


def test_hashes_name_canonical_values() -> None:
    assert value_hash("Ann  Example") == value_hash("ann example")
    assert value_hash("Ａnn example") == value_hash("ann example")
    assert value_hash("a", b"k") != value_hash("a")
    assert re.fullmatch(r"[0-9a-f]{32}", value_hash("a"))
