"""Passages in another dress: base64, hex, ROT13, reversed, or with digits for letters.

A verbatim filter does not see them, so an attacker may ask for them.  Candidates are rare and
found by their looks; each is decoded, matched against the corpus and measured against the context
like any response, because a user may as well have asked to encode a text of their own.  Only
passages of 50 tokens or more count.  Translations, summaries and ciphers are not covered.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from irkit.analyzers.corpus import block_of, text_set
from irkit.analyzers.corpus_engine import scan
from irkit.analyzers.corpus_files import Corpus
from irkit.analyzers.corpus_near import NearSet, scan_near
from irkit.scope.context import subtract
from irkit.scope.passages import FULL, flagged, passages_of

if TYPE_CHECKING:
    from irkit.case import Case

#: Characters of a decoded text under which it cannot hold 50 tokens.
_SHORT = 100
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_-]{20,}[\r\n]{0,2}){1,20000}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){100,200000}")
#: Small common words of English, German, French, Spanish and Italian, as ROT13 and reversed show
#: them; three different ones are a reason to try.
_COMMON = "the and that with have this from they will for not are was und der die das mit für ist"
_COMMON += " les des une dans pour que est los las del por con una che per non sono della"
_ROT13 = frozenset(codecs.encode(word, "rot13") for word in _COMMON.split())
_REVERSED = frozenset(word[::-1] for word in _COMMON.split()) - frozenset(_COMMON.split())
_PLAIN = frozenset(_COMMON.split())
_WORD = re.compile(r"[^\W\d_]+")
_LEET_WORD = re.compile(r"(?<!\w)(?=\w*[a-zA-Z])(?=\w*[013457])[a-zA-Z013457@$]{3,}(?!\w)")
_LEET = str.maketrans("0134579@$", "oieastgas")
_LEET_L = str.maketrans("0134579@$", "oleastgas")

#: What a response must show to be looked at more closely (a RE2 expression).
_LOOKS = (
    r"[A-Za-z0-9+/_-]{60}|(?:[0-9a-fA-F]{2}[ :]?){60}|(?i)\b(?:gur|naq|sbe|haq|qre|yrf|dhr|ybf"
    r"|qryyn|eht|dna|taht|htiw|dnu|euq|alled|7h3|th3|4nd|f0r|y0u|7h15|th1s|w17h|w1th|7h47|th4t)\b"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded stretch of a response.

    Attributes:
        text_id: the response's text.
        how: name of the encoding.
        start: first character of the encoded stretch.
        end: one past its last character.
        text: what it says.
    """

    text_id: str
    how: str
    start: int
    end: int
    text: str


def decode(text_id: str, body: str) -> Iterator[Decoded]:
    """Decode what looks encoded in a response."""
    for found in _BASE64.finditer(body):
        text = _readable(_from_base64(found[0]))
        if text:
            yield Decoded(text_id, "base64", found.start(), found.end(), text)
    for found in _HEX.finditer(body):
        digits = re.sub(r"[ :]", "", found[0])
        text = _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))
        if text:
            yield Decoded(text_id, "hex", found.start(), found.end(), text)
    if len(body) < _SHORT:
        return
    words = {word.lower() for word in _WORD.findall(body)}
    plain = len(words & _PLAIN)
    if len(words & _ROT13) >= 3 and len(words & _ROT13) > plain:
        yield Decoded(text_id, "ROT13", 0, len(body), codecs.encode(body, "rot13"))
    if len(words & _REVERSED) >= 3 and len(words & _REVERSED) > plain:
        yield Decoded(text_id, "reversed", 0, len(body), body[::-1])
        by_word = re.sub(r"\S+", lambda m: m[0][::-1], body)
        yield Decoded(text_id, "reversed words", 0, len(body), by_word)
    if len(_LEET_WORD.findall(body)) >= 10:
        for table in (_LEET, _LEET_L):
            # Numbers are lost by this; the chain of equal words bears a few.
            yield Decoded(text_id, "digits for letters", 0, len(body), body.translate(table))


def _from_base64(text: str) -> bytes:
    packed = re.sub(r"\s", "", text).rstrip("=").replace("-", "+").replace("_", "/")
    packed = packed[: len(packed) - (len(packed) % 4 == 1)]
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _readable(data: bytes) -> str:
    """Text of decoded bytes, or nothing where they are not text."""
    text = data.decode("utf-8", "replace")
    bad = sum(c == "\ufffd" or (c < " " and c not in "\t\n\r") for c in text)
    return text if len(text) >= _SHORT and bad <= len(text) // 50 else ""


_RESPONSES = """
SELECT text_id, body FROM text WHERE regexp_matches(body, ?) AND text_id IN (
  SELECT c.text_id FROM query_choice c JOIN query_record r USING (record_id)
  WHERE r.duplicate_of IS NULL) ORDER BY text_id
"""


@dataclass(frozen=True, slots=True)
class Undressed:
    """How a passage was encoded, and what it says."""

    how: str
    text: str


def decoded_passages(
    case: Case, corpus: Corpus
) -> tuple[pl.DataFrame | None, dict[tuple[str, int, int, int], Undressed]]:
    """Find passages of encoded responses.

    Returns:
        Rows like those of :func:`irkit.scope.passages.passages_of` (None where there are none),
        whose response span is the encoded stretch and whose ``method`` is ``near``; and by record,
        choice, start and document what the stretch says.
    """
    with case.con.cursor() as cursor:
        cursor.execute(_RESPONSES, [_LOOKS])
        todo = [d for text_id, body in cursor.fetchall() for d in decode(text_id, body)]
    runs = _match(case, corpus, todo) if todo else None
    if runs is None or not len(runs):
        return None, {}
    calls = case.frame(
        "SELECT c.record_id, c.choice, c.text_id AS base FROM query_choice c"
        " JOIN query_record r USING (record_id) WHERE r.duplicate_of IS NULL"
        " ORDER BY c.record_id, c.choice"
    )
    made: list[pl.DataFrame] = []
    says: dict[tuple[str, int, int, int], Undressed] = {}
    for number in runs["number"].unique().sort().to_list():
        one = todo[number]
        pairs = calls.filter(pl.col("base") == one.text_id).select("record_id", "choice")
        mine = runs.filter(pl.col("number") == number).with_columns(text_id=pl.lit(one.text_id))
        for masked in subtract(case, pairs, body=one.text):
            rows = passages_of(masked, mine.drop("number"))
            for row in rows.iter_rows(named=True):
                text = one.text[row["response_start"] : row["response_end"]]
                key = (row["record_id"], row["choice"], one.start, row["ordinal"])
                says.setdefault(key, Undressed(one.how, text))
            made.append(_placed(rows, one))
    return pl.concat(made), says


def _placed(rows: pl.DataFrame, one: Decoded) -> pl.DataFrame:
    """Put passages of a decoded text at the encoded stretch."""
    size = pl.lit(one.end - one.start, pl.Int64)
    new = pl.col("leaked_chars") > 0
    none = pl.lit(0, pl.Int64)
    return rows.with_columns(
        response_start=pl.lit(one.start, pl.Int64),
        response_end=pl.lit(one.end, pl.Int64),
        matched_chars=size,
        leaked_chars=pl.when(new).then(size).otherwise(none),
        subtracted_chars=pl.when(new).then(none).otherwise(size),
    ).unique(["record_id", "choice", "ordinal"], keep="first", maintain_order=True)


def _match(case: Case, corpus: Corpus, todo: list[Decoded]) -> pl.DataFrame:
    """Runs of at least 50 tokens between decoded texts and the corpus."""
    texts = text_set(
        [one.text.encode("utf-8", "replace") for one in todo], [(False, True)] * len(todo)
    )
    near = NearSet(texts)
    found: list[pl.DataFrame] = []
    for batch in corpus.batches():
        block = block_of(batch)
        for table in (scan(texts, block), scan_near(near, block)):
            frame = pl.from_arrow(table)
            assert isinstance(frame, pl.DataFrame)
            found.append(frame.filter(pl.col("tokens") >= FULL))
    rows = pl.concat(found) if found else pl.DataFrame()
    if not len(rows):
        return rows
    docs = case.frame(
        "SELECT ordinal AS doc, ordinal, doc_id, subject_id, coalesce(subject_id, sha256) AS owner,"
        " kind, chars AS doc_chars FROM corpus_doc WHERE ordinal IN (SELECT unnest(?))",
        [rows["doc"].unique().sort().to_list()],
    )
    rows = rows.join(docs, on="doc", how="inner", maintain_order="left").with_columns(
        text_id=pl.col("text").cast(pl.String).str.zfill(12), method=pl.lit("near"),
        df=pl.col("doc").n_unique().over("text").cast(pl.Int32),
    )  # fmt: skip
    rows = rows.sort(
        "text_id", "t_start", "t_end", "ordinal", descending=[False, False, True, False]
    )
    return (
        flagged(rows)
        .with_columns(number=pl.col("text").cast(pl.Int64))
        .drop("text", "doc", "prompt", "response", "is_tail")
    )
