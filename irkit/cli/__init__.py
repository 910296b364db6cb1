"""The command line: parse, call the core, print.  Data on stdout, words on stderr.

Nothing heavy is imported before a command needs it, so that ``irkit --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from irkit.cli import look, records, reviewing, verbs  # noqa: F401 - they register their commands
from irkit.cli.group import cli
from irkit.cli.session import Session
from irkit.errors import ExitCode, IrkitError, PacketIncomplete

__all__ = ["cli", "main"]


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
