"""The case directory: evidence, database, custody log, settings."""

from __future__ import annotations

from irkit.case.clock import Clock, fixed_clock, system_clock
from irkit.case.custody import CustodyLog
from irkit.case.settings import Settings
from irkit.case.store import Case

__all__ = ["Case", "Clock", "CustodyLog", "Settings", "fixed_clock", "system_clock"]
