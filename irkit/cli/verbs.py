"""The playbook's verbs: preserve, scope, assess, notify, contain, remediate, and whole runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from irkit.cli.group import cli
from irkit.cli.secret import passphrase, password_file
from irkit.cli.session import PATH, F, Session, on_case, plain, screens, with_session, writing
from irkit.cli.text import (
    fill_text,
    linking_text,
    preview_text,
    source_rows,
    sources_text,
    summary_text,
)
from irkit.errors import ExitCode, QuarantinedInput, UsageError

GRADIENTS = (
    "Preserved updates of federated training: .npz or .safetensors files (or a directory), one"
    " update each, arrays under their parameter names (fc1.weight, fc1.bias); give it repeatedly."
    " Pickles (.pt, .pth) are refused."
)


#: What scope and batch take, in the order of their help.
_SCOPE_OPTIONS = (
    click.option("--corpus", type=PATH, multiple=True, help="Training corpus; give it repeatedly."),
    click.option(
        "--corpus-field",
        multiple=True,
        metavar="NAME=FIELD",
        help="Field names of the corpus, like text=body.",
    ),
    click.option("--subjects", type=PATH, help="Register of people (CSV, Parquet, JSON Lines)."),
    click.option("--baseline", type=PATH, help="Logs of ordinary traffic, or a calibration file."),
    click.option("--canaries", type=PATH, help="Values planted in the training data."),
    click.option("--gradients", type=PATH, multiple=True, help=GRADIENTS),
    click.option("--deep", is_flag=True, help="Run the name recogniser over every answer."),
    click.option(
        "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True
    ),
    click.option(
        "--fpr", type=float, help="Promised false-positive rate per actor. [default: 0.001]"
    ),
    click.option("--fdr", type=float, help="False-discovery rate over all actors. [default: 0.05]"),
    click.option("--dp-epsilon", type=float, help="Epsilon the model was said to be trained with."),
    click.option("--dp-delta", type=float, help="Delta of the same claim."),
)


def scope_options(function: F) -> F:
    """Add what decides how a case is scoped."""
    for option in reversed(_SCOPE_OPTIONS):
        function = option(function)
    return function


@cli.command()
@click.option("--headless", is_flag=True, help="Write the files and stop, without the screens.")
@click.option("--out", type=PATH, default=Path("irkit-demo"), show_default=True)
@with_session
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
        screens(case_path, session.clock if session.now else flow.sample_clock(), demo_out=out)
        return
    session.say("Sample incident: synthetic people, real attacks on a model that memorised them.")
    with flow.open_demo_case(case_path, clock=clock) as case, session.progress() as progress:
        result = flow.demo(case, out, progress=progress)
    session.emit(result.summary, summary_text(result.summary))
    session.say(
        f"Packet: {result.packet.pdf}\nCase:   {case_path}  (look inside: irkit open {case_path})"
        f"\nDone in {result.seconds:.1f} s."
    )
    session.say(fill_text(result))


@cli.command()
@on_case
@click.option("--title", default="", help="Title shown on every page of the packet.")
@click.option("--encrypt", is_flag=True, help="Encrypt the case at rest (not available yet).")
@with_session
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
@on_case
@click.argument("logs", type=PATH, nargs=-1, required=True)
@click.option("--format", "format_id", help="Skip detection and read as this format.")
@click.option("--mapping", type=PATH, help="Mapping file of the generic reader (TOML).")
@click.option("--in-place", is_flag=True, help="Reference the files instead of copying them.")
@click.option("--dry-run", is_flag=True, help="Show how each file would be read; write nothing.")
@click.option("--strict", is_flag=True, help="Exit with 4 when anything was quarantined.")
@with_session
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
        previews = flow.preview(list(logs), mapping=mapping, case=case_path)
        session.emit([plain(p) for p in previews], "\n".join(preview_text(p) for p in previews))
        return
    reading_logs = writing(session, case_path, sharing=True)
    with reading_logs as case, session.progress() as progress:
        result = flow.preserve(
            case,
            list(logs),
            format_id=format_id,
            mapping=mapping,
            in_place=in_place,
            progress=progress,
        )
        rows = source_rows(case)
    session.emit(rows, sources_text(rows))
    for text in linking_text(plain(result.ingest.linkage)):
        session.say(f"linked: {text}")
    for warning in result.ingest.warnings:
        session.say(f"warning: {warning}")
    if result.unknown_format:
        session.say(
            f"{result.unknown_format:,} entries are of no known log format. Name their fields in a"
            " mapping file (the README shows one) and give the same command with --mapping FILE."
        )
    for name in result.intake.already_preserved:
        session.say(f"already preserved, not added again: {name}")
    session.say(f"Next: irkit scope {case_path} --corpus FILES")
    _strict(rows, strict)


@cli.command()
@on_case
@scope_options
@click.option("--fail-on-findings", is_flag=True, help="Exit with 1 when an actor is flagged.")
@with_session
def scope(
    session: Session,
    case_path: Path,
    corpus: tuple[Path, ...],
    corpus_field: tuple[str, ...],
    subjects: Path | None,
    baseline: Path | None,
    canaries: Path | None,
    gradients: tuple[Path, ...],
    deep: bool,
    engine: str,
    fpr: float | None,
    fdr: float | None,
    dp_epsilon: float | None,
    dp_delta: float | None,
    fail_on_findings: bool,
) -> None:
    """Find who extracted what: detectors, leaks, people and counts."""
    from irkit import flow
    from irkit.packet.export import summary

    _not_yet(engine)
    with writing(session, case_path) as case, session.progress() as progress:
        flow.configure(case, fpr=fpr, fdr=fdr, dp_epsilon=dp_epsilon, dp_delta=dp_delta)
        result = flow.scope(
            case,
            corpus=corpus,
            corpus_mapping=_fields(corpus_field),
            subjects=subjects,
            baseline=baseline,
            canaries=canaries,
            gradients=gradients,
            deep=deep,
            progress=progress,
        )
        facts = summary(case)
    session.emit(facts, summary_text(facts))
    if result.skipped:
        names = ", ".join(stage.value for stage in result.skipped)
        session.say(f"unchanged since the last run, not repeated: {names}")
    session.say(f"Next: irkit assess {case_path}, or look: irkit open {case_path}")
    _fail_on(facts, fail_on_findings)


@cli.command()
@click.argument("logs", type=PATH, nargs=-1, required=True)
@click.option("--out", type=PATH, required=True, help="Calibration file to write.")
@click.option("--corpus", type=PATH, multiple=True, help="Training corpus, for D5 and D11.")
@with_session
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
@on_case
@click.option("--facts", type=PATH, help="Facts that only people know (TOML).")
@with_session
def assess(session: Session, case_path: Path, facts: Path | None) -> None:
    """Severity, obligations and deadlines, each with its reasons."""
    from irkit import flow

    with writing(session, case_path) as case:
        result = flow.assess(case, facts=facts)
        lines = result.lines()
        data = result.as_dict()
    session.emit(data, "\n".join(lines))
    session.say(f"Next: irkit notify {case_path} --out DIR")


@cli.command()
@on_case
@click.option(
    "--phase",
    type=click.Choice(["preliminary", "supplementary", "complete", "withdrawn"]),
    default="preliminary",
    show_default=True,
)
@click.option("--facts", type=PATH, help="Facts that only people know (TOML).")
@click.option("--out", type=PATH, required=True, help="Directory for the packet.")
@click.option("--paper", type=click.Choice(["a4", "letter"]), default="a4", show_default=True)
@click.option(
    "--schedule-recipient",
    "recipients",
    multiple=True,
    metavar="AGE1...",
    help="Also write names and contact routes of the people, from the register given to scope,"
    " encrypted for this age public key; give it repeatedly.",
)
@click.option("--sign", "key", type=PATH, help="Sign the PDF with this PKCS#12 key (.p12, .pfx).")
@password_file
@with_session
def notify(
    session: Session,
    case_path: Path,
    phase: str,
    facts: Path | None,
    out: Path,
    paper: str,
    recipients: tuple[str, ...],
    key: Path | None,
    password: Path | None,
) -> None:
    """Build the notification packet: PDF, JSON and annexes.

    No exposed value appears in it; the build fails if one would. With --sign the key's password
    is asked for, or read from --password-file; it never stands on the command line.
    """
    from irkit import flow
    from irkit.model import Phase

    # Asked for first: a packet is not built only to find that nobody knows the password.
    secret = passphrase(key, password) if key else b""
    with writing(session, case_path) as case, session.progress() as progress:
        result = flow.notify(
            case,
            out,
            phase=Phase(phase),
            facts=facts,
            paper={"a4": "A4", "letter": "Letter"}[paper],
            schedule_recipients=recipients,
            progress=progress,
        )
        signed = flow.sign(result.pdf, key, secret, case=case) if key else None
    session.emit({**plain(result), "signed": str(signed) if signed else None}, str(signed or
                 result.pdf))  # fmt: skip
    for missing in result.missing:
        session.say(f"not yet known: {missing}")


@cli.command()
@on_case
@click.option("--out", type=PATH, required=True, help="Directory for the rules.")
@with_session
def contain(session: Session, case_path: Path, out: Path) -> None:
    """Containment rules, tested on the evidence.

    Writes the rules with what each would have stopped and whom it would have hit, the list of
    credentials to revoke, and indicators as STIX 2.1.
    """
    from irkit import flow

    with writing(session, case_path) as case:
        paths = flow.contain(case, out)
    session.emit([str(path) for path in paths], "\n".join(str(path) for path in paths))


@cli.command()
@on_case
@click.option("--out", type=PATH, required=True, help="Directory for the manifests.")
@with_session
def remediate(session: Session, case_path: Path, out: Path) -> None:
    """Unlearning manifest and retest plan."""
    from irkit import flow

    with writing(session, case_path) as case:
        paths = flow.remediate(case, out)
    session.emit([str(path) for path in paths], "\n".join(str(path) for path in paths))


@cli.command()
@click.argument("logs", type=PATH, nargs=-1, required=True)
@click.option("--case", "case_path", type=PATH, required=True, help="Case to create or continue.")
@click.option("--out", type=PATH, required=True, help="Directory for the export files.")
@click.option("--format", "format_id", help="Skip detection and read as this format.")
@click.option("--mapping", type=PATH, help="Mapping file of the generic reader (TOML).")
@click.option("--in-place", is_flag=True, help="Reference the files instead of copying them.")
@scope_options
@click.option("--strict", is_flag=True, help="Exit with 4 when anything was quarantined.")
@click.option("--fail-on-findings", is_flag=True, help="Exit with 1 when an actor is flagged.")
@with_session
def batch(
    session: Session,
    logs: tuple[Path, ...],
    case_path: Path,
    out: Path,
    corpus: tuple[Path, ...],
    corpus_field: tuple[str, ...],
    subjects: Path | None,
    baseline: Path | None,
    canaries: Path | None,
    gradients: tuple[Path, ...],
    format_id: str | None,
    mapping: Path | None,
    in_place: bool,
    deep: bool,
    engine: str,
    fpr: float | None,
    fdr: float | None,
    dp_epsilon: float | None,
    dp_delta: float | None,
    strict: bool,
    fail_on_findings: bool,
) -> None:
    """Preserve, scope, assess, export in one go.

    Interrupted? Give the same command again: finished work is kept.
    """
    from irkit import flow
    from irkit.case import Case

    _not_yet(engine)
    if not case_path.exists():
        Case.create(case_path, clock=session.clock).close()
    reading_logs = writing(session, case_path, sharing=True)
    with reading_logs as case, session.progress() as progress:
        flow.preserve(
            case,
            list(logs),
            format_id=format_id,
            mapping=mapping,
            in_place=in_place,
            progress=progress,
        )
    with writing(session, case_path) as case, session.progress() as progress:
        flow.configure(case, fpr=fpr, fdr=fdr, dp_epsilon=dp_epsilon, dp_delta=dp_delta)
        facts = flow.batch(
            case,
            (),
            out,
            corpus=corpus,
            corpus_mapping=_fields(corpus_field),
            subjects=subjects,
            baseline=baseline,
            canaries=canaries,
            gradients=gradients,
            deep=deep,
            progress=progress,
        )
        rows = source_rows(case)
    session.emit(facts, summary_text(facts))
    session.say(f"Export: {out}")
    _strict(rows, strict)
    _fail_on(facts, fail_on_findings)


@cli.command()
@on_case
@click.option("--out", type=PATH, required=True, help="Directory for the export files.")
@click.option("--reveal", is_flag=True, help="Write exposed passages in clear; goes into custody.")
@with_session
def export(session: Session, case_path: Path, out: Path, reveal: bool) -> None:
    """Write findings and counts as JSON Lines."""
    from irkit import flow

    with writing(session, case_path) as case:
        paths = flow.export(case, out, reveal=reveal)
    session.emit([str(path) for path in paths], "\n".join(str(path) for path in paths))


# -- shared ---------------------------------------------------------------------------------


def _not_yet(engine: str) -> None:
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
