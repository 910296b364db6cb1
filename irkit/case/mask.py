"""The one place where personal values are masked and hostile text is made safe to show.

A mask keeps what a reviewer needs to tell two values apart (initials, the last two digits, the
domain's ending) and nothing that would let a reader contact or identify the person.  It is
one-way: the same mask can stand for many values.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata

#: What stands for hidden characters; always three, so that a mask does not tell a length.
DOTS = "•••"
#: Kinds of value that :func:`mask` treats in their own way; every other kind is hidden whole but
#: for its first character.
EMAIL, PERSON, PHONE, NUMBER, SECRET, URL, IP, DATE = (
    "email", "person", "phone", "number", "secret", "url", "ip", "date",
)  # fmt: skip

#: Entity types of recognisers and the kind of mask they get.
_KINDS = {
    "EMAIL_ADDRESS": EMAIL, "PERSON": PERSON, "PHONE_NUMBER": PHONE, "URL": URL,
    "IP_ADDRESS": IP, "MAC_ADDRESS": IP, "DATE_TIME": DATE, "DATE_OF_BIRTH": DATE,
    "IBAN_CODE": NUMBER, "CREDIT_CARD": NUMBER, "CRYPTO": NUMBER, "US_SSN": NUMBER,
    "NATIONAL_ID": NUMBER, "PASSPORT": NUMBER, "MEDICAL_ID": NUMBER, "BANK_ACCOUNT": NUMBER,
    "TAX_ID": NUMBER, "GOVERNMENT_ID": NUMBER, "DRIVER_LICENSE": NUMBER,
    "CREDENTIAL": SECRET, "API_KEY": SECRET, "PASSWORD": SECRET, "PRIVATE_KEY": SECRET,
    "ACCESS_TOKEN": SECRET,
}  # fmt: skip

#: Terminal control sequences: CSI, OSC up to its end, and other two-character escapes.
_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
#: Controls that can move a cursor, and format characters that reorder or hide text.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """Return text that can be shown: no terminal sequences, no hidden or reordering characters.

    Tabs and line feeds stay; a carriage return with a line feed becomes a line feed.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub("", _ANSI.sub("", text.replace("\r\n", "\n")))


def mask(value: str, kind: str = "") -> str:
    """Return a one-way mask of a personal value.

    Args:
        value: the value as found.
        kind: a kind of this module, or a recogniser's entity type such as ``EMAIL_ADDRESS``.

    Examples:
        ``mask("Ann Example", "person")`` is ``A••• E•••``;
        ``mask("ann@example.org", "email")`` is ``a•••@e•••.org``.
    """
    value = " ".join(clean(value).split())
    kind = _KINDS.get(kind, kind)
    if kind == SECRET or len(value) < 2:
        return DOTS
    if kind == EMAIL and "@" in value:
        local, _, domain = value.rpartition("@")
        return f"{_initial(local)}@{_domain(domain)}"
    if kind == PERSON:
        return " ".join(_initial(part) for part in value.split()[:6])
    if kind in (PHONE, NUMBER):
        return _number(value, kind)
    if kind == IP:
        return f"{value[0]}{DOTS}"
    if kind == DATE:
        return _date(value)
    if kind == URL:
        scheme, mark, rest = value.partition("://")
        host = re.split(r"[/?#]", rest if mark else value, maxsplit=1)[0].rpartition("@")[2]
        return f"{scheme}{mark}{_domain(host)}" if mark else _domain(host)
    return _initial(value)


def mask_text(value: str, limit: int = 48) -> str:
    """Mask a passage word by word, so that its shape can be seen but not its content."""
    words = clean(value).split()
    shown: list[str] = []
    size = 0
    for word in words:
        shown.append(_initial(word) if any(c.isalnum() for c in word) else word[:3])
        size += len(shown[-1]) + 1
        if size >= limit:
            break
    more = " …" if len(shown) < len(words) else ""
    return " ".join(shown) + more


def canonical(value: str) -> str:
    """Bring spellings of one value together: NFKC, case-folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", clean(value)).casefold().split())


def value_hash(value: str, key: bytes = b"") -> str:
    """Return 32 hex digits that name a canonical value without showing it.

    Args:
        value: any spelling; it is made canonical first.
        key: secret of the case; without one the digest of a guessable value can be looked up, so
            it must not leave the case.
    """
    data = canonical(value).encode("utf-8", "surrogatepass")
    if key:
        return hmac.new(key, data, hashlib.sha256).hexdigest()[:32]
    return hashlib.sha256(data).hexdigest()[:32]


def _initial(word: str) -> str:
    """First letter or digit, then dots; a single character is hidden whole."""
    first = next((c for c in word if c.isalnum()), "")
    if len(word) < 2 or not first:
        return DOTS
    # A digit is more telling than a letter: house numbers and years are short.
    return DOTS if first.isdigit() else f"{first}{DOTS}"


def _domain(domain: str) -> str:
    name, dot, ending = domain.rpartition(".")
    if not dot or not name:
        return DOTS
    # The ending is kept only where it is a public one of letters: it tells the country.
    return f"{_initial(name)}.{ending}" if ending.isalpha() and len(ending) <= 12 else DOTS


def _number(value: str, kind: str) -> str:
    digits = [c for c in value if c.isalnum()]
    if len(digits) < 6:
        return DOTS
    head = ""
    if kind == PHONE and value.startswith("+"):
        head = "+" + "".join(digits[:2])
    elif digits[0].isalpha() and digits[1].isalpha():
        head = "".join(digits[:2])
    if len(digits) - len(head.lstrip("+")) < 6:
        return f"{head}{DOTS}"
    return f"{head}{DOTS}{''.join(digits[-2:])}"


def _date(value: str) -> str:
    year = re.search(r"(?<!\d)(?:19|20)\d\d(?!\d)", value)
    return f"{DOTS} {year.group()}" if year else DOTS
