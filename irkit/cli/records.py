"""Commands that read single records: the replay, evidence files, custody, deadlines, the form."""

from __future__ import annotations

from pathlib import Path

import click

from irkit.cli.group import cli
from irkit.cli.session import Session, limited, on_case, plain, reading, with_session
from irkit.cli.text import source_rows, sources_text, table
from irkit.errors import UsageError

#: Levels of the actor lattice, as options name them.
KINDS = ["credential", "session", "source_ip", "campaign"]


@cli.command()
@on_case
@click.argument("actor")
@click.option("--kind", type=click.Choice(KINDS), help="Level of ACTOR, where its name is not one.")
@click.option("--at", type=click.IntRange(1), metavar="N", help="First query. [default: the onset]")
@limited("Queries", 5)
@click.option("--history", is_flag=True, help="Also earlier turns of each conversation.")
@with_session
def replay(
    session: Session,
    case_path: Path,
    actor: str,
    kind: str | None,
    at: int | None,
    limit: int,
    history: bool,
) -> None:
    """Walk through an actor's queries.

    ACTOR is a name as irkit actors shows it, or a finding's id.  Values are masked; what leaked is
    framed as in the screens: the corpus in [[..]], unverified in <..>.
    """
    from irkit.case import views
    from irkit.model import UnitKind

    with reading(session, case_path) as case:
        key = views.find_actor(case.con, actor, UnitKind(kind) if kind else None)
        if key is None:
            raise UsageError(f"no actor '{actor[:80]}'", "see: irkit actors CASE --all")
        found = views.transcript(
            case.con, key, at=None if at is None else at - 1, limit=limit, history=history
        )
    lines = _landmarks(found.summary, key.kind.value, key.unit)
    for call in found.calls:
        lines += ["", *views.call_lines(call, found.summary.total)]
    session.emit(plain(found), "\n".join(lines))


def _landmarks(summary: object, kind: str, unit: str) -> list[str]:
    from irkit.case.views import SequenceSummary

    assert isinstance(summary, SequenceSummary)
    lines = [f"{kind} {unit}: {summary.total:,} queries"]
    for name, position, moment in (
        ("onset", summary.onset_position, summary.onset),
        ("end of activity", summary.end_position, summary.end),
    ):
        if position is not None and moment is not None:
            lines.append(f"{name}: query {position + 1:,}, {moment:%Y-%m-%d %H:%M:%S}Z")
    leaks = summary.leak_positions
    if leaks:
        shown = ", ".join(f"{place + 1:,}" for place in leaks[:20])
        more = f" and {len(leaks) - 20:,} more" if len(leaks) > 20 else ""
        passages = f"{summary.leaks:,} {'passage' if summary.leaks == 1 else 'passages'}"
        lines.append(f"leaks: {passages}, at queries: {shown}{more}")
    return lines


@cli.command()
@on_case
@click.argument("actor")
@click.argument("other")
@with_session
def compare(session: Session, case_path: Path, actor: str, other: str) -> None:
    """Set two actors side by side: techniques, statistics, settings, and what they share."""
    from irkit.case import views

    with reading(session, case_path) as case:
        keys = []
        for name in (actor, other):
            key = views.find_actor(case.con, name)
            if key is None:
                raise UsageError(f"no actor '{name[:80]}'", "see: irkit actors CASE --all")
            keys.append(key)
        found = views.compare(case.con, *keys)
    session.emit(plain(found), "\n".join(views.comparison_lines(found)))


@cli.command()
@on_case
@click.argument("name")
@with_session
def campaign(session: Session, case_path: Path, name: str) -> None:
    """Who acts together: members, what ties them, and the test of their union."""
    from irkit.case import views

    with reading(session, case_path) as case:
        found = views.campaign(case.con, name)
    if found is None:
        raise UsageError(
            f"no campaign '{name[:80]}'", "see: irkit actors CASE --where kind=campaign"
        )
    session.emit(plain(found), "\n".join(views.campaign_lines(found)))


@cli.command()
@on_case
@with_session
def evidence(session: Session, case_path: Path) -> None:
    """Which files are preserved, their hashes, and how each was read."""
    from irkit.case import views

    with reading(session, case_path) as case:
        files = views.sources(case.con)
        account = source_rows(case)
    rows = [plain(row) for row in files]
    lines = [f"{row.state:<13} {row.sha256}  {row.original_path}" for row in files]
    session.emit(rows, "\n".join([*lines, "", sources_text(account)] if rows else ["no files"]))


@cli.command()
@on_case
@limited("Entries")
@with_session
def custody(session: Session, case_path: Path, limit: int) -> None:
    """Who did what and when, newest first; the chain is checked."""
    from irkit.case import views

    with reading(session, case_path) as case:
        entries = views.custody_rows(case.custody, last=limit)
    lines = [
        f"{row.index:>5} {row.at:<20} {row.who:<12} {row.action:<14} {row.detail}"
        for row in entries
    ]
    session.emit(
        [plain(row) for row in entries],
        "\n".join([*lines, f"{len(entries):,} entries shown, the chain is intact"]),
    )


@cli.command()
@on_case
@with_session
def deadlines(session: Session, case_path: Path) -> None:
    """Every legal clock, what it counts from, and how long is left."""
    from irkit.case import views

    with reading(session, case_path) as case:
        rows = views.obligations(case.con)
        now = case.clock()
    lines = []
    for row in rows:
        said = {"yes": "applies", "no": "does not apply"}.get(row.applies, "unknown")
        rule = row.rule.replace("_", " ")
        lines.append(f"{said:<14} {rule if ': ' in rule else f'{row.regime} {rule}'}: {row.reason}")
        for one in row.instants:
            if one.at is None:
                continue
            hours = (one.at - now).total_seconds() / 3600
            left = f"{hours:.0f} h left" if hours >= 0 else f"PASSED {-hours:.0f} h ago"
            lines.append(f"    {one.at:%Y-%m-%d %H:%M}Z  {left}  {one.kind}: {one.basis}")
    session.emit(
        [plain(row) for row in rows],
        "\n".join(lines or ["No deadline was computed yet: irkit assess CASE"]),
    )


@cli.command()
@on_case
@click.option(
    "--phase",
    type=click.Choice(["preliminary", "supplementary", "complete"]),
    default="preliminary",
    show_default=True,
)
@click.option("--missing", is_flag=True, help="Only what the phase still lacks.")
@with_session
def form(session: Session, case_path: Path, phase: str, missing: bool) -> None:
    """The facts of the notification, whose they are, and what is missing."""
    from irkit.model import Phase
    from irkit.playbook.form import read_form

    with reading(session, case_path) as case:
        data = read_form(case, Phase(phase))
    rows = [
        {"state": row.state, "fact": row.field.key, "label": row.field.label, "value": row.text}
        for row in data.rows
        if not missing or row.state in ("missing", "proposed")
    ]
    widths = {"state": 9, "fact": 30, "label": 40, "value": 60}
    said = f"{data.filled:,} of {data.total:,} facts known, {data.missing:,} missing for this phase"
    session.emit(rows, "\n".join((table(rows, widths, len(data.rows)), said)))
