"""Surnames of people whose records came out, to be masked where one stands alone.

A full name is seen by its shape (:func:`irkit.case.shown.mask_names`); "What is Feldweg's phone?"
names somebody just as well.  Surnames are taken from passages that came out of the training data,
where a name fits the masked name under which the case knows the person.  One that the case's own
texts also write in small letters is an ordinary word ("Rose", "Young") and stays: masking it would
make prompts unreadable and protect nobody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from irkit.case.mask import mask
from irkit.case.shown import MIN_VALUE

if TYPE_CHECKING:
    import duckdb

#: Passages and texts that are looked at, at most, so that the size of a case does not matter.
_NAMES, _TEXTS = 20_000, 20_000
#: Texts that have to write a surname in small letters before it counts as an ordinary word.
_ORDINARY = 3

#: A dozen passages of each person, the longest first, and how the case knows the person: masked.
_PASSAGES = """
WITH best AS (
  SELECT e.record_id, e.choice, e.response_start AS low, e.response_end AS high, s.label_masked
  FROM exposure e JOIN exposure_subject USING (exposure_id) JOIN subject s USING (subject_key)
  WHERE e.provenance = 'memorised' AND s.label_masked IS NOT NULL
  QUALIFY row_number() OVER (PARTITION BY s.subject_key
    ORDER BY e.matched_chars DESC, e.exposure_id) <= 12
  ORDER BY s.subject_key, e.matched_chars DESC, e.exposure_id LIMIT ?)
SELECT DISTINCT label_masked, substr(t.body, low + 1, high - low) AS passage
FROM best JOIN query_choice c USING (record_id, choice) JOIN text t USING (text_id) ORDER BY ALL
"""

#: Words in small letters between spaces and marks; within an address none is followed by either.
_SMALL = """
SELECT word FROM (
  SELECT DISTINCT text_id, unnest(regexp_extract_all(body,
    '(?:^|[ \n(])(\\p{Ll}{3,})[ ,;:!?)\n]', 1)) AS word
  FROM (SELECT text_id, body FROM text ORDER BY text_id LIMIT ?))
WHERE word IN (SELECT unnest(?)) GROUP BY word HAVING count(*) >= ? ORDER BY word
"""

_RUNS = re.compile(r"[^\W\d_]++(?:['’-][^\W\d_]++)*+(?: [^\W\d_]++(?:['’-][^\W\d_]++)*+)++")


def known_surnames(con: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Return the surnames that are masked wherever they stand in a text of the case."""
    found: set[str] = set()
    for label, passage in con.execute(_PASSAGES, [_NAMES]).fetchall():
        found.update(_last_words(str(passage), str(label)))
    if not found:
        return frozenset()
    small = sorted({word.lower() for word in found})
    ordinary = {str(word) for (word,) in con.execute(_SMALL, [_TEXTS, small, _ORDINARY]).fetchall()}
    return frozenset(word for word in found if word.lower() not in ordinary)


def _last_words(passage: str, label: str) -> set[str]:
    """Words after the first of every name in a passage that its person's masked name fits."""
    count = len(label.split())
    found: set[str] = set()
    for run in _RUNS.findall(passage):
        words = run.split(" ")
        for at in range(len(words) - count + 1):
            name = words[at : at + count]
            if count > 1 and mask(" ".join(name), "person") == label:
                found.update(w for w in name[1:] if len(w) >= MIN_VALUE and _capital(w))
    return found


def _capital(word: str) -> bool:
    return word[0].isupper() and not word.isupper()
