"""Compare names across scripts and spellings.

Names are brought to a plain Latin skeleton: Greek and Cyrillic letters are transliterated (ELOT 743
and the Bulgarian 2009 law, which passports follow, with the common Russian and Ukrainian letters),
diacritics are dropped, and letters that are written in several ways are folded together (ue/u/ü,
ou/u, ph/f, doubled letters).  A skeleton never identifies anybody: two records with one name are
two persons until an identifier agrees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

#: Jaro-Winkler similarity from which two skeletons are spellings of one name.
SAME = 0.88


def _table(letters: str, spellings: str) -> dict[str, str]:
    return dict(zip(letters, spellings.split(), strict=True))


_GREEK = _table("αβγδεζηθικλμνξοπρσςτυφχψω", "a v g d e z i th i k l m n x o p r s s t y f ch ps o")
_CYRILLIC = _table(
    "абвгдежзийклмнопрстуфхцчшщъьыэюяёєіїґ",
    "a b v g d e zh z i y k l m n o p r s t u f h ts ch sh sht a y y e yu ya yo ye i i g",
)
_LETTERS = _GREEK | _CYRILLIC | {
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "a", "ø": "o", "æ": "ae", "œ": "oe",
    "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h",
}  # fmt: skip
_PAIRS = {"ου": "ou", "μπ": "b", "ντ": "nt", "γγ": "ng", "γκ": "gk", "αυ": "av", "ευ": "ev"}
#: Spellings of one sound, applied in order.
_FOLDS = (
    ("ae", "a"), ("oe", "o"), ("ue", "u"), ("ou", "u"), ("ph", "f"), ("ch", "h"), ("kh", "h"),
    ("sht", "st"), ("sch", "s"), ("sh", "s"), ("zh", "z"), ("ts", "c"), ("tz", "c"), ("ck", "k"),
    ("ks", "x"), ("yu", "u"), ("ya", "a"), ("j", "i"), ("y", "i"), ("w", "v"), ("q", "k"),
)  # fmt: skip
_TITLES = frozenset(
    re.findall(r"\w+", "mr mrs ms miss dr prof herr frau mme m sr sra sig pan pani doctor sir")
)


@lru_cache(maxsize=100_000)
def latin(text: str) -> str:
    """Transliterate to lower-case Latin letters; other characters stay."""
    text = unicodedata.normalize("NFC", text).casefold()
    plain = "".join(
        c if c in _LETTERS else unicodedata.normalize("NFD", c)[0] for c in _bare_greek(text)
    )
    for pair, new in _PAIRS.items():
        plain = plain.replace(pair, new)
    return "".join(_LETTERS.get(c, c) for c in plain)


def _bare_greek(text: str) -> str:
    """Drop the accents of Greek and Cyrillic letters, which stand between a letter and its pair."""
    return "".join(
        unicodedata.normalize("NFD", c)[0]
        if "\u0370" <= c <= "\u03ff" or "\u1f00" <= c <= "\u1fff"
        else c
        for c in text
    )


@lru_cache(maxsize=100_000)
def skeleton(word: str) -> str:
    """Fold one word of a name to the form in which spellings are compared."""
    plain = re.sub(r"[^a-z]", "", latin(word))
    for old, new in _FOLDS:
        plain = plain.replace(old, new)
    return re.sub(r"(.)\1+", r"\1", plain)


def parts(name: str) -> tuple[str, ...]:
    """Skeletons of the words of a name, without titles, in alphabetical order."""
    words = (skeleton(word) for word in re.split(r"[\s,.\-]+", name))
    return tuple(sorted(word for word in words if len(word) > 1 and word not in _TITLES))


def same_name(one: str, other: str) -> bool:
    """True where two names can be spellings of one: every word of the shorter has its like."""
    a, b = sorted((parts(one), parts(other)), key=len)
    if not a:
        return False
    left = list(b)
    for word in a:
        best = max(left, key=lambda w: jaro_winkler(word, w), default="")
        if not best or jaro_winkler(word, best) < SAME:
            return False
        left.remove(best)
    return True


def jaro_winkler(one: str, other: str) -> float:
    """Jaro-Winkler similarity, 0 to 1 (Winkler 1990, prefix weight 0.1)."""
    if one == other:
        return 1.0 if one else 0.0
    reach = max(len(one), len(other)) // 2 - 1
    taken = [False] * len(other)
    common: list[str] = []
    for i, char in enumerate(one):
        for j in range(max(0, i - reach), min(len(other), i + reach + 1)):
            if not taken[j] and other[j] == char:
                taken[j] = True
                common.append(char)
                break
    if not common:
        return 0.0
    matched = [char for j, char in enumerate(other) if taken[j]]
    swaps = sum(a != b for a, b in zip(common, matched, strict=True)) / 2
    m = len(common)
    jaro = (m / len(one) + m / len(other) + (m - swaps) / m) / 3
    prefix = 0
    for a, b in zip(one[:4], other[:4], strict=False):
        if a != b:
            break
        prefix += 1
    return jaro + prefix * 0.1 * (1 - jaro)


def cue_cover(local: str, words: Sequence[str]) -> float:
    """Share of an address's local part that words of the prompt spell out.

    Words of three letters or more count where they stand in the local part; an initial counts
    where a separator or the other name shows that it is one ("jdoe", "j.doe").  After the cue test
    of "PII reconstruction is mostly cue-driven" (arXiv 2601.03791).
    """
    plain = re.sub(r"[^a-z0-9.]", "", latin(local).replace("_", ".").replace("-", "."))
    letters = plain.replace(".", "")
    if not letters:
        return 0.0
    known = {re.sub(r"[^a-z0-9]", "", latin(word)) for word in words}
    forms = {w for w in known if len(w) >= 3} | {skeleton(w) for w in known if len(w) >= 5}
    covered = [False] * len(letters)
    for word in sorted(forms, key=lambda w: (-len(w), w)):
        at = letters.find(word) if word else -1
        while at >= 0:
            covered[at : at + len(word)] = [True] * len(word)
            at = letters.find(word, at + 1)
    if any(covered):
        initials = {w[0] for w in known if len(w) >= 3}
        for i, piece in enumerate(plain.split(".")):
            begin = len("".join(plain.split(".")[:i]))
            if len(piece) == 1 and piece in initials:
                covered[begin] = True
        if not covered[0] and len(covered) > 1 and covered[1] and letters[0] in initials:
            covered[0] = True
    # Digits carry what no name tells.
    return sum(covered) / len(letters)
