"""Errors that reach a person, and the exit codes that reach a script.

Every error says what is wrong, where, and what to do next; none carries an exposed value::

    IrkitError
    ├── UsageError            2   wrong argument, missing or unreadable input
    ├── EvidenceMismatch      3   preserved bytes no longer have their intake hash
    ├── QuarantinedInput      4   finished, but input was quarantined and --strict was given
    ├── PacketIncomplete      5   mandatory facts are missing for the phase
    ├── CaseBusy              6   another process holds the case
    └── StorageError         70   disk full, damaged case database
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes (a contract with scripts; see the README)."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    MISMATCH = 3
    QUARANTINED = 4
    INCOMPLETE = 5
    BUSY = 6
    INTERNAL = 70
    INTERRUPTED = 130


class IrkitError(Exception):
    """Base of every expected failure: one line of what and where, one of what to do."""

    code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(IrkitError):
    """The request cannot be carried out as given."""

    code = ExitCode.USAGE


class EvidenceMismatch(IrkitError):
    """Preserved evidence differs from what was hashed at intake."""

    code = ExitCode.MISMATCH


class QuarantinedInput(IrkitError):
    """The work is done, but part of the input could not be read and ``--strict`` was given."""

    code = ExitCode.QUARANTINED


class PacketIncomplete(IrkitError):
    """The packet lacks facts that its phase requires."""

    code = ExitCode.INCOMPLETE


class CaseBusy(IrkitError):
    """Another process has the case open for writing."""

    code = ExitCode.BUSY


class StorageError(IrkitError):
    """The case directory or its database cannot be read or written."""

    code = ExitCode.INTERNAL
