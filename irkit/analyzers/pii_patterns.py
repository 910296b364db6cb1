"""Personal identifiers by pattern and check, over every text, at the speed of a scan.

Polars' regex engine tells in one pass which texts can hold anything of a kind; only those are
searched with Python's, joined to one string per batch so that the cost is per finding, not per
text.  Numbers are validated (phonenumbers, python-stdnum); what a check cannot prove needs a word
that names it.  Offsets are character offsets.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import phonenumbers
import polars as pl

from irkit.analyzers.pii_numbers import COUNTRY_OF, identify, is_card, is_iban, is_nino
from irkit.analyzers.secrets import PREFILTER as SECRET_PREFILTER
from irkit.analyzers.secrets import SECRETS, find_secrets

#: Characters before a number in which a word may name it.
_WINDOW = 48
#: Stands between joined texts; no pattern can match across it.
_WALL = "\x00"

SCHEMA = {
    "text": pl.Int64, "e_start": pl.Int64, "e_end": pl.Int64, "entity_type": pl.String,
    "recogniser": pl.String, "score": pl.Float64, "canonical": pl.String,
}  # fmt: skip

#: Entity types that name one person or account and can be looked for in a corpus.
IDENTIFIERS = (
    frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE", "CREDIT_CARD", "CRYPTO"})
    | COUNTRY_OF.keys()
    | SECRETS
)

_NOT_DIGIT = re.compile(r"\D")
_EMAIL = re.compile(
    r"(?<![\w.+/=-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w](?:[\w-]{0,61}[\w])?\.){1,8}[^\W\d_]{2,24}"
    r"(?![\w@-])"
)
_SPELLED_EMAIL = re.compile(
    r"(?<![\w.+-])([\w.+-]{1,64}) ?(?:\(at\)|\[at\]|\{at\}| at ) ?"
    r"([\w-]{1,63}(?: ?(?:\(dot\)|\[dot\]|\{dot\}| dot |\.) ?[\w-]{1,63}){0,4})"
    r" ?(?:\(dot\)|\[dot\]|\{dot\}| dot ) ?([a-z]{2,24})(?!\w)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"(?<![\w.,])(?:\+|\()?\d(?:[ \u00a0()./\-\u2010-\u2013]{0,3}\d){6,22}(?![\w])"
)
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]){11,30}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])[a-z]{2}\d{2}(?:[ \u00a0]?[a-z0-9]){11,30}(?![A-Za-z0-9])"
)
_CODE = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]{6}\d\w[A-Z]\w{2}[A-Z]\w{3}[A-Z]|\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]"
    r"|[XYZ]-?\d{7}-?[A-Z]|\d{8}-?[A-Z]|\d{7}[A-W][A-IW]?"
    r"|[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]|[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2})"
    r"(?![A-Za-z0-9])"
)
_IP = re.compile(
    r"(?<![\w.:])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.]*\w)"
    r"|(?<![\w.:])(?:[0-9a-fA-F]{1,4}:){2,7}(?:[0-9a-fA-F]{1,4}|:)(?::?[0-9a-fA-F]{1,4})*(?![\w:])"
)
_CRYPTO = re.compile(r"(?<!\w)(?:bc1[ac-hj-np-z02-9]{25,59}|[13][1-9A-HJ-NP-Za-km-z]{25,34})(?!\w)")
_MONTH = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|okt|dez|ene|abr|ago|dic|gen|mag|giu"
    r"|lug|set|ott|janv|févr|fevr|avr|juin|juil|août|aout|déc)\w*\.?"
)
_BIRTH = re.compile(
    r"(?:\bborn\b|\bbirth\b|\bdob\b|\bd\.o\.b\b|\bgeb\.|\bgeboren\b|\bgeburtsdatum\b|\bn[ée]e? le\b"
    r"|\bnaissance\b|\bnat[oa] il\b|\bnascita\b|\bnacid[oa]\b|\bnacimiento\b|\burodz\w*|\bur\."
    r"|\bроден\w*|\bрождени\w*|\bγεννήθηκε\b|\bγέννησης\b|\bsyntyn\w*|\bsyntymä\w*|\bfödd\b"
    r"|\bfödelse\w*|\bgeboortedatum\b|\bnascid[oa]\b)\W{0,4}(?:\w{1,12}\W{1,3}){0,3}?"
    r"(?P<date>(?:19|20)\d\d[-./](?:0?[1-9]|1[0-2])[-./](?:[12]\d|3[01]|0?[1-9])"
    r"|(?:[12]\d|3[01]|0?[1-9])[-./ ]{1,2}(?:0?[1-9]|1[0-2])[-./ ]{1,2}(?:(?:19|20)\d\d|\d\d)"
    rf"|(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th|\.|º)?(?: de| of)? {_MONTH}(?: de|,)? (?:19|20)\d\d"
    rf"|{_MONTH} (?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?,? (?:19|20)\d\d)(?!\d)",
    re.IGNORECASE,
)
#: What a text must hold for a pattern to be tried at all; Rust regular expressions.
_PREFILTER = {
    "secret": SECRET_PREFILTER,
    "email": r"[\w.!#$%&'*+/=?^`{|}~-]@[\w]",
    "spelled": r"(?i)(?:[\(\[\{]dot[\)\]\}]| dot )",
    "number": r"\d(?:[ \u00a0()./\-\u2010-\u2013]{0,3}\d){6}",
    "iban": r"(?:[A-Z]{2}|[a-z]{2})\d{2}[ \u00a0]?[A-Za-z0-9]{4}",
    "code": r"\d{6}[-+A-FU-Y]\d{3}|[A-Z]{6}\d|\d{7}-?[A-Z]|[A-Z]{2} ?\d{2} ?\d{2} ?\d{2}"
    r"|\d{2} ?\d{3} ?\d{3} ?\d{2}",
    "ip": r"\d\.\d{1,3}\.\d{1,3}\.\d|[0-9a-fA-F]{1,4}:[0-9a-fA-F]{0,4}:[0-9a-fA-F]{1,4}:",
    "crypto": r"bc1[ac-hj-np-z02-9]{25}|[13][1-9A-HJ-NP-Za-km-z]{25}",
    "birth": r"(?i)born|birth|dob|d\.o\.b|geb[.uo]|n[ée]e? le|naissance|nat[oa] il|nascita|naci"
    r"|urodz|ur\.|роден|рожд|γενν|γέννησης|synty|född|födelse|nascid",
}
_PHONE_WORDS = frozenset(
    re.findall(
        r"\S+",
        "phone tel telephone telefon telefono teléfono téléphone telefoon puhelin mobile mobil "
        "móvil cell cellphone call fax ring handy portable gsm hotline whatsapp sms rückruf office "
        "τηλ τηλέφωνο κινητό тел телефон мобилен",
    )
)
#: Shapes that are read as a telephone number without a word: North America's, and a trunk zero or
#: an area code in brackets with grouped digits.
_SHAPED = re.compile(
    r"\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}|\(?0\d{1,4}\)?[ /-]\d{2,8}(?:[ -]\d{2,8}){0,4}"
    r"|\(\d{2,4}\) ?\d{3}[- ]?\d{3,5}"
)
_WORD = re.compile(r"[^\W\d_][\w-]*")
_GROUPED = re.compile(r"[ \u00a0()./\-\u2010-\u2013]")


@dataclass(frozen=True, slots=True)
class Hit:
    """One finding in a text."""

    start: int
    end: int
    entity: str
    recogniser: str
    score: float
    canonical: str


#: Finds the hits of one kind in a text.
Search = Callable[[str], Iterator[Hit]]


def find_identifiers(texts: Sequence[str]) -> pl.DataFrame:
    """Find validated identifiers.

    Args:
        texts: any strings.

    Returns:
        Rows of :data:`SCHEMA`, ordered, without overlaps of one type; ``text`` is the index in
        ``texts`` and ``canonical`` the value in the one form in which it is compared.
    """
    series = pl.Series(texts, dtype=pl.String)
    rows: list[tuple[object, ...]] = []
    for name, search in _SEARCHES.items():
        able = series.str.contains(_PREFILTER[name]).fill_null(False).arg_true().to_list()
        for index, hit in _joined(texts, able, search):
            rows.append(
                (index, hit.start, hit.end, hit.entity, hit.recogniser, hit.score, hit.canonical)
            )
    found = pl.DataFrame(rows, SCHEMA, orient="row")
    return _resolve(found)


def _joined(texts: Sequence[str], able: Sequence[int], search: Search) -> Iterator[tuple[int, Hit]]:
    """Search many texts as one string and put the findings back into their texts."""
    batch: list[int] = []
    size = 0
    for index in able:
        batch.append(index)
        size += len(texts[index])
        if size >= 1 << 20:
            yield from _in_batch(texts, batch, search)
            batch, size = [], 0
    yield from _in_batch(texts, batch, search)


def _in_batch(
    texts: Sequence[str], batch: Sequence[int], search: Search
) -> Iterator[tuple[int, Hit]]:
    starts = list(accumulate((len(texts[i]) + 1 for i in batch), initial=0))
    joined = _WALL.join(texts[i] for i in batch)
    for hit in search(joined):
        at = bisect_right(starts, hit.start) - 1
        low = starts[at]
        yield (
            batch[at],
            Hit(
                hit.start - low, hit.end - low, hit.entity, hit.recogniser, hit.score, hit.canonical
            ),
        )


def _resolve(found: pl.DataFrame) -> pl.DataFrame:
    """Of overlapping findings keep the surer, then the longer one."""
    order = found.sort(
        ["text", "score", pl.col("e_end") - pl.col("e_start"), "e_start", "entity_type"],
        descending=[False, True, True, False, False],
    )
    kept: list[int] = []
    begins: list[int] = []
    ends: list[int] = []
    current = -1
    columns = (order["text"].to_list(), order["e_start"].to_list(), order["e_end"].to_list())
    for row, (text, start, end) in enumerate(zip(*columns, strict=True)):
        if text != current:
            current, begins, ends = text, [], []
        # Kept spans are disjoint, so only the neighbours can overlap.
        at = bisect_right(begins, start)
        if (at and ends[at - 1] > start) or (at < len(begins) and begins[at] < end):
            continue
        begins.insert(at, start)
        ends.insert(at, end)
        kept.append(row)
    return order[kept].sort(["text", "e_start"]) if kept else order


# -- searches -----------------------------------------------------------------------------------


def _emails(text: str) -> Iterator[Hit]:
    for found in _EMAIL.finditer(text):
        value = found[0]
        trimmed = value.lstrip(".!#$%&'*+/=?^`{|}~-")
        local = trimmed.partition("@")[0]
        if not local or ".." in trimmed:
            continue
        start = found.end() - len(trimmed)
        yield Hit(start, found.end(), "EMAIL_ADDRESS", "irkit-email", 1.0, email_key(trimmed))


def _spelled_emails(text: str) -> Iterator[Hit]:
    for found in _SPELLED_EMAIL.finditer(text):
        plain = " at " in found[0].lower() and "(" not in found[0] and "[" not in found[0]
        domain = re.sub(r" ?(?:[(\[{]dot[)\]}]| dot |\.) ?", ".", found[2], flags=re.IGNORECASE)
        if plain and not re.search(r"[\d._+-]", found[1]) and "." not in domain:
            continue  # «look at things dot com» is prose
        key = email_key(f"{found[1]}@{domain}.{found[3]}")
        yield Hit(found.start(), found.end(), "EMAIL_ADDRESS", "irkit-spelled-email", 0.7, key)


def email_key(value: str) -> str:
    """Canonical form of an address: the case of neither part matters in practice."""
    return value.strip().casefold()


def _nearby(text: str, start: int, end: int) -> frozenset[str]:
    before = text[max(0, start - _WINDOW) : start].rpartition(_WALL)[2]
    after = text[end : end + 16].partition(_WALL)[0]
    return frozenset(word.casefold() for word in _WORD.findall(before + " " + after))


def _numbers(text: str) -> Iterator[Hit]:
    for found in _NUMBER.finditer(text):
        value, start, end = found[0], found.start(), found.end()
        digits = _NOT_DIGIT.sub("", value)
        if len(digits) < 7:
            continue
        nearby = _nearby(text, start, end)
        scheme = identify(re.sub(r"[ \u00a0()]", "", value), nearby)
        if scheme is not None:
            yield Hit(start, end, scheme.entity, f"stdnum-{scheme.module}", 1.0, digits)
        elif 13 <= len(digits) <= 19 and is_card(digits):
            yield Hit(start, end, "CREDIT_CARD", "irkit-card", 1.0, digits)
        else:
            yield from _phone(value, start, digits, nearby)


def _phone(value: str, start: int, digits: str, nearby: frozenset[str]) -> Iterator[Hit]:
    named = not nearby.isdisjoint(_PHONE_WORDS)
    if value.startswith("+") or (digits.startswith("00") and len(digits) > 10):
        try:
            number = phonenumbers.parse("+" + digits.lstrip("0"), None)
        except phonenumbers.NumberParseException:
            return
        if not phonenumbers.is_possible_number(number):
            return
        valid = phonenumbers.is_valid_number(number)
        key = f"+{number.country_code}{number.national_number}"
        score = 1.0 if valid else 0.8
        yield Hit(start, start + len(value), "PHONE_NUMBER", "phonenumbers", score, key)
        return
    shaped = _SHAPED.fullmatch(value) is not None
    if not 7 <= len(digits) <= 13 or not (named or shaped) or _looks_like_date(value):
        return
    if not shaped and not _GROUPED.search(value) and len(digits) < 9:
        return
    score = 0.7 if named else 0.5
    yield Hit(start, start + len(value), "PHONE_NUMBER", "irkit-phone", score, digits.lstrip("0"))


def _looks_like_date(value: str) -> bool:
    return bool(
        re.fullmatch(r"(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}(?:[ /-].*)?", value)
        or re.fullmatch(r"\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d\d(?:[ /-].*)?", value)
        or re.fullmatch(r"(?:19|20)\d\d ?[-–/] ?(?:19|20)\d\d", value)
    )


def _ibans(text: str) -> Iterator[Hit]:
    for found in _IBAN.finditer(text):
        value = found[0]
        # The pattern may have run on into words after the number.
        while len(value) >= 15:
            compact = re.sub(r"[ \u00a0]", "", value).upper()
            if len(compact) <= 34 and is_iban(compact):
                end = found.start() + len(value)
                yield Hit(found.start(), end, "IBAN_CODE", "stdnum-iban", 1.0, compact)
                break
            value = value[:-1].rstrip(" \u00a0")


def _codes(text: str) -> Iterator[Hit]:
    for found in _CODE.finditer(text):
        compact = re.sub(r"[ \u00a0]", "", found[0])
        if is_nino(compact):
            yield Hit(found.start(), found.end(), "UK_NINO", "irkit-nino", 0.9, compact)
            continue
        scheme = identify(compact, _nearby(text, found.start(), found.end()))
        if scheme is not None:
            key = re.sub(r"[^0-9A-Z]", "", compact)
            name = f"stdnum-{scheme.module}"
            yield Hit(found.start(), found.end(), scheme.entity, name, 1.0, key)


def _addresses(text: str) -> Iterator[Hit]:
    for found in _IP.finditer(text):
        try:
            address = ipaddress.ip_address(found[0])
        except ValueError:
            continue
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            continue
        yield Hit(found.start(), found.end(), "IP_ADDRESS", "irkit-ip", 0.9, address.compressed)


def _wallets(text: str) -> Iterator[Hit]:
    from stdnum import bitcoin

    for found in _CRYPTO.finditer(text):
        if bitcoin.is_valid(found[0]):
            yield Hit(found.start(), found.end(), "CRYPTO", "stdnum-bitcoin", 1.0, found[0])


def _births(text: str) -> Iterator[Hit]:
    for found in _BIRTH.finditer(text):
        value = found["date"]
        yield Hit(
            found.start("date"),
            found.end("date"),
            "DATE_OF_BIRTH",
            "irkit-birth",
            0.9,
            " ".join(value.casefold().split()),
        )


def _secrets(text: str) -> Iterator[Hit]:
    for start, end, entity, recogniser, score, value in find_secrets(text):
        yield Hit(start, end, entity, recogniser, score, value)


_SEARCHES: dict[str, Search] = {
    "secret": _secrets,
    "email": _emails,
    "spelled": _spelled_emails,
    "number": _numbers,
    "iban": _ibans,
    "code": _codes,
    "ip": _addresses,
    "crypto": _wallets,
    "birth": _births,
}
