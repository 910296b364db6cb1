"""Commands that look at a case, the plain twins of the screens, and at irkit itself."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from irkit.cli.group import cli
from irkit.cli.secret import passphrase, password_file
from irkit.cli.session import (
    PATH,
    Session,
    limited,
    on_case,
    plain,
    reading,
    screens,
    with_session,
    writing,
)
from irkit.cli.text import entry_text, formats_text, next_text, summary_text, table
from irkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    pass


@cli.command()
@on_case
@with_session
def status(session: Session, case_path: Path) -> None:
    """What happened, how long is left, what is next."""
    from irkit import flow

    with reading(session, case_path) as case:
        facts = flow.status(case)
    session.emit(facts, "\n".join((summary_text(facts), *next_text(facts))))


_FILTER = click.option("--where", "where", help="Filter, like: tier=A or technique~extraction.")


@cli.command()
@on_case
@_FILTER
@click.option("--all", "quiet_too", is_flag=True, help="Also actors on whom nothing was found.")
@limited("Rows")
@with_session
def actors(
    session: Session, case_path: Path, where: str | None, quiet_too: bool, limit: int
) -> None:
    """Who was flagged, for what, since when."""
    from irkit.case import views

    with reading(session, case_path) as case:
        chosen = views.actor_filter(where) if where else None
        page = views.actors(case.con, where=chosen, limit=limit, quiet=quiet_too)
    rows = [{**plain(row), "kind": row.key.kind.value, "actor": row.key.unit} for row in page.rows]
    shown = [
        {**row, "onset": at.onset, "p": at.p_value} for row, at in zip(rows, page.rows, strict=True)
    ]
    widths = {"tier": 4, "kind": 10, "actor": 40, "technique": 24, "p": 8, "onset": 16}
    session.emit(rows, table(shown, {**widths, "queries": 7, "exposures": 9}, page.total))


@cli.command()
@on_case
@_FILTER
@limited("Rows")
@with_session
def exposures(session: Session, case_path: Path, where: str | None, limit: int) -> None:
    """Which passages came out, with masked values."""
    from irkit.case import views

    with reading(session, case_path) as case:
        chosen = views.exposure_filter(where) if where else None
        page = views.exposures(case.con, where=chosen, limit=limit)
    rows = [plain(row) for row in page.rows]
    shown = [{**row, "at": at.at} for row, at in zip(rows, page.rows, strict=True)]
    widths = {"exposure_id": 16, "at": 16, "provenance": 13, "level": 6, "doc_id": 10}
    session.emit(
        rows,
        table(shown, {**widths, "subjects": 8, "verdict": 8, "value_masked": 40}, page.total),
    )


@cli.command()
@on_case
@_FILTER
@limited("Rows")
@with_session
def people(session: Session, case_path: Path, where: str | None, limit: int) -> None:
    """Whose data came out, under the case's own keys."""
    from irkit.case import views

    with reading(session, case_path) as case:
        chosen = views.subject_filter(where) if where else None
        page = views.subjects(case.con, where=chosen, limit=limit)
    rows = [plain(row) for row in page.rows]
    widths = {"subject_key": 18, "label_masked": 20, "status": 10, "exposures": 9, "countries": 9}
    session.emit(rows, table(rows, {**widths, "special_category": 7, "categories": 40}, page.total))


@cli.command()
@on_case
@click.option("--reread", is_flag=True, help="Read these entries again, and only these.")
@click.option("--mapping", type=PATH, help="With --reread: mapping file to try first (TOML).")
@click.option("--format", "format_id", help="With --reread: read every object as this format.")
@limited("Rows")
@with_session
def quarantine(
    session: Session,
    case_path: Path,
    reread: bool,
    mapping: Path | None,
    format_id: str | None,
    limit: int,
) -> None:
    """Which entries could not be read, where and why.

    Also lists rows of tables handed in to irkit scope that were set aside.
    With --reread they are read again, for example by a mended mapping file: what is readable now
    becomes records, as if it had been read so from the start; the rest stays.
    """
    from irkit import flow
    from irkit.case import views

    if (mapping or format_id) and not reread:
        raise UsageError("--mapping and --format need --reread", "add --reread to read again")
    if reread:
        with writing(session, case_path) as case, session.progress() as progress:
            report = flow.reread(case, format_id=format_id, mapping=mapping, progress=progress)
        session.emit(
            plain(report),
            f"{report.tried:,} entries read again: {report.read:,} gave {report.records:,} records,"
            f" {report.left:,} stay in quarantine",
        )
        if report.records:
            session.say(f"Next: irkit scope {case_path} (what was found so far does not know them)")
        return
    with reading(session, case_path) as case:
        page = views.quarantine(case.con, limit=limit)
        aside = views.aside(case.con, limit=limit)
    rows = [{**plain(row), "source": Path(row.source).name} for row in page.rows]
    left_out = [plain(row) for row in aside.rows]
    widths = {"source": 30, "member": 20, "entry_no": 9, "byte_offset": 12, "byte_len": 9}
    if not any(row["member"] for row in rows):
        del widths["member"]
    text = table(rows, {**widths, "error_code": 18, "error_text": 60}, page.total)
    if left_out:
        heading = "Rows of tables handed in (register, canaries) that were set aside:"
        listed = table(left_out, {"file": 30, "row": 8, "reason": 60}, aside.total)
        text = "\n".join((text, "", heading, listed))
    session.emit({"entries": rows, "tables": left_out}, text)


@cli.command()
@on_case
@with_session
def steps(session: Session, case_path: Path) -> None:
    """The playbook's steps and where each stands."""
    from irkit.playbook import steps as all_steps

    with reading(session, case_path) as case:
        found = all_steps(case)
    rows = [plain(view) for view in found]
    shown = [
        {"step": v.step.id, "state": v.state, "title": v.step.title, "waits_for": v.blocked_by}
        for v in found
    ]
    session.emit(
        rows, table(shown, {"step": 24, "state": 14, "title": 40, "waits_for": 50}, len(shown))
    )


@cli.command()
@on_case
@click.argument("step_id", metavar="STEP")
@click.argument("state", type=click.Choice(["done", "in_progress", "not_applicable", "open"]))
@click.option("--decision", default="", help="What was decided or done, as the packet will say.")
@click.option("--reason", default="", help="Why.")
@click.option("--owner", default="", help="Who decided. [default: the step's owner]")
@with_session
def decide(
    session: Session,
    case_path: Path,
    step_id: str,
    state: str,
    decision: str,
    reason: str,
    owner: str,
) -> None:
    """Settle a step of the playbook, with the reason."""
    from irkit.playbook import decide as settle

    with writing(session, case_path) as case:
        view = settle(case, step_id, state, decision, reason, owner)
    session.emit(plain(view), f"{view.step.id}: {view.state}")


@cli.command()
@click.argument("packet", metavar="PACKET", type=PATH)
@click.option("--key", type=PATH, required=True, help="PKCS#12 key (.p12, .pfx).")
@password_file
@click.option("--reason", default="", help="Reason shown in the signature.")
@click.option("--case", "case_path", type=PATH, help="Case whose custody log records the act.")
@with_session
def sign(
    session: Session,
    packet: Path,
    key: Path,
    password: Path | None,
    reason: str,
    case_path: Path | None,
) -> None:
    """Sign a finished packet (PAdES, offline).

    PACKET is packet.pdf or its directory; packet.signed.pdf is written beside it. The key's
    password is asked for, or read from --password-file; it never stands on the command line.
    """
    from irkit import flow

    secret = passphrase(key, password)
    if case_path is None:
        made = flow.sign(packet, key, secret, reason=reason)
    else:
        with writing(session, case_path) as case:
            made = flow.sign(packet, key, secret, reason=reason, case=case)
    session.emit({"signed": str(made)}, str(made))


@cli.command()
@click.argument("target", metavar="CASE|PACKET", type=PATH)
@with_session
def verify(session: Session, target: Path) -> None:
    """Prove that evidence, custody log or packet are unchanged.

    CASE re-hashes every preserved file and checks the custody chain; PACKET (a PDF or its
    directory) checks the packet's hashes, its embedded data and its chain of phases.
    """
    from irkit import flow
    from irkit.model import EvidenceState

    if not (target / "case.toml").is_file():
        from irkit.packet import verify_packet

        if not target.exists():
            raise UsageError(f"{target}: no such case or packet", "check the path")
        answer = verify_packet(target)
        session.emit(plain(answer), "\n".join(answer.lines()))
        if not answer.ok:
            raise click.exceptions.Exit(int(ExitCode.MISMATCH))
        return
    with writing(session, target) as case, session.progress() as progress:
        result = flow.verify(case, progress=progress)
    lines = [f"{file.state.value:<13} {file.sha256}  {file.path}" for file in result.evidence]
    lines.append(f"custody: {result.custody_entries} entries, head {result.custody_head}")
    lines.append(f"evidence: {result.state.value}")
    session.emit(
        {
            "custody": {"entries": result.custody_entries, "head": result.custody_head},
            "evidence": [plain(file) for file in result.evidence],
            "state": result.state.value,
        },
        "\n".join(lines),
    )
    if result.state is EvidenceState.MISMATCH:
        raise click.exceptions.Exit(int(ExitCode.MISMATCH))


#: What ``irkit list`` can list.
CATALOGUES = ["formats", "detectors", "recognisers", "regimes", "steps"]


@cli.command(name="list")
@click.argument("what", type=click.Choice(CATALOGUES))
@with_session
def list_(session: Session, what: str) -> None:
    """List formats, detectors, recognisers of personal data, regimes or steps."""
    from irkit import flow

    rows, warnings = flow.catalogue(what)
    plainly = formats_text(rows) if what == "formats" else None
    session.emit(rows, plainly or "\n\n".join(entry_text(row) for row in rows))
    for warning in warnings:
        session.say(f"warning: {warning}")


@cli.command()
@on_case
@click.argument("finding_id")
@with_session
def explain(session: Session, case_path: Path, finding_id: str) -> None:
    """Say in sentences why an actor was flagged.

    Names the queries, whom they were compared with, how surprising they are, and what else could
    explain them.
    """
    from irkit import flow

    with reading(session, case_path) as case:
        sentences = flow.explain(case, finding_id)
    session.emit(sentences, "\n".join(sentences))


@cli.command()
@with_session
def selftest(session: Session) -> None:
    """Check this installation on known ground truth."""
    from irkit.selftest import run

    with tempfile.TemporaryDirectory(prefix="irkit-") as work, session.progress() as progress:
        report = run(Path(work), progress=progress)
    session.emit(report.as_dict(), "\n".join(report.lines()))
    if not report.passed:
        raise click.exceptions.Exit(int(ExitCode.INTERNAL))


@cli.command(name="open")
@click.argument("case_path", metavar="[CASE]", type=PATH, required=False)
@with_session
def open_(session: Session, case_path: Path | None) -> None:
    """Open a case on the screen, or choose one there."""
    screens(case_path, session.clock)
