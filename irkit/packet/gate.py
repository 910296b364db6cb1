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
#: Longest value looked up token by token.
_TOKENS = 8

#: Entity types whose single values identify nobody and collide with ordinary text.
_LOOSE = ("DATE", "LOCATION", "URL_HOST", "NRP", "ORG", "AGE", "TITLE", "LANGUAGE", "MONEY")

_EMAIL = re.compile(r"[\w.+-]{2,64}@[\w-]+(?:\.[\w-]+)+")
_WORD = re.compile(r"[^\W_]+")


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

    def words(self) -> str:
        """The result in one sentence."""
        return (
            f"{self.values} exposed values and {self.passages} exposed passages were looked for in "
            f"{self.texts} texts of {self.characters} characters: none found"
            + (f"; {self.excused} are the controller's own contact details" if self.excused else "")
        )


def selfscan(
    case: Case,
    texts: Mapping[str, str],
    *,
    own_contacts: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
) -> SelfScan:
    """Look for every known exposed value in the given texts.

    Args:
        case: the case whose exposures are known.
        texts: name of a place (like ``packet.pdf page 3``) to its text.
        own_contacts: texts of the controller's own contact fields, which may repeat a value.
        facts: key to text of the facts, to name the field that brought a value in.

    Raises:
        PacketError: a value was found; the message names the place and the kind, never the value.
    """
    places = {name: _squash(text) for name, text in texts.items()}
    grams = {name: _grams(text) for name, text in texts.items()}
    # A field's "_" or ":" must not glue two values together, hence one text per contact field.
    excused_text = [_squash(text) for text in own_contacts]
    known = _values(case)
    excused = 0
    for kind, value in known:
        squashed = _squash(value)
        if any(squashed in text for text in excused_text if squashed):
            excused += 1
            continue
        tokens = tuple(_WORD.findall(canonical(value)))
        if not _telling(kind, squashed, tokens):
            continue
        for name, text in places.items():
            by_token = len(tokens) <= _TOKENS and tokens in grams[name]
            if by_token or (len(squashed) >= 12 and squashed in text):
                raise _error(name, kind.lower().replace("_", " "), squashed, facts)
    passages = _passages(case)
    _scan_passages(passages, places, excused_text, facts)
    return SelfScan(len(known), len(passages), len(texts), sum(map(len, texts.values())), excused)


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


def _grams(text: str) -> set[tuple[str, ...]]:
    """Every run of 1 to 8 words of a text."""
    words = _WORD.findall(canonical(text))
    return {
        tuple(words[i : i + size])
        for size in range(1, _TOKENS + 1)
        for i in range(len(words) - size + 1)
    }


def _telling(kind: str, squashed: str, tokens: tuple[str, ...]) -> bool:
    """True where finding the value alone would name a person or open something."""
    if any(word in kind for word in _LOOSE) or len(squashed) < 5:
        return False
    if kind in ("PERSON", "NAME"):
        # A single given name is an ordinary word too often; with a surname it names a person.
        return len(tokens) >= 2
    return len(squashed) >= 6 or any(c.isdigit() for c in squashed)


def _values(case: Case) -> list[tuple[str, str]]:
    """Distinct exposed values with their kinds: recognised entities, and e-mails in passages."""
    rows = case.rows(
        "SELECT DISTINCT e.entity_type, substring(t.body, e.e_start + 1, e.e_end - e.e_start)"
        " FROM entity e JOIN query_choice q ON q.record_id = e.record_id AND q.choice = e.choice"
        " JOIN text t ON t.text_id = q.text_id WHERE e.provenance <> 'echo' ORDER BY 1, 2"
    )
    found = {(str(kind), str(value)) for kind, value in rows if value}
    for passage in _passages(case):
        found.update(("EMAIL_ADDRESS", mail) for mail in _EMAIL.findall(passage))
    return sorted(found)


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
    hashes = {name: np.unique(_rolling(_codes(text))) for name, text in places.items()}
    for chunk in _chunks(passages):
        # A window across two passages cannot occur in a text by chance; it costs nothing.
        joined = "".join(chunk)
        rolled = _rolling(_codes(joined))
        for name, known in hashes.items():
            if not len(known):
                continue
            where = np.searchsorted(known, rolled)
            where[where == len(known)] = 0
            for at in np.flatnonzero(known[where] == rolled):
                piece = joined[int(at) : int(at) + WINDOW]
                if piece not in places[name] or piece in _own_wording():
                    continue
                if any(piece in contact for contact in excused):
                    continue
                raise _error(name, "verbatim passage", piece, facts)


def _chunks(passages: Iterable[str], limit: int = 2_000_000) -> Iterable[list[str]]:
    chunk: list[str] = []
    size = 0
    for passage in passages:
        squashed = _squash(passage)
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
