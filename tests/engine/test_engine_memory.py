"""Freed memory goes back to the system, where the C library can be told so."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from irkit.engine.memory import return_freed_memory


def resident_mb() -> float:
    with Path("/proc/self/status").open(encoding="ascii") as status:
        line = next(row for row in status if row.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_blocks_freed_by_another_thread_go_back() -> None:
    if not return_freed_memory():
        pytest.skip("this C library has no such setting")
    before = resident_mb()
    held: list[bytearray] = []

    def take() -> None:
        held.extend(bytearray(4 << 20) for _ in range(40))

    for _ in range(3):
        worker = threading.Thread(target=take)
        worker.start()
        worker.join()
        assert resident_mb() > before + 100
        held.clear()
    assert resident_mb() < before + 60
