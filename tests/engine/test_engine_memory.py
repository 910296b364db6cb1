"""Freed memory goes back to the system, where the C library can be told so."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: In a process of its own: what else a process holds must not blur what this one gives back.
PROGRAM = """
import sys, threading
from pathlib import Path
from irkit.engine.memory import return_freed_memory

def resident_mb():
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(row for row in lines if row.startswith("VmRSS")).split()[1]) / 1024

if not return_freed_memory():
    sys.exit(77)
before, held = resident_mb(), []
for _ in range(3):
    worker = threading.Thread(target=lambda: held.extend(bytearray(4 << 20) for _ in range(40)))
    worker.start()
    worker.join()
    assert resident_mb() > before + 100, (before, resident_mb())
    held.clear()
assert resident_mb() < before + 60, (before, resident_mb())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_blocks_freed_by_another_thread_go_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    if done.returncode == 77:
        pytest.skip("this C library has no such setting")
    assert done.returncode == 0, done.stderr
