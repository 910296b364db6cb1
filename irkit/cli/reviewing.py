"""Judging exposures: one, all that a filter chooses, or a sample that stands for the rest."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from irkit.cli.group import cli
from irkit.cli.session import Session, on_case, plain, reading, with_session, writing
from irkit.cli.text import table
from irkit.errors import UsageError

if TYPE_CHECKING:
    from irkit.case import Case
    from irkit.flow import ReviewPlan
    from irkit.model import Count

VERDICTS = ["confirm", "reject", "unsure", "undo"]

_WAYS = (
    "one:    irkit review CASE EXPOSURE confirm\n"
    "  many:   irkit review CASE --where provenance=unverified --decide reject\n"
    "  sample: irkit review CASE --sample 50"
)


@cli.command()
@on_case
@click.argument("exposure_id", metavar="[EXPOSURE]", required=False)
@click.argument("verdict", metavar="[VERDICT]", required=False, type=click.Choice(VERDICTS))
@click.option(
    "--where",
    metavar="FILTER",
    help="Judge all that this chooses, like: 'provenance=unverified chars<30'. The fields are"
    " those of irkit exposures --where.",
)
@click.option(
    "--decide",
    type=click.Choice(VERDICTS),
    help="With --where: the word on all of them. undo takes the last word on each back.",
)
@click.option("--yes", is_flag=True, help="With --where: do it. Without, only the number is shown.")
@click.option("--note", default="", help="Why; kept in the case, not in the custody log.")
@click.option(
    "--sample",
    type=click.IntRange(1),
    metavar="N",
    help="Draw N records and N people of each status at random, to judge for all.",
)
@with_session
def review(
    session: Session,
    case_path: Path,
    exposure_id: str | None,
    verdict: str | None,
    where: str | None,
    decide: str | None,
    yes: bool,
    note: str,
    sample: int | None,
) -> None:
    """Confirm or reject exposures; counts follow.

    One exposure with its VERDICT (confirm, reject, unsure, undo); or, with --where and --decide,
    all that a filter chooses. Many are judged in two steps: the command says how many would
    change and asks; where nobody can be asked it changes nothing, until --yes is added. Every
    word is kept and can be taken back.

    With neither, says how far the sampled review is and what to judge next.  Judge in the order
    shown: what is skipped ends the sample there.
    """
    from irkit import flow
    from irkit.case.review import Verdict

    many = where is not None or decide is not None or yes
    if (exposure_id is not None) + many + (sample is not None) > 1:
        raise UsageError("review does one thing at a time", _WAYS)
    if many:
        if where is None or decide is None:
            raise UsageError(
                "judging many takes --where FILTER and --decide VERDICT; nothing was changed", _WAYS
            )
        _judge_many(session, case_path, where, Verdict(decide), note, yes=yes)
        return
    if exposure_id is None:
        with (reading if sample is None else writing)(session, case_path) as case:
            if sample is not None:
                flow.sample_review(case, sample)
            _say_sample(session, case)
        return
    if verdict is None:
        raise UsageError(f"exposure '{exposure_id[:80]}' needs a verdict", _WAYS)
    with writing(session, case_path) as case:
        counts = flow.review(case, exposure_id, Verdict(verdict), note)
    session.emit({name: plain(count) for name, count in counts.items()}, _counts_text(counts))


def at_terminal() -> bool:
    """True where somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _judge_many(
    session: Session, case_path: Path, where: str, verdict: Any, note: str, *, yes: bool
) -> None:
    """Show what one word on many would change, and do it once somebody agreed."""
    from irkit import flow

    asking = not yes and not session.json and at_terminal()
    if not yes and not asking:
        with reading(session, case_path) as case:
            plan = flow.plan_review(case, where, verdict)
        again = f"Nothing was changed. To do it, add --yes to the same command{_notes(note)}."
        session.emit(_facts(plan, changed=0), _plan_text(plan))
        session.say(again if plan.ids else "Nothing was changed.")
        return
    # Held for writing while a person thinks, so that what is judged is what was shown.
    with writing(session, case_path) as case:
        plan = flow.plan_review(case, where, verdict)
        if asking:
            session.say(_plan_text(plan))
        if plan.ids and asking and not click.confirm("Do it?", default=False, err=True):
            session.say("Nothing was changed.")
            return
        at = session.clock().isoformat()
        counts = flow.carry_out(case, plan, note) if plan.ids else {}
    back = f"irkit review {shlex.quote(str(case_path))} --where 'reviewed>={at}' --decide undo"
    facts = _facts(plan, changed=len(plan.ids))
    facts["counts"] = {name: plain(count) for name, count in counts.items()}
    facts["undo"] = back if plan.ids and verdict.value != "undo" else None
    said = "" if asking else _plan_text(plan, done=True)
    session.emit(facts, "\n".join(part for part in (said, _counts_text(counts)) if part))
    if not plan.ids:
        session.say("Nothing was changed.")
    elif facts["undo"]:
        session.say(f"To take all of it back: {back}")


def _facts(plan: ReviewPlan, *, changed: int) -> dict[str, Any]:
    return {
        "where": plan.where,
        "decide": plan.verdict.value,
        "matched": plan.matched,
        "would_change": len(plan.ids),
        "before": plan.before,
        "changed": changed,
    }


def _plan_text(plan: ReviewPlan, *, done: bool = False) -> str:
    """Say how many match, how many change, and what they were."""
    if not plan.matched:
        return "No exposure matches. See which there are: irkit exposures CASE --where FILTER"
    word, left = plan.verdict.value, plan.matched - len(plan.ids)
    lines = [f"{_exposures(plan.matched)} {'matches' if plan.matched == 1 else 'match'}."]
    if left:
        why = "never reviewed" if word == "undo" else f"already '{word}'"
        lines.append(f"{left:,} of them {'is' if left == 1 else 'are'} {why}: left alone.")
    if plan.ids:
        were = ", ".join(f"{count:,} {state}" for state, count in plan.before.items())
        to = "the word before" if word == "undo" else f"'{word}'"
        change, then = ("changed", "before") if done else ("would change", "now")
        lines.append(f"{len(plan.ids):,} {change} to {to} ({then}: {were}).")
    return "\n".join(lines)


def _exposures(count: int) -> str:
    return "1 exposure" if count == 1 else f"{count:,} exposures"


def _notes(note: str) -> str:
    return "" if note else " (and --note, if the reason should be kept)"


def _counts_text(counts: dict[str, Count]) -> str:
    return "\n".join(
        f"{name}: {count.best:,} (at least {count.min:,}, at most {count.max:,})"
        for name, count in counts.items()
        if name in ("records", "people")
    )


def _say_sample(session: Session, case: Case) -> None:
    """Print how far the sampled review is, and the next exposures in the order drawn."""
    from irkit import flow
    from irkit.case import views

    strata = flow.sampled(case)
    todo = views.exposure_filter("sample>0 review=open")
    page = views.exposures(case.con, where=todo, sort="sample", limit=20)
    rows = [plain(row) for row in page.rows]
    shown = [{**row, "of": row["frame"]} for row in strata]
    widths = {"of": 7, "stratum": 11, "size": 7, "drawn": 6, "judged": 7, "words": 76}
    following = {"exposure_id": 16, "provenance": 13, "level": 6, "value_masked": 40}
    session.emit(
        {"strata": strata, "next": rows},
        "\n".join(
            (
                *([table(shown, widths, len(shown)), ""] if strata else []),
                "Judge next, in this order (irkit review CASE EXPOSURE confirm|reject|unsure):"
                if rows
                else "Nothing is left to judge."
                if strata
                else "No sample was drawn: irkit review CASE --sample 50",
                *([table(rows, following, page.total)] if rows else []),
            )
        ),
    )
