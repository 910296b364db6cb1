"""Passwords of keys: from a prompt or a file, never from the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from irkit.cli.session import PATH
from irkit.errors import UsageError

#: A password file holds one line; anything larger is the wrong file.
MAX_BYTES = 4096

password_file = click.option(
    "--password-file",
    "password",
    type=PATH,
    help="File whose first line is the key's password; without it the password is asked for.",
)


def passphrase(key: Path, file: Path | None) -> bytes:
    """Read the password of a key.

    Args:
        key: the key, named in the prompt.
        file: file whose first line is the password, or None to ask on the terminal.

    Raises:
        UsageError: the file cannot be read or is too large, or there is no terminal to ask on.
    """
    if file is None:
        if not sys.stdin.isatty():
            raise UsageError(
                f"{key}: its password cannot be asked for without a terminal",
                "give it in a file: --password-file FILE",
            )
        secret: str = click.prompt(f"Password of {key}", hide_input=True, err=True)
        return secret.encode("utf-8")
    try:
        with file.open("rb") as stream:
            body = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    if len(body) > MAX_BYTES:
        raise UsageError(f"{file}: larger than {MAX_BYTES} bytes, which no password file is")
    return body.split(b"\n", 1)[0].rstrip(b"\r")
