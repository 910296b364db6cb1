"""Sampled review: how many of the unproven records and people are real, from a few looked at.

The frame is what the method alone found, in three strata: confirmed, probable, unverified.  Items
of a stratum are put in random order by a keyed hash, so that the first *n* of them are a simple
random sample that anybody can draw again; a reviewer judges the strongest exposure of each.  The
share that held, with Wilson's interval (Wilson 1927; recommended for small samples by Brown, Cai
and DasGupta 2001), stands for the whole stratum.  A reviewer who is not sure counts as no for the
lower end and as yes for the upper one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from irkit.case import Case

STRATA = ("confirmed", "probable", "unverified")
#: Fewer judged items say next to nothing, unless they are the whole stratum.
MIN_JUDGED = 10
_CONFIDENCE = 0.95

#: The latest verdict of a reviewer per exposure; an undo brings back none.
LAST_VERDICT = """
SELECT exposure_id, last(verdict ORDER BY reviewed_at, rowid) AS verdict
FROM review GROUP BY exposure_id HAVING last(verdict ORDER BY reviewed_at, rowid) <> 'undo'
"""

_STRENGTH = "level IN ('V50', 'near', 'record')"
_BY_STRENGTH = f"provenance = 'memorised' DESC, {_STRENGTH} DESC, leaked_chars DESC, exposure_id"
#: Every item of both frames: its stratum by method alone, and its strongest exposure.
FRAMES = f"""
WITH own AS (
  SELECT * FROM exposure WHERE provenance IN ('memorised', 'unverified')
    AND exposure_id IN (SELECT exposure_id FROM exposure_subject)
), records AS (
  SELECT 'record' AS frame, coalesce(doc_id, value_hash) AS item,
    CASE WHEN bool_or(provenance = 'memorised' AND {_STRENGTH}) THEN 'confirmed'
      WHEN bool_or(provenance = 'memorised') THEN 'probable' ELSE 'unverified' END AS stratum,
    first(exposure_id ORDER BY {_BY_STRENGTH}) AS exposure_id
  FROM own GROUP BY item
), people AS (
  SELECT 'person' AS frame, subject_key AS item, any_value(status) AS stratum,
    first(exposure_id ORDER BY {_BY_STRENGTH}) AS exposure_id
  FROM subject JOIN exposure_subject USING (subject_key) JOIN own USING (exposure_id)
  GROUP BY item
)
SELECT * FROM records UNION ALL SELECT * FROM people
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """One stratum of one frame, and what a sampled review says of it.

    Attributes:
        frame: ``record`` or ``person``.
        stratum: ``confirmed``, ``probable`` or ``unverified``, by method alone.
        size: items in the stratum now.
        drawn: items drawn for review.
        judged: items judged without a gap in the order drawn; only these may stand for the rest.
        held: of those, confirmed by the reviewer.
        unsure: of those, the reviewer could not say.
        low: lower end for the share that holds.
        share: best estimate of the share that holds; None where too few are judged.
        high: upper end.
    """

    frame: str
    stratum: str
    size: int
    drawn: int
    judged: int
    held: int
    unsure: int
    low: float
    share: float | None
    high: float

    @property
    def tells(self) -> bool:
        """Whether enough was judged to stand for the stratum."""
        return self.share is not None

    @property
    def all_held(self) -> bool:
        """Whether the reviewer found nothing wrong."""
        return self.held == self.judged

    def words(self) -> str:
        """Say what was judged and what follows, for the method of a count."""
        unsure = f", {self.unsure} undecided" if self.unsure else ""
        return (
            f"{self.held} of {self.judged} {self.stratum} judged in random order held{unsure}:"
            f" {self.low:.0%} to {self.high:.0%} of {self.size:,} (Wilson, {_CONFIDENCE:.0%})"
        )


def wilson(held: int, judged: int, size: int) -> tuple[float, float]:
    """Return the interval for the share of a stratum that holds.

    Args:
        held: judged items that held.
        judged: judged items, at least 1.
        size: items in the stratum; a stratum judged whole leaves no doubt.
    """
    if judged >= size:
        return held / judged, held / judged
    from scipy.stats import binomtest

    found = binomtest(held, judged).proportion_ci(_CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def draw(case: Case, size: int) -> int:
    """Draw the first ``size`` items of every stratum for review, in random order.

    Drawing again with a larger size extends the same sample; what is already judged stays.

    Args:
        case: a case that was scoped, opened for writing.
        size: items per stratum and frame.

    Returns:
        Number of exposures to judge, those already judged included.
    """
    seed = case.settings.seed
    with case.transaction():
        case.clear("review_sample")
        case.con.execute(
            "INSERT INTO review_sample"
            " SELECT frame, stratum, item, position, exposure_id FROM ("
            "  SELECT *, row_number() OVER (PARTITION BY frame, stratum"
            "   ORDER BY sha256(? || frame || chr(0) || item), item) AS position"
            f"  FROM ({FRAMES})) WHERE position <= ? ORDER BY ALL",
            [f"{seed}\0", size],
        )
    found = case.rows("SELECT count(DISTINCT exposure_id) FROM review_sample")[0][0]
    case.custody.append("review_sample", size=size, seed=seed, exposures=found)
    return int(found)


def judged(case: Case) -> Mapping[tuple[str, str], Judged]:
    """Return what the sampled review says, by frame and stratum; empty where none was drawn.

    Only the run of judged items from the first one drawn counts: picking easy ones out of the
    middle would no longer be a random sample.
    """
    rows = case.rows(
        f"WITH f AS ({FRAMES}), n AS (SELECT frame, stratum, count(*) AS size FROM f GROUP BY ALL),"
        f" s AS (SELECT d.frame, d.stratum, d.position, v.verdict FROM review_sample d"
        "  JOIN f USING (frame, item, stratum)"
        f" LEFT JOIN ({LAST_VERDICT}) v ON v.exposure_id = d.exposure_id),"
        " r AS (SELECT *, count(*) FILTER (WHERE verdict IS NULL)"
        "  OVER (PARTITION BY frame, stratum ORDER BY position) AS gaps FROM s)"
        " SELECT frame, stratum, any_value(size), count(*),"
        "  count(*) FILTER (WHERE gaps = 0), count(*) FILTER (WHERE gaps = 0 AND verdict ="
        "  'confirm'), count(*) FILTER (WHERE gaps = 0 AND verdict = 'unsure')"
        " FROM r JOIN n USING (frame, stratum) GROUP BY ALL ORDER BY ALL"
    )
    return {(row[0], row[1]): _judged(*row) for row in rows}


def _judged(
    frame: str, stratum: str, size: int, drawn: int, seen: int, held: int, unsure: int
) -> Judged:
    if seen < min(MIN_JUDGED, size):
        return Judged(frame, stratum, size, drawn, seen, held, unsure, 0.0, None, 1.0)
    low, _ = wilson(held, seen, size)
    _, high = wilson(held + unsure, seen, size)
    sure = seen - unsure
    share = held / sure if sure else (low + high) / 2
    return Judged(frame, stratum, size, drawn, seen, held, unsure, low, share, high)
