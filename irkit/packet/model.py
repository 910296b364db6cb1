"""The packet as data: frozen, JSON-native, and the same for PDF, JSON and annexes.

``Packet.as_json`` gives the bytes that are hashed, embedded and chained; ``packet.schema.json``
describes them.  All texts are free of control and bidirectional characters already here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from irkit.playbook.plain import plain

SCHEMA_ID = "irkit-packet"
SCHEMA_VERSION = 1

Row = dict[str, Any]
#: Parts that stand in a packet only where the case has them.
_OPTIONAL = ("gradients", "membership")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands on the cover and in every header and footer."""

    case_title: str
    controller: str
    phase: str
    number: int
    draft: bool
    synthetic: bool
    marking: str
    language: str
    built_at: str
    zone: str
    tool: str
    settings_hash: str
    previous: Row | None
    reference: str


@dataclass(frozen=True, slots=True)
class Packet:
    """One phase of a notification, complete and immutable."""

    head: Head
    summary: Row
    facts: tuple[Row, ...]
    art33: tuple[Row, ...]
    addressees: tuple[Row, ...]
    timeline: tuple[Row, ...]
    activity: Row
    funnel: tuple[Row, ...]
    findings: tuple[Row, ...]
    method: Row
    scope: Row
    risk: Row
    measures: Row
    communication: Row
    limits: tuple[str, ...]
    open_points: tuple[Row, ...]
    evidence: Row
    obligations: tuple[Row, ...]
    sign_off: tuple[Row, ...]
    playbook: tuple[Row, ...]
    changes: tuple[Row, ...] = field(default=())
    gradients: tuple[Row, ...] = field(default=())
    membership: tuple[Row, ...] = field(default=())

    def as_dict(self) -> Row:
        """Plain data with the schema's name and version."""
        data = {"schema": SCHEMA_ID, "schema_version": SCHEMA_VERSION, **asdict(self)}
        for name in _OPTIONAL:
            if not data[name]:
                del data[name]
        cleaned: Row = _clean(data)
        return cleaned

    def as_json(self) -> bytes:
        """Canonical bytes: sorted keys, UTF-8, one trailing newline."""
        text = json.dumps(
            self.as_dict(), sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False
        )
        return (text + "\n").encode("utf-8")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value, keep_breaks=True)
    if isinstance(value, dict):
        return {plain(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
