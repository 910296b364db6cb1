"""The command line: parse, call the core, print.  Data on stdout, words on stderr.

Nothing heavy is imported before a command needs it, so that ``irkit --help`` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from irkit import __version__
from irkit.errors import ExitCode, IrkitError, PacketIncomplete, QuarantinedInput, UsageError

if TYPE_CHECKING:
    from irkit.case import Case, Clock
    from irkit.flow import ProgressCallback

F = TypeVar("F", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)


class _Group(click.Group):
    """Lists commands in the order of the playbook instead of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


class Session:
    """What the common options say: how to print, and what time it is."""

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.color = True
        self.debug = False
        self.now: str | None = None

    @property
    def clock(self) -> Clock:
        """The system clock, or the one stopped by ``--now``."""
        from irkit.case import fixed_clock, system_clock

        return fixed_clock(self.now) if self.now else system_clock

    def say(self, text: str = "") -> None:
        """Write words to stderr unless ``--quiet``."""
        if not self.quiet:
            from irkit.case.mask import clean

            click.echo("\n".join(clean(line) for line in text.split("\n")), err=True)

    def emit(self, value: Any, text: str) -> None:
        """Write data to stdout: JSON when asked for, else its plain form."""
        if self.json:
            click.echo(json.dumps(value, sort_keys=True, ensure_ascii=False, indent=2))
        elif text:
            from irkit.case.mask import clean

            click.echo("\n".join(clean(line) for line in text.split("\n")))

    @contextmanager
    def progress(self) -> Iterator[ProgressCallback | None]:
        """A progress bar on a terminal; nothing in a pipe or with ``--quiet``."""
        if self.quiet or not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True, no_color=not self.color)
        columns = (
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=console, transient=True) as bars:
            tasks: dict[str, Any] = {}

            def show(step: Any) -> None:
                if step.stage not in tasks:
                    tasks[step.stage] = bars.add_task(step.stage.value, total=None, note="")
                bars.update(
                    tasks[step.stage],
                    completed=step.done,
                    total=step.total or None,
                    note=step.note[:40],
                )

            yield show


def _common(function: F) -> F:
    """Add the options that every command takes, before or after its name."""

    @click.option("--json", "as_json", is_flag=True, help="Print data as JSON on stdout.")
    @click.option("--quiet", is_flag=True, help="Print no words, only data and errors.")
    @click.option("--no-color", is_flag=True, help="Print without colour (NO_COLOR works too).")
    @click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
    @click.option("--now", metavar="TIME", help="Use this ISO 8601 time as the present.")
    @wraps(function)
    def wrapped(
        *args: Any,
        as_json: bool,
        quiet: bool,
        no_color: bool,
        debug: bool,
        now: str | None,
        **kwargs: Any,
    ) -> Any:
        session = click.get_current_context().ensure_object(Session)
        session.json |= as_json
        session.quiet |= quiet
        session.color &= not no_color and "NO_COLOR" not in os.environ
        session.debug |= debug
        session.now = now or session.now
        return function(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


pass_session = click.make_pass_decorator(Session, ensure=True)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: irkit demo",
)
@click.version_option(__version__, prog_name="irkit")
@_common
def cli() -> None:
    """Find out what an AI model leaked, whose it was, and notify in time.

    irkit reads preserved inference logs, replays each actor's queries through extraction
    detectors, matches answers against the training corpus, counts exposed records and people,
    and writes the Article 33 packet. It works offline; nothing leaves this machine.
    """


# -- the playbook's verbs -------------------------------------------------------------------------


@cli.command()
@click.option("--headless", is_flag=True, help="Write the files and stop, without the screens.")
@click.option("--out", type=_PATH, default=Path("irkit-demo"), show_default=True)
@_common
@pass_session
def demo(session: Session, headless: bool, out: Path) -> None:
    """Run the sample incident end to end.

    Reads the synthetic logs that come with irkit, and leaves export files, the packet and a case
    in the --out directory. The clock starts at the sample's own date unless --now is given.
    """
    from irkit import flow
    from irkit.case import fixed_clock

    clock = fixed_clock(session.now or flow.SAMPLE_NOW)
    case_path = out / "sample.irkit"
    if not headless:
        _screens(case_path, session.clock if session.now else flow.sample_clock(), demo_out=out)
        return
    session.say("Sample incident: synthetic people, real attacks on a model that memorised them.")
    with flow.open_demo_case(case_path, clock=clock) as case, session.progress() as progress:
        result = flow.demo(case, out, progress=progress)
    session.emit(result.summary, _summary_text(result.summary))
    session.say(
        f"Packet: {result.packet.pdf}\nCase:   {case_path}  (look inside: irkit open {case_path})"
        f"\nDone in {result.seconds:.1f} s."
    )


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@click.option("--title", default="", help="Title shown on every page of the packet.")
@click.option("--encrypt", is_flag=True, help="Encrypt the case at rest (not available yet).")
@_common
@pass_session
def new(session: Session, case_path: Path, title: str, encrypt: bool) -> None:
    """Create an empty case."""
    from irkit.case import Case

    if encrypt:
        raise UsageError(
            "--encrypt: this version cannot encrypt a case yet",
            "put the case on an encrypted volume; nothing was created",
        )
    with Case.create(case_path, title=title, clock=session.clock):
        pass
    session.say(f"Created {case_path}. Next: irkit preserve {case_path} LOGS...")


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@click.argument("logs", type=_PATH, nargs=-1, required=True)
@click.option("--format", "format_id", help="Skip detection and read as this format.")
@click.option("--mapping", type=_PATH, help="Mapping file of the generic reader (TOML).")
@click.option("--in-place", is_flag=True, help="Reference the files instead of copying them.")
@click.option("--dry-run", is_flag=True, help="Show how each file would be read; write nothing.")
@click.option("--strict", is_flag=True, help="Exit with 4 when anything was quarantined.")
@_common
@pass_session
def preserve(
    session: Session,
    case_path: Path,
    logs: tuple[Path, ...],
    format_id: str | None,
    mapping: Path | None,
    in_place: bool,
    dry_run: bool,
    strict: bool,
) -> None:
    """Hash logs, copy them into the case, read them.

    LOGS are files or directories. Every line ends as a record, a blank or a quarantine row with
    file, line, byte offset and reason; nothing is dropped.
    """
    from irkit import flow

    if dry_run:
        previews = flow.preview(list(logs), mapping=mapping)
        session.emit([_plain(p) for p in previews], "\n".join(_preview_text(p) for p in previews))
        return
    with _writing(session, case_path) as case, session.progress() as progress:
        result = flow.preserve(
            case,
            list(logs),
            format_id=format_id,
            mapping=mapping,
            in_place=in_place,
            progress=progress,
        )
        rows = _source_rows(case)
    session.emit(rows, _sources_text(rows))
    for name in result.intake.already_preserved:
        session.say(f"already preserved, not added again: {name}")
    session.say(f"Next: irkit scope {case_path} --corpus FILES")
    _strict(rows, strict)


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@click.option("--corpus", type=_PATH, multiple=True, help="Training corpus; give it repeatedly.")
@click.option(
    "--corpus-field",
    multiple=True,
    metavar="NAME=FIELD",
    help="Field names of the corpus, like text=body.",
)
@click.option("--subjects", type=_PATH, help="Register of people (CSV or Parquet).")
@click.option("--baseline", type=_PATH, help="Logs of ordinary traffic, or a calibration file.")
@click.option("--gradients", type=_PATH, help="Preserved gradients (not analysed yet).")
@click.option("--deep", is_flag=True, help="Run the name recogniser over every answer.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--fpr", type=float, help="Promised false-positive rate per actor. [default: 0.001]")
@click.option("--fdr", type=float, help="False-discovery rate over all actors. [default: 0.05]")
@click.option("--fail-on-findings", is_flag=True, help="Exit with 1 when an actor is flagged.")
@_common
@pass_session
def scope(
    session: Session,
    case_path: Path,
    corpus: tuple[Path, ...],
    corpus_field: tuple[str, ...],
    subjects: Path | None,
    baseline: Path | None,
    gradients: Path | None,
    deep: bool,
    engine: str,
    fpr: float | None,
    fdr: float | None,
    fail_on_findings: bool,
) -> None:
    """Find who extracted what: detectors, leaks, people and counts."""
    from irkit import flow
    from irkit.packet.export import summary

    _not_yet(gradients, engine)
    with _writing(session, case_path) as case, session.progress() as progress:
        flow.configure(case, fpr=fpr, fdr=fdr)
        result = flow.scope(
            case,
            corpus=corpus,
            corpus_mapping=_fields(corpus_field),
            subjects=subjects,
            baseline=baseline,
            deep=deep,
            progress=progress,
        )
        facts = summary(case)
    session.emit(facts, _summary_text(facts))
    if result.skipped:
        names = ", ".join(stage.value for stage in result.skipped)
        session.say(f"unchanged since the last run, not repeated: {names}")
    session.say(f"Next: irkit assess {case_path}, or look: irkit open {case_path}")
    _fail_on(facts, fail_on_findings)


@cli.command()
@click.argument("logs", type=_PATH, nargs=-1, required=True)
@click.option("--out", type=_PATH, required=True, help="Calibration file to write.")
@click.option("--corpus", type=_PATH, multiple=True, help="Training corpus, for D5 and D11.")
@_common
@pass_session
def baseline(session: Session, logs: tuple[Path, ...], out: Path, corpus: tuple[Path, ...]) -> None:
    """Turn logs of ordinary traffic into calibration scores.

    The file holds no text and no identifier, only scores, so it may travel.
    """
    from irkit import flow

    with tempfile.TemporaryDirectory(prefix="irkit-") as work, session.progress() as progress:
        described = flow.make_baseline(
            list(logs),
            out,
            corpus=list(corpus),
            work=Path(work) / "baseline.irkit",
            clock=session.clock,
            progress=progress,
        )
    session.emit(described, "\n".join(f"{key}: {value}" for key, value in described.items()))


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@click.option("--facts", type=_PATH, help="Facts that only people know (TOML).")
@_common
@pass_session
def assess(session: Session, case_path: Path, facts: Path | None) -> None:
    """Severity, obligations and deadlines, each with its reasons."""
    from irkit import flow

    with _writing(session, case_path) as case:
        result = flow.assess(case, facts=facts)
        lines = result.lines()
        data = result.as_dict()
    session.emit(data, "\n".join(lines))
    session.say(f"Next: irkit notify {case_path} --out DIR")


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@click.option(
    "--phase",
    type=click.Choice(["preliminary", "supplementary", "complete"]),
    default="preliminary",
    show_default=True,
)
@click.option("--facts", type=_PATH, help="Facts that only people know (TOML).")
@click.option("--out", type=_PATH, required=True, help="Directory for the packet.")
@_common
@pass_session
def notify(session: Session, case_path: Path, phase: str, facts: Path | None, out: Path) -> None:
    """Build the notification packet: PDF, JSON and annexes.

    No exposed value appears in it; the build fails if one would.
    """
    from irkit import flow
    from irkit.model import Phase

    with _writing(session, case_path) as case:
        result = flow.notify(case, out, phase=Phase(phase), facts=facts)
    session.emit(_plain(result), str(result.pdf))
    for missing in result.missing:
        session.say(f"not yet known: {missing}")


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Directory for the rules.")
@_common
@pass_session
def contain(session: Session, case_path: Path, out: Path) -> None:
    """Containment rules, tested on the evidence.

    Writes the rules with what each would have stopped and whom it would have hit, the list of
    credentials to revoke, and indicators as STIX 2.1.
    """
    from irkit import flow

    with _writing(session, case_path) as case:
        paths = flow.contain(case, out)
    session.emit([str(path) for path in paths], "\n".join(str(path) for path in paths))


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Directory for the manifests.")
@_common
@pass_session
def remediate(session: Session, case_path: Path, out: Path) -> None:
    """Unlearning manifest and retest plan."""
    from irkit import flow

    with _writing(session, case_path) as case:
        paths = flow.remediate(case, out)
    session.emit([str(path) for path in paths], "\n".join(str(path) for path in paths))


@cli.command()
@click.argument("logs", type=_PATH, nargs=-1, required=True)
@click.option("--case", "case_path", type=_PATH, required=True, help="Case to create or continue.")
@click.option("--out", type=_PATH, required=True, help="Directory for the export files.")
@click.option("--corpus", type=_PATH, multiple=True, help="Training corpus; give it repeatedly.")
@click.option("--corpus-field", multiple=True, metavar="NAME=FIELD", help="Like text=body.")
@click.option("--subjects", type=_PATH, help="Register of people (CSV or Parquet).")
@click.option("--baseline", type=_PATH, help="Logs of ordinary traffic, or a calibration file.")
@click.option("--gradients", type=_PATH, help="Preserved gradients (not analysed yet).")
@click.option("--format", "format_id", help="Skip detection and read as this format.")
@click.option("--mapping", type=_PATH, help="Mapping file of the generic reader (TOML).")
@click.option("--in-place", is_flag=True, help="Reference the files instead of copying them.")
@click.option("--deep", is_flag=True, help="Run the name recogniser over every answer.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--fpr", type=float, help="Promised false-positive rate per actor. [default: 0.001]")
@click.option("--fdr", type=float, help="False-discovery rate over all actors. [default: 0.05]")
@click.option("--strict", is_flag=True, help="Exit with 4 when anything was quarantined.")
@click.option("--fail-on-findings", is_flag=True, help="Exit with 1 when an actor is flagged.")
@_common
@pass_session
def batch(
    session: Session,
    logs: tuple[Path, ...],
    case_path: Path,
    out: Path,
    corpus: tuple[Path, ...],
    corpus_field: tuple[str, ...],
    subjects: Path | None,
    baseline: Path | None,
    gradients: Path | None,
    format_id: str | None,
    mapping: Path | None,
    in_place: bool,
    deep: bool,
    engine: str,
    fpr: float | None,
    fdr: float | None,
    strict: bool,
    fail_on_findings: bool,
) -> None:
    """Preserve, scope, assess, export in one go.

    Interrupted? Give the same command again: finished work is kept.
    """
    from irkit import flow
    from irkit.case import Case

    _not_yet(gradients, engine)
    if not case_path.exists():
        Case.create(case_path, clock=session.clock).close()
    with _writing(session, case_path) as case, session.progress() as progress:
        flow.configure(case, fpr=fpr, fdr=fdr)
        facts = flow.batch(
            case,
            list(logs),
            out,
            corpus=corpus,
            corpus_mapping=_fields(corpus_field),
            subjects=subjects,
            baseline=baseline,
            format_id=format_id,
            mapping=mapping,
            in_place=in_place,
            deep=deep,
            progress=progress,
        )
        rows = _source_rows(case)
    session.emit(facts, _summary_text(facts))
    session.say(f"Export: {out}")
    _strict(rows, strict)
    _fail_on(facts, fail_on_findings)


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Directory for the export files.")
@click.option("--reveal", is_flag=True, help="Write exposed passages in clear; goes into custody.")
@_common
@pass_session
def export(session: Session, case_path: Path, out: Path, reveal: bool) -> None:
    """Write findings and counts as JSON Lines."""
    from irkit import flow

    with _writing(session, case_path) as case:
        paths = flow.export(case, out, reveal=reveal)
    session.emit([str(path) for path in paths], "\n".join(str(path) for path in paths))


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@_common
@pass_session
def status(session: Session, case_path: Path) -> None:
    """What happened, how long is left, what is next."""
    from irkit import flow

    with _reading(session, case_path) as case:
        facts = flow.status(case)
    session.emit(facts, "\n".join((_summary_text(facts), *_next_text(facts))))


@cli.command()
@click.argument("target", metavar="CASE|PACKET", type=_PATH)
@_common
@pass_session
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
        session.emit(_plain(answer), "\n".join(answer.lines()))
        if not answer.ok:
            raise click.exceptions.Exit(int(ExitCode.MISMATCH))
        return
    with _writing(session, target) as case, session.progress() as progress:
        result = flow.verify(case, progress=progress)
    lines = [f"{file.state.value:<13} {file.sha256}  {file.path}" for file in result.evidence]
    lines.append(f"custody: {result.custody_entries} entries, head {result.custody_head}")
    lines.append(f"evidence: {result.state.value}")
    session.emit(
        {
            "custody": {"entries": result.custody_entries, "head": result.custody_head},
            "evidence": [_plain(file) for file in result.evidence],
            "state": result.state.value,
        },
        "\n".join(lines),
    )
    if result.state is EvidenceState.MISMATCH:
        raise click.exceptions.Exit(int(ExitCode.MISMATCH))


@cli.command(name="list")
@click.argument("what", type=click.Choice(["formats", "detectors", "regimes", "steps"]))
@_common
@pass_session
def list_(session: Session, what: str) -> None:
    """List formats, detectors, regimes or steps."""
    from irkit import flow

    rows, warnings = flow.catalogue(what)
    session.emit(rows, "\n\n".join(_entry_text(row) for row in rows))
    for warning in warnings:
        session.say(f"warning: {warning}")


@cli.command()
@click.argument("case_path", metavar="CASE", type=_PATH)
@click.argument("finding_id")
@_common
@pass_session
def explain(session: Session, case_path: Path, finding_id: str) -> None:
    """Say in sentences why an actor was flagged.

    Names the queries, whom they were compared with, how surprising they are, and what else could
    explain them.
    """
    from irkit import flow

    with _reading(session, case_path) as case:
        sentences = flow.explain(case, finding_id)
    session.emit(sentences, "\n".join(sentences))


@cli.command()
@_common
@pass_session
def selftest(session: Session) -> None:
    """Check this installation on known ground truth."""
    from irkit.selftest import run

    with tempfile.TemporaryDirectory(prefix="irkit-") as work, session.progress() as progress:
        report = run(Path(work), progress=progress)
    session.emit(report.as_dict(), "\n".join(report.lines()))
    if not report.passed:
        raise click.exceptions.Exit(int(ExitCode.INTERNAL))


@cli.command(name="open")
@click.argument("case_path", metavar="CASE", type=_PATH)
@_common
@pass_session
def open_(session: Session, case_path: Path) -> None:
    """Open the case on the screen."""
    _screens(case_path, session.clock)


# -- shared by the commands -----------------------------------------------------------------------


@contextmanager
def _writing(session: Session, path: Path) -> Iterator[Case]:
    from irkit.case import Case

    with Case.open(path, write=True, clock=session.clock) as case:
        yield case


@contextmanager
def _reading(session: Session, path: Path) -> Iterator[Case]:
    from irkit.case import Case

    with Case.open(path, clock=session.clock) as case:
        yield case


def _screens(path: Path, clock: Clock, demo_out: Path | None = None) -> None:
    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise UsageError(
            "the screens need a terminal",
            "use the plain commands, like: irkit status CASE (or irkit demo --headless)",
        )
    from importlib.metadata import entry_points

    # The two faces do not know each other: the screens are found by name, like any plug-in.
    run = entry_points(group="irkit.faces")["screens"].load()
    run(path, clock=clock, demo_out=demo_out)


def _not_yet(gradients: Path | None, engine: str) -> None:
    if gradients is not None:
        raise UsageError(
            "--gradients: this version does not analyse gradients yet",
            "leave the option out; preserve the files beside the case",
        )
    if engine == "ray":
        raise UsageError(
            "--engine ray: this version runs on the local engine only", "leave the option out"
        )


def _fields(pairs: tuple[str, ...]) -> dict[str, str] | None:
    if not pairs:
        return None
    fields = {}
    for pair in pairs:
        name, found, field = pair.partition("=")
        if not found or not field:
            raise UsageError(f"--corpus-field: '{pair}' is not NAME=FIELD", "like text=body")
        fields[name] = field
    return fields


def _strict(rows: list[dict[str, Any]], strict: bool) -> None:
    quarantined = sum(row["quarantined"] or 0 for row in rows)
    if strict and quarantined:
        raise QuarantinedInput(
            f"{quarantined} entries were quarantined",
            "everything else was read; see quarantine.jsonl in: irkit export CASE --out DIR",
        )


def _fail_on(facts: dict[str, Any], wanted: bool) -> None:
    if wanted and facts["findings"]["by_tier"]:
        raise click.exceptions.Exit(int(ExitCode.FINDINGS))


def _plain(value: Any) -> Any:
    from dataclasses import asdict

    return json.loads(json.dumps(asdict(value), default=str))


# -- plain text -----------------------------------------------------------------------------------


def _source_rows(case: Case) -> list[dict[str, Any]]:
    names = ("file", "format", "entries", "records", "blanks", "quarantined", "state")
    rows = case.rows(
        "SELECT original_path, format, entries, records, blanks, quarantined, state"
        " FROM evidence_source ORDER BY source_id"
    )
    return [dict(zip(names, (Path(row[0]).name, *row[1:]), strict=True)) for row in rows]


def _sources_text(rows: list[dict[str, Any]]) -> str:
    head = f"{'file':<36} {'format':<20} {'entries':>9} {'records':>9} {'blank':>6} {'quarant.':>8}"
    lines = [head]
    lines += [
        f"{row['file'][:36]:<36} {str(row['format'] or '?')[:20]:<20} {row['entries'] or 0:>9,}"
        f" {row['records'] or 0:>9,} {row['blanks'] or 0:>6,} {row['quarantined'] or 0:>8,}"
        for row in rows
    ]
    return "\n".join(lines)


def _preview_text(preview: Any) -> str:
    return "\n".join(preview.lines())


def _summary_text(facts: dict[str, Any]) -> str:
    ingest, coverage = facts["ingest"], facts["coverage"]
    evidence = facts["evidence"]
    lines = [
        f"Case        {facts['case']['title']}",
        f"Evidence    {evidence['verified']} of {evidence['files']} files verified",
        f"Log span    {coverage['first_event'] or 'unknown'} to {coverage['last_event'] or '?'}",
        f"Entries     {ingest['entries']:,} = {ingest['records']:,} records"
        f" + {ingest['blanks']:,} blank + {ingest['quarantined']:,} quarantined",
    ]
    tiers = facts["findings"]["by_tier"]
    if tiers:
        lines.append(
            "Findings    " + ", ".join(f"tier {tier}: {number}" for tier, number in tiers.items())
        )
    for technique, number in facts["findings"]["by_technique_tier_ab"].items():
        lines.append(f"            {technique.replace('_', ' ')}: {number} flagged units (A/B)")
    counts = facts["counts"]
    funnel = [
        f"{counts[name]['best']:,} {label}"
        for name, label in (
            ("queries", "queries"),
            ("responses", "answers"),
            ("matched", "matched the corpus"),
            ("after_subtraction", "left after subtracting what was supplied"),
            ("confirmed", "confirmed"),
        )
        if name in counts
    ]
    if funnel:
        lines.append("Funnel      " + " > ".join(funnel))
    for name in ("records", "people", "extractable"):
        if name in counts:
            count = counts[name]
            lines.append(
                f"{name.capitalize():<11} {count['best']:,}  (at least {count['min']:,},"
                f" at most {count['max']:,})  {count['method']}"
            )
    promise = facts["calibration"].get("promise")
    if isinstance(promise, dict) and promise.get("text"):
        lines.append(f"Promise     {promise['text']}")
    return "\n".join(lines)


def _next_text(facts: dict[str, Any]) -> list[str]:
    coming, step = facts["next_deadline"], facts["next_step"]
    if coming is None:
        deadline = "none runs yet: confirm the awareness, then irkit assess CASE"
    elif coming["hours_left"] < 0:
        deadline = f"{coming['rule']} PASSED {-coming['hours_left']} h ago ({coming['at']})"
    else:
        deadline = f"{coming['rule']} in {coming['hours_left']} h ({coming['at']})"
    lines = [f"Deadline    {deadline}"]
    if step is not None:
        lines.append(f"Next step   {step['title']}  ({step['id']})")
    return lines


def _entry_text(row: dict[str, Any]) -> str:
    rest = [(key, value) for key, value in row.items() if key not in ("id", "title")]
    lines = [f"{row['id']}  {row.get('title', '')}"]
    for key, value in rest:
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        if shown not in (None, "", {}):
            lines.append(f"    {key.replace('_', ' ')}: {shown}")
    return "\n".join(lines)


# -- the way in and out ---------------------------------------------------------------------------


def main() -> NoReturn:
    """Run the command line and leave with the documented exit code."""
    session = Session()
    try:
        code = cli.main(standalone_mode=False, obj=session)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show(sys.stderr)
        sys.exit(int(ExitCode.USAGE))
    except IrkitError as error:
        _report(session, error)
        sys.exit(int(error.code))
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "irkit: interrupted; finished work is kept, the same command continues it", err=True
        )
        sys.exit(int(ExitCode.INTERRUPTED))
    except BrokenPipeError:
        # The reader of our output went away (``| head``): not an error worth a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(int(ExitCode.OK))
    except Exception as error:
        if session.debug:
            raise
        _report(session, _unexpected(error))
        sys.exit(int(ExitCode.INTERNAL))


def _unexpected(error: Exception) -> IrkitError:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return IrkitError(f"{where}{error.strerror}", "free space or permissions? then try again")
    # The text of an unforeseen exception may quote evidence, so only its kind is shown.
    return IrkitError(
        f"internal error ({type(error).__name__})",
        "the case still opens; run again with --debug and report the traceback",
    )


def _report(session: Session, error: IrkitError) -> None:
    from irkit.case.mask import clean

    if session.debug:
        import traceback

        traceback.print_exc()
    click.echo(f"irkit: {clean(error.message)}", err=True)
    if isinstance(error, PacketIncomplete):
        for missing in getattr(error, "missing", ()):
            click.echo(f"  missing: {clean(str(missing))}", err=True)
    if error.hint:
        click.echo(f"  {clean(error.hint)}", err=True)


if __name__ == "__main__":
    main()
