"""Look values up in the corpus, and fetch documents: one more stream past the files.

The corpus is not indexed for this: the few values that responses held are looked for in each batch
of documents with one Aho-Corasick automaton per form, and each hit is checked.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import polars as pl

from irkit.analyzers.corpus_files import Corpus

#: Documents remembered per value; the count goes on.
KEEP = 12
#: Values searched for at once.
_MOST = 200_000
_SEPARATORS = r"[ \u00a0()./\-\u2010-\u2013]"


@dataclass(slots=True)
class Found:
    """Documents that hold a value."""

    df: int = 0
    ordinals: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Looked:
    """What one stream past the corpus brought.

    Attributes:
        values: (form, key) to the documents that hold it.
        texts: ordinal to text of the documents asked for.
    """

    values: dict[tuple[str, str], Found]
    texts: dict[int, str]


def look_up(
    corpus: Corpus,
    values: Iterable[tuple[str, str]],
    ordinals: Iterable[int] = (),
    seen: Callable[[int], None] | None = None,
) -> Looked:
    """Search the corpus for values and fetch documents.

    Args:
        corpus: the corpus.
        values: (form, key) pairs as :func:`irkit.scope.values.with_key` makes them.
        ordinals: documents whose texts are wanted.
        seen: called with the stored bytes read.
    """
    forms: dict[str, list[str]] = defaultdict(list)
    for form, key in sorted(set(values)):
        if len(key) >= 5:
            forms[form].append(key)
    found: dict[tuple[str, str], Found] = defaultdict(Found)
    wanted = set(ordinals)
    texts: dict[int, str] = {}
    if forms or wanted:
        for batch in corpus.batches(seen):
            series = pl.Series(batch.texts, dtype=pl.String)
            for form, keys in forms.items():
                for at in range(0, len(keys), _MOST):
                    _search(series, form, keys[at : at + _MOST], batch.first, found)
            for i in wanted.intersection(range(batch.first, batch.first + len(batch.ids))):
                texts[i] = texts.get(i, "") + batch.texts[i - batch.first]
    return Looked(dict(found), texts)


def find_known(texts: list[str], known: pl.DataFrame) -> pl.DataFrame:
    """Find values that are known beforehand, such as a register's customer numbers.

    Args:
        texts: any strings.
        known: entity_type, canonical, form and key of the values.

    Returns:
        Columns text (index), e_start, e_end, entity_type, recogniser, score, canonical.
    """
    series = pl.Series(texts, dtype=pl.String)
    rows: list[tuple[object, ...]] = []
    for form in known["form"].unique().sort().to_list():
        mine = known.filter(pl.col("form") == form).unique("key", keep="first").sort("key")
        said = {key: (kind, value) for key, kind, value in
                mine.select("key", "entity_type", "canonical").iter_rows()}  # fmt: skip
        keys = list(said)
        for at in range(0, len(keys), _MOST):
            found: dict[tuple[str, str], Found] = defaultdict(Found)
            _search(series, form, keys[at : at + _MOST], 0, found, len(texts))
            for (_, key), entry in sorted(found.items()):
                for index in entry.ordinals:
                    for place in _pattern(form, key).finditer(texts[index]):
                        kind, value = said[key]
                        rows.append(
                            (index, place.start(), place.end(), kind, "register", 1.0, value)
                        )
    schema = {
        "text": pl.Int64, "e_start": pl.Int64, "e_end": pl.Int64, "entity_type": pl.String,
        "recogniser": pl.String, "score": pl.Float64, "canonical": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema, orient="row")


def _search(
    series: pl.Series,
    form: str,
    keys: list[str],
    first: int,
    found: dict[tuple[str, str], Found],
    keep: int = KEEP,
) -> None:
    if form == "lower":
        body = series.str.to_lowercase()
    elif form == "exact":
        body = series
    elif form == "digits":
        body = series.str.replace_all(_SEPARATORS, "")
    else:
        body = series.str.replace_all(_SEPARATORS, "").str.to_uppercase()
    able = body.str.contains_any(keys).arg_true()
    if not len(able):
        return
    hits = body[able].str.extract_many(keys, overlapping=True).to_list()
    for index, some in zip(able.to_list(), hits, strict=True):
        for key in sorted(set(some)):
            if not _stands_alone(series[index], form, key):
                continue
            entry = found[form, key]
            # A document that comes in parts is counted once.
            if entry.ordinals and entry.ordinals[-1] == first + index:
                continue
            entry.df += 1
            if len(entry.ordinals) < keep:
                entry.ordinals.append(first + index)


def _stands_alone(text: str, form: str, key: str) -> bool:
    """True where a value is not merely a part of a longer one, or of two beside each other."""
    return form == "exact" or _pattern(form, key).search(text) is not None


@lru_cache(maxsize=10_000)
def _pattern(form: str, key: str) -> re.Pattern[str]:
    if form == "exact":
        return re.compile(re.escape(key))
    if form == "lower":
        return re.compile(rf"(?<![\w.+-]){re.escape(key)}(?![\w@-])", re.IGNORECASE)
    gap = _SEPARATORS + "{0,3}"
    # A key of digits may lack the country code that stands before it in the text.
    before = "" if form == "digits" else r"(?<![A-Za-z0-9])"
    pattern = before + gap.join(map(re.escape, key)) + r"(?![A-Za-z0-9])"
    return re.compile(pattern, re.IGNORECASE)
