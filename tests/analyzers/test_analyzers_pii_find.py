"""Validated identifiers: what counts, what does not, and that windows lose nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.analyzers import pii_find
from irkit.analyzers.pii_find import find_identifiers
from irkit.analyzers.pii_patterns import SEARCHES


def found(text: str) -> list[tuple[str, str]]:
    rows = find_identifiers([text]).iter_rows(named=True)
    return [(row["entity_type"], text[row["e_start"] : row["e_end"]]) for row in rows]


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("write ann.b-c+d@mail.example.", "EMAIL_ADDRESS", "ann.b-c+d@mail.example"),
        ("(jürgen@post.example)", "EMAIL_ADDRESS", "jürgen@post.example"),
        ("mailto:ann@sub.mail.example?x", "EMAIL_ADDRESS", "ann@sub.mail.example"),
        ("jane (at) mail (dot) example ok", "EMAIL_ADDRESS", "jane (at) mail (dot) example"),
        ("j.doe at mail dot example ok", "EMAIL_ADDRESS", "j.doe at mail dot example"),
        ("ring +44 20 7946 0123 now", "PHONE_NUMBER", "+44 20 7946 0123"),
        ("ring 0044 20 7946 0123 now", "PHONE_NUMBER", "0044 20 7946 0123"),
        ("tel. 020 7946 0999", "PHONE_NUMBER", "020 7946 0999"),
        ("202-555-0123", "PHONE_NUMBER", "202-555-0123"),
        ("τηλέφωνο 2105550123", "PHONE_NUMBER", "2105550123"),
        ("to DE22999999992063879397.", "IBAN_CODE", "DE22999999992063879397"),
        ("to GB29 NWBK 6016 1331 9268 19 by", "IBAN_CODE", "GB29 NWBK 6016 1331 9268 19"),
        ("iban gb29nwbk60161331926819", "IBAN_CODE", "gb29nwbk60161331926819"),
        ("card 4111 1111 1111 1111 ok", "CREDIT_CARD", "4111 1111 1111 1111"),
        ("SSN: 123-45-6789", "US_SSN", "123-45-6789"),
        ("NHS number 943 476 5919", "UK_NHS", "943 476 5919"),
        ("NINO AB 12 34 56 C.", "UK_NINO", "AB 12 34 56 C"),
        ("PESEL 44051401359", "PL_PESEL", "44051401359"),
        ("ЕГН 7523169263", "BG_EGN", "7523169263"),
        ("ΑΜΚΑ 01013099997", "GR_AMKA", "01013099997"),
        ("DNI 54362315K", "ES_NIF", "54362315K"),
        ("RCCMNL83S18D969H", "IT_FISCAL_CODE", "RCCMNL83S18D969H"),
        ("131052-308T", "FI_PERSONAL_IDENTITY_CODE", "131052-308T"),
        ("personnummer 880320-0016", "SE_PERSONNUMMER", "880320-0016"),
        ("BSN 111222333", "NL_BSN", "111222333"),
        ("2 95 10 99 126 111 93", "FR_NIR", "2 95 10 99 126 111 93"),
        ("CURP BOXW310820HNERXN09.", "MX_CURP", "BOXW310820HNERXN09"),
        ("pupil UPN B801200005001", "UK_UPN", "B801200005001"),
        ("her UTR 1955839661", "UK_UTR", "1955839661"),
        ("ЛНЧ 7111042925", "BG_PNF", "7111042925"),
        ("kennitala 450401-3150", "IS_KENNITALA", "450401-3150"),
        ("numéro fiscal 3023217600053", "FR_NIF", "3023217600053"),
        ("ΑΦΜ 094259216", "GR_AFM", "094259216"),
        ("РНОКПП 1759013776", "UA_RNTRC", "1759013776"),
        ("ИНН 123456789047", "RU_INN", "123456789047"),
        ("SIN 123-456-782", "CA_SIN", "123-456-782"),
        ("TFN 123 456 782", "AU_TFN", "123 456 782"),
        ("RUT 76086428-5", "CL_RUT", "76086428-5"),
        ("identity number 7503305044089", "ZA_ID_NUMBER", "7503305044089"),
        ("CNIC 34201-0891231-8", "PK_CNIC", "34201-0891231-8"),
        ("주민등록번호 971013-9019902", "KR_RRN", "971013-9019902"),
        ("個人番号 6214 9832 0257", "JP_MY_NUMBER", "6214 9832 0257"),
        ("from 203.0.113.7 today", "IP_ADDRESS", "203.0.113.7"),
        ("from 2001:db8::1 today", "IP_ADDRESS", "2001:db8::1"),
        ("1NEDqZPvTWRaoho48qXuLLsrYomMXPABfD", "CRYPTO", "1NEDqZPvTWRaoho48qXuLLsrYomMXPABfD"),
        ("Ann, born 12 May 1970, says", "DATE_OF_BIRTH", "12 May 1970"),
        ("Date of birth: 1970-05-12", "DATE_OF_BIRTH", "1970-05-12"),
        ("geb. am 03.04.1981 in", "DATE_OF_BIRTH", "03.04.1981"),
        ("née le 3 avril 1981", "DATE_OF_BIRTH", "3 avril 1981"),
        ("родена на 03.04.1981", "DATE_OF_BIRTH", "03.04.1981"),
        ("DOB: May 12, 1970", "DATE_OF_BIRTH", "May 12, 1970"),
    ],
)
def test_known_identifiers(text: str, entity: str, value: str) -> None:
    assert found(text) == [(entity, value)]


@pytest.mark.parametrize(
    "text",
    [
        "order 1234567890 of 2024-01-02 10:00:00",
        "between 1914-1918 and 1939-1945",
        "the number is 341308170",
        "DE89 3704 0044 0532 0130 01 is no IBAN",
        "card 4111 1111 1111 1112",
        "9434765919 without the word",
        "@handle and user@localhost",
        "version 1.2.3.4.5 and 300.1.2.3",
        "at 10:20:30 sharp",
        "I looked at the thing dot com bubble",
        "the battle of 12 May 1970",
        "000-12-3456 SSN",
        "3.14159265358979 and 1,234,567,890.12",
        "16777216 bytes, 4294967296 values",
        "5 10 15 20 25 30 35 40 45 50",
    ],
)
def test_ordinary_numbers_are_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("password = kJ8mPq2rTv9xZa", "PASSWORD", "kJ8mPq2rTv9xZa"),
        ("Log in with passphrase hG7kLm2pQr5tXz, never", "PASSWORD", "hG7kLm2pQr5tXz"),
        ("the password is: 'Tr0ub4dor&3x'", "PASSWORD", "Tr0ub4dor&3x"),
        ("парола: kJ8mPq2rTv9xZa", "PASSWORD", "kJ8mPq2rTv9xZa"),
        ("api_key: 7f3c9a1be0d24f6c8a5b", "API_KEY", "7f3c9a1be0d24f6c8a5b"),
        ("key fk_test_abcDEF123456ghiJKL78 ok", "API_KEY", "fk_test_abcDEF123456ghiJKL78"),
        ("postgres://ops:Gh7kLm2pQr5t@db.example/x", "PASSWORD", "Gh7kLm2pQr5t"),
        ("AKIAIOSFODNN7EXAMPLE", "API_KEY", "AKIAIOSFODNN7EXAMPLE"),
        ("use ghp_" + "aB3" * 12 + " here", "ACCESS_TOKEN", "ghp_" + "aB3" * 12),
        (
            "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----",
            "PRIVATE_KEY",
            "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----",
        ),
    ],
)
def test_credentials(text: str, entity: str, value: str) -> None:
    assert found(text) == [(entity, value)]


@pytest.mark.parametrize(
    "text",
    [
        "password is required",
        "password: YOUR_PASSWORD_HERE",
        "the secret to success is practice",
        "token limit 4096",
        "api_key = ${API_KEY}",
        "password: ********",
        "passwordless logins since 2019-01-01",
        "see https://example.org/a:b@c",
    ],
)
def test_placeholders_are_no_credentials(text: str) -> None:
    assert found(text) == []


PARTS = [
    "ann@mail.example", "+44 20 7946 0123", "DE22999999992063879397", "password = kJ8mPq2rTv9xZa",
    "born 12 May 1970", "203.0.113.7", "4111 1111 1111 1111", "PESEL 44051401359",
    "tel. 020 7946 0999", "AB123456C", "AKIAIOSFODNN7EXAMPLE", "j.doe at mail dot example",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_places_lose_nothing_that_a_whole_search_finds(seed: int) -> None:
    rng = random.Random(seed)
    fill = [
        "word",
        "ü",
        "日本",
        "\n",
        "A1",
        "12",
        "x.y",
        "the",
        ",",
        "dot",
        "at",
        "\u00a0",
        "é" * 30,
    ]
    texts = []
    for _ in range(rng.randrange(1, 6)):
        made = [rng.choice(fill) for _ in range(rng.randrange(0, 40))]
        for part in rng.sample(PARTS, rng.randrange(0, 4)):
            made.insert(rng.randrange(len(made) + 1), part)
        texts.append(rng.choice([" ", "  "]).join(made))
    whole = [
        (i, hit.start, hit.end, hit.entity, hit.recogniser, hit.score, hit.canonical)
        for i, text in enumerate(texts)
        for searches in SEARCHES.values()
        for search, _ in searches
        for hit in search(text)
    ]
    expected = pii_find._resolve(pl.DataFrame(whole, pii_find.SCHEMA, orient="row"))
    assert find_identifiers(texts).rows() == expected.rows()


@given(st.lists(st.text(max_size=80), max_size=5))
def test_any_text_is_read_without_error(texts: list[str]) -> None:
    rows = find_identifiers(texts)
    for text, start, end in rows.select("text", "e_start", "e_end").iter_rows():
        assert 0 <= start < end <= len(texts[text])


@pytest.mark.parametrize(
    "text",
    [
        "://a:" + "a:" * 50_000,
        "eyJ" * 50_000,
        "a@" * 50_000,
        "1 " * 50_000,
        "password " * 20_000,
        "-----BEGIN RSA PRIVATE KEY-----" * 2000,
        "born " * 20_000,
        "sk-" * 50_000,
        "AB12" * 30_000,
        "x" * 300_000,
        "a.a@a.a." * 20_000,
        "mail dot " * 20_000,
        "0" * 200_000,
        "+1-" * 50_000,
    ],
)
def test_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    """Would run for hours with an unbounded pattern; the suite's own time limit is the check."""
    assert find_identifiers([text]).height < len(text)


def test_offsets_are_right_behind_multibyte_text_and_across_texts() -> None:
    texts = ["ü" * 50 + " ann@mail.example", "", "12", "34 5678 9012 3456", "日本 bo@mail.example"]
    rows = find_identifiers(texts).iter_rows(named=True)
    assert [(r["text"], texts[r["text"]][r["e_start"] : r["e_end"]]) for r in rows] == [
        (0, "ann@mail.example"),
        (4, "bo@mail.example"),
    ]


def test_synthetic_texts_of_presidio_research(dev_data: Path) -> None:
    source = dev_data / "presidio_research" / "generated_large.json"
    if not source.is_file():
        pytest.skip("presidio_research is not there")
    data = json.loads(source.read_text("utf-8"))
    got = find_identifiers([entry["full_text"] for entry in data])
    for entity, recall in (
        ("EMAIL_ADDRESS", 0.99), ("IBAN_CODE", 0.99), ("CREDIT_CARD", 0.99), ("US_SSN", 0.95),
        ("IP_ADDRESS", 0.9), ("PHONE_NUMBER", 0.65),
    ):  # fmt: skip
        mine = got.filter(pl.col("entity_type") == entity)
        spans = list(mine.select("text", "e_start", "e_end").iter_rows())
        wanted = [
            (i, span["start_position"], span["end_position"])
            for i, entry in enumerate(data)
            for span in entry["spans"]
            if span["entity_type"] == entity
        ]
        hits = sum(any(i == t and s < e2 and s2 < e for t, s, e in spans) for i, s2, e2 in wanted)
        assert hits >= recall * len(wanted), entity
        right = sum(any(i == t and s < e2 and s2 < e for i, s2, e2 in wanted) for t, s, e in spans)
        assert right >= 0.95 * len(spans), entity
