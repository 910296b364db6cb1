"""The release gate: no exposed value may stand in what irkit writes.

Every text of the finished packet (PDF pages and metadata, JSON, annexes) is compared with every
value known to be exposed: e-mails, phones, names, ids and secrets found in exposed passages, and
any verbatim piece of those passages.  Line breaks, hyphens, case and punctuation do not hide a
value, because both sides are compared as bare letters and digits.

What irkit's own wording says anyway, and the contact details that the controller typed in as its
own, are excused; the number of excused values is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from irkit.case.mask import canonical
from irkit.errors import ExitCode, IrkitError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from irkit.case import Case

#: Letters and digits that a verbatim piece must share: what 25 characters of prose hold.
WINDOW = 20
#: Longest value looked up word by word; longer ones are found by their bare letters.
_TOKENS = 8
#: Shortest value that is also looked for across word boundaries, where a line break may split it.
_LONG = 12
_PREFIX_BITS = 22

#: Entity types whose single values identify nobody and collide with ordinary text.
_LOOSE = ("DATE", "LOCATION", "URL_HOST", "NRP", "ORG", "AGE", "TITLE", "LANGUAGE", "MONEY")

#: Begins at the start of a word and never goes back, so that long passages cost one pass.
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{2,}+@[\w-]++(?:\.[\w-]+)+")
_WORD = re.compile(r"[^\W_]+")
#: What splits ASCII words; a line feed keeps texts that are read together apart.
_NO_WORD = re.compile(r"[^a-z0-9\n]+")


class PacketError(IrkitError):
    """The packet would carry an exposed value and is not released."""

    code = ExitCode.INCOMPLETE


@dataclass(frozen=True, slots=True)
class SelfScan:
    """What was compared with what."""

    values: int
    passages: int
    texts: int
    characters: int
    excused: int

    def with_earlier(self, other: SelfScan) -> SelfScan:
        """Add the texts of an earlier scan for the same values."""
        return SelfScan(
            self.values,
            self.passages,
            self.texts + other.texts,
            self.characters + other.characters,
            max(self.excused, other.excused),
        )

    def words(self) -> str:
        """The result in one sentence."""
        return (
            f"{self.values} exposed values and {self.passages} exposed passages were looked for in "
            f"{self.texts} texts of {self.characters} characters: none found"
            + (f"; {self.excused} are the controller's own contact details" if self.excused else "")
        )


@dataclass(frozen=True, slots=True)
class Known:
    """Everything known to be exposed, prepared once and compared with many texts.

    Attributes:
        values: kind, bare letters and digits, words; loose kinds left out.
        passages: bare letters and digits of every exposed passage about a person.
        total: number of distinct values, loose ones included.
    """

    values: tuple[tuple[str, str, tuple[str, ...]], ...]
    passages: tuple[str, ...]
    total: int


def known_values(case: Case) -> Known:
    """Collect what is exposed: recognised values, e-mails in passages, the passages themselves."""
    passages = _passages(case)
    found = _values(case)
    # No address runs over a line feed, so all passages are read in one go.
    found.update(("EMAIL_ADDRESS", mail) for mail in _EMAIL.findall("\n".join(passages)))
    values = []
    listed = sorted(found)
    for (kind, _), words in zip(listed, _words([value for _, value in listed]), strict=True):
        tokens = tuple(words)
        squashed = "".join(tokens)
        if _telling(kind, squashed, tokens):
            values.append((kind, squashed, tokens))
    return Known(tuple(values), _squashed(passages), len(found))


def _squashed(texts: Sequence[str]) -> tuple[str, ...]:
    """Bare letters and digits of many texts."""
    return tuple(words if isinstance(words, str) else "".join(words) for words in _read(texts, ""))


def _words(texts: Sequence[str]) -> list[list[str]]:
    """Bare words of many texts."""
    return [w.split() if isinstance(w, str) else w for w in _read(texts, " ")]


def _read(texts: Sequence[str], between: str) -> list[str | list[str]]:
    """Words of many texts: printable ASCII in one go, as it needs no normal form, else a list."""
    flat = [text.replace("\n", " ").replace("\t", " ") for text in texts]
    easy = [text.isascii() and text.isprintable() for text in flat]
    joined = "\n".join(text for text, quick in zip(flat, easy, strict=True) if quick)
    lines = iter(_NO_WORD.sub(between, joined.lower()).split("\n"))
    return [
        next(lines) if quick else _WORD.findall(canonical(text))
        for text, quick in zip(texts, easy, strict=True)
    ]


def selfscan(
    known: Known,
    texts: Mapping[str, str],
    *,
    own_contacts: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
) -> SelfScan:
    """Look for every known exposed value in the given texts.

    Args:
        known: what is exposed.
        texts: name of a place (like ``packet.pdf page 3``) to its text.
        own_contacts: texts of the controller's own contact fields, which may repeat a value.
        facts: key to text of the facts, to name the field that brought a value in.

    Raises:
        PacketError: a value was found; the message names the place and the kind, never the value.
    """
    places = {name: _squash(text) for name, text in texts.items()}
    # One look-up per value whatever the number of texts; the place is sought only after a hit.
    sizes = {len(tokens) for _, _, tokens in known.values} & set(range(1, _TOKENS + 1))
    grams = set().union(*(_grams(text, sizes) for text in texts.values())) if texts else set()
    heads = {text[i : i + _LONG] for text in places.values() for i in range(len(text) - _LONG + 1)}
    # A field's "_" or ":" must not glue two values together, hence one text per contact field.
    excused_text = [_squash(text) for text in own_contacts]
    excused = 0
    for kind, squashed, tokens in known.values:
        if tokens not in grams and squashed[:_LONG] not in heads:
            continue
        if any(squashed in text for text in excused_text):
            excused += 1
            continue
        for name, text in places.items():
            by_token = len(tokens) <= _TOKENS and tokens in _grams(texts[name], {len(tokens)})
            if by_token or (len(squashed) >= _LONG and squashed in text):
                raise _error(name, kind.lower().replace("_", " "), squashed, facts)
    _scan_passages(known.passages, places, excused_text, facts)
    return SelfScan(
        known.total, len(known.passages), len(texts), sum(map(len, texts.values())), excused
    )


def _error(place: str, kind: str, squashed: str, facts: Mapping[str, str] | None) -> PacketError:
    source = next((k for k, v in (facts or {}).items() if squashed in _squash(v)), None)
    hint = (
        f"take it out of {source} in the facts, then build again"
        if source
        else "the case's own texts (title, file names, account names, notes) carry it; rename it"
    )
    return PacketError(
        f"the packet is not released: {place} would carry an exposed value ({kind})", hint
    )


def _squash(text: str) -> str:
    return "".join(_WORD.findall(canonical(text)))


def _grams(text: str, sizes: Iterable[int]) -> set[tuple[str, ...]]:
    """Every run of so many words of a text."""
    words = _WORD.findall(canonical(text))
    found: set[tuple[str, ...]] = set()
    for size in sizes:
        found.update(zip(*(words[i:] for i in range(size)), strict=False))
    return found


def _telling(kind: str, squashed: str, tokens: tuple[str, ...]) -> bool:
    """True where finding the value alone would name a person or open something."""
    if any(word in kind for word in _LOOSE) or len(squashed) < 5:
        return False
    if kind in ("PERSON", "NAME"):
        # A single given name is an ordinary word too often; with a surname it names a person.
        return len(tokens) >= 2
    return len(squashed) >= 6 or any(c.isdigit() for c in squashed)


def _values(case: Case) -> set[tuple[str, str]]:
    """Distinct exposed values with their kinds, as recognised in responses."""
    rows = case.rows(
        "SELECT DISTINCT e.entity_type, substring(t.body, e.e_start + 1, e.e_end - e.e_start)"
        " FROM entity e JOIN query_choice q ON q.record_id = e.record_id AND q.choice = e.choice"
        " JOIN text t ON t.text_id = q.text_id WHERE e.provenance <> 'echo'"
    )
    return {(str(kind), str(value)) for kind, value in rows if value}


def _passages(case: Case) -> list[str]:
    """Distinct passages about a person: memorised, unverified, derivable; not the user's own."""
    rows = case.rows(
        "SELECT DISTINCT substring(t.body, e.response_start + 1, e.response_end -"
        " e.response_start) AS span FROM exposure e JOIN query_choice q ON q.record_id ="
        " e.record_id AND q.choice = e.choice JOIN text t ON t.text_id = q.text_id"
        " WHERE e.provenance <> 'echo' AND (e.exposure_id IN (SELECT exposure_id FROM"
        " exposure_subject) OR e.exposure_id IN (SELECT exposure_id FROM review WHERE verdict"
        " LIKE 'confirm%')) ORDER BY span"
    )
    return [str(span) for (span,) in rows if span]


# -- verbatim pieces ----------------------------------------------------------------------------


def _codes(text: str) -> NDArray[np.uint64]:
    return np.frombuffer(text.encode("utf-32-le", "replace"), dtype="<u4").astype(np.uint64)


def _rolling(codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Polynomial hash of every window; equal text gives equal hash, checked letter by letter."""
    if len(codes) < WINDOW:
        return np.empty(0, np.uint64)
    size = len(codes) - WINDOW + 1
    value = np.zeros(size, np.uint64)
    base = np.uint64(1_099_511_628_211)
    for offset in range(WINDOW):
        value = value * base + codes[offset : offset + size]
    return value


@lru_cache(maxsize=1)
def _own_wording() -> str:
    """The program's own wording, squashed: a phrase that stands there is no leak."""
    parts = []
    for room in ("irkit.packet", "irkit.playbook"):
        for folder in (resources.files(room), resources.files("irkit.playbook") / "steps"):
            parts += [
                item.read_text("utf-8")
                for item in sorted(folder.iterdir(), key=lambda p: p.name)
                if item.name.endswith((".py", ".toml"))
            ]
    return _squash(" ".join(parts))


def _scan_passages(
    passages: Iterable[str],
    places: Mapping[str, str],
    excused: Sequence[str],
    facts: Mapping[str, str] | None,
) -> None:
    rolled_places = [_rolling(_codes(text)) for text in places.values()]
    known = np.unique(np.concatenate(rolled_places)) if rolled_places else np.empty(0, np.uint64)
    if not len(known):
        return
    # A bit per hash prefix rules out nearly every window before the exact search.
    may_hit = np.zeros(1 << _PREFIX_BITS, bool)
    shift = np.uint64(64 - _PREFIX_BITS)
    may_hit[known >> shift] = True
    for chunk in _chunks(passages):
        # A window across two passages cannot occur in a text by chance; it costs nothing.
        joined = "".join(chunk)
        rolled = _rolling(_codes(joined))
        likely = np.flatnonzero(may_hit[rolled >> shift])
        where = np.searchsorted(known, rolled[likely])
        where[where == len(known)] = 0
        for at in likely[known[where] == rolled[likely]]:
            piece = joined[int(at) : int(at) + WINDOW]
            if piece in _own_wording() or any(piece in contact for contact in excused):
                continue
            for name, text in places.items():
                if piece in text:
                    raise _error(name, "verbatim passage", piece, facts)


def _chunks(passages: Iterable[str], limit: int = 2_000_000) -> Iterable[list[str]]:
    chunk: list[str] = []
    size = 0
    for squashed in passages:
        if len(squashed) < WINDOW:
            continue
        chunk.append(squashed)
        size += len(squashed)
        if size >= limit:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def pdf_texts(pdf: bytes, name: str = "packet.pdf") -> dict[str, str]:
    """Text of every page, of the metadata and of the bookmarks of a finished PDF."""
    import io

    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(pdf))
    texts = {f"{name} page {i}": page.extract_text() for i, page in enumerate(reader.pages, 1)}
    meta = [str(value) for value in (reader.metadata or {}).values()]
    if reader.xmp_metadata is not None:
        meta.append(re.sub(r"<[^>]*>", " ", reader.xmp_metadata.stream.get_data().decode("utf-8")))
    texts[f"{name} metadata"] = "\n".join(meta)
    texts[f"{name} bookmarks"] = "\n".join(
        str(getattr(item, "title", "")) for item in reader.outline if not isinstance(item, list)
    )
    return texts
