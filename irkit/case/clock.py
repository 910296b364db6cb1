"""The one source of "now": injected everywhere so that a run can be repeated exactly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from irkit.errors import UsageError

#: Returns the current instant, always timezone-aware and in UTC.
Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the machine's current time in UTC."""
    return datetime.now(UTC)


def fixed_clock(text: str) -> Clock:
    """Return a clock stopped at an ISO 8601 instant.

    Raises:
        UsageError: the text is no ISO 8601 instant, or names no zone: a legal deadline must
            never rest on a guessed zone.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--now: '{text}' is not an ISO 8601 time",
            "write it like 2026-11-24T09:30:00+01:00",
        ) from error
    if instant.tzinfo is None:
        raise UsageError(f"--now: '{text}' names no time zone", "add one, like +01:00 or Z")
    fixed = instant.astimezone(UTC)
    return lambda: fixed
