"""Counts of queries, records and people as minimum, best estimate and maximum.

The minimum is what is confirmed, the best estimate adds what is probable, the maximum adds what
could not be verified.  A reviewer's word moves an exposure up or out, and a random sample of such
words corrects the rest (:mod:`irkit.scope.sampling`).  What could still be drawn from the model is
estimated from how often each record came out (Chao 1984; Chao 1987 for the interval): many records
seen once mean many not seen yet.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from irkit.model import Count
from irkit.scope.sampling import FRAMES, judged

if TYPE_CHECKING:
    from irkit.case import Case

#: The latest verdict of a reviewer per exposure; an undo brings back none.
VERDICT = """
SELECT exposure_id, last(verdict ORDER BY reviewed_at, rowid) AS verdict FROM review
WHERE verdict IN ('confirm', 'reject', 'undo') GROUP BY exposure_id
"""

_COUNTED = f"""
SELECT e.*, coalesce(v.verdict, '') AS verdict,
  e.level IN ('V50', 'near', 'record') OR coalesce(v.verdict, '') = 'confirm' AS strong,
  e.provenance = 'memorised' OR coalesce(v.verdict, '') = 'confirm' AS kept
FROM exposure e LEFT JOIN ({VERDICT}) v USING (exposure_id)
WHERE coalesce(v.verdict, '') <> 'reject'
"""


def chao1(once: int, twice: int, seen: int) -> tuple[float, float]:
    """Estimate how many records there are to be seen, and an upper 95 % bound.

    Args:
        once: records that came out in exactly one response.
        twice: records that came out in exactly two.
        seen: records that came out at all.

    Returns:
        Chao's lower-bound estimator (bias-corrected where nothing was seen twice) and the upper
        end of its log-normal interval.
    """
    if not once:
        return float(seen), float(seen)
    if twice:
        ratio = once / twice
        unseen = once * once / (2 * twice)
        variance = twice * (ratio**2 / 2 + ratio**3 + ratio**4 / 4)
    else:
        unseen = once * (once - 1) / 2
        total = seen + unseen
        variance = once * (once - 1) / 2 + once * (2 * once - 1) ** 2 / 4 - once**4 / (4 * total)
    if unseen <= 0:
        return float(seen), float(seen)
    spread = math.exp(1.96 * math.sqrt(math.log(1 + max(variance, 0) / unseen**2)))
    return seen + unseen, seen + unseen * spread


def count_all(case: Case, *, with_corpus: bool) -> dict[str, Count]:
    """Fill ``scope_count`` from the stored exposures, subjects and reviews.

    Args:
        case: a case whose exposures and subjects are stored.
        with_corpus: False where no corpus was given; the methods then say so.

    Returns:
        The counts by name.
    """
    base = "" if with_corpus else " (no corpus was given: nothing is confirmed but by a reviewer)"
    if case.rows("SELECT 1 FROM gradient_match LIMIT 1"):
        told = " (records out of gradients are recognised by their numbers"
        lack = (
            "; no corpus of texts was given: out of answers nothing is confirmed but by a reviewer"
        )
        base = told + ("" if with_corpus else lack) + ")"
    total, responses = case.rows(
        "SELECT count(*), (SELECT count(*) FROM query_choice c JOIN query_record r"
        "  USING (record_id) WHERE r.duplicate_of IS NULL)"
        " FROM query_record WHERE duplicate_of IS NULL"
    )[0]
    matched = case.rows(
        "SELECT count(DISTINCT (c.record_id, c.choice)) FROM query_choice c"
        " JOIN query_record r USING (record_id) WHERE r.duplicate_of IS NULL AND c.text_id IN"
        " (SELECT text_id FROM corpus_match WHERE role = 'response')"
    )[0][0]
    after, strong = case.rows(
        "SELECT count(DISTINCT (record_id, choice)) FILTER (WHERE kept),"
        " count(DISTINCT (record_id, choice)) FILTER (WHERE kept AND strong AND exposure_id IN"
        f" (SELECT exposure_id FROM exposure_subject)) FROM ({_COUNTED})"
        " WHERE NOT starts_with(record_id, 'gradient:')"
    )[0]
    counts = {
        "queries": _exact(total, "calls in the logs, repeated deliveries left out"),
        "responses": _exact(responses, "returned choices"),
        "matched": _exact(
            matched, "responses sharing 25 tokens or more, or a whole short document"
        ),
        "after_subtraction": _exact(
            after, "responses whose shared text or identifiers the context did not hold"
        ),
        "confirmed": _exact(
            strong, "responses with 50 tokens or a record of a person, not held by the context"
        ),
        "records": _records(case, base),
        "subjects": _subjects(case, base),
        "extractable": _extractable(case),
    }
    counts["people"] = counts["subjects"]
    case.clear("scope_count")
    case.append(
        "scope_count",
        pl.DataFrame(
            [(name, c.min, c.best, c.max, c.method) for name, c in sorted(counts.items())],
            {"name": pl.String, "min": pl.Int64, "best": pl.Int64, "max": pl.Int64,
             "method": pl.String},
            orient="row",
        ),
    )  # fmt: skip
    return counts


def _exact(number: int, method: str) -> Count:
    return Count(number, number, number, method)


def _records(case: Case, base: str) -> Count:
    """Distinct training records about a person; unverified values count towards the maximum."""
    sql = (
        f"WITH c AS ({_COUNTED}), s AS (SELECT DISTINCT exposure_id FROM exposure_subject)"
        " SELECT coalesce(doc_id, value_hash) AS item, bool_or(kept AND strong) AS sure,"
        " bool_or(kept) AS kept FROM c JOIN s USING (exposure_id)"
        " WHERE kept OR provenance = 'unverified' GROUP BY item"
    )
    method = (
        "distinct source records about a person: at least 50 tokens or several identifiers"
        " together; plus shorter passages and single identifiers; plus values found in no document"
        " given"
    )
    return _reviewed(case, "record", sql, method, base)


def _subjects(case: Case, base: str) -> Count:
    """People by status; a rejected exposure no longer counts, a confirmed one does."""
    sql = (
        f"WITH c AS ({_COUNTED}) SELECT s.subject_key AS item,"
        " bool_or(c.verdict = 'confirm'"
        "  OR (s.status = 'confirmed' AND c.kept AND c.strong)) AS sure,"
        " bool_or(c.kept) AS kept"
        " FROM subject s JOIN exposure_subject x USING (subject_key) JOIN c USING (exposure_id)"
        " WHERE c.provenance IN ('memorised', 'unverified') OR c.verdict = 'confirm'"
        " GROUP BY s.subject_key"
    )
    method = (
        "distinct people after linking identifiers: confirmed by a verbatim passage of 50 tokens,"
        " an edited one, several identifiers together or a reviewer; plus probable; plus"
        " unverified"
    )
    return _reviewed(case, "person", sql, method, base)


def _reviewed(case: Case, frame: str, items: str, method: str, base: str) -> Count:
    """Count items by stratum; a sampled review takes the place of a stratum's own numbers.

    Args:
        case: the case.
        frame: ``record`` or ``person``.
        items: statement of item, sure, kept; every item may be real.
        method: how items are counted.
        base: what the method rests on, if not on a corpus.
    """
    rows = case.rows(
        f"SELECT coalesce(f.stratum, 'other'), count(*) FILTER (WHERE sure),"
        f" count(*) FILTER (WHERE kept), count(*) FROM ({items}) i"
        f" LEFT JOIN (SELECT * FROM ({FRAMES}) WHERE frame = ?) f USING (item)"
        " GROUP BY ALL ORDER BY ALL",
        [frame],
    )
    verdicts = judged(case)
    low = best = high = 0
    said: list[str] = []
    for stratum, sure, kept, possible in rows:
        seen = verdicts.get((frame, stratum))
        # A sample of what is proven anyway matters only where it found something wrong.
        if seen is None or seen.share is None or (stratum == "confirmed" and seen.all_held):
            low, best, high = low + sure, best + kept, high + possible
            continue
        floor = min(sure, math.floor(seen.low * seen.size)) if stratum == "confirmed" else sure
        middle = max(floor, round(seen.share * seen.size))
        low, best = low + floor, best + middle
        high += max(middle, math.ceil(seen.high * seen.size))
        said.append(seen.words())
    if said:
        method += "; corrected by a sampled review: " + "; ".join(said)
    return Count(low, best, high, method + base)


def _extractable(case: Case) -> Count:
    once, twice, seen = case.rows(
        f"WITH c AS ({_COUNTED}), d AS (SELECT doc_id, count(DISTINCT record_id) AS n FROM c"
        " WHERE kept AND strong AND doc_id IS NOT NULL AND NOT starts_with(record_id, 'gradient:')"
        " AND exposure_id IN"
        " (SELECT exposure_id FROM exposure_subject) GROUP BY doc_id)"
        " SELECT count(*) FILTER (WHERE n = 1), count(*) FILTER (WHERE n = 2), count(*) FROM d"
    )[0]
    best, high = chao1(once, twice, seen)
    return Count(
        seen,
        round(best),
        max(round(best), round(high)),
        f"records that such querying could draw from the model: Chao1 from {once} seen once and"
        f" {twice} seen twice; a lower bound with its upper 95 % limit, not part of the breach",
    )
