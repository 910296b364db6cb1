"""Log texts as a face may show them: harmless to a terminal, leaks marked, values masked.

Logs are written by the attacker too.  Every character that could steer a terminal (C0, C1, escape),
reorder a line (bidirectional controls) or hide (zero-width, tags) is replaced *one for one*, so
character offsets of leak spans stay true.  Both faces draw from :func:`pieces`, so that a value
that one of them hides cannot be read in the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

#: Characters of category Cc, Cf, Zl, Zp, Cs and unassigned noncharacters (Unicode 15), except
#: newline and tab, which callers lay out themselves.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
#: More than two combining marks in a row paint over the lines around them.
_COMBINING = "[\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]"
_STACKED = re.compile(f"(?<={_COMBINING}{{2}}){_COMBINING}")

#: What is masked in any log text on sight: addresses, long numbers and key-like runs.
#: Every repetition is bounded and cannot restart inside its own run: a hostile text of one
#: megabyte costs linear time.
_EMAIL = r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}"
_ADDRESS = re.compile(_EMAIL)
_SHAPES = re.compile(
    _EMAIL + r"|(?<!\w)\+?\d(?:[ ()./-]{0,2}\d){5,40}(?!\w)"
    r"|(?<![\w-])(?=[\w-]{0,200}\d)(?=[\w-]{0,200}[A-Za-z])[\w-]{20,}(?!\w)"
)
#: What stands for anything hidden; always the same, so that it tells no length and no shape.
MASK = "•••"
_RUN = re.compile(r"\S++")
#: A passage of more words than this is masked whole: dots word by word would tell its length.
MASKED_WORDS = 6


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)  # U+2400 block: pictures of control characters
    if code == 0x7F:
        return "\u2421"
    return "\ufffd" if code < 0xA0 or 0xD800 <= code <= 0xDFFF else "\u00b7"


def clean(text: str) -> str:
    """Make a text of several lines safe to draw; length in characters stays the same."""
    return _STACKED.sub("\u00b7", _UNSAFE.sub(_visible, text)).replace("\t", " ")


def mask(text: str) -> str:
    """Replace every word by the same three dots, and a long passage by one such mask.

    How many words a name or an address has stays visible; how long a passage is does not.
    """
    if len(text.split(maxsplit=MASKED_WORDS)) > MASKED_WORDS:
        return MASK
    return _RUN.sub(lambda run: MASK if any(map(str.isalnum, run[0])) else run[0], text)


def mask_addresses(text: str) -> str:
    """Mask e-mail addresses only: for irkit's own sentences, which are full of times and counts."""
    return _ADDRESS.sub(MASK, text)


def mask_shapes(text: str) -> str:
    """Mask what looks like an address, a long number or a key, wherever it stands."""
    return _SHAPES.sub(MASK, text)


#: Words beside each other; whether they are names is decided word by word.
#: No match starts or gives back inside a word, so that a megabyte without spaces costs linear time.
_LETTERS = r"[^\W\d_]++(?:['’-][^\W\d_]++)*+"
_WORDS = re.compile(rf"(?<![^\W\d_])(?<![^\W\d_]['’-]){_LETTERS}(?: {_LETTERS})++")


def mask_names(text: str) -> str:
    """Mask what looks like a person's name: two or more capitalised words beside each other.

    What an actor asked about names people, too: a candidate record of membership inference, or
    the beginning of a record that he hoped to see go on.  No corpus match covers those that the
    corpus does not hold word by word, so the shape decides; a place or a product of two words is
    masked with them, and revealing shows it.
    """
    return _WORDS.sub(_mask_runs, text)


_LONE = re.compile(rf"(?<![^\W\d_])(?<![^\W\d_]['’-]){_LETTERS}")
_JOINTS = re.compile("['’-]")


def mask_known(text: str, names: frozenset[str]) -> str:
    """Mask known surnames that stand as words of their own, possessives and compounds with them."""
    if not names:
        return text

    def hidden(found: re.Match[str]) -> str:
        word = found[0]
        known = word in names or not names.isdisjoint(_JOINTS.split(word))
        return mask(word) if known else word

    return _LONE.sub(hidden, text)


def _mask_runs(found: re.Match[str]) -> str:
    words = found[0].split(" ")
    named = [word[0].isupper() and not word.isupper() for word in words]
    return " ".join(
        mask(word)
        if named[i] and (named[i - 1 : i] == [True] or named[i + 1 : i + 2] == [True])
        else word
        for i, word in enumerate(words)
    )


# -- marked passages --------------------------------------------------------------------------

#: Texts longer than this are shown around their first mark; the whole lies in the evidence.
MAX_CHARS = 20_000
#: Values masked outside their spans, at most (longest first).
HIDE_LIMIT = 200
#: Shortest value that is also masked where it stands outside its span.
MIN_VALUE = 3

_NAME = re.compile(r"(?<!\w)(?:[^\W\d_]*[A-ZÀ-ÖØ-Þ]|\w*\d)\w*(?:[.@-]\w+)*")

#: Which provenance wins where marks overlap, and how a mark is framed (never by colour alone).
_ORDER = ("memorised", "unverified", "cue_derivable", "probe", "echo")
SYMBOLS = {
    "memorised": "■", "unverified": "?", "cue_derivable": "~", "probe": "»", "echo": "=",
}  # fmt: skip
FRAMES = {
    "memorised": ("⟦", "⟧"),
    "unverified": ("⟨", "⟩"),
    "cue_derivable": ("⟨", "⟩"),
    "probe": ("«", "»"),
    "echo": ("‹", "›"),
}


class Spanned(Protocol):
    """A stretch of a text and why it is marked."""

    @property
    def start(self) -> int:
        """First character."""

    @property
    def end(self) -> int:
        """Character after the last."""

    @property
    def provenance(self) -> str:
        """Where the passage comes from."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of text under one provenance."""

    start: int
    end: int
    provenance: str


def flatten(spans: Sequence[Spanned], length: int) -> list[Mark]:
    """Turn overlapping spans into disjoint marks; the graver provenance wins.

    Offsets outside the text are cut to it: they come from a database that may be damaged.
    """
    cut = [
        (max(0, span.start), min(length, span.end), span.provenance)
        for span in spans
        if max(0, span.start) < min(length, span.end)
    ]
    edges = sorted({edge for start, end, _ in cut for edge in (start, end)})
    marks: list[Mark] = []
    for start, end in pairwise(edges):
        covering = [name for low, high, name in cut if low <= start and end <= high]
        if not covering:
            continue
        best = min(covering, key=lambda name: _ORDER.index(name) if name in _ORDER else 9)
        if marks and marks[-1].end == start and marks[-1].provenance == best:
            marks[-1] = Mark(marks[-1].start, end, best)
        else:
            marks.append(Mark(start, end, best))
    return marks


def values_of(body: str, spans: Sequence[Spanned]) -> tuple[str, ...]:
    """Return what is to be masked elsewhere too: values under spans, and the names in them.

    A name is taken to be a word with a capital or a digit; sentence openings are masked with it,
    which hides a little more than needed.
    """
    found = {body[span.start : span.end].strip() for span in spans}
    found |= {word for value in found for word in _NAME.findall(value)}
    return tuple(sorted((v for v in found if len(v) >= MIN_VALUE), key=lambda v: (-len(v), v)))


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text as it may be shown; ``provenance`` is empty where nothing is marked."""

    text: str
    provenance: str = ""

    @property
    def frame(self) -> tuple[str, str]:
        """What stands around a marked piece, so that it is seen without colour."""
        if not self.provenance:
            return "", ""
        opening, closing = FRAMES.get(self.provenance, ("⟨", "⟩"))
        return opening + SYMBOLS.get(self.provenance, "?"), closing


@dataclass(frozen=True, slots=True)
class Passage:
    """A text in pieces, and how many characters lie before and after what is shown."""

    before: int
    pieces: tuple[Piece, ...]
    after: int


def pieces(
    body: str,
    spans: Sequence[Spanned],
    *,
    revealed: bool = False,
    hide: Sequence[str] = (),
    focus: int | None = None,
    most: int = MAX_CHARS,
    names: frozenset[str] = frozenset(),
) -> Passage:
    """Cut a text into pieces that may be shown.

    Args:
        body: the text as logged.
        spans: marked passages by character offsets.
        revealed: show values; otherwise marks, ``hide`` and look-alikes are masked.
        hide: values to mask wherever they occur.
        focus: offset to keep in view when the text is too long to show whole.
        most: longest text shown, in characters.
        names: surnames to mask wherever they stand as a word.
    """
    begin = 0
    if len(body) > most:
        at = focus if focus is not None else (spans[0].start if spans else 0)
        begin = max(0, min(at - most // 4, len(body) - most))
    window = body[begin : begin + most]
    marks = [
        Mark(max(0, mark.start - begin), min(len(window), mark.end - begin), mark.provenance)
        for mark in flatten(spans, len(body))
        if mark.end > begin and mark.start < begin + len(window)
    ]
    cut: list[Piece] = []
    at = 0
    for mark in marks:
        cut.append(Piece(_between(window[at : mark.start], hide, names, revealed)))
        inside = window[mark.start : mark.end]
        cut.append(Piece(clean(inside if revealed else mask(inside)), mark.provenance))
        at = mark.end
    cut.append(Piece(_between(window[at:], hide, names, revealed)))
    shown = tuple(piece for piece in cut if piece.text or piece.provenance)
    return Passage(begin, shown, len(body) - begin - len(window))


def plain_text(passage: Passage) -> str:
    """Write a passage in one string, marks framed by their symbols."""
    parts = [f"… {passage.before:,} characters before …\n"] if passage.before else []
    for piece in passage.pieces:
        opening, closing = piece.frame
        parts.append(opening + piece.text + closing)
    if passage.after:
        parts.append(f"\n… {passage.after:,} characters more …")
    return "".join(parts)


def _between(text: str, hide: Sequence[str], names: frozenset[str], revealed: bool) -> str:
    if revealed:
        return clean(text)
    for value in hide:
        text = text.replace(value, mask(value))
    # Full names first: what is masked of one would hide from their shape that the rest is one.
    return clean(mask_known(mask_names(mask_shapes(text)), names))
