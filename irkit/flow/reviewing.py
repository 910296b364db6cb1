"""Reviewers' words on exposures: one, several, or all that a filter chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from irkit.errors import UsageError

if TYPE_CHECKING:
    from irkit.case import Case
    from irkit.case.review import Verdict
    from irkit.model import Count


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """What one word on everything that a filter chooses would do.

    Attributes:
        where: the filter, as typed.
        verdict: the word; ``undo`` takes the last one on each back.
        matched: exposures that the filter chooses.
        ids: those among them whose state would change, in their order.
        before: present states of these, and how many have each.
    """

    where: str
    verdict: Verdict
    matched: int
    ids: tuple[str, ...]
    before: dict[str, int]


def review(case: Case, exposure_id: str, verdict: Verdict, note: str = "") -> dict[str, Count]:
    """Record a reviewer's word on an exposure and take the counts again."""
    return review_many(case, [exposure_id], verdict, note)


def review_many(
    case: Case,
    exposure_ids: Sequence[str],
    verdict: Verdict,
    note: str = "",
    *,
    where: str = "",
) -> dict[str, Count]:
    """Record one word of a reviewer on several exposures and take the counts again.

    Args:
        case: a case opened for writing.
        exposure_ids: the exposures.
        verdict: what the reviewer says.
        note: why.
        where: the filter that chose them, for custody.
    """
    from irkit.case.review import record_reviews
    from irkit.scope import recount

    record_reviews(case, exposure_ids, verdict, note, where=where)
    return recount(case)


def take_back(case: Case, exposure_ids: Sequence[str], *, where: str = "") -> dict[str, Count]:
    """Bring back what held before the last word on each exposure and take the counts again."""
    from irkit.case.review import take_back as bring_back
    from irkit.scope import recount

    bring_back(case, exposure_ids, where=where)
    return recount(case)


def plan_review(case: Case, where: str, verdict: Verdict) -> ReviewPlan:
    """Find what one word on everything that a filter chooses would change; changes nothing.

    Raises:
        FilterError: the filter cannot be read.
        UsageError: the filter is empty.
    """
    from irkit.case import views
    from irkit.case.review import Verdict

    if not where.strip():
        raise UsageError(
            "an empty filter would judge every exposure",
            "name which, like --where provenance=unverified; for all of them: --where chars>=0",
        )
    states = views.exposure_states(case.con, views.exposure_filter(where))
    if verdict is Verdict.UNDO:
        changing = {one: state for one, state in states.items() if state != "open"}
    else:
        changing = {one: state for one, state in states.items() if state != verdict.value}
    before = dict(sorted(Counter(changing.values()).items()))
    return ReviewPlan(where, verdict, len(states), tuple(changing), before)


def carry_out(case: Case, plan: ReviewPlan, note: str = "") -> dict[str, Count]:
    """Say the word of a plan on its exposures and take the counts again.

    Raises:
        UsageError: there is nothing to judge.
        StorageError: the rows or the custody entry could not be written.
    """
    from irkit.case.review import Verdict

    if not plan.ids:
        raise UsageError("nothing would change", "look first: irkit exposures CASE --where ...")
    if plan.verdict is Verdict.UNDO:
        return take_back(case, plan.ids, where=plan.where)
    return review_many(case, plan.ids, plan.verdict, note, where=plan.where)


def sample_review(case: Case, size: int) -> int:
    """Draw exposures for a sampled review and return how many there are to judge."""
    from irkit.scope import draw_sample, recount

    drawn = draw_sample(case, size)
    recount(case)
    return drawn


def sampled(case: Case) -> list[dict[str, Any]]:
    """Return how far the sampled review is and what it says, one row per frame and stratum."""
    # Looking before loading what estimates: most cases are judged without a sample.
    if not case.rows("SELECT 1 FROM review_sample LIMIT 1"):
        return []
    from irkit.scope.sampling import judged

    return [
        {**asdict(one), "words": one.words() if one.tells else ""}
        for _, one in sorted(judged(case).items())
    ]
