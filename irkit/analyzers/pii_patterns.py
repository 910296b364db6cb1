"""Personal identifiers by pattern and check.

Numbers are validated (phonenumbers, python-stdnum); what a check cannot prove needs a word that
names it.  All patterns are bounded, so hostile text costs no more than its length.  The searches
take pieces of text in which :mod:`~.pii_find` saw something to look at.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from irkit.analyzers.pii_numbers import COUNTRY_OF, identify, is_card, is_iban, is_nino
from irkit.analyzers.secrets import (
    NAMED,
    SECRETS,
    TOKENS,
    Found,
    find_blocks,
    find_named,
    find_tokens,
)

#: Characters before a number in which a word may name it.
_WINDOW = 48
#: Stands between joined pieces of text; no pattern can match across it.
WALL = "\x00"

#: Entity types that name one person or account and can be looked for in a corpus.
IDENTIFIERS = (
    frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE", "CREDIT_CARD", "CRYPTO"})
    | COUNTRY_OF.keys()
    | SECRETS
)

_URL_USER = re.compile(r"://[^\s/:@]{1,64}:$")
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
    r"|[A-Z]{4}\d{6}[A-Z]{6}[0-9A-Z]\d|[A-Z]\d{12}|\d{7,8}-?K"
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
_DATE = re.compile(
    r"(?<![\d.,/-])(?:(?:19|20)\d\d[-./](?:0?[1-9]|1[0-2])[-./](?:[12]\d|3[01]|0?[1-9])"
    r"|(?:[12]\d|3[01]|0?[1-9])(?:[-./] ?|\. | )(?:0?[1-9]|1[0-2])[-./ ] ?(?:(?:19|20)\d\d|\d\d)"
    r"|(?:1[0-2]|0?[1-9])/(?:[12]\d|3[01]|0?[1-9])/(?:19|20)\d\d"
    rf"|(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th|\.|º)?(?: de| of)? {_MONTH}(?: de|,)? (?:19|20)\d\d"
    r")(?!\d)|(?<!\w)[a-zA-Zéû]{3,9}\.? (?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?,? (?:19|20)\d\d"
    r"(?!\d)",
    re.IGNORECASE,
)
#: Says, shortly before a date, that it is one of birth.
_BIRTH_WORD = re.compile(
    r"(?:\bborn\b|\bbirth\b|\bdob\b|\bd\.o\.b\b|\bgeb\.|\bgeboren\b|\bgeburtsdatum\b|\bn[ée]e? le\b"
    r"|\bnaissance\b|\bnat[oa] il\b|\bnascita\b|\bnacid[oa]\b|\bnacimiento\b|\burodz\w*|\bur\."
    r"|\bроден\w*|\bрождени\w*|\bγεννήθηκε\b|\bγέννησης\b|\bsyntyn\w*|\bsyntymä\w*|\bfödd\b"
    r"|\bfödelse\w*|\bgeboortedatum\b|\bnascid[oa]\b)\W{0,4}(?:\w{1,12}\W{1,3}){0,3}$",
    re.IGNORECASE,
)
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
    r"\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}|\(?0[1-9]\d{0,3}\)?[ /-]\d{2,8}(?:[ -]\d{2,8}){0,4}"
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


#: Finds the hits of one kind in a piece of text.
Search = Callable[[str], Iterator[Hit]]


# -- searches -----------------------------------------------------------------------------------


def _emails(text: str) -> Iterator[Hit]:
    for found in _EMAIL.finditer(text):
        value = found[0]
        trimmed = value.lstrip(".!#$%&'*+/=?^`{|}~-")
        local = trimmed.partition("@")[0]
        if not local or ".." in trimmed:
            continue
        start = found.end() - len(trimmed)
        if _URL_USER.search(text, max(0, start - 80), start):
            continue  # «scheme://user:password@host»
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
    before = text[max(0, start - _WINDOW) : start].rpartition(WALL)[2]
    after = text[end : end + 16].partition(WALL)[0]
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


@lru_cache(maxsize=20_000)
def _international(digits: str) -> tuple[str, float] | None:
    """Canonical form of an international number, and how sure it is; None where it is none."""
    try:
        number = phonenumbers.parse("+" + digits, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    # Ranges not given out (yet) are possible but not valid.
    score = 1.0 if phonenumbers.is_valid_number(number) else 0.8
    return f"+{number.country_code}{number.national_number}", score


def _phone(value: str, start: int, digits: str, nearby: frozenset[str]) -> Iterator[Hit]:
    named = not nearby.isdisjoint(_PHONE_WORDS)
    if value.startswith("+") or (digits.startswith("00") and len(digits) > 10):
        found = _international(digits.lstrip("0"))
        if found is not None:
            key, score = found
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
    for found in _DATE.finditer(text):
        before = text[max(0, found.start() - _WINDOW) : found.start()].rpartition(WALL)[2]
        if _BIRTH_WORD.search(before):
            key = " ".join(found[0].casefold().split())
            yield Hit(found.start(), found.end(), "DATE_OF_BIRTH", "irkit-birth", 0.9, key)


def _secrets(search: Callable[[str], Iterator[Found]]) -> Search:
    def hits(text: str) -> Iterator[Hit]:
        for found in search(text):
            yield Hit(*found)

    return hits


#: Searches by what a text must show to be worth them (see :mod:`~.pii_find`), each with what the
#: piece around such a place must hold (a Rust regular expression; empty for no condition).
SEARCHES: dict[str, tuple[tuple[Search, str], ...]] = {
    "digits": (
        (_numbers, r"\d(?:[ \u00a0()./\-\u2010-\u2013]{0,3}\d){6}"),
        (_ibans, r"(?:[A-Z]{2}|[a-z]{2})\d{2}[ \u00a0]?[A-Za-z0-9]{4}"),
        (
            _codes,
            r"\d{6}[-+A-FU-Y]\d{3}|[A-Z]{6}\d|\d{7}-?[A-Z]|[A-Z]{4}\d{6}[A-Z]"
            r"|[A-Z]\d{12}|[A-Z]{2} ?\d{2} ?\d{2} ?\d{2}"
            r"|\d{2} ?\d{3} ?\d{3} ?\d{2}",
        ),
        (
            _births,
            r"(?i)born|birth|dob|d\.o\.b|geb\.|gebor|geburts|n[ée]e? le|naissance|nat[oa] il"
            r"|nascita|nacid|nacim|urodz|ur\.|роден|рожд|γενν|γέννησης|synty|född|födelse|nascid",
        ),
    ),
    "at": ((_emails, ""),),
    "dot": ((_spelled_emails, ""),),
    "address": ((_addresses, ""),),
    "mixed": (
        (_secrets(find_tokens), TOKENS),
        (_secrets(find_named), NAMED),
        (_wallets, r"[A-Za-z0-9]{26}"),
    ),
    "block": ((_secrets(find_blocks), ""),),
}
