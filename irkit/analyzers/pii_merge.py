"""Put the findings of several recognisers together.

Where two models see the same thing they confirm each other.  Where they disagree about the type
Rampart stands: on presidio-research it was right in 257 of 277 such places.  What only spaCy takes
for a person, and Rampart does not even suspect, was a person in a quarter of cases; it is kept with
a score that says so.  Organisations are no natural persons (GDPR Art. 4(1)), so what a legal form
marks as one is reported as that and not as a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from irkit.analyzers.pii_places import countries, is_country, organisations

#: Start, end, entity type, recogniser, score.
Found = tuple[int, int, str, str, float]

#: Entity types of models, as against identifiers with a form of their own.
NAMES = frozenset({"PERSON", "LOCATION", "NRP"})
#: Scores of what one model alone says.
_ALONE = {"PERSON": 0.5, "LOCATION": 0.6, "NRP": 0.85}
#: An address cut into parts is one; characters between them.
_ADDRESS_GAP = re.compile(r"[\s,.;/-]{0,4}")
#: A bare number is part of an address only this close to a place.
_NEAR = 24
#: Words that models take for names: forms of address, days, months, roles, and words of contact
#: details.  Only whole values count.
_NO_NAME = frozenset(
    re.findall(
        r"\S+",
        "mr mrs ms miss mx dr prof sir madam herr frau monsieur madame mme señor señora signor"
        " signora meneer mevrouw senhor senhora dear hi hello hey thanks regards sincerely"
        " monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch"
        " donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche"
        " lunes martes miércoles jueves viernes sábado domingo january february march april may"
        " june july august september october november december januar februar märz mai juni juli"
        " oktober dezember januari februari maart mei augustus janvier février mars avril juin"
        " juillet août septembre octobre novembre décembre"
        " manager director engineer doctor nurse teacher lawyer assistant president minister king"
        " queen prince princess customer patient client user employee employer owner tenant agent"
        " operator applicant account address email e-mail phone telephone mobile fax contact name"
        " surname password username iban ssn passport invoice order password: api url http https"
        " json python ai llm chatgpt yes no ok okay please note",
    )
)
#: What may stand at the edge of what is left of a cut span, and letters that it must keep.
_EDGES, _LEAST = ".,;:/()>-", 3
#: Share of a span that the other model must leave undisputed.
_MOST = 0.5
_TOKEN_OF_MAIL = re.compile(r"\S*(?:@|://|www\.)\S*")


def merge(
    text: str,
    spacy: Sequence[Found],
    rampart: Sequence[Found],
    known: Sequence[tuple[int, int]] = (),
) -> list[Found]:
    """Merge the findings of both models in one text.

    Args:
        text: the text.
        spacy: names, places and groups by the spaCy model.
        rampart: findings of Rampart.
        known: spans of validated identifiers, in which no name can be.

    Returns:
        Findings in order; those of one type do not overlap, and names overlap no other names.
    """
    legal = list(organisations(text))
    mails = [found.span() for found in _TOKEN_OF_MAIL.finditer(text)]
    named: list[Found] = []
    ours = [found for found in rampart if found[2] in NAMES]
    for start, end, kind, who, score in ours:
        for other in spacy:
            if other[0] < end and start < other[1] and other[2] == kind:
                low, high = _line(text, other, start)
                start, end = min(start, low), max(end, high)
                who, score = "rampart+spacy", max(score, other[4])
        named.append((start, end, kind, who, score))
    for found in spacy:
        start, end, kind, who, _ = found
        if any(n[0] < end and start < n[1] and n[2] == kind for n in named):
            continue
        left = _rest(text, *_line(text, found, start), [n[:2] for n in named])
        if left is not None and left[1] - left[0] >= _MOST * (end - start):
            named.append((*left, kind, who, _ALONE[kind]))
    for start, end in countries(text):
        if not any(n[0] < end and start < n[1] for n in named):
            named.append((start, end, "LOCATION", "irkit-country", 0.85))
    kept: list[Found] = []
    for start, end, kind, who, score in named:
        blocks = [*known, *mails, *(legal if kind != "LOCATION" else ())]
        left = _rest(text, start, end, blocks)
        if left is not None and _is_name(text[slice(*left)], kind):
            place = kind == "PERSON" and is_country(text[slice(*left)])
            kept.append((*left, "LOCATION" if place else kind, who, score))
    out: list[Found] = [(a, b, "ORGANIZATION", "irkit-legal-form", 0.85) for a, b in legal]
    out += _disjoint(_addresses(text, kept))
    out += [
        found
        for found in rampart
        if found[2] not in NAMES and not any(a < found[1] and found[0] < b for a, b in known)
    ]
    return sorted(out)


def _line(text: str, found: Found, inside: int) -> tuple[int, int]:
    """The part of a person's name that lies in one line; models run on into the next."""
    start, end, kind, _, _ = found
    if kind != "PERSON":
        return start, end
    at = min(max(inside, start), end)
    low = text.rfind("\n", start, at) + 1 or start
    high = text.find("\n", at, end)
    return low, end if high < 0 else high


def _rest(
    text: str, start: int, end: int, blocks: Sequence[tuple[int, int]]
) -> tuple[int, int] | None:
    """The longest part of a span that no block covers, without white space around it.

    Returns None where no letters are left of a span that a block cuts, or nothing at all.
    """
    cuts = sorted(block for block in blocks if block[0] < end and start < block[1])
    parts = []
    at = start
    for low, high in [*cuts, (end, end)]:
        parts.append((at, max(at, min(low, end))))
        at = max(at, high)
    low, high = max(parts, key=lambda part: (part[1] - part[0], -part[0]))
    while low < high and (text[low].isspace() or (cuts and text[low] in _EDGES)):
        low += 1
    while low < high and (text[high - 1].isspace() or (cuts and text[high - 1] in _EDGES)):
        high -= 1
    if low >= high or (cuts and sum(char.isalpha() for char in text[low:high]) < _LEAST):
        return None
    return low, high


def _is_name(value: str, kind: str) -> bool:
    plain = value.strip(" .,:;'\"()").casefold()
    if kind == "PERSON":
        return plain not in _NO_NAME and sum(char.isalpha() for char in plain) >= 2
    # A number is no group of people, however it is written.
    return kind != "NRP" or not any(char.isdigit() for char in plain)


def _addresses(text: str, named: list[Found]) -> list[Found]:
    """Join the parts of an address, and drop numbers that stand alone."""
    out: list[Found] = []
    places = [n for n in named if n[2] == "LOCATION" and not text[n[0] : n[1]].isdigit()]
    for found in sorted(named):
        start, end, kind, who, score = found
        if kind != "LOCATION":
            out.append(found)
            continue
        if text[start:end].isdigit() and not any(
            p[0] < end + _NEAR and start - _NEAR < p[1] for p in places
        ):
            continue
        last = out[-1] if out else None
        if (
            last is not None
            and last[2] == kind
            and "rampart" in who
            and "rampart" in last[3]
            and (last[1] >= start or _ADDRESS_GAP.fullmatch(text, last[1], start))
        ):
            joined = last[3] if last[3] == who else "rampart+spacy"
            out[-1] = (last[0], max(last[1], end), kind, joined, max(last[4], score))
        else:
            out.append(found)
    return out


def _disjoint(named: list[Found]) -> list[Found]:
    """Of names that overlap keep the surer, then the longer one; one type becomes one span."""
    out: list[Found] = []
    for found in sorted(named, key=lambda n: (-n[4], n[0] - n[1], n[0], n[2])):
        start, end, kind, _, _ = found
        clash = next((i for i, o in enumerate(out) if o[0] < end and start < o[1]), None)
        if clash is None:
            out.append(found)
        elif out[clash][2] == kind:
            other = out[clash]
            out[clash] = (min(other[0], start), max(other[1], end), kind, other[3], other[4])
    return out
