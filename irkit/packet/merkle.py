"""Merkle tree hash of RFC 9162 section 2.1.1: one root over the evidence list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def root(leaves: Sequence[bytes]) -> str:
    """Hex root: leaf = SHA-256(0x00 || data), node = SHA-256(0x01 || left || right)."""
    return _hash(leaves).hex()


def _hash(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + _hash(leaves[:split]) + _hash(leaves[split:])).digest()
