"""What every command shares: common options, how to print, and how to open a case."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from irkit.case import Case, Clock
    from irkit.case.evidence import ProgressCallback

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


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
            TextColumn("{task.fields[rate]}", markup=False),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Progress(*columns, console=console, transient=True) as bars:
            tasks: dict[str, Any] = {}

            def show(step: Any) -> None:
                if step.stage not in tasks:
                    tasks[step.stage] = bars.add_task(
                        step.stage.value, total=None, note="", rate=""
                    )
                bars.update(
                    tasks[step.stage],
                    completed=step.done,
                    total=step.total or None,
                    note=step.note[:40],
                    rate=pace(bars.tasks[tasks[step.stage]].speed, step.unit),
                )

            yield show


def pace(speed: float | None, unit: str) -> str:
    """Return how fast work goes on, in words; nothing while that is unknown.

    Args:
        speed: units per second.
        unit: what is counted; bytes are told as megabytes.
    """
    if speed is None:
        return ""
    return f"{speed / 1e6:,.0f} MB/s" if unit == "bytes" else f"{speed:,.0f} {unit}/s"


def common(function: F) -> F:
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

#: The case that a command works on, as its first argument.
on_case = click.argument("case_path", metavar="CASE", type=PATH)


def limited(what: str, default: int = 50) -> Callable[[F], F]:
    """Add ``--limit``: how many of something are printed at most."""
    return click.option(
        "--limit", type=click.IntRange(1), default=default, show_default=True, help=f"{what} shown."
    )


def with_session(function: F) -> F:
    """Add the common options to a command, and hand it the session they make."""
    return cast("F", common(pass_session(function)))


@contextmanager
def writing(session: Session, path: Path, *, sharing: bool = False) -> Iterator[Case]:
    """Open a case for writing; ``sharing`` leaves cores and memory to the reading of logs."""
    from irkit.case import Case

    with Case.open(path, write=True, clock=session.clock, sharing=sharing) as case:
        yield case


@contextmanager
def reading(session: Session, path: Path) -> Iterator[Case]:
    """Open a case for reading; several readers may share it."""
    from irkit.case import Case

    with Case.open(path, clock=session.clock) as case:
        yield case


def screens(path: Path | None, clock: Clock, demo_out: Path | None = None) -> None:
    """Open the screens over a case.

    Raises:
        UsageError: there is no terminal.
    """
    if not sys.stdout.isatty() or not sys.stdin.isatty():
        from irkit.errors import UsageError

        raise UsageError(
            "the screens need a terminal",
            "use the plain commands, like: irkit status CASE (or irkit demo --headless)",
        )
    from importlib.metadata import entry_points

    # The two faces do not know each other: the screens are found by name, like any plug-in.
    run = entry_points(group="irkit.faces")["screens"].load()
    run(path, clock=clock, demo_out=demo_out)


def plain(value: Any) -> Any:
    """Turn a frozen dataclass into JSON's types."""
    from dataclasses import asdict

    return json.loads(json.dumps(asdict(value), default=str))
