"""The command group itself: ``irkit`` without a verb."""

from __future__ import annotations

import click

from irkit import __version__
from irkit.cli.session import common


class PlaybookGroup(click.Group):
    """Lists commands in the order of the playbook instead of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the verbs first, then the commands that look at things."""

        def late(name: str) -> bool:
            return self.commands[name].callback.__module__ != "irkit.cli.verbs"

        return sorted(self.commands, key=late)


@click.group(
    cls=PlaybookGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: irkit demo",
)
@click.version_option(__version__, prog_name="irkit")
@common
def cli() -> None:
    """Find out what an AI model leaked, whose it was, and notify in time.

    irkit reads preserved inference logs, replays each actor's queries through extraction
    detectors, matches answers against the training corpus, counts exposed records and people,
    and writes the Article 33 packet. It works offline; nothing leaves this machine.
    """
