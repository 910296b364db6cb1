"""The notification packet: model, PDF, JSON, annexes, release gate and verification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irkit.packet.build import PacketResult, build_packet
    from irkit.packet.gate import PacketError, SelfScan, selfscan
    from irkit.packet.verify import VerifyResult, verify_packet

_WHERE = {
    "PacketResult": "build",
    "build_packet": "build",
    "PacketError": "gate",
    "SelfScan": "gate",
    "selfscan": "gate",
    "VerifyResult": "verify",
    "verify_packet": "verify",
}

__all__ = [
    "PacketError",
    "PacketResult",
    "SelfScan",
    "VerifyResult",
    "build_packet",
    "selfscan",
    "verify_packet",
]


def __getattr__(name: str) -> Any:
    """Load a part only when it is asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"irkit.packet.{_WHERE[name]}"), name)
